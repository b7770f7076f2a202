"""The instruments of a feed: which of the venue's list are streamed, what is new in it, what has left it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from tickcast.model.instrument import Definition
from tickcast.model.record import State
from tickcast.venues.base import Answer, Request, VenueConfig
from tickcast.venues.declared.venue import Channel, Listed, Venue
from tickcast.venues.naming import Naming, SymbolError
from tickcast.venues.selection import Selection, Standing

NOT_FOUND: Final = 404


@dataclass(slots=True, kw_only=True, eq=False)
class Instrument:
    """One that is streamed."""

    listed: Listed
    definition: Definition
    channels: tuple[Channel, ...]
    is_demanded: bool = False
    """It is streamed because somebody watches it, and only as long."""

    @property
    def id(self) -> int:
        """The record's ``instrument``."""
        return self.definition.instrument

    @property
    def book(self) -> Channel | None:
        """The channel that carries its book."""
        return next((channel for channel in self.channels if channel.book), None)


@dataclass(slots=True, kw_only=True, eq=False)
class Idle:
    """One that is known, and streamed when somebody watches it."""

    listed: Listed
    definition: Definition


@dataclass(slots=True)
class Changes:
    """What an answer to a request for the list brought, or another choice of instruments."""

    new: list[Instrument] = field(default_factory=list)
    gone: list[Instrument] = field(default_factory=list)
    idle: list[Idle] = field(default_factory=list)
    """Those that are known from now on, and not streamed."""
    retired: list[Idle] = field(default_factory=list)
    """Those that were known, and are no more: off the list, or dropped."""
    moved: list[Instrument] = field(default_factory=list)
    """Those whose state by the list is another one now; ``listed`` is the new entry."""
    redefined: list[Instrument | Idle] = field(default_factory=list)
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


