"""Gateway workers of a whole instance: killed, replaced, stopped, with their clients; nobody is refused meanwhile."""

import asyncio
import json
import os
import signal
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tickcast.gateway.owner import IDLE_S
from tickcast.runtime.clock import pause
from tickcast.testing.follower import CHANNELS, Follower
from tickcast.testing.instance import DemoInstance, eventually
from tickcast.testing.rude import HANDSHAKE, RudeClient

SYMBOLS = ("XNAS:AAPL", "XNAS:MSFT", "XNAS:NVDA")
pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoInstance]:
    folder = tmp_path_factory.mktemp("workers")
    with DemoInstance(folder, "--gateways", "2", rate=300, symbols=12, exchanges=("XNAS", "XSIM")) as started:
        started.wait_ready(deadline_s=60)
        yield started


def listening(pid: int) -> set[str]:
    """Inodes of the TCP sockets that a process holds and somebody listens on."""
    held = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            held.add(target[8:-1])
    lines = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return held & {line[9] for line in lines if line[3] == "0A"}


class Asking:
    """Asks for ``/health/live`` on new connections, one after the other, and remembers what failed."""

    def __init__(self, instance: DemoInstance) -> None:
        self._instance = instance
        self._stop = asyncio.Event()
        self.asked = 0
        self.failed: list[str] = []

    async def run(self) -> None:
        while not self._stop.is_set():
            try:
                await asyncio.to_thread(self._ask)
            except ConnectionRefusedError as refused:
                self.failed.append(repr(refused))
            except OSError:
                # the worker that had accepted it was killed: the client asks again
                self.asked -= 1
            self.asked += 1

    def _ask(self) -> None:
        with socket.create_connection(("127.0.0.1", self._instance.port), timeout=10) as link:
            link.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if not link.recv(1000).startswith(b"HTTP/1.1 200"):
                raise OSError("no answer")

    def stop(self) -> None:
        self._stop.set()


def workers(instance: DemoInstance) -> dict[str, dict[str, Any]]:
    return {name: row for name, row in instance.ps().items() if row["role"] == "gateway"}


def running(instance: DemoInstance, *, unlike: int) -> bool:
    rows = workers(instance)
    return all(row["state"] == "running" and row["pid"] != unlike for row in rows.values())


def connections(instance: DemoInstance) -> list[float]:
    return [instance.metric(f'tickcast_gateway_connections{{process="gateway{number}"}}') for number in (1, 2)]


@contextmanager
def followed(instance: DemoInstance, count: int = 4) -> Iterator[list[Follower]]:
    """Clients of all channels, one of trades alone and one of bars alone; at the end what each got adds up."""
    channels = [*[CHANNELS] * count, ("trades",), ("bars",)]
    with ExitStack() as stack:
        found = [stack.enter_context(Follower(instance.stream_url, SYMBOLS, channels=each)) for each in channels]
        yield found
        for follower in found:
            follower.more(3)
        for follower in found:
            follower.check()


def connected(followers: list[Follower]) -> None:
    for follower in followers:
        follower.until(partial(is_back, follower), "a connection")


def is_back(follower: Follower) -> bool:
    return follower.connections > len(follower.closes)


def is_live_again(follower: Follower) -> bool:
    told = [follower.states[symbol] for symbol in SYMBOLS]
    return all("stale" in states and states[-1] == "live" for states in told)


def moved(followers: list[Follower], *, code: int) -> int:
    """How many lost their connection, each with this code, and picked up where they were."""
    gone = [follower for follower in followers if follower.closes]
    for follower in gone:
        assert follower.closes == [code]
        assert follower.connections == 2
        assert all(recovered for _, _, recovered, _ in follower.resumed), follower.resumed
    assert not any(follower.lost for follower in followers)
    return len(gone)


def test_the_instance_consists_of_its_workers_and_the_core_has_no_port(instance: DemoInstance) -> None:
    rows = instance.ps()
    assert [name for name, row in rows.items() if row["role"] == "gateway"] == ["gateway1", "gateway2"]
    shared = listening(rows["gateway1"]["pid"])
    assert len(shared) == 1
    assert listening(rows["gateway2"]["pid"]) == shared
    assert listening(rows["supervisor"]["pid"]) == shared
    assert not listening(rows["core"]["pid"])
    for name in ("xnas", "xsim"):
        assert not listening(rows[name]["pid"]), "the listening socket leaked into a feed"
    assert instance.output().count("tickcast listens on") == 1


