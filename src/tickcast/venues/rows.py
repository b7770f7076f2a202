"""Rows that no wire format brings ready-made: one function for each kind, packed as the record lies in memory."""

import struct
from typing import Final

from tickcast import _native
from tickcast.model.record import RECORD, Flag, Kind, State

ROW: Final = struct.Struct("<qqQQQqqBBBBHH")
"""The fields of :data:`tickcast.model.record.RECORD`, in order."""

if ROW.size != RECORD.itemsize:
    raise ImportError(f"expected rows of {RECORD.itemsize} bytes, found {ROW.size}: the record's layout has changed")

LAST: Final = int(Flag.LAST_OF_EVENT)
NO_PRICE: Final = int(Flag.NO_PRICE | Flag.NO_SIZE)
NUMBER_MAX: Final = (1 << 64) - 1


def trade(
    instrument: int,
    price: tuple[int, int],
    size: tuple[int, int],
    *,
    ident: int,
    side: int,
    seq: int,
    ts_event: int,
    ts_recv: int,
) -> bytes:
    """Return a trade as an event of its own; price and size are (mantissa, scale)."""
    return ROW.pack(
        ts_event, ts_recv, instrument, seq, ident, price[0], size[0], Kind.TRADE, side, price[1], size[1], LAST, 0
    )


def quote(
    instrument: int,
    kind: Kind,
    level: tuple[tuple[int, int], tuple[int, int]] | None,
    *,
    seq: int,
    ts_event: int,
    ts_recv: int,
    last: bool,
) -> bytes:
    """Return one side of the best bid and offer; ``level`` is (price, size), None for an empty side."""
    flags = LAST if last else 0
    if level is None:
        return ROW.pack(ts_event, ts_recv, instrument, seq, 0, 0, 0, kind, 0, 0, 0, flags | NO_PRICE, 0)
    price, size = level
    return ROW.pack(ts_event, ts_recv, instrument, seq, 0, price[0], size[0], kind, 0, price[1], size[1], flags, 0)


def unknown_book(instrument: int, *, ts_event: int, ts_recv: int) -> bytes:
    """Return that the levels told of a book are not the book's any more, an event of its own."""
    flags = NO_PRICE | Flag.SNAPSHOT | Flag.INVALID_BOOK
    return b"".join(
        ROW.pack(ts_event, ts_recv, instrument, 0, 0, 0, 0, kind, 0, 0, 0, flags | last, 0)
        for kind, last in ((Kind.BOOK_BID, 0), (Kind.BOOK_ASK, LAST))
    )


def status(instrument: int, state: State, *, ts_event: int, ts_recv: int, seq: int = 0) -> bytes:
    """Return the validity of an instrument, an event of its own."""
    return ROW.pack(ts_event, ts_recv, instrument, seq, 0, 0, 0, Kind.STATUS, 0, 0, 0, LAST, state)


MARKET: Final = 0
"""The instrument of what concerns a whole scope."""


def gap(instrument: int, missing: int, *, next_seq: int, ts_recv: int, repaired: bool = False) -> bytes:
    """Return the ledger entry of a loss: ``missing`` records before ``next_seq`` (0 = unknown number).

    ``repaired``: they came after all; the entry says so (BACKFILLED).
    """
    missing = min(max(missing, 0), NUMBER_MAX)
    flags = LAST | (Flag.BACKFILLED if repaired else 0)
    return ROW.pack(ts_recv, ts_recv, instrument, next_seq, missing, 0, 0, Kind.GAP, 0, 0, 0, flags, 0)


def previous_close(instrument: int, price: str, *, ts_event: int, ts_recv: int) -> bytes:
    """Return the previous session's close from reference data; ``ts_event`` lies in the session that it precedes.

    Raises:
        ValueError: the price is no decimal number.
    """
    mantissa, scale = _native.parse_decimal(price)
    return ROW.pack(ts_event, ts_recv, instrument, 0, 0, mantissa, 0, Kind.PREV_CLOSE, 0, scale, 0, LAST, 0)


def volume(instrument: int, size: int, *, ts_event: int, ts_recv: int) -> bytes:
    """Return the session's volume so far: it replaces what was counted."""
    return ROW.pack(ts_event, ts_recv, instrument, 0, 0, 0, size, Kind.VOLUME, 0, 0, 0, LAST, 0)


def volume_unknown(instrument: int, *, ts_event: int, ts_recv: int) -> bytes:
    """Say that what was traded before in this session is not known."""
    flags = LAST | Flag.NO_SIZE
    return ROW.pack(ts_event, ts_recv, instrument, 0, 0, 0, 0, Kind.VOLUME, 0, 0, 0, flags, 0)
