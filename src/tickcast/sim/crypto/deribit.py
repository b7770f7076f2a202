"""DERIBIT: inverse perpetuals, futures and options, linear perpetuals, over one JSON-RPC socket.

Sources, as of 2026: docs.deribit.com, ``public/subscribe``, ``public/set_heartbeat``, ``public/get_instruments``,
``public/get_order_book``, subscriptions ``book``, ``trades``, ``ticker``, ``quote``, ``deribit_price_index``,
``instrument.state``; article "Rate Limits". Numbers are JSON numbers; channels that do not exist are left out of the
list that answers a subscription; raw intervals want a login, which there is none.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

import msgspec

from tickcast.sim.crypto.listing import Product, Spot, expiries, strikes
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Stream, Topic, Trade
from tickcast.sim.crypto.voice import Books, House, Reaction, RestAnswer, RestRequest, Voice, json
from tickcast.sim.universe import UNIT

_COINS: Final = 2
"""Coins with inverse instruments."""
_STRIKES: Final = 3
_INTERVALS: Final = {"100ms": 100, "agg2": 1000}
_NEVER_MS: Final = 32_503_708_800_000
"""When a perpetual expires, by its list: in the year 3000."""


class RpcError(Exception):
    """An answer that says why not."""

    def __init__(self, code: int, message: str, **data: str) -> None:
        super().__init__(message)
        self.error: dict[str, Any] = {"code": code, "message": message}
        if data:
            self.error["data"] = data


class DeribitVoice(Voice):
    """Books chained by ``prev_change_id``; what is subscribed to begins with a whole book."""

    code: ClassVar[str] = "DERIBIT"
    paths: ClassVar[Mapping[str, str]] = {"": "/ws/api/v2"}
    rest_prefix: ClassVar[str] = "/api/v2/public/"
    house: ClassVar[House] = House(messages_per_s=20, topics_max=2000, weight=100, weight_per_s=5.0, heartbeat_s=15.0)
    asks: ClassVar[bool] = True

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        super().__init__(instruments)
        self._indices = {index_of(one.product): one for one in reversed(instruments)}

    @classmethod
    def products(cls, spots: Sequence[Spot], start_ns: int) -> list[Product]:
        """List what derives from the first two coins, and linear perpetuals of the next."""
        coins = [spot for spot in spots if not spot.stock]
        found = [_product(spot, kind="perpetual", name="PERPETUAL") for spot in coins[:_COINS]]
        for spot in coins[:_COINS]:
            (expiry_ns,) = expiries(start_ns, 60)
            found.append(_dated(spot, expiry_ns))
            for strike in strikes(spot.price, _STRIKES):
                found += [_option(spot, expiry_ns, strike, call=call) for call in (True, False)]
        return [*found, *(_linear(spot) for spot in coins[_COINS : _COINS + 3])]

    # ------------------------------------------------------------------ a connection

    def receive(self, client: Client, frame: bytes, now_ns: int) -> Reaction:
        """Carry out one request and write its answer."""
        try:
            request = msgspec.json.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _failed(None, RpcError(-32700, "Parse error"))
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _failed(None, RpcError(-32600, "Invalid Request"))
        parameters = request.get("params") or {}
        methods: dict[str, Callable[[Client, Any, int], tuple[Any, Reaction]]] = {
            "public/subscribe": self._subscribe,
            "public/unsubscribe": self._unsubscribe,
            "public/unsubscribe_all": lambda who, *_: ("ok", Reaction(unsubscribe=list(who.topics))),
            "public/set_heartbeat": self._set_heartbeat,
            "public/disable_heartbeat": lambda who, *_: (who.memory.pop("heartbeat", None), ("ok", Reaction()))[1],
            "public/test": lambda who, *_: (who.memory.pop("owes", None), ({"version": "1.2.26"}, Reaction()))[1],
            "public/hello": lambda *_: ({"version": "1.2.26"}, Reaction()),
            "public/get_time": lambda *_: (now_ns // 1_000_000, Reaction()),
        }
        method = methods.get(request["method"])
        try:
            if method is None:
                raise RpcError(-32601, "Method not found")
            result, reaction = method(client, parameters, now_ns)
        except RpcError as wrong:
            return _failed(request.get("id"), wrong)
        reaction.answers.append(_answer(request.get("id"), {"result": result}, now_ns))
        return reaction

    def heartbeat(self, client: Client, now_ns: int) -> Reaction:
        """Ask clients that wanted to be asked whether they live; close those that did not answer."""
        del now_ns
        if "heartbeat" not in client.memory:
            return Reaction()
        if client.memory.get("owes"):
            return Reaction(close=(1000, "test_request was not answered"))
        client.memory["owes"] = True
        return Reaction([json({"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}})])

    def _subscribe(self, client: Client, parameters: Any, now_ns: int) -> tuple[Any, Reaction]:
        del now_ns
        names = _channels(parameters)
        if any(name.endswith(".raw") for name in names):
            raise RpcError(13778, "raw_subscriptions_not_available_for_unauthorized")
        topics = {name: topic for name in names if (topic := self._topic(name)) is not None and self.takes(topic)}
        if len({*client.topics, *topics.values()}) > self.house.topics_max:
            raise RpcError(10029, "subscription_limit_reached")
        return list(topics), Reaction(subscribe=list(topics.values()))

    def _unsubscribe(self, client: Client, parameters: Any, now_ns: int) -> tuple[Any, Reaction]:
        del now_ns
        topics = {name: topic for name in _channels(parameters) if (topic := self._topic(name)) in client.topics}
        return list(topics), Reaction(unsubscribe=[topic for topic in topics.values() if topic is not None])

    @staticmethod
    def _set_heartbeat(client: Client, parameters: Any, now_ns: int) -> tuple[Any, Reaction]:
        del now_ns
        interval = parameters.get("interval") if isinstance(parameters, dict) else None
        if not isinstance(interval, int | float) or interval < 10:
            raise RpcError(-32602, "Invalid params", param="interval", reason="must be at least 10")
        client.memory["heartbeat"] = interval
        return "ok", Reaction()

    def _topic(self, name: str) -> Topic | None:
        """Return the topic of a channel; None: there is no such channel."""
        word, *rest = name.split(".")
        if name in {"platform_state", "announcements"}:
            return Topic("other", key=name)
        if word == "instrument" and rest[:1] == ["state"] and len(rest) == 3:
            return Topic("status", channel="instrument.state", key=name)
        if word == "deribit_price_index" and (source := self._indices.get(".".join(rest))) is not None:
            return Topic("index", source.native, channel=word, key=name, interval_ms=1000, always=True)
        known = bool(rest) and ("", rest[0]) in self.by_native
        return _instrument_topic(name, word, rest) if known else None

    # ------------------------------------------------------------------ news

    def begin(self, stream: Stream, book: BookNews | None, now_ns: int) -> Iterable[bytes]:
        """Write a whole book, or the newest values."""
        if book is not None:
            yield from self.book(stream, book, now_ns)
        elif stream.instrument is not None and stream.topic.kind in {"quote", "ticker", "index"}:
            yield from self.values(stream, stream.instrument, now_ns)

    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        """Write a snapshot, changes, or the best levels as they are."""
        instrument = stream.instrument
        assert instrument is not None  # noqa: S101  topics of books name one
        del now_ns
        if stream.topic.whole:
            word, write = "", _level
        else:
            word = f'"type":"{"snapshot" if news.snapshot else "change"}",'
            write = _new if news.snapshot else _change
        previous = "" if news.snapshot or stream.topic.whole else f'"prev_change_id":{news.previous},'
        bids, asks = (",".join([write(instrument, *level) for level in side]) for side in (news.bids, news.asks))
        yield _told(
            stream,
            f'{{{word}"timestamp":{instrument.update_ns // 1_000_000},{previous}'
            f'"instrument_name":"{instrument.native}","change_id":{news.last},"bids":[{bids}],"asks":[{asks}]}}',
        )

    def trades(self, stream: Stream, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> Iterable[bytes]:
        """Write all of a slice in one notification."""
        del now_ns
        if trades:
            yield _told(stream, f"[{','.join([_trade(instrument, trade) for trade in trades])}]")

    def values(self, stream: Stream, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
        """Write best bid and offer, the ticker, an index or a state."""
        now_ms = now_ns // 1_000_000
        match stream.topic.kind:
            case "quote":
                name = instrument.native
                yield _told(stream, f'{{"timestamp":{now_ms},"instrument_name":"{name}",{_best(instrument)}}}')
            case "ticker":
                yield _told(stream, _ticker(instrument, now_ms))
            case "index":
                price, name = f"{instrument.index_price:.2f}", stream.topic.key.partition(".")[2]
                yield _told(stream, f'{{"timestamp":{now_ms},"price":{price},"index_name":"{name}"}}')
            case "status":
                state = "locked" if instrument.halted else "open"
                name = instrument.native
                yield _told(stream, f'{{"timestamp":{now_ms},"state":"{state}","instrument_name":"{name}"}}')
            case _:
                return

    # ------------------------------------------------------------------ REST

    def rest(self, request: RestRequest, books: Books) -> RestAnswer:
        """Answer."""
        try:
            match request.path.removeprefix(self.rest_prefix):
                case "get_instruments":
                    result = self._instruments(request)
                case "get_order_book":
                    result = self._order_book(request, books)
                case "get_last_trades_by_instrument":
                    result = self._trades(request)
                case "get_time":
                    result = json(request.now_ns // 1_000_000)
                case "test":
                    result = json({"version": "1.2.26"})
                case _:
                    raise RpcError(-32601, "Method not found")
        except RpcError as wrong:
            return RestAnswer(json({"jsonrpc": "2.0", "error": wrong.error}), status=400)
        now_us = request.now_ns // 1000
        tail = f',"usIn":{now_us},"usOut":{now_us + 90},"usDiff":90,"testnet":false}}'
        return RestAnswer(b'{"jsonrpc":"2.0","result":' + result + tail.encode())

    def weight(self, request: RestRequest) -> int:
        """Weigh a request in requests of the ordinary cost."""
        return 4 if request.path.endswith("get_instruments") else 1

    def too_many(self) -> RestAnswer:
        """Write the venue's 429."""
        return RestAnswer(
            json({"jsonrpc": "2.0", "error": {"code": 10028, "message": "too_many_requests"}}), status=429
        )

    def _instruments(self, request: RestRequest) -> bytes:
        currency, kind = request.query.get("currency", ""), request.query.get("kind", "")
        if not currency:
            raise RpcError(-32602, "Invalid params", param="currency", reason="is required")
        entries = [_entry(one) for one in self.instruments if currency in {"any", one.product.settle}]
        return json([entry for entry in entries if kind in {"", "any", entry["kind"]}])

    def _order_book(self, request: RestRequest, books: Books) -> bytes:
        instrument = self.by_native.get(("", request.query.get("instrument_name", "")))
        if instrument is None:
            raise RpcError(13020, "instrument_not_found")
        depth = request.query.get("depth", "5")
        book = books.snapshot(instrument, int(depth) if depth.isascii() and depth.isdigit() else 5)
        bids, asks = (",".join([_level(instrument, *level) for level in side]) for side in (book.bids, book.asks))
        return (
            f'{{"timestamp":{instrument.update_ns // 1_000_000},"state":"open","instrument_name":"{instrument.native}",'
            f'"change_id":{book.last},{_best(instrument)},"bids":[{bids}],"asks":[{asks}]}}'
        ).encode()

    def _trades(self, request: RestRequest) -> bytes:
        """List the trades between two numbers, or the newest."""
        instrument = self.by_native.get(("", request.query.get("instrument_name", "")))
        if instrument is None:
            raise RpcError(13020, "instrument_not_found")
        start, end, count = (request.query.get(name, "") for name in ("start_seq", "end_seq", "count"))
        most = min(int(count), 1000) if count.isdecimal() else 10
        found = [
            one
            for one in instrument.trades
            if (not start.isdecimal() or one.id >= int(start)) and (not end.isdecimal() or one.id <= int(end))
        ]
        chosen = found[:most] if start else found[-most:]
        if request.query.get("sorting") != "asc":
            chosen.reverse()
        rows, more = ",".join([_trade(instrument, one) for one in chosen]), len(chosen) < len(found)
        return f'{{"trades":[{rows}],"has_more":{"true" if more else "false"}}}'.encode()


