"""How a command reaches a running instance: its data folder, control socket and gateway."""

import http.client
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import click
import msgspec

from tickcast.model.errors import StateError, UsageError
from tickcast.ops.control import ask
from tickcast.ops.datadir import DEFAULT, VARIABLE, DataDir

GATEWAY_TIMEOUT_S: Final = 3.0
TOKEN_VARIABLE: Final = "TICKCAST_TOKEN"  # noqa: S105  the name of a variable
_NOBODY: Final[Mapping[str, str]] = MappingProxyType({})
Command = TypeVar("Command", bound=Callable[..., Any])


def data_option(command: Command) -> Command:
    """``--data``: the command gets a :class:`DataDir` called ``data``."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        callback=lambda _context, _option, value: DataDir.resolve(value),
        help=f"Data folder of the instance (default: ${VARIABLE}, else ./{DEFAULT}).",
    )(command)


def token_option(command: Command) -> Command:
    """``--token-file``: the command gets ``token``, None without one. Never an argument: everybody sees those."""
    return click.option(
        "--token-file",
        "token",
        type=click.Path(path_type=Path, dir_okay=False),
        callback=lambda _context, _option, value: _token(value),
        help=f"File with the token that the gateway wants (default: ${TOKEN_VARIABLE}, else none).",
    )(command)


def _token(path: Path | None) -> str | None:
    if path is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as wrong:
        reason = wrong.strerror if isinstance(wrong, OSError) else "it is no text"
        raise UsageError(f"--token-file: cannot read {path}: {reason}") from None
    if not token or not token.isascii() or not token.isprintable():
        raise UsageError(f"--token-file: expected one line of ASCII in {path}, found something else")
    return token


def json_option(command: Command) -> Command:
    """``--json``: the command gets ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="JSON in place of a table.")(command)


def print_json(value: Any) -> None:
    """Write a result as JSON to standard output."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def gateway_address(data: DataDir) -> str:
    """Address of the instance's gateway, such as ``http://127.0.0.1:8000``.

    Raises:
        StateError: no instance runs there, or its core is not ready yet.
    """
    infos = ask(data, {"do": "info"})["processes"]
    if "core" in infos:
        for info in infos.values():
            if "http" in info:
                return str(info["http"])
    raise StateError(f"the gateway of the instance in {data} is not ready yet; see: tickcast ps --data {data}")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=GATEWAY_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def fetch(data: DataDir, path: str) -> Any:
    """GET a JSON document from the instance's core, over its socket: who may read the data folder may ask everything.

    Raises:
        StateError: no instance runs there, its core does not answer, or answers with an error.
    """
    try:
        return _get(_UnixConnection(data.socket("rest")), path, f"instance in {data}")
    except StateError:
        ask(data, {"do": "info"})  # says so if nothing runs there
        raise


def fetch_from(gateway: str, path: str, *, token: str | None = None) -> Any:
    """GET a JSON document from a gateway at ``http://host:port``, as any client does.

    Raises:
        StateError: it does not answer, or answers with an error.
    """
    place = urlsplit(gateway)
    link = http.client.HTTPConnection(place.hostname or "", place.port, timeout=GATEWAY_TIMEOUT_S)
    return _get(link, path, f"gateway at {gateway}", {"Authorization": f"Bearer {token}"} if token else {})


def _get(link: http.client.HTTPConnection, path: str, whom: str, access: Mapping[str, str] = _NOBODY) -> Any:
    try:
        link.request("GET", path, headers={"Accept": "application/json", **access})
        answer = link.getresponse()
        body = answer.read()
        if answer.status != 200:
            hint = "; name a file with a token that it takes: --token-file" if answer.status == 401 else ""
            raise StateError(f"the {whom} answers {path} with {answer.status} {answer.reason}{hint}")
        return msgspec.json.decode(body)
    except (OSError, http.client.HTTPException, msgspec.DecodeError) as wrong:
        raise StateError(f"the {whom} does not answer: {wrong}; see: tickcast ps") from wrong
    finally:
        link.close()
