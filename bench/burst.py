"""Ten times the normal rate for ten seconds: is a trade lost, is a book wrong at the end?

    python bench/burst.py [--venue OKX] [--rate 500] [--times 10] [--before 3] [--seconds 10] [--json FILE]

A simulated venue in a process of its own sends trades, quotes and books of its markets over a WebSocket. A feed in a
second process takes them and publishes to a bus over its Unix socket, in this process, where a consumer acknowledges
every batch and keeps ids of trades and states. ``--rate`` order events a second for a while, then ``--times`` as
many, then as before; then the market stops. Every instrument's trades must have followed each other without a hole up
to the last one that the venue says it made, and every instrument must be live. Besides: what the venue sent, CPUs of
the feed, how long the bus was behind.
"""

import argparse
import asyncio
import json
import logging
import multiprocessing
import multiprocessing.connection
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import structlog
import uvloop

import machine
from tickcast.bus.config import Config as BusConfig
from tickcast.bus.memory import MemoryBus
from tickcast.bus.publisher import SocketPublisher
from tickcast.bus.server import BusServer
from tickcast.feeds.config import FeedConfig
from tickcast.feeds.stage import Feed
from tickcast.model.record import Kind, State
from tickcast.normalise.pipeline import Pipeline
from tickcast.runtime.clock import now_ns
from tickcast.sim import config as sim
from tickcast.sim.server import Simulator
from tickcast.venues.registry import open_session

TRADE, STATUS, GAP = int(Kind.TRADE), int(Kind.STATUS), int(Kind.GAP)
DEADLINE_S: Final = 30.0
Pipe = multiprocessing.connection.Connection


def quiet() -> None:
    """Only what is wrong is worth a line."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.disable(logging.WARNING)


# ------------------------------------------------------------------ the venue


def simulate(pipe: Pipe, venue: str, symbols: int, rate: float) -> None:
    """Run a simulated venue: ``["rate", n]`` sets its pace, ``["truth"]`` asks for the last trades."""
    quiet()
    uvloop.run(_simulate(pipe, venue, symbols, rate))


async def _simulate(pipe: Pipe, venue: str, symbols: int, rate: float) -> None:
    settings = {
        "symbols": symbols,
        "rate": rate,
        "market": {"halt_every_s": 0},
        "venues": {venue: {"dialect": venue.lower(), "rate": rate, "weight": 0}},
    }
    simulator = Simulator(sim.from_mapping(settings))
    ready = await simulator.start()
    pipe.send(dict(ready["venues"][venue]))
    engine = simulator.engines[venue]
    loop = asyncio.get_running_loop()
    while True:
        word, *given = await loop.run_in_executor(None, pipe.recv)
        if word == "rate":
            engine.rate = given[0]
        elif word == "truth":
            last = engine.dialect.last_ids()
            pipe.send({"last": last, "skipped_ns": engine.skipped_ns})
        else:
            await simulator.stop()
            return


# ------------------------------------------------------------------ the feed


def run_feed(pipe: Pipe, venue: str, addresses: dict[str, str], socket: str) -> None:
    """Run a feed that publishes to the bus behind the socket, until told to stop."""
    quiet()
    uvloop.run(_run_feed(pipe, venue, addresses, socket))


async def _run_feed(pipe: Pipe, venue: str, addresses: dict[str, str], socket: str) -> None:
    config = FeedConfig(
        venue=venue,
        streams=("trade", "quote", "book"),
        depth=10,
        url=addresses["url"],
        rest_url=addresses["rest_url"],
    )
    publisher = SocketPublisher("bench", Path(socket), BusConfig(), clock=now_ns)
    await publisher.start()
    pipeline, stop = Pipeline("bench", venue=venue), asyncio.Event()
    running = Feed(
        "bench",
        config=config,
        session=open_session("bench", config, {}),
        normaliser=pipeline,
        publisher=publisher,
        clock=now_ns,
        jitter=lambda: 0.5,
    )
    task = asyncio.get_running_loop().create_task(running.run(stop))
    await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
    health = running.health
    pipe.send(
        {
            "messages": health.messages,
            "dead_letters": health.dead_letters + pipeline.dead_letters,
            "gaps": pipeline.gaps,
            "reconnects": health.reconnects,
            "conflated_quotes": publisher.conflated,
        }
    )
    stop.set()
    await task


# ------------------------------------------------------------------ the consumer


class Consumer:
    """Keeps ids of trades and the newest state of each instrument."""

    def __init__(self) -> None:
        self.symbols: dict[int, str] = {}
        self.ids: dict[int, list[int]] = {}
        self.states: dict[int, int] = {}
        self.records = self.gaps = 0
        self.behind_ns = 0

    async def run(self, bus: MemoryBus) -> None:
        """Take everything."""
        member = bus.subscribe("bench")
        while True:
            for delivery in await member.take():
                batch = delivery.batch
                if batch.hops.received:
                    self.behind_ns = max(self.behind_ns, now_ns() - batch.hops.received)
                self.symbols.update((one.instrument, one.symbol) for one in batch.definitions)
                rows = batch.records
                self.records += len(rows)
                kinds = rows["kind"]
                self.gaps += int((kinds == GAP).sum())
                for row in rows[(kinds == TRADE) | (kinds == STATUS)][["kind", "instrument", "id", "detail"]].tolist():
                    kind, instrument, ident, detail = row
                    if kind == TRADE:
                        self.ids.setdefault(instrument, []).append(ident)
                    else:
                        self.states[instrument] = detail
                delivery.ack()

    def is_live(self) -> bool:
        """Every instrument that was told of is."""
        return bool(self.states) and not self.not_live()

    def not_live(self) -> list[str]:
        """Instruments that are not; an index has no book and no trades."""
        names = (self.symbols.get(one, "") for one, state in self.states.items() if state != State.LIVE)
        return [name for name in names if not name.endswith("-INDEX")]

    def newest(self) -> dict[int, int]:
        """Highest trade id by instrument."""
        return {instrument: max(ids) for instrument, ids in self.ids.items()}

    def missing(self) -> int:
        """Trades between an instrument's first and last that did not come."""
        return sum(max(ids) - min(ids) + 1 - len(set(ids)) for ids in self.ids.values())


