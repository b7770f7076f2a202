"""The captured Kraken sessions, v1 and v2, against counts with ``json`` and dicts alone."""

import json
import re
import zlib
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from tests.captures.replaying import Replay, received, replay
from tests.venues.captures import capture, session

from tickcast.model.record import Flag, Kind, Side, State
from tickcast.venues.base import VenueConfig
from tickcast.venues.declared.venue import Acknowledged, Listed, Status
from tickcast.venues.kraken.v1 import KrakenV1Venue
from tickcast.venues.kraken.venue import KrakenVenue

pytestmark = pytest.mark.captures

V1 = "cryptofeed/KRAKEN/KRAKEN_20210417T164852Z_v1.jsonl.xz"
V2 = "tickvault/kraken_v2_book_BTCUSD_20260824.jsonl"
V1_DEPTH = 1000
Frames = list[tuple[str, bytes, int]]
Side2 = dict[Decimal, tuple[str, str]]
"""Price to price and size as written."""


def symbol(pair: str) -> str:
    return pair.replace("/", "-").replace("XBT", "BTC").replace("XDG", "DOGE")


def epoch_ns(text: str) -> int:
    return int(Decimal(text) * 1_000_000_000)


def iso_ns(text: str) -> int:
    found = re.fullmatch(r"(.{19})\.(\d{6})Z", text)
    assert found is not None, text
    second = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    return int(second.timestamp()) * 1_000_000_000 + int(found[2]) * 1000


def crc(bids: Side2, asks: Side2) -> int:
    best = [asks[price] for price in sorted(asks)[:10]] + [bids[price] for price in sorted(bids, reverse=True)[:10]]
    return zlib.crc32("".join(text.replace(".", "").lstrip("0") for level in best for text in level).encode())


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return list(session(V1))


@pytest.fixture(scope="module")
def frames(records: list[dict[str, Any]]) -> Frames:
    return received(records)


@pytest.fixture(scope="module")
def listed(records: list[dict[str, Any]]) -> list[Listed]:
    venue = KrakenV1Venue(VenueConfig(venue="KRAKEN"))
    (answer,) = (one["data"] for one in records if one["t"] == "http")
    return list(venue.listed(venue.listing()[0], answer.encode()))


@pytest.fixture(scope="module")
def done(frames: Frames, listed: list[Listed]) -> Replay:
    return replay(KrakenV1Venue(VenueConfig(venue="KRAKEN")), listed, frames)


def test_the_older_list(records: list[dict[str, Any]], listed: list[Listed]) -> None:
    (answer,) = (one["data"] for one in records if one["t"] == "http")
    pairs = [pair for pair in json.loads(answer)["result"].values() if "wsname" in pair]
    assert [(one.native, one.symbol) for one in listed] == [(pair["wsname"], symbol(pair["wsname"])) for pair in pairs]
    by_name = {one.symbol: one for one in listed}
    assert (by_name["BTC-USD"].tick_size, by_name["BTC-USD"].lot_size) == ("0.1", "0.00000001")
    assert by_name["DOGE-EUR"].tick_size == "0.0000001"


def test_the_recorders_subscriptions_name_the_same_pairs(records: list[dict[str, Any]], done: Replay) -> None:
    sent = [one["data"] for one in records if one["t"] == "send"]
    found = KrakenV1Venue(VenueConfig(venue="KRAKEN")).recorded([], sent, [])
    assert {one.symbol for one in found} == {row.symbol for row in done.of(Kind.BID)}


def test_every_frame_is_understood(done: Replay, frames: Frames) -> None:
    assert (done.dead, done.breaks, done.feed.drift()) == ([], [], [])
    kinds = Counter("event" if raw.startswith(b"{") else json.loads(raw)[-2] for _, raw, _ in frames)
    statistics = done.feed.statistics()
    assert statistics["book"]["frames"] + statistics["book snapshot"]["frames"] == kinds["book-1000"] == 4279
    assert statistics["trade"]["frames"] == kinds["trade"]
    assert statistics["ticker"]["frames"] == kinds["ticker"]
    assert len(done.cold) + statistics["heartbeat"]["frames"] == kinds["event"]
    assert Counter(type(one) for one in done.cold) == {Acknowledged: 30, Status: 3}


def test_every_checksum_is_verified(done: Replay, frames: Frames) -> None:
    sums = sum(raw.count(b'"c":"') for _, raw, _ in frames if b'"book-' in raw)
    assert done.feed.statistics()["checksums"] == {"verified": sums, "failed": 0, "zero": 0}
    assert sums == 4269


