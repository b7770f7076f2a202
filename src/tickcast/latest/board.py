"""What is known of each feed process, and what that means for its instruments: pure, the time is passed in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tickcast.model.health import ClockHealth, FeedCondition, FeedHealth
from tickcast.model.queues import QueueLevel
from tickcast.model.record import State

_LIVE: Final[frozenset[FeedCondition]] = frozenset({"connected", "quiet", "replaced"})
UNHEARD: Final = (State.STALE, "the feed has not reported yet")
_SILENT: Final = frozenset({"stopped", "failed", "stale", "replaced"})
"""States of which no rate is told: the last one reported says nothing of now."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The best state that a feed's instruments may have now, and why."""

    feed: str
    state: State
    reason: str


@dataclass(slots=True)
class _Feed:
    venue: str
    health: FeedHealth | None = None
    heard_ns: int = 0
    since_ns: int = 0
    lag_ns: int = 0
    starts: int = 0
    gone: str | None = None
    """Why the process is gone, until it reports again."""
    told: tuple[State, str] | None = None


class FeedBoard:
    """Collects reports and silence; says once when a feed's verdict changes."""

    def __init__(
        self, feeds: Mapping[str, str], *, silent_ns: int, now_ns: int, unheard: tuple[State, str] = UNHEARD
    ) -> None:
        """``feeds``: venue by name of every feed of the config; ``unheard``: what is said of one that never did."""
        self._silent_ns = silent_ns
        self._unheard = unheard
        self._feeds = {name: _Feed(venue, since_ns=now_ns) for name, venue in feeds.items()}

    def reports(self) -> tuple[FeedHealth, ...]:
        """What each feed that is there reported last."""
        return tuple(feed.health for feed in self._feeds.values() if feed.health is not None and feed.gone is None)

    def report(self, health: FeedHealth, now_ns: int) -> None:
        """A feed told its health."""
        feed = self._feeds.setdefault(health.name, _Feed(health.venue))
        if feed.health is None or feed.health.pid not in {health.pid, health.takes_over}:
            feed.starts += 1
        feed.health = health
        feed.heard_ns = now_ns
        feed.gone = None

    def heard(self, name: str, now_ns: int, lag_ns: int) -> None:
        """A batch of the feed arrived, ``lag_ns`` after it went onto the bus."""
        feed = self._feeds.get(name)
        if feed is not None:
            feed.heard_ns = now_ns
            feed.lag_ns = lag_ns

    def lost(self, name: str, reason: str, now_ns: int) -> None:
        """The feed's link ended; after a reported stop that is no news, and where another process takes over."""
        feed = self._feeds.setdefault(name, _Feed(""))
        if feed.health is not None and feed.health.state in {"stopped", "replaced"}:
            return
        feed.gone = reason
        feed.since_ns = now_ns

    def verdicts(self, now_ns: int) -> Iterable[Verdict]:
        """Those that changed since the last call."""
        for name, feed in self._feeds.items():
            verdict = self._judge(feed, now_ns)
            if verdict != feed.told:
                feed.told = verdict
                yield Verdict(name, *verdict)

    def _judge(self, feed: _Feed, now_ns: int) -> tuple[State, str]:
        if feed.gone is not None:
            return State.STALE, feed.gone
        if feed.health is None:
            return self._unheard
        if feed.health.state == "stopped":
            return State.STALE, "feed stopped"
        if now_ns - feed.heard_ns > self._silent_ns:
            return State.STALE, f"nothing heard of the feed process for {self._silent_ns / 1e9:g} s"
        if feed.health.state in _LIVE:
            return State.LIVE, ""
        return State.STALE, f"feed {feed.health.state}" + (
            f": {feed.health.last_error}" if feed.health.last_error else ""
        )

    def rows(self, now_ns: int) -> list[dict[str, Any]]:
        """The feeds as ``GET /feeds`` shows them; ``since`` and ``last_message`` in ns."""
        return [self._row(name, feed, now_ns) for name, feed in self._feeds.items()]

    def _row(self, name: str, feed: _Feed, now_ns: int) -> dict[str, Any]:
        health = feed.health
        state: str = "starting" if health is None else health.state
        since = feed.since_ns if health is None else health.since_ns
        error = None if health is None else health.last_error
        if feed.gone is not None:
            state, since, error = "failed", feed.since_ns, feed.gone
        elif state == "stopped":
            error = "feed stopped"
        elif health is not None and now_ns - feed.heard_ns > self._silent_ns:
            state, since = "stale", feed.heard_ns
            error = "nothing heard of the feed process"
        return {
            "name": name,
            "venue": feed.venue,
            "state": state,
            "since_ns": since,
            "pid": health.pid if health else None,
            "restarts": max(0, feed.starts - 1),
            "connections": health.connections if health else 0,
            "reconnects": health.reconnects if health else 0,
            "planned_reconnects": health.planned_reconnects if health else 0,
            "overlap_removed": health.overlap_removed if health else 0,
            "lines": [msgspec.structs.asdict(one) for one in health.lines] if health else [],
            "messages": health.messages if health else 0,
            "records": health.records if health else 0,
            "gaps": health.gaps if health else 0,
            "dead_letters": health.dead_letters if health else 0,
            "dropped": health.dropped if health else 0,
            "rate": round(health.rate, 1) if health and state not in _SILENT else 0.0,
            "lag_ms": round(feed.lag_ns / 1e6, 3),
            "last_message_ns": health.last_message_ns if health else 0,
            "last_error": error,
            "unknown": [msgspec.structs.asdict(one) for one in health.unknown] if health else [],
            "checksums": health.checksums if health else {},
            "clock": msgspec.structs.asdict(health.clock) if health and health.clock else None,
        }

    def clock(self, name: str) -> ClockHealth | None:
        """What a feed knows of its venue's clock."""
        feed = self._feeds.get(name)
        return feed.health.clock if feed is not None and feed.health is not None else None

    def is_gone(self, name: str) -> bool:
        """Whether a feed has no process that we know of."""
        feed = self._feeds.get(name)
        return feed is None or feed.gone is not None or feed.health is None or feed.health.state == "stopped"

    def failing(self) -> set[str]:
        """Feeds that say themselves that they have nothing to tell."""
        troubled = {"failed", "stale", "stopped"}
        return {name for name, feed in self._feeds.items() if feed.health and feed.health.state in troubled}

    def queues(self) -> dict[str, QueueLevel]:
        """Levels of the queues in the feeds' processes, as last reported; without those of processes that ended."""
        return {
            name: level
            for feed in self._feeds.values()
            if feed.health is not None and feed.gone is None and feed.health.state not in {"stopped", "replaced"}
            for name, level in feed.health.queues.items()
        }

    @property
    def live(self) -> int:
        """Feeds whose instruments may be live."""
        return sum(feed.told is not None and feed.told[0] is State.LIVE for feed in self._feeds.values())

    def __len__(self) -> int:
        return len(self._feeds)
