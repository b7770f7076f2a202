"""The two config files of ``tickcast demo``: the simulated exchanges and the instance that reads them."""

import json
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from tickcast.model.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """What the user may choose."""

    folder: Path
    """Where the files go."""
    host: str = "127.0.0.1"
    port: int = 8000
    rate: float = 50_000
    """Order events a second over all exchanges."""
    symbols: int = 500
    seed: int = 1
    recorded: Path | None = None
    """Play back captures of this folder instead of the simulated market."""
    speed: float = 1.0
    """Times the recorded speed; 0 = as fast as it is taken."""
    loop: bool = True


@dataclass(frozen=True)
class DemoFiles:
    """Paths of the files written."""

    sim: Path
    instance: Path


def write(options: DemoOptions) -> DemoFiles:
    """Write both files, with free ports that stay the same when the exchanges are restarted.

    Raises:
        UsageError: the folder cannot be written, or there is nothing to play back.
    """
    recorded = options.recorded
    if recorded is not None and not recorded.exists():
        raise UsageError(f"--recorded: expected a folder of captures, found nothing at {recorded}")
    folder = options.folder.resolve()
    files = DemoFiles(folder / "sim.toml", folder / "tickcast.toml")
    sim, instance = _captured(options) or _texts(options, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files.sim.write_text(sim, encoding="utf-8")
        files.instance.write_text(instance, encoding="utf-8")
    except OSError as wrong:
        raise UsageError(f"cannot write the demo's files to {folder}: {wrong.strerror or wrong}") from wrong
    return files


def _texts(options: DemoOptions, folder: Path) -> tuple[str, str]:
    ports = free_ports(5)
    return _sim(options, folder, ports), _instance(options, folder, ports)


def _captured(options: DemoOptions) -> tuple[str, str] | None:
    """Both texts for captures of our own feeds; None if there are none."""
    if options.recorded is None:
        return None
    from tickcast.cli import demo_captured  # noqa: PLC0415  only for playback
    from tickcast.sim.recorded.captures import find_captures  # noqa: PLC0415  only for playback

    captured = find_captures(options.recorded)
    if not captured:
        return None
    admin, *ports = free_ports(1 + demo_captured.targets(captured))
    places = demo_captured.addresses(captured, ports)
    return (
        "\n".join(_sim_head(options, admin)) + "\n" + demo_captured.sim_tables(places),
        _instance_head(options) + demo_captured.feed_tables(captured, places),
    )


def free_ports(count: int) -> list[int]:
    """Ports on 127.0.0.1 that nothing listened on just now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _text(value: object) -> str:
    """A TOML basic string; JSON's escapes are a subset of TOML's."""
    return json.dumps(str(value), ensure_ascii=False)


def _sim(options: DemoOptions, folder: Path, ports: list[int]) -> str:
    xnas, binance, binance_rest, xsim, admin = ports
    lines = _sim_head(options, admin)
    if options.recorded is None:
        lines.append(f"previous_close = {_text(folder / 'previous_close.csv')}")
    lines += ["", "[venues.XNAS]", 'dialect = "soup_itch"', f'address = "127.0.0.1:{xnas}"']
    lines += ["", "[venues.BINANCE]", 'dialect = "binance"', f'address = "127.0.0.1:{binance}"']
    lines.append(f'rest_address = "127.0.0.1:{binance_rest}"')
    if options.recorded is None:
        lines += ["", "[venues.XSIM]", 'dialect = "xsim"', f'address = "127.0.0.1:{xsim}"']
    return "\n".join(lines) + "\n"


def _sim_head(options: DemoOptions, admin: int) -> list[str]:
    lines = [
        "# Written by `tickcast demo`; the ports stay the same when the exchanges are restarted.",
        f"seed = {options.seed}",
        f"rate = {float(options.rate)}",
        f"symbols = {options.symbols}",
        f'admin = "127.0.0.1:{admin}"',
    ]
    if options.recorded is not None:
        lines += [
            "",
            "[recorded]",
            f"path = {_text(options.recorded.resolve())}",
            f"speed = {float(options.speed)}",
            f"loop = {str(options.loop).lower()}",
        ]
    return lines


def _instance_head(options: DemoOptions) -> str:
    return f"""# Written by `tickcast demo`.
[gateway]
host = {_text(options.host)}
port = {options.port}
"""


def _instance(options: DemoOptions, folder: Path, ports: list[int]) -> str:
    xnas, binance, binance_rest, xsim, _ = ports
    close = "" if options.recorded else f"previous_close = {_text(folder / 'previous_close.csv')}\n"
    text = f"""{_instance_head(options)}
[feeds.xnas]
venue = "XNAS"
address = "127.0.0.1:{xnas}"
{close}{_recorded_itch(options)}
[feeds.binance]
venue = "BINANCE"
url = "ws://127.0.0.1:{binance}"
rest_url = "http://127.0.0.1:{binance_rest}"
{close}{_recorded_binance(options)}"""
    if options.recorded is not None:
        return text
    return (
        text
        + f"""
[feeds.xsim]
venue = "XSIM"
rest_url = "http://127.0.0.1:{xsim}"
interval_ms = 200
{close}
[securities]
{_securities(options)}"""
    )


def _recorded_itch(options: DemoOptions) -> str:
    if options.recorded is None:
        return ""
    from tickcast.sim.recorded.files import ITCH_PREFERRED  # noqa: PLC0415  only for playback

    day = _recorded_day(options.recorded, ITCH_PREFERRED)
    return f'date = "{day}"\ncalendar = "24/7@{day}"\n' if day else ""


def _recorded_binance(options: DemoOptions) -> str:
    if options.recorded is None:
        return ""
    from tickcast.sim.recorded.files import BINANCE_PREFERRED  # noqa: PLC0415  only for playback

    day = _recorded_day(options.recorded, BINANCE_PREFERRED)
    calendar = f'calendar = "24/7@{day}"\n' if day else ""
    return f'streams = ["aggTrade", "bookTicker", "depth"]\n{calendar}'


def _recorded_day(folder: Path, patterns: tuple[str, ...]) -> str:
    """Day of a capture, ``2020-01-30``, from the digits in its name; empty if there are none."""
    from tickcast.sim.recorded.files import find  # noqa: PLC0415  only for playback

    capture = find(folder, patterns)
    digits = re.search(r"(20\d\d)([01]\d)([0-3]\d)", capture.name) if capture else None
    return "-".join(digits.groups()) if digits else ""


def _securities(options: DemoOptions) -> str:
    """Tokenised stocks are spelt with their currency; they belong to the stock's security."""
    from tickcast.sim import config, universe  # noqa: PLC0415  only for the simulated market

    settings = config.Config(symbols=options.symbols)
    stocks = int(options.symbols * settings.market.stock_share)
    named = [symbol for symbol, _ in universe.listed_stocks(stocks)][: settings.market.tokenised]
    return "".join(
        f"{_text(symbol)} = [{_text('XNAS:' + symbol)}, {_text('XSIM:' + symbol)}, {_text(f'BINANCE:{symbol}-USD')}]\n"
        for symbol in named
    )
