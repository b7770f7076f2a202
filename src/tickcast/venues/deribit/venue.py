"""Deribit v2 as a declared venue; the evidence is in NOTES.md."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, Final

import msgspec

from tickcast.model.record import State
from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.declared.dialect import Dialect
from tickcast.venues.declared.venue import (
    Acknowledged,
    Alive,
    Channel,
    ClockReading,
    Happening,
    Leaving,
    Limits,
    Listed,
    Print,
    Quota,
    Refused,
    Relist,
    Reply,
    Status,
    TradeHistory,
    Unknown,
    Venue,
)
from tickcast.venues.deribit import wire
from tickcast.venues.deribit.dialect import DERIBIT
from tickcast.venues.deribit.naming import index_symbol, named

CURRENCIES: Final = ("BTC", "ETH", "USDC", "USDT", "EURR")
"""What instruments settle in: the lists that the venue keeps apart."""
LIST_WEIGHT: Final = 4
"""Of a list of instruments, in requests of the ordinary cost: all lists at once, then one a second, stay within it."""
HEARTBEAT_S: Final = 30
TOO_MANY_REQUESTS: Final = 10028
STATES: Final[Mapping[str, State]] = {
    "open": State.LIVE,
    "created": State.CLOSED,
    "started": State.LIVE,
    "locked": State.HALTED,
    "halted": State.HALTED,
    "settlement": State.HALTED,
    "settled": State.LIVE,
    "delivered": State.CLOSED,
    "inactive": State.CLOSED,
    "deactivated": State.CLOSED,
    "closed": State.CLOSED,
    "terminated": State.CLOSED,
    "archivized": State.CLOSED,
}
"""Of an entry of the list (``state``) and of ``instrument.state`` notifications."""
LISTING_STATES: Final = ("created", "terminated", "closed", "archivized")
"""After which the list is another."""
PERPETUAL_STREAMS: Final = frozenset({"ticker", "mark", "funding", "open_interest"})
OPTION_STREAMS: Final = frozenset({"ticker", "mark", "open_interest", "greeks"})
TEST: Final = msgspec.json.encode({"jsonrpc": "2.0", "id": 4, "method": "public/test", "params": {}})
HEARTBEAT: Final = msgspec.json.encode(
    {"jsonrpc": "2.0", "id": 1, "method": "public/set_heartbeat", "params": {"interval": HEARTBEAT_S}}
)


class DeribitVenue(Venue):
    """Deribit: one socket for all markets, names that are unique over them."""

    code: ClassVar[str] = "DERIBIT"
    title: ClassVar[str] = "Deribit v2"
    dialect: Dialect = DERIBIT
    limits: ClassVar[Limits] = Limits(
        channels_per_link=1000,
        channels_per_message=100,
        messages=Quota(amount=3, per_s=1.0),
        connects=Quota(amount=5, per_s=1.0),
        weight=Quota(amount=20, per_s=1.0),
    )
    url: ClassVar[str] = "wss://www.deribit.com"
    rest_url: ClassVar[str] = "https://www.deribit.com"
    endpoints: ClassVar[Mapping[str, str]] = {"": "/ws/api/v2"}
    streams: ClassVar[tuple[str, ...]] = (
        "trade",
        "quote",
        "book",
        "ticker",
        "mark",
        "funding",
        "open_interest",
        "greeks",
        "status",
    )
    clock: ClassVar[ClockReading | None] = ClockReading(path="result", unit="ms")
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(
        order="seq", reach="all trades of an instrument, by number"
    )
    proof: ClassVar[str] = "each message of a book names its predecessor (prev_change_id)"

    def __init__(self, config: VenueConfig) -> None:
        super().__init__(config)
        self._by_index: dict[str, set[str]] = {}
        """Names of instruments by the index that they derive from: the venue locks them together."""

    def listing(self) -> Sequence[Request]:
        """Ask for the instruments of each settlement currency (``markets`` of the config)."""
        return [
            self._get("get_instruments", f"currency={currency}&expired=false", weight=LIST_WEIGHT)
            for currency in self.config.markets or CURRENCIES
        ]

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read a list, and the indices that its instruments derive from.

        Combos are skipped: their trades and books are those of two instruments together, for which the house symbology
        has no name.
        """
        del request
        entries = msgspec.json.decode(body, type=wire.Instruments).result
        found: list[Listed] = []
        for entry in entries:
            listed = listed_of(entry)
            if listed is not None:
                found.append(listed)
                self._by_index.setdefault(entry.price_index or "", set()).add(listed.native)
        return [*found, *index_list({entry.price_index for entry in entries})]

    def channels(self, listed: Listed) -> Sequence[Channel]:
        """Say what to subscribe to."""
        streams = set(self.config.streams)
        name = listed.native
        if listed.asset_class == "index":
            return [Channel("deribit_price_index", name)] if streams & {"ticker", "mark"} else []
        found = []
        if "trade" in streams:
            found.append(Channel("trades", name))
        if "quote" in streams:
            found.append(Channel("quote", name))
        if "book" in streams:
            found.append(Channel("book", name, book=True))
        figures = OPTION_STREAMS if listed.asset_class == "option" else PERPETUAL_STREAMS
        if streams & figures:
            found.append(Channel("ticker", name))
        return found

    def market_channels(self, listed: Sequence[Listed]) -> Sequence[Channel]:
        """States of all instruments and of the platform."""
        return (
            [Channel("instrument.state"), Channel("platform_state")]
            if listed and "status" in self.config.streams
            else []
        )

    def hello(self) -> Sequence[bytes]:
        """Ask for heartbeats."""
        return [HEARTBEAT]

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write one request."""
        return [request(2, "public/subscribe", channels)]

    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write one request."""
        return [request(3, "public/unsubscribe", channels)]

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Read an answer, a heartbeat, a notification of states."""
        del market
        found = msgspec.json.decode(frame, type=wire.Cold)
        if found.error is not None:
            return [refused(found.error)]
        if found.params is None:
            return answered(found.result, known=found.id is not None or found.result is not None)
        if found.method == "heartbeat":
            return [Reply(TEST)] if found.params.type == "test_request" else [Alive()]
        if found.method == "subscription":
            return self._notified(found.params)
        return [Unknown(f"expected an answer or a notification, found method {found.method!r}")]

    def trades_request(self, listed: Listed, after: Print, before: Print | None) -> Request | None:
        """Ask for the trades from a number on."""
        del before
        return self._get(
            "get_last_trades_by_instrument",
            f"instrument_name={listed.native}&start_seq={after.seq + 1}&count=1000&sorting=asc",
        )

    def probe_request(self) -> Request | None:
        """Ask for the venue's time."""
        return self._get("get_time", "")

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Read the names of instruments out of the channels that were asked for."""
        del addresses, instruments
        names = {name: None for channel in asked(sent) for name in channel.split(".")[1:2]}
        found = [listed for name in names if (listed := listed_by_name(name)) is not None]
        return [*found, *index_list(name for name in names if index_symbol(name))]

    def _get(self, method: str, query: str, *, weight: int = 1) -> Request:
        base = (self.config.rest_url or self.rest_url).rstrip("/")
        url = f"{base}/api/v2/public/{method}"
        return Request(purpose=f"{method} {query}".strip(), url=f"{url}?{query}" if query else url, weight=weight)

    def _notified(self, params: wire.Params) -> Sequence[Happening]:
        """Read a notification that is no market data."""
        channel = params.channel
        if channel.startswith("instrument.state."):
            state = msgspec.json.decode(params.data, type=wire.InstrumentState)
            return instrument_state(state)
        if channel == "platform_state":
            platform = msgspec.json.decode(params.data, type=wire.PlatformState)
            return self._locked(platform)
        if channel.startswith("platform_state."):
            return [Alive()]
        return [Unknown(f"expected a channel that was subscribed to, found {channel!r}")]

    def _locked(self, platform: wire.PlatformState) -> Sequence[Happening]:
        """Read the platform's state: all instruments of an index are locked together."""
        if platform.maintenance:
            return [Leaving("the platform goes into maintenance")]
        if platform.locked is None:
            return [Alive()]
        state = State.HALTED if platform.locked else State.LIVE
        reason = f"{platform.price_index or 'platform'} {'locked' if platform.locked else 'unlocked'}"
        natives = sorted(self._by_index.get(platform.price_index, ())) if platform.price_index else [""]
        return [Status(native, state, reason=reason) for native in natives] or [Alive()]


