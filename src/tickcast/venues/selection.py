"""Which instruments of its venue a feed streams: what the config says, then what was added and dropped since. Pure.

Theory. The config's ``symbols`` are the base. Each change that an operator makes is a rule behind it, ``added`` or
``dropped`` with a symbol or a pattern, and of all rules that fit an instrument the newest decides. So nothing has to be
resolved against the venue's list when a rule is made: an instrument that the venue lists tomorrow falls under the rule
of today. A rule that says of its symbol what would hold without it is not kept.

What is *streamed* is subscribed to all the time. What is *known* is defined, and streamed while somebody watches it
(``on_demand``); what is *passed* is neither.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final, Literal, Protocol, runtime_checkable

import msgspec

from tickcast.model.errors import UsageError
from tickcast.model.symbols import split_name
from tickcast.venues.base import Step

WILD: Final = "*?["
RULES_MAX: Final = 10_000
"""Rules of one feed: a feed that differs so much from its config needs another config."""
NAMED_MAX: Final = 10
"""Symbols that an error names."""

Standing = Literal["streamed", "known", "passed"]


class Rule(msgspec.Struct, frozen=True, array_like=True):
    """One change."""

    symbol: str
    """House symbology, without the venue; wildcards as in the config."""
    is_added: bool


class Selection:
    """See the module."""

    def __init__(self, symbols: Sequence[str], *, on_demand: bool = False) -> None:
        """``symbols``: the config's; without any all are streamed, or with ``on_demand`` none."""
        self.on_demand: Final = on_demand
        self._base: tuple[str, ...] = ()
        self._names: frozenset[str] = frozenset()
        self._patterns: tuple[str, ...] = ()
        self._exact: dict[str, tuple[int, Rule]] = {}
        """The newest rule of each plain symbol, with its place in the order."""
        self._wild: list[tuple[int, Rule]] = []
        self._number = 0
        self.base = tuple(symbols)

    @property
    def base(self) -> tuple[str, ...]:
        """The config's symbols."""
        return self._base

    @base.setter
    def base(self, symbols: tuple[str, ...]) -> None:
        self._base = symbols
        self._names = frozenset(symbol for symbol in symbols if not is_wild(symbol))
        self._patterns = tuple(symbol for symbol in symbols if is_wild(symbol))
        for symbol, (_, rule) in list(self._exact.items()):
            if not self._is_needed(rule):
                del self._exact[symbol]

    @property
    def rules(self) -> list[Rule]:
        """What was changed, oldest first."""
        return [rule for _, rule in sorted((*self._exact.values(), *self._wild), key=lambda one: one[0])]

    def restore(self, rules: Sequence[Rule]) -> None:
        """Take changes that were made before."""
        for rule in rules[-RULES_MAX:]:
            self._put(rule)
        self.base = self._base

    def named(self) -> frozenset[str]:
        """Plain symbols that are to be streamed."""
        added = {symbol for symbol, (_, rule) in self._exact.items() if rule.is_added}
        return frozenset(one for one in self._names | added if self.standing(one) == "streamed")

    def standing(self, symbol: str) -> Standing:
        """Say what becomes of an instrument that the venue lists."""
        rule = self._rule(symbol)
        if rule is None:
            return self._by_base(symbol)
        return "streamed" if rule.is_added else "passed"

    def origin(self, symbol: str) -> Literal["config", "added"]:
        """Say why an instrument is streamed all the time."""
        return "added" if self._rule(symbol) is not None else "config"

    def is_asked_for(self, symbol: str) -> bool:
        """Whether somebody named it, or a pattern of it: an instrument that does not trade is streamed only then."""
        return self._rule(symbol) is not None or self._is_named(symbol)

    def has(self, symbol: str) -> bool:
        """Whether there is a change of this very symbol or pattern."""
        return symbol in self._exact or any(rule.symbol == symbol for _, rule in self._wild)

    def add(self, symbols: Sequence[str]) -> None:
        """Stream these from now on."""
        for symbol in symbols:
            self._change(Rule(symbol, is_added=True))

    def drop(self, symbols: Sequence[str]) -> None:
        """Stream these no more; one that was added, and is not in the config, is what it was before."""
        for symbol in symbols:
            was_added = self._forget(symbol)
            if not was_added or self._is_streamed(symbol):
                self._change(Rule(symbol, is_added=False))

    def check_room(self, symbols: Sequence[str]) -> None:
        """Say whether so many changes more are possible.

        Raises:
            UsageError: they are not.
        """
        count = len(self._exact) + len(self._wild)
        if count + len(symbols) > RULES_MAX:
            raise UsageError(
                f"expected at most {RULES_MAX} changes of a feed's symbols, found {count} and {len(symbols)} more; "
                "write them into the config; nothing is changed"
            )

    # ------------------------------------------------------------------ inside

    def _change(self, rule: Rule) -> None:
        self._forget(rule.symbol)
        if is_wild(rule.symbol) or self._is_needed(rule):
            self._put(rule)

    def _is_needed(self, rule: Rule) -> bool:
        """Whether the rule of a plain symbol says anything."""
        without = self._without(rule.symbol)
        return without != "streamed" if rule.is_added else without != "passed"

    def _put(self, rule: Rule) -> None:
        self._number += 1
        if is_wild(rule.symbol):
            self._wild.append((self._number, rule))
        else:
            self._exact[rule.symbol] = (self._number, rule)

    def _forget(self, symbol: str) -> bool:
        """Take the rule of a symbol away; whether it was added by one."""
        found = [rule for _, rule in self._wild if rule.symbol == symbol]
        self._wild = [one for one in self._wild if one[1].symbol != symbol]
        exact = self._exact.pop(symbol, None)
        found += [exact[1]] if exact is not None else []
        return any(rule.is_added for rule in found)

    def _is_streamed(self, symbol: str) -> bool:
        return symbol in self._base if is_wild(symbol) else self.standing(symbol) == "streamed"

    def _rule(self, symbol: str) -> Rule | None:
        """The newest that fits."""
        number, rule = self._exact.get(symbol, (0, None))
        for place, other in reversed(self._wild):
            if place < number:
                break
            if fnmatchcase(symbol, other.symbol):
                return other
        return rule

    def _without(self, symbol: str) -> Standing:
        """Say what would become of a plain symbol without a rule of its own."""
        for _, rule in reversed(self._wild):
            if fnmatchcase(symbol, rule.symbol):
                return "streamed" if rule.is_added else "passed"
        return self._by_base(symbol)

    def _by_base(self, symbol: str) -> Standing:
        rest: Standing = "known" if self.on_demand else "passed"
        if not self._base:
            return rest if self.on_demand else "streamed"
        return "streamed" if self._is_named(symbol) else rest

    def _is_named(self, symbol: str) -> bool:
        return symbol in self._names or any(fnmatchcase(symbol, one) for one in self._patterns)


