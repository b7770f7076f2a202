"""Cboe Multicast PITCH over redundant UDP lines, repaired by gap requests and by images from the spin server.

Every *unit* has its own sequence and its own symbols, and is what a loss concerns. Of each unit::

    (first message is number 1) ───────────────────────────────────────────────▶ live
    (it is a later one: we came in the middle of the day) ──▶ image wanted ──▶ live

    live ──hole for gap_wait_ms──▶ gap: messages are asked for ──they come on a gap line──▶ live
                                    │ refused, unanswered, too many, nobody to ask
                                    ▼
         spin server? ──yes──▶ image wanted: fresh books, live messages buffered ──image joins──▶ live
                      ──no───▶ lost: fresh books, not complete, until the unit is cleared or begins anew

While an image is wanted trades are told as they come, quotes are not: books without the orders of before are no books.
What the specification (2.41) does not say and what was decided is in ``NOTES.md``.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, Literal

import numpy as np

from tickcast import _native
from tickcast.model.errors import UsageError
from tickcast.model.instrument import Definition
from tickcast.model.record import Flag, Kind, Records, State, record_bytes, records_from
from tickcast.venues import rows
from tickcast.venues.base import Answer, Link, Request, Step, VenueConfig
from tickcast.venues.bats import wire
from tickcast.venues.bats.image import Image, LiveBuffer, Piece, Spin
from tickcast.venues.lines import Loss, Recovery
from tickcast.venues.naming import Naming, SymbolError
from tickcast.venues.xnas.day import HALF_DAY_NS, SECOND_NS, midnight_ns, new_york_day

GAP_LINK: Final = "gap"
SPIN_LINK: Final = "spin"
UNKNOWN_TYPE: Final = "unknown type"
UNKNOWN_DOUBTED: Final = 3
"""Messages of one unknown type that are taken for damage. The arbiter lets them pass only if two lines agree on them,
so that more are a type which the venue has and we have not."""
TOLD_IN_DOUBT: Final = (Kind.TRADE, Kind.BUST, Kind.STATUS, Kind.NOTICE, Kind.IMBALANCE)
"""What does not depend on a whole book."""
TOLD_AGAIN: Final = (Kind.TRADE, Kind.BUST)

Phase = Literal["live", "gap", "image", "lost"]


@dataclass(slots=True)
class Unit:
    """Where a unit stands."""

    number: int
    epoch: int
    phase: Phase = "live"
    doubt: State | None = None
    """What stands in for ``live``."""
    buffer: LiveBuffer = field(default_factory=lambda: LiveBuffer(0))
    image: Image | None = None
    """Newer than the live messages: waits for them."""
    is_partial_day: bool = False
    """What was traded before is not known."""
    least: int = 0
    """Sequence number through which an image has to be current at least."""
    has_checked_day: bool = False
    hole: int = 0
    """Messages of the gap that may still come."""


class BatsSession:
    """See the module."""

    def __init__(
        self,
        *,
        feed: str,
        config: VenueConfig,
        securities: Mapping[str, Sequence[str]],
        previous_close: Mapping[str, str],
    ) -> None:
        if not config.lines:
            raise UsageError(f"feeds.{feed}.lines: expected host:port of each line for venue BATS, found nothing")
        if config.gap_address is not None and not config.gap_lines:
            raise UsageError(
                f"feeds.{feed}.gap_lines: expected host:port of the gap server's lines for venue BATS, found nothing"
            )
        try:
            self._date = date.fromisoformat(config.date) if config.date else None
            request = wire.login(session=config.session, username=config.username, password=config.password)
        except ValueError as wrong:
            raise UsageError(f"feeds.{feed}: {wrong}") from wrong
        self._config = config
        self._naming = Naming(feed=feed, venue=config.venue, calendar=config.calendar, securities=securities)
        self._previous_close = previous_close
        self._lines = {f"line{index}": index for index in range(len(config.lines))}
        self._gap_lines = {
            f"gap{index}": len(config.lines) + index
            for index in range(len(config.gap_lines) if config.gap_address else 0)
        }
        self._gap = wire.Channel(GAP_LINK, request)
        self._channels = {GAP_LINK: self._gap}
        self._spin: Spin | None = None
        if config.spin_address is not None:
            channel = wire.Channel(SPIN_LINK, request)
            self._channels[SPIN_LINK] = channel
            self._spin = Spin(channel)
        self._arbiter = _native.LineArbiter("pitch", known_types=True)
        self._recovery = Recovery(config, can_ask=config.gap_address is not None, ask_max=wire.COUNT_MAX)
        self._day = self._date or date(1970, 1, 2)
        self._books: frozenset[int] = frozenset()
        """Instruments whose book is watched."""
        self._decoder = self._new_decoder()
        self._units: dict[int, Unit] = {}
        self._defined: dict[str, tuple[Definition, int]] = {}
        """By the feed's symbol: definition and unit."""
        self._unknown: Counter[int] = Counter()
        """Messages of types that are not known."""

    # ------------------------------------------------------------------ what the shell asks

    @property
    def wake_ns(self) -> int:
        """When a heartbeat, a hole, a request or an image is due."""
        times = [self._recovery.wake_ns, *(channel.wake_ns for channel in self._channels.values())]
        if self._spin is not None:
            times.append(self._spin.wake_ns)
        return min((time for time in times if time), default=0)

    @property
    def decoder(self) -> "_native.PitchDecoder":
        """The decoder with its books, for tests and tools."""
        return self._decoder

    @property
    def arbiter(self) -> "_native.LineArbiter":
        """The arbiter of the lines, for tests and tools."""
        return self._arbiter

    def phase(self, unit: int) -> Phase | None:
        """Where a unit stands; None = nothing of it was heard."""
        known = self._units.get(unit)
        return known.phase if known else None

    def watch_books(self, instruments: Collection[int], now_ns: int) -> Step:
        """Tell the levels of these books from now on, and of no others.

        Those of a unit that waits for its image follow with it.
        """
        self._books = frozenset(instruments)
        records = records_from(bytearray(self._decoder.watch_books(list(self._books), now_ns)))
        waiting = [
            instrument
            for unit in self._in_phase("image", self._units)
            for instrument in self._decoder.instruments(unit.number)
        ]
        is_known = (records["flags"] & Flag.INVALID_BOOK) == 0
        records = records[~(np.isin(records["instrument"], np.array(waiting, np.uint64)) & is_known)]
        return Step(records=[bytes(record_bytes(records))] if len(records) else [])

    def start(self, now_ns: int) -> Step:
        """Ask for the lines and for the connections to both servers."""
        del now_ns
        config = self._config
        links = [
            Link(name=name, transport="udp_line", target=target, interface=config.interface)
            for name, target in zip(self._lines, config.lines, strict=True)
        ]
        links += [
            Link(name=name, transport="udp_line", target=target, interface=config.interface)
            for name, target in zip(self._gap_lines, config.gap_lines, strict=False)
        ]
        if config.gap_address is not None:
            links.append(Link(name=GAP_LINK, transport="tcp", target=config.gap_address))
        if config.spin_address is not None:
            links.append(Link(name=SPIN_LINK, transport="tcp", target=config.spin_address))
        return Step(links=links)

    def opened(self, link: str, now_ns: int) -> Step:
        """Log in to a server; a line needs nothing."""
        step = Step()
        channel = self._channels.get(link)
        if channel is not None:
            channel.opened(step, now_ns)
        return step

    def closed(self, link: str, now_ns: int) -> Step:
        """Forget what was half said; the arbiter keeps its numbers, so a line that comes back needs no care."""
        del now_ns
        channel = self._channels.get(link)
        if channel is not None:
            channel.closed()
            if link == SPIN_LINK and self._spin is not None:
                self._spin.closed()
        return Step()

    def answered(self, request: Request, answer: Answer) -> Step:
        """Never called: this venue has no REST side."""
        del request, answer
        return Step()

    def wake(self, now_ns: int) -> Step:
        """Send heartbeats; look after holes, requests and images."""
        step = Step()
        for channel in self._channels.values():
            channel.beat(step, now_ns)
        self._look(step, now_ns)
        return step

    def received(self, link: str, chunks: Sequence[bytes], times: Sequence[int]) -> Step:
        """Take datagrams of a line, or bytes of a server."""
        step = Step()
        if link in self._lines:
            self._blocks(step, self._arbiter.take(chunks, times, self._lines[link]))
        elif link in self._gap_lines:
            self._blocks(step, self._arbiter.take(chunks, times, self._gap_lines[link], repair=True))
        else:
            for chunk, ts_recv in zip(chunks, times, strict=True):
                self._served(step, link, chunk, ts_recv)
                if link in step.drop or link in step.refused:
                    break
        for _, reason, raw in self._arbiter.damaged():
            step.bury(f"PITCH packet: {reason}", raw)
        self._look(step, times[-1])
        return step

    # ------------------------------------------------------------------ the servers

    def _served(self, step: Step, link: str, chunk: bytes, ts_recv: int) -> None:
        packets = self._channels[link].read(step, chunk)
        if link == SPIN_LINK and self._spin is not None:
            for image in self._spin.take(step, packets, ts_recv):
                unit = self._units.get(image.unit)
                if unit is not None and unit.phase == "image":
                    unit.image = image
            return
        for one in packets:
            for kind, message in wire.walk(one.messages):
                if kind == wire.GAP_RESPONSE and len(message) >= wire.GAP_RESPONSE_LAYOUT.size:
                    self._gap_response(step, message)
                else:
                    step.bury(f"{link}: type 0x{kind:02x} was not expected", message)

    def _gap_response(self, step: Step, message: bytes) -> None:
        """Go on by the server's word: what is refused for good is lost, a request that was too large is cut."""
        _, _, unit, _, count, letter = wire.GAP_RESPONSE_LAYOUT.unpack_from(message)
        status = letter.decode("latin-1")
        if status == "C" and count > 1:
            self._recovery.limit(max(count // 2, 1))
        elif status == "S":
            pass  # the request is repeated after its timeout
        elif status in wire.GAP_REFUSED:
            self._recovery.refuse(unit, f"the gap server says: {wire.GAP_REFUSED[status]}")
        elif status != "A":
            step.bury(f"{GAP_LINK}: expected a gap status, found {status!r}", message)

    # ------------------------------------------------------------------ the lines

    def _blocks(self, step: Step, blocks: Iterable["_native.LineBlock"]) -> None:
        for block in blocks:
            step.messages += block.count
            if not block.first_seq:
                self._decode_unsequenced(step, block)
                continue
            unit = self._units.get(block.unit)
            if unit is None or unit.epoch != block.epoch:
                unit = self._begin(step, Unit(block.unit, block.epoch), first=block.first_seq, ts_recv=block.ts_recv)
            self._decode(step, unit, block)

    def _begin(self, step: Step, unit: Unit, *, first: int, ts_recv: int) -> Unit:
        """A unit is heard of, or its numbers begin anew: another day, or the venue was started again."""
        number, today = unit.number, self._date or new_york_day(ts_recv)
        if not self._units:
            self._day = today
            self._decoder = self._new_decoder()
        is_anew = number in self._units
        self._units[number] = unit
        self._decoder.set_clock(number, None, midnight_ns(today))
        if is_anew:
            step.new_session = True
            self._recovery.forget(number)
            if self._spin is not None:
                self._spin.forget(number)
            self._decoder.reset(number)
            self._empty_books(step, unit, State.SYNCING, ts_recv)
        if first > 1:
            unit.is_partial_day = True
            self._want_image(step, unit, first, State.SYNCING, ts_recv)
            if unit.phase == "lost":
                unit.doubt = State.UNVERIFIED
                self._mark(step, unit, State.UNVERIFIED, ts_recv)
        elif is_anew:
            self._tell_whole(step, unit, ts_recv)
        return unit

    def _meet_quiet(self, step: Step, now_ns: int) -> None:
        """Begin units of which only heartbeats came: their books are there all the same."""
        numbers = self._arbiter.units
        if len(numbers) == len(self._units):
            return
        for number in numbers:
            first = self._arbiter.unit(number)["expected"]
            if number not in self._units and first:
                self._begin(step, Unit(number, 0), first=first, ts_recv=now_ns)

    def _decode_unsequenced(self, step: Step, block: "_native.LineBlock") -> None:
        """Symbol mappings and the like, which belong nowhere in the order."""
        decoded = self._decoder.decode(block.messages, block.unit, 0, block.ts_recv)
        self._take(step, decoded, block.ts_recv)
        if decoded.records:
            doubt = self._units[block.unit].doubt if block.unit in self._units else None
            step.records.append(_with_doubt(records_from(bytearray(decoded.records)), doubt))

    def _decode(self, step: Step, unit: Unit, block: "_native.LineBlock") -> None:
        if unit.phase == "image":
            clock = self._decoder.clock(unit.number)
            unit.buffer.append(Piece(block.first_seq, block.count, block.messages, block.ts_recv, clock))
        decoded = self._decoder.decode(block.messages, unit.number, block.first_seq, block.ts_recv)
        self._take(step, decoded, block.ts_recv)
        if not unit.has_checked_day:
            self._check_day(unit, block.ts_recv)
        if self._contradicts(unit, decoded):
            if decoded.unpriced and unit.phase != "image":
                text = f"unit {unit.number}: {decoded.unpriced} messages of orders that were never added"
                step.bury(text, block.messages[:256])
            self._doubt(step, unit, block.first_seq + block.count, block.ts_recv)
        if not decoded.records:
            return
        records = records_from(bytearray(decoded.records))
        is_cleared = bool(
            unit.phase in {"image", "lost"}
            and ((records["kind"] == Kind.NOTICE) & (records["detail"] == wire.UNIT_CLEAR)).any()
        )
        if unit.phase == "gap":
            records["flags"] |= np.uint16(Flag.BACKFILLED)
        elif unit.phase == "image":
            records = records[np.isin(records["kind"], TOLD_IN_DOUBT)]
            records["flags"] |= np.uint16(Flag.LAST_OF_EVENT)
        step.records.append(_with_doubt(records, unit.doubt))
        if is_cleared:  # the venue itself says what the books are: empty
            self._whole(step, unit, block.ts_recv)

    def _take(self, step: Step, decoded: "_native.Decoded", ts_recv: int) -> None:
        """Definitions and dead letters of what was decoded."""
        step.unpriced += decoded.unpriced
        for _, reason, raw in decoded.dead:
            step.bury(reason, raw)
        step.dead_count += decoded.dead_count - len(decoded.dead)
        for met in decoded.instruments:
            self._define(step, met, ts_recv)

    def _check_day(self, unit: Unit, ts_recv: int) -> None:
        """A first time more than half a day ahead is yesterday's: we came around midnight."""
        clock = self._decoder.clock(unit.number)
        if clock is None:
            return
        unit.has_checked_day = True
        day = self._date or new_york_day(ts_recv)
        if self._date is None and midnight_ns(day) + clock * SECOND_NS - ts_recv > HALF_DAY_NS:
            self._decoder.set_clock(unit.number, clock, midnight_ns(day - timedelta(days=1)))

    def _contradicts(self, unit: Unit, decoded: "_native.Decoded") -> bool:
        """Whether messages contradict the unit's books, or hide what they do to them.

        Recordings begin anywhere, and nobody repairs them: only counted.
        """
        if self._date is not None or unit.phase == "lost":
            return False
        is_unpriced = bool(decoded.unpriced) and unit.phase != "image"
        return self._is_harmful(decoded) or is_unpriced

    def _is_harmful(self, decoded: "_native.Decoded") -> bool:
        """Whether dead letters may have changed a book."""
        is_harmful = decoded.dead_count > len(decoded.dead)
        for _, reason, raw in decoded.dead:
            if reason != UNKNOWN_TYPE or len(raw) < wire.SMALLEST:
                is_harmful = True
                continue
            self._unknown[raw[1]] += 1
            is_harmful |= self._unknown[raw[1]] <= UNKNOWN_DOUBTED
        return is_harmful

    def _doubt(self, step: Step, unit: Unit, next_seq: int, ts_recv: int) -> None:
        """Mark a unit whose books may be wrong, and have it repaired by an image of what was before ``next_seq``."""
        was_marked = unit.phase == "image"
        self._want_image(step, unit, next_seq, unit.doubt or State.GAP, ts_recv)
        if unit.phase == "lost":
            self._empty_books(step, unit, State.GAP, ts_recv)
        elif not was_marked:
            step.records.append(rows.gap(rows.MARKET, 0, next_seq=next_seq, ts_recv=ts_recv))
            self._mark(step, unit, State.GAP, ts_recv)

    # ------------------------------------------------------------------ holes and images

    def _look(self, step: Step, now_ns: int) -> None:
        """Let time pass: holes become gaps, gaps are repaired or lost, images join."""
        self._heed(step, now_ns)
        self._meet_quiet(step, now_ns)
        holes = self._arbiter.holes()
        orders = self._recovery.look(holes, now_ns)
        for unit in self._in_phase("live", orders.gaps):
            unit.phase, unit.doubt = "gap", State.GAP
            unit.hole = sum(last - first + 1 for number, first, last, _ in holes if number == unit.number)
            step.records.append(rows.gap(rows.MARKET, unit.hole, next_seq=self._expected(unit), ts_recv=now_ns))
            self._mark(step, unit, State.GAP, now_ns)
        for loss in orders.losses:
            self._lose(step, loss, now_ns)
        for unit in self._in_phase("gap", orders.live):
            if unit.hole:
                row = rows.gap(rows.MARKET, unit.hole, next_seq=self._expected(unit), ts_recv=now_ns, repaired=True)
                step.records.append(row)
                unit.hole = 0
            self._whole(step, unit, now_ns)
        if self._gap.state == "open":
            for ask in orders.asks:
                self._gap.send(step, wire.gap_request(ask.unit, ask.first, ask.count), now_ns)
        for unit in self._in_phase("image", self._units):
            self._join(step, unit, now_ns)
        if self._spin is not None:
            self._spin.look(step, now_ns)

    def _expected(self, unit: Unit) -> int:
        return self._arbiter.unit(unit.number)["expected"]

    def _heed(self, step: Step, now_ns: int) -> None:
        """See to what the arbiter noticed."""
        for kind, number, detail in self._arbiter.notices():
            if kind == "too_old":
                self._recovery.refuse(number, f"no more room behind the hole that ends at {detail}")
            elif kind == "conflict":
                self._conflict(step, number, detail, now_ns)

    def _conflict(self, step: Step, number: int, detail: str, now_ns: int) -> None:
        """Two lines say different things under the same numbers: nobody knows which is right."""
        unit = self._units.get(number)
        step.bury(f"unit {number}: two lines say different things as messages {detail}", b"")
        if unit is not None and unit.phase != "lost" and self._date is None:
            _, _, last = detail.rpartition(" ")
            self._doubt(step, unit, max(int(last) + 1, self._arbiter.unit(number)["expected"]), now_ns)

    def _in_phase(self, phase: Phase, numbers: Iterable[int]) -> list[Unit]:
        found = [self._units[number] for number in numbers if number in self._units]
        return [unit for unit in found if unit.phase == phase]

    def _lose(self, step: Step, loss: Loss, now_ns: int) -> None:
        """Messages will not come: say so of each instrument of the unit, go on behind them with empty books."""
        unit = self._units.get(loss.unit)
        if unit is None:
            return
        next_seq, unit.hole = loss.last + 1, 0
        for instrument in self._decoder.instruments(unit.number):
            step.records.append(rows.gap(instrument, loss.missing, next_seq=next_seq, ts_recv=now_ns))
        if unit.phase == "image":
            self._want_image(step, unit, next_seq, unit.doubt or State.GAP, now_ns)
        else:
            self._want_image(step, unit, next_seq, State.GAP, now_ns)
            if unit.phase == "lost":
                self._empty_books(step, unit, State.GAP, now_ns)
            else:
                self._mark(step, unit, State.GAP, now_ns)
        self._recovery.forget(loss.unit)  # another hole may be there already, and is looked at anew
        self._blocks(step, self._arbiter.skip(loss.unit, loss.last))

    def _want_image(self, step: Step, unit: Unit, first: int, doubt: State, ts_recv: int) -> None:
        """Begin fresh books; live messages are kept from ``first`` on until an image joins.

        Levels are not known until then: the image may be followed by a hole, behind which books go on from it.
        """
        self._decoder.reset(unit.number)
        unit.doubt = doubt
        unit.image = None
        if self._spin is None:
            unit.phase = "lost"
            return
        if unit.phase != "image":
            for instrument in self._decoder.instruments(unit.number):
                self._forget_levels(step, instrument, ts_recv)
        unit.phase = "image"
        unit.buffer = LiveBuffer(first)
        unit.least = max(unit.least, first - 1)
        self._spin.want(unit.number, unit.least)

    def _join(self, step: Step, unit: Unit, now_ns: int) -> None:
        """Put an image in place, if the live messages have come as far and nothing is missing between."""
        image = unit.image
        if image is None or self._spin is None or image.sequence >= unit.buffer.next:
            return
        unit.image = None
        if image.sequence + 1 < unit.buffer.first:  # the buffer was cut while the image waited
            self._spin.want(unit.number, max(unit.least, unit.buffer.first - 1))
            return
        number, clock = unit.number, self._decoder.clock(unit.number)
        self._decoder.reset(number)
        self._decoder.set_clock(number, None)
        decoded = self._decoder.decode(image.messages, number, 0, now_ns)
        self._take(step, decoded, now_ns)
        if decoded.dead_count and self._date is None:  # damaged on its way
            self._decoder.reset(number)
            self._decoder.set_clock(number, clock)
            self._spin.want(number, unit.least)
            return
        is_whole = True
        pieces = unit.buffer.after(image.sequence)
        self._decoder.set_clock(number, pieces[0].clock if pieces else clock)
        for piece in pieces:
            decoded = self._decoder.decode(piece.messages, number, piece.first, piece.ts_recv)
            step.unpriced += decoded.unpriced
            is_whole &= self._date is not None or not (decoded.unpriced or self._is_harmful(decoded))
            # Trades of orders that only the image knows had no price when they came; the others are repeats, which the
            # pipeline drops.
            records = records_from(bytearray(decoded.records))
            records = records[np.isin(records["kind"], TOLD_AGAIN)]
            records["flags"] |= np.uint16(Flag.LAST_OF_EVENT | Flag.BACKFILLED)
            if len(records):
                step.records.append(bytes(record_bytes(records)))
        if is_whole:
            self._whole(step, unit, now_ns)
        else:
            step.bury(f"unit {number}: the messages after the image of {image.sequence} contradict it", b"")
            self._want_image(step, unit, unit.buffer.next, unit.doubt or State.GAP, now_ns)

    def _whole(self, step: Step, unit: Unit, ts_recv: int) -> None:
        """The unit's books are complete: tell its instruments as they are."""
        unit.phase, unit.doubt, unit.image = "live", None, None
        unit.buffer = LiveBuffer(0)
        if self._spin is not None:
            self._spin.forget(unit.number)
        if self._recovery.phase(unit.number) != "live":  # of what comes behind, something is missing
            unit.phase, unit.doubt = "gap", State.GAP
            self._mark(step, unit, State.GAP, ts_recv)
            return
        self._tell_whole(step, unit, ts_recv)

    def _tell_whole(self, step: Step, unit: Unit, ts_recv: int) -> None:
        records = records_from(bytearray(self._decoder.snapshot(ts_recv, unit.number)))
        if len(records):
            records["ts_event"] = ts_recv
            step.records.append(bytes(record_bytes(records)))

    def _mark(self, step: Step, unit: Unit, state: State, ts_recv: int) -> None:
        for instrument in self._decoder.instruments(unit.number):
            step.records.append(rows.status(instrument, state, ts_event=ts_recv, ts_recv=ts_recv))

    def _empty_books(self, step: Step, unit: Unit, state: State, ts_recv: int) -> None:
        """Take back the quotes of books that are begun anew."""
        for instrument in self._decoder.instruments(unit.number):
            for kind in (Kind.BID, Kind.ASK):
                last = kind == Kind.ASK
                row = rows.quote(instrument, kind, None, seq=0, ts_event=ts_recv, ts_recv=ts_recv, last=last)
                step.records.append(row)
            self._forget_levels(step, instrument, ts_recv)
            step.records.append(rows.status(instrument, state, ts_event=ts_recv, ts_recv=ts_recv))

    def _forget_levels(self, step: Step, instrument: int, ts_recv: int) -> None:
        if self._config.depth or instrument in self._books:
            step.records.append(rows.unknown_book(instrument, ts_event=ts_recv, ts_recv=ts_recv))

    # ------------------------------------------------------------------ instruments

    def _new_decoder(self) -> "_native.PitchDecoder":
        config = self._config
        decoder = _native.PitchDecoder(
            config.venue, midnight_ns(self._day), symbols=config.symbols or None, depth=config.depth
        )
        decoder.watch_books(list(self._books), 0)
        return decoder

    def _define(self, step: Step, met: Mapping[str, object], ts_recv: int) -> None:
        symbol, native, number = str(met["symbol"]), str(met["feed_symbol"]), int(str(met["unit"]))
        is_option = bool(met["osi_symbol"])
        try:
            definition = self._naming.define(
                symbol,
                asset_class="option" if is_option else "equity",
                currency="USD",
                native_symbol=native,
                tick_size="0.01",
                lot_size=str(met["round_lot"]),
            )
        except SymbolError as wrong:
            step.bury(str(wrong), native.encode("latin-1", "replace"))
            return
        known = self._defined.get(native)
        self._defined[native] = (definition, number)
        if known is not None and known[0] == definition:
            return
        step.definitions.append(definition)
        unit = self._units.get(number)
        if unit is not None and unit.doubt is not None:
            step.records.append(rows.status(definition.instrument, unit.doubt, ts_event=ts_recv, ts_recv=ts_recv))
        if unit is not None and unit.is_partial_day:
            step.records.append(rows.volume_unknown(definition.instrument, ts_event=ts_recv, ts_recv=ts_recv))
        close = self._previous_close.get(symbol)
        if close is not None:
            told_ns = ts_recv if self._date is None else midnight_ns(self._date)
            step.records.append(rows.previous_close(definition.instrument, close, ts_event=told_ns, ts_recv=ts_recv))


def _with_doubt(records: Records, doubt: State | None) -> bytes:
    """Let no instrument of a doubtful unit be called live."""
    if doubt is not None:
        live = (records["kind"] == Kind.STATUS) & (records["detail"] == State.LIVE)
        records["detail"][live] = doubt
    return bytes(record_bytes(records))
