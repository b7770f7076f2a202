"""When the servers of `fanout.py` publish, and what: the same for all of them. Not to be run by itself.

Ticks go round the symbols from inside the server: 250 a turn, while fewer than WINDOW deliveries are under way. The
conflated rows get CONFLATED_PER_S ticks a second instead, most of which are merged, and pay for them too.
Environment: MODE, PORT, CREDIT (file of 8 bytes, little-endian: updates received so far).
"""

import os
import time
from pathlib import Path

SYMBOLS, CLIENTS, EACH, BURST, WINDOW = 500, 500, 20, 250, 100_000
FAN = CLIENTS * EACH // SYMBOLS
NAMES = [f"S{number:04d}" for number in range(SYMBOLS)]
HOLD_NS = 10_000_000
CONFLATED_PER_S = 50_000
CONFLATED_S = 0.05


class Pace:
    """How many ticks may be published now."""

    def __init__(self, per_s: int = 0) -> None:
        """``per_s``: so many ticks a second, where what is delivered says nothing of what was published."""
        self._credit = Path(os.environ["CREDIT"]).open("rb")  # noqa: SIM115  as long as the process
        self.per_s = per_s
        self.begin_s = 0.0
        self.ticks = 0
        self.subscribed = 0

    def due(self) -> int:
        """Ticks to publish in this turn."""
        if self.subscribed < CLIENTS * EACH:
            return 0
        if self.per_s:
            self.begin_s = self.begin_s or time.monotonic()
            return min(BURST, int((time.monotonic() - self.begin_s) * self.per_s) - self.ticks)
        received = int.from_bytes(os.pread(self._credit.fileno(), 8, 0), "little")
        on_way = self.ticks * FAN - received
        return max(0, min(BURST, (WINDOW - on_way) // FAN))
