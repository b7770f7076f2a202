"""A small SoupBinTCP client for tests."""

import asyncio
import contextlib
import struct
from collections.abc import Callable

CLIENT_TIMEOUT_S = 10.0


class SoupClient:
    """Logs in, collects sequenced messages, remembers every other packet."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.messages: list[bytes] = []
        self.control: list[tuple[bytes, bytes]] = []
        self.session = ""
        self.sequence = 0

    @classmethod
    async def connect(cls, address: str) -> "SoupClient":
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        return cls(reader, writer)

    async def login(self, *, session: str = "", sequence: int = 1, user: tuple[str, str] = ("u", "p")) -> bytes:
        """Send a login; returns the type of the answer (A or J)."""
        text = user[0].ljust(6) + user[1].ljust(10) + session.rjust(10) + str(sequence).rjust(20)
        self.send(b"L", text.encode())
        kind, payload = await self.packet()
        self.control.append((kind, payload))
        if kind == b"A":
            self.session, self.sequence = payload[:10].decode().strip(), int(payload[10:])
        return kind

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        self.writer.write(struct.pack(">H", 1 + len(payload)) + kind + payload)

    async def packet(self) -> tuple[bytes, bytes]:
        async with asyncio.timeout(CLIENT_TIMEOUT_S):
            (length,) = struct.unpack(">H", await self.reader.readexactly(2))
            body = await self.reader.readexactly(length)
        return body[:1], body[1:]

    async def read_until(self, done: Callable[["SoupClient"], bool]) -> None:
        """Read packets until ``done`` says so."""
        while not done(self):
            kind, payload = await self.packet()
            if kind == b"S":
                self.messages.append(payload)
            else:
                self.control.append((kind, payload))

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()
