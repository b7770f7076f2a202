"""The WebSocket shell of a simulated venue: connections in, frames out, one write per client and slice."""

import asyncio
from http import HTTPStatus
from typing import Any

import picows

from tickcast.ports import Clock
from tickcast.runtime.log import get_logger
from tickcast.sim.config import CryptoConfig
from tickcast.sim.crypto.state import Client
from tickcast.sim.crypto.venue import WEBSOCKET, SimVenue

log = get_logger("sim")


def text_frame(payload: bytes, *, binary: bool = False) -> bytes:
    """Return an unmasked, final WebSocket frame of text, or of binary data (RFC 6455 section 5.2)."""
    length, first = len(payload), b"\x82" if binary else b"\x81"
    if length < 126:
        return first + bytes((length,)) + payload
    if length < 65_536:
        return first + b"\x7e" + length.to_bytes(2, "big") + payload
    return first + b"\x7f" + length.to_bytes(8, "big") + payload


class _Listener(picows.WSListener):
    """One connection."""

    def __init__(self, server: "SocketServer", target: str) -> None:
        super().__init__()
        self._server, self._target = server, target
        self.client: Client | None = None
        self.transport: Any = None

    def on_ws_connected(self, transport: Any) -> None:
        """Join, by the path of the address."""
        self.transport = transport
        self._server.joined(self, self._target)

    def on_ws_disconnected(self, transport: Any) -> None:
        """Leave."""
        del transport
        self._server.left(self)
        self.transport = None

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        """Hand a frame on."""
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type == picows.WSMsgType.PING:
            self._server.pinged(self, frame.get_payload_as_bytes())
        elif frame.msg_type in {picows.WSMsgType.TEXT, picows.WSMsgType.BINARY}:
            self._server.said(self, frame.get_payload_as_bytes())


class SocketServer:
    """All WebSocket connections of one venue."""

    def __init__(self, venue: SimVenue, config: CryptoConfig, *, now_ns: Clock) -> None:
        self._venue, self._config, self._now_ns = venue, config, now_ns
        self._listeners: dict[Client, _Listener] = {}
        self._server: asyncio.Server | None = None
        self.slow = 0
        venue.on_cut = self._cut

    async def start(self, host: str, port: int) -> str:
        """Listen; returns the URL without a path."""
        self._server = await picows.ws_create_server(
            self._upgrade,
            host,
            port,
            enable_auto_pong=False,
            enable_auto_ping=self._venue.voice.house.pings and self._config.ping_s > 0,
            auto_ping_idle_timeout=self._config.ping_s,
            auto_ping_reply_timeout=self._config.ping_s,
            auto_ping_strategy=picows.WSAutoPingStrategy.PING_PERIODICALLY,
            max_frame_size=1 << 20,
        )
        bound = self._server.sockets[0].getsockname()
        return f"ws://{bound[0]}:{bound[1]}"

    async def stop(self) -> None:
        """Close everybody (1001) and stop listening."""
        if self._server is not None:
            self._server.close()
        self._venue.close_all()
        self.flush()

    def flush(self) -> None:
        """Write what is to be sent; close who is to be closed."""
        for client in self._venue.changed_clients():
            listener = self._listeners.get(client)
            if listener is not None:
                self._flush(client, listener)

    def _flush(self, client: Client, listener: _Listener) -> None:
        frames = self._venue.take(client)
        transport = listener.transport
        if transport is None:
            return
        if frames:
            is_binary = bool(self._venue.voice.packing)
            transport.underlying_transport.write(b"".join([text_frame(frame, binary=is_binary) for frame in frames]))
            if transport.underlying_transport.get_write_buffer_size() > self._config.unsent_bytes_max:
                self.slow += 1
                log.warning("client too slow; closed", venue=self._venue.name)
                self._venue.left(client)
                self._cut(client)
                return
        if client.close is not None:
            code, reason = client.close
            self._venue.left(client)
            self._listeners.pop(client, None)
            transport.send_close(picows.WSCloseCode(code), reason.encode())
            transport.disconnect()

    # ------------------------------------------------------------------ connections

    def _upgrade(self, request: Any) -> Any:
        target = request.path.decode("latin-1")
        status = self._venue.refusal(target)
        if len(self._listeners) >= self._config.clients_max:
            status = HTTPStatus.SERVICE_UNAVAILABLE
        if status is not None:
            self._venue.counters["refused"] += 1
            refused = picows.WSUpgradeResponse.create_error_response(status)
            return picows.WSUpgradeResponseWithListener(refused, None)
        return _Listener(self, target)

    def joined(self, listener: _Listener, target: str) -> None:
        """Take a connection."""
        client = self._venue.connect(target, self._now_ns())
        listener.client = client
        self._listeners[client] = listener
        self._flush(client, listener)

    def left(self, listener: _Listener) -> None:
        """Forget a connection."""
        if listener.client is not None:
            self._listeners.pop(listener.client, None)
            self._venue.left(listener.client)

    def said(self, listener: _Listener, frame: bytes) -> None:
        """Let the venue answer."""
        if listener.client is not None:
            self._venue.receive(listener.client, frame, self._now_ns())
            self._flush(listener.client, listener)

    def pinged(self, listener: _Listener, payload: bytes) -> None:
        """Answer the protocol's ping, unless the venue stalls."""
        if listener.client is not None:
            self._venue.alive(listener.client, self._now_ns())
            if not self._venue.faults.stalled(WEBSOCKET):
                listener.transport.send_pong(payload)

    def _cut(self, client: Client) -> None:
        listener = self._listeners.pop(client, None)
        if listener is not None and listener.transport is not None:
            listener.transport.underlying_transport.abort()
