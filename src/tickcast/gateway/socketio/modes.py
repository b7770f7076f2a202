"""How clients of the dialect are served: what a mode is, and the mode ``memory``."""

from typing import TYPE_CHECKING, Any, Protocol

from tickcast.gateway.auth.guests import Guest
from tickcast.gateway.socketio.client import EventClient
from tickcast.gateway.socketio.rooms import Rooms
from tickcast.runtime.tasks import TaskGroupOwner

if TYPE_CHECKING:
    from tickcast.gateway.clients import Clients
    from tickcast.gateway.socketio.engine import Link


class Mode(Protocol):
    """One of the three."""

    def attach(self, manager: Any) -> None:
        """Take python-socketio's manager of rooms."""

    async def start(self, tasks: TaskGroupOwner) -> None:
        """Begin."""

    async def stop(self) -> None:
        """End."""

    def client(self, clients: "Clients", link: "Link", sid: str, guest: Guest, auth: dict[str, Any]) -> EventClient:
        """Make the client of a CONNECT whose payload is ``auth``; ``guest`` was let in."""


class Memory:
    """Every client is a client of the hub, at its own pace: what ``/stream`` promises holds here too."""

    def attach(self, manager: Any) -> None:
        """See :class:`Mode`; there are no rooms."""

    async def start(self, tasks: TaskGroupOwner) -> None:
        """See :class:`Mode`."""

    async def stop(self) -> None:
        """See :class:`Mode`."""

    def client(self, clients: "Clients", link: "Link", sid: str, guest: Guest, auth: dict[str, Any]) -> EventClient:
        """See :class:`Mode`."""
        del auth
        return EventClient(clients, clients.desk, link, sid, guest)


def make_mode(clients: "Clients") -> Mode:
    """Make the mode of the config."""
    match clients.config.socketio.mode:
        case "rooms":
            return Rooms(clients)
        case "redis":
            from tickcast.gateway.socketio.nodes import NodeRooms  # noqa: PLC0415  needs the package of Redis

            return NodeRooms(clients)
        case _:
            return Memory()
