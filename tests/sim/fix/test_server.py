"""XNYS over real sockets: what it says against slow books, and its session rules."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.sim.fix_client import FixClient, entries, moment

from tickcast.sim import universe as listing
from tickcast.sim.config import Config, FixConfig, MarketConfig
from tickcast.sim.engine import VenueEngine
from tickcast.sim.faults import Fault
from tickcast.sim.fix.dialect import FixDialect, create
from tickcast.sim.truth import venue_truth

START = 1_774_879_200_000_000_000  # 2026-03-30 14:00 UTC
MARKET = MarketConfig(halt_every_s=1.5, halt_min_s=0.3, halt_max_s=0.5, close_after_s=4.0)


class Venue:
    """XNYS on a clock that the test moves; the session's clock is the real one."""

    def __init__(self, *, start: int = START, market: MarketConfig = MARKET, symbols: int = 30, **options: Any) -> None:
        self.config = Config(seed=3, symbols=symbols, rate=20_000, market=market)
        self.now = start
        settings = FixConfig(**{"break_every_s": 0.1, **options})
        universe = listing.build(self.config)
        self.dialect: FixDialect = create("XNYS", settings, self.config, universe, start, time.time_ns)
        self.engine = VenueEngine(self.dialect, rate=2000.0, quantum_ms=10.0, start_ns=start)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.now += 10_000_000
            self.engine.advance(self.now)

    def next_out(self, name: str = "TESTER") -> int:
        return int(self.dialect.state()["peers"][name]["next_out"])

    def symbols(self) -> list[str]:
        return self.dialect.names()


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[tuple[Venue, str]]:
    venue = Venue(**options)
    address = (await venue.dialect.start())["address"]
    try:
        yield venue, address
    finally:
        await venue.dialect.stop()


def caught_up(venue: Venue) -> Callable[[FixClient], bool]:
    """The newest message has come."""
    return lambda client: int(dict(client.messages[-1])[34]) >= venue.next_out(client.name) - 1


async def follow(venue: Venue, client: FixClient, seconds: float) -> None:
    """Let time pass in steps, so that the client is served between them."""
    for _ in range(round(seconds * 10)):
        venue.run(0.1)
        await client.until(caught_up(venue))


def assert_true(venue: Venue, client: FixClient, *, volume: bool = True) -> None:
    truth = venue_truth(venue.dialect)
    assert set(client.books) == set(truth)
    for symbol, is_true in truth.items():
        book = client.books[symbol]
        best = [is_true[name] for name in ("bid", "bid_size", "ask", "ask_size")]
        assert list(book.best()) == best, symbol
        if is_true["trades"]:
            assert book.last == (is_true["last"], is_true["last_size"], is_true["last_id"])
        if volume:
            assert str(book.volume) == is_true["volume"], symbol


async def test_a_day_of_books_trades_and_statuses_equals_the_truth() -> None:
    async with serving() as (venue, address):
        client = await FixClient.connect(address)
        await client.logon()
        client.subscribe(venue.symbols())
        await client.kind("W", 24)
        await follow(venue, client, 5.0)
        assert_true(venue, client)
        actions = set().union(*(book.actions for book in client.books.values()))
        assert actions == {(action, side) for action in "012" for side in "01"} | {("0", "2"), ("2", "2")}
        truth = venue_truth(venue.dialect)
        for symbol, book in client.books.items():
            assert len(book.trades) == truth[symbol]["trades"]
            assert len(book.broken) == truth[symbol]["broken"]
            assert max(ts for _, _, ts in book.trades.values()) == truth[symbol]["last_ts_ns"]
            assert [status for name, status in client.statuses if name == symbol][:2] == ["21", "17"]
            assert client.statuses.count((symbol, "18")) == 1
        assert {"2", "3"} <= {status for _, status in client.statuses}
        await client.close()


async def test_a_late_joiner_has_the_same_books_and_volumes() -> None:
    async with serving() as (venue, address):
        venue.run(1.0)
        client = await FixClient.connect(address)
        await client.logon()
        client.subscribe(venue.symbols())
        await client.kind("f", 24)
        assert_true(venue, client)
        await follow(venue, client, 0.5)
        # a trade from before the subscription that is broken after it has an unknown size
        assert_true(venue, client, volume=False)
        await client.close()


async def test_entries_inherit_and_long_updates_are_split() -> None:
    async with serving(entries_max=7) as (venue, address):
        client = await FixClient.connect(address)
        await client.logon()
        client.subscribe(venue.symbols())
        await client.kind("f", 24)
        await follow(venue, client, 1.0)
        assert_true(venue, client)
        increments = client.of("X")
        inheriting = [entry for message in increments for entry in entries(message)[1:] if 55 not in entry]
        assert inheriting
        assert all(55 in entries(message)[0] for message in increments)
        assert max(len(entries(message)) for message in increments) == 7
        counts = Counter(client.fragments)
        assert counts["N"] > 10
        assert counts["Y"] > 5
        assert all(
            after in "NY"
            for before, after in zip(client.fragments, client.fragments[1:], strict=False)
            if before == "N"
        )
        await client.close()


