"""The simulated Gate.io, against clients that keep books by the venue's own rules."""

from typing import Any

import pytest
from tests.sim.crypto.rig import Rig, apply, ordered

from tickcast.sim.crypto.state import Client

PATHS = {"spot": "/ws/v4/", "usdt": "/v4/ws/usdt", "btc": "/v4/ws/btc"}


def ask(rig: Rig, client: Client, channel: str, *payload: str, event: str = "subscribe", off_s: int = 0) -> list[Any]:
    now_s = rig.now_ns // 1_000_000_000 + off_s
    rig.say(client, {"time": now_s, "id": 7, "channel": channel, "event": event, "payload": list(payload)})
    return rig.frames(client)


def pairs(levels: list[Any]) -> list[list[str]]:
    return [[str(one["p"]), str(one["s"])] if isinstance(one, dict) else one for one in levels]


@pytest.mark.parametrize(("market", "native"), [("spot", "BTC_USDT"), ("usdt", "BTC_USDT"), ("btc", "BTC_USD")])
def test_differences_over_a_snapshot_make_the_true_book(market: str, native: str) -> None:
    rig = Rig("gateio")
    client = rig.connect(PATHS[market])
    family, path = ("spot", "spot") if market == "spot" else ("futures", f"futures/{market}")
    rig.run(300)
    channel = f"{family}.order_book_update"
    (done,) = ask(rig, client, channel, native, "100ms")
    assert (done["id"], done["error"], done["result"]) == (7, None, {"status": "success"})
    rig.run(200)
    key = "currency_pair" if market == "spot" else "contract"
    snapshot = rig.rest(f"/api/v4/{path}/order_book?{key}={native}&limit=100&with_id=true")
    book: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
    apply(book, pairs(snapshot["bids"]), pairs(snapshot["asks"]))
    last = snapshot["id"]
    rig.run(3000)
    rig.run(300, quiet=True)
    for frame in rig.frames(client):
        result = frame["result"]
        if result["u"] <= last:
            continue
        assert result["U"] <= last + 1 or "full" in result
        last = result["u"]
        if "full" in result:
            book = {"bids": {}, "asks": {}}
        apply(book, pairs(result["b"]), pairs(result["a"]))
    truth = rig.venue.truth(rig.instrument(native, market))
    assert ordered(book) == {"bids": truth["bids"], "asks": truth["asks"]}


def test_channels_say_what_is_true() -> None:
    rig = Rig("gateio", rate=4000.0)
    spot, futures = rig.connect(PATHS["spot"]), rig.connect(PATHS["usdt"])
    rig.run(500)
    ask(rig, spot, "spot.trades", "BTC_USDT", "ETH_USDT")
    ask(rig, spot, "spot.book_ticker", "BTC_USDT")
    ask(rig, spot, "spot.tickers", "BTC_USDT")
    for channel in ("futures.trades", "futures.tickers", "futures.public_liquidates"):
        ask(rig, futures, channel, "BTC_USDT")
    rig.got = {client: [] for client in rig.got}
    pair, contract = rig.instrument("BTC_USDT", "spot"), rig.instrument("BTC_USDT", "usdt")
    first, forced = (pair.trade_id, contract.trade_id), contract.liquidations
    rig.run(6000)
    rig.run(1500, quiet=True)
    frames = rig.frames(spot)
    told = [one["result"] for one in frames if one["channel"] == "spot.trades"]
    own = [one for one in told if one["currency_pair"] == "BTC_USDT"]
    assert [one["id"] for one in own] == list(range(first[0] + 1, pair.trade_id + 1))
    last = pair.trades[-1]
    assert (own[-1]["price"], own[-1]["side"]) == (pair.price(last.price), "buy" if last.buy else "sell")
    best = [one["result"] for one in frames if one["channel"] == "spot.book_ticker"][-1]
    assert (best["b"], best["a"], best["u"]) == (
        pair.price(pair.best[0]), pair.price(pair.best[2]), best["u"],
    )  # fmt: skip
    day = [one["result"] for one in frames if one["channel"] == "spot.tickers"][-1]
    assert (day["high_24h"], day["base_volume"]) == (pair.price(pair.stats.high), pair.size(pair.stats.volume))
    frames = rig.frames(futures)
    rows = [row for one in frames if one["channel"] == "futures.trades" for row in one["result"]]
    assert [row["id"] for row in rows] == list(range(first[1] + 1, contract.trade_id + 1))
    last = contract.trades[-1]
    assert rows[-1]["size"] == ("" if last.buy else "-") + contract.size(last.size)
    (ticker,) = [one["result"] for one in frames if one["channel"] == "futures.tickers"][-1]
    assert (ticker["mark_price"], ticker["total_size"]) == (
        contract.price(contract.mark), contract.size(contract.open_interest),
    )  # fmt: skip
    rows = [row for one in frames if one["channel"] == "futures.public_liquidates" for row in one["result"]]
    assert len(rows) == contract.liquidations - forced > 0


def test_what_is_wrong_is_said() -> None:
    rig = Rig("gateio")
    client = rig.connect(PATHS["spot"])
    wrong = [
        ask(rig, client, "spot.zzz", "BTC_USDT"),
        ask(rig, client, "futures.trades", "BTC_USDT"),
        ask(rig, client, "spot.trades", "BTC_USDT", "NO_USDT"),
        ask(rig, client, "spot.trades"),
        ask(rig, client, "spot.order_book_update", "BTC_USDT", "7ms"),
        ask(rig, client, "spot.trades", "BTC_USDT", event="zzz"),
        ask(rig, client, "spot.trades", "BTC_USDT", off_s=61),
    ]
    assert {one[0]["error"]["code"] for one in wrong} == {2}
    assert "NO_USDT" in wrong[2][0]["error"]["message"]
    assert not client.topics
    rig.say(client, b"[")
    assert rig.frames(client)[0]["error"]["code"] == 1
    (pong,) = ask(rig, client, "spot.ping", event="")
    assert (pong["channel"], pong["result"]) == ("spot.pong", None)


def test_lists_and_errors_over_rest() -> None:
    rig = Rig("gateio")
    assert rig.rest("/api/v4/spot/currency_pairs")[0]["id"] == "BTC_USDT"
    contracts = {one["name"]: one for one in rig.rest("/api/v4/futures/usdt/contracts")}
    assert contracts["BTC_USDT"]["type"] == "direct"
    (inverse,) = rig.rest("/api/v4/futures/btc/contracts")
    assert (inverse["name"], inverse["quanto_multiplier"]) == ("BTC_USD", "0")
    one = rig.rest("/api/v4/futures/usdt/contracts/BTC_USDT")
    assert one["funding_next_apply"] > rig.now_ns // 1_000_000_000
    assert "server_time" in rig.rest("/api/v4/spot/time")
    for path, status in (
        ("/api/v4/spot/order_book?currency_pair=NO", 400),
        ("/api/v4/futures/usdt/order_book?contract=BTC_USD", 400),
        ("/api/v4/spot/zzz", 404),
        ("/api/v4/futures", 404),
    ):
        assert rig.venue.rest(path, rig.now_ns, address="test").status == status, path
