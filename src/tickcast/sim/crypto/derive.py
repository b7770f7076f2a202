"""Fair prices of a venue's instruments, as a pure function of the common market's: carry, funding, option values.

A perpetual swings around its spot price by a few hundredths of a percent, a future carries a yearly rate, an option is
worth what Black's formula (1976, on the forward, no interest) says with a volatility that smiles. So all venues agree
on all derivatives too, and Greeks fit to prices.
"""

from collections.abc import Sequence
from math import erf, exp, log, pi, sqrt
from typing import Final

import numpy as np
import numpy.typing as npt

from tickcast.sim.config import Config
from tickcast.sim.crypto.listing import Product
from tickcast.sim.crypto.state import Greeks
from tickcast.sim.fair import STEP_NS, FairPrices
from tickcast.sim.universe import I64, UNIT, Universe

F64 = npt.NDArray[np.float64]
CARRY: Final = 0.05
"""Yearly."""
SWING: Final = 0.0003
SWING_S: Final = 120.0
FUNDING_NS: Final = 8 * 3600 * 1_000_000_000
YEAR_NS: Final = 365 * 86_400 * 1_000_000_000
_OPTIONS_NS: Final = 250_000_000


def volatility(moneyness: float) -> float:
    """Return the volatility of an option whose strike is ``moneyness`` times the forward."""
    return 0.55 + 0.25 * log(moneyness) ** 2


def black(forward: float, strike: float, years: float, *, sigma: float, call: bool) -> tuple[float, Greeks]:
    """Return value and Greeks by Black (1976) without interest: vega and theta for a point and a day."""
    spread = sigma * sqrt(max(years, 1e-6))
    first = (log(forward / strike) + spread * spread / 2) / spread
    second = first - spread
    density = exp(-first * first / 2) / sqrt(2 * pi)
    delta, other = _normal(first), _normal(second)
    if not call:
        delta, other = delta - 1.0, other - 1.0
    vega = forward * density * sqrt(max(years, 1e-6)) / 100
    greeks = Greeks(
        delta=delta,
        gamma=density / (forward * spread),
        vega=vega,
        theta=-vega * 100 * sigma / (2 * max(years, 1e-6)) / 365,
        rho=0.0,
        volatility=sigma,
    )
    return forward * delta - strike * other, greeks


def _normal(value: float) -> float:
    return 0.5 * (1.0 + erf(value / sqrt(2.0)))


class DerivedFair:
    """The fair prices of one venue's products; stands in for :class:`tickcast.sim.fair.FairPrices` in its flow."""

    def __init__(self, common: Universe, products: Sequence[Product], config: Config, *, start_ns: int) -> None:
        self._base = FairPrices(common, config)
        self._source = np.array([one.source for one in products], np.int64)
        self._source_step: F64 = np.array([int(common.tick[one.source]) / UNIT for one in products])
        self._tick: F64 = np.array([one.tick / UNIT for one in products])
        self._start_ns, self._elapsed_ns = start_ns, 0
        self._swinging = np.array([one.kind == "perpetual" for one in products])
        self._phase: F64 = np.array([one.source * 0.7 for one in products])
        self._expiry: F64 = np.array([float(one.expiry_ns) for one in products])
        self._options = [(row, one) for row, one in enumerate(products) if one.kind == "option"]
        self._options_ns = -1
        self.greeks: dict[int, Greeks] = {}
        self.spot: F64 = np.zeros(len(products))
        """Of what each derives from, in the quote currency."""
        self.forward: F64 = np.zeros(len(products))
        """Spot with carry or swing; of options what they are priced with."""
        self.price: I64 = np.zeros(len(products), np.int64)
        self._halt_rows = {one.source: row for row, one in enumerate(products) if one.stock and one.kind == "spot"}
        self.halted: set[int] = set()
        self._work_out()

    def advance(self, elapsed_ns: int) -> None:
        """Let the common market walk, and follow it."""
        if elapsed_ns // STEP_NS == self._elapsed_ns // STEP_NS:
            return
        self._elapsed_ns = elapsed_ns
        self._base.advance(elapsed_ns)
        self._work_out()
        if self._base.halted or self.halted:
            self.halted = {self._halt_rows[one] for one in self._base.halted if one in self._halt_rows}

    def funding(self, row: int) -> float:
        """Return the rate of the running period: what the perpetual is above spot, and a hundredth of a percent."""
        spot = float(self.spot[row])
        return round(0.0001 + (float(self.forward[row]) - spot) / spot / 8, 8) if spot else 0.0

    def _work_out(self) -> None:
        spot = self.spot = self._base.price[self._source] * self._source_step
        seconds = self._elapsed_ns / 1e9
        swing = np.where(self._swinging, SWING * np.sin(seconds * 2 * pi / SWING_S + self._phase), 0.0)
        years = np.maximum(self._expiry - self._start_ns - self._elapsed_ns, 0.0) / YEAR_NS
        self.forward = spot * (1 + swing + CARRY * years)
        price = np.maximum(np.rint(self.forward / self._tick), 2).astype(np.int64)
        if self._options:
            if self._options_ns < 0 or self._elapsed_ns - self._options_ns >= _OPTIONS_NS:
                self._options_ns = self._elapsed_ns
                self._option_prices = [self._option(row, one, float(years[row])) for row, one in self._options]
            price[[row for row, _ in self._options]] = self._option_prices
        self.price = price

    def _option(self, row: int, option: Product, years: float) -> int:
        forward = float(self.forward[row])
        sigma = volatility(option.strike / forward)
        value, self.greeks[row] = black(forward, option.strike, years, sigma=sigma, call=option.call)
        if option.in_coin:
            value /= forward
        return max(round(value / float(self._tick[row])), 2)


def venue_universe(products: Sequence[Product], fair: DerivedFair) -> Universe:
    """Return the universe of one venue: a row for each product."""
    count = len(products)
    rank: dict[str, int] = {}
    weight = np.zeros(count)
    for row, one in enumerate(products):
        rank[one.kind] = rank.get(one.kind, -1) + 1
        weight[row] = (0.2 if one.kind == "option" else 1.0) / (rank[one.kind] + 25.0)
    lot = np.array([one.lot for one in products], np.int64)
    typical = np.array([one.typical for one in products])
    start = fair.price.copy()
    return Universe(
        symbols=tuple(one.symbol for one in products),
        stock_count=sum(one.stock for one in products),
        tick=np.array([one.tick for one in products], np.int64),
        lot=lot,
        start=start,
        previous_close=start.copy(),
        spacing=np.maximum(start // 20_000, 1),
        typical=np.maximum(np.rint(typical * UNIT / lot), 10).astype(np.int64),
        weight=weight / weight.sum(),
    )
