"""Bitget: names, lists, subscriptions, cold messages, and the books of v2, v3 and v1."""

import json
import zlib
from typing import Any

import msgspec
import pytest

from tickcast import _native
from tickcast.model.record import Flag, Kind, Side, State, records_from
from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.bitget.names import from_symbol, named
from tickcast.venues.bitget.v1 import MIX, BitgetV1Venue, is_v1
from tickcast.venues.bitget.venue import BitgetVenue
from tickcast.venues.declared.venue import Acknowledged, Alive, Channel, Listed, Refused, Unknown

NAMES = {
    ("BTCUSDT", "spot"): "BTC-USDT",
    ("ETHBTC", "spot"): "ETH-BTC",
    ("BTCUSDT", "usdt"): "BTC-USDT-PERP",
    ("BTCUSD", "coin"): "BTC-USD-PERP",
    ("BTCPERP", "usdc"): "BTC-USDC-PERP",
}
NOW_NS = 1_700_000_000_000_000_000


def venue(**settings: Any) -> BitgetVenue:
    return BitgetVenue(VenueConfig(venue="BITGET", **settings))


def former() -> BitgetV1Venue:
    return BitgetV1Venue(VenueConfig(venue="BITGET"))


def request(path: str) -> Request:
    return Request(purpose="instruments", url=f"https://api.bitget.com{path}")


def said(frame: dict[str, Any]) -> Any:
    (one,) = venue().cold(json.dumps(frame).encode(), "")
    return one


# ------------------------------------------------------------------ names and lists


@pytest.mark.parametrize(("name", "symbol"), NAMES.items())
def test_names_of_a_market_are_house_symbols(name: tuple[str, str], symbol: str) -> None:
    found = named(*name)
    assert found is not None
    assert (found.native, found.market, found.symbol) == (*name, symbol)
    assert from_symbol(symbol) == found


@pytest.mark.parametrize(
    "name", [("USDT", "spot"), ("BTCEUR", "usdt"), ("PERP", "usdc"), ("BTCUSDT", "usdc"), ("", "")]
)
def test_other_names_are_none_of_the_markets(name: tuple[str, str]) -> None:
    assert named(*name) is None


def test_pairs_of_the_list() -> None:
    entry = {"symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "pricePrecision": "2",
             "quantityPrecision": "6", "status": "online"}  # fmt: skip
    rows = [entry, entry | {"symbol": "XUSDT", "baseCoin": "X", "status": "halt"}, entry | {"status": "offline"}]
    body = json.dumps({"code": "00000", "msg": "success", "data": rows}).encode()
    first, *others = venue().listed(request("/api/v2/spot/public/symbols"), body)
    assert first == Listed(
        native="BTCUSDT", symbol="BTC-USDT", asset_class="crypto", currency="USDT", market="spot", tick_size="0.01",
        lot_size="0.000001",
    )  # fmt: skip
    assert [one.state for one in others] == [State.HALTED, State.CLOSED]


def test_contracts_of_a_list() -> None:
    entry = {"symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "priceEndStep": "5", "pricePlace": "1",
             "sizeMultiplier": "0.001", "symbolType": "perpetual", "symbolStatus": "normal",
             "deliveryTime": ""}  # fmt: skip
    dated = entry | {"symbol": "BTCUSDH27", "quoteCoin": "USD", "symbolType": "delivery", "symbolStatus": "maintain",
                     "deliveryTime": "1806048000000"}  # fmt: skip
    body = json.dumps({"code": "00000", "data": [entry]}).encode()
    (one,) = venue().listed(request("/api/v2/mix/market/contracts?productType=USDT-FUTURES"), body)
    assert (one.symbol, one.market, one.tick_size, one.lot_size, one.contract_size, one.settle_currency) == (
        "BTC-USDT-PERP", "usdt", "0.5", "0.001", "1", "USDT",
    )  # fmt: skip
    body = json.dumps({"code": "00000", "data": [dated]}).encode()
    (future,) = venue().listed(request("/api/v2/mix/market/contracts?productType=COIN-FUTURES"), body)
    assert (future.symbol, future.market, future.state, future.settle_currency, future.expiry) == (
        "BTC-USD-20270326", "coin", State.HALTED, "BTC", "2027-03-26T08:00:00Z",
    )  # fmt: skip


