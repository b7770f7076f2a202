"""Epochs that are never used again, across restarts too."""

import errno
from pathlib import Path
from typing import Final

from tickcast.model.errors import UsageError

RESERVED: Final = 1_000_000
"""Epochs that one start may give out before the next start must begin above them."""


def next_epoch(path: Path, now_ns: int) -> int:
    """Reserve a range of epochs and return its first; the file at ``path`` remembers the end.

    Epochs count microseconds since 1970 where the clock is ahead of the file, so that a lost file does no harm, and
    stay below 2**53 until the year 2255.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        used = int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        used = 0
    first = max(now_ns // 1000, used + 1)
    new = path.with_suffix(".new")
    try:
        try:
            new.write_text(str(first + RESERVED), encoding="ascii")
            new.replace(path)
        except OSError as full:
            # On a full disk the space of the old number can still be written: the core must be able to start again.
            if full.errno != errno.ENOSPC or not used:
                raise
            with path.open("r+", encoding="ascii") as file:
                file.write(str(first + RESERVED))
    except OSError as wrong:
        raise UsageError(f"cannot write {path}: {wrong.strerror or wrong}; the data folder must be writable") from wrong
    return first
