"""BINANCE's voice, against a client that keeps a book by the venue's own rules."""

from typing import Any

import pytest
from tests.sim.crypto.rig import Rig, apply, ordered


@pytest.mark.parametrize("before_ms", [310, 350, 390])
def test_book_by_the_venues_rules_equals_the_truth(before_ms: int) -> None:
    rig = Rig("binance")
    client = rig.connect("/stream?streams=btcusdt@depth@100ms/btcusdt@depth5")
    rig.run(before_ms)
    snapshot = rig.rest("/api/v3/depth?symbol=BTCUSDT&limit=1000")
    book = {"bids": dict(snapshot["bids"]), "asks": dict(snapshot["asks"])}
    rig.run(2000)
    rig.run(1200, quiet=True)
    last = None
    frames = rig.frames(client)
    for event in [one["data"] for one in frames if one["stream"] == "btcusdt@depth@100ms"]:
        if event["u"] <= snapshot["lastUpdateId"]:
            continue
        assert event["U"] <= snapshot["lastUpdateId"] + 1 if last is None else event["U"] == last + 1
        last = event["u"]
        apply(book, event["b"], event["a"])
    truth = rig.venue.truth(rig.instrument("BTCUSDT"))
    assert last is not None
    assert ordered(book) == {"bids": truth["bids"], "asks": truth["asks"]}
    partial = [one["data"] for one in frames if one["stream"] == "btcusdt@depth5"][-1]
    assert [tuple(level) for level in partial["bids"]] == truth["bids"][:5]


def test_trades_quotes_and_tickers_say_what_is_true() -> None:
    rig = Rig("binance")
    client = rig.connect("/ws")
    names = ["btcusdt@trade", "btcusdt@bookTicker", "btcusdt@ticker", "ethusdt@aggTrade"]
    rig.say(client, {"method": "SUBSCRIBE", "params": names, "id": "x"})
    rig.run(4000)
    rig.run(1100, quiet=True)
    frames: list[Any] = rig.frames(client)
    assert frames.pop(0) == {"result": None, "id": "x"}
    instrument = rig.instrument("BTCUSDT")
    trades = [one for one in frames if one.get("e") == "trade"]
    assert [one["t"] for one in trades] == list(range(trades[0]["t"], instrument.trade_id + 1))
    assert len(trades) == instrument.stats.count
    assert trades[-1]["p"] == instrument.price(instrument.trades[-1].price)
    assert len(trades[-1]["p"].partition(".")[2]) == 8
    quote = [one for one in frames if "e" not in one][-1]
    truth = rig.venue.truth(instrument)
    assert ((quote["b"], quote["B"]), (quote["a"], quote["A"])) == (truth["bids"][0], truth["asks"][0])
    assert [one for one in frames if one.get("e") == "24hrTicker"][-1]["n"] == len(trades)
    aggregates = rig.rest("/api/v3/aggTrades?symbol=ETHUSDT&limit=3")
    sent = [one for one in frames if one.get("e") == "aggTrade"][-3:]
    assert [one["a"] for one in aggregates] == [one["a"] for one in sent]
    first = rig.rest(f"/api/v3/aggTrades?symbol=ETHUSDT&fromId={sent[1]['a']}")
    assert [one["a"] for one in first] == [one["a"] for one in sent[1:]]


def test_tokenised_stocks_are_listed_and_halted_with_their_stock() -> None:
    rig = Rig("binance", pairs=20)
    listed = rig.rest("/api/v3/exchangeInfo?symbols=%5B%22AAPLUSD%22%5D")["symbols"]
    assert [(one["symbol"], one["baseAsset"], one["quoteAsset"], one["status"]) for one in listed] == [
        ("AAPLUSD", "AAPL", "USD", "TRADING")
    ]
    row = rig.instrument("AAPLUSD").row
    rig.venue.halt(row)
    assert rig.rest("/api/v3/exchangeInfo?symbol=AAPLUSD")["symbols"][0]["status"] == "HALT"


def test_properties_and_the_limit_of_streams() -> None:
    rig = Rig("binance")
    client = rig.connect("/ws/btcusdt@trade")
    rig.say(client, {"method": "SET_PROPERTY", "params": ["combined", True], "id": 1})
    rig.say(client, {"method": "LIST_SUBSCRIPTIONS", "id": 2})
    rig.say(client, {"method": "SUBSCRIBE", "params": [f"x{number}@trade" for number in range(1024)], "id": 3})
    answers = rig.frames(client)
    assert answers[:2] == [{"result": None, "id": 1}, {"result": ["btcusdt@trade"], "id": 2}]
    assert answers[2]["code"] == 2
    rig.run(500)
    assert {one["stream"] for one in rig.frames(client)} == {"btcusdt@trade"}


def test_weights_are_told() -> None:
    rig = Rig("binance")
    for _ in range(2):
        answer = rig.venue.rest("/api/v3/depth?symbol=BTCUSDT&limit=5000", rig.now_ns)
    assert answer.headers == {"X-MBX-USED-WEIGHT-1M": "500"}
