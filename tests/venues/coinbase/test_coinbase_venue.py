"""What Coinbase's venue writes and reads beside its declared messages."""

import msgspec
import pytest

from tickcast.model.record import State
from tickcast.venues.base import VenueConfig
from tickcast.venues.coinbase.dialect import DIALECT
from tickcast.venues.coinbase.venue import NO_CHANNEL, CoinbaseVenue
from tickcast.venues.declared.venue import (
    Acknowledged,
    Alive,
    Channel,
    Listed,
    Refused,
    Status,
    Unknown,
    Venue,
)

BTC = Listed(native="BTC-USD", symbol="BTC-USD", asset_class="crypto", currency="USD")
ETH = Listed(native="ETH-USD", symbol="ETH-USD", asset_class="crypto", currency="USD")


def make(**settings: object) -> Venue:
    return CoinbaseVenue(msgspec.convert({"venue": "COINBASE", **settings}, VenueConfig))


def product(name: str, **changes: object) -> dict[str, object]:
    base, quote = name.split("-")
    return {
        "product_id": name,
        "product_type": "SPOT",
        "base_currency_id": base,
        "quote_currency_id": quote,
        "base_increment": "0.00000001",
        "quote_increment": "0.01",
        "price_increment": "0.01",
        "status": "online",
        "alias": "",
        "alias_to": [],
        "is_disabled": False,
        "trading_disabled": False,
        "cancel_only": False,
        "post_only": False,
        "auction_mode": False,
        **changes,
    }


def listed(*products: dict[str, object]) -> list[Listed]:
    venue = make()
    return list(venue.listed(venue.listing()[0], msgspec.json.encode({"products": products, "num_products": 9})))


def test_the_list_is_asked_for_at_the_configured_address() -> None:
    assert make().listing()[0].url == "https://api.coinbase.com/api/v3/brokerage/market/products?product_type=SPOT"
    request = make(rest_url="http://127.0.0.1:9/").listing()[0]
    assert request.url == "http://127.0.0.1:9/api/v3/brokerage/market/products?product_type=SPOT"


def test_a_product_is_listed_with_its_steps_and_state() -> None:
    (one,) = listed(product("BTC-USD", price_increment="0.05"))
    assert (one.native, one.symbol, one.asset_class, one.currency) == ("BTC-USD", "BTC-USD", "crypto", "USD")
    assert (one.tick_size, one.lot_size, one.state, one.time_precision) == ("0.05", "0.00000001", State.LIVE, 6)


def test_without_a_price_increment_the_quote_increment_is_the_tick() -> None:
    assert listed(product("BTC-USD", price_increment="", quote_increment="0.001"))[0].tick_size == "0.001"


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"status": "delisted"}, State.CLOSED),
        ({"status": "a word of tomorrow"}, State.CLOSED),
        ({"status": "offline"}, State.HALTED),
        ({"trading_disabled": True}, State.HALTED),
        ({"is_disabled": True}, State.HALTED),
        ({"auction_mode": True}, State.AUCTION),
        ({"cancel_only": True}, State.HALTED),
        ({"post_only": True}, State.HALTED),
        ({"status": "delisted", "auction_mode": True}, State.CLOSED),
    ],
)
def test_a_product_that_does_not_trade_says_so(changes: dict[str, object], state: State) -> None:
    assert listed(product("BTC-USD", **changes))[0].state is state


def test_products_without_data_of_their_own_are_not_listed() -> None:
    names = [
        one.symbol
        for one in listed(
            product("BTC-USD", alias_to=["BTC-USDC"]),
            product("BTC-USDC", alias="BTC-USD"),
            product("BIT-FUT", product_type="FUTURE"),
            product("USDT-USDC"),
        )
    ]
    assert names == ["BTC-USD", "USDT-USDC"]


def test_what_is_no_list_is_refused() -> None:
    venue = make()
    for body in (b"<html>", b"{}", b'{"products":[{"product_id":1}]}'):
        with pytest.raises(ValueError, match=r"\w"):
            venue.listed(venue.listing()[0], body)


def test_channels_follow_the_streams() -> None:
    assert [one.name for one in make().channels(BTC)] == ["market_trades", "level2", "ticker", "status"]
    assert make(streams=["trade"]).channels(BTC) == [Channel("market_trades", "BTC-USD")]
    assert make(streams=["book"]).channels(BTC) == [Channel("level2", "BTC-USD", book=True)]
    assert make(streams=["funding", "greeks"]).channels(BTC) == []


