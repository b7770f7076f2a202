"""tickcast: exchange feeds in, every screen and every table out, every hop measured and every loss counted."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tickcast.client import StreamClosedError, StreamError, Tick, stream

__version__ = "0.1.0"

__all__ = ["StreamClosedError", "StreamError", "Tick", "__version__", "stream"]


def __getattr__(name: str) -> Any:
    """Import the client when it is first asked for (PEP 562); importing tickcast does nothing else."""
    if name not in __all__:
        raise AttributeError(f"module 'tickcast' has no attribute {name!r}")
    from tickcast import client  # noqa: PLC0415

    return getattr(client, name)
