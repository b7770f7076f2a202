"""The overload ladder of delivery: what gives way, in which order, when a process cannot send as fast as it is asked.

A pure state machine. It is shown the load now and then and answers with a rung; each rung keeps what those below it do:

0. ``normal``.
1. ``gather``: flushes are held longer, so that each write carries more.
2. ``cap_5``: nobody gets more than 5 updates a second.
3. ``cap_1``: nobody gets more than 1 a second.
4. ``full``: no new clients.

Trades and mode ``all`` are never thinned: their clients' buffers bound them.

Each input is divided by its limit; the largest is the *pressure*. A pressure of 1 or more that lasts ``rise_ns`` goes
one rung up, one below :data:`RELIEF` that lasts ``fall_ns`` one rung down, and each step begins to wait anew. In
between nothing moves. A rung takes load away, so the pressure falls right behind it: that is why the way down waits
longer and has a limit of its own.
"""

from enum import IntEnum
from typing import Final

import msgspec

RELIEF: Final = 0.6
"""Pressure below which the ladder may go down."""


class Rung(IntEnum):
    """What gives way."""

    NORMAL = 0
    GATHER = 1
    CAP_5 = 2
    CAP_1 = 3
    FULL = 4

    @property
    def word(self) -> str:
        """As the channel ``status`` says it."""
        return self.name.lower()

    @property
    def rate_max(self) -> int:
        """Highest rate class; 0 = no cap."""
        return 0 if self < Rung.CAP_5 else 5 if self == Rung.CAP_5 else 1


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What a process had to do since the last look."""

    busy: float = 0.0
    """Share of the time that the event loop's thread worked, or that flushes took, whichever is more; 0 to 1."""
    lag_ns: int = 0
    """How late the event loop was at most."""
    frame_bytes: int = 0
    """Frames that clients still wait for."""
    memory_bytes: int = 0
    """Resident memory of the process."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Where overload begins: the value of each input at pressure 1 (0 = the input is not looked at), and the waits."""

    busy: float = 0.9
    lag_ns: int = 250_000_000
    frame_bytes: int = 67_108_864
    memory_bytes: int = 0
    rise_ns: int = 2_000_000_000
    fall_ns: int = 10_000_000_000


class Ladder:
    """The rung, and how long each was stood on."""

    def __init__(self, limits: Limits, now_ns: int) -> None:
        """Begin at the bottom."""
        self.rung = Rung.NORMAL
        self.cause = ""
        """Input with the highest pressure when the ladder last went up."""
        self._limits = limits
        self._now_ns = now_ns
        self._over_ns: int | None = None
        self._under_ns: int | None = None
        self._spent_ns = dict.fromkeys(Rung, 0)

    def pressure(self, load: Load) -> tuple[float, str]:
        """Return the highest share of a limit, and the input's name."""
        limits = self._limits
        shares = [
            (getattr(load, name) / getattr(limits, name), name)
            for name in ("busy", "lag_ns", "frame_bytes", "memory_bytes")
            if getattr(limits, name) > 0
        ]
        return max(shares, default=(0.0, ""))

    def look(self, load: Load, now_ns: int) -> Rung:
        """Take the load since the last look; time that goes back does not count."""
        took = max(0, now_ns - self._now_ns)
        began = self._now_ns
        self._now_ns = max(now_ns, began)
        self._spent_ns[self.rung] += took
        pressure, name = self.pressure(load)
        # One look alone is no overload, however long ago the last one was; quiet lasts since the last look.
        self._over_ns = None if pressure < 1 else self._now_ns if self._over_ns is None else self._over_ns
        self._under_ns = None if pressure >= RELIEF else began if self._under_ns is None else self._under_ns
        if self._over_ns is not None and self.rung < Rung.FULL and self._waited(self._over_ns, self._limits.rise_ns):
            self.cause = name
            self._step(1)
        elif (
            self._under_ns is not None
            and self.rung > Rung.NORMAL
            and self._waited(self._under_ns, self._limits.fall_ns)
        ):
            self._step(-1)
        return self.rung

    def spent_ns(self, rung: Rung) -> int:
        """Time on a rung up to the last look."""
        return self._spent_ns[rung]

    def _waited(self, since_ns: int, wait_ns: int) -> bool:
        return self._now_ns - since_ns >= wait_ns

    def _step(self, by: int) -> None:
        self.rung = Rung(self.rung + by)
        self._over_ns = self._under_ns = None