class PlainBooks:
    """Books cut to the depth, and every change of a best level."""

    def __init__(self, frames: Frames) -> None:
        self.books: dict[str, tuple[Side2, Side2]] = {}
        self.quotes: list[tuple[int, str, Kind, Decimal, Decimal]] = []
        self._told: dict[tuple[str, Kind], tuple[Decimal, Decimal]] = {}
        for place, (_, raw, _) in enumerate(frames):
            message = json.loads(raw)
            if isinstance(message, list) and message[-2] == f"book-{V1_DEPTH}":
                parts = {key: value for part in message[1:-2] for key, value in part.items()}
                self.take(place, symbol(message[-1]), parts)

    def take(self, place: int, name: str, parts: dict[str, Any]) -> None:
        if "as" in parts:
            self.books[name] = {}, {}
        bids, asks = self.books[name]
        change(bids, parts.get("bs", parts.get("b", [])))
        change(asks, parts.get("as", parts.get("a", [])))
        for price in [*sorted(bids, reverse=True)[V1_DEPTH:], *sorted(asks)[V1_DEPTH:]]:
            (bids if price in bids else asks).pop(price)
        if "c" in parts:
            assert crc(bids, asks) == int(parts["c"]), place
        assert max(bids) < min(asks), place
        for kind, best in ((Kind.BID, bids[max(bids)]), (Kind.ASK, asks[min(asks)])):
            level = Decimal(best[0]), Decimal(best[1])
            if self._told.get((name, kind)) != level:
                self._told[name, kind] = level
                self.quotes.append((place, name, kind, *level))


def change(side: Side2, changes: list[list[str]]) -> None:
    for price, size, *_ in changes:
        if Decimal(size):
            side[Decimal(price)] = price, size
        else:
            side.pop(Decimal(price), None)


def test_best_bid_and_offer_and_the_whole_books(done: Replay, frames: Frames) -> None:
    plain = PlainBooks(frames)
    found = [(row.frame, row.symbol, row.kind, row.price, row.size) for row in done.of(Kind.BID, Kind.ASK)]
    assert found == plain.quotes
    for name, sides in plain.books.items():
        assert done.book(name) == tuple({price: Decimal(level[1]) for price, level in side.items()} for side in sides)
        # a snapshot proves nothing: live begins with the first checksum
        assert done.states(name) == [State.SYNCING, State.UNVERIFIED, State.LIVE]
    assert len(plain.books) == 10


def test_the_time_of_a_book_is_that_of_its_newest_level(done: Replay, frames: Frames) -> None:
    checked = 0
    for row in done.of(Kind.BID, Kind.ASK):
        parts = [part for part in json.loads(frames[row.frame][1])[1:-2] if "as" not in part]
        times = [level[2] for part in parts for levels in part.values() if isinstance(levels, list) for level in levels]
        if times:
            assert row.ts_event == epoch_ns(max(times, key=Decimal))
            checked += 1
        else:
            assert row.ts_event == frames[row.frame][2]
    assert checked > 700


def test_trades_are_those_of_the_venue(done: Replay, frames: Frames) -> None:
    sides = {"b": Side.BUYER, "s": Side.SELLER}
    expected = []
    for place, (_, raw, _) in enumerate(frames):
        message = json.loads(raw)
        if isinstance(message, list) and message[-2] == "trade":
            for price, size, time, side, *_ in message[1]:
                name = symbol(message[-1])
                expected.append((place, name, Decimal(price), Decimal(size), sides[side], epoch_ns(time)))
    found = [(row.frame, row.symbol, row.price, row.size, row.side, row.ts_event) for row in done.of(Kind.TRADE)]
    assert found == expected
    assert len(found) == 10
    assert done.of(Kind.GAP) == []


def test_figures_of_the_day(done: Replay, frames: Frames) -> None:
    keys = {Kind.OPEN_24H: "o", Kind.HIGH_24H: "h", Kind.LOW_24H: "l", Kind.VOLUME_24H: "v"}
    last: dict[tuple[str, Kind], Decimal] = {}
    for _, raw, _ in frames:
        message = json.loads(raw)
        if isinstance(message, list) and message[-2] == "ticker":
            for kind, key in keys.items():
                last[symbol(message[-1]), kind] = Decimal(message[1][key][1])
    found = {}
    for row in done.of(*keys):
        found[row.symbol, row.kind] = row.size if row.price is None else row.price
    assert found == last
    assert len(found) == 40


