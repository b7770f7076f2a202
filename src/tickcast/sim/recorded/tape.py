"""Plays the links of a captured feed as they were, whatever they speak.

Datagrams are sent to where the feed listens now; a TCP stream goes to whoever connects in its place, from the moment
its link was opened in the recording; a REST answer to whoever asks for its address. What clients send is compared with
the recording and not understood, so a tape suits a client that does as the captured one did: one feed, begun anew.
Sessions that a client may join at any point are played by servers of their dialect instead (``play``, ``fix``).

The tape waits where the recording needs somebody: for listeners at its lines, for a client where a link was opened,
and before an answer for what was asked before it in the recording; never for ever.
"""

import asyncio
import socket
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from tickcast.model.capture import Line
from tickcast.model.errors import UsageError
from tickcast.ports import Clock
from tickcast.runtime.log import get_logger
from tickcast.runtime.session_files import read_session
from tickcast.sim.config import RecordedConfig, split_address
from tickcast.sim.recorded.captures import CapturedFeed
from tickcast.sim.recorded.pacing import Pacing

WAIT_S: Final = 10.0
"""The tape waits at most so long for somebody to be there."""
POLL_S: Final = 0.005
HEARD_MAX: Final = 1 << 16
"""Bytes remembered of what a client sent."""
UNSENT_MAX: Final = 1 << 20
"""Bytes that may wait for a client of a stream."""
HIDDEN: Final = b"**"
"""Stands in what was sent in place of a password: not to be waited for."""
BREATH: Final = 256
"""Units after which others get their turn, however late the tape is."""

log = get_logger("sim")


class Client:
    """Whoever took up a stream, and what was heard from it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.heard = bytearray()

    def hear(self, data: bytes) -> None:
        """Remember the newest of what it sent."""
        self.heard += data
        del self.heard[:-HEARD_MAX]

    @property
    def is_gone(self) -> bool:
        """Whether it left."""
        return self.writer.is_closing()

    @property
    def unsent(self) -> int:
        """Bytes that wait for it."""
        return self.writer.transport.get_write_buffer_size()


class StreamPlace:
    """A TCP listener in place of a venue's server: the newest client gets the stream."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._server: asyncio.Server | None = None
        self._waiting: Client | None = None

    async def start(self) -> str:
        """Listen; returns the address."""
        self._server = await asyncio.start_server(self._serve, *split_address(self._address, source="tape"))
        return _named(self._server.sockets[0].getsockname())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._waiting is not None:
            self._waiting.writer.close()
        client = self._waiting = Client(writer)
        while data := await reader.read(1 << 16):
            client.hear(data)
        writer.close()

    def is_awaited(self) -> bool:
        """Whether a client waits for a stream."""
        return self._waiting is not None and not self._waiting.is_gone

    def take(self) -> Client:
        """Return the client that waits, once."""
        client, self._waiting = self._waiting, None
        assert client is not None  # noqa: S101  it is awaited
        return client

    async def stop(self) -> None:
        """Close."""
        if self._server is not None:
            self._server.close()
        if self._waiting is not None:
            self._waiting.writer.close()


class AnswerPlace(asyncio.DatagramProtocol):
    """A UDP server in place of a re-request server: answers go to whoever asked last."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._transport: asyncio.DatagramTransport | None = None
        self._asker: Any = None
        self.heard = bytearray()

    async def start(self) -> str:
        """Listen; returns the address."""
        loop = asyncio.get_running_loop()
        host, port = split_address(self._address, source="tape")
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        return _named(self._transport.get_extra_info("sockname"))

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Remember who asks, and for what."""
        self._asker = addr
        self.heard += data
        del self.heard[:-HEARD_MAX]

    def send(self, data: bytes) -> bool:
        """Answer; False: nobody has asked yet."""
        if self._transport is None or self._asker is None:
            return False
        self._transport.sendto(data, self._asker)
        return True

    async def stop(self) -> None:
        """Close."""
        if self._transport is not None:
            self._transport.close()


