"""KuCoin's names of instruments, and its lists of them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from tickcast.model.record import State
from tickcast.model.symbols import SYMBOL
from tickcast.venues.declared.venue import Listed
from tickcast.venues.kucoin import wire

SPOT: Final = "spot"
FUTURES: Final = "futures"
ALIASES: Final = {"XBT": "BTC"}
"""Names of coins in contracts, and everybody's."""
RENAMED: Final = {"BCHSV": "BSV"}
"""Names of coins in pairs that are older than the coins' own, as the list of pairs tells them."""
STATES: Final[Mapping[str, State]] = {
    "Open": State.LIVE,
    "Init": State.CLOSED,
    "BeingSettled": State.HALTED,
    "Paused": State.HALTED,
    "CancelOnly": State.HALTED,
    "Settled": State.CLOSED,
    "Closed": State.CLOSED,
}
PERPETUAL: Final = re.compile(r"(.+?)(USDT|USDC|USD)M")
DATED: Final = re.compile(r"([A-Z0-9]+)M([FGHJKMNQUVXZ])(\d\d)")
"""``XBTMU26``: against the dollar, to the last Friday of the month."""
MONTHS: Final = "FGHJKMNQUVXZ"
EXPIRY_HOUR: Final = 8


def pair_from(entry: wire.Pair) -> Listed | None:
    """Read an entry of the list of pairs; None for what the symbology cannot name."""
    symbol = f"{entry.base_currency}-{entry.quote_currency}"
    if not SYMBOL.fullmatch(symbol):
        return None
    return Listed(
        native=entry.symbol,
        symbol=symbol,
        asset_class="crypto",
        currency=entry.quote_currency,
        state=State.LIVE if entry.enable_trading else State.HALTED,
        tick_size=entry.price_increment or None,
        lot_size=entry.base_increment or None,
    )


def contract_from(entry: wire.Contract) -> Listed | None:
    """Read an entry of the list of contracts; None for what the symbology cannot name."""
    base = ALIASES.get(entry.base_currency, entry.base_currency)
    pair = f"{base}-{entry.quote_currency}"
    ends = entry.expire_date if entry.type != "FFWCSX" else None
    day = datetime.fromtimestamp(ends / 1000, UTC) if ends else None
    symbol = f"{pair}-PERP" if day is None else f"{pair}-{day:%Y%m%d}"
    if not SYMBOL.fullmatch(symbol):
        return None
    return Listed(
        native=entry.symbol,
        symbol=symbol,
        asset_class="perpetual" if day is None else "future",
        currency=entry.quote_currency,
        state=STATES.get(entry.status, State.CLOSED),
        tick_size=written(entry.tick_size),
        lot_size=written(entry.lot_size),
        contract_size=written(abs(entry.multiplier)) if entry.multiplier else None,
        settle_currency=ALIASES.get(entry.settle_currency, entry.settle_currency) or None,
        underlying=f"{pair}-INDEX",
        expiry=None if day is None else day.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def named(native: str) -> Listed | None:
    """Make an instrument of its name alone: without tick, lot and contract size."""
    base, dash, quote = native.partition("-")
    if dash:
        return pair_from(wire.Pair(symbol=native, base_currency=RENAMED.get(base, base), quote_currency=quote))
    found = PERPETUAL.fullmatch(native)
    if found is not None:
        settle = found[1] if found[2] == "USD" else found[2]
        return contract_from(
            wire.Contract(symbol=native, base_currency=found[1], quote_currency=found[2], settle_currency=settle)
        )
    dated = DATED.fullmatch(native)
    if dated is None:
        return None
    day = last_friday(2000 + int(dated[3]), MONTHS.index(dated[2]) + 1)
    return contract_from(
        wire.Contract(
            symbol=native,
            base_currency=dated[1],
            quote_currency="USD",
            settle_currency=dated[1],
            type="FFICSX",
            expire_date=int(day.timestamp()) * 1000,
        )
    )


def native_of(symbol: str) -> str:
    """Write the venue's name of a house symbol, as far as that is told by it."""
    base, _, rest = symbol.partition("-")
    quote, _, kind = rest.partition("-")
    if kind != "PERP":
        former = next((old for old, known in RENAMED.items() if known == base), base)
        return f"{former}{symbol.removeprefix(base)}"
    coin = next((old for old, known in ALIASES.items() if known == base), base)
    return f"{coin}{quote}M"


def last_friday(year: int, month: int) -> datetime:
    """Return when the contracts of a month end."""
    after = datetime(year + month // 12, month % 12 + 1, 1, EXPIRY_HOUR, tzinfo=UTC)
    day = after - timedelta(days=1)
    return day - timedelta(days=(day.weekday() - 4) % 7)


def written(number: Decimal | None) -> str | None:
    """Write a number without an exponent and without zeros that say nothing."""
    if number is None:
        return None
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
