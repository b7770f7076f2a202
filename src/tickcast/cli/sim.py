"""``tickcast sim``: only the simulated exchanges, for anyone's tests."""

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Any

import click
import msgspec
import uvloop

from tickcast.runtime import log


@click.command()
@click.option(
    "--config", "path", type=click.Path(path_type=Path), help="TOML file; without it three venues on free ports."
)
@click.option("--seed", type=int, help="Same seed, same market, same bytes.")
@click.option("--rate", type=float, help="Order events a second over all venues.")
@click.option("--symbols", type=int, help="Stocks and crypto pairs together.")
def sim(path: Path | None, seed: int | None, rate: float | None, symbols: int | None) -> None:
    """Simulated exchanges on loopback.

    Prints one JSON line with the addresses when all of them listen, then runs until SIGTERM or SIGINT.
    """
    from tickcast.sim import config as settings  # noqa: PLC0415  keeps --help quick

    config = settings.load(path) if path is not None else settings.Config()
    given = {"seed": seed, "rate": rate, "symbols": symbols}
    config = msgspec.structs.replace(config, **{name: value for name, value in given.items() if value is not None})
    settings.check(config, source="command line")
    log.configure(process="sim")
    uvloop.run(_serve(config))


async def _serve(config: Any) -> None:
    from tickcast.sim.server import Simulator  # noqa: PLC0415  keeps --help quick

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    simulator = Simulator(config)
    click.echo(msgspec.json.encode(await simulator.start()).decode())
    await stopped.wait()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(simulator.stop(), 1.5)
