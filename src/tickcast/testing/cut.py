"""Connections between processes of this machine that are cut from outside: neither side does it, or is told.

A Unix socket has no network on the way that could fail, and nobody in between who could be stopped. So the faults take
hold of the socket itself: Linux hands out a duplicate of another process's descriptor (``pidfd_getfd``, to those who
may trace it), and shutting that down ends the connection for both.
"""

import ctypes
import os
import socket
from pathlib import Path
from typing import Final

PIDFD_GETFD: Final = 438
"""Number of the system call, the same on all machines (Linux 5.6)."""
CONNECTED: Final = "03"
"""State of a socket in ``/proc/net/unix``."""


def cut_links(pid: int, path: Path) -> int:
    """Cut all connections that a process has accepted at a Unix socket; returns how many.

    Raises:
        OSError: the process is gone, or the machine lets nobody have another process's sockets.
    """
    accepted = _accepted(pid, path)
    count = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:
            continue  # closed meanwhile
        if target.startswith("socket:[") and target[8:-1] in accepted:
            with _duplicate(pid, int(entry.name)) as link:
                link.shutdown(socket.SHUT_RDWR)
            count += 1
    return count


def can_cut() -> bool:
    """Whether this machine lets us have another process's sockets."""
    ours, other = socket.socketpair()
    try:
        with ours, other, _duplicate(os.getpid(), ours.fileno()):
            return True
    except (OSError, AttributeError):
        return False


def _accepted(pid: int, path: Path) -> set[str]:
    """Inodes of the connections that were accepted at a path: they bear its name."""
    lines = (line.split() for line in Path(f"/proc/{pid}/net/unix").read_text("utf-8").splitlines()[1:])
    return {line[6] for line in lines if line[5] == CONNECTED and line[7:] == [str(path)]}


def _duplicate(pid: int, descriptor: int) -> socket.socket:
    """Return another process's socket."""
    process = os.pidfd_open(pid)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        found = libc.syscall(PIDFD_GETFD, process, descriptor, 0)
    finally:
        os.close(process)
    if found < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"expected a duplicate of a socket of process {pid}, found: {os.strerror(number)}")
    return socket.socket(fileno=found)
