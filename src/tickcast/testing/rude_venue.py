"""A crypto venue on loopback that speaks its dialect by a simulated voice, and misbehaves exactly as it is told.

Everything is on one port, and every byte is written here, so that anything can be wrong: frames
(:attr:`RudeVenue.tamper`), bytes between frames (:meth:`RudeVenue.write`), handshakes (:attr:`RudeVenue.on_handshake`)
and REST answers (:attr:`RudeVenue.on_request`). Handshakes and requests are counted, with their times.
"""

import asyncio
import base64
import contextlib
import hashlib
import ssl
from collections.abc import Callable, Mapping
from typing import Final, Self

from tickcast.runtime.clock import now_ns
from tickcast.runtime.tasks import TaskGroupOwner
from tickcast.sim import universe as listing
from tickcast.sim.config import Config, MarketConfig
from tickcast.sim.crypto.sockets import text_frame
from tickcast.sim.crypto.state import Client, Instrument
from tickcast.sim.crypto.venue import SimVenue, Tamper
from tickcast.sim.crypto.voice import RestAnswer
from tickcast.sim.crypto.voices import voice
from tickcast.sim.engine import VenueEngine

QUANTUM_S: Final = 0.02
ACCEPT: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HEAD_MAX: Final = 65_536
Answering = Callable[[str], bytes | None]
"""What is written in place of an answer, by path and query; None = what is right; empty = nothing at all."""


def http(status: str, body: bytes = b"", **headers: str) -> bytes:
    """Write an HTTP answer; ``Retry_After`` is ``Retry-After``, and a length that is given is not made right."""
    told = {"Content-Length": str(len(body)), "Connection": "close"}
    told.update({name.replace("_", "-"): value for name, value in headers.items()})
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items() if value)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


class RudeVenue:
    """Serves between ``async with`` and its end."""

    def __init__(
        self,
        word: str,
        *,
        seed: int = 1,
        rate: float = 200.0,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        """List a few instruments of the venue ``word`` (``okx``); with ``tls``, as ``wss`` and ``https``."""
        market = MarketConfig(stock_share=0.0, orders_per_side=12, open_after_ms=1.0)
        config = Config(symbols=4, seed=seed, market=market)
        start_ns = now_ns()
        made = voice(word)
        self.venue: Final = SimVenue(word, made, config, listing.build(config), start_ns=start_ns, now_ns=now_ns)
        self.engine: Final = VenueEngine(self.venue, rate=rate, quantum_ms=QUANTUM_S * 1000, start_ns=start_ns)
        self.on_handshake: Answering = lambda _: None
        self.on_request: Answering = lambda _: None
        self.on_answer: Callable[[RestAnswer], None] = lambda _: None
        """Is told of every right answer to a request."""
        self.requests: list[tuple[int, str]] = []
        self.handshakes: list[tuple[int, str]] = []
        self._tls = tls
        self._port = port
        self._writers: dict[Client, asyncio.StreamWriter] = {}
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._tasks = TaskGroupOwner(f"rude.{word}")
        self.venue.on_cut = self._cut

    @property
    def tamper(self) -> Tamper | None:
        """What stands between the voice and a client."""
        return self.venue.tamper

    @tamper.setter
    def tamper(self, tamper: Tamper | None) -> None:
        self.venue.tamper = tamper

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def addresses(self) -> Mapping[str, str]:
        """``url`` and ``rest_url`` of a feed's config."""
        secure = "s" if self._tls is not None else ""
        return {"url": f"ws{secure}://127.0.0.1:{self.port}", "rest_url": f"http{secure}://127.0.0.1:{self.port}"}

    def chosen(self) -> list[Instrument]:
        """Two spot pairs if there are any, and a perpetual."""
        found: list[Instrument] = []
        for kind, count in (("spot", 2), ("perpetual", 1)):
            found += [one for one in self.venue.instruments if one.product.kind == kind][:count]
        return found

    async def __aenter__(self) -> Self:
        """Listen, and let the market begin."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, ssl=self._tls, limit=HEAD_MAX)
        self._tasks.spawn(self._run(), "market")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close everything."""
        await self._tasks.stop()
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.sleep(0)

    def write(self, raw: bytes, *, to: Client | None = None) -> int:
        """Write bytes into every open stream, or a client's; returns into how many."""
        chosen = [writer for client, writer in self._writers.items() if to in {None, client}]
        for writer in chosen:
            writer.write(raw)
        return len(chosen)

    def cut(self) -> None:
        """Cut every stream."""
        self.venue.disconnect()

    # ------------------------------------------------------------------ the market

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(QUANTUM_S)
            self.engine.advance(now_ns())
            self.venue.idle(now_ns())
            self.flush()

    def flush(self) -> None:
        """Write what is to be sent."""
        for client in self.venue.changed_clients():
            writer = self._writers.get(client)
            if writer is None:
                continue
            is_binary = bool(self.venue.voice.packing)
            writer.write(b"".join(text_frame(frame, binary=is_binary) for frame in self.venue.take(client)))
            if client.close is not None:
                writer.write(bytes((0x88, 2)) + client.close[0].to_bytes(2, "big"))
                writer.close()
                self._left(client)

    def _cut(self, client: Client) -> None:
        writer = self._writers.pop(client, None)
        if writer is not None:
            writer.transport.abort()

    def _left(self, client: Client) -> None:
        self._writers.pop(client, None)
        self.venue.left(client)

    # ------------------------------------------------------------------ connections

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            if "upgrade: websocket" in head.lower():
                await self._stream(head, reader, writer)
            else:
                await self._answer(head, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        method, target, _ = head.split(" ", 2)
        self.requests.append((now_ns(), target))
        raw = self.on_request(target)
        if raw is None:
            answer = self.rest(target, method)
            self.on_answer(answer)
            raw = http(f"{answer.status} X", answer.body, Content_Type="application/json", **_named(answer.headers))
        writer.write(raw)
        await writer.drain()

    def rest(self, target: str, method: str = "GET") -> RestAnswer:
        """Answer as the venue does."""
        return self.venue.rest(target, now_ns(), address="us", method=method)

    async def _stream(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = head.split(" ", 2)[1]
        self.handshakes.append((now_ns(), target))
        raw = self.on_handshake(target)
        if raw is None and not self.venue.admits(target):
            raw = http("403 Forbidden")
        if raw is not None:
            writer.write(raw)
            await writer.drain()
            return
        key = next(line.split(":", 1)[1] for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key"))
        token = base64.b64encode(hashlib.sha1(key.strip().encode() + ACCEPT).digest())  # noqa: S324  RFC 6455 has it
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            + token
            + b"\r\n\r\n"
        )
        client = self.venue.connect(target, now_ns())
        self._writers[client] = writer
        self.flush()
        try:
            with contextlib.suppress(asyncio.IncompleteReadError):
                while client in self._writers:
                    await self._hear(client, reader, writer)
        finally:
            self._left(client)

    async def _hear(self, client: Client, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one frame of a client."""
        first, second = await reader.readexactly(2)
        length = second & 0x7F
        if length >= 126:
            length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8), "big")
        mask = await reader.readexactly(4)
        masked = await reader.readexactly(length)
        payload = bytes(byte ^ mask[place & 3] for place, byte in enumerate(masked))
        match first & 0x0F:
            case 1 | 2:
                self.venue.receive(client, payload, now_ns())
                self.flush()
            case 8:
                self._left(client)
            case 9:
                self.venue.alive(client, now_ns())
                writer.write(bytes((0x8A, len(payload))) + payload)
            case _:
                self.venue.alive(client, now_ns())


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("-", "_"): value for name, value in headers.items()}
