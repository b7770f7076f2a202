"""Owner's hub and worker's hub joined by a socket pair, with clients behind the worker."""

import contextlib
import json
import random
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.native.test_hub import MS, T0, definition, split_frames, trades

from tickcast._native import (
    CHANNEL_PRICE,
    CHANNEL_TRADES,
    MODE_ALL,
    MODE_MERGE,
    Hub,
    LinkBroken,
    LinkReader,
    WorkerHub,
)
from tickcast.model.record import State
from tickcast.ports import Want

LINK = 5
SYMBOL = "XNAS:AAPL"


class Client:
    """A client's end of a socket pair, behind some hub."""

    def __init__(self, hub: Hub | WorkerHub, send_buffer: int = 0) -> None:
        self.ours, self.theirs = socket.socketpair()
        if send_buffer:
            self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        self.ours.setblocking(False)
        self.theirs.setblocking(False)
        self.received = b""
        self.hub = hub
        self.number = hub.open(self.ours.fileno())

    def read(self) -> list[Any]:
        try:
            while data := self.theirs.recv(65536):
                self.received += data
        except BlockingIOError:
            pass
        messages, self.received = split_frames(self.received)
        return messages

    def close(self) -> None:
        self.hub.close(self.number)
        self.ours.close()
        self.theirs.close()


class Joined:
    """Both hubs and the link between them."""

    def __init__(self, owner: Hub | None = None, **settings: Any) -> None:
        self.owner = owner or Hub(epoch=7, **settings)
        self.now = T0
        self.owner.define([definition("AAPL"), definition("MSFT")], self.now)
        self.worker = WorkerHub(**settings)
        self.backlogs: dict[int, bytes] = {}
        self.clients: list[Client] = []
        self.answers: dict[int, Callable[[], None]] = {}
        self.is_stalled = False
        self.link: tuple[socket.socket, socket.socket] | None = None
        self.connect()

    def connect(self, send_buffer: int = 0) -> None:
        ours, theirs = socket.socketpair()
        if send_buffer:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        for end in (ours, theirs):
            end.setblocking(False)
        self.link = (ours, theirs)
        self.reader = LinkReader()
        self.number = self.owner.open(ours.fileno())
        self.owner.configure(self.number, codec=LINK, batch=False)
        self.unsent = b""
        self.worker.linked("gateway1", 1, self.now)

    def cut(self) -> None:
        assert self.link is not None
        self.owner.close(self.number)
        for end in self.link:
            end.close()
        self.link = None
        self.answers.clear()
        self.worker.unlinked("gone", self.now)
        self.flush_worker()

    def open(self, **settings: int) -> Client:
        client = Client(self.worker, **settings)
        self.clients.append(client)
        return client

    def pump(self) -> None:
        """Move everything between the two until both are silent."""
        while self.step():
            pass
        self.flush_worker()

    def step(self) -> bool:
        if self.link is None:
            return False
        ours, theirs = self.link
        moved = False
        if data := self.worker.outbox():
            theirs.sendall(data)
            moved = True
        try:
            for kind, message in self.reader.feed(ours.recv(1 << 20)):
                self.owner.serve(self.number, kind, message, self.now)
            moved = True
        except BlockingIOError:
            pass
        self.flush_owner()
        if self.is_stalled:
            return moved
        try:
            data = theirs.recv(1 << 16)
        except BlockingIOError:
            return moved
        told = self.worker.feed(data, self.now)
        while told is not None:
            if told[0] == "done":
                self.answers.pop(told[1], lambda: None)()
                self.worker.settle(told[1])
            told = self.worker.feed(b"", self.now)
        return True

    def flush_owner(self) -> None:
        assert self.link is not None
        if self.unsent:
            try:
                self.unsent = self.unsent[self.link[0].send(self.unsent) :]
            except BlockingIOError:
                return
            if self.unsent:
                return
            self.owner.drained(self.number)
        for client, data in self.owner.flush(self.now).unsent:
            assert client == self.number
            self.unsent += data

    def flush_worker(self) -> None:
        for client in self.clients:
            if data := self.backlogs.get(client.number, b""):
                try:
                    data = data[client.ours.send(data) :]
                except BlockingIOError:
                    continue
                self.backlogs[client.number] = data
                if not data:
                    self.worker.drained(client.number)
        for number, data in self.worker.flush(self.now).unsent:
            assert not self.backlogs.get(number)
            self.backlogs[number] = data

    def after(self, token: int, then: Callable[[], None]) -> None:
        if token:
            self.answers[token] = then
        else:
            then()

    def subscribe(self, client: Client, *, ack: list[Any] | None = None, **want: Any) -> list[Any]:
        """Prepare, subscribe and resume, as a session does; what the hub said lands in the list."""
        wanted = Want(CHANNEL_PRICE, SYMBOL, 20, MODE_MERGE)._replace(**want)
        said: list[Any] = [] if ack is None else ack

        def go_on() -> None:
            terms = (wanted.channel, wanted.symbol, wanted.rate, 0, wanted.mode, self.now)
            said.append(self.worker.subscribe(client.number, *terms))
            if wanted.resumes:
                said.append(self.worker.resume(client.number, wanted.channel, wanted.symbol, self.now))

        self.after(self.worker.prepare(client.number, [wanted]), go_on)
        self.pump()
        return said

    def trade(self, *cents: int, symbol: str = "AAPL", first_id: int = 1) -> None:
        self.owner.apply(trades(symbol, cents, self.now, first_id), self.now)

    def sync(self, client: Client) -> dict[tuple[int, str], tuple[int, ...]]:
        found: dict[tuple[int, str], tuple[int, ...]] = {}

        def go_on() -> None:
            for channel, symbol, *counters in self.worker.sync(client.number, self.now):
                found[channel, symbol] = tuple(counters)

        self.after(self.worker.barrier(client.number), go_on)
        self.pump()
        return found

    def close(self) -> None:
        for client in self.clients:
            client.close()
        if self.link is not None:
            self.cut()