def test_no_list_is_no_list() -> None:
    with pytest.raises(ValueError, match="error 40034: no"):
        venue().listed(request("/api/v2/spot/public/symbols"), b'{"code":"40034","msg":"no","data":null}')
    with pytest.raises(ValueError, match=r"malformed|truncated|invalid"):
        venue().listed(request("/api/v2/mix/market/contracts?productType=USDT-FUTURES"), b"<html>")


def test_each_market_is_listed() -> None:
    assert [one.url.removeprefix("https://api.bitget.com") for one in venue().listing()] == [
        "/api/v2/spot/public/symbols",
        "/api/v2/mix/market/contracts?productType=USDT-FUTURES",
        "/api/v2/mix/market/contracts?productType=COIN-FUTURES",
        "/api/v2/mix/market/contracts?productType=USDC-FUTURES",
    ]
    assert len(venue(markets=("coin",)).listing()) == 1


# ------------------------------------------------------------------ subscriptions, cold messages


def test_channels_and_their_frames() -> None:
    one = venue()
    listed = named("BTCUSDT", "usdt")
    assert listed is not None
    chosen = one.channels(listed)
    assert [(each.name, each.market, each.book) for each in chosen] == [
        ("trade", "usdt", False), ("books1", "usdt", False), ("books", "usdt", True), ("ticker", "usdt", False),
    ]  # fmt: skip
    (frame,) = one.subscribe(chosen[:2])
    assert json.loads(frame) == {
        "op": "subscribe",
        "args": [
            {"instType": "USDT-FUTURES", "channel": "trade", "instId": "BTCUSDT"},
            {"instType": "USDT-FUTURES", "channel": "books1", "instId": "BTCUSDT"},
        ],
    }
    pair = named("BTCUSDT", "spot")
    assert pair is not None
    assert [each.name for each in venue(streams=("funding", "trade")).channels(pair)] == ["trade"]


def test_answers_name_their_channel() -> None:
    argument = {"instType": "SPOT", "channel": "books", "instId": "BTCUSDT"}
    channel = Channel("books", "BTCUSDT", "spot", book=True)
    assert said({"event": "subscribe", "arg": argument}) == Acknowledged([channel])
    error = {"event": "error", "arg": argument, "code": 30001, "msg": "doesn't exist", "op": "subscribe"}
    assert said(error) == Refused("error 30001: doesn't exist", channel)
    assert said({"event": "error", "code": 30003, "msg": "INVALID op"}) == Refused("error 30003: INVALID op")
    assert said({"event": "unsubscribe", "arg": argument}) == Alive()
    assert venue().cold(b"pong", "") == [Alive()]
    found = said({"action": "update", "arg": argument | {"channel": "zzz"}, "data": []})
    assert isinstance(found, Unknown)
    assert found.kind == "zzz"


