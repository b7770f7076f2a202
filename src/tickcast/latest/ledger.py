"""The core's ledger: entries of all feeds, states of all instruments, kept in the data folder and read again at start.

What a feed tells comes with its batches. The core adds what no feed can tell of itself: that its process was gone or
had nothing to tell (kind ``outage``), and that nobody listened because the core was not there. A feed whose process
ended tells nothing more of its open entries: they end when another process of it runs.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, cast

import msgspec
import numpy as np

from tickcast.latest.gaps import GapBoard
from tickcast.latest.history import FeedState, StateHistory, together
from tickcast.latest.ledger_file import AliveLine, EntryLine, FeedLine, HoleLine, LedgerFile, Line, StatesLine
from tickcast.latest.registry import InstrumentRegistry
from tickcast.model.batch import TickBatch
from tickcast.model.health import FeedHealth
from tickcast.model.instrument import Definition
from tickcast.model.ledger import LedgerEntry
from tickcast.model.record import Kind, State
from tickcast.ports import Completeness, GapQuery
from tickcast.runtime.log import get_logger
from tickcast.runtime.metrics import counter, gauge, watch_queue

log = get_logger("latest")

ALIVE_NS: Final = 5_000_000_000
REWRITTEN_NS: Final = 1_000_000_000
"""An entry that only shrinks is written at most this often."""
_STATE_NAMES: Final = {int(state): state.name.lower() for state in State}

_entries = counter("latest_ledger_entries", "Entries of the gap ledger.", ("kind", "venue"))
_open = gauge("latest_ledger_open", "Entries of the gap ledger that have not ended.")
_lost = counter("latest_ledger_lost_lines", "Lines of the ledger's file that could not be written.")


class CoreLedger:
    """Implements :class:`tickcast.ports.GapLedger`."""

    def __init__(
        self, registry: InstrumentRegistry, file: LedgerFile, *, entries_max: int, changes_max: int = 512
    ) -> None:
        """``changes_max``: states remembered for each instrument."""
        self._registry = registry
        self._file = file
        self._board = GapBoard(entries_max=entries_max)
        self._history = StateHistory(changes_max)
        self._names: dict[int, tuple[str, str]] = {}
        """Name and feed by instrument."""
        self._venues: dict[str, str] = {}
        self._pids: dict[str, int] = {}
        self._written: dict[str, int] = {}
        """When each open entry was written last."""
        self._outages: dict[str, str] = {}
        """Ids of open outages by feed."""
        self._left: set[str] = set()
        """Feeds that ran when the core before us ended, and have not reported since."""
        self._alive_ns = 0
        self._now_ns = 0
        self._number = 0
        self._lost_told = 0

    def watch(self) -> None:
        """Publish the board and what waits for the disk; once per process."""
        watch_queue(
            "latest.ledger.file",
            bound=self._file.pending_max,
            depth=lambda: self._file.pending,
            drops=lambda: self._file.lost,
        )
        _open.set_function(lambda: len(self._board.open_entries()))

    # ------------------------------------------------------------------ start and stop

    def start(self, now_ns: int) -> None:
        """Read what was kept; feeds that ran then count as gone since, until they say that they are the same."""
        for line in self._file.read():
            self._replay(line)
        self._file.checkpoint = self._checkpoint
        self._history.begin(now_ns)
        for feed, state in self._history.feeds():
            if state != "not_running" and self._alive_ns:
                self._history.feed(feed, "not_running", self._alive_ns)
                self._left.add(feed)
        self._now_ns = max(now_ns, self._alive_ns)
        self._outages = {one.feed: one.id for one in self._board.open_entries() if one.kind == "outage"}

    def stop(self, now_ns: int) -> None:
        """Write what waits."""
        self._file.append(AliveLine(at_ns=now_ns))
        self._file.flush(now_ns)
        self.close()

    def close(self) -> None:
        """Let go of the file; what waits is not written."""
        self._file.close()

    def tick(self, now_ns: int) -> None:
        """Let time pass: say that we are here, and write."""
        self._now_ns = now_ns
        if now_ns - self._alive_ns >= ALIVE_NS:
            self._alive_ns = now_ns
            self._file.append(AliveLine(at_ns=now_ns))
        self._file.flush(now_ns)
        if self._file.lost > self._lost_told:
            _lost.inc(self._file.lost - self._lost_told)
            self._lost_told = self._file.lost

    def _replay(self, line: Line) -> None:
        match line:
            case EntryLine():
                self._board.put(line.entry)
                self._venues.setdefault(line.entry.feed, line.entry.venue)
            case StatesLine():
                self._history.begin(line.at_ns)
                for name in line.of:
                    self._history.instrument(name, line.feed, line.state, line.at_ns)
                self._alive_ns = max(self._alive_ns, line.at_ns)
            case FeedLine():
                self._history.begin(line.at_ns)
                self._replay_feed(line)
                self._alive_ns = max(self._alive_ns, line.at_ns)
            case AliveLine():
                self._history.begin(line.at_ns)
                self._alive_ns = max(self._alive_ns, line.at_ns)
            case HoleLine():
                self._history.hole(line.from_ns, line.until_ns)

    def _replay_feed(self, line: FeedLine) -> None:
        if line.reset:
            self._history.feed(line.feed, "not_running", line.at_ns)
            self._history.feed_was_gone(line.feed, line.at_ns)
            return
        if line.state in {"running", "stale", "not_running"}:
            self._history.feed(line.feed, cast("FeedState", line.state), line.at_ns)
        self._pids[line.feed] = line.pid or self._pids.get(line.feed, 0)

    def _checkpoint(self) -> Iterator[Line]:
        for feed, state in self._history.feeds():
            yield FeedLine(at_ns=self._now_ns, feed=feed, state=state, pid=self._pids.get(feed, 0))
            for name, of in self._history.states_now(feed).items():
                yield StatesLine(at_ns=self._now_ns, feed=feed, state=name, of=of)
        for entry in self._board.open_entries():
            yield EntryLine(entry=entry)

    # ------------------------------------------------------------------ what the feeds tell

    def batch(self, batch: TickBatch, now_ns: int) -> None:
        """Take a batch that was applied: definitions, states and entries."""
        self._now_ns = max(self._now_ns, now_ns)
        for definition in batch.definitions:
            self._define(definition)
        if len(batch.records):
            told = np.flatnonzero(batch.records["kind"] == Kind.STATUS)
            if len(told):
                found = batch.records[told]
                self._states(batch.feed, *(found[name].tolist() for name in ("instrument", "detail", "ts_recv")))
        for entry in batch.ledger:
            self._put(entry, now_ns)

    def _define(self, definition: Definition) -> None:
        self._names[definition.instrument] = (definition.name, definition.feed)
        self._venues[definition.feed] = definition.venue
        self._history.define(definition.name, definition.feed)

    def _states(self, feed: str, instruments: list[int], details: list[int], times: list[int]) -> None:
        changes: dict[tuple[str, int], list[str]] = {}
        for instrument, detail, ts_ns in zip(instruments, details, times, strict=True):
            name, owner = self._names.get(instrument, ("", ""))
            state = _STATE_NAMES.get(detail, "unknown")
            if name and self._history.instrument(name, owner, state, ts_ns):
                changes.setdefault((state, ts_ns), []).append(name)
        for (state, ts_ns), of in changes.items():
            self._file.append(StatesLine(at_ns=ts_ns, feed=feed, state=state, of=of))

    def _put(self, entry: LedgerEntry, now_ns: int) -> None:
        is_new = self._board.get(entry.id) is None
        if not self._board.put(entry):
            return
        if is_new:
            _entries.labels(entry.kind, entry.venue).inc()
        if is_new or entry.ended_ns or now_ns - self._written.get(entry.id, 0) >= REWRITTEN_NS:
            self._file.append(EntryLine(entry=entry))
            self._written[entry.id] = now_ns
        if entry.ended_ns:
            self._written.pop(entry.id, None)

    # ------------------------------------------------------------------ what the feeds' processes do

    def feed_health(self, health: FeedHealth, now_ns: int) -> None:
        """A feed reported: is it the process that we knew?"""
        feed, before = health.name, self._pids.get(health.name, 0)
        self._venues.setdefault(feed, health.venue)
        was_left = feed in self._left
        self._left.discard(feed)
        if before == health.pid:
            if was_left:
                self._history.feed_was_there(feed)
            return
        self._pids[feed] = health.pid
        if before and health.takes_over == before:
            # nothing was missed; what the process before had open is not its successor's to end
            for entry in self._board.open_entries(feed):
                if entry.kind != "outage":
                    self._end(entry, now_ns, "restart")
            self._file.append(FeedLine(at_ns=now_ns, feed=feed, state="running", pid=health.pid))
        elif before:
            self._replace(feed, now_ns, "tickcast did not run" if was_left else "the feed's process was replaced")

    def _replace(self, feed: str, now_ns: int, reason: str) -> None:
        """Another process of the feed runs: nothing of the old one is told any more."""
        since_ns = self._history.not_running_since(feed) or now_ns
        for entry in self._board.open_entries(feed):
            if entry.kind != "outage":
                self._end(entry, now_ns, "restart")
        self._tell_feed(feed, "not_running", since_ns)
        self._history.feed_was_gone(feed, since_ns)
        self._file.append(FeedLine(at_ns=since_ns, feed=feed, state="not_running", reset=True))
        if feed not in self._outages:
            self._begin_outage(feed, since_ns, reason, now_ns)

    def feed_state(self, feed: str, state: State, reason: str, now_ns: int, *, is_gone: bool) -> None:
        """What the board of the feeds judges: live, or stale and why; ``is_gone``: there is no process."""
        before = self._history.feed_state(feed)
        if state == State.LIVE:
            self._tell_feed(feed, "running", now_ns)
            outage = self._board.get(self._outages.pop(feed, ""))
            if outage is not None and not outage.ended_ns:
                self._end(outage, now_ns, "restart" if before == "not_running" else "reconnect")
            return
        told: FeedState = "not_running" if is_gone else "stale"
        if before in {None, told} or (before == "not_running" and feed not in self._outages):
            return  # it has not begun yet, or nothing is new
        if before == "running" or is_gone:
            self._tell_feed(feed, told, now_ns)
        is_known = any(one.kind == "reconnect" for one in self._board.open_entries(feed))
        if feed not in self._outages and (is_gone or not is_known):
            self._begin_outage(feed, now_ns, reason, now_ns)

    def _begin_outage(self, feed: str, began_ns: int, reason: str, now_ns: int) -> None:
        self._number += 1
        count = sum(owner == feed for owner in self._history.feed_of.values())
        ident = f"{feed}-{now_ns // 1_000_000}-core{self._number}"
        self._outages[feed] = ident
        entry = LedgerEntry(
            id=ident,
            feed=feed,
            venue=self._venues.get(feed, ""),
            kind="outage",
            scope="venue",
            reason=reason,
            began_ns=began_ns,
            instruments_count=count,
            open_count=count,
        )
        self._put(entry, now_ns)

    def _end(self, entry: LedgerEntry, now_ns: int, repaired_by: str) -> None:
        ended_ns = max(now_ns, entry.began_ns)
        self._put(msgspec.structs.replace(entry, ended_ns=ended_ns, open_count=0, repaired_by=repaired_by), now_ns)

    def _tell_feed(self, feed: str, state: FeedState, at_ns: int) -> None:
        if self._history.feed(feed, state, at_ns):
            self._file.append(FeedLine(at_ns=at_ns, feed=feed, state=state, pid=self._pids.get(feed, 0)))

    # ------------------------------------------------------------------ questions

    def gaps(self, query: GapQuery) -> tuple[Sequence[LedgerEntry], str | None]:
        """See :class:`tickcast.ports.GapLedger`."""
        return self._board.search(query, self._legs)

    def _legs(self, symbol: str) -> Sequence[str]:
        listing = self._registry.listing(symbol)
        if listing is not None:
            return listing.legs or (listing.symbol,)
        return (symbol,)

    def completeness(self, symbol: str, from_ns: int, to_ns: int) -> Completeness | None:
        """See :class:`tickcast.ports.GapLedger`."""
        names = [name for name in self._legs(symbol) if name in self._history.feed_of]
        if not names:
            return None
        end_ns = max(min(to_ns, self._now_ns), from_ns)
        legs = []
        for name in names:
            entries = self._board.of(name, self._history.feed_of[name], from_ns, end_ns)
            legs.append(self._history.leg(name, from_ns, end_ns, entries))
        return together(symbol, from_ns, end_ns, legs)


def open_ledger(
    registry: InstrumentRegistry, folder: Path, *, entries_max: int, changes_max: int, bytes_max: int, keep: int
) -> CoreLedger:
    """The ledger whose file is ``ledger.jsonl`` in a data folder."""
    file = LedgerFile(folder / "ledger.jsonl", bytes_max=bytes_max, keep=keep)
    return CoreLedger(registry, file, entries_max=entries_max, changes_max=changes_max)
