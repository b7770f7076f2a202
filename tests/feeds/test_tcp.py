"""The TCP connector on loopback."""

import asyncio

import pytest
from tests.feeds.peers import now_ns, serving, until

from tickcast.feeds.tcp import TcpConnection, open_tcp
from tickcast.model.errors import FeedError


async def dial(address: str, reads: list[bytes], timeout_s: float = 5) -> TcpConnection:
    return await open_tcp(
        address,
        on_open=lambda _: None,
        on_data=lambda data, _: reads.append(data),
        clock=now_ns,
        timeout_s=timeout_s,
    )


async def test_bytes_go_both_ways_and_the_end_is_said() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(4))
        await writer.drain()

    reads: list[bytes] = []
    async with serving(serve) as port:
        connection = await dial(f"127.0.0.1:{port}", reads)
        connection.send(b"ping")
        assert await asyncio.wait_for(connection.closed, 5) == "the venue closed the connection"
    assert b"".join(reads) == b"ping"
    connection.send(b"into the void")


async def test_pausing_stops_the_reading() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"a")
        await reader.readexactly(1)
        writer.write(b"b")
        await reader.readexactly(1)

    reads: list[bytes] = []
    async with serving(serve) as port:
        connection = await dial(f"127.0.0.1:{port}", reads)
        await until(lambda: reads == [b"a"])
        connection.pause()
        connection.send(b"1")
        await asyncio.sleep(0.1)
        assert reads == [b"a"]
        connection.resume()
        await until(lambda: reads == [b"a", b"b"])
        connection.abort("enough")
        assert await connection.closed == "enough"


async def test_addresses_that_cannot_be_reached_are_said() -> None:
    async with serving(lambda *_: asyncio.sleep(0)) as port:
        pass
    with pytest.raises(FeedError, match=f"cannot connect to 127.0.0.1:{port}: "):
        await dial(f"127.0.0.1:{port}", [])
    with pytest.raises(FeedError, match="expected host:port, found 'nowhere'"):
        await dial("nowhere", [])
