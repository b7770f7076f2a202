"""BITMEX: inverse, linear and quanto contracts and spot pairs, as tables whose rows are inserted, updated and deleted.

Sources, as of 2026: www.bitmex.com/app/wsAPI (subscriptions, ``partial``, ``keys``), API announcements of 2022 and 2023
(timestamps and prices in every row of ``orderBookL2``, ids that say nothing, no nulls), "instrument field definitions",
REST ``instrument/active`` and ``orderBook/L2``; a session recorded on 2021-07-22.
"""

from calendar import FRIDAY, monthcalendar
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

import msgspec

from tickcast.sim.crypto.listing import Product, Spot, expiries
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Kind, Stream, Topic, Trade
from tickcast.sim.crypto.times import iso
from tickcast.sim.crypto.voice import Books, House, Reaction, RestAnswer, RestRequest, Voice, json
from tickcast.sim.market import ASK, BID
from tickcast.sim.universe import UNIT

TRADES_MAX: Final = 1000
"""Of an answer over REST."""
TABLES: Final[Mapping[str, Kind]] = {
    "trade": "trade",
    "quote": "quote",
    "orderBookL2": "book",
    "orderBookL2_25": "book",
    "instrument": "ticker",
    "liquidation": "liquidation",
}
KEYS: Final = {
    "orderBookL2": ["symbol", "id", "side"],
    "orderBookL2_25": ["symbol", "id", "side"],
    "instrument": ["symbol"],
    "liquidation": ["orderID"],
}
SIDES: Final = ((ASK, "Sell"), (BID, "Buy"))
MONTHS: Final = "FGHJKMNQUVXZ"
NAMES: Final = {"BTC": "XBT"}
LINEAR: Final = 1_000_000
"""Contracts for one coin."""
QUANTO: Final = 100
"""Satoshis for a point of the price."""
_LINEAR_COUNT: Final = 3
_FIGURES_MS: Final = 500


