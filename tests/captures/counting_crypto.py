"""Independent counts of recorded sessions of crypto venues: ``json``, ``decimal``, ``zlib`` and dicts, nothing of
tickcast.

A venue is a function that yields the trades of a frame as (market, name, id, price, size, is_history), and the changes
of its books as (market, name, is_snapshot, {"bid": [(price, size)], "ask": ...}).
"""

import base64
import gzip
import json
import lzma
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

Name = tuple[str, str]
"""Market, as the address ends, and the venue's name."""
Trade = tuple[str, str, Decimal, Decimal, bool]
"""Name, id, price, size, told as history."""
Change = tuple[str, bool, dict[str, list[tuple[str, str]]], int | None]
"""Name, whole book, levels by side, checksum."""


@dataclass
class Count:
    """What a file holds."""

    frames: int = 0
    trades: dict[Name, list[tuple[Decimal, Decimal]]] = field(default_factory=lambda: defaultdict(list))
    history: dict[Name, int] = field(default_factory=lambda: defaultdict(int))
    books: dict[Name, dict[str, dict[Decimal, tuple[str, str]]]] = field(default_factory=dict)
    checksums: int = 0
    channels: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """Bitfinex: connection and number to channel and pair."""
    priced: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """Prices of levels that are named by ids, by instrument, side and id."""

    def sums(self, name: Name) -> tuple[int, Decimal, Decimal]:
        trades = self.trades.get(name, [])
        notional = sum((price * size for price, size in trades), Decimal())
        told = len(trades) + self.history[name]
        return told, sum((size for _, size in trades), Decimal()), notional

    def best(self, name: Name) -> tuple[Decimal | None, Decimal | None]:
        book = self.books[name]
        return max(book["bid"], default=None), min(book["ask"], default=None)


def records(path: Path) -> Iterator[dict[str, Any]]:
    data = path.read_bytes()
    for line in (lzma.decompress(data) if path.suffix == ".xz" else data).splitlines():
        yield json.loads(line)


def count(path: Path, venue: Callable[["Count", str, Any], Iterator[Trade | Change]]) -> Count:
    """Count a file: a trade that two connections bring is one, the books are those of the first connection."""
    found = Count()
    markets: dict[str, str] = {}
    seen: set[tuple[Name, str]] = set()
    owner: dict[Name, str] = {}
    for record in records(path):
        if record["t"] == "connect":
            markets[record["conn"]] = record["addr"].partition("?")[0].rstrip("/").rpartition("/")[2]
        if record["t"] != "recv":
            continue
        found.frames += 1
        market = markets[record["conn"]]
        for told in venue(found, record["conn"], json.loads(text_of(record), parse_float=str, parse_int=str)):
            name = market, told[0]
            if len(told) == 5:
                _, ident, price, size, is_history = told
                if ident and (name, ident) in seen:
                    continue
                seen.add((name, ident))
                found.history[name] += is_history
                if not is_history:
                    found.trades[name].append((price, size))
            elif owner.setdefault(name, record["conn"]) == record["conn"]:
                apply(found, name, told)
    return found


def text_of(record: dict[str, Any]) -> str:
    if "b64" not in record:
        return str(record["data"])
    return gzip.decompress(base64.b64decode(record["b64"])).decode()


def apply(found: Count, name: Name, change: Change) -> None:
    _, is_snapshot, levels, _ = change
    if is_snapshot:
        found.books[name] = {"bid": {}, "ask": {}}
    book = found.books.get(name)
    if book is None:
        return  # its beginning was not recorded
    for side, changed in levels.items():
        for price, size in changed:
            if Decimal(size) == 0:
                book[side].pop(Decimal(price), None)
            else:
                book[side][Decimal(price)] = price, size


def pairs(levels: list[Any]) -> list[tuple[str, str]]:
    return [(level[0], level[1]) for level in levels]


# ------------------------------------------------------------------ the venues


def okx(found: Count, conn: str, frame: Any) -> Iterator[Trade | Change]:
    del conn
    channel, name = frame.get("arg", {}).get("channel", ""), frame.get("arg", {}).get("instId", "")
    for row in frame.get("data", []):
        if channel == "trades":
            yield name, row["tradeId"], Decimal(row["px"]), Decimal(row["sz"]), False
        elif channel.startswith("books"):
            found.checksums += int(row["checksum"]) != 0
            sides = {"bid": pairs(row["bids"]), "ask": pairs(row["asks"])}
            yield name, frame["action"] == "snapshot", sides, int(row["checksum"])


