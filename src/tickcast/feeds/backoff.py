"""Capped exponential backoff with jitter, and Retry-After."""

from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

DOUBLINGS_MAX: Final = 32


class Backoff:
    """Delays of one thing that is tried again: ``[half, whole]`` of min, 2 min, 4 min, ... max."""

    def __init__(self, *, min_s: float, max_s: float, random: Callable[[], float]) -> None:
        """``random`` gives numbers in [0, 1)."""
        self._min_s = min_s
        self._max_s = max_s
        self._random = random
        self._tries = 0

    @property
    def tries(self) -> int:
        """Delays given since the last success."""
        return self._tries

    def next_s(self, *, at_least_s: float = 0.0) -> float:
        """Return the next delay; what the server asked for (Retry-After) is never undercut, and may exceed the cap."""
        whole = min(self._max_s, self._min_s * 2.0 ** min(self._tries, DOUBLINGS_MAX))
        self._tries += 1
        return max(at_least_s, whole * (0.5 + 0.5 * self._random()))

    def reset(self) -> None:
        """It worked: begin from the first delay."""
        self._tries = 0


def retry_after_s(value: str | None, *, now_ns: int) -> float:
    """Read a Retry-After header (RFC 9110 section 10.2.3), seconds or a date; 0 if there is none or it is not valid."""
    if value is None:
        return 0.0
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now_ns / 1e9)
