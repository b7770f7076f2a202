"""Runs the matrix round by round: break, wait until all is live again, pause the market, compare, count.

A round breaks at most half of the venues, each in its own way. The others are witnesses: they must stay live without a
gap, since a fault of one venue is nobody else's business.
"""

import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Final

import msgspec

from tickcast.model.errors import TickcastError
from tickcast.runtime.clock import monotonic_ns, pause
from tickcast.testing.instance import eventually
from tickcast.testing.matrix.cells import STOPPED_S, Cell
from tickcast.testing.matrix.subject import Subject, same
from tickcast.testing.matrix.watchers import FINE, Change, RudeCrowd, StreamWatcher
from tickcast.testing.witness import Witness

NEVER_S: Final = 90.0
"""What is not live again after this time never comes back. No other time fails a cell."""
EQUAL_S: Final = 8.0
"""A paused market has reached every client within this time, or it does not."""
LATE_NS: Final = 60_000_000_000
"""A gap may show so long after its cell: a lost trade shows with the next one."""
UNUSED_S: Final = 15.0
STAYS_S: Final = 15.0
LATE: Final = frozenset({"gap", "repairing"})
LOOK_AGAIN_S: Final = 3.0
GROWTH_MAX_KB: Final = 64 * 1024
"""Memory that one cell may cost a process: far above what is bounded, far below a leak that matters."""
SIGNALS: Final = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
COMMON: Final = frozenset({"core", "gateway1", "sim", "supervisor"})


class Row(msgspec.Struct, kw_only=True):
    """What one cell showed."""

    venue: str
    cell: str
    live_again_s: float | None = None
    """From the fault's begin to the last instrument that is live again; None: no instrument was ever anything else."""
    gaps: int = 0
    """Entries of the loss ledger: gap records of the feed."""
    books: str = ""
    looks: int = 0
    counters: str = ""
    growth_kb: int = 0
    grew: str = ""
    verdict: str = "ok"
    reason: str = ""

    def fail(self, reason: str) -> None:
        """Note what is wrong."""
        self.verdict = "FAIL"
        self.reason = f"{self.reason}; {reason}" if self.reason else reason


class Before(msgspec.Struct, kw_only=True):
    """What was before a round."""

    at_ns: int
    gaps: dict[str, tuple[int | None, int]]
    memory: dict[str, tuple[int, int]]


