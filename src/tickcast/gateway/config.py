"""Settings of the gateway: the address, who may connect, and the limits of one client."""

import ipaddress
from typing import Final, Literal

import msgspec

from tickcast.gateway.auth.config import Config as AuthConfig

WORKERS_MAX: Final = 64
"""More than any machine has cores for."""


class SocketIoConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[gateway.socketio]``: the Socket.IO dialect."""

    mode: Literal["off", "memory", "rooms", "redis"] = "off"
    """How clients of Socket.IO are served at ``/socket.io``. ``off``: not at all. ``memory``: each at its own pace.
    ``rooms``: one stream for all who watch the same. ``redis``: such rooms over several nodes, and subscriptions that
    outlive a node. All but ``off`` need the extra: ``pip install 'tickcast[socketio]'``."""
    redis_url: str = "redis://127.0.0.1:6379/0"
    """Where Redis is, in the mode ``redis``."""
    redis_prefix: str = "tickcast"
    """What the names of all keys and channels in Redis begin with: nodes that work together have the same."""
    remember_s: float = 120.0
    """How long the subscriptions of a client that is gone are kept in Redis."""

    def __post_init__(self) -> None:
        """Refuse values that no gateway could run with.

        Raises:
            ValueError: names the field, what is allowed and what was found.
        """
        if not self.redis_url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("redis_url: expected one that begins with redis://, rediss:// or unix://")
        if not self.redis_prefix:
            raise ValueError("redis_prefix: expected a text, found none")
        if not self.remember_s >= 1:
            raise ValueError(f"remember_s: expected at least 1 second, found {self.remember_s:g}")


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[gateway]`` of the config file."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8000
    """Port to listen on; 0 takes a free one."""
    origins: tuple[str, ...] = ()
    """Web origins (``https://app.example``) besides our own and those of this machine whose pages may use the stream
    and read REST; ``*`` allows all."""
    hosts: tuple[str, ...] = ()
    """Names under which the gateway is reached (``prices.example``), besides ``localhost`` and addresses. Where it
    listens on a loopback address, requests for other names are refused, so that a foreign page cannot reach it by a
    name of its own; elsewhere all names are taken while the list is empty."""
    tls_certificate: str | None = None
    """PEM file with the certificate and its chain: the gateway speaks ``https`` and ``wss`` only. The file is loaded
    anew when it changes."""
    tls_key: str | None = None
    """PEM file with the private key of ``tls_certificate``, not encrypted."""
    workers: int = 0
    """Gateway processes that share the port (``tickcast up --gateways``); 0: the core serves clients itself."""
    connections_max: int = 100_000
    """Stream clients of one process at one time; further handshakes are answered with 503, or by another worker."""
    connections_per_address_max: int = 2_000
    """Connections one address may hold at all workers together (an IPv6 /64 is one address); further ones are answered
    with 429. 0: no limit."""
    handshakes_per_second_per_address: int = 200
    """Stream handshakes of one address at all workers together, in the long run and at once; further ones are answered
    with 429. 0: no limit."""
    addresses_exempt: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks whose addresses have no such limits: this machine, and the proxies in front of the gateway."""
    symbols_max: int = 1000
    """Symbols one connection may watch in each channel."""
    patterns_max: int = 20
    """Patterns (``XNAS:*``) that one connection may watch, so that instruments listed later join."""
    frame_max: int = 65_536
    """Bytes of one message from a client; a larger one closes with 1009."""
    requests_per_second: int = 20
    """Requests a client may send, in the long run and at once; further ones are refused."""
    head_max: int = 16_384
    """Bytes of a request's head (its first line and headers)."""
    handshake_timeout_s: float = 10.0
    """Time to finish the head of the first request."""
    send_buffer: int = 262_144
    """Bytes the kernel may hold for one connection (SO_SNDBUF); what a slow client gets late is at most this old."""
    request_timeout_s: float = 30.0
    """Time to finish a frame, or a HTTP request."""
    ping_interval_s: float = 45.0
    """Time between protocol pings; a client that sent nothing from one to the next is closed."""
    heartbeat_s: float = 15.0
    """A client that got no message for this long gets a heartbeat."""
    poll_wait_max_s: float = 60.0
    """Longest time that a request for prices may wait for news (``/prices?wait=``)."""
    close_timeout_s: float = 5.0
    """Time a client has to answer a close before the connection is cut."""
    drain_jitter_s: float = 5.0
    """When the gateway stops, it asks each client to come back after a time of its own between 0 and this."""
    socketio: SocketIoConfig = SocketIoConfig()
    """The Socket.IO dialect."""
    auth: AuthConfig = AuthConfig()
    """Who may connect, and what they may see."""

    def __post_init__(self) -> None:
        """Refuse values that no gateway could run with.

        Raises:
            ValueError: names the field, what is allowed and what was found.
        """
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"port: expected 0 to 65535, found {self.port}")
        for name in (
            "connections_max",
            "symbols_max",
            "patterns_max",
            "frame_max",
            "requests_per_second",
            "head_max",
            "send_buffer",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, found {getattr(self, name)}")
        for name in (
            "handshake_timeout_s", "request_timeout_s", "ping_interval_s", "heartbeat_s", "close_timeout_s",
            "poll_wait_max_s",
        ):  # fmt: skip
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected more than 0 seconds, found {getattr(self, name)}")
        for origin in self.origins:
            if origin not in {"*", "null"} and (not origin.startswith(("http://", "https://")) or origin.endswith("/")):
                raise ValueError(f"origins: expected entries such as https://app.example, found {origin!r}")
        self._check_sharing()

    def _check_sharing(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate: expected both tls_certificate and tls_key, or neither; found one")
        for name in (
            "connections_per_address_max", "handshakes_per_second_per_address", "drain_jitter_s",
        ):  # fmt: skip
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}: expected 0 or more, found {getattr(self, name)}")
        if not 0 <= self.workers <= WORKERS_MAX:
            raise ValueError(f"workers: expected 0 to {WORKERS_MAX}, found {self.workers}")
        for network in self.addresses_exempt:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError:
                raise ValueError(
                    f"addresses_exempt: expected networks such as 10.1.0.0/16, found {network!r}"
                ) from None
