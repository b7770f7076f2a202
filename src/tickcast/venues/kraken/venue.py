"""Kraken v2, spot: what its declared dialect does not say."""

from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec

from tickcast.model.record import State
from tickcast.venues.base import Quota, Request, VenueConfig
from tickcast.venues.declared.dialect import Dialect
from tickcast.venues.declared.venue import (
    Acknowledged,
    Alive,
    Channel,
    ClockReading,
    Happening,
    Limits,
    Listed,
    Print,
    Refused,
    Status,
    TradeHistory,
    Unknown,
    Venue,
    strange,
)
from tickcast.venues.kraken.dialect import dialect, served
from tickcast.venues.kraken.wire import (
    Answer,
    AssetPair,
    AssetPairs,
    Envelope,
    InstrumentMessage,
    Subscribe,
    SystemMessage,
)
from tickcast.venues.times import rfc3339_ns

BOOK: Final = "book"
TRADE: Final = "trade"
TICKER: Final = "ticker"
INSTRUMENT: Final = "instrument"
CHANNELS: Final = ("", BOOK, TRADE, TICKER, INSTRUMENT)
"""By the ``req_id`` of our subscriptions: a refusal names the pair, not the channel."""
MICROSECOND_NS: Final = 1_000
NO_CHANNEL: Final = Channel("")
"""A refusal of nothing that was subscribed to."""
REPEATED: Final = "Already subscribed"
ALIASES: Final = {"XBT": "BTC", "XDG": "DOGE"}
"""Kraken's older names, which REST still uses, and everybody's."""
STATES: Final = {
    "online": State.LIVE,
    "limit_only": State.LIVE,
    "reduce_only": State.LIVE,
    "post_only": State.HALTED,  # orders may rest, nothing is matched
    "cancel_only": State.HALTED,
    "maintenance": State.HALTED,
    "work_in_progress": State.CLOSED,
    "delisted": State.CLOSED,
}
"""Of pairs and of the whole exchange."""


