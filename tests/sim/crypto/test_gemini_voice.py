"""How the simulated Gemini talks, message by message."""

from typing import Any

import pytest
from tests.sim.crypto.rig import Rig, apply, ordered

from tickcast.sim.crypto.state import Client


@pytest.fixture
def rig() -> Rig:
    return Rig("gemini")


def join(rig: Rig, *symbols: str, feed: str = "l2", word: str = "subscribe") -> Client:
    client = rig.connect("/v2/marketdata")
    ask(rig, client, *symbols, feed=feed, word=word)
    return client


def ask(rig: Rig, client: Client, *symbols: str, feed: str = "l2", word: str = "subscribe") -> None:
    rig.say(client, {"type": word, "subscriptions": [{"name": feed, "symbols": list(symbols)}]})


def change(book: dict[str, dict[str, str]], frame: dict[str, Any]) -> None:
    sides: dict[str, list[list[str]]] = {"buy": [], "sell": []}
    for word, price, size in frame["changes"]:
        sides[word].append([price, size])
    apply(book, sides["buy"], sides["sell"])


def test_a_subscription_begins_with_the_book_and_the_last_trades(rig: Rig) -> None:
    rig.run(4000)
    (first,) = rig.frames(join(rig, "BTCUSD"))
    assert (first["type"], first["auction_events"]) == ("l2_updates", [])
    assert first["trades"]
    assert [row["tid"] for row in first["trades"]] == sorted(row["tid"] for row in first["trades"])


def test_changes_lead_to_the_true_book(rig: Rig) -> None:
    client = join(rig, "BTCUSD")
    rig.run(3000)
    book: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
    trades = []
    for frame in rig.frames(client):
        if frame["type"] == "l2_updates":
            change(book, frame)
        elif frame["type"] == "trade":
            trades.append(frame)
    truth = rig.venue.truth(rig.instrument("BTCUSD"))
    assert ordered(book) == {side: truth[side] for side in ("bids", "asks")}
    assert trades
    assert trades[-1]["tid"] == truth["last_trade"].id


def test_nothing_is_confirmed_and_heartbeats_come_every_five_seconds(rig: Rig) -> None:
    client = rig.connect("/v2/marketdata")
    rig.run(16_000, quiet=True)
    assert [frame["type"] for frame in rig.frames(client)] == ["heartbeat"] * 3


def test_perpetuals_have_a_mark_price_by_both_names(rig: Rig) -> None:
    for name in ("BTC-GUSD-PERP", "BTCGUSDPERP"):
        client = join(rig, name, feed="mark_price")
        rig.run(2000)
        frames = [frame for frame in rig.frames(client) if frame["type"] == "mark_price_updates"]
        assert len(frames) >= 2
        assert {frame["symbol"] for frame in frames} == {"BTCGUSDPERP"}
        assert float(frames[0]["changes"][0]["mark_price"]) > 0


@pytest.mark.parametrize(("feed", "symbol"), [("l2", "NOPEUSD"), ("mark_price", "BTCUSD"), ("zzz", "BTCUSD")])
def test_refusals_name_the_instrument(rig: Rig, feed: str, symbol: str) -> None:
    (answer,) = rig.frames(join(rig, symbol, feed=feed))
    assert answer["result"] == "error"
    assert symbol in answer["message"]


@pytest.mark.parametrize("frame", [b"{", b"[]", b'{"type":"zzz"}', b'{"type":5}', b"\xff"])
def test_what_is_no_request_is_answered_with_an_error(rig: Rig, frame: bytes) -> None:
    client = rig.connect("/v2/marketdata")
    rig.say(client, frame)
    assert [one["result"] for one in rig.frames(client)] == ["error"]


def test_a_subscription_ends_and_begins_anew_with_a_whole_book(rig: Rig) -> None:
    client = join(rig, "BTCUSD")
    rig.frames(client)
    ask(rig, client, "BTCUSD", word="unsubscribe")
    rig.run(3000)
    assert {frame["type"] for frame in rig.frames(client)} <= {"heartbeat"}
    ask(rig, client, "BTCUSD")
    assert "auction_events" in rig.frames(client)[0]


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
