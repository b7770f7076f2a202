"""Health of a feed, as its process reports it once a second and at every change."""

from typing import Literal

import msgspec

from tickcast.model.queues import QueueLevel

FeedCondition = Literal["starting", "connected", "quiet", "stale", "failed", "stopped"]


class FeedHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Counters only grow while the feed lives."""

    name: str
    venue: str
    state: FeedCondition
    since_ns: int
    pid: int
    connections: int = 0
    """Connections open now."""
    reconnects: int = 0
    messages: int = 0
    """Messages of the venue, so far."""
    records: int = 0
    """Records published, so far."""
    gaps: int = 0
    dead_letters: int = 0
    dropped: int = 0
    """Quotes conflated away because the bus was full, so far; trades are never dropped here."""
    rate: float = 0.0
    """Messages a second over the last few seconds."""
    last_message_ns: int = 0
    last_error: str | None = None
    queues: dict[str, QueueLevel] = {}
    """Levels of the queues in the feed's process, by name: the core shows them, since only it answers ``/metrics``."""
