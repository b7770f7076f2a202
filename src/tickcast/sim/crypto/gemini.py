"""GEMINI: market data v2, spot pairs and perpetuals.

Sources, as of 2026: docs.gemini.com, "Market Data v2" (archived), "Mark Price Feed", REST "Symbols", "Symbol Details",
"Current Order Book", "Rate Limits"; sessions recorded in 2021 and on 2026-08-09.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

import msgspec

from tickcast.sim.crypto.listing import Product, Spot, price_tick, size_lot
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Stream, Topic, Trade
from tickcast.sim.crypto.voice import Books, House, Reaction, RestAnswer, RestRequest, Voice, json
from tickcast.sim.universe import decimal_text, tick_digits

EXECUTED_MAX: Final = 500
"""Trades of an answer over REST."""
HISTORY: Final = 50
PERPETUALS: Final = 3
FEEDS: Final = ("l2", "mark_price")
CANDLES: Final = "candles_"
BOOK_MAX: Final = 50
"""Levels a side over REST where the request does not say how many."""


class _Subscription(msgspec.Struct):
    name: str
    symbols: list[str] = []


class _Request(msgspec.Struct):
    type: str
    subscriptions: list[_Subscription] = []


class GeminiVoice(Voice):
    """Book and trades on one channel, without any number; nothing is confirmed."""

    code: ClassVar[str] = "GEMINI"
    paths: ClassVar[Mapping[str, str]] = {"": "/v2/marketdata"}
    rest_prefix: ClassVar[str] = "/v1/"
    house: ClassVar[House] = House(messages_per_s=20, topics_max=1000, weight=120, weight_per_s=60.0, heartbeat_s=5.0)
    checksums: ClassVar[bool] = False

    @classmethod
    def products(cls, spots: Sequence[Spot], start_ns: int) -> list[Product]:
        """List all pairs against the dollar, and perpetuals of the first."""
        del start_ns
        found = [_product(spot, "USD", "spot") for spot in spots]
        return found + [_product(spot, "GUSD", "perpetual") for spot in spots[:PERPETUALS]]

    # ------------------------------------------------------------------ a connection

    def heartbeat(self, client: Client, now_ns: int) -> Reaction:
        """Tell everybody that the feed lives."""
        del client
        return Reaction(answers=[b'{"type":"heartbeat","timestamp":%d}' % (now_ns // 1_000_000)])

    def receive(self, client: Client, frame: bytes, now_ns: int) -> Reaction:
        """Carry out one request; only refusals are answered."""
        del now_ns
        try:
            request = msgspec.json.decode(frame, type=_Request)
        except msgspec.MsgspecError:
            return Reaction(answers=[_error("InvalidJson", "the message could not be read")])
        if request.type not in {"subscribe", "unsubscribe"}:
            return Reaction(answers=[_error("InvalidType", f"unknown type {request.type}")])
        reaction = Reaction()
        for subscription in request.subscriptions:
            for name in subscription.symbols:
                self._carry_out(client, request.type, (subscription.name, name.replace("-", "").upper()), reaction)
        return reaction

    def _carry_out(self, client: Client, word: str, asked: tuple[str, str], reaction: Reaction) -> None:
        feed, name = asked
        topics = self._topics(feed, name)
        if not topics or not all(map(self.takes, topics)):
            reaction.answers.append(_error("InvalidSymbol", f"the feed does not have {name}"))
        elif word == "subscribe":
            reaction.subscribe += topics
        else:
            reaction.unsubscribe += [topic for topic in topics if topic in client.topics]

    def _topics(self, feed: str, name: str) -> list[Topic]:
        """Topics of a feed of one instrument: of a book its trades too."""
        instrument = self.by_native.get(("", name))
        if instrument is None or (feed == "mark_price" and instrument.product.kind != "perpetual"):
            return []
        if feed == "l2":
            return [Topic("book", name, channel=feed), Topic("trade", name, channel=feed)]
        if feed == "mark_price":
            return [Topic("mark", name, channel=feed, interval_ms=1000)]
        return [Topic("other", name, channel=feed)] if feed.startswith(CANDLES) else []

    # ------------------------------------------------------------------ news

    def begin(self, stream: Stream, book: BookNews | None, now_ns: int) -> Iterable[bytes]:
        """Tell the whole book with the last trades, or the mark price."""
        instrument = stream.instrument
        if instrument is None:
            return
        if book is not None:
            yield _whole(instrument, book)
        elif stream.topic.kind == "mark":
            yield from self.values(stream, instrument, now_ns)

    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        """Write what changed."""
        del now_ns
        instrument = stream.instrument
        assert instrument is not None  # noqa: S101  topics of books name one
        if news.snapshot:
            yield _whole(instrument, news)
        else:
            yield (
                f'{{"type":"l2_updates","symbol":"{instrument.native}","changes":[{_changes(instrument, news)}]}}'
            ).encode()

    def trades(self, stream: Stream, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> Iterable[bytes]:
        """Write each trade."""
        del stream, now_ns
        for one in trades:
            yield _print(instrument, one).encode()

    def values(self, stream: Stream, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
        """Write the mark price of a perpetual."""
        if stream.topic.kind == "mark":
            yield (
                f'{{"type":"mark_price_updates","symbol":"{instrument.native}","changes":[{{"timestamp":{now_ns},'
                f'"mark_price":"{instrument.price(instrument.mark)}","spot_index":"{instrument.index_price:.8f}"}}]}}'
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


def _changes(instrument: Instrument, news: BookNews) -> str:
    price, size = instrument.price, instrument.size
    sides = (("buy", news.bids), ("sell", news.asks))
    return ",".join([f'["{word}","{price(ticks)}","{size(lots)}"]' for word, levels in sides for ticks, lots in levels])


def _print(instrument: Instrument, one: Trade) -> str:
    """Write a trade: those of one taker share the event's number, each has its own as ``tid``."""
    return (
        f'{{"type":"trade","symbol":"{instrument.native}","event_id":{one.ts_ns // 1000},'
        f'"timestamp":{one.ts_ns // 1_000_000},"price":"{instrument.price(one.price)}",'
        f'"quantity":"{instrument.size(one.size)}","side":"{"buy" if one.buy else "sell"}","tid":{one.id}}}'
    )


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


def _whole(instrument: Instrument, news: BookNews) -> bytes:
    trades = ",".join([_print(instrument, one) for one in list(instrument.trades)[-HISTORY:]])
    return (
        f'{{"type":"l2_updates","symbol":"{instrument.native}","changes":[{_changes(instrument, news)}],'
        f'"trades":[{trades}],"auction_events":[]}}'
    ).encode()


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
