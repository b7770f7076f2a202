"""The simulated Bybit, against a client that keeps books by the venue's own rules."""

from typing import Any

import pytest
from tests.sim.crypto.rig import Rig, apply, ordered

from tickcast.sim.crypto.state import Client


def subscribe(rig: Rig, client: Client, *topics: str) -> list[Any]:
    rig.say(client, {"req_id": "7", "op": "subscribe", "args": list(topics)})
    return rig.frames(client)


class Book:
    """A book of one topic; asserts that its numbers count."""

    def __init__(self) -> None:
        self.levels: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        self.last = 0
        self.begun = 0

    def take(self, frame: dict[str, Any]) -> None:
        data = frame["data"]
        if frame["type"] == "snapshot":
            self.levels = {"bids": {}, "asks": {}}
            self.begun += 1
        else:
            assert data["u"] == self.last + 1
        assert frame["cts"] <= frame["ts"]
        self.last = data["u"]
        apply(self.levels, data["b"], data["a"])


def follow(rig: Rig, client: Client, book: Book, began: list[Any]) -> None:
    rig.run(2000)
    rig.run(300, quiet=True)
    for frame in [*began, *rig.frames(client)]:
        if frame.get("topic", "").startswith("orderbook"):
            book.take(frame)


def truth(rig: Rig, native: str, market: str) -> dict[str, Any]:
    found = rig.venue.truth(rig.instrument(native, market))
    return {"bids": found["bids"], "asks": found["asks"]}


@pytest.mark.parametrize(("market", "native"), [("spot", "BTCUSDT"), ("linear", "BTCUSDT"), ("inverse", "BTCUSD")])
def test_numbered_differences_make_the_true_book(market: str, native: str) -> None:
    rig = Rig("bybit")
    client = rig.connect(f"/v5/public/{market}")
    rig.run(500)
    began = subscribe(rig, client, f"orderbook.200.{native}")
    assert (began[0]["success"], began[0]["op"], began[0]["req_id"]) == (True, "subscribe", "7")
    book = Book()
    follow(rig, client, book, began)
    assert ordered(book.levels) == truth(rig, native, market)
    assert (book.begun, len(book.levels["bids"]) > 2) == (1, True)


def test_a_restart_begins_at_one() -> None:
    rig = Rig("bybit")
    client = rig.connect("/v5/public/linear")
    rig.run(500)
    book = Book()
    follow(rig, client, book, subscribe(rig, client, "orderbook.50.BTCUSDT"))
    before = book.last
    rig.venue.restart()
    rig.run(100)
    frames = rig.frames(client)
    assert (frames[0]["type"], frames[0]["data"]["u"]) == ("snapshot", 1)
    follow(rig, client, book, frames)
    assert (book.begun, 1 < book.last < before + 200) == (2, True)
    assert ordered(book.levels) == truth(rig, "BTCUSDT", "linear")


def test_topics_of_a_contract_say_what_is_true() -> None:
    rig = Rig("bybit", rate=4000.0)
    client = rig.connect("/v5/public/linear")
    rig.run(1000)
    instrument = rig.instrument("BTCUSDT", "linear")
    before = instrument.trade_id
    topics = ["publicTrade", "orderbook.1", "tickers", "allLiquidation"]
    frames = subscribe(rig, client, *(f"{topic}.BTCUSDT" for topic in topics))
    forced = instrument.liquidations
    rig.run(6000)
    rig.run(300, quiet=True)
    frames += rig.frames(client)
    by_topic = {topic: [one for one in frames if one.get("topic") == f"{topic}.BTCUSDT"] for topic in topics}
    trades = [row for frame in by_topic["publicTrade"] for row in frame["data"]]
    assert [int(row["i"].replace("-", ""), 16) for row in trades] == list(range(before + 1, instrument.trade_id + 1))
    assert len({row["i"] for row in trades}) == len(trades) > 0
    assert trades[-1]["S"] == ("Buy" if instrument.trades[-1].buy else "Sell")
    quote = by_topic["orderbook.1"][-1]
    best = truth(rig, "BTCUSDT", "linear")
    assert quote["type"] == "snapshot"
    assert (tuple(quote["data"]["b"][0]), tuple(quote["data"]["a"][0])) == (best["bids"][0], best["asks"][0])
    first, *others = by_topic["tickers"]
    assert (first["type"], {one["type"] for one in others}) == ("snapshot", {"delta"})
    merged: dict[str, str] = {}
    for frame in by_topic["tickers"]:
        changed = {name: value for name, value in frame["data"].items() if name != "symbol"}
        assert frame["type"] == "snapshot" or all(merged[name] != value for name, value in changed.items())
        merged |= changed
    assert merged["markPrice"] == instrument.price(instrument.mark)
    assert merged["volume24h"] == instrument.size(instrument.stats.volume)
    assert sum(len(frame["data"]) for frame in by_topic["allLiquidation"]) == instrument.liquidations - forced


