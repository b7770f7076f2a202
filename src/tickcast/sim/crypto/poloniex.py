"""POLONIEX: spot.

Sources, as of 2026: api-docs.poloniex.com/spot, "Websocket" (requests, answers, ping, 500 requests a second, silence of
30 s), "Websocket / Reference Data" (``symbols``), "Public / Reference Data", "Public / Market Data"; a session recorded
on 2022-08-21: a message of ``book_lv2`` or ``trades`` has one row, books have 20 levels a side and tell which of them
leave and come, trades begin with the next one. Texts of errors are not documented.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final

import msgspec

from tickcast.sim.crypto.listing import Product, Spot, pair
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Stream, Topic, Trade
from tickcast.sim.crypto.voice import Books, House, Reaction, RestAnswer, RestRequest, Voice, json, ladder
from tickcast.sim.universe import UNIT, decimal_text, tick_digits

DEPTH: Final = 20
CHANNELS: Final[Mapping[str, Topic]] = {
    "book_lv2": Topic("book", depth=DEPTH),
    "trades": Topic("trade"),
    "ticker": Topic("ticker", interval_ms=500),
    "symbols": Topic("status", interval_ms=500),
    "book": Topic("other"),
    "candles_minute_1": Topic("other"),
}
INTENSIVE: Final = 20
"""Weight of what may be asked for ten times a second; the rest 200 times."""
TRADES_MAX: Final = 1000
DEPTHS: Final = (5, 10, 20, 50, 100, 150)


class _Request(msgspec.Struct):
    event: str
    channel: list[str] = []
    symbols: list[str] = []


class PoloniexVoice(Voice):
    """Snapshot and differences in the stream, each naming its predecessor; an answer for each channel."""

    code: ClassVar[str] = "POLONIEX"
    paths: ClassVar[Mapping[str, str]] = {"": "/ws/public"}
    rest_prefix: ClassVar[str] = "/"
    house: ClassVar[House] = House(
        messages_per_s=500, topics_max=10_000, weight=200, weight_per_s=1.0, silence_max_s=30.0
    )
    restart: ClassVar = "cut"

    @classmethod
    def products(cls, spots: Sequence[Spot], start_ns: int) -> list[Product]:
        """List all pairs against USDT."""
        del start_ns
        return [pair(spot, f"{spot.base}_USDT") for spot in spots]

    # ------------------------------------------------------------------ a connection

    def receive(self, client: Client, frame: bytes, now_ns: int) -> Reaction:
        """Carry out one request."""
        del now_ns
        if frame.strip().lower() == b"ping":
            return Reaction([b"pong"])
        try:
            request = msgspec.json.decode(frame, type=_Request)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return _error("Bad request")
        if request.event == "ping":
            return Reaction([b'{"event":"pong"}'])
        if request.event == "unsubscribe_all":
            return Reaction([json({"event": "unsubscribe_all"})], unsubscribe=list(client.topics))
        if request.event not in {"subscribe", "unsubscribe"} or not request.channel or not request.symbols:
            return _error("Bad request")
        return self._carry_out(client, request)

    def _carry_out(self, client: Client, request: _Request) -> Reaction:
        """Begin or end all that a request names, or nothing of it."""
        natives = [name.upper() for name in request.symbols]
        topics: list[Topic] = []
        for channel in request.channel:
            known = CHANNELS.get(channel)
            if known is None:
                return _error(f"Invalid channel value {channel}")
            topics += [replace(known, native=native, channel=channel) for native in natives]
        beginning = request.event == "subscribe"
        if any(("", one.native) not in self.by_native or (beginning and not self.takes(one)) for one in topics):
            return _error("Subscription failed (invalid symbol)")
        if beginning and len(client.topics) + len(topics) > self.house.topics_max:
            return _error("Subscription failed (too many)")
        answers = [json({"event": request.event, "channel": name, "symbols": natives}) for name in request.channel]
        return Reaction(answers, subscribe=topics) if beginning else Reaction(answers, unsubscribe=topics)

    # ------------------------------------------------------------------ news

    def begin(self, stream: Stream, book: BookNews | None, now_ns: int) -> Iterable[bytes]:
        """Tell the whole book, or the values of now; trades begin with the next one."""
        instrument = stream.instrument
        if instrument is None:
            return
        if book is not None:
            yield _book(instrument, replace(book, snapshot=True), now_ns)
        elif stream.topic.channel == "ticker":
            yield _ticker(instrument, now_ns)
        elif stream.topic.channel == "symbols":
            yield json({"channel": "symbols", "data": [_entry(instrument)], "action": "snapshot"})

    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        """Write what changed, or the whole book."""
        instrument = stream.instrument
        assert instrument is not None  # noqa: S101  topics of books name one
        yield _book(instrument, news, now_ns)

    def trades(self, stream: Stream, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> Iterable[bytes]:
        """Write a message for each trade."""
        del stream
        for trade in trades:
            row = {"symbol": instrument.native} | _trade(instrument, trade, now_ns, words=("buy", "sell"))
            yield json({"channel": "trades", "data": [row]})

    def values(self, stream: Stream, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
        """Write the day's figures, or a pair's state."""
        if stream.topic.channel == "ticker":
            yield _ticker(instrument, now_ns)
        elif stream.topic.channel == "symbols":
            yield json({"channel": "symbols", "data": [_entry(instrument)], "action": "update"})

    # ------------------------------------------------------------------ REST

    def rest(self, request: RestRequest, books: Books) -> RestAnswer:
        """Answer pairs, books, trades and the time."""
        match request.path.strip("/").split("/"):
            case ["timestamp"]:
                return RestAnswer(json({"serverTime": request.now_ns // 1_000_000}))
            case ["markets"]:
                return RestAnswer(json([_entry(one) for one in self.instruments]))
            case ["markets", native, *what] if ("", native) in self.by_native:
                return self._of_pair(self.by_native[("", native)], what, request, books)
            case _:
                return RestAnswer(json({"code": 10040, "message": "Invalid symbol"}), status=400)

    def _of_pair(self, instrument: Instrument, what: list[str], request: RestRequest, books: Books) -> RestAnswer:
        limit = request.query.get("limit", "")
        if not what:
            return RestAnswer(json([_entry(instrument)]))
        if what == ["trades"]:
            most = min(int(limit) if limit.isdecimal() else 500, TRADES_MAX)
            newest = list(instrument.trades)[::-1][:most]
            return RestAnswer(json([_trade(instrument, one, request.now_ns, words=("BUY", "SELL")) for one in newest]))
        if what == ["orderBook"] and (not limit or limit in map(str, DEPTHS)):
            book = books.snapshot(instrument, int(limit or 10))
            sides = {
                name: [text for price, size in side for text in (instrument.price(price), instrument.size(size))]
                for name, side in (("asks", book.asks), ("bids", book.bids))
            }
            at_ms = request.now_ns // 1_000_000
            return RestAnswer(json({"time": at_ms, "scale": instrument.price(1), **sides, "ts": at_ms}))
        return RestAnswer(json({"code": 400, "message": "Bad request"}), status=400)

    def weight(self, request: RestRequest) -> int:
        """Weigh a request: lists and trades are the dear ones."""
        return INTENSIVE if request.path.rstrip("/").endswith(("/markets", "/trades")) else 1

    def too_many(self) -> RestAnswer:
        """Write the answer to too many requests."""
        return RestAnswer(json({"code": 429, "message": "Too many requests"}), status=429)


def _error(message: str) -> Reaction:
    return Reaction([json({"event": "error", "message": message})])


def _book(instrument: Instrument, news: BookNews, now_ns: int) -> bytes:
    action, last = ("snapshot", news.last - 1) if news.snapshot else ("update", news.previous)
    at_ms = (instrument.update_ns or now_ns) // 1_000_000
    return (
        f'{{"channel":"book_lv2","data":[{{"symbol":"{instrument.native}","createTime":{at_ms},'
        f'"asks":[{ladder(instrument, news.asks)}],"bids":[{ladder(instrument, news.bids)}],'
        f'"lastId":{last},"id":{news.last},"ts":{now_ns // 1_000_000}}}],"action":"{action}"}}'
    ).encode()


def _trade(instrument: Instrument, trade: Trade, now_ns: int, *, words: tuple[str, str]) -> dict[str, object]:
    product = instrument.product
    units = trade.price * product.tick * trade.size * product.lot // UNIT
    return {
        "amount": decimal_text(units, digits=8),
        "quantity": instrument.size(trade.size),
        "takerSide": words[0] if trade.buy else words[1],
        "createTime": trade.ts_ns // 1_000_000,
        "price": instrument.price(trade.price),
        "id": str(trade.id),
        "ts": now_ns // 1_000_000,
    }


def _ticker(instrument: Instrument, now_ns: int) -> bytes:
    stats, price, size, product = instrument.stats, instrument.price, instrument.size, instrument.product
    last = stats.last or instrument.best[0]
    first = stats.open or last
    units = int(stats.turnover) * product.tick * product.lot // UNIT
    row = {
        "symbol": instrument.native,
        "dailyChange": f"{(last - first) / first if first else 0.0:.4f}",
        "high": price(stats.high or last),
        "amount": decimal_text(units, digits=8),
        "quantity": size(stats.volume),
        "tradeCount": stats.count,
        "low": price(stats.low or last),
        "closeTime": now_ns // 1_000_000,
        "startTime": now_ns // 1_000_000 - 86_400_000,
        "close": price(last),
        "open": price(first),
        "ts": now_ns // 1_000_000,
    }
    return json({"channel": "ticker", "data": [row]})


def _entry(instrument: Instrument) -> dict[str, object]:
    """Write an entry of the list."""
    product = instrument.product
    return {
        "symbol": product.native,
        "baseCurrencyName": product.base,
        "quoteCurrencyName": product.quote,
        "displayName": f"{product.base}/{product.quote}",
        "state": "PAUSE" if instrument.halted else "NORMAL",
        "visibleStartTime": 1_659_018_819_512,
        "tradableStartTime": 1_659_018_819_512,
        "symbolTradeLimit": {
            "symbol": product.native,
            "priceScale": tick_digits(product.tick),
            "quantityScale": tick_digits(product.lot),
            "amountScale": tick_digits(product.tick),
            "minQuantity": instrument.size(1),
            "minAmount": "1",
            "highestBid": "0",
            "lowestAsk": "0",
        },
        "crossMargin": {"supportCrossMargin": False, "maxLeverage": 1},
    }
