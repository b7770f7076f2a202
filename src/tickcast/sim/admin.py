"""The control endpoint: what is true at each venue, a pause to compare while nothing moves, and faults on demand."""

import time
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from aiohttp import web

from tickcast.model.errors import UsageError
from tickcast.sim.dialect import Dialect
from tickcast.sim.engine import VenueEngine
from tickcast.sim.faults import VERBS, Fault, FaultGate
from tickcast.sim.recorded.play import Player
from tickcast.sim.truth import venue_truth


class Pace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``POST /pace/{venue}`` takes."""

    times: Annotated[float, msgspec.Meta(ge=0, le=1000)]
    """So many times its rate."""


class Admin:
    """HTTP over the venues of one simulator."""

    def __init__(self, engines: Mapping[str, VenueEngine[Dialect]], playbacks: Mapping[str, Player]) -> None:
        self._engines = engines
        self._playbacks = playbacks
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> str:
        """Listen; returns the base URL."""
        app = web.Application()
        app.router.add_get("/truth/{venue}", self._truth)
        app.router.add_get("/state", self._state)
        app.router.add_post("/pause", self._pause)
        app.router.add_post("/resume", self._pause)
        app.router.add_post("/pace/{venue}", self._pace)
        app.router.add_get("/faults", self._faults)
        app.router.add_post("/faults/{venue}", self._arm)
        app.router.add_delete("/faults/{venue}", self._clear)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        bound = self._runner.addresses[0]
        return f"http://{bound[0]}:{bound[1]}"

    async def stop(self) -> None:
        """Close."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _truth(self, request: web.Request) -> web.Response:
        name = request.match_info["venue"]
        engine = self._engines.get(name)
        if engine is None:
            return _json({"error": f"expected a venue of {sorted(self._engines)}, found {name!r}"}, status=404)
        symbols = venue_truth(engine.dialect)
        return _json({"venue": name, "symbols": symbols, "state": engine.dialect.state(), "events": engine.events})

    async def _state(self, request: web.Request) -> web.Response:
        del request
        venues: dict[str, dict[str, Any]] = {
            name: {"events": one.events, "paused": one.paused, "skipped_ns": one.skipped_ns, **one.dialect.state()}
            for name, one in self._engines.items()
        }
        venues |= {name: dict(one.state()) for name, one in self._playbacks.items()}
        return _json({"venues": venues, "cpu_s": time.process_time()})

    # ------------------------------------------------------------------ faults

    async def _faults(self, request: web.Request) -> web.Response:
        del request
        venues = {name: engine.dialect.faults.state() for name, engine in self._engines.items()}
        return _json({"verbs": VERBS, "venues": venues})

    async def _arm(self, request: web.Request) -> web.Response:
        try:
            gate = self._gate(request)
            gate.arm(msgspec.json.decode(await request.read(), type=Fault))
        except (UsageError, msgspec.MsgspecError, UnicodeDecodeError) as wrong:
            return _json({"error": str(wrong)}, status=400)
        return _json(gate.state())

    async def _clear(self, request: web.Request) -> web.Response:
        try:
            gate = self._gate(request)
        except UsageError as wrong:
            return _json({"error": str(wrong)}, status=400)
        gate.clear()
        return _json(gate.state())

    async def _pace(self, request: web.Request) -> web.Response:
        """Let a venue be busier or quieter than its rate, until it is told otherwise."""
        try:
            self._gate(request)
            pace = msgspec.json.decode(await request.read(), type=Pace)
        except (UsageError, msgspec.MsgspecError, UnicodeDecodeError) as wrong:
            return _json({"error": str(wrong)}, status=400)
        engine = self._engines[request.match_info["venue"]]
        engine.times = pace.times
        return _json({"rate": engine.rate, "times": engine.times})

    def _gate(self, request: web.Request) -> FaultGate:
        name = request.match_info["venue"]
        if name not in self._engines:
            known = ", ".join(self._engines) or "none (recordings are played as they are)"
            raise UsageError(f"expected a venue of {known}, found {name}; nothing armed")
        return self._engines[name].dialect.faults

    async def _pause(self, request: web.Request) -> web.Response:
        paused = request.path == "/pause"
        for engine in self._engines.values():
            engine.paused = paused
        return _json({"paused": paused})


def _json(body: object, *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json", status=status)
