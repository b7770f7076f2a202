"""``tickcast load`` as a process, against the real gateway."""

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from tickcast.cli.instance import TOKEN_VARIABLE
from tickcast.gateway.auth.access import Scope
from tickcast.gateway.auth.config import Config as AuthConfig
from tickcast.gateway.auth.keys import KeyFile
from tickcast.gateway.config import Config
from tickcast.testing.gateway import running_gateway

NAMES = tuple(f"XNAS:S{number}" for number in range(8))


@contextmanager
def serving(config: Config, folder: Path | None = None) -> Iterator[str]:
    """A gateway on a thread of its own, whose prices move fifty times a second."""
    found: list[str] = []
    is_up = Event()
    is_over = Event()

    async def serve() -> None:
        async with running_gateway(config, names=NAMES, folder=folder) as gateway:
            found.append(gateway.stream_url)
            is_up.set()
            while not is_over.is_set():
                for name in NAMES:
                    gateway.trade(name, "185.40")
                await asyncio.sleep(0.02)

    thread = Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert is_up.wait(10)
    try:
        yield found[0]
    finally:
        is_over.set()
        thread.join()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(Config(port=0)) as found:
        yield found


def load(*arguments: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tickcast", "load", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
    environment |= {TOKEN_VARIABLE: token} if token else {}
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False, env=environment)


def test_a_locked_gateway_lets_in_who_shows_a_key(tmp_path: Path) -> None:
    key, _ = KeyFile(tmp_path / "auth").add("load", Scope(symbols=("*",), connections=10), now_ns=time.time_ns())
    shown = tmp_path / "key"
    shown.write_text(f"{key}\n")
    config = Config(port=0, auth=AuthConfig(anonymous=False))
    with serving(config, tmp_path / "auth") as url:
        few = ("--url", url, "--clients", "5", "--symbols", "2", "--duration", "1", "--json")
        refused = load(*few)
        assert refused.returncode == 1
        assert "401" in refused.stderr
        assert "--token-file" in refused.stderr
        for done in (load(*few, "--token-file", str(shown)), load(*few, token=key)):
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["connections"]["reached"] == 5
            assert key not in done.stdout + done.stderr
        too_many = load("--url", url, "--clients", "12", "--tries", "1", "--token-file", str(shown), "--duration", "1")
        assert too_many.returncode == 1, "the key's scope counts"


def test_the_result_as_json(url: str) -> None:
    done = load("--url", url, "--clients", "40", "--symbols", "4", "--symbol", "XNAS:*", "--rate", "10", "--churn", "5",
                "--per-process", "25", "--duration", "3", "--spread", "round-robin", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["ended"] == "duration"
    assert result["connections"]["reached"] == 40
    assert 2 <= result["measured_s"] <= 10
    # ten a second of 4 symbols for 40 clients, less what a busy machine delays
    assert 400 <= result["per_s"]["updates"] <= 1_700
    assert result["counts"]["merged"] > result["counts"]["updates"]
    assert (result["counts"]["lost"], result["errors"], result["troubles"]) == (0, {}, {})
    assert result["churn"]["churned"] > 0
    assert result["churn"]["recovered"] > 0
    assert result["churn"]["not_recovered"] == {}
    for name in ("server", "ping", "open"):
        assert result["latency_ms"][name]["count"] > 0, name
        assert 0 <= result["latency_ms"][name]["p50"] <= result["latency_ms"][name]["p99"]
    assert abs(result["clock_offset_ms"]) < 1_000
    assert result["cpu_s"] > 0


def test_every_trade_comes_and_a_count_ends_it(url: str) -> None:
    done = load("--url", url, "--clients", "3", "--symbols", "2", "--channel", "trades", "--latency", "exchange",
                "--updates", "100", "--batch", "--numbers", "string")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"received +[\d,]+ trades\s", done.stdout)
    assert re.search(r"merged +0\s", done.stdout)
    assert re.search(r"lost +0\s", done.stdout)
    assert re.search(r"latency \(exchange\) +\d", done.stdout)
    assert "open 3 " in done.stdout


@pytest.mark.parametrize("codec", ["msgpack", "compact", "proto"])
@pytest.mark.parametrize("channel", ["price", "trades", "bars", "book"])
def test_every_codec_counts_what_json_counts(url: str, codec: str, channel: str) -> None:
    rate = "0" if channel == "trades" else "5"
    done = load("--url", url, "--clients", "6", "--symbols", "3", "--channel", channel, "--codec", codec,
                "--rate", rate, "--churn", "2", "--duration", "2", "--batch", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["connections"]["reached"], result["errors"], result["troubles"]) == (6, {}, {})
    assert result["counts"]["lost"] == 0
    assert result["counts"]["snapshots" if channel == "book" else "merged" if channel == "price" else channel] > 0
    assert (result["latency_ms"]["server"] is not None) == (channel == "price"), "only prices tell it"
    assert result["churn"]["churned"] > 0


def test_on_a_terminal_progress_is_shown_in_place(url: str) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tickcast", "load", "--url", url, "--clients", "2", "--duration", "2"]
    with subprocess.Popen(command, stdout=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "100"}) as running:
        os.close(theirs)
        shown = b""
        while True:
            try:
                data = os.read(ours, 65_536)
            except OSError:
                break
            if not data:
                break
            shown += data
    os.close(ours)
    assert running.returncode == 0
    assert shown.count(b"per second") >= 2
    assert b"\x1b[" in shown
    assert b"CPU of the tool" in shown


def test_an_interrupt_ends_it_with_the_report(url: str) -> None:
    command = [sys.executable, "-m", "tickcast", "load", "--url", url, "--clients", "5", "--duration", "600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        while "open 5 " not in running.stdout.readline():
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        began = time.monotonic()
        output, complaints = running.communicate(timeout=20)
    assert running.returncode == 0, complaints
    assert time.monotonic() - began < 15
    assert "5 clients: 5 open" in output
    assert "Traceback" not in complaints


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("--url", "wss://127.0.0.1"), 2, "TLS is not spoken"),
        (("--url", "ws://127.0.0.1:9"), 1, "does not answer"),
        (("--data", "/nonexistent"), 1, "/nonexistent"),
        (("--symbol", "NOPE"), 2, "found none of: NOPE"),
        (("--clients", "0"), 2, "--clients"),
        (("--rate", "-1"), 2, "--rate"),
        (("--channel", "nonsense", "--clients", "2", "--duration", "1"), 1, "error 4004"),
        (("--source", "192.0.2.1", "--clients", "2", "--tries", "1"), 1, "assign requested address"),
    ],
)
def test_what_goes_wrong_is_said(url: str, arguments: tuple[str, ...], status: int, text: str) -> None:
    if "--url" not in arguments and "--data" not in arguments:
        arguments = (*arguments, "--url", url)
    done = load(*arguments)
    assert done.returncode == status, done.stdout + done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr
