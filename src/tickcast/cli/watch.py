"""``tickcast watch`` and ``tickcast get``: prices in the terminal, through the public interfaces only."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from http.client import HTTPException, RemoteDisconnected
from ssl import SSLCertVerificationError
from typing import Any, Final, Literal, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

import click
import msgspec
from rich.table import Table

from tickcast.cli.instance import data_option, gateway_address, token_option
from tickcast.cli.terminal import digits, fitted, live, open_console
from tickcast.client import Bar, Book, Client, Lost, Stream, Tick, Trade, connect
from tickcast.client.client import CodecName
from tickcast.client.errors import untrusted
from tickcast.client.ticks import timestamp_ns
from tickcast.model.errors import TickcastError, UsageError
from tickcast.ops.datadir import DataDir
from tickcast.runtime.clock import now_ns
from tickcast.runtime.tasks import TaskGroupOwner

T = TypeVar("T")
CHANNELS: Final = ("price", "trades", "book", "bars")
DEPTHS: Final[dict[str, Literal[5, 10, 50]]] = {"5": 5, "10": 10, "50": 50}
CODECS: Final[tuple[CodecName, ...]] = ("auto", "json", "msgpack", "compact", "proto")
INTERVALS: Final[dict[str, Literal["1s", "1m"]]] = {"1s": "1s", "1m": "1m"}
REFRESH_PER_SECOND = 8
FOREVER_S: Final = 1e9
"""A gateway is waited for so long."""
LOOK_S: Final = 0.1
PATIENCE_S: Final = 0.5
"""Without a connection for so long, it is said: one that is replaced for an upgrade is back sooner."""
ENDED_BY_SIGTERM: Final = 128 + signal.SIGTERM
TIMEOUT_S = 10
_STYLES = {
    "live": "green",
    "stale": "yellow",
    "halted": "yellow",
    "delayed": "cyan",
    "closed": "dim",
    "no_such_symbol": "red",
}
_COLUMNS = ("symbol", "price", "change", "%", "bid", "ask", "size", "volume", "age", "merged", "state")
_SACRIFICE = ("size", "volume", "merged", "age", "change", "%")
"""Columns that are left out where a terminal is too narrow, in this order; the others always stay."""
_address = click.option("--url", help="Address of the gateway, such as http://127.0.0.1:8000.")


@click.command()
@click.argument("symbols", nargs=-1, required=True)
@_address
@data_option
@click.option("--rate", type=float, default=5, show_default=True, help="Most updates a second of each symbol.")
@click.option(
    "--channel",
    type=click.Choice(CHANNELS),
    default="price",
    show_default=True,
    help="What to show: prices as a table, the others a line each.",
)
@click.option("--depth", type=click.Choice(("5", "10", "50")), default="5", help="Levels of the channel book.")
@click.option("--interval", type=click.Choice(("1s", "1m")), default="1s", help="Of the channel bars.")
@click.option(
    "--codec",
    type=click.Choice(CODECS),
    default="auto",
    show_default=True,
    help="How the gateway writes; auto takes the best that both know.",
)
@token_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each update.")
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many updates.")
def watch(
    *,
    symbols: tuple[str, ...],
    url: str | None,
    data: DataDir,
    rate: float,
    channel: str,
    depth: str,
    interval: str,
    codec: CodecName,
    token: str | None,
    as_json: bool,
    count: int | None,
) -> None:
    """Show live prices, trades, books or bars of SYMBOLS: AAPL over all venues, XNAS:AAPL at one.

    A symbol that does not exist yet is waited for, unless none of them exists. So is the gateway: whether it answers is
    said on stderr. SIGTERM ends it with status 143; a table in a pipe is printed then, as it is.
    """
    base = _gateway(url, data)
    client = connect(base, codec=codec, token=token, connect_timeout_s=FOREVER_S)
    stream: Stream[Any]
    if channel == "price":
        stream = client.ticks(*symbols, rate=rate)
        ticks = _existing(stream, symbols)
        shown = _print(ticks, count) if as_json else _show(ticks, symbols, count)
    else:
        if channel == "trades":
            stream = client.trades(*symbols)
        elif channel == "book":
            stream = client.books(*symbols, depth=DEPTHS[depth], rate=rate)
        else:
            stream = client.bars(*symbols, interval=INTERVALS[interval], rate=rate)
        shown = _print(stream, count, None if as_json else line)
    try:
        asyncio.run(_with(client, stream, base, shown))
    except KeyboardInterrupt:
        return
    except asyncio.CancelledError:  # only SIGTERM cancels it
        sys.exit(ENDED_BY_SIGTERM)


@click.command()
@click.argument("symbol")
@_address
@data_option
@token_option
@click.option("--json", "as_json", is_flag=True, help="The gateway's answer, unchanged.")
def get(*, symbol: str, url: str | None, data: DataDir, token: str | None, as_json: bool) -> None:
    """Show the newest price of SYMBOL once."""
    base = _gateway(url, data).rstrip("/")
    numbers = "number" if as_json else "string"
    body = _fetch(f"{base}/prices/{quote(symbol, safe=':')}?numbers={numbers}", token)
    if as_json:
        click.echo(body.decode())
        return
    table = Table(show_header=False, box=None)
    for name, value in msgspec.json.decode(body).items():
        table.add_row(name, "-" if value is None else value if isinstance(value, str) else json.dumps(value))
    open_console().print(table)


def _gateway(url: str | None, data: DataDir) -> str:
    """Return the gateway's address: ``url``, else that of the instance in the data folder."""
    if url is None:
        return gateway_address(data)
    if urlsplit(url).scheme not in {"http", "https", "ws", "wss"} or not urlsplit(url).netloc:
        raise UsageError(f"--url: expected an address such as http://127.0.0.1:8000, found {url!r}")
    return url


