"""How the simulated Gemini talks, message by message."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.sim.crypto.rig import Rig, apply, ordered

from tickcast.sim.crypto.state import Client

HERE = "/?snapshot=-1"
OLDER = "/v2/marketdata"


@pytest.fixture
def rig() -> Rig:
    return Rig("gemini")


def ask(rig: Rig, client: Client, *streams: str, method: str = "subscribe", number: int | str = 1) -> None:
    rig.say(client, {"id": number, "method": method, "params": list(streams)})


def join(rig: Rig, *streams: str, path: str = HERE) -> Client:
    client = rig.connect(path)
    ask(rig, client, *streams)
    return client


def older(rig: Rig, *symbols: str, feed: str = "mark_price", word: str = "subscribe") -> Client:
    client = rig.connect(OLDER)
    rig.say(client, {"type": word, "subscriptions": [{"name": feed, "symbols": list(symbols)}]})
    return client


def depths(frames: list[dict[str, Any]], name: str = "btcusd") -> list[dict[str, Any]]:
    return [frame for frame in frames if frame.get("e") == "depthUpdate" and frame["s"] == name]


def test_a_subscription_begins_with_the_whole_book_ahead_of_its_answer(rig: Rig) -> None:
    rig.run(2000)
    first, covered, answer = rig.frames(join(rig, "btcusd@depth@100ms"))
    assert (first["e"], first["s"], first["U"]) == ("depthUpdate", "btcusd", first["u"])
    assert covered["U"] < covered["u"] < first["u"], "what was on its way is in the book"
    assert answer == {"id": 1, "status": 200}
    truth = rig.venue.truth(rig.instrument("BTCUSD"))
    book: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
    apply(book, first["b"], first["a"])
    assert ordered(book) == {side: truth[side] for side in ("bids", "asks")}


def test_without_the_parameter_of_the_address_there_is_no_whole_book(rig: Rig) -> None:
    client = join(rig, "btcusd@depth@100ms", path="/")
    assert rig.frames(client) == [{"id": 1, "status": 200}]
    rig.run(1000)
    assert all(frame["U"] < frame["u"] for frame in rig.frames(client))


@pytest.mark.parametrize("stream", ["depth@100ms", "depth"])
def test_each_difference_begins_where_the_one_before_ended(rig: Rig, stream: str) -> None:
    client = join(rig, f"btcusd@{stream}", "btcusd@trade")
    rig.run(3000)
    frames = rig.frames(client)
    first, covered, *rest = depths(frames)
    assert len(rest) >= 2
    book: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
    apply(book, first["b"], first["a"])
    last = first["u"]
    assert covered["u"] <= last
    for frame in rest:
        assert frame["U"] == last < frame["u"]
        apply(book, frame["b"], frame["a"])
        last = frame["u"]
    trades = [frame for frame in frames if "t" in frame]
    truth = rig.venue.truth(rig.instrument("BTCUSD"))
    if stream == "depth@100ms":
        assert ordered(book) == {side: truth[side] for side in ("bids", "asks")}
    assert trades[-1]["t"] == truth["last_trade"].id
    assert trades[-1]["m"] is not truth["last_trade"].buy


def test_the_best_bid_and_offer_counts_with_the_book(rig: Rig) -> None:
    client = join(rig, "btcusd@bookTicker")
    rig.run(2000)
    told = [frame for frame in rig.frames(client) if "B" in frame]
    assert told
    assert told[-1]["u"] <= rig.instrument("BTCUSD").book_id
    assert Decimal(told[-1]["b"]) < Decimal(told[-1]["a"])


def test_a_subscription_is_begun_anew_only_after_it_ended(rig: Rig) -> None:
    client = join(rig, "btcusd@depth@100ms", "ethusd@depth@100ms")
    rig.frames(client)
    ask(rig, client, "btcusd@depth@100ms", number="again")
    assert rig.frames(client) == [{"id": "again", "status": 200}], "what it has already brings nothing new"
    ask(rig, client, "btcusd@depth@100ms", method="UNSUBSCRIBE", number=2)
    rig.run(1000)
    frames = rig.frames(client)
    assert frames[0] == {"id": 2, "status": 200}
    assert (depths(frames), bool(depths(frames, "ethusd"))) == ([], True)
    ask(rig, client, "btcusd@depth@100ms", number=3)
    first, *_, answer = rig.frames(client)
    assert (first["U"], answer) == (first["u"], {"id": 3, "status": 200})


def test_one_wrong_stream_refuses_the_whole_request(rig: Rig) -> None:
    client = join(rig, "btcusd@trade", "nopeusd@trade")
    wrong = {"code": -1013, "msg": "Invalid stream name: nopeusd@trade"}
    assert rig.frames(client) == [{"id": 1, "status": 400, "error": wrong}]
    rig.run(1000)
    assert rig.frames(client) == []


def test_methods(rig: Rig) -> None:
    client = rig.connect(HERE)
    rig.say(client, {"id": 7, "method": "ping"})
    rig.say(client, {"id": 8, "method": "zzz"})
    assert [(frame["id"], frame["status"]) for frame in rig.frames(client)] == [(7, 200), (8, 400)]


@pytest.mark.parametrize("frame", [b"{", b"[]", b'{"type":"zzz"}', b'{"method":5}', b"\xff"])
def test_what_is_no_request_is_answered_with_an_error(rig: Rig, frame: bytes) -> None:
    client = rig.connect(HERE)
    rig.say(client, frame)
    assert [one["status"] for one in rig.frames(client)] == [400]


# ------------------------------------------------------------------ the older feed


def test_the_older_feed_confirms_nothing_and_its_heartbeats_come_every_five_seconds(rig: Rig) -> None:
    client = rig.connect(OLDER)
    newer = rig.connect(HERE)
    rig.run(16_000, quiet=True)
    assert [frame["type"] for frame in rig.frames(client)] == ["heartbeat"] * 3
    assert rig.frames(newer) == []


def test_perpetuals_have_a_mark_price_by_both_names(rig: Rig) -> None:
    for name in ("BTC-GUSD-PERP", "BTCGUSDPERP"):
        client = older(rig, name)
        rig.run(2000)
        frames = [frame for frame in rig.frames(client) if frame["type"] == "mark_price_updates"]
        assert len(frames) >= 2
        assert {frame["symbol"] for frame in frames} == {"BTCGUSDPERP"}
        assert float(frames[0]["changes"][0]["mark_price"]) > 0


@pytest.mark.parametrize(
    ("feed", "symbol"), [("mark_price", "NOPEUSD"), ("mark_price", "BTCUSD"), ("zzz", "BTCUSD"), ("l2", "BTCUSD")]
)
def test_refusals_name_the_instrument(rig: Rig, feed: str, symbol: str) -> None:
    (answer,) = rig.frames(older(rig, symbol, feed=feed))
    assert answer["result"] == "error"
    assert symbol in answer["message"]


@pytest.mark.parametrize("frame", [b"{", b'{"type":"zzz"}', msgspec.json.encode({"type": 5})])
def test_what_is_no_request_to_the_older_feed_is_answered_with_an_error(rig: Rig, frame: bytes) -> None:
    client = rig.connect(OLDER)
    rig.say(client, frame)
    assert [one["result"] for one in rig.frames(client)] == ["error"]


# ------------------------------------------------------------------ REST


def test_rest(rig: Rig) -> None:
    names = rig.rest("/v1/symbols")
    assert {"btcusd", "btcgusdperp"} <= set(names)
    detail = rig.rest("/v1/symbols/details/btcusd")
    assert (detail["base_currency"], detail["quote_currency"], detail["status"]) == ("BTC", "USD", "open")
    assert 0 < detail["tick_size"] < 1
    book = rig.rest("/v1/book/btcusd?limit_bids=3&limit_asks=3")
    assert (len(book["bids"]), len(book["asks"])) == (3, 3)
    assert float(book["bids"][0]["price"]) < float(book["asks"][0]["price"])
    assert float(rig.rest("/v1/pubticker/btcusd")["bid"]) > 0
    assert rig.venue.rest("/v1/book/nope", rig.now_ns, address="test").status == 400
    rig.instrument("BTCUSD").halted = True
    assert rig.rest("/v1/symbols/details/btcusd")["status"] == "cancel_only"
