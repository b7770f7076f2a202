"""Coinbase's declared messages in the core: what the captured session does not show."""

import json
from decimal import Decimal
from typing import Any

import pytest
from tests.captures.replaying import Replay, replay

from tickcast.model.record import Flag, Kind, Side, State
from tickcast.venues.base import VenueConfig
from tickcast.venues.coinbase.venue import CoinbaseVenue
from tickcast.venues.declared.venue import Listed

LISTED = [Listed(native=name, symbol=name, asset_class="crypto", currency="USD") for name in ("BTC-USD", "ETH-USD")]
TIME = "2026-08-09T21:05:48.170326Z"
Event = dict[str, Any]


def book(word: str, product: str, *changes: tuple[str, str, str]) -> Event:
    updates = [
        {"side": side, "event_time": TIME, "price_level": price, "new_quantity": size} for side, price, size in changes
    ]
    return {"type": word, "product_id": product, "updates": updates}


def trades(word: str, *rows: tuple[str, int, str]) -> Event:
    return {
        "type": word,
        "trades": [
            {
                "product_id": product,
                "trade_id": str(ident),
                "price": "10.5",
                "size": "0.00000001",
                "time": TIME,
                "side": side,
            }
            for product, ident, side in rows
        ],
    }


def message(number: int, channel: str, *events: Event) -> bytes:
    return json.dumps(
        {"channel": channel, "timestamp": TIME, "sequence_num": number, "events": events}, separators=(",", ":")
    ).encode()


def run(*frames: bytes, quotes: bool = False) -> Replay:
    venue = CoinbaseVenue(VenueConfig(venue="COINBASE"))
    return replay(venue, LISTED, [("ws", frame, 1 + place) for place, frame in enumerate(frames)], quotes=quotes)


BEGIN = (
    message(
        0,
        "l2_data",
        book("snapshot", "BTC-USD", ("bid", "100", "1"), ("offer", "101", "2")),
        book("snapshot", "ETH-USD", ("bid", "10", "1"), ("offer", "11", "2")),
    ),
)


def test_one_frame_may_tell_of_several_products() -> None:
    found = run(*BEGIN, message(1, "l2_data", book("update", "ETH-USD", ("bid", "10", "0"), ("bid", "9.5", "3")),
                                book("update", "BTC-USD", ("offer", "100.5", "7"))))  # fmt: skip
    assert found.book("BTC-USD") == (
        {Decimal(100): Decimal(1)},
        {Decimal("100.5"): Decimal(7), Decimal(101): Decimal(2)},
    )
    assert found.book("ETH-USD") == ({Decimal("9.5"): Decimal(3)}, {Decimal(11): Decimal(2)})
    assert [(row.symbol, row.kind, row.price) for row in found.of(Kind.BID, Kind.ASK) if row.frame == 1] == [
        ("ETH-USD", Kind.BID, Decimal("9.5")),
        ("BTC-USD", Kind.ASK, Decimal("100.5")),
    ]


def test_history_is_told_by_its_own_event() -> None:
    found = run(message(0, "market_trades", trades("snapshot", ("BTC-USD", 2, "BUY"), ("BTC-USD", 1, "SELL")),
                        trades("update", ("ETH-USD", 9, "SELL"), ("BTC-USD", 3, "BUY"))))  # fmt: skip
    rows = {(row.symbol, row.id): (row.side, bool(row.flags & Flag.HISTORY)) for row in found.of(Kind.TRADE)}
    assert rows == {
        ("BTC-USD", 1): (Side.BUYER, True),
        ("BTC-USD", 2): (Side.SELLER, True),
        ("BTC-USD", 3): (Side.SELLER, False),
        ("ETH-USD", 9): (Side.BUYER, False),
    }


def test_trades_of_one_product_are_told_oldest_first_and_a_hole_is_a_gap() -> None:
    found = run(
        message(0, "market_trades", trades("update", ("BTC-USD", 5, "BUY"), ("BTC-USD", 4, "BUY"))),
        message(1, "market_trades", trades("update", ("BTC-USD", 9, "BUY"), ("BTC-USD", 8, "BUY"))),
    )
    assert [row.id for row in found.of(Kind.TRADE)] == [4, 5, 8, 9]
    (gap,) = found.of(Kind.GAP)
    assert (gap.id, gap.frame) == (2, 1)


