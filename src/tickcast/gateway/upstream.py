"""Requests that another process answers, over its Unix socket; its answers come back unchanged.

REST in a worker goes on to the core so, and a polling client of Socket.IO to the worker that has its session.

Bodies stream in both directions; what is under way is bounded, and every step has a time limit. While the core is
away, clients get 503 with a time to come back.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import aiohttp
from starlette.types import Message, Receive, Scope, Send
from yarl import URL

from tickcast.gateway.answers import refusal
from tickcast.runtime import metrics
from tickcast.runtime.log import get_logger

log = get_logger("gateway")

CONNECTIONS_MAX: Final = 32
"""Connections to the core, kept alive."""
WAITING_MAX: Final = 512
"""Requests under way or waiting for one of them; further ones are answered with 503."""
IDLE_S: Final = 4.0
"""An idle connection is closed before the core would do so (5 s), so that no request meets a closing one."""
CONNECT_S: Final = 2.0
SILENT_S: Final = 20.0
CHUNK: Final = 65_536
RETRY: Final = {"retry-after": "1"}
HOP: Final = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
        b"trailer", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
"""Headers that are between two neighbours only (RFC 9110 section 7.6.1)."""
AGAIN: Final = frozenset({b"date", b"server"})
"""Headers of an answer that this server writes itself."""
AWAY: Final = "the core is away; prices are served again when it is back"

_forwarded: Final = metrics.counter("gateway_forwarded", "Requests answered by another process, so far.")
_failed: Final = metrics.counter("gateway_forward_failed", "Requests that another process did not answer, so far.")


class Upstream:
    """Another process as an ASGI application."""

    def __init__(
        self,
        path: Path,
        *,
        connections_max: int = CONNECTIONS_MAX,
        waiting_max: int | None = None,
        silent_s: float | None = None,
        away: str = AWAY,
    ) -> None:
        """Prepare.

        Args:
            path: the other's Unix socket; it need not be there yet.
            connections_max: connections to it, 0 = as many as there are requests.
            waiting_max: requests under way or waiting, :data:`WAITING_MAX`; further ones are answered with 503.
            silent_s: longest wait for the next part of an answer, :data:`SILENT_S`.
            away: what clients are told while nobody answers.
        """
        self._path = path
        self._connections_max = connections_max
        self._waiting_max = WAITING_MAX if waiting_max is None else waiting_max
        self._silent_s = SILENT_S if silent_s is None else silent_s
        self._away = away
        self._session: aiohttp.ClientSession | None = None
        self.under_way = 0
        self.turned_away = 0

    async def start(self) -> None:
        """Be ready to ask; nothing is connected yet."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(self._path), limit=self._connections_max, keepalive_timeout=IDLE_S),
            timeout=aiohttp.ClientTimeout(
                total=None, connect=self._silent_s, sock_connect=CONNECT_S, sock_read=self._silent_s
            ),
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def stop(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self.under_way >= self._waiting_max or self._session is None:
            self.turned_away += 1
            await refusal(503, f"{self.under_way} requests wait already; come back later", RETRY)(scope, receive, send)
            return
        self.under_way += 1
        answer = _Answer(send)
        try:
            await self._ask(self._session, scope, receive, answer)
            _forwarded.inc()
        except (aiohttp.ClientError, OSError, TimeoutError) as wrong:
            _failed.inc()
            if answer.is_begun:
                raise ConnectionError(f"the answer broke off: {wrong}") from wrong
            log.debug("nobody answered", path=scope["path"], reason=str(wrong))
            status, detail = (504, "there was no answer in time") if _is_silent(wrong) else (503, self._away)
            await refusal(status, detail, RETRY)(scope, receive, send)
        finally:
            self.under_way -= 1

    async def _ask(self, session: aiohttp.ClientSession, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        target = scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("latin-1")
        headers = passed_on(scope["headers"], without=frozenset({b"expect"}))
        names = {name for name, _ in scope["headers"]}
        body = _body(receive) if names & {b"content-length", b"transfer-encoding"} else None
        async with session.request(
            scope["method"],
            URL(f"http://core{target}", encoded=True),
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers],
            data=body,
            allow_redirects=False,
        ) as found:
            await answer.begin(found.status, passed_on(found.raw_headers, without=AGAIN))
            async for chunk in found.content.iter_chunked(CHUNK):
                await answer.more(chunk)
        await answer.end()


class _Answer:
    """Writes an answer, and knows whether it has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.is_begun = False

    async def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.is_begun = True
        await self._tell({"type": "http.response.start", "status": status, "headers": headers})

    async def more(self, data: bytes) -> None:
        await self._tell({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        await self._tell({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell(self, message: Message) -> None:
        await self._send(message)


def passed_on(
    headers: "list[tuple[bytes, bytes]] | tuple[tuple[bytes, bytes], ...]", *, without: frozenset[bytes] = frozenset()
) -> list[tuple[bytes, bytes]]:
    """Headers that go on to the next hop: neither the usual ones of a hop, nor those that ``Connection`` names."""
    lower = [(name.lower(), value) for name, value in headers]
    named = {token.strip().lower() for name, value in lower if name == b"connection" for token in value.split(b",")} - {
        b"host"
    }
    return [(name, value) for name, value in lower if name not in HOP and name not in named and name not in without]


def _is_silent(wrong: BaseException) -> bool:
    return isinstance(wrong, asyncio.TimeoutError) and not isinstance(wrong, aiohttp.ConnectionTimeoutError)


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message: Mapping[str, object] = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client left in the middle of its request")
        data = message.get("body", b"")
        if isinstance(data, bytes) and data:
            yield data
        if not message.get("more_body"):
            return
