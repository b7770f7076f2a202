"""A client of channels ``book``, ``bars`` and ``trades`` that keeps what ``docs/protocol.md`` says, and checks it."""

import asyncio
import binascii
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import websockets
from websockets.asyncio.client import ClientConnection, connect

from tickcast.runtime.clock import monotonic_ns

Level = tuple[str, str]
SHOWN: Final = {"live", "halted", "auction", "closed", "delayed", "unverified"}
SECOND_NS: Final = 1_000_000_000


@dataclass
class BookView:
    """One book as a client holds it; prices and sizes are texts, as they came."""

    symbol: str
    depth: int
    state: str = ""
    epoch: int = 0
    seq: int = -1
    bids: dict[str, str] = field(default_factory=dict)
    asks: dict[str, str] = field(default_factory=dict)
    states: list[str] = field(default_factory=list)
    """In their order, each change once."""
    updates: int = 0
    digests: int = 0
    """That were compared, those of updates alone."""
    is_whole: bool = False

    def take(self, frame: dict[str, Any]) -> None:
        """Apply a frame, and check what must hold after it."""
        if frame["type"] == "snapshot":
            if self.is_whole or not self.states:
                self.bids, self.asks = {}, {}
            assert frame["depth"] == self.depth
            self.state, self.is_whole = frame["state"], frame["last"]
            if frame["epoch"] != self.epoch:
                self.epoch, self.seq = frame["epoch"], -1
            if self.states[-1:] != [self.state]:
                self.states.append(self.state)
        else:
            assert self.is_whole, "no update before its snapshot"
            self.updates += 1
            self.digests += "digest" in frame
        assert frame["seq"] >= self.seq, "seqs go up within an epoch"
        self.seq = frame["seq"]
        for levels, side in ((frame["bids"], self.bids), (frame["asks"], self.asks)):
            for price, size in levels:
                if Decimal(size):
                    side[price] = size
                else:
                    side.pop(price, None)
        if self.is_whole:
            self._check(frame)

    def _check(self, frame: dict[str, Any]) -> None:
        bids, asks = self.sides()
        if "digest" in frame:
            text = ",".join(f"{price}:{size}" for price, size in (*bids, *asks))
            assert binascii.crc32(text.encode()) == frame["digest"], (self.symbol, frame, bids, asks)
        assert max(len(bids), len(asks)) <= self.depth
        assert self.state in SHOWN or not (bids or asks), (self.symbol, self.state)
        if self.state == "live" and ":" in self.symbol and bids and asks:
            assert Decimal(bids[0][0]) < Decimal(asks[0][0]), (self.symbol, bids[0], asks[0])

    def sides(self) -> tuple[list[Level], list[Level]]:
        """Bids and asks, best first."""
        bids = sorted(self.bids.items(), key=lambda level: -Decimal(level[0]))
        return bids, sorted(self.asks.items(), key=lambda level: Decimal(level[0]))

    @property
    def is_shown(self) -> bool:
        """Live, with levels on both sides."""
        return self.is_whole and self.state == "live" and bool(self.bids) and bool(self.asks)


