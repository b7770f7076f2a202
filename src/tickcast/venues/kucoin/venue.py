"""KuCoin's lists, tokens, subscriptions and cold messages; the evidence is in NOTES.md."""

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final
from urllib.parse import quote, urlsplit

import msgspec

from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.declared.asking import Asked
from tickcast.venues.declared.dialect import Dialect
from tickcast.venues.declared.venue import (
    Admission,
    Alive,
    Channel,
    Happening,
    Leaving,
    Limits,
    Listed,
    Print,
    Quota,
    Refused,
    TradeHistory,
    Unknown,
    Venue,
)
from tickcast.venues.kucoin import wire
from tickcast.venues.kucoin.dialect import DIALECT
from tickcast.venues.kucoin.names import FUTURES, SPOT, contract_from, named, native_of, pair_from

FUTURES_REST: Final = "https://api-futures.kucoin.com"
TOKEN: Final = "/api/v1/bullet-public"  # noqa: S105  a path
TOKEN_WEIGHT: Final = 10
SPOT_CHANNELS: Final[Mapping[str, str]] = {
    "trade": "/market/match",
    "quote": "/market/ticker",
    "book": "/market/level2",
    "ticker": "/market/snapshot",
}
BOOKS: Final = ("/market/level2", "/contractMarket/level2")
MEASURED: Final = frozenset({"mark", "funding"})
"""Both ride on ``/contract/instrument``."""
POLLED: Final = frozenset({"open_interest", "funding"})
"""Open interest and the next funding time come over REST only."""
PARTIAL_MAX: Final = 20
"""Levels of the smaller of the two books that are to be had without a login."""
THROTTLED_S: Final = 30.0
"""The window in which weights count: the venue says how much of it is left in a header of its own."""
NO_TOKEN: Final = 401
TOO_MANY: Final = 509
NAMED: Final = re.compile(r":([\w,.-]+)")
"""The instruments that an error names: ``topic /market/level2:BSV-BTC is not found``."""


