"""Frames that others recorded, each as a session of its own: all are understood, and say what others read in them."""

import gzip
import json
import os
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.decode.files import run

pytestmark = pytest.mark.captures

CAPTURES = Path(os.environ.get("TICKCAST_CAPTURES") or Path(__file__).parents[3] / "shared" / "captures")
BINANCE = ("BINANCE", "wss://stream.binance.com:9443/stream")
FUTURES = ("BINANCE_FUTURES", "wss://fstream.binance.com/stream")
DELIVERY = ("BINANCE_DELIVERY", "wss://dstream.binance.com/stream")
OKX = ("OKX", "wss://ws.okx.com:8443/ws/v5/public")
EXCHANGE = ("COINBASE", "wss://ws-feed.pro.coinbase.com")
ADVANCED = ("COINBASE", "wss://advanced-trade-ws.coinbase.com")
KRAKEN_V1 = ("KRAKEN", "wss://ws.kraken.com")
KRAKEN = ("KRAKEN", "wss://ws.kraken.com/v2")
KRAKEN_FUTURES = ("KRAKEN_FUTURES", "wss://futures.kraken.com/ws/v1")
BITSTAMP = ("BITSTAMP", "wss://ws.bitstamp.net")
LINEAR = ("BYBIT", "wss://stream.bybit.com/v5/public/linear")
SPOT = ("BYBIT", "wss://stream.bybit.com/v5/public/spot")
OPTION = ("BYBIT", "wss://stream.bybit.com/v5/public/option")
DERIBIT = ("DERIBIT", "wss://www.deribit.com/ws/api/v2")
BITFINEX = ("BITFINEX", "wss://api-pub.bitfinex.com/ws/2")
GEMINI = ("GEMINI", "wss://api.gemini.com/v2/marketdata")
BITGET = ("BITGET", "wss://ws.bitget.com/v2/ws/public")
BITGET_V1 = ("BITGET", "wss://ws.bitget.com/mix/v1/stream")
HTX = ("HTX", "wss://api.huobi.pro/ws")
KUCOIN = ("KUCOIN", "wss://ws-api-spot.kucoin.com/")
GATE = ("GATEIO", "wss://api.gateio.ws/ws/v4/")
GATE_USDT = ("GATEIO", "wss://fx-ws.gateio.ws/v4/ws/usdt")
CRYPTO_COM = ("CRYPTO_COM", "wss://stream.crypto.com/v2/market")
BITMEX = ("BITMEX", "wss://www.bitmex.com/realtime")
TARDIS = {
    "bitget": BITGET,
    "bitget-futures": BITGET,
    "huobi": HTX,
    "huobi-dm": HTX,
    "huobi-dm-swap": HTX,
    "huobi-dm-linear-swap": HTX,
    "huobi-dm-options": HTX,
    "binance": BINANCE,
    "binance-futures": FUTURES,
    "binance-delivery": DELIVERY,
    "okex": OKX,
    "okex-futures": OKX,
    "okex-swap": OKX,
    "okex-options": OKX,
    "okex-spreads": OKX,
    "coinbase": EXCHANGE,
    "kraken": KRAKEN_V1,
    "cryptofacilities": KRAKEN_FUTURES,
    "bitstamp": BITSTAMP,
    "bybit": LINEAR,
    "bybit-spot": SPOT,
    "bybit-options": OPTION,
    "deribit": DERIBIT,
    "bitfinex": BITFINEX,
    "bitfinex-derivatives": BITFINEX,
    "gemini": GEMINI,
    "kucoin": KUCOIN,
    "kucoin-futures": KUCOIN,
    "gate-io": GATE,
    "gate-io-futures": GATE_USDT,
    "bitmex": BITMEX,
    "crypto-com": CRYPTO_COM,
}
PARSER = {
    "bitget": BITGET_V1,
    "huobi": HTX,
    "binance": BINANCE,
    "okx": OKX,
    "coinbase_pro": EXCHANGE,
    "kraken": KRAKEN_V1,
    "bitstamp": BITSTAMP,
    "deribit": DERIBIT,
    "bitfinex": BITFINEX,
    "kucoin": KUCOIN,
    "gate": GATE,
    "bitmex": BITMEX,
}
"""Its frames of Bybit are all of the dialect before v5."""
SHAPES = {"binance": FUTURES, "okx": OKX, "coinbase": ADVANCED, "kraken": KRAKEN, "bybit": LINEAR, "deribit": DERIBIT}
REST = ("l2_snapshot", "open_interest")
"""Kinds of frames that are answers over REST."""
MADE_UP = ("manifest", "metadata", "string_to_u64", "http", "spot/", "ws_public_trade")
"""Files that hold no frame of the venue: test data of its reader, another venue's, ``trade.linear.BTCUSDT``."""
WRONG = ("kraken 10",)
"""Its checksum is no checksum: the book is rightly refused."""
ABSOLUTE = {"KRAKEN_FUTURES": ("fundingRate", "predictedFundingRate")}
"""Theirs are amounts of money for a contract, ours are parts of its worth as everywhere else."""
TICKER = {
    "markPrice": "mark",
    "indexPrice": "index",
    "fundingRate": "funding",
    "openInterest": "open_interest",
    "predictedFundingRate": "funding_next",
}
SUMMARY = {
    "markIV": "iv",
    "bestAskIV": "ask_iv",
    "bestBidIV": "bid_iv",
    "delta": "delta",
    "gamma": "gamma",
    "vega": "vega",
    "theta": "theta",
    "rho": "rho",
    "underlyingPrice": "underlying",
    "openInterest": "open_interest",
    "markPrice": "mark",
}


