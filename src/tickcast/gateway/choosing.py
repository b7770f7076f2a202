"""REST of what feeds stream: to be read by anybody, and changed by who has the token."""

from collections.abc import Awaitable
from typing import Annotated, Any, Final

import msgspec
from fastapi import FastAPI, Header, Path, Request
from fastapi.responses import Response

from tickcast.gateway import schemas
from tickcast.gateway.answers import JSON, answers, refusal
from tickcast.gateway.token import is_token
from tickcast.model.errors import StateError, UsageError
from tickcast.ports import FeedSymbols

BODY_MAX: Final = 262_144
"""Bytes of a request: some thousand symbols."""
CHALLENGE: Final = {"www-authenticate": 'Bearer realm="tickcast"'}
Feed = Annotated[str, Path(max_length=32, description="Name of a feed, as in the config.")]
Authorization = Annotated[str, Header(max_length=4096, description="Bearer, and the token of the config.")]


def add_choosing(app: FastAPI, symbols: FeedSymbols, token: str) -> None:
    """Add ``/feeds/{feed}/symbols``; without ``token`` nobody may change anything."""

    @app.get(
        "/feeds/{feed}/symbols",
        tags=["operations"],
        response_class=Response,
        responses=answers(schemas.FEED_SYMBOLS, 404, 409, 503),
    )
    async def listed(feed: Feed) -> Response:
        """What a feed streams, and why: the config, an operator, or somebody who watches it."""
        if feed not in symbols.feeds:
            return _no_feed(feed, symbols)
        return await _answered(symbols.listed(feed), status=409)

    @app.post(
        "/feeds/{feed}/symbols",
        tags=["operations"],
        response_class=Response,
        responses=answers(schemas.SYMBOLS_CHANGED, 401, 403, 404, 413, 422, 503),
        openapi_extra={
            "requestBody": {"required": True, "content": {JSON: {"schema": schemas.SYMBOLS_CHANGE}}},
        },
    )
    async def change(feed: Feed, request: Request, authorization: Authorization = "") -> Response:
        """Add symbols to a running feed and drop others; no other instrument is touched. All of it, or nothing."""
        refused = _refused(authorization, token)
        if refused is not None:
            return refused
        if feed not in symbols.feeds:
            return _no_feed(feed, symbols)
        body = await _read(request)
        if body is None:
            return refusal(413, f"expected a body of at most {BODY_MAX} bytes")
        try:
            wanted = msgspec.json.decode(body, type=schemas.SymbolsChange)
        except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
            return refusal(422, f'expected {{"add": [symbols], "drop": [symbols]}}: {wrong}')
        return await _answered(symbols.change(feed, wanted.add, wanted.drop), status=422)


def _refused(authorization: str, token: str) -> Response | None:
    """Why somebody may not change anything; None: they may."""
    if not token:
        return refusal(
            403, "nobody may change anything over REST: the config has no gateway.admin_token (or admin_token_file)"
        )
    if not is_token(authorization, token):
        return refusal(401, "expected the header Authorization: Bearer TOKEN with the token of the config", CHALLENGE)
    return None


async def _answered(asked: Awaitable[Any], *, status: int) -> Response:
    """Answer with what a feed says; ``status``: where it says that this cannot be."""
    try:
        return Response(msgspec.json.encode(await asked), media_type=JSON)
    except UsageError as wrong:
        return refusal(status, str(wrong))
    except StateError as wrong:
        return refusal(503, str(wrong), {"retry-after": "1"})


async def _read(request: Request) -> bytes | None:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_MAX:
            return None
    return bytes(body)


def _no_feed(feed: str, symbols: FeedSymbols) -> Response:
    return refusal(404, f"there is no feed {feed}; there are: {', '.join(symbols.feeds) or 'none'}")
