"""The composition root: wires the stages in flow order and reads as the diagram.

::

    feeds ─▶ normalise ─▶ bus ─▶ latest ─▶ fanout ─▶ gateway          (ops beside them)
    └─ one process per feed ─┘   └───── the core process ─────┘

    feeds ─▶ normalise ─▶ bus ─▶ latest ─▶ fanout ─▶ fanout ─▶ gateway
    └─ one process per feed ─┘   └─ the core ─────┘  └─ each worker ─┘   (tickcast up --gateways N)

:func:`run_feed` is a feed process, :func:`run_core` the core process, :func:`run_gateway` a gateway worker,
:func:`processes` what the supervisor keeps alive.
"""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from tickcast import _native, takeover
from tickcast.bus.memory import MemoryBus
from tickcast.bus.publisher import SocketPublisher
from tickcast.bus.server import BusServer
from tickcast.config import WORKER_NAME, Config
from tickcast.fanout.ladder import Rung
from tickcast.fanout.link import LinkServer
from tickcast.fanout.stage import FanoutStage
from tickcast.feeds.commands import FeedDoor
from tickcast.feeds.relay import Relay
from tickcast.feeds.stage import run_feed as feed_until
from tickcast.feeds.standby import StandbyPublisher
from tickcast.gateway.auth.admission import Admission, takes_anonymous
from tickcast.gateway.auth.door import for_operators
from tickcast.gateway.auth.guests import Guests
from tickcast.gateway.config import WORKERS_MAX
from tickcast.gateway.http import UnixServer
from tickcast.gateway.owner import OwnerClient
from tickcast.gateway.rest import create_app
from tickcast.gateway.shares import Shares
from tickcast.gateway.socketio.neighbours import Neighbours
from tickcast.gateway.stage import STATUS_NS, GatewayStage
from tickcast.gateway.status import StatusBoard, StatusSource, decode_note, encode_note
from tickcast.gateway.tally import ALONE, Tallies
from tickcast.gateway.watching import MATCHED_MAX
from tickcast.gateway.worker import GatewayWorker
from tickcast.late import Late, WorkerLate, late_reason
from tickcast.latest.board import FeedBoard
from tickcast.latest.calendar import session_starts
from tickcast.latest.ledger import CoreLedger, open_ledger
from tickcast.latest.registry import InstrumentRegistry
from tickcast.latest.stage import LatestStage
from tickcast.model.batch import TickBatch
from tickcast.model.errors import TickcastError, UsageError
from tickcast.model.record import Condition, Flag, Kind
from tickcast.normalise.pipeline import Pipeline
from tickcast.ops.control import SYMBOLS_LINE_MAX, ControlServer, feed_socket
from tickcast.ops.datadir import DataDir
from tickcast.ops.epoch import next_epoch
from tickcast.ops.exchanges import SIM, ExchangeControl
from tickcast.ops.feed_control import FeedControl
from tickcast.ops.feed_metrics import FEEDS
from tickcast.ops.insight import OperationsInsight
from tickcast.ops.latency import LatencyBook
from tickcast.ops.process import ProcessSpec
from tickcast.ops.process_control import ProcessControl
from tickcast.ops.worker_metrics import MetricsFile, read_all
from tickcast.ports import Flush
from tickcast.runtime import metrics
from tickcast.runtime.clock import now_ns, steady_ns
from tickcast.runtime.log import get_logger
from tickcast.runtime.memory import resident_bytes
from tickcast.runtime.tasks import TaskGroupOwner
from tickcast.takeover import CoreState
from tickcast.venues.registry import may_overlap

log = get_logger("app")

CORE: Final = "core"
METRICS: Final = "metrics"
"""Folder in the data folder in which the workers leave their metrics."""
_SESSION_NS: Final = 1_000_000
"""Feed sessions are numbered by the ms of their begin: an older event is a replay and says nothing about latency."""
_WATCH_S: Final = 0.5
_METRICS_S: Final = 1.0
_POLL_S: Final = 0.02
_SETTLE_S: Final = 5.0
"""A core that hands over works off what it has within this time."""
_NO_LATENCY: Final = int(Flag.SNAPSHOT | Flag.HISTORY | Flag.BACKFILLED | Flag.REPLAYED | Flag.CLOCK_SKEW)


