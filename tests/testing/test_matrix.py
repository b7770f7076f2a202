"""The plan, the judgement and the report of the fault matrix; and its quick form on a whole instance."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast.cli.demo_market import EXCHANGES
from tickcast.sim.faults import VERBS, Fault, FaultGate
from tickcast.testing.matrix.cells import (
    Cell,
    common_cells,
    process_cells,
    rounds,
    sample,
    some,
    venue_cells,
    worker_cells,
)
from tickcast.testing.matrix.report import HEAD, Result, line, page
from tickcast.testing.matrix.run import Row, _grown, _live_again_s
from tickcast.testing.matrix.subject import same
from tickcast.testing.matrix.watchers import Change

LINES = {
    "stream": (),
    "web": ("ws", "rest"),
    "datagrams": ("A/1", "A/2", "B/1", "B/2", "gap_A/1", "gap", "spin"),
}


def gate(lines: tuple[str, ...] = ()) -> dict[str, Any]:
    return FaultGate(lines=lines).state()


@pytest.mark.parametrize("lines", LINES.values(), ids=LINES)
def test_every_verb_has_a_cell_that_the_gate_takes(lines: tuple[str, ...]) -> None:
    cells = venue_cells("X", gate(lines))
    assert {fault["fault"] for cell in cells for fault in cell.faults} == set(VERBS)
    assert len({cell.name for cell in cells}) == len(cells)
    taking = FaultGate(lines=lines)
    for cell in cells:
        for fault in cell.faults:
            taking.arm(Fault(**fault))


def test_a_line_that_stands_alone_is_broken_alone_and_answers_only_with_a_loss() -> None:
    cells = {cell.name: cell for cell in venue_cells("X", gate(LINES["datagrams"]))}
    assert cells["drop on A"].faults == ({"fault": "drop", "count": 30, "line": "A"},)
    assert [fault["line"] for fault in cells["stall on spin"].faults] == ["spin", "A", "B"]
    assert not any("gap_A" in name for name in cells)


def test_processes_are_killed_and_stopped() -> None:
    assert [cell.name for cell in process_cells({"XNAS": "xnas"})] == ["kill feed xnas", "stop feed xnas"]
    assert {(cell.venue, cell.signal) for cell in common_cells()} == {
        (name, signal) for name in ("core", "sim", "supervisor") for signal in ("kill", "stop")
    }


def test_links_to_workers_are_cut_where_the_machine_lets_us() -> None:
    cells, fewer = worker_cells(can_cut=True), worker_cells(can_cut=False)
    assert [cell.signal for cell in cells] == ["cut", "kill", "stop", "kill", "stop"]
    assert cells[1:] == fewer


@given(counts=st.lists(st.integers(0, 9), min_size=1, max_size=6), seed=st.integers(0, 100))
def test_each_cell_has_its_round_and_half_of_the_venues_watch(counts: list[int], seed: int) -> None:
    cells = {f"V{n}": [Cell(venue=f"V{n}", name=str(k)) for k in range(count)] for n, count in enumerate(counts)}
    planned = rounds(cells, seed=seed, venues=len(cells))
    assert planned == rounds(cells, seed=seed, venues=len(cells))
    assert Counter((cell.venue, cell.name) for row in planned for cell in row) == Counter(
        (cell.venue, cell.name) for listed in cells.values() for cell in listed
    )
    for row in planned:
        assert len({cell.venue for cell in row}) == len(row) <= max(1, len(cells) // 2)


def test_the_quick_form_takes_short_cells_of_every_venue() -> None:
    cells = {name: [*venue_cells(name, gate()), *process_cells({name: name})] for name in ("A", "B")}
    chosen = sample(cells, seed=1, each=2)
    assert {venue: len(listed) for venue, listed in chosen.items()} == {"A": 2, "B": 2}
    assert all(cell.lasts_s <= 4 and cell.signal != "stop" for listed in chosen.values() for cell in listed)
    assert any(sample(cells, seed=seed, each=2) != chosen for seed in range(2, 6))


def test_the_quick_form_takes_other_exchanges_with_another_seed() -> None:
    chosen = [some(tuple(EXCHANGES), seed=seed, count=6) for seed in range(40)]
    assert chosen[1] == some(tuple(EXCHANGES), seed=1, count=6)
    assert {name for names in chosen for name in names} == set(EXCHANGES)
    assert all(names == [name for name in EXCHANGES if name in names] and len(names) == 6 for names in chosen)
    assert some(("XNAS", "OKX"), seed=1, count=6) == ["XNAS", "OKX"]


def test_quotes_are_compared_as_numbers() -> None:
    true = {"bid": "10.50", "bid_size": "100", "ask": None, "ask_size": "0"}
    assert same({"bid": 10.5, "bid_size": "100.0", "ask": None, "ask_size": None}, true)
    assert not same({"bid": 10.5, "bid_size": 99, "ask": None, "ask_size": None}, true)
    assert not same({"bid": 10.5, "bid_size": 100, "ask": "11", "ask_size": 1}, true)
    assert not same({"bid": None, "bid_size": None, "ask": None, "ask_size": None}, true)


def test_live_again_is_the_last_return_to_live() -> None:
    changes = [Change(5_000_000_000, "A", "gap", ""), Change(6_000_000_000, "A", "live", "")]
    assert _live_again_s(changes, 4_000_000_000) == 2.0
    assert _live_again_s(changes[1:], 4_000_000_000) is None
    assert _live_again_s([], 0) is None


def test_gaps_of_a_new_process_count_from_zero() -> None:
    before = {"X": (1, 5)}
    assert _grown(before, {"X": (1, 7)}, "X") == 2
    assert _grown(before, {"X": (2, 1)}, "X") == 1


def test_the_report_names_what_failed() -> None:
    good = Row(
        venue="XNAS", cell="drop", live_again_s=1.25, gaps=3, books="9 equal", looks=1, counters="2 of 2 clients"
    )
    bad = Row(venue="XSIM", cell="stall")
    bad.fail("never came back")
    bad.fail("counters: wrong")
    assert line(good).split()[:4] == ["XNAS", "drop", "1.2", "s"]
    assert line(bad).endswith("FAIL  never came back; counters: wrong")
    assert HEAD.startswith("VENUE")
    result = Result(seed=4, quick=False, took_s=61.0, rows=[bad, good], rude={"silent": 2}, ticks=1000, late=[])
    text = page(result)
    assert "make faults SEED=4" in text
    assert "2 cells in 61 s: 1 failed" in text
    assert text.index("| XNAS | drop | 1.2 s | 3 | 9 equal |") < text.index("| XSIM | stall | - |")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_cell_of_each_of_some_venues_on_a_whole_instance(tmp_path: Path) -> None:
    simulated = [word for name in ("XNAS", "BINANCE", "OKX", "XSIM") for word in ("--exchange", name)]
    command = [sys.executable, "-m", "tickcast.testing.matrix", "--quick", "--json", str(tmp_path / "rows.json")]
    command += simulated
    done = subprocess.run(
        [*command, "--folder", str(tmp_path / "instance")], capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert {row["venue"] for row in rows} >= {"XNAS", "BINANCE", "OKX", "XSIM", "core"}
    assert all(row["verdict"] == "ok" for row in rows)
