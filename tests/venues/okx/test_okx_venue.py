"""OKX: names, lists, subscriptions and cold messages. What its hot messages become is held against recordings."""

import json
from typing import Any

import msgspec
import pytest

from tickcast import _native
from tickcast.model.record import Kind, Side, State, records_from
from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.declared.venue import (
    Acknowledged,
    Alive,
    Channel,
    Leaving,
    Listed,
    Refused,
    Relist,
    Status,
    Unknown,
)
from tickcast.venues.okx.names import from_symbol, named, symbol_of
from tickcast.venues.okx.venue import OkxVenue

LISTED = {
    "BTC-USDT": "BTC-USDT",
    "BTC-USDT-SWAP": "BTC-USDT-PERP",
    "BTC-USD_UM-SWAP": "BTC-USDUM-PERP",
    "BTC-USD-241227": "BTC-USD-20241227",
    "BTC-USD-241227-50000-C": "BTC-USD-20241227-50000-C",
}


def venue(**settings: Any) -> OkxVenue:
    return OkxVenue(VenueConfig(venue="OKX", **settings))


def request(url: str = "https://www.okx.com/api/v5/public/instruments?instType=SWAP") -> Request:
    return Request(purpose="instruments", url=url)


def body(*entries: dict[str, str], code: str = "0") -> bytes:
    return json.dumps({"code": code, "msg": "no such list" if code != "0" else "", "data": entries}).encode()


def swap(**changes: str) -> dict[str, str]:
    return {
        "instType": "SWAP",
        "instId": "BTC-USDT-SWAP",
        "uly": "BTC-USDT",
        "instFamily": "BTC-USDT",
        "settleCcy": "USDT",
        "ctVal": "0.01",
        "ctMult": "1",
        "ctType": "linear",
        "expTime": "1790000000000",
        "tickSz": "0.1",
        "lotSz": "0.01",
        "state": "live",
    } | changes


# ------------------------------------------------------------------ names and lists


@pytest.mark.parametrize(("native", "symbol"), LISTED.items())
def test_names_of_the_venue_are_house_symbols(native: str, symbol: str) -> None:
    found = named(native)
    assert found is not None
    assert (found.native, found.symbol, found.state) == (native, symbol, State.LIVE)
    if "_" not in native:
        assert from_symbol(symbol) == found


@pytest.mark.parametrize(
    ("native", "kind"),
    [("BTC-USDT", "SWAP"), ("BTC-USD-ABC", "FUTURES"), ("BTC-USD-2412", "FUTURES"), ("A-B-241227-5-X", "OPTION"),
     ("b-usd", "SPOT"), ("X-Y", "EVENTS")],
)  # fmt: skip
def test_names_that_are_not_made_as_their_types_are_none_of_ours(native: str, kind: str) -> None:
    assert symbol_of(native, kind) is None


def test_a_contract_of_the_list_has_its_size_and_its_index() -> None:
    swapped, index = venue().listed(request(), body(swap()))
    assert swapped == Listed(
        native="BTC-USDT-SWAP",
        symbol="BTC-USDT-PERP",
        asset_class="perpetual",
        currency="USDT",
        tick_size="0.1",
        lot_size="0.01",
        contract_size="0.01",
        settle_currency="USDT",
        underlying="BTC-USDT-INDEX",
    )
    assert (index.native, index.symbol, index.asset_class, index.market) == (
        "BTC-USDT", "BTC-USDT-INDEX", "index", "index",
    )  # fmt: skip


