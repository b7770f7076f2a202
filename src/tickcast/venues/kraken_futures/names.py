"""Kraken Futures' names of products in the house symbology.

``PI_XBTUSD`` and ``FI_XBTUSD_210924`` are inverse: counted in dollars, settled in the coin, as ``BTC-USD-PERP`` is at
every venue that lists one. ``PF_XBTUSD`` and ``FF_XBTUSD_251128`` are linear (multi-collateral): of the same pair, but
counted in the coin and settled in dollars; ``-LINEAR`` tells them apart. ``PV_`` and ``FV_`` (vanilla, in former years)
are linear too and were quoted in XBT. ``IN_`` and ``RR_`` are indices, which no feed tells.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from tickcast.model.record import State
from tickcast.model.symbols import SYMBOL
from tickcast.venues.declared.venue import Listed
from tickcast.venues.kraken_futures import wire

NAME: Final = re.compile(r"(?P<kind>[PF])(?P<style>[IFV])_(?P<pair>[A-Z0-9]{4,})(?:_(?P<day>\d{6}))?", re.IGNORECASE)
QUOTES: Final = ("USDT", "USDC", "USD", "EUR", "GBP", "XBT", "BTC")
"""In which a pair without a divider may end, the longest first."""
ALIASES: Final = {"XBT": "BTC", "XDG": "DOGE"}
INVERSE: Final = "I"
FLEXIBLE: Final = "F"


def listed_from(entry: wire.Instrument) -> Listed | None:
    """Read an entry of the list; None for indices, and for names that are made in another way."""
    native = entry.symbol.upper() if entry.symbol.islower() else entry.symbol
    found = NAME.fullmatch(native)
    if found is None:
        return None
    kind, style = found["kind"].upper(), found["style"].upper()
    base, quote = _pair(entry, found["pair"].upper())
    if not base or (kind == "F") != (found["day"] is not None):
        return None
    pair = f"{base}-{quote}"
    end = f"20{found['day']}" if kind == "F" else "PERP"
    symbol = f"{pair}-{end}-LINEAR" if style == FLEXIBLE else f"{pair}-{end}"
    if not SYMBOL.fullmatch(symbol):
        return None
    inverse = style == INVERSE
    return Listed(
        native=native,
        symbol=symbol,
        asset_class="future" if kind == "F" else "perpetual",
        currency=quote,
        state=State.LIVE if entry.tradeable and not entry.post_only else State.HALTED,
        tick_size=_text(entry.tick_size),
        lot_size=_lot(entry.contract_value_trade_precision, inverse=inverse),
        contract_size=_text(entry.contract_size),
        settle_currency=base if inverse else quote,
        underlying=pair,
        expiry=_moment(entry.last_trading_time) if kind == "F" else None,
    )


def named(native: str) -> Listed | None:
    """Make an instrument of its name alone."""
    return listed_from(wire.Instrument(symbol=native, tradeable=True))


def _pair(entry: wire.Instrument, joined: str) -> tuple[str, str]:
    """Return base and quote in the house's names; the base is empty where nobody knows them."""
    base, quote = entry.base.upper(), entry.quote.upper()
    if not base or not quote:
        quote = next((one for one in QUOTES if joined.endswith(one) and len(joined) > len(one)), "")
        base = joined.removesuffix(quote) if quote else ""
    return ALIASES.get(base, base), ALIASES.get(quote, quote)


def _lot(precision: int | None, *, inverse: bool) -> str | None:
    """Return the step of quantities; inverse contracts are of a dollar each, whatever a list leaves out."""
    if precision is None:
        return "1" if inverse else None
    return format(Decimal(1).scaleb(-precision), "f")


def _text(number: Decimal | None) -> str | None:
    return None if number is None else format(number.normalize(), "f")


def _moment(text: str | None) -> str | None:
    """Return a time in the house's form: to the second, in UTC."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
