"""``POST /ticket``: a word good for one connection, for browsers whose streams send no headers of their own."""

import msgspec
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from tickcast.gateway import schemas
from tickcast.gateway.answers import JSON, answers, refusal
from tickcast.gateway.auth.access import Denied
from tickcast.gateway.auth.admission import Admission
from tickcast.gateway.auth.door import Viewer
from tickcast.gateway.timestamps import timestamp


def add_tickets(app: FastAPI, admission: Admission) -> None:
    """Add the route."""

    @app.post("/ticket", tags=["access"], response_class=Response, responses=answers(schemas.TICKET, 401, 403, 429))
    async def ticket(access: Viewer) -> Response:
        """A ticket for one connection: `/stream?ticket=...`, within 30 s by default, from any address."""
        try:
            made, until_ns = await run_in_threadpool(admission.issue, access)
        except Denied as denied:
            return refusal(denied.status, denied.reason, denied.headers)
        except OSError as wrong:
            return refusal(503, f"a ticket cannot be kept: {wrong.strerror}", {"retry-after": "5"})
        return Response(msgspec.json.encode({"ticket": made, "until": timestamp(until_ns)}), media_type=JSON)