def test_an_option_is_priced_in_what_it_settles_in() -> None:
    entry = swap(
        instType="OPTION", instId="BTC-USD-241227-50000-C", uly="BTC-USD", settleCcy="BTC", ctVal="1", ctMult="0.01",
        optType="C", stk="50000", expTime="1735286400000",
    )  # fmt: skip
    option, _ = venue().listed(request(), body(entry))
    assert (option.currency, option.contract_size, option.strike, option.option_type, option.expiry) == (
        "BTC", "0.01", "50000", "call", "2024-12-27T08:00:00Z",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "open_type", "expected"),
    [
        ("live", "", State.LIVE),
        ("suspend", "", State.HALTED),
        ("post_only", "", State.HALTED),
        ("preopen", "", State.CLOSED),
        ("preopen", "call_auction", State.AUCTION),
        ("expired", "", State.CLOSED),
        ("a new word", "", State.CLOSED),
    ],
)
def test_states_of_the_list(state: str, open_type: str, expected: State) -> None:
    found, _ = venue().listed(request(), body(swap(state=state, openType=open_type)))
    assert found.state == expected


def test_test_pairs_are_not_listed() -> None:
    assert [one.symbol for one in venue().listed(request(), body(swap(state="test")))] == ["BTC-USDT-INDEX"]


def test_no_list_is_no_list() -> None:
    with pytest.raises(ValueError, match="error 50011: no such list"):
        venue().listed(request(), body(code="50011"))
    with pytest.raises(ValueError, match=r"malformed|truncated|invalid"):
        venue().listed(request(), b"<html>busy</html>")


def test_options_are_listed_family_by_family() -> None:
    one = venue(rest_url="http://127.0.0.1:1/")
    *_, asked = one.listing()
    assert asked.url == "http://127.0.0.1:1/api/v5/public/underlying?instType=OPTION"
    families = json.dumps({"code": "0", "msg": "", "data": [["BTC-USD", "ETH-USD", "SOL-USD"]]}).encode()
    assert one.listed(asked, families) == []
    urls = []
    following = one.next_page(asked, families)
    while following is not None:
        urls.append(following.url.partition("#")[0])
        following = one.next_page(following, body())
    start = "http://127.0.0.1:1/api/v5/public/instruments?instType=OPTION&instFamily="
    assert urls == [start + family for family in ("BTC-USD", "ETH-USD", "SOL-USD")]
    assert one.next_page(request(), body()) is None


@pytest.mark.parametrize(
    ("markets", "types", "symbols"),
    [
        ((), ["SPOT", "SWAP", "FUTURES", "OPTION"], ["BTC-USDT-PERP", "BTC-USDT-INDEX"]),
        (("spot",), ["SPOT"], ["BTC-USDT-INDEX"]),
        (("index",), ["SWAP"], ["BTC-USDT-INDEX"]),
        (("swap", "spot"), ["SPOT", "SWAP"], ["BTC-USDT-PERP", "BTC-USDT-INDEX"]),
    ],
)
def test_only_wanted_markets_are_asked_for(markets: tuple[str, ...], types: list[str], symbols: list[str]) -> None:
    one = venue(markets=markets)
    assert [each.url.partition("instType=")[2] for each in one.listing()] == types
    assert [each.symbol for each in one.listed(request(), body(swap()))] == symbols


def test_what_a_recorder_subscribed_to_names_its_instruments() -> None:
    sent = [
        '{"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"},{"channel":"trades","instId":"BTC-USD-SWAP"}]}',
        '{"op":"subscribe","args":[{"channel":"index-tickers","instId":"BTC-USD"},{"channel":"status"}]}',
        '{"op":"unsubscribe","args":[{"channel":"books","instId":"ETH-USDT"}]}',
        "ping",
    ]
    assert [one.symbol for one in venue().recorded((), sent, ())] == ["BTC-USDT", "BTC-USD-PERP", "BTC-USD-INDEX"]
    assert [one.native for one in venue().recorded((), (), ("BTC-USDT-PERP", "no symbol"))] == ["BTC-USDT-SWAP"]


# ------------------------------------------------------------------ subscriptions