def _instrument_topic(name: str, word: str, rest: list[str]) -> Topic | None:
    """Return the topic of an instrument's channel: its name, then group and depth of a book, then an interval."""
    native, interval = rest[0], _INTERVALS.get(rest[-1])
    match word, len(rest):
        case "quote", 1:
            return Topic("quote", native, channel=word, key=name)
        case (("book" | "ticker"), 2) if interval:
            return Topic(word, native, channel=word, key=name, interval_ms=interval)
        case "trades", 2 if interval:
            return Topic("trade", native, channel=word, key=name, interval_ms=interval)
        case "book", 4 if interval and rest[1] == "none" and rest[2] in {"1", "10", "20"}:
            depth = int(rest[2])
            return Topic("book", native, channel=word, key=name, interval_ms=interval, depth=depth, whole=True)
        case _:
            return None


def index_of(product: Product) -> str:
    """Return the venue's name of the index that a product derives from."""
    return f"{product.base}_{product.quote}".lower()


def _product(
    spot: Spot, *, kind: Any, name: str, expiry_ns: int = 0, strike: float = 0.0, call: bool = True
) -> Product:
    """Make an inverse product: futures are sized in USD, options in the coin."""
    option, day = kind == "option", _day(expiry_ns)
    suffix = f"{day}-{strike:.0f}-{'C' if call else 'P'}" if option else day or "PERP"
    return Product(
        native=f"{spot.base}-{name}",
        symbol=f"{spot.base}-USD-{suffix}",
        kind=kind,
        base=spot.base,
        quote="USD",
        settle=spot.base,
        source=spot.source,
        tick=50_000 if option else UNIT // 2 if spot.price > 10_000 else UNIT // 20,
        lot=UNIT // 10 if option else 10 * UNIT,
        price=0.0 if option else spot.price,
        typical=5.0 if option else 3000.0,
        contract_size="1" if option else "10",
        in_coin=option,
        expiry_ns=expiry_ns,
        strike=strike,
        call=call,
    )


