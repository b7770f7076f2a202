"""Redundant datagram lines: the same packets to several addresses, unicast or multicast, bounded and paced.

What a slice of the flow makes goes out at once. Longer bursts (a session that begins with all its orders) wait in a
bounded queue and leave in small groups a millisecond apart, as a real line of limited speed would let them: a receiver
with an ordinary socket buffer can follow. When the queue is full, packets are lost, as on a real line.
"""

import asyncio
import ipaddress
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from tickcast.runtime.metrics import watch_queue
from tickcast.sim.config import split_address
from tickcast.sim.faults import FaultGate

BURST: Final = 48
"""Packets that leave together; at 1,400 bytes each a third of Linux' default receive buffer."""
BURST_EVERY_S: Final = 0.001
QUEUE_MAX: Final = 65_536
"""Packets that may wait for one line."""
_SEND_BUFFER: Final = 4 * 1024 * 1024


class Line:
    """Sends packets to one address."""

    def __init__(
        self, venue: str, name: str, address: str, *, interface: str = "", ttl: int = 1, lag_s: float = 0.0
    ) -> None:
        """Prepare; ``name`` is what faults and counters know it by."""
        self.name: Final = name
        self.address: Final = address
        self.packets = self.bytes = self.unsent = self.dropped = 0
        self._target = split_address(address, source=f"{venue}: line {name}")
        self._interface, self._ttl, self._lag_s = interface, ttl, lag_s
        self._queue: deque[bytes] = deque()
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pumping: asyncio.TimerHandle | None = None
        watch_queue(
            f"sim_{venue}_line_{name}_{self._target[1]}",
            bound=QUEUE_MAX,
            depth=lambda: len(self._queue),
            drops=lambda: self.dropped,
        )

    def start(self) -> None:
        """Open the socket; what was sent before leaves now.

        Raises:
            OSError: no such host or interface.
        """
        self._loop = asyncio.get_running_loop()
        host, port = self._target
        family, _, _, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self._target = (str(target[0]), port)
        opened = self._socket = socket.socket(family, socket.SOCK_DGRAM)
        opened.settimeout(0)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        if ipaddress.ip_address(self._target[0]).is_multicast:
            self._set_multicast(opened)
        self._pump()

    def _set_multicast(self, opened: socket.socket) -> None:
        if opened.family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, self._ttl)
            if self._interface:
                index = socket.if_nametoindex(self._interface)
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            return
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, self._ttl)
        if self._interface:
            address = socket.inet_aton(self._interface)
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, address)

    def stop(self) -> None:
        """Send what waits, and close."""
        if self._pumping is not None:
            self._pumping.cancel()
            self._pumping = None
        if self._socket is not None:
            while self._queue:
                self._emit(self._socket, self._queue.popleft())
            self._socket.close()
            self._socket = None

    def send(self, packets: Sequence[bytes]) -> None:
        """Queue packets and send as many as may leave now; later on a line that lags."""
        if self._lag_s and self._loop is not None:
            self._loop.call_later(self._lag_s, self._put, packets)
        else:
            self._put(packets)

    def _put(self, packets: Sequence[bytes]) -> None:
        room = max(QUEUE_MAX - len(self._queue), 0)
        self.dropped += max(len(packets) - room, 0)
        self._queue.extend(packets[:room])
        if self._pumping is None:
            self._pump()

    def _pump(self) -> None:
        self._pumping = None
        if self._socket is None or self._loop is None:
            return
        for _ in range(min(BURST, len(self._queue))):
            self._emit(self._socket, self._queue.popleft())
        if self._queue:
            self._pumping = self._loop.call_later(BURST_EVERY_S, self._pump)

    def _emit(self, opened: socket.socket, packet: bytes) -> None:
        try:
            opened.sendto(packet, self._target)
        except OSError:
            # full buffer, unreachable network: a datagram that is lost; receivers ask for it
            self.unsent += 1
            return
        self.packets += 1
        self.bytes += len(packet)

    def state(self) -> dict[str, Any]:
        """Counters, for the control endpoint."""
        return {
            "address": self.address,
            "packets": self.packets,
            "bytes": self.bytes,
            "waiting": len(self._queue),
            "unsent": self.unsent,
            "dropped": self.dropped,
        }


class Lines:
    """The same packets on every line, each through the faults of its own."""

    def __init__(self, lines: Sequence[Line], faults: FaultGate) -> None:
        self._lines = tuple(lines)
        self._faults = faults

    def start(self) -> None:
        """Open all."""
        for line in self._lines:
            line.start()

    def stop(self) -> None:
        """Send what waits and close all."""
        for line in self._lines:
            line.stop()

    def send(self, packets: Sequence[bytes], *, suffix: str = "") -> None:
        """Send on all lines; ``suffix`` is what faults know this part of a line by (``/2`` for unit 2)."""
        for line in self._lines:
            if passed := self._faults.pass_units(packets, line.name + suffix):
                line.send(passed)

    def flush(self, *, suffix: str = "") -> None:
        """Let go what faults have held back long enough; call it every slice."""
        if self._faults.busy:
            self.send((), suffix=suffix)

    def state(self) -> dict[str, Any]:
        """Counters by line."""
        return {line.name: line.state() for line in self._lines}


def touched(faults: FaultGate, line: str, answer: bytes) -> tuple[list[bytes], float]:
    """Let faults at one answer of a server: the datagrams or writes that remain of it, and by how much they are late.

    An answer stands alone, unlike the packets of a line: it cannot be reordered, and while the server is stalled
    nobody reads the request.
    """
    if faults.stalled(line) or faults.fire("drop", line):
        return [], 0.0
    if faults.fire("corrupt", line):
        answer = faults.spoil(answer)
    if faults.fire("truncate", line):
        answer = faults.cut(answer)
    return [answer] * (2 if faults.fire("duplicate", line) else 1), faults.delay_s(line)