def test_each_kind_of_instrument_has_its_channels() -> None:
    one = venue()
    names = {native: [each.name for each in one.channels(made)] for native in LISTED if (made := named(native))}
    spot = ["trades", "bbo-tbt", "books", "tickers"]
    assert names["BTC-USDT"] == spot
    assert names["BTC-USDT-SWAP"] == [*spot, "mark-price", "funding-rate", "open-interest"]
    assert names["BTC-USD-241227-50000-C"] == [*spot, "mark-price", "open-interest"]
    index = from_symbol("BTC-USD-INDEX")
    assert index is not None
    assert one.channels(index) == [Channel("index-tickers", "BTC-USD", "index")]
    assert venue(streams=("trade",)).channels(index) == []
    books = [each for made in (named("BTC-USDT"),) if made for each in one.channels(made) if each.book]
    assert books == [Channel("books", "BTC-USDT", book=True)]


def test_channels_of_many_instruments() -> None:
    listed = [found for native in LISTED if (found := named(native)) is not None]
    names = [each.name for each in venue().market_channels(listed)]
    assert names == [
        "opt-summary:BTC-USD", "liquidation-orders:SWAP", "liquidation-orders:FUTURES", "instruments:SPOT",
        "instruments:SWAP", "instruments:FUTURES", "instruments:OPTION", "status",
    ]  # fmt: skip
    assert venue(streams=("trade", "book")).market_channels(listed) == []


def test_subscriptions_are_written_as_the_venue_reads_them() -> None:
    channels = [
        Channel("books", "BTC-USDT", book=True), Channel("opt-summary:BTC-USD"), Channel("instruments:SPOT"),
        Channel("status"),
    ]  # fmt: skip
    (frame,) = venue().subscribe(channels)
    assert json.loads(frame) == {
        "op": "subscribe",
        "args": [
            {"channel": "books", "instId": "BTC-USDT"},
            {"channel": "opt-summary", "instFamily": "BTC-USD"},
            {"channel": "instruments", "instType": "SPOT"},
            {"channel": "status"},
        ],
    }
    (frame,) = venue().unsubscribe(channels[:1])
    assert json.loads(frame)["op"] == "unsubscribe"
    assert venue().target("", channels) == "wss://ws.okx.com:8443/ws/v5/public"
    assert venue().ping() == b"ping"


# ------------------------------------------------------------------ cold messages


def cold(**words: Any) -> list[Any]:
    return list(venue().cold(json.dumps(words).encode(), ""))


@pytest.mark.parametrize(
    ("argument", "channel"),
    [
        ({"channel": "trades", "instId": "BTC-USDT"}, Channel("trades", "BTC-USDT")),
        ({"channel": "books", "instId": "BTC-USDT"}, Channel("books", "BTC-USDT", book=True)),
        ({"channel": "index-tickers", "instId": "BTC-USD"}, Channel("index-tickers", "BTC-USD", "index")),
        ({"channel": "opt-summary", "instFamily": "BTC-USD"}, Channel("opt-summary:BTC-USD")),
        ({"channel": "instruments", "instType": "SPOT"}, Channel("instruments:SPOT")),
        ({"channel": "status"}, Channel("status")),
    ],
)
def test_an_answer_names_the_channel_that_was_asked_for(argument: dict[str, str], channel: Channel) -> None:
    assert cold(event="subscribe", arg=argument, connId="a4d3ae55") == [Acknowledged([channel])]
    (frame,) = venue().subscribe([channel])
    assert json.loads(frame)["args"] == [argument]
    assert cold(event="unsubscribe", arg=argument, connId="a4d3ae55") == [Alive()]


def test_an_error_names_the_channel_in_its_text() -> None:
    end = "doesn't exist. Please use the correct URL, channel and parameters referring to API document."
    (found,) = cold(event="error", code="60018", msg=f"Wrong URL or channel:books,instId:FOO-USDT {end}", connId="1")
    assert (found.channel, found.fatal) == (Channel("books", "FOO-USDT", book=True), False)
    assert found.reason.startswith("error 60018: Wrong URL")
    (found,) = cold(event="error", code="60018", msg=f"Wrong URL or channel:opt-summary,instFamily:A-B {end}")
    assert found.channel == Channel("opt-summary:A-B")
    assert cold(event="error", code="60012", msg="Invalid request: {}") == [Refused("error 60012: Invalid request: {}")]


