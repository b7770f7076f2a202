"""What a session does about streams that fall silent: it says so, asks the venue once, and subscribes or connects anew.

Theory. :class:`tickcast.venues.declared.quiet.QuietWatch` says which streams are silent beyond what is normal for them.
A *stream* here is what is heard of one instrument in one kind (trades, quotes, book, measures), and beside these what
is heard on each link in all, without its heartbeats: these prove that the link lives, not that anything flows.

- A *stream* that is suspect while others of its link speak: a book makes its instrument STALE at once, quotes do where
  no book speaks, anything else only where nothing of the instrument speaks any more. The venue is asked for the book
  where our ids can be held against it: it has nothing newer, and all is as before; or it has, and the stream is
  subscribed anew. Where nothing can be compared, subscribing anew is the answer.
- A *link* on which nothing at all comes: its instruments are STALE, the venue is asked something cheap, and the link is
  opened anew; whether or not it answers, since a link that is alive costs little to open. If that did not help, it is
  left in peace for longer each time.

Each case is one entry of the ledger. A stream that speaks again by itself ends its case. At most :data:`PROBES_MAX`
probes are under way, those of the most watched instruments first; one that nobody answers is no reason to wait.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from tickcast import _native
from tickcast.model.ledger import Incident, Scope
from tickcast.model.record import State
from tickcast.venues.base import Answer, Request, Step, VenueConfig
from tickcast.venues.declared.books import BookKeeping
from tickcast.venues.declared.instruments import Catalogue, Instrument
from tickcast.venues.declared.links import Wires
from tickcast.venues.declared.pacing import SECOND_NS, Errands
from tickcast.venues.declared.quiet import FLOOR_S, Findings, QuietWatch, Stream
from tickcast.venues.declared.venue import Channel, Venue

LOOK_NS: Final = SECOND_NS
LATE_NS: Final = 3 * SECOND_NS
"""Looks that are so far apart say nothing: it was this process that did not run."""
PROBE_NS: Final = 5 * SECOND_NS
"""A probe is answered within this time, or what it was for is done without it."""
GRACE_NS: Final = SECOND_NS // 2
"""What the venue's book has and ours has not may be on its way for so long."""
SETTLE_NS: Final = 3 * SECOND_NS
"""A stream that was subscribed anew, is confirmed and says nothing for so long has nothing to say."""
PROBES_MAX: Final = 4
MANY: Final = 4
"""So many suspect instruments of one link, if they are half of it, are the link's trouble."""
PATIENCE_NS: Final = tuple(seconds * SECOND_NS for seconds in (30, 60, 120, 300, 600))
"""After a link was dropped for its silence, it is not dropped for that again within this time."""
CALM_NS: Final = 120 * SECOND_NS
"""A link that was heard for so long begins with the shortest patience again."""
PROBE: Final = "quiet "
COMPARED_LEVELS: Final = 10
SPOKEN_S: Final = 1.5
"""A book that spoke within this time speaks."""

TRADES, QUOTES, BOOK, MEASURES = range(4)
WORDS: Final = ("trades", "quotes", "book", "measures")


@dataclass(slots=True)
class Case:
    """A suspicion: of one instrument's streams, or (``instrument`` 0) of a link."""

    link: str
    instrument: int = 0
    kinds: set[int] = field(default_factory=set)
    """Streams that are silent."""
    members: tuple[int, ...] = ()
    """Instruments of the link that were made stale."""
    incident: Incident | None = None
    purpose: str = ""
    """Of its probe; empty = it needs none, or waits for its turn."""
    asked_ns: int = 0
    due_ns: int = 0
    """When the verdict is carried out; 0 = there is none."""
    verdict: str = ""
    renewed_ns: int = 0


