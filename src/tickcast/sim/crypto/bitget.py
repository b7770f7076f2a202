"""BITGET: spot and futures margined in USDT, coins and USDC at one address, ``/v2/ws/public``.

Sources, as of 2026: www.bitget.com/api-doc/common/websocket-intro (ping, limits), "Spot / Websocket / Public" and
"Future / Websocket / Public" (ticker, trade, depth), "Public" (lists). Single frames of 2024 to 2026: snapshots have
the checksum 0.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

import msgspec

from tickcast.sim.crypto import bitget_rows
from tickcast.sim.crypto.listing import Product, Spot, price_tick, size_lot
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Stream, Topic, Trade
from tickcast.sim.crypto.voice import Books, House, Reaction, RestAnswer, RestRequest, Voice, json

WORDS: Final[Mapping[str, str]] = {
    "SPOT": "spot",
    "USDT-FUTURES": "usdt",
    "COIN-FUTURES": "coin",
    "USDC-FUTURES": "usdc",
}
"""The venue's words for its markets."""
CHANNELS: Final[Mapping[str, Topic]] = {
    "trade": Topic("trade"),
    "books": Topic("book", interval_ms=150, depth=500),
    "books1": Topic("quote", interval_ms=10),
    "books5": Topic("book", interval_ms=150, depth=5, whole=True),
    "books15": Topic("book", interval_ms=150, depth=15, whole=True),
    "ticker": Topic("ticker", interval_ms=300),
}
LEVERAGED: Final = 4
FILLS_MAX: Final = 1000
HISTORY: Final = 50


