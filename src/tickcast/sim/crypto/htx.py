"""HTX: spot, linear and inverse swaps at addresses of their own, every frame packed.

Sources, as of 2026: www.htx.com/en-us/opend/newApiPages, "Spot / Websocket Market Data" (heartbeat, errors, market by
price: differences, and the book requested on the same connection, once in 100 ms), "USDT-M Futures" and "Coin-M Swaps"
(incremental depth: version counts up by one; notifications; heartbeat). A subscription to trades begins with the last
trade (recorded sessions).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

import msgspec

from tickcast.sim.crypto import htx_rows
from tickcast.sim.crypto.listing import Product, Spot, expiries, pair, price_tick
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Stream, Topic, Trade
from tickcast.sim.crypto.voice import Books, House, Reaction, RestAnswer, RestRequest, Voice, json
from tickcast.sim.universe import UNIT

EXECUTED_MAX: Final = 2000
"""Trades of an answer over REST."""
HISTORIES: Final[Mapping[str, tuple[str, str, Mapping[str, object]]]] = {
    "/market/history/trade": ("spot", "symbol", {"err-code": "invalid-parameter", "err-msg": "invalid symbol"}),
    "/linear-swap-ex/market/history/trade": (
        "linear",
        "contract_code",
        {"err-code": "invalid-parameter", "err-msg": "invalid contract code"},
    ),
    "/swap-ex/market/history/trade": (
        "inverse",
        "contract_code",
        {"err-code": "invalid-parameter", "err-msg": "invalid contract code"},
    ),
}
"""Where trades are told: market, name of the instrument's parameter, and what is said where there is none."""
LEVERAGED: Final = 4
OWED_MAX: Final = 2
"""So many pings may be unanswered; before the next one the connection is closed."""
REQUEST_NS: Final = 100_000_000
"""Books may be requested so often on one connection."""
SERVED: Final[Mapping[str, tuple[str, str]]] = {
    "/ws": ("spot", "market"),
    "/feed": ("spot", "book"),
    "/linear-swap-ws": ("linear", "market"),
    "/swap-ws": ("inverse", "market"),
    "/linear-swap-notification": ("linear", "notice"),
    "/swap-notification": ("inverse", "notice"),
    "/ws_index": ("", "value"),
}
"""Which market each address serves, and what of it."""
OF_SPOT: Final[Mapping[str, Topic]] = {
    "trade.detail": Topic("trade"),
    "bbo": Topic("quote"),
    "detail": Topic("ticker", interval_ms=100),
    "depth.step0": Topic("book", interval_ms=1000, depth=150, whole=True),
}
OF_BOOKS: Final[Mapping[str, Topic]] = {
    "mbp.5": Topic("book", depth=5),
    "mbp.20": Topic("book", depth=20),
    "mbp.150": Topic("book", interval_ms=100, depth=150),
}
OF_SWAPS: Final[Mapping[str, Topic]] = {
    **OF_SPOT,
    "depth.step0": Topic("book", interval_ms=100, depth=150, whole=True),
    "depth.size_20.high_freq": Topic("book", interval_ms=30, depth=20),
    "depth.size_150.high_freq": Topic("book", interval_ms=30, depth=150),
}
OF_VALUES: Final[Mapping[str, Topic]] = {
    "mark_price.1min": Topic("mark", interval_ms=1000),
    "index.1min": Topic("index", interval_ms=1000),
}
OF_NOTICES: Final[Mapping[str, Topic]] = {
    "funding_rate": Topic("funding", interval_ms=15_000, always=True),
    "liquidation_orders": Topic("liquidation"),
    "contract_info": Topic("status", interval_ms=500),
}


