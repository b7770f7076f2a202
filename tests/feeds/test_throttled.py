"""A venue that throttles, as the command line has it: in the ledger with scope venue, and nothing is asked before."""

import asyncio
from pathlib import Path

from click.testing import CliRunner
from tests.feeds.peers import until
from tests.feeds.test_simulated import Running, running

from tickcast.cli.main import cli
from tickcast.model.ledger import LedgerEntry
from tickcast.model.record import State
from tickcast.sim import config as sim
from tickcast.sim.server import Simulator


def throttled(feed: Running) -> list[LedgerEntry]:
    return [one for batch in feed.publisher.batches for one in batch.ledger if one.kind == "throttled"]


async def test_a_throttle_by_the_command_line_is_in_the_ledger_of_the_venue(tmp_path: Path) -> None:
    simulator = Simulator(
        sim.from_mapping(
            {"symbols": 4, "market": {"stock_share": 0.0}, "venues": {"OKX": {"dialect": "okx", "pairs": 2}}}
        )
    )
    ready = await simulator.start()
    try:
        arguments = ["sim", "fault", "OKX", "throttle", "--count", "1", "--delay-ms", "1000", "--admin", ready["admin"]]
        done = await asyncio.to_thread(CliRunner().invoke, cli, [*arguments, "--data", str(tmp_path)])
        assert done.exit_code == 0, done.output
        feed = Running("OKX", symbols=("BTC-USDT",), **ready["venues"]["OKX"])
        async with running(feed):
            await until(lambda: bool(throttled(feed)))
            entry = throttled(feed)[0]
            assert (entry.feed, entry.scope) == ("okx", "venue")
            assert "429" in entry.reason
            assert "Retry-After 1 s" in entry.reason
            assert entry.ended_ns - entry.began_ns >= 1_000_000_000
            await until(lambda: State.LIVE in feed.states().values())
            first = min(batch.hops.received for batch in feed.publisher.batches if batch.definitions)
            assert first >= entry.ended_ns
    finally:
        await simulator.stop()
