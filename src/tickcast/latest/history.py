"""In which state each instrument was, and when each feed ran: the memory behind ``GET /completeness``. Pure.

Theory. A state lasts until the next one is told, so a history is a list of (since, state), and a question about a time
is answered by cutting it wherever something changed. Three layers lie over each other, the first that has something to
say counts: what the ledger does not reach (``unknown``), the feed (``not_running``, ``stale``), the instrument itself.

A time is *whole*, *broken*, or *unknown*. Whole are states that the venue gives to a right book. ``unverified`` is
unknown: nothing proves the book and nothing contradicts it. Broken time in which messages were missing that all came
later, by retransmission, is *late*: it takes nothing from completeness.
"""

import bisect
import itertools
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from tickcast.model.ledger import LOSSLESS, LedgerEntry
from tickcast.model.record import State
from tickcast.ports import Completeness, LegCompleteness, Verdict

FeedState = Literal["running", "stale", "not_running"]
WHOLE: Final = frozenset({"live", "halted", "auction", "closed", "delayed"})
UNKNOWN: Final = frozenset({"unknown", "unverified"})
ENTRIES_MAX: Final = 100
"""Entries of one leg in an answer; all are counted."""
HOLES_MAX: Final = 100


@dataclass(slots=True)
class _Line:
    """States of one thing, each with the time since when."""

    since: deque[int]
    states: deque[str]
    is_cut: bool = False
    """Older states were given up."""

    def tell(self, at_ns: int, state: str) -> bool:
        """Take a state; False: it is the same. Times never run backwards."""
        if self.states and self.states[-1] == state:
            return False
        if self.since and self.since.maxlen == len(self.since):
            self.is_cut = True
        self.since.append(max(at_ns, self.since[-1] if self.since else at_ns))
        self.states.append(state)
        return True

    def insert(self, at_ns: int, state: str) -> None:
        """Put a state before those that were told since ``at_ns``."""
        times, states = list(self.since), list(self.states)
        place = bisect.bisect_right(times, at_ns)
        if place and states[place - 1] == state:
            return
        if len(times) == self.since.maxlen:
            self.is_cut = True
        times.insert(place, at_ns)
        states.insert(place, state)
        self.since.extend(times[-(self.since.maxlen or len(times)) :])
        self.states.extend(states[-(self.states.maxlen or len(states)) :])

    def at(self, at_ns: int) -> str | None:
        """The state at a time; None: before the first."""
        place = bisect.bisect_right(self.since, at_ns)
        return self.states[place - 1] if place else None


@dataclass(slots=True)
class Part:
    """A stretch of time in one state."""

    start_ns: int
    end_ns: int
    state: str


