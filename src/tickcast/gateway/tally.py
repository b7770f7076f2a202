"""What each process of an instance tells the others of users and addresses, so that limits hold over all of them.

A table in memory that they share, one for each process: who is known there, how many connections it holds there, and
when it will have its whole allowance back. A process writes its own table only and adds up what stands in the others',
so nothing is locked and nobody is asked: a connect costs some microseconds, whatever another process does meanwhile.

**Connections** are told before they are counted. Of two processes that have the last place to give at the same instant
both may refuse, never both give it. **Rates** are a time: when all of it is there again (each unit spent moves it by
1/rate, and it may be one second ahead at most); the latest of all processes counts, so nothing has to be divided.

A process holds a lock on its file for as long as it lives, which the kernel takes back however it ends. Before somebody
is refused for the connections of other processes, their locks are tried: what one that is gone had counts no more. One
that is stopped or hangs still has its connections, and they count.

A row of the table has :data:`PLACES` places; who finds no place in it is counted in its own process alone. Of those
that hold no connection the one gives way that has its allowance back first.
"""

import fcntl
import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple, Self

from tickcast.ports import Clock
from tickcast.runtime import metrics
from tickcast.runtime.clock import monotonic_ns, pause
from tickcast.runtime.log import get_logger

log = get_logger("gateway")

NS: Final = 1_000_000_000
ROWS_MAX: Final = 16_384
ROWS_MIN: Final = 1_024
PLACES: Final = 8
"""Who is known in one row."""
_ROW: Final = 4 * PLACES
"""Words of a row: the marks of all places, their connections, handshakes and requests."""
_CONNECTIONS, _HANDSHAKES, _REQUESTS = PLACES, 2 * PLACES, 3 * PLACES
_HEAD: Final = 512
"""Words before the first row: the first says which life of the process this is; 0 = none."""
TRIES: Final = 20
PAUSE_S: Final = 0.05
"""Between attempts to lock a table whose lock somebody tries at this moment."""

_alone: Final = metrics.counter(
    "gateway_limits_alone", "Users and addresses for whom the shared table had no place, so far.", ("of",)
)
_shared: Final = metrics.gauge("gateway_limits_shared", "1: limits hold over all processes; 0: in this one.", ("of",))


class Elsewhere(NamedTuple):
    """What all other processes say of somebody."""

    connections: int = 0
    handshakes_ns: int = 0
    """When the whole allowance is back."""
    requests_ns: int = 0


NOTHING: Final = Elsewhere()


class Seat:
    """Where somebody stands in the tables."""

    __slots__ = ("at", "mark", "row")

    def __init__(self, key: str, rows: int) -> None:
        """``rows`` of each table."""
        digest = int.from_bytes(blake2b(key.encode(), digest_size=8).digest())
        self.mark = digest >> 1 | 1
        """Never 0, which is a free place."""
        self.row = _HEAD + (digest & 0xFFFF_FFFF) % rows * _ROW
        self.at = -1
        """Place in the process's own table; another one may have taken it."""


def rows_for(processes: int) -> int:
    """Rows of each table where so many share: all tables together have about the same number of places."""
    rows = ROWS_MAX
    while rows > ROWS_MIN and rows * processes > 3 * ROWS_MAX:
        rows //= 2
    return rows


