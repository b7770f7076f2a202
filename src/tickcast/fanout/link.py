"""The owner's side of the links to gateway workers: a Unix socket on which each worker is a client of the hub.

What a worker asks is served by the core (``native/crates/core/src/link``); here are only the sockets, and what the hub
does not know: which symbols a pattern stands for, and the notes of channel ``status``. Nothing relies on one machine:
the same frames can go over TCP.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol, cast

from tickcast import _native
from tickcast.model.errors import UsageError
from tickcast.ports import Clock, Directory, Flush
from tickcast.runtime import metrics
from tickcast.runtime.log import get_logger

log = get_logger("fanout")

LINK_CODEC: Final = 5
PATTERNS_MAX: Final = 1_000
"""Patterns of one worker that new listings are matched against; what is beyond is answered, but not followed."""
UNSENT_MAX: Final = 128 << 20
"""Bytes that a worker does not read before its link is cut; the hub does it (``hub/linked.rs``)."""
MATCHES_MAX: Final = 100_000
"""Symbols in one answer; no worker allows a client more."""

_links: Final = metrics.gauge("fanout_links", "Gateway workers that are linked now.")
_cut: Final = metrics.counter("fanout_links_cut", "Links that were cut, so far.", ("reason",))


class LinkHub(Protocol):
    """The hub as its links see it; ``tickcast._native.Hub`` is one."""

    def open(self, fd: int) -> int: ...
    def close(self, client: int) -> None: ...
    def configure(self, client: int, *, codec: int, batch: bool) -> None: ...
    def serve(self, link: int, kind: int, message: bytes, now_ns: int) -> tuple[str, int, str, int] | None: ...
    def tell_matched(self, link: int, token: int, symbols: Sequence[str]) -> None: ...
    def tell_listed(self, link: int, pattern: str, symbols: Sequence[str]) -> None: ...
    def tell_notes(self, link: int, texts: Sequence[str], is_whole: bool) -> None: ...  # noqa: FBT001  native
    def tell_refused(self, link: int, reason: str) -> None: ...
    def flush(self, now_ns: int, only: int = -1) -> Flush: ...
    def drained(self, client: int) -> None: ...
    def unsent(self, client: int) -> int: ...


class _Link(asyncio.Protocol):
    """One worker."""

    def __init__(self, server: "LinkServer") -> None:
        self._server = server
        self._reader = _native.LinkReader()
        self._transport: asyncio.Transport | None = None
        self.client = -1
        self.name = ""
        self.patterns: dict[str, None] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # With a limit of 0 a write is tried at once, and pause and resume tell exactly whether bytes are held.
        self._transport.set_write_buffer_limits(high=0)
        self.client = self._server.hub.open(transport.get_extra_info("socket").fileno())
        self._server.hub.configure(self.client, codec=LINK_CODEC, batch=False)
        self._server.links[self.client] = self

    def data_received(self, data: bytes) -> None:
        server = self._server
        try:
            for kind, message in self._reader.feed(data):
                request = server.hub.serve(self.client, kind, message, server.clock())
                if request is not None:
                    self._answer(*request)
        except _native.LinkBroken as wrong:
            log.warning("link refused", worker=self.name, error=str(wrong))
            server.hub.tell_refused(self.client, str(wrong))
            server.flush(self.client)
            self.end("refused")
            return
        server.flush(self.client)

    def _answer(self, kind: str, number: int, text: str, limit: int) -> None:
        server = self._server
        if kind == "hello":
            self.name = text
            log.info("worker linked", worker=text, pid=number)
            server.hub.tell_notes(self.client, server.notes(), True)  # noqa: FBT003  native
            return
        if len(self.patterns) < PATTERNS_MAX:
            self.patterns[text] = None
        symbols = server.directory.match(text, min(limit or MATCHES_MAX, MATCHES_MAX))
        server.hub.tell_matched(self.client, number, list(symbols))

    def write(self, data: bytes) -> None:
        """Write what the socket did not take from the hub."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def resume_writing(self) -> None:
        self._server.hub.drained(self.client)
        self._server.flush(self.client)
        self._server.wake()

    def end(self, reason: str) -> None:
        """Close the link; what was written goes out first."""
        _cut.labels(reason).inc()
        self._forget()
        if self._transport is not None:
            self._transport.close()

    def abort(self, reason: str) -> None:
        """Cut the link."""
        log.warning("link cut", worker=self.name, reason=reason)
        _cut.labels(reason).inc()
        self._forget()
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._server.links.get(self.client) is self:
            log.warning("worker is gone", worker=self.name, error=str(exc or "link closed"))
        self._forget()
        self._transport = None

    def _forget(self) -> None:
        # before the descriptor can belong to another connection
        self._server.hub.close(self.client)
        self._server.links.pop(self.client, None)


