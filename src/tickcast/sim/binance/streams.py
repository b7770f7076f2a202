"""The WebSocket side of the dialect: connections, subscriptions, requests, and one write per client and slice."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
import picows

from tickcast.ports import Clock
from tickcast.runtime.log import get_logger
from tickcast.sim.config import BinanceConfig
from tickcast.sim.faults import FaultGate

log = get_logger("sim")

_METHODS: Final = "`SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`"
_SECOND_NS: Final = 1_000_000_000
LINE: Final = "ws"
"""Name of the WebSocket side among the venue's lines."""


def text_frame(payload: bytes) -> bytes:
    """Return an unmasked, final WebSocket text frame (RFC 6455 section 5.2)."""
    length = len(payload)
    if length < 126:
        return bytes((0x81, length)) + payload
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload


def frame_head(frame: bytes) -> int:
    """Return where the payload of a server's frame begins."""
    return {126: 4, 127: 10}.get(frame[1] & 0x7F, 2)


class StreamClient(picows.WSListener):
    """One WebSocket connection."""

    def __init__(self, server: "StreamServer", *, combined: bool, streams: list[str]) -> None:
        super().__init__()
        self._server = server
        self.combined = combined
        self.streams: dict[str, None] = dict.fromkeys(streams)
        self.transport: Any = None
        self.pending: list[bytes] = []
        self._window_ns = 0
        self._window_count = 0
        self.closing = False

    def on_ws_connected(self, transport: Any) -> None:
        """Join; too many connections or streams end it."""
        self.transport = transport
        self._server.joined(self)

    def on_ws_disconnected(self, transport: Any) -> None:
        """Leave."""
        del transport
        self._server.left(self)
        self.transport = None

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        """Answer a request; a client over its limit of messages is closed."""
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
            return
        if self.closing:
            return
        if frame.msg_type == picows.WSMsgType.PING and not self._server.faults.stalled(LINE):
            transport.send_pong(frame.get_payload_as_bytes())
        now = self._server.now_ns()
        if now - self._window_ns >= _SECOND_NS:
            self._window_ns, self._window_count = now, 0
        self._window_count += 1
        if self._window_count > self._server.config.requests_per_s:
            self._server.counters["over_limit"] += 1
            self.close(1008, "Too many requests")
            return
        if frame.msg_type in {picows.WSMsgType.TEXT, picows.WSMsgType.BINARY}:
            self.pending.append(text_frame(self._server.answer(self, frame.get_payload_as_bytes())))
            self._server.flush_client(self)

    def close(self, code: int, reason: str) -> None:
        """Close with a code."""
        self.closing = True
        if self.transport is not None:
            self.transport.send_close(picows.WSCloseCode(code), reason.encode())
            self.transport.disconnect()


