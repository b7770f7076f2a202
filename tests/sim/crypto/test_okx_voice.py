"""The simulated OKX, against a client that keeps books by the venue's own rules."""

from typing import Any

import pytest
from tests.sim.crypto.rig import Rig, apply, ordered

from tickcast.sim.crypto.state import Client

PUBLIC = "/ws/v5/public"


def arguments(*channels: str, **of: str) -> list[dict[str, str]]:
    return [{"channel": channel, **of} for channel in channels]


def subscribe(rig: Rig, client: Client, *channels: str, **of: str) -> list[Any]:
    rig.say(client, {"op": "subscribe", "args": arguments(*channels, **of)})
    return rig.frames(client)


class Book:
    """A book of one stream; asserts that it is chained."""

    def __init__(self) -> None:
        self.levels: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        self.last = -1
        self.falls = 0

    def take(self, frame: dict[str, Any]) -> None:
        (row,) = frame["data"]
        if frame["action"] == "snapshot":
            assert row["prevSeqId"] == -1
            self.levels = {"bids": {}, "asks": {}}
        else:
            assert row["prevSeqId"] == self.last
            self.falls += row["seqId"] < self.last
        assert row["checksum"] == 0
        self.last = row["seqId"]
        apply(self.levels, row["bids"], row["asks"])


def follow(rig: Rig, client: Client, book: Book, began: list[Any], native: str = "BTC-USDT", *, ms: int = 2000) -> None:
    rig.run(ms)
    rig.run(300, quiet=True)
    for frame in [*began, *rig.frames(client)]:
        if frame.get("arg", {}).get("channel", "").startswith("books") and "data" in frame:
            assert frame["arg"]["instId"] == native
            book.take(frame)


def truth(rig: Rig, native: str = "BTC-USDT", market: str = "SPOT") -> dict[str, Any]:
    found = rig.venue.truth(rig.instrument(native, market))
    return {"bids": found["bids"], "asks": found["asks"]}


@pytest.mark.parametrize("channel", ["books", "books-l2-tbt"])
def test_chained_differences_make_the_true_book(channel: str) -> None:
    rig = Rig("okx")
    client = rig.connect(PUBLIC)
    rig.run(500)
    began = subscribe(rig, client, channel, instId="BTC-USDT")
    assert began[0] | {"connId": ""} == {
        "event": "subscribe", "arg": {"channel": channel, "instId": "BTC-USDT"}, "connId": "",
    }  # fmt: skip
    assert began[1]["action"] == "snapshot"
    book = Book()
    follow(rig, client, book, began)
    assert ordered(book.levels) == truth(rig)
    assert len(book.levels["bids"]) > 2


def test_numbers_begin_anew_and_the_chain_goes_on() -> None:
    rig = Rig("okx")
    client = rig.connect(PUBLIC)
    rig.run(500)
    book = Book()
    follow(rig, client, book, subscribe(rig, client, "books", instId="BTC-USDT"))
    rig.venue.restart()
    follow(rig, client, book, [])
    assert client not in rig.cut
    assert book.falls == 1
    assert ordered(book.levels) == truth(rig)


def test_five_levels_are_always_whole() -> None:
    rig = Rig("okx")
    client = rig.connect(PUBLIC)
    rig.run(500)
    subscribe(rig, client, "books5", instId="BTC-USDT")
    rig.run(1000)
    rig.run(300, quiet=True)
    last = rig.frames(client)[-1]["data"][0]
    best = truth(rig)
    assert [tuple(level[:2]) for level in last["bids"]] == best["bids"][:5]
    assert [tuple(level[:2]) for level in last["asks"]] == best["asks"][:5]


def test_channels_of_an_instrument_say_what_is_true() -> None:
    rig = Rig("okx")
    client = rig.connect(PUBLIC)
    rig.run(1000)
    native = "BTC-USDT-SWAP"
    instrument = rig.instrument(native, "SWAP")
    before = instrument.trade_id
    channels = ("trades", "bbo-tbt", "tickers", "mark-price", "funding-rate", "open-interest")
    frames = subscribe(rig, client, *channels, instId=native)
    frames += subscribe(rig, client, "index-tickers", instId="BTC-USDT")
    rig.run(3000)
    rig.run(3500, quiet=True)
    last: dict[str, Any] = {}
    trades: list[dict[str, Any]] = []
    for frame in [*frames, *rig.frames(client)]:
        if "data" in frame:
            last[frame["arg"]["channel"]] = frame["data"][0]
            trades += frame["data"] if frame["arg"]["channel"] == "trades" else []
    assert [int(row["tradeId"]) for row in trades] == list(range(before, instrument.trade_id + 1))
    newest = instrument.trades[-1]
    assert (trades[-1]["px"], trades[-1]["side"]) == (instrument.price(newest.price), "buy" if newest.buy else "sell")
    best = truth(rig, native, "SWAP")
    quote = last["bbo-tbt"]
    assert (tuple(quote["bids"][0][:2]), tuple(quote["asks"][0][:2])) == (best["bids"][0], best["asks"][0])
    assert last["mark-price"]["markPx"] == instrument.price(instrument.mark)
    assert last["open-interest"]["oi"] == instrument.size(instrument.open_interest)
    assert float(last["funding-rate"]["fundingRate"]) == pytest.approx(instrument.funding, rel=0.1)
    assert last["tickers"]["vol24h"] == instrument.size(instrument.stats.volume)
    assert last["index-tickers"]["instId"] == "BTC-USDT"


