"""Times as JSON venues write them."""

from hypothesis import given
from hypothesis import strategies as st

from tickcast.sim.crypto.times import iso
from tickcast.venues.times import rfc3339_ns


@given(st.integers(min_value=0, max_value=4_102_444_800_000_000_000), st.integers(min_value=1, max_value=9))
def test_what_is_written_is_read_again(time_ns: int, digits: int) -> None:
    step = 10 ** (9 - digits)
    assert rfc3339_ns(iso(time_ns, digits=digits)) == time_ns // step * step


def test_forms() -> None:
    assert iso(1_786_309_548_228_568_804) == "2026-08-09T21:05:48.228568Z"
    assert iso(1_786_309_548_228_568_804, digits=9) == "2026-08-09T21:05:48.228568804Z"
    assert iso(1_786_309_548_000_000_000, digits=0) == "2026-08-09T21:05:48Z"
