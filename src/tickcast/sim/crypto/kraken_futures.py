"""KRAKEN_FUTURES: WebSocket v1, inverse and linear perpetuals and dated futures.

Sources, as of 2026: docs.kraken.com, Futures WebSocket "book", "trade", "ticker", "ticker_lite", "heartbeat", guides
"Futures WebSockets" (something is to be heard of a client every minute) and "Derivatives Rate Limits" (100 requests a
second on a connection); REST "Get instruments", "Get ticker by symbol", "Get trade history" (the last 100 before a
time); a session recorded on 2021-07-22.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import ClassVar, Final

import msgspec

from tickcast.sim.crypto.listing import Product, Spot, expiries, price_tick, size_lot
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Stream, Topic, Trade
from tickcast.sim.crypto.times import iso
from tickcast.sim.crypto.voice import Books, House, Reaction, RestAnswer, RestRequest, Voice, json
from tickcast.sim.universe import UNIT, decimal_text, tick_digits

HISTORY: Final = 100
"""Trades that a subscription begins with."""
OLDER: Final = {"BTC": "XBT", "DOGE": "XDG"}
INVERSE: Final = 2
"""Pairs that have inverse contracts too; the first has dated ones."""
FEEDS: Final[Mapping[str, Topic]] = {
    "book": Topic("book"),
    "trade": Topic("trade"),
    "ticker": Topic("ticker", interval_ms=1000, always=True),
    "ticker_lite": Topic("ticker", interval_ms=1000),
}
HEARTBEAT: Final = Topic("heartbeat", channel="heartbeat")
TAGS: Final = {"future": "month", "perpetual": "perpetual"}


class _Request(msgspec.Struct):
    event: str
    feed: str = ""
    product_ids: list[str] = []


class KrakenFuturesVoice(Voice):
    """A message for each level of a book, numbered by ``seq``; an answer for each product."""

    code: ClassVar[str] = "KRAKEN_FUTURES"
    paths: ClassVar[Mapping[str, str]] = {"": "/ws/v1"}
    rest_prefix: ClassVar[str] = "/derivatives/api/v3/"
    house: ClassVar[House] = House(
        messages_per_s=100, topics_max=10_000, weight=500, weight_per_s=10.0, heartbeat_s=1.0, silence_max_s=60.0
    )
    restart: ClassVar = "cut"

    @classmethod
    def products(cls, spots: Sequence[Spot], start_ns: int) -> list[Product]:
        """List a linear perpetual of every pair, inverse ones of the first, and futures of the very first."""
        found = [_product(spot, linear=True) for spot in spots]
        found += [_product(spot, linear=False) for spot in spots[:INVERSE]]
        found += [
            _product(spot, linear=linear, expiry_ns=expiry_ns)
            for spot in spots[:1]
            for linear in (False, True)
            for expiry_ns in expiries(start_ns, 20, 80)
        ]
        return found

    # ------------------------------------------------------------------ a connection

    def greet(self, client: Client) -> Reaction:
        """Tell the version."""
        del client
        return Reaction([b'{"event":"info","version":1}'])

    def heartbeat(self, client: Client, now_ns: int) -> Reaction:
        """Tell a heartbeat to whoever asked for it."""
        if HEARTBEAT not in client.topics:
            return Reaction()
        return Reaction([f'{{"feed":"heartbeat","time":{now_ns // 1_000_000}}}'.encode()])

    def receive(self, client: Client, frame: bytes, now_ns: int) -> Reaction:
        """Carry out one request; one product that is not there refuses all of it, without its name."""
        del now_ns
        try:
            request = msgspec.json.decode(frame, type=_Request)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return _error("Json Error")
        if request.event not in {"subscribe", "unsubscribe"}:
            return _error("Json Error")
        if request.feed == "heartbeat":
            return self._heartbeats(client, request.event)
        topics = self._topics(request)
        return _error(topics) if isinstance(topics, str) else _answers(client, request, topics)

    def _topics(self, request: _Request) -> list[Topic] | str:
        """Return the topics of a request, or what is wrong with it."""
        feed, natives = FEEDS.get(request.feed), request.product_ids
        if feed is None:
            return "Invalid feed"
        if not natives or any(("", native) not in self.by_native for native in natives):
            return "Invalid product id"
        topics = [replace(feed, native=native, channel=request.feed) for native in natives]
        is_refused = request.event == "subscribe" and not all(map(self.takes, topics))
        return "Invalid product id" if is_refused else topics

    @staticmethod
    def _heartbeats(client: Client, event: str) -> Reaction:
        answer = json({"event": f"{event}d", "feed": "heartbeat"})
        if event == "unsubscribe":
            return Reaction([answer], unsubscribe=[HEARTBEAT])
        return Reaction([answer], subscribe=[] if HEARTBEAT in client.topics else [HEARTBEAT])

    # ------------------------------------------------------------------ news

    def begin(self, stream: Stream, book: BookNews | None, now_ns: int) -> Iterable[bytes]:
        """Tell the whole book, the last trades, or the ticker of now."""
        instrument = stream.instrument
        if instrument is None:
            return
        if book is not None:
            yield _whole(instrument, book, now_ns)
        elif stream.topic.kind == "trade":
            trades = reversed(list(instrument.trades)[-HISTORY:])
            rows = ",".join([_trade(instrument, trade) for trade in trades])
            yield f'{{"feed":"trade_snapshot","product_id":"{instrument.native}","trades":[{rows}]}}'.encode()
        else:
            yield from self.values(stream, instrument, now_ns)

    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        """Write a message for each level; those that are gone first, so that sides never cross on the way."""
        instrument = stream.instrument
        assert instrument is not None  # noqa: S101  topics of books name one
        if news.snapshot:
            yield _whole(instrument, news, now_ns)
            return
        sides = (("buy", news.bids), ("sell", news.asks))
        changes = [(word, price, size) for word, side in sides for price, size in side]
        changes.sort(key=lambda change: change[2] > 0)
        stream.count = news.count + len(changes) - 1
        at_ms = (instrument.update_ns or now_ns) // 1_000_000
        for seq, (word, price, size) in enumerate(changes, news.count):
            yield (
                f'{{"feed":"book","product_id":"{instrument.native}","side":"{word}","seq":{seq},'
                f'"price":{instrument.price(price)},"qty":{instrument.size(size)},"timestamp":{at_ms}}}'
            ).encode()

    def trades(self, stream: Stream, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> Iterable[bytes]:
        """Write a message for each trade."""
        del stream, now_ns
        for trade in trades:
            yield _trade(instrument, trade).encode()

    def values(self, stream: Stream, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
        """Write a ticker."""
        if stream.topic.channel == "ticker_lite":
            bid, _, ask, _ = instrument.best
            yield (
                f'{{"feed":"ticker_lite","product_id":"{instrument.native}","bid":{instrument.price(bid)},'
                f'"ask":{instrument.price(ask)},"change":0.5,"premium":0.0,{_day(instrument)},{_kind(instrument)}}}'
            ).encode()
        elif stream.topic.channel == "ticker":
            yield _ticker(instrument, now_ns).encode()

    # ------------------------------------------------------------------ REST

    def rest(self, request: RestRequest, books: Books) -> RestAnswer:
        """Answer; what is wrong is said with a status of 200."""
        name = request.path.removeprefix(self.rest_prefix)
        if name == "instruments":
            return _answer(request, "instruments", [_entry(one) for one in self.instruments])
        word, _, native = name.partition("/")
        instrument = self.by_native.get(("", native or request.query.get("symbol", "").upper()))
        if word in {"tickers", "orderbook", "history"} and instrument is None:
            return RestAnswer(json({"result": "error", "error": "contractNotFound", "serverTime": _now(request)}))
        if word == "tickers" and instrument is not None:
            mark = msgspec.Raw(instrument.price(instrument.mark).encode())
            ticker = {"symbol": instrument.native, "markPrice": mark, "suspended": instrument.halted}
            return _answer(request, "ticker", ticker)
        if word == "history" and instrument is not None:
            before = request.query.get("lastTime") or iso(request.now_ns + 1_000_000, digits=3)
            kept = [one for one in instrument.trades if iso(one.ts_ns, digits=3) < before]
            return _answer(request, "history", [_executed(instrument, one) for one in kept[: -HISTORY - 1 : -1]])
        if word == "orderbook" and instrument is not None:
            book = books.snapshot(instrument, 0)
            sides = {
                side: [[msgspec.Raw(text(value).encode()) for text, value in zip(texts, level, strict=True)]
                       for level in levels]
                for side, levels in (("bids", book.bids), ("asks", book.asks))
                for texts in ((instrument.price, instrument.size),)
            }  # fmt: skip
            return _answer(request, "orderBook", sides)
        return RestAnswer(json({"result": "error", "error": "notFound", "serverTime": _now(request)}), status=404)

    def too_many(self) -> RestAnswer:
        """Write the answer to too many requests."""
        return RestAnswer(json({"result": "error", "error": "apiLimitExceeded"}), status=429)


def _answers(client: Client, request: _Request, topics: Sequence[Topic]) -> Reaction:
    """Answer for each product; what a client has already begins again."""
    reaction = Reaction()
    for topic in topics:
        if request.event == "unsubscribe":
            reaction.unsubscribe.append(topic)
        else:
            if topic in client.topics:
                message = "Already subscribed to feed, re-requesting"
                reaction.answers.append(json({"event": "alert", "message": message}))
            reaction.subscribe.append(topic)
        words = {"event": f"{request.event}d", "feed": request.feed, "product_ids": [topic.native]}
        reaction.answers.append(json(words))
    return reaction


# ------------------------------------------------------------------ rows


def _whole(instrument: Instrument, book: BookNews, now_ns: int) -> bytes:
    bids, asks = (
        ",".join([f'{{"price":{instrument.price(price)},"qty":{instrument.size(size)}}}' for price, size in side])
        for side in (book.bids, book.asks)
    )
    at_ms = (instrument.update_ns or now_ns) // 1_000_000
    return (
        f'{{"feed":"book_snapshot","product_id":"{instrument.native}","timestamp":{at_ms},"seq":{book.count},'
        f'"tickSize":null,"bids":[{bids}],"asks":[{asks}]}}'
    ).encode()


def _trade(instrument: Instrument, trade: Trade) -> str:
    word, kind = "buy" if trade.buy else "sell", "liquidation" if trade.liquidation else "fill"
    return (
        f'{{"feed":"trade","product_id":"{instrument.native}","uid":"{_uid(instrument, trade)}",'
        f'"side":"{word}","type":"{kind}","seq":{trade.id},"time":{trade.ts_ns // 1_000_000},'
        f'"qty":{instrument.size(trade.size)},"price":{instrument.price(trade.price)}}}'
    )


def _executed(instrument: Instrument, trade: Trade) -> dict[str, object]:
    """Write a trade as REST tells it."""
    return {
        "time": iso(trade.ts_ns, digits=3),
        "trade_id": trade.id,
        "price": msgspec.Raw(instrument.price(trade.price).encode()),
        "size": msgspec.Raw(instrument.size(trade.size).encode()),
        "side": "buy" if trade.buy else "sell",
        "type": "liquidation" if trade.liquidation else "fill",
        "uid": _uid(instrument, trade),
    }


def _uid(instrument: Instrument, trade: Trade) -> str:
    return f"{instrument.row:08x}-0000-4000-8000-{trade.id:012x}"


def _ticker(instrument: Instrument, now_ns: int) -> str:
    bid, bid_size, ask, ask_size = instrument.best
    price, size, stats = instrument.price, instrument.size, instrument.stats
    last = stats.last or bid
    return (
        f'{{"time":{now_ns // 1_000_000},"product_id":"{instrument.native}",{_funding(instrument)}"feed":"ticker",'
        f'"bid":{price(bid)},"ask":{price(ask)},"bid_size":{size(bid_size)},"ask_size":{size(ask_size)},'
        f'{_day(instrument)},{_kind(instrument)},"leverage":"50x","index":{instrument.index_price:.8f},"premium":0.0,'
        f'"last":{price(last)},"change":0.5,"suspended":{"true" if instrument.halted else "false"},"post_only":false,'
        f'"openInterest":{size(instrument.open_interest)},"markPrice":{price(instrument.mark)},'
        f'"open":{price(stats.open or last)},"high":{price(stats.high or last)},"low":{price(stats.low or last)}}}'
    )


def _day(instrument: Instrument) -> str:
    """The day's volume, and in dollars: of inverse contracts it is the same."""
    volume, product = instrument.size(instrument.stats.volume), instrument.product
    linear = instrument.stats.turnover * product.tick * product.lot / UNIT / UNIT
    return f'"volume":{volume},"volumeQuote":{f"{linear:.2f}" if product.settle == "USD" else volume}'