class BitmexVoice(Voice):
    """Books by id, which nothing counts."""

    code: ClassVar[str] = "BITMEX"
    paths: ClassVar[Mapping[str, str]] = {"": "/realtime"}
    rest_prefix: ClassVar[str] = "/api/v1/"
    house: ClassVar[House] = House(weight=30, weight_per_s=60.0)
    restart: ClassVar = "cut"

    @classmethod
    def products(cls, spots: Sequence[Spot], start_ns: int) -> list[Product]:
        """List the first coin's inverse perpetual and future, linear perpetuals, a quanto one and a pair."""
        coins = [spot for spot in spots if not spot.stock]
        found = [_inverse(coins[0], 0)]
        found += [_linear(spot) for spot in coins[:_LINEAR_COUNT]]
        found += [_quanto(spot) for spot in coins[1:2]]
        found.append(_inverse(coins[0], _last_friday(expiries(start_ns, 60)[0])))
        return [*found, _pair(coins[0])]

    # ------------------------------------------------------------------ a connection

    def greet(self, client: Client) -> Reaction:
        """Welcome."""
        text = "Welcome to the BitMEX Realtime API."
        greeting = {
            "info": text,
            "version": "2.0.0",
            "timestamp": iso(client.connected_ns, digits=3),
            "docs": "https://www.bitmex.com/app/wsAPI",
            "heartbeatEnabled": False,
            "limit": {"remaining": 719},
        }
        return Reaction(answers=[json(greeting)])

    def receive(self, client: Client, frame: bytes, now_ns: int) -> Reaction:
        """Carry out one operation: an answer for each table."""
        del now_ns
        if frame == b"ping":
            return Reaction([b"pong"])
        try:
            request = msgspec.json.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _failed(400, "Unrecognized request. Did you mean to send an array?", frame.decode(errors="replace"))
        if not isinstance(request, dict) or request.get("op") not in {"subscribe", "unsubscribe"}:
            return _failed(400, "Unknown or unsupported op.", request)
        arguments = request.get("args", [])
        reaction = Reaction()
        for argument in [arguments] if isinstance(arguments, str) else arguments:
            self._carry_out(client, request, str(argument), reaction)
        return reaction

    def _carry_out(self, client: Client, request: Mapping[str, Any], name: str, reaction: Reaction) -> None:
        topics = self._topics(name)
        word = request["op"]
        if not topics:
            reaction.answers += _failed(400, f"Unknown table or unknown symbol: {name}", request).answers
        elif word == "unsubscribe":
            reaction.unsubscribe += topics
            reaction.answers.append(json({"success": True, "unsubscribe": name, "request": request}))
        elif not all(map(self.takes, topics)):
            reaction.answers += _failed(400, f"Unknown or expired symbol: {name}", request).answers
        elif topics[0] in client.topics:
            wrong = f"You are already subscribed to this topic: {name}"
            reaction.answers += _failed(400, wrong, request).answers
        else:
            reaction.subscribe += topics
            reaction.answers.append(json({"success": True, "subscribe": name, "request": request, "pool": "Primary"}))

    def _topics(self, name: str) -> list[Topic]:
        """Return what a table of an instrument tells; its states are rows of ``instrument`` too."""
        table, _, native = name.partition(":")
        if table not in TABLES or ("", native) not in self.by_native:
            return []
        depth = 25 if table.endswith("_25") else 0
        figures = _FIGURES_MS if table == "instrument" else 0
        found = [Topic(TABLES[table], native, channel=table, key=name, depth=depth, interval_ms=figures)]
        return [*found, Topic("status", native, channel=table, key=name)] if figures else found

    # ------------------------------------------------------------------ news

    def begin(self, stream: Stream, book: BookNews | None, now_ns: int) -> Iterable[bytes]:
        """Write the whole table: of trades the last one."""
        instrument, topic = stream.instrument, stream.topic
        if instrument is None or topic.kind == "status":
            return
        if book is not None:
            rows = _levels(instrument, book.bids, book.asks, now_ns)
        elif topic.kind == "trade":
            rows = [_trade(instrument, trade) for trade in list(instrument.trades)[-1:]]
        elif topic.kind == "quote":
            rows = [_quote(instrument, now_ns)]
        elif topic.kind == "ticker":
            rows = [_figures(instrument, now_ns, whole=True)]
        else:
            rows = []
        yield _partial(topic.channel, instrument, rows)

    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        """Write what is gone, what has another size, and what is new, each in a message of its own."""
        instrument, name = stream.instrument, stream.topic.channel
        assert instrument is not None  # noqa: S101  topics of books name one
        if news.snapshot:
            yield _partial(name, instrument, _levels(instrument, news.bids, news.asks, now_ns))
            return
        rows: dict[str, list[str]] = {"delete": [], "update": [], "insert": []}
        for (side, _), changes in zip(SIDES, (news.asks, news.bids), strict=True):
            for price, size in changes:
                was = price in news.before[side]
                action = ("update" if was else "insert") if size else "delete"
                if was or size:
                    rows[action].append(_level(instrument, side, price, size, now_ns))
        for action, found in rows.items():
            if found:
                yield _table(name, action, found)

    def trades(self, stream: Stream, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> Iterable[bytes]:
        """Write the trades of a slice, or a liquidation's order, which is filled at once."""
        if stream.topic.kind == "trade":
            yield _table("trade", "insert", [_trade(instrument, trade) for trade in trades])
            return
        del now_ns
        for trade in trades:
            ident = f'"orderID":"{_guid(instrument, trade.id, 0xF)}","symbol":"{instrument.native}"'
            side = "Buy" if trade.buy else "Sell"
            row = f'{{{ident},"side":"{side}","price":{instrument.price(trade.price)}'
            yield _table("liquidation", "insert", [f'{row},"leavesQty":{instrument.size(trade.size)}}}'])
            yield _table("liquidation", "update", [f'{{{ident},"leavesQty":0}}'])
            yield _table("liquidation", "delete", [f"{{{ident}}}"])

    def values(self, stream: Stream, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
        """Write a quote, figures, or a state."""
        if stream.topic.kind == "quote":
            yield _table("quote", "insert", [_quote(instrument, now_ns)])
        elif stream.topic.kind == "status":
            row = f'{{"symbol":"{instrument.native}","state":"{_state(instrument)}","timestamp":"{_time(now_ns)}"}}'
            yield _table("instrument", "update", [row])
        else:
            yield _table("instrument", "update", [_figures(instrument, now_ns, whole=False)])

    # ------------------------------------------------------------------ REST

    def rest(self, request: RestRequest, books: Books) -> RestAnswer:
        """Answer; errors as the venue writes them."""
        answers: dict[str, Callable[[RestRequest, Books], RestAnswer]] = {
            "instrument/active": lambda *_: RestAnswer(json([_entry(one) for one in self.instruments])),
            "orderBook/L2": self._order_book,
            "trade": self._trades,
            "schema/websocketHelp": lambda *_: RestAnswer(json({"usage": {}, "subscriptionSubjects": {}})),
        }
        answer = answers.get(request.path.removeprefix(self.rest_prefix))
        return _wrong("Not Found", 404) if answer is None else answer(request, books)

    def _trades(self, request: RestRequest, books: Books) -> RestAnswer:
        """List trades of a time, oldest first unless the newest are asked for."""
        del books
        instrument = self.by_native.get(("", request.query.get("symbol", "")))
        count = request.query.get("count", "100")
        if instrument is None or not count.isdecimal() or int(count) > TRADES_MAX:
            return _wrong("Invalid symbol or count.", 400)
        begin, end = request.query.get("startTime", ""), request.query.get("endTime", "~")
        found = [one for one in instrument.trades if begin <= _time(one.ts_ns) <= end]
        if request.query.get("reverse") == "true":
            found.reverse()
        return RestAnswer(f"[{','.join([_trade(instrument, one) for one in found[: int(count)]])}]".encode())

    def too_many(self) -> RestAnswer:
        """Write the answer to too many requests."""
        return _wrong("Rate limit exceeded, retry in 1 seconds.", 429)

    def _order_book(self, request: RestRequest, books: Books) -> RestAnswer:
        instrument = self.by_native.get(("", request.query.get("symbol", "")))
        depth = request.query.get("depth", "25")
        if instrument is None or not depth.isdecimal():
            return _wrong("Invalid symbol or depth.", 400)
        book = books.snapshot(instrument, int(depth))
        rows = _levels(instrument, book.bids, book.asks, request.now_ns)
        return RestAnswer(f"[{','.join(rows)}]".encode())


# ------------------------------------------------------------------ frames


def _failed(status: int, wrong: str, request: object) -> Reaction:
    return Reaction([json({"status": status, "error": wrong, "meta": {}, "request": request})])


def _wrong(message: str, status: int) -> RestAnswer:
    return RestAnswer(json({"error": {"message": message, "name": "HTTPError"}}), status=status)


def _table(name: str, action: str, rows: Sequence[str]) -> bytes:
    return f'{{"table":"{name}","action":"{action}","data":[{",".join(rows)}]}}'.encode()


def _partial(name: str, instrument: Instrument, rows: Sequence[str]) -> bytes:
    keys = json(KEYS.get(name, [])).decode()
    return (
        f'{{"table":"{name}","action":"partial","keys":{keys},"types":{{}},'
        f'"filter":{{"symbol":"{instrument.native}"}},"data":[{",".join(rows)}]}}'
    ).encode()


def _time(now_ns: int) -> str:
    return iso(now_ns, digits=3)


def level_id(instrument: Instrument, side: int, price: int) -> int:
    """Return the id of a level: by instrument, side and price, which a client cannot know."""
    return (instrument.row + 1) * 10**12 + price * 2 + side


def _level(instrument: Instrument, side: int, price: int, size: int, now_ns: int) -> str:
    time = _time(instrument.update_ns or now_ns)
    sized = f'"size":{instrument.size(size)},' if size else ""
    return (
        f'{{"symbol":"{instrument.native}","id":{level_id(instrument, side, price)},'
        f'"side":"{"Sell" if side == ASK else "Buy"}",{sized}"price":{instrument.price(price)},'
        f'"timestamp":"{time}","transactTime":"{time}"}}'
    )


def _levels(
    instrument: Instrument, bids: Sequence[tuple[int, int]], asks: Sequence[tuple[int, int]], now_ns: int
) -> list[str]:
    """Write a whole book: asks from the worst on, then bids from the best on."""
    rows = [_level(instrument, ASK, price, size, now_ns) for price, size in reversed(asks)]
    return rows + [_level(instrument, BID, price, size, now_ns) for price, size in bids]


def _quote(instrument: Instrument, now_ns: int) -> str:
    bid, bid_size, ask, ask_size = instrument.best
    price, size = instrument.price, instrument.size
    parts = [f'"timestamp":"{_time(instrument.update_ns or now_ns)}","symbol":"{instrument.native}"']
    if bid:
        parts.append(f'"bidSize":{size(bid_size)},"bidPrice":{price(bid)}')
    if ask:
        parts.append(f'"askPrice":{price(ask)},"askSize":{size(ask_size)}')
    return f"{{{','.join(parts)}}}"


def _guid(instrument: Instrument, number: int, kind: int) -> str:
    return f"00000000-006d-1000-{kind:04x}-{(instrument.row << 36) + number:012x}"


def _trade(instrument: Instrument, trade: Trade) -> str:
    side = "Buy" if trade.buy else "Sell"
    return (
        f'{{"timestamp":"{_time(trade.ts_ns)}","symbol":"{instrument.native}","side":"{side}",'
        f'"size":{instrument.size(trade.size)},"price":{instrument.price(trade.price)},"tickDirection":"PlusTick",'
        f'"trdMatchID":"{_guid(instrument, trade.id, 0)}","trdType":"Regular"}}'
    )


def _state(instrument: Instrument) -> str:
    return "Closed" if instrument.halted else "Open"


def _figures(instrument: Instrument, now_ns: int, *, whole: bool) -> str:
    """Write a row of ``instrument``; what never changes is in the whole one only."""
    product, stats, price = instrument.product, instrument.stats, instrument.price
    parts = [f'"symbol":"{instrument.native}"']
    if whole:
        parts.append(f'"state":"{_state(instrument)}","typ":"{_TYPES[product.kind]}"')
    if product.kind != "spot":
        mark = f'"fairPrice":{price(instrument.mark)},"markPrice":{price(instrument.mark)}'
        parts.append(f'{mark},"indicativeSettlePrice":{instrument.index_price:.2f}')
        parts.append(f'"openInterest":{instrument.size(instrument.open_interest)}')
    if product.kind == "perpetual":
        time = _time(instrument.funding_next_ns)
        parts.append(f'"fundingRate":{instrument.funding:.8f},"fundingTimestamp":"{time}"')
        parts.append(f'"indicativeFundingRate":{instrument.funding:.8f}')
    if stats.count:
        parts.append(f'"highPrice":{price(stats.high)},"lowPrice":{price(stats.low)},"lastPrice":{price(stats.last)}')
        parts.append(f'"volume24h":{instrument.size(stats.volume)},"prevPrice24h":{price(stats.open)}')
    return f'{{{",".join(parts)},"timestamp":"{_time(now_ns)}"}}'


# ------------------------------------------------------------------ what it lists

_TYPES: Final = {"perpetual": "FFWCSX", "future": "FFCCSX", "spot": "IFXXXP"}


def _name(base: str) -> str:
    return NAMES.get(base, base)


def _last_friday(expiry_ns: int) -> int:
    """Return the last Friday of a time's month, noon in UTC."""
    moment = datetime.fromtimestamp(expiry_ns // 1_000_000_000, UTC)
    day = max(week[FRIDAY] for week in monthcalendar(moment.year, moment.month))
    return int(moment.replace(day=day, hour=12, minute=0, second=0).timestamp()) * 1_000_000_000


def _inverse(spot: Spot, expiry_ns: int) -> Product:
    """Make a contract of one dollar, settled in the coin."""
    moment = datetime.fromtimestamp(expiry_ns // 1_000_000_000, UTC)
    tail = f"{MONTHS[moment.month - 1]}{moment:%y}" if expiry_ns else "USD"
    return Product(
        native=f"{_name(spot.base)}{tail}",
        symbol=f"{spot.base}-USD-{f'{moment:%Y%m%d}' if expiry_ns else 'PERP'}",
        kind="future" if expiry_ns else "perpetual",
        base=spot.base,
        quote="USD",
        settle="XBt",
        source=spot.source,
        tick=UNIT // 2,
        lot=100 * UNIT,
        price=spot.price,
        typical=3000.0,
        expiry_ns=expiry_ns,
    )


def _linear(spot: Spot) -> Product:
    return Product(
        native=f"{_name(spot.base)}USDT",
        symbol=f"{spot.base}-USDT-PERP",
        kind="perpetual",
        base=spot.base,
        quote="USDT",
        settle="USDt",
        source=spot.source,
        tick=_tick(spot.price),
        lot=100 * UNIT,
        price=spot.price,
        typical=3000.0 * LINEAR / spot.price,
        contract_size="0.000001",
    )


def _quanto(spot: Spot) -> Product:
    return Product(
        native=f"{_name(spot.base)}USD",
        symbol=f"{spot.base}-USD-PERP",
        kind="perpetual",
        base=spot.base,
        quote="USD",
        settle="XBt",
        source=spot.source,
        tick=_tick(spot.price),
        lot=UNIT,
        price=spot.price,
        typical=500.0,
        contract_size="0.000001",
    )


def _pair(spot: Spot) -> Product:
    return Product(
        native=f"{_name(spot.base)}_USDT",
        symbol=f"{spot.base}-USDT",
        kind="spot",
        base=spot.base,
        quote="USDT",
        source=spot.source,
        tick=UNIT // 2,
        lot=1000 * UNIT,
        price=spot.price,
        typical=3000.0 * UNIT / spot.price,
        contract_size="0.00000001",
    )


def _tick(price: float) -> int:
    return max(int(price * UNIT / 20_000), 1)


def _entry(instrument: Instrument) -> dict[str, Any]:
    """Write an entry of the list: nothing is null."""
    product = instrument.product
    entry: dict[str, Any] = {
        "symbol": product.native,
        "rootSymbol": _name(product.base),
        "state": _state(instrument),
        "typ": _TYPES[product.kind],
        "underlying": _name(product.base),
        "quoteCurrency": product.quote,
        "lotSize": product.lot // UNIT,
        "tickSize": product.tick / UNIT,
        "isQuanto": False,
        "isInverse": False,
    }
    if product.kind == "spot":
        return entry | {"underlyingToPositionMultiplier": UNIT, "multiplier": 1}
    entry |= {"settlCurrency": product.settle, "fundingInterval": "2000-01-01T08:00:00.000Z"}
    if product.expiry_ns:
        entry["expiry"] = _time(product.expiry_ns)
    if product.quote == "USDT":
        return entry | {"underlyingToPositionMultiplier": LINEAR, "multiplier": 1}
    if product.contract_size == "1":
        inverse = {"isInverse": True, "multiplier": -UNIT, "underlyingToSettleMultiplier": -UNIT}
        return entry | inverse | {"positionCurrency": "USD"}
    return entry | {"isQuanto": True, "multiplier": QUANTO}
