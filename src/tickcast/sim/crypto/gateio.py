"""GATEIO: spot at one address, perpetuals by what they settle in at others.

Sources, as of 2026: www.gate.com/docs/developers, "Spot WebSocket v4" and "Futures WebSocket v4"
(``order_book_update``: ``U`` and ``u`` over a book by REST, now and then ``full``; answers repeat the request's ``id``;
sizes as texts with ``X-Gate-Size-Decimal``), "APIv4" (``/spot/order_book``, ``/futures/usdt/contracts``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final

import msgspec

from tickcast.sim.crypto import gateio_rows
from tickcast.sim.crypto.listing import Product, Spot, pair, price_tick
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Stream, Topic, Trade
from tickcast.sim.crypto.voice import Books, House, Reaction, RestAnswer, RestRequest, Voice, json
from tickcast.sim.universe import UNIT

SPOT: Final = "spot"
SETTLED: Final = ("usdt", "btc")
TIME_OFF_S: Final = 60
"""The venue refuses requests whose time is further off."""
SPEED: Final = "100ms"
TRADES_MAX: Final = 1000
"""Of an answer over REST."""
BOOK_MAX: Final = 100
FULL_EVERY: Final = 400
"""One message of a book in so many is the whole book."""
_LEVERAGED: Final = 4
_TOPICS: Final[Mapping[str, Topic]] = {
    "trades": Topic("trade"),
    "book_ticker": Topic("quote", interval_ms=10),
    "tickers": Topic("ticker", interval_ms=1000),
    "order_book_update": Topic("book", interval_ms=100),
    "public_liquidates": Topic("liquidation"),
}


class _Request(msgspec.Struct, frozen=True):
    channel: str = ""
    event: str = ""
    time: int = 0
    id: int | None = None
    payload: list[str] = []


class GateioVoice(Voice):
    """Differences in the stream over snapshots by REST."""

    code: ClassVar[str] = "GATEIO"
    paths: ClassVar[Mapping[str, str]] = {SPOT: "/ws/v4", **{settle: f"/v4/ws/{settle}" for settle in SETTLED}}
    rest_prefix: ClassVar[str] = "/api/v4/"
    house: ClassVar[House] = House(messages_per_s=50, topics_max=2000, weight=200, weight_per_s=10.0, pings=True)

    @classmethod
    def products(cls, spots: Sequence[Spot], start_ns: int) -> list[Product]:
        """List the pairs, perpetuals of the first, and an inverse one of the very first."""
        del start_ns
        found = [pair(spot, f"{spot.base}_USDT", market=SPOT) for spot in spots]
        found += [_contract(spot, "usdt") for spot in spots[:_LEVERAGED]]
        return [*found, *(_contract(spot, "btc") for spot in spots[:1])]

    # ------------------------------------------------------------------ a connection

    def receive(self, client: Client, frame: bytes, now_ns: int) -> Reaction:
        """Carry out one request: all of its instruments or none."""
        try:
            request = msgspec.json.decode(frame, type=_Request)
        except msgspec.MsgspecError:
            return Reaction([_answer(_Request(), now_ns, wrong="invalid argument struct", code=1)])
        if request.channel.endswith(".ping"):
            pong = _with_channel(request, request.channel.removesuffix("ping") + "pong")
            return Reaction([_answer(pong, now_ns, result=None)])
        topics = self._asked(client, request, now_ns)
        if isinstance(topics, str):
            return Reaction([_answer(request, now_ns, wrong=topics)])
        done = [_answer(request, now_ns, result={"status": "success"})]
        if request.event == "unsubscribe":
            return Reaction(done, unsubscribe=topics)
        return Reaction(done, subscribe=topics)

    def _asked(self, client: Client, request: _Request, now_ns: int) -> list[Topic] | str:
        """Return the topics that a request may have, or say what is wrong with it."""
        if abs(now_ns // 1_000_000_000 - request.time) > TIME_OFF_S:
            return "time gap too large"
        if request.event not in {"subscribe", "unsubscribe"}:
            return f"unknown event {request.event}"
        topics = self._topics(client, request)
        if isinstance(topics, str) or request.event == "unsubscribe":
            return topics
        refused = next((topic.native for topic in topics if not self.takes(topic)), None)
        return topics if refused is None else f"unknown currency pair: {refused}"

    def _topics(self, client: Client, request: _Request) -> list[Topic] | str:
        """Return the topics of a request, or say what is wrong with it."""
        family, _, word = request.channel.partition(".")
        known = _TOPICS.get(word)
        is_spot = client.endpoint == SPOT
        if known is None or (family == "spot") != is_spot or (word == "public_liquidates" and is_spot):
            return f"unknown channel {request.channel}"
        names = request.payload
        if word == "order_book_update":
            if len(names) < 2 or names[1] != SPEED:
                return "invalid argument: interval"
            names = names[:1]
        if not names:
            return "invalid argument: payload"
        missing = next((name for name in names if (client.endpoint, name) not in self.by_native), None)
        if missing is not None:
            return f"unknown currency pair: {missing}"
        return [replace(known, native=name, market=client.endpoint, channel=request.channel) for name in names]

    # ------------------------------------------------------------------ news

    def begin(self, stream: Stream, book: BookNews | None, now_ns: int) -> Iterable[bytes]:
        """Say what is told of values now; books and trades begin with the next event."""
        if book is None and stream.instrument is not None and stream.topic.kind in {"quote", "ticker"}:
            yield from self.values(stream, stream.instrument, now_ns)

    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        """Write what changed; now and then the whole book."""
        instrument = stream.instrument
        assert instrument is not None  # noqa: S101  topics of books name one
        whole = news.count % FULL_EVERY == 0
        yield gateio_rows.differences(stream.topic, instrument, news, now_ns, whole=whole)

    def trades(self, stream: Stream, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> Iterable[bytes]:
        """Write trades of pairs one by one, of contracts together, and liquidations."""
        if stream.topic.kind == "liquidation":
            yield gateio_rows.liquidations(stream.topic, instrument, trades, now_ns)
        elif instrument.product.market == SPOT:
            for trade in trades:
                yield gateio_rows.spot_trade(stream.topic, instrument, trade, now_ns)
        else:
            yield gateio_rows.contract_trades(stream.topic, instrument, trades, now_ns)

    def values(self, stream: Stream, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
        """Write best bid and offer, or the ticker."""
        if stream.topic.kind == "quote":
            yield gateio_rows.best(stream.topic, instrument, now_ns)
        elif instrument.product.market == SPOT:
            yield gateio_rows.spot_ticker(stream.topic, instrument, now_ns)
        else:
            yield gateio_rows.contract_ticker(stream.topic, instrument, now_ns)

    # ------------------------------------------------------------------ REST

    def rest(self, request: RestRequest, books: Books) -> RestAnswer:
        """Answer; what is wrong is said with status 400 and a label."""
        path = request.path.removeprefix(self.rest_prefix)
        market, word, name = _parts(path)
        found = self._listed(request, market, word, name)
        if found is not None:
            return RestAnswer(json(found))
        if word not in {"order_book", "trades"}:
            return _refused("INVALID_PARAM_VALUE", f"nothing at {path}", status=404)
        native = request.query.get("currency_pair" if market == SPOT else "contract", "")
        instrument = self.by_native.get((market, native))
        if instrument is None:
            return _refused("INVALID_CURRENCY_PAIR" if market == SPOT else "CONTRACT_NOT_FOUND", native)
        if word == "trades":
            return RestAnswer(_executed(instrument, request).encode())
        limit = request.query.get("limit", "10")
        levels = min(int(limit), BOOK_MAX) if limit.isascii() and limit.isdigit() else 10
        return RestAnswer(gateio_rows.rest_book(instrument, books.snapshot(instrument, levels), request.now_ns))

    def _listed(self, request: RestRequest, market: str, word: str, name: str) -> object:
        """Return what is no book; None: there is no such thing."""
        if (market, word) == (SPOT, "time"):
            return {"server_time": request.now_ns // 1_000_000}
        if (market, word) == (SPOT, "currency_pairs"):
            return [gateio_rows.pair(one) for one in self._of(SPOT)]
        if word != "contracts" or market not in SETTLED:
            return None
        if not name:
            return [gateio_rows.contract(one) for one in self._of(market)]
        one = self.by_native.get((market, name))
        return None if one is None else gateio_rows.contract(one)

    def too_many(self) -> RestAnswer:
        """Write the venue's 429."""
        return _refused("TOO_MANY_REQUESTS", "Request Rate Limit Exceeded", status=429)

    def _of(self, market: str) -> list[Instrument]:
        return [one for one in self.instruments if one.product.market == market]


