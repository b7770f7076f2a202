"""The instruments of a feed: which of the venue's list are streamed, what is new in it, what has left it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Final

from tickcast.model.instrument import Definition
from tickcast.model.record import State
from tickcast.venues.base import Answer, Request, VenueConfig
from tickcast.venues.declared.venue import Channel, Listed, Venue
from tickcast.venues.naming import Naming, SymbolError

WILD: Final = "*?["
NOT_FOUND: Final = 404


@dataclass(slots=True, kw_only=True, eq=False)
class Instrument:
    """One that is streamed."""

    listed: Listed
    definition: Definition
    channels: tuple[Channel, ...]

    @property
    def id(self) -> int:
        """The record's ``instrument``."""
        return self.definition.instrument

    @property
    def book(self) -> Channel | None:
        """The channel that carries its book."""
        return next((channel for channel in self.channels if channel.book), None)


@dataclass(slots=True)
class Changes:
    """What an answer to a request for the list brought."""

    new: list[Instrument] = field(default_factory=list)
    gone: list[Instrument] = field(default_factory=list)
    moved: list[Instrument] = field(default_factory=list)
    """Those whose state by the list is another one now; ``listed`` is the new entry."""
    redefined: list[Instrument] = field(default_factory=list)
    """Those whose tick size or anything else of the definition is another one now."""
    passed: list[Listed] = field(default_factory=list)
    """Listed, and not asked for: their names are known, and that is all."""
    wrong: list[tuple[str, bytes]] = field(default_factory=list)
    """What could not be used: reason and raw bytes."""
    more: Request | None = None
    """The next page."""
    is_first: bool = False
    """The first whole answer to this request: what it lists is not new to the venue."""
    is_complete: bool = False
    """Every list has been read to its end at least once."""