def bybit(found: Count, conn: str, frame: Any) -> Iterator[Trade | Change]:
    del found, conn
    topic = frame.get("topic", "")
    if topic.startswith("publicTrade."):
        for row in frame["data"]:
            yield row["s"], row["i"], Decimal(row["p"]), Decimal(row["v"]), False
    elif topic.startswith("orderbook."):
        row = frame["data"]
        yield row["s"], frame["type"] == "snapshot", {"bid": pairs(row["b"]), "ask": pairs(row["a"])}, None


def coinbase(found: Count, conn: str, frame: Any) -> Iterator[Trade | Change]:
    del found, conn
    for event in frame.get("events", []):
        is_whole = event.get("type") == "snapshot"
        for row in event.get("trades", []):
            yield row["product_id"], row["trade_id"], Decimal(row["price"]), Decimal(row["size"]), is_whole
        if frame["channel"] == "l2_data":
            sides: dict[str, list[tuple[str, str]]] = {"bid": [], "ask": []}
            for row in event["updates"]:
                side = "bid" if row["side"] == "bid" else "ask"
                sides[side].append((row["price_level"], row["new_quantity"]))
            yield event["product_id"], is_whole, sides, None


def coinbase_exchange(found: Count, conn: str, frame: Any) -> Iterator[Trade | Change]:
    del found, conn
    kind, name = frame["type"], frame.get("product_id", "")
    if kind in {"match", "last_match"}:
        yield name, frame["trade_id"], Decimal(frame["price"]), Decimal(frame["size"]), kind == "last_match"
    elif kind == "snapshot":
        yield name, True, {"bid": pairs(frame["bids"]), "ask": pairs(frame["asks"])}, None
    elif kind == "l2update":
        for word, price, size in frame["changes"]:
            yield name, False, {"bid" if word == "buy" else "ask": [(price, size)]}, None


def kraken_v1(found: Count, conn: str, frame: Any) -> Iterator[Trade | Change]:
    del conn
    if not isinstance(frame, list):
        return
    channel, name = frame[-2:]
    if channel == "trade":
        for row in frame[1]:
            yield name, "", Decimal(row[0]), Decimal(row[1]), False
    elif channel.startswith("book-"):
        merged: dict[str, Any] = {}
        for part in frame[1:-2]:
            merged |= part
        found.checksums += "c" in merged
        is_whole = "as" in merged
        sides = {"bid": pairs(merged.get("bs" if is_whole else "b", []))}
        sides["ask"] = pairs(merged.get("as" if is_whole else "a", []))
        yield name, is_whole, sides, int(merged["c"]) if "c" in merged else None


def kraken_futures(found: Count, conn: str, frame: Any) -> Iterator[Trade | Change]:
    del found, conn
    feed, name = frame.get("feed", ""), frame.get("product_id", "")
    if feed in {"trade", "trade_snapshot"} and "event" not in frame:
        for row in reversed(frame.get("trades", [frame])):
            yield name, row["seq"], Decimal(row["price"]), Decimal(row["qty"]), feed != "trade"
    elif feed == "book_snapshot":
        sides = {side: [(row["price"], row["qty"]) for row in frame[f"{side}s"]] for side in ("bid", "ask")}
        yield name, True, sides, None
    elif feed == "book" and "event" not in frame:
        side = "bid" if frame["side"] == "buy" else "ask"
        yield name, False, {side: [(frame["price"], frame["qty"])]}, None


def bitstamp(found: Count, conn: str, frame: Any) -> Iterator[Trade | Change]:
    del found, conn
    name, _, market = frame.get("channel", "").rpartition("_")
    data = frame.get("data")
    if name == "live_trades" and frame["event"] == "trade":
        yield market, data["id"], Decimal(data["price_str"]), Decimal(data["amount_str"]), False
    elif name in {"order_book", "diff_order_book"} and frame["event"] == "data":
        yield market, name == "order_book", {"bid": pairs(data["bids"]), "ask": pairs(data["asks"])}, None


def deribit(found: Count, conn: str, frame: Any) -> Iterator[Trade | Change]:
    del found, conn
    params = frame.get("params", {})
    channel, data = params.get("channel", ""), params.get("data")
    if channel.startswith("trades."):
        for row in data:
            yield row["instrument_name"], row["trade_id"], Decimal(row["price"]), Decimal(row["amount"]), False
    elif channel.startswith("book."):
        sides = {
            side: [(price, "0" if word == "delete" else size) for word, price, size in data[f"{side}s"]]
            for side in ("bid", "ask")
        }
        yield data["instrument_name"], data["type"] == "snapshot", sides, None


