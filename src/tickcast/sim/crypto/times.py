"""Times as JSON venues write them."""

from datetime import UTC, datetime
from functools import lru_cache


def iso(time_ns: int, *, digits: int = 6) -> str:
    """Write ns since 1970 as RFC 3339 in UTC, with so many digits of a second (``2026-08-09T21:05:48.228568Z``)."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{_second(seconds)}.{rest:09d}"[: 20 + digits if digits else 19] + "Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
