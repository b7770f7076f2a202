from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast.gateway.timestamps import parse_timestamp, timestamp


@pytest.mark.parametrize(
    ("text", "ns", "precision_ns"),
    [
        ("1970-01-01T00:00:00Z", 0, 1_000_000_000),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000, 100_000_000),
        ("2026-03-29T14:30:01.234Z", 1_774_794_601_234_000_000, 1_000_000),
        ("2026-03-29T14:30:01.234567890Z", 1_774_794_601_234_567_890, 1),
        ("2026-03-29T16:30:01+02:00", 1_774_794_601_000_000_000, 1_000_000_000),
        ("2026-03-29T09:30:01-05:00", 1_774_794_601_000_000_000, 1_000_000_000),
    ],
)
def test_timestamps_are_read_exactly(text: str, ns: int, precision_ns: int) -> None:
    assert parse_timestamp(text) == (ns, precision_ns)


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2026-03-29", "2026-03-29T14:30:01", "2026-02-30T00:00:00Z", "2026-03-29T25:00:00Z",
        "2026-03-29T14:30:01.1234567890Z", "1969-12-31T23:59:59Z", "9999-01-01T00:00:00Z", "٢٠٢٦-03-29T14:30:01Z",
    ],
)  # fmt: skip
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a"):
        parse_timestamp(text)


@given(st.integers(min_value=0, max_value=(1 << 33) * 1_000_000_000 - 1))
def test_what_we_write_we_read(ns: int) -> None:
    assert parse_timestamp(timestamp(ns)) == (ns - ns % 1000, 1000)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2242, 1, 1)))  # noqa: DTZ001  Hypothesis wants naive bounds
def test_against_the_standard_library(moment: datetime) -> None:
    since = moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    expected_ns = (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
    assert parse_timestamp(f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}Z")[0] == expected_ns
