"""What Poloniex's venue writes and reads beside its declared messages, and how its messages are read."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.captures.replaying import Replay
from tests.captures.replaying import replay as replayed

from tickcast.model.record import Kind, Side, State
from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.declared.venue import (
    Acknowledged,
    Alive,
    Channel,
    Listed,
    Print,
    Refused,
    Status,
    Strange,
    Unknown,
)
from tickcast.venues.poloniex.venue import PoloniexVenue

NOW = 1_790_000_000_000_000_000
MS = 1_790_000_000_000
BITCOIN = Listed(native="BTC_USDT", symbol="BTC-USDT", asset_class="crypto", currency="USDT")


def make(**settings: object) -> PoloniexVenue:
    return PoloniexVenue(msgspec.convert({"venue": "POLONIEX", **settings}, VenueConfig))


def told(*frames: dict[str, Any]) -> Replay:
    return replayed(make(), [BITCOIN], [("ws", json.dumps(frame).encode(), NOW) for frame in frames])


def book(action: str, last: int, previous: int, *, bids: list[list[str]], asks: list[list[str]]) -> dict[str, Any]:
    row = {
        "symbol": "BTC_USDT",
        "createTime": MS,
        "asks": asks,
        "bids": bids,
        "lastId": previous,
        "id": last,
        "ts": MS + 5,
    }
    return {"channel": "book_lv2", "data": [row], "action": action}


def trade(ident: int, side: str = "buy") -> dict[str, Any]:
    row = {
        "symbol": "BTC_USDT",
        "amount": "50.1",
        "quantity": "0.5",
        "takerSide": side,
        "createTime": MS,
        "price": "100.2",
        "id": str(ident),
        "ts": MS + 5,
    }
    return {"channel": "trades", "data": [row]}


def test_requests_name_the_symbols_of_one_channel() -> None:
    venue = make()
    channels = [*venue.channels(BITCOIN), *venue.channels(replace(BITCOIN, native="ETH_USDT"))]
    assert [(one.name, one.book) for one in venue.channels(BITCOIN)] == [
        ("trades", False),
        ("book_lv2", True),
        ("ticker", False),
        ("symbols", False),
    ]
    for event, frames in (
        ("subscribe", venue.subscribe(channels)),
        ("unsubscribe", venue.unsubscribe(channels)),
    ):
        assert [json.loads(frame) for frame in frames] == [
            {"event": event, "channel": [name], "symbols": ["BTC_USDT", "ETH_USDT"]}
            for name in ("book_lv2", "symbols", "ticker", "trades")
        ]


def test_only_what_the_config_asks_for() -> None:
    assert [one.name for one in make(streams=("book",)).channels(BITCOIN)] == ["book_lv2"]
    assert make(url="ws://127.0.0.1:1").target("", ()) == "ws://127.0.0.1:1/ws/public"
    assert [one.url for one in make(rest_url="http://127.0.0.1:1").listing()] == ["http://127.0.0.1:1/markets"]


@pytest.mark.parametrize(
    ("state", "expected"),
    [("NORMAL", State.LIVE), ("PAUSE", State.HALTED), ("POST_ONLY", State.HALTED), ("NEW", State.CLOSED)],
)
def test_the_list(state: str, expected: State) -> None:
    entry = {
        "symbol": "SHIB_USDT",
        "baseCurrencyName": "SHIB",
        "quoteCurrencyName": "USDT",
        "state": state,
        "symbolTradeLimit": {"priceScale": 10, "quantityScale": 0},
        "crossMargin": {},
    }
    (one,) = make().listed(Request(purpose="", url=""), json.dumps([entry]).encode())
    assert (one.native, one.symbol, one.currency, one.state) == ("SHIB_USDT", "SHIB-USDT", "USDT", expected)
    assert (one.tick_size, one.lot_size) == ("0.0000000001", "1")


def test_a_list_that_is_none_is_refused() -> None:
    with pytest.raises(msgspec.MsgspecError):
        make().listed(Request(purpose="", url=""), b'{"code":500,"message":"Internal System Error"}')


def test_answers() -> None:
    venue = make()
    said = {"event": "subscribe", "channel": "book_lv2", "symbols": ["BTC_USDT", "ETH_USDT"]}
    assert venue.cold(json.dumps(said).encode(), "") == [
        Acknowledged([Channel("book_lv2", "BTC_USDT"), Channel("book_lv2", "ETH_USDT")])
    ]
    assert venue.cold(b'{"event":"subscribe","channel":"trades"}', "") == [Acknowledged([])], "the oldest request"
    assert venue.cold(b'{"event":"error","message":"no such symbol"}', "") == [Refused("no such symbol")]
    for word in ("pong", "unsubscribe"):
        assert venue.cold(json.dumps({"event": word}).encode(), "") == [Alive()]
    assert venue.cold(b'{"channel":"zzz","data":[1]}', "") == [Unknown("channel 'zzz', event ''", kind="zzz")]
    assert venue.cold(b'{"event":"zzz"}', "") == [Unknown("channel '', event 'zzz'", kind="zzz")]


def test_states_of_pairs() -> None:
    rows = [{"symbol": "BTC_USDT", "state": "PAUSE"}, {"symbol": "ETH_USDT", "state": "CLOSING"}]
    frame = json.dumps({"channel": "symbols", "data": rows, "action": "update"}).encode()
    assert make().cold(frame, "") == [
        Status("BTC_USDT", State.HALTED, reason="PAUSE"),
        Status("ETH_USDT", State.CLOSED, reason="CLOSING"),
        Strange("state=CLOSING"),
    ]


def test_a_book_goes_on_only_from_its_last_message() -> None:
    whole = book("snapshot", 10, 9, bids=[["100.1", "2"], ["100.0", "1"]], asks=[["100.3", "1"]])
    better = book("update", 11, 10, bids=[["100.1", "0"]], asks=[["100.2", "0.25"]])
    found = told(whole, better)
    assert found.breaks == []
    assert found.book("BTC-USDT") == (
        {Decimal("100.0"): Decimal(1)},
        {Decimal("100.2"): Decimal("0.25"), Decimal("100.3"): Decimal(1)},
    )
    assert found.states("BTC-USDT")[-1] == State.LIVE
    (broken,) = told(whole, book("update", 12, 11, bids=[], asks=[["100.2", "1"]])).breaks
    assert (broken.reason, broken.expected, broken.found, broken.scope) == ("chain", 10, 11, "instrument")


def test_times_of_books() -> None:
    found = told(
        book("snapshot", 10, 9, bids=[["100.1", "2"]], asks=[["100.3", "1"]]),
        book("update", 11, 10, bids=[["100.2", "1"]], asks=[]),
    )
    assert [(row.frame, row.ts_event) for row in found.of(Kind.BID)] == [
        (0, (MS + 5) * 1_000_000),
        (1, MS * 1_000_000),
    ]


def test_trades_are_counted() -> None:
    found = told(trade(60_000_001), trade(60_000_002, "sell"), trade(60_000_005))
    assert [(row.id, row.price, row.size, row.side, row.ts_event) for row in found.of(Kind.TRADE)] == [
        (60_000_001, Decimal("100.2"), Decimal("0.5"), Side.BUYER, MS * 1_000_000),
        (60_000_002, Decimal("100.2"), Decimal("0.5"), Side.SELLER, MS * 1_000_000),
        (60_000_005, Decimal("100.2"), Decimal("0.5"), Side.BUYER, MS * 1_000_000),
    ]
    (gap,) = found.of(Kind.GAP)
    assert (gap.frame, gap.id) == (2, 2), "two are missing"


def test_the_days_figures() -> None:
    row = {
        "symbol": "BTC_USDT",
        "dailyChange": "0.01",
        "high": "110",
        "amount": "1010.5",
        "quantity": "10",
        "tradeCount": 3,
        "low": "90",
        "closeTime": MS,
        "startTime": MS - 86_400_000,
        "close": "101",
        "open": "100",
        "ts": MS,
    }
    found = told({"channel": "ticker", "data": [row]})
    kinds = (Kind.OPEN_24H, Kind.HIGH_24H, Kind.LOW_24H, Kind.VOLUME_24H, Kind.TURNOVER_24H)
    values = {each.kind: each.price if each.price is not None else each.size for each in found.of(*kinds)}
    assert values == dict(zip(kinds, map(Decimal, ("100", "110", "90", "10", "1010.5")), strict=True))
    assert found.feed.drift() == []


def test_missed_trades_are_the_newest_thousand() -> None:
    request = make().trades_request(BITCOIN, Print(1, 0, NOW), None)
    assert request is not None
    assert request.url == "https://api.poloniex.com/markets/BTC_USDT/trades?limit=1000"
    assert request.weight == 20
