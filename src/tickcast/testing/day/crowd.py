"""Hundreds of clients in one thread: each counts what it is sent, as the protocol says, and keeps what is newest."""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, Self

import aiohttp

from tickcast.client.errors import ProtocolError
from tickcast.client.handles import codec_of, handshake_of
from tickcast.runtime.clock import monotonic_ns, pause
from tickcast.testing.day.plan import Member

CONNECT_S: Final = 30.0
AT_ONCE: Final = 25
"""Handshakes that are under way together."""
SYNC_S: Final = 60.0
QUOTE: Final = ("bid", "bid_size", "ask", "ask_size")
FAULTS_MAX: Final = 20


class Client:
    """One client."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.codec = codec_of(member.codec)
        self.frames: Counter[str] = Counter()
        """What came, by type."""
        self.quotes: dict[str, dict[str, Any]] = {}
        """Newest best prices of each symbol, of channel ``price`` and of ``book``."""
        self.states: dict[str, str] = {}
        self.trades: Counter[str] = Counter()
        """Trades of each symbol."""
        self.last: dict[str, tuple[Any, Any]] = {}
        """Price and size of each symbol's last trade."""
        self.lost: Counter[str] = Counter()
        """Trades that were announced as lost."""
        self.faults: list[str] = []
        self.synced = 0
        """Barriers that came back, and agreed."""
        self.is_subscribed = False
        self._books: dict[str, tuple[dict[Decimal, Any], dict[Decimal, Any]]] = {}
        self._ids: dict[str, set[str]] = {}
        self._delivered: Counter[str] = Counter()
        self._epochs: dict[str, int] = {}
        self._last_seq: dict[str, int] = {}

    def request(self) -> str | bytes:
        """Write what it asks for."""
        member = self.member
        terms: dict[str, Any] = {"channel": member.channel, "symbols": list(member.symbols), **member.terms}
        if member.channel != "trades":
            terms["rate"] = member.rate
        return self.codec.request({"action": "subscribe", **terms})

    def fault(self, text: str) -> None:
        """Note what no client may see."""
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(f"{self.member.codec} {self.member.channel}: {text}")

    def take(self, message: str | bytes) -> None:
        """Take a message."""
        try:
            frames = self.codec.frames(message)
        except ProtocolError as wrong:
            self.fault(str(wrong))
            return
        for frame in frames:
            kind = str(frame.get("type"))
            self.frames[kind] += 1
            match kind:
                case "subscribed":
                    self._begin(frame)
                case "error":
                    self.fault(str(frame)[:200])
                case "synced":
                    self._compare(frame)
                case "status":
                    self.states[frame["symbol"]] = frame["state"]
                case "snapshot" | "update" | "trade" | "bar" | "lost":
                    self._data(kind, frame)

    def _begin(self, frame: dict[str, Any]) -> None:
        self.is_subscribed = True
        for symbol, standing in frame["symbols"].items():
            if "epoch" not in standing:
                self.fault(f"{symbol} is {standing['state']}")
                continue
            self._epochs[symbol], self._last_seq[symbol] = standing["epoch"], standing["seq"]
            self.states[symbol] = standing["state"]

    def _data(self, kind: str, frame: dict[str, Any]) -> None:
        symbol, seq = frame["symbol"], frame["seq"]
        if symbol not in self._epochs:
            self.fault(f"{kind} of {symbol}, which was not asked for")
            return
        if kind == "snapshot" and frame["epoch"] != self._epochs[symbol]:
            self.fault(f"{symbol}: epoch {frame['epoch']} after {self._epochs[symbol]}")
        last = self._last_seq[symbol]
        if seq < last or (seq == last and kind in {"trade", "update"} and self.member.channel in {"price", "trades"}):
            self.fault(f"{symbol}: {kind} with seq {seq} after {last}")
        if seq > last:
            self._delivered[symbol] += kind != "lost"
            self._last_seq[symbol] = seq
        if "state" in frame:
            self.states[symbol] = frame["state"]
        if kind == "lost":
            self.lost[symbol] += int(frame["count"])
        elif kind == "trade":
            self._trade(symbol, frame)
        elif self.member.channel == "price":
            quote = self.quotes.setdefault(symbol, dict.fromkeys(QUOTE))
            quote.update((key, frame[key]) for key in QUOTE if key in frame)
        elif self.member.channel == "book":
            self._book(symbol, kind, frame)

    def _trade(self, symbol: str, frame: dict[str, Any]) -> None:
        seen = self._ids.setdefault(symbol, set())
        if frame["id"] in seen:
            self.fault(f"{symbol}: trade {frame['id']} came twice")
        seen.add(frame["id"])
        self.trades[symbol] += 1
        self.last[symbol] = (frame["price"], frame["size"])

    def _book(self, symbol: str, kind: str, frame: dict[str, Any]) -> None:
        if kind == "snapshot":
            self._books[symbol] = ({}, {})
        sides = self._books.get(symbol)
        if sides is None:
            self.fault(f"{symbol}: a change of a book before the book")
            return
        for side, name in zip(sides, ("bids", "asks"), strict=True):
            for price, size in frame[name]:
                at = Decimal(str(price))
                if Decimal(str(size)):
                    side[at] = size
                else:
                    side.pop(at, None)
        bid, ask = max(sides[0], default=None), min(sides[1], default=None)
        self.quotes[symbol] = {
            "bid": bid,
            "bid_size": None if bid is None else sides[0][bid],
            "ask": ask,
            "ask_size": None if ask is None else sides[1][ask],
        }

    def _compare(self, synced: dict[str, Any]) -> None:
        faults = len(self.faults)
        for channel, symbols in synced["channels"].items():
            for symbol, row in symbols.items():
                whole = row["delivered"] + row["merged"] + row["lost"]
                if row["published"] != whole or row["delivered"] != self._delivered[symbol]:
                    self.fault(f"{channel} of {symbol}: {row}, {self._delivered[symbol]} came")
                if channel == "trades" and row["lost"] != self.lost[symbol]:
                    self.fault(f"trades of {symbol}: {row}, {self.lost[symbol]} were announced as lost")
        self.synced += len(self.faults) == faults


