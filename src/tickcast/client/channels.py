"""Trades, books and bars of a gateway: like :func:`tickcast.stream`, for the channels that are not prices."""

from collections.abc import AsyncGenerator
from typing import Literal

from tickcast.client.bars import Bar, BarsSession
from tickcast.client.books import Book, BooksSession
from tickcast.client.handles import codec_of
from tickcast.client.stream import follow
from tickcast.client.tick import StreamError
from tickcast.client.trades import Lost, Trade, TradesSession


def trades(
    url: str, *symbols: str, codec: str = "json", connect_timeout_s: float = 10.0, silence_s: float = 35.0
) -> AsyncGenerator[Trade | Lost]:
    """Yield every trade of the symbols from now on, for ever; what is missing is said as :class:`Lost`.

    A broken connection is made again and resumed: the trades that were missed meanwhile come, each once, or a
    :class:`Lost` says that they cannot.

    Args:
        url: Address of the stream, such as ``ws://127.0.0.1:8000/stream``.
        symbols: ``AAPL`` over venues, ``XNAS:AAPL`` one venue's.
        codec: How messages are written: ``json``, ``msgpack``, ``compact`` or ``proto``.
        connect_timeout_s: Give up if the first connection takes longer; later ones are tried for ever.
        silence_s: A connection that is silent for longer is given up.

    Raises:
        StreamError: the gateway cannot be reached at first, or refuses what is asked for.
    """
    session = TradesSession(_some(symbols), codec_of(codec))
    return follow(url, session, codec=codec, connect_timeout_s=connect_timeout_s, silence_s=silence_s)


def books(
    url: str,
    *symbols: str,
    depth: Literal[5, 10, 50] = 10,
    rate: float = 20,
    codec: str = "json",
    connect_timeout_s: float = 10.0,
    silence_s: float = 35.0,
) -> AsyncGenerator[Book]:
    """Yield the best levels of the symbols' books after each change, for ever.

    Each digest that the gateway sends is verified; a book that it does not prove is ``repairing`` until it was asked
    for again. While the connection is down books are ``stale``.

    Args:
        url: Address of the stream.
        symbols: ``AAPL`` over venues, ``XNAS:AAPL`` one venue's.
        depth: Levels of each side.
        rate: Most changes a second of each symbol, or 0 = unfiltered.
        codec: As in :func:`trades`.
        connect_timeout_s: As in :func:`trades`.
        silence_s: As in :func:`trades`.

    Raises:
        StreamError: the gateway cannot be reached at first, or refuses what is asked for.
    """
    session = BooksSession(_some(symbols), depth=depth, rate=rate, codec=codec_of(codec))
    return follow(url, session, codec=codec, connect_timeout_s=connect_timeout_s, silence_s=silence_s)


def bars(
    url: str,
    *symbols: str,
    interval: Literal["1s", "1m"] = "1s",
    rate: float = 1,
    codec: str = "json",
    connect_timeout_s: float = 10.0,
    silence_s: float = 35.0,
) -> AsyncGenerator[Bar]:
    """Yield bars of the symbols: recent ones first, then each that changed, the final ones and corrections, for ever.

    Args:
        url: Address of the stream.
        symbols: ``AAPL`` over venues, ``XNAS:AAPL`` one venue's.
        interval: A second or a minute.
        rate: Most times a second that a symbol's bars are told.
        codec: As in :func:`trades`.
        connect_timeout_s: As in :func:`trades`.
        silence_s: As in :func:`trades`.

    Raises:
        StreamError: the gateway cannot be reached at first, or refuses what is asked for.
    """
    session = BarsSession(_some(symbols), interval=interval, rate=rate, codec=codec_of(codec))
    return follow(url, session, codec=codec, connect_timeout_s=connect_timeout_s, silence_s=silence_s)


def _some(symbols: tuple[str, ...]) -> tuple[str, ...]:
    if not symbols:
        raise StreamError("expected at least one symbol, found none")
    return symbols
