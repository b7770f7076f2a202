"""KuCoin's recorded session and single frames, against counts and books made by plain JSON."""

import json
from decimal import Decimal
from typing import Any

import pytest
from tests.captures.replayed import FOLDER, Replayed, lines, needs_captures, received

from tickcast.model.record import Kind, Side, State
from tickcast.venues.base import VenueConfig
from tickcast.venues.declared.venue import Alive
from tickcast.venues.kucoin.names import named
from tickcast.venues.kucoin.venue import KucoinVenue

pytestmark = needs_captures
SESSION = "cryptofeed/KUCOIN/KUCOIN_20210425T191846Z.jsonl.xz"
CONN = "KUCOIN.ws.1"
NATIVE = "BCHSV-USDT"
SIDES = {"buy": Side.BUYER, "sell": Side.SELLER}


def session(*, skip: frozenset[int] = frozenset(), depth: int = 5) -> Replayed:
    """Decode the session, with the recorded book where it came."""
    records = lines(SESSION)
    made = VenueConfig(venue="KUCOIN", depth=depth)
    venue = KucoinVenue(made)
    found = named(NATIVE)
    assert found is not None
    one = Replayed(venue, {("", NATIVE): found})
    for record in records:
        if record["t"] == "http" and "level2" in record["url"]:
            one.feed.rest_book(one.id(NATIVE), record["data"].encode(), round(record["ts"] * 1e9))
        elif record["t"] == "recv":
            if one.frames in skip:
                one.frames += 1
            else:
                one.take(record["data"], round(record["ts"] * 1e9))
    return one


def subject(frame: dict[str, Any]) -> str:
    return str(frame.get("subject", frame.get("type")))


def plain_book() -> tuple[dict[Decimal, str], dict[Decimal, str], int]:
    """The book at the end, by plain JSON."""
    answer = next(json.loads(one["data"]) for one in lines(SESSION) if one["t"] == "http" and "level2" in one["url"])
    sides = {side: {Decimal(price): size for price, size in answer["data"][side]} for side in ("bids", "asks")}
    last = int(answer["data"]["sequence"])
    for frame in received(SESSION, CONN):
        data = frame.get("data", {})
        if subject(frame) != "trade.l2update" or data["sequenceEnd"] <= last:
            continue
        assert data["sequenceStart"] == last + 1
        last = data["sequenceEnd"]
        for side in ("bids", "asks"):
            for price, size, _ in data["changes"][side]:
                if Decimal(price) and Decimal(size):
                    sides[side][Decimal(price)] = size
                else:
                    sides[side].pop(Decimal(price), None)
    return sides["bids"], sides["asks"], last


def test_every_frame_is_understood() -> None:
    one = session()
    frames = received(SESSION, CONN)
    assert (one.frames, one.dead, one.feed.drift()) == (len(frames), [], [])
    assert one.control == sum("candles" in frame.get("topic", "") for frame in frames) > 0
    assert len(one.cold) == sum(subject(frame) in {"ack", "welcome"} for frame in frames) > 0
    for raw in one.cold:
        assert one.venue.cold(raw, "") == [Alive()]


def test_the_book_is_that_of_plain_json() -> None:
    one = session()
    bids, asks, last = plain_book()
    assert (one.breaks, one.feed.state(one.id(NATIVE)), one.feed.last_id(one.id(NATIVE))) == ([], State.LIVE, last)
    found = one.feed.book(one.id(NATIVE), 0)
    assert [[(Decimal(price), Decimal(size)) for price, size in side] for side in found] == [
        [(price, Decimal(bids[price])) for price in sorted(bids, reverse=True)],
        [(price, Decimal(asks[price])) for price in sorted(asks)],
    ]


def test_trades_are_those_of_plain_json() -> None:
    expected = [
        (
            one["symbol"],
            one["tradeId"],
            Decimal(one["price"]),
            Decimal(one["size"]),
            SIDES[one["side"]],
            int(one["time"]) // 1_000_000,
        )
        for frame in received(SESSION, CONN)
        if subject(frame) == "trade.l3match"
        for one in [frame["data"]]
    ]
    assert session().trades() == expected
    assert len(expected) == 5


