"""What waits for one client: the queue of its Engine.IO socket, with a bound and a voice.

python-engineio (4.15) puts packets into an ``asyncio.Queue`` without a bound for each client, and takes them out when
the client can be sent to: its writer asks for the next packet after the WebSocket took the last one, and a polling
client's next GET asks after the answer to the one before was read. So whoever asks and finds nothing has taken all
there was. That is when the hub may go on with the client; until then the hub conflates.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

HELD: Final = 16_384
"""Bytes that may wait here before the hub holds back what is newer: what a client gets late is at most so much."""
HELD_MAX: Final = 1_048_576
"""Bytes at which a client is given up. The hub stops at :data:`HELD`; answers and a room's frames come on top."""
_SMALL: Final = 32


class Outbox(asyncio.Queue[Any]):
    """Packets for one client."""

    def __init__(self) -> None:
        super().__init__()
        self.held = 0
        """Bytes waiting."""
        self.asked: Callable[[], None] | None = None
        """Called when everything was taken and more is wanted."""
        self.overflown: Callable[[], None] | None = None
        """Called when :data:`HELD_MAX` is reached."""

    async def get(self) -> Any:
        """Wait for the next packet."""
        if self.asked is not None and self.empty():
            self.asked()
        return await super().get()

    def _put(self, item: Any) -> None:
        super()._put(item)
        self.held += _size(item)
        if self.held > HELD_MAX and self.overflown is not None:
            overflown, self.overflown = self.overflown, None
            overflown()

    def _get(self) -> Any:
        item = super()._get()
        self.held -= _size(item)
        return item


def _size(packet: Any) -> int:
    data = getattr(packet, "data", None)
    return len(data) if isinstance(data, str | bytes) else _SMALL