@pytest.fixture
def joined() -> Iterator[Joined]:
    both = Joined()
    yield both
    both.close()


def test_a_client_of_the_worker_gets_snapshot_and_updates_as_the_owner_numbers_them(joined: Joined) -> None:
    joined.trade(18540)
    client = joined.open()
    standing = joined.subscribe(client)[0]
    at_owner = joined.owner.position(SYMBOL, CHANNEL_PRICE)
    assert at_owner is not None
    assert (standing.state, standing.epoch, standing.seq) == (at_owner.state, 7, at_owner.seq)
    (snapshot,) = client.read()
    assert (snapshot["type"], snapshot["symbol"], snapshot["price"]) == ("snapshot", SYMBOL, 185.4)
    assert (snapshot["epoch"], snapshot["seq"]) == (7, at_owner.seq)
    joined.now += 60 * MS
    joined.trade(18541, first_id=2)
    joined.pump()
    (update,) = client.read()
    assert (update["type"], update["price"], update["seq"]) == ("update", 185.41, at_owner.seq + 1)


def test_what_is_watched_already_costs_no_question(joined: Joined) -> None:
    first, second = joined.open(), joined.open()
    joined.subscribe(first)
    assert joined.worker.prepare(second.number, [Want(CHANNEL_PRICE, SYMBOL, 20, MODE_MERGE)]) == 0
    assert joined.worker.prepare(second.number, [Want(CHANNEL_PRICE, SYMBOL, 5, MODE_MERGE)]) != 0


def test_a_symbol_that_nobody_listed_is_none(joined: Joined) -> None:
    assert joined.subscribe(joined.open(), symbol="XNAS:NONE") == [None]


def test_trades_and_every_change_pass_straight_through(joined: Joined) -> None:
    client = joined.open()
    joined.subscribe(client, channel=CHANNEL_TRADES)
    joined.subscribe(client, mode=MODE_ALL, rate=0)
    client.read()
    joined.trade(18540, 18541, 18542)
    joined.pump()
    messages = client.read()
    found = [(m["seq"], m["price"]) for m in messages if m["type"] == "trade"]
    assert found == [(1, 185.4), (2, 185.41), (3, 185.42)]
    updates = [m["seq"] for m in messages if m["type"] == "update"]
    assert updates == sorted(set(updates))
    assert len(updates) == 3
    assert not [m for m in messages if m["type"] == "lost"]


