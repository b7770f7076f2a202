"""What is streamed while somebody watches it: begins, lingers, ends, and finds no room."""

from hypothesis import given
from hypothesis import strategies as st

from tickcast.venues.declared.demand import Demand, Turn

SECOND = 1_000_000_000
NOW = 1_790_000_000 * SECOND
ALL = range(1, 100)


def idle(demand: Demand) -> set[int]:
    return set(ALL) - demand._streamed.keys()


def watch(demand: Demand, *instruments: int, at: int = NOW) -> Turn:
    demand.take(dict.fromkeys(instruments, 1))
    return demand.look(idle(demand), at)


def test_what_is_watched_begins_at_once_and_once() -> None:
    demand = Demand(most=5, linger_s=60)
    assert watch(demand, 1, 2).begin == [1, 2]
    assert watch(demand, 1, 2) == Turn()
    assert demand.next_ns() == 0
    assert watch(demand, 200) == Turn(), "of another kind: streamed anyhow"


def test_it_ends_some_time_after_its_last_watcher() -> None:
    demand = Demand(most=5, linger_s=60)
    watch(demand, 1, 2)
    assert watch(demand, 2, at=NOW + SECOND) == Turn()
    assert demand.next_ns() == NOW + 61 * SECOND
    assert demand.look(idle(demand), NOW + 60 * SECOND) == Turn()
    assert demand.look(idle(demand), NOW + 61 * SECOND) == Turn(end=[1])
    assert demand.next_ns() == 0
    assert demand.count == 1


def test_who_comes_back_in_time_finds_it_running() -> None:
    demand = Demand(most=5, linger_s=60)
    watch(demand, 1)
    watch(demand, at=NOW + SECOND)
    assert watch(demand, 1, at=NOW + 50 * SECOND) == Turn()
    assert demand.look(idle(demand), NOW + 100 * SECOND) == Turn()


def test_what_nobody_watches_gives_way_and_the_rest_waits() -> None:
    demand = Demand(most=2, linger_s=60)
    watch(demand, 1, 2)
    assert watch(demand, 1, 2, 3) == Turn(refused=[3])
    assert watch(demand, 1, 2, 3) == Turn(), "told once"
    assert list(demand.waiting) == [3]
    demand.take({1: 1, 2: 1, 3: 2})
    assert demand.look(idle(demand), NOW) == Turn(refused=[3]), "somebody else asked"
    assert watch(demand, 2, 3, at=NOW + SECOND) == Turn(begin=[3], end=[1])
    assert list(demand.waiting) == []


def test_the_most_watched_goes_first() -> None:
    demand = Demand(most=1, linger_s=60)
    demand.take({1: 1, 2: 5})
    assert demand.look(idle(demand), NOW) == Turn(begin=[2], refused=[1])


def test_smaller_limits_end_nothing_that_is_watched() -> None:
    demand = Demand(most=3, linger_s=60)
    watch(demand, 1, 2, 3)
    demand.set_limits(most=1, linger_s=0)
    assert watch(demand, 1, 2, 3, 4) == Turn(refused=[4])
    assert watch(demand, 4) == Turn(begin=[4], end=[1, 2, 3])


@given(
    st.lists(
        st.tuples(st.dictionaries(st.integers(1, 8), st.integers(1, 3), max_size=6), st.integers(0, 90)), max_size=12
    )
)
def test_never_too_many_and_whoever_watches_is_served_or_told(steps: list[tuple[dict[int, int], int]]) -> None:
    demand = Demand(most=3, linger_s=60)
    told: set[int] = set()
    now = NOW
    for counts, wait_s in steps:
        demand.take(counts)
        before = set(demand._streamed)
        turn = demand.look(idle(demand), now)
        assert demand.count <= 3
        assert set(demand._streamed) == (before - set(turn.end)) | set(turn.begin)
        assert not set(turn.end) & counts.keys()
        told = (told | set(turn.refused)) & (counts.keys() - demand._streamed.keys())
        assert counts.keys() == (demand._streamed.keys() & counts.keys()) | told
        assert set(demand.waiting) == told
        now += wait_s * SECOND
