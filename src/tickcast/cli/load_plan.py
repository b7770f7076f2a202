"""What ``tickcast load`` shall do: checked, with the symbols found, and divided among processes."""

import base64
import fnmatch
import hashlib
import ipaddress
import os
import resource
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from tickcast.cli.instance import fetch_from
from tickcast.model.errors import StateError, UsageError

PER_PROCESS: Final = 15_000
"""Clients of one process: below the 20,000 descriptors that many systems allow."""
SPARE_DESCRIPTORS: Final = 64
PER_SOURCE: Final = 1_500
RATE_PER_SOURCE: Final = 150
"""Clients, and new connections a second, from one source address of loopback: within a gateway's limits by address."""
PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
PROCESSES_MAX: Final = 64
_PAGE: Final = 1_000
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

Spread = Literal["same", "round-robin", "zipf"]
LatencySource = Literal["server", "exchange", "ping"]
FIELDS: Final = (
    "price", "size", "side", "venue", "timestamp", "bid", "bid_size", "ask", "ask_size", "open", "high", "low",
    "prev_close", "volume", "change", "change_pct", "crossed", "legs",
)  # fmt: skip
"""Fields of the channel ``price`` that updates hold where none are named; ``server_timestamp`` comes beside them."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asked for."""

    url: str
    clients: int
    symbols: int
    names: tuple[str, ...] = ()
    spread: Spread = "same"
    codec: str = "json"
    channel: str = "price"
    depth: int | None = None
    interval: str | None = None
    mode: str | None = None
    rate: float | None = None
    fields: tuple[str, ...] | None = None
    strings: bool = False
    batch: bool = False
    latency: LatencySource = "server"
    connect_rate: float = 2_000
    churn: float = 0
    seed: int = 1
    timeout_s: float = 10
    reconnect: bool = True
    tries: int = 5
    sources: tuple[str, ...] = ()
    per_process: int | None = None
    token: str | None = None


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where the gateway is."""

    http: str
    address: str
    """Of its socket: ``127.0.0.1:8000`` or ``[::1]:8000``."""
    host: str
    """For the ``Host`` header."""
    path: str
    is_loopback: bool


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one process is told; ``native/crates/load/src/plan.rs`` says what each field means."""

    address: str
    host: str
    target: str
    sources: tuple[str, ...]
    key: str
    accept: str
    token: str
    codec: str
    clients: int
    first: int
    seed: int
    symbols: tuple[str, ...]
    each: int
    spread: Spread
    terms: dict[str, Any]
    every: bool
    replayed: bool
    exchange: bool
    connect_rate: float
    churn: float
    ping_ms: int
    timeout_ms: int
    reconnect: bool
    tries: int


def locate(url: str) -> Target:
    """Find the gateway's address.

    Raises:
        UsageError: it is no address of a gateway, is one of ``wss://``, or its host is unknown.
    """
    parts = urlsplit(url)
    if parts.scheme in {"wss", "https"}:
        raise UsageError(
            f"--url: expected ws:// or http://, found {parts.scheme}://: TLS is not spoken; nothing started"
        )
    try:
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host, port = None, 0
    if parts.scheme not in {"ws", "http"} or not host:
        raise UsageError(f"--url: expected an address such as ws://127.0.0.1:8000, found {url!r}; nothing started")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as wrong:
        raise UsageError(
            f"--url: expected a host that exists, found {host!r}: {wrong.strerror}; nothing started"
        ) from None
    address = ipaddress.ip_address(str(found[4][0]).partition("%")[0])
    text = f"[{address}]" if address.version == 6 else str(address)
    path = parts.path.rstrip("/").removesuffix("/stream")
    return Target(
        http=f"http://{parts.netloc}{path}",
        address=f"{text}:{port}",
        host=parts.netloc.rpartition("@")[2],
        path=f"{path}/stream",
        is_loopback=address.is_loopback,
    )


def listed(http: str, token: str | None = None) -> list[str]:
    """All symbols of the instance.

    Raises:
        StateError: no tickcast gateway answers there.
    """
    names: list[str] = []
    cursor = ""
    while True:
        query = urlencode({"limit": _PAGE, "cursor": cursor} if cursor else {"limit": _PAGE})
        path = f"{urlsplit(http).path}/symbols?{query}"
        page = fetch_from(http, path, token=token)
        try:
            names += [entry["symbol"] for entry in page["symbols"]]
            following = page["next"]
        except (KeyError, TypeError):
            raise StateError(
                f"expected a tickcast gateway at {http}, found a server whose /symbols is another"
            ) from None
        if not following or following == cursor:
            return names
        cursor = following


