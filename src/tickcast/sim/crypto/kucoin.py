"""KUCOIN: spot at one address, perpetuals and futures at another, each opened by a token.

Sources, as of 2026: www.kucoin.com/docs-new, classic API: "Introduction" and "Get Public Token" of the WebSocket's
base information, "Orderbook - Increment" of spot (``sequenceStart``, ``sequenceEnd``; a price of 0 only moves the
number) and of futures (one change a message, numbered one by one), "Ticker", "Trade", "Symbol Snapshot", "Instrument",
"Rate Limit".
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final

import msgspec

from tickcast.sim.crypto import kucoin_rows
from tickcast.sim.crypto.listing import Product, Spot, expiries, pair, price_tick
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Stream, Topic, Trade
from tickcast.sim.crypto.voice import Books, House, Reaction, RestAnswer, RestRequest, Voice, json
from tickcast.sim.universe import UNIT

HISTORY_MAX: Final = 100
"""Trades of an answer over REST."""
SPOT: Final = "spot"
FUTURES: Final = "futures"
SECOND_NS: Final = 1_000_000_000
TOKEN_NS: Final = 24 * 3600 * SECOND_NS
TOKENS_MAX: Final = 1000
"""Tokens that are remembered."""
UPLINK_MAX: Final = 100
UPLINK_NS: Final = 10 * SECOND_NS
BATCH_MAX: Final = 100
PING_MS: Final = 18_000
PONG_MS: Final = 10_000
MONTHS: Final = "FGHJKMNQUVXZ"
_LEVERAGED: Final = 4
_TOPICS: Final[Mapping[str, Topic]] = {
    "/market/level2": Topic("book"),
    "/market/match": Topic("trade"),
    "/market/ticker": Topic("quote", interval_ms=100),
    "/market/snapshot": Topic("ticker", interval_ms=2000),
    "/contractMarket/level2": Topic("book", market=FUTURES),
    "/contractMarket/execution": Topic("trade", market=FUTURES),
    "/contractMarket/tickerV2": Topic("quote", market=FUTURES),
    "/contractMarket/snapshot": Topic("ticker", market=FUTURES, interval_ms=5000),
    "/contract/instrument": Topic("mark", market=FUTURES, interval_ms=1000),
}


class _Request(msgspec.Struct, frozen=True):
    id: str | int = ""
    type: str = ""
    topic: str = ""
    response: bool = False


class KucoinVoice(Voice):
    """Differences in the stream over snapshots by REST; links open with a token."""

    code: ClassVar[str] = "KUCOIN"
    single_changes: ClassVar[bool] = True
    paths: ClassVar[Mapping[str, str]] = {SPOT: "/endpoint/spot", FUTURES: "/endpoint/futures"}
    house: ClassVar[House] = House(
        topics_max=300, weight=2000, weight_per_s=30.0, silence_max_s=(PING_MS + PONG_MS) / 1000
    )

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        super().__init__(instruments)
        self._named = {one.native: one for one in instruments}
        self._tokens: dict[str, int] = {}
        """When each ends."""
        self._issued = 0

    @classmethod
    def products(cls, spots: Sequence[Spot], start_ns: int) -> list[Product]:
        """List the pairs, perpetuals of the first, and of the very first an inverse one and a future."""
        found = [pair(spot, f"{spot.base}-USDT") for spot in spots]
        found += [_contract(spot, "USDT", 0) for spot in spots[:_LEVERAGED]]
        for spot in spots[:1]:
            found.append(_contract(spot, "USD", 0))
            found += [_contract(spot, "USD", end) for end in expiries(start_ns, 60)]
        return found

    # ------------------------------------------------------------------ a connection

    def greet(self, client: Client) -> Reaction:
        """Welcome who has a token."""
        if self._tokens.get(client.query.get("token", ""), 0) <= client.connected_ns:
            wrong = {"id": _own_id(client), "type": "error", "code": 401, "data": "token is invalid"}
            return Reaction([json(wrong)], close=(1000, "token is invalid"))
        return Reaction([json({"id": _own_id(client), "type": "welcome"})])

    def receive(self, client: Client, frame: bytes, now_ns: int) -> Reaction:
        """Carry out one request: all of its topics or none."""
        try:
            request = msgspec.json.decode(frame, type=_Request)
        except msgspec.MsgspecError:
            return Reaction([_error(client, "", 415, "command type is invalid")])
        number = str(request.id)
        if self._says_too_much(client, now_ns):
            wrong = _error(client, number, 509, "exceed max permits per second")
            return Reaction([wrong], close=(1000, "exceed max permits per second"))
        if request.type == "ping":
            return Reaction([json({"id": number, "type": "pong"})])
        if request.type not in {"subscribe", "unsubscribe"}:
            return Reaction([_error(client, number, 415, "command type is invalid")])
        return self._carry_out(client, request, number)

    def _carry_out(self, client: Client, request: _Request, number: str) -> Reaction:
        name, _, natives = request.topic.partition(":")
        names = [native for native in natives.split(",") if native]
        if not names:
            return Reaction([_error(client, number, 406, "topic is required")])
        if len(names) > BATCH_MAX:
            text = "exceed max subscription count limitation of 100 per time"
            return Reaction([_error(client, number, 509, text)])
        leaving = request.type == "unsubscribe"
        topics = {native: self._topic(client, name, native) for native in names}
        wrong = [native for native, topic in topics.items() if topic is None or not (leaving or self.takes(topic))]
        if wrong:
            text = f"topic {name}:{','.join(wrong)} is not found"
            return Reaction([_error(client, number, 404, text)])
        chosen = [topic for topic in topics.values() if topic is not None]
        if not leaving and len({*client.topics, *chosen}) > self.house.topics_max:
            text = f"exceed max subscription count limitation of {self.house.topics_max} per session"
            return Reaction([_error(client, number, 509, text)])
        answers = [json({"id": number, "type": "ack"})] if request.response else []
        return Reaction(answers, unsubscribe=chosen) if leaving else Reaction(answers, subscribe=chosen)

    def _topic(self, client: Client, name: str, native: str) -> Topic | None:
        known, instrument = _TOPICS.get(name), self._named.get(native)
        if known is None or instrument is None or client.endpoint != _endpoint(instrument):
            return None
        if (known.market == FUTURES) != (client.endpoint == FUTURES):
            return None
        return replace(known, native=native, market="", channel=name, key=f"{name}:{native}")

    @staticmethod
    def _says_too_much(client: Client, now_ns: int) -> bool:
        """Count what a client says in ten seconds."""
        said = client.memory.get("said")
        since_ns, count = said if isinstance(said, tuple) else (now_ns, 0)
        if not 0 <= now_ns - since_ns < UPLINK_NS:  # a clock that was set back begins anew
            since_ns, count = now_ns, 0
        client.memory["said"] = since_ns, count + 1
        return bool(count + 1 > UPLINK_MAX)

    # ------------------------------------------------------------------ news

    def begin(self, stream: Stream, book: BookNews | None, now_ns: int) -> Iterable[bytes]:
        """Say what is pushed by intervals; books and trades begin with the next event."""
        if book is not None and stream.instrument is not None and len(stream.listeners) == 1:
            kucoin_rows.skip_untold(stream.instrument)
        if book is None and stream.instrument is not None and stream.topic.kind != "trade":
            yield from self.values(stream, stream.instrument, now_ns)

    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        """Write what changed: of pairs in one message, of contracts a message for each change."""
        instrument = stream.instrument
        assert instrument is not None  # noqa: S101  topics of books name one
        if instrument.product.kind == "spot":
            yield kucoin_rows.level2(stream.topic, instrument, news, now_ns)
        else:
            yield from kucoin_rows.contract_level2(stream.topic, instrument, news, now_ns)

    def trades(self, stream: Stream, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> Iterable[bytes]:
        """Write a message for each trade."""
        del now_ns
        for trade in trades:
            yield kucoin_rows.match(stream.topic, instrument, trade)

    def values(self, stream: Stream, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
        """Write what any other topic says."""
        return kucoin_rows.WRITERS[stream.topic.channel](stream.topic, instrument, now_ns)

    # ------------------------------------------------------------------ REST

    def rest(self, request: RestRequest, books: Books) -> RestAnswer:
        """Answer; what is wrong is said with a code, mostly with status 200."""
        path = request.path
        if path in {"/api/v1/bullet-public", "/futures/api/v1/bullet-public"}:
            return self._token(request)
        if request.method != "GET":
            return _refused("404000", "Url Not Found", status=404)
        answers: dict[str, Callable[[], object]] = {
            "/api/v1/timestamp": lambda: request.now_ns // 1_000_000,
            "/api/v2/symbols": lambda: [kucoin_rows.pair(one) for one in self._of(SPOT)],
            "/futures/api/v1/contracts/active": lambda: [kucoin_rows.contract(one) for one in self._of(FUTURES)],
        }
        if path in answers:
            return _answer(answers[path]())
        named = self._named.get(path.rpartition("/")[2]) if path.startswith("/futures/api/v1/contracts/") else None
        if named is not None:
            return _answer(kucoin_rows.contract(named))
        return self._book(request, books)

    def _book(self, request: RestRequest, books: Books) -> RestAnswer:
        path = request.path
        depths = {
            "/api/v1/market/orderbook/level2_20": 20,
            "/api/v1/market/orderbook/level2_100": 100,
            "/futures/api/v1/level2/snapshot": 0,
        }
        histories = {"/api/v1/market/histories", "/futures/api/v1/trade/history"}
        if path not in depths and path not in histories:
            return _refused("404000", "Url Not Found", status=404)
        instrument = self._named.get(request.query.get("symbol", ""))
        if instrument is None or _endpoint(instrument) != (FUTURES if path.startswith("/futures") else SPOT):
            return _refused("900001", "symbol not exists")
        if path in histories:
            return _answer([kucoin_rows.executed(instrument, one) for one in list(instrument.trades)[-HISTORY_MAX:]])
        return RestAnswer(kucoin_rows.rest_book(instrument, books.snapshot(instrument, depths[path]), request.now_ns))

    def weight(self, request: RestRequest) -> int:
        """Weigh a request as the venue does."""
        ends = {"history": 5, "bullet-public": 10, "symbols": 4, "level2_20": 2, "level2_100": 4}
        return ends.get(request.path.rpartition("/")[2], 3)

    def too_many(self) -> RestAnswer:
        """Write the venue's 429."""
        return _refused("429000", "Too Many Requests", status=429)

    def _token(self, request: RestRequest) -> RestAnswer:
        if request.method != "POST":
            return _refused("405000", "Request method 'GET' is not supported", status=405)
        self._issued += 1
        token = f"2neAiuYvAU61ZDXANAGAsiL4-{self._issued:06d}=="
        self._tokens[token] = request.now_ns + TOKEN_NS
        while len(self._tokens) > TOKENS_MAX:
            del self._tokens[next(iter(self._tokens))]
        market = FUTURES if request.path.startswith("/futures") else SPOT
        server = {
            "endpoint": f"wss://ws-api-{market}.kucoin.com{self.paths[market]}",
            "encrypt": True,
            "protocol": "websocket",
            "pingInterval": PING_MS,
            "pingTimeout": PONG_MS,
        }
        return _answer({"token": token, "instanceServers": [server]})

    def _of(self, market: str) -> list[Instrument]:
        return [one for one in self.instruments if _endpoint(one) == market]


