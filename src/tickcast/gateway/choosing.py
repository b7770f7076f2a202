"""REST of what feeds stream: to be read by who may see everything, and changed by who has the admin scope."""

from collections.abc import Awaitable
from typing import Annotated, Any, Final

import msgspec
from fastapi import FastAPI, Path, Request
from fastapi.responses import Response

from tickcast.gateway import audit, schemas
from tickcast.gateway.answers import JSON, answers, read_body, refusal
from tickcast.gateway.auth.door import Viewer, refuse_change, refuse_whole
from tickcast.model.errors import StateError, UsageError
from tickcast.ports import FeedSymbols

BODY_MAX: Final = 262_144
"""Bytes of a request: some thousand symbols."""
Feed = Annotated[str, Path(max_length=32, description="Name of a feed, as in the config.")]


def add_choosing(app: FastAPI, symbols: FeedSymbols) -> None:
    """Add ``/feeds/{feed}/symbols``."""

    @app.get(
        "/feeds/{feed}/symbols",
        tags=["operations"],
        response_class=Response,
        responses=answers(schemas.FEED_SYMBOLS, 401, 403, 404, 409, 422, 503),
    )
    async def listed(feed: Feed, access: Viewer) -> Response:
        """What a feed streams, and why: the config, an operator, or somebody who watches it."""
        if refused := refuse_whole(access):
            return refused
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
    async def change(feed: Feed, request: Request, access: Viewer) -> Response:
        """Add symbols to a running feed and drop others; no other instrument is touched. All of it, or nothing."""
        if refused := refuse_change(access):
            return audit.note("symbols", access, refused, feed=feed)
        if feed not in symbols.feeds:
            return _no_feed(feed, symbols)
        body = await read_body(request, BODY_MAX)
        if body is None:
            return refusal(413, f"expected a body of at most {BODY_MAX} bytes")
        try:
            wanted = msgspec.json.decode(body, type=schemas.SymbolsChange)
        except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
            return refusal(422, f'expected {{"add": [symbols], "drop": [symbols]}}: {wrong}')
        answer = await _answered(symbols.change(feed, wanted.add, wanted.drop), status=422)
        return audit.note("symbols", access, answer, feed=feed, add=len(wanted.add), drop=len(wanted.drop))


async def _answered(asked: Awaitable[Any], *, status: int) -> Response:
    """Answer with what a feed says; ``status``: where it says that this cannot be."""
    try:
        return Response(msgspec.json.encode(await asked), media_type=JSON)
    except UsageError as wrong:
        return refusal(status, str(wrong))
    except StateError as wrong:
        return refusal(503, str(wrong), {"retry-after": "1"})


def _no_feed(feed: str, symbols: FeedSymbols) -> Response:
    return refusal(404, f"there is no feed {feed}; there are: {', '.join(symbols.feeds) or 'none'}")
