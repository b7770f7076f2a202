"""What a venue allows one address, shared by every feed process of the machine.

A venue counts by address, not by process: two feeds that each keep to the limit exceed it together. So what is left of
each quota lies in a small file that all processes of the user lock for the moment in which they take from it.

Theory. Venues count in windows (so much a minute), whose beginnings nobody else knows. A token bucket of capacity ``c``
that fills at rate ``r`` lets at most ``c + r T`` through in *any* window of length ``T``; so with ``c`` a quarter of
the quota and ``r T`` a bit less than three quarters of it no window is ever exceeded, wherever it begins. What the
venue itself says (Retry-After, its own count of what was used) overrules the bucket.
"""

import contextlib
import fcntl
import os
import re
import struct
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tickcast.ports import Clock
from tickcast.venues.base import Quota

BURST: Final = 0.25
"""Share of a quota that may go at once."""
USED: Final = 0.95
"""Share of a quota that is used at all."""
SECOND_NS: Final = 1_000_000_000
LOCKED_NS: Final = 2_000_000
"""Wait before the next try when another process has the file."""
HOLD_TRIES: Final = 100
FORGOTTEN_NS: Final = 86_400 * SECOND_NS
"""Files that nobody has touched for so long are deleted."""
STATE: Final = struct.Struct("<dqq")


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is left of a quota."""

    tokens: float
    at_ns: int
    """When ``tokens`` was right."""
    held_ns: int = 0
    """Nothing goes before this time: the venue said so."""


def full(quota: Quota, now_ns: int) -> Bucket:
    """Return an unused bucket."""
    return Bucket(quota.amount * BURST, now_ns)


def take(bucket: Bucket, quota: Quota, amount: float, now_ns: int) -> tuple[Bucket, int]:
    """Take ``amount``, or say how long to wait (ns; 0 = taken).

    What is larger than the capacity goes when the bucket is full, and leaves a debt.
    """
    bucket = _refilled(bucket, quota, now_ns)
    if bucket.held_ns > now_ns:
        return bucket, bucket.held_ns - now_ns
    wanted = min(amount, quota.amount * BURST)
    if bucket.tokens + 1e-9 < wanted:
        return bucket, max(1, round((wanted - bucket.tokens) / _rate(quota)))
    return replace(bucket, tokens=bucket.tokens - amount), 0


def _rate(quota: Quota) -> float:
    """Tokens a ns."""
    return quota.amount * (USED - BURST) / quota.per_s / SECOND_NS


def _refilled(bucket: Bucket, quota: Quota, now_ns: int) -> Bucket:
    since_ns = max(0, now_ns - bucket.at_ns)  # a clock that was set back gives nothing
    return replace(bucket, tokens=min(quota.amount * BURST, bucket.tokens + since_ns * _rate(quota)), at_ns=now_ns)


def told(bucket: Bucket, quota: Quota, used: float) -> Bucket:
    """Believe the venue: so much of the window is used, by us or by others at this address."""
    return replace(bucket, tokens=min(bucket.tokens, quota.amount * USED - used))


class Budgets:
    """The budgets of one feed: one for each address that it asks."""

    def __init__(self, folder: Path, quotas: Mapping[str, Quota], *, clock: Clock) -> None:
        self._folder = folder
        self._quotas = quotas
        self._clock = clock
        self._by_host: dict[str, Budget] = {}

    def of(self, address: str) -> "Budget":
        """Return the budget of the host (and port) that an address names."""
        host = urlsplit(address).netloc or address
        if host not in self._by_host:
            self._by_host[host] = Budget(self._folder, host, self._quotas, clock=self._clock)
        return self._by_host[host]


class Budget:
    """The quotas of one venue at one address, in files below ``folder``.

    Where the files cannot be used (no permission, no space) this process keeps to the quotas alone, and says so once.
    """

    def __init__(self, folder: Path, host: str, quotas: Mapping[str, Quota], *, clock: Clock) -> None:
        """``host`` is the venue's, with its port if it has one."""
        self._quotas = dict(quotas)
        self._clock = clock
        file = re.sub(r"[^A-Za-z0-9.-]", "_", host)[:100]
        self._paths = {name: folder / f"{file}.{name}" for name in quotas}
        self._own: dict[str, Bucket] = {}
        self.trouble: str | None = None
        """Why the budget is not shared; None while it is."""

    def take(self, name: str, amount: float = 1.0) -> int:
        """Take from a quota, or say how long to wait (ns; 0 = taken). Without such a quota there is no limit."""
        return self._change(name, lambda bucket, quota, now_ns: take(bucket, quota, amount, now_ns))

    def hold(self, name: str, until_ns: int) -> None:
        """Let nothing go before ``until_ns``, in no process."""

        def held(bucket: Bucket, quota: Quota, now_ns: int) -> tuple[Bucket, int]:
            del quota, now_ns
            return replace(bucket, held_ns=max(bucket.held_ns, until_ns)), 0

        for _ in range(HOLD_TRIES):
            if not self._change(name, held):
                return

    def told(self, name: str, used: float) -> None:
        """Take note of the venue's own count of what was used."""
        self._change(name, lambda bucket, quota, now_ns: (told(_refilled(bucket, quota, now_ns), quota, used), 0))

    def _change(self, name: str, change: Callable[[Bucket, Quota, int], tuple[Bucket, int]]) -> int:
        """Change a bucket under its lock.

        The lock is held for microseconds. A process that is stopped while it holds it must not stop the others' event
        loops: so nobody waits for it here.
        """
        quota = self._quotas.get(name)
        if quota is None:
            return 0
        now_ns = self._clock()
        try:
            file = _open(self._paths[name])
        except OSError as wrong:
            return self._change_own(name, change, quota, now_ns, wrong)
        try:
            if not _locked(file):
                return LOCKED_NS
            bucket, wait_ns = change(_read(file, quota, now_ns), quota, now_ns)
            os.pwrite(file, STATE.pack(bucket.tokens, bucket.at_ns, bucket.held_ns), 0)
        except OSError as wrong:
            return self._change_own(name, change, quota, now_ns, wrong)
        finally:
            os.close(file)
        return wait_ns

    def _change_own(
        self,
        name: str,
        change: Callable[[Bucket, Quota, int], tuple[Bucket, int]],
        quota: Quota,
        now_ns: int,
        wrong: OSError,
    ) -> int:
        self.trouble = f"{self._paths[name]}: {wrong.strerror}; the quota is not shared with other processes"
        self._own[name], wait_ns = change(self._own.get(name) or full(quota, now_ns), quota, now_ns)
        return wait_ns


def _open(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: int, quota: Quota, now_ns: int) -> Bucket:
    data = os.pread(file, STATE.size, 0)
    if not data:
        return full(quota, now_ns)
    damaged = Bucket(0.0, now_ns)  # begin anew, carefully
    if len(data) != STATE.size:
        return damaged
    tokens, at_ns, held_ns = STATE.unpack(data)
    return Bucket(tokens, at_ns, held_ns) if -1e12 < tokens < 1e12 and at_ns >= 0 else damaged


def shared_folder(environment: Mapping[str, str]) -> Path:
    """Where the budgets of this machine's processes lie: ``TICKCAST_BUDGET``, else one folder for each user."""
    named = environment.get("TICKCAST_BUDGET")
    if named:
        return Path(named)
    runtime = environment.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "tickcast" / "budget"
    return Path(tempfile.gettempdir()) / f"tickcast-{os.getuid()}" / "budget"


def sweep(folder: Path, now_ns: int) -> None:
    """Delete what nobody has used for a day (simulated venues have ever new ports)."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if now_ns - path.stat().st_mtime_ns > FORGOTTEN_NS:
                path.unlink(missing_ok=True)
