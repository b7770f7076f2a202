"""Health of a feed, as its process reports it once a second and at every change."""

from typing import Final, Literal

import msgspec

from tickcast.model.queues import QueueLevel

SAMPLE_MAX: Final = 500
"""Bytes of a sample that are told."""
UNKNOWN_MAX: Final = 20
"""Kinds and keys that are told, of each the newest."""


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the venue's messages that nobody knew: a kind of message, or a key in a kind that is known."""

    what: Literal["message", "key"]
    name: str
    """The kind of message, or ``KIND.KEY``."""
    count: int
    """How often it was seen; keys are looked at in samples of the messages."""
    sample: str
    """Beginning of the first such message."""


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What a session found out about its venue's messages."""

    unknown: list[Unknown] = []
    checksums: dict[str, int] = {}
    """``verified``, ``failed``, and ``zero``: the venue sent a checksum that proves nothing. Empty: it has none."""


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
    unknown: list[Unknown] = []
    """What nobody knew of the venue's messages: the newest kinds and keys."""
    checksums: dict[str, int] = {}
    """Books' checksums: see :class:`Findings`."""
    queues: dict[str, QueueLevel] = {}
    """Levels of the queues in the feed's process, by name: the core shows them, since only it answers ``/metrics``."""
