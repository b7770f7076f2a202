"""MoldUDP64 1.00 (Nasdaq, 2009-07-07), the sender's side, without I/O: packets, sequence numbers, requests.

A downstream packet is session (10 characters), sequence number of its first message (u64), message count (u16) and the
message blocks, each with a length (u16) that does not count itself. Count 0 is a heartbeat and carries the next number;
count 0xFFFF ends the session and carries the next number too. A request is the same header: session, first number,
count. All numbers are big-endian.
"""

import struct
from typing import Final

from tickcast.sim.udp.history import PacketHistory, cut_block, mold_step

HEADER: Final = struct.Struct(">10sQH")
END_OF_SESSION: Final = 0xFFFF


class RequestError(ValueError):
    """A request that gets no answer; the text is the reason, for the counters."""


class MoldSession:
    """One session: cuts blocks of messages into packets, numbers them and keeps the newest for requests."""

    def __init__(self, name: str, *, packet_bytes_max: int, history_bytes_max: int) -> None:
        self.name: Final = name
        self._name: Final = name.rjust(10).encode()
        self._body_max: Final = packet_bytes_max - HEADER.size
        self.history: Final = PacketHistory(header=HEADER.size, step=mold_step, bytes_max=history_bytes_max)

    @property
    def next(self) -> int:
        """Sequence number of the next message."""
        return self.history.next

    def packets(self, block: bytes, ends: list[int]) -> list[bytes]:
        """Return the packets of a block of messages; ``ends`` is the place behind each."""
        made: list[bytes] = []
        begin = 0
        for end, count in cut_block(ends, self._body_max):
            packet = HEADER.pack(self._name, self.history.next, count) + block[begin:end]
            self.history.append(packet, count)
            made.append(packet)
            begin = end
        return made

    def heartbeat(self) -> bytes:
        """Return a packet without messages: the next number."""
        return HEADER.pack(self._name, self.next, 0)

    def end(self) -> bytes:
        """Return a packet that ends the session."""
        return HEADER.pack(self._name, self.next, END_OF_SESSION)

    def answer(self, first: int, count: int) -> bytes:
        """Return one packet with the messages asked for, as many of them as fit.

        Raises:
            RequestError: they are no longer kept, or not there yet, or none.
        """
        if count == 0:
            raise RequestError("empty")
        if first >= self.next:
            raise RequestError("ahead")
        try:
            part = self.history.read(first, count=count, bytes_max=self._body_max)
        except LookupError:
            raise RequestError("gone") from None
        return HEADER.pack(self._name, first, part.count) + part.messages


def parse_request(datagram: bytes) -> tuple[str, int, int]:
    """Read a request packet: session, first number, count.

    Raises:
        RequestError: not 20 bytes.
    """
    if len(datagram) != HEADER.size:
        raise RequestError("malformed")
    name, first, count = HEADER.unpack(datagram)
    return name.decode("latin-1").strip(), first, count
