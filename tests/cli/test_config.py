import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tickcast.cli.config import config
from tickcast.config import Config, load, reference
from tickcast.model.errors import UsageError


def run(*arguments: str) -> str:
    result = CliRunner().invoke(config, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_show_without_a_file_is_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "shown.toml"
    file.write_text(run("show"))
    assert load(file) == Config()
    assert json.loads(run("show", "--json"))["gateway"]["host"] == "127.0.0.1"


def test_check_says_that_a_file_is_good(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[feeds.xsim]\nvenue = "XSIM"\n')
    assert run("check", str(file)) == f"{file}: good (1 feeds, 0 declared securities)\n"


def test_schema_and_reference() -> None:
    assert json.loads(run("schema"))["title"] == "tickcast config"
    assert run("reference") == reference()


def test_a_wrong_file_is_one_line_and_status_2(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[gateway]\nprot = 1\n")
    done = subprocess.run(
        [sys.executable, "-m", "tickcast", "config", "check", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"tickcast: {file}:2: gateway.prot: unknown key, did you mean port?")
    assert len(done.stderr.splitlines()) == 1


def test_check_without_any_file_says_where_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(config, ["check"])
    assert isinstance(result.exception, UsageError)
    assert "`tickcast init`" in str(result.exception)
    assert "`tickcast up --config`" in str(result.exception)
    (tmp_path / "tickcast.toml").write_text("")
    assert run("check") == "tickcast.toml: good (0 feeds, 0 declared securities)\n"
