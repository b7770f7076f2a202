"""The supervisor with real child processes; it runs as a process of its own, as in life."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tickcast.model.errors import StateError, UsageError
from tickcast.ops.config import SupervisorConfig
from tickcast.ops.control import ask
from tickcast.ops.datadir import DataDir
from tickcast.ops.process import ProcessSpec
from tickcast.ops.supervisor import Supervisor

LIVES = """
import signal, sys, threading
from tickcast.runtime.lifeline import bind_to_parent
bind_to_parent()
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
print('{"ready":true,"address":"127.0.0.1:1"}', flush=True)
print("said later", flush=True)
print("complained", file=sys.stderr, flush=True)
stop.wait()
"""
IGNORES_SIGTERM = LIVES.replace("lambda *_: stop.set()", "signal.SIG_IGN")
DIES = "import sys; print('cannot go on', file=sys.stderr); sys.exit(1)"
REFUSES = (
    "import sys; print('some log'); print('tickcast: feeds.a.venue: expected a venue', file=sys.stderr); sys.exit(2)"
)
SILENT = "from tickcast.runtime.lifeline import bind_to_parent; bind_to_parent(); import time; time.sleep(60)"

MAIN = """
import asyncio, json, sys
import msgspec
from tickcast.cli import main as entry
from tickcast.model.errors import TickcastError, UsageError
from tickcast.ops.config import SupervisorConfig
from tickcast.ops.datadir import DataDir
from tickcast.ops.process import ProcessSpec
from tickcast.ops.supervisor import Supervisor
from tickcast.runtime.log import configure
configure(log_format="json")
data, programs, config = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
specs = [ProcessSpec(name=n, role=r, argv=[sys.executable, "-c", p], after=tuple(a)) for n, r, p, a in programs]
async def main():
    supervisor = Supervisor(DataDir(data), specs, msgspec.convert(config, SupervisorConfig),
                            on_ready=lambda name, info: print(name, "ready", flush=True))
    return await supervisor.run()
try:
    sys.exit(asyncio.run(main()))
except TickcastError as wrong:
    print(f"tickcast: {wrong}", file=sys.stderr)
    sys.exit(2 if isinstance(wrong, UsageError) else 1)
