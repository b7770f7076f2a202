"""Requests over Binance's sockets: streams by name, in the address or by SUBSCRIBE; raw or combined frames."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final
from urllib.parse import unquote

import msgspec

from tickcast.sim.crypto.listing import Product
from tickcast.sim.crypto.state import Client, Instrument, Topic, Trade
from tickcast.sim.crypto.voice import Books, Reaction, RestAnswer, RestRequest, Voice, json
from tickcast.sim.universe import UNIT

_METHODS: Final = "`SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`"


def text8(value: float) -> str:
    """Write a number with eight decimals."""
    return f"{value:.8f}"


class RestError(Exception):
    """An answer with the venue's error code."""

    def __init__(self, code: int, reason: str, *, status: int = 400) -> None:
        super().__init__(reason)
        self.answer = RestAnswer(json({"code": code, "msg": reason}), status=status)


class _BadRequestError(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.answer = json({"code": code, "msg": reason})


class StreamNames(Voice):
    """What spot and futures have in common."""

    paths: ClassVar[Mapping[str, str]] = {"stream": "/stream", "ws": "/ws"}
    dressed: ClassVar[bool] = True
    weight_header: ClassVar[str] = "X-MBX-USED-WEIGHT-1M"
    weight_limit: ClassVar[int]
    depth_weights: ClassVar[Sequence[tuple[int, int]]]
    depth_max: ClassVar[int]

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        super().__init__(instruments)
        self._lower = {one.native.lower(): one for one in instruments}

    # ------------------------------------------------------------------ streams

    def topic(self, name: str) -> Topic:
        """Return the topic of a stream's name; of an unknown one a topic that is never told, as the venue has it."""
        symbol, _, channel = name.partition("@")
        instrument = self._lower.get(symbol)
        if instrument is not None and channel:
            known = self.channel_topic(instrument, channel, name)
            if known is not None:
                return known
        return self.market_topic(name) or Topic("other", key=name)

    @abstractmethod
    def channel_topic(self, instrument: Instrument, channel: str, name: str) -> Topic | None:
        """Return the topic of an instrument's channel."""

    def market_topic(self, name: str) -> Topic | None:
        """Return the topic of a stream of all instruments (``!forceOrder@arr``)."""
        del name
        return None

    @staticmethod
    def depth_topic(native: str, channel: str, name: str, speeds: Mapping[str, int]) -> Topic | None:
        """Return the topic of ``depth``, ``depth20``, with their speeds."""
        word, _, speed = channel.partition("@")
        if speed not in speeds or word not in {"depth", "depth5", "depth10", "depth20"}:
            return None
        depth = int(word[5:] or 0)
        return Topic("book", native, channel=word, key=name, interval_ms=speeds[speed], depth=depth, whole=depth > 0)

    def dress(self, client: Client, topic: Topic | None, payload: bytes) -> bytes:
        """Name the stream on combined connections."""
        if topic is None or not client.memory.get("combined"):
            return payload
        return b'{"stream":"' + topic.key.encode() + b'","data":' + payload + b"}"

    def greet(self, client: Client) -> Reaction:
        """Take the streams that the address names."""
        client.memory["combined"] = combined = client.endpoint.endswith("stream")
        if combined:
            names = client.query.get("streams", "").split("/")
        else:
            names = unquote(client.path.partition("/ws")[2]).split("/")
        chosen = [name for name in names if name]
        if len(chosen) > self.house.topics_max:
            return Reaction(close=(1008, "too many streams"))
        return Reaction(subscribe=[self.topic(name) for name in chosen])

    def receive(self, client: Client, frame: bytes, now_ns: int) -> Reaction:
        """Carry out one request and write its reply."""
        del now_ns
        try:
            request = _request(frame)
        except _BadRequestError as wrong:
            return Reaction([wrong.answer])
        number = request.get("id")
        method, names = request["method"], request.get("params", [])
        if method in {"SUBSCRIBE", "UNSUBSCRIBE"}:
            return self._change(client, method, names, number)
        if method == "LIST_SUBSCRIPTIONS":
            return _result([topic.key for topic in client.topics], number)
        if method in {"SET_PROPERTY", "GET_PROPERTY"}:
            return self._property(client, method, names, number)
        return _error(2, f"Invalid request: unknown variant `{method}`, expected one of {_METHODS} at line 1 column 1")

    def _change(self, client: Client, method: str, names: Any, number: int | str | None) -> Reaction:
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            return _error(2, "Invalid request: params must be a list of stream names")
        topics = [self.topic(name) for name in names]
        reaction = _result(None, number)
        if method == "UNSUBSCRIBE":
            reaction.unsubscribe = topics
        elif len({*client.topics, *topics}) > self.house.topics_max:
            return _error(2, "Invalid request: too many streams")
        elif not all(map(self.takes, topics)):
            return _error(2, "Invalid request: a stream is not available")
        else:
            reaction.subscribe = topics
        return reaction

    @staticmethod
    def _property(client: Client, method: str, parameters: Any, number: int | str | None) -> Reaction:
        if not isinstance(parameters, list) or not parameters or not isinstance(parameters[0], str):
            return _error(2, "Invalid request: property name must be a string")
        if parameters[0] != "combined":
            return Reaction([json({"code": 0, "msg": "Unknown property", "id": number})])
        if method == "GET_PROPERTY":
            return _result(bool(client.memory.get("combined")), number)
        if len(parameters) != 2 or not isinstance(parameters[1], bool):
            return _error(1, "Invalid value type: expected Boolean")
        client.memory["combined"] = parameters[1]
        return _result(None, number)

    # ------------------------------------------------------------------ REST

    weights: ClassVar[Mapping[str, int]] = {"exchangeInfo": 20, "aggTrades": 4, "historicalTrades": 25}
    answers: ClassVar[Mapping[str, str]]
    """Last word of a path to the method that answers."""

    def rest(self, request: RestRequest, books: Books) -> RestAnswer:
        """Answer, or say with the venue's code why not."""
        name = self.answers.get(request.path.removeprefix(self.rest_prefix))
        if name is None:
            return RestAnswer(json({"code": -5000, "msg": f"Path {request.path}, Method GET is invalid"}), status=404)
        try:
            body: bytes = getattr(self, name)(request, books)
        except RestError as wrong:
            return wrong.answer
        return RestAnswer(body)

    def answer_ping(self, request: RestRequest, books: Books) -> bytes:
        """Answer ``ping``."""
        del request, books
        return b"{}"

    def answer_time(self, request: RestRequest, books: Books) -> bytes:
        """Answer ``time``."""
        del books
        return json({"serverTime": request.now_ns // 1_000_000})

    @abstractmethod
    def entry(self, instrument: Instrument) -> dict[str, object]:
        """Write an instrument's entry of ``exchangeInfo``, without its filters."""

    def answer_instruments(self, request: RestRequest, books: Books) -> bytes:
        """Answer ``exchangeInfo``: all, or those that ``symbol`` or ``symbols`` name."""
        del books
        limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self.weight_limit}
        chosen = self._wanted(request)
        symbols = [{**self.entry(one), "filters": self.filters(one.product)} for one in chosen]
        server = {"timezone": "UTC", "serverTime": request.now_ns // 1_000_000}
        return json({**server, "rateLimits": [limit], "exchangeFilters": [], "symbols": symbols})

    def _wanted(self, request: RestRequest) -> Sequence[Instrument]:
        if "symbol" in request.query:
            return [self.named(request)]
        if "symbols" not in request.query:
            return self.instruments
        try:
            names = msgspec.json.decode(request.query["symbols"], type=list[str])
        except msgspec.MsgspecError:
            raise RestError(-1100, "Illegal characters found in parameter 'symbols'.") from None
        if not names or any(name.lower() not in self._lower for name in names):
            raise RestError(-1121, "Invalid symbol.")
        return [self._lower[name.lower()] for name in names]

    def weight(self, request: RestRequest) -> int:
        """Weigh a request by the venue's table."""
        word = request.path.rpartition("/")[2]
        if word == "depth":
            given = request.query.get("limit", "")
            limit = int(given) if given.isascii() and given.isdigit() else 500
            return next((weight for most, weight in self.depth_weights if limit <= most), self.depth_weights[-1][1])
        return self.weights.get(word, 1)

    def too_many(self) -> RestAnswer:
        """Write the venue's 429."""
        reason = f"Too much request weight used; current limit is {self.weight_limit} per 1 MINUTE."
        return RestAnswer(json({"code": -1003, "msg": reason}), status=429)

    def named(self, request: RestRequest) -> Instrument:
        """Return the instrument that a request names.

        Raises:
            RestError: none, or an unknown one.
        """
        symbol = request.query.get("symbol", "")
        if not symbol:
            raise RestError(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        found = self._lower.get(symbol.lower())
        if found is None:
            raise RestError(-1121, "Invalid symbol.")
        return found

    def limit(self, request: RestRequest, *, default: int, most: int) -> int:
        """Return the number of entries that a request wants.

        Raises:
            RestError: no number.
        """
        given = request.query.get("limit", str(default))
        if not (given.isascii() and given.isdigit()) or not int(given):
            raise RestError(-1100, "Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'.")
        return min(int(given), most)

    def trades_from(self, request: RestRequest) -> tuple[Instrument, list[Trade]]:
        """Return the instrument that a request names, and the trades from ``fromId`` on, or the newest.

        Raises:
            RestError: no instrument, no number.
        """
        instrument, most = self.named(request), self.limit(request, default=500, most=1000)
        start, kept = request.query.get("fromId"), list(instrument.trades)
        if start is None:
            return instrument, kept[-most:]
        if not (start.isascii() and start.isdigit()):
            raise RestError(-1100, "Illegal characters found in parameter 'fromId'; legal range is '^[0-9]{1,20}$'.")
        return instrument, [one for one in kept if one.id >= int(start)][:most]

    @staticmethod
    def filters(product: Product) -> list[dict[str, str]]:
        """Write price and size steps."""
        tick, lot = text8(product.tick / UNIT), text8(product.lot / UNIT)
        return [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "9000000.00000000", "stepSize": lot},
        ]


def _request(frame: bytes) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _BadRequestError(3, "Invalid JSON: expected value at line 1 column 1") from None
    if not isinstance(request, dict) or "method" not in request:
        raise _BadRequestError(2, "Invalid request: missing field `method` at line 1 column 1")
    number = request.get("id")
    if isinstance(number, bool) or not isinstance(number, int | str | None):
        raise _BadRequestError(2, "Invalid request: request ID must be an unsigned integer")
    return request


def _result(result: Any, number: int | str | None) -> Reaction:
    return Reaction([json({"result": result, "id": number})])


def _error(code: int, reason: str) -> Reaction:
    return Reaction([json({"code": code, "msg": reason})])
