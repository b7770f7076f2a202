import os
import subprocess
import sys

import pytest

from tickcast.runtime.lifeline import bind_to_parent

BOUND = """
import time
from tickcast.runtime.lifeline import bind_to_parent
print(bind_to_parent(), flush=True)
time.sleep(30)
"""


def test_without_a_supervisor_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TICKCAST_PARENT_PID", raising=False)
    assert bind_to_parent() is False


def child(parent: int) -> "subprocess.Popen[str]":
    environment = {**os.environ, "TICKCAST_PARENT_PID": str(parent)}
    return subprocess.Popen(
        [sys.executable, "-c", BOUND], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    )


def test_a_child_whose_parent_was_gone_before_ends_at_once() -> None:
    with child(1 if os.getpid() != 1 else 2) as process:
        assert process.wait(20) == 1
        assert process.stdout is not None
        assert process.stdout.read() == ""


def test_the_end_of_standard_input_ends_the_child() -> None:
    with child(os.getpid()) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "True\n"
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(20) == 1
