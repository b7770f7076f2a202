"""Owned tasks: a task that nobody holds can vanish, and one that fails silently is worse."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from tickcast.runtime.log import get_logger

log = get_logger("runtime")

AGAIN_S = 10.0
"""Time that a task has for what it does when it is cancelled."""


def is_cancelled() -> bool:
    """Whether somebody cancelled the task that asks: for loops around libraries that may swallow it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class TaskGroupOwner:
    """Holds the background tasks of one component; a failure is logged once and kept in ``failure``."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[Any]] = set()
        self.failure: BaseException | None = None

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start ``work`` as a task of this owner."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self._name}.{name}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        failure = task.exception()
        if failure is not None:
            self.failure = self.failure or failure
            log.error("task failed", task=task.get_name(), exc_info=failure)

    async def stop(self) -> None:
        """Cancel all and wait until they are gone.

        A library may take a cancellation for its own (a time limit that ended at the same moment): what is still there
        after :data:`AGAIN_S` is cancelled again.
        """
        left: set[asyncio.Task[Any]] = set(self._tasks)
        while left:
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=AGAIN_S)
            if left:
                log.warning("tasks go on though cancelled", tasks=sorted(task.get_name() for task in left))
