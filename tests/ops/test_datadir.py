import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tickcast.model.errors import StateError, UsageError
from tickcast.ops.datadir import SOCKET_PATH_MAX, DataDir, Instance

HOLD = """
import sys
from tickcast.ops.datadir import DataDir
data = DataDir(sys.argv[1]); data.create(); lock = data.lock(); print("held", flush=True); sys.stdin.read()
"""


def test_the_folder_is_the_option_or_the_variable_or_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TICKCAST_DATA", raising=False)
    assert DataDir.resolve().root == tmp_path / ".tickcast"
    monkeypatch.setenv("TICKCAST_DATA", "elsewhere")
    assert DataDir.resolve().root == tmp_path / "elsewhere"
    assert DataDir.resolve("/given").root == Path("/given")


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "a" / "b")
    data.create()
    data.create()
    assert data.root.stat().st_mode & 0o777 == 0o700
    assert data.logs.is_dir()


def test_a_folder_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UsageError, match="cannot be written: Not a directory; choose another with --data or TICKCAST_DATA"
    ):
        DataDir(tmp_path / "file" / "data").create()


def test_one_long_name_in_a_folder_that_is_long_enough_for_others_has_a_place_too(tmp_path: Path) -> None:
    name = "x" * (SOCKET_PATH_MAX - len(str(tmp_path)) - len("//control.sock"))
    data = DataDir(tmp_path / name)
    data.create()
    assert data.control.parent == data.root
    feed = data.socket("feed-binance")
    assert feed.parent != data.root
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(feed))
    feed.unlink()
    feed.parent.rmdir()


def test_a_socket_in_a_long_folder_gets_a_short_private_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    short = DataDir(tmp_path / "d")
    assert short.socket("control") == tmp_path / "d" / "control.sock"
    long = DataDir(tmp_path / ("x" * 120))
    path = long.socket("bus")
    assert len(os.fsencode(path)) <= 100
    assert path == DataDir(str(long)).socket("bus")
    assert path != DataDir(tmp_path / ("y" * 120)).socket("bus")
    long.create()
    try:
        assert path.parent.stat().st_mode & 0o077 == 0
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
        path.unlink()
        path.parent.chmod(0o755)
        with pytest.raises(UsageError, match="not private"):
            long.create()
    finally:
        path.parent.rmdir()


def test_one_lock_a_folder_which_names_its_holder(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert data.locked()
        with pytest.raises(StateError, match=rf"already runs in .* \(process {holder.pid}\)"):
            data.lock()
        holder.kill()
    assert not data.locked()
    lock = data.lock()
    assert data.locked()
    lock.release()
    assert not data.locked()


def test_the_instance_is_told_while_it_holds_the_lock(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    with pytest.raises(StateError, match="no instance runs"):
        data.instance()
    instance = Instance(pid=1, started_ns=2, control="c", version="v")
    lock = data.lock()
    data.write_instance(instance)
    assert data.instance() == instance
    lock.release()
    with pytest.raises(StateError, match="no instance runs"):
        data.instance()
