"""From batches of records to ticks. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Literal

from tickcast.direct.ticks import BookChange, Gap, Measure, Quote, Status, Tick, Trade
from tickcast.model.batch import TickBatch
from tickcast.model.record import Flag, Kind, Side, State

SIDES: Final[Mapping[int, Literal["buy", "sell"]]] = {int(Side.BUYER): "buy", int(Side.SELLER): "sell"}
MEASURES: Final = {int(kind): kind.name.lower() for kind in Kind if kind >= Kind.MARK and kind != Kind.LIQUIDATION}
BEST: Final = frozenset((int(Kind.BID), int(Kind.ASK)))
LEVELS: Final = frozenset((int(Kind.BOOK_BID), int(Kind.BOOK_ASK)))
TRADES: Final = frozenset((int(Kind.TRADE), int(Kind.LIQUIDATION)))
BEGUN: Final = frozenset(("live", "unverified", "halted", "auction", "closed"))
"""States with a book that is whole."""

Level = tuple[Decimal, Decimal]
Best = tuple[Decimal | None, Decimal | None]
Row = tuple[Any, ...]


@dataclass(slots=True)
class _Instrument:
    symbol: str
    bid: Best = (None, None)
    ask: Best = (None, None)
    is_known: bool = False
    """A whole book was told, and nothing that makes it void."""
    begun: bool = False
    """The event in hand begins the book anew."""
    quoted: bool = False
    """The event in hand changes the best bid or offer."""
    bids: list[Level] = field(default_factory=list)
    asks: list[Level] = field(default_factory=list)


class Reader:
    """Keeps the newest best bid and offer of each instrument, so that every :class:`Quote` is whole."""

    def __init__(self) -> None:
        self._instruments: dict[int, _Instrument] = {}

    def read(self, batch: TickBatch) -> Iterator[Tick]:
        """Yield what a batch says, in order."""
        for definition in batch.definitions:
            self._instruments.setdefault(definition.instrument, _Instrument(definition.name))
        texts = batch.texts
        for index, row in enumerate(batch.records.tolist()):
            known = self._instruments.get(row[2])
            if known is not None:
                yield from self._row(known, row, texts[index] if texts else None)

    def _row(self, known: _Instrument, row: Row, text: str | None) -> Iterator[Tick]:
        kind, flags = row[7], row[11]
        if kind in BEST:
            best: Best = (None, None) if flags & Flag.NO_PRICE else (_price(row), _size(row))
            if kind == Kind.BID:
                known.bid = best
            else:
                known.ask = best
            known.quoted = True
        elif kind in LEVELS:
            _level(known, row)
        elif kind in TRADES:
            yield _trade(known.symbol, row, text)
        elif kind in MEASURES:
            yield Measure(**_said(known.symbol, row), name=MEASURES[kind], value=_price(row))
        elif kind == Kind.STATUS:
            state = State(row[12]).name.lower()
            yield Status(**_said(known.symbol, row), state=state, reason=text or "")
        elif kind == Kind.GAP:
            recovered = bool(flags & Flag.BACKFILLED)
            yield Gap(**_said(known.symbol, row), missing=row[4], recovered=recovered)
        if flags & Flag.LAST_OF_EVENT:
            yield from self._end(known, row)

    @staticmethod
    def _end(known: _Instrument, row: Row) -> Iterator[Tick]:
        """End an event: a quote and a book change are told once it is whole."""
        if known.quoted:
            known.quoted = False
            (bid, bid_size), (ask, ask_size) = known.bid, known.ask
            yield Quote(**_said(known.symbol, row), bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size)
        if known.bids or known.asks or known.begun:
            bids, asks = tuple(known.bids), tuple(known.asks)
            begins, known.begun = known.begun, False
            known.bids, known.asks = [], []
            yield BookChange(**_said(known.symbol, row), bids=bids, asks=asks, begins=begins)


def _level(known: _Instrument, row: Row) -> None:
    if row[11] & Flag.NO_PRICE:
        known.is_known = known.begun = not row[11] & Flag.INVALID_BOOK
    elif known.is_known:
        (known.bids if row[7] == Kind.BOOK_BID else known.asks).append((_price(row), _size(row)))


def _said(symbol: str, row: Row) -> dict[str, Any]:
    return {"symbol": symbol, "timestamp_ns": row[0], "received_ns": row[1], "seq": row[3]}


def _price(row: Row) -> Decimal:
    return Decimal(row[5]).scaleb(-row[9])


def _size(row: Row) -> Decimal:
    return Decimal(row[6]).scaleb(-row[10])


def _trade(symbol: str, row: Row, text: str | None) -> Trade:
    return Trade(
        **_said(symbol, row),
        price=_price(row),
        size=_size(row),
        side=SIDES.get(row[8]),
        id=text or (str(row[4]) if row[4] else ""),
        history=bool(row[11] & Flag.HISTORY),
        liquidation=row[7] == Kind.LIQUIDATION,
    )
