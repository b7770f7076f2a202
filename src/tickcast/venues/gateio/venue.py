"""Gate.io v4: lists, subscriptions and cold messages; the evidence is in NOTES.md."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final
from urllib.parse import urlsplit

import msgspec

from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.declared.asking import Asked
from tickcast.venues.declared.dialect import Dialect
from tickcast.venues.declared.pacing import SECOND_NS
from tickcast.venues.declared.venue import (
    Acknowledged,
    Alive,
    Channel,
    Happening,
    Limits,
    Listed,
    Print,
    Quota,
    Refused,
    TradeHistory,
    Unknown,
    Venue,
)
from tickcast.venues.gateio import wire
from tickcast.venues.gateio.dialect import DIALECT
from tickcast.venues.gateio.names import DELIVERY, PERPETUALS, SPOT, contract_from, named, pair_from

MARKETS: Final = (SPOT, "usdt", "btc")
"""What is listed unless ``markets`` of the config says otherwise (also ``usd1``, ``delivery``)."""
CONTRACTS_HOST: Final = "wss://fx-ws.gateio.ws"
PATHS: Final[Mapping[str, str]] = {
    SPOT: "/ws/v4/",
    **{settle: f"/v4/ws/{settle}" for settle in PERPETUALS},
    DELIVERY: "/v4/ws/delivery/usdt",
}
LEVELS_MAX: Final = 100
"""Of a book over REST: as many as the documentation's own example asks for."""
DECIMAL_SIZES: Final = {"X-Gate-Size-Decimal": "1"}
"""Without it sizes of contracts are cut to whole numbers."""
TICKER_STREAMS: Final = frozenset({"ticker", "mark", "funding", "open_interest"})
"""All of these ride on ``futures.tickers``."""
NATIVES: Final = re.compile(r"\b([A-Z0-9]+_[A-Z0-9]+(?:_\d{8})?)\b")
"""The instruments that an error names: ``unknown currency pair: NO_USDT``."""