TABLED = {
    "XBTUSD": "BTC-USD-PERP",
    "ETHUSD": "ETH-USD-PERP",
    "ETHM19": "ETH-BTC-20190628",
    "LTCM19": "LTC-BTC-20190628",
    "EOSM19": "EOS-BTC-20190628",
}
"""BitMEX's names in frames of several instruments."""


class Case(NamedTuple):
    name: str
    code: str
    address: str
    raw: str
    expected: list[dict[str, Any]]
    before: tuple[str, ...] = ()
    """Events of the same file that say what the numbers of its channels stand for."""


def is_former(case: Case) -> bool:
    """Whether a frame is of a dialect that is not read: OKX v3, Bybit before v5; or was made by a replay."""
    frame = json.loads(case.raw, strict=False)
    if isinstance(frame, list):
        return False
    topic = str(frame.get("topic", "")).partition(".")[0]
    older = case.code == "BYBIT" and ("request" in frame or "params" in frame or topic in OLDER_TOPICS)
    former = case.code in {"OKX", "BITGET"} and "table" in frame
    return former or older or frame.get("generated") is True or "TICKER_ALL" in str(frame.get("stream"))


OLDER_TOPICS = ("orderBookL2_25", "orderBook_200", "trade", "instrument_info", "klineV2")


def rows(folder: str, name: str) -> list[dict[str, Any]]:
    path = CAPTURES / folder / f"{name}.jsonl"
    packed = path.with_suffix(".jsonl.gz")
    data = gzip.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes() if path.exists() else b""
    return [json.loads(line) for line in data.splitlines()]


def cases() -> list[Any]:
    chosen = [
        pytest.param(case, id=case.name)
        for case in (*of_tardis(), *of_parser(), *of_shapes())
        if not is_former(case) and case.name not in WRONG
    ]
    skip = pytest.mark.skip(f"no frames of others in {CAPTURES}; set TICKCAST_CAPTURES to its folder")
    return chosen or [pytest.param(None, marks=skip, id="none")]


def of_tardis() -> Iterator[Case]:
    for name, place in TARDIS.items():
        before: list[str] = []
        for row in rows("tardis-node", name):
            is_v2 = place == KRAKEN_V1 and isinstance(row["message"], dict) and "channel" in row["message"]
            raw = json.dumps(row["message"], separators=(",", ":"))
            yield Case(f"{name} {row['n']}", *(KRAKEN if is_v2 else place), raw, row["expected"] or [], tuple(before))
            if isinstance(row["message"], dict) and "chanId" in row["message"]:
                before.append(raw)


def of_parser() -> Iterator[Case]:
    for name, place in PARSER.items():
        for number, row in enumerate(rows("crypto-msg-parser", name)):
            is_contract = place == BINANCE and not row["case"].startswith("spot")
            at = (FUTURES if row["case"].startswith("linear") else DELIVERY) if is_contract else place
            at = GATE_USDT if place == GATE and not row["case"].startswith("spot") else at
            if place == KRAKEN_V1 and row["case"].startswith("inverse"):
                at = KRAKEN_FUTURES
            if row["kind"] not in REST and row["case"] not in REST:
                yield Case(f"{name} {number} {row['kind']} {row['case']}", *at, row["raw"], [])


def of_shapes() -> Iterator[Case]:
    for name, place in SHAPES.items():
        for row in rows("nautilus", name):
            at = OPTION if "option" in row["file"] and place == LINEAR else place
            at = KRAKEN_FUTURES if "ws_futures" in row["file"] else at
            if not any(word in row["file"] for word in MADE_UP):
                yield Case(f"{name} {row['file']}", *at, row["raw"], [])


