"""TotalView-ITCH 5.0: files of length-prefixed messages, and the blocks that packets bring."""

from collections.abc import Sequence
from datetime import date

from tickcast import _native
from tickcast.decode.blocks import EPOCH_DAY, NO_DATE, RECENT_NS, Place, count
from tickcast.decode.stream import Stream, doubted
from tickcast.model.record import record_bytes, records_from
from tickcast.venues.xnas.day import TradingDay, new_york_day


class ItchMarket:
    """One stream of ITCH messages: decoder, books, day."""

    def __init__(self, stream: Stream, *, day: date | None, depth: int) -> None:
        """``day`` None: by the first receive time."""
        self._stream = stream
        self._day = day
        self._depth = depth
        self._trading_day = TradingDay(day or EPOCH_DAY, fixed=True)
        self._decoder: _native.ItchDecoder | None = None
        self._last_ns = 0
        self._in_doubt = False
        """Messages are missing since the capture began."""

    def take(self, block: bytes, first_seq: int, ts_recv: int, place: Place) -> None:
        """Decode a block of messages."""
        decoder = self._decoder or self._begin(ts_recv)
        self._pass_on(decoder, decoder.decode(block, first_seq, ts_recv), ts_recv, place)

    def take_lines(self, blocks: Sequence["_native.LineBlock"], place: Place) -> None:
        """Decode the blocks of a MoldUDP64 session, in order."""
        ts_recv = blocks[0].ts_recv
        decoder = self._decoder or self._begin(ts_recv)
        self._pass_on(decoder, decoder.decode_lines(blocks), ts_recv, place)

    def _pass_on(self, decoder: "_native.ItchDecoder", decoded: "_native.Decoded", ts_recv: int, place: Place) -> None:
        count(decoded, self._stream.report, place)
        for entry in decoded.instruments:
            self._stream.define(str(entry["stock"]).strip())
        if decoded.records:
            records = records_from(bytearray(decoded.records))
            self._trading_day.correct(records["ts_event"], ts_recv)
            self._last_ns = int(records["ts_event"][-1])
            known = bytes(record_bytes(records))
            self._stream.accept(doubted(known) if self._in_doubt else known, decoder.stocks)

    def hole(self, unit: int, missing: int, next_seq: int, ts_recv: int) -> None:
        """Messages are missing (0 = an unknown number): no book is certain any more."""
        del unit
        symbols = self._decoder.stocks() if self._decoder else []
        self._in_doubt = self._in_doubt or bool(symbols)  # a capture that begins with a hole just begins later
        self._stream.gap(symbols, missing, next_seq=next_seq, ts_event=self._last_ns or ts_recv, ts_recv=ts_recv)

    def _begin(self, ts_recv: int) -> "_native.ItchDecoder":
        if self._day is None and ts_recv > RECENT_NS:
            self._trading_day = TradingDay(new_york_day(ts_recv), fixed=False)
        elif self._day is None:
            self._stream.report.note(NO_DATE)
        self._decoder = _native.ItchDecoder(self._stream.venue, self._trading_day.midnight_ns, depth=self._depth)
        return self._decoder


class ItchFileReader:
    """Files of length-prefixed messages, one after the other as one stream of bytes."""

    def __init__(self, stream: Stream, market: ItchMarket) -> None:
        self._stream = stream
        self._market = market
        self._held = b""
        self._next = 1
        self._file = ""
        self._offset = 0
        """Of the held bytes in the file; below 0 while some are of the file before."""

    def begin_file(self, name: str) -> None:
        """Another file: a message may go on in it."""
        self._file = name
        self._offset = -len(self._held)

    def feed(self, data: bytes) -> None:
        """Decode what is whole."""
        self._decode(self._held + data if self._held else data, is_end=False)

    def end_file(self, reason: str | None) -> None:
        """Leave what is unfinished to the next file; ``reason``: this one could not be read to its end."""
        if reason is not None:
            self._stream.report.bury(self._file, self._offset + len(self._held), reason)

    def finish(self) -> None:
        """What is left is cut."""
        self._decode(self._held, is_end=True)

    def _decode(self, data: bytes, *, is_end: bool) -> None:
        frames = _native.itch_split(data, is_end=is_end)
        report = self._stream.report
        parts: list[tuple[int, int, int, str]] = [(start, end, number, "") for start, end, number in frames.blocks]
        parts.extend((start, end, 0, reason) for start, end, reason in frames.damaged)
        for start, end, number, reason in sorted(parts):
            if reason:
                report.frames += 1
                report.bury(self._file, self._offset + start, reason)
                self._market.hole(0, 0, self._next, 0)
                continue
            block = data if end - start == len(data) else data[start:end]
            self._market.take(block, self._next, 0, self._place(start))
            self._next += number
        report.frames += frames.ended
        report.control += frames.ended
        self._held = data[frames.consumed :]
        self._offset += frames.consumed

    def _place(self, start: int) -> Place:
        file, begin = self._file, self._offset + start
        return lambda at, _: (file, begin + at)
