"""Trades that a stream missed: found out, fetched over REST, told once each; what became of them goes to the ledger.

Theory. Between the last trade before a break and the first one behind it there is a *hole*. Where trades of an
instrument count up by one (``chained``), the core sees each hole by itself, whatever made it, and the next trade proves
that there is none. Where nothing counts them, a lost connection makes a hole of unknown size for every instrument whose
trades it carried, which ends with the first trade of the new one.

- A hole is asked for once its channels are subscribed again, so that no trade falls between the answer and the stream.
  Chained trades get some seconds first, in which the next one may prove that nothing is missing: that costs nothing.
- The venue answers in pages, forwards from the last trade known or backwards from the first one behind the hole. What
  lies outside of the hole was told already and is left out, by number where the venue numbers trades in order, by place
  in the answer where it does not. So nothing is told twice, and nothing depends on how much the dedup remembers.
- The hole is *repaired* if all of it was found: proved, where numbers are consecutive and none is left out; else as far
  as the venue tells, if its answers reach from one side of the hole to the other. An answer that is older than the
  stream (a cache) is asked for again.

Trades that are fetched carry the flag BACKFILLED, in the order in which they happened: see ``docs/concepts/latest.md``
for what they do. Trades missed over one lost connection are one entry of the ledger, other holes each its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tickcast import _native
from tickcast.model.record import records_from
from tickcast.venues import rows
from tickcast.venues.base import Answer, Request, Step
from tickcast.venues.declared.books import BookKeeping
from tickcast.venues.declared.dialect import Trades
from tickcast.venues.declared.instruments import Catalogue, Instrument
from tickcast.venues.declared.links import Wire, Wires
from tickcast.venues.declared.pacing import SECOND_NS, Errands
from tickcast.venues.declared.salvage import Salvage
from tickcast.venues.declared.venue import Print, TradeHistory, Venue

LOOK_NS: Final = SECOND_NS // 4
SETTLE_NS: Final = SECOND_NS
"""After the channels are subscribed again, what was on its way has come."""
PATIENCE_NS: Final = 10 * SECOND_NS
"""So long the next chained trade may prove that nothing is missing, before the venue is asked."""
AGAIN_NS: Final = SECOND_NS
"""An answer that failed, or is older than the stream, is asked for again after so long."""
TRIES_MAX: Final = 4
VAIN_MAX: Final = 20
"""After so many jumps in a row behind which the venue had nothing, its numbers have holes of their own."""
HOLES_MAX: Final = 8
"""Of one instrument at a time; more are not fetched."""
PURPOSE: Final = "trades "
HEARD: Final = 0
"""Trades, among the kinds of streams that the core has heard."""


@dataclass(frozen=True, slots=True)
class Row:
    """A trade of an answer."""

    number: int
    """By which it is ordered; its place where the venue orders by nothing else."""
    print: Print
    record: bytes
    text: str | None


@dataclass(slots=True, eq=False, kw_only=True)
class Hole:
    """Of one instrument; see the module."""

    instrument: int
    salvage: Salvage
    after: Print
    before: Print | None = None
    """None: nothing was told since."""
    missing: int = 0
    """By numbers; 0 = nobody knows."""
    link: str = ""
    """Lost, and its channels are not back yet; empty = nothing is waited for."""
    back_ns: int = 0
    due_ns: int = 0
    """When to ask; 0 = not yet, or asked already."""
    purpose: str = ""
    """Of the request under way."""
    low: Print
    high: Print | None = None
    """What is left of the hole while it is paged through."""
    found: dict[int, Row] = field(default_factory=dict)
    placed: list[Row] = field(default_factory=list)
    """All that its answers hold, where trades have only their place."""
    pages: int = 0
    tries: int = 0
    meets_start: bool = False
    """The answers reach back to ``after``."""
    meets_end: bool = False

    def begin_again(self) -> None:
        """Ask for all that is not found yet."""
        self.low, self.high = self.after, self.before
        self.meets_start = self.meets_end = False
        self.pages = 0
        self.placed = []


class Backfill:
    """Of one feed; see the module."""

    def __init__(
        self,
        venue: Venue,
        *,
        feed: "_native.JsonFeed",
        catalogue: Catalogue,
        wires: Wires,
        books: BookKeeping,
        errands: Errands,
        is_on: bool = True,
    ) -> None:
        self._venue = venue
        self._feed = feed
        self._catalogue = catalogue
        self._wires = wires
        self._books = books
        self._errands = errands
        readable = venue.dialect.rest_trades is not None
        self._history: TradeHistory | None = venue.trade_history if is_on and readable else None
        self._chained = chained(venue)
        self._holes: dict[int, list[Hole]] = {}
        self._purposes: dict[str, Hole] = {}
        self._serial = 0
        self._look_ns = 0
        self._vain = 0
        """Jumps in a row behind which the venue had nothing."""

    # ------------------------------------------------------------------ what goes wrong

    def lost(self, wire: Wire, now_ns: int) -> None:
        """A link is lost: trades of every instrument that it told trades of may be missed."""
        if self._history is None:
            return
        salvage = Salvage(f"{wire.name} {now_ns}", "connection", now_ns, wire.name, over="a lost connection")
        for instrument, kind, number, _ in self._feed.heard():
            if kind == HEARD and number == wire.number and self._catalogue.get(instrument) is not None:
                first = self._feed.first_trade(instrument)
                if self._is_again(instrument, first, wire.name, now_ns):
                    continue
                newest = self._feed.mark_trades(instrument)
                if newest is not None:
                    self._lose(instrument, Print(*newest), salvage, now_ns)

    def _is_again(self, instrument: int, first: "_native.JsonPrint | None", link: str, now_ns: int) -> bool:
        """End an open hole of an instrument with the first trade behind it; True: nothing came, and it stays open."""
        waiting = self._open_ended(instrument)
        if waiting is not None and first is not None:
            waiting.before, waiting.link, waiting.due_ns = Print(*first), "", now_ns
            waiting.begin_again()
        elif waiting is not None:
            waiting.link, waiting.back_ns, waiting.due_ns, waiting.purpose = link, 0, 0, ""
            return True
        return False

    def _lose(self, instrument: int, after: Print, salvage: Salvage, now_ns: int) -> None:
        self._open(Hole(instrument=instrument, salvage=salvage, after=after, low=after, link=salvage.link), now_ns)

    def _skipped(self, decoded: "_native.JsonDecoded", times: Sequence[int], link: str) -> None:
        """The numbers of a connection have jumped, and nothing else counts its trades: any may be missed."""
        found: dict[int, Salvage] = {}
        for instrument, frame, newest, first in decoded.losses:
            now_ns = times[frame]
            over = "a jump of the numbers of a connection"
            salvage = found.setdefault(frame, Salvage(f"{link} {now_ns}", "connection", now_ns, link, over=over))
            if not self._is_again(instrument, first, link, now_ns):
                self._lose(instrument, Print(*newest), salvage, now_ns)

    def _open_ended(self, instrument: int) -> Hole | None:
        """The hole of an instrument behind which nothing was told."""
        found = self._holes.get(instrument, ())
        return next((one for one in found if one.before is None), None)

    def jumped(self, decoded: "_native.JsonDecoded", step: Step, times: Sequence[int], link: str) -> None:
        """Numbers of trades have jumped; tell it before the rows that say so."""
        if self._history is None:
            return
        self._skipped(decoded, times, link)
        told: dict[Salvage, None] = {}
        for instrument, frame, after, before, missing in decoded.holes:
            now_ns = times[frame]
            hole = self._open_ended(instrument)
            if hole is None:
                self._serial += 1
                salvage = Salvage(f"{instrument} {self._serial}", "instrument", now_ns, link)
                place = Print(*after)
                hole = Hole(instrument=instrument, salvage=salvage, after=place, low=place)
                hole.before = Print(*before)
                hole.missing = missing
                if not self._open(hole, now_ns):
                    step.incidents.append(salvage.incident(now_ns))
                    continue
            hole.after, hole.before, hole.missing = Print(*after), Print(*before), missing
            hole.link, hole.due_ns, hole.purpose = "", now_ns, ""
            hole.begin_again()
            salvage = hole.salvage
            salvage.concerned[instrument] = None
            salvage.missing += missing
            if salvage.scope == "instrument":
                salvage.from_number = self._number(hole.after) + 1
                salvage.to_number = salvage.from_number + missing - 1
            told[salvage] = None
        step.incidents.extend(one.incident(times[-1]) for one in told)

    def _open(self, hole: Hole, now_ns: int) -> bool:
        """Keep a hole; False: there are too many already, and it is lost."""
        kept = self._holes.get(hole.instrument, [])
        is_vain = self._vain >= VAIN_MAX and hole.missing > 0
        if is_vain or len(kept) >= HOLES_MAX:
            hole.salvage.missing += hole.missing
            self._blame(hole, "numbers of this venue have holes of their own" if is_vain else "too many holes at once")
            return False
        self._holes[hole.instrument] = [*kept, hole]
        hole.salvage.open[hole.instrument] = hole.salvage.open.get(hole.instrument, 0) + 1
        self._look_ns = self._look_ns or now_ns
        return True

    def forget(self, instrument: int, step: Step, now_ns: int) -> None:
        """There is no such instrument any more."""
        for hole in list(self._holes.get(instrument, ())):
            self._settle(hole, step, now_ns, lost="it was delisted" if hole.missing else "")

    # ------------------------------------------------------------------ time

    def next_ns(self) -> int:
        """When :meth:`look` wants to be called; 0 = not at all."""
        return self._look_ns

    def look(self, step: Step, now_ns: int) -> None:
        """Ask for what is due."""
        if not self._look_ns or self._look_ns > now_ns:
            return
        for hole in [one for kept in self._holes.values() for one in kept]:
            if hole.link and not hole.purpose and not hole.due_ns:
                self._await_link(hole, step, now_ns)
            if hole.due_ns and hole.due_ns <= now_ns:
                self._ask(hole, step, now_ns)
        self._look_ns = now_ns + LOOK_NS if self._holes else 0

    def _await_link(self, hole: Hole, step: Step, now_ns: int) -> None:
        """See whether the channels of a lost link are subscribed again, and long enough."""
        known, wire = self._catalogue.get(hole.instrument), self._wires.by_name.get(hole.link)
        if known is None or wire is None or not wire.is_open or not self._is_back(known, wire):
            hole.back_ns = 0
            return
        hole.back_ns = hole.back_ns or now_ns
        first = self._feed.first_trade(hole.instrument)
        if self._chained and first is not None:
            self._settle(hole, step, now_ns)  # it followed by its number
        elif now_ns - hole.back_ns >= (PATIENCE_NS if self._chained else SETTLE_NS):
            hole.before = None if first is None else Print(*first)
            hole.due_ns = now_ns
            hole.begin_again()

    def _is_back(self, known: Instrument, wire: Wire) -> bool:
        subscriptions = (
            wire.subscriptions.get(one) for one in known.channels if self._wires.by_channel.get(one) is wire
        )
        return all(one is not None and one.phase in {"active", "refused"} for one in subscriptions)

    # ------------------------------------------------------------------ questions and answers

    def _ask(self, hole: Hole, step: Step, now_ns: int) -> None:
        hole.due_ns = 0
        self._venue.now_ns = now_ns
        known = self._catalogue.get(hole.instrument)
        request = None if known is None else self._venue.trades_request(known.listed, hole.low, hole.high)
        if known is None or request is None:
            self._settle(hole, step, now_ns, lost="the venue cannot be asked for it")
            return
        self._serial += 1
        hole.purpose = f"{PURPOSE}{known.definition.symbol} {self._serial}"
        self._purposes[hole.purpose] = hole
        # behind books, before what is polled; what is watched or busy first
        priority = -1 / (2 + self._books.importance(hole.instrument))
        self._errands.add(replace(request, purpose=hole.purpose, priority=priority))

    def owns(self, purpose: str) -> bool:
        """Whether a request was for missed trades."""
        return purpose in self._purposes

    def answered(self, request: Request, answer: Answer, step: Step) -> None:
        """Take trades from REST."""
        hole, history, now_ns = self._purposes.pop(request.purpose), self._history, answer.received_ns
        if history is None or hole.purpose != request.purpose:
            return  # it was asked for anew since
        hole.purpose = ""
        if answer.status != 200:
            self._failed(hole, f"the venue answers with status {answer.status}", step, now_ns)
            return
        decoded = self._feed.rest_trades(hole.instrument, answer.body, now_ns)
        if decoded.dead_count:
            reason = decoded.dead[0][1]
            step.bury(f"{request.purpose}: {reason}", answer.body[:256])
            self._failed(hole, reason, step, now_ns)
            return
        hole.pages += 1
        found = self._rows(decoded, history)
        take = self._take_placed if history.order == "place" else self._take
        again = take(hole, found, history)
        is_complete = self._chained and hole.before is not None and not self._absent(hole)
        if again and not is_complete:
            if hole.pages < history.pages_max:
                self._ask(hole, step, now_ns)
            else:
                self._finish(hole, step, now_ns, lost=f"there are more than {hole.pages} answers hold")
        else:
            self._finish(hole, step, now_ns)

    def _failed(self, hole: Hole, reason: str, step: Step, now_ns: int) -> None:
        hole.tries += 1
        if hole.tries < TRIES_MAX:
            hole.due_ns = now_ns + AGAIN_NS * hole.tries
            self._look_ns = self._look_ns or now_ns
        else:
            self._finish(hole, step, now_ns, lost=reason)

    def _rows(self, decoded: "_native.JsonDecoded", history: TradeHistory) -> list[Row]:
        """Return an answer's trades, oldest first."""
        told = records_from(decoded.records)
        columns = (told[name].tolist() for name in ("id", "seq", "ts_event"))
        size = rows.ROW.size
        found = []
        for place, (ident, seq, ts_ns) in enumerate(zip(*columns, strict=True)):
            number = {"id": ident, "seq": seq, "place": place}[history.order]
            record = decoded.records[place * size : (place + 1) * size]
            found.append(Row(number, Print(ident, seq, ts_ns), record, decoded.texts.get(place)))
        return found

    def _number(self, place: Print) -> int:
        by_seq = self._history is not None and self._history.order == "seq"
        return place.seq if by_seq else place.ident

    def _begin(self, place: Print) -> int:
        """First number that a trade stands for."""
        return self._number(place) - place.covers + 1

    def _take(self, hole: Hole, found: list[Row], history: TradeHistory) -> bool:
        """Take a page of numbered trades; whether there is another one."""
        low, high = self._number(hole.after), None if hole.before is None else self._begin(hole.before)
        hole.found.update(
            (row.number, row) for row in found if low < row.number and (high is None or row.number < high)
        )
        first = min(found, key=_numbered, default=None)
        last = max(found, key=_numbered, default=None)
        is_full = len(found) >= history.page
        if history.backwards:
            asked = None if hole.high is None else self._number(hole.high)
            joins = not history.overlaps or asked is None or (last is not None and last.number >= asked)
            hole.meets_end = joins and (hole.meets_end or hole.pages == 1)
            hole.meets_start = first is not None and first.number <= low
            is_new = first is not None and (asked is None or first.number < asked)
            if first is None or not (is_full and is_new and joins) or hole.meets_start:
                return False
            hole.high = first.print
            return True
        asked = self._number(hole.low)
        joins = not history.overlaps or (first is not None and first.number <= asked)
        hole.meets_start = joins and (hole.meets_start or hole.pages == 1)
        hole.meets_end = high is None or (last is not None and last.number >= high)
        is_new = last is not None and last.number > asked
        if last is None or not (is_full and is_new and joins) or (high is not None and hole.meets_end):
            return False
        hole.low = last.print
        return True

    def _take_placed(self, hole: Hole, found: list[Row], history: TradeHistory) -> bool:
        """Take a page of trades without numbers: those between the two that are known, by place."""
        known = {row.print.ident for row in hole.placed}
        more = [row for row in found if row.print.ident not in known]
        joins = hole.pages == 1 or len(more) < len(found)
        hole.placed += more
        _choose(hole)
        hole.meets_start &= joins
        if history.backwards or not (more and joins) or len(found) < history.page or _is_past(hole):
            return False
        hole.low = found[-1].print
        return True

    # ------------------------------------------------------------------ what became of it

    def _finish(self, hole: Hole, step: Step, now_ns: int, *, lost: str = "") -> None:
        """All answers are there: judge them, and tell the trades."""
        absent = self._absent(hole)
        is_proved = self._chained and not absent
        is_short = self._chained and hole.before is not None and self._begin(hole.before) - 1 not in hole.found
        is_behind = not is_proved and (not hole.meets_end or is_short)
        if not lost and is_behind and hole.tries + 1 < TRIES_MAX:
            hole.tries += 1  # an answer that is older than the stream
            hole.begin_again()
            hole.due_ns = now_ns + AGAIN_NS * hole.tries
            self._look_ns = self._look_ns or now_ns
            return
        if not is_proved and not lost and not (hole.meets_start and hole.meets_end):
            lost = self._unreached(hole)
        self._tell(hole, step, now_ns)
        salvage, count = hole.salvage, len(hole.found)
        if hole.missing and not lost:
            self._vain = 0 if count else self._vain + 1
        if count or lost or hole.missing:
            salvage.concerned[hole.instrument] = None
        salvage.recovered += count
        wanted = count + absent if lost else count  # numbers that the venue never gave away are no trades
        salvage.missing += wanted - hole.missing
        salvage.is_unproved |= bool(count) and not is_proved
        self._settle(hole, step, now_ns, lost="" if is_proved else lost)

    def _absent(self, hole: Hole) -> int:
        """How many consecutive numbers of the hole were not found; 0 where nothing counts them."""
        if not self._chained:
            return 0
        end = max(hole.found, default=self._number(hole.after)) + 1
        if hole.before is not None:
            end = max(self._begin(hole.before), self._number(hole.after) + 1)
        return end - self._number(hole.after) - 1 - len(hole.found)

    def _unreached(self, hole: Hole) -> str:
        reach = "" if self._history is None else self._history.reach
        side = "not back to the last trade known" if not hole.meets_start else "not up to the first trade behind"
        return f"what the venue tells ({reach}) reaches {side}"

    def _tell(self, hole: Hole, step: Step, now_ns: int) -> None:
        """Tell the trades that were found, in order, and where a loss was told, that they came after all."""
        found = [hole.found[number] for number in sorted(hole.found)]
        base = sum(map(len, step.records)) // rows.ROW.size
        step.texts.update((base + place, row.text) for place, row in enumerate(found) if row.text is not None)
        step.records.extend(row.record for row in found)
        if found and hole.before is None:
            newest = found[-1]
            place = (newest.print.ident, newest.print.seq, newest.print.ts_ns, 1)
            self._feed.filled_trades(hole.instrument, place, self._number(newest.print))
        if found and hole.missing and hole.before is not None:
            behind = self._number(hole.before)
            step.records.append(rows.gap(hole.instrument, len(found), next_seq=behind, ts_recv=now_ns, repaired=True))

    def _settle(self, hole: Hole, step: Step, now_ns: int, *, lost: str = "") -> None:
        """A hole is over; the ledger is told when it is the last one of its entry."""
        kept = [one for one in self._holes[hole.instrument] if one is not hole]
        if kept:
            self._holes[hole.instrument] = kept
        else:
            del self._holes[hole.instrument]
        self._purposes.pop(hole.purpose, None)
        salvage = hole.salvage
        salvage.open[hole.instrument] -= 1
        if not salvage.open[hole.instrument]:
            del salvage.open[hole.instrument]
        if lost:
            self._blame(hole, lost)
        self._count_told_again(hole)
        if salvage.concerned and (not salvage.open or hole.instrument in salvage.concerned):
            step.incidents.append(salvage.incident(now_ns))

    def _count_told_again(self, hole: Hole) -> None:
        """Count what a subscription told of the past after its link was lost: the numbers leave nothing out."""
        if hole.salvage.scope == "connection":
            told = self._feed.refilled_trades(hole.instrument)
            if told:
                hole.salvage.concerned[hole.instrument] = None
                hole.salvage.missing += told
                hole.salvage.recovered += told

    def _blame(self, hole: Hole, reason: str) -> None:
        known = self._catalogue.get(hole.instrument)
        name = known.definition.symbol if known is not None else str(hole.instrument)
        hole.salvage.blame(hole.instrument, f"{name}: {reason}")

    @property
    def open_count(self) -> int:
        """Holes that are not settled."""
        return sum(map(len, self._holes.values()))


