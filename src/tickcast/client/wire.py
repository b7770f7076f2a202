"""The way to a gateway: dial, feed the session, back off and dial again. One connection for each stream.

A stream has a connection of its own on purpose: what a slow loop does not take stays in its own socket, where the
gateway merges and counts it, and delays no other stream. So there is no queue here that could grow.
"""

import asyncio
import contextlib
import random
import re
import ssl as tls
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
import websockets
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as dial

from tickcast.client.channel import ChannelSession
from tickcast.client.errors import (
    TOKEN_CLOSE,
    ClientError,
    ClosedError,
    RequestError,
    UnreachableError,
    answered,
    token_error,
    untrusted,
)
from tickcast.client.handles import CODECS, codec_of, handshake_of
from tickcast.runtime.clock import monotonic_ns

T = TypeVar("T")
Token = str | Callable[[], str | Awaitable[str]]
"""What proves who asks; a function is asked for each connection, for tokens that end."""
AUTO: Final = "auto"
PREFERRED: Final = "compact"
"""The first choice of ``auto``; docs/decisions/0024-one-client-for-python.md has the measurement."""
MESSAGE_MAX: Final = 16 * 1024 * 1024
"""Bytes of one message: a flush of many symbols is one array."""
STOP_CLOSES: Final = frozenset({1002, 1007, 1009, *range(4800, 4900)})
"""Closes after which the same would happen again."""
STOP_STATUSES: Final = frozenset({400, 401, 403, 404, 405, 421, 426, 431})
"""Answers to the handshake that another attempt would get too."""
BACKOFF_FIRST_S: Final = 0.5
BACKOFF_MAX_S: Final = 30.0
CARE_FIRST_S: Final = 1.0
CARE_MAX_S: Final = 30.0
"""Longest time between two requests for symbols that nobody knew."""
HANDSHAKE_MAX_S: Final = 10.0
"""Of one attempt, however long the first connection may take."""
CLOSE_TIMEOUT_S: Final = 1.0
_RETRY_IN: Final = re.compile(r"retry in (\d+) ms")
_FOREVER_S: Final = 1e9


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach a gateway; see :func:`tickcast.connect`."""

    url: str
    token: Token | None = None
    codec: str = AUTO
    connect_timeout_s: float = 10.0
    silence_s: float = 35.0
    verify_s: float = 30.0
    ssl: tls.SSLContext | None = None
    jitter: Callable[[], float] = random.random

    @property
    def stream_url(self) -> str:
        """Address of ``/stream``."""
        parts = urlsplit(self.url)
        scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
        return urlunsplit(parts._replace(scheme=scheme, path=_base_path(parts.path) + "/stream", fragment=""))

    @property
    def rest_url(self) -> str:
        """What REST addresses begin with."""
        parts = urlsplit(self.url)
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
        return urlunsplit(parts._replace(scheme=scheme, path=_base_path(parts.path), query="", fragment=""))

    def check(self) -> None:
        """Find what can be found without a connection.

        Raises:
            RequestError: the address or the codec can never work.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https", "ws", "wss"} or not parts.hostname:
            raise RequestError(f"expected an address such as http://127.0.0.1:8000, found {self.url[:100]!r}")
        if parts.username is not None:
            raise RequestError("expected an address without a user, found one: give token=... instead")
        if self.codec != AUTO and self.codec not in CODECS:
            raise RequestError(f"codec: expected one of {AUTO}, {', '.join(CODECS)}; found {self.codec[:40]!r}")

    async def header(self) -> dict[str, str]:
        """Return the header that proves who asks."""
        token = self.token
        if callable(token):
            made = token()
            token = made if isinstance(made, str) else await made
        return {"Authorization": f"Bearer {token}"} if token else {}


def _base_path(path: str) -> str:
    return path.rstrip("/").removesuffix("/stream").rstrip("/")