def test_notices_and_counts() -> None:
    upgrade = "The connection will soon be closed for a service upgrade. Please reconnect."
    assert cold(event="notice", code="64008", msg=upgrade) == [Leaving(f"notice 64008: {upgrade}")]
    assert cold(event="channel-conn-count", channel="orders", connCount="2") == [Alive()]
    assert venue().cold(b"pong", "") == [Alive()]


def test_changed_instruments_are_states_and_a_reason_to_list_anew() -> None:
    entries = [swap(state="suspend"), swap(instId="ETH-USDT-SWAP")]
    pushed = {"arg": {"channel": "instruments", "instType": "SWAP"}, "data": entries}
    assert cold(**pushed) == [
        Status("BTC-USDT-SWAP", State.HALTED, reason="OKX: suspend"),
        Status("ETH-USDT-SWAP", State.LIVE, reason="OKX: live"),
        Relist("2 instruments changed"),
    ]
    whole = cold(arg=pushed["arg"], data=[swap(instId=f"C{number}-USDT-SWAP") for number in range(21)])
    assert [type(one) for one in whole] == [Status] * 21


def test_a_maintenance_that_is_over_is_a_reason_to_list_anew() -> None:
    argument = {"channel": "status"}
    assert cold(arg=argument, data=[{"state": "scheduled", "title": "upgrade"}]) == [Alive()]
    assert cold(arg=argument, data=[{"state": "completed", "title": "upgrade"}]) == [
        Relist("maintenance over: upgrade")
    ]


def test_what_nobody_asked_for_is_said_so() -> None:
    assert cold(arg={"channel": "candle1Y"}, data=[]) == [Unknown("channel candle1Y which was not asked for")]
    assert cold(event="login", code="0") == [Unknown("event login which was not asked for")]
    assert [type(one) for one in cold(op="subscribe")] == [Unknown]
    with pytest.raises(ValueError, match=r"malformed|invalid|truncated"):
        venue().cold(b"<html>", "")


# ------------------------------------------------------------------ hot messages that no recording has


def decode(feed: Any, *frames: dict[str, Any]) -> Any:
    found = feed.decode(0, [json.dumps(frame).encode() for frame in frames], [7] * len(frames))
    assert (found.dead, found.cold) == ([], [])
    return records_from(found.records)


def core(*natives: str, quotes: bool = False, books: bool = True) -> tuple[Any, dict[str, int]]:
    feed = _native.JsonFeed(msgspec.json.encode(OkxVenue.dialect))
    numbers = {}
    for native in natives:
        made = named(native)
        assert made is not None
        numbers[native] = _native.instrument_id(f"OKX:{made.symbol}")
        feed.define("", native, numbers[native], book=books, quotes=quotes, state=int(State.LIVE))
    feed.open_link(0, "")
    return feed, numbers


def book(action: str, previous: int, last: int, **sides: Any) -> dict[str, Any]:
    row = {"asks": [], "bids": [], "ts": "5", "checksum": 0, "prevSeqId": previous, "seqId": last} | sides
    return {"arg": {"channel": "books", "instId": "BTC-USDT"}, "action": action, "data": [row]}


