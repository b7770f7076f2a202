"""Bybit's recorded session and single frames, against counts and books made by plain JSON."""

import json
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from tests.captures.replayed import Replayed, lines, needs_captures, received, replay

from tickcast import _native
from tickcast.model.record import Kind, Side, State
from tickcast.venues.base import VenueConfig
from tickcast.venues.bybit.names import named
from tickcast.venues.bybit.venue import BybitVenue
from tickcast.venues.declared.venue import Acknowledged, Refused

pytestmark = needs_captures
SESSION = "cryptofeed/BYBIT/BYBIT_20260809T212659Z_v5.jsonl.xz"
LINEAR, SPOT = "BYBIT.ws.2", "BYBIT.ws.3"
SIDES = {"Buy": Side.BUYER, "Sell": Side.SELLER}
FIGURES = {
    Kind.MARK: "markPrice",
    Kind.INDEX: "indexPrice",
    Kind.FUNDING: "fundingRate",
    Kind.OPEN_INTEREST: "openInterest",
    Kind.OPEN_24H: "prevPrice24h",
    Kind.HIGH_24H: "highPrice24h",
    Kind.LOW_24H: "lowPrice24h",
    Kind.VOLUME_24H: "volume24h",
    Kind.TURNOVER_24H: "turnover24h",
}


def word(frame: dict[str, Any]) -> str:
    return str(frame.get("topic", "")).partition(".")[0]


def books(conn: str) -> dict[str, tuple[dict[str, str], dict[str, str], int]]:
    """Books of a connection by plain JSON; asserts that their numbers count up by one."""
    found: dict[str, tuple[dict[str, str], dict[str, str], int]] = {}
    for frame in received(SESSION, conn):
        if word(frame) != "orderbook":
            continue
        data = frame["data"]
        bids, asks, last = ({}, {}, data["u"] - 1) if frame["type"] == "snapshot" else found[data["s"]]
        assert data["u"] == last + 1
        for levels, changes in ((bids, data["b"]), (asks, data["a"])):
            for price, size in changes:
                levels[price] = size
                if not Decimal(size):
                    del levels[price]
        found[data["s"]] = bids, asks, data["u"]
    return found


def ordered(levels: dict[str, str], *, best_first: int) -> list[tuple[str, str]]:
    return sorted(levels.items(), key=lambda level: best_first * Decimal(level[0]))


def test_every_frame_is_understood() -> None:
    found = replay(BybitVenue, SESSION, depth=5)
    assert {conn: one.market for conn, one in found.items()} == {LINEAR: "linear", SPOT: "spot"}
    for conn, one in found.items():
        frames = received(SESSION, conn)
        assert (one.frames, one.dead, one.breaks, one.feed.drift()) == (len(frames), [], [], [])
        assert one.control == sum(word(frame) == "kline" for frame in frames) > 0
        assert len(one.cold) == sum("op" in frame for frame in frames) > 0
        for raw in one.cold:
            assert [type(each) for each in one.venue.cold(raw, one.market)] == [Acknowledged]


@pytest.mark.parametrize("conn", [LINEAR, SPOT])
def test_books_are_those_of_plain_json(conn: str) -> None:
    one = replay(BybitVenue, SESSION)[conn]
    expected = books(conn)
    assert sorted(expected) == {LINEAR: ["BTCUSDT", "DOGEUSDT"], SPOT: ["BTCUSDT"]}[conn]
    for native, (bids, asks, last) in expected.items():
        number = one.id(native)
        assert one.feed.book(number, 0) == (ordered(bids, best_first=-1), ordered(asks, best_first=1))
        assert one.feed.last_id(number) == last
        assert one.feed.state(number) == State.LIVE


def test_one_name_is_two_instruments() -> None:
    found = replay(BybitVenue, SESSION)
    linear, spot = found[LINEAR], found[SPOT]
    assert linear.id("BTCUSDT") == _native.instrument_id("BYBIT:BTC-USDT-PERP")
    assert spot.id("BTCUSDT") == _native.instrument_id("BYBIT:BTC-USDT")
    together = Replayed(linear.venue, linear.listed, market="linear")
    together.feed.open_link(1, "spot")
    for record in lines(SESSION):
        if record["t"] == "recv":
            together.link = int(record["conn"] == SPOT)
            together.take(record["data"], 1)
    assert together.breaks == []
    for one in (linear, spot):
        assert together.feed.book(one.id("BTCUSDT"), 0) == one.feed.book(one.id("BTCUSDT"), 0)


@pytest.mark.parametrize("conn", [LINEAR, SPOT])
def test_trades_are_those_of_an_independent_count(conn: str) -> None:
    one = replay(BybitVenue, SESSION)[conn]
    told = [row for frame in received(SESSION, conn) if word(frame) == "publicTrade" for row in frame["data"]]
    expected = [(row["s"], row["i"], Decimal(row["p"]), Decimal(row["v"]), SIDES[row["S"]], row["T"]) for row in told]
    assert one.trades() == expected
    assert len(expected) == {LINEAR: 139, SPOT: 11}[conn]
    assert sum(each[2] * each[3] for each in one.trades()) == sum(Decimal(row["p"]) * Decimal(row["v"]) for row in told)
    assert {int(row["seq"]) for row in one.rows(Kind.TRADE)} == {row["seq"] for row in told}


