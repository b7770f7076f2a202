"""The Python client of ``/stream``: :func:`tickcast.stream`."""

from tickcast.client.stream import stream
from tickcast.client.tick import StreamClosedError, StreamError, Tick

__all__ = ["StreamClosedError", "StreamError", "Tick", "stream"]
