"""Chromium and the built page, or a reason to skip."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from .fake_gateway import FakeGateway, demo_world

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "src" / "tickcast" / "gateway" / "page"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox",  # the tests may run as root, where Chromium refuses its sandbox
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

Until = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    if not (PAGE / "index.html").exists():
        pytest.skip("the page is not built: run `make page`")
    fake = FakeGateway(page=PAGE)
    demo_world(fake)
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is missing: on Debian `apt install chromium`")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        await running.close()


@pytest.fixture
def until() -> Until:
    """Wait for something to become true, looking again and again, with a deadline."""

    async def wait(is_true: Callable[[], Awaitable[bool]], deadline_s: float = 10.0) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + deadline_s
        while not await is_true():
            if loop.time() > end:
                raise AssertionError(f"not true within {deadline_s} s")
            await asyncio.sleep(0.02)

    return wait