class Catalogue:
    """Keeps the instruments of one feed by name, and compares each new list with the one before."""

    def __init__(self, venue: Venue, config: VenueConfig, naming: Naming) -> None:
        self._venue = venue
        self._config = config
        self._naming = naming
        self._names = frozenset(symbol for symbol in config.symbols if not any(wild in symbol for wild in WILD))
        self._patterns = tuple(symbol for symbol in config.symbols if symbol not in self._names)
        self._by_id: dict[int, Instrument] = {}
        self._by_native: dict[tuple[str, str], Instrument] = {}
        self._source: dict[str, set[tuple[str, str]]] = {}
        """Names of the last whole answer to each request, by its purpose."""
        self._pages: dict[str, set[tuple[str, str]]] = {}
        self._root: dict[str, str] = {}
        """Purpose of the request whose next page a purpose is."""
        self._awaited: set[str] = set()
        self._emptied: set[str] = set()
        """Lists that were empty the last time, and not before."""
        self._passed: set[tuple[str, str]] = set()

    def requests(self, is_under_way: Callable[[str], bool]) -> list[Request]:
        """Ask for the whole list; not for one whose pages are being read, lest the first be missed at the last."""
        reading = {root for purpose, root in self._root.items() if is_under_way(purpose)}
        self._root = {purpose: root for purpose, root in self._root.items() if purpose == root or root in reading}
        asked = [request for request in self._venue.listing() if request.purpose not in reading]
        for request in asked:
            self._root[request.purpose] = request.purpose
            self._pages[request.purpose] = set()
            if request.purpose not in self._source:
                self._awaited.add(request.purpose)
        return asked

    def owns(self, purpose: str) -> bool:
        """Whether a request was for the list."""
        return purpose in self._root

    def get(self, instrument: int) -> Instrument | None:
        """Return an instrument by the record's number."""
        return self._by_id.get(instrument)

    def find(self, market: str, native: str) -> Instrument | None:
        """Return an instrument by the venue's name."""
        return self._by_native.get((market, native))

    @property
    def all(self) -> Sequence[Instrument]:
        """All that are streamed."""
        return list(self._by_id.values())

    def missing(self) -> list[str]:
        """Symbols of the config that no list has; without wildcards only."""
        return sorted(self._names - {one.definition.symbol for one in self._by_id.values()})

    # ------------------------------------------------------------------ answers

    def take(self, request: Request, answer: Answer) -> Changes:
        """Take an answer to a request for the list.

        Raises:
            ValueError: it is no such list; it has to be asked for again.
        """
        if answer.status == NOT_FOUND and self._config.symbols:
            # a recording that is played has no list: the config's word is taken
            listed, following = self._venue.recorded((), (), self._config.symbols), None
            if not listed:
                raise ValueError(f"expected status 200, found {answer.status}")
        elif answer.status != 200:
            raise ValueError(f"expected status 200, found {answer.status}")
        else:
            listed = self._venue.listed(request, answer.body)
            following = self._venue.next_page(request, answer.body)
        root = self._root[request.purpose]
        changes = Changes(more=following, is_first=root in self._awaited)
        self._merge(listed, self._pages.setdefault(root, set()), changes)
        if following is not None:
            self._root[following.purpose] = root
            return changes
        self._end(root, changes)
        return changes

    def _merge(self, listed: Iterable[Listed], names: set[tuple[str, str]], changes: Changes) -> None:
        for entry in listed:
            key = (entry.market, entry.native)
            names.add(key)
            known = self._by_native.get(key)
            if known is not None:
                self._again(known, entry, changes)
            elif not self.wants(entry):
                if key not in self._passed:
                    self._passed.add(key)
                    changes.passed.append(entry)
            else:
                self._begin(entry, changes)

    def _again(self, known: Instrument, entry: Listed, changes: Changes) -> None:
        """Take what the list says now of an instrument that is streamed."""
        before, known.listed = known.listed, entry
        if before.state != entry.state:
            changes.moved.append(known)
        if replace(before, state=entry.state) == entry:
            return
        definition = define(self._naming, entry)
        if definition != known.definition and definition.instrument == known.id:
            known.definition = definition
            changes.redefined.append(known)

    def wants(self, entry: Listed) -> bool:
        """Whether the config asks for it."""
        if self._config.markets and entry.market and entry.market not in self._config.markets:
            return False
        if not self._config.symbols:
            return entry.state != State.CLOSED
        return entry.symbol in self._names or any(fnmatchcase(entry.symbol, one) for one in self._patterns)

    def _begin(self, entry: Listed, changes: Changes) -> None:
        try:
            definition = define(self._naming, entry)
        except SymbolError as wrong:
            changes.wrong.append((str(wrong), entry.native.encode()))
            return
        if definition.instrument in self._by_id:
            other = self._by_id[definition.instrument].listed.native
            changes.wrong.append((f"{other} and {entry.native} are both {definition.name}", entry.native.encode()))
            return
        found = Instrument(listed=entry, definition=definition, channels=tuple(self._venue.channels(entry)))
        self._by_id[found.id] = found
        self._by_native[entry.market, entry.native] = found
        changes.new.append(found)

    def _end(self, root: str, changes: Changes) -> None:
        """Read to its end: what the list had before, and has not now, is gone."""
        names = self._pages.pop(root, set())
        before = self._source.get(root, set())
        if before and not names and root not in self._emptied:
            # a venue that closes for maintenance may have an empty list: one that stays empty is believed
            self._emptied.add(root)
            changes.wrong.append((f"{root}: expected the instruments that were there before, found an empty list", b""))
            return
        self._emptied.discard(root)
        self._source[root] = names
        elsewhere: set[tuple[str, str]] = set().union(*self._source.values())
        for key in before - elsewhere:
            self._passed.discard(key)
            gone = self._by_native.pop(key, None)
            if gone is not None:
                del self._by_id[gone.id]
                changes.gone.append(gone)
        self._awaited.discard(root)
        changes.is_complete = not self._awaited


def define(naming: Naming, entry: Listed) -> Definition:
    """Make the definition of a listed instrument.

    Raises:
        SymbolError: its symbol does not follow the symbology.
    """
    return naming.define(
        entry.symbol,
        asset_class=entry.asset_class,
        currency=entry.currency,
        native_symbol=entry.native,
        tick_size=entry.tick_size,
        lot_size=entry.lot_size,
        contract_size=entry.contract_size,
        time_precision=entry.time_precision,
        settle_currency=entry.settle_currency,
        underlying=entry.underlying,
        strike=entry.strike,
        expiry=entry.expiry,
        option_type=entry.option_type,
    )
