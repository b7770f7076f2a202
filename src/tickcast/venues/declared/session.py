"""One session for every declared venue: it lists, subscribes, decodes by the core, repairs, and tells the ledger.

The order of things: the venue's lists of instruments; for what the config asks of them, channels, spread over links
(:mod:`.links`); on each link the subscriptions, as fast as the venue takes them; then frames, decoded by the core in
one call for each read. What the core does not know goes to the venue's Python, and its rows back to their place.

A link whose end is known is replaced before it ends (:mod:`.handover`); chosen instruments come over two links always,
lines A and B, of which the one that was not lost is what the instrument depends on.

A book that breaks is marked by the core at once, and repaired on its own (:mod:`.books`): from a snapshot over REST, or
by subscribing its channel anew, while all others go on. Lost links leave stale what depends on them
(:mod:`.dependence`). All of it is told to the ledger. Nothing here waits or reads a clock:
what is due is done when :meth:`DeclaredSession.wake` is called.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

import msgspec

from tickcast import _native
from tickcast.model.health import Findings, Overlap
from tickcast.model.record import State
from tickcast.venues import rows
from tickcast.venues.base import Answer, Quota, Request, Step, VenueConfig
from tickcast.venues.declared import venue as said
from tickcast.venues.declared.admissions import Admissions
from tickcast.venues.declared.alarm import Alarm
from tickcast.venues.declared.backfill import Backfill
from tickcast.venues.declared.books import IDLE, BookKeeping
from tickcast.venues.declared.choosing import ON_DEMAND, Choosing, of_choice, say
from tickcast.venues.declared.clock import ClockWatch, sight
from tickcast.venues.declared.dependence import Dependence
from tickcast.venues.declared.drift import DriftWatch, sums_books
from tickcast.venues.declared.handover import Handovers
from tickcast.venues.declared.incidents import halt, of_damage, of_listing
from tickcast.venues.declared.instruments import Catalogue, Changes, Instrument, Wanted
from tickcast.venues.declared.links import PONG_NS, Wire, Wires
from tickcast.venues.declared.pacing import SECOND_NS, Errands, soonest
from tickcast.venues.declared.placing import Inserted, place_rows
from tickcast.venues.declared.venue import UNREADABLE, Channel, Venue
from tickcast.venues.naming import Naming
from tickcast.venues.selection import Changed, SymbolList

POLL: Final = "poll "
URGENT: Final = 1e18
"""Priority of the lists of instruments."""
PROBE_URGENT: Final = 1e17
"""Priority of what is asked to tell quiet from dead: it is cheap and rare."""
DAMAGE_NS: Final = SECOND_NS
POLLS_LINK: Final = 1 << 16
"""Numbers of links from here on are those of answers that are read as frames."""


class DeclaredSession:
    """Drives a :class:`tickcast.venues.declared.venue.Venue` as a :class:`tickcast.venues.base.Session`."""

    def __init__(
        self,
        venue: Venue,
        *,
        feed: str,
        config: VenueConfig,
        securities: Mapping[str, Sequence[str]],
        previous_close: Mapping[str, str],
    ) -> None:
        limits = venue.limits
        if config.channels_max:
            limits = replace(limits, channels_per_link=min(config.channels_max, limits.channels_per_link))
        self._venue = venue
        self._config = config
        self._previous_close = previous_close
        naming = Naming(feed=feed, venue=venue.code, calendar=config.calendar, securities=securities)
        self._feed = _native.JsonFeed(msgspec.json.encode(venue.dialect), depth=config.depth)
        self._catalogue = Catalogue(venue, config, naming)
        self._wires = Wires(venue, limits)
        self._errands = Errands()
        self._admissions = Admissions(venue, wires=self._wires, errands=self._errands)
        self._books = BookKeeping(
            venue, config, feed=self._feed, catalogue=self._catalogue, wires=self._wires, errands=self._errands
        )
        self._alarm = Alarm(
            venue,
            config,
            feed=self._feed,
            catalogue=self._catalogue,
            wires=self._wires,
            books=self._books,
            errands=self._errands,
        )
        self._choosing = Choosing(venue.code, feed, config, catalogue=self._catalogue, state=self._feed.state)
        self._backfill = Backfill(
            venue,
            feed=self._feed,
            catalogue=self._catalogue,
            wires=self._wires,
            books=self._books,
            errands=self._errands,
            is_on=config.backfill,
        )
        self._clock = ClockWatch(venue, config, errands=self._errands)
        self._handovers = Handovers(
            venue, feed=self._feed, wires=self._wires, catalogue=self._catalogue, lifetime_s=config.link_lifetime_s
        )
        self._dependence = Dependence(
            feed=self._feed,
            wires=self._wires,
            books=self._books,
            backfill=self._backfill,
            handovers=self._handovers,
        )
        self._dual = Wanted(config.dual_lines)
        self._common: set[Channel] = set()
        """Channels of no one instrument."""
        self._leaving: dict[str, str] = {}
        """Links that are dropped by us, and why."""
        self._damaged_ns: dict[str, int] = {}
        """When the ledger was told last of damage on each link."""
        self._drift = DriftWatch(self._feed, has_checksums=sums_books(venue))
        self._poll_links: dict[str, int] = {}
        self._polled: dict[str, str] = {}
        """Market of each poll, by its purpose."""
        self._refresh_ns = self._poll_ns = 0
        self._wake_ns = 0
        self._is_settled = True

    @property
    def wake_ns(self) -> int:
        """When to call :meth:`wake`."""
        return self._wake_ns

    @property
    def instruments(self) -> Sequence[Instrument]:
        """What is streamed, for tests and tools."""
        return self._catalogue.all

    @property
    def partly_lost(self) -> Collection[int]:
        """Instruments whose book goes on while the link of another of their streams is lost: for tests and tools."""
        return self._dependence.partly_lost

    @property
    def holes_of_trades(self) -> int:
        """Holes between trades that are not settled: for tests and tools."""
        return self._backfill.open_count

    @property
    def core(self) -> "_native.JsonFeed":
        """Books, statistics and drift, for tests and tools."""
        return self._feed

    # ------------------------------------------------------------------ quotas, kept by the shell

    @property
    def weight(self) -> Quota | None:
        """Of REST requests."""
        return self._venue.limits.weight

    @property
    def connects(self) -> Quota | None:
        """Of new connections."""
        return self._venue.limits.connects

    @property
    def weight_header(self) -> str:
        """Header of an answer that tells how much of the weight is used."""
        return self._venue.limits.weight_header

    @property
    def tells_time(self) -> bool:
        """Whether the venue is asked for its time."""
        return self._clock.is_on

    def priority(self, request: Request) -> float:
        """Say how urgent a request is now."""
        return PROBE_URGENT if self._alarm.owns(request.purpose) else self._books.urgency(request)

    def watched(self, counts: Mapping[int, int]) -> None:
        """Take how many watch each instrument: those that are watched are repaired and asked for first."""
        self._books.watched(counts)

    def watch_books(self, instruments: Collection[int], now_ns: int) -> Step:
        """Tell the levels of these books from now on, and of no others."""
        records = self._feed.watch_books(list(instruments), now_ns)
        return Step(records=[records] if records else [])

    # ------------------------------------------------------------------ what is chosen while it runs

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be streamed now."""
        return self._catalogue.is_known and not self._catalogue.count_streamed and self._is_chosen

    @property
    def _is_chosen(self) -> bool:
        return self._config.on_demand or bool(self._catalogue.selection.rules)

    def restore(self, kept: bytes) -> None:
        """Take the changes of symbols that were made before this process."""
        self._choosing.restore(kept)

    def change_symbols(self, add: Sequence[str], drop: Sequence[str], now_ns: int) -> tuple[Changed, Step]:
        """See :class:`tickcast.venues.selection.Selective`."""
        if self._choosing.wants_list(add, now_ns):
            self._list(now_ns)
            self._wake_ns = now_ns
        changes = self._choosing.change(add, drop)
        return self._chosen(changes, ("was added", "was dropped"), now_ns)

    def set_symbols(self, symbols: Sequence[str], now_ns: int) -> tuple[Changed, Step]:
        """See :class:`tickcast.venues.selection.Selective`."""
        changes = self._choosing.rebase(symbols)
        return self._chosen(changes, ("came into the config", "left the config"), now_ns)

    def _chosen(self, changes: Changes, words: tuple[str, str], now_ns: int) -> tuple[Changed, Step]:
        step = Step(keep=self._choosing.kept())
        self._adopt(changes, step, now_ns, left=State.STALE)
        step.incidents += of_choice("added", changes.new, words[0], now_ns)
        step.incidents += of_choice("dropped", changes.gone, words[1], now_ns)
        told = self._choosing.told(changes)
        self._demand(step, now_ns)
        return told, self._settle(step, now_ns)

    def set_demand(self, *, most: int, linger_s: float, now_ns: int) -> Step:
        """See :class:`tickcast.venues.selection.Selective`."""
        self._choosing.demand.set_limits(most=most, linger_s=linger_s)
        step = Step()
        self._demand(step, now_ns)
        return self._settle(step, now_ns)

    def list_symbols(self) -> SymbolList:
        """See :class:`tickcast.venues.selection.Selective`."""
        return self._choosing.listed()

    def demand(self, counts: Mapping[int, int], now_ns: int) -> Step:
        """See :class:`tickcast.venues.selection.Demanded`."""
        self._choosing.demand.take(counts)
        step = Step()
        self._demand(step, now_ns)
        return self._settle(step, now_ns)

    def _demand(self, step: Step, now_ns: int) -> None:
        """Begin what is watched, end what nobody watches any more."""
        turn = self._choosing.look(now_ns)
        if turn.end:
            self._adopt(self._catalogue.rest(turn.end), step, now_ns, left=State.EMPTY)
        if turn.begin:
            self._adopt(self._catalogue.awaken(turn.begin), step, now_ns)
        if turn.refused:
            self._choosing.refuse(turn.refused, step, now_ns)

    # ------------------------------------------------------------------ links

    def start(self, now_ns: int) -> Step:
        """Ask for the instruments."""
        step = Step()
        self._list(now_ns)
        return self._settle(step, now_ns)

    def opened(self, link: str, now_ns: int) -> Step:
        """Subscribe to what the link carries."""
        step = Step()
        wire = self._wires.by_name.get(link)
        if wire is None:
            return step
        self._leaving.pop(link, None)
        self._feed.open_link(wire.number, wire.market)
        wire.opened(self._venue.hello(), now_ns)
        wire.ping_due_ns = now_ns + wire.ping_ns if wire.ping_ns else 0
        return self._settle(step, now_ns)

    def closed(self, link: str, now_ns: int) -> Step:
        """Say that what came over it is stale."""
        step = Step()
        wire = self._wires.by_name.get(link)
        if wire is None:
            return step
        self._admissions.over(wire)
        if not wire.is_open:
            return self._settle(step, now_ns)
        reason = self._leaving.pop(link, "the link was lost")
        self._dependence.ended(wire, reason, step, now_ns)
        return self._settle(step, now_ns)

    # ------------------------------------------------------------------ frames

    def received(self, link: str, chunks: Sequence[bytes], times: Sequence[int]) -> Step:
        """Decode frames in order."""
        step = Step(messages=len(chunks))
        wire = self._wires.by_name.get(link)
        if wire is None or not chunks:
            return step
        now_ns = times[-1]
        wire.heard_ns = now_ns
        wire.pinged_ns = 0
        wire.has_spoken = True
        decoded = self._feed.decode(wire.number, chunks, times)
        self._drift.sample(chunks)
        if not decoded.is_plain:
            self._take(decoded, step, chunks, times, wire)
        elif decoded.records:
            step.records.append(decoded.records)
        if not self._is_settled or (self._wake_ns and now_ns >= self._wake_ns):
            self._settle(step, now_ns)
        return step

    def _take(
        self,
        decoded: "_native.JsonDecoded",
        step: Step,
        chunks: Sequence[bytes],
        times: Sequence[int],
        wire: Wire | None,
    ) -> None:
        """Take what the core made of frames; ``wire`` None: they were answers to polls."""
        inserted: list[Inserted] = []
        for place, offset in decoded.cold:
            found, texts = self._cold(decoded.unpacked.get(place, chunks[place]), times[place], wire, step)
            if found:
                inserted.append((offset, found, texts))
        place_rows(step, decoded.records, decoded.texts, inserted)
        for place, reason in decoded.dead:
            step.bury(reason, chunks[place])
        step.dead_count += decoded.dead_count - len(decoded.dead)
        if decoded.dead and wire is not None:
            self._tell_damage(decoded.dead, step, times, wire)
        if decoded.holes or decoded.losses:
            self._backfill.jumped(decoded, step, times, wire.name if wire is not None else "")
            self._is_settled = False
        if decoded.breaks or decoded.whole or decoded.short:
            self._is_settled = False
            link = wire.name if wire is not None else ""
            self._became_whole(self._books.judge(decoded, step, times, link), times[-1], step)

    def _tell_damage(self, dead: Sequence[tuple[int, str]], step: Step, times: Sequence[int], wire: Wire) -> None:
        """Tell the ledger of frames that nobody could read, at most once in :data:`DAMAGE_NS` for each link."""
        damage = of_damage(dead, link=wire.name, times=times)
        if damage is None:
            return
        self._dependence.damaged(wire, step, times[-1])
        if times[-1] - self._damaged_ns.get(wire.name, -DAMAGE_NS) >= DAMAGE_NS:
            self._damaged_ns[wire.name] = times[-1]
            step.incidents.append(damage)

    def _became_whole(self, instruments: Sequence[int], now_ns: int, step: Step) -> None:
        for instrument in instruments:
            known = self._catalogue.get(instrument)
            if known is not None and known.book is not None:
                wire = self._wires.by_channel.get(known.book)
                if wire is not None:
                    wire.heard(known.book)
            if instrument in self._dependence.partly_lost:
                step.records.append(rows.status(instrument, State.STALE, ts_event=now_ns, ts_recv=now_ns))

    # ------------------------------------------------------------------ cold frames

    def _cold(self, frame: bytes, ts_recv: int, wire: Wire | None, step: Step) -> tuple[list[bytes], dict[int, str]]:
        """Let the venue read a frame: the rows it brings, and their texts."""
        self._is_settled = False
        cold = Cold(frame=frame, now_ns=ts_recv, wire=wire, step=step)
        try:
            happenings = self._venue.cold(frame, wire.market if wire is not None else "")
        except UNREADABLE as wrong:
            step.bury(said.reason_of(wrong), frame)
            return [], {}
        for one in happenings:
            match one:
                case said.Acknowledged() | said.Refused() | said.Repeated() | said.Reply() | said.Leaving():
                    if wire is not None:
                        self._happen(one, cold, wire)
                case said.Status():
                    self._status(one, cold)
                case said.Rows(records, texts):
                    cold.add(records, texts)
                case said.Relist():
                    self._list(ts_recv)
                case said.Unknown() | said.Strange() | said.Withheld():
                    self._unfamiliar(one, cold)
                case said.Alive():
                    sight(one, wire, ts_recv, step)
                case _:
                    assert_never(one)
        return cold.records, cold.texts

    def _unfamiliar(self, one: said.Unknown | said.Strange | said.Withheld, cold: "Cold") -> None:
        """Count what the venue class does not know, and books that it asked for in vain other than by its haste."""
        if isinstance(one, said.Withheld):
            if cold.wire is not None:
                self._books.withheld(one, cold.wire, cold.now_ns)
            if one.too_soon:
                return
            one = said.Unknown(one.reason, "refused request")
        if isinstance(one, said.Strange):
            self._drift.met("value", one.word, cold.frame, now_ns=cold.now_ns, step=cold.step)
            return
        cold.step.bury(one.reason, cold.frame)
        self._drift.met("message", one.kind or one.reason, cold.frame, now_ns=cold.now_ns, step=cold.step)

    def _happen(
        self,
        one: said.Acknowledged | said.Refused | said.Repeated | said.Reply | said.Leaving,
        cold: "Cold",
        wire: Wire,
    ) -> None:
        """Take what the venue says of a link and its channels."""
        step, now_ns = cold.step, cold.now_ns
        match one:
            case said.Acknowledged(channels, by_speech):
                for channel in wire.confirmed(channels, by_speech=by_speech):
                    self._dependence.subscribed(channel, wire, step, now_ns)
            case said.Refused(fatal=fatal, reason=reason):
                self._dependence.refused(one, wire, step, now_ns)
                if fatal:
                    step.refused[wire.name] = self._leaving[wire.name] = reason
            case said.Repeated(reason, channel):
                if not wire.is_active(channel):
                    step.drop[wire.name] = self._leaving[wire.name] = reason
            case said.Reply(answer):
                step.send.extend(wire.first([answer], now_ns))
            case said.Leaving(reason):
                self._leaving[wire.name] = reason
                if not self._handovers.begin(wire, reason, now_ns):
                    step.drop[wire.name] = reason
            case _:
                assert_never(one)

    def _status(self, status: said.Status, cold: "Cold") -> None:
        """Take the venue's word for an instrument, or all of them."""
        if status.native:
            one = self._catalogue.find(status.market, status.native)
            concerned: Sequence[Instrument] = [] if one is None else [one]
        else:
            concerned = [one for one in self._catalogue.all if status.market in {"", one.listed.market}]
        for one in concerned:
            was, one.listed = one.listed.state, replace(one.listed, state=status.state)
            cold.add([self._feed.set_state(one.id, status.state, cold.now_ns)], {})
            if status.state == State.HALTED != was:
                cold.step.incidents.append(halt(one, status.reason or "halted by the venue", cold.now_ns))

    # ------------------------------------------------------------------ REST

    def answered(self, request: Request, answer: Answer) -> Step:
        """Take a list of instruments, a book, or what is polled."""
        step = Step()
        now_ns = answer.received_ns
        self._is_settled = False
        try:
            if self._catalogue.owns(request.purpose):
                self._take_list(request, answer, step)
            elif self._admissions.owns(request.purpose):
                link = self._admissions.answered(request, answer)
                step.links.extend([] if link is None else [link])
            elif self._books.owns(request.purpose):
                self._became_whole(self._books.answered(request, answer, step), now_ns, step)
            elif self._alarm.owns(request.purpose):
                self._alarm.answered(request, answer, step)
            elif self._backfill.owns(request.purpose):
                self._backfill.answered(request, answer, step)
            elif self._clock.owns(request.purpose):
                self._clock.answered(answer, step)
            elif request.purpose in self._polled:
                self._take_poll(request, answer, step)
        except UNREADABLE as wrong:
            step.bury(f"{request.purpose}: {said.reason_of(wrong)}", answer.body[:256])
            step.repeat.append(request)
        if not step.repeat:
            self._errands.done(request.purpose)
        return self._settle(step, now_ns)

    def _take_poll(self, request: Request, answer: Answer, step: Step) -> None:
        """Read an answer as if it were a frame."""
        if answer.status != 200:
            step.bury(f"{request.purpose}: expected status 200, found {answer.status}", answer.body[:256])
            return  # the next round asks again
        market = self._polled[request.purpose]
        number = self._poll_links.get(market)
        if number is None:
            number = self._poll_links[market] = POLLS_LINK + len(self._poll_links)
            self._feed.open_link(number, market)
        times = [answer.received_ns]
        self._take(self._feed.decode(number, [answer.body], times), step, [answer.body], times, None)

    # ------------------------------------------------------------------ instruments

    def _list(self, now_ns: int) -> None:
        """Ask for the list of instruments, now and every so often."""
        self._is_settled = False
        for request in self._catalogue.requests(self._errands.is_under_way):
            self._errands.add(replace(request, priority=URGENT))
        every_ns = int(self._config.instruments_refresh_s * SECOND_NS)
        self._refresh_ns = now_ns + every_ns if every_ns else 0

    def _take_list(self, request: Request, answer: Answer, step: Step) -> None:
        now_ns = answer.received_ns
        changes = self._catalogue.take(request, answer)
        for reason, raw in changes.wrong:
            step.bury(reason, raw)
        self._adopt(changes, step, now_ns)
        if not changes.is_first:
            step.incidents.extend(of_listing(changes, now_ns))
        self._demand(step, now_ns)
        if changes.more is not None:
            self._errands.add(replace(changes.more, priority=URGENT))
        if changes.is_first and changes.is_complete:
            step.unlisted.extend(self._catalogue.missing())
        if changes.is_complete and not self._catalogue.all and not self._is_chosen:
            step.repeat.append(request)

    def _adopt(self, changes: Changes, step: Step, now_ns: int, *, left: State = State.CLOSED) -> None:
        """Carry out what the list has changed, or another choice; ``left`` is what becomes of those that are gone."""
        for one in changes.new:
            self._begin(one, step, now_ns)
        for passed in changes.passed:
            self._feed.pass_over(passed.market, passed.native)
        self._place(changes)
        for one in changes.moved:
            self._moved(one, step, now_ns)
        step.definitions.extend(one.definition for one in changes.redefined)
        for one in changes.gone:
            self._end(one, step, now_ns, left)
        gone = [one.definition for one in changes.retired]
        step.definitions.extend(msgspec.structs.replace(one, on_demand=False) for one in gone)
        say(step, [one.instrument for one in gone], left, self._choosing.dropped_reason, now_ns)
        step.definitions.extend(one.definition for one in changes.idle)
        say(step, [one.definition.instrument for one in changes.idle], State.EMPTY, ON_DEMAND, now_ns)

    def _begin(self, one: Instrument, step: Step, now_ns: int) -> None:
        """Stream an instrument."""
        listed = one.listed
        self._dependence.add(one)
        for name in (listed.native, *listed.also):
            self._feed.define(
                listed.market,
                name,
                one.id,
                book=one.book is not None,
                quotes=self._venue.quoted(listed),
                state=int(listed.state),
            )
        step.definitions.append(one.definition)
        state = State(self._feed.state(one.id)) if listed.state == State.LIVE else listed.state
        if one.is_demanded and state == State.EMPTY:
            state = State.SYNCING  # who asked for it is waiting
        step.records.append(rows.status(one.id, state, ts_event=now_ns, ts_recv=now_ns))
        close = self._previous_close.get(one.definition.symbol)
        if close is not None:
            step.records.append(rows.previous_close(one.id, close, ts_event=now_ns, ts_recv=now_ns))

    def _place(self, changes: Changes) -> None:
        """Spread the channels of new instruments over links."""
        groups: list[Sequence[Channel]] = [one.channels for one in changes.new]
        if changes.new or changes.gone:
            common = list(self._venue.market_channels([one.listed for one in self._catalogue.all]))
            self._wires.remove(self._common - set(common))
            self._common = set(common)
            groups[:0] = [[channel] for channel in common]
        self._wires.place(groups, self._feed.open_link)
        self._double([one for one in changes.new if self._dual.has(one.listed.symbol)])

    def _double(self, instruments: Sequence[Instrument]) -> None:
        """Let instruments come over another link too: lines A and B."""
        self._wires.place([one.channels for one in instruments], self._feed.open_link, line="B")
        for one in instruments:
            for channel in one.channels:
                self._feed.line_up(one.id, self._wires.by_channel[channel].number, self._wires.second[channel].number)

    def _moved(self, one: Instrument, step: Step, now_ns: int) -> None:
        """The list says another state than before."""
        state = one.listed.state
        step.records.append(self._feed.set_state(one.id, state, now_ns))
        if state == State.HALTED:
            step.incidents.append(halt(one, "halted, by the venue's list", now_ns))

    def _end(self, one: Instrument, step: Step, now_ns: int, left: State) -> None:
        """Nothing more is streamed of it: it is off the list, or not wanted any more."""
        self._wires.remove(one.channels)
        self._books.forget(one.id)
        self._alarm.forget(one.id)
        self._backfill.forget(one.id, step, now_ns)
        self._dependence.forget(one)
        self._choosing.demand.forget(one.id)
        if left == State.STALE:
            say(step, [one.id], State.STALE, self._choosing.dropped_reason, now_ns)
        elif left == State.CLOSED:
            step.records.append(self._feed.set_state(one.id, State.CLOSED, now_ns))
            if self._feed.state(one.id) != State.CLOSED:  # its book is not whole, and nobody will repair it any more
                step.records.append(rows.status(one.id, State.CLOSED, ts_event=now_ns, ts_recv=now_ns))
        self._feed.forget(one.listed.market, one.listed.native)
        self._feed.pass_over(one.listed.market, one.listed.native)  # what is on its way of it is no mistake

    # ------------------------------------------------------------------ time

    def wake(self, now_ns: int) -> Step:
        """Do what is due."""
        step = Step()
        if self._refresh_ns and self._refresh_ns <= now_ns:
            self._list(now_ns)
        if self._poll_ns and self._poll_ns <= now_ns:
            self._poll(now_ns)
        self._drift.look(step, now_ns)
        self._alarm.look(step, now_ns)
        for link, reason in list(step.drop.items()):
            wire = self._wires.by_name.get(link)
            if wire is not None and self._handovers.begin(wire, reason, now_ns):
                del step.drop[link]
        self._backfill.look(step, now_ns)
        self._clock.look(now_ns)
        self._leaving.update(step.drop)
        due_ns = self._choosing.demand.next_ns()
        if due_ns and due_ns <= now_ns:
            self._demand(step, now_ns)
        return self._settle(step, now_ns)

    def _settle(self, step: Step, now_ns: int) -> Step:
        """Send what may be sent, ask for what is due, and say when to be called again."""
        self._is_settled = True
        step.links.extend(self._wires.due_links())
        step.leave.extend(self._wires.take_empty())
        self._admissions.pump()
        self._books.pump(step, now_ns)
        for wire in self._wires:
            if wire.is_open:
                self._tend(wire, step, now_ns)
        self._handovers.pump(step, now_ns)
        step.links.extend(self._wires.due_links())
        step.requests.extend(self._errands.release())
        if not self._poll_ns and self._config.poll_interval_s and self._catalogue.all:
            self._poll_ns = now_ns + SECOND_NS
        if self._catalogue.all and self._drift.begin(now_ns):
            self._alarm.begin(now_ns)
            self._clock.begin(now_ns)
        due = [self._wires.next_ns(now_ns), self._books.next_ns(), self._alarm.next_ns()]
        due += [self._refresh_ns, self._poll_ns, self._choosing.demand.next_ns(), self._handovers.next_ns(now_ns)]
        due += [self._drift.next_ns(), self._backfill.next_ns(), self._clock.next_ns()]
        self._wake_ns = soonest(due)
        return step

    def _tend(self, wire: Wire, step: Step, now_ns: int) -> None:
        """Look after an open link: pings, subscriptions that nobody answered, what waits to be sent."""
        self._venue.now_ns = now_ns
        if wire.pinged_ns and now_ns - wire.pinged_ns >= PONG_NS:
            reason = f"nothing within {PONG_NS // SECOND_NS} s of a ping"
            step.drop[wire.name] = self._leaving[wire.name] = reason
            wire.pinged_ns = 0
            return
        if wire.ping_due_ns and wire.ping_due_ns <= now_ns:
            ping = self._venue.ping()
            if ping is not None:
                step.send.extend(wire.first([ping], now_ns))
                wire.pinged_ns = wire.pinged_ns or now_ns
                wire.ping_sent_ns = now_ns
            wire.ping_due_ns = now_ns + wire.ping_ns
        for channel in wire.overdue(now_ns):
            if wire.confirms or not wire.has_spoken:
                self._dependence.unanswered(channel, wire, step, now_ns)
            else:  # this venue does not confirm, and what it sends says that it has understood
                wire.heard(channel)
                self._dependence.subscribed(channel, wire, step, now_ns)
        step.send.extend(wire.pump(self._venue, now_ns))

    def _poll(self, now_ns: int) -> None:
        """Ask for what the venue tells over REST only."""
        self._poll_ns = now_ns + int(self._config.poll_interval_s * SECOND_NS)
        for one in self._catalogue.all:
            for place, request in enumerate(self._venue.polls(one.listed)):
                purpose = f"{POLL}{one.definition.symbol} {place}"
                self._polled[purpose] = one.listed.market
                self._errands.add(replace(request, purpose=purpose, priority=IDLE))

    def overlap(self, now_ns: int) -> Overlap:
        """Say how often links were replaced before they ended, and what came over two of them."""
        return self._handovers.overlap(now_ns)

    @property
    def is_settled(self) -> bool:
        """Whether everything is subscribed, and every book that can be whole is."""
        return not self._errands.count and self._handovers.is_settled

    def findings(self, now_ns: int) -> Findings:
        """Say what the venue's messages have that nobody knew, and what became of checksums."""
        return self._drift.findings(now_ns)


@dataclass(slots=True, kw_only=True)
class Cold:
    """A frame that the venue's Python reads, and the rows that it brings."""

    frame: bytes
    now_ns: int
    wire: Wire | None
    step: Step
    records: list[bytes] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)

    def add(self, records: Sequence[bytes], texts: Mapping[int, str]) -> None:
        """Add rows."""
        offset = sum(map(len, self.records)) // rows.ROW.size
        self.records.extend(record for record in records if record)
        self.texts.update((offset + place, text) for place, text in texts.items())
