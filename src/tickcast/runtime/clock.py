"""The clock seam: stages take a :data:`tickcast.ports.Clock` and never read the time themselves."""

import time
from typing import Final


def now_ns() -> int:
    """Wall clock, ns since 1970 UTC: for everything that is compared with an exchange's time."""
    return time.time_ns()


def monotonic_ns() -> int:
    """Monotonic clock, ns since an arbitrary point: for time-outs and intervals."""
    return time.monotonic_ns()


_BEGAN_AHEAD_NS: Final = time.time_ns() - time.monotonic_ns()


def steady_ns() -> int:
    """The wall clock as it was when this process began, and what has passed since; setting the clock does not move it.

    For whatever is measured beside times that are told, such as rates and ages in the hub.
    """
    return time.monotonic_ns() + _BEGAN_AHEAD_NS


def thread_ns() -> int:
    """CPU time that this thread has used, ns."""
    return time.thread_time_ns()


def pause(seconds: float) -> None:
    """Block this thread: for tools and test kits, never on an event loop."""
    time.sleep(seconds)