"""


def until(what: Callable[[], Any], *, within_s: float = 20.0) -> Any:
    deadline = time.monotonic() + within_s
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within_s} s: {textwrap.shorten(str(what), 80)}, last {found!r}")
        time.sleep(0.02)


class Instance:
    """A supervisor process under test."""

    def __init__(self, data: Path, *programs: tuple[str, str, str, list[str]], **config: Any) -> None:
        self.data = DataDir(data)
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN, str(data), json.dumps(programs), json.dumps(config)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def rows(self) -> dict[str, dict[str, Any]]:
        try:
            return {row["name"]: row for row in ask(self.data, {"do": "ps"})}
        except StateError:
            return {}

    def log(self) -> str:
        path = self.data.log("supervisor")
        return path.read_text() if path.exists() else ""

    def states(self) -> dict[str, str]:
        return {name: row["state"] for name, row in self.rows().items()}

    def running(self) -> dict[str, dict[str, Any]]:
        """Rows, once every process runs."""

        def all_running() -> dict[str, dict[str, Any]] | None:
            rows = self.rows()
            return rows if rows and all(row["state"] == "running" for row in rows.values()) else None

        found: dict[str, dict[str, Any]] = until(all_running)
        return found

    def end(self) -> tuple[int, str]:
        self.process.terminate()
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Instance]]:
    instances: list[Instance] = []

    def start(*programs: tuple[str, str, str, list[str]], **config: Any) -> Instance:
        instances.append(Instance(tmp_path / "data", *programs, **config))
        return instances[-1]

    yield start
    for instance in instances:
        if instance.process.poll() is None:
            instance.process.kill()
        instance.process.communicate()


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_starts_in_order_and_tells_what_runs(start: Callable[..., Instance]) -> None:
    instance = start(("core", "core", LIVES, []), ("a", "feed", LIVES, ["core"]))
    rows = instance.running()
    assert list(rows) == ["supervisor", "core", "a"]
    assert rows["supervisor"]["pid"] == instance.process.pid
    assert {row["restarts"] for row in rows.values()} == {0}
    assert ask(instance.data, {"do": "info"})["processes"]["core"] == {"address": "127.0.0.1:1"}
    until(lambda: instance.data.log("a").exists() and len(instance.data.log("a").read_text().splitlines()) == 2)
    assert sorted(instance.data.log("a").read_text().splitlines()) == ["complained", "said later"]
    status, _ = instance.end()
    assert status == 0
    assert all(gone(row["pid"]) for row in rows.values())
    assert '"stopped"' in instance.log()


def test_a_killed_process_is_back_and_the_others_do_not_notice(start: Callable[..., Instance]) -> None:
    instance = start(("core", "core", LIVES, []), ("a", "feed", LIVES, []), ("b", "feed", LIVES, []))
    before = instance.running()
    os.kill(before["a"]["pid"], signal.SIGKILL)
    killed = time.monotonic()
    after = until(lambda: (rows := instance.running()) and rows["a"]["pid"] != before["a"]["pid"] and rows)
    assert time.monotonic() - killed < 5
    assert after["a"]["restarts"] == 1
    assert after["a"]["last_error"] == "killed by SIGKILL", "not what it wrote while it worked"
    assert {name: after[name]["pid"] for name in ("core", "b")} == {name: before[name]["pid"] for name in ("core", "b")}


def test_a_crash_loop_is_slowed_down_and_said(start: Callable[..., Instance]) -> None:
    instance = start(("a", "feed", DIES, []), ("b", "feed", LIVES, []), restart_delay_s=0.05, restart_delay_max_s=30)
    until(lambda: "crash loop, slowed down" in instance.log(), within_s=30)
    row = until(lambda: (r := instance.rows().get("a", {})).get("state") == "backoff" and r)
    assert row["last_error"] == "exit status 1: cannot go on"
    assert row["pid"] is None
    lines = [json.loads(line) for line in instance.log().splitlines()]
    delays = [line["next_start_s"] for line in lines if "next_start_s" in line]
    assert delays == [0.05 * 2**n for n in range(len(delays))]
    assert instance.rows()["b"]["restarts"] == 0


@pytest.mark.parametrize("stopped", [False, True], ids=["ignores SIGTERM", "ignores SIGTERM and is stopped"])
def test_everything_is_gone_in_time(start: Callable[..., Instance], stopped: bool) -> None:
    instance = start(("core", "core", LIVES, []), ("a", "feed", IGNORES_SIGTERM, []), stop_s=3)
    rows = instance.running()
    if stopped:
        os.kill(rows["a"]["pid"], signal.SIGSTOP)
    asked = time.monotonic()
    status, _ = instance.end()
    assert time.monotonic() - asked < 10
    assert status == 0
    assert all(gone(row["pid"]) for row in rows.values())


def test_a_stopped_process_ends_orderly(start: Callable[..., Instance]) -> None:
    instance = start(("a", "feed", LIVES, []))
    rows = instance.running()
    os.kill(rows["a"]["pid"], signal.SIGSTOP)
    status, errors = instance.end()
    assert status == 0
    assert "killed" not in errors
    assert gone(rows["a"]["pid"])


def test_no_orphan_when_the_supervisor_is_killed(start: Callable[..., Instance]) -> None:
    instance = start(
        ("core", "core", LIVES, []), ("a", "feed", LIVES, []), ("b", "feed", IGNORES_SIGTERM, []),
        ("c", "feed", SILENT, []),
    )  # fmt: skip
    rows = until(
        lambda: (
            (r := instance.rows())
            and all(x["pid"] for x in r.values())
            and {r["a"]["state"], r["b"]["state"]} == {"running"}  # a is tied to its parent before it is stopped
            and r
        )
    )
    os.kill(rows["a"]["pid"], signal.SIGSTOP)
    instance.process.kill()
    instance.process.wait()  # its last thread lets go of the lock
    until(lambda: all(gone(row["pid"]) for row in rows.values()), within_s=20)
    with pytest.raises(StateError, match="no instance runs"):
        instance.data.instance()
    again = start(("core", "core", LIVES, []))  # the lock of a killed instance does not hold
    assert again.running()["core"]["restarts"] == 0


def test_a_second_instance_on_the_folder_is_refused(start: Callable[..., Instance]) -> None:
    first = start(("a", "feed", LIVES, []))
    first.running()
    second = start(("a", "feed", LIVES, []))
    _, errors = second.process.communicate(timeout=20)
    assert second.process.returncode == 1
    assert f"process {first.process.pid}" in errors
    assert first.states() == {"supervisor": "running", "a": "running"}


def test_a_refused_config_stops_everything(start: Callable[..., Instance]) -> None:
    instance = start(("core", "core", LIVES, []), ("a", "feed", REFUSES, ["core"]))
    _, errors = instance.process.communicate(timeout=20)
    assert instance.process.returncode == 2
    assert errors.splitlines()[-1] == "tickcast: a: feeds.a.venue: expected a venue"


def test_a_process_that_is_never_ready_is_started_again(start: Callable[..., Instance]) -> None:
    instance = start(("a", "feed", SILENT, []), ready_s=0.5)
    row = until(lambda: (r := instance.rows().get("a", {})).get("restarts", 0) >= 1 and r)
    assert "SIGKILL" in row["last_error"]
    assert "not ready in time" in instance.log()


def test_commands(start: Callable[..., Instance]) -> None:
    instance = start(("core", "core", LIVES, []), ("a", "feed", LIVES, []))
    before = instance.running()
    assert ask(instance.data, {"do": "stop", "name": "a"})["state"] == "stopped"
    assert gone(before["a"]["pid"])
    assert instance.states() == {"supervisor": "running", "core": "running", "a": "stopped"}
    ask(instance.data, {"do": "start", "name": "a"})
    started = instance.running()["a"]
    with pytest.raises(StateError, match=f"already runs as process {started['pid']}"):
        ask(instance.data, {"do": "start", "name": "a"})
    ask(instance.data, {"do": "restart", "name": "a"})
    assert instance.running()["a"]["pid"] != started["pid"]
    with pytest.raises(UsageError, match="there is no process 'b'; there are: core, a"):
        ask(instance.data, {"do": "restart", "name": "b"})
    with pytest.raises(UsageError, match="expected ps, info, reload, start, stop, restart or replace, found 'dance'"):
        ask(instance.data, {"do": "dance"})
    ask(instance.data, {"do": "stop"})
    assert instance.process.wait(timeout=20) == 0


def test_a_restart_for_somebody_who_must_be_answered_comes_after_the_answer_and_not_twice(
    start: Callable[..., Instance],
) -> None:
    instance = start(("core", "core", LIVES, []), ("gateway1", "gateway", LIVES, []), ("a", "feed", LIVES, []))
    before = instance.running()
    done = ask(instance.data, {"do": "restart", "name": "core", "by": "key:ann"})
    assert (done["accepted"], done["pid"]) == (True, before["core"]["pid"])
    assert "connections stay" in done["clients"], "the worker has them"
    again = ask(instance.data, {"do": "restart", "name": "core", "by": "key:bob"})
    assert not again["accepted"]
    assert 0 < again["retry_s"] <= 10
    other = ask(instance.data, {"do": "restart", "name": "a", "by": "key:bob"})
    assert "are stale until the feed is live again" in other["clients"], "each process by itself"
    until(lambda: instance.running()["core"]["pid"] != before["core"]["pid"])
    until(lambda: instance.running()["a"]["pid"] != before["a"]["pid"])
    assert instance.running()["gateway1"]["pid"] == before["gateway1"]["pid"]
    assert instance.running()["core"]["restarts"] == before["core"]["restarts"] + 1
    ask(instance.data, {"do": "restart", "name": "core"})  # who is on this machine knows what it does
    with pytest.raises(UsageError, match="there is no process 'b'"):
        ask(instance.data, {"do": "restart", "name": "b", "by": "key:ann"})
    log = instance.log()
    assert '"by":"key:ann"' in log.replace('": "', '":"')
    assert "too soon" in log


def spec(name: str, *after: str) -> ProcessSpec:
    return ProcessSpec(name=name, role="feed", argv=["true"], after=after)


@pytest.mark.parametrize(
    "specs", [[spec("a"), spec("a")], [spec("supervisor")], [spec("a/b")], [spec("a", "b"), spec("b")]]
)
def test_impossible_specs_are_refused(specs: list[ProcessSpec], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Supervisor(DataDir(tmp_path), specs, SupervisorConfig())
