"""XNAS over real sockets: login, resume, heartbeats, sessions; and what it says against a slow book."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.sim.itch.reference import LENGTHS, ReferenceBook
from tests.sim.soup_client import SoupClient

from tickcast.sim import universe as listing
from tickcast.sim.config import Config, MarketConfig, SoupItchConfig
from tickcast.sim.engine import VenueEngine
from tickcast.sim.soup_itch import server as soup
from tickcast.sim.soup_itch.dialect import SoupItchDialect, create
from tickcast.sim.truth import venue_truth

START = 1_774_879_200_000_000_000  # 2026-03-30 14:00 UTC
MARKET = MarketConfig(halt_every_s=1.5, halt_min_s=0.3, halt_max_s=0.5, close_after_s=6.0)


class Venue:
    """XNAS on a clock that the test moves."""

    def __init__(self, *, start: int = START, market: MarketConfig = MARKET, symbols: int = 30, **options: Any) -> None:
        self.config = Config(seed=3, symbols=symbols, rate=20_000, market=market)
        self.now = start
        settings = SoupItchConfig(**{"rare_every_s": 0.05, **options})
        universe = listing.build(self.config)
        self.dialect: SoupItchDialect = create("XNAS", settings, self.config, universe, start, time.time_ns)
        self.engine = VenueEngine(self.dialect, rate=2000.0, quantum_ms=5.0, start_ns=start)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.now += 10_000_000
            self.engine.advance(self.now)

    def next_sequence(self) -> int:
        return int(self.dialect.state()["sessions"][-1]["next_sequence"])


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[tuple[Venue, str]]:
    venue = Venue(**options)
    address = (await venue.dialect.start())["address"]
    try:
        yield venue, address
    finally:
        await venue.dialect.stop()


def caught_up(venue: Venue, first: int = 1) -> Callable[[SoupClient], bool]:
    return lambda client: first + len(client.messages) >= venue.next_sequence()


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def everything(venue: Venue, address: str) -> SoupClient:
    client = await SoupClient.connect(address)
    assert await client.login() == b"A"
    await client.read_until(caught_up(venue))
    return client


async def test_a_day_is_consistent_and_has_every_message_type() -> None:
    async with serving() as (venue, address):
        venue.run(7.0)
        client = await everything(venue, address)
        book = ReferenceBook()
        for message in client.messages:
            book.feed(message)
        assert set(book.kinds) == set(LENGTHS)
        assert book.kinds["E"] > 500
        assert client.messages[0][:1] == b"S"
        assert book.state
        assert "H" in {chr(one[19]) for one in client.messages if one[:1] == b"H"}
        truth = venue_truth(venue.dialect)
        assert len(truth) == 24
        for stock, is_true in truth.items():
            prices = [f"{price / 10_000:.4f}" for price in (book.best(stock)[0], book.best(stock)[2])]
            assert [f"{float(is_true[side] or 0):.4f}" for side in ("bid", "ask")] == prices
            assert [int(is_true["bid_size"]), int(is_true["ask_size"])] == [book.best(stock)[1], book.best(stock)[3]]
            price, shares, match = book.last[stock]
            assert (float(is_true["last"]), int(is_true["last_size"])) == (price / 10_000, shares)
            assert is_true["last_id"] == str(match)
            assert (is_true["trades"], is_true["broken"]) == (book.trades[stock], book.broken[stock])
            assert int(is_true["volume"]) == book.volume[stock]
            assert is_true["status"] == "closed"
        assert sum(book.broken.values()) > 0
        await client.close()


async def test_same_seed_same_bytes_another_seed_others() -> None:
    streams = []
    for _ in range(2):
        async with serving() as (venue, address):
            venue.run(1.5)
            client = await everything(venue, address)
            streams.append((client.session, client.messages))
            await client.close()
    assert streams[0] == streams[1]


async def test_bytes_do_not_depend_on_when_time_is_told() -> None:
    fine, coarse = Venue(), Venue()
    fine.run(1.0)
    for _ in range(20):
        coarse.now += 50_000_000
        coarse.engine.advance(coarse.now)
    assert fine.next_sequence() == coarse.next_sequence()
    assert venue_truth(fine.dialect) == venue_truth(coarse.dialect)


async def test_resume_from_any_sequence_of_the_session() -> None:
    async with serving() as (venue, address):
        venue.run(0.6)
        first = await everything(venue, address)
        await first.close()
        total = len(first.messages)
        for sequence in (1, 2, 57, total // 2, total, total + 1):
            client = await SoupClient.connect(address)
            assert await client.login(session=first.session, sequence=sequence) == b"A"
            assert (client.session, client.sequence) == (first.session, sequence)
            await client.read_until(caught_up(venue, sequence))
            assert client.messages == first.messages[sequence - 1 :]
            await client.close()


async def test_sequence_zero_is_the_newest_and_goes_on() -> None:
    async with serving() as (venue, address):
        venue.run(0.6)
        client = await SoupClient.connect(address)
        assert await client.login(sequence=0) == b"A"
        assert client.sequence == venue.next_sequence()
        venue.run(0.1)
        await client.read_until(caught_up(venue, client.sequence))
        assert client.messages
        await client.close()


async def test_what_is_not_available_is_rejected() -> None:
    async with serving(username="user", password="secret") as (venue, address):  # noqa: S106
        venue.run(0.4)
        for answer, options in (
            (b"A", {"user": ("user", "wrong")}),
            (b"S", {"user": ("user", "secret"), "session": "NONE"}),
            (b"S", {"user": ("user", "secret"), "sequence": venue.next_sequence() + 5}),
        ):
            client = await SoupClient.connect(address)
            assert await client.login(**options) == b"J"
            assert client.control == [(b"J", answer)]
            assert await client.reader.read() == b"", "closed after the rejection"
            await client.close()
        good = await SoupClient.connect(address)
        assert await good.login(user=("user", "secret")) == b"A"
        await good.close()
        assert venue.dialect.state()["rejected"] == 3


async def test_late_joiner_gets_a_session_that_begins_with_the_books_of_now() -> None:
    async with serving(history_bytes_max=20_000, market=MarketConfig(halt_every_s=0)) as (venue, address):
        venue.run(2.0)
        late = await SoupClient.connect(address)
        assert await late.login() == b"A"
        assert late.sequence == 1
        await late.read_until(caught_up(venue))
        venue.run(0.05)
        await late.read_until(caught_up(venue))
        book = ReferenceBook()
        for message in late.messages:
            book.feed(message)
        for stock, is_true in venue_truth(venue.dialect).items():
            assert float(is_true["bid"]) == book.best(stock)[0] / 10_000
            assert float(is_true["ask"]) == book.best(stock)[2] / 10_000
        # the older session's beginning is gone
        sessions = venue.dialect.state()["sessions"]
        assert [one["session"] for one in sessions][-1] == late.session
        old = await SoupClient.connect(address)
        assert await old.login(session=sessions[0]["session"], sequence=1) == b"J"
        await old.close()
        await late.close()


async def test_midnight_ends_the_session_and_begins_another() -> None:
    before = 1_774_843_199_500_000_000  # half a second before midnight in New York
    async with serving(start=before, market=MarketConfig(open_after_ms=50.0, halt_every_s=0)) as (venue, address):
        venue.run(0.3)
        client = await everything(venue, address)
        venue.run(0.4)
        await client.read_until(lambda one: (b"Z", b"") in one.control)
        again = await everything(venue, address)
        assert again.session != client.session
        book = ReferenceBook()
        for message in again.messages:
            book.feed(message)
        assert book.ts < 10**9
        await again.close()
        await client.close()


async def test_heartbeats_after_a_second_without_traffic() -> None:
    async with serving() as (_, address):
        client = await SoupClient.connect(address)
        assert await client.login(sequence=0) == b"A"
        began = time.monotonic()
        await client.read_until(lambda one: (b"H", b"") in one.control)
        assert time.monotonic() - began > 0.7
        await client.close()


async def test_silent_client_is_dead_and_one_with_heartbeats_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soup, "CLIENT_DEAD_NS", 500_000_000)
    async with serving() as (venue, address):
        silent, alive = await SoupClient.connect(address), await SoupClient.connect(address)
        assert await silent.login(sequence=0) == b"A"
        assert await alive.login(sequence=0) == b"A"
        async with asyncio.timeout(5):
            while venue.dialect.state()["dead"] < 1:
                alive.send(b"R")
                await asyncio.sleep(0.05)
        assert venue.dialect.state()["clients"] == 1
        await silent.close()
        await alive.close()


async def test_client_that_reads_nothing_is_closed_when_its_place_is_gone() -> None:
    async with serving(history_bytes_max=50_000, unsent_bytes_max=10_000) as (venue, address):
        slow = await SoupClient.connect(address)
        assert await slow.login() == b"A"
        venue.engine.rate = 400_000.0
        async with asyncio.timeout(20):
            while not venue.dialect.state()["slow"]:
                venue.run(0.1)
                await asyncio.sleep(0)
        await slow.close()


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00", b"\x00\x01L", b"\xff" * 100])
async def test_garbage_closes_the_connection_and_no_other(data: bytes) -> None:
    async with serving() as (venue, address):
        other = await everything(venue, address)
        broken = await SoupClient.connect(address)
        broken.writer.write(data)
        assert await broken.reader.read() == b""
        venue.run(0.4)
        await other.read_until(caught_up(venue))
        assert venue.dialect.state()["broken"] == 1
        await broken.close()
        await other.close()


async def test_logout_closes() -> None:
    async with serving() as (venue, address):
        client = await everything(venue, address)
        client.send(b"O")
        assert await client.reader.read() == b""
        await until(lambda: venue.dialect.state()["clients"] == 0)
        await client.close()