def _kind(instrument: Instrument) -> str:
    product = instrument.product
    pair = f"{OLDER.get(product.base, product.base)}:USD"
    return f'"tag":"{TAGS[product.kind]}","pair":"{pair}","dtm":0,"maturityTime":{product.expiry_ns // 1_000_000}'


def _funding(instrument: Instrument) -> str:
    """Write the rates of a perpetual; the venue leaves those of 0 away."""
    if instrument.product.kind != "perpetual":
        return ""
    rate = instrument.funding
    absolute = rate * (instrument.index_price if instrument.product.settle == "USD" else 1 / instrument.index_price)
    rates = {
        "funding_rate": absolute,
        "funding_rate_prediction": absolute,
        "relative_funding_rate": rate,
        "relative_funding_rate_prediction": rate,
    }
    told = "".join([f'"{name}":{value:.15f},' for name, value in rates.items() if value])
    return f'{told}"next_funding_rate_time":{instrument.funding_next_ns // 1_000_000},'


# ------------------------------------------------------------------ products


def _product(spot: Spot, *, linear: bool, expiry_ns: int = 0) -> Product:
    """Make a contract: of one coin where it is linear, of one dollar where it is inverse."""
    pair, end = f"{OLDER.get(spot.base, spot.base)}USD", "-LINEAR" if linear else ""
    letter = "F" if linear else "I"
    one = Product(
        native=f"P{letter}_{pair}",
        symbol=f"{spot.base}-USD-PERP{end}",
        kind="future" if expiry_ns else "perpetual",
        base=spot.base,
        quote="USD",
        settle="USD" if linear else spot.base,
        source=spot.source,
        tick=price_tick(spot.price, digits=6),
        lot=size_lot(spot.price) if linear else UNIT,
        price=spot.price,
        typical=3000.0 / spot.price if linear else 3000.0,
        expiry_ns=expiry_ns,
    )
    if not expiry_ns:
        return one
    day = one.expiry.strftime("%Y%m%d")
    return replace(one, native=f"F{letter}_{pair}_{day[2:]}", symbol=f"{spot.base}-USD-{day}{end}")


