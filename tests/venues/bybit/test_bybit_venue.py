"""Bybit: names, lists, subscriptions and cold messages. What its hot messages become is held against recordings."""

import json
from typing import Any

import msgspec
import pytest

from tickcast import _native
from tickcast.model.record import Kind, Side, State, records_from
from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.bybit.names import from_symbol, named
from tickcast.venues.bybit.venue import BybitVenue
from tickcast.venues.declared.venue import Acknowledged, Alive, Channel, Listed, Refused, Unknown

NAMES = [
    ("spot", "BTCUSDT", "BTC-USDT"),
    ("linear", "BTCUSDT", "BTC-USDT-PERP"),
    ("linear", "BTCPERP", "BTC-USDC-PERP"),
    ("linear", "BTCUSDT-14AUG26", "BTC-USDT-20260814"),
    ("linear", "BTC-26DEC25", "BTC-USDC-20251226"),
    ("inverse", "BTCUSD", "BTC-USD-PERP"),
    ("inverse", "BTCUSDZ26", "BTC-USD-20261225"),
    ("option", "BTC-28APR23-29500-C", "BTC-USDC-20230428-29500-C"),
    ("option", "BTC-7MAR27-95000-P-USDT", "BTC-USDT-20270307-95000-P"),
]


def venue(**settings: Any) -> BybitVenue:
    return BybitVenue(VenueConfig(venue="BYBIT", **settings))


def request(category: str, more: str = "") -> Request:
    url = f"https://api.bybit.com/v5/market/instruments-info?category={category}&limit=1000{more}"
    return Request(purpose="instruments", url=url)


def body(*entries: dict[str, Any], cursor: str | None = "", code: int = 0) -> bytes:
    result = {"list": entries, "nextPageCursor": cursor}
    return json.dumps({"retCode": code, "retMsg": "no" if code else "OK", "result": result}).encode()


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": "BTC",
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "deliveryTime": "1702592000000",
        "priceFilter": {"tickSize": "0.10"},
        "lotSizeFilter": {"qtyStep": "0.001"},
        "preListingInfo": None,
    } | changes


# ------------------------------------------------------------------ names and lists


@pytest.mark.parametrize(("market", "native", "symbol"), NAMES)
def test_names_of_each_market_are_house_symbols(market: str, native: str, symbol: str) -> None:
    found = named(native, market)
    assert found is not None
    assert (found.native, found.market, found.symbol, found.state) == (native, market, symbol, State.LIVE)
    assert from_symbol(symbol) == found


@pytest.mark.parametrize(
    ("native", "market"),
    [("BTC", "spot"), ("BTC-1ABC26-5-C", "option"), ("BTC-31FEB26-5-C", "option"), ("X-Y", "linear")],
)
def test_names_that_say_nothing_are_none_of_ours(native: str, market: str) -> None:
    assert named(native, market) is None


def test_a_perpetual_ends_never_whatever_its_delivery_time() -> None:
    (found,) = venue().listed(request("linear"), body(entry()))
    assert found == Listed(
        native="BTCUSDT",
        symbol="BTC-USDT-PERP",
        asset_class="perpetual",
        currency="USDT",
        market="linear",
        tick_size="0.10",
        lot_size="0.001",
        contract_size="1",
        settle_currency="USDT",
        underlying="BTC-USDT-INDEX",
    )


def test_futures_and_options_have_their_day() -> None:
    dated = entry(symbol="BTCUSDT-14AUG26", contractType="LinearFutures", deliveryTime="1786694400000")
    (future,) = venue().listed(request("linear"), body(dated))
    assert (future.symbol, future.asset_class, future.expiry) == ("BTC-USDT-20260814", "future", "2026-08-14T08:00:00Z")
    written = entry(
        symbol="ETH-26JUN26-16000-P", contractType="", baseCoin="ETH", quoteCoin="USDC", optionsType="Put",
        deliveryTime="1782460800000",
    )  # fmt: skip
    (option,) = venue().listed(request("option", "&baseCoin=ETH"), body(written))
    assert (option.symbol, option.strike, option.option_type) == ("ETH-USDC-20260626-16000-P", "16000", "put")


