"""OKX's names of instruments, and its lists of them."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final, Literal, cast

from tickcast.model.instrument import AssetClass
from tickcast.model.record import State
from tickcast.model.symbols import SYMBOL
from tickcast.venues.declared.venue import Listed
from tickcast.venues.okx import wire
from tickcast.venues.okx.dialect import INDEX

STATES: Final = {
    "live": State.LIVE,
    "suspend": State.HALTED,
    "rebase": State.HALTED,
    "post_only": State.HALTED,
    "preopen": State.CLOSED,
    "expired": State.CLOSED,
    "test": State.CLOSED,
    "settling": State.CLOSED,
}
ASSETS: Final[dict[str, AssetClass]] = {
    "SPOT": "crypto",
    "SWAP": "perpetual",
    "FUTURES": "future",
    "OPTION": "option",
    "": "index",
}


def family_of(native: str) -> str:
    """Return the family in a contract's name: ``BTC-USD`` of ``BTC-USD-241227-50000-C``."""
    return "-".join(native.split("-")[:2])


def symbol_of(native: str, kind: str) -> str | None:
    """Return the house symbol of a name; None where the name is not made as those of its type."""
    parts = native.replace("_", "").split("-")
    match kind, parts:
        case "SPOT", [_, _]:
            found = "-".join(parts)
        case "SWAP", [base, quote, "SWAP"]:
            found = f"{base}-{quote}-PERP"
        case "FUTURES", [base, quote, date] if len(date) == 6 and date.isdigit():
            found = f"{base}-{quote}-20{date}"
        case "OPTION", [base, quote, date, strike, ("C" | "P") as side] if len(date) == 6 and date.isdigit():
            found = f"{base}-{quote}-20{date}-{strike}-{side}"
        case _:
            return None
    return found if SYMBOL.fullmatch(found) else None


def named(native: str) -> Listed | None:
    """Make an instrument of its name alone: without tick, lot and size."""
    kind = kind_of(native)
    uly = "" if kind == "SPOT" else family_of(native)
    parts = native.split("-")
    option = {"opt_type": parts[4], "stk": parts[3]} if kind == "OPTION" else {}
    quote = parts[1] if len(parts) > 1 else ""
    return listed_from(
        wire.Instrument(inst_type=kind, inst_id=native, state="live", uly=uly, quote_ccy=quote, **option)
    )


def from_symbol(symbol: str) -> Listed | None:
    """Make an instrument of its house symbol alone."""
    parts = symbol.split("-")
    if parts[-1] == "INDEX":
        return index_from("-".join(parts[:-1]))
    if parts[-1] == "PERP":
        parts[-1] = "SWAP"
    elif len(parts) > 2:
        parts[2] = parts[2].removeprefix("20")
    return named("-".join(parts))


def index_from(uly: str) -> Listed | None:
    """Make the index that contracts derive from."""
    symbol = f"{uly}-INDEX"
    if not SYMBOL.fullmatch(symbol):
        return None
    return Listed(native=uly, symbol=symbol, asset_class="index", currency=uly.partition("-")[2] or "USD", market=INDEX)


def listed_from(entry: wire.Instrument) -> Listed | None:
    """Read an entry of a list; None for test pairs and what is no instrument of ours."""
    symbol = symbol_of(entry.inst_id, entry.inst_type)
    if symbol is None or entry.state == "test":
        return None
    dated = entry.inst_type in {"FUTURES", "OPTION"}
    return Listed(
        native=entry.inst_id,
        symbol=symbol,
        asset_class=ASSETS[entry.inst_type],
        currency=_currency(entry),
        state=state_of(entry),
        tick_size=entry.tick_sz or None,
        lot_size=entry.lot_sz or None,
        contract_size=_product(entry.ct_val, entry.ct_mult),
        settle_currency=entry.settle_ccy or None,
        underlying=f"{entry.uly}-INDEX" if entry.uly else None,
        strike=entry.stk or None,
        expiry=_moment(entry.exp_time) if dated else None,
        option_type=_option_type(entry.opt_type),
    )


def state_of(entry: wire.Instrument) -> State:
    """Return what an instrument's state means; before its opening a pair may be in a call auction."""
    if entry.state == "preopen" and entry.open_type in {"call_auction", "pre_quote"}:
        return State.AUCTION
    return STATES.get(entry.state, State.CLOSED)


def _currency(entry: wire.Instrument) -> str:
    """Options are priced in what they settle in; contracts in the quote of their family."""
    if entry.inst_type == "OPTION":
        return entry.settle_ccy or entry.uly.partition("-")[0]
    return entry.quote_ccy or entry.uly.partition("-")[2] or family_of(entry.inst_id).partition("-")[2]


def kind_of(native: str) -> str:
    """Return the type that a name is made as."""
    parts = native.split("-")
    return {2: "SPOT", 5: "OPTION"}.get(len(parts), "SWAP" if parts[-1] == "SWAP" else "FUTURES")


def _option_type(letter: str) -> Literal["call", "put"] | None:
    return cast('Literal["call", "put"] | None', {"C": "call", "P": "put"}.get(letter))


def _product(value: str, multiplier: str) -> str | None:
    try:
        return format((Decimal(value) * Decimal(multiplier or "1")).normalize(), "f")
    except InvalidOperation:
        return None


def _moment(milliseconds: str) -> str | None:
    if not milliseconds.isdigit():
        return None
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
