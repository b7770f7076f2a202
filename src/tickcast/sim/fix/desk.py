"""What the exchange answers and tells: subscriptions, snapshots, increments, lists, statuses. No I/O."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from tickcast.sim.config import FixConfig
from tickcast.sim.fix import requests
from tickcast.sim.fix.levels import Happened, Market, Part, View, messages
from tickcast.sim.fix.message import joined
from tickcast.sim.fix.requests import FormError, MarketDataRequest, RefusedError, group, required
from tickcast.sim.fix.session import Message
from tickcast.sim.market import Notice, NoticeKind, Slice
from tickcast.sim.universe import decimal_text, tick_digits

LIST_PART: Final = 200
"""Instruments in one security list message."""
_BEFORE: Final = (NoticeKind.OPEN, NoticeKind.HALT)
_AFTER: Final = (NoticeKind.RESUME, NoticeKind.CLOSE)


class Peer(Protocol):
    """A logged-on client."""

    desk: "Account"

    def send(self, msg_type: str, text: str) -> None:
        """Send a message: every field behind the header."""

    def reject(self, message: Message, error: FormError) -> None:
        """Session-level Reject (35=3)."""

    def refuse(self, message: Message, reason: int, text: str) -> None:
        """Business Message Reject (35=j)."""


@dataclass(eq=False, slots=True)
class Subscription:
    """A market data request that lives."""

    peer: Peer
    number: str
    view: View
    rows: set[int]
    waiting: deque[int]
    """Rows whose snapshot has not gone out: nothing is told of them before."""
    live: bool = True


@dataclass(eq=False, slots=True)
class Account:
    """What the desk knows of one connection."""

    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    statuses: dict[int, str] = field(default_factory=dict)
    """Row to SecurityStatusReqID (324) of those asked for with 35=e."""
    snapshots: deque[Subscription] = field(default_factory=deque)


class Desk:
    """Answers requests and publishes slices to those who subscribed."""

    def __init__(self, config: FixConfig, market: Market, *, venue: str, throttles: Callable[[], float | None]) -> None:
        self.market = market
        self.counters = {"requests": 0, "refused_requests": 0, "snapshots": 0, "increments": 0, "entries": 0}
        self.now_ns = 0
        self._config = config
        self._venue = venue
        self._throttles = throttles
        self._views: dict[tuple[int, frozenset[str]], View] = {}
        self._members: dict[View, dict[int, dict[Subscription, None]]] = {}
        self._peers: dict[Peer, None] = {}
        self._answers = 0

    # ------------------------------------------------------------------ requests

    def joined(self, peer: Peer) -> None:
        """A client logged on."""
        self._peers[peer] = None

    def left(self, peer: Peer) -> None:
        """A client has gone, and what it subscribed to with it."""
        self._peers.pop(peer, None)
        for subscription in list(peer.desk.subscriptions.values()):
            self._end(subscription)

    def take(self, peer: Peer, message: Message) -> None:
        """Answer one application message."""
        kind = message.first[35]
        handler = {"V": self._market_data, "x": self._list, "c": self._definition, "e": self._status}.get(kind)
        self.counters["requests"] += 1
        if handler is None:
            peer.refuse(message, 3, "Unsupported Message Type")
            return
        if (wait_s := self._throttles()) is not None:
            self.counters["refused_requests"] += 1
            peer.refuse(message, 0, f"Throttled, retry after {wait_s:g} s")
            return
        try:
            handler(peer, message)
        except FormError as error:
            self.counters["refused_requests"] += 1
            peer.reject(message, error)

    def _market_data(self, peer: Peer, message: Message) -> None:
        try:
            self._subscribe(peer, requests.market_data_request(message))
        except RefusedError as error:
            self.counters["refused_requests"] += 1
            peer.send("Y", joined([(262, message.first[262]), (281, error.reason), (58, error)]))

    def _subscribe(self, peer: Peer, request: MarketDataRequest) -> None:
        open_ones = peer.desk.subscriptions
        if request.kind == requests.UNSUBSCRIBE:
            found = open_ones.get(request.number)
            if found is None:
                raise RefusedError("1", f"expected the MDReqID of a subscription, found {request.number}")
            self._end(found)
            return
        if request.number in open_ones:
            raise RefusedError("1", f"MDReqID {request.number} is in use")
        unknown = [symbol for symbol in request.symbols if symbol not in self.market.row_of]
        if unknown:
            named = ", ".join(unknown[:10])
            raise RefusedError("0", f"Unknown symbol: {named}{' and others' if len(unknown) > 10 else ''}")
        if len(open_ones) >= self._config.subscriptions_max:
            raise RefusedError("2", f"expected up to {self._config.subscriptions_max} subscriptions at a time")
        rows = [self.market.row_of[symbol] for symbol in request.symbols]
        key = (request.depth, request.types)
        if request.kind == requests.SNAPSHOT:
            # the numbers (83) of those who follow these instruments, so that a refresh joins what they are told
            view = self._views.get(key) or View(self.market, *key)
            subscription = Subscription(peer, request.number, view, set(), deque(rows))
        else:
            view = self._views.get(key) or self._views.setdefault(key, View(self.market, *key))
            subscription = Subscription(peer, request.number, view, set(rows), deque(rows))
            open_ones[request.number] = subscription
        peer.desk.snapshots.append(subscription)

    def pump(self, peer: Peer, limit: int) -> bool:
        """Send up to ``limit`` snapshots that a client waits for; whether it waits for more."""
        waiting = peer.desk.snapshots
        while waiting and limit > 0:
            subscription = waiting[0]
            while subscription.live and subscription.waiting and limit > 0:
                self._snapshot(subscription, subscription.waiting.popleft())
                limit -= 1
            if not subscription.waiting or not subscription.live:
                waiting.popleft()
        return bool(waiting)

    def _snapshot(self, subscription: Subscription, row: int) -> None:
        view, peer = subscription.view, subscription.peer
        if row in subscription.rows:
            members = self._members.setdefault(view, {}).setdefault(row, {})
            members[subscription] = None
            view.watch(row)
        self.counters["snapshots"] += 1
        peer.send("W", f"262={subscription.number}\x01{view.snapshot(row, self.now_ns)}")
        if subscription.rows:
            peer.send("f", self._status_text(row, self.now_ns, ""))

    def _end(self, subscription: Subscription) -> None:
        subscription.live = False
        subscription.peer.desk.subscriptions.pop(subscription.number, None)
        members = self._members.get(subscription.view, {})
        for row in subscription.rows:
            those = members.get(row)
            if those is not None:
                those.pop(subscription, None)
                if not those:
                    del members[row]
                    subscription.view.leave(row)

    def _list(self, peer: Peer, message: Message) -> None:
        number, kind = required(message, 320), required(message, 559)
        if kind == "4":
            rows = list(range(len(self.market.symbols)))
        elif kind == "0":
            rows = [row for row in (self.market.row_of.get(required(message, 55)),) if row is not None]
        else:
            self._answer_list(peer, number, [(560, 1)])
            return
        if not rows:
            self._answer_list(peer, number, [(560, 2)])
        for start in range(0, len(rows), LIST_PART):
            part = rows[start : start + LIST_PART]
            last = "Y" if start + LIST_PART >= len(rows) else "N"
            head: list[tuple[int, object]] = [(560, 0), (393, len(rows)), (893, last), (146, len(part))]
            self._answer_list(peer, number, head, "".join(self._instrument(row) for row in part))

    def _answer_list(self, peer: Peer, number: str, fields: list[tuple[int, object]], text: str = "") -> None:
        self._answers += 1
        peer.send("y", joined([(320, number), (322, self._answers), *fields]) + text)

    def _instrument(self, row: int) -> str:
        universe = self.market.flow.universe
        tick = int(universe.tick[int(self.market.flow.indices[row])])
        step = decimal_text(tick, digits=tick_digits(tick))
        symbol = self.market.symbols[row]
        return f"55={symbol}\x01167=CS\x01207={self._venue}\x0115=USD\x01561=100\x01969={step}\x01"

    def _definition(self, peer: Peer, message: Message) -> None:
        number, kind = required(message, 320), required(message, 321)
        if kind == "3" and 55 not in message.first:
            rows: list[int] = list(range(len(self.market.symbols)))
        else:
            symbols = group(message, 146, 55) if 146 in message.first else [required(message, 55)]
            known = [self.market.row_of.get(symbol) for symbol in symbols]
            rows = [row for row in known if row is not None]
            if len(rows) < len(known):
                self._answers += 1
                peer.send("d", joined([(320, number), (322, self._answers), (323, 5), (58, "Unknown symbol")]))
                return
        for row in rows:
            self._answers += 1
            head = joined([(320, number), (322, self._answers), (323, 1)])
            peer.send("d", head + self._instrument(row))

    # ------------------------------------------------------------------ trading status

    def _status(self, peer: Peer, message: Message) -> None:
        number, symbol, kind = required(message, 324), required(message, 55), required(message, 263)
        row = self.market.row_of.get(symbol)
        if row is None:
            peer.refuse(message, 2, f"Unknown security: {symbol}")
            return
        if kind == requests.UNSUBSCRIBE:
            peer.desk.statuses.pop(row, None)
            return
        if kind == requests.SUBSCRIBE:
            peer.desk.statuses[row] = number
        peer.send("f", self._status_text(row, self.now_ns, number))

    def _status_text(self, row: int, ts: int, number: str) -> str:
        flow = self.market.flow
        status = flow.status(row)
        code = {"open": 17, "halted": 2, "closed": 18}[status] if flow.phase == "open" else 21
        who = f"324={number}\x01" if number else ""
        more = "327=M\x01" if code == 2 else ""
        time = self.market.times.timestamp(ts + self.market.offset_ns)
        unsolicited = "" if number else "325=Y\x01"
        return f"{who}55={self.market.symbols[row]}\x01{unsolicited}326={code}\x01{more}60={time}\x01"

    def _tell(self, notices: list[Notice], kinds: tuple[NoticeKind, ...]) -> None:
        for notice in notices:
            if notice.kind not in kinds:
                continue
            row = int(self.market.flow.row[notice.index]) if notice.index >= 0 else None
            for peer in list(self._peers):
                followed = self._followed(peer) if row is None else [row] if self._follows(peer, row) else []
                for one in followed:
                    text = self._status_text(one, notice.ts, peer.desk.statuses.get(one, ""))
                    if notice.kind == NoticeKind.RESUME:
                        text = text.replace("\x01326=17\x01", "\x01326=3\x01")
                    peer.send("f", text)

    def _follows(self, peer: Peer, row: int) -> bool:
        if row in peer.desk.statuses:
            return True
        open_ones = peer.desk.subscriptions.values()
        return any(one in self._members.get(one.view, {}).get(row, ()) for one in open_ones)

    def _followed(self, peer: Peer) -> list[int]:
        rows = set(peer.desk.statuses)
        for one in peer.desk.subscriptions.values():
            rows |= one.rows.difference(one.waiting)
        return sorted(rows)

    # ------------------------------------------------------------------ slices

    def publish(self, part: Slice, ts: int) -> None:
        """Tell everybody what they subscribed to."""
        self.now_ns = ts
        self._tell(part.notices, _BEFORE)
        happened = self.market.happened(part) if self._members else Happened([], [], {})
        for view, members in list(self._members.items()):
            parts = view.changes(happened) if members else {}
            wanted: dict[Subscription, list[Part]] = {}
            for row, one_part in parts.items():
                for subscription in members[row]:
                    wanted.setdefault(subscription, []).append(one_part)
            for subscription, found in wanted.items():
                self.counters["entries"] += sum(len(one.entries) for one in found)
                for text in messages(found, view, self._config.entries_max):
                    self.counters["increments"] += 1
                    subscription.peer.send("X", f"262={subscription.number}\x01{text}")
        self._tell(part.notices, _AFTER)
