"""Pacing: whole slices when they are due, lost time is counted, a pause loses nothing but time."""

from collections.abc import Mapping
from typing import Any

from tickcast.sim import universe as listing
from tickcast.sim.config import Config, MarketConfig
from tickcast.sim.engine import BEHIND_MAX_NS, VenueEngine
from tickcast.sim.faults import FaultGate
from tickcast.sim.market import OrderFlow, Slice

START = 1_774_879_200_000_000_000
CONFIG = Config(seed=8, symbols=20, rate=1000, market=MarketConfig(open_after_ms=5.0))


class Recorder:
    """A dialect that keeps the slices it is given."""

    def __init__(self) -> None:
        universe = listing.build(CONFIG)
        self.flow = OrderFlow(universe, range(universe.stock_count), CONFIG, venue="X", base=1)
        self.faults = FaultGate()
        self.ends: list[int] = []
        self.events = 0

    async def start(self) -> Mapping[str, str]:
        return {}

    def begin(self, part: Slice, ts: int) -> None:
        assert len(part.events) > 0
        self.ends.append(ts)

    def publish(self, part: Slice, ts: int) -> None:
        self.ends.append(ts)
        self.events += len(part.events)
        assert all(self.ends[-2] < int(one) <= ts for one in part.events.ts)

    def last_ids(self) -> list[str]:
        return []

    def names(self) -> list[str]:
        return []

    def state(self) -> Mapping[str, Any]:
        return {}

    async def stop(self) -> None:
        pass


def engine_of(recorder: Recorder) -> VenueEngine[Recorder]:
    return VenueEngine(recorder, rate=1000.0, quantum_ms=10.0, start_ns=START)


def test_slices_are_made_when_their_end_has_come() -> None:
    recorder = Recorder()
    engine = engine_of(recorder)
    assert engine.advance(START + 9_999_999) == 0
    assert engine.advance(START + 10_000_000) == 1
    assert engine.advance(START + 39_000_000) == 2
    assert recorder.ends == [START, START + 10_000_000, START + 20_000_000, START + 30_000_000]
    assert engine.next_ns == START + 40_000_000


def test_at_most_as_many_as_asked_and_the_rest_later() -> None:
    engine = engine_of(Recorder())
    now = START + BEHIND_MAX_NS
    assert engine.advance(now, slices_max=4) == 4
    assert engine.advance(now) == BEHIND_MAX_NS // 10_000_000 - 4
    assert engine.skipped_ns == 0


def test_rate_is_kept() -> None:
    recorder = Recorder()
    engine = engine_of(recorder)
    for step in range(1, 201):
        engine.advance(START + step * 10_000_000)
    assert abs(recorder.events - 2000) < 40
    assert engine.events == recorder.events


def test_time_that_cannot_be_made_good_is_counted() -> None:
    engine = engine_of(Recorder())
    now = START + 5 * BEHIND_MAX_NS
    assert engine.advance(now) == BEHIND_MAX_NS // 10_000_000
    assert engine.skipped_ns == 4 * BEHIND_MAX_NS
    assert engine.next_ns == now + 10_000_000


def test_pause_makes_nothing_and_skips_nothing() -> None:
    recorder = Recorder()
    engine = engine_of(recorder)
    engine.advance(START + 50_000_000)
    engine.paused = True
    made = len(recorder.ends)
    assert engine.advance(START + 10_000_000_000) == 0
    assert len(recorder.ends) == made
    engine.paused = False
    assert engine.advance(START + 10_010_000_000) == 1
    assert engine.skipped_ns == 0