def is_wild(symbol: str) -> bool:
    """Whether a symbol is a pattern."""
    return any(sign in symbol for sign in WILD)


def own_symbols(symbols: Sequence[str], venue: str) -> list[str]:
    """Take the venue's code off symbols that carry it, and repetitions out.

    Raises:
        UsageError: a symbol is another venue's, or is none.
    """
    found: dict[str, None] = {}
    for given in symbols:
        name, colon, symbol = given.rpartition(":")
        if colon and name != venue:
            raise UsageError(f"expected symbols of {venue}, found {given[:96]!r}; nothing is changed")
        if is_wild(symbol):
            if len(symbol) > 64 or not symbol.isascii() or not symbol.isprintable():
                raise UsageError(f"expected a pattern such as BTC-USD-*-C, found {symbol[:96]!r}; nothing is changed")
        else:
            try:
                split_name(f"{venue}:{symbol}")
            except ValueError as wrong:
                raise UsageError(f"{wrong}; nothing is changed") from None
        found[symbol] = None
    return list(found)


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of a feed's symbols came to."""

    added: tuple[str, ...] = ()
    """Instruments that are streamed from now on."""
    dropped: tuple[str, ...] = ()
    """Instruments that are streamed no more."""
    streamed: int = 0
    """Instruments that are streamed now."""
    missing: tuple[str, ...] = ()
    """Symbols of the config that are not in the venue's list."""


class ConfigTaken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of another config of a feed."""

    taken: tuple[str, ...] = ()
    """Keys that have another value now."""
    refused: tuple[str, ...] = ()
    """Keys that cannot change while the feed runs: because of them nothing did."""
    symbols: Changed = Changed()


class SymbolRow(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument that a feed streams."""

    symbol: str
    state: str
    by: Literal["config", "added", "demand"]
    """Why: the config, an operator, or somebody who watches it."""
    watchers: int = 0


class SymbolList(msgspec.Struct, frozen=True, kw_only=True):
    """What a feed streams."""

    feed: str
    venue: str
    symbols: tuple[SymbolRow, ...]
    listed: int
    """Instruments in the venue's list that the config does not rule out."""
    on_demand: bool
    on_demand_count: int = 0
    """Instruments that are streamed because somebody watches them."""
    on_demand_max: int = 0
    waiting: tuple[str, ...] = ()
    """Instruments that are asked for beyond the maximum."""
    changes: tuple[str, ...] = ()
    """What was changed since the config: ``+BTC-USDT``, ``-ETH-USDT``."""


@runtime_checkable
class Selective(Protocol):
    """A session whose instruments can be chosen while it runs."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be streamed now: everything was dropped, or nobody watches what is on demand."""

    def change_symbols(self, add: Sequence[str], drop: Sequence[str], now_ns: int) -> tuple[Changed, Step]:
        """Stream these, and those no more; nothing else is touched.

        Raises:
            UsageError: a symbol is not in the venue's list, or none; nothing is changed.
            StateError: the venue's list is not known yet; nothing is changed.
        """

    def set_symbols(self, symbols: Sequence[str], now_ns: int) -> tuple[Changed, Step]:
        """The config says other symbols than before."""

    def set_demand(self, *, most: int, linger_s: float, now_ns: int) -> Step:
        """The config says other limits of what is streamed on demand than before."""

    def list_symbols(self) -> SymbolList:
        """Say what is streamed, and why."""


@runtime_checkable
class Demanded(Protocol):
    """A session that streams some of its instruments while they are watched."""

    def demand(self, counts: Mapping[int, int], now_ns: int) -> Step:
        """Take how many watch each instrument; those that are not named nobody does. The newest replaces all before."""
