"""Books and bars through a worker: what its clients rebuild is what the owner has."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.native.test_hub import MS
from tests.native.test_link import SYMBOL, Joined

from tickcast import _native
from tickcast.model.record import Flag, Kind, empty_records, record_bytes

BOOK_10 = _native.CHANNELS.index("book:10")
BARS_1S = _native.CHANNELS.index("bars:1s")


@pytest.fixture
def joined() -> Iterator[Joined]:
    both = Joined()
    yield both
    both.close()


def put_level(joined: Joined, kind: Kind, cents: int, size: int, *, more: bool = False) -> None:
    records = empty_records(1)
    records["ts_event"] = records["ts_recv"] = joined.now
    records["instrument"] = _native.instrument_id(SYMBOL)
    records["price"], records["price_scale"], records["size"] = cents, 2, size
    records["kind"] = kind
    records["flags"] = 0 if more else Flag.LAST_OF_EVENT
    joined.owner.apply(record_bytes(records), joined.now)


def begin_book(joined: Joined) -> None:
    """One level on each side of a book that is whole, of an instrument that has traded."""
    joined.trade(10000)
    records = empty_records(4)
    records["ts_event"] = records["ts_recv"] = joined.now
    records["instrument"] = _native.instrument_id(SYMBOL)
    records["kind"] = [Kind.BOOK_BID, Kind.BOOK_ASK, Kind.BOOK_BID, Kind.BOOK_ASK]
    records["flags"] = [Flag.NO_PRICE, Flag.NO_PRICE, 0, Flag.LAST_OF_EVENT]
    records["price"], records["price_scale"], records["size"] = [0, 0, 9900, 10100], 2, 1
    joined.owner.apply(record_bytes(records), joined.now)


def rebuild(book: dict[str, dict[float, float]], message: dict[str, Any]) -> None:
    for side in ("bids", "asks"):
        if message["type"] == "snapshot":
            book[side] = {}
        for price, size in message[side]:
            if size:
                book[side][price] = size
            else:
                book[side].pop(price, None)


@pytest.mark.parametrize("rates", [(20,), (20, 1), (0, 5)])
def test_books_of_a_workers_clients_are_the_owners(joined: Joined, rates: tuple[int, ...]) -> None:
    begin_book(joined)
    clients = {rate: joined.open() for rate in rates}
    books: dict[int, dict[str, dict[float, float]]] = {rate: {} for rate in rates}
    for rate, client in clients.items():
        joined.subscribe(client, channel=BOOK_10, rate=rate)
    for step in range(40):
        joined.now += 37 * MS
        kind, cents = (Kind.BOOK_BID, 9900 - step % 13) if step % 2 else (Kind.BOOK_ASK, 10100 + step % 11)
        put_level(joined, kind, cents, 0 if step % 5 == 4 else step + 1)
        joined.pump()
    joined.now += 1100 * MS
    joined.pump()
    for rate, client in clients.items():
        joined.sync(client)
        for message in client.read():
            rebuild(books[rate], message)
        whole = json.loads(joined.owner.book(SYMBOL, 10) or b"{}")
        assert len(whole["bids"]) > 5
        for side in ("bids", "asks"):
            assert sorted(books[rate][side].items()) == sorted(map(tuple, whole[side])), f"rate {rate}"


def test_bars_pass_through_and_count(joined: Joined) -> None:
    client = joined.open()
    joined.subscribe(client, channel=BARS_1S, rate=20)
    for number in range(5):
        joined.now += 400 * MS
        joined.trade(18540 + number, first_id=number + 1)
        joined.pump()
    counters = joined.sync(client)
    _, _, published, delivered, merged, lost = counters[BARS_1S, SYMBOL]
    assert published == delivered + merged + lost > 0
    bars = [m for m in client.read() if m["type"] == "bar"]
    assert bars[-1]["close"] == 185.44
