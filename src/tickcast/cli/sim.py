"""``tickcast sim``: only the simulated exchanges, for anyone's tests; and ``sim fault``, what goes wrong at them."""

import asyncio
import contextlib
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec
import uvloop

from tickcast.cli.ranges import EVENT_RATE, SYMBOL_COUNT
from tickcast.model.errors import UsageError
from tickcast.runtime import lifeline, log


class SimGroup(click.Group):
    """A command that runs by itself, and has commands of its own, imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands."""
        del ctx
        return ["fault"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None if there is none of that name."""
        del ctx
        from tickcast.cli.fault import fault  # noqa: PLC0415  keeps --help quick

        return fault if cmd_name == "fault" else None


@click.group(cls=SimGroup, invoke_without_command=True, subcommand_metavar="[fault ...]")
@click.pass_context
@click.option(
    "--config", "path", type=click.Path(path_type=Path), help="TOML file; without it three venues on free ports."
)
@click.option("--seed", type=int, help="Same seed, same market, same bytes.")
@click.option("--rate", type=EVENT_RATE, help="Order events a second over all venues.")
@click.option("--symbols", type=SYMBOL_COUNT, help="Stocks and crypto pairs together.")
@click.option("--recorded", type=click.Path(path_type=Path), help="Play the captures in this folder instead.")
@click.option("--speed", help="Of playback: a factor, or max.")
@click.option("--loop/--once", default=None, help="Play again and again, or once.")
def sim(
    context: click.Context,
    /,
    path: Path | None,
    recorded: Path | None,
    speed: str | None,
    loop: bool | None,  # noqa: FBT001
    **given: Any,
) -> None:
    """Simulated exchanges on loopback.

    Prints one JSON line with the addresses when all of them listen, then runs until SIGTERM or SIGINT.
    """
    if context.invoked_subcommand is not None:
        return
    from tickcast.sim import config as settings  # noqa: PLC0415  keeps --help quick

    config = settings.load(path) if path is not None else settings.Config()
    playing = {"path": str(recorded) if recorded else None, "speed": _speed(speed), "loop": loop}
    given["recorded"] = _replace(config.recorded, playing)
    config = _replace(config, given)
    settings.check(config, source="command line")
    log.configure(process="sim")
    lifeline.bind_to_parent()
    uvloop.run(_serve(config))


def _replace(struct: Any, given: Mapping[str, Any]) -> Any:
    return msgspec.structs.replace(struct, **{name: value for name, value in given.items() if value is not None})


def _speed(text: str | None) -> float | None:
    """Read ``--speed``: a positive factor; ``max`` is 0."""
    if text is None:
        return None
    try:
        factor = 0.0 if text == "max" else float(text)
    except ValueError:
        factor = -1.0
    if factor < 0 or (not factor and text != "max"):
        raise UsageError(f"--speed: expected a positive number or max, found {text!r}; nothing started")
    return factor


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
