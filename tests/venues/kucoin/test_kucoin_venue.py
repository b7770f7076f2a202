"""KuCoin: names, lists, tokens, subscriptions and cold messages, and what its hot messages become."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tickcast import _native
from tickcast.model.record import Flag, Kind, Side, State, records_from
from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.declared.venue import Acknowledged, Alive, Channel, Leaving, Listed, Refused, Unknown
from tickcast.venues.kucoin.names import named, native_of
from tickcast.venues.kucoin.venue import KucoinVenue

PAIR, PERPETUAL, INVERSE = "BTC-USDT", "XBTUSDTM", "XBTUSDM"


def venue(**settings: Any) -> KucoinVenue:
    return KucoinVenue(VenueConfig(venue="KUCOIN", **settings))


def pair(**changes: Any) -> dict[str, Any]:
    return {
        "symbol": "BTC-USDT",
        "name": "BTC-USDT",
        "baseCurrency": "BTC",
        "quoteCurrency": "USDT",
        "baseIncrement": "0.00000001",
        "priceIncrement": "0.1",
        "enableTrading": True,
    } | changes


def contract(**changes: Any) -> dict[str, Any]:
    return {
        "symbol": "XBTUSDTM",
        "type": "FFWCSX",
        "expireDate": None,
        "baseCurrency": "XBT",
        "quoteCurrency": "USDT",
        "settleCurrency": "USDT",
        "lotSize": 1,
        "tickSize": 0.1,
        "multiplier": 0.001,
        "isInverse": False,
        "status": "Open",
    } | changes


def body(*entries: dict[str, Any], code: str = "200000") -> bytes:
    return json.dumps({"code": code, "data": entries}).encode()


def listed(*entries: dict[str, Any]) -> list[Listed]:
    spot, futures = venue().listing()
    return list(venue().listed(futures if "type" in entries[0] else spot, body(*entries)))


# ------------------------------------------------------------------ names and lists


@pytest.mark.parametrize(
    ("native", "symbol", "kind"),
    [
        ("BTC-USDT", "BTC-USDT", "crypto"),
        ("BCHSV-USDT", "BSV-USDT", "crypto"),
        ("XBTUSDTM", "BTC-USDT-PERP", "perpetual"),
        ("ETHUSDCM", "ETH-USDC-PERP", "perpetual"),
        ("XBTUSDM", "BTC-USD-PERP", "perpetual"),
        ("XBTMU26", "BTC-USD-20260925", "future"),
        ("XBTMZ26", "BTC-USD-20261225", "future"),
    ],
)
def test_names_are_house_symbols(native: str, symbol: str, kind: str) -> None:
    found = named(native)
    assert found is not None
    assert (found.native, found.symbol, found.asset_class) == (native, symbol, kind)
    assert native_of(symbol) == native or kind == "future"


@pytest.mark.parametrize("native", ["", "X", "BTC/USDT", "XBTMA26", "a b-USDT"])
def test_names_that_say_nothing_are_none_of_ours(native: str) -> None:
    assert named(native) is None


def test_a_pair_has_its_steps() -> None:
    (found,) = listed(pair())
    assert found == Listed(
        native="BTC-USDT",
        symbol="BTC-USDT",
        asset_class="crypto",
        currency="USDT",
        tick_size="0.1",
        lot_size="0.00000001",
    )
    (halted,) = listed(pair(enableTrading=False))
    assert halted.state == State.HALTED


def test_contracts_have_their_size() -> None:
    dated = contract(
        symbol="XBTMU26", type="FFICSX", expireDate=1790323200000, quoteCurrency="USD", settleCurrency="XBT",
        multiplier=-1.0, tickSize=1.0, isInverse=True, status="Paused",
    )  # fmt: skip
    linear, inverse = listed(contract(), dated)
    assert linear == Listed(
        native="XBTUSDTM",
        symbol="BTC-USDT-PERP",
        asset_class="perpetual",
        currency="USDT",
        tick_size="0.1",
        lot_size="1",
        contract_size="0.001",
        settle_currency="USDT",
        underlying="BTC-USDT-INDEX",
    )
    assert (inverse.symbol, inverse.asset_class, inverse.expiry) == (
        "BTC-USD-20260925", "future", "2026-09-25T08:00:00Z",
    )  # fmt: skip
    assert (inverse.contract_size, inverse.settle_currency, inverse.tick_size, inverse.state) == (
        "1", "BTC", "1", State.HALTED,
    )  # fmt: skip


def test_a_list_of_one_market_alone_and_errors() -> None:
    assert [one.purpose for one in venue(markets=("futures",)).listing()] == ["instruments futures"]
    assert listed(pair(baseCurrency="?")) == []
    with pytest.raises(ValueError, match="found error 429000"):
        venue().listed(venue().listing()[0], body(code="429000"))


# ------------------------------------------------------------------ tokens


def token(**server: Any) -> bytes:
    known = {"endpoint": "wss://ws-api-spot.kucoin.com/", "protocol": "websocket", "pingInterval": 18000}
    data = {"token": "2neA-iAE_.mv==", "instanceServers": [known | server]}
    return json.dumps({"code": "200000", "data": data}).encode()


def test_a_token_opens_a_link() -> None:
    asked = venue().admission("futures")
    assert asked is not None
    assert (asked.method, asked.url, asked.weight) == (
        "POST", "https://api-futures.kucoin.com/api/v1/bullet-public", 10,
    )  # fmt: skip
    found = venue().admitted("spot", token(pingInterval=9000))
    assert found.target == "wss://ws-api-spot.kucoin.com/?token=2neA-iAE_.mv=="
    assert found.ping_interval_s == 9.0


def test_an_address_of_ones_own_stands_for_all_hosts() -> None:
    own = venue(url="ws://127.0.0.1:1", rest_url="http://127.0.0.1:2/")
    asked = [own.admission(one) for one in ("spot", "futures")]
    assert [one.url for one in asked if one is not None] == [
        "http://127.0.0.1:2/api/v1/bullet-public",
        "http://127.0.0.1:2/futures/api/v1/bullet-public",
    ]
    found = own.admitted("spot", token(endpoint="wss://ws-api-spot.kucoin.com/endpoint"))
    assert found.target.startswith("ws://127.0.0.1:1/endpoint?token=")


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>",
        b'{"code":"429000","msg":"Too Many Requests"}',
        b'{"code":"200000","data":{"token":"a","instanceServers":[]}}',
        b'{"code":"200000"}',
    ],
)
def test_what_is_no_token_is_refused(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r"expected|malformed"):
        venue().admitted("spot", answer)


# ------------------------------------------------------------------ subscriptions


def test_pairs_share_a_frame_contracts_do_not() -> None:
    one = venue()
    spot = [Channel("/market/match", name, endpoint="spot") for name in ("BTC-USDT", "ETH-USDT")]
    books = [Channel("/contractMarket/level2", name, endpoint="futures") for name in (PERPETUAL, INVERSE)]
    frames = [json.loads(frame) for frame in one.subscribe([*spot, *books])]
    assert [(frame["topic"], frame["response"]) for frame in frames] == [
        ("/market/match:BTC-USDT,ETH-USDT", True),
        ("/contractMarket/level2:XBTUSDTM", True),
        ("/contractMarket/level2:XBTUSDM", True),
    ]
    assert len({frame["id"] for frame in frames}) == 3
    (left,) = (json.loads(frame) for frame in one.unsubscribe(spot))
    assert (left["type"], left["response"]) == ("unsubscribe", False)
    # each answer names the number alone
    for frame, group in zip(frames, (spot, [books[0]], [books[1]]), strict=True):
        ack = json.dumps({"id": frame["id"], "type": "ack"}).encode()
        assert one.cold(ack, "") == [Acknowledged(tuple(group))]
        assert one.cold(ack, "") == [Alive()], "told twice"


def test_an_error_names_what_is_not_there() -> None:
    one = venue()
    channels = [Channel("/market/level2", name) for name in ("BTC-USDT", "NO-USDT", "ETH-USDT")]

    def answered(text: str, asked: list[Channel]) -> Any:
        (frame,) = (json.loads(each) for each in one.subscribe(asked))
        return one.cold(json.dumps({"id": frame["id"], "type": "error", "code": 404, "data": text}).encode(), "")

    refused, others = answered("topic /market/level2:NO-USDT is not found", channels)
    assert (refused.channel, others.channel) == (channels[1], None)
    assert others.among == (channels[0], channels[2])
    (unclear,) = answered("exceed max subscription count limitation of 300 per session", channels)
    assert (unclear.channel, unclear.among) == (None, tuple(channels))
    (alone,) = answered("topic /market/level2:NO-USDT is not found", channels[1:2])
    assert alone == Refused("404 topic /market/level2:NO-USDT is not found", channels[1])


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"id": "x", "type": "welcome"}, Alive),
        ({"id": "ping", "type": "pong"}, Alive),
        ({"id": "1", "type": "ack"}, Alive),
        ({"id": "sim1", "type": "error", "code": 401, "data": "token is invalid"}, Leaving),
        ({"id": "sim1", "type": "error", "code": 400, "data": "ping timeout"}, Refused),
        ({"type": "message", "topic": "/new/topic:BTC-USDT", "data": {}}, Unknown),
        ({"type": "zzz"}, Unknown),
        ({}, Unknown),
    ],
)
def test_cold_messages(frame: dict[str, Any], expected: type) -> None:
    assert [type(each) for each in venue().cold(json.dumps(frame).encode(), "")] == [expected]


def test_what_is_no_message_of_the_venue() -> None:
    with pytest.raises(msgspec.MsgspecError):
        venue().cold(b"[1]", "")


def test_streams_choose_topics() -> None:
    spot, perpetual = named(PAIR), named(PERPETUAL)
    assert spot is not None
    assert perpetual is not None
    one = venue()
    assert [channel.name for channel in one.channels(spot)] == [
        "/market/match", "/market/ticker", "/market/level2", "/market/snapshot",
    ]  # fmt: skip
    assert [channel.name for channel in one.channels(perpetual)] == [
        "/contractMarket/execution", "/contractMarket/level2", "/contractMarket/snapshot", "/contract/instrument",
    ]  # fmt: skip
    assert [channel.name for channel in one.channels(spot) if channel.book] == ["/market/level2"]
    assert (one.quoted(spot), one.quoted(perpetual)) == (True, False)
    quotes = venue(streams=("quote",))
    assert [channel.name for channel in quotes.channels(perpetual)] == ["/contractMarket/level2"]
    assert (len(one.polls(perpetual)), one.polls(spot), quotes.polls(perpetual)) == (1, (), ())


@pytest.mark.parametrize(
    ("native", "limit", "path", "weight"),
    [
        (PAIR, 100, "https://api.kucoin.com/api/v1/market/orderbook/level2_100?symbol=BTC-USDT", 4),
        (PAIR, 20, "https://api.kucoin.com/api/v1/market/orderbook/level2_20?symbol=BTC-USDT", 2),
        (PERPETUAL, 100, "https://api-futures.kucoin.com/api/v1/level2/snapshot?symbol=XBTUSDTM", 3),
    ],
)
def test_books_over_rest(native: str, limit: int, path: str, weight: int) -> None:
    asked = venue(depth_limit=limit).book_request(native, "")
    assert isinstance(asked, Request)
    assert (asked.url, asked.weight, asked.throttled_status) == (path, weight, 429)


def test_a_recorder_says_what_it_asked_for() -> None:
    sent = [
        '{"id":1,"type":"subscribe","topic":"/market/match:BTC-USDT,XBTUSDTM"}',
        '{"id":1,"type":"subscribe","topic":"/market/candles:ETH-USDT_1min"}',
        '{"id":1,"type":"unsubscribe","topic":"/market/match:NO-USDT"}',
        "nonsense",
    ]
    assert [one.native for one in venue().recorded([], sent, ["SOL-USDT"])] == ["BTC-USDT", "XBTUSDTM", "ETH-USDT"]
    assert [one.native for one in venue().recorded([], [], ["SOL-USDT", "BTC-USD-PERP"])] == ["SOL-USDT", "XBTUSDM"]


# ------------------------------------------------------------------ hot messages


class Told:
    """A core, what it was told and what it tells."""

    def __init__(self, *natives: str, depth: int = 5) -> None:
        one = venue()
        self.feed = _native.JsonFeed(msgspec.json.encode(one.dialect), depth=depth)
        self.feed.open_link(0, "")
        for native in natives:
            found = named(native)
            assert found is not None
            self.feed.define("", native, self.id(native), book=True, quotes=one.quoted(found), state=int(State.LIVE))

    def id(self, native: str) -> int:
        found = named(native)
        assert found is not None
        return _native.instrument_id(f"KUCOIN:{found.symbol}")

    def take(self, *frames: dict[str, Any]) -> Any:
        found = self.feed.decode(0, [json.dumps(frame).encode() for frame in frames], [7] * len(frames))
        assert (found.dead_count, list(found.cold)) == (0, [])
        self.breaks = found.breaks
        return records_from(found.records)

    def rest(self, native: str, sequence: object, bids: list[Any], asks: list[Any]) -> None:
        data = {"sequence": sequence, "bids": bids, "asks": asks, "time": 1, "ts": 1}
        self.feed.rest_book(self.id(native), json.dumps({"code": "200000", "data": data}).encode(), 8)


def level2(start: int, end: int, bids: list[Any], asks: list[Any]) -> dict[str, Any]:
    changes = {"bids": bids, "asks": asks}
    data = {"sequenceStart": start, "sequenceEnd": end, "symbol": PAIR, "changes": changes, "time": 1729816425625}
    return {"type": "message", "topic": f"/market/level2:{PAIR}", "subject": "trade.l2update", "data": data}


def test_a_price_of_zero_moves_the_number_alone() -> None:
    told = Told(PAIR)
    told.take(level2(11, 11, [["10.0", "1", "11"]], []))
    told.rest(PAIR, "10", [["9.9", "2"]], [["10.5", "3"]])
    told.take(level2(12, 14, [], [["0", "0", "14"], ["0", "5", "13"]]))
    assert told.feed.last_id(told.id(PAIR)) == 14
    assert told.feed.book(told.id(PAIR), 0) == ([("10.0", "1"), ("9.9", "2")], [("10.5", "3")])


def test_numbers_may_be_told_again_but_not_left_out() -> None:
    told = Told(PAIR)
    told.take(level2(11, 12, [], []))
    told.rest(PAIR, "10", [["9.9", "2"]], [["10.5", "3"]])
    told.take(level2(12, 15, [["9.9", "4", "15"]], []))
    assert not told.breaks
    assert told.feed.book(told.id(PAIR), 0)[0] == [("9.9", "4")]
    told.take(level2(17, 18, [], []))
    (found,) = told.breaks
    assert (found.reason, found.expected, found.found) == ("chain", 16, 17)


def test_a_contracts_changes_are_texts_numbered_one_by_one() -> None:
    told = Told(PERPETUAL)

    def change(sequence: int, text: str) -> dict[str, Any]:
        data = {"sequence": sequence, "change": text, "timestamp": 1731897467182}
        return {"topic": f"/contractMarket/level2:{PERPETUAL}", "type": "message", "subject": "level2", "data": data}

    told.take(change(17, "3988.50,buy,44"))
    told.rest(PERPETUAL, 16, [["3988.50", 15], ["3988.49", 100]], [["3988.61", 32]])
    rows = told.take(change(18, "3988.61,sell,0"), change(19, "3988.70,sell,5"))
    assert told.feed.book(told.id(PERPETUAL), 0) == ([("3988.50", "44"), ("3988.49", "100")], [("3988.70", "5")])
    assert {int(row["ts_event"]) for row in rows if row["kind"] == Kind.ASK} == {1731897467182000000}
    told.take(change(21, "3988.70,sell,6"))
    (found,) = told.breaks
    assert (found.reason, found.expected, found.found, found.scope) == ("chain", 20, 21, "instrument")


@pytest.mark.parametrize("text", ["3988.5", "3988.5,left,1", "x,buy,1", "1,buy,-1", ""])
def test_a_change_that_cannot_be_read_breaks_its_book(text: str) -> None:
    told = Told(PERPETUAL)
    data = {"sequence": 17, "change": text}
    frame = {"topic": f"/contractMarket/level2:{PERPETUAL}", "subject": "level2", "data": data}
    told.feed.decode(0, [json.dumps({**frame, "data": {**data, "change": "1,buy,1"}}).encode()], [1])
    told.rest(PERPETUAL, 16, [["1", 1]], [["2", 1]])
    found = told.feed.decode(0, [json.dumps({**frame, "data": {**data, "sequence": 18}}).encode()], [2])
    if text:
        assert found.dead_count == 1
        assert [one.reason for one in found.breaks] == ["malformed"]
    else:
        assert not found.breaks, "nothing said is no change"


def test_the_newer_of_book_and_ticker_is_the_best() -> None:
    told = Told(PAIR)

    def ticker(sequence: int, bid: str, ask: str) -> dict[str, Any]:
        data = {"sequence": str(sequence), "bestBid": bid, "bestBidSize": "1", "bestAsk": ask, "bestAskSize": "2"}
        known = {"price": "1", "size": "1", "time": 1704873323416}
        return {"topic": f"/market/ticker:{PAIR}", "subject": "trade.ticker", "data": data | known}

    told.take(level2(11, 11, [], []))
    told.rest(PAIR, "10", [["9.9", "2"]], [["10.5", "3"]])
    assert len(told.take(ticker(9, "8", "9"))) == 0, "older than the book"
    rows = told.take(ticker(12, "9.8", "10.4"))
    assert [Decimal(int(row["price"])).scaleb(-int(row["price_scale"])) for row in rows] == [
        Decimal("9.8"), Decimal("10.4"),
    ]  # fmt: skip


def test_trades_marks_funding_and_details() -> None:
    told = Told(PAIR, PERPETUAL)
    spot = {
        "topic": f"/market/match:{PAIR}", "type": "message", "subject": "trade.l3match",
        "data": {
            "makerOrderId": "a", "takerOrderId": "b", "price": "67523", "sequence": "11067996711960577",
            "side": "buy", "size": "0.003", "symbol": PAIR, "time": "1729843222921000000",
            "tradeId": "11067996711960577", "type": "match",
        },
    }  # fmt: skip
    future = {
        "topic": f"/contractMarket/execution:{PERPETUAL}", "type": "message", "subject": "match", "sn": 5,
        "data": {
            "symbol": PERPETUAL, "sequence": 5, "side": "sell", "size": 2, "price": "90503.9", "takerOrderId": "1",
            "makerOrderId": "2", "tradeId": "5", "ts": 1731898619520000000,
        },
    }  # fmt: skip
    head = {"topic": f"/contract/instrument:{PERPETUAL}", "type": "message"}
    marks = {"markPrice": 90445.02, "indexPrice": 90440.5, "granularity": 1000, "timestamp": 1731899129000}
    rate = {"granularity": 60000, "fundingRate": -0.002966, "timestamp": 1551770400000}
    details = {"symbol": PERPETUAL, "openInterest": "6273644", "nextFundingRateDateTime": 1731902400000}
    rows = told.take(
        spot,
        future,
        {**head, "subject": "mark.index.price", "data": marks},
        {**head, "subject": "funding.rate", "data": rate},
        {"code": "200000", "data": details},
    )
    trades = rows[rows["kind"] == Kind.TRADE]
    assert [(int(row["id"]), Side(int(row["side"])), int(row["ts_event"])) for row in trades] == [
        (11067996711960577, Side.BUYER, 1729843222921000000),
        (5, Side.SELLER, 1731898619520000000),
    ]
    assert [int(row["size"]) for row in trades if row["price_scale"] == 1] == [2]
    values = {int(row["kind"]): Decimal(int(row["price"])).scaleb(-int(row["price_scale"])) for row in rows[2:]}
    assert {kind: values[kind] for kind in (Kind.MARK, Kind.INDEX, Kind.FUNDING, Kind.OPEN_INTEREST)} == {
        Kind.MARK: Decimal("90445.02"),
        Kind.INDEX: Decimal("90440.5"),
        Kind.FUNDING: Decimal("-0.002966"),
        Kind.OPEN_INTEREST: Decimal(6273644),
    }
    assert Kind.FUNDING_TIME in values
    assert not any(int(row["flags"]) & Flag.HISTORY for row in trades)
    assert told.feed.drift() == []
