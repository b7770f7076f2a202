"""Settings of the fan-out."""

import msgspec


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The hub's bounds and holds."""

    history_count: int = 256
    """Entries a symbol and channel keeps for resume, at most."""
    history_s: float = 300.0
    """Age of the oldest of them, at most."""
    quantum_max_ms: float = 10.0
    """Longest hold of an update under load, so that packets coalesce; 0 when idle."""
    buffer_max: int = 262_144
    """Bytes buffered for a client in mode ``all`` whose socket does not drain; beyond, updates are lost and counted."""
    unsent_max: int = 1_048_576
    """Bytes unsent before a client is closed as slow."""
    undrained_max_s: float = 30.0
    """Time without draining before a client is closed as slow."""
    field_sets_max: int = 16
    """Sets of ``fields`` in use; further ones get all fields, so that frames stay shared."""
    sends_max: int = 256
    """Clients that one flush sends to before the event loop has its turn; the rest follow at once, unfiltered first."""
    watermark: int = 65_536
    """Bytes that the kernel could not send yet at which a client's socket counts as full; 0 = as the system has it."""
    slow_blocked_ms: float = 250.0
    """Time that a client's socket was full, of about the last second, until it goes one rate class down; 0 = never."""
    slow_recover_s: float = 5.0
    """Time without a full socket after which it goes one class up again."""
    overload_busy: float = 0.9
    """Share of a CPU in the event loop at which delivery is overloaded; 0 = not looked at, as of the next three."""
    overload_lag_ms: float = 250.0
    """How late the event loop is at which delivery is overloaded."""
    overload_frames: int = 67_108_864
    """Bytes of frames that wait for clients at which delivery is overloaded."""
    overload_memory_mib: int = 0
    """Resident memory of the process at which delivery is overloaded."""
    overload_rise_s: float = 2.0
    """How long overload lasts before the ladder goes one rung up."""
    overload_fall_s: float = 10.0
    """How long the load is below 0.6 of every limit before the ladder goes one rung down."""
    overload_quantum_ms: float = 50.0
    """Least hold of a flush on the first rung and above."""
    digest_every: int = 50
    """A book's checksum is in every so many of its updates (and in every snapshot), for clients to check theirs."""
