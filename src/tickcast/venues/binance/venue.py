"""Binance spot: lists, requests on a link, books over REST."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final
from urllib.parse import urlencode

from tickcast.model.record import State
from tickcast.venues.base import Quota, Request, VenueConfig
from tickcast.venues.binance import frames, wire
from tickcast.venues.binance.dialect import DIALECT, dialect
from tickcast.venues.declared.dialect import Dialect
from tickcast.venues.declared.venue import Channel, ClockReading, Happening, Limits, Listed, Print, TradeHistory, Venue

STATES: Final[Mapping[str, State]] = {
    "TRADING": State.LIVE,
    "HALT": State.HALTED,
    "AUCTION_MATCH": State.AUCTION,
    "BREAK": State.CLOSED,
    "END_OF_DAY": State.CLOSED,
    "PRE_TRADING": State.CLOSED,
    "POST_TRADING": State.CLOSED,
}
TRADES_WEIGHT: Final = 25
AGGREGATES_WEIGHT: Final = 4
DEPTH_WEIGHTS: Final = ((100, 5), (500, 25), (1000, 50), (5000, 250))


class BinanceVenue(Venue):
    """Binance spot, combined streams."""

    code: ClassVar[str] = "BINANCE"
    title: ClassVar[str] = "Binance spot"
    dialect: Dialect = DIALECT
    limits: ClassVar[Limits] = Limits(
        channels_per_link=1024,
        channels_per_message=100,
        messages=Quota(amount=4, per_s=1.0),
        connects=Quota(amount=300, per_s=300.0),
        lifetime_s=86_400.0,
        weight=Quota(amount=6000, per_s=60.0),
        weight_header="X-MBX-USED-WEIGHT-1M",
    )
    url: ClassVar[str] = "wss://stream.binance.com:9443"
    rest_url: ClassVar[str] = "https://api.binance.com"
    endpoints: ClassVar[Mapping[str, str]] = {"": "/stream"}
    streams: ClassVar[tuple[str, ...]] = ("trade", "quote", "book", "ticker")
    clock: ClassVar[ClockReading | None] = ClockReading(path="serverTime", unit="ms")
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(reach="all trades, by id")
    proof: ClassVar[str] = "each difference of a book begins at the id after its predecessor's last (U, u)"

    def __init__(self, config: VenueConfig) -> None:
        super().__init__(config)
        if config.microseconds or config.aggregate_trades:
            self.dialect = dialect("us" if config.microseconds else "ms", aggregate=config.aggregate_trades)

    def listing(self) -> Sequence[Request]:
        """Ask for the list of all symbols."""
        return [Request(purpose="instruments", url=self._rest("/api/v3/exchangeInfo"), weight=20)]

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read the list."""
        del request
        return [_listed(entry) for entry in wire.exchange_info.decode(body).symbols]

    def channels(self, listed: Listed) -> Sequence[Channel]:
        """Say which streams a symbol has."""
        wanted = self.config.streams
        speed = "" if self.config.depth_speed == "1000ms" else "@100ms"
        words = {
            "trade": "aggTrade" if self.config.aggregate_trades else "trade",
            "quote": "bookTicker",
            "book": f"depth{speed}",
            "ticker": "ticker",
        }
        return [Channel(name, listed.native, book=word == "book") for word, name in words.items() if word in wanted]

    def target(self, endpoint: str, channels: Sequence[Channel]) -> str:
        """Return the address; times come in microseconds if it says so."""
        return super().target(endpoint, channels) + ("?timeUnit=MICROSECOND" if self.config.microseconds else "")

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write one request for all of them."""
        return [frames.request("SUBSCRIBE", frames.SUBSCRIBE, channels)]

    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write one request for all of them."""
        return [frames.request("UNSUBSCRIBE", frames.UNSUBSCRIBE, channels)]

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Read an answer to what we sent, or an announcement."""
        del market
        return frames.read_reply(frame)

    def book_request(self, native: str, market: str) -> Request | None:
        """Ask for a book."""
        del market
        limit = self.config.depth_limit
        query = urlencode({"symbol": native, "limit": limit})
        return Request(
            purpose=f"depth {native}",
            url=self._rest(f"/api/v3/depth?{query}"),
            weight=frames.weight_of(limit, DEPTH_WEIGHTS),
        )

    def trades_request(self, listed: Listed, after: Print, before: Print | None) -> Request | None:
        """Ask for trades from an id on; REST says its times in milliseconds, whatever the stream says."""
        del before
        query = urlencode({"symbol": listed.native, "limit": 1000, "fromId": after.ident + 1})
        if self.config.aggregate_trades:
            return Request(purpose="trades", url=self._rest(f"/api/v3/aggTrades?{query}"), weight=AGGREGATES_WEIGHT)
        return Request(purpose="trades", url=self._rest(f"/api/v3/historicalTrades?{query}"), weight=TRADES_WEIGHT)

    def probe_request(self) -> Request | None:
        """Ask for the venue's time."""
        return Request(purpose="time", url=self._rest("/api/v3/time"))

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Take the symbols of the streams that were asked for, otherwise those that are named."""
        pairs = {name.replace("-", "").upper(): name.upper() for name in instruments if "-" in name}
        found = []
        for native in frames.recorded_natives(addresses, sent) or sorted(pairs):
            base, quote = frames.divided(native, pairs)
            found.append(_listed(wire.SymbolInfo(symbol=native, status="TRADING", baseAsset=base, quoteAsset=quote)))
        return found

    def _rest(self, path: str) -> str:
        return (self.config.rest_url or self.rest_url).rstrip("/") + path


def _listed(entry: wire.SymbolInfo) -> Listed:
    rules = {rule.filterType: rule for rule in entry.filters}
    price, lot = rules.get("PRICE_FILTER"), rules.get("LOT_SIZE")
    return Listed(
        native=entry.symbol,
        symbol=f"{entry.baseAsset}-{entry.quoteAsset}",
        asset_class="crypto",
        currency=entry.quoteAsset,
        state=STATES.get(entry.status, State.CLOSED),
        tick_size=price.tickSize if price else None,
        lot_size=lot.stepSize if lot else None,
    )
