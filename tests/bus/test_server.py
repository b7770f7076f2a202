"""Either side of the socket may die: what is not acknowledged comes again, what was taken is not taken twice."""

import asyncio
import stat
from pathlib import Path

import pytest

from tickcast.bus.config import Config
from tickcast.bus.memory import MemoryBus
from tickcast.bus.publisher import SocketPublisher
from tickcast.bus.server import BusServer
from tickcast.model.batch import TickBatch
from tickcast.model.errors import UsageError
from tickcast.model.health import FeedHealth
from tickcast.runtime.clock import now_ns
from tickcast.testing.bus import DEADLINE_S, gather_ids, ids, trades


class Listener:
    def __init__(self) -> None:
        self.health: list[FeedHealth] = []
        self.lost: list[str] = []

    def feed_health(self, health: FeedHealth) -> None:
        self.health.append(health)

    def feed_lost(self, feed: str, reason: str) -> None:
        self.lost.append(feed)
        assert "gone" in reason


async def start(path: Path, config: Config | None = None) -> tuple[MemoryBus, BusServer]:
    bus = MemoryBus(config or Config(), clock=now_ns)
    server = BusServer(bus, path)
    await server.start()
    return bus, server


async def eventually(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.005)


async def test_core_restart_brings_unacknowledged_batches_and_a_refresh(tmp_path: Path) -> None:
    path = tmp_path / "bus.sock"
    bus, server = await start(path)
    member = bus.subscribe("core")
    publisher = SocketPublisher("feed", path, Config(), clock=now_ns)
    publisher.on_refresh(lambda: trades(900, 1))
    await publisher.start()
    await publisher.publish(trades(0, 10))
    assert await gather_ids(member, 10) == list(range(10))
    await eventually(lambda: len(publisher._outbox) == 0)
    await publisher.publish(trades(10, 10))
    assert await gather_ids(member, 10, ack=False) == list(range(10, 20))
    await server.stop()  # as a killed core: taken, never acknowledged
    await publisher.publish(trades(20, 10))

    reborn, server = await start(path)
    member = reborn.subscribe("core")
    found: list[int] = []
    definitions: list[int] = []
    async with asyncio.timeout(DEADLINE_S):
        while 900 not in found:
            for delivery in await member.take():
                found.extend(ids(delivery))
                definitions.append(len(delivery.batch.definitions))
                delivery.ack()
    assert found == [*range(10, 30), 900], "sent again in order, then the newer state"
    assert definitions[0] == 1, "definitions go first"
    await publisher.close()
    await server.stop()


async def test_a_lost_link_repeats_nothing_that_was_taken(tmp_path: Path) -> None:
    path = tmp_path / "bus.sock"
    bus, server = await start(path)
    member = bus.subscribe("core")
    listener = Listener()
    bus.listen(listener)
    publisher = SocketPublisher("feed", path, Config(), clock=now_ns)
    await publisher.start()
    await publisher.publish(trades(0, 10))
    assert await gather_ids(member, 10, ack=False) == list(range(10))
    for link in list(server.links):
        link.close()
    await eventually(lambda: listener.lost == ["feed"])
    await publisher.publish(trades(10, 10))
    assert await gather_ids(member, 10) == list(range(10, 20))
    await publisher.close()
    await server.stop()


async def test_health_arrives(tmp_path: Path) -> None:
    path = tmp_path / "bus.sock"
    bus, server = await start(path)
    listener = Listener()
    bus.listen(listener)
    publisher = SocketPublisher("feed", path, Config(), clock=now_ns)
    await publisher.start()
    health = FeedHealth(name="feed", venue="V", state="quiet", since_ns=1, pid=1)
    async with asyncio.timeout(DEADLINE_S):
        while not listener.health:
            await publisher.report(health)
            await asyncio.sleep(0.005)
    assert listener.health[0] == health
    await publisher.close()
    await server.stop()


async def test_health_waits_while_the_link_is_full(tmp_path: Path) -> None:
    path = tmp_path / "bus.sock"
    bus, server = await start(path)
    member = bus.subscribe("core")
    listener = Listener()
    bus.listen(listener)
    publisher = SocketPublisher("feed", path, Config(), clock=now_ns)
    await publisher.start()
    await publisher.publish(trades(0, 1))
    assert await gather_ids(member, 1) == [0]
    (link,) = server.links
    assert link._transport is not None
    link._transport.pause_reading()
    count = 0
    while publisher._link is not None and publisher._link.ready():
        await publisher.publish(trades(1 + count, 1000))
        count += 1000
    await publisher.report(FeedHealth(name="feed", venue="V", state="connected", since_ns=1, pid=1))
    await asyncio.sleep(0)
    assert not listener.health
    link.resume()
    assert await gather_ids(member, count) == list(range(1, count + 1))
    await eventually(lambda: len(listener.health) == 1)
    await publisher.close()
    await server.stop()


async def test_garbage_is_refused_and_disturbs_nobody(tmp_path: Path) -> None:
    path = tmp_path / "bus.sock"
    bus, server = await start(path)
    member = bus.subscribe("core")
    publisher = SocketPublisher("feed", path, Config(), clock=now_ns)
    await publisher.start()
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"GET / HTTP/1.1\r\n\r\n" * 10)
    assert b"expected a frame" in await asyncio.wait_for(reader.read(), DEADLINE_S)
    writer.close()
    await publisher.publish(trades(0, 10))
    assert await gather_ids(member, 10) == list(range(10))
    await publisher.close()
    await server.stop()


async def test_only_this_user_may_connect(tmp_path: Path) -> None:
    _, server = await start(tmp_path / "bus.sock")
    assert stat.S_IMODE((tmp_path / "bus.sock").stat().st_mode) == 0o600
    await server.stop()


async def test_unusable_path_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot listen on the bus socket"):
        await start(tmp_path / "missing" / "bus.sock")


async def test_quotes_are_conflated_only_after_the_wait(tmp_path: Path) -> None:
    config = Config(publisher_records=100, block_max_s=0.02)
    publisher = SocketPublisher("feed", tmp_path / "nobody.sock", config, clock=now_ns)
    await publisher.start()
    quote = trades(0, 60)
    quote.records["kind"] = 2
    quote.records["instrument"] = 1
    for _ in range(5):
        await asyncio.wait_for(publisher.publish(TickBatch("feed", 1, quote.records.copy())), DEADLINE_S)
    assert publisher.conflated >= 60
    assert publisher._outbox.records <= 160
    await publisher.close()


async def test_whose_books_are_watched_is_told_again_after_every_break(tmp_path: Path) -> None:
    path = tmp_path / "bus.sock"
    bus, server = await start(path)
    publisher = SocketPublisher("feed", path, Config(), clock=now_ns)
    told: list[set[int]] = []
    publisher.on_books(lambda books: told.append(set(books)))
    await publisher.start()
    bus.watch("feed", {}, {1, 2})
    await eventually(lambda: told == [{1, 2}])
    for link in list(server.links):
        link.close()
    await eventually(lambda: not server.links)
    bus.watch("feed", {}, {2, 3})  # while the link is away
    await eventually(lambda: told == [{1, 2}, {2, 3}])
    await server.stop()  # another core, which knows of no watchers yet

    reborn, server = await start(path)
    await eventually(lambda: server.links)
    reborn.watch("feed", {}, {2, 3})  # the same clients: nothing is news
    reborn.watch("feed", {})
    await eventually(lambda: told == [{1, 2}, {2, 3}, set()])
    await publisher.close()
    await server.stop()
