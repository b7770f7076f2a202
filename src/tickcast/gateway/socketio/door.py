"""Opens the dialect where the config asks for it. Nothing here needs python-socketio; what is opened does."""

import importlib.util
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from tickcast.gateway.clients import Clients
from tickcast.gateway.socketio.neighbours import Neighbours
from tickcast.model.errors import UsageError

PATH = "/socket.io/"


class EventDoor(Protocol):
    """The dialect, in front of an application that answers everything else."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...
    async def start(self) -> None:
        """Begin to serve."""

    async def stop(self) -> None:
        """End."""


def open_door(clients: Clients, app: ASGIApp, neighbours: Neighbours | None = None) -> EventDoor | None:
    """Make the dialect in front of ``app``; None where the config does not ask for it.

    ``neighbours`` are other workers of the same port, which may get requests of our sessions, and we of theirs.

    Raises:
        UsageError: a package that it needs is not installed.
    """
    config = clients.config.socketio
    if config.mode == "off":
        return None
    for package in ("socketio", "redis") if config.mode == "redis" else ("socketio",):
        if importlib.util.find_spec(package) is None:
            raise UsageError(
                f'gateway.socketio.mode = "{config.mode}" needs the Python package {package}, which is not installed; '
                "nothing was started; install it with pip install 'tickcast[socketio]', or set the mode to off"
            )
    from tickcast.gateway.socketio.engine import SocketIoEngine  # noqa: PLC0415  an optional package
    from tickcast.gateway.socketio.modes import make_mode  # noqa: PLC0415

    late = None if clients.late is None else make_mode(clients.late)
    engine = SocketIoEngine(clients, make_mode(clients), app, neighbours, late=late)
    clients.upgrades[PATH] = engine.upgrade
    return engine
