"""What Deribit's lists and cold messages say, and what is sent to it."""

import json
from typing import Any

import pytest
from tests.venues.deribit.messages import encoded, listing, notification

from tickcast.model.record import State
from tickcast.venues.base import VenueConfig
from tickcast.venues.declared.venue import (
    Acknowledged,
    Alive,
    Channel,
    Leaving,
    Listed,
    Refused,
    Relist,
    Reply,
    Status,
    Unknown,
)
from tickcast.venues.deribit.venue import DeribitVenue


def venue(**settings: Any) -> DeribitVenue:
    return DeribitVenue(VenueConfig(venue="DERIBIT", **settings))


def instruments(found: DeribitVenue | None = None) -> dict[str, Listed]:
    deribit = found or venue()
    return {each.symbol: each for each in deribit.listed(deribit.listing()[0], listing())}


def test_lists_are_asked_for_by_currency() -> None:
    requests = venue(markets=("BTC", "USDC"), rest_url="http://127.0.0.1:9/").listing()
    assert [request.url for request in requests] == [
        "http://127.0.0.1:9/api/v2/public/get_instruments?currency=BTC&expired=false",
        "http://127.0.0.1:9/api/v2/public/get_instruments?currency=USDC&expired=false",
    ]
    assert len({request.purpose for request in requests}) == 2
    assert requests[0].weight > 1


def test_list() -> None:
    found = instruments()
    assert list(found) == [
        "BTC-USD-PERP",
        "BTC-USD-20260103-50000-C",
        "XRP-USDC-20260327-0.625-P",
        "BTC-USDC",
        "BTC-USD-INDEX",
        "BTC-USDC-INDEX",
        "XRP-USDC-INDEX",
    ]
    perpetual = found["BTC-USD-PERP"]
    assert (perpetual.native, perpetual.currency, perpetual.settle_currency) == ("BTC-PERPETUAL", "USD", "BTC")
    assert (perpetual.tick_size, perpetual.lot_size, perpetual.contract_size) == ("0.5", "10", "10")
    assert (perpetual.underlying, perpetual.expiry, perpetual.state) == ("BTC-USD-INDEX", None, State.LIVE)


def test_options_of_a_list() -> None:
    found = instruments()
    inverse, linear = found["BTC-USD-20260103-50000-C"], found["XRP-USDC-20260327-0.625-P"]
    assert (inverse.asset_class, inverse.currency, inverse.settle_currency) == ("option", "BTC", "BTC")
    assert (inverse.strike, inverse.option_type, inverse.expiry) == ("50000", "call", "2026-01-03T08:00:00Z")
    assert (linear.strike, linear.option_type, linear.currency) == ("0.625", "put", "USDC")
    assert (linear.contract_size, linear.state, linear.underlying) == ("1000", State.HALTED, "XRP-USDC-INDEX")
    assert found["BTC-USDC"].state is State.CLOSED


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"error":{"code":1}}', b'{"result":[{"kind":"future"}]}'])
def test_what_is_no_list(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        venue().listed(venue().listing()[0], body)


def test_channels() -> None:
    found = instruments()
    deribit = venue()
    assert deribit.channels(found["BTC-USD-PERP"]) == [
        Channel("trades", "BTC-PERPETUAL"),
        Channel("quote", "BTC-PERPETUAL"),
        Channel("book", "BTC-PERPETUAL", book=True),
        Channel("ticker", "BTC-PERPETUAL"),
    ]
    assert deribit.channels(found["BTC-USD-INDEX"]) == [Channel("deribit_price_index", "btc_usd")]
    assert [each.name for each in venue(streams=("greeks",)).channels(found["BTC-USD-PERP"])] == []
    assert [each.name for each in venue(streams=("greeks",)).channels(found["BTC-USD-20260103-50000-C"])] == ["ticker"]
    assert venue(streams=("trade",)).market_channels(list(found.values())) == []


def test_subscriptions() -> None:
    deribit = venue()
    channels = [*deribit.channels(instruments()["BTC-USD-PERP"]), *deribit.market_channels([*instruments().values()])]
    heartbeat, subscribe = map(json.loads, [*deribit.hello(), *deribit.subscribe(channels)])
    assert (heartbeat["method"], heartbeat["params"]) == ("public/set_heartbeat", {"interval": 30})
    assert subscribe["method"] == "public/subscribe"
    assert subscribe["params"]["channels"] == [
        "trades.BTC-PERPETUAL.100ms",
        "quote.BTC-PERPETUAL",
        "book.BTC-PERPETUAL.100ms",
        "ticker.BTC-PERPETUAL.100ms",
        "instrument.state.any.any",
        "platform_state",
    ]
    (unsubscribe,) = map(json.loads, deribit.unsubscribe(channels[:1]))
    assert unsubscribe["params"]["channels"] == ["trades.BTC-PERPETUAL.100ms"]
    assert deribit.target("", channels) == "wss://www.deribit.com/ws/api/v2"
    granted = encoded({"jsonrpc": "2.0", "id": 2, "result": subscribe["params"]["channels"]})
    assert deribit.cold(granted, "") == [Acknowledged(channels)]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"id": 1, "result": "ok"}, [Alive()]),
        ({"id": 4, "result": {"version": "1.2.26"}}, [Alive()]),
        ({"id": 2, "result": []}, [Alive()]),
        ({"method": "heartbeat", "params": {"type": "heartbeat"}}, [Alive()]),
        ({"id": 2, "error": {"code": 11050, "message": "bad_request"}}, [Refused("11050 bad_request")]),
        ({"id": 2, "error": {"code": 10028, "message": "too_many"}}, [Refused("10028 too_many", fatal=True)]),
        ({"method": "a", "params": {}}, [Unknown("expected an answer or a notification, found method 'a'")]),
        ({}, [Unknown("expected an answer or a notification, found neither")]),
    ],
)
def test_answers(message: dict[str, Any], expected: list[Any]) -> None:
    assert venue().cold(encoded({"jsonrpc": "2.0", **message}), "") == expected


