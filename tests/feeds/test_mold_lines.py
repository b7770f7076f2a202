"""The MoldUDP64 feed against the simulated exchange over real sockets: books equal to its truth after every fault."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from tests.feeds.levels import every_other, wrong_levels
from tests.feeds.peers import now_ns, until
from tests.feeds.test_simulated import Running
from tests.feeds.test_simulated import running as following

from tickcast.model.record import Flag, Kind, State
from tickcast.sim import config as sim
from tickcast.sim.engine import VenueEngine
from tickcast.sim.faults import Fault, Verb
from tickcast.sim.mold_itch.dialect import MoldItchDialect, create
from tickcast.sim.truth import venue_truth
from tickcast.sim.universe import build

RERUN = {"gap_timeout_ms": 400}


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(count)]
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return [int(sock.getsockname()[1]) for sock in socks]


class Exchange:
    """The simulated XBOS on the real clock, whose flow the test may stop."""

    def __init__(self, **options: Any) -> None:
        config = sim.Config(seed=11, symbols=20, rate=20_000, market=sim.MarketConfig(halt_every_s=0.0))
        lines = tuple(f"127.0.0.1:{port}" for port in free_ports(2))
        start = now_ns()
        settings = sim.MoldItchConfig(lines=lines, rare_every_s=0.0, **options)
        self.dialect: MoldItchDialect = create("XBOS", settings, config, build(config), start, now_ns)
        self.engine = VenueEngine(self.dialect, rate=2_000.0, quantum_ms=5.0, start_ns=start)
        self.addresses: dict[str, Any] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.addresses = dict(await self.dialect.start())
        self._task = asyncio.create_task(self._flow())

    async def halt(self) -> None:
        """No event any more: what is true stays true."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _flow(self) -> None:
        while True:
            self.engine.advance(now_ns(), slices_max=4)
            await asyncio.sleep(max((self.engine.next_ns - now_ns()) / 1e9, 0.0))


@contextlib.asynccontextmanager
async def exchange(**options: Any) -> AsyncIterator[Exchange]:
    venue = Exchange(**options)
    await venue.start()
    try:
        yield venue
    finally:
        await venue.halt()
        await venue.dialect.stop()


def wrong_books(venue: Exchange, feed: Running) -> list[str]:
    names = {key: one.symbol for key, one in feed.definitions.items()}
    quotes: dict[tuple[str, Kind], tuple[Decimal, Decimal] | None] = {}
    for row in feed.rows:
        if row.kind in {Kind.BID, Kind.ASK}:
            level = None if row.price is None or row.size is None else (row.price, row.size)
            quotes[names[row.instrument], row.kind] = level
    found = []
    for symbol, one in venue_truth(venue.dialect).items():
        for kind, price, size in ((Kind.BID, "bid", "bid_size"), (Kind.ASK, "ask", "ask_size")):
            level = None if one[price] is None else (Decimal(one[price]), Decimal(one[size]))
            if quotes.get((symbol, kind)) != level:
                found.append(f"{symbol} {price}: {quotes.get((symbol, kind))} is not {level}")
    return found


async def check_books(venue: Exchange, feed: Running) -> None:
    """Stop the flow: what was published last is what is true, and is live; so are books once somebody watches them."""
    watched: set[int] = set()

    def wrong() -> list[str]:
        levels = wrong_levels(venue.dialect, feed.publisher.batches, feed.definitions, watched)
        return wrong_books(venue, feed) + levels

    assert feed.publisher.books is not None
    watched = every_other("XBOS", venue.dialect)
    feed.publisher.books(watched)
    await feed.more_messages(50)
    await venue.halt()
    with contextlib.suppress(TimeoutError):
        await until(lambda: feed.is_up() and not wrong())
    assert wrong() == []
    watched = set(feed.definitions) - watched
    feed.publisher.books(watched)
    with contextlib.suppress(TimeoutError):
        await until(lambda: not wrong())
    assert wrong() == []
    assert set(feed.states().values()) == {State.LIVE}


def news(feed: Running) -> list[tuple[int, int]]:
    return [
        (row.instrument, row.ident) for row in feed.rows if row.kind == Kind.TRADE and not row.flags & Flag.SNAPSHOT
    ]


async def test_two_lines_are_one_stream_and_a_late_start_is_made_good() -> None:
    async with exchange(lag_b_ms=3.0) as venue:
        await until(lambda: venue.dialect.session.next > 500)
        feed = Running("XBOS", **venue.addresses, **RERUN)
        async with following(feed):
            await until(feed.is_up)
            await feed.more_messages(500)
            await check_books(venue, feed)
        assert feed.feed.health.dead_letters == feed.pipeline.gaps == feed.pipeline.dead_letters == 0
        told = news(feed)
        assert len(set(told)) == len(told)
        assert len(told) == sum(one["trades"] for one in venue_truth(venue.dialect).values())