_BETWEEN_CLOCKS: Final = ("exchange_to_socket", "end_to_end")


async def run_feed(
    name: str,
    config: Config,
    data: DataDir,
    *,
    stop: asyncio.Event,
    ready: Callable[[], None],
    asked: Callable[[Callable[[], None]], None] = lambda _: None,
    standby: bool = False,
) -> None:
    """Run one feed until ``stop`` is set, or until another process of it takes over.

    Args:
        name: of the feed.
        config: the instance's.
        data: where the core's sockets are.
        stop: ends it.
        ready: called when it runs; standing by: when it could take over.
        asked: is given what is to be called when the supervisor asks for the next step (:mod:`tickcast.feeds.relay`).
        standby: it tells nothing until it is asked to take over.
    """
    if name not in config.feeds:
        raise UsageError(f"expected one of the feeds {', '.join(config.feeds) or '(none)'}, found {name!r}")
    feed = config.feeds[name]
    socket_publisher = SocketPublisher(name, data.socket("bus"), config.bus, clock=now_ns)
    held = StandbyPublisher(socket_publisher, name, clock=now_ns, read=_native.Told) if standby else None
    publisher = socket_publisher if held is None else held
    relay = Relay(data.root / "feeds" / f"{name}.handover", settled=socket_publisher.settled, ready=ready, standby=held)
    asked(relay.asked)
    pipeline = Pipeline(name, config.normalise, venue=feed.venue)
    pipeline.watch()
    door = FeedDoor(name)
    control = ControlServer(feed_socket(data, name), door.answer, line_max=SYMBOLS_LINE_MAX)
    if held is None:
        await socket_publisher.start()
        await control.start()
        ready()
    else:
        held.on_live(control.start)
    try:
        await feed_until(
            name,
            feed,
            config.securities,
            publisher,
            now_ns,
            stop,
            normaliser=pipeline,
            folder=data.root,
            made=door.open,
            relay=relay,
        )
    finally:
        if held is None or held.is_live:
            await control.stop()
        await publisher.close()


def make_hub(config: Config, *, epoch: int, late: str = "") -> _native.Hub:
    """Make a hub of this process; ``late`` says why nothing in it is of now."""
    fanout = config.fanout
    return _native.Hub(
        epoch=epoch,
        history_count=fanout.history_count,
        history_ns=int(fanout.history_s * 1e9),
        quantum_max_ns=int(fanout.quantum_max_ms * 1e6),
        buffer_max=fanout.buffer_max,
        unsent_max=fanout.unsent_max,
        undrained_max_ns=int(fanout.undrained_max_s * 1e9),
        field_sets_max=fanout.field_sets_max,
        sends_max=fanout.sends_max,
        watermark=fanout.watermark,
        slow_blocked_ns=int(fanout.slow_blocked_ms * 1e6),
        slow_recover_ns=int(fanout.slow_recover_s * 1e9),
        trade_memory=config.latest.trade_memory,
        digest_every=fanout.digest_every,
        bars_kept=(config.latest.bars_1s, config.latest.bars_1m),
        exclude_conditions=sum(Condition[name.upper()] for name in config.latest.exclude_conditions),
        late=late,
    )


def make_worker_hub(config: Config) -> _native.WorkerHub:
    """Make the hub of a gateway worker."""
    fanout = config.fanout
    return _native.WorkerHub(
        history_count=fanout.history_count,
        history_ns=int(fanout.history_s * 1e9),
        quantum_max_ns=int(fanout.quantum_max_ms * 1e6),
        buffer_max=fanout.buffer_max,
        unsent_max=fanout.unsent_max,
        undrained_max_ns=int(fanout.undrained_max_s * 1e9),
        field_sets_max=fanout.field_sets_max,
        sends_max=fanout.sends_max,
        watermark=fanout.watermark,
        slow_blocked_ns=int(fanout.slow_blocked_ms * 1e6),
        slow_recover_ns=int(fanout.slow_recover_s * 1e9),
        digest_every=fanout.digest_every,
    )


