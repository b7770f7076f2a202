"""``tickcast config``: look at and check config files."""

import json
from pathlib import Path

import click

from tickcast import config as settings


@click.group()
def config() -> None:
    """Check config files, and see what can be set."""


@config.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("tickcast.toml"))
def check(file: Path) -> None:
    """Read FILE (default tickcast.toml) and say what is wrong with it; exit status 2 if anything is."""
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
