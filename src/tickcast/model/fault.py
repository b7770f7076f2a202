"""A fault that a simulated exchange is asked to make; what the verbs do is in :mod:`tickcast.sim.faults`."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Verb = Literal[
    "drop", "duplicate", "reorder", "delay", "corrupt", "truncate", "stall", "disconnect", "restart", "clock",
    "refuse_login", "throttle",
]  # fmt: skip


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What ``POST /faults/{venue}`` takes."""

    fault: Verb
    """The verb."""
    count: Annotated[int, Meta(ge=1)] | None = None
    """Ends after this many units (or logins, requests)."""
    for_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None
    """Ends after this time."""
    every: Annotated[int, Meta(ge=1)] = 1
    """One in this many units, at random."""
    line: str = ""
    """Only on this line of the venue; empty: on all."""
    delay_ms: Annotated[float, Meta(ge=0, le=600_000)] | None = None
    """Of ``delay``: how late; of ``throttle``: Retry-After, rounded up to seconds."""
    offset_s: Annotated[float, Meta(ge=-31_536_000, le=31_536_000)] = 3600.0
    """Of ``clock``: how far ahead."""