def request(ident: int, method: str, channels: Sequence[Channel]) -> bytes:
    """Write a request about channels."""
    params = {"channels": [address(channel) for channel in channels]}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": ident, "method": method, "params": params})


def address(channel: Channel) -> str:
    """Write a channel's name; ``raw`` intervals want a login, 100 ms is the fastest without."""
    if channel.name == "instrument.state":
        return "instrument.state.any.any"
    if channel.name in {"book", "trades", "ticker"}:
        return f"{channel.name}.{channel.native}.100ms"
    return f"{channel.name}.{channel.native}" if channel.native else channel.name


def channel_of(text: str) -> Channel:
    """Read a channel's name."""
    if text.startswith(("instrument.state.", "platform_state")):
        return Channel(".".join(text.split(".")[:2]) if text.startswith("instrument") else "platform_state")
    name, *rest = text.split(".")
    return Channel(name, rest[0] if rest else "", book=name == "book")


def answered(result: Any, *, known: bool) -> Sequence[Happening]:
    """Read the result of a request: a list of channels is what a subscription was granted."""
    if isinstance(result, list) and result and all(isinstance(each, str) for each in result):
        return [Acknowledged([channel_of(each) for each in result])]
    if not known:
        return [Unknown("expected an answer or a notification, found neither")]
    return [Alive()]


