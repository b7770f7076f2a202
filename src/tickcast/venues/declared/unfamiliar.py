"""What a venue sends that nobody knew: counted by kind, each with a sample, bounded; told to the ledger once a day."""

from collections.abc import Iterable
from typing import Final, Literal

from tickcast.model.health import SAMPLE_MAX, UNKNOWN_MAX, Unknown

NAME_MAX: Final = 120
"""Characters of a name that are kept: it is the venue's, and may be anything."""
AGAIN_NS: Final = 86_400 * 1_000_000_000
TOLD_MAX: Final = 1000
"""Names of which it is remembered when they were told; the oldest beyond it may be told again."""

What = Literal["message", "key", "value", "checksum"]


class Unfamiliar:
    """Kinds of messages, keys and words that were not understood, and checksums that prove nothing."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[What, str], tuple[int, bytes]] = {}
        """Count and first message; the newest last."""
        self._told: dict[tuple[What, str], int] = {}

    def met(self, what: What, name: str, frame: bytes, *, now_ns: int) -> bool:
        """Count one more; whether the ledger is to be told."""
        count, sample = self._kinds.pop((what, name[:NAME_MAX]), (0, b""))
        return self.counted(what, name, count + 1, sample or frame, now_ns=now_ns)

    def counted(self, what: What, name: str, count: int, frame: bytes, *, now_ns: int) -> bool:
        """Take a count of somebody else's; whether the ledger is to be told."""
        key = (what, name[:NAME_MAX])
        self._kinds.pop(key, None)
        self._kinds[key] = (count, frame[: 2 * SAMPLE_MAX])
        if len(self._kinds) > UNKNOWN_MAX:
            del self._kinds[next(iter(self._kinds))]
        told_ns = self._told.get(key)
        if told_ns is not None and now_ns - told_ns < AGAIN_NS:
            return False
        self._told.pop(key, None)
        self._told[key] = now_ns
        if len(self._told) > TOLD_MAX:
            del self._told[next(iter(self._told))]
        return True

    def told(self, keys: Iterable[tuple[What, str, int, bytes]] = ()) -> list[Unknown]:
        """Return them, and beside them the newest of what the core counts (what, name, count, frame; oldest first)."""
        beside = {(what, name[:NAME_MAX]): (count, frame) for what, name, count, frame in keys}
        own = [(key, seen) for key, seen in self._kinds.items() if key not in beside]
        newest = list(beside.items())[-UNKNOWN_MAX:]
        return [_told(what, name, count, sample) for (what, name), (count, sample) in own + newest]


def _told(what: What, name: str, count: int, sample: bytes) -> Unknown:
    text = sample[: 2 * SAMPLE_MAX].decode("utf-8", "replace")
    return Unknown(what=what, name=name, count=count, sample=text)
