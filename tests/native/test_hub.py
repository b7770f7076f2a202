"""The hub through its Python door, over real sockets."""

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from tickcast._native import (
    CHANNEL_PRICE,
    CHANNEL_TRADES,
    MODE_ALL,
    MODE_MERGE,
    PRICE_FIELDS,
    RATE_CLASSES,
    Flushed,
    Hub,
    instrument_id,
)
from tickcast.model.instrument import Definition
from tickcast.model.record import Flag, Kind, empty_records, record_bytes

MS = 1_000_000
T0 = 1_774_794_601_000_000_000


def definition(symbol: str, venue: str = "XNAS") -> Definition:
    return Definition(
        instrument=instrument_id(f"{venue}:{symbol}"),
        venue=venue,
        symbol=symbol,
        feed=venue.lower(),
        security=symbol,
        asset_class="equity",
        currency="USD",
        primary=True,
    )


def trades(symbol: str, cents: Sequence[int], ts_ns: int, first_id: int = 1) -> memoryview:
    """One trade a price, a microsecond apart."""
    records = empty_records(len(cents))
    records["ts_event"] = ts_ns + 1000 * np.arange(len(cents))
    records["ts_recv"] = records["ts_event"]
    records["instrument"] = instrument_id(f"XNAS:{symbol}")
    records["id"] = first_id + np.arange(len(cents))
    records["price"] = cents
    records["size"] = 100
    records["price_scale"] = 2
    records["kind"] = Kind.TRADE
    records["flags"] = Flag.LAST_OF_EVENT
    return record_bytes(records)


class Market:
    """A hub, its clock, and the bytes that each client's transport would hold."""

    def __init__(self, **settings: Any) -> None:
        self.hub = Hub(epoch=7, **settings)
        self.now = T0
        self.hub.define([definition("AAPL"), definition("MSFT")], self.now)
        self.backlog: dict[int, bytes] = {}

    def trade(self, *cents: int, symbol: str = "AAPL", first_id: int = 1) -> None:
        self.hub.apply(trades(symbol, cents, self.now, first_id), self.now)

    def flush(self, only: int = -1) -> Flushed:
        flushed = self.hub.flush(self.now, only)
        for client, data in flushed.unsent:
            assert client not in self.backlog, "a blocked client gets nothing"
            self.backlog[client] = data
        return flushed

    def subscribe(self, client: int, symbol: str = "AAPL", **wish: int) -> Any:
        wish = {"channel": CHANNEL_PRICE, "rate": 20, "fields": 0, "mode": MODE_MERGE} | wish
        return self.hub.subscribe(client, wish["channel"], symbol, wish["rate"], wish["fields"], wish["mode"], self.now)


class Peer:
    """The client's end of a socket pair."""

    def __init__(self, hub: Hub, send_buffer: int = 0) -> None:
        self.ours, self.theirs = socket.socketpair()
        if send_buffer:
            self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        self.ours.setblocking(False)
        self.theirs.setblocking(False)
        self.received = b""
        self.client = hub.open(self.ours.fileno())

    def read(self) -> list[Any]:
        """Every whole message, parsed; control frames as (opcode, payload)."""
        try:
            while data := self.theirs.recv(65536):
                self.received += data
        except BlockingIOError:
            pass
        messages, self.received = split_frames(self.received)
        return messages

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


Connect = Callable[..., Peer]


def split_frames(data: bytes) -> tuple[list[Any], bytes]:
    messages: list[Any] = []
    while len(data) >= 2:
        length, start = data[1], 2
        if length == 126:
            length, start = int.from_bytes(data[2:4], "big"), 4
        elif length == 127:
            length, start = int.from_bytes(data[2:10], "big"), 10
        if len(data) < start + length:
            break
        opcode, payload = data[0] & 15, data[start : start + length]
        messages.append(json.loads(payload) if opcode == 1 else (opcode, payload))
        data = data[start + length :]
    return messages, data


@pytest.fixture
def market() -> Market:
    return Market()


@pytest.fixture
def connect() -> Iterator[Connect]:
    made: list[Peer] = []

    def open_one(market: Market, send_buffer: int = 0) -> Peer:
        made.append(Peer(market.hub, send_buffer))
        return made[-1]

    yield open_one
    for peer in made:
        peer.close()


@pytest.fixture
def peer(market: Market, connect: Connect) -> Peer:
    return connect(market)


