"""A WebSocket client that does exactly what it is told, right or wrong; for tests of servers."""

import asyncio
import os
import socket
from typing import NamedTuple, Self, cast

HANDSHAKE = (
    b"GET /stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
DEADLINE_S = 10.0


class Frame(NamedTuple):
    """A frame of the server."""

    opcode: int
    payload: bytes

    @property
    def code(self) -> int:
        """Code of a close frame."""
        return int.from_bytes(self.payload[:2], "big")


def frame(payload: bytes, *, opcode: int = 1, final: bool = True, mask: bytes | None = b"\x01\x02\x03\x04") -> bytes:
    """A client's frame; ``mask`` None leaves it unmasked, which no client may do."""
    length = len(payload)
    bit = 0x80 if mask is not None else 0
    if length < 126:
        head = bytes((opcode | (0x80 if final else 0), length | bit))
    elif length < 1 << 16:
        head = bytes((opcode | (0x80 if final else 0), 126 | bit)) + length.to_bytes(2, "big")
    else:
        head = bytes((opcode | (0x80 if final else 0), 127 | bit)) + length.to_bytes(8, "big")
    if mask is None:
        return head + payload
    stretched = (mask * (length // 4 + 1))[:length]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(stretched, "big")).to_bytes(length, "big")
    return head + mask + masked


class RudeClient:
    """Raw bytes in both directions, with frames read on demand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, url: str, *, handshake: bool = True, receive_buffer: int = 0) -> Self:
        """Connect to ``http://host:port``; with ``handshake`` up to the stream."""
        host, _, port = url.rpartition("/")[2].rpartition(":")
        connection = socket.socket()
        connection.setblocking(False)  # noqa: FBT003  the standard library's signature
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await asyncio.get_running_loop().sock_connect(connection, (host, int(port)))
        reader, writer = await asyncio.open_connection(sock=connection, limit=1 << 16)
        client = cls(reader, writer)
        if handshake:
            client.send(HANDSHAKE)
            head = await client.head()
            if not head.startswith(b"HTTP/1.1 101 "):
                await client.aclose()
                raise ConnectionError(f"expected 101, found {head[:200]!r}")
        return client

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)

    def text(self, text: str) -> None:
        """Send a well-formed text message."""
        self.send(frame(text.encode(), mask=os.urandom(4)))

    def pause_reading(self) -> None:
        """Leave what comes in the kernel, where it is bounded."""
        cast("asyncio.ReadTransport", self.writer.transport).pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        cast("asyncio.ReadTransport", self.writer.transport).resume_reading()

    async def head(self) -> bytes:
        """Read the head of an HTTP answer."""
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), DEADLINE_S)

    async def frame(self) -> Frame:
        """Read the next frame.

        Raises:
            IncompleteReadError: the connection ended.
        """
        async with asyncio.timeout(DEADLINE_S):
            first, second = await self.reader.readexactly(2)
            length = second & 0x7F
            if length == 126:
                length = int.from_bytes(await self.reader.readexactly(2), "big")
            elif length == 127:
                length = int.from_bytes(await self.reader.readexactly(8), "big")
            return Frame(first & 0x0F, await self.reader.readexactly(length))

    async def close_code(self) -> int:
        """Read until the server's close frame and return its code."""
        while True:
            received = await self.frame()
            if received.opcode == 8:
                return received.code

    async def rest(self) -> bytes:
        """Read all until the server ends the connection."""
        return await asyncio.wait_for(self.reader.read(-1), DEADLINE_S)

    async def aclose(self) -> None:
        """Cut the connection."""
        self.writer.transport.abort()
        await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
