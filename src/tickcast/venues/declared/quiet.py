"""Quiet or dead: which streams have been silent for longer than is normal for them. Pure.

Theory. A fixed timeout is wrong both ways: a busy stream that stops is dead after seconds, a sleepy one is alive after
hours. So each stream (an instrument's trades, its quotes, its book; and each link as a whole) is judged by its own
past:

- its *rate* is learned as an exponential mean. If events came independently at rate ``r``, a silence of ``t`` would
  have the probability ``exp(-r t)``; at ``r t = 20`` that is two in a billion;
- real streams are burstier than that, so the *longest silence* of the recent past counts too: three of it are normal;
- no silence shorter than :data:`FLOOR_S` is anything.

Beyond the largest of the three a stream is suspect. A calm that falls on everything at once is none: where the other
streams of the link come at a tenth of their usual rate, ten times as long a silence is normal. And what is heard on the
link besides (heartbeats, pongs) proves that it is alive, but not that a stream on it still flows.

A suspect is a question, not an answer: the caller asks the venue over REST, and tells by :meth:`QuietWatch.innocent`
that the stream has a right to be silent. It is then asked about again only after twice that silence.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from math import exp, inf
from typing import Final

SECOND_NS: Final = 1_000_000_000
FLOOR_S: Final = 3.0
IMPROBABLE: Final = 20.0
"""``r t`` of a silence that independent events do not have."""
LONGEST_FACTOR: Final = 3.0
MEMORY_S: Final = 120.0
"""Time over which a rate is forgotten (to 1/e)."""
DOUBT_S: Final = 300.0
"""Silence after which what was learned of a rate is worth 1/e: streams slower than one event in 5 s are not judged
alone, but with their link."""
LONGEST_MEMORY_S: Final = 1_800.0
KNOWN_EVENTS: Final = 20
"""Events before which nothing is known of a stream."""
CALM_MIN: Final = 0.1

Stream = Hashable


@dataclass(slots=True)
class _Past:
    """What is known of one stream."""

    count: int
    seen_ns: int
    """When it was first seen, or last had news."""
    events: int = 0
    rate: float = 0.0
    """Events a second."""
    longest_s: float = 0.0
    suspect: bool = False


@dataclass(slots=True)
class Findings:
    """What one look found."""

    suspects: list[tuple[Stream, float]] = field(default_factory=list)
    """Streams that are silent beyond what is normal, and for how long (s); told once."""
    back: list[Stream] = field(default_factory=list)
    """Suspects that were heard again."""


class QuietWatch:
    """Looks at the counters of streams, about once a second."""

    def __init__(self, *, factor: float = 1.0) -> None:
        """``factor``: so much longer a silence is normal than by what is said above."""
        self._factor = factor
        self._streams: dict[Stream, _Past] = {}
        self._groups: dict[Stream, str] = {}
        self._usual: dict[str, float] = {}
        """Rate of each group over the longer memory."""
        self._looked_ns = 0

    def forget(self, stream: Stream) -> None:
        """A stream is over."""
        self._streams.pop(stream, None)
        self._groups.pop(stream, None)

    def excuse(self, stream: Stream, now_ns: int) -> None:
        """A stream is not expected to speak now (its instrument halts, its book is being repaired)."""
        past = self._streams.get(stream)
        if past is not None:
            past.seen_ns, past.suspect = now_ns, False

    def rest(self, group: str, now_ns: int) -> None:
        """A link is gone or new: its streams are not expected to speak; their silence begins when it is back."""
        for stream, past in self._streams.items():
            if self._groups.get(stream) == group:
                past.seen_ns, past.suspect = now_ns, False

    def innocent(self, stream: Stream, now_ns: int) -> None:
        """The venue was asked: the stream has a right to be silent."""
        past = self._streams.get(stream)
        if past is not None:
            past.longest_s = max(
                past.longest_s, (now_ns - past.seen_ns) / SECOND_NS * 2 / LONGEST_FACTOR / self._factor
            )
            past.suspect = False

    def normal_s(self, stream: Stream) -> float | None:
        """Longest silence that is normal for a stream; None = nothing is known of it."""
        past = self._streams.get(stream)
        return None if past is None else self._normal_s(past)

    def silence_s(self, stream: Stream, now_ns: int) -> float | None:
        """How long a stream has been silent; None = nothing is known of it."""
        past = self._streams.get(stream)
        return None if past is None else (now_ns - past.seen_ns) / SECOND_NS

    def look(self, counts: Mapping[Stream, tuple[str, int]], now_ns: int) -> Findings:
        """Compare with the last look: ``counts`` are group (link) and number of events so far of each stream."""
        findings = Findings()
        elapsed_s = max(0.0, (now_ns - self._looked_ns) / SECOND_NS) if self._looked_ns else 0.0
        self._looked_ns = now_ns
        fresh: dict[str, int] = {}
        silent: list[tuple[Stream, _Past, str]] = []
        for stream, (group, count) in counts.items():
            past = self._streams.get(stream)
            if past is None:
                self._streams[stream] = _Past(count, now_ns)
                self._groups[stream] = group
                continue
            if self._groups[stream] != group:  # it moved to another link
                self._groups[stream] = group
                past.seen_ns = now_ns
            news = max(0, count - past.count)
            past.count = count
            fresh[group] = fresh.get(group, 0) + news
            if news:
                _heard(past, news, now_ns, stream, findings)
            else:
                silent.append((stream, past, group))
            past.longest_s *= exp(-elapsed_s / LONGEST_MEMORY_S)
        dead: dict[tuple[str, Stream], float] = {}
        for stream, past, group in silent:
            key = (group, _owner(stream))
            dead[key] = dead.get(key, 0.0) + past.rate
        for stream, past, group in silent:
            silence_s = (now_ns - past.seen_ns) / SECOND_NS
            normal_s = self._normal_s(past, silence_s)
            if normal_s is None or past.suspect or silence_s <= normal_s:
                continue
            if silence_s > normal_s / self._calm(group, dead[group, _owner(stream)], fresh.get(group, 0), elapsed_s):
                past.suspect = True
                findings.suspects.append((stream, silence_s))
        self._learn_groups(fresh, elapsed_s)
        return findings

    def _normal_s(self, past: _Past, silence_s: float = 0.0) -> float | None:
        normal_s = _normal_s(past, silence_s)
        return None if normal_s is None else normal_s * self._factor

    def _calm(self, group: str, own_rate: float, news: int, elapsed_s: float) -> float:
        """Compare the others of a link with their usual rate, from :data:`CALM_MIN` to 1.

        ``own_rate``: of all silent streams of the same owner.

        A link on which nothing at all comes is no calm: then every stream is judged by its own past alone.
        """
        others = self._usual.get(group, 0.0) - own_rate
        if not news or elapsed_s <= 0 or others <= 0:
            return 1.0
        return min(1.0, max(CALM_MIN, news / elapsed_s / others))

    def _learn_groups(self, fresh: Mapping[str, int], elapsed_s: float) -> None:
        if elapsed_s <= 0:
            return
        keep = exp(-elapsed_s / MEMORY_S)
        for group, news in fresh.items():
            now, usual = news / elapsed_s, self._usual.get(group)
            self._usual[group] = now if usual is None else usual * keep + now * (1 - keep)


def _owner(stream: Stream) -> Stream:
    """What a stream is of: streams ``(owner, kind)`` of one owner say nothing of each other's right to be silent."""
    return stream[0] if isinstance(stream, tuple) and stream else stream


def _heard(past: _Past, news: int, now_ns: int, stream: Stream, findings: Findings) -> None:
    """Learn from what came. Silence alone teaches nothing: a stream that stopped must not pass for a slow one."""
    silence_s = max(1e-3, (now_ns - past.seen_ns) / SECOND_NS)
    keep = exp(-silence_s / MEMORY_S)
    now = news / silence_s
    past.rate = past.rate * keep + now * (1 - keep) if past.events else now
    past.events += news
    past.seen_ns = now_ns
    past.longest_s = max(past.longest_s, silence_s)
    if past.suspect:
        past.suspect = False
        findings.back.append(stream)


def _normal_s(past: _Past, silence_s: float = 0.0) -> float | None:
    """Longest silence that is normal. A long one is itself news of the rate: what was learned before it counts less."""
    if past.events < KNOWN_EVENTS or past.rate <= 0:
        return None
    rate = past.rate * exp(-silence_s / DOUBT_S)
    return max(FLOOR_S, IMPROBABLE / rate if rate else inf, LONGEST_FACTOR * past.longest_s)
