"""The order flow: deterministic, consistent, never crossed."""

import numpy as np
import pytest

from tickcast.sim import universe as listing
from tickcast.sim.config import Config, MarketConfig
from tickcast.sim.market import ASK, BID, Events, Kind, OrderFlow

START = 1_774_879_200_000_000_000
CONFIG = Config(seed=5, symbols=40, rate=50_000, market=MarketConfig(halt_every_s=1.0, halt_min_s=0.2, halt_max_s=0.4))


def flow_of(config: Config = CONFIG, venue: str = "XNAS") -> OrderFlow:
    universe = listing.build(config)
    return OrderFlow(universe, range(universe.stock_count), config, venue=venue, base=1000)


def run(flow: OrderFlow, *, slices: int = 300, events: float = 200.0) -> list[Events]:
    made = [flow.begin(START).events]
    for number in range(1, slices + 1):
        end = START + number * 10_000_000
        made.append(
            flow.step(start_ns=end - 10_000_000, end_ns=end, elapsed_ns=number * 10_000_000, events=events).events
        )
    return made


def columns(parts: list[Events]) -> list[np.ndarray]:
    names = ("kind", "index", "side", "ref", "other", "price", "size", "ts")
    return [np.concatenate([getattr(part, name) for part in parts]) for name in names]


def test_same_seed_same_flow() -> None:
    first, second = columns(run(flow_of())), columns(run(flow_of()))
    assert all(np.array_equal(one, two) for one, two in zip(first, second, strict=True))
    other = columns(run(flow_of(Config(seed=6, symbols=40, rate=50_000))))
    assert not np.array_equal(first[5][:500], other[5][:500])


def test_flow_makes_the_rate_it_is_asked_for() -> None:
    made = run(flow_of(), slices=200, events=333.3)
    total = sum(len(part) for part in made[1:])
    open_slices = 200 - CONFIG.market.open_after_ms / 10 + 1
    assert total == pytest.approx(333.3 * open_slices, rel=0.02)


class Book:
    """A slow book, an order at a time."""

    def __init__(self) -> None:
        self.orders: dict[int, list[int]] = {}

    def apply(self, row: tuple[int, ...]) -> None:
        kind, index, side, ref, other, price, size = row
        if kind in {Kind.ADD, Kind.ADD_ATTRIBUTED}:
            assert ref not in self.orders
            self.orders[ref] = [index, side, price, size]
        elif kind == Kind.REPLACE:
            old = self.orders.pop(ref)
            assert other not in self.orders
            self.orders[other] = [old[0], old[1], price, size]
        elif kind == Kind.DELETE:
            del self.orders[ref]
        elif kind != Kind.TRADE:
            order = self.orders[ref]
            assert order[:2] == [index, side]
            assert 0 < size <= order[3]
            if kind == Kind.EXECUTE:
                assert price == order[2]
            order[3] -= size
            if not order[3]:
                assert kind != Kind.CANCEL
                del self.orders[ref]


def test_every_order_named_exists_and_books_end_as_the_flow_says() -> None:
    flow, book = flow_of(), Book()
    for part in run(flow):
        for row in zip(*(column.tolist() for column in columns([part])[:7]), strict=True):
            book.apply(row)
    live = flow.live_orders(0)
    held = {
        ref: [index, side, price, size]
        for ref, index, side, price, size in zip(
            *(column.tolist() for column in (live.ref, live.index, live.side, live.price, live.size)), strict=True
        )
    }
    assert held == book.orders
    assert len(held) > 100
    best: dict[tuple[int, int], int] = {}
    for index, side, price, _ in book.orders.values():
        key = (index, side)
        best[key] = max(best.get(key, 0), price) if side == BID else min(best.get(key, 1 << 60), price)
    for index in range(flow.universe.stock_count):
        if (index, BID) in best and (index, ASK) in best:
            assert best[index, ASK] - best[index, BID] > flow.universe.spacing[index]


def test_times_never_go_back_and_stay_in_their_slice() -> None:
    ts = columns(run(flow_of()))[7]
    assert (np.diff(ts) >= 0).all()


def test_venues_agree_on_the_fair_price_and_differ_a_little() -> None:
    here, there = flow_of(), flow_of(venue="XSIM")
    run(here, slices=100)
    run(there, slices=100)
    assert np.array_equal(here.fair.price, there.fair.price)
    assert not np.array_equal(here.anchor, there.anchor)
    assert (np.abs(here.anchor - there.anchor) <= 12 * here.spacing).all()


def test_venues_cross_each_other_for_moments_only() -> None:
    here, there = flow_of(), flow_of(venue="XSIM")
    crossed = seen = 0
    for number in range(1, 301):
        end = START + number * 10_000_000
        bests = []
        for flow in (here, there):
            if number == 1:
                flow.begin(START)
            flow.step(start_ns=end - 10_000_000, end_ns=end, elapsed_ns=number * 10_000_000, events=200.0)
            bests.append(flow.best())
        (bid, _, ask, _), (other_bid, _, other_ask, _) = bests
        both = (ask > 0) & (other_ask > 0)
        seen += int(both.sum())
        crossed += int((both & ((bid >= other_ask) | (other_bid >= ask))).sum())
    assert crossed < seen / 20
