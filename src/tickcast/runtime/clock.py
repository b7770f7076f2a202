"""The clock seam: stages take a :data:`tickcast.ports.Clock` and never read the time themselves."""

import time


def now_ns() -> int:
    """Wall clock, ns since 1970 UTC: for everything that is compared with an exchange's time."""
    return time.time_ns()


def monotonic_ns() -> int:
    """Monotonic clock, ns since an arbitrary point: for time-outs and intervals."""
    return time.monotonic_ns()


def thread_ns() -> int:
    """CPU time that this thread has used, ns."""
    return time.thread_time_ns()


def pause(seconds: float) -> None:
    """Block this thread: for tools and test kits, never on an event loop."""
    time.sleep(seconds)
