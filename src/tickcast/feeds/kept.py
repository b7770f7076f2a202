"""What a session has to remember beyond its process: one small file for each feed, ``feeds/NAME.kept``.

A line of format, length and CRC-32, then the session's own bytes. It is written beside and renamed, so that a process
that is killed leaves the old file or the new one. Not forced to the disk: after a power cut the file may be old or
damaged, which the check shows and the session's protocol makes good.
"""

import zlib
from pathlib import Path
from typing import Final

from tickcast.runtime.log import get_logger

MAGIC: Final = b"tickcast-kept 1"
KEPT_MAX: Final = 1_048_576
"""Bytes; what a session keeps is a few numbers."""

log = get_logger("feeds")


class KeptFile:
    """The file of one feed."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._failing = False

    def read(self) -> bytes | None:
        """Return what was kept last; None = nothing, or it is damaged, which is logged."""
        try:
            with self.path.open("rb") as file:
                data = file.read(KEPT_MAX + 1)
        except FileNotFoundError:
            return None
        except OSError as wrong:
            log.warning("the session begins anew: what was kept cannot be read", path=str(self.path), error=str(wrong))
            return None
        head, _, kept = data.partition(b"\n")
        if head != header(kept):
            log.warning("the session begins anew: what was kept is damaged", path=str(self.path))
            return None
        return kept

    def write(self, kept: bytes) -> None:
        """Replace what was kept. A failure is logged once, and again when it works: the feed goes on without."""
        beside = self.path.with_suffix(".kept.new")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside.write_bytes(header(kept) + b"\n" + kept)
            beside.replace(self.path)
        except OSError as wrong:
            if not self._failing:
                self._failing = True
                log.warning("cannot keep the session's state", path=str(self.path), error=str(wrong))
            return
        if self._failing:
            self._failing = False
            log.info("the session's state is kept again", path=str(self.path))


def header(kept: bytes) -> bytes:
    """Return the first line for these bytes."""
    return b"%s %d %08x" % (MAGIC, len(kept), zlib.crc32(kept))
