"""What the processes of an instance use: CPU and memory by role, and the kernel's for sockets. Run by others."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from machine import cpu_s

PAGE = os.sysconf("SC_PAGE_SIZE")
SERVERS = ("core", "gateway")
"""Roles whose cost is the delivery's; feeds and simulated exchanges run beside them."""


def rss(pid: int) -> int:
    """Resident memory of a process, bytes; 0 if it is gone."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE
    return 0


def sockets_memory() -> int:
    """What the kernel holds for sockets, bytes: buffers of TCP, and its slabs (of both ends, all processes)."""
    found = 0
    for line in Path("/proc/net/sockstat").read_text(encoding="ascii").splitlines():
        words = line.split()
        if words[0] == "TCP:":
            found += int(words[words.index("mem") + 1]) * PAGE
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith(("SUnreclaim:",)):
            found += int(line.split()[1]) * 1024
    return found


class Census:
    """Reads all processes of an instance; what is asked for is the difference between two readings."""

    def __init__(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """``rows``: of ``tickcast ps --json``, by name."""
        self.roles = {str(name): str(row["role"]) for name, row in rows.items()}
        self.pids = {str(name): int(row["pid"]) for name, row in rows.items()}

    def memory(self) -> dict[str, int]:
        """Resident bytes by role."""
        return self._sum(rss)

    def cpu(self) -> dict[str, float]:
        """CPU seconds by role so far, user and system."""
        return self._sum(_cpu)

    def _sum(self, read: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, pid in self.pids.items():
            found[self.roles[name]] = found.get(self.roles[name], 0) + read(pid)
        return found

    def servers(self) -> Iterator[str]:
        """Names of the processes that deliver."""
        return (name for name, role in self.roles.items() if role in SERVERS)


def _cpu(pid: int) -> float:
    with contextlib.suppress(OSError):
        return sum(cpu_s(pid))
    return 0.0


def difference(after: Mapping[str, float], before: Mapping[str, float], roles: tuple[str, ...] = SERVERS) -> float:
    """What the roles used between two readings."""
    return sum(after.get(role, 0) - before.get(role, 0) for role in roles)
