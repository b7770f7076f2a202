"""What a session does about books: those that are not whole are repaired, those that nothing proves are compared."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from tickcast import _native
from tickcast.model.ledger import Incident
from tickcast.model.record import State
from tickcast.venues.base import Answer, Request, Step, VenueConfig
from tickcast.venues.declared import dialect, incidents
from tickcast.venues.declared.instruments import Catalogue, Instrument
from tickcast.venues.declared.links import Wire, Wires
from tickcast.venues.declared.pacing import SECOND_NS, Errands, soonest
from tickcast.venues.declared.placing import place_rows
from tickcast.venues.declared.repairs import Repairs
from tickcast.venues.declared.venue import Venue, Withheld

BOOK: Final = "book "
COMPARE: Final = "compare "
IDLE: Final = -1.0
"""Priority of comparisons and polls."""
COMPARED_LEVELS: Final = 25
WATCHER: Final = 1e12
"""What one who watches an instrument is worth, in rows of it."""
WEIGH_NS: Final = SECOND_NS // 2
"""While requests wait for the venue's quota, it is seen so often which of them is the most urgent."""
PROOF_NS: Final = 2 * SECOND_NS
"""A book that was kept over a lost link has so long to prove by its chain that it is whole."""
REST_NS: Final = 60 * SECOND_NS
"""A book over REST may wait so long for the venue's quota before it is asked for anew."""


