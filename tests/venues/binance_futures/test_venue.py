"""Binance USD-M futures: lists, two addresses, cold frames; recorded sessions against plain dictionaries."""

import json
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from tests.venues.captures import session as recorded
from tests.venues.decoding import Row, rows

from tickcast.model.record import Kind, Side, State
from tickcast.venues.base import Answer, Request, VenueConfig
from tickcast.venues.binance_futures.venue import BinanceFuturesVenue
from tickcast.venues.declared.session import DeclaredSession
from tickcast.venues.declared.venue import Alive, Leaving, Relist, Unknown

NOW = 1_790_000_000_000_000_000
CONFIRMED = b'{"result":null,"id":1}'
RECORDINGS = {
    "cryptofeed/BINANCE_FUTURES/BINANCE_FUTURES_20210405T183637Z.jsonl.xz": 5,
    "cryptofeed/BINANCE_FUTURES/BINANCE_FUTURES_20210722T222541Z.jsonl.xz": 4,
}


def make(**settings: Any) -> DeclaredSession:
    config = VenueConfig(venue="BINANCE_FUTURES", url="ws://host", rest_url="http://host", **settings)
    return DeclaredSession(BinanceFuturesVenue(config), feed="f", config=config, securities={}, previous_close={})


def venue() -> BinanceFuturesVenue:
    return BinanceFuturesVenue(VenueConfig(venue="BINANCE_FUTURES"))


def contract(symbol: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "pair": "BTCUSDT",
        "contractType": kind,
        "deliveryDate": 4_133_404_800_000,
        "status": "TRADING",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "stepSize": "0.001"},
        ],
        **fields,
    }


def test_contracts_become_instruments() -> None:
    body = json.dumps(
        {
            "symbols": [
                contract("BTCUSDT", "PERPETUAL"),
                contract("BTCUSDT_260327", "CURRENT_QUARTER", deliveryDate=1_774_598_400_000),
                contract("XAUUSDT", "TRADIFI_PERPETUAL", baseAsset="XAU", status="SETTLING"),
                contract("OLDUSDT", "", status="PENDING_TRADING"),
            ]
        }
    ).encode()
    (request,) = venue().listing()
    assert request.url == "https://fapi.binance.com/fapi/v1/exchangeInfo"
    perpetual, dated, gold = venue().listed(request, body)
    assert (perpetual.symbol, perpetual.asset_class, perpetual.expiry) == ("BTC-USDT-PERP", "perpetual", None)
    assert (perpetual.tick_size, perpetual.lot_size, perpetual.contract_size) == ("0.10", "0.001", "1")
    assert (perpetual.settle_currency, perpetual.underlying, perpetual.currency) == ("USDT", "BTC-USDT", "USDT")
    assert (dated.symbol, dated.asset_class, dated.expiry) == ("BTC-USDT-20260327", "future", "2026-03-27T08:00:00Z")
    assert (gold.symbol, gold.state) == ("XAU-USDT-PERP", State.CLOSED)


def test_books_and_quotes_have_another_address_than_the_rest() -> None:
    session = make(symbols=("BTC-USDT-PERP",))
    (request,) = session.start(NOW).requests
    body = json.dumps({"symbols": [contract("BTCUSDT", "PERPETUAL")]}).encode()
    links = session.answered(request, Answer(status=200, body=body, received_ns=NOW)).links
    asked = {
        link.target: json.loads(frame)["params"] for link in links for _, frame in session.opened(link.name, NOW).send
    }
    assert {target: sorted(names) for target, names in asked.items()} == {
        "ws://host/public/stream": ["btcusdt@bookTicker", "btcusdt@depth@100ms"],
        "ws://host/market/stream": [
            "!contractInfo",
            "btcusdt@aggTrade",
            "btcusdt@forceOrder",
            "btcusdt@markPrice@1s",
            "btcusdt@ticker",
        ],
    }


