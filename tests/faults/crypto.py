"""One feed of a crypto venue over real sockets, with a witness of all that it tells; the venue is a rude one."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from tickcast import _native
from tickcast.feeds.config import FeedConfig
from tickcast.feeds.stage import Feed
from tickcast.feeds.tls import open_tls
from tickcast.model.batch import TickBatch
from tickcast.model.health import FeedHealth, Unknown
from tickcast.model.ledger import LedgerEntry
from tickcast.model.record import Flag, Kind
from tickcast.normalise.pipeline import Pipeline
from tickcast.runtime.clock import monotonic_ns, now_ns
from tickcast.sim.crypto.state import Client, Topic
from tickcast.sim.crypto.venue import Tamper
from tickcast.sim.crypto.voices import VOICES
from tickcast.testing.conformance.bench import WATCHED_LEVELS
from tickcast.testing.conformance.witness import SHOWN, Seen, Witness, plain
from tickcast.testing.rude_venue import RudeVenue
from tickcast.testing.spoil import numbers
from tickcast.venues.declared.session import DeclaredSession
from tickcast.venues.registry import find_declared, open_session

VENUES = tuple(VOICES)
WAIT_S = 20.0
STILL_S = 4.0
"""Time for what is on its way to arrive, once the market stands still."""
ROWS_MAX = 2000
PRICED = [Kind.TRADE, Kind.BID, Kind.ASK, Kind.BOOK_BID, Kind.BOOK_ASK]
QUICK: dict[str, Any] = {
    "depth": 5,
    "instruments_refresh_s": 0,
    "compare_interval_s": 0,
    "poll_interval_s": 0,
    "backoff_min_ms": 50,
    "backoff_max_ms": 400,
    "refused_retry_s": 0.5,
    "connect_timeout_s": 3.0,
}


class Running:
    """A feed that runs, and what it told."""

    def __init__(self, rude: RudeVenue, **settings: Any) -> None:
        self.rude = rude
        self.code = rude.venue.voice.code
        self.chosen = rude.chosen()
        addresses = {"url": rude.addresses["url"], "rest_url": rude.addresses["rest_url"]}
        self.config = FeedConfig(
            venue=self.code,
            symbols=tuple(one.product.symbol for one in self.chosen),
            **{**addresses, **QUICK, **settings},
        )
        session = open_session("rude", self.config, {})
        assert isinstance(session, DeclaredSession)
        self.session = session
        self.witness = Witness(quoted=set())
        rude.venue.on_told = self.witness.told
        self.watched: set[int] = set()
        """Instruments whose book is watched."""
        self._books: Callable[[Collection[int]], None] | None = None
        self.rows: list[Any] = []
        """The newest rows that were told."""
        self.healths: list[FeedHealth] = []
        self.conflated = 0
        self.sent: set[Decimal] = set()
        """Every number that the venue sent, in frames and answers."""
        self.invented: list[str] = []
        """Prices that were told and never sent."""
        rude.tamper = self._note
        rude.on_answer = lambda answer: self.note(answer.body)
        self.spoil: Tamper | None = None
        """What stands between the voice and a client; frames are noted behind it."""
        self.dead: list[tuple[str, bytes]] = []
        self.feed = Feed(
            "rude",
            config=self.config,
            session=session,
            normaliser=Pipeline("rude", venue=self.code),
            publisher=self,
            clock=now_ns,
            jitter=random.Random(1).random,
            tls=open_tls("rude", self.config.tls_ca),
        )
        self._listen()

    def _listen(self) -> None:
        """Keep dead letters: the shell only counts and logs them."""
        bury = self.feed._bury

        def keep(step: Any) -> None:
            self.dead.extend(step.dead)
            bury(step)

        self.feed._bury = keep  # type: ignore[method-assign]

    # the venue's side

    def _note(self, client: Client, topic: Topic | None, frame: bytes) -> Iterable[bytes]:
        frames = [frame] if self.spoil is None else list(self.spoil(client, topic, frame))
        for one in frames:
            self.note(one)
        return frames

    def note(self, text: bytes) -> None:
        """Take the numbers of a frame or an answer as sent."""
        for number in numbers(text):
            with contextlib.suppress(InvalidOperation):
                self.sent.add(Decimal(number))

    # the publisher's side

    async def publish(self, batch: TickBatch) -> None:
        venue = find_declared(self.code)
        assert venue is not None
        self.witness.quoted.update(one.id for one in self.session.instruments if venue(self.config).quoted(one.listed))
        self.witness.take(batch, now_ns())
        self.rows.extend(batch.records)
        del self.rows[:-ROWS_MAX]
        for row in batch.records[np.isin(batch.records["kind"], PRICED)]:
            price = Decimal(int(row["price"])).scaleb(-int(row["price_scale"]))
            if not row["flags"] & Flag.NO_PRICE and price not in self.sent:
                self.invented.append(f"{Kind(row['kind']).name} {price}")

    async def report(self, health: FeedHealth) -> None:
        self.healths.append(health)

    def on_refresh(self, refresh: Callable[[], TickBatch | None]) -> None:
        del refresh

    def on_watched(self, watched: Callable[[Mapping[int, int]], None]) -> None:
        del watched

    def on_books(self, books: Callable[[Collection[int]], None]) -> None:
        self._books = books
        self.watch_books([one.product.symbol for one in self.chosen[::2]])

    def watch_books(self, symbols: Iterable[str]) -> None:
        """Say whose books somebody watches from now on; at first it is every other one."""
        self.watched = {_native.instrument_id(f"{self.code}:{symbol}") for symbol in symbols}
        assert self._books is not None
        self._books(self.watched)

    async def close(self) -> None:
        pass

    # what is seen

    @property
    def ledger(self) -> list[LedgerEntry]:
        return list(self.witness.ledger.values())

    def unknown(self, what: str) -> list[Unknown]:
        """What the newest report says of kinds (``message``) or keys (``key``) that nobody knew."""
        return [one for one in self.healths[-1].unknown if one.what == what] if self.healths else []

    def kinds(self) -> Counter[str]:
        return Counter(entry.kind for entry in self.ledger)

    def seen(self) -> list[Seen]:
        return [self.witness.by_symbol[one.product.symbol] for one in self.chosen if self._is_known(one)]

    def _is_known(self, one: Any) -> bool:
        return one.product.symbol in self.witness.by_symbol

    def is_whole(self) -> bool:
        seen = self.seen()
        return len(seen) == len(self.chosen) and all(one.state in SHOWN for one in seen)

    def different(self) -> list[str]:
        """Books that are not the venue's, and what rows tell of them that is not theirs."""
        found = []
        for one in self.chosen:
            if not self._is_known(one):
                return [f"{one.product.symbol} is unknown"]
            seen = self.witness.by_symbol[one.product.symbol]
            sides = self.session.core.book(seen.definition.instrument, 100_000)
            truth = self.rude.venue.truth(one)
            for side, told in zip(("bids", "asks"), sides, strict=True):
                expected = plain(truth[side])
                if not told or plain(told) != expected[: len(told)]:
                    found.append(f"{one.product.symbol} {side}: {plain(told)[:3]} are not {expected[:3]}")
            told_max = WATCHED_LEVELS if seen.definition.instrument in self.watched else self.config.depth
            bids, asks = self.session.core.book(seen.definition.instrument, told_max)
            expected_rows = (plain(bids), plain(asks)) if told_max else None
            if self.witness.reader.book(seen.definition.instrument) != expected_rows:
                found.append(f"{one.product.symbol}: rows do not tell its {told_max} best levels")
        return found

    async def until(self, condition: Callable[[], object], what: str, *, within_s: float = WAIT_S) -> None:
        end_ns = monotonic_ns() + round(within_s * 1e9)
        while not condition():
            if monotonic_ns() > end_ns:
                states = {one.definition.symbol: one.state.name for one in self.seen()}
                raise AssertionError(
                    f"{self.code}: not within {within_s:g} s: {what}; {states}; {self.feed.health.last_error};"
                    f" dead {self.dead[-3:]}"
                )
            await asyncio.sleep(0.02)

    async def until_right(self, what: str = "live, and books equal", *, within_s: float = WAIT_S) -> None:
        """Wait until everything is live; then let the market stand still and compare.

        A difference that was lost shows with the next message only: where books differ, the market goes on.
        """
        await self.until(self.is_whole, what, within_s=within_s)
        until_ns = monotonic_ns() + int(within_s * 1e9)
        while not await self._is_right_at_rest():
            if monotonic_ns() > until_ns:
                raise AssertionError(f"not within {within_s:g} s: {what}: {self.different()[:4]}")
            await self._read_on(20, what)

    async def _read_on(self, messages: int, what: str) -> None:
        until = self.feed.health.messages + messages
        await self.until(lambda: self.feed.health.messages > until, what)

    async def _is_right_at_rest(self) -> bool:
        self.rude.engine.paused = True
        try:
            await self.until(lambda: self.is_whole() and not self.different(), "books equal", within_s=STILL_S)
        except AssertionError:
            return False
        finally:
            self.rude.engine.paused = False
        return True

    def asked(self) -> tuple[int, int]:
        return len(self.rude.handshakes), len(self.rude.requests)


@contextlib.asynccontextmanager
async def running(rude: RudeVenue, **settings: Any) -> AsyncIterator[Running]:
    """Run a feed against a rude venue that serves already; an error of the feed is the test's."""
    run = Running(rude, **settings)
    stop = asyncio.Event()
    task = asyncio.create_task(run.feed.run(stop))
    try:
        yield run
        assert not task.done(), f"the feed ended: {task.exception() if not task.cancelled() else 'cancelled'!r}"
    finally:
        stop.set()
        await asyncio.wait([task], timeout=10)
        if task.done() and not task.cancelled() and task.exception() is not None:
            raise task.exception()  # type: ignore[misc]
