"""The core's ledger: the board, the file in the data folder, and whether a symbol was complete."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast.latest.gaps import GapBoard
from tickcast.latest.history import StateHistory
from tickcast.latest.ledger import CoreLedger, open_ledger
from tickcast.latest.ledger_file import AliveLine, LedgerFile
from tickcast.latest.registry import InstrumentRegistry
from tickcast.model.batch import TickBatch
from tickcast.model.health import FeedHealth
from tickcast.model.ledger import LedgerEntry
from tickcast.model.record import State, records_from
from tickcast.ports import Completeness, GapQuery
from tickcast.testing.gateway import definition
from tickcast.venues import rows

S = 1_000_000_000
START = 1_800_000_000 * S
DEFINED = (definition("XNAS:AAPL", primary=True), definition("BATS:AAPL"))
NUMBER = {one.name: one.instrument for one in DEFINED}


def entry(number: int = 1, **changes: Any) -> LedgerEntry:
    fields: dict[str, Any] = {
        "id": f"xnas-1-{number}", "feed": "xnas", "venue": "XNAS", "kind": "gap", "scope": "instrument",
        "reason": "1 message is missing", "began_ns": START + number * S, "instruments": ("XNAS:AAPL",),
        "instruments_count": 1, "open_count": 1,
    }  # fmt: skip
    return LedgerEntry(**(fields | changes))


CORES: list[CoreLedger] = []


@pytest.fixture(autouse=True)
def close_files() -> Iterator[None]:
    yield
    while CORES:
        CORES.pop().close()


class Core:
    """A core's ledger on a folder, with a clock moved by hand."""

    def __init__(self, folder: Path, now: int = START, *, bytes_max: int = 1 << 20) -> None:
        self.now = now
        self.folder = folder
        registry = InstrumentRegistry()
        registry.add(DEFINED)
        self.ledger: CoreLedger = open_ledger(
            registry, folder, entries_max=100, changes_max=50, bytes_max=bytes_max, keep=2
        )
        self.ledger.start(now)
        CORES.append(self.ledger)

    def feed(self, feed: str, pid: int, state: State = State.LIVE, *, is_gone: bool = False) -> None:
        if not is_gone:
            health = FeedHealth(name=feed, venue=feed.upper(), state="connected", since_ns=self.now, pid=pid)
            self.ledger.feed_health(health, self.now)
        self.ledger.feed_state(feed, state, "gone" if is_gone else "", self.now, is_gone=is_gone)

    def state(self, name: str, state: State) -> None:
        row = rows.status(NUMBER[name], state, ts_event=self.now, ts_recv=self.now)
        feed = name.partition(":")[0].lower()
        defined = tuple(one for one in DEFINED if one.name == name)
        self.ledger.batch(TickBatch(feed, 1, records_from(row), defined), self.now)

    def tell(self, *entries: LedgerEntry) -> None:
        self.ledger.batch(TickBatch("xnas", 1, ledger=entries), self.now)

    def later(self, seconds: float) -> None:
        self.now += round(seconds * S)
        self.ledger.tick(self.now)

    def begin(self) -> None:
        """Both feeds run and both instruments are live."""
        for feed, pid in (("xnas", 10), ("bats", 20)):
            self.feed(feed, pid)
        for name in NUMBER:
            self.state(name, State.LIVE)

    def asked(self, symbol: str = "XNAS:AAPL", *, since: int = START) -> Completeness:
        self.ledger.tick(self.now)
        found = self.ledger.completeness(symbol, since, self.now)
        assert found is not None
        return found

    def gaps(self, **query: Any) -> list[LedgerEntry]:
        return list(self.ledger.gaps(GapQuery(**query))[0])

    def again(self, seconds: float = 0.0, **settings: int) -> "Core":
        """Another core on the same folder, a while after this one was killed."""
        self.ledger.close()
        return Core(self.folder, self.now + round(seconds * S), **settings)


def test_a_live_instrument_is_complete_and_a_security_is_if_each_leg_is(tmp_path: Path) -> None:
    core = Core(tmp_path)
    core.begin()
    core.later(10)
    assert (core.asked().answer, core.asked().legs[0].states_ms) == ("complete", {"live": 10_000.0})
    core.state("BATS:AAPL", State.GAP)
    core.later(10)
    both = core.asked("AAPL")
    assert [(leg.symbol, leg.answer, leg.share) for leg in both.legs] == [
        ("XNAS:AAPL", "complete", 1.0),
        ("BATS:AAPL", "incomplete", 0.5),
    ]
    assert both.answer == "incomplete"
    assert core.ledger.completeness("NOPE", START, core.now) is None


