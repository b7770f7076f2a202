"""What Kraken's venue writes and reads beside its declared messages."""

from collections.abc import Mapping

import msgspec
import pytest

from tickcast.model.record import State
from tickcast.venues.base import VenueConfig
from tickcast.venues.declared.dialect import Book, Dialect
from tickcast.venues.declared.venue import (
    Acknowledged,
    Alive,
    Channel,
    Listed,
    Refused,
    Status,
    Strange,
    Unknown,
)
from tickcast.venues.kraken.dialect import served
from tickcast.venues.kraken.v1 import DIALECT as V1_DIALECT
from tickcast.venues.kraken.v1 import KrakenV1Venue
from tickcast.venues.kraken.venue import NO_CHANNEL, STATES, KrakenVenue

BTC = Listed(native="BTC/USD", symbol="BTC-USD", asset_class="crypto", currency="USD")


def make(**settings: object) -> KrakenVenue:
    return KrakenVenue(msgspec.convert({"venue": "KRAKEN", **settings}, VenueConfig))


def make_v1(**settings: object) -> KrakenV1Venue:
    return KrakenV1Venue(msgspec.convert({"venue": "KRAKEN", **settings}, VenueConfig))


def depth(dialect: Dialect) -> int:
    return next(emit.rule.depth for message in dialect.messages for emit in message.emits if isinstance(emit, Book))


def pairs(**entries: Mapping[str, object]) -> bytes:
    return msgspec.json.encode({"error": [], "result": entries})


def listed(venue: KrakenVenue, body: bytes) -> list[Listed]:
    return list(venue.listed(venue.listing()[0], body))


def test_older_names_are_everybodys() -> None:
    body = pairs(
        XXBTZUSD={"wsname": "XBT/USD", "tick_size": "0.1", "lot_decimals": 8, "status": "online"},
        XDGEUR={"wsname": "XDG/EUR", "pair_decimals": 7, "lot_decimals": 3},
        ADAXBT={"wsname": "ADA/XBT", "pair_decimals": 8, "lot_decimals": 0},
        NEW={"wsname": "BTC/CHF", "tick_size": "1"},
    )
    found = {one.symbol: one for one in listed(make(), body)}
    assert {name: one.native for name, one in found.items()} == {
        "BTC-USD": "BTC/USD",
        "DOGE-EUR": "DOGE/EUR",
        "ADA-BTC": "ADA/BTC",
        "BTC-CHF": "BTC/CHF",
    }
    assert (found["BTC-USD"].tick_size, found["BTC-USD"].lot_size) == ("0.1", "0.00000001")
    assert (found["DOGE-EUR"].tick_size, found["DOGE-EUR"].lot_size) == ("0.0000001", "0.001")
    assert (found["ADA-BTC"].tick_size, found["ADA-BTC"].lot_size) == ("0.00000001", "1")
    assert found["BTC-USD"].currency == "USD"
    assert found["ADA-BTC"].currency == "BTC"


def test_the_older_dialect_keeps_the_older_names() -> None:
    (one,) = listed(make_v1(), pairs(XXBTZUSD={"wsname": "XBT/USD", "pair_decimals": 1}))
    assert (one.native, one.symbol) == ("XBT/USD", "BTC-USD")


def test_pairs_that_are_not_streamed_are_not_listed() -> None:
    assert listed(make(), pairs(**{"XXBTZUSD.d": {"altname": "XBTUSD.d"}})) == []


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("online", State.LIVE),
        ("limit_only", State.LIVE),
        ("reduce_only", State.LIVE),
        ("post_only", State.HALTED),
        ("cancel_only", State.HALTED),
        ("maintenance", State.HALTED),
        ("work_in_progress", State.CLOSED),
        ("delisted", State.CLOSED),
        ("a word of tomorrow", State.CLOSED),
    ],
)
def test_states(word: str, state: State) -> None:
    assert listed(make(), pairs(XXBTZUSD={"wsname": "XBT/USD", "status": word}))[0].state is state
    frame = msgspec.json.encode(
        {
            "channel": "instrument",
            "type": "update",
            "data": {"assets": [], "pairs": [{"symbol": "BTC/USD", "status": word}]},
        }
    )
    unknown = [Strange(f"status={word}")] if word not in STATES else []
    assert make().cold(frame, "") == [Status("BTC/USD", state, reason=word), *unknown]


