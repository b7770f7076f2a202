"""BYBIT: spot, linear and inverse contracts and options, each at an address of its own.

Sources, as of 2026: bybit-exchange.github.io/docs/v5, "Connect" (limits, ping, what each endpoint answers), "Websocket
Stream / Public" (Orderbook: ``u`` counts up by one, 1 after a restart; Ticker: differences of contracts; Trade; All
Liquidation), "Get Instruments Info" (pages), "Rate Limit Rules" (403).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

import msgspec

from tickcast.sim.crypto import bybit_rows
from tickcast.sim.crypto.listing import Product, Spot, expiries, pair, price_tick, size_lot, strikes
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Stream, Topic, Trade
from tickcast.sim.crypto.voice import Books, House, Reaction, RestAnswer, RestRequest, Voice, json
from tickcast.sim.universe import UNIT

_MARKETS: Final = ("spot", "linear", "inverse", "option")
_DEPTHS: Final[Mapping[str, int]] = {"50": 20, "200": 100, "1000": 200}
"""Levels a side to the interval, ms."""
_OPTION_DEPTHS: Final[Mapping[str, int]] = {"25": 20, "100": 100}
_SPOT_ARGUMENTS_MAX: Final = 10
_ARGUMENTS_LENGTH_MAX: Final = 21_000
_LEVERAGED: Final = 4


class BybitVoice(Voice):
    """Snapshots and differences in the stream, numbered one by one."""

    code: ClassVar[str] = "BYBIT"
    paths: ClassVar[Mapping[str, str]] = {market: f"/v5/public/{market}" for market in _MARKETS}
    rest_prefix: ClassVar[str] = "/v5/market/"
    house: ClassVar[House] = House(topics_max=2000, weight=600, weight_per_s=5.0)
    restart = "snapshot"

    @classmethod
    def products(cls, spots: Sequence[Spot], start_ns: int) -> list[Product]:
        """List the pairs, perpetuals of the first, and a future and options of the very first."""
        found = [pair(spot, f"{spot.base}USDT", market="spot") for spot in spots]
        found += [_contract(spot, "linear", 0) for spot in spots[:_LEVERAGED]]
        for spot in spots[:1]:
            ends = expiries(start_ns, 30, 90)
            found += [_contract(spot, "linear", end) for end in ends]
            found.append(_contract(spot, "inverse", 0))
            found += [
                _option(spot, ends[0], strike, call=call) for strike in strikes(spot.price, 3) for call in (True, False)
            ]
        return found

    # ------------------------------------------------------------------ a connection

    def receive(self, client: Client, frame: bytes, now_ns: int) -> Reaction:
        """Carry out one operation: all of its topics or none, but of options each for itself."""
        market = client.endpoint
        request = _request(frame)
        if request is None:
            return Reaction([_answer(market, client, "", "", success=False, text="error:request format error")])
        word, number = request["op"], str(request.get("req_id", ""))
        if word == "ping":
            return Reaction([_pong(market, client, number, now_ns)])
        if word not in {"subscribe", "unsubscribe"}:
            return Reaction([_answer(market, client, word, number, success=False, text="error:unknown operation")])
        names = [str(name) for name in request.get("args", [])]
        topics = {name: self._topic(market, name) for name in names}
        leaving = word == "unsubscribe"
        good = {name: topic for name, topic in topics.items() if topic is not None and (leaving or self.takes(topic))}
        if market == "option":
            answers = [_option_answer(client, [name for name in names if name not in good], list(good))]
        elif wrong := self._wrong(client, names, good):
            return Reaction([_answer(market, client, word, number, success=False, text=wrong)])
        else:
            answers = [
                _answer(market, client, word, number, success=True, text="subscribe" if market == "spot" else "")
            ]
        chosen = list(good.values())
        if word == "subscribe":
            return Reaction(answers, subscribe=chosen)
        return Reaction(answers, unsubscribe=chosen)

    @staticmethod
    def _wrong(client: Client, names: Sequence[str], good: Mapping[str, Topic]) -> str:
        """Say what is wrong with a subscription; empty = nothing."""
        if not names:
            return "error:no topic"
        if client.endpoint == "spot" and len(names) > _SPOT_ARGUMENTS_MAX:
            return "args size >10"
        if sum(map(len, names)) + sum(len(topic.key) for topic in client.topics) > _ARGUMENTS_LENGTH_MAX:
            return "error:args length over 21000"
        missing = next((name for name in names if name not in good), None)
        return "" if missing is None else f"error:handler not found,topic:{missing}"

    def _topic(self, market: str, name: str) -> Topic | None:
        """Return the topic of a name at an address; None: there is none."""
        channel, _, native = name.rpartition(".")
        if market == "option" and channel == "publicTrade":
            return Topic("trade", channel=channel, key=name, market=market)
        if (market, native) not in self.by_native:
            return None
        word, _, depth = channel.partition(".")
        given = {"native": native, "channel": word, "key": name, "market": market}
        topic = _topic_of(market, word, depth)
        return None if topic is None else replace(topic, **given)  # type: ignore[arg-type]  # texts all

    # ------------------------------------------------------------------ news

    def begin(self, stream: Stream, book: BookNews | None, now_ns: int) -> Iterable[bytes]:
        """Say what a topic begins with: a whole book or the newest values; trades begin with the next one."""
        if book is not None:
            yield from self.book(stream, book, now_ns)
        elif stream.instrument is not None and stream.topic.kind == "ticker":
            yield from bybit_rows.ticker(stream.topic, stream.instrument, now_ns, whole=True)
        elif stream.instrument is not None and stream.topic.kind == "quote":
            yield from self.values(stream, stream.instrument, now_ns)

    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        """Write a book message."""
        instrument = stream.instrument
        assert instrument is not None  # noqa: S101  topics of books name one
        yield bybit_rows.book(
            stream.topic,
            instrument,
            now_ns,
            kind="snapshot" if news.snapshot else "delta",
            bids=news.bids,
            asks=news.asks,
            number=news.count,
        )

    def trades(self, stream: Stream, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> Iterable[bytes]:
        """Write the trades or liquidations of a slice in one message."""
        write = bybit_rows.liquidations if stream.topic.kind == "liquidation" else bybit_rows.trades
        yield write(stream.topic, instrument, trades, now_ns)

    def values(self, stream: Stream, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
        """Write best bid and offer, or what changed of a ticker."""
        if stream.topic.kind == "ticker":
            yield from bybit_rows.ticker(stream.topic, instrument, now_ns, whole=False)
        elif stream.topic.kind == "quote":
            bid, bid_size, ask, ask_size = instrument.best
            yield bybit_rows.book(
                stream.topic,
                instrument,
                now_ns,
                kind="snapshot",
                bids=[(bid, bid_size)] if bid else [],
                asks=[(ask, ask_size)] if ask else [],
                number=instrument.book_id,
            )

    # ------------------------------------------------------------------ REST

    def rest(self, request: RestRequest, books: Books) -> RestAnswer:
        """Answer; what is wrong is said with status 200 and a code."""
        word = request.path.removeprefix(self.rest_prefix)
        if word == "time":
            return _result(
                request, {"timeSecond": str(request.now_ns // 1_000_000_000), "timeNano": str(request.now_ns)}
            )
        category = request.query.get("category", "")
        if word not in {"instruments-info", "orderbook", "recent-trade"}:
            return RestAnswer(json({"retCode": 404, "retMsg": "Not Found"}), status=404)
        if category not in _MARKETS:
            return _error(request, 10001, "params error: Category is invalid")
        if word == "instruments-info":
            return self._list(request, category)
        instrument = self.by_native.get((category, request.query.get("symbol", "")))
        if instrument is None:
            return _error(request, 10001, "params error: symbol invalid")
        if word == "recent-trade":
            result: dict[str, object] = {"category": category, "list": self._newest(request, instrument)}
        else:
            result = self._book(request, instrument, books)
        return _result(request, result)

    @staticmethod
    def _newest(request: RestRequest, instrument: Instrument) -> list[dict[str, object]]:
        """Write the newest trades, newest first."""
        most = 60 if instrument.product.market == "spot" else 1000
        newest = list(instrument.trades)[: -_number(request, "limit", min(most, 500), most) - 1 : -1]
        return [bybit_rows.executed(instrument, one) for one in newest]

    @staticmethod
    def _book(request: RestRequest, instrument: Instrument, books: Books) -> dict[str, object]:
        book = books.snapshot(instrument, _number(request, "limit", 25, 1000))
        now_ms = request.now_ns // 1_000_000
        return {
            "s": instrument.native,
            "b": _pairs(instrument, book.bids),
            "a": _pairs(instrument, book.asks),
            "ts": now_ms,
            "u": book.last,
            "seq": book.last,
            "cts": instrument.update_ns // 1_000_000,
        }

    def too_many(self) -> RestAnswer:
        """Write what an address gets that asks too often."""
        return RestAnswer(json({"retCode": 403, "retMsg": "403, access too frequent"}), status=403)

    def _list(self, request: RestRequest, category: str) -> RestAnswer:
        """Write a page; spot has only one."""
        coin = request.query.get("baseCoin", "BTC" if category == "option" else "")
        chosen = [one for one in self.instruments if one.product.market == category]
        chosen = [one for one in chosen if not coin or one.product.base == coin]
        page: dict[str, object] = {"category": category}
        if category == "spot":
            return _result(request, page | {"list": [bybit_rows.entry(one) for one in chosen]})
        limit, begin = _number(request, "limit", 500, 1000), _number(request, "cursor", 0, len(chosen))
        after = begin + limit
        page |= {"list": [bybit_rows.entry(one) for one in chosen[begin:after]]}
        return _result(request, page | {"nextPageCursor": str(after) if after < len(chosen) else ""})


def _topic_of(market: str, word: str, depth: str) -> Topic | None:
    """Return what a channel tells at an address."""
    contracts = market in {"linear", "inverse"}
    if word == "orderbook" and depth == "1" and market != "option":
        return Topic("quote", interval_ms=10)
    depths = _OPTION_DEPTHS if market == "option" else _DEPTHS
    if word == "orderbook" and depth in depths:
        return Topic("book", depth=int(depth), interval_ms=depths[depth])
    if depth:
        return None
    if word == "tickers":
        return Topic("ticker", interval_ms=50 if market == "spot" else 100)
    if word == "publicTrade" and market != "option":
        return Topic("trade")
    return Topic("liquidation") if word == "allLiquidation" and contracts else None


# ------------------------------------------------------------------ products


def _contract(spot: Spot, market: str, expiry_ns: int) -> Product:
    """Make a perpetual or future; inverse ones are counted in dollars."""
    inverse = market == "inverse"
    quote = "USD" if inverse else "USDT"
    one = Product(
        native=f"{spot.base}{quote}",
        symbol=f"{spot.base}-{quote}-PERP",
        kind="future" if expiry_ns else "perpetual",
        base=spot.base,
        quote=quote,
        settle=spot.base if inverse else quote,
        source=spot.source,
        tick=price_tick(spot.price, digits=6),
        lot=UNIT if inverse else size_lot(spot.price),
        price=spot.price,
        typical=3000.0 if inverse else 3000.0 / spot.price,
        market=market,
        expiry_ns=expiry_ns,
    )
    if not expiry_ns:
        return one
    return replace(
        one,
        native=f"{spot.base}{quote}-{one.expiry.day}{one.expiry:%b%y}".upper(),
        symbol=f"{spot.base}-{quote}-{one.expiry:%Y%m%d}",
    )


def _option(spot: Spot, expiry_ns: int, strike: float, *, call: bool) -> Product:
    one = Product(
        native="",
        symbol="",
        kind="option",
        base=spot.base,
        quote="USDT",
        settle="USDT",
        source=spot.source,
        tick=5 * UNIT,
        lot=UNIT // 100,
        price=0.0,
        typical=1.0,
        market="option",
        expiry_ns=expiry_ns,
        strike=strike,
        call=call,
    )
    end = f"{strike:g}-{'C' if call else 'P'}"
    return replace(
        one,
        native=f"{spot.base}-{one.expiry.day}{one.expiry:%b%y}-{end}-USDT".upper(),
        symbol=f"{spot.base}-USDT-{one.expiry:%Y%m%d}-{end}",
    )


# ------------------------------------------------------------------ words


def _request(frame: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("op"), str):
        return None
    return found if isinstance(found.get("args", []), list) else None


def _connection(client: Client) -> str:
    return f"d8bu1olkndm7crnfs{client.number:x}-sim"


def _answer(market: str, client: Client, word: str, number: str, *, success: bool, text: str) -> bytes:
    answer = {"success": success, "ret_msg": text, "conn_id": _connection(client)}
    if number or market != "spot":
        answer["req_id"] = number
    return json({**answer, "op": word})


def _pong(market: str, client: Client, number: str, now_ns: int) -> bytes:
    if market == "option":
        return json({"args": [str(now_ns // 1_000_000)], "op": "pong"})
    return _answer(market, client, "ping", number, success=True, text="pong")


def _option_answer(client: Client, failed: list[str], good: list[str]) -> bytes:
    data = {"failTopics": failed, "successTopics": good}
    return json({"success": bool(good), "conn_id": _connection(client), "data": data, "type": "COMMAND_RESP"})


def _pairs(instrument: Instrument, levels: Sequence[tuple[int, int]]) -> list[tuple[str, str]]:
    return [(instrument.price(ticks), instrument.size(lots)) for ticks, lots in levels]


def _result(request: RestRequest, result: object) -> RestAnswer:
    now_ms = request.now_ns // 1_000_000
    return RestAnswer(json({"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": now_ms}))


def _error(request: RestRequest, code: int, reason: str) -> RestAnswer:
    now_ms = request.now_ns // 1_000_000
    return RestAnswer(json({"retCode": code, "retMsg": reason, "result": {}, "retExtInfo": {}, "time": now_ms}))


def _number(request: RestRequest, name: str, default: int, most: int) -> int:
    given = request.query.get(name, "")
    return min(int(given), most) if given.isascii() and given.isdigit() else default
