"""What is chosen while a session runs: symbols that somebody adds and drops, and those that are streamed on demand."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal

import msgspec

from tickcast.model.errors import StateError, UsageError
from tickcast.model.ledger import Incident
from tickcast.model.record import State
from tickcast.venues import rows
from tickcast.venues.base import Step, VenueConfig
from tickcast.venues.declared.demand import Demand, Turn
from tickcast.venues.declared.instruments import Catalogue, Changes, Idle, Instrument
from tickcast.venues.declared.pacing import SECOND_NS
from tickcast.venues.selection import NAMED_MAX, Changed, Rule, SymbolList, SymbolRow, own_symbols

RELIST_NS: Final = 10 * SECOND_NS
"""For symbols that the list does not have, the venue is asked again at most this often."""
ON_DEMAND: Final = "streamed on demand: it begins when somebody watches it"
_Origin = Literal["config", "added", "demand"]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What outlives the process."""

    rules: tuple[Rule, ...] = ()


class Choosing:
    """Of one session."""

    def __init__(
        self, venue: str, feed: str, config: VenueConfig, *, catalogue: Catalogue, state: Callable[[int], int]
    ) -> None:
        """``state`` says the state of an instrument."""
        self._venue = venue
        self._feed = feed
        self._catalogue = catalogue
        self._state = state
        self.demand: Final = Demand(most=config.on_demand_max, linger_s=config.on_demand_linger_s)
        self._relisted_ns = 0

    @property
    def dropped_reason(self) -> str:
        """What clients are told of an instrument that is not streamed any more."""
        return f"the feed {self._feed} does not stream it any more"

    # ------------------------------------------------------------------ by hand

    def restore(self, kept: bytes) -> None:
        """Take what :meth:`kept` returned in another process; damaged bytes are as good as none."""
        try:
            found = msgspec.msgpack.decode(kept, type=Kept)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        self._catalogue.selection.restore(found.rules)

    def kept(self) -> bytes:
        """Return what has to outlive this process."""
        return msgspec.msgpack.encode(Kept(rules=tuple(self._catalogue.selection.rules)))

    def wants_list(self, add: Sequence[str], now_ns: int) -> bool:
        """Whether the venue is to be asked for its list again, since it may have some of these by now."""
        unknown = self._catalogue.is_known and self._unlisted(own_symbols(add, self._venue))
        if not unknown or (self._relisted_ns and now_ns - self._relisted_ns < RELIST_NS):
            return False
        self._relisted_ns = now_ns
        return True

    def change(self, add: Sequence[str], drop: Sequence[str]) -> Changes:
        """Add and drop symbols.

        Raises:
            UsageError: a symbol is none, or not in the venue's list; nothing is changed.
            StateError: the list is not known yet; nothing is changed.
        """
        add, drop = own_symbols(add, self._venue), own_symbols(drop, self._venue)
        both = sorted(set(add) & set(drop))
        if both:
            raise UsageError(f"expected a symbol to be added or dropped, found both of {both[0]}; nothing is changed")
        if not self._catalogue.is_known:
            raise StateError(f"the list of {self._venue}'s instruments is not known yet; try again in a moment")
        selection = self._catalogue.selection
        unlisted = self._unlisted(add)
        unlisted += [one for one in self._unlisted(drop) if one not in selection.base and not selection.has(one)]
        if unlisted:
            more = f" and {len(unlisted) - NAMED_MAX} more" if len(unlisted) > NAMED_MAX else ""
            raise UsageError(
                f"{', '.join(unlisted[:NAMED_MAX])}{more}: not among the {self._catalogue.count} instruments in "
                f"{self._venue}'s list, which is asked for anew; nothing is changed"
            )
        selection.check_room([*add, *drop])
        selection.add(add)
        selection.drop(drop)
        return self._choose()

    def rebase(self, symbols: Sequence[str]) -> Changes:
        """Take other symbols of the config."""
        self._catalogue.selection.base = tuple(symbols)
        return self._choose() if self._catalogue.is_known else Changes()

    def _choose(self) -> Changes:
        changes = self._catalogue.choose()
        for one in changes.redefined:
            self.demand.forget(one.definition.instrument)
        return changes

    def _unlisted(self, symbols: Iterable[str]) -> list[str]:
        return [symbol for symbol in symbols if not self._catalogue.lists(symbol)]

    def told(self, changes: Changes) -> Changed:
        """Say what a change came to."""
        return Changed(
            added=tuple(sorted(_symbols(changes.new) | _symbols(changes.redefined))),
            dropped=tuple(sorted(_symbols(changes.gone) | _symbols(changes.retired))),
            streamed=self._catalogue.count_streamed,
            missing=tuple(self._catalogue.missing()) if self._catalogue.is_known else (),
        )

    # ------------------------------------------------------------------ on demand

    def look(self, now_ns: int) -> Turn:
        """Say which instruments begin and end because of those who watch them."""
        return self.demand.look(self._catalogue.idle.keys(), now_ns)

    def refuse(self, instruments: Sequence[int], step: Step, now_ns: int) -> None:
        """Tell those who watch what finds no room."""
        reason = (
            f"the feed {self._feed} streams {self.demand.count} instruments on demand, the most it may "
            "(on_demand_max); this one begins when another one ends"
        )
        say(step, instruments, State.EMPTY, reason, now_ns)

    # ------------------------------------------------------------------ telling

    def listed(self) -> SymbolList:
        """Say what is streamed, and why."""
        catalogue, demand = self._catalogue, self.demand
        idle = catalogue.idle
        return SymbolList(
            feed=self._feed,
            venue=self._venue,
            symbols=tuple(self._row(one) for one in sorted(catalogue.all, key=lambda one: one.definition.symbol)),
            listed=catalogue.count,
            on_demand=catalogue.selection.on_demand,
            on_demand_count=demand.count,
            on_demand_max=demand.most if catalogue.selection.on_demand else 0,
            waiting=tuple(sorted(idle[one].definition.symbol for one in demand.waiting if one in idle)),
            changes=tuple(f"{'+' if rule.is_added else '-'}{rule.symbol}" for rule in catalogue.selection.rules),
        )

    def _row(self, one: Instrument) -> SymbolRow:
        symbol = one.definition.symbol
        origin: _Origin = "demand" if one.is_demanded else self._catalogue.selection.origin(symbol)
        state = State(self._state(one.id)).name.lower()
        return SymbolRow(symbol=symbol, state=state, by=origin, watchers=self.demand.watchers(one.id))


def _symbols(instruments: Iterable[Instrument | Idle]) -> set[str]:
    return {one.definition.symbol for one in instruments}


def of_choice(
    kind: Literal["added", "dropped"], instruments: Iterable[Instrument], word: str, now_ns: int
) -> list[Incident]:
    """Make the incidents of instruments that are streamed from now on, or no more."""
    return [
        Incident(
            kind=kind,
            scope="instrument",
            reason=f"{one.definition.name} {word}",
            ts_ns=now_ns,
            instruments=(one.id,),
        )
        for one in instruments
    ]


def say(step: Step, instruments: Iterable[int], state: State, reason: str, now_ns: int) -> None:
    """Tell the state of instruments, and why, behind all that the step holds."""
    place = sum(map(len, step.records)) // rows.ROW.size
    for instrument in instruments:
        step.records.append(rows.status(instrument, state, ts_event=now_ns, ts_recv=now_ns))
        step.texts[place] = reason
        place += 1
