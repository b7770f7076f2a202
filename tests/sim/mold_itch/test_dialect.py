"""XBOS over real datagrams: packets, both lines, requests, sessions, faults; and what it says against a slow book."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

from tests.sim.itch.reference import LENGTHS, ReferenceBook
from tests.sim.mold_itch.receiver import by_number, parse, request
from tests.sim.udp.sockets import Socket, until

from tickcast.sim import universe as listing
from tickcast.sim.config import Config, MarketConfig, MoldItchConfig
from tickcast.sim.engine import VenueEngine
from tickcast.sim.faults import Fault
from tickcast.sim.mold_itch.dialect import MoldItchDialect, create
from tickcast.sim.truth import venue_truth

START = 1_774_879_200_000_000_000  # 2026-03-30 14:00 UTC
MARKET = MarketConfig(halt_every_s=1.5, halt_min_s=0.3, halt_max_s=0.5, close_after_s=6.0)


class Venue:
    """XBOS on a clock that the test moves."""

    def __init__(self, *, start: int = START, symbols: int = 30, **options: Any) -> None:
        self.config = Config(seed=3, symbols=symbols, rate=20_000, market=MARKET)
        self.now = start
        settings = MoldItchConfig(**{"rare_every_s": 0.05, **options})
        universe = listing.build(self.config)
        self.dialect: MoldItchDialect = create("XBOS", settings, self.config, universe, start, time.time_ns)
        self.engine = VenueEngine(self.dialect, rate=2000.0, quantum_ms=5.0, start_ns=start)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.now += 10_000_000
            self.engine.advance(self.now)

    @property
    def session(self) -> str:
        return str(self.dialect.state()["session"])

    @property
    def next(self) -> int:
        return int(self.dialect.state()["next_sequence"])

    def complete(self, packets: list[bytes]) -> bool:
        return len(by_number(packets, self.session)) == self.next - 1


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[tuple[Venue, Socket, Socket, str]]:
    a, b = Socket(), Socket()
    venue = Venue(lines=(a.address, b.address), **options)
    started = await venue.dialect.start()
    assert started["lines"] == [a.address, b.address]
    try:
        yield venue, a, b, started["rerequest"]
    finally:
        await venue.dialect.stop()
        a.close()
        b.close()


def books_equal_truth(book: ReferenceBook, venue: Venue) -> None:
    truth = venue_truth(venue.dialect)
    assert set(book.stocks.values()) == set(truth)
    for stock, is_true in truth.items():
        bid, bid_size, ask, ask_size = book.best(stock)
        assert [float(is_true[side] or 0) for side in ("bid", "ask")] == [bid / 10_000, ask / 10_000]
        assert [int(is_true["bid_size"]), int(is_true["ask_size"])] == [bid_size, ask_size]
        if stock in book.last:
            price, shares, match = book.last[stock]
            assert (float(is_true["last"]), int(is_true["last_size"])) == (price / 10_000, shares)
            assert is_true["last_id"] == str(match)


async def test_a_day_on_both_lines_is_consistent_and_ends_with_the_true_books() -> None:
    async with serving() as (venue, a, b, _):
        venue.run(7.0)
        for line in (a, b):
            packets = await line.wait(venue.complete)
            assert {parse(packet)[0] for packet in packets} == {venue.session}
            assert len(venue.session) == 10
            assert max(len(packet) for packet in packets) <= 1400
            numbers = [parse(packet)[1:3] for packet in packets if parse(packet)[2]]
            assert numbers[0][0] == 1
            assert all(one[0] + one[1] == two[0] for one, two in pairwise(numbers))
        assert [one for one in a.datagrams if parse(one)[2]] == [one for one in b.datagrams if parse(one)[2]]
        book = ReferenceBook()
        for _, message in sorted(by_number(a.datagrams, venue.session).items()):
            book.feed(message)
        assert set(book.kinds) == set(LENGTHS)
        books_equal_truth(book, venue)
        state = venue.dialect.state()
        assert state["lines"]["A"]["packets"] == len(a.drain())


async def test_the_first_message_byte_for_byte() -> None:
    async with serving() as (venue, a, _, _):
        packets = await a.wait(venue.complete)
        assert packets[0][:20] == venue.session.encode() + b"\0\0\0\0\0\0\0\x01" + packets[0][18:20]
        # system event: start of messages, 10:00:00 in New York
        ts = 36_000 * 10**9
        assert packets[0][20:34] == b"\x00\x0cS\x00\x00\x00\x00" + ts.to_bytes(6, "big") + b"O"


async def test_a_second_brings_a_heartbeat_with_the_next_number_and_a_stop_the_end() -> None:
    async with serving() as (venue, a, _, _):
        await a.wait(venue.complete)
        packets = await a.wait(lambda packets: parse(packets[-1])[2] == 0)
        assert packets[-1] == venue.session.encode() + venue.next.to_bytes(8, "big") + b"\0\0"
        await venue.dialect.stop()
        packets = await a.wait(lambda packets: parse(packets[-1])[2] == 0xFFFF)
        assert packets[-1] == venue.session.encode() + venue.next.to_bytes(8, "big") + b"\xff\xff"


async def test_what_was_lost_can_be_asked_for_a_packet_at_a_time() -> None:
    async with serving() as (venue, a, b, address):
        venue.dialect.faults.arm(Fault(fault="drop", every=3, for_s=600))
        venue.run(2.0)
        venue.dialect.faults.clear()
        venue.run(0.1)
        last = venue.next - 1
        packets = await a.wait(lambda packets: last in by_number(packets, venue.session))
        await b.wait(lambda packets: last in by_number(packets, venue.session))
        found = by_number([*packets, *b.datagrams], venue.session)
        first_loss = len(found)
        assert first_loss < last
        asker = Socket()
        requests = 0
        while missing := [number for number in range(1, venue.next) if number not in found]:
            before = len(asker.datagrams)
            run = next((n for n, number in enumerate(missing) if number != missing[0] + n), len(missing))
            asker.send(request(venue.session, missing[0], min(run, 60_000)), address)
            await asker.wait(lambda packets, before=before: len(packets) > before)  # type: ignore[misc]
            requests += 1
            session, sequence, count, messages = parse(asker.datagrams[-1])
            assert (session, sequence) == (venue.session, missing[0])
            assert 1 <= count <= run
            assert len(asker.datagrams[-1]) <= 1400
            found |= dict(enumerate(messages, sequence))
        book = ReferenceBook()
        for _, message in sorted(found.items()):
            book.feed(message)
        books_equal_truth(book, venue)
        served = venue.dialect.state()["requests"]
        assert (served["served"], served["messages"]) == (requests, last - first_loss)
        asker.close()


async def test_a_request_that_cannot_be_answered_gets_silence() -> None:
    async with serving(history_bytes_max=30_000, roll_when_full=False) as (venue, _, _, address):
        venue.run(1.0)
        asker = Socket()
        state = venue.dialect.state()
        assert state["oldest_sequence"] > 1
        wrong = (
            request("NOSUCH", 1, 1), request(venue.session, 1, 1), request(venue.session, venue.next, 1),
            request(venue.session, venue.next - 1, 0), b"short", request(venue.session, 1, 1) + b"!",
        )  # fmt: skip
        for number, datagram in enumerate(wrong, 1):
            asker.send(datagram, address)
            await until(lambda number=number: sum(venue.dialect.rerequest.refused.values()) == number)  # type: ignore[misc]
        venue.dialect.faults.arm(Fault(fault="throttle", count=1))
        asker.send(request(venue.session, venue.next - 2, 1), address)
        asker.send(request(venue.session, venue.next - 1, 9), address)
        packets = await asker.wait(len)
        counted = venue.dialect.state()["requests"]
        assert counted["refused"] == {"throttled": 1, "session": 1, "gone": 1, "ahead": 1, "empty": 1, "malformed": 2}
        assert (counted["served"], counted["messages"]) == (1, 1)
        assert parse(packets[0])[1:3] == (venue.next - 1, 1)
        asker.close()


async def test_the_same_seed_gives_the_same_packets() -> None:
    async def packets() -> list[bytes]:
        async with serving() as (venue, a, _, _):
            venue.run(2.0)
            return [one for one in await a.wait(venue.complete) if parse(one)[2]]

    assert await packets() == await packets()


async def test_a_full_history_begins_a_new_session_with_every_order() -> None:
    async with serving(history_bytes_max=100_000, rare_every_s=0.0) as (venue, a, _, address):
        first = venue.session
        venue.run(3.0)
        packets = await a.wait(venue.complete)
        sessions = list(dict.fromkeys(parse(packet)[0] for packet in packets))
        assert len(sessions) >= 3
        assert sessions[0] == first
        assert any(parse(packet)[2] == 0xFFFF for packet in packets)
        found = by_number(packets, venue.session)
        book = ReferenceBook()
        for number in range(1, venue.next):
            book.feed(found[number])
        truth = venue_truth(venue.dialect)
        for stock, is_true in truth.items():
            assert float(is_true["bid"] or 0) == book.best(stock)[0] / 10_000
        asker = Socket()
        asker.send(request(sessions[-2], 1, 1), address)
        assert parse((await asker.wait(len))[0])[0] == sessions[-2], "the end of the last one can still be had"
        asker.close()


async def test_a_history_smaller_than_the_orders_forgets_and_does_not_roll() -> None:
    async with serving(history_bytes_max=5_000) as (venue, a, _, _):
        venue.run(1.0)
        await a.wait(venue.complete)
        state = venue.dialect.state()
        assert state["sessions"] == 1
        assert state["oldest_sequence"] > 1
        assert state["history_bytes"] <= 5_000


async def test_a_restart_begins_at_one_and_forgets_what_was_before() -> None:
    async with serving(rare_every_s=0.0) as (venue, a, _, address):
        venue.run(1.0)
        before, old_next = venue.session, venue.next
        venue.dialect.faults.arm(Fault(fault="restart"))
        assert venue.session != before
        assert venue.next < old_next
        venue.run(0.5)
        packets = await a.wait(venue.complete)
        assert not any(parse(packet)[2] == 0xFFFF for packet in packets)
        book = ReferenceBook()
        for _, message in sorted(by_number(packets, venue.session).items()):
            book.feed(message)
        assert len(book.orders) == int((venue.dialect.flow.size > 0).sum())
        asker = Socket()
        asker.send(request(before, 1, 1), address)
        asker.send(request(venue.session, 1, 1), address)
        assert parse((await asker.wait(len))[0])[0] == venue.session
        asker.close()


async def test_the_b_line_may_lag_and_a_fault_may_take_one_line_only() -> None:
    async with serving(lag_b_ms=20.0) as (venue, a, b, _):
        before = len(await b.wait(venue.complete))
        venue.dialect.faults.arm(Fault(fault="drop", line="A", for_s=600))
        venue.run(0.5)
        assert len(b.drain()) == before
        await b.wait(venue.complete)
        first = [parse(packet)[1] for packet in a.drain()]
        assert max(first) < venue.next - 1, "only what was sent before the fault"


async def test_a_clock_fault_moves_event_times_and_a_stall_holds_everything_back() -> None:
    async with serving() as (venue, a, _, address):
        venue.dialect.faults.arm(Fault(fault="clock", offset_s=3600))
        venue.run(0.5)
        message = by_number(await a.wait(venue.complete), venue.session)[venue.next - 1]
        ts = int.from_bytes(message[5:11], "big") / 1e9
        assert 11 * 3600 <= ts < 11 * 3600 + 1
        seen = len(a.drain())
        venue.dialect.faults.arm(Fault(fault="stall", for_s=600))
        asker = Socket()
        asker.send(request(venue.session, 1, 1), address)
        venue.run(0.5)
        await asyncio.sleep(0.01)
        assert (len(a.drain()), len(asker.drain())) == (seen, 0)
        venue.dialect.faults.clear()
        venue.run(0.01)
        await a.wait(venue.complete)
        asker.close()
