"""Connections of another process, cut from outside."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tickcast.testing.cut import can_cut, cut_links

pytestmark = pytest.mark.skipif(not can_cut(), reason="this machine lets nobody have another process's sockets")
SERVER = """
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("ready", flush=True)
links = []
while True:
    links.append(listener.accept()[0])
    links[-1].sendall(b"hello")
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A process that accepts connections, and where."""
    path = tmp_path / "links.sock"
    command = (sys.executable, "-c", SERVER, str(path))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid, path
        process.kill()


def connected(path: Path) -> socket.socket:
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(20)
    link.connect(str(path))
    assert link.recv(100) == b"hello"
    return link


def test_all_connections_end_and_new_ones_are_made(server: tuple[int, Path]) -> None:
    pid, path = server
    with connected(path) as first, connected(path) as second:
        assert cut_links(pid, path) == 2
        assert (first.recv(100), second.recv(100)) == (b"", b"")
    with connected(path) as third:
        third.sendall(b"it is open")


def test_connections_at_other_places_stay(server: tuple[int, Path], tmp_path: Path) -> None:
    pid, path = server
    with connected(path) as link:
        assert cut_links(pid, tmp_path / "other.sock") == 0
        link.sendall(b"it is open")


def test_a_process_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with subprocess.Popen((sys.executable, "-c", "")) as process:
        process.wait()
    with pytest.raises(OSError, match=r"\w"):
        cut_links(process.pid, tmp_path / "links.sock")