def test_a_lost_update_is_seen_by_the_next_checksum_of_that_book_only(
    done: Replay, frames: Frames, listed: list[Listed]
) -> None:
    changed = next(row.frame for row in done.of(Kind.BID, Kind.ASK) if row.symbol == "XMR-USD" and row.frame > 2000)
    found = replay(KrakenV1Venue(VenueConfig(venue="KRAKEN")), listed, frames[:changed] + frames[changed + 1 :])
    assert {(found.symbols[one.instrument], one.reason, one.scope) for one in found.breaks} == {
        ("XMR-USD", "checksum", "instrument")
    }
    assert found.states("XMR-USD") == [State.SYNCING, State.UNVERIFIED, State.LIVE, State.GAP]
    broken = next(row.frame for row in found.of(Kind.GAP))
    assert [row for row in found.of(Kind.BID, Kind.ASK) if row.symbol == "XMR-USD" and row.frame > broken] == []
    others = {row.symbol for row in found.of(Kind.BID)} - {"XMR-USD"}
    assert {found.states(name)[-1] for name in others} == {State.LIVE}
    assert len(others) == 9


# ------------------------------------------------------------------ v2


@pytest.fixture(scope="module")
def modern() -> list[bytes]:
    return capture(V2).read_bytes().splitlines()


def replay_modern(lines: list[bytes], *, depth: int = 10) -> Replay:
    venue = KrakenVenue(VenueConfig(venue="KRAKEN", depth=depth))
    one = Listed(native="BTC/USD", symbol="BTC-USD", asset_class="crypto", currency="USD")
    return replay(venue, [one], [("ws", line, 1 + place) for place, line in enumerate(lines)])


def test_v2_every_frame_is_understood_and_every_checksum_verified(modern: list[bytes]) -> None:
    found = replay_modern(modern)
    assert (found.dead, found.breaks, found.feed.drift()) == ([], [], [])
    assert found.feed.statistics()["checksums"] == {"verified": 4, "failed": 0, "zero": 0}
    assert [type(one) for one in found.cold] == [Status, Acknowledged]
    assert found.feed.statistics()["heartbeat"]["frames"] == 2
    assert found.states("BTC-USD") == [State.SYNCING, State.LIVE]


def test_v2_book(modern: list[bytes]) -> None:
    sides: tuple[dict[str, str], dict[str, str]] = {}, {}
    for line in modern:
        message = json.loads(line, parse_float=str)
        for book in message["data"] if message.get("channel") == "book" else ():
            for side, changes in zip(sides, (book["bids"], book["asks"]), strict=True):
                for level in changes:
                    side[level["price"]] = level["qty"]
    expected = tuple({Decimal(price): Decimal(size) for price, size in side.items() if Decimal(size)} for side in sides)
    found = replay_modern(modern)
    assert found.book("BTC-USD") == expected
    assert [len(side) for side in expected] == [10, 10]
    messages = [json.loads(line) for line in modern]
    times = {one["data"][0]["timestamp"] for one in messages if one.get("channel") == "book"}
    assert {row.ts_event for row in found.of(Kind.BID, Kind.ASK)} <= {iso_ns(text) for text in times}


def test_v2_one_digit_breaks_the_book(modern: list[bytes]) -> None:
    wrong = [line.replace(b"0.34775324", b"0.34775325") for line in modern]
    found = replay_modern(wrong)
    assert [(one.reason, one.scope) for one in found.breaks] == [("checksum", "instrument")]
    assert found.states("BTC-USD") == [State.SYNCING, State.LIVE, State.GAP]


def test_v2_trailing_zeros_count(modern: list[bytes]) -> None:
    wrong = [line.replace(b"0.00005100", b"0.000051") for line in modern]
    assert replay_modern(wrong).feed.statistics()["checksums"]["failed"] == 1


def trade(word: str, ident: int, side: str, price: str, time: str) -> bytes:
    row = f'"symbol":"BTC/USD","side":"{side}","price":{price},"qty":0.00012460,"ord_type":"limit","trade_id":{ident}'
    return f'{{"channel":"trade","type":"{word}","data":[{{{row},"timestamp":"{time}"}}]}}'.encode()


def test_v2_trades_tell_history_sides_and_holes() -> None:
    """In the form that the tests of other projects have."""
    time = "2023-10-06T17:35:56.123456Z"
    found = replay_modern(
        [
            trade("snapshot", 10218208, "buy", "105944.20", time),
            trade("update", 10218209, "sell", "105910.50", time),
            trade("update", 10218212, "sell", "105910.50", time),
        ]
    )
    trades = found.of(Kind.TRADE)
    assert [(row.id, row.side, bool(row.flags & Flag.HISTORY)) for row in trades] == [
        (10218208, Side.BUYER, True),
        (10218209, Side.SELLER, False),
        (10218212, Side.SELLER, False),
    ]
    assert (trades[1].price, trades[1].size) == (Decimal("105910.50"), Decimal("0.00012460"))
    assert trades[1].ts_event == iso_ns(time)
    (gap,) = found.of(Kind.GAP)
    assert (gap.id, gap.frame) == (2, 2)
