"""A ticker in the terminal: the newest price of each symbol, and what was merged or lost on the way.

    python examples/ticker.py AAPL BTC-USDT --url http://127.0.0.1:8000

A token, where the gateway wants one, is taken from $TICKCAST_TOKEN.
"""

import argparse
import os

from rich.live import Live
from rich.table import Table

import tickcast
from tickcast.client import Counters, Tick

COLOURS = {"live": "green", "delayed": "cyan", "stale": "yellow", "no_such_symbol": "red", "not_entitled": "red"}


def table(newest: dict[str, Tick], counters: dict[str, Counters]) -> Table:
    """Return a row for each symbol."""
    drawn = Table("symbol", "price", "bid", "ask", "state", "came", "merged")
    for symbol, tick in newest.items():
        came = counters.get(symbol)
        numbers = ("-" if value is None else f"{value:f}" for value in (tick.price, tick.bid, tick.ask))
        state = f"[{COLOURS.get(tick.state, 'yellow')}]{tick.state}[/]"
        drawn.add_row(
            symbol, *numbers, state, *(("-", "-") if came is None else (str(came.delivered), str(came.merged)))
        )
    return drawn


def main() -> None:
    """Draw until interrupted, or for so many ticks."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("symbols", nargs="+")
    arguments.add_argument("--url", default="http://127.0.0.1:8000")
    arguments.add_argument("--count", type=int, default=0, help="stop after so many ticks")
    chosen = arguments.parse_args()
    newest: dict[str, Tick] = {}
    seen = 0
    with (
        tickcast.connect_sync(chosen.url, token=os.environ.get("TICKCAST_TOKEN")) as client,
        client.ticks(*chosen.symbols, rate=5) as ticks,
        Live(refresh_per_second=8) as screen,
    ):
        for tick in ticks:
            newest[tick.symbol] = tick
            screen.update(table(newest, dict(ticks.counters)))
            seen += 1
            if seen == chosen.count:
                break


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except tickcast.ClientError as wrong:
        raise SystemExit(f"ticker: {wrong}") from None
