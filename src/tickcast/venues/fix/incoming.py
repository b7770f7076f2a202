"""Messages that came before their turn."""

from bisect import bisect_left
from dataclasses import dataclass

from tickcast import _native


@dataclass(frozen=True, slots=True)
class Item:
    """Numbers ``first`` to ``last``; without a run they were dealt with already (a Logon)."""

    first: int
    last: int
    run: "_native.FixRun | None"


class Waiting:
    """Ranges of numbers in order, none of them twice."""

    __slots__ = ("_firsts", "_items", "size")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._items: list[Item] = []
        self.size = 0
        """Bytes of all runs."""

    @property
    def first(self) -> int:
        """The lowest number that waits; 0 = none."""
        return self._firsts[0] if self._firsts else 0

    def add(self, run: "_native.FixRun | None", last: int) -> bool:
        """Let a run wait; False = numbers of it wait already."""
        first = last if run is None else run.first_seq
        place = bisect_left(self._firsts, first)
        if place and self._items[place - 1].last >= first:
            return False
        if place < len(self._items) and self._items[place].first <= last:
            return False
        self._firsts.insert(place, first)
        self._items.insert(place, Item(first, last, run))
        self.size += len(run.raw) if run is not None else 0
        return True

    def pop(self, number: int) -> Item | None:
        """Take the item that begins with this number; what lies before it is thrown away."""
        while self._items and self._items[0].first <= number:
            item = self._items.pop(0)
            self._firsts.pop(0)
            self.size -= len(item.run.raw) if item.run is not None else 0
            if item.first == number:
                return item
        return None

    def clear(self) -> None:
        """Forget everything."""
        self._firsts.clear()
        self._items.clear()
        self.size = 0
