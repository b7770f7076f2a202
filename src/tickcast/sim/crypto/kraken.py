"""KRAKEN: WebSocket v2, spot.

Sources, as of 2026: docs.kraken.com, Spot WebSocket v2, "book", "trade", "ticker", "instrument", "status", "heartbeat",
"ping", guide "Book checksum (v2)"; REST "AssetPairs", "Depth", "SystemStatus"; a session recorded on 2026-08-24.
"""

import heapq
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar, Final

import msgspec

from tickcast.sim.crypto.listing import Product, Spot, price_tick
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Kind, Levels, Stream, Topic, Trade
from tickcast.sim.crypto.times import iso
from tickcast.sim.crypto.voice import Books, House, Reaction, RestAnswer, RestRequest, Voice, json
from tickcast.sim.universe import decimal_text, tick_digits

DEPTHS: Final = (10, 25, 100, 500, 1000)
CHECKED: Final = 10
"""Levels a side that the checksum covers."""
HISTORY: Final = 50
OLDER: Final = {"BTC": "XBT", "DOGE": "XDG"}
"""Names that REST still uses."""
CHANNELS: Final[Mapping[str, Kind]] = {
    "book": "book",
    "trade": "trade",
    "ticker": "ticker",
    "instrument": "status",
    "ohlc": "other",
}
KEPT_ALIVE_S: Final = 60.0


class _Params(msgspec.Struct):
    channel: str = ""
    symbol: list[str] = []
    depth: int = 10
    snapshot: bool | None = None
    event_trigger: str = "trades"


class _Request(msgspec.Struct):
    method: str
    params: _Params = msgspec.field(default_factory=_Params)
    req_id: int | None = None