def kucoin(found: Count, conn: str, frame: Any) -> Iterator[Trade | Change]:
    del found, conn
    data, subject = frame.get("data", {}), frame.get("subject", "")
    if subject == "trade.l3match":
        yield data["symbol"], data["tradeId"], Decimal(data["price"]), Decimal(data["size"]), False
    elif subject == "trade.l2update":
        sides = {
            side[:-1]: [level[:2] for level in data["changes"][side] if level[0] != "0"] for side in ("bids", "asks")
        }
        yield data["symbol"], False, sides, None


def gateio(found: Count, conn: str, frame: Any) -> Iterator[Trade | Change]:
    del found, conn
    channel, result = frame.get("channel", ""), frame.get("result")
    if frame.get("event") != "update":
        return
    if channel == "spot.trades":
        yield result["currency_pair"], result["id"], Decimal(result["price"]), Decimal(result["amount"]), False
    elif channel == "futures.trades":
        for row in result:
            yield row["contract"], row["id"], Decimal(row["price"]), abs(Decimal(row["size"])), False
    elif channel.endswith("order_book_update"):
        pick = (0, 1) if channel.startswith("spot") else ("p", "s")
        sides = {side: [tuple(level[key] for key in pick) for level in result[side[0]]] for side in ("bid", "ask")}
        yield result["s"], False, sides, None


def bitmex(found: Count, conn: str, frame: Any) -> Iterator[Trade | Change]:
    """Read tables: a level is named by its id, and its insertion has the price."""
    del conn
    table, action = frame.get("table", ""), frame.get("action", "")
    if table == "trade":
        for row in frame["data"]:
            size, is_history = Decimal(row["size"]), action == "partial"
            yield row["symbol"], row["trdMatchID"], Decimal(row["price"]), size, is_history
    if not table.startswith("orderBookL2"):
        return
    names = dict.fromkeys(row["symbol"] for row in frame["data"])
    for name in names or dict.fromkeys([frame.get("filter", {}).get("symbol", "")]):
        sides: dict[str, list[tuple[str, str]]] = {"bid": [], "ask": []}
        for row in frame["data"]:
            if row["symbol"] == name:
                key = name, row["side"], row["id"]
                price = found.priced[key] = row.get("price", found.priced.get(key, ""))
                side = "bid" if row["side"] == "Buy" else "ask"
                sides[side].append((price, "0" if action == "delete" else row["size"]))
        if all(price for changed in sides.values() for price, _ in changed):
            yield name, action == "partial", sides, None


def crypto_com(found: Count, conn: str, frame: Any) -> Iterator[Trade | Change]:
    """Read v2: every message of a book is a whole one."""
    del found, conn
    told = frame.get("result", {})
    for row in told.get("data", ()):
        if told["channel"] == "trade":
            yield row["i"], str(row["d"]), Decimal(str(row["p"])), Decimal(str(row["q"])), False
        elif told["channel"] == "book":
            sides = {side: [(str(level[0]), str(level[1])) for level in row[f"{side}s"]] for side in ("bid", "ask")}
            yield told["instrument_name"], True, sides, None


def binance(found: Count, conn: str, frame: Any) -> Iterator[Trade | Change]:
    del found, conn
    data = frame.get("data", {})
    if data.get("e") in {"aggTrade", "trade"}:
        yield data["s"], data.get("a", data.get("t")), Decimal(data["p"]), Decimal(data["q"]), False


def bitfinex(found: Count, conn: str, frame: Any) -> Iterator[Trade | Change]:
    if isinstance(frame, dict):
        if frame.get("event") == "subscribed":
            found.channels[conn, frame["chanId"]] = frame["channel"], frame["symbol"]
        return
    told = frame[1]
    # of a frame alone nobody knows the channel; three numbers are a level of a book
    unknown = ("book" if isinstance(told, list) and len(told) == 3 else "ticker", str(frame[0]))
    channel, name = found.channels.get((conn, frame[0]), unknown)
    if told in ("hb", "tu") or channel == "ticker":
        return
    if channel == "trades":
        for ident, _, amount, price in [frame[2]] if told == "te" else told:
            yield name, ident, Decimal(price), abs(Decimal(amount)), told != "te"
    elif told == "cs":
        found.checksums += 1
    else:
        is_whole = isinstance(told[0], list)
        sides: dict[str, list[tuple[str, str]]] = {"bid": [], "ask": []}
        for price, orders, amount in told if is_whole else [told]:
            side = "ask" if amount.startswith("-") else "bid"
            sides[side].append((price, "0" if orders == "0" else amount.lstrip("-")))
        yield name, is_whole, sides, None


