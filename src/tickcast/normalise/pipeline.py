"""From a venue's records to batches: each record once, in order, believed only as far as it can be.

What happens to the records of one read, in this order:

1. an event time too far ahead of the receive time is replaced by it, flagged ``clock_skew``;
2. records of an instrument without a definition wait, bounded, and are dead letters beyond that;
3. dedup by composite keys, within the feed session (a new session, say a venue that restarts with lower numbers, begins
   with an empty window: its numbers mean something else);
4. incidents, ``gap`` and ``status`` records are entered in the ledger (:mod:`tickcast.normalise.ledger`);
5. the newest state is kept for whoever asks later (:meth:`Pipeline.refresh`);
6. the rest is cut into batches between events, and stamped.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from tickcast import _native
from tickcast.model.batch import Hops, TickBatch
from tickcast.model.instrument import Definition
from tickcast.model.ledger import Incident
from tickcast.model.record import Flag, Kind, Records, record_bytes, records_from
from tickcast.normalise.config import Config
from tickcast.normalise.ledger import Ledger
from tickcast.runtime import metrics

MILLISECOND_NS: Final = 1_000_000
MARKET: Final = 0
"""The instrument of records that concern the market as a whole."""


class Pipeline:
    """The pipeline of one feed; a :class:`tickcast.ports.Normaliser`."""

    def __init__(self, feed: str, config: Config | None = None, *, venue: str = "") -> None:
        self._feed = feed
        self._config = config or Config()
        self._skew_ns = self._config.skew_ms * MILLISECOND_NS
        self._session = 0
        self._dedup = _native.Dedup(self._config.dedup_window)
        self._last = _native.LastRecords()
        self._definitions: dict[int, Definition] = {}
        self._known: npt.NDArray[np.uint64] = np.array([MARKET], np.uint64)
        self._waiting: deque[Records] = deque()
        self._waiting_count = 0
        self._gaps = 0
        self._dead = 0
        self._skewed = 0
        self._duplicates_before = 0
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
        return self._gaps

    @property
    def dead_letters(self) -> int:
        """Records that no definition came for in time, so far."""
        return self._dead

    @property
    def duplicates(self) -> int:
        """Records that were seen before, so far."""
        return self._duplicates_before + self._dedup.duplicates

    @property
    def skewed(self) -> int:
        """Records whose event time was not believed, so far."""
        return self._skewed

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
        news = self._learn(definitions)
        rows = records_from(records)
        column = self._text_column(len(rows), texts)
        rows = self._believe(rows)
        if len(rows):
            rows, column = self._hold_unknown(rows, column)
        if news and self._waiting:
            rows, column = self._release(rows, column)
        if len(rows):
            rows, column = self._drop_repeats(rows, column)
        self._gaps += int(np.count_nonzero((rows["kind"] == Kind.GAP) & ((rows["flags"] & Flag.BACKFILLED) == 0)))
        self.ledger.enter(self._session, rows, incidents)
        if not len(rows) and not news:
            return self._told(received_ns)
        if len(rows):
            self._last.update(record_bytes(rows))
        batches = self._cut(rows, column, news, received_ns, decoded_ns)
        batches[-1].ledger = self.ledger.news(received_ns)
        return batches

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

    def refresh(self) -> TickBatch | None:
        """Definitions, newest state of every instrument, flagged SNAPSHOT, and what the ledger told lately.

        What was traded before is not in it: so a VOLUME row without a size says that of each instrument that traded.
        """
        entries = self.ledger.known()
        if not self._definitions and not entries:
            return None
        rows = records_from(self._last.snapshot())
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
        self._duplicates_before += self._dedup.duplicates
        self._dedup = _native.Dedup(self._config.dedup_window)

    def _learn(self, definitions: Sequence[Definition]) -> tuple[Definition, ...]:
        news = tuple(one for one in definitions if self._definitions.get(one.instrument) != one)
        if news:
            self._definitions.update((one.instrument, one) for one in news)
            self.ledger.learn({one.instrument: one.name for one in news})
            self._known = np.sort(np.array([MARKET, *self._definitions], np.uint64))
        return news

    @staticmethod
    def _text_column(count: int, texts: Mapping[int, str] | None) -> list[str | None] | None:
        if not texts:
            return None
        column: list[str | None] = [None] * count
        for index, text in texts.items():
            column[index] = text
        return column

    def _believe(self, rows: Records) -> Records:
        ahead = rows["ts_event"] > rows["ts_recv"] + self._skew_ns
        if ahead.any():
            rows = rows.copy()
            rows["ts_event"][ahead] = rows["ts_recv"][ahead]
            rows["flags"][ahead] |= np.uint16(Flag.CLOCK_SKEW)
            self._skewed += int(np.count_nonzero(ahead))
        return rows

    def _unknown(self, rows: Records) -> npt.NDArray[np.bool_]:
        wanted = rows["instrument"]
        place = np.minimum(np.searchsorted(self._known, wanted), len(self._known) - 1)
        return np.asarray(self._known[place] != wanted)

    def _hold_unknown(self, rows: Records, column: list[str | None] | None) -> tuple[Records, list[str | None] | None]:
        unknown = self._unknown(rows)
        if not unknown.any():
            return rows, column
        held = rows[unknown]  # without texts: they are of use to people only, and this is an odd case
        self._waiting.append(held)
        self._waiting_count += len(held)
        while self._waiting_count > self._config.waiting_max:
            oldest = self._waiting.popleft()
            self._waiting_count -= len(oldest)
            self._dead += len(oldest)
        return rows[~unknown], _pick(column, ~unknown)

    def _release(self, rows: Records, column: list[str | None] | None) -> tuple[Records, list[str | None] | None]:
        """What waited for a definition goes before what came with it."""
        waiting = np.concatenate(self._waiting)
        still = self._unknown(waiting)
        self._waiting = deque([waiting[still]] if still.any() else [])
        self._waiting_count = int(np.count_nonzero(still))
        freed = waiting[~still]
        if not len(freed):
            return rows, column
        if column is not None:
            column = [*[None] * len(freed), *column]
        return np.concatenate([freed, rows]), column

    def _drop_repeats(self, rows: Records, column: list[str | None] | None) -> tuple[Records, list[str | None] | None]:
        if column is None:
            fresh = records_from(self._dedup.filter(record_bytes(rows)))
            return (rows if len(fresh) == len(rows) else fresh), None
        # Texts have to stay with their rows: event by event. Only polled venues have texts, and few of them.
        kept: list[Records] = []
        texts: list[str | None] = []
        start = 0
        for end in (np.flatnonzero(rows["flags"] & Flag.LAST_OF_EVENT) + 1).tolist():
            if self._dedup.filter(record_bytes(rows[start:end])):
                kept.append(rows[start:end])
                texts.extend(column[start:end])
            start = end
        return (np.concatenate(kept) if kept else rows[:0]), texts

    def _cut(
        self,
        rows: Records,
        column: list[str | None] | None,
        news: tuple[Definition, ...],
        received_ns: int,
        decoded_ns: int,
    ) -> list[TickBatch]:
        batches: list[TickBatch] = []
        start, count = 0, len(rows)
        while True:
            end = min(start + self._config.batch_max, count)
            if end < count:
                ends = np.flatnonzero(rows["flags"][start:end] & Flag.LAST_OF_EVENT)
                if not len(ends):  # one event larger than a batch: it stays whole
                    later = np.flatnonzero(rows["flags"][end:] & Flag.LAST_OF_EVENT)
                    end = end + int(later[0]) + 1 if len(later) else count
                else:
                    end = start + int(ends[-1]) + 1
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
            if start >= count:
                return batches


def _pick(column: list[str | None] | None, mask: npt.NDArray[np.bool_]) -> list[str | None] | None:
    if column is None:
        return None
    return [text for text, wanted in zip(column, mask.tolist(), strict=True) if wanted]