def test_the_venues_error_is_no_list() -> None:
    with pytest.raises(ValueError, match="EGeneral:Internal error"):
        listed(make(), b'{"error":["EGeneral:Internal error"]}')
    for body in (b"<html>", b'{"result":[]}'):
        with pytest.raises(ValueError, match=r"\w"):
            listed(make(), body)


def test_the_least_depth_that_has_the_published_levels() -> None:
    assert [served(levels) for levels in (0, 1, 10, 11, 25, 26, 100, 101, 500, 501, 1000, 5000)] == [
        10, 10, 10, 25, 25, 100, 100, 500, 500, 1000, 1000, 1000,
    ]  # fmt: skip
    for published, kept in ((0, 10), (25, 25), (200, 500)):
        venue = make(depth=published, streams=["book"])
        assert depth(venue.dialect) == kept
        (frame,) = venue.subscribe(venue.channels(BTC))
        assert msgspec.json.decode(frame)["params"]["depth"] == kept
    assert depth(KrakenVenue.dialect) == 10


def test_subscriptions_are_grouped_by_channel() -> None:
    venue = make()
    eth = Listed(native="ETH/USD", symbol="ETH-USD", asset_class="crypto", currency="USD")
    channels = [*venue.channels(BTC), *venue.channels(eth), *venue.market_channels([BTC, eth])]
    both = ["BTC/USD", "ETH/USD"]
    assert [msgspec.json.decode(frame) for frame in venue.subscribe(channels)] == [
        {"method": "subscribe", "req_id": 2, "params": {"channel": "trade", "symbol": both, "snapshot": True}},
        {
            "method": "subscribe",
            "req_id": 1,
            "params": {"channel": "book", "symbol": both, "depth": 10, "snapshot": True},
        },
        {
            "method": "subscribe",
            "req_id": 3,
            "params": {"channel": "ticker", "symbol": both, "snapshot": True, "event_trigger": "bbo"},
        },
        {"method": "subscribe", "req_id": 4, "params": {"channel": "instrument", "snapshot": True}},
    ]
    assert [msgspec.json.decode(frame) for frame in venue.unsubscribe([Channel("book", "BTC/USD", book=True)])] == [
        {"method": "unsubscribe", "req_id": 1, "params": {"channel": "book", "symbol": ["BTC/USD"], "depth": 10}}
    ]


def test_channels_follow_the_streams() -> None:
    assert [one.name for one in make(streams=["quote"]).channels(BTC)] == ["ticker"]
    assert make(streams=["quote"]).quoted(BTC)
    assert not make(streams=["quote", "book"]).quoted(BTC)
    assert [one.name for one in make(streams=["quote", "book"]).channels(BTC)] == ["book"]
    assert make(streams=["trade"]).market_channels([BTC]) == []
    assert make().market_channels([]) == []


def test_addresses() -> None:
    assert make().target("", []) == "wss://ws.kraken.com/v2"
    assert make(url="ws://127.0.0.1:9").target("", []) == "ws://127.0.0.1:9/v2"
    assert make(rest_url="http://127.0.0.1:9").listing()[0].url == "http://127.0.0.1:9/0/public/AssetPairs"


def test_answers() -> None:
    done = (
        b'{"method":"subscribe","result":{"channel":"book","depth":10,"snapshot":true,"symbol":"BTC/USD"},'
        b'"success":true,"time_in":"2026-08-24T22:21:56.724795Z","time_out":"2026-08-24T22:21:56.724853Z"}'
    )
    assert make().cold(done, "") == [Acknowledged([Channel("book", "BTC/USD", book=True)])]
    refused = (
        b'{"error":"Currency pair not supported XBT/EUR","method":"subscribe","success":false,"symbol":"XBT/EUR",'
        b'"time_in":"2026-01-29T10:00:00Z","time_out":"2026-01-29T10:00:00Z"}'
    )
    assert make().cold(refused, "") == [Refused("Currency pair not supported XBT/EUR", Channel("", "XBT/EUR"))]
    numbered = refused.replace(b'"success"', b'"req_id":1,"success"')
    assert make().cold(numbered, "") == [
        Refused("Currency pair not supported XBT/EUR", Channel("book", "XBT/EUR", book=True))
    ]
    assert make().cold(b'{"error":"Exceeded msg rate","method":"subscribe","success":false,"req_id":99}', "") == [
        Refused("Exceeded msg rate", NO_CHANNEL)
    ]
    assert make().cold(b'{"method":"pong","time_in":"x","time_out":"y"}', "") == [Alive()]
    pong = b'{"method":"pong","time_in":"2026-03-29T14:30:01.234567Z"}'
    assert make().cold(pong, "") == [Alive(1_774_794_601_234_567_000, 1_000)], "its clock"
    assert make().cold(b'{"error":"Malformed request","success":false}', "") == [
        Refused("Malformed request", NO_CHANNEL)
    ]


