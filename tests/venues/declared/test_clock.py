"""A venue's time, asked for and read."""

from typing import ClassVar

import msgspec
import pytest
from tests.venues.declared.scripted import NOW, SECOND, Script, ScriptedVenue

from tickcast.venues.base import Answer, Request, Step
from tickcast.venues.declared.clock import EAGER, FAILED_MAX, read
from tickcast.venues.declared.venue import ClockReading
from tickcast.venues.registry import VENUES, find_declared


class Timed(ScriptedVenue):
    clock: ClassVar[ClockReading | None] = ClockReading(path="data.0.ts", unit="ms")

    def probe_request(self) -> Request | None:
        return Request(purpose="time", url="http://venue/time")


def up(**settings: float) -> Script:
    script = Script(Timed, quiet_watch=False, poll_interval_s=0, **settings)
    script.list(a={"A": "LIVE"})
    return script


def asked(script: Script, seconds: float) -> list[tuple[int, Request]]:
    """Let time pass; when the venue was asked for its time."""
    found: list[tuple[int, Request]] = []
    now, end = NOW, NOW + round(seconds * SECOND)
    while script.session.wake_ns and script.session.wake_ns <= end:
        now = max(now, script.session.wake_ns)
        step = script.session.wake(now)
        for one in step.requests:
            if one.purpose == "clock":
                found.append((now, one))
                answer(script, one, {"data": [{"ts": str(now // 1_000_000)}]}, now)
    return found


def answer(script: Script, request: Request, body: object, now: int, *, status: int = 200) -> Step:
    got = Answer(status=status, body=msgspec.json.encode(body), received_ns=now + 5, sent_ns=now)
    return script.session.answered(request, got)


def test_it_is_asked_for_soon_in_the_beginning_and_then_now_and_then() -> None:
    times = [(at - NOW) / SECOND for at, _ in asked(up(clock_interval_s=20), 70)]
    assert times[:EAGER] == [2, 4, 6, 8, 10]
    assert times[EAGER:] == [30, 50, 70]


def test_it_is_not_asked_for_where_that_is_not_wanted_or_nobody_tells() -> None:
    assert asked(up(clock_interval_s=0), 70) == []
    script = Script(ScriptedVenue, quiet_watch=False)
    script.list(a={"A": "LIVE"})
    assert not script.session.tells_time
    assert asked(script, 70) == []


def test_an_answer_is_a_sighting_between_question_and_receipt() -> None:
    script = up()
    step = answer(script, Request(purpose="clock", url=""), {"data": [{"ts": 17}]}, NOW)
    (seen,) = step.sightings
    assert (seen.told_ns, seen.unit_ns, seen.sent_ns, seen.received_ns) == (17_000_000, 1_000_000, NOW, NOW + 5)
    assert step.repeat == []


def test_who_does_not_tell_it_is_asked_no_more() -> None:
    script = up()
    for place in range(FAILED_MAX):
        step = answer(script, Request(purpose="clock", url=""), {"data": []}, NOW, status=(200, 404, 200)[place])
        assert (step.dead_count, step.sightings, step.repeat) == (1, [], [])
    assert not script.session.tells_time
    assert asked(script, 100) == []


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b'{"data":7}', b'{"data":[{"ts":"1.5"}]}', b'{"data":[{"ts":-1}]}', b"x"]
)
def test_what_is_no_time_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  msgspec's or ours
        read(ClockReading(path="data.0.ts", unit="ms"), body)


def test_units() -> None:
    times = [read(ClockReading(path="t", unit=unit), b'{"t":"3"}') for unit in ("s", "ms", "us", "ns")]
    assert times == [3_000_000_000, 3_000_000, 3_000, 3]


@pytest.mark.parametrize("code", ["BINANCE", "BINANCE_FUTURES", "OKX", "BYBIT", "DERIBIT", "COINBASE", "KRAKEN"])
def test_these_venues_tell_their_time_and_missed_trades(code: str) -> None:
    assert code in VENUES
    venue = find_declared(code)
    assert venue is not None
    assert venue.clock is not None
    assert venue.trade_history is not None
    assert venue.dialect.rest_trades is not None
