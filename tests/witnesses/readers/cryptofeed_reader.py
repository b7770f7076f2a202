"""A Binance client made of cryptofeed: symbols, trades, best prices and books. A process of its own.

    python cryptofeed_reader.py WS_URL REST_URL

Only the addresses of its Binance connector are changed, and TLS is left out. Commands come as lines on stdin
(``state``, ``stop``), each is answered with a line of JSON.
"""

import asyncio
import json
import sys
from decimal import Decimal
from typing import Any

from cryptofeed import FeedHandler, connection
from cryptofeed.connection import (
    RestEndpoint,
    WebsocketEndpoint,
)
from cryptofeed.defines import L2_BOOK, TICKER, TRADES
from cryptofeed.exchanges import Binance

WS_URL, REST_URL = sys.argv[1:]
_connect = connection.connect


def plain(address: str, **options: Any) -> Any:
    """Connect without TLS: cryptofeed takes nothing but ``wss`` addresses, and ours are on loopback."""
    return _connect(address.replace("wss://", "ws://"), **options)


connection.connect = plain


class Simulated(Binance):  # type: ignore[misc]
    """Binance at another address."""

    websocket_endpoints = (WebsocketEndpoint(WS_URL.replace("ws://", "wss://")),)
    rest_endpoints = (RestEndpoint(REST_URL, routes=Binance.rest_endpoints[0].routes),)


class Seen:
    """What the connector told."""

    def __init__(self) -> None:
        self.volumes: dict[str, Decimal] = {}
        self.last: dict[str, str] = {}
        self.ids: dict[str, int] = {}
        self.best: dict[str, tuple[str, str]] = {}
        self.books: dict[str, Any] = {}
        self.trades = self.updates = 0
        self.problems: list[str] = []

    async def trade(self, trade: Any, _: float) -> None:
        self.trades += 1
        symbol, number = trade.symbol, int(trade.id)
        if symbol in self.ids and number != self.ids[symbol] + 1:
            self.problems.append(f"{symbol}: trade {number} after {self.ids[symbol]}")
        self.ids[symbol] = number
        self.volumes[symbol] = self.volumes.get(symbol, Decimal(0)) + trade.amount
        self.last[symbol] = str(trade.price)

    async def ticker(self, ticker: Any, _: float) -> None:
        self.best[ticker.symbol] = (str(ticker.bid), str(ticker.ask))

    async def book(self, book: Any, _: float) -> None:
        self.updates += 1
        self.books[book.symbol] = book.book

    def state(self) -> dict[str, Any]:
        """Everything, for the test."""
        tops = {}
        for symbol, book in self.books.items():
            bids, asks = book.bids.to_dict(), book.asks.to_dict()
            bid, ask = max(bids), min(asks)
            tops[symbol] = [str(value) for value in (bid, bids[bid], ask, asks[ask])]
        return {
            "volumes": {symbol: str(volume) for symbol, volume in self.volumes.items()},
            "last": self.last, "best": self.best, "books": tops, "trades": self.trades, "updates": self.updates,
            "problems": self.problems,
        }  # fmt: skip


async def answer(seen: Seen) -> None:
    """Answer commands until ``stop``."""
    loop = asyncio.get_running_loop()
    while (await loop.run_in_executor(None, sys.stdin.readline)).strip() not in {"", "stop"}:
        sys.stdout.write(json.dumps(seen.state()) + "\n")
        sys.stdout.flush()


def main() -> None:
    """Subscribe to everything that the exchange lists."""
    seen = Seen()
    handler = FeedHandler(config={"log": {"disabled": True}})
    feed = Simulated(
        symbols=Simulated.symbols(), channels=[TRADES, TICKER, L2_BOOK],
        callbacks={TRADES: seen.trade, TICKER: seen.ticker, L2_BOOK: seen.book},
    )  # fmt: skip
    handler.add_feed(feed)
    handler.run(start_loop=False, install_signal_handlers=False)
    asyncio.get_event_loop().run_until_complete(answer(seen))


if __name__ == "__main__":
    main()
