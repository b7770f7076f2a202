"""A changed config for a running instance: ``tickcast reload``, and SIGHUP to ``tickcast up``.

What may change while everything runs is told to the feeds that it concerns. The rest is refused, each key with what it
needs, and so is a file that cannot be read: then nothing is changed. A feed of which one thing cannot change keeps all
it has, so that it never runs with half of a config.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import click
import msgspec

from tickcast.cli.instance import data_option, json_option, print_json
from tickcast.config import Config
from tickcast.feeds.config import FeedConfig
from tickcast.model.errors import StateError
from tickcast.ops.control import ask
from tickcast.ops.datadir import DataDir
from tickcast.ops.feed_control import FeedControl
from tickcast.runtime.log import get_logger
from tickcast.venues.selection import ConfigTaken

log = get_logger("cli")

NAMED_MAX: Final = 8
"""Symbols that a line names."""


class Outcome(msgspec.Struct, kw_only=True):
    """What came of reading the config again."""

    changed: list[str] = []
    """What is another thing now, a line each."""
    refused: list[str] = []
    """What stays as it was, and what it needs, a line each."""


class Reloader:
    """Compares the config's file with what is in force, and carries out what can be."""

    def __init__(
        self,
        config: Config,
        data: DataDir,
        *,
        read: Callable[[], Config],
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``config`` is what the instance began with; ``read`` reads it again; ``tell`` gets each line said."""
        self._config = config
        self._control = FeedControl(data, tuple(config.feeds))
        self._read = read
        self._tell = tell

    async def __call__(self) -> Outcome:
        """Read the config again. What a feed has in force it knows itself: it may have been restarted since.

        Raises:
            UsageError: the file is wrong; nothing is changed.
        """
        new = self._read()
        outcome = Outcome()
        for name, feed in new.feeds.items():
            if name not in self._config.feeds:
                outcome.refused.append(
                    f"feeds.{name}: a new feed starts with the instance (tickcast stop, tickcast up)"
                )
            else:
                await self._take(name, feed, outcome)
        gone = [name for name in self._config.feeds if name not in new.feeds]
        outcome.refused += [f"feeds.{name}: is left out; to end it: tickcast stop {name}" for name in gone]
        outcome.refused += _others(self._config, new)
        self._say(outcome)
        return outcome

    async def _take(self, name: str, feed: FeedConfig, outcome: Outcome) -> None:
        """Tell a feed its table."""
        try:
            answer = await self._control.take_config(name, msgspec.to_builtins(feed))
        except StateError as wrong:
            outcome.refused.append(f"feeds.{name}: {wrong}; it reads the config when it starts")
            return
        found = msgspec.convert(answer, ConfigTaken)
        if found.refused:
            outcome.refused.append(
                f"feeds.{name}: {', '.join(found.refused)} cannot change while it runs, so nothing of it does; "
                f"to take it all: tickcast restart {name}"
            )
        elif found.taken:
            outcome.changed.append(f"feeds.{name}: {_in_words(feed, found)}")

    def _say(self, outcome: Outcome) -> None:
        log.info("config read again", changed=outcome.changed, refused=outcome.refused)
        for line in told(outcome):
            self._tell(line)


def told(outcome: Outcome) -> list[str]:
    """Return an outcome in lines."""
    lines = [f"changed  {line}" for line in outcome.changed] + [f"refused  {line}" for line in outcome.refused]
    return lines or ["the config says what is in force already; nothing is changed"]


def _others(before: Config, new: Config) -> list[str]:
    """What differs beside the feeds, by table and key."""
    found = []
    for table in before.__struct_fields__:
        old, now = getattr(before, table), getattr(new, table)
        if table == "feeds" or old == now:
            continue
        keys = [key for key in _keys(old) | _keys(now) if _value(old, key) != _value(now, key)]
        what = ", ".join(sorted(keys))
        found.append(f"{table}: {what}: the instance began with something else (tickcast stop, tickcast up)")
    return found


def _keys(table: Any) -> set[str]:
    return set(table.__struct_fields__) if isinstance(table, msgspec.Struct) else set(table)


def _value(table: Any, key: str) -> Any:
    return getattr(table, key) if isinstance(table, msgspec.Struct) else table.get(key)


def _in_words(feed: FeedConfig, found: ConfigTaken) -> str:
    words = [f"{key} is {getattr(feed, key):g}" for key in found.taken if key != "symbols"]
    if "symbols" in found.taken:
        both = (("added", found.symbols.added), ("dropped", found.symbols.dropped))
        changes = [f"{len(which)} {what} ({_some(which)})" for what, which in both if which]
        words += changes or ["symbols: the same instruments as before"]
        words.append(f"{found.symbols.streamed} are streamed")
        if found.symbols.missing:
            words.append(f"not in the venue's list: {_some(found.symbols.missing)}")
    return ", ".join(words)


def _some(symbols: Sequence[str]) -> str:
    more = f" and {len(symbols) - NAMED_MAX} more" if len(symbols) > NAMED_MAX else ""
    return ", ".join(symbols[:NAMED_MAX]) + more


@click.command()
@data_option
@json_option
def reload(*, data: DataDir, as_json: bool) -> None:
    """Have the running instance read its config again: says what changed, and what needs a restart.

    Exit status 1 if anything was refused, 2 if the file is wrong; then nothing is changed.
    """
    found = ask(data, {"do": "reload"})
    outcome = msgspec.convert(found, Outcome)
    if as_json:
        print_json(found)
    else:
        for line in told(outcome):
            click.echo(line)
    if outcome.refused:
        raise SystemExit(1)
