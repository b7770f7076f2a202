"""How the simulated Kraken Futures talks, message by message."""

import itertools
import json
from decimal import Decimal
from typing import Any

import pytest
from tests.sim.crypto.rig import Rig

from tickcast.sim.crypto.kraken_futures import HISTORY, KrakenFuturesVoice
from tickcast.sim.crypto.state import Client

XBT, INVERSE = "PF_XBTUSD", "PI_XBTUSD"
ROOT = "/derivatives/api/v3"


@pytest.fixture
def rig() -> Rig:
    return Rig("kraken_futures")


@pytest.fixture
def client(rig: Rig) -> Client:
    made = rig.connect("/ws/v1")
    assert rig.frames(made) == [{"event": "info", "version": 1}]
    return made


def ask(rig: Rig, client: Client, event: str, feed: str, *natives: str) -> list[Any]:
    rig.say(client, {"event": event, "feed": feed, "product_ids": list(natives)})
    return rig.frames(client)


def test_each_product_is_answered_and_begins(rig: Rig, client: Client) -> None:
    found = ask(rig, client, "subscribe", "book", XBT, INVERSE)
    assert found[:2] == [{"event": "subscribed", "feed": "book", "product_ids": [one]} for one in (XBT, INVERSE)]
    assert [(one["feed"], one["product_id"], one["tickSize"]) for one in found[2:]] == [
        ("book_snapshot", XBT, None),
        ("book_snapshot", INVERSE, None),
    ]
    assert ask(rig, client, "unsubscribe", "book", XBT) == [
        {"event": "unsubscribed", "feed": "book", "product_ids": [XBT]}
    ]
    rig.run(300)
    assert {one["product_id"] for one in rig.frames(client)} == {INVERSE}


def test_a_book_is_told_level_by_level_and_never_crosses(rig: Rig, client: Client) -> None:
    *_, whole = ask(rig, client, "subscribe", "book", XBT)
    sides = {
        word: {row["price"]: row["qty"] for row in whole[name]} for word, name in (("buy", "bids"), ("sell", "asks"))
    }
    rig.run(2000)
    seqs = [whole["seq"]]
    for one in rig.frames(client):
        seqs.append(one["seq"])
        if one["qty"]:
            sides[one["side"]][one["price"]] = one["qty"]
        else:
            del sides[one["side"]][one["price"]]
        assert not sides["buy"] or not sides["sell"] or max(sides["buy"]) < min(sides["sell"])
    assert len(seqs) > 20
    assert all(one + 1 == other for one, other in itertools.pairwise(seqs))
    truth = rig.venue.truth(rig.instrument(XBT))
    for word, name in (("buy", "bids"), ("sell", "asks")):
        assert sides[word] == {float(price): float(size) for price, size in truth[name]}
    late = rig.connect("/ws/v1")
    assert ask(rig, late, "subscribe", "book", XBT)[-1]["seq"] == seqs[-1]


def test_trades_begin_with_the_last_ones_newest_first(rig: Rig, client: Client) -> None:
    rig.run(3000)
    answer, history = ask(rig, client, "subscribe", "trade", XBT)
    assert answer["event"] == "subscribed"
    seqs = [one["seq"] for one in history["trades"]]
    assert 5 < len(seqs) <= HISTORY
    assert seqs == list(range(seqs[0], seqs[0] - len(seqs), -1))
    rig.run(3000)
    fresh = rig.frames(client)
    assert [one["seq"] for one in fresh] == list(range(seqs[0] + 1, seqs[0] + 1 + len(fresh)))
    last = rig.instrument(XBT).trades[-1]
    assert (fresh[-1]["side"], fresh[-1]["type"] == "liquidation") == ("buy" if last.buy else "sell", last.liquidation)
    assert len({one["uid"] for one in fresh}) == len(fresh)


def test_a_ticker_every_second_says_whether_trading_goes_on(rig: Rig, client: Client) -> None:
    first = ask(rig, client, "subscribe", "ticker", XBT)[-1]
    assert (first["tag"], first["pair"], first["suspended"]) == ("perpetual", "XBT:USD", False)
    one = rig.instrument(XBT)
    assert first["relative_funding_rate"] == pytest.approx(one.funding)
    assert first["funding_rate"] == pytest.approx(one.funding * one.index_price, rel=1e-6)
    rig.venue.halt(one.row)
    rig.run(3000, quiet=True)
    told = rig.frames(client)
    assert [each["suspended"] for each in told] == [True] * 3
    one.funding = 0.0
    assert b"relative_funding_rate" not in b"".join(rig.venue.voice.values(*_ticker_of(rig, client), rig.now_ns))


