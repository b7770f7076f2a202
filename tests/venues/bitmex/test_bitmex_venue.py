"""BitMEX: names, lists, subscriptions, cold messages, and what tables become. Books are held against recordings too."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tickcast import _native
from tickcast.model.record import Flag, Kind, Side, State, records_from
from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.bitmex.names import last_friday, named
from tickcast.venues.bitmex.venue import BitmexVenue, channel_of
from tickcast.venues.declared.venue import Acknowledged, Alive, Channel, Refused, Relist, Status, Unknown

NOW = 1_790_000_000_000_000_000
LIST = Request(purpose="instruments", url="https://www.bitmex.com/api/v1/instrument/active")


def venue(**settings: Any) -> BitmexVenue:
    return BitmexVenue(VenueConfig(venue="BITMEX", **settings))


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "symbol": "XBTUSD",
        "typ": "FFWCSX",
        "state": "Open",
        "underlying": "XBT",
        "quoteCurrency": "USD",
        "settlCurrency": "XBt",
        "positionCurrency": "USD",
        "tickSize": 0.1,
        "lotSize": 100,
        "multiplier": -100000000,
        "underlyingToSettleMultiplier": -100000000,
        "isInverse": True,
    } | changes


# ------------------------------------------------------------------ names and lists


@pytest.mark.parametrize(
    ("native", "symbol"),
    [
        ("XBTUSD", "BTC-USD-PERP"),
        ("XBTUSDT", "BTC-USDT-PERP"),
        ("XBTEUR", "BTC-EUR-PERP"),
        ("XBTZ26", "BTC-USD-20261225"),
        ("XBTUSDTM23", "BTC-USDT-20230630"),
        ("ETHU21", "ETH-BTC-20210924"),
        ("ETHUSDU21", "ETH-USD-20210924"),
        ("XBT_USDT", "BTC-USDT"),
        (".BXBT", "BXBT-INDEX"),
    ],
)
def test_names_of_the_venue_are_house_symbols(native: str, symbol: str) -> None:
    found = named(native)
    assert found is not None
    assert (found.native, found.symbol) == (native, symbol)


@pytest.mark.parametrize("native", ["", "XBT", "USD", "xbt", "._", "A B_USD", "??USDT"])
def test_names_that_are_none_of_ours(native: str) -> None:
    assert named(native) is None


def test_months_end_with_their_last_friday() -> None:
    assert last_friday(2026, 12) == "2026-12-25T12:00:00.000Z"
    assert last_friday(2027, 4) == "2027-04-30T12:00:00.000Z"


def test_contracts_have_their_sizes() -> None:
    linear = {"isInverse": False, "underlyingToSettleMultiplier": None}
    entries = [
        entry(),
        entry(symbol="XBTUSDT", quoteCurrency="USDT", settlCurrency="USDt", positionCurrency="XBT", **linear)
        | {"underlyingToPositionMultiplier": 1000000, "multiplier": 1},
        entry(symbol="ETHUSD", underlying="ETH", multiplier=100, isQuanto=True, positionCurrency="", tickSize=1e-05)
        | linear,
        entry(symbol="XBT_USDT", typ="IFXXXP", quoteCurrency="USDT", **linear)
        | {"underlyingToPositionMultiplier": 100000000},
        entry(symbol="XBTZ26", typ="FFCCSX", state="Closed", expiry="2026-12-25T12:00:00.000Z"),
        entry(symbol=".BXBT", typ="MRCXXX"),
        entry(symbol="XBT7D_U105", typ="OCECCS"),
        entry(symbol="?", underlying="?"),
    ]
    found = venue().listed(LIST, json.dumps(entries).encode())
    told = [(one.symbol, one.asset_class, one.contract_size, one.settle_currency, one.state) for one in found]
    assert told == [
        ("BTC-USD-PERP", "perpetual", "1", "BTC", State.LIVE),
        ("BTC-USDT-PERP", "perpetual", "0.000001", "USDT", State.LIVE),
        ("ETH-USD-PERP", "perpetual", "0.000001", "BTC", State.LIVE),
        ("BTC-USDT", "crypto", "0.00000001", None, State.LIVE),
        ("BTC-USD-20261225", "future", "1", "BTC", State.HALTED),
    ]
    assert (found[2].tick_size, found[4].expiry) == ("0.00001", "2026-12-25T12:00:00Z")


@pytest.mark.parametrize("body", [b"{}", b"<html>", b"", b'[{"state":"Open"}]', b'{"error":{"message":"no"}}'])
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        venue().listed(LIST, body)


# ------------------------------------------------------------------ subscriptions and cold messages


def test_channels_are_tables_of_an_instrument() -> None:
    listed = named("XBTUSD")
    assert listed is not None
    assert [one.name for one in venue().channels(listed)] == [
        "trade", "quote", "orderBookL2", "liquidation", "instrument",
    ]  # fmt: skip
    assert [one.name for one in venue(streams=("trade", "status")).channels(listed)] == ["trade", "instrument"]
    pair = named("XBT_USDT")
    assert pair is not None
    assert "liquidation" not in [one.name for one in venue().channels(pair)]
    frames = venue().subscribe(venue().channels(listed)[:2])
    assert [json.loads(frame) for frame in frames] == [
        {"op": "subscribe", "args": ["trade:XBTUSD"]},
        {"op": "subscribe", "args": ["quote:XBTUSD"]},
    ]
    assert json.loads(venue().unsubscribe([Channel("trade", "XBTUSD")])[0])["op"] == "unsubscribe"


def request(*args: str, op: str = "subscribe") -> dict[str, Any]:
    return {"op": op, "args": list(args)}


def test_answers_name_their_table() -> None:
    book = Channel("orderBookL2", "XBTUSD", book=True)
    said: list[tuple[dict[str, Any], Any]] = [
        ({"success": True, "subscribe": "orderBookL2:XBTUSD", "request": request()}, Acknowledged([book])),
        ({"success": True, "unsubscribe": "trade:XBTUSD"}, Alive()),
        ({"info": "Welcome", "version": "2", "limit": {"remaining": 3}}, Alive()),
        (
            {"status": 400, "error": "Unknown symbol", "meta": {}, "request": request("orderBookL2:XBTUSD")},
            Refused("error 400: Unknown symbol", book),
        ),
        (
            {"status": 400, "error": "You are already subscribed to it", "request": request("orderBookL2:XBTUSD")},
            Acknowledged([book]),
        ),
        ({"status": 429, "error": "Rate limit", "request": request("a:b", "c:d")}, Refused("error 429: Rate limit")),
        ({"status": 400, "error": "No", "request": request("a:b", op="help")}, Refused("error 400: No")),
    ]
    for message, expected in said:
        assert venue().cold(json.dumps(message).encode(), "") == [expected]
    (unknown,) = venue().cold(b'{"table":"zzz","action":"insert","data":[]}', "")
    assert isinstance(unknown, Unknown)
    assert unknown.kind == "zzz"
    assert isinstance(venue().cold(b"{}", "")[0], Unknown)
    assert channel_of("trade:XBTUSD") == Channel("trade", "XBTUSD")


def test_states_stand_in_rows_of_instrument() -> None:
    rows = [{"symbol": "XBTUSD", "state": "Closed"}, {"symbol": "A", "markPrice": 1}, {"symbol": ".B", "state": "Open"}]
    frame = {"table": "instrument", "action": "update", "data": rows}
    assert venue().cold(json.dumps(frame).encode(), "") == [
        Status("XBTUSD", State.HALTED, reason="BitMEX: Closed"),
    ]
    ended = {"table": "instrument", "action": "update", "data": [{"symbol": "XBTZ26", "state": "Settled"}]}
    assert venue().cold(json.dumps(ended).encode(), "") == [
        Status("XBTZ26", State.CLOSED, reason="BitMEX: Settled"),
        Relist("XBTZ26 is Settled"),
    ]


def test_what_a_recorder_asked_for_says_its_instruments() -> None:
    sent = [
        '{"op":"subscribe","args":["trade:XBTUSD","quote:XBTUSD"]}',
        '{"op":"subscribe","args":"instrument:ETHUSDT"}',
        '{"op":"unsubscribe","args":["trade:XRPUSD"]}',
        "ping",
    ]
    address = "wss://www.bitmex.com/realtime?subscribe=instrument,trade:SOLUSDT"
    found = venue().recorded([address], sent, [])
    assert [one.symbol for one in found] == ["BTC-USD-PERP", "ETH-USDT-PERP", "SOL-USDT-PERP"]


# ------------------------------------------------------------------ tables


class Tables:
    """A feed of two instruments that is told rows."""

    def __init__(self) -> None:
        self.feed = _native.JsonFeed(msgspec.json.encode(venue().dialect), depth=0)
        self.ids = {"XBTUSD": 1, "ETHUSD": 2}
        for native, number in self.ids.items():
            self.feed.define("", native, number, book=True, quotes=True, state=State.LIVE)
        self.feed.open_link(1, "")

    def tell(self, table: str, action: str, *rows: dict[str, Any], **more: Any) -> _native.JsonDecoded:
        frame = json.dumps({"table": table, "action": action, "data": rows} | more)
        return self.feed.decode(1, [frame.encode()], [NOW])


def level(number: int, side: str, size: int | None = None, price: float | None = None, **more: Any) -> dict[str, Any]:
    row = {"symbol": "XBTUSD", "id": number, "side": side, "size": size, "price": price} | more
    return {key: value for key, value in row.items() if value is not None}


def test_rows_of_one_frame_are_messages_of_their_books() -> None:
    tables = Tables()
    found = tables.tell(
        "orderBookL2", "partial",
        level(1, "Sell", 5, 101.0), level(7, "Sell", 5, 11.0, symbol="ETHUSD"), level(2, "Buy", 3, 99.5),
    )  # fmt: skip
    assert found.whole == [1, 2]
    assert tables.feed.book(1, 0) == ([("99.5", "3")], [("101.0", "5")])
    found = tables.tell("orderBookL2", "update", level(1, "Sell", 6), level(7, "Sell", 9, symbol="ETHUSD"))
    assert (tables.feed.book(1, 0)[1], tables.feed.book(2, 0)[1]) == ([("101.0", "6")], [("11.0", "9")])
    tables.tell("orderBookL2", "delete", level(2, "Buy", price=99.5))
    assert tables.feed.book(1, 0)[0] == []
    assert tables.feed.state(1) == State.UNVERIFIED
    found = tables.tell("orderBookL2", "update", level(2, "Buy", 1))
    assert [(one.reason, one.instrument) for one in found.breaks] == [("chain", 1)]
    assert "was never inserted" in found.breaks[0].text
    assert tables.feed.state(2) == State.UNVERIFIED


def test_a_partial_without_rows_is_an_empty_book() -> None:
    tables = Tables()
    assert tables.tell("orderBookL2", "update", filter={"symbol": "XBTUSD"}).whole == []
    assert tables.tell("orderBookL2", "partial", filter={"symbol": "XBTUSD"}).whole == [1]
    assert tables.feed.book(1, 0) == ([], [])
    tables.tell("orderBookL2", "insert", level(4, "Buy", 2, 50.0))
    assert tables.feed.book(1, 0) == ([("50.0", "2")], [])


def test_times_are_those_of_the_newest_row() -> None:
    tables = Tables()
    times = ["2026-11-21T10:00:00.100Z", "2026-11-21T10:00:00.300Z", "2026-11-21T10:00:00.200Z"]
    tables.tell("orderBookL2", "partial", *[level(n, "Buy", 1, 10.0 + n, timestamp=at) for n, at in enumerate(times)])
    found = tables.tell("quote", "insert", {"symbol": "XBTUSD", "bidPrice": 1, "bidSize": 2, "timestamp": times[1]})
    rows = records_from(found.records)
    assert {int(row["ts_event"]) % 1_000_000_000 for row in rows} == {300_000_000}
    assert [int(row["kind"]) for row in rows] == [Kind.BID, Kind.ASK]
    assert int(rows[1]["flags"]) & Flag.NO_PRICE, "a side that is not there is empty"


def test_damaged_rows_break_their_book_alone() -> None:
    for wrong in (
        level(3, "Nobody", 1, 5.0),
        level(3, "Buy", -1, 5.0),
        {"symbol": "XBTUSD", "id": "x", "side": "Buy", "size": 1},
        {"symbol": "XBTUSD", "side": "Buy", "size": 1, "price": 3},
        level(3, "Buy", None, 5.0),
    ):
        tables = Tables()
        tables.tell("orderBookL2", "partial", level(1, "Buy", 1, 10.0), level(7, "Buy", 1, 1.0, symbol="ETHUSD"))
        found = tables.tell("orderBookL2", "insert", wrong)
        assert (found.dead_count, [one.instrument for one in found.breaks]) == (1, [1])
        assert (tables.feed.state(1), tables.feed.state(2)) == (State.GAP, State.UNVERIFIED)


def test_trades_and_liquidations_of_the_beginning_are_history() -> None:
    tables = Tables()
    row = {"symbol": "XBTUSD", "side": "Sell", "size": 100, "price": 99.5, "trdMatchID": "8f8f-1",
           "timestamp": "2026-11-21T10:00:00.100Z", "trdType": "Regular"}  # fmt: skip
    first, then = (tables.tell("trade", word, row) for word in ("partial", "insert"))
    flags = [int(records_from(found.records)[-1]["flags"]) & Flag.HISTORY for found in (first, then)]
    assert flags == [Flag.HISTORY, 0]
    trade = records_from(then.records)[-1]
    assert (int(trade["side"]), list(then.texts.values())) == (Side.SELLER, ["8f8f-1"])
    order = {"orderID": "9", "symbol": "XBTUSD", "side": "Buy", "price": 1.5, "leavesQty": 7}
    (told,) = records_from(tables.tell("liquidation", "insert", order).records)
    assert (int(told["kind"]), int(told["size"]), int(told["side"])) == (Kind.LIQUIDATION, 7, Side.BUYER)
    for action in ("update", "delete"):
        found = tables.tell("liquidation", action, {"orderID": "9", "symbol": "XBTUSD", "leavesQty": 0})
        assert (found.records, found.control, found.dead_count) == (b"", 1, 0)


def test_rows_of_instrument_are_values_and_states_are_cold() -> None:
    tables = Tables()
    row = {"symbol": "XBTUSD", "markPrice": 95125.7, "indicativeSettlePrice": 95124.3, "fundingRate": 0.0001,
           "fundingTimestamp": "2026-11-21T12:00:00.000Z", "openInterest": 123, "volume24h": 9}  # fmt: skip
    found = tables.tell("instrument", "update", row)
    rows = {int(one["kind"]): Decimal(int(one["price"])).scaleb(-int(one["price_scale"]))
            for one in records_from(found.records)}  # fmt: skip
    assert rows[Kind.MARK] == Decimal("95125.7")
    assert rows[Kind.INDEX] == Decimal("95124.3")
    assert [rows[kind] for kind in (Kind.OPEN_INTEREST, Kind.VOLUME_24H)] == [Decimal(123), Decimal(9)]
    assert len(found.cold) == 1, "the first of an instrument"
    assert tables.tell("instrument", "update", row | {"markPrice": 1}).cold == []
    found = tables.tell("instrument", "update", {"symbol": "ETHUSD", "markPrice": 7}, row | {"state": "Closed"})
    assert len(found.cold) == 1, "one row of it has a state"
    assert [int(one["kind"]) for one in records_from(found.records) if one["instrument"] == 2] == [
        Kind.STATUS, Kind.MARK,
    ]  # fmt: skip


@pytest.mark.parametrize("table", ["tradeBin1m", "quoteBin1h", "insurance", "chat", "announcement", "connected"])
def test_tables_that_nobody_needs_are_control(table: str) -> None:
    found = Tables().tell(table, "insert", {"symbol": "XBTUSD", "close": 1})
    assert (found.control, found.cold, found.dead_count) == (1, [], 0)


def test_indices_are_prices() -> None:
    tables = Tables()
    tables.feed.define("index", ".BXBT", 9, book=False, quotes=False, state=State.LIVE)
    tables.tell("trade", "insert", {"symbol": ".BXBT", "price": 5.5, "size": 0, "trdType": "Referential"})
    found = tables.tell("instrument", "update", {"symbol": ".BXBT", "lastPrice": 6})
    told = [(int(row["instrument"]), int(row["kind"]), int(row["price"])) for row in records_from(found.records)]
    assert told == [(9, Kind.INDEX, 6)]
