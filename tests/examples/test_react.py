"""The watchlist in React: built as its readers build it, and looked at in a browser beside a running instance."""

import functools
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect

from tickcast.testing.instance import DemoInstance

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/react-watchlist"
SDK = ROOT / "sdk/typescript"
MODULES = ROOT / "dashboard/node_modules"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
WAIT_MS = 60_000
pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: on Debian `apt install chromium`"),
    pytest.mark.skipif(not (MODULES / "vite").exists(), reason="the page's packages are missing: run `make page`"),
    pytest.mark.skipif(not (SDK / "dist/react.js").exists(), reason="the SDK is not built: run `make sdk`"),
]


def built(folder: Path) -> Path:
    """Build a copy; its packages are those of the dashboard, its SDK is that of this checkout."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules", "dist"))
    wanted = json.loads((EXAMPLE / "package.json").read_text(encoding="utf-8"))
    modules = folder / "node_modules"
    modules.mkdir()
    for entry in MODULES.iterdir():
        (modules / entry.name).symlink_to(entry)
    (modules / "tickcast").symlink_to(SDK)
    named = {**wanted["dependencies"], **wanted["devDependencies"]}
    assert all((modules / name).exists() for name in named), "a package that the dashboard does not have"
    vite = modules / "vite/bin/vite.js"
    done = subprocess.run(
        ["node", str(vite), "build", "--logLevel", "warn"],
        cwd=folder, check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "dist"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = built(tmp_path_factory.mktemp("react") / "watchlist")
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoInstance]:
    with DemoInstance(tmp_path_factory.mktemp("demo"), rate=300, symbols=20) as started:
        started.wait_ready()
        yield started


async def test_prices_move_and_a_click_shows_another_book(site: str, instance: DemoInstance) -> None:
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(f"{site}/?gateway={instance.url}")
        await expect(page.locator(".connection")).to_have_text("live", timeout=WAIT_MS)
        await expect(page.locator("tr[data-state=live]")).to_have_count(3, timeout=WAIT_MS)
        first = page.locator("tbody tr").first
        await expect(first).not_to_have_text(await first.text_content() or "", timeout=WAIT_MS)
        await page.get_by_role("button", name="XNAS:MSFT").click()
        book = page.get_by_role("region", name="Book of XNAS:MSFT")
        await expect(book.locator("tr")).to_have_count(5, timeout=WAIT_MS)
        bids = [float(text) for text in await book.locator(".bid").all_inner_texts()]
        asks = [float(text) for text in await book.locator(".ask").all_inner_texts()]
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)
        await browser.close()
    assert not complaints
