"""Many books of one venue at once: how soon the busiest are live, and all, within the venue's quota of requests.

The simulated venue counts request weights as the real one does. The feeds are whole ones, over real sockets; several
share the quota through the same files as processes of their own would.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from tickcast.feeds.budget import Budgets
from tickcast.feeds.config import FeedConfig
from tickcast.feeds.links import CONNECTS
from tickcast.feeds.rest_poll import WEIGHT
from tickcast.feeds.stage import Feed
from tickcast.model.batch import TickBatch
from tickcast.model.record import Kind, State
from tickcast.normalise.pipeline import Pipeline
from tickcast.runtime.clock import now_ns
from tickcast.sim import config as sim
from tickcast.sim.server import Simulator
from tickcast.testing.fuzz import Nowhere
from tickcast.venues.base import Answer, Request, Step
from tickcast.venues.declared.session import DeclaredSession
from tickcast.venues.registry import open_session

BUSIEST: Final = 20
POLL_S: Final = 0.05
SHOWN: Final = (State.LIVE, State.UNVERIFIED)


@dataclass
class Figures:
    """What came of it; times in seconds from the start."""

    pairs: int
    feeds: int
    busiest_s: float = 0.0
    """Until the busiest twenty were live."""
    all_s: float = 0.0
    live_s: dict[int, float] = field(default_factory=dict)
    """When each instrument was live first."""
    rows: dict[int, int] = field(default_factory=dict)
    requests: Counter[int] = field(default_factory=Counter)
    """Answers by second."""
    throttled: int = 0
    """429 and 418."""

    def judge(self) -> None:
        """Say what follows from the times."""
        busiest = sorted(self.rows, key=lambda one: -self.rows[one])[:BUSIEST]
        self.busiest_s = max((self.live_s[one] for one in busiest if one in self.live_s), default=0.0)
        self.all_s = max(self.live_s.values(), default=0.0)

    @property
    def missing(self) -> int:
        """Books that did not become live."""
        return self.pairs - len(self.live_s)


class _Watching(Nowhere):
    """Notes when each instrument is live."""

    def __init__(self, figures: Figures, began_ns: int) -> None:
        self._figures, self._began_ns = figures, began_ns

    async def publish(self, batch: TickBatch) -> None:
        records = batch.records
        for incident in batch.ledger:
            self._figures.throttled += incident.kind == "throttled"
        told = records[records["kind"] == Kind.STATUS]
        for instrument, state in zip(told["instrument"].tolist(), told["detail"].tolist(), strict=True):
            if state in SHOWN:
                self._figures.live_s.setdefault(instrument, (now_ns() - self._began_ns) / 1e9)


class _Counting:
    """A declared session whose answers are counted by second."""

    def __init__(self, session: DeclaredSession, figures: Figures, began_ns: int) -> None:
        self._session, self._figures, self._began_ns = session, figures, began_ns

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def answered(self, request: Request, answer: Answer) -> Step:
        """Count, and hand on."""
        self._figures.requests[(answer.received_ns - self._began_ns) // 1_000_000_000] += 1
        return self._session.answered(request, answer)


async def bring_up(*, pairs: int, feeds: int, folder: Path, within_s: float, rate: float = 1500.0) -> Figures:
    """Stream all pairs by so many feeds that share a quota; returns when all are live, or after ``within_s``.

    Args:
        pairs: of the simulated BINANCE.
        feeds: the pairs are shared out among them.
        folder: of the shared quota; empty before.
        within_s: longest time.
        rate: order events a second of the whole venue.
    """
    simulator = Simulator(
        sim.from_mapping(
            {
                "symbols": pairs,
                "market": {"stock_share": 0.0, "halt_every_s": 0.0},
                "venues": {"BINANCE": {"dialect": "binance", "rate": rate, "quantum_ms": 20.0}},
            }
        )
    )
    address = (await simulator.start())["venues"]["BINANCE"]
    figures = Figures(pairs, feeds)
    try:
        await _stream(address, figures, folder, within_s)
    finally:
        await simulator.stop()
    figures.judge()
    return figures


async def _stream(address: dict[str, Any], figures: Figures, folder: Path, within_s: float) -> None:
    symbols = await _symbols(address)
    stop, began_ns = asyncio.Event(), now_ns()
    sessions, tasks = [], []
    for number in range(figures.feeds):
        own = tuple(symbols[number :: figures.feeds])
        config = FeedConfig(venue="BINANCE", symbols=own, streams=("trade", "quote", "book"), **address)
        session = open_session(f"books-{number}", config, {})
        if not isinstance(session, DeclaredSession):
            raise TypeError(f"expected a declared session, found {type(session).__name__}")
        sessions.append(session)
        quotas = {name: quota for name, quota in ((WEIGHT, session.weight), (CONNECTS, session.connects)) if quota}
        feed = Feed(
            f"books-{number}",
            config=config,
            session=_Counting(session, figures, began_ns),
            normaliser=Pipeline(f"books-{number}", venue="BINANCE"),
            publisher=_Watching(figures, began_ns),
            clock=now_ns,
            jitter=random.Random(number).random,
            budgets=Budgets(folder, quotas, clock=now_ns),
        )
        tasks.append(asyncio.ensure_future(feed.run(stop)))
    try:
        deadline_ns = began_ns + round(within_s * 1e9)
        while figures.missing and now_ns() < deadline_ns:
            await asyncio.sleep(POLL_S)
            if any(one.done() for one in tasks):
                break
        for session in sessions:
            figures.rows.update(session.core.activity())
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def _symbols(address: dict[str, Any]) -> list[str]:
    """House symbols of all pairs of the venue."""
    session = open_session("list", FeedConfig(venue="BINANCE", **address), {})
    if not isinstance(session, DeclaredSession):
        raise TypeError(f"expected a declared session, found {type(session).__name__}")
    (request,) = session.start(now_ns()).requests
    async with aiohttp.ClientSession() as http, http.get(request.url) as answer:
        body = await answer.read()
    session.answered(request, Answer(status=200, body=body, received_ns=now_ns()))
    return [one.definition.symbol for one in session.instruments]


def as_json(figures: Figures) -> dict[str, Any]:
    """Return the figures for a benchmark's result."""
    return {
        "pairs": figures.pairs,
        "feeds": figures.feeds,
        "busiest_20_s": round(figures.busiest_s, 2),
        "all_s": round(figures.all_s, 2),
        "missing": figures.missing,
        "throttled": figures.throttled,
        "requests_by_second": [figures.requests[second] for second in range(max(figures.requests, default=-1) + 1)],
    }
