"""What the routes of REST share: problems, descriptions of answers, cursors."""

import base64
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response

from tickcast.gateway import problem, schemas

JSON: Final = "application/json"
CURSOR_MARK: Final = b"after:"


def refusal(status: int, detail: str, headers: dict[str, str] | None = None, **extra: Any) -> Response:
    """Answer with a problem (RFC 9457)."""
    return Response(
        problem.problem(status, detail, **extra), status_code=status, media_type=problem.MEDIA_TYPE, headers=headers
    )


def answers(schema: dict[str, Any], *statuses: int, good: int = 200) -> dict[int | str, dict[str, Any]]:
    """Describe the answers of a route: the good one, and problems by status."""
    return {good: {"description": HTTPStatus(good).phrase, "content": {JSON: {"schema": schema}}}} | problems(*statuses)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that a route answers with; 429 is one of them everywhere: who asks too often is told so."""
    content = {problem.MEDIA_TYPE: {"schema": schemas.PROBLEM}}
    return {status: {"description": "Problem (RFC 9457)", "content": content} for status in sorted({*statuses, 429})}


async def read_body(request: Request, bytes_max: int) -> bytes | None:
    """Body of a request; None: it has more than ``bytes_max``."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            return None
    return bytes(body)


def cursor_after(symbol: str) -> str:
    """Write the cursor of the page after ``symbol``: opaque to clients, and known again as one of ours."""
    return base64.urlsafe_b64encode(CURSOR_MARK + symbol.encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> str | None:
    """Symbol after which the page begins, empty for the first one; None if the cursor is not ours."""
    if not cursor:
        return ""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        symbol = raw.removeprefix(CURSOR_MARK).decode()
    except ValueError:
        return None
    return symbol if raw.startswith(CURSOR_MARK) and symbol else None
