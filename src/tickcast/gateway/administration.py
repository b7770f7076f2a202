"""REST of processes and of faults: to be read by who may see everything, and used by who has the admin scope.

What happens is done by whoever does it for the command line too: the supervisor ends and starts processes, simulated
exchanges make faults. These routes check who asks, hand over, and note it (:mod:`tickcast.gateway.audit`).
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, TypeVar

import msgspec
from fastapi import FastAPI, Path, Request
from fastapi.responses import Response

from tickcast.gateway import audit, schemas
from tickcast.gateway.answers import JSON, answers, read_body, refusal
from tickcast.gateway.auth.access import Access
from tickcast.gateway.auth.door import Viewer, refuse_change, refuse_whole
from tickcast.model.errors import StateError, UsageError
from tickcast.model.fault import Fault
from tickcast.ports import Exchanges, Processes

BODY_MAX: Final = 4_096
"""Bytes of a request."""
SUPERVISOR: Final = "supervisor"
REAL: Final = (
    "the feeds of this instance read real venues, or ones that it does not simulate itself: faults are for "
    "tickcast demo and tickcast up --simulated"
)
Told = TypeVar("Told")
Process = Annotated[str, Path(max_length=64, description="Name of a process, as `GET /processes` tells it.")]
Venue = Annotated[str, Path(max_length=32, description="Code of a simulated exchange, as `GET /faults` tells it.")]


def add_processes(app: FastAPI, processes: Processes) -> None:
    """Add ``/processes`` and ``/processes/{name}/restart``."""

    @app.get(
        "/processes",
        tags=["operations"],
        response_class=Response,
        responses=answers(schemas.PROCESSES, 401, 403, 409, 503),
    )
    async def listed(access: Viewer) -> Response:
        """The processes of the instance, the supervisor first."""
        if refused := refuse_whole(access):
            return refused
        rows = await _told(processes.rows)
        if isinstance(rows, Response):
            return rows
        known = [{key: value for key, value in row.items() if key != "rate"} for row in rows]
        return _json({"processes": known})

    @app.post(
        "/processes/{name}/restart",
        tags=["operations"],
        response_class=Response,
        status_code=202,
        responses=answers(schemas.RESTARTING, 401, 403, 404, 409, 422, 429, 503, good=202),
    )
    async def restart(name: Process, access: Viewer) -> Response:
        """End a process and start it anew, within a second. The same process is restarted every 10 s at most."""
        refused = refuse_change(access)
        return audit.note("restart", access, refused or await _restarted(processes, name, access), process=name)


async def _restarted(processes: Processes, name: str, access: Access) -> Response:
    rows = await _told(processes.rows)
    if isinstance(rows, Response):
        return rows
    known = {row["name"]: row for row in rows if row["role"] != SUPERVISOR}
    if name not in known:
        return refusal(404, f"there is no process {name} to restart; there are: {', '.join(known)}")
    done = await _told(lambda: processes.restart(name, by=audit.who(access)))
    if isinstance(done, Response):
        return done
    if not done["accepted"]:
        retry_s = math.ceil(done["retry_s"])
        detail = f"{name} was restarted over REST just now; it can be again in {retry_s} s"
        return refusal(429, detail, {"retry-after": str(retry_s)})
    body = {"name": name, "role": known[name]["role"], "pid": done["pid"], "clients": done["clients"]}
    return _json(body, status=202)


def add_faults(app: FastAPI, exchanges: Exchanges) -> None:
    """Add ``/faults`` and ``/faults/{venue}``."""

    @app.get(
        "/faults", tags=["operations"], response_class=Response, responses=answers(schemas.FAULTS, 401, 403, 409, 503)
    )
    async def listed(access: Viewer) -> Response:
        """What the simulated exchanges of this instance can be made to do, and what is armed."""
        if refused := refuse_whole(access):
            return refused
        found = await _found(exchanges)
        return found if isinstance(found, Response) else _json(found)

    @app.post(
        "/faults/{venue}",
        tags=["operations"],
        response_class=Response,
        responses=answers(schemas.VENUE_FAULTS, 401, 403, 404, 409, 413, 422, 503),
        openapi_extra={"requestBody": {"required": True, "content": {JSON: {"schema": schemas.FAULT}}}},
    )
    async def arm(venue: Venue, request: Request, access: Viewer) -> Response:
        """Let a simulated exchange make a fault; what is armed there already stays."""
        if refused := refuse_change(access):
            return audit.note("fault", access, refused, venue=venue)
        body = await read_body(request, BODY_MAX)
        if body is None:
            return audit.note("fault", access, refusal(413, f"expected a body of at most {BODY_MAX} bytes"))
        try:
            fault = msgspec.json.decode(body, type=Fault)
        except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
            answer = refusal(422, f'expected {{"fault": verb}} and parameters of it: {wrong}')
            return audit.note("fault", access, answer, venue=venue)
        answer = await _changed(exchanges, venue, lambda: exchanges.arm(venue, fault))
        given = {key: value for key, value in msgspec.to_builtins(fault).items() if key != "fault"}
        return audit.note("fault", access, answer, venue=venue, fault=fault.fault, **given)

    @app.delete(
        "/faults/{venue}",
        tags=["operations"],
        response_class=Response,
        responses=answers(schemas.VENUE_FAULTS, 401, 403, 404, 409, 422, 503),
    )
    async def clear(venue: Venue, access: Viewer) -> Response:
        """End all faults of a simulated exchange."""
        answer = refuse_change(access) or await _changed(exchanges, venue, lambda: exchanges.clear(venue))
        return audit.note("faults_end", access, answer, venue=venue)


async def _found(exchanges: Exchanges) -> Mapping[str, Any] | Response:
    found = await _told(exchanges.faults)
    return refusal(409, REAL) if found is None else found


async def _changed(exchanges: Exchanges, venue: str, change: Callable[[], Awaitable[Mapping[str, Any]]]) -> Response:
    found = await _found(exchanges)
    if isinstance(found, Response):
        return found
    if venue not in found["venues"]:
        known = ", ".join(found["venues"]) or "none (recordings are played as they are)"
        return refusal(404, f"there is no simulated exchange {venue}; there are: {known}")
    state = await _told(change, status=422)
    return state if isinstance(state, Response) else _json(state)


async def _told(ask: Callable[[], Awaitable[Told]], *, status: int = 409) -> Told | Response:
    """What somebody answers, or the problem that comes of it; ``status``: where that cannot be."""
    try:
        return await ask()
    except UsageError as wrong:
        return refusal(status, str(wrong))
    except StateError as wrong:
        return refusal(503, str(wrong), {"retry-after": "1"})


def _json(body: object, *, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status_code=status, media_type=JSON)