async def test_depth_and_types_are_as_asked_for() -> None:
    async with serving() as (venue, address):
        client = await FixClient.connect(address)
        await client.logon()
        symbol, other = venue.symbols()[:2]
        client.subscribe([symbol], number="TOP", depth=1, types="01")
        client.subscribe([other], number="TRADES", types="2")
        await client.kind("f", 2)
        await follow(venue, client, 1.0)
        top, trades = client.books[symbol], client.books[other]
        assert all(len(side) == 1 for side in top.sides.values())
        assert not top.trades
        assert trades.trades
        assert not any(trades.sides.values())
        truth = venue_truth(venue.dialect)
        assert top.best()[0] == truth[symbol]["bid"]
        assert trades.last is not None
        assert trades.last[2] == truth[other]["last_id"]
        await client.close()


async def test_unsubscribe_and_snapshot_only() -> None:
    async with serving() as (venue, address):
        venue.run(0.5)
        client = await FixClient.connect(address)
        await client.logon()
        symbols = venue.symbols()
        client.subscribe(symbols[:2])
        await client.kind("f", 2)
        await follow(venue, client, 0.3)
        # a snapshot beside a subscription of the same kind has its RptSeq
        client.send(
            "V", (262, "T"), (263, 0), (264, 0), (267, 4), *[(269, kind) for kind in "012B"], (146, 1), (55, symbols[0])
        )
        number = client.books[symbols[0]].number
        assert dict(await client.kind("W", 3))[83] == str(number) != "0"
        client.send("V", (262, "R1"), (263, 2), (264, 0), (267, 1), (269, 0), (146, 1), (55, symbols[0]))
        client.send("V", (262, "S"), (263, 0), (264, 5), (267, 2), (269, 0), (269, 1), (146, 1), (55, symbols[5]))
        snapshot = await client.kind("W", 4)
        assert dict(snapshot)[262] == "S"
        assert max(int(entry[290]) for entry in entries(snapshot)) <= 5
        before = venue.next_out()
        venue.run(0.5)
        assert venue.next_out() == before
        client.send("V", (262, "R1"), (263, 2), (264, 0))
        refused = dict(await client.kind("Y"))
        assert (refused[262], refused[281]) == ("R1", "1")
        await client.close()


async def test_requests_that_cannot_be_met_are_refused_with_the_reason() -> None:
    def request(*changes: tuple[int, object]) -> list[tuple[int, object]]:
        fields: dict[int, object] = {262: "Q", 263: 1, 264: 0, 265: 1, 267: 1, 269: 0, 146: 1, 55: "AAPL"}
        return [pair for pair in (fields | dict(changes)).items() if pair[1] is not None]

    async with serving() as (_, address):
        client = await FixClient.connect(address)
        await client.logon()
        cases = [
            ((55, "NOPE"), "0"),
            ((263, 7), "4"),
            ((264, 3), "5"),
            ((265, 0), "6"),
            ((266, "N"), "7"),
            ((269, "Z"), "8"),
        ]
        for number, (change, reason) in enumerate(cases, 1):
            client.send("V", *request(change))
            answer = dict(await client.kind("Y", number))
            assert (answer[262], answer[281]) == ("Q", reason), change
        for number, (change, reason, tag) in enumerate(
            [((262, None), "1", "262"), ((146, 2), "16", "146"), ((267, "x"), "16", "267"), ((264, None), "1", "264")],
            1,
        ):
            sequence = client.send("V", *request(change))
            answer = dict(await client.kind("3", number))
            assert (answer[45], answer[371], answer[372], answer[373]) == (str(sequence), tag, "V", reason)
        client.send("D", (11, "order"))
        assert dict(await client.kind("j"))[380] == "3"
        client.send("QQ")
        assert dict(await client.kind("3", 5))[373] == "11"
        await client.close()


async def test_instruments_are_listed_and_defined() -> None:
    async with serving(symbols=600) as (venue, address):
        client = await FixClient.connect(address)
        await client.logon()
        client.send("x", (320, "L"), (559, 4))
        await client.until(lambda one: dict(one.messages[-1]).get(893) == "Y")
        parts = client.of("y")
        assert [dict(part)[893] for part in parts] == ["N", "N", "Y"]
        assert {dict(part)[393] for part in parts} == {"480"}
        names = [value for part in parts for tag, value in part if tag == 55]
        assert names == venue.symbols()
        client.send("x", (320, "L2"), (559, 2))
        assert dict(await client.kind("y", 4))[560] == "1"
        client.send("x", (320, "L3"), (559, 0), (55, "NOPE"))
        assert dict(await client.kind("y", 5))[560] == "2"
        client.send("c", (320, "D"), (321, 0), (55, "AAPL"))
        definition = dict(await client.kind("d"))
        assert [definition[tag] for tag in (320, 55, 15, 561, 969)] == ["D", "AAPL", "USD", "100", "0.01"]
        client.send("e", (324, "E"), (55, "AAPL"), (263, 1))
        assert dict(await client.kind("f"))[326] == "21"
        venue.run(0.4)
        assert dict(await client.kind("f", 2))[326] == "17"
        await client.close()


