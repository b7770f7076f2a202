"""Faults as the clients of XNAS, BINANCE and XSIM meet them, over real sockets."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from tests.sim.soup_client import SoupClient

from tickcast.sim import universe as listing
from tickcast.sim.binance.dialect import create as create_binance
from tickcast.sim.config import BinanceConfig, Config, MarketConfig, SoupItchConfig, XsimConfig
from tickcast.sim.engine import VenueEngine
from tickcast.sim.faults import Fault
from tickcast.sim.soup_itch.dialect import create as create_soup
from tickcast.sim.xsim.dialect import create as create_xsim

START = 1_774_879_200_000_000_000  # 2026-03-30 14:00 UTC, 10:00 in New York
HOUR_NS = 3_600_000_000_000
CONFIG = Config(seed=5, symbols=20, rate=20_000, market=MarketConfig(open_after_ms=50.0, halt_every_s=0))
FACTORIES = {
    "XNAS": (create_soup, SoupItchConfig(rare_every_s=0)),
    "BINANCE": (create_binance, BinanceConfig()),
    "XSIM": (create_xsim, XsimConfig(requests_per_s=1e6, burst=1_000_000)),
}


class Venue:
    """A venue on a clock that the test moves; faults are timed by the wall clock."""

    def __init__(self, name: str) -> None:
        create, settings = FACTORIES[name]
        self.dialect: Any = create(name, settings, CONFIG, listing.build(CONFIG), START, time.time_ns)  # type: ignore[operator]  # each has its own config
        self.engine = VenueEngine(self.dialect, rate=2000.0, quantum_ms=5.0, start_ns=START)
        self.now = START
        self.addresses: dict[str, str] = {}
        self.clients: list[SoupClient] = []

    async def connect(self) -> SoupClient:
        client = await SoupClient.connect(self.addresses["address"])
        self.clients.append(client)
        return client

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.now += 10_000_000
            self.engine.advance(self.now)

    def arm(self, **fault: Any) -> None:
        self.dialect.faults.arm(Fault(**fault))


@asynccontextmanager
async def serving(name: str) -> AsyncIterator[Venue]:
    venue = Venue(name)
    venue.addresses = dict(await venue.dialect.start())
    try:
        yield venue
    finally:
        for client in venue.clients:
            await client.close()
        await venue.dialect.stop()


# ------------------------------------------------------------------ XNAS


async def logged_in(venue: Venue) -> SoupClient:
    client = await venue.connect()
    assert await client.login() == b"A"
    await client.read_until(lambda one: len(one.messages) + 1 >= next_sequence(venue))
    return client


def next_sequence(venue: Venue) -> int:
    return int(venue.dialect.state()["sessions"][-1]["next_sequence"])


def times(messages: list[bytes]) -> list[int]:
    return [int.from_bytes(one[5:11], "big") for one in messages]


@pytest.mark.parametrize(("verb", "change"), [("drop", -3), ("duplicate", 3)])
async def test_packets_are_missing_or_come_twice_for_a_client(verb: str, change: int) -> None:
    async with serving("XNAS") as venue:
        venue.run(0.2)
        client = await logged_in(venue)
        before = len(client.messages)
        venue.arm(fault=verb, count=3)
        expected = next_sequence(venue)
        venue.run(0.2)
        wanted = before + next_sequence(venue) - expected + change
        await client.read_until(lambda one: len(one.messages) >= wanted)
        assert len(client.messages) == wanted
        assert venue.dialect.faults.fired[verb] == 3
        again = await logged_in(venue)
        assert len(again.messages) == next_sequence(venue) - 1, "what is kept is whole"


async def test_a_corrupt_packet_keeps_its_frame_and_has_an_unknown_type() -> None:
    async with serving("XNAS") as venue:
        client = await logged_in(venue)
        before = len(client.messages)
        venue.arm(fault="corrupt")
        venue.run(0.2)
        await client.read_until(lambda one: len(one.messages) + 1 >= next_sequence(venue))
        assert [one[0] >= 0x80 for one in client.messages[before:]].count(True) == 1


async def test_half_a_packet_loses_the_frame() -> None:
    async with serving("XNAS") as venue:
        client = await logged_in(venue)
        venue.arm(fault="truncate")
        venue.run(0.3)
        kinds: set[bytes] = set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                while not kinds - {b"S", b"H"}:
                    kinds.add((await client.packet())[0])
        assert len(client.messages) + 1 < next_sequence(venue)
        assert venue.dialect.faults.fired["truncate"] == 1


async def test_a_stall_is_silent_and_loses_nothing() -> None:
    async with serving("XNAS") as venue:
        client = await logged_in(venue)
        venue.arm(fault="stall", for_s=0.5)
        venue.run(0.3)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.read(1), 0.3)
        venue.dialect.faults.clear()
        venue.run(0.05)
        await client.read_until(lambda one: len(one.messages) + 1 >= next_sequence(venue))


async def test_late_packets_stay_in_order() -> None:
    async with serving("XNAS") as venue:
        client = await logged_in(venue)
        before = len(client.messages)
        venue.arm(fault="delay", delay_ms=1500, count=1)
        venue.run(0.2)
        assert venue.dialect.faults.held_bytes > 0
        async with asyncio.timeout(5):
            while venue.dialect.faults.busy:
                await asyncio.sleep(0.02)
                venue.run(0.01)
        await client.read_until(lambda one: len(one.messages) + 1 >= next_sequence(venue))
        assert times(client.messages[before:]) == sorted(times(client.messages[before:]))


async def test_a_restart_is_a_new_session_from_one() -> None:
    async with serving("XNAS") as venue:
        venue.run(0.2)
        client = await logged_in(venue)
        venue.arm(fault="restart")
        with contextlib.suppress(ConnectionError):
            assert await client.reader.read(-1) == b""
        again = await venue.connect()
        assert await again.login(session=client.session, sequence=len(client.messages) + 1) == b"J"
        fresh = await logged_in(venue)
        assert fresh.session != client.session
        assert fresh.messages[0][:1] == b"S"
        assert fresh.sequence == 1


async def test_logins_are_refused_and_connections_cut() -> None:
    async with serving("XNAS") as venue:
        venue.arm(fault="refuse_login", count=1)
        client = await venue.connect()
        assert await client.login() == b"J"
        assert client.control[-1] == (b"J", b"A")
        client = await logged_in(venue)
        venue.arm(fault="disconnect", for_s=30)
        with contextlib.suppress(ConnectionError):
            assert await client.reader.read(-1) == b""
        again = await venue.connect()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await again.login()


async def test_the_clock_of_itch_is_an_hour_fast_within_the_day() -> None:
    async with serving("XNAS") as venue:
        client = await logged_in(venue)
        venue.arm(fault="clock")
        before = len(client.messages)
        venue.run(0.1)
        await client.read_until(lambda one: len(one.messages) + 1 >= next_sequence(venue))
        assert min(times(client.messages[before:])) >= 11 * HOUR_NS
        venue.arm(fault="clock", offset_s=86_400)
        before = len(client.messages)
        venue.run(0.1)
        await client.read_until(lambda one: len(one.messages) + 1 >= next_sequence(venue))
        assert (
            23 * HOUR_NS < min(times(client.messages[before:])) <= max(times(client.messages[before:])) < 24 * HOUR_NS
        )


# ------------------------------------------------------------------ BINANCE


@asynccontextmanager
async def streaming(venue: Venue, stream: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    url = f"{venue.addresses['url']}/ws/{stream}"
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as socket:
        yield socket


async def frames(socket: aiohttp.ClientWebSocketResponse, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(5):
        return [await socket.receive_json() for _ in range(count)]


async def trades(venue: Venue, socket: aiohttp.ClientWebSocketResponse, count: int) -> list[dict[str, Any]]:
    first = venue.dialect.payloads.symbols[0]
    goal = first.trade_id + count
    while first.trade_id < goal:
        venue.run(0.05)
    return await frames(socket, count)


def trade_stream(venue: Venue) -> str:
    return f"{venue.dialect.payloads.symbols[0].lower}@trade"


async def test_a_missing_frame_is_a_jump_of_ids() -> None:
    async with serving("BINANCE") as venue, streaming(venue, trade_stream(venue)) as socket:
        first = (await trades(venue, socket, 1))[0]["t"]
        async with asyncio.timeout(5):
            while venue.dialect.payloads.symbols[0].trade_id > first:
                first = (await frames(socket, 1))[0]["t"]
        venue.arm(fault="drop", line="ws")
        while venue.dialect.payloads.symbols[0].trade_id < first + 2:
            venue.run(0.05)
        assert (await frames(socket, 1))[0]["t"] == first + 2


async def test_a_corrupt_frame_is_no_text_and_half_a_frame_breaks_the_stream() -> None:
    async with serving("BINANCE") as venue:
        for verb in ("corrupt", "truncate"):
            async with streaming(venue, trade_stream(venue)) as socket:
                venue.arm(fault=verb, line="ws")
                venue.run(3)
                async with asyncio.timeout(5):
                    while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                        pass
                assert message.type in {aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
            venue.dialect.faults.clear()


async def test_the_handshake_is_refused_and_then_not() -> None:
    async with serving("BINANCE") as venue:
        venue.arm(fault="refuse_login", count=1)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with streaming(venue, trade_stream(venue)):
                pass
        assert refused.value.status == 403
        async with streaming(venue, trade_stream(venue)) as socket:
            venue.arm(fault="disconnect", line="ws")
            assert (await socket.receive()).type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}


async def test_update_ids_begin_lower_and_trades_keep_theirs() -> None:
    async with serving("BINANCE") as venue, aiohttp.ClientSession() as http:
        venue.run(1)
        symbol = venue.dialect.payloads.symbols[0]
        url = f"{venue.addresses['rest_url']}/api/v3/depth?symbol={symbol.name}"
        trade_id = symbol.trade_id
        async with http.get(url) as answer:
            before = (await answer.json())["lastUpdateId"]
        venue.arm(fault="restart")
        async with http.get(url) as answer:
            assert (await answer.json())["lastUpdateId"] < before // 2 + 10
        venue.run(1)
        assert symbol.trade_id >= trade_id
        async with http.get(url) as answer:
            body = await answer.json()
        book = venue.dialect.payloads.book(symbol)
        assert (len(body["bids"]), len(body["asks"])) == (len(book[0]), len(book[1]))


async def test_the_clock_moves_every_time_that_is_told() -> None:
    async with serving("BINANCE") as venue, streaming(venue, trade_stream(venue)) as socket:
        venue.arm(fault="clock", offset_s=-3600)
        trade = (await trades(venue, socket, 1))[0]
        assert trade["T"] * 1_000_000 < venue.now - HOUR_NS + 1_000_000
        assert trade["E"] - trade["T"] < 1000
        async with aiohttp.ClientSession() as http, http.get(f"{venue.addresses['rest_url']}/api/v3/time") as answer:
            assert abs((await answer.json())["serverTime"] - time.time_ns() // 1_000_000 + 3_600_000) < 60_000


# ------------------------------------------------------------------ REST


async def get(http: aiohttp.ClientSession, url: str) -> tuple[int, Any, str]:
    async with http.get(url) as answer:
        return answer.status, json.loads(await answer.read()), answer.headers.get("Retry-After", "")


async def test_answers_go_wrong_one_at_a_time_and_then_are_right() -> None:
    async with serving("XSIM") as venue, aiohttp.ClientSession() as http:
        venue.run(1)
        url = venue.addresses["rest_url"] + "/v1/market"
        status, first, _ = await get(http, url)
        assert status == 200
        venue.arm(fault="throttle", count=1, delay_ms=2500)
        assert (await get(http, url))[::2] == (429, "3")
        venue.arm(fault="refuse_login", count=1)
        assert (await get(http, url))[0] == 401
        # aiohttp asks once more by itself when a connection that it kept has ended
        venue.arm(fault="drop", count=2)
        with pytest.raises(aiohttp.ClientConnectionError):
            await get(http, url)
        venue.dialect.faults.clear()
        venue.arm(fault="corrupt", count=1)
        with pytest.raises(UnicodeDecodeError):
            await get(http, url)
        venue.arm(fault="truncate", count=1)
        with pytest.raises(aiohttp.ClientPayloadError):
            await get(http, url)
        venue.run(1)
        venue.arm(fault="duplicate", count=1)
        assert (await get(http, url))[1] == first
        assert (await get(http, url))[1]["cursor"] > first["cursor"]


async def test_an_answer_waits_for_the_end_of_a_stall() -> None:
    async with serving("XSIM") as venue, aiohttp.ClientSession() as http:
        venue.arm(fault="stall", for_s=30)
        asked = asyncio.ensure_future(get(http, venue.addresses["rest_url"] + "/v1/market"))
        done, _ = await asyncio.wait([asked], timeout=0.3)
        assert not done
        venue.dialect.faults.clear()
        assert (await asyncio.wait_for(asked, 5))[0] == 200


async def test_cursors_of_before_a_restart_are_gone() -> None:
    async with serving("XSIM") as venue, aiohttp.ClientSession() as http:
        venue.run(1)
        url = venue.addresses["rest_url"] + "/v1/market"
        _, before, _ = await get(http, url)
        venue.arm(fault="restart")
        assert (await get(http, f"{url}?since={before['cursor']}"))[0] == 410
        _, after, _ = await get(http, url)
        assert int(after["cursor"]) < int(before["cursor"])
        untimed = [[{**one, "time": ""} for one in found["tickers"]] for found in (before, after)]
        assert untimed[0] == untimed[1]
        venue.arm(fault="clock", offset_s=3600)
        venue.run(0.1)
        assert (await get(http, url))[1]["time"].startswith("2026-03-30T15:0")