def test_constants_match_the_stub() -> None:
    assert RATE_CLASSES == (0, 1, 2, 5, 10, 20)
    assert (CHANNEL_PRICE, CHANNEL_TRADES, MODE_MERGE, MODE_ALL) == (0, 1, 0, 1)
    assert PRICE_FIELDS[:3] == ("price", "size", "side")


def test_ack_then_snapshot_then_updates_with_the_merged_count(market: Market, peer: Peer) -> None:
    market.trade(18540)
    position = market.subscribe(peer.client)
    assert (position.epoch, position.rate, position.mode) == (7, 20, MODE_MERGE)
    market.hub.reply(peer.client, b'{"type":"subscribed"}')
    market.flush(peer.client)
    ack, snapshot = peer.read()
    assert ack == {"type": "subscribed"}
    assert (snapshot["type"], snapshot["symbol"], snapshot["price"]) == ("snapshot", "AAPL", 185.40)
    assert (snapshot["epoch"], snapshot["seq"]) == (7, position.seq)

    market.trade(18541)
    market.flush()
    [first] = peer.read()
    assert (first["type"], first["price"], first["seq"]) == ("update", 185.41, position.seq + 1)

    market.trade(18542, 18543, 18544, first_id=2)
    next_ns = market.flush().next_ns
    assert peer.read() == []
    assert market.now < next_ns <= market.now + 50 * MS + MS, "the trailing edge is within the interval"
    market.now = next_ns
    market.flush()
    [last] = peer.read()
    assert (last["price"], last["seq"]) == (185.44, position.seq + 4)
    assert market.flush().next_ns == 0


def test_unknown_symbols_clients_and_wishes(market: Market, peer: Peer) -> None:
    assert market.subscribe(peer.client, "XXXX") is None
    assert market.hub.position("XXXX", CHANNEL_PRICE) is None
    assert market.hub.price("XXXX") is None
    assert not market.hub.unsubscribe(peer.client, CHANNEL_PRICE, "AAPL")
    market.hub.close(peer.client)
    assert market.subscribe(peer.client) is None
    market.hub.reply(peer.client, b"{}")
    assert market.flush().bytes == 0
    with pytest.raises(ValueError, match="channel"):
        market.hub.position("AAPL", 7)
    with pytest.raises(ValueError, match="rate class"):
        market.subscribe(market.hub.open(-1), rate=3)
    with pytest.raises(ValueError, match="64 bytes"):
        market.hub.apply(b"x" * 63, T0)
    with pytest.raises(ValueError, match="texts"):
        market.hub.apply(trades("AAPL", [1], T0), T0, [])


def test_a_client_number_is_never_used_again(market: Market) -> None:
    seen = set()
    for _ in range(50):
        client = market.hub.open(-1)
        assert client not in seen
        seen.add(client)
        market.hub.close(client)
    assert market.hub.memory()["clients"] == 0


def test_without_a_descriptor_everything_goes_through_the_transport(market: Market) -> None:
    client = market.hub.open(-1)
    market.subscribe(client)
    flushed = market.flush()
    assert [entry[0] for entry in flushed.unsent] == [client]
    assert flushed.writes == 0
    assert market.hub.unsent(client) == len(market.backlog[client])
    market.trade(1, 2, 3)
    assert market.flush().unsent == []
    market.hub.drained(client)
    market.backlog.clear()
    assert market.hub.unsent(client) == 0
    market.flush()
    [update] = split_frames(market.backlog[client])[0]
    assert (update["price"], update["type"]) == (0.03, "update")
    assert len(update) > 8, "after a block every field comes"


def test_batch_and_strings(market: Market, peer: Peer) -> None:
    market.trade(18540)
    market.hub.configure(peer.client, codec=1, batch=True)
    market.hub.reply(peer.client, b'{"type":"ok"}')
    market.subscribe(peer.client, "AAPL")
    market.subscribe(peer.client, "XNAS:AAPL")
    market.flush()
    ack, snapshots = peer.read()
    assert ack == [{"type": "ok"}]
    assert [snapshot["price"] for snapshot in snapshots] == ["185.40", "185.40"]


def test_fields_and_their_bound(connect: Connect) -> None:
    market = Market(field_sets_max=2)
    peer = connect(market)
    only_price = 1 << PRICE_FIELDS.index("price")
    market.trade(18500)
    only_bid = 1 << PRICE_FIELDS.index("bid")
    assert market.subscribe(peer.client, "AAPL", fields=only_price).fields == only_price
    assert market.subscribe(peer.client, "MSFT", fields=only_bid).fields == 0, "all"
    market.flush()
    peer.read()
    market.trade(18540)
    market.flush()
    [update] = peer.read()
    assert set(update) == {"type", "symbol", "price", "seq"}
    assert market.hub.subscriptions(peer.client)[0] == (CHANNEL_PRICE, "AAPL", 20, only_price, MODE_MERGE)


