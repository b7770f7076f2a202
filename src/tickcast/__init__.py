"""tickcast: exchange feeds in, every screen and every table out, every hop measured and every loss counted."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tickcast.client import ClientError, connect, connect_sync, to_pandas, to_polars
    from tickcast.direct import book, feed
    from tickcast.model.errors import FeedError, TickcastError, UsageError

__version__ = "0.1.0"

__all__ = [
    "ClientError",
    "FeedError",
    "TickcastError",
    "UsageError",
    "__version__",
    "book",
    "connect",
    "connect_sync",
    "feed",
    "to_pandas",
    "to_polars",
]

_DIRECT, _ERRORS = "tickcast.direct", "tickcast.model.errors"
_HOMES = {"book": _DIRECT, "feed": _DIRECT, "FeedError": _ERRORS, "TickcastError": _ERRORS, "UsageError": _ERRORS}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is first asked for (PEP 562); importing tickcast does nothing else."""
    if name not in __all__:
        raise AttributeError(f"module 'tickcast' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "tickcast.client")), name)
