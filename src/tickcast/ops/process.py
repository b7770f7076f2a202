"""One child process: its command, its life from spawn to exit, and when it may be started again.

A child says that it is ready by one line of JSON on standard output, ``{"ready":true, ...}``; the other keys are its
*info* (addresses it listens on). Every other line, and standard error, goes to its log file. Standard input is a pipe
that nobody writes to: its end means that the parent is gone (:mod:`tickcast.runtime.lifeline`).
"""

import asyncio
import contextlib
import os
import re
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from tickcast.ops.config import SupervisorConfig
from tickcast.ops.logfile import LogFile
from tickcast.runtime.lifeline import PARENT_VARIABLE
from tickcast.runtime.tasks import TaskGroupOwner

Info = Mapping[str, Any]
"""What a process said of itself when it was ready."""
Argv = Sequence[str] | Callable[[Mapping[str, Info]], Sequence[str]]
"""The command; or what makes it, at each start, from the infos of all processes that were ever ready (by name)."""

USAGE_STATUS: Final = 2
STANDBY: Final = "TICKCAST_STANDBY"
"""Environment variable that tells a process to stand by: it is ready when it could take over."""
ASK: Final = signal.SIGUSR1
"""Asks a process that stands by to take over, and one that runs to hand over and end."""
LINE_MAX: Final = 65_536
TAIL_LINES: Final = 20
DRAIN_S: Final = 0.5
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_HARMLESS: Final = re.compile(r"\[(debug|info|warning) *\]")
"""A log line in the pretty format, of a level that is no error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessSpec:
    """A process that the supervisor keeps alive."""

    name: str
    """Unique; names the log file."""
    role: str
    """``sim``, ``core``, ``gateway``, ``feed``: what ``ps`` shows, and the unit in which processes are stopped."""
    argv: Argv
    venue: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the supervisor's own."""
    after: tuple[str, ...] = ()
    """Names of the processes that must have been ready once before this one is started for the first time."""
    pass_fds: tuple[int, ...] = ()
    """Descriptors of the supervisor that it inherits, under the same numbers; all others are closed in it."""
    overlaps: bool = False
    """Another process may run beside it and take over: started with :data:`STANDBY`, asked by :data:`ASK`."""
    restart_after_success: bool = True
    """Whether it is started again when it ends with status 0 by itself."""


class RestartPolicy:
    """How long to wait before a process that died is started again: at once, but slower and slower in a crash loop."""

    def __init__(self, config: SupervisorConfig) -> None:
        self._config = config
        self.deaths = 0
        """In a row, without a healthy time between them."""

    @property
    def looping(self) -> bool:
        """Whether it dies again and again."""
        return self.deaths >= self._config.crash_loop

    def died(self, ready_s: float) -> float:
        """The process died after being ready for ``ready_s`` (0: it never was); returns the delay in seconds."""
        if ready_s >= self._config.healthy_s:
            self.deaths = 0
        self.deaths += 1
        doublings = min(self.deaths - 1, 32)
        return min(self._config.restart_delay_s * 2.0**doublings, self._config.restart_delay_max_s)

    def forget(self) -> None:
        """Somebody asked for a new start: nothing is held against it."""
        self.deaths = 0