def _entry(instrument: Instrument) -> dict[str, object]:
    """Write an entry of the list."""
    product = instrument.product
    linear = product.settle == "USD"
    entry: dict[str, object] = {
        "symbol": product.native,
        "type": "flexible_futures" if linear else "futures_inverse",
        "tickSize": msgspec.Raw(decimal_text(product.tick, digits=tick_digits(product.tick)).encode()),
        "contractSize": 1,
        "tradeable": not instrument.halted,
        "impactMidSize": 1.0,
        "openingDate": "2022-03-22T13:18:45Z",
        "contractValueTradePrecision": -int(Decimal(product.lot).scaleb(-8).adjusted()),
        "postOnly": False,
        "mtf": True,
        "base": product.base,
        "quote": product.quote,
        "pair": f"{product.base}:{product.quote}",
    }
    if not linear:
        entry["underlying"] = f"rr_{OLDER.get(product.base, product.base).lower()}usd"
    if product.expiry_ns:
        entry["lastTradingTime"] = iso(product.expiry_ns, digits=3)
    return entry


def _now(request: RestRequest) -> str:
    return iso(request.now_ns, digits=3)


def _answer(request: RestRequest, name: str, value: object) -> RestAnswer:
    return RestAnswer(json({"result": "success", name: value, "serverTime": _now(request)}))


def _error(message: str) -> Reaction:
    return Reaction([json({"event": "error", "message": message})])
