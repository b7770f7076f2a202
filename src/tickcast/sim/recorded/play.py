"""Plays captures through the servers of the dialects.

A *pass* is one run through a capture. It begins when its first client has logged in (ITCH) or subscribed (Binance), so
that nobody waits for nothing and every client can start at the start. In a loop the pass ends with the end of the
session (ITCH ``Z``; WebSocket close 1001), and a client that comes back begins the next one. Played once, the end is
quiet: connections stay open with their heartbeats.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from tickcast.model.errors import UsageError
from tickcast.ports import Clock
from tickcast.runtime.log import get_logger
from tickcast.sim.binance.rest import RestServer
from tickcast.sim.binance.streams import StreamServer
from tickcast.sim.config import BinanceConfig, RecordedConfig, SoupItchConfig, split_address
from tickcast.sim.recorded.books import RecordedRest
from tickcast.sim.recorded.files import Frame, read_binance
from tickcast.sim.recorded.pacing import Pacing
from tickcast.sim.soup_itch.server import SoupServer

log = get_logger("sim")

_BLOCK: Final = 512
"""Items between two looks at the clock and at the clients."""
_BACKLOG_MAX: Final = 20_000
"""At full speed: packets that the slowest client may be behind."""
_UNSENT_MAX: Final = 1 << 20
"""At full speed: bytes that may wait for a WebSocket client."""
_WAIT_S: Final = 0.002


class Player(Protocol):
    """What the simulator needs of anything that is played."""

    async def start(self) -> Mapping[str, str]:
        """Listen; returns the addresses."""

    async def run(self) -> None:
        """Play."""

    async def stop(self) -> None:
        """Close everything."""

    def state(self) -> Mapping[str, Any]:
        """Progress for the control endpoint."""


class Playback(ABC):
    """What both kinds of playback share: passes, pacing, progress."""

    def __init__(self, name: str, config: RecordedConfig, *, now_ns: Clock) -> None:
        self.name = name
        self.passes = 0
        self.played = 0
        self.done = False
        self.failure = ""
        self._config = config
        self._now_ns = now_ns
        self._begun = asyncio.Event()

    def begun(self) -> None:
        """A client is there."""
        self._begun.set()

    async def run(self) -> None:
        """Play passes; returns after one if not looped."""
        while True:
            self._prepare()
            await self._begun.wait()
            self.passes += 1
            self.played = 0
            try:
                await self._pass()
            except UsageError as error:
                self.failure = str(error)
                log.error("recording broke off", venue=self.name, error=str(error))  # noqa: TRY400  the text says all
            if not self._config.loop:
                self.done = True
                return
            self._finish()

    async def _paced(self, items: Iterator[tuple[int, Any]]) -> None:
        """Publish items in the blocks in which they fall due."""
        pacing = Pacing(speed=self._config.speed, max_gap_ms=self._config.max_gap_ms)
        start = self._now_ns()
        block: list[Any] = []
        for recorded_ns, item in items:
            due = start + pacing.due_ns(recorded_ns)
            now = self._now_ns()
            if block and (due > now or len(block) >= _BLOCK):
                self._publish(block)
                block = []
                await asyncio.sleep(0)
                while self._backlogged():  # noqa: ASYNC110  sockets tell nobody when they drain
                    await asyncio.sleep(_WAIT_S)
            wait_ns = due - self._now_ns()
            if wait_ns > 0:
                await asyncio.sleep(wait_ns / 1e9)
            block.append(item)
        if block:
            self._publish(block)

    def state(self) -> Mapping[str, Any]:
        """Progress for the control endpoint."""
        progress = {"passes": self.passes, "played": self.played, "done": self.done, "failure": self.failure}
        return {**progress, **self._server_state()}

    @abstractmethod
    async def start(self) -> Mapping[str, str]:
        """Listen; returns the addresses."""

    @abstractmethod
    async def stop(self) -> None:
        """Close everything."""

    @abstractmethod
    def _prepare(self) -> None:
        """Make ready for a pass: the next client to come begins it."""

    @abstractmethod
    async def _pass(self) -> None:
        """Play everything once."""

    @abstractmethod
    def _publish(self, block: list[Any]) -> None:
        """Send items that are due."""

    @abstractmethod
    def _finish(self) -> None:
        """End the session, so that a new one can begin."""

    @abstractmethod
    def _backlogged(self) -> bool:
        """At full speed: whether clients should catch up first."""

    @abstractmethod
    def _server_state(self) -> Mapping[str, Any]:
        """Clients and counters."""


class ItchPlayback(Playback):
    """ITCH messages over SoupBinTCP."""

    def __init__(
        self,
        name: str,
        venue: SoupItchConfig,
        config: RecordedConfig,
        messages: Callable[[], Iterator[tuple[int, bytes]]],
        *,
        now_ns: Clock,
    ) -> None:
        """``messages`` yields (recorded ns, message) from the beginning each time it is called."""
        super().__init__(name, config, now_ns=now_ns)
        self._messages = messages
        self._venue = venue
        self._start_s = now_ns() // 1_000_000_000
        self.server = SoupServer(name, venue, self, now_ns=now_ns)

    async def start(self) -> Mapping[str, str]:
        """Listen."""
        return {"address": await self.server.start(*split_address(self._venue.address, source=self.name))}

    async def stop(self) -> None:
        """End the session."""
        await self.server.stop()

    def session_name(self, number: int) -> str:
        """Letter R, the start's seconds (seven digits of them) and the pass's last two digits."""
        return f"R{self._start_s % 10_000_000:07d}{number % 100:02d}"

    def snapshot(self) -> None:
        """A recording cannot be joined in the middle: nothing is known but its messages."""

    def _prepare(self) -> None:
        self._begun.clear()
        self.server.begin_session(b"", 0)
        self.server.on_first_client = self.begun

    async def _pass(self) -> None:
        await self._paced(self._messages())

    def _publish(self, block: list[bytes]) -> None:
        packets = b"".join((len(message) + 1).to_bytes(2, "big") + b"S" + message for message in block)
        self.server.publish(packets, len(block))
        self.played += len(block)

    def _finish(self) -> None:
        self.server.end_session()

    def _backlogged(self) -> bool:
        return not self._config.speed and self.server.behind > _BACKLOG_MAX

    def _server_state(self) -> Mapping[str, Any]:
        return self.server.state()


class BinancePlayback(Playback):
    """A captured session over WebSocket and REST."""

    def __init__(
        self, name: str, venue: BinanceConfig, config: RecordedConfig, paths: Iterable[Path], *, now_ns: Clock
    ) -> None:
        """Read the capture.

        Raises:
            UsageError: it cannot be read, or is none.
        """
        super().__init__(name, config, now_ns=now_ns)
        capture = read_binance(paths)
        self._frames = capture.frames
        self._venue = venue
        self.source = RecordedRest(capture)
        self.streams = StreamServer(name, venue, now_ns=now_ns)
        self.rest = RestServer(venue, self.source, now_ns=now_ns)

    async def start(self) -> Mapping[str, str]:
        """Listen."""
        url = await self.streams.start(*split_address(self._venue.address, source=self.name))
        rest_url = await self.rest.start(*split_address(self._venue.rest_address, source=self.name))
        return {"url": url, "rest_url": rest_url}

    async def stop(self) -> None:
        """Close everything."""
        await self.streams.stop()
        await self.rest.stop()

    def _prepare(self) -> None:
        self._begun.clear()
        self.source.restart()
        self.streams.on_subscribed = self.begun

    async def _pass(self) -> None:
        await self._paced((frame.recorded_ns, frame) for frame in self._frames)

    def _publish(self, block: list[Frame]) -> None:
        for frame in block:
            self.streams.send_verbatim(frame.stream, combined=frame.combined, raw=frame.raw)
            self.source.played(frame)
        self.streams.flush()
        self.played += len(block)

    def _finish(self) -> None:
        self.streams.close_clients()

    def _backlogged(self) -> bool:
        return not self._config.speed and self.streams.unsent > _UNSENT_MAX

    def _server_state(self) -> Mapping[str, Any]:
        return {**self.streams.state(), **self.rest.counters}
