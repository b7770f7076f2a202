"""The control socket: how commands reach a running instance.

A Unix socket in the data folder; one JSON object a line in, one a line out: ``{"do":"ps"}`` is answered with
``{"ok":true,"result":...}`` or ``{"ok":false,"kind":"usage"|"state","error":"..."}``.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from tickcast.model.errors import StateError, TickcastError, UsageError
from tickcast.ops.datadir import DataDir
from tickcast.runtime.log import get_logger

log = get_logger("ops")

LINE_MAX: Final = 65_536
SYMBOLS_LINE_MAX: Final = 1 << 20
"""Bytes of a request that may name thousands of symbols."""
ANSWER_MAX: Final = 64 << 20
"""Bytes of an answer: the symbols of a large venue."""
IDLE_S: Final = 60.0

Handler = Callable[[Mapping[str, Any]], Awaitable[Any]]


class ControlServer:
    """Serves the control socket; ``handler`` answers a request, or raises a TickcastError that the caller is told."""

    def __init__(self, path: Path, handler: Handler, *, line_max: int = LINE_MAX) -> None:
        """``line_max``: bytes of a request."""
        self._path = path
        self._line_max = line_max
        self._inode = 0
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen; a socket left by a killed instance is replaced, so hold the folder's lock."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._path, limit=self._line_max)
        self._path.chmod(0o600)
        self._inode = self._path.stat().st_ino

    async def stop(self) -> None:
        """Close the socket and every connection."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._clients):
            writer.close()
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:  # else another process listens here by now
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            while line := await asyncio.wait_for(reader.readline(), IDLE_S):
                writer.write(msgspec.json.encode(await self._answer(line)) + b"\n")
                await writer.drain()
        except (OSError, ValueError, TimeoutError) as wrong:
            log.debug("control connection closed", reason=str(wrong))
        finally:
            self._clients.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = msgspec.json.decode(line, type=dict[str, Any])
            return {"ok": True, "result": await self._handler(request)}
        except msgspec.MsgspecError as wrong:
            return {"ok": False, "kind": "usage", "error": f"expected a JSON object, found {line[:80]!r}: {wrong}"}
        except TickcastError as wrong:
            kind = "usage" if isinstance(wrong, UsageError) else "state"
            return {"ok": False, "kind": kind, "error": str(wrong)}


def ask(data: DataDir, request: Mapping[str, Any], *, timeout_s: float = 15.0) -> Any:
    """Send one request to the instance of a data folder and return its result; blocks.

    Raises:
        StateError: no instance runs there, it does not answer in time, or it refuses in its present state.
        UsageError: the request was wrong (unknown process).
    """
    instance = data.instance()
    who = f"the instance in {data} (process {instance.pid})"
    return ask_at(Path(instance.control), request, who=who, timeout_s=timeout_s)


def feed_socket(data: DataDir, feed: str) -> Path:
    """Where a feed's process listens for commands."""
    return data.socket(f"feed-{feed}")


def ask_at(path: Path, request: Mapping[str, Any], *, who: str, timeout_s: float = 15.0) -> Any:
    """Send one request to a control socket and return its result; blocks.

    Raises:
        StateError: ``who`` does not answer in time, or refuses in its present state.
        UsageError: the request was wrong.
    """
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(timeout_s)
            link.connect(str(path))
            link.sendall(msgspec.json.encode(request) + b"\n")
            with link.makefile("rb") as answers:
                line = answers.readline()
        return _result(line)
    except (OSError, msgspec.DecodeError) as wrong:
        raise StateError(f"{who} does not answer on its control socket: {wrong}") from wrong


async def ask_later(path: Path, request: Mapping[str, Any], *, who: str, timeout_s: float = 15.0) -> Any:
    """Send one request to a control socket and return its result, as :func:`ask_at` without blocking."""
    writer = None
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(path, limit=ANSWER_MAX)
            writer.write(msgspec.json.encode(request) + b"\n")
            await writer.drain()
            line = await reader.readline()
        return _result(line)
    except (OSError, ValueError) as wrong:  # a ValueError: longer than any answer, or no JSON
        raise StateError(f"{who} does not answer on its control socket: {wrong or 'too late'}") from wrong
    finally:
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _result(line: bytes) -> Any:
    answer = msgspec.json.decode(line, type=dict[str, Any])
    if answer.get("ok"):
        return answer.get("result")
    raise (UsageError if answer.get("kind") == "usage" else StateError)(str(answer.get("error")))
