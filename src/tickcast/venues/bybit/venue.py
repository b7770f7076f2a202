"""Bybit v5: lists, subscriptions and cold messages."""

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from tickcast.venues.base import Request
from tickcast.venues.bybit import wire
from tickcast.venues.bybit.dialect import DIALECT
from tickcast.venues.bybit.names import MARKETS, from_symbol, listed_from, named
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
    Quota,
    Refused,
    TradeHistory,
    Unknown,
    Venue,
)

INSTRUMENTS: Final = "/v5/market/instruments-info"
THROTTLED_S: Final = 600.0
"""How long an address is refused (403) that asked too often."""
OPTION_COINS: Final = ("BTC", "ETH", "SOL", "XRP", "MNT", "DOGE")
"""Options are listed by coin, and no list says of which."""
DEPTHS: Final = (50, 200, 1000)
OPTION_DEPTHS: Final = (25, 100)
TICKER_STREAMS: Final = frozenset({"ticker", "mark", "funding", "open_interest", "greeks"})
"""All of these ride on the ``tickers`` channel."""
SPOT_STREAMS: Final = frozenset({"ticker"})
TOPIC: Final = re.compile(r"\b((?:orderbook\.\d+|publicTrade|tickers|allLiquidation|kline\.\w+)\.[A-Za-z0-9-]+)")


