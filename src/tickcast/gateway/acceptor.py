"""The accept loop of the gateway: few connections at a time, and what is done when there is no room for more.

Several workers may accept from one socket. A worker that is full stops accepting, so that the others take what comes;
only when nobody took it for a while does it accept a few and let them be answered with 503. When the process or the
machine has no descriptor left (EMFILE, ENFILE) or no memory for one (ENOBUFS), accepting pauses as well: a readable
listener would else wake the loop for ever. A spare descriptor is held back, so that somebody who waits in vain can
still be told. Accepting begins again by itself.

asyncio's own server does none of that: it accepts up to the backlog at once, stops for a second on EMFILE and tells
nobody. Handing an accepted socket over is ``loop.connect_accepted_socket``, a coroutine that waits for one future;
:class:`_Handover` drives it without a task.
"""

import asyncio
import contextlib
import errno
import os
import resource
import select
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Final, Literal

from tickcast.gateway.problem import answer
from tickcast.ports import Clock
from tickcast.runtime import metrics
from tickcast.runtime.log import get_logger

log = get_logger("gateway")

ALONE_AT_ONCE: Final = 32
"""Connections accepted for one readiness of the listener, by the only process that accepts."""
SHARED_AT_ONCE: Final = 2
"""The same where several processes share the listener."""
YIELD_S: Final = 0.005
"""Time that a worker with more clients than another one leaves to that."""
LOOK_S: Final = 0.1
"""Time between two looks while accepting is paused."""
UNTAKEN_S: Final = 0.4
"""Connections that no other worker took for so long are answered by one that is full."""
SAID_S: Final = 10.0
"""A pause is logged at most so often."""
REFUSED_AT_ONCE: Final = 64
"""Connections that are told at one look that there is no room."""
RESERVED: Final = 32
"""Descriptors that clients may not take: files, the core's socket, the next log file."""
RETRY_AFTER_S: Final = 5
PASSING: Final = frozenset(
    {errno.ECONNABORTED, errno.EINTR, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH}
)
"""Errors of one connection that was about to be accepted (accept(2)): the next one may be fine."""
HEAD_READ: Final = 65_536

_paused: Final = metrics.gauge("gateway_accept_paused", "1 while no connections are accepted: full, or out of files.")
_accepted: Final = metrics.counter("gateway_accepted", "Connections accepted, so far.")
_turned_away: Final = metrics.counter(
    "gateway_turned_away", "Connections answered before their request was read, so far.", ("reason",)
)

Reason = Literal["full", "descriptors"]
Take = Callable[[socket.socket, str], asyncio.Protocol | None]
Lose = Callable[[asyncio.Protocol, OSError], None]


