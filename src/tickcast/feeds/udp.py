"""UDP connector: lines that are listened at, and request servers that are asked and answer.

A wake of the event loop takes all that the socket holds, up to :data:`DATAGRAMS_MAX` datagrams, with one read of
the clock and one hand-over. Nothing pushes back on UDP: while a link is paused the kernel's buffer fills, then drops.
Linux tells how many (``SO_MEMINFO``, asked when somebody looks, not with each datagram); elsewhere the count stays 0,
and only the sequence numbers show the loss.
"""

import asyncio
import ipaddress
import socket
import struct
import sys
from collections.abc import Callable
from typing import Final

from tickcast.model.errors import FeedError
from tickcast.ports import Clock

DATAGRAMS_MAX: Final = 512
"""Datagrams that one wake takes; the rest waits until others had their turn."""
DATAGRAM_MAX: Final = 65_535
SO_RCVBUFFORCE: Final = 33
SO_MEMINFO: Final = 55
MEMINFO: Final = struct.Struct("=9I")
MEMINFO_QUEUED, MEMINFO_BOUND, MEMINFO_DROPS = 0, 1, 8


class SocketQueue:
    """How full the kernel's buffer of a link is, over all sockets that the link has had."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._drops_before = 0

    def watch(self, sock: socket.socket) -> None:
        """A socket is open."""
        self._socket = sock

    def leave(self) -> None:
        """The socket is about to be closed."""
        self._drops_before = self.drops()
        self._socket = None

    def depth(self) -> int:
        """Bytes that wait to be read, as the kernel counts them."""
        return self._level(MEMINFO_QUEUED)

    def bound(self) -> int:
        """Bytes that may wait; half of it is the kernel's own cost."""
        return self._level(MEMINFO_BOUND)

    def drops(self) -> int:
        """Datagrams that the kernel dropped because the buffer was full, so far."""
        return self._drops_before + self._level(MEMINFO_DROPS)

    def _level(self, which: int) -> int:
        if self._socket is None or not sys.platform.startswith("linux"):
            return 0
        try:
            return int(MEMINFO.unpack(self._socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size))[which])
        except (OSError, struct.error):  # a kernel before 4.12, or a socket that was just closed
            return 0


class UdpConnection:
    """An open socket; made by :func:`open_udp` and :func:`open_udp_line`."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        on_data: Callable[[list[bytes], int], None],
        clock: Clock,
        queue: SocketQueue,
    ) -> None:
        self._socket = sock
        self._on_data = on_data
        self._clock = clock
        self._queue = queue
        self._loop = asyncio.get_running_loop()
        self._paused = True
        self.closed: asyncio.Future[str] = self._loop.create_future()
        """Done when the socket is closed: the reason."""
        self.heard_ns = clock()
        """Time of the last read."""
        queue.watch(sock)

    def _read(self) -> None:
        """Take what has come: the socket is ready."""
        receive = self._socket.recv
        chunks: list[bytes] = []
        try:
            for _ in range(DATAGRAMS_MAX):
                chunks.append(receive(DATAGRAM_MAX))  # noqa: PERF401  what was read before the error counts
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as wrong:
            # of a connected socket: nobody listens there (yet); who asked will ask again
            if not chunks and not isinstance(wrong, ConnectionRefusedError):
                self.abort(f"cannot read: {wrong.strerror or wrong}")
        if chunks:
            now_ns = self._clock()
            self.heard_ns = now_ns
            self._on_data(chunks, now_ns)

    def send(self, data: bytes) -> None:
        """Send a datagram; one that cannot be sent is lost, as on the network."""
        if self.closed.done():
            return
        try:
            self._socket.send(data)
        except OSError:
            # full, unreachable or refused: the answer that does not come says the same
            return

    def probe(self) -> None:
        """UDP has no ping: the venue's heartbeats say that a line lives."""

    def pause(self) -> None:
        """Read no more: the kernel keeps what its buffer holds."""
        if not self._paused:
            self._paused = True
            self._loop.remove_reader(self._socket.fileno())

    def resume(self) -> None:
        """Read on."""
        if self._paused and not self.closed.done():
            self._paused = False
            self._loop.add_reader(self._socket.fileno(), self._read)

    def abort(self, reason: str) -> None:
        """Close at once."""
        if self._socket.fileno() < 0:
            return
        self.pause()
        if not self.closed.done():  # it is cancelled together with the task that waits for it
            self.closed.set_result(reason)
        self._queue.leave()
        self._socket.close()


async def open_udp(
    address: str,
    *,
    on_open: Callable[[UdpConnection], None],
    on_data: Callable[[list[bytes], int], None],
    clock: Clock,
    buffer_bytes: int,
    queue: SocketQueue,
) -> UdpConnection:
    """Open a socket that sends to ``host:port`` and takes what comes from there.

    Raises:
        FeedError: the address cannot be used.
    """
    host, port = _split(address)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as wrong:
        raise FeedError(f"cannot resolve {address}: {wrong.strerror or wrong}") from wrong
    family, _, _, _, target = found[0]
    sock = _make(family, buffer_bytes)
    try:
        sock.connect(target)
    except OSError as wrong:
        sock.close()
        raise FeedError(f"cannot reach {address}: {wrong.strerror or wrong}") from wrong
    return _start(UdpConnection(sock, on_data=on_data, clock=clock, queue=queue), on_open)


async def open_udp_line(
    address: str,
    *,
    interface: str,
    on_open: Callable[[UdpConnection], None],
    on_data: Callable[[list[bytes], int], None],
    clock: Clock,
    buffer_bytes: int,
    queue: SocketQueue,
) -> UdpConnection:
    """Listen at ``address:port``; a multicast group is joined on the interface.

    Args:
        address: of a group, or of this machine; numeric.
        interface: IPv4 address of the network interface that joins a group; empty = the system's choice.
        on_open: called before the first ``on_data``.
        on_data: datagrams of one wake and their time.
        clock: wall clock, ns.
        buffer_bytes: asked of the kernel for what waits to be read.
        queue: told of the socket.

    Raises:
        FeedError: the address is not to be had, or the group cannot be joined.
    """
    host, port = _split(address)
    try:
        place = ipaddress.ip_address(host)
    except ValueError as wrong:
        raise FeedError(f"expected a numeric address to listen at, found {address!r}") from wrong
    if place.is_multicast and place.version == 6:
        raise FeedError(f"expected an IPv4 group, found {address!r}: IPv6 multicast is not supported")
    sock = _make(socket.AF_INET6 if place.version == 6 else socket.AF_INET, buffer_bytes)
    try:
        if place.is_multicast:
            # Others on this machine may listen to the same group; each gets its copy. A unicast address is ours alone:
            # sharing it would divide the datagrams.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if sys.platform == "darwin":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
        if place.is_multicast:
            member = socket.inet_aton(host) + (socket.inet_aton(interface) if interface else bytes(4))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    except OSError as wrong:
        sock.close()
        on = f" on {interface}" if interface else ""
        raise FeedError(f"cannot listen at {address}{on}: {wrong.strerror or wrong}") from wrong
    return _start(UdpConnection(sock, on_data=on_data, clock=clock, queue=queue), on_open)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise FeedError(f"expected host:port, found {address!r}")
    return host.strip("[]"), int(port)


def _make(family: int, buffer_bytes: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.settimeout(0)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, buffer_bytes)  # past the system's limit, for who may
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    return sock


def _start(connection: UdpConnection, on_open: Callable[[UdpConnection], None]) -> UdpConnection:
    on_open(connection)
    connection.resume()
    return connection