class LinkServer:
    """Listens on a Unix socket that only this user may open; knows every link."""

    def __init__(
        self,
        hub: LinkHub,
        path: Path,
        *,
        clock: Clock,
        wake: Callable[[], None],
        directory: Directory,
        notes: Callable[[], Sequence[str]] = list,
    ) -> None:
        """Prepare; nothing is bound yet.

        Args:
            hub: the owner's.
            path: of the socket.
            clock: now, ns since 1970 UTC.
            wake: asks the fan-out stage for a flush soon.
            directory: resolves patterns.
            notes: what is in force on channel ``status``, each as JSON: what a new worker is told.
        """
        self.hub: Final = hub
        self.path: Final = path
        self.clock: Final = clock
        self.wake: Final = wake
        self.directory: Final = directory
        self.notes: Final = notes
        self.links: dict[int, _Link] = {}
        self._server: asyncio.Server | None = None
        self._listed: list[str] = []
        directory.on_listed(self._on_listed)
        _links.set_function(lambda: len(self.links))
        self._slow = 0
        metrics.watch_queue(
            "fanout.links",
            bound=lambda: len(self.links) * UNSENT_MAX,
            depth=lambda: sum(hub.unsent(client) for client in self.links),
            drops=lambda: self._slow,
        )

    async def start(self) -> None:
        """Listen; a socket file left by a dead process is replaced.

        Raises:
            UsageError: the path cannot be used.
        """
        await self._listen()

    async def heal(self) -> None:
        """Listen again if somebody removed the socket's file; workers that are linked do not notice.

        Raises:
            UsageError: the path cannot be used.
        """
        if self._server is not None and not self.path.exists():
            log.warning("the fan-out socket was removed; it is made again", path=str(self.path))
            self._server.close()
            await self._listen()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self.path.unlink(missing_ok=True)
            mask = os.umask(0o177)
            try:
                self._server = await loop.create_unix_server(lambda: _Link(self), str(self.path), backlog=128)
            finally:
                os.umask(mask)
        except OSError as wrong:
            raise UsageError(f"cannot listen on the fan-out socket {self.path}: {wrong.strerror or wrong}") from wrong

    async def stop(self) -> None:
        """Close the links and the socket."""
        if self._server is not None:
            self._server.close()
        for link in list(self.links.values()):
            link.end("stopped")
        self.path.unlink(missing_ok=True)

    def deliver(self, flushed: Flush) -> None:
        """Do what a flush left to do."""
        for client, data in flushed.unsent:
            if (link := self.links.get(client)) is not None:
                link.write(data)
        for client in flushed.slow:
            if (link := self.links.get(client)) is not None:
                self._slow += 1
                link.abort("slow")
        for client in flushed.broken:
            if (link := self.links.get(client)) is not None:
                link.abort("broken")

    def flush(self, client: int) -> None:
        """Send one link what waits for it."""
        self.deliver(self.hub.flush(self.clock(), client))

    def tell(self, notes: Sequence[str]) -> None:
        """Hand messages of channel ``status``, each as JSON, to every worker."""
        for client in list(self.links) if notes else []:
            self.hub.tell_notes(client, list(notes), False)  # noqa: FBT003  native
            self.flush(client)

    def _on_listed(self, symbols: Sequence[str]) -> None:
        """Symbols are new; the hub knows them when this turn of the loop is over."""
        if not self.links:
            return
        if not self._listed:
            asyncio.get_running_loop().call_soon(self._tell_listed)
        self._listed += symbols

    def _tell_listed(self) -> None:
        symbols, self._listed = self._listed, []
        for client, link in list(self.links.items()):
            for pattern in link.patterns:
                if found := [symbol for symbol in symbols if self.directory.matches(pattern, symbol)]:
                    self.hub.tell_listed(client, pattern, found)
            with contextlib.suppress(KeyError):
                self.flush(client)
