"""Cboe PITCH: lines of its text form, and the blocks that packets of its binary form bring."""

from collections.abc import Sequence
from datetime import date

from tickcast import _native
from tickcast.decode.blocks import EPOCH_DAY, NO_DATE, RECENT_NS, Place, count
from tickcast.decode.stream import Stream, doubted
from tickcast.venues.xnas.day import midnight_ns, new_york_day


class PitchMarket:
    """Binary PITCH of all units."""

    def __init__(self, stream: Stream, *, day: date | None, depth: int) -> None:
        """``day`` None: by the first receive time."""
        self._stream = stream
        self._day = day
        self._depth = depth
        self._decoder: _native.PitchDecoder | None = None
        self._symbols: list[str] = []
        self._unit_symbols: dict[int, list[str]] = {}
        self._epochs: dict[int, int] = {}
        self._in_doubt: set[int] = set()
        """Units of which messages are missing since the capture began."""

    def take_lines(self, blocks: Sequence["_native.LineBlock"], place: Place) -> None:
        """Decode blocks, in order."""
        decoder = self._decoder or self._begin(blocks[0].ts_recv)
        run: list[_native.LineBlock] = []
        unit_in_run = -1
        for block in blocks:
            begins = bool(block.first_seq) and self._epochs.setdefault(block.unit, block.epoch) != block.epoch
            if begins or (self._in_doubt and block.unit != unit_in_run):
                self._decode(decoder, run, place)
                run = []
            if begins:
                self._epochs[block.unit] = block.epoch
                decoder.reset(block.unit)
                self._in_doubt.discard(block.unit)
                self._stream.begin_session()
            run.append(block)
            unit_in_run = block.unit
        self._decode(decoder, run, place)

    def _decode(self, decoder: "_native.PitchDecoder", run: Sequence["_native.LineBlock"], place: Place) -> None:
        """Decode blocks; where a unit is in doubt, they are all of one unit."""
        if not run:
            return
        decoded = decoder.decode_lines(run)
        count(decoded, self._stream.report, place)
        for entry in decoded.instruments:
            symbol = str(entry["symbol"])
            self._stream.define(symbol)
            self._unit_symbols.setdefault(int(str(entry["unit"])), []).append(symbol)
        if decoded.records:
            in_doubt = run[0].unit in self._in_doubt
            self._stream.accept(doubted(decoded.records) if in_doubt else decoded.records)

    def hole(self, unit: int, missing: int, next_seq: int, ts_recv: int) -> None:
        """Messages of a unit are missing: none of its books is certain any more."""
        symbols = list(dict.fromkeys(self._unit_symbols.get(unit, ())))
        if symbols:  # a capture that begins with a hole just begins later
            self._in_doubt.add(unit)
        self._stream.gap(symbols, missing, next_seq=next_seq, ts_event=ts_recv, ts_recv=ts_recv)

    def _begin(self, ts_recv: int) -> "_native.PitchDecoder":
        day = self._day
        if day is None and ts_recv > RECENT_NS:
            day = new_york_day(ts_recv)
        elif day is None:
            self._stream.report.note(NO_DATE)
        midnight = midnight_ns(day or EPOCH_DAY)
        self._decoder = _native.PitchDecoder(self._stream.venue, midnight, depth=self._depth)
        return self._decoder


class PitchTextReader:
    """Files of PITCH text, one message a line."""

    def __init__(self, stream: Stream, *, day: date | None, depth: int) -> None:
        if day is None:
            stream.report.note(NO_DATE)
        self._stream = stream
        self._decoder = _native.PitchTextDecoder(stream.venue, midnight_ns(day or EPOCH_DAY), depth=depth)
        self._next = 1
        self._file = ""
        self._offset = 0
        self._held = b""

    def begin_file(self, name: str) -> None:
        """Another file."""
        self._file = name
        self._offset = 0

    def feed(self, data: bytes) -> None:
        """Decode whole lines."""
        end = data.rfind(b"\n") + 1
        if not end:
            self._held += data
            return
        self._decode(self._held + data[:end])
        self._held = data[end:]

    def end_file(self, reason: str | None) -> None:
        """Decode a last line, also without an end."""
        if self._held:
            self._decode(self._held + b"\n")
            self._held = b""
        if reason is not None:
            self._stream.report.bury(self._file, self._offset, reason)

    def finish(self) -> None:
        """Nothing is left."""

    def _decode(self, lines: bytes) -> None:
        report = self._stream.report
        decoded = self._decoder.decode(lines, self._next, 0)
        offset = self._offset
        count(decoded, report, lambda at, _: (self._file, offset + at))
        messages = decoded.messages + decoded.dead_count
        self._next += messages
        self._offset += len(lines)
        control = sum(map(bool, lines.splitlines())) - messages
        report.frames += control
        report.control += control
        for entry in decoded.instruments:
            self._stream.define(str(entry["symbol"]))
        if decoded.records:
            self._stream.accept(decoded.records)
