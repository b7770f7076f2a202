"""The async shell of one feed process: links, requests and timers around a pure session.

::

    link ──read──▶ inbox ──round──▶ session (pure) ──▶ normaliser ──▶ publisher.publish
                     ▲                  │ frames, requests, links
    REST ──answer────┘                  ▼
                                   the same links

There is no timer on the way of a tick. One task runs rounds: it takes everything that has arrived, lets the session
decode it, and publishes it as one batch. While ``publish`` waits for room, more arrives and becomes the next round;
when the inbox is full the links are not read and TCP pushes back.
"""

import asyncio
import os
import random
import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, assert_never

import msgspec

from tickcast.feeds.backoff import Backoff
from tickcast.feeds.budget import Budgets, shared_folder, sweep
from tickcast.feeds.canaries import Canaries, Sign
from tickcast.feeds.capture import Capture, open_capture
from tickcast.feeds.config import FeedConfig, read_previous_close
from tickcast.feeds.health import HealthTracker
from tickcast.feeds.inbox import Answered, Arrival, Closed, Inbox, Missed, Opened, Received
from tickcast.feeds.kept import KeptFile
from tickcast.feeds.links import CONNECTS, Links
from tickcast.feeds.relay import Relay
from tickcast.feeds.rest_poll import WEIGHT, RestClient
from tickcast.feeds.secrets import Hider
from tickcast.feeds.standby import leave
from tickcast.feeds.tls import open_tls
from tickcast.feeds.venue_clock import VenueClock, date_ns
from tickcast.model.errors import UsageError
from tickcast.model.health import ClockHealth, Findings, Overlap
from tickcast.model.ledger import Incident
from tickcast.ports import Clock, Normaliser, Publisher
from tickcast.runtime import metrics
from tickcast.runtime.log import get_logger
from tickcast.runtime.tasks import TaskGroupOwner
from tickcast.venues.base import (
    Answer,
    Attentive,
    Bookish,
    Limited,
    Overlapping,
    Persistent,
    Request,
    Session,
    Step,
    Telling,
    Timely,
)
from tickcast.venues.registry import open_session
from tickcast.venues.selection import Changed, ConfigTaken, Demanded, Selective, SymbolList

SECOND_NS: Final = 1_000_000_000
HEALTH_INTERVAL_S: Final = 0.25
REPORT_NS: Final = SECOND_NS
LIVE: Final = frozenset({"symbols", "on_demand_max", "on_demand_linger_s"})
"""Keys of a feed's config that may change while it runs."""
PATIENCE_NS: Final = 40 * SECOND_NS
"""A process that is to take over waits so long for everything to be whole."""
DEAD_LETTERS_LOGGED: Final = 100
"""Dead letters of a feed that are logged one by one; all are counted."""
NAMED_MAX: Final = 5
"""Symbols that an error names; more are counted."""

log = get_logger("feeds")


