"""The captured session of the older Coinbase feed against counts with ``json`` and dicts alone."""

import json
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from tests.captures.replaying import Replay, received, replay
from tests.captures.test_coinbase import Frames, time_ns
from tests.venues.captures import session

from tickcast.model.record import Flag, Kind, Side, State
from tickcast.venues.base import VenueConfig
from tickcast.venues.coinbase.exchange import CoinbaseExchangeVenue
from tickcast.venues.coinbase.venue import NO_CHANNEL
from tickcast.venues.declared.venue import Acknowledged, Listed, Refused, Status, Unknown

PART = "cryptofeed/COINBASE/COINBASE_20210417T164337Z_exchange_pro.jsonl.xz"
VENUE = CoinbaseExchangeVenue(VenueConfig(venue="COINBASE"))


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return list(session(PART))


@pytest.fixture(scope="module")
def frames(records: list[dict[str, Any]]) -> Frames:
    return received(records)


@pytest.fixture(scope="module")
def listed(records: list[dict[str, Any]]) -> list[Listed]:
    (answer,) = (one["data"] for one in records if one["t"] == "http")
    return list(VENUE.listed(VENUE.listing()[0], answer.encode()))


@pytest.fixture(scope="module")
def done(frames: Frames, listed: list[Listed]) -> Replay:
    return replay(VENUE, listed, frames)


@pytest.mark.captures
def test_every_frame_is_understood(done: Replay, frames: Frames) -> None:
    assert (done.dead, done.breaks, done.feed.drift()) == ([], [], [])
    kinds = Counter(json.loads(raw)["type"] for _, raw, _ in frames)
    statistics = done.feed.statistics()
    for name in ("l2update", "snapshot", "ticker"):
        assert statistics[name]["frames"] == kinds[name]
    assert statistics["match"]["frames"] == kinds["match"] + kinds["last_match"] == 70
    assert [type(one) for one in done.cold] == [Acknowledged] * kinds["subscriptions"]


@pytest.mark.captures
def test_trades_are_those_of_the_venue(done: Replay, frames: Frames) -> None:
    expected = []
    for place, (_, raw, _) in enumerate(frames):
        one = json.loads(raw)
        if one["type"] in {"match", "last_match"}:
            aggressor = {"sell": Side.BUYER, "buy": Side.SELLER}[one["side"]]
            expected.append((place, one["product_id"], one["trade_id"], Decimal(one["price"]), Decimal(one["size"]),
                             aggressor, time_ns(one["time"]), one["type"] == "last_match"))  # fmt: skip
    found = [
        (row.frame, row.symbol, row.id, row.price, row.size, row.side, row.ts_event, bool(row.flags & Flag.HISTORY))
        for row in done.of(Kind.TRADE)
    ]
    assert found == expected
    assert done.of(Kind.GAP) == []


@pytest.mark.captures
def test_books_are_whole_and_say_that_nothing_proves_it(done: Replay, frames: Frames) -> None:
    books: dict[str, dict[str, dict[Decimal, Decimal]]] = {}
    for place, (_, raw, _) in enumerate(frames):
        one = json.loads(raw)
        changes = one.get("changes", [])
        if one["type"] == "snapshot":
            books[one["product_id"]] = {"buy": {}, "sell": {}}
            changes = [[side, *level] for side, key in (("buy", "bids"), ("sell", "asks")) for level in one[key]]
        elif one["type"] != "l2update":
            continue
        book = books[one["product_id"]]
        for side, price, size in changes:
            if Decimal(size):
                book[side][Decimal(price)] = Decimal(size)
            else:
                book[side].pop(Decimal(price), None)
        assert max(book["buy"]) < min(book["sell"]), place
    assert len(books) == 5
    for name, book in books.items():
        assert done.book(name) == (book["buy"], book["sell"])
        assert done.states(name) == [State.SYNCING, State.UNVERIFIED]


@pytest.mark.captures
def test_the_older_list(records: list[dict[str, Any]], listed: list[Listed]) -> None:
    (answer,) = (one["data"] for one in records if one["t"] == "http")
    products = {one["id"]: one for one in json.loads(answer)}
    assert {one.native for one in listed} == products.keys()
    for one in listed:
        assert (one.tick_size, one.lot_size) == (
            products[one.native]["quote_increment"],
            products[one.native]["base_increment"],
        )
    sent = [one["data"] for one in records if one["t"] == "send"]
    assert {one.symbol for one in VENUE.recorded([], sent, [])} <= products.keys()


def test_cold_messages() -> None:
    failure = b'{"type":"error","message":"Failed to subscribe","reason":"no channels"}'
    assert VENUE.cold(failure, "") == [Refused("Failed to subscribe no channels", NO_CHANNEL)]
    product = {
        "id": "BTC-USD", "base_currency": "BTC", "quote_currency": "USD", "base_increment": "1", "quote_increment": "1",
        "status": "offline",
    }  # fmt: skip
    status = json.dumps({"type": "status", "products": [product, {**product, "status": "a word of tomorrow"}]})
    assert VENUE.cold(status.encode(), "") == [Status("BTC-USD", State.HALTED, reason="offline")]
    assert isinstance(VENUE.cold(b'{"type":"auction"}', "")[0], Unknown)
