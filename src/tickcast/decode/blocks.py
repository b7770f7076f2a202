"""What the decoders of order-by-order feeds have in common: their counts, and where their dead letters lie."""

from collections.abc import Callable
from datetime import date
from typing import Final

from tickcast import _native
from tickcast.decode.report import Report

Place = Callable[[int, bytes], tuple[str, int]]
"""Finds file and offset of a message of a block, by its offset in the block and its bytes."""
EPOCH_DAY: Final = date(1970, 1, 1)
RECENT_NS: Final = 631_152_000_000_000_000
"""1990: a capture time before it is none."""
NO_DATE: Final = "times need a date and none is known: 1970-01-01 stands in (--date says another)"
UNKNOWN: Final = "unknown type"
"""The decoders' reason for a message of a type that they do not know."""


def count(decoded: "_native.Decoded", report: Report, place: Place) -> None:
    """Enter what a call decoded besides records."""
    report.frames += decoded.messages + decoded.dead_count
    report.unpriced += decoded.unpriced_trades
    report.unknown += decoded.unknown
    report.dead_letters += decoded.dead_count - decoded.unknown
    if decoded.dead and report.first is None:
        offset, reason, raw = decoded.dead[0]
        file, where = place(offset, raw)
        report.remember(file, where, f"{reason}: {raw[:32].hex(' ')}")
