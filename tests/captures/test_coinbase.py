"""The captured Coinbase session against counts with ``json`` and dicts alone."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from tests.captures.replaying import Replay, received, replay
from tests.venues.captures import session

from tickcast.model.record import Flag, Kind, Side, State
from tickcast.venues.base import VenueConfig
from tickcast.venues.coinbase.venue import CoinbaseVenue
from tickcast.venues.declared.venue import Acknowledged, Listed

pytestmark = pytest.mark.captures

PART1 = "cryptofeed/COINBASE/COINBASE_20260809T210548Z_advanced_trade_part1.jsonl.xz"
Frames = list[tuple[str, bytes, int]]
Quote = tuple[int, str, str, Decimal, Decimal]
"""Frame, symbol, side, price, size."""


def time_ns(text: str) -> int:
    found = re.fullmatch(r"(.{19})\.(\d+)Z", text)
    assert found is not None, text
    second = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    return int(second.timestamp()) * 1_000_000_000 + int(found[2].ljust(9, "0"))


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return list(session(PART1))


@pytest.fixture(scope="module")
def frames(records: list[dict[str, Any]]) -> Frames:
    return received(records)


@pytest.fixture(scope="module")
def listed(records: list[dict[str, Any]]) -> list[Listed]:
    venue = CoinbaseVenue(VenueConfig(venue="COINBASE"))
    (answer,) = (one["data"] for one in records if one["t"] == "http")
    return list(venue.listed(venue.listing()[0], answer.encode()))


@pytest.fixture(scope="module")
def done(frames: Frames, listed: list[Listed]) -> Replay:
    return replay(CoinbaseVenue(VenueConfig(venue="COINBASE")), listed, frames)


def plain_books(frames: Frames) -> tuple[dict[str, dict[str, dict[Decimal, Decimal]]], list[Quote]]:
    """Books at the end, and every change of a best price or its size."""
    books: dict[str, dict[str, dict[Decimal, Decimal]]] = {}
    best: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    quotes: list[Quote] = []
    for place, (_, raw, _) in enumerate(frames):
        message = json.loads(raw)
        if message["channel"] != "l2_data":
            continue
        for event in message["events"]:
            name = event["product_id"]
            if event["type"] == "snapshot":
                books[name] = {"bid": {}, "offer": {}}
            for change in event["updates"]:
                side = books[name][change["side"]]
                price, size = Decimal(change["price_level"]), Decimal(change["new_quantity"])
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)
            bids, asks = books[name]["bid"], books[name]["offer"]
            assert max(bids) < min(asks), place
            for word, price, size in (("bid", max(bids), bids[max(bids)]), ("offer", min(asks), asks[min(asks)])):
                if best.get((name, word)) != (price, size):
                    best[name, word] = price, size
                    quotes.append((place, name, word, price, size))
    return books, quotes


def test_the_list_tells_steps_and_leaves_out_what_has_no_data_of_its_own(
    records: list[dict[str, Any]], listed: list[Listed]
) -> None:
    (answer,) = (one["data"] for one in records if one["t"] == "http")
    products = {one["product_id"]: one for one in json.loads(answer)["products"] if not one["alias"]}
    assert {one.native for one in listed} == products.keys()
    assert len({one.symbol for one in listed}) == len(listed)
    for one in listed:
        product = products[one.native]
        assert (one.tick_size, one.lot_size) == (product["price_increment"], product["base_increment"])
        assert (one.state is State.LIVE) == (product["status"] == "online")


def test_every_frame_is_understood(done: Replay, frames: Frames) -> None:
    assert (done.dead, done.breaks, done.feed.drift()) == ([], [], [])
    counted = [json.loads(raw)["channel"] for _, raw, _ in frames]
    statistics = done.feed.statistics()
    for channel in ("l2_data", "market_trades", "ticker", "heartbeats", "candles"):
        assert statistics[channel]["frames"] == counted.count(channel)
    assert len(done.cold) == counted.count("subscriptions")
    assert all(isinstance(one, Acknowledged) for one in done.cold)
    assert [json.loads(raw)["sequence_num"] for _, raw, _ in frames] == list(range(len(frames)))


def test_trades_are_those_of_the_venue_oldest_first(done: Replay, frames: Frames) -> None:
    expected = []
    for place, (_, raw, _) in enumerate(frames):
        message = json.loads(raw)
        if message["channel"] != "market_trades":
            continue
        for event in message["events"]:
            for trade in reversed(event["trades"]):
                aggressor = {"SELL": Side.BUYER, "BUY": Side.SELLER}[trade["side"]]
                history = event["type"] == "snapshot"
                expected.append((place, trade["product_id"], int(trade["trade_id"]), Decimal(trade["price"]),
                                 Decimal(trade["size"]), aggressor, time_ns(trade["time"]), history))  # fmt: skip
    found = [
        (row.frame, row.symbol, row.id, row.price, row.size, row.side, row.ts_event, bool(row.flags & Flag.HISTORY))
        for row in done.of(Kind.TRADE)
    ]
    assert found == expected
    assert len(found) == 248


def test_trade_ids_have_no_hole(done: Replay) -> None:
    assert done.of(Kind.GAP) == []
    for symbol in ("BTC-USD", "ETH-USD"):
        ids = [row.id for row in done.of(Kind.TRADE) if row.symbol == symbol]
        assert ids == list(range(ids[0], ids[0] + len(ids)))


def test_the_side_is_the_makers(done: Replay) -> None:
    """A buyer's aggression is at the ask: held against the book before the trade, without history."""
    best: dict[tuple[str, Kind], Decimal | None] = {}
    agreed = 0
    for row in done.rows:
        if row.kind in {Kind.BID, Kind.ASK}:
            best[row.symbol, row.kind] = row.price
        elif row.kind is Kind.TRADE and not row.flags & Flag.HISTORY:
            bid, ask = best.get((row.symbol, Kind.BID)), best.get((row.symbol, Kind.ASK))
            if bid is None or ask is None or row.price not in {bid, ask}:
                continue
            assert (row.side is Side.BUYER) == (row.price == ask), row
            agreed += 1
    assert agreed >= 20


