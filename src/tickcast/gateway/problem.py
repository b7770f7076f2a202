"""Errors of HTTP as problem+json (RFC 9457)."""

from http import HTTPStatus
from typing import Any, Final

import msgspec

from tickcast.gateway.errors import link

MEDIA_TYPE: Final = "application/problem+json"


def problem(status: int, detail: str, **extra: Any) -> bytes:
    """Body of an error answer: ``detail`` says what was expected and found, ``type`` leads to what to do."""
    return msgspec.json.encode(
        {"type": link(status), "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **extra}
    )


def answer(status: int, detail: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """Whole HTTP/1.1 answer that ends the connection, for requests that never reach the application."""
    body = problem(status, detail)
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode(),
        b"content-type: " + MEDIA_TYPE.encode(),
        b"content-length: " + str(len(body)).encode(),
        b"connection: close",
        b"x-content-type-options: nosniff",
        *(name + b": " + value for name, value in headers),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
