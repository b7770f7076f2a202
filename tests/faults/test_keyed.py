"""Books and bars of a whole instance: whole, right, hidden while something is missing, and whole again afterwards."""

import asyncio
import itertools
import os
import signal
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.faults.keyed import BookView, Watcher, bar_of, values

from tickcast.cli import demo_market
from tickcast.cli.demo import DemoFiles
from tickcast.testing.instance import ConfiguredInstance

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]

VENUES = ("XNAS", "BATS", "XNYS", "BINANCE", "OKX", "XSIM")
"""One of each protocol; all there are with TICKCAST_ALL_VENUES=1."""
CHOSEN = tuple(demo_market.EXCHANGES) if os.environ.get("TICKCAST_ALL_VENUES") else VENUES
NO_BOOK = "XSIM"
BREAKS_S = 0.5
"""The exchange of XNYS breaks a trade so often."""
BROKEN_MAX = 4
"""Trades of one second that may all have been broken, so that there is no bar."""


class Instance(ConfiguredInstance):
    """With exchanges that break trades often."""

    def configure(self) -> DemoFiles:
        files = super().configure()
        text = files.sim.read_text()
        files.sim.write_text(text.replace('dialect = "fix"', f'dialect = "fix"\nbreak_every_s = {BREAKS_S}'))
        return files


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder: Path = tmp_path_factory.mktemp("keyed")
    with Instance(folder, rate=1_000 * len(CHOSEN), symbols=6, exchanges=CHOSEN) as started:
        started.wait_ready(deadline_s=60)
        yield started


def chosen(instance: Instance) -> tuple[list[str], list[str]]:
    """One instrument of each venue, and two securities of many."""
    names = []
    for venue in CHOSEN:
        found = [row["symbol"] for row in instance.get(f"/symbols?venue={venue}&limit=1000")["symbols"]]
        wanted = [f"{venue}:{symbol}" for symbol in ("AAPL", "BTC-USDT", "BTC-USD", "BTC-USDT-PERP", "BTC-USD-PERP")]
        names.append(next((name for name in wanted if name in found), found[0]))
    return names, ["AAPL", "BTC-USDT"]


async def watching(instance: Instance, names: Sequence[str]) -> Watcher:
    watcher = Watcher(instance.stream_url)
    await watcher.open()
    await watcher.subscribe("book", names)
    return watcher


async def fault(instance: Instance, *words: str) -> None:
    done = await asyncio.to_thread(instance.cli, "sim", "fault", *words, "--admin", instance.sim_admin())
    assert done.returncode == 0, done.stderr


def shown(books: Sequence[BookView]) -> bool:
    return all(book.is_shown for book in books)


async def test_books_are_hidden_by_faults_and_whole_again(instance: Instance) -> None:
    names, securities = chosen(instance)
    watcher = await watching(instance, [*names, *securities])
    await watcher.until(lambda: len(watcher.books) == len(names) + len(securities), "a snapshot of each")
    own = {name.partition(":")[0]: watcher.books[name] for name in names}
    silent = own.pop(NO_BOOK)
    both = [watcher.books[name] for name in securities]
    whole = [*own.values(), *both]
    await watcher.until(lambda: shown(whole), "all whole")
    assert (silent.states, silent.bids, silent.asks) == (["empty"], {}, {}), "it tells no levels, and promises none"

    await fault(instance, "BATS", "drop", "--count", "20")
    await fault(instance, "BINANCE", "disconnect", "--for-s", "1.5")
    await fault(instance, "XNAS", "disconnect")  # picked up where it stopped: nothing is missing
    await asyncio.to_thread(instance.kill, "okx", signal.SIGKILL)
    hidden = [own[venue] for venue in ("BINANCE", "OKX")]
    # Each passes through a state without levels, which the view checks, and comes back.
    await watcher.until(lambda: all(len(book.states) >= 3 for book in hidden), "hidden for a while")
    await watcher.until(lambda: shown(whole), "whole again")
    checked = {book.symbol: book.digests for book in whole}
    await watcher.until(lambda: all(book.digests > checked[book.symbol] for book in whole), "digests of updates agree")

    epochs = {book.symbol: book.epoch for book in whole}
    await asyncio.gather(watcher.until_closed(), asyncio.to_thread(instance.kill, "core", signal.SIGKILL))
    await watcher.open()
    await watcher.subscribe("book", [*names, *securities])
    await watcher.until(
        lambda: shown(whole) and all(book.epoch > epochs[book.symbol] for book in whole), "whole after the core's end"
    )
    checked = {book.symbol: book.updates for book in whole}
    await watcher.until(lambda: all(book.updates > checked[book.symbol] for book in whole), "all move")
    assert silent.state == "empty"
    await watcher.close()


def finished(trades: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Trades by second, but for the first second, of which some may have come before, and the last two, still open."""
    by_second: dict[str, list[dict[str, Any]]] = {}
    for trade in trades:
        by_second.setdefault(trade["timestamp"][:19] + "Z", []).append(trade)
    if not by_second:
        return {}
    newest = datetime.fromisoformat(max(by_second))
    return {
        start: of
        for start, of in sorted(by_second.items())[1:]
        if datetime.fromisoformat(start) < newest - timedelta(seconds=2)
    }


def without_busts(trades: Sequence[dict[str, Any]], told: dict[str, Any] | None) -> bool:
    """Whether the bar (None: there is none) is that of these trades but for some that were broken."""
    if told is None:
        priced = [trade for trade in trades if bar_of([trade])["open"] is not None]
        return len(priced) <= BROKEN_MAX
    left = itertools.combinations(trades, told["trades"])
    return any(bar_of(rest) == values(told) for rest in itertools.islice(left, 20_000))


async def test_bars_are_those_of_the_trades(instance: Instance) -> None:
    names = [row["symbol"] for row in instance.get("/symbols?venue=XNYS&limit=100")["symbols"]]
    exact = ["BINANCE:BTC-USDT", "OKX:BTC-USDT", "BTC-USDT"]
    watcher = Watcher(instance.stream_url)
    await watcher.open()
    await watcher.subscribe("trades", [*names, *exact])
    await watcher.subscribe("bars", [*names, *exact], interval="1s", rate=20)

    def is_enough() -> bool:
        seconds = {trade["timestamp"][:19] for trade in watcher.trades.get(exact[0], [])}
        corrected = (start in finished(watcher.trades.get(name, [])) for name, start in watcher.corrected)
        return len(seconds) > 8 and any(corrected)

    await watcher.until(is_enough, "some seconds, and a corrected bar", deadline_s=40)
    await watcher.settle()
    compared = 0
    for symbol in exact:
        for start, trades in finished(watcher.trades[symbol]).items():
            bar = watcher.bars[symbol].get(start)
            ours = bar_of(trades)
            if ours["open"] is None:
                assert bar is None, (symbol, start)
                continue
            assert bar is not None, (symbol, start)
            assert values(bar) == ours, (symbol, start)
            assert bar["final"]
            compared += 1
    assert compared >= len(exact)
    changed = 0
    for symbol in names:
        for start, trades in finished(watcher.trades.get(symbol, [])).items():
            bar = watcher.bars.get(symbol, {}).get(start)
            assert without_busts(trades, bar), (symbol, start, bar, trades)
            changed += (symbol, start) in watcher.corrected and (bar is None or bar["trades"] < len(trades))
    assert changed, "a bust took a trade out of its bar"
    await watcher.close()
