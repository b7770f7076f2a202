"""The captured Poloniex session, against books and trades made by plain JSON."""

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from tests.captures.replayed import needs_captures, received, replay

from tickcast.model.record import Kind, Side, State
from tickcast.venues.declared.venue import Acknowledged
from tickcast.venues.poloniex.venue import PoloniexVenue

pytestmark = needs_captures
SESSION = "cryptofeed/POLONIEX/POLONIEX_20220821T231157Z_v2.jsonl.xz"
CONN = "POLONIEX.ws.1"
SIDES = {"buy": Side.BUYER, "sell": Side.SELLER}


def rows(channel: str) -> list[tuple[int, str, dict[str, Any]]]:
    """Number of the frame, its action, and its row."""
    return [
        (number, frame.get("action", ""), row)
        for number, frame in enumerate(received(SESSION, CONN))
        if frame["channel"] == channel
        for row in frame.get("data", ())
    ]


def test_every_frame_is_understood() -> None:
    (one,) = replay(PoloniexVenue, SESSION).values()
    assert (one.frames, one.control, one.dead, one.breaks, one.feed.drift()) == (302, 0, [], [], [])
    said = [happening for raw in one.cold for happening in one.venue.cold(raw, "")]
    assert all(isinstance(each, Acknowledged) for each in said)
    assert Counter(channel.name for each in said if isinstance(each, Acknowledged) for channel in each.channels) == {
        "trades": 11,
        "book_lv2": 11,
    }


def test_books_have_twenty_levels_after_every_frame() -> None:
    """Nothing is cut off on our side: the venue tells which levels leave its twenty best."""
    (one,) = replay(PoloniexVenue, SESSION).values()
    books: dict[str, dict[str, dict[Decimal, Decimal]]] = {}
    for _, action, row in rows("book_lv2"):
        if action == "snapshot":
            books[row["symbol"]] = {"bids": {}, "asks": {}}
        for side, levels in books[row["symbol"]].items():
            levels |= {Decimal(price): Decimal(size) for price, size in row[side]}
            for price in [price for price, size in levels.items() if not size]:
                del levels[price]
            assert len(levels) == (11 if (row["symbol"], side) == ("DYP_USDT", "bids") else 20)
    assert len(books) == 11
    for native, book in books.items():
        found = one.feed.book(one.id(native), 0)
        assert [[(Decimal(price), Decimal(size)) for price, size in side] for side in found] == [
            sorted(book["bids"].items(), reverse=True),
            sorted(book["asks"].items()),
        ]
        assert one.feed.state(one.id(native)) == State.LIVE


@pytest.mark.parametrize("place", range(10))
def test_a_lost_difference_breaks_its_book_alone(place: int) -> None:
    told = [(number, row) for number, action, row in rows("book_lv2") if action == "update"]
    last = {row["symbol"]: number for number, row in told}
    followed = [(number, row) for number, row in told if number != last[row["symbol"]]]
    number, row = followed[place * len(followed) // 10]
    (one,) = replay(PoloniexVenue, SESSION, skip=frozenset({number})).values()
    (broken,) = one.breaks
    assert one.natives[broken.instrument][1] == row["symbol"]
    assert (broken.reason, broken.expected, broken.found) == ("chain", row["lastId"], row["id"])


def test_trades_are_those_of_plain_json() -> None:
    (one,) = replay(PoloniexVenue, SESSION).values()
    assert one.trades() == [
        (
            row["symbol"],
            row["id"],
            Decimal(row["price"]),
            Decimal(row["quantity"]),
            SIDES[row["takerSide"]],
            row["createTime"],
        )
        for _, _, row in rows("trades")
    ]
    assert len(one.trades()) == 6


def test_times_are_those_of_the_event() -> None:
    (one,) = replay(PoloniexVenue, SESSION).values()
    wanted = {
        (row["symbol"], row["id"]): row["ts" if action == "snapshot" else "createTime"]
        for _, action, row in rows("book_lv2")
    }
    told = {
        (one.natives[int(row["instrument"])][1], int(row["seq"])): int(row["ts_event"]) // 1_000_000
        for row in one.rows(Kind.BID, Kind.ASK)
    }
    assert told
    assert told.items() <= wanted.items()


def test_the_list_says_steps_and_states() -> None:
    (one,) = replay(PoloniexVenue, SESSION).values()
    assert len(one.listed) == 524
    assert Counter(each.state for each in one.listed.values()) == {State.LIVE: 513, State.HALTED: 11}
    bitcoin = one.listed["", "BTC_USDT"]
    assert (bitcoin.symbol, bitcoin.currency, bitcoin.tick_size, bitcoin.lot_size) == (
        "BTC-USDT",
        "USDT",
        "0.01",
        "0.000001",
    )
    assert one.listed["", "BTS_BTC"].lot_size == "1"