class BybitVenue(Venue):
    """Bybit v5, public topics of four markets."""

    code: ClassVar[str] = "BYBIT"
    title: ClassVar[str] = "Bybit v5"
    dialect: Dialect = DIALECT
    limits: ClassVar[Limits] = Limits(
        channels_per_link=400,
        channels_per_message=10,
        connects=Quota(amount=500, per_s=300.0),
        weight=Quota(amount=600, per_s=5.0),
    )
    url: ClassVar[str] = "wss://stream.bybit.com"
    rest_url: ClassVar[str] = "https://api.bybit.com"
    endpoints: ClassVar[Mapping[str, str]] = {market: f"/v5/public/{market}" for market in MARKETS}
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
        "greeks",
    )
    ping_interval_s: ClassVar[float] = 20.0
    clock: ClassVar[ClockReading | None] = ClockReading(path="result.timeNano", unit="ns")
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(
        order="place", backwards=True, pages_max=1, reach="the newest 1,000, of spot the newest 60"
    )
    proof: ClassVar[str] = "u of each book message is the one before + 1, for each instrument; u = 1 begins a new book"

    def trades_request(self, listed: Listed, after: Print, before: Print | None) -> Request | None:
        """Ask for the newest trades: the venue tells no others."""
        del after, before
        most = 60 if listed.market == "spot" else 1000
        path = f"/v5/market/recent-trade?category={listed.market}&symbol={listed.native}&limit={most}"
        return self._request(path, purpose="trades")

    def listing(self) -> Sequence[Request]:
        """Ask for each market's list; options by coin."""
        found = []
        for market in MARKETS:
            if self.config.markets and market not in self.config.markets:
                continue
            coins = [f"&baseCoin={coin}" for coin in OPTION_COINS] if market == "option" else [""]
            found += [self._request(f"{INSTRUMENTS}?category={market}{coin}&limit=1000") for coin in coins]
        return found

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read a page of a list."""
        market = _query(request.url, "category")
        answer = wire.listing.decode(body)
        if answer.ret_code != 0:
            raise ValueError(f"expected a list of instruments, found error {answer.ret_code}: {answer.ret_msg}")
        return [found for each in answer.result.entries if (found := listed_from(each, market)) is not None]

    def next_page(self, request: Request, body: bytes) -> Request | None:
        """Ask for the page that the answer's cursor names; the cursor is written for a query already."""
        cursor = wire.listing.decode(body).result.next_page_cursor
        if not cursor:
            return None
        path = urlsplit(request.url)
        query = re.sub(r"&cursor=[^&]*", "", path.query)
        return self._request(f"{path.path}?{query}&cursor={cursor}")

    def channels(self, listed: Listed) -> Sequence[Channel]:
        """Say which topics an instrument has."""
        wanted, market = set(self.config.streams), listed.market
        names = []
        if "trade" in wanted and market != "option":
            names.append("publicTrade")
        if "quote" in wanted and self.quoted(listed):
            names.append("orderbook.1")
        if wanted & (SPOT_STREAMS if market == "spot" else TICKER_STREAMS):
            names.append("tickers")
        if "liquidation" in wanted and market in {"linear", "inverse"}:
            names.append("allLiquidation")
        found = [Channel(name, listed.native, market, endpoint=market) for name in names]
        if "book" in wanted or ("quote" in wanted and not self.quoted(listed)):
            depths = OPTION_DEPTHS if market == "option" else DEPTHS
            depth = next((depth for depth in depths if depth >= self.config.depth), depths[-1])
            found.append(Channel(f"orderbook.{depth}", listed.native, market, endpoint=market, book=True))
        return found

    def quoted(self, listed: Listed) -> bool:
        """Options have no books of one level: theirs of 25 give the best bid and offer."""
        return "quote" in self.config.streams and listed.market != "option"

    def market_channels(self, listed: Sequence[Listed]) -> Sequence[Channel]:
        """Subscribe to the trades of options, which come by coin."""
        if "trade" not in self.config.streams:
            return []
        coins = dict.fromkeys(each.native.split("-")[0] for each in listed if each.market == "option")
        return [Channel(f"publicTrade.{coin}", market="option", endpoint="option") for coin in coins]

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write a frame for each: an answer does not say which of several topics is refused."""
        return [_operation("subscribe", channel) for channel in channels]

    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write a frame for each."""
        return [_operation("unsubscribe", channel) for channel in channels]

    def ping(self) -> bytes | None:
        """Write the ping that every endpoint takes."""
        return b'{"op":"ping"}'

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Read an answer to what we sent."""
        found = wire.answer.decode(frame)
        if found.type == "COMMAND_RESP":
            return _option_answer(found, market)
        if not found.op:
            return [Unknown(f"topic {found.topic[:60]} which was not asked for", found.topic.rpartition(".")[0])]
        if found.op not in {"subscribe", "unsubscribe"}:
            return [Alive() if found.success else Refused(found.ret_msg)]
        named = TOPIC.search(found.req_id) or TOPIC.search(found.ret_msg)
        if not found.success:
            return [Refused(found.ret_msg, None if named is None else channel_of(named[1], market))]
        if found.req_id:
            done = found.op == "subscribe" and named is not None
            return [Acknowledged([channel_of(found.req_id, market)]) if done else Alive()]
        return [Acknowledged()]

    def probe_request(self) -> Request | None:
        """Ask for the venue's time."""
        return self._request("/v5/market/time", purpose="probe")

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Read the instruments from the topics that a recorder subscribed to, in the markets that it connected to."""
        markets = [market for market in MARKETS if any(urlsplit(each).path.endswith(market) for each in addresses)]
        if not sent:
            return [found for symbol in instruments if (found := from_symbol(symbol)) is not None]
        names = dict.fromkeys(topic.rpartition(".")[2] for frame in sent for topic in _topics(frame))
        every = [found for market in markets for name in names if (found := named(name, market)) is not None]
        chosen = [each for each in every if each.symbol in instruments]
        return chosen or every

    def _request(self, path: str, *, purpose: str = "") -> Request:
        return Request(
            purpose=purpose or f"instruments {urlsplit(path).query}",
            url=(self.config.rest_url or self.rest_url).rstrip("/") + path,
            throttled_status=403,
            throttled_s=THROTTLED_S,
        )


def _option_answer(found: wire.Answer, market: str) -> Sequence[Happening]:
    """Read what became of each topic: only options' answers say it."""
    topics = wire.topics.decode(found.data) if found.data else wire.Topics()
    happenings: list[Happening] = [
        Refused(f"topic refused: {topic}", channel_of(topic, market)) for topic in topics.fail_topics
    ]
    if topics.success_topics:
        happenings.append(Acknowledged([channel_of(topic, market) for topic in topics.success_topics]))
    return happenings or [Alive()]


class Operation(msgspec.Struct, frozen=True, gc=False):
    """What a client sends."""

    op: str
    args: list[str] = []


def channel_of(topic: str, market: str) -> Channel:
    """Return the channel that a topic stands for."""
    name, _, native = topic.rpartition(".")
    if market == "option" and name == "publicTrade":
        return Channel(topic, market=market, endpoint=market)
    book = name.startswith("orderbook.") and name != "orderbook.1"
    return Channel(name, native, market, endpoint=market, book=book)


def _operation(word: str, channel: Channel) -> bytes:
    """Write a frame whose answer names the topic again, in ``req_id``."""
    topic = f"{channel.name}.{channel.native}" if channel.native else channel.name
    return msgspec.json.encode({"req_id": topic, "op": word, "args": [topic]})


def _topics(frame: str) -> list[str]:
    try:
        found = msgspec.json.decode(frame, type=Operation)
    except msgspec.MsgspecError:
        return []
    return found.args if found.op == "subscribe" else []


def _query(url: str, name: str) -> str:
    return parse_qs(urlsplit(url).query).get(name, [""])[0]
