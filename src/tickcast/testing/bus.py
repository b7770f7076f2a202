"""The conformance suite of the bus port: every bus passes every check.

A test module parametrises over :data:`CHECKS` and hands each a *harness*: an object that makes buses. The checks know
nothing of any implementation.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from tickcast.model.batch import TickBatch
from tickcast.model.instrument import Definition
from tickcast.model.ledger import LedgerEntry
from tickcast.model.record import Flag, Kind, empty_records
from tickcast.ports import WATCHED_MAX, Bus, Delivery, Publisher, Subscription


class BusHarness(Protocol):
    """What a suite run needs of an implementation."""

    shards: int

    async def bus(self) -> Bus:
        """A started bus without a past."""

    async def publisher(self, bus: Bus, feed: str) -> Publisher:
        """A producer that may sit in another process' place."""


Check = Callable[[BusHarness], Awaitable[None]]
DEADLINE_S = 10.0


def trades(first: int, count: int, *, feed: str = "feed", securities: int = 1) -> TickBatch:
    """A batch of trades whose ids count from ``first``, over ``securities`` instruments in turn."""
    records = empty_records(count)
    records["id"] = range(first, first + count)
    records["instrument"] = [1 + (first + i) % securities for i in range(count)]
    records["kind"] = Kind.TRADE
    records["flags"] = Flag.LAST_OF_EVENT
    definitions = tuple(
        Definition(
            instrument=i + 1,
            venue="TEST",
            symbol=f"S{i}",
            feed=feed,
            security=f"S{i}",
            asset_class="equity",
            currency="USD",
        )
        for i in range(securities)
    )
    return TickBatch(feed, 1, records, definitions)


def ids(delivery: Delivery) -> list[int]:
    """Trade ids of a delivery."""
    return [int(i) for i in delivery.batch.records["id"]]


async def gather_ids(member: Subscription, count: int, *, ack: bool = True) -> list[int]:
    """Take until ``count`` records came, or fail after the deadline."""
    found: list[int] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(found) < count:
            for delivery in await member.take():
                found.extend(ids(delivery))
                if ack:
                    delivery.ack()
    return found


async def check_delivers_in_order(harness: BusHarness) -> None:
    """What is published arrives once, in order, with its definitions."""
    bus = await harness.bus()
    member = bus.subscribe("group")
    publisher = await harness.publisher(bus, "feed")
    for start in range(0, 1000, 10):
        await publisher.publish(trades(start, 10))
    assert await gather_ids(member, 1000) == list(range(1000))
    await publisher.close()
    await bus.stop()


async def check_order_within_a_shard(harness: BusHarness) -> None:
    """Order holds for each security, whatever the shards."""
    bus = await harness.bus()
    member = bus.subscribe("group")
    publisher = await harness.publisher(bus, "feed")
    for start in range(0, 600, 30):
        await publisher.publish(trades(start, 30, securities=7))
    found = await gather_ids(member, 600)
    assert sorted(found) == list(range(600))
    for security in range(7):
        own = [i for i in found if i % 7 == security]
        assert own == sorted(own)
    await publisher.close()
    await bus.stop()


async def check_groups_are_independent(harness: BusHarness) -> None:
    """Every group gets everything; members of one group share it."""
    bus = await harness.bus()
    one, other = bus.subscribe("one"), bus.subscribe("other")
    publisher = await harness.publisher(bus, "feed")
    await publisher.publish(trades(0, 50))
    assert await gather_ids(one, 50) == list(range(50))
    assert await gather_ids(other, 50) == list(range(50))
    await publisher.close()
    await bus.stop()


async def check_redelivers_after_death(harness: BusHarness) -> None:
    """What a member took and did not acknowledge goes to the next one, and says so."""
    bus = await harness.bus()
    first = bus.subscribe("group")
    publisher = await harness.publisher(bus, "feed")
    await publisher.publish(trades(0, 10))
    await publisher.publish(trades(10, 10))
    assert await gather_ids(first, 20, ack=False) == list(range(20))
    await first.close()
    second = bus.subscribe("group")
    found: list[int] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(found) < 20:
            for delivery in await second.take():
                assert delivery.attempts == 2
                found.extend(ids(delivery))
                delivery.ack()
    assert found == list(range(20))
    await publisher.close()
    await bus.stop()


async def check_acknowledged_stays_away(harness: BusHarness) -> None:
    """An acknowledged batch never comes again to its group."""
    bus = await harness.bus()
    first = bus.subscribe("group")
    publisher = await harness.publisher(bus, "feed")
    await publisher.publish(trades(0, 10))
    assert await gather_ids(first, 10) == list(range(10))
    await publisher.publish(trades(10, 10))
    await first.close()
    second = bus.subscribe("group")
    assert await gather_ids(second, 10) == list(range(10, 20))
    await publisher.close()
    await bus.stop()