class KucoinVenue(Venue):
    """Spot, and perpetuals and futures, each at an address that a token opens."""

    code: ClassVar[str] = "KUCOIN"
    title: ClassVar[str] = "KuCoin (classic)"
    dialect: Dialect = DIALECT
    limits: ClassVar[Limits] = Limits(
        channels_per_link=300,
        channels_per_message=50,
        messages=Quota(amount=90, per_s=10.0),
        connects=Quota(amount=30, per_s=60.0),
        weight=Quota(amount=2000, per_s=30.0),
    )
    url: ClassVar[str] = "wss://ws-api-spot.kucoin.com"
    rest_url: ClassVar[str] = "https://api.kucoin.com"
    endpoints: ClassVar[Mapping[str, str]] = {SPOT: "/", FUTURES: "/"}
    streams: ClassVar[tuple[str, ...]] = ("trade", "quote", "book", "ticker", "mark", "funding", "open_interest")
    ping_interval_s: ClassVar[float] = 18.0
    recorded_books: ClassVar[tuple[str, ...]] = ("level2", "level2_20", "level2_100", "snapshot", "depth20", "depth100")
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(
        order="seq", backwards=True, page=100, pages_max=1, overlaps=True, reach="the newest 100"
    )
    proof: ClassVar[str] = (
        "spot: sequenceStart of each difference is not beyond sequenceEnd + 1 of the one before; futures: sequence "
        "counts by one"
    )

    def __init__(self, config: VenueConfig) -> None:
        super().__init__(config)
        self._asked = Asked()

    # ------------------------------------------------------------------ lists

    def listing(self) -> Sequence[Request]:
        """Ask for the pairs and for the contracts (``markets`` of the config: ``spot``, ``futures``)."""
        markets = self.config.markets or (SPOT, FUTURES)
        lists = {SPOT: ("/api/v2/symbols", 4), FUTURES: ("/api/v1/contracts/active", 3)}
        return [
            self._request(market, path, weight=weight, purpose=f"instruments {market}")
            for market, (path, weight) in lists.items()
            if market in markets
        ]

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read a list."""
        is_contracts = urlsplit(request.url).path.endswith("/active")
        answer = wire.contracts.decode(body) if is_contracts else wire.pairs.decode(body)
        if answer.code != wire.GOOD:
            raise ValueError(f"expected a list of instruments, found error {answer.code}: {answer.msg}")
        entries = [contract_from(one) if isinstance(one, wire.Contract) else pair_from(one) for one in answer.data]
        return [one for one in entries if one is not None]

    # ------------------------------------------------------------------ links

    def admission(self, endpoint: str) -> Request | None:
        """Ask for a token."""
        return self._request(endpoint, TOKEN, weight=TOKEN_WEIGHT, purpose="token", method="POST")

    def admitted(self, endpoint: str, body: bytes) -> Admission:
        """Read the token, where to go with it, and how often to ping."""
        del endpoint
        answer = wire.bullet.decode(body)
        if answer.code != wire.GOOD or answer.data is None or not answer.data.instance_servers:
            raise ValueError(f"expected a token and a server, found code {answer.code}: {answer.msg or 'neither'}")
        server = answer.data.instance_servers[0]
        base = server.endpoint
        if self.config.url is not None:
            base = self.config.url.rstrip("/") + urlsplit(server.endpoint).path
        return Admission(
            target=f"{base}?token={quote(answer.data.token, safe='=')}", ping_interval_s=server.ping_interval / 1000
        )

    def channels(self, listed: Listed) -> Sequence[Channel]:
        """Say which topics an instrument has."""
        wanted = set(self.config.streams)
        if listed.asset_class == "crypto":
            names = [name for word, name in SPOT_CHANNELS.items() if word in wanted]
            return [Channel(name, listed.native, endpoint=SPOT, book=name in BOOKS) for name in names]
        names = ["/contractMarket/execution"] if "trade" in wanted else []
        names += ["/contractMarket/level2"] if wanted & {"book", "quote"} else []
        names += ["/contractMarket/snapshot"] if "ticker" in wanted else []
        names += ["/contract/instrument"] if wanted & MEASURED else []
        return [Channel(name, listed.native, endpoint=FUTURES, book=name in BOOKS) for name in names]

    def quoted(self, listed: Listed) -> bool:
        """Of contracts the book gives the best bid and offer: their ticker's numbers do not count with it."""
        return "quote" in self.config.streams and listed.asset_class == "crypto"

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write a frame for all pairs of a topic, and one for each topic of a contract."""
        return [self._frame("subscribe", group, answered=True) for group in grouped(channels)]

    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write the same, unanswered."""
        return [self._frame("unsubscribe", group, answered=False) for group in grouped(channels)]

    def ping(self) -> bytes | None:
        """Write the venue's ping."""
        return b'{"id":"ping","type":"ping"}'

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Read a welcome, an answer, a pong, an error."""
        del market
        found = wire.cold.decode(frame)
        if found.type == "ack":
            return [self._asked.confirmed(number_of(found.id))]
        if found.type in {"welcome", "pong"}:
            return [Alive()]
        if found.type == "error":
            return self._wrong(found)
        if found.topic:
            return [Unknown(f"topic {found.topic[:60]} which was not asked for", found.topic.partition(":")[0])]
        return [Unknown(f"expected a welcome, an answer, a pong or data, found type {found.type[:40]!r}")]

    def _wrong(self, found: wire.Cold) -> Sequence[Happening]:
        code, text = str(found.code), text_of(found.data)
        reason = f"{code} {text}".strip()
        if code == str(NO_TOKEN):
            return [Leaving(f"the token is not taken: {reason}")]
        number = number_of(found.id)
        if number is None:
            return [Refused(reason, fatal=code == str(TOO_MANY))]
        names = [name for group in NAMED.findall(text) for name in group.split(",")]
        return self._asked.refused(number, reason, named=names)

    # ------------------------------------------------------------------ REST

    def book_request(self, native: str, market: str) -> Request | None:
        """Ask for a book: of contracts the whole, of pairs as many levels as are to be had without a login."""
        del market
        if "-" not in native:
            return self._request(
                FUTURES, f"/api/v1/level2/snapshot?symbol={native}", weight=3, purpose=f"book {native}"
            )
        levels, weight = (20, 2) if self.config.depth_limit <= PARTIAL_MAX else (100, 4)
        path = f"/api/v1/market/orderbook/level2_{levels}?symbol={native}"
        return self._request(SPOT, path, weight=weight, purpose=f"book {native}")

    def polls(self, listed: Listed) -> Sequence[Request]:
        """Ask for a contract's open interest and next funding time."""
        if listed.asset_class == "crypto" or not POLLED & set(self.config.streams):
            return ()
        return [self._request(FUTURES, f"/api/v1/contracts/{listed.native}", weight=3, purpose=listed.native)]

    def trades_request(self, listed: Listed, after: Print, before: Print | None) -> Request | None:
        """Ask for the newest trades: the venue tells no others."""
        del after, before
        if "-" in listed.native:
            return self._request(SPOT, f"/api/v1/market/histories?symbol={listed.native}", weight=3, purpose="trades")
        return self._request(FUTURES, f"/api/v1/trade/history?symbol={listed.native}", weight=5, purpose="trades")

    def probe_request(self) -> Request | None:
        """Ask for the venue's time."""
        return self._request(SPOT, "/api/v1/timestamp", weight=3, purpose="time")

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Read the instruments from the topics that a recorder subscribed to, otherwise those that are named."""
        del addresses
        natives = dict.fromkeys(name for text in sent for name in asked_in(text))
        natives = natives or dict.fromkeys(native_of(symbol) for symbol in instruments)
        return [found for native in natives if (found := named(native)) is not None]

    def _request(self, market: str, path: str, *, weight: int, purpose: str, method: str = "GET") -> Request:
        """Write a request; an address of one's own has the contracts below ``/futures``."""
        own = self.config.rest_url
        if own is not None:
            base = own.rstrip("/") + ("/futures" if market == FUTURES else "")
        else:
            base = FUTURES_REST if market == FUTURES else self.rest_url
        return Request(
            purpose=purpose,
            url=base + path,
            weight=weight,
            method="POST" if method == "POST" else "GET",
            throttled_status=429,
            throttled_s=THROTTLED_S,
        )

    def _frame(self, word: str, channels: Sequence[Channel], *, answered: bool) -> bytes:
        topic = f"{channels[0].name}:{','.join(channel.native for channel in channels)}"
        number = self._asked.number(channels if answered else ())
        return msgspec.json.encode({"id": str(number), "type": word, "topic": topic, "response": answered})


def grouped(channels: Sequence[Channel]) -> list[list[Channel]]:
    """Put together what one frame may ask for: pairs of one topic."""
    groups: dict[tuple[str, str], list[Channel]] = {}
    for channel in channels:
        one = "" if channel.name in SPOT_CHANNELS.values() else channel.native
        groups.setdefault((channel.name, one), []).append(channel)
    return list(groups.values())


def number_of(text: str | int | None) -> int | None:
    """Read the number of a request of ours; None: it is none."""
    if isinstance(text, int):
        return text
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) <= 18 else None


def text_of(data: msgspec.Raw) -> str:
    """Read an error's text."""
    found: object = msgspec.json.decode(data) if data else ""
    return found if isinstance(found, str) else str(found)


def asked_in(text: str) -> list[str]:
    """Return the instruments of a recorded subscription."""
    try:
        found = wire.request.decode(text.encode())
    except msgspec.MsgspecError:
        return []
    if found.type != "subscribe":
        return []
    names = found.topic.partition(":")[2].split(",")
    return [name.partition("_")[0] for name in names if name and name != "all"]
