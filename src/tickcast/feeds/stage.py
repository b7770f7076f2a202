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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol, assert_never

from tickcast.feeds.backoff import Backoff
from tickcast.feeds.capture import Capture, open_capture
from tickcast.feeds.config import FeedConfig, read_previous_close
from tickcast.feeds.health import HealthTracker
from tickcast.feeds.inbox import Answered, Arrival, Closed, Inbox, Opened, Received
from tickcast.feeds.kept import KeptFile
from tickcast.feeds.rest_poll import RestClient
from tickcast.feeds.tcp import open_tcp
from tickcast.feeds.udp import SocketQueue, open_udp, open_udp_line
from tickcast.feeds.websocket import open_websocket
from tickcast.model.errors import FeedError
from tickcast.ports import Clock, Normaliser, Publisher
from tickcast.runtime import metrics
from tickcast.runtime.log import get_logger
from tickcast.runtime.tasks import TaskGroupOwner
from tickcast.venues.base import Answer, Link, Persistent, Request, Session, Step
from tickcast.venues.fix.messages import redact
from tickcast.venues.registry import open_session

SECOND_NS: Final = 1_000_000_000
HEALTH_INTERVAL_S: Final = 0.25
REPORT_NS: Final = SECOND_NS
PROBE_AFTER_NS: Final = SECOND_NS
"""A link that brought nothing for so long is pinged, so that quiet is told from dead."""
DEAD_LETTERS_LOGGED: Final = 100
"""Dead letters of a feed that are logged one by one; all are counted."""

log = get_logger("feeds")


