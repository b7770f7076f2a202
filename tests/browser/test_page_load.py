"""200 rows at 20 updates a second each: what Chromium makes of it, printed and not judged by the clock."""

import json
import sys

import pytest
from playwright.async_api import Browser, expect

from .fake_gateway import FakeGateway

pytestmark = pytest.mark.browser

ROWS = 200
RATE = 20
SECONDS = 5.0

OBSERVE = """() => {
    window.frames_ms = [];
    window.longTasks_ms = [];
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.longTasks_ms.push(entry.duration);
    }).observe({ type: "longtask" });
    let before = performance.now();
    const frame = (now) => { window.frames_ms.push(now - before); before = now; requestAnimationFrame(frame); };
    requestAnimationFrame(frame);
}"""


async def test_200_rows_at_20_updates_a_second(gateway: FakeGateway, browser: Browser) -> None:
    symbols = [f"XNAS:T{index:03}" for index in range(ROWS)]
    for symbol in symbols:
        gateway.add(symbol, "100.00")
    context = await browser.new_context(viewport={"width": 1600, "height": 1000})
    await context.add_init_script(f"localStorage.setItem('tickcast.watchlist', '{json.dumps(symbols)}')")
    page = await context.new_page()
    await page.goto(gateway.url)
    await expect(page.locator("tr[data-symbol]")).to_have_count(ROWS)
    await expect(page.get_by_test_id("connection")).to_have_text("Live")
    session = await context.new_cdp_session(page)
    await session.send("Performance.enable", {"timeDomain": "threadTicks"})  # CPU time, whoever else is busy

    async def busy_s() -> float:
        metrics = (await session.send("Performance.getMetrics"))["metrics"]
        return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))

    await page.evaluate(OBSERVE)
    begin = await busy_s()
    await gateway.churn(rate=RATE, seconds=SECONDS, symbols=symbols)
    busy = await busy_s() - begin
    frames = sorted(await page.evaluate("() => window.frames_ms"))
    long_tasks = await page.evaluate("() => window.longTasks_ms")

    last = gateway.instruments[symbols[0]]
    await expect(page.locator(f'tr[data-symbol="{symbols[0]}"]').get_by_test_id("price")).to_have_text(str(last.price))
    far = page.locator(f'tr[data-symbol="{symbols[-1]}"]')
    await far.scroll_into_view_if_needed()
    await expect(far.get_by_test_id("price")).to_have_text(str(gateway.instruments[symbols[-1]].price))
    assert gateway.sent > 0.5 * ROWS * RATE * SECONDS
    figures = {
        "updates/s": round(gateway.sent / SECONDS),
        "rows": ROWS,
        "frames/s": round(len(frames) / SECONDS, 1),
        "frame p50 ms": frames[len(frames) // 2],
        "frame p95 ms": frames[int(len(frames) * 0.95)],
        "frame max ms": frames[-1],
        "tasks over 50 ms": len(long_tasks),
        "longest task ms": max(long_tasks, default=0),
        "main thread CPU": round(busy / SECONDS, 2),
    }
    sys.stdout.write(f"\n{figures}\n")
    await context.close()
