"""How full a queue is: what every queue tells of itself."""

from typing import NamedTuple


class QueueLevel(NamedTuple):
    """Depth, bound and drops, in the queue's own unit."""

    depth: float
    bound: float
    drops: float
    """Entries dropped or merged because it was full, so far."""
