"""What :class:`tickcast._native.Intake` does, written plainly, row by row: the judge of its property test."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tickcast import _native
from tickcast.model.record import Flag, Kind, Records

TRADES = {Kind.TRADE, Kind.BUST, Kind.CORRECTION}
LEVELS = {Kind.BOOK_BID, Kind.BOOK_ASK}
DECIDING = ("seq", "price", "size", "detail", "price_scale", "size_scale")


@dataclass
class Result:
    """See :class:`tickcast._native.Taken`."""

    records: Records
    unknown: Records
    places: list[int]
    ends: list[int]
    notable: int


@dataclass
class Reference:
    """See the module; ``window`` is never full here, dedup has tests of its own."""

    skew_ns: int
    batch_max: int
    known: set[int] = field(default_factory=lambda: {0})
    seen: "OrderedDict[Any, None]" = field(default_factory=OrderedDict)
    duplicates: int = 0
    skewed: int = 0
    gaps: int = 0
    last: Any = field(default_factory=_native.LastRecords)

    def begin_session(self) -> None:
        self.seen.clear()

    def take(self, given: Records) -> Result:
        rows = given.copy()
        for row in rows:
            if row["ts_event"] > row["ts_recv"] + self.skew_ns:
                row["ts_event"] = row["ts_recv"]
                row["flags"] |= Flag.CLOCK_SKEW
                self.skewed += 1
        is_known = np.array([int(row["instrument"]) in self.known for row in rows], bool)
        kept: list[int] = []
        for event in events(rows, np.flatnonzero(is_known).tolist()):
            if self.is_new(rows[event]):
                kept.extend(event)
            else:
                self.duplicates += len(event)
        records = rows[kept]
        notable = [row for row in records if row["kind"] in {Kind.GAP, Kind.STATUS}]
        self.gaps += sum(row["kind"] == Kind.GAP and not row["flags"] & Flag.BACKFILLED for row in notable)
        self.last.update(records.tobytes())
        return Result(records, rows[~is_known], kept, self.ends(records), len(notable))

    def is_new(self, event: Records) -> bool:
        keys = [(key(row), row["kind"] in TRADES) for row in event]
        keys = [(key, trade) for key, trade in keys if key is not None]
        has_trades = any(trade for _, trade in keys)
        deciding = [key for key, trade in keys if trade or not has_trades]
        has_levels = any(row["kind"] in LEVELS for row in event) and not has_trades
        if not has_levels and deciding and all(one in self.seen for one in deciding):
            return False
        self.seen.update((key, None) for key, _ in keys)
        return True

    def ends(self, records: Records) -> list[int]:
        found: list[int] = []
        begin = 0
        for event in events(records, list(range(len(records)))):
            end = event[-1] + 1
            if event[0] > begin and end - begin > self.batch_max:
                found.append(event[0])
                begin = event[0]
        return [*found, len(records)] if len(records) else []


def events(rows: Records, indexes: list[int]) -> list[list[int]]:
    """Indexes by event; the last one may have no end."""
    found: list[list[int]] = [[]]
    for index in indexes:
        found[-1].append(index)
        if rows["flags"][index] & Flag.LAST_OF_EVENT:
            found.append([])
    return [event for event in found if event]


def key(row: Any) -> Any:
    """What makes a row the same as another; None = it always passes."""
    if row["flags"] & Flag.SNAPSHOT or row["kind"] == Kind.GAP or row["instrument"] == 0:
        return None
    if row["kind"] in TRADES and row["id"]:
        return (int(row["instrument"]), int(row["kind"]), int(row["id"]))
    if row["seq"]:
        return (int(row["instrument"]), int(row["kind"]), "seq", *(int(row[name]) for name in DECIDING))
    return None
