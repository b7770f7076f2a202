"""HTX's recorded sessions and single frames, against counts and books made by plain JSON."""

import gzip
import json
from decimal import Decimal
from typing import Any

import pytest
from tests.captures.replayed import FOLDER, Replayed, lines, needs_captures, payload_of, price_of, replay, text_of

from tickcast.model.record import Kind, Side, State
from tickcast.venues.base import VenueConfig
from tickcast.venues.declared.venue import Acknowledged, Reply
from tickcast.venues.htx.names import named
from tickcast.venues.htx.venue import HtxVenue

pytestmark = needs_captures
SESSIONS = {
    "cryptofeed/HUOBI/HUOBI_20210417T164750Z.jsonl.xz": (195, 145),
    "cryptofeed/HUOBI_SWAP/HUOBI_SWAP_20220219T164944Z_inverse.jsonl.xz": (601, 589),
    "cryptofeed/HUOBI_SWAP/HUOBI_SWAP_20220219T164944Z_linear.jsonl.xz": (832, 816),
}
"""Frames, and of these books."""
SINGLE = "crypto-msg-parser/huobi.jsonl"
SIDES = {"buy": Side.BUYER, "sell": Side.SELLER}


def frames(name: str) -> list[dict[str, Any]]:
    """Every frame with exact numbers, as texts."""
    return [json.loads(text_of(one), parse_float=str, parse_int=str) for one in lines(name) if one["t"] == "recv"]


def channel(frame: dict[str, Any]) -> tuple[str, str]:
    _, _, rest = frame.get("ch", "").partition(".")
    native, _, name = rest.partition(".")
    return native, name


@pytest.mark.parametrize("name", SESSIONS)
def test_every_frame_is_understood(name: str) -> None:
    (one,) = replay(HtxVenue, name).values()
    assert (one.frames, one.dead, one.breaks, one.feed.drift()) == (SESSIONS[name][0], [], [], [])
    assert sum(frame.get("ch", "").endswith(".depth.step0") for frame in frames(name)) == SESSIONS[name][1]
    assert len(one.cold) == sum("ch" not in frame for frame in frames(name))
    for raw in one.cold:
        frame = json.loads(raw)
        (said,) = one.venue.cold(raw, "")
        if "ping" in frame:
            assert said == Reply(json.dumps({"pong": frame["ping"]}, separators=(",", ":")).encode())
        else:
            assert isinstance(said, Acknowledged)
            assert [f"market.{each.native}.{each.name}" for each in said.channels] == [frame["subbed"]]


@pytest.mark.parametrize("name", SESSIONS)
def test_trades_are_those_of_an_independent_count(name: str) -> None:
    expected = []
    for frame in frames(name):
        native, kind = channel(frame)
        if kind != "trade.detail":
            continue
        rows = frame["tick"]["data"]
        for row in reversed(rows) if "tradeId" in rows[0] else rows:
            ident = row.get("tradeId", row["id"])
            size, ts = Decimal(row["amount"]), int(row["ts"])
            expected.append((native, ident, Decimal(row["price"]), size, SIDES[row["direction"]], ts))
    (one,) = replay(HtxVenue, name).values()
    assert one.trades() == expected
    assert expected
    notional = sum((price * size for _, _, price, size, *_ in expected), Decimal())
    assert sum((each[2] * each[3] for each in one.trades()), Decimal()) == notional > 0
    numbers = [int(ident) for native, ident, *_ in expected if native == expected[0][0]]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize("name", SESSIONS)
def test_books_are_those_that_were_sent(name: str) -> None:
    records = lines(name)
    venue = HtxVenue(VenueConfig(venue="HTX"))
    natives = {channel(frame)[0] for frame in frames(name) if "ch" in frame}
    one = Replayed(venue, {("", native): found for native in natives if (found := named(native)) is not None})
    for record in records:
        if record["t"] != "recv":
            continue
        one.take(payload_of(record), 1)
        frame = json.loads(text_of(record), parse_float=str, parse_int=str)
        native, kind = channel(frame)
        if kind == "depth.step0":
            ours = one.feed.book(one.id(native), 0)
            for levels, told in zip(ours, (frame["tick"]["bids"], frame["tick"]["asks"]), strict=True):
                assert [tuple(map(Decimal, level)) for level in levels] == [tuple(map(Decimal, each)) for each in told]
    assert {State(one.feed.state(one.id(native))) for native in natives} == {State.LIVE}


