"""Fuzzing of venues' sessions: real conversations with the simulated exchanges, told again with damage.

``python -m tickcast.testing.fuzz --seconds 3600`` records a conversation of each venue's session with its exchange
(real sockets, some seconds), then replays it for the given time into fresh sessions: chunks, datagrams, frames and
answers with flipped, missing, repeated and foreign bytes, in another order, with connections that break in between.
What comes out goes through the feed's pipeline. Nothing may raise, and records are whole; the seed of what did is
printed.
"""

import asyncio
import contextlib
import random
import re
import sys
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, cast

import click
import msgspec
import numpy as np

from tickcast.cli.demo import free_ports
from tickcast.cli.demo_market import EXCHANGES, tables
from tickcast.feeds.config import FeedConfig
from tickcast.feeds.stage import Feed
from tickcast.model.batch import TickBatch
from tickcast.model.health import FeedHealth
from tickcast.model.record import RECORD, Flag, Kind, State
from tickcast.normalise.pipeline import Pipeline
from tickcast.runtime import log
from tickcast.runtime.clock import monotonic_ns, now_ns
from tickcast.runtime.tasks import TaskGroupOwner
from tickcast.sim import config as settings
from tickcast.sim.faults import Fault
from tickcast.sim.server import Simulator
from tickcast.testing.spoil import SPOILS
from tickcast.venues.base import Answer, Request, Session, Step
from tickcast.venues.declared.session import DeclaredSession
from tickcast.venues.registry import open_session

RECORD_S: Final = 3.0
CALLS_MAX: Final = 400
"""Calls of a conversation that are replayed; its first ones, with login and directory, always."""
NUMBER: Final = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,4})?")
TOLD: Final = frozenset({"opened", "received", "closed", "answered", "wake"})
"""What a session is told; the rest it is asked."""
NAMES: Final = tuple(SPOILS)
PRICED: Final = [Kind.TRADE, Kind.BID, Kind.ASK, Kind.BOOK_BID, Kind.BOOK_ASK]
Call = tuple[str, tuple[Any, ...]]


class _Recording:
    """A session that notes how it is called."""

    def __init__(self, inner: Session) -> None:
        self._inner = inner
        self.calls: list[Call] = []

    @property
    def wake_ns(self) -> int:
        return self._inner.wake_ns

    def start(self, now: int) -> Step:
        return self._inner.start(now)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in TOLD:
            return method

        def called(*arguments: Any) -> Any:
            self.calls.append((name, arguments))
            return method(*arguments)

        return called


class Nowhere:
    """A publisher that lets everything go."""

    conflated = 0

    async def publish(self, batch: TickBatch) -> None:
        """Take it."""

    async def report(self, health: FeedHealth) -> None:
        """Take it."""

    def on_refresh(self, refresh: Callable[[], TickBatch | None]) -> None:
        """No bus, no refresh."""

    def on_watched(self, watched: Callable[[Mapping[int, int]], None]) -> None:
        """Nobody says so here."""

    def on_books(self, books: Callable[[Collection[int]], None]) -> None:
        """Nobody says so here."""

    async def close(self) -> None:
        """Nothing to wait for."""


class Conversation(msgspec.Struct, kw_only=True):
    """What a venue's session was told."""

    venue: str
    config: FeedConfig
    calls: list[Any]


class Count(msgspec.Struct, kw_only=True):
    """What was done to one venue."""

    rounds: int = 0
    inputs: int = 0
    records: int = 0
    dead: int = 0


class FuzzError(AssertionError):
    """A session that raised; names seed, venue and round."""


# ------------------------------------------------------------------ recording


async def record(*, seconds: float = RECORD_S, venues: Sequence[str] = tuple(EXCHANGES)) -> list[Conversation]:
    """Let each venue's session speak with its simulated exchange for some seconds, losses included."""
    ports = iter(free_ports(60))
    exchanges, feeds = tables(venues, lambda: f"127.0.0.1:{next(ports)}")
    config = settings.from_mapping({"symbols": 10, "rate": 600.0, "venues": exchanges})
    simulator = Simulator(config)
    await simulator.start()
    stop = asyncio.Event()
    owner = TaskGroupOwner("fuzz")
    running: list[asyncio.Task[Any]] = []
    recorded: list[tuple[str, FeedConfig, _Recording]] = []
    try:
        for name, table in feeds.items():
            feed_config = msgspec.convert(table, FeedConfig)
            session = _Recording(open_session(name, feed_config, {}))
            recorded.append((feed_config.venue, feed_config, session))
            feed = Feed(
                name, config=feed_config, session=cast("Session", session), normaliser=Pipeline(name),
                publisher=Nowhere(), clock=now_ns, jitter=random.Random(1).random,
            )  # fmt: skip
            running.append(owner.spawn(feed.run(stop), name))
        await asyncio.sleep(seconds / 2)
        for engine in simulator.engines.values():
            engine.dialect.faults.arm(Fault(fault="drop", count=5))
        await asyncio.sleep(seconds / 2)
    finally:
        stop.set()
        await asyncio.wait(running, timeout=5)
        await owner.stop()
        await simulator.stop()
    return [
        Conversation(venue=venue, config=config, calls=session.calls[:CALLS_MAX]) for venue, config, session in recorded
    ]


# ------------------------------------------------------------------ damage


class Damage:
    """Makes a conversation wrong, by a seed."""

    def __init__(self, seed: int | str) -> None:
        self._chance = random.Random(f"fuzz:{seed}")
        self._rate = self._chance.choice((0.0, 0.01, 0.05, 0.3))

    def conversation(self, calls: Sequence[Call]) -> list[Call]:
        """Return the calls, some of them changed, missing, repeated or in another order."""
        chance, told = self._chance, list[Call]()
        links = [str(arguments[0]) for name, arguments in calls if name == "opened"]
        for name, arguments in calls:
            if chance.random() >= self._rate:
                told.append((name, arguments))
                continue
            match chance.randrange(6):
                case 0:
                    continue
                case 1:
                    told += [(name, arguments)] * 2
                case 2 if told:
                    told.insert(-1, (name, arguments))
                case 3 if links:
                    link, now = chance.choice(links), _now(arguments)
                    told += [("closed", (link, now)), ("opened", (link, now)), (name, arguments)]
                case _:
                    told.append(self._spoil(name, arguments))
        return told

    def _spoil(self, name: str, arguments: tuple[Any, ...]) -> Call:
        if name == "received":
            link, chunks, times = arguments
            spoilt = [self._frame(chunk) for chunk in chunks]
            return name, (link, spoilt, times)
        if name == "answered":
            request, answer = arguments
            status = self._chance.choice((answer.status, 200, 204, 304, 400, 401, 404, 410))
            damaged = Answer(
                status=status, body=self._frame(answer.body), received_ns=answer.received_ns, etag=answer.etag
            )
            return name, (cast("Request", request), damaged)
        return name, arguments

    def _frame(self, data: bytes) -> bytes:
        """Damage bytes, or what JSON says: values of other types, huge numbers, empty lists, more keys."""
        if data[:1] in {b"{", b"["} and self._chance.random() < 0.5:
            with contextlib.suppress(ValueError):
                return SPOILS[self._chance.choice(NAMES)](data, self._chance)
        return self.bytes(data)

    def bytes(self, data: bytes) -> bytes:
        """Flip, cut, repeat, insert or replace."""
        chance, spoilt = self._chance, bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 5))):
            at = chance.randrange(len(spoilt) + 1)
            match chance.randrange(7):
                case 0 if spoilt:
                    spoilt[at % len(spoilt)] ^= 1 << chance.randrange(8)
                case 1:
                    del spoilt[at:]
                case 2:
                    del spoilt[at : at + chance.randrange(1, 9)]
                case 3:
                    spoilt[at:at] = chance.randbytes(chance.randrange(1, 9))
                case 4:
                    spoilt[at:at] = spoilt[at : at + chance.randrange(1, 99)]
                case 5:
                    extreme = chance.choice((b"\x00", b"\xff", b"\x7f", b"\x80", b"-", b"9", b'"', b"\x01"))
                    spoilt[at : at + 8] = extreme * 8
                case _:
                    spoilt = bytearray(chance.randbytes(chance.randrange(200)))
        return bytes(spoilt)


def _now(arguments: tuple[Any, ...]) -> int:
    last = arguments[-1]
    if isinstance(last, Answer):
        return last.received_ns
    return int(last if isinstance(last, int) else last[-1])


# ------------------------------------------------------------------ replay


def replay(conversation: Conversation, *, seed: int | str, count: Count) -> None:
    """Tell one damaged conversation to a fresh session.

    Raises:
        FuzzError: it raised, or what it made is no whole records.
    """
    name = conversation.venue.lower()
    session, pipeline = open_session(name, conversation.config, {}), Pipeline(name)
    asked = _asked(session.start(_now(conversation.calls[0][1])))
    count.rounds += 1
    sent = Sent() if isinstance(session, DeclaredSession) else None
    for number, (method, arguments) in enumerate(Damage(seed).conversation(conversation.calls)):
        if method != "wake" and _about(arguments[0]) not in asked:
            continue  # a shell opens no link and carries no request that the session did not ask for
        count.inputs += len(arguments[1]) if method == "received" else 1
        try:
            if sent is not None:
                sent.note(method, arguments)
            step = getattr(session, method)(*arguments)
            if isinstance(step, Step):
                if sent is not None:
                    sent.check(step, cast("DeclaredSession", session))
                asked |= _asked(step)
                _check(step, pipeline, _now(arguments))
                count.records += sum(map(len, step.records)) // RECORD.itemsize
                count.dead += step.dead_count
        except Exception as wrong:
            raise FuzzError(f"{conversation.venue}, seed {seed!r}, call {number} ({method}): {wrong!r}") from wrong


