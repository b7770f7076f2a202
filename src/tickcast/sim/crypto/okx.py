"""OKX: spot, perpetuals, futures, options and indices at ``/ws/v5/public``.

Sources, as of 2026: www.okx.com/docs-v5, "Overview / WebSocket", "Order Book Trading / Market Data" (order book
channel: ``prevSeqId``, -1 in a snapshot, lower numbers after a maintenance with the old ``prevSeqId``; the checksum is
retired, always 0), "Public Data / WebSocket". A subscription to trades begins with the last trade (recorded sessions).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

import msgspec

from tickcast.sim.crypto import checksums, okx_rows
from tickcast.sim.crypto.listing import Product, ProductKind, Spot, expiries, pair, price_tick, strikes
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Stream, Topic, Trade
from tickcast.sim.crypto.voice import Books, House, Reaction, RestAnswer, RestRequest, Voice, json
from tickcast.sim.universe import UNIT

_TYPES: Final[Mapping[str, ProductKind]] = {
    "SPOT": "spot",
    "SWAP": "perpetual",
    "FUTURES": "future",
    "OPTION": "option",
}
_OF_INSTRUMENT: Final[Mapping[str, Topic]] = {
    "trades": Topic("trade"),
    "trades-all": Topic("trade"),
    "bbo-tbt": Topic("quote", interval_ms=10),
    "books": Topic("book", interval_ms=100, depth=400),
    "books-l2-tbt": Topic("book", interval_ms=10, depth=400),
    "books50-l2-tbt": Topic("book", interval_ms=10, depth=50),
    "books5": Topic("book", interval_ms=100, depth=5, whole=True),
    "tickers": Topic("ticker", interval_ms=100),
    "mark-price": Topic("mark", interval_ms=200),
    "funding-rate": Topic("funding", interval_ms=30_000, always=True),
    "open-interest": Topic("open_interest", interval_ms=3000),
}
_BUSINESS: Final = ("trades-all",)
_WRONG: Final = "doesn't exist. Please use the correct URL, channel and parameters referring to API document."
"""Levels a side that a checksum covers."""
_LEVERAGED: Final = 4
"""Pairs with perpetuals; the first of them has futures and options too."""


class OkxVoice(Voice):
    """Snapshots and differences in the stream, chained by ``prevSeqId``."""

    code: ClassVar[str] = "OKX"
    paths: ClassVar[Mapping[str, str]] = {"public": "/ws/v5/public", "business": "/ws/v5/business"}
    rest_prefix: ClassVar[str] = "/api/v5/"
    house: ClassVar[House] = House(topics_max=480, weight=20, weight_per_s=2.0, silence_max_s=30.0)
    restart = "continue"
    checksums: ClassVar[bool] = False

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        super().__init__(instruments)
        self._named = {one.native: one for one in instruments}
        self._perpetuals = {okx_rows.family(one.product): one for one in instruments if one.product.kind == "perpetual"}

    @classmethod
    def products(cls, spots: Sequence[Spot], start_ns: int) -> list[Product]:
        """List the pairs, perpetuals of the first, and futures and options of the very first."""
        found = [pair(spot, f"{spot.base}-USDT", market="SPOT") for spot in spots]
        found += [_contract(spot, "SWAP", "USDT", 0) for spot in spots[:_LEVERAGED]]
        for spot in spots[:1]:
            found.append(_contract(spot, "SWAP", "USD", 0))
            ends = expiries(start_ns, 30, 90)
            found += [_contract(spot, "FUTURES", "USDT", end) for end in ends]
            found += [
                _option(spot, ends[0], strike, call=call) for strike in strikes(spot.price, 3) for call in (True, False)
            ]
        return found

    # ------------------------------------------------------------------ a connection

    def receive(self, client: Client, frame: bytes, now_ns: int) -> Reaction:
        """Carry out one operation: an answer for each argument, or one error."""
        del now_ns
        if frame == b"ping":
            return Reaction([b"pong"])
        reaction = Reaction()
        operation = _operation(frame)
        if operation is None:
            text = frame.decode(errors="replace")
            return Reaction([_event(client, event="error", code="60012", msg=f"Invalid request: {text}")])
        for argument in operation["args"]:
            topic = self._topic(client, argument)
            word = operation["op"]
            if topic is None or (word == "subscribe" and not self.takes(topic)):
                named = ",".join(f"{key}:{value}" for key, value in argument.items())
                msg = f"Wrong URL or {named} {_WRONG}"
                reaction.answers.append(_event(client, event="error", code="60018", msg=msg))
                continue
            (reaction.subscribe if word == "subscribe" else reaction.unsubscribe).append(topic)
            reaction.answers.append(_event(client, event=word, arg=argument))
        return reaction

    def farewell(self, client: Client, now_ns: int) -> Sequence[bytes]:
        """Announce a service upgrade."""
        del now_ns
        msg = "The connection will soon be closed for a service upgrade. Please reconnect."
        return [_event(client, event="notice", code="64008", msg=msg)]

    def _topic(self, client: Client, argument: Mapping[str, str]) -> Topic | None:
        """Return the topic of a subscription's argument; None: this address has no such channel."""
        channel, native = argument.get("channel", ""), argument.get("instId", "")
        if (client.endpoint == "business") != (channel in _BUSINESS):
            return None
        key = json(argument).decode()
        if (known := _OF_INSTRUMENT.get(channel)) is not None and native in self._named:
            market = self._named[native].product.market
            return replace(known, native=native, channel=channel, key=key, market=market)
        if channel == "index-tickers" and (perpetual := self._perpetuals.get(native)) is not None:
            return Topic("index", perpetual.native, channel=channel, key=key, market="SWAP", interval_ms=100)
        if channel == "status":
            return Topic("other", channel=channel, key=key)
        return _market_topic(channel, argument, key)

    # ------------------------------------------------------------------ news

    def begin(self, stream: Stream, book: BookNews | None, now_ns: int) -> Iterable[bytes]:
        """Say what a channel begins with: a whole book, the last trade, all instruments, the newest values."""
        topic, instrument = stream.topic, stream.instrument
        if book is not None:
            yield from self.book(stream, book, now_ns)
        elif topic.kind == "trade":
            if instrument is not None and instrument.trades:
                yield okx_rows.trades(topic, instrument, [instrument.trades[-1]])
        elif topic.kind == "status":
            chosen = [one for one in self.instruments if one.product.market == topic.market]
            yield okx_rows.push(topic, ",".join(json(okx_rows.entry(one)).decode() for one in chosen))
        elif instrument is not None:
            yield from self.values(stream, instrument, now_ns)

    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        """Write a book message; of five levels every one is whole, without a word of it."""
        instrument = stream.instrument
        assert instrument is not None  # noqa: S101  topics of books name one
        sides = f'"asks":[{okx_rows.levels(instrument, news.asks)}],"bids":[{okx_rows.levels(instrument, news.bids)}]'
        ts = f'"ts":"{now_ns // 1_000_000}"'
        if stream.topic.whole:
            row = f'{{{sides},"instId":"{instrument.native}",{ts},"seqId":{news.last}}}'
            yield okx_rows.push(stream.topic, row)
            return
        previous = -1 if news.snapshot else news.previous
        row = (
            f'{{{sides},{ts},"checksum":{self.checksum(instrument, news)},"seqId":{news.last},"prevSeqId":{previous}}}'
        )
        yield okx_rows.push(stream.topic, row, action="snapshot" if news.snapshot else "update")

    def checksum(self, instrument: Instrument, news: BookNews) -> int:
        """Return what proves a book: the venue has retired it."""
        del instrument, news
        return 0

    def trades(self, stream: Stream, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> Iterable[bytes]:
        """Write a push for each trade, or for the liquidations of an instrument."""
        del now_ns
        if stream.topic.kind == "liquidation":
            yield okx_rows.liquidations(stream.topic, instrument, trades)
            return
        for trade in trades:
            yield okx_rows.trades(stream.topic, instrument, [trade])

    def values(self, stream: Stream, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
        """Write what any other channel says of an instrument."""
        topic, ts = stream.topic, str(now_ns // 1_000_000)
        row = okx_rows.ROWS.get(topic.channel)
        if row is None:
            return
        found = row(instrument, ts)
        if found:
            yield okx_rows.push(topic, found)

    # ------------------------------------------------------------------ REST

    def rest(self, request: RestRequest, books: Books) -> RestAnswer:
        """Answer; what is wrong is said with status 200 and a code."""
        word = request.path.removeprefix(self.rest_prefix)
        if word == "public/time":
            return _answer([{"ts": str(request.now_ns // 1_000_000)}])
        if word == "public/instruments":
            return self._list(request)
        if word == "public/underlying":
            return _answer([list(dict.fromkeys(okx_rows.family(one.product) for one in self._of("OPTION")))])
        if word == "market/books":
            return self._book(request, books)
        if word == "market/history-trades":
            return self._trades(request)
        return RestAnswer(json({"code": "404", "msg": "Not Found", "data": []}), status=404)

    def too_many(self) -> RestAnswer:
        """Write the venue's 429."""
        return RestAnswer(json({"code": "50011", "msg": "Too Many Requests", "data": []}), status=429)

    def _of(self, kind: str) -> list[Instrument]:
        return [one for one in self.instruments if one.product.market == kind]

    def _list(self, request: RestRequest) -> RestAnswer:
        kind, family = request.query.get("instType", ""), request.query.get("instFamily", "")
        if kind not in _TYPES:
            return _error("51000", "Parameter instType error")
        if kind == "OPTION" and not family:
            return _error("50015", "Either parameter uly or instFamily is required")
        return _answer(
            [okx_rows.entry(one) for one in self._of(kind) if not family or okx_rows.family(one.product) == family]
        )

    def _trades(self, request: RestRequest) -> RestAnswer:
        """Answer ``history-trades``: newest first, those before an id with ``after``."""
        instrument = self._named.get(request.query.get("instId", ""))
        if instrument is None:
            return _error("51001", "Instrument ID does not exist")
        given, after = request.query.get("limit", "100"), request.query.get("after", "")
        if not given.isdigit() or (after and not after.isdigit()) or request.query.get("type", "1") != "1":
            return _error("51000", "Parameter error")
        chosen = [one for one in instrument.trades if not after or one.id < int(after)]
        return _answer([okx_rows.match(instrument, one) for one in chosen[: -min(int(given), 100) - 1 : -1]])

    def _book(self, request: RestRequest, books: Books) -> RestAnswer:
        instrument = self._named.get(request.query.get("instId", ""))
        if instrument is None:
            return _error("51001", "Instrument ID does not exist")
        size = request.query.get("sz", "1")
        book = books.snapshot(instrument, min(int(size), 400) if size.isascii() and size.isdigit() else 1)
        return RestAnswer(
            (
                f'{{"code":"0","msg":"","data":[{{"asks":[{okx_rows.levels(instrument, book.asks)}],'
                f'"bids":[{okx_rows.levels(instrument, book.bids)}],"ts":"{request.now_ns // 1_000_000}",'
                f'"seqId":{book.last}}}]}}'
            ).encode()
        )


class SummedOkxVoice(OkxVoice):
    """OKX as it was until 2025: a checksum in every message of a book."""

    checksums: ClassVar[bool] = True

    def checksum(self, instrument: Instrument, news: BookNews) -> int:
        """Return the CRC32, signed, of the best 25 levels: bid and ask by turns, ``price:size``, as they are sent."""
        return checksums.by_turns(instrument, news)


def _market_topic(channel: str, argument: Mapping[str, str], key: str) -> Topic | None:
    """Return the topic of a channel of many instruments."""
    if channel == "opt-summary" and argument.get("instFamily"):
        return Topic("greeks", channel=channel, key=key, market="OPTION", interval_ms=1000)
    kind = argument.get("instType", "")
    if channel == "liquidation-orders" and kind in _TYPES:
        return Topic("liquidation", channel=channel, key=key, market=kind)
    if channel == "instruments" and kind in _TYPES:
        return Topic("status", channel=channel, key=key, market=kind)
    return None


# ------------------------------------------------------------------ products


def _contract(spot: Spot, market: str, quote: str, expiry_ns: int) -> Product:
    """Make a perpetual or future; linear ones are of a round amount of the coin, inverse ones of 100 USD."""
    inverse = quote == "USD"
    worth = 100.0 if inverse else spot.price * _coins(spot)
    one = Product(
        native=f"{spot.base}-{quote}-SWAP",
        symbol=f"{spot.base}-{quote}-PERP",
        kind="future" if expiry_ns else "perpetual",
        base=spot.base,
        quote=quote,
        settle=spot.base if inverse else quote,
        source=spot.source,
        tick=price_tick(spot.price, digits=6),
        lot=UNIT,
        price=spot.price,
        typical=max(3000.0 / worth, 1.0),
        market=market,
        contract_size="100" if inverse else f"{_coins(spot):g}",
        expiry_ns=expiry_ns,
    )
    if not expiry_ns:
        return one
    day = one.expiry.strftime("%Y%m%d")
    pair = f"{spot.base}-{quote}"
    return replace(one, native=f"{pair}-{day[2:]}", symbol=f"{pair}-{day}")


def _coins(spot: Spot) -> float:
    """Return a contract's amount of the coin: worth some hundred dollars at most."""
    return float(min(10.0 ** -(len(str(int(spot.price))) - 3), 1000.0)) if spot.price >= 1 else 1000.0


def _option(spot: Spot, expiry_ns: int, strike: float, *, call: bool) -> Product:
    one = Product(
        native="",
        symbol="",
        kind="option",
        base=spot.base,
        quote="USD",
        settle=spot.base,
        source=spot.source,
        tick=10_000,
        lot=UNIT,
        price=0.0,
        typical=10.0,
        market="OPTION",
        contract_size="0.01",
        in_coin=True,
        expiry_ns=expiry_ns,
        strike=strike,
        call=call,
    )
    day, end = one.expiry.strftime("%Y%m%d"), f"{strike:g}-{'C' if call else 'P'}"
    return replace(one, native=f"{spot.base}-USD-{day[2:]}-{end}", symbol=f"{spot.base}-USD-{day}-{end}")


# ------------------------------------------------------------------ words


def _operation(frame: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("op") not in {"subscribe", "unsubscribe"}:
        return None
    arguments = found.get("args")
    if not isinstance(arguments, list) or not arguments:
        return None
    good = all(isinstance(each, dict) and all(isinstance(value, str) for value in each.values()) for each in arguments)
    return found if good else None


def _event(client: Client, **words: object) -> bytes:
    return json({**words, "connId": f"{client.number:08x}"})


def _answer(data: object) -> RestAnswer:
    return RestAnswer(json({"code": "0", "msg": "", "data": data}))


def _error(code: str, reason: str) -> RestAnswer:
    return RestAnswer(json({"code": code, "msg": reason, "data": []}))