def test_the_documented_example_of_sequence_ids() -> None:
    feed, numbers = core("BTC-USDT")
    decode(
        feed,
        book("snapshot", -1, 10, bids=[["9", "1", "0", "1"]], asks=[["11", "1", "0", "1"]]),
        book("update", 10, 15, bids=[["9.5", "2", "0", "1"]]),
        book("update", 15, 15),
        book("update", 15, 3, bids=[["9", "0", "0", "0"]]),
        book("update", 3, 5, asks=[["10.5", "4", "0", "1"]]),
    )
    number = numbers["BTC-USDT"]
    assert feed.state(number) == State.LIVE
    assert feed.book(number, 0) == ([("9.5", "2")], [("10.5", "4"), ("11", "1")])
    found = feed.decode(0, [json.dumps(book("update", 4, 6)).encode()], [8])
    assert [(one.reason, one.expected, one.found) for one in found.breaks] == [("chain", 5, 4)]
    assert feed.state(number) == State.GAP


def test_an_empty_list_is_an_empty_side() -> None:
    feed, _ = core("BTC-USDT", quotes=True, books=False)
    argument = {"channel": "bbo-tbt", "instId": "BTC-USDT"}
    both = {"asks": [["11", "1", "0", "1"]], "bids": [["9", "2", "0", "1"]], "ts": "5", "seqId": 3}
    rows = decode(feed, {"arg": argument, "data": [both]}, {"arg": argument, "data": [both | {"bids": []}]})
    told = [(int(row["kind"]), int(row["price"]), bool(row["flags"] & 32)) for row in rows[rows["kind"] != Kind.STATUS]]
    assert told == [(Kind.BID, 9, False), (Kind.ASK, 11, False), (Kind.BID, 0, True)]


def test_liquidations_are_of_the_instrument_that_holds_their_list() -> None:
    feed, numbers = core("BTC-USDT-SWAP", "ETH-USDT-SWAP", books=False)
    detail = {"bkLoss": "0", "bkPx": "0.5", "ccy": "", "posSide": "short", "side": "buy", "sz": "13", "ts": "5"}
    frame = {
        "arg": {"channel": "liquidation-orders", "instType": "SWAP"},
        "data": [
            {"details": [detail], "instId": "ETH-USDT-SWAP", "instType": "SWAP"},
            {"details": [detail | {"side": "sell"}, detail], "instId": "BTC-USDT-SWAP", "instType": "SWAP"},
        ],
    }
    rows = decode(feed, frame)
    rows = rows[rows["kind"] == Kind.LIQUIDATION]
    eth, btc = numbers["ETH-USDT-SWAP"], numbers["BTC-USDT-SWAP"]
    assert [(int(row["instrument"]), int(row["side"])) for row in rows] == [
        (eth, Side.BUYER), (btc, Side.SELLER), (btc, Side.BUYER),
    ]  # fmt: skip
    assert {(int(row["price"]), int(row["price_scale"]), int(row["size"])) for row in rows} == {(5, 1, 13)}


def test_greeks_are_those_in_dollars() -> None:
    native = "BTC-USD-241227-50000-C"
    feed, _ = core(native, books=False)
    row = {
        "instType": "OPTION", "instId": native, "uly": "BTC-USD", "delta": "-1.1", "gamma": "2.2", "vega": "0.1",
        "theta": "0.3", "lever": "8", "markVol": "0.36", "bidVol": "", "askVol": "1.16", "realVol": "",
        "deltaBS": "-0.9", "gammaBS": "0.0002", "thetaBS": "28.2", "vegaBS": "0.0114", "ts": "5", "fwdPx": "62604.6",
        "volLv": "0.2",
    }  # fmt: skip
    rows = decode(feed, {"arg": {"channel": "opt-summary", "instFamily": "BTC-USD"}, "data": [row]})
    told = {Kind(int(one["kind"])): int(one["price"]) / 10 ** int(one["price_scale"]) for one in rows}
    told.pop(Kind.STATUS, None)
    assert told == {
        Kind.IV: 0.36, Kind.ASK_IV: 1.16, Kind.DELTA: -0.9, Kind.GAMMA: 0.0002, Kind.THETA: 28.2, Kind.VEGA: 0.0114,
        Kind.UNDERLYING: 62604.6,
    }  # fmt: skip
    assert feed.drift() == []
