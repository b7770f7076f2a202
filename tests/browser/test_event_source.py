"""The browser's own EventSource against a real gateway: names, picking up by itself, and pages of other sites."""

from typing import Any

import pytest
from playwright.async_api import Browser, Page

from tickcast.gateway.config import Config
from tickcast.testing.gateway import running_gateway

from .conftest import Until

pytestmark = pytest.mark.browser
WATCH = """address => {
    window.told = [];
    window.source = new EventSource(address);
    for (const name of ["subscribed", "resumed", "snapshot", "update", "trade", "close", "hb", "message"])
        source.addEventListener(name, event => told.push([name, JSON.parse(event.data), event.lastEventId]));
    source.addEventListener("error", () => told.push(["error", source.readyState, ""]));
}"""


async def told(page: Page, name: str) -> list[Any]:
    found: list[Any] = await page.evaluate("name => told.filter(event => event[0] === name)", name)
    return found


async def test_event_source_picks_up_all_symbols_by_itself(browser: Browser, until: Until) -> None:
    async with running_gateway(Config(port=0, heartbeat_s=0.3)) as gateway:
        gateway.trade("XNAS:AAPL", "185.40")
        gateway.trade("XNAS:MSFT", "400.00")
        page = await browser.new_page()
        await page.goto(f"{gateway.url}/health/live")
        await page.evaluate(WATCH, "/events?symbols=XNAS:AAPL,XNAS:MSFT&channels=price,trades&rate=0")

        async def both() -> bool:
            return len(await told(page, "snapshot")) == 2

        await until(both)
        gateway.trade("XNAS:AAPL", "185.50")

        async def traded() -> bool:
            return len(await told(page, "trade")) == 1 and len(await told(page, "update")) == 1

        await until(traded)
        (stream,) = gateway.stage.clients.streams.values()
        stream.close(4702, "the gateway stops or restarts; retry in 1 ms")
        gateway.trade("XNAS:MSFT", "401.00")

        async def resumed() -> bool:
            return len(await told(page, "trade")) == 2

        await until(resumed)
        assert [event[1]["code"] for event in await told(page, "close")] == [4702]
        marks = [event[1]["symbols"] for event in await told(page, "resumed")]
        assert [{name: mark["recovered"] for name, mark in symbols.items()} for symbols in marks] == [
            {"XNAS:AAPL": True, "XNAS:MSFT": True}
        ] * 2
        assert [event[1]["price"] for event in await told(page, "trade")] == [185.5, 401]
        snapshots = [event[1]["symbol"] for event in await told(page, "snapshot")]
        assert snapshots[2:] == ["XNAS:MSFT"], "the other stands where it stood"
        assert not await told(page, "hb"), "heartbeats are comments"
        await page.evaluate("source.close()")
        await page.close()


async def test_a_page_of_another_site_gets_no_event(browser: Browser, until: Until) -> None:
    async with running_gateway() as gateway:
        page = await browser.new_page()
        await page.route("http://evil.example/", lambda route: route.fulfill(body="<p>hello", content_type="text/html"))
        await page.goto("http://evil.example/")
        address = f"{gateway.url}/events?symbols=XNAS:AAPL"
        await page.evaluate(WATCH, address)

        async def refused() -> bool:
            return await told(page, "error") == [["error", 2, ""]]

        await until(refused)
        assert not await told(page, "subscribed")
        reading = "address => fetch(address).then(answer => answer.text(), () => 'refused')"
        assert await page.evaluate(reading, f"{gateway.url}/prices?symbols=XNAS:AAPL&wait=1") == "refused"
        script = """address => new Promise(done => {
            const script = document.createElement("script");
            script.onload = () => done("loaded");
            script.onerror = () => done("refused");
            script.src = address;
            document.head.append(script);
        })"""
        assert await page.evaluate(script, address) == "refused"
        assert not gateway.stage.clients.streams
        await page.close()


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_pages_break_nothing_of_their_own_policy(browser: Browser, until: Until, path: str) -> None:
    async with running_gateway() as gateway:
        gateway.trade("XNAS:AAPL", "185.40")
        problems: list[str] = []
        page = await browser.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
        answer = await page.goto(f"{gateway.url}{path}", wait_until="load")
        assert answer is not None
        assert answer.headers["x-content-type-options"] == "nosniff"

        async def shown() -> bool:
            text: str = await page.evaluate("document.body.innerText")
            return bool(text.strip())

        await until(shown)
        assert not problems
        if path == "/":
            inline = """new Promise(done => {
                document.addEventListener("securitypolicyviolation", event => done(event.violatedDirective));
                const script = document.createElement("script");
                script.textContent = "window.reached = true";
                document.head.append(script);
            })"""
            assert await page.evaluate(inline) == "script-src-elem"
            assert await page.evaluate("window.reached") is None
        await page.close()