def test_best_bid_and_offer_and_the_whole_books(done: Replay, frames: Frames) -> None:
    books, quotes = plain_books(frames)
    word = {Kind.BID: "bid", Kind.ASK: "offer"}
    rows = done.of(Kind.BID, Kind.ASK)
    assert [(row.frame, row.symbol, word[row.kind], row.price, row.size) for row in rows] == quotes
    for name, sides in books.items():
        assert done.book(name) == (sides["bid"], sides["offer"])
        assert done.states(name) == [State.SYNCING, State.LIVE]
    assert sum(map(len, (side for sides in books.values() for side in sides.values()))) > 69_000


def test_the_time_of_a_book_is_that_of_the_event(done: Replay, frames: Frames) -> None:
    for row in done.of(Kind.BID, Kind.ASK):
        (event,) = json.loads(frames[row.frame][1])["events"]
        assert row.ts_event == time_ns(event["updates"][0]["event_time"])


def test_figures_of_the_day(done: Replay, frames: Frames) -> None:
    keys = {Kind.HIGH_24H: "high_24_h", Kind.LOW_24H: "low_24_h", Kind.VOLUME_24H: "volume_24_h"}
    last: dict[tuple[str, Kind], Decimal] = {}
    expected = []
    for place, (_, raw, _) in enumerate(frames):
        message = json.loads(raw)
        for event in message["events"] if message["channel"] == "ticker" else ():
            for ticker in event["tickers"]:
                for kind, key in keys.items():
                    if last.get((ticker["product_id"], kind)) != Decimal(ticker[key]):
                        last[ticker["product_id"], kind] = Decimal(ticker[key])
                        expected.append((place, ticker["product_id"], kind, Decimal(ticker[key])))
    found = [(row.frame, row.symbol, row.kind, row.size if row.price is None else row.price) for row in done.of(*keys)]
    assert found == expected


def test_with_a_ticker_in_place_of_the_book_it_quotes(frames: Frames, listed: list[Listed]) -> None:
    found = replay(CoinbaseVenue(VenueConfig(venue="COINBASE")), listed, frames, quotes=True)
    tickers = [place for place, (_, raw, _) in enumerate(frames) if json.loads(raw)["channel"] == "ticker"]
    quoted = {row.frame for row in found.of(Kind.BID, Kind.ASK)}
    assert quoted <= set(tickers)
    assert len(quoted) > 20


@pytest.mark.parametrize("lost", [3, 35, 100, 300])
def test_one_lost_message_breaks_every_book_of_the_connection_at_once(
    frames: Frames, listed: list[Listed], lost: int
) -> None:
    """Whatever was lost: an update (100, 300), a heartbeat (35), candles (3)."""
    found = replay(CoinbaseVenue(VenueConfig(venue="COINBASE")), listed, frames[:lost] + frames[lost + 1 :])
    if lost == 3:  # before both snapshots: nothing was whole
        assert found.states("BTC-USD")[-1] is State.LIVE
        return
    assert {(one.reason, one.scope) for one in found.breaks} == {("counter", "connection")}
    assert {found.symbols[one.instrument] for one in found.breaks} == {"BTC-USD", "ETH-USD"}
    for symbol in ("BTC-USD", "ETH-USD"):
        assert found.states(symbol) == [State.SYNCING, State.LIVE, State.GAP]
        after = [row for row in found.of(Kind.BID, Kind.ASK) if row.symbol == symbol and row.frame >= lost]
        assert after == []
    gaps = found.of(Kind.GAP)
    assert {row.symbol for row in gaps} == {"BTC-USD", "ETH-USD"}
