"""What is asked of the venue: the list of securities, subscriptions, full refreshes. No numbers, no time.

Source: FIX 4.4 volume 3, SecurityListRequest (35=x) and MarketDataRequest (35=V).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tickcast.venues.fix.messages import Fields

LIST: Final = "x"
MARKET_DATA: Final = "V"
TYPES: Final = ("0", "1", "2", "B")
"""Bid, offer, trade, and the volume of the day, which is told in full refreshes by venues that know it."""

Purpose = Literal["list", "subscribe", "refresh"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request under way."""

    purpose: Purpose
    ident: str
    """SecurityReqID (320) or MDReqID (262)."""
    symbols: tuple[str, ...] = ()


def security_list(ident: str) -> Fields:
    """Ask for all securities."""
    return [(320, ident), (559, "4")]


def market_data(ident: str, symbols: Sequence[str], *, kind: str, depth: int, types: Sequence[str]) -> Fields:
    """Ask for full refreshes, alone (263=0) or with what changes from then on (263=1), or no longer (263=2)."""
    fields = [(262, ident), (263, kind), (264, str(depth))]
    if kind == "1":
        fields.append((265, "1"))
    fields += [(266, "Y"), (267, str(len(types))), *((269, one) for one in types)]
    return [*fields, (146, str(len(symbols))), *((55, symbol) for symbol in symbols)]
