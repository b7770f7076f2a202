"""QuickFIX reads the simulated FIX exchange: its session, its dictionary and its books agree with ours."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.witnesses.simulator import READERS, Reader, Running, interpreter, reading, simulator, until

HOW = "make witnesses builds it (about 5 minutes of compiling, 2.4 GB of memory)"
CONFIG = """
symbols = 60
rate = 2000
[market]
halt_every_s = 2.0
halt_min_s = 0.5
halt_max_s = 1.0
[venues.XNYS]
dialect = "fix"
rate = 2000
entries_max = 8
break_every_s = 0.5
"""
STOCKS = 48
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def both(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Running, Reader]]:
    python = interpreter("quickfix", how=HOW)
    with simulator(tmp_path, CONFIG + getattr(request, "param", "")) as sim:
        host, _, port = sim.venues["XNYS"]["address"].rpartition(":")
        with reading(python, str(READERS / "quickfix_reader.py"), host, port, "XNYS", str(tmp_path)) as reader:
            until(lambda: len(reader.ask("state")["best"]) == STOCKS, "snapshots of all")
            yield sim, reader


def received(reader: Reader, kind: str) -> int:
    return int(reader.ask("state")["counts"].get(f"received {kind}", 0))


def assert_equal_at_a_pause(sim: Running, reader: Reader) -> dict[str, Any]:
    """Stop the market, wait until everything has arrived, compare; returns the reader's state."""
    sim.ask("/pause", method="POST")
    until(
        lambda: reader.ask("state")["next_in"] == sim.state("XNYS")["peers"]["QUICKFIX"]["next_out"],
        "every message has arrived",
    )
    state, truth = reader.ask("state"), sim.truth("XNYS")
    assert state["problems"] == []
    for symbol, is_true in truth.items():
        expected = {name: is_true[name] for name in ("bid", "bid_size", "ask", "ask_size", "last_id")}
        assert state["best"][symbol] == expected, symbol
    sim.ask("/resume", method="POST")
    return state


def test_its_books_equal_the_truth_and_nobody_rejects(both: tuple[Running, Reader]) -> None:
    sim, reader = both
    until(lambda: received(reader, "X") > 500 and received(reader, "0") >= 0, "increments")
    state = assert_equal_at_a_pause(sim, reader)
    assert state["fragments"] > 20
    assert state["counts"]["received W"] == STOCKS
    assert state["counts"]["received f"] > STOCKS
    counters = sim.state("XNYS")
    assert (counters["rejects"], counters["garbled"], counters["resends"]) == (0, 0, 0)
    stopped = reader.ask("stop")
    assert [line for line in stopped["problems"] if "35=5" not in line] == []
    until(lambda: sim.state("XNYS")["clients"] == 0, "logged out")


@pytest.mark.parametrize("fault", ["drop", "corrupt", "truncate", "reorder", "duplicate"])
def test_it_recovers_what_did_not_arrive_whole(both: tuple[Running, Reader], fault: str) -> None:
    sim, reader = both
    until(lambda: received(reader, "X") > 50, "increments")
    sim.ask("/faults/XNYS", {"fault": fault, "count": 3}, method="POST")
    until(lambda: sim.ask("/faults")["venues"]["XNYS"]["fired"][fault] >= 1, "the fault")
    if fault == "duplicate":
        # a number too low without PossDupFlag ends the session, there as here
        until(lambda: reader.ask("state")["logons"] >= 2, "a new logon")
        return
    until(lambda: sim.state("XNYS")["resends"] >= 1, "a resend request")
    state = assert_equal_at_a_pause(sim, reader)
    assert state["logons"] == 1
    # what was only late has come before it comes again
    assert state["possible_duplicates"] or fault == "reorder"


def test_it_answers_when_we_miss_something(both: tuple[Running, Reader]) -> None:
    sim, reader = both
    reader.ask("skip 5")
    until(lambda: sim.state("XNYS")["resend_requests"] == 1, "our resend request")
    until(
        lambda: sim.state("XNYS")["peers"]["QUICKFIX"]["next_in"] == reader.ask("state")["next_out"],
        "its numbers are ours again",
    )
    assert_equal_at_a_pause(sim, reader)


@pytest.mark.parametrize("both", ['resend = "gap_fill"\n'], indirect=True)
def test_it_takes_gap_fills(both: tuple[Running, Reader]) -> None:
    sim, reader = both
    until(lambda: received(reader, "X") > 50, "increments")
    sim.ask("/faults/XNYS", {"fault": "drop", "count": 2}, method="POST")
    until(lambda: sim.state("XNYS")["resends"] >= 1, "a resend request")
    # what was filled is lost: RptSeq says so
    until(lambda: any("RptSeq" in problem for problem in reader.ask("state")["problems"]), "the loss is seen")
    state = reader.ask("state")
    assert all("RptSeq" in problem or "level at" in problem or "KeyError" in problem for problem in state["problems"])
    assert (state["logons"], sim.state("XNYS")["rejects"]) == (1, 0)
