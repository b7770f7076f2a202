"""The opening handshake of ``/stream`` (RFC 6455 section 4.2): a request head in, an answer out. Pure.

Subprotocols: those of :data:`~tickcast.gateway.codecs.SPOKEN`. A client that offers none gets JSON; of several the
first that we speak is confirmed, since the order is the client's preference. One that offers nothing but names of our
family that this gateway does not speak is refused with 400, since it could not read what we send; names that are not
ours are left unanswered, as section 4.2.2 says.
"""

import base64
import binascii
import hashlib
import ipaddress
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from tickcast.gateway.codecs import COMPACT, FAMILY, JSON, MSGPACK, SPOKEN, Codec
from tickcast.gateway.config import Config

PATH: Final = "/stream"
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

Headers = Sequence[tuple[bytes, bytes]]


class Accepted(NamedTuple):
    """The client is welcome: the 101 answer, and what its address asked for."""

    answer: bytes
    codec: Codec
    strings: bool
    batch: bool
    ticket: str = ""
    """That says who it is."""


class Rejected(NamedTuple):
    """The client is not: status, what it should know, headers of the answer."""

    status: int
    detail: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


def negotiate(
    method: bytes, target: bytes, headers: Headers, config: Config, *, path: str = PATH
) -> Accepted | Rejected:
    """Answer an upgrade request to ``path``."""
    address = urlsplit(target.decode("latin-1"))
    query = parse_qs(address.query, keep_blank_values=True)
    numbers = query.get("numbers", ["number"])[-1]
    batch = query.get("batch", ["0"])[-1]
    compact = query.get("compact", ["0"])[-1]
    refusal = (
        _refuse_address(method, address.path, headers, config, expected=path)
        or _refuse_opening(headers)
        or _refuse_query(numbers, batch, compact)
    )
    if refusal is not None:
        return refusal
    name = next((name for name in _tokens(headers, b"sec-websocket-protocol") if name in SPOKEN), None)
    codec = JSON if name is None else SPOKEN[name]
    if codec is MSGPACK and compact == "1":
        codec = COMPACT
    key = one_header(headers, b"sec-websocket-key")
    answer = [
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ",
        base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest()),
        b"\r\n",
    ]
    if name is not None:
        answer.append(b"sec-websocket-protocol: " + name.encode() + b"\r\n")
    answer.append(b"\r\n")
    ticket = query.get("ticket", [""])[-1]
    return Accepted(b"".join(answer), codec, strings=numbers == "string", batch=batch == "1", ticket=ticket)


def _refuse_address(method: bytes, path: str, headers: Headers, config: Config, *, expected: str) -> Rejected | None:
    """Refuse what is not for us or not from an origin of ours."""
    if path != expected:
        return Rejected(404, f"expected a WebSocket at {expected}, found {path[:80]}")
    if method != b"GET":
        return Rejected(405, f"expected GET, found {method.decode('latin-1')[:20]}", ((b"allow", b"GET"),))
    return refuse_site(headers, config)


def refuse_site(headers: Headers, config: Config) -> Rejected | None:
    """Refuse a request for data that a page makes which has no business here; None: it may."""
    if not host_allowed(headers, config):
        return Rejected(421, host_refusal(headers))
    if not origin_allowed(headers, config):
        origin = one_header(headers, b"origin").decode("latin-1")[:120]
        return Rejected(403, f"origin {origin} is not allowed; the operator can list it in gateway.origins")
    if one_header(headers, b"sec-fetch-site") == b"cross-site" and not any(name == b"origin" for name, _ in headers):
        return Rejected(403, "a page of another site may not ask for this without saying which one it is (CORS)")
    return None


def cors_of(headers: Headers, config: Config) -> Iterator[tuple[bytes, bytes]]:
    """Headers of an answer that let an allowed page read it."""
    origin = one_header(headers, b"origin")
    if "*" in config.origins:
        yield b"access-control-allow-origin", b"*"
    elif origin and origin_allowed(headers, config):
        yield b"access-control-allow-origin", origin
        yield b"vary", b"origin"


def _refuse_opening(headers: Headers) -> Rejected | None:
    """Refuse what breaks RFC 6455 or asks for what we do not speak."""
    if one_header(headers, b"sec-websocket-version") != b"13":
        return Rejected(426, "expected Sec-WebSocket-Version 13", ((b"sec-websocket-version", b"13"),))
    if not _is_key(one_header(headers, b"sec-websocket-key")):
        return Rejected(400, "expected one Sec-WebSocket-Key of 16 bytes in base64")
    offered = _tokens(headers, b"sec-websocket-protocol")
    if offered and not any(name in SPOKEN for name in offered) and all(name.startswith(FAMILY) for name in offered):
        return Rejected(
            400, f"expected one of the subprotocols {', '.join(SPOKEN)}, or none; found {', '.join(offered)[:120]}"
        )
    return None


def _refuse_query(numbers: str, batch: str, compact: str) -> Rejected | None:
    if numbers not in {"number", "string"}:
        return Rejected(400, f"numbers: expected number or string, found {numbers[:40]!r}")
    if batch not in {"0", "1"}:
        return Rejected(400, f"batch: expected 0 or 1, found {batch[:40]!r}")
    if compact not in {"0", "1"}:
        return Rejected(400, f"compact: expected 0 or 1, found {compact[:40]!r}")
    return None


def host_allowed(headers: Headers, config: Config) -> bool:
    """Whether the request is for a name of ours (a page of a foreign name that resolves to us is not)."""
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1:
        return False
    host = _host_name(hosts[0].decode("latin-1"))
    if not host:
        return False
    if _is_local(host) or _is_address(host) or host in config.hosts:
        return True
    return not config.hosts and not _is_local(config.host)


def host_refusal(headers: Headers) -> str:
    """Say why :func:`host_allowed` refused."""
    hosts = [value.decode("latin-1")[:80] for name, value in headers if name == b"host"]
    found = ", ".join(hosts) or "none"
    return f"expected one Host header with localhost, an address, or a name in gateway.hosts; found {found}"


def origin_allowed(headers: Headers, config: Config) -> bool:
    """Whether the request comes from no page, or from one that may use us."""
    origin = one_header(headers, b"origin").decode("latin-1").lower()
    if not any(name == b"origin" for name, _ in headers) or "*" in config.origins or origin in config.origins:
        return True
    parts = urlsplit(origin) if origin.startswith(("http://", "https://")) else None
    if parts is None or not parts.netloc:
        return False
    return parts.netloc == one_header(headers, b"host").decode("latin-1").lower() or _is_local(_host_name(parts.netloc))


def _host_name(netloc: str) -> str:
    """Host of ``host[:port]`` in lower case; empty if it is none."""
    try:
        return (urlsplit(f"//{netloc}").hostname or "") if "@" not in netloc and "/" not in netloc else ""
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_local(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def _is_key(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False


def one_header(headers: Headers, wanted: bytes) -> bytes:
    """Value of a header that comes once; empty if it is missing or comes more often."""
    values = [value for name, value in headers if name == wanted]
    return values[0].strip() if len(values) == 1 else b""


def _tokens(headers: Headers, wanted: bytes) -> list[str]:
    text = b",".join(value for name, value in headers if name == wanted).decode("latin-1")
    return [token.strip() for token in text.split(",") if token.strip()]
