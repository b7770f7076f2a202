"""Health of a feed: is it connected, quiet, stale or failed, since when, how fast.

::

    starting ──anything──▶ connected ──no message 2 s──▶ quiet ──nothing at all 5 s──▶ stale
                               ▲────────message────────────┘◀──────heartbeat───────────┘
    refused for good ──▶ failed ──anything──▶ connected

Only receive times count: a recording's event times may be years old. The watchdog is the same clock per link: a link
without a byte for ``dead_after_s`` is dead, whatever TCP says.
"""

from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tickcast.model.health import ClockHealth, FeedCondition, FeedHealth, Findings, Overlap
from tickcast.model.queues import QueueLevel

RATE_WINDOW_NS: Final = 5_000_000_000
SECOND_NS: Final = 1_000_000_000


class HealthTracker:
    """The state machine; told of everything with its time."""

    def __init__(
        self, *, name: str, venue: str, pid: int, now_ns: int, quiet_after_s: float, stale_after_s: float
    ) -> None:
        self.name = name
        self._venue = venue
        self._pid = pid
        self._quiet_ns = round(quiet_after_s * SECOND_NS)
        self._stale_ns = round(stale_after_s * SECOND_NS)
        self._state: FeedCondition = "starting"
        self._since_ns = now_ns
        self._message_ns = 0
        self._opened_ns = now_ns
        self._alive_ns = now_ns
        self._links: set[str] = set()
        self._ever: set[str] = set()
        self._marks: deque[tuple[int, int]] = deque([(now_ns, 0)])
        self.is_idle = False
        """There is nothing to stream, and that is as it should be."""
        self.reconnects = 0
        self.messages = 0
        self.records = 0
        self.dead_letters = 0
        self.last_error: str | None = None

    @property
    def state(self) -> FeedCondition:
        """The state as last evaluated."""
        return self._state

    def opened(self, link: str, now_ns: int) -> None:
        """A link is open."""
        if link in self._ever:
            self.reconnects += 1
        self._ever.add(link)
        self._links.add(link)
        self._opened_ns = now_ns
        self._alive_ns = now_ns

    def closed(self, link: str, reason: str) -> None:
        """A link closed or could not be opened."""
        self._links.discard(link)
        self.last_error = reason

    def left(self, link: str) -> None:
        """A link was closed for good: that is no error."""
        self._links.discard(link)
        self._ever.discard(link)

    def ended(self, link: str) -> None:
        """A link was closed because another one took its place."""
        self._links.discard(link)

    def alive(self, now_ns: int) -> None:
        """Something came, if only a heartbeat."""
        self._alive_ns = max(self._alive_ns, now_ns)

    def took(self, count: int, now_ns: int) -> None:
        """Messages came."""
        if self._state == "failed":
            self._enter("connected", now_ns)
        self.messages += count
        self._message_ns = max(self._message_ns, now_ns)
        self.alive(now_ns)

    def refused(self, reason: str, now_ns: int) -> None:
        """The venue refuses us for good."""
        self.last_error = reason
        self._enter("failed", now_ns)

    def stopped(self, now_ns: int) -> None:
        """The feed ends orderly."""
        self._enter("stopped", now_ns)

    def replaced(self, now_ns: int) -> None:
        """Another process of the feed takes over."""
        self._enter("replaced", now_ns)

    def evaluate(self, now_ns: int) -> bool:
        """Bring the state up to date; True if it changed."""
        before = self._state
        if self.is_idle:
            self.alive(now_ns)
        if before in {"stopped", "replaced"} or (before == "failed" and not self._let_in(now_ns)):
            return False
        if now_ns - self._alive_ns >= self._stale_ns:
            state: FeedCondition = "stale"
        elif before == "starting" and not self._message_ns and not self._links and not self.is_idle:
            state = "starting"
        elif now_ns - (self._message_ns or self._since_ns) >= self._quiet_ns:
            state = "quiet"
        elif self._message_ns:
            state = "connected"
        else:
            state = before
        if state != before:
            self._enter(state, now_ns)
        self._marks.append((now_ns, self.messages))
        while len(self._marks) > 2 and now_ns - self._marks[0][0] > RATE_WINDOW_NS:
            self._marks.popleft()
        return state != before

    def report(
        self,
        *,
        gaps: int = 0,
        dead_letters: int = 0,
        dropped: int = 0,
        queues: Mapping[str, QueueLevel] = MappingProxyType({}),
        findings: Findings | None = None,
        clock: ClockHealth | None = None,
        overlap: Overlap | None = None,
    ) -> FeedHealth:
        """Return what the world is told."""
        (first_ns, first), (last_ns, last) = self._marks[0], self._marks[-1]
        span_s = (last_ns - first_ns) / SECOND_NS
        return FeedHealth(
            name=self.name,
            venue=self._venue,
            state=self._state,
            since_ns=self._since_ns,
            pid=self._pid,
            connections=len(self._links),
            reconnects=self.reconnects,
            planned_reconnects=overlap.planned if overlap else 0,
            overlap_removed=overlap.left_out if overlap else 0,
            lines=list(overlap.lines) if overlap else [],
            messages=self.messages,
            records=self.records,
            gaps=gaps,
            dead_letters=self.dead_letters + dead_letters,
            dropped=dropped,
            rate=round((last - first) / span_s, 1) if span_s > 0 else 0.0,
            last_message_ns=self._message_ns,
            last_error=self.last_error,
            clock=clock,
            queues=dict(queues),
            unknown=list(findings.unknown) if findings else [],
            checksums=dict(findings.checksums) if findings else {},
        )

    def _let_in(self, now_ns: int) -> bool:
        """A refusal comes at once: a link that stays open was let in, even if the market is quiet."""
        return bool(self._links) and now_ns - self._opened_ns >= self._quiet_ns

    def _enter(self, state: FeedCondition, now_ns: int) -> None:
        if state != self._state:
            self._state = state
            self._since_ns = now_ns