def test_counters_hold_at_a_barrier_that_goes_to_the_owner_and_back(joined: Joined) -> None:
    client, other = joined.open(), joined.open()
    joined.subscribe(client, rate=1)
    joined.subscribe(client, channel=CHANNEL_TRADES)
    joined.subscribe(other, rate=20)
    for number in range(40):
        joined.now += 7 * MS
        joined.trade(18540 + number, first_id=number + 1)
        joined.pump()
    counters = joined.sync(client)
    for (channel, symbol), (epoch, seq, published, delivered, merged, lost) in counters.items():
        at_owner = joined.owner.position(symbol, channel)
        assert at_owner is not None
        assert (epoch, seq) == (at_owner.epoch, at_owner.seq)
        assert published == delivered + merged + lost
    assert counters[CHANNEL_TRADES, SYMBOL][2:] == (40, 40, 0, 0)
    newest = [m for m in client.read() if m["type"] in {"snapshot", "update"}][-1]
    assert newest["price"] == 185.79


def test_a_client_resumes_on_another_worker_with_the_owners_history(joined: Joined) -> None:
    joined.trade(18540)
    client = joined.open()
    joined.subscribe(client, channel=CHANNEL_TRADES)
    joined.trade(18541, 18542, 18543, first_id=2)
    other = Joined(joined.owner)
    moved = other.open()
    said = other.subscribe(moved, channel=CHANNEL_TRADES, epoch=7, seq=1)
    assert (said[0].seq, said[1]) == (4, None)
    assert [m["seq"] for m in moved.read()] == [2, 3, 4], "each missed trade once"
    said = other.subscribe(moved, epoch=7, seq=said[0].seq)
    assert said[1] is None
    assert moved.read() == [], "nothing changed: no snapshot"
    other.trade(18544, first_id=5)
    other.now += 60 * MS
    other.pump()
    assert [m["seq"] for m in moved.read() if m["type"] == "trade"] == [5]
    other.close()


@pytest.mark.parametrize(
    ("mark", "reason"),
    [((6, 1), "epoch_changed"), ((7, 99), "ahead"), ((7, 0), "too_old")],
)
def test_what_cannot_be_proved_is_refused_with_its_reason(mark: tuple[int, int], reason: str) -> None:
    joined = Joined(history_count=2)
    joined.trade(18540, 18541, 18542, 18543)
    client = joined.open()
    for channel in (CHANNEL_PRICE, CHANNEL_TRADES):
        assert joined.subscribe(client, channel=channel, epoch=mark[0], seq=mark[1])[1] == reason
    assert [m["type"] for m in client.read()] == ["snapshot"]
    joined.close()


def test_without_an_answer_of_the_owner_nothing_is_recovered(joined: Joined) -> None:
    client = joined.open()
    joined.subscribe(client)
    assert joined.worker.resume(client.number, CHANNEL_PRICE, SYMBOL, joined.now, epoch=7, seq=0) == "unknown"


def test_interest_is_withdrawn_after_the_last_client_and_a_delay(joined: Joined) -> None:
    first, second = joined.open(), joined.open()
    joined.subscribe(first)
    joined.subscribe(second)
    joined.worker.sweep(joined.now, 2000 * MS)
    joined.pump()
    assert joined.owner.watched() == [(SYMBOL, 2)], "clients count, not links"
    first.close()
    joined.clients.remove(first)
    joined.worker.unsubscribe(second.number, CHANNEL_PRICE, SYMBOL)
    for _ in range(2):
        joined.worker.sweep(joined.now, 2000 * MS)
        joined.pump()
        assert joined.worker.interests() == 1
        joined.now += 1000 * MS
    joined.now += 1000 * MS
    joined.worker.sweep(joined.now, 2000 * MS)
    joined.pump()
    assert joined.worker.interests() == 0
    assert joined.owner.watched() == []


def test_what_nobody_watched_for_a_while_is_not_shown_as_live(joined: Joined) -> None:
    joined.trade(18540)
    client = joined.open()
    joined.subscribe(client)
    joined.worker.unsubscribe(client.number, CHANNEL_PRICE, SYMBOL)
    for _ in range(3):
        joined.now += 2000 * MS
        joined.worker.sweep(joined.now, 1000 * MS)
        joined.pump()
    client.read()
    joined.trade(18999, first_id=2)
    # without a question to the owner, as nobody should
    joined.worker.subscribe(client.number, CHANNEL_PRICE, SYMBOL, 20, 0, MODE_MERGE, joined.now)
    joined.flush_worker()
    (old,) = client.read()
    assert (old["type"], old["price"], old["state"]) == ("snapshot", 185.4, "syncing")
    joined.now += 100 * MS
    joined.worker.sweep(joined.now, 1000 * MS)
    joined.pump()
    told: dict[str, Any] = {}
    for message in client.read():
        told |= message
    assert (told["price"], told["state"]) == (189.99, "live")


