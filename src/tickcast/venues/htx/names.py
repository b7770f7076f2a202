"""HTX's names of instruments, and its lists of them."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Literal

from tickcast.model.instrument import AssetClass
from tickcast.model.record import State
from tickcast.model.symbols import SYMBOL
from tickcast.venues.declared.venue import Listed
from tickcast.venues.htx import wire

Market = str
"""``spot``, ``linear``, ``inverse``: words of the config's ``markets``."""
PAIR_STATES: Final = {"online": State.LIVE, "suspend": State.HALTED, "transfer-board": State.HALTED}
CONTRACT_STATES: Final = {
    1: State.LIVE,
    3: State.HALTED,
    4: State.HALTED,
    5: State.HALTED,
    6: State.HALTED,
    7: State.HALTED,
}
"""Documentation of ``contract_status``; 0 and 8 are over, 2 has not begun."""
QUOTES: Final = (
    "usdt",
    "usdc",
    "husd",
    "usdd",
    "tusd",
    "usd",
    "btc",
    "eth",
    "trx",
    "htx",
    "ht",
    "eur",
    "brl",
    "try",
    "bnb",
)
"""With which names of pairs end; the longer ones first, since ``usdt`` ends as ``usd`` does not."""
ALIAS: Final = "CW|NW|CQ|NQ"
"""This week, next week, this quarter, next quarter: futures by their turn, not their date."""
SWAP: Final = re.compile(r"([A-Z0-9]+)-(USDT|USDC|USD|HUSD)")
DATED: Final = re.compile(rf"([A-Z0-9]+)-(USDT|USD)-(\d{{6}}|{ALIAS})")
COIN_DATED: Final = re.compile(rf"([A-Z0-9]*[A-Z])(?:_({ALIAS})|(\d{{6}}))")
"""Coin-margined futures: ``BTC_CW`` or ``BTC200703``."""
OPTION: Final = re.compile(r"([A-Z0-9]+)-(USDT|USD)-(\d{6})-([CP])-([\d.]+)")


def named(native: str) -> Listed | None:
    """Make an instrument of its name alone: without tick, lot and size; None where the name is none of HTX's."""
    if found := SWAP.fullmatch(native):
        return _contract(native, f"{found[1]}-{found[2]}-PERP", "perpetual", found[1], found[2])
    if found := DATED.fullmatch(native):
        return _contract(native, f"{found[1]}-{found[2]}-{_day(found[3])}", "future", found[1], found[2])
    if found := COIN_DATED.fullmatch(native):
        return _contract(native, f"{found[1]}-USD-{_day(found[2] or found[3])}", "future", found[1], "USD")
    if found := OPTION.fullmatch(native):
        symbol = f"{found[1]}-{found[2]}-{_day(found[3])}-{found[5]}-{found[4]}"
        listed = _contract(native, symbol, "option", found[1], found[2])
        right: Literal["call", "put"] = "call" if found[4] == "C" else "put"
        return None if listed is None else replace(listed, strike=found[5], option_type=right)
    quote = next((quote for quote in QUOTES if native.endswith(quote) and native != quote), None)
    if quote is None or not native.islower():
        return None
    return _pair(native, native.removesuffix(quote), quote)


def from_symbol(symbol: str) -> Listed | None:
    """Make an instrument of its house symbol alone."""
    base, _, rest = symbol.partition("-")
    if rest.endswith("-PERP"):
        return named(symbol.removesuffix("-PERP"))
    return named(f"{base}{rest}".lower()) if rest and "-" not in rest else None


def pair_from(entry: wire.Pair) -> Listed | None:
    """Read an entry of the list of pairs; None where it cannot be named."""
    found = _pair(entry.symbol, entry.base_currency, entry.quote_currency)
    if found is None:
        return None
    return Listed(
        native=found.native,
        symbol=found.symbol,
        asset_class="crypto",
        currency=found.currency,
        state=PAIR_STATES.get(entry.state, State.CLOSED),
        tick_size=_step(entry.price_precision),
        lot_size=_step(entry.amount_precision),
    )


def contract_from(entry: wire.Contract) -> Listed | None:
    """Read an entry of a list of contracts; None where it cannot be named."""
    found = named(entry.contract_code)
    if found is None or found.asset_class == "crypto":
        return None
    quote = found.currency
    return Listed(
        native=found.native,
        symbol=found.symbol,
        asset_class=found.asset_class,
        currency=quote,
        state=state_of(entry),
        tick_size=_text(entry.price_tick),
        lot_size="1",
        contract_size=_text(entry.contract_size),
        settle_currency=(entry.symbol or None) if quote == "USD" else entry.trade_partition or quote,
        expiry=_moment(entry.delivery_time),
    )


def state_of(entry: wire.Contract) -> State:
    """Return what a contract's state means."""
    return CONTRACT_STATES.get(entry.contract_status, State.CLOSED)


def market_of(listed: Listed) -> Market:
    """Return the market that an instrument is of."""
    if listed.asset_class == "crypto":
        return "spot"
    return "inverse" if listed.currency == "USD" else "linear"


def _pair(native: str, base: str, quote: str) -> Listed | None:
    symbol = f"{base}-{quote}".upper()
    if not base.isalnum() or not SYMBOL.fullmatch(symbol):
        return None
    return Listed(native=native, symbol=symbol, asset_class="crypto", currency=quote.upper())


def _contract(native: str, symbol: str, asset: AssetClass, base: str, quote: str) -> Listed | None:
    if not SYMBOL.fullmatch(symbol):
        return None
    settle = base if quote == "USD" else quote
    return Listed(native=native, symbol=symbol, asset_class=asset, currency=quote, settle_currency=settle)


def _day(text: str) -> str:
    """``210326`` to ``20210326``; the words for a turn stay."""
    return f"20{text}" if text.isdigit() else text


def _step(digits: int) -> str:
    return _text(Decimal(1).scaleb(-digits)) or "1"


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value.normalize(), "f")


def _moment(milliseconds: str) -> str | None:
    if not milliseconds.isdigit():
        return None
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