def gemini(found: Count, conn: str, frame: Any) -> Iterator[Trade | Change]:
    del found, conn
    is_whole = "auction_events" in frame
    for row in [frame] if frame["type"] == "trade" else frame.get("trades", []):
        yield row["symbol"], row.get("tid", row["event_id"]), Decimal(row["price"]), Decimal(row["quantity"]), is_whole
    if frame["type"] == "l2_updates":
        sides: dict[str, list[tuple[str, str]]] = {"bid": [], "ask": []}
        for word, price, size in frame["changes"]:
            sides["bid" if word == "buy" else "ask"].append((price, size))
        yield frame["symbol"], is_whole, sides, None


def bitget_v1(found: Count, conn: str, frame: Any) -> Iterator[Trade | Change]:
    del conn
    argument = frame.get("arg", {})
    name, is_whole = f"{argument.get('instType')}:{argument.get('instId')}", frame.get("action") == "snapshot"
    for row in frame.get("data", []):
        if argument["channel"] == "trade":
            yield name, "", Decimal(row[1]), Decimal(row[2]), is_whole
        elif argument["channel"] == "books":
            found.checksums += int(row["checksum"]) != 0
            yield name, is_whole, {"bid": pairs(row["bids"]), "ask": pairs(row["asks"])}, int(row["checksum"])


def htx(found: Count, conn: str, frame: Any) -> Iterator[Trade | Change]:
    del found, conn
    _, _, rest = frame.get("ch", "").partition(".")
    name, _, channel = rest.partition(".")
    if channel == "trade.detail":
        for row in frame["tick"]["data"]:
            yield name, row.get("tradeId", row["id"]), Decimal(row["price"]), Decimal(row["amount"]), False
    elif channel == "depth.step0":
        tick = frame["tick"]
        yield name, True, {"bid": pairs(tick.get("bids", [])), "ask": pairs(tick.get("asks", []))}, None


def poloniex(found: Count, conn: str, frame: Any) -> Iterator[Trade | Change]:
    del found, conn
    for row in frame.get("data", []):
        if frame["channel"] == "trades":
            yield row["symbol"], row["id"], Decimal(row["price"]), Decimal(row["quantity"]), False
        elif frame["channel"] == "book_lv2":
            sides = {"bid": pairs(row["bids"]), "ask": pairs(row["asks"])}
            yield row["symbol"], frame["action"] == "snapshot", sides, None


def quotes_of_binance(path: Path) -> dict[str, tuple[Decimal, Decimal]]:
    """The last best bid and offer of each symbol."""
    found = {}
    for record in records(path):
        data = json.loads(record["data"]).get("data", {}) if record["t"] == "recv" else {}
        if "bookTicker" in str(data.get("e", "bookTicker")) and {"b", "B", "a", "A"} <= set(data) and "U" not in data:
            found[data["s"]] = Decimal(data["b"]), Decimal(data["a"])
    return found


def quotes_of_bitmex(path: Path) -> dict[str, tuple[Decimal, Decimal]]:
    """The last best bid and offer of each symbol: they come apart from the books, a little later or sooner."""
    found = {}
    for record in records(path):
        frame = json.loads(record["data"], parse_float=str) if record["t"] == "recv" else {}
        for row in frame["data"] if frame.get("table") == "quote" else ():
            found[row["symbol"]] = Decimal(row["bidPrice"]), Decimal(row["askPrice"])
    return found


# ------------------------------------------------------------------ checksums


def crc_of_okx(book: dict[str, dict[Decimal, tuple[str, str]]]) -> int:
    """Signed CRC32 of the 25 best levels, bid and ask by turns, as sent."""
    bids = [book["bid"][price] for price in sorted(book["bid"], reverse=True)[:25]]
    asks = [book["ask"][price] for price in sorted(book["ask"])[:25]]
    parts = [":".join(side[at]) for at in range(25) for side in (bids, asks) if at < len(side)]
    value = zlib.crc32(":".join(parts).encode())
    return value - (1 << 32) if value >= 1 << 31 else value
