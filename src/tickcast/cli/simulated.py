"""``tickcast up --simulated``: the feeds of a config, each reading a simulated venue on this machine."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tickcast.cli import demo_market, toml_text
from tickcast.cli.demo import DemoFiles, FreePlaces
from tickcast.config import load
from tickcast.model.errors import UsageError

RATE: Final = 2_000.0
"""Order events a second over all simulated venues."""
ADDRESSES: Final = ("url", "rest_url", "address", "lines", "rerequest", "gap_lines", "gap_address", "spin_address")
"""Keys of a feed that say where its venue is: the simulated one's take their place."""


def write(path: Path, folder: Path) -> DemoFiles:
    """Write the simulator's config and the instance's with its addresses.

    Raises:
        UsageError: a venue cannot be simulated, two feeds read one venue in ways that exclude each other, or the files
            cannot be written.
    """
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    feeds: Mapping[str, dict[str, Any]] = raw.get("feeds", {})
    unknown = sorted({str(feed.get("venue")) for feed in feeds.values()} - set(demo_market.EXCHANGES))
    if unknown or not feeds:
        raise UsageError(
            f"--simulated: expected feeds of some of {', '.join(demo_market.EXCHANGES)}, "
            f"found {', '.join(unknown) or 'none'}; nothing started"
        )
    place = FreePlaces()
    codes = list(dict.fromkeys(str(feed["venue"]) for feed in feeds.values()))
    sim, simulated = demo_market.tables(codes, place)
    admin = place()
    place.close()
    by_venue = {str(table["venue"]): table for table in simulated.values()}
    made = {name: _joined(feed, by_venue[str(feed["venue"])]) for name, feed in feeds.items()}
    files = DemoFiles(folder / "sim.toml", folder / "tickcast.toml")
    head = toml_text.table("", {"rate": RATE, "symbols": 100, "admin": admin})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files.sim.write_text(head + toml_text.tables({"venues": sim}), "utf-8")
        files.instance.write_text(toml_text.tables({**raw, "feeds": made}), "utf-8")
    except OSError as wrong:
        raise UsageError(f"cannot write the files of --simulated to {folder}: {wrong.strerror or wrong}") from wrong
    return files


def _joined(feed: Mapping[str, Any], simulated: Mapping[str, Any]) -> dict[str, Any]:
    """A feed of the config with the addresses of its simulated venue."""
    return {
        **{key: value for key, value in feed.items() if key not in ADDRESSES},
        **{key: value for key, value in simulated.items() if key not in feed or key in ADDRESSES},
    }


def rewrite(path: Path, files: DemoFiles) -> None:
    """Write the instance's config again, after the one that it was made of has changed; the addresses stay.

    Raises:
        UsageError: the config is wrong, has a feed of a venue that is not simulated, or the file cannot be written.
    """
    load(path)
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    before = tomllib.loads(files.instance.read_text(encoding="utf-8"))["feeds"]
    by_venue = {str(feed["venue"]): feed for feed in before.values()}
    feeds: Mapping[str, dict[str, Any]] = raw.get("feeds", {})
    unknown = [name for name, feed in feeds.items() if feed["venue"] not in by_venue]
    if unknown:
        raise UsageError(f"--simulated: the venue of feeds.{unknown[0]} is not simulated; nothing is changed")
    _, simulated = demo_market.tables(list(by_venue), lambda: "")
    given = {str(table["venue"]): table.keys() for table in simulated.values()}
    made = {
        name: _joined(feed, {key: value for key, value in by_venue[venue].items() if key in given[venue]})
        for name, feed in feeds.items()
        if (venue := str(feed["venue"]))
    }
    beside = files.instance.with_suffix(".new")
    try:
        beside.write_text(toml_text.tables({**raw, "feeds": made}), "utf-8")
        beside.replace(files.instance)
    except OSError as wrong:
        raise UsageError(f"cannot write {files.instance}: {wrong.strerror or wrong}; nothing is changed") from wrong