class GateioVenue(Venue):
    """Spot, and contracts by what they settle in, each at an address of its own."""

    code: ClassVar[str] = "GATEIO"
    title: ClassVar[str] = "Gate.io v4"
    dialect: Dialect = DIALECT
    limits: ClassVar[Limits] = Limits(
        channels_per_link=400,
        channels_per_message=50,
        messages=Quota(amount=40, per_s=1.0),
        connects=Quota(amount=100, per_s=60.0),
        weight=Quota(amount=200, per_s=10.0),
    )
    url: ClassVar[str] = "wss://api.gateio.ws"
    rest_url: ClassVar[str] = "https://api.gateio.ws"
    endpoints: ClassVar[Mapping[str, str]] = PATHS
    endpoint_markets: ClassVar[bool] = True
    streams: ClassVar[tuple[str, ...]] = (
        "trade",
        "quote",
        "book",
        "ticker",
        "mark",
        "funding",
        "open_interest",
        "liquidation",
    )
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(
        backwards=True, overlaps=True, reach="pairs by id, contracts by time, 1,000 at once"
    )
    proof: ClassVar[str] = "U of each difference of a book is not beyond u + 1 of the one before"

    def __init__(self, config: VenueConfig) -> None:
        super().__init__(config)
        self._asked = Asked()

    # ------------------------------------------------------------------ lists

    def listing(self) -> Sequence[Request]:
        """Ask for each market's list."""
        return [
            self._request(f"{rest_of(market)}/{'currency_pairs' if market == SPOT else 'contracts'}")
            for market in self.config.markets or MARKETS
            if market in PATHS
        ]

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read a list."""
        market = market_of(request.url)
        if market == SPOT:
            found = [pair_from(entry) for entry in wire.pairs.decode(body)]
        else:
            found = [contract_from(entry, market) for entry in wire.contracts.decode(body)]
        if not found and market in {SPOT, "usdt"}:
            raise ValueError(f"expected a list of {market}, found an empty one")
        return [one for one in found if one is not None]

    # ------------------------------------------------------------------ links

    def target(self, endpoint: str, channels: Sequence[Channel]) -> str:
        """Return the address: contracts have a host of their own."""
        del channels
        base = self.config.url or (self.url if endpoint == SPOT else CONTRACTS_HOST)
        return base.rstrip("/") + PATHS[endpoint]

    def headers(self, endpoint: str) -> Mapping[str, str]:
        """Ask for sizes of contracts as they are."""
        return {} if endpoint == SPOT else DECIMAL_SIZES

    def channels(self, listed: Listed) -> Sequence[Channel]:
        """Say which channels an instrument has."""
        wanted, is_spot = set(self.config.streams), listed.market == SPOT
        names = ["trades"] if "trade" in wanted else []
        names += ["book_ticker"] if "quote" in wanted else []
        names += ["tickers"] if wanted & ({"ticker"} if is_spot else TICKER_STREAMS) else []
        names += ["public_liquidates"] if "liquidation" in wanted and listed.market in PERPETUALS else []
        names += ["order_book_update"] if "book" in wanted else []
        family = "spot" if is_spot else "futures"
        return [
            Channel(
                f"{family}.{name}",
                listed.native,
                listed.market,
                endpoint=listed.market,
                book=name == "order_book_update",
            )
            for name in names
        ]

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write a frame for all instruments of a channel; of books one for each."""
        return [self._frame("subscribe", group) for group in grouped(channels)]

    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write the same."""
        return [self._frame("unsubscribe", group) for group in grouped(channels)]

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Read an answer or a pong."""
        del market
        found = wire.answer.decode(frame)
        number = found.id if isinstance(found.id, int) else None
        if found.event == "subscribe":
            if found.error is None:
                return [self._asked.confirmed(number)] if number is not None else [Acknowledged()]
            reason = reason_of(found.error)
            return self._asked.refused(number, reason, named=NATIVES.findall(reason))
        if found.event == "unsubscribe" or found.channel.endswith(".pong"):
            return [Alive()]
        if found.error is not None:
            return [Refused(reason_of(found.error))]
        if not found.channel and not found.method and found.result:
            return [Alive()]  # an answer of v3
        word = found.channel or found.method
        return [Unknown(f"message {found.event!r} of channel {word[:60]!r}, which was not asked for", word)]

    # ------------------------------------------------------------------ REST

    def book_request(self, native: str, market: str) -> Request | None:
        """Ask for a book with its number."""
        name = "currency_pair" if market == SPOT else "contract"
        limit = min(self.config.depth_limit, LEVELS_MAX)
        return self._request(f"{rest_of(market)}/order_book?{name}={native}&limit={limit}&with_id=true")

    def trades_request(self, listed: Listed, after: Print, before: Print | None) -> Request | None:
        """Ask for the trades of a pair up to an id, with it; of a contract those of a time, in whole seconds."""
        if listed.market == SPOT:
            older = "" if before is None else f"&last_id={before.ident + 1}&reverse=true"
            return self._request(f"spot/trades?currency_pair={listed.native}&limit=1000{older}")
        query = f"contract={listed.native}&limit=1000&from={after.ts_ns // SECOND_NS}"
        if before is not None:
            query += f"&to={before.ts_ns // SECOND_NS + 1}"
        return self._request(f"{rest_of(listed.market)}/trades?{query}")

    def polls(self, listed: Listed) -> Sequence[Request]:
        """Ask for the next funding time of a perpetual."""
        if listed.market not in PERPETUALS or "funding" not in self.config.streams:
            return ()
        return [self._request(f"{rest_of(listed.market)}/contracts/{listed.native}")]

    def probe_request(self) -> Request | None:
        """Ask for the venue's time."""
        return self._request("spot/time")

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Read the instruments from the channels that a recorder subscribed to, otherwise those that are named."""
        paths = [urlsplit(each).path.rstrip("/") for each in addresses]
        markets = [market for market, path in PATHS.items() if path.rstrip("/") in paths]
        asked = dict.fromkeys(name for text in sent for name in asked_in(text))
        if not asked:
            return [found for symbol in instruments if (found := from_symbol(symbol, markets)) is not None]
        every = [named(native, market) for market in markets or [SPOT] for native in asked]
        return [found for found in every if found is not None]

    def _request(self, path: str) -> Request:
        base = (self.config.rest_url or self.rest_url).rstrip("/")
        headers = {} if path.startswith(SPOT) else DECIMAL_SIZES
        return Request(purpose=path, url=f"{base}/api/v4/{path}", headers=headers)

    def _frame(self, word: str, channels: Sequence[Channel]) -> bytes:
        natives = [channel.native for channel in channels]
        is_book = channels[0].name.endswith("order_book_update")
        number = self._asked.number(channels if word == "subscribe" else ())
        return msgspec.json.encode(
            {
                "time": self.now_ns // SECOND_NS,
                "id": number,
                "channel": channels[0].name,
                "event": word,
                "payload": [*natives, "100ms"] if is_book else natives,
            }
        )


def rest_of(market: str) -> str:
    """Return the beginning of a market's paths."""
    if market == SPOT:
        return SPOT
    return "delivery/usdt" if market == DELIVERY else f"futures/{market}"


def market_of(url: str) -> str:
    """Return the market whose list an address asks for."""
    path = urlsplit(url).path
    return next((market for market in PATHS if f"/{rest_of(market)}/" in path), SPOT)


def grouped(channels: Sequence[Channel]) -> list[list[Channel]]:
    """Put together what one frame may ask for: instruments of one channel, but one book at a time."""
    groups: dict[tuple[str, str], list[Channel]] = {}
    for channel in channels:
        one = channel.native if channel.name.endswith("order_book_update") else ""
        groups.setdefault((channel.name, one), []).append(channel)
    return list(groups.values())


def reason_of(error: wire.Error | str) -> str:
    """Write an error."""
    return error if isinstance(error, str) else f"{error.code} {error.message}".strip()


def asked_in(text: str) -> Iterable[str]:
    """Return the instruments of a recorded subscription."""
    try:
        found = wire.request.decode(text.encode())
    except msgspec.MsgspecError:
        return []
    if found.event != "subscribe":
        return []
    names = [word.removeprefix("ob.").partition(".")[0] for word in found.payload]
    return [name for name in names if NATIVES.fullmatch(name)]


def from_symbol(symbol: str, markets: Sequence[str]) -> Listed | None:
    """Make an instrument of its house symbol, in the first of the markets that it fits."""
    base, _, rest = symbol.partition("-")
    quote, _, kind = rest.partition("-")
    contracts = [market for market in markets if market != SPOT]
    if not kind:
        return named(f"{base}_{quote}", contracts[0] if contracts and SPOT not in markets else SPOT)
    market = contracts[0] if contracts else ("btc" if quote == "USD" else "usdt")
    return named(f"{base}_{quote}" if kind == "PERP" else f"{base}_{quote}_{kind}", market)
