"""How the simulated Poloniex talks, message by message."""

import json
from decimal import Decimal
from typing import Any

import pytest
from tests.sim.crypto.rig import Rig, apply, ordered

from tickcast.sim.crypto.state import Client


@pytest.fixture
def rig() -> Rig:
    return Rig("poloniex")


@pytest.fixture
def client(rig: Rig) -> Client:
    made = rig.connect("/ws/public")
    assert rig.frames(made) == []
    return made


def ask(rig: Rig, client: Client, *channels: str, event: str = "subscribe", symbol: str = "BTC_USDT") -> list[Any]:
    rig.say(client, {"event": event, "channel": list(channels), "symbols": [symbol]})
    return rig.frames(client)


def test_each_channel_is_confirmed(rig: Rig, client: Client) -> None:
    answers = ask(rig, client, "book_lv2", "trades", symbol="btc_usdt")
    assert answers[:2] == [
        {"event": "subscribe", "channel": name, "symbols": ["BTC_USDT"]} for name in ("book_lv2", "trades")
    ]
    assert [one["action"] for one in answers[2:]] == ["snapshot"], "trades begin with the next one"
    rig.run(2000)
    assert {one["channel"] for one in rig.frames(client)} == {"book_lv2", "trades"}
    ask(rig, client, "book_lv2", "trades", event="unsubscribe")
    rig.run(500)
    assert rig.frames(client) == []


def test_books_name_their_predecessor_and_keep_twenty_levels() -> None:
    rig = Rig("poloniex", orders=60)
    client = rig.connect("/ws/public")
    rig.run(2000)
    *_, whole = ask(rig, client, "book_lv2")
    rig.run(3000)
    rig.run(500, quiet=True)
    told = rig.frames(client)
    (begin,) = whole["data"]
    book = {side: dict(map(tuple, begin[side])) for side in ("bids", "asks")}
    last = begin["id"]
    for one in told:
        assert one["action"] == "update"
        (row,) = one["data"]
        assert row["lastId"] == last
        last = row["id"]
        apply(book, row["bids"], row["asks"])
        assert max(map(len, book.values())) <= 20
    assert len(told) > 20
    truth = rig.venue.truth(rig.instrument("BTC_USDT"))
    assert len(truth["bids"]) > 20
    assert ordered(book) == {side: truth[side][:20] for side in ("bids", "asks")}


def test_trades_one_by_one(rig: Rig, client: Client) -> None:
    ask(rig, client, "trades")
    rig.run(3000)
    told = [row for one in rig.frames(client) for row in one["data"]]
    kept = {str(one.id): one for one in rig.instrument("BTC_USDT").trades}
    idents = [int(row["id"]) for row in told]
    assert idents == list(range(idents[0], idents[0] + len(told)))
    for row in told:
        one = kept[row["id"]]
        assert row["takerSide"] == ("buy" if one.buy else "sell")
        assert row["createTime"] == one.ts_ns // 1_000_000
        exact = Decimal(row["price"]) * Decimal(row["quantity"])
        assert 0 <= exact - Decimal(row["amount"]) < Decimal("1e-8")


def test_values_begin_with_those_of_now(rig: Rig, client: Client) -> None:
    rig.run(3000)
    told = ask(rig, client, "ticker", "symbols")[2:]
    ticker, state = ({one["channel"]: one["data"][0] for one in told}[name] for name in ("ticker", "symbols"))
    stats = rig.instrument("BTC_USDT").stats
    assert (ticker["tradeCount"], ticker["close"]) == (stats.count, rig.instrument("BTC_USDT").price(stats.last))
    assert state["state"] == "NORMAL"
    rig.venue.halt(rig.instrument("BTC_USDT").row)
    rig.run(1000)
    states = [row["state"] for one in rig.frames(client) if one["channel"] == "symbols" for row in one["data"]]
    assert states == ["PAUSE"]


@pytest.mark.parametrize(
    "frame",
    [
        b"hello",
        b'{"event":"shout"}',
        b'{"event":"subscribe","channel":["trades"]}',
        b'{"event":"subscribe","channel":["shouts"],"symbols":["BTC_USDT"]}',
        b'{"event":"subscribe","channel":["trades"],"symbols":["BTC_USDT","NO_SUCH"]}',
    ],
)
def test_refusals_name_no_symbol(rig: Rig, client: Client, frame: bytes) -> None:
    rig.say(client, frame)
    (answer,) = rig.frames(client)
    assert (answer["event"], set(answer)) == ("error", {"event", "message"})
    rig.run(500)
    assert rig.frames(client) == [], "nothing of it is carried out"


def test_pings_keep_a_connection(rig: Rig, client: Client) -> None:
    silent = rig.connect("/ws/public")
    for _ in range(3):
        rig.run(15_000, quiet=True)
        rig.say(client, {"event": "ping"})
        assert rig.frames(client) == [{"event": "pong"}]
    assert (client.close is None, silent.close is None) == (True, False)
    rig.say(client, b"PING")
    assert rig.got[client] == [b"pong"]


def test_all_can_be_ended_at_once(rig: Rig, client: Client) -> None:
    ask(rig, client, "book_lv2", "trades")
    rig.say(client, {"event": "unsubscribe_all"})
    assert rig.frames(client) == [{"event": "unsubscribe_all"}]
    rig.run(500)
    assert rig.frames(client) == []


def test_rest(rig: Rig) -> None:
    rig.run(2000)
    entries = {one["symbol"]: one for one in rig.rest("/markets")}
    assert set(entries) == set(rig.venue.names())
    assert rig.rest("/markets/BTC_USDT") == [entries["BTC_USDT"]]
    assert rig.rest("/timestamp") == {"serverTime": rig.now_ns // 1_000_000}
    newest = rig.rest("/markets/BTC_USDT/trades?limit=5")
    assert [int(one["id"]) for one in newest] == [one.id for one in rig.instrument("BTC_USDT").trades][:-6:-1]
    assert {one["takerSide"] for one in rig.rest("/markets/BTC_USDT/trades")} == {"BUY", "SELL"}
    shallow = rig.rest("/markets/BTC_USDT/orderBook?limit=5")
    truth = rig.venue.truth(rig.instrument("BTC_USDT"))
    assert shallow["bids"] == [text for level in truth["bids"][:5] for text in level]
    for wrong in ("/markets/NO_SUCH", "/markets/BTC_USDT/orderBook?limit=7", "/nothing"):
        answer = rig.venue.rest(wrong, rig.now_ns, address="test")
        assert (answer.status, set(json.loads(answer.body))) == (400, {"code", "message"})


def test_too_many_requests(rig: Rig) -> None:
    statuses = [rig.venue.rest("/markets", rig.now_ns, address="test").status for _ in range(11)]
    assert statuses == [200] * 10 + [429]
