"""Keeps books from their rows alone, as ``docs/reference/record.md`` (Books) tells whoever reads rows to."""

import functools
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import numpy as np

from tickcast.model.record import Flag, Kind, Records

SIDES: Final = (Kind.BOOK_BID, Kind.BOOK_ASK)
Levels = tuple[tuple[Decimal, Decimal], ...]
"""Price and size of each level of a side, best first."""


@functools.lru_cache(maxsize=1 << 16)
def _decimal(mantissa: int, scale: int) -> Decimal:
    return Decimal(mantissa).scaleb(-scale)


class LevelReader:
    """The plainest consumer of level rows: it knows the three sentences of the rule and nothing of venues."""

    def __init__(self) -> None:
        self._sides: dict[tuple[int, int], dict[Decimal, Decimal]] = {}

    def read(self, records: Records) -> None:
        """Apply rows in their order."""
        names = records.dtype.names or ()
        for row in records[np.isin(records["kind"], SIDES)].tolist():
            self.apply(dict(zip(names, row, strict=True)))

    def apply(self, row: Mapping[str, Any]) -> None:
        """Apply the row of a level or of a whole side."""
        key = row["instrument"], row["kind"]
        if row["flags"] & Flag.NO_PRICE:
            self._sides.pop(key, None)
            if not row["flags"] & Flag.INVALID_BOOK:
                self._sides[key] = {}
            return
        side = self._sides.get(key)
        if side is None:
            return
        price, size = _decimal(row["price"], row["price_scale"]), _decimal(row["size"], row["size_scale"])
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
