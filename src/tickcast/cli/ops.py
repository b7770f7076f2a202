"""Commands for a running instance: ``ps``, ``logs``, ``start``, ``stop``, ``restart``, ``latency``."""

import contextlib
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tickcast.cli.instance import data_option, fetch, json_option, print_json
from tickcast.cli.terminal import open_console
from tickcast.model.errors import StateError, UsageError
from tickcast.ops.control import ask
from tickcast.ops.datadir import DataDir
from tickcast.runtime.clock import now_ns

STYLES: Final = {"running": "green", "starting": "yellow", "waiting": "yellow", "backoff": "bold red", "failed": "red"}
_GAP: Final = 2
FOLLOW_S: Final = 0.2
WATCH_S: Final = 1.0
GONE_S: Final = 20.0


def pause(seconds: float) -> None:
    """Wait; Ctrl-C ends it."""
    threading.Event().wait(seconds)


# ------------------------------------------------------------------ ps


@click.command()
@data_option
@json_option
def ps(*, data: DataDir, as_json: bool) -> None:
    """List the processes of the instance: state, since when, restarts, messages a second."""
    rows = ask(data, {"do": "ps"})
    feeds: dict[str, dict[str, Any]] = {}
    with contextlib.suppress(StateError):  # without a gateway there are no rates
        feeds = {feed["name"]: feed for feed in fetch(data, "/feeds")["feeds"]}
        for row in rows:
            row["rate"] = feeds.get(row["name"], {}).get("rate")
    if as_json:
        print_json(rows)
        return
    console = open_console()
    console.print(process_table(rows, width=console.width))
    for name, feed in feeds.items():
        for line in feed.get("lines", ()):
            console.print(line_text(name, line))
    for row in rows:
        if row["last_error"] and row["state"] not in {"running", "stopped"}:
            console.print(Text(f"{row['name']}: {row['last_error']}", "red"))


def line_text(feed: str, line: Mapping[str, Any]) -> str:
    """Say how one of two lines of a feed does."""
    return (
        f"{feed} line {line['line']} ({line['link']}): {line['first']:,} first, by {line['lead_ms']:g} ms (median), "
        f"{line['late']:,} late, {line['missing']:,} missing"
    )


_LEFT_OUT: Final = ("ROLE", "RESTARTS", "VENUE", "FOR")
"""Columns that a narrow terminal goes without, first to last: a process id or a name that is cut short is of no use."""


def process_table(rows: Sequence[Mapping[str, Any]], *, width: int) -> Table:
    """Make the table of ``ps`` for a terminal of ``width`` columns."""
    lines = [_process_cells(row) for row in rows]
    widths = {name: max(len(name), *(len(str(line[name])) for line in lines)) for name in lines[0]} if lines else {}
    for name in _LEFT_OUT:
        if sum(widths.values()) + _GAP * (len(widths) - 1) <= width:
            break
        widths.pop(name, None)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for name, least in widths.items():
        right = name in {"PID", "FOR", "RESTARTS", "RATE/S"}
        table.add_column(name, justify="right" if right else "left", no_wrap=True, min_width=least)
    for line in lines:
        table.add_row(*(line[name] for name in widths))
    return table


def _process_cells(row: Mapping[str, Any]) -> dict[str, str | Text]:
    return {
        "NAME": row["name"],
        "ROLE": row["role"],
        "VENUE": row["venue"] or "",
        "PID": str(row["pid"] or ""),
        "STATE": Text(row["state"], STYLES.get(row["state"], "")),
        "FOR": age(row["since"], now_ns()),
        "RESTARTS": str(row["restarts"]),
        "RATE/S": "" if row.get("rate") is None else f"{row['rate']:,.0f}",
    }


def age(since: str, now: int) -> str:
    """How long ago an RFC 3339 time was at ``now`` (ns since 1970), in one unit."""
    seconds = max(0, int(now / 1e9 - datetime.fromisoformat(since).timestamp()))
    for unit, size, most in (("s", 1, 60), ("min", 60, 120), ("h", 3600, 48)):
        if seconds < size * most:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86_400} d"


# ------------------------------------------------------------------ logs