def test_what_came_late_takes_nothing_away_and_what_is_lost_does(tmp_path: Path) -> None:
    core = Core(tmp_path)
    core.begin()
    core.later(1)
    core.state("XNAS:AAPL", State.GAP)
    core.later(1)
    core.state("XNAS:AAPL", State.LIVE)
    core.tell(entry(1, ended_ns=core.now, missing=4, recovered=4, repaired_by="retransmission", open_count=0))
    core.later(2)
    (leg,) = core.asked().legs
    assert (leg.answer, leg.late_ms, leg.share, leg.lost) == ("complete", 1_000.0, 1.0, 0)
    core.tell(entry(3, ended_ns=START + 3 * S, missing=2, open_count=0))
    (leg,) = core.asked().legs
    assert (leg.answer, leg.lost, leg.entries_count) == ("incomplete", 2, 2)


def test_before_the_ledger_and_unverified_nothing_is_known(tmp_path: Path) -> None:
    core = Core(tmp_path)
    core.begin()
    core.later(1)
    assert core.asked(since=START - S).answer == "unknown"
    core.state("XNAS:AAPL", State.UNVERIFIED)
    core.later(1)
    assert core.asked().answer == "unknown"


def test_a_feed_that_died_is_an_outage_and_its_open_entries_end_with_the_next(tmp_path: Path) -> None:
    core = Core(tmp_path)
    core.begin()
    core.tell(entry(0))
    core.later(2)
    core.feed("xnas", 10, State.STALE, is_gone=True)
    (outage,) = core.gaps(kind="outage", is_open=True)
    assert (outage.feed, outage.instruments_count) == ("xnas", 1)
    core.later(3)
    core.feed("xnas", 11)
    assert core.gaps(is_open=True) == []
    (ended,) = core.gaps(kind="gap")
    assert (ended.ended_ns, ended.repaired_by) == (core.now, "restart")
    core.later(1)
    core.state("XNAS:AAPL", State.LIVE)
    core.later(1)
    assert core.asked().legs[0].states_ms == {"live": 3_000.0, "not_running": 3_000.0, "empty": 1_000.0}
    assert core.asked("BATS:AAPL").answer == "complete"


def test_a_restarted_core_knows_what_was_and_that_the_feeds_went_on(tmp_path: Path) -> None:
    core = Core(tmp_path)
    core.begin()
    core.tell(entry(1), entry(2, ended_ns=START + 3 * S, open_count=0, repaired_by="snapshot"))
    core.later(6)
    core.state("BATS:AAPL", State.GAP)
    core.later(1)
    again = core.again(4)
    assert {one.id: one.ended_ns for one in again.gaps()} == {"xnas-1-1": 0, "xnas-1-2": START + 3 * S}
    again.feed("xnas", 10)
    again.feed("bats", 20)
    again.later(1)
    assert again.asked().legs[0].states_ms == {"live": 12_000.0}
    assert again.asked("BATS:AAPL").legs[0].states_ms == {"live": 6_000.0, "gap": 6_000.0}
    assert again.gaps(kind="outage") == []


def test_a_restarted_instance_did_not_run_in_between(tmp_path: Path) -> None:
    core = Core(tmp_path)
    core.begin()
    core.later(5)
    core.ledger.stop(core.now)
    again = core.again(60)
    again.feed("xnas", 99)
    again.state("XNAS:AAPL", State.LIVE)
    again.later(5)
    assert again.asked().legs[0].states_ms == {"live": 10_000.0, "not_running": 60_000.0}
    (outage,) = again.gaps(kind="outage", feed="xnas")
    assert (outage.ended_ns - outage.began_ns, outage.reason) == (60 * S, "tickcast did not run")
    third = again.again()
    third.feed("xnas", 99)
    assert third.asked().legs[0].states_ms == {"live": 10_000.0, "not_running": 60_000.0}


def test_damaged_lines_are_left_out_and_the_rest_is_read(tmp_path: Path) -> None:
    core = Core(tmp_path)
    core.tell(entry(1, ended_ns=START + 2 * S))
    core.later(1)
    with (tmp_path / "ledger.jsonl").open("ab") as file:
        file.write(b'{"t":"entry","entry":{"id":"x\n\xff\xfe\n[]\n{"t":"entry","en')
    again = core.again()
    assert [one.id for one in again.gaps()] == ["xnas-1-1"]
    again.tell(entry(2))
    again.later(1)
    assert [one.id for one in again.again().gaps()] == ["xnas-1-2", "xnas-1-1"]