def tallies_of(config: Config, data: DataDir, name: str) -> Tallies:
    """Open what this process tells the others of users and addresses; nothing where it is the only one."""
    if not config.gateway.workers:
        return ALONE
    workers = tuple(f"gateway{number}" for number in range(1, config.gateway.workers + 1))
    # REST of all workers is answered by the core, so users spend their requests there too
    names = {"users": (CORE, *workers), "addresses": workers}
    if config.gateway.socketio.mode != "off":
        names["polling"] = workers
    folder = data.root / "limits"
    return Tallies.open(
        folder, name=name, names={of: each for of, each in names.items() if name in each}, clock=steady_ns
    )


def make_guests(config: Config, data: DataDir, tallies: Tallies = ALONE) -> Guests:
    """Make what lets clients of this process in.

    Raises:
        UsageError: keys cannot be read.
    """
    gateway = config.gateway
    admission = Admission(gateway.auth, host=gateway.host, folder=data.root / "auth", wall=now_ns)
    return Guests(admission, clock=steady_ns, wall=now_ns, tally=tallies.users)


def ledger_of(config: Config, registry: InstrumentRegistry, data: DataDir) -> CoreLedger:
    """Open the ledger of losses in the data folder."""
    latest = config.latest
    return open_ledger(
        registry,
        data.root,
        entries_max=latest.ledger_entries_max,
        changes_max=latest.ledger_changes_max,
        bytes_max=latest.ledger_bytes_max,
        keep=latest.ledger_keep,
    )


