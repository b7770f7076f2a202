"""Prices of derivatives: what must hold between them, whatever the numbers are."""

from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.sim.crypto.rig import START_NS, Rig

from tickcast.sim.crypto.derive import CARRY, SWING, YEAR_NS, black, volatility
from tickcast.sim.crypto.listing import of_kind

FORWARDS = some.floats(10.0, 1e5)
RATIOS = some.floats(0.7, 1.4)
YEARS = some.floats(0.02, 2.0)


@given(FORWARDS, RATIOS, YEARS)
def test_call_and_put_differ_by_forward_less_strike(forward: float, ratio: float, years: float) -> None:
    strike, sigma = forward * ratio, volatility(ratio)
    call, of_call = black(forward, strike, years, sigma=sigma, call=True)
    put, of_put = black(forward, strike, years, sigma=sigma, call=False)
    assert isclose(call - put, forward - strike, rel_tol=1e-9, abs_tol=1e-7 * forward)
    assert isclose(of_call.delta - of_put.delta, 1.0, abs_tol=1e-12)
    assert (of_call.gamma, of_call.vega, of_call.theta) == (of_put.gamma, of_put.vega, of_put.theta)
    assert call >= max(forward - strike, 0.0) - 1e-7 * forward
    assert 0.0 <= of_call.delta <= 1.0


@given(FORWARDS, RATIOS, YEARS)
def test_greeks_are_the_slopes_of_the_value(forward: float, ratio: float, years: float) -> None:
    strike, sigma, step = forward * ratio, volatility(ratio), forward * 1e-4
    (up, _), (down, _) = (black(forward + by, strike, years, sigma=sigma, call=True) for by in (step, -step))
    (more, _), (less, _) = (black(forward, strike, years, sigma=sigma + by, call=True) for by in (1e-4, -1e-4))
    middle, greeks = black(forward, strike, years, sigma=sigma, call=True)
    assert isclose((up - down) / (2 * step), greeks.delta, abs_tol=1e-3)
    assert isclose((up - 2 * middle + down) / step**2, greeks.gamma, rel_tol=0.02, abs_tol=1e-4 / forward)
    assert isclose((more - less) / 2e-4 / 100, greeks.vega, rel_tol=0.01, abs_tol=1e-6 * forward)


def test_a_smile_is_lowest_at_the_money() -> None:
    assert volatility(1.0) < volatility(0.8)
    assert volatility(1.0) < volatility(1.2)


@pytest.mark.parametrize("word", ["okx", "bybit", "deribit", "binance_futures"])
def test_derivatives_keep_near_what_they_derive_from(word: str) -> None:
    rig = Rig(word)
    rig.run(2000)
    for one in rig.venue.instruments:
        rig.venue.derive(one)
    for product in of_kind([one.product for one in rig.venue.instruments], "perpetual", "future"):
        one = next(each for each in rig.venue.instruments if each.product is product)
        mark = float(one.price(one.mark))
        carried = CARRY * max(product.expiry_ns - START_NS, 0) / YEAR_NS
        assert mark == pytest.approx(one.index_price * (1 + carried), rel=2 * SWING + 1e-3), product.symbol
        assert (one.funding != 0) == (product.kind == "perpetual")
        assert one.open_interest > 0


def test_options_of_a_venue_follow_put_call_parity() -> None:
    rig = Rig("deribit")
    options = {one.product.symbol: one for one in rig.venue.instruments if one.product.kind == "option"}
    for one in options.values():
        rig.venue.derive(one)
    checked = 0
    for symbol, call in options.items():
        put = options.get(symbol.removesuffix("C") + "P")
        if symbol.endswith("C") and put is not None:
            forward = call.underlying_price
            difference = (float(call.price(call.mark)) - float(put.price(put.mark))) * forward
            assert difference == pytest.approx(forward - call.product.strike, abs=5.1e-4 * forward)  # ticks of 0.0005
            checked += 1
    assert checked > 2


def test_the_same_time_is_the_same_price_at_every_venue() -> None:
    first, second = Rig("okx"), Rig("bybit")
    first.run(1000)
    second.run(1000)
    spots = [next(one for one in rig.venue.instruments if one.product.symbol == "BTC-USDT") for rig in (first, second)]
    for rig, one in zip((first, second), spots, strict=True):
        rig.venue.derive(one)
    assert spots[0].index_price == spots[1].index_price
