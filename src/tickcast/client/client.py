""":func:`tickcast.connect`: a gateway, as an asyncio program has it."""

import random
import ssl as tls
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self, TypeVar

from tickcast.client.bars import Bar, BarsSession
from tickcast.client.books import Book, BooksSession
from tickcast.client.channel import ChannelSession
from tickcast.client.rest import Feed, Rest, Symbol
from tickcast.client.status import Status, StatusSession
from tickcast.client.stream import Stream
from tickcast.client.ticks import Tick, TicksSession
from tickcast.client.trades import Lost, Trade, TradesSession
from tickcast.client.wire import AUTO, Settings, Token

T = TypeVar("T")
CodecName = Literal["auto", "json", "msgpack", "compact", "proto"]
Depth = Literal[5, 10, 50]
Interval = Literal["1s", "1m"]


def connect(
    url: str,
    *,
    token: Token | None = None,
    codec: CodecName = AUTO,
    connect_timeout_s: float = 10.0,
    silence_s: float = 35.0,
    verify_s: float = 30.0,
    ssl: tls.SSLContext | None = None,
    jitter: Callable[[], float] = random.random,
) -> "Client":
    """Return a client of a gateway. Nothing is sent before something is asked for.

    Args:
        url: Address of the gateway, such as ``http://127.0.0.1:8000``; ``ws`` and ``/stream`` do as well.
        token: Sent as ``Authorization: Bearer``. A function is asked for each connection, for tokens that end.
        codec: How the gateway writes its streams: ``auto`` takes the best that both know; events are the same.
        connect_timeout_s: Give up if the first connection takes longer; later ones are tried for ever.
        silence_s: A connection that is silent for longer is given up; the gateway speaks every 15 s.
        verify_s: How often the counters of a stream are compared with the gateway's.
        ssl: Whom to trust at ``https`` addresses, where that is not whom the system trusts.
        jitter: Random numbers from 0 to 1, which spread the reconnects of many clients.

    Raises:
        RequestError: the address or the codec can never work.
    """
    settings = Settings(
        url=url,
        token=token,
        codec=codec,
        connect_timeout_s=connect_timeout_s,
        silence_s=silence_s,
        verify_s=verify_s,
        ssl=ssl,
        jitter=jitter,
    )
    settings.check()
    return Client(settings)


class Client:
    """A gateway. Nouns are streams, each with a connection of its own; ``fetch_...`` asks once, over REST."""

    def __init__(self, settings: Settings) -> None:
        """See :func:`tickcast.connect`."""
        self._settings = settings
        self._streams: set[Stream[Any]] = set()
        """Those that are open: also one that nobody holds any more, since a loop over it was left, has a connection."""
        self._rest = Rest(settings)

    # ------------------------------------------------------------------ streams

    def ticks(
        self,
        *symbols: str,
        rate: float = 20,
        fields: Sequence[str] | None = None,
        mode: Literal["merge", "all"] = "merge",
    ) -> Stream[Tick]:
        """Stream prices: the whole state of a symbol after each change.

        While the connection is down each symbol is told once as ``stale``. A symbol that the gateway does not know, or
        does not give us, is told once as ``no_such_symbol`` or ``not_entitled``, and asked for again now and then.

        Args:
            symbols: ``AAPL`` over venues, ``XNAS:AAPL`` one venue's, ``XNAS:*`` or ``class:option`` many.
            rate: Most ticks a second of each symbol (1, 2, 5, 10, 20), or 0 = unfiltered.
            fields: Names of the fields wanted; None = all.
            mode: ``merge`` (newest state) or ``all`` (every update; what does not fit is lost and counted).

        Raises:
            RequestError: there is no symbol.
        """
        return self._stream(TicksSession(symbols, rate=rate, fields=fields, mode=mode))

    def trades(self, *symbols: str) -> Stream[Trade | Lost]:
        """Stream every trade from now on; what is missing is said as :class:`Lost`.

        After a break the trades that were missed come, each once, or a :class:`Lost` says that they cannot.

        Raises:
            RequestError: there is no symbol.
        """
        return self._stream(TradesSession(symbols))

    def books(self, *symbols: str, depth: Depth = 10, rate: float = 20) -> Stream[Book]:
        """Stream the best levels of books after each change, proved by the gateway's digests.

        A book that its digest does not prove is ``repairing`` until it was asked for again. While the connection is
        down books are ``stale``.

        Args:
            symbols: As in :meth:`ticks`.
            depth: Levels of each side.
            rate: Most changes a second of each symbol, or 0 = unfiltered.

        Raises:
            RequestError: there is no symbol.
        """
        return self._stream(BooksSession(symbols, depth=depth, rate=rate))

    def bars(self, *symbols: str, interval: Interval = "1s", rate: float = 1) -> Stream[Bar]:
        """Stream bars: recent ones first, then each that changed, the final ones and corrections.

        Args:
            symbols: As in :meth:`ticks`.
            interval: A second or a minute.
            rate: Most times a second that a symbol's bars are told.

        Raises:
            RequestError: there is no symbol.
        """
        return self._stream(BarsSession(symbols, interval=interval, rate=rate))

    def status(self, *feeds: str) -> Stream[Status]:
        """Stream the gateway's own news: its feeds (all if none is named), gaps, how hard delivery works."""
        return self._stream(StatusSession(feeds or ("*",)))

    def _stream(self, session: ChannelSession[T]) -> Stream[T]:
        stream = Stream(self._settings, session, closed=self._streams.discard)
        self._streams.add(stream)
        return stream

    # ------------------------------------------------------------------ asked once

    async def fetch_prices(self, *symbols: str) -> list[Tick]:
        """Return the newest state of each symbol, in the order asked; what does not exist is ``no_such_symbol``.

        Raises:
            ClientError: the gateway cannot be reached, or refuses.
        """
        return await self._rest.prices(symbols)

    async def fetch_book(self, symbol: str, *, depth: int = 10) -> Book:
        """Return the best levels of a book; they are known while somebody watches it.

        Raises:
            ClientError: there is no such symbol, or the gateway cannot be reached.
        """
        return await self._rest.book(symbol, depth)

    async def fetch_bars(self, symbol: str, *, interval: Interval = "1m", limit: int = 60) -> list[Bar]:
        """Return the newest bars, oldest first.

        Raises:
            ClientError: there is no such symbol, or the gateway cannot be reached.
        """
        return await self._rest.bars(symbol, interval, limit)

    async def fetch_symbols(
        self, query: str = "", *, venue: str = "", asset_class: str = "", limit: int = 1000
    ) -> list[Symbol]:
        """Return what can be asked for, by its symbol: up to ``limit``, from as many pages as it takes.

        Args:
            query: Part of the symbol, in any case.
            venue: One venue's instruments.
            asset_class: One kind of instrument.
            limit: Most symbols.

        Raises:
            ClientError: the gateway cannot be reached, or refuses.
        """
        return await self._rest.symbols(query, venue=venue, asset_class=asset_class, limit=limit)

    async def fetch_feeds(self) -> list[Feed]:
        """Return the health of each feed.

        Raises:
            ClientError: the gateway cannot be reached, or refuses.
        """
        return await self._rest.feeds()

    # ------------------------------------------------------------------ the end

    async def close(self) -> None:
        """End all streams and connections."""
        for stream in tuple(self._streams):
            await stream.close()
        await self._rest.close()

    async def __aenter__(self) -> Self:
        """Begin a block at whose end everything is closed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()