@click.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on, until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(0), default=50, show_default=True, help="Lines from the end.")
@data_option
def logs(*, name: str, follow: bool, lines: int, data: DataDir) -> None:
    """Show the log of a process (NAME as in ps; supervisor for the supervisor's). Works for an ended instance too."""
    path = data.log(name)
    if not path.is_file():
        _require_known(data, name)
        click.echo("nothing logged yet", err=True)
    for line in last_lines(path, lines):
        click.echo(line, nl=False)
    if follow:
        with contextlib.suppress(KeyboardInterrupt):
            for text in follow_file(path):
                click.echo(text, nl=False)


def _require_known(data: DataDir, name: str) -> None:
    """Refuse a name that is no process of the running instance and has no log."""
    known = {found.stem for found in data.logs.glob("*.log")}
    if not known:
        data.instance()
    with contextlib.suppress(StateError):  # of an ended instance only the logs are known
        known |= {row["name"] for row in ask(data, {"do": "ps"})}
    if name not in known:
        raise UsageError(f"there is no log of {name!r} in {data}; there are: {', '.join(sorted(known)) or 'none yet'}")


def last_lines(path: Path, count: int) -> list[str]:
    """Last lines of a log, those of the file put aside before it included."""
    found: deque[str] = deque(maxlen=count)
    for part in (path.with_name(f"{path.name}.1"), path):
        if part.is_file():
            with part.open(encoding="utf-8", errors="replace") as file:
                found.extend(file)
    return list(found)


def follow_file(path: Path) -> Iterator[str]:
    """What is appended from now on; goes over to the new file when the log is put aside.

    Of a log that is not there yet, everything.
    """
    is_new = not path.is_file()
    while not path.is_file():
        pause(FOLLOW_S)
    file = path.open(encoding="utf-8", errors="replace")
    if not is_new:
        file.seek(0, 2)
    try:
        while True:
            text = file.read()
            if text:
                yield text
                continue
            with contextlib.suppress(OSError):
                if path.stat().st_ino != Path(f"/dev/fd/{file.fileno()}").stat().st_ino:
                    rest = file.read()
                    file.close()
                    file = path.open(encoding="utf-8", errors="replace")
                    yield rest
                    continue
            pause(FOLLOW_S)
    finally:
        file.close()


# ------------------------------------------------------------------ start, stop, restart


@click.command()
@click.argument("name")
@data_option
def start(*, name: str, data: DataDir) -> None:
    """Start a process that was stopped, or that waits after a crash."""
    ask(data, {"do": "start", "name": name})
    click.echo(f"{name}: starting")


@click.command()
@click.argument("name")
@data_option
def restart(*, name: str, data: DataDir) -> None:
    """End a process and start it anew; the others do not notice."""
    ask(data, {"do": "restart", "name": name})
    click.echo(f"{name}: restarting")


ROLES: Final = ("feed", "core", "gateway")
"""What ``upgrade`` replaces, in this order."""
REPLACE_S: Final = 120.0


@click.command()
@click.argument("names", nargs=-1)
@data_option
def upgrade(*, names: tuple[str, ...], data: DataDir) -> None:
    """Replace the processes of the instance by new ones, of the code that is installed now: NAMES, or all.

    One after another: the feeds, the core, the gateway workers. What can be is replaced without a gap: the new process
    is live before the old one ends. The supervisor itself stays.
    """
    rows = {row["name"]: row for row in ask(data, {"do": "ps"})}
    if unknown := [name for name in names if name not in rows or rows[name]["role"] not in ROLES]:
        known = ", ".join(name for name, row in rows.items() if row["role"] in ROLES)
        raise UsageError(f"expected names of processes that can be replaced ({known}), found {', '.join(unknown)}")
    chosen = [row for row in rows.values() if (not names or row["name"] in names) and row["state"] == "running"]
    failures = []
    for row in sorted((row for row in chosen if row["role"] in ROLES), key=lambda row: ROLES.index(row["role"])):
        try:
            done = ask(data, {"do": "replace", "name": row["name"]}, timeout_s=REPLACE_S)
        except StateError as wrong:
            failures.append(str(wrong))
            click.echo(f"{row['name']}: {wrong}", err=True)
            continue
        how = "took over" if done["seamless"] else "was restarted"
        click.echo(f"{row['name']}: process {done['pid'] or '(starting)'} {how}")
    if failures:
        raise StateError(f"{len(failures)} of {len(chosen)} processes were not replaced, and run on as they were")


