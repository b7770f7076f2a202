"""The overload ladder: one rung at a time, never without a wait, and back to the bottom when it is quiet."""

from hypothesis import given
from hypothesis import strategies as st

from tickcast.fanout.ladder import RELIEF, Ladder, Limits, Load, Rung

LOOK_NS = 250_000_000
LIMITS = Limits(memory_bytes=1_000)
QUIET, BUSY = Load(busy=0.1), Load(busy=0.95)


def climb(ladder: Ladder, load: Load, looks: int, now: int) -> tuple[list[Rung], int]:
    rungs = []
    for _ in range(looks):
        now += LOOK_NS
        rungs.append(ladder.look(load, now))
    return rungs, now


def test_goes_up_a_rung_every_two_seconds_and_down_one_every_ten() -> None:
    ladder = Ladder(LIMITS, 0)
    rungs, now = climb(ladder, BUSY, 60, 0)
    assert [rungs.index(rung) for rung in Rung if rung] == [8, 17, 26, 35]
    assert rungs[-1] == Rung.FULL
    assert ladder.cause == "busy"
    rungs, now = climb(ladder, QUIET, 200, now)
    assert [rungs.index(Rung(rung)) for rung in (3, 2, 1, 0)] == [39, 79, 119, 159]
    assert sum(map(ladder.spent_ns, Rung)) == now
    assert ladder.spent_ns(Rung.CAP_5) == 9 * LOOK_NS + 10_000_000_000


def test_between_the_limits_nothing_moves() -> None:
    ladder = Ladder(LIMITS, 0)
    _, now = climb(ladder, BUSY, 18, 0)
    assert ladder.rung == Rung.CAP_5
    rungs, _ = climb(ladder, Load(busy=LIMITS.busy * (RELIEF + 0.1)), 1_000, now)
    assert set(rungs) == {Rung.CAP_5}


def test_a_single_stall_is_no_overload() -> None:
    ladder, now = Ladder(LIMITS, 0), 0
    for _ in range(100):
        _, now = climb(ladder, Load(lag_ns=10**9), 8, now)
        _, now = climb(ladder, QUIET, 1, now)
    assert ladder.rung == Rung.NORMAL


def test_each_input_counts_by_its_own_limit_and_zero_is_none() -> None:
    for name, value in (("busy", 0.9), ("lag_ns", 250_000_000), ("frame_bytes", 67_108_864), ("memory_bytes", 1_000)):
        assert Ladder(LIMITS, 0).pressure(Load(**{name: value})) == (1.0, name)  # type: ignore[arg-type]  # by name
    assert Ladder(Limits(memory_bytes=0), 0).pressure(Load(memory_bytes=10**12))[0] == 0.0


def test_what_each_rung_does() -> None:
    assert [(rung.word, rung.rate_max) for rung in Rung] == [
        ("normal", 0), ("gather", 0), ("cap_5", 5), ("cap_1", 1), ("full", 1),
    ]  # fmt: skip


loads = st.builds(
    Load,
    busy=st.floats(0, 1),
    lag_ns=st.integers(0, 10**9),
    frame_bytes=st.integers(0, 10**8),
    memory_bytes=st.integers(0, 2_000),
)


@given(st.lists(st.tuples(loads, st.integers(-(10**9), 20 * 10**9)), max_size=200))
def test_one_rung_at_a_time_never_sooner_than_its_wait(looks: list[tuple[Load, int]]) -> None:
    ladder, now, latest, moved = Ladder(LIMITS, 0), 0, 0, 0
    for load, step in looks:
        before, latest_before = ladder.rung, latest
        now += step
        latest = max(latest, now)
        rung = ladder.look(load, now)
        pressure, _ = ladder.pressure(load)
        assert abs(rung - before) <= 1
        if rung > before:
            assert pressure >= 1
            assert latest - moved >= LIMITS.rise_ns
        if rung < before:
            assert pressure < RELIEF
            assert latest - moved >= LIMITS.fall_ns
        moved = latest if rung != before else moved
        assert latest >= latest_before
    assert sum(map(ladder.spent_ns, Rung)) >= latest
    # whatever was before: quiet brings it down
    for _ in range(4):
        latest += LIMITS.fall_ns
        ladder.look(QUIET, latest)
    assert ladder.rung == Rung.NORMAL
