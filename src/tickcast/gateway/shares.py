"""What each worker tells the others in memory they share: how many clients it holds, so that they share evenly.

The kernel wakes all workers when a connection comes, and who runs first takes it: left alone, one of two ends with two
thirds of the clients. A worker that is ahead waits a moment and takes only what the others left. What a worker says
counts for a second: one that is stopped, hung or dead holds nobody up.
"""

import mmap
import os
import struct
from pathlib import Path
from typing import Final

from tickcast.gateway.config import WORKERS_MAX

SLOT: Final = struct.Struct("<qq")
"""Clients, and when this was true (ns since 1970 UTC)."""
FRESH_NS: Final = 1_000_000_000
AHEAD_MIN: Final = 4
AHEAD_SHARE: Final = 50


class Shares:
    """The table, and one worker's place in it; ``number`` is from 1 to :data:`WORKERS_MAX`."""

    def __init__(self, path: Path, number: int) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(handle, SLOT.size * WORKERS_MAX)
            self._table = mmap.mmap(handle, SLOT.size * WORKERS_MAX)
        finally:
            os.close(handle)
        self._own = SLOT.size * (number - 1)
        self._clients = 0

    def tell(self, clients: int, now_ns: int) -> None:
        """Say how many clients this worker holds."""
        self._clients = clients
        SLOT.pack_into(self._table, self._own, clients, now_ns)

    def is_ahead(self, now_ns: int) -> bool:
        """Whether this worker holds clearly more clients than another one that accepts."""
        least = None
        for at in range(0, SLOT.size * WORKERS_MAX, SLOT.size):
            clients, told_ns = SLOT.unpack_from(self._table, at)
            if at != self._own and abs(now_ns - told_ns) < FRESH_NS and (least is None or clients < least):
                least = clients
        return least is not None and self._clients > least + max(AHEAD_MIN, least // AHEAD_SHARE)

    def leave(self) -> None:
        """Say nothing more: this worker accepts no clients."""
        SLOT.pack_into(self._table, self._own, 0, 0)
        self._table.close()
