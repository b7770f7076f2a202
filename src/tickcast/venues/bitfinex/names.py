"""Bitfinex's names of pairs: ``BTCUSD``, ``DUSK:USD``, ``BTCF0:USTF0``; the WebSocket writes a ``t`` before them."""

import re
from typing import Final

from tickcast.model.symbols import SYMBOL
from tickcast.venues.declared.venue import Listed

PREFIX: Final = "t"
"""Of trading pairs; ``f`` is that of currencies which are lent."""
STATUS: Final = "deriv:t"
"""Of the keys of derivatives in the channel ``status``."""
SHORT: Final = 3
"""Letters of both names where nothing divides them."""
DERIVED: Final = re.compile(r"(.+)F\d")
"""The legs of a perpetual end so."""
ALIASES: Final = {
    "ALG": "ALGO",
    "AMP": "AMPL",
    "ATO": "ATOM",
    "BCHN": "BCH",
    "DAT": "DATA",
    "DSH": "DASH",
    "ETH2X": "ETH2",
    "EUS": "EURS",
    "EUT": "EURT",
    "GNT": "GLM",
    "IOT": "IOTA",
    "LBT": "LBTC",
    "MNA": "MANA",
    "OMN": "OMNI",
    "PAS": "PASS",
    "QTM": "QTUM",
    "RBT": "RBTC",
    "SNG": "SNGLS",
    "STJ": "STORJ",
    "TSD": "TUSD",
    "UDC": "USDC",
    "UST": "USDT",
    "VSY": "VSYS",
    "WBT": "WBTC",
}
"""The venue's letters for currencies that everybody else names otherwise (its list ``pub:map:currency:sym``)."""


def listed_from(native: str) -> Listed | None:
    """Say what an instrument's name says; None for what is no pair."""
    base, colon, quote = native.partition(":")
    if not colon:
        base, quote = native[:SHORT], native[SHORT:]
    legs = [DERIVED.fullmatch(leg) for leg in (base, quote)]
    is_derived = all(legs)
    if is_derived:
        base, quote = (leg[1] for leg in legs if leg is not None)
    base, quote = ALIASES.get(base, base), ALIASES.get(quote, quote)
    symbol = f"{base}-{quote}-PERP" if is_derived else f"{base}-{quote}"
    if len(quote) < SHORT or not SYMBOL.fullmatch(symbol):
        return None
    return Listed(
        native=native,
        symbol=symbol,
        asset_class="perpetual" if is_derived else "crypto",
        currency=quote,
        lot_size="0.00000001",
        contract_size="1" if is_derived else None,
        settle_currency=quote if is_derived else None,
        underlying=f"{base}-{quote}-INDEX" if is_derived else None,
    )


def named(symbol: str) -> Listed | None:
    """Say what a house symbol says: the venue's name of it is put together again."""
    base, _, rest = symbol.partition("-")
    quote, _, kind = rest.partition("-")
    letters = {theirs: ours for ours, theirs in ALIASES.items() if ours != "BCHN"}
    base, quote = letters.get(base, base), letters.get(quote, quote)
    if kind == "PERP":
        return listed_from(f"{base}F0:{quote}F0")
    joint = "" if len(base) == len(quote) == SHORT else ":"
    return listed_from(f"{base}{joint}{quote}") if base and not kind else None


def native_from(symbol: str) -> str:
    """Return the pair that a subscription is for: ``tBTCUSD``, ``deriv:tBTCF0:USTF0``, or the pair itself."""
    return symbol.removeprefix("deriv:").removeprefix(PREFIX)


def is_pair(symbol: str) -> bool:
    """Say whether it is a trading pair, and no currency that is lent (``fUSD``)."""
    return symbol.startswith((PREFIX, STATUS)) or symbol[:1].isupper() or symbol[:1].isdigit()
