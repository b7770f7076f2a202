"""A client that comes back by itself and resumes, keeps what it was sent, and judges it.

::

    with Follower(instance.stream_url, symbols) as follower:
        ...
        follower.check()    # trades came once each, counters add up, bars and books continue
"""

import asyncio
import json
import threading
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final, Self

import websockets
from websockets.asyncio.client import ClientConnection, connect

from tickcast.runtime.clock import monotonic_ns, pause

DEADLINE_S: Final = 20.0
RETRY_S: Final = 0.1
CHANNELS: Final = ("price", "trades", "book", "bars")


class Follower:
    """Watches ``symbols`` in a thread of its own from ``with`` to its end."""

    def __init__(self, url: str, symbols: Sequence[str], *, channels: Sequence[str] = CHANNELS) -> None:
        self._url = url
        self._symbols = tuple(symbols)
        self._channels = tuple(channels)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._connection: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._marks: dict[tuple[str, str], tuple[int, int]] = {}
        self._resuming: set[str] = set()
        self._bases: dict[tuple[str, str], int] = defaultdict(int)
        """``seq`` behind which the gateway counts."""
        self._counted: Counter[tuple[str, str]] = Counter()
        self._books: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
        self._synced: dict[str, Any] = {}
        self._syncs = 0
        self.faults: list[str] = []
        """What no client may see."""
        self.counts: Counter[str] = Counter()
        """Messages by type and channel, such as ``update price``."""
        self.connections = 0
        """Connections that were acknowledged in every channel."""
        self.resumed: list[tuple[str, str, bool, str]] = []
        """Answers to a resume: channel, symbol, recovered, and why not."""
        self.states: dict[str, list[str]] = defaultdict(list)
        """What each symbol was said to be, in order, without repetitions."""
        self.trades: dict[tuple[str, int], list[int]] = defaultdict(list)
        """``seq`` of the trades of a symbol in an epoch."""
        self.ids: dict[str, list[str]] = defaultdict(list)
        """Ids of a symbol's trades, in the order in which they came."""
        self.epochs: set[int] = set()
        """Epochs that data was of."""
        self.lost = 0
        """Trades that were announced as lost."""
        self.closes: list[int] = []
        """Codes of the closes."""

    def __enter__(self) -> Self:
        """Connect, and wait until everything is acknowledged."""
        self._thread.start()
        self.until(lambda: self.connections, "an acknowledgement")
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        if self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(DEADLINE_S)

    def until(self, condition: Callable[[], object], what: str, *, deadline_s: float = DEADLINE_S) -> None:
        """Wait until something holds.

        Raises:
            AssertionError: it does not within the deadline, or a fault was noticed.
        """
        end_ns = monotonic_ns() + int(deadline_s * 1e9)
        while not condition():
            assert not self.faults, self.faults[:5]
            assert monotonic_ns() < end_ns, f"expected {what} within {deadline_s:g} s, got {dict(self.counts)}"
            pause(0.02)
        assert not self.faults, self.faults[:5]

    def more(self, count: int = 5) -> None:
        """Wait until that many more data messages came in each channel."""
        kinds = {"price": "update price", "trades": "trade trades", "book": "update book", "bars": "bar bars"}
        wanted = {kinds[channel]: self.counts[kinds[channel]] + count for channel in self._channels}
        self.until(lambda: all(self.counts[kind] >= goal for kind, goal in wanted.items()), f"{count} more of each")

    def check(self) -> None:
        """Compare the gateway's counters with what came.

        Raises:
            AssertionError: they do not add up, or something was noticed before.
        """
        self._syncs += 1
        asyncio.run_coroutine_threadsafe(self._send(action="sync", id=self._syncs), self._loop).result(DEADLINE_S)
        self.until(lambda: self._synced.get("id") == self._syncs, "synced")
        for channel, symbols in self._synced["channels"].items():
            for symbol, row in symbols.items():
                assert row["published"] == row["delivered"] + row["merged"] + row["lost"], (channel, symbol, row)
                if channel in {"price", "trades"}:
                    counted = self._synced["counted"][channel, symbol]
                    assert row["delivered"] == counted, f"{channel} of {symbol}: {counted} came of {row}"
        assert not self.faults, self.faults[:5]

    # ------------------------------------------------------------------ its thread

    def _run(self) -> None:
        self._task = self._loop.create_task(self._follow())
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        finally:
            self._loop.close()

    async def _follow(self) -> None:
        while True:
            try:
                async with connect(self._url, compression=None, max_size=None, open_timeout=3) as connection:
                    self._connection = connection
                    await self._subscribe()
                    async for message in connection:
                        self._take(json.loads(message, parse_float=str, parse_int=str))
            except (OSError, TimeoutError, websockets.InvalidHandshake):
                pass
            except websockets.ConnectionClosed as closed:
                self.closes.append(closed.rcvd.code if closed.rcvd is not None else 1006)
            self._connection = None
            await asyncio.sleep(RETRY_S)

    async def _send(self, **request: Any) -> None:
        assert self._connection is not None, "not connected"
        await self._connection.send(json.dumps(request))

    async def _subscribe(self) -> None:
        self._counted.clear()
        self._books.clear()
        self._resuming.clear()
        await self._send(action="subscribe", channel="status", symbols=["*"])
        for channel in self._channels:
            request: dict[str, Any] = {"action": "subscribe", "channel": channel, "symbols": self._symbols}
            marks = {symbol: self._marks.get((channel, symbol)) for symbol in self._symbols}
            if channel in {"price", "trades"} and all(marks.values()):
                self._resuming.add(channel)
                request["resume"] = {symbol: {"epoch": m[0], "seq": m[1]} for symbol, m in marks.items() if m}
            await self._send(**request)
        await self._send(action="ping")

    def _take(self, frame: dict[str, Any]) -> None:
        kind, channel, symbol = frame["type"], frame.get("channel", "price"), frame.get("symbol", "")
        self.counts[f"{kind} {channel}"] += 1
        match kind:
            case "error":
                self.faults.append(str(frame))
            case "pong":
                self.connections += 1
            case "synced":
                self._take_synced(frame)
            case "subscribed" | "resumed" if channel != "status":
                self._answered(channel, frame)
            case "status":
                self._state(symbol, frame["state"])
            case "snapshot" if channel != "status":
                self._snapshot(channel, symbol, frame)
            case "update" | "trade" | "bar" | "lost":
                self._data(kind, channel, symbol, frame)

    def _answered(self, channel: str, frame: dict[str, Any]) -> None:
        for name, found in frame["symbols"].items():
            self._bases[channel, name] = int(found["seq"])
            if "recovered" in found:
                self.resumed.append((channel, name, found["recovered"], found.get("reason", "")))
            if not found.get("recovered", channel in self._resuming):
                self._marks[channel, name] = (int(found["epoch"]), int(found["seq"]))

    def _take_synced(self, frame: dict[str, Any]) -> None:
        channels = {
            channel: {name: {key: int(value) for key, value in row.items()} for name, row in rows.items()}
            for channel, rows in frame["channels"].items()
        }
        self._synced = {"id": int(frame["id"]), "channels": channels, "counted": Counter(self._counted)}

    def _state(self, symbol: str, state: str) -> None:
        if self.states[symbol][-1:] != [state]:
            self.states[symbol].append(state)

    def _snapshot(self, channel: str, symbol: str, frame: dict[str, Any]) -> None:
        epoch, seq = int(frame["epoch"]), int(frame["seq"])
        known, before = self._marks.get((channel, symbol), (epoch, seq))
        if known != epoch:
            before = self._counted[channel, symbol] = self._bases[channel, symbol] = 0
        # one that brings news counts as any update
        self._counted[channel, symbol] += seq > max(before, self._bases[channel, symbol])
        self._marks[channel, symbol] = (epoch, seq)
        self.epochs.add(epoch)
        if channel in {"price", "bars"}:
            self._state(symbol, frame["state"])
        if channel == "book":
            self._books[symbol] = (dict(frame["bids"]), dict(frame["asks"]))
            self._digest(symbol, frame)

    def _data(self, kind: str, channel: str, symbol: str, frame: dict[str, Any]) -> None:
        epoch, before = self._marks.get((channel, symbol), (0, 0))
        epoch, seq = int(frame.get("epoch", epoch)), int(frame["seq"])
        if epoch != self._marks.get((channel, symbol), (0, 0))[0]:
            before = -1  # an epoch is announced before its first trade
            self._counted[channel, symbol] = self._bases[channel, symbol] = 0
        if seq < before or (seq == before and channel in {"price", "trades"}):
            self.faults.append(f"{channel} of {symbol}: seq {seq} after {before}: {kind}")
        self._marks[channel, symbol] = (epoch, seq)
        self.epochs.add(epoch)
        if kind == "lost":
            self.lost += int(frame["count"])
            return
        self._counted[channel, symbol] += seq > self._bases[channel, symbol]
        if channel == "trades":
            if seq != before + 1:
                self.faults.append(f"trades of {symbol}: seq {seq} after {before}, and no word of a loss")
            self.trades[symbol, epoch].append(seq)
            self.ids[symbol].append(str(frame["id"]))
        if channel == "book":
            self._change_book(symbol, frame)

    def _change_book(self, symbol: str, frame: dict[str, Any]) -> None:
        if symbol not in self._books:
            self.faults.append(f"book of {symbol}: an update before a snapshot")
            return
        for side, changes in zip(self._books[symbol], (frame["bids"], frame["asks"]), strict=True):
            for price, size in changes:
                side[price] = size
                if not float(size):
                    del side[price]
        self._digest(symbol, frame)

    def _digest(self, symbol: str, frame: dict[str, Any]) -> None:
        if "digest" not in frame:
            return
        self.counts["digest"] += 1
        bids, asks = (sorted(side.items(), key=lambda level: float(level[0])) for side in self._books[symbol])
        text = ",".join(f"{price}:{size}" for price, size in (*reversed(bids), *asks))
        if int(frame["digest"]) != zlib.crc32(text.encode()):
            self.faults.append(f"book of {symbol}: the digest differs")
