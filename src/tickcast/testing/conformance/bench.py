"""A venue on the bench: its session, a simulated market that speaks its dialect, and a witness of all that is told."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from tickcast import _native
from tickcast.model.ledger import LOSSLESS
from tickcast.model.record import Kind, State
from tickcast.sim import universe as listing
from tickcast.sim.config import Config, MarketConfig
from tickcast.sim.crypto.state import Instrument
from tickcast.sim.crypto.venue import SimVenue
from tickcast.sim.crypto.voice import Voice
from tickcast.sim.engine import VenueEngine
from tickcast.testing.conformance.shell import ConformanceError, Shell
from tickcast.testing.conformance.values import Values
from tickcast.testing.conformance.witness import SHOWN, Seen, Witness, plain
from tickcast.venues.base import Step, VenueConfig
from tickcast.venues.declared import dialect
from tickcast.venues.declared.session import DeclaredSession
from tickcast.venues.registry import find_declared, open_session

START_NS: Final = 1_790_000_000_000_000_000
PAIRS: Final = 4
RATE: Final = 400.0
ORDERS: Final = 14
SETTLE_MS: Final = 90_000
"""Repairs with all their delays are over after so long."""
CHECK_MS: Final = 100
INDICES: Final = "*-INDEX"
QUIET_MS: Final = 4000
"""Without trading, everything that is told by intervals has been told."""
CALM_MS: Final = 2000
"""The same beside a watch over silence, which bears three seconds at the busiest."""
WATCHED_LEVELS: Final = 50
"""Best levels a side that are told of a book that somebody watches."""
WATCH_CHECKS: Final = 7
"""After so many checks somebody else's book is watched."""
SELDOM_MS: Final = 32_000
"""What is told twice a minute has been told."""