async def check_lag(harness: BusHarness) -> None:
    """Lag counts what is not acknowledged, and ends at 0."""
    bus = await harness.bus()
    member = bus.subscribe("group")
    publisher = await harness.publisher(bus, "feed")
    for start in range(0, 50, 10):
        await publisher.publish(trades(start, 10))
    taken: list[Delivery] = []
    async with asyncio.timeout(DEADLINE_S):
        while sum(len(ids(d)) for d in taken) < 50:
            taken.extend(await member.take())
    assert sum(bus.lag("group").values()) == len(taken)
    for delivery in taken:
        delivery.ack()
    assert sum(bus.lag("group").values()) == 0
    await publisher.close()
    await bus.stop()


async def check_dead_letters(harness: BusHarness) -> None:
    """A rejected batch is kept with its reason and does not block what follows."""
    bus = await harness.bus()
    member = bus.subscribe("group")
    publisher = await harness.publisher(bus, "feed")
    await publisher.publish(trades(0, 1))
    await publisher.publish(trades(1, 1))
    async with asyncio.timeout(DEADLINE_S):
        left = 2
        while left:
            for delivery in await member.take():
                left -= 1
                if ids(delivery) == [0]:
                    delivery.reject("price below zero")
                else:
                    delivery.ack()
    ((letter, reason),) = bus.dead_letters()
    assert [int(i) for i in letter.records["id"]] == [0]
    assert reason == "price below zero"
    assert sum(bus.lag("group").values()) == 0
    await publisher.close()
    await bus.stop()


async def check_poison_is_buried(harness: BusHarness) -> None:
    """A batch whose consumers keep dying ends among the dead letters instead of for ever in the way."""
    bus = await harness.bus()
    publisher = await harness.publisher(bus, "feed")
    member = bus.subscribe("group")
    await publisher.publish(trades(0, 1))
    async with asyncio.timeout(DEADLINE_S):
        while not bus.dead_letters():
            await member.close()
            member = bus.subscribe("group")
            taking = asyncio.ensure_future(member.take())
            await asyncio.wait([taking], timeout=0.05)
            taking.cancel()
    await publisher.publish(trades(1, 1))
    assert await gather_ids(member, 1) == [1]
    await publisher.close()
    await bus.stop()


def entry(number: int, *, feed: str = "feed", ended_ns: int = 0) -> LedgerEntry:
    """An entry of the ledger."""
    return LedgerEntry(
        id=f"{feed}-1-{number}",
        feed=feed,
        venue="TEST",
        kind="gap",
        scope="unit",
        reason="3 messages are missing",
        began_ns=1,
        ended_ns=ended_ns,
        instruments=("TEST:S0", "TEST:S1"),
        instruments_count=250,
        missing=3,
    )


async def gather_ledger(member: Subscription, count: int) -> list[LedgerEntry]:
    """Take until ``count`` tellings of entries came, or fail after the deadline."""
    found: list[LedgerEntry] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(found) < count:
            for delivery in await member.take():
                found.extend(delivery.batch.ledger)
                delivery.ack()
    return found


