"""``tickcast up``, ``demo`` and ``run``: instances and the processes they consist of."""

import asyncio
import functools
import os
import signal
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tickcast.cli.ranges import EVENT_RATE, GATEWAYS, PORT, SPEED, SYMBOL_COUNT

if TYPE_CHECKING:
    from tickcast.config import Config

DATA = click.option(
    "--data", type=click.Path(path_type=Path), help="Data folder; else TICKCAST_DATA, else ./.tickcast."
)
CONFIG = click.option(
    "--config", "path", type=click.Path(path_type=Path), default="tickcast.toml", show_default=True, help="TOML file."
)
WORKERS = click.option(
    "--gateways",
    type=GATEWAYS,
    help="Serve clients with so many gateway processes on the one port; 0: the core does. Else the config's.",
)


@click.command()
@CONFIG
@DATA
@click.option("--port", type=PORT, help="Listen on this port instead of the config's.")
@WORKERS
@click.option("--simulated", is_flag=True, help="Every feed reads a simulated venue on this machine.")
def up(
    path: Path,
    data: Path | None,
    port: int | None,
    gateways: int | None,
    simulated: bool,  # noqa: FBT001  click's flag
) -> None:
    """One machine: supervisor, one process per feed, one core process, and gateway workers if asked for."""
    if not simulated:
        _supervise(path, data, port=port, gateways=gateways, sim=None)
        return
    from tickcast import config  # noqa: PLC0415  keeps --help quick
    from tickcast.cli.simulated import rewrite, write  # noqa: PLC0415
    from tickcast.ops.datadir import DataDir  # noqa: PLC0415

    config.load(path)
    folder = DataDir.resolve(data)
    folder.create()
    files = write(path, folder.root / "demo")
    again = functools.partial(rewrite, path, files)
    _supervise(files.instance, folder.root, port=port, gateways=gateways, sim=files.sim, again=again)


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
@WORKERS
@DATA
def demo(
    data: Path | None,
    once: bool,  # noqa: FBT001  click's flag
    exchanges: str | None,
    gateways: int | None,
    **given: Any,
) -> None:
    """Simulated exchanges and an instance that reads them; open the printed address."""
    from tickcast.cli.demo import DemoOptions, write  # noqa: PLC0415  keeps --help quick
    from tickcast.ops.datadir import DataDir  # noqa: PLC0415

    folder = DataDir.resolve(data)
    folder.create()
    if exchanges is not None:
        given["exchanges"] = [name.strip().upper() for name in exchanges.split(",") if name.strip()]
    files = write(DemoOptions(folder=folder.root / "demo", loop=not once, **given))
    _supervise(files.instance, folder.root, port=None, gateways=gateways, sim=files.sim)


def _supervise(
    path: Path,
    data: Path | None,
    *,
    port: int | None,
    gateways: int | None,
    sim: Path | None,
    again: Callable[[], None] | None = None,
) -> None:
    """Run an instance; ``again`` makes the file of its config anew, where it is made of another one."""
    from tickcast import app, config  # noqa: PLC0415  keeps --help quick
    from tickcast.cli.reload import Reloader  # noqa: PLC0415
    from tickcast.gateway.listener import bind  # noqa: PLC0415
    from tickcast.ops.datadir import DataDir  # noqa: PLC0415
    from tickcast.ops.supervisor import Supervisor  # noqa: PLC0415
    from tickcast.runtime import log  # noqa: PLC0415

    settings = _settings(config.load(path), port=port, gateways=gateways)
    folder = DataDir.resolve(data)
    log.configure(level=settings.logging.level, log_format=settings.logging.format, process="supervisor")
    # with workers the socket is ours: whichever of them dies, it stays, and nobody is refused
    listener = None
    if settings.gateway.workers:
        folder.create()
        folder.lock().release()  # an instance that runs here says more than its port that is taken
        listener = bind(settings.gateway)
    specs = app.processes(settings, path.resolve(), folder, sim=sim, port=port, listener=listener)
    told: set[str] = set()

    def on_ready(name: str, info: Mapping[str, Any]) -> None:
        # of the workers the first one tells; a core that comes again tells again
        if "http" in info and (name == "core" or not told):
            told.add(name)
            click.echo(
                f"tickcast listens on {info['http']}  (page, /stream, /prices, /docs, /metrics); stop with Ctrl-C"
            )

    def read() -> "Config":
        if again is not None:
            again()
        return _settings(config.load(path), port=port, gateways=gateways)

    supervisor = Supervisor(
        folder,
        specs,
        settings.supervisor,
        on_ready=on_ready,
        reload=Reloader(settings, folder, read=read, tell=click.echo),
    )
    status = asyncio.run(supervisor.run())
    if listener is not None:
        listener.close()
    if status:
        raise SystemExit(status)


