"""``tickcast sim fault``: faults on demand in simulated exchanges that run."""

import asyncio
import math
from typing import Any, Final

import click
import msgspec
from rich.table import Table

from tickcast.cli.instance import data_option, json_option, print_json
from tickcast.cli.terminal import open_console
from tickcast.model.errors import StateError, UsageError
from tickcast.model.fault import Fault
from tickcast.ops.datadir import DataDir

CLEAR: Final = "clear"


@click.command()
@click.argument("venue", required=False)
@click.argument("verb", required=False)
@click.option("--list", "listing", is_flag=True, help="What each venue can do, what is armed, how often each fired.")
@click.option("--count", type=click.IntRange(1), help="Ends after this many packets, frames, answers or logins.")
@click.option("--for-s", type=float, help="Ends after this many seconds.")
@click.option("--every", type=click.IntRange(1), help="One in this many, at random.")
@click.option("--line", help="Only on this line of the venue, such as A or rest.")
@click.option("--delay-ms", type=float, help="Of delay: how late. Of throttle: Retry-After.")
@click.option("--offset-s", type=float, help="Of clock: how far ahead; negative = behind. Default 3600.")
@click.option("--admin", help="Control endpoint of the exchanges; default: that of the demo in the data folder.")
@data_option
@json_option
def fault(
    *,
    venue: str | None,
    verb: str | None,
    listing: bool,
    admin: str | None,
    data: DataDir,
    as_json: bool,
    **given: Any,
) -> None:
    """Let a simulated exchange make faults: VERB at VENUE, such as drop or stall; `clear` ends them all.

    Without VERB: what the venue can do and what is armed.
    """
    parameters = {name: value for name, value in given.items() if value is not None}
    if venue is None and not listing:
        raise UsageError("expected VENUE and a verb, or --list, found neither; nothing armed")
    if listing and verb is not None:
        raise UsageError(f"expected --list or a verb, found --list and {verb}; nothing armed")
    if parameters and verb in {None, CLEAR}:
        raise UsageError(f"expected a verb for {', '.join(parameters)}, found {verb or 'none'}; nothing armed")
    for name, value in parameters.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"--{name.replace('_', '-')}: expected a number, found {value}; nothing armed")
    if verb is None:
        _show(asyncio.run(_ask(admin, data, "GET", "/faults")), venue, as_json=as_json)
    elif verb == CLEAR:
        _said(venue, asyncio.run(_ask(admin, data, "DELETE", f"/faults/{venue}")), as_json=as_json)
    else:
        try:
            wanted = msgspec.convert({"fault": verb, **parameters}, Fault)
        except msgspec.ValidationError as wrong:
            raise UsageError(f"{wrong}; nothing armed") from wrong
        state = asyncio.run(_ask(admin, data, "POST", f"/faults/{venue}", wanted))
        done = all(one["fault"] != verb for one in state["armed"])  # such as disconnect, which happens at once
        _said(venue, state, as_json=as_json, done=verb if done else "")


async def _endpoint(data: DataDir) -> str:
    from tickcast.ops.exchanges import NONE, ExchangeControl  # noqa: PLC0415  keeps --help quick

    found = await ExchangeControl(data).endpoint()
    if found is None:
        raise StateError(
            f"{NONE}: none runs in {data} with simulated ones; name the data folder of a demo with --data, or the "
            "address of the ready line's admin with --admin"
        )
    return found


async def _ask(admin: str | None, data: DataDir, method: str, path: str, fault: Fault | None = None) -> Any:
    from tickcast.ops.exchanges import ask_exchanges  # noqa: PLC0415  keeps --help quick

    return await ask_exchanges(admin or await _endpoint(data), method, path, fault)


def _said(venue: str | None, state: Any, *, as_json: bool, done: str = "") -> None:
    if as_json:
        print_json(state)
        return
    armed = _armed(state)
    happened = f"{done}: done" + (f"; still armed: {armed}" if armed else "")
    click.echo(f"{venue}: {happened if done else armed or 'nothing armed'}")


def _armed(state: Any) -> str:
    shown = []
    for one in state["armed"]:
        left = [f"{one['left']} left"] if one["left"] is not None else []
        left += [f"{one['left_s']:g} s left"] if one["left_s"] is not None else []
        line = f" on {one['line']}" if "line" in one else ""
        shown.append(f"{one['fault']}{line} ({', '.join(left) or 'until cleared'})")
    return ", ".join(shown)


def _show(found: Any, venue: str | None, *, as_json: bool) -> None:
    venues = found["venues"]
    if venue is not None:
        if venue not in venues:
            raise UsageError(f"expected a venue of {', '.join(venues) or 'none'}, found {venue}")
        venues = {venue: venues[venue]}
    if as_json:
        print_json({**found, "venues": venues})
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("VENUE", "VERB", "FIRED", "PARAMETERS", "WHAT HAPPENS"):
        table.add_column(heading, justify="right" if heading == "FIRED" else "left")
    for name, state in venues.items():
        for verb, meaning in state["supports"].items():
            options = ", ".join(found["verbs"][verb]["parameters"])
            table.add_row(name, verb, str(state["fired"][verb]), options, meaning)
    console = open_console()
    console.print(table)
    for name, state in venues.items():
        lines = f"; lines {', '.join(state['lines'])}" if state["lines"] else ""
        click.echo(f"{name}: {_armed(state) or 'nothing armed'}{lines}")
