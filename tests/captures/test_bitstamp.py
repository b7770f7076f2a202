"""The captured session of Bitstamp, against counts with ``json`` and dicts alone."""

import json
from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.captures.replaying import Replay, received, replay
from tests.venues.captures import session

from tickcast.model.record import Kind, Side, State
from tickcast.venues.base import VenueConfig
from tickcast.venues.bitstamp.venue import BitstampVenue
from tickcast.venues.declared.venue import Acknowledged, Listed

pytestmark = pytest.mark.captures

FILE = "cryptofeed/BITSTAMP/BITSTAMP_20220105T004817Z.jsonl.xz"
Frames = list[tuple[str, bytes, int]]
Sides = dict[str, dict[Decimal, Decimal]]


def make() -> BitstampVenue:
    """Its books are told by differences."""
    return BitstampVenue(VenueConfig(venue="BITSTAMP", depth=1000))


def told(frames: Frames, name: str) -> list[tuple[int, str, Any]]:
    """Place, market and data of the messages of a kind of channel."""
    read = ((place, json.loads(raw)) for place, (_, raw, _) in enumerate(frames))
    return [
        (place, one["channel"].removeprefix(f"{name}_"), one["data"])
        for place, one in read
        if one["channel"].startswith(f"{name}_") and not one["event"].startswith("bts:")
    ]


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return list(session(FILE))


@pytest.fixture(scope="module")
def frames(records: list[dict[str, Any]]) -> Frames:
    return received(records)


@pytest.fixture(scope="module")
def listed(records: list[dict[str, Any]]) -> list[Listed]:
    venue = make()
    answer = next(one["data"] for one in records if one["t"] == "http" and "trading-pairs-info" in one["url"])
    return list(venue.listed(venue.listing()[0], answer.encode()))


@pytest.fixture(scope="module")
def books(records: list[dict[str, Any]]) -> dict[str, Any]:
    found = {
        one["url"].rpartition("/")[2]: json.loads(one["data"])
        for one in records
        if "/order_book/" in one.get("url", "")
    }
    assert len(found) == 10
    return found


@pytest.fixture(scope="module")
def done(frames: Frames, listed: list[Listed], books: dict[str, Any]) -> Replay:
    """Differences first, as they came; the recorder asked for the books before it read the first of them."""
    found = replay(make(), listed, frames)
    by_native = {one.native: one.symbol for one in listed}
    instruments = {name: instrument for instrument, name in found.symbols.items()}
    for native, book in books.items():
        found.feed.rest_book(instruments[by_native[native]], msgspec.json.encode(book), frames[-1][2])
    return found


def test_the_older_list(records: list[dict[str, Any]], listed: list[Listed]) -> None:
    answer = next(one["data"] for one in records if one["t"] == "http" and "trading-pairs-info" in one["url"])
    entries = json.loads(answer)
    assert [(one.native, one.symbol) for one in listed] == [
        (entry["url_symbol"], entry["name"].replace("/", "-")) for entry in entries
    ]
    assert {one.state for one in listed} <= {State.LIVE, State.HALTED}


def test_the_recorders_subscriptions_name_the_same_markets(records: list[dict[str, Any]]) -> None:
    config = records[0]["config"]
    sent = [one["data"] for one in records if one["t"] == "send"]
    assert {one.symbol for one in make().recorded([], sent, config["trades"])} == set(config["trades"])


def test_every_frame_is_understood(done: Replay, frames: Frames) -> None:
    assert (done.dead, done.breaks, done.feed.drift()) == ([], [], [])
    statistics = done.feed.statistics()
    assert statistics["diff_order_book"]["frames"] == len(told(frames, "diff_order_book")) == 717
    assert statistics["live_trades"]["frames"] == len(told(frames, "live_trades")) == 10
    assert Counter(type(one) for one in done.cold) == {Acknowledged: 20}
    assert len(frames) == 717 + 10 + 20


def test_times_of_a_market_only_grow(frames: Frames) -> None:
    last: dict[str, int] = {}
    for _, market, data in told(frames, "diff_order_book"):
        assert int(data["microtimestamp"]) > last.get(market, 0)
        last[market] = int(data["microtimestamp"])


def test_books_end_where_an_independent_book_ends(
    done: Replay, frames: Frames, books: dict[str, Any], listed: list[Listed]
) -> None:
    by_native = {one.native: one.symbol for one in listed}
    for native, book in books.items():
        sides: Sides = {
            side: {Decimal(price): Decimal(size) for price, size in book[side]} for side in ("bids", "asks")
        }
        for _, market, data in told(frames, "diff_order_book"):
            if market == native and int(data["microtimestamp"]) > int(book["microtimestamp"]):
                for side, levels in sides.items():
                    for price, size in data[side]:
                        levels[Decimal(price)] = Decimal(size)
        expected = tuple({price: size for price, size in sides[side].items() if size} for side in ("bids", "asks"))
        assert done.book(by_native[native]) == expected, native
        assert max(expected[0]) < min(expected[1])
        instrument = next(one for one, name in done.symbols.items() if name == by_native[native])
        assert State(done.feed.state(instrument)) is State.UNVERIFIED


def test_a_book_of_a_differences_time_agrees_with_what_was_told_before(frames: Frames, books: dict[str, Any]) -> None:
    """What nothing proves at other times: the same microtimestamp is the same book."""
    checked = Counter[str]()
    for native, book in books.items():
        at = int(book["microtimestamp"])
        rows = [data for _, market, data in told(frames, "diff_order_book") if market == native]
        if at not in {int(data["microtimestamp"]) for data in rows}:
            continue
        for side in ("bids", "asks"):
            levels = dict(map(tuple, book[side]))
            before = [level for data in rows if int(data["microtimestamp"]) <= at for level in data[side]]
            for price, size in dict(map(tuple, before)).items():
                assert levels.get(price, "0.00000000") == size
                checked[native] += 1
    assert checked == {"ethusd": 64, "xrpeur": 25}


def test_trades_are_those_of_the_venue(done: Replay, frames: Frames, listed: list[Listed]) -> None:
    by_native = {one.native: one.symbol for one in listed}
    expected = [
        (
            place,
            by_native[market],
            data["id"],
            Decimal(data["price_str"]),
            Decimal(data["amount_str"]),
            Side.SELLER if data["type"] else Side.BUYER,
            int(data["microtimestamp"]) * 1000,
        )
        for place, market, data in told(frames, "live_trades")
    ]
    found = [
        (row.frame, row.symbol, row.id, row.price, row.size, row.side, row.ts_event) for row in done.of(Kind.TRADE)
    ]
    assert found == expected
    assert len(found) == 10
