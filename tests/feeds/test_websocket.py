"""The WebSocket connector against scripted servers."""

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tests.feeds.peers import now_ns, serving, until

from tickcast.feeds.websocket import WebSocketConnection, open_websocket
from tickcast.model.errors import FeedError

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def frame(payload: bytes, opcode: int = 1, *, fin: bool = True) -> bytes:
    head = bytes([(0x80 if fin else 0) | opcode])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    if len(payload) < 65536:
        return head + b"\x7e" + len(payload).to_bytes(2, "big") + payload
    return head + b"\x7f" + len(payload).to_bytes(8, "big") + payload


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """A client's (masked) frame."""
    first, second = await reader.readexactly(2)
    length = second & 0x7F
    assert second & 0x80
    if length == 126:
        length = int.from_bytes(await reader.readexactly(2), "big")
    mask = await reader.readexactly(4)
    payload = await reader.readexactly(length)
    return first & 0x0F, bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


def after_handshake(script: Script) -> Script:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line.split(": ")[1] for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key"))
        token = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest())  # noqa: S324
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + token + b"\r\n\r\n"
        )
        await script(reader, writer)

    return serve


class Client:
    """What a connection brought."""

    def __init__(self) -> None:
        self.opened = 0
        self.reads: list[list[bytes]] = []
        self.connection: WebSocketConnection | None = None

    @property
    def messages(self) -> list[bytes]:
        return [message for read in self.reads for message in read]

    def on_open(self, connection: WebSocketConnection) -> None:
        assert not self.reads
        self.opened += 1
        self.connection = connection

    def on_messages(self, messages: list[bytes], when: int) -> None:
        assert abs(now_ns() - when) < 10**9
        self.reads.append(messages)


@contextlib.asynccontextmanager
async def connected(script: Script, message_max: int = 1 << 20) -> AsyncIterator[tuple[Client, WebSocketConnection]]:
    client = Client()
    async with serving(after_handshake(script)) as port:
        connection = await open_websocket(
            f"ws://127.0.0.1:{port}/stream?streams=a",
            on_open=client.on_open,
            on_messages=client.on_messages,
            clock=now_ns,
            timeout_s=5,
            message_max=message_max,
        )
        try:
            yield client, connection
        finally:
            connection.abort("the test is over")
            await connection.closed


async def test_messages_of_one_read_come_together() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(frame(b"%d" % number) for number in range(50)))
        await reader.read()

    async with connected(script) as (client, _):
        await until(lambda: len(client.messages) == 50)
        assert client.opened == 1
        assert len(client.reads) <= 2  # the first may have come with the handshake's answer
        assert client.messages == [b"%d" % number for number in range(50)]


async def test_the_handshake_carries_what_the_venue_wants() -> None:
    heads: list[str] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    client = Client()
    async with serving(script) as port:
        with pytest.raises(FeedError, match="status 404"):
            await open_websocket(
                f"ws://127.0.0.1:{port}/",
                on_open=client.on_open,
                on_messages=client.on_messages,
                clock=now_ns,
                timeout_s=5,
                message_max=1000,
                headers=(("X-Size-Decimal", "1"),),
            )
    assert "X-Size-Decimal: 1\r\n" in heads[0]


async def test_frames_in_pieces_and_fragments_are_put_together() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = frame(b"x" * 300) + frame(b"one ", fin=False) + frame(b"", 9) + frame(b"two", 0) + frame(b"end", 2)
        for byte in wire:
            writer.write(bytes([byte]))
            await writer.drain()
        await reader.read()

    async with connected(script) as (client, _):
        await until(lambda: len(client.messages) == 3)
        assert client.messages == [b"x" * 300, b"one two", b"end"]


async def test_pings_are_answered_and_our_own_are_heard() -> None:
    answers: list[tuple[int, bytes]] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(b"are you there", 9))
        answers.append(await read_frame(reader))
        opcode, payload = await read_frame(reader)
        answers.append((opcode, payload))
        writer.write(frame(payload, 10))
        await reader.read()

    async with connected(script) as (client, connection):
        await until(lambda: answers)
        assert answers == [(10, b"are you there")]
        before = connection.heard_ns
        connection.probe()
        await until(lambda: connection.heard_ns > before)
        assert answers[1][0] == 9
        assert client.reads == []


