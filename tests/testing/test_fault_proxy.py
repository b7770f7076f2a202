"""The proxy of faults, with a server that answers every line with itself."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tickcast.testing.fault_proxy import FaultProxy, obey

DEADLINE_S = 20.0


async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while line := await reader.readline():
            writer.write(line)
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def proxied() -> AsyncIterator[FaultProxy]:
    async with (
        asyncio.timeout(DEADLINE_S),
        await asyncio.start_server(answering, "127.0.0.1", 0) as server,
        FaultProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy,
    ):
        yield proxy


async def said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, word: str) -> str:
    writer.write(f"{word}\n".encode())
    return (await reader.readline()).decode().strip()


async def test_what_is_whole_passes() -> None:
    async with proxied() as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await said(reader, writer, "a" * 50_000) == "a" * 50_000
        assert (proxy.open, proxy.accepted) == (1, 1)
        writer.close()
        while proxy.open:
            await asyncio.sleep(0.005)


async def test_a_drop_ends_with_a_fin_and_a_reset_with_a_rst() -> None:
    async with proxied() as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await said(reader, writer, "one") == "one"
        proxy.drop()
        assert await reader.read() == b""
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await said(reader, writer, "two") == "two"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()


async def test_a_half_open_connection_is_silent_and_others_are_not() -> None:
    async with proxied() as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await said(reader, writer, "one") == "one"
        proxy.half_open()
        writer.write(b"two\n")
        second = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await said(*second, "three") == "three"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readline(), 0.05)
        assert proxy.open == 2
        for one in (writer, second[1]):
            one.close()


async def test_refused_connections_are_reset_until_accepted() -> None:
    async with proxied() as proxy:
        proxy.refuse()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()
        proxy.accept()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await said(reader, writer, "one") == "one"
        writer.close()


async def test_a_delay_keeps_the_order() -> None:
    async with proxied() as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        proxy.delay(40)
        loop = asyncio.get_running_loop()
        began = loop.time()
        writer.write(b"one\n")
        await writer.drain()
        assert await reader.readline() == b"one\n"
        assert loop.time() - began >= 0.08, "40 ms each way"
        writer.write(b"two\n")
        await asyncio.sleep(0.02)
        proxy.delay(0)
        writer.write(b"three\n")
        assert [await reader.readline(), await reader.readline()] == [b"two\n", b"three\n"]
        words = [f"{number}\n".encode() for number in range(400)]
        for number, word in enumerate(words):
            proxy.delay(3 - number % 4)
            writer.write(word)
            await asyncio.sleep(0)
        assert [await reader.readline() for _ in words] == words
        writer.close()


async def test_a_target_that_is_not_there_is_a_reset() -> None:
    async with FaultProxy("127.0.0.1", 9) as proxy, asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()


def test_lines_that_say_nothing_are_answered() -> None:
    proxy = FaultProxy("127.0.0.1", 9)
    assert "expected milliseconds" in obey(proxy, "delay soon")["error"]
    assert "expected drop" in obey(proxy, "explode\n")["error"]
    assert obey(proxy, "delay 5\n") == {"done": "delay", "open": 0, "accepted": 0}
    assert proxy.delay_s == 0.005


async def test_it_obeys_its_standard_input() -> None:
    async with asyncio.timeout(DEADLINE_S), await asyncio.start_server(answering, "127.0.0.1", 0) as server:
        target = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        command = (sys.executable, "-m", "tickcast.testing.fault_proxy", "--target", target)
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        port = json.loads(await process.stdout.readline())["port"]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await said(reader, writer, "one") == "one"
        process.stdin.write(b"reset\n")
        assert json.loads(await process.stdout.readline())["done"] == "reset"
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()
        process.stdin.close()
        assert await process.wait() == 0