@pytest.mark.parametrize("conn", [LINEAR, SPOT])
def test_figures_are_the_last_that_were_told(conn: str) -> None:
    one = replay(BybitVenue, SESSION)[conn]
    merged: dict[str, dict[str, str]] = defaultdict(dict)
    for frame in received(SESSION, conn):
        if word(frame) == "tickers":
            merged[frame["data"]["symbol"]] |= frame["data"]
    assert merged
    for native, row in merged.items():
        for kind, name in FIGURES.items():
            assert one.last(native, kind) == (Decimal(row[name]) if name in row else None), (native, kind)
        if conn == LINEAR:
            assert one.last(native, Kind.FUNDING_TIME) == Decimal(row["nextFundingTime"]) / 1000


def test_a_lost_message_is_seen_at_once_in_its_book_alone() -> None:
    frames = received(SESSION, LINEAR)
    updates = [place for place, frame in enumerate(frames) if frame.get("topic") == "orderbook.200.BTCUSDT"]
    lost = updates[5]
    (one, _) = replay(BybitVenue, SESSION, skip=frozenset({lost})).values()
    (found,) = one.breaks
    assert (found.reason, found.scope, found.instrument) == ("chain", "instrument", one.id("BTCUSDT"))
    assert (found.expected, found.found) == (frames[lost]["data"]["u"], frames[updates[6]]["data"]["u"])
    assert one.feed.state(one.id("BTCUSDT")) == State.GAP
    assert one.feed.state(one.id("DOGEUSDT")) == State.LIVE


# ------------------------------------------------------------------ single frames, with the values of other readers


def single(frame: str, market: str, *natives: str, quotes: bool = False) -> Replayed:
    venue = BybitVenue(VenueConfig(venue="BYBIT", depth=5))
    listed = {(market, native): found for native in natives if (found := named(native, market)) is not None}
    one = Replayed(venue, listed, market=market, quotes=quotes)
    one.take(frame, 1)
    assert (one.dead, one.cold) == ([], [])
    return one


def tardis(name: str, topic: str) -> list[tuple[str, list[dict[str, Any]]]]:
    return [
        (json.dumps(one["message"]), one["expected"])
        for one in lines(f"tardis-node/{name}.jsonl")
        if one["message"].get("topic", "").startswith(topic) and one["expected"]
    ]


@pytest.mark.parametrize(("name", "market"), [("bybit-spot", "spot"), ("bybit-options", "option")])
def test_trade_frames(name: str, market: str) -> None:
    frames = tardis(name, "publicTrade")
    assert frames
    for raw, expected in frames:
        one = single(raw, market, *{each["symbol"] for each in expected})
        assert [
            (found, ident, float(price), float(size), side) for found, ident, price, size, side, _ in one.trades()
        ] == [
            (each["symbol"], each["id"], each["price"], each["amount"], SIDES[each["side"].capitalize()])
            for each in expected
        ]


def test_books_of_options() -> None:
    frames = tardis("bybit-options", "orderbook")
    assert len(frames) == 2
    for raw, (expected,) in frames:
        one = single(raw, "option", expected["symbol"])
        number = one.id(expected["symbol"])
        for levels, told in zip(one.feed.book(number, 0), (expected["bids"], expected["asks"]), strict=True):
            assert [(float(price), float(size)) for price, size in levels] == [
                (each["price"], each["amount"]) for each in told
            ]
        assert one.feed.state(number) == State.LIVE
        assert int(one.rows(Kind.STATUS)[-1]["detail"]) == State.LIVE


def test_shapes_of_another_connector() -> None:
    shapes = {one["file"]: one["raw"] for one in lines("nautilus/bybit.jsonl.gz")}
    native = "BTC-6JAN23-17500-C"
    one = single(shapes["ws_ticker_option.json"], "option", native)
    expected = {
        Kind.IV: "0.4896",
        Kind.BID_IV: "0",
        Kind.ASK_IV: "0.514",
        Kind.DELTA: "0.047831",
        Kind.GAMMA: "0.00021453",
        Kind.VEGA: "0.81351067",
        Kind.THETA: "-19.9115368",
        Kind.UNDERLYING: "16815.1",
        Kind.MARK: "7.86976724",
        Kind.INDEX: "16823.73",
        Kind.OPEN_INTEREST: "49.85",
    }
    assert {kind: one.last(native, kind) for kind in expected} == {
        kind: Decimal(text) for kind, text in expected.items()
    }
    assert one.feed.drift() == []
    refused = one.venue.cold(json.dumps(json.loads(shapes["ws_subscription_failure.json"])).encode(), "linear")
    assert [type(each) for each in refused] == [Refused]
