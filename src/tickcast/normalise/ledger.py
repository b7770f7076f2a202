"""The gap ledger of one feed: incidents and rows in, entries out. Pure, the time is passed in.

Theory. Three things say that data is less than whole, and they overlap: *incidents* (what a session knows: why, in
which scope, how it will be repaired), *gap rows* (how many messages are missing, or came after all), and *status rows*
(which instruments are not whole, and since when). One break shows in all three, and must become one entry:

- An incident opens an entry for its instruments. The rows that follow join it.
- A gap row of the market opens an entry, and what leaves ``live`` behind it are its instruments. A gap row of an
  instrument joins the entry in which that instrument is open, else opens one; rows of one read that tell the same loss
  of several instruments (same number, same place) are one entry.
- An instrument that leaves ``live`` and is in no entry opens one, or joins what opened in the same read or belongs to
  the link that is down.
- An instrument that is whole again closes its part, and the last one ends the entry. A gap row of an instrument that
  stays live (a lost trade) ends as it begins: nothing will repair it.
- A gap row flagged BACKFILLED says that messages came after all, also behind the end of the entry.
- An entry with a key is told by its incidents alone, from beginning to end: what is missing there shows in no state.
  Gap rows of its instruments say nothing more.

What counts as whole: every state that the venue gives to a right book (``live``, ``auction``, ``halted``, ``closed``,
``delayed``), and ``unverified`` where an instrument was never better. Of a halt only ``halted`` itself is open.

Everything is bounded: entries that are open, those that are remembered when they ended, instruments named in each, and
how often notes of drift are entered. What breaks when too many are open joins one of them, and keeps it open; halts and
all else stay apart, because they end in different states. An entry that ended takes no instruments any more.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tickcast.model.ledger import NAMED_MAX, Incident, IncidentKind, LedgerEntry, Scope
from tickcast.model.record import Flag, Kind, Records, State

MARKET: Final = 0
SECOND_NS: Final = 1_000_000_000
TOLD_AGAIN_NS: Final = SECOND_NS // 4
"""An entry that only shrinks is told again at most this often; its beginning and its end at once."""
ALONE_NS: Final = 60 * SECOND_NS
"""A loss that no instrument shows is over after so long: whatever could be brought has come."""
DRIFT_AGAIN_NS: Final = 86_400 * SECOND_NS
"""The same drift is entered at most this often."""
DRIFT_HOUR_NS: Final = 3_600 * SECOND_NS
THROTTLE_JOINED_NS: Final = 10 * SECOND_NS
"""A throttling so soon after another one belongs to it."""
RECENT_MAX: Final = 256
"""Ended entries that late messages can still be counted in, and that are told to a bus without our past."""
TEXT_MAX: Final = 500

# plain numbers: comparing rows with members of an enum costs several times as much
_GAP: Final = int(Kind.GAP)
_STATUS: Final = int(Kind.STATUS)
_BACKFILLED: Final = int(Flag.BACKFILLED)

_WHOLE: Final = frozenset({State.LIVE, State.HALTED, State.AUCTION, State.CLOSED, State.DELAYED})
_NEVER_TOLD: Final = frozenset({State.EMPTY, State.SYNCING})
_MOMENTARY: Final = frozenset({"listed", "delisted", "added", "dropped", "throttled", "drift"})
_OVER: Final = frozenset({"delisted", "dropped"})
"""Kinds behind which an instrument will not be whole again."""
_REPAIRS: Final[Mapping[str, str]] = {"halt": "venue", "reconnect": "reconnect"}


@dataclass(eq=False, slots=True)
class _Entry:
    """An entry while it can change."""

    id: str
    kind: IncidentKind
    scope: Scope
    reason: str
    began_ns: int
    link: str = ""
    channel: str = ""
    from_seq: int = 0
    to_seq: int = 0
    missing: int = 0
    recovered: int = 0
    repair: str = ""
    repaired_by: str = ""
    ended_ns: int = 0
    concerned: set[int] = field(default_factory=set)
    """Every instrument that was ever in it; of an ended one with many, the named ones."""
    count: int = 0
    named: list[int] = field(default_factory=list)
    open: set[int] = field(default_factory=set)
    is_told: bool = False
    is_incident: bool = False
    is_down: bool = False
    """Its link is not open again."""
    key: str = ""
    """Of an entry that is told by its incidents alone, see :class:`tickcast.model.ledger.Incident`."""
    is_market: bool = False
    """A gap row of the market began it."""
    was_broken: bool = False
    """An instrument was seen in a state that is not whole."""
    told_ns: int = 0

    @property
    def lost(self) -> int:
        return max(self.missing - self.recovered, 0)

    def join(self, instrument: int) -> None:
        self.open.add(instrument)
        if instrument not in self.concerned:
            self.concerned.add(instrument)
            self.count += 1
            if len(self.named) < NAMED_MAX:
                self.named.append(instrument)


@dataclass(slots=True)
class _Round:
    """What one read opened, so that its rows find together."""

    gaps: dict[tuple[int, int], _Entry] = field(default_factory=dict)
    """By missing number and place."""
    left: dict[IncidentKind, _Entry] = field(default_factory=dict)
    market: _Entry | None = None
    incidents: list[_Entry] = field(default_factory=list)
    """Of this read: what their instruments are at its end decides."""


class Ledger:
    """See the module."""

    def __init__(self, feed: str, venue: str = "", *, open_max: int = 1_024, drift_max: int = 60) -> None:
        """``open_max``: entries open at one time; ``drift_max``: entries of drift in an hour."""
        self._feed = feed
        self._venue = venue
        self._open_max = open_max
        self._drift_max = drift_max
        self._names: dict[int, str] = {}
        self._on_demand: set[int] = set()
        self._states: dict[int, int] = {}
        self._proved: set[int] = set()
        """Instruments that were live once."""
        self._open: OrderedDict[str, _Entry] = OrderedDict()
        self._of: dict[int, list[_Entry]] = {}
        """Open entries by instrument."""
        self._down: dict[str, _Entry] = {}
        """Entries of links that are not open again, by link."""
        self._recent: OrderedDict[str, _Entry] = OrderedDict()
        self._changed: dict[str, _Entry] = {}
        self._drifts: deque[tuple[int, str]] = deque()
        self._session = 0
        self._number = 0
        self.counts: Counter[str] = Counter()
        """Entries so far, by kind."""
        self.suppressed = 0
        """Incidents that were not entered because there were too many, so far."""
        self.merged = 0
        """Breaks that joined an entry because too many were open, so far."""

    # ------------------------------------------------------------------ what comes in

    def learn(self, names: Mapping[int, str], *, on_demand: Collection[int] = ()) -> None:
        """Take names of instruments, ``VENUE:SYMBOL``; ``on_demand``: those that are streamed while they are watched.

        Of these ``empty`` says that they are not streamed: that is no loss.
        """
        self._names.update(names)
        self._on_demand.difference_update(names)
        self._on_demand.update(on_demand)
        if not self._venue and names:
            self._venue = next(iter(names.values())).partition(":")[0]

    def enter(self, session: int, rows: Records, incidents: Sequence[Incident] = ()) -> None:
        """Take one read: its incidents, and its rows in order."""
        self._session = session
        kinds = rows["kind"]
        told = np.flatnonzero((kinds == _GAP) | (kinds == _STATUS)) if len(rows) else ()
        if not len(told) and not incidents:
            return
        found = rows[told] if len(told) else rows[:0]
        columns = [found[name].tolist() for name in ("kind", "instrument", "detail", "id", "seq", "flags", "ts_recv")]
        turn = _Round()
        for incident in incidents:
            self._incident(incident, turn)
        for kind, instrument, detail, ident, seq, flags, ts_ns in zip(*columns, strict=True):
            if kind == _STATUS:
                self._status(instrument, detail, ts_ns, turn)
            elif flags & _BACKFILLED:
                self._recovered(instrument, ident, seq, ts_ns)
            else:
                self._gap(instrument, ident, seq, ts_ns, turn)
        self._settle_round(turn, max(columns[6], default=0))

    def unlinked(self, session: int, link: str, reason: str, now_ns: int) -> None:
        """A link is lost: instruments that leave ``live`` while it is down belong to the entry."""
        if link in self._down:
            return
        self._session = session
        entry = self._begin("reconnect", "connection", reason, now_ns, link=link, repair="reconnect")
        entry.is_down = True
        self._down[link] = entry

    def linked(self, link: str, now_ns: int) -> None:
        """A link is open again; the entry ends with its instruments."""
        entry = self._down.pop(link, None)
        if entry is not None:
            entry.is_down = any(other is entry for other in self._down.values())  # merged: links can share it
            self._end_if_whole(entry, now_ns)

    def settle(self, now_ns: int) -> None:
        """Let time pass: losses that no instrument shows are over."""
        for entry in list(self._open.values()):
            if not entry.open and not entry.is_down and now_ns - entry.began_ns >= ALONE_NS:
                self._end(entry, now_ns)

    # ------------------------------------------------------------------ what goes out

    @property
    def open_count(self) -> int:
        """Entries that have not ended."""
        return len(self._open)

    @property
    def is_due(self) -> bool:
        """Whether something has not been told."""
        return bool(self._changed)

    def news(self, now_ns: int) -> tuple[LedgerEntry, ...]:
        """Entries to tell: what began or ended at once, what shrank only every so often."""
        if not self._changed:
            return ()
        due = [
            entry
            for entry in self._changed.values()
            if not entry.is_told or entry.ended_ns or now_ns - entry.told_ns >= TOLD_AGAIN_NS
        ]
        for entry in due:
            entry.is_told, entry.told_ns = True, now_ns
            del self._changed[entry.id]
        return tuple(self._shown(entry) for entry in due)

    def known(self) -> tuple[LedgerEntry, ...]:
        """What a bus without our past is told: what ended lately, and all that is open."""
        return tuple(self._shown(entry) for entry in (*self._recent.values(), *self._open.values()))

    def _shown(self, entry: _Entry) -> LedgerEntry:
        return LedgerEntry(
            id=entry.id,
            feed=self._feed,
            venue=self._venue,
            kind=entry.kind,
            scope=entry.scope,
            reason=entry.reason,
            began_ns=entry.began_ns,
            ended_ns=entry.ended_ns,
            instruments=tuple(self._names.get(one, f"{self._venue}:{one}") for one in entry.named),
            instruments_count=entry.count,
            open_count=len(entry.open),
            link=entry.link,
            channel=entry.channel,
            from_seq=entry.from_seq,
            to_seq=entry.to_seq,
            missing=entry.missing,
            recovered=entry.recovered,
            repaired_by=entry.repaired_by,
        )

    # ------------------------------------------------------------------ incidents

    def _incident(self, incident: Incident, turn: _Round) -> None:
        if incident.kind == "drift" and not self._may_drift(incident):
            self.suppressed += 1
            return
        if incident.kind == "throttled" and self._extend_throttle(incident):
            return
        if incident.key:
            self._keyed(incident)
            return
        entry = self._down.get(incident.link) if incident.kind == "reconnect" else None
        entry = entry or self._same(incident)
        if entry is None:
            entry = self._begin(
                incident.kind,
                incident.scope,
                incident.reason,
                incident.ts_ns,
                link=incident.link,
                channel=incident.channel,
                from_seq=incident.from_seq,
                to_seq=incident.to_seq,
                repair=incident.repair,
            )
        entry.is_incident = True
        entry.repair = incident.repair or entry.repair  # told again: what will repair it is known by now
        if 0 < incident.from_seq <= incident.to_seq:
            entry.missing = max(entry.missing, incident.to_seq - incident.from_seq + 1)
        self._concern(entry, incident, turn)

    def _keyed(self, incident: Incident) -> None:
        """Tell an entry anew that is told by its incidents alone."""
        entry = next((one for one in self._open.values() if one.key == incident.key), None)
        if entry is None:
            number = self._number
            entry = self._begin(
                incident.kind,
                incident.scope,
                incident.reason,
                incident.ts_ns,
                link=incident.link,
                channel=incident.channel,
                is_over=bool(incident.until_ns),
            )
            if self._number == number:
                return  # too many are open: it is part of another one, which says what is lost
            entry.key, entry.is_incident = incident.key, True
        entry.reason = incident.reason[:TEXT_MAX]
        entry.from_seq, entry.to_seq = incident.from_seq, incident.to_seq
        entry.missing, entry.recovered = incident.missing, incident.recovered
        for instrument in incident.instruments:
            self._join(entry, instrument)
        for instrument in entry.open.difference(incident.instruments) if not incident.until_ns else list(entry.open):
            self._leave(entry, instrument)
        self._touch(entry)
        if incident.until_ns:
            entry.repaired_by = incident.repair
            self._end(entry, incident.until_ns)

    def _same(self, incident: Incident) -> _Entry | None:
        """The open entry that this repeats: of the same kind, and open for all of its instruments."""
        if not incident.instruments:
            return None
        place = (incident.kind, incident.scope, incident.link, incident.channel)
        for entry in self._of.get(incident.instruments[0], ()):
            is_there = (entry.kind, entry.scope, entry.link, entry.channel) == place and not entry.key
            if is_there and entry.open.issuperset(incident.instruments):
                return entry
        return None

    def _concern(self, entry: _Entry, incident: Incident, turn: _Round) -> None:
        if incident.kind in _OVER:
            for instrument in incident.instruments:
                self._forget(instrument, incident.ts_ns)
        for instrument in incident.instruments:
            self._join(entry, instrument)
        over_ns = max(incident.until_ns, incident.ts_ns)
        if incident.kind in _MOMENTARY:
            self._leave_all(entry)
            self._end(entry, over_ns)
        elif incident.instruments:
            turn.incidents.append(entry)
        else:
            self._end_if_whole(entry, over_ns)  # not the one that it was merged into, while that is open

    def _forget(self, instrument: int, now_ns: int) -> None:
        """An instrument is not streamed any more and will not be whole again: its parts are over."""
        for entry in list(self._of.get(instrument, ())):
            self._leave(entry, instrument)
            self._end_if_whole(entry, now_ns)
        self._states.pop(instrument, None)
        self._proved.discard(instrument)

    def _may_drift(self, incident: Incident) -> bool:
        while self._drifts and incident.ts_ns - self._drifts[0][0] >= DRIFT_AGAIN_NS:
            self._drifts.popleft()
        of_hour = sum(incident.ts_ns - at_ns < DRIFT_HOUR_NS for at_ns, _ in self._drifts)
        if of_hour >= self._drift_max or any(reason == incident.reason for _, reason in self._drifts):
            return False
        self._drifts.append((incident.ts_ns, incident.reason))
        return True

    def _extend_throttle(self, incident: Incident) -> bool:
        for entry in reversed(self._recent.values()):
            if entry.kind == "throttled" and incident.ts_ns - entry.ended_ns < THROTTLE_JOINED_NS:
                entry.ended_ns = max(entry.ended_ns, incident.until_ns, incident.ts_ns)
                self._touch(entry)
                return True
        return False

    # ------------------------------------------------------------------ rows

    def _status(self, instrument: int, state: int, ts_ns: int, turn: _Round) -> None:
        if state == State.EMPTY and instrument in self._on_demand:
            self._forget(instrument, ts_ns)
            return
        before = self._states.get(instrument)
        self._states[instrument] = state
        is_whole, was_whole = self._is_whole(instrument, state), self._is_whole(instrument, before)
        if state == State.LIVE:
            self._proved.add(instrument)
        for entry in list(self._of.get(instrument, ())):
            if not is_whole:
                entry.was_broken = True
            if entry not in turn.incidents and self._is_over(entry, instrument):
                self._leave(entry, instrument)
        if state == State.HALTED and before == State.LIVE:
            self._left("halt", instrument, ts_ns, turn, reason="the venue halted trading")
        elif not is_whole and was_whole and not self._is_open(instrument):
            self._break(instrument, state, ts_ns, turn)

    def _is_open(self, instrument: int) -> bool:
        return any(entry.kind != "halt" and not entry.key for entry in self._of.get(instrument, ()))

    def _break(self, instrument: int, state: int, ts_ns: int, turn: _Round) -> None:
        """An instrument is not whole any more, and no entry says why."""
        if turn.market is not None and not turn.market.ended_ns:
            turn.market.was_broken = True
            self._join(turn.market, instrument)
            return
        if self._down:
            entry = next(reversed(self._down.values()))
            entry.was_broken = True
            self._join(entry, instrument)
            return
        kind: IncidentKind = "reconnect" if state == State.STALE else "restart" if state in _NEVER_TOLD else "gap"
        reason = {
            "reconnect": "nothing is heard of what was live",
            "restart": "the venue's session began anew",
            "gap": f"what was live is {State(state).name.lower()}",
        }[kind]
        self._left(kind, instrument, ts_ns, turn, reason=reason)

    def _left(self, kind: IncidentKind, instrument: int, ts_ns: int, turn: _Round, *, reason: str) -> None:
        """Open an entry for what leaves ``live`` in this read, or join the one that does so already."""
        if kind == "halt" and any(entry.kind == "halt" for entry in self._of.get(instrument, ())):
            return
        entry = turn.left.get(kind)
        if entry is None or entry.ended_ns:
            entry = turn.left[kind] = self._begin(kind, "instrument", reason, ts_ns)
        entry.was_broken = True
        self._join(entry, instrument)

    def _gap(self, instrument: int, missing: int, seq: int, ts_ns: int, turn: _Round) -> None:
        if instrument == MARKET:
            turn.market = self._lose("unit", missing, seq, ts_ns)
            turn.market.is_market = True
            return
        if any(entry.key for entry in self._of.get(instrument, ())):
            return
        for entry in self._of.get(instrument, ()):
            if entry.kind != "halt":
                if entry.scope == "instrument" and not entry.is_incident:
                    entry.missing += missing
                else:
                    entry.missing = max(entry.missing, missing)
                self._span(entry, missing, seq)
                self._touch(entry)
                return
        of_read = (turn.gaps.get((missing, seq)), turn.market)
        same = next((one for one in of_read if one is not None and not one.ended_ns), None) or self._lone_market()
        if same is None:
            same = turn.gaps[missing, seq] = self._lose("instrument", missing, seq, ts_ns)
        self._join(same, instrument)

    def _lose(self, scope: Scope, missing: int, seq: int, ts_ns: int) -> _Entry:
        reason = "an unknown number of messages is missing"
        if missing:
            reason = f"{missing} messages are missing" if missing > 1 else "1 message is missing"
        entry = self._begin("gap", scope, f"{reason} before {seq}" if seq else reason, ts_ns)
        entry.missing += missing
        self._span(entry, missing, seq)
        return entry

    @staticmethod
    def _span(entry: _Entry, missing: int, seq: int) -> None:
        if missing and seq > missing:
            entry.from_seq = min(entry.from_seq or seq - missing, seq - missing)
            entry.to_seq = max(entry.to_seq, seq - 1)

    def _lone_market(self) -> _Entry | None:
        """A loss of the market that no instrument shows yet."""
        return next((one for one in self._open.values() if one.is_market and not one.concerned), None)

    def _recovered(self, instrument: int, count: int, seq: int, ts_ns: int) -> None:
        if any(one.key and instrument in one.concerned for one in (*self._open.values(), *self._recent.values())):
            return
        entry = self._missed_in(instrument, count)
        if entry is None:
            reason = f"{count} messages before {seq} came late" if seq else f"{count} messages came late"
            scope: Scope = "unit" if instrument == MARKET else "instrument"
            entry = self._begin("gap", scope, reason, ts_ns, is_over=True)
            if instrument != MARKET:
                self._join(entry, instrument)
                self._leave(entry, instrument)
            self._end(entry, ts_ns)
        entry.recovered += count
        entry.missing = max(entry.missing, entry.recovered)
        if not entry.lost:
            entry.repair = "retransmission"
            if entry.ended_ns:
                entry.repaired_by = "retransmission"
        if entry.is_market and not entry.lost:
            self._end_if_whole(entry, ts_ns)
        self._touch(entry)

    def _missed_in(self, instrument: int, count: int) -> _Entry | None:
        """The entry whose messages these are: one that misses as many, else the oldest open, else the newest ended."""
        if instrument == MARKET:
            still = [one for one in self._open.values() if one.is_market and one.ended_ns == 0]
            ended = [one for one in self._recent.values() if one.is_market and one.lost]
        else:
            still = [one for one in self._of.get(instrument, ()) if one.kind != "halt"]
            ended = [one for one in self._recent.values() if instrument in one.concerned and one.lost]
        exact = next((one for one in still if one.lost == count), None)
        exact = exact or next((one for one in reversed(ended) if one.lost == count), None)
        return exact or (still[0] if still else ended[-1] if ended else None)

    # ------------------------------------------------------------------ beginning and ending

    def _begin(
        self,
        kind: IncidentKind,
        scope: Scope,
        reason: str,
        began_ns: int,
        *,
        link: str = "",
        channel: str = "",
        from_seq: int = 0,
        to_seq: int = 0,
        repair: str = "",
        is_over: bool = False,
    ) -> _Entry:
        """Open an entry, or take an open one when there are too many; what is over at once is always its own."""
        is_brief = is_over or kind in _MOMENTARY
        if len(self._open) >= self._open_max and not is_brief and (other := self._to_merge(kind)) is not None:
            self.merged += 1
            other.scope = "venue"
            return other
        self._number += 1
        self.counts[kind] += 1
        entry = _Entry(
            id=f"{self._feed}-{self._session}-{self._number}",
            kind=kind,
            scope=scope,
            reason=reason[:TEXT_MAX],
            began_ns=began_ns,
            link=link,
            channel=channel,
            from_seq=from_seq,
            to_seq=to_seq,
            repair=repair,
        )
        self._open[entry.id] = entry
        self._touch(entry)
        return entry

    def _to_merge(self, kind: IncidentKind) -> _Entry | None:
        """The open entry that takes what is too many: the newest of its kind, else the newest that ends as it does.

        A halt ends with its state, all else when books are whole: one in the other would end too early. Where only the
        others are open there is none, so at most one entry more than the bound is open.
        """
        open_ones = [one for one in reversed(self._open.values()) if not one.key]
        alike = [one for one in open_ones if (one.kind == "halt") == (kind == "halt")]
        same = next((one for one in alike if one.kind == kind and not one.is_down), None)
        return same or next(iter(alike), None)

    def _join(self, entry: _Entry, instrument: int) -> None:
        if instrument not in entry.open:
            entry.join(instrument)
            self._of.setdefault(instrument, []).append(entry)
            self._touch(entry)

    def _leave(self, entry: _Entry, instrument: int) -> None:
        entry.open.discard(instrument)
        still = self._of.get(instrument)
        if still is not None and entry in still:
            still.remove(entry)
            if not still:
                del self._of[instrument]
        self._touch(entry, shrinks=True)

    def _leave_all(self, entry: _Entry) -> None:
        for instrument in list(entry.open):
            self._leave(entry, instrument)

    def _touch(self, entry: _Entry, *, shrinks: bool = False) -> None:
        """Have an entry told: at once, unless it only shrinks."""
        if not shrinks:
            entry.told_ns = 0
        self._changed[entry.id] = entry

    def _settle_round(self, turn: _Round, now_ns: int) -> None:
        """What is whole again ends; a loss that no state shows ends as it began."""
        self._merge_market(turn)
        for entry in (*turn.gaps.values(), *turn.incidents):
            for instrument in [one for one in entry.open if self._is_over(entry, one)]:
                self._leave(entry, instrument)
        for entry in (*turn.gaps.values(), *turn.left.values()):
            if entry.count > 1 and entry.scope == "instrument":
                entry.scope = "venue" if entry.count >= len(self._names) else "unit"
        for entry in list(self._changed.values()):
            if not entry.ended_ns:
                self._end_if_whole(entry, now_ns)

    def _is_over(self, entry: _Entry, instrument: int) -> bool:
        """Whether an entry does not concern an instrument any more.

        So it is of a loss also where the venue tells no states: nothing will say that it is whole again.
        """
        if entry.key:
            return False
        state = self._states.get(instrument)
        if state is None:
            return not entry.is_incident
        if entry.kind == "halt":
            return state != State.HALTED
        return self._is_whole(instrument, state)

    def _is_whole(self, instrument: int, state: int | None) -> bool:
        return state in _WHOLE or (state == State.UNVERIFIED and instrument not in self._proved)

    def _merge_market(self, turn: _Round) -> None:
        """More is missing of what is broken already: that is no entry of its own."""
        fresh = turn.market
        if fresh is None or fresh.concerned or fresh.ended_ns or fresh.recovered or fresh.is_down:
            return
        others = [one for one in self._open.values() if one.is_market and one is not fresh and one.open]
        if not others or fresh.is_told:
            return
        into = others[-1]
        into.missing += fresh.missing
        self._span(into, fresh.missing, fresh.to_seq + 1)
        self._touch(into)
        self.counts[fresh.kind] -= 1
        self._open.pop(fresh.id, None)
        self._changed.pop(fresh.id, None)

    def _end_if_whole(self, entry: _Entry, now_ns: int) -> None:
        if entry.ended_ns or entry.open or entry.is_down or entry.key:
            return
        if entry.is_market and not entry.concerned and entry.lost:
            return  # nothing shows it: until what is missing comes, or nobody waits any more
        if entry.is_market and not entry.concerned and not entry.missing and not entry.repair:
            return
        self._end(entry, now_ns)

    def _end(self, entry: _Entry, now_ns: int) -> None:
        if entry.ended_ns:
            return
        entry.ended_ns = max(now_ns, entry.began_ns)
        if not entry.repaired_by and entry.kind not in _MOMENTARY and not entry.key:
            by_books = "snapshot" if entry.was_broken else ""
            entry.repaired_by = entry.repair or _REPAIRS.get(entry.kind, by_books)
        self._open.pop(entry.id, None)
        self._recent[entry.id] = entry
        while len(self._recent) > RECENT_MAX:
            self._recent.popitem(last=False)
        if entry.count > NAMED_MAX:  # late messages are found by those that are named
            entry.concerned = set(entry.named)
        self._touch(entry)
