"""The model voice, against a client that keeps a book by the venue's own rules."""

from typing import Any

import pytest
from tests.sim.crypto.rig import Rig, apply, ordered

DEPTH = "/public/stream?streams=btcusdt@depth@100ms"


def follow(rig: Rig, frames: list[dict[str, Any]], native: str = "BTCUSDT") -> dict[str, list[tuple[str, str]]]:
    """Keep a book by the venue's rules: a snapshot over REST between two events, then ``pu`` is the last ``u``."""
    snapshot = rig.rest(f"/fapi/v1/depth?symbol={native}&limit=1000")
    book = {"bids": dict(snapshot["bids"]), "asks": dict(snapshot["asks"])}
    last = None
    rig.run(2000)
    rig.run(200, quiet=True)
    for client in rig.got:
        frames += [one["data"] for one in rig.frames(client)]
    for event in frames:
        if event["s"] != native or event["u"] < snapshot["lastUpdateId"]:
            continue
        if last is None:
            assert event["U"] <= snapshot["lastUpdateId"] <= event["u"]
        else:
            assert event["pu"] == last
        last = event["u"]
        apply(book, event["b"], event["a"])
    assert last is not None
    return ordered(book)


@pytest.mark.parametrize("before_ms", [310, 350, 390])
def test_book_by_the_venues_rules_equals_the_truth(before_ms: int) -> None:
    rig = Rig("binance_futures")
    client = rig.connect(DEPTH)
    rig.run(before_ms)
    book = follow(rig, [one["data"] for one in rig.frames(client)])
    truth = rig.venue.truth(rig.instrument("BTCUSDT"))
    assert book == {"bids": truth["bids"], "asks": truth["asks"]}
    assert len(truth["bids"]) > 2


def test_trades_quotes_and_marks_say_what_is_true() -> None:
    rig = Rig("binance_futures")
    market = rig.connect("/market/ws")
    public = rig.connect("/public/ws/btcusdt@bookTicker")
    names = ["btcusdt@aggTrade", "btcusdt@markPrice@1s", "btcusdt@ticker", "!forceOrder@arr"]
    rig.say(market, {"method": "SUBSCRIBE", "params": names, "id": 7})
    rig.run(4000)
    rig.run(1100, quiet=True)
    frames = rig.frames(market)
    assert frames[0] == {"result": None, "id": 7}
    instrument = rig.instrument("BTCUSDT")
    trades = [one for one in frames[1:] if one["e"] == "aggTrade"]
    assert [one["a"] for one in trades] == list(range(trades[0]["a"], instrument.trade_id + 1))
    assert len(trades) == instrument.stats.count
    last = instrument.trades[-1]
    assert (trades[-1]["p"], trades[-1]["m"]) == (instrument.price(last.price), not last.buy)
    marks = [one for one in frames[1:] if one["e"] == "markPriceUpdate"]
    assert len(marks) >= 4
    assert marks[-1]["p"] == instrument.price(instrument.mark)
    forced = [one["o"]["s"] for one in frames[1:] if one["e"] == "forceOrder"]
    assert len(forced) == sum(one.liquidations for one in rig.venue.instruments)
    assert [one for one in frames[1:] if one["e"] == "24hrTicker"][-1]["n"] == len(trades)
    quote = rig.frames(public)[-1]
    truth = rig.venue.truth(instrument)
    assert ((quote["b"], quote["B"]), (quote["a"], quote["A"])) == (truth["bids"][0], truth["asks"][0])


def test_streams_of_the_other_address_are_taken_and_never_told() -> None:
    rig = Rig("binance_futures")
    client = rig.connect("/market/stream?streams=btcusdt@depth/btcusdt@bookTicker")
    rig.run(1000)
    assert rig.frames(client) == []


def test_a_resubscription_after_unsubscribing_goes_on() -> None:
    rig = Rig("binance_futures")
    client = rig.connect("/market/ws/btcusdt@aggTrade")
    rig.run(1000)
    assert rig.frames(client)
    rig.say(client, {"method": "UNSUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 1})
    rig.frames(client)
    rig.run(1000)
    assert rig.frames(client) == []
    rig.say(client, {"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 2})
    rig.run(1000)
    assert len(rig.frames(client)) > 1


def test_derivatives_are_listed_with_expiry_and_steps() -> None:
    rig = Rig("binance_futures")
    listed = {one["symbol"]: one for one in rig.rest("/fapi/v1/exchangeInfo")["symbols"]}
    future = next(name for name in listed if "_" in name)
    assert listed[future]["contractType"] != "PERPETUAL"
    assert listed[future]["deliveryDate"] > rig.now_ns // 1_000_000
    assert listed["BTCUSDT"]["filters"][0]["tickSize"] == "0.10000000"
    perpetual, dated = rig.instrument("BTCUSDT"), rig.instrument(future)
    rig.run(500)
    rig.venue.idle(rig.now_ns)
    assert 0 < dated.best[0] * dated.product.tick / (perpetual.best[0] * perpetual.product.tick) - 1 < 0.05


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("/fapi/v1/depth", -1102),
        ("/fapi/v1/depth?symbol=NOPE", -1121),
        ("/fapi/v1/depth?symbol=BTCUSDT&limit=x", -1100),
        ("/fapi/v1/nothing", -5000),
    ],
)
def test_wrong_requests_are_answered_with_the_venues_code(url: str, code: int) -> None:
    answer = Rig("binance_futures").venue.rest(url, 0)
    assert answer.status in {400, 404}
    assert f'"code":{code}'.encode() in answer.body


@pytest.mark.parametrize("frame", [b"", b"\xff", b"[]", b"{}", b'{"method":"X"}', b'{"method":"SUBSCRIBE","params":3}'])
def test_nonsense_is_answered_with_an_error(frame: bytes) -> None:
    rig = Rig("binance_futures")
    client = rig.connect("/public/ws")
    rig.say(client, frame)
    assert [one["code"] for one in rig.frames(client)] in ([2], [3])