class Core:
    """Everything of the core process, in flow order."""

    def __init__(self, config: Config, data: DataDir, *, before: CoreState | None = None) -> None:
        """``before``: what the core left whose place this one takes."""
        self._config = config
        for name, feed in config.feeds.items():
            try:
                session_starts(feed.calendar, now_ns())
            except UsageError as wrong:
                raise UsageError(f"feeds.{name}.calendar: {wrong}") from wrong
        self._latency = LatencyBook(config.latency.budgets(), window_s=config.latency.window_s)
        self._latency.export()
        self.bus = MemoryBus(config.bus, clock=now_ns)
        epoch = next_epoch(data.root / "epoch", now_ns())
        self._hub = make_hub(config, epoch=epoch)
        self._late = self._make_late(data)
        self._before = before if before is not None and self._knows(before) else None
        if before is not None and self._before is None:
            self._hub = make_hub(config, epoch=epoch)
        self._bus_server = BusServer(
            self.bus, data.socket("bus"), past=None if self._before is None else self._before.bus
        )
        self._registry = InstrumentRegistry()
        self._board = FeedBoard(
            {name: feed.venue for name, feed in config.feeds.items()},
            silent_ns=int(config.latest.feed_silent_s * 1e9),
            now_ns=steady_ns(),
        )
        self._ledger = ledger_of(config, self._registry, data)
        self._ledger.watch()
        # what is asked for every so often is as old as its interval: that is no latency of ours
        self._polled = {name for name, feed in config.feeds.items() if not (feed.url or feed.address or feed.lines)}
        self._latest = LatestStage(
            bus=self.bus,
            state=self._hub,
            registry=self._registry,
            board=self._board,
            clock=now_ns,
            steady=steady_ns,
            applied=self._applied,
            ledger=self._ledger,
        )
        self._gateway: GatewayStage | None = None
        self._links: LinkServer | None = None
        self._notes = StatusBoard(lambda _client, _note: None)
        self._tasks = TaskGroupOwner("core")
        self._status = self._make_door(data)
        self._fanout = FanoutStage(
            self._hub,
            clock=steady_ns,
            wall=now_ns,
            deliver=self._deliver,
            measure=self._latency.record,
            config=config.fanout,
            on_rung=self._on_rung,
            memory_bytes=resident_bytes,
        )
        self._fanout.watch(config.fanout)
        metrics.QUEUES.elsewhere = self._board.queues
        if config.gateway.workers:
            metrics.PROCESSES.elsewhere = lambda: read_all(data.root / METRICS, now_ns)
        FEEDS.rows = lambda: self._board.rows(steady_ns())

    def _make_late(self, data: DataDir) -> Late | None:
        """Make what is kept back for those who see everything late."""
        config = self._config
        if not config.gateway.auth.delayed:
            return None
        epoch = next_epoch(data.root / "epoch-late", now_ns())
        late = Late(config, make_hub(config, epoch=epoch, late=late_reason(config)), data.root / "late")
        if config.gateway.workers:
            late.link(data.socket("fanout-late"))
        return late

    def _knows(self, before: CoreState) -> bool:
        """Take over what the core before knew."""
        try:
            self._hub.restore(before.hub)
        except ValueError as wrong:
            log.warning("what the core before knew is of no use: a new epoch begins", error=str(wrong))
            return False
        # The feeds tell a core that goes on nothing again: who sees everything late needs all of it, or a new epoch.
        return self._late is None or (before.late is not None and self._late.take_over(before.late))

    def _make_door(self, data: DataDir) -> StatusSource:
        """Make what clients reach: a gateway in this process, or REST and the links of gateway workers."""
        config = self._config
        insight = OperationsInsight(
            feed_rows=lambda _now: self._board.rows(steady_ns()),
            feeds_live=lambda: self._board.live,
            instruments=lambda: len(self._registry),
            latency=self._latency.snapshot,
            failures=self.failures,
            clock=now_ns,
        )
        self._tallies = tallies_of(config, data, CORE)
        guests = make_guests(config, data, self._tallies)
        rest = create_app(
            hub=self._hub,
            registry=self._registry,
            insight=insight,
            ledger=self._ledger,
            config=config.gateway,
            clock=now_ns,
            symbols=FeedControl(data, tuple(config.feeds)),
            processes=ProcessControl(data),
            exchanges=ExchangeControl(data),
            guests=guests,
            late=None if self._late is None else self._late.hub,
        )
        status = StatusSource(insight, self._ledger, self._standing)
        self._rest = UnixServer(for_operators(rest), data.socket("rest"))
        self._rest_of_clients: UnixServer | None = None
        if config.gateway.workers:
            self._rest_of_clients = UnixServer(rest, data.socket("rest-clients"))
            self._links = LinkServer(
                self._hub,
                data.socket("fanout"),
                clock=steady_ns,
                wake=self._wake,
                directory=self._registry,
                notes=lambda: [encode_note(note) for note in self._notes.state()],
            )
        else:
            self._gateway = GatewayStage(
                config.gateway,
                hub=self._hub,
                app=rest,
                clock=steady_ns,
                wall=now_ns,
                wake=self._wake,
                directory=self._registry,
                status=status,
                guests=guests,
                late=None if self._late is None else self._late.shown,
            )
            if self._late is not None:
                self._late.deliver = self._gateway.deliver_late
        return status

    async def start(self) -> dict[str, str]:
        """Start from the end of the flow to its beginning, the door last; returns where that is."""
        if self._gateway is not None:
            self._gateway.bind()
        if self._before is not None:
            self._latest.adopt(self._before.definitions)
            for health in self._before.feeds:
                self._board.report(health, now_ns())
            log.info("took over", instruments=len(self._registry), feeds=len(self._before.feeds))
        if self._late is not None:
            self.bus.listen(self._late)
            await self._late.start()
        await self._latest.start()
        await self.bus.start()
        await self._bus_server.start()
        if self._before is None:
            await self._wait_for_definitions()
        if self._links is not None:
            await self._links.start()
        for rest in self._rests:
            await rest.start()
        self._tasks.spawn(self._look_after(), "door")
        if self._links is not None:
            return {"rest": str(self._rest.path)}
        assert self._gateway is not None  # noqa: S101  one of the two is there
        await self._gateway.start()
        return {"http": self._gateway.address}

    async def _wait_for_definitions(self) -> None:
        wanted = set(self._config.feeds)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.latest.start_wait_s):
                while not wanted <= self._registry.feeds | self._board.failing():  # noqa: ASYNC110  two things change it
                    await asyncio.sleep(_POLL_S)

    async def hand_over(self, path: Path) -> None:
        """Take nothing in any more, work off what is there, and leave what is known for the core that takes over."""
        self._bus_server.hand_over()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_S):
                while not self._bus_server.is_settled:  # noqa: ASYNC110  many things change it
                    await asyncio.sleep(_POLL_S)
        if not self._bus_server.is_settled:
            log.error("not everything taken in is worked off: the next core begins a new epoch")
            return
        await self._latest.freeze()
        late = None if self._late is None else await self._late.hand_over()
        takeover.leave(
            path,
            CoreState(
                at_ns=now_ns(),
                hub=self._hub.save(),
                definitions=self._registry.definitions,
                feeds=self._board.reports(),
                bus=self._bus_server.past(),
                late=late,
            ),
        )

    async def stop(self) -> None:
        """Stop from the beginning of the flow to its end."""
        await self._bus_server.stop()
        await self._latest.stop()
        if self._late is not None:
            await self._late.stop()
        await self.bus.stop()
        self._fanout.stop()
        await self._tasks.stop()
        if self._gateway is not None:
            await self._gateway.stop()
        if self._links is not None:
            await self._links.stop()
        for rest in self._rests:
            await rest.stop()
        self._tallies.close()

    @property
    def _rests(self) -> list[UnixServer]:
        """REST for this machine's commands, and for the clients of gateway workers."""
        return [self._rest] + ([self._rest_of_clients] if self._rest_of_clients is not None else [])

    def _deliver(self, flushed: Flush) -> None:
        if self._gateway is not None:
            self._gateway.deliver(flushed)
        if self._links is not None:
            self._links.deliver(flushed)

    async def _look_after(self) -> None:
        """Make the notes of channel ``status`` for all workers, and sockets whose files somebody removed."""
        while True:
            if self._links is not None:
                notes = self._status.notes(now_ns())
                self._notes.put(notes)
                self._links.tell([encode_note(note) for note in notes])
            await self._heal_sockets()
            await asyncio.sleep(STATUS_NS / 1e9)

    async def _heal_sockets(self) -> None:
        """Somebody cleaned the data folder: workers and commands find the core again."""
        try:
            if self._links is not None:
                await self._links.heal()
            for rest in self._rests:
                await rest.heal()
        except (UsageError, OSError) as wrong:
            log.warning("a socket that was removed cannot be made again", error=str(wrong))

    def _on_rung(self, rung: Rung) -> None:
        if self._gateway is not None:
            self._gateway.clients.is_overloaded = rung == Rung.FULL

    def _standing(self) -> tuple[int, str]:
        """Rung of the overload ladder and its word, for the channel ``status``."""
        rung = self._fanout.ladder.rung
        return int(rung), rung.word

    def failures(self) -> Sequence[str]:
        """What broke inside."""
        late = None if self._late is None else self._late.failure
        return [f"{name}: {why}" for name, why in (("latest", self._latest.failure), ("late", late)) if why is not None]

    def _wake(self) -> None:
        self._fanout.flush()

    def _applied(self, batch: TickBatch) -> None:
        if self._late is not None:
            self._late.put(batch)
        hops, records, event = batch.hops, batch.records, 0
        if hops.bus_out and len(records):
            measure = self._latency.record
            known = self._board.clock(batch.feed)
            ahead_ns = 0 if known is None else round(known.certain_ms * 1e6)
            live = records[
                (records["kind"] == Kind.TRADE)
                & ((records["flags"] & _NO_LATENCY) == 0)
                & (records["ts_event"] >= batch.session * _SESSION_NS + ahead_ns)
            ]
            if len(live) and batch.feed not in self._polled:
                # by our clock, as far as the venue's is known to differ; faster than every message before is as fast
                event = min(int(live["ts_event"][-1]) - ahead_ns, int(live["ts_recv"][-1]))
                measure("exchange_to_socket", np.maximum(live["ts_recv"] - live["ts_event"] + ahead_ns, 0))
                for hop in _BETWEEN_CLOCKS:
                    self._latency.between_clocks(hop, batch.feed, None if known is None else known.error_ms)
            measure("decode_normalise", hops.decoded - hops.received)
            measure("bus_write", hops.bus_in - hops.decoded)
            measure("bus_read", hops.bus_out - hops.bus_in)
        self._fanout.applied(batch, event)


