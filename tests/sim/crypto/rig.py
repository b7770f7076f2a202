"""A simulated venue on a virtual clock, and clients that keep what they get."""

import json
from typing import Any

from tickcast import _native
from tickcast.sim import universe as listing
from tickcast.sim.config import Config, MarketConfig
from tickcast.sim.crypto.state import Client, Instrument
from tickcast.sim.crypto.venue import SimVenue
from tickcast.sim.crypto.voice import Voice
from tickcast.sim.crypto.voices import voice
from tickcast.sim.engine import VenueEngine

START_NS = 1_790_000_000_000_000_000
MILLISECOND_NS = 1_000_000


class Rig:
    """One venue, its clock and its clients."""

    def __init__(
        self, word: str | type[Voice], *, rate: float = 2000.0, seed: int = 1, pairs: int = 8, orders: int = 12
    ) -> None:
        market = MarketConfig(stock_share=0.2, orders_per_side=orders, open_after_ms=20.0)
        config = Config(symbols=pairs * 5 // 4, seed=seed, market=market)
        self.now_ns = START_NS
        chosen = voice(word) if isinstance(word, str) else word
        self.venue = SimVenue(
            chosen.code, chosen, config, listing.build(config), start_ns=START_NS, now_ns=lambda: self.now_ns
        )
        self.engine = VenueEngine(self.venue, rate=rate, quantum_ms=10, start_ns=START_NS)
        self.got: dict[Client, list[bytes]] = {}
        self.cut: list[Client] = []
        self.venue.on_cut = self.cut.append

    def connect(self, target: str) -> Client:
        """Connect a client."""
        client = self.venue.connect(target, self.now_ns)
        self.got[client] = []
        self.deliver()
        return client

    def say(self, client: Client, frame: object) -> None:
        """Send a frame, as JSON unless it is bytes."""
        raw = frame if isinstance(frame, bytes) else json.dumps(frame).encode()
        self.venue.receive(client, raw, self.now_ns)
        self.deliver()

    def deliver(self) -> None:
        """Hand over what is to be sent."""
        for client in self.venue.changed_clients():
            self.got[client] += self.venue.take(client)

    def run(self, ms: int, *, quiet: bool = False) -> None:
        """Let time pass; ``quiet``: only the clock moves."""
        for _ in range(0, ms, 10):
            self.now_ns += 10 * MILLISECOND_NS
            if quiet:
                self.venue.idle(self.now_ns)
            else:
                self.engine.advance(self.now_ns)
            self.deliver()

    def frames(self, client: Client) -> list[Any]:
        """Take what a client got, as JSON."""
        raw, self.got[client] = self.got[client], []
        return [json.loads(_native.unpack_frame(frame, 1 << 24)) for frame in raw]

    def instrument(self, native: str, market: str = "") -> Instrument:
        """Return an instrument."""
        return self.venue.voice.by_native[market, native]

    def rest(self, url: str) -> Any:
        """Return the JSON of an answer of status 200."""
        answer = self.venue.rest(url, self.now_ns, address="test")
        assert answer.status == 200, answer
        return json.loads(answer.body)


def apply(book: dict[str, dict[str, str]], bids: list[list[str]], asks: list[list[str]]) -> None:
    """Apply changed levels to a book of texts."""
    for side, changes in (("bids", bids), ("asks", asks)):
        for price, size, *_ in changes:
            if float(size):
                book[side][price] = size
            else:
                book[side].pop(price, None)


def ordered(book: dict[str, dict[str, str]]) -> dict[str, list[tuple[str, str]]]:
    """Return a book of texts in order, as the truth has it."""
    return {
        side: sorted(levels.items(), key=lambda level: float(level[0]), reverse=side == "bids")
        for side, levels in book.items()
    }
