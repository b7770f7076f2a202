"""The gap ledger: everything that made data less than whole, when it began, when it was made good, and how."""

from typing import Final, Literal, get_args

import msgspec

IncidentKind = Literal[
    "gap",  # messages are missing
    "checksum",  # the venue's checksum does not agree with the book
    "crossed",  # a book's best bid is at or above its best ask
    "damaged",  # a message could not be read, so that its book cannot be trusted
    "compared",  # a book that nothing proves differs from the venue's own over REST
    "reconnect",  # a connection was lost and opened again
    "restart",  # the venue began its numbers anew
    "halt",  # the venue halted an instrument
    "quiet",  # a stream was silent beyond what is normal for it
    "listed",
    "delisted",
    "added",  # from here on the feed streams it: somebody said so
    "dropped",
    "refused",  # a login or a subscription
    "throttled",  # the venue told us to wait
    "drift",  # something in the venue's messages that nobody knew
    "outage",  # the feed's process was gone, or had nothing to tell; entered by the core
]
KINDS: Final[tuple[str, ...]] = get_args(IncidentKind)
LOSSLESS: Final = frozenset({"halt", "listed", "delisted", "added", "dropped", "throttled", "drift"})
"""Kinds that take nothing from the data: what the venue does, what was asked for, and what we only note."""
NAMED_MAX: Final = 100
"""Instruments that an entry names; all are counted."""
Scope = Literal["instrument", "channel", "unit", "connection", "venue"]


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """What a session tells of one, when it happens; its end is seen by the instruments' states."""

    kind: IncidentKind
    scope: Scope
    reason: str
    """What was expected, what was found."""
    ts_ns: int
    link: str = ""
    channel: str = ""
    """The venue's word for the stream."""
    instruments: tuple[int, ...] = ()
    """Those it concerns; each is open until its state is ``live`` (or what the venue's state is) again. None: it is
    over as it happens (``listed``, ``throttled``), or the whole venue's."""
    until_ns: int = 0
    """When it is over, where that is known already (``throttled``: until when the venue wants us to wait)."""
    from_seq: int = 0
    """First missing number of the venue's; 0 = unknown."""
    to_seq: int = 0
    repair: str = ""
    """How it will be repaired: ``snapshot``, ``resubscribe``, ``retransmission``, ``reconnect``; empty = not."""
    key: str = ""
    """Names an entry that instruments' states say nothing of (trades that are fetched): each incident of the same
    key tells it anew, with the ``instruments`` that are still open, until one has ``until_ns``; its ``repair`` then
    says how it was made good, empty = it was not."""
    missing: int = 0
    """With ``key``: messages missing by now."""
    recovered: int = 0
    """With ``key``: of these, came after all."""


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One incident as the bus and ``GET /gaps`` tell it; told again, with the same ``id``, whenever it changes."""

    id: str
    """``FEED-SESSION-NUMBER``; never used twice."""
    feed: str
    venue: str
    kind: IncidentKind
    scope: Scope
    reason: str
    began_ns: int
    ended_ns: int = 0
    """0 = still open."""
    instruments: tuple[str, ...] = ()
    """``VENUE:SYMBOL`` of those concerned, at most 100; ``instruments_count`` counts all."""
    instruments_count: int = 0
    open_count: int = 0
    """Of these, not whole again yet."""
    link: str = ""
    channel: str = ""
    from_seq: int = 0
    to_seq: int = 0
    missing: int = 0
    """Messages lost; 0 = unknown number."""
    recovered: int = 0
    """Of these, came after all."""
    repaired_by: str = ""
    """``snapshot``, ``resubscribe``, ``retransmission``, ``backfill``, ``reconnect``, ``restart`` (of the feed),
    ``venue``; empty while open, or where it was not."""

    @property
    def lost(self) -> int:
        """Messages that never came; 0 where their number is not known."""
        return max(self.missing - self.recovered, 0)