def unpacked(body: bytes) -> bytes:
    """Return what a gzip frame holds; of a damaged one nothing, for nobody can read it.

    What stands behind a member that is whole, by its checksum, is no damage of it (RFC 1952 section 2.2).
    """
    if body[:2] != b"\x1f\x8b":
        return body
    member = zlib.decompressobj(wbits=31)
    try:
        text = member.decompress(body)
    except zlib.error:
        return b""
    return text if member.eof else b""


class Sent:
    """What a venue said in a conversation: a price that is told is one of its numbers, and no live book is crossed."""

    def __init__(self) -> None:
        self._numbers: set[Decimal] = set()
        self._texts: set[str] = set()

    def note(self, method: str, arguments: tuple[Any, ...]) -> None:
        """Take the numbers of frames and answers, damaged as they are."""
        bodies = arguments[1] if method == "received" else [arguments[1].body] if method == "answered" else []
        for body in bodies:
            for text in NUMBER.findall(unpacked(body)):
                if text not in self._texts:
                    self._texts.add(text)
                    with contextlib.suppress(InvalidOperation):
                        self._numbers.add(Decimal(text.decode()))

    def check(self, step: Step, session: DeclaredSession) -> None:
        """Look at the rows of a step, and at the books that they are of.

        Raises:
            ValueError: a price was never sent, or a live book is crossed.
        """
        rows = np.frombuffer(b"".join(step.records), RECORD)
        for row in rows[np.isin(rows["kind"], PRICED) & (rows["flags"] & int(Flag.NO_PRICE) == 0)]:
            price = Decimal(int(row["price"])).scaleb(-int(row["price_scale"]))
            if price not in self._numbers:
                raise ValueError(f"the venue never sent the price {price} of a {Kind(row['kind']).name}")
        for instrument in np.unique(rows["instrument"]).tolist():
            if not instrument or session.core.state(instrument) != State.LIVE:
                continue
            bids, asks = session.core.book(instrument, 1)
            if bids and asks and Decimal(bids[0][0]) >= Decimal(asks[0][0]):
                raise ValueError(f"a live book is crossed: bid {bids[0]}, ask {asks[0]}")


def _asked(step: Step) -> set[str]:
    return {one.name for one in step.links} | {one.purpose for one in (*step.requests, *step.repeat)}


def _about(first: Request | str) -> str:
    return first.purpose if isinstance(first, Request) else first


def _check(step: Step, pipeline: Pipeline, now: int) -> None:
    data = b"".join(step.records)
    if len(data) % RECORD.itemsize:
        raise ValueError(f"expected whole records, found {len(data)} bytes")
    for link, sent in step.send:
        if not link or not isinstance(sent, bytes):
            raise TypeError(f"expected a link and bytes to send, found {link!r} and {type(sent).__name__}")
    if data or step.definitions:
        pipeline.accept(
            data, received_ns=now, decoded_ns=now, definitions=step.definitions, texts=step.texts,
            new_session=step.new_session,
        )  # fmt: skip


def fuzz(
    conversations: Sequence[Conversation], *, seconds: float, seed: int, rounds_max: int | None = None
) -> Mapping[str, Count]:
    """Replay for some seconds, all venues by turns; at least one round each."""
    counts = {one.venue: Count() for one in conversations}
    end_ns = monotonic_ns() + round(seconds * 1e9)
    number = 0
    while number == 0 or (monotonic_ns() < end_ns and number != rounds_max):
        for conversation in conversations:
            replay(conversation, seed=f"{seed}:{number}", count=counts[conversation.venue])
        number += 1
    return counts


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seconds", type=float, default=60.0, show_default=True, help="How long to replay.")
@click.option("--seed", type=int, default=1, show_default=True, help="Other damage with another seed.")
def main(*, seconds: float, seed: int) -> None:
    """Replay damaged conversations into every venue's session; exit status 1 if one raises."""
    log.configure(process="fuzz")
    conversations = asyncio.run(record())
    try:
        counts = fuzz(conversations, seconds=seconds, seed=seed)
    except FuzzError as wrong:
        click.echo(str(wrong), err=True)
        sys.exit(1)
    for venue, count in counts.items():
        click.echo(
            f"{venue}: {count.inputs:,} inputs in {count.rounds:,} conversations, {count.records:,} records,"
            f" {count.dead:,} dead letters"
        )
    click.echo(f"{sum(one.inputs for one in counts.values()):,} inputs, seed {seed}: nothing raised")


if __name__ == "__main__":
    main()