def describe_exit(status: int) -> str:
    """``exit status 3`` or ``killed by SIGKILL``."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def last_complaint(lines: Sequence[str]) -> str:
    """Return the last line that says what went wrong: the end of a traceback, other text, or a log line of an error.

    What a process merely logs while it works says nothing about its end. Empty if there is no such line.
    """
    for line in reversed(lines):
        text = _COLOUR.sub("", line).strip()
        if text.startswith("{"):
            text = _logged_error(text)
        elif _HARMLESS.search(text):
            continue
        if text:
            return text
    return ""


def _logged_error(line: str) -> str:
    """What a JSON log line says, if it tells of an error."""
    try:
        entry = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return line
    if entry.get("level") not in {"error", "critical"}:
        return ""
    reason = entry.get("error") or str(entry.get("exception", "")).strip().rpartition("\n")[2]
    return f"{entry.get('event', '')}: {reason}" if reason else str(entry.get("event", ""))


class Child:
    """A running child process; made by :meth:`spawn`."""

    def __init__(self, process: asyncio.subprocess.Process, log: LogFile, name: str) -> None:
        self._process = process
        self._log = log
        self._tasks = TaskGroupOwner(f"ops.{name}")
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.ready: asyncio.Future[Info] = asyncio.get_running_loop().create_future()
        """Done with the child's info when it says that it is ready."""
        assert process.stdout is not None  # noqa: S101  both were asked for
        assert process.stderr is not None  # noqa: S101
        self.exited: asyncio.Task[int] = self._tasks.spawn(process.wait(), "exit")
        """Done when the process is gone; :meth:`wait` also waits for its last words."""
        self._pumps = [
            self._tasks.spawn(_pump(process.stdout, self._said), "stdout"),
            self._tasks.spawn(_pump(process.stderr, self._complained), "stderr"),
        ]

    @classmethod
    async def spawn(
        cls,
        argv: Sequence[str],
        *,
        name: str,
        environment: Mapping[str, str],
        log: LogFile,
        pass_fds: Sequence[int] = (),
    ) -> "Child":
        """Start a process in a session of its own, so that a terminal's Ctrl-C reaches the supervisor only.

        Raises:
            OSError: the program is not there or cannot be executed.
        """
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **environment, PARENT_VARIABLE: str(os.getpid())},
            start_new_session=True,
            pass_fds=pass_fds,
        )
        return cls(process, log, name)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def message(self) -> str:
        """What the child complained about last: the lines addressed to the user, else the last one that complains."""
        addressed = [line.removeprefix("tickcast: ") for line in self._tail if line.startswith("tickcast: ")]
        return "\n".join(addressed) or last_complaint(self._tail)

    async def wait(self) -> int:
        """Wait until the child is gone and what it said is written; returns its status (-n: killed by signal n)."""
        status = await asyncio.shield(self.exited)
        await asyncio.wait(self._pumps, timeout=DRAIN_S)
        await self._tasks.stop()
        if not self.ready.done():
            self.ready.cancel()
        self._log.close()
        return status

    def terminate(self) -> None:
        """Ask the child to end; one that is stopped is continued, so that it can."""
        self._signal(os.kill, signal.SIGTERM)
        self._signal(os.kill, signal.SIGCONT)

    def ask(self) -> None:
        """Ask the child for the next step: to take over, or to hand over and end."""
        self._signal(os.kill, ASK)
        self._signal(os.kill, signal.SIGCONT)

    def kill(self) -> None:
        """End the child and all in its process group, whatever state they are in."""
        self._signal(os.killpg, signal.SIGKILL)

    def _signal(self, send: Callable[[int, int], None], number: signal.Signals) -> None:
        # not Process.send_signal: that polls first, and may so take the exit status from who waits for it
        if not self.exited.done():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                send(self._process.pid, number)

    def _said(self, line: bytes) -> None:
        if not self.ready.done() and line.startswith(b"{"):
            try:
                said = msgspec.json.decode(line)
            except msgspec.DecodeError:
                said = None
            if isinstance(said, dict) and said.pop("ready", None) is True:
                self.ready.set_result(said)
                return
        self._log.write(line)

    def _complained(self, line: bytes) -> None:
        self._tail.append(line[:2000].decode(errors="replace"))
        self._log.write(line)


async def _pump(stream: asyncio.StreamReader, take: Callable[[bytes], None]) -> None:
    """Hand on line by line; a line longer than LINE_MAX comes in pieces."""
    held = b""
    while chunk := await stream.read(LINE_MAX):
        *lines, held = (held + chunk).split(b"\n")
        for line in lines:
            take(line)
        if len(held) > LINE_MAX:
            take(held)
            held = b""
    if held:
        take(held)
