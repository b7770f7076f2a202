"""The tutorial of a page of one's own is followed: the page in a browser, the programs as they are written."""

import http.server
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect

import tickcast
from tickcast.testing.instance import DemoInstance

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]
TUTORIAL = Path(__file__).parents[2] / "docs/tutorial/a-page-of-your-own.md"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
PAGE = Path(tickcast.__file__).parent / "gateway/page/tickcast.js"
WAIT_MS = 60_000
BLOCK = re.compile(r"^```(\w+) (page|run)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def block(language: str, instance: DemoInstance) -> str:
    """The tutorial's only block of a language, with this instance's port."""
    (text,) = [text for found, _, text in BLOCK.findall(TUTORIAL.read_text(encoding="utf-8")) if found == language]
    return str(text).replace("127.0.0.1:8000", f"127.0.0.1:{instance.port}")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """As ``python3 -m http.server``, without its log."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        pass


@pytest.fixture
def own_site(instance: DemoInstance, tmp_path: Path) -> Iterator[str]:
    (tmp_path / "index.html").write_text(block("html", instance), encoding="utf-8")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: on Debian `apt install chromium`")
@pytest.mark.skipif(not PAGE.exists(), reason="the page is not built: run `make page`")
async def test_the_page_shows_live_prices_that_move(own_site: str) -> None:
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(own_site)
        await expect(page.locator("#connection")).to_have_text("live", timeout=WAIT_MS)
        rows = page.locator("#prices tr[data-state=live]")
        await expect(rows).to_have_count(3, timeout=WAIT_MS)
        shown = await rows.all_inner_texts()
        assert [row.split("\t")[0] for row in shown] == ["AAPL", "XNAS:MSFT", "BTC-USDT"]
        assert all(re.search(r"\d\.\d", row) for row in shown), shown
        await expect(rows.first).not_to_have_text(await rows.first.text_content() or "", timeout=WAIT_MS)
        await browser.close()
    assert not [text for text in complaints if "404" not in text], complaints  # there is no favicon


def test_the_alarm_rings(instance: DemoInstance) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block("python", instance)], check=False, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    found = dict.fromkeys(re.findall(r"^new low of (\S+) \d+\.\d+$", done.stdout, re.MULTILINE))
    assert set(found) == {"AAPL", "XNAS:MSFT", "BTC-USDT"}


def test_a_shell_is_a_client(instance: DemoInstance) -> None:
    argv = ["bash", "-euc", block("sh", instance)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "event: snapshot" in done.stdout
    assert '"symbol":"AAPL"' in done.stdout