async def run_core(
    config: Config,
    data: DataDir,
    *,
    stop: asyncio.Event,
    ready: Callable[..., None],
    asked: Callable[[Callable[[], None]], None] = lambda _: None,
    standby: bool = False,
) -> None:
    """Run the core until ``stop`` is set, or until another one takes over.

    Args:
        config: the instance's.
        data: where its sockets are.
        stop: ends it.
        ready: gets ``http``, the gateway's address, or ``rest``, a socket; standing by: nothing.
        asked: is given what is to be called when the supervisor asks for the next step: to take over, to hand over.
        standby: it begins when the core before it is gone, with what that left.
    """
    left = data.root / "core.handover"
    steps: list[int] = []

    def step() -> None:
        steps.append(now_ns())
        if not standby or len(steps) > 1:
            stop.set()

    asked(step)
    before = None
    if standby:
        ready()
        while not steps and not stop.is_set():  # noqa: ASYNC110  either of two
            await asyncio.sleep(_POLL_S)
        if stop.is_set():
            return
        before = takeover.take(left, now_ns())
    else:
        takeover.clear(left)
    core = Core(config, data, before=before)
    addresses = await core.start()
    if not standby:
        ready(**addresses)
    try:
        while not stop.is_set():
            if failures := core.failures():
                # half a core is worse than none: the supervisor starts a whole one
                raise TickcastError(f"the core broke and is started again: {'; '.join(failures)}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _WATCH_S)
        if len(steps) > standby:
            await core.hand_over(left)
    finally:
        await core.stop()


def shares_of(data: DataDir, name: str) -> Shares | None:
    """What a worker tells the others; None: its name has no place among them."""
    number = WORKER_NAME.fullmatch(name)
    place = int(number[1]) if number else 0
    return Shares(data.root / "gateways", place) if 0 < place <= WORKERS_MAX else None


def neighbours_of(config: Config, data: DataDir, name: str) -> Neighbours | None:
    """The workers among which a worker finds sessions of Socket.IO; None: there are none to be found."""
    number = WORKER_NAME.fullmatch(name)
    if number is None or not 0 < int(number[1]) <= WORKERS_MAX or config.gateway.socketio.mode == "off":
        return None
    return Neighbours(
        int(number[1]),
        lambda other: data.socket(f"socketio-{other}"),
        connections_max=config.gateway.connections_max,
    )


def late_of(config: Config, data: DataDir, name: str) -> WorkerLate | None:
    """Make what a worker serves those from who see everything late, if there are any."""
    if not config.gateway.auth.delayed:
        return None
    return WorkerLate(
        config, make_worker_hub(config), data.socket("fanout-late"), name, symbols_max=matched_max(config)
    )


def matched_max(config: Config) -> int:
    """Symbols of a pattern that a worker asks for; more where clients may see a part of them only."""
    gateway = config.gateway
    most = gateway.symbols_max
    return most if takes_anonymous(gateway.auth, gateway.host) else max(most, MATCHED_MAX)


async def _leave_metrics(left: MetricsFile, stop: asyncio.Event) -> None:
    while not stop.is_set():
        left.write()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _METRICS_S)


