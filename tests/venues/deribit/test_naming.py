"""Names of Deribit in the house symbology."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast.model.symbols import split_name
from tickcast.venues.deribit.naming import MONTHS, index_symbol, named


@pytest.mark.parametrize(
    ("native", "symbol", "asset_class"),
    [
        ("BTC-PERPETUAL", "BTC-USD-PERP", "perpetual"),
        ("ETH_USDC-PERPETUAL", "ETH-USDC-PERP", "perpetual"),
        ("BTC-27MAR26", "BTC-USD-20260327", "future"),
        ("BTC-3JAN26", "BTC-USD-20260103", "future"),
        ("BTC_USDC-27MAR26", "BTC-USDC-20260327", "future"),
        ("BTC-27MAR26-50000-C", "BTC-USD-20260327-50000-C", "option"),
        ("BTC_USDC-27MAR26-50000-P", "BTC-USDC-20260327-50000-P", "option"),
        ("XRP_USDC-30JUN23-0d625-C", "XRP-USDC-20230630-0.625-C", "option"),
        ("BTCDVOL_USDC-25FEB26", "BTCDVOL-USDC-20260225", "future"),
        ("STETH_USDC", "STETH-USDC", "crypto"),
    ],
)
def test_names(native: str, symbol: str, asset_class: str) -> None:
    found = named(native)
    assert found is not None
    assert (found.symbol, found.asset_class) == (symbol, asset_class)


@pytest.mark.parametrize(
    "native",
    ["BTC-FS-19MAY26_PERP", "BTC-CS-19MAY26-70000_75000", "BTC", "", "btc_usd", "BTC-27FOO26", "BTC-27MAR26-5-X"],
)
def test_combos_and_other_words_are_no_instruments(native: str) -> None:
    assert named(native) is None


@given(
    pair=st.sampled_from([("BTC", "BTC-USD"), ("ETH", "ETH-USD"), ("SOL_USDC", "SOL-USDC")]),
    date=st.tuples(st.integers(1, 31), st.integers(1, 12), st.integers(16, 40)),
    strike=st.integers(1, 10**6),
    right=st.sampled_from("CP"),
)
def test_options(pair: tuple[str, str], date: tuple[int, int, int], strike: int, right: str) -> None:
    day, month, year = date
    found = named(f"{pair[0]}-{day}{MONTHS[month - 1]}{year}-{strike}-{right}")
    assert found is not None
    expected = f"{pair[1]}-20{year}{month:02}{day:02}-{strike}-{right}"
    assert (found.symbol, found.linear, found.strike) == (expected, "_" in pair[0], str(strike))
    assert split_name(f"DERIBIT:{found.symbol}") == ("DERIBIT", expected)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    found = named(text)
    if found is not None:
        assert split_name(f"DERIBIT:{found.symbol}")[1] == found.symbol
    index = index_symbol(text)
    assert index is None or split_name(index) == (None, index)


def test_indices() -> None:
    assert index_symbol("btc_usd") == "BTC-USD-INDEX"
    assert index_symbol("btcdvol_usdc") == "BTCDVOL-USDC-INDEX"
    assert index_symbol("BTC-PERPETUAL") is None