def _dated(spot: Spot, expiry_ns: int) -> Product:
    return _product(spot, kind="future", name=_native_day(expiry_ns), expiry_ns=expiry_ns)


def _option(spot: Spot, expiry_ns: int, strike: float, *, call: bool) -> Product:
    name = f"{_native_day(expiry_ns)}-{strike:.0f}-{'C' if call else 'P'}"
    return _product(spot, kind="option", name=name, expiry_ns=expiry_ns, strike=strike, call=call)


def _linear(spot: Spot) -> Product:
    return Product(
        native=f"{spot.base}_USDC-PERPETUAL",
        symbol=f"{spot.base}-USDC-PERP",
        kind="perpetual",
        base=spot.base,
        quote="USDC",
        settle="USDC",
        source=spot.source,
        tick=max(int(spot.price * UNIT / 20_000), 1),
        lot=UNIT,
        price=spot.price,
        typical=3000.0 / spot.price,
    )


def _moment(expiry_ns: int) -> datetime:
    return datetime.fromtimestamp(expiry_ns // 1_000_000_000, UTC)


def _day(expiry_ns: int) -> str:
    return _moment(expiry_ns).strftime("%Y%m%d") if expiry_ns else ""


def _native_day(expiry_ns: int) -> str:
    """Write a day as the venue does: ``3JAN26``."""
    return _moment(expiry_ns).strftime("%d%b%y").upper().lstrip("0")


def _channels(parameters: Any) -> list[str]:
    names = parameters.get("channels") if isinstance(parameters, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RpcError(-32602, "Invalid params", param="channels", reason="must be a list of strings")
    return names


def _answer(ident: Any, body: dict[str, Any], now_ns: int) -> bytes:
    times = {"usIn": now_ns // 1000, "usOut": now_ns // 1000 + 90, "usDiff": 90, "testnet": False}
    return json({"jsonrpc": "2.0", "id": ident, **body, **times})


def _failed(ident: Any, wrong: RpcError) -> Reaction:
    return Reaction([json({"jsonrpc": "2.0", "id": ident, "error": wrong.error})])


def _told(stream: Stream, data: str) -> bytes:
    channel = stream.topic.key
    return f'{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"{channel}","data":{data}}}}}'.encode()


def _level(instrument: Instrument, price: int, size: int) -> str:
    return f"[{instrument.price(price)},{instrument.size(size)}]"


def _new(instrument: Instrument, price: int, size: int) -> str:
    return f'["new",{instrument.price(price)},{instrument.size(size)}]'


def _change(instrument: Instrument, price: int, size: int) -> str:
    return f'["{"change" if size else "delete"}",{instrument.price(price)},{instrument.size(size)}]'


def _best(instrument: Instrument) -> str:
    bid, bid_size, ask, ask_size = instrument.best
    price, size = instrument.price, instrument.size
    return (
        f'"best_bid_price":{price(bid)},"best_bid_amount":{size(bid_size)},'
        f'"best_ask_price":{price(ask)},"best_ask_amount":{size(ask_size)}'
    )


def _trade(instrument: Instrument, trade: Trade) -> str:
    product = instrument.product
    liquidation = f'"liquidation":"{"T" if trade.buy else "M"}",' if trade.liquidation else ""
    volatility = f'"iv":{100 * instrument.greeks.volatility:.2f},' if product.kind == "option" else ""
    ident = f"{trade.id}" if product.base == "BTC" else f"{product.base}-{trade.id}"
    return (
        f'{{"trade_seq":{trade.id},"trade_id":"{ident}","timestamp":{trade.ts_ns // 1_000_000},"tick_direction":0,'
        f'"price":{instrument.price(trade.price)},{volatility}{liquidation}'
        f'"mark_price":{instrument.price(instrument.mark)},"instrument_name":"{instrument.native}",'
        f'"index_price":{instrument.index_price:.2f},"direction":"{"buy" if trade.buy else "sell"}",'
        f'"amount":{instrument.size(trade.size)}}}'
    )


def _ticker(instrument: Instrument, now_ms: int) -> str:
    product, stats, price = instrument.product, instrument.stats, instrument.price
    traded = stats.count > 0
    high, low, volume = (
        (price(stats.high), price(stats.low), instrument.size(stats.volume)) if traded else ("null", "null", "null")
    )
    parts = [
        f'"timestamp":{now_ms},"stats":{{"volume":{volume},"price_change":null,"low":{low},"high":{high}}}',
        f'"state":"{"locked" if instrument.halted else "open"}"',
        f'"open_interest":{instrument.size(instrument.open_interest)}',
        f'"mark_price":{price(instrument.mark)},"last_price":{price(stats.last) if traded else "null"}',
        f'"instrument_name":"{instrument.native}","index_price":{instrument.index_price:.2f}',
        f'"estimated_delivery_price":{instrument.index_price:.2f}',
        _best(instrument),
    ]
    if product.kind == "perpetual":
        parts.append(f'"funding_8h":{instrument.funding:.8f},"current_funding":{instrument.funding:.8f}')
    if product.kind == "option":
        greeks = instrument.greeks
        percent = f"{100 * greeks.volatility:.2f}"
        parts.append(
            f'"underlying_price":{instrument.underlying_price:.2f},"underlying_index":"{index_of(product)}",'
            f'"mark_iv":{percent},"bid_iv":{percent},"ask_iv":{percent},"interest_rate":0.0,'
            f'"greeks":{{"vega":{greeks.vega:.5f},"theta":{greeks.theta:.5f},"rho":{greeks.rho:.5f},'
            f'"gamma":{greeks.gamma:.5f},"delta":{greeks.delta:.5f}}}'
        )
    return f"{{{','.join(parts)}}}"


def _entry(instrument: Instrument) -> dict[str, Any]:
    product = instrument.product
    option = product.kind == "option"
    inverse = product.quote == "USD"
    entry: dict[str, Any] = {
        "instrument_name": product.native,
        "kind": "option" if option else "future",
        "price_index": index_of(product),
        "base_currency": product.base,
        "quote_currency": product.base if option else product.quote,
        "counter_currency": product.quote,
        "settlement_currency": product.settle,
        "settlement_period": "perpetual" if product.kind == "perpetual" else "month",
        "instrument_type": "reversed" if inverse else "linear",
        "tick_size": product.tick / UNIT,
        "tick_size_steps": [],
        "min_trade_amount": product.lot / UNIT,
        "contract_size": float(product.contract_size),
        "state": "locked" if instrument.halted else "open",
        "is_active": True,
        "instrument_id": instrument.row + 1,
        "creation_timestamp": 1_534_242_287_000,
        "expiration_timestamp": product.expiry_ns // 1_000_000 or _NEVER_MS,
    }
    if option:
        entry |= {"strike": product.strike, "option_type": "call" if product.call else "put"}
    return entry