def _executed(instrument: Instrument, request: RestRequest) -> str:
    """Write trades, newest first: of a pair before or behind an id, of a contract those of a time in seconds."""

    def asked(name: str, instead: int) -> int:
        text = request.query.get(name, "")
        return int(text) if text.isdecimal() else instead

    begin, end, last = asked("from", 0), asked("to", request.now_ns // 1_000_000_000), asked("last_id", 0)
    most = min(asked("limit", 100), TRADES_MAX)
    found = [one for one in instrument.trades if begin <= one.ts_ns // 1_000_000_000 <= end]
    if last and request.query.get("reverse") == "true":
        found = [one for one in found if one.id < last]
    elif last:
        found = [one for one in found if one.id > last]
    return f"[{','.join([gateio_rows.executed(instrument, one) for one in found[: -most - 1 : -1]])}]"


def _parts(path: str) -> tuple[str, str, str]:
    """Return market, word and name of a path: ``futures/usdt/contracts/BTC_USDT``."""
    family, *rest = path.split("/")
    market = SPOT if family == SPOT else rest.pop(0) if rest else ""
    return market, rest[0] if rest else "", rest[1] if len(rest) > 1 else ""


def _with_channel(request: _Request, channel: str) -> _Request:
    return msgspec.structs.replace(request, channel=channel, event="")


def _answer(request: _Request, now_ns: int, *, result: object = None, wrong: str = "", code: int = 2) -> bytes:
    answer: dict[str, object] = {"time": now_ns // 1_000_000_000, "time_ms": now_ns // 1_000_000}
    if request.id is not None:
        answer["id"] = request.id
    answer |= {"conn_id": "d8be3a2f", "channel": request.channel, "event": request.event, "payload": request.payload}
    if wrong:
        return json({**answer, "error": {"code": code, "message": wrong}, "result": {"status": "fail"}})
    return json({**answer, "error": None, "result": result})


def _refused(label: str, text: str, *, status: int = 400) -> RestAnswer:
    return RestAnswer(json({"label": label, "message": text}), status=status)


# ------------------------------------------------------------------ products


def _contract(spot: Spot, settle: str) -> Product:
    """Make a perpetual: of a round amount of the coin, inverse ones of a dollar."""
    inverse = settle == "btc"
    quote = "USD" if inverse else "USDT"
    coins = float(min(10.0 ** -(len(str(int(spot.price))) - 1), 1000.0)) if spot.price >= 1 else 1000.0
    return Product(
        native=f"{spot.base}_{quote}",
        symbol=f"{spot.base}-{quote}-PERP",
        kind="perpetual",
        base=spot.base,
        quote=quote,
        settle=settle.upper(),
        source=spot.source,
        tick=price_tick(spot.price, digits=6),
        lot=UNIT,
        price=spot.price,
        typical=3000.0 if inverse else max(3000.0 / (spot.price * coins), 1.0),
        market=settle,
        contract_size="1" if inverse else f"{coins:g}",
    )