class Alarm:
    """Of one feed; see the module."""

    def __init__(
        self,
        venue: Venue,
        config: VenueConfig,
        *,
        feed: "_native.JsonFeed",
        catalogue: Catalogue,
        wires: Wires,
        books: BookKeeping,
        errands: Errands,
    ) -> None:
        self._venue = venue
        self._feed = feed
        self._catalogue = catalogue
        self._wires = wires
        self._books = books
        self._errands = errands
        self._watch = QuietWatch(factor=config.quiet_factor)
        self._is_on = config.quiet_watch
        self._cases: dict[Stream, Case] = {}
        """By instrument, or by link."""
        self._purposes: set[str] = set()
        self._looked_ns = self._look_ns = 0
        self._opened: dict[str, int] = {}
        """How often each link had been opened at the last look."""
        self._members: dict[str, frozenset[int]] = {}
        """Instruments of each link that were expected to speak."""
        self._drops: dict[str, tuple[int, int]] = {}
        """How often each link was dropped for its silence, and when last."""

    # ------------------------------------------------------------------ time

    def next_ns(self) -> int:
        """When :meth:`look` wants to be called; 0 = not at all."""
        return self._look_ns

    def begin(self, now_ns: int) -> None:
        """There are instruments now."""
        if self._is_on and not self._look_ns:
            self._look_ns = now_ns + LOOK_NS

    def look(self, step: Step, now_ns: int) -> None:
        """Compare what was heard with what is normal, and do what is due."""
        if not self._look_ns or self._look_ns > now_ns:
            return
        was_late = bool(self._looked_ns) and now_ns - self._looked_ns >= LATE_NS
        self._looked_ns, self._look_ns = now_ns, now_ns + LOOK_NS
        counts = self._count(now_ns, was_late=was_late)
        found = self._watch.look(counts, now_ns)
        for stream in found.back:
            self._back(stream, step, now_ns)
        self._suspect(found, counts, step, now_ns)
        for key, case in list(self._cases.items()):
            if key in self._cases:
                self._pursue(key, case, step, now_ns)

    # ------------------------------------------------------------------ what was heard

    def _count(self, now_ns: int, *, was_late: bool) -> dict[Stream, tuple[str, int]]:
        """Count the streams that are expected to speak; the others are excused."""
        by_number = {wire.number: wire for wire in self._wires}
        fresh = {wire.name for wire in self._wires if self._opened.get(wire.name) != wire.opened_count}
        self._opened = {wire.name: wire.opened_count for wire in self._wires}
        # streams of an instrument are known by its number and their kind, those of a link by its name
        counts: dict[Stream, tuple[str, int]] = {}
        sums: dict[str, int] = {}
        members: dict[str, set[int]] = {}
        for instrument, kind, number, count in self._feed.heard():
            wire = by_number.get(number)
            known = self._catalogue.get(instrument)
            if wire is None or known is None:
                continue  # what is polled
            wire = self._wires.depended_on(wire, known.channels)
            stream = (instrument, kind)
            is_expected = wire.is_open and known.listed.state == State.LIVE
            if is_expected and not was_late and wire.name not in fresh:
                sums[wire.name] = sums.get(wire.name, 0) + count
                members.setdefault(wire.name, set()).add(instrument)
                if kind == BOOK and not self._is_whole(instrument):
                    self._watch.excuse(stream, now_ns)
                counts[stream] = (wire.name, count)
            else:
                self._watch.excuse(stream, now_ns)
                self._watch.excuse(wire.name, now_ns)
        for name, total in sums.items():
            now = frozenset(members[name])
            before = self._members.get(name, now)
            if before - now:
                self._watch.forget(name)  # who spoke has left: the link's rate is another one now
            self._members[name] = now
            counts[name] = (f"link {name}", total)
        return counts

    def _is_whole(self, instrument: int) -> bool:
        """Whether a book is neither broken nor being repaired."""
        down = {State.EMPTY, State.SYNCING, State.GAP, State.REPAIRING}
        return State(self._feed.state(instrument)) not in down

    def _suspect(self, found: Findings, counts: Mapping[Stream, tuple[str, int]], step: Step, now_ns: int) -> None:
        """Open cases, of whole links first."""
        silent: dict[int, dict[int, float]] = {}
        links: dict[str, float] = {}
        for stream, silence_s in found.suspects:
            if isinstance(stream, str):
                links[stream] = silence_s
            elif isinstance(stream, tuple):
                instrument, kind = stream
                silent.setdefault(instrument, {})[kind] = silence_s
        by_link: dict[str, list[int]] = {}
        for instrument, kinds in silent.items():
            by_link.setdefault(counts[instrument, next(iter(kinds))][0], []).append(instrument)
        for name, instruments in by_link.items():
            if name not in links and self._is_dark(name, instruments, counts, now_ns):
                links[name] = max(max(silent[one].values()) for one in instruments)
        for name, silence_s in links.items():
            self._open_link_case(name, silence_s, step, now_ns)
        for instrument, kinds in silent.items():
            if counts[instrument, next(iter(kinds))][0] not in self._cases:
                self._open_case(instrument, kinds, counts, step, now_ns)

    def _is_dark(
        self, name: str, suspects: Sequence[int], counts: Mapping[Stream, tuple[str, int]], now_ns: int
    ) -> bool:
        """Whether nothing at all comes on a link, or half of its instruments are silent."""
        members = self._members.get(name, frozenset())
        also = {case.instrument for case in self._cases.values() if case.instrument and case.link == name}
        if len(also.union(suspects)) >= max(MANY, (len(members) + 1) // 2):
            return True
        silence_s = self._watch.silence_s(name, now_ns)
        return name in counts and len(members) > 1 and silence_s is not None and silence_s >= FLOOR_S

    # ------------------------------------------------------------------ cases

    def _open_case(
        self,
        instrument: int,
        kinds: Mapping[int, float],
        counts: Mapping[Stream, tuple[str, int]],
        step: Step,
        now_ns: int,
    ) -> None:
        known = self._catalogue.get(instrument)
        if known is None:
            return
        case = self._cases.get(instrument)
        if case is None:
            case = self._cases[instrument] = Case(counts[instrument, next(iter(kinds))][0], instrument)
        case.kinds.update(kinds)
        case.due_ns = case.renewed_ns = 0
        is_stale = self._makes_stale(known, case, counts, now_ns)
        if is_stale:
            if known.book is not None:
                case.kinds.add(BOOK)  # it is silent too, if not yet beyond what is normal for it
            step.records.append(self._feed.doubt([instrument], now_ns))
        if case.incident is not None and case.incident.scope == "instrument":
            return  # more of what is told already
        kind = BOOK if BOOK in kinds else min(kinds)
        case.incident = Incident(
            kind="quiet",
            scope="instrument" if is_stale else "channel",
            reason=self._reason((instrument, kind), WORDS[kind], kinds[kind]),
            ts_ns=now_ns,
            link=case.link,
            channel=WORDS[kind],
            instruments=(instrument,),
            repair="venue",
        )
        step.incidents.append(case.incident)

    def _reason(self, stream: Stream, word: str, silence_s: float) -> str:
        normal_s = self._watch.normal_s(stream)
        expected = f"within {normal_s:.1f} s" if normal_s is not None else "sooner"
        return f"expected {word} {expected}, found none for {silence_s:.1f} s"

    def _makes_stale(
        self, known: Instrument, case: Case, counts: Mapping[Stream, tuple[str, int]], now_ns: int
    ) -> bool:
        """Whether what is shown of an instrument may be old: its book is silent, or nothing of it speaks.

        A book that speaks shows that the instrument is right, whatever else is subscribed anew.
        """
        if BOOK in case.kinds:
            return True
        if QUOTES in case.kinds and self._venue.quoted(known.listed):
            silence_s = self._watch.silence_s((known.id, BOOK), now_ns)
            return known.book is None or silence_s is None or silence_s >= SPOKEN_S
        speaking = {
            kind
            for kind in range(len(WORDS))
            if (known.id, kind) in counts and self._watch.normal_s((known.id, kind)) is not None
        }
        return speaking <= case.kinds

    def _open_link_case(self, name: str, silence_s: float, step: Step, now_ns: int) -> None:
        wire = self._wires.by_name.get(name)
        if wire is None or not wire.is_open or name in self._cases or not self._may_drop(name, now_ns):
            return
        members = tuple(sorted(self._members.get(name, ())))
        for one in members:
            self._cases.pop(one, None)  # it is the link's now
        case = self._cases[name] = Case(name, members=members)
        case.incident = self._incident_of_link(case, silence_s, now_ns)
        step.incidents.append(case.incident)
        step.records.append(self._feed.doubt([one for one in members if self._main_link(one) == name], now_ns))

    def _incident_of_link(self, case: Case, silence_s: float, now_ns: int) -> Incident:
        scope: Scope = "connection"
        return Incident(
            kind="quiet",
            scope=scope,
            reason=self._reason(case.link, "messages of instruments", silence_s),
            ts_ns=now_ns,
            link=case.link,
            instruments=case.members,
            repair="venue",
        )

    def _may_drop(self, name: str, now_ns: int) -> bool:
        """Whether a link may be dropped for its silence (again)."""
        count, at_ns = self._drops.get(name, (0, 0))
        return not count or now_ns - at_ns >= PATIENCE_NS[min(count, len(PATIENCE_NS)) - 1]

    def _main_link(self, instrument: int) -> str:
        known = self._catalogue.get(instrument)
        channel = None if known is None else known.book or next(iter(known.channels), None)
        wire = None if channel is None else self._wires.by_channel.get(channel)
        return "" if wire is None else wire.name

    # ------------------------------------------------------------------ how they go on

    def _pursue(self, key: Stream, case: Case, step: Step, now_ns: int) -> None:
        """Take the next step of a case: a probe, the verdict, what comes of it."""
        wire = self._wires.by_name.get(case.link)
        if wire is None or not wire.is_open:
            del self._cases[key]  # what follows is the lost link's
        elif case.instrument and all(self._speaks(case.instrument, kind, now_ns) for kind in case.kinds):
            self._close(key, case, step, now_ns)
        elif case.renewed_ns:
            self._await_renewed(key, case, step, now_ns)
        elif case.due_ns:
            if case.due_ns <= now_ns:
                self._act(key, case, step, now_ns)
        elif case.asked_ns:
            if now_ns - case.asked_ns >= PROBE_NS:
                case.verdict = f"the venue did not answer within {PROBE_NS // SECOND_NS} s either"
                self._act(key, case, step, now_ns)
        elif case.instrument and BOOK not in case.kinds:
            case.verdict = "nothing else can say whether it lives"
            self._act(key, case, step, now_ns)
        else:
            self._ask(key, case, step, now_ns)

    def _speaks(self, instrument: int, kind: int, now_ns: int) -> bool:
        silence_s = self._watch.silence_s((instrument, kind), now_ns)
        return silence_s is not None and silence_s < SPOKEN_S

    def _ask(self, key: Stream, case: Case, step: Step, now_ns: int) -> None:
        """Ask the venue, if it is this case's turn."""
        waiting = [one for one in self._cases.values() if not one.asked_ns and BOOK in one.kinds]
        under_way = {one.purpose for one in self._cases.values() if one.asked_ns and one.purpose}
        if case.instrument and len(under_way) >= PROBES_MAX:
            return
        if case.instrument and len(waiting) > PROBES_MAX - len(under_way):
            first = sorted(waiting, key=lambda one: -self._books.importance(one.instrument))
            if case not in first[: PROBES_MAX - len(under_way)]:
                return
        instrument = case.instrument or self._comparable(case)
        request = self._book_request(instrument) or self._venue.probe_request()
        if request is None:
            case.verdict = "the venue has nothing to be asked for"
            self._act(key, case, step, now_ns)
            return
        is_book = self._book_request(instrument) is not None
        case.purpose = PROBE + (str(instrument) if is_book else "venue")
        case.asked_ns = now_ns
        self._purposes.add(case.purpose)
        self._errands.add(replace(request, purpose=case.purpose))

    def _book_request(self, instrument: int) -> Request | None:
        """Ask for a book that can be held against ours."""
        known = self._catalogue.get(instrument)
        if known is None or known.book is None or self._venue.dialect.rest_book is None:
            return None
        if not self._is_whole(instrument):
            return None
        return self._venue.book_request(known.listed.native, known.listed.market)

    def _comparable(self, case: Case) -> int:
        """The busiest instrument of a link whose book it carries; 0 = none."""
        here = [one for one in case.members if self._main_link(one) == case.link and self._is_whole(one)]
        return max(here, key=self._books.importance, default=0)

    def _act(self, key: Stream, case: Case, step: Step, now_ns: int) -> None:
        """Subscribe the silent streams anew, or drop the link."""
        if not case.instrument:
            self._tell_repair(case, "reconnect", step)
            count, at_ns = self._drops.get(case.link, (0, 0))
            self._drops[case.link] = (1 if now_ns - at_ns >= PATIENCE_NS[-1] + CALM_NS else count + 1, now_ns)
            step.drop[case.link] = case.incident.reason if case.incident is not None else case.verdict
            del self._cases[key]
            return
        self._tell_repair(case, "resubscribe", step)
        known = self._catalogue.get(case.instrument)
        if known is None:
            del self._cases[key]
            return
        case.renewed_ns = now_ns
        if BOOK in case.kinds:
            self._books.renew(known, step, now_ns)
        if case.kinds - {BOOK}:
            for channel in self._others(known):
                on = self._wires.by_channel.get(channel)
                if on is not None:
                    on.renew(channel, self._books.importance(known.id))

    @staticmethod
    def _others(known: Instrument) -> list[Channel]:
        """Channels besides the book's: which of them carries what is not declared."""
        return [channel for channel in known.channels if not channel.book]

    def _await_renewed(self, key: Stream, case: Case, step: Step, now_ns: int) -> None:
        """What is confirmed and still says nothing has nothing to say; a book that is not whole is being repaired."""
        known = self._catalogue.get(case.instrument)
        if known is None:
            self._close(key, case, step, now_ns)
            return
        channels = list(self._others(known)) if case.kinds - {BOOK} else []
        channels += [known.book] if BOOK in case.kinds and known.book is not None else []
        if now_ns - case.renewed_ns < SETTLE_NS or not self._is_whole(case.instrument):
            return
        if all(self._is_active(channel) for channel in channels):
            self._close(key, case, step, now_ns, innocent=True)

    def _is_active(self, channel: Channel) -> bool:
        wire = self._wires.by_channel.get(channel)
        subscription = None if wire is None else wire.subscriptions.get(channel)
        return subscription is None or subscription.phase == "active"

    # ------------------------------------------------------------------ answers

    def owns(self, purpose: str) -> bool:
        """Whether a request was a probe."""
        return purpose in self._purposes

    def answered(self, request: Request, answer: Answer, step: Step) -> None:
        """Take what the venue says."""
        now_ns = answer.received_ns
        for key, case in list(self._cases.items()):
            if case.purpose != request.purpose or case.due_ns or case.renewed_ns:
                continue
            if request.purpose == PROBE + "venue":
                case.verdict, case.due_ns = f"the venue answers over REST ({answer.status})", now_ns
                continue
            missed = self._missed(int(request.purpose.removeprefix(PROBE)), answer)
            if missed:
                case.verdict, case.due_ns = missed, now_ns + GRACE_NS
            else:
                self._close(key, case, step, now_ns, innocent=True)
        if self._cases and self._look_ns:
            due = [case.due_ns for case in self._cases.values() if case.due_ns]
            self._look_ns = min(self._look_ns, max(min(due, default=self._look_ns), now_ns + 1))

    def _missed(self, instrument: int, answer: Answer) -> str:
        """What the venue's book has and ours has not; empty = nothing."""
        if answer.status != 200:
            return f"the venue answers with status {answer.status}"
        try:
            return self._feed.misses(instrument, answer.body, COMPARED_LEVELS)
        except ValueError as wrong:
            return str(wrong)

    # ------------------------------------------------------------------ how they end

    def _back(self, stream: Stream, step: Step, now_ns: int) -> None:
        """A stream is heard again."""
        instrument, kind = stream if isinstance(stream, tuple) else (stream, 0)
        case = self._cases.get(instrument)
        if case is None:
            return
        case.kinds.discard(kind)
        if not case.kinds:
            self._close(instrument, case, step, now_ns)

    def _close(self, key: Stream, case: Case, step: Step, now_ns: int, *, innocent: bool = False) -> None:
        """A case is over; ``innocent``: its streams have a right to be silent."""
        self._cases.pop(key, None)
        if not innocent:
            return
        concerned = [case.instrument] if case.instrument else case.members
        for instrument in concerned:
            for kind in case.kinds if case.instrument else range(len(WORDS)):
                self._watch.innocent((instrument, kind), now_ns)
        step.records.append(self._feed.trust(list(concerned), now_ns))
        if not case.instrument:
            self._watch.innocent(case.link, now_ns)

    @staticmethod
    def _tell_repair(case: Case, repair: str, step: Step) -> None:
        """Tell the ledger how the entry will be repaired."""
        if case.incident is not None:
            reason = f"{case.incident.reason}; {case.verdict}"
            case.incident = msgspec.structs.replace(case.incident, repair=repair, reason=reason)
            step.incidents.append(case.incident)

    def forget(self, instrument: int) -> None:
        """There is no such instrument any more."""
        self._cases.pop(instrument, None)
        for kind in range(len(WORDS)):
            self._watch.forget((instrument, kind))
