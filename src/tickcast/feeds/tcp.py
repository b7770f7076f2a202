"""TCP connector: large reads, each handed on at once with its time."""

import asyncio
from collections.abc import Callable
from typing import cast

from tickcast.model.errors import FeedError
from tickcast.ports import Clock


class TcpConnection(asyncio.Protocol):
    """One open connection; made by :func:`open_tcp`."""

    def __init__(
        self, *, on_open: Callable[["TcpConnection"], None], on_data: Callable[[bytes, int], None], clock: Clock
    ) -> None:
        self._on_open = on_open
        self._on_data = on_data
        self._clock = clock
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done when the connection is gone: the reason."""
        self.heard_ns = clock()
        """Time of the last read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transport has the interface and not the base class
        self._transport = cast("asyncio.Transport", transport)
        self._on_open(self)

    def data_received(self, data: bytes) -> None:
        """Stamp a read and hand it on."""
        now_ns = self._clock()
        self.heard_ns = now_ns
        self._on_data(data, now_ns)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say why."""
        self._transport = None
        if not self.closed.done():
            self.closed.set_result(f"connection lost: {exc}" if exc else "the venue closed the connection")

    def send(self, data: bytes) -> None:
        """Write; what cannot be sent any more is dropped, the link is gone then."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def probe(self) -> None:
        """TCP has no ping: the protocol above has its heartbeats."""

    def pause(self) -> None:
        """Read no more: TCP pushes back."""
        if self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and self._paused:
            self._paused = False
            self._transport.resume_reading()

    def abort(self, reason: str) -> None:
        """Close at once."""
        if not self.closed.done():
            self.closed.set_result(reason)
        if self._transport is not None:
            self._transport.abort()


async def open_tcp(
    address: str,
    *,
    on_open: Callable[[TcpConnection], None],
    on_data: Callable[[bytes, int], None],
    clock: Clock,
    timeout_s: float,
) -> TcpConnection:
    """Connect to ``host:port``; ``on_open`` is called before the first ``on_data``.

    Raises:
        FeedError: nobody listens there, or it took too long.
    """
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(timeout_s):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: TcpConnection(on_open=on_open, on_data=on_data, clock=clock), host.strip("[]"), int(port)
            )
    except ValueError as wrong:
        raise FeedError(f"expected host:port, found {address!r}") from wrong
    except TimeoutError as wrong:
        raise FeedError(f"cannot connect to {address}: no answer within {timeout_s:g} s") from wrong
    except OSError as wrong:
        raise FeedError(f"cannot connect to {address}: {wrong.strerror or wrong}") from wrong
    return connection