def test_the_loss_of_the_owner_is_told_and_a_new_one_begins_with_snapshots(joined: Joined) -> None:
    joined.trade(18540)
    client = joined.open()
    joined.subscribe(client)
    joined.subscribe(client, channel=CHANNEL_TRADES)
    client.read()
    joined.cut()
    (status,) = client.read()
    assert (status["type"], status["state"], status["reason"]) == ("status", "stale", "gone")
    joined.owner = Hub(epoch=1000)
    joined.owner.define([definition("MSFT"), definition("AAPL")], joined.now)
    joined.trade(18600)
    joined.connect()
    joined.pump()
    messages = client.read()
    snapshot = next(m for m in messages if m["type"] == "snapshot")
    assert (snapshot["epoch"], snapshot["price"]) == (1000, 186.0)
    assert joined.subscribe(client, channel=CHANNEL_TRADES, epoch=7, seq=1)[1] == "epoch_changed"


def test_a_cut_link_to_the_same_owner_loses_nothing_that_history_has(joined: Joined) -> None:
    client = joined.open()
    joined.subscribe(client, channel=CHANNEL_TRADES)
    joined.subscribe(client)
    joined.trade(18540)
    joined.pump()
    joined.cut()
    joined.trade(18541, 18542, first_id=2)
    joined.now += 100 * MS
    joined.connect()
    joined.pump()
    messages = client.read()
    assert [m["seq"] for m in messages if m["type"] == "trade"] == [1, 2, 3]
    assert not [m for m in messages if m["type"] == "lost"]
    counters = joined.sync(client)
    assert counters[CHANNEL_TRADES, SYMBOL][2:] == (3, 3, 0, 0)


def test_states_of_a_feed_travel_with_their_reason(joined: Joined) -> None:
    joined.trade(18540)
    joined.trade(18540, symbol="MSFT", first_id=2)
    client = joined.open()
    joined.subscribe(client)
    joined.subscribe(client, symbol="XNAS:MSFT", mode=MODE_ALL, rate=0)
    client.read()
    joined.owner.set_feed_state("xnas", State.STALE, "silent", joined.now)
    joined.pump()
    told = [(m["symbol"], m["state"], m["reason"]) for m in client.read() if m["type"] == "status"]
    assert sorted(told) == [(SYMBOL, "stale", "silent"), ("XNAS:MSFT", "stale", "silent")], "once each"


