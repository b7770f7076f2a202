"""Gemini's names: ``BTCUSD``, ``BTCGUSDPERP``; lists and streams write them small."""

import re
from typing import Final

from tickcast.model.record import State
from tickcast.model.symbols import SYMBOL
from tickcast.venues.declared.venue import Listed
from tickcast.venues.gemini.wire import Detail

QUOTES: Final = re.compile(r"(.+?)(RLUSD|GUSD|USDC|USDT|USD|EUR|GBP|SGD|AUD|DAI|BTC|ETH|SOL|LTC|BCH|FIL)$")
"""Divides a name where no list says how."""
DIVIDED: Final = {
    "PAXGUSD": ("PAXG", "USD"),
    "USDGUSD": ("USDG", "USD"),
    "OMGUSD": ("OMG", "USD"),
    "DOGUSD": ("DOG", "USD"),
}
"""Names that it would divide wrongly: their base ends with the G of GUSD."""
PERPETUAL: Final = "PERP"
STATES: Final = {
    "open": State.LIVE,
    "limit_only": State.LIVE,
    "post_only": State.HALTED,  # orders may rest, nothing is matched
    "cancel_only": State.HALTED,
    "closed": State.CLOSED,
}


def named(native: str) -> Listed | None:
    """Say what an instrument's name says; None for what is no pair."""
    native = native.upper()
    pair = native.removesuffix(PERPETUAL)
    parts = DIVIDED.get(pair)
    if parts is None and (found := QUOTES.fullmatch(pair)) is not None:
        parts = found[1], found[2]
    return None if parts is None else _listed(native, *parts, is_derived=pair != native)


def detailed(detail: Detail) -> Listed | None:
    """Read what the venue says of one instrument; None for what the symbology cannot name."""
    return _listed(
        detail.symbol.upper(),
        detail.base_currency.upper(),
        detail.quote_currency.upper(),
        is_derived=detail.product_type == "swap",
        state=STATES.get(detail.status, State.CLOSED),
        tick_size=f"{detail.quote_increment.normalize():f}" if detail.quote_increment else None,
        lot_size=f"{detail.tick_size.normalize():f}" if detail.tick_size else None,
    )


def _listed(
    native: str,
    base: str,
    quote: str,
    *,
    is_derived: bool,
    state: State = State.LIVE,
    tick_size: str | None = None,
    lot_size: str | None = None,
) -> Listed | None:
    symbol = f"{base}-{quote}-PERP" if is_derived else f"{base}-{quote}"
    if not SYMBOL.fullmatch(symbol):
        return None
    return Listed(
        native=native,
        also=(native.lower(),),
        symbol=symbol,
        asset_class="perpetual" if is_derived else "crypto",
        currency=quote,
        state=state,
        tick_size=tick_size,
        lot_size=lot_size,
        contract_size="1" if is_derived else None,
        settle_currency=quote if is_derived else None,
        underlying=f"{base}-{quote}-INDEX" if is_derived else None,
    )