def test_a_pair_has_the_precision_of_its_base() -> None:
    pair = entry(contractType="", settleCoin="", lotSizeFilter={"basePrecision": "0.000001"})
    (found,) = venue().listed(request("spot"), body(pair))
    assert (found.symbol, found.asset_class, found.lot_size, found.contract_size) == (
        "BTC-USDT", "crypto", "0.000001", None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "phase", "expected"),
    [
        ("Trading", "", State.LIVE),
        ("PreLaunch", "CallAuction", State.AUCTION),
        ("PreLaunch", "NotStarted", State.CLOSED),
        ("Delivering", "", State.CLOSED),
        ("Closed", "", State.CLOSED),
    ],
)
def test_states_of_the_list(status: str, phase: str, expected: State) -> None:
    info = {"curAuctionPhase": phase} if phase else None
    (found,) = venue().listed(request("linear"), body(entry(status=status, preListingInfo=info)))
    assert found.state == expected


def test_no_list_is_no_list() -> None:
    with pytest.raises(ValueError, match="error 10001: no"):
        venue().listed(request("linear"), body(code=10001))
    with pytest.raises(ValueError, match="Expected `object`"):
        venue().listed(request("linear"), b"403, access too frequent")


def test_pages_follow_the_cursor_as_it_is_written() -> None:
    one = venue(rest_url="http://127.0.0.1:1")
    first = one.listing()[1]
    second = one.next_page(first, body(cursor="first%3DBIOUSDT%26last%3DBIOUSDT"))
    assert second is not None
    assert second.url == f"{first.url}&cursor=first%3DBIOUSDT%26last%3DBIOUSDT"
    third = one.next_page(second, body(cursor="2"))
    assert third is not None
    assert third.url == f"{first.url}&cursor=2"
    assert len({each.purpose for each in (first, second, third)}) == 3
    assert one.next_page(third, body(cursor="")) is None
    assert one.next_page(third, body(cursor=None)) is None


def test_only_wanted_markets_are_asked_for() -> None:
    asked = [each.url.partition("category=")[2] for each in venue().listing()]
    assert asked[:4] == ["spot&limit=1000", "linear&limit=1000", "inverse&limit=1000", "option&baseCoin=BTC&limit=1000"]
    assert len({each.purpose for each in venue().listing()}) == len(asked) == 9
    assert [each.url.partition("category=")[2] for each in venue(markets=("inverse",)).listing()] == [
        "inverse&limit=1000"
    ]


def test_what_a_recorder_subscribed_to_names_its_instruments() -> None:
    addresses = ["wss://stream.bybit.com/v5/public/linear", "wss://stream.bybit.com/v5/public/spot"]
    sent = ['{"op":"subscribe","args":["tickers.BTCUSDT","orderbook.200.BTCUSDT"]}', '{"op":"ping"}', "?"]
    found = venue().recorded(addresses, sent, ())
    assert [(one.market, one.symbol) for one in found] == [("spot", "BTC-USDT"), ("linear", "BTC-USDT-PERP")]
    assert [one.symbol for one in venue().recorded(addresses, sent, ("BTC-USDT-PERP",))] == ["BTC-USDT-PERP"]
    assert [one.native for one in venue().recorded((), (), ("BTC-USDC-PERP", "none"))] == ["BTCPERP"]


# ------------------------------------------------------------------ subscriptions


def test_each_market_has_its_topics() -> None:
    names = {}
    for market, native, _ in NAMES:
        made = named(native, market)
        assert made is not None
        channels = venue().channels(made)
        assert {(one.native, one.market, one.endpoint) for one in channels} == {(native, market, market)}
        assert [one.name for one in channels if one.book] == [
            one.name for one in channels if one.name != "orderbook.1" and "orderbook" in one.name
        ]
        names[market, native] = [one.name for one in channels]
    assert names["spot", "BTCUSDT"] == ["publicTrade", "orderbook.1", "tickers", "orderbook.50"]
    assert names["inverse", "BTCUSD"] == ["publicTrade", "orderbook.1", "tickers", "allLiquidation", "orderbook.50"]
    assert names["option", "BTC-28APR23-29500-C"] == ["tickers", "orderbook.25"]


