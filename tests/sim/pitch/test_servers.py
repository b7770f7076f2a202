"""The gap request server and the spin server over real sockets."""

import asyncio
import struct

import pytest
from tests.sim.pitch.reference import UnitBook, by_number, parse
from tests.sim.pitch.serving import Client, Venue, serving
from tests.sim.udp.sockets import until

from tickcast.sim.faults import Fault


async def gap_client(venue: Venue) -> Client:
    client = await Client.connect(venue.gap)
    assert await client.login() == "A"
    return client


async def spin_client(venue: Venue) -> Client:
    client = await Client.connect(venue.spin)
    assert await client.login() == "A"
    return client


async def test_what_was_lost_comes_on_the_gap_lines() -> None:
    async with serving() as venue:
        for name in "AB":
            venue.dialect.faults.arm(Fault(fault="drop", line=name, every=2, for_s=600))
        venue.run(2.0)
        venue.dialect.faults.clear()
        venue.run(0.1)
        await venue.a.wait(lambda packets: venue.next(1) - 1 in by_number(packets, 1))
        found = {unit: by_number([*venue.a.drain(), *venue.b.drain()], unit) for unit in (1, 2, 3, 4)}
        client = await gap_client(venue)
        asked = 0
        for unit, messages in found.items():
            missing = [number for number in range(1, venue.next(unit)) if number not in messages]
            assert missing
            while missing:
                run = next((n for n, number in enumerate(missing) if number != missing[0] + n), len(missing))
                assert await client.gap(unit, missing[0], min(run, 1000)) == "A"
                asked += min(run, 1000)
                missing = missing[min(run, 1000) :]
        for line in (venue.gap_a, venue.gap_b):
            packets = await line.wait(
                lambda packets: all(
                    len(messages | by_number(packets, unit)) == venue.next(unit) - 1 for unit, messages in found.items()
                )
            )
            assert sum(parse(packet)[0] for packet in packets) == asked
            assert max(map(len, packets)) <= 1400
        venue.is_true(venue.books([*venue.a.datagrams, *venue.b.datagrams, *venue.gap_a.datagrams]))
        state = venue.dialect.state()["gap"]
        assert state["messages"] == asked
        assert set(state["statuses"]) == {"A"}
        await client.close()


async def test_every_refusal_has_its_status() -> None:
    async with serving(gap_count_max=10, history_bytes_max=40_000) as venue:
        venue.run(3.0)
        client = await gap_client(venue)
        last = venue.next(1) - 1
        assert venue.dialect.state()["units"][1]["oldest_sequence"] > 1
        assert await client.gap(1, last, 1) == "A"
        assert await client.gap(1, last, 2) == "O"
        assert await client.gap(1, last + 1, 1) == "O"
        assert await client.gap(1, 1, 1) == "O", "too far behind"
        assert await client.gap(1, last, 0) == "O"
        assert await client.gap(1, last - 10, 11) == "C"
        assert await client.gap(5, 1, 1) == "I"
        assert await client.gap(0, 1, 1) == "I"
        for line in ("A/2", "B/2"):
            venue.dialect.faults.arm(Fault(fault="stall", line=line, for_s=600))
        assert await client.gap(2, venue.next(2) - 1, 1) == "U"
        assert await client.gap(1, last, 1) == "A"
        venue.dialect.faults.clear()
        venue.dialect.faults.arm(Fault(fault="throttle", count=1))
        assert await client.gap(1, last, 1) == "S"
        assert await client.gap(1, last, 1) == "A"
        statuses = venue.dialect.state()["gap"]["statuses"]
        assert statuses == {"A": 3, "O": 4, "C": 1, "I": 2, "U": 1, "S": 1}
        await client.close()


