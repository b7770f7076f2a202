"""The simulated exchanges as a process, and the software of others that reads them: for the tests beside this file."""

import importlib.util
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
READERS = Path(__file__).parent / "readers"
WAIT_S = 30.0


def interpreter(module: str, *, how: str) -> str:
    """A Python that has a module: this one, or the one of ``make witnesses``; else the test is skipped."""
    if importlib.util.find_spec(module) is not None:
        return sys.executable
    other = ROOT / "build/witnesses/bin/python"
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{module}') is None)"
    if other.exists() and subprocess.run([other, "-c", code], check=False).returncode == 0:
        return str(other)
    pytest.skip(f"{module} is not installed; {how}")


class Running:
    """Addresses of the venues, and the control endpoint."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.venues: dict[str, dict[str, Any]] = ready["venues"]
        self._admin = ready["admin"]

    def ask(self, path: str, body: dict[str, Any] | None = None, *, method: str = "GET") -> Any:
        """Ask the control endpoint."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310  our own loopback address
            self._admin + path, data=data, method=method, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:  # noqa: S310
            return json.load(answer)

    def truth(self, venue: str) -> dict[str, dict[str, Any]]:
        """What is true at a venue."""
        symbols: dict[str, dict[str, Any]] = self.ask(f"/truth/{venue}")["symbols"]
        return symbols

    def state(self, venue: str) -> dict[str, Any]:
        """Counters of a venue."""
        state: dict[str, Any] = self.ask("/state")["venues"][venue]
        return state


@contextmanager
def simulator(folder: Path, config: str) -> Iterator[Running]:
    """Run ``tickcast sim`` with a config."""
    path = folder / "sim.toml"
    path.write_text(config)
    process = subprocess.Popen(
        [sys.executable, "-m", "tickcast", "sim", "--config", str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield Running(json.loads(process.stdout.readline()))
    finally:
        process.terminate()
        process.communicate(timeout=WAIT_S)


class Reader:
    """A reader as a process that answers lines with lines of JSON."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, command: str) -> dict[str, Any]:
        """Send a command; returns its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("{"):  # the reader's library may print for itself
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise AssertionError(f"the reader ended with {self._process.wait(WAIT_S)}")


@contextmanager
def reading(*command: str) -> Iterator[Reader]:
    """Run a reader."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Reader(process)
    finally:
        process.kill()
        process.communicate()


def until(condition: Callable[[], Any], what: str, seconds: float = WAIT_S) -> None:
    """Poll until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not after {seconds} s: {what}"
        time.sleep(0.05)
