"""The latency book: how long each hop takes, as quantiles of about the last minute, in bounded memory.

A hop's times fall into buckets whose width grows with the value: 32 to each power of two, so that a quantile is at most
1.6 % from the truth (the middle of its bucket) while a hop needs 1,152 counters for everything from 1 ns to 18 minutes.
Six such rows, each for a sixth of the window, are used in turn; the oldest is emptied when its turn comes again.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from tickcast.ops.config import Budget
from tickcast.ports import Clock
from tickcast.runtime.clock import monotonic_ns
from tickcast.runtime.metrics import gauge

QUANTILES: Final = (0.5, 0.95, 0.99)
SUB_BITS: Final = 5
SUB: Final = 1 << SUB_BITS
LARGEST_NS: Final = (1 << 40) - 1
BUCKETS: Final = (40 - SUB_BITS) * SUB + SUB
ROWS: Final = 6
NS_PER_MS: Final = 1_000_000

_quantile_ms = gauge("latency_ms", "Time that a hop took over the last minute, in ms.", ("hop", "quantile"))
_samples = gauge("latency_samples", "Times measured of a hop over the last minute.", ("hop",))


class HopTimes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One hop in ``/latency``; times in ms, null where nothing was measured in the window."""

    hop: str
    count: int
    """Times measured in the window."""
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    budget_ms: Budget
    """What p50, p95 and p99 may be."""
    ok: bool
    """Whether all three are within the budget; true where nothing was measured."""
    uncertainty_ms: float | None = None
    """Of a hop that begins at the exchange: how far its times may be from the truth, because clocks are known no
    better; the most of the feeds measured. Null: one clock, or nobody knows."""


class LatencyReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``/latency``: the hops in the order of the way."""

    hops: tuple[HopTimes, ...]
    window_s: float
    """The quantiles are those of about the last so many seconds."""


def bucket(ns: int) -> int:
    """Bucket of a time; negative counts as 0, more than 18 minutes as that."""
    ns = 0 if ns < 0 else min(ns, LARGEST_NS)
    shift = max(0, ns.bit_length() - SUB_BITS - 1)
    return (shift << SUB_BITS) + (ns >> shift)


def buckets(ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Buckets of many times: :func:`bucket` of each."""
    clipped = np.clip(ns, 0, LARGEST_NS)
    shift = np.maximum(np.frexp(clipped.astype(np.float64))[1].astype(np.int64) - (SUB_BITS + 1), 0)
    return (shift << SUB_BITS) + (clipped >> shift)


def _middles() -> npt.NDArray[np.float64]:
    index = np.arange(BUCKETS)
    shift = np.maximum((index >> SUB_BITS) - 1, 0)
    low = (index - (shift << SUB_BITS)) << shift
    return np.asarray(low + ((1 << shift) - 1) / 2, np.float64)


MIDDLES: Final = _middles()


class LatencyBook:
    """Quantiles of each hop against its budget; for one thread."""

    def __init__(self, budgets: Mapping[str, Budget], *, window_s: float = 60.0, clock: Clock = monotonic_ns) -> None:
        """``budgets``: hop to (p50, p95, p99) in ms; these hops can be measured and no other."""
        self._budgets = dict(budgets)
        self._window_s = window_s
        self._row_ns = int(window_s * 1e9 / ROWS)
        self._clock = clock
        self._counts = {hop: np.zeros((ROWS, BUCKETS), np.int64) for hop in budgets}
        self._turn = clock() // self._row_ns
        self._errors: dict[str, dict[str, float | None]] = {}
        """By hop and feed, how far clocks may disagree (ms)."""

    def between_clocks(self, hop: str, feed: str, error_ms: float | None) -> None:
        """Say how far the clocks between which a feed's times of a hop lie may disagree; None: nobody knows."""
        self._errors.setdefault(hop, {})[feed] = error_ms

    def _uncertainty_ms(self, hop: str) -> float | None:
        errors = self._errors.get(hop, {}).values()
        known = [error for error in errors if error is not None]
        return max(known) if known and len(known) == len(errors) else None

    def record(self, hop: str, ns: "int | npt.NDArray[np.int64]") -> None:
        """Note that the hop took ``ns`` (one time, or an array of them)."""
        self._rotate()
        row = self._counts[hop][self._turn % ROWS]
        if isinstance(ns, np.ndarray):
            row += np.bincount(buckets(ns), minlength=BUCKETS)
        else:
            row[bucket(int(ns))] += 1

    def _rotate(self) -> None:
        turn = self._clock() // self._row_ns
        passed = turn - self._turn
        if passed <= 0:
            return
        emptied = [(self._turn + step) % ROWS for step in range(1, min(passed, ROWS) + 1)]
        for counts in self._counts.values():
            counts[emptied] = 0
        self._turn = turn

    def count(self, hop: str) -> int:
        """Times measured in the window."""
        self._rotate()
        return int(self._counts[hop].sum())

    def quantiles(self, hop: str) -> tuple[float, float, float] | None:
        """(p50, p95, p99) in ms, None where nothing was measured in the window."""
        self._rotate()
        so_far = np.cumsum(self._counts[hop].sum(axis=0))
        total = int(so_far[-1])
        if not total:
            return None
        ranks = [max(1, int(np.ceil(quantile * total))) for quantile in QUANTILES]
        p50, p95, p99 = (float(MIDDLES[index]) / NS_PER_MS for index in np.searchsorted(so_far, ranks))
        return p50, p95, p99

    def snapshot(self) -> dict[str, Any]:
        """The body of ``/latency``: every hop in the order of the way, times in ms, ``ok`` = within the budget.

        A hop that was not measured has nulls and is ``ok``.
        """
        hops = tuple(self._times(hop, budget) for hop, budget in self._budgets.items())
        report: dict[str, Any] = msgspec.to_builtins(LatencyReport(hops=hops, window_s=self._window_s))
        return report

    def _times(self, hop: str, budget: Budget) -> HopTimes:
        found = self.quantiles(hop)
        p50, p95, p99 = (round(value, 4) for value in found) if found else (None, None, None)
        return HopTimes(
            hop=hop,
            count=self.count(hop),
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            budget_ms=budget,
            uncertainty_ms=self._uncertainty_ms(hop) if found else None,
            ok=found is None or all(value <= limit for value, limit in zip(found, budget, strict=True)),
        )

    def export(self) -> None:
        """Publish quantiles and counts as metrics, worked out at each scrape."""
        for hop in self._budgets:
            _samples.labels(hop).set_function(partial(self.count, hop))
            for place, quantile in enumerate(QUANTILES):
                _quantile_ms.labels(hop, str(quantile)).set_function(partial(self._quantile, hop, place))

    def _quantile(self, hop: str, place: int) -> float:
        found = self.quantiles(hop)
        return found[place] if found else math.nan
