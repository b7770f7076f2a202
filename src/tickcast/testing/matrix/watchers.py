"""Clients that are attached while faults happen: honest ones that notice everything, and rude ones."""

import asyncio
import contextlib
import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple, Self

from tickcast.client import ClientError, Tick, connect
from tickcast.runtime.clock import monotonic_ns
from tickcast.testing.rude import HANDSHAKE, RudeClient, frame

FINE: Final = frozenset({"live", "halted", "auction", "closed"})
"""States in which what is shown is what the venue says."""
CHANGES_MAX: Final = 100_000


class Change(NamedTuple):
    """A symbol's state changed."""

    at_ns: int
    symbol: str
    state: str
    reason: str


class _LoopThread:
    """Coroutines in a thread of their own, from ``with`` to its end."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def work(self) -> Coroutine[Any, Any, None]:
        """What runs until the end."""
        raise TypeError("made by the class that knows")

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    def _run(self) -> None:
        self._loop.run_until_complete(self._until_stopped())
        self._loop.close()

    async def _until_stopped(self) -> None:
        async with asyncio.TaskGroup() as group:
            working = group.create_task(self.work())
            await self._stop.wait()
            working.cancel()


class StreamWatcher(_LoopThread):
    """``tickcast.connect`` as users have it: newest ticks, over every break, and when states changed."""

    def __init__(self, url: str, symbols: Sequence[str]) -> None:
        super().__init__("stream watcher")
        self._url = url
        self._symbols = tuple(symbols)
        self.ticks: dict[str, Tick] = {}
        self.count = 0
        self.error = ""
        self._changes: deque[Change] = deque(maxlen=CHANGES_MAX)

    def changes(self, since_ns: int) -> list[Change]:
        """Changes of state since a time (monotonic ns)."""
        return [one for one in tuple(self._changes) if one.at_ns >= since_ns]

    async def work(self) -> None:
        """Keep the newest tick."""
        while True:
            try:
                async with connect(self._url) as client:
                    async for tick in client.ticks(*self._symbols, rate=0):
                        before = self.ticks.get(tick.symbol)
                        if before is None or before.state != tick.state:
                            self._changes.append(Change(monotonic_ns(), tick.symbol, tick.state, tick.reason or ""))
                        self.ticks[tick.symbol] = tick
                        self.count += 1
            except ClientError as wrong:
                self.error = str(wrong)
                await asyncio.sleep(0.5)


class RudeCrowd(_LoopThread):
    """Clients that misbehave again and again, each in its own way."""

    def __init__(self, url: str, symbols: Sequence[str]) -> None:
        super().__init__("rude crowd")
        self._url = url
        self._symbols = list(symbols)
        self.attempts: defaultdict[str, int] = defaultdict(int)

    async def work(self) -> None:
        """Run all of them."""
        async with asyncio.TaskGroup() as group:
            for manner in (self._silent, self._garbage, self._churn, self._half, self._greedy):
                group.create_task(self._again(manner))

    async def _again(self, manner: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            with contextlib.suppress(OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError):
                await manner()
            self.attempts[manner.__name__.strip("_")] += 1
            await asyncio.sleep(0.3)

    async def _silent(self) -> None:
        """Subscribe to everything unfiltered and never read."""
        async with await RudeClient.connect(self._url, receive_buffer=4096) as client:
            client.pause_reading()
            client.text(json.dumps({"action": "subscribe", "symbols": self._symbols, "rate": 0}))
            await asyncio.sleep(5)

    async def _garbage(self) -> None:
        """Send what is no request, then what is no frame."""
        async with await RudeClient.connect(self._url) as client:
            for payload in (b"{", b"[]", b'{"action":"fly"}', b"\xff\xfe", b'{"action":"subscribe","symbols":7}'):
                client.send(frame(payload))
            client.send(b"\xc1\x80\x01\x02\x03\x04" * 10)
            await client.rest()

    async def _churn(self) -> None:
        """Come, subscribe and go without a word."""
        async with await RudeClient.connect(self._url) as client:
            client.text(json.dumps({"action": "subscribe", "symbols": self._symbols[:10]}))
            await asyncio.sleep(0.1)

    async def _half(self) -> None:
        """Send half a handshake and wait."""
        async with await RudeClient.connect(self._url, handshake=False) as client:
            client.send(HANDSHAKE[:50])
            await asyncio.sleep(2)

    async def _greedy(self) -> None:
        """Ask for more than there is."""
        async with await RudeClient.connect(self._url) as client:
            client.text(json.dumps({"action": "subscribe", "symbols": [f"NO{n}" for n in range(3000)]}))
            for number in range(30):
                client.text(json.dumps({"action": "sync", "id": number}))
            await asyncio.sleep(1)
