"""The shell of a feed against real servers on loopback: order, pushing back, reconnects, silence, refusals, the end."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.feeds.peers import LineSession, Remembering, Through, now_ns, serving, until

from tickcast.feeds.config import FeedConfig
from tickcast.feeds.stage import Feed, run_feed
from tickcast.model.errors import UsageError
from tickcast.venues.base import Link, Request, Step

QUICK: dict[str, Any] = {"backoff_min_ms": 5, "backoff_max_ms": 20}


@contextlib.asynccontextmanager
async def running(session: LineSession, **settings: Any) -> AsyncIterator[tuple[Feed, Remembering]]:
    """A feed that runs until the end of the block, and must then end well."""
    publisher = Remembering()
    feed = Feed(
        "f",
        config=FeedConfig(venue="LINES", **{**QUICK, **settings}),
        session=session,
        normaliser=Through(),
        publisher=publisher,
        clock=now_ns,
        jitter=random.Random(1).random,
    )
    stop = asyncio.Event()
    task = asyncio.create_task(feed.run(stop))
    try:
        yield feed, publisher
    finally:
        publisher.gate.set()
        stop.set()
        await asyncio.wait_for(task, 5)
    assert publisher.health[-1].state == "stopped"


def tcp(port: int, name: str = "tape") -> Link:
    return Link(name=name, transport="tcp", target=f"127.0.0.1:{port}")


async def test_what_one_read_brings_is_one_batch() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(5) == b"hello"
        writer.write(b"1\n2\n3\n4")
        await writer.drain()
        await until(lambda: publisher.batches)
        writer.write(b"2\n5\n")
        await reader.read()

    async with serving(serve) as port, running(LineSession([tcp(port)])) as (feed, publisher):
        await until(lambda: len(publisher.numbers) == 5)
        assert [batch.records["id"].tolist() for batch in publisher.batches] == [[1, 2, 3], [42, 5]]
        assert feed.health.messages == 5
        assert feed.health.records == 5


async def test_a_link_that_closes_is_opened_again_and_a_new_session_begins() -> None:
    visits = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal visits
        visits += 1
        await reader.readexactly(5)
        writer.write(b"%d\n" % visits)
        await writer.drain()
        if visits < 3:
            return
        await reader.read()

    session = LineSession()
    async with serving(serve) as port:
        session = LineSession([tcp(port)])
        async with running(session) as (feed, publisher):
            await until(lambda: publisher.numbers == [1, 2, 3])
            assert [batch.session for batch in publisher.batches] == [1, 2, 3]
            assert feed.health.reconnects == 2
            assert session.events == ["opened tape", "closed tape"] * 2 + ["opened tape"]


class OnceSession(LineSession):
    """Names its link again whenever it is over or could not be opened, each time by another address."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = ports
        super().__init__([self._next()])

    def _next(self) -> Link:
        return Link(name="once", transport="tcp", target=f"127.0.0.1:{self._ports.pop(0)}", is_once=True)

    def closed(self, link: str, now: int) -> Step:
        step = super().closed(link, now)
        step.links = [self._next()]
        return step


async def test_a_link_that_is_open_once_is_opened_again_where_the_session_says() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(5)
        writer.write(b"1\n")
        await writer.drain()

    async def stay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(5)
        writer.write(b"2\n")
        await reader.read()

    async with serving(serve) as nobody:
        pass  # nobody listens there any more
    async with serving(serve) as first, serving(stay) as second:
        session = OnceSession([nobody, first, second])
        async with running(session) as (_, publisher):
            await until(lambda: publisher.numbers == [1, 2])
            assert session.events == ["closed once", "opened once", "closed once", "opened once"]


async def test_a_server_that_is_not_there_yet_is_found_when_it_comes() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"1\n")
        await reader.read()

    async with serving(serve) as port:
        pass  # now nobody listens there
    async with running(LineSession([tcp(port)])) as (feed, publisher):
        await until(lambda: feed.health.last_error)
        assert "cannot connect to 127.0.0.1" in str(feed.health.last_error)
        async with serving(serve, port):
            await until(lambda: publisher.numbers == [1])


