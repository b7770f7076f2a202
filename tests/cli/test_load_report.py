import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tickcast import _native
from tickcast.cli import load_report
from tickcast.cli.load_report import Phases, Report, Tally, document, is_sound, percentiles, total


def test_counts_of_processes_are_added_up() -> None:
    one = Report(
        at_ns=100,
        phases=Phases(open=2, failed=1),
        tally=Tally(
            updates=3, refused={"answered 503": 2}, errors={"4102": (1, "too many")}, ping_latency=[(3, 1), (9, 1)],
            clock_offset=(5_000_000, 900),
        ),
    )  # fmt: skip
    other = Report(
        at_ns=300,
        phases=Phases(open=1),
        tally=Tally(
            updates=4, refused={"answered 503": 1, "reset": 1}, errors={"4102": (2, "too many")}, ping_latency=[(3, 4)],
            clock_offset=(7_000_000, 400),
        ),
    )  # fmt: skip
    both = total([one, Report(at_ns=200), other])
    assert both.at_ns == 200
    assert (both.phases.open, both.phases.failed) == (3, 1)
    assert both.tally.updates == 7
    assert both.tally.refused == {"answered 503": 3, "reset": 1}
    assert both.tally.errors == {"4102": (3, "too many")}
    assert both.tally.ping_latency == [(3, 5), (9, 1)]
    assert both.tally.clock_offset == (7_000_000, 400)


def test_bins_ascend_and_are_at_most_a_thirtieth_wide() -> None:
    middles = _native.load_bins()
    assert middles[:3] == [0.5, 1.5, 2.5]
    assert all(0 < after - before <= max(1.0, before / 30) for before, after in itertools.pairwise(middles))


@given(st.lists(st.integers(0, 200), min_size=1, max_size=50), st.lists(st.integers(0, 200), max_size=20))
def test_percentiles_are_those_of_what_came_after(places: list[int], before: list[int]) -> None:
    def bins(values: list[int]) -> list[tuple[int, int]]:
        return [(place, values.count(place)) for place in sorted(set(values))]

    found = percentiles(bins(places + before), bins(before))
    assert found is not None
    assert found["count"] == len(places)
    middles = _native.load_bins()
    for percent in (50, 95, 99):
        rank = -(-percent * len(places) // 100)
        assert found[f"p{percent}"] == round(middles[sorted(places)[rank - 1]] / 1000, 3)


def test_without_samples_there_are_no_percentiles() -> None:
    assert percentiles([]) is None
    assert percentiles([(4, 2)], [(4, 2)]) is None


@pytest.mark.parametrize(
    ("report", "sound"),
    [
        (Report(tally=Tally(reached=5, merged=3, lost=2, closed={"4701": 1})), True),
        (Report(tally=Tally(reached=4)), False),
        (Report(tally=Tally(reached=5, errors={"4101": (1, "")})), False),
        (Report(tally=Tally(reached=5, troubles={"a seq that was there before": 1})), False),
        (Report(tally=Tally(reached=5), phases=Phases(failed=1)), False),
    ],
)
def test_what_is_sound(report: Report, sound: bool) -> None:
    assert is_sound(report, 5) is sound


def test_rates_are_those_of_the_measured_time_and_counts_of_all() -> None:
    base = Report(at_ns=1_000_000_000, tally=Tally(updates=100, messages=50, bytes=1_000, ping_latency=[(1, 5)]))
    tally = Tally(
        updates=300, trades=50, messages=150, bytes=9_000, merged=7, lost=2, lost_frames=1, churned=3, recovered=2,
        not_recovered={"too_old": 1}, reached=9, closed={"4702": 4}, unknown={"NOPE": 1},
        ping_latency=[(1, 5), (40, 10)],
        errors={"4101": (2, "slower")},
    )  # fmt: skip
    now = Report(at_ns=3_000_000_000, phases=Phases(open=9), tally=tally)
    result = document(now, base, clients=9, latency="server", cpu_s=1.25, ended="duration")
    assert result["measured_s"] == 2
    assert result["per_s"] == {"updates": 125, "messages": 50, "bytes": 4_000}
    assert result["counts"]["updates"] == 300
    assert result["latency_ms"]["server"] is None
    assert result["latency_ms"]["ping"]["count"] == 10
    assert result["errors"] == {"4101": {"count": 2, "reason": "slower"}}
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(load_report.table(result))
    text = console.export_text()
    for part in (
        "9 open",
        "125 updates",
        "none yet",
        "too_old",
        "4702: 4",
        "NOPE: 1",
        "slower",
        "1.25 s",
        "1 lost frames",
    ):
        assert part in text
    line = load_report.line(result)
    assert line.startswith("open 9 ")
    assert "125 updates/s" in line
    assert "merged 7 lost 2" in line
