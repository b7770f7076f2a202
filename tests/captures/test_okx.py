"""OKX's recorded sessions and single frames, against counts and books made by plain JSON."""

import json
import zlib
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from tests.captures.replayed import Replayed, lines, needs_captures, received, replay

from tickcast import _native
from tickcast.model.record import Kind, Side, State
from tickcast.venues.base import VenueConfig
from tickcast.venues.declared.venue import Acknowledged
from tickcast.venues.okx.names import index_from, named
from tickcast.venues.okx.venue import OkxVenue

pytestmark = needs_captures
SESSIONS = ("cryptofeed/OKX/OKX_20210722T231553Z_v5.jsonl.xz", "cryptofeed/OKX/OKX_20220513T162705Z_v5.jsonl.xz")
SINGLE = "crypto-msg-parser/okx.jsonl"
SIDES = {"buy": Side.BUYER, "sell": Side.SELLER}


def channel(frame: dict[str, Any]) -> str:
    return "" if "event" in frame else frame["arg"]["channel"]


def checksum(bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> int:
    """The venue's checksum: 25 levels, bid and ask by turns."""
    parts: list[str] = []
    for place in range(25):
        for side in (bids, asks):
            if place < len(side):
                parts += side[place]
    found = zlib.crc32(":".join(parts).encode())
    return found - (1 << 32) if found >= 1 << 31 else found


@pytest.mark.parametrize("name", SESSIONS)
def test_every_frame_is_understood(name: str) -> None:
    for conn, one in replay(OkxVenue, name).items():
        frames = received(name, conn)
        assert (one.frames, one.dead, one.breaks, one.feed.drift()) == (len(frames), [], [], [])
        assert len(one.cold) == sum("event" in frame for frame in frames) > 0
        for raw in one.cold:
            argument = json.loads(raw)["arg"]
            (said,) = one.venue.cold(raw, "")
            assert isinstance(said, Acknowledged)
            assert [(each.name, each.native) for each in said.channels] == [(argument["channel"], argument["instId"])]


@pytest.mark.parametrize("name", SESSIONS)
def test_every_checksum_is_that_of_our_book(name: str) -> None:
    every = 0
    for conn, frames in {conn: received(name, conn) for conn in replay(OkxVenue, name)}.items():
        one = Replayed(made := OkxVenue(VenueConfig(venue="OKX")), _listed(made, name))
        books: dict[str, tuple[dict[str, str], dict[str, str]]] = defaultdict(lambda: ({}, {}))
        proofs = 0
        for frame in frames:
            one.take(json.dumps(frame), 1)
            if not channel(frame).startswith("books"):
                continue
            native, (row,) = frame["arg"]["instId"], frame["data"]
            if frame["action"] == "snapshot":
                books[native] = {}, {}
            for levels, changes in zip(books[native], (row["bids"], row["asks"]), strict=True):
                for price, size, *_ in changes:
                    levels[price] = size
                    if not Decimal(size):
                        del levels[price]
            assert checksum(*one.feed.book(one.id(native), 25)) == row["checksum"], (conn, native, proofs)
            proofs += 1
        assert one.feed.statistics()["checksums"] == {"verified": proofs, "failed": 0, "zero": 0}
        for native, (bids, asks) in books.items():
            ours = one.feed.book(one.id(native), 0)
            assert ours == (ordered(bids, best_first=-1), ordered(asks, best_first=1))
            assert one.feed.state(one.id(native)) == State.LIVE
        every += proofs
    assert every == {SESSIONS[0]: 2950, SESSIONS[1]: 290}[name]


def _listed(venue: OkxVenue, name: str) -> dict[Any, Any]:
    natives = {frame["arg"]["instId"] for conn in _conns(name) for frame in received(name, conn)}
    return {("", native): found for native in natives if (found := named(native)) is not None}


def _conns(name: str) -> list[str]:
    return [one["conn"] for one in lines(name) if one["t"] == "connect"]


def ordered(levels: dict[str, str], *, best_first: int) -> list[tuple[str, str]]:
    return sorted(levels.items(), key=lambda level: best_first * Decimal(level[0]))


@pytest.mark.parametrize("name", SESSIONS)
def test_trades_are_those_of_an_independent_count(name: str) -> None:
    for conn, one in replay(OkxVenue, name).items():
        told = [row for frame in received(name, conn) if channel(frame) == "trades" for row in frame["data"]]
        expected = [
            (row["instId"], row["tradeId"], Decimal(row["px"]), Decimal(row["sz"]), SIDES[row["side"]], int(row["ts"]))
            for row in told
        ]
        assert one.trades() == expected
        size = sum((each[3] for each in expected), Decimal())
        notional = sum((each[2] * each[3] for each in expected), Decimal())
        assert size > 0
        assert sum((each[3] for each in one.trades()), Decimal()) == size
        assert sum((each[2] * each[3] for each in one.trades()), Decimal()) == notional


@pytest.mark.parametrize("name", SESSIONS)
def test_figures_of_the_day_are_the_last_that_were_told(name: str) -> None:
    for conn, one in replay(OkxVenue, name).items():
        last = {
            row["instId"]: row for frame in received(name, conn) if channel(frame) == "tickers" for row in frame["data"]
        }
        assert last
        for native, row in last.items():
            figures = {
                Kind.OPEN_24H: "open24h",
                Kind.HIGH_24H: "high24h",
                Kind.LOW_24H: "low24h",
                Kind.VOLUME_24H: "vol24h",
            }
            for kind, path in figures.items():
                assert one.last(native, kind) == Decimal(row[path]), (native, kind)
            spot = row["instType"] == "SPOT"
            assert one.last(native, Kind.TURNOVER_24H) == (Decimal(row["volCcy24h"]) if spot else None)


def test_a_lost_message_is_seen_in_its_book_alone() -> None:
    name = SESSIONS[1]
    frames = received(name, "OKX.ws.1")
    lost = next(
        place
        for place, frame in enumerate(frames)
        if frame.get("action") == "update" and frame["arg"]["instId"] == "BTC-USDT" and frame["data"][0]["bids"]
    )
    (one,) = replay(OkxVenue, name, skip=frozenset({lost})).values()
    assert {(each.reason, each.scope, one.natives[each.instrument][1]) for each in one.breaks} == {
        ("checksum", "instrument", "BTC-USDT")
    }
    assert one.feed.state(one.id("BTC-USDT")) == State.GAP
    assert {one.feed.state(one.id(native)) for native in ("BTC-USD-220527", "UNI-USD-SWAP")} == {State.LIVE}


# ------------------------------------------------------------------ single frames, with the values of other readers


def single(frame: str, *natives: str, quotes: bool = False) -> Replayed:
    venue = OkxVenue(VenueConfig(venue="OKX", depth=5))
    listed = {("", native): found for native in natives if (found := named(native)) is not None}
    listed |= {("index", native): found for native in natives if (found := index_from(native)) is not None}
    one = Replayed(venue, listed, quotes=quotes)
    one.take(frame, 1)
    assert (one.dead, one.cold) == ([], [])
    return one


def cases(*kinds: str) -> list[Any]:
    try:
        found = [one for one in lines(SINGLE) if one["kind"] in kinds and '"arg"' in one["raw"]]
    except OSError:
        return []
    return [pytest.param(one["raw"], dict(one["expect"]), id=f"{one['kind']}-{one['case']}") for one in found]


@pytest.mark.parametrize(("raw", "expect"), cases("trade"))
def test_trade_frames(raw: str, expect: dict[str, str]) -> None:
    native = json.loads(raw)["arg"]["instId"]
    ((found, _, price, size, side, ts),) = single(raw, native).trades()
    assert (found, price, ts) == (native, Decimal(expect["trade.price"]), int(expect["trade.timestamp"]))
    sizes = [
        expect[word]
        for word in ("trade.quantity_contract", "trade.quantity_base")
        if expect.get(word, "None") != "None"
    ]
    assert size == Decimal(sizes[0])
    assert side == (Side.BUYER if expect["trade.side"] == "Buy" else Side.SELLER)


@pytest.mark.parametrize(("raw", "expect"), cases("bbo"))
def test_quote_frames(raw: str, expect: dict[str, str]) -> None:
    native = json.loads(raw)["arg"]["instId"]
    one = single(raw, native, quotes=True)
    bid, ask = (one.last(native, kind) for kind in (Kind.BID, Kind.ASK))
    assert (bid, ask) == (Decimal(expect["bbo_msg.bid_price"]), Decimal(expect["bbo_msg.ask_price"]))
    assert int(one.rows(Kind.BID)[0]["ts_event"]) == int(expect["bbo_msg.timestamp"]) * 1_000_000


@pytest.mark.parametrize(("raw", "expect"), cases("l2_topk"))
def test_books_of_five_levels(raw: str, expect: dict[str, str]) -> None:
    native = json.loads(raw)["arg"]["instId"]
    one = single(raw, native)
    bids, asks = one.feed.book(one.id(native), 0)
    assert len(asks) == int(expect["orderbook.asks.len()"])
    assert len(bids) == int(expect["orderbook.bids.len()"])
    for side, levels in (("bids", bids), ("asks", asks)):
        for place in (0, 4):
            assert Decimal(levels[place][0]) == Decimal(expect[f"orderbook.{side}[{place}].price"])
            assert Decimal(levels[place][1]) == Decimal(expect[f"orderbook.{side}[{place}].quantity_contract"])
    assert one.feed.state(one.id(native)) == State.LIVE


@pytest.mark.parametrize(("raw", "expect"), cases("l2_event"))
def test_shortened_books_do_not_pass_for_whole(raw: str, expect: dict[str, str]) -> None:
    """These frames lost most of their levels in somebody's editor: their checksums say so."""
    frame = json.loads(raw)
    native, (row,) = frame["arg"]["instId"], frame["data"]
    assert len(row["asks"]) == int(expect["orderbook.asks.len()"])
    is_whole = (
        checksum([tuple(each[:2]) for each in row["bids"]], [tuple(each[:2]) for each in row["asks"]])
        == row["checksum"]
    )
    one = single(raw, native)
    assert (one.feed.state(one.id(native)) == State.LIVE) == is_whole
    assert [each.reason for each in one.breaks] == ([] if is_whole else ["checksum"])
    row["checksum"] = 0
    row |= {"seqId": 5, "prevSeqId": -1}
    one = single(json.dumps(frame), native)
    assert one.feed.book(one.id(native), 0)[1] == [tuple(each[:2]) for each in row["asks"]]
    assert one.feed.state(one.id(native)) == State.LIVE


@pytest.mark.parametrize(("raw", "expect"), cases("funding_rate"))
def test_funding_frames(raw: str, expect: dict[str, str]) -> None:
    one = single(raw, "BTC-USD-SWAP")
    assert one.last("BTC-USD-SWAP", Kind.FUNDING) == Decimal(expect["funding_rates[0].funding_rate"])
    assert one.last("BTC-USD-SWAP", Kind.FUNDING_NEXT) == Decimal(expect["funding_rates[0].estimated_rate"])
    assert one.last("BTC-USD-SWAP", Kind.FUNDING_TIME) == Decimal(expect["funding_rates[0].funding_time"]) / 1000


@pytest.mark.parametrize(("raw", "_expect"), cases("ticker"))
def test_ticker_frames(raw: str, _expect: dict[str, str]) -> None:
    (row,) = json.loads(raw)["data"]
    one = single(raw, row["instId"])
    assert one.last(row["instId"], Kind.VOLUME_24H) == Decimal(row["vol24h"])
    assert one.last(row["instId"], Kind.HIGH_24H) == Decimal(row["high24h"])


def test_index_frame_of_2026_is_of_the_index_not_of_the_pair() -> None:
    (found,) = [one for one in lines("tardis-node/okex-futures.jsonl") if "arg" in one["message"]]
    one = single(json.dumps(found["message"]), "BTC-USD", "BTC-USDT")
    (row,) = one.rows(Kind.INDEX)
    assert int(row["instrument"]) == _native.instrument_id("OKX:BTC-USD-INDEX")
    assert (int(row["price"]), int(row["price_scale"])) == (64280, 0)
    assert int(row["ts_event"]) == 1785870839964 * 1_000_000


def test_shapes_of_another_connector() -> None:
    shapes = {one["file"]: one["raw"] for one in lines("nautilus/okx.jsonl.gz")}
    book = single(shapes["ws_books_snapshot.json"], "BTC-USDT")
    assert [each.reason for each in book.breaks] == ["checksum"]  # the documentation's example, whose checksum is none
    ticker = single(shapes["ws_tickers.json"], "BTC-USDT")
    assert ticker.last("BTC-USDT", Kind.LOW_24H) == Decimal("8888.88")
    venue = OkxVenue(VenueConfig(venue="OKX"))
    told = list(venue.cold(json.dumps(json.loads(shapes["ws_instruments.json"])).encode(), ""))
    assert [type(one).__name__ for one in told] == ["Status", "Relist"]
