""":func:`tickcast.connect_sync`: the same client for programs without an event loop.

An event loop runs in a thread of its own and does what the asynchronous client does; there is one implementation. A
stream hands over all events that came together at once, so that the change of threads is paid for each message of the
gateway and not for each event.
"""

import asyncio
import concurrent.futures
import inspect
import random
import ssl as tls
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Generic, Literal, Self, TypeVar

from tickcast.client.bars import Bar
from tickcast.client.books import Book
from tickcast.client.client import Client, CodecName, Depth, Interval, connect
from tickcast.client.counters import Counters, Proofs
from tickcast.client.errors import ClientError, RequestError
from tickcast.client.rest import Feed, Symbol
from tickcast.client.status import Status
from tickcast.client.stream import Handler, Handlers, Stream
from tickcast.client.ticks import Tick
from tickcast.client.trades import Lost, Trade
from tickcast.client.wire import AUTO, Token

T = TypeVar("T")
STOP_TIMEOUT_S = 10.0


def connect_sync(
    url: str,
    *,
    token: Token | None = None,
    codec: CodecName = AUTO,
    connect_timeout_s: float = 10.0,
    silence_s: float = 35.0,
    verify_s: float = 30.0,
    ssl: tls.SSLContext | None = None,
    jitter: Callable[[], float] = random.random,
) -> "SyncClient":
    """Return a client of a gateway whose methods wait: :func:`tickcast.connect` without ``async``.

    The arguments are those of :func:`tickcast.connect`; a function as ``token`` is called in the client's thread.

    Raises:
        RequestError: the address or the codec can never work.
    """
    return SyncClient(
        connect(
            url,
            token=token,
            codec=codec,
            connect_timeout_s=connect_timeout_s,
            silence_s=silence_s,
            verify_s=verify_s,
            ssl=ssl,
            jitter=jitter,
        )
    )