def test_the_ticker_quotes_only_where_there_is_no_book() -> None:
    venue = make(streams=["quote"])
    assert [one.name for one in venue.channels(BTC)] == ["ticker"]
    assert venue.quoted(BTC)
    assert not make(streams=["quote", "book"]).quoted(BTC)
    assert not make(streams=["quote", "book", "ticker"]).quoted(BTC)
    assert [one.name for one in make(streams=["quote", "book"]).channels(BTC)] == ["level2"]


def test_one_message_subscribes_to_one_channel() -> None:
    venue = make(streams=["trade", "book"])
    channels = [*venue.channels(BTC), *venue.channels(ETH)]
    assert [msgspec.json.decode(frame) for frame in venue.subscribe(channels)] == [
        {"type": "subscribe", "channel": "market_trades", "product_ids": ["BTC-USD", "ETH-USD"]},
        {"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USD", "ETH-USD"]},
    ]
    assert [msgspec.json.decode(frame) for frame in venue.unsubscribe([Channel("level2", "BTC-USD", book=True)])] == [
        {"type": "unsubscribe", "channel": "level2", "product_ids": ["BTC-USD"]}
    ]


def test_every_connection_begins_with_heartbeats() -> None:
    assert [msgspec.json.decode(frame) for frame in make().hello()] == [{"type": "subscribe", "channel": "heartbeats"}]


def test_an_acknowledgement_names_all_subscriptions_but_heartbeats() -> None:
    frame = (
        b'{"channel":"subscriptions","timestamp":"2026-08-09T21:05:48.2Z","sequence_num":26,"events":[{"subscriptions":'
        b'{"heartbeats":["heartbeats"],"level2":["BTC-USD","ETH-USD"],"ticker":["BTC-USD"]}}]}'
    )
    assert make().cold(frame, "") == [
        Acknowledged(
            [
                Channel("level2", "BTC-USD", book=True),
                Channel("level2", "ETH-USD", book=True),
                Channel("ticker", "BTC-USD"),
            ]
        )
    ]


def test_an_acknowledgement_of_heartbeats_alone_confirms_nothing() -> None:
    frame = b'{"channel":"subscriptions","sequence_num":0,"events":[{"subscriptions":{"heartbeats":["heartbeats"]}}]}'
    assert make().cold(frame, "") == [Alive()]


def test_the_status_channel_tells_each_product() -> None:
    frame = (
        b'{"channel":"status","sequence_num":3,"events":[{"type":"snapshot","products":[{"product_type":"SPOT",'
        b'"id":"BTC-USD","status":"online","status_message":""},{"product_type":"SPOT","id":"ETH-USD",'
        b'"status":"offline","status_message":"maintenance"}]}]}'
    )
    assert make().cold(frame, "") == [
        Status("BTC-USD", State.LIVE, reason="online"),
        Status("ETH-USD", State.HALTED, reason="maintenance"),
    ]


def test_errors_are_refusals_and_those_of_the_login_fatal() -> None:
    assert make().cold(b'{"type":"error","message":"too many subscriptions"}', "") == [
        Refused("too many subscriptions", NO_CHANNEL)
    ]
    assert make().cold(b'{"type":"error","message":"Authentication failure"}', "") == [
        Refused("Authentication failure", NO_CHANNEL, fatal=True)
    ]
    assert make().cold(b'{"type":"error"}', "") == [Refused("an error without a text", NO_CHANNEL)]


def test_what_nobody_knows_is_said_so() -> None:
    (found,) = make().cold(b'{"channel":"futures_balance_summary","events":[]}', "")
    assert isinstance(found, Unknown)
    assert "futures_balance_summary" in found.reason
    assert make().cold(b'{"channel":"heartbeats","events":[]}', "") == [Alive()]


def test_what_is_no_message_is_refused() -> None:
    for frame in (b"<html>", b"[]", b'{"channel":"subscriptions"}', b'{"channel":"status","events":[{"products":3}]}'):
        with pytest.raises(ValueError, match=r"\w"):
            make().cold(frame, "")


def test_the_dialect_counts_on_the_connection() -> None:
    assert DIALECT.counter is not None
    assert (DIALECT.counter.path, DIALECT.counter.first) == ("sequence_num", 0)
    assert make().dialect is DIALECT