class BookKeeping:
    """The books of one feed."""

    def __init__(
        self,
        venue: Venue,
        config: VenueConfig,
        *,
        feed: "_native.JsonFeed",
        catalogue: Catalogue,
        wires: Wires,
        errands: Errands,
    ) -> None:
        self._venue = venue
        self._feed = feed
        self._catalogue = catalogue
        self._wires = wires
        self._errands = errands
        self._repairs = Repairs()
        rules = snapshot_kinds(venue.dialect)
        self._from_rest = "rest" in rules
        self._asks_on_links = "asked" in rules
        self._heals_itself = rules <= {"every"}
        self._begins_over_rest = self._from_rest or (self._heals_itself and venue.dialect.rest_book is not None)
        """Where every message is a whole book, the first may be long in coming: a book over REST stands in for it."""
        self.repair = "" if self._heals_itself else "snapshot" if rules & {"rest", "asked"} else "resubscribe"
        """How a break is made good, as the ledger says it."""
        self._whole: set[int] = set()
        self._purposes: dict[str, int] = {}
        self._outdated: set[str] = set()
        """Requests under way that were sent before their book's stream broke off: what changed between the two is in
        neither."""
        self._activity: dict[int, int] = {}
        """Rows of each instrument, as of ``_weighed_ns``."""
        self._weighed_ns = 0
        self._watched: Mapping[int, int] = {}
        """Watchers of each instrument."""
        self._compare_every_ns = int(config.compare_interval_s * SECOND_NS)
        self._compare_ns = 0
        self._turns: list[int] = []
        self._doubted: set[int] = set()
        """Books that differed from the venue's own once: a second time, it is no accident of timing."""

    # ------------------------------------------------------------------ what happens to them

    def judge(self, decoded: "_native.JsonDecoded", step: Step, times: Sequence[int], link: str) -> list[int]:
        """Take what became of books; returns those that became whole."""
        now_ns = times[-1]
        step.incidents.extend(incidents.of_breaks(decoded.breaks, link=link, times=times, repair=self.repair))
        for broken in decoded.breaks:
            self.broken(broken.instrument, now_ns)
            if self._errands.is_under_way(self._purpose(BOOK, broken.instrument)):
                self._repairs.asked(broken.instrument, now_ns, within_ns=REST_NS)
                step.records.append(self._feed.suspend([broken.instrument], State.REPAIRING, now_ns))
        broken_ones = {broken.instrument for broken in decoded.breaks}
        became = []
        for instrument in dict.fromkeys(decoded.whole):
            if instrument in broken_ones and State(self._feed.state(instrument)) in {State.GAP, State.REPAIRING}:
                continue  # it broke again behind that
            self._whole.add(instrument)
            self._repairs.whole(instrument, now_ns)
            self._came(instrument, now_ns)
            became.append(instrument)
        for instrument in decoded.short:
            self._came(instrument, now_ns)
            self.broken(instrument, now_ns)
        return became

    def _came(self, instrument: int, now_ns: int) -> None:
        """A book has come, or is whole without: where books are asked for on their link, the next one's turn comes."""
        known = self._catalogue.get(instrument) if self._asks_on_links else None
        wire = self._wires.by_channel.get(known.book) if known is not None and known.book is not None else None
        if known is not None and known.book is not None and wire is not None:
            wire.asks.answered(known.book, now_ns)

    def broken(self, instrument: int, now_ns: int) -> None:
        """A book is not whole."""
        self._whole.discard(instrument)
        if not self._heals_itself:
            self._repairs.broken(instrument, now_ns)

    def subscribed(self, instrument: int, now_ns: int, step: Step) -> None:
        """The channel of a book is subscribed: its beginning is to come."""
        if self._feed.state(instrument) == State.EMPTY:
            step.records.append(self._feed.suspend([instrument], State.SYNCING, now_ns))
        if instrument in self._whole or (self._heals_itself and not self._begins_over_rest):
            return
        is_asked_for = self._is_asked_for(instrument)
        if self._begins_over_rest or is_asked_for:
            # a book that was kept while its link was gone may prove by its chain that it missed nothing
            is_kept = State(self._feed.state(instrument)) == State.STALE and self._feed.last_id(instrument) > 0
            if is_asked_for and not is_kept:
                self._repairs.ready(instrument, now_ns)
            else:
                self._repairs.broken(instrument, now_ns, after_ns=PROOF_NS if is_kept else 0)
        else:
            self._repairs.waiting(instrument, now_ns)

    def dismiss(self, instruments: Sequence[int]) -> None:
        """Nothing is to be asked for: their link is closed, or the venue refuses."""
        for instrument in instruments:
            self._whole.discard(instrument)
            self._repairs.dismiss(instrument)
            purpose = self._purpose(BOOK, instrument)
            if self._errands.is_under_way(purpose):
                self._outdated.add(purpose)

    def forget(self, instrument: int) -> None:
        """There is no such instrument any more."""
        self.dismiss([instrument])
        self._repairs.forget(instrument)
        self._doubted.discard(instrument)
        for purpose in [purpose for purpose, one in self._purposes.items() if one == instrument]:
            del self._purposes[purpose]
            self._outdated.discard(purpose)

    def _is_asked_for(self, instrument: int) -> bool:
        """Whether its book is asked for on its own link."""
        known = self._catalogue.get(instrument)
        return known is not None and known.book is not None and self._venue.ask_book(known.book) is not None

    def _purpose(self, kind: str, instrument: int) -> str:
        known = self._catalogue.get(instrument)
        return kind + (known.definition.symbol if known is not None else str(instrument))

    # ------------------------------------------------------------------ what is due

    def next_ns(self) -> int:
        """When :meth:`pump` has something to do; 0 = never."""
        weighing_ns = self._weighed_ns + WEIGH_NS if self._errands.count > 1 else 0
        due = [self._repairs.next_ns(), self._compare_ns, weighing_ns]
        if self._asks_on_links:
            due += [wire.asks.next_ns() for wire in self._wires if wire.is_open]
        return soonest(due)

    def pump(self, step: Step, now_ns: int) -> None:
        """Ask for the books that are due."""
        due = self._repairs.next_ns()
        if due and due <= now_ns:
            self._weigh(now_ns)
            self._repair(step, now_ns)
        elif self._errands.count > 1 and self._weighed_ns + WEIGH_NS <= now_ns:
            self._weigh(now_ns)
        if self._asks_on_links:
            self._ask_on_links(now_ns)
        if self._compare_every_ns and self._compare_ns <= now_ns:
            if self._compare_ns:
                self._compare(now_ns)
            self._compare_ns = now_ns + self._compare_every_ns

    def _weigh(self, now_ns: int) -> None:
        """See anew which instruments are busy."""
        self._activity = dict(self._feed.activity())
        self._weighed_ns = now_ns

    def watched(self, counts: Mapping[int, int]) -> None:
        """Take how many watch each instrument: what is watched most goes first, then what is busiest."""
        self._watched = counts

    def importance(self, instrument: int) -> float:
        """Say how urgent an instrument is."""
        return self._watched.get(instrument, 0) * WATCHER + self._activity.get(instrument, 0)

    def renew(self, known: Instrument, step: Step, now_ns: int) -> None:
        """A book's stream is dead: it is subscribed anew, and the book begins anew."""
        wire = None if known.book is None else self._wires.by_channel.get(known.book)
        if known.book is None or wire is None:
            return
        self.broken(known.id, now_ns)
        self._repairs.asked(known.id, now_ns)
        wire.renew(known.book, self.importance(known.id))
        step.records.append(self._feed.suspend([known.id], State.REPAIRING, now_ns))

    def _repair(self, step: Step, now_ns: int) -> None:
        dropped = []
        for instrument in self._repairs.due(now_ns, self.importance):
            known = self._catalogue.get(instrument)
            if known is None or known.book is None:
                self._repairs.dismiss(instrument)
                continue
            wire = self._wires.by_channel.get(known.book)
            if wire is None or not wire.is_open:
                self._repairs.dismiss(instrument)
                continue
            if self._venue.ask_book(known.book) is not None:
                wire.asks.add(known.book, instrument)
                self._repairs.queued(instrument, now_ns)
                if self._feed.state(instrument) == State.GAP:
                    dropped.append(instrument)
            elif self._begins_over_rest:
                self._ask(known)
                self._repairs.asked(instrument, now_ns, within_ns=REST_NS)
                if self._feed.state(instrument) == State.GAP:
                    dropped.append(instrument)
            else:
                wire.renew(known.book, self.importance(instrument))
                self._repairs.asked(instrument, now_ns)
                dropped.append(instrument)
        if dropped:
            step.records.append(self._feed.suspend(dropped, State.REPAIRING, now_ns))

    def _ask_on_links(self, now_ns: int) -> None:
        """Ask on each link for the book whose turn it is."""
        for wire in self._wires:
            due_ns = wire.asks.next_ns() if wire.is_open else 0
            if not due_ns or due_ns > now_ns:
                continue
            if self._weighed_ns + WEIGH_NS <= now_ns:
                self._weigh(now_ns)
            found = wire.asks.take(now_ns, self.importance)
            frame = None if found is None else self._venue.ask_book(found[0])
            if found is not None and frame is not None:
                wire.say(frame)
                self._repairs.asked(found[1], now_ns)

    def withheld(self, refusal: Withheld, wire: Wire, now_ns: int) -> None:
        """The venue does not give a book that was asked for on a link."""
        for channel in wire.named(refusal.channel):
            is_ours = wire.asks.withheld(channel, now_ns, too_soon=refusal.too_soon)
            instrument = next((one.id for one in self._catalogue.all if one.book == channel), None)
            if is_ours and refusal.too_soon and instrument is not None and self._repairs.is_open(instrument):
                wire.asks.add(channel, instrument)
                self._repairs.queued(instrument, now_ns)

    def _ask(self, known: Instrument) -> None:
        request = self._venue.book_request(known.listed.native, known.listed.market)
        if request is None:
            return
        purpose = self._purpose(BOOK, known.id)
        self._purposes[purpose] = known.id
        self._errands.add(replace(request, purpose=purpose))

    def _compare(self, now_ns: int) -> None:
        """Ask for one of the books that nothing proves, by turns."""
        del now_ns
        self._turns = [one for one in self._turns if self._feed.state(one) == State.UNVERIFIED] or [
            one.id
            for one in self._catalogue.all
            if one.book is not None and self._feed.state(one.id) == State.UNVERIFIED
        ]
        if not self._turns:
            return
        known = self._catalogue.get(self._turns.pop(0))
        request = None if known is None else self._venue.book_request(known.listed.native, known.listed.market)
        if known is None or request is None:
            return
        purpose = self._purpose(COMPARE, known.id)
        self._purposes[purpose] = known.id
        self._errands.add(replace(request, purpose=purpose, priority=IDLE))

    def urgency(self, request: Request) -> float:
        """Say how urgent a request is: a book that is watched, then one that is much traded, goes first."""
        instrument = self._purposes.get(request.purpose)
        if instrument is None or request.purpose.startswith(COMPARE):
            return request.priority
        return self.importance(instrument)

    # ------------------------------------------------------------------ answers

    def owns(self, purpose: str) -> bool:
        """Whether a request was for a book."""
        return purpose in self._purposes

    def answered(self, request: Request, answer: Answer, step: Step) -> list[int]:
        """Take a book from REST; returns those that became whole.

        Raises:
            ValueError: it is none; it has to be asked for again.
        """
        instrument = self._purposes[request.purpose]
        known = self._catalogue.get(instrument)
        if known is None:
            return []
        if answer.status != 200:
            raise ValueError(f"expected status 200, found {answer.status}")
        if request.purpose.startswith(COMPARE):
            self._judge_comparison(known, answer, step)
            return []
        is_outdated = request.purpose in self._outdated
        self._outdated.discard(request.purpose)
        if not self._repairs.is_open(instrument):
            return []
        if is_outdated:
            step.repeat.append(request)
            self._repairs.asked(instrument, answer.received_ns, within_ns=REST_NS)
            return []
        decoded = self._feed.rest_book(instrument, answer.body, answer.received_ns)
        place_rows(step, decoded.records, decoded.texts, ())
        if decoded.dead_count:
            raise ValueError(decoded.dead[0][1] if decoded.dead else "it was not understood")
        became = self.judge(decoded, step, [answer.received_ns], "")
        if decoded.short and instrument not in became:
            step.repeat.append(request)
            self._repairs.asked(instrument, answer.received_ns, within_ns=REST_NS)
        elif decoded.breaks:
            self.broken(
                instrument, answer.received_ns
            )  # the answer itself was wrong, and nothing is under way any more
        elif instrument not in became and self._is_up(instrument):
            self._whole.add(instrument)  # it was whole already, and the answer is older
            self._repairs.whole(instrument, answer.received_ns)
        return became

    def _is_up(self, instrument: int) -> bool:
        down = {State.EMPTY, State.SYNCING, State.GAP, State.REPAIRING, State.STALE}
        return State(self._feed.state(instrument)) not in down

    def _judge_comparison(self, known: Instrument, answer: Answer, step: Step) -> None:
        if self._feed.state(known.id) != State.UNVERIFIED:
            return
        difference = self._feed.compare(known.id, answer.body, COMPARED_LEVELS, answer.received_ns)
        if not difference:
            self._doubted.discard(known.id)
        elif known.id not in self._doubted:
            self._doubted.add(known.id)
            self._turns.insert(0, known.id)
        else:
            self._doubted.discard(known.id)
            step.incidents.append(
                Incident(
                    kind="compared",
                    scope="instrument",
                    reason=difference,
                    ts_ns=answer.received_ns,
                    instruments=(known.id,),
                    repair=self.repair,
                )
            )
            step.records.append(self._feed.suspend([known.id], State.GAP, answer.received_ns))
            self.broken(known.id, answer.received_ns)


def snapshot_kinds(declared: dialect.Dialect) -> set[str]:
    """Return where the books of a dialect begin, as its rules say it."""
    return {rule.snapshot for _, rule in dialect.books_of_feeds(declared)}
