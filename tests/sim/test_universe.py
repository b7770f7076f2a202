"""Listings: unique, valid for every dialect, a pure function of the seed."""

import re

import numpy as np
import pytest

from tickcast.model.symbols import split_name
from tickcast.sim.config import Config
from tickcast.sim.universe import UNIT, build, decimal_text, previous_close_csv, tick_digits


@pytest.mark.parametrize("symbols", [1, 500, 50_000])
def test_symbols_are_unique_and_fit_their_protocols(symbols: int) -> None:
    universe = build(Config(symbols=symbols))
    assert len(universe.symbols) == len(set(universe.symbols)) == symbols
    stocks = universe.symbols[: universe.stock_count]
    assert all(re.fullmatch(r"[A-Z]{1,8}", name) for name in stocks)
    assert len(stocks) < 65_536, "locate codes are 16 bits"
    assert all(split_name(f"SIM:{name}") for name in universe.symbols)
    price = universe.start * universe.tick // 10_000
    assert (price[: universe.stock_count] * 2 < 2**32).all()
    assert (price[: universe.stock_count] > 0).all()
    assert (universe.lot > 0).all()
    assert (universe.typical > 0).all()
    assert universe.weight.sum() == pytest.approx(1.0)


def test_same_seed_same_prices() -> None:
    one, two, other = build(Config(seed=1)), build(Config(seed=1)), build(Config(seed=2))
    assert np.array_equal(one.start, two.start)
    assert not np.array_equal(one.start, other.start)


def test_previous_closes_have_every_symbol() -> None:
    universe = build(Config(symbols=50))
    lines = previous_close_csv(universe).splitlines()
    assert lines[0] == "symbol,prev_close"
    assert [line.partition(",")[0] for line in lines[1:]] == list(universe.symbols)
    assert all(float(line.partition(",")[2]) > 0 for line in lines[1:])


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (UNIT, 0, "1"),
        (UNIT, 2, "1.00"),
        (18_540 * UNIT // 100, 2, "185.40"),
        (1, 8, "0.00000001"),
        (5 * UNIT, 8, "5.00000000"),
    ],
)
def test_decimals_are_exact(value: int, digits: int, text: str) -> None:
    assert decimal_text(value, digits=digits) == text


def test_digits_of_ticks() -> None:
    assert [tick_digits(tick) for tick in (1, 100, UNIT // 100, UNIT)] == [8, 6, 2, 0]
