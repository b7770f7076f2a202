"""What clients watch, by feed: so that feeds do first what somebody waits for."""

from collections.abc import Iterable

from tickcast.latest.registry import InstrumentRegistry

Counts = dict[int, int]
"""Instruments that are watched, and the number of their watchers."""


class WatchedBoard:
    """Compares what is watched now with what was told last."""

    def __init__(self, registry: InstrumentRegistry) -> None:
        self._registry = registry
        self._told: dict[str, Counts] = {}

    def changes(self, watched: Iterable[tuple[str, int]]) -> dict[str, Counts]:
        """Return what each feed is to be told: those for which something changed, an empty one if nobody watches more.

        ``watched``: symbols of instruments and securities, and the number of their subscriptions. Who watches a
        security watches each of its legs.
        """
        now: dict[str, Counts] = {}
        for symbol, count in watched:
            for definition in self._registry.instruments(symbol):
                counts = now.setdefault(definition.feed, {})
                counts[definition.instrument] = counts.get(definition.instrument, 0) + count
        changed = {feed: counts for feed, counts in now.items() if self._told.get(feed) != counts}
        changed |= {feed: {} for feed in self._told.keys() - now.keys()}
        self._told = now
        return changed
