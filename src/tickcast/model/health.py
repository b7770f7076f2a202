"""Health of a feed, as its process reports it once a second and at every change."""

from typing import Final, Literal

import msgspec

from tickcast.model.queues import QueueLevel

SAMPLE_MAX: Final = 500
"""Bytes of a sample that are told."""
UNKNOWN_MAX: Final = 20
"""Kinds and keys that are told, of each the newest."""


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """A sign that a venue changes: something in its messages that nobody knew, or in how it is reached."""

    what: Literal["message", "key", "value", "checksum", "address", "dead letters"]
    """A kind of message, a key in a kind that is known, a word where others are known, checksums that prove nothing, an
    address that moves or closes, messages that are not understood at a rate that is no accident."""
    name: str
    """The kind of message, ``KIND.KEY``, ``KIND.KEY=WORD``, the address."""
    count: int
    """How often it was seen; keys are looked at in samples of the messages."""
    sample: str
    """Beginning of the first such message, without secrets."""


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What a session found out about its venue's messages."""

    unknown: list[Unknown] = []
    checksums: dict[str, int] = {}
    """``verified``, ``failed``, and ``zero``: the venue sent a checksum that proves nothing. Empty: it has none."""


class ClockHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What a feed knows of its venue's clock; see ``docs/concepts/clocks.md``."""

    offset_ms: float
    """Venue's clock minus ours."""
    uncertainty_ms: float | None
    """The offset is at most so far from ``offset_ms``; null: nothing bounds it from above."""
    certain_ms: float
    """What times are corrected by: 0 where the clocks may agree."""
    error_ms: float | None
    """How far the truth may be from ``certain_ms``."""
    round_trips: int
    """Answers with the venue's time in the last ten minutes."""
    steps: int
    """How often one of the two clocks was set."""


class LineHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One of two connections that bring the same instruments."""

    line: str
    """``A`` or ``B``."""
    link: str
    first: int
    """Messages that came here before the other line had them."""
    late: int
    """Messages that the other line had already."""
    missing: int
    """Messages that only the other line brought."""
    lead_ms: float
    """Median of how far ahead this line was where it was first."""


class Overlap(msgspec.Struct, frozen=True, kw_only=True):
    """What a session heard twice, over two links at once."""

    planned: int = 0
    """Links that were replaced before they ended, so far."""
    left_out: int = 0
    """Messages that another link had brought before, so far, but for trades that are dropped by their ids."""
    lines: list[LineHealth] = []


FeedCondition = Literal["starting", "connected", "quiet", "stale", "failed", "stopped", "replaced"]
"""``replaced``: another process of the feed takes over from this one."""


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
    planned_reconnects: int = 0
    """Connections that were replaced before they ended: nothing was lost."""
    overlap_removed: int = 0
    """Rows that came twice, over two connections or told again, and were told once."""
    lines: list[LineHealth] = []
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
    takes_over: int = 0
    """Process of the feed that handed over to this one, so that nothing was missed in between; 0 = none."""
    unknown: list[Unknown] = []
    """What nobody knew of the venue's messages: the newest kinds and keys."""
    checksums: dict[str, int] = {}
    """Books' checksums: see :class:`Findings`."""
    clock: ClockHealth | None = None
    """Its venue's clock; None: nothing is known of it."""
    queues: dict[str, QueueLevel] = {}
    """Levels of the queues in the feed's process, by name: the core shows them, since only it answers ``/metrics``."""