@click.command()
@click.argument("name", required=False)
@data_option
def stop(*, name: str | None, data: DataDir) -> None:
    """Stop the process NAME, or without NAME the whole instance; returns when it is gone."""
    answer = ask(data, {"do": "stop", "name": name})
    if name is not None:
        click.echo(f"{name}: stopped")
        return
    waited = 0.0
    while data.locked():
        if waited > GONE_S:
            raise StateError(f"the instance in {data} (process {answer['pid']}) still runs after {GONE_S:.0f} s")
        pause(FOLLOW_S)
        waited += FOLLOW_S
    click.echo("stopped")


# ------------------------------------------------------------------ latency


@click.command()
@click.option("--watch", is_flag=True, help="Show it anew every second, until Ctrl-C.")
@data_option
@json_option
def latency(*, watch: bool, data: DataDir, as_json: bool) -> None:
    """Show p50, p95 and p99 of each hop against its budget; what exceeds it is marked."""
    if as_json:
        print_json(fetch(data, "/latency"))
        return
    console = open_console()
    if not watch:
        console.print(latency_table(fetch(data, "/latency")))
        clocks = clock_table(fetch(data, "/feeds")["feeds"])
        if clocks is not None:
            console.print()
            console.print(clocks)
        return
    with contextlib.suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(latency_table(fetch(data, "/latency")), refresh=True)
            pause(WATCH_S)


def latency_table(found: dict[str, Any]) -> Table:
    """One row a hop; a value over its budget is red and carries a ``!``."""
    table = Table(box=None, pad_edge=False, caption=f"ms, last {found['window_s']:g} s; ! = over budget")
    for heading in ("HOP", "COUNT", "P50", "P95", "P99", "BUDGET", ""):
        table.add_column(heading, justify="left" if heading in {"HOP", ""} else "right", no_wrap=True)
    for hop in found["hops"]:
        values = []
        for key, limit in zip(("p50_ms", "p95_ms", "p99_ms"), hop["budget_ms"], strict=True):
            value = hop[key]
            over = value is not None and value > limit
            values.append(
                Text("-" if value is None else f"{value:.3f}{'!' if over else ' '}", "bold red" if over else "")
            )
        budget = " / ".join(f"{limit:g}" for limit in hop["budget_ms"])
        verdict = (
            Text("-", "dim") if not hop["count"] else Text("ok", "green") if hop["ok"] else Text("over", "bold red")
        )
        table.add_row(hop["hop"], f"{hop['count']:,}", *values, budget, verdict)
    errors = [hop["uncertainty_ms"] for hop in found["hops"] if hop.get("uncertainty_ms") is not None]
    if errors:
        table.caption = f"{table.caption}; hops from the exchange: ± {max(errors):.3g} (clocks)"
    return table


def clock_table(feeds: Sequence[Mapping[str, Any]]) -> Table | None:
    """One row a feed: how far its venue's clock is ahead of ours, and how well that is known; None: no feed knows."""
    known = [(feed, feed["clock"]) for feed in feeds if feed.get("clock")]
    if not known:
        return None
    table = Table(box=None, pad_edge=False, caption="ms; the venue's clock ahead of ours")
    for heading in ("FEED", "VENUE", "OFFSET", "UNCERTAINTY", "CORRECTED BY", "ROUND TRIPS", "SET"):
        table.add_column(heading, justify="left" if heading in {"FEED", "VENUE"} else "right", no_wrap=True)
    for feed, clock in known:
        bound = clock["uncertainty_ms"]
        table.add_row(
            feed["name"],
            feed["venue"],
            f"{clock['offset_ms']:+.3f}" if bound is not None else f"≥ {clock['offset_ms']:+.3f}",
            "?" if bound is None else f"± {bound:.3f}",
            f"{clock['certain_ms']:+.3f}",
            f"{clock['round_trips']}",
            f"{clock['steps']}",
        )
    return table
