"""CRYPTO_COM: spot pairs, perpetuals and a future at ``/exchange/v1/market``.

Sources, as of 2026: exchange-docs.crypto.com, "Websocket Heartbeats", "Websocket Subscriptions" (``book`` as snapshot
and updates, ``trade``, ``ticker``, ``mark``, ``index``, ``funding``, ``estimatedfunding``, ``settlement``), "Rate
Limits", REST ``public/get-instruments``, ``get-book``, ``get-tickers``; a session of v2 recorded on 2021-11-23 (a
separate answer to each subscription, trades newest first, the last ones at subscription).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

import msgspec

from tickcast.sim.crypto.listing import Product, Spot, expiries, price_tick, size_lot
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Kind, Stream, Topic, Trade
from tickcast.sim.crypto.voice import Books, House, Reaction, RestAnswer, RestRequest, Voice, json
from tickcast.sim.universe import decimal_text, tick_digits

DEPTHS: Final = ("10", "50")
TRADES_MAX: Final = 150
"""Of an answer over REST."""
HISTORY: Final = 20
BEAT_S: Final = 5.0
"""A heartbeat wants its answer within this time."""
BEATS: Final = 6
"""So many of these times lie between two heartbeats."""
VALUES: Final[Mapping[str, Kind]] = {
    "ticker": "ticker",
    "mark": "mark",
    "index": "index",
    "funding": "funding",
    "estimatedfunding": "funding",
    "settlement": "other",
}
INTERVALS: Final = {"ticker": 100, "mark": 200, "index": 200, "funding": 1000, "estimatedfunding": 1000}
TYPES: Final = {"spot": "CCY_PAIR", "perpetual": "PERPETUAL_SWAP", "future": "FUTURE"}
_PERPETUALS: Final = 3


class CryptoComVoice(Voice):
    """Books chained by ``pu``; heartbeats that want an answer."""

    code: ClassVar[str] = "CRYPTO_COM"
    paths: ClassVar[Mapping[str, str]] = {"": "/exchange/v1/market"}
    rest_prefix: ClassVar[str] = "/exchange/v1/public/"
    house: ClassVar[House] = House(messages_per_s=100, topics_max=400, weight=100, weight_per_s=1.0, heartbeat_s=BEAT_S)
    asks: ClassVar[bool] = True

    @classmethod
    def products(cls, spots: Sequence[Spot], start_ns: int) -> list[Product]:
        """List pairs against the dollar, perpetuals of the first, and a future of the very first."""
        coins = [spot for spot in spots if not spot.stock]
        found = [_product(spot, kind="spot") for spot in coins]
        found += [_product(spot, kind="perpetual") for spot in coins[:_PERPETUALS]]
        return [*found, _product(coins[0], kind="future", expiry_ns=expiries(start_ns, 60)[0])]

    # ------------------------------------------------------------------ a connection

    def heartbeat(self, client: Client, now_ns: int) -> Reaction:
        """Ask every half a minute whether a client lives; who owes the answer after five seconds is closed."""
        if "owes" in client.memory:
            return Reaction(close=(1000, "heartbeat was not answered"))
        beat = int(str(client.memory.get("beat", 0))) + 1
        client.memory["beat"] = beat
        if beat % BEATS:
            return Reaction()
        client.memory["owes"] = ident = now_ns // 1_000_000
        return Reaction([json({"id": ident, "method": "public/heartbeat", "code": 0})])

    def receive(self, client: Client, frame: bytes, now_ns: int) -> Reaction:
        """Carry out one request."""
        del now_ns
        try:
            request = msgspec.json.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            request = None
        if not isinstance(request, dict):
            return _failed({}, 40001, "BAD_REQUEST")
        if request.get("method") == "public/respond-heartbeat":
            if client.memory.get("owes") == request.get("id"):
                client.memory.pop("owes", None)
            return Reaction()
        if request.get("method") not in {"subscribe", "unsubscribe"}:
            return _failed(request, 40002, "METHOD_NOT_FOUND")
        return self._change(client, request)

    def _change(self, client: Client, request: Mapping[str, Any]) -> Reaction:
        method, parameters = request["method"], request.get("params")
        names = parameters.get("channels") if isinstance(parameters, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return _failed(request, 40004, "MISSING_OR_INVALID_ARGUMENT")
        is_delta = isinstance(parameters, dict) and parameters.get("book_subscription_type") == "SNAPSHOT_AND_UPDATE"
        topics = [self._topic(client, name, is_delta=is_delta) for name in names]
        known = [topic for topic in topics if topic is not None]
        if len(known) < len(names) or (method == "subscribe" and not all(map(self.takes, known))):
            return _failed(request, 40003, "Unknown symbol")
        done = json({"id": request.get("id", -1), "method": method, "code": 0})
        if method == "unsubscribe":
            return Reaction([done], unsubscribe=known)
        if len({*client.topics, *known}) > self.house.topics_max:
            return _failed(request, 42902, "EXCEED_MAX_SUBSCRIPTIONS")
        return Reaction([done], subscribe=known)

    def _topic(self, client: Client, name: str, *, is_delta: bool) -> Topic | None:
        """Return the topic of a channel; None: there is no such channel."""
        standing = next((topic for topic in client.topics if topic.key == name), None)
        if standing is not None:
            return standing
        word, *rest = name.split(".")
        native = rest[0] if rest else ""
        if word == "index":
            derived = [one for one in self.instruments if native == index_of(one.product)]
            return Topic("index", derived[0].native, channel=word, key=name, interval_ms=200) if derived else None
        if ("", native) not in self.by_native:
            return None
        if word == "book" and len(rest) == 2 and rest[1] in DEPTHS:
            interval = 10 if is_delta else 500
            return Topic(
                "book", native, channel=word, key=name, interval_ms=interval, depth=int(rest[1]), whole=not is_delta
            )
        if word == "trade":
            return Topic("trade", native, channel=word, key=name)
        kind = VALUES.get(word)
        return None if kind is None else Topic(kind, native, channel=word, key=name, interval_ms=INTERVALS.get(word, 0))

    # ------------------------------------------------------------------ news

    def begin(self, stream: Stream, book: BookNews | None, now_ns: int) -> Iterable[bytes]:
        """Write a whole book, the last trades, or the newest values."""
        instrument = stream.instrument
        if instrument is None:
            return
        if book is not None:
            yield from self.book(stream, book, now_ns)
        elif stream.topic.kind == "trade":
            yield from self.trades(stream, instrument, list(instrument.trades)[-HISTORY:], now_ns)
        else:
            yield from self.values(stream, instrument, now_ns)

    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        """Write a whole book, or what changed."""
        instrument, topic = stream.instrument, stream.topic
        assert instrument is not None  # noqa: S101  topics of books name one
        sides = f'"asks":[{_levels(instrument, news.asks)}],"bids":[{_levels(instrument, news.bids)}]'
        is_whole = news.snapshot or topic.whole
        previous = "" if is_whole else f',"pu":{news.previous}'
        tail = f'"t":{now_ns // 1_000_000},"tt":{instrument.update_ns // 1_000_000},"u":{news.last}{previous},"cs":0'
        row = f"{{{sides},{tail}}}" if is_whole else f'{{"update":{{{sides}}},{tail}}}'
        yield _told(topic.key, instrument.native, "book" if is_whole else "book.update", row, depth=topic.depth)

    def trades(self, stream: Stream, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> Iterable[bytes]:
        """Write the trades of a slice, newest first."""
        del now_ns
        if trades:
            rows = ",".join([_trade(instrument, trade) for trade in reversed(trades)])
            yield _told(stream.topic.key, instrument.native, "trade", rows)

    def values(self, stream: Stream, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
        """Write the ticker, or a value."""
        topic, now_ms = stream.topic, now_ns // 1_000_000
        if topic.channel == "ticker":
            yield _told(topic.key, instrument.native, "ticker", _ticker(instrument, now_ms))
            return
        value = {
            "mark": instrument.price(instrument.mark),
            "index": f"{instrument.index_price:.2f}",
            "funding": f"{instrument.funding:.9f}",
            "estimatedfunding": f"{instrument.funding:.9f}",
        }.get(topic.channel)
        if value is not None:
            name = index_of(instrument.product) if topic.channel == "index" else instrument.native
            yield _told(topic.key, name, topic.channel, f'{{"v":"{value}","t":{now_ms}}}')

    # ------------------------------------------------------------------ REST

    def rest(self, request: RestRequest, books: Books) -> RestAnswer:
        """Answer, or say with the venue's code why not."""
        answers: dict[str, Callable[[RestRequest, Books], bytes | None]] = {
            "get-instruments": lambda *_: json({"data": [_entry(one) for one in self.instruments]}),
            "get-book": self._book,
            "get-tickers": self._tickers,
            "get-trades": self._trades,
        }
        method = request.path.removeprefix(self.rest_prefix)
        answer = answers.get(method)
        result = None if answer is None else answer(request, books)
        if result is None:
            code, text = (40002, "METHOD_NOT_FOUND") if answer is None else (40003, "Unknown symbol")
            return RestAnswer(json({"id": -1, "method": f"public/{method}", "code": code, "message": text}), status=400)
        return RestAnswer(b'{"id":-1,"method":"public/%b","code":0,"result":%b}' % (method.encode(), result))

    def too_many(self) -> RestAnswer:
        """Write the venue's 429."""
        return RestAnswer(json({"id": -1, "code": 42901, "message": "TOO_MANY_REQUESTS"}), status=429)

    def _book(self, request: RestRequest, books: Books) -> bytes | None:
        instrument = self.by_native.get(("", request.query.get("instrument_name", "")))
        depth = request.query.get("depth", "10")
        if instrument is None or not depth.isdecimal():
            return None
        book = books.snapshot(instrument, min(int(depth), 50))
        sides = f'"asks":[{_levels(instrument, book.asks)}],"bids":[{_levels(instrument, book.bids)}]'
        row = f'{{{sides},"t":{request.now_ns // 1_000_000},"u":{book.last}}}'
        return f'{{"depth":{depth},"data":[{row}],"instrument_name":"{instrument.native}"}}'.encode()

    def _trades(self, request: RestRequest, books: Books) -> bytes | None:
        """List the newest trades of a time, newest first: from its begin on, and before its end."""
        del books
        instrument = self.by_native.get(("", request.query.get("instrument_name", "")))
        if instrument is None:
            return None
        begin, end, most = (
            int(text) if text.isdecimal() else instead
            for text, instead in (
                (request.query.get("start_ts", ""), 0),
                (request.query.get("end_ts", ""), request.now_ns // 1_000_000 + 1),
                (request.query.get("count", ""), TRADES_MAX),
            )
        )
        found = [one for one in instrument.trades if begin <= one.ts_ns // 1_000_000 < end]
        rows = ",".join([_trade(instrument, one) for one in found[: -min(most, TRADES_MAX) - 1 : -1]])
        return f'{{"data":[{rows}]}}'.encode()

    def _tickers(self, request: RestRequest, books: Books) -> bytes | None:
        del books
        instrument = self.by_native.get(("", request.query.get("instrument_name", "")))
        if instrument is None:
            return None
        return f'{{"data":[{_ticker(instrument, request.now_ns // 1_000_000)}]}}'.encode()


def _failed(request: Mapping[str, Any], code: int, message: str) -> Reaction:
    method = request.get("method")
    said = {"id": request.get("id", -1), "method": method if isinstance(method, str) else "", "code": code}
    return Reaction([json({**said, "message": message})])


def _told(subscription: str, name: str, channel: str, rows: str, *, depth: int = 0) -> bytes:
    deep = f'"depth":{depth},' if depth else ""
    return (
        f'{{"id":-1,"method":"subscribe","code":0,"result":{{"instrument_name":"{name}",'
        f'"subscription":"{subscription}","channel":"{channel}",{deep}"data":[{rows}]}}}}'
    ).encode()


def _levels(instrument: Instrument, levels: Sequence[tuple[int, int]]) -> str:
    price, size = instrument.price, instrument.size
    return ",".join([f'["{price(ticks)}","{size(lots)}","{1 if lots else 0}"]' for ticks, lots in levels])


def _trade(instrument: Instrument, trade: Trade) -> str:
    return (
        f'{{"d":"{(instrument.row + 1) * 10**15 + trade.id}","t":{trade.ts_ns // 1_000_000},"tn":"{trade.ts_ns}",'
        f'"q":"{instrument.size(trade.size)}","p":"{instrument.price(trade.price)}",'
        f'"s":"{"BUY" if trade.buy else "SELL"}","i":"{instrument.native}","m":"{trade.maker}"}}'
    )


def _ticker(instrument: Instrument, now_ms: int) -> str:
    stats, price, size = instrument.stats, instrument.price, instrument.size
    bid, bid_size, ask, ask_size = instrument.best
    parts = [f'"i":"{instrument.native}","t":{now_ms}']
    if stats.count:
        parts.append(f'"h":"{price(stats.high)}","l":"{price(stats.low)}","a":"{price(stats.last)}","c":"0.0001"')
    else:
        parts.append('"h":null,"l":null,"a":null,"c":null')
    parts.append(f'"v":"{size(stats.volume)}"')
    parts.append(f'"b":"{price(bid)}","bs":"{size(bid_size)}"' if bid else '"b":null,"bs":null')
    parts.append(f'"k":"{price(ask)}","ks":"{size(ask_size)}"' if ask else '"k":null,"ks":null')
    interest = instrument.open_interest if instrument.product.kind != "spot" else 0
    parts.append(f'"oi":"{size(interest)}"')
    return f"{{{','.join(parts)}}}"


def index_of(product: Product) -> str:
    """Return the name of the index that a contract derives from; of a pair there is none."""
    return "" if product.kind == "spot" else f"{product.base}{product.quote}-INDEX"


def _product(spot: Spot, *, kind: Any, expiry_ns: int = 0) -> Product:
    day = datetime.fromtimestamp(expiry_ns // 1_000_000_000, UTC)
    end, house = {
        "spot": ("", ""),
        "perpetual": ("-PERP", "-PERP"),
        "future": (f"-{day:%y%m%d}", f"-{day:%Y%m%d}"),
    }[kind]
    return Product(
        native=f"{spot.base}_USD" if kind == "spot" else f"{spot.base}USD{end}",
        symbol=f"{spot.base}-USD{house}",
        kind=kind,
        base=spot.base,
        quote="USD",
        settle="" if kind == "spot" else "USD",
        source=spot.source,
        tick=price_tick(spot.price),
        lot=size_lot(spot.price),
        price=spot.price,
        typical=1500.0 / spot.price,
        expiry_ns=expiry_ns,
    )


def _step(units: int) -> str:
    return decimal_text(units, digits=tick_digits(units))


def _entry(instrument: Instrument) -> dict[str, Any]:
    product = instrument.product
    entry: dict[str, Any] = {
        "symbol": product.native,
        "inst_type": TYPES[product.kind],
        "display_name": product.symbol,
        "base_ccy": product.base,
        "quote_ccy": product.quote,
        "quote_decimals": 2,
        "quantity_decimals": tick_digits(product.lot),
        "price_tick_size": _step(product.tick),
        "qty_tick_size": _step(product.lot),
        "max_leverage": "50",
        "tradable": not instrument.halted,
        "expiry_timestamp_ms": product.expiry_ns // 1_000_000,
    }
    if product.kind != "spot":
        entry |= {"underlying_symbol": index_of(product), "contract_size": "1"}
    return entry