def test_a_test_request_is_answered() -> None:
    (reply,) = venue().cold(encoded({"method": "heartbeat", "params": {"type": "test_request"}}), "")
    assert isinstance(reply, Reply)
    assert json.loads(reply.frame)["method"] == "public/test"


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("created", [Relist("BTC-3JAN26 is created")]),
        ("started", [Status("BTC-3JAN26", State.LIVE, reason="started")]),
        ("locked", [Status("BTC-3JAN26", State.HALTED, reason="locked")]),
        ("closed", [Status("BTC-3JAN26", State.CLOSED, reason="closed"), Relist("BTC-3JAN26 is closed")]),
        ("odd", [Unknown("expected a state of an instrument, found 'odd'")]),
    ],
)
def test_states_of_instruments(state: str, expected: list[Any]) -> None:
    data = {"timestamp": 1, "state": state, "instrument_name": "BTC-3JAN26"}
    assert venue().cold(notification("instrument.state.any.any", data), "") == expected


def test_states_of_the_platform() -> None:
    deribit = venue()
    instruments(deribit)
    locked = deribit.cold(notification("platform_state", {"price_index": "btc_usd", "locked": True}), "")
    reason = "btc_usd locked"
    assert locked == [
        Status("BTC-3JAN26-50000-C", State.HALTED, reason=reason),
        Status("BTC-PERPETUAL", State.HALTED, reason=reason),
    ]
    everything = deribit.cold(notification("platform_state", {"locked": False}), "")
    assert everything == [Status("", State.LIVE, reason="platform unlocked")]
    assert isinstance(deribit.cold(notification("platform_state", {"maintenance": True}), "")[0], Leaving)
    state = notification("platform_state.public_methods_state", {"allow_unauthenticated_public_requests": True})
    assert deribit.cold(state, "") == [Alive()]
    assert isinstance(deribit.cold(notification("another", {}), "")[0], Unknown)


@pytest.mark.parametrize("frame", [b"", b"[]", b"<html>", b'{"error":7}', b'{"params":{"channel":7}}'])
def test_what_is_no_message(frame: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        venue().cold(frame, "")


def test_recorded_subscriptions_name_instruments() -> None:
    channels = [
        "book.BTC-3JAN26-50000-C.raw",
        "trades.BTC_USDC-PERPETUAL.100ms",
        "deribit_price_index.eth_usd",
        "trades.option.any.raw",
    ]
    sent = [json.dumps({"method": "public/subscribe", "params": {"channels": channels}}), "{", '{"params":7}', "[]"]
    found = {each.native: each for each in venue().recorded([], sent, [])}
    assert list(found) == ["BTC-3JAN26-50000-C", "BTC_USDC-PERPETUAL", "eth_usd"]
    option = found["BTC-3JAN26-50000-C"]
    assert (option.symbol, option.currency, option.settle_currency) == ("BTC-USD-20260103-50000-C", "BTC", "BTC")
    assert found["BTC_USDC-PERPETUAL"].settle_currency == "USDC"
