"""Log files of bounded size: what a process says is kept, and can never fill the disk."""

from pathlib import Path
from typing import BinaryIO


class LogFile:
    """Appends lines; puts the file aside as ``.1``, ``.2`` ... when it is full. A full disk loses lines, counted."""

    def __init__(self, path: Path, *, bytes_max: int, keep: int) -> None:
        """``keep`` files put aside are kept, so that at most ``bytes_max * (keep + 1)`` bytes are used."""
        self.path = path
        self.lost = 0
        """Lines that could not be written."""
        self._bytes_max = bytes_max
        self._keep = keep
        self._file: BinaryIO | None = None
        self._size = 0

    def write(self, line: bytes) -> None:
        """Append one line (without its end)."""
        line = line[: self._bytes_max - 1] + b"\n"
        try:
            if self._file is None:
                self._file = self.path.open("ab", buffering=0)
                self._size = self._file.tell()
            if self._size and self._size + len(line) > self._bytes_max:
                self._rotate()
            self._file.write(line)
            self._size += len(line)
        except OSError:
            self.lost += 1

    def close(self) -> None:
        """Let go of the file; the next ``write`` opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _rotate(self) -> None:
        self.close()
        older = [self.path.with_name(f"{self.path.name}.{number}") for number in range(1, self._keep + 1)]
        for source, target in reversed(list(zip([self.path, *older], older, strict=False))):
            if source.exists():
                source.replace(target)
        self._file = self.path.open("ab", buffering=0)
        if self._keep == 0:
            self._file.truncate(0)
        self._size = self._file.tell()
