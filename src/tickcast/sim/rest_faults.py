"""Faults of REST answers: one middleware for every simulated exchange that has a REST side.

A unit is an answer. One that is dropped ends the connection instead; one that is duplicated is the *old* answer to such
a request once more, as an intermediate cache may give it; one that is truncated promises its whole length and ends in
the middle.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, cast

from aiohttp import web

from tickcast.sim.faults import FaultGate

ANSWERS_MAX: Final = 256
"""Old answers kept for ``duplicate``."""
ANSWER_BYTES_MAX: Final = 65_536
"""A longer answer is not kept."""
STALL_POLL_S: Final = 0.05

Handler = Callable[[web.Request], Any]


class RestFaults:
    """The gate's REST side; ``middleware`` goes first into the application."""

    def __init__(
        self,
        gate: FaultGate,
        *,
        line: str = "",
        too_many: Callable[[], web.Response],
        refused: Callable[[], web.Response] | None = None,
        same: Callable[[web.Request], str],
    ) -> None:
        """Serve the faults of one line.

        Args:
            gate: the venue's.
            line: name of the REST side among the venue's lines.
            too_many: makes the venue's answer of status 429, without Retry-After.
            refused: makes the venue's answer to a wrong key; None where there are no keys.
            same: what makes two requests such that the old answer of one may stand for the other's.
        """
        self._gate = gate
        self._line = line
        self._too_many = too_many
        self._refused = refused
        self._same = same
        self._old: OrderedDict[str, tuple[bytes, str | None]] = OrderedDict()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer, rightly or not."""
        gate, line = self._gate, self._line
        if gate.refuses_connection(line):
            return _hang_up(request)
        wait_s = gate.throttles(line)
        if wait_s is not None:
            limited = self._too_many()
            limited.headers["Retry-After"] = str(math.ceil(wait_s))
            return limited
        if self._refused is not None and gate.refuses_login(line):
            return self._refused()
        if gate.fire("drop", line):
            return _hang_up(request)
        delay_s = gate.delay_s(line)
        if delay_s:
            await asyncio.sleep(delay_s)
        answer = cast("web.StreamResponse", await handler(request))
        while gate.stalled(line):  # noqa: ASYNC110  the gate is synchronous
            await asyncio.sleep(STALL_POLL_S)
        if answer.status == 200 and isinstance(answer, web.Response) and isinstance(answer.body, bytes):
            return await self._spoil(request, answer, answer.body)
        return answer

    async def _spoil(self, request: web.Request, answer: web.Response, body: bytes) -> web.StreamResponse:
        gate, line = self._gate, self._line
        key = self._same(request)
        if key in self._old and gate.fire("duplicate", line):
            body, tag = self._old[key]
            headers = {} if tag is None else {"ETag": tag}
            return web.Response(body=body, content_type="application/json", headers=headers)
        if len(body) <= ANSWER_BYTES_MAX:
            self._old[key] = body, answer.headers.get("ETag")
            self._old.move_to_end(key)
            while len(self._old) > ANSWERS_MAX:
                self._old.popitem(last=False)
        if gate.fire("corrupt", line):
            answer.body = gate.spoil(body)
        elif gate.fire("truncate", line):
            return await _half(request, body)
        return answer


def abort_all(runner: web.AppRunner | None) -> None:
    """Cut every connection of a server."""
    if runner is None or runner.server is None:
        return
    for connection in list(runner.server.connections):
        if connection.transport is not None:
            connection.transport.abort()


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


async def _half(request: web.Request, body: bytes) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    await answer.prepare(request)
    await answer.write(FaultGate.cut(body))
    if request.transport is not None:
        request.transport.close()
    return answer
