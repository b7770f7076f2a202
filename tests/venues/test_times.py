"""RFC 3339 times, exact to the nanosecond."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast.venues.times import rfc3339_ms, rfc3339_ns


def test_known_times() -> None:
    assert rfc3339_ns("1970-01-01T00:00:00Z") == 0
    assert rfc3339_ns("2026-03-29T14:30:01.234567891Z") == 1_774_794_601_234_567_891
    assert rfc3339_ns("2026-03-29T16:30:01.5+02:00") == 1_774_794_601_500_000_000


@given(
    st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1)),  # noqa: DTZ001  Hypothesis wants it so
    st.integers(-14, 14),
)
def test_it_agrees_with_datetime(moment: datetime, hours: int) -> None:
    moment = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert rfc3339_ns(moment.isoformat()) == expected


@given(st.integers(0, 7_000_000_000_000))
def test_what_is_written_is_read_again(ms: int) -> None:
    assert rfc3339_ns(rfc3339_ms(ms * 1_000_000 + 999_999)) == ms * 1_000_000


@pytest.mark.parametrize("text", ["", "2026-03-29", "2026-03-29T14:30:01", "2026-03-29T14:30:01.1234567891Z", "now"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time such as"):
        rfc3339_ns(text)


def test_an_impossible_date_is_refused() -> None:
    with pytest.raises(ValueError, match="month must be"):
        rfc3339_ns("2026-13-29T14:30:01Z")
