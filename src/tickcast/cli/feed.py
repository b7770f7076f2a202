"""``tickcast feed``: straight from the venues to the terminal, without a server."""

import asyncio
import tomllib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.table import Table

from tickcast.cli.terminal import digits, fitted, live, open_console
from tickcast.direct import Gap, Measure, Quote, Status, Tick, Trade
from tickcast.direct import feed as connect
from tickcast.direct.connect import plan
from tickcast.model.errors import UsageError
from tickcast.runtime import log
from tickcast.runtime.clock import now_ns

REFRESH_PER_SECOND = 8
_STYLES = {"live": "green", "gap": "red", "repairing": "yellow", "stale": "yellow", "unverified": "yellow"}
_AT_ONCE = ("mark", "funding", "open_interest", "iv")
"""Measures with a column of their own, where an instrument has them."""
_SACRIFICE = ("trades", "age", "bid size", "ask size", "gaps")


@click.command()
@click.argument("symbols", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for everything that the venues say.")
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many ticks.")
@click.option(
    "--depth", type=click.IntRange(min=0, max=1000), default=0, help="Levels a side of book changes (--json)."
)
@click.option("--config", "path", type=click.Path(path_type=Path), help="TOML file whose [feeds.NAME] tables hold.")
@click.option("--set", "pairs", multiple=True, metavar="VENUE.KEY=VALUE", help="A setting: BINANCE.url=ws://...")
def feed(
    *, symbols: tuple[str, ...], as_json: bool, count: int | None, depth: int, path: Path | None, pairs: tuple[str, ...]
) -> None:
    """Connect to the venues of SYMBOLS (BINANCE:BTC-USDT ...) and show trades, best bid and offer, and states."""
    settings = _tables(path) if path is not None else {}
    for pair in pairs:
        venue, key, value = _setting(pair)
        settings.setdefault(venue, {})[key] = value
    names = tuple(dict.fromkeys(symbols))
    for name in names if depth else ():
        settings.setdefault(name.partition(":")[0], {})["depth"] = depth
    plan(names, settings)
    log.configure(level="WARNING", log_format="auto", process="feed")
    ticks = connect(*names, settings=settings)
    try:
        asyncio.run(_print(ticks, count) if as_json else _show(ticks, names, count))
    except KeyboardInterrupt:
        return


def _tables(path: Path) -> dict[str, dict[str, Any]]:
    """Read the tables of an instance's feeds by venue; the symbols are those of the command."""
    from tickcast import config  # noqa: PLC0415  keeps the common case quick

    feeds = config.load(path).feeds.values()
    return {
        each.venue: {key: value for key, value in msgspec.to_builtins(each).items() if value is not None}
        for each in feeds
    }


def parse_setting(pair: str) -> tuple[str, Any]:
    """Read ``KEY=VALUE``: a TOML value, or else the text itself.

    Raises:
        UsageError: it is no such pair.
    """
    key, equals, value = pair.partition("=")
    if not (equals and key):
        raise UsageError(f"--set: expected KEY=VALUE, such as rest_url=http://127.0.0.1:9001, found {pair!r}")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def _setting(pair: str) -> tuple[str, str, Any]:
    venue, dot, rest = pair.partition(".")
    if not (dot and venue and "=" in rest) or rest.startswith("="):
        raise UsageError(f"--set: expected VENUE.KEY=VALUE, such as BINANCE.url=ws://127.0.0.1:9001, found {pair!r}")
    return venue, *parse_setting(rest)


async def _print(ticks: AsyncGenerator[Tick], count: int | None) -> None:
    async with aclosing(ticks):
        shown = 0
        async for tick in ticks:
            click.echo(msgspec.json.encode(tick).decode())
            shown += 1
            if shown == count:
                return


@dataclass(slots=True)
class _Line:
    """What is known of one symbol."""

    price: Decimal | None = None
    side: str | None = None
    quote: Quote | None = None
    state: str = "waiting"
    trades: int = 0
    gaps: int = 0
    heard_ns: int = 0
    measures: dict[str, Decimal] | None = None

    def take(self, tick: Tick) -> None:
        self.heard_ns = tick.received_ns
        if isinstance(tick, Trade) and not tick.liquidation:
            self.price, self.side = tick.price, tick.side
            self.trades += not tick.history
        elif isinstance(tick, Quote):
            self.quote = tick
        elif isinstance(tick, Status):
            self.state = tick.state
        elif isinstance(tick, Gap):
            self.gaps += 1
        elif isinstance(tick, Measure):
            self.measures = {**(self.measures or {}), tick.name: tick.value}


async def _show(ticks: AsyncGenerator[Tick], symbols: tuple[str, ...], count: int | None) -> None:
    lines = {symbol: _Line() for symbol in symbols}
    shown = 0
    console = open_console()
    with live(console, lambda: table(lines, width=console.width), per_second=REFRESH_PER_SECOND):
        async with aclosing(ticks):
            async for tick in ticks:
                lines.setdefault(tick.symbol, _Line()).take(tick)
                shown += 1
                if shown == count:
                    return


def table(lines: Mapping[str, _Line], *, width: int = 120) -> Table:
    """Return one row a symbol."""
    measures = [name for name in _AT_ONCE if any(name in (line.measures or {}) for line in lines.values())]
    columns = ["symbol", "price", "bid", "bid size", "ask", "ask size", *measures, "trades", "gaps", "age", "state"]
    now = now_ns()
    rows = [_cells(symbol, line, now) for symbol, line in lines.items()]
    return fitted(columns, rows, sacrifice=(*_SACRIFICE, *reversed(measures)), width=width)


def _cells(symbol: str, line: _Line, now: int) -> dict[str, str]:
    quote = line.quote
    colour = {"buy": "green", "sell": "red"}.get(line.side or "", "default")
    return {
        "symbol": symbol,
        "price": f"[{colour}]{digits(line.price, least=2)}[/]",
        "bid": digits(quote.bid if quote else None, least=2),
        "bid size": digits(quote.bid_size if quote else None),
        "ask": digits(quote.ask if quote else None, least=2),
        "ask size": digits(quote.ask_size if quote else None),
        **{name: digits(value) for name, value in (line.measures or {}).items()},
        "trades": str(line.trades),
        "gaps": str(line.gaps),
        "age": f"{max(0, now - line.heard_ns) / 1e9:.1f}s" if line.heard_ns else "-",
        "state": f"[{_STYLES.get(line.state, 'default')}]{line.state}[/]",
    }
