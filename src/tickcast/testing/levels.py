"""Keeps books from their rows alone, as ``docs/reference/record.md`` (Books) tells whoever reads rows to."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from tickcast.model.record import Flag, Kind, Records

SIDES: Final = (Kind.BOOK_BID, Kind.BOOK_ASK)
Levels = tuple[tuple[Decimal, Decimal], ...]
"""Price and size of each level of a side, best first."""


class LevelReader:
    """The plainest consumer of level rows: it knows the three sentences of the rule and nothing of venues."""

    def __init__(self) -> None:
        self._sides: dict[tuple[int, int], dict[Decimal, Decimal]] = {}
        self.events = 0
        """Events that changed a book."""
        self._is_changed = False

    def read(self, records: Records) -> None:
        """Apply rows in their order."""
        names = records.dtype.names or ()
        for row in records.tolist():
            self.apply(dict(zip(names, row, strict=True)))

    def apply(self, row: Mapping[str, Any]) -> None:
        """Apply a row; one that is no level only ends events."""
        if row["kind"] in SIDES:
            self._level(row)
        if row["flags"] & Flag.LAST_OF_EVENT:
            self.events += self._is_changed
            self._is_changed = False

    def _level(self, row: Mapping[str, Any]) -> None:
        key = row["instrument"], row["kind"]
        self._is_changed = True
        if row["flags"] & Flag.NO_PRICE:
            self._sides.pop(key, None)
            if not row["flags"] & Flag.INVALID_BOOK:
                self._sides[key] = {}
            return
        side = self._sides.get(key)
        if side is None:
            return
        price = Decimal(row["price"]).scaleb(-row["price_scale"])
        size = Decimal(row["size"]).scaleb(-row["size_scale"])
        if size or row["flags"] & Flag.NO_SIZE:
            side[price] = size
        else:
            side.pop(price, None)

    def book(self, instrument: int) -> tuple[Levels, Levels] | None:
        """Return bids and asks; None if the book is not known."""
        sides = [self._sides.get((instrument, kind)) for kind in SIDES]
        if any(side is None for side in sides):
            return None
        bids, asks = (sorted((side or {}).items(), reverse=not number) for number, side in enumerate(sides))
        return tuple(bids), tuple(asks)

    def known(self) -> set[int]:
        """Return the instruments of which a side is known."""
        return {instrument for instrument, _ in self._sides}


def exact(levels: Iterable[tuple[str, str] | tuple[str, int, int]]) -> Levels:
    """Return a core's or a truth's levels (texts, best first) as numbers."""
    return tuple((Decimal(level[0]), Decimal(level[1])) for level in levels)