async def test_what_was_dropped_comes_again_when_it_is_asked_for() -> None:
    async with serving() as (venue, address):
        client = await FixClient.connect(address)
        await client.logon()
        client.subscribe(venue.symbols())
        await client.kind("f", 24)
        venue.dialect.faults.arm(Fault(fault="drop", count=3))
        first = venue.next_out()
        venue.run(0.3)
        client.send("2", (7, first), (16, first + 2))
        await client.until(lambda one: sum((43, "Y") in message for message in one.messages) == 3)
        numbers = [int(dict(message)[34]) for message in client.messages]
        assert sorted(numbers) == list(range(1, venue.next_out()))
        assert numbers[-3:] == [first, first + 1, first + 2]
        await client.close()


async def test_corrupt_messages_fail_their_checksum_and_nothing_else() -> None:
    async with serving() as (venue, address):
        client = await FixClient.connect(address)
        await client.logon()
        client.subscribe(venue.symbols())
        await client.kind("f", 24)
        venue.dialect.faults.arm(Fault(fault="corrupt", count=1))
        venue.run(0.4)
        with pytest.raises(AssertionError, match="8=FIX"):
            await client.until(caught_up(venue))
        assert venue.dialect.faults.fired["corrupt"] == 1
        await client.close()


async def test_a_refused_login_says_so_and_the_next_is_admitted() -> None:
    async with serving() as (venue, address):
        venue.dialect.faults.arm(Fault(fault="refuse_login", count=1))
        client = await FixClient.connect(address)
        client.send("A", (98, 0), (108, 30))
        await client.ended()
        assert dict(client.of("5")[0])[58] == "Logon refused"
        again = await FixClient.connect(address, seq=2)
        await again.logon()
        assert venue.dialect.state()["rejected_logons"] == 1
        await again.close()


async def test_throttled_requests_say_when_to_come_again() -> None:
    async with serving() as (venue, address):
        client = await FixClient.connect(address)
        await client.logon()
        venue.dialect.faults.arm(Fault(fault="throttle", count=1, delay_ms=2000))
        client.send("x", (320, "L"), (559, 4))
        refused = dict(await client.kind("j"))
        assert (refused[372], refused[380]) == ("x", "0")
        assert "retry after 2 s" in refused[58]
        client.send("x", (320, "L"), (559, 4))
        await client.kind("y")
        await client.close()


async def test_restart_forgets_the_numbers_of_every_peer() -> None:
    async with serving() as (venue, address):
        client = await FixClient.connect(address)
        await client.logon()
        client.subscribe(venue.symbols())
        await client.kind("f", 24)
        venue.dialect.faults.arm(Fault(fault="restart"))
        await client.ended()
        again = await FixClient.connect(address, seq=client.seq)
        answer = dict(await again.logon())
        assert answer[34] == "1"
        assert dict(await again.kind("2"))[7] == "1"
        await again.close()


async def test_a_second_connection_replaces_the_first() -> None:
    async with serving() as (venue, address):
        first = await FixClient.connect(address)
        await first.logon()
        second = await FixClient.connect(address, seq=2)
        assert dict(await second.logon())[34] == "2"
        await first.ended()
        assert venue.dialect.state()["clients"] == 1
        await second.close()


async def test_a_client_that_does_not_read_is_closed_and_nobody_else() -> None:
    async with serving(unsent_bytes_max=200_000, symbols=100, market=MarketConfig(halt_every_s=0)) as (venue, address):
        reading = await FixClient.connect(address)
        await reading.logon()
        reading.subscribe(venue.symbols())
        await reading.kind("f", 80)
        lazy = await FixClient.connect(address, name="LAZY")
        await lazy.logon()
        for number in range(40):
            lazy.subscribe(venue.symbols()[:20], number=f"R{number}")
        await lazy.kind("f", 800)
        lazy.reader._transport.pause_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(40):
            while not venue.dialect.state()["slow"]:
                await follow(venue, reading, 0.5)
        await follow(venue, reading, 0.2)
        assert_true(venue, reading)
        assert (venue.dialect.state()["clients"], venue.dialect.state()["slow"]) == (1, 1)
        await reading.close()
        await lazy.close()


async def test_the_clock_of_the_exchange_can_be_wrong() -> None:
    async with serving(entry_time="transact") as (venue, address):
        venue.dialect.faults.arm(Fault(fault="clock", offset_s=3600))
        client = await FixClient.connect(address)
        answer = dict(await client.logon())
        assert 3590e9 < moment(answer[52]) - time.time_ns() < 3610e9
        client.subscribe(venue.symbols()[:1])
        await client.kind("W")
        await follow(venue, client, 1.0)
        book = next(iter(client.books.values()))
        assert 0 <= venue.now + 3600 * 10**9 - book.ts < 10**9
        await client.close()
        await asyncio.sleep(0)