@pytest.mark.parametrize(
    ("status", "limit"), [("S", "gap_requests_per_s"), ("M", "gap_requests_per_minute"), ("D", "gap_requests_per_day")]
)
async def test_requests_are_limited_by_second_minute_and_day(status: str, limit: str) -> None:
    async with serving(**{limit: 3}) as venue:
        client, other = await gap_client(venue), await gap_client(venue)
        assert [await client.gap(1, 1, 1) for _ in range(5)] == ["A", "A", "A", status, status]
        assert await other.gap(1, 1, 1) == "A", "each connection has its own"
        await client.close()
        await other.close()


async def test_logins_are_checked() -> None:
    async with serving(username="ABCD", password="secret", session="0007") as venue:  # noqa: S106  no secret
        for address in (venue.gap, venue.spin):
            held = await Client.connect(address)
            assert await held.login(session="0007", user=("ABCD", "secret")) == "A"
            for status, session, user in (
                ("N", "0007", ("ABCD", "wrong")), ("N", "0007", ("", "")), ("S", "0008", ("ABCD", "secret")),
                ("B", "0007", ("ABCD", "secret")),
            ):  # fmt: skip
                client = await Client.connect(address)
                assert await client.login(session=session, user=user) == status
                assert await client.closed()
                await client.close()
            await held.close()


@pytest.mark.parametrize(
    "wrong",
    [
        struct.pack("<HBBI", 7, 0, 0, 0),
        struct.pack("<HBBI", 60_000, 1, 0, 0),
        struct.pack("<HBBIBB", 10, 1, 0, 0, 9, 0x03),
        struct.pack("<HBBIBBBIH", 17, 1, 0, 0, 9, 0x33, 1, 1, 1),
        struct.pack("<HBBIBBBIH", 17, 2, 0, 0, 9, 0x03, 1, 1, 1),
        struct.pack("<HBBIBBBIH", 17, 1, 0, 0, 9, 0x03, 1, 1, 1),
    ],
)
async def test_a_client_that_breaks_the_protocol_is_closed(wrong: bytes) -> None:
    async with serving() as venue:
        for address in (venue.gap, venue.spin):
            client = await Client.connect(address)
            client.writer.write(wrong)
            assert await client.closed()
            await client.close()
        assert venue.dialect.state()["gap"]["broken"] == 1
        assert venue.dialect.state()["spin"]["broken"] == 1


async def test_a_request_of_the_other_server_closes() -> None:
    async with serving() as venue:
        client = await gap_client(venue)
        client.ask_spin(1, 1)
        assert await client.closed()
        await client.close()
        client = await spin_client(venue)
        client.send(struct.pack("<BBBIH", 9, 0x03, 1, 1, 1))
        assert await client.closed()
        await client.close()


async def test_a_spin_and_what_came_after_it_are_the_books() -> None:
    async with serving(history_bytes_max=20_000) as venue:
        venue.run(2.0)
        client = await spin_client(venue)
        announced = {unit: await client.announced(unit) for unit in (1, 2, 3, 4)}
        assert announced == {unit: venue.next(unit) - 1 for unit in (1, 2, 3, 4)}
        venue.run(0.5)
        packets = await venue.a.wait(venue.complete)
        books = {}
        for unit, sequence in announced.items():
            client.ask_spin(unit, sequence)
            status, finished, orders, messages = await client.spin(unit)
            assert (status, finished) == ("A", sequence)
            assert sum(message[1] in {0x21, 0x22, 0x2F} for message in messages) == orders > 0
            before, book = UnitBook(), UnitBook()
            found = by_number(packets, unit)
            for number in range(1, sequence + 1):
                before.feed(found[number])
            for message in messages:
                book.feed(message)
            assert book.orders == before.orders
            assert book.status == before.status
            # numbered messages go by the Time messages of the line, not by those of the image
            book.seconds, book.ts = before.seconds, before.ts
            for number in range(sequence + 1, venue.next(unit)):
                if found[number][1] != 0x2C:
                    book.feed(found[number])
            books[unit] = book
        venue.is_true(books, trades=False)
        await client.close()


