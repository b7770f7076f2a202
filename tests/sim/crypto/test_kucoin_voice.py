"""The simulated KuCoin, against clients that keep books by the venue's own rules."""

import json
from typing import Any

import pytest
from tests.sim.crypto.rig import MILLISECOND_NS, Rig, apply, ordered

from tickcast.sim.crypto.kucoin import UPLINK_MAX
from tickcast.sim.crypto.state import Client

SPOT, FUTURES = "spot", "futures"


def post(rig: Rig, path: str) -> Any:
    answer = rig.venue.rest(path, rig.now_ns, address="test", method="POST")
    assert answer.status == 200
    return json.loads(answer.body)["data"]


def connect(rig: Rig, market: str) -> Client:
    """Open a link as the venue wants it: a token first."""
    prefix = "/futures" if market == FUTURES else ""
    data = post(rig, f"{prefix}/api/v1/bullet-public")
    (server,) = data["instanceServers"]
    assert server["pingInterval"] == 18_000
    path = server["endpoint"].partition(".com")[2]
    client = rig.connect(f"{path}?token={data['token']}")
    assert [one["type"] for one in rig.frames(client)] == ["welcome"]
    return client


def ask(rig: Rig, client: Client, topic: str, *, number: str = "7", word: str = "subscribe") -> list[Any]:
    rig.say(client, {"id": number, "type": word, "topic": topic, "response": True})
    return rig.frames(client)


def of(frames: list[Any], topic: str) -> list[Any]:
    return [one for one in frames if one.get("topic") == topic]


def truth(rig: Rig, native: str) -> dict[str, Any]:
    found = rig.venue.truth(rig.instrument(native))
    return {"bids": found["bids"], "asks": found["asks"]}


# ------------------------------------------------------------------ tokens


@pytest.mark.parametrize("query", ["", "?token=no"])
def test_without_a_token_nobody_is_welcome(query: str) -> None:
    rig = Rig("kucoin")
    client = rig.connect(f"/endpoint/spot{query}")
    (wrong,) = rig.frames(client)
    assert (wrong["type"], wrong["code"]) == ("error", 401)
    assert client.close is not None


def test_a_token_is_posted_for_and_ends_after_a_day() -> None:
    rig = Rig("kucoin")
    assert rig.venue.rest("/api/v1/bullet-public", rig.now_ns).status == 405
    old = post(rig, "/api/v1/bullet-public")["token"]
    rig.now_ns += 24 * 3_600_000 * MILLISECOND_NS
    client = rig.connect(f"/endpoint/spot?token={old}")
    assert client.close is not None


# ------------------------------------------------------------------ books


def test_differences_over_a_snapshot_make_the_true_book_of_a_pair() -> None:
    rig = Rig("kucoin")
    client = connect(rig, SPOT)
    rig.run(300)
    topic = "/market/level2:BTC-USDT"
    assert ask(rig, client, topic)[0] == {"id": "7", "type": "ack"}
    rig.run(200)
    snapshot = rig.rest("/api/v1/market/orderbook/level2_100?symbol=BTC-USDT")["data"]
    book: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
    apply(book, snapshot["bids"], snapshot["asks"])
    last = int(snapshot["sequence"])
    rig.run(2000)
    nothing = 0
    for frame in of(rig.frames(client), topic):
        data = frame["data"]
        if data["sequenceEnd"] <= last:
            continue
        assert data["sequenceStart"] <= last + 1
        last = data["sequenceEnd"]
        changes = {side: [one for one in data["changes"][side] if float(one[0])] for side in ("bids", "asks")}
        nothing += len(data["changes"]["asks"]) - len(changes["asks"])
        apply(book, changes["bids"], changes["asks"])
    assert ordered(book) == truth(rig, "BTC-USDT")
    assert nothing > 0, "some numbers moved nothing"


def test_numbered_changes_over_a_snapshot_make_the_true_book_of_a_contract() -> None:
    rig = Rig("kucoin")
    client = connect(rig, FUTURES)
    rig.run(300)
    topic = "/contractMarket/level2:XBTUSDTM"
    ask(rig, client, topic)
    rig.run(200)
    snapshot = rig.rest("/futures/api/v1/level2/snapshot?symbol=XBTUSDTM")["data"]
    book: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
    apply(book, *([[str(price), str(size)] for price, size in snapshot[side]] for side in ("bids", "asks")))
    book = {side: {price.rstrip("0").rstrip("."): size for price, size in book[side].items()} for side in book}
    last = snapshot["sequence"]
    rig.run(2000)
    for frame in of(rig.frames(client), topic):
        data = frame["data"]
        if data["sequence"] <= last:
            continue
        assert data["sequence"] == last + 1
        last = data["sequence"]
        price, side, size = data["change"].split(",")
        level = [[price.rstrip("0").rstrip("."), size]]
        apply(book, *((level, []) if side == "buy" else ([], level)))
        bids, asks = (list(map(float, book[name])) for name in ("bids", "asks"))
        assert max(bids) < min(asks)
    found = {side: [(float(price), float(size)) for price, size in levels] for side, levels in ordered(book).items()}
    expected = {side: [(float(a), float(b)) for a, b in levels] for side, levels in truth(rig, "XBTUSDTM").items()}
    assert found == expected


