"""Signs that a venue changes under us, as the shell of a feed sees them: pure, the time is passed in.

Addresses that redirect, close or are announced to close, and messages that are not understood at a rate that is no
accident. What the session sees in the messages themselves (kinds, keys, values, checksums that prove nothing) it counts
on its own, see ``venues/declared/unfamiliar.py``; both are told together. Each sign is an incident of kind ``drift``
once a day, and a line with its count and one sample as long as the feed lives.
"""

from typing import Final, Literal

from tickcast.model.health import SAMPLE_MAX, Unknown
from tickcast.model.ledger import Incident

SECOND_NS: Final = 1_000_000_000
AGAIN_NS: Final = 86_400 * SECOND_NS
SIGNS_MAX: Final = 20
MINUTE_NS: Final = 60 * SECOND_NS
DEAD_LEAST: Final = 10
"""So many dead letters in a minute are looked at."""
DEAD_PART: Final = 0.01
"""Of the messages of the minute: beyond it, it is no accident."""

Sign = Literal["address", "dead letters"]


class _Seen:
    __slots__ = ("count", "sample", "told_ns")

    def __init__(self, sample: bytes) -> None:
        self.count = 0
        self.sample = sample
        self.told_ns = 0


class Canaries:
    """Of one feed."""

    def __init__(self) -> None:
        self._signs: dict[tuple[Sign, str], _Seen] = {}
        self._minute_ns = 0
        self._messages = 0
        """At the begin of the minute."""
        self._dead = 0
        self._dead_first: tuple[str, bytes] = ("", b"")

    def saw(self, sign: Sign, name: str, reason: str, sample: bytes, now_ns: int) -> Incident | None:
        """Count a sign; what the ledger is to be told, if anything."""
        seen = self._signs.get((sign, name))
        if seen is None:
            seen = self._signs[sign, name] = _Seen(sample[: 2 * SAMPLE_MAX])
            if len(self._signs) > SIGNS_MAX:
                del self._signs[next(iter(self._signs))]
        seen.count += 1
        if seen.told_ns and now_ns - seen.told_ns < AGAIN_NS:
            return None
        seen.told_ns = now_ns
        return Incident(kind="drift", scope="venue", reason=reason, ts_ns=now_ns)

    def buried(self, count: int, reason: str, raw: bytes) -> None:
        """Messages were not understood."""
        if not self._dead:
            self._dead_first = (reason, raw)
        self._dead += count

    def look(self, messages: int, now_ns: int) -> Incident | None:
        """Compare dead letters with all messages, once a minute; ``messages`` counts all so far."""
        if now_ns - self._minute_ns < MINUTE_NS:
            return None
        came, dead = messages - self._messages, self._dead
        reason, raw = self._dead_first
        is_first = not self._minute_ns
        self._minute_ns, self._messages, self._dead = now_ns, messages, 0
        if is_first or dead < DEAD_LEAST or dead < DEAD_PART * came:
            return None
        text = f"{dead} of {max(came, dead)} messages of a minute were not understood; the first: {reason}"
        return self.saw("dead letters", "more than 1 % of a minute's messages", text, raw, now_ns)

    def told(self) -> list[Unknown]:
        """Return what was seen."""
        return [
            Unknown(what=sign, name=name, count=seen.count, sample=seen.sample.decode("utf-8", "replace"))
            for (sign, name), seen in self._signs.items()
        ]
