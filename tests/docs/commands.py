"""The reference of the command line, rendered from the commands themselves."""

import re
from collections.abc import Iterator
from typing import Final

import click

from tickcast.cli.main import cli

HEAD: Final = """# Command line

Every command and option. A command finds its instance by the data folder: `--data DIR`, else the environment variable
`TICKCAST_DATA`, else `./.tickcast` ([what is in it](data-folder.md)). `-h` and `--help` work everywhere.

| exit status | meaning |
| --- | --- |
| 0 | done; after an orderly stop too |
| 1 | it did not work: no instance there, the gateway does not answer, what `doctor` calls missing |
| 2 | a wrong option, argument or config; nothing was started. The text names the option or the file, line and key |
| 130 | ended with Ctrl-C at a point where nothing else is defined |

Texts go to stdout, complaints to stderr.

This page is made from the commands and checked by `tests/docs/test_reference.py`.
"""


def reference() -> str:
    """Markdown of ``docs/reference/cli.md``."""
    return HEAD + "".join(_section(path, command) for path, command in _walk(("tickcast",), cli) if path[1:])


def _walk(path: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path[-1])
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _walk((*path, name), inner)


def _section(path: tuple[str, ...], command: click.Command) -> str:
    context = click.Context(command, info_name=" ".join(path))
    about = " ".join((command.help or "").split())
    usage = " ".join(command.collect_usage_pieces(context))
    rows = [_row(option, context) for option in command.params if isinstance(option, click.Option)]
    table = ["| option | default | meaning |", "| --- | --- | --- |", *rows] if rows else []
    code = f"{' '.join(path)} {usage}".strip()
    lines = ["", f"{'#' * min(4, len(path))} `{' '.join(path)}`", "", about, "", f"`{code}`", ""]
    return "\n".join([*lines, *table, *([""] if table else [])])


def _row(option: click.Option, context: click.Context) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    kind = "" if option.is_flag else f" {option.make_metavar(context).strip('[]')}"
    default = option.to_info_dict()["default"]
    shown = f"`{default}`" if isinstance(default, str | int | float) and not isinstance(default, bool) else ""
    text = re.sub(r"\s+", " ", option.help or "").replace("|", "\\|")
    return f"| {names}{kind} | {shown} | {text} |"
