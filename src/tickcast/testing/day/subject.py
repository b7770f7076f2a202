"""The instance under test: simulated venues with so many instruments, a feed for each, and gateway workers."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from tickcast.cli import toml_text
from tickcast.cli.demo import DemoFiles, FreePlaces
from tickcast.cli.demo_market import EXCHANGES, tables
from tickcast.runtime.clock import now_ns
from tickcast.sim import config as settings
from tickcast.sim import universe as listing
from tickcast.sim.crypto.listing import spots
from tickcast.sim.crypto.voices import VOICES, voice
from tickcast.testing.matrix.subject import Subject

FEED: Final = {
    "refused_retry_s": 3.0,
    "backoff_max_ms": 4000,
    "poll_interval_s": 30.0,
    "quiet_factor": 4.0,
}
"""A day is short: feeds come back sooner than they would by default. And one machine plays all the world: a market that
does not come for some seconds is not dead."""
PAIRS_MAX: Final = 2_000
MARKET: Final = {"stock_share": 0.0, "halt_every_s": 0, "orders_per_side": 12}
PAGE: Final = 200
"""Symbols of one request for prices."""


def crypto_venues() -> list[str]:
    """Return the codes of all simulated crypto venues."""
    return [code for code in EXCHANGES if _word(code) in VOICES]


def _word(code: str) -> str:
    sim, _ = tables([code], lambda: "127.0.0.1:0")
    return str(sim[code]["dialect"])


def listed(code: str, pairs: int, *, seed: int) -> int:
    """Count the instruments that a simulated venue lists of a market of so many pairs."""
    market = settings.MarketConfig(stock_share=0.0)
    config = settings.Config(symbols=pairs, seed=seed, market=market)
    kind = voice(_word(code))
    if code == "BINANCE":
        return pairs
    return len(kind.products(spots(listing.build(config), config, stocks=kind.stocks), now_ns()))


def pairs_for(venues: Sequence[str], instruments: int, *, seed: int) -> int:
    """Return how many pairs the market has, so that all venues together list at least so many instruments."""
    low, high = 1, PAIRS_MAX
    while low < high:
        middle = (low + high) // 2
        if sum(map(partial(listed, pairs=middle, seed=seed), venues)) >= instruments:
            high = middle
        else:
            low = middle + 1
    return low


class DaySubject(Subject):
    """See the module."""

    def __init__(self, folder: Any, venues: Sequence[str], *, seed: int, pairs: int, rate: float, workers: int) -> None:
        """``rate``: order events a second of all venues together."""
        super().__init__(folder, rate=rate, symbols=pairs, exchanges=venues)
        self._seed = seed
        self._rate = rate
        self._pairs = pairs
        self._workers = workers

    def configure(self) -> DemoFiles:
        """Write both files."""
        place = FreePlaces()
        venues, feeds = tables(self.exchanges, place)
        head = {"seed": self._seed, "rate": self._rate, "symbols": self._pairs, "admin": place()}
        place.close()
        folder = self.data / "demo"
        folder.mkdir(parents=True, exist_ok=True)
        files = DemoFiles(folder / "sim.toml", folder / "tickcast.toml")
        share = self._rate / len(venues)
        venues = {name: {**table, **_market(name, share)} for name, table in venues.items()}
        files.sim.write_text(toml_text.tables({**head, "market": MARKET, "venues": venues}), "utf-8")
        gateway = {"port": self.port, "workers": self._workers}
        made = {name: {**table, **FEED} for name, table in feeds.items()}
        files.instance.write_text(toml_text.tables({"gateway": gateway, "feeds": made}), "utf-8")
        return files

    def prices(self, symbols: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Newest prices over REST."""
        found: dict[str, dict[str, Any]] = {}
        for begin in range(0, len(symbols), PAGE):
            part = ",".join(symbols[begin : begin + PAGE])
            found |= {row["symbol"]: row for row in self.get(f"/prices?numbers=string&symbols={part}")["prices"]}
        return found

    def truths(self, listed: set[str]) -> dict[str, dict[str, Any]]:
        """What the venues know to be true, by ``VENUE:SYMBOL``, of those that are listed."""
        found = {}
        for venue in self.exchanges:
            for row in self.truth(venue)["symbols"].values():
                names = (f"{venue}:{row['symbol']}", f"{venue}:{row['symbol']}-USD")
                name = next((one for one in names if one in listed), None)
                if name is not None:
                    found[name] = row
        return found

    def ledger(self) -> list[dict[str, Any]]:
        """All entries of the ledger."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.get(f"/gaps?limit=1000{cursor}")
            found += page["gaps"]
            if page["next"] is None:
                return found
            cursor = f"&cursor={page['next']}"


def _market(name: str, share: float) -> dict[str, Any]:
    """Of a venue: its part of the rate, and all pairs of the market."""
    return {"rate": share, "quantum_ms": 20.0, **({} if name == "BINANCE" else {"pairs": 0})}
