"""``tickcast up``, ``demo`` and ``run``: instances and the processes they consist of."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from tickcast.cli.ranges import EVENT_RATE, PORT, SPEED, SYMBOL_COUNT

DATA = click.option(
    "--data", type=click.Path(path_type=Path), help="Data folder; else TICKCAST_DATA, else ./.tickcast."
)
CONFIG = click.option(
    "--config", "path", type=click.Path(path_type=Path), default="tickcast.toml", show_default=True, help="TOML file."
)


@click.command()
@CONFIG
@DATA
@click.option("--port", type=PORT, help="Listen on this port instead of the config's.")
@click.option("--simulated", is_flag=True, help="Every feed reads a simulated venue on this machine.")
def up(path: Path, data: Path | None, port: int | None, simulated: bool) -> None:  # noqa: FBT001  click's flag
    """One machine: supervisor, one process per feed, one core process."""
    if not simulated:
        _supervise(path, data, port=port, sim=None)
        return
    from tickcast import config  # noqa: PLC0415  keeps --help quick
    from tickcast.cli.simulated import write  # noqa: PLC0415
    from tickcast.ops.datadir import DataDir  # noqa: PLC0415

    config.load(path)
    folder = DataDir.resolve(data)
    folder.create()
    files = write(path, folder.root / "demo")
    _supervise(files.instance, folder.root, port=port, sim=files.sim)


@click.command()
@click.option(
    "--rate", type=EVENT_RATE, default=50_000, show_default=True, help="Order events a second, all exchanges."
)
@click.option("--port", type=PORT, default=8000, show_default=True, help="Port of the page, the stream and REST.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--symbols", type=SYMBOL_COUNT, default=500, show_default=True, help="Stocks and crypto pairs together.")
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same market.")
@click.option("--exchanges", help="Only these, such as XNAS,BINANCE; by default six of those that can be simulated.")
@click.option("--recorded", type=click.Path(path_type=Path), help="Play back the captures in this folder instead.")
@click.option("--speed", type=SPEED, default=1.0, show_default=True, help="Times recorded speed; 0 = unpaced.")
@click.option("--once", is_flag=True, help="Play back once instead of for ever.")
@DATA
def demo(data: Path | None, once: bool, exchanges: str | None, **given: Any) -> None:  # noqa: FBT001  click's flag
    """Simulated exchanges and an instance that reads them; open the printed address."""
    from tickcast.cli.demo import DemoOptions, write  # noqa: PLC0415  keeps --help quick
    from tickcast.ops.datadir import DataDir  # noqa: PLC0415

    folder = DataDir.resolve(data)
    folder.create()
    if exchanges is not None:
        given["exchanges"] = [name.strip().upper() for name in exchanges.split(",") if name.strip()]
    files = write(DemoOptions(folder=folder.root / "demo", loop=not once, **given))
    _supervise(files.instance, folder.root, port=None, sim=files.sim)


def _supervise(path: Path, data: Path | None, *, port: int | None, sim: Path | None) -> None:
    from tickcast import app, config  # noqa: PLC0415  keeps --help quick
    from tickcast.ops.datadir import DataDir  # noqa: PLC0415
    from tickcast.ops.supervisor import Supervisor  # noqa: PLC0415
    from tickcast.runtime import log  # noqa: PLC0415

    settings = config.load(path)
    folder = DataDir.resolve(data)
    log.configure(level=settings.logging.level, log_format=settings.logging.format, process="supervisor")
    specs = app.processes(settings, path.resolve(), folder, sim=sim, port=port)

    def on_ready(name: str, info: Mapping[str, Any]) -> None:
        if name == "core":
            click.echo(
                f"tickcast listens on {info['http']}  (page, /stream, /prices, /docs, /metrics); stop with Ctrl-C"
            )

    supervisor = Supervisor(folder, specs, settings.supervisor, on_ready=on_ready)
    status = asyncio.run(supervisor.run())
    if status:
        raise SystemExit(status)


@click.group()
def run() -> None:
    """One role as a process of its own: what the supervisor (or a container) runs."""


@run.command()
@CONFIG
@DATA
@click.option("--port", type=PORT, help="Listen on this port instead of the config's.")
def core(path: Path, data: Path | None, port: int | None) -> None:
    """Bus, newest state, fan-out and gateway."""
    from tickcast import app, config  # noqa: PLC0415  keeps --help quick

    settings = config.load(path)
    if port is not None:
        gateway = msgspec.structs.replace(settings.gateway, port=port)
        settings = msgspec.structs.replace(settings, gateway=gateway)
    folder = _role(settings, data, "core")
    _until_signalled(lambda stop: app.run_core(settings, folder, stop=stop, ready=lambda address: _ready(http=address)))


@run.command()
@click.argument("name")
@CONFIG
@DATA
def feed(name: str, path: Path, data: Path | None) -> None:
    """One feed: connect, decode, normalise, publish."""
    from tickcast import app, config  # noqa: PLC0415  keeps --help quick

    settings = config.load(path)
    folder = _role(settings, data, name)
    _until_signalled(lambda stop: app.run_feed(name, settings, folder, stop=stop, ready=_ready))


def _role(settings: Any, data: Path | None, process: str) -> Any:
    from tickcast.ops.datadir import DataDir  # noqa: PLC0415  keeps --help quick
    from tickcast.runtime import lifeline, log  # noqa: PLC0415

    log.configure(level=settings.logging.level, log_format=settings.logging.format, process=process)
    lifeline.bind_to_parent()
    folder = DataDir.resolve(data)
    folder.create()
    return folder


def _ready(**info: str) -> None:
    """Tell the supervisor, which reads the first line of stdout."""
    click.echo(msgspec.json.encode({"ready": True, **info}).decode())


def _until_signalled(work: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    import uvloop  # noqa: PLC0415  keeps --help quick

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await work(stop)

    uvloop.run(main())