class BitgetVoice(Voice):
    """Numbers that name their predecessor, and a checksum that a whole book does not have."""

    code: ClassVar[str] = "BITGET"
    paths: ClassVar[Mapping[str, str]] = {"": "/v2/ws/public"}
    rest_prefix: ClassVar[str] = "/api/v2/"
    house: ClassVar[House] = House(messages_per_s=10, topics_max=1000, weight=20, weight_per_s=1.0, silence_max_s=120.0)
    restart: ClassVar = "cut"

    @classmethod
    def products(cls, spots: Sequence[Spot], start_ns: int) -> list[Product]:
        """List the pairs, perpetuals in USDT of the first, and of the very first perpetuals in coins and USDC."""
        del start_ns
        found = [_product(spot, "spot") for spot in spots]
        found += [_product(spot, "usdt") for spot in spots[:LEVERAGED]]
        return found + [_product(spot, market) for spot in spots[:1] for market in ("coin", "usdc")]

    # ------------------------------------------------------------------ a connection

    def receive(self, client: Client, frame: bytes, now_ns: int) -> Reaction:
        """Carry out one operation: each of its arguments for itself."""
        del now_ns
        if frame == b"ping":
            return Reaction([b"pong"])
        said = _operation(frame)
        if said is None:
            return Reaction([json({"event": "error", "code": 30003, "msg": "INVALID op", "op": "subscribe"})])
        reaction = Reaction()
        for argument in said["args"]:
            topic = self._topic(argument)
            is_leaving = said["op"] == "unsubscribe"
            if topic is None or not (is_leaving or self.takes(topic)):
                named = f"instType:{argument.get('instType')},channel:{argument.get('channel')}"
                text = f"{named},instId:{argument.get('instId')} doesn't exist"
                wrong = {"event": "error", "arg": argument, "code": 30001, "msg": text, "op": said["op"]}
                reaction.answers.append(json(wrong))
                continue
            if len(client.topics) + len(reaction.subscribe) >= self.house.topics_max and not is_leaving:
                wrong = {"event": "error", "arg": argument, "code": 30002, "msg": "too many channels", "op": said["op"]}
                reaction.answers.append(json(wrong))
                continue
            reaction.answers.append(json({"event": said["op"], "arg": argument}))
            (reaction.unsubscribe if is_leaving else reaction.subscribe).append(topic)
        return reaction

    def _topic(self, argument: Mapping[str, str]) -> Topic | None:
        """Return the topic of an argument; None: there is none."""
        market = WORDS.get(argument.get("instType", ""), "")
        channel, native = argument.get("channel", ""), argument.get("instId", "")
        known = CHANNELS.get(channel)
        if known is None or (market, native) not in self.by_native:
            return None
        return replace(known, native=native, channel=channel, key=json(argument).decode(), market=market)

    # ------------------------------------------------------------------ news

    def begin(self, stream: Stream, book: BookNews | None, now_ns: int) -> Iterable[bytes]:
        """Say what a channel begins with: a whole book, recent trades, the newest values."""
        topic, instrument = stream.topic, stream.instrument
        if instrument is None:
            return
        if book is not None:
            yield from self.book(stream, book, now_ns)
        elif topic.kind == "trade":
            if instrument.trades:
                yield bitget_rows.trades(topic, list(instrument.trades)[-HISTORY:], instrument, now_ns, history=True)
        else:
            yield from self.values(stream, instrument, now_ns)

    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        """Write a book message."""
        instrument = stream.instrument
        assert instrument is not None  # noqa: S101  topics of books name one
        yield bitget_rows.book(stream.topic, instrument, news, now_ns)

    def trades(self, stream: Stream, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> Iterable[bytes]:
        """Write the trades of a slice in one message, the newest first."""
        yield bitget_rows.trades(stream.topic, trades, instrument, now_ns)

    def values(self, stream: Stream, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
        """Write best bid and offer, or a ticker."""
        if stream.topic.kind == "quote":
            yield bitget_rows.quote(stream.topic, instrument, now_ns)
        elif instrument.stats.count:
            yield bitget_rows.ticker(stream.topic, instrument, now_ns)

    # ------------------------------------------------------------------ REST

    def rest(self, request: RestRequest, books: Books) -> RestAnswer:
        """Answer; what is wrong is said with a code."""
        del books
        word = request.path.removeprefix(self.rest_prefix)
        if word == "public/time":
            return _answer(request, {"serverTime": str(request.now_ns // 1_000_000)})
        if word == "spot/public/symbols":
            return _answer(request, [bitget_rows.pair(one) for one in self._of("spot")])
        market = WORDS.get(request.query.get("productType", "").upper())
        if word in {"spot/market/fills-history", "mix/market/fills-history"}:
            return self._fills(request, "spot" if word.startswith("spot") else market or "")
        if word == "mix/market/contracts" and market is not None:
            return _answer(request, [bitget_rows.contract(one) for one in self._of(market)])
        wrong = {"code": "40404", "msg": "Request URL NOT FOUND", "requestTime": 0, "data": None}
        return RestAnswer(json(wrong), status=404)

    def _fills(self, request: RestRequest, market: str) -> RestAnswer:
        """List trades before an id, newest first; those of pairs tell whole seconds."""
        instrument = self.by_native.get((market, request.query.get("symbol", "")))
        if instrument is None:
            wrong = {"code": "40034", "msg": "Parameter symbol does not exist", "requestTime": 0, "data": None}
            return RestAnswer(json(wrong), status=400)
        before, limit = request.query.get("idLessThan", ""), request.query.get("limit", "")
        most = min(int(limit) if limit.isdecimal() else 500, FILLS_MAX)
        older = [one for one in instrument.trades if not before.isdecimal() or one.id < int(before)]
        return _answer(request, [bitget_rows.fill(instrument, one) for one in older[: -most - 1 : -1]])

    def too_many(self) -> RestAnswer:
        """Write the venue's 429."""
        return RestAnswer(json({"code": "429", "msg": "Too Many Requests"}), status=429)

    def _of(self, market: str) -> list[Instrument]:
        return [one for one in self.instruments if one.product.market == market]


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


def _answer(request: RestRequest, data: object) -> RestAnswer:
    body = {"code": "00000", "msg": "success", "requestTime": request.now_ns // 1_000_000, "data": data}
    return RestAnswer(json(body))


def _product(spot: Spot, market: str) -> Product:
    """Make a pair or a perpetual: all are counted in the coin."""
    native, quote, symbol = {
        "spot": (f"{spot.base}USDT", "USDT", f"{spot.base}-USDT"),
        "usdt": (f"{spot.base}USDT", "USDT", f"{spot.base}-USDT-PERP"),
        "coin": (f"{spot.base}USD", "USD", f"{spot.base}-USD-PERP"),
        "usdc": (f"{spot.base}PERP", "USDC", f"{spot.base}-USDC-PERP"),
    }[market]
    return Product(
        native=native,
        symbol=symbol,
        kind="spot" if market == "spot" else "perpetual",
        base=spot.base,
        quote=quote,
        settle=spot.base if market == "coin" else quote,
        source=spot.source,
        tick=price_tick(spot.price, digits=6),
        lot=size_lot(spot.price),
        price=spot.price,
        typical=3000.0 / spot.price,
        market=market,
    )
