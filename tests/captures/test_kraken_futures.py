"""The captured session of Kraken Futures, against counts with ``json`` and dicts alone."""

import json
from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

import pytest
from tests.captures.replaying import Replay, received, replay
from tests.venues.captures import session

from tickcast.model.record import Flag, Kind, Side, State
from tickcast.venues.base import VenueConfig
from tickcast.venues.declared.venue import Acknowledged, Alive, Listed
from tickcast.venues.kraken_futures.venue import KrakenFuturesVenue

pytestmark = pytest.mark.captures

FILE = "cryptofeed/KRAKEN_FUTURES/KRAKEN_FUTURES_20210722T230207Z.jsonl.xz"
MS = 1_000_000
Frames = list[tuple[str, bytes, int]]


def make() -> KrakenFuturesVenue:
    return KrakenFuturesVenue(VenueConfig(venue="KRAKEN_FUTURES"))


def symbol(native: str) -> str:
    kind, pair, *day = native.split("_")
    assert kind in {"PI", "FI"}
    return f"{pair.removesuffix('USD').replace('XBT', 'BTC')}-USD-{f'20{day[0]}' if day else 'PERP'}"


def messages(frames: Frames, feed: str) -> list[tuple[int, Any]]:
    """Place and message of a feed; the answers to subscriptions name it too."""
    read = ((place, json.loads(raw, parse_float=str, parse_int=str)) for place, (_, raw, _) in enumerate(frames))
    return [(place, one) for place, one in read if one.get("feed") == feed and "event" not in one]


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return list(session(FILE))


@pytest.fixture(scope="module")
def frames(records: list[dict[str, Any]]) -> Frames:
    return received(records)


@pytest.fixture(scope="module")
def listed(records: list[dict[str, Any]]) -> list[Listed]:
    venue = make()
    (answer,) = (one["data"] for one in records if one["t"] == "http")
    return list(venue.listed(venue.listing()[0], answer.encode()))


@pytest.fixture(scope="module")
def done(frames: Frames, listed: list[Listed]) -> Replay:
    return replay(make(), listed, frames)


def test_the_list_of_that_day(records: list[dict[str, Any]], listed: list[Listed]) -> None:
    (answer,) = (one["data"] for one in records if one["t"] == "http")
    contracts = [one for one in json.loads(answer)["instruments"] if one["type"] == "futures_inverse"]
    assert [one.symbol for one in listed] == [symbol(one["symbol"].upper()) for one in contracts]
    assert {one.contract_size for one in listed} == {"1"}
    assert {one.lot_size for one in listed} == {"1"}
    ends = {one.symbol: one.expiry for one in listed}
    assert (ends["BTC-USD-20210924"], ends["BTC-USD-PERP"]) == ("2021-09-24T15:00:00Z", None)


def test_the_recorders_subscriptions_name_the_same_products(records: list[dict[str, Any]], done: Replay) -> None:
    found = make().recorded([], [one["data"] for one in records if one["t"] == "send"], [])
    assert {one.symbol for one in found} == {row.symbol for row in done.of(Kind.BID)}
    assert len(found) == 10


def test_every_frame_is_understood(done: Replay, frames: Frames) -> None:
    assert (done.dead, done.breaks, done.feed.drift()) == ([], [], [])
    feeds = ("book", "book_snapshot", "trade", "trade_snapshot", "ticker_lite")
    counts = {feed: len(messages(frames, feed)) for feed in feeds}
    statistics = done.feed.statistics()
    assert {feed: statistics[feed]["frames"] for feed in feeds} == counts
    assert counts == {"book": 7014, "book_snapshot": 10, "trade": 3, "trade_snapshot": 10, "ticker_lite": 107}
    assert Counter(type(one) for one in done.cold) == {Acknowledged: 30, Alive: 1}
    assert sum(counts.values()) + len(done.cold) == len(frames)


