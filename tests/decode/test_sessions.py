"""Session files through the command: another recorder's, and our own."""

import base64
import json
from pathlib import Path
from typing import Any

from tests.decode.files import framed, records, run, summary
from tests.venues.xnas.itch import accepted, add, directory, execute, packet, stream

STREAMS = "wss://stream.binance.com:9443/stream?streams="


def session(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def header(**fields: Any) -> dict[str, Any]:
    return {"t": "header", "exchange": "BINANCE", **fields}


def received(ts: float, stream_name: str, data: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps({"stream": stream_name, "data": data}, separators=(",", ":"))
    return {"t": "recv", "conn": "c", "ts": ts, "data": text}


def ticker(ts: float, number: int, bid: str, ask: str) -> dict[str, Any]:
    return received(ts, "btcusdt@bookTicker", {"u": number, "s": "BTCUSDT", "b": bid, "B": "1", "a": ask, "A": "2"})


def trade(ts: float, number: int, price: str, size: str) -> dict[str, Any]:
    data = {
        "e": "aggTrade",
        "E": 5,
        "s": "BTCUSDT",
        "a": number,
        "p": price,
        "q": size,
        "f": 1,
        "l": 1,
        "T": 7,
        "m": True,
    }
    return received(ts, "btcusdt@aggTrade", data)


def depth(ts: float, first: int, last: int, bids: list[list[str]]) -> dict[str, Any]:
    data = {"e": "depthUpdate", "E": 6, "s": "BTCUSDT", "U": first, "u": last, "b": bids, "a": []}
    return received(ts, "btcusdt@depth@100ms", data)


CONNECT = {
    "t": "connect",
    "conn": "c",
    "ts": 1.0,
    "addr": STREAMS + "btcusdt@bookTicker/btcusdt@aggTrade/btcusdt@depth@100ms",
}
SNAPSHOT = {
    "t": "http",
    "conn": "c",
    "ts": 2.5,
    "url": "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000",
    "data": json.dumps({"lastUpdateId": 10, "bids": [["9.0", "1"]], "asks": [["11.0", "3"]]}),
}
LINES = (
    header(config={"trades": ["BTC-USDT"]}),
    CONNECT,
    ticker(2.0, 9, "9.5", "10.5"),
    depth(2.2, 8, 10, [["8.0", "1"]]),
    SNAPSHOT,
    depth(3.0, 11, 12, [["8.5", "2"], ["9.0", "0"]]),
    trade(3.5, 100, "10.1", "0.5"),
    trade(4.0, 101, "10.2", "0.25"),
)


def written(folder: Path, data: bytes) -> Path:
    path = folder / "recorded"
    path.write_bytes(data)
    return path


def test_another_recorders_session(tmp_path: Path) -> None:
    path = written(tmp_path, session(*LINES))
    result = run("BINANCE", path)
    assert (result.exit_code, result.stderr) == (0, "")
    trades = records(result, "trade")
    assert [(one["symbol"], one["price"], one["size"], one["side"], one["id"]) for one in trades] == [
        ("BTC-USDT", "10.1", "0.5", "sell", "100"),
        ("BTC-USDT", "10.2", "0.25", "sell", "101"),
    ]
    assert (trades[0]["ts_event"], trades[0]["ts_recv"]) == (7_000_000, 3_500_000_000)
    bid = records(result, "bid")[0]
    assert (bid["price"], bid["ts_event"], bid["ts_recv"]) == ("9.5", None, 2_000_000_000)
    found = summary("BINANCE", path)
    assert (found["frames"], found["control"], found["gaps"]) == (5, 0, 0)
    sums = found["instruments"]["BTC-USDT"]
    assert (sums["trades"], sums["size"], sums["notional"], sums["state"]) == (2, "0.75", "7.600", "live")


def test_the_list_of_instruments_names_what_the_header_does_not(tmp_path: Path) -> None:
    entries = [
        {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT"},
        {"symbol": "ETHUSDT", "status": "TRADING", "baseAsset": "ETH", "quoteAsset": "USDT"},
    ]
    listing = {**SNAPSHOT, "ts": 0.5, "url": "https://x/api/v3/exchangeInfo", "data": json.dumps({"symbols": entries})}
    with_list = written(tmp_path, session(header(), listing, *LINES[1:]))
    assert list(summary("BINANCE", with_list)["instruments"]) == ["BTC-USDT"]
    without = written(tmp_path, session(header(), *LINES[1:]))
    assert list(summary("BINANCE", without)["instruments"]) == ["BTC-USDT"]


def test_missing_trades_repeats_and_frames_that_are_none(tmp_path: Path) -> None:
    odd = {"t": "recv", "conn": "c", "ts": 5.0, "data": '{"stream":"xrpusdt@aggTrade","data":{}}'}
    broken = {"t": "recv", "conn": "c", "ts": 5.1, "data": '{"stream":"btcusdt@aggTrade","data":{"a"'}
    ack = {"t": "recv", "conn": "c", "ts": 5.2, "data": '{"result":null,"id":1}'}
    path = written(
        tmp_path, session(*LINES, trade(4.5, 101, "10.2", "0.25"), trade(4.6, 104, "1", "1"), odd, broken, ack)
    )
    result = run("BINANCE", path, "--summary", "--format", "json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["unknown"], found["dead_letters"], found["control"]) == (3, 1, 1, 1)
    assert (found["records"]["trade"], found["gaps"]) == (3, 1)
    assert summary("BINANCE", path, "--raw")["records"]["trade"] == 4


def test_lines_that_are_no_records(tmp_path: Path) -> None:
    data = session(*LINES) + b"nonsense\n" + session(LINES[-1])[:-30]
    result = run("BINANCE", written(tmp_path, data), "--summary", "--format", "json")
    assert (result.exit_code, json.loads(result.stdout)["dead_letters"]) == (3, 2)
    assert f"the first at byte {len(session(*LINES))} of" in result.stderr


def test_a_session_of_another_venue_is_not_decoded(tmp_path: Path) -> None:
    result = run("BINANCE", written(tmp_path, session(header(exchange="KRAKEN"))))
    assert result.exit_code != 0
    assert "found one of KRAKEN" in str(result.exception)


def test_our_own_capture_of_a_binary_venue(tmp_path: Path) -> None:
    messages = [directory("AAPL", 1, 10), add(1, "B", 100, 3_000_000, when=20), execute(1, 40, 7, when=30)]
    tcp = accepted("S1", 1) + stream(messages) + packet("H")
    settings = {"venue": "XNAS", "address": "10.0.0.1:9000", "date": "2020-01-30"}
    lines = session(
        {"t": "header", "exchange": "XNAS", "feed": "nasdaq", "settings": settings},
        {"t": "connect", "conn": "1", "ts": 1.0, "link": "tape", "transport": "tcp", "addr": "10.0.0.1:9000"},
        {"t": "recv", "conn": "1", "ts": 2.0, "b64": base64.b64encode(tcp[:50]).decode()},
        {"t": "recv", "conn": "1", "ts": 3.0, "b64": base64.b64encode(tcp[50:]).decode()},
        {"t": "close", "conn": "1", "ts": 4.0},
    )
    path = written(tmp_path, lines)
    result = run("XNAS", path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert [(one["price"], one["size"]) for one in records(result, "trade")] == [("300.0000", "40")]
    assert summary("XNAS", path)["frames"] == len(messages)
    assert framed(messages)  # the same as a file


SETTINGS = {"venue": "XNAS", "address": "10.0.0.1:9000", "date": "2020-01-30"}
OURS = {"t": "header", "exchange": "XNAS", "feed": "nasdaq", "settings": SETTINGS}
TAPE = {"t": "connect", "conn": "nasdaq.tape.1", "link": "tape", "transport": "tcp", "addr": "10.0.0.1:9000"}
TOLD = [directory("AAPL", 1, 10), add(1, "B", 100, 3_000_000, when=20), execute(1, 40, 7, when=30)]
LATER = execute(1, 10, 8, when=40)


def read(ts: float, data: bytes) -> dict[str, Any]:
    return {"t": "recv", "conn": "nasdaq.tape.1", "ts": ts, "b64": base64.b64encode(data).decode()}


def test_the_next_segment_says_again_what_is_open(tmp_path: Path) -> None:
    first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    data = accepted("S1", 1) + stream([*TOLD, LATER])
    first.write_bytes(session(OURS, {**TAPE, "ts": 1.0}, read(2.0, data[:-9])))
    second.write_bytes(session(OURS, {**TAPE, "ts": 3.0, "continued": True}, read(4.0, data[-9:])))
    result = run("XNAS", first, second)
    assert (result.exit_code, result.stderr) == (0, "")
    assert [one["size"] for one in records(result, "trade")] == ["40", "10"]
    assert records(result, "gap") == []


def test_a_feed_that_was_killed_and_started_anew(tmp_path: Path) -> None:
    first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    half_a_packet = packet("S", LATER)[:9]
    first.write_bytes(session(OURS, {**TAPE, "ts": 1.0}, read(2.0, accepted("S1", 1) + stream(TOLD) + half_a_packet)))
    again = accepted("S1", 1) + stream([*TOLD, LATER])
    second.write_bytes(session(OURS, {**TAPE, "ts": 3.0}, read(4.0, again)))
    result = run("XNAS", first, second)
    assert (result.exit_code, result.stderr) == (0, "")
    assert [one["size"] for one in records(result, "trade")] == ["40", "10"]
    assert summary("XNAS", first, second)["instruments"]["AAPL"]["state"] == "live"
