"""The ``tickcast`` command: commands are imported when they are used, so that ``--help`` stays quick."""

import importlib
import sys
from typing import Final

import click

COMMANDS: Final = {
    "demo": "tickcast.cli.up:demo",
    "init": "tickcast.cli.init:init",
    "up": "tickcast.cli.up:up",
    "run": "tickcast.cli.up:run",
    "sim": "tickcast.cli.sim:sim",
    "feed": "tickcast.cli.feed:feed",
    "venues": "tickcast.cli.venues:venues",
    "instruments": "tickcast.cli.instruments:instruments",
    "watch": "tickcast.cli.watch:watch",
    "get": "tickcast.cli.watch:get",
    "load": "tickcast.cli.load:load",
    "ps": "tickcast.cli.ops:ps",
    "logs": "tickcast.cli.ops:logs",
    "start": "tickcast.cli.ops:start",
    "stop": "tickcast.cli.ops:stop",
    "restart": "tickcast.cli.ops:restart",
    "symbols": "tickcast.cli.symbols:symbols",
    "keys": "tickcast.cli.keys:keys",
    "reload": "tickcast.cli.reload:reload",
    "upgrade": "tickcast.cli.ops:upgrade",
    "latency": "tickcast.cli.ops:latency",
    "gaps": "tickcast.cli.gaps:gaps",
    "complete": "tickcast.cli.gaps:complete",
    "decode": "tickcast.cli.decode:decode",
    "doctor": "tickcast.cli.doctor:doctor",
    "config": "tickcast.cli.config:config",
}


class LazyGroup(click.Group):
    """Knows the commands' names; imports a command only to run or describe it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of a user's day."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None if there is none of that name."""
        del ctx
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{target} is no command")
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tickcast", message="tickcast %(version)s")
def cli() -> None:
    """Exchange feeds in, every screen out: every hop measured and every loss counted."""


def main() -> None:
    """Entry point. Exit status: 0 done, 2 usage or config error, 1 the rest."""
    from tickcast.model.errors import TickcastError, UsageError  # noqa: PLC0415  keeps --help quick

    try:
        # click returns the status of its Exit in this mode in place of raising it; commands return nothing
        sys.exit(cli.main(standalone_mode=False))
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(wrong.exit_code)
    except click.Abort:
        sys.exit(130)
    except UsageError as wrong:
        click.echo(f"tickcast: {wrong}", err=True)
        sys.exit(2)
    except TickcastError as wrong:
        click.echo(f"tickcast: {wrong}", err=True)
        sys.exit(1)
