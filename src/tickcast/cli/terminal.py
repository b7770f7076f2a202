"""Tables for terminals: what does not fit is left out whole, rather than cut short."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

PIPE_WIDTH: Final = 10_000
"""Columns where nobody looks but a program."""
_GAP: Final = 2
_WORDS: Final = frozenset(("symbol", "state", "venue", "kind", "scope", "reason"))
"""Columns of words stand to the left, numbers to the right."""


def open_console() -> Console:
    """Return the console of standard output; what goes into a pipe or a file is not cut: every value is whole."""
    found = Console()
    return found if found.is_terminal else Console(width=PIPE_WIDTH)


def fitted(columns: Sequence[str], rows: Sequence[Mapping[str, str]], *, sacrifice: Sequence[str], width: int) -> Table:
    """Make a table of the columns that fit into ``width``; ``sacrifice`` names those to leave out, first to last."""
    widths = {name: max(len(name), *(Text.from_markup(row.get(name, "")).cell_len for row in rows)) for name in columns}
    for name in sacrifice:
        if sum(widths.values()) + _GAP * (len(widths) - 1) <= width:
            break
        widths.pop(name, None)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    for name in widths:
        table.add_column(name, justify="left" if name in _WORDS else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(row.get(name, "") for name in widths))
    return table


@contextlib.contextmanager
def live(console: Console, table: Callable[[], Table], *, per_second: float) -> Iterator[None]:
    """Show a table again and again; where nobody looks, once at the end, as whole lines."""
    try:
        with Live(get_renderable=table, console=console, refresh_per_second=per_second):
            yield
    finally:
        if not console.is_terminal:
            console.print()


def digits(value: Decimal | None, *, least: int = 0) -> str:
    """Digits for eyes: without the zeros that a venue fills up with, but at least so many decimals."""
    if value is None:
        return "-"
    whole, _, fraction = f"{value:f}".partition(".")
    fraction = fraction.rstrip("0").ljust(least, "0")
    return f"{whole}.{fraction}" if fraction else whole
