"""An echo of every message, on the gateway's own WebSocket code; for conformance suites.

``python -m tickcast.testing.echo --port 9001`` listens on loopback until it is interrupted. Handshake
(:func:`~tickcast.gateway.handshake.negotiate`), protocol class (:class:`~tickcast.gateway.stream.StreamProtocol`),
frame reader and the hub's socket are those of ``/stream``; only what a message *means* is replaced: it comes back as it
is. Limits are raised, since the published cases go up to 16 MiB in a message and send as fast as they can.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import click
import uvloop

from tickcast.gateway.auth.access import ANYONE
from tickcast.gateway.codes import CloseCode
from tickcast.gateway.config import Config
from tickcast.gateway.handshake import Accepted, Rejected, negotiate
from tickcast.gateway.problem import answer
from tickcast.gateway.stream import BINARY, TEXT, StreamProtocol
from tickcast.testing.gateway import RunningGateway, running_gateway

if TYPE_CHECKING:
    from tickcast.gateway.auth.guests import Guest
    from tickcast.gateway.clients import Clients
    from tickcast.gateway.session import Session

MESSAGE_MAX: Final = 16 << 20
"""Bytes of the largest message that is echoed, as the published cases have it."""
QUIET_S: Final = 3600.0
"""No heartbeat and no ping of ours: a suite expects its own messages back and nothing else."""
HEAD_MAX: Final = 16_384
HEAD_END: Final = b"\r\n\r\n"


def echo_config(message_max: int = MESSAGE_MAX) -> Config:
    """Settings of the gateway for an echo."""
    return Config(
        port=0,
        frame_max=message_max,
        requests_per_second=1_000_000,
        ping_interval_s=QUIET_S,
        heartbeat_s=QUIET_S,
        request_timeout_s=60.0,
    )


class EchoSession:
    """Answers a message with itself; what is no message stays with the session of the gateway."""

    __slots__ = ("_clients", "_inner", "_stream")
    opcode = TEXT

    def __init__(self, clients: "Clients", stream: "EchoStream", inner: "Session") -> None:
        self._clients = clients
        self._stream = stream
        self._inner = inner

    def request(self, payload: bytes, now_ns: int) -> CloseCode | None:
        """Send a text back, as the gateway sends its replies."""
        del now_ns
        self._clients.hub.reply(self._stream.client, payload)
        return None

    def echo_binary(self, payload: bytes, now_ns: int) -> None:
        """Send a binary message back, behind everything that was queued before it."""
        self._clients.flush(self._stream.client, now_ns)
        self._stream.write(_head(BINARY, len(payload)) + payload)

    def heartbeat(self, now_ns: int) -> None:
        """Say nothing."""

    def __getattr__(self, name: str) -> Any:
        """Leave pings, the end and all else to the session of the gateway."""
        return getattr(self._inner, name)


class EchoStream(StreamProtocol):
    """A client of ``/stream`` whose messages come back."""

    __slots__ = ("_echo",)

    def open(self, transport: asyncio.Transport, accepted: Accepted, guest: "Guest | None" = None) -> None:
        """Take a connection over, with an echo in the session's place."""
        guest = guest or self._clients.guests.enter(ANYONE, lambda _reason: None)
        super().open(transport, accepted, guest)
        inner = self._session
        assert inner is not None  # opened just above
        self._echo = EchoSession(self._clients, self, inner)
        self._session = cast("Session", self._echo)

    def _serve(self, opcode: int, payload: bytes, now_ns: int) -> None:
        if opcode == BINARY and not self.closing:
            self._echo.echo_binary(payload, now_ns)
            return
        super()._serve(opcode, payload, now_ns)


class _Opening(asyncio.Protocol):
    """Reads the head of the handshake and hands the connection over."""

    def __init__(self, clients: "Clients") -> None:
        self._clients = clients
        self._head = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None  # asyncio calls connection_made first
        self._head += data
        head, found, rest = self._head.partition(HEAD_END)
        if not found:
            if len(self._head) > HEAD_MAX:
                self._transport.abort()
            return
        method, target, headers = _parse(head)
        outcome = negotiate(method, target, headers, self._clients.config)
        if isinstance(outcome, Rejected):
            self._transport.write(answer(outcome.status, outcome.detail, outcome.headers))
            self._transport.close()
            return
        stream = EchoStream(self._clients)
        stream.open(self._transport, outcome)
        if rest:
            stream.data_received(rest)


def _parse(head: bytes) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]]:
    first, *lines = head.split(b"\r\n")
    method, _, rest = first.partition(b" ")
    pairs = (line.partition(b":") for line in lines)
    return method, rest.partition(b" ")[0], [(name.strip().lower(), value.strip()) for name, _, value in pairs]


def _head(opcode: int, length: int) -> bytes:
    first = bytes((0x80 | opcode,))
    if length < 126:
        return first + bytes((length,))
    if length < 1 << 16:
        return first + b"\x7e" + length.to_bytes(2, "big")
    return first + b"\x7f" + length.to_bytes(8, "big")


class RunningEcho:
    """What :func:`running_echo` yields."""

    def __init__(self, gateway: RunningGateway, port: int) -> None:
        self.gateway = gateway
        self.url = f"http://127.0.0.1:{port}"
        self.stream_url = f"ws://127.0.0.1:{port}/stream"


@asynccontextmanager
async def running_echo(port: int = 0, *, message_max: int = MESSAGE_MAX) -> AsyncIterator[RunningEcho]:
    """Run an echo on loopback; port 0 takes a free one."""
    async with running_gateway(echo_config(message_max), unsent_max=4 * message_max + (1 << 20)) as gateway:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Opening(gateway.stage.clients), "127.0.0.1", port)
        try:
            yield RunningEcho(gateway, server.sockets[0].getsockname()[1])
        finally:
            server.close()


async def _serve_for_ever(port: int) -> None:
    async with running_echo(port) as echo:
        click.echo(echo.stream_url)
        await asyncio.get_running_loop().create_future()


@click.command()
@click.option("--port", default=0, show_default=True, help="Port on loopback; 0 takes a free one. It is printed.")
def main(port: int) -> None:
    """Echo every WebSocket message until interrupted."""
    try:
        uvloop.run(_serve_for_ever(port))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
