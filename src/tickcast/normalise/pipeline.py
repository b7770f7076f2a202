"""From a venue's records to batches: each record once, in order, believed only as far as it can be.

What happens to the records of one read, in this order (what is done to every row, in one pass of the core):

1. an event time too far ahead of the receive time is replaced by it, flagged ``clock_skew``;
2. records of an instrument without a definition wait, bounded, and are dead letters beyond that;
3. dedup by composite keys, within the feed session (a new session, say a venue that restarts with lower numbers, begins
   with an empty window: its numbers mean something else);
4. the newest state is kept for whoever asks later (:meth:`Pipeline.refresh`);
5. incidents, ``gap`` and ``status`` records are entered in the ledger (:mod:`tickcast.normalise.ledger`);
6. the rest is cut into batches between events, and stamped.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from tickcast import _native
from tickcast.model.batch import Hops, TickBatch
from tickcast.model.instrument import Definition
from tickcast.model.ledger import Incident
from tickcast.model.record import RECORD, Flag, Kind, records_from
from tickcast.normalise.config import Config
from tickcast.normalise.ledger import Ledger
from tickcast.runtime import metrics

MILLISECOND_NS: Final = 1_000_000


class Pipeline:
    """The pipeline of one feed; a :class:`tickcast.ports.Normaliser`."""

    def __init__(self, feed: str, config: Config | None = None, *, venue: str = "") -> None:
        self._feed = feed
        self._config = config or Config()
        self._session = 0
        self._intake = _native.Intake(
            window=self._config.dedup_window,
            skew_ns=self._config.skew_ms * MILLISECOND_NS,
            batch_max=self._config.batch_max,
        )
        self._definitions: dict[int, Definition] = {}
        self._waiting: deque[bytes] = deque()
        self._waiting_count = 0
        self._dead = 0
        self.ledger: Final = Ledger(
            feed, venue, open_max=self._config.ledger_open_max, drift_max=self._config.ledger_drift_max
        )
        """What made data less than whole."""

    def watch(self) -> None:
        """Publish the waiting room as a metric; once per process and feed."""
        metrics.watch_queue(
            f"normalise.{self._feed}.waiting",
            bound=self._config.waiting_max,
            depth=lambda: self._waiting_count,
            drops=lambda: self._dead,
        )
        metrics.watch_queue(
            f"normalise.{self._feed}.ledger",
            bound=self._config.ledger_open_max,
            depth=lambda: self.ledger.open_count,
            drops=lambda: self.ledger.merged + self.ledger.suppressed,
        )

    @property
    def gaps(self) -> int:
        """Gap records of messages that were missing, so far."""
        return self._intake.gaps

    @property
    def dead_letters(self) -> int:
        """Records that no definition came for in time, so far."""
        return self._dead

    @property
    def duplicates(self) -> int:
        """Records that were seen before, so far."""
        return self._intake.duplicates

    @property
    def skewed(self) -> int:
        """Records whose event time was not believed, so far."""
        return self._intake.skewed

    @property
    def session(self) -> int:
        """The feed session; 0 before the first record."""
        return self._session

    def accept(
        self,
        records: bytes,
        *,
        received_ns: int,
        decoded_ns: int,
        definitions: Sequence[Definition] = (),
        texts: Mapping[int, str] | None = None,
        new_session: bool = False,
        incidents: Sequence[Incident] = (),
    ) -> list[TickBatch]:
        """Make batches of what is new; see the module."""
        if new_session or not self._session:
            self._begin_session(received_ns)
        news = self._learn(definitions) if definitions else ()
        if news and self._waiting:
            records, texts = self._release(records, texts)
        taken = self._intake.take(records)
        if taken.unknown is not None:
            self._hold(taken.unknown)
        rows = records_from(taken.records)
        if taken.notable or incidents:
            self.ledger.enter(self._session, rows, incidents)
        if not taken.ends and not news:
            return self._told(received_ns)
        column = _column(len(rows), texts, taken.places) if texts else None
        batches: list[TickBatch] = []
        start = 0
        for end in taken.ends or (0,):
            batches.append(
                TickBatch(
                    feed=self._feed,
                    session=self._session,
                    records=rows[start:end],
                    definitions=news if start == 0 else (),
                    texts=None if column is None else tuple(column[start:end]),
                    hops=Hops(received=received_ns, decoded=decoded_ns),
                )
            )
            start = end
        batches[-1].ledger = self.ledger.news(received_ns)
        return batches

    def take_lead(self) -> int | None:
        """How far the venue's clock was seen ahead of ours since the last call, ns; see :class:`tickcast.ports`."""
        return self._intake.take_lead()

    def unlinked(self, link: str, reason: str, now_ns: int) -> None:
        """A link was lost: an entry of the ledger, told with the next batch."""
        self.ledger.unlinked(self._session or now_ns // MILLISECOND_NS, link, reason, now_ns)

    def linked(self, link: str, now_ns: int) -> None:
        """A link is open again."""
        self.ledger.linked(link, now_ns)

    def settle(self, now_ns: int) -> list[TickBatch]:
        """What the ledger has to tell though nothing arrives; call it now and then."""
        self.ledger.settle(now_ns)
        return self._told(now_ns)

    def _told(self, now_ns: int) -> list[TickBatch]:
        news = self.ledger.news(now_ns)
        return [TickBatch(feed=self._feed, session=self._session, ledger=news)] if news else []

    def keys(self) -> bytes:
        """Keys of what was told, for a process of the feed that takes over (``_native.Told`` reads it)."""
        return self._intake.told()

    def state(self) -> TickBatch:
        """Definitions and newest state of every instrument, flagged SNAPSHOT."""
        return TickBatch(
            feed=self._feed,
            session=self._session,
            records=records_from(self._intake.snapshot()),
            definitions=tuple(self._definitions.values()),
        )

    def refresh(self) -> TickBatch | None:
        """Definitions, newest state of every instrument, flagged SNAPSHOT, and what the ledger told lately.

        What was traded before is not in it: so a VOLUME row without a size says that of each instrument that traded.
        """
        entries = self.ledger.known()
        if not self._definitions and not entries:
            return None
        rows = records_from(self._intake.snapshot())
        unknown = rows[rows["kind"] == Kind.TRADE].copy()
        unknown["kind"], unknown["price"], unknown["size"], unknown["detail"] = Kind.VOLUME, 0, 0, 0
        unknown["flags"] = Flag.LAST_OF_EVENT | Flag.NO_SIZE
        rows = np.concatenate([rows, unknown])
        return TickBatch(
            feed=self._feed,
            session=self._session,
            records=rows,
            definitions=tuple(self._definitions.values()),
            ledger=entries,
        )

    # ------------------------------------------------------------------ steps

    def _begin_session(self, received_ns: int) -> None:
        """Sessions are numbered by the time they began, so that a restarted process never repeats one."""
        self._session = max(self._session + 1, received_ns // MILLISECOND_NS)
        self._intake.begin_session(self._session * MILLISECOND_NS)

    def _learn(self, definitions: Sequence[Definition]) -> tuple[Definition, ...]:
        news = tuple(one for one in definitions if self._definitions.get(one.instrument) != one)
        if news:
            self._definitions.update((one.instrument, one) for one in news)
            on_demand = [one.instrument for one in news if one.on_demand]
            self.ledger.learn({one.instrument: one.name for one in news}, on_demand=on_demand)
            self._intake.learn([one.instrument for one in news])
        return news

    def _hold(self, unknown: bytes) -> None:
        """Let records wait for a definition, without texts: they are of use to people only, and this is an odd case."""
        self._waiting.append(unknown)
        self._waiting_count += len(unknown) // RECORD.itemsize
        while self._waiting_count > self._config.waiting_max:
            oldest = len(self._waiting.popleft()) // RECORD.itemsize
            self._waiting_count -= oldest
            self._dead += oldest

    def _release(self, records: bytes, texts: Mapping[int, str] | None) -> tuple[bytes, Mapping[int, str] | None]:
        """What waited for a definition goes before what came with it."""
        waited = self._waiting_count
        records = b"".join([*self._waiting, records])
        self._waiting.clear()
        self._waiting_count = 0
        return records, {waited + index: text for index, text in texts.items()} if texts else texts


def _column(count: int, texts: Mapping[int, str], places: Sequence[int] | None) -> list[str | None]:
    """The text of each record; ``places`` says where each stood among the rows given, None = none was left out."""
    return [texts.get(place) for place in (range(count) if places is None else places)]
