"""Events as frames: the same columns and dtypes whatever the values are."""

from decimal import Decimal

import pandas as pd
import polars as pl
import pytest

import tickcast
from tickcast.client import Bar, Book, Lost, RequestError, Tick, Trade

TIME = "2026-03-29T14:30:01.234567891Z"
TICK = Tick(
    symbol="AAPL", state="live", epoch=7, seq=3, price=Decimal("185.40"), bid=Decimal("0.001"), timestamp=TIME,
    legs={"live": 1, "of": 2}, crossed=False,
)  # fmt: skip
EMPTY = Tick(symbol="NOPE", state="no_such_symbol")
TRADE = Trade(
    symbol="AAPL", id="1", price=Decimal("185.4"), size=Decimal(7), side="buy", timestamp=TIME,
    conditions=("odd_lot",), seq=3,
)  # fmt: skip
LOST = Lost(symbol="AAPL", count=2, reason="not delivered")
BOOK = Book(
    symbol="AAPL", state="live", timestamp=TIME, bids=((Decimal("1.5"), Decimal(2)), (Decimal(1), Decimal(3))),
    asks=((Decimal("1.75"), Decimal(4)),),
)  # fmt: skip
BAR = Bar(
    symbol="AAPL", interval="1s", start="2026-03-29T14:30:00Z", open=Decimal(1), high=Decimal(2), low=Decimal(1),
    close=None, volume=Decimal(9), notional=None, trades=3, final=True,
)  # fmt: skip


def test_ticks_in_polars_are_exact_and_typed() -> None:
    frame = tickcast.to_polars([TICK, EMPTY])
    assert frame["price"].to_list() == [Decimal("185.40"), None]
    assert frame["bid"].dtype == pl.Decimal(38, 3)
    assert frame["timestamp"].dtype == pl.Datetime("ns", "UTC")
    assert frame["timestamp"].dt.nanosecond().to_list() == [234_567_891, None]
    assert (frame["legs_live"].to_list(), frame["crossed"].to_list()) == ([1, None], [False, None])
    floats = tickcast.to_polars([EMPTY], numbers="float")
    assert floats.columns == frame.columns
    assert (floats["price"].dtype, floats["seq"].dtype) == (pl.Float64(), pl.Int64())


def test_ticks_in_pandas_are_exact_and_typed() -> None:
    frame = tickcast.to_pandas([TICK, EMPTY])
    assert list(frame["price"]) == [Decimal("185.40"), None]
    assert str(frame["timestamp"].dtype) == "datetime64[ns, UTC]"
    assert frame["timestamp"][0].nanosecond == 891
    assert str(frame["timestamp"][1]) == "NaT"
    assert [str(frame[name].dtype) for name in ("seq", "crossed", "symbol")] == ["int64", "boolean", "object"]
    floats = tickcast.to_pandas([TICK, EMPTY], numbers="float")
    assert str(floats["price"].dtype) == "float64"
    assert floats["price"][0] == 185.4
    assert list(floats.columns) == tickcast.to_polars([TICK]).columns


def test_books_have_a_row_for_each_level_and_trades_none_for_what_is_lost() -> None:
    levels = tickcast.to_polars([BOOK])
    assert levels.select("side", "level", "price", "size").rows() == [
        ("bid", 0, Decimal("1.50"), Decimal(2)),
        ("bid", 1, Decimal("1.00"), Decimal(3)),
        ("ask", 0, Decimal("1.75"), Decimal(4)),
    ]
    trades = tickcast.to_polars([LOST, TRADE])
    assert trades.select("id", "price", "conditions").rows() == [("1", Decimal("185.4"), ["odd_lot"])]
    bars = tickcast.to_pandas([BAR])
    assert (bars["trades"][0], bars["final"][0], bars["close"][0]) == (3, True, None)
    assert bars["start"][0] == pd.Timestamp("2026-03-29T14:30:00Z")
    assert len(tickcast.to_pandas([LOST])) == 0


def test_what_makes_no_frame_is_said() -> None:
    with pytest.raises(RequestError, match=r"of one type.*found Tick, Trade"):
        tickcast.to_polars([TICK, TRADE])
    with pytest.raises(RequestError, match="found none"):
        tickcast.to_pandas([])
    with pytest.raises(RequestError, match="decimal or float"):
        tickcast.to_pandas([TICK], numbers="text")  # type: ignore[arg-type]
    long = Tick(symbol="A", state="live", price=Decimal("0.123456789012345678901234567890123456789"))
    with pytest.raises(RequestError, match="38 digits"):
        tickcast.to_polars([long])
    assert tickcast.to_pandas([long])["price"][0] == long.price