def _ticker_of(rig: Rig, client: Client) -> tuple[Any, Any]:
    (topic,) = client.topics
    stream = rig.venue._streams.find(topic)
    assert stream is not None
    return stream, stream.instrument


def test_the_lite_ticker_has_no_sizes(rig: Rig, client: Client) -> None:
    found = ask(rig, client, "subscribe", "ticker_lite", INVERSE)[-1]
    assert set(found) == {
        "feed", "product_id", "bid", "ask", "change", "premium", "volume", "volumeQuote", "tag", "pair", "dtm",
        "maturityTime",
    }  # fmt: skip
    assert found["volume"] == found["volumeQuote"]


def test_dated_contracts_have_no_funding(rig: Rig, client: Client) -> None:
    native = next(one.native for one in rig.venue.instruments if one.native.startswith("FI_"))
    found = ask(rig, client, "subscribe", "ticker", native)[-1]
    assert found["tag"] == "month"
    assert found["maturityTime"] == rig.instrument(native).product.expiry_ns // 1_000_000
    assert not [name for name in found if "funding" in name]


def test_heartbeats_for_those_who_ask(rig: Rig, client: Client) -> None:
    rig.run(2000, quiet=True)
    assert rig.frames(client) == []
    rig.say(client, b'{"event":"subscribe","feed":"heartbeat"}')
    rig.say(client, b'{"event":"subscribe","feed":"heartbeat"}')
    assert rig.frames(client) == [{"event": "subscribed", "feed": "heartbeat"}] * 2
    rig.run(2000, quiet=True)
    assert {one["feed"] for one in rig.frames(client)} == {"heartbeat"}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (b"hello", "Json Error"),
        (b'{"event":"ping"}', "Json Error"),
        (b'{"event":"subscribe","feed":"books","product_ids":["PF_XBTUSD"]}', "Invalid feed"),
        (b'{"event":"subscribe","feed":"book","product_ids":["PF_XBTUSD","NOPE"]}', "Invalid product id"),
        (b'{"event":"subscribe","feed":"book"}', "Invalid product id"),
    ],
)
def test_refusals(rig: Rig, client: Client, frame: bytes, message: str) -> None:
    rig.say(client, frame)
    assert rig.frames(client) == [{"event": "error", "message": message}]
    assert not client.topics


def test_what_is_asked_for_twice_begins_again(rig: Rig, client: Client) -> None:
    ask(rig, client, "subscribe", "book", XBT)
    alert, answer, whole = ask(rig, client, "subscribe", "book", XBT)
    assert (alert["event"], answer["event"], whole["feed"]) == ("alert", "subscribed", "book_snapshot")


def test_a_client_that_says_nothing_for_a_minute_is_closed(rig: Rig, client: Client) -> None:
    rig.run(59_000, quiet=True)
    assert client.close is None
    rig.run(2000, quiet=True)
    assert client.close is not None


def test_the_list(rig: Rig) -> None:
    entries = {one["symbol"]: one for one in rig.rest(f"{ROOT}/instruments")["instruments"]}
    assert set(entries) == set(rig.venue.names())
    kinds = {name[:3] for name in entries}
    assert kinds == {"PF_", "PI_", "FI_", "FF_"}
    assert (entries[XBT]["type"], entries[INVERSE]["type"]) == ("flexible_futures", "futures_inverse")
    assert entries[INVERSE]["contractValueTradePrecision"] == 0
    one = rig.instrument(XBT)
    assert Decimal(1).scaleb(-entries[XBT]["contractValueTradePrecision"]) == Decimal(one.product.lot).scaleb(-8)
    rig.venue.halt(one.row)
    assert not next(
        each["tradeable"] for each in rig.rest(f"{ROOT}/instruments")["instruments"] if each["symbol"] == XBT
    )


def test_a_book_and_a_ticker_over_rest(rig: Rig) -> None:
    book = rig.rest(f"{ROOT}/orderbook?symbol={XBT}")["orderBook"]
    truth = rig.venue.truth(rig.instrument(XBT))
    assert book == {side: [[float(price), float(size)] for price, size in truth[side]] for side in ("bids", "asks")}
    assert rig.rest(f"{ROOT}/tickers/{XBT}")["ticker"]["symbol"] == XBT
    assert rig.rest(f"{ROOT}/tickers/NOPE")["error"] == "contractNotFound"
    assert rig.venue.rest(f"{ROOT}/nothing", rig.now_ns).status == 404
    assert json.loads(rig.venue.voice.too_many().body)["result"] == "error"
    assert KrakenFuturesVoice.restart == "cut"
