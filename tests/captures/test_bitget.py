"""Bitget's recorded sessions (v1), against counts and books made by plain JSON."""

import json
import zlib
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from tests.captures.replayed import lines, needs_captures, received, replay

from tickcast.model.record import Flag, Kind, Side, State
from tickcast.venues.bitget.v1 import BitgetV1Venue
from tickcast.venues.declared.venue import Acknowledged

pytestmark = needs_captures
SESSIONS = {
    "cryptofeed/BITGET/BITGET_20220407T000757Z_spot.jsonl.xz": (684, 443),
    "cryptofeed/BITGET/BITGET_20220407T000757Z_mix.jsonl.xz": (242, 96),
}
"""Frames, and checksums."""
SIDES = {"buy": Side.BUYER, "sell": Side.SELLER}


def connection(name: str) -> str:
    (found,) = {one["conn"] for one in lines(name) if one["t"] == "connect"}
    return str(found)


def channel(frame: dict[str, Any]) -> str:
    return "" if "event" in frame else frame["arg"]["channel"]


@pytest.mark.parametrize("name", SESSIONS)
def test_every_frame_is_understood(name: str) -> None:
    (one,) = replay(BitgetV1Venue, name).values()
    frames = received(name, connection(name))
    assert (one.frames, one.dead, one.breaks, one.feed.drift()) == (SESSIONS[name][0], [], [], [])
    assert len(one.cold) == sum("event" in frame for frame in frames) > 0
    for raw in one.cold:
        wanted = json.loads(raw)["arg"]
        (said,) = one.venue.cold(raw, "")
        assert isinstance(said, Acknowledged)
        assert [(each.name, each.native) for each in said.channels] == [(wanted["channel"], wanted["instId"])]


@pytest.mark.parametrize("name", SESSIONS)
def test_every_checksum_is_that_of_our_book(name: str) -> None:
    (one,) = replay(BitgetV1Venue, name).values()
    assert one.feed.statistics()["checksums"] == {"verified": SESSIONS[name][1], "failed": 0, "zero": 0}
    books: dict[str, tuple[dict[Decimal, tuple[str, str]], ...]] = defaultdict(lambda: ({}, {}))
    for frame in received(name, connection(name)):
        if channel(frame) != "books":
            continue
        native, (row,) = frame["arg"]["instId"], frame["data"]
        if frame["action"] == "snapshot":
            books[native] = {}, {}
        for side, changes in zip(books[native], (row["bids"], row["asks"]), strict=True):
            for price, size in changes:
                if Decimal(size):
                    side[Decimal(price)] = price, size
                else:
                    side.pop(Decimal(price), None)
        bids, asks = (
            [side[price] for price in sorted(side, reverse=place == 0)] for place, side in enumerate(books[native])
        )
        parts = [":".join(side[at]) for at in range(25) for side in (bids, asks) if at < len(side)]
        found = zlib.crc32(":".join(parts).encode())
        assert found - (found >> 31 << 32) == row["checksum"]
    market = "mix" if "mix" in name else "spot"
    for native, sides in books.items():
        number = next(id_ for id_, known in one.natives.items() if known == (market, native))
        ours = one.feed.book(number, 0)
        assert [len(side) for side in ours] == [len(side) for side in sides]
        assert one.feed.state(number) == State.LIVE


@pytest.mark.parametrize("name", SESSIONS)
def test_trades_are_those_of_an_independent_count(name: str) -> None:
    (one,) = replay(BitgetV1Venue, name).values()
    expected, fresh = [], 0
    for frame in received(name, connection(name)):
        if channel(frame) != "trade":
            continue
        fresh += len(frame["data"]) * (frame["action"] == "update")
        for ts, price, size, side in reversed(frame["data"]):
            expected.append((frame["arg"]["instId"], "0", Decimal(price), Decimal(size), SIDES[side], int(ts)))
    assert one.trades() == expected
    told = one.rows(Kind.TRADE)
    assert int((told["flags"] & Flag.HISTORY == 0).sum()) == fresh > 0
    notional = sum((price * size for _, _, price, size, *_ in expected), Decimal())
    assert sum((each[2] * each[3] for each in one.trades()), Decimal()) == notional


@pytest.mark.parametrize("name", SESSIONS)
def test_figures_are_the_last_that_were_told(name: str) -> None:
    (one,) = replay(BitgetV1Venue, name).values()
    last = {
        frame["arg"]["instId"]: frame["data"][0]
        for frame in received(name, connection(name))
        if channel(frame) == "ticker"
    }
    assert last
    market = "mix" if "mix" in name else "spot"
    kinds = {Kind.HIGH_24H: "high24h", Kind.VOLUME_24H: "baseVolume"}
    if market == "mix":
        kinds |= {Kind.MARK: "markPrice", Kind.FUNDING: "capitalRate", Kind.OPEN_INTEREST: "holding"}
    for native, row in last.items():
        number = next(id_ for id_, known in one.natives.items() if known == (market, native))
        for kind, path in kinds.items():
            told = one.rows(kind)
            (newest,) = told[told["instrument"] == number][-1:]
            value = Decimal(int(newest["price"])).scaleb(-int(newest["price_scale"]))
            assert value == Decimal(row[path]), (native, kind)
