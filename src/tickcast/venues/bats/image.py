"""Repair of a unit from an image: what to wait for, what to keep, when the image and the live messages join.

Theory. A spin server offers, about once a second and for each unit, an image that is *current through* a sequence
number N: the orders that rest after message N. The live messages behind it are buffered. The image joins if nothing is
missing between N and the buffer: ``buffer.first <= N + 1``. An older one is refused and the next awaited; one that is
newer than the live messages waits until these have come as far as N. Then: the image's orders into empty books, the
buffered messages after N on top, and the unit is whole.

One connection serves all units, one image at a time (the specification refuses a second one as "in progress"); the
header of each packet says which unit it is about.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from tickcast.venues.base import Step
from tickcast.venues.bats import wire

BUFFER_MAX: Final = 64 * 1024 * 1024
"""Bytes that a unit may buffer; beyond it the oldest go, which a newer image makes good."""
IMAGE_MAX: Final = 256 * 1024 * 1024
ANSWER_NS: Final = 5_000_000_000
"""A server that promised an image and sends nothing for so long is left."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Live messages that wait for an image."""

    first: int
    count: int
    messages: bytes
    ts_recv: int
    clock: int | None
    """Seconds of the unit's clock before them."""

    def after(self, sequence: int) -> "Piece | None":
        """Return what lies behind a sequence number, with the last Time message before the cut; None = nothing."""
        known = max(sequence + 1 - self.first, 0)
        if known >= self.count:
            return None
        if not known:
            return self
        place, clock = 0, self.clock
        for number, (kind, message) in enumerate(wire.walk(self.messages)):
            if number == known:
                break
            place += len(message)
            if kind == wire.TIME and len(message) >= wire.SEQUENCE.size:
                clock = wire.SEQUENCE.unpack_from(message)[2]
        return Piece(self.first + known, self.count - known, self.messages[place:], self.ts_recv, clock)


class LiveBuffer:
    """Live messages of a unit without a hole, the newest kept."""

    def __init__(self, first: int, bytes_max: int = BUFFER_MAX) -> None:
        self.first = first
        """Number of the oldest message; of the next one while nothing is kept."""
        self.next = first
        self._bytes_max = bytes_max
        self._pieces: deque[Piece] = deque()
        self._bytes = 0

    def restart(self, first: int) -> None:
        """Something is missing before this number: what was kept cannot join any more."""
        self._pieces.clear()
        self._bytes = 0
        self.first = self.next = first

    def append(self, piece: Piece) -> None:
        """Keep what came."""
        if piece.first != self.next:
            self.restart(piece.first)
        self._pieces.append(piece)
        self._bytes += len(piece.messages)
        self.next = piece.first + piece.count
        while self._bytes > self._bytes_max and len(self._pieces) > 1:
            oldest = self._pieces.popleft()
            self._bytes -= len(oldest.messages)
            self.first = oldest.first + oldest.count

    def after(self, sequence: int) -> list[Piece]:
        """Return what lies behind a sequence number."""
        return [rest for piece in self._pieces if (rest := piece.after(sequence)) is not None]


@dataclass(frozen=True, slots=True)
class Image:
    """A whole image."""

    unit: int
    sequence: int
    messages: bytes


@dataclass(slots=True)
class _Coming:
    """The image that was asked for."""

    unit: int
    sequence: int
    since_ns: int
    is_accepted: bool = False
    is_stale: bool = False
    """Nobody waits for it any more: the unit's numbers began anew, or it is whole."""
    orders: int = 0
    """That the server said it would send, less those that came."""
    size: int = 0
    parts: list[bytes] = field(default_factory=list)


