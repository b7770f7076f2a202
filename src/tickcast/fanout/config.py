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