@pytest.mark.parametrize("name", SESSIONS)
def test_damaged_frames_never_crash_and_are_counted(name: str) -> None:
    venue = HtxVenue(VenueConfig(venue="HTX"))
    natives = {channel(frame)[0] for frame in frames(name) if "ch" in frame}
    one = Replayed(venue, {("", native): found for native in natives if (found := named(native)) is not None})
    packed = [payload_of(record) for record in lines(name) if record["t"] == "recv"]
    spoilt = 0
    for place, raw in enumerate(packed[:150]):
        cut = raw[: len(raw) * (place % 7) // 7]
        flipped = bytearray(raw)
        flipped[10 + place % (len(raw) - 10)] ^= 1 << place % 8
        for damaged in (cut, bytes(flipped)):
            one.take(damaged, 1)
            spoilt += 1
        one.take(raw, 1)
    assert len(one.dead) == spoilt
    assert all("gzip frame" in reason or "JSON" in reason for reason, _ in one.dead)
    assert one.frames == 3 * min(len(packed), 150)


# ------------------------------------------------------------------ single frames


def cases(kind: str) -> list[Any]:
    if not (FOLDER / SINGLE).is_file():
        return []
    rows = [one for one in lines(SINGLE) if one["kind"] == kind]
    return [pytest.param(row["raw"], dict(row["expect"]), id=row["case"]) for row in rows]


def single(raw: str) -> tuple[Replayed, str]:
    frame = json.loads(raw)
    native = channel(frame)[0] or frame["data"][0]["contract_code"]
    found = named(native)
    assert found is not None
    venue = HtxVenue(VenueConfig(venue="HTX", depth=50))
    one = Replayed(venue, {("", native): found}, quotes=".bbo" in raw)
    one.take(gzip.compress(raw.encode()), 1)
    assert (one.dead, one.cold, one.feed.drift()) == ([], [], [])
    return one, native


@pytest.mark.parametrize(("raw", "expect"), cases("trade"))
def test_trade_frames(raw: str, expect: dict[str, str]) -> None:
    rows = json.loads(raw, parse_float=str, parse_int=str)["tick"]["data"]
    one, native = single(raw)
    told = [(row.get("tradeId", row["id"]), Decimal(row["amount"]), SIDES[row["direction"]]) for row in rows]
    assert [(ident, size, side) for _, ident, _, size, side, _ in one.trades()] == told
    contracts = expect.get("trade.quantity_contract")
    assert contracts is None or one.trades()[0][3] == Decimal(contracts)
    assert native


@pytest.mark.parametrize(("raw", "_expect"), [*cases("l2_event"), *cases("l2_topk"), *cases("l2_snapshot")])
def test_book_frames(raw: str, _expect: dict[str, str]) -> None:
    frame = json.loads(raw, parse_float=str, parse_int=str)
    one, native = single(raw)
    tick = frame["tick"]
    is_whole = tick.get("event") == "snapshot" or frame["ch"].endswith(".step0")
    wanted = [[tuple(map(Decimal, level)) for level in tick.get(side) or []] for side in ("bids", "asks")]
    ours = [[tuple(map(Decimal, level)) for level in side] for side in one.feed.book(one.id(native), 0)]
    assert ours == (wanted if is_whole else [[], []])


@pytest.mark.parametrize(("raw", "expect"), cases("bbo"))
def test_quote_frames(raw: str, expect: dict[str, str]) -> None:
    one, _ = single(raw)
    best = {Kind(int(row["kind"])): price_of(row) for row in one.rows(Kind.BID, Kind.ASK)}
    assert best == {
        Kind.BID: Decimal(expect["bbo_msg.bid_price"]),
        Kind.ASK: Decimal(expect["bbo_msg.ask_price"]),
    }


@pytest.mark.parametrize(("raw", "expect"), cases("funding_rate"))
def test_funding_frames(raw: str, expect: dict[str, str]) -> None:
    one, native = single(raw)
    assert one.last(native, Kind.FUNDING) == Decimal(expect["funding_rates[0].funding_rate"])
    assert one.last(native, Kind.FUNDING_NEXT) == Decimal(expect["funding_rates[0].estimated_rate"])
    assert one.last(native, Kind.FUNDING_TIME) == Decimal(expect["funding_rates[0].funding_time"]) / 1000


@pytest.mark.parametrize(("raw", "_expect"), cases("ticker"))
def test_figures_of_the_day(raw: str, _expect: dict[str, str]) -> None:
    tick = json.loads(raw, parse_float=str, parse_int=str)["tick"]
    one, native = single(raw)
    assert one.last(native, Kind.VOLUME_24H) == Decimal(tick["vol"])
    assert one.last(native, Kind.LOW_24H) == Decimal(tick["low"])
    turnover = tick.get("trade_turnover")
    assert one.last(native, Kind.TURNOVER_24H) == (None if turnover is None else Decimal(turnover))