async def test_spins_are_refused_while_one_is_under_way_and_for_numbers_nobody_announced() -> None:
    async with serving(symbols=1000, units=1) as venue:
        client = await spin_client(venue)
        sequence = await client.announced(1)
        for unit, number in ((1, sequence + 1), (1, 0), (9, sequence), (0, sequence)):
            client.ask_spin(unit, number)
            assert (await client.spin(unit))[0] == "O"
        client.ask_spin(1, sequence)
        client.ask_spin(1, sequence)
        # the refusal comes between the packets of the spin
        assert (await client.spin(1))[:2] == ("S", sequence)
        assert venue.dialect.state()["spin"]["statuses"] == {"O": 4, "A": 1, "S": 1}
        venue.dialect.faults.arm(Fault(fault="throttle", count=1))
        client.ask_spin(1, sequence)
        await until(lambda: venue.dialect.state()["spin"]["statuses"]["S"] == 2)
        await client.close()


async def test_spins_are_announced_every_second_and_old_ones_forgotten() -> None:
    async with serving(silence_max_s=0.0) as venue:
        client = await spin_client(venue)
        first = await client.announced(1)
        venue.run(0.5)
        second = await client.announced(1, lambda sequence: sequence > first)
        assert second == venue.next(1) - 1
        for _ in range(6):
            venue.run(0.05)
            second = await client.announced(1, lambda sequence, before=second: sequence > before)  # type: ignore[misc]
        client.ask_spin(1, first)
        assert (await client.spin(1))[0] == "O"
        client.ask_spin(1, second)
        assert (await client.spin(1))[0] == "A"
        await client.close()


async def test_spins_are_limited_by_the_minute() -> None:
    async with serving(spins_per_minute=2) as venue:
        client = await spin_client(venue)
        sequence = await client.announced(4)
        found = []
        for _ in range(3):
            client.ask_spin(4, sequence)
            found.append((await client.spin(4))[0])
        assert found == ["A", "A", "S"]
        await client.close()


async def test_servers_beat_and_close_silent_clients() -> None:
    async with serving(silence_max_s=1.6) as venue:
        client = await gap_client(venue)
        assert await client.packet() == struct.pack("<HBBI", 8, 0, 0, 0)
        client.writer.write(struct.pack("<HBBI", 8, 0, 0, 0))
        assert await client.packet() == struct.pack("<HBBI", 8, 0, 0, 0)
        assert await client.closed()
        assert venue.dialect.state()["gap"]["dead"] == 1
        await client.close()


async def test_faults_refuse_logins_cut_connections_and_stall() -> None:
    async with serving() as venue:
        faults = venue.dialect.faults
        faults.arm(Fault(fault="refuse_login", line="gap", count=1))
        client = await Client.connect(venue.gap)
        assert await client.login() == "N"
        assert await client.closed()
        await client.close()
        gap, spin = await gap_client(venue), await spin_client(venue)
        faults.arm(Fault(fault="disconnect", line="gap"))
        assert await gap.closed()
        assert venue.dialect.state()["spin"]["clients"] == 1
        faults.arm(Fault(fault="disconnect", for_s=600))
        assert await spin.closed()
        refused = await Client.connect(venue.gap)
        assert await refused.closed()
        faults.clear()
        stalled = await gap_client(venue)
        faults.arm(Fault(fault="stall", line="gap", for_s=600))
        asking = asyncio.create_task(stalled.gap(1, 1, 1))
        await until(lambda: venue.dialect.state()["gap"]["statuses"] == {"A": 1})
        await asyncio.sleep(0.05)
        assert not asking.done()
        faults.clear()
        assert await asking == "A"
        for one in (gap, spin, refused, stalled):
            await one.close()


async def test_too_many_clients_are_turned_away() -> None:
    async with serving(clients_max=1) as venue:
        client = await gap_client(venue)
        second = await Client.connect(venue.gap)
        assert await second.closed()
        assert venue.dialect.state()["gap"]["refused"] == 1
        await client.close()
        await second.close()
