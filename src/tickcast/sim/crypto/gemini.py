"""GEMINI: spot pairs and perpetuals, at the feed of 2026; their mark prices at the one before (market data v2).

Sources, as of 2026: developer.gemini.com, "Introduction", "Stream Reference" and "Message Format" of the WebSocket API
0.10.7, "Market Data v2" (archived), "Mark Price Feed", REST "Symbols", "Symbol Details", "Current Order Book", "Rate
Limits"; what others measured at the feed in September 2026: a subscription begins with the whole book, ahead of its
answer and with ``U`` equal to ``u``; the first differences behind it may be in it already; who asks again for what it
has gets an answer and nothing else.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final

import msgspec

from tickcast.sim.crypto.listing import Product, Spot, price_tick, size_lot
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Stream, Topic, Trade
from tickcast.sim.crypto.voice import Books, House, Reaction, RestAnswer, RestRequest, Voice, json, ladder
from tickcast.sim.universe import decimal_text, tick_digits

EXECUTED_MAX: Final = 500
"""Trades of an answer over REST."""
PERPETUALS: Final = 3
MARKS: Final = "marks"
"""Address of the older feed."""
COVERED: Final = (9, 4)
"""How far behind the beginning of a book a difference begins and ends that is in it already."""
CANDLES: Final = "candles_"
BOOK_MAX: Final = 50
"""Levels a side over REST where the request does not say how many."""
_STREAMS: Final[Mapping[str, Topic]] = {
    "depth": Topic("book", interval_ms=1000),
    "depth@100ms": Topic("book", interval_ms=100),
    "trade": Topic("trade"),
    "bookTicker": Topic("quote"),
}


class _Request(msgspec.Struct):
    method: str
    id: int | str | None = None
    params: list[str] = []


class _Subscription(msgspec.Struct):
    name: str
    symbols: list[str] = []


class _OlderRequest(msgspec.Struct):
    type: str
    subscriptions: list[_Subscription] = []


class GeminiVoice(Voice):
    """Books as differences with ``U`` and ``u`` from nothing on; mark prices at an address of their own."""

    code: ClassVar[str] = "GEMINI"
    paths: ClassVar[Mapping[str, str]] = {"": "/", MARKS: "/v2/marketdata"}
    rest_prefix: ClassVar[str] = "/v1/"
    house: ClassVar[House] = House(
        messages_per_s=20, topics_max=1000, weight=120, weight_per_s=60.0, heartbeat_s=5.0, pings=True
    )
    checksums: ClassVar[bool] = False

    @classmethod
    def products(cls, spots: Sequence[Spot], start_ns: int) -> list[Product]:
        """List all pairs against the dollar, and perpetuals of the first."""
        del start_ns
        found = [_product(spot, "USD", "spot") for spot in spots]
        return found + [_product(spot, "GUSD", "perpetual") for spot in spots[:PERPETUALS]]

    # ------------------------------------------------------------------ a connection

    def heartbeat(self, client: Client, now_ns: int) -> Reaction:
        """Tell everybody at the older feed that it lives; the other one has pings."""
        if client.endpoint != MARKS:
            return Reaction()
        return Reaction(answers=[b'{"type":"heartbeat","timestamp":%d}' % (now_ns // 1_000_000)])

    def receive(self, client: Client, frame: bytes, now_ns: int) -> Reaction:
        """Carry out one request: all of its streams or none."""
        del now_ns
        if client.endpoint == MARKS:
            return self._receive_older(client, frame)
        try:
            request = msgspec.json.decode(frame, type=_Request)
        except msgspec.MsgspecError:
            return Reaction([_refused(None, -1013, "Invalid request")])
        method = request.method.lower()
        if method in {"subscribe", "unsubscribe"}:
            return self._change(client, method, request)
        if method != "ping":
            return Reaction([_refused(request.id, -1020, "Unsupported operation")])
        return Reaction([_carried_out(request.id)])

    def _change(self, client: Client, method: str, request: _Request) -> Reaction:
        """Begin or end streams; the answer comes behind the books that they begin with."""
        whole = "whole" if client.query.get("snapshot") == "-1" else ""
        chosen = []
        for name in request.params:
            topic = self._topic(name, whole)
            if topic is None or not (method == "unsubscribe" or self.takes(topic)):
                return Reaction([_refused(request.id, -1013, f"Invalid stream name: {name}")])
            chosen.append(topic)
        answer = _carried_out(request.id)
        if method == "unsubscribe":
            return Reaction([answer], unsubscribe=[topic for topic in chosen if topic in client.topics])
        fresh = [topic for topic in chosen if topic not in client.topics]  # what it has already brings nothing new
        return Reaction(subscribe=fresh, behind=[answer])

    def _topic(self, name: str, whole: str) -> Topic | None:
        """Return the topic of a stream's name; its key says whether a book begins with a whole one."""
        native, _, word = name.partition("@")
        instrument, known = self.by_native.get(("", native.upper())), _STREAMS.get(word)
        if instrument is None or known is None:
            return None
        return replace(known, native=instrument.native, channel=word, key=whole if known.kind == "book" else "")

    def _receive_older(self, client: Client, frame: bytes) -> Reaction:
        """Carry out one request to the older feed; only refusals are answered."""
        try:
            request = msgspec.json.decode(frame, type=_OlderRequest)
        except msgspec.MsgspecError:
            return Reaction([_error("InvalidJson", "the message could not be read")])
        if request.type not in {"subscribe", "unsubscribe"}:
            return Reaction([_error("InvalidType", f"unknown type {request.type}")])
        reaction = Reaction()
        for subscription in request.subscriptions:
            for name in subscription.symbols:
                topic = self._older_topic(subscription.name, name.replace("-", "").upper())
                if topic is None or not self.takes(topic):
                    reaction.answers.append(_error("InvalidSymbol", f"the feed does not have {name.replace('-', '')}"))
                elif request.type == "subscribe":
                    reaction.subscribe.append(topic)
                elif topic in client.topics:
                    reaction.unsubscribe.append(topic)
        return reaction

    def _older_topic(self, feed: str, name: str) -> Topic | None:
        instrument = self.by_native.get(("", name))
        if instrument is None:
            return None
        if feed == "mark_price" and instrument.product.kind == "perpetual":
            return Topic("mark", name, channel=feed, interval_ms=1000)
        return Topic("other", name, channel=feed) if feed.startswith(CANDLES) else None

    # ------------------------------------------------------------------ news

    def begin(self, stream: Stream, book: BookNews | None, now_ns: int) -> Iterable[bytes]:
        """Tell the whole book, with a difference behind it that it has already, or the mark price."""
        instrument = stream.instrument
        if instrument is None:
            return
        if stream.topic.kind == "mark":
            yield from self.values(stream, instrument, now_ns)
        elif book is not None and stream.topic.key:
            yield _depth(instrument, (book.last, book.last), book.bids, book.asks, now_ns)
            first, last = (book.last - behind for behind in COVERED)
            yield _depth(instrument, (first, last), [(price, size + 1) for price, size in book.bids[:1]], [], now_ns)

    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        """Write what changed: it begins with the number that the one before ended with."""
        instrument = stream.instrument
        assert instrument is not None  # noqa: S101  topics of books name one
        first = news.last if news.snapshot else news.previous
        yield _depth(instrument, (first, news.last), news.bids, news.asks, now_ns)

    def trades(self, stream: Stream, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> Iterable[bytes]:
        """Write each trade."""
        del stream, now_ns
        for one in trades:
            yield (
                f'{{"E":{one.ts_ns},"s":"{instrument.native.lower()}","t":{one.id},"p":"{instrument.price(one.price)}",'
                f'"q":"{instrument.size(one.size)}","m":{"false" if one.buy else "true"}}}'
            ).encode()

    def values(self, stream: Stream, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
        """Write the best bid and offer, or at the older feed the mark price of a perpetual."""
        price, size = instrument.price, instrument.size
        if stream.topic.kind == "quote":
            bid, bid_size, ask, ask_size = instrument.best
            yield (
                f'{{"u":{instrument.book_id},"E":{now_ns},"s":"{instrument.native.lower()}","b":"{price(bid)}",'
                f'"B":"{size(bid_size)}","a":"{price(ask)}","A":"{size(ask_size)}"}}'
            ).encode()
        elif stream.topic.kind == "mark":
            yield (
                f'{{"type":"mark_price_updates","symbol":"{instrument.native}","changes":[{{"timestamp":{now_ns},'
                f'"mark_price":"{price(instrument.mark)}","spot_index":"{instrument.index_price:.8f}"}}]}}'
            ).encode()

    # ------------------------------------------------------------------ REST

    def rest(self, request: RestRequest, books: Books) -> RestAnswer:
        """Answer names, details, a book, a price."""
        what, _, name = request.path.removeprefix(self.rest_prefix).partition("/")
        if what == "symbols" and not name:
            return RestAnswer(json([one.native.lower() for one in self.instruments]))
        instrument = self.by_native.get(("", name.removeprefix("details/").upper()))
        if instrument is None:
            return RestAnswer(_error("InvalidSymbol", f"supplied value '{name}' is no symbol"), status=400)
        match what:
            case "symbols":
                body = _detail(instrument)
            case "book":
                limit = request.query.get("limit_bids", "")
                book = books.snapshot(instrument, int(limit) if limit.isdecimal() else BOOK_MAX)
                body = _rest_book(instrument, book, request.now_ns)
            case "trades":
                body = _executed(instrument, request)
            case "pubticker":
                last = instrument.price(instrument.stats.last or instrument.best[0])
                bid, ask = instrument.price(instrument.best[0]), instrument.price(instrument.best[2])
                body = json({"bid": bid, "ask": ask, "last": last})
            case _:
                return RestAnswer(_error("EndpointNotFound", request.path), status=404)
        return RestAnswer(body)

    def too_many(self) -> RestAnswer:
        """Write the answer to too many requests."""
        return RestAnswer(_error("RateLimit", "Requests were made too frequently"), status=429)


def _product(spot: Spot, quote: str, kind: str) -> Product:
    derived = kind != "spot"
    return Product(
        native=f"{spot.base}{quote}{'PERP' if derived else ''}",
        symbol=f"{spot.base}-{quote}{'-PERP' if derived else ''}",
        kind="perpetual" if derived else "spot",
        base=spot.base,
        quote=quote,
        source=spot.source,
        tick=price_tick(spot.price, digits=6),
        lot=max(size_lot(spot.price) // 100, 1),
        price=spot.price,
        typical=900.0 / spot.price,
        settle=quote if derived else "",
    )


def _error(reason: str, message: str) -> bytes:
    return json({"result": "error", "reason": reason, "message": message})


def _carried_out(number: int | str | None) -> bytes:
    return json({"id": number, "status": 200})


def _refused(number: int | str | None, code: int, text: str) -> bytes:
    return json({"id": number, "status": 400, "error": {"code": code, "msg": text}})


def _depth(
    instrument: Instrument,
    ids: tuple[int, int],
    bids: Sequence[tuple[int, int]],
    asks: Sequence[tuple[int, int]],
    now_ns: int,
) -> bytes:
    return (
        f'{{"e":"depthUpdate","E":{now_ns},"s":"{instrument.native.lower()}","U":{ids[0]},"u":{ids[1]},'
        f'"b":[{ladder(instrument, bids)}],"a":[{ladder(instrument, asks)}]}}'
    ).encode()


def _executed(instrument: Instrument, request: RestRequest) -> bytes:
    """Write trades, newest first: the oldest ones behind an id, otherwise the newest."""
    since, limit = request.query.get("since_tid", ""), request.query.get("limit_trades", "")
    most = min(int(limit) if limit.isdecimal() else 50, EXECUTED_MAX)
    kept = list(instrument.trades)
    chosen = [one for one in kept if one.id > int(since)][:most] if since.isdecimal() else kept[-most:]
    rows = [
        f'{{"timestamp":{one.ts_ns // 1_000_000_000},"timestampms":{one.ts_ns // 1_000_000},"tid":{one.id},'
        f'"price":"{instrument.price(one.price)}","amount":"{instrument.size(one.size)}","exchange":"gemini",'
        f'"type":"{"buy" if one.buy else "sell"}"}}'
        for one in reversed(chosen)
    ]
    return f"[{','.join(rows)}]".encode()


def _detail(instrument: Instrument) -> bytes:
    product = instrument.product
    derived = product.kind != "spot"
    detail = {
        "symbol": product.native,
        "base_currency": product.base,
        "quote_currency": product.quote,
        "tick_size": msgspec.Raw(_step(product.lot).encode()),
        "quote_increment": msgspec.Raw(_step(product.tick).encode()),
        "min_order_size": _step(product.lot),
        "status": "cancel_only" if instrument.halted else "open",
        "wrap_enabled": False,
        "product_type": "swap" if derived else "spot",
        "contract_type": "linear" if derived else "vanilla",
        "contract_price_currency": product.quote,
    }
    return json(detail)


def _rest_book(instrument: Instrument, book: BookNews, now_ns: int) -> bytes:
    time = str(now_ns // 1_000_000_000)
    sides = {
        word: [
            {"price": instrument.price(ticks), "amount": instrument.size(lots), "timestamp": time}
            for ticks, lots in levels
        ]
        for word, levels in (("bids", book.bids), ("asks", book.asks))
    }
    return json(sides)


def _step(units: int) -> str:
    return decimal_text(units, digits=tick_digits(units))
