"""One session for every declared venue: it lists, subscribes, decodes by the core, repairs, and tells the ledger."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from tickcast import _native
from tickcast.venues.base import Answer, Request, Step, VenueConfig
from tickcast.venues.declared.venue import Venue
from tickcast.venues.naming import Naming

INSTRUMENTS: Final = "instruments "


class DeclaredSession:
    """Drives a :class:`tickcast.venues.declared.venue.Venue` as a :class:`tickcast.venues.base.Session`."""

    def __init__(
        self,
        venue: Venue,
        *,
        feed: str,
        config: VenueConfig,
        securities: Mapping[str, Sequence[str]],
        previous_close: Mapping[str, str],
    ) -> None:
        self._venue = venue
        self._config = config
        self._previous_close = previous_close
        self._naming = Naming(feed=feed, venue=venue.code, calendar=config.calendar, securities=securities)
        self._feed = _native.JsonFeed(msgspec.json.encode(venue.dialect), depth=config.depth)

    @property
    def wake_ns(self) -> int:
        """When to call :meth:`wake`."""
        return 0

    def start(self, now_ns: int) -> Step:
        """Ask for the instruments."""
        del now_ns
        return Step(requests=list(self._venue.listing()))

    def opened(self, link: str, now_ns: int) -> Step:
        """Subscribe."""
        del link, now_ns
        return Step()

    def received(self, link: str, chunks: Sequence[bytes], times: Sequence[int]) -> Step:
        """Decode."""
        del link, times
        return Step(messages=len(chunks))

    def closed(self, link: str, now_ns: int) -> Step:
        """Say that what came over it is stale."""
        del link, now_ns
        return Step()

    def answered(self, request: Request, answer: Answer) -> Step:
        """Take a list of instruments or a book."""
        del request, answer
        return Step()

    def wake(self, now_ns: int) -> Step:
        """Do what is due."""
        del now_ns
        return Step()