class LinePlace:
    """A sender in place of a line: repeats its first datagram until somebody listens."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(0)
        self._target = split_address(address, source="tape")
        self._heard = False

    async def start(self) -> str:
        """Aim; returns the address."""
        self._socket.connect(self._target)
        return _named(self._target)

    def send(self, data: bytes) -> bool:
        """Send; False: nobody listens there yet."""
        try:
            self._socket.send(data)
        except BlockingIOError:
            return False
        except ConnectionRefusedError:
            return self._heard
        refused = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._heard = self._heard or not refused
        return self._heard

    async def stop(self) -> None:
        """Close."""
        self._socket.close()


class RestPlace:
    """A REST server in place of a venue's: the recorded answers of an address, in their order."""

    def __init__(self, address: str, lines: Callable[[], Iterator[Line]]) -> None:
        self._address = address
        self._answers: dict[str, deque[Line]] = defaultdict(deque)
        for line in lines():
            if line.t == "http":
                self._answers[_path(line.url)].append(line)
        self._runner: web.AppRunner | None = None
        self.requests = 0

    async def start(self) -> str:
        """Listen; returns the base URL."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, *split_address(self._address, source="tape")).start()
        return f"http://{_named(self._runner.addresses[0])}"

    async def _answer(self, request: web.Request) -> web.Response:
        """The next answer of this address; the last one stays."""
        self.requests += 1
        waiting = self._answers.get(request.path_qs)
        if not waiting:
            return web.Response(status=404, text="not in the recording")
        line = waiting.popleft() if len(waiting) > 1 else waiting[0]
        headers = {"ETag": line.etag} if line.etag else {}
        return web.Response(status=line.status, body=line.payload, headers=headers, content_type="application/json")

    async def stop(self) -> None:
        """Close."""
        if self._runner is not None:
            await self._runner.cleanup()


Place = StreamPlace | AnswerPlace | LinePlace | RestPlace


class TapePlayback:
    """All links of one captured feed; a :class:`tickcast.sim.recorded.play.Player`. Played once: a tape has no loop."""

    def __init__(
        self, captured: CapturedFeed, config: RecordedConfig, addresses: Mapping[str, str], *, now_ns: Clock
    ) -> None:
        """``addresses``: recorded to where it is played now; absent = a free port, of lines the same."""
        self.name = captured.feed
        self._captured = captured
        self._addresses = addresses
        self._config = config
        self._now_ns = now_ns
        self._places: dict[str, Place] = {}
        """By the recorded address."""
        self._clients: dict[str, Client] = {}
        """By the recorded connection."""
        self._asked: dict[str, list[bytes]] = {}
        """What was sent over a recorded connection since the last bytes came, and is waited for before the next."""
        self._start_ns = 0
        self._targets: dict[str, str] = {}
        """Recorded address by the recorded connection."""
        self.played = 0
        self.skipped = 0
        """Recorded units that nobody was there for."""
        self.done = False
        self.failure = ""

    async def start(self) -> Mapping[str, str]:
        """Take every address; returns where each is played."""
        settings = self._captured.settings
        lines = {*settings.get("lines", ()), *settings.get("gap_lines", ())}
        ready: dict[str, str] = {}
        for target in self._captured.targets:
            local = self._addresses.get(target, target if target in lines else "127.0.0.1:0")
            if target in lines:
                self._places[target] = LinePlace(local)
            elif target == settings.get("rerequest"):
                self._places[target] = AnswerPlace(local)
            elif "://" in target:
                self._places[target] = RestPlace(local, self._read)
            else:
                self._places[target] = StreamPlace(local)
            ready[target] = await self._places[target].start()
        return ready

    async def stop(self) -> None:
        """Close everything."""
        for client in self._clients.values():
            client.writer.close()
        for place in self._places.values():
            await place.stop()

    async def run(self) -> None:
        """Play the tape once."""
        pacing = Pacing(speed=self._config.speed, max_gap_ms=self._config.max_gap_ms)
        self._start_ns = self._now_ns()
        try:
            for line in self._read():
                if line.t not in {"connect", "send", "recv", "close"}:
                    continue
                wait_ns = self._start_ns + pacing.due_ns(line.ts_ns) - self._now_ns()
                if wait_ns > 0 or self.played % BREATH == 0:
                    await asyncio.sleep(max(wait_ns, 0) / 1e9)
                await self._play(line)
        except UsageError as error:
            self.failure = str(error)
            log.error("recording broke off", venue=self.name, error=str(error))  # noqa: TRY400  the text says all
        self.done = True

    def state(self) -> Mapping[str, Any]:
        """Progress for the control endpoint."""
        asked = {"played": self.played, "skipped": self.skipped, "done": self.done, "failure": self.failure}
        return {**asked, "recorded": [str(path) for path in self._captured.files]}

    def _read(self) -> Iterator[Line]:
        return read_session(self._captured.files)

    async def _play(self, line: Line) -> None:
        if line.t == "connect":
            self._targets[line.conn] = line.addr
            if not line.continued and (killed := self._clients.pop(line.conn, None)) is not None:
                killed.writer.close()  # whoever recorded it did not live to say that it was closed
            place = self._places.get(line.addr)
            if isinstance(place, StreamPlace) and not line.continued and await self._until(place.is_awaited):
                self._clients[line.conn] = place.take()
        elif line.t == "send":
            if HIDDEN not in line.payload:
                self._asked.setdefault(line.conn, []).append(line.payload)
        elif line.t == "close":
            client = self._clients.pop(line.conn, None)
            if client is not None:
                client.writer.close()
        elif await self._deliver(line):
            self.played += 1
        else:
            self.skipped += 1

    async def _deliver(self, line: Line) -> bool:
        place = self._places.get(self._targets.get(line.conn, ""))
        if isinstance(place, LinePlace):
            return await self._until(lambda: place.send(line.payload))
        asked = self._asked.pop(line.conn, ())
        if isinstance(place, AnswerPlace):
            return await self._until(lambda: _has_heard(place.heard, asked)) and place.send(line.payload)
        client = self._clients.get(line.conn)
        if client is None:
            return False
        if asked:
            await self._until(lambda: client.is_gone or _has_heard(client.heard, asked))
        if client.is_gone:
            return False
        client.writer.write(line.payload)
        return await self._until(lambda: client.is_gone or client.unsent < UNSENT_MAX)

    async def _until(self, ready: Callable[[], bool]) -> bool:
        """Wait for it, not for ever, while the tape stands still; whether it came."""
        if ready():
            return True
        began_ns = self._now_ns()
        try:
            async with asyncio.timeout(WAIT_S):
                while not ready():  # noqa: ASYNC110  sockets tell nobody when a peer appears
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            return False
        finally:
            self._start_ns += self._now_ns() - began_ns
        return True


def _has_heard(heard: bytearray, asked: Iterable[bytes]) -> bool:
    return all(each in heard for each in asked)


def _named(address: tuple[Any, ...]) -> str:
    return f"{address[0]}:{address[1]}"


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
