"""Every bus passes the one suite: the memory bus in process, over its Unix socket, with one shard and several."""

from pathlib import Path

import pytest
import uvloop

from tickcast.bus.config import Config
from tickcast.bus.memory import MemoryBus
from tickcast.bus.publisher import SocketPublisher
from tickcast.bus.server import BusServer
from tickcast.ports import Bus, Publisher
from tickcast.runtime.clock import now_ns
from tickcast.testing.bus import CHECKS, Check

SMALL = {"capacity_records": 2_000, "publisher_records": 2_000, "block_max_s": 0.05}


class MemoryHarness:
    def __init__(self, shards: int) -> None:
        self.shards = shards

    async def bus(self) -> Bus:
        bus = MemoryBus(Config(shards=self.shards, **SMALL), clock=now_ns)  # type: ignore[arg-type]
        await bus.start()
        return bus

    async def publisher(self, bus: Bus, feed: str) -> Publisher:
        return bus.publisher(feed)


class SocketHarness(MemoryHarness):
    """The same bus, its producers behind the Unix socket."""

    def __init__(self, shards: int, folder: Path) -> None:
        super().__init__(shards)
        self._folder = folder

    async def bus(self) -> Bus:
        bus = await super().bus()
        assert isinstance(bus, MemoryBus)
        server = BusServer(bus, self._folder / "bus.sock")
        await server.start()
        stop = bus.stop

        async def stop_both() -> None:
            await server.stop()
            await stop()

        bus.stop = stop_both  # type: ignore[method-assign]
        return bus

    async def publisher(self, bus: Bus, feed: str) -> Publisher:
        publisher = SocketPublisher(feed, self._folder / "bus.sock", Config(**SMALL), clock=now_ns)  # type: ignore[arg-type]
        await publisher.start()
        return publisher


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_in_process(check: Check, shards: int) -> None:
    await check(MemoryHarness(shards))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_over_the_socket_on_uvloop(check: Check, tmp_path: Path) -> None:
    async def run() -> None:
        await check(SocketHarness(1, tmp_path))

    uvloop.run(run())


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_over_the_socket(check: Check, shards: int, tmp_path: Path) -> None:
    await check(SocketHarness(shards, tmp_path))
