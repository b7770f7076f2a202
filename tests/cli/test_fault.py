"""``tickcast sim fault`` against simulated exchanges that run, and its complaints."""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tickcast.cli.main import cli
from tickcast.model.errors import StateError, UsageError
from tickcast.ops.control import ControlServer
from tickcast.ops.datadir import DataDir, Instance
from tickcast.sim.config import Config, SoupItchConfig, VenueConfig, XsimConfig
from tickcast.sim.server import Simulator


@pytest.fixture(scope="module")
def admin() -> Iterator[str]:
    """Two exchanges in a loop of their own, as they are in a process of their own."""
    ready, stop = threading.Event(), asyncio.Event()
    found: list[str] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        venues: dict[str, VenueConfig] = {"XNAS": SoupItchConfig(), "XSIM": XsimConfig()}
        simulator = Simulator(Config(symbols=10, rate=100, venues=venues))
        found.append((await simulator.start())["admin"])
        ready.set()
        await stop.wait()
        await simulator.stop()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(20)
    yield found[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["sim", "fault", *arguments], standalone_mode=False)


def said(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exception is None, result.exception
    return result.output


def test_a_fault_is_armed_shown_and_cleared(admin: str) -> None:
    assert said("XNAS", "drop", "--count", "5", "--every", "100", "--admin", admin) == "XNAS: drop (5 left)\n"
    assert said("XNAS", "stall", "--for-s", "60", "--admin", admin).startswith("XNAS: drop (5 left), stall (")
    assert said("XNAS", "clock", "--offset-s", "-3600", "--admin", admin).endswith("clock (until cleared)\n")
    found = json.loads(said("--list", "--json", "--admin", admin))
    assert [one["fault"] for one in found["venues"]["XNAS"]["armed"]] == ["drop", "stall", "clock"]
    assert found["venues"]["XSIM"]["armed"] == []
    assert said("XNAS", "clear", "--admin", admin) == "XNAS: nothing armed\n"


def test_a_fault_that_happens_at_once_is_said_to_be_done(admin: str) -> None:
    assert said("XNAS", "disconnect", "--admin", admin) == "XNAS: disconnect: done\n"
    said("XNAS", "drop", "--count", "5", "--admin", admin)
    assert said("XNAS", "disconnect", "--admin", admin) == "XNAS: disconnect: done; still armed: drop (5 left)\n"
    said("XNAS", "clear", "--admin", admin)


def test_the_list_names_what_each_venue_can_do(admin: str) -> None:
    table = said("--list", "--admin", admin)
    assert {line.split()[0] for line in table.splitlines()} >= {"VENUE", "XNAS", "XSIM"}
    assert "refuse_login" in table
    one = json.loads(said("XSIM", "--json", "--admin", admin))
    assert list(one["venues"]) == ["XSIM"]
    assert "throttle" in one["venues"]["XSIM"]["supports"]
    assert "throttle" not in found_verbs(admin, "XNAS")


def found_verbs(admin: str, venue: str) -> dict[str, str]:
    return dict(json.loads(said(venue, "--json", "--admin", admin))["venues"][venue]["supports"])


@contextmanager
def supervised(folder: Path, processes: dict[str, Any]) -> Iterator[DataDir]:
    """A data folder whose supervisor says what its processes said; None: not ready yet."""
    data = DataDir(folder)
    data.create()
    lock = data.lock()
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def answer(request: Mapping[str, Any]) -> Any:
        if request["do"] == "ps":
            return [{"name": name} for name in processes]
        return {"processes": {name: info for name, info in processes.items() if info is not None}}

    async def serve() -> None:
        server = ControlServer(data.control, answer)
        await server.start()
        data.write_instance(Instance(pid=1, started_ns=0, control=str(data.control), version=""))
        ready.set()
        await stop.wait()
        await server.stop()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(20)
    try:
        yield data
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
        lock.release()


def test_the_demo_is_found_by_its_data_folder(admin: str, tmp_path: Path) -> None:
    with supervised(tmp_path, {"core": {}, "sim": {"admin": admin}}) as data:
        assert said("XSIM", "throttle", "--data", str(data)) == "XSIM: throttle (3 left)\n"
        assert said("XSIM", "clear", "--data", str(data)) == "XSIM: nothing armed\n"


def test_an_instance_of_real_venues_has_no_faults(tmp_path: Path) -> None:
    with supervised(tmp_path, {"core": {}}) as data:
        missing = run("XSIM", "drop", "--data", str(data)).exception
        assert isinstance(missing, StateError)
        assert "no exchange of this instance is simulated" in str(missing)


def test_exchanges_that_are_not_ready_yet_are_said_to_be(tmp_path: Path) -> None:
    with supervised(tmp_path, {"sim": None}) as data:
        missing = run("XSIM", "drop", "--data", str(data)).exception
        assert isinstance(missing, StateError)
        assert "not ready yet" in str(missing)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "expected VENUE and a verb, or --list, found neither; nothing armed"),
        (("--list", "XNAS", "drop"), "expected --list or a verb, found --list and drop"),
        (("XNAS", "--count", "3"), "expected a verb for count, found none"),
        (("XNAS", "explode"), "explode"),
        (("XNAS", "throttle"), "expected a fault of drop, duplicate, .*, found throttle; nothing armed"),
        (("XNAS", "drop", "--line", "A"), "expected a line of none, found A; nothing armed"),
        (("XNAS", "drop", "--for-s", "-1"), "for_s"),
        (("XNAS", "drop", "--for-s", "nan"), "--for-s: expected a number, found nan; nothing armed"),
        (("XNAS", "clock", "--offset-s", "inf"), "--offset-s: expected a number, found inf; nothing armed"),
        (("XLON", "drop"), "expected a venue of XNAS, XSIM, found XLON; nothing armed"),
        (("XLON",), "expected a venue of XNAS, XSIM, found XLON"),
    ],
)
def test_what_makes_no_sense_is_the_users_error(admin: str, arguments: tuple[str, ...], text: str) -> None:
    result = run(*arguments, "--admin", admin)
    assert isinstance(result.exception, UsageError)
    with pytest.raises(UsageError, match=text):
        raise result.exception


def test_no_demo_and_no_answer_are_said(tmp_path: Path) -> None:
    missing = run("XNAS", "drop", "--data", str(tmp_path)).exception
    assert isinstance(missing, StateError)
    assert "name the data folder of a demo with --data" in str(missing)
    silent = run("XNAS", "drop", "--admin", "http://127.0.0.1:1").exception
    assert isinstance(silent, StateError)
    assert "do not answer" in str(silent)
