"""Feeds in the caller's own event loop: the same shell, sessions and pipeline as a feed process has."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import msgspec

from tickcast.direct.reader import BEGUN, Level, Reader
from tickcast.direct.ticks import Book, BookChange, Status, Tick
from tickcast.feeds.config import FeedConfig
from tickcast.feeds.stage import run_feed
from tickcast.model.batch import TickBatch
from tickcast.model.errors import FeedError, TickcastError, UsageError
from tickcast.model.health import FeedHealth
from tickcast.model.symbols import SymbolError, split_name
from tickcast.normalise.pipeline import Pipeline
from tickcast.runtime.clock import now_ns
from tickcast.runtime.log import configure_library
from tickcast.runtime.tasks import TaskGroupOwner

BATCHES_MAX: Final = 64
"""Batches that wait for a slow caller; then the feeds are not read, and TCP pushes back."""
Settings = Mapping[str, Mapping[str, Any]]
"""Keys of ``[feeds.NAME]`` for each venue: ``{"BINANCE": {"url": "ws://127.0.0.1:9001"}}``."""


class _Queue:
    """The end of the pipeline: a :class:`tickcast.ports.Publisher` that hands batches to the caller."""

    def __init__(self) -> None:
        self.batches: asyncio.Queue[TickBatch | None] = asyncio.Queue(BATCHES_MAX)
        self.conflated = 0
        self.trouble: dict[str, str] = {}
        """What each feed said last of why it does not work."""
        self.broken: TickcastError | None = None

    async def publish(self, batch: TickBatch) -> None:
        await self.batches.put(batch)

    async def report(self, health: FeedHealth) -> None:
        if health.last_error:
            self.trouble[health.venue] = health.last_error

    def on_refresh(self, refresh: Callable[[], TickBatch | None]) -> None:
        """Nobody here ever lacks the past."""

    def on_watched(self, watched: Callable[[Mapping[int, int]], None]) -> None:
        """Nobody says so here."""

    def on_books(self, books: Callable[[Collection[int]], None]) -> None:
        """Nobody says so here."""

    async def close(self) -> None:
        """Nothing to let go of."""


def plan(names: Sequence[str], settings: Settings) -> dict[str, FeedConfig]:
    """Make the settings of one feed for each venue that is named.

    Raises:
        UsageError: a name has no venue, or a setting is none; says which.
    """
    symbols: dict[str, list[str]] = {}
    for name in names:
        try:
            venue, symbol = split_name(name)
        except SymbolError as wrong:
            raise UsageError(str(wrong)) from wrong
        if venue is None:
            raise UsageError(f"expected a symbol with its venue, such as BINANCE:{name}, found {name!r}")
        symbols.setdefault(venue, []).append(symbol)
    if not symbols:
        raise UsageError("expected at least one symbol, such as BINANCE:BTC-USDT, found none")
    feeds: dict[str, FeedConfig] = {}
    for venue, wanted in symbols.items():
        table = {**settings.get(venue, {}), "venue": venue, "symbols": tuple(dict.fromkeys(wanted))}
        try:
            feeds[venue.lower()] = msgspec.convert(table, FeedConfig)
        except msgspec.ValidationError as wrong:
            raise UsageError(f"settings of {venue}: {wrong}") from wrong
    return feeds


async def feed(*symbols: str, settings: Settings | None = None) -> AsyncGenerator[Tick]:
    """Yield what venues say of instruments: trades, best bid and offer, states, and whatever else was asked for.

    The venues are connected to from this process, with reconnects, repairs and gap checks as in a feed process. A slow
    caller holds the venues back; nothing is dropped here.

    Args:
        symbols: ``VENUE:SYMBOL`` in the house symbology.
        settings: keys of the config's ``[feeds.NAME]`` for each venue, such as ``depth`` or ``streams``.

    Raises:
        UsageError: there is no such venue, or a setting is wrong.
        FeedError: a feed broke; says how.
    """
    feeds = plan(symbols, settings or {})
    configure_library()
    queue, reader, stop = _Queue(), Reader(), asyncio.Event()
    tasks = TaskGroupOwner("direct")
    with tempfile.TemporaryDirectory(prefix="tickcast-") as folder:

        async def run(name: str, config: FeedConfig) -> None:
            try:
                await run_feed(name, config, {}, queue, now_ns, stop, normaliser=Pipeline(name), folder=Path(folder))
            except TickcastError as wrong:
                queue.broken = wrong
            finally:
                if not stop.is_set():  # nobody takes from the queue any more then
                    await queue.batches.put(None)

        for name, config in feeds.items():
            tasks.spawn(run(name, config), name)
        try:
            while (batch := await queue.batches.get()) is not None:
                for tick in reader.read(batch):
                    yield tick
            raise queue.broken or FeedError("a feed broke; the log says how; nothing more follows")
        finally:
            stop.set()
            await tasks.stop()


async def book(
    symbol: str, *, depth: int = 10, timeout_s: float = 30.0, settings: Mapping[str, Any] | None = None
) -> Book:
    """Return the book of an instrument as soon as it is whole.

    Args:
        symbol: ``VENUE:SYMBOL``.
        depth: levels a side.
        timeout_s: longest time to wait for it.
        settings: keys of the config's ``[feeds.NAME]``.

    Raises:
        UsageError: there is no such venue, or a setting is wrong.
        FeedError: no whole book came in time; says what there was.
    """
    venue = symbol.partition(":")[0]
    sides: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})
    state, whole, seq = "empty", False, 0
    ticks = feed(symbol, settings={venue: {**(settings or {}), "depth": depth}})
    try:
        async with asyncio.timeout(timeout_s), aclosing(ticks):
            async for tick in ticks:
                if isinstance(tick, Status):
                    state = tick.state
                    whole = state in BEGUN
                elif isinstance(tick, BookChange):
                    _set(sides, tick)
                    seq = tick.seq
                if whole and isinstance(tick, Status | BookChange) and any(sides):
                    bids, asks = _sorted(sides, depth)
                    return Book(
                        symbol=symbol, bids=bids, asks=asks, state=state, seq=seq, timestamp_ns=tick.timestamp_ns
                    )
    except TimeoutError:
        pass
    raise FeedError(f"expected a whole book of {symbol} within {timeout_s:g} s, found it {state}")


def _set(sides: tuple[dict[Any, Any], dict[Any, Any]], change: BookChange) -> None:
    for side, levels in zip(sides, (change.bids, change.asks), strict=True):
        if change.begins:
            side.clear()
        for price, size in levels:
            if size:
                side[price] = size
            else:
                side.pop(price, None)


def _sorted(sides: tuple[dict[Any, Any], dict[Any, Any]], depth: int) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    bids = sorted(sides[0].items(), reverse=True)[:depth]
    asks = sorted(sides[1].items())[:depth]
    return tuple(bids), tuple(asks)
