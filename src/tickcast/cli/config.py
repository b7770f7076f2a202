"""``tickcast config``: look at and check config files."""

import json
from pathlib import Path
from typing import Final

import click

from tickcast import config as settings
from tickcast.model.errors import UsageError

DEFAULT: Final = Path("tickcast.toml")


@click.group()
def config() -> None:
    """Check config files, and see what can be set."""


@config.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
def check(file: Path | None) -> None:
    """Read FILE (default tickcast.toml) and say what is wrong with it; exit status 2 if anything is."""
    if file is None:
        file = DEFAULT
        if not file.exists():
            raise UsageError(
                f"expected FILE or a {DEFAULT} in this folder, found neither; name the file that you give to"
                f" `tickcast up --config`, or begin one with `tickcast init`"
            )
    read = settings.load(file)
    click.echo(f"{file}: good ({len(read.feeds)} feeds, {len(read.securities)} declared securities)")


@config.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="JSON in place of TOML.")
def show(file: Path | None, *, as_json: bool) -> None:
    """Print what is in force with FILE (without it: the defaults), every key written out; passwords are hidden."""
    shown = settings.hide_secrets(settings.load(file) if file is not None else settings.Config())
    click.echo(settings.as_json(shown) if as_json else settings.as_toml(shown), nl=as_json)


@config.command()
def schema() -> None:
    """Print the JSON Schema of the config file."""
    click.echo(json.dumps(settings.schema(), indent=2))


@config.command()
def reference() -> None:
    """Print the reference of the config file, in Markdown."""
    click.echo(settings.reference(), nl=False)
