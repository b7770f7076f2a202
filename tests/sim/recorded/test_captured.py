"""What a feed captured is played back through real sockets: another feed of the same settings ends where it ended."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.feeds.peers import Remembering, now_ns, until

from tickcast.cli import demo_captured
from tickcast.cli.demo import FreePlaces
from tickcast.cli.demo_market import DEMO, tables
from tickcast.feeds.capture import open_capture
from tickcast.feeds.config import FeedConfig
from tickcast.feeds.stage import Feed
from tickcast.model.errors import UsageError
from tickcast.model.record import Flag, Kind, records_from
from tickcast.normalise.pipeline import Pipeline
from tickcast.sim.config import Config, RecordedConfig, from_mapping
from tickcast.sim.recorded.captures import find_captures
from tickcast.sim.server import Simulator
from tickcast.venues.registry import open_session

MARKET = {"rate": 4000, "symbols": 20, "seed": 5, "market": {"halt_every_s": 0}}


class Running:
    """A feed with its pipeline; captured if a folder is given."""

    def __init__(self, name: str, settings: dict[str, Any], folder: Path | None = None) -> None:
        config = msgspec.convert({"backoff_min_ms": 5, "backoff_max_ms": 50, **settings}, FeedConfig)
        self.publisher = Remembering()
        self.pipeline = Pipeline(name)
        self.feed = Feed(
            name,
            config=config,
            session=open_session(name, config, {}),
            normaliser=self.pipeline,
            publisher=self.publisher,
            clock=now_ns,
            jitter=random.Random(1).random,
            capture=open_capture(name, config, folder, clock=now_ns) if folder is not None else None,
        )

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Running"]:
        stop = asyncio.Event()
        task = asyncio.create_task(self.feed.run(stop))
        try:
            yield self
        finally:
            stop.set()
            await asyncio.wait_for(task, 10)

    def best(self) -> dict[tuple[int, int], tuple[int, int]]:
        """Newest bid and ask of each instrument: (instrument, kind) to (price, size)."""
        batch = self.pipeline.refresh()
        assert batch is not None
        quotes = batch.records[(batch.records["kind"] == Kind.BID) | (batch.records["kind"] == Kind.ASK)]
        return {(int(row["instrument"]), int(row["kind"])): (int(row["price"]), int(row["size"])) for row in quotes}

    def trades(self) -> set[tuple[int, int]]:
        rows = records_from(b"".join(batch.records.tobytes() for batch in self.publisher.batches))
        kept = rows[(rows["kind"] == Kind.TRADE) & ((rows["flags"] & Flag.SNAPSHOT) == 0)]
        return {(int(row["instrument"]), int(row["id"])) for row in kept}


@contextlib.asynccontextmanager
async def simulated(config: Config) -> AsyncIterator[tuple[Simulator, dict[str, Any]]]:
    simulator = Simulator(config)
    ready = await simulator.start()
    try:
        yield simulator, ready["venues"]
    finally:
        await simulator.stop()


async def capture(folder: Path, venue: str, *, trades: int) -> Running:
    """Run a feed on the simulated market until it saw so many trades and the market stood still."""
    place = FreePlaces()
    venues, feeds = tables([venue], place)
    place.close()
    settings = {**feeds[venue.lower()], **EXTRA.get(venue, {})}
    async with simulated(from_mapping({**MARKET, "venues": venues})) as (simulator, _):
        feed = Running(venue.lower(), settings, folder / venue.lower())
        async with feed.open():
            await until(lambda: len(feed.trades()) >= trades)
            simulator.engines[venue].paused = True
            before = -1
            while before != feed.feed.health.records:
                before = feed.feed.health.records
                await asyncio.sleep(0.5)
    return feed


EXTRA: dict[str, dict[str, Any]] = {
    "XNAS": {"username": "me", "password": "secret"},
    "XSIM": {"interval_ms": 50},
}


@pytest.mark.timeout(90)
@pytest.mark.parametrize("venue", DEMO)
@pytest.mark.parametrize("speed", [0.0, 3.0])
async def test_a_captured_feed_ends_where_it_ended(tmp_path: Path, venue: str, speed: float) -> None:
    first = await capture(tmp_path, venue, trades=20)
    (captured,) = find_captures(tmp_path)
    assert (captured.feed, captured.venue, captured.settings.get("password")) == (venue.lower(), venue, None)
    place = FreePlaces()
    places = demo_captured.addresses([captured], place)
    place.close()
    recorded = RecordedConfig(path=str(tmp_path), speed=speed, loop=False, addresses=places)
    async with simulated(Config(recorded=recorded)):
        second = Running("again", captured.moved(places[captured.feed]))
        async with second.open():
            await until(lambda: second.trades() >= first.trades())
            await until(lambda: second.best() == first.best())
    assert second.trades() == first.trades()
    assert second.feed.health.dead_letters == 0


def test_a_feed_twice_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        config = FeedConfig(venue="XSIM", rest_url="http://x")
        capturing = open_capture("same", config, tmp_path / name, clock=now_ns)
        capturing.received("x", [b"y"], 1, text=False)
        asyncio.run(capturing.flush())
    with pytest.raises(UsageError, match="expected each feed once, found same, same"):
        find_captures(tmp_path)


def test_a_folder_of_something_else_holds_no_captures(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "other.jsonl").write_text('{"t":"header","exchange":"OKX"}\n')
    assert find_captures(tmp_path) == []
    assert find_captures(tmp_path / "x" / "other.jsonl") == []
