"""The fan-out's shell: flushes at once, later when told to, and never spins."""

import asyncio
import builtins
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tickcast.fanout.config import Config
from tickcast.fanout.ladder import Rung
from tickcast.fanout.stage import FanoutStage
from tickcast.model.batch import Hops, TickBatch
from tickcast.ports import Flush
from tickcast.runtime.metrics import queue_levels


@dataclass
class Done:
    next_ns: int = 0
    is_partial: bool = False
    writes: int = 0
    frames: int = 0
    updates: int = 0
    bytes: int = 0
    unsent: "list[tuple[int, builtins.bytes]]" = field(default_factory=list)
    slow: list[int] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)
    shifted: "list[tuple[int, int, Literal['hidden', 'slow', 'overload', 'restored']]]" = field(default_factory=list)


class Hub:
    """Says what it is told to say, and when it was asked."""

    def __init__(self, *answers: Done) -> None:
        self.answers = list(answers)
        self.asked: list[int] = []

    held_until = 0

    def encode(self, now_ns: int) -> int:
        self.encoded = now_ns
        return self.held_until

    def send(self, now_ns: int) -> Done:
        assert now_ns >= self.encoded
        self.asked.append(now_ns)
        return self.answers.pop(0) if self.answers else Done()

    def memory(self) -> Mapping[str, int]:
        return {"clients": 0}

    waiting_bytes = 0
    cap = floor_ns = 0

    def frame_bytes(self) -> int:
        return self.waiting_bytes

    ahead_ns = 0

    def set_wall_ahead(self, ahead_ns: int) -> None:
        self.ahead_ns = ahead_ns

    def set_cap(self, rate: int) -> None:
        self.cap = rate

    def set_quantum_floor(self, floor_ns: int) -> None:
        self.floor_ns = floor_ns


class Loop:
    """A clock that follows the event loop's, so that timers and stamps agree."""

    def __call__(self) -> int:
        return int(asyncio.get_running_loop().time() * 1e9)


def stage(hub: Hub) -> tuple[FanoutStage, list[Flush], list[tuple[str, int]]]:
    delivered: list[Flush] = []
    measured: list[tuple[str, int]] = []
    built = FanoutStage(hub, clock=Loop(), deliver=delivered.append, measure=lambda hop, ns: measured.append((hop, ns)))
    return built, delivered, measured


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def test_flushes_with_every_batch_and_delivers_what_is_left() -> None:
    hub = Hub(Done(writes=1, unsent=[(1, b"x")]), Done(writes=1))
    fanout, delivered, _ = stage(hub)
    fanout.applied(TickBatch("f", 1))
    fanout.applied(TickBatch("f", 1))
    assert len(hub.asked) == 2
    assert [flushed.unsent for flushed in delivered] == [[(1, b"x")]], "nothing left, nothing delivered"


async def test_comes_back_when_the_hub_says_so_and_only_then() -> None:
    clock = Loop()
    due = clock() + 20_000_000
    hub = Hub(Done(next_ns=due), Done())
    fanout, _, _ = stage(hub)
    fanout.applied(TickBatch("f", 1))
    await until(lambda: len(hub.asked) == 2)
    assert hub.asked[1] >= due - 2_000_000
    await asyncio.sleep(0.03)
    assert len(hub.asked) == 2, "no timer runs while nothing is due"


async def test_an_earlier_time_moves_the_timer() -> None:
    clock = Loop()
    hub = Hub(Done(next_ns=clock() + 10_000_000_000), Done(next_ns=clock() + 1_000_000), Done())
    fanout, _, _ = stage(hub)
    fanout.applied(TickBatch("f", 1))
    fanout.applied(TickBatch("f", 1))
    await until(lambda: len(hub.asked) == 3)


async def test_stop_ends_the_timer() -> None:
    clock = Loop()
    hub = Hub(Done(next_ns=clock() + 5_000_000))
    fanout, _, _ = stage(hub)
    fanout.applied(TickBatch("f", 1))
    fanout.stop()
    await asyncio.sleep(0.02)
    assert len(hub.asked) == 1


async def test_a_held_flush_sends_nothing_and_comes_back() -> None:
    clock = Loop()
    hub = Hub()
    fanout, _, _ = stage(hub)
    hub.held_until = clock() + 5_000_000
    fanout.applied(TickBatch("f", 1))
    assert hub.asked == []
    hub.held_until = 0
    await until(lambda: len(hub.asked) == 1)


async def test_measures_what_was_written_from_the_bus_and_from_the_exchange() -> None:
    clock = Loop()
    hub = Hub(Done(), Done(updates=1))
    fanout, _, measured = stage(hub)
    fanout.applied(TickBatch("f", 1, hops=Hops(bus_out=clock())), clock())
    assert measured == [], "conflated for now: the wait for its interval is not latency"
    fanout.applied(TickBatch("f", 1, hops=Hops(bus_out=clock() - 3_000_000)), clock() - 9_000_000)
    found = dict(measured)
    assert list(found) == ["fanout_encode", "fanout_write", "end_to_end"]
    assert 3_000_000 <= found["fanout_encode"] <= found["fanout_write"]
    assert found["end_to_end"] >= 9_000_000


