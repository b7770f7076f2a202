"""What one core leaves for the next, so that an upgrade begins no new epoch: a file that is read once.

It holds the newest state with every topic's epoch, counters and history (so that clients resume), the instruments, what
the feeds reported last, and which of the feeds' batches were worked off: the rest comes again from them. A core that
cannot read it (of another release, or damaged) begins as after any restart: with a new epoch, which clients are told.
"""

from pathlib import Path
from typing import Final

import msgspec

from tickcast.bus.server import BusPast
from tickcast.feeds.kept import header
from tickcast.late import LatePast
from tickcast.model.health import FeedHealth
from tickcast.model.instrument import Definition
from tickcast.runtime.log import get_logger

OLD_NS: Final = 60_000_000_000
"""What was left longer ago says nothing of now."""

log = get_logger("app")


class CoreState(msgspec.Struct, frozen=True, kw_only=True):
    """See the module."""

    at_ns: int
    hub: bytes
    """As ``_native.Hub.save`` writes it."""
    definitions: tuple[Definition, ...]
    feeds: tuple[FeedHealth, ...]
    bus: BusPast
    late: LatePast | None = None
    """Of those who see everything late, where there are some."""


def leave(path: Path, state: CoreState) -> bool:
    """Write it, beside and renamed; False: it cannot be written, which is logged."""
    body = msgspec.msgpack.encode(state)
    beside = path.with_suffix(".handover.new")
    try:
        beside.touch(mode=0o600)
        beside.write_bytes(header(body) + b"\n" + body)
        beside.replace(path)
    except OSError as wrong:
        log.exception("cannot leave the state for the core that takes over", path=str(path), error=str(wrong))
        return False
    log.info("left the state for the core that takes over", bytes=len(body), instruments=len(state.definitions))
    return True


def take(path: Path, now_ns: int) -> CoreState | None:
    """Read it, and remove it; None = there is none of use, and why is logged."""
    try:
        data = path.read_bytes()
        path.unlink()
    except FileNotFoundError:
        log.warning("the core before left nothing: a new epoch begins")
        return None
    except OSError as wrong:
        log.warning("what the core before left cannot be read: a new epoch begins", error=str(wrong))
        return None
    head, _, body = data.partition(b"\n")
    try:
        if head != header(body):
            raise ValueError("expected another length or checksum")
        state = msgspec.msgpack.decode(body, type=CoreState)
        if not 0 <= now_ns - state.at_ns <= OLD_NS:
            raise ValueError(f"expected what was left within {OLD_NS / 1e9:g} s, found older")
    except ValueError as wrong:
        log.warning("what the core before left is of no use: a new epoch begins", error=str(wrong))
        return None
    return state


def clear(path: Path) -> None:
    """Remove what was left for nobody."""
    path.unlink(missing_ok=True)
