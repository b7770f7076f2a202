"""Gate.io: names, lists, subscriptions and cold messages, and what its hot messages become."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tickcast import _native
from tickcast.model.record import Kind, Side, State, records_from
from tickcast.venues.base import VenueConfig
from tickcast.venues.declared.venue import Acknowledged, Alive, Channel, Listed, Refused, Unknown
from tickcast.venues.gateio.names import named
from tickcast.venues.gateio.venue import GateioVenue, from_symbol

NOW_NS = 1_790_000_000_000_000_000


def venue(**settings: Any) -> GateioVenue:
    found = GateioVenue(VenueConfig(venue="GATEIO", **settings))
    found.now_ns = NOW_NS
    return found


def listed(market: str, *entries: dict[str, Any]) -> list[Listed]:
    one = venue(markets=(market,))
    (request,) = one.listing()
    return list(one.listed(request, json.dumps(entries).encode()))


# ------------------------------------------------------------------ names and lists


@pytest.mark.parametrize(
    ("market", "native", "symbol", "kind"),
    [
        ("spot", "BTC_USDT", "BTC-USDT", "crypto"),
        ("spot", "QTUM3S_USDT", "QTUM3S-USDT", "crypto"),
        ("usdt", "BTC_USDT", "BTC-USDT-PERP", "perpetual"),
        ("btc", "BTC_USD", "BTC-USD-PERP", "perpetual"),
        ("delivery", "BTC_USDT_20260925", "BTC-USDT-20260925", "future"),
    ],
)
def test_names_of_each_market_are_house_symbols(market: str, native: str, symbol: str, kind: str) -> None:
    found = named(native, market)
    assert found is not None
    assert (found.native, found.market, found.symbol, found.asset_class) == (native, market, symbol, kind)
    assert from_symbol(symbol, [market]) == found


@pytest.mark.parametrize("native", ["", "BTC", "_USDT", "BTC_", "b c_USDT"])
def test_names_that_say_nothing_are_none_of_ours(native: str) -> None:
    assert named(native, "spot") is None


def test_a_pair_has_steps_by_its_digits() -> None:
    entry = {"id": "GT_USDT", "base": "GT", "quote": "USDT", "amount_precision": 3, "precision": 0}
    (found,) = listed("spot", entry | {"trade_status": "tradable"})
    assert found == Listed(
        native="GT_USDT",
        symbol="GT-USDT",
        asset_class="crypto",
        currency="USDT",
        market="spot",
        tick_size="1",
        lot_size="0.001",
    )
    assert [one.state for one in listed("spot", entry | {"trade_status": "sellable"})] == [State.HALTED]
    assert [one.state for one in listed("spot", entry | {"trade_status": "untradable"})] == [State.CLOSED]


def test_contracts_have_their_size() -> None:
    direct = {"name": "BTC_USDT", "type": "direct", "quanto_multiplier": "0.0001", "order_price_round": "0.1"}
    (linear,) = listed("usdt", direct | {"status": "trading"})
    assert linear == Listed(
        native="BTC_USDT",
        symbol="BTC-USDT-PERP",
        asset_class="perpetual",
        currency="USDT",
        market="usdt",
        tick_size="0.1",
        lot_size="1",
        contract_size="0.0001",
        settle_currency="USDT",
        underlying="BTC-USDT-INDEX",
    )
    (inverse,) = listed("btc", {"name": "BTC_USD", "type": "inverse", "quanto_multiplier": "0", "enable_decimal": True})
    assert (inverse.contract_size, inverse.settle_currency, inverse.lot_size) == ("1", "BTC", None)
    (dated,) = listed("delivery", direct | {"name": "BTC_USDT_20260925", "expire_time": 1790323200})
    assert (dated.symbol, dated.expiry) == ("BTC-USDT-20260925", "2026-09-25T08:00:00Z")
    (halted,) = listed("usdt", direct | {"status": "circuit_breaker"})
    assert halted.state == State.HALTED


def test_each_market_has_its_list_and_its_address() -> None:
    one = venue()
    assert [request.url.removeprefix("https://api.gateio.ws/api/v4/") for request in one.listing()] == [
        "spot/currency_pairs", "futures/usdt/contracts", "futures/btc/contracts",
    ]  # fmt: skip
    assert one.target("spot", []) == "wss://api.gateio.ws/ws/v4/"
    assert one.target("btc", []) == "wss://fx-ws.gateio.ws/v4/ws/btc"
    assert venue(url="ws://h:1").target("usdt", []) == "ws://h:1/v4/ws/usdt"
    assert (one.headers("spot"), one.headers("usdt")) == ({}, {"X-Gate-Size-Decimal": "1"})
    headers = [dict(request.headers) for request in one.listing()]
    assert headers == [{}, {"X-Gate-Size-Decimal": "1"}, {"X-Gate-Size-Decimal": "1"}]


@pytest.mark.parametrize(
    ("market", "native", "path"),
    [
        ("spot", "BTC_USDT", "spot/order_book?currency_pair=BTC_USDT&limit=100&with_id=true"),
        ("usdt", "BTC_USDT", "futures/usdt/order_book?contract=BTC_USDT&limit=100&with_id=true"),
        ("delivery", "X_USDT_20260925", "delivery/usdt/order_book?contract=X_USDT_20260925&limit=100&with_id=true"),
    ],
)
def test_books_over_rest(market: str, native: str, path: str) -> None:
    asked = venue(depth_limit=500).book_request(native, market)
    assert asked is not None
    assert asked.url == f"https://api.gateio.ws/api/v4/{path}"


# ------------------------------------------------------------------ subscriptions


def test_streams_choose_channels() -> None:
    spot, perpetual = named("BTC_USDT", "spot"), named("BTC_USDT", "usdt")
    assert spot is not None
    assert perpetual is not None
    assert [(one.name, one.endpoint, one.book) for one in venue().channels(spot)] == [
        ("spot.trades", "spot", False),
        ("spot.book_ticker", "spot", False),
        ("spot.tickers", "spot", False),
        ("spot.order_book_update", "spot", True),
    ]
    assert [one.name for one in venue().channels(perpetual)] == [
        "futures.trades", "futures.book_ticker", "futures.tickers", "futures.public_liquidates",
        "futures.order_book_update",
    ]  # fmt: skip
    assert [one.name for one in venue(streams=("mark",)).channels(perpetual)] == ["futures.tickers"]
    assert venue(streams=("mark",)).channels(spot) == []
    assert (len(venue().polls(perpetual)), venue().polls(spot)) == (1, ())


def test_instruments_share_a_frame_books_do_not() -> None:
    one = venue()
    names = ("BTC_USDT", "ETH_USDT")
    trades = [Channel("spot.trades", name, "spot", "spot") for name in names]
    books = [Channel("spot.order_book_update", name, "spot", "spot", book=True) for name in names]
    frames = [json.loads(frame) for frame in one.subscribe([*trades, *books])]
    assert [(frame["channel"], frame["payload"]) for frame in frames] == [
        ("spot.trades", ["BTC_USDT", "ETH_USDT"]),
        ("spot.order_book_update", ["BTC_USDT", "100ms"]),
        ("spot.order_book_update", ["ETH_USDT", "100ms"]),
    ]
    assert {(frame["event"], frame["time"]) for frame in frames} == {("subscribe", NOW_NS // 1_000_000_000)}
    done = {"event": "subscribe", "error": None, "result": {"status": "success"}}
    for frame, group in zip(frames, (trades, books[:1], books[1:]), strict=True):
        answer = {"id": frame["id"], "channel": frame["channel"], **done}
        assert one.cold(json.dumps(answer).encode(), "spot") == [Acknowledged(tuple(group))]


def test_a_refusal_names_what_is_not_there() -> None:
    one = venue()
    channels = [Channel("spot.trades", name, "spot", "spot") for name in ("BTC_USDT", "NO_USDT")]
    (frame,) = (json.loads(each) for each in one.subscribe(channels))
    error = {"code": 2, "message": "unknown currency pair: NO_USDT"}
    answer = {"id": frame["id"], "channel": "spot.trades", "event": "subscribe", "error": error, "result": None}
    refused, others = one.cold(json.dumps(answer).encode(), "spot")
    assert isinstance(refused, Refused)
    assert isinstance(others, Refused)
    assert (refused.channel, others.among) == (channels[1], (channels[0],))


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"channel": "spot.trades", "event": "subscribe", "result": {"status": "success"}}, Acknowledged),
        ({"id": 9, "channel": "spot.trades", "event": "subscribe", "error": None, "result": {}}, Alive),
        ({"id": 9, "channel": "spot.trades", "event": "unsubscribe", "error": {"code": 2, "message": "x"}}, Alive),
        ({"channel": "futures.pong", "event": "", "error": None, "result": None}, Alive),
        ({"channel": "", "event": "", "error": {"code": 1, "message": "Invalid request body format"}}, Refused),
        ({"error": None, "result": {"status": "success"}, "id": 12312}, Alive),
        ({"channel": "spot.new", "event": "update", "result": {}}, Unknown),
        ({"method": "new.update", "params": []}, Unknown),
    ],
)
def test_cold_messages(frame: dict[str, Any], expected: type) -> None:
    assert [type(each) for each in venue().cold(json.dumps(frame).encode(), "spot")] == [expected]


def test_a_recorder_says_what_it_asked_for() -> None:
    sent = [
        '{"channel":"spot.trades","event":"subscribe","payload":["BTC_USDT","ETH_USDT"]}',
        '{"channel":"spot.order_book_update","event":"subscribe","payload":["SOL_USDT","100ms"]}',
        '{"channel":"spot.candlesticks","event":"subscribe","payload":["1m","XRP_USDT"]}',
        '{"channel":"spot.obu","event":"subscribe","payload":["ob.ADA_USDT.50"]}',
        '{"channel":"spot.trades","event":"unsubscribe","payload":["NO_USDT"]}',
        "nonsense",
    ]
    natives = ["BTC_USDT", "ETH_USDT", "SOL_USDT", "XRP_USDT", "ADA_USDT"]
    found = venue().recorded(["wss://api.gateio.ws/ws/v4/"], sent, ["DOT-USDT"])
    assert [(one.native, one.market) for one in found] == [(native, "spot") for native in natives]
    found = venue().recorded(["wss://fx-ws.gateio.ws/v4/ws/usdt"], [], ["DOT-USDT-PERP", "DOT-USDT"])
    assert [(one.native, one.market) for one in found] == [("DOT_USDT", "usdt"), ("DOT_USDT", "usdt")]


# ------------------------------------------------------------------ hot messages


class Told:
    """A core with one instrument, and what it tells."""

    def __init__(self, native: str = "BTC_USDT", market: str = "spot") -> None:
        one, found = venue(), named(native, market)
        assert found is not None
        self.id = _native.instrument_id(f"GATEIO:{found.symbol}")
        self.feed = _native.JsonFeed(msgspec.json.encode(one.dialect), depth=5)
        self.feed.open_link(0, market)
        self.feed.define(market, native, self.id, book=True, quotes=True, state=int(State.LIVE))

    def take(self, *frames: dict[str, Any]) -> Any:
        found = self.feed.decode(0, [json.dumps(frame).encode() for frame in frames], [7] * len(frames))
        assert (found.dead_count, list(found.cold)) == (0, [])
        self.breaks, self.control = found.breaks, found.control
        return records_from(found.records)

    def rest(self, number: int, bids: list[Any], asks: list[Any]) -> None:
        self.feed.rest_book(self.id, json.dumps({"id": number, "bids": bids, "asks": asks, "current": 1}).encode(), 8)

    @property
    def book(self) -> Any:
        return self.feed.book(self.id, 0)


def push(channel: str, result: Any, event: str = "update") -> dict[str, Any]:
    return {"time": 1606292218, "time_ms": 1606292218231, "channel": channel, "event": event, "result": result}


def spot_update(first: int, last: int, bids: list[Any], asks: list[Any], **more: Any) -> dict[str, Any]:
    known = {"t": 1606294781123, "e": "depthUpdate", "E": 1606294781, "s": "BTC_USDT"}
    return push("spot.order_book_update", known | {"U": first, "u": last, "b": bids, "a": asks} | more)


def test_a_pairs_book_over_rest() -> None:
    told = Told()
    told.take(spot_update(9, 12, [["10", "1"]], []))
    told.rest(10, [["9", "2"]], [["11", "3"]])
    told.take(spot_update(13, 13, [["9", "0"]], [["11", "4"]]))
    assert told.book == ([("10", "1")], [("11", "4")])
    told.take(spot_update(12, 15, [["9.5", "7"]], []))
    assert told.book[0] == [("10", "1"), ("9.5", "7")]
    told.take(spot_update(17, 18, [], []))
    (found,) = told.breaks
    assert (found.expected, found.found, found.scope) == (16, 17, "instrument")


def test_a_whole_book_in_the_middle_replaces_it() -> None:
    told = Told()
    rows = told.take(spot_update(40, 44, [["10", "1"]], [["11", "2"]], full=True))
    assert told.feed.state(told.id) == State.LIVE
    assert State.LIVE in {int(row["detail"]) for row in rows if row["kind"] == Kind.STATUS}
    told.take(spot_update(45, 45, [["10", "3"]], []))
    told.take(spot_update(60, 61, [["8", "1"]], [["12", "1"]], full=True))
    assert (told.book, told.breaks) == (([("8", "1")], [("12", "1")]), [])


def test_a_contracts_levels_are_objects_in_the_stream_and_over_rest() -> None:
    told = Told(market="usdt")
    levels = [{"p": "54672.1", "s": "2.5"}]
    result = {"t": 1, "s": "BTC_USDT", "U": 9, "u": 12, "b": levels, "a": [], "l": "100"}
    told.take(push("futures.order_book_update", result))
    told.rest(10, [{"s": 5, "p": "54670"}], [{"s": 6, "p": "54680"}])
    assert told.book == ([("54672.1", "2.5"), ("54670", "5")], [("54680", "6")])
    told.take(push("futures.order_book_update", result | {"U": 13, "u": 13, "b": [{"p": "54670", "s": 0}]}))
    assert told.book[0] == [("54672.1", "2.5")]


def test_books_that_begin_in_the_stream() -> None:
    told = Told(market="usdt")
    whole = {"t": 1, "full": True, "s": "ob.BTC_USDT.50", "u": 5, "b": [["10", "1"]], "a": [["11", "2"]]}
    told.take({"channel": "futures.obu", "result": whole, "time_ms": 2})
    difference = {"t": 2, "s": "ob.BTC_USDT.50", "U": 6, "u": 7, "b": [["10", "0"], ["9", "4"]]}
    told.take({"channel": "futures.obu", "result": difference, "time_ms": 3})
    assert told.book == ([("9", "4")], [("11", "2")])
    told.take({"channel": "futures.obu", "result": difference | {"U": 9, "u": 9}, "time_ms": 3})
    assert [one.reason for one in told.breaks] == ["chain"]


def test_the_sign_of_a_contracts_trade_is_its_side() -> None:
    told = Told(market="usdt")
    row = {"id": 1, "create_time": 1774443183, "price": "2171.44", "contract": "BTC_USDT"}
    rows = told.take(
        push("futures.trades", [row | {"size": "-0.25", "create_time_ms": 1774443183399, "is_internal": True}]),
        push("futures.trades", [row | {"size": 7, "id": 2}]),
        push("futures.public_liquidates", [{"price": "9", "size": "-4", "time": 1, "contract": "BTC_USDT"}]),
    )
    rows = rows[rows["kind"] != Kind.STATUS]
    assert [
        (int(row["kind"]), Decimal(int(row["size"])).scaleb(-int(row["size_scale"])), int(row["side"])) for row in rows
    ] == [
        (Kind.TRADE, Decimal("0.25"), Side.SELLER),
        (Kind.TRADE, Decimal(7), Side.BUYER),
        (Kind.LIQUIDATION, Decimal(4), Side.SELLER),
    ]
    assert [int(row["ts_event"]) // 1_000_000 for row in rows] == [
        1774443183399, 1774443183000, 1606292218231,
    ]  # fmt: skip
    assert told.feed.drift() == []


def test_a_pairs_trades_quotes_and_day() -> None:
    told = Told()
    trade = {
        "id": 309143071, "id_market": 2390902, "create_time": 1606292218, "create_time_ms": "1606292218213.4578",
        "side": "sell", "currency_pair": "BTC_USDT", "amount": "16.4700000000", "price": "0.4705000000",
        "range": "2390902-2390902",
    }  # fmt: skip
    quote = {"t": 1606293275123, "u": 48733182, "s": "BTC_USDT", "b": "19177.79", "B": "0.0003", "a": "", "A": "0"}
    day = {
        "currency_pair": "BTC_USDT", "last": "15743.4", "lowest_ask": "1", "highest_bid": "1",
        "change_percentage": "-1", "base_volume": "9110.4", "quote_volume": "145082083.25", "high_24h": "16280.9",
        "low_24h": "15468.5",
    }  # fmt: skip
    rows = told.take(
        push("spot.trades", trade),
        push("spot.trades_v2", trade | {"id": 309143072}),
        push("spot.book_ticker", quote),
        push("spot.tickers", day),
        push("spot.candlesticks", {"t": "1", "n": "1m_BTC_USDT"}),
    )
    trades = rows[rows["kind"] == Kind.TRADE]
    assert [(int(row["id"]), int(row["seq"]), int(row["side"]), int(row["ts_event"])) for row in trades] == [
        (number, 2390902, Side.SELLER, 1606292218213457800) for number in (309143071, 309143072)
    ]
    kinds = {int(row["kind"]) for row in rows}
    assert {Kind.BID, Kind.HIGH_24H, Kind.LOW_24H, Kind.VOLUME_24H, Kind.TURNOVER_24H} <= kinds
    assert told.control == 1
    assert told.feed.drift() == []


def test_a_contracts_figures() -> None:
    told = Told(market="usdt")
    ticker = {
        "contract": "BTC_USDT", "last": "1", "change_percentage": "0.77", "funding_rate": "-0.000114",
        "funding_rate_indicative": "0.01875", "mark_price": "118.35", "index_price": "118.36",
        "total_size": "73648.5", "volume_24h": "745", "volume_24h_quote": "1665006", "quanto_base_rate": "",
        "low_24h": "99.2", "high_24h": "132.5",
    }  # fmt: skip
    details = {"name": "BTC_USDT", "funding_next_apply": 1610035200, "quanto_multiplier": "0.0001"}
    rows = told.take(push("futures.tickers", [ticker]), details)
    values = {int(row["kind"]): Decimal(int(row["price"])).scaleb(-int(row["price_scale"])) for row in rows}
    assert {kind: values[kind] for kind in (Kind.MARK, Kind.INDEX, Kind.FUNDING, Kind.OPEN_INTEREST)} == {
        Kind.MARK: Decimal("118.35"),
        Kind.INDEX: Decimal("118.36"),
        Kind.FUNDING: Decimal("-0.000114"),
        Kind.OPEN_INTEREST: Decimal("73648.5"),
    }
    assert Kind.FUNDING_TIME in values
    assert told.feed.drift() == []


def test_whole_books_of_few_levels_and_the_dialect_before() -> None:
    told = Told()
    whole = {"t": 1, "lastUpdateId": 7, "s": "BTC_USDT", "bids": [["10", "1"]], "asks": [["11", "2"]], "l": "5"}
    told.take(push("spot.order_book", whole))
    assert told.book == ([("10", "1")], [("11", "2")])
    older = Told()
    older.take({"method": "depth.update", "params": [True, {"asks": [["11", "2"]], "bids": [["9", "1"]]}, "BTC_USDT"]})
    assert older.feed.state(older.id) == State.UNVERIFIED
    older.take(
        {"method": "depth.update", "params": [False, {"bids": [["9", "0"], ["8", "3"]]}, "BTC_USDT"], "id": None}
    )
    assert older.book == ([("8", "3")], [("11", "2")])
    trades = [{"id": 5, "time": 2.5, "price": "9", "amount": "1", "type": "buy"}]
    trades.append({"id": 4, "time": 1.5, "price": "9", "amount": "2", "type": "sell"})
    rows = older.take({"method": "trades.update", "params": ["BTC_USDT", trades], "id": None})
    rows = rows[rows["kind"] == Kind.TRADE]
    assert [(int(row["id"]), int(row["side"])) for row in rows] == [(4, Side.SELLER), (5, Side.BUYER)]