def test_a_subscription_that_is_there_already_is_confirmed() -> None:
    frame = b'{"error":"Already subscribed","method":"subscribe","req_id":2,"success":false,"symbol":"BTC/USD"}'
    assert make().cold(frame, "") == [Acknowledged([Channel("trade", "BTC/USD")])]


def test_the_end_of_a_subscription_confirms_none() -> None:
    done = b'{"method":"unsubscribe","result":{"channel":"book","depth":10,"symbol":"BTC/USD"},"success":true}'
    wrong = b'{"error":"Subscription Not Found","method":"unsubscribe","success":false,"symbol":"BTC/USD"}'
    assert make().cold(done, "") == make().cold(wrong, "") == [Alive()]


def test_the_status_of_the_exchange_is_that_of_all_pairs() -> None:
    frame = (
        b'{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"maintenance","api_version":"v2",'
        b'"connection_id":806193442143087786}]}'
    )
    assert make().cold(frame, "") == [Status("", State.HALTED, reason="exchange maintenance")]


def test_what_nobody_knows_is_said_so() -> None:
    (found,) = make().cold(b'{"channel":"level3","type":"update","data":[]}', "")
    assert isinstance(found, Unknown)
    for frame in (b"no JSON", b"[]", b'{"channel":"instrument","type":"update","data":{"pairs":[{"symbol":"A"}]}}'):
        with pytest.raises(ValueError, match=r"\w"):
            make().cold(frame, "")


def test_a_recorders_subscriptions_tell_pairs_and_depth() -> None:
    venue = make()
    found = venue.recorded(
        ["wss://ws.kraken.com/v2"],
        [
            '{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":500}}',
            '{"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USD","DOGE/EUR"]}}',
            '{"method":"ping"}',
            "no JSON",
        ],
        [],
    )
    assert [(one.native, one.symbol) for one in found] == [("BTC/USD", "BTC-USD"), ("DOGE/EUR", "DOGE-EUR")]
    assert depth(venue.dialect) == 500
    older = make_v1().recorded(
        [], ['{"event":"subscribe","pair":["XBT/CHF"],"subscription":{"name":"book","depth":1000}}', "{"], []
    )
    assert [(one.native, one.symbol) for one in older] == [("XBT/CHF", "BTC-CHF")]


def test_events_of_the_older_dialect() -> None:
    venue = make_v1()
    assert venue.dialect is V1_DIALECT
    assert venue.cold(
        b'{"channelID":1664,"channelName":"book-1000","event":"subscriptionStatus","pair":"WAVES/EUR",'
        b'"status":"subscribed","subscription":{"depth":1000,"name":"book"}}',
        "",
    ) == [Acknowledged([Channel("book-1000", "WAVES/EUR", book=True)])]
    assert venue.cold(
        b'{"event":"subscriptionStatus","errorMessage":"Currency pair not supported","pair":"A/B","status":"error"}', ""
    ) == [Refused("Currency pair not supported", Channel("", "A/B"))]
    assert venue.cold(b'{"event":"systemStatus","status":"online","version":"1.8.3"}', "") == [
        Status("", State.LIVE, reason="online")
    ]
    assert venue.cold(b'{"event":"pong","reqid":3}', "") == [Alive()]
    assert venue.cold(b'{"event":"error","errorMessage":"Malformed request"}', "") == [
        Refused("Malformed request", NO_CHANNEL)
    ]
    assert isinstance(venue.cold(b'{"event":"addOrderStatus"}', "")[0], Unknown)
