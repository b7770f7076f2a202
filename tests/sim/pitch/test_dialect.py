"""BATS on its lines: packets of all units, heartbeats, days, faults; and what it says against slow books."""

import asyncio
import struct
from itertools import pairwise

import pytest
from tests.sim.pitch.reference import LENGTHS, UnitBook, by_number, parse
from tests.sim.pitch.serving import START, serving
from tests.sim.udp.sockets import Socket, until

from tickcast.sim.faults import Fault
from tickcast.sim.truth import venue_truth

SERVERS_ONLY = {0x02, 0x04, 0x80, 0x82, 0x83}


async def test_a_day_on_both_lines_is_consistent_and_ends_with_the_true_books() -> None:
    async with serving() as venue:
        venue.run(7.0)
        for line in (venue.a, venue.b):
            packets = await line.wait(venue.complete)
            assert max(len(packet) for packet in packets) <= 1400
            for unit in (1, 2, 3, 4):
                numbers = [
                    (sequence, count) for count, its, sequence, _ in map(parse, packets) if its == unit and count
                ]  # fmt: skip
                assert numbers[0][0] == 1
                assert all(first + count == second for (first, count), (second, _) in pairwise(numbers))
        assert [one for one in venue.a.datagrams if parse(one)[0]] == [
            one for one in venue.b.datagrams if parse(one)[0]
        ]
        books = venue.books(venue.a.datagrams)
        venue.is_true(books)
        kinds = set().union(*(book.kinds for book in books.values()))
        # no order of this market is larger than the short form holds
        assert set(LENGTHS) - SERVERS_ONLY - kinds <= {0x2D, 0x25}
        assert {letter for book in books.values() for letter in book.status.values()} == {"S"}
        assert {auction for book in books.values() for auction, _, _ in book.summaries.values()} == {"C"}
        await venue.dialect.stop()
        packets = await venue.a.wait(venue.complete)
        assert all(book.ended for book in venue.books(packets).values())


async def test_statuses_go_from_suspended_to_queuing_to_trading_and_halts() -> None:
    async with serving() as venue:
        books = venue.books(await venue.a.wait(venue.complete))
        assert {letter for book in books.values() for letter in book.status.values()} == {"A"}
        assert sum(book.kinds[0x31] for book in books.values()) == 2 * 24
        venue.run(0.6)
        seen = set()
        for _ in range(100):
            venue.run(0.04)
            books = venue.books(await venue.a.wait(venue.complete))
            told = {stock: letter for book in books.values() for stock, letter in book.status.items()}
            true = {stock: row["status"] for stock, row in venue_truth(venue.dialect).items()}
            assert {stock: {"T": "open", "H": "halted"}[letter] for stock, letter in told.items()} == true
            seen |= set(told.values())
            if seen == {"T", "H"}:
                break
        assert seen == {"T", "H"}


async def test_the_first_packet_of_a_unit_byte_for_byte() -> None:
    async with serving() as venue:
        packets = await venue.a.wait(venue.complete)
        first = next(packet for packet in packets if packet[3] == 2)
        # 36,000 s: 10:00:00 in New York; then Unit Clear, then the suspended symbols of unit 2
        stock = venue.dialect.names()[1].ljust(8).encode()
        assert first[2:8] == bytes([first[2], 2, 1, 0, 0, 0])
        assert first[8:20] == struct.pack("<BBI", 6, 0x20, 36_000) + struct.pack("<BBI", 6, 0x97, 0)
        assert first[20:38] == b"\x12\x31\0\0\0\0" + stock + b"S0  "


@pytest.mark.parametrize("units", [1, 3, 40])
async def test_symbols_are_dealt_over_any_number_of_units(units: int) -> None:
    async with serving(units=units) as venue:
        venue.run(1.0)
        packets = await venue.a.wait(venue.complete)
        books = venue.books(packets)
        assert sum(len(book.status) for book in books.values()) == 24
        assert {packet[3] for packet in packets} == set(range(1, units + 1))
        venue.is_true(books)


async def test_units_are_dealt_over_the_addresses_of_a_line() -> None:
    odd, even = Socket(), Socket()
    async with serving(lines_a=(odd.address, even.address)) as venue:
        venue.run(0.5)
        await venue.b.wait(venue.complete)
        await odd.wait(lambda packets: len(by_number(packets, 3)) == venue.next(3) - 1)
        await even.wait(lambda packets: len(by_number(packets, 4)) == venue.next(4) - 1)
        assert {packet[3] for packet in odd.datagrams} == {1, 3}
        assert {packet[3] for packet in even.datagrams} == {2, 4}
        venue.is_true(venue.books([*odd.datagrams, *even.datagrams]), trades=False)
    odd.close()
    even.close()


