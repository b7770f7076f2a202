from typing import Any

from tickcast.ops.insight import OperationsInsight, rfc3339


def insight(*, live: int = 1, instruments: int = 5, failures: tuple[str, ...] = ()) -> OperationsInsight:
    row = {"name": "xnas", "state": "connected", "since_ns": 1_774_794_601_234_999_999, "last_message_ns": 0}
    return OperationsInsight(
        feed_rows=lambda now_ns: [{**row, "age": now_ns}],
        feeds_live=lambda: live,
        instruments=lambda: instruments,
        latency=lambda: {"hops": []},
        failures=lambda: failures,
        clock=lambda: 7,
    )


def test_feeds_speak_rfc_3339() -> None:
    expected: dict[str, Any] = {
        "name": "xnas",
        "state": "connected",
        "age": 7,
        "since": "2026-03-29T14:30:01.234Z",
        "last_message": None,
    }
    assert insight().feeds() == [expected]


def test_ready_needs_a_feed_an_instrument_and_nothing_broken() -> None:
    assert insight().ready()[0]
    assert not insight(live=0).ready()[0]
    assert not insight(instruments=0).ready()[0]
    ready, detail = insight(failures=("latest: boom",)).ready()
    assert not ready
    assert detail["failures"] == ["latest: boom"]


def test_time_before_1970_and_rounding() -> None:
    assert rfc3339(999_999) == "1970-01-01T00:00:00.000Z"