class Wire(Generic[T]):
    """One stream's connections, one after the other."""

    def __init__(self, settings: Settings, session: ChannelSession[T], *, closed: Callable[[], None]) -> None:
        """``closed`` is called when the last connection ended."""
        settings.check()
        self._closed = closed
        self._settings = settings
        self._session = session
        self._connection: ClientConnection | None = None
        self._scope: asyncio.Timeout | None = None
        self._header: dict[str, str] = {}
        self._refused_header: dict[str, str] | None = None
        self._attempt = 0
        self._delay_s = 0.0
        self._give_up_ns = 0
        self._heard_ns = self._care_ns = self._sync_ns = 0
        self._care_s = CARE_FIRST_S
        self.is_closed = False
        self.codec = ""
        """In use; empty before the first connection."""
        self.connects = 0
        """Connections that were made."""

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now."""
        return self._connection is not None

    async def receive(self) -> list[T]:
        """Return what came, at least one; empty: the stream was closed.

        Raises:
            ClientError: the stream cannot go on.
        """
        made: list[T] = []
        try:
            while not made and not self.is_closed:
                made = await (self._open() if self._connection is None else self._read(self._connection))
        except ClientError:
            await self.close()
            raise
        return made

    async def send(self, requests: list[str | bytes]) -> None:
        """Send requests, if there is a connection; a new one asks for everything by itself."""
        connection = self._connection
        if connection is None:
            return
        with contextlib.suppress(websockets.ConnectionClosed):  # whoever reads notices
            for request in requests:
                await connection.send(request)

    async def close(self) -> None:
        """End the stream; whoever waits in :meth:`receive` gets an empty list."""
        self.is_closed = True
        if self._scope is not None and self._scope.when() is not None:
            self._scope.reschedule(asyncio.get_running_loop().time())
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
        self._closed()

    # ------------------------------------------------------------------ dialling

    async def _open(self) -> list[T]:
        """Wait for the next attempt and make it."""
        settings = self._settings
        if not self._give_up_ns:
            self._give_up_ns = monotonic_ns() + int(settings.connect_timeout_s * 1e9)
        if self._delay_s and not await self._within(_FOREVER_S, asyncio.sleep(self._delay_s)):
            return []
        self._header = await settings.header()
        if self._refused_header == self._header:
            raise token_error(TOKEN_CLOSE, "it was refused before", with_token=bool(self._header))
        try:
            is_open = await self._within(min(settings.connect_timeout_s, HANDSHAKE_MAX_S), self._dial())
        except (websockets.WebSocketException, OSError) as failure:
            self._failed(failure)
            return []
        if self.is_closed:
            await self.close()
        elif not is_open:
            self._failed(TimeoutError("the handshake took too long"))
        return []

    async def _dial(self) -> None:
        settings = self._settings
        names = [PREFERRED, "json"] if settings.codec == AUTO else [settings.codec]
        query: dict[str, str] = {}
        for name in names:
            query |= handshake_of(name)[1]
        offered = [handshake_of(name)[0] for name in names]
        address = _address(settings.stream_url, query)
        connection = await dial(
            address,
            subprotocols=[websockets.Subprotocol(name) for name in offered],
            additional_headers=self._header,
            max_size=MESSAGE_MAX,
            compression=None,
            open_timeout=None,
            ping_interval=None,  # the gateway speaks every 15 s
            close_timeout=CLOSE_TIMEOUT_S,
            ssl=(settings.ssl or True) if address.startswith("wss:") else None,  # True: whom the system trusts
        )
        try:
            # Who picks none speaks JSON.
            spoken = connection.subprotocol or "tickcast.json"
            self.codec = next((name for name in names if handshake_of(name)[0] == spoken), "json")
            for request in self._session.connected(codec_of(self.codec)):
                await connection.send(request)
        except BaseException:
            connection.transport.abort()
            raise
        self._connection = connection
        self.connects += 1
        now = monotonic_ns()
        self._heard_ns = now
        self._care_s = CARE_FIRST_S
        self._care_ns = self._sync_ns = now + int(CARE_FIRST_S * 1e9)

    def _failed(self, failure: Exception) -> None:
        """Note that there is no connection, and when to try again.

        Raises:
            ClientError: another attempt would fail too.
        """
        settings = self._settings
        backoff_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(self._attempt, 10))
        self._attempt += 1
        self._delay_s = backoff_s * (0.5 + settings.jitter() / 2)
        if _refuses_token(failure) and callable(settings.token):
            # A token that ended may be followed by another one; the same again is an error.
            self._refused_header = self._header
        else:
            self._delay_s = _delay_s(failure, self._delay_s, with_token=bool(self._header))
        if not self.connects and monotonic_ns() >= self._give_up_ns:
            raise UnreachableError(
                f"expected a gateway at {settings.rest_url}, found none within {settings.connect_timeout_s:g} s: "
                f"{failure or type(failure).__name__}; start one (tickcast demo), or check address and port"
            ) from None

    # ------------------------------------------------------------------ reading

    async def _read(self, connection: ClientConnection) -> list[T]:
        """Take one message, or what is to be done when none comes."""
        made: list[T] = []
        message: str | bytes | None = None

        async def take() -> None:
            nonlocal message
            message = await connection.recv()

        now = monotonic_ns()
        until_ns = min(self._heard_ns + int(self._settings.silence_s * 1e9), self._care_ns)
        try:
            await self._within(max(0.0, (until_ns - now) / 1e9), take())
            if self.is_closed:
                return []
            now = monotonic_ns()
            if message is not None:
                made = await self._heard(connection, message, now)
            elif now - self._heard_ns >= self._settings.silence_s * 1e9:
                raise TimeoutError(f"nothing was heard for {self._settings.silence_s:g} s")
            if now >= self._care_ns:
                await self._care(connection, now)
        except (websockets.WebSocketException, OSError, TimeoutError) as failure:
            if self.is_closed:
                return []
            self._connection = None
            connection.transport.abort()
            self._failed(failure)
            made += self._session.disconnected()
        return made

    async def _heard(self, connection: ClientConnection, message: str | bytes, now: int) -> list[T]:
        """Take a message, and ask for what it calls for."""
        self._heard_ns = now
        made = self._session.receive(message)
        if made:
            self._attempt = 0
        for request in self._session.requests():
            await connection.send(request)
        if self._session.needs_care:
            self._care_ns = min(self._care_ns, now + int(self._care_s * 1e9))
        return made

    async def _care(self, connection: ClientConnection, now: int) -> None:
        """Ask again for what was not there, with growing waits, and have the counters told."""
        requests = self._session.care()
        self._care_s = min(CARE_MAX_S, 2 * self._care_s) if requests else CARE_FIRST_S
        if now >= self._sync_ns:
            self._sync_ns = now + int(self._settings.verify_s * 1e9)
            requests += self._session.sync()
        self._care_ns = self._sync_ns
        if self._session.needs_care:
            self._care_ns = min(self._care_ns, now + int(self._care_s * 1e9))
        for request in requests:
            await connection.send(request)

    async def _within(self, seconds: float, work: Awaitable[None]) -> bool:
        """Wait for something until it is done, it took too long, or the stream was closed; whether it was done."""
        try:
            async with asyncio.timeout(seconds) as scope:
                self._scope = scope
                await work
        except TimeoutError:
            if not scope.expired():
                raise
            return False
        finally:
            self._scope = None
        return True


def _refuses_token(failure: Exception) -> bool:
    match failure:
        case websockets.ConnectionClosed():
            return _close_code(failure) == TOKEN_CLOSE
        case websockets.InvalidStatus():
            return failure.response.status_code == 401
    return False


def _close_code(failure: websockets.ConnectionClosed) -> int:
    return failure.rcvd.code if failure.rcvd is not None else 1006


def _delay_s(failure: Exception, delay_s: float, *, with_token: bool) -> float:
    """Return the time until the next attempt, unless the failure is one that another attempt would meet too."""
    match failure:
        case websockets.InvalidURI():
            raise RequestError(f"expected an address such as http://127.0.0.1:8000: {failure}") from None
        case websockets.ConnectionClosed():
            code, reason = _close_code(failure), failure.rcvd.reason if failure.rcvd is not None else ""
            if code == TOKEN_CLOSE:
                raise token_error(code, reason, with_token=with_token) from None
            if code in STOP_CLOSES:
                raise ClosedError(code, reason) from None
            found = _RETRY_IN.search(reason)
            return int(found[1]) / 1000 if found else delay_s
        case websockets.InvalidStatus():
            response = failure.response
            if response.status_code in STOP_STATUSES:
                raise answered(response.status_code, detail(response.body or b""), with_token=with_token) from None
            text = response.headers.get("Retry-After", "")
            return max(delay_s, float(text)) if text.isascii() and text.isdigit() else delay_s
        case tls.SSLCertVerificationError():
            raise untrusted(failure.verify_message) from None
    return delay_s


def detail(body: bytes | bytearray) -> str:
    """Return what a problem (RFC 9457) says for people."""
    try:
        return str(msgspec.json.decode(body)["detail"])
    except (msgspec.DecodeError, KeyError, TypeError, UnicodeDecodeError):
        return body.decode(errors="replace")[:200]


def _address(url: str, extra: dict[str, str]) -> str:
    """Ask for exact numbers and for arrays of frames, whatever else is in the address."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query)) | {"numbers": "string", "batch": "1"} | extra
    return urlunsplit(parts._replace(query=urlencode(query)))