def test_commands_reach_the_instance_through_a_worker(instance: DemoInstance) -> None:
    rows = instance.ps()
    assert rows["xnas"]["rate"] is not None
    assert instance.cli("latency", "--json").returncode == 0
    assert "listening" in instance.cli("logs", "gateway1").stdout
    assert "an instance runs in it" in instance.cli("doctor").stdout
    assert instance.get("/prices/XNAS:AAPL")["state"] == "live"


async def test_clients_are_shared_and_counted(instance: DemoInstance) -> None:
    url = f"http://127.0.0.1:{instance.port}"
    clients = [await RudeClient.connect(url) for _ in range(40)]

    def shared() -> bool:
        counts = connections(instance)
        return sum(counts) == 40 and min(counts) >= 10

    await asyncio.to_thread(eventually, shared, what="both have clients")
    for client in clients:
        await client.aclose()


@pytest.mark.parametrize("symbols", [["XNAS:*"], ["XNAS:AAPL"]])
async def test_what_was_watched_long_ago_begins_with_what_is_now(instance: DemoInstance, symbols: list[str]) -> None:
    """Both workers have known the pattern, and ceased to be sent what it stands for."""
    seen = 0
    for _ in range(6):
        before = (await asyncio.to_thread(instance.get, "/prices/XNAS:AAPL"))["seq"]
        async with connect(instance.stream_url) as client:
            await client.send(json.dumps({"action": "subscribe", "symbols": symbols, "channel": "price", "rate": 10}))
            while True:
                message = json.loads(await asyncio.wait_for(client.recv(), 20))
                if message["type"] == "snapshot" and message["symbol"] == "XNAS:AAPL":
                    break
        assert message["seq"] >= max(seen, before), "older than what REST said before the client asked"
        seen = message["seq"]
        await asyncio.sleep(IDLE_S + 1.5)


def test_clients_of_a_killed_worker_go_on_at_the_other(instance: DemoInstance) -> None:
    with followed(instance) as followers:
        killed = instance.kill("gateway1", signal.SIGKILL)
        eventually(lambda: running(instance, unlike=killed), what="gateway1 runs again")
        connected(followers)
    assert 0 < moved(followers, code=1006) < len(followers)


def test_clients_of_a_drained_worker_go_on_at_the_other(instance: DemoInstance) -> None:
    before = workers(instance)["gateway2"]["pid"]
    with followed(instance) as followers:
        assert instance.cli("restart", "gateway2").returncode == 0
        eventually(lambda: running(instance, unlike=before), what="gateway2 runs again")
        connected(followers)
    assert 0 < moved(followers, code=4702) < len(followers)


def test_clients_stay_while_the_core_is_replaced_and_are_told(instance: DemoInstance) -> None:
    with followed(instance) as followers:
        for follower in followers:
            follower.more(1)
        epochs = [set(follower.epochs) for follower in followers]
        instance.kill("core", signal.SIGKILL)
        for follower in followers:
            follower.until(partial(is_live_again, follower), "stale, then live", deadline_s=40)
    for follower, before in zip(followers, epochs, strict=True):
        assert not follower.closes
        assert len(before) == 1
        assert max(follower.epochs) > max(before)


def test_a_core_that_stops_for_a_while_costs_nothing(instance: DemoInstance) -> None:
    with followed(instance, 2) as followers:
        pid = instance.kill("core", signal.SIGSTOP)
        pause(2.0)
        os.kill(pid, signal.SIGCONT)
    assert not any(follower.closes or follower.lost for follower in followers)


def test_workers_link_again_when_the_socket_was_removed(instance: DemoInstance) -> None:
    socket_path = instance.data / "fanout.sock"
    inode = socket_path.stat().st_ino
    with followed(instance, 2) as followers:
        socket_path.unlink()
        eventually(lambda: socket_path.exists() and socket_path.stat().st_ino != inode, what="a new socket")
        killed = instance.kill("gateway1", signal.SIGKILL)
        eventually(lambda: running(instance, unlike=killed), what="gateway1 runs again")
    assert moved(followers, code=1006) < len(followers)


