"""``tickcast keys``: API keys of the clients of an instance. A running instance follows at once."""

import re
from typing import Any, Final

import click
from rich.table import Table

from tickcast.cli.instance import data_option, json_option, print_json
from tickcast.cli.terminal import open_console
from tickcast.gateway.auth.access import CHANNELS, scope_of
from tickcast.gateway.auth.keys import KeyEntry, KeyFile
from tickcast.gateway.timestamps import timestamp
from tickcast.model.errors import UsageError
from tickcast.ops.datadir import DataDir
from tickcast.runtime.clock import now_ns

_UNITS_S: Final = {"m": 60, "h": 3_600, "d": 86_400}
_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})([mhd])")


@click.group()
def keys() -> None:
    """Make, list and withdraw the API keys of clients; a running instance follows at once."""


@keys.command()
@click.argument("name")
@click.option(
    "--symbols", default="", help="Patterns with commas between: '*', 'XNAS:*,AAPL'. Without it nothing is seen."
)
@click.option("--channels", default=",".join(CHANNELS), show_default=True, help="With commas between.")
@click.option(
    "--depth", type=click.Choice(["5", "10", "50"]), default="50", show_default=True, help="Most book levels."
)
@click.option(
    "--rate",
    type=click.Choice(["0", "1", "2", "5", "10", "20"]),
    default="0",
    show_default=True,
    help="Most updates a second of each symbol; 0: no limit.",
)
@click.option(
    "--connections", type=click.IntRange(0), default=0, help="Most streams at a time; 0: the config's number."
)
@click.option("--delayed", is_flag=True, help="Everything late, by gateway.auth.delay_s.")
@click.option("--admin", is_flag=True, help="May change the running instance over REST.")
@click.option("--expires", default="", metavar="TIME", help="Ends after so long: 90d, 12h, 30m. Without it never.")
@data_option
@json_option
def add(*, name: str, data: DataDir, as_json: bool, **asked: Any) -> None:
    """Make a key for the user NAME and print it, once: only a hash of it is kept."""
    expires = asked.pop("expires")
    scope = _scope(**asked)
    made_ns = now_ns()
    data.create()
    until_ns = made_ns + _seconds(expires) * 10**9 if expires else 0
    key, entry = _file(data).add(name, scope, now_ns=made_ns, until_ns=until_ns)
    if as_json:
        print_json({"key": key} | _row(entry))
        return
    click.echo(key)
    where = "" if data.locked() else f" It lies in {data}, where no instance runs now: is --data right?"
    click.echo(
        f"key {entry.id} of {name}; it is not shown again. Withdraw it: tickcast keys revoke {entry.id}.{where}",
        err=True,
    )


@keys.command("list")
@data_option
@json_option
def list_(*, data: DataDir, as_json: bool) -> None:
    """Show all keys, withdrawn ones too, and what each may see."""
    rows = [_row(entry) for entry in _file(data).entries()]
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("ID", "NAME", "STATE", "SYMBOLS", "CHANNELS", "LIMITS", "CREATED", "UNTIL"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            row["id"], row["name"], row["state"], " ".join(row["symbols"]) or "none",
            "all" if set(row["channels"]) == set(CHANNELS) else " ".join(row["channels"]), _limits(row),
            row["created"], row["until"] or "",
        )  # fmt: skip
    open_console().print(table)


@keys.command()
@click.argument("which", metavar="ID|NAME")
@data_option
def revoke(*, which: str, data: DataDir) -> None:
    """Withdraw the key with an ID, or all keys of a NAME; connections that rest on it are closed."""
    gone = _file(data).revoke(which, now_ns=now_ns())
    for entry in gone:
        click.echo(f"key {entry.id} of {entry.name} is withdrawn")
    if not gone:
        click.echo(f"nothing is changed: {which} was withdrawn before")


def _file(data: DataDir) -> KeyFile:
    return KeyFile(data.root / "auth")


def _scope(**asked: Any) -> Any:
    lists = {
        name: [part.strip() for part in asked.pop(name).split(",") if part.strip()] for name in ("symbols", "channels")
    }
    numbers = {name: int(asked.pop(name)) for name in ("depth", "rate")}
    try:
        return scope_of(lists | numbers | asked)
    except ValueError as wrong:
        raise UsageError(f"the key is not made: {wrong}") from None


def _seconds(text: str) -> int:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise UsageError(f"--expires: expected a number with m, h or d, such as 90d, found {text[:40]!r}")
    return int(found[1]) * _UNITS_S[found[2]]


def _row(entry: KeyEntry) -> dict[str, Any]:
    scope, now = entry.scope, now_ns()
    return {
        "id": entry.id,
        "name": entry.name,
        "state": "revoked" if entry.revoked_ns else "valid" if entry.is_valid(now) else "expired",
        "symbols": list(scope.symbols),
        "channels": list(scope.channels),
        "depth": scope.depth,
        "rate": scope.rate,
        "connections": scope.connections,
        "delayed": scope.delayed,
        "admin": scope.admin,
        "created": timestamp(entry.created_ns),
        "until": timestamp(entry.until_ns) if entry.until_ns else None,
        "revoked": timestamp(entry.revoked_ns) if entry.revoked_ns else None,
    }


def _limits(row: dict[str, Any]) -> str:
    words = [f"depth {row['depth']}"] if row["depth"] != 50 else []
    words += [f"{row['rate']} a second"] if row["rate"] else []
    words += [f"{row['connections']} streams"] if row["connections"] else []
    words += [word for word in ("delayed", "admin") if row[word]]
    return ", ".join(words) or "none"