def _endpoint(instrument: Instrument) -> str:
    return SPOT if instrument.product.kind == "spot" else FUTURES


def _own_id(client: Client) -> str:
    return f"sim{client.number:06d}"


def _error(client: Client, number: str, code: int, text: str) -> bytes:
    return json({"id": number or _own_id(client), "type": "error", "code": code, "data": text})


def _answer(data: object) -> RestAnswer:
    return RestAnswer(json({"code": "200000", "data": data}))


def _refused(code: str, text: str, *, status: int = 200) -> RestAnswer:
    return RestAnswer(json({"code": code, "msg": text}), status=status)


# ------------------------------------------------------------------ products


def _contract(spot: Spot, quote: str, expiry_ns: int) -> Product:
    """Make a perpetual or future; inverse ones are of one dollar, linear ones of a round amount of the coin."""
    inverse = quote == "USD"
    coins = _coins(spot)
    coin = "XBT" if spot.base == "BTC" else spot.base
    one = Product(
        native=f"{coin}{quote}M",
        symbol=f"{spot.base}-{quote}-PERP",
        kind="future" if expiry_ns else "perpetual",
        base=spot.base,
        quote=quote,
        settle=spot.base if inverse else quote,
        source=spot.source,
        tick=price_tick(spot.price, digits=6),
        lot=UNIT,
        price=spot.price,
        typical=3000.0 if inverse else max(3000.0 / (spot.price * coins), 1.0),
        contract_size="1" if inverse else f"{coins:g}",
        expiry_ns=expiry_ns,
    )
    if not expiry_ns:
        return one
    month = MONTHS[one.expiry.month - 1]
    return replace(one, native=f"{coin}M{month}{one.expiry:%y}", symbol=f"{spot.base}-{quote}-{one.expiry:%Y%m%d}")


def _coins(spot: Spot) -> float:
    """Return a contract's amount of the coin: worth some hundred dollars at most."""
    return float(min(10.0 ** -(len(str(int(spot.price))) - 3), 1000.0)) if spot.price >= 1 else 1000.0