def chosen(http: str, asked: Asked) -> tuple[str, ...]:
    """Symbols that clients choose from: those named, in their order, or all that the instance has.

    Raises:
        StateError: no tickcast gateway answers there.
        UsageError: it has none of a name or pattern, or has too few.
    """
    known = listed(http, asked.token)
    if not asked.names:
        if not known:
            raise StateError(f"expected symbols at {http}, found none yet; try again when its feeds are connected")
        return tuple(known)
    found: dict[str, None] = {}
    existing = set(known)
    missing = []
    for name in asked.names:
        matches = [name] if name in existing else fnmatch.filter(known, name)
        if not matches:
            missing.append(name)
        found.update(dict.fromkeys(matches))
    if missing:
        raise UsageError(
            f"--symbol: expected symbols that the gateway lists, found none of: {', '.join(missing)}; nothing started"
        )
    return tuple(found)


def divide(asked: Asked, target: Target, symbols: Sequence[str]) -> list[Plan]:
    """Make a plan for each process.

    Raises:
        UsageError: the system has too few descriptors or ports, or the codec is unknown.
    """
    processes = _processes(asked)
    sources = _sources(asked, target)
    key = base64.b64encode(os.urandom(16)).decode()
    accept = base64.b64encode(hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()).decode()
    plans = []
    first = 0
    for number in range(processes):
        clients = asked.clients // processes + (number < asked.clients % processes)
        share = clients / asked.clients
        plans.append(
            Plan(
                address=target.address,
                host=target.host,
                target=_target(asked, target),
                sources=sources,
                key=key,
                accept=accept,
                token=asked.token or "",
                codec=asked.codec,
                clients=clients,
                first=first,
                seed=asked.seed,
                symbols=tuple(symbols),
                each=min(asked.symbols, len(symbols)),
                spread=asked.spread,
                terms=_terms(asked),
                every=asked.channel == "trades" or asked.mode == "all",
                replayed=asked.channel == "trades",
                exchange=asked.latency == "exchange",
                connect_rate=asked.connect_rate * share,
                churn=asked.churn * share,
                ping_ms=100 * processes,
                timeout_ms=round(asked.timeout_s * 1000),
                reconnect=asked.reconnect,
                tries=asked.tries,
            )
        )
        first += clients
    return plans


def _terms(asked: Asked) -> dict[str, Any]:
    """Keys of the request to watch; what was not asked for is left to the gateway."""
    fields = asked.fields
    if asked.channel == "price" and asked.latency == "server":
        fields = tuple(dict.fromkeys((*(FIELDS if fields is None else fields), "server_timestamp")))
    terms = {
        "channel": asked.channel,
        "depth": asked.depth,
        "interval": asked.interval,
        "mode": asked.mode,
        "rate": asked.rate,
        "fields": fields,
    }
    return {name: value for name, value in terms.items() if value is not None}


def _target(asked: Asked, target: Target) -> str:
    query = {"numbers": "string"} if asked.strings else {}
    query |= {"batch": "1"} if asked.batch else {}
    query |= {"compact": "1"} if asked.codec == "compact" else {}
    path = quote(target.path)
    return f"{path}?{urlencode(query)}" if query else path


def _processes(asked: Asked) -> int:
    """How many processes, by the descriptors that each may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = PER_PROCESS + SPARE_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard
    per_process = asked.per_process or max(1, min(PER_PROCESS, room - SPARE_DESCRIPTORS))
    processes = -(-asked.clients // per_process)
    needed = -(-asked.clients // processes) + SPARE_DESCRIPTORS
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise UsageError(
            f"--per-process {per_process}: expected {needed} open files for a process, found a hard limit of {hard} "
            f"(ulimit -Hn); nothing started"
        )
    if processes > PROCESSES_MAX:
        raise UsageError(
            f"--clients {asked.clients}: expected at most {PROCESSES_MAX} processes, found {processes} of "
            f"{per_process} clients each (hard limit of open files: {hard}); nothing started"
        )
    return processes


def _sources(asked: Asked, target: Target) -> tuple[str, ...]:
    """Local addresses to connect from: those given; on loopback as many as there are ports for."""
    is_v6 = target.address.startswith("[")
    if asked.sources:
        sources = asked.sources
        for text in sources:
            try:
                address = ipaddress.ip_address(text)
            except ValueError:
                raise UsageError(
                    f"--source: expected an address such as 127.0.0.2, found {text!r}; nothing started"
                ) from None
            if (address.version == 6) != is_v6:
                raise UsageError(
                    f"--source: expected an address of the kind of {target.address}, found {text}; nothing started"
                )
    elif target.is_loopback and not is_v6:
        at_once = min(asked.clients, round(asked.connect_rate))
        count = max(-(-asked.clients // PER_SOURCE), -(-at_once // RATE_PER_SOURCE))
        sources = tuple(f"127.0.0.{2 + number}" for number in range(min(250, count)))
    else:
        sources = ()
    room = _ports() * max(1, len(sources))
    if asked.clients > room:
        raise UsageError(
            f"--clients {asked.clients}: expected as many free ports, found {room} on {max(1, len(sources))} source "
            f"addresses; give more with --source; nothing started"
        )
    return sources


def _ports() -> int:
    """Ports that the system hands out for connections from one address to one address."""
    try:
        low, high = PORTS.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return 16_384  # IANA's range, where the system does not say
    return int(high) - int(low) + 1