async def test_a_full_bus_stops_the_reading_and_nothing_is_lost() -> None:
    sent = 0
    total = 60_000

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.transport.set_write_buffer_limits(high=1024)
        for start in range(0, total, 100):
            writer.write(b"".join(b"%d\n" % number for number in range(start, start + 100)))
            await writer.drain()
            sent = start + 100
        await reader.read()

    async with serving(serve) as port:
        session = LineSession([tcp(port)])
        async with running(session, inbox_max=20_000) as (feed, publisher):
            await until(lambda: publisher.numbers)
            publisher.gate.clear()
            await until(lambda: feed._inbox.paused or sent == total)
            assert feed._inbox.size < 20_000 + 300_000  # the bound and one read
            publisher.gate.set()
            await until(lambda: len(publisher.numbers) == total)
            assert publisher.numbers == list(range(total))
            assert not feed._inbox.paused


async def test_heartbeats_go_out_while_the_publisher_waits() -> None:
    beats = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal beats
        await reader.readexactly(5)
        writer.write(b"1\n2\n")
        while await reader.readexactly(4) == b"beat":
            beats += 1

    async with serving(serve) as port:
        session = LineSession([tcp(port)])
        session.beats = 5
        async with running(session) as (_, publisher):
            publisher.gate.clear()
            await until(lambda: beats == 5)
            assert publisher.numbers == []


async def test_a_silent_link_is_dead_and_opened_again() -> None:
    visits = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal visits
        visits += 1
        writer.write(b"%d\n" % visits)
        await reader.read()

    async with serving(serve) as port:
        settings = {"quiet_after_s": 0.1, "stale_after_s": 0.3, "dead_after_s": 0.8}
        async with running(LineSession([tcp(port)]), **settings) as (feed, publisher):
            await until(lambda: visits >= 2)
            assert "dead: nothing" in str(feed.health.last_error)
            await until(lambda: publisher.numbers[:2] == [1, 2])
            told = [health.state for health in publisher.health]
            assert "stale" in told
            assert told.index("stale") < len(told)


@pytest.mark.parametrize(
    ("symbols", "told"),
    [("ETHH-USD", "not list ETHH-USD, which"), ("A B C D E F G", "not list A, B, C, D, E and 2 more, ")],
)
async def test_symbols_that_the_venue_does_not_list_are_told_the_operator(symbols: str, told: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"1\nunlisted {symbols}\n".encode())
        await reader.read()

    async with serving(serve) as port, running(LineSession([tcp(port)])) as (feed, publisher):
        await until(lambda: publisher.numbers == [1] and feed.health.last_error)
        assert told in str(feed.health.last_error)
        assert feed.health.dead_letters == 0, "what the config says is no message of the venue"
        await until(lambda: publisher.health and publisher.health[-1].last_error)


async def test_a_refusal_for_good_is_failed_and_tried_again_slowly() -> None:
    visits: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(now_ns())
        writer.write(b"refuse\n" if len(visits) == 1 else b"1\n")
        await reader.read()

    async with serving(serve) as port, running(LineSession([tcp(port)]), refused_retry_s=0.7) as (feed, publisher):
        await until(lambda: feed.health.state == "failed")
        assert feed.health.last_error == "refused for good"
        await until(lambda: publisher.numbers == [1])
        assert visits[1] - visits[0] >= 0.7e9
        await until(lambda: feed.health.state == "connected")


async def test_a_link_that_the_session_drops_is_closed_and_its_rest_not_looked_at() -> None:
    visits = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal visits
        visits += 1
        if visits == 1:
            writer.write(b"1\ndrop\n")
            await writer.drain()
            writer.write(b"2\n" * 1000)
        else:
            writer.write(b"3\n")
        await reader.read()

    async with serving(serve) as port, running(LineSession([tcp(port)])) as (_, publisher):
        await until(lambda: 3 in publisher.numbers)
        # what came in the same read as "drop" belongs to the step; nothing of a later read does
        assert [number for number in publisher.numbers if number != 2] == [1, 3]


async def test_garbage_is_dead_letters_and_the_feed_goes_on() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\xff\n<html>\n" * 200 + b"7\n")
        await reader.read()

    async with serving(serve) as port, running(LineSession([tcp(port)])) as (feed, publisher):
        await until(lambda: publisher.numbers == [7])
        assert feed.health.dead_letters == 400
        await until(lambda: publisher.health and publisher.health[-1].dead_letters == 400)