class HtxVoice(Voice):
    """Spot books are requested on their connection, those of swaps begin in the stream."""

    code: ClassVar[str] = "HTX"
    paths: ClassVar[Mapping[str, str]] = {path: path for path in SERVED}
    rest_prefix: ClassVar[str] = "/"
    house: ClassVar[House] = House(topics_max=500, weight=800, weight_per_s=1.0, heartbeat_s=5.0)
    restart: ClassVar = "cut"
    asks: ClassVar[bool] = True
    packing: ClassVar = "gzip"

    @classmethod
    def products(cls, spots: Sequence[Spot], start_ns: int) -> list[Product]:
        """List the pairs, linear swaps of the first, and a future and an inverse swap of the very first."""
        found = [pair(spot, f"{spot.base}USDT".lower(), market="spot") for spot in spots]
        found += [_contract(spot, "linear", 0) for spot in spots[:LEVERAGED]]
        for spot in spots[:1]:
            found += [_contract(spot, "linear", end) for end in expiries(start_ns, 14)]
            found.append(_contract(spot, "inverse", 0))
        return found

    # ------------------------------------------------------------------ a connection

    def heartbeat(self, client: Client, now_ns: int) -> Reaction:
        """Ping, with a number that is to come back."""
        owed = client.memory.setdefault("owed", [])
        assert isinstance(owed, list)  # noqa: S101  nobody else writes it
        if len(owed) >= OWED_MAX:
            return Reaction(close=(1000, "ping unanswered"))
        number = now_ns // 1_000_000
        owed.append(number)
        if SERVED[client.endpoint][1] == "notice":
            return Reaction([json({"op": "ping", "ts": str(number)})])
        return Reaction([json({"ping": number})])

    def receive(self, client: Client, frame: bytes, now_ns: int) -> Reaction:
        """Carry out one operation on one topic."""
        said, now_ms = _said(frame), now_ns // 1_000_000
        if said is None:
            return Reaction([_error(None, "not json string", now_ms)])
        pong = said.get("pong", said.get("ts") if said.get("op") == "pong" else None)
        if pong is not None:
            owed = client.memory.get("owed")
            if isinstance(owed, list) and str(pong) in {str(number) for number in owed}:
                owed.clear()
            return Reaction()
        if "ping" in said:
            return Reaction([json({"pong": said["ping"]})])
        return self._notify(client, said, now_ms) if "op" in said else self._operate(client, said, now_ns)

    def _operate(self, client: Client, said: Mapping[str, Any], now_ns: int) -> Reaction:
        """Subscribe, unsubscribe, or answer a request."""
        now_ms = now_ns // 1_000_000
        word = next((word for word in ("sub", "unsub", "req") if isinstance(said.get(word), str)), "")
        topic = self._topic(client, said.get(word, ""))
        is_whole = topic is not None and ".high_freq" in topic.channel and said.get("data_type") != "incremental"
        if topic is None or (word == "sub" and (is_whole or not self.takes(topic))):
            return Reaction([_error(said.get("id"), f"invalid topic {said.get(word, '')}", now_ms)])
        if word == "req":
            return self._request(client, said, topic, now_ns)
        done = [json({"id": said.get("id"), "status": "ok", f"{word}bed": topic.key, "ts": now_ms})]
        return Reaction(done, subscribe=[topic]) if word == "sub" else Reaction(done, unsubscribe=[topic])

    @staticmethod
    def _request(client: Client, said: Mapping[str, Any], topic: Topic, now_ns: int) -> Reaction:
        """Answer with a book of the numbers that its stream has, unless it is asked for too often.

        A clock that was set back meanwhile says nothing of how often that was.
        """
        last_ns = client.memory.get("requested_ns", 0)
        assert isinstance(last_ns, int)  # noqa: S101  nobody else writes it
        if topic.kind != "book" or topic.whole or 0 <= now_ns - last_ns < REQUEST_NS:
            return Reaction([_error(said.get("id"), "429 too many request", now_ns // 1_000_000)])
        client.memory["requested_ns"] = now_ns
        client.memory["request"] = said.get("id")
        return Reaction(asked=[topic])

    def _notify(self, client: Client, said: Mapping[str, Any], now_ms: int) -> Reaction:
        """Carry out an operation at an address for notifications."""
        word, key = said.get("op"), str(said.get("topic", ""))
        answer = {"op": word, "cid": said.get("cid", ""), "topic": key, "ts": now_ms}
        topic = self._topic(client, key)
        if word not in {"sub", "unsub"} or topic is None or not self.takes(topic):
            return Reaction([json({**answer, "err-code": 2011, "err-msg": f"Invalid topic {key}"})])
        done = [json({**answer, "err-code": 0})]
        return Reaction(done, subscribe=[topic]) if word == "sub" else Reaction(done, unsubscribe=[topic])

    def _topic(self, client: Client, key: object) -> Topic | None:
        """Return the topic of a name at an address; None: there is none."""
        if not isinstance(key, str):
            return None
        market, serves = SERVED[client.endpoint]
        prefix, _, rest = key.partition(".")
        native, _, channel = rest.partition(".")
        tables = {
            "market": OF_SPOT if market == "spot" else OF_SWAPS,
            "book": OF_BOOKS,
            "value": OF_VALUES,
            "notice": OF_NOTICES,
        }
        known = tables[serves].get(channel)
        instrument = next((self.by_native.get((one, native)) for one in ([market] if market else ["linear", "inverse"])
                           if (one, native) in self.by_native), None)  # fmt: skip
        if known is None or instrument is None or prefix != ("public" if serves == "notice" else "market"):
            return None
        return replace(known, native=native, channel=channel, key=key, market=instrument.product.market)

    # ------------------------------------------------------------------ news

    def begin(self, stream: Stream, book: BookNews | None, now_ns: int) -> Iterable[bytes]:
        """Say what a channel begins with: a swap's book (spot's is requested), the last trade, the newest values."""
        instrument = stream.instrument
        if instrument is None:
            return
        if book is not None:
            if stream.topic.whole or stream.topic.market != "spot":
                yield from self.book(stream, book, now_ns)
        elif stream.topic.kind == "trade":
            if instrument.trades:
                yield htx_rows.trades(stream.topic, instrument, [instrument.trades[-1]], now_ns)
        elif stream.topic.kind != "liquidation":
            yield from self.values(stream, instrument, now_ns)

    def asked(self, client: Client, instrument: Instrument, topic: Topic, book: BookNews, now_ns: int) -> bytes:
        """Write the book that was requested."""
        return htx_rows.requested(topic, instrument, book, client.memory.get("request"), now_ns)

    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        """Write a book message."""
        instrument = stream.instrument
        assert instrument is not None  # noqa: S101  topics of books name one
        yield htx_rows.book(stream.topic, instrument, news, now_ns)

    def trades(self, stream: Stream, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> Iterable[bytes]:
        """Write the trades or liquidations of a slice in one message."""
        write = htx_rows.liquidations if stream.topic.kind == "liquidation" else htx_rows.trades
        yield write(stream.topic, instrument, trades, now_ns)

    def values(self, stream: Stream, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
        """Write what any other channel says of an instrument."""
        write = htx_rows.VALUES.get(stream.topic.kind)
        found = None if write is None else write(stream.topic, instrument, now_ns)
        if found is not None:
            yield found

    # ------------------------------------------------------------------ REST

    def rest(self, request: RestRequest, books: Books) -> RestAnswer:
        """Answer; what is wrong is said with status 200."""
        del books
        now_ms = request.now_ns // 1_000_000
        if request.path in {"/v1/common/timestamp", "/api/v1/timestamp"}:
            return RestAnswer(json({"status": "ok", "data": now_ms, "ts": now_ms}))
        if request.path == "/v1/common/symbols":
            pairs = [htx_rows.pair(one) for one in self.instruments if one.product.market == "spot"]
            return RestAnswer(json({"status": "ok", "data": pairs}))
        if request.path in HISTORIES:
            return self._executed(request)
        market = {"linear-swap-api": "linear", "swap-api": "inverse"}.get(request.path.split("/")[1], "")
        word = request.path.rpartition("/")[2]
        code = request.query.get("contract_code", "")
        chosen = [one for one in self.instruments if one.product.market == market and code in {"", one.native}]
        if word == "swap_contract_info" and chosen:
            rows = [htx_rows.contract(one) for one in chosen if _is_asked_for(one, request)]
            return RestAnswer(json({"status": "ok", "data": rows, "ts": now_ms}))
        if word == "swap_open_interest" and chosen:
            return RestAnswer(htx_rows.interest(chosen, now_ms))
        wrong = {"status": "error", "err_code": 1332, "err_msg": "The contract doesn't exist.", "ts": now_ms}
        return RestAnswer(json(wrong), status=200 if market else 404)

    def _executed(self, request: RestRequest) -> RestAnswer:
        """List the newest trades of an instrument."""
        market, name, refusal = HISTORIES[request.path]
        instrument = next(
            (
                one
                for one in self.instruments
                if one.product.market == market and one.native == request.query.get(name, "")
            ),
            None,
        )
        if instrument is None:
            return RestAnswer(json({"status": "error", **refusal, "ts": request.now_ns // 1_000_000}))
        size = request.query.get("size", "1")
        most = min(int(size) if size.isdecimal() else 1, EXECUTED_MAX)
        return RestAnswer(htx_rows.executed(instrument, list(instrument.trades)[: -most - 1 : -1], request.now_ns))

    def too_many(self) -> RestAnswer:
        """Write what an address gets that asks too often."""
        return RestAnswer(json({"status": "error", "err-code": "too-many-request", "err-msg": "429"}), status=429)


def _is_asked_for(instrument: Instrument, request: RestRequest) -> bool:
    """Without a word for it, only swaps are listed."""
    return instrument.product.kind == "perpetual" or request.query.get("business_type", "swap") in {"all", "futures"}


# ------------------------------------------------------------------ products


def _contract(spot: Spot, market: str, expiry_ns: int) -> Product:
    """Make a swap or future; linear ones are of a round amount of the coin, inverse ones of 100 dollars."""
    inverse = market == "inverse"
    quote = "USD" if inverse else "USDT"
    coins = float(min(10.0 ** -(len(str(int(spot.price))) - 3), 1000.0)) if spot.price >= 1 else 1000.0
    worth = 100.0 if inverse else spot.price * coins
    one = Product(
        native=f"{spot.base}-{quote}",
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
        contract_size="100" if inverse else f"{coins:g}",
        expiry_ns=expiry_ns,
    )
    if not expiry_ns:
        return one
    day = f"{one.expiry:%Y%m%d}"
    return replace(one, native=f"{spot.base}-{quote}-{day[2:]}", symbol=f"{spot.base}-{quote}-{day}")


# ------------------------------------------------------------------ words


def _said(frame: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _error(number: object, text: str, now_ms: int) -> bytes:
    return json({"status": "error", "ts": now_ms, "id": number, "err-code": "bad-request", "err-msg": text})
