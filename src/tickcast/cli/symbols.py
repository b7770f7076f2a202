"""``tickcast symbols``: what a running feed streams, added to and taken from while it runs."""

from collections.abc import Mapping
from typing import Any, Final

import click
import msgspec
from rich.console import Console
from rich.table import Table

from tickcast.cli.instance import data_option, json_option, print_json
from tickcast.cli.terminal import open_console
from tickcast.model.errors import UsageError
from tickcast.ops.control import ask, ask_at, feed_socket
from tickcast.ops.datadir import DataDir
from tickcast.venues.selection import Changed, SymbolList

NAMED_MAX: Final = 20


@click.group()
def symbols() -> None:
    """Add and drop symbols of a running feed; nothing else of it is touched."""


@symbols.command("list")
@click.argument("feed", required=False)
@data_option
@json_option
def list_(*, feed: str | None, data: DataDir, as_json: bool) -> None:
    """Show what FEED (else each) streams, and why: the config, an operator, or somebody who watches it."""
    names = [feed] if feed is not None else _feeds(data)
    found = [_ask(data, name, {"do": "list"}) for name in names] if feed is not None else _each(data, names)
    if as_json:
        print_json(found[0] if feed is not None else found)
        return
    for one in found:
        _show(msgspec.convert(one, SymbolList), open_console())


@symbols.command()
@click.argument("feed")
@click.argument("names", metavar="SYMBOL...", nargs=-1, required=True)
@data_option
@json_option
def add(*, feed: str, names: tuple[str, ...], data: DataDir, as_json: bool) -> None:
    """Stream SYMBOL (or all that fit a pattern, 'BTC-USD-*-C') from now on: all of them, or none."""
    _change(data, feed, {"do": "change", "add": names}, as_json=as_json)


@symbols.command()
@click.argument("feed")
@click.argument("names", metavar="SYMBOL...", nargs=-1, required=True)
@data_option
@json_option
def drop(*, feed: str, names: tuple[str, ...], data: DataDir, as_json: bool) -> None:
    """Stream SYMBOL no more: all of them, or none."""
    _change(data, feed, {"do": "change", "drop": names}, as_json=as_json)


def _change(data: DataDir, feed: str, request: Mapping[str, Any], *, as_json: bool) -> None:
    answer = _ask(data, feed, request)
    if as_json:
        print_json(answer)
        return
    changed = msgspec.convert(answer, Changed)
    for word, which in (("added", changed.added), ("dropped", changed.dropped)):
        if which:
            more = f" and {len(which) - NAMED_MAX} more" if len(which) > NAMED_MAX else ""
            click.echo(f"{feed}: {word} {', '.join(which[:NAMED_MAX])}{more}")
    if not changed.added and not changed.dropped:
        click.echo(f"{feed}: nothing is changed, it was so already")
    click.echo(f"{feed}: {changed.streamed} instruments are streamed")


def _feeds(data: DataDir) -> list[str]:
    return [str(row["name"]) for row in ask(data, {"do": "ps"}) if row["role"] == "feed"]


def _each(data: DataDir, names: list[str]) -> list[Any]:
    """Of all feeds those that choose."""
    found = []
    for name in names:
        try:
            found.append(_ask(data, name, {"do": "list"}))
        except UsageError as wrong:
            click.echo(f"{name}: {wrong}", err=True)
    return found


def _ask(data: DataDir, feed: str, request: Mapping[str, Any]) -> Any:
    path = feed_socket(data, feed)
    if not path.exists():
        names = _feeds(data)
        if feed not in names:
            raise UsageError(f"there is no feed {feed!r} in {data}; there are: {', '.join(names) or 'none'}")
    return ask_at(path, request, who=f"the feed {feed}")


def _show(found: SymbolList, console: Console) -> None:
    caption = f"{len(found.symbols)} of {found.listed} instruments of {found.venue} are streamed"
    if found.on_demand:
        caption += f", {found.on_demand_count} of them on demand (at most {found.on_demand_max})"
    if found.waiting:
        caption += f"; {len(found.waiting)} more are asked for"
    if found.changes:
        caption += f"; changed since the config: {' '.join(found.changes[:NAMED_MAX])}"
    table = Table(box=None, pad_edge=False, title=found.feed, title_justify="left", caption=caption)
    for heading in ("SYMBOL", "STATE", "BY"):
        table.add_column(heading, no_wrap=True)
    table.add_column("WATCHERS", justify="right")
    for row in found.symbols:
        table.add_row(row.symbol, row.state, row.by, str(row.watchers or ""))
    console.print(table)
