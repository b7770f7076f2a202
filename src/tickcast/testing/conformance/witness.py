"""Watches what a feed tells, row by row, and the books behind it: nothing wrong may ever be shown as right."""

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from tickcast import _native
from tickcast.model.batch import TickBatch
from tickcast.model.instrument import Definition
from tickcast.model.ledger import LedgerEntry
from tickcast.model.record import Flag, Kind, State
from tickcast.sim.crypto.levels import Sides
from tickcast.sim.crypto.state import Instrument
from tickcast.testing.levels import LevelReader

SHOWN: Final = frozenset({State.LIVE, State.UNVERIFIED})
"""States in which a book is shown."""
QUOTES: Final = {Kind.BID, Kind.ASK}
LEVELS: Final = {Kind.BOOK_BID, Kind.BOOK_ASK}
MEASURES: Final = frozenset({Kind.MARK, Kind.INDEX, Kind.FUNDING, Kind.OPEN_INTEREST})
"""Last values that are compared with the venue's."""
TOLD_MAX: Final = 2000

Level = tuple[Decimal, Decimal]
Book = tuple[tuple[Level, ...], tuple[Level, ...]]


def plain(levels: list[tuple[str, str]]) -> tuple[Level, ...]:
    """Return levels as exact numbers: however many zeros they were written with."""
    return tuple((Decimal(price), Decimal(size)) for price, size in levels)


def book_of(instrument: Instrument, sides: Sides) -> Book:
    """Return a book of ticks and lots as exact numbers, best first."""
    price, size = instrument.price, instrument.size
    bids, asks = (
        plain([(price(ticks), size(lots)) for ticks, lots in sorted(side.items(), reverse=not number)])
        for number, side in enumerate(sides)
    )
    return bids, asks


@dataclass(slots=True)
class Seen:
    """What was told of one instrument."""

    definition: Definition
    state: State = State.EMPTY
    states: list[tuple[int, State]] = field(default_factory=list)
    """Every state and when it was told."""
    trades: dict[tuple[int, int, int, int], int] = field(default_factory=dict)
    """Session, id, price and size of each trade to how often it was told."""
    last_trade: tuple[Decimal, Decimal] | None = None
    last_trade_ns: int = 0
    backfilled: int = 0
    """Trades that were fetched after a break."""
    best: dict[Kind, tuple[Decimal, Decimal] | None] = field(default_factory=dict)
    gaps: int = 0
    measures: dict[Kind, Decimal] = field(default_factory=dict)
    liquidations: int = 0
    rows: int = 0

    def value(self, kind: Kind, row: dict[str, Any]) -> None:
        """Take a last value."""
        if kind in MEASURES:
            self.measures[kind] = Decimal(row["price"]).scaleb(-row["price_scale"])