def test_numbers_fall_back_after_a_restart() -> None:
    rig = Rig("kucoin")
    rig.run(300)
    path = "/futures/api/v1/level2/snapshot?symbol=XBTUSDTM"
    before = rig.rest(path)["data"]["sequence"]
    rig.venue.restart()
    assert rig.rest(path)["data"]["sequence"] < before


# ------------------------------------------------------------------ topics


def test_topics_say_what_is_true() -> None:
    rig = Rig("kucoin", rate=4000.0)
    spot, futures = connect(rig, SPOT), connect(rig, FUTURES)
    rig.run(500)
    for topic in ("/market/match:BTC-USDT,ETH-USDT", "/market/ticker:BTC-USDT", "/market/snapshot:BTC-USDT"):
        ask(rig, spot, topic)
    for topic in ("/contractMarket/execution:XBTUSDTM", "/contract/instrument:XBTUSDTM"):
        ask(rig, futures, topic)
    rig.got = {client: [] for client in rig.got}
    pair, contract = rig.instrument("BTC-USDT"), rig.instrument("XBTUSDTM")
    first = pair.trade_id, contract.trade_id
    rig.run(5000)
    rig.run(2500, quiet=True)
    told = rig.frames(spot)
    trades = [one["data"] for one in of(told, "/market/match:BTC-USDT")]
    assert [int(one["tradeId"]) for one in trades] == list(range(first[0] + 1, pair.trade_id + 1))
    last = pair.trades[-1]
    assert (trades[-1]["price"], trades[-1]["size"], trades[-1]["side"]) == (
        pair.price(last.price), pair.size(last.size), "buy" if last.buy else "sell",
    )  # fmt: skip
    best = of(told, "/market/ticker:BTC-USDT")[-1]["data"]
    bid, bid_size, ask_price, _ = pair.best
    assert (best["bestBid"], best["bestBidSize"], best["bestAsk"]) == (
        pair.price(bid), pair.size(bid_size), pair.price(ask_price),
    )  # fmt: skip
    day = of(told, "/market/snapshot:BTC-USDT")[-1]["data"]["data"]
    assert float(day["high"]) == float(pair.price(pair.stats.high))
    told = rig.frames(futures)
    trades = [one["data"] for one in of(told, "/contractMarket/execution:XBTUSDTM")]
    assert [int(one["tradeId"]) for one in trades] == list(range(first[1] + 1, contract.trade_id + 1))
    marks = [one for one in of(told, "/contract/instrument:XBTUSDTM") if one["subject"] == "mark.index.price"]
    assert float(marks[-1]["data"]["markPrice"]) == float(contract.price(contract.mark))
    assert any(one["subject"] == "funding.rate" for one in told)


def test_wrong_topics_are_refused_as_a_whole() -> None:
    rig = Rig("kucoin")
    client = connect(rig, SPOT)
    for topic, code in (
        ("/market/level2:BTC-USDT,NO-USDT", 404),
        ("/market/zzz:BTC-USDT", 404),
        ("/contractMarket/level2:XBTUSDTM", 404),
        ("/market/level2", 406),
        ("/market/level2:" + ",".join(f"X{number}-USDT" for number in range(101)), 509),
    ):
        (wrong,) = ask(rig, client, topic)
        assert (wrong["id"], wrong["type"], wrong["code"]) == ("7", "error", code), topic
    assert not client.topics
    (wrong,) = ask(rig, client, "/market/level2:BTC-USDT", word="zzz")
    assert wrong["code"] == 415
    rig.say(client, b"nonsense")
    assert rig.frames(client)[0]["code"] == 415


def test_pings_are_answered_silence_and_too_much_talk_are_not() -> None:
    rig = Rig("kucoin")
    client = connect(rig, SPOT)
    rig.say(client, {"id": "p", "type": "ping"})
    assert rig.frames(client) == [{"id": "p", "type": "pong"}]
    rig.run(28_500, quiet=True)
    assert client.close is not None
    other = connect(rig, SPOT)
    for number in range(UPLINK_MAX + 1):
        rig.say(other, {"id": str(number), "type": "ping"})
    assert rig.frames(other)[-1]["code"] == 509
    assert other.close is not None


def test_lists_and_details() -> None:
    rig = Rig("kucoin")
    pairs = rig.rest("/api/v2/symbols")["data"]
    assert pairs[0]["symbol"] == "BTC-USDT"
    contracts = {one["symbol"]: one for one in rig.rest("/futures/api/v1/contracts/active")["data"]}
    size = rig.instrument("XBTUSDTM").product.contract_size
    assert (contracts["XBTUSDTM"]["multiplier"], contracts["XBTUSDM"]["multiplier"]) == (float(size), -1)
    assert contracts["XBTUSDTM"]["baseCurrency"] == "XBT"
    one = rig.rest("/futures/api/v1/contracts/XBTUSDTM")["data"]
    instrument = rig.instrument("XBTUSDTM")
    assert one["openInterest"] == instrument.size(instrument.open_interest)
    assert rig.venue.rest("/futures/api/v1/contracts/NO", rig.now_ns).status == 404
    assert rig.rest("/api/v1/market/orderbook/level2_100?symbol=XBTUSDTM")["code"] == "900001"
    assert rig.rest("/api/v1/timestamp")["data"] == rig.now_ns // MILLISECOND_NS
    assert rig.venue.rest("/api/v9/no", rig.now_ns).status == 404
