from datetime import UTC, datetime
from itertools import pairwise

import pytest

from tickcast.latest.calendar import session_starts
from tickcast.model.errors import UsageError


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def test_utc_days() -> None:
    starts = session_starts("24/7", ns("2026-03-29T14:30:00"))
    assert len(starts) == 21
    assert ns("2026-03-29T00:00:00") in starts
    assert all(b - a == 86_400_000_000_000 for a, b in pairwise(starts))


def test_market_days_leave_out_weekends_and_holidays_and_follow_summer_time() -> None:
    starts = session_starts("XNYS", ns("2026-03-09T12:00:00"))
    assert ns("2026-03-06T14:30:00") in starts, "winter: 09:30 in New York is 14:30 UTC"
    assert ns("2026-03-09T13:30:00") in starts, "summer: 13:30 UTC"
    assert not any(datetime.fromtimestamp(s / 1e9, UTC).weekday() >= 5 for s in starts)
    assert list(starts) == sorted(starts)


def test_a_replay_has_the_sessions_of_its_day() -> None:
    assert ns("2020-01-30T14:30:00") in session_starts("XNYS@2020-01-30", ns("2026-03-09T12:00:00"))
    with pytest.raises(UsageError, match=r"found '30\.1\.2020'"):
        session_starts("24/7@30.1.2020", 0)


def test_an_unknown_calendar_is_the_users_error() -> None:
    with pytest.raises(UsageError, match="found 'MOON'"):
        session_starts("MOON", ns("2026-03-29T14:30:00"))
