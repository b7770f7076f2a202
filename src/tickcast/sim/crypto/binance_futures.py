"""BINANCE_FUTURES: USD-margined perpetuals and quarterly futures.

Sources, as of 2026: developers.binance.com/docs/derivatives/usds-margined-futures, pages "Diff. Book Depth Streams",
"Individual Symbol Book Ticker Streams", "Mark Price Stream", "Liquidation Order Streams", "Aggregate Trade Streams",
"Important WebSocket Change Notice" (books and quotes at ``/public``, the rest at ``/market``), "How to manage a local
order book correctly" (``pu`` is the ``u`` of the event before).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

from tickcast.sim.crypto.listing import Product, Spot, expiries, price_tick, size_lot
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Stream, Topic, Trade
from tickcast.sim.crypto.stream_names import StreamNames, text8
from tickcast.sim.crypto.voice import Books, House, Reaction, RestRequest, json, ladder

_SPEEDS: Final = {"": 250, "100ms": 100, "250ms": 250, "500ms": 500}
_PUBLIC: Final = ("bookTicker", "depth")
_KINDS: Final[Mapping[str, Topic]] = {
    "aggTrade": Topic("trade"),
    "trade": Topic("trade"),
    "bookTicker": Topic("quote"),
    "ticker": Topic("ticker", interval_ms=1000),
    "markPrice": Topic("mark", interval_ms=3000, always=True),
    "markPrice@1s": Topic("mark", interval_ms=1000, always=True),
    "forceOrder": Topic("liquidation"),
}


class BinanceFuturesVoice(StreamNames):
    """Depth differences with ``U``, ``u`` and ``pu``; the beginning of a book comes over REST."""

    code: ClassVar[str] = "BINANCE_FUTURES"
    paths: ClassVar[Mapping[str, str]] = {
        "public/stream": "/public/stream",
        "public/ws": "/public/ws",
        "market/stream": "/market/stream",
        "market/ws": "/market/ws",
    }
    rest_prefix: ClassVar[str] = "/fapi/v1/"
    weight_limit: ClassVar[int] = 2400
    house: ClassVar[House] = House(messages_per_s=10, topics_max=1024, weight=weight_limit, pings=True)
    depth_weights: ClassVar[Sequence[tuple[int, int]]] = ((50, 2), (100, 5), (500, 10), (1000, 20))
    depth_max: ClassVar[int] = 1000

    @classmethod
    def products(cls, spots: Sequence[Spot], start_ns: int) -> list[Product]:
        """List a perpetual of every pair, and two quarterly futures of the first two."""
        found = [_product(spot, native=f"{spot.base}USDT", symbol=f"{spot.base}-USDT-PERP") for spot in spots]
        for spot in spots[:2]:
            for expiry_ns in expiries(start_ns, 60, 150):
                one = _product(spot, native="", symbol="", expiry_ns=expiry_ns)
                day = one.expiry.strftime("%Y%m%d")
                names = {"native": f"{spot.base}USDT_{day[2:]}", "symbol": f"{spot.base}-USDT-{day}"}
                found.append(_product(spot, **names, expiry_ns=expiry_ns))
        return found

    # ------------------------------------------------------------------ topics

    def channel_topic(self, instrument: Instrument, channel: str, name: str) -> Topic | None:
        """Return the topic of an instrument's channel."""
        native = instrument.native
        if (known := _KINDS.get(channel)) is not None:
            return Topic(
                known.kind, native, channel=channel, key=name, interval_ms=known.interval_ms, always=known.always
            )
        return self.depth_topic(native, channel, name, _SPEEDS)

    def market_topic(self, name: str) -> Topic | None:
        """Return the topic of a stream of all instruments."""
        return Topic("liquidation", channel="forceOrder", key=name) if name == "!forceOrder@arr" else None

    def receive(self, client: Client, frame: bytes, now_ns: int) -> Reaction:
        """Carry out one request; streams of the other address are taken, and never told."""
        reaction = super().receive(client, frame, now_ns)
        reaction.subscribe = [self._served(client, topic) for topic in reaction.subscribe]
        return reaction

    def greet(self, client: Client) -> Reaction:
        """Take the streams that the address names."""
        reaction = super().greet(client)
        reaction.subscribe = [self._served(client, topic) for topic in reaction.subscribe]
        return reaction

    @staticmethod
    def _served(client: Client, topic: Topic) -> Topic:
        public = topic.channel.startswith(_PUBLIC)
        return topic if public == client.endpoint.startswith("public") else Topic("other", key=topic.key)

    # ------------------------------------------------------------------ news

    def begin(self, stream: Stream, book: BookNews | None, now_ns: int) -> Iterable[bytes]:
        """Say nothing: every stream begins with its next event."""
        del stream, book, now_ns
        return ()

    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        """Write ``depthUpdate``."""
        instrument = stream.instrument
        assert instrument is not None  # noqa: S101  topics of books name one
        yield (
            f'{{"e":"depthUpdate","E":{now_ns // 1_000_000},"T":{instrument.update_ns // 1_000_000},'
            f'"s":"{instrument.native}","U":{news.first},"u":{news.last},"pu":{news.previous},'
            f'"b":[{ladder(instrument, news.bids)}],"a":[{ladder(instrument, news.asks)}]}}'
        ).encode()

    def trades(self, stream: Stream, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> Iterable[bytes]:
        """Write an event for each trade, or for each liquidation."""
        for trade in trades:
            yield _trade(stream.topic.channel, instrument, trade, now_ns // 1_000_000).encode()

    def values(self, stream: Stream, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
        """Write best bid and offer, the day's figures, or mark price with index and funding."""
        now_ms = now_ns // 1_000_000
        match stream.topic.kind:
            case "quote":
                bid, bid_size, ask, ask_size = instrument.best
                price, size = instrument.price, instrument.size
                yield (
                    f'{{"e":"bookTicker","u":{instrument.book_id},"s":"{instrument.native}","b":"{price(bid)}",'
                    f'"B":"{size(bid_size)}","a":"{price(ask)}","A":"{size(ask_size)}",'
                    f'"T":{instrument.update_ns // 1_000_000},"E":{now_ms}}}'
                ).encode()
            case "ticker":
                if instrument.stats.count:
                    yield _ticker(instrument, now_ms).encode()
            case "mark":
                yield (
                    f'{{"e":"markPriceUpdate","E":{now_ms},"s":"{instrument.native}",'
                    f'"p":"{instrument.price(instrument.mark)}","i":"{text8(instrument.index_price)}",'
                    f'"P":"{instrument.price(instrument.mark)}",{_funding(instrument)}}}'
                ).encode()
            case _:
                return

    # ------------------------------------------------------------------ REST

    answers: ClassVar[Mapping[str, str]] = {
        "ping": "answer_ping",
        "time": "answer_time",
        "exchangeInfo": "answer_instruments",
        "depth": "answer_depth",
        "openInterest": "answer_open_interest",
        "aggTrades": "answer_aggregates",
    }
    weights: ClassVar[Mapping[str, int]] = {"exchangeInfo": 1, "aggTrades": 20}

    def entry(self, instrument: Instrument) -> dict[str, object]:
        """Write an entry of ``exchangeInfo``."""
        product = instrument.product
        perpetual = product.kind == "perpetual"
        return {
            "symbol": product.native,
            "pair": product.base + product.quote,
            "contractType": "PERPETUAL" if perpetual else "CURRENT_QUARTER",
            "deliveryDate": 4_133_404_800_000 if perpetual else product.expiry_ns // 1_000_000,
            "onboardDate": 1_569_398_400_000,
            "status": "SETTLING" if instrument.halted else "TRADING",
            "baseAsset": product.base,
            "quoteAsset": product.quote,
            "marginAsset": product.settle,
            "pricePrecision": 2,
            "quantityPrecision": 3,
            "underlyingType": "COIN",
        }

    def answer_depth(self, request: RestRequest, books: Books) -> bytes:
        """Answer ``depth``."""
        instrument = self.named(request)
        book = books.snapshot(instrument, self.limit(request, default=500, most=self.depth_max))
        return (
            f'{{"lastUpdateId":{book.last},"E":{request.now_ns // 1_000_000},"T":{instrument.update_ns // 1_000_000},'
            f'"bids":[{ladder(instrument, book.bids)}],"asks":[{ladder(instrument, book.asks)}]}}'
        ).encode()

    def answer_aggregates(self, request: RestRequest, books: Books) -> bytes:
        """Answer ``aggTrades``: the newest, or those from an id on."""
        del books
        instrument, chosen = self.trades_from(request)
        return f"[{','.join(_aggregate(instrument, one) for one in chosen)}]".encode()

    def answer_open_interest(self, request: RestRequest, books: Books) -> bytes:
        """Answer ``openInterest``."""
        del books
        one = self.named(request)
        amount, now_ms = one.size(one.open_interest), request.now_ns // 1_000_000
        return json({"openInterest": amount, "symbol": one.native, "time": now_ms})


def _product(spot: Spot, *, native: str, symbol: str, expiry_ns: int = 0) -> Product:
    return Product(
        native=native,
        symbol=symbol,
        kind="future" if expiry_ns else "perpetual",
        base=spot.base,
        quote="USDT",
        settle="USDT",
        source=spot.source,
        tick=price_tick(spot.price, digits=6),
        lot=size_lot(spot.price),
        price=spot.price,
        typical=3000.0 / spot.price,
        expiry_ns=expiry_ns,
    )


def _trade(channel: str, instrument: Instrument, trade: Trade, now_ms: int) -> str:
    price, size, trade_ms = instrument.price(trade.price), instrument.size(trade.size), trade.ts_ns // 1_000_000
    if channel == "forceOrder":
        return (
            f'{{"e":"forceOrder","E":{now_ms},"o":{{"s":"{instrument.native}","S":"{"BUY" if trade.buy else "SELL"}",'
            f'"o":"LIMIT","f":"IOC","q":"{size}","p":"{price}","ap":"{price}","X":"FILLED","l":"{size}","z":"{size}",'
            f'"T":{trade_ms}}}}}'
        )
    maker = "false" if trade.buy else "true"
    if channel == "trade":
        return (
            f'{{"e":"trade","E":{now_ms},"T":{trade_ms},"s":"{instrument.native}","t":{trade.id},"p":"{price}",'
            f'"q":"{size}","X":"MARKET","m":{maker}}}'
        )
    return (
        f'{{"e":"aggTrade","E":{now_ms},"a":{trade.id},"s":"{instrument.native}","p":"{price}","q":"{size}",'
        f'"nq":"{size}","f":{trade.id},"l":{trade.id},"T":{trade_ms},"m":{maker}}}'
    )


def _aggregate(instrument: Instrument, trade: Trade) -> str:
    price, size = instrument.price(trade.price), instrument.size(trade.size)
    return (
        f'{{"a":{trade.id},"p":"{price}","q":"{size}","nq":"{size}","f":{trade.id},"l":{trade.id},'
        f'"T":{trade.ts_ns // 1_000_000},"m":{"false" if trade.buy else "true"}}}'
    )


def _funding(instrument: Instrument) -> str:
    if instrument.product.kind != "perpetual":
        return '"r":"","T":0'
    return f'"r":"{text8(instrument.funding)}","T":{instrument.funding_next_ns // 1_000_000}'


def _ticker(instrument: Instrument, now_ms: int) -> str:
    stats, price, size, product = instrument.stats, instrument.price, instrument.size, instrument.product
    change = stats.last - stats.open
    percent = 100 * change / stats.open if stats.open else 0.0
    average = round(stats.turnover / stats.volume) if stats.volume else 0
    turnover = stats.turnover * product.tick * product.lot / 1e16
    return (
        f'{{"e":"24hrTicker","E":{now_ms},"s":"{instrument.native}","p":"{price(change)}","P":"{percent:.3f}",'
        f'"w":"{price(average)}","c":"{price(stats.last)}","Q":"{size(stats.last_size)}","o":"{price(stats.open)}",'
        f'"h":"{price(stats.high)}","l":"{price(stats.low)}","v":"{size(stats.volume)}","q":"{turnover:.2f}",'
        f'"O":{now_ms - 86_400_000},"C":{now_ms},"F":{stats.first_id},"L":{instrument.trade_id},"n":{stats.count}}}'
    )