class Matrix:
    """A subject with its clients; rows of finished rounds go to ``tell``."""

    def __init__(self, subject: Subject, stack: ExitStack, *, tell: Callable[[Row], None]) -> None:
        self.subject = subject
        self._stack = stack
        self._tell = tell
        self._witnesses: list[Witness] = []
        self._quotes: dict[str, dict[str, dict[str, str | None]]] = {}
        self._touched_ns: dict[str, int] = {}
        self.late: list[str] = []
        """Gaps of venues that were touched in a round before."""
        self.symbols = {venue: subject.symbols(venue) for venue in subject.faults()}
        self.all = [symbol for listed in self.symbols.values() for symbol in listed]
        securities = sorted({symbol.partition(":")[2] for symbol in self.all if "-" not in symbol})[:5]
        self.watcher = stack.enter_context(StreamWatcher(subject.stream_url, self.all))
        self.crowd = stack.enter_context(RudeCrowd(subject.url, [*self.all, *securities]))
        self._watched = [*self.all, *securities]
        self._attach()
        eventually(self._all_fine, what="all live before the first fault")

    # ------------------------------------------------------------------ a round

    def round(self, cells: Sequence[Cell]) -> list[Row]:
        """Break, repair, compare; one row for each cell."""
        rows = {cell.venue: Row(venue=cell.venue, cell=cell.name) for cell in cells}
        before = Before(at_ns=monotonic_ns(), gaps=self.subject.gaps(), memory=self.subject.memory_kb())
        try:
            self._break(cells)
            self._wait_over()
            self._accept_loss(cells, rows)
            eventually(self._all_fine, deadline_s=NEVER_S, what="all live again")
        except (AssertionError, OSError, TickcastError) as wrong:
            lost = sorted({self._venue(one) for one in self.all if not self._fine(one)})
            for row in rows.values():
                if row.venue in COMMON or row.venue in lost or not lost:
                    row.fail(f"never came back: {self._not_fine(row.venue) or wrong}")
        self._compare(rows)
        self._count(rows)
        self._judge(rows, before)
        self._begin_anew()
        for row in rows.values():
            for venue in self.symbols if row.venue in COMMON else (row.venue,):
                self._touched_ns[venue] = monotonic_ns()
            self._tell(row)
        return list(rows.values())

    def _accept_loss(self, cells: Sequence[Cell], rows: Mapping[str, Row]) -> None:
        """What cannot be repaired may stay in doubt, as long as it says so; the exchange's next session ends it."""
        for cell in cells:
            if not cell.may_stay:
                continue
            with suppress(AssertionError):
                eventually(lambda venue=cell.venue: self._venue_fine(venue), deadline_s=STAYS_S)  # type: ignore[misc]
            if not self._venue_fine(cell.venue):
                rows[
                    cell.venue
                ].reason = f"stays in doubt and says so: {self._not_fine(cell.venue)}; then a new session"
                self.subject.admin("POST", f"/faults/{cell.venue}", {"fault": "restart"})

    def _begin_anew(self) -> None:
        """After a failure: let venues that did not come back begin anew, so that the next cells mean something."""
        broken = [venue for venue in self.symbols if not self._venue_fine(venue)]
        for venue in broken:
            with suppress(OSError):
                self.subject.admin("POST", f"/faults/{venue}", {"fault": "restart"})
        if broken:
            with suppress(AssertionError):
                eventually(self._all_fine)

    def _break(self, cells: Sequence[Cell]) -> None:
        stopped = []
        names = self.subject.feed_names()
        for cell in cells:
            process = cell.venue if cell.venue in COMMON else names.get(cell.venue, "")
            if cell.signal == "cut":
                self.subject.cut_worker_links()
            elif cell.signal:
                pid = self.subject.signal(process, SIGNALS[cell.signal])
                stopped += [pid] if cell.signal == "stop" else []
            for fault in cell.faults:
                self.subject.admin("POST", f"/faults/{cell.venue}", fault)
        if stopped:
            pause(STOPPED_S)
            self.subject.resume_processes(stopped)
        for cell in cells:
            if cell.signal == "kill" and cell.venue in COMMON:
                self._bring_back(cell.venue)

    def _bring_back(self, name: str) -> None:
        """Do what an operator does; a core or a worker is started again by its supervisor."""
        if name == "sim":
            pause(2.0)
            self.subject.restart_exchanges()
        elif name == "supervisor":
            self.subject.restart_instance()
        if name != "sim":
            self.subject.wait_ready(deadline_s=NEVER_S)
            self._attach()

    def _attach(self) -> None:
        """Connect the witnesses, again after their gateway has gone: one unfiltered, one conflated."""
        for witness in self._witnesses:
            witness.leave()
        self._witnesses = [
            self._stack.enter_context(Witness(self.subject.stream_url, self._watched, rate=rate)) for rate in (0, 5)
        ]

    # ------------------------------------------------------------------ live again

    def _wait_over(self) -> None:
        """Wait until nothing is armed; a fault of answers that nothing asks for any more is taken back."""
        with suppress(AssertionError):
            eventually(lambda: not self._armed(), deadline_s=UNUSED_S)
        for venue in self._armed():
            self.subject.admin("DELETE", f"/faults/{venue}")
        eventually(lambda: not self._armed(), what="the faults are over")

    def _armed(self) -> list[str]:
        gates = self.subject.faults()
        return [venue for venue, gate in gates.items() if gate["armed"] or gate["held_bytes"]]

    def _fine(self, symbol: str) -> bool:
        tick = self.watcher.ticks.get(symbol)
        return tick is not None and tick.state in FINE

    def _venue_fine(self, venue: str) -> bool:
        return all(map(self._fine, self.symbols[venue]))

    def _all_fine(self) -> bool:
        return all(map(self._fine, self.all))

    def _not_fine(self, venue: str) -> str:
        found = [
            f"{symbol} is {tick.state if (tick := self.watcher.ticks.get(symbol)) else 'unknown'}"
            for symbol in self.symbols.get(venue, self.all)
            if not self._fine(symbol)
        ]
        return f"{', '.join(found[:2])}{f' and {len(found) - 2} more' if len(found) > 2 else ''}"

    @staticmethod
    def _venue(symbol: str) -> str:
        return symbol.partition(":")[0]

    # ------------------------------------------------------------------ compare

    def _compare(self, rows: Mapping[str, Row]) -> None:
        """Pause the market until all clients have caught up, and hold what they show against what is true.

        A loss that a protocol cannot number shows only when something refers to what was lost: then the market goes on
        for some seconds, and we look again.
        """
        end_ns = monotonic_ns() + int(NEVER_S * 1e9)
        looks = 0
        wrong: dict[str, list[str]] = {}
        while True:
            looks += 1
            self.subject.admin("POST", "/pause")
            self._quotes = {venue: self.subject.quotes(venue) for venue in self.symbols}
            with suppress(AssertionError):
                eventually(lambda: not self._different(), deadline_s=EQUAL_S)
            wrong = self._different()
            for row in rows.values():
                mine = [venue for venue in self.symbols if row.venue in {venue, *COMMON}]
                if not row.books and not any(venue in wrong for venue in mine):
                    row.looks = looks
                    row.books = f"{sum(len(self._quotes[venue]) for venue in mine)} equal"
            if not wrong or monotonic_ns() > end_ns:
                break
            self.subject.admin("POST", "/resume")
            pause(LOOK_AGAIN_S)
        for row in rows.values():
            differing = [one for venue, found in wrong.items() if row.venue in {venue, *COMMON} for one in found]
            if differing:
                row.looks, row.books = looks, f"{len(differing)} differ"
                row.fail(f"not equal to the truth: {differing[0]}")
        for venue in sorted(wrong.keys() - rows.keys()):
            for row in rows.values():
                if row.venue not in COMMON:
                    row.fail(f"{venue}, which was not touched, differs: {wrong[venue][0]}")

    def _different(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for venue, quotes in self._quotes.items():
            for symbol, true in quotes.items():
                tick = self.watcher.ticks.get(symbol)
                shown = {key: getattr(tick, key, None) for key in true}
                if not same(shown, true):
                    state = tick.state if tick is not None else "unknown"
                    found.setdefault(venue, []).append(
                        f"{symbol} ({state}) shows {_quote(shown)}, true is {_quote(true)}"
                    )
        return found

    def _count(self, rows: Mapping[str, Row]) -> None:
        """Every sampled client's counters add up at a barrier; then the market goes on."""
        said = []
        for witness in self._witnesses:
            try:
                witness.check(updates=0)
            except AssertionError as wrong:
                said.append(str(wrong))
        for row in rows.values():
            row.counters = f"{len(self._witnesses) - len(said)} of {len(self._witnesses)} clients"
            if said:
                row.fail(f"counters: {said[0]}")
        if said:
            self._attach()
        self.subject.admin("POST", "/resume")
        for venue in self.symbols:
            self.subject.admin("DELETE", f"/faults/{venue}")

    # ------------------------------------------------------------------ judge

    def _judge(self, rows: Mapping[str, Row], before: Before) -> None:
        gaps, memory = self.subject.gaps(), self.subject.memory_kb()
        changes = self.watcher.changes(before.at_ns)
        growth = {
            name: kb - before.memory[name][1]
            for name, (pid, kb) in memory.items()
            if name in before.memory and before.memory[name][0] == pid
        }
        grew = max(growth, key=lambda name: growth[name], default="")
        for row in rows.values():
            touched = [one for one in changes if row.venue in {self._venue(one.symbol), *COMMON}]
            row.live_again_s = _live_again_s(touched, before.at_ns)
            row.gaps = sum(_grown(before.gaps, gaps, venue) for venue in gaps if row.venue in {venue, *COMMON})
            row.grew, row.growth_kb = grew, growth.get(grew, 0)
            if row.looks > 1 and row.live_again_s is None:
                row.fail("the books were wrong and shown as live")
            if row.growth_kb > GROWTH_MAX_KB:
                row.fail(f"{grew} grew by {row.growth_kb} KiB")
            if row.venue not in COMMON:
                self._judge_witnesses(row, rows, changes, before, gaps)

    def _judge_witnesses(
        self,
        row: Row,
        rows: Mapping[str, Row],
        changes: Sequence[Change],
        before: Before,
        gaps: Mapping[str, tuple[int | None, int]],
    ) -> None:
        """Venues that were not touched stayed live, without a gap, in the same process."""
        for venue in self.symbols.keys() - rows.keys():
            doubted = [one for one in changes if self._venue(one.symbol) == venue and one.state not in FINE]
            if before.at_ns - self._touched_ns.get(venue, 0) < LATE_NS and all(one.state in LATE for one in doubted):
                # a trade that was lost while a connection was down shows with the next trade of its instrument
                self.late += [f"{one.symbol} {one.reason}" for one in doubted]
            elif doubted:
                row.fail(f"{doubted[0].symbol}, not touched, became {doubted[0].state} ({doubted[0].reason})")
            elif _grown(before.gaps, gaps, venue):
                row.fail(f"{venue}, not touched, has {_grown(before.gaps, gaps, venue)} gaps more")
            elif before.gaps[venue][0] != gaps[venue][0]:
                row.fail(f"{venue}, not touched, has a new process")


def _grown(
    before: Mapping[str, tuple[int | None, int]], after: Mapping[str, tuple[int | None, int]], venue: str
) -> int:
    """Count new gap records; a new process counts from zero."""
    old_pid, old = before.get(venue, (None, 0))
    pid, new = after[venue]
    return new - old if pid == old_pid else new


def _live_again_s(changes: Sequence[Change], since_ns: int) -> float | None:
    if all(one.state in FINE for one in changes):
        return None
    back = [one.at_ns for one in changes if one.state in FINE]
    return round((max(back) - since_ns) / 1e9, 2) if back else None


def _quote(row: Mapping[str, Any]) -> str:
    return f"{row['bid']} x {row['bid_size']} / {row['ask']} x {row['ask_size']}"
