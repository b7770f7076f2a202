"""Keeps one process alive: starts, watches, starts again; told to start, stop and restart by the supervisor."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import structlog

from tickcast.model.errors import StateError
from tickcast.ops.config import SupervisorConfig
from tickcast.ops.logfile import LogFile
from tickcast.ops.process import STANDBY, USAGE_STATUS, Child, Info, ProcessSpec, RestartPolicy, describe_exit
from tickcast.ports import Clock

KeeperState = Literal["waiting", "starting", "running", "backoff", "stopping", "stopped", "failed"]
NS: Final = 1_000_000_000


class Keeper:
    """One process under supervision; ``run`` is its task, everything else may be called at any time."""

    def __init__(
        self,
        spec: ProcessSpec,
        *,
        config: SupervisorConfig,
        log: LogFile,
        environment: Mapping[str, str],
        infos: Callable[[], Mapping[str, Info]],
        on_ready: Callable[[str, Info], None],
        on_usage_error: Callable[[str, str], None],
        clock: Clock,
        monotonic: Clock,
        logger: structlog.stdlib.BoundLogger,
    ) -> None:
        self.spec: Final = spec
        self.state: KeeperState = "waiting"
        self.since_ns = clock()
        self.starts = 0
        self.info: Info | None = None
        """What the process said at its last readiness; kept when it dies, so that its next start can use it."""
        self.last_error: str | None = None
        self.was_ready: Final = asyncio.Event()
        self._config = config
        self._log_file = log
        self._environment = environment
        self._infos = infos
        self._on_ready = on_ready
        self._on_usage_error = on_usage_error
        self._clock = clock
        self._monotonic = monotonic
        self._log = logger.bind(process_name=spec.name)
        self._policy = RestartPolicy(config)
        self._child: Child | None = None
        self._successor: Child | None = None
        """Takes over when the child ends."""
        self._taken_over = asyncio.Event()
        self._wanted = True
        self._nudge = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def pid(self) -> int | None:
        """Process id, None while there is no process."""
        return self._child.pid if self._child is not None else None

    @property
    def restarts(self) -> int:
        """Starts after the first."""
        return max(0, self.starts - 1)

    # ------------------------------------------------------------------ commands

    def start(self) -> None:
        """Want it alive, now: also ends a backoff."""
        self._wanted = True
        self._policy.forget()
        if self._child is None:
            self._nudge.set()

    def hold(self) -> None:
        """Start it no more; what runs goes on until ``stop``."""
        self._wanted = False

    async def restart(self, grace_s: float) -> None:
        """End it as ``stop`` does and start it anew."""
        await self.stop(grace_s)
        self.start()

    async def replace(self, grace_s: float, *, within_s: float) -> bool:
        """Start another process beside it, which takes over when it is ready; False: it was restarted instead.

        Args:
            grace_s: the old one hands over and ends within this time, or is killed.
            within_s: the new one is ready within this time.

        Raises:
            StateError: the new one did not become ready; the old one runs on.
        """
        old = self._child
        if not self.spec.overlaps or old is None or self.state != "running" or self._successor is not None:
            await self.restart(grace_s)
            return False
        new = await self._spawn(standby=True)
        if new is None:
            raise StateError(f"{self.spec.name}: {self.last_error}; the process before runs on")
        events: set[asyncio.Future[Any]] = {new.ready, new.exited, old.exited}
        await asyncio.wait(events, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        if not new.ready.done() or new.exited.done() or old.exited.done() or not self._wanted:
            reason = "it did not become ready in time" if not new.exited.done() else "it ended"
            if old.exited.done():
                reason = "the process before ended meanwhile"
            new.kill()
            await new.wait()
            complaint = new.message.partition("\n")[0]
            raise StateError(f"{self.spec.name} is not replaced: {reason}" + (f": {complaint}" if complaint else ""))
        self._log.info("hands over", pid=old.pid, to_pid=new.pid)
        self._taken_over.clear()
        self._successor = new
        old.ask()
        try:
            await asyncio.wait_for(asyncio.shield(old.exited), grace_s)
        except TimeoutError:
            self._log.warning("did not hand over when asked, killed", after_s=grace_s)
            old.kill()
        await self._taken_over.wait()
        return True

    async def stop(self, grace_s: float) -> None:
        """Want it gone; returns when it is: asked to end, killed after ``grace_s``."""
        self._wanted = False
        self._nudge.set()
        if self._child is not None:
            self._enter("stopping")
            self._child.terminate()
            try:
                await asyncio.wait_for(self._idle.wait(), grace_s)
            except TimeoutError:
                self._log.warning("did not end when asked, killed", after_s=grace_s)
                self.kill()
        await self._idle.wait()
        self._enter("stopped")

    def kill(self) -> None:
        """End the process at once."""
        for child in (self._child, self._successor):
            if child is not None:
                child.kill()

    # ------------------------------------------------------------------ life

    async def run(self) -> None:
        """Keep the process alive as long as this is wanted; runs until it is cancelled."""
        while True:
            if self._successor is not None:
                delay_s = await self._live_on(self._successor)
            elif not self._wanted:
                await self._wait_for_nudge(None)
                continue
            else:
                self._nudge.clear()
                delay_s = await self._live_once()
            if delay_s is not None and self._wanted:
                self._enter("backoff")
                await self._wait_for_nudge(delay_s)

    async def _wait_for_nudge(self, longest_s: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._nudge.wait(), longest_s)
        self._nudge.clear()

    async def _live_once(self) -> float | None:
        """One life of the process; returns the delay before the next, None if there is to be none."""
        self._idle.clear()
        try:
            child = await self._spawn()
            if child is None:
                return self._policy.died(0)
            self._child = child
            if not self._wanted:  # stopped while it was being started
                child.kill()
            ready_ns = await self._become_ready(child)
            return await self._live_out(child, ready_ns)
        finally:
            self._let_go()

    async def _live_on(self, child: Child) -> float | None:
        """The life of a process that takes over from the one before."""
        self._idle.clear()
        try:
            self._child, self._successor = child, None
            if child.ready.done() and not child.ready.cancelled():
                # one that took over is where the one before was, unless it says otherwise
                self.info = {**(self.info or {}), **child.ready.result()}
                self._on_ready(self.spec.name, self.info)
            self.state, self.since_ns = "running", self._clock()
            if not self._wanted:
                child.kill()
            child.ask()
            self._log.info("took over", pid=child.pid)
            self._taken_over.set()
            return await self._live_out(child, self._monotonic())
        finally:
            self._let_go()

    async def _live_out(self, child: Child, ready_ns: int) -> float | None:
        status = await child.wait()
        if self._successor is not None:
            self._log.info("handed over", status=describe_exit(status))
            return None
        ready_s = (self._monotonic() - ready_ns) / NS if ready_ns else 0.0
        return self._after_exit(child, status, ready_s)

    def _let_go(self) -> None:
        if self._child is not None:
            self._child.kill()
        self._child = None
        if self._successor is None:
            self._idle.set()

    async def _spawn(self, *, standby: bool = False) -> Child | None:
        """Start the process; ``standby``: beside the one that runs."""
        environment = {**self._environment, **self.spec.environment}
        if standby:
            environment[STANDBY] = "1"
        else:
            self._enter("starting")
            self.starts += 1
        argv: list[str] = []
        environment["TICKCAST_RESTARTS"] = str(self.restarts)
        try:
            argv = list(self.spec.argv(self._infos()) if callable(self.spec.argv) else self.spec.argv)
            return await Child.spawn(
                argv,
                name=self.spec.name,
                environment=environment,
                log=self._log_file,
                pass_fds=self.spec.pass_fds,
            )
        except OSError as wrong:
            self.last_error = f"cannot start {argv[:1]}: {wrong.strerror or wrong}"
            self._log.error("cannot be started", command=argv, reason=str(wrong))
            return None

    async def _become_ready(self, child: Child) -> int:
        """Wait until the child is ready (monotonic time of it) or gone (0); one that takes too long is killed."""
        events: set[asyncio.Future[Any]] = {child.ready, child.exited}
        done, _ = await asyncio.wait(events, timeout=self._config.ready_s, return_when=asyncio.FIRST_COMPLETED)
        if child.ready in done:
            self.info = child.ready.result()
            if self._wanted:
                self._enter("running")
            self.was_ready.set()
            self._log.info("ready", pid=child.pid)
            self._on_ready(self.spec.name, self.info)
            return self._monotonic()
        if not done:
            self._log.error("not ready in time, killed", after_s=self._config.ready_s)
            child.kill()
        return 0

    def _after_exit(self, child: Child, status: int, ready_s: float) -> float | None:
        text = describe_exit(status)
        if not self._wanted:
            self._log.info("ended", status=text)
            return None
        # who was killed did not say why: what it wrote before is not the reason
        complaint = child.message.partition("\n")[0] if status >= 0 else ""
        self.last_error = f"{text}: {complaint}" if complaint else text
        if status == USAGE_STATUS and not self.was_ready.is_set():
            self._wanted = False
            self._enter("failed")
            self._on_usage_error(self.spec.name, child.message or text)
            return None
        if status == 0 and not self.spec.restart_after_success:
            self._wanted = False
            self._enter("stopped")
            self._log.info("finished")
            return None
        delay_s = self._policy.died(ready_s)
        if self._policy.looping:
            self._log.error("crash loop, slowed down", status=text, deaths=self._policy.deaths, next_start_s=delay_s)
        else:
            self._log.warning("died, is started again", status=text, next_start_s=delay_s)
        return delay_s

    def _enter(self, state: KeeperState) -> None:
        if state != self.state:
            self.state = state
            self.since_ns = self._clock()
