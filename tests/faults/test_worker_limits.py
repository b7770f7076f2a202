"""Limits of a user and of an address over the workers of a real instance, also when one is killed or stopped."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tickcast.runtime.clock import monotonic_ns
from tickcast.testing.instance import ConfiguredInstance, eventually

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]
DEADLINE_S: Final = 60.0
STREAMS: Final = 14
"""A user may hold; as many that both workers must have some."""
ADDRESS: Final = 16
RATE: Final = 20
TABLES: Final = {
    "gateway": f'workers = 2\naddresses_exempt = ["127.0.0.1/32"]\nconnections_per_address_max = {ADDRESS}',
    "gateway.auth": f"handshakes_per_second_per_user = {RATE}",
}
PASSING: Final = "opens streams faster"


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfiguredInstance]:
    folder = tmp_path_factory.mktemp("limits")
    with ConfiguredInstance(folder, TABLES, rate=200, symbols=10, exchanges=("XSIM",)) as started:
        started.wait_ready()
        yield started


def key(instance: ConfiguredInstance, name: str, *options: str) -> str:
    done = instance.cli("keys", "add", name, "--symbols", "*", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[0]


class Streams:
    """The open streams of one user, or of one address."""

    def __init__(self, instance: ConfiguredInstance, stack: AsyncExitStack, **settings: Any) -> None:
        self._url = instance.stream_url
        self._stack = stack
        self._settings = settings
        self._opened: list[ClientConnection] = []

    @property
    def held(self) -> int:
        """Those that are open still."""
        return sum(stream.close_code is None for stream in self._opened)

    async def open(self) -> str:
        """Open one more; returns the reason why there is none, empty if there is."""
        while True:
            try:
                stream = await self._stack.enter_async_context(
                    connect(self._url, open_timeout=DEADLINE_S, ping_interval=None, **self._settings)
                )
            except InvalidStatus as refused:
                answer = refused.response
            else:
                self._opened.append(stream)
                return ""
            reason = (answer.body or b"").decode()
            if answer.status_code != 429:
                raise AssertionError(f"{answer.status_code}: {reason}")
            if PASSING not in reason:
                return reason
            await asyncio.sleep(float(answer.headers["retry-after"]))

    async def fill(self) -> str:
        """Open until there are no more; returns why."""
        while not (reason := await self.open()):
            pass
        return reason

    async def refill(self, count: int) -> None:
        """Open until as many are held as may be, while connections of a killed worker are still ending."""
        while True:
            assert "holds" in await self.fill()
            assert self.held <= count, [stream.close_code for stream in self._opened]
            if self.held == count:
                return
            await asyncio.sleep(0.1)


@asynccontextmanager
async def streams(instance: ConfiguredInstance, **settings: Any) -> AsyncIterator[Streams]:
    async with asyncio.timeout(DEADLINE_S * 3), AsyncExitStack() as stack:
        yield Streams(instance, stack, **settings)


def user(token: str) -> dict[str, Any]:
    return {"additional_headers": {"x-api-key": token}}


async def until(what: Any) -> Any:
    return await asyncio.to_thread(eventually, what, deadline_s=DEADLINE_S)


async def test_a_user_holds_its_streams_over_all_workers_and_gets_back_those_of_a_killed_one(
    instance: ConfiguredInstance,
) -> None:
    token = await asyncio.to_thread(key, instance, "ann", "--connections", str(STREAMS))
    async with streams(instance, **user(token)) as opened:
        assert f"holds {STREAMS} streams" in await opened.fill()
        assert opened.held == STREAMS
        before = await asyncio.to_thread(instance.kill, "gateway1", signal.SIGKILL)
        await until(lambda: opened.held < STREAMS)
        # at once, while its successor begins, and also when that has streams again
        await opened.refill(STREAMS)

        def is_back() -> bool:
            row = instance.ps()["gateway1"]
            return bool(row["state"] == "running" and row["pid"] != before)

        await until(is_back)
        assert f"holds {STREAMS} streams" in await opened.open()


async def test_what_a_stopped_worker_holds_counts_and_a_stopped_core_holds_nobody_up(
    instance: ConfiguredInstance,
) -> None:
    token = await asyncio.to_thread(key, instance, "bob", "--connections", str(STREAMS))
    async with streams(instance, **user(token)) as opened:
        await opened.fill()
        for name in ("gateway1", "core"):
            pid = await asyncio.to_thread(instance.kill, name, signal.SIGSTOP)
            try:
                assert f"holds {STREAMS} streams" in await opened.open(), name
            finally:
                os.kill(pid, signal.SIGCONT)
        assert opened.held == STREAMS


async def test_streams_are_opened_at_one_rate_over_all_workers(instance: ConfiguredInstance) -> None:
    token = await asyncio.to_thread(key, instance, "eve")
    opened = 0
    statuses: set[int] = set()
    began_ns = monotonic_ns()

    async def attempt() -> None:
        nonlocal opened
        try:
            async with connect(instance.stream_url, open_timeout=DEADLINE_S, **user(token)):
                opened += 1
        except InvalidStatus as refused:
            statuses.add(refused.response.status_code)

    await asyncio.gather(*(attempt() for _ in range(3 * RATE)))
    took_s = (monotonic_ns() - began_ns) / 1e9
    assert statuses == {429}
    assert RATE <= opened <= RATE + RATE * took_s + 2


async def test_an_address_holds_its_connections_over_all_workers(instance: ConfiguredInstance) -> None:
    async with streams(instance, local_addr=("127.0.0.2", 0)) as opened:
        assert "holds as many connections as one may" in await opened.fill()
        assert opened.held == ADDRESS
        await asyncio.to_thread(instance.kill, "gateway1", signal.SIGKILL)
        await until(lambda: opened.held < ADDRESS)
        await opened.refill(ADDRESS)
    async with streams(instance, local_addr=("127.0.0.3", 0)) as others:
        assert await others.open() == ""
