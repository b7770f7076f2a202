"""Start and stop of the gateway: the listening socket, the server, the sweep."""

import asyncio
import contextlib
import errno
import functools
import socket
from collections.abc import Callable, Iterator
from typing import Any, cast

import uvicorn

from tickcast import _native
from tickcast.gateway.clients import Clients
from tickcast.gateway.codes import CloseCode
from tickcast.gateway.config import Config
from tickcast.gateway.front import FrontConnection
from tickcast.gateway.rest import create_app
from tickcast.model.errors import UsageError
from tickcast.ports import Clock, Fanout, Flush, GapLedger, Insight, Registry
from tickcast.runtime.log import get_logger
from tickcast.runtime.tasks import TaskGroupOwner

log = get_logger("gateway")

BACKLOG = 2048
SWEEP_S = 0.25
POLL_S = 0.02


class _Server(uvicorn.Server):
    """uvicorn's server without signal handlers: the application owns them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class GatewayStage:
    """WebSocket, REST and the page on one port."""

    def __init__(
        self,
        config: Config,
        *,
        hub: Fanout,
        registry: Registry,
        insight: Insight,
        ledger: GapLedger,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        """``wake`` asks the fan-out stage for a flush soon: a client that was blocked can take data again."""
        self._config = config
        self.clients = Clients(
            hub,
            config,
            clock,
            field_names=_native.PRICE_FIELDS,
            reader=_native.FrameReader,
            protocol_error=_native.ProtocolError,
            wake=wake,
        )
        self._app = create_app(hub=hub, registry=registry, insight=insight, ledger=ledger, config=config, clock=clock)
        self._clock = clock
        self._tasks = TaskGroupOwner("gateway")
        self._server: _Server | None = None
        self._socket: socket.socket | None = None
        self.address = ""
        """``http://host:port`` once started."""

    def deliver(self, flushed: Flush) -> None:
        """Do what a flush of the fan-out stage left to do."""
        self.clients.deliver(flushed)

    def bind(self) -> None:
        """Take the address, before anything is started; clients are refused until :meth:`start`.

        Raises:
            UsageError: the address cannot be listened on.
        """
        self._socket = _listen(self._config)

    async def start(self) -> None:
        """Listen and serve; returns when requests are answered.

        Raises:
            UsageError: the address cannot be listened on.
        """
        if self._socket is None:
            self.bind()
        assert self._socket is not None  # noqa: S101  bound just above
        host, port = self._socket.getsockname()[:2]
        self.address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        connection = functools.partial(FrontConnection, self.clients)
        settings = uvicorn.Config(
            cast("Any", self._app),
            http=cast("type[asyncio.Protocol]", connection),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            interface="asgi3",
            backlog=BACKLOG,
            timeout_graceful_shutdown=2,
        )
        settings.load()
        self._server = _Server(settings)
        self._server.lifespan = settings.lifespan_class(settings)
        await self._server.on_tick(0)
        await self._server.startup(sockets=[self._socket])
        self._tasks.spawn(self._server.main_loop(), "server")
        self._tasks.spawn(self._sweep(), "sweep")
        log.info("listening", address=self.address)

    async def _sweep(self) -> None:
        config = self._config
        shortest_s = min(
            config.handshake_timeout_s, config.request_timeout_s, config.ping_interval_s, config.heartbeat_s,
            config.close_timeout_s,
        )  # fmt: skip
        while True:
            await asyncio.sleep(min(SWEEP_S, shortest_s / 4))
            self.clients.sweep(self._clock())

    async def stop(self) -> None:
        """Tell every client to come back later, give it a moment, and let go of the port."""
        if self._server is None:
            return
        for listener in self._server.servers:
            listener.close()
        self.clients.close_all(CloseCode.DRAIN)
        deadline_ns = self._clock() + int(min(1.0, self._config.close_timeout_s) * 1e9)
        while self.clients.closing and self._clock() < deadline_ns:  # noqa: ASYNC110  uvicorn's own shutdown polls too
            await asyncio.sleep(POLL_S)
        self.clients.abort_all()
        await self._tasks.stop()
        await self._server.shutdown(sockets=[self._socket] if self._socket else [])
        self._server = None


def _listen(config: Config) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, config.send_buffer)
        listener.bind((config.host, config.port))
        listener.setblocking(False)  # noqa: FBT003  the standard library's signature
    except OSError as failure:
        listener.close()
        what = "is taken by another program" if failure.errno == errno.EADDRINUSE else f"failed: {failure.strerror}"
        raise UsageError(
            f"expected to listen on {config.host} port {config.port}, which {what}; "
            "nothing was started; set gateway.port (or --port) to a free one, 0 takes any"
        ) from None
    return listener
