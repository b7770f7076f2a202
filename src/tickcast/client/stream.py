"""A stream as users have it: a loop, or functions that are called."""

import inspect
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, Self, TypeVar

from tickcast.client.channel import ChannelSession
from tickcast.client.counters import Counters, Proofs
from tickcast.client.errors import RequestError
from tickcast.client.wire import Settings, Wire

T = TypeVar("T")
Handler = TypeVar("Handler", bound=Callable[[Any], Any])
EVERYTHING: Final = ""


class Handlers:
    """Functions by the symbol they want to hear of."""

    def __init__(self) -> None:
        self._by_symbol: dict[str, list[Callable[[Any], Any]]] = {}

    def add(self, symbols: tuple[str, ...], handler: Callable[[Any], Any]) -> None:
        """Call ``handler`` for these symbols; for all if there are none."""
        for symbol in symbols or (EVERYTHING,):
            self._by_symbol.setdefault(symbol, []).append(handler)

    def of(self, event: object) -> list[Callable[[Any], Any]]:
        """Functions that want an event, in the order in which they were added for its symbol, then for everything."""
        symbol = getattr(event, "symbol", None) or getattr(event, "name", None)
        found = self._by_symbol.get(symbol, []) if symbol else []
        return [*found, *self._by_symbol.get(EVERYTHING, ())]

    def check(self) -> None:
        """Find that nobody listens.

        Raises:
            RequestError: there is no function to call.
        """
        if not self._by_symbol:
            raise RequestError("expected a function to call, found none: decorate one with @stream.on() first")


class Stream(Generic[T]):
    """What one call of a client's ``ticks``, ``trades``, ``books``, ``bars`` or ``status`` gives, for ever.

    ``async for event in stream``, or ``@stream.on("AAPL")`` and ``await stream.run()``. Broken connections are made
    again and resumed. It connects when the first event is asked for, and ends with ``close`` (or ``async with``).
    """

    def __init__(
        self, settings: Settings, session: ChannelSession[T], *, closed: Callable[["Stream[T]"], None] | None = None
    ) -> None:
        """``closed`` is told when it ended."""
        self._session = session
        self._wire = Wire(settings, session, closed=lambda: None if closed is None else closed(self))
        self._ready: deque[T] = deque()
        self._handlers = Handlers()

    # ------------------------------------------------------------------ events

    def __aiter__(self) -> Self:
        """Iterate over events."""
        return self

    async def __anext__(self) -> T:
        """Return the next event."""
        if not self._ready:
            self._ready.extend(await self._wire.receive())
            if not self._ready:
                raise StopAsyncIteration
        return self._ready.popleft()

    async def batch(self) -> list[T]:
        """Return all events that came together, at least one; empty: the stream was closed. For frames of rows."""
        made = list(self._ready) or await self._wire.receive()
        self._ready.clear()
        return made

    def on(self, *symbols: str) -> Callable[[Handler], Handler]:
        """Have a function called with each event of these symbols, or of all; it may be ``async``. See :meth:`run`."""

        def add(handler: Handler) -> Handler:
            self._handlers.add(symbols, handler)
            return handler

        return add

    async def run(self) -> None:
        """Call the functions of :meth:`on` for each event, one at a time, until the stream is closed.

        What a function raises ends it, and is raised here.

        Raises:
            RequestError: there is no function to call.
            ClientError: the stream cannot go on.
        """
        self._handlers.check()
        async for event in self:
            for handler in self._handlers.of(event):
                outcome = handler(event)
                if inspect.isawaitable(outcome):
                    await outcome

    # ------------------------------------------------------------------ what is watched

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols and patterns that are watched."""
        return self._session.symbols

    @property
    def delay_s(self) -> float:
        """How late everything is, as the gateway said last; 0 = it is not: late, nothing is ``live``."""
        return self._session.delay_s

    async def add(self, *symbols: str) -> None:
        """Watch more symbols, on the same terms."""
        await self._wire.send(self._session.add(symbols))

    async def drop(self, *symbols: str) -> None:
        """Watch symbols no more. A few events of them may still be on their way."""
        await self._wire.send(self._session.drop(symbols))

    # ------------------------------------------------------------------ how it is

    @property
    def counters(self) -> Mapping[str, Counters]:
        """What came, was merged and was lost, by symbol, since the stream began."""
        return self._session.counters

    @property
    def proofs(self) -> Proofs:
        """Digests of books, and counters, that were compared with the gateway's."""
        return self._session.proofs

    @property
    def codec(self) -> str:
        """How the gateway writes to us: ``json``, ``msgpack``, ``compact`` or ``proto``; empty before it connected."""
        return self._wire.codec

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now."""
        return self._wire.is_connected

    @property
    def connects(self) -> int:
        """Connections that were made, the first one too."""
        return self._wire.connects

    # ------------------------------------------------------------------ the end

    async def close(self) -> None:
        """End the stream; a loop over it ends."""
        self._ready.clear()
        await self._wire.close()

    async def __aenter__(self) -> Self:
        """Begin a block at whose end the stream is closed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()
