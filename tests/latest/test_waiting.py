from hypothesis import given
from hypothesis import strategies as st

from tickcast.latest.waiting import WaitingRoom
from tickcast.model.record import Records, empty_records


def of(*instruments: int, first: int = 0) -> Records:
    records = empty_records(len(instruments))
    records["instrument"] = instruments
    records["seq"] = range(first, first + len(instruments))
    return records


def test_releases_in_order_of_arrival_when_defined() -> None:
    room = WaitingRoom(records_max=100, wait_ns=10)
    room.hold(of(1, 2, 1), 0)
    room.hold(of(2, 1, first=3), 1)
    assert room.release({1}, 2)["seq"].tolist() == [0, 2, 4]
    assert room.records == 2
    assert room.release({1}, 2)["seq"].tolist() == []
    assert room.release({2, 9}, 2)["seq"].tolist() == [1, 3]
    assert (room.records, room.dead) == (0, 0)


def test_gives_up_what_waited_too_long() -> None:
    room = WaitingRoom(records_max=100, wait_ns=10)
    room.hold(of(1), 0)
    room.hold(of(1, first=1), 5)
    assert room.release({1}, 11)["seq"].tolist() == [1]
    assert room.dead == 1


@given(st.lists(st.lists(st.integers(1, 4), max_size=8), max_size=20), st.integers(1, 12))
def test_never_holds_more_than_its_bound(arrivals: list[list[int]], bound: int) -> None:
    room = WaitingRoom(records_max=bound, wait_ns=10)
    for arrival in arrivals:
        room.hold(of(*arrival), 0)
        assert room.records <= bound
    released = len(room.release({1, 2, 3, 4}, 0))
    assert released + room.dead == sum(map(len, arrivals))
