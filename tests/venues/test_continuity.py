"""Book sync under drops, repeats and late snapshots: whenever it says live, the book equals the reference."""

import random

from hypothesis import given, note
from hypothesis import strategies as st

from tickcast.venues.continuity import BUFFER_MAX, DepthSync, Diff


def diff(first: int, last: int, level: str = "1") -> Diff:
    return Diff(first, last, [(level, str(last))], [], 0, 0)


def live(last: int) -> DepthSync:
    sync = DepthSync()
    assert sync.snapshot(last) == []
    return sync


def test_the_documented_procedure() -> None:
    sync = DepthSync()
    assert sync.phase == "syncing"
    diffs = [diff(90, 99), diff(100, 105), diff(106, 110)]
    assert [sync.diff(one) for one in diffs] == [False] * 3
    assert sync.snapshot(101) == diffs[1:]
    assert (sync.phase, sync.last) == ("live", 110)
    assert sync.diff(diff(111, 120))
    assert not sync.diff(diff(122, 130))
    assert (sync.phase, sync.missing) == ("repairing", 1)


def test_the_first_difference_after_a_snapshot_may_straddle_it_and_later_ones_may_not() -> None:
    sync = live(100)
    assert not sync.diff(diff(90, 100))
    assert sync.diff(diff(98, 103))
    assert [sync.phase, sync.diff(diff(103, 105)), sync.phase] == ["live", False, "repairing"]


def test_a_snapshot_of_numbers_that_are_not_used_any_more_is_found_out() -> None:
    sync = live(1_000_000)
    seconds = 1_000_000_000
    for at in range(5):
        assert not sync.diff(Diff(101 + at, 101 + at, [], [], 0, (10 + at) * seconds))
        assert sync.phase == "live", "it may be newer than the stream"
    assert not sync.diff(Diff(106, 106, [], [], 0, 15 * seconds))
    assert sync.phase == "repairing"
    assert sync.snapshot(105) == [Diff(106, 106, [], [], 0, 15 * seconds)]


def test_differences_of_before_a_snapshot_that_end_are_nothing() -> None:
    sync = live(103)
    assert not sync.diff(Diff(102, 102, [], [], 0, 1))
    assert sync.diff(diff(103, 104))
    assert not sync.diff(Diff(104, 104, [], [], 0, 10**12)), "not the same ones"
    assert sync.phase == "live"


def test_a_snapshot_that_is_too_old_does_not_join() -> None:
    sync = DepthSync()
    sync.diff(diff(100, 105))
    assert sync.snapshot(98) is None
    assert sync.snapshot(99) == [diff(100, 105)]


def test_a_hole_among_the_buffered_wants_a_newer_snapshot() -> None:
    sync = DepthSync()
    for one in (diff(100, 105), diff(106, 107), diff(110, 112)):
        sync.diff(one)
    assert sync.snapshot(99) is None
    assert sync.buffered == 1
    assert sync.snapshot(109) == [diff(110, 112)]


def test_repeats_are_left_out() -> None:
    sync = live(100)
    assert sync.diff(diff(101, 102))
    assert not sync.diff(diff(101, 102))
    assert sync.phase == "live"


def test_a_stream_that_resumes_behind_has_begun_anew() -> None:
    sync = live(100)
    sync.resumed()
    assert not sync.diff(diff(3, 4))
    assert sync.phase == "repairing"
    assert sync.snapshot(3) == [diff(3, 4)]


def test_the_buffer_is_bounded() -> None:
    sync = DepthSync()
    for number in range(BUFFER_MAX + 10):
        sync.diff(diff(number, number))
    assert sync.buffered == BUFFER_MAX
    assert sync.snapshot(5) is None


@given(seed=st.integers(0, 2**32 - 1))
def test_whenever_it_is_live_the_book_is_the_venue_s(seed: int) -> None:
    """A venue with random updates; a stream that drops, repeats and breaks; snapshots that come late."""
    note(f"seed {seed}")
    dice = random.Random(seed)
    history: list[dict[str, str]] = [{}]
    truth: dict[str, str] = {}
    sync, mine = DepthSync(), dict[str, str]()
    last = 0
    for _ in range(dice.randrange(5, 80)):
        first, count = last + 1, dice.randrange(1, 4)
        levels = []
        for _ in range(count):
            level = (str(dice.randrange(5)), str(dice.randrange(3)))
            levels.append(level)
            truth.update([level])
            history.append(dict(truth))
        last += count
        change = Diff(first, last, levels, [], 0, 0)
        for _ in range(dice.choices([1, 0, 2], [12, 1, 1])[0]):
            if sync.diff(change):
                mine.update(change.bids)
        if sync.phase != "live" and dice.random() < 0.5:
            taken = dice.randrange(max(0, last - 8), last + 1)
            ready = sync.snapshot(taken)
            if ready is not None:
                mine = dict(history[taken])
                for one in ready:
                    mine.update(one.bids)
        if dice.random() < 0.05:
            sync.resumed()
        if sync.phase == "live":
            assert mine == history[sync.last]
