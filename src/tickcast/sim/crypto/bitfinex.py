"""BITFINEX: WebSocket v2, spot pairs and perpetuals.

Sources, as of 2026: docs.bitfinex.com, "General" (events, flags of ``conf``, codes), "Public channels" (25 channels of
a connection), "Books", "WebSocket Checksum", "Trades", "Ticker", "Status", REST "Configs"; a session recorded on
2021-04-05; the discussion of number formats in bitfinexcom/bfx-api-node-models#70 (checksums are of what JavaScript
writes: ``5.6e-7``).
"""

import heapq
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import ClassVar, Final

import msgspec

from tickcast.sim.crypto.listing import Product, Spot, price_tick
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Kind, Levels, Stream, Topic, Trade
from tickcast.sim.crypto.voice import Books, House, Reaction, RestAnswer, RestRequest, Voice, json

TIMESTAMP: Final = 32_768
SEQ_ALL: Final = 65_536
OB_CHECKSUM: Final = 131_072
CHECKED: Final = 25
"""Levels a side that the checksum covers."""
PRINTS_MAX: Final = 10_000
"""Trades of an answer over REST."""
HISTORY: Final = 30
LENGTHS: Final = ("1", "25", "100", "250")
PERPETUALS: Final = 4
CHANNELS: Final[Mapping[str, Kind]] = {
    "book": "book",
    "trades": "trade",
    "ticker": "ticker",
    "status": "mark",
    "candles": "other",
}
LIQUIDATIONS: Final = "liq:global"
FIRST_CHANNEL: Final = 117_000
"""Numbers of channels count up from here."""
MARK: Final = b"#"
"""Begins what :meth:`BitfinexVoice.dress` makes an array of."""
EXPONENT: Final = "0.000000"
"""JavaScript writes what begins so with an exponent."""


class _Request(msgspec.Struct, rename="camel"):
    event: str
    channel: str = ""
    symbol: str = ""
    pair: str = ""
    key: str = ""
    prec: str = "P0"
    freq: str = "F0"
    len: str | int = "25"
    chan_id: int = 0
    flags: int = 0
    cid: int | None = None