def test_every_trade_comes_and_is_repeated_on_resume(market: Market, peer: Peer, connect: Connect) -> None:
    position = market.subscribe(peer.client, channel=CHANNEL_TRADES, rate=20, mode=MODE_MERGE)
    assert (position.mode, position.rate) == (MODE_ALL, 0)
    market.trade(1, 2, 3)
    market.flush()
    status, *got = peer.read()
    assert (status["type"], status["state"]) == ("status", "live"), "nothing was known before"
    assert [(trade["type"], trade["seq"], trade["id"]) for trade in got] == [("trade", n, str(n)) for n in (1, 2, 3)]

    again = connect(market)
    market.trade(4, 5, first_id=4)
    market.subscribe(again.client, channel=CHANNEL_TRADES)
    assert market.hub.resume(again.client, CHANNEL_TRADES, "AAPL", market.now, epoch=7, seq=3) is None
    market.hub.reply(again.client, b'{"type":"resumed"}')
    market.trade(6, first_id=6)
    market.flush()
    resumed, *missed = again.read()
    assert resumed == {"type": "resumed"}
    assert [trade["seq"] for trade in missed] == [4, 5, 6]
    [counted] = market.hub.sync(again.client, market.now)
    assert counted == (CHANNEL_TRADES, "AAPL", 7, 6, 1, 1, 0, 0)


@pytest.mark.parametrize(
    ("memory", "reason"),
    [
        ({"epoch": 6, "seq": 1}, "epoch_changed"),
        ({"epoch": 7, "seq": 999}, "ahead"),
        ({"epoch": 7, "seq": 1}, "too_old"),
        ({}, "epoch_changed"),
        ({"last_seen_ns": T0 - 1}, "too_old"),
        ({"last_seen_ns": T0 + 10**12}, "ahead"),
    ],
)
def test_resume_fails_closed(memory: dict[str, int], reason: str, connect: Connect) -> None:
    market = Market(history_count=4)
    peer = connect(market)
    market.trade(*range(1, 20))
    market.subscribe(peer.client)
    assert market.hub.resume(peer.client, CHANNEL_PRICE, "AAPL", market.now, **memory) == reason
    market.flush()
    [snapshot] = peer.read()
    assert snapshot["type"] == "snapshot"


def test_resume_by_time_at_the_precision_sent(market: Market, peer: Peer, connect: Connect) -> None:
    market.trade(1)
    market.now += 5 * MS
    market.trade(2, 3, 4, first_id=2)
    newest = market.now + 2000
    market.subscribe(peer.client)
    resume = market.hub.resume
    assert resume(peer.client, CHANNEL_PRICE, "AAPL", market.now, last_seen_ns=newest) is None
    assert market.flush().bytes == 0, "nothing changed since: no snapshot"
    other = connect(market)
    market.subscribe(other.client)
    millisecond = {"last_seen_ns": T0 + 5 * MS, "precision_ns": MS}
    assert resume(other.client, CHANNEL_PRICE, "AAPL", market.now, **millisecond) is None
    market.flush()
    assert [message["type"] for message in other.read()] == ["snapshot"], "three trades of one millisecond: a tie"
    first = connect(market)
    market.subscribe(first.client)
    # A past epoch may have ended with the trade that this one began with.
    assert resume(first.client, CHANNEL_PRICE, "AAPL", market.now, last_seen_ns=T0) == "too_old"


def test_a_slow_reader_is_bounded_told_of_its_loss_and_closed(connect: Connect) -> None:
    market = Market(buffer_max=2000, unsent_max=10_000, undrained_max_ns=10**9)
    slow = connect(market, send_buffer=1)
    market.subscribe(slow.client, channel=CHANNEL_TRADES)
    for batch in range(40):
        market.trade(*range(1, 30), first_id=1 + 29 * batch)
        market.flush()
        market.now += MS
    assert market.hub.unsent(slow.client) < 20_000
    assert market.hub.memory()["blocked"] == 1
    market.now += 2 * 10**9
    assert market.flush().slow == [slow.client]
    market.now += 10**9
    assert market.flush().slow == [], "said once"

    messages = slow.read()
    while data := market.backlog.pop(slow.client, b""):
        sent = slow.ours.send(data)
        market.backlog[slow.client] = data[sent:]
        messages += slow.read()
    market.hub.drained(slow.client)
    market.flush()
    while slow.client in market.backlog:
        market.backlog[slow.client] = market.backlog[slow.client][slow.ours.send(market.backlog[slow.client]) :]
        messages += slow.read()
        if not market.backlog[slow.client]:
            del market.backlog[slow.client]
    messages += slow.read()
    status, *came, lost = messages
    assert (status["type"], status["state"]) == ("status", "live")
    assert [trade["seq"] for trade in came] == list(range(1, len(came) + 1))
    assert (lost["type"], lost["count"], lost["seq"]) == ("lost", 40 * 29 - len(came), 40 * 29)


