"""Gate.io's names of instruments, and its lists of them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from tickcast.model.record import State
from tickcast.model.symbols import SYMBOL
from tickcast.venues.declared.venue import Listed
from tickcast.venues.gateio import wire

SPOT: Final = "spot"
PERPETUALS: Final = ("usdt", "btc", "usd1")
"""What perpetuals settle in: each has an address and a list of its own."""
DELIVERY: Final = "delivery"
PAIR_STATES: Final[Mapping[str, State]] = {
    "tradable": State.LIVE,
    "buyable": State.HALTED,
    "sellable": State.HALTED,
    "untradable": State.CLOSED,
}
CONTRACT_STATES: Final[Mapping[str, State]] = {
    "": State.LIVE,
    "trading": State.LIVE,
    "delisting": State.LIVE,
    "circuit_breaker": State.HALTED,
    "prelaunch": State.CLOSED,
    "delisted": State.CLOSED,
}
DATED: Final = re.compile(r"(.+)_(\d{8})")
EXPIRY_HOUR: Final = 8


def pair_from(entry: wire.Pair) -> Listed | None:
    """Read an entry of the list of pairs; None for what the symbology cannot name."""
    symbol = f"{entry.base}-{entry.quote}"
    if not SYMBOL.fullmatch(symbol):
        return None
    return Listed(
        native=entry.id,
        symbol=symbol,
        asset_class="crypto",
        currency=entry.quote,
        market=SPOT,
        state=PAIR_STATES.get(entry.trade_status, State.CLOSED),
        tick_size=step_of(entry.precision),
        lot_size=step_of(entry.amount_precision),
    )


def contract_from(entry: wire.Contract, market: str) -> Listed | None:
    """Read an entry of a list of contracts; None for what the symbology cannot name."""
    dated = DATED.fullmatch(entry.name)
    base, _, quote = (dated[1] if dated else entry.name).partition("_")
    pair = f"{base}-{quote}"
    day = day_of(entry, dated)
    symbol = f"{pair}-PERP" if dated is None else f"{pair}-{dated[2]}"
    if not SYMBOL.fullmatch(symbol):
        return None
    inverse = entry.type == "inverse"
    return Listed(
        native=entry.name,
        symbol=symbol,
        asset_class="perpetual" if dated is None else "future",
        currency=quote,
        market=market,
        state=CONTRACT_STATES.get(entry.status, State.CLOSED),
        tick_size=entry.order_price_round or None,
        lot_size=None if entry.enable_decimal else "1",
        contract_size="1" if inverse else (entry.quanto_multiplier or None),
        settle_currency=quote if market == DELIVERY else market.upper(),
        underlying=f"{pair}-INDEX",
        expiry=None if day is None else day.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def named(native: str, market: str) -> Listed | None:
    """Make an instrument of its name alone: without tick, lot and contract size."""
    base, _, quote = native.partition("_")
    if not base or not quote:
        return None
    if market == SPOT:
        return pair_from(wire.Pair(id=native, base=base, quote=quote))
    return contract_from(wire.Contract(name=native, enable_decimal=True), market)


def day_of(entry: wire.Contract, dated: re.Match[str] | None) -> datetime | None:
    """Return when a contract ends; None: it does not."""
    if dated is None:
        return None
    if entry.expire_time:
        return datetime.fromtimestamp(entry.expire_time, UTC)
    try:
        return datetime.strptime(dated[2], "%Y%m%d").replace(hour=EXPIRY_HOUR, tzinfo=UTC)
    except ValueError:
        return None


def step_of(digits: int | None) -> str | None:
    """Write the step of so many decimals."""
    if digits is None or not 0 <= digits <= 18:
        return None
    return f"0.{'0' * (digits - 1)}1" if digits else "1"
