"""What surrounds an instance is wrong: its config, its folder, its port, its disk. One clear message, or it goes on."""

import contextlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]

GOOD = '[gateway]\nport = 0\n[feeds.xsim]\nvenue = "XSIM"\nrest_url = "http://127.0.0.1:9"\n'


def up(config: Path, data: Path, *options: str) -> tuple[int, str]:
    """Status and error text of ``tickcast up``."""
    done = subprocess.run(
        [sys.executable, "-m", "tickcast", "up", "--config", str(config), "--data", str(data), *options],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tickcast.toml"
    path.write_text(GOOD)
    return path


@pytest.fixture(scope="module")
def tiny_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path_factory.mktemp("disk")
    mount = shutil.which("mount")
    if mount is None:
        pytest.skip("there is no mount command")
    done = subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("a small file system cannot be mounted here (not permitted)")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> Path:
    """Take all space that is left."""
    path = disk / "fill"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            continue
    assert shutil.disk_usage(disk).free == 0
    return path


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[gateway]\nprot = 1", 2, "gateway.prot: unknown key, did you mean port? allowed here: host, port, "),
        ("[gateway]\nport = '80'", 2, 'gateway.port: expected a whole number, found "80"'),
        (
            "[feeds.x]\nvenue = 'XLON'",
            2,
            "feeds.x.venue: expected one of XNAS, XBOS, BATS, XNYS, XSIM, BINANCE, ",
        ),
        ("[gateway\nport = 1", 1, "not valid TOML: Expected ']'"),
    ],
    ids=["unknown key", "wrong type", "unknown venue", "syntax"],
)
def test_a_wrong_config_starts_nothing(config: Path, tmp_path: Path, text: str, line: int, message: str) -> None:
    config.write_text(text)
    status, said = up(config, tmp_path / "data")
    assert status == 2
    assert said.startswith(f"tickcast: {config}:{line}: {message}")
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "data").exists()


def test_a_missing_config_is_named(tmp_path: Path) -> None:
    status, said = up(tmp_path / "none.toml", tmp_path / "data")
    missing = f"the config file {tmp_path / 'none.toml'} cannot be read: No such file or directory"
    assert (status, said) == (
        2, f"tickcast: {missing}; name yours with --config, or begin one with `tickcast init`\n"
    )  # fmt: skip


@pytest.mark.parametrize("place", ["/proc/tickcast", "tickcast.toml", "tickcast.toml/data"])
def test_an_unwritable_data_folder_is_named(config: Path, place: str) -> None:
    data = config.parent / place
    status, said = up(config, data)
    assert status == 2
    assert said.startswith(f"tickcast: the data folder {data} cannot be written: ")
    assert "--data" in said
    assert len(said.splitlines()) == 1


def test_a_taken_port_is_said_once_and_leaves_nothing_running(config: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, said = up(config, tmp_path / "data", "--port", str(port))
    assert status == 2
    (message,) = [line for line in said.splitlines() if line.startswith("tickcast: ")]
    assert f"port {port}" in message
    assert not (tmp_path / "data" / "control.sock").exists()


def test_a_full_disk_at_the_start_is_said(config: Path, tiny_disk: Path) -> None:
    (tiny_disk / "full").mkdir()
    full = fill(tiny_disk)
    try:
        status, said = up(config, tiny_disk / "full")
    finally:
        full.unlink()
    assert status == 2
    (message,) = [line for line in said.splitlines() if line.startswith("tickcast: ")]
    assert message.startswith(f"tickcast: the data folder {tiny_disk / 'full'} cannot be written: No space left")
    assert "Traceback" not in said
