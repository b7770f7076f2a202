"""BINANCE: spot.

Sources, as of 2026: github.com/binance/binance-spot-api-docs, web-socket-streams.md and rest-api.md: stream names and
payloads, "How to manage a local order book correctly", request weights of ``depth``, and the limit of five messages a
second. Numbers are strings with eight decimals, times are milliseconds.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

from tickcast.sim.crypto.listing import Product, Spot, price_tick, size_lot
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Stream, Texts, Topic, Trade
from tickcast.sim.crypto.stream_names import StreamNames
from tickcast.sim.crypto.voice import Books, House, RestRequest, ladder
from tickcast.sim.universe import UNIT

_SPEEDS: Final = {"": 1000, "1000ms": 1000, "100ms": 100}
_KINDS: Final[Mapping[str, Topic]] = {
    "trade": Topic("trade"),
    "aggTrade": Topic("trade"),
    "bookTicker": Topic("quote"),
    "ticker": Topic("ticker", interval_ms=1000),
}


class BinanceVoice(StreamNames):
    """Depth differences with ``U`` and ``u``; the beginning of a book comes over REST."""

    code: ClassVar[str] = "BINANCE"
    rest_prefix: ClassVar[str] = "/api/v3/"
    weight_limit: ClassVar[int] = 6000
    house: ClassVar[House] = House(messages_per_s=5, topics_max=1024, weight=weight_limit, pings=True)
    depth_weights: ClassVar[Sequence[tuple[int, int]]] = ((100, 5), (500, 25), (1000, 50), (5000, 250))
    depth_max: ClassVar[int] = 5000
    stocks: ClassVar[bool] = True

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        super().__init__(instruments)
        for one in instruments:
            one.price, one.size = Texts(one.product.tick, 8), Texts(one.product.lot, 8)

    @classmethod
    def products(cls, spots: Sequence[Spot], start_ns: int) -> list[Product]:
        """List every pair against USDT, and tokenised stocks against USD."""
        del start_ns
        return [_product(spot) for spot in spots]

    # ------------------------------------------------------------------ topics

    def farewell(self, client: Client, now_ns: int) -> Sequence[bytes]:
        """Announce a shutdown."""
        del client
        return [f'{{"e":"serverShutdown","E":{now_ns // 1_000_000}}}'.encode()]

    def channel_topic(self, instrument: Instrument, channel: str, name: str) -> Topic | None:
        """Return the topic of an instrument's channel."""
        if (known := _KINDS.get(channel)) is not None:
            return Topic(known.kind, instrument.native, channel=channel, key=name, interval_ms=known.interval_ms)
        return self.depth_topic(instrument.native, channel, name, _SPEEDS)

    # ------------------------------------------------------------------ news

    def begin(self, stream: Stream, book: BookNews | None, now_ns: int) -> Iterable[bytes]:
        """Say nothing: every stream begins with its next event."""
        del stream, book, now_ns
        return ()

    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        """Write ``depthUpdate``, or of a partial stream the levels."""
        instrument = stream.instrument
        assert instrument is not None  # noqa: S101  topics of books name one
        bids, asks = ladder(instrument, news.bids), ladder(instrument, news.asks)
        if stream.topic.whole:
            yield f'{{"lastUpdateId":{news.last},"bids":[{bids}],"asks":[{asks}]}}'.encode()
            return
        yield (
            f'{{"e":"depthUpdate","E":{now_ns // 1_000_000},"s":"{instrument.native}","U":{news.first},'
            f'"u":{news.last},"b":[{bids}],"a":[{asks}]}}'
        ).encode()

    def trades(self, stream: Stream, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> Iterable[bytes]:
        """Write an event for each trade; every trade is an aggregate of its own."""
        now_ms = now_ns // 1_000_000
        for trade in trades:
            if stream.topic.channel == "trade":
                price, size = instrument.price(trade.price), instrument.size(trade.size)
                yield (
                    f'{{"e":"trade","E":{now_ms},"s":"{instrument.native}","t":{trade.id},"p":"{price}",'
                    f'"q":"{size}","T":{trade.ts_ns // 1_000_000},"m":{"false" if trade.buy else "true"},"M":true}}'
                ).encode()
            else:
                fields = _aggregate(instrument, trade)
                yield f'{{"e":"aggTrade","E":{now_ms},"s":"{instrument.native}",{fields}}}'.encode()

    def values(self, stream: Stream, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
        """Write best bid and offer, or the day's figures."""
        if stream.topic.kind == "quote":
            yield f'{{"u":{instrument.book_id},"s":"{instrument.native}",{_best(instrument)}}}'.encode()
        elif stream.topic.kind == "ticker" and instrument.stats.count:
            yield _ticker(instrument, now_ns // 1_000_000).encode()

    # ------------------------------------------------------------------ REST

    answers: ClassVar[Mapping[str, str]] = {
        "ping": "answer_ping",
        "time": "answer_time",
        "exchangeInfo": "answer_instruments",
        "depth": "answer_depth",
        "aggTrades": "answer_aggregates",
        "historicalTrades": "answer_older",
    }

    def entry(self, instrument: Instrument) -> dict[str, object]:
        """Write an entry of ``exchangeInfo``."""
        product = instrument.product
        return {
            "symbol": product.native,
            "status": "HALT" if instrument.halted else "TRADING",
            "baseAsset": product.base,
            "baseAssetPrecision": 8,
            "quoteAsset": product.quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "permissions": ["SPOT"],
        }

    def answer_depth(self, request: RestRequest, books: Books) -> bytes:
        """Answer ``depth``."""
        instrument = self.named(request)
        book = books.snapshot(instrument, self.limit(request, default=100, most=self.depth_max))
        bids, asks = ladder(instrument, book.bids), ladder(instrument, book.asks)
        return f'{{"lastUpdateId":{book.last},"bids":[{bids}],"asks":[{asks}]}}'.encode()

    def answer_aggregates(self, request: RestRequest, books: Books) -> bytes:
        """Answer ``aggTrades``: the newest, or those from an id on."""
        del books
        instrument, chosen = self.trades_from(request)
        return f"[{','.join(f'{{{_aggregate(instrument, one)}}}' for one in chosen)}]".encode()

    def answer_older(self, request: RestRequest, books: Books) -> bytes:
        """Answer ``historicalTrades``, likewise."""
        del books
        instrument, chosen = self.trades_from(request)
        return f"[{','.join(_older(instrument, one) for one in chosen)}]".encode()


def _product(spot: Spot) -> Product:
    quote = "USD" if spot.stock else "USDT"
    return Product(
        native=spot.base + quote,
        symbol=spot.base if spot.stock else f"{spot.base}-{quote}",
        kind="spot",
        base=spot.base,
        quote=quote,
        source=spot.source,
        tick=UNIT // 100 if spot.stock else price_tick(spot.price),
        lot=UNIT if spot.stock else size_lot(spot.price),
        price=spot.price,
        typical=100.0 if spot.stock else 1500.0 / spot.price,
        stock=spot.stock,
    )


def _aggregate(instrument: Instrument, trade: Trade) -> str:
    return (
        f'"a":{trade.id},"p":"{instrument.price(trade.price)}","q":"{instrument.size(trade.size)}","f":{trade.id},'
        f'"l":{trade.id},"T":{trade.ts_ns // 1_000_000},"m":{"false" if trade.buy else "true"},"M":true'
    )


def _older(instrument: Instrument, trade: Trade) -> str:
    price, size = instrument.price(trade.price), instrument.size(trade.size)
    return (
        f'{{"id":{trade.id},"price":"{price}","qty":"{size}","quoteQty":"0.00000000",'
        f'"time":{trade.ts_ns // 1_000_000},"isBuyerMaker":{"false" if trade.buy else "true"},"isBestMatch":true}}'
    )


def _best(instrument: Instrument) -> str:
    bid, bid_size, ask, ask_size = instrument.best
    price, size = instrument.price, instrument.size
    return f'"b":"{price(bid)}","B":"{size(bid_size)}","a":"{price(ask)}","A":"{size(ask_size)}"'


def _ticker(instrument: Instrument, now_ms: int) -> str:
    stats, price, size, product = instrument.stats, instrument.price, instrument.size, instrument.product
    change = stats.last - stats.open
    percent = 100 * change / stats.open if stats.open else 0.0
    average = round(stats.turnover / stats.volume) if stats.volume else 0
    turnover = stats.turnover * product.tick * product.lot / 1e16
    return (
        f'{{"e":"24hrTicker","E":{now_ms},"s":"{instrument.native}","p":"{price(change)}","P":"{percent:.3f}",'
        f'"w":"{price(average)}","x":"{price(stats.open)}","c":"{price(stats.last)}","Q":"{size(stats.last_size)}",'
        f'{_best(instrument)},"o":"{price(stats.open)}","h":"{price(stats.high)}","l":"{price(stats.low)}",'
        f'"v":"{size(stats.volume)}","q":"{turnover:.8f}","O":{now_ms - 86_400_000},"C":{now_ms},'
        f'"F":{stats.first_id},"L":{instrument.trade_id},"n":{stats.count}}}'
    )
