"""A simulated JSON venue over loopback: WebSocket and REST around :class:`SimVenue`."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from tickcast.ports import Clock
from tickcast.runtime.tasks import TaskGroupOwner
from tickcast.sim.config import Config, CryptoConfig, split_address
from tickcast.sim.crypto.sockets import SocketServer
from tickcast.sim.crypto.venue import REST, SimVenue
from tickcast.sim.crypto.voice import RestAnswer
from tickcast.sim.crypto.voices import voice
from tickcast.sim.market import Slice
from tickcast.sim.rest_faults import RestFaults, abort_all
from tickcast.sim.universe import Universe

IDLE_S: Final = 0.02
"""While the market is paused, what is due is told this often."""


class CryptoDialect:
    """One venue in its protocol."""

    def __init__(self, venue: SimVenue, config: CryptoConfig, *, now_ns: Clock) -> None:
        self.venue = venue
        self.flow, self.faults = venue.flow, venue.faults
        self.sockets = SocketServer(venue, config, now_ns=now_ns)
        self._rest_faults = RestFaults(
            venue.faults, line=REST, too_many=self._too_many, same=lambda request: request.path_qs
        )
        self._runner: web.AppRunner | None = None
        self._tasks = TaskGroupOwner(f"sim.{venue.name}")
        self._config, self._now_ns = config, now_ns
        self._published_ns = 0
        venue.on_cut_rest = lambda: abort_all(self._runner)

    async def start(self) -> Mapping[str, str]:
        """Listen."""
        name = self.venue.name
        url = await self.sockets.start(*split_address(self._config.address, source=name))
        app = web.Application(middlewares=[self._rest_faults.middleware])
        app.router.add_get("/{path:.*}", self._answer)
        app.router.add_post("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, *split_address(self._config.rest_address, source=name)).start()
        bound = self._runner.addresses[0]
        self._tasks.spawn(self._idle(), "idle")
        return {"url": url, "rest_url": f"http://{bound[0]}:{bound[1]}"}

    async def stop(self) -> None:
        """Close everything."""
        await self._tasks.stop()
        await self.sockets.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    def begin(self, part: Slice, ts: int) -> None:
        """Take the first books."""
        self.venue.begin(part, ts)

    def publish(self, part: Slice, ts: int) -> None:
        """Send one slice."""
        self._published_ns = ts
        self.venue.publish(part, ts)
        self.sockets.flush()

    async def _idle(self) -> None:
        """Tell what is due while no slices come."""
        while True:
            await asyncio.sleep(IDLE_S)
            now_ns = self._now_ns()
            if now_ns - self._published_ns > IDLE_S * 5e9:
                self.venue.idle(now_ns)
                self.sockets.flush()

    # ------------------------------------------------------------------ REST

    async def _answer(self, request: web.Request) -> web.Response:
        address = request.remote or ""
        return _response(self.venue.rest(request.path_qs, self._now_ns(), address=address, method=request.method))

    def _too_many(self) -> web.Response:
        return _response(self.venue.too_many(1))

    # ------------------------------------------------------------------ what is true

    def last_ids(self) -> list[str]:
        """Id of the last trade of each row."""
        return self.venue.last_ids()

    def names(self) -> list[str]:
        """The venue's own symbol of each row."""
        return self.venue.names()

    def state(self) -> Mapping[str, Any]:
        """Clients and counters."""
        return {**self.venue.state(), "slow": self.sockets.slow}


def _response(answer: RestAnswer) -> web.Response:
    return web.Response(
        body=answer.body, status=answer.status, headers=dict(answer.headers), content_type="application/json"
    )


def create(  # noqa: PLR0917  the order of dialect.Factory
    name: str, venue: CryptoConfig, config: Config, universe: Universe, start_ns: int, now_ns: Clock
) -> CryptoDialect:
    """Make the venue whose voice has the name of the config's dialect."""
    word = str(venue.__struct_config__.tag)
    made = SimVenue(
        name, voice(word), config, universe, start_ns=start_ns, now_ns=now_ns, pairs_max=venue.pairs,
        weight=venue.weight,
    )  # fmt: skip
    return CryptoDialect(made, venue, now_ns=now_ns)
