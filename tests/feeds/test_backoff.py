"""Delays double up to the cap, never undercut Retry-After, and begin again after a success."""

from hypothesis import given
from hypothesis import strategies as st

from tickcast.feeds.backoff import Backoff, retry_after_s

JITTER = st.floats(min_value=0, max_value=1, exclude_max=True)


@given(min_s=st.floats(0.01, 1), factor=st.floats(1, 1000), jitter=st.lists(JITTER, min_size=1, max_size=60))
def test_delays_stay_between_half_and_whole_of_the_doubling_series(
    min_s: float, factor: float, jitter: list[float]
) -> None:
    numbers = iter(jitter)
    backoff = Backoff(min_s=min_s, max_s=min_s * factor, random=lambda: next(numbers))
    for tries in range(len(jitter)):
        whole = min(min_s * factor, min_s * 2**tries)
        assert backoff.tries == tries
        assert whole / 2 <= backoff.next_s() <= whole


@given(asked=st.floats(0, 10_000), jitter=JITTER)
def test_retry_after_is_never_undercut(asked: float, jitter: float) -> None:
    backoff = Backoff(min_s=0.25, max_s=30, random=lambda: jitter)
    assert backoff.next_s(at_least_s=asked) >= asked


def test_reset_begins_from_the_first_delay() -> None:
    backoff = Backoff(min_s=1, max_s=100, random=lambda: 0.999999)
    first = backoff.next_s()
    assert [backoff.next_s() > first for _ in range(4)] == [True] * 4
    backoff.reset()
    assert backoff.next_s() == first


def test_a_million_tries_do_not_overflow() -> None:
    backoff = Backoff(min_s=1, max_s=30, random=lambda: 0.0)
    for _ in range(3000):
        assert backoff.next_s() <= 30


def test_retry_after_reads_seconds_and_dates() -> None:
    now_ns = 784_111_777 * 10**9  # Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110's examples
    assert retry_after_s("120", now_ns=now_ns) == 120
    assert retry_after_s(" 0 ", now_ns=now_ns) == 0
    assert retry_after_s("Sun, 06 Nov 1994 08:49:47 GMT", now_ns=now_ns) == 10
    assert retry_after_s("Sun, 06 Nov 1994 08:49:07 GMT", now_ns=now_ns) == 0


@given(st.text(max_size=30))
def test_retry_after_never_fails(text: str) -> None:
    assert retry_after_s(text, now_ns=0) >= 0


def test_no_retry_after_is_no_delay() -> None:
    assert retry_after_s(None, now_ns=0) == 0
