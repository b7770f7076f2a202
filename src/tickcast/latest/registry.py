"""Every instrument that was ever defined, and the securities they make up; answers searches page by page."""

import bisect
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from tickcast.model.instrument import Definition
from tickcast.ports import Listing

_SERIES: Final = frozenset(("option", "future"))
"""Classes of which there are many of one underlying: nobody's first look."""


class InstrumentRegistry:
    """Implements :class:`tickcast.ports.Registry`."""

    def __init__(self) -> None:
        self._definitions: dict[int, Definition] = {}
        self._by_name: dict[str, Definition] = {}
        self._legs: dict[str, list[Definition]] = {}
        self._names: list[str] = []
        self._listings: dict[str, Listing] = {}
        self._stale: set[str] = set()
        self._listeners: list[Callable[[Sequence[str]], None]] = []
        self.feeds: set[str] = set()
        """Names of the feeds that defined something."""

    def __len__(self) -> int:
        return len(self._definitions)

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """All of them, in the order in which they came."""
        return tuple(self._definitions.values())

    def __contains__(self, instrument: object) -> bool:
        return instrument in self._definitions

    def add(self, definitions: Iterable[Definition]) -> list[Definition]:
        """Take definitions in and return those that are new or changed."""
        news, listed = self._add(definitions)
        if listed and self._listeners:
            self._refresh()
            for tell in self._listeners:
                tell(listed)
        return news

    def _add(self, definitions: Iterable[Definition]) -> tuple[list[Definition], list[str]]:
        listed: list[str] = []
        news = [d for d in definitions if self._definitions.get(d.instrument) != d]
        for definition in news:
            older = self._definitions.get(definition.instrument)
            if older is not None:
                self._legs[older.security].remove(older)
                self._stale.add(older.security)
            self._definitions[definition.instrument] = self._by_name[definition.name] = definition
            self.feeds.add(definition.feed)
            legs = self._legs.setdefault(definition.security, [])
            legs.append(definition)
            legs.sort(key=lambda leg: not leg.primary)
            self._stale.add(definition.security)
            is_new = definition.name not in self._listings
            self._listings[definition.name] = _instrument(definition)
            if is_new:
                listed.append(definition.name)
        return news, listed

    def search(
        self,
        query: str = "",
        *,
        venue: str = "",
        asset_class: str = "",
        limit: int = 100,
        cursor: str = "",
        may: Callable[[str], bool] | None = None,
    ) -> tuple[Sequence[Listing], str | None]:
        """See :meth:`tickcast.ports.Registry.search`."""
        self._refresh()
        wanted = query.upper()
        found: list[Listing] = []
        for name in self._names[bisect.bisect_right(self._names, cursor) if cursor else 0 :]:
            listing = self._listings[name]
            if wanted not in name.upper() or (venue and listing.venue != venue):
                continue
            if (asset_class and listing.asset_class != asset_class) or (may is not None and not may(name)):
                continue
            if len(found) == limit:
                return found, found[-1].symbol
            found.append(listing)
        return found, None

    def overview(self, limit: int, *, may: Callable[[str], bool] | None = None) -> Sequence[Listing]:
        """See :meth:`tickcast.ports.Registry.overview`."""
        self._refresh()
        securities = (listing for listing in self._listings.values() if listing.venue is None)
        ranked = sorted(securities, key=lambda one: (-len(one.legs), one.asset_class in _SERIES, one.symbol))
        legs: dict[str | None, Listing] = {}
        for security in ranked:
            for name in security.legs:
                leg = self._listings[name]
                if may is None or may(name):
                    legs.setdefault(leg.venue, leg)
        if may is not None:
            ranked = [security for security in ranked if may(security.symbol)]
        venues = list(legs.values())[: limit // 2]
        return [*ranked[: limit - len(venues)], *venues]

    def match(self, pattern: str, limit: int) -> Sequence[str]:
        """See :meth:`tickcast.ports.Directory.match`."""
        self._refresh()
        found = []
        for name in self._names:
            if self.matches(pattern, name):
                found.append(name)
                if len(found) > limit:
                    break
        return found

    def matches(self, pattern: str, symbol: str) -> bool:
        """See :meth:`tickcast.ports.Directory.matches`: ``VENUE:*``, or ``class:CLASS`` (each venue's instruments)."""
        listing = self._listings.get(symbol)
        if listing is None or listing.venue is None:
            return False
        kind, _, rest = pattern.partition(":")
        if kind == "class":
            return listing.asset_class == rest
        return rest == "*" and listing.venue == kind

    def on_listed(self, listed: Callable[[Sequence[str]], None]) -> None:
        """See :meth:`tickcast.ports.Directory.on_listed`."""
        self._listeners.append(listed)

    def listing(self, symbol: str) -> Listing | None:
        """What a symbol is; None: there is none of that name."""
        self._refresh()
        return self._listings.get(symbol)

    def instruments(self, symbol: str) -> Sequence[Definition]:
        """What a symbol stands for: an instrument, or of a security all its legs; none: there is no such symbol."""
        known = self._by_name.get(symbol)
        return (known,) if known is not None else self._legs.get(symbol, ())

    def _refresh(self) -> None:
        if not self._stale:
            return
        for security in self._stale:
            legs = self._legs[security]
            if legs:
                self._listings[security] = _security(security, legs)
            else:
                self._listings.pop(security, None)
        self._stale.clear()
        self._names = sorted(self._listings)


def _instrument(definition: Definition) -> Listing:
    return Listing(
        symbol=definition.name,
        venue=definition.venue,
        asset_class=definition.asset_class,
        currency=definition.currency,
        security=definition.security,
        tick_size=definition.tick_size,
        lot_size=definition.lot_size,
        contract_size=definition.contract_size,
        calendar=definition.calendar,
    )


def _security(security: str, legs: Sequence[Definition]) -> Listing:
    primary = legs[0]
    return Listing(
        symbol=security,
        venue=None,
        asset_class=primary.asset_class,
        currency=primary.currency,
        security=security,
        tick_size=primary.tick_size,
        calendar=primary.calendar,
        legs=tuple(leg.name for leg in legs),
    )