class Feed:
    """One feed: see the module."""

    def __init__(
        self,
        name: str,
        *,
        config: FeedConfig,
        session: Session,
        normaliser: Normaliser,
        publisher: Publisher,
        clock: Clock,
        jitter: Callable[[], float],
        capture: Capture | None = None,
        kept: KeptFile | None = None,
        budgets: Budgets | None = None,
        tls: ssl.SSLContext | None = None,
        relay: Relay | None = None,
    ) -> None:
        """Prepare a feed; ``tls`` verifies certificates (None: by the system's authorities); ``relay`` hands over."""
        self._relay = relay
        self._standing_by_ns = clock()
        self._config = config
        self._capture = capture
        self._kept = kept
        self._session = session
        self._normaliser = normaliser
        self._publisher = publisher
        self._clock = clock
        self._jitter = jitter
        self._log = log.bind(feed=name, venue=config.venue)
        self._tasks = TaskGroupOwner("feeds")
        self._keeping: dict[str, asyncio.Task[None]] = {}
        """What keeps each link open."""
        self._pending: list[Step] = []
        self._wakeup = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0
        self._reported_ns = 0
        self._ledger_due = False
        self._logged = 0
        self._venue_clock = VenueClock()
        self._canaries = Canaries()
        self._failure: Exception | None = None
        """What a timer's call raised: outside of every task, so it is kept for the round to raise."""
        self._inbox = Inbox(bound=config.inbox_max, pause=self._pause, resume=self._resume)
        self.health = HealthTracker(
            name=name,
            venue=config.venue,
            pid=os.getpid(),
            now_ns=clock(),
            quiet_after_s=config.quiet_after_s,
            stale_after_s=config.stale_after_s,
        )
        self._links = Links(
            config,
            inbox=self._inbox,
            wake=self._wakeup.set,
            health=self.health,
            capture=capture,
            clock=clock,
            new_backoff=self._new_backoff,
            log=self._log,
            budgets=budgets,
            on_incident=self._on_incident,
            on_sign=self._on_sign,
            tls=tls,
        )
        self._rest = self._open_rest(budgets, tls)

    def _open_rest(self, budgets: Budgets | None, tls: ssl.SSLContext | None) -> RestClient:
        limited = self._session if isinstance(self._session, Limited) else None
        return RestClient(
            on_answer=self._on_answer,
            on_trouble=self._on_trouble,
            on_throttled=self._on_throttled,
            on_sign=self._on_sign,
            new_backoff=self._new_backoff,
            clock=self._clock,
            timeout_s=self._config.connect_timeout_s,
            answer_max=self._config.message_max,
            budgets=budgets,
            weight_header=limited.weight_header if limited else "",
            priority=limited.priority if limited else _own_priority,
            tls=tls,
        )

    def watch(self) -> None:
        """Publish the inbox as a metric; once per process and feed."""
        metrics.watch_queue(
            f"feeds.{self.health.name}.inbox",
            bound=self._inbox.bound,
            depth=lambda: self._inbox.size,
            drops=lambda: 0,
        )
        if self._capture is not None:
            self._capture.watch()

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop``; then say so, and let go of everything."""
        self._publisher.on_refresh(self._normaliser.refresh)
        if isinstance(self._session, Attentive):
            self._publisher.on_watched(partial(self._watch, self._session))
        if isinstance(self._session, Bookish):
            self._publisher.on_books(partial(self._watch_books, self._session))
        stopping = self._tasks.spawn(self._await_stop(stop), "stop")
        if self._relay is not None:
            self._relay.on_change(self._wakeup.set)
        self._tasks.spawn(self._keep_health(), "health")
        if self._capture is not None:
            self._tasks.spawn(self._capture.run(), "capture")
        is_left = False
        try:
            self._carry_out(self._session.start(self._clock()))
            while not stopping.done() and not self._hands_over:
                await self._wakeup.wait()
                self._wakeup.clear()
                await self._round()
                await self._see_relay()
                failure = self._failure or self._tasks.failure or self._rest.failure
                if failure is not None:
                    raise failure
            is_left = self._hands_over and await self._hand_over()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            await self._tasks.stop()
            await self._rest.stop()
            self._links.abort("the feed stops")
            if self._capture is not None:
                await self._capture.flush()
            if is_left:
                self.health.replaced(self._clock())
            else:
                self.health.stopped(self._clock())
            await self._report()

    # ------------------------------------------------------------------ handing over

    @property
    def _hands_over(self) -> bool:
        return self._relay is not None and self._relay.hands_over

    async def _see_relay(self) -> None:
        """Take over, if it is time."""
        if self._relay is not None and self._relay.takes_over_now():
            await self._take_over(self._relay)

    async def _hand_over(self) -> bool:
        """Tell what has arrived, and leave what was told for the process that takes over; False: it has to do without.

        What still comes over the links from here on, that process hears too.
        """
        await self._round()
        relay = self._relay
        if relay is None:
            return False
        if not await relay.settled():
            self._log.error("not everything told was taken in: what this process told is not left for the next one")
            return False
        return leave(relay.file.path, self._normaliser.keys(), now_ns=self._clock())

    async def _take_over(self, relay: Relay) -> None:
        """The process before is gone: tell what it did not, and go on."""
        standby = relay.standby
        if standby is None:
            return
        left = relay.file.take()
        count = await standby.go_live(left, self._normaliser.state())
        self._log.info("took over", from_pid=standby.takes_over or None, trades_not_told_before=count)
        await self._report()

    def _look_ready(self, relay: Relay, now_ns: int) -> None:
        """Say that the process before may end, once everything is whole here."""
        session = self._session
        is_settled = isinstance(session, Overlapping) and session.is_settled
        waited_ns = now_ns - self._standing_by_ns
        if not is_settled and (waited_ns < PATIENCE_NS or self.health.state not in {"connected", "quiet"}):
            return
        if not is_settled:
            self._log.warning("not everything is whole, and it takes over all the same", waited_s=waited_ns / SECOND_NS)
        relay.ready()

    async def _await_stop(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wakeup.set()

    # ------------------------------------------------------------------ the way of a tick

    async def _round(self) -> None:
        """Work off what has arrived, and publish it."""
        arrivals = self._inbox.take()
        for arrival in arrivals:
            self._carry_out(self._dispatch(arrival))
        steps, self._pending = self._pending, []
        self._schedule_wake()
        if steps:
            await self._publish(steps, _newest(arrivals) or self._clock())
        if self._ledger_due:
            self._ledger_due = False
            for batch in self._normaliser.settle(self._clock()):
                await self._publisher.publish(batch)
        self._inbox.done(arrivals)

    def _dispatch(self, arrival: Arrival) -> Step:
        session = self._session
        match arrival:
            case Received():
                if self._links.is_dropped(arrival.link):
                    return Step()
                return session.received(arrival.link, arrival.chunks, arrival.times)
            case Answered():
                step = session.answered(arrival.request, arrival.answer)
                if not step.repeat:
                    self._rest.worked(arrival.request.purpose)
                return step
            case Opened():
                self._normaliser.linked(arrival.link, arrival.now_ns)
                return session.opened(arrival.link, arrival.now_ns)
            case Closed():
                return self._closed(arrival)
            case Missed():
                return session.closed(arrival.link, arrival.now_ns)
            case _:
                assert_never(arrival)

    def _closed(self, arrival: Closed) -> Step:
        self._links.is_over(arrival.link)
        if self._links.was_left(arrival.link):
            return Step()
        step = self._session.closed(arrival.link, arrival.now_ns)
        if arrival.link not in step.end and not self._links.is_ended(arrival.link):
            self._normaliser.unlinked(arrival.link, arrival.reason, arrival.now_ns)
        return step

    async def _publish(self, steps: list[Step], received_ns: int) -> None:
        """Publish steps together; a new feed session begins a batch of its own, and so do incidents.

        The ledger takes the incidents of a batch before its rows.
        """
        group: list[Step] = []
        for step in steps:
            if (step.new_session or step.incidents) and group:
                await self._publish_group(group, received_ns)
                group = []
            group.append(step)
        await self._publish_group(group, received_ns)

    async def _publish_group(self, group: list[Step], received_ns: int) -> None:
        parts: list[bytes] = []
        texts: dict[int, str] = {}
        offset = 0
        for step in group:
            records = b"".join(step.records)
            texts.update((offset + index, text) for index, text in step.texts.items())
            offset += len(records) // 64
            parts.append(records)
        definitions = [one for step in group for one in step.definitions]
        new_session, incidents = group[0].new_session, group[0].incidents
        if not offset and not definitions and not new_session and not incidents:
            return
        batches = self._normaliser.accept(
            b"".join(parts) if len(parts) > 1 else parts[0],
            received_ns=received_ns,
            decoded_ns=self._clock(),
            definitions=definitions,
            texts=texts,
            new_session=new_session,
            incidents=incidents,
        )
        for batch in batches:
            self.health.records += len(batch.records)
            await self._publisher.publish(batch)

    def _watch(self, session: Attentive, counts: Mapping[int, int]) -> None:
        session.watched(counts)
        if isinstance(session, Demanded):
            self._carry_out(session.demand(counts, self._clock()))
            self._schedule_wake()

    def _watch_books(self, session: Bookish, instruments: Collection[int]) -> None:
        self._carry_out(session.watch_books(instruments, self._clock()))

    # ------------------------------------------------------------------ what is chosen while it runs

    def change_symbols(self, add: Sequence[str], drop: Sequence[str]) -> Changed:
        """Stream these, and those no more; nothing else is touched.

        Raises:
            UsageError: a symbol is none, or not in the venue's list, or the venue's feeds cannot; nothing is changed.
            StateError: the venue's list is not known yet; nothing is changed.
        """
        session = self._selective()
        try:
            changed, step = session.change_symbols(add, drop, self._clock())
            self._carry_out(step)
        finally:
            self._schedule_wake()  # the venue may have to be asked for its list, also where nothing is changed
        self._log.info("symbols changed", added=changed.added, dropped=changed.dropped, streamed=changed.streamed)
        return changed

    def take_config(self, config: FeedConfig) -> ConfigTaken:
        """Take another config than the one in force: all of it, or nothing."""
        keys = [key for key in config.__struct_fields__ if getattr(config, key) != getattr(self._config, key)]
        session = self._session if isinstance(self._session, Selective) else None
        fixed = [key for key in keys if key not in LIVE or session is None]
        if fixed or session is None:
            return ConfigTaken(refused=tuple(fixed))
        now_ns = self._clock()
        most, linger_s = config.on_demand_max, config.on_demand_linger_s
        self._carry_out(session.set_demand(most=most, linger_s=linger_s, now_ns=now_ns))
        changed, step = session.set_symbols(config.symbols, now_ns)
        self._carry_out(step)
        self._schedule_wake()
        self._config = config
        self._log.info("config taken", keys=keys, added=changed.added, dropped=changed.dropped)
        return ConfigTaken(taken=tuple(keys), symbols=changed)

    def list_symbols(self) -> SymbolList:
        """Say what is streamed, and why.

        Raises:
            UsageError: feeds of the venue cannot.
        """
        return self._selective().list_symbols()

    def _selective(self) -> Selective:
        if not isinstance(self._session, Selective):
            raise UsageError(
                f"a feed of {self._config.venue} has its symbols from the config when it starts; "
                f"change them there, then: tickcast restart {self.health.name}"
            )
        return self._session

    # ------------------------------------------------------------------ carrying out

    def _carry_out(self, step: Step) -> None:
        """Do what a step asks of the shell; its records go with the next publish."""
        now_ns = self._clock()
        if step.messages:
            self.health.took(step.messages, now_ns)
        if step.dead_count or step.unlisted:
            self._bury(step)
        if step.keep is not None and self._kept is not None:
            self._kept.write(step.keep)  # before anything is sent: a number is never used twice
        for one in step.sightings:
            self._venue_clock.round_trip(
                one.told_ns, sent_ns=one.sent_ns, received_ns=one.received_ns, unit_ns=one.unit_ns
            )
        self._links.send(step.send, now_ns)
        for new_link in step.links:
            if not self._links.renewed(new_link):
                self._keeping[new_link.name] = self._tasks.spawn(self._links.keep(new_link), new_link.name)
        for request in step.requests:
            self._rest.ask(request)
        for request in step.repeat:
            self._rest.ask_again(request)
        self._let_go(step, now_ns)
        if step.records or step.definitions or step.new_session or step.incidents:
            self._pending.append(step)
            self._wakeup.set()

    def _let_go(self, step: Step, now_ns: int) -> None:
        for link, reason in step.refused.items():
            self._links.refuse(link, reason, now_ns)
        for link, reason in step.end.items():
            self._links.end(link, reason)
            self._normaliser.linked(link, now_ns)  # it is not missed any more
        for link, reason in step.drop.items():
            self._links.drop(link, reason)
        for link in step.leave:
            self._links.leave(link)
            self._normaliser.linked(link, now_ns)  # if it was lost: nobody waits for it any more
            if (keeping := self._keeping.pop(link, None)) is not None:
                keeping.cancel()

    def _tell_unlisted(self, symbols: Sequence[str]) -> None:
        """Say which symbols of the config will never come."""
        more = f" and {len(symbols) - NAMED_MAX} more" if len(symbols) > NAMED_MAX else ""
        self.health.last_error = (
            f"the venue does not list {', '.join(symbols[:NAMED_MAX])}{more}, which the config names; "
            f"tickcast instruments {self._config.venue} shows what it lists"
        )
        self._log.warning("symbols of the config are not listed", symbols=list(symbols))

    def _bury(self, step: Step) -> None:
        if step.unlisted:
            self._tell_unlisted(step.unlisted)
        if not step.dead_count:
            return
        self.health.dead_letters += step.dead_count
        reason, raw = step.dead[0] if step.dead else ("", b"")
        self._canaries.buried(step.dead_count, reason, raw)
        if step.repeat and step.dead:
            self.health.last_error = step.dead[0][0]
        for reason, raw in step.dead:
            if self._logged < DEAD_LETTERS_LOGGED:
                self._logged += 1
                self._log.warning("dead letter", reason=reason, raw=raw[:200].hex(" ") if raw else "")

    def _schedule_wake(self) -> None:
        wanted = self._session.wake_ns
        if wanted == self._timer_ns:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_ns = wanted
        if wanted:
            delay_s = max(0.0, (wanted - self._clock()) / SECOND_NS)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_wake)

    def _on_wake(self) -> None:
        """Heartbeats must go out also while the publisher waits: the session is called at once."""
        self._timer = None
        self._timer_ns = 0
        try:
            self._carry_out(self._session.wake(self._clock()))
            self._schedule_wake()
        except Exception as failure:  # noqa: BLE001  the loop would log it and go on without timers
            self._failure = failure
            self._wakeup.set()

    # ------------------------------------------------------------------ REST

    def _on_answer(self, request: Request, answer: Answer) -> None:
        self.health.alive(answer.received_ns)
        self._read_date(answer)
        self._inbox.put(Answered(request, answer))
        if self._capture is not None:
            self._capture.answered(request, answer)
        self._wakeup.set()

    def _read_date(self, answer: Answer) -> None:
        """Take the time of an answer's header, where nothing better is to be had from the venue."""
        if not answer.sent_ns or (isinstance(self._session, Timely) and self._session.tells_time):
            return
        told_ns = date_ns(answer.date)
        if told_ns:
            self._venue_clock.round_trip(
                told_ns, sent_ns=answer.sent_ns, received_ns=answer.received_ns, unit_ns=SECOND_NS
            )

    def _on_trouble(self, reason: str) -> None:
        self.health.last_error = reason
        self._log.warning("request failed", reason=reason)

    def _on_throttled(self, reason: str, wait_s: float) -> None:
        """The venue refuses requests for now: that belongs into the ledger."""
        now_ns = self._clock()
        self._on_incident(
            Incident(
                kind="throttled",
                scope="venue",
                reason=reason,
                ts_ns=now_ns,
                until_ns=now_ns + round(wait_s * SECOND_NS),
            )
        )

    def _on_incident(self, incident: Incident) -> None:
        self._pending.append(Step(incidents=[incident]))
        self._wakeup.set()

    def _on_sign(self, sign: Sign, name: str, reason: str, sample: bytes) -> None:
        """The venue changes in how it is reached."""
        incident = self._canaries.saw(sign, name, reason, sample, self._clock())
        if incident is not None:
            self._on_incident(incident)

    def _pause(self) -> None:
        self._links.pause()

    def _resume(self) -> None:
        self._links.resume()

    def _new_backoff(self) -> Backoff:
        return Backoff(
            min_s=self._config.backoff_min_ms / 1000, max_s=self._config.backoff_max_ms / 1000, random=self._jitter
        )

    # ------------------------------------------------------------------ health

    async def _keep_health(self) -> None:
        while True:
            await asyncio.sleep(HEALTH_INTERVAL_S)
            now_ns = self._clock()
            incident = self._canaries.look(self.health.messages, now_ns)
            if incident is not None:
                self._on_incident(incident)
            lead_ns = self._normaliser.take_lead()
            if lead_ns is not None:
                self._venue_clock.one_way(now_ns + lead_ns, now_ns)
            self._links.watch(now_ns)
            self.health.is_idle = isinstance(self._session, Selective) and self._session.is_idle
            self._ledger_due = True
            self._wakeup.set()
            if self._relay is not None and self._relay.is_waiting:
                self._look_ready(self._relay, now_ns)
            changed = self.health.evaluate(now_ns)
            if changed:
                self._log.info("health", state=self.health.state, error=self.health.last_error)
            if changed or now_ns - self._reported_ns >= REPORT_NS:
                await self._report()

    async def _report(self) -> None:
        self._reported_ns = self._clock()
        await self._publisher.report(
            self.health.report(
                gaps=self._normaliser.gaps,
                dead_letters=self._normaliser.dead_letters,
                dropped=self._publisher.conflated,
                queues=metrics.queue_levels(),
                findings=self._findings(),
                clock=self._clock_health(),
                overlap=self._overlap(),
            )
        )

    def _overlap(self) -> Overlap:
        """What came over two links at once; what is dropped by its id is known by the normaliser."""
        session = self._session
        found = session.overlap(self._clock()) if isinstance(session, Overlapping) else Overlap()
        return msgspec.structs.replace(found, left_out=found.left_out + self._normaliser.duplicates)

    def _clock_health(self) -> ClockHealth | None:
        """What is known of the venue's clock."""
        found = self._venue_clock.estimate(self._clock())
        if found is None:
            return None
        return ClockHealth(
            offset_ms=_ms(found.offset_ns),
            uncertainty_ms=None if found.uncertainty_ns is None else _ms(found.uncertainty_ns),
            certain_ms=_ms(found.certain_ns),
            error_ms=None if found.error_ns is None else _ms(found.error_ns),
            round_trips=found.round_trips,
            steps=found.steps,
        )

    def _findings(self) -> Findings:
        """What the session and this shell found out, without what must not be told."""
        found = self._session.findings(self._clock()) if isinstance(self._session, Telling) else Findings()
        found = msgspec.structs.replace(found, unknown=[*found.unknown, *self._canaries.told()])
        return Hider((self._config.password,)).findings(found)