def test_the_best_is_the_books_and_the_tickers() -> None:
    one = session()
    bids, asks, _ = plain_book()
    assert one.last(NATIVE, Kind.BID) == max(bids)
    assert one.last(NATIVE, Kind.ASK) == min(asks)


def test_a_lost_message_is_seen_at_once() -> None:
    frames = received(SESSION, CONN)
    updates = [place for place, frame in enumerate(frames) if subject(frame) == "trade.l2update"]
    lost = updates[1000]
    one = session(skip=frozenset({lost}))
    (found,) = one.breaks
    assert (found.reason, found.scope) == ("chain", "instrument")
    assert found.expected == frames[lost]["data"]["sequenceStart"]
    assert found.found == frames[updates[1001]]["data"]["sequenceStart"]
    assert one.feed.state(one.id(NATIVE)) == State.GAP


# ------------------------------------------------------------------ single frames, with the values of other readers


def single(raw: str, native: str, *, quotes: bool = False) -> Replayed:
    venue = KucoinVenue(VenueConfig(venue="KUCOIN", depth=5))
    found = named(native)
    assert found is not None, native
    one = Replayed(venue, {("", native): found}, quotes=quotes)
    one.take(raw, 1)
    assert one.dead == []
    return one


def messages(name: str, kind: str) -> list[Any]:
    """Frames for which another reader expects records of a kind."""
    return [
        pytest.param(json.dumps(one["message"]), expected, id=f"{name}-{one['n']}")
        for one in (lines(f"tardis-node/{name}.jsonl") if FOLDER.is_dir() else ())
        for expected in one["expected"] or []
        if expected["type"] == kind
    ]


@pytest.mark.parametrize(("raw", "expected"), [*messages("kucoin", "trade"), *messages("kucoin-futures", "trade")])
def test_trades_of_others(raw: str, expected: dict[str, Any]) -> None:
    one = single(raw, expected["symbol"])
    ((native, ident, price, size, side, _),) = one.trades()
    assert (native, ident, float(price), float(size), side) == (
        expected["symbol"], expected["id"], expected["price"], expected["amount"], SIDES[expected["side"]],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "expected"), [*messages("kucoin", "book_ticker"), *messages("kucoin-futures", "book_ticker")]
)
def test_best_bids_and_offers_of_others(raw: str, expected: dict[str, Any]) -> None:
    one = single(raw, expected["symbol"], quotes=True)
    native = expected["symbol"]
    assert (float(one.last(native, Kind.BID) or 0), float(one.last(native, Kind.ASK) or 0)) == (
        expected["bidPrice"], expected["askPrice"],
    )  # fmt: skip


def test_a_contracts_book_begins_with_a_snapshot_in_the_middle() -> None:
    records = lines("tardis-node/kucoin-futures.jsonl")
    frames = [one["message"] for one in records if one["message"]["topic"].startswith("/contractMarket/level2")]
    native = "MYROUSDTM"
    one = single(json.dumps(frames[1]), native)
    for frame in frames[2:]:
        if frame["subject"] == "level2Snapshot":
            one.feed.rest_book(one.id(native), json.dumps(frame).encode(), 2)
        else:
            one.take(json.dumps(frame), 3)
    assert (one.breaks, one.feed.state(one.id(native))) == ([], State.LIVE)
    bids, asks = one.feed.book(one.id(native), 0)
    assert [(float(price), float(size)) for price, size in bids] == [(0.3, 3.0), (0.21557, 30.0), (0.20645, 1.0)]
    assert asks == []


@pytest.mark.parametrize("kind", ["trade", "l2_event", "bbo", "ticker", "l2_topk", "l3_event", "candlestick"])
def test_frames_of_another_parser_are_understood(kind: str) -> None:
    chosen = [one for one in lines("crypto-msg-parser/kucoin.jsonl") if one["kind"] == kind]
    assert chosen
    for row in chosen:
        frame = json.loads(row["raw"])
        data = frame["data"]
        inner = data.get("data", data)
        native = inner.get("symbol") or (
            frame["subject"] if frame["topic"].endswith(":all") else frame["topic"].partition(":")[2].partition("_")[0]
        )
        one = single(row["raw"], native)
        assert one.cold == []
        if kind == "trade":
            assert len(one.trades()) == 1
