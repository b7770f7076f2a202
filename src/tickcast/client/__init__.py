"""The Python client of ``/stream``: :func:`tickcast.stream`, and trades, books and bars."""

from tickcast.client.bars import Bar
from tickcast.client.books import Book
from tickcast.client.channels import bars, books, trades
from tickcast.client.stream import stream
from tickcast.client.tick import StreamClosedError, StreamError, Tick
from tickcast.client.trades import Lost, Trade

__all__ = [
    "Bar",
    "Book",
    "Lost",
    "StreamClosedError",
    "StreamError",
    "Tick",
    "Trade",
    "bars",
    "books",
    "stream",
    "trades",
]
