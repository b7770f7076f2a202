"""A gateway worker: clients of its own on the instance's shared port, everything else from the core.

The stream is served here, from a hub that mirrors the owner's state; the page's files and ``/health/live`` as well.
All other requests go on to the core (:mod:`tickcast.gateway.upstream`).
"""

import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from tickcast.gateway import page
from tickcast.gateway.answers import refusal
from tickcast.gateway.auth.guests import Guests
from tickcast.gateway.config import Config
from tickcast.gateway.handshake import host_allowed, host_refusal
from tickcast.gateway.rest import Guard, add_basics, add_errors, cors_settings
from tickcast.gateway.shares import Shares
from tickcast.gateway.socketio.neighbours import Neighbours
from tickcast.gateway.stage import GatewayStage, LateHub
from tickcast.gateway.tally import ALONE, Tallies
from tickcast.gateway.upstream import WAITING_MAX, Upstream
from tickcast.ports import Clock, Directory, Fanout, Owner
from tickcast.runtime import metrics


def create_worker_app(*, config: Config, upstream: ASGIApp, folder: Path = page.FOLDER) -> ASGIApp:
    """Build the HTTP application of a worker; ``upstream`` answers what it does not."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_errors(app)
    add_basics(app)
    page.add_page(app, folder)
    app.add_middleware(CORSMiddleware, **cors_settings(config))
    return _Split(Guard(app, config), upstream, config, is_own=page.own_paths(folder))


class _Split:
    """Ours or the core's?"""

    def __init__(self, own: ASGIApp, upstream: ASGIApp, config: Config, *, is_own: Callable[[str], bool]) -> None:
        self._own = own
        self._upstream = upstream
        self._config = config
        self._is_own = is_own

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if (
            scope["type"] != "http"
            or scope["path"] in {"/stream", "/events", "/health/live"}
            or self._is_own(scope["path"])
        ):
            return self._own(scope, receive, send)
        if not host_allowed(scope["headers"], self._config):
            return refusal(421, host_refusal(scope["headers"]))(scope, receive, send)
        return self._upstream(scope, receive, send)


class GatewayWorker:
    """The gateway of a worker process: the stage over its hub, and the way to the core's REST."""

    def __init__(
        self,
        config: Config,
        *,
        hub: Fanout,
        rest: Path,
        clock: Clock,
        wake: Callable[[], None],
        listener: socket.socket | None,
        shares: Shares | None = None,
        directory: Directory | None = None,
        owner: Owner | None = None,
        wall: Clock | None = None,
        guests: Guests | None = None,
        late: LateHub | None = None,
        neighbours: Neighbours | None = None,
        tallies: Tallies = ALONE,
    ) -> None:
        """``rest`` is the core's Unix socket, ``listener`` the inherited one; the others are as in the stage."""
        self.upstream = Upstream(rest)
        metrics.watch_queue(
            "gateway_forwarding",
            bound=WAITING_MAX,
            depth=lambda: self.upstream.under_way,
            drops=lambda: self.upstream.turned_away,
        )
        app = create_worker_app(config=config, upstream=self.upstream)
        self.stage = GatewayStage(
            config,
            hub=hub,
            app=app,
            clock=clock,
            wake=wake,
            listener=listener,
            shares=shares,
            directory=directory,
            owner=owner,
            wall=wall,
            guests=guests,
            late=late,
            neighbours=neighbours,
            tallies=tallies,
        )

    async def start(self) -> str:
        """Accept and serve; returns the address.

        Raises:
            UsageError: the address cannot be listened on.
        """
        self.stage.bind()
        await self.upstream.start()
        await self.stage.start()
        return self.stage.address

    async def stop(self) -> None:
        """Accept no more, ask the clients to come back, and end."""
        await self.stage.stop()
        await self.upstream.stop()