class Crowd:
    """Random clients of the worker, what each was told, and a chance that is told when a test fails."""

    def __init__(self, seed: int) -> None:
        self.seed = f"seed {seed}"
        self.chance = random.Random(seed)
        self.joined = Joined(history_count=16)
        self.views: dict[Client, dict[tuple[int, str], dict[str, Any]]] = {}
        self.seen: dict[tuple[int, int, str], int] = {}
        self.trades = 0

    def come(self) -> None:
        chance, client = self.chance, self.joined.open()
        self.views[client] = {}
        for _ in range(chance.randrange(1, 4)):
            channel = chance.choice([CHANNEL_PRICE, CHANNEL_TRADES])
            mode = MODE_ALL if channel == CHANNEL_TRADES else chance.choice([MODE_MERGE, MODE_ALL])
            rate = 0 if mode == MODE_ALL else chance.choice([0, 1, 20])
            name = chance.choice([SYMBOL, "XNAS:MSFT"])
            if (channel, name) not in self.views[client]:
                self.views[client][channel, name] = {}
                self.joined.is_stalled = False
                self.joined.subscribe(client, channel=channel, symbol=name, rate=rate, mode=mode)

    def go(self) -> None:
        client = self.chance.choice(list(self.views))
        self.views.pop(client)
        self.joined.clients.remove(client)
        client.close()

    def trade(self) -> None:
        cents = [self.chance.randrange(10_000, 20_000) for _ in range(self.chance.randrange(1, 5))]
        self.joined.trade(*cents, symbol=self.chance.choice(["AAPL", "MSFT"]), first_id=self.trades + 1)
        self.trades += len(cents)

    def cut(self) -> None:
        self.joined.cut()
        self.joined.connect(send_buffer=self.chance.choice([0, 1]))
        self.joined.is_stalled = False

    def step(self) -> None:
        self.joined.now += self.chance.choice([1, 5, 60, 1100]) * MS
        what = self.chance.random()
        if what < 0.25 or not self.views:
            self.come()
        elif what < 0.75:
            self.trade()
        elif what < 0.8:
            self.go()
        elif what < 0.88:
            self.joined.is_stalled = not self.joined.is_stalled
        elif what < 0.94:
            self.cut()
        self.settle()

    def settle(self) -> None:
        self.joined.worker.sweep(self.joined.now, 2000 * MS)
        self.joined.pump()
        for client in self.views:
            self.look(client)

    def look(self, client: Client) -> None:
        for message in client.read():
            if message["type"] not in {"snapshot", "update", "trade", "lost"}:
                continue
            place = CHANNEL_TRADES if message.get("channel") == "trades" else CHANNEL_PRICE, message["symbol"]
            if message["type"] == "snapshot":
                self.views[client][place] = {}
            else:
                assert message["seq"] > self.seen.get((client.number, *place), -1), f"{self.seed}: {message}"
            self.seen[client.number, *place] = message["seq"]
            self.views[client].setdefault(place, {}).update(message)

    def check(self, client: Client) -> None:
        """Behind a barrier the client is where the owner is, and every update is accounted for."""
        counters = self.joined.sync(client)
        self.look(client)
        assert set(counters) == set(self.views[client])
        for (channel, symbol), (epoch, seq, published, delivered, merged, lost) in counters.items():
            at_owner = self.joined.owner.position(symbol, channel)
            assert at_owner is not None
            assert (epoch, seq) == (at_owner.epoch, at_owner.seq), self.seed
            assert published == delivered + merged + lost, self.seed
            if channel == CHANNEL_PRICE:
                whole = json.loads(self.joined.owner.price(symbol) or b"{}")
                view = self.views[client][channel, symbol]
                for field in ("price", "size", "bid", "ask", "volume", "high", "low"):
                    assert view[field] == whole[field], f"{self.seed}: {field}"


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_every_client_ends_where_the_owner_is(seed: int) -> None:
    """Random clients, trades, stalls and cuts of the link."""
    crowd = Crowd(seed)
    for _ in range(60):
        crowd.step()
    crowd.joined.is_stalled = False
    crowd.joined.now += 1100 * MS
    crowd.settle()
    for client in crowd.views:
        crowd.check(client)
    crowd.joined.close()


@pytest.mark.parametrize("seed", range(40))
def test_damaged_frames_close_the_link_with_a_reason_and_break_nothing(seed: int) -> None:
    chance = random.Random(seed)
    joined = Joined()
    joined.trade(18540)
    client = joined.open()
    joined.subscribe(client)
    damaged = bytearray(chance.randbytes(40))
    if seed % 2:
        hello = WorkerHub()
        hello.linked("gateway1", 1, joined.now)
        damaged = bytearray(hello.outbox() * 3)
        for _ in range(3):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    with contextlib.suppress(LinkBroken):
        joined.worker.feed(bytes(damaged), joined.now)
    with contextlib.suppress(LinkBroken):
        serve(joined, bytes(damaged))
    assert joined.owner.price(SYMBOL)
    joined.close()


def serve(joined: Joined, data: bytes) -> None:
    for kind, message in LinkReader().feed(data):
        joined.owner.serve(joined.number, kind, message, joined.now)


@pytest.mark.parametrize("length", [0, 1 << 25])
def test_a_length_that_no_frame_has_is_refused(length: int) -> None:
    data = length.to_bytes(4, "little") + b"xxxx"
    with pytest.raises(LinkBroken, match="expected a frame of 1 to"):
        LinkReader().feed(data)
    with pytest.raises(LinkBroken, match="expected a frame of 1 to"):
        WorkerHub().feed(data, T0)


def test_a_topic_that_was_never_introduced_is_refused(joined: Joined) -> None:
    client = joined.open()
    joined.subscribe(client)
    stranger = WorkerHub()
    stranger.linked("gateway2", 2, joined.now)
    joined.trade(18540)
    joined.flush_owner()
    assert joined.link is not None
    with pytest.raises(LinkBroken, match="expected a topic that was introduced"):
        stranger.feed(joined.link[1].recv(1 << 16), joined.now)
