"""Bitget's names of instruments, and its lists of them."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from tickcast.model.record import State
from tickcast.model.symbols import SYMBOL
from tickcast.venues.bitget import wire
from tickcast.venues.bitget.dialect import SPOT
from tickcast.venues.declared.venue import Listed

PAIR_STATES: Final = {"online": State.LIVE, "gray": State.LIVE, "halt": State.HALTED}
CONTRACT_STATES: Final = {
    "normal": State.LIVE,
    "restrictedAPI": State.LIVE,
    "limit_open": State.LIVE,
    "limit_close": State.LIVE,
    "maintain": State.HALTED,
}
QUOTES: Final = ("USDT", "USDC", "USD1", "BTC", "ETH", "BGB", "EUR", "BRL", "TRY", "USD")
"""With which names of pairs end."""


def named(native: str, market: str) -> Listed | None:
    """Make an instrument of its name alone: without tick and lot; None where the name is not made as its market's."""
    if market == "usdc":
        base = native.removesuffix("PERP")
        return _listed(native, market, base, "USDC") if base and base != native else None
    quotes = {"usdt": ("USDT",), "coin": ("USD",)}.get(market, QUOTES)
    quote = next((quote for quote in quotes if native.endswith(quote) and native != quote), None)
    return None if quote is None else _listed(native, market, native.removesuffix(quote), quote)


def from_symbol(symbol: str) -> Listed | None:
    """Make an instrument of its house symbol alone."""
    base, _, rest = symbol.partition("-")
    quote, _, kind = rest.partition("-")
    if not quote or kind not in {"", "PERP"}:
        return None
    if not kind:
        return named(base + quote, SPOT)
    return named(f"{base}PERP" if quote == "USDC" else base + quote, {"USD": "coin"}.get(quote, quote.lower()))


def pair_from(entry: wire.Pair) -> Listed | None:
    """Read an entry of the list of pairs; None where it cannot be named."""
    symbol = f"{entry.base_coin}-{entry.quote_coin}".upper()
    if not SYMBOL.fullmatch(symbol):
        return None
    return Listed(
        native=entry.symbol,
        symbol=symbol,
        asset_class="crypto",
        currency=entry.quote_coin.upper(),
        market=SPOT,
        state=PAIR_STATES.get(entry.status, State.CLOSED),
        tick_size=_step("1", entry.price_precision),
        lot_size=_step("1", entry.quantity_precision),
    )


def contract_from(entry: wire.Contract, market: str) -> Listed | None:
    """Read an entry of a list of contracts; None where it cannot be named."""
    expiry = entry.delivery_time if entry.symbol_type == "delivery" and entry.delivery_time else ""
    quote = "USDC" if market == "usdc" else entry.quote_coin
    day = f"{_time(expiry):%Y%m%d}" if expiry.isdigit() else "PERP"
    symbol = f"{entry.base_coin}-{quote}-{day}".upper()
    if not SYMBOL.fullmatch(symbol):
        return None
    return Listed(
        native=entry.symbol,
        symbol=symbol,
        asset_class="future" if expiry else "perpetual",
        currency=quote.upper(),
        market=market,
        state=CONTRACT_STATES.get(entry.symbol_status, State.CLOSED),
        tick_size=_step(entry.price_end_step or "1", entry.price_place),
        lot_size=_number(entry.size_multiplier),
        contract_size="1",
        settle_currency=entry.base_coin if market == "coin" else quote,
        expiry=f"{_time(expiry):%Y-%m-%dT%H:%M:%SZ}" if expiry.isdigit() else None,
    )


def _listed(native: str, market: str, base: str, quote: str) -> Listed | None:
    symbol = f"{base}-{quote}" + ("" if market == SPOT else "-PERP")
    if not SYMBOL.fullmatch(symbol):
        return None
    return Listed(
        native=native,
        symbol=symbol,
        asset_class="crypto" if market == SPOT else "perpetual",
        currency=quote,
        market=market,
        contract_size=None if market == SPOT else "1",
        settle_currency=None if market == SPOT else base if market == "coin" else quote,
    )


def _time(milliseconds: str) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)


def _step(steps: str, digits: str) -> str | None:
    """``5`` at 1 digit behind the point is ``0.5``."""
    return _number(f"{steps}e-{digits}") if digits else None


def _number(text: str) -> str | None:
    try:
        return format(Decimal(text).normalize(), "f")
    except InvalidOperation:
        return None