class Spin:
    """The conversation with the spin server: who needs an image, which is asked for, what has come of it."""

    def __init__(self, channel: wire.Channel) -> None:
        self._channel = channel
        self._wanted: dict[int, int] = {}
        """Unit, and the least sequence number that its image must have."""
        self._offered: dict[int, int] = {}
        self._coming: _Coming | None = None
        self.refusals = 0
        """Images that were offered and too old, and requests that were refused."""

    @property
    def wake_ns(self) -> int:
        """When an image is overdue; 0 = none is."""
        return self._coming.since_ns + ANSWER_NS if self._coming else 0

    def want(self, unit: int, least: int) -> None:
        """Ask for an image of a unit, current at least through ``least``."""
        self._wanted[unit] = least

    def forget(self, unit: int) -> None:
        """No image is needed any more; one that comes is not used."""
        self._wanted.pop(unit, None)
        self._offered.pop(unit, None)
        if self._coming is not None and self._coming.unit == unit:
            self._coming.is_stale = True

    def closed(self) -> None:
        """The connection is gone, and what was half sent with it."""
        self._coming = None
        self._offered.clear()

    def take(self, step: Step, packets: list[wire.Packet], now_ns: int) -> list[Image]:
        """Take what the server says; returns the images that are whole now."""
        images: list[Image] = []
        for one in packets:
            for kind, message in wire.walk(one.messages):
                image = self._message(step, one.unit, kind, message, now_ns)
                if image is not None:
                    images.append(image)
                if self._channel.name in step.drop:
                    return images
        self.look(step, now_ns)
        return images

    def look(self, step: Step, now_ns: int) -> None:
        """Ask for the next image, if there is one that joins; leave a server that does not answer."""
        if self._coming is not None:
            if now_ns >= self.wake_ns:
                step.drop[self._channel.name] = "the image that was asked for does not come"
                self.closed()
            return
        if self._channel.state != "open":
            return
        for unit, least in self._wanted.items():
            offered = self._offered.get(unit, -1)
            if offered >= least:
                self._coming = _Coming(unit, offered, now_ns)
                self._channel.send(step, wire.spin_request(unit, offered), now_ns)
                return

    def _message(self, step: Step, unit: int, kind: int, message: bytes, now_ns: int) -> Image | None:
        coming = self._coming
        if kind == wire.SPIN_AVAILABLE and len(message) >= wire.SEQUENCE.size:
            self._offered[unit] = wire.SEQUENCE.unpack_from(message)[2]
            self.refusals += int(unit in self._wanted and self._offered[unit] < self._wanted[unit])
        elif kind == wire.SPIN_RESPONSE and len(message) >= wire.SPIN_RESPONSE_LAYOUT.size:
            if coming is not None and coming.unit == unit:
                self._response(step, coming, message, now_ns)
        elif kind == wire.SPIN_FINISHED and len(message) >= wire.SEQUENCE.size:
            if coming is not None and coming.unit == unit and coming.is_accepted:
                self._coming = None
                return self._finish(step, coming, wire.SEQUENCE.unpack_from(message)[2], message)
        elif coming is not None and coming.is_accepted and coming.unit == unit:
            coming.parts.append(message)
            coming.orders -= kind in wire.ADDS
            coming.size += len(message)
            coming.since_ns = now_ns
            if coming.size > IMAGE_MAX:
                step.drop[self._channel.name] = f"the image is larger than {IMAGE_MAX} bytes"
                self.closed()
        else:
            step.bury(f"{self._channel.name}: type 0x{kind:02x} was not expected", message)
        return None

    def _response(self, step: Step, coming: _Coming, message: bytes, now_ns: int) -> None:
        _, _, sequence, orders, letter = wire.SPIN_RESPONSE_LAYOUT.unpack_from(message)
        status = letter.decode("latin-1")
        if sequence != coming.sequence or status not in {"A", *wire.SPIN_REFUSED}:
            reason = f"expected an answer about the image of {coming.sequence}, found {status!r} for {sequence}"
            self._channel.give_up(step, reason, message)
            self.closed()
            return
        if status == "A":
            coming.is_accepted, coming.orders, coming.since_ns = True, orders, now_ns
            return
        self._coming = None
        self._offered.pop(coming.unit, None)  # the next offer is another chance
        self.refusals += 1

    def _finish(self, step: Step, coming: _Coming, sequence: int, message: bytes) -> Image | None:
        """Hand over an image that says what it was asked to be."""
        if sequence != coming.sequence:
            step.bury(f"{self._channel.name}: expected the image of {coming.sequence}, found {sequence}", message)
            self._offered.pop(coming.unit, None)
            return None
        if coming.orders:
            step.bury(
                f"{self._channel.name}: the image of {sequence} has {coming.orders} orders less than it says", b""
            )
            self._offered.pop(coming.unit, None)
            return None
        least = self._wanted.get(coming.unit)
        if least is None or coming.is_stale:
            return None
        if sequence < least:  # a hole came while it was sent
            self.refusals += 1
            return None
        del self._wanted[coming.unit]
        return Image(coming.unit, sequence, b"".join(coming.parts))
