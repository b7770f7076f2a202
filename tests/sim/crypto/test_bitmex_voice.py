"""How the simulated BitMEX talks, message by message."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sim.crypto.rig import Rig

from tickcast.sim.crypto.state import Client
from tickcast.venues.base import VenueConfig
from tickcast.venues.bitmex.venue import BitmexVenue
from tickcast.venues.declared.venue import Acknowledged, Alive, Refused

VENUE = BitmexVenue(VenueConfig(venue="BITMEX"))
BOOK = "orderBookL2:XBTUSD"
Table = dict[tuple[str, int], tuple[float, int]]


def ask(rig: Rig, client: Client, *topics: str, op: str = "subscribe") -> list[Any]:
    rig.say(client, {"op": op, "args": list(topics)})
    return rig.frames(client)


def apply(table: Table, frames: list[Any], name: str = "orderBookL2") -> None:
    """Keep a table as its documentation says; every row must fit."""
    for frame in frames:
        if frame.get("table") != name:
            continue
        for row in frame["data"]:
            key = row["side"], row["id"]
            if frame["action"] == "delete":
                del table[key]
            else:
                assert (key in table) == (frame["action"] == "update")
                table[key] = row["price"], row["size"]


def test_lists_name_what_the_house_calls_instruments() -> None:
    rig = Rig("bitmex")
    (request,) = VENUE.listing()
    body = json.dumps(rig.rest(request.url.removeprefix(VENUE.rest_url))).encode()
    found = {one.native: one for one in VENUE.listed(request, body)}
    for one in rig.venue.voice.instruments:
        listed, product = found[one.native], one.product
        assert (listed.symbol, listed.contract_size) == (product.symbol, product.contract_size)
        assert listed.asset_class == ("crypto" if product.kind == "spot" else product.kind)
    assert {one.product.kind for one in rig.venue.voice.instruments} == {"perpetual", "future", "spot"}


def test_books_are_tables_and_equal_those_over_rest() -> None:
    rig = Rig("bitmex")
    client = rig.connect("/realtime")
    assert "Welcome" in rig.frames(client)[0]["info"]
    answer, partial = ask(rig, client, BOOK)
    assert (answer["subscribe"], partial["action"], partial["filter"]) == (BOOK, "partial", {"symbol": "XBTUSD"})
    table: Table = {}
    apply(table, [partial | {"action": "insert"}])
    rig.run(3000)
    frames = rig.frames(client)
    assert {frame["action"] for frame in frames} == {"insert", "update", "delete"}
    apply(table, frames)
    rig.run(300, quiet=True)
    apply(table, rig.frames(client))
    truth = rig.rest("/api/v1/orderBook/L2?symbol=XBTUSD&depth=0")
    assert {(row["side"], row["id"]): (row["price"], row["size"]) for row in truth} == table


def test_trades_begin_with_the_last_one() -> None:
    rig = Rig("bitmex")
    client = rig.connect("/realtime")
    rig.frames(client)
    assert ask(rig, client, "trade:XBTUSD")[1]["data"] == []
    rig.run(3000)
    told = [row for frame in rig.frames(client) for row in frame["data"]]
    assert len(told) == rig.instrument("XBTUSD").stats.count > 0
    (_, partial) = ask(rig, rig.connect("/realtime"), "trade:XBTUSD")[1:]
    assert partial["data"] == told[-1:]


def test_a_halt_is_a_row_of_instrument() -> None:
    rig = Rig("bitmex")
    client = rig.connect("/realtime")
    rig.frames(client)
    _, partial = ask(rig, client, "instrument:XBTUSD")
    assert partial["data"][0]["state"] == "Open"
    rig.venue.halt(rig.instrument("XBTUSD").row)
    rig.run(1000)
    rows = [row for frame in rig.frames(client) for row in frame["data"]]
    assert [row["state"] for row in rows if "state" in row] == ["Closed"]
    assert any("markPrice" in row for row in rows)


def test_what_is_refused_says_why() -> None:
    rig = Rig("bitmex")
    client = rig.connect("/realtime")
    rig.frames(client)
    for topic in ("trade:NOPE", "zzz:XBTUSD", "trade"):
        (answer,) = ask(rig, client, topic)
        assert isinstance(VENUE.cold(json.dumps(answer).encode(), "")[0], Refused)
    ask(rig, client, BOOK)
    (again,) = ask(rig, client, BOOK)
    assert isinstance(VENUE.cold(json.dumps(again).encode(), "")[0], Acknowledged)
    (done,) = ask(rig, client, BOOK, op="unsubscribe")
    assert VENUE.cold(json.dumps(done).encode(), "") == [Alive()]
    rig.run(500)
    assert rig.frames(client) == []
    rig.say(client, b"ping")
    assert rig.got[client] == [b"pong"]


@pytest.mark.parametrize("path", ["orderBook/L2", "orderBook/L2?symbol=XBTUSD&depth=x", "zzz"])
def test_requests_that_are_refused(path: str) -> None:
    rig = Rig("bitmex")
    answer = rig.venue.rest(f"/api/v1/{path}", rig.now_ns, address="test")
    assert answer.status in {400, 404}
    assert "error" in json.loads(answer.body)


@given(frame=st.binary(max_size=60) | st.sampled_from([b"{}", b"[]", b'{"op":"subscribe"}', b'{"op":1,"args":2}']))
def test_no_frame_is_too_strange(frame: bytes) -> None:
    rig = Rig("bitmex", pairs=2)
    client = rig.connect("/realtime")
    rig.say(client, frame)