class Connection(Protocol):
    """What the connectors give."""

    closed: asyncio.Future[str]
    heard_ns: int

    def send(self, data: bytes) -> None: ...
    def probe(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def abort(self, reason: str) -> None: ...


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
    ) -> None:
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
        self._connections: dict[str, Connection] = {}
        self._texts: set[str] = set()
        """Links whose messages are text."""
        self._asked_only: set[str] = set()
        """Links that bring nothing unless they are asked: their silence says nothing."""
        self._queues: dict[str, SocketQueue] = {}
        self._refused: set[str] = set()
        self._dropped: set[str] = set()
        self._backoffs: dict[str, Backoff] = {}
        self._pending: list[Step] = []
        self._wakeup = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0
        self._reported_ns = 0
        self._logged = 0
        self._inbox = Inbox(bound=config.inbox_max, pause=self._pause, resume=self._resume)
        self.health = HealthTracker(
            name=name,
            venue=config.venue,
            pid=os.getpid(),
            now_ns=clock(),
            quiet_after_s=config.quiet_after_s,
            stale_after_s=config.stale_after_s,
        )
        self._rest = RestClient(
            on_answer=self._on_answer,
            on_trouble=self._on_trouble,
            new_backoff=self._new_backoff,
            clock=clock,
            timeout_s=config.connect_timeout_s,
            answer_max=config.message_max,
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
        stopping = self._tasks.spawn(self._await_stop(stop), "stop")
        self._tasks.spawn(self._keep_health(), "health")
        if self._capture is not None:
            self._tasks.spawn(self._capture.run(), "capture")
        try:
            self._carry_out(self._session.start(self._clock()))
            while not stopping.done():
                await self._wakeup.wait()
                self._wakeup.clear()
                await self._round()
                if self._tasks.failure is not None:
                    raise self._tasks.failure
        finally:
            if self._timer is not None:
                self._timer.cancel()
            await self._tasks.stop()
            await self._rest.stop()
            for connection in list(self._connections.values()):
                connection.abort("the feed stops")
            if self._capture is not None:
                await self._capture.flush()
            self.health.stopped(self._clock())
            await self._report()

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
        self._inbox.done(arrivals)

    def _dispatch(self, arrival: Arrival) -> Step:
        session = self._session
        match arrival:
            case Received():
                if arrival.link in self._dropped:
                    return Step()
                return session.received(arrival.link, arrival.chunks, arrival.times)
            case Answered():
                step = session.answered(arrival.request, arrival.answer)
                if not step.repeat:
                    self._rest.worked(arrival.request.purpose)
                return step
            case Opened():
                return session.opened(arrival.link, arrival.now_ns)
            case Closed():
                self._dropped.discard(arrival.link)
                return session.closed(arrival.link, arrival.now_ns)
            case _:
                assert_never(arrival)

    async def _publish(self, steps: list[Step], received_ns: int) -> None:
        """Publish steps together; a new feed session begins a batch of its own."""
        group: list[Step] = []
        for step in steps:
            if step.new_session and group:
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
        new_session = group[0].new_session
        if not offset and not definitions and not new_session:
            return
        batches = self._normaliser.accept(
            b"".join(parts) if len(parts) > 1 else parts[0],
            received_ns=received_ns,
            decoded_ns=self._clock(),
            definitions=definitions,
            texts=texts,
            new_session=new_session,
        )
        for batch in batches:
            self.health.records += len(batch.records)
            await self._publisher.publish(batch)

    # ------------------------------------------------------------------ carrying out

    def _carry_out(self, step: Step) -> None:
        """Do what a step asks of the shell; its records go with the next publish."""
        now_ns = self._clock()
        if step.messages:
            self.health.took(step.messages, now_ns)
        if step.dead_count:
            self._bury(step)
        if step.keep is not None and self._kept is not None:
            self._kept.write(step.keep)  # before anything is sent: a number is never used twice
        self._send(step.send, now_ns)
        for new_link in step.links:
            self._tasks.spawn(self._keep_link(new_link), new_link.name)
        for request in step.requests:
            self._rest.ask(request)
        for request in step.repeat:
            self._rest.ask_again(request)
        self._let_go(step, now_ns)
        if step.records or step.definitions or step.new_session:
            self._pending.append(step)
            self._wakeup.set()

    def _send(self, frames: Sequence[tuple[str, bytes]], now_ns: int) -> None:
        for link, data in frames:
            connection = self._connections.get(link)
            if connection is not None:
                connection.send(data)
                if self._capture is not None:
                    self._capture.sent(link, redact(data), now_ns, text=link in self._texts)

    def _let_go(self, step: Step, now_ns: int) -> None:
        for link, reason in step.refused.items():
            self._refused.add(link)
            self.health.refused(reason, now_ns)
            self._drop(link, reason)
        for link, reason in step.drop.items():
            self._drop(link, reason)

    def _drop(self, link: str, reason: str) -> None:
        """Close a link; what it still brought is not looked at."""
        self._dropped.add(link)
        connection = self._connections.get(link)
        if connection is not None:
            connection.abort(reason)

    def _bury(self, step: Step) -> None:
        self.health.dead_letters += step.dead_count
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
        self._carry_out(self._session.wake(self._clock()))
        self._schedule_wake()

    # ------------------------------------------------------------------ links

    async def _keep_link(self, link: Link) -> None:
        """Open, wait until it is gone, say so, wait, open again."""
        backoff = self._backoffs.setdefault(link.name, self._new_backoff())
        while True:
            messages = self.health.messages
            try:
                connection = await self._open(link)
            except FeedError as wrong:
                reason = str(wrong)
            else:
                reason = await self._serve(link.name, connection)
                if self.health.messages > messages:
                    backoff.reset()
            self.health.closed(link.name, reason)
            delay_s = backoff.next_s()
            if link.name in self._refused:
                self._refused.discard(link.name)
                delay_s = max(delay_s, self._config.refused_retry_s)
            self._log.warning("link closed", link=link.name, reason=reason, retry_s=round(delay_s, 3))
            await asyncio.sleep(delay_s)

    async def _serve(self, name: str, connection: Connection) -> str:
        now_ns = self._clock()
        self._connections[name] = connection
        if self._inbox.paused:
            connection.pause()
        self.health.opened(name, now_ns)
        self._log.info("link open", link=name)
        try:
            return await connection.closed
        finally:
            self._connections.pop(name, None)
            connection.abort("the feed lets go")
            now_ns = self._clock()
            self._inbox.put(Closed(name, now_ns))
            if self._capture is not None:
                self._capture.closed(name, now_ns, _reason(connection))
            self._wakeup.set()

    async def _open(self, link: Link) -> Connection:
        """Connect; that it is open goes into the inbox before its first byte."""
        name = link.name
        timeout_s = self._config.connect_timeout_s
        arrived = self._begin(link)
        match link.transport:
            case "tcp":
                return await open_tcp(
                    link.target,
                    on_open=arrived,
                    on_data=lambda data, now_ns: self._on_bytes(name, [data], now_ns),
                    clock=self._clock,
                    timeout_s=timeout_s,
                )
            case "websocket":
                return await open_websocket(
                    link.target,
                    on_open=arrived,
                    on_messages=lambda messages, now_ns: self._on_bytes(name, messages, now_ns),
                    clock=self._clock,
                    timeout_s=timeout_s,
                    message_max=self._config.message_max,
                )
            case "udp" | "udp_line":
                return await self._open_udp(link, arrived)
            case _:
                assert_never(link.transport)

    async def _open_udp(self, link: Link, arrived: Callable[[Connection], None]) -> Connection:
        """Open a line or the way to a request server; its kernel buffer is a queue like any other."""
        name = link.name
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = SocketQueue()
            metrics.watch_queue(
                f"feeds.{self.health.name}.{name}.socket", bound=queue.bound, depth=queue.depth, drops=queue.drops
            )
        if link.transport == "udp":
            self._asked_only.add(name)
            return await open_udp(
                link.target,
                on_open=arrived,
                on_data=lambda chunks, now_ns: self._on_bytes(name, chunks, now_ns),
                clock=self._clock,
                buffer_bytes=self._config.udp_buffer,
                queue=queue,
            )
        return await open_udp_line(
            link.target,
            interface=link.interface,
            on_open=arrived,
            on_data=lambda chunks, now_ns: self._on_bytes(name, chunks, now_ns),
            clock=self._clock,
            buffer_bytes=self._config.udp_buffer,
            queue=queue,
        )

    def _begin(self, link: Link) -> Callable[[Connection], None]:
        if link.transport == "websocket":
            self._texts.add(link.name)

        def begin(connection: Connection) -> None:
            now_ns = self._clock()
            self._connections[link.name] = connection
            self._inbox.put(Opened(link.name, now_ns))
            if self._capture is not None:
                self._capture.opened(link, now_ns)
            self._wakeup.set()

        return begin

    def _on_bytes(self, link: str, chunks: list[bytes], now_ns: int) -> None:
        self._inbox.put_bytes(link, chunks, now_ns)
        if self._capture is not None:
            self._capture.received(link, chunks, now_ns, text=link in self._texts)
        self._wakeup.set()

    def _on_answer(self, request: Request, answer: Answer) -> None:
        self.health.alive(answer.received_ns)
        self._inbox.put(Answered(request, answer))
        if self._capture is not None:
            self._capture.answered(request, answer)
        self._wakeup.set()

    def _on_trouble(self, reason: str) -> None:
        self.health.last_error = reason
        self._log.warning("request failed", reason=reason)

    def _pause(self) -> None:
        for connection in self._connections.values():
            connection.pause()

    def _resume(self) -> None:
        now_ns = self._clock()
        for connection in self._connections.values():
            connection.heard_ns = now_ns
            connection.resume()

    def _new_backoff(self) -> Backoff:
        return Backoff(
            min_s=self._config.backoff_min_ms / 1000, max_s=self._config.backoff_max_ms / 1000, random=self._jitter
        )

    # ------------------------------------------------------------------ health

    async def _keep_health(self) -> None:
        while True:
            await asyncio.sleep(HEALTH_INTERVAL_S)
            now_ns = self._clock()
            self._watch_links(now_ns)
            changed = self.health.evaluate(now_ns)
            if changed:
                self._log.info("health", state=self.health.state, error=self.health.last_error)
            if changed or now_ns - self._reported_ns >= REPORT_NS:
                await self._report()

    def _watch_links(self, now_ns: int) -> None:
        """Tell quiet from dead, link by link. A link that we do not read ourselves is neither."""
        if self._inbox.paused:
            self.health.alive(now_ns)
            return
        dead_ns = round(self._config.dead_after_s * SECOND_NS)
        for link, connection in list(self._connections.items()):
            if link in self._asked_only:
                continue
            self.health.alive(connection.heard_ns)
            silent_ns = now_ns - connection.heard_ns
            if silent_ns >= dead_ns:
                connection.abort(f"dead: nothing, not even a heartbeat, for {silent_ns / SECOND_NS:.0f} s")
            elif silent_ns >= PROBE_AFTER_NS:
                connection.probe()

    async def _report(self) -> None:
        self._reported_ns = self._clock()
        await self._publisher.report(
            self.health.report(
                gaps=self._normaliser.gaps,
                dead_letters=self._normaliser.dead_letters,
                dropped=self._publisher.conflated,
                queues=metrics.queue_levels(),
            )
        )


def _reason(connection: Connection) -> str:
    """Why it closed; empty if it did not, or nobody waits any more."""
    closed = connection.closed
    return closed.result() if closed.done() and not closed.cancelled() else ""


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
    )
    feed.watch()
    await feed.run(stop)
