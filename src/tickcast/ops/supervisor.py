"""The supervisor: starts the processes of an instance, keeps them alive, and ends them all.

It has one :class:`~tickcast.ops.keeper.Keeper` a process, the lock on the data folder, and the control socket. A
process that dies is started again after a delay that grows while it keeps dying; the others do not notice. Processes
are stopped role by role, in the opposite order of the specs: what produces ends before what consumes. If the supervisor
itself is killed, its children hear of it by themselves (:mod:`tickcast.runtime.lifeline`).
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from tickcast import __version__
from tickcast.model.errors import StateError, TickcastError, UsageError
from tickcast.ops.config import SupervisorConfig
from tickcast.ops.control import ControlServer
from tickcast.ops.datadir import VARIABLE, DataDir, Instance
from tickcast.ops.insight import rfc3339
from tickcast.ops.keeper import Keeper
from tickcast.ops.logfile import LogFile
from tickcast.ops.process import Info, ProcessSpec
from tickcast.ports import Clock
from tickcast.runtime.clock import monotonic_ns, now_ns
from tickcast.runtime.log import get_logger, log_to
from tickcast.runtime.tasks import TaskGroupOwner

log = get_logger("ops")

SELF: Final = "supervisor"
GRACE_SHARE: Final = 0.8
"""Of ``stop_s``: what the processes have to end by themselves; the rest is for killing and cleaning up."""
ANSWERED_S: Final = 0.5
"""A restart over REST begins so long after it is accepted: the answer may have to pass the process that ends."""
NS: Final = 1_000_000_000
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
TERMINAL: Final = "/dev/tty"
Reload = Callable[[], Awaitable[Any]]
"""Reads the config again; returns what came of it."""


class Supervisor:
    """Runs the processes of one instance: make one, then ``await run()``."""

    def __init__(
        self,
        data: DataDir,
        specs: Sequence[ProcessSpec],
        config: SupervisorConfig,
        *,
        on_ready: Callable[[str, Info], None] | None = None,
        reload: Reload | None = None,
        clock: Clock = now_ns,
        monotonic: Clock = monotonic_ns,
    ) -> None:
        """Check the specs; nothing is started yet.

        Args:
            data: the folder of the instance.
            specs: in the order of starting (sim, core, feeds); a process may only come ``after`` earlier ones.
            config: restarts, stopping, logs.
            on_ready: called with name and info whenever a process says that it is ready.
            reload: reads the config again, at SIGHUP and the command ``reload``; without it a SIGHUP ends the instance.
            clock: now, ns since 1970 UTC.
            monotonic: for intervals, ns.

        Raises:
            UsageError: a name twice, or ``after`` a process that is not before it.
        """
        self._data = data
        self._config = config
        self._clock = clock
        self._monotonic = monotonic
        self._on_ready = on_ready
        self._reload = reload
        self._reloading = asyncio.Lock()
        self._has_terminal = has_terminal()
        self._stopping = asyncio.Event()
        self._usage_error: str | None = None
        self._started_ns = clock()
        self._keepers: dict[str, Keeper] = {}
        for spec in specs:
            if spec.name in self._keepers or spec.name == SELF or "/" in spec.name:
                raise UsageError(f"two processes are called {spec.name!r}, or that name cannot be used; rename one")
            unknown = [name for name in spec.after if name not in self._keepers]
            if unknown:
                raise UsageError(f"process {spec.name} comes after {unknown}, which is not before it in the list")
            self._keepers[spec.name] = Keeper(
                spec,
                config=config,
                log=self._log_file(spec.name),
                environment={VARIABLE: str(data)},
                infos=self.infos,
                on_ready=self._became_ready,
                on_usage_error=self._refused,
                clock=clock,
                monotonic=monotonic,
                logger=log,
            )
        self._asked_ns: dict[str, int] = {}
        """When a restart of a process was last asked for over REST."""
        self._tasks = TaskGroupOwner("ops.supervisor")

    # ------------------------------------------------------------------ running

    async def run(self) -> int:
        """Run until SIGTERM, SIGINT, a ``stop`` command or :meth:`stop`; returns the exit status, 0.

        A second signal kills what is left at once. SIGHUP has the config read again; but when it tells that the
        terminal is gone, it ends the instance too.

        Raises:
            UsageError: the data folder cannot be written, or a process refused its config when it was first started;
                the text is the process's own. Everything is stopped.
            StateError: another instance has the data folder.
        """
        self._data.create()
        lock = self._data.lock()
        own_log = self._log_file(SELF)
        try:
            with log_to(own_log.write):
                await self._run()
        finally:
            own_log.close()
            lock.release()
        if self._usage_error is not None:
            raise UsageError(self._usage_error)
        return 0

    async def _run(self) -> None:
        control = ControlServer(self._data.control, self._command)
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._signalled, number)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        try:
            await control.start()
            self._data.write_instance(
                Instance(
                    pid=os.getpid(),
                    started_ns=self._started_ns,
                    control=str(self._data.control),
                    version=__version__,
                )
            )
            log.info("started", data=str(self._data), processes=list(self._keepers))
            for keeper in self._keepers.values():
                self._tasks.spawn(self._keep(keeper), keeper.spec.name)
            await self._stopping.wait()
            log.info("stopping")
            await self._stop_all()
        finally:
            await self._tasks.stop()
            await control.stop()
            for number in (*SIGNALS, signal.SIGHUP):
                loop.remove_signal_handler(number)
            log.info("stopped")

    async def _keep(self, keeper: Keeper) -> None:
        for name in keeper.spec.after:
            await self._keepers[name].was_ready.wait()
        await keeper.run()

    def stop(self) -> None:
        """Begin an orderly end; ``run`` returns when it is done."""
        self._stopping.set()

    async def _stop_all(self) -> None:
        """Role by role from the end of the list; each has its share of the time, then it is killed."""
        roles: dict[str, list[Keeper]] = {}
        for keeper in self._keepers.values():
            roles.setdefault(keeper.spec.role, []).append(keeper)
        for keepers in roles.values():
            for keeper in keepers:
                keeper.hold()
        share_s = self._config.stop_s * GRACE_SHARE / max(1, len(roles))
        for keepers in reversed(roles.values()):
            await asyncio.gather(*(keeper.stop(share_s) for keeper in keepers))

    def _signalled(self, number: signal.Signals) -> None:
        if self._stopping.is_set():
            log.warning("second signal, everything is killed", signal=number.name)
            for keeper in self._keepers.values():
                keeper.kill()
            return
        log.info("signal", signal=number.name)
        self.stop()

    def _hung_up(self) -> None:
        """SIGHUP: somebody asks for the config to be read again, or the terminal is gone."""
        if self._reload is None or (self._has_terminal and not has_terminal()):
            self._signalled(signal.SIGHUP)
            return
        log.info("signal", signal="SIGHUP")
        self._tasks.spawn(self._try_reload(), "reload")

    async def _try_reload(self) -> None:
        try:
            await self._read_again()
        except TickcastError as wrong:
            log.warning("the config is not taken; nothing is changed", error=str(wrong))

    async def _read_again(self) -> Any:
        if self._reload is None:
            raise StateError("this instance has no config file that could be read again")
        if self._stopping.is_set():
            raise StateError("the instance is stopping")
        async with self._reloading:
            return await self._reload()

    def _became_ready(self, name: str, info: Info) -> None:
        if self._on_ready is not None:
            self._on_ready(name, info)

    def _refused(self, name: str, message: str) -> None:
        log.error("refused its config, everything is stopped", process_name=name)
        if self._usage_error is None:
            self._usage_error = f"{name}: {message}"
        self.stop()

    def _log_file(self, name: str) -> LogFile:
        return LogFile(self._data.log(name), bytes_max=self._config.log_bytes_max, keep=self._config.log_keep)

    # ------------------------------------------------------------------ telling

    def infos(self) -> dict[str, Info]:
        """What each process said at its last readiness, by name."""
        return {name: keeper.info for name, keeper in self._keepers.items() if keeper.info is not None}

    def rows(self) -> list[dict[str, Any]]:
        """One row a process, the supervisor first: what ``tickcast ps`` shows (rates are added from the gateway)."""
        own = {
            "name": SELF, "role": SELF, "venue": None, "pid": os.getpid(),
            "state": "stopping" if self._stopping.is_set() else "running",
            "since": rfc3339(self._started_ns), "restarts": 0, "rate": None, "last_error": None,
        }  # fmt: skip
        return [own, *(self._row(keeper) for keeper in self._keepers.values())]

    def _row(self, keeper: Keeper) -> dict[str, Any]:
        return {
            "name": keeper.spec.name,
            "role": keeper.spec.role,
            "venue": keeper.spec.venue,
            "pid": keeper.pid,
            "state": keeper.state,
            "since": rfc3339(keeper.since_ns),
            "restarts": keeper.restarts,
            "rate": None,
            "last_error": keeper.last_error,
        }

    # ------------------------------------------------------------------ commands

    async def _command(self, request: Mapping[str, Any]) -> Any:
        match request.get("do"):
            case "ps":
                return self.rows()
            case "info":
                return {
                    "pid": os.getpid(), "version": __version__, "data": str(self._data),
                    "since": rfc3339(self._started_ns), "processes": self.infos(),
                }  # fmt: skip
            case "stop" if request.get("name") is None:
                self.stop()
                return {"pid": os.getpid()}
            case "reload":
                return await self._read_again()
            case "restart" if "by" in request:
                return self._restart_soon(self._keeper(request.get("name")), str(request["by"]))
            case "start" | "stop" | "restart" | "replace" as what:
                return await self._change(what, self._keeper(request.get("name")))
            case other:
                raise UsageError(f"expected ps, info, reload, start, stop, restart or replace, found {other!r}")

    def _keeper(self, name: object) -> Keeper:
        keeper = self._keepers.get(name) if isinstance(name, str) else None
        if keeper is None:
            raise UsageError(f"there is no process {name!r}; there are: {', '.join(self._keepers)}")
        return keeper

    async def _change(self, what: str, keeper: Keeper) -> dict[str, Any]:
        if self._stopping.is_set():
            raise StateError("the instance is stopping")
        grace_s = self._config.stop_s * GRACE_SHARE
        log.info("command", do=what, process_name=keeper.spec.name)
        if what == "start":
            if keeper.pid is not None:
                raise StateError(f"{keeper.spec.name} already runs as process {keeper.pid}")
            keeper.start()
        elif what == "stop":
            await keeper.stop(grace_s)
        elif what == "replace":
            is_seamless = await keeper.replace(grace_s, within_s=self._config.takeover_s)
            return {**self._row(keeper), "seamless": is_seamless}
        else:
            await keeper.restart(grace_s)
        return self._row(keeper)

    def _restart_soon(self, keeper: Keeper, by: str) -> dict[str, Any]:
        """Accept a restart by somebody who is not on this machine, unless there was one just now."""
        if self._stopping.is_set():
            raise StateError("the instance is stopping")
        name, now_ns = keeper.spec.name, self._monotonic()
        interval_ns = int(self._config.restart_interval_s * NS)
        left_ns = self._asked_ns.get(name, now_ns - interval_ns) + interval_ns - now_ns
        if left_ns > 0:
            log.info("command refused, too soon", do="restart", process_name=name, by=by)
            return {"accepted": False, "retry_s": left_ns / NS}
        self._asked_ns[name] = now_ns
        log.info("command", do="restart", process_name=name, by=by)
        self._tasks.spawn(self._restart_later(keeper), f"restart {name}")
        return {"accepted": True, "pid": keeper.pid, "clients": self._clients_see(keeper.spec)}

    async def _restart_later(self, keeper: Keeper) -> None:
        await asyncio.sleep(ANSWERED_S)
        if not self._stopping.is_set():
            await keeper.restart(self._config.stop_s * GRACE_SHARE)

    def _clients_see(self, spec: ProcessSpec) -> str:
        """What a restart of a process means to clients."""
        workers = sum(keeper.spec.role == "gateway" for keeper in self._keepers.values())
        match spec.role:
            case "feed":
                return f"connections stay; instruments of {spec.venue} are stale until the feed is live again"
            case "sim":
                return "connections stay; all instruments are stale until the simulated exchanges are back"
            case "core" if workers:
                return "connections stay; prices stand still until the core is back, then a new epoch begins"
            case "core":
                return "connections are closed and new ones refused until the core is back; then a new epoch begins"
            case "gateway" if workers > 1:
                return "connections of this worker are closed, to be opened again; the other workers take them"
            case _:
                return "connections are closed, to be opened again when the process is back"


def has_terminal() -> bool:
    """Whether this process has a terminal that is there."""
    try:
        os.close(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