@dataclass(slots=True)
class StateHistory:
    """See the module. Bounded: ``changes_max`` states of each instrument and feed, the newest."""

    changes_max: int = 512
    since_ns: int = 0
    """What was before is not known; 0 = nothing is known yet."""
    feed_of: dict[str, str] = field(default_factory=dict)
    """Feed of each instrument, by ``VENUE:SYMBOL``."""
    _instruments: dict[str, _Line] = field(default_factory=dict)
    _feeds: dict[str, _Line] = field(default_factory=dict)
    _holes: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=HOLES_MAX))

    def _line(self, lines: dict[str, _Line], name: str) -> _Line:
        found = lines.get(name)
        if found is None:
            found = lines[name] = _Line(deque(maxlen=self.changes_max), deque(maxlen=self.changes_max))
        return found

    # ------------------------------------------------------------------ what is told

    def begin(self, at_ns: int) -> None:
        """From here on everything is told, if nothing was before."""
        self.since_ns = self.since_ns or at_ns

    def instrument(self, name: str, feed: str, state: str, at_ns: int) -> bool:
        """An instrument has a state; False: it had it already."""
        self.feed_of[name] = feed
        return self._line(self._instruments, name).tell(at_ns, state)

    def define(self, name: str, feed: str) -> None:
        """An instrument exists, and has said nothing yet."""
        self.feed_of.setdefault(name, feed)

    def feed(self, name: str, state: FeedState, at_ns: int) -> bool:
        """A feed has a state; False: it had it already."""
        return self._line(self._feeds, name).tell(at_ns, state)

    def feed_state(self, name: str) -> str | None:
        """Newest state of a feed."""
        line = self._feeds.get(name)
        return line.states[-1] if line is not None and line.states else None

    def feed_was_gone(self, name: str, since_ns: int) -> list[str]:
        """A feed's process ended then and another one runs: what its instruments were is no more. Returns those."""
        gone = [one for one, feed in self.feed_of.items() if feed == name and one in self._instruments]
        for one in gone:
            self._instruments[one].insert(since_ns, State.EMPTY.name.lower())
        return gone

    def feed_was_there(self, name: str) -> None:
        """A feed that was taken for gone ran all the time."""
        line = self._feeds.get(name)
        if line is not None and line.states and line.states[-1] == "not_running":
            line.since.pop()
            line.states.pop()

    def not_running_since(self, name: str) -> int:
        """Since when a feed is gone; 0 = it is not."""
        line = self._feeds.get(name)
        return line.since[-1] if line is not None and self.feed_state(name) == "not_running" else 0

    def hole(self, from_ns: int, until_ns: int) -> None:
        """What was told in this time is lost."""
        self._holes.append((from_ns, until_ns))

    def states_now(self, feed: str) -> dict[str, list[str]]:
        """Names of a feed's instruments by their newest state."""
        found: dict[str, list[str]] = {}
        for name, line in self._instruments.items():
            if self.feed_of.get(name) == feed and line.states:
                found.setdefault(line.states[-1], []).append(name)
        return found

    def feeds(self) -> Iterable[tuple[str, str]]:
        """Feeds with their newest state."""
        return [(name, line.states[-1]) for name, line in self._feeds.items() if line.states]

    # ------------------------------------------------------------------ what is asked

    def parts(self, name: str, from_ns: int, to_ns: int) -> list[Part]:
        """Cut a time by what the instrument was in it; the parts fill it without a gap."""
        line, feed = self._instruments.get(name), self._feeds.get(self.feed_of.get(name, ""))
        cuts = {from_ns, self.since_ns, *(edge for hole in self._holes for edge in hole)}
        for one in (line, feed):
            cuts.update(one.since if one is not None else ())
        edges = [*sorted(cut for cut in cuts if from_ns <= cut < to_ns), to_ns]
        parts: list[Part] = []
        for start, end in itertools.pairwise(edges):
            state = self._state(line, feed, start)
            if parts and parts[-1].state == state:
                parts[-1].end_ns = end
            else:
                parts.append(Part(start, end, state))
        return parts

    def _state(self, line: _Line | None, feed: _Line | None, at_ns: int) -> str:
        if not self.since_ns or at_ns < self.since_ns or any(start <= at_ns < end for start, end in self._holes):
            return "unknown"
        running = feed.at(at_ns) if feed is not None else None
        if running is None:
            return "unknown" if feed is not None and feed.is_cut else "not_running"
        if running != "running":
            return running
        own = line.at(at_ns) if line is not None else None
        if own is None:
            return "unknown" if line is not None and line.is_cut else "empty"
        return own

    def leg(self, name: str, from_ns: int, to_ns: int, entries: Sequence[LedgerEntry]) -> LegCompleteness:
        """Say whether an instrument was complete; ``entries``: those of that time that may concern it."""
        parts = self.parts(name, from_ns, to_ns)
        lasted: dict[str, int] = {}
        for part in parts:
            lasted[part.state] = lasted.get(part.state, 0) + part.end_ns - part.start_ns
        made_good = _joined((one.began_ns, one.ended_ns) for one in entries if is_late(one))
        broken = [part for part in parts if part.state not in WHOLE and part.state not in UNKNOWN]
        broken_ns = sum(part.end_ns - part.start_ns for part in broken)
        late_ns = sum(_overlap(part, made_good) for part in broken)
        lossy = [one for one in entries if is_lossy(one)]
        verdict: Verdict = "complete"
        if broken_ns > late_ns or lossy:
            verdict = "incomplete"
        elif not parts or any(part.state in UNKNOWN for part in parts):
            verdict = "unknown"
        whole_ns = sum(span for state, span in lasted.items() if state in WHOLE)
        return LegCompleteness(
            symbol=name,
            feed=self.feed_of.get(name, ""),
            answer=verdict,
            share=round((whole_ns + late_ns) / (to_ns - from_ns), 9) if to_ns > from_ns else 0.0,
            states_ms={state: span / 1e6 for state, span in sorted(lasted.items())},
            running_ms=sum(span for state, span in lasted.items() if state not in _NOT_RUNNING) / 1e6,
            late_ms=late_ns / 1e6,
            lost=sum(one.lost for one in lossy),
            entries=tuple(entries[:ENTRIES_MAX]),
            entries_count=len(entries),
        )


_NOT_RUNNING: Final = frozenset({"not_running", "unknown"})


def is_late(entry: LedgerEntry) -> bool:
    """Whether everything that was missing came after all."""
    return bool(entry.kind == "gap" and entry.ended_ns and entry.recovered and not entry.lost)


def is_lossy(entry: LedgerEntry) -> bool:
    """Whether messages are lost for good; an unknown number counts where nothing stands in for them."""
    if entry.kind in LOSSLESS:
        return False
    return entry.lost > 0 or (entry.kind == "gap" and bool(entry.ended_ns) and not entry.repaired_by)


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _overlap(part: Part, spans: Sequence[tuple[int, int]]) -> int:
    return sum(max(0, min(part.end_ns, end) - max(part.start_ns, start)) for start, end in spans)


def together(symbol: str, from_ns: int, to_ns: int, legs: Sequence[LegCompleteness]) -> Completeness:
    """The answer for a security: complete if each leg is, incomplete if one is."""
    answers = {leg.answer for leg in legs}
    answer: Verdict = "unknown"
    if "incomplete" in answers:
        answer = "incomplete"
    elif answers == {"complete"}:
        answer = "complete"
    return Completeness(symbol=symbol, from_ns=from_ns, to_ns=to_ns, answer=answer, legs=tuple(legs))