class Crowd:
    """All clients, from ``with`` to its end."""

    def __init__(self, url: str, members: Sequence[Member]) -> None:
        self._url = url
        self.clients = [Client(member) for member in members]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="crowd", daemon=True)
        self._sockets: dict[Client, aiohttp.ClientWebSocketResponse] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._tasks: list[asyncio.Task[None]] = []
        self._is_over = False

    def __enter__(self) -> Self:
        """Connect all; returns when each has its acknowledgement."""
        self._thread.start()
        self._until(lambda: all(one.is_subscribed for one in self.clients), CONNECT_S + len(self.clients) / 10)
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect all."""
        self._is_over = True
        self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join(30)

    def begin(self) -> None:
        """Forget the trades that came so far: the day begins here."""
        for client in self.clients:
            client.trades.clear()

    def sync(self) -> None:
        """Have every client compare its counters with the gateway's at a barrier; what differs is its fault."""
        before = {one: one.frames["synced"] for one in self.clients}
        asyncio.run_coroutine_threadsafe(self._ask_all(), self._loop).result(SYNC_S)
        missing = self._until(lambda: all(one.frames["synced"] > before[one] for one in self.clients), SYNC_S)
        if missing:
            for one in self.clients:
                if one.frames["synced"] == before[one]:
                    one.fault("no answer to sync")

    @property
    def faults(self) -> list[str]:
        """What clients have seen that none may see."""
        return [fault for one in self.clients for fault in one.faults]

    @staticmethod
    def _until(condition: Any, within_s: float) -> bool:
        """Wait; whether it was in vain."""
        end_ns = monotonic_ns() + int(within_s * 1e9)
        while not condition():
            if monotonic_ns() > end_ns:
                return True
            pause(0.1)
        return False

    # ------------------------------------------------------------------ its thread

    def _run(self) -> None:
        self._loop.run_until_complete(self._work())
        self._loop.close()

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _work(self) -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            self._tasks = [self._loop.create_task(self._serve(session, client)) for client in self.clients]
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, session: aiohttp.ClientSession, client: Client) -> None:
        subprotocol, query = handshake_of(client.member.codec)
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with self._turn:
                    socket = await stack.enter_async_context(
                        session.ws_connect(self._url, params=query, protocols=(subprotocol,), max_msg_size=0)
                    )
                    await self._send(socket, client.request())
                self._sockets[client] = socket
                async for message in socket:
                    if message.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                        client.take(message.data)
            if not self._is_over:
                client.fault(f"the connection ended with {socket.close_code}")
        except (aiohttp.ClientError, OSError, TimeoutError) as wrong:
            client.fault(f"cannot connect: {wrong}")

    @staticmethod
    async def _send(socket: aiohttp.ClientWebSocketResponse, request: str | bytes) -> None:
        await (socket.send_str(request) if isinstance(request, str) else socket.send_bytes(request))

    async def _ask_all(self) -> None:
        for client, socket in self._sockets.items():
            if not socket.closed:
                await self._send(socket, client.codec.request({"action": "sync", "id": 1}))
