"""Every codec through a worker: its clients know what a client of the owner itself knows, value by value."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.native.test_hub import MS
from tests.native.test_link import SYMBOL, Client, Joined
from tests.native.test_link_keyed import begin_book, put_level

from tickcast import _native
from tickcast.client.codecs import Codec
from tickcast.client.handles import codec_of
from tickcast.model.record import Kind
from tickcast.testing.fuzz_gateway import server_frames

CODECS = {"json": 1, "msgpack": 2, "compact": 3, "proto": 4}
"""JSON with prices as texts: so all are comparable."""
CHANNELS = {name: _native.CHANNELS.index(name) for name in ("price", "trades", "book:10", "bars:1s")}


class Reader:
    """What a client of some codec knows."""

    def __init__(self, client: Client, codec: str) -> None:
        self._client = client
        self._codec: Codec = codec_of(codec)
        self._data = bytearray()
        self.values: dict[str, Any] = {}
        self.rows: list[tuple[Any, ...]] = []
        self.books: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}

    def acknowledged(self, standing: _native.Position) -> None:
        """What the session's ack tells, which binary codecs need where no snapshot comes."""
        handles = getattr(self._codec, "handles", None)
        if handles is not None:
            handles.learn({"type": "subscribed", "symbols": {SYMBOL: {"handle": standing.handle}}})

    def read(self) -> None:
        try:
            while chunk := self._client.theirs.recv(1 << 16):
                self._data += chunk
        except BlockingIOError:
            pass
        for opcode, payload in server_frames(self._data):
            for frame in self._codec.frames(payload.decode() if opcode == 1 else payload):
                self._take(frame)

    def _take(self, frame: dict[str, Any]) -> None:
        assert frame["symbol"] == SYMBOL
        channel, kind = frame.get("channel", "price"), frame["type"]
        if kind == "trade":
            self.rows.append((frame["seq"], str(frame["id"]), frame["price"], frame["size"], frame["side"]))
        elif kind == "bar":
            self.values[frame["start"]] = [frame[name] for name in ("open", "high", "low", "close", "volume", "trades")]
        elif kind in {"snapshot", "update"} and "bids" in frame:
            for side, levels in self.books.items():
                if kind == "snapshot":
                    levels.clear()
                for price, size in frame[side]:
                    levels[price] = size
                    if float(size) == 0:
                        del levels[price]
        elif kind in {"snapshot", "update"} and channel == "price":
            self.values |= {key: frame[key] for key in ("price", "size", "bid", "ask", "volume", "seq") if key in frame}


@pytest.fixture
def joined() -> Iterator[Joined]:
    both = Joined()
    yield both
    both.close()


@pytest.fixture
def own(joined: Joined) -> Iterator[Client]:
    """A client of the owner's hub."""
    client = Client(joined.owner)
    yield client
    client.close()


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("codec", CODECS)
def test_a_workers_client_knows_what_the_owners_own_knows(
    joined: Joined, own: Client, codec: str, channel: str
) -> None:
    mode = _native.MODE_ALL if channel == "trades" else _native.MODE_MERGE
    number = CHANNELS[channel]
    behind = joined.open()
    joined.worker.configure(behind.number, codec=CODECS[codec], batch=False)
    joined.owner.configure(own.number, codec=CODECS[codec], batch=False)
    readers = [Reader(behind, codec), Reader(own, codec)]
    begin_book(joined)
    standings = joined.subscribe(behind, channel=number, rate=20, mode=mode)
    standings.append(joined.owner.subscribe(own.number, number, SYMBOL, 20, 0, mode, joined.now))
    for reader, standing in zip(readers, standings, strict=True):
        reader.acknowledged(standing)
    for step in range(30):
        joined.now += 37 * MS
        kind, cents = (Kind.BOOK_BID, 9900 - step % 7) if step % 2 else (Kind.BOOK_ASK, 10100 + step % 5)
        put_level(joined, kind, cents, 0 if step % 5 == 4 else step + 1)
        joined.trade(18540 + step, first_id=step + 2)
        joined.pump()
    joined.now += 1100 * MS
    joined.pump()
    joined.pump()
    for reader in readers:
        reader.read()
    through, direct = readers
    assert through.books == direct.books
    assert through.values == direct.values
    assert through.rows == direct.rows
    found = {"trades": len(through.rows), "book:10": len(through.books["bids"])}.get(channel, len(through.values))
    assert found >= (30 if channel == "trades" else 1)
