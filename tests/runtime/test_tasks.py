"""Tasks of an owner end when it stops, whatever they make of it."""

import asyncio

import pytest

from tickcast.runtime import tasks
from tickcast.runtime.tasks import TaskGroupOwner, is_cancelled


async def test_who_swallows_a_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN_S", 0.05)
    swallowed: list[int] = []

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if len(swallowed) == 2:
                    raise
                swallowed.append(1)

    owner = TaskGroupOwner("test")
    owner.spawn(stubborn(), "stubborn")
    await asyncio.sleep(0)
    await asyncio.wait_for(owner.stop(), 30)
    assert len(swallowed) == 2
    assert owner.failure is None


async def test_a_loop_can_ask_whether_it_was_cancelled() -> None:
    turns: list[int] = []

    async def work() -> None:
        while not is_cancelled():
            turns.append(1)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue  # as a library does by mistake

    owner = TaskGroupOwner("test")
    owner.spawn(work(), "work")
    await asyncio.sleep(0)
    await asyncio.wait_for(owner.stop(), 30)
    assert turns == [1]


async def test_a_failure_is_kept_and_nobody_waits_for_it() -> None:
    async def fails() -> None:
        raise ValueError("no")

    owner = TaskGroupOwner("test")
    owner.spawn(fails(), "fails")
    await asyncio.sleep(0)
    await owner.stop()
    assert isinstance(owner.failure, ValueError)