async def test_a_killed_worker_is_replaced_and_nobody_is_refused(instance: DemoInstance) -> None:
    asking = Asking(instance)
    task = asyncio.ensure_future(asking.run())
    clients = [await RudeClient.connect(f"http://127.0.0.1:{instance.port}") for _ in range(20)]
    killed = await asyncio.to_thread(instance.kill, "gateway1", signal.SIGKILL)
    await asyncio.to_thread(eventually, lambda: running(instance, unlike=killed), what="gateway1 runs again")
    asking.stop()
    await task
    assert asking.asked > 10
    assert not asking.failed
    gone = 0
    for client in clients:
        try:
            client.text('{"action":"ping"}')
            while json.loads((await client.frame()).payload)["type"] != "pong":
                pass
        except (OSError, asyncio.IncompleteReadError):
            gone += 1
        await client.aclose()
    assert 0 < gone < 20, "the clients of the other worker stayed"
    assert (await asyncio.to_thread(instance.get, "/prices/XNAS:AAPL"))["state"] == "live"


async def test_a_restarted_worker_drains(instance: DemoInstance) -> None:
    asking = Asking(instance)
    task = asyncio.ensure_future(asking.run())
    clients = [await RudeClient.connect(f"http://127.0.0.1:{instance.port}") for _ in range(20)]
    before = workers(instance)["gateway2"]["pid"]
    done = await asyncio.to_thread(instance.cli, "restart", "gateway2")
    assert done.returncode == 0, done.stderr
    await asyncio.to_thread(eventually, lambda: running(instance, unlike=before), what="gateway2 runs again")
    asking.stop()
    await task
    assert not asking.failed
    told = 0
    for client in clients:
        client.text('{"action":"ping"}')
        while True:
            frame = await client.frame()
            if frame.opcode == 8:
                assert frame.code == 4702
                assert 0 <= int(frame.payload.split()[-2]) < 5_000
                told += 1
                break
            if json.loads(frame.payload)["type"] == "pong":
                break
        await client.aclose()
    assert 0 < told < 20


async def test_a_worker_that_hangs_holds_nobody_up(instance: DemoInstance) -> None:
    pid = await asyncio.to_thread(instance.kill, "gateway1", signal.SIGSTOP)
    try:
        for _ in range(20):
            client = await RudeClient.connect(f"http://127.0.0.1:{instance.port}")
            await client.aclose()
    finally:
        os.kill(pid, signal.SIGCONT)
    await asyncio.to_thread(eventually, lambda: running(instance, unlike=0))


async def test_while_the_core_is_away_the_workers_stay(instance: DemoInstance) -> None:
    before = {name: row["pid"] for name, row in workers(instance).items()}
    client = await RudeClient.connect(f"http://127.0.0.1:{instance.port}")
    killed = await asyncio.to_thread(instance.kill, "core", signal.SIGKILL)

    def served() -> bool:
        with urllib.request.urlopen(f"{instance.url}/health/live", timeout=5) as answer:  # noqa: S310  loopback
            assert answer.status == 200
        rows = instance.ps()
        return bool(rows["core"]["pid"] != killed and instance.get("/prices/XNAS:AAPL")["state"] == "live")

    await asyncio.to_thread(eventually, served, what="prices are served again")
    client.text('{"action":"ping"}')
    while json.loads((await client.frame()).payload)["type"] != "pong":
        pass
    await client.aclose()
    assert {name: row["pid"] for name, row in workers(instance).items()} == before


def test_the_port_is_said_to_be_taken_before_anything_is_started(instance: DemoInstance, tmp_path: Path) -> None:
    config = instance.data / "demo" / "tickcast.toml"
    done = instance.cli("up", "--config", str(config), "--gateways", "1")
    assert done.returncode == 1
    assert "already runs" in done.stderr
    with DemoInstance(tmp_path, "--gateways", "1", rate=10, symbols=2, exchanges=("XNAS",)) as other:
        pass
    other.port = instance.port
    with other:
        assert other.process is not None
        assert other.process.wait(20) == 2
        assert "taken by another program" in other.output()


def test_an_orderly_stop_takes_every_client_and_the_socket_with_it(tmp_path: Path) -> None:
    with DemoInstance(tmp_path, "--gateways", "2", rate=50, symbols=4, exchanges=("XNAS",)) as instance:
        instance.wait_ready()
        with socket.create_connection(("127.0.0.1", instance.port)) as client:
            client.sendall(HANDSHAKE)
            assert client.recv(1000).startswith(b"HTTP/1.1 101 ")
            assert instance.process is not None
            instance.process.send_signal(signal.SIGTERM)
            data = b""
            while chunk := client.recv(1000):
                data += chunk
                if b"retry in" in data:
                    break
            assert (4702).to_bytes(2, "big") in data
        assert instance.process.wait(15) == 0
        pause(0.1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", instance.port))