def _fetch(address: str, token: str | None) -> bytes:
    parts = urlsplit(address)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    path = parts.path.replace("/stream/", "/", 1)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = Request(urlunsplit(parts._replace(scheme=scheme, path=path)), headers=headers)  # noqa: S310  http or https, checked above
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310  checked above
            return bytes(answer.read())
    except HTTPError as refused:
        raise TickcastError(_detail(refused.read()) or f"the gateway answered {refused.code}") from None
    except (OSError, HTTPException) as failure:
        reason = failure.reason if isinstance(failure, URLError) else failure
        if isinstance(reason, SSLCertVerificationError):
            raise untrusted(reason.verify_message) from None
        if isinstance(failure, RemoteDisconnected | ConnectionResetError) and scheme == "http":
            reason = f"{reason}; where it speaks TLS its address begins with https"
        raise TickcastError(f"expected a gateway at {parts.scheme}://{parts.netloc}, found none: {reason}") from None


def _detail(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body)["detail"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return ""


async def _with(client: Client, stream: Stream[Any], base: str, shown: Awaitable[None]) -> None:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    beside = TaskGroupOwner("watch")
    beside.spawn(_tell_connection(stream, base), "connection")
    try:
        async with client:
            await shown
    finally:
        await beside.stop()


async def _tell_connection(stream: Stream[Any], base: str) -> None:
    """Say on stderr that no gateway answers, and that one does again."""
    away = 0
    is_told = False
    while True:
        await asyncio.sleep(LOOK_S)
        away = 0 if stream.is_connected else away + 1
        if stream.is_connected and is_told:
            click.echo(f"connected to {base}", err=True)
            is_told = False
        elif away * LOOK_S >= PATIENCE_S and not is_told:
            found = f"the gateway at {base} answers no more" if stream.connects else f"no gateway answers at {base}"
            click.echo(f"{found}; trying again until it does (Ctrl-C ends it)", err=True)
            is_told = True


async def _existing(ticks: Stream[Tick], symbols: tuple[str, ...]) -> AsyncGenerator[Tick]:
    """Pass ticks on.

    Raises:
        TickcastError: the gateway knows none of the symbols.
    """
    unseen = set(symbols)
    async with ticks:
        async for tick in ticks:
            if tick.state != "no_such_symbol":
                unseen.clear()
            elif unseen:
                unseen.discard(tick.symbol)
                if not unseen:
                    names = ", ".join(dict.fromkeys(symbols))
                    raise TickcastError(f"expected a symbol that the gateway knows, found none of that name: {names}")
            yield tick


def line(one: Trade | Lost | Book | Bar) -> str:
    """One line for people."""
    match one:
        case Trade():
            return f"{one.timestamp}  {one.symbol}  {one.price} x {one.size}  {one.side or '-'}  {one.id}"
        case Lost():
            return f"{one.symbol}  {'some' if one.count is None else one.count} missing here: {one.reason}"
        case Bar():
            state = "corrected" if one.corrected else "final" if one.final else "so far"
            prices = f"{one.open} {one.high} {one.low} {one.close}"
            return f"{one.start}  {one.symbol}  {prices}  volume {one.volume} in {one.trades} trades, {state}"
        case Book():
            bids, asks = (
                ", ".join(f"{price} x {size}" for price, size in side) or "-" for side in (one.bids, one.asks)
            )
            return f"{one.symbol}  {one.state}  bids {bids}  asks {asks}"


async def _print(told: AsyncIterator[T], count: int | None, as_text: Callable[[T], str] | None = None) -> None:
    """Print a line for each; without ``as_text`` as JSON."""
    shown = 0
    async for one in told:
        click.echo(msgspec.json.encode(one).decode() if as_text is None else as_text(one))
        shown += 1
        if shown == count:
            return


async def _show(ticks: AsyncGenerator[Tick], symbols: tuple[str, ...], count: int | None) -> None:
    newest: dict[str, Tick] = {}
    merged: dict[str, int] = {}
    shown = 0
    console = open_console()
    with live(console, lambda: _table(symbols, newest, merged, width=console.width), per_second=REFRESH_PER_SECOND):
        async with aclosing(ticks):
            async for tick in ticks:
                newest[tick.symbol] = tick
                merged[tick.symbol] = merged.get(tick.symbol, 0) + tick.merged
                shown += 1
                if shown == count:
                    return


def _table(symbols: tuple[str, ...], newest: dict[str, Tick], merged: dict[str, int], *, width: int = 120) -> Table:
    """One row a symbol; columns that a terminal of ``width`` has no room for are left out, rather than cut short."""
    now = now_ns()
    rows: list[dict[str, str]] = []
    for symbol in dict.fromkeys(symbols):
        tick = newest.get(symbol)
        rows.append({"symbol": symbol, "state": "waiting"} if tick is None else _cells(tick, merged[symbol], now))
    return fitted(_COLUMNS, rows, sacrifice=_SACRIFICE, width=width)


def _cells(tick: Tick, merged: int, now: int) -> dict[str, str]:
    colour = "" if not tick.change else "green" if tick.change > 0 else "red"
    change = digits(tick.change, least=2)
    return {
        "symbol": tick.symbol,
        "price": digits(tick.price, least=2),
        "change": f"[{colour}]{change}[/]" if colour else change,
        "%": digits(tick.change_pct and round(tick.change_pct, 2), least=2),
        "bid": digits(tick.bid, least=2),
        "ask": digits(tick.ask, least=2),
        "size": digits(tick.size),
        "volume": digits(tick.volume),
        "age": _age(tick, now),
        "merged": str(merged),
        "state": f"[{_STYLES.get(tick.state, 'yellow')}]{tick.state}[/]",
    }


def _age(tick: Tick, now: int) -> str:
    if tick.timestamp is None:
        return "-"
    age_s = max(0.0, (now - timestamp_ns(tick.timestamp)) / 1e9)
    return f"{age_s:.1f}s" if age_s < 60 else f"{age_s / 60:.0f}m" if age_s < 3600 else f"{age_s / 3600:.0f}h"
