"""Crypto.com: names, lists, subscriptions and cold messages, and what pushes become."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tickcast import _native
from tickcast.model.record import Kind, Side, State, records_from
from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.crypto_com.names import named
from tickcast.venues.crypto_com.v2 import CryptoComV2Venue
from tickcast.venues.crypto_com.venue import CryptoComVenue, channel_of, text_of
from tickcast.venues.declared.venue import Acknowledged, Alive, Channel, Refused, Reply, Unknown

NOW = 1_790_000_000_000_000_000
LIST = Request(purpose="instruments", url="https://api.crypto.com/exchange/v1/public/get-instruments")


def venue(**settings: Any) -> CryptoComVenue:
    return CryptoComVenue(VenueConfig(venue="CRYPTO_COM", **settings))


def body(*entries: dict[str, Any], code: int = 0) -> bytes:
    return json.dumps({"id": 1, "code": code, "message": "no", "result": {"data": entries}}).encode()


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSD-PERP",
        "inst_type": "PERPETUAL_SWAP",
        "base_ccy": "BTC",
        "quote_ccy": "USD",
        "price_tick_size": "0.5",
        "qty_tick_size": "0.0001",
        "tradable": True,
        "expiry_timestamp_ms": 0,
        "underlying_symbol": "BTCUSD-INDEX",
    } | changes


@pytest.mark.parametrize(
    ("native", "symbol"),
    [
        ("BTC_USDT", "BTC-USDT"),
        ("BTCUSD-PERP", "BTC-USD-PERP"),
        ("BTCUSD-260327", "BTC-USD-20260327"),
        ("BTCUSD-INDEX", "BTC-USD-INDEX"),
    ],
)
def test_names_of_the_venue_are_house_symbols(native: str, symbol: str) -> None:
    found = named(native)
    assert found is not None
    assert (found.native, found.symbol) == (native, symbol)


@pytest.mark.parametrize(
    "native", ["", "BTC", "BTCUSD", "BTCUSD-", "BTCUSD-260399", "BTCUSD-260327m2", "USD-PERP", "?_?"]
)
def test_names_that_are_none_of_ours(native: str) -> None:
    assert named(native) is None


def test_the_list_has_contracts_and_their_indices() -> None:
    future = entry(symbol="BTCUSD-260327", inst_type="FUTURE", expiry_timestamp_ms=1774598400000, contract_size="1")
    pair = entry(symbol="BTC_USD", inst_type="CCY_PAIR", tradable=False, underlying_symbol="")
    others = [entry(symbol="NX.F.OPT", inst_type="BINARY_OPTION"), entry(symbol="BTCUSD-260327m2", inst_type="FUTURE")]
    found = venue().listed(LIST, body(entry(), future, pair, *others))
    assert [(one.symbol, one.asset_class, one.state, one.contract_size) for one in found] == [
        ("BTC-USD-PERP", "perpetual", State.LIVE, "1"),
        ("BTC-USD-20260327", "future", State.LIVE, "1"),
        ("BTC-USD", "crypto", State.HALTED, None),
        ("BTC-USD-INDEX", "index", State.LIVE, None),
    ]
    assert (found[0].underlying, found[0].settle_currency, found[0].tick_size) == ("BTC-USD-INDEX", "USD", "0.5")
    assert found[1].expiry == "2026-03-27T08:00:00Z"


def test_v2_lists_pairs_with_decimals() -> None:
    one = {"instrument_name": "HNT_USDT", "base_currency": "HNT", "quote_currency": "USDT",
           "price_decimals": 3, "quantity_decimals": 0}  # fmt: skip
    (found,) = venue().listed(LIST, json.dumps({"code": 0, "result": {"instruments": [one]}}).encode())
    assert (found.symbol, found.tick_size, found.lot_size) == ("HNT-USDT", "0.001", "1")


@pytest.mark.parametrize("answer", [b"<html>", b"", body(code=42901), b'{"result":{"data":[{}]}}'])
def test_what_is_no_list_is_refused(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        venue().listed(LIST, answer)


def test_channels_by_kind_and_stream() -> None:
    told = {native: named(native) for native in ("BTC_USD", "BTCUSD-PERP", "BTCUSD-260327", "BTCUSD-INDEX")}
    names = {native: [one.name for one in venue().channels(one)] for native, one in told.items() if one is not None}
    assert names == {
        "BTC_USD": ["ticker", "trade", "book.50"],
        "BTCUSD-PERP": ["mark", "funding", "estimatedfunding", "ticker", "trade", "book.50"],
        "BTCUSD-260327": ["mark", "settlement", "ticker", "trade", "book.50"],
        "BTCUSD-INDEX": ["index"],
    }
    pair = told["BTC_USD"]
    assert pair is not None
    assert [one.name for one in venue(streams=("quote",)).channels(pair)] == ["ticker"]
    assert venue(streams=("quote",)).quoted(pair)
    assert not venue().quoted(pair)


def test_a_book_is_asked_for_with_its_changes() -> None:
    made = venue()
    book = Channel("book.50", "BTC_USD", book=True)
    (frame,) = made.subscribe([book])
    sent = json.loads(frame)
    assert sent["params"] == {
        "channels": ["book.BTC_USD.50"],
        "book_subscription_type": "SNAPSHOT_AND_UPDATE",
        "book_update_frequency": 10,
    }
    answer = json.dumps({"id": sent["id"], "method": "subscribe", "code": 0}).encode()
    assert made.cold(answer, "") == [Acknowledged([book])]
    refused = json.dumps({"id": sent["id"], "method": "subscribe", "code": 40003, "message": "Unknown"}).encode()
    assert made.cold(refused, "") == [Refused("error 40003: Unknown", book)]
    assert made.cold(b'{"id":7,"method":"subscribe","code":0}', "") == [Acknowledged(())]
    assert made.cold(b'{"id":7,"method":"unsubscribe","code":0}', "") == [Alive()]
    assert made.cold(b'{"id":7,"method":"unsubscribe","code":5,"message":"x"}', "") == [Refused("error 5: x")]
    assert [channel_of(text_of(one)) for one in (book, Channel("trade", "A_B"))] == [book, Channel("trade", "A_B")]
    (unsubscribe,) = made.unsubscribe([book])
    assert json.loads(unsubscribe)["method"] == "unsubscribe"


def test_a_heartbeat_is_answered_with_its_id() -> None:
    (said,) = venue().cold(b'{"id":1637709519420,"method":"public/heartbeat","code":0}', "")
    assert isinstance(said, Reply)
    assert json.loads(said.frame) == {"id": 1637709519420, "method": "public/respond-heartbeat"}


@pytest.mark.parametrize("frame", [b"{}", b'{"id":1,"method":"subscribe","result":{"channel":"zzz","data":[]}}'])
def test_what_was_not_asked_for_is_unknown(frame: bytes) -> None:
    assert isinstance(venue().cold(frame, "")[0], Unknown)


def test_what_a_recorder_asked_for_says_its_instruments() -> None:
    sent = ['{"method":"subscribe","params":{"channels":["trade.BTC_USDT","book.BTCUSD-PERP.50"]}}', "x", '{"id":1}']
    assert [one.symbol for one in venue().recorded([], sent, [])] == ["BTC-USDT", "BTC-USD-PERP"]


# ------------------------------------------------------------------ pushes


class Pushes:
    """A feed of one instrument."""

    def __init__(self, made: CryptoComVenue | None = None, *, native: str = "BTC_USD", quotes: bool = False) -> None:
        self.native = native
        self.feed = _native.JsonFeed(msgspec.json.encode((made or venue()).dialect), depth=0)
        self.feed.define("", native, 1, book=not quotes, quotes=quotes, state=State.LIVE)
        self.feed.open_link(1, "")

    def tell(self, channel: str, *rows: dict[str, Any], depth: int = 50) -> _native.JsonDecoded:
        subscription = f"{channel.partition('.')[0]}.{self.native}.{depth}"
        result = {"instrument_name": self.native, "subscription": subscription, "channel": channel, "data": rows}
        frame = json.dumps({"id": -1, "method": "subscribe", "code": 0, "result": result})
        return self.feed.decode(1, [frame.encode()], [NOW])


def update(last: int, previous: int, **sides: list[list[str]]) -> dict[str, Any]:
    changed: dict[str, list[list[str]]] = {"bids": [], "asks": [], **sides}
    return {"update": changed, "t": 3, "tt": 2, "u": last, "pu": previous, "cs": 0}


def test_updates_are_chained_to_the_whole_book() -> None:
    pushes = Pushes()
    whole = {"bids": [["10", "1", "1"]], "asks": [["11", "1", "2"]], "t": 1, "tt": 1, "u": 7, "cs": 0}
    assert pushes.tell("book.update", update(5, 4, bids=[["9", "1", "1"]])).whole == []
    assert pushes.tell("book", whole).whole == [1]
    assert pushes.feed.state(1) == State.LIVE
    pushes.tell("book.update", update(9, 7, bids=[["10", "0", "0"], ["9.5", "2", "1"]]))
    pushes.tell("book.update", update(9, 9))
    assert pushes.feed.book(1, 0) == ([("9.5", "2")], [("11", "1")])
    found = pushes.tell("book.update", update(12, 11))
    assert [(one.reason, one.expected, one.found) for one in found.breaks] == [("chain", 9, 11)]


def test_levels_beyond_the_depth_are_cut_off() -> None:
    pushes = Pushes()
    levels = [[str(100 - number), "1", "1"] for number in range(10)]
    pushes.tell("book", {"bids": levels, "asks": [], "u": 1}, depth=10)
    pushes.tell("book.update", update(2, 1, bids=[["101", "1", "1"]]), depth=10)
    bids, _ = pushes.feed.book(1, 0)
    assert (len(bids), bids[0], bids[-1]) == (10, ("101", "1"), ("92", "1"))


def test_trades_are_told_from_the_oldest_on() -> None:
    rows = [{"d": str(number), "t": number, "p": "5.5", "q": "0.1", "s": side, "i": "BTC_USD"}
            for number, side in ((3, "SELL"), (2, "BUY"))]  # fmt: skip
    told = records_from(Pushes().tell("trade", *rows).records)
    trades = [(int(row["id"]), int(row["side"])) for row in told if row["kind"] == Kind.TRADE]
    assert trades == [(2, Side.BUYER), (3, Side.SELLER)]


def test_tickers_are_quotes_and_figures() -> None:
    row = {"i": "BTC_USD", "b": "5", "bs": "1", "k": "6", "ks": "2", "h": "9", "l": "4", "v": "7", "vv": "8", "oi": "3",
           "a": "5", "c": "0.1", "t": 5}  # fmt: skip
    pushes = Pushes(quotes=True)
    told = {int(each["kind"]): (int(each["price"]), int(each["size"])) for each in
            records_from(pushes.tell("ticker", row).records)}  # fmt: skip
    assert (told[Kind.BID], told[Kind.ASK]) == ((5, 1), (6, 2))
    assert {kind: told[kind][0] for kind in (Kind.HIGH_24H, Kind.LOW_24H, Kind.VOLUME_24H, Kind.TURNOVER_24H)} == {
        Kind.HIGH_24H: 9, Kind.LOW_24H: 4, Kind.VOLUME_24H: 7, Kind.TURNOVER_24H: 8,
    }  # fmt: skip
    assert told[Kind.OPEN_INTEREST][0] == 3
    assert pushes.feed.drift() == []


@pytest.mark.parametrize(
    ("channel", "kind"),
    [("mark", Kind.MARK), ("index", Kind.INDEX), ("funding", Kind.FUNDING), ("estimatedfunding", Kind.FUNDING_NEXT),
     ("settlement", Kind.SETTLEMENT)],
)  # fmt: skip
def test_channels_of_one_value(channel: str, kind: Kind) -> None:
    rows = records_from(Pushes().tell(channel, {"v": "0.00125", "t": 5}).records)
    (told,) = [row for row in rows if row["kind"] != Kind.STATUS]
    assert (int(told["kind"]), Decimal(int(told["price"])).scaleb(-int(told["price_scale"]))) == (
        kind, Decimal("0.00125"),
    )  # fmt: skip


def test_candles_are_control() -> None:
    found = Pushes().tell("candlestick", {"o": 1})
    assert (found.control, found.cold) == (1, [])


def test_whole_books_of_v2_are_live_and_its_changes_are_not() -> None:
    pushes = Pushes(CryptoComV2Venue(VenueConfig(venue="CRYPTO_COM")))
    pushes.tell("book", {"bids": [[10, 1, 1]], "asks": [[11, 1, 1]], "t": 1})
    assert pushes.feed.state(1) == State.LIVE
    pushes.tell("book.update", {"update": {"bids": [[10, 0, 0]], "asks": []}, "t": 2, "s": 5})
    assert (pushes.feed.book(1, 0)[0], pushes.feed.state(1)) == ([], State.UNVERIFIED)
    pushes.tell("book", {"bids": [[9, 1, 1]], "asks": [], "t": 1, "s": 6})
    assert (pushes.feed.book(1, 0), pushes.feed.state(1)) == (([("9", "1")], []), State.LIVE)
