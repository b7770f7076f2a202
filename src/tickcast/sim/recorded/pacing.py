"""When a recorded item is due: at its recorded distance from the first, long gaps shortened, divided by the speed."""


class Pacing:
    """Maps recorded times to times after the start of a pass. Fed in order; synchronous."""

    def __init__(self, *, speed: float, max_gap_ms: float) -> None:
        """``speed`` 0: everything is due at once."""
        self._speed = speed
        self._max_gap_ns = int(max_gap_ms * 1_000_000)
        self._last: int | None = None
        self._offset_ns = 0

    def due_ns(self, recorded_ns: int) -> int:
        """Return when the item is due, ns after the start of the pass."""
        if self._last is not None:
            self._offset_ns += min(max(recorded_ns - self._last, 0), self._max_gap_ns)
        self._last = recorded_ns
        return int(self._offset_ns / self._speed) if self._speed else 0