def test_a_dead_socket_is_reported_once(market: Market, peer: Peer) -> None:
    market.subscribe(peer.client)
    peer.theirs.close()
    assert market.flush().broken == [peer.client]
    market.trade(1)
    flushed = market.flush()
    assert (flushed.broken, flushed.bytes) == ([], 0)


def test_states_are_told_at_once(market: Market, peer: Peer) -> None:
    market.trade(18540)
    market.subscribe(peer.client, "XNAS:AAPL", rate=1)
    market.flush()
    peer.read()
    assert market.hub.set_feed_state("xnas", 5, "feed quiet 5 s", market.now) > 0
    market.flush()
    status = next(message for message in peer.read() if message["type"] == "status")
    assert (status["symbol"], status["state"], status["reason"]) == ("XNAS:AAPL", "stale", "feed quiet 5 s")


def test_states_are_told_in_every_channel_and_once(market: Market, connect: Connect) -> None:
    both, only = connect(market), connect(market)
    for client, channels in ((both, (CHANNEL_PRICE, CHANNEL_TRADES)), (only, (CHANNEL_TRADES,))):
        for channel in channels:
            market.subscribe(client.client, "XNAS:AAPL", channel=channel)
    market.trade(18540)
    market.flush()
    for client in (both, only):
        client.read()
    market.hub.set_feed_state("xnas", 5, "feed quiet 5 s", market.now)
    market.flush()
    for client in (both, only):
        assert [m["state"] for m in client.read() if m["type"] == "status"] == ["stale"]


def test_a_new_epoch_begins_with_a_snapshot(market: Market, peer: Peer) -> None:
    market.trade(1)
    market.subscribe(peer.client)
    market.flush()
    peer.read()
    assert market.hub.renew("AAPL") == 8
    market.flush()
    [snapshot] = peer.read()
    assert (snapshot["type"], snapshot["epoch"], snapshot["seq"]) == ("snapshot", 8, 0)
    market.subscribe(peer.client, channel=CHANNEL_TRADES)
    market.trade(2, 3)
    assert market.hub.renew("AAPL") == 9
    market.trade(4, first_id=4)
    market.flush()
    told = [message for message in peer.read() if message.get("channel") == "trades"]
    assert [(m["type"], m["seq"]) for m in told[-2:]] == [("lost", 0), ("trade", 1)]
    assert (told[-2]["count"], told[-2]["epoch"]) == (0, 9)
    assert market.hub.renew("XXXX") is None


def test_control_frames_and_quiet_clients(market: Market, peer: Peer) -> None:
    market.hub.control(peer.client, 9, b"now")
    market.flush(peer.client)
    assert peer.read() == [(9, b"now")]
    assert market.hub.quiet(market.now) == []
    market.now += MS
    assert market.hub.quiet(market.now) == [peer.client]
    with pytest.raises(ValueError, match="opcode"):
        market.hub.control(peer.client, 1)


def test_the_quantum_grows_under_load_and_holds(connect: Connect) -> None:
    market = Market()
    peers = [connect(market) for _ in range(20)]
    for peer in peers:
        market.subscribe(peer.client, rate=0)
    for step in range(200):
        market.now += MS
        market.trade(*range(1 + step, 11 + step), first_id=1 + 10 * step)
        for _ in range(5):
            market.trade(step, first_id=10_000 + step)
            market.flush()
        for peer in peers:
            peer.read()
    quantum = market.hub.memory()["quantum_ns"]
    assert 0 < quantum <= 10 * MS
    market.now += 20 * MS
    market.flush()
    market.trade(1, first_id=50_000)
    held = market.flush()
    assert (held.writes, held.next_ns) == (0, market.now + market.hub.memory()["quantum_ns"])
    market.now = held.next_ns
    assert market.flush().writes == len(peers)
