"""The accept loop with real sockets: room, no room, no descriptors, limits per address, and the drain."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from tests.gateway.test_worker import until

from tickcast.gateway.config import Config
from tickcast.gateway.listener import BACKLOG, address_of, bind, inherit
from tickcast.model.errors import UsageError
from tickcast.testing.gateway import RunningGateway, running_gateway
from tickcast.testing.rude import HANDSHAKE, RudeClient

EVERYBODY: tuple[str, ...] = ()
"""Nobody is exempt from the limits per address."""


@asynccontextmanager
async def sharing(*configs: Config) -> AsyncIterator[list[RunningGateway]]:
    """Gateways that accept from one socket, as workers do."""
    async with AsyncExitStack() as stack:
        with bind(Config(port=0)) as listener:
            running = [
                await stack.enter_async_context(running_gateway(config, listener=listener.dup())) for config in configs
            ]
            yield running


async def clients(stack: AsyncExitStack, url: str, count: int) -> list[RudeClient]:
    return [await stack.enter_async_context(await RudeClient.connect(url)) for _ in range(count)]


async def admitted(url: str, attempts: int = 50) -> RudeClient:
    """Come back after a 503, as clients do: who is full may answer just before the other one sees its room."""
    for _ in range(attempts):
        with contextlib.suppress(ConnectionError):
            return await RudeClient.connect(url)
    raise AssertionError(f"turned away {attempts} times")


async def test_who_is_full_leaves_the_rest_to_the_others() -> None:
    async with sharing(Config(port=0, connections_max=3), Config(port=0)) as (small, large), AsyncExitStack() as stack:
        await clients(stack, small.url, 40)
        assert len(small.stage.clients.streams) <= 3
        assert len(small.stage.clients.streams) + len(large.stage.clients.streams) == 40


async def test_when_all_are_full_a_client_hears_503_and_rest_goes_on() -> None:
    full = Config(port=0, connections_max=1)
    async with sharing(full, full) as (first, second), AsyncExitStack() as stack:
        held = await clients(stack, first.url, 2)
        async with await RudeClient.connect(first.url, handshake=False) as client:
            client.send(HANDSHAKE)
            head = await client.head()
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 5" in head
        async with httpx.AsyncClient(base_url=first.url) as http:
            assert (await http.get("/health/live")).status_code == 200
        await held[0].aclose()
        await until(lambda: len(first.stage.clients.streams) + len(second.stage.clients.streams) == 1)
        await stack.enter_async_context(await admitted(first.url))


async def test_a_gateway_that_stops_leaves_the_socket_to_the_others() -> None:
    async with sharing(Config(port=0, drain_jitter_s=0.05), Config(port=0)) as (first, second):
        await first.stop()
        async with httpx.AsyncClient(base_url=second.url) as http:
            for _ in range(5):
                assert (await http.get("/health/live", headers={"connection": "close"})).status_code == 200


async def test_a_drained_client_is_told_when_to_come_back() -> None:
    async with running_gateway(Config(port=0, drain_jitter_s=2.0)) as gateway, AsyncExitStack() as stack:
        connected = await clients(stack, gateway.url, 8)
        stopping = asyncio.ensure_future(gateway.stop())
        times = []
        for client in connected:
            while (frame := await client.frame()).opcode != 8:
                pass
            assert frame.code == 4702
            text = frame.payload[2:].decode()
            assert text.startswith("the gateway stops or restarts; retry in ")
            assert text.endswith(" ms")
            times.append(int(text.split()[-2]))
            await client.aclose()
        await stopping
        assert all(0 <= time < 2000 for time in times)
        assert len(set(times)) > 1


# ------------------------------------------------------------------ limits per address


async def answer_of(url: str, request: bytes) -> bytes:
    async with await RudeClient.connect(url, handshake=False) as client:
        client.send(request)
        return await client.head()


async def test_an_address_with_too_many_connections_hears_429() -> None:
    config = Config(port=0, connections_per_address_max=3, addresses_exempt=EVERYBODY)
    async with running_gateway(config) as gateway, AsyncExitStack() as stack:
        held = await clients(stack, gateway.url, 3)
        head = await answer_of(gateway.url, HANDSHAKE)
        assert head.startswith(b"HTTP/1.1 429 ")
        assert b"retry-after: " in head
        assert (await answer_of(gateway.url, b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")).startswith(
            b"HTTP/1.1 429 "
        )
        await held[0].aclose()
        await until(lambda: len(gateway.stage.clients.streams) == 2)
        await clients(stack, gateway.url, 1)


async def test_far_too_many_connections_are_answered_before_they_ask() -> None:
    config = Config(port=0, connections_per_address_max=2, addresses_exempt=EVERYBODY)
    async with running_gateway(config) as gateway, AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(await RudeClient.connect(gateway.url, handshake=False))
        async with await RudeClient.connect(gateway.url, handshake=False) as client:
            assert (await client.head()).startswith(b"HTTP/1.1 429 ")


async def test_handshakes_of_an_address_have_a_rate() -> None:
    config = Config(port=0, handshakes_per_second_per_address=2, addresses_exempt=EVERYBODY)
    async with running_gateway(config) as gateway:
        heads = [await answer_of(gateway.url, HANDSHAKE) for _ in range(4)]
        assert heads[0].startswith(b"HTTP/1.1 101 ")
        refused = [head for head in heads if head.startswith(b"HTTP/1.1 429 ")]
        assert refused
        assert b"retry-after: 1" in refused[0]


async def test_this_machine_has_no_limit_unless_it_is_set() -> None:
    config = Config(port=0, connections_per_address_max=1, handshakes_per_second_per_address=1)
    async with running_gateway(config) as gateway, AsyncExitStack() as stack:
        await clients(stack, gateway.url, 5)
        assert len(gateway.stage.clients.streams) == 5


# ------------------------------------------------------------------ descriptors

STARVED = """
import asyncio, json, resource, sys, uvloop
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
from tickcast.gateway.config import Config
from tickcast.runtime import log, metrics
from tickcast.testing.gateway import running_gateway
async def main():
    log.configure(level="INFO", log_format="json")
    async with running_gateway(Config(port=0)) as gateway:
        print(gateway.url, flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            found = metrics.REGISTRY.get_sample_value("tickcast_gateway_accept_paused")
            print(json.dumps({"paused": found, "streams": len(gateway.stage.clients.streams)}), flush=True)
uvloop.run(main())
"""


@pytest.mark.slow
async def test_without_descriptors_accepting_pauses_says_so_and_recovers() -> None:
    with subprocess.Popen(  # noqa: ASYNC220  it only has to start
        [sys.executable, "-c", STARVED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def ask() -> dict[str, Any]:
            stdin.write("?\n")
            stdin.flush()
            found: dict[str, Any] = json.loads(stdout.readline())
            return found

        url = (await asyncio.to_thread(stdout.readline)).strip()
        async with AsyncExitStack() as stack:
            held: list[RudeClient] = []
            refused = b""
            while not refused:
                assert len(held) < 128
                client = await RudeClient.connect(url, handshake=False)
                client.send(HANDSHAKE)
                head = await client.head()
                if head.startswith(b"HTTP/1.1 101 "):
                    held.append(await stack.enter_async_context(client))
                else:
                    refused = head
                    await client.aclose()
            assert refused.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 5" in refused
            assert len(held) > 40
            assert await asyncio.to_thread(ask) == {"paused": 1.0, "streams": len(held)}
            # clients that are there are served, and a next one hears the same
            held[0].text('{"action":"ping"}')
            assert json.loads((await held[0].frame()).payload)["type"] == "pong"
            assert (await answer_of(url, HANDSHAKE)).startswith(b"HTTP/1.1 503 ")
            for client in held[:8]:
                await client.aclose()
            await until(lambda: ask()["paused"] == 0.0)
            await clients(stack, url, 1)
        process.stdin.close()
        assert process.stderr is not None
        said = [json.loads(line) for line in process.stderr.read().splitlines() if line.startswith("{")]
    events = [entry["event"] for entry in said]
    assert "accepting paused" in events
    assert "accepting again" in events


@pytest.fixture
def exhausted(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Make the kernel say that there are no files: the accept of one listening socket fails."""
    real = socket.socket.accept
    state = {"is_on": False}

    def accept(listener: socket.socket) -> Any:
        if state["is_on"]:
            raise OSError(24, "Too many open files")
        return real(listener)

    def dup(number: int) -> int:
        if state["is_on"]:
            raise OSError(24, "Too many open files")
        return real_dup(number)

    real_dup = os.dup
    monkeypatch.setattr(socket.socket, "accept", accept)
    monkeypatch.setattr(os, "dup", dup)
    return lambda is_on: state.update(is_on=is_on)


async def test_connections_wait_while_no_descriptor_is_to_be_had(exhausted: Callable[[bool], None]) -> None:
    async with running_gateway() as gateway:
        exhausted(True)
        async with await RudeClient.connect(gateway.url, handshake=False) as client:
            client.send(HANDSHAKE)
            loop_acceptor = gateway.stage._acceptor
            assert loop_acceptor is not None
            await until(lambda: loop_acceptor.paused == "descriptors")
            exhausted(False)
            assert (await client.head()).startswith(b"HTTP/1.1 101 ")
            assert loop_acceptor.paused is None


# ------------------------------------------------------------------ the listening socket


def test_a_listening_socket_is_inherited_by_its_number() -> None:
    with bind(Config(port=0)) as listener:
        listener.listen(BACKLOG)
        taken = inherit(listener.dup().detach())
        with taken:
            assert address_of(taken) == address_of(listener)
            assert not taken.get_inheritable()
            assert not taken.getblocking()


def test_what_is_no_listening_socket_is_refused() -> None:
    with pytest.raises(UsageError, match="--listen-fd 9999: expected a socket that was passed on"):
        inherit(9999)
    with socket.socket(socket.AF_UNIX) as other, pytest.raises(UsageError, match="expected a TCP socket"):
        inherit(other.fileno())
