"""What a session notices of a venue that changes its messages, and tells: each sign once a day, with a sample.

Kinds of messages that the venue class does not know, keys and words that the dialect does not declare, checksums that
are all 0. The core looks at keys in samples of the messages, so that it costs nothing; it counts every foreign word.
"""

from collections.abc import Sequence
from typing import Final

from tickcast import _native
from tickcast.model.health import SAMPLE_MAX, Findings
from tickcast.model.ledger import Incident
from tickcast.venues.base import Step
from tickcast.venues.declared.dialect import Book
from tickcast.venues.declared.pacing import SECOND_NS
from tickcast.venues.declared.unfamiliar import NAME_MAX, Unfamiliar, What
from tickcast.venues.declared.venue import Venue

LOOK_NS: Final = 60 * SECOND_NS
"""What the core has counted is looked at so often."""
ZEROES_MIN: Final = 20
"""So many checksums of 0, and none that is another number, are no accident."""
MARK: Final = b"checksum"
"""In a message that may have one."""
TEXTS: Final[dict[What, str]] = {
    "message": "messages of a kind that is not known: {}",
    "key": "a key that is not declared: {}",
    "value": "a word that nobody knows: {}",
    "checksum": "{}",
}


class DriftWatch:
    """Of one feed."""

    def __init__(self, feed: "_native.JsonFeed", *, has_checksums: bool = False) -> None:
        self._feed = feed
        self._unfamiliar = Unfamiliar()
        self._seen: dict[tuple[What, str], int] = {}
        """What the core counts, in the order in which it was seen; the core bounds it."""
        self._look_ns = 0
        self._findings = Findings()
        self._findings_ns = 0
        self._wants_sample = has_checksums
        self._checksum_sample = b""

    def met(self, what: What, name: str, frame: bytes, *, now_ns: int, step: Step) -> None:
        """Count something that the venue class does not know."""
        if self._unfamiliar.met(what, name, frame, now_ns=now_ns):
            self._tell(what, name, now_ns, step)

    @staticmethod
    def _tell(what: What, name: str, now_ns: int, step: Step, *, channel: str = "") -> None:
        reason = TEXTS[what].format(name[:NAME_MAX])
        step.incidents.append(Incident(kind="drift", scope="venue", reason=reason, ts_ns=now_ns, channel=channel))

    def sample(self, frames: Sequence[bytes]) -> None:
        """Keep a message that a sign wants for its sample."""
        if self._wants_sample:
            found = next((frame for frame in frames if MARK in frame), None)
            if found is not None:
                self._wants_sample, self._checksum_sample = False, found[: 2 * SAMPLE_MAX]

    # ------------------------------------------------------------------ time

    def begin(self, now_ns: int) -> bool:
        """There are instruments now; whether that is news."""
        is_news = not self._look_ns
        self._look_ns = self._look_ns or now_ns + LOOK_NS
        return is_news

    def next_ns(self) -> int:
        """When :meth:`look` wants to be called; 0 = not at all."""
        return self._look_ns

    def look(self, step: Step, now_ns: int) -> None:
        """Tell what the core has counted."""
        if not self._look_ns or self._look_ns > now_ns:
            return
        self._look_ns = now_ns + LOOK_NS
        for what, name, count, frame in self._counted():
            if self._unfamiliar.counted(what, name, count, frame, now_ns=now_ns):
                self._tell(what, name, now_ns, step, channel=name.partition(".")[0])
        sums = self._feed.statistics()["checksums"]
        if sums["zero"] >= ZEROES_MIN and not sums["verified"] + sums["failed"]:
            name = "every checksum is 0, which proves nothing"
            if self._unfamiliar.counted("checksum", name, sums["zero"], self._checksum_sample, now_ns=now_ns):
                self._tell("checksum", name, now_ns, step)

    def _counted(self) -> list[tuple[What, str, int, bytes]]:
        """What the core has counted, in the order in which it was first seen."""
        found: list[tuple[What, str, int, bytes]] = [
            ("key", f"{message}.{key}", count, frame) for message, key, count, frame in self._feed.drift()
        ]
        found += [
            ("value", f"{message}.{place}", count, frame)
            for message, place, count, frame in self._feed.foreign_values()
        ]
        for what, name, _, _ in found:
            self._seen.setdefault((what, name), len(self._seen))
        found.sort(key=lambda one: self._seen[one[0], one[1]])
        return found

    def findings(self, now_ns: int) -> Findings:
        """Say what was found so far, and what became of checksums (counted every second)."""
        if now_ns - self._findings_ns < SECOND_NS:
            return self._findings
        self._findings_ns = now_ns
        sums = self._feed.statistics()["checksums"]
        unknown = self._unfamiliar.told(self._counted())
        self._findings = Findings(unknown=unknown, checksums=sums if any(sums.values()) else {})
        return self._findings


def sums_books(venue: Venue) -> bool:
    """Whether any book of a venue is declared to have a checksum."""
    emits = (emit for message in venue.dialect.messages for emit in message.emits)
    return any(isinstance(emit, Book) and emit.rule.checksum is not None for emit in emits)