async def until(condition: Any, what: str) -> float:
    """Poll; the seconds that it took."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > DEADLINE_S:
            raise SystemExit(f"not within {DEADLINE_S:g} s: {what}")
        await asyncio.sleep(0.02)
    return time.monotonic() - begin


async def measure(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All of it."""
    context = multiprocessing.get_context("spawn")
    bus = MemoryBus(BusConfig(), clock=now_ns)
    await bus.start()
    server = BusServer(bus, folder / "bus.sock")
    await server.start()
    consumer = Consumer()
    consuming = asyncio.get_running_loop().create_task(consumer.run(bus))
    (venue_pipe, venue_end), (feed_pipe, feed_end) = context.Pipe(), context.Pipe()
    venue = context.Process(target=simulate, args=(venue_end, asked.venue, asked.symbols, asked.rate), daemon=True)
    venue.start()
    loop = asyncio.get_running_loop()
    addresses = await loop.run_in_executor(None, venue_pipe.recv)
    feed = context.Process(
        target=run_feed, args=(feed_end, asked.venue, addresses, str(folder / "bus.sock")), daemon=True
    )
    feed.start()
    try:
        await until(consumer.is_live, "all live")
        await asyncio.sleep(asked.before)
        used, seen, consumer.behind_ns = sum(machine.cpu_s(feed.pid or 0)), consumer.records, 0
        venue_pipe.send(["rate", asked.rate * asked.times])
        await asyncio.sleep(asked.seconds)
        venue_pipe.send(["rate", asked.rate])
        burst = {
            "records": consumer.records - seen,
            "feed_cpus": round((sum(machine.cpu_s(feed.pid or 0)) - used) / asked.seconds, 3),
            "longest_behind_ms": round(consumer.behind_ns / 1e6, 1),
        }
        await asyncio.sleep(asked.before)
        venue_pipe.send(["rate", 0.0])
        await asyncio.sleep(0.5)
        venue_pipe.send(["truth"])
        truth = await loop.run_in_executor(None, venue_pipe.recv)
        expected = sorted(int(one) for one in truth["last"] if int(one))
        settled_s = await until(
            lambda: sum(consumer.newest().values()) >= sum(expected) or len(consumer.ids) < len(expected), "all trades"
        )
        feed_pipe.send("stop")
        told = await loop.run_in_executor(None, feed_pipe.recv)
        venue_pipe.send(["stop"])
    finally:
        for process in (feed, venue):
            process.join(5)
            if process.is_alive():
                process.kill()
        consuming.cancel()
        await server.stop()
        await bus.stop()
    return {
        "venue": asked.venue,
        "instruments": len(consumer.states),
        "rate": asked.rate,
        "times": asked.times,
        "burst": burst,
        "trades": sum(len(set(ids)) for ids in consumer.ids.values()),
        "trades_missing": consumer.missing(),
        "last_ids_differ": len(set(expected) - set(consumer.newest().values())),
        "not_live": len(consumer.not_live()),
        "gaps": consumer.gaps,
        "settled_s": round(settled_s, 2),
        "skipped_s": round(truth["skipped_ns"] / 1e9, 2),
        "feed": told,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venue", default="OKX")
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--rate", type=float, default=500.0, help="order events a second")
    parser.add_argument("--times", type=float, default=10.0)
    parser.add_argument("--before", type=float, default=3.0, help="seconds at the normal rate, before and after")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path)
    asked, facts = parser.parse_args(), machine.facts()
    quiet()
    with tempfile.TemporaryDirectory(prefix="tickcast-bench-") as folder:
        result = uvloop.run(measure(asked, Path(folder)))
    burst = result["burst"]
    print(
        f"{result['venue']}: {asked.rate:g} events/s, {asked.times:g} times that for {asked.seconds:g} s:"
        f" {burst['records']:,} records in the burst, {burst['feed_cpus']} CPUs of the feed,"
        f" at most {burst['longest_behind_ms']} ms behind\n"
        f"{result['trades']:,} trades, {result['trades_missing']} missing, {result['last_ids_differ']} instruments"
        f" whose last differs, {result['not_live']} of {result['instruments']} not live, {result['gaps']} gaps;"
        f" the venue gave up {result['skipped_s']} s; feed: {result['feed']}"
    )
    if asked.json:
        asked.json.write_text(json.dumps({"benchmark": "burst", "machine": facts, **result}, indent=1) + "\n")
    if result["trades_missing"] or result["last_ids_differ"] or result["not_live"]:
        raise SystemExit("something was lost")


if __name__ == "__main__":
    main()