class Watcher:
    """One connection, and the books, bars and trades that it was told."""

    def __init__(self, url: str, *, depth: int = 10) -> None:
        self._url = url + "?numbers=string"
        self._depth = depth
        self._connection: ClientConnection | None = None
        self.books: dict[str, BookView] = {}
        self.bars: dict[str, dict[str, dict[str, Any]]] = {}
        """By symbol and begin."""
        self.trades: dict[str, list[dict[str, Any]]] = {}
        self.corrected: set[tuple[str, str]] = set()
        self._acks: dict[str, dict[str, Any]] = {}

    async def open(self) -> None:
        """Connect, however long nobody listens."""
        while True:
            try:
                self._connection = await connect(self._url, compression=None, max_size=None)
            except (OSError, websockets.WebSocketException):
                await asyncio.sleep(0.1)
            else:
                return

    async def close(self) -> None:
        """Leave."""
        if self._connection is not None:
            await self._connection.close()

    async def subscribe(self, channel: str, symbols: Iterable[str], **terms: Any) -> dict[str, Any]:
        """Subscribe until every symbol exists; the last reply."""
        while True:
            terms |= {"depth": self._depth} if channel == "book" else {}
            request = {"action": "subscribe", "channel": channel, "symbols": list(symbols), "id": channel, **terms}
            await self._send(request)
            while channel not in self._acks:
                await self.step()
            reply = self._acks.pop(channel)
            if all(row["state"] != "no_such_symbol" for row in reply["symbols"].values()):
                return reply
            await asyncio.sleep(0.2)

    async def settle(self) -> None:
        """A barrier: what is pending comes first."""
        await self._send({"action": "sync"})
        while (await self.step())["type"] != "synced":
            continue

    async def until(self, condition: Callable[[], bool], what: str, *, deadline_s: float = 30.0) -> None:
        """Take frames until the condition holds."""
        end_ns = monotonic_ns() + int(deadline_s * 1e9)
        while not condition():
            with suppress(TimeoutError):
                await asyncio.wait_for(self.step(), 1.0)
            states = {name: (book.states[-6:], len(book.bids), len(book.asks)) for name, book in self.books.items()}
            counts = {name: len(trades) for name, trades in self.trades.items()}
            found = f"books: {states}; trades: {counts}; corrected: {len(self.corrected)}"
            assert monotonic_ns() < end_ns, f"not within {deadline_s:g} s: {what}; {found}"

    async def until_closed(self) -> None:
        """Take frames until the connection is gone."""
        with suppress(websockets.ConnectionClosed):
            while True:
                await self.step()

    async def _send(self, request: dict[str, Any]) -> None:
        assert self._connection is not None
        await self._connection.send(json.dumps(request))

    async def step(self) -> dict[str, Any]:
        """Take one frame."""
        assert self._connection is not None
        frame: dict[str, Any] = json.loads(await self._connection.recv())
        kind, channel = frame["type"], str(frame.get("channel"))
        assert kind not in {"error", "lost"}, frame
        if kind == "subscribed":
            self._acks[channel] = frame
        elif kind == "trade":
            self.trades.setdefault(frame["symbol"], []).append(frame)
        elif channel == "book":
            book = self.books.setdefault(frame["symbol"], BookView(frame["symbol"], self._depth))
            book.take(frame)
        elif channel == "bars":
            self._bars(frame)
        return frame

    def _bars(self, frame: dict[str, Any]) -> None:
        kept = self.bars.setdefault(frame["symbol"], {})
        if frame["type"] == "snapshot":
            kept.clear()
        for bar in frame.get("bars", [frame]):
            if bar.get("corrected"):
                self.corrected.add((frame["symbol"], bar["start"]))
            if bar["trades"]:
                kept[bar["start"]] = bar
            else:
                kept.pop(bar["start"], None)


def bar_of(trades: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The values of the bar that these trades make, in the order in which they came."""
    known = list(trades)
    # stable: at the same time as they came
    ordered = sorted(known, key=lambda trade: str(trade["timestamp"]).rstrip("Z").ljust(29, "0"))
    prices = [
        Decimal(trade["price"]) for trade in ordered if not {"odd_lot", "out_of_sequence"} & set(trade["conditions"])
    ]
    return {
        "open": prices[0] if prices else None,
        "high": max(prices, default=None),
        "low": min(prices, default=None),
        "close": prices[-1] if prices else None,
        "volume": sum(Decimal(trade["size"]) for trade in known),
        "notional": sum(Decimal(trade["size"]) * Decimal(trade["price"]) for trade in known),
        "trades": len(known),
    }


def values(bar: dict[str, Any]) -> dict[str, Any]:
    """The same values of a bar that was told."""
    numbers = {key: Decimal(bar[key]) for key in ("open", "high", "low", "close", "volume", "notional")}
    return {**numbers, "trades": bar["trades"]}