def test_every_book_is_chained_and_ends_as_an_independent_one(done: Replay, frames: Frames) -> None:
    books: dict[str, tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]] = {}
    last: dict[str, int] = {}
    begun = dict(messages(frames, "book_snapshot"))
    for place, one in sorted([*begun.items(), *messages(frames, "book")]):
        name = one["product_id"]
        if place in begun:
            sides = ({Decimal(row["price"]): Decimal(row["qty"]) for row in one[side]} for side in ("bids", "asks"))
            books[name] = tuple(sides)  # type: ignore[assignment]
        else:
            assert int(one["seq"]) == last[name] + 1
            side, price = books[name][one["side"] == "sell"], Decimal(one["price"])
            side[price] = Decimal(one["qty"])
            if not side[price]:
                del side[price]
        last[name] = int(one["seq"])
        assert max(books[name][0]) < min(books[name][1])
    for name, expected in books.items():
        assert done.book(symbol(name)) == expected
        assert done.states(symbol(name)) == [State.SYNCING, State.LIVE]
    assert len(books) == 10


def test_the_best_bid_and_offer_follows_the_books(done: Replay, frames: Frames) -> None:
    begun = dict(messages(frames, "book_snapshot"))
    sides: dict[str, dict[str, dict[Decimal, Decimal]]] = defaultdict(lambda: {"buy": {}, "sell": {}})
    told: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    expected = []
    for place, one in sorted([*begun.items(), *messages(frames, "book")]):
        name = one["product_id"]
        rows = [(one["side"], one)] if place not in begun else [("buy", row) for row in one["bids"]]
        rows += [("sell", row) for row in one["asks"]] if place in begun else []
        for word, row in rows:
            sides[name][word][Decimal(row["price"])] = Decimal(row["qty"])
        for word, best in (("buy", max), ("sell", min)):
            levels = {price: size for price, size in sides[name][word].items() if size}
            top = best(levels), levels[best(levels)]
            if told.get((name, word)) != top:
                told[name, word] = top
                kind = Kind.BID if word == "buy" else Kind.ASK
                expected.append((place, symbol(name), kind, *top, int(one["timestamp"]) * MS))
    found = [
        (row.frame, row.symbol, row.kind, row.price, row.size, row.ts_event) for row in done.of(Kind.BID, Kind.ASK)
    ]
    assert found == expected
    assert len(found) > 300


def test_trades_are_those_of_the_venue(done: Replay, frames: Frames) -> None:
    rows = [(place, row, True) for place, one in messages(frames, "trade_snapshot") for row in one["trades"][::-1]]
    rows += [(place, one, False) for place, one in messages(frames, "trade")]
    expected = [
        (
            place,
            symbol(row["product_id"]),
            int(row["seq"]),
            Decimal(row["price"]),
            Decimal(row["qty"]),
            Side.BUYER if row["side"] == "buy" else Side.SELLER,
            int(row["time"]) * MS,
            history,
        )
        for place, row, history in sorted(rows, key=lambda one: one[0])
    ]
    found = [
        (row.frame, row.symbol, row.id, row.price, row.size, row.side, row.ts_event, bool(row.flags & Flag.HISTORY))
        for row in done.of(Kind.TRADE)
    ]
    assert found == expected
    assert len(found) == 1003
    assert done.of(Kind.GAP, Kind.LIQUIDATION) == []


def test_the_volume_of_the_day(done: Replay, frames: Frames) -> None:
    last = {symbol(one["product_id"]): Decimal(one["volume"]) for _, one in messages(frames, "ticker_lite")}
    assert {row.symbol: row.price for row in done.of(Kind.VOLUME_24H)} == last


def test_a_lost_difference_breaks_that_book_only(done: Replay, frames: Frames, listed: list[Listed]) -> None:
    lost = [place for place, one in messages(frames, "book") if one["product_id"] == "PI_LTCUSD"][20]
    found = replay(make(), listed, frames[:lost] + frames[lost + 1 :])
    assert [(found.symbols[one.instrument], one.reason, one.scope) for one in found.breaks] == [
        ("LTC-USD-PERP", "chain", "instrument")
    ]
    assert found.states("LTC-USD-PERP") == [State.SYNCING, State.LIVE, State.GAP]
    (gap,) = found.of(Kind.GAP)
    assert gap.id == 1
    others = {row.symbol for row in done.of(Kind.BID)} - {"LTC-USD-PERP"}
    assert {found.states(name)[-1] for name in others} == {State.LIVE}
    assert len(others) == 9