@pytest.mark.parametrize("cold", [b'{"channel":"subscriptions","timestamp":"t","sequence_num":1,"events":[]}'])
def test_cold_messages_count(cold: bytes) -> None:
    assert run(*BEGIN, cold, message(2, "heartbeats", {})).breaks == []
    broken = run(*BEGIN, message(2, "heartbeats", {}))
    assert {one.reason for one in broken.breaks} == {"counter"}
    assert [broken.states(name)[-1] for name in ("BTC-USD", "ETH-USD")] == [State.GAP, State.GAP]


def test_errors_have_no_number() -> None:
    found = run(*BEGIN, b'{"type":"error","message":"rate limit"}', message(1, "heartbeats", {}))
    assert found.breaks == []
    assert len(found.cold) == 1


def test_a_new_snapshot_repairs_one_book_and_no_other() -> None:
    found = run(
        *BEGIN,
        message(2, "heartbeats", {}),
        message(3, "l2_data", book("update", "ETH-USD", ("bid", "10.5", "1"))),
        message(4, "l2_data", book("snapshot", "ETH-USD", ("bid", "8", "1"))),
        message(5, "l2_data", book("update", "BTC-USD", ("bid", "100.5", "1"))),
    )
    assert found.states("ETH-USD")[-1] is State.LIVE
    assert found.states("BTC-USD")[-1] is State.GAP
    assert found.book("ETH-USD") == ({Decimal(8): Decimal(1)}, {})
    told = [(row.symbol, row.kind, row.price) for row in found.of(Kind.BID, Kind.ASK) if row.frame > 1]
    assert told == [("ETH-USD", Kind.BID, Decimal(8)), ("ETH-USD", Kind.ASK, None)]


def test_a_crossed_book_is_a_break() -> None:
    found = run(*BEGIN, message(1, "l2_data", book("update", "BTC-USD", ("bid", "101", "1"))))
    assert [(one.reason, one.scope, found.symbols[one.instrument]) for one in found.breaks] == [
        ("crossed", "instrument", "BTC-USD")
    ]
    assert (found.states("BTC-USD")[-1], found.states("ETH-USD")[-1]) == (State.GAP, State.LIVE)


TICKER = {
    "type": "ticker", "product_id": "BTC-USD", "price": "100.2", "volume_24_h": "5", "low_24_h": "99",
    "high_24_h": "103", "best_bid": "100.1", "best_ask": "100.3", "best_bid_quantity": "4", "best_ask_quantity": "6",
}  # fmt: skip


def test_the_ticker_quotes_only_where_the_book_does_not() -> None:
    ticker = message(1, "ticker", {"type": "update", "tickers": [TICKER]})
    by_book, by_ticker = run(*BEGIN, ticker), run(*BEGIN, ticker, quotes=True)
    assert [row.frame for row in by_book.of(Kind.BID)] == [0, 0]
    assert [(row.frame, row.price, row.size) for row in by_ticker.of(Kind.BID, Kind.ASK)] == [
        (1, Decimal("100.1"), Decimal(4)),
        (1, Decimal("100.3"), Decimal(6)),
    ]
    for found in (by_book, by_ticker):
        measures = found.of(Kind.HIGH_24H, Kind.LOW_24H, Kind.VOLUME_24H)
        assert {row.kind for row in measures} == {Kind.HIGH_24H, Kind.LOW_24H, Kind.VOLUME_24H}


def test_a_batched_ticker_has_no_quotes_and_takes_none_away() -> None:
    batch = {key: value for key, value in TICKER.items() if not key.startswith("best")}
    found = run(
        message(0, "ticker", {"type": "update", "tickers": [TICKER]}),
        message(1, "ticker_batch", {"type": "update", "tickers": [batch]}),
        quotes=True,
    )
    assert [row.frame for row in found.of(Kind.BID, Kind.ASK)] == [0, 0]
    assert (found.dead, found.cold) == ([], [])


def test_unknown_products_and_damaged_levels_are_no_news_of_others() -> None:
    found = run(
        *BEGIN,
        message(1, "l2_data", book("update", "DOGE-USD", ("bid", "1", "1"))),
        message(2, "l2_data", book("update", "BTC-USD", ("bid", "one", "1"))),
        message(3, "l2_data", book("update", "ETH-USD", ("bid", "10.5", "1"))),
    )
    assert [found.symbols[one.instrument] for one in found.breaks] == ["BTC-USD"]
    assert (found.states("BTC-USD")[-1], found.states("ETH-USD")[-1]) == (State.GAP, State.LIVE)
    assert [row.price for row in found.of(Kind.BID) if row.frame == 3] == [Decimal("10.5")]
