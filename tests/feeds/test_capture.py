"""The waiting room of a capture: order, secrets, bounds, a disk that fails; and a whole feed that is captured."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import zstandard
from tests.feeds.peers import LineSession, Remembering, Through, now_ns, serving, until

from tickcast.feeds import capture as module
from tickcast.feeds.capture import Capture, open_capture
from tickcast.feeds.config import FeedConfig
from tickcast.feeds.segments import SUFFIX
from tickcast.feeds.stage import Feed
from tickcast.model.capture import Line
from tickcast.ports import Clock
from tickcast.venues.base import Answer, Link, Request

LINK = Link(name="tape", transport="tcp", target="127.0.0.1:9")


def opened(folder: Path, *, clock: Clock = now_ns, password: str = "") -> Capture:
    return open_capture("f", FeedConfig(venue="V", symbols=("A",), password=password), folder, clock=clock)


def written(folder: Path) -> list[Line]:
    found: list[Line] = []
    for segment in sorted(folder.glob(f"*{SUFFIX}")):
        with zstandard.open(segment, "rb") as file:
            found += [msgspec.json.decode(line, type=Line) for line in file.read().splitlines()]
    return found


async def test_all_that_a_feed_sees_is_written_in_order(tmp_path: Path) -> None:
    capture = opened(tmp_path)
    capture.opened(LINK, 5)
    capture.sent("tape", b"hello", 6, text=False)
    capture.received("tape", [b"\x00\xff", b"two"], 7, text=False)
    capture.closed("tape", 8, "gone")
    capture.opened(LINK, 9)
    capture.received("tape", [b'{"a":"\xc3\xa4"}'], 10, text=True)
    request = Request(purpose="depth", url="http://x/depth")
    capture.answered(request, Answer(status=304, body=b"", received_ns=1_700_000_000_000_000_001, etag='"7"'))
    await capture.flush()
    header, *rest = written(tmp_path)
    assert (header.t, header.exchange, header.feed) == ("header", "V", "f")
    assert header.settings == {"venue": "V", "symbols": ["A"]}
    assert header.recorded.scaleb(9) == 5
    assert [(line.t, line.conn, line.ts_ns, line.payload) for line in rest] == [
        ("connect", "f.tape.1", 5, b""),
        ("send", "f.tape.1", 6, b"hello"),
        ("recv", "f.tape.1", 7, b"\x00\xff"),
        ("recv", "f.tape.1", 7, b"two"),
        ("close", "f.tape.1", 8, b""),
        ("connect", "f.tape.2", 9, b""),
        ("recv", "f.tape.2", 10, '{"a":"ä"}'.encode()),
        ("http", "f.http", 1_700_000_000_000_000_001, b""),
    ]
    assert [line.data is None for line in rest[1:4]] == [True] * 3
    assert rest[6].data == '{"a":"ä"}'
    assert (rest[7].status, rest[7].etag, rest[7].purpose, rest[7].url) == (304, '"7"', "depth", "http://x/depth")


async def test_secrets_are_not_written(tmp_path: Path) -> None:
    capture = opened(tmp_path, password="hunter2")  # noqa: S106  that is what is tested
    capture.opened(Link(name="a", transport="websocket", target="ws://h/?key=hunter2"), 1)
    capture.sent("a", b"login hunter2 hunter2", 2, text=True)
    capture.answered(Request(purpose="p", url="http://h/?k=hunter2"), Answer(status=200, body=b"", received_ns=3))
    await capture.flush()
    header, connect, sent, answered = written(tmp_path)
    assert header.settings == {"venue": "V", "symbols": ["A"]}
    assert (connect.addr, sent.data, answered.url) == (
        "ws://h/?key=*******",
        "login ******* *******",
        "http://h/?k=*******",
    )


async def test_more_than_the_bound_is_dropped_counted_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUE_MAX", 10_000)
    capture = opened(tmp_path)
    capture.received("tape", [b"x" * 1000] * 20, 7, text=False)
    lost = capture.lost
    assert 0 < lost < 20
    await capture.flush()
    capture.received("tape", [b"y"], 8, text=False)
    await capture.flush()
    _, *rest = written(tmp_path)
    assert [line.count for line in rest if line.t == "lost"] == [lost]
    assert sum(line.t == "recv" for line in rest) == 21 - lost


async def test_a_disk_that_fails_costs_records_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [10**18]
    capture = opened(tmp_path / "gone", clock=lambda: now[0])
    (tmp_path / "gone").rmdir()
    capture.received("tape", [b"a", b"b"], 1, text=False)
    await capture.flush()
    assert (capture.lost, capture.written) == (2, 0)
    (tmp_path / "gone").mkdir()
    capture.received("tape", [b"c"], 2, text=False)
    await capture.flush()
    assert capture.lost == 3, "not tried again so soon"
    now[0] += module.RETRY_NS
    capture.received("tape", [b"d"], 3, text=False)
    await capture.flush()
    _, *rest = written(tmp_path / "gone")
    assert [(line.t, line.count, line.payload) for line in rest] == [("lost", 3, b""), ("recv", 0, b"d")]
    capture.received("tape", [b"e"], 4, text=False)
    await capture.flush()
    assert [line.t for line in written(tmp_path / "gone")][1:] == ["lost", "recv", "recv"]


@contextlib.asynccontextmanager
async def captured(session: LineSession, folder: Path) -> AsyncIterator[Remembering]:
    publisher = Remembering()
    feed = Feed(
        "f",
        config=FeedConfig(venue="LINES", backoff_min_ms=5, backoff_max_ms=20),
        session=session,
        normaliser=Through(),
        publisher=publisher,
        clock=now_ns,
        jitter=random.Random(1).random,
        capture=opened(folder),
    )
    stop = asyncio.Event()
    task = asyncio.create_task(feed.run(stop))
    try:
        yield publisher
    finally:
        stop.set()
        await asyncio.wait_for(task, 5)


async def test_a_feed_is_captured_to_its_last_byte(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(5)
        writer.write(b"1\n2\n3\n")
        await writer.drain()
        await reader.read()

    async with serving(serve) as port:
        link = Link(name="tape", transport="tcp", target=f"127.0.0.1:{port}")
        async with captured(LineSession([link]), tmp_path) as publisher:
            await until(lambda: len(publisher.numbers) == 3)
    lines = written(tmp_path)
    assert [line.t for line in lines if line.t != "recv"][:3] == ["header", "connect", "send"]
    assert lines[1].addr == f"127.0.0.1:{port}"
    assert (lines[1].link, lines[1].transport) == ("tape", "tcp")
    assert b"".join(line.payload for line in lines if line.t == "recv") == b"1\n2\n3\n"
