"""The built page in Chromium, against a gateway that the test steers."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from .conftest import Until
from .fake_gateway import FakeGateway, entry, timestamp

pytestmark = pytest.mark.browser


@dataclass
class Screen:
    """The page and what went wrong in it."""

    page: Page
    problems: list[str] = field(default_factory=list)

    def row(self, symbol: str) -> Locator:
        return self.page.locator(f'tr[data-symbol="{symbol}"]')

    def price(self, symbol: str) -> Locator:
        return self.row(symbol).get_by_test_id("price")

    def state(self, symbol: str) -> Locator:
        return self.row(symbol).get_by_test_id("state")

    @property
    def connection(self) -> Locator:
        return self.page.get_by_test_id("connection")

    async def names(self) -> list[str]:
        names: list[str] = await self.page.locator("tr[data-symbol]").evaluate_all(
            "all => all.map(row => row.dataset.symbol)"
        )
        return names

    async def set_hidden(self, *, hidden: bool) -> None:
        """A headless tab is never hidden: say that it is."""
        state = "hidden" if hidden else "visible"
        await self.page.evaluate(
            """state => {
                Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
                document.dispatchEvent(new Event("visibilitychange"));
            }""",
            state,
        )


@pytest.fixture
async def screen(gateway: FakeGateway, browser: Browser) -> AsyncIterator[Screen]:
    page = await browser.new_page(viewport={"width": 1600, "height": 900})
    shown = Screen(page)
    page.on("pageerror", lambda error: shown.problems.append(str(error)))
    page.on("console", lambda line: shown.problems.append(line.text) if line.type == "error" else None)
    await page.goto(gateway.url)
    await expect(shown.price("AAPL")).to_have_text("185.42")
    yield shown
    await page.close()


async def test_the_suggested_list_is_shown_with_the_venues_digits(screen: Screen, tmp_path: Path) -> None:
    await expect(screen.price("AAPL")).to_have_text("185.42")
    await expect(screen.price("BTC-USDT")).to_have_text("67123.45000000")
    await expect(screen.state("AAPL")).to_have_text("live")
    await expect(screen.row("MSFT").locator(".c-state")).to_contain_text("1/2")
    await expect(screen.row("MSFT").locator(".c-state")).to_contain_text("crossed")
    await expect(screen.page.locator('[data-feed="xnas"]')).to_contain_text("38,211")
    await expect(screen.page.locator('[data-hop="bus_read"]')).to_contain_text("within")
    picture = tmp_path / "light.png"
    await screen.page.screenshot(path=picture)
    assert picture.stat().st_size > 20_000
    assert screen.problems == []  # nor did anything break the content security policy


async def test_prices_update_and_merged_events_are_counted(screen: Screen, gateway: FakeGateway) -> None:
    aapl = gateway.instruments["AAPL"]
    await gateway.publish(aapl.move(3))
    await expect(screen.price("AAPL")).to_have_text("185.45")
    await expect(screen.price("AAPL")).to_have_attribute("data-flash", "up-1")
    await gateway.publish(aapl.move(-5, merged=4))
    await expect(screen.price("AAPL")).to_have_text("185.40")
    await expect(screen.price("AAPL")).to_have_attribute("data-flash", "down-0")
    await expect(screen.row("AAPL").locator(".c-merged")).to_have_text("4")
    await expect(screen.row("AAPL").locator(".c-bid")).to_contain_text("185.39 \u00d7 300")


async def test_nothing_moves_for_those_who_asked_for_less_motion(screen: Screen, gateway: FakeGateway) -> None:
    await screen.page.emulate_media(reduced_motion="reduce")
    await gateway.publish(gateway.instruments["AAPL"].move(3))
    await expect(screen.price("AAPL")).to_have_attribute("data-flash", "up-1")
    name = await screen.price("AAPL").evaluate("element => getComputedStyle(element).animationName")
    assert name == "none"


async def test_add_by_search_and_remove_by_keyboard(screen: Screen, gateway: FakeGateway) -> None:
    gateway.add("XNAS:TSLA", "250.10")
    page = screen.page
    await page.keyboard.press("/")
    await page.keyboard.type("tsl")
    await expect(page.get_by_role("option", name="XNAS:TSLA")).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(screen.price("XNAS:TSLA")).to_have_text("250.10")
    assert (await screen.names())[0] == "XNAS:TSLA"

    await page.keyboard.press("Tab")  # from the box into the table: its first row
    await expect(screen.row("XNAS:TSLA").locator(".row-button")).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(screen.row("AAPL").locator(".row-button")).to_be_focused()
    await page.keyboard.press("Delete")
    await expect(screen.row("AAPL")).to_have_count(0)
    await expect(screen.row("XNAS:AAPL").locator(".row-button")).to_be_focused()
    await page.reload()
    await expect(screen.price("XNAS:TSLA")).to_have_text("250.10")  # the list is kept
    assert "AAPL" not in await screen.names()
    assert [request["symbols"] for request in gateway.requests("unsubscribe")] == [["AAPL"]]


async def test_the_list_follows_the_instance_until_the_user_changes_it(
    screen: Screen, gateway: FakeGateway, until: Until
) -> None:
    own = screen.page.get_by_role("button", name="Suggested list")
    assert await screen.names() == gateway.suggested
    await expect(own).to_have_count(0)
    gateway.add("XNAS:TSLA", "250.10")
    gateway.suggested = ["XNAS:TSLA", "AAPL"]  # another feed came up

    async def shows(names: list[str]) -> bool:
        return await screen.names() == names

    await until(lambda: shows(["XNAS:TSLA", "AAPL"]))
    await screen.page.get_by_role("button", name="Remove XNAS:TSLA", exact=True).click()
    await until(lambda: shows(["AAPL"]))
    await screen.page.reload()
    await expect(screen.price("AAPL")).to_have_text("185.42")
    assert await screen.names() == ["AAPL"]
    await own.click()
    await until(lambda: shows(["XNAS:TSLA", "AAPL"]))
    await expect(own).to_have_count(0)


async def test_a_typed_name_is_added_by_enter_and_nonsense_is_explained(screen: Screen) -> None:
    box = screen.page.get_by_role("combobox", name="Add a symbol")
    await box.fill("a b")
    await box.press("Enter")
    await expect(screen.page.locator(".search-problem")).to_contain_text("not written like a symbol")
    await box.fill("xnas:nope")
    await box.press("Enter")
    await expect(screen.state("XNAS:NOPE")).to_have_text("no such symbol")


async def test_rows_are_moved_by_keyboard(screen: Screen) -> None:
    await screen.row("AAPL").locator(".row-button").focus()
    await screen.page.keyboard.press("Alt+ArrowDown")
    assert (await screen.names())[:2] == ["XNAS:AAPL", "AAPL"]
    await expect(screen.row("AAPL").locator(".row-button")).to_be_focused()


async def test_resumes_by_itself_after_the_server_dropped_it(screen: Screen, gateway: FakeGateway) -> None:
    await gateway.publish(gateway.instruments["AAPL"].move(1))
    await expect(screen.price("AAPL")).to_have_text("185.43")
    await gateway.close_streams(4702, "drain")
    gateway.instruments["AAPL"].move(7, merged=20)  # while nobody listens
    await expect(screen.price("AAPL")).to_have_text("185.50")
    await expect(screen.connection).to_have_text("Live")
    resumed = [one for one in gateway.requests("subscribe") if one["channel"] == "price"][-1]["resume"]
    assert resumed["AAPL"] == {"epoch": 7, "seq": 101}
    await expect(screen.row("AAPL").locator(".c-merged")).to_have_text("20")


async def test_a_gateway_that_is_gone_is_said_and_found_again(screen: Screen, gateway: FakeGateway) -> None:
    await gateway.stop()
    await expect(screen.connection).to_have_text("Offline")
    await expect(screen.state("AAPL")).to_have_text("offline")
    await expect(screen.page.locator(".banner")).to_contain_text("Prices below are the last ones received")
    await expect(screen.page.get_by_role("status")).to_contain_text("Connection lost")
    gateway.instruments["AAPL"].epoch = 8  # it comes back without its past
    gateway.instruments["AAPL"].seq = 3
    await gateway.start()
    await expect(screen.connection).to_have_text("Live", timeout=20_000)
    await expect(screen.state("AAPL")).to_have_text("live")
    await expect(screen.page.locator(".banner")).to_have_count(0)


async def test_told_not_to_come_back_it_stays_away(screen: Screen, gateway: FakeGateway) -> None:
    await gateway.close_streams(4801, "token expired")
    await expect(screen.connection).to_have_text("Stopped")
    await expect(screen.page.locator(".banner")).to_contain_text("Token expired.")
    await screen.page.get_by_role("button", name="Connect now").click()
    await expect(screen.connection).to_have_text("Live")


async def test_a_status_frame_turns_the_badge(screen: Screen, gateway: FakeGateway) -> None:
    await gateway.set_state("XSIM:AAPL", "stale", "feed quiet 5 s")
    await expect(screen.state("XSIM:AAPL")).to_have_text("stale")
    await expect(screen.row("XSIM:AAPL").locator(".badges")).to_have_attribute("title", "feed quiet 5 s")
    await gateway.publish(gateway.instruments["XSIM:AAPL"].move(1) | {"state": "live"})
    await expect(screen.state("XSIM:AAPL")).to_have_text("live")


async def test_states_are_told_apart_without_reading(screen: Screen, gateway: FakeGateway) -> None:
    looks: dict[str, tuple[str, ...]] = {}
    for state in ("live", "unverified", "stale", "gap", "repairing", "halted", "syncing"):
        await gateway.set_state("XSIM:AAPL", state, f"for the test: {state}")
        await expect(screen.state("XSIM:AAPL")).to_have_text(state)
        looks[state] = tuple(
            await screen.state("XSIM:AAPL").evaluate(
                """badge => {
                    const { backgroundColor, color, outlineStyle } = getComputedStyle(badge);
                    return [backgroundColor, color, outlineStyle, getComputedStyle(badge, "::before").content];
                }"""
            )
        )
    assert len(set(looks.values())) == len(looks)
    marks = [looks[state][3] for state in ("unverified", "stale", "gap", "repairing", "halted")]
    assert len({*marks, "none"}) == 6  # not by colour alone


async def test_a_feed_says_what_of_it_is_not_whole(screen: Screen, gateway: FakeGateway) -> None:
    feed = screen.page.locator('[data-feed="binance"]')
    await expect(feed).to_contain_text("BINANCE")
    many = {"scope": "connection", "link": "streams-1", "instruments_count": 40, "open_count": 40}
    gateway.gaps += [entry(f"b-{n}", "BINANCE", f"expected {n}, found 9", **many) for n in range(3)]
    await gateway.tell_gaps()
    trouble = screen.page.locator("[data-trouble]")
    await expect(trouble).to_have_count(2)
    await expect(trouble.first).to_contain_text("streams-1: 40 instruments: expected 2, found 9")
    await expect(trouble.last).to_contain_text("(and 1 more)")
    for number, one in enumerate(gateway.gaps):
        gateway.gaps[number] = one | {"ended": timestamp()}
    await gateway.tell_gaps()
    await expect(trouble).to_have_count(0)


async def test_the_ledger_is_live_and_filtered_by_venue(screen: Screen, gateway: FakeGateway) -> None:
    ledger = screen.page.get_by_role("table", name="Ledger")
    panel = screen.page.get_by_role("region", name="Ledger").first
    await expect(panel).to_contain_text("Nothing was ever less than whole.")
    gateway.gaps.insert(0, entry("a-1", "XNAS", "3 messages are missing before 9", lost=3))
    await gateway.tell_gaps()
    row = screen.page.locator('tr[data-entry="a-1"]')
    await expect(row).to_have_attribute("data-open", "true")
    await expect(row).to_contain_text("3 messages are missing before 9")
    await expect(row).to_contain_text("open, ")
    await expect(screen.page.get_by_test_id("ledger-open")).to_have_text("1 open")
    gateway.gaps[0] = gateway.gaps[0] | {"ended": timestamp(), "duration_ms": 87.4, "repaired_by": "snapshot"}
    await gateway.tell_gaps()
    await expect(row).to_contain_text("87 ms")
    await expect(row).to_contain_text("snapshot")
    assert await row.get_attribute("data-open") is None
    many = {"kind": "reconnect", "scope": "connection", "link": "streams-1", "instruments_count": 1250, "open_count": 7}
    gateway.gaps.insert(0, entry("b-2", "BINANCE", "connection lost", **many))
    await gateway.tell_gaps()
    await expect(ledger.locator("tbody tr").first).to_have_attribute("data-entry", "b-2")
    await expect(ledger.locator("tbody tr").first).to_contain_text("streams-1: 7 of 1,250 instruments")
    await screen.page.get_by_label("Venue").select_option("BINANCE")
    await expect(ledger.locator("tbody tr")).to_have_count(1)
    await screen.page.get_by_label("Venue").select_option("")
    await expect(ledger.locator("tbody tr")).to_have_count(2)


async def test_a_hidden_tab_says_so(screen: Screen, gateway: FakeGateway, until: Until) -> None:
    async def told(expected: list[bool]) -> bool:
        return [request["hidden"] for request in gateway.requests("visibility")] == expected

    await screen.set_hidden(hidden=True)
    await until(lambda: told([True]))
    await screen.set_hidden(hidden=False)
    await until(lambda: told([True, False]))


async def test_an_opened_row_shows_the_last_trades(screen: Screen, gateway: FakeGateway, until: Until) -> None:
    button = screen.row("AAPL").locator(".row-button")
    await button.focus()
    await screen.page.keyboard.press("Enter")
    await expect(button).to_have_attribute("aria-expanded", "true")

    async def is_subscribed() -> bool:
        return "AAPL" in gateway.clients[0].trades

    async def is_unsubscribed() -> bool:
        return not await is_subscribed()

    await until(is_subscribed)
    await gateway.publish(gateway.instruments["AAPL"].trade(), gateway.instruments["AAPL"].trade())
    tape = screen.page.get_by_role("region", name="Last trades of AAPL")
    await expect(tape.locator("tbody tr")).to_have_count(2)
    await expect(tape).to_contain_text("buy")
    await screen.page.keyboard.press("Enter")
    await expect(tape).to_have_count(0)
    await until(is_unsubscribed)


async def test_an_opened_row_shows_the_book_verified(screen: Screen, gateway: FakeGateway, tmp_path: Path) -> None:
    await screen.row("AAPL").locator(".row-button").click()
    book = screen.page.get_by_role("region", name="Order book of AAPL")
    await expect(book.locator("tbody tr")).to_have_count(10)
    await expect(book.locator("tbody tr").first).to_have_text("100185.41185.43150")
    await expect(book).to_contain_text("verified 1\u00d7")
    aapl = gateway.instruments["AAPL"]
    await gateway.publish(aapl.set_bid("185.415", 7), aapl.set_bid("185.41", 0))
    await expect(book.locator("tbody tr").first).to_have_text("7185.415185.43150")
    await expect(book).to_contain_text("verified 3\u00d7")
    assert len([one for one in gateway.requests("subscribe") if one.get("channel") == "book"]) == 1
    await gateway.publish(aapl.set_bid("185.412", 9, digest=1))  # not what the client can have
    await expect(book).to_contain_text("1 failed")
    await expect(book.locator("tbody tr").nth(1)).to_have_text("9185.412185.44300")  # asked for anew
    asked = [one for one in gateway.requests("subscribe") if one.get("channel") == "book"]
    assert [(one["depth"], "resume" in one) for one in asked] == [(10, False), (10, False)]
    await screen.page.screenshot(path=tmp_path / "book.png")
    assert screen.problems == []


async def test_a_book_that_is_not_whole_says_so(screen: Screen, gateway: FakeGateway) -> None:
    await screen.row("AAPL").locator(".row-button").click()
    state = screen.page.get_by_test_id("book-state")
    book = screen.page.get_by_role("region", name="Order book of AAPL")
    await expect(book.locator("tbody tr")).to_have_count(10)
    await expect(state).to_have_count(0)
    aapl = gateway.instruments["AAPL"]
    aapl.bids, aapl.asks, aapl.state = {}, {}, "repairing"
    await gateway.publish(aapl.book_snapshot())
    await expect(state).to_have_text("repairing")
    await expect(book).to_contain_text("The book is empty.")


async def test_bars_are_drawn_and_corrections_redrawn(screen: Screen, gateway: FakeGateway) -> None:
    await screen.row("AAPL").locator(".row-button").click()
    bars = screen.page.get_by_role("region", name="Bars of AAPL")
    candles = bars.locator(".candles g")
    await expect(candles).to_have_count(40)
    aapl = gateway.instruments["AAPL"]
    await gateway.publish(aapl.bar_message(40, "185.44", final=False))
    await expect(candles).to_have_count(41)
    await expect(candles.last).to_have_attribute("data-final", "false")
    await expect(bars).to_contain_text("close 185.44")
    await gateway.publish(aapl.bar_message(40, "185.45"), aapl.bar_message(39, "185.30", corrected=True))
    await expect(bars).to_contain_text("close 185.45")
    await expect(bars).to_contain_text("1 corrected")
    await expect(candles.nth(39)).to_have_attribute("data-corrected", "true")
    await bars.get_by_text("1m", exact=True).click()
    await expect(candles).to_have_count(40)
    asked = [one["interval"] for one in gateway.requests("subscribe") if one.get("channel") == "bars"]
    assert asked == ["1s", "1m"]


async def test_lost_trades_are_counted(screen: Screen, gateway: FakeGateway) -> None:
    await screen.row("AAPL").locator(".row-button").click()
    tape = screen.page.get_by_role("region", name="Last trades of AAPL")
    await expect(tape).to_contain_text("No trade since this was opened.")
    aapl = gateway.instruments["AAPL"]
    aapl.trade_seq += 12
    lost = {"type": "lost", "symbol": "AAPL", "channel": "trades", "count": 12, "epoch": 7, "seq": aapl.trade_seq}
    await gateway.publish(lost, aapl.trade())
    await expect(tape).to_contain_text("12 trades were lost on the way and are not shown.")


async def test_gaps_and_states_of_feeds_are_told_at_once(screen: Screen, gateway: FakeGateway) -> None:
    feed = screen.page.locator('[data-feed="binance"]')
    await expect(feed).to_contain_text("connected")
    gap = entry("b-1", "BINANCE", "expected 3, found 9")
    gateway.gaps.append(gap)
    await gateway.tell_gaps()
    await expect(screen.page.locator('[data-trouble="b-1"]')).to_contain_text("expected 3, found 9")
    await expect(screen.page.locator('tr[data-entry="b-1"]')).to_be_visible()  # the ledger asked because of it
    gateway.gaps[0] = gap | {"ended": timestamp()}
    await gateway.tell_gaps()
    await expect(screen.page.locator("[data-trouble]")).to_have_count(0)
    gateway.feeds[1]["state"] = "failed"
    await gateway.publish({"type": "feed", "channel": "status", "feed": {"name": "binance", "state": "failed"}})
    await expect(feed).to_contain_text("failed")


async def test_a_reader_is_told_of_being_slowed_down(screen: Screen, gateway: FakeGateway) -> None:
    slowed = screen.page.get_by_test_id("slowed")
    await gateway.publish({"type": "rate", "rate": 5, "reason": "slow"})
    await expect(slowed).to_have_text("You are slowed down to 5 a second: slow network")
    await gateway.publish({"type": "rate", "rate": 0, "reason": "restored"})
    await expect(slowed).to_have_count(0)
    await gateway.publish({"type": "delivery", "channel": "status", "delivery": {"rung": 2}})
    await expect(screen.page.get_by_test_id("rung")).to_contain_text("at most 5 updates a second")
    await gateway.publish({"type": "delivery", "channel": "status", "delivery": {"rung": 0}})
    await expect(screen.page.get_by_test_id("rung")).to_have_count(0)


async def test_it_stays_away_as_long_as_the_gateway_asks(screen: Screen, gateway: FakeGateway) -> None:
    await gateway.close_streams(4702, "the gateway stops: retry in 3400 ms")
    await expect(screen.page.locator(".banner")).to_contain_text("Next attempt in")
    assert gateway.clients == []
    await expect(screen.connection).to_have_text("Live", timeout=8_000)


async def test_dark_by_system_and_by_choice(screen: Screen, tmp_path: Path) -> None:
    page = screen.page

    async def background() -> str:
        return str(await page.evaluate("() => getComputedStyle(document.body).backgroundColor"))

    light = await background()
    await page.emulate_media(color_scheme="dark")
    dark = await background()
    assert light != dark
    await page.screenshot(path=tmp_path / "dark.png")
    await page.get_by_text("Light", exact=True).click()
    assert await background() == light
    await page.reload()
    await expect(screen.connection).to_have_text("Live")
    assert await background() == light  # the choice is kept


async def test_the_structure_speaks_to_a_screen_reader(screen: Screen) -> None:
    page = screen.page
    table = page.get_by_role("table", name="Watchlist")
    await expect(table.get_by_role("columnheader", name="Price")).to_be_visible()
    await expect(table.get_by_role("rowheader", name="XNAS:AAPL", exact=True)).to_be_visible()
    await expect(page.get_by_role("table", name="Feeds")).to_be_visible()
    await expect(page.get_by_role("table", name="Latency per hop")).to_be_visible()
    assert await page.locator("[aria-live]").count() == 1  # prices do not talk
    await expect(table.get_by_role("button", name="Remove AAPL", exact=True)).to_have_count(1)


@pytest.mark.parametrize("width", [360, 390, 768, 1024, 1280, 1440, 1920])
async def test_nothing_is_wider_than_the_screen(screen: Screen, tmp_path: Path, width: int) -> None:
    await screen.page.set_viewport_size({"width": width, "height": 844})
    await screen.row("AAPL").locator(".row-button").click()
    await expect(screen.price("AAPL")).to_be_visible()
    await asyncio.sleep(0)
    widest = await screen.page.evaluate(
        """() => {
            const tables = [...document.querySelectorAll("table")];
            const over = tables.filter((table) => table.scrollWidth > table.closest("section").clientWidth + 1);
            return [document.documentElement.scrollWidth, over.map((table) => table.className)];
        }"""
    )
    await screen.page.screenshot(path=tmp_path / f"width-{width}.png", full_page=True)
    assert widest == [width, []]
