"""What the core asks of its supervisor, and of simulated exchanges by the address that they told it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tickcast.model.errors import StateError, UsageError
from tickcast.model.fault import Fault
from tickcast.ops.control import ControlServer
from tickcast.ops.datadir import DataDir, Instance
from tickcast.ops.exchanges import ExchangeControl, ask_exchanges
from tickcast.ops.process_control import ProcessControl
from tickcast.sim.config import Config, XsimConfig
from tickcast.sim.server import Simulator


@asynccontextmanager
async def supervised(folder: Path, infos: Mapping[str, Any]) -> AsyncIterator[DataDir]:
    """A data folder with a supervisor that says what its processes said; None: not ready."""
    data = DataDir(folder)
    data.create()
    lock = data.lock()

    async def answer(request: Mapping[str, Any]) -> Any:
        match request["do"]:
            case "ps":
                return [{"name": name} for name in infos]
            case "info":
                return {"processes": {name: info for name, info in infos.items() if info is not None}}
            case _:
                return dict(request)

    server = ControlServer(data.control, answer)
    await server.start()
    data.write_instance(Instance(pid=1, started_ns=0, control=str(data.control), version=""))
    try:
        yield data
    finally:
        await server.stop()
        lock.release()


async def test_the_supervisor_is_asked(tmp_path: Path) -> None:
    async with supervised(tmp_path, {"core": {}}) as data:
        control = ProcessControl(data)
        assert await control.rows() == [{"name": "core"}]
        assert await control.restart("core", by="key:ann") == {"do": "restart", "name": "core", "by": "key:ann"}


async def test_a_core_that_nobody_keeps_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no supervisor keeps the processes"):
        await ProcessControl(DataDir(tmp_path)).rows()
    assert await ExchangeControl(DataDir(tmp_path)).faults() is None


async def test_faults_reach_the_exchange(tmp_path: Path) -> None:
    simulator = Simulator(Config(symbols=10, rate=100, venues={"XSIM": XsimConfig()}))
    admin = (await simulator.start())["admin"]
    try:
        async with supervised(tmp_path, {"sim": {"admin": admin}}) as data:
            control = ExchangeControl(data)
            state = await control.arm("XSIM", Fault(fault="throttle", count=3))
            assert [(one["fault"], one["left"]) for one in state["armed"]] == [("throttle", 3)]
            found = await control.faults()
            assert found is not None
            assert found["venues"]["XSIM"]["armed"] == state["armed"]
            assert (await control.clear("XSIM"))["armed"] == []
            with pytest.raises(UsageError, match="found reorder; nothing armed"):
                await control.arm("XSIM", Fault(fault="reorder"))
            with pytest.raises(UsageError, match="expected a venue of XSIM, found XLON"):
                await control.clear("XLON")
    finally:
        await simulator.stop()


async def test_without_simulated_exchanges_nothing_is_asked(tmp_path: Path) -> None:
    async with supervised(tmp_path, {"core": {"admin": "http://127.0.0.1:1"}}) as data:
        assert await ExchangeControl(data).faults() is None
        with pytest.raises(StateError, match="no exchange of this instance is simulated"):
            await ExchangeControl(data).arm("XSIM", Fault(fault="drop"))


async def test_exchanges_that_are_away_are_said_to_be(tmp_path: Path) -> None:
    async with supervised(tmp_path / "starting", {"sim": None}) as data:
        with pytest.raises(StateError, match="not ready yet"):
            await ExchangeControl(data).faults()
    async with supervised(tmp_path / "gone", {"sim": {"admin": "http://127.0.0.1:1"}}) as data:
        with pytest.raises(StateError, match="do not answer"):
            await ExchangeControl(data).faults()
    with pytest.raises(UsageError, match="expected an address"):
        await ask_exchanges("http://", "GET", "/faults")
