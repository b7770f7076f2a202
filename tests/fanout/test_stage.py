"""The fan-out's shell: flushes at once, later when told to, and never spins."""

import asyncio
import builtins
from collections.abc import Mapping
from dataclasses import dataclass, field

from tickcast.fanout.config import Config
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
    assert dict(measured)["fanout_write"] >= 4_000_000


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
