"""The newest packets of one sequence, bounded in bytes, read again by message number.

Both protocols put whole messages, each preceded by its length, behind a packet header of fixed length; only the width
of the length differs (MoldUDP64: two bytes, big-endian, not counting themselves; PITCH: one byte, counting itself).
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

Step = Callable[[bytes, int], int]
"""Place of the next message, from a packet and the place of a message."""


def mold_step(packet: bytes, place: int) -> int:
    """Go to the next MoldUDP64 message block."""
    return place + 2 + (packet[place] << 8 | packet[place + 1])


def pitch_step(packet: bytes, place: int) -> int:
    """Go to the next PITCH message."""
    return place + packet[place]


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive messages: the number of the first, how many, their bytes."""

    first: int
    count: int
    messages: bytes


class PacketHistory:
    """Packets as they were sent; message numbers count from 1."""

    def __init__(self, *, header: int, step: Step, bytes_max: int) -> None:
        self._header: Final = header
        self._step: Final = step
        self._bytes_max = bytes_max
        self._packets: deque[bytes] = deque()
        self._firsts: deque[int] = deque()
        self.bytes = 0
        self.next = 1
        self.dropped = 0

    @property
    def oldest(self) -> int:
        """Number of the oldest message kept; ``next`` when nothing is kept."""
        return self._firsts[0] if self._firsts else self.next

    def append(self, packet: bytes, count: int) -> None:
        """Add a packet of ``count`` messages; the oldest go when there are too many bytes (the newest stays)."""
        self._packets.append(packet)
        self._firsts.append(self.next)
        self.next += count
        self.bytes += len(packet)
        while self.bytes > self._bytes_max and len(self._packets) > 1:
            self.bytes -= len(self._packets.popleft())
            self._firsts.popleft()
            self.dropped += 1

    def read(self, first: int, *, count: int, bytes_max: int) -> Part:
        """Return messages from number ``first`` on: up to ``count`` that together fit ``bytes_max``, at least one.

        Raises:
            LookupError: the first message is no longer kept, or not there yet.
        """
        if not self.oldest <= first < self.next or count < 1:
            raise LookupError(first)
        number = bisect_right(self._firsts, first) - 1
        packet, place = self._packets[number], self._header
        for _ in range(first - self._firsts[number]):
            place = self._step(packet, place)
        parts: list[bytes] = []
        found = size = 0
        while found < count:
            begin = place
            while place < len(packet) and found < count:
                after = self._step(packet, place)
                if found and size + after - begin > bytes_max:
                    parts.append(packet[begin:place])
                    return Part(first, found, b"".join(parts))
                found += 1
                place = after
            parts.append(packet[begin:place])
            size += place - begin
            number += 1
            if number == len(self._packets):
                break
            packet, place = self._packets[number], self._header
        return Part(first, found, b"".join(parts))


def cut_block(ends: list[int], bytes_max: int, *, count_max: int = 0xFFFE) -> list[tuple[int, int]]:
    """Cut a block of messages into packets' worth, greedily.

    Args:
        ends: place behind each message.
        bytes_max: most bytes of messages in one packet; a longer message gets a packet of its own.
        count_max: most messages in one packet.

    Returns:
        Place behind the last message, and number of messages, of each packet.
    """
    cuts: list[tuple[int, int]] = []
    begin = first = 0
    while first < len(ends):
        last = min(max(bisect_right(ends, begin + bytes_max, first), first + 1), first + count_max)
        cuts.append((ends[last - 1], last - first))
        begin, first = ends[last - 1], last
    return cuts
