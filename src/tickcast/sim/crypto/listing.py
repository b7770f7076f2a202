"""What a simulated crypto venue lists: spot pairs, and derivatives made from the fair prices of spot pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import floor, log10
from typing import Final, Literal

from tickcast.sim.config import Config
from tickcast.sim.universe import UNIT, Universe

ProductKind = Literal["spot", "perpetual", "future", "option"]
_EXPIRY_HOUR: Final = 8
"""Crypto futures and options expire at 08:00 UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A price of the common market that instruments can be made of."""

    base: str
    price: float
    """At the start, in the quote currency."""
    source: int
    """Its row in the common universe."""
    stock: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One instrument of a simulated venue. Prices and sizes are counted in ticks and lots of units of 1e-8."""

    native: str
    """The venue's name."""
    symbol: str
    """House symbology: what a consumer calls it."""
    kind: ProductKind
    base: str
    quote: str
    source: int
    """Row of the common universe whose fair price it follows."""
    tick: int
    """Price step in 1e-8."""
    lot: int
    """Size step in 1e-8."""
    price: float
    """About what it costs at the start; 0 = the source's price (options are priced by the model)."""
    typical: float
    """A usual order's size."""
    market: str = ""
    """The voice's word for the part of the venue that lists it (``spot``, ``linear``, ``SWAP``)."""
    settle: str = ""
    contract_size: str = "1"
    in_coin: bool = False
    """Its price is a part of the coin (inverse options), not an amount of the quote currency."""
    expiry_ns: int = 0
    strike: float = 0.0
    call: bool = True
    stock: bool = False

    @property
    def expiry(self) -> datetime:
        """When it ends."""
        return datetime.fromtimestamp(self.expiry_ns // 1_000_000_000, UTC)


def spots(universe: Universe, config: Config, *, stocks: bool = False) -> list[Spot]:
    """Return the crypto pairs of the common market, and with ``stocks`` the tokenised ones before them."""
    count = universe.stock_count
    chosen = list(range(min(config.market.tokenised, count))) if stocks else []
    chosen += range(count, len(universe.symbols))
    return [
        Spot(
            base=universe.symbols[index].partition("-")[0],
            price=int(universe.start[index]) * int(universe.tick[index]) / UNIT,
            source=index,
            stock=index < count,
        )
        for index in chosen
    ]


def price_tick(price: float, *, digits: int = 5) -> int:
    """Return a step of 1e-8 units that leaves about ``digits`` digits of a price."""
    return int(10 ** min(max(floor(log10(price)) - digits + 1 + 8, 0), 9))


def size_lot(price: float) -> int:
    """Return a size step of 1e-8 units that is worth a few cents to dimes."""
    return int(10 ** min(max(7 - floor(log10(price)), 0), 8))


def pair(spot: Spot, native: str, *, market: str = "") -> Product:
    """Make a coin against USDT, as most venues list it: six digits of a price, orders of some thousand."""
    return Product(
        native=native,
        symbol=f"{spot.base}-USDT",
        kind="spot",
        base=spot.base,
        quote="USDT",
        source=spot.source,
        tick=price_tick(spot.price, digits=6),
        lot=size_lot(spot.price),
        price=spot.price,
        typical=3000.0 / spot.price,
        market=market,
    )


def expiries(start_ns: int, *days: int) -> list[int]:
    """Return the Fridays, 08:00 UTC, at or after so many days from the start, in ns; each once."""
    begin = datetime.fromtimestamp(start_ns // 1_000_000_000, UTC)
    found: dict[int, None] = {}
    for ahead in days:
        day = (begin + timedelta(days=ahead)).replace(hour=_EXPIRY_HOUR, minute=0, second=0, microsecond=0)
        day += timedelta(days=(4 - day.weekday()) % 7)
        found[int(day.timestamp()) * 1_000_000_000] = None
    return list(found)


def strikes(price: float, count: int) -> list[float]:
    """Return ``count`` strikes around a price, a round step apart."""
    step = 10.0 ** floor(log10(price)) / 10
    middle = round(price / step)
    return [(middle + number - count // 2) * step for number in range(count)]


def of_kind(products: Sequence[Product], *kinds: ProductKind) -> list[Product]:
    """Choose by kind."""
    return [one for one in products if one.kind in kinds]
