"""Crypto.com's names of instruments, and its lists of them."""

import re
from datetime import UTC, datetime
from typing import Final

from tickcast.model.instrument import AssetClass
from tickcast.model.record import State
from tickcast.model.symbols import SYMBOL
from tickcast.venues.crypto_com import wire
from tickcast.venues.declared.venue import Listed

KINDS: Final[dict[str, AssetClass]] = {"CCY_PAIR": "crypto", "PERPETUAL_SWAP": "perpetual", "FUTURE": "future"}
"""Others (binary options, warrants) are not listed."""
DATED: Final = re.compile(r"(\w+)-(\d{6})")
QUOTES: Final = ("USDT", "USDC", "USD", "EUR")


def listed_from(entry: wire.Instrument) -> Listed | None:
    """Read an entry of the list; None for what is no instrument of ours."""
    kind = KINDS.get(entry.inst_type)
    if kind is None:
        return None
    base, quote = entry.base_ccy.upper(), entry.quote_ccy.upper()
    dated = DATED.fullmatch(entry.symbol)
    if kind == "future" and dated is None:
        return None  # several of a day, which have no name of ours
    end = {"perpetual": "-PERP", "future": f"-20{dated[2] if dated else ''}"}.get(kind, "")
    symbol = f"{base}-{quote}{end}"
    if not SYMBOL.fullmatch(symbol):
        return None
    index = entry.underlying_symbol
    return Listed(
        native=entry.symbol,
        symbol=symbol,
        asset_class=kind,
        currency=quote,
        state=State.LIVE if entry.tradable else State.HALTED,
        tick_size=entry.price_tick_size or None,
        lot_size=entry.qty_tick_size or None,
        contract_size=None if kind == "crypto" else entry.contract_size or "1",
        settle_currency=None if kind == "crypto" else quote,
        underlying=None if kind == "crypto" or not index else f"{base}-{quote}-INDEX",
        expiry=_moment(entry.expiry_timestamp_ms) if kind == "future" else None,
    )


def listed_from_older(entry: wire.OlderInstrument) -> Listed | None:
    """Read an entry of v2's list: a pair."""
    base, quote = entry.base_currency.upper(), entry.quote_currency.upper()
    if not SYMBOL.fullmatch(f"{base}-{quote}"):
        return None
    return Listed(
        native=entry.instrument_name,
        symbol=f"{base}-{quote}",
        asset_class="crypto",
        currency=quote,
        tick_size=_step(entry.price_decimals),
        lot_size=_step(entry.quantity_decimals),
    )


def index_from(native: str) -> Listed | None:
    """Make the index that contracts derive from: ``BTCUSD-INDEX``."""
    pair = _pair(native.removesuffix("-INDEX"))
    symbol = f"{pair[0]}-{pair[1]}-INDEX" if pair else ""
    if pair is None or not native.endswith("-INDEX") or not SYMBOL.fullmatch(symbol):
        return None
    return Listed(native=native, symbol=symbol, asset_class="index", currency=pair[1])


def named(native: str) -> Listed | None:
    """Make an instrument of its name alone: without tick, lot and size."""
    if native.endswith("-INDEX"):
        return index_from(native)
    if "_" in native:
        base, _, quote = native.partition("_")
        return listed_from(wire.Instrument(symbol=native, inst_type="CCY_PAIR", base_ccy=base, quote_ccy=quote))
    name, _, end = native.partition("-")
    pair = _pair(name)
    if pair is None or not end:
        return None
    kind = "PERPETUAL_SWAP" if end == "PERP" else "FUTURE"
    expiry_ms = _expiry_ms(end) if kind == "FUTURE" else 0
    if expiry_ms is None:
        return None
    return listed_from(
        wire.Instrument(
            symbol=native,
            inst_type=kind,
            base_ccy=pair[0],
            quote_ccy=pair[1],
            expiry_timestamp_ms=expiry_ms,
            underlying_symbol=f"{name}-INDEX",
        )
    )


def _pair(name: str) -> tuple[str, str] | None:
    quote = next((quote for quote in QUOTES if name.endswith(quote) and name != quote), None)
    return None if quote is None else (name.removesuffix(quote), quote)


def _expiry_ms(day: str) -> int | None:
    """Return when a future of this day ends: at 08:00 in UTC."""
    try:
        found = datetime.strptime(day, "%y%m%d").replace(hour=8, tzinfo=UTC)
    except ValueError:
        return None
    return int(found.timestamp()) * 1000


def _moment(milliseconds: int) -> str | None:
    if not 0 < milliseconds < 10**14:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _step(decimals: int) -> str:
    return f"0.{'1':0>{decimals}}" if decimals > 0 else "1"
