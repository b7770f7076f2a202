"""What a venue sends that nobody knew: counted by kind, each with a sample, bounded."""

from collections.abc import Iterable

from tickcast.model.health import SAMPLE_MAX, UNKNOWN_MAX, Unknown

NAME_MAX = 120
"""Characters of a name that are kept: it is the venue's, and may be anything."""


class Unfamiliar:
    """Kinds of messages that were not understood."""

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[int, bytes]] = {}
        """Count and first message; the newest last."""

    def met(self, kind: str, frame: bytes) -> bool:
        """Count a message; whether its kind is new."""
        kind = kind[:NAME_MAX]
        count, sample = self._kinds.pop(kind, (0, b""))
        self._kinds[kind] = (count + 1, sample or frame[: 2 * SAMPLE_MAX])
        if len(self._kinds) > UNKNOWN_MAX:
            del self._kinds[next(iter(self._kinds))]
        return not count

    def told(self, keys: Iterable[tuple[str, str, int, bytes]]) -> list[Unknown]:
        """Return them, and beside them the newest keys (message, key, count, frame; oldest first)."""
        found = [_told("message", kind, count, sample) for kind, (count, sample) in self._kinds.items()]
        newest = list(keys)[-UNKNOWN_MAX:]
        return found + [
            _told("key", f"{message}.{key}"[:NAME_MAX], count, frame) for message, key, count, frame in newest
        ]


def _told(what: str, name: str, count: int, sample: bytes) -> Unknown:
    text = sample[: 2 * SAMPLE_MAX].decode("utf-8", "replace")
    return Unknown(what="key" if what == "key" else "message", name=name, count=count, sample=text)