async def test_quiet_units_beat_with_the_next_number() -> None:
    async with serving() as venue:
        await venue.a.wait(venue.complete)
        packets = await venue.a.wait(lambda packets: sum(1 for one in packets if not parse(one)[0]) >= 4)
        beats = [packet for packet in packets if not parse(packet)[0]]
        assert sorted(beats) == sorted(struct.pack("<HBBI", 8, 0, unit, venue.next(unit)) for unit in (1, 2, 3, 4))
        for line in (venue.gap_a, venue.gap_b):
            beats = await line.wait(lambda packets: len(packets) >= 4)
            assert sorted(beats[:4]) == sorted(struct.pack("<HBBI", 8, 0, unit, 0) for unit in (1, 2, 3, 4))


async def test_the_same_seed_gives_the_same_packets() -> None:
    async def packets() -> list[bytes]:
        async with serving() as venue:
            venue.run(2.0)
            return [one for one in await venue.a.wait(venue.complete) if parse(one)[0]]

    assert await packets() == await packets()


async def test_a_restart_begins_every_unit_at_one_with_unit_clear() -> None:
    async with serving(rare_every_s=0.0) as venue:
        venue.run(1.5)
        await venue.a.wait(venue.complete)
        before = len(venue.a.drain())
        old = [venue.next(unit) for unit in (1, 2, 3, 4)]
        venue.dialect.faults.arm(Fault(fault="restart"))
        assert all(venue.next(unit) < old[unit - 1] for unit in (1, 2, 3, 4))
        venue.run(0.5)
        packets = (await venue.a.wait(lambda packets: venue.complete(packets[before:])))[before:]
        books = venue.books(packets)
        assert all(book.kinds[0x97] == 1 for book in books.values())
        venue.is_true(books, trades=False)


async def test_midnight_ends_the_sessions_and_begins_new_ones() -> None:
    midnight = START + 14 * 3600 * 10**9  # of New York
    async with serving(start=midnight - 10**9, rare_every_s=0.0) as venue:
        venue.run(0.9)
        first = dict(venue.dialect.state()["units"])
        venue.run(0.5)
        packets = await venue.a.wait(lambda packets: any(sequence == 1 and packets.index(packet) for packet in packets
                                                         for _, _, sequence, _ in [parse(packet)]))  # fmt: skip
        ends = [packet for packet in packets if any(message[1] == 0x2D for message in parse(packet)[3])]
        assert {packet[3] for packet in ends} == {1, 2, 3, 4}
        begin = 1 + max(packets.index(packet) for packet in ends)
        await venue.a.wait(lambda packets: venue.complete(packets[begin:]))
        books = venue.books(venue.a.datagrams[begin:])
        venue.is_true(books, trades=False)
        assert all(book.seconds == 0 for book in books.values())
        assert all(venue.next(unit) < first[unit]["next_sequence"] + 500 for unit in first)


async def test_a_clock_fault_moves_times_and_the_time_message_says_so() -> None:
    async with serving() as venue:
        venue.run(0.5)
        venue.dialect.faults.arm(Fault(fault="clock", offset_s=3600))
        venue.run(0.5)
        books = venue.books(await venue.a.wait(venue.complete))
        assert {book.seconds for book in books.values()} <= {39_600, 39_601}


async def test_a_fault_may_take_one_unit_of_one_line() -> None:
    async with serving() as venue:
        await venue.b.wait(venue.complete)
        venue.dialect.faults.arm(Fault(fault="drop", line="A/2", for_s=600))
        venue.run(1.0)
        await venue.b.wait(venue.complete)
        packets = venue.a.drain()
        assert [len(by_number(packets, unit)) == venue.next(unit) - 1 for unit in (1, 2, 3, 4)] == [
            True, False, True, True,
        ]  # fmt: skip


async def test_a_stall_holds_the_lines_back_and_lets_all_go_after_it() -> None:
    async with serving() as venue:
        await venue.a.wait(venue.complete)
        before = len(venue.a.drain())
        venue.dialect.faults.arm(Fault(fault="stall", for_s=600))
        venue.run(0.5)
        await asyncio.sleep(0.01)
        assert len(venue.a.drain()) == before
        venue.dialect.faults.clear()
        venue.run(0.01)
        venue.is_true(venue.books(await venue.a.wait(venue.complete)), trades=False)


async def test_the_state_counts_what_was_sent() -> None:
    async with serving(lag_b_ms=5.0) as venue:
        venue.run(0.5)
        await venue.b.wait(venue.complete)
        await until(lambda: venue.dialect.state()["lines"][0]["packets"] == len(venue.a.drain()))
        lines = {line["line"]: line for line in venue.dialect.state()["lines"]}
        assert set(lines) == {"A", "B", "gap_A", "gap_B"}
        assert lines["A"]["bytes"] == sum(map(len, venue.a.datagrams))


def test_the_slow_book_finds_what_is_wrong() -> None:
    book = UnitBook()
    with pytest.raises(AssertionError):
        book.feed(struct.pack("<BBIQ", 14, 0x29, 0, 1))
    book.feed(struct.pack("<BBI", 6, 0x20, 1))
    with pytest.raises(KeyError):
        book.feed(struct.pack("<BBIQ", 14, 0x29, 0, 1))
