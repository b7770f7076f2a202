import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tickcast.cli.doctor import build_tool, doctor, examine
from tickcast.ops.datadir import DataDir


def findings(tmp_path: Path, config: str = "[gateway]\nport = 0\n") -> dict[str, dict[str, str]]:
    file = tmp_path / "tickcast.toml"
    file.write_text(config)
    result = CliRunner().invoke(doctor, ["--json", "--config", str(file), "--data", str(tmp_path / "data")])
    said = json.loads(result.output)
    states = [finding["state"] for finding in said["findings"]]
    assert said["can_run"] == ("missing" not in states)
    assert result.exit_code == (0 if said["can_run"] else 1)
    return {finding["what"]: finding for finding in said["findings"]}


def test_what_is_there_is_good(tmp_path: Path) -> None:
    found = findings(tmp_path)
    for what in ("tickcast", "python", "platform", "libraries", "config", "data folder", "port"):
        assert found[what]["state"] == "good", found[what]
    assert not (tmp_path / "data").exists()


def test_a_taken_port_keeps_it_from_running(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = findings(tmp_path, f"[gateway]\nport = {port}\n")[f"port {port}"]
    assert found["state"] == "missing"
    assert "Address already in use" in found["found"]
    assert "gateway.port" in found["advice"]


def test_a_wrong_config_keeps_it_from_running(tmp_path: Path) -> None:
    found = findings(tmp_path, "[gateway]\nport = 0\nx = 1\n")["config"]
    assert found["state"] == "missing"
    assert ":3: gateway.x: unknown key" in found["found"]


def test_the_status_is_that_of_the_process_too(tmp_path: Path) -> None:
    file = tmp_path / "tickcast.toml"
    file.write_text("[gateway]\nprot = 1\n")
    command = [sys.executable, "-m", "tickcast", "doctor", "--data", "data"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "gateway.prot" in done.stdout, "the file that tickcast up would take"
    assert "tickcast cannot run" in done.stdout
    assert done.returncode == 1


def test_a_data_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = {f.what: f for f in examine(None, DataDir(tmp_path / "file" / "data"))}["data folder"]
    assert found.state == "missing"


@pytest.mark.parametrize(
    ("said", "state"),
    [("v20.20.2", "good"), ("v18.1.0", "warning"), ("nonsense", "warning"), (None, "warning")],
)
def test_tools_for_building(said: str | None, state: str, tmp_path: Path) -> None:
    tool = tmp_path / "node"
    tool.write_text(f"#!/bin/sh\necho {said}\n")
    tool.chmod(0o755)
    found = build_tool("node", r"v(\d+)\.(\d+)", (20, 19), "get it", lambda _: str(tool) if said else None)
    assert found.state == state
    assert (found.advice is None) == (state == "good")
