"""The shell of ``latest`` on the real bus and the real hub."""

import asyncio
import json
from collections.abc import Sequence

import numpy as np

from tickcast import _native
from tickcast.bus.config import Config as BusConfig
from tickcast.bus.memory import MemoryBus
from tickcast.latest.board import FeedBoard
from tickcast.latest.registry import InstrumentRegistry
from tickcast.latest.stage import LatestStage
from tickcast.model.batch import TickBatch
from tickcast.model.health import FeedHealth
from tickcast.model.instrument import Definition
from tickcast.model.record import Flag, Kind, empty_records

S = 1_000_000_000
START = 1_800_000_000 * S


class World:
    """A stage with a clock moved by hand."""

    def __init__(self) -> None:
        self.now = START
        self.set_ns = 0
        """The clock on the wall, less the one that is never set."""
        self.bus = MemoryBus(BusConfig(), clock=lambda: self.now)
        self.hub = _native.Hub(epoch=1)
        self.registry = InstrumentRegistry()
        self.board = FeedBoard({"f": "XNAS"}, silent_ns=5 * S, now_ns=self.now)
        self.applied: list[TickBatch] = []
        self.stage = LatestStage(
            bus=self.bus,
            state=self.hub,
            registry=self.registry,
            board=self.board,
            clock=lambda: self.now + self.set_ns,
            steady=lambda: self.now,
            applied=self.applied.append,
        )

    def price(self, symbol: str = "XNAS:AAPL") -> dict[str, object]:
        body = self.hub.price(symbol)
        assert body is not None
        found: dict[str, object] = json.loads(body)
        return found


def definition(calendar: str = "24/7") -> Definition:
    return Definition(
        instrument=1,
        venue="XNAS",
        symbol="AAPL",
        feed="f",
        security="AAPL",
        asset_class="equity",
        currency="USD",
        calendar=calendar,
    )


def trade(
    price: int, at: int, *, definitions: Sequence[Definition] = (), instrument: int = 1, size: int = 100
) -> TickBatch:
    records = empty_records(1)
    records["kind"], records["instrument"], records["price"], records["size"] = Kind.TRADE, instrument, price, size
    records["ts_event"] = records["ts_recv"] = at
    records["flags"] = Flag.LAST_OF_EVENT
    return TickBatch("f", 1, records, tuple(definitions))


def health() -> FeedHealth:
    return FeedHealth(name="f", venue="XNAS", state="connected", since_ns=START, pid=1)


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def test_batches_reach_the_state_and_are_acknowledged() -> None:
    world = World()
    await world.stage.start()
    publisher = world.bus.publisher("f")
    world.stage.feed_health(health())
    await publisher.publish(trade(185, START, definitions=[definition()]))
    await until(lambda: any(len(batch.records) for batch in world.applied))
    assert (world.price()["price"], world.price()["state"]) == (185, "live")
    assert world.price("AAPL")["legs"] == {"live": 1, "of": 1}
    await until(lambda: sum(world.bus.lag("latest").values()) == 0)
    await world.stage.stop()


async def test_a_batch_that_cannot_be_applied_is_a_dead_letter_and_blocks_nothing() -> None:
    world = World()
    await world.stage.start()
    publisher = world.bus.publisher("f")
    broken = trade(1, START, definitions=[definition()])
    broken.texts = ("one", "two, but there is one record")
    await publisher.publish(broken)
    await publisher.publish(trade(186, START))
    await until(lambda: world.hub.price("XNAS:AAPL") and world.price()["price"] == 186)
    assert len(world.bus.dead_letters()) == 1
    assert world.stage.failure is None
    await world.stage.stop()


async def test_records_without_a_definition_are_counted_not_shown() -> None:
    world = World()
    world.stage.apply(trade(1, START, instrument=99))
    assert world.hub.price("XNAS:AAPL") is None
    world.stage.apply(trade(2, START, definitions=[definition()]))
    assert world.price()["price"] == 2


async def test_silence_of_a_feed_makes_its_instruments_stale_with_the_reason() -> None:
    world = World()
    await world.stage.start()
    world.stage.feed_health(health())
    world.stage.apply(trade(185, START, definitions=[definition()]))
    assert world.price()["state"] == "live"
    world.now += 6 * S
    await until(lambda: world.price()["state"] == "stale")
    assert world.applied[-1].feed == "", "the fan-out is asked to flush"
    world.stage.feed_health(health())
    assert world.price()["state"] == "live"
    world.stage.feed_lost("f", "feed process is gone (link closed)")
    assert world.price()["state"] == "stale"
    await world.stage.stop()


