"""A process is replaced by one that runs beside it: it takes over, or the one before runs on."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tickcast.model.errors import StateError
from tickcast.ops.config import SupervisorConfig
from tickcast.ops.keeper import Keeper
from tickcast.ops.logfile import LogFile
from tickcast.ops.process import Info, ProcessSpec
from tickcast.runtime.clock import monotonic_ns, now_ns
from tickcast.runtime.log import get_logger

RELAYED = """
import os, pathlib, signal, sys, threading
from tickcast.runtime.lifeline import bind_to_parent
bind_to_parent()
story = pathlib.Path(sys.argv[1])
is_standby = os.environ.pop("TICKCAST_STANDBY", "") == "1"
if is_standby and "BROKEN" in os.environ.get("MODE", ""):
    print("this release does not start", file=sys.stderr, flush=True)
    sys.exit(1)
stop, state = threading.Event(), {"live": not is_standby}
def tell(word):
    with story.open("a") as file:
        file.write(f"{os.getpid()} {word}\\n")
def asked(*_):
    if state["live"]:
        tell("hands over")
        if "STUBBORN" not in os.environ.get("MODE", ""):
            stop.set()
    else:
        state["live"] = True
        tell("takes over")
signal.signal(signal.SIGUSR1, asked)
signal.signal(signal.SIGTERM, lambda *_: stop.set())
tell("stands by" if is_standby else "begins")
if not (is_standby and "NEVER" in os.environ.get("MODE", "")):
    print('{"ready":true,"pid":%d}' % os.getpid(), flush=True)
stop.wait()
"""


async def kept(
    folder: Path, work: Callable[[Keeper, Path], Awaitable[Any]], *, mode: str = "", overlaps: bool = True
) -> Any:
    """Keep a process while ``work`` is done."""
    story = folder / "story"
    story.touch()
    log = LogFile(folder / "one.log", bytes_max=100_000, keep=1)
    infos: dict[str, Info] = {}
    keeper = Keeper(
        ProcessSpec(
            name="one",
            role="feed",
            argv=[sys.executable, "-c", RELAYED, str(story)],
            environment={"MODE": mode},
            overlaps=overlaps,
        ),
        config=SupervisorConfig(),
        log=log,
        environment={},
        infos=lambda: infos,
        on_ready=infos.__setitem__,
        on_usage_error=lambda _name, _text: None,
        clock=now_ns,
        monotonic=monotonic_ns,
        logger=get_logger("test"),
    )
    running = asyncio.ensure_future(keeper.run())
    try:
        await asyncio.wait_for(keeper.was_ready.wait(), 30)
        return await work(keeper, story)
    finally:
        await keeper.stop(10)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        log.close()


def told(story: Path) -> list[tuple[int, str]]:
    return [(int(line.split(" ", 1)[0]), line.split(" ", 1)[1]) for line in story.read_text().splitlines()]


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not what():
            await asyncio.sleep(0.01)


def test_the_new_process_takes_over_when_the_old_one_has_handed_over(tmp_path: Path) -> None:
    async def work(keeper: Keeper, story: Path) -> None:
        old = keeper.pid
        assert await keeper.replace(10, within_s=30) is True
        await until(lambda: told(story)[-1][1] == "takes over")
        assert keeper.pid not in {old, None}
        assert told(story) == [
            (old, "begins"),
            (keeper.pid, "stands by"),
            (old, "hands over"),
            (keeper.pid, "takes over"),
        ]
        assert (keeper.state, keeper.restarts) == ("running", 0)
        assert keeper.info is not None
        assert keeper.info["pid"] == keeper.pid
        assert await keeper.replace(10, within_s=30) is True
        await until(lambda: len(told(story)) == 7)
        assert [word for _, word in told(story)[4:]] == ["stands by", "hands over", "takes over"]

    asyncio.run(kept(tmp_path, work))


@pytest.mark.parametrize(
    ("mode", "within_s", "reason"), [("BROKEN", 30, "it ended: this release"), ("NEVER", 1, "in time")]
)
def test_a_process_that_does_not_become_ready_stops_nothing(
    tmp_path: Path, mode: str, within_s: float, reason: str
) -> None:
    async def work(keeper: Keeper, story: Path) -> None:
        old = keeper.pid
        with pytest.raises(StateError, match=reason):
            await keeper.replace(10, within_s=within_s)
        assert (keeper.pid, keeper.state, keeper.restarts) == (old, "running", 0)
        assert [word for pid, word in told(story) if pid == old] == ["begins"]

    asyncio.run(kept(tmp_path, work, mode=mode))


def test_one_that_does_not_hand_over_is_killed(tmp_path: Path) -> None:
    async def work(keeper: Keeper, story: Path) -> None:
        old = keeper.pid
        assert await keeper.replace(0.5, within_s=30) is True
        await until(lambda: told(story)[-1][1] == "takes over")
        assert keeper.pid != old
        assert keeper.state == "running"

    asyncio.run(kept(tmp_path, work, mode="STUBBORN"))


def test_what_cannot_overlap_is_restarted(tmp_path: Path) -> None:
    async def work(keeper: Keeper, story: Path) -> None:
        old = keeper.pid
        assert await keeper.replace(10, within_s=30) is False
        await until(lambda: [word for _, word in told(story)] == ["begins", "begins"] and keeper.state == "running")
        assert keeper.pid != old

    asyncio.run(kept(tmp_path, work, overlaps=False))


def test_a_stop_meanwhile_ends_both(tmp_path: Path) -> None:
    async def work(keeper: Keeper, story: Path) -> None:
        replacing = asyncio.ensure_future(keeper.replace(10, within_s=30))
        await until(lambda: any(word == "stands by" for _, word in told(story)))
        await keeper.stop(10)
        with pytest.raises(StateError):
            await replacing
        assert (keeper.pid, keeper.state) == (None, "stopped")

    asyncio.run(kept(tmp_path, work, mode=json.dumps({"NEVER": 1})))