def test_channels_of_many_instruments() -> None:
    rig = Rig("okx", rate=4000.0)
    client = rig.connect(PUBLIC)
    rig.run(500)
    rig.say(
        client,
        {
            "op": "subscribe",
            "args": [
                {"channel": "opt-summary", "instFamily": "BTC-USD"},
                {"channel": "liquidation-orders", "instType": "SWAP"},
                {"channel": "instruments", "instType": "SWAP"},
                {"channel": "status"},
            ],
        },
    )
    forced = sum(one.liquidations for one in rig.venue.instruments if one.product.market == "SWAP")
    rig.run(8000)
    pushed = [frame for frame in rig.frames(client) if "data" in frame]
    listed = [row["instId"] for frame in pushed if frame["arg"]["channel"] == "instruments" for row in frame["data"]]
    assert "BTC-USD-SWAP" in listed
    greeks = [row for frame in pushed if frame["arg"]["channel"] == "opt-summary" for row in frame["data"]]
    assert {row["instId"] for row in greeks} == {
        one.native for one in rig.venue.instruments if one.product.market == "OPTION"
    }
    assert all(float(row["askVol"]) > float(row["markVol"]) > float(row["bidVol"]) for row in greeks)
    details = [
        detail
        for frame in pushed
        if frame["arg"]["channel"] == "liquidation-orders"
        for row in frame["data"]
        for detail in row["details"]
    ]
    every = sum(one.liquidations for one in rig.venue.instruments if one.product.market == "SWAP")
    assert len(details) == every - forced > 0


def test_what_the_venue_does_not_know_is_refused() -> None:
    rig = Rig("okx")
    client = rig.connect(PUBLIC)
    for wrong in ({"channel": "books", "instId": "FOO-USDT"}, {"channel": "trades-all", "instId": "BTC-USDT"}):
        rig.say(client, {"op": "subscribe", "args": [wrong]})
        (answer,) = rig.frames(client)
        assert (answer["event"], answer["code"]) == ("error", "60018")
        assert f"channel:{wrong['channel']},instId:{wrong['instId']} doesn't exist" in answer["msg"]
    for broken in (b"{", b"[]", b'{"op":"fly"}', b'{"op":"subscribe","args":[7]}', b"\xff"):
        rig.say(client, broken)
        (answer,) = rig.frames(client)
        assert (answer["event"], answer["code"]) == ("error", "60012")
    business = rig.connect("/ws/v5/business")
    answer = subscribe(rig, business, "trades-all", instId="BTC-USDT")[0]
    assert answer["event"] == "subscribe"


def test_ping_and_farewell_and_silence() -> None:
    rig = Rig("okx")
    client, silent = rig.connect(PUBLIC), rig.connect(PUBLIC)
    for _ in range(2):
        rig.run(20_000, quiet=True)
        rig.say(client, b"ping")
    assert rig.got[client] == [b"pong"] * 2
    assert (silent.close is not None, client.close) == (True, None)
    rig.got[client].clear()
    rig.venue.leave()
    rig.deliver()
    assert [frame["code"] for frame in rig.frames(client)] == ["64008"]


def test_lists_over_rest() -> None:
    rig = Rig("okx")
    assert rig.rest("/api/v5/public/underlying?instType=OPTION")["data"] == [["BTC-USD"]]
    listed: dict[str, Any] = {}
    for kind in ("SPOT", "SWAP", "FUTURES", "OPTION&instFamily=BTC-USD"):
        listed |= {row["instId"]: row for row in rig.rest(f"/api/v5/public/instruments?instType={kind}")["data"]}
    assert set(listed) == {one.native for one in rig.venue.instruments}
    assert (listed["BTC-USD-SWAP"]["ctType"], listed["BTC-USD-SWAP"]["ctVal"]) == ("inverse", "100")
    assert rig.rest("/api/v5/public/instruments?instType=OPTION")["code"] == "50015"
    assert rig.rest("/api/v5/public/instruments?instType=X")["code"] == "51000"
    assert rig.rest("/api/v5/market/books?instId=NO&sz=5")["code"] == "51001"
    book = rig.rest("/api/v5/market/books?instId=BTC-USDT&sz=3")["data"][0]
    assert [tuple(level[:2]) for level in book["bids"]] == truth(rig)["bids"][:3]
    assert rig.venue.rest("/api/v5/no/such", rig.now_ns).status == 404


def test_too_many_requests() -> None:
    rig = Rig("okx")
    found = [rig.venue.rest("/api/v5/public/time", rig.now_ns, address="one").status for _ in range(21)]
    assert found == [200] * 20 + [429]
    assert rig.venue.rest("/api/v5/public/time", rig.now_ns + 2_000_000_000, address="one").status == 200
