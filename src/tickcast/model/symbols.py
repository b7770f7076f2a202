"""Symbology: one spelling for each instrument.

``VENUE:SYMBOL`` names an instrument at a venue; a bare ``SYMBOL`` names the security, consolidated over venues.
"""

import re
from typing import Final

VENUE: Final = re.compile(r"[A-Z][A-Z0-9_]{1,19}")
SYMBOL: Final = re.compile(r"[A-Z0-9][A-Z0-9._+=*#^$-]{0,63}")
NAME_MAX: Final = 96


class SymbolError(ValueError):
    """A name that does not follow the symbology."""


def split_name(name: str) -> tuple[str | None, str]:
    """``XNAS:AAPL`` to ``("XNAS", "AAPL")``, ``AAPL`` to ``(None, "AAPL")``.

    Raises:
        SymbolError: says what was expected and found.
    """
    venue, colon, symbol = name.rpartition(":")
    if len(name) > NAME_MAX or not SYMBOL.fullmatch(symbol) or (colon and not VENUE.fullmatch(venue)):
        raise SymbolError(f"expected a symbol such as AAPL, XNAS:AAPL or BINANCE:BTC-USDT, found {name[:NAME_MAX]!r}")
    return (venue if colon else None), symbol
