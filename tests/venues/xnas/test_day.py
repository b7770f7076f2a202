"""Event times are put on their day, over midnight and over the change of the clocks."""

from datetime import date

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tickcast.venues.xnas.day import HALF_DAY_NS, TradingDay, midnight_ns, new_york_day

DAY = date(2020, 1, 30)
HOUR = 3_600_000_000_000


def correct(day: TradingDay, hours: list[float], ts_recv: int = 0) -> list[float]:
    times = np.array([day.midnight_ns + round(hour * HOUR) for hour in hours], np.int64)
    day.correct(times, ts_recv)
    return [(int(time) - day.midnight_ns) / HOUR for time in times]


def test_midnight_is_new_york_s() -> None:
    assert midnight_ns(DAY) == 1_580_360_400 * 10**9  # 2020-01-30T05:00:00Z
    assert midnight_ns(date(2020, 7, 1)) == 1_593_576_000 * 10**9  # 04:00Z in summer
    assert new_york_day(1_580_360_399 * 10**9) == date(2020, 1, 29)
    assert new_york_day(1_580_360_400 * 10**9) == DAY


def test_times_of_a_day_stay() -> None:
    day = TradingDay(DAY, fixed=True)
    assert correct(day, [4, 9.5, 16]) == [4, 9.5, 16]
    assert correct(day, [16, 15.999, 20]) == [16, 15.999, 20]  # a little back is no midnight


def test_over_midnight_within_a_block_and_between_blocks() -> None:
    day = TradingDay(DAY, fixed=True)
    assert correct(day, [23, 23.5, 0.5, 1]) == [23, 23.5, 24.5, 25]
    assert correct(day, [2, 23]) == [26, 47]
    assert correct(day, [0.25]) == [48.25]


def test_a_login_after_midnight_is_told_of_the_evening_before() -> None:
    day = TradingDay(DAY, fixed=False)
    now = midnight_ns(DAY) + HOUR // 2
    assert correct(day, [20, 23.75, 0.25], now) == [-4, -0.25, 0.25]
    assert correct(day, [0.5], now) == [0.5]


def test_a_fixed_date_ignores_the_receive_time() -> None:
    day = TradingDay(DAY, fixed=True)
    assert correct(day, [20], 0) == [20]


def test_the_day_after_the_change_of_the_clocks_is_an_hour_shorter() -> None:
    day = TradingDay(date(2020, 3, 8), fixed=True)  # clocks go forward at 2:00
    assert correct(day, [23.5, 0.5]) == [23.5, 23.5]


def test_nothing_is_nothing() -> None:
    day = TradingDay(DAY, fixed=True)
    assert correct(day, []) == []


@given(st.lists(st.integers(0, HALF_DAY_NS - 1), min_size=1, max_size=40), st.lists(st.integers(0, 40), max_size=5))
def test_corrected_times_never_fall_back(steps: list[int], cuts: list[int]) -> None:
    clock = np.cumsum(np.array(steps, np.int64))
    told = midnight_ns(DAY) + clock % (24 * HOUR)
    day = TradingDay(DAY, fixed=True)
    out: list[int] = []
    for part in np.split(told.copy(), sorted(cut for cut in cuts if cut < len(told))):
        day.correct(part, 0)
        out.extend(part.tolist())
    assert out == (midnight_ns(DAY) + clock).tolist()