class Witness:
    """Of one feed. ``wrong`` has everything that must not be."""

    def __init__(self, *, quoted: set[int], partly_lost: Callable[[], Collection[int]] = tuple) -> None:
        """Say what is normal.

        ``quoted``: instruments whose best bid and offer come from a stream of their own; ``partly_lost``: such whose
        book goes on, while they are stale since another stream of theirs is lost.
        """
        self._partly_lost = partly_lost
        self.seen: dict[int, Seen] = {}
        self.by_symbol: dict[str, Seen] = {}
        self.ledger: dict[str, LedgerEntry] = {}
        self.wrong: list[str] = []
        self.quoted = quoted
        self.reader = LevelReader()
        """Knows of books what rows tell, and nothing else."""
        self._told: dict[int, dict[Book, None]] = defaultdict(dict)
        self._unannounced: tuple[Seen, str] | None = None
        """Told of a book that is not shown: right only if the next event says that it is whole."""
        self._event_over = True

    # ------------------------------------------------------------------ rows

    def take(self, batch: TickBatch, now_ns: int) -> None:
        """Take a batch."""
        for definition in batch.definitions:
            seen = self.seen.setdefault(definition.instrument, Seen(definition))
            self.by_symbol[definition.symbol] = seen
        for entry in batch.ledger:
            self.ledger[entry.id] = entry
        for row in batch.records.tolist():
            self._row(dict(zip(batch.records.dtype.names or (), row, strict=True)), batch.session, now_ns)

    def _row(self, row: dict[str, Any], session: int, now_ns: int) -> None:
        instrument, kind = row["instrument"], row["kind"]
        seen = self.seen.get(instrument)
        if seen is None:
            if instrument:
                self.wrong.append(f"a row of instrument {instrument}, which has no definition")
            return
        seen.rows += 1
        self._announced(seen, row)
        if kind == Kind.STATUS:
            seen.state = State(row["detail"])
            seen.states.append((now_ns, seen.state))
        elif kind == Kind.GAP:
            seen.gaps += 1
        elif kind == Kind.TRADE:
            self._trade(seen, row, session)
        elif kind == Kind.LIQUIDATION:
            seen.liquidations += 1
        elif kind in LEVELS or (kind in QUOTES and instrument not in self.quoted):
            self._shown(seen, Kind(kind), row)
        elif kind in QUOTES:
            seen.best[Kind(kind)] = _pair(row)
        else:
            seen.value(Kind(kind), row)
        if kind in QUOTES and row["flags"] & Flag.LAST_OF_EVENT:
            self._crossed(seen)

    def _announced(self, seen: Seen, row: dict[str, Any]) -> None:
        """A snapshot's rows go before the status that shows them, and nothing between."""
        if self._unannounced is not None and self._event_over:
            before, text = self._unannounced
            self._unannounced = None
            if before is not seen or row["kind"] != Kind.STATUS or State(row["detail"]) not in SHOWN | {State.HALTED}:
                self.wrong.append(text)
        self._event_over = bool(row["flags"] & Flag.LAST_OF_EVENT)

    def _trade(self, seen: Seen, row: dict[str, Any], session: int) -> None:
        key = (session if not row["id"] else 0, row["id"], row["price"], row["size"])
        seen.trades[key] = seen.trades.get(key, 0) + 1
        if seen.trades[key] > 1 and row["id"] and not row["flags"] & Flag.HISTORY:
            self.wrong.append(f"{seen.definition.symbol}: trade {row['id']} was told {seen.trades[key]} times")
        is_fetched = bool(row["flags"] & Flag.BACKFILLED)
        seen.backfilled += is_fetched
        is_old = row["flags"] & Flag.HISTORY or (is_fetched and row["ts_event"] < seen.last_trade_ns)
        if not is_old or seen.last_trade is None:
            pair = _pair(row)
            if pair is not None:
                seen.last_trade, seen.last_trade_ns = pair, row["ts_event"]

    def _shown(self, seen: Seen, kind: Kind, row: dict[str, Any]) -> None:
        if kind in QUOTES:
            seen.best[kind] = _pair(row)
        else:
            self.reader.apply(row)
        # a book that becomes watched while its stream is lost is told as it is: the state says that it is old
        is_old = kind in LEVELS and row["flags"] & Flag.SNAPSHOT and seen.state == State.STALE
        # another of its streams is lost: the state says so, and the book is right
        is_old |= seen.state == State.STALE and row["instrument"] in self._partly_lost()
        if seen.state not in SHOWN | {State.HALTED} and not row["flags"] & Flag.INVALID_BOOK and not is_old:
            self._unannounced = seen, f"{seen.definition.symbol}: {kind.name} was told while {seen.state.name}"

    def _crossed(self, seen: Seen) -> None:
        bid, ask = seen.best.get(Kind.BID), seen.best.get(Kind.ASK)
        if bid is not None and ask is not None and seen.state in SHOWN and bid[0] >= ask[0]:
            self.wrong.append(f"{seen.definition.symbol}: bid {bid[0]} and ask {ask[0]} cross while it is live")

    # ------------------------------------------------------------------ books

    def told(self, instrument: Instrument, sides: Sides) -> None:
        """Note a book that the venue tells."""
        books = self._told[instrument.row]
        books[book_of(instrument, sides)] = None
        if len(books) > TOLD_MAX:
            del books[next(iter(books))]

    def check_book(self, instrument: Instrument, seen: Seen, core: _native.JsonFeed) -> None:
        """Compare a shown book with all that the venue ever told: a mixture of them is wrong."""
        if seen.state not in SHOWN:
            return
        bids, asks = core.book(seen.definition.instrument, 100_000)
        found = plain(bids), plain(asks)
        if found not in self._told[instrument.row]:
            self.wrong.append(f"{seen.definition.symbol}: the book shown as {seen.state.name} never was: {found}")

    def check_levels(self, seen: Seen, core: _native.JsonFeed, *, told: int) -> None:
        """Compare what rows told of a shown book with its ``told`` best levels a side; 0 = none are to be told."""
        instrument = seen.definition.instrument
        found = self.reader.book(instrument)
        if not told:
            if instrument in self.reader.known():
                self.wrong.append(
                    f"{seen.definition.symbol}: nobody watches the book, and it is not told to be unknown"
                )
            return
        if seen.state not in SHOWN:
            return
        bids, asks = core.book(instrument, told)
        if found != (plain(bids), plain(asks)):
            self.wrong.append(
                f"{seen.definition.symbol}: rows tell the book {found}, it is {plain(bids)}, {plain(asks)}"
            )


def _pair(row: dict[str, Any]) -> tuple[Decimal, Decimal] | None:
    if row["flags"] & Flag.NO_PRICE:
        return None
    return (
        Decimal(row["price"]).scaleb(-row["price_scale"]),
        Decimal(row["size"]).scaleb(-row["size_scale"]),
    )
