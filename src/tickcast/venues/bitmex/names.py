"""BitMEX's names of instruments, and its list of them."""

import re
from calendar import FRIDAY, monthcalendar
from decimal import Decimal
from typing import Final

from tickcast.model.instrument import AssetClass
from tickcast.model.record import State
from tickcast.model.symbols import SYMBOL
from tickcast.venues.bitmex import wire
from tickcast.venues.bitmex.dialect import INDEX
from tickcast.venues.declared.venue import Listed

STATES: Final = {"Open": State.LIVE, "Closed": State.HALTED}
"""Others (``Unlisted``, ``Settled``, ``Expired``, ``Cleared``) are before and after an instrument's life."""
ALIASES: Final = {"XBT": "BTC"}
SETTLED: Final = {"XBt": "BTC", "USDt": "USDT", "Gwei": "ETH", "LAMp": "SOL"}
"""Smallest units in which contracts settle."""
UNITS: Final = {"XBt": 8, "USDt": 6, "Gwei": 9, "LAMp": 9}
"""Decimals of a coin that they are."""
MONTHS: Final = "FGHJKMNQUVXZ"
DATED: Final = re.compile(rf"(.+?)([{MONTHS}])(\d\d)")
QUOTES: Final = ("USDT", "USDC", "USD", "EUR", "XBT", "ETH")


def listed_from(entry: wire.Instrument) -> Listed | None:
    """Read an entry of the list; None for what is no instrument of ours (options that were, indices)."""
    kind = kind_of(entry)
    if kind is None:
        return None
    base, quote = coin(entry.underlying), coin(entry.quote_currency)
    tail = {"perpetual": "-PERP", "future": f"-{(entry.expiry or '')[:10].replace('-', '')}"}.get(kind, "")
    symbol = f"{base}-{quote}{tail}"
    if not SYMBOL.fullmatch(symbol):
        return None
    settled = entry.settl_currency or ""
    return Listed(
        native=entry.symbol,
        symbol=symbol,
        asset_class=kind,
        currency=quote,
        state=STATES.get(entry.state, State.CLOSED),
        tick_size=text(entry.tick_size),
        lot_size=text(entry.lot_size),
        contract_size=contract_size(entry),
        settle_currency=None if kind == "crypto" else SETTLED.get(settled, coin(settled)) or None,
        expiry=f"{entry.expiry[:19]}Z" if kind == "future" and entry.expiry else None,
    )


def kind_of(entry: wire.Instrument) -> AssetClass | None:
    """Return what an entry is, by the first letters of its type (CFI codes)."""
    if entry.typ.startswith("IF"):
        return "crypto"
    if not entry.typ.startswith("FF"):
        return None
    return "future" if entry.expiry else "perpetual"


def contract_size(entry: wire.Instrument) -> str | None:
    """Return what one contract is: so much of the quote currency (inverse) or of what is traded (linear, spot).

    Of a quanto contract it is what a point of the price is worth in the coin that it settles in.
    """
    if entry.is_inverse:
        made, of = entry.multiplier, entry.underlying_to_settle_multiplier
        return text(made / of) if made and of else None
    if entry.is_quanto:
        unit = UNITS.get(entry.settl_currency or "")
        return None if unit is None or entry.multiplier is None else text(entry.multiplier.scaleb(-unit))
    if entry.underlying_to_position_multiplier:
        return text(1 / entry.underlying_to_position_multiplier)
    return "1" if entry.position_currency else None


def named(native: str) -> Listed | None:
    """Make an instrument of its name alone: without tick, lot and size."""
    if native.startswith("."):
        symbol = f"{native[1:]}-INDEX"
        fits = SYMBOL.fullmatch(symbol) is not None
        return Listed(native=native, symbol=symbol, asset_class="index", currency="USD", market=INDEX) if fits else None
    if "_" in native:
        base, _, quote = native.partition("_")
        return listed_from(_entry(native, base, quote, typ="IFXXXP"))
    dated = DATED.fullmatch(native)
    if dated is None:
        pair = _pair(native)
        return None if pair is None else listed_from(_entry(native, *pair, typ="FFWCSX"))
    name = dated[1]
    base, quote = _pair(name) or (name, "USD" if name == "XBT" else "XBT")
    expiry = last_friday(2000 + int(dated[3]), MONTHS.index(dated[2]) + 1)
    return listed_from(_entry(native, base, quote, typ="FFCCSX", expiry=expiry))


def coin(name: str) -> str:
    """Return the usual name of a coin: XBT is BTC."""
    return ALIASES.get(name, name.upper())


def text(number: Decimal | None) -> str | None:
    """Write a number without an exponent and without zeros behind it."""
    return None if number is None else format(number.normalize(), "f")


def last_friday(year: int, month: int) -> str:
    """Return when contracts of a month end: its last Friday, noon in UTC."""
    day = max(week[FRIDAY] for week in monthcalendar(year, month))
    return f"{year}-{month:02}-{day:02}T12:00:00.000Z"


def _pair(name: str) -> tuple[str, str] | None:
    quote = next((quote for quote in QUOTES if name.endswith(quote) and name != quote), None)
    return None if quote is None else (name.removesuffix(quote), quote)


def _entry(native: str, base: str, quote: str, *, typ: str, expiry: str | None = None) -> wire.Instrument:
    return wire.Instrument(symbol=native, typ=typ, state="Open", underlying=base, quote_currency=quote, expiry=expiry)
