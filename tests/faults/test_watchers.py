"""The core is killed while fifty clients watch: all are live again, in one new epoch, and counters balance."""

import asyncio
import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

import tickcast
from tickcast.testing.instance import ConfiguredInstance

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]

SYMBOLS = ("XNAS:AAPL", "AAPL", "BTC-USDT")
RAW = 45
SHIPPED = 5
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfiguredInstance]:
    with ConfiguredInstance(tmp_path_factory.mktemp("instance"), rate=400, symbols=20) as started:
        started.wait_ready()
        yield started


async def message(connection: ClientConnection, *types: str) -> dict[str, Any]:
    while (found := json.loads(await connection.recv()))["type"] not in types:
        continue
    return dict(found)


async def raw(url: str, watching: asyncio.Semaphore) -> dict[str, int]:
    """Watch, lose the connection, come back with ``reconnect``; returns the epochs afterwards, when all are live."""
    places: dict[str, dict[str, int]] = {}
    told = False
    async with connect(url, compression=None) as connection:
        await connection.send(json.dumps({"action": "subscribe", "symbols": SYMBOLS, "rate": 0}))
        try:
            while True:
                frame = await message(connection, "snapshot", "update")
                place = places.setdefault(frame["symbol"], {"epoch": 0, "seq": -1})
                place["epoch"], place["seq"] = frame.get("epoch", place["epoch"]), frame["seq"]
                if len(places) == len(SYMBOLS) and not told:
                    told = True
                    watching.release()
        except websockets.ConnectionClosed:
            pass
    while True:
        try:
            async with connect(url, compression=None) as connection:
                return await resumed(connection, places)
        except (OSError, websockets.WebSocketException):
            await asyncio.sleep(0.1)


async def resumed(connection: ClientConnection, places: dict[str, dict[str, int]]) -> dict[str, int]:
    await connection.send(json.dumps({"action": "reconnect", "resume": places, "rate": 0}))
    answer = await message(connection, "resumed")
    while any(row["state"] == "no_such_symbol" for row in answer["symbols"].values()):
        # The new core knows a symbol from when its feed has told it.
        await asyncio.sleep(0.2)
        await connection.send(json.dumps({"action": "reconnect", "resume": places, "rate": 0}))
        answer = await message(connection, "resumed")
    for symbol, row in answer["symbols"].items():
        assert (row["recovered"], row["reason"]) == (False, "epoch_changed"), symbol
        assert row["epoch"] > places[symbol]["epoch"], symbol
    states: dict[str, str] = {}
    seqs: dict[str, int] = {}
    while [states.get(symbol) for symbol in SYMBOLS] != ["live"] * len(SYMBOLS) or len(seqs) < len(SYMBOLS):
        frame = await message(connection, "snapshot", "update", "status")
        states[frame["symbol"]] = frame.get("state", states.get(frame["symbol"], ""))
        if frame["type"] != "status":
            assert frame["seq"] >= seqs.get(frame["symbol"], 0)
            seqs[frame["symbol"]] = frame["seq"]
    await connection.send('{"action":"sync"}')
    counted = (await message(connection, "synced"))["channels"]["price"]
    assert set(counted) == set(SYMBOLS)
    for symbol, row in counted.items():
        assert row["published"] == row["delivered"] + row["merged"] + row["lost"], symbol
    return {symbol: row["epoch"] for symbol, row in counted.items()}


async def shipped(url: str, watching: asyncio.Semaphore) -> tuple[list[str], dict[str, int]]:
    """What a program that uses the shipped client sees: the states of all symbols together, and the last epochs."""
    states: dict[str, str] = {}
    epochs: dict[str, int] = {}
    course: list[str] = []
    first: dict[str, int] = {}
    async with tickcast.connect(url) as client:
        async for tick in client.ticks(*SYMBOLS, rate=0):
            states[tick.symbol] = tick.state
            if tick.epoch is not None:
                epochs[tick.symbol] = tick.epoch
            together = "live" if list(states.values()) == ["live"] * len(SYMBOLS) else "not live"
            if not course or course[-1] != together:
                course.append(together)
            if together == "live" and not first:
                first = dict(epochs)
                watching.release()
            if together == "live" and first and all(epochs[symbol] > first[symbol] for symbol in SYMBOLS):
                break
    return course, epochs


async def test_fifty_watchers_survive_a_killed_core(instance: ConfiguredInstance) -> None:
    watching = asyncio.Semaphore(0)
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        plain = [group.create_task(raw(instance.stream_url, watching)) for _ in range(RAW)]
        library = [group.create_task(shipped(instance.stream_url, watching)) for _ in range(SHIPPED)]
        for _ in range(RAW + SHIPPED):
            await watching.acquire()
        before = await asyncio.to_thread(instance.ps)
        await asyncio.to_thread(instance.kill, "core", signal.SIGKILL)
    epochs = {tuple(sorted(task.result().items())) for task in plain}
    for task in library:
        course, last = task.result()
        assert course[-3:] == ["live", "not live", "live"]
        epochs.add(tuple(sorted(last.items())))
    assert len(epochs) == 1, "all clients came back into the same epoch"
    after = instance.ps()
    assert after["core"]["restarts"] == before["core"]["restarts"] + 1
    for name in ("xnas", "binance", "xsim"):
        assert after[name]["pid"] == before[name]["pid"], name
