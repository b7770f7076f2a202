"""The async shell of the client: dial, feed the session, back off and dial again."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Protocol, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import websockets
from websockets.asyncio.client import ClientConnection, connect

from tickcast.client.handles import codec_of, handshake_of
from tickcast.client.session import ClientSession
from tickcast.client.tick import StreamClosedError, StreamError, Tick
from tickcast.runtime.clock import monotonic_ns

T = TypeVar("T")
MESSAGE_MAX = 16 * 1024 * 1024
"""Bytes of one message: a flush of many symbols is one array."""
STOP_CODES = range(4800, 4900)
STOP_STATUSES = frozenset({400, 401, 403, 404, 421, 426})
"""Answers to the handshake that another attempt would get too."""
BACKOFF_FIRST_S = 0.25
BACKOFF_MAX_S = 15.0
RETRY_UNKNOWN_S = 5.0


class Session(Protocol[T]):
    """One channel's side of the conversation; see :class:`~tickcast.client.channel.ChannelSession`."""

    def connected(self) -> str | bytes: ...
    def disconnected(self) -> list[T]: ...
    def retry(self) -> list[str | bytes]: ...
    def requests(self) -> list[str | bytes]: ...
    def receive(self, message: str | bytes) -> list[T]: ...


async def stream(
    url: str,
    *symbols: str,
    rate: float = 20,
    fields: Sequence[str] | None = None,
    mode: str = "merge",
    codec: str = "json",
    connect_timeout_s: float = 10.0,
    silence_s: float = 35.0,
    jitter: Callable[[], float] = random.random,
) -> AsyncGenerator[Tick]:
    """Yield a tick for every change of the symbols, for ever: broken connections are resumed.

    While the connection is down, each symbol is reported once as ``stale``. A symbol the gateway does not know is
    reported once as ``no_such_symbol`` and asked for again now and then.

    Args:
        url: Address of the stream, such as ``ws://127.0.0.1:8000/stream``.
        symbols: ``AAPL`` is consolidated over venues, ``XNAS:AAPL`` one venue's.
        rate: Most ticks a second of each symbol (1, 2, 5, 10, 20), or 0 = unfiltered.
        fields: Names of the fields wanted; None = all.
        mode: ``merge`` (newest state) or ``all`` (every update).
        codec: How messages are written: ``json``, ``msgpack``, ``compact`` (MessagePack without keys) or ``proto``; the
            ticks are the same.
        connect_timeout_s: Give up if the first connection takes longer; later ones are tried for ever.
        silence_s: A connection that is silent for longer is given up; the gateway speaks every 15 s.
        jitter: Random numbers from 0 to 1, which spread the reconnects of many clients.

    Raises:
        StreamError: the gateway cannot be reached at first, or refuses what is asked for.
        StreamClosedError: the gateway closed and said not to come back.
    """
    if not symbols:
        raise StreamError("expected at least one symbol, found none")
    session = ClientSession(
        symbols, rate=rate, fields=None if fields is None else tuple(fields), mode=mode, codec=codec_of(codec)
    )
    followed = follow(
        url, session, codec=codec, connect_timeout_s=connect_timeout_s, silence_s=silence_s, jitter=jitter
    )
    async with aclosing(followed) as ticks:
        async for tick in ticks:
            yield tick


async def follow(
    url: str,
    session: Session[T],
    *,
    codec: str = "json",
    connect_timeout_s: float = 10.0,
    silence_s: float = 35.0,
    jitter: Callable[[], float] = random.random,
) -> AsyncGenerator[T]:
    """Yield what a session makes of a stream, for ever: broken connections are made again and resumed."""
    subprotocol, query = handshake_of(codec)
    address = _address(url, query)
    give_up_ns = monotonic_ns() + int(connect_timeout_s * 1e9)
    was_connected = False
    attempt = 0
    while True:
        delay_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(attempt, 10)) * (0.5 + jitter() / 2)
        attempt += 1
        try:
            async with connect(
                address,
                subprotocols=[websockets.Subprotocol(subprotocol)],
                max_size=MESSAGE_MAX,
                compression=None,
                open_timeout=connect_timeout_s,
            ) as connection:
                was_connected = True
                await connection.send(session.connected())
                async for made in _made(connection, session, silence_s):
                    attempt = 0
                    for one in made:
                        yield one
        except (websockets.WebSocketException, OSError, TimeoutError) as failure:
            delay_s = _delay_s(failure, delay_s)
            if not was_connected and monotonic_ns() >= give_up_ns:
                raise StreamError(
                    f"expected a gateway at {url}, found none within {connect_timeout_s:g} s: {failure}"
                ) from None
        for one in session.disconnected():
            yield one
        await asyncio.sleep(delay_s)


def _delay_s(failure: Exception, delay_s: float) -> float:
    """Return the time until the next attempt, unless the failure is one that another attempt would meet too."""
    match failure:
        case websockets.InvalidURI():
            raise StreamError(f"expected an address such as ws://127.0.0.1:8000/stream: {failure}") from None
        case websockets.ConnectionClosed() if failure.rcvd is not None and failure.rcvd.code in STOP_CODES:
            raise StreamClosedError(failure.rcvd.code, failure.rcvd.reason) from None
        case websockets.InvalidStatus():
            response = failure.response
            if response.status_code in STOP_STATUSES:
                body = (response.body or b"").decode(errors="replace")[:500]
                raise StreamError(f"the gateway refused with status {response.status_code}: {body}") from None
            text = response.headers.get("Retry-After", "")
            return max(delay_s, float(text)) if text.isascii() and text.isdigit() else delay_s
    return delay_s


async def _made(connection: ClientConnection, session: Session[T], silence_s: float) -> AsyncIterator[list[T]]:
    """What one connection brings, until it breaks or is silent for too long."""
    heard_ns = asked_ns = monotonic_ns()
    while True:
        try:
            message = await asyncio.wait_for(connection.recv(), min(RETRY_UNKNOWN_S, silence_s))
        except TimeoutError:
            if monotonic_ns() - heard_ns >= silence_s * 1e9:
                raise
        else:
            heard_ns = monotonic_ns()
            yield session.receive(message)
            for request in session.requests():
                await connection.send(request)
        if monotonic_ns() - asked_ns >= RETRY_UNKNOWN_S * 1e9:
            asked_ns = monotonic_ns()
            for request in session.retry():
                await connection.send(request)


def _address(url: str, extra: dict[str, str]) -> str:
    """Ask for exact numbers and for arrays of frames, whatever else is in the address."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query)) | {"numbers": "string", "batch": "1"} | extra
    return urlunsplit(parts._replace(query=urlencode(query)))