@pytest.mark.parametrize("frame", [b"", b"[]", b"null", b'{"arg":5}', b"\xff"])
def test_what_is_no_message_is_refused(frame: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        venue().cold(frame, "")


def test_what_a_recorder_subscribed_to() -> None:
    arguments = [
        {"instType": "SPOT", "channel": "trade", "instId": "BTCUSDT"},
        {"instType": "USDT-FUTURES", "channel": "trade", "instId": "BTCUSDT"},
        {"instType": "usdt-futures", "topic": "books", "symbol": "ETHUSDT"},
    ]
    frames = [json.dumps({"op": "subscribe", "args": arguments}), "ping", '{"op":"unsubscribe","args":[]}']
    assert [one.symbol for one in venue().recorded([], frames, [])] == ["BTC-USDT", "BTC-USDT-PERP", "ETH-USDT-PERP"]
    assert [one.symbol for one in venue().recorded([], [], ["UNI-USDT-PERP", "x"])] == ["UNI-USDT-PERP"]


# ------------------------------------------------------------------ books


class Core:
    """A core that knows a pair and a contract of the same name."""

    def __init__(self, made: BitgetVenue, *names: tuple[str, str]) -> None:
        self.feed = _native.JsonFeed(msgspec.json.encode(made.dialect), depth=0)
        self.ids = {}
        for market, symbol in names or (("spot", "BTC-USDT"), ("usdt", "BTC-USDT-PERP")):
            self.ids[market] = _native.instrument_id(f"BITGET:{symbol}")
            self.feed.define(market, "BTCUSDT", self.ids[market], book=True, quotes=False, state=int(State.LIVE))
        self.feed.open_link(0, "")

    def take(self, *frames: dict[str, Any]) -> _native.JsonDecoded:
        raw = [json.dumps(frame, separators=(",", ":")).encode() for frame in frames]
        found = self.feed.decode(0, raw, [NOW_NS] * len(raw))
        assert not found.dead, found.dead
        assert not found.cold
        return found

    def state(self, market: str) -> State:
        return State(self.feed.state(self.ids[market]))


def book(action: str, word: str = "SPOT", **row: Any) -> dict[str, Any]:
    argument = {"instType": word, "channel": "books", "instId": "BTCUSDT"}
    return {
        "action": action,
        "arg": argument,
        "data": [{"asks": [], "bids": [], "ts": "1700000000000", **row}],
        "ts": 1,
    }


def crc(text: str) -> int:
    found = zlib.crc32(text.encode())
    return found - (1 << 32) if found >> 31 else found


def test_books_of_two_markets_chain_by_their_numbers() -> None:
    core = Core(venue())
    core.take(
        book("snapshot", bids=[["100.0", "1"]], checksum=0, seq=7, pseq=0),
        book("snapshot", "USDT-FUTURES", bids=[["99", "5"]], checksum=0, seq=70, pseq=0),
        book("update", asks=[["100.5", "2"]], checksum=crc("100.0:1:100.5:2"), seq=9, pseq=7),
    )
    assert core.feed.book(core.ids["spot"], 0) == ([("100.0", "1")], [("100.5", "2")])
    assert core.feed.book(core.ids["usdt"], 0) == ([("99", "5")], [])
    assert (core.state("spot"), core.state("usdt")) == (State.LIVE, State.LIVE)
    (broken,) = core.take(book("update", checksum=0, seq=12, pseq=11)).breaks
    assert (broken.reason, broken.instrument) == ("chain", core.ids["spot"])
    assert core.state("usdt") == State.LIVE


def test_a_checksum_that_differs_breaks_the_book() -> None:
    core = Core(venue())
    core.take(book("snapshot", bids=[["100.0", "1"]], checksum=0, seq=7, pseq=0))
    (broken,) = core.take(book("update", bids=[["100.0", "2"]], checksum=5, seq=8, pseq=7)).breaks
    assert broken.reason == "checksum"


def test_without_numbers_only_a_checksum_proves_a_book() -> None:
    core = Core(venue())
    core.take(book("snapshot", bids=[["100.0", "1"]], checksum=0))
    assert core.state("spot") == State.UNVERIFIED
    core.take(book("update", bids=[["100.0", "2"]], checksum=crc("100.0:2")))
    assert core.state("spot") == State.LIVE


def test_books_and_trades_of_v3() -> None:
    core = Core(venue())
    argument = {"instType": "usdt-futures", "topic": "books", "symbol": "BTCUSDT"}
    row = {
        "a": [["100.5", "2"]],
        "b": [["100", "1"]],
        "checksum": 0,
        "seq": "1343064377779269632",
        "pseq": 0,
        "ts": "5",
    }
    trade = {"i": "143", "p": "76671.22", "v": "0.001367", "S": "sell", "T": "1777358880170", "L": "4", "isRPI": "no"}
    found = core.take(
        {"action": "snapshot", "arg": argument, "data": [row], "ts": 6},
        {"action": "update", "arg": argument | {"topic": "publicTrade"}, "data": [trade], "ts": 7},
    )
    assert core.feed.last_id(core.ids["usdt"]) == 1343064377779269632
    (told,) = [row for row in records_from(found.records) if row["kind"] == Kind.TRADE]
    assert (int(told["id"]), int(told["side"]), int(told["ts_event"])) == (143, Side.SELLER, 1777358880170 * 10**6)


def test_trades_of_a_subscription_are_history_oldest_first() -> None:
    rows = [{"ts": str(n), "price": "5", "size": "1", "side": "buy", "tradeId": str(n)} for n in (9, 8)]
    argument = {"instType": "SPOT", "channel": "trade", "instId": "BTCUSDT"}
    core = Core(venue())
    found = core.take(
        {"action": "snapshot", "arg": argument, "data": rows, "ts": 1},
        {"action": "update", "arg": argument, "data": [rows[0] | {"tradeId": "10"}], "ts": 1},
    )
    trades = [row for row in records_from(found.records) if row["kind"] == Kind.TRADE]
    assert [(int(row["id"]), bool(row["flags"] & Flag.HISTORY)) for row in trades] == [
        (8, True), (9, True), (10, False),
    ]  # fmt: skip


def test_a_ticker_of_futures_tells_what_they_are_worth() -> None:
    row = {"instId": "BTCUSDT", "lastPr": "5", "open24h": "4", "high24h": "6", "low24h": "3", "baseVolume": "7.5",
           "quoteVolume": "37.5", "fundingRate": "0.0001", "nextFundingTime": "1695722400000", "markPrice": "5.01",
           "indexPrice": "5.02", "holdingAmount": "12.5", "ts": "1695702438018"}  # fmt: skip
    argument = {"instType": "USDT-FUTURES", "channel": "ticker", "instId": "BTCUSDT"}
    found = Core(venue()).take({"action": "snapshot", "arg": argument, "data": [row], "ts": 1})
    told = {Kind(int(one["kind"])) for one in records_from(found.records)}
    assert told >= {Kind.MARK, Kind.INDEX, Kind.FUNDING, Kind.FUNDING_TIME, Kind.OPEN_INTEREST, Kind.VOLUME_24H}


# ------------------------------------------------------------------ v1


def test_v1_is_told_by_its_words() -> None:
    assert is_v1(b'{"action":"update","arg":{"instType":"mc","channel":"trade","instId":"BTCUSDT"},"data":[]}')
    assert not is_v1(b'{"action":"update","arg":{"instType":"SPOT","channel":"trade","instId":"BTCUSDT"},"data":[]}')


def test_v1_has_two_markets() -> None:
    arguments = [
        {"instType": "SP", "channel": "books", "instId": "BTCUSDT"},
        {"instType": "mc", "channel": "books", "instId": "BTCUSDT"},
        {"instType": "mc", "channel": "books", "instId": "BTCUSD"},
        {"instType": "mc", "channel": "books", "instId": "BTCPERP"},
    ]
    found = former().recorded([], [json.dumps({"op": "subscribe", "args": arguments})], [])
    assert [(one.market, one.symbol) for one in found] == [
        ("spot", "BTC-USDT"), (MIX, "BTC-USDT-PERP"), (MIX, "BTC-USD-PERP"), (MIX, "BTC-USDC-PERP"),
    ]  # fmt: skip
    assert [one.market for one in former().recorded([], [], ["EOS-USDT", "UNI-USDT-PERP"])] == ["spot", MIX]


def test_lists_of_v1() -> None:
    pair = {"symbol": "BTCUSDT_SPBL", "symbolName": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT",
            "priceScale": "2", "quantityScale": "4", "status": "online"}  # fmt: skip
    contract = {"symbol": "BTCUSD_DMCBL", "quoteCoin": "USD", "baseCoin": "BTC", "priceEndStep": "5",
                "volumePlace": "3", "pricePlace": "1"}  # fmt: skip
    (one,) = former().listed(
        request("/api/spot/v1/public/products"), json.dumps({"code": "0", "data": [pair]}).encode()
    )
    assert (one.native, one.symbol, one.market, one.lot_size) == ("BTCUSDT", "BTC-USDT", "spot", "0.0001")
    body = json.dumps({"code": "0", "data": [contract]}).encode()
    (future,) = former().listed(request("/api/mix/v1/market/contracts?productType=dmcbl"), body)
    assert (future.native, future.symbol, future.market, future.tick_size, future.lot_size) == (
        "BTCUSD", "BTC-USD-PERP", MIX, "0.5", "0.001",
    )  # fmt: skip


def test_books_of_v1_are_proved_by_every_checksum() -> None:
    core = Core(former(), ("spot", "BTC-USDT"), (MIX, "BTC-USDT-PERP"))
    argument = {"instType": "mc", "channel": "books", "instId": "BTCUSDT"}
    row = {"asks": [["10.000", "3"]], "bids": [["9.969", "67"]], "checksum": crc("9.969:67:10.000:3"), "ts": "5"}
    core.take({"action": "snapshot", "arg": argument, "data": [row]})
    assert (core.state(MIX), core.state("spot")) == (State.LIVE, State.EMPTY)
    found = core.take({"action": "update", "arg": argument, "data": [row | {"bids": [["9.969", "68"]]}]})
    assert [one.reason for one in found.breaks] == ["checksum"]


def test_trades_of_v1_are_rows_without_ids() -> None:
    core = Core(former(), (MIX, "BTC-USDT-PERP"))
    argument = {"instType": "mc", "channel": "trade", "instId": "BTCUSDT"}
    found = core.take({"action": "update", "arg": argument, "data": [["1649290078916", "9.977", "1", "sell"]]})
    (told,) = [row for row in records_from(found.records) if row["kind"] == Kind.TRADE]
    assert (int(told["id"]), int(told["side"]), int(told["price"])) == (0, Side.SELLER, 9977)
