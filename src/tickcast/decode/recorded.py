"""Sessions of declared venues, ours and other recorders': every connection's frames through the core's JSON feed.

A recording cannot be asked for anything, so nobody plans links, subscribes or repairs here: links open as they did,
REST answers of books go to the books that they are of, and what is missing is a gap. What the recorder had subscribed
to, the instruments and their names, is learned from the whole of it (or its first 64 MiB) before the first record is
told: from the lists of instruments that it holds, from what was sent and the addresses, and from the frames themselves
(:mod:`.shapes`).

Two connections that carry the same books at the same time are two lines of one feed. The books of each are built and
verified; the quotes, levels, gaps and states of the first one are told, and the trades of both, each once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np

from tickcast import _native
from tickcast.decode import foreign
from tickcast.decode.shapes import Held, Name, Shapes
from tickcast.decode.stream import Stream
from tickcast.model.capture import Line
from tickcast.model.record import Kind, State, record_bytes, records_from
from tickcast.venues.declared.dialect import Dialect
from tickcast.venues.declared.venue import Happening, Listed, Rows, Status, Unknown, Venue

BATCH_MAX: Final = 512
"""Frames that are handed over at once."""
HELD_BYTES_MAX: Final = 64 << 20
"""So much of a recording is read before it is decoded."""
TRADED: Final = (Kind.TRADE, Kind.LIQUIDATION)
"""What is told of a second line."""
WHOLE: Final = ("all", "first")
"""Words with which a recorder says that its file begins where the session did."""
Place = tuple[str, int]


@dataclass(slots=True)
class Wire:
    """One recorded connection."""

    number: int
    market: str
    line: int = 0
    """0: its books are told; above: a second line with the same books."""
    is_open: bool = False


@dataclass(slots=True)
class Known:
    """An instrument of the recording."""

    listed: Listed
    instrument: int
    has_book: bool = False
    has_quotes: bool = False
    """Of a stream of their own, or where there is no book to take them from."""


@dataclass(slots=True)
class Batch:
    """Frames of one connection that wait to be handed over."""

    conn: str = ""
    frames: list[bytes] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    place: Place = ("", 0)


class Recording:
    """One recording of a declared venue; takes the lines of its files in order."""

    def __init__(self, stream: Stream, code: str, header: foreign.Recorded, *, depth: int) -> None:
        self._stream = stream
        self._code = code
        self._header = header
        self._depth = depth
        self._held: list[tuple[Line, bytes, Place]] = []
        self._held_bytes = 0
        self._started = False
        self._lists: Mapping[Name, Listed] = {}
        self._asked: Sequence[Listed] = ()
        self._markets: dict[str, set[str]] = {}
        self._wires: dict[str, Wire] = {}
        self._known: dict[Name, Known] = {}
        self._symbols: set[str] = set()
        self._feeds: list[_native.JsonFeed] = []
        self._batch = Batch()
        self._counted: dict[str, int] = {}
        self._venue: Venue
        self._is_split = header.selection.startswith("split")
        self._shapes: Shapes
        self._addresses: list[str] = []

    # ------------------------------------------------------------------ lines

    def line(self, line: Line, payload: bytes, place: Place) -> None:
        """Take a line; the first ones wait until it is known what the recording holds."""
        if self._started:
            self._tell(line, payload, place)
            return
        self._held.append((line, payload, place))
        self._held_bytes += len(payload) + len(line.data or "")
        if self._held_bytes > HELD_BYTES_MAX:
            self._start()

    def flush(self) -> None:
        """Hand over the frames that wait."""
        batch, self._batch = self._batch, Batch()
        if batch.frames:
            self._decode(batch)

    def finish(self) -> None:
        """Tell all that is left."""
        if not self._started:
            self._start()
        self.flush()

    # ------------------------------------------------------------------ the beginning

    def _start(self) -> None:
        self._started = True
        held, self._held = self._held, []
        lines = [line for line, _, _ in held]
        self._addresses = foreign.addresses_of(lines)
        first = next((payload for line, payload, _ in held if line.t == "recv"), b"")
        self._venue = foreign.venue_of(self._code, self._header, lines, first)
        self._lists = foreign.lists_of(self._venue, lines)
        self._asked = foreign.asked_of(self._venue, self._header, lines)
        self._markets = foreign.markets_of(self._venue, [*self._lists.values(), *self._asked])
        for line in lines:
            if line.t == "connect" and line.conn not in self._wires:
                self._wires[line.conn] = Wire(len(self._wires), self._market_at(line.addr))
        shapes = Shapes(self._venue.dialect, learn=self._venue.learn)
        for line, payload, _ in held:
            if line.t == "recv":
                shapes.add(line.conn, self._wire(line.conn).market, payload, line.ts_ns)
        self._shapes = shapes
        shapes.choose()
        self._layer(shapes)
        self._name(shapes, lines)
        self._open_feeds()
        for line, payload, place in held:
            self._tell(line, payload, place)

    def _market_at(self, address: str) -> str:
        return foreign.market_at(self._venue, address, self._markets)

    def _wire(self, conn: str) -> Wire:
        if conn not in self._wires:
            self._wires[conn] = Wire(len(self._wires), "")
        return self._wires[conn]

    def _layer(self, shapes: Shapes) -> None:
        """Find connections that carry a book which another one carries at the same time: second lines."""
        lines: list[list[Held]] = []
        for conn, held in shapes.held.items():
            free = (number for number, others in enumerate(lines) if not any(map(held.clashes, others)))
            number = next(free, len(lines))
            if number == len(lines):
                lines.append([])
            lines[number].append(held)
            self._wires[conn].line = number

    def _name(self, shapes: Shapes, lines: Sequence[Line]) -> None:
        """Make known what was asked for and what is told of; without any list, what is told of is named by itself."""
        lists, asked = self._lists, self._asked
        wanted = {(one.market, one.native): one for one in asked}
        seen = {name for held in shapes.held.values() for name in held.seen}
        chosen = {name: lists.get(name, one) for name, one in wanted.items()}
        chosen |= {name: found for name in sorted(seen - wanted.keys()) if (found := lists.get(name)) is not None}
        if not lists:
            unlisted = foreign.named_by(self._venue, lines, sorted(seen - chosen.keys()))
            chosen |= {(one.market, one.native): one for one in unlisted}
        books = {name for held in shapes.held.values() for name in held.books}
        quotes = {name for held in shapes.held.values() for name in held.quotes}
        # in a part of a session books may have no beginning: then slower quotes are better than none
        quotes |= books - {name for held in shapes.held.values() for name in held.begun}
        for name, listed in chosen.items():
            if self._is_split and name not in seen:
                continue  # of another part of the session
            has_book = name in books if name in seen else bool(books)
            has_quotes = name in quotes if name in seen else bool(quotes)
            self._add(listed, has_book=has_book, has_quotes=has_quotes or not has_book)

    def _add(self, listed: Listed, *, has_book: bool, has_quotes: bool) -> Known | None:
        """Name an instrument, unless another market has one of that symbol."""
        name = listed.market, listed.native
        if name in self._known or listed.symbol in self._symbols:
            return None
        self._symbols.add(listed.symbol)
        known = Known(listed, self._stream.define(listed.symbol), has_book, has_quotes)
        self._known[name] = known
        return known

    def _open_feeds(self) -> None:
        """One feed for each line."""
        dialect = msgspec.json.encode(self._dialect())
        for _ in range(1 + max((wire.line for wire in self._wires.values()), default=0)):
            self._feeds.append(_native.JsonFeed(dialect, depth=self._depth))
        for known in self._known.values():
            self._define(known)
        for wire in self._wires.values():
            self._feeds[wire.line].open_link(wire.number, wire.market)

    def _define(self, known: Known) -> None:
        listed, flags = known.listed, {"book": known.has_book, "quotes": known.has_quotes}
        for feed in self._feeds:
            for name in (listed.native, *listed.also):
                feed.define(listed.market, name, known.instrument, state=int(listed.state), **flags)

    def _dialect(self) -> Dialect:
        """Return the venue's dialect; a counter of connections proves nothing where frames were left out."""
        dialect, selection = self._venue.dialect, self._header.selection
        counter = dialect.counter
        if counter is None:
            return dialect
        if self._is_split:
            self._stream.report.note(
                f"the recording is a part of a session ({selection}): numbers that count all messages of a connection "
                "prove nothing in it"
            )
            return msgspec.structs.replace(dialect, counter=None)
        if not self._addresses or (selection and not selection.startswith(WHOLE)):
            return msgspec.structs.replace(dialect, counter=msgspec.structs.replace(counter, first=None))
        return dialect

    # ------------------------------------------------------------------ what was recorded

    def _tell(self, line: Line, payload: bytes, place: Place) -> None:
        if line.t == "recv":
            self._received(line, payload, place)
        elif line.t == "http":
            self.flush()
            self._answered(line, place)
        elif line.t == "connect" and not line.continued:
            self._connected(line)
        elif line.t == "close":
            self._lost(line.conn, line.ts_ns)
        elif line.t == "send" and line.data is not None:
            self._sent(line)
        elif line.t == "lost":
            self._stream.report.bury(*place, f"the capture itself lost {line.count} lines", count=line.count or 1)

    def _sent(self, line: Line) -> None:
        """Learn of instruments that are subscribed to later on."""
        for listed in self._venue.recorded(self._addresses, [line.data or ""], []):
            if self._is_split or listed.market != self._wire(line.conn).market:
                continue
            books = any(known.has_book for known in self._known.values())
            known = self._add(listed, has_book=books, has_quotes=any(one.has_quotes for one in self._known.values()))
            if known is not None:
                self._define(known)

    def _connected(self, line: Line) -> None:
        wire = self._wire(line.conn)
        if wire.is_open:
            self._lost(line.conn, line.ts_ns)
        self.flush()
        wire.is_open, wire.market = True, self._market_at(line.addr)
        self._feeds[wire.line].open_link(wire.number, wire.market)

    def _lost(self, conn: str, ts_ns: int) -> None:
        """A connection closed: what came over it is stale."""
        self.flush()
        wire = self._wires.get(conn)
        if wire is None or not wire.is_open:
            return
        wire.is_open = False
        ours = [known.instrument for (market, _), known in self._known.items() if market == wire.market]
        if not any(other.is_open and other.market == wire.market for other in self._wires.values()):
            self._accept(wire, self._feeds[wire.line].suspend(ours, State.STALE, ts_ns))

    def _received(self, line: Line, payload: bytes, place: Place) -> None:
        batch = self._batch
        if batch.conn != line.conn or len(batch.frames) >= BATCH_MAX:
            self.flush()
            batch = self._batch
            batch.conn, batch.place = line.conn, place
        if self._shapes.repeats and self._shapes.is_repeat(line.conn, self._wire(line.conn).market, payload):
            self._stream.report.frames += 1
            self._stream.report.control += 1
            return
        batch.frames.append(payload)
        batch.times.append(line.ts_ns)

    def _decode(self, batch: Batch) -> None:
        wire = self._wire(batch.conn)
        if not wire.is_open:
            wire.is_open = True
        feed = self._feeds[wire.line]
        decoded = feed.decode(wire.number, batch.frames, batch.times)
        report = self._stream.report
        report.frames += len(batch.frames)
        report.control += decoded.control
        self._bury(decoded, batch.place)
        if not wire.line:
            report.gaps += holes(decoded)
        start = 0
        for frame, count in decoded.cold:
            end = count * 64
            self._accept(wire, decoded.records[start:end], decoded.texts, start // 64)
            start = end
            cold = decoded.unpacked.get(frame, batch.frames[frame])
            self._cold(wire, cold, batch.times[frame], batch.place)
        self._accept(wire, decoded.records[start:], decoded.texts, start // 64)
        self._verified()

    def _bury(self, decoded: _native.JsonDecoded, place: Place) -> None:
        if decoded.dead_count:
            reasons = decoded.dead or [(0, "not understood")]
            self._stream.report.bury(*place, reasons[0][1], count=decoded.dead_count)

    def _verified(self) -> None:
        """Take over the counts of checksums."""
        sums = [feed.statistics().get("checksums", {}) for feed in self._feeds]
        self._stream.report.verified += sum(one.get("verified", 0) for one in sums) - self._counted.get("verified", 0)
        self._stream.report.failed += sum(one.get("failed", 0) for one in sums) - self._counted.get("failed", 0)
        self._counted = {name: sum(one.get(name, 0) for one in sums) for name in ("verified", "failed")}

    def _cold(self, wire: Wire, frame: bytes, ts_ns: int, place: Place) -> None:
        """Let the venue read a frame that its dialect does not declare."""
        report = self._stream.report
        try:
            happenings: Sequence[Happening] = self._venue.cold(frame, wire.market)
        except ValueError as wrong:
            report.bury(*place, f"no message of {self._code}: {wrong}")
            return
        told = False
        for happening in happenings:
            if isinstance(happening, Unknown):
                report.wonder(*place, happening.reason)
                return
            if isinstance(happening, Status):
                self._status(wire, happening, ts_ns)
            elif isinstance(happening, Rows):
                told = True
                self._accept(wire, b"".join(happening.records), happening.texts)
        report.control += not told

    def _status(self, wire: Wire, status: Status, ts_ns: int) -> None:
        market = status.market or wire.market
        feed = self._feeds[wire.line]
        for (at, native), known in self._known.items():
            if native == status.native or (not status.native and at == market):
                self._accept(wire, feed.set_state(known.instrument, int(status.state), ts_ns))

    def _answered(self, line: Line, place: Place) -> None:
        """Give the answer to a request for a book to that book."""
        if foreign.is_refusal(line):
            self._stream.report.note(f"a recorded request was refused, or answered by no data: {line.url}")
            return
        body = (line.data or "").encode()
        known = next((one for one in self._known.values() if foreign.is_book_of(self._venue, one.listed, line)), None)
        if known is None:
            self._polled(line, place)
            return
        if not known.has_book:
            return
        for number, feed in enumerate(self._feeds):
            decoded = feed.rest_book(known.instrument, body, line.ts_ns)
            self._bury(decoded, place)
            self._stream.report.gaps += 0 if number else holes(decoded)
            self._accept(Wire(0, "", line=number), decoded.records, decoded.texts)
        self._verified()

    def _polled(self, line: Line, place: Place) -> None:
        """Tell figures that the venue has over REST only."""
        known = next((one for one in self._known.values() if foreign.is_poll_of(self._venue, one.listed, line)), None)
        if known is None:
            return
        wire = next((each for each in self._wires.values() if each.market == known.listed.market), None)
        if wire is not None:
            decoded = self._feeds[0].decode(wire.number, [(line.data or "").encode()], [line.ts_ns])
            self._bury(decoded, place)
            self._accept(Wire(0, ""), decoded.records, decoded.texts)

    def _accept(self, wire: Wire, records: bytes, texts: Mapping[int, str] | None = None, first: int = 0) -> None:
        """Pass records on: of a second line only trades. ``texts`` count from record ``first`` before these."""
        if not records:
            return
        ours = {at - first: text for at, text in (texts or {}).items() if 0 <= at - first < len(records) // 64}
        if wire.line:
            records, ours = only_trades(records, ours)
        if records:
            self._stream.accept(records, None, ours)


def only_trades(records: bytes, texts: Mapping[int, str]) -> tuple[bytes, dict[int, str]]:
    """Leave of whole events the trades; each becomes the end of an event."""
    rows = records_from(bytearray(records))
    kept = np.flatnonzero(np.isin(rows["kind"], TRADED))
    left = rows[kept]
    left["flags"] |= np.uint16(1)
    return bytes(record_bytes(left)), {at: texts[was] for at, was in enumerate(kept.tolist()) if was in texts}


def holes(decoded: _native.JsonDecoded) -> int:
    """Count the holes: a break of several books once, and those in the numbers of trades."""
    told = int(np.count_nonzero(records_from(decoded.records)["kind"] == Kind.GAP)) if decoded.records else 0
    breaks: Iterable[_native.JsonBreak] = decoded.breaks
    return len({each.cause for each in breaks}) + max(told - len(decoded.breaks), 0)
