"""The producer's side of at-least-once: what is not acknowledged yet, bounded, in order.

Theory. Batches get consecutive numbers. Those up to ``sent`` have been handed to the link, those up to ``acked`` are
the bus's. After a reconnect everything behind ``acked`` is sent again under its old number, and the bus leaves out
what it has (see ``server.py``). Only what was never sent may be conflated.
"""

from collections import deque
from typing import Final

from tickcast.bus.conflate import conflate
from tickcast.model.batch import TickBatch


class Outbox:
    """Unacknowledged batches of one feed."""

    def __init__(self, *, capacity_records: int) -> None:
        self.capacity_records: Final = capacity_records
        self.records = 0
        self.conflated = 0
        """Quotes merged away, so far."""
        self.acked = 0
        """Number of the newest batch that the bus acknowledged; 0 = none."""
        self._sent = 0
        self._next = 1
        self._batches: deque[tuple[int, TickBatch]] = deque()

    def __len__(self) -> int:
        return len(self._batches)

    @property
    def room(self) -> bool:
        """Whether another batch may come in; one larger than the capacity still goes into an empty outbox."""
        return self.records < self.capacity_records

    def push(self, batch: TickBatch) -> None:
        """Take a batch in as the next number."""
        self._batches.append((self._next, batch))
        self._next += 1
        self.records += _weight(batch)

    def unsent(self) -> list[tuple[int, TickBatch]]:
        """Batches not handed to the link yet, oldest first."""
        return [entry for entry in self._batches if entry[0] > self._sent] if self._sent < self._next - 1 else []

    def mark_sent(self, number: int) -> None:
        """Everything up to ``number`` is with the link."""
        self._sent = max(self._sent, number)

    def acknowledge(self, number: int) -> None:
        """Let go of everything up to ``number``."""
        while self._batches and self._batches[0][0] <= number:
            _, batch = self._batches.popleft()
            self.records -= _weight(batch)
        self.acked = max(self.acked, number)
        self._sent = max(self._sent, number)

    def rewind(self, accepted: int) -> None:
        """A new link: the bus has taken everything up to ``accepted`` in; the rest is to be sent again."""
        self._sent = max(self.acked, accepted)

    def conflate(self) -> bool:
        """Merge what was never sent, quotes only; False if nothing shrank."""
        unsent = self.unsent()
        if len(unsent) < 2:
            return False
        # batches of an older feed session stay as they are: sessions are not mixed
        session = unsent[-1][1].session
        group = [entry for entry in unsent if entry[1].session == session]
        merged, dropped = conflate([batch for _, batch in group])
        if not dropped:
            return False
        for _ in group:
            self.records -= _weight(self._batches.pop()[1])
        # the numbers given up are reused: none of them was ever sent
        self._next = group[0][0]
        self.push(merged)
        self.conflated += dropped
        return True


def _weight(batch: TickBatch) -> int:
    return max(1, len(batch.records))
