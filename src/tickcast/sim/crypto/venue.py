"""A simulated JSON venue without sockets: order flow, books, clients, faults, and a voice that says it all.

::

    OrderFlow ─slice─▶ SimVenue ─news─▶ Voice ─frames─▶ clients ─FaultGate─▶ take(client) ─▶ a shell
                          ▲  └─ truth                     ▲
                        REST                          receive(client, frame)

The shell (:mod:`.dialect` over sockets, the conformance suite over nothing) connects clients, hands in what they send,
takes what is to be sent, and lets time pass: :meth:`SimVenue.publish` with slices of the flow, :meth:`SimVenue.idle`
when only the clock moves. A frame is written once for each topic, whoever listens.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import numpy as np

from tickcast.ports import Clock
from tickcast.sim.config import Config
from tickcast.sim.crypto import levels
from tickcast.sim.crypto.clients import Talk, Weights, find_endpoint, split_request
from tickcast.sim.crypto.derive import FUNDING_NS, DerivedFair, venue_universe
from tickcast.sim.crypto.levels import Sides
from tickcast.sim.crypto.listing import spots
from tickcast.sim.crypto.state import BookNews, Client, Greeks, Instrument, Stream, Topic, Trade
from tickcast.sim.crypto.streams import Streams
from tickcast.sim.crypto.voice import Books, Reaction, RestAnswer, Voice
from tickcast.sim.faults import FaultGate, Verb
from tickcast.sim.market import ASK, Events, Kind, NoticeKind, OrderFlow, Slice
from tickcast.sim.universe import Universe

WEBSOCKET: Final = "ws"
REST: Final = "rest"
"""Names of the venue's lines for faults."""
SECOND_NS: Final = 1_000_000_000
LIQUIDATION_EVERY: Final = 37
"""One trade of a derivative in so many is a liquidation."""
_PRINTS: Final = (Kind.EXECUTE, Kind.EXECUTE_AT_PRICE, Kind.TRADE)

FAULTS: Final[Mapping[Verb, str]] = {
    "drop": "a WebSocket frame is missing, or a REST request ends without an answer",
    "duplicate": "a frame comes twice; a REST answer is the old one to the same request",
    "reorder": "a frame comes after the next one (no REST)",
    "delay": "frames come late, in order; REST answers come late",
    "corrupt": "bytes of a payload are no JSON and no UTF-8",
    "truncate": "half a frame, and the stream goes on; half a REST answer, and the connection ends",
    "stall": "no frame, no pong and no answer; connections stay open, what was missed follows",
    "disconnect": "connections are cut, without a close frame",
    "restart": "the numbers of books begin lower: connections are cut, or new books come, as the venue has it",
    "clock": "times in messages and the time over REST are shifted",
    "refuse_login": "the WebSocket handshake is answered with 403",
    "throttle": "REST answers 429 with Retry-After",
}

Tamper = Callable[[Client, Topic | None, bytes], Iterable[bytes]]
"""What goes out in place of a frame: (client, topic or None for an answer, frame)."""


