"""The estimator of a venue's clock, against simulated clocks and delays."""

import random
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from tickcast.feeds.venue_clock import DRIFT, SECOND_NS, SLACK_NS, STRAYS, WINDOW_NS, VenueClock

MS = 1_000_000
START = 1_790_000_000 * SECOND_NS


class World:
    """Two clocks, and the way between them."""

    def __init__(self, *, offset_ns: int, there_ms: float, back_ms: float, seed: int = 1, drift: float = 0.0) -> None:
        self.clock = VenueClock()
        self.now_ns = START
        self._offset_ns = offset_ns
        self._drift = drift
        self._there_ms, self._back_ms = there_ms, back_ms
        self._dice = random.Random(seed)

    @property
    def offset_ns(self) -> int:
        return self._offset_ns + round(self._drift * (self.now_ns - START))

    def step(self, by_ns: int) -> None:
        """The venue's clock is set."""
        self._offset_ns += by_ns

    def message(self) -> int:
        """Something comes; its latency by the estimate."""
        delay_ns = self._delay(self._back_ms)
        told = self.now_ns + self.offset_ns
        self.now_ns += delay_ns
        self.clock.one_way(told, self.now_ns)
        found = self.clock.estimate(self.now_ns)
        assert found is not None
        return self.now_ns - told + found.offset_ns

    def ask(self, *, unit_ns: int = MS) -> None:
        sent = self.now_ns
        self.now_ns += self._delay(self._there_ms)
        told = (self.now_ns + self.offset_ns) // unit_ns * unit_ns
        self.now_ns += self._delay(self._back_ms)
        self.clock.round_trip(told, sent_ns=sent, received_ns=self.now_ns, unit_ns=unit_ns)

    def _delay(self, least_ms: float) -> int:
        return round((least_ms + self._dice.expovariate(1 / 5)) * MS)

    def wait(self, ms: float) -> None:
        self.now_ns += round(ms * MS)

    def check(self) -> int:
        """The truth lies within the uncertainty; returns that."""
        found = self.clock.estimate(self.now_ns)
        assert found is not None
        assert found.uncertainty_ns is not None
        assert abs(found.offset_ns - self.offset_ns) <= found.uncertainty_ns + 1
        return found.uncertainty_ns


@given(
    offset_ms=st.integers(-3_600_000, 3_600_000),
    there_ms=st.floats(0.1, 300),
    back_ms=st.floats(0.1, 300),
    drift=st.floats(-DRIFT, DRIFT),
    seed=st.integers(0, 1000),
)
def test_the_truth_lies_within_the_uncertainty_and_no_latency_is_negative(
    offset_ms: int, there_ms: float, back_ms: float, drift: float, seed: int
) -> None:
    world = World(offset_ns=offset_ms * MS, there_ms=there_ms, back_ms=back_ms, drift=drift, seed=seed)
    for turn in range(60):
        if turn % 10 == 0:
            world.ask()
            world.check()
        assert world.message() >= 0
        world.wait(700)
    assert world.check() <= (there_ms + back_ms + 60) * MS


def test_many_answers_in_whole_seconds_are_as_good_as_one_in_milliseconds() -> None:
    world = World(offset_ns=123 * MS, there_ms=20, back_ms=20)
    world.ask(unit_ns=SECOND_NS)
    assert world.check() > 400 * MS
    for _ in range(60):
        world.wait(5_137)
        world.ask(unit_ns=SECOND_NS)
    assert world.check() < 60 * MS


def test_an_asymmetric_way_is_in_the_uncertainty_and_not_in_the_offset() -> None:
    world = World(offset_ns=0, there_ms=200, back_ms=1)
    for _ in range(20):
        world.ask()
        world.wait(1000)
    found = world.clock.estimate(world.now_ns)
    assert found is not None
    assert found.uncertainty_ns is not None
    assert found.offset_ns > 50 * MS, "half of the difference"
    assert found.uncertainty_ns > 90 * MS
    world.check()


def test_without_a_round_trip_the_fastest_message_is_the_measure() -> None:
    world = World(offset_ns=-50 * MS, there_ms=0, back_ms=10)
    latencies = [world.message() for _ in range(500)]
    found = world.clock.estimate(world.now_ns)
    assert found is not None
    assert found.uncertainty_ns is None
    assert found.round_trips == 0
    assert min(latencies) == 0
    assert -61 * MS <= found.offset_ns <= -60 * MS


def test_a_clock_that_is_set_is_found_out() -> None:
    for by_ns, act in (
        (3600 * SECOND_NS, World.ask),
        (-3600 * SECOND_NS, World.ask),
        (200 * MS, World.ask),
        (3600 * SECOND_NS, World.message),
    ):
        world = World(offset_ns=7 * MS, there_ms=10, back_ms=10)
        for _ in range(10):
            world.ask()
            world.message()
            world.wait(1000)
        world.step(by_ns)
        for _ in range(STRAYS):
            assert not world.clock.is_contradicted or _ > 0
            act(world)
            world.wait(1000)
        found = world.clock.estimate(world.now_ns)
        assert found is not None
        assert found.steps == 1
        assert abs(found.offset_ns - world.offset_ns) < 60 * MS
        assert not world.clock.is_contradicted


def test_our_own_clock_set_back_is_found_out() -> None:
    world = World(offset_ns=0, there_ms=10, back_ms=10)
    for _ in range(10):
        world.ask()
        world.wait(1000)
    world.now_ns -= 7200 * SECOND_NS
    world.step(7200 * SECOND_NS)
    world.ask()
    world.check()


def test_one_message_from_the_future_changes_nothing() -> None:
    world = World(offset_ns=0, there_ms=5, back_ms=5)
    world.ask()
    before = world.check()
    world.clock.one_way(world.now_ns + 3600 * SECOND_NS, world.now_ns)
    assert world.clock.is_contradicted
    assert world.check() == before
    world.message()
    assert not world.clock.is_contradicted


def test_machines_of_a_venue_that_differ_a_little_are_no_step() -> None:
    clock = VenueClock()
    clock.round_trip(START, sent_ns=START, received_ns=START + MS)
    for place in range(10):
        received = START + (place + 2) * MS
        clock.one_way(received + SLACK_NS // 2, received)
    found = clock.estimate(START + 20 * MS)
    assert found is not None
    assert found.steps == 0
    assert found.offset_ns >= SLACK_NS // 2 - MS
    assert found.uncertainty_ns is not None
    assert found.uncertainty_ns > 0


def test_what_is_old_is_forgotten() -> None:
    clock = VenueClock()
    assert clock.estimate(START) is None
    clock.one_way(START, START + MS)
    assert clock.estimate(START + WINDOW_NS + 11 * SECOND_NS) is None


def test_an_answer_before_its_question_says_nothing() -> None:
    clock = VenueClock()
    clock.round_trip(START, sent_ns=START + 1, received_ns=START)
    assert clock.estimate(START) is None


def test_bounds_become_worse_with_their_age() -> None:
    world = World(offset_ns=0, there_ms=1, back_ms=1)
    world.ask()
    fresh = world.check()
    world.wait(300_000)
    assert world.check() - fresh >= round(DRIFT * 299 * SECOND_NS)


def test_the_memory_is_bounded() -> None:
    clock, make = VenueClock(), _messages(5000)
    for told, received in make():
        clock.one_way(told, received)
    assert len(clock._buckets) <= WINDOW_NS // (10 * SECOND_NS) + 2


def _messages(count: int) -> Callable[[], list[tuple[int, int]]]:
    return lambda: [(START + place * SECOND_NS, START + place * SECOND_NS + MS) for place in range(count)]
