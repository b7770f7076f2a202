"""``tickcast doctor``: whether tickcast can run here, what is missing, and how to get it."""

import importlib.metadata
import importlib.resources
import os
import platform
import re
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal

import click
import msgspec
from rich.table import Table
from rich.text import Text

from tickcast import __version__
from tickcast.cli.config import DEFAULT
from tickcast.cli.instance import data_option, json_option, print_json
from tickcast.cli.terminal import open_console
from tickcast.config import Config, load
from tickcast.model.errors import UsageError
from tickcast.ops.datadir import DataDir

FILES_WANTED: Final = 4096
DISK_WANTED: Final = 1 << 30
STYLES: Final = {"good": "green", "warning": "yellow", "missing": "bold red"}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing looked at."""

    what: str
    state: Literal["good", "warning", "missing"]
    """``missing`` keeps tickcast from running; ``warning`` limits it or its building."""
    found: str
    advice: str | None = None


@click.command()
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    help=f"Config file whose ports and values are checked; else {DEFAULT}, where there is one.",
)
@data_option
@json_option
def doctor(*, file: Path | None, data: DataDir, as_json: bool) -> None:
    """Look at what is installed and free; exit status 0 if tickcast can run, 1 if not."""
    if file is None and DEFAULT.exists():  # what `tickcast up` would take
        file = DEFAULT
    findings = list(examine(file, data))
    can_run = all(finding.state != "missing" for finding in findings)
    if as_json:
        print_json({"can_run": can_run, "findings": findings})
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for finding in findings:
            table.add_row(finding.what, Text(finding.state, STYLES[finding.state]), finding.found)
            if finding.advice:
                table.add_row("", "", Text(finding.advice, "italic"))
        console = open_console()
        console.print(table)
        console.print("tickcast can run" if can_run else Text("tickcast cannot run", "bold red"))
    if not can_run:
        raise click.exceptions.Exit(1)


def examine(file: Path | None, data: DataDir) -> Iterator[Finding]:
    """Everything that is looked at, in the order of a report."""
    yield Finding(what="tickcast", state="good", found=__version__)
    yield Finding(what="python", state="good", found=f"{platform.python_version()} at {sys.executable}")
    yield Finding(what="platform", state="good", found=f"{platform.system()} {platform.release()} {platform.machine()}")
    yield native_core()
    yield _libraries()
    yield page()
    config, finding = _config(file)
    yield finding
    running = data.locked()
    yield _data_folder(data, running=running)
    yield _port(config.gateway.host, config.gateway.port, running=running)
    yield _open_files()
    for name, pattern, least, advice in (
        ("rustc", r"rustc (\d+)\.(\d+)", (1, 88), "only needed to build the core; https://rustup.rs"),
        ("node", r"v(\d+)\.(\d+)", (20, 19), "only needed to build the page; https://nodejs.org"),
    ):
        yield build_tool(name, pattern, least, advice)


def native_core() -> Finding:
    """The Rust core: there, and of this version?"""
    advice = "install the wheel (pip install tickcast), or in a checkout: make setup"
    try:
        from tickcast import _native  # noqa: PLC0415  it may be missing, that is the question
    except ImportError as wrong:
        return Finding(what="native core", state="missing", found=str(wrong), advice=advice)
    version = _native.__version__
    built = getattr(_native, "__file__", None) or "built in"
    if version != __version__:
        found = f"version {version}, but tickcast is {__version__}: {built}"
        return Finding(what="native core", state="missing", found=found, advice=advice)
    lacking = [
        name for name in ("ItchDecoder", "JsonFeed", "Dedup", "Hub", "FrameReader") if not hasattr(_native, name)
    ]
    if lacking:
        found = f"{built} lacks {', '.join(lacking)}: it is older than the Python side"
        return Finding(what="native core", state="missing", found=found, advice=advice)
    return Finding(what="native core", state="good", found=f"{version} at {built}")


def _libraries() -> Finding:
    lacking, count = [], 0
    for wanted in importlib.metadata.requires("tickcast") or []:
        if "extra ==" in wanted:
            continue
        name = re.split(r"[^A-Za-z0-9._-]", wanted, maxsplit=1)[0]
        count += 1
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            lacking.append(name)
    if lacking:
        advice = f"{sys.executable} -m pip install {' '.join(lacking)}"
        return Finding(what="libraries", state="missing", found=f"not installed: {', '.join(lacking)}", advice=advice)
    return Finding(what="libraries", state="good", found=f"all {count} installed")


def page() -> Finding:
    """The page that the gateway serves: without it everything else works."""
    place = importlib.resources.files("tickcast.gateway") / "page" / "index.html"
    if place.is_file():
        return Finding(what="page", state="good", found=str(place))
    advice = "install the wheel, or build it in a checkout: make page (needs Node 20.19)"
    return Finding(what="page", state="warning", found="not built; stream and REST work without it", advice=advice)


def _config(file: Path | None) -> tuple[Config, Finding]:
    if file is None:
        return Config(), Finding(what="config", state="good", found=f"defaults (no --config, no {DEFAULT})")
    try:
        return load(file), Finding(what="config", state="good", found=str(file))
    except UsageError as wrong:
        return Config(), Finding(
            what="config", state="missing", found=str(wrong), advice="see: tickcast config reference"
        )


def _data_folder(data: DataDir, *, running: bool) -> Finding:
    existing = next(folder for folder in (data.root, *data.root.parents) if folder.exists())
    try:
        if data.root.exists():
            data.create()
        elif not _writable(existing):
            raise UsageError(f"{existing} cannot be written, so {data} cannot be created")
        free = shutil.disk_usage(existing).free
    except (UsageError, OSError) as wrong:
        return Finding(what="data folder", state="missing", found=str(wrong), advice="choose another with --data")
    found = f"{data}, {free / (1 << 30):,.1f} GiB free{', an instance runs in it' if running else ''}"
    if free < DISK_WANTED:
        return Finding(what="data folder", state="warning", found=found, advice="logs and stores want 1 GiB or more")
    return Finding(what="data folder", state="good", found=found)


def _writable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _port(host: str, port: int, *, running: bool) -> Finding:
    what = f"port {port}"
    if port == 0:
        return Finding(what="port", state="good", found="any free one (gateway.port = 0)")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as wrong:
            if running:
                return Finding(what=what, state="good", found=f"{host}: in use, perhaps by the running instance")
            advice = "set gateway.port to another (or --port), or end what listens there"
            return Finding(what=what, state="missing", found=f"{host}: {wrong.strerror}", advice=advice)
    return Finding(what=what, state="good", found=f"{host}: free")


def _open_files() -> Finding:
    """Whether there is room for clients: each takes a descriptor, and a gateway raises its limit to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = "any number" if hard == resource.RLIM_INFINITY else str(hard)
    found = f"{soft} (at most {most}, which each gateway process gives itself)"
    if hard != resource.RLIM_INFINITY and hard < FILES_WANTED:
        advice = f"each client takes one; for more than about {max(0, hard - 100)} clients a process: ulimit -Hn 65536"
        return Finding(what="open files", state="warning", found=found, advice=advice)
    return Finding(what="open files", state="good", found=found)


def build_tool(
    name: str, pattern: str, least: tuple[int, int], advice: str, which: Callable[[str], str | None] = shutil.which
) -> Finding:
    """A tool that only building needs: there, and new enough?"""
    wanted = ".".join(map(str, least))
    path = which(name)
    if path is None:
        return Finding(what=name, state="warning", found=f"not installed ({wanted} or newer builds)", advice=advice)
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as wrong:
        return Finding(what=name, state="warning", found=str(wrong), advice=advice)
    said = done.stdout.strip()
    version = re.search(pattern, said)
    if version is None or (int(version[1]), int(version[2])) < least:
        return Finding(what=name, state="warning", found=f"{said or path}: {wanted} or newer builds", advice=advice)
    return Finding(what=name, state="good", found=said)
