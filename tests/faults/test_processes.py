"""Processes killed, stopped and starved: prices are live again by themselves, and the counters add up."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets

from tickcast.runtime.clock import monotonic_ns
from tickcast.testing.instance import DemoInstance, eventually

STOPPED_NS = 20_000_000_000
pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoInstance]:
    with DemoInstance(tmp_path_factory.mktemp("instance"), rate=400, symbols=20) as started:
        started.wait_ready()
        yield started


def state(instance: DemoInstance, symbol: str) -> str:
    return str(instance.get(f"/prices/{symbol}")["state"])


def all_live(instance: DemoInstance) -> bool:
    return all(feed["state"] in {"connected", "quiet"} for feed in instance.get("/feeds")["feeds"]) and (
        state(instance, "XNAS:AAPL") == "live"
    )


def gone(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


async def barrier(instance: DemoInstance, symbols: list[str], work: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Watch ``symbols`` while ``work`` runs in a thread, then sync; returns the frames and the synced answer."""
    frames: list[dict[str, Any]] = []
    async with websockets.connect(instance.stream_url, max_size=None) as socket:
        await socket.send(json.dumps({"action": "subscribe", "symbols": symbols, "rate": 0}))
        done = asyncio.ensure_future(asyncio.to_thread(work))
        async with asyncio.timeout(90):
            while not done.done():
                try:
                    frames.append(json.loads(await asyncio.wait_for(socket.recv(), 0.2)))
                except TimeoutError:
                    continue
            await done
            await socket.send(json.dumps({"action": "sync"}))
            while frames[-1]["type"] != "synced":
                frames.append(json.loads(await socket.recv()))
    return frames, frames[-1]


def assert_balanced(frames: list[dict[str, Any]], synced: dict[str, Any]) -> None:
    for symbol, counted in synced["channels"]["price"].items():
        assert counted["published"] == counted["delivered"] + counted["merged"] + counted["lost"], symbol
        updates = [f for f in frames if f.get("symbol") == symbol and f["type"] in {"update", "snapshot"}]
        seqs = [f["seq"] for f in updates if f["type"] == "update"]
        assert seqs == sorted(set(seqs)), f"{symbol}: an update repeats a seq"


def test_a_killed_feed_is_back_and_touches_no_other(instance: DemoInstance) -> None:
    before = instance.ps()
    stale: list[str] = []

    def kill() -> None:
        killed = instance.kill("xnas", signal.SIGKILL)
        stale.append(eventually(lambda: found if (found := state(instance, "XNAS:AAPL")) != "live" else ""))
        eventually(lambda: instance.pid("xnas") != killed, deadline_s=5)
        eventually(lambda: all_live(instance))

    frames, synced = asyncio.run(barrier(instance, ["XNAS:AAPL", "AAPL", "BTC-USDT"], kill))
    assert stale == ["stale"]
    states = [f["state"] for f in frames if f["type"] == "status" and f["symbol"] == "XNAS:AAPL"]
    assert states[:1] == ["stale"]
    assert states[-1] == "live"
    assert_balanced(frames, synced)
    after = instance.ps()
    assert after["xnas"]["restarts"] == before["xnas"]["restarts"] + 1
    for name in ("core", "binance", "xsim", "sim"):
        assert after[name]["pid"] == before[name]["pid"], name


def test_a_stopped_feed_is_seen_and_said(instance: DemoInstance) -> None:
    def stop() -> None:
        pid = instance.kill("xnas", signal.SIGSTOP)
        end_ns = monotonic_ns() + STOPPED_NS
        try:
            eventually(lambda: state(instance, "XNAS:AAPL") == "stale", deadline_s=15)
            # longer than the exchange waits for a client: it hangs up meanwhile
            eventually(lambda: monotonic_ns() > end_ns)
            assert state(instance, "XNAS:AAPL") == "stale"
        finally:
            os.kill(pid, signal.SIGCONT)
        eventually(lambda: all_live(instance))

    frames, synced = asyncio.run(barrier(instance, ["XNAS:AAPL"], stop))
    reasons = [f["reason"] for f in frames if f["type"] == "status" and f["state"] == "stale"]
    assert any("nothing heard" in reason for reason in reasons)
    assert_balanced(frames, synced)


def test_exchanges_stopped_and_started(instance: DemoInstance) -> None:
    assert instance.cli("stop", "sim").returncode == 0
    eventually(lambda: state(instance, "XNAS:AAPL") == "stale" and state(instance, "BINANCE:BTC-USDT") == "stale")
    assert instance.cli("start", "sim").returncode == 0
    eventually(lambda: all_live(instance), deadline_s=60)


def test_a_killed_core_begins_a_new_epoch(instance: DemoInstance) -> None:
    before = instance.get("/prices/AAPL")
    feeds = {name: row["pid"] for name, row in instance.ps().items() if row["role"] == "feed"}
    instance.kill("core", signal.SIGKILL)
    eventually(lambda: all_live(instance))
    after = eventually(lambda: (found := instance.get("/prices/AAPL"))["price"] and found)
    assert after["epoch"] > before["epoch"]
    assert (after["volume"], after["open"]) == (None, None), "unknown rather than wrong"
    assert {name: row["pid"] for name, row in instance.ps().items() if row["role"] == "feed"} == feeds


def test_what_is_shown_equals_what_the_exchange_knows(instance: DemoInstance) -> None:
    def equal() -> bool:
        truth = instance.truth("XNAS")["symbols"]["AAPL"]
        shown = instance.get("/prices/XNAS:AAPL?numbers=string")
        return (
            float(shown["bid"]) == float(truth["bid"])
            and float(shown["ask"]) == float(truth["ask"])
            and float(shown["bid_size"]) == float(truth["bid_size"])
            and float(shown["ask_size"]) == float(truth["ask_size"])
        )

    eventually(equal)


def test_a_killed_supervisor_leaves_no_orphan(tmp_path: Path) -> None:
    with DemoInstance(tmp_path, rate=100, symbols=10) as instance:
        instance.wait_ready()
        pids = [row["pid"] for row in instance.ps().values() if row["pid"]]
        assert len(pids) >= 5
        assert instance.process is not None
        instance.process.kill()
        instance.process.wait()
        for pid in pids:
            eventually(lambda pid=pid: gone(pid), deadline_s=10)  # type: ignore[misc]  # lambda default


def test_sigterm_ends_everything_within_ten_seconds(tmp_path: Path) -> None:
    with DemoInstance(tmp_path, rate=100, symbols=10) as instance:
        instance.wait_ready()
        pids = [row["pid"] for row in instance.ps().values() if row["pid"]]
        os.kill(instance.pid("xsim"), signal.SIGSTOP)
        assert instance.process is not None
        instance.process.terminate()
        assert instance.process.wait(12) == 0
        assert all(gone(pid) for pid in pids)


def test_a_taken_port_is_said_once_and_ends_with_two(tmp_path: Path, instance: DemoInstance) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "tickcast", "demo", "--port", str(instance.port), "--data", str(tmp_path / "data")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert second.returncode == 2
    assert f"port {instance.port}" in second.stderr
