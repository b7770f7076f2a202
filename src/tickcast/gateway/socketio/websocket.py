"""A WebSocket under python-engineio: our front's connection as the ASGI scope that it expects.

The front has read the head of the upgrade and checked it as it does for ``/stream``. Here the frame reader of the
core makes messages of bytes, and what the engine sends is written when the socket took what came before: the engine's
writer waits for each message, so its queue empties no faster than the client reads.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from starlette.types import Receive, Scope, Send

from tickcast.gateway.clients import Reader
from tickcast.gateway.handshake import Headers
from tickcast.gateway.problem import answer

CLOSE, PING, TEXT = 8, 9, 1
INBOX_MAX: Final = 16
"""Messages that wait for the engine; then the client is not read from until they are served."""
NORMAL, GOING_AWAY, UNSUPPORTED = 1000, 1001, 1003


class Engine(Protocol):
    """What serves a connection."""

    def serve(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one WebSocket to its end; never raises."""

    def gone(self, connection: "EngineSocket") -> None:
        """Take note that the connection is lost."""

    def count(self, connection: "EngineSocket") -> bool:
        """Count a message; returns whether the client may send so many."""


class EngineSocket(asyncio.Protocol):
    """One connection, from its upgrade on."""

    def __init__(
        self,
        engine: Engine,
        *,
        reader: Reader,
        protocol_error: type[Exception],
        welcome: bytes,
        address: str,
        spawn: Callable[[Any, str], object],
    ) -> None:
        """``welcome`` is the answer to the handshake, ``address`` the key in the limits per address."""
        self._engine = engine
        self._reader = reader
        self._protocol_error = protocol_error
        self._welcome = welcome
        self._spawn = spawn
        self._transport: asyncio.Transport | None = None
        self._inbox: deque[str] = deque()
        self._waiting: asyncio.Future[None] | None = None
        """The engine waits for a message."""
        self._writable = asyncio.Event()
        self._writable.set()
        self._is_open = False
        self._is_told = False
        self.address = address
        self.link: Any = None
        """The engine's: the session that it carries."""
        self.allowance = 0.0
        self.counted_ns = 0
        """Of :meth:`Engine.count`."""

    def open(self, transport: asyncio.Transport, *, path: str, query: bytes, headers: Headers) -> None:
        """Take a connection over and let the engine serve it."""
        self._transport = transport
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=0)
        self._is_open = True
        scope = {
            "type": "websocket", "path": path, "query_string": query, "headers": list(headers), "tickcast.socket": self,
        }  # fmt: skip
        self._spawn(self._serve(scope), "websocket")

    async def _serve(self, scope: Scope) -> None:
        try:
            await self._engine.serve(scope, self.receive, self.send)
        finally:
            self.end(NORMAL)

    # ------------------------------------------------------------------ the client

    def data_received(self, data: bytes) -> None:
        """Take messages in."""
        try:
            frames = self._reader.feed(data)
            while frames:
                for opcode, payload in frames:
                    self._take(opcode, payload)
                frames = self._reader.feed(b"")
        except self._protocol_error as broken:
            self.end(broken.args[0])

    def _take(self, opcode: int, payload: bytes) -> None:
        if not self._is_open or self._transport is None:
            return
        if opcode == CLOSE:
            self.end(int.from_bytes(payload[:2], "big") or NORMAL)
        elif not self._engine.count(self):
            self.end(4703)
        elif opcode == PING:
            self._write(10, payload)
        elif opcode == TEXT:
            self._inbox.append(payload.decode())
            if len(self._inbox) >= INBOX_MAX:
                self._transport.pause_reading()
            self._wake()
        elif opcode != 10:
            self.end(UNSUPPORTED)  # we speak no binary events

    def eof_received(self) -> None:
        """The client will send no more."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the engine."""
        del exc
        self._is_open = False
        self._transport = None
        self._writable.set()
        self._wake()
        self._engine.gone(self)

    def pause_writing(self) -> None:
        """Let the engine wait: the socket is full."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let the engine go on."""
        self._writable.set()

    # ------------------------------------------------------------------ the engine

    async def receive(self) -> dict[str, Any]:
        """Wait for the next message (ASGI)."""
        if not self._is_told:
            self._is_told = True
            return {"type": "websocket.connect"}
        while not self._inbox and self._is_open:
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        if not self._inbox:
            return {"type": "websocket.disconnect", "code": GOING_AWAY}
        text = self._inbox.popleft()
        if len(self._inbox) == INBOX_MAX // 2 and self._transport is not None:
            self._transport.resume_reading()
        return {"type": "websocket.receive", "text": text}

    async def send(self, message: Any) -> None:
        """Do what the engine says (ASGI), and wait until the socket took it.

        Raises:
            OSError: the connection is gone.
        """
        kind = message["type"]
        if not self._is_open or self._transport is None:
            raise OSError("the client is gone")
        if kind == "websocket.accept":
            self._transport.write(self._welcome)
            self._welcome = b""
        elif kind == "websocket.send":
            text = message.get("text")
            self._write(TEXT if text is not None else 2, text.encode() if text is not None else message["bytes"])
            await self._writable.wait()
        elif self._welcome:
            self._transport.write(answer(400, str(message.get("reason") or "the engine refused this connection")))
            self._is_open = False
            self._transport.close()
        else:
            self.end(NORMAL)

    def _write(self, opcode: int, payload: bytes) -> None:
        length = len(payload)
        if length < 126:
            head = bytes((0x80 | opcode, length))
        elif length < 65_536:
            head = bytes((0x80 | opcode, 126)) + length.to_bytes(2, "big")
        else:
            head = bytes((0x80 | opcode, 127)) + length.to_bytes(8, "big")
        if self._transport is not None:
            self._transport.write(head + payload)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    # ------------------------------------------------------------------ the end

    def end(self, code: int) -> None:
        """Close with a code, once what was written is gone."""
        if not self._is_open:
            return
        if not self._welcome:
            self._write(CLOSE, code.to_bytes(2, "big"))
        self._is_open = False
        self._inbox.clear()
        self._wake()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()
