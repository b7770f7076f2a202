import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tickcast.cli.main import cli
from tickcast.gateway.auth.access import Denied
from tickcast.gateway.auth.keys import KeyStore
from tickcast.model.errors import UsageError
from tickcast.ops.datadir import DataDir


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["keys", *arguments, "--data", str(folder)])


def listed(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(folder, "list", "--json").stdout)
    return found


def test_a_key_is_made_listed_used_and_withdrawn(tmp_path: Path) -> None:
    options = (
        "--symbols",
        "XNAS:*, AAPL",
        "--channels",
        "price,book",
        "--depth",
        "10",
        "--rate",
        "5",
        "--expires",
        "90d",
    )
    made = run(tmp_path, "add", "desk-7", *options, "--connections", "3", "--delayed")
    key = made.stdout.strip()
    (row,) = listed(tmp_path)
    assert "it is not shown again" in made.stderr
    assert f"in {tmp_path}, where no instance runs now" in made.stderr
    assert key not in run(tmp_path, "list").output + json.dumps(row)
    wanted = {
        "name": "desk-7", "state": "valid", "symbols": ["XNAS:*", "AAPL"], "channels": ["price", "book"], "depth": 10,
        "rate": 5, "connections": 3, "delayed": True, "admin": False, "revoked": None,
    }  # fmt: skip
    assert {name: row[name] for name in wanted} == wanted
    store = KeyStore(tmp_path / "auth")
    access = store.admit(key, time.time_ns())
    assert access.may_see("XNAS:MSFT")
    assert 89 * 86_400 < (access.until_ns - time.time_ns()) / 1e9 <= 90 * 86_400
    assert "is withdrawn" in run(tmp_path, "revoke", row["id"]).output
    assert "nothing is changed" in run(tmp_path, "revoke", "desk-7").output
    assert listed(tmp_path)[0]["state"] == "revoked"
    with pytest.raises(Denied):
        store.admit(key, time.time_ns())


def test_where_an_instance_runs_its_folder_is_not_asked_about(tmp_path: Path) -> None:
    held = DataDir(tmp_path).lock()
    try:
        assert "where no instance" not in run(tmp_path, "add", "ann").stderr
    finally:
        held.release()


def test_without_options_a_key_sees_nothing(tmp_path: Path) -> None:
    made = json.loads(run(tmp_path, "add", "ann", "--json").stdout)
    assert (made["symbols"], made["admin"], made["until"]) == ([], False, None)
    assert not KeyStore(tmp_path / "auth").admit(made["key"], time.time_ns()).may_see("AAPL")
    assert "none" in run(tmp_path, "list").output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "ann", "--symbols", "A:B:C"), "symbols"),
        (("add", "ann", "--channels", "prices"), "channels"),
        (("add", "ann", "--expires", "soon"), "--expires"),
        (("add", " ann"), "expected a name"),
        (("revoke", "nobody"), "no key with the id or name"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_made(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    result = run(tmp_path, *arguments)
    assert isinstance(result.exception, UsageError)
    assert says in str(result.exception)
    assert listed(tmp_path) == []


def test_into_a_pipe_the_table_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    symbols = [f"XNAS:SYMBOL{number:02}" for number in range(40)]
    run(tmp_path, "add", "a-name-that-is-rather-long", "--symbols", ",".join(symbols), "--channels", "price,book")
    (row,) = listed(tmp_path)
    heading, line = run(tmp_path, "list").output.splitlines()
    assert heading.split()[:3] == ["ID", "NAME", "STATE"]
    for value in (row["id"], row["name"], " ".join(symbols), "price book", row["created"]):
        assert value in line