class Bench:
    """One venue, ready to be treated badly."""

    def __init__(
        self,
        code: str,
        voice: type[Voice],
        *,
        seed: int = 1,
        depth: int = 5,
        quiet_watch: bool = False,
        settings: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """List a few instruments of every kind and prepare a session that streams them.

        ``depth``: levels that are told of books that nobody watches.
        ``quiet_watch``: it looks for streams that fall silent; other rules stop the market as they like. Nobody watches
        books then: those rules run for hours of the market's time.
        ``settings``: more of the feed's config.
        """
        market = MarketConfig(stock_share=0.0, orders_per_side=ORDERS, open_after_ms=1.0)
        config = Config(symbols=PAIRS, seed=seed, market=market)
        common = listing.build(config)
        self.code, self.seed = code, seed
        self.venue = SimVenue(code, voice, config, common, start_ns=START_NS, now_ns=lambda: self.shell.now_ns)
        self.engine = VenueEngine(self.venue, rate=RATE, quantum_ms=20, start_ns=START_NS)
        self.chosen = _choose(self.venue.instruments)
        found = find_declared(code)
        if found is None:
            raise ConformanceError(f"{code}: expected a declared venue in the registry, found none")
        self.declared = found
        """The venue's class."""
        self.config = VenueConfig(
            venue=code,
            url="ws://simulated",
            rest_url="http://simulated",
            symbols=(*(one.product.symbol for one in self.chosen), INDICES),
            depth=depth,
            instruments_refresh_s=0,
            compare_interval_s=5.0,
            poll_interval_s=5.0,
            quiet_watch=quiet_watch,
            **settings,
        )
        self.dialect = found(self.config).dialect
        session = open_session("conformance", self.config, {})
        if not isinstance(session, DeclaredSession):
            raise ConformanceError(f"{code}: expected a declared session, found {type(session).__name__}")
        self.session = session
        self.steps: list[Step] = []
        self._checks = 0
        self._is_watching = not quiet_watch
        self._watched: set[int] = set()
        """Instruments whose book is watched."""
        self._before: dict[int, int] = {}
        """Trades before the first subscription, by row."""
        self.trades_may_be_lost = False
        """Trades of a venue that does not number them are dropped too: nobody can notice."""
        self.trades_are_fetched = False
        """Every trade is to be told, whatever the ledger says."""
        self.witness = Witness(quoted=set(), partly_lost=lambda: self.session.partly_lost)
        self.venue.on_told = self.witness.told
        self.shell = Shell(
            session,
            self.venue,
            self.engine,
            start_ns=START_NS,
            on_batch=lambda batch: self.witness.take(batch, self.shell.now_ns),
            on_step=self._stepped,
        )

    def _stepped(self, step: Step) -> None:
        if step.incidents or step.dead_count:
            self.steps.append(step)
        if len(self.witness.quoted) == len(self.session.instruments):
            return
        venue = self.declared(self.config)
        self.witness.quoted.update(one.id for one in self.session.instruments if venue.quoted(one.listed))

    # ------------------------------------------------------------------ time

    def start(self, *, within_ms: int = 20_000, but: Instrument | None = None) -> None:
        """List, connect, subscribe; the market opens when every book is whole, ``but`` one that is not waited for."""
        self._watch_books()
        self.shell.start()
        self.until_whole(within_ms, quiet=not self.needs_trading, but=but)
        if not self.has_differences:
            self._until_told()
        self._until_fetched()
        for named, seen in self.pairs():
            self._before[named.instrument.row] = named.instrument.stats.count - len(seen.trades)

    def _until_told(self) -> None:
        """Let time pass until no book is one from REST that stands in for the first message."""
        for _ in range(100):
            if all(seen.state != State.UNVERIFIED for _, seen in self.pairs()):
                break
            self.run(CHECK_MS)

    def _until_fetched(self) -> None:
        """Let time pass until trades that were missed on the way here are told: they are of before."""
        for _ in range(100):
            if not self.session.holes_of_trades:
                break
            self.run(CHECK_MS)

    @property
    def needs_trading(self) -> bool:
        """Whether a book begins only with a message of its stream (over REST: the first difference behind it)."""
        return any(rule.snapshot == "rest" for rule in self.rules)

    def run(self, ms: int, *, quiet: bool = False) -> None:
        """Let time pass, and look at the books again and again."""
        for _ in range(0, ms, CHECK_MS):
            self.shell.run(min(CHECK_MS, ms), quiet=quiet)
            self.check_books()

    def until_whole(self, within_ms: int = SETTLE_MS, *, quiet: bool = False, but: Instrument | None = None) -> None:
        """Let time pass until every instrument is live, ``but`` one.

        Raises:
            ConformanceError: it takes too long.
        """
        for _ in range(0, within_ms, CHECK_MS):
            self.run(CHECK_MS, quiet=quiet)
            if self.is_whole(but=but):
                return
        states = {symbol: seen.state.name for symbol, seen in self.witness.by_symbol.items()}
        raise ConformanceError(
            f"{self.code}: not every book was whole within {within_ms / 1000} s: {states}; seed {self.seed}"
        )

    def is_whole(self, *, but: Instrument | None = None) -> bool:
        """Whether every instrument that is streamed is known and shown, those that have no market too."""
        spared = "" if but is None else but.product.symbol
        shown = all(seen.state in SHOWN for symbol, seen in self.witness.by_symbol.items() if symbol != spared)
        return shown and len(self.pairs()) == len(self.chosen)

    # ------------------------------------------------------------------ what is known

    @property
    def rules(self) -> list[dialect.BookRule]:
        """Of all books of the venue's feed."""
        return [rule for _, rule in dialect.books_of_feeds(self.dialect)]

    @property
    def has_differences(self) -> bool:
        """Whether a message of a book may say less than the whole of it."""
        return any(rule.snapshot != "every" for rule in self.rules)

    @property
    def chained_trades(self) -> bool:
        """Whether a lost trade can be noticed."""
        counted = self.dialect.counter is not None
        return counted or any(
            emit.chained
            for message in self.dialect.messages
            for emit in message.emits
            if isinstance(emit, dialect.Trades) and not emit.liquidation
        )

    @property
    def proves(self) -> bool:
        """Whether a lost message of a book can be noticed."""
        return self.dialect.counter is not None or any(
            rule.chain not in {"none", "ordered"} or rule.checksum not in {None, "okx"} for rule in self.rules
        )

    def pairs(self) -> list[tuple["_Named", Seen]]:
        """Chosen instruments that were told of, with what was told."""
        found = []
        for one in self.chosen:
            seen = self.witness.by_symbol.get(one.product.symbol)
            if seen is not None:
                found.append((_Named(one), seen))
        return found

    def seen(self, instrument: Instrument) -> Seen:
        """Return what was told of an instrument."""
        return self.witness.by_symbol[instrument.product.symbol]

    # ------------------------------------------------------------------ what must be

    def check_books(self) -> None:
        """No shown book may be one that never was, and what rows tell of it is it; then others are watched."""
        for named, seen in self.pairs():
            if self.proves or seen.state is State.LIVE:  # what nothing proves may be wrong until it is compared
                self.witness.check_book(named.instrument, seen, self.session.core)
            self.witness.check_levels(seen, self.session.core, told=self._levels_told(seen))
        self.check()
        self._checks += 1
        if self._checks % WATCH_CHECKS == 0:
            self._watch_books()

    def _levels_told(self, seen: Seen) -> int:
        return WATCHED_LEVELS if seen.definition.instrument in self._watched else self.config.depth

    def _watch_books(self) -> None:
        """Two of three books are watched, by turns, known to the session yet or not."""
        if not self._is_watching:
            return
        turn = self._checks // WATCH_CHECKS
        names = [f"{self.code}:{one.product.symbol}" for number, one in enumerate(self.chosen) if (number + turn) % 3]
        self._watched = {_native.instrument_id(name) for name in names}
        self.shell.watch_books(self._watched)

    def check(self) -> None:
        """Nothing wrong was told.

        Raises:
            ConformanceError: it was.
        """
        if self.witness.wrong:
            raise ConformanceError(f"{self.code}, seed {self.seed}: " + "; ".join(self.witness.wrong[:5]))

    def finish(self) -> None:
        """Let everything settle, then compare books, trades, best prices and measures with the truth."""
        self.until_whole()
        if self.has_differences and not self.proves:
            self._wait_for_comparison()
        # a market that stands still is silence to a session that judges it: not for longer than it bears
        self.run(CALM_MS if self.config.quiet_watch else QUIET_MS, quiet=True)
        self.until_whole(quiet=True)
        wrong: list[str] = []
        for named, seen in self.pairs():
            wrong += self._compare(named.instrument, seen)
        if not self.config.quiet_watch:  # what is told twice a minute cannot be waited for in silence: other rules do
            truth = Values(self.venue)
            if not wrong and truth.differences(self.witness):
                self.shell.run(SELDOM_MS, quiet=True, step_ms=CHECK_MS)
                self.until_whole(quiet=True)
            wrong += truth.differences(self.witness)
        if wrong:
            raise ConformanceError(f"{self.code}, seed {self.seed}: " + "; ".join(wrong[:5]))

    def _wait_for_comparison(self) -> None:
        """Let the session compare the books that nothing proves with REST, each in its turn, and repair them.

        The market goes on: what changed a moment ago is no difference for a comparison.
        """
        for _ in range(0, SETTLE_MS, CHECK_MS):
            self.run(CHECK_MS)
            if self.is_whole() and not any(self._compare(named.instrument, seen) for named, seen in self.pairs()):
                return

    def _compare(self, instrument: Instrument, seen: Seen) -> list[str]:
        symbol, wrong = seen.definition.symbol, []
        rows = self.witness.reader.book(seen.definition.instrument)
        bids, asks = self.session.core.book(seen.definition.instrument, 100_000)
        depth = max(len(bids), len(asks))
        truth = self.venue.truth(instrument)
        for side, found in (("bids", bids), ("asks", asks)):
            expected, got = plain(truth[side]), plain(found)
            whole = len(expected) <= depth
            if (got != expected) if whole else (got != expected[: len(got)]):
                wrong.append(f"{symbol}: {side} {got} are not the venue's {expected}")
            told = expected[: min(self._levels_told(seen), len(got))]
            if rows is not None and rows[side == "asks"] != told:
                wrong.append(f"{symbol}: rows tell {side} {rows[side == 'asks']}, the venue's best are {told}")
            best = seen.best.get(Kind.BID if side == "bids" else Kind.ASK)
            if expected and best != expected[0]:
                wrong.append(f"{symbol}: the best of {side} is told as {best}, the venue's is {expected[0]}")
        lost = truth["trades"] - self._before.get(instrument.row, 0) - len(seen.trades)
        if lost < 0:
            wrong.append(f"{symbol}: {-lost} trades that never were")
        excused = not self.trades_are_fetched and self._excused(seen)
        if lost > 0 and not self.trades_may_be_lost and not excused:
            wrong.append(f"{symbol}: {lost} of {truth['trades']} trades are lost without an entry of the ledger")
        if not lost and seen.trades:
            last = truth["last_trade"]
            (expected_trade,) = plain([(instrument.price(last.price), instrument.size(last.size))])
            if seen.last_trade != expected_trade:
                wrong.append(f"{symbol}: the last trade is {seen.last_trade}, the venue's {expected_trade}")
        return wrong

    def kinds(self, instrument: Instrument) -> set[str]:
        """Kinds of the ledger's entries that name an instrument."""
        name = f"{self.code}:{instrument.product.symbol}"
        return {entry.kind for entry in self.witness.ledger.values() if name in entry.instruments}

    def _excused(self, seen: Seen) -> bool:
        """Whether the ledger says that something of an instrument is missing."""
        name = f"{self.code}:{seen.definition.symbol}"
        return seen.gaps > 0 or any(
            name in entry.instruments and entry.kind not in LOSSLESS for entry in self.witness.ledger.values()
        )


class _Named:
    """An instrument and the name by which it is asked for."""

    __slots__ = ("instrument", "symbol")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument, self.symbol = instrument, instrument.product.symbol


def _choose(instruments: Sequence[Instrument]) -> list[Instrument]:
    """Choose a few of each kind, the most traded ones."""
    found: list[Instrument] = []
    for kind, count in (("spot", 2), ("perpetual", 2), ("future", 1), ("option", 1)):
        found += [one for one in instruments if one.product.kind == kind][:count]
    return found
