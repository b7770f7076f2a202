"""The tick record: 64 bytes, one cache line, the unit that every stage passes on in batches.

Declared here for numpy and in ``native/crates/core/src/record.rs`` for the core; both are held against the golden
file ``tests/model/record_layout.json``. A value is exact: ``price / 10**price_scale`` as the venue wrote it.
"""

from enum import IntEnum, IntFlag
from typing import Final

import numpy as np
import numpy.typing as npt

RECORD: Final = np.dtype(
    [
        ("ts_event", "<i8"),
        ("ts_recv", "<i8"),
        ("instrument", "<u8"),
        ("seq", "<u8"),
        ("id", "<u8"),
        ("price", "<i8"),
        ("size", "<i8"),
        ("kind", "u1"),
        ("side", "u1"),
        ("price_scale", "u1"),
        ("size_scale", "u1"),
        ("flags", "<u2"),
        ("detail", "<u2"),
    ]
)
"""The record's dtype; its fields are described in ``docs/reference/record.md``."""

Records = npt.NDArray[np.void]
"""A one-dimensional array of dtype :data:`RECORD`."""


class Kind(IntEnum):
    """What a record says."""

    TRADE = 1
    BID = 2
    ASK = 3
    BOOK_BID = 4
    BOOK_ASK = 5
    STATUS = 6
    GAP = 7
    READING = 8
    BUST = 9
    CORRECTION = 10
    IMBALANCE = 11
    PREV_CLOSE = 12
    VOLUME = 13
    NOTICE = 14
    MARK = 32
    INDEX = 33
    FUNDING = 34
    OPEN_INTEREST = 35
    IV = 36
    DELTA = 37
    GAMMA = 38
    THETA = 39
    VEGA = 40
    RHO = 41
    BID_IV = 42
    ASK_IV = 43
    UNDERLYING = 44
    FUNDING_NEXT = 45
    FUNDING_TIME = 46
    SETTLEMENT = 47
    OPEN_24H = 48
    HIGH_24H = 49
    LOW_24H = 50
    VOLUME_24H = 51
    TURNOVER_24H = 52
    LIQUIDATION = 53


class Side(IntEnum):
    """The aggressor of a trade."""

    UNKNOWN = 0
    BUYER = 1
    SELLER = 2


class Flag(IntFlag):
    """Bits of ``flags``; meanings beside the same names in ``record.rs``."""

    LAST_OF_EVENT = 1 << 0
    SNAPSHOT = 1 << 1
    HISTORY = 1 << 2
    BACKFILLED = 1 << 3
    INVALID_BOOK = 1 << 4
    NO_PRICE = 1 << 5
    NO_SIZE = 1 << 6
    INEXACT_SIZE = 1 << 7
    CLOCK_SKEW = 1 << 8
    REPLAYED = 1 << 9


class Condition(IntFlag):
    """Bits of a trade's ``detail``."""

    ODD_LOT = 1 << 0
    OUT_OF_SEQUENCE = 1 << 1
    AUCTION = 1 << 2
    OPENING = 1 << 3
    CLOSING = 1 << 4
    HIDDEN = 1 << 5
    BACKFILLED = 1 << 6


class State(IntEnum):
    """Validity of an instrument, ``detail`` of a status record; clients see the name in lower case."""

    EMPTY = 0
    SYNCING = 1
    LIVE = 2
    GAP = 3
    REPAIRING = 4
    STALE = 5
    HALTED = 6
    AUCTION = 7
    CLOSED = 8
    UNVERIFIED = 9
    DELAYED = 10


def empty_records(count: int = 0) -> Records:
    """An array of ``count`` zeroed records."""
    return np.zeros(count, RECORD)


def records_from(data: bytes | bytearray | memoryview) -> Records:
    """View bytes in the record's layout as records, without a copy.

    Raises:
        ValueError: the length is no multiple of 64.
    """
    if len(data) % RECORD.itemsize:
        raise ValueError(f"expected a multiple of {RECORD.itemsize} bytes of records, found {len(data)}")
    return np.frombuffer(data, RECORD)


def record_bytes(records: Records) -> memoryview:
    """View records as plain bytes, as :mod:`tickcast._native` takes them; no copy when contiguous."""
    return np.ascontiguousarray(records).view(np.uint8).data