def test_options_have_greeks_and_trades_by_coin() -> None:
    rig = Rig("bybit", rate=4000.0)
    client = rig.connect("/v5/public/option")
    rig.run(500)
    native = next(one.native for one in rig.venue.instruments if one.product.market == "option")
    answer, *_ = subscribe(rig, client, f"tickers.{native}", f"orderbook.25.{native}", "publicTrade.BTC", "tickers.NO")
    assert answer["data"] == {
        "failTopics": ["tickers.NO"],
        "successTopics": [f"tickers.{native}", f"orderbook.25.{native}", "publicTrade.BTC"],
    }
    rig.run(8000)
    frames = rig.frames(client)
    ticker = [one for one in frames if one["topic"] == f"tickers.{native}"][-1]["data"]
    assert float(ticker["askIv"]) > float(ticker["markPriceIv"]) > float(ticker["bidIv"])
    traded = {row["s"] for one in frames if one["topic"] == "publicTrade.BTC" for row in one["data"]}
    assert traded <= {one.native for one in rig.venue.instruments if one.product.market == "option"}
    assert traded


def test_spot_tickers_are_always_whole() -> None:
    rig = Rig("bybit")
    client = rig.connect("/v5/public/spot")
    rig.run(500)
    frames = subscribe(rig, client, "tickers.BTCUSDT")
    rig.run(2000)
    frames += rig.frames(client)
    told = [one for one in frames if one.get("topic") == "tickers.BTCUSDT"]
    assert {one["type"] for one in told} == {"snapshot"}
    assert len({tuple(sorted(one["data"])) for one in told}) == 1
    assert len(told) > 2


@pytest.mark.parametrize(
    ("market", "topics", "text"),
    [
        ("linear", ["orderbook.50.FOO"], "error:handler not found,topic:orderbook.50.FOO"),
        ("linear", ["orderbook.7.BTCUSDT"], "error:handler not found,topic:orderbook.7.BTCUSDT"),
        ("spot", ["allLiquidation.BTCUSDT"], "error:handler not found,topic:allLiquidation.BTCUSDT"),
        ("spot", ["tickers.BTCUSDT"] * 11, "args size >10"),
        ("linear", ["tickers.BTCUSDT"] * 1500, "error:args length over 21000"),
        ("linear", [], "error:no topic"),
    ],
)
def test_what_the_venue_does_not_take_is_refused(market: str, topics: list[str], text: str) -> None:
    rig = Rig("bybit")
    client = rig.connect(f"/v5/public/{market}")
    (answer,) = subscribe(rig, client, *topics)
    assert (answer["success"], answer["ret_msg"]) == (False, text)
    assert not client.topics


def test_a_wrong_topic_takes_the_others_of_its_frame_with_it() -> None:
    rig = Rig("bybit")
    client = rig.connect("/v5/public/linear")
    subscribe(rig, client, "tickers.BTCUSDT", "tickers.FOO")
    assert not client.topics


def test_pings_and_nonsense() -> None:
    rig = Rig("bybit")
    for market, expected in (("spot", {"ret_msg": "pong", "op": "ping"}), ("option", {"op": "pong"})):
        client = rig.connect(f"/v5/public/{market}")
        rig.say(client, {"op": "ping"})
        (answer,) = rig.frames(client)
        assert expected.items() <= answer.items()
    for broken in (b"{", b"[]", b'{"op":7}', b"\xff"):
        rig.say(client, broken)
        (answer,) = rig.frames(client)
        assert answer["success"] is False


def test_lists_come_in_pages() -> None:
    rig = Rig("bybit")
    start = "/v5/market/instruments-info?category="
    found, cursor, pages = [], "", 0
    while True:
        page = rig.rest(f"{start}linear&limit=2&cursor={cursor}")["result"]
        found += [row["symbol"] for row in page["list"]]
        cursor, pages = page["nextPageCursor"], pages + 1
        if not cursor:
            break
    assert found == [one.native for one in rig.venue.instruments if one.product.market == "linear"]
    assert pages == -(-len(found) // 2) > 1
    assert "nextPageCursor" not in rig.rest(f"{start}spot")["result"]
    assert rig.rest(f"{start}option&baseCoin=ETH")["result"]["list"] == []
    assert {row["optionsType"] for row in rig.rest(f"{start}option")["result"]["list"]} == {"Call", "Put"}
    assert rig.rest(f"{start}moon")["retCode"] == 10001
    assert rig.rest("/v5/market/orderbook?category=spot&symbol=NO")["retCode"] == 10001
    book = rig.rest("/v5/market/orderbook?category=spot&symbol=BTCUSDT&limit=3")["result"]
    assert [tuple(level) for level in book["b"]] == truth(rig, "BTCUSDT", "spot")["bids"][:3]
    assert rig.venue.rest("/v5/market/no-such", rig.now_ns).status == 404