def spend(due_ns: int, now_ns: int, rate: float) -> tuple[int, float]:
    """Spend one of ``rate`` a second, of which as many may be spent at once.

    Args:
        due_ns: when the whole allowance is back, of those who say so the latest.
        now_ns: now.
        rate: units a second.

    Returns:
        When it is back after this one, and 0; or when it is back without, and the seconds after which one is there.
    """
    before_ns = min(max(due_ns, now_ns), now_ns + NS)
    after_ns = before_ns + int(NS // rate)
    if after_ns > now_ns + NS:
        return before_ns, (after_ns - now_ns - NS) / NS
    return after_ns, 0.0


class _Table:
    """A process's table, mapped."""

    def __init__(self, path: Path, rows: int) -> None:
        """Open it, and make it if it is not there; to be called by one process at a time."""
        self._size = 8 * (_HEAD + rows * _ROW)
        self.handle: Final = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(self.handle).st_size != self._size:  # nobody has it then: it was never whole
                os.ftruncate(self.handle, 0)
                self.wipe()
            self._map: Final = mmap.mmap(self.handle, self._size)
        except BaseException:
            os.close(self.handle)
            raise
        self.words: Final = memoryview(self._map).cast("q")
        self.gone = 0
        """Life of its process that is known to be over."""

    def wipe(self) -> None:
        """Write it full of zeros: not through the memory, which cannot say that the disk is full."""
        zeros = memoryview(bytes(self._size))
        written = 0
        while written < self._size:
            written += os.pwrite(self.handle, zeros[written:], written)

    def is_over(self) -> bool:
        """Whether its process is gone, whatever it left here."""
        life = self.words[0]
        if life != self.gone and _lock(self.handle, fcntl.LOCK_SH):
            fcntl.flock(self.handle, fcntl.LOCK_UN)
            self.gone = life
        return life == self.gone

    def close(self) -> None:
        """Let go of it, and of its lock."""
        self.words.release()
        self._map.close()
        os.close(self.handle)


class Tally:
    """One process's table, and its view of the others'."""

    def __init__(self, folder: Path, of: str, *, name: str, names: Sequence[str], clock: Clock) -> None:
        """Begin with nothing.

        Args:
            folder: of the tables.
            of: whom is counted: ``users``, ``addresses``.
            name: this process's.
            names: those of all processes.
            clock: of the times that it is told and tells; they are kept as the machine's monotonic clock has them.

        Raises:
            OSError: the table cannot be made, or another process of this name has it.
        """
        self._of = of
        self._ahead_ns = clock() - monotonic_ns()
        self._others: list[_Table] = []
        self._rows = rows = rows_for(len(names))
        with _one_at_a_time(folder):
            # another number of processes makes another size; a table that somebody has is never cut
            for before in folder.glob(f"{of}-*.{name}"):
                if before.name != f"{of}-{rows}.{name}":
                    before.unlink()
            self._own = _Table(folder / f"{of}-{rows}.{name}", rows)
            try:
                self._begin()
                for other in names:
                    if other != name:
                        self._others.append(_Table(folder / f"{of}-{rows}.{other}", rows))
            except BaseException:
                self.close()
                raise
        self._words = self._own.words
        _shared.labels(of).set(1)

    def _begin(self) -> None:
        for _ in range(TRIES):
            if _lock(self._own.handle, fcntl.LOCK_EX):
                break
            pause(PAUSE_S)
        else:
            raise BlockingIOError(f"another process counts the {self._of} of this one")
        self._own.words[0] = 0
        self._own.wipe()
        self._own.words[0] = monotonic_ns()

    def close(self) -> None:
        """Hold nothing any more."""
        self._own.words[0] = 0
        for table in (self._own, *self._others):
            table.close()

    def __enter__(self) -> Self:
        """It is closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def seat(self, key: str) -> Seat:
        """Where somebody stands in the tables."""
        return Seat(key, self._rows)

    def tell(self, seat: Seat, connections: int, handshakes_ns: int, requests_ns: int = 0) -> None:
        """Say what somebody holds here, and when its allowances are whole again."""
        words, at = self._words, seat.at
        if at < 0 or words[at] != seat.mark:
            at = seat.at = self._place(seat)
            if at < 0:
                return
        words[at + _CONNECTIONS] = connections
        words[at + _HANDSHAKES] = handshakes_ns - self._ahead_ns
        words[at + _REQUESTS] = requests_ns - self._ahead_ns

    def elsewhere(self, seat: Seat, *, sure: bool = False) -> Elsewhere:
        """Add up what the others say of somebody; ``sure``: it is looked whether they still live."""
        connections = handshakes_ns = requests_ns = 0
        row, mark = seat.row, seat.mark
        for table in self._others:
            words = table.words
            if words[0] == table.gone:
                continue
            marks = words[row : row + PLACES].tolist()
            if mark in marks and not (sure and table.is_over()):
                at = row + marks.index(mark)
                connections += words[at + _CONNECTIONS]
                handshakes_ns = max(handshakes_ns, words[at + _HANDSHAKES])
                requests_ns = max(requests_ns, words[at + _REQUESTS])
        if not (connections or handshakes_ns or requests_ns):
            return NOTHING
        return Elsewhere(connections, handshakes_ns + self._ahead_ns, requests_ns + self._ahead_ns)

    def _place(self, seat: Seat) -> int:
        """Find a place for somebody: its own, a free one, or that of one who holds nothing; -1: there is none."""
        words, row = self._words, seat.row
        marks = words[row : row + PLACES].tolist()
        if seat.mark in marks:
            return row + marks.index(seat.mark)
        if 0 in marks:
            at = row + marks.index(0)
        else:
            idle = [at for at in range(row, row + PLACES) if not words[at + _CONNECTIONS]]
            if not idle:
                _alone.labels(self._of).inc()
                return -1
            at = min(idle, key=lambda at: max(words[at + _HANDSHAKES], words[at + _REQUESTS]))
        words[at] = 0
        words[at + _CONNECTIONS] = 0
        words[at] = seat.mark
        return at


class Tallies(NamedTuple):
    """The tables of a process; None: what it counts holds in it alone."""

    users: Tally | None = None
    addresses: Tally | None = None
    polling: Tally | None = None
    """Addresses of Socket.IO's polling sessions, which have limits of their own."""

    @classmethod
    def open(cls, folder: Path, *, name: str, names: Mapping[str, Sequence[str]], clock: Clock) -> "Tallies":
        """Open those whose processes ``names`` has.

        Where one cannot be opened, its limits hold in each process by itself, and the log says so: a gateway that lets
        nobody in because it cannot count them all would be worse.
        """
        opened: dict[str, Tally] = {}
        for of, processes in names.items():
            try:
                folder.mkdir(mode=0o700, exist_ok=True)
                opened[of] = Tally(folder, of, name=name, names=processes, clock=clock)
            except OSError as wrong:
                log.warning("limits hold in this process alone", of=of, reason=str(wrong))
                _shared.labels(of).set(0)
        return cls(**opened)

    def close(self) -> None:
        """Close all."""
        for tally in self:
            if tally is not None:
                tally.close()


ALONE: Final = Tallies()
"""Of the only process there is."""


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Let no other process make tables meanwhile."""
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
