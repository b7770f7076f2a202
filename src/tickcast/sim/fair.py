"""The fair prices behind all venues, and the halts: a pure function of the seed and the time since the start.

Every venue owns a :class:`FairPrices` of the same seed and advances it to its own time, so that venues whose slices
have different lengths still agree on each price at each time, and none of them depends on who asked first.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from tickcast.sim.config import Config
from tickcast.sim.universe import I64, Universe

STEP_NS: Final = 50_000_000
"""Fair prices move in steps of this length."""
_SECOND: Final = 1_000_000_000


class FairPrices:
    """A bounded random walk of each symbol's fair price, in ticks, and a schedule of halted stocks."""

    def __init__(self, universe: Universe, config: Config) -> None:
        self.price = universe.start.copy()
        self.halted: set[int] = set()
        self._universe = universe
        self._config = config.market
        self._moves_random = np.random.default_rng((config.seed, 1))
        self._halts_random = np.random.default_rng((config.seed, 2))
        self._cumulated = np.cumsum(universe.weight)
        per_s = min(config.market.moves_per_symbol_per_s * len(universe.symbols), config.rate / 50)
        self._moves_per_step = per_s * STEP_NS / _SECOND
        self._owed = 0.0
        self._elapsed = 0
        self._halts: list[tuple[int, int]] = []
        self._next_halt_ns = self._gap() if self._config.halt_every_s > 0 else 0

    def advance(self, elapsed_ns: int) -> None:
        """Walk to ``elapsed_ns`` after the start; never back."""
        while self._elapsed + STEP_NS <= elapsed_ns:
            self._elapsed += STEP_NS
            self._move()
            self._halt()

    def _move(self) -> None:
        self._owed += self._moves_per_step
        count = int(self._owed)
        self._owed -= count
        if not count:
            return
        moved = np.unique(np.searchsorted(self._cumulated, self._moves_random.random(count), side="right"))
        moved = np.minimum(moved, len(self.price) - 1)
        spacing = self._universe.spacing[moved]
        steps = self._moves_random.choice(np.array([-2, -1, 1, 2]), len(moved), p=(0.1, 0.4, 0.4, 0.1)) * spacing
        # far from the start the walk leans back, so that a demo of weeks keeps plausible prices
        start = self._universe.start[moved]
        drift = self.price[moved] - start
        steps = np.where((np.abs(drift) > start // 5) & (np.sign(drift) == np.sign(steps)), -steps, steps)
        self.price[moved] += steps

    def _gap(self) -> int:
        return int(self._halts_random.uniform(0.7, 1.3) * self._config.halt_every_s * _SECOND)

    def _halt(self) -> None:
        if self._halts:
            for end_ns, index in [one for one in self._halts if one[0] <= self._elapsed]:
                self._halts.remove((end_ns, index))
                self.halted.discard(index)
        stocks = self._universe.stock_count
        if self._next_halt_ns and self._elapsed >= self._next_halt_ns and stocks:
            index = int(self._halts_random.integers(0, stocks))
            length_s = self._halts_random.uniform(self._config.halt_min_s, self._config.halt_max_s)
            self._next_halt_ns = self._elapsed + self._gap()
            if index not in self.halted:
                self.halted.add(index)
                self._halts.append((self._elapsed + int(length_s * _SECOND), index))


def venue_offsets(universe: Universe, indices: Sequence[int], *, seed: int, venue: str) -> I64:
    """Return by how many ticks a venue's idea of each price is above the fair one, at most a step."""
    number = int.from_bytes(venue.encode()[:8].ljust(8, b"\0"), "big")
    random = np.random.default_rng((seed, 3, number))
    spacing = universe.spacing[np.asarray(indices, dtype=np.int64)]
    offsets: I64 = random.integers(0, spacing + 1)
    return offsets