async def check_carries_the_ledger(harness: BusHarness) -> None:
    """Entries arrive once, in order, with trades of all securities or alone."""
    bus = await harness.bus()
    member = bus.subscribe("group")
    publisher = await harness.publisher(bus, "feed")
    told = [entry(number // 2, ended_ns=number % 2) for number in range(20)]
    for number, one in enumerate(told):
        batch = trades(number, 7, securities=7) if number % 3 else TickBatch("feed", 1)
        batch.ledger = (one,)
        await publisher.publish(batch)
    assert await gather_ledger(member, len(told)) == told
    await publisher.close()
    await bus.stop()


async def check_full_bus_keeps_the_ledger(harness: BusHarness) -> None:
    """Behind a stuck consumer quotes may be merged, and still the newest telling of every entry arrives."""
    bus = await harness.bus()
    member = bus.subscribe("group")
    publisher = await harness.publisher(bus, "feed")
    last = 300

    async def produce() -> None:
        for number in range(last + 1):
            batch = trades(100 * number, 100)
            batch.records["kind"] = (Kind.BID, Kind.ASK) * 50
            batch.ledger = (entry(number % 10, ended_ns=number + 1),)
            await publisher.publish(batch)

    producing = asyncio.ensure_future(produce())
    await asyncio.wait([producing], timeout=0.5)
    newest: dict[str, int] = {}
    async with asyncio.timeout(DEADLINE_S):
        while newest.get("feed-1-0") != last + 1:
            for delivery in await member.take():
                for one in delivery.batch.ledger:
                    assert one.ended_ns > newest.get(one.id, 0), "never an older telling behind a newer one"
                    newest[one.id] = one.ended_ns
                delivery.ack()
    await producing
    assert sorted(newest.values()) == list(range(last - 8, last + 2))
    await publisher.close()
    await bus.stop()


async def check_full_bus_keeps_trades(harness: BusHarness) -> None:
    """A stuck consumer blocks the producer, and no trade is missing when it wakes up."""
    bus = await harness.bus()
    member = bus.subscribe("group")
    publisher = await harness.publisher(bus, "feed")
    sent = 0

    async def produce() -> None:
        nonlocal sent
        for start in range(0, 20_000, 100):
            await publisher.publish(trades(start, 100))
            sent = start + 100

    producing = asyncio.ensure_future(produce())
    await asyncio.wait([producing], timeout=0.5)
    assert sent < 20_000, "the suite's harness must bound the bus below 20,000 records"
    assert await gather_ids(member, 20_000) == list(range(20_000))
    await producing
    await publisher.close()
    await bus.stop()


async def check_tells_what_is_watched(harness: BusHarness) -> None:
    """A feed is told what is watched of it, and of no other; before it comes, when it changes, never more than fits."""
    bus = await harness.bus()
    bus.watch("late", {7: 3})
    early, late = await harness.publisher(bus, "early"), await harness.publisher(bus, "late")
    told: dict[str, Mapping[int, int]] = {}
    early.on_watched(lambda counts: told.__setitem__("early", counts))
    late.on_watched(lambda counts: told.__setitem__("late", counts))
    await until(lambda: told.get("late") == {7: 3}, "a feed that came later to know what is watched")
    assert "early" not in told
    bus.watch("early", {1: 2, 3: 4})
    await until(lambda: told.get("early") == {1: 2, 3: 4}, "what is watched")
    bus.watch("early", {number: number for number in range(1, 2 * WATCHED_MAX + 1)})
    await until(lambda: len(told["early"]) == WATCHED_MAX, "the most watched alone")
    assert min(told["early"]) == WATCHED_MAX + 1
    bus.watch("early", {})
    await until(lambda: told["early"] == {}, "that nobody watches any more")
    assert told["late"] == {7: 3}
    await early.close()
    await late.close()
    await bus.stop()


async def check_tells_whose_books_are_watched(harness: BusHarness) -> None:
    """A feed is told all instruments whose book is watched; before it comes, when they change, and when it says so."""
    bus = await harness.bus()
    bus.watch("late", {7: 3}, {7, 8})
    early, late = await harness.publisher(bus, "early"), await harness.publisher(bus, "late")
    told: list[tuple[str, set[int]]] = []
    early.on_books(lambda books: told.append(("early", set(books))))
    late.on_books(lambda books: told.append(("late", set(books))))
    await until(lambda: told == [("late", {7, 8})], "a feed that came later to know whose books are watched")
    bus.watch("early", {}, {2**64 - 1})
    await until(lambda: told[1:] == [("early", {2**64 - 1})], "whose books are watched")
    bus.watch("late", {7: 9}, {7, 8})  # nothing new of books
    bus.watch("late", {}, range(1, 2 * WATCHED_MAX + 1))
    await until(lambda: told[2:] == [("late", set(range(1, 2 * WATCHED_MAX + 1)))], "all of them, however many")
    bus.watch("late", {7: 9})
    await until(lambda: told[3:] == [("late", set())], "that nobody watches books any more")
    again: list[set[int]] = []
    early.on_books(lambda books: again.append(set(books)))
    await until(lambda: again == [{2**64 - 1}], "who asks later to be told at once")
    await early.close()
    await late.close()
    await bus.stop()


async def until(happened: Callable[[], bool], what: str) -> None:
    """Wait for something, or fail after the deadline."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not happened():  # noqa: ASYNC110  what is waited for is anything
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"expected {what}, waited {DEADLINE_S:g} s for it") from None


CHECKS: tuple[Check, ...] = (
    check_tells_what_is_watched,
    check_tells_whose_books_are_watched,
    check_delivers_in_order,
    check_order_within_a_shard,
    check_groups_are_independent,
    check_redelivers_after_death,
    check_acknowledged_stays_away,
    check_lag,
    check_dead_letters,
    check_poison_is_buried,
    check_full_bus_keeps_trades,
    check_carries_the_ledger,
    check_full_bus_keeps_the_ledger,
)
"""All of the suite; each takes a harness."""