def refused(error: wire.RpcError) -> Refused:
    """Read an error; after too many requests the venue ends the connection, and wants to be left alone for a while."""
    return Refused(f"{error.code} {error.message}".strip(), fatal=error.code == TOO_MANY_REQUESTS)


def instrument_state(found: wire.InstrumentState) -> Sequence[Happening]:
    """Read the state of an instrument."""
    state = STATES.get(found.state)
    if state is None:
        return [Unknown(f"expected a state of an instrument, found {found.state!r}")]
    happenings: list[Happening] = []
    if found.state != "created":
        happenings.append(Status(found.instrument_name, state, reason=found.state))
    if found.state in LISTING_STATES:
        happenings.append(Relist(f"{found.instrument_name} is {found.state}"))
    return happenings


def listed_of(entry: wire.Instrument) -> Listed | None:
    """Read an entry of a list; None: a combo."""
    name = named(entry.instrument_name)
    if name is None or entry.kind.endswith("combo"):
        return None
    index = entry.price_index or (name.index if name.asset_class != "crypto" else "")
    expiry = entry.expiration_timestamp if name.expiry is not None else None
    state = STATES.get(entry.state or "open", State.CLOSED) if entry.is_active else State.CLOSED
    return Listed(
        native=entry.instrument_name,
        symbol=name.symbol,
        asset_class=name.asset_class,
        currency=entry.quote_currency,
        state=state,
        tick_size=text_of(entry.tick_size),
        lot_size=text_of(entry.min_trade_amount),
        contract_size=text_of(entry.contract_size) if name.asset_class != "crypto" else None,
        settle_currency=entry.settlement_currency or (entry.base_currency if not name.linear else None),
        underlying=index_symbol(index) if index else None,
        strike=text_of(entry.strike) if name.strike is not None else None,
        expiry=datetime.fromtimestamp(expiry / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if expiry else name.expiry,
        option_type=name.option_type,
    )


def listed_by_name(native: str) -> Listed | None:
    """Say what a name alone does; None if it is no instrument's."""
    name = named(native)
    if name is None:
        return None
    inverse_option = name.asset_class == "option" and not name.linear
    return Listed(
        native=native,
        symbol=name.symbol,
        asset_class=name.asset_class,
        currency=name.base if inverse_option else name.quote,
        settle_currency=name.quote if name.linear else name.base,
        underlying=index_symbol(name.index) if name.asset_class != "crypto" else None,
        strike=name.strike,
        expiry=name.expiry,
        option_type=name.option_type,
    )


def index_list(names: Iterable[str | None]) -> list[Listed]:
    """Make an instrument of each index: ``btc_usd``."""
    found = []
    for name in sorted(filter(None, names)):
        symbol = index_symbol(name)
        if symbol is not None:
            found.append(Listed(native=name, symbol=symbol, asset_class="index", currency=symbol.split("-")[1]))
    return found


def text_of(number: Decimal | None) -> str | None:
    """Write a number without an exponent and without zeros that say nothing."""
    if number is None:
        return None
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def asked(sent: Sequence[str]) -> Iterable[str]:
    """Yield the channels of recorded subscriptions."""
    for text in sent:
        try:
            channels = msgspec.json.decode(text)["params"]["channels"]
        except (msgspec.MsgspecError, KeyError, TypeError):
            continue
        if isinstance(channels, list):
            yield from (each for each in channels if isinstance(each, str))
