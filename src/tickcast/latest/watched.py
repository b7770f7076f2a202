"""What clients watch, by feed: so that feeds do first what somebody waits for."""

from collections.abc import Iterable
from typing import NamedTuple

from tickcast.latest.registry import InstrumentRegistry

Counts = dict[int, int]
"""Instruments that are watched, and the number of their watchers."""


class Watch(NamedTuple):
    """What a feed is told."""

    counts: Counts
    books: frozenset[int]
    """Instruments whose book is watched."""


class WatchedBoard:
    """Compares what is watched now with what was told last."""

    def __init__(self, registry: InstrumentRegistry) -> None:
        self._registry = registry
        self._told: dict[str, Watch] = {}

    def changes(
        self, watched: Iterable[tuple[str, int]], books: Iterable[str] = (), *, everyone: bool = False
    ) -> dict[str, Watch]:
        """Return what each feed is to be told: those for which something changed, an empty one if nobody watches more.

        ``watched``: symbols of instruments and securities, and the number of their subscriptions; ``books``: those of
        them whose book is watched. Who watches a security watches each of its legs. ``everyone``: a feed of which
        nothing is watched is told so too, once, since it may remember what a core before this one said.
        """
        now: dict[str, Counts] = {}
        now_books: dict[str, set[int]] = {}
        for symbol in books:
            for definition in self._registry.instruments(symbol):
                now_books.setdefault(definition.feed, set()).add(definition.instrument)
        for symbol, count in watched:
            for definition in self._registry.instruments(symbol):
                counts = now.setdefault(definition.feed, {})
                counts[definition.instrument] = counts.get(definition.instrument, 0) + count
        told = {
            feed: Watch(now.get(feed, {}), frozenset(now_books.get(feed, ()))) for feed in now.keys() | now_books.keys()
        }
        if everyone:
            told |= {feed: Watch({}, frozenset()) for feed in self._registry.feeds - told.keys()}
        changed = {feed: watch for feed, watch in told.items() if self._told.get(feed) != watch}
        changed |= {feed: Watch({}, frozenset()) for feed in self._told.keys() - told.keys()}
        self._told = told
        return changed
