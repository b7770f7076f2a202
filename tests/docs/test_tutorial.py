"""The tutorial is run: its blocks marked ``run``, in order, against a demo of its own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tickcast.cli.demo import free_ports
from tickcast.cli.demo_market import feed_name
from tickcast.testing.instance import DemoInstance

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "first-ten-minutes.md"
BLOCK = re.compile(r"^```(sh|python) run\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Reader:
    """Somebody who types what the tutorial says, in one folder, with other ports than it says."""

    def __init__(self, instance: DemoInstance, folder: Path) -> None:
        self._folder = folder
        own = dict(zip(("8100", "26400", "26403"), map(str, free_ports(3)), strict=True))
        self._ports = {"8000": str(instance.port), **own}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": path, "TICKCAST_DATA": str(instance.data), "COLUMNS": "110"}

    def run(self, language: str, text: str) -> str:
        for written, used in self._ports.items():
            text = re.sub(rf"(?<=[:\s]){written}\b", used, text)
        argv = ["bash", "-euo", "pipefail", "-c"] if language == "sh" else [sys.executable, "-c"]
        process = subprocess.Popen(
            [*argv, text],
            cwd=self._folder, env=self._environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            output, complaints = process.communicate(timeout=120)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what a block that failed left behind
        assert process.returncode == 0, f"{text}\n{output}\n{complaints}"
        return output


def test_every_block_works(instance: DemoInstance, tmp_path: Path) -> None:
    blocks = BLOCK.findall(TUTORIAL.read_text(encoding="utf-8"))
    reader = Reader(instance, tmp_path)
    said = [reader.run(language, text) for language, text in blocks]
    ps, terminal, http, program, kill, check, own = said
    assert {"supervisor", "core", "sim", *map(feed_name, instance.exchanges)} <= set(ps.split())
    assert "BTC-USDT" in terminal
    assert '"symbol":"NOPE","state":"no_such_symbol"' in http
    assert program.count("live merged") == 10
    before, after = kill.split("NAME", 1)
    assert re.search(r'"symbol":"XNAS:AAPL".*?"state":"stale"', before)
    assert '"legs":{"live":5,"of":6}' in before
    assert re.search(r"xnas +feed +XNAS +\d+ +running +\S+ s +1 ", after)
    assert re.search(r'"symbol":"XNAS:AAPL".*?"state":"live"', after)
    assert "2 feeds, 1 declared" in check
    assert "polled" in own
    assert own.endswith("stopped\n")
