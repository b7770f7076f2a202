"""The HTTP server below the gateway: uvicorn's, without its listening and its signals; and REST on a Unix socket."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import uvicorn
from starlette.types import ASGIApp

from tickcast.runtime.log import get_logger
from tickcast.runtime.tasks import TaskGroupOwner

log = get_logger("gateway")

UNIX_BACKLOG: Final = 256
GRACE_S: Final = 1
"""Time that requests under way have when the server stops."""


class _Server(uvicorn.Server):
    """uvicorn's server without signal handlers: the application owns them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class HttpServer:
    """Serves an application to connections that somebody else accepts."""

    def __init__(self, app: ASGIApp) -> None:
        self._settings = uvicorn.Config(
            cast("Any", app),
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            interface="asgi3",
            timeout_graceful_shutdown=GRACE_S,
        )
        self._server: _Server | None = None
        self._tasks = TaskGroupOwner("gateway.http")

    def protocol_settings(self) -> dict[str, Any]:
        """What a protocol class of uvicorn is made with."""
        assert self._server is not None  # noqa: S101  connections come after start
        return {
            "config": self._settings,
            "server_state": self._server.server_state,
            "app_state": self._server.lifespan.state,
            "_loop": asyncio.get_running_loop(),
        }

    async def start(self, *listeners: socket.socket) -> None:
        """Be ready for connections; accept from ``listeners`` as asyncio does."""
        self._settings.load()
        server = self._server = _Server(self._settings)
        server.lifespan = self._settings.lifespan_class(self._settings)
        await server.on_tick(0)
        await server.startup(sockets=list(listeners))
        self._tasks.spawn(server.main_loop(), "server")

    async def stop(self) -> None:
        """End the connections: those in the middle of a request have a moment."""
        if self._server is not None:
            await self._tasks.stop()
            await self._server.shutdown()
            self._server = None


class UnixServer:
    """An application on a Unix socket, for processes of this user only."""

    def __init__(self, app: ASGIApp, path: Path) -> None:
        self._http = HttpServer(app)
        self.path: Final = path

    async def start(self) -> None:
        """Listen; a socket that a killed process left is replaced."""
        self.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        self.path.chmod(0o600)
        listener.listen(UNIX_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003  the standard library's signature
        await self._http.start(listener)
        log.info("REST for this machine", path=str(self.path))

    async def heal(self) -> None:
        """Listen again if somebody removed the socket's file; requests under way have a moment to end."""
        if not self.path.exists():
            log.warning("the REST socket was removed; it is made again", path=str(self.path))
            await self._http.stop()
            await self.start()

    async def stop(self) -> None:
        """End the connections and take the socket away."""
        await self._http.stop()
        self.path.unlink(missing_ok=True)