class KrakenVenue(Venue):
    """Spot pairs; the best bid and offer comes from the book, which is proved, where there is one."""

    code: ClassVar[str] = "KRAKEN"
    title: ClassVar[str] = "Kraken v2"
    dialect: Dialect = dialect(10)
    limits: ClassVar[Limits] = Limits(
        channels_per_link=250,
        channels_per_message=50,
        messages=Quota(amount=5, per_s=1.0),
        connects=Quota(amount=150, per_s=600.0),
        weight=Quota(amount=1, per_s=1.0),
    )
    url: ClassVar[str] = "wss://ws.kraken.com"
    rest_url: ClassVar[str] = "https://api.kraken.com"
    endpoints: ClassVar[dict[str, str]] = {"": "/v2"}
    streams: ClassVar[tuple[str, ...]] = ("trade", "quote", "book", "ticker", "status")
    ping_interval_s: ClassVar[float] = 30.0
    clock: ClassVar[ClockReading | None] = ClockReading(path="result.unixtime", unit="s")
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(reach="all trades, by time, 1,000 at once")
    proof: ClassVar[str] = (
        "a CRC32 of the ten best levels a side with every snapshot and update; deeper levels unproved"
    )

    def __init__(self, config: VenueConfig) -> None:
        super().__init__(config)
        self._depth = served(config.depth)
        self.dialect = dialect(self._depth)
        self._older_names: dict[str, str] = {}
        """REST's names of pairs, as its list has them, by the WebSocket's."""

    def listing(self) -> Sequence[Request]:
        """Ask for the pairs; the list is one answer."""
        return [Request(purpose="pairs", url=f"{self._rest}/0/public/AssetPairs")]

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read the pairs.

        Raises:
            ValueError: it is no list, or the venue's error.
        """
        del request
        pairs = msgspec.json.decode(body, type=AssetPairs)
        if pairs.error:
            raise ValueError(f"expected a list of pairs, found {', '.join(pairs.error)}")
        streamed = {name: pair for name, pair in pairs.result.items() if "/" in pair.wsname}
        self._older_names.update((self._native(pair.wsname), name) for name, pair in streamed.items())
        return [self._listed(pair) for pair in streamed.values()]

    def channels(self, listed: Listed) -> Sequence[Channel]:
        """Trades and the book; the ticker for the figures of the day, and for quotes where there is no book."""
        wanted = self.config.streams
        found = []
        if "trade" in wanted:
            found.append(Channel(TRADE, listed.native))
        if "book" in wanted:
            found.append(Channel(BOOK, listed.native, book=True))
        if "ticker" in wanted or self.quoted(listed):
            found.append(Channel(TICKER, listed.native))
        return found

    def market_channels(self, listed: Sequence[Listed]) -> Sequence[Channel]:
        """One channel tells the status of all pairs."""
        return [Channel(INSTRUMENT)] if listed and "status" in self.config.streams else []

    def quoted(self, listed: Listed) -> bool:
        """The book is proved and told at every change, so the ticker quotes only where there is no book."""
        del listed
        return "quote" in self.config.streams and "book" not in self.config.streams

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """One message for each channel's name; the venue answers for each pair."""
        return self._frames("subscribe", channels)

    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """One message for each channel's name."""
        return self._frames("unsubscribe", channels)

    def ping(self) -> bytes | None:
        """Answered by a ``pong``; connections without any traffic are closed after about a minute."""
        return b'{"method":"ping"}'

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Answers, the status of the exchange and of pairs."""
        del market
        envelope = msgspec.json.decode(frame, type=Envelope)
        if envelope.method == "pong" or envelope.channel == "heartbeat":
            told_ns = _time_of(envelope.time_in)
            return [Alive(told_ns, MICROSECOND_NS) if told_ns else Alive()]
        if envelope.method in {"subscribe", "unsubscribe"}:
            return [_answer(msgspec.json.decode(frame, type=Answer))]
        if envelope.channel == "status":
            systems = msgspec.json.decode(frame, type=SystemMessage).data
            told: list[Happening] = [
                Status("", STATES.get(one.system, State.CLOSED), reason=f"exchange {one.system}") for one in systems
            ]
            return told + strange("system", (one.system for one in systems), STATES)
        if envelope.channel == INSTRUMENT:
            pairs = msgspec.json.decode(frame, type=InstrumentMessage).data.pairs
            told = [Status(one.symbol, STATES.get(one.status, State.CLOSED), reason=one.status) for one in pairs]
            return told + strange("status", (one.status for one in pairs), STATES)
        if envelope.error:
            return [Refused(envelope.error, NO_CHANNEL)]
        return [Unknown(f"channel {envelope.channel!r}, method {envelope.method!r}")]

    def trades_request(self, listed: Listed, after: Print, before: Print | None) -> Request | None:
        """Ask for the trades from a time on, a microsecond before that of the last one known."""
        del before
        name = self._older_names.get(listed.native)
        if name is None:
            return None
        url = f"{self._rest}/0/public/Trades?pair={name}&count=1000&since={after.ts_ns - MICROSECOND_NS}"
        return Request(purpose="trades", url=url)

    def probe_request(self) -> Request | None:
        """Its status."""
        return Request(purpose="probe", url=f"{self._rest}/0/public/SystemStatus")

    def clock_request(self) -> Request | None:
        """Its clock; pongs tell it finer."""
        return Request(purpose="clock", url=f"{self._rest}/0/public/Time")

    def learn(self, frame: bytes) -> None:
        """Take the depth of books from the answer to a subscription: no other message of the venue names it."""
        if b'"depth"' not in frame:
            return
        try:
            depth = msgspec.json.decode(frame, type=Answer).result.depth
        except msgspec.MsgspecError:
            return
        if depth > 0:
            self._depth, self.dialect = depth, dialect(depth)

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Take the pairs and the depth of a recorder's subscriptions."""
        del addresses, instruments
        pairs: dict[str, None] = {}
        for frame in sent:
            try:
                asked = msgspec.json.decode(frame, type=Subscribe)
            except msgspec.MsgspecError:
                continue
            pairs.update(dict.fromkeys(asked.params.symbol))
            if asked.params.channel == BOOK:
                self._depth = asked.params.depth
                self.dialect = dialect(self._depth)
        return [self._listed(AssetPair(wsname=pair)) for pair in pairs if "/" in pair]

    def _listed(self, pair: AssetPair) -> Listed:
        base, quote = (ALIASES.get(name.upper(), name.upper()) for name in pair.wsname.split("/", 1))
        return Listed(
            native=self._native(pair.wsname),
            symbol=f"{base}-{quote}",
            asset_class="crypto",
            currency=quote,
            state=STATES.get(pair.status, State.CLOSED),
            tick_size=pair.tick_size or _step(pair.pair_decimals),
            lot_size=_step(pair.lot_decimals),
            time_precision=6,
        )

    def _native(self, wsname: str) -> str:
        """Write a pair as the WebSocket does: ``XBT/USD`` of REST is ``BTC/USD``."""
        return "/".join(ALIASES.get(name, name) for name in wsname.split("/", 1))

    def _frames(self, method: str, channels: Sequence[Channel]) -> list[bytes]:
        by_name: dict[str, list[str]] = {}
        for channel in channels:
            by_name.setdefault(channel.name, []).extend([channel.native] if channel.native else [])
        return [self._frame(method, name, natives) for name, natives in by_name.items()]

    def _frame(self, method: str, name: str, natives: Sequence[str]) -> bytes:
        params: dict[str, object] = {"channel": name}
        if natives:
            params["symbol"] = natives
        if name == BOOK:
            params["depth"] = self._depth
        if method == "subscribe":
            params["snapshot"] = True
            if name == TICKER:
                params["event_trigger"] = "bbo"
        request_id = CHANNELS.index(name) if name in CHANNELS else 0
        return msgspec.json.encode({"method": method, "params": params, "req_id": request_id})

    @property
    def _rest(self) -> str:
        return (self.config.rest_url or self.rest_url).rstrip("/")


def _answer(answer: Answer) -> Happening:
    if answer.method == "unsubscribe":
        return Alive()  # the subscription that follows is what counts
    native = answer.result.symbol or answer.symbol
    name = answer.result.channel or (CHANNELS[answer.req_id] if 0 < answer.req_id < len(CHANNELS) else "")
    channel = Channel(name, native, book=name == BOOK)
    if answer.success or answer.error == REPEATED:  # the answer to the first time was lost
        return Acknowledged([channel])
    return Refused(answer.error or "an error without a text", channel)


def _time_of(text: str) -> int:
    """Read when a ping reached the venue; 0: it does not say."""
    try:
        return rfc3339_ns(text)
    except ValueError:
        return 0


def _step(decimals: int) -> str:
    return f"0.{'1':0>{decimals}}" if decimals > 0 else "1"