async def run_gateway(
    name: str,
    config: Config,
    data: DataDir,
    *,
    listener: socket.socket | None,
    stop: asyncio.Event,
    ready: Callable[..., None],
) -> None:
    """Run a gateway worker until ``stop`` is set; ``ready`` gets ``http``, its address.

    Args:
        name: ``gateway1``; the number is its place among the workers.
        config: the instance's.
        data: where the core's sockets are.
        listener: the socket shared with other workers; None: it binds its own.
        stop: set when it is to drain and end.
        ready: called when clients are accepted.
    """
    hub = make_worker_hub(config)
    owner = OwnerClient(
        hub,
        data.socket("fanout"),
        name=name,
        clock=steady_ns,
        wake=lambda: fanout.flush(),  # noqa: PLW0108  made below
        notes=lambda texts, is_whole: worker.stage.take_notes([decode_note(text) for text in texts], is_whole=is_whole),
        lost=lambda reason: worker.stage.lose_notes(reason),  # noqa: PLW0108  made below
        symbols_max=matched_max(config),
    )
    late = late_of(config, data, name)
    tallies = tallies_of(config, data, name)
    worker = GatewayWorker(
        config.gateway,
        hub=hub,
        rest=data.socket("rest-clients"),
        guests=make_guests(config, data, tallies),
        clock=steady_ns,
        wall=now_ns,
        wake=lambda: fanout.flush(),  # noqa: PLW0108  made below
        listener=listener,
        shares=None if listener is None else shares_of(data, name),
        directory=owner,
        owner=owner,
        late=None if late is None else late.shown,
        neighbours=neighbours_of(config, data, name),
        tallies=tallies,
    )

    def on_rung(rung: Rung) -> None:
        worker.stage.clients.is_overloaded = rung == Rung.FULL
        worker.stage.clients.status.tell_rung(int(rung), rung.word)

    fanout = FanoutStage(
        hub,
        clock=steady_ns,
        wall=now_ns,
        deliver=worker.stage.deliver,
        measure=lambda _hop, _ns: None,
        config=config.fanout,
        on_rung=on_rung,
        memory_bytes=resident_bytes,
    )
    fanout.watch(config.fanout)
    left = MetricsFile(data.root / METRICS, name, now_ns)
    await owner.start()
    if late is not None:
        await late.start(worker.stage.deliver_late)
    ready(http=await worker.start())
    try:
        await _leave_metrics(left, stop)
    finally:
        left.remove()
        await worker.stop()
        tallies.close()
        await owner.stop()
        if late is not None:
            await late.stop()
        fanout.stop()