class StreamServer:
    """Subscriptions by stream name; a payload is written once, raw and combined, for all who want it."""

    def __init__(self, venue: str, config: BinanceConfig, *, now_ns: Clock, faults: FaultGate | None = None) -> None:
        self.venue = venue
        self.faults = faults or FaultGate(now_ns=now_ns)
        self.config = config
        self.now_ns = now_ns
        self.counters = {"connections": 0, "slow": 0, "over_limit": 0, "refused": 0, "frames": 0}
        self.on_subscribed: Callable[[], None] | None = None
        self.wanted: set[str] = set()
        self._subscribers: defaultdict[str, set[StreamClient]] = defaultdict(set)
        self._clients: set[StreamClient] = set()
        self._dirty: dict[StreamClient, None] = {}
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> str:
        """Listen; returns the URL."""
        self._server = await picows.ws_create_server(
            self._upgrade,
            host,
            port,
            enable_auto_pong=False,
            enable_auto_ping=self.config.ping_s > 0,
            auto_ping_idle_timeout=self.config.ping_s,
            auto_ping_reply_timeout=self.config.ping_s,
            auto_ping_strategy=picows.WSAutoPingStrategy.PING_PERIODICALLY,
            max_frame_size=1 << 20,
        )
        bound = self._server.sockets[0].getsockname()
        return f"ws://{bound[0]}:{bound[1]}"

    async def stop(self) -> None:
        """Close everybody (1001) and stop listening."""
        if self._server is not None:
            self._server.close()
        self.close_clients()

    def disconnect(self) -> None:
        """Cut every connection, without a close frame."""
        for client in list(self._clients):
            client.closing = True
            if client.transport is not None:
                client.transport.underlying_transport.abort()

    def close_clients(self) -> None:
        """Close everybody (1001); they may come back."""
        for client in list(self._clients):
            client.close(1001, "going away")

    @property
    def unsent(self) -> int:
        """Most bytes that wait for one client."""
        open_ones = (one.transport for one in self._clients if one.transport is not None)
        return max((one.underlying_transport.get_write_buffer_size() for one in open_ones), default=0)

    # ------------------------------------------------------------------ connections

    def _upgrade(self, request: Any) -> Any:
        status = None
        if self.faults.refuses_connection(LINE):
            status = HTTPStatus.SERVICE_UNAVAILABLE
        elif self.faults.refuses_login(LINE):
            status = HTTPStatus.FORBIDDEN
        if status is not None:
            refused = picows.WSUpgradeResponse.create_error_response(status)
            return picows.WSUpgradeResponseWithListener(refused, None)
        parts = urlsplit(request.path.decode("latin-1"))
        if parts.path.rstrip("/") == "/stream":
            named = parse_qs(parts.query).get("streams", [""])[0]
            return StreamClient(self, combined=True, streams=[name for name in named.split("/") if name])
        if parts.path == "/ws" or parts.path.startswith("/ws/"):
            return StreamClient(self, combined=False, streams=[unquote(n) for n in parts.path[4:].split("/") if n])
        return None

    def joined(self, client: StreamClient) -> None:
        """Take a connection and the streams its address names."""
        if len(self._clients) >= self.config.clients_max or len(client.streams) > self.config.streams_max:
            self.counters["refused"] += 1
            client.close(1008, "too many connections or streams")
            return
        self.counters["connections"] += 1
        self._clients.add(client)
        self._subscribe(client, list(client.streams))

    def left(self, client: StreamClient) -> None:
        """Forget a connection."""
        self._clients.discard(client)
        self.faults.forget(client)
        self._dirty.pop(client, None)
        self._unsubscribe(client, list(client.streams))

    def _subscribe(self, client: StreamClient, names: list[str]) -> None:
        for name in names:
            client.streams[name] = None
            self._subscribers[name].add(client)
            self.wanted.add(name)
        if names and self.on_subscribed is not None:
            first, self.on_subscribed = self.on_subscribed, None
            first()

    def _unsubscribe(self, client: StreamClient, names: list[str]) -> None:
        for name in names:
            client.streams.pop(name, None)
            members = self._subscribers.get(name)
            if members is not None:
                members.discard(client)
                if not members:
                    del self._subscribers[name]
                    self.wanted.discard(name)

    # ------------------------------------------------------------------ requests

    def answer(self, client: StreamClient, payload: bytes) -> bytes:
        """Carry out one request and write its reply."""
        try:
            request = msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _error(3, "Invalid JSON: expected value at line 1 column 1")
        if not isinstance(request, dict) or "method" not in request:
            return _error(2, "Invalid request: missing field `method` at line 1 column 1")
        return self._carry_out(client, request)

    def _carry_out(self, client: StreamClient, request: dict[str, Any]) -> bytes:
        number = request.get("id")
        if isinstance(number, bool) or not isinstance(number, int | str | None):
            return _error(2, "Invalid request: request ID must be an unsigned integer")
        method, names = request["method"], request.get("params", [])
        if method in {"SUBSCRIBE", "UNSUBSCRIBE"}:
            return self._change(client, method, names, number)
        if method == "LIST_SUBSCRIPTIONS":
            return _result(list(client.streams), number)
        if method in {"SET_PROPERTY", "GET_PROPERTY"}:
            return self._property(client, method, names, number)
        return _error(2, f"Invalid request: unknown variant `{method}`, expected one of {_METHODS} at line 1 column 1")

    def _change(self, client: StreamClient, method: str, names: Any, number: int | str | None) -> bytes:
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            return _error(2, "Invalid request: params must be a list of stream names")
        if method == "UNSUBSCRIBE":
            self._unsubscribe(client, names)
        elif len({*client.streams, *names}) > self.config.streams_max:
            return _error(2, "Invalid request: too many streams")
        else:
            self._subscribe(client, names)
        return _result(None, number)

    def _property(self, client: StreamClient, method: str, parameters: Any, number: int | str | None) -> bytes:
        if not isinstance(parameters, list) or not parameters or not isinstance(parameters[0], str):
            return _error(2, "Invalid request: property name must be a string")
        if parameters[0] != "combined":
            return msgspec.json.encode({"code": 0, "msg": "Unknown property", "id": number})
        if method == "GET_PROPERTY":
            return _result(client.combined, number)
        if len(parameters) != 2 or not isinstance(parameters[1], bool):
            return _error(1, "Invalid value type: expected Boolean")
        client.combined = parameters[1]
        return _result(None, number)

    # ------------------------------------------------------------------ sending

    def send(self, stream: str, payload: bytes) -> None:
        """Queue a payload for the stream's subscribers until :meth:`flush`."""
        self._queue(stream, payload, b"")

    def send_verbatim(self, stream: str, *, combined: bytes, raw: bytes) -> None:
        """As :meth:`send`, with the combined form as it was recorded."""
        self._queue(stream, raw, combined)

    def _queue(self, stream: str, payload: bytes, verbatim: bytes) -> None:
        members = self._subscribers.get(stream)
        if not members:
            return
        raw = combined = b""
        for client in members:
            if client.closing:
                continue
            if client.combined:
                combined = combined or text_frame(verbatim or _combine(stream, payload))
            else:
                raw = raw or text_frame(payload)
            client.pending.append(combined if client.combined else raw)
            self._dirty[client] = None
            self.counters["frames"] += 1

    def flush(self) -> None:
        """Write what is queued, one write per client."""
        dirty, self._dirty = self._dirty, {}
        if self.faults.busy:
            # what was held back may be due for those who get nothing new
            dirty = dict.fromkeys(self._clients)
        for client in dirty:
            self.flush_client(client)

    def flush_client(self, client: StreamClient) -> None:
        """Write what is queued for one client; close it if it is too slow."""
        data = b"".join(self.faults.pass_units(client.pending, LINE, client))
        client.pending.clear()
        if not data or client.transport is None or client.closing:
            return
        transport = client.transport.underlying_transport
        transport.write(data)
        if transport.get_write_buffer_size() > self.config.unsent_bytes_max:
            self.counters["slow"] += 1
            client.closing = True
            log.warning("client too slow; closed", venue=self.venue)
            transport.abort()

    def state(self) -> dict[str, Any]:
        """Connections, streams, counters."""
        return {"clients": len(self._clients), "streams": len(self.wanted), **self.counters}


def _combine(stream: str, payload: bytes) -> bytes:
    return b'{"stream":"' + stream.encode() + b'","data":' + payload + b"}"


def _result(result: Any, number: int | str | None) -> bytes:
    return msgspec.json.encode({"result": result, "id": number})


def _error(code: int, reason: str) -> bytes:
    return msgspec.json.encode({"code": code, "msg": reason})
