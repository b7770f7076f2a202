"""Deribit's notifications through the core, by the declared dialect."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.venues.decoding import Row, rows, states
from tests.venues.deribit.messages import notification

from tickcast import _native
from tickcast.model.record import Kind, Side, State
from tickcast.venues.deribit.dialect import DERIBIT, SILENT

PERPETUAL, OPTION, INDEX = 1, 2, 3
NAMES = {"BTC-PERPETUAL": PERPETUAL, "BTC-3JAN26-50000-C": OPTION, "btc_usd": INDEX}


def feed(*, quotes: bool = False) -> _native.JsonFeed:
    found = _native.JsonFeed(msgspec.json.encode(DERIBIT), depth=100)
    for name, instrument in NAMES.items():
        book = instrument != INDEX
        found.define("", name, instrument, book=book, quotes=quotes or not book, state=int(State.LIVE))
    found.open_link(1, "")
    return found


def decode(found: _native.JsonFeed, *frames: bytes) -> _native.JsonDecoded:
    return found.decode(1, list(frames), list(range(1000, 1000 + len(frames))))


def book(last: int, previous: int | None, bids: list[Any], asks: list[Any], name: str = "BTC-PERPETUAL") -> bytes:
    data: dict[str, Any] = {"type": "snapshot" if previous is None else "change", "timestamp": 1_767_427_200_123}
    if previous is not None:
        data["prev_change_id"] = previous
    data |= {"instrument_name": name, "change_id": last, "bids": bids, "asks": asks}
    return notification(f"book.{name}.100ms", data)


SNAPSHOT = book(10, None, [["new", 99.5, 10.0], ["new", 99.0, 20.0]], [["new", 100.0, 30.0]])


def told(decoded: _native.JsonDecoded, *kinds: Kind) -> list[Row]:
    return [row for row in rows(decoded.records) if row.kind in kinds]


def test_a_book_begins_changes_and_loses_levels() -> None:
    found = feed()
    first = decode(found, SNAPSHOT)
    assert (states([first.records]), first.whole) == ([State.SYNCING, State.LIVE], [PERPETUAL])
    change = decode(found, book(12, 10, [["delete", 99.5, 0.0], ["change", 99.0, 5.0]], [["new", 99.75, 1.0]]))
    best = {row.kind: (row.price, row.size) for row in told(change, Kind.BID, Kind.ASK)}
    assert best == {Kind.BID: (Decimal(99), Decimal(5)), Kind.ASK: (Decimal("99.75"), Decimal(1))}
    assert found.book(PERPETUAL, 0) == ([("99.0", "5.0")], [("99.75", "1.0"), ("100.0", "30.0")])
    row = told(change, Kind.BOOK_ASK)[0]
    assert (row.seq, row.ts_event, row.ts_recv) == (12, 1_767_427_200_123_000_000, 1000)


def test_a_broken_chain_is_a_gap_until_the_next_snapshot() -> None:
    found = feed()
    decode(found, SNAPSHOT)
    broken = decode(found, book(15, 13, [["new", 99.25, 1.0]], []))
    (what,) = broken.breaks
    assert (what.instrument, what.reason, what.scope, what.expected, what.found) == (
        PERPETUAL,
        "chain",
        "instrument",
        10,
        13,
    )
    assert states([broken.records]) == [State.GAP]
    assert [row.price for row in told(broken, Kind.BOOK_BID, Kind.BID)] == [None], "its levels are not known"
    again = decode(found, book(20, None, [["new", 98.5, 1.0]], [["new", 101.0, 2.0]]))
    assert (again.whole, found.state(PERPETUAL)) == ([PERPETUAL], int(State.LIVE))
    assert found.book(PERPETUAL, 0) == ([("98.5", "1.0")], [("101.0", "2.0")])


def test_grouped_books_are_whole_and_proved_by_nothing() -> None:
    found = feed()
    data = {"timestamp": 1, "instrument_name": "BTC-PERPETUAL", "change_id": 7, "bids": [[99.5, 10.0]], "asks": []}
    decoded = decode(found, notification("book.BTC-PERPETUAL.none.10.100ms", data))
    assert (found.book(PERPETUAL, 0), decoded.dead_count) == (([("99.5", "10.0")], []), 0)
    again = notification("book.BTC-PERPETUAL.none.10.100ms", {**data, "change_id": 99, "bids": [[98.5, 1.0]]})
    decode(found, again)
    assert (found.book(PERPETUAL, 0), found.state(PERPETUAL)) == (([("98.5", "1.0")], []), int(State.LIVE))


def test_books_of_former_years_have_no_type() -> None:
    found = feed()
    data: dict[str, Any] = {"timestamp": 1, "instrument_name": "BTC-PERPETUAL", "change_id": 7, "bids": [], "asks": []}
    whole = notification("book.BTC-PERPETUAL.raw", {**data, "bids": [["new", 217.75, 712]]})
    change = notification(
        "book.BTC-PERPETUAL.raw", {**data, "change_id": 9, "prev_change_id": 7, "asks": [["new", 218, 1]]}
    )
    assert decode(found, whole, change).breaks == []
    assert found.book(PERPETUAL, 0) == ([("217.75", "712")], [("218", "1")])


def test_trades() -> None:
    found = feed()
    base = {"timestamp": 1_767_427_200_001, "instrument_name": "BTC-PERPETUAL", "tick_direction": 0, "index_price": 1.5}
    trades = [
        {**base, "trade_seq": 5, "trade_id": "39355898", "price": 9598.5, "direction": "sell", "amount": 2000},
        {
            **base,
            "trade_seq": 6,
            "trade_id": "ETH-284830839",
            "price": 1e-7,
            "direction": "buy",
            "amount": 10.0,
            "liquidation": "M",
            "iv": 60.5,
        },
    ]
    decoded = decode(found, notification("trades.BTC-PERPETUAL.100ms", trades))
    first, second = told(decoded, Kind.TRADE)
    assert (first.price, first.size, first.side, first.ident) == (
        Decimal("9598.5"),
        Decimal(2000),
        Side.SELLER,
        39355898,
    )
    assert (first.seq, first.ts_event) == (5, 1_767_427_200_001_000_000)
    assert (second.price, second.side, second.ident) == (
        Decimal("0.0000001"),
        Side.BUYER,
        _native.instrument_id("ETH-284830839"),
    )
    assert list(decoded.texts.values()) == ["ETH-284830839"]
    assert told(decoded, Kind.LIQUIDATION) == []


def test_quotes_with_an_empty_side() -> None:
    found = feed(quotes=True)
    data = {"timestamp": 1, "instrument_name": "BTC-3JAN26-50000-C", "best_bid_price": 0.0, "best_bid_amount": 0.0}
    data |= {"best_ask_price": 0.0015, "best_ask_amount": 4.5}
    found_rows = told(decode(found, notification("quote.BTC-3JAN26-50000-C", data)), Kind.BID, Kind.ASK)
    assert {row.kind: (row.price, row.size) for row in found_rows} == {
        Kind.BID: (None, None),
        Kind.ASK: (Decimal("0.0015"), Decimal("4.5")),
    }


def test_ticker_of_an_option() -> None:
    data = {
        "timestamp": 1_767_427_200_002,
        "instrument_name": "BTC-3JAN26-50000-C",
        "stats": {"volume": None, "price_change": None, "low": None, "high": 0.05},
        "greeks": {"vega": 3.88497, "theta": -28.34113, "rho": 0.66242, "gamma": 0.00058, "delta": 0.62959},
        "mark_price": 0.03847784,
        "mark_iv": 63.21,
        "bid_iv": 0.0,
        "ask_iv": None,
        "underlying_price": 9440.73,
        "open_interest": 533.2,
    }
    found = feed()
    decoded = decode(found, notification("ticker.BTC-3JAN26-50000-C.100ms", data))
    values = {row.kind: row.price for row in rows(decoded.records) if row.kind != Kind.STATUS}
    assert values == {
        Kind.MARK: Decimal("0.03847784"),
        Kind.IV: Decimal("63.21"),
        Kind.BID_IV: Decimal(0),
        Kind.UNDERLYING: Decimal("9440.73"),
        Kind.OPEN_INTEREST: Decimal("533.2"),
        Kind.DELTA: Decimal("0.62959"),
        Kind.GAMMA: Decimal("0.00058"),
        Kind.THETA: Decimal("-28.34113"),
        Kind.VEGA: Decimal("3.88497"),
        Kind.RHO: Decimal("0.66242"),
        Kind.HIGH_24H: Decimal("0.05"),
    }
    data["mark_iv"] = 64
    later = rows(decode(found, notification("ticker.BTC-3JAN26-50000-C.100ms", data)).records)
    assert [(row.kind, row.price) for row in later] == [(Kind.IV, Decimal(64))]


@pytest.mark.parametrize(
    ("channel", "data", "expected"),
    [
        ("deribit_price_index.btc_usd", {"index_name": "btc_usd", "price": 3937.89}, (INDEX, Kind.INDEX, "3937.89")),
        (
            "deribit_volatility_index.btc_usd",
            {"index_name": "btc_usd", "volatility": 129.36},
            (INDEX, Kind.IV, "129.36"),
        ),
        ("perpetual.BTC-PERPETUAL.raw", {"interest": 0.004, "index_price": 7872.8}, (PERPETUAL, Kind.INDEX, "7872.8")),
        (
            "markprice.options.btc_usd",
            [{"instrument_name": "BTC-3JAN26-50000-C", "mark_price": 0.5, "iv": None}],
            (OPTION, Kind.MARK, "0.5"),
        ),
        (
            "incremental_ticker.BTC-PERPETUAL",
            {"type": "change", "instrument_name": "BTC-PERPETUAL", "current_funding": -0.00016281},
            (PERPETUAL, Kind.FUNDING, "-0.00016281"),
        ),
    ],
)  # fmt: skip
def test_figures_of_other_channels(channel: str, data: Any, expected: tuple[int, Kind, str]) -> None:
    decoded = decode(feed(), notification(channel, data))
    found = [(row.instrument, row.kind, row.price) for row in rows(decoded.records) if row.kind != Kind.STATUS]
    assert found == [(expected[0], expected[1], Decimal(expected[2]))]


def test_channels_that_tell_nothing_are_control() -> None:
    frames = [notification(f"{prefix}x", {"tick": 1}) for prefix in SILENT]
    decoded = decode(feed(), *frames)
    assert (decoded.control, decoded.cold, decoded.dead_count, decoded.records) == (len(frames), [], 0, b"")


def test_answers_and_states_are_cold() -> None:
    frames = [
        b'{"jsonrpc":"2.0","id":2,"result":["book.BTC-PERPETUAL.100ms"]}',
        b'{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}',
        notification("instrument.state.any.any", {"instrument_name": "x", "state": "created", "timestamp": 1}),
        notification("platform_state", {"locked": False}),
    ]
    assert [at for at, _ in decode(feed(), *frames).cold] == [0, 1, 2, 3]


@given(
    st.lists(
        st.tuples(st.sampled_from(["new", "change", "delete"]), st.integers(1, 30), st.integers(1, 9)), max_size=40
    )
)
def test_any_changes_end_in_the_book_that_they_say(changes: list[tuple[str, int, int]]) -> None:
    found = feed()
    expected: dict[int, int] = {}
    frames = [book(1, None, [], [["new", 1000, 1]])]
    for number, (word, price, size) in enumerate(changes):
        frames.append(book(number + 2, number + 1, [[word, price, 0 if word == "delete" else size]], []))
        if word == "delete":
            expected.pop(price, None)
        else:
            expected[price] = size
    decoded = decode(found, *frames)
    assert (decoded.dead_count, decoded.breaks) == (0, [])
    assert found.book(PERPETUAL, 0)[0] == [
        (str(price), str(expected[price])) for price in sorted(expected, reverse=True)
    ]
