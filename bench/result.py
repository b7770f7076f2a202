"""What `make bench` writes: one JSON, in these structs. `docs/reference/benchmark-json.md` is made from them.

A benchmark run alone (``--json``) writes only its own object, the one under ``result``.
"""

from typing import Any

import msgspec

SCHEMA = 2


class Machine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where it ran."""

    cpu: str
    cpus: int
    memory_gib: float
    kernel: str
    python: str
    load_average: float
    """Of the minute before."""


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One benchmark."""

    options: list[str]
    load_average: float
    """Of the minute before it began."""
    took_s: float
    status: int | str
    """0 = done; otherwise its exit status, or why it was ended."""
    result: dict[str, Any] | None
    """Its own object, with ``benchmark`` (its name) and ``machine``; null if it was left out or failed."""


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of `bench/run.py`."""

    schema: int
    """Of this document; another number means that fields changed their meaning."""
    at: str
    """When it began: UTC, ``20260329T143001Z``."""
    commit: str
    """Of the checkout, with ``+`` if files differed from it; empty outside of one."""
    quick: bool
    machine: Machine
    parts: dict[str, Part]


def schema() -> dict[str, Any]:
    """JSON Schema of the document."""
    return msgspec.json.schema(Run)