@pytest.mark.parametrize(("depth", "expected"), [(0, "50"), (50, "50"), (51, "200"), (1000, "1000"), (5000, "1000")])
def test_the_book_has_the_levels_that_are_published(depth: int, expected: str) -> None:
    made = named("BTCUSDT", "linear")
    assert made is not None
    (book,) = [one for one in venue(depth=depth).channels(made) if one.book]
    assert book.name == f"orderbook.{expected}"


def test_options_are_quoted_by_their_books_and_traded_by_coin() -> None:
    one = venue(streams=("trade", "quote"))
    option = named("BTC-28APR23-29500-C", "option")
    pair = named("BTCUSDT", "spot")
    assert option is not None
    assert pair is not None
    assert (one.quoted(option), one.quoted(pair)) == (False, True)
    assert [each.name for each in one.channels(option)] == ["orderbook.25"]
    assert one.market_channels([pair, option, option]) == [
        Channel("publicTrade.BTC", market="option", endpoint="option")
    ]
    assert venue(streams=("book",)).market_channels([option]) == []


def test_spot_has_no_marks() -> None:
    pair, contract = named("BTCUSDT", "spot"), named("BTCUSDT", "linear")
    assert pair is not None
    assert contract is not None
    one = venue(streams=("mark",))
    assert (one.channels(pair), [each.name for each in one.channels(contract)]) == ([], ["tickers"])


def test_each_topic_has_a_frame_that_its_answer_names() -> None:
    channels = [
        Channel("orderbook.50", "BTCUSDT", "linear", "linear", book=True),
        Channel("publicTrade.BTC", market="option", endpoint="option"),
    ]
    frames = venue().subscribe(channels)
    assert [json.loads(frame) for frame in frames] == [
        {"req_id": topic, "op": "subscribe", "args": [topic]} for topic in ("orderbook.50.BTCUSDT", "publicTrade.BTC")
    ]
    assert [json.loads(frame)["op"] for frame in venue().unsubscribe(channels)] == ["unsubscribe"] * 2
    assert venue().target("inverse", channels) == "wss://stream.bybit.com/v5/public/inverse"
    assert json.loads(venue().ping() or b"") == {"op": "ping"}


# ------------------------------------------------------------------ cold messages

BOOK = Channel("orderbook.50", "BTCUSDT", "linear", "linear", book=True)


def cold(words: Any, market: str = "linear") -> list[Any]:
    return list(venue().cold(json.dumps(words).encode(), market))


def test_answers_of_spot_and_contracts() -> None:
    said = {"success": True, "ret_msg": "", "conn_id": "c", "op": "subscribe"}
    assert cold(said | {"req_id": "orderbook.50.BTCUSDT"}) == [Acknowledged([BOOK])]
    assert cold(said | {"req_id": ""}) == [Acknowledged()]
    assert cold(said) == [Acknowledged()]
    ended = said | {"op": "unsubscribe"}
    assert cold(ended | {"req_id": "orderbook.50.BTCUSDT"}) == [Alive()]
    assert cold(ended) == [Acknowledged()]  # in its turn


def test_refusals_name_the_topic_by_id_or_by_text() -> None:
    wrong = {"success": False, "conn_id": "c", "op": "subscribe"}
    reason = "error:handler not found,topic:orderbook.50.BTCUSDT"
    assert cold(wrong | {"ret_msg": reason}) == [Refused(reason, BOOK)]
    assert cold(wrong | {"ret_msg": "busy", "req_id": "orderbook.50.BTCUSDT"}) == [Refused("busy", BOOK)]
    assert cold(wrong | {"ret_msg": "args size >10", "req_id": ""}) == [Refused("args size >10")]
    assert cold({"success": False, "ret_msg": "who are you", "op": "auth"}) == [Refused("who are you")]


def test_answers_of_options_name_all_topics() -> None:
    data = {"failTopics": ["tickers.BTC-1JAN27-5-C"], "successTopics": ["publicTrade.BTC"]}
    refused, done = cold({"success": True, "data": data, "type": "COMMAND_RESP"}, "option")
    assert refused.channel == Channel("tickers", "BTC-1JAN27-5-C", "option", "option")
    assert done == Acknowledged([Channel("publicTrade.BTC", market="option", endpoint="option")])
    assert cold({"success": True, "type": "COMMAND_RESP"}, "option") == [Alive()]


