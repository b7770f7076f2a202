"""``tickcast gaps`` and ``tickcast complete``: the ledger in the terminal, through REST only."""

import re
from datetime import datetime
from typing import Any, Final, get_args
from urllib.parse import urlencode

import click
from rich.table import Table
from rich.text import Text

from tickcast.cli.instance import data_option, fetch, json_option, print_json
from tickcast.cli.terminal import open_console
from tickcast.model.errors import StateError, UsageError
from tickcast.model.ledger import IncidentKind
from tickcast.ops.datadir import DataDir

MOMENT: Final = re.compile(r"\d{1,9}[smhd]|\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
PAGE: Final = 1_000
STYLES: Final = {"complete": "green", "incomplete": "bold red", "unknown": "yellow"}
UNITS: Final = (("ms", 1.0, 1_000.0), ("s", 1e3, 120e3), ("min", 60e3, 7_200e3), ("h", 3_600e3, 172_800e3))


class Moment(click.ParamType[str]):
    """A time in RFC 3339, or how long ago: ``30s``, ``15m``, ``1h``, ``2d``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check it; the gateway reads it."""
        if not MOMENT.fullmatch(str(value)):
            self.fail(f"expected how long ago (30s, 15m, 1h, 2d) or 2026-03-29T14:30:00Z, found {value!r}", param, ctx)
        return str(value)


@click.command()
@click.option("--since", type=Moment(), default="1h", show_default=True, help="Entries open then, or begun later.")
@click.option("--until", type=Moment(), help="Entries begun before.")
@click.option("--venue", help="One venue's, such as XNAS.")
@click.option("--feed", help="One feed's.")
@click.option("--symbol", help="Of a symbol: XNAS:AAPL, or AAPL over its venues.")
@click.option("--kind", type=click.Choice(get_args(IncidentKind)), help="One kind of entry.")
@click.option("--open", "is_open", is_flag=True, help="Only what has not ended.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Most entries shown.")
@data_option
@json_option
def gaps(*, limit: int, is_open: bool, data: DataDir, as_json: bool, **filters: str | None) -> None:
    """List what made data less than whole, newest first: gaps, repairs, reconnects, halts, outages."""
    wanted = {name: value for name, value in filters.items() if value} | ({"open": "true"} if is_open else {})
    cursor = ""
    found: list[dict[str, Any]] = []
    while len(found) < limit:
        page = wanted | {"limit": str(min(limit - len(found), PAGE))} | ({"cursor": cursor} if cursor else {})
        answer = fetch(data, f"/gaps?{urlencode(page)}")
        found += answer["gaps"]
        cursor = answer["next"] or ""
        if not cursor:
            break
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("nothing entered in that time")
        return
    open_console().print(gap_table(found))
    if cursor:
        click.echo(f"the newest {limit}; more with --limit")


@click.command()
@click.argument("symbol")
@click.option("--from", "begin", type=Moment(), default="1h", show_default=True, help="Begin of the time.")
@click.option("--to", "end", type=Moment(), help="Its end; without it now.")
@data_option
@json_option
def complete(*, symbol: str, begin: str, end: str | None, data: DataDir, as_json: bool) -> None:
    """Say whether the data of SYMBOL was complete over a time, and what was missing."""
    wanted = {"symbol": symbol, "from": begin} | ({"to": end} if end else {})
    try:
        found = fetch(data, f"/completeness?{urlencode(wanted)}")
    except StateError as wrong:
        if " 404 " in str(wrong):
            raise UsageError(f"nothing was ever told of a symbol {symbol}") from wrong
        if " 422 " in str(wrong):
            raise UsageError("--from: expected a time before --to and before now") from wrong
        raise
    if as_json:
        print_json(found)
        return
    shown = open_console()
    answer = Text(found["answer"], STYLES[found["answer"]])
    shown.print(Text.assemble(f"{found['symbol']}: ", answer, f" from {clock(found['from'])} to {clock(found['to'])}"))
    shown.print(leg_table(found["legs"]))
    entries = {entry["id"]: entry for leg in found["legs"] for entry in leg["entries"]}
    if entries:
        shown.print(gap_table(sorted(entries.values(), key=lambda entry: str(entry["began"]), reverse=True)))


def gap_table(found: list[dict[str, Any]]) -> Table:
    """One row an entry; open ones are marked."""
    table = Table(box=None, pad_edge=False)
    for heading in ("BEGAN", "LASTED", "VENUE", "KIND", "SCOPE", "WHAT", "LOST", "REPAIRED BY"):
        right = heading in {"LASTED", "LOST"}
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for entry in found:
        ended = entry["ended"] is not None
        lasted = Text(duration(entry["duration_ms"]) if ended else f"open, {duration(entry['duration_ms'])}")
        table.add_row(
            clock(entry["began"]),
            lasted,
            entry["venue"],
            entry["kind"],
            concerned(entry),
            entry["reason"],
            f"{entry['lost']:,}" if entry["lost"] else "",
            entry["repaired_by"],
            style="" if ended else "bold red",
        )
    return table


def leg_table(legs: list[dict[str, Any]]) -> Table:
    """One row a leg: its answer, and how long each state lasted."""
    table = Table(box=None, pad_edge=False)
    for heading in ("INSTRUMENT", "ANSWER", "SHARE", "LOST", "STATES"):
        table.add_column(heading, justify="right" if heading in {"SHARE", "LOST"} else "left", overflow="fold")
    for leg in legs:
        states = ", ".join(f"{name} {duration(span)}" for name, span in leg["states_ms"].items())
        answer = Text(leg["answer"], STYLES[leg["answer"]])
        table.add_row(leg["symbol"], answer, f"{leg['share']:.4%}", f"{leg['lost']:,}" if leg["lost"] else "", states)
    return table


def concerned(entry: dict[str, Any]) -> str:
    """What an entry concerns: the instrument, or how many of which scope."""
    names, count = entry["instruments"], entry["instruments_count"]
    if count == 1 and names:
        return str(names[0])
    where = entry["link"] or entry["scope"]
    return f"{where}: {count:,} instruments" if count else str(where)


def duration(milliseconds: float) -> str:
    """A time in one unit."""
    for unit, size, most in UNITS:
        if milliseconds < most:
            return f"{milliseconds / size:.3g} {unit}"
    return f"{milliseconds / 86_400e3:.3g} d"


def clock(text: str) -> str:
    """A time of the gateway as people read it, UTC, to the millisecond."""
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S.%f}"[:-3]
