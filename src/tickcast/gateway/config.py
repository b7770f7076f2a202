"""Settings of the gateway: the address, who may connect, and the limits of one client."""

import msgspec


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
    connections_max: int = 100_000
    """Stream clients at one time; further handshakes are answered with 503."""
    symbols_max: int = 1000
    """Symbols one connection may watch in each channel."""
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
    close_timeout_s: float = 5.0
    """Time a client has to answer a close before the connection is cut."""

    def __post_init__(self) -> None:
        """Refuse values that no gateway could run with.

        Raises:
            ValueError: names the field, what is allowed and what was found.
        """
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"port: expected 0 to 65535, found {self.port}")
        for name in ("connections_max", "symbols_max", "frame_max", "requests_per_second", "head_max", "send_buffer"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, found {getattr(self, name)}")
        for name in (
            "handshake_timeout_s", "request_timeout_s", "ping_interval_s", "heartbeat_s", "close_timeout_s",
        ):  # fmt: skip
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected more than 0 seconds, found {getattr(self, name)}")
        for origin in self.origins:
            if origin not in {"*", "null"} and (not origin.startswith(("http://", "https://")) or origin.endswith("/")):
                raise ValueError(f"origins: expected entries such as https://app.example, found {origin!r}")