def test_pongs_of_all_markets() -> None:
    assert cold({"success": True, "ret_msg": "pong", "op": "ping"}, "spot") == [Alive()]
    assert cold({"args": ["1672916271846"], "op": "pong"}, "option") == [Alive()]


def test_what_nobody_asked_for_is_said_so() -> None:
    (unknown,) = cold({"topic": "greeks.BTC", "data": []})
    assert unknown == Unknown("topic greeks.BTC which was not asked for", kind="greeks")
    with pytest.raises(ValueError, match=r"malformed|invalid|truncated"):
        venue().cold(b"<html>", "linear")


# ------------------------------------------------------------------ hot messages that no recording has


def core(*, quotes: bool = False, books: bool = True) -> tuple[Any, int]:
    feed = _native.JsonFeed(msgspec.json.encode(BybitVenue.dialect))
    number = _native.instrument_id("BYBIT:BTC-USDT-PERP")
    feed.define("linear", "BTCUSDT", number, book=books, quotes=quotes, state=int(State.LIVE))
    feed.open_link(0, "linear")
    return feed, number


def decode(feed: Any, *frames: dict[str, Any]) -> Any:
    found = feed.decode(0, [json.dumps(frame).encode() for frame in frames], [7] * len(frames))
    assert (found.dead, found.cold) == ([], [])
    return found


def book(kind: str, number: int, bids: Any = (), asks: Any = (), *, topic: str = "orderbook.50") -> dict[str, Any]:
    data = {"s": "BTCUSDT", "b": bids, "a": asks, "u": number, "seq": 7961638724}
    return {"topic": f"{topic}.BTCUSDT", "type": kind, "ts": 9, "data": data, "cts": 8}


def test_one_overwrites_the_book() -> None:
    feed, number = core()
    decode(
        feed,
        book("snapshot", 100, [["9", "1"], ["8", "1"]], [["11", "1"]]),
        book("delta", 101, [["9", "2"]]),
        book("snapshot", 1, [["7", "5"]], [["12", "1"]]),
        book("delta", 2, [], [["12", "3"]]),
    )
    assert feed.book(number, 0) == ([("7", "5")], [("12", "3")])
    assert feed.state(number) == State.LIVE
    found = decode(feed, book("delta", 4))
    assert [(one.reason, one.expected, one.found) for one in found.breaks] == [("chain", 3, 4)]
    decode(feed, book("snapshot", 9, [["6", "1"]], [["13", "1"]]))
    assert (feed.state(number), feed.book(number, 0)) == (State.LIVE, ([("6", "1")], [("13", "1")]))


def test_quotes_tell_what_changed_at_the_engines_time() -> None:
    feed, _ = core(quotes=True, books=False)
    quote = [["9", "1"]], [["11", "1"]]
    frames = [book("snapshot", number, *quote, topic="orderbook.1") for number in (5, 5)]
    rows = records_from(decode(feed, *frames, book("snapshot", 6, [], quote[1], topic="orderbook.1")).records)
    rows = rows[rows["kind"] != Kind.STATUS]
    assert [(int(row["kind"]), int(row["price"]), bool(row["flags"] & 32)) for row in rows] == [
        (Kind.BID, 9, False), (Kind.ASK, 11, False), (Kind.BID, 0, True),
    ]  # fmt: skip
    assert set(rows["ts_event"]) == {8_000_000}


def test_a_liquidated_long_position_is_a_sell() -> None:
    feed, _ = core(books=False)
    row = {"T": 5, "s": "BTCUSDT", "S": "Buy", "v": "0.5", "p": "60000.5"}
    frame = {"topic": "allLiquidation.BTCUSDT", "type": "snapshot", "ts": 6, "data": [row, row | {"S": "Sell"}]}
    rows = records_from(decode(feed, frame).records)
    rows = rows[rows["kind"] == Kind.LIQUIDATION]
    assert list(rows["side"]) == [Side.SELLER, Side.BUYER]
    assert (int(rows[0]["price"]), int(rows[0]["price_scale"]), int(rows[0]["ts_event"])) == (600005, 1, 5_000_000)
