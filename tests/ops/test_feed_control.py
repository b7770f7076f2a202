"""Requests to a feed's control socket, without blocking."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tickcast.model.errors import StateError, UsageError
from tickcast.ops.control import SYMBOLS_LINE_MAX, ControlServer, ask_at, ask_later, feed_socket
from tickcast.ops.datadir import DataDir
from tickcast.ops.feed_control import FeedControl


async def echo(request: Mapping[str, Any]) -> Any:
    if request.get("add") == ["wrong"]:
        raise UsageError("no such symbol; nothing is changed")
    return dict(request)


async def test_requests_reach_the_feed_and_its_answers_come_back(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    server = ControlServer(feed_socket(data, "okx"), echo, line_max=SYMBOLS_LINE_MAX)
    await server.start()
    control = FeedControl(data, ["okx"])
    assert await control.listed("okx") == {"do": "list"}
    assert await control.change("okx", ["A"], ["B"]) == {"do": "change", "add": ["A"], "drop": ["B"]}
    assert await control.take_config("okx", {"venue": "OKX"}) == {"do": "config", "table": {"venue": "OKX"}}
    with pytest.raises(UsageError, match="no such symbol"):
        await control.change("okx", ["wrong"], [])
    many = [f"{number:060d}" for number in range(5_000)]
    assert (await control.change("okx", many, []))["add"] == many
    blocking = asyncio.to_thread(ask_at, feed_socket(data, "okx"), {"do": "list"}, who="the feed okx")
    assert await blocking == {"do": "list"}
    await server.stop()


async def test_a_feed_that_is_away_says_so(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="the feed okx does not answer"):
        await FeedControl(DataDir(tmp_path), ["okx"]).listed("okx")


async def test_a_feed_that_hangs_or_babbles_is_not_waited_for(tmp_path: Path) -> None:
    async def hang(_: Mapping[str, Any]) -> Any:
        await asyncio.sleep(60)

    server = ControlServer(tmp_path / "hangs", hang)
    await server.start()
    with pytest.raises(StateError, match="does not answer"):
        await ask_later(tmp_path / "hangs", {}, who="it", timeout_s=0.1)
    await server.stop()

    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"no json\n")
        await writer.drain()
        writer.close()

    babbler = await asyncio.start_unix_server(babble, tmp_path / "babbles")
    with pytest.raises(StateError, match="does not answer"):
        await ask_later(tmp_path / "babbles", {}, who="it")
    babbler.close()
    await babbler.wait_closed()