def test_measures_and_liquidations_are_told() -> None:
    session = make(symbols=("BTC-USDT-PERP",))
    (request,) = session.start(NOW).requests
    body = json.dumps({"symbols": [contract("BTCUSDT", "PERPETUAL")]}).encode()
    for link in session.answered(request, Answer(status=200, body=body, received_ns=NOW)).links:
        session.opened(link.name, NOW)
    mark = {"e": "markPriceUpdate", "E": 1_790_000_000_001, "s": "BTCUSDT", "p": "1.5", "i": "1.4", "P": "1.6"}
    order = {"s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "9", "p": "1", "ap": "1.25", "X": "FILLED"}
    frames = [
        {"stream": "btcusdt@markPrice@1s", "data": {**mark, "r": "0.0001", "T": 1_790_003_600_000}},
        {"stream": "btcusdt@markPrice@1s", "data": {**mark, "p": "1.7", "r": "", "T": 0}},
        {
            "stream": "btcusdt@forceOrder",
            "data": {"e": "forceOrder", "E": 1, "o": {**order, "l": "2", "z": "7", "T": 5}},
        },
    ]
    step = session.received("market-1", [json.dumps(one).encode() for one in frames], [NOW] * 3)
    told = [row for row in rows(step.records) if row.kind != Kind.STATUS]
    assert step.dead_count == 0
    assert [(row.kind, str(row.price)) for row in told] == [
        (Kind.MARK, "1.5"),
        (Kind.INDEX, "1.4"),
        (Kind.SETTLEMENT, "1.6"),
        (Kind.FUNDING, "0.0001"),
        (Kind.FUNDING_TIME, "1790003600.000000000"),
        (Kind.MARK, "1.7"),
        (Kind.LIQUIDATION, "1.25"),
    ]
    last = told[-1]
    assert (str(last.size), last.side, last.ts_event) == ("7", Side.SELLER, 5_000_000)


def test_cold_frames() -> None:
    read = venue().cold
    assert isinstance(read(b'{"stream":"!contractInfo","data":{"e":"contractInfo","s":"BTCUSDT"}}', "")[0], Relist)
    assert isinstance(read(b'{"result":null,"id":2}', "")[0], Alive)
    assert isinstance(read(b'{"e":"serverShutdown","E":1}', "")[0], Leaving)
    assert isinstance(read(b'{"stream":"btcusdt@odd","data":{}}', "")[0], Unknown)
    with pytest.raises(ValueError, match="object"):
        read(b"[]", "")


def test_recorded_addresses_and_requests_name_the_contracts() -> None:
    address = "wss://fstream.binance.com/stream?streams=btcusdt@aggTrade/btcusdt_210924@depth"
    sent = '{"method":"SUBSCRIBE","params":["1000shibusdt@aggTrade"],"id":1}'
    found = venue().recorded([address], [sent, "no json"], ["BTC-USDT-PERP"])
    assert [one.symbol for one in found] == ["1000SHIB-USDT-PERP", "BTC-USDT-PERP", "BTC-USDT-20210924"]


class Reference:
    """An independent count: plain dictionaries and Decimals."""

    def __init__(self) -> None:
        self.trades: dict[str, list[tuple[int, Decimal, Decimal]]] = defaultdict(list)
        self._books: dict[str, dict[str, Any]] = {}
        self._differences: dict[str, list[Any]] = defaultdict(list)

    def message(self, data: dict[str, Any]) -> None:
        symbol = data["s"]
        if data["e"] == "aggTrade":
            self.trades[symbol].append((data["a"], Decimal(data["p"]), Decimal(data["q"])))
        elif data["e"] == "depthUpdate":
            before = self._differences[symbol]
            assert not before or before[-1]["u"] == data["pu"], "the recording itself is unbroken"
            before.append(data)

    def answer(self, symbol: str, found: dict[str, Any]) -> None:
        self._books[symbol] = found

    def book(self, symbol: str) -> list[dict[Decimal, Decimal]]:
        begin = self._books[symbol]
        sides = []
        for side, key in (("bids", "b"), ("asks", "a")):
            levels = {Decimal(price): Decimal(size) for price, size in begin[side]}
            for data in self._differences[symbol]:
                if data["u"] >= begin["lastUpdateId"]:
                    levels.update((Decimal(price), Decimal(size)) for price, size in data[key])
            sides.append({price: size for price, size in levels.items() if size})
        return sides


def assert_never_crossed(session: DeclaredSession) -> None:
    for one in session.instruments:
        if session.core.state(one.id) == State.LIVE:
            (bid,), (ask,) = session.core.book(one.id, 1)
            assert Decimal(bid[0]) < Decimal(ask[0])


@pytest.mark.captures
@pytest.mark.parametrize("name", list(RECORDINGS))
def test_a_recorded_session_equals_an_independent_count(name: str) -> None:
    lines = list(recorded(name))
    natives = sorted({str(one).removesuffix("-PERP").replace("-", "") for one in lines[0]["config"]["l2_book"]})
    session = make(streams=("trade", "quote", "book"))
    begin = round(lines[1]["ts"] * 1e9)
    (request,) = session.start(begin).requests
    listed = {
        "symbols": [
            contract(native, "PERPETUAL", baseAsset=native.removesuffix("USDT"), filters=[]) for native in natives
        ]
    }
    body = json.dumps(listed).encode()
    asked: dict[str, Request] = {}
    for link in session.answered(request, Answer(status=200, body=body, received_ns=begin)).links:
        session.opened(link.name, begin)
        for each in session.received(link.name, [CONFIRMED], [begin]).requests:
            asked[each.url.partition("symbol=")[2].partition("&")[0]] = each
    reference = Reference()
    told: list[Row] = []
    for line in lines[1:]:
        now = round(line["ts"] * 1e9)
        if line["t"] == "recv":
            reference.message(json.loads(line["data"])["data"])
            step = session.received("public-1", [line["data"].encode()], [now])
        elif line["t"] == "http" and "symbol=" in line["url"]:
            native = line["url"].partition("symbol=")[2].partition("&")[0]
            reference.answer(native, json.loads(line["data"]))
            step = session.answered(asked[native], Answer(status=200, body=line["data"].encode(), received_ns=now))
        else:
            continue
        told += rows(step.records)
        assert (step.dead_count, step.incidents) == (0, [])
        assert_never_crossed(session)
    assert len(session.instruments) == RECORDINGS[name]
    for one in session.instruments:
        native, mine = one.listed.native, [row for row in told if row.instrument == one.id]
        trades = [(row.ident, row.price, row.size) for row in mine if row.kind == Kind.TRADE]
        assert trades == reference.trades[native]
        assert not [row for row in mine if row.kind == Kind.GAP]
        assert session.core.state(one.id) == State.LIVE
        book = session.core.book(one.id, 0)
        assert [{Decimal(price): Decimal(size) for price, size in side} for side in book] == reference.book(native)
