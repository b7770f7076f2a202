"""The systemd unit: what it may do is little, and tickcast runs with that."""

import configparser
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tickcast.testing.instance import eventually

FOLDER = Path(__file__).parents[2] / "deploy/systemd"
UNIT = FOLDER / "tickcast.service"
ANALYZE = shutil.which("systemd-analyze")
WITHOUT_NEW_CODE = (
    "import ctypes,os,sys;ctypes.CDLL(None).prctl(38,1,0,0,0);"  # PR_SET_NO_NEW_PRIVS
    "ctypes.CDLL(None).prctl(65,1,0,0,0) and sys.exit(77);"  # PR_SET_MDWE, what MemoryDenyWriteExecute is
    "os.execv(sys.executable,[sys.executable,'-m','tickcast',*sys.argv[1:]])"
)


def service() -> dict[str, list[str]]:
    """Settings of ``[Service]``; those that are repeated in their order."""
    found: dict[str, list[str]] = {}
    section = UNIT.read_text().split("[Service]\n")[1].split("\n[")[0]
    for line in section.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_the_unit_is_a_unit() -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(UNIT.read_text())
    assert parser.sections() == ["Unit", "Service", "Install"]


def test_it_has_no_privilege_and_writes_to_its_state_alone() -> None:
    settings = service()
    expected = {
        "User": "tickcast", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "",
        "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes",
        "PrivateUsers": "yes",
        "ProtectKernelTunables": "yes", "ProtectControlGroups": "yes", "RestrictNamespaces": "yes", "UMask": "0077",
        "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6", "SystemCallArchitectures": "native",
        "MemoryDenyWriteExecute": "yes", "StateDirectory": "tickcast", "StateDirectoryMode": "0700", "LimitCORE": "0",
    }  # fmt: skip
    assert {name: settings.get(name) for name in expected} == {name: [value] for name, value in expected.items()}
    assert settings["SystemCallFilter"] == ["@system-service", "~@privileged"]
    assert "ReadWritePaths" not in settings
    assert "u tickcast " in (FOLDER / "tickcast.sysusers").read_text()


def test_it_is_bounded_and_holds_no_secret() -> None:
    settings = service()
    assert int(settings["LimitNOFILE"][0]) > 100_000
    assert all(name in settings for name in ("MemoryMax", "TasksMax", "TimeoutStopSec"))
    assert "Environment" not in settings, "secrets come from files"
    assert not re.search(r"(token|password|secret)\s*=\s*[\"']?\w{8,}", UNIT.read_text().replace("password_file", ""))


@pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze on this machine")
def test_systemd_finds_nothing_to_complain_about(tmp_path: Path) -> None:
    assert ANALYZE is not None
    copy = tmp_path / "tickcast.service"
    text = UNIT.read_text().replace("/opt/tickcast/bin/tickcast", sys.executable)
    copy.write_text(re.sub(r"^(User|Group)=.*", r"\1=root", text, flags=re.MULTILINE))
    verified = subprocess.run([ANALYZE, "verify", copy], capture_output=True, text=True, check=False)
    assert "tickcast.service" not in verified.stderr, verified.stderr
    scored = subprocess.run(
        [ANALYZE, "security", "--offline=true", "--no-pager", UNIT], capture_output=True, text=True, check=False
    )
    level = re.search(r"Overall exposure level for tickcast.service: ([\d.]+)", scored.stdout)
    if level is None:
        pytest.skip("this systemd-analyze does not judge files")
    assert float(level[1]) <= 1.5, scored.stdout


@pytest.mark.slow
def test_an_instance_runs_without_memory_that_can_be_written_and_executed(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ("demo", "--port", str(port), "--data", str(tmp_path), "--rate", "300", "--symbols", "12")
    running = subprocess.Popen(
        [sys.executable, "-c", WITHOUT_NEW_CODE, *arguments, "--exchanges", "XNAS"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:

        def ready() -> bool:
            if running.poll() == 77:
                pytest.skip("this kernel cannot forbid it (Linux 6.3 or newer)")
            assert running.poll() is None
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
                    return bool(json.load(answer)["status"] == "ready")
            except (urllib.error.URLError, OSError):
                return False

        eventually(ready, deadline_s=60)
    finally:
        running.terminate()
        running.communicate(timeout=30)
