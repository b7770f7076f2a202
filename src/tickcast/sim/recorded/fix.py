"""Plays the market data of a captured FIX feed through the simulated acceptor.

The session is a new one: numbers, times and checksums are the acceptor's, so that logons, heartbeats and resend
requests are answered as a venue does. The messages of the application (35=W, X, f, y, d, ...) are sent as they were
recorded, each once, to whoever has asked for something; market data waits until somebody has asked for that. Who asks
later gets what is still to come.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any, Final, NamedTuple

from tickcast.ports import Clock
from tickcast.runtime.session_files import read_session
from tickcast.sim.config import FixConfig, RecordedConfig, split_address
from tickcast.sim.faults import FaultGate
from tickcast.sim.fix.message import GarbledStreamError, MessageReader, joined
from tickcast.sim.fix.server import FixClient, FixServer
from tickcast.sim.fix.session import ADMIN, Message
from tickcast.sim.recorded.play import Playback

HEADER: Final = frozenset({8, 9, 35, 49, 56, 34, 43, 52, 97, 122, 10})
"""Tags that belong to the session and are written anew."""
REQUEST_ID: Final = re.compile(r"((?:^|\x01)(?:262|320)=)[^-\x01]*-")
"""MDReqID and SecurityReqID begin with what is particular to a connection: the client's replaces the recorded one's."""
MARKET_DATA: Final = frozenset("WX")
UNSENT_MAX: Final = 1 << 20
WAITING_MAX: Final = 10_000
"""Messages behind a hole; with more of them it is taken for one that was never filled."""


class Told(NamedTuple):
    """A message of the application, without its header and trailer."""

    msg_type: str
    text: str


class Turns:
    """The numbers of a recorded session: messages in their turn, each once."""

    def __init__(self) -> None:
        self._following = 0
        """Number of the message whose turn is next; 0 before the first logon."""
        self._waiting: dict[int, Message] = {}

    def take(self, message: Message) -> None:
        """The next message as it came."""
        kind, number = message.first.get(35, ""), message.number(34) or 0
        if kind == "A" and (not self._following or number < self._following):
            self._following = number
            self._waiting.clear()
        if kind == "4" and message.first.get(123) != "Y":  # a reset takes effect whatever its own number is
            self._following = max(self._following, message.number(36) or 0)
        elif self._following and number >= self._following:
            self._waiting.setdefault(number, message)

    def ready(self) -> Iterator[Told]:
        """What may be told now."""
        if len(self._waiting) > WAITING_MAX and self._following not in self._waiting:
            self._following = min(self._waiting)
        while (message := self._waiting.pop(self._following, None)) is not None:
            kind = message.first.get(35, "")
            self._following = max(self._following + 1, (message.number(36) or 0) if kind == "4" else 0)
            if kind == "4":
                self._waiting = {at: each for at, each in self._waiting.items() if at >= self._following}
            if kind not in ADMIN:
                yield Told(kind, joined([field for field in message.fields if field[0] not in HEADER]))

    def rest(self) -> Iterator[Told]:
        """At the end: what still waits, behind holes that were never filled."""
        while self._waiting:
            self._following = min(self._waiting)
            yield from self.ready()


def captured_fix(paths: Iterable[Path], target: str) -> Iterator[tuple[int, Told]]:
    """Yield (time of the read in ns, message) of what a captured feed got from ``target``, each number once, in order.

    What came before its turn waits for what was asked for again, as it did in the feed. The numbers begin with the
    first logon: what was sent again of the time before is left out.

    Raises:
        UsageError: a file cannot be read.
    """
    readers: dict[str, MessageReader] = {}
    turns = Turns()
    for line in read_session(paths):
        if line.t == "connect" and line.addr == target and not line.continued:
            readers[line.conn] = MessageReader()
        if line.t != "recv" or line.conn not in readers:
            continue
        try:
            messages = readers[line.conn].feed(line.payload)
        except GarbledStreamError:
            del readers[line.conn]
            continue
        for fields in messages:
            turns.take(Message(fields))
        for told in turns.ready():
            yield line.ts_ns, told
    for told in turns.rest():
        yield line.ts_ns, told


class FixPlayback(Playback):
    """A captured FIX feed; it is the desk behind the acceptor."""

    def __init__(
        self,
        name: str,
        venue: FixConfig,
        config: RecordedConfig,
        source: tuple[Iterable[Path], str],
        *,
        now_ns: Clock,
    ) -> None:
        """``source``: the files, and the address that the feed spoke to."""
        super().__init__(name, config, now_ns=now_ns)
        self._source = (list(source[0]), source[1])
        self._address = venue.address
        self._clients: dict[FixClient, str] = {}
        """Who has asked for something, and how its request ids begin."""
        self._wanted = asyncio.Event()
        """Somebody has asked for market data."""
        self.server = FixServer(name, venue, now_ns=now_ns, faults=FaultGate(seed=name, now_ns=now_ns))
        self.server.desk = self

    async def start(self) -> Mapping[str, str]:
        """Listen."""
        return {"address": await self.server.start(*split_address(self._address, source=self.name))}

    async def stop(self) -> None:
        """Log everybody out."""
        await self.server.stop()

    # ------------------------------------------------------------------ the desk

    def joined(self, peer: FixClient) -> None:
        """A client logged on; it gets nothing before it asks."""

    def left(self, peer: FixClient) -> None:
        """A client is gone."""
        self._clients.pop(peer, None)

    def take(self, peer: FixClient, message: Message) -> None:
        """Whoever asks gets what is recorded: the answers, then the market data."""
        ident = message.first.get(262) or message.first.get(320) or ""
        self._clients[peer] = ident.partition("-")[0]
        self.begun()
        if message.first[35] == "V":
            self._wanted.set()

    def pump(self, peer: FixClient, limit: int) -> bool:
        """Nothing waits."""
        del peer, limit
        return False

    # ------------------------------------------------------------------ the pass

    def _prepare(self) -> None:
        self._begun.clear()
        self._wanted.clear()

    async def _pass(self) -> None:
        told = captured_fix(*self._source)
        head = list(takewhile(lambda each: each[1].msg_type not in MARKET_DATA, told))
        await self._paced(iter(head))
        await self._wanted.wait()
        # takewhile has eaten the first message of market data
        rest = dropwhile(lambda each: each[1].msg_type not in MARKET_DATA, captured_fix(*self._source))
        await self._paced(rest)

    def _publish(self, block: list[Told]) -> None:
        for told in block:
            for client, prefix in self._clients.items():
                client.send(told.msg_type, REQUEST_ID.sub(rf"\g<1>{prefix}-", told.text))
        self.server.flush()
        self.played += len(block)

    def _finish(self) -> None:
        self.server.restart()

    def _backlogged(self) -> bool:
        transports = [client.transport for client in self._clients if client.transport is not None]
        return any(transport.get_write_buffer_size() > UNSENT_MAX for transport in transports)

    def _server_state(self) -> Mapping[str, Any]:
        return self.server.state()
