"""One shard of the memory bus: a bounded log with consumer groups, synchronous and without a clock.

Theory. Entries have consecutive offsets. A group has a *cursor* (the next offset to hand out), the offsets in its
members' hands, and the offsets acknowledged beyond the first gap. An entry leaves the log when every group is done
with it; then its ``done`` callback runs, which is what acknowledges it to the producer. When a member leaves, what it
held goes back and the cursor returns to the oldest of it, so that order is kept: a shard is served to one member at a
time.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tickcast.model.batch import TickBatch


@dataclass(slots=True)
class Entry:
    """One batch in the log."""

    offset: int
    batch: TickBatch
    done: Callable[[], None] | None
    waiting: int
    """Groups that are not done with it."""
    attempts: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Group:
    cursor: int
    owner: int | None = None
    held: set[int] = field(default_factory=set)
    acked: set[int] = field(default_factory=set)


class ShardLog:
    """Entries of one shard, oldest first."""

    def __init__(self, *, capacity_records: int) -> None:
        self.capacity_records: Final = capacity_records
        self.records = 0
        self._entries: deque[Entry] = deque()
        self._next = 0
        self._groups: dict[str, _Group] = {}

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def full(self) -> bool:
        """No room; one batch larger than the capacity still goes into an empty log."""
        return self.records >= self.capacity_records

    def append(self, batch: TickBatch, done: Callable[[], None] | None = None) -> int:
        """Append and return the offset; ``done`` runs when every group acknowledged or rejected it."""
        entry = Entry(self._next, batch, done, len(self._groups))
        self._next += 1
        self._entries.append(entry)
        self.records += max(1, len(batch.records))
        return entry.offset

    def join(self, group: str) -> None:
        """Make sure the group exists; a new one begins with the oldest entry."""
        if group in self._groups:
            return
        self._groups[group] = _Group(cursor=self._entries[0].offset if self._entries else self._next)
        for entry in self._entries:
            entry.waiting += 1

    def assign(self, group: str, member: int | None) -> None:
        """Give the shard to a member; what the member before held is handed out again, from the oldest on."""
        state = self._groups[group]
        if state.owner == member:
            return
        state.owner = member
        if state.held:
            state.cursor = min(state.held)
            state.held.clear()

    def take(self, group: str, member: int, batches_max: int) -> list[tuple[Entry, int]]:
        """Hand out the next entries with their attempt number (1 = first) to the owner; nothing to anybody else."""
        state = self._groups[group]
        if state.owner != member or not self._entries:
            return []
        first = self._entries[0].offset
        taken: list[tuple[Entry, int]] = []
        while state.cursor < self._next and len(taken) < batches_max:
            offset = state.cursor
            state.cursor += 1
            if offset in state.acked:
                continue
            entry = self._entries[offset - first]
            attempt = entry.attempts.get(group, 0) + 1
            entry.attempts[group] = attempt
            state.held.add(offset)
            taken.append((entry, attempt))
        return taken

    def ready(self, group: str, member: int) -> bool:
        """Whether ``take`` would return something."""
        state = self._groups[group]
        return state.owner == member and state.cursor < self._next

    def ack(self, group: str, member: int, offset: int) -> bool:
        """Be done with an entry; False if this member does not hold it (any more): then it changes nothing."""
        state = self._groups[group]
        if state.owner != member or offset not in state.held:
            return False
        state.held.discard(offset)
        state.acked.add(offset)
        self._entries[offset - self._entries[0].offset].waiting -= 1
        self._release()
        return True

    def lag(self, group: str) -> int:
        """Entries that the group has not acknowledged."""
        state = self._groups.get(group)
        return len(self._entries) if state is None else len(self._entries) - len(state.acked)

    def _release(self) -> None:
        while self._entries and self._entries[0].waiting == 0 and self._groups:
            entry = self._entries.popleft()
            self.records -= max(1, len(entry.batch.records))
            for state in self._groups.values():
                state.acked.discard(entry.offset)
            if entry.done is not None:
                entry.done()
