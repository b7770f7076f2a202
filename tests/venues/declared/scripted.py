"""A venue for tests: two markets, books that nothing proves or that a chain proves, confirmations as it is told."""

from collections.abc import Sequence
from typing import Any

import msgspec

from tickcast.model.record import State
from tickcast.venues.base import Answer, Quota, Request, Step, VenueConfig
from tickcast.venues.declared.dialect import Book, BookRule, Dialect, Key, Levels, Match, Message, Trades
from tickcast.venues.declared.session import DeclaredSession
from tickcast.venues.declared.venue import (
    Acknowledged,
    Alive,
    Channel,
    Happening,
    Leaving,
    Limits,
    Listed,
    Refused,
    Relist,
    Status,
    Unknown,
    Venue,
)

NOW = 1_790_000_000_000_000_000
SECOND = 1_000_000_000
LEVELS = Levels(bids="bids", asks="asks")


def dialect(rule: BookRule) -> Dialect:
    key = Key(path="name")
    return Dialect(
        messages=(
            Message(
                name="book",
                when=(Match(path="kind", equals=("book",)),),
                emits=(
                    Book(
                        key=key,
                        levels=LEVELS,
                        rule=rule,
                        snapshot=(Match(path="whole", present=True),),
                        last="seq",
                        previous="prev",
                    ),
                ),
                fields=("kind", "whole"),
            ),
            Message(
                name="trade",
                when=(Match(path="kind", equals=("trade",)),),
                emits=(Trades(key=key, id="id", price="price", size="size"),),
                fields=("kind",),
            ),
        ),
        rest_book=Book(key=key, levels=LEVELS, rule=rule, last="seq"),
    )


class ScriptedVenue(Venue):
    """Says what the test wants."""

    code = "SCRIPTED"
    title = "Scripted"
    limits = Limits(channels_per_link=4, channels_per_message=3, messages=Quota(amount=10, per_s=1.0))
    url = "ws://venue"
    rest_url = "http://venue"
    endpoints = {"": "/ws", "other": "/other"}  # noqa: RUF012  as the contract has it
    streams = ("trade", "book")
    proof = "none"
    rule = BookRule(chain="previous", snapshot="stream")
    split = False
    """Trades come by another address."""

    def __init__(self, config: VenueConfig) -> None:
        super().__init__(config)
        self.dialect = dialect(self.rule)

    def listing(self) -> Sequence[Request]:
        return [Request(purpose=f"list {page}", url=f"http://venue/list/{page}") for page in ("a", "b")]

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        states: dict[str, str] = msgspec.json.decode(body, type=dict[str, str])
        return [
            Listed(native=name, symbol=f"{name}-USD", asset_class="crypto", currency="USD", state=State[state])
            for name, state in states.items()
            if name != "more"
        ]

    def next_page(self, request: Request, body: bytes) -> Request | None:
        more = msgspec.json.decode(body, type=dict[str, str]).get("more")
        return Request(purpose=f"page {more}", url=f"http://venue/list/{more}") if more else None

    def channels(self, listed: Listed) -> Sequence[Channel]:
        trade = Channel("trade", listed.native, endpoint="other" if self.split else "")
        return [trade, Channel("book", listed.native, book=True)]

    def quoted(self, listed: Listed) -> bool:
        return False

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        return [("+" + " ".join(f"{one.name}.{one.native}" for one in channels)).encode()]

    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        return [("-" + " ".join(f"{one.name}.{one.native}" for one in channels)).encode()]

    def book_request(self, native: str, market: str) -> Request | None:
        return Request(purpose="any", url=f"http://venue/book/{native}", weight=5)

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        said = msgspec.json.decode(frame, type=dict[str, Any])
        native = str(said.get("name", ""))
        happenings: dict[str, Happening] = {
            "ok": Acknowledged(),
            "named": Acknowledged([Channel("book", native)]),
            "no": Refused("not here", Channel("book", native) if native else None, fatal=bool(said.get("fatal"))),
            "alive": Alive(),
            "halt": Status(native, State.HALTED, reason="news"),
            "resume": Status(native, State.LIVE),
            "relist": Relist("changed"),
            "bye": Leaving("maintenance"),
        }
        return [happenings.get(str(said.get("kind")), Unknown("what is this"))]


class Script:
    """A session of it, and what it was told."""

    def __init__(self, venue: type[ScriptedVenue] = ScriptedVenue, **settings: Any) -> None:
        config = VenueConfig(venue="SCRIPTED", **settings)
        self.session = DeclaredSession(venue(config), feed="s", config=config, securities={}, previous_close={})
        self.requests = {one.purpose: one for one in self.session.start(NOW).requests}

    def list(self, *, a: dict[str, str], b: dict[str, str] | None = None, at: int = NOW) -> Step:
        """Answer both lists; the steps as one."""
        first = self.answer(self.requests["list a"], a, at=at)
        second = self.answer(self.requests["list b"], b or {}, at=at)
        first.links += second.links
        first.definitions += second.definitions
        first.incidents += second.incidents
        first.send += second.send
        first.dead += second.dead
        first.records += second.records
        return first

    def answer(self, request: Request, body: object, *, status: int = 200, at: int = NOW) -> Step:
        return self.session.answered(request, Answer(status=status, body=msgspec.json.encode(body), received_ns=at))

    def say(self, *said: dict[str, object], at: int = NOW, link: str = "streams-1") -> Step:
        return self.session.received(link, [msgspec.json.encode(one) for one in said], [at] * len(said))


def book(name: str, seq: int, prev: int | None = None, *, bid: str = "10", ask: str = "11") -> dict[str, object]:
    """A book's message: a whole one without ``prev``."""
    said: dict[str, object] = {"kind": "book", "name": name, "seq": seq, "bids": [[bid, "1"]], "asks": [[ask, "1"]]}
    return {**said, "whole": 1} if prev is None else {**said, "prev": prev}
