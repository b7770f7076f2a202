import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.ops.config import LatencyConfig
from tickcast.ops.latency import BUCKETS, LARGEST_NS, MIDDLES, LatencyBook, bucket, buckets
from tickcast.runtime.metrics import render

BUDGET = {"bus_read": (0.8, 2.0, 5.0), "end_to_end": (18.0, 38.0, 70.0)}
SECOND = 1_000_000_000


class Time:
    def __init__(self) -> None:
        self.ns = 5 * SECOND

    def __call__(self) -> int:
        return self.ns


@settings(deadline=None)
@given(st.lists(st.integers(-(2**62), 2**62) | st.integers(0, 2**41), min_size=1))
def test_one_and_many_fall_into_the_same_buckets(times: list[int]) -> None:
    assert buckets(np.array(times, np.int64)).tolist() == [bucket(ns) for ns in times]


@settings(deadline=None)
@given(st.integers(0, LARGEST_NS))
def test_the_middle_of_a_bucket_is_near(ns: int) -> None:
    assert 0 <= bucket(ns) < BUCKETS
    assert abs(MIDDLES[bucket(ns)] - ns) <= max(0.5, ns / 64)
    assert bucket(ns) <= bucket(ns + 1)


@pytest.mark.parametrize("many", [False, True])
def test_quantiles_are_those_of_the_sorted_times(many: bool) -> None:
    seed = random.randrange(2**32)
    generator = np.random.default_rng(seed)
    times = (generator.lognormal(13, 2, 5000)).astype(np.int64)
    book = LatencyBook(BUDGET, clock=Time())
    if many:
        book.record("bus_read", times)
    else:
        for ns in times.tolist():
            book.record("bus_read", ns)
    ordered = np.sort(times)
    found = book.quantiles("bus_read")
    assert found is not None
    for value, quantile in zip(found, (0.5, 0.95, 0.99), strict=True):
        exact = ordered[math.ceil(quantile * 5000) - 1] / 1e6
        assert value == pytest.approx(exact, rel=1 / 60), f"seed {seed}"


def test_what_is_older_than_the_window_is_forgotten() -> None:
    time = Time()
    book = LatencyBook(BUDGET, window_s=60, clock=time)
    book.record("bus_read", 1_000_000)
    time.ns += 49 * SECOND
    book.record("bus_read", 2_000_000)
    assert book.count("bus_read") == 2
    time.ns += 10 * SECOND
    assert book.count("bus_read") == 1
    time.ns += 3600 * SECOND
    assert book.quantiles("bus_read") is None
    book.record("bus_read", 1)
    assert book.count("bus_read") == 1


def test_the_snapshot_compares_with_the_budget() -> None:
    book = LatencyBook(BUDGET, clock=Time())
    empty = book.snapshot()
    assert empty["window_s"] == 60.0
    assert empty["hops"][0] == {
        "hop": "bus_read", "count": 0, "p50_ms": None, "p95_ms": None, "p99_ms": None,
        "budget_ms": (0.8, 2.0, 5.0), "ok": True, "uncertainty_ms": None,
    }  # fmt: skip
    book.record("bus_read", np.full(100, 700_000))
    book.record("end_to_end", 71_500_000)
    within, over = book.snapshot()["hops"]
    assert within["ok"] is True
    assert within["count"] == 100
    assert within["p99_ms"] == pytest.approx(0.7, rel=0.02)
    assert over["ok"] is False


def test_an_unknown_hop_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        LatencyBook(BUDGET).record("nowhere", 1)


def test_metrics_follow_the_book() -> None:
    book = LatencyBook(BUDGET, clock=Time())
    book.export()
    book.record("bus_read", -5)
    text = render().decode()
    assert 'tickcast_latency_ms{hop="bus_read",quantile="0.99"} 0.0' in text
    assert 'tickcast_latency_ms{hop="end_to_end",quantile="0.5"} NaN' in text
    assert 'tickcast_latency_samples{hop="bus_read"} 1.0' in text


def test_the_default_hops_in_the_order_of_the_way() -> None:
    assert list(LatencyConfig().budgets()) == [
        "exchange_to_socket", "decode_normalise", "bus_write", "bus_read", "fanout_encode", "fanout_write",
        "end_to_end",
    ]  # fmt: skip