def processes(
    config: Config,
    path: Path,
    data: DataDir,
    *,
    sim: Path | None = None,
    port: int | None = None,
    listener: socket.socket | None = None,
) -> list[ProcessSpec]:
    """What an instance consists of: the core, its gateway workers, one process per feed, and simulated exchanges.

    Args:
        config: the instance's; ``gateway.workers`` of it is the number of workers.
        path: its file.
        data: its folder.
        sim: config of the simulated exchanges, if there are to be any.
        port: the core's port in place of the config's; without workers only.
        listener: what the workers accept from.
    """
    python = (sys.executable, "-m", "tickcast")
    common = ("--config", str(path), "--data", str(data.root))
    listen = () if port is None else ("--port", str(port))
    workers = ("--gateways", str(config.gateway.workers))
    argv: tuple[str, ...] = (*python, "run", "core", *common, *listen, *workers)
    specs = [ProcessSpec(name=CORE, role="core", argv=argv, overlaps=True)]
    for number in range(1, config.gateway.workers + 1):
        inherited = () if listener is None else (listener.fileno(),)
        shared = tuple(text for fd in inherited for text in ("--listen-fd", str(fd)))
        name = f"gateway{number}"
        argv = (*python, "run", "gateway", name, *common, *workers, *shared)
        specs.append(ProcessSpec(name=name, role="gateway", argv=argv, after=("core",), pass_fds=inherited))
    if sim is not None:
        specs.append(ProcessSpec(name=SIM, role="sim", argv=(*python, "sim", "--config", str(sim))))
    specs.extend(
        ProcessSpec(
            name=name,
            role="feed",
            venue=feed.venue,
            argv=(*python, "run", "feed", name, *common),
            overlaps=may_overlap(feed.venue) and not feed.capture,
            after=() if sim is None else (SIM,),
        )
        for name, feed in config.feeds.items()
    )
    return specs
