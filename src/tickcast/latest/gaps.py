"""The newest entries of every feed's ledger, bounded; pure."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from tickcast.model.ledger import LedgerEntry
from tickcast.ports import GapQuery

Legs = Callable[[str], Sequence[str]]
"""Instruments (``VENUE:SYMBOL``) of a symbol."""


class GapBoard:
    """Entries by id; the newest telling counts, and the oldest that ended goes when there are too many."""

    def __init__(self, *, entries_max: int) -> None:
        self._max: Final = entries_max
        self._entries: dict[str, LedgerEntry] = {}
        self.dropped = 0
        """Entries that were given up for newer ones, so far."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, ident: str) -> LedgerEntry | None:
        """An entry by its id."""
        return self._entries.get(ident)

    def put(self, entry: LedgerEntry) -> bool:
        """Take an entry; False: it is told as it was before."""
        before = self._entries.get(entry.id)
        if before == entry:
            return False
        if before is not None and before.ended_ns and not entry.ended_ns:
            return False  # told again by a feed that did not hear that it ended
        self._entries[entry.id] = entry
        if len(self._entries) > self._max:
            ended = (one.id for one in self._entries.values() if one.ended_ns)
            del self._entries[next(ended, None) or next(iter(self._entries))]
            self.dropped += 1
        return True

    def open_entries(self, feed: str | None = None) -> list[LedgerEntry]:
        """Entries that have not ended, of one feed or all."""
        return [one for one in self._entries.values() if not one.ended_ns and feed in {None, one.feed}]

    def newest(self) -> list[LedgerEntry]:
        """All, newest first."""
        return sorted(self._entries.values(), key=_age, reverse=True)

    def search(self, query: GapQuery, legs: Legs) -> tuple[list[LedgerEntry], str | None]:
        """A page of entries, newest first; see :class:`tickcast.ports.GapLedger`."""
        wanted = frozenset(legs(query.symbol)) if query.symbol else None
        found: list[LedgerEntry] = []
        after = self._entries.get(query.cursor) if query.cursor else None
        for entry in self.newest():
            if after is not None and _age(entry) >= _age(after):
                continue
            if not _matches(entry, query) or (wanted is not None and not concerns(entry, wanted)):
                continue
            if len(found) == query.limit:
                return found, found[-1].id
            found.append(entry)
        return found, None

    def of(self, name: str, feed: str, from_ns: int, to_ns: int) -> list[LedgerEntry]:
        """Entries of a feed that were open in a time and concern an instrument, or may."""
        query = GapQuery(since_ns=from_ns, until_ns=to_ns, feed=feed)
        return [one for one in self.newest() if _matches(one, query) and concerns(one, (name,))]


def _age(entry: LedgerEntry) -> tuple[int, int, str]:
    number = entry.id.rpartition("-")[2]
    return entry.began_ns, int(number) if number.isdecimal() else 0, entry.id


def _matches(entry: LedgerEntry, query: GapQuery) -> bool:
    return (
        (not query.until_ns or entry.began_ns < query.until_ns)
        and (not entry.ended_ns or entry.ended_ns >= query.since_ns)
        and query.venue in {"", entry.venue}
        and query.feed in {"", entry.feed}
        and query.kind in {"", entry.kind}
        and (query.is_open is None or query.is_open == (entry.ended_ns == 0))
    )


def concerns(entry: LedgerEntry, names: Iterable[str]) -> bool:
    """Whether an entry concerns one of these, or may: not all are named, or it is the whole venue's."""
    if any(name in entry.instruments for name in names):
        return True
    venues = {name.partition(":")[0] for name in names}
    is_partly_named = entry.instruments_count > len(entry.instruments)
    is_wide = not entry.instruments_count and entry.scope != "instrument"
    return entry.venue in venues and (is_partly_named or is_wide)
