"""One instrument at Binance: what is known of it, and how its messages become records."""

from typing import Final

import numpy as np

from tickcast import _native
from tickcast.model.instrument import Definition
from tickcast.model.record import Flag, Kind, Side, State, record_bytes, records_from
from tickcast.venues import rows
from tickcast.venues.binance import wire
from tickcast.venues.continuity import DepthSync, Diff

MILLISECOND_NS: Final = 1_000_000
BEST: Final = (int(Kind.BID), int(Kind.ASK))

DOUBTED_MAX: Final = 2
"""Snapshots in a row that are asked for once more because they are older than what was seen."""

Pair = tuple[str, str]


class Market:
    """The state of one instrument."""

    __slots__ = (
        "_ask",
        "_best_id",
        "_bid",
        "_doubted",
        "_levels",
        "_publish_best",
        "asked",
        "book",
        "definition",
        "instrument",
        "last_trade",
        "link",
        "native",
        "open_state",
        "sync",
    )

    def __init__(self, definition: Definition, *, link: str, state: State, best_from_book: bool, levels: bool) -> None:
        """``best_from_book``: no bookTicker, so the book gives the best bid and offer; ``levels``: publish them."""
        self.definition = definition
        self.native = definition.native_symbol or definition.symbol
        self.instrument = definition.instrument
        self.link = link
        self.open_state = state
        """State by the venue's list: ``live`` while it trades."""
        self.sync = DepthSync()
        self.book = _native.LevelBook(self.instrument)
        self.asked = False
        """A depth snapshot is on its way."""
        self.last_trade = 0
        self._publish_best = best_from_book
        self._levels = levels
        self._bid: Pair | None = None
        self._ask: Pair | None = None
        self._best_id = 0
        """Update id of the newest bookTicker."""
        self._doubted = 0

    @property
    def state(self) -> State:
        """What the book's phase makes of the venue's state."""
        if self.open_state != State.LIVE or self.sync.phase == "live":
            return self.open_state
        return State.SYNCING if self.sync.phase == "syncing" else State.REPAIRING

    def status(self, state: State, ts_recv: int) -> bytes:
        """Return a status record."""
        return rows.status(self.instrument, state, ts_event=ts_recv, ts_recv=ts_recv)

    def resumed(self) -> None:
        """The link broke and is back: the venue may have begun its numbers anew."""
        self.sync.resumed()
        self._best_id = 0

    def doubts(self, last: int) -> bool:
        """Whether a snapshot is older than what was seen, with no difference at hand that would prove that it joins.

        A cache on the way may give old answers. What stays older is taken in the end: the venue began its numbers anew.
        """
        old = not self.sync.buffered and last < max(self.sync.last, self._best_id)
        if old and self._doubted < DOUBTED_MAX:
            self._doubted += 1
            return True
        self._doubted = 0
        return False

    # ------------------------------------------------------------------ stream messages

    def book_ticker(self, message: wire.BookTicker, out: list[bytes], ts_recv: int) -> None:
        """Append the sides that changed, as one event.

        Raises:
            ValueError: a price or size is no decimal number.
        """
        if message.u < self.sync.last and self.sync.phase == "live" and message.u >= self._best_id:
            return  # the book is newer, and gave the best already
        self._quote((message.b, message.B), (message.a, message.A), message.u, out, ts_recv)
        self._best_id = message.u

    def _quote(self, bid: Pair | None, ask: Pair | None, seq: int, out: list[bytes], ts_recv: int) -> None:
        new_bid, new_ask = bid != self._bid, ask != self._ask
        if not (new_bid or new_ask):
            return
        # both are parsed before anything is kept or appended: half an event is never published
        bid_level = _level(bid) if new_bid else None
        ask_level = _level(ask) if new_ask else None
        self._bid, self._ask = bid, ask
        instrument = self.instrument
        if new_bid:
            out.append(
                rows.quote(
                    instrument, Kind.BID, bid_level, seq=seq, ts_event=ts_recv, ts_recv=ts_recv, last=not new_ask
                )
            )
        if new_ask:
            out.append(
                rows.quote(instrument, Kind.ASK, ask_level, seq=seq, ts_event=ts_recv, ts_recv=ts_recv, last=True)
            )

    def trade(self, ident: int, message: wire.Trade | wire.AggTrade, out: list[bytes], ts_recv: int) -> None:
        """Append a trade; before it a gap if ids are missing.

        Raises:
            ValueError: price or size is no decimal number.
        """
        row = rows.trade(
            self.instrument,
            _native.parse_decimal(message.p),
            _native.parse_decimal(message.q),
            ident=ident,
            side=Side.SELLER if message.m else Side.BUYER,
            seq=0,
            ts_event=message.T * MILLISECOND_NS,
            ts_recv=ts_recv,
        )
        missing = ident - self.last_trade - 1
        if self.last_trade and missing > 0:
            out.append(rows.gap(self.instrument, missing, next_seq=ident, ts_recv=ts_recv))
            out.append(self.status(self.state, ts_recv))
        self.last_trade = ident
        out.append(row)

    def apply(self, diff: Diff, out: list[bytes]) -> None:
        """Apply a difference to the book; append what is to be published.

        Raises:
            ValueError: a price or size is no decimal number.
        """
        event = self.book.apply(
            diff.bids, diff.asks, seq=diff.last, ts_event=diff.ts_event, ts_recv=diff.ts_recv, levels=self._levels
        )
        if event and self._publish_best:
            out.append(event)
        elif event and self._levels:
            out.append(_without_best(event))

    def replace(self, snapshot: wire.DepthSnapshot, ready: list[Diff], out: list[bytes], ts_recv: int) -> None:
        """Begin the book anew with a snapshot and what was buffered.

        Raises:
            ValueError: a price or size is no decimal number.
        """
        self.book.clear()
        last = snapshot.lastUpdateId
        for diff in (Diff(last, last, snapshot.bids, snapshot.asks, ts_recv, ts_recv), *ready):
            self.apply(diff, out)
        self.follow_book(out, ts_recv)

    def follow_book(self, out: list[bytes], ts_recv: int) -> None:
        """Append the book's best bid and offer where the book is newer than bookTicker.

        bookTicker speaks only when the best changes: what it said before may be old, lost, or nothing at all.
        """
        if not self._publish_best and self.sync.last > self._best_id:
            self._quote(*self.book.best(), self.sync.last, out, ts_recv)


def _level(pair: Pair | None) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Price and size; None for an empty side, which the venue may also say by a zero."""
    if pair is None:
        return None
    price, size = _native.parse_decimal(pair[0]), _native.parse_decimal(pair[1])
    return (price, size) if price[0] else None


def _without_best(event: bytes) -> bytes:
    """Leave the book's best bid and offer out: bookTicker's is newer."""
    records = records_from(event)
    kept = records[~np.isin(records["kind"], BEST)].copy()
    if not len(kept):
        return b""
    kept["flags"][-1] |= np.uint16(Flag.LAST_OF_EVENT)
    return bytes(record_bytes(kept))
