"""The ledger's file in the data folder: one JSON object a line, put aside when it is full, read again at start.

A line is appended and never changed; of an entry the last line counts. The newest file begins with a checkpoint (the
states of all instruments, the open entries), so that the oldest file can be given up. A full disk loses lines: that is
said, the file goes on with a checkpoint when there is room again, and the time between is a *hole* of which nothing is
known. Damaged lines (a process killed while it wrote) are left out and counted.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from io import FileIO
from pathlib import Path
from typing import Final

import msgspec

from tickcast.model.ledger import LedgerEntry
from tickcast.runtime.log import get_logger

log = get_logger("latest")

LINE_MAX: Final = 4_194_304
"""Bytes of one line that is read; a longer one is damage."""


class EntryLine(msgspec.Struct, frozen=True, kw_only=True, tag="entry", tag_field="t"):
    """An entry, as it was told."""

    entry: LedgerEntry


class StatesLine(msgspec.Struct, frozen=True, kw_only=True, tag="states", tag_field="t"):
    """Instruments of a feed that have a state since then."""

    at_ns: int
    feed: str
    state: str
    of: list[str]
    """``VENUE:SYMBOL``."""


class FeedLine(msgspec.Struct, frozen=True, kw_only=True, tag="feed", tag_field="t"):
    """A feed runs, is stale, or is gone, since then."""

    at_ns: int
    feed: str
    state: str
    pid: int = 0
    reset: bool = False
    """Another process than before: what its instruments were ended then."""


class AliveLine(msgspec.Struct, frozen=True, kw_only=True, tag="alive", tag_field="t"):
    """The core was there."""

    at_ns: int


class HoleLine(msgspec.Struct, frozen=True, kw_only=True, tag="hole", tag_field="t"):
    """Lines of this time are lost."""

    from_ns: int
    until_ns: int


Line = EntryLine | StatesLine | FeedLine | AliveLine | HoleLine
_encode = msgspec.json.Encoder().encode


class LedgerFile:
    """Appends lines, bounded in size; nothing here ever stops the core."""

    def __init__(self, path: Path, *, bytes_max: int, keep: int, pending_max: int = 4_194_304) -> None:
        """``keep`` files put aside are kept; ``pending_max``: bytes that wait for room on a full disk."""
        self.path: Final = path
        self.lost = 0
        """Lines that could not be written, so far."""
        self.damaged = 0
        """Lines that could not be read."""
        self.pending = 0
        """Bytes that wait to be written."""
        self.pending_max: Final = pending_max
        self.checkpoint: Callable[[], Iterable[Line]] = list
        """What a new file begins with."""
        self._bytes_max = bytes_max
        self._keep = keep
        self._waiting: deque[bytes] = deque()
        self._file: FileIO | None = None
        self._size = 0
        self._is_torn = False
        """The file may end in the middle of a line."""
        self._failing_ns = 0
        self._has_lost = False

    # ------------------------------------------------------------------ reading

    def files(self) -> list[Path]:
        """The files there are, oldest first."""
        aside = [self.path.with_name(f"{self.path.name}.{number}") for number in range(self._keep, 0, -1)]
        return [one for one in (*aside, self.path) if one.is_file()]

    def read(self) -> Iterator[Line]:
        """Every line of every file, oldest first; what is damaged is left out."""
        decoder = msgspec.json.Decoder(Line)
        for path in self.files():
            damaged = 0
            try:
                with path.open("rb") as file:
                    while text := file.readline(LINE_MAX):
                        try:
                            yield decoder.decode(text)
                        except (msgspec.DecodeError, UnicodeDecodeError):
                            damaged += 1
            except OSError as wrong:
                log.warning("a file of the ledger cannot be read; it goes on without", path=str(path), error=str(wrong))
            if damaged:
                self.damaged += damaged
                log.warning("damaged lines of the ledger are left out", path=str(path), lines=damaged)

    # ------------------------------------------------------------------ writing

    def append(self, line: Line) -> None:
        """Take a line; it is written at the next :meth:`flush`."""
        text = _encode(line) + b"\n"
        self._waiting.append(text)
        self.pending += len(text)
        while self.pending > self.pending_max:
            self.pending -= len(self._waiting.popleft())
            self.lost += 1
            self._has_lost = True

    def flush(self, now_ns: int) -> None:
        """Write what waits. A failure is logged once, and again when it works; what waits is kept, bounded."""
        if not self._waiting:
            return
        try:
            self._open()
            if self._size and self._size + self.pending > self._bytes_max:
                self._rotate()
            self._write_all()
        except OSError as wrong:
            if not self._failing_ns:
                self._failing_ns = now_ns
                log.warning("the ledger cannot be written for now", path=str(self.path), error=str(wrong))
            self.close()
            return
        if self._failing_ns:
            self._recover(now_ns)

    def _recover(self, now_ns: int) -> None:
        failing_ns, self._failing_ns = self._failing_ns, 0
        log.info("the ledger is written again", path=str(self.path), lost=self.lost)
        if self._has_lost:
            self._has_lost = False
            self.append(HoleLine(from_ns=failing_ns, until_ns=now_ns))
            for line in self.checkpoint():
                self.append(line)
            self.flush(now_ns)

    def _open(self) -> None:
        if self._file is not None:
            return
        self._file = FileIO(self.path, "ab")
        self._size = self._file.seek(0, 2)
        if self._size:
            with self.path.open("rb") as file:
                file.seek(-1, 2)
                self._is_torn = file.read(1) != b"\n"

    def _write_all(self) -> None:
        if self._is_torn:
            self._write(b"\n")
            self._is_torn = False
        while self._waiting:
            text = self._waiting[0]
            self._is_torn = True
            self._write(text)
            self._is_torn = False
            self._waiting.popleft()
            self.pending -= len(text)

    def _write(self, text: bytes) -> None:
        """Write all of it; the kernel may take a part before the disk is full."""
        rest = memoryview(text)
        while rest and self._file is not None:
            count = self._file.write(rest)
            self._size += count or 0
            rest = rest[count:]

    def _rotate(self) -> None:
        """Put the file aside; the new one begins with a checkpoint."""
        self.close()
        older = [self.path.with_name(f"{self.path.name}.{number}") for number in range(1, self._keep + 1)]
        for source, target in reversed(list(zip([self.path, *older], older, strict=False))):
            if source.exists():
                source.replace(target)
        if not self._keep:
            self.path.unlink(missing_ok=True)
        self._open()
        first = [_encode(line) + b"\n" for line in self.checkpoint()]
        self._waiting.extendleft(reversed(first))
        self.pending += sum(map(len, first))

    def close(self) -> None:
        """Let go of the file; the next write opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None
