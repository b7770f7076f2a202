"""The line of delayed prices: everything, in order, never early; bounded, and honest when it is full."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tickcast.bus import delay
from tickcast.bus.delay import FULL, DelayLine, LinePast
from tickcast.model.batch import Hops, TickBatch
from tickcast.model.errors import StateError
from tickcast.model.health import FeedHealth
from tickcast.model.record import empty_records
from tickcast.ports import Delivery
from tickcast.testing.gateway import definition

DEADLINE_S = 20.0
SECOND = 10**9


class World:
    def __init__(self, folder: Path, **settings: Any) -> None:
        self.now_ns = 1_774_794_600 * SECOND
        options = {"delay_ns": 900 * SECOND, "bytes_max": 1 << 30, **settings}
        self.line = DelayLine(folder / "line", clock=lambda: self.now_ns, **options)
        self.line.listen(self)
        self.told: list[tuple[str, str]] = []

    def feed_health(self, health: FeedHealth) -> None:
        self.told.append((health.name, health.state))

    def feed_lost(self, feed: str, reason: str) -> None:
        self.told.append((feed, reason))

    async def take(self, count: int) -> list[Delivery]:
        taken: list[Delivery] = []
        async with asyncio.timeout(DEADLINE_S):
            while len(taken) < count:
                taken += await self.line.subscribe("latest").take()
        return taken

    async def written(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while self.line._pending:
                await asyncio.sleep(0.01)

    async def nothing(self) -> bool:
        """Whether nothing comes, though everything is written."""
        await self.written()
        try:
            async with asyncio.timeout(0.2):
                await self.line.take()
        except TimeoutError:
            return True
        return False


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    await made.line.start()
    yield made
    await made.line.stop()


def batch(feed: str, number: int, records: int = 3) -> TickBatch:
    rows = empty_records(records)
    rows["id"] = number
    hops = Hops(received=1, decoded=2, bus_in=3, bus_out=4)
    return TickBatch(feed, number, rows, (definition(f"XNAS:S{number}"),), (None, "x", None)[:records], hops)


def health(feed: str, state: Any) -> FeedHealth:
    return FeedHealth(name=feed, venue="XNAS", state=state, since_ns=1, pid=7)


async def test_a_batch_comes_out_as_it_went_in_and_not_before_its_time(world: World) -> None:
    put = batch("xnas", 5)
    world.line.put(put)
    world.now_ns += 900 * SECOND - 1
    assert await world.nothing()
    world.now_ns += 1
    (delivery,) = await world.take(1)
    got = delivery.batch
    assert (got.feed, got.session, got.definitions, got.texts) == (put.feed, put.session, put.definitions, put.texts)
    assert np.array_equal(got.records, put.records)
    assert (got.hops.received, got.hops.bus_in, got.hops.bus_out) == (1, 3, 0)
    delivery.ack()


async def test_reports_of_feeds_keep_their_place_in_the_stream(world: World) -> None:
    world.line.feed_health(health("xnas", "connected"))
    world.line.put(batch("xnas", 1))
    world.line.feed_lost("xnas", "killed")
    world.line.put(batch("xnas", 2))
    world.now_ns += 900 * SECOND
    assert [one.batch.session for one in await world.take(1)] == [1]
    assert world.told == [("xnas", "connected")]
    assert [one.batch.session for one in await world.take(1)] == [2]
    assert world.told == [("xnas", "connected"), ("xnas", "killed")]


@given(st.lists(st.integers(min_value=0, max_value=40), min_size=1, max_size=60))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_all_of_it_comes_in_order_over_many_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int]
) -> None:
    monkeypatch.setattr(delay, "SEGMENT", 2_000)
    monkeypatch.setattr(delay, "CHUNK", 700)
    monkeypatch.setattr(delay, "WRITE_S", 0.001)
    world = World(tmp_path)
    await world.line.start()
    for number, records in enumerate(sizes):
        world.line.put(TickBatch("xnas", number, empty_records(records)))
        if number % 7 == 0:
            await asyncio.sleep(0.002)
    world.now_ns += 900 * SECOND
    taken = await world.take(len(sizes))
    assert [one.batch.session for one in taken] == list(range(len(sizes)))
    assert [len(one.batch.records) for one in taken] == sizes
    assert len(list((tmp_path / "line").iterdir())) <= 2
    await world.line.stop()
    assert not (tmp_path / "line").exists()


async def test_a_full_line_gives_a_feed_up_and_lets_nothing_out_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delay, "SEGMENT", 2_000)
    world = World(tmp_path, bytes_max=20_000)
    await world.line.start()
    number = 0
    while not world.line.dropped:
        world.line.put(batch("xnas", number))
        number += 1
        if number % 4 == 0:
            await world.written()
    for late in range(5):
        world.line.put(batch("xnas", number + late))
    world.line.feed_health(health("xnas", "connected"))
    assert world.line.size < 21_000
    assert await world.nothing()
    world.now_ns += 900 * SECOND
    taken = await world.take(number - 1)
    assert [one.batch.session for one in taken] == list(range(number - 1))
    world.line.put(batch("other", 1))
    world.now_ns += 900 * SECOND
    assert [one.batch.feed for one in await world.take(1)] == ["other"]
    assert world.told == [("xnas", FULL)]
    await world.line.stop()


async def test_files_of_a_process_before_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "line").mkdir()
    (tmp_path / "line" / "00000000.delay").write_bytes(b"\xff" * 100)
    world = World(tmp_path)
    await world.line.start()
    world.now_ns += 10_000 * SECOND
    assert await world.nothing()
    await world.line.stop()
    assert await world.line.take() == []


def test_it_is_a_bus_for_one_consumer(tmp_path: Path) -> None:
    line = World(tmp_path).line
    line.watch("xnas", {1: 1})
    assert (line.lag("latest"), line.dead_letters()) == ({0: 0}, ())
    with pytest.raises(StateError):
        line.publisher("xnas")


@given(
    sizes=st.lists(st.integers(1, 3), min_size=1, max_size=25),
    taken=st.integers(0, 25),
    ahead_s=st.integers(-5000, 5000),
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_another_line_goes_on_where_one_stopped_whatever_its_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int], taken: int, ahead_s: int
) -> None:
    """All comes once and in order, over files of any number, and nothing before its time."""
    monkeypatch.setattr(delay, "SEGMENT", 1500)
    more = 2
    before = World(tmp_path, delay_ns=100 * SECOND)
    await before.line.start()
    began_ns = before.now_ns
    for number, records in enumerate(sizes):
        before.line.put(batch("f", number, records))
        if number % 8 == 0:
            await before.written()
    before.line.feed_health(health("f", "connected"))
    before.now_ns = began_ns + 100 * SECOND
    first = [one.batch.session for one in await before.line.take(taken)] if taken else []
    before.now_ns = began_ns + 50 * SECOND
    past = await before.line.hand_over()
    assert past is not None
    await before.line.stop()

    after = World(tmp_path, delay_ns=100 * SECOND)
    after.now_ns = began_ns + (50 + ahead_s) * SECOND
    after.line.take_over(msgspec.msgpack.decode(msgspec.msgpack.encode(past), type=LinePast), ahead_ns=ahead_s * SECOND)
    await after.line.start()
    for number in range(len(sizes), len(sizes) + more):
        after.line.put(batch("f", number))
    left = len(sizes) - len(first)
    if left:
        assert await after.nothing(), "fifty seconds are not a hundred"
        after.now_ns += 50 * SECOND
    then = [one.batch.session for one in await after.take(left)] if left else []
    after.now_ns += 100 * SECOND
    last = [one.batch.session for one in await after.take(more)]
    assert first + then + last == list(range(len(sizes) + more))
    await after.line.stop()


async def test_files_that_are_not_whole_are_of_no_use(world: World, tmp_path: Path) -> None:
    world.line.put(batch("f", 1))
    past = await world.line.hand_over()
    assert past is not None
    (file,) = (tmp_path / "line").iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    after = World(tmp_path)
    with pytest.raises(StateError, match="found"):
        after.line.take_over(past, ahead_ns=0)
    await after.line.start()
    assert await after.nothing()
    await after.line.stop()