def _ms(ns: int) -> float:
    return round(ns / 1e6, 3)


def _own_priority(request: Request) -> float:
    return request.priority


def open_budgets(session: Session, *, clock: Clock) -> Budgets | None:
    """Return the quotas of a session's venue, shared with every other feed process here; None if it has none."""
    if not isinstance(session, Limited):
        return None
    quotas = {name: quota for name, quota in ((WEIGHT, session.weight), (CONNECTS, session.connects)) if quota}
    folder = shared_folder(os.environ)
    sweep(folder, clock())
    return Budgets(folder, quotas, clock=clock)


def _newest(arrivals: list[Arrival]) -> int:
    """Time of the read that brought the newest bytes; 0 = there was none."""
    times = [arrival.times[-1] for arrival in arrivals if isinstance(arrival, Received)]
    times += [arrival.answer.received_ns for arrival in arrivals if isinstance(arrival, Answered)]
    return max(times, default=0)


async def run_feed(  # noqa: PLR0917  the order in which the composition root has them
    name: str,
    config: FeedConfig,
    securities: Mapping[str, Sequence[str]],
    publisher: Publisher,
    clock: Clock,
    stop: asyncio.Event,
    *,
    normaliser: Normaliser,
    folder: Path,
    made: Callable[[Feed], None] = lambda _: None,
    relay: Relay | None = None,
) -> None:
    """Run one feed until ``stop`` is set: what the feed process does.

    Args:
        name: the feed's, as in ``[feeds.NAME]``.
        config: its table.
        securities: the table ``[securities]``.
        publisher: where batches and health go; started and closed by the caller.
        clock: wall clock, ns.
        stop: ends the feed orderly.
        normaliser: the feed's pipeline.
        folder: the data folder: captures and what sessions keep go below it.
        made: called with the feed before it runs, for those who have something to tell it.
        relay: how it takes over from another process of the feed, and hands over to one.

    Raises:
        UsageError: the config does not fit the venue, or a capture cannot be written.
    """
    closes = read_previous_close(name, config.previous_close) if config.previous_close else {}
    session = open_session(name, config, securities, previous_close=closes)
    kept = None
    if isinstance(session, Persistent):
        kept = KeptFile(folder / "feeds" / f"{name}.kept")
        if (state := kept.read()) is not None:
            session.restore(state)
    feed = Feed(
        name,
        config=config,
        session=session,
        normaliser=normaliser,
        publisher=publisher,
        clock=clock,
        jitter=random.SystemRandom().random,
        capture=open_capture(name, config, folder / "capture" / name, clock=clock) if config.capture else None,
        kept=kept,
        budgets=open_budgets(session, clock=clock),
        tls=open_tls(name, config.tls_ca),
        relay=relay,
    )
    feed.watch()
    made(feed)
    await feed.run(stop)