async def test_what_we_send_is_a_text_frame() -> None:
    got: list[tuple[int, bytes]] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        got.append(await read_frame(reader))

    async with connected(script) as (_, connection):
        connection.send(b'{"method":"SUBSCRIBE"}')
        await until(lambda: got)
        assert got == [(1, b'{"method":"SUBSCRIBE"}')]


async def test_a_close_frame_says_why() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(b"last") + frame((1001).to_bytes(2, "big") + b"bye", 8))
        await reader.read()

    async with connected(script) as (client, connection):
        assert await asyncio.wait_for(connection.closed, 5) == "the venue closed the connection: 1001 bye"
        assert client.messages == [b"last"]


@pytest.mark.parametrize(
    "junk",
    [b"\xff\xff\xff\xff", b"<html>no</html>" * 10, frame(b"y" * 5000), b"\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"],
    ids=["reserved bits", "html", "too large", "huge length"],
)
async def test_a_broken_stream_is_closed(junk: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(b"good") + junk)
        await reader.read()

    async with connected(script, message_max=1000) as (client, connection):
        assert await asyncio.wait_for(connection.closed, 5)
        assert client.messages == [b"good"]


async def test_a_server_that_vanishes_is_noticed() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writer.transport.abort()

    async with connected(script) as (_, connection):
        assert "lost" in await asyncio.wait_for(connection.closed, 5)


async def test_pausing_stops_the_reading() -> None:
    sent = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        for _ in range(2000):
            writer.write(frame(b"z" * 10_000))
            await writer.drain()
            sent += 1
        await reader.read()

    async with connected(script) as (client, connection):
        connection.pause()
        seen = -1
        while seen != sent:  # until the pipe is full
            seen = sent
            await asyncio.sleep(0.05)
        assert sent < 2000
        connection.resume()
        await until(lambda: len(client.messages) == 2000)


async def test_an_address_that_does_not_shake_hands_is_said() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")
        await writer.drain()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await reader.read()

    async def dial(port: int) -> None:
        await open_websocket(
            f"ws://127.0.0.1:{port}/stream?streams=secret",
            on_open=lambda _: None,
            on_messages=lambda *_: None,
            clock=now_ns,
            timeout_s=0.3,
            message_max=1000,
        )

    async with serving(serve) as port:
        with pytest.raises(FeedError, match=r"cannot connect to ws://127.0.0.1:\d+/stream: ") as caught:
            await dial(port)
        assert "secret" not in str(caught.value)
    with pytest.raises(FeedError, match="cannot connect"):
        await dial(port)
    async with serving(silent) as port:
        with pytest.raises(FeedError, match="cannot connect"):
            await dial(port)


COMPRESSED = b"\xc1\x03\xaa\xbb\x00"
"""A text frame whose RSV1 says that it is compressed."""


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (frame(b"a" * 600, fin=False) + frame(b"b" * 600, 0, fin=False), "at most 1000 bytes"),
        (frame(b"a" * 600, fin=False) + frame(b"b" * 600, 0), "at most 1000 bytes"),
        (frame(b"half", fin=False) + frame(b"whole"), "beginning of another"),
        (frame(b"half", fin=False) + frame(b"half", 2, fin=False), "beginning of another"),
        (frame(b"rest", 0), "without a beginning"),
        (COMPRESSED, "compressed"),
    ],
    ids=["endless", "too large in pieces", "interrupted", "begun twice", "no beginning", "compressed"],
)
async def test_fragments_that_make_no_message_end_the_link(broken: bytes, reason: str) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(b"good") + broken + frame(b"behind"))
        await reader.read()

    async with connected(script, message_max=1000) as (client, connection):
        assert reason in await asyncio.wait_for(connection.closed, 5)
        assert client.messages == [b"good"]


async def test_a_link_that_ends_within_a_fragment_tells_nothing_of_it() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(b"good") + frame(b'{"e":"trade",', fin=False) + frame(b'"p":"1', 0)[:-3])
        await writer.drain()
        await until(lambda: client.messages)
        writer.transport.abort()

    async with connected(script) as (client, connection):
        assert "lost" in await asyncio.wait_for(connection.closed, 5)
        assert client.messages == [b"good"]


async def test_binary_frames_and_fragments_of_them_are_messages_as_text_is() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(b'{"a":1}', 2) + frame(b'{"b":', 2, fin=False) + frame(b"", 0, fin=False) + frame(b"2}", 0))
        await reader.read()

    async with connected(script) as (client, _):
        await until(lambda: len(client.messages) == 2)
        assert client.messages == [b'{"a":1}', b'{"b":2}']
