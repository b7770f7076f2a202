"""Binance USD-M futures: lists, requests on links of two addresses, books and open interest over REST."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar, Final
from urllib.parse import urlencode

from tickcast.model.record import State
from tickcast.venues.base import Quota, Request
from tickcast.venues.binance import frames
from tickcast.venues.binance_futures import wire
from tickcast.venues.binance_futures.dialect import DIALECT
from tickcast.venues.declared.dialect import Dialect
from tickcast.venues.declared.venue import (
    Alive,
    Channel,
    ClockReading,
    Happening,
    Limits,
    Listed,
    Print,
    Relist,
    TradeHistory,
    Venue,
)

STATES: Final[Mapping[str, State]] = {"TRADING": State.LIVE, "HALT": State.HALTED}
TRADES_WEIGHT: Final = 20
DEPTH_WEIGHTS: Final = ((50, 2), (100, 5), (500, 10), (1000, 20))
DEPTH_LIMITS: Final = (5, 10, 20, 50, 100, 500, 1000)
SPEEDS: Final = {"100ms": "@100ms", "250ms": "", "500ms": "@500ms", "1000ms": "@500ms"}
PERPETUALS: Final = ("PERPETUAL", "TRADIFI_PERPETUAL")
DATED: Final = ("CURRENT_MONTH", "NEXT_MONTH", "CURRENT_QUARTER", "NEXT_QUARTER")
DELIVERED: Final = " DELIVERING"
"""End of a contract type while it settles."""
CONTRACTS: Final = Channel("!contractInfo", endpoint="market")


class BinanceFuturesVenue(Venue):
    """Binance USD-M futures: books and quotes at ``/public``, the rest at ``/market``."""

    code: ClassVar[str] = "BINANCE_FUTURES"
    title: ClassVar[str] = "Binance USD-M futures"
    dialect: Dialect = DIALECT
    limits: ClassVar[Limits] = Limits(
        channels_per_link=1024,
        channels_per_message=100,
        messages=Quota(amount=8, per_s=1.0),
        connects=Quota(amount=300, per_s=300.0),
        lifetime_s=86_400.0,
        weight=Quota(amount=2400, per_s=60.0),
        weight_header="X-MBX-USED-WEIGHT-1M",
    )
    url: ClassVar[str] = "wss://fstream.binance.com"
    rest_url: ClassVar[str] = "https://fapi.binance.com"
    endpoints: ClassVar[Mapping[str, str]] = {"public": "/public/stream", "market": "/market/stream"}
    streams: ClassVar[tuple[str, ...]] = (
        "trade",
        "quote",
        "book",
        "ticker",
        "mark",
        "funding",
        "open_interest",
        "liquidation",
        "status",
    )
    clock: ClassVar[ClockReading | None] = ClockReading(path="serverTime", unit="ms")
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(reach="aggregates of the last year, by id")
    proof: ClassVar[str] = "pu of each difference of a book is its predecessor's u"

    def listing(self) -> Sequence[Request]:
        """Ask for the list of all contracts."""
        return [Request(purpose="instruments", url=self._rest("/fapi/v1/exchangeInfo"))]

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read the list; contracts without a type are no longer or not yet there."""
        del request
        found = [_listed(entry) for entry in wire.exchange_info.decode(body).symbols]
        return [entry for entry in found if entry is not None]

    def channels(self, listed: Listed) -> Sequence[Channel]:
        """Say which streams a contract has."""
        wanted, native = set(self.config.streams), listed.native
        found = []
        if "quote" in wanted:
            found.append(Channel("bookTicker", native, endpoint="public"))
        if "book" in wanted:
            speed = SPEEDS[self.config.depth_speed]
            found.append(Channel(f"depth{speed}", native, endpoint="public", book=True))
        if "trade" in wanted:
            found.append(Channel("aggTrade", native, endpoint="market"))
        if wanted & {"mark", "funding"}:
            found.append(Channel("markPrice@1s", native, endpoint="market"))
        if "liquidation" in wanted:
            found.append(Channel("forceOrder", native, endpoint="market"))
        if "ticker" in wanted:
            found.append(Channel("ticker", native, endpoint="market"))
        return found

    def market_channels(self, listed: Sequence[Listed]) -> Sequence[Channel]:
        """Subscribe to changes of the list."""
        return [CONTRACTS] if listed and "status" in self.config.streams else []

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write one request for all of them."""
        return [frames.request("SUBSCRIBE", frames.SUBSCRIBE, channels)]

    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write one request for all of them."""
        return [frames.request("UNSUBSCRIBE", frames.UNSUBSCRIBE, channels)]

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Read an answer to what we sent, or an announcement."""
        del market
        if b'"contractInfo"' in frame:
            return [Relist("a contract has changed")]
        if b'"tradingSession"' in frame:
            return [Alive()]
        return frames.read_reply(frame)

    def book_request(self, native: str, market: str) -> Request | None:
        """Ask for a book."""
        del market
        limit = next((most for most in DEPTH_LIMITS if most >= self.config.depth_limit), DEPTH_LIMITS[-1])
        query = urlencode({"symbol": native, "limit": limit})
        return Request(
            purpose=f"depth {native}",
            url=self._rest(f"/fapi/v1/depth?{query}"),
            weight=frames.weight_of(limit, DEPTH_WEIGHTS),
        )

    def trades_request(self, listed: Listed, after: Print, before: Print | None) -> Request | None:
        """Ask for aggregates from an id on."""
        del before
        query = urlencode({"symbol": listed.native, "limit": 1000, "fromId": after.ident + 1})
        return Request(purpose="trades", url=self._rest(f"/fapi/v1/aggTrades?{query}"), weight=TRADES_WEIGHT)

    def polls(self, listed: Listed) -> Sequence[Request]:
        """Ask for the open interest, which no stream tells."""
        if "open_interest" not in self.config.streams or listed.state != State.LIVE:
            return []
        query = urlencode({"symbol": listed.native})
        return [Request(purpose="open interest", url=self._rest(f"/fapi/v1/openInterest?{query}"))]

    def probe_request(self) -> Request | None:
        """Ask for the venue's time."""
        return Request(purpose="time", url=self._rest("/fapi/v1/time"))

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Take the contracts of the streams that were asked for, otherwise those that are named."""
        pairs = {name.upper().removesuffix("-PERP").replace("-", ""): name.upper() for name in instruments}
        found = []
        for native in frames.recorded_natives(addresses, sent) or sorted(pairs):
            pair, _, day = native.removesuffix("_PERP").partition("_")
            if day and _delivery_ms(day) is None:
                continue
            is_coin_margined = pair.endswith("USD") and "_" in native  # none of the others is quoted in USD
            base, quote = (
                (pair.removesuffix("USD"), "USD")
                if is_coin_margined
                else frames.divided(pair, {key: name.removesuffix("-PERP") for key, name in pairs.items()})
            )
            found.append(
                wire.Contract(
                    symbol=native,
                    status="TRADING",
                    baseAsset=base,
                    quoteAsset=quote,
                    marginAsset=quote,
                    contractType="CURRENT_QUARTER" if day else "PERPETUAL",
                    deliveryDate=_delivery_ms(day) or 0,
                )
            )
        return [entry for contract in found if (entry := _listed(contract)) is not None]

    def _rest(self, path: str) -> str:
        return (self.config.rest_url or self.rest_url).rstrip("/") + path


def _listed(entry: wire.Contract) -> Listed | None:
    kind = entry.contractType.removesuffix(DELIVERED)
    pair = f"{entry.baseAsset}-{entry.quoteAsset}"
    expiry = None
    if kind in PERPETUALS:
        symbol = f"{pair}-PERP"
    elif kind in DATED:
        at = datetime.fromtimestamp(entry.deliveryDate / 1000, UTC)
        symbol, expiry = f"{pair}-{at:%Y%m%d}", f"{at:%Y-%m-%dT%H:%M:%SZ}"
    else:
        return None
    rules = {rule.filterType: rule for rule in entry.filters}
    price, lot = rules.get("PRICE_FILTER"), rules.get("LOT_SIZE")
    return Listed(
        native=entry.symbol,
        symbol=symbol,
        asset_class="future" if expiry else "perpetual",
        currency=entry.quoteAsset,
        state=STATES.get(entry.status or entry.contractStatus, State.CLOSED),
        tick_size=price.tickSize if price else None,
        lot_size=lot.stepSize if lot else None,
        contract_size=str(entry.contractSize),
        settle_currency=entry.marginAsset or entry.quoteAsset,
        underlying=pair,
        expiry=expiry,
    )


def _delivery_ms(day: str) -> int | None:
    """Delivery of a contract whose name ends with ``YYMMDD``: 08:00 UTC; None: it is no such name."""
    try:
        at = datetime.strptime(day, "%y%m%d").replace(hour=8, tzinfo=UTC)
    except ValueError:
        return None
    return int(at.timestamp() * 1000)
