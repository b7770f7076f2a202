"""A small gateway on loopback that the tests steer: the stream's protocol, the REST answers, and faults on demand."""

import asyncio
import contextlib
import itertools
import json
import random
import socket
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from tickcast.gateway.page import CSP

CONTENT_POLICY = CSP
HISTORY = 10_000


def timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Instrument:
    """Newest state of one name; ``seq`` counts its changes."""

    symbol: str
    price: Decimal
    tick: Decimal = Decimal("0.01")
    venue: str = "XNAS"
    state: str = "live"
    legs: tuple[int, int] | None = None
    crossed: bool = False
    epoch: int = 7
    seq: int = 100
    trade_seq: int = 10
    volume: int = 1_250_000
    prev_close: Decimal = Decimal(0)
    book_seq: int = 40
    bids: dict[Decimal, int] = field(default_factory=dict)
    asks: dict[Decimal, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.prev_close = self.price
        self.bids = {self.price - place * self.tick: 100 * place for place in range(1, 11)}
        self.asks = {self.price + place * self.tick: 150 * place for place in range(1, 11)}

    def fields(self) -> dict[str, Any]:
        change = self.price - self.prev_close
        fields: dict[str, Any] = {
            "price": str(self.price),
            "size": "100",
            "side": "buy",
            "bid": str(self.price - self.tick),
            "bid_size": "300",
            "ask": str(self.price + self.tick),
            "ask_size": "1200",
            "timestamp": timestamp(),
            "venue": self.venue,
            "state": self.state,
            "open": str(self.prev_close),
            "high": str(self.price + 5 * self.tick),
            "low": str(self.price - 5 * self.tick),
            "prev_close": str(self.prev_close),
            "volume": str(self.volume),
            "change": str(change),
            "change_pct": str(round(100 * change / self.prev_close, 4)),
        }
        if self.legs is not None:
            fields |= {"legs": {"live": self.legs[0], "of": self.legs[1]}, "crossed": self.crossed}
        return fields

    def counter(self, channel: str) -> int:
        return {"trades": self.trade_seq, "book": self.book_seq}.get(channel, self.seq)

    def snapshot(self) -> dict[str, Any]:
        return {"type": "snapshot", "symbol": self.symbol, **self.fields(), "epoch": self.epoch, "seq": self.seq}

    def move(self, steps: int, *, merged: int = 0) -> dict[str, Any]:
        """The price moves by so many ticks; ``merged`` events went before and were never sent."""
        before = self.fields()
        self.price += steps * self.tick
        self.volume += 100
        self.seq += 1 + merged
        changed = {key: value for key, value in self.fields().items() if before[key] != value}
        return {"type": "update", "symbol": self.symbol, **changed, "seq": self.seq}

    def ladder(self) -> list[list[list[str]]]:
        """Bids and asks, best first."""
        bids = [[str(price), str(size)] for price, size in sorted(self.bids.items(), reverse=True)]
        return [bids, [[str(price), str(size)] for price, size in sorted(self.asks.items())]]

    def digest(self) -> int:
        """CRC-32 of the whole book."""
        bids, asks = self.ladder()
        return zlib.crc32(",".join(f"{price}:{size}" for price, size in bids + asks).encode())

    def book_snapshot(self) -> dict[str, Any]:
        bids, asks = self.ladder()
        book = {"type": "snapshot", "symbol": self.symbol, "channel": "book", "depth": 10, "bids": bids, "asks": asks}
        place = {"epoch": self.epoch, "seq": self.book_seq, "state": self.state, "last": True, "digest": self.digest()}
        return book | place | {"timestamp": timestamp()}

    def set_bid(self, price: str, size: int, *, digest: int | None = None) -> dict[str, Any]:
        """A level of the bids changes; 0 takes it away."""
        self.book_seq += 1
        self.bids[Decimal(price)] = size
        if size == 0:
            del self.bids[Decimal(price)]
        told = {"bids": [[price, str(size)]], "asks": [], "timestamp": timestamp(), "seq": self.book_seq}
        update = {"type": "update", "symbol": self.symbol, "channel": "book", **told}
        return update | {"digest": self.digest() if digest is None else digest}

    def bar(self, start_s: int, close: str, **change: Any) -> dict[str, Any]:
        """A bar of a second, so many seconds after the first one."""
        start = datetime(2026, 3, 29, 14, 30, tzinfo=UTC) + timedelta(seconds=start_s)
        shown = {"start": start.isoformat().replace("+00:00", "Z"), "open": str(self.price), "close": close}
        ends = (self.price, Decimal(close))
        shown |= {"high": str(max(ends) + self.tick), "low": str(min(ends) - self.tick), "volume": "1200"}
        return shown | {"notional": "222504.00", "trades": 12, "final": True, **change}

    def bar_message(self, start_s: int, close: str, **change: Any) -> dict[str, Any]:
        told = {"type": "bar", "symbol": self.symbol, "channel": "bars", "interval": "1s", "seq": start_s}
        return told | self.bar(start_s, close, **change)

    def bars_snapshot(self, interval: str) -> dict[str, Any]:
        bars = [self.bar(place, str(self.price + self.tick * (place * 7 % 5 - 2))) for place in range(40)]
        told = {"type": "snapshot", "symbol": self.symbol, "channel": "bars", "interval": interval, "bars": bars}
        return told | {"epoch": self.epoch, "seq": 40, "state": self.state}

    def trade(self) -> dict[str, Any]:
        self.trade_seq += 1
        trade = {"type": "trade", "symbol": self.symbol, "channel": "trades", "seq": self.trade_seq}
        return trade | {
            "id": f"T{self.trade_seq}",
            "price": str(self.price),
            "size": "100",
            "side": "buy" if self.trade_seq % 2 else "sell",
            "timestamp": timestamp(),
            "conditions": [],
        }


@dataclass
class Client:
    """One connection: what it asked for, in order."""

    socket: web.WebSocketResponse
    query: dict[str, str]
    requests: list[dict[str, Any]] = field(default_factory=list)
    symbols: set[str] = field(default_factory=set)
    trades: set[str] = field(default_factory=set)
    books: set[str] = field(default_factory=set)
    bars: set[str] = field(default_factory=set)
    status: bool = False

    def wants(self, message: dict[str, Any]) -> bool:
        """Whether it watches what the message is about."""
        if message["type"] in {"feed", "gap", "delivery"}:
            return self.status
        if message["type"] == "rate":
            return True
        channel = message.get("channel", "price")
        watched = {"trades": self.trades, "book": self.books, "bars": self.bars, "price": self.symbols}[channel]
        return message["symbol"] in watched


@dataclass
class FakeGateway:
    """Serves the built page, the stream and the REST answers on one port of 127.0.0.1."""

    page: Path
    instruments: dict[str, Instrument] = field(default_factory=dict)
    feeds: list[dict[str, Any]] = field(default_factory=list)
    hops: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[dict[str, Any]] = field(default_factory=list)
    suggested: list[str] = field(default_factory=list)
    rung: int = 0
    clients: list[Client] = field(default_factory=list)
    past: list[Client] = field(default_factory=list)
    sent: int = 0
    port: int = 0
    _runner: web.AppRunner | None = None

    def add(self, symbol: str, price: str, **settings: Any) -> Instrument:
        instrument = Instrument(symbol=symbol, price=Decimal(price), **settings)
        self.instruments[symbol] = instrument
        return instrument

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def requests(self, action: str) -> list[dict[str, Any]]:
        """Every request of that kind, over all connections, oldest first."""
        clients = itertools.chain(self.past, self.clients)
        return [request for client in clients for request in client.requests if request["action"] == action]

    async def start(self) -> None:
        application = web.Application()
        application.router.add_get("/stream", self._stream)
        application.router.add_get("/feeds", self._feeds)
        application.router.add_get("/latency", self._latency)
        application.router.add_get("/gaps", self._gaps)
        application.router.add_get("/symbols", self._symbols)
        application.router.add_get("/symbols/overview", self._overview)
        application.router.add_get("/", self._index)
        application.router.add_static("/", self.page)
        application.on_response_prepare.append(self._policy)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        if not self.port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self.close_streams(WSCloseCode.GOING_AWAY, "stopped")
            await self._runner.cleanup()
            self._runner = None

    async def close_streams(self, code: int, reason: str) -> None:
        for client in list(self.clients):
            await client.socket.close(code=code, message=reason.encode())

    async def publish(self, *messages: dict[str, Any]) -> None:
        """To everyone who watches: one message, an array, as a client gets it that asked for ``batch=1``."""
        for client in list(self.clients):
            wanted = [message for message in messages if client.wants(message)]
            if wanted:
                self.sent += len(wanted)
                with contextlib.suppress(ConnectionError):
                    await client.socket.send_str(json.dumps(wanted))

    async def tell_gaps(self) -> None:
        """Every entry of the ledger, as channel ``status`` tells it when it changes."""
        await self.publish(*({"type": "gap", "channel": "status", "gap": one} for one in self.gaps))

    async def set_state(self, symbol: str, state: str, reason: str) -> None:
        instrument = self.instruments[symbol]
        instrument.state = state
        status = {"type": "status", "symbol": symbol, "state": state, "since": timestamp(), "reason": reason}
        await self.publish(status)

    async def churn(self, *, rate: float, seconds: float, symbols: list[str], seed: int = 1) -> None:
        """Every symbol moves ``rate`` times a second, spread over 20 ms steps."""
        chance = random.Random(seed)
        loop = asyncio.get_running_loop()
        begin = loop.time()
        position, done = itertools.cycle(symbols), 0
        while (passed := loop.time() - begin) < seconds:
            due = int(passed * rate * len(symbols)) - done
            done += due
            names = itertools.islice(position, due)
            moves = [
                self.instruments[name].move(chance.choice((-2, -1, 1, 2)), merged=chance.randrange(3)) for name in names
            ]
            await self.publish(*moves)
            await asyncio.sleep(0.02)

    # ------------------------------------------------------------------ HTTP

    async def _policy(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Content-Security-Policy"] = CONTENT_POLICY

    async def _index(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(self.page / "index.html")

    async def _gaps(self, request: web.Request) -> web.Response:
        venue, only_open = request.query.get("venue", ""), request.query.get("open") == "true"
        found = [one for one in self.gaps if venue in {"", one["venue"]} and not (only_open and one["ended"])]
        return web.json_response({"gaps": found[: int(request.query["limit"])], "next": None})

    async def _feeds(self, request: web.Request) -> web.Response:
        return web.json_response({"feeds": self.feeds})

    async def _latency(self, request: web.Request) -> web.Response:
        return web.json_response({"hops": self.hops, "window_s": 60})

    async def _overview(self, request: web.Request) -> web.Response:
        return web.json_response({"symbols": [{"symbol": name} for name in self.suggested]})

    async def _symbols(self, request: web.Request) -> web.Response:
        query = request.query.get("q", "").upper()
        limit = int(request.query.get("limit", "100"))
        found = [
            {"symbol": name, "venue": instrument.venue, "class": "equity", "currency": "USD", "tick_size": "0.01"}
            for name, instrument in self.instruments.items()
            if query in name
        ]
        return web.json_response({"symbols": found[:limit], "next": None})

    # ------------------------------------------------------------------ the stream

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        stream = web.WebSocketResponse(protocols=("tickcast.json",), autoping=True)
        await stream.prepare(request)
        client = Client(stream, dict(request.query))
        self.clients.append(client)
        try:
            async for message in stream:
                if message.type is WSMsgType.TEXT:
                    asked = json.loads(message.data)
                    client.requests.append(asked)
                    await stream.send_str(json.dumps(self._answer(client, asked)))
        finally:
            self.clients.remove(client)
            self.past.append(client)
        return stream

    def _answer(self, client: Client, asked: dict[str, Any]) -> list[dict[str, Any]]:
        action, reply_to = asked["action"], {"id": asked["id"]}
        if action == "visibility":
            return [{"type": "visibility", **reply_to, "hidden": asked["hidden"]}]
        channel = asked.get("channel", "price")
        if channel == "status":
            return self._status(client, reply_to)
        watched = {"trades": client.trades, "book": client.books, "bars": client.bars, "price": client.symbols}[channel]
        if action == "unsubscribe":
            watched.difference_update(asked["symbols"])
            return [{"type": "unsubscribed", **reply_to, "channel": channel, "symbols": asked["symbols"]}]
        watched.update(name for name in asked["symbols"] if name in self.instruments)
        answers = [{"type": "subscribed", **reply_to, "channel": channel, "symbols": self._acks(asked, channel)}]
        resume = asked.get("resume", {})
        outcomes = {name: self._outcome(name, place, channel) for name, place in resume.items()}
        if resume:
            answers.append({"type": "resumed", **reply_to, "symbols": outcomes})
        for name in asked["symbols"]:
            instrument = self.instruments.get(name)
            unchanged = (
                outcomes.get(name, {}).get("recovered")
                and instrument
                and resume[name]["seq"] == instrument.counter(channel)
            )
            if instrument is None or unchanged:
                continue
            if channel == "price":
                answers.append(instrument.snapshot())
            elif channel == "book":
                answers.append(instrument.book_snapshot())
            elif channel == "bars":
                answers.append(instrument.bars_snapshot(asked["interval"]))
        return answers

    def _status(self, client: Client, reply_to: dict[str, Any]) -> list[dict[str, Any]]:
        client.status = True
        gaps = [one for one in self.gaps if one["ended"] is None]
        told = {"feeds": self.feeds, "gaps": gaps, "delivery": {"rung": self.rung}}
        acks = {feed["name"]: {"state": "live"} for feed in self.feeds}
        ack = {"type": "subscribed", **reply_to, "channel": "status", "symbols": acks}
        return [ack, {"type": "snapshot", "channel": "status", **told}]

    def _acks(self, asked: dict[str, Any], channel: str) -> dict[str, dict[str, Any]]:
        acks: dict[str, dict[str, Any]] = {}
        for name in asked["symbols"]:
            instrument = self.instruments.get(name)
            if instrument is None:
                acks[name] = {"state": "no_such_symbol"}
                continue
            seq = instrument.counter(channel)
            acks[name] = {"state": instrument.state, "epoch": instrument.epoch, "seq": seq}
        return acks

    def _outcome(self, name: str, place: dict[str, int], channel: str) -> dict[str, Any]:
        instrument = self.instruments.get(name)
        if instrument is None:
            return {"recovered": False, "reason": "unknown"}
        if place["epoch"] != instrument.epoch:
            return {"recovered": False, "reason": "epoch_changed"}
        seq = instrument.counter(channel)
        if place["seq"] > seq:
            return {"recovered": False, "reason": "ahead"}
        return {"recovered": seq - place["seq"] <= HISTORY}


def entry(ident: str, venue: str, reason: str, **changes: Any) -> dict[str, Any]:
    """An entry of the ledger that is open, unless ``changes`` say otherwise."""
    made: dict[str, Any] = {
        "id": ident,
        "feed": venue.lower(),
        "venue": venue,
        "kind": "gap",
        "scope": "instrument",
        "reason": reason,
    }
    made |= {"began": timestamp(), "ended": None, "duration_ms": 0.0, "link": "", "channel": "", "repaired_by": ""}
    made |= {"instruments": [f"{venue}:AAPL"], "instruments_count": 1, "open_count": 1, "lost": 0}
    return made | {"from_seq": 0, "to_seq": 0, "missing": 0, "recovered": 0} | changes


def demo_world(gateway: FakeGateway) -> None:
    """Some names, all of them suggested; four feeds, and the budget's hops."""
    gateway.add("AAPL", "185.42", legs=(3, 3))
    gateway.add("XNAS:AAPL", "185.42")
    for number, venue in enumerate(("XBOS", "BATS", "XNYS")):
        gateway.add(f"{venue}:AAPL", f"185.4{number}", venue=venue)
    gateway.add("XSIM:AAPL", "185.40", venue="XSIM")
    gateway.add("BINANCE:AAPL-USD", "185.47", venue="BINANCE")
    gateway.add("MSFT", "421.07", legs=(1, 2), crossed=True)
    gateway.add("NVDA", "912.350", venue="XSIM", legs=(2, 2), tick=Decimal("0.005"))
    gateway.add("BTC-USDT", "67123.45000000", venue="BINANCE", legs=(2, 2))
    gateway.add("BINANCE:BTC-USDT", "67123.45000000", venue="BINANCE")
    gateway.add("ETH-USDT", "3512.10", venue="BINANCE", legs=(1, 1))
    gateway.add("SOL-USDT", "148.221", venue="BINANCE", legs=(1, 1), tick=Decimal("0.001"))
    gateway.suggested = list(gateway.instruments)
    for venue, rate in (("XNAS", 38_211.0), ("BINANCE", 9_876.5), ("BINANCE_FUTURES", 80_007.5), ("XSIM", 512.0)):
        name = venue.lower().replace("_", "-")
        gateway.feeds.append(
            {"name": name, "venue": venue, "state": "connected", "since": timestamp(), "pid": 4711, "restarts": 0}
            | {"connections": 1, "reconnects": 0, "messages": 123_456, "rate": rate, "lag_ms": 0.84, "last_error": None}
        )
    for hop, p50, budget in HOPS:
        gateway.hops.append(
            {"hop": hop, "count": 40_000, "p50_ms": p50, "p95_ms": 2.1 * p50, "p99_ms": 3.7 * p50}
            | {"budget_ms": budget, "ok": 3.7 * p50 <= budget[2]}
        )


HOPS: tuple[tuple[str, float, list[float]], ...] = (
    ("exchange_to_socket", 0.31, [8, 15, 32]),
    ("decode_normalise", 0.12, [0.4, 1.2, 3]),
    ("bus_write", 0.22, [1.5, 4, 9]),
    ("bus_read", 0.18, [0.8, 2, 5]),
    ("fanout_write", 1.4, [2, 8, 15]),
)