def _choose(hole: Hole) -> None:
    """Find the trades of a hole among those of its answers, by place."""
    found = hole.placed
    idents = [row.print.ident for row in found]
    begin = max((place + 1 for place, ident in enumerate(idents) if ident == hole.after.ident), default=0)
    hole.meets_start = begin > 0 or (bool(found) and found[0].print.ts_ns < hole.after.ts_ns)
    if not begin:
        begin = next((place for place, row in enumerate(found) if row.print.ts_ns >= hole.after.ts_ns), len(found))
    end = len(found)
    hole.meets_end = hole.before is None
    if hole.before is not None and hole.before.ident in idents:
        end, hole.meets_end = idents.index(hole.before.ident), True
    elif hole.before is not None:
        newer = (place for place, row in enumerate(found) if row.print.ts_ns >= hole.before.ts_ns)
        end = next(newer, len(found))
    hole.found = dict(enumerate(found[begin:end]))


def _is_past(hole: Hole) -> bool:
    """Whether the answers reach beyond the end of a hole."""
    return hole.before is not None and (hole.meets_end or hole.placed[-1].print.ts_ns > hole.before.ts_ns)


def _numbered(row: Row) -> int:
    return row.number


def chained(venue: Venue) -> bool:
    """Whether trades of an instrument count up by one."""
    return any(one.chained for one in emitted(venue))


def emitted(venue: Venue) -> Iterable[Trades]:
    """Yield the declarations of trades."""
    return (
        emit
        for message in venue.dialect.messages
        for emit in message.emits
        if isinstance(emit, Trades) and not emit.liquidation
    )