class SimVenue(Books):
    """One venue: see the module."""

    def __init__(
        self,
        name: str,
        voice: type[Voice],
        config: Config,
        common: Universe,
        *,
        start_ns: int,
        now_ns: Clock,
        pairs_max: int = 0,
        weight: int | None = None,
    ) -> None:
        """List the instruments.

        Args:
            name: of the venue in the config; seeds its flow.
            voice: how it talks.
            config: of the whole simulator.
            common: the market behind all venues.
            start_ns: when time begins.
            now_ns: time of the faults' limits and of REST answers.
            pairs_max: so many pairs of the common market at most; 0 = all.
            weight: REST weight of a window in place of the voice's.
        """
        pairs = spots(common, config, stocks=voice.stocks)
        chosen = pairs[:pairs_max] if pairs_max else pairs
        products = sorted(voice.products(chosen, start_ns), key=lambda one: not one.stock)
        fair = DerivedFair(common, products, config, start_ns=start_ns)
        universe = venue_universe(products, fair)
        base = start_ns // 1_000_000
        self._fair = fair
        self.flow = OrderFlow(universe, range(len(products)), config, venue=name, base=base << 12, fair=fair)
        self.faults = FaultGate(
            seed=f"{config.seed}:{name}", now_ns=now_ns, supports=FAULTS, lines=(WEBSOCKET, REST), body=0
        )
        self.faults.on_disconnect = self.disconnect
        self.faults.on_restart = self.restart
        self.name = name
        self.instruments = [Instrument(product, row=row, base=base) for row, product in enumerate(products)]
        self.voice = voice(self.instruments)
        self.clients: dict[Client, None] = {}
        self.counters = {"connections": 0, "refused": 0, "over_limit": 0, "frames": 0, "requests": 0, "limited": 0}
        self.on_cut: Callable[[Client], None] = _nobody
        """A connection is cut without a close frame."""
        self.on_cut_rest: Callable[[], None] = _nothing
        """All REST connections are cut."""
        self.on_subscribed: Callable[[], None] = _nothing
        self.tamper: Tamper | None = None
        """For tests: stands between voice and client, before the fault gate."""
        self.on_told: Callable[[Instrument, Sides], None] = _not_listening
        """For tests: a book as it is told, in the stream or over REST."""
        house = self.voice.house
        self._weights = Weights(limit=house.weight if weight is None else weight, per_s=house.weight_per_s)
        self._talk = Talk(house)
        self._streams = Streams()
        self._now_ns = now_ns
        self._time_ns = start_ns
        self._number = 0
        self._beat_ns = start_ns
        self._dirty: dict[Client, None] = {}

    # ------------------------------------------------------------------ time passes

    def begin(self, part: Slice, ts: int) -> None:
        """Take the books of before the opening."""
        del part
        self._time_ns = ts
        best = [column.tolist() for column in self.flow.best()]
        for instrument, *columns in zip(self.instruments, *best, strict=True):
            bid, bid_size, ask, ask_size = columns
            instrument.best = (bid, bid_size, ask, ask_size)
            instrument.book_id += 1
            instrument.update_ns = ts
            self.derive(instrument)

    def publish(self, part: Slice, ts: int) -> None:
        """Take a slice of the flow and write what follows; ``ts`` is its end."""
        self._time_ns = max(self._time_ns, ts)
        for notice in part.notices:
            if notice.kind in {NoticeKind.HALT, NoticeKind.RESUME}:
                self.instruments[notice.index].halted = notice.kind == NoticeKind.HALT
        events = part.events
        if len(events):
            rows = self.flow.row[events.index]
            self._change_books(rows, events)
            self._print(rows, events)
        self.idle(ts)

    def idle(self, now_ns: int) -> None:
        """Tell what is due: streams with an interval, heartbeats; close clients that are silent for too long."""
        self._time_ns = max(self._time_ns, now_ns)
        for stream in self._streams.due(now_ns):
            if stream.topic.kind == "book":
                self._tell_book(stream)
            else:
                self._tell_values(stream)
        if now_ns - self._beat_ns >= SECOND_NS // 10:
            self._beat_ns = now_ns
            self._beat(now_ns)

    @property
    def told_ns(self) -> int:
        """Time as the venue tells it: with the clock fault."""
        return self._time_ns + self.faults.clock_offset_ns

    # ------------------------------------------------------------------ the flow

    def _change_books(self, rows: Any, events: Events) -> None:
        counts = np.bincount(rows[events.kind != Kind.TRADE], minlength=len(self.instruments))
        touched = np.flatnonzero(counts)
        if not len(touched):
            return
        told_ns, streams = self.told_ns, self._streams
        columns = [column.tolist() for column in self.flow.best(touched)]
        for row, count, *best in zip(touched.tolist(), counts[touched].tolist(), *columns, strict=True):
            instrument = self.instruments[row]
            instrument.book_id += count
            instrument.update_ns = told_ns
            streams.changed("book", row)
            bid, bid_size, ask, ask_size = best
            if (bid, bid_size, ask, ask_size) != instrument.best:
                instrument.best = (bid, bid_size, ask, ask_size)
                streams.changed("quote", row)

    def _print(self, rows: Any, events: Events) -> None:
        at = np.flatnonzero(np.isin(events.kind, _PRINTS))
        if not len(at):
            return
        offset = self.faults.clock_offset_ns
        columns = (rows[at], events.side[at], events.ref[at], events.price[at], events.size[at], events.ts[at])
        fresh: dict[int, list[Trade]] = {}
        for row, side, ref, price, size, ts in zip(*(column.tolist() for column in columns), strict=True):
            instrument = self.instruments[row]
            instrument.trade_id += 1
            derived = instrument.product.kind != "spot"
            trade = Trade(
                instrument.trade_id, price, size, side == ASK, ts + offset, ref,
                liquidation=derived and instrument.trade_id % LIQUIDATION_EVERY == 0,
            )  # fmt: skip
            instrument.stats.take(trade)
            instrument.trades.append(trade)
            fresh.setdefault(row, []).append(trade)
        for row, trades in fresh.items():
            self._tell_trades(self.instruments[row], trades)

    def _tell_trades(self, instrument: Instrument, trades: list[Trade]) -> None:
        for stream in self._streams.of("trade", instrument.row):
            if self._covers(stream, instrument):
                self._send_all(stream, self.voice.trades(stream, instrument, trades, self.told_ns))
        forced = [trade for trade in trades if trade.liquidation]
        if not forced:
            return
        instrument.liquidations += len(forced)
        for stream in self._streams.of("liquidation", instrument.row):
            if self._covers(stream, instrument):
                self._send_all(stream, self.voice.trades(stream, instrument, forced, self.told_ns))

    @staticmethod
    def _covers(stream: Stream, instrument: Instrument) -> bool:
        """Whether a stream of a whole market takes this instrument."""
        market = stream.topic.market
        return stream.instrument is not None or not market or market == instrument.product.market

    def _tell_book(self, stream: Stream) -> None:
        instrument = stream.instrument
        if instrument is None:
            return
        sides, before = levels.read_levels(self.flow, instrument.row), stream.levels
        news: BookNews | None
        if stream.topic.whole or stream.begin_again:
            if not stream.begin_again and levels.cut(sides, stream.topic.depth) == stream.levels:
                return
            stream.begin_again = False
            stream.count += 1
            news = levels.whole(instrument, stream, sides)
        else:
            news = levels.differences(instrument, stream, sides)
        if news is None:
            return
        is_single = self.voice.single_changes and instrument.product.kind != "spot" and not news.snapshot
        for part in levels.singly(news, before) if is_single else (news,):
            self.on_told(instrument, part.levels)
            self._send_all(stream, self.voice.book(stream, part, self.told_ns))

    def _tell_values(self, stream: Stream) -> None:
        chosen = self.instruments if stream.instrument is None else (stream.instrument,)
        for instrument in chosen:
            if not self._covers(stream, instrument):
                continue
            now = self._values(stream, instrument)
            if not stream.topic.always and stream.told.get(instrument.row) == now:
                continue
            stream.told[instrument.row] = now
            self._send_all(stream, self.voice.values(stream, instrument, self.told_ns))

    def _values(self, stream: Stream, instrument: Instrument) -> tuple[object, ...]:
        """What a stream tells: it is told again when this changes."""
        kind = stream.topic.kind
        if kind == "quote":
            return instrument.best
        if kind == "status":
            return (instrument.halted,)
        self.derive(instrument)
        derived = (
            instrument.mark,
            instrument.index_price,
            instrument.funding,
            instrument.open_interest,
            instrument.greeks,
        )
        return (instrument.stats.count, instrument.best, *derived) if kind == "ticker" else derived

    def derive(self, instrument: Instrument) -> None:
        """Work out its mark, index, funding, open interest and greeks of now."""
        product, row, fair = instrument.product, instrument.row, self._fair
        instrument.mark = int(fair.price[row])
        instrument.index_price = round(float(fair.spot[row]), 8)
        instrument.underlying_price = round(float(fair.forward[row]), 8)
        if product.kind == "spot":
            return
        instrument.open_interest = int(self.flow.typical[row]) * 1000 + int(self.flow.volume[row]) // 4
        if product.kind == "perpetual":
            instrument.funding = fair.funding(row)
            instrument.funding_next_ns = (self.told_ns // FUNDING_NS + 1) * FUNDING_NS
        elif product.kind == "option":
            instrument.greeks = fair.greeks.get(row, Greeks())

    # ------------------------------------------------------------------ clients

    def refusal(self, target: str) -> HTTPStatus | None:
        """Status with which a connection for this path and query is refused; None: it is taken."""
        if self.faults.refuses_connection(WEBSOCKET):
            return HTTPStatus.SERVICE_UNAVAILABLE
        known = find_endpoint(self.voice.paths, target) is not None
        return None if known and not self.faults.refuses_login(WEBSOCKET) else HTTPStatus.FORBIDDEN

    def admits(self, target: str) -> bool:
        """Whether a connection for this path and query is taken."""
        return self.refusal(target) is None

    def connect(self, target: str, now_ns: int) -> Client:
        """Take a connection by its path and query, which :meth:`admits` has seen.

        Raises:
            ValueError: there is nothing at this path.
        """
        found = find_endpoint(self.voice.paths, target)
        if found is None:
            raise ValueError(f"{self.name}: expected a path of {', '.join(self.voice.paths.values())}, found {target}")
        self._time_ns = max(self._time_ns, now_ns)
        self._number += 1
        self.counters["connections"] += 1
        endpoint, path, query = found
        client = Client(self._number, endpoint=endpoint, path=path, query=query, now_ns=now_ns)
        self.clients[client] = None
        self._react(client, self.voice.greet(client))
        return client

    def receive(self, client: Client, frame: bytes, now_ns: int) -> None:
        """Take a client's frame."""
        if client.close is not None or client not in self.clients:
            return
        self._time_ns = max(self._time_ns, now_ns)
        if self._talk.too_much(client, now_ns):
            self.counters["over_limit"] += 1
            self._close(client, 1008, "Too many requests")
            return
        self._react(client, self.voice.receive(client, frame, self.told_ns))

    def alive(self, client: Client, now_ns: int) -> None:
        """Take a ping or pong of the WebSocket protocol."""
        client.heard_ns = now_ns

    def left(self, client: Client) -> None:
        """Forget a connection that is over."""
        self.clients.pop(client, None)
        self._dirty.pop(client, None)
        self.faults.forget(client)
        for topic in list(client.topics):
            self._streams.leave(client, topic)

    def changed_clients(self) -> Iterable[Client]:
        """Clients for whom there may be something in :meth:`take`; each is named once."""
        dirty, self._dirty = self._dirty, {}
        # what the gate held back may be due for those who get nothing new
        return list(self.clients) if self.faults.busy else list(dirty)

    def touch(self, client: Client) -> None:
        """Something was put into a client's ``out``."""
        self._dirty[client] = None

    def take(self, client: Client) -> Sequence[bytes]:
        """Take what goes to a client now."""
        packed = [self.voice.pack(frame) for frame in client.out] if self.voice.packing else client.out
        frames = self.faults.pass_units(packed, WEBSOCKET, client)
        client.out = []
        return frames

    def _react(self, client: Client, reaction: Reaction) -> None:
        for frame in reaction.answers:
            self._send(client, None, frame)
        for topic in reaction.unsubscribe:
            self._streams.leave(client, topic)
        for topic in reaction.subscribe:
            self._join(client, topic)
        for topic in reaction.asked:
            self._answer_asked(client, topic)
        for frame in reaction.behind:
            self._send(client, None, frame)
        if reaction.close is not None:
            self._close(client, *reaction.close)

    def _answer_asked(self, client: Client, topic: Topic) -> None:
        """Send a whole book: what its stream told so far, or where nobody listens, that of now."""
        instrument = self.voice.by_native[topic.market, topic.native]
        stream = self._streams.find(topic)
        book = levels.as_told(stream) if stream is not None else self.snapshot(instrument, topic.depth)
        self.on_told(instrument, book.levels)
        self._send(client, topic, self.voice.asked(client, instrument, topic, book, self.told_ns))

    def _join(self, client: Client, topic: Topic) -> None:
        instrument = self.voice.by_native.get((topic.market, topic.native)) if topic.native else None
        stream, fresh = self._streams.join(client, topic, instrument, self._time_ns)
        book: BookNews | None = None
        if topic.kind == "book" and instrument is not None:
            if fresh:
                stream.last = stream.count = instrument.book_id
                book = levels.whole(instrument, stream, levels.read_levels(self.flow, instrument.row))
            else:
                book = levels.as_told(stream)
            self.on_told(instrument, book.levels)
        elif instrument is not None:
            now = self._values(stream, instrument)
            if fresh:
                stream.told[instrument.row] = now
        for frame in self.voice.begin(stream, book, self.told_ns):
            self._send(client, topic, frame)
        self.on_subscribed()

    def _send_all(self, stream: Stream, frames: Iterable[bytes]) -> None:
        for frame in frames:
            for client in stream.listeners:
                self._send(client, stream.topic, frame)

    def _send(self, client: Client, topic: Topic | None, frame: bytes) -> None:
        if client.close is not None:
            return
        if self.voice.dressed:
            frame = self.voice.dress(client, topic, frame)
        client.sent += 1
        self.counters["frames"] += 1
        if self.tamper is None:
            client.out.append(frame)
        else:
            client.out.extend(self.tamper(client, topic, frame))
        self._dirty[client] = None

    def _close(self, client: Client, code: int, reason: str) -> None:
        if client.close is None:
            client.close = code, reason
            self._dirty[client] = None

    def _beat(self, now_ns: int) -> None:
        beat_ns = round(self.voice.house.heartbeat_s * SECOND_NS)
        for client in list(self.clients):
            if self._talk.silent(client, now_ns):
                self._close(client, 4004, "no data received")
            elif beat_ns and now_ns - client.beaten_ns >= beat_ns:
                client.beaten_ns = now_ns
                self._react(client, self.voice.heartbeat(client, self.told_ns))

    # ------------------------------------------------------------------ REST

    def rest(self, url: str, now_ns: int, *, address: str = "", method: str = "GET") -> RestAnswer:
        """Answer a request by its path and query; weights count by address."""
        self._time_ns = max(self._time_ns, now_ns)
        self.counters["requests"] += 1
        request = split_request(url, now_ns + self.faults.clock_offset_ns, method=method)
        if not request.path.startswith(self.voice.rest_prefix):
            return RestAnswer(b'{"error":"not found"}', status=404)
        used, wait_s = self._weights.use(address, self.voice.weight(request), now_ns)
        if wait_s:
            return self.too_many(wait_s)
        answer = self.voice.rest(request, self)
        told = {self.voice.weight_header: str(used)} if self.voice.weight_header else {}
        return RestAnswer(answer.body, answer.status, {**told, **answer.headers})

    def too_many(self, wait_s: int) -> RestAnswer:
        """Return the answer to a request beyond the limit."""
        self.counters["limited"] += 1
        answer = self.voice.too_many()
        return RestAnswer(answer.body, answer.status, {**answer.headers, "Retry-After": str(wait_s)})

    def snapshot(self, instrument: Instrument, depth: int) -> BookNews:
        """Return the whole book of now."""
        sides = levels.read_levels(self.flow, instrument.row)
        for stream in self._streams.of("book", instrument.row):
            levels.expose(stream, levels.cut(sides, stream.topic.depth))
        book = levels.cut(sides, depth)
        self.on_told(instrument, book)
        number = instrument.book_id
        bids, asks = levels.in_order(book[0], 0), levels.in_order(book[1], 1)
        return BookNews(
            snapshot=True, first=number, last=number, previous=number, count=number, bids=bids, asks=asks, levels=book
        )

    # ------------------------------------------------------------------ what goes wrong

    def disconnect(self, line: str = "") -> None:
        """Cut connections, without a close frame."""
        if line in {"", WEBSOCKET}:
            for client in list(self.clients):
                self.left(client)
                self.on_cut(client)
        if line in {"", REST}:
            self.on_cut_rest()

    def restart(self) -> None:
        """Begin the numbers of books lower, as the venue does when it restarts."""
        for instrument in self.instruments:
            instrument.book_id //= 2
            if self.voice.trades_restart:
                instrument.trade_id //= 2
        if self.voice.restart == "cut":
            self.disconnect()
            return
        for stream in self._streams:
            if stream.topic.kind == "book" and self.voice.restart == "snapshot":
                stream.begin_again, stream.count = True, 0
                self._streams.again(stream)

    def mute(self, row: int | None = None) -> None:
        """Let the streams of an instrument, or all, fall silent for those who listen now, as if they had never asked.

        Connections stay open, heartbeats and answers go on; who subscribes anew is heard.
        """
        self._streams.mute(row)

    def leave(self) -> None:
        """Announce a planned cut to all clients; :meth:`close_all` carries it out."""
        for client in list(self.clients):
            for frame in self.voice.farewell(client, self.told_ns):
                self._send(client, None, frame)

    def close_all(self, code: int = 1001, reason: str = "going away") -> None:
        """Close all connections orderly."""
        for client in list(self.clients):
            self._close(client, code, reason)

    def halt(self, row: int, *, halted: bool = True) -> None:
        """Halt trading in an instrument, or let it go on."""
        self.instruments[row].halted = halted
        self.flow.trading[row] = not halted

    # ------------------------------------------------------------------ what is true

    def truth(self, instrument: Instrument, depth: int = 0) -> dict[str, Any]:
        """Return the book as texts, best first, and the last trade's id."""
        sides = levels.cut(levels.read_levels(self.flow, instrument.row), depth)
        price, size = instrument.price, instrument.size
        bids, asks = (
            [(price(ticks), size(lots)) for ticks, lots in levels.in_order(sides[side], side)] for side in (0, 1)
        )
        last = instrument.trades[-1] if instrument.trades else None
        return {"bids": bids, "asks": asks, "last_trade": last, "trades": instrument.stats.count}

    def last_ids(self) -> list[str]:
        """Id of the last trade of each row."""
        return [str(one.trade_id) for one in self.instruments]

    def names(self) -> list[str]:
        """The venue's own symbol of each row, with its market where two markets share it."""
        natives = [one.native for one in self.instruments]
        twice = {native for native, count in Counter(natives).items() if count > 1}
        return [f"{one.product.market}:{one.native}" if one.native in twice else one.native for one in self.instruments]

    def state(self) -> dict[str, Any]:
        """Clients, topics and counters."""
        return {"clients": len(self.clients), "streams": len(self._streams), **self.counters}


def _nobody(client: Client) -> None:
    del client


def _not_listening(instrument: Instrument, sides: Sides) -> None:
    del instrument, sides


def _nothing() -> None:
    pass