class BitfinexVoice(Voice):
    """Arrays of numbered channels; a number of each message of a connection; checksums behind changes of a book."""

    code: ClassVar[str] = "BITFINEX"
    paths: ClassVar[Mapping[str, str]] = {"": "/ws/2"}
    rest_prefix: ClassVar[str] = "/v2/"
    house: ClassVar[House] = House(topics_max=25, weight=30, weight_per_s=60.0, heartbeat_s=15.0)
    dressed: ClassVar[bool] = True

    @classmethod
    def products(cls, spots: Sequence[Spot], start_ns: int) -> list[Product]:
        """List all pairs against the dollar, and perpetuals of the first."""
        del start_ns
        found = [_product(spot, "spot", _pair(spot.base, "USD"), f"{spot.base}-USD") for spot in spots]
        return found + [
            _product(spot, "perpetual", f"{spot.base}F0:USTF0", f"{spot.base}-USDT-PERP") for spot in spots[:PERPETUALS]
        ]

    # ------------------------------------------------------------------ a connection

    def greet(self, client: Client) -> Reaction:
        """Tell the version, and that the platform trades."""
        platform = {"status": 1}
        info = {"event": "info", "version": 2, "serverId": f"simulated-{client.number}", "platform": platform}
        return Reaction(answers=[json(info)])

    def heartbeat(self, client: Client, now_ns: int) -> Reaction:
        """Tell a heartbeat of every channel."""
        return Reaction(answers=[_told(b'"hb"', now_ns, number) for number in _numbers(client).values()])

    def farewell(self, client: Client, now_ns: int) -> Sequence[bytes]:
        """Announce the restart of the server."""
        del client, now_ns
        return [json({"event": "info", "code": 20051, "msg": "Stopping. Please try to reconnect"})]

    def dress(self, client: Client, topic: Topic | None, payload: bytes) -> bytes:
        """Make the array of this client: its number of the channel, of the message, and the time."""
        if not payload.startswith(MARK):
            return payload
        _, time, number, body = payload.split(MARK, 3)
        channel = str(_numbers(client).get(topic, 0)).encode() if topic is not None else number
        flags, end = _flags(client), b""
        if flags & SEQ_ALL:
            sequence = client.memory.get("sequence", 0)
            client.memory["sequence"] = sequence = sequence + 1 if isinstance(sequence, int) else 1
            end += b",%d" % sequence
        if flags & TIMESTAMP:
            end += b"," + time
        return b"[" + channel + b"," + body + end + b"]"

    def receive(self, client: Client, frame: bytes, now_ns: int) -> Reaction:
        """Carry out one request."""
        try:
            request = msgspec.json.decode(frame, type=_Request)
        except msgspec.MsgspecError:
            return Reaction(answers=[_error("json: invalid", 10_000)])
        match request.event:
            case "ping":
                return Reaction(answers=[json({"event": "pong", "ts": now_ns // 1_000_000, "cid": request.cid})])
            case "conf":
                client.memory["flags"] = request.flags
                return Reaction(answers=[json({"event": "conf", "status": "OK", "flags": request.flags})])
            case "subscribe":
                return self._subscribe(client, request)
            case "unsubscribe":
                return _unsubscribe(client, request)
        return Reaction(answers=[_error("event: invalid", 10000)])

    def _subscribe(self, client: Client, request: _Request) -> Reaction:
        topic = self._topic(request, client)
        numbers = _numbers(client)
        if isinstance(topic, str):
            return Reaction(answers=[_error(topic, 10300, request)])
        if topic in client.topics:
            return Reaction(answers=[_error("subscribe: dup", 10301, request)])
        if len(client.topics) >= self.house.topics_max:
            return Reaction(answers=[_error("subscribe: limit", 10305, request)])
        if not self.takes(topic):
            return Reaction(answers=[_error("symbol: invalid", 10300, request)])
        last = client.memory.get("last channel", FIRST_CHANNEL)
        client.memory["last channel"] = number = last + 1 if isinstance(last, int) else FIRST_CHANNEL
        numbers[topic] = number
        told = {"event": "subscribed", "channel": request.channel, "chanId": number, **_echo(request)}
        return Reaction(answers=[json(told)], subscribe=[topic])

    def _topic(self, request: _Request, client: Client) -> Topic | str:
        """Return the topic of a request; a text: what is wrong with it."""
        kind = CHANNELS.get(request.channel)
        if kind is None:
            return "channel: unknown"
        if request.key == LIQUIDATIONS:
            return Topic("liquidation", channel=LIQUIDATIONS)
        native = (request.symbol or request.key.removeprefix("deriv:") or request.pair).removeprefix("t")
        known = self.by_native.get(("", native))
        if known is None or (kind == "mark" and known.product.kind != "perpetual"):
            return "symbol: invalid"
        if kind != "book":
            interval_ms = 1000 if kind in {"ticker", "mark"} else 0
            return Topic(kind, native, channel=request.channel, interval_ms=interval_ms)
        if request.prec != "P0" or str(request.len) not in LENGTHS:
            return "prec: invalid" if request.prec != "P0" else "len: invalid"
        checked = "checked" if _flags(client) & OB_CHECKSUM else ""
        return Topic(kind, native, channel="book", key=checked, depth=int(request.len))

    # ------------------------------------------------------------------ news

    def begin(self, stream: Stream, book: BookNews | None, now_ns: int) -> Iterable[bytes]:
        """Tell the whole book and its checksum, the last trades, or the values of now."""
        instrument, topic = stream.instrument, stream.topic
        if instrument is None:
            return
        if book is not None:
            yield from self.book(stream, book, now_ns)
        elif topic.kind == "trade":
            rows = ",".join([_print(instrument, one) for one in reversed(list(instrument.trades)[-HISTORY:])])
            yield _told(f"[{rows}]".encode(), now_ns)
        else:
            yield from self.values(stream, instrument, now_ns)

    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterator[bytes]:
        """Write a message for each level that changed, or one with all of them; then the checksum.

        What is gone goes first: so no level crosses one that is not there any more.
        """
        instrument = stream.instrument
        assert instrument is not None  # noqa: S101  topics of books name one
        sides = [(level, sign) for levels, sign in ((news.bids, ""), (news.asks, "-")) for level in levels]
        if news.snapshot:
            yield _told(f"[{','.join([_level(instrument, *one) for one in sides])}]".encode(), now_ns)
        else:
            for one in sorted(sides, key=lambda one: one[0][1] != 0):
                yield _told(_level(instrument, *one).encode(), now_ns)
        if stream.topic.key:
            yield _told(b'"cs",%d' % checksum(instrument, news.levels), now_ns)

    def trades(self, stream: Stream, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> Iterable[bytes]:
        """Write each trade, and once more a moment later; or the liquidations: found, then matched."""
        for one in trades:
            if stream.topic.kind == "liquidation":
                for is_match in (0, 1):
                    yield _told(f"[{_position(instrument, one, is_match)}]".encode(), now_ns)
            else:
                for word in ("te", "tu"):
                    yield _told(f'"{word}",{_print(instrument, one)}'.encode(), now_ns)

    def values(self, stream: Stream, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
        """Write the ticker, or the status of a perpetual."""
        if stream.topic.kind == "ticker":
            yield _told(_ticker(instrument).encode(), now_ns)
        elif stream.topic.kind == "mark":
            yield _told(_status(instrument, now_ns).encode(), now_ns)

    def spoil_checksum(self, payload: bytes) -> bytes | None:
        """Change the number behind ``cs``."""
        head, mark, tail = payload.partition(b'"cs",')
        if not mark:
            return None
        value, comma, rest = tail.partition(b",")
        return head + mark + str(int(value.rstrip(b"]")) ^ 1).encode() + (comma + rest if comma else b"]")

    # ------------------------------------------------------------------ REST

    def rest(self, request: RestRequest, books: Books) -> RestAnswer:
        """Answer the lists of pairs, the state of the platform, a book."""
        path = request.path.removeprefix(self.rest_prefix)
        if path.startswith("conf/"):
            return RestAnswer(json([self._list(name) for name in path.removeprefix("conf/").split(",")]))
        if path == "platform/status":
            return RestAnswer(b"[1]")
        if path.startswith("trades/"):
            return self._prints(request, path.removeprefix("trades/t").removesuffix("/hist"))
        instrument = self.by_native.get(("", path.removeprefix("book/t").removesuffix("/P0")))
        if not path.startswith("book/") or instrument is None:
            return RestAnswer(json(["error", 10020, "symbol: invalid"]), status=500)
        length = request.query.get("len", "25")
        book = books.snapshot(instrument, int(length) if length in LENGTHS else 25)
        rows = [_level(instrument, level, sign) for side, sign in ((book.bids, ""), (book.asks, "-")) for level in side]
        return RestAnswer(f"[{','.join(rows)}]".encode())

    def _prints(self, request: RestRequest, native: str) -> RestAnswer:
        """List trades of a time, the newest that there is room for, or with ``sort`` 1 the oldest."""
        instrument = self.by_native.get(("", native))
        if instrument is None:
            return RestAnswer(json(["error", 10020, "symbol: invalid"]), status=500)
        begin, end, most = (
            int(text) if text.isdecimal() else instead
            for text, instead in (
                (request.query.get("start", ""), 0),
                (request.query.get("end", ""), request.now_ns // 1_000_000),
                (request.query.get("limit", ""), 125),
            )
        )
        found = [one for one in instrument.trades if begin <= one.ts_ns // 1_000_000 <= end]
        most = min(most, PRINTS_MAX)
        chosen = found[:most] if request.query.get("sort") == "1" else found[: -most - 1 : -1]
        return RestAnswer(f"[{','.join([_print(instrument, one) for one in chosen])}]".encode())

    def too_many(self) -> RestAnswer:
        """Write the answer to too many requests."""
        return RestAnswer(json({"error": "ERR_RATE_LIMIT"}), status=429)

    def _list(self, name: str) -> list[str]:
        kind = {"pub:list:pair:exchange": "spot", "pub:list:pair:futures": "perpetual"}.get(name)
        return [one.native for one in self.instruments if one.product.kind == kind]


def _pair(base: str, quote: str) -> str:
    return f"{base}{quote}" if len(base) == len(quote) == 3 else f"{base}:{quote}"


def _product(spot: Spot, kind: str, native: str, symbol: str) -> Product:
    return Product(
        native=native,
        symbol=symbol,
        kind="spot" if kind == "spot" else "perpetual",
        base=spot.base,
        quote="USD" if kind == "spot" else "USDT",
        source=spot.source,
        tick=price_tick(spot.price),
        lot=1,
        price=spot.price,
        typical=1200.0 / spot.price,
        settle="" if kind == "spot" else "USDT",
    )


# ------------------------------------------------------------------ a client's memory


def _numbers(client: Client) -> dict[Topic, int]:
    """Numbers of its channels."""
    found = client.memory.setdefault("numbers", {})
    return found if isinstance(found, dict) else {}


def _flags(client: Client) -> int:
    found = client.memory.get("flags", 0)
    return found if isinstance(found, int) else 0


def _unsubscribe(client: Client, request: _Request) -> Reaction:
    numbers = _numbers(client)
    topic = next((one for one, number in numbers.items() if number == request.chan_id), None)
    if topic is None:
        return Reaction(answers=[json({"event": "error", "msg": "unsubscribe: invalid", "code": 10400})])
    del numbers[topic]
    answer = {"event": "unsubscribed", "status": "OK", "chanId": request.chan_id}
    return Reaction(answers=[json(answer)], unsubscribe=[topic])


def _echo(request: _Request) -> dict[str, str]:
    """Repeat what was asked for."""
    if request.channel == "status":
        return {"key": request.key}
    found = {"symbol": request.symbol, "pair": request.symbol.removeprefix("t")}
    if request.channel == "book":
        found |= {"prec": request.prec, "freq": request.freq, "len": str(request.len)}
    return found


def _error(text: str, code: int, request: _Request | None = None) -> bytes:
    asked = {} if request is None else {"channel": request.channel, **_echo(request)}
    return json({"event": "error", "msg": text, "code": code, **asked})


# ------------------------------------------------------------------ what is told


def _told(body: bytes, now_ns: int, number: int = 0) -> bytes:
    """Write a message for :meth:`BitfinexVoice.dress`; ``number``: of its channel, where no topic says it."""
    return b"#%d#%d#" % (now_ns // 1_000_000, number) + body


@lru_cache(maxsize=100_000)
def number(text: str) -> str:
    """Write a decimal text as JavaScript does."""
    if "." not in text:
        return text
    text = text.rstrip("0").rstrip(".")
    if not text.startswith(EXPONENT):
        return text
    digits = text[2:].lstrip("0")
    point = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{point}e-{len(text) - 1 - len(digits)}"


def checksum(instrument: Instrument, levels: tuple[Levels, Levels]) -> int:
    """Return the signed CRC32 of the best levels, bid and ask by turns; sizes of asks are below zero."""
    bids, asks = heapq.nlargest(CHECKED, levels[0]), heapq.nsmallest(CHECKED, levels[1])
    parts = []
    for place in range(max(len(bids), len(asks))):
        for prices, side, sign in ((bids, levels[0], ""), (asks, levels[1], "-")):
            if place < len(prices):
                parts.append(number(instrument.price(prices[place])))
                parts.append(sign + number(instrument.size(side[prices[place]])))
    value = zlib.crc32(":".join(parts).encode())
    return value - (1 << 32) if value >= 1 << 31 else value


def _level(instrument: Instrument, level: tuple[int, int], sign: str) -> str:
    price, size = level
    if not size:
        return f"[{number(instrument.price(price))},0,{sign}1]"
    return f"[{number(instrument.price(price))},{1 + size % 7},{sign}{number(instrument.size(size))}]"


def _print(instrument: Instrument, one: Trade) -> str:
    sign = "" if one.buy else "-"
    size, price = number(instrument.size(one.size)), number(instrument.price(one.price))
    return f"[{one.id},{one.ts_ns // 1_000_000},{sign}{size},{price}]"


def _position(instrument: Instrument, one: Trade, is_match: int) -> str:
    sign = "-" if one.buy else ""  # who was short is forced to buy
    size, price = number(instrument.size(one.size)), number(instrument.price(one.price))
    liquidated = price if is_match else "null"
    time = one.ts_ns // 1_000_000
    return (
        f'["pos",{one.id},{time},null,"t{instrument.native}",{sign}{size},{price},null,{is_match},1,null,{liquidated}]'
    )


def _ticker(instrument: Instrument) -> str:
    stats, price = instrument.stats, instrument.price
    bid, bid_size, ask, ask_size = instrument.best
    last = stats.last or bid
    before = stats.open or last
    relative = round((last - before) / before, 4) if before else 0
    values = (bid, 0, ask, 0, last - before, 0, last, 0, stats.high or last, stats.low or last)
    texts = [number(price(value)) for value in values]
    texts[1], texts[3] = number(instrument.size(bid_size * 3)), number(instrument.size(ask_size * 3))
    texts[5], texts[7] = str(relative), number(instrument.size(stats.volume))
    return f"[{','.join(texts)}]"


def _status(instrument: Instrument, now_ns: int) -> str:
    mark, last = instrument.price(instrument.mark), instrument.price(instrument.stats.last or instrument.mark)
    funding, size = f"{instrument.funding:.8f}", number(instrument.size(instrument.open_interest))
    index = number(f"{instrument.index_price:.8f}")
    columns = ["null"] * 23
    columns[0], columns[2], columns[3] = str(now_ns // 1_000_000), number(last), index
    columns[5], columns[7] = "1372762.95402242", str(instrument.funding_next_ns // 1_000_000)
    columns[8], columns[9], columns[11] = _signed(funding), "1", _signed(funding)
    columns[14], columns[17] = number(mark), size
    columns[21], columns[22] = "0.0005", "0.0025"
    return f"[{','.join(columns)}]"


def _signed(text: str) -> str:
    return "-" + number(text[1:]) if text.startswith("-") else number(text)