async def test_a_clock_that_is_set_makes_no_feed_silent() -> None:
    world = World()
    await world.stage.start()
    world.stage.feed_health(health())
    world.stage.apply(trade(185, START, definitions=[definition()]))
    other = FeedHealth(name="g", venue="XBOS", state="connected", since_ns=START, pid=2)
    world.stage.feed_health(other)
    for world.set_ns in (3600 * S, -3600 * S):
        before = len(world.applied)
        world.stage.feed_health(other)  # all are judged
        world.now += 4 * S
        world.stage.apply(trade(186, world.now))
        assert world.price()["state"] == "live"
        assert [batch.feed for batch in world.applied[before:]] == ["f"], "no verdict has changed"
    world.now += 6 * S
    await until(lambda: world.price()["state"] == "stale")
    await world.stage.stop()


def flagged(batch: TickBatch, flags: Flag, seq: int = 0) -> TickBatch:
    batch.records["flags"] |= np.uint16(flags)
    batch.records["seq"] = seq
    return batch


async def test_a_session_told_again_counts_what_was_missed_and_nothing_twice() -> None:
    world = World()
    world.stage.apply(flagged(trade(185, START + 1, definitions=[definition()]), Flag(0), 7))
    position = world.hub.position("XNAS:AAPL", _native.CHANNEL_TRADES)
    assert position is not None
    before = position.seq
    for seq, at in ((5, START), (7, START + 1)):
        world.stage.apply(flagged(trade(184, at), Flag.REPLAYED, seq))
    assert (world.price()["volume"], world.price()["price"]) == (100, 185), "repeats"
    world.stage.apply(flagged(trade(186, START + 1), Flag.REPLAYED, 8))
    world.stage.apply(flagged(trade(187, START + 2), Flag.REPLAYED, 9))
    assert (world.price()["volume"], world.price()["price"]) == (300, 187), "missed meanwhile"
    after = world.hub.position("XNAS:AAPL", _native.CHANNEL_TRADES)
    assert after is not None
    assert after.seq == before + 2


async def test_the_figures_of_a_session_joined_late_are_unknown_until_the_next() -> None:
    world = World()
    unknown = trade(0, START, definitions=[definition()])
    unknown.records["kind"], unknown.records["size"] = Kind.VOLUME, 0
    unknown.records["flags"] = Flag.LAST_OF_EVENT | Flag.NO_SIZE
    world.stage.apply(unknown)
    world.stage.apply(trade(185, START + S))
    figures = ("open", "high", "low", "volume")
    for symbol in ("XNAS:AAPL", "AAPL"):
        assert [world.price(symbol)[name] for name in figures] == [None] * 4
        assert world.price(symbol)["price"] == 185
    world.stage.apply(trade(186, START + 86_400 * S))
    for symbol in ("XNAS:AAPL", "AAPL"):
        assert [world.price(symbol)[name] for name in figures] == [186, 186, 186, 100]


async def test_the_clock_rolls_the_session() -> None:
    world = World()
    world.now = START - START % (86_400 * S) + 86_399 * S
    await world.stage.start()
    world.stage.apply(trade(185, world.now, definitions=[definition()]))
    assert (world.price()["volume"], world.price()["prev_close"]) == (100, None)
    world.now += 2 * S
    await until(lambda: world.price()["prev_close"] == 185)
    assert world.price()["open"] is None
    await world.stage.stop()


async def test_a_replay_rolls_by_event_time_only() -> None:
    world = World()
    await world.stage.start()
    then = 1_580_371_200 * S  # 2020-01-30T08:00:00Z
    world.stage.apply(trade(320, then, definitions=[definition("24/7@2020-01-30")]))
    assert (world.price()["volume"], world.price()["open"]) == (100, 320)
    world.now += 3600 * S
    await asyncio.sleep(0.3)
    assert world.price()["volume"] == 100
    world.stage.apply(trade(321, then + 86_400 * S))
    assert (world.price()["volume"], world.price()["prev_close"]) == (100, 320)
    await world.stage.stop()


async def test_a_calendar_that_does_not_exist_costs_its_batch_and_no_more() -> None:
    world = World()
    await world.stage.start()
    publisher = world.bus.publisher("f")
    await publisher.publish(trade(1, START, definitions=[definition("MOON")]))
    await publisher.publish(trade(2, START, definitions=[definition()]))
    await until(lambda: world.hub.price("XNAS:AAPL") and world.price()["price"] == 2)
    ((_, reason),) = world.bus.dead_letters()
    assert "MOON" in reason
    await world.stage.stop()
