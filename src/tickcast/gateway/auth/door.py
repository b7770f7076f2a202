"""The door of REST: every request is let in by what it shows, or answered here; what is behind it finds the access.

What needs none is listed (:data:`OPEN`), all else is closed: a route that is added tomorrow is behind the door.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

from fastapi import Depends, Request
from fastapi.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tickcast.gateway.answers import refusal
from tickcast.gateway.auth import access as of
from tickcast.gateway.auth.access import ANYONE, Access, Denied
from tickcast.gateway.auth.guests import Guests

OPEN: Final = frozenset({"/health/live", "/health/ready", "/stream", "/openapi.json", "/asyncapi.json"})
"""Paths that answer everybody; besides them the page and the documentation, which are files."""
DOCS: Final = "/docs"
KEY: Final = "tickcast.access"
OPERATOR: Final = Access(scope=of.Scope(symbols=("*",), admin=True))
"""Who may read the data folder: this machine's own commands."""
OUTSIDE: Final = Access()
"""Somebody who was not let in, where everybody is answered something."""


class Door:
    """Finds out who asks, before anything else looks at the request."""

    def __init__(self, app: ASGIApp, guests: Guests, *, is_page: Callable[[str], bool]) -> None:
        """``is_page``: whether a path is one of the page's files."""
        self._app = app
        self._guests = guests
        self._is_page = is_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on with its access."""
        if scope["type"] != "http" or KEY in scope:
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        try:
            access = self._admit(scope)
        except Denied as denied:
            if path not in OPEN and path != DOCS and not path.startswith(f"{DOCS}/") and not self._is_page(path):
                await refusal(denied.status, denied.reason, denied.headers)(scope, receive, send)
                return
            access = OUTSIDE
        await self._app({**scope, KEY: access}, receive, send)

    def _admit(self, scope: Scope) -> Access:
        query = scope.get("query_string", b"")
        ticket = parse_qs(query.decode("latin-1")).get("ticket", [""])[-1] if b"ticket=" in query else ""
        access = self._guests.admission.admit(scope["headers"], ticket=ticket)
        if not access.is_anonymous and not self._guests.pay(access):
            raise Denied("this user asks more than one may; come back in a moment", status=429, retry_s=1)
        return access


def for_operators(app: ASGIApp) -> ASGIApp:
    """The application as those reach it who may read the data folder: nobody asks who they are."""

    def pass_on(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return app({**scope, KEY: OPERATOR} if scope["type"] == "http" else scope, receive, send)

    return pass_on


def access_of(request: Request) -> Access:
    """Return the access that the door found; a route without a door before it fails."""
    access: Access = request.scope[KEY]
    return access


Viewer = Annotated[Access, Depends(access_of)]
"""Parameter of a route: who asks."""


def not_entitled(symbol: str) -> Response:
    """Answer to everything outside the scope: the same whether it exists or not."""
    return refusal(403, f"{symbol[:96]} is not within what you may see", symbol=symbol, state=of.NOT_ENTITLED)


def refuse_part(access: Access, channel: str) -> Response | None:
    """Why somebody may not see a channel at all; None: they may."""
    if access.may_use(channel):
        return None
    return refusal(403, f"{channel} is not within what you may see", state=of.NOT_ENTITLED)


def refuse_whole(access: Access) -> Response | None:
    """Why somebody may not see what is about everything; None: they may."""
    if access.sees_everything:
        return None
    return refusal(403, "this is about everything, and you may see a part", state=of.NOT_ENTITLED)


def refuse_change(access: Access) -> Response | None:
    """Why somebody may not change the running instance; None: they may."""
    if access.scope.admin:
        return None
    if access is ANYONE:
        denied = Denied("expected a token or an API key with the admin scope (tickcast keys add NAME --admin)")
        return refusal(denied.status, denied.reason, denied.headers)
    return refusal(403, "expected a token or an API key with the admin scope", state=of.NOT_ENTITLED)


def shown(listing: dict[str, Any], access: Access) -> dict[str, Any]:
    """A listing without the names that are outside the scope."""
    legs = listing.get("legs")
    if legs:
        listing["legs"] = access.seen(legs)
    if not access.may_see(listing["security"]):
        listing["security"] = ""
    return listing
