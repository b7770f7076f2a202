"""Deribit's names of instruments in the house symbology.

``BTC-PERPETUAL``, ``BTC-27MAR26`` and ``BTC-27MAR26-50000-C`` are quoted in USD and settled in the coin;
``BTC_USDC-…`` name their quote currency. A day of one digit has no zero (``BTC-3JAN26``), a ``d`` in a strike is its
point (``0d625``). Combos (``BTC-FS-…``, ``BTC-CS-…``) are pairs of instruments, and are none of their own here.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from tickcast.model.instrument import AssetClass

MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
NAME: Final = re.compile(
    r"(?P<base>[A-Z0-9]+)(?:_(?P<quote>[A-Z0-9]+))?"
    r"(?:-(?:(?P<perpetual>PERPETUAL)|(?P<day>\d{1,2})(?P<month>[A-Z]{3})(?P<year>\d\d)"
    r"(?:-(?P<strike>\d+(?:d\d+)?)-(?P<right>[CP]))?))?"
)
INDEX_NAME: Final = re.compile(r"([a-z0-9]+)_([a-z]+)")
EXPIRES_AT: Final = "T08:00:00Z"


@dataclass(frozen=True, slots=True)
class Named:
    """What a name says."""

    symbol: str
    asset_class: AssetClass
    base: str
    quote: str
    """USD of inverse instruments."""
    expiry: str | None = None
    strike: str | None = None
    option_type: Literal["call", "put"] | None = None

    @property
    def linear(self) -> bool:
        """Whether it is priced and settled in the quote currency."""
        return self.quote != "USD"

    @property
    def index(self) -> str:
        """The venue's name of the index that it derives from."""
        return f"{self.base}_{self.quote}".lower()


def named(name: str) -> Named | None:
    """Read a name; None if it is a combo's, or nothing of this venue."""
    found = NAME.fullmatch(name)
    if found is None:
        return None
    base, quote = found["base"], found["quote"] or "USD"
    pair = f"{base}-{quote}"
    if found["perpetual"]:
        return Named(f"{pair}-PERP", "perpetual", base, quote)
    if found["day"] is None:
        return Named(pair, "crypto", base, quote) if found["quote"] else None
    if found["month"] not in MONTHS:
        return None
    month, day = MONTHS.index(found["month"]) + 1, int(found["day"])
    date = f"20{found['year']}{month:02}{day:02}"
    expiry = f"20{found['year']}-{month:02}-{day:02}{EXPIRES_AT}"
    if found["right"] is None:
        return Named(f"{pair}-{date}", "future", base, quote, expiry)
    strike = found["strike"].replace("d", ".")
    right: Literal["call", "put"] = "call" if found["right"] == "C" else "put"
    return Named(f"{pair}-{date}-{strike}-{found['right']}", "option", base, quote, expiry, strike, right)


def index_symbol(name: str) -> str | None:
    """``btc_usd`` to ``BTC-USD-INDEX``; None if it is no index's name."""
    found = INDEX_NAME.fullmatch(name)
    return f"{found[1]}-{found[2]}-INDEX".upper() if found else None