class Acceptor:
    """Accepts from one listening socket; ``take`` makes the protocol of a connection, or None if it took care of it."""

    def __init__(
        self,
        listener: socket.socket,
        *,
        take: Take,
        has_room: Callable[[], bool],
        shared: bool,
        clock: Clock,
        is_ahead: Callable[[], bool] = lambda: False,
        tls: Callable[[], ssl.SSLContext | None] = lambda: None,
        tls_timeout_s: float = 10.0,
        lose: Lose = lambda _protocol, _reason: None,
    ) -> None:
        """Prepare.

        Args:
            listener: a bound socket that listens.
            take: makes the protocol of a connection.
            has_room: whether another connection is welcome.
            shared: other processes accept from the socket too.
            clock: now, ns.
            is_ahead: whether those processes hold fewer clients.
            tls: what connections are encrypted with; None: they are not.
            tls_timeout_s: time to finish the TLS handshake.
            lose: told of connections that ended before their protocol began.
        """
        self._listener = listener
        self._take = take
        self._has_room = has_room
        self._is_ahead = is_ahead
        self._shared = shared
        self._tls = tls
        self._tls_timeout_s = tls_timeout_s
        self._lose = lose
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._at_once = SHARED_AT_ONCE if shared else ALONE_AT_ONCE
        self._poll = select.poll()
        self._poll.register(listener, select.POLLIN)
        self._spare = _spare()
        self._timer: asyncio.TimerHandle | None = None
        self._untaken_ns = 0
        self._paused_ns = 0
        self._told = 0
        self._said_ns = 0
        self._says = True
        self._is_running = False
        self.paused: Reason | None = None
        """Why nothing is accepted at the moment."""

    def start(self) -> None:
        """Begin to accept."""
        self._is_running = True
        self._loop.add_reader(self._listener.fileno(), self._ready)

    def stop(self) -> None:
        """Accept no more; the listening socket stays open."""
        if not self._is_running:
            return
        self._is_running = False
        self._loop.remove_reader(self._listener.fileno())
        if self._timer is not None:
            self._timer.cancel()
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None
        _paused.set(0)

    # ------------------------------------------------------------------ accepting

    def _ready(self) -> None:
        if self._shared and self._is_ahead():
            self._loop.remove_reader(self._listener.fileno())
            self._timer = self._loop.call_later(YIELD_S, self._take_what_is_left)
        else:
            self._take_some()

    def _take_what_is_left(self) -> None:
        self._timer = None
        self._loop.add_reader(self._listener.fileno(), self._ready)
        self._take_some()

    def _take_some(self) -> None:
        for _ in range(self._at_once):
            if self._shared and not self._has_room():
                self._pause("full")
                return
            if not self._accept():
                return

    def _accept(self) -> bool:
        """Accept one; returns whether it is worth trying again now."""
        try:
            connection, address = self._listener.accept()
        except BlockingIOError:
            return False
        except OSError as wrong:
            if wrong.errno in PASSING:
                return True
            # EMFILE, ENFILE, ENOBUFS, ENOMEM; and what nobody foresaw is better looked at again than for ever
            self._pause("descriptors", wrong.strerror or str(wrong))
            return False
        _accepted.inc()
        if connection.fileno() >= _files_max() - RESERVED:
            # the kernel hands out the lowest free number: almost all are in use
            self._tell(connection)
            self._pause("descriptors", "almost all descriptors are in use")
            return False
        connection.setblocking(False)  # noqa: FBT003  the standard library's signature
        protocol = self._take(connection, address[0] if isinstance(address, tuple) else "")
        if protocol is not None:
            self._hand_over(connection, protocol)
        return True

    def _hand_over(self, connection: socket.socket, protocol: asyncio.Protocol) -> None:
        tls = self._tls()
        timeout_s = None if tls is None else self._tls_timeout_s
        work = self._loop.connect_accepted_socket(
            lambda: protocol, connection, ssl=tls, ssl_handshake_timeout=timeout_s
        )
        _Handover(work, lambda reason: self._lose(protocol, reason)).go_on()

    # ------------------------------------------------------------------ no room

    def _pause(self, reason: Reason, detail: str = "") -> None:
        self.paused = reason
        self._paused_ns = self._clock()
        self._untaken_ns = self._told = 0
        self._loop.remove_reader(self._listener.fileno())
        _paused.set(1)
        # at the limit one client comes for each that goes: that is said now and then, not each time
        self._says = not 0 <= self._paused_ns - self._said_ns < SAID_S * 1e9
        if self._says:
            self._said_ns = self._paused_ns
            if reason == "full":
                log.info("full, others accept")
            else:
                log.warning("accepting paused", reason=detail, files_max=_files_max(), look_again_s=LOOK_S)
        self._look_later()

    def _look_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(LOOK_S, self._look)

    def _look(self) -> None:
        """Begin again if there is room; else answer those that nobody takes."""
        if self._can_resume():
            self._resume()
            return
        self._look_later()
        if not self._poll.poll(0):
            self._untaken_ns = 0
            return
        now_ns = self._clock()
        self._untaken_ns = self._untaken_ns or now_ns
        if self._shared and 0 <= now_ns - self._untaken_ns < UNTAKEN_S * 1e9:
            return
        if self.paused == "full":
            # their requests are read and answered: 503 for the stream; who comes next waits its own time
            self._untaken_ns = 0
            for _ in range(REFUSED_AT_ONCE):
                if not self._accept() or self.paused != "full":
                    return
        else:
            self._answer_with_spare()

    def _can_resume(self) -> bool:
        if self.paused == "full":
            return self._has_room()
        try:
            free = os.dup(self._listener.fileno())
        except OSError:
            return False
        os.close(free)
        return free < _files_max() - RESERVED

    def _resume(self) -> None:
        if self._says:
            after_s = round((self._clock() - self._paused_ns) / 1e9, 1)
            log.info("accepting again", after_s=after_s, reason=self.paused, turned_away=self._told)
        self.paused = None
        self._timer = None
        _paused.set(0)
        if self._spare is None:
            self._spare = _spare()
        self._loop.add_reader(self._listener.fileno(), self._ready)

    def _answer_with_spare(self) -> None:
        for _ in range(REFUSED_AT_ONCE):
            if self._spare is not None:
                os.close(self._spare)
                self._spare = None
            try:
                connection, _ = self._listener.accept()
            except OSError:
                break
            self._tell(connection)
        self._spare = _spare()

    def _tell(self, connection: socket.socket) -> None:
        self._told += 1
        turn_away(
            connection, 503, "this gateway has no file descriptor left for another client; come back later", "files"
        )


def turn_away(connection: socket.socket, status: int, detail: str, reason: str) -> None:
    """Answer a connection before its request is parsed, and close it.

    What it has sent is read first: closing a socket with unread bytes makes the kernel drop the answer with a reset.
    """
    with connection, contextlib.suppress(OSError):
        connection.setblocking(False)  # noqa: FBT003  the standard library's signature
        with contextlib.suppress(BlockingIOError):
            connection.recv(HEAD_READ)
        connection.send(answer(status, detail, ((b"retry-after", str(RETRY_AFTER_S).encode()),)))
        connection.shutdown(socket.SHUT_WR)
        connection.recv(HEAD_READ)
    _turned_away.labels(reason).inc()


class _Handover:
    """Drives ``connect_accepted_socket`` to its end by the futures it waits for."""

    __slots__ = ("_lose", "_work")

    def __init__(self, work: Coroutine[Any, Any, Any], lose: Callable[[OSError], None]) -> None:
        self._work = work
        self._lose = lose

    def go_on(self, _done: object = None) -> None:
        try:
            waits_for = self._work.send(None)
        except StopIteration:
            return
        except OSError as gone:
            log.debug("a connection was gone before it could be served", reason=str(gone))
            self._lose(gone)
            return
        waits_for.add_done_callback(self.go_on)


def _spare() -> int | None:
    with contextlib.suppress(OSError):
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    return None


def _files_max() -> int:
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1 << 30 if soft == resource.RLIM_INFINITY else soft


def raise_files_max() -> int:
    """Let this process open as many files as it may; returns how many: each client takes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return _files_max()