async def test_a_hold_by_the_quantum_counts() -> None:
    clock = Loop()
    hub = Hub(Done(updates=1))
    fanout, _, measured = stage(hub)
    hub.held_until = clock() + 5_000_000
    fanout.applied(TickBatch("f", 1, hops=Hops(bus_out=clock())))
    hub.held_until = 0
    await until(lambda: measured)
    assert dict(measured)["fanout_write"] >= 3_500_000  # a timer may be some microseconds early


async def test_a_partial_flush_measures_what_went_out_and_keeps_the_rest() -> None:
    clock = Loop()
    hub = Hub(Done(updates=1, is_partial=True), Done(is_partial=True), Done(updates=2), Done(updates=1))
    fanout, _, measured = stage(hub)

    def written() -> int:
        return sum(hop == "fanout_write" for hop, _ in measured)

    for expected in (1, 1, 4, 5):
        fanout.applied(TickBatch("f", 1, hops=Hops(bus_out=clock())))
        assert written() == expected, "the full flush carries the conflated part of all three"


def test_the_hubs_queues_have_bounds_that_grow_with_clients_and_topics() -> None:
    hub = Hub()
    sizes = {"clients": 3, "topics": 2, "buffered_bytes": 7, "unsent_bytes": 8, "price_history": 9, "trade_history": 1}
    hub.memory = lambda: sizes  # type: ignore[method-assign]
    stage = FanoutStage(hub, clock=lambda: 0, deliver=lambda _: None, measure=lambda *_: None)
    stage.watch(Config(buffer_max=100, unsent_max=1000, history_count=10))
    found = {name: level[:2] for name, level in queue_levels().items() if name.startswith("fanout.")}
    assert found == {
        "fanout.client_buffers": (7, 300), "fanout.client_unsent": (8, 3000),
        "fanout.price_history": (9, 20), "fanout.trade_history": (1, 20),
    }  # fmt: skip


async def test_a_flush_asked_for_while_delivering_comes_when_the_loop_had_its_turn() -> None:
    hub = Hub(Done(unsent=[(1, b"x")]), Done(unsent=[(2, b"y")]), Done())
    depth = deepest = 0

    def deliver(_: Flush) -> None:
        nonlocal depth, deepest
        depth, deepest = depth + 1, max(deepest, depth + 1)
        fanout.flush()
        depth -= 1

    fanout = FanoutStage(hub, clock=Loop(), deliver=deliver, measure=lambda *_: None)
    fanout.flush()
    assert len(hub.asked) == 1
    await until(lambda: len(hub.asked) == 3)
    assert deepest == 1


async def test_slices_follow_at_once_and_leave_the_loop_its_turns() -> None:
    clock = Loop()
    hub = Hub(*(Done(next_ns=clock(), is_partial=True, writes=1) for _ in range(5)), Done(writes=1, updates=9))
    fanout, _, measured = stage(hub)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while len(hub.asked) < 6:
            turns += 1
            await asyncio.sleep(0)

    fanout.applied(TickBatch("f", 1, hops=Hops(bus_out=clock())))
    await asyncio.wait_for(others(), 5)
    assert turns >= 5
    assert [hop for hop, _ in measured] == ["fanout_encode", "fanout_write"], "once, when the last one was written"


class Steps:
    """A clock that the test moves."""

    now = 1_000_000_000

    def __call__(self) -> int:
        return self.now


async def test_overload_climbs_the_ladder_and_relief_comes_down_by_itself() -> None:
    clock, thread, hub, rungs = Steps(), Steps(), Hub(), list[Rung]()
    config = Config(overload_rise_s=2.0, overload_fall_s=10.0, overload_quantum_ms=40.0)
    fanout = FanoutStage(
        hub,
        clock=clock,
        deliver=lambda _: None,
        measure=lambda *_: None,
        config=config,
        on_rung=rungs.append,
        thread=thread,
    )
    seen: list[tuple[int, int]] = []
    for _ in range(40):
        clock.now += 250_000_000
        thread.now += 240_000_000
        fanout.flush()
        if not rungs or (hub.floor_ns, hub.cap) != (seen[-1] if seen else None):
            seen.append((hub.floor_ns, hub.cap))
    assert rungs == [Rung.GATHER, Rung.CAP_5, Rung.CAP_1, Rung.FULL]
    assert list(dict.fromkeys(seen)) == [(0, 0), (40_000_000, 0), (40_000_000, 5), (40_000_000, 1)]
    for _ in range(4):
        # no flush: the stage looks by its own timer until it is at the bottom
        asked, count = len(hub.asked), len(rungs)
        clock.now += 10_000_000_000
        await until(lambda count=count: len(rungs) > count)
        # and what it changed comes into force with a flush at once
        await until(lambda asked=asked: len(hub.asked) > asked)
    assert rungs[4:] == [Rung.CAP_1, Rung.CAP_5, Rung.GATHER, Rung.NORMAL]
    assert (hub.floor_ns, hub.cap) == (0, 0)
    fanout.stop()