class _Loop:
    """An event loop in a thread, which starts when it is first needed."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for it; an interrupt of this thread cancels it."""
        try:
            loop = self._running()
        except ClientError:
            work.close()
            raise
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise RequestError("expected a client that is open, found one that was closed meanwhile") from None
        except BaseException:
            future.cancel()
            raise

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._is_closed:
                raise RequestError("expected a client that is open, found one that is closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="tickcast client", daemon=True)
                self._thread.start()
            return self._loop

    def stop(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a last coroutine, then end the thread."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        try:
            asyncio.run_coroutine_threadsafe(_and_rest(last()), loop).result(STOP_TIMEOUT_S)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(STOP_TIMEOUT_S)
            loop.close()


async def _and_rest(last: Coroutine[Any, Any, None]) -> None:
    """Let what still waits come to its end, too."""
    await last
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


class SyncStream(Generic[T]):
    """A :class:`~tickcast.client.Stream` whose methods wait: ``for event in stream``, or functions and ``run()``."""

    def __init__(self, loop: _Loop, stream: Stream[T]) -> None:
        self._loop = loop
        self._stream = stream
        self._ready: deque[T] = deque()
        self._handlers = Handlers()

    def __iter__(self) -> Self:
        """Iterate over events."""
        return self

    def __next__(self) -> T:
        """Return the next event."""
        if not self._ready:
            self._ready.extend(self._loop.call(self._stream.batch()))
            if not self._ready:
                raise StopIteration
        return self._ready.popleft()

    def batch(self) -> list[T]:
        """Return all events that came together, at least one; empty: the stream was closed. For frames of rows."""
        made = list(self._ready) or self._loop.call(self._stream.batch())
        self._ready.clear()
        return made

    def on(self, *symbols: str) -> Callable[[Handler], Handler]:
        """Have a function called with each event of these symbols, or of all. See :meth:`run`.

        Raises:
            RequestError: the function is ``async``: nobody here could wait for it.
        """

        def add(handler: Handler) -> Handler:
            if inspect.iscoroutinefunction(handler):
                raise RequestError("expected a plain function, found an async one: those are for tickcast.connect")
            self._handlers.add(symbols, handler)
            return handler

        return add

    def run(self) -> None:
        """Call the functions of :meth:`on` in this thread for each event, until the stream is closed.

        What a function raises ends it, and is raised here.

        Raises:
            RequestError: there is no function to call.
            ClientError: the stream cannot go on.
        """
        self._handlers.check()
        for event in self:
            for handler in self._handlers.of(event):
                handler(event)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols and patterns that are watched."""
        return self._stream.symbols

    @property
    def delay_s(self) -> float:
        """How late everything is, as the gateway said last; 0 = it is not."""
        return self._stream.delay_s

    def add(self, *symbols: str) -> None:
        """Watch more symbols, on the same terms."""
        self._loop.call(self._stream.add(*symbols))

    def drop(self, *symbols: str) -> None:
        """Watch symbols no more. A few events of them may still be on their way."""
        self._loop.call(self._stream.drop(*symbols))

    @property
    def counters(self) -> Mapping[str, Counters]:
        """What came, was merged and was lost, by symbol, since the stream began."""
        return self._loop.call(_value(lambda: self._stream.counters))

    @property
    def proofs(self) -> Proofs:
        """Digests of books, and counters, that were compared with the gateway's."""
        return self._stream.proofs

    @property
    def codec(self) -> str:
        """How the gateway writes to us; empty before it connected."""
        return self._stream.codec

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now."""
        return self._stream.is_connected

    @property
    def connects(self) -> int:
        """Connections that were made, the first one too."""
        return self._stream.connects

    def close(self) -> None:
        """End the stream; a loop over it ends. Any thread may call it."""
        self._loop.call(self._stream.close())

    def __enter__(self) -> Self:
        """Begin a block at whose end the stream is closed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


async def _value(read: Callable[[], T]) -> T:
    return read()


class SyncClient:
    """A :class:`~tickcast.client.Client` whose methods wait."""

    def __init__(self, client: Client) -> None:
        """See :func:`tickcast.connect_sync`."""
        self._client = client
        self._loop = _Loop()

    def ticks(
        self,
        *symbols: str,
        rate: float = 20,
        fields: Sequence[str] | None = None,
        mode: Literal["merge", "all"] = "merge",
    ) -> SyncStream[Tick]:
        """See :meth:`tickcast.client.Client.ticks`."""
        return SyncStream(self._loop, self._client.ticks(*symbols, rate=rate, fields=fields, mode=mode))

    def trades(self, *symbols: str) -> SyncStream[Trade | Lost]:
        """See :meth:`tickcast.client.Client.trades`."""
        return SyncStream(self._loop, self._client.trades(*symbols))

    def books(self, *symbols: str, depth: Depth = 10, rate: float = 20) -> SyncStream[Book]:
        """See :meth:`tickcast.client.Client.books`."""
        return SyncStream(self._loop, self._client.books(*symbols, depth=depth, rate=rate))

    def bars(self, *symbols: str, interval: Interval = "1s", rate: float = 1) -> SyncStream[Bar]:
        """See :meth:`tickcast.client.Client.bars`."""
        return SyncStream(self._loop, self._client.bars(*symbols, interval=interval, rate=rate))

    def status(self, *feeds: str) -> SyncStream[Status]:
        """See :meth:`tickcast.client.Client.status`."""
        return SyncStream(self._loop, self._client.status(*feeds))

    def fetch_prices(self, *symbols: str) -> list[Tick]:
        """See :meth:`tickcast.client.Client.fetch_prices`."""
        return self._loop.call(self._client.fetch_prices(*symbols))

    def fetch_book(self, symbol: str, *, depth: int = 10) -> Book:
        """See :meth:`tickcast.client.Client.fetch_book`."""
        return self._loop.call(self._client.fetch_book(symbol, depth=depth))

    def fetch_bars(self, symbol: str, *, interval: Interval = "1m", limit: int = 60) -> list[Bar]:
        """See :meth:`tickcast.client.Client.fetch_bars`."""
        return self._loop.call(self._client.fetch_bars(symbol, interval=interval, limit=limit))

    def fetch_symbols(
        self, query: str = "", *, venue: str = "", asset_class: str = "", limit: int = 1000
    ) -> list[Symbol]:
        """See :meth:`tickcast.client.Client.fetch_symbols`."""
        asked = self._client.fetch_symbols(query, venue=venue, asset_class=asset_class, limit=limit)
        return self._loop.call(asked)

    def fetch_feeds(self) -> list[Feed]:
        """See :meth:`tickcast.client.Client.fetch_feeds`."""
        return self._loop.call(self._client.fetch_feeds())

    def close(self) -> None:
        """End all streams, connections and the thread."""
        self._loop.stop(self._client.close)

    def __enter__(self) -> Self:
        """Begin a block at whose end everything is closed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()
