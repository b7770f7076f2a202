"""The links of one feed: opened, opened again with backoff, paused when nobody keeps up, given up when dead."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, assert_never

from tickcast.feeds.backoff import Backoff
from tickcast.feeds.budget import Budgets
from tickcast.feeds.canaries import Sign
from tickcast.feeds.capture import Capture
from tickcast.feeds.config import FeedConfig
from tickcast.feeds.health import HealthTracker
from tickcast.feeds.inbox import Closed, Inbox, Missed, Opened
from tickcast.feeds.tcp import open_tcp
from tickcast.feeds.udp import SocketQueue, open_udp, open_udp_line
from tickcast.feeds.websocket import HandshakeError, open_websocket
from tickcast.model.errors import FeedError
from tickcast.model.ledger import Incident, IncidentKind
from tickcast.ports import Clock
from tickcast.runtime import metrics
from tickcast.venues.base import Link

REFUSED: Final = frozenset({401, 403, 407, 451})
"""Answers to a handshake after which trying again soon does not help: a login, a blocked address or region."""
THROTTLED: Final = frozenset({418, 429})
CLOSED: Final = frozenset({404, 410})
"""Answers to a handshake that say that the address is not there any more."""
BRIEF_NS: Final = 5_000_000_000
BRIEF_MAX: Final = 3
SECOND_NS: Final = 1_000_000_000
CONNECTS: Final = "connects"
"""The quota of new connections."""
RETRY_AFTER_MAX_S: Final = 86_400.0
"""No Retry-After is believed beyond a day."""
PROBE_AFTER_NS: Final = SECOND_NS
"""A link that brought nothing for so long is pinged, so that quiet is told from dead."""


class Connection(Protocol):
    """What the connectors give."""

    closed: asyncio.Future[str]
    heard_ns: int

    def send(self, data: bytes) -> None: ...
    def probe(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def abort(self, reason: str) -> None: ...


class Links:
    """Every link that the session has named; what they bring goes into the inbox."""

    def __init__(
        self,
        config: FeedConfig,
        *,
        inbox: Inbox,
        wake: Callable[[], None],
        health: HealthTracker,
        capture: Capture | None,
        clock: Clock,
        new_backoff: Callable[[], Backoff],
        log: Any,
        budgets: Budgets | None = None,
        on_incident: Callable[[Incident], None] = lambda _: None,
        on_sign: Callable[[Sign, str, str, bytes], None] = lambda *_: None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Keep no link yet.

        ``wake`` is called when something was put into the inbox; ``budgets`` say how often links may be opened;
        ``on_incident`` is told of refused handshakes, ``on_sign`` of addresses that move or close (sign, address,
        reason, sample); ``tls`` verifies certificates (None: by the system).
        """
        self._on_incident = on_incident
        self._on_sign = on_sign
        self._brief: dict[str, int] = {}
        """How often in a row each link closed at once and brought nothing."""
        self._tls = tls
        self._told: dict[str, int] = {}
        """Links whose handshake was refused, and with which status: told once until they are open."""
        self._budgets = budgets
        self._config = config
        self._inbox = inbox
        self._wake = wake
        self._health = health
        self._capture = capture
        self._clock = clock
        self._new_backoff = new_backoff
        self._log = log
        self._connections: dict[str, Connection] = {}
        self._texts: set[str] = set()
        """Links whose messages are text."""
        self._asked_only: set[str] = set()
        """Links that bring nothing unless they are asked: their silence says nothing."""
        self._brought: dict[str, int] = {}
        """Messages or reads of each link so far: one that brings something works, whatever the others do."""
        self._queues: dict[str, SocketQueue] = {}
        self._kept: dict[str, Link] = {}
        """As they were named last."""
        self._renewals: dict[str, asyncio.Event] = {}
        """Set when a link that is open once is named again."""
        self._refused: set[str] = set()
        self._dropped: set[str] = set()
        self._left: set[str] = set()
        self._ended: set[str] = set()
        """Links that are not opened again."""

    # ------------------------------------------------------------------ what the session asks for

    async def keep(self, link: Link) -> None:
        """Open, wait until it is gone, say so, wait, open again; until it is not wanted any more, or cancelled."""
        backoff = self._new_backoff()
        self._kept[link.name] = link
        while link.name not in self._ended:
            brought = self._brought.get(link.name, 0)
            asked_s = 0.0
            await self._await_turn(link)
            try:
                connection = await self._open(link)
            except FeedError as wrong:
                reason = str(wrong)
                if link.name in self._connections:  # it was open for a moment
                    self._over(link.name, reason)
                elif link.is_once:
                    self._inbox.put(Missed(link.name, self._clock()))
                    self._wake()
                if isinstance(wrong, HandshakeError):
                    asked_s = self._turned_away(link, wrong)
            else:
                self._told.pop(link.name, None)
                opened_ns = self._clock()
                reason = await self._serve(link.name, connection)
                self._look_for_signs(link, reason, brought, opened_ns)
                if self._brought.get(link.name, 0) > brought:
                    backoff.reset()
            link = await self._rest(link, reason, backoff.next_s(at_least_s=asked_s))

    async def _rest(self, link: Link, reason: str, delay_s: float) -> Link:
        """Wait until a link that closed may be opened again; returns it, as it is named by then."""
        if link.name in self._ended:
            self._health.ended(link.name)
            self._log.info("link replaced", link=link.name, reason=reason)
            return link
        self._health.closed(link.name, reason)
        if link.name in self._refused:
            self._refused.discard(link.name)
            delay_s = max(delay_s, self._config.refused_retry_s)
        self._log.warning("link closed", link=link.name, reason=reason, retry_s=round(delay_s, 3))
        await asyncio.sleep(delay_s)
        return await self._renewal(link) if link.is_once else link

    def renewed(self, link: Link) -> bool:
        """Take another address of a link that is kept already; False: it is not."""
        if link.name not in self._kept:
            return False
        self._kept[link.name] = link
        renewal = self._renewals.get(link.name)
        if renewal is not None:
            renewal.set()
        return True

    async def _renewal(self, spent: Link) -> Link:
        """Wait until the session names a link again whose address was good for one connection."""
        renewal = self._renewals.setdefault(spent.name, asyncio.Event())
        while self._kept[spent.name] is spent:
            renewal.clear()
            await renewal.wait()
        return self._kept[spent.name]

    def _look_for_signs(self, link: Link, reason: str, brought: int, opened_ns: int) -> None:
        """Tell of an address that takes connections only to close them."""
        is_brief = self._brought.get(link.name, 0) == brought and self._clock() - opened_ns < BRIEF_NS
        self._brief[link.name] = self._brief.get(link.name, 0) + 1 if is_brief and link.transport == "websocket" else 0
        if self._brief[link.name] >= BRIEF_MAX:
            address = link.target.partition("?")[0]
            text = f"{address} closed {BRIEF_MAX} connections in a row as soon as they were open: {reason}"
            self._on_sign("address", address, text, reason.encode())

    def _turned_away(self, link: Link, wrong: HandshakeError) -> float:
        """Take note of a refused handshake; returns how long the venue wants us to wait (s)."""
        now_ns = self._clock()
        wait_s = min(wrong.retry_after_s, RETRY_AFTER_MAX_S)
        until_ns = now_ns + round(wait_s * SECOND_NS)
        if wait_s and self._budgets is not None:
            self._budgets.of(link.target).hold(CONNECTS, until_ns)
        if 300 <= wrong.status < 400 or wrong.status in CLOSED:
            address = link.target.partition("?")[0]
            self._on_sign("address", address, str(wrong).replace(link.target, address), b"")
        is_refused = wrong.status in REFUSED
        if is_refused:
            self._refused.add(link.name)
            self._health.refused(str(wrong), now_ns)
        if wrong.status in THROTTLED or (is_refused and self._told.get(link.name) != wrong.status):
            kind: IncidentKind = "refused" if is_refused else "throttled"
            self._on_incident(
                Incident(
                    kind=kind, scope="connection", reason=str(wrong), ts_ns=now_ns, link=link.name, until_ns=until_ns
                )
            )
        self._told[link.name] = wrong.status
        return wait_s

    def send(self, frames: Sequence[tuple[str, bytes]], now_ns: int) -> None:
        """Send each over its link, if that is open."""
        for link, data in frames:
            connection = self._connections.get(link)
            if connection is not None:
                connection.send(data)
                if self._capture is not None:
                    self._capture.sent(link, data, now_ns, text=link in self._texts)

    def refuse(self, link: str, reason: str, now_ns: int) -> None:
        """Close a link that the venue refuses; the next attempt is long in coming."""
        self._refused.add(link)
        self._health.refused(reason, now_ns)
        self.drop(link, reason)

    def drop(self, link: str, reason: str) -> None:
        """Close a link; what it still brought is not looked at."""
        self._dropped.add(link)
        connection = self._connections.get(link)
        if connection is not None:
            connection.abort(reason)

    def leave(self, link: str) -> None:
        """Close a link for good; whoever keeps it is to be cancelled."""
        self._health.left(link)
        self._kept.pop(link, None)
        self._renewals.pop(link, None)
        connection = self._connections.get(link)
        if connection is not None:
            self._left.add(link)
            connection.abort("nothing is carried over it any more")

    def was_left(self, link: str) -> bool:
        """Whether a link that is closed now was closed for good; says so once."""
        if link not in self._left:
            return False
        self._left.discard(link)
        return True

    def end(self, link: str, reason: str) -> None:
        """Close a link and do not open it again; what it still brought is looked at."""
        self._ended.add(link)
        connection = self._connections.get(link)
        if connection is not None:
            connection.abort(reason)

    def is_ended(self, link: str) -> bool:
        """Whether a link is not opened again: that it closes is no loss."""
        return link in self._ended

    def is_dropped(self, link: str) -> bool:
        """Whether what a link brought is not to be looked at."""
        return link in self._dropped

    def is_over(self, link: str) -> None:
        """The session has been told that a link is closed: what comes now is of the next one."""
        self._dropped.discard(link)

    # ------------------------------------------------------------------ all of them

    def pause(self) -> None:
        """Read none."""
        for connection in self._connections.values():
            connection.pause()

    def resume(self) -> None:
        """Read all again; their silence begins now."""
        now_ns = self._clock()
        for connection in self._connections.values():
            connection.heard_ns = now_ns
            connection.resume()

    def watch(self, now_ns: int) -> None:
        """Tell quiet from dead, link by link. A link that we do not read ourselves is neither."""
        if self._inbox.paused:
            self._health.alive(now_ns)
            return
        dead_ns = round(self._config.dead_after_s * SECOND_NS)
        for link, connection in list(self._connections.items()):
            if link in self._asked_only:
                continue
            self._health.alive(connection.heard_ns)
            silent_ns = now_ns - connection.heard_ns
            if silent_ns >= dead_ns:
                connection.abort(f"dead: nothing, not even a heartbeat, for {silent_ns / SECOND_NS:.0f} s")
            elif silent_ns >= PROBE_AFTER_NS:
                connection.probe()

    def abort(self, reason: str) -> None:
        """Close all."""
        for connection in list(self._connections.values()):
            connection.abort(reason)

    # ------------------------------------------------------------------ one of them

    async def _serve(self, name: str, connection: Connection) -> str:
        now_ns = self._clock()
        self._connections[name] = connection
        if name in self._ended:
            connection.abort("it is not wanted any more")
        if self._inbox.paused:
            connection.pause()
        self._health.opened(name, now_ns)
        self._log.info("link open", link=name)
        try:
            return await connection.closed
        finally:
            connection.abort("the feed lets go")
            self._over(name, _reason(connection))

    def _over(self, name: str, reason: str) -> None:
        """Say that a link that was open is closed."""
        self._connections.pop(name, None)
        now_ns = self._clock()
        self._inbox.put(Closed(name, now_ns, reason))
        if self._capture is not None:
            self._capture.closed(name, now_ns, reason)
        self._wake()

    async def _await_turn(self, link: Link) -> None:
        """Wait until the venue allows this address another connection."""
        if self._budgets is None or link.transport != "websocket":
            return
        while wait_ns := self._budgets.of(link.target).take(CONNECTS):  # noqa: ASYNC110  other processes take too
            await asyncio.sleep(wait_ns / SECOND_NS)

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
                    tls=self._tls if link.target.startswith("wss:") else None,
                    headers=link.headers,
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
                f"feeds.{self._health.name}.{name}.socket", bound=queue.bound, depth=queue.depth, drops=queue.drops
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
            self._wake()

        return begin

    def _on_bytes(self, link: str, chunks: list[bytes], now_ns: int) -> None:
        self._brought[link] = self._brought.get(link, 0) + len(chunks)
        self._inbox.put_bytes(link, chunks, now_ns)
        if self._capture is not None:
            self._capture.received(link, chunks, now_ns, text=link in self._texts)
        self._wake()


def _reason(connection: Connection) -> str:
    """Why it closed; empty if it did not, or nobody waits any more."""
    closed = connection.closed
    return closed.result() if closed.done() and not closed.cancelled() else ""
