"""Bybit's names of instruments, and its lists of them."""

import re
from datetime import UTC, datetime
from typing import Final

from tickcast.model.instrument import AssetClass
from tickcast.model.record import State
from tickcast.model.symbols import SYMBOL
from tickcast.venues.bybit import wire
from tickcast.venues.declared.venue import Listed

MARKETS: Final = ("spot", "linear", "inverse", "option")
"""Categories of the venue: each has an endpoint and names of its own."""
AUCTIONS: Final = ("CallAuction", "CallAuctionNoCancel", "CrossMatching")
QUOTES: Final = re.compile(r"(.+?)(USDT|USDC|USDE|USD1|RLUSD|USD|EUR|GBP|BRL|TRY|AED|PLN|BTC|ETH|SOL)$")
"""Divides a name where no list says how."""
DATED: Final = re.compile(r"(\d{1,2})([A-Z]{3})(\d{2})")
MONTHS: Final = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
QUARTERS: Final = {"H": 3, "M": 6, "U": 9, "Z": 12}


def listed_from(entry: wire.Instrument, market: str) -> Listed | None:
    """Read an entry of a market's list; None for what the symbology cannot name."""
    day = _day(entry.delivery_time) if market == "option" or entry.contract_type.endswith("Futures") else None
    pair = f"{entry.base_coin}-{entry.quote_coin}"
    asset_class, symbol = _symbol(pair, market, day, entry)
    if not SYMBOL.fullmatch(symbol):
        return None
    derived = market != "spot"
    strike = entry.symbol.split("-")[2] if market == "option" else None
    return Listed(
        native=entry.symbol,
        symbol=symbol,
        asset_class=asset_class,
        currency=entry.quote_coin,
        market=market,
        state=state_of(entry),
        tick_size=entry.price_filter.tick_size or None,
        lot_size=entry.lot_size_filter.qty_step or entry.lot_size_filter.base_precision or None,
        contract_size="1" if derived else None,
        settle_currency=(entry.settle_coin or None) if derived else None,
        underlying=f"{pair}-INDEX" if derived else None,
        strike=strike,
        expiry=None if day is None else day.strftime("%Y-%m-%dT%H:%M:%SZ"),
        option_type=("call" if entry.options_type == "Call" else "put") if market == "option" else None,
    )


def _symbol(pair: str, market: str, day: datetime | None, entry: wire.Instrument) -> tuple[AssetClass, str]:
    """Return class and house symbol."""
    if market == "spot":
        return "crypto", pair
    if day is None:
        return "perpetual", f"{pair}-PERP"
    dated = f"{pair}-{day:%Y%m%d}"
    if market != "option":
        return "future", dated
    return "option", f"{dated}-{entry.symbol.split('-')[2]}-{'C' if entry.options_type == 'Call' else 'P'}"


def state_of(entry: wire.Instrument) -> State:
    """Return what an instrument's status means; before its listing a contract may be in an auction."""
    if entry.status == "Trading":
        return State.LIVE
    phase = entry.pre_listing_info.cur_auction_phase if entry.pre_listing_info is not None else ""
    return State.AUCTION if entry.status == "PreLaunch" and phase in AUCTIONS else State.CLOSED


def named(native: str, market: str) -> Listed | None:
    """Make an instrument of its name alone: without tick and lot."""
    parts = native.split("-")
    if market == "option":
        if len(parts) < 4 or (day := _written_day(parts[1])) is None:
            return None
        quote = parts[4] if len(parts) > 4 else "USDC"
        kind = "Call" if parts[3] == "C" else "Put"
        return listed_from(_entry(native, parts[0], quote, day, settle_coin=quote, options_type=kind), market)
    if len(parts) == 2 and (day := _written_day(parts[1])) is not None:
        base, quote = _pair(parts[0]) or (parts[0], "USDC")
        return listed_from(_entry(native, base, quote, day, contract_type="LinearFutures"), market)
    if market == "linear" and native.endswith("PERP"):
        return listed_from(_entry(native, native.removesuffix("PERP"), "USDC", None), market)
    quarter = re.fullmatch(r"(.+USD)([HMUZ])(\d\d)", native) if market == "inverse" else None
    if quarter is not None:
        day = _last_friday(2000 + int(quarter[3]), QUARTERS[quarter[2]])
        base, quote = quarter[1].removesuffix("USD"), "USD"
        return listed_from(_entry(native, base, quote, day, contract_type="InverseFutures"), market)
    pair = _pair(native)
    return None if pair is None else listed_from(_entry(native, *pair, None), market)


def from_symbol(symbol: str) -> Listed | None:
    """Make an instrument of its house symbol alone."""
    base, _, rest = symbol.partition("-")
    quote, _, kind = rest.partition("-")
    if not kind:
        return named(f"{base}{quote}", "spot")
    market = "inverse" if quote == "USD" else "linear"
    if kind == "PERP":
        return named(f"{base}PERP" if quote == "USDC" else f"{base}{quote}", market)
    try:
        day = datetime.strptime(kind[:8], "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    written = f"{day.day}{MONTHS[day.month - 1]}{day:%y}"
    if len(kind) > 8:
        end = "" if quote == "USDC" else f"-{quote}"
        return named(f"{base}-{written}{kind[8:]}{end}", "option")
    if market == "inverse":
        letter = next((letter for letter, month in QUARTERS.items() if month == day.month), "")
        return named(f"{base}USD{letter}{day:%y}", market)
    return named(f"{base}-{written}" if quote == "USDC" else f"{base}{quote}-{written}", market)


def _entry(
    native: str,
    base: str,
    quote: str,
    day: datetime | None,
    *,
    contract_type: str = "",
    settle_coin: str = "",
    options_type: str = "",
) -> wire.Instrument:
    return wire.Instrument(
        symbol=native,
        base_coin=base,
        quote_coin=quote,
        status="Trading",
        contract_type=contract_type,
        settle_coin=settle_coin,
        options_type=options_type,
        delivery_time="" if day is None else str(int(day.timestamp()) * 1000),
    )


def _pair(native: str) -> tuple[str, str] | None:
    divided = QUOTES.fullmatch(native)
    return None if divided is None else (divided[1], divided[2])


def _day(milliseconds: str) -> datetime | None:
    if not milliseconds.isdigit() or not int(milliseconds):
        return None
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)


def _written_day(text: str) -> datetime | None:
    """Read ``28APR23``; contracts end at 08:00 UTC."""
    found = DATED.fullmatch(text)
    if found is None or found[2] not in MONTHS:
        return None
    try:
        return datetime(2000 + int(found[3]), MONTHS.index(found[2]) + 1, int(found[1]), 8, tzinfo=UTC)
    except ValueError:
        return None


def _last_friday(year: int, month: int) -> datetime:
    """Return when the contracts of a quarter end."""
    return max(
        day
        for number in range(22, 32)
        if (day := _date_or_none(year, month, number)) is not None and day.weekday() == 4
    )


def _date_or_none(year: int, month: int, day: int) -> datetime | None:
    try:
        return datetime(year, month, day, 8, tzinfo=UTC)
    except ValueError:
        return None
