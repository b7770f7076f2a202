"""Segments of a capture on disk: the blocking side, no clock and no tasks.

A segment is a session file (:mod:`tickcast.model.capture`) in a row of whole zstd frames, one for each write, so that
it can be read while it grows and after a kill. Beside it lies an index, one JSON line a frame, by which a time is found
without reading all.
"""

import contextlib
import errno
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec
import zstandard

from tickcast.model.capture import FORMAT, payload_field, seconds

SUFFIX: Final = ".jsonl.zst"
INDEX: Final = ".index.jsonl"
HEADER: Final = msgspec.json.Encoder(decimal_format="number")


class IndexEntry(msgspec.Struct, kw_only=True):
    """A frame of a segment: a line of its index."""

    offset: int
    """Of the frame in the segment."""
    size: int
    """Bytes of the frame."""
    raw: int
    """Bytes of its lines."""
    records: int
    first_ns: int
    last_ns: int


@dataclass(slots=True)
class _Segment:
    """The segment being written."""

    path: Path
    size: int = 0


Item = tuple[int, str, tuple[str, bytes, bool]]
"""Time, kind of line, and what it is made of: head (JSON between time and payload), payload, whether it is text."""


class SegmentWriter:
    """The blocking side: lines to segments on disk. Used by one thread at a time."""

    def __init__(
        self,
        folder: Path,
        *,
        feed: str,
        venue: str,
        segment_max: int,
        disk_max: int,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        """``settings`` of the feed go into the header of each segment."""
        self._folder = folder
        self._feed, self._venue = feed, venue
        self._settings = dict(settings or {})
        self._disk_max = disk_max
        self._segment_max = max(min(segment_max, disk_max // 4), 1)
        self._segment: _Segment | None = None
        self._links: dict[str, bytes] = {}
        """Links that are open: connection to the text of its ``connect`` line."""
        self._compressor = zstandard.ZstdCompressor(level=1)

    def prepare(self) -> None:
        """Create the folder; cut what a killed process left half written."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for segment in self._segments():
            index = index_path(segment)
            good = max((entry.offset + entry.size for entry in read_index(index)), default=0)
            if segment.stat().st_size > good:
                os.truncate(segment, good)
            if not good:
                segment.unlink()
                index.unlink(missing_ok=True)

    def write(self, items: Iterable[Item]) -> int:
        """Write lines as one frame; returns the bytes it took.

        Raises:
            OSError: the disk is full, or the folder is gone; the frame is not in the segment.
        """
        lines: list[bytes] = []
        times: list[int] = []
        links = dict(self._links)
        for ts_ns, kind, (head, payload, text) in items:
            line = _line(kind, ts_ns, head, payload, text=text)
            lines.append(line)
            times.append(ts_ns)
            conn = msgspec.json.decode(line)["conn"] if kind in {"connect", "close"} else ""
            if kind == "connect":
                links[conn] = _line(kind, ts_ns, head + ',"continued":true', b"", text=False)
            elif kind == "close":
                links.pop(conn, None)
        if not lines:
            return 0
        if self._segment is None or self._segment.size >= self._segment_max:
            self._begin(times[0])
        written = self._append(lines, times)
        self._links = links
        self._make_room()
        return written

    def _begin(self, ts_ns: int) -> None:
        while self._path(ts_ns).is_file():  # a clock that went back
            ts_ns += 1
        self._segment = _Segment(self._path(ts_ns))
        header = {
            "t": "header",
            "format": FORMAT,
            "exchange": self._venue,
            "feed": self._feed,
            "recorded": Decimal(ts_ns).scaleb(-9),
            "settings": self._settings,
        }
        lines = [HEADER.encode(header) + b"\n", *self._links.values()]
        self._append(lines, [ts_ns] * len(lines))

    def _path(self, ts_ns: int) -> Path:
        moment = datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC)
        return self._folder / f"{moment:%Y%m%dT%H%M%S}.{ts_ns % 1_000_000_000:09d}Z{SUFFIX}"

    def _append(self, lines: list[bytes], times: list[int]) -> int:
        """Add a frame and its line in the index; a frame that does not fit is taken back."""
        segment = self._segment
        assert segment is not None  # noqa: S101  _begin made it
        raw = b"".join(lines)
        frame = self._compressor.compress(raw)
        entry = IndexEntry(
            offset=segment.size, size=len(frame), raw=len(raw), records=len(lines), first_ns=times[0], last_ns=times[-1]
        )
        try:
            _append(segment.path, frame, at=segment.size)
            with index_path(segment.path).open("ab") as index:
                index.write(msgspec.json.encode(entry) + b"\n")
        except OSError:
            self._segment = None  # what stands in it is whole; the next write begins another
            raise
        segment.size += len(frame)
        return len(frame)

    def _segments(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{SUFFIX}"))

    def _make_room(self) -> None:
        """Delete the oldest segments beyond the bound, never the one being written."""
        sizes = {segment: _size(segment) + _size(index_path(segment)) for segment in self._segments()}
        total = sum(sizes.values())
        for segment, size in sizes.items():
            if total <= self._disk_max or (self._segment is not None and segment == self._segment.path):
                break
            segment.unlink(missing_ok=True)
            index_path(segment).unlink(missing_ok=True)
            total -= size


def index_path(segment: Path) -> Path:
    """Where the index of a segment lies."""
    return segment.with_name(segment.name.removesuffix(SUFFIX) + INDEX)


def read_index(path: Path) -> list[IndexEntry]:
    """The frames of a segment, in order; what a killed process left half written is not among them."""
    entries: list[IndexEntry] = []
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return entries
    for line in lines:
        try:
            entries.append(msgspec.json.decode(line, type=IndexEntry))
        except msgspec.MsgspecError:
            break
    return entries


def _line(kind: str, ts_ns: int, head: str, payload: bytes, *, text: bool) -> bytes:
    body = b"," + payload_field(payload, text=text) if kind in {"recv", "send", "http"} else b""
    return b'{"t":"%s","ts":%s%s%s}\n' % (kind.encode(), seconds(ts_ns), head.encode(), body)


def _append(path: Path, data: bytes, *, at: int) -> None:
    """Write at the end of what is known to be whole; what does not fit is taken back."""
    with path.open("r+b" if at else "wb", buffering=0) as file:
        file.seek(at)
        try:
            written = file.write(data)
            if written != len(data):
                raise OSError(errno.ENOSPC, f"expected to write {len(data)} bytes, wrote {written}")
        except OSError:
            with contextlib.suppress(OSError):
                file.truncate(at)
            if not at and path.is_file():
                path.unlink(missing_ok=True)
            raise


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
