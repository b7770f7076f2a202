"""The captured BitMEX session and single rows, against books and trades made by plain JSON."""

import json
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from tests.captures.replayed import lines, needs_captures, received, replay

from tickcast.model.record import Kind, Side, State
from tickcast.venues.bitmex.names import named
from tickcast.venues.bitmex.venue import BitmexVenue
from tickcast.venues.declared.venue import Acknowledged, Alive

pytestmark = needs_captures
SESSION = "cryptofeed/BITMEX/BITMEX_20210722T223607Z.jsonl.xz"
CONN = "BITMEX.ws.1"
SIDES = {"Buy": Side.BUYER, "Sell": Side.SELLER}


def tables(name: str) -> list[dict[str, Any]]:
    return [frame for frame in received(SESSION, CONN) if frame.get("table") == name]


def books(frames: list[dict[str, Any]]) -> dict[str, dict[tuple[str, int], tuple[Decimal, Decimal]]]:
    """Tables as they are after some frames: rows by their key, with price and size."""
    found: dict[str, dict[tuple[str, int], tuple[Decimal, Decimal]]] = {}
    for frame in frames:
        if frame["action"] == "partial":
            found[frame["filter"]["symbol"]] = {}
        for row in frame["data"]:
            table, key = found[row["symbol"]], (row["side"], row["id"])
            if frame["action"] == "delete":
                del table[key]
            elif frame["action"] == "update":
                table[key] = table[key][0], Decimal(row["size"])
            else:
                assert key not in table
                table[key] = Decimal(str(row["price"])), Decimal(row["size"])
    return found


def test_every_frame_is_understood() -> None:
    (one,) = replay(BitmexVenue, SESSION).values()
    frames = received(SESSION, CONN)
    assert (one.frames, one.dead, one.breaks, one.feed.drift()) == (len(frames), [], [], [])
    said = [type(happening) for raw in one.cold for happening in one.venue.cold(raw, "")]
    assert Counter(said) == {Acknowledged: 30, Alive: 1}
    assert len(one.cold) == sum("table" not in frame for frame in frames)


def test_books_are_the_tables_at_every_frame() -> None:
    (one,) = replay(BitmexVenue, SESSION).values()
    for native, table in books(tables("orderBookL2")).items():
        bids = sorted((level for (side, _), level in table.items() if side == "Buy"), reverse=True)
        asks = sorted(level for (side, _), level in table.items() if side == "Sell")
        found = one.feed.book(one.id(native), 0)
        assert [[(Decimal(price), Decimal(size)) for price, size in side] for side in found] == [bids, asks]
        assert one.feed.state(one.id(native)) == State.UNVERIFIED
    assert len(tables("orderBookL2")) == 10 + 1090 + 445 + 434


def test_a_lost_frame_shows_at_the_next_row_that_names_its_level() -> None:
    frames = received(SESSION, CONN)
    whole = {frame["data"][0]["symbol"]: number for number, frame in enumerate(frames) if is_book(frame, "partial")}
    tried = noticed = 0
    for number, frame in enumerate(frames):
        if not is_book(frame, "insert") or len(frame["data"]) > 1:
            continue
        (row,) = frame["data"]
        later = [
            other["action"]
            for other in frames[number + 1 :]
            if other.get("table") == "orderBookL2"
            and any((each["symbol"], each["id"]) == (row["symbol"], row["id"]) for each in other["data"])
        ]
        if not later or number < whole[row["symbol"]] or tried >= 10:
            continue
        tried += 1
        (one,) = replay(BitmexVenue, SESSION, skip=frozenset({number})).values()
        noticed += [one.natives[broken.instrument][1] for broken in one.breaks] == [row["symbol"]]
    assert tried == noticed == 10


def is_book(frame: dict[str, Any], action: str) -> bool:
    return frame.get("table") == "orderBookL2" and frame["action"] == action


def test_trades_are_those_of_plain_json() -> None:
    (one,) = replay(BitmexVenue, SESSION).values()
    rows = [row for frame in tables("trade") for row in frame["data"]]
    told = one.trades()
    assert [(name, ident, side) for name, ident, _, _, side, _ in told] == [
        (row["symbol"], row["trdMatchID"], SIDES[row["side"]]) for row in rows
    ]
    assert [(price, size) for _, _, price, size, _, _ in told] == [
        (Decimal(str(row["price"])), Decimal(row["size"])) for row in rows
    ]
    history = sum(len(frame["data"]) for frame in tables("trade") if frame["action"] == "partial")
    assert (len(rows), history) == (27, 10)


def test_the_list_says_sizes_of_contracts() -> None:
    (one,) = replay(BitmexVenue, SESSION).values()
    listed = {native: each for (_, native), each in one.listed.items()}
    assert len(listed) == 34
    sizes = {native: (listed[native].symbol, listed[native].contract_size, listed[native].settle_currency) for native in
             ("XBTUSD", "XRPU21", "UNIUSDT", "ETHUSDU21")}  # fmt: skip
    assert sizes == {
        "XBTUSD": ("BTC-USD-PERP", "1", "BTC"),
        "XRPU21": ("XRP-BTC-20210924", "1", "BTC"),
        "UNIUSDT": ("UNI-USDT-PERP", "0.00001", "BTC"),
        "ETHUSDU21": ("ETH-USD-20210924", "0.000001", "BTC"),
    }
    assert listed["TRXU21"].tick_size == "0.0000000001"
    for native, each in listed.items():  # names alone say as much
        if native not in {"ALTMEXUSD", "DEFIMEXUSD"}:
            made = named(native)
            assert made is not None
            assert (made.symbol, made.currency, made.expiry) == (each.symbol, each.currency, each.expiry)


@pytest.mark.parametrize("name", ["ws_instrument.json", "ws_instrument_mark_update.json"])
def test_rows_of_instruments_are_values(name: str) -> None:
    (text,) = [one["raw"] for one in lines("nautilus/bitmex.jsonl.gz") if one["file"] == name]
    row = json.loads(text)
    (one,) = replay(BitmexVenue, SESSION).values()
    native = "XBTUSD"
    frame = json.dumps({"table": "instrument", "action": "update", "data": [row | {"symbol": native}]})
    one.take(frame, 1)
    assert one.dead == []
    assert one.last(native, Kind.MARK) == Decimal(str(row["markPrice"]))
    if "openInterest" in row:
        assert one.last(native, Kind.OPEN_INTEREST) == row["openInterest"]
        assert one.last(native, Kind.INDEX) == Decimal(str(row["indicativeSettlePrice"]))
