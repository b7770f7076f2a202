"""Recorded Nasdaq bytes through decoder and hub, against a count made of the messages by hand."""

import gzip
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tickcast import _native
from tickcast.model.instrument import Definition

MIDNIGHT_NS = 1_580_360_400_000_000_000  # 2020-01-30 00:00 in New York
NOW_NS = MIDNIGHT_NS + 12 * 3600 * 1_000_000_000


def recorded() -> bytes:
    folder = os.environ.get("TICKCAST_CAPTURES")
    root = Path(folder) if folder else Path(__file__).parents[3] / "shared" / "captures"
    file = root / "itch" / "nasdaq_20200130_AAPL_first5000.itch50.gz"
    if not file.exists():
        pytest.skip(f"no recorded ITCH at {file}: set TICKCAST_CAPTURES")
    return gzip.decompress(file.read_bytes())


def counted(block: bytes) -> dict[str, Any]:
    """The slow way: every order in a dict, one message after the other."""
    orders: dict[int, tuple[str, Decimal, int]] = {}
    volume, prices, last = 0, [], None
    for message in _native.itch_messages(block):
        at = message.get("order_reference_number")
        match message["type"]:
            case "A" | "F":
                side, price, shares = message["buy_sell_indicator"], message["price"], message["shares"]
                orders[int(str(at))] = (str(side), Decimal(str(price)), int(str(shares)))
            case "E" | "P" as kind:
                if kind == "E":
                    side, worth, rest = orders[int(str(at))]
                    shares = int(str(message["executed_shares"]))
                    orders[int(str(at))] = (side, worth, rest - shares)
                else:
                    worth, shares = Decimal(str(message["price"])), int(str(message["shares"]))
                volume += shares
                if shares >= 100:
                    prices.append(worth)
                    last = (worth, shares)
            case "X":
                side, worth, rest = orders[int(str(at))]
                orders[int(str(at))] = (side, worth, rest - int(str(message["cancelled_shares"])))
            case "D":
                del orders[int(str(at))]
            case other:
                assert other in {"R", "H", "Y", "L"}, other
    bid = max(price for side, price, rest in orders.values() if side == "B" and rest)
    ask = min(price for side, price, rest in orders.values() if side == "S" and rest)
    return {
        "volume": volume,
        "open": prices[0],
        "high": max(prices),
        "low": min(prices),
        "last": last,
        "bid": (bid, sum(rest for side, price, rest in orders.values() if side == "B" and price == bid)),
        "ask": (ask, sum(rest for side, price, rest in orders.values() if side == "S" and price == ask)),
    }


@pytest.mark.captures
def test_last_price_volume_and_best_equal_a_count_by_hand() -> None:
    block = recorded()
    hub = _native.Hub(epoch=1)
    definition = Definition(
        instrument=_native.instrument_id("XNAS:AAPL"),
        venue="XNAS",
        symbol="AAPL",
        feed="xnas",
        security="AAPL",
        asset_class="equity",
        currency="USD",
    )
    hub.define([definition], NOW_NS)
    decoded = _native.ItchDecoder("XNAS", MIDNIGHT_NS).decode(block, 1, NOW_NS)
    applied = hub.apply(decoded.records, NOW_NS)
    expected = counted(block)
    for symbol in ("XNAS:AAPL", "AAPL"):
        text = hub.price(symbol, strings=True)
        assert text is not None
        price = json.loads(text)
        assert int(price["volume"]) == expected["volume"]
        assert (Decimal(price["price"]), int(price["size"])) == expected["last"]
        assert (Decimal(price["bid"]), int(price["bid_size"])) == expected["bid"]
        assert (Decimal(price["ask"]), int(price["ask_size"])) == expected["ask"]
        assert [Decimal(price[name]) for name in ("open", "high", "low")] == [
            expected[name] for name in ("open", "high", "low")
        ]
        assert price["state"] == "live"
    assert (applied.unknown, applied.late) == (0, 0)
