"""Recordings that say little of themselves: no lists, no subscriptions, no addresses, another code, no beginning."""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.decode.files import run

from tickcast.model.errors import UsageError
from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.binance_futures.venue import BinanceFuturesVenue

AT = {
    "COINBASE": "wss://advanced-trade-ws.coinbase.com",
    "KRAKEN": "wss://ws.kraken.com/v2",
    "DELIVERY": "wss://dstream.binance.com/stream",
    "BYBIT": "wss://stream.bybit.com/v5/public/",
}


def recording(path: Path, exchange: str, frames: Sequence[Any], *, address: str = "") -> Path:
    """A session of frames alone."""
    lines: list[dict[str, Any]] = [{"t": "header", "exchange": exchange, "selection": "all"}]
    if address:
        lines.append({"t": "connect", "conn": "1", "ts": 1600000000, "addr": address})
    lines += [
        {
            "t": "recv",
            "conn": "1",
            "ts": 1600000001 + number,
            "data": each if isinstance(each, str) else json.dumps(each),
        }
        for number, each in enumerate(frames)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def summary(code: str, path: Path) -> dict[str, Any]:
    result = run(code, path, "--summary", "--format", "json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    assert (found["unknown"], found["dead_letters"]) == (0, 0)
    return found


def records(code: str, path: Path) -> list[dict[str, Any]]:
    result = run(code, path, "--format", "jsonl")
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


KRAKEN_V1_TRADE = [321, [["57126.70000", "0.02063928", "1616333924.737428", "b", "m", ""]], "trade", "XBT/USD"]
EXCHANGE_MATCH = {
    "type": "match",
    "trade_id": 216544,
    "side": "buy",
    "size": "0.97",
    "price": "4.978",
    "product_id": "ETC-GBP",
    "time": "2019-08-01T00:00:03.816000Z",
}


@pytest.mark.parametrize("address", ["", "wss://ws.kraken.com"])
def test_pairs_of_kraken_v1_are_known_by_the_frames_alone(address: str, tmp_path: Path) -> None:
    found = summary("KRAKEN", recording(tmp_path / "k.jsonl", "KRAKEN", [KRAKEN_V1_TRADE], address=address))
    assert found["instruments"]["BTC-USD"]["size"] == "0.02063928"


def test_the_exchange_feed_of_coinbase_is_told_by_its_frames(tmp_path: Path) -> None:
    found = summary("COINBASE", recording(tmp_path / "c.jsonl", "COINBASE", [EXCHANGE_MATCH]))
    assert found["instruments"]["ETC-GBP"]["trades"] == 1


@pytest.mark.parametrize(
    ("market", "native", "symbol"),
    [
        ("spot", "BTCUSDT", "BTC-USDT"),
        ("linear", "BTCUSDT", "BTC-USDT-PERP"),
        ("inverse", "BTCUSD", "BTC-USD-PERP"),
        ("option", "BTC-28APR23-29500-C", "BTC-USDC-20230428-29500-C"),
    ],
)
def test_the_market_of_bybit_is_that_of_the_address(market: str, native: str, symbol: str, tmp_path: Path) -> None:
    trade = {"T": 1680652847524, "p": "28165.38", "v": "0.25", "S": "Sell", "s": native, "i": "7"}
    frame = {"topic": f"publicTrade.{native}", "ts": 1680652847526, "type": "snapshot", "data": [trade]}
    path = recording(tmp_path / "b.jsonl", "BYBIT", [frame], address=AT["BYBIT"] + market)
    assert summary("BYBIT", path)["instruments"][symbol]["size"] == "0.25"


def depth(native: str, first: int, last: int, previous: int) -> dict[str, Any]:
    data = {"e": "depthUpdate", "E": 9, "T": 8, "s": native, "U": first, "u": last, "pu": previous, "b": [], "a": []}
    return {"stream": f"{native.lower()}@depth@100ms", "data": data}


@pytest.mark.parametrize(
    ("native", "symbol"),
    [
        ("BTCUSD_PERP", "BTC-USD-PERP"),
        ("BNBUSD_PERP", "BNB-USD-PERP"),
        ("ETHUSD_210924", "ETH-USD-20210924"),
        ("BTCUSDT_230331", "BTC-USDT-20230331"),
    ],
)
@pytest.mark.parametrize("code", ["BINANCE_FUTURES", "BINANCE_DELIVERY"])
def test_coin_margined_contracts_are_read_as_futures(code: str, native: str, symbol: str, tmp_path: Path) -> None:
    trade = {
        "e": "aggTrade",
        "s": native,
        "a": 5,
        "p": "100.5",
        "q": "3",
        "f": 1,
        "l": 2,
        "T": 1626916406145,
        "m": True,
    }
    frames = [{"stream": f"{native.lower()}@aggTrade", "data": trade}, depth(native, 5, 6, 4)]
    path = recording(tmp_path / "d.jsonl", "BINANCE_DELIVERY", frames, address=AT["DELIVERY"])
    found = summary(code, path)["instruments"][symbol]
    assert (found["trades"], found["size"], found["notional"]) == (1, "3", "301.5")


def test_a_list_of_coin_margined_contracts_says_their_size() -> None:
    contract = {
        "symbol": "BCHUSD_PERP",
        "contractType": "PERPETUAL",
        "contractStatus": "TRADING",
        "contractSize": 10,
        "marginAsset": "BCH",
        "baseAsset": "BCH",
        "quoteAsset": "USD",
    }
    venue = BinanceFuturesVenue(VenueConfig(venue="BINANCE_FUTURES"))
    (listed,) = venue.listed(Request(purpose="", url=""), json.dumps({"symbols": [contract]}).encode())
    assert (listed.symbol, listed.contract_size, listed.settle_currency) == ("BCH-USD-PERP", "10", "BCH")
    assert listed.state.name == "LIVE"


def test_names_of_no_contract_are_left_out(tmp_path: Path) -> None:
    trade = {"e": "aggTrade", "s": "BTCUSDT_SOON", "a": 5, "p": "1", "q": "3", "T": 1626916406145, "m": True}
    path = recording(tmp_path / "d.jsonl", "BINANCE_FUTURES", [{"stream": "x@aggTrade", "data": trade}])
    result = run("BINANCE_FUTURES", path, "--summary", "--format", "json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["dead_letters"] == 1


def test_whole_books_of_futures_are_no_differences(tmp_path: Path) -> None:
    partial = depth("BTCUSDT", 5, 6, 4) | {"stream": "btcusdt@depth20@100ms"}
    path = recording(tmp_path / "p.jsonl", "BINANCE_FUTURES", [partial])
    assert summary("BINANCE_FUTURES", path)["control"] == 1


@pytest.mark.parametrize(("native", "symbol"), [("USDTUSD", "USDT-USD"), ("BTCTUSD", "BTC-TUSD")])
def test_names_of_pairs_are_divided(native: str, symbol: str, tmp_path: Path) -> None:
    trade = {"e": "trade", "s": native, "t": 5, "p": "2", "q": "3", "T": 1626916406145, "m": True}
    assert symbol in summary("BINANCE", recording(tmp_path / "s.jsonl", "BINANCE", [trade]))["instruments"]


@pytest.mark.parametrize("sibling", ["BINANCE_US", "BINANCE_TR"])
def test_siblings_of_binance_are_read_as_binance(sibling: str, tmp_path: Path) -> None:
    trade = {"e": "trade", "s": "BTCUSDT", "t": 5, "p": "2", "q": "3", "T": 1626916406145, "m": True}
    path = recording(tmp_path / "s.jsonl", sibling, [trade])
    assert summary("BINANCE", path) == summary(sibling, path)
    assert summary("BINANCE", path)["instruments"]["BTC-USDT"]["notional"] == "6"


def test_a_session_of_another_venue_is_refused(tmp_path: Path) -> None:
    result = run("BINANCE", recording(tmp_path / "o.jsonl", "BINANCE_DELIVERY", []), "--summary")
    assert isinstance(result.exception, UsageError)
    assert "expected a session of BINANCE or BINANCE_US or BINANCE_TR, found" in str(result.exception)


@pytest.mark.parametrize("nothing", ["0001-01-01T00:00:00.000000Z", "1970-01-01T00:00:00Z"])
def test_a_time_of_zero_is_none(nothing: str, tmp_path: Path) -> None:
    path = recording(tmp_path / "t.jsonl", "COINBASE", [EXCHANGE_MATCH | {"time": nothing}])
    (trade,) = (record for record in records("COINBASE", path) if record["kind"] == "trade")
    assert trade["ts_event"] == trade["ts_recv"] == 1600000001_000000000


def test_a_time_before_all_markets_is_a_dead_letter(tmp_path: Path) -> None:
    path = recording(tmp_path / "t.jsonl", "COINBASE", [EXCHANGE_MATCH | {"time": "0002-01-01T00:00:00Z"}])
    assert run("COINBASE", path, "--summary", "--format", "json").exit_code == 3


def ticker(bid: str) -> dict[str, Any]:
    row = {
        "product_id": "BTC-USD",
        "best_bid": bid,
        "best_ask": "11",
        "best_bid_quantity": "1",
        "best_ask_quantity": "2",
    }
    return {"channel": "ticker", "timestamp": "2026-08-09T21:05:48Z", "events": [{"type": "update", "tickers": [row]}]}


def level2(kind: str, price: str) -> dict[str, Any]:
    level = {"side": "bid", "event_time": "2026-08-09T21:05:48Z", "price_level": price, "new_quantity": "1"}
    events = [
        {"type": kind, "product_id": "BTC-USD", "updates": [level, level | {"side": "offer", "price_level": "12"}]}
    ]
    return {"channel": "l2_data", "timestamp": "2026-08-09T21:05:48Z", "events": events}


def numbered(frames: Sequence[dict[str, Any]], first: int) -> list[dict[str, Any]]:
    return [frame | {"sequence_num": first + at} for at, frame in enumerate(frames)]


def test_where_no_book_begins_the_ticker_quotes(tmp_path: Path) -> None:
    frames = numbered([level2("update", "9"), ticker("10")], 488)
    found = summary("COINBASE", recording(tmp_path / "c.jsonl", "COINBASE", frames, address=AT["COINBASE"]))
    book = found["instruments"]["BTC-USD"]
    assert (book["bid"], book["state"], found["records"]["bid"]) == ("10", "syncing", 1)


def test_where_a_book_begins_the_slower_ticker_does_not_quote(tmp_path: Path) -> None:
    frames = numbered([level2("snapshot", "9"), ticker("10")], 0)
    found = summary("COINBASE", recording(tmp_path / "c.jsonl", "COINBASE", frames, address=AT["COINBASE"]))
    book = found["instruments"]["BTC-USD"]
    assert (book["bid"], book["state"], found["records"]["bid"]) == ("9", "live", 1)


def kraken_book(kind: str, levels: int, first: int) -> str:
    """Whole books of whole numbers; a checksum of the ten best is computed by hand."""
    bids = [{"price": 1000 - at, "qty": 1} for at in range(first, first + levels)]
    asks = [{"price": 2000 + at, "qty": 1} for at in range(first, first + levels)]
    text = "".join(f"{side['price']}{side['qty']}" for side in (*asks[:10], *bids[:10]))
    row = {"symbol": "BTC/USD", "bids": bids, "asks": asks, "checksum": zlib.crc32(text.encode())}
    return json.dumps({"channel": "book", "type": kind, "data": [row | {"timestamp": "2026-08-09T21:05:48Z"}]})


def test_the_depth_of_recorded_books_of_kraken_is_that_of_the_answer(tmp_path: Path) -> None:
    answer = {
        "method": "subscribe",
        "success": True,
        "result": {"channel": "book", "symbol": "BTC/USD", "depth": 25, "snapshot": True},
    }
    gone = [{"price": 1000 - at, "qty": 0} for at in range(10)]
    bids, asks = [f"{1000 - at}1" for at in range(10, 20)], [f"{2000 + at}1" for at in range(10)]
    checksum = zlib.crc32("".join((*asks, *bids)).encode())  # of levels that a book of ten would have forgotten
    row = {"symbol": "BTC/USD", "bids": gone, "asks": [], "checksum": checksum, "timestamp": "2026-08-09T21:05:49Z"}
    update = {"channel": "book", "type": "update", "data": [row]}
    path = recording(
        tmp_path / "k.jsonl", "KRAKEN", [answer, kraken_book("snapshot", 25, 0), update], address=AT["KRAKEN"]
    )
    found = summary("KRAKEN", path)
    assert (found["checksums"], found["instruments"]["BTC-USD"]["bid"]) == ({"verified": 2, "failed": 0}, "990")


def bybit_book(topic: str, kind: str, number: int, price: str) -> dict[str, Any]:
    data = {"s": "BTCUSDT", "b": [[price, "1"]], "a": [["200", "1"]], "u": number, "seq": 1}
    return {"topic": f"{topic}.BTCUSDT", "type": kind, "ts": 5, "cts": 4, "data": data}


def test_of_two_depths_of_a_book_the_first_is_told(tmp_path: Path) -> None:
    frames = [
        bybit_book("orderbook.50", "snapshot", 10, "100"),
        bybit_book("orderbook.200", "snapshot", 900, "100"),
        bybit_book("orderbook.200", "delta", 901, "102"),
        bybit_book("orderbook.50", "delta", 11, "101"),
    ]
    path = recording(tmp_path / "b.jsonl", "BYBIT", frames, address=AT["BYBIT"] + "linear")
    found = summary("BYBIT", path)
    book = found["instruments"]["BTC-USDT-PERP"]
    assert (found["frames"], found["control"], found["gaps"]) == (4, 2, 0)
    assert (book["bid"], book["state"]) == ("101", "live")


def okx_book(channel: str, action: str, number: int, previous: int, price: str) -> dict[str, Any]:
    row = {"bids": [[price, "1", "0", "1"]], "asks": [["200", "1", "0", "1"]], "ts": "5", "checksum": 0}
    frame = {
        "arg": {"channel": channel, "instId": "BTC-USDT"},
        "data": [row | {"seqId": number, "prevSeqId": previous}],
    }
    return frame | ({"action": action} if action else {})


def test_differences_are_told_rather_than_a_few_whole_levels(tmp_path: Path) -> None:
    frames = [
        okx_book("books5", "", 9, -1, "99"),
        okx_book("books", "snapshot", 10, -1, "100"),
        okx_book("books5", "", 11, -1, "98"),
        okx_book("books", "update", 12, 10, "101"),
    ]
    found = summary("OKX", recording(tmp_path / "o.jsonl", "OKX", frames))
    assert (found["control"], found["gaps"], found["instruments"]["BTC-USDT"]["bid"]) == (2, 0, "101")


@pytest.mark.parametrize(
    ("body", "status"), [("<html>429 Too Many Requests</html>", 200), ("", 200), ('{"code":-1003,"msg":"slow"}', 429)]
)
def test_a_refused_request_is_no_dead_letter(body: str, status: int, tmp_path: Path) -> None:
    url = "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000"
    whole = json.dumps({"lastUpdateId": 6, "bids": [["9", "1"]], "asks": [["11", "1"]]})
    lines: list[dict[str, Any]] = [
        {"t": "header", "exchange": "BINANCE"},
        {"t": "recv", "conn": "1", "ts": 1600000001, "data": json.dumps(depth("BTCUSDT", 5, 6, 4))},
        {"t": "http", "conn": "h", "ts": 1600000002, "url": url, "data": body, "status": status},
        {"t": "http", "conn": "h", "ts": 1600000003, "url": url, "data": whole},
        {"t": "recv", "conn": "1", "ts": 1600000004, "data": json.dumps(depth("BTCUSDT", 7, 7, 6))},
    ]
    path = tmp_path / "h.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    book = summary("BINANCE", path)["instruments"]["BTC-USDT"]
    assert (book["bid"], book["ask"], book["state"]) == ("9", "11", "live")


def test_a_damaged_answer_is_a_dead_letter(tmp_path: Path) -> None:
    url = "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000"
    frame = {"t": "recv", "conn": "1", "ts": 1600000001, "data": json.dumps(depth("BTCUSDT", 5, 6, 4))}
    answer = {"t": "http", "conn": "h", "ts": 1600000002, "url": url, "data": '{"lastUpdateId": 6, "bids": [["9"'}
    path = tmp_path / "h.jsonl"
    path.write_text(
        "".join(json.dumps(line) + "\n" for line in ({"t": "header", "exchange": "BINANCE"}, frame, answer))
    )
    assert run("BINANCE", path, "--summary", "--format", "json").exit_code == 3