async def test_two_links_are_kept_apart() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"1")
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.write(b"1\n")
        await reader.read()

    async with serving(serve) as one, serving(serve) as two:
        session = LineSession([tcp(one, "a"), tcp(two, "b")])
        async with running(session) as (feed, publisher):
            await until(lambda: publisher.numbers == [11, 11])
            assert feed.health.report().connections == 2


async def test_requests_are_asked_again_until_their_answer_is_of_use() -> None:
    visits = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal visits
        await reader.readuntil(b"\r\n\r\n")
        visits += 1
        body = b"<html>busy</html>" if visits < 3 else b"12"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body))
        await writer.drain()

    async with serving(serve) as port:
        session = LineSession(requests=[Request(purpose="p", url=f"http://127.0.0.1:{port}/x")])
        async with running(session) as (feed, publisher):
            await until(lambda: publisher.numbers == [12])
            assert visits == 3
            assert feed.health.dead_letters == 2


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (FeedConfig(venue="NONE"), r"feeds\.x\.venue: expected one of"),
        (
            FeedConfig(venue="XNAS", address="127.0.0.1:1", capture=True, capture_folder="/dev/null/x"),
            r"x\.capture: cannot",
        ),
    ],
)
async def test_a_wrong_config_is_said_before_anything_runs(config: FeedConfig, expected: str, tmp_path: Path) -> None:
    stop = asyncio.Event()
    with pytest.raises(UsageError, match=expected):
        await run_feed("x", config, {}, Remembering(), now_ns, stop, normaliser=Through(), folder=tmp_path)


async def test_a_link_that_only_opens_and_closes_is_waited_for_longer_each_time_while_others_work() -> None:
    visits: list[int] = []
    speaking = asyncio.Event()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0
        while not speaking.is_set():
            number += 1
            writer.write(b"%d\n" % number)
            await writer.drain()
            await asyncio.sleep(0.001)
        await reader.read()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader, writer
        visits.append(now_ns())

    async with serving(speak) as good, serving(refuse) as bad:
        session = LineSession([tcp(good), tcp(bad, "other")])
        async with running(session, backoff_min_ms=4, backoff_max_ms=64) as (_, publisher):
            await until(lambda: len(visits) >= 7)
            assert len(publisher.numbers) > 10
            speaking.set()
    # 4, 8, 16, 32, 64 ms, at least half of each
    assert visits[5] - visits[0] >= 62_000_000 * 0.9


async def test_a_timer_that_fails_ends_the_feed() -> None:
    class Broken(LineSession):
        def wake(self, now: int) -> Step:
            raise KeyError(now)

    session = Broken()
    session.wake_ns = now_ns()
    with pytest.raises(KeyError):
        async with running(session):
            await asyncio.sleep(5)


async def test_a_broken_rest_client_ends_the_feed() -> None:
    session = LineSession(requests=[Request(purpose="list", url="http://127.0.0.1:1", weight=1)])

    def fail(_: Request) -> float:
        raise KeyError("urgency")

    feed = Feed(
        "f",
        config=FeedConfig(venue="LINES", **QUICK),
        session=session,
        normaliser=Through(),
        publisher=Remembering(),
        clock=now_ns,
        jitter=random.Random(1).random,
    )
    feed._rest._priority = fail
    with pytest.raises(KeyError, match="urgency"):
        await asyncio.wait_for(feed.run(asyncio.Event()), 5)


async def test_a_link_that_is_left_is_closed_for_good_and_nobody_calls_it_lost() -> None:
    class Leaving(LineSession):
        def received(self, link: str, chunks: Sequence[bytes], times: Sequence[int]) -> Step:
            if b"leave" in b"".join(chunks):
                return Step(leave=[link], messages=1)
            return super().received(link, chunks, times)

    visits: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append("came")
        writer.write(b"leave\n" if len(visits) == 1 else b"1\n")
        await writer.drain()
        await reader.read()

    async with serving(serve) as port:
        session = Leaving([tcp(port, "first"), tcp(port, "second")])
        async with running(session) as (feed, publisher):
            await until(lambda: publisher.numbers == [1], "the other link goes on")
            await until(lambda: publisher.health and publisher.health[-1].connections == 1, "one link is left")
            assert len(feed._keeping) == 1, "nobody opens it again"
            assert visits == ["came", "came"]
            assert (feed.health.reconnects, feed.health.last_error) == (0, None)
            assert not [event for event in session.events if event.startswith("closed")]
