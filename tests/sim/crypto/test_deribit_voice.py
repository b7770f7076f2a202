"""How the simulated Deribit talks, message by message."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sim.crypto.rig import Rig

from tickcast.sim.crypto.state import Client
from tickcast.venues.base import VenueConfig
from tickcast.venues.declared.venue import Acknowledged, Listed, Refused, Reply, Unknown
from tickcast.venues.deribit.venue import DeribitVenue

PATH = "/ws/api/v2"
BOOK = "book.BTC-PERPETUAL.100ms"
VENUE = DeribitVenue(VenueConfig(venue="DERIBIT"))


def ask(rig: Rig, client: Client, method: str, **params: Any) -> Any:
    rig.say(client, {"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
    return next(frame for frame in rig.frames(client) if frame.get("id") == 7)


def told(rig: Rig, client: Client, prefix: str) -> list[Any]:
    frames = [frame for frame in rig.frames(client) if frame.get("method") == "subscription"]
    return [frame["params"]["data"] for frame in frames if frame["params"]["channel"].startswith(prefix)]


def listed(rig: Rig) -> dict[str, Listed]:
    found: dict[str, Listed] = {}
    for request in VENUE.listing():
        url = request.url.removeprefix(VENUE.rest_url)
        body = json.dumps(rig.rest(url)).encode()
        found |= {each.native: each for each in VENUE.listed(request, body)}
    return found


def test_lists_name_what_the_house_calls_instruments() -> None:
    rig = Rig("deribit")
    found = listed(rig)
    for one in rig.venue.voice.instruments:
        product = one.product
        assert found[one.native].symbol == product.symbol
        assert found[one.native].asset_class == product.kind
        assert found[one.native].settle_currency == product.settle
    assert {one.product.kind for one in rig.venue.voice.instruments} == {"perpetual", "future", "option"}


def test_books_are_chained_and_equal_those_over_rest() -> None:
    rig = Rig("deribit")
    client = rig.connect(PATH)
    rig.say(client, {"jsonrpc": "2.0", "id": 7, "method": "public/subscribe", "params": {"channels": [BOOK]}})
    rig.run(3000)
    first, *changes = told(rig, client, "book.")
    assert (first["type"], len(changes) > 5) == ("snapshot", True)
    book: dict[str, dict[float, float]] = {"bids": {}, "asks": {}}
    last = None
    for data in (first, *changes):
        assert data.get("prev_change_id") == last
        last = data["change_id"]
        for side, levels in book.items():
            for word, price, size in data[side]:
                if word == "delete":
                    del levels[price]
                else:
                    levels[price] = size
    rig.run(300, quiet=True)
    for data in told(rig, client, "book."):
        assert data["prev_change_id"] == last
        last = data["change_id"]
        for side, levels in book.items():
            for word, price, size in data[side]:
                levels[price] = size
                if word == "delete":
                    del levels[price]
    rest = rig.rest("/api/v2/public/get_order_book?instrument_name=BTC-PERPETUAL&depth=10000")["result"]
    assert (rest["change_id"], {side: dict(rest[side]) for side in book}) == (last, book)


def test_trades_quotes_and_tickers() -> None:
    rig = Rig("deribit")
    client = rig.connect(PATH)
    option = next(one.native for one in rig.venue.voice.instruments if one.product.kind == "option")
    channels = [
        "trades.BTC-PERPETUAL.100ms",
        "quote.BTC-PERPETUAL",
        f"ticker.{option}.100ms",
        "deribit_price_index.btc_usd",
    ]
    assert ask(rig, client, "public/subscribe", channels=channels)["result"] == channels
    rig.run(4000)
    frames = [frame["params"] for frame in rig.frames(client) if frame.get("method") == "subscription"]
    by_channel = {name: [each["data"] for each in frames if each["channel"] == name] for name in channels}
    trades = [trade for data in by_channel[channels[0]] for trade in data]
    assert [trade["trade_seq"] for trade in trades] == list(
        range(trades[0]["trade_seq"], trades[0]["trade_seq"] + len(trades))
    )
    assert {trade["direction"] for trade in trades} <= {"buy", "sell"}
    quote = by_channel[channels[1]][-1]
    assert 0 < quote["best_bid_price"] < quote["best_ask_price"]
    ticker = by_channel[channels[2]][-1]
    assert {"delta", "gamma", "vega", "theta", "rho"} == set(ticker["greeks"])
    assert ticker["mark_iv"] > 1
    assert by_channel[channels[3]][-1]["index_name"] == "btc_usd"


def test_what_does_not_exist_is_left_out_of_the_answer() -> None:
    rig = Rig("deribit")
    client = rig.connect(PATH)
    channels = ["book.BTC-PERPETUAL.100ms", "book.NOBODY.100ms", "book.BTC-PERPETUAL.5ms", "nonsense", "platform_state"]
    answer = ask(rig, client, "public/subscribe", channels=channels)
    assert answer["result"] == [channels[0], channels[4]]
    (said,) = VENUE.cold(json.dumps(answer).encode(), "")
    assert isinstance(said, Acknowledged)
    assert [each.name for each in said.channels] == ["book", "platform_state"]
    assert ask(rig, client, "public/unsubscribe", channels=channels[:1])["result"] == channels[:1]
    rig.run(1000)
    assert told(rig, client, "book.") == []


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("public/subscribe", {"channels": ["book.BTC-PERPETUAL.raw"]}, 13778),
        ("public/subscribe", {"channels": 7}, -32602),
        ("public/set_heartbeat", {"interval": 5}, -32602),
        ("private/buy", {}, -32601),
    ],
)
def test_refusals(method: str, params: dict[str, Any], code: int) -> None:
    rig = Rig("deribit")
    client = rig.connect(PATH)
    answer = ask(rig, client, method, **params)
    assert answer["error"]["code"] == code
    (said,) = VENUE.cold(json.dumps(answer).encode(), "")
    assert isinstance(said, Refused)


def test_who_does_not_answer_a_test_is_cut() -> None:
    rig = Rig("deribit")
    good, bad = rig.connect(PATH), rig.connect(PATH)
    for client in (good, bad):
        assert ask(rig, client, "public/set_heartbeat", interval=30)["result"] == "ok"
    for _ in range(40):
        rig.run(1000, quiet=True)
        for frame in rig.frames(good):
            for said in VENUE.cold(json.dumps(frame).encode(), ""):
                if isinstance(said, Reply):
                    rig.say(good, said.frame)
    assert good.close is None
    assert bad.close == (1000, "test_request was not answered")


@given(st.binary(max_size=80) | st.sampled_from([b"[]", b"{}", b'{"method":"public/subscribe","params":[]}', b"null"]))
def test_any_bytes_are_answered(frame: bytes) -> None:
    rig = Rig("deribit")
    client = rig.connect(PATH)
    rig.say(client, frame)
    for answer in rig.frames(client):
        assert not any(isinstance(said, Unknown) for said in VENUE.cold(json.dumps(answer).encode(), ""))
