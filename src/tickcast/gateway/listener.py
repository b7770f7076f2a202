"""The listening socket: bound once, by whoever starts first, and inherited by the processes that accept from it."""

import errno
import socket
from typing import Final

from tickcast.gateway.auth.admission import check_door
from tickcast.gateway.config import Config
from tickcast.model.errors import UsageError

BACKLOG: Final = 4096
"""Connections that wait to be accepted; the kernel may allow fewer (net.core.somaxconn)."""


def bind(config: Config) -> socket.socket:
    """Take the address; connections are refused until somebody listens on the socket.

    Raises:
        UsageError: the address cannot be listened on, or others reach it and nobody said who may come in.
    """
    check_door(config.auth, config.host)
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


def inherit(number: int) -> socket.socket:
    """Take over a listening socket that the parent process bound and passed on as descriptor ``number``.

    Raises:
        UsageError: it is no TCP socket.
    """
    try:
        listener = socket.socket(fileno=number)
    except OSError as wrong:
        raise UsageError(
            f"--listen-fd {number}: expected a socket that was passed on, found none: {wrong.strerror}"
        ) from wrong
    if listener.type != socket.SOCK_STREAM or listener.family not in {socket.AF_INET, socket.AF_INET6}:
        listener.detach()
        raise UsageError(f"--listen-fd {number}: expected a TCP socket, found another; start without it to bind one")
    listener.set_inheritable(False)
    listener.setblocking(False)  # noqa: FBT003
    return listener


def address_of(listener: socket.socket, *, is_tls: bool = False) -> str:
    """``http://host:port`` of a bound socket, or ``https``."""
    host, port = listener.getsockname()[:2]
    scheme = "https" if is_tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
