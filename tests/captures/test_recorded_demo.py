"""The whole path on real input: `tickcast demo --recorded` ends where an independent count of the files ends.

The counts below know nothing of tickcast: they read the recorded bytes with ``struct`` and ``json`` and keep dicts.
"""

import gzip
import json
import lzma
import os
import struct
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tickcast.testing.instance import DemoInstance, eventually

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow, pytest.mark.captures]

CAPTURES = Path(os.environ.get("TICKCAST_CAPTURES") or Path(__file__).parents[3] / "shared" / "captures")
ITCH = CAPTURES / "itch" / "nasdaq_20200130_AAPL_first5000.itch50.gz"
BINANCE = CAPTURES / "cryptofeed" / "BINANCE" / "BINANCE_20210405T183323Z.jsonl.xz"
ROUND_LOT = 100
HIDDEN, DISPLAYED_WITH_PRICE = ord("P"), ord("C")


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoInstance]:
    for file in (ITCH, BINANCE):
        if not file.is_file():
            pytest.skip(f"no recorded data at {file}; set TICKCAST_CAPTURES to its folder")
    options = ("--recorded", str(CAPTURES), "--speed", "0", "--once")
    with DemoInstance(tmp_path_factory.mktemp("recorded"), *options) as started:
        started.wait_ready()
        yield started


def count_itch(data: bytes) -> dict[str, Any]:  # noqa: C901, PLR0912  the message types of the format
    """Orders, trades and the best prices of a file with one stock."""
    orders: dict[int, tuple[bool, int, int]] = {}
    volume = trades = messages = 0
    last: tuple[int, int] | None = None
    position = 0
    while position < len(data):
        (length,) = struct.unpack_from(">H", data, position)
        message = data[position + 2 : position + 2 + length]
        position += 2 + length
        messages += 1
        kind, body = message[:1], message[11:]
        executed: tuple[int, int] | None = None
        if kind in b"AF":
            reference, side, shares, _, price = struct.unpack_from(">QsI8sI", body)
            orders[reference] = (side == b"B", shares, price)
        elif kind in b"ECXD":
            (reference,) = struct.unpack_from(">Q", body)
            buy, shares, price = orders[reference]
            taken = shares if kind == b"D" else struct.unpack_from(">I", body, 8)[0]
            if kind == b"E":
                executed = (taken, price)
            if kind == b"C" and body[20:21] == b"Y":
                executed = (taken, struct.unpack_from(">I", body, 21)[0])
            orders[reference] = (buy, shares - taken, price)
            if shares == taken:
                del orders[reference]
        elif kind == b"U":
            old, new, shares, price = struct.unpack_from(">QQII", body)
            orders[new] = (orders.pop(old)[0], shares, price)
        elif kind == b"P":
            executed = struct.unpack_from(">I8sI", body, 9)[::2]
        if executed is not None:
            trades += 1
            volume += executed[0]
            if executed[0] >= ROUND_LOT:
                last = executed
    assert last is not None
    found: dict[str, Any] = {"messages": messages, "trades": trades, "volume": volume, "last": last}
    for buy, best in ((True, max), (False, min)):
        prices: dict[int, int] = defaultdict(int)
        for is_buy, shares, price in orders.values():
            if is_buy == buy:
                prices[price] += shares
        top = best(prices)
        found["bid" if buy else "ask"] = (top, prices[top])
    return found


def count_binance() -> dict[str, dict[str, Any]]:
    """Trades and the newest best prices by native symbol."""
    found: dict[str, dict[str, Any]] = defaultdict(lambda: {"volume": Decimal(0), "trades": 0})
    with lzma.open(BINANCE, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if record["t"] != "recv":
                continue
            frame = json.loads(record["data"])
            data, stream = frame["data"], frame["stream"].partition("@")[2]
            symbol = found[data["s"]]
            if stream == "aggTrade":
                symbol["trades"] += 1
                symbol["volume"] += Decimal(data["q"])
                symbol["last"] = data["p"], data["q"]
            elif stream == "bookTicker":
                symbol["best"] = data["b"], data["B"], data["a"], data["A"]
    return dict(found)


def shown(instance: DemoInstance, symbol: str) -> dict[str, Any]:
    found: dict[str, Any] = instance.get(f"/prices/{symbol}?numbers=string")
    return found


def test_itch_ends_where_the_file_ends(instance: DemoInstance) -> None:
    counted = count_itch(gzip.decompress(ITCH.read_bytes()))

    def equal() -> bool:
        found = shown(instance, "XNAS:AAPL")
        size, price = counted["last"]
        expected = {
            "volume": counted["volume"],
            "price": Decimal(price).scaleb(-4),
            "size": size,
            "bid": Decimal(counted["bid"][0]).scaleb(-4),
            "bid_size": counted["bid"][1],
            "ask": Decimal(counted["ask"][0]).scaleb(-4),
            "ask_size": counted["ask"][1],
        }
        actual = {key: Decimal(found[key]) for key in expected}
        assert actual == {key: Decimal(value) for key, value in expected.items()}
        assert found["state"] == "live"
        return True

    eventually(equal, deadline_s=60)
    feed = next(row for row in instance.get("/feeds")["feeds"] if row["name"] == "xnas")
    assert (feed["gaps"], feed["dead_letters"]) == (0, 0)
    assert feed["messages"] >= counted["messages"]


def test_binance_ends_where_the_session_ends(instance: DemoInstance) -> None:
    counted = count_binance()
    names = {row["symbol"]: row for row in instance.get("/symbols?venue=BINANCE")["symbols"]}
    assert {name.removeprefix("BINANCE:").replace("-", "") for name in names} == set(counted)

    def equal() -> bool:
        for name in names:
            expected, found = counted[name.removeprefix("BINANCE:").replace("-", "")], shown(instance, name)
            if expected["trades"]:
                assert Decimal(found["volume"]) == expected["volume"], name
                assert (found["price"], found["size"]) == expected["last"], name
            best = tuple(found[key] for key in ("bid", "bid_size", "ask", "ask_size"))
            assert best == expected["best"], name
            assert found["state"] == "live", name
        return True

    eventually(equal, deadline_s=60)
    feed = next(row for row in instance.get("/feeds")["feeds"] if row["name"] == "binance")
    assert (feed["gaps"], feed["dead_letters"]) == (0, 0)