class KrakenVoice(Voice):
    """A checksum with every message of a book; levels that leave the depth are not told; an answer for each pair."""

    code: ClassVar[str] = "KRAKEN"
    paths: ClassVar[Mapping[str, str]] = {"": "/v2"}
    rest_prefix: ClassVar[str] = "/0/public/"
    house: ClassVar[House] = House(
        messages_per_s=20, topics_max=10_000, weight=10, weight_per_s=10.0, heartbeat_s=1.0, silence_max_s=KEPT_ALIVE_S
    )
    restart: ClassVar = "cut"

    @classmethod
    def products(cls, spots: Sequence[Spot], start_ns: int) -> list[Product]:
        """List all pairs against the dollar."""
        del start_ns
        return [
            Product(
                native=f"{spot.base}/USD",
                symbol=f"{spot.base}-USD",
                kind="spot",
                base=spot.base,
                quote="USD",
                source=spot.source,
                tick=price_tick(spot.price, digits=6),
                lot=1,
                price=spot.price,
                typical=1500.0 / spot.price,
            )
            for spot in spots
        ]

    # ------------------------------------------------------------------ a connection

    def greet(self, client: Client) -> Reaction:
        """Tell the status of the exchange."""
        data = {"version": "2.0.10", "system": "online", "api_version": "v2", "connection_id": client.number}
        return Reaction(answers=[json({"channel": "status", "type": "update", "data": [data]})])

    def heartbeat(self, client: Client, now_ns: int) -> Reaction:
        """Tell a heartbeat to whoever listens to something."""
        del now_ns
        return Reaction(answers=[b'{"channel":"heartbeat"}'] if client.topics else [])

    def receive(self, client: Client, frame: bytes, now_ns: int) -> Reaction:
        """Carry out one request."""
        try:
            request = msgspec.json.decode(frame, type=_Request)
        except msgspec.MsgspecError:
            return Reaction(answers=[json({"error": "Malformed request", "success": False})])
        if request.method == "ping":
            return Reaction(answers=[_stamped({"method": "pong"}, request, now_ns)])
        if request.method not in {"subscribe", "unsubscribe"}:
            return Reaction(answers=[_failed(request, "Method not supported", now_ns)])
        reaction = Reaction()
        names = [""] if request.params.channel == "instrument" else request.params.symbol
        if not names:
            return Reaction(answers=[_failed(request, "Symbol(s) not found", now_ns)])
        for name in names:
            self._carry_out(client, request, name, now_ns, reaction)
        return reaction

    def _carry_out(self, client: Client, request: _Request, name: str, now_ns: int, reaction: Reaction) -> None:
        params = request.params
        if request.method == "unsubscribe":
            left = [one for one in client.topics if (one.channel, one.native) == (params.channel, name)]
            wrong = "" if left else "Subscription Not Found"
            reaction.unsubscribe += left
        else:
            wrong = self._refusal(params, name)
            topic = None if wrong else _topic(params, name)
            if topic is not None and not self.takes(topic):
                wrong, topic = f"Currency pair not supported {name}", None
            if topic in client.topics or topic in reaction.subscribe:
                wrong = "Already subscribed"
            elif topic is not None:
                reaction.subscribe.append(topic)
        if wrong:
            reaction.answers.append(_failed(request, wrong, now_ns, symbol=name))
            return
        result: dict[str, object] = {"channel": params.channel}
        if params.channel == "book":
            result["depth"] = params.depth
        if request.method == "subscribe":
            result["snapshot"] = params.snapshot is not False
        if name:
            result["symbol"] = name
        answer = {"method": request.method, "result": result, "success": True}
        reaction.answers.append(_stamped(answer, request, now_ns))

    def _refusal(self, params: _Params, name: str) -> str:
        """Say what is wrong with a subscription; empty = nothing."""
        if params.channel not in CHANNELS:
            return f"Channel not supported {params.channel}"
        if name and ("", name) not in self.by_native:
            return f"Currency pair not supported {name}"
        if params.channel == "book" and params.depth not in DEPTHS:
            return f"Subscription depth not supported {params.depth}"
        return ""

    # ------------------------------------------------------------------ news

    def begin(self, stream: Stream, book: BookNews | None, now_ns: int) -> Iterable[bytes]:
        """Tell the whole book, the last trades, or the values of now."""
        instrument, topic = stream.instrument, stream.topic
        if topic.channel == "instrument":
            pairs = [_pair(one) for one in self.instruments]
            yield json({"channel": "instrument", "type": "snapshot", "data": {"assets": [], "pairs": pairs}})
        if instrument is None:
            return
        if book is not None:
            yield _book("snapshot", instrument, book, now_ns)
        elif topic.kind == "trade" and instrument.trades:
            yield _prints("snapshot", instrument, list(instrument.trades)[-HISTORY:])
        elif topic.kind in {"quote", "ticker"}:
            yield _ticker("snapshot", instrument, now_ns)

    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        """Write what changed, with the checksum after it."""
        instrument = stream.instrument
        assert instrument is not None  # noqa: S101  topics of books name one
        yield _book("snapshot" if news.snapshot else "update", instrument, news, now_ns)

    def trades(self, stream: Stream, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> Iterable[bytes]:
        """Write the trades of a slice in one message, oldest first."""
        del stream, now_ns
        yield _prints("update", instrument, trades)

    def values(self, stream: Stream, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
        """Write the ticker, or a pair's status."""
        if stream.topic.channel == "ticker":
            yield _ticker("update", instrument, now_ns)
        elif stream.topic.channel == "instrument":
            data = {"assets": [], "pairs": [_pair(instrument)]}
            yield json({"channel": "instrument", "type": "update", "data": data})

    # ------------------------------------------------------------------ REST

    def rest(self, request: RestRequest, books: Books) -> RestAnswer:
        """Answer; errors come with status 200, as the venue has it."""
        answers: dict[str, Callable[[RestRequest, Books], object]] = {
            "Time": lambda asked, _: {"unixtime": asked.now_ns // 1_000_000_000, "rfc1123": ""},
            "SystemStatus": lambda asked, _: {"status": "online", "timestamp": iso(asked.now_ns, digits=0)},
            "AssetPairs": lambda _, __: {_older(one): _asset_pair(one) for one in self.instruments},
            "Depth": self._depth,
            "Trades": self._trades,
        }
        answer = answers.get(request.path.removeprefix(self.rest_prefix))
        if answer is None:
            return RestAnswer(json({"error": ["EGeneral:Unknown method"]}))
        result = answer(request, books)
        if result is None:
            return RestAnswer(json({"error": ["EQuery:Unknown asset pair"]}))
        return RestAnswer(json({"error": [], "result": result}))

    def too_many(self) -> RestAnswer:
        """Write the answer to too many requests."""
        return RestAnswer(json({"error": ["EAPI:Rate limit exceeded"]}), status=429)

    def _named(self, request: RestRequest) -> Instrument | None:
        wanted = request.query.get("pair", "")
        return next((one for one in self.instruments if wanted in {_older(one), one.native}), None)

    def _trades(self, request: RestRequest, books: Books) -> object:
        """List trades since a time in ns, oldest first, and where to go on."""
        del books
        instrument = self._named(request)
        if instrument is None:
            return None
        since, count = request.query.get("since", ""), request.query.get("count", "")
        most = min(int(count) if count.isdecimal() else 1000, 1000)
        behind = [one for one in instrument.trades if not since.isdecimal() or one.ts_ns > int(since)]
        chosen = behind[:most] if since.isdecimal() else behind[-most:]
        rows = [
            [
                instrument.price(one.price),
                instrument.size(one.size),
                msgspec.Raw(f"{one.ts_ns // 1_000_000_000}.{one.ts_ns % 1_000_000_000 // 100:07}".encode()),
                "b" if one.buy else "s",
                "l",
                "",
                one.id,
            ]
            for one in chosen
        ]
        return {_older(instrument): rows, "last": str(chosen[-1].ts_ns if chosen else since or request.now_ns)}

    def _depth(self, request: RestRequest, books: Books) -> object:
        instrument = self._named(request)
        if instrument is None:
            return None
        count = request.query.get("count", "")
        book = books.snapshot(instrument, min(int(count) if count.isdecimal() else 100, 500))
        time = request.now_ns // 1_000_000_000
        sides = {
            name: [[instrument.price(price), instrument.size(size), time] for price, size in side]
            for name, side in (("asks", book.asks), ("bids", book.bids))
        }
        return {_older(instrument): sides}


def _topic(params: _Params, name: str) -> Topic:
    channel = params.channel
    kind = CHANNELS[channel]
    if channel == "ticker" and params.event_trigger == "bbo":
        kind = "quote"
    if channel == "book":
        return Topic(kind, name, channel=channel, depth=params.depth, forget_pushed=True)
    return Topic(kind, name, channel=channel, interval_ms=500 if channel == "instrument" else 0)


def checksum(instrument: Instrument, levels: tuple[Levels, Levels]) -> int:
    """Return the CRC32 of the ten best asks, then bids: price and size without point and leading zeros."""
    bids, asks = levels
    text = "".join(
        [
            _digits(instrument.price(price)) + _digits(instrument.size(side[price]))
            for side, chosen in (
                (asks, heapq.nsmallest(CHECKED, asks)),
                (bids, heapq.nlargest(CHECKED, bids)),
            )
            for price in chosen
        ]
    )
    return zlib.crc32(text.encode())


def _digits(text: str) -> str:
    return text.replace(".", "").lstrip("0")


def _stamped(answer: dict[str, object], request: _Request, now_ns: int) -> bytes:
    if request.req_id is not None:
        answer["req_id"] = request.req_id
    return json({**answer, "time_in": iso(now_ns), "time_out": iso(now_ns)})


def _failed(request: _Request, wrong: str, now_ns: int, *, symbol: str = "") -> bytes:
    answer: dict[str, object] = {"error": wrong, "method": request.method, "success": False}
    if symbol:
        answer["symbol"] = symbol
    return _stamped(answer, request, now_ns)


def _ladder(instrument: Instrument, levels: Sequence[tuple[int, int]]) -> str:
    price, size = instrument.price, instrument.size
    return ",".join([f'{{"price":{price(ticks)},"qty":{size(lots)}}}' for ticks, lots in levels])


def _book(word: str, instrument: Instrument, news: BookNews, now_ns: int) -> bytes:
    return (
        f'{{"channel":"book","type":"{word}","data":[{{"symbol":"{instrument.native}",'
        f'"bids":[{_ladder(instrument, news.bids)}],"asks":[{_ladder(instrument, news.asks)}],'
        f'"checksum":{checksum(instrument, news.levels)},"timestamp":"{iso(instrument.update_ns or now_ns)}"}}]}}'
    ).encode()


def _prints(word: str, instrument: Instrument, trades: Sequence[Trade]) -> bytes:
    price, size = instrument.price, instrument.size
    rows = ",".join(
        [
            f'{{"symbol":"{instrument.native}","side":"{"buy" if one.buy else "sell"}","price":{price(one.price)},'
            f'"qty":{size(one.size)},"ord_type":"limit","trade_id":{one.id},"timestamp":"{iso(one.ts_ns)}"}}'
            for one in trades
        ]
    )
    return f'{{"channel":"trade","type":"{word}","data":[{rows}]}}'.encode()


def _ticker(word: str, instrument: Instrument, now_ns: int) -> bytes:
    stats, price, size = instrument.stats, instrument.price, instrument.size
    bid, bid_size, ask, ask_size = instrument.best
    last = stats.last or bid
    change = last - (stats.open or last)
    percent = 100 * change / stats.open if stats.open else 0.0
    average = round(stats.turnover / stats.volume) if stats.volume else last
    return (
        f'{{"channel":"ticker","type":"{word}","data":[{{"symbol":"{instrument.native}","bid":{price(bid)},'
        f'"bid_qty":{size(bid_size)},"ask":{price(ask)},"ask_qty":{size(ask_size)},"last":{price(last)},'
        f'"volume":{size(stats.volume)},"vwap":{price(average)},"low":{price(stats.low or last)},'
        f'"high":{price(stats.high or last)},"change":{price(change)},"change_pct":{percent:.2f},'
        f'"timestamp":"{iso(now_ns)}"}}]}}'
    ).encode()


def _step(units: int) -> str:
    return decimal_text(units, digits=tick_digits(units))


def _state(instrument: Instrument) -> str:
    return "cancel_only" if instrument.halted else "online"


def _pair(instrument: Instrument) -> dict[str, object]:
    product = instrument.product
    return {
        "symbol": product.native,
        "base": product.base,
        "quote": product.quote,
        "status": _state(instrument),
        "qty_precision": tick_digits(product.lot),
        "qty_increment": msgspec.Raw(_step(product.lot).encode()),
        "qty_min": msgspec.Raw(_step(product.lot).encode()),
        "price_precision": tick_digits(product.tick),
        "price_increment": msgspec.Raw(_step(product.tick).encode()),
        "cost_precision": 5,
        "cost_min": 0.5,
        "marginable": False,
        "has_index": True,
    }


def _older(instrument: Instrument) -> str:
    """Return REST's name of a pair: ``XXBTZUSD``, ``SOLUSD``."""
    base = instrument.product.base
    return f"X{OLDER[base]}ZUSD" if base in OLDER else f"{base}USD"


def _asset_pair(instrument: Instrument) -> dict[str, object]:
    product = instrument.product
    base = OLDER.get(product.base, product.base)
    return {
        "altname": f"{base}USD",
        "wsname": f"{base}/USD",
        "aclass_base": "currency",
        "base": f"X{base}" if product.base in OLDER else base,
        "aclass_quote": "currency",
        "quote": "ZUSD",
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": tick_digits(product.tick),
        "lot_decimals": tick_digits(product.lot),
        "lot_multiplier": 1,
        "fee_volume_currency": "ZUSD",
        "ordermin": _step(product.lot),
        "costmin": "0.5",
        "tick_size": _step(product.tick),
        "status": _state(instrument),
    }
