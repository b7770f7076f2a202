"""The two config files of ``tickcast demo``: the simulated exchanges and the instance that reads them."""

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tickcast.cli import demo_captured, demo_market, toml_text
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
    exchanges: Sequence[str] = demo_market.DEMO
    """Names of the exchanges that are simulated."""
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
        UsageError: the folder cannot be written, there is no such exchange, or there is nothing to play back.
    """
    folder = options.folder.resolve()
    files = DemoFiles(folder / "sim.toml", folder / "tickcast.toml")
    sim, instance = _simulated(options, folder) if options.recorded is None else _recorded(options, options.recorded)
    # prices that are made up, on an address that somebody asked for: everybody may see them
    head = toml_text.table("gateway", {"host": options.host, "port": options.port})
    head += toml_text.table("gateway.auth", {"anonymous": True})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files.sim.write_text(f"# Written by `tickcast demo`; restarted exchanges keep their ports.\n{sim}", "utf-8")
        files.instance.write_text(f"# Written by `tickcast demo`.\n{head}{instance}", "utf-8")
    except OSError as wrong:
        raise UsageError(f"cannot write the demo's files to {folder}: {wrong.strerror or wrong}") from wrong
    return files


class FreePlaces:
    """Places on 127.0.0.1 where nothing listened just now, over TCP or UDP; no two are the same while it lives."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def __call__(self) -> str:
        """Another one."""
        while True:
            stream = socket.create_server(("127.0.0.1", 0))
            datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._held += [stream, datagram]
            try:
                datagram.bind(stream.getsockname())
            except OSError:
                continue
            return f"127.0.0.1:{stream.getsockname()[1]}"

    def close(self) -> None:
        """Let go of all, for whoever shall listen there."""
        for each in self._held:
            each.close()
        self._held.clear()


def free_ports(count: int) -> list[int]:
    """Ports on 127.0.0.1 that nothing listened on just now."""
    place = FreePlaces()
    ports = [int(place().rpartition(":")[2]) for _ in range(count)]
    place.close()
    return ports


# ---------------------------------------------------------------------- the simulated market


def _simulated(options: DemoOptions, folder: Path) -> tuple[str, str]:
    unknown = [name for name in options.exchanges if name not in demo_market.EXCHANGES]
    if unknown or not options.exchanges:
        known = ", ".join(demo_market.EXCHANGES)
        raise UsageError(f"--exchanges: expected some of {known}, found {', '.join(unknown) or 'none'}")
    place = FreePlaces()
    close = str(folder / "previous_close.csv")
    head = {**_sim_head(options, place()), "previous_close": close}
    venues, feeds = demo_market.tables(options.exchanges, place)
    place.close()
    feeds = {name: {**feed, "previous_close": close} for name, feed in feeds.items()}
    grouped = demo_market.securities(options.exchanges, options.symbols)
    return (
        toml_text.table("", head) + toml_text.tables({"venues": venues}),
        toml_text.tables({"feeds": feeds, "securities": grouped}),
    )


def _sim_head(options: DemoOptions, admin: str) -> dict[str, Any]:
    return {"seed": options.seed, "rate": float(options.rate), "symbols": options.symbols, "admin": admin}


# ---------------------------------------------------------------------- recordings


def _recorded(options: DemoOptions, folder: Path) -> tuple[str, str]:
    from tickcast.sim.recorded.captures import find_captures  # noqa: PLC0415  only for playback

    if not folder.exists():
        raise UsageError(f"--recorded: expected a folder of captures, found nothing at {folder}")
    playing = {"path": str(folder.resolve()), "speed": float(options.speed), "loop": options.loop}
    place = FreePlaces()
    head = toml_text.table("", _sim_head(options, place())) + toml_text.table("recorded", playing)
    captured = find_captures(folder)
    if captured:
        places = demo_captured.addresses(captured, place)
        place.close()
        feeds = demo_captured.feeds(captured, places)
        return head + toml_text.tables({"recorded": {"addresses": places}}), toml_text.tables({"feeds": feeds})
    venues, feeds = demo_market.tables(("XNAS", "BINANCE"), place)
    place.close()
    feeds["xnas"] |= _recorded_itch(folder)
    feeds["binance"] |= _recorded_binance(folder)
    return head + toml_text.tables({"venues": venues}), toml_text.tables({"feeds": feeds})


def _recorded_itch(folder: Path) -> dict[str, Any]:
    from tickcast.sim.recorded.files import ITCH_PREFERRED  # noqa: PLC0415  only for playback

    day = _recorded_day(folder, ITCH_PREFERRED)
    return {"date": day, "calendar": f"24/7@{day}"} if day else {}


def _recorded_binance(folder: Path) -> dict[str, Any]:
    from tickcast.sim.recorded.files import BINANCE_PREFERRED  # noqa: PLC0415  only for playback

    day = _recorded_day(folder, BINANCE_PREFERRED)
    return {"aggregate_trades": True} | ({"calendar": f"24/7@{day}"} if day else {})


def _recorded_day(folder: Path, patterns: tuple[str, ...]) -> str:
    """Day of a capture, ``2020-01-30``, from the digits in its name; empty if there are none."""
    from tickcast.sim.recorded.files import find  # noqa: PLC0415  only for playback

    capture = find(folder, patterns)
    digits = re.search(r"(20\d\d)([01]\d)([0-3]\d)", capture.name) if capture else None
    return "-".join(digits.groups()) if digits else ""