class Wanted:
    """Symbols by name and by pattern, as the config has them."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self.names = frozenset(symbol for symbol in symbols if not any(wild in symbol for wild in "*?["))
        self._patterns = tuple(symbol for symbol in symbols if symbol not in self.names)

    def has(self, symbol: str) -> bool:
        """Whether a symbol is one of them."""
        return symbol in self.names or any(fnmatchcase(symbol, one) for one in self._patterns)


class Catalogue:
    """Keeps the instruments of one feed by name, and compares each new list with the one before."""

    def __init__(self, venue: Venue, config: VenueConfig, naming: Naming) -> None:
        self._venue = venue
        self._config = config
        self._naming = naming
        self.selection: Final = Selection(config.symbols, on_demand=config.on_demand)
        self._by_id: dict[int, Instrument] = {}
        self._idle: dict[int, Idle] = {}
        self._by_native: dict[tuple[str, str], Instrument] = {}
        self._source: dict[str, set[tuple[str, str]]] = {}
        """Names of the last whole answer to each request, by its purpose."""
        self._pages: dict[str, set[tuple[str, str]]] = {}
        self._root: dict[str, str] = {}
        """Purpose of the request whose next page a purpose is."""
        self._awaited: set[str] = set()
        self._emptied: set[str] = set()
        """Lists that were empty the last time, and not before."""
        self._passed: dict[tuple[str, str], Listed] = {}
        """Listed, and not streamed now."""
        self._idle_ids: dict[tuple[str, str], int] = {}

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
        return sorted(self.selection.named() - {one.definition.symbol for one in self._by_id.values()})

    @property
    def idle(self) -> Mapping[int, Idle]:
        """Those that are known, and not streamed now, by the record's number."""
        return self._idle

    @property
    def count_streamed(self) -> int:
        """Instruments that are streamed."""
        return len(self._by_id)

    @property
    def count(self) -> int:
        """Instruments of the venue's list in the markets of the config."""
        return len(self._by_id) + sum(map(self._is_market, self._passed.values()))

    @property
    def is_known(self) -> bool:
        """Whether every list has been read to its end."""
        return bool(self._source) and not self._awaited

    def lists(self, symbol: str) -> bool:
        """Whether an instrument that fits a symbol or pattern is in the list."""
        listed = (*(one.listed for one in self._by_id.values()), *self._passed.values())
        return any(fnmatchcase(one.symbol, symbol) for one in listed if self._is_market(one))

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
                continue
            standing = self.standing(entry)
            if standing == "streamed":
                self._begin(entry, changes)
                continue
            if key not in self._passed:
                changes.passed.append(entry)
            self._passed[key] = entry
            if standing == "known":
                self._know(entry, changes)
            else:
                self._retire(key, changes)

    def _again(self, known: Instrument, entry: Listed, changes: Changes) -> None:
        """Take what the list says now of an instrument that is streamed."""
        before, known.listed = known.listed, entry
        if before.state != entry.state:
            changes.moved.append(known)
        if replace(before, state=entry.state) == entry:
            return
        self._define_again(known, entry, changes)

    def _define_again(self, known: Instrument | Idle, entry: Listed, changes: Changes) -> None:
        definition = msgspec.structs.replace(define(self._naming, entry), on_demand=known.definition.on_demand)
        if definition != known.definition and definition.instrument == known.definition.instrument:
            known.definition = definition
            changes.redefined.append(known)

    def _is_market(self, entry: Listed) -> bool:
        """Whether the config asks for the instrument's market."""
        return not self._config.markets or not entry.market or entry.market in self._config.markets

    def standing(self, entry: Listed) -> Standing:
        """Say what becomes of it; what does not trade is left alone unless somebody asks for it."""
        if not self._is_market(entry):
            return "passed"
        is_closed = entry.state == State.CLOSED and not self.selection.is_asked_for(entry.symbol)
        return "passed" if is_closed else self.selection.standing(entry.symbol)

    def _begin(self, entry: Listed, changes: Changes) -> Instrument | None:
        definition = self._define(entry, changes)
        if definition is None:
            return None
        key = (entry.market, entry.native)
        self._passed.pop(key, None)
        idle = self._idle_ids.pop(key, None)
        if idle is not None:
            del self._idle[idle]
        found = Instrument(listed=entry, definition=definition, channels=tuple(self._venue.channels(entry)))
        self._by_id[found.id] = found
        self._by_native[key] = found
        changes.new.append(found)
        return found

    def _define(self, entry: Listed, changes: Changes) -> Definition | None:
        """Define what is not known yet under its name."""
        try:
            definition = define(self._naming, entry)
        except SymbolError as wrong:
            changes.wrong.append((str(wrong), entry.native.encode()))
            return None
        other = self._by_id.get(definition.instrument) or self._idle.get(definition.instrument)
        if other is not None and (other.listed.market, other.listed.native) != (entry.market, entry.native):
            reason = f"{other.listed.native} and {entry.native} are both {definition.name}"
            changes.wrong.append((reason, entry.native.encode()))
            return None
        return definition

    def _know(self, entry: Listed, changes: Changes) -> None:
        """Take an instrument that may be asked for."""
        key = (entry.market, entry.native)
        known = self._idle_ids.get(key)
        if known is not None:
            idle = self._idle[known]
            before, idle.listed = idle.listed, entry
            if replace(before, state=entry.state) != entry:
                self._define_again(idle, entry, changes)
            return
        definition = self._define(entry, changes)
        if definition is None:
            return
        idle = Idle(listed=entry, definition=msgspec.structs.replace(definition, on_demand=True))
        self._idle[definition.instrument] = idle
        self._idle_ids[key] = definition.instrument
        changes.idle.append(idle)

    # ------------------------------------------------------------------ another choice

    def choose(self) -> Changes:
        """Compare what is streamed and known with what is to be, after the selection has changed."""
        changes = Changes()
        for one in self.all:
            standing = self.standing(one.listed)
            if standing == "streamed":
                if one.is_demanded:
                    one.is_demanded = False
                    one.definition = msgspec.structs.replace(one.definition, on_demand=False)
                    changes.redefined.append(one)
            elif standing == "passed" or not one.is_demanded:
                self._leave(one, changes)
        for entry in list(self._passed.values()):
            standing = self.standing(entry)
            if standing == "streamed":
                self._begin(entry, changes)
            elif standing == "known":
                self._know(entry, changes)
            else:
                self._retire((entry.market, entry.native), changes)
        return changes

    def awaken(self, instruments: Iterable[int]) -> Changes:
        """Somebody watches these: they are streamed from now on."""
        changes = Changes()
        for instrument in instruments:
            idle = self._idle.get(instrument)
            found = None if idle is None else self._begin(idle.listed, changes)
            if found is not None:
                found.is_demanded = True
                found.definition = msgspec.structs.replace(found.definition, on_demand=True)
        return changes

    def rest(self, instruments: Iterable[int]) -> Changes:
        """Nobody watches these any more: they are only known from now on."""
        changes = Changes()
        for instrument in instruments:
            one = self._by_id.get(instrument)
            if one is not None:
                self._leave(one, changes)
                self._know(one.listed, changes)
        return changes

    def _leave(self, one: Instrument, changes: Changes) -> None:
        key = (one.listed.market, one.listed.native)
        del self._by_id[one.id], self._by_native[key]
        self._passed[key] = one.listed
        changes.gone.append(one)

    def _retire(self, key: tuple[str, str], changes: Changes) -> None:
        known = self._idle_ids.pop(key, None)
        if known is not None:
            changes.retired.append(self._idle.pop(known))

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
            self._passed.pop(key, None)
            self._retire(key, changes)
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
