"""FIX logs: whole streams, one message a line, without 8, 9 and 10, behind timestamps; and JSON lines with ``raw``."""

import re
from typing import Final, Literal

import msgspec

from tickcast import _native
from tickcast.decode.stream import Stream

MESSAGE_MAX: Final = 16 << 20
"""Bytes of one message; security lists are long."""
CHECKSUM_FAULTS: Final = ("CheckSum", "BodyLength")
_KNOWN: Final = re.compile(r"[0-9A-NP-TV-Za-z]|A[A-Z]|B[A-Z]|C[A-G]")
"""MsgTypes of FIX 4.4 and 5.0 SP2; what brings no records are sessions, requests, orders. ``U`` begins private ones."""


SOH: Final = b"\x01"


def separator(head: bytes) -> bytes:
    """Return what stands between fields: many a log shows SOH as ``|`` or ``^A``."""
    if SOH not in head:
        for shown in (b"|", b"^A"):
            if shown + b"35=" in head:
                return shown
    return SOH


class _Raw(msgspec.Struct):
    raw: str


class FixMarket:
    """The messages of a log, of one or several connections."""

    def __init__(self, stream: Stream, *, depth: int) -> None:
        self._stream = stream
        self._decoder = _native.FixDecoder(stream.venue, depth=depth)
        self._next: dict[tuple[str, str, str], int] = {}
        self._connection: tuple[str, str, str] | None = None

    def take(self, frames: "_native.FixFrames", file: str, offset: int, *, checked: bool) -> None:
        """Decode what was split; ``offset`` is where the data began, ``checked``: it has checksums."""
        report = self._stream.report
        for at, reason, raw, _ in frames.damaged:
            report.frames += 1
            report.failed += reason.startswith(CHECKSUM_FAULTS)
            report.bury(file, offset + at, f"{reason}: {raw[:40].decode('latin-1')!r}")
        for run in frames.runs:
            report.frames += run.count
            report.verified += run.count if checked else 0
            if self._is_repeat(run):
                continue
            self._decode(run, file, offset)

    def finish(self) -> None:
        """End an event whose last fragment has not come."""
        self._pass_on(self._decoder.flush())

    def _is_repeat(self, run: "_native.FixRun") -> bool:
        """Follow the connection's numbers: tell a hole, know what is sent again."""
        if not run.first_seq:
            return False
        connection = (run.begin, run.sender, run.target)
        if connection != self._connection:
            if self._connection is not None:
                self._stream.begin_session()  # numbers of another connection are no repeats
            self._connection = connection
        expected = self._next.get(connection, 0)
        if run.poss_dup:
            return run.first_seq + run.count <= expected and not self._stream.raw
        if expected and run.first_seq > expected:
            self._gap(run.first_seq - expected, run)
        elif run.first_seq < expected:
            self._stream.begin_session()
        self._next[connection] = run.first_seq + run.count
        return False

    def _gap(self, missing: int, run: "_native.FixRun") -> None:
        symbols = list(self._decoder.names().values())
        self._stream.gap(symbols, missing, next_seq=run.first_seq, ts_event=run.sending_min_ns, ts_recv=0)

    def _decode(self, run: "_native.FixRun", file: str, offset: int) -> None:
        report = self._stream.report
        decoded = self._decoder.decode(run.raw, 0)
        for at, reason, raw in decoded.dead[:1]:
            report.remember(file, offset + run.offset + at, f"{reason}: {raw[:40].decode('latin-1')!r}")
        report.dead_letters += decoded.dead_count
        for subject, name, _ in decoded.events:
            if subject == "other" and _KNOWN.fullmatch(name):
                report.control += 1
            elif subject == "other":
                report.wonder(file, offset + run.offset, f"a message of unknown MsgType {name!r}")
        self._pass_on(decoded)

    def _pass_on(self, decoded: "_native.FixDecoded") -> None:
        for entry in decoded.instruments:
            if entry["symbol"]:
                self._stream.define(entry["symbol"])
        if decoded.records:
            self._stream.accept(decoded.records, self._decoder.names().values, dict(decoded.texts) or None)


class FixReader:
    """Files of FIX messages."""

    def __init__(self, stream: Stream, market: FixMarket) -> None:
        self._market = market
        self._stream = stream
        self._mode: Literal["log", "bare"] | None = None
        self._separator = SOH
        self._held = b""
        self._file = ""
        self._offset = 0

    def begin_file(self, name: str) -> None:
        """Another file; it may be of the other kind."""
        self._file, self._offset, self._held, self._mode, self._separator = name, 0, b"", None, SOH

    def feed(self, data: bytes) -> None:
        """Decode whole messages."""
        if self._mode is None:
            self._separator = separator(data)
        held = self._held + data
        self._decode(held if self._separator == SOH else held.replace(self._separator, SOH), at_end=False)

    def end_file(self, reason: str | None) -> None:
        """What is left is cut."""
        self._decode(self._held, at_end=True)
        if reason is not None:
            self._stream.report.bury(self._file, self._offset, reason)

    def finish(self) -> None:
        """End what waits for a fragment."""
        self._market.finish()

    def _decode(self, data: bytes, *, at_end: bool) -> None:
        if self._mode is None:
            self._mode = "bare" if _native.fix_is_bare(data) else "log"
        frames = _native.fix_split(data, mode=self._mode, message_max=MESSAGE_MAX, at_end=at_end)
        self._market.take(frames, self._file, self._offset, checked=self._mode == "log")
        self._held = data[frames.consumed :]
        self._offset += frames.consumed


class FixJsonReader:
    """JSON lines, each an object with a message in ``raw``."""

    def __init__(self, stream: Stream, market: FixMarket) -> None:
        self._stream = stream
        self._market = market
        self._decoder = msgspec.json.Decoder(_Raw)
        self._held = b""
        self._file = ""
        self._offset = 0

    def begin_file(self, name: str) -> None:
        """Another file."""
        self._file, self._offset, self._held = name, 0, b""

    def feed(self, data: bytes) -> None:
        """Decode whole lines."""
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            self._line(line)
            self._offset += len(line) + 1

    def end_file(self, reason: str | None) -> None:
        """Decode a last line without an end."""
        self._line(self._held)
        self._held = b""
        if reason is not None:
            self._stream.report.bury(self._file, self._offset, reason)

    def finish(self) -> None:
        """End what waits for a fragment."""
        self._market.finish()

    def _line(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            raw = self._decoder.decode(line).raw.encode("latin-1")
        except (msgspec.MsgspecError, UnicodeEncodeError) as wrong:
            self._stream.report.frames += 1
            self._stream.report.bury(self._file, self._offset, f"expected an object with a FIX message in raw: {wrong}")
            return
        bare = _native.fix_is_bare(raw)
        frames = _native.fix_split(raw, mode="bare" if bare else "log", message_max=MESSAGE_MAX, at_end=True)
        self._market.take(frames, self._file, self._offset, checked=not bare)
