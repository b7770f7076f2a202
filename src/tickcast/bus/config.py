"""Settings of the bus."""

from typing import Literal

import msgspec


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The memory bus: in the core's process, with a Unix socket for the feeds'."""

    kind: Literal["memory"] = "memory"
    """Which bus; ``memory`` needs no server."""
    shards: int = 1
    """Parts that keep order each on their own; the key is the security."""
    capacity_records: int = 262_144
    """Records a shard holds before producers are held back; 64 bytes each."""
    publisher_records: int = 131_072
    """Records a feed holds unacknowledged before ``publish`` waits; 64 bytes each."""
    block_max_s: float = 1.0
    """How long ``publish`` waits for room before unsent quotes are conflated (trades never are)."""
    dead_letters_max: int = 1_000
    """Dead letters kept for inspection; the count goes on."""
    attempts_max: int = 5
    """Deliveries of one batch to consumers that died with it, before it is a dead letter."""
