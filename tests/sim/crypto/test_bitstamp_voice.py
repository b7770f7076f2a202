"""How the simulated Bitstamp talks, message by message."""

import json
from typing import Any

import pytest
from tests.sim.crypto.rig import Rig, apply, ordered

from tickcast.sim.crypto.state import Client

ROOT = "/api/v2"


@pytest.fixture
def rig() -> Rig:
    return Rig("bitstamp")


@pytest.fixture
def client(rig: Rig) -> Client:
    made = rig.connect("/")
    assert rig.frames(made) == []
    return made


def ask(rig: Rig, client: Client, channel: str, event: str = "bts:subscribe") -> list[Any]:
    rig.say(client, {"event": event, "data": {"channel": channel}})
    return rig.frames(client)


def test_channels_are_confirmed_and_begin_with_their_next_event(rig: Rig, client: Client) -> None:
    channels = ("live_trades_btcusd", "order_book_btcusd", "diff_order_book_btcusd", "funding_rate_btcusd-perp")
    for channel in channels:
        assert ask(rig, client, channel) == [{"event": "bts:subscription_succeeded", "channel": channel, "data": {}}]
    rig.run(3000)
    assert {one["channel"] for one in rig.frames(client)} == set(channels)
    for channel in channels:
        assert ask(rig, client, channel, "bts:unsubscribe") == [
            {"event": "bts:unsubscription_succeeded", "channel": channel, "data": {}}
        ]
    rig.run(1000)
    assert rig.frames(client) == []


def test_whole_books(rig: Rig, client: Client) -> None:
    ask(rig, client, "order_book_btcusd")
    rig.run(2000)
    rig.run(500, quiet=True)
    told = rig.frames(client)
    times = [int(one["data"]["microtimestamp"]) for one in told]
    assert len(times) > 5
    assert times == sorted(set(times))
    last, truth = told[-1]["data"], rig.venue.truth(rig.instrument("btcusd"))
    assert {side: [tuple(level) for level in last[side]] for side in ("bids", "asks")} == {
        side: truth[side] for side in ("bids", "asks")
    }


def test_differences_over_a_book_from_rest(rig: Rig, client: Client) -> None:
    ask(rig, client, "diff_order_book_btcusd")
    rig.run(500)
    rest = rig.rest(f"{ROOT}/order_book/btcusd/?group=1")
    book = {side: dict(map(tuple, rest[side])) for side in ("bids", "asks")}
    rig.run(2000)
    rig.run(500, quiet=True)
    told = [one["data"] for one in rig.frames(client)]
    times = [int(one["microtimestamp"]) for one in told]
    assert times == sorted(set(times))
    for one in told:
        if int(one["microtimestamp"]) > int(rest["microtimestamp"]):
            apply(book, one["bids"], one["asks"])
    truth = rig.venue.truth(rig.instrument("btcusd"))
    assert ordered(book) == {side: truth[side] for side in ("bids", "asks")}
    same = rig.rest(f"{ROOT}/order_book/btcusd/?group=1")
    assert same["microtimestamp"] == told[-1]["microtimestamp"]


def test_trades_in_numbers_and_texts(rig: Rig, client: Client) -> None:
    ask(rig, client, "live_trades_btcusd")
    rig.run(3000)
    told = [one["data"] for one in rig.frames(client)]
    last, truth = told[-1], rig.instrument("btcusd").trades[-1]
    assert (last["id"], last["id_str"], last["type"]) == (truth.id, str(truth.id), 0 if truth.buy else 1)
    assert (last["price_str"], last["price"]) == (
        rig.instrument("btcusd").price(truth.price),
        float(last["price_str"]),
    )
    assert int(last["microtimestamp"]) == truth.ts_ns // 1000
    assert len({one["id"] for one in told}) == len(told)


def test_funding_every_second(rig: Rig, client: Client) -> None:
    ask(rig, client, "funding_rate_btcusd-perp")
    rig.run(3000, quiet=True)
    told = rig.frames(client)
    assert [one["event"] for one in told] == ["funding_rate_saved"] * 3
    one = rig.instrument("btcusd-perp")
    assert told[-1]["data"]["mark_price"] == one.price(one.mark)
    ask(rig, client, "funding_rate_ethusd")
    rig.run(2000, quiet=True)
    assert {each["channel"] for each in rig.frames(client)} == {"funding_rate_btcusd-perp"}


def test_a_market_that_does_not_exist_is_confirmed_and_silent(rig: Rig, client: Client) -> None:
    (answer,) = ask(rig, client, "order_book_nopexyz")
    assert answer["event"] == "bts:subscription_succeeded"
    rig.run(1000)
    assert rig.frames(client) == []


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (b"hello", "Incorrect JSON format."),
        (b'{"event":"bts:ping"}', "Bad subscription string."),
        (b'{"event":"bts:subscribe","data":{}}', "Bad subscription string."),
        (b'{"event":"bts:subscribe","data":{"channel":"order_book_BTC/USD"}}', "Invalid channel provided."),
        (b'{"event":"bts:subscribe","data":{"channel":"candles_btcusd"}}', "Invalid channel provided."),
    ],
)
def test_refusals(rig: Rig, client: Client, frame: bytes, message: str) -> None:
    rig.say(client, frame)
    assert rig.frames(client) == [{"event": "bts:error", "channel": "", "data": {"code": None, "message": message}}]


def test_long_messages_close_the_connection(rig: Rig, client: Client) -> None:
    rig.say(client, b'{"event":"bts:subscribe","data":{"channel":"' + b"x" * 600 + b'"}}')
    assert client.close is not None
    assert client.close[0] == 1009


def test_heartbeats_and_the_announcement_of_a_cut(rig: Rig, client: Client) -> None:
    rig.say(client, {"event": "bts:heartbeat"})
    rig.venue.leave()
    rig.deliver()
    beat, leaving = rig.frames(client)
    assert (beat["data"], leaving["event"]) == ({"status": "success"}, "bts:request_reconnect")


def test_rest(rig: Rig) -> None:
    entries = {one["market_symbol"]: one for one in rig.rest(f"{ROOT}/markets/")}
    assert set(entries) == set(rig.venue.names())
    assert (entries["btcusd-perp"]["name"], entries["btcusd-perp"]["market_type"]) == ("BTC/USD-PERP", "PERPETUAL")
    assert entries["btcusd"]["base_decimals"] == 8
    ticker = rig.rest(f"{ROOT}/ticker/btcusd-perp/")
    one = rig.instrument("btcusd-perp")
    assert (ticker["market"], ticker["open_interest"]) == ("BTC/USD-PERP", one.size(one.open_interest))
    assert "open_interest" not in rig.rest(f"{ROOT}/ticker/btcusd/")
    rig.venue.halt(one.row)
    halted = {each["market_symbol"]: each["trading"] for each in rig.rest(f"{ROOT}/markets/")}
    assert (halted["btcusd-perp"], halted["btcusd"]) == ("Disabled", "Enabled")
    for path in ("ticker/nope/", "nothing/btcusd/", "order_book/"):
        assert rig.venue.rest(f"{ROOT}/{path}", rig.now_ns).status == 404
    assert json.loads(rig.venue.voice.too_many().body)["status"] == "error"