def session(path: Path, case: Case) -> Path:
    lines = [
        {"t": "header", "exchange": case.code, "config": {}, "selection": "all"},
        {"t": "connect", "conn": "1", "ts": 1600000000.5, "addr": case.address},
        *({"t": "recv", "conn": "1", "ts": 1600000001, "data": event} for event in case.before),
        {"t": "recv", "conn": "1", "ts": 1600000001.5, "data": case.raw},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.parametrize("case", cases())
def test_frames_of_others_are_understood(case: Case, tmp_path: Path) -> None:
    path = session(tmp_path / "one.jsonl", case)
    result = run(case.code, path, "--summary", "--format", "json")
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert (summary["frames"], summary["unknown"], summary["dead_letters"]) == (1 + len(case.before), 0, 0)
    assert summary["control"] or summary["instruments"], "a frame that says nothing is control"


@pytest.mark.parametrize("case", cases())
def test_frames_say_what_others_read_in_them(case: Case, tmp_path: Path) -> None:
    path = session(tmp_path / "one.jsonl", case)
    result = run(case.code, path, "--format", "jsonl")
    every = [json.loads(line) for line in result.stdout.splitlines()]
    records = every
    trades = [record for record in records if record["kind"] in {"trade", "liquidation"}]
    theirs = [each for each in case.expected if each["type"] in {"trade", "liquidation"}]
    if "spreads" in case.name:  # which are no instruments here
        theirs = []
    assert [*map(traded, trades)] == [*map(expected_trade, theirs)] or not theirs
    for expected in case.expected:
        if case.code == "BITMEX":  # a table's frame may have rows of several instruments
            records = [record for record in every if record["symbol"] == TABLED[expected["symbol"]]]
        if expected["type"] in {"derivative_ticker", "option_summary"}:
            kinds = TICKER if expected["type"] == "derivative_ticker" else SUMMARY
            measured(
                records,
                expected,
                {word: kind for word, kind in kinds.items() if word not in ABSOLUTE.get(case.code, ())},
            )
        # Deribit's ticker has a best bid and offer too; they are taken from the channel "quote" and the book
        if expected["type"] == "book_ticker" and case.code != "DERIBIT":
            best = {record["kind"]: (record["price"], record["size"]) for record in records}
            # Bitfinex's ticker has sums of 25 levels where the sizes are; Crypto.com's of v2 has none
            if case.code == "BITFINEX" or expected["bidAmount"] is None:
                expected |= {"bidAmount": 0, "askAmount": 0}
                best = {kind: (price, 0) for kind, (price, _) in best.items()}
            assert {side: tuple(map(Decimal, best[side])) for side in ("bid", "ask")} == {
                side: (number(expected[f"{side}Price"]), number(expected[f"{side}Amount"])) for side in ("bid", "ask")
            }
        # theirs is whatever Gemini's feed tells first; here a book begins with a message that ends where it begins
        is_unread = "spreads" in case.name or (case.code == "GEMINI" and "depthUpdate" in case.raw)
        if expected["type"] == "book_change" and expected["isSnapshot"] and not is_unread:
            for side in ("bid", "ask"):
                told = [
                    (Decimal(each["price"]), Decimal(each["size"]))
                    for each in records
                    if each["kind"] == f"book_{side}"
                ]
                wanted = [(number(level["price"]), number(level["amount"])) for level in expected[f"{side}s"]]
                assert sorted(told) == sorted(wanted)


def traded(record: dict[str, Any]) -> tuple[Any, ...]:
    time = record["ts_event"] // 1_000_000
    return record["kind"], Decimal(record["price"]), Decimal(record["size"]), record["side"], time


def expected_trade(trade: dict[str, Any]) -> tuple[Any, ...]:
    exact = datetime.fromisoformat(trade["timestamp"])
    time = int(exact.timestamp()) * 1000 + exact.microsecond // 1000
    return trade["type"], number(trade["price"]), number(trade["amount"]), trade["side"], time


def measured(records: list[dict[str, Any]], expected: dict[str, Any], kinds: dict[str, str]) -> None:
    """Hold every value that both tell against the other: theirs carries values over from frames before."""
    found = {record["kind"]: Decimal(record["price"]) for record in records if record["price"] is not None}
    for word, kind in kinds.items():
        if expected.get(word) is not None and kind in found:
            assert found[kind] == number(expected[word]), word


def number(value: float) -> Decimal:
    return Decimal(repr(value))