@pytest.mark.parametrize("verb", ["drop", "duplicate", "reorder", "delay", "corrupt", "truncate"])
@pytest.mark.parametrize("line", ["", "A"])
async def test_faults_of_the_wire_are_made_good(verb: Verb, line: str) -> None:
    async with exchange() as venue:
        feed = Running("XBOS", **venue.addresses, **RERUN)
        async with following(feed):
            await until(feed.is_up)
            faults = venue.dialect.faults
            faults.arm(Fault(fault=verb, line=line, count=5, delay_ms=30.0 if verb == "delay" else None))
            await until(lambda: faults.fired[verb] >= 5)
            await feed.more_messages(300)
            await check_books(venue, feed)
        told = news(feed)
        assert len(set(told)) == len(told), "each trade once"


async def test_what_both_lines_and_the_server_lose_is_asked_for_again() -> None:
    async with exchange() as venue:
        feed = Running("XBOS", **venue.addresses, **RERUN)
        async with following(feed):
            await until(feed.is_up)
            venue.dialect.faults.arm(Fault(fault="throttle", count=2))
            venue.dialect.faults.arm(Fault(fault="drop", line="A", count=4))
            venue.dialect.faults.arm(Fault(fault="drop", line="B", count=4))
            await until(lambda: feed.pipeline.gaps)
            await feed.more_messages(300)
            await check_books(venue, feed)
        entries = [one for one in feed.pipeline.ledger.known() if one.kind == "gap"]
        assert entries
        assert all(one.ended_ns and one.missing == one.recovered for one in entries)
        assert {one.repaired_by for one in entries} == {"retransmission"}
        assert State.GAP in {State(row.detail) for row in feed.rows if row.kind == Kind.STATUS}


async def test_a_silent_server_means_a_loss_that_is_told_until_it_answers_again() -> None:
    async with exchange() as venue:
        feed = Running("XBOS", **venue.addresses, **RERUN)
        async with following(feed):
            await until(feed.is_up)
            venue.dialect.faults.arm(Fault(fault="throttle", for_s=60.0))
            for line in ("A", "B"):
                venue.dialect.faults.arm(Fault(fault="drop", line=line, count=4))
            await until(lambda: feed.feed.health.dead_letters > 0)
            await feed.more_messages(500)
            assert set(feed.states().values()) == {State.GAP}
            session = feed.pipeline.session
            venue.dialect.faults.clear()
            await until(feed.is_up)
            await check_books(venue, feed)
            assert feed.pipeline.session == session
        told = news(feed)
        assert len(set(told)) == len(told), "each trade once"
        assert len(told) == sum(one["trades"] for one in venue_truth(venue.dialect).values()), (
            "also those that were lost"
        )


async def test_an_exchange_that_begins_anew_is_a_new_session() -> None:
    async with exchange() as venue:
        feed = Running("XBOS", **venue.addresses, **RERUN)
        async with following(feed):
            await until(feed.is_up)
            before = feed.pipeline.session
            venue.dialect.faults.arm(Fault(fault="restart"))
            await until(lambda: feed.pipeline.session != before)
            await until(feed.is_up)
            await feed.more_messages(300)
            await check_books(venue, feed)


async def test_a_server_that_answers_wrongly_changes_nothing() -> None:
    """Answers of another session, of other numbers, with noise: only what is missing is taken."""
    answers = [b"noise", b"OTHER00001" + (1).to_bytes(8, "big") + (0).to_bytes(2, "big")]

    class Liar(asyncio.DatagramProtocol):
        transport: Any = None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            number = int.from_bytes(data[10:18], "big") + 1_000_000
            other = data[:10] + number.to_bytes(8, "big") + b"\x00\x01\x00\x02S?"
            for answer in [*answers, data[:18] + b"\x00\x05", other]:
                self.transport.sendto(answer, addr)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Liar, local_addr=("127.0.0.1", 0))
    try:
        port = transport.get_extra_info("sockname")[1]
        async with exchange() as venue:
            feed = Running("XBOS", **{**venue.addresses, **RERUN, "rerequest": f"127.0.0.1:{port}"})
            async with following(feed):
                await until(lambda: set(feed.states().values()) == {State.UNVERIFIED})
                for line in ("A", "B"):
                    venue.dialect.faults.arm(Fault(fault="drop", line=line, count=4))
                await until(lambda: State.GAP in feed.states().values())
                await feed.more_messages(2000)
                assert set(feed.states().values()) <= {State.GAP, State.UNVERIFIED}, "nobody made the loss good"
                assert feed.feed.health.dead_letters > 3
    finally:
        transport.close()