def test_the_files_are_bounded_and_a_new_one_knows_the_states(tmp_path: Path) -> None:
    core = Core(tmp_path, bytes_max=4_000)
    core.begin()
    core.tell(entry(0))
    for number in range(1, 200):
        core.tell(entry(number, ended_ns=START + (number + 1) * S, open_count=0))
        core.later(1)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["ledger.jsonl", "ledger.jsonl.1", "ledger.jsonl.2"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 3 * 6_000
    again = core.again(bytes_max=4_000)
    assert [one.id for one in again.gaps(is_open=True)] == ["xnas-1-0"]
    again.feed("xnas", 10)
    assert again.asked(since=core.now - S).legs[0].states_ms == {"live": 1_000.0}


def test_a_full_disk_stops_nothing_and_what_is_lost_is_unknown_later(tmp_path: Path) -> None:
    if os.geteuid() == 0 and not Path("/dev/full").exists():
        pytest.skip("no /dev/full to write to")
    path = tmp_path / "ledger.jsonl"
    path.symlink_to("/dev/full")
    file = LedgerFile(path, bytes_max=1_000_000, keep=1, pending_max=500)
    for second in range(100):
        file.append(AliveLine(at_ns=START + second * S))
        file.flush(START + second * S)
    assert file.lost > 0
    assert file.pending <= 500
    path.unlink()
    file.append(AliveLine(at_ns=START + 100 * S))
    file.flush(START + 100 * S)
    assert file.pending == 0
    lines = path.read_bytes().splitlines()
    assert b'"t":"hole"' in lines[-1]
    assert f'"from_ns":{START}'.encode() in lines[-1]
    file.close()


# ------------------------------------------------------------------ the board


def test_pages_follow_each_other_and_filters_hold() -> None:
    board = GapBoard(entries_max=50)
    for number in range(30):
        board.put(entry(number, kind="gap" if number % 2 else "halt", ended_ns=START + 99 * S if number % 3 else 0))
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page, cursor = board.search(GapQuery(limit=7, cursor=cursor), lambda name: (name,))
        seen += [one.id for one in page]
    assert seen == [f"xnas-1-{number}" for number in reversed(range(30))]
    found, _ = board.search(GapQuery(kind="halt", is_open=True, symbol="XNAS:AAPL"), lambda name: (name,))
    assert [one.id for one in found] == ["xnas-1-24", "xnas-1-18", "xnas-1-12", "xnas-1-6", "xnas-1-0"]
    assert board.search(GapQuery(symbol="XNAS:MSFT"), lambda name: (name,))[0] == []


def test_the_board_gives_up_the_oldest_that_ended() -> None:
    board = GapBoard(entries_max=3)
    for number in range(6):
        board.put(entry(number, ended_ns=0 if number == 0 else START + 99 * S))
    assert sorted(one.id for one in board.newest()) == ["xnas-1-0", "xnas-1-4", "xnas-1-5"]
    assert board.dropped == 3


# ------------------------------------------------------------------ the arithmetic

STATES = st.sampled_from([state.name.lower() for state in State])
CHANGES = st.lists(st.tuples(st.integers(0, 100), STATES), max_size=30)
FEEDS = st.lists(st.tuples(st.integers(0, 100), st.sampled_from(["running", "stale", "not_running"])), max_size=8)


@given(CHANGES, FEEDS, st.integers(0, 90), st.integers(1, 60), st.integers(2, 40))
def test_the_states_fill_the_time_and_decide_the_answer(
    changes: list[tuple[int, str]], feeds: list[tuple[int, Any]], begin: int, length: int, changes_max: int
) -> None:
    history = StateHistory(changes_max)
    history.begin(10)
    for at, state in sorted(changes, key=lambda one: one[0]):
        history.instrument("T:A", "f", state, at)
    for at, state in sorted(feeds, key=lambda one: one[0]):
        history.feed("f", state, at)
    history.define("T:A", "f")
    parts = history.parts("T:A", begin, begin + length)
    assert parts[0].start_ns == begin
    assert parts[-1].end_ns == begin + length
    assert all(one.end_ns == two.start_ns for one, two in itertools.pairwise(parts))
    assert all(one.start_ns < one.end_ns for one in parts)
    leg = history.leg("T:A", begin, begin + length, [])
    assert sum(leg.states_ms.values()) * 1e6 == pytest.approx(length)
    whole = sum(
        one.end_ns - one.start_ns for one in parts if one.state in {"live", "halted", "auction", "closed", "delayed"}
    )
    assert leg.share == pytest.approx(whole / length)
    assert (leg.answer == "complete") == (whole == length)
    if begin + length <= 10:
        assert leg.answer == "unknown"