def _settings(settings: "Config", *, port: int | None = None, gateways: int | None = None) -> "Config":
    """The config with what the command line says instead."""
    given = {name: value for name, value in (("port", port), ("workers", gateways)) if value is not None}
    return msgspec.structs.replace(settings, gateway=msgspec.structs.replace(settings.gateway, **given))


@click.group()
def run() -> None:
    """One role as a process of its own: what the supervisor (or a container) runs."""


@run.command()
@CONFIG
@DATA
@click.option("--port", type=PORT, help="Listen on this port instead of the config's.")
@WORKERS
def core(path: Path, data: Path | None, port: int | None, gateways: int | None) -> None:
    """Bus, newest state, fan-out, and the gateway unless workers are it."""
    from tickcast import app, config  # noqa: PLC0415  keeps --help quick

    settings = _settings(config.load(path), port=port, gateways=gateways)
    folder = _role(settings, data, "core")
    standby = _stands_by()
    _until_signalled(
        lambda stop: app.run_core(settings, folder, stop=stop, ready=_ready, asked=_when_asked, standby=standby)
    )


@run.command()
@click.argument("name")
@CONFIG
@DATA
@click.option("--port", type=PORT, help="Listen on this port instead of the config's.")
@click.option("--listen-fd", type=click.IntRange(3), help="Accept from this inherited socket instead of an own one.")
@click.option("--gateways", type=GATEWAYS, help="So many workers there are: limits hold over all. Else the config's.")
def gateway(
    *, name: str, path: Path, data: Path | None, port: int | None, listen_fd: int | None, gateways: int | None
) -> None:
    """One gateway worker: clients of its own, fed by the core; REST is the core's."""
    from tickcast import app, config  # noqa: PLC0415  keeps --help quick
    from tickcast.gateway.listener import inherit  # noqa: PLC0415

    settings = _settings(config.load(path), port=port, gateways=gateways)
    listener = None if listen_fd is None else inherit(listen_fd)
    folder = _role(settings, data, name)
    _until_signalled(lambda stop: app.run_gateway(name, settings, folder, listener=listener, stop=stop, ready=_ready))


@run.command()
@click.argument("name")
@CONFIG
@DATA
def feed(name: str, path: Path, data: Path | None) -> None:
    """One feed: connect, decode, normalise, publish."""
    from tickcast import app, config  # noqa: PLC0415  keeps --help quick

    settings = config.load(path)
    folder = _role(settings, data, name)
    standby = _stands_by()
    _until_signalled(
        lambda stop: app.run_feed(name, settings, folder, stop=stop, ready=_ready, asked=_when_asked, standby=standby)
    )


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


def _stands_by() -> bool:
    """Whether the supervisor wants this process to take over from another one."""
    from tickcast.ops.process import STANDBY  # noqa: PLC0415  keeps --help quick

    return os.environ.pop(STANDBY, "") == "1"


def _when_asked(call: Callable[[], None]) -> None:
    """Let the supervisor ask for the next step of a handover."""
    from tickcast.ops.process import ASK  # noqa: PLC0415  keeps --help quick

    asyncio.get_running_loop().add_signal_handler(ASK, call)


def _until_signalled(work: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    import uvloop  # noqa: PLC0415  keeps --help quick

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await work(stop)

    uvloop.run(main())
