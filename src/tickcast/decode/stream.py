"""From a decoder's records to the output: each once, under its name."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

import numpy as np

from tickcast import _native
from tickcast.decode.report import Report
from tickcast.model.record import Flag, Kind, State, record_bytes, records_from
from tickcast.normalise.config import Config
from tickcast.venues import rows

Names = Callable[[], Iterable[str]]
"""Every symbol that a decoder has met so far."""


_QUOTED: Final = (Kind.BID, Kind.ASK, Kind.BOOK_BID, Kind.BOOK_ASK)


def doubted(records: bytes) -> bytes:
    """Say of records after a hole that no book is certain: ``gap`` in place of ``live``, quotes are flagged."""
    found = records_from(bytearray(records))
    live = (found["kind"] == Kind.STATUS) & (found["detail"] == State.LIVE)
    found["detail"][live] = State.GAP
    found["flags"][np.isin(found["kind"], _QUOTED)] |= np.uint16(Flag.INVALID_BOOK)
    return bytes(record_bytes(found))


def without_begins(records: bytes) -> bytes:
    """Leave out the rows that begin a whole book: they tell a consumer of the bus what is void, and are no level.

    An event that ends with such a row ends with the row before it.
    """
    found = records_from(records)
    kinds = found["kind"]
    begins = ((kinds == Kind.BOOK_BID) | (kinds == Kind.BOOK_ASK)) & ((found["flags"] & Flag.NO_PRICE) != 0)
    if not begins.any():
        return records
    kept = found[~begins]
    ends = begins & ((found["flags"] & Flag.LAST_OF_EVENT) != 0)
    before = np.cumsum(~begins)[ends] - 1
    kept["flags"][before[before >= 0]] |= np.uint16(Flag.LAST_OF_EVENT)
    return bytes(record_bytes(kept))


class Sink(Protocol):
    """Where records go."""

    def define(self, instrument: int, symbol: str) -> None:
        """Name an instrument, before its first record."""

    def write(self, records: bytes, texts: Mapping[int, str] | None) -> None:
        """Take whole events, in order; ``texts`` are texts of ids by index."""

    def close(self, report: Report) -> None:
        """Write what is left."""


class Stream:
    """The records of one decoding, over all its files."""

    def __init__(self, venue: str, sink: Sink, report: Report, *, raw: bool, begins: bool = False) -> None:
        """``raw``: repeats too; ``begins``: rows that begin a whole book too."""
        self.venue = venue
        self.report = report
        self.raw = raw
        self._begins = begins
        self._sink = sink
        self._names = _native.RecordWriter(venue)
        self._known: dict[str, int] = {}
        self._dedup = _native.Dedup(Config().dedup_window)

    def define(self, symbol: str) -> int:
        """Name an instrument; returns its id."""
        instrument = self._known.get(symbol)
        if instrument is None:
            instrument = _native.instrument_id(f"{self.venue}:{symbol}")
            self.define_as(instrument, symbol)
        return instrument

    def define_as(self, instrument: int, symbol: str) -> None:
        """Name an instrument whose id is known."""
        if self._known.get(symbol) != instrument:
            self._known[symbol] = instrument
            self._names.define(instrument, self.venue, symbol)
            self._sink.define(instrument, symbol)

    def begin_session(self) -> None:
        """Numbers begin anew: what was seen before is no repeat any more."""
        self._dedup = _native.Dedup(Config().dedup_window)

    def accept(self, records: bytes, names: Names | None = None, texts: Mapping[int, str] | None = None) -> None:
        """Pass on what is new of whole events; ``names`` is asked when an instrument has none yet."""
        if not texts and not self._begins:  # only polled venues have texts, and they have no books
            records = without_begins(records)
        if not self.raw:
            records, texts = self._once(records, texts)
        if not records:
            return
        if names is not None and self._names.unknown(records):
            for symbol in names():
                self.define(symbol)
        self._sink.write(records, texts)

    def _once(self, records: bytes, texts: Mapping[int, str] | None) -> tuple[bytes, Mapping[int, str] | None]:
        if not texts:
            return self._dedup.filter(records), None
        # Texts stay with their rows: event by event. Only polled venues have texts, and few of them.
        kept: list[bytes] = []
        kept_texts: dict[int, str] = {}
        size = rows.ROW.size
        start = count = 0
        for end in (np.flatnonzero(records_from(records)["flags"] & rows.LAST) + 1).tolist():
            fresh = self._dedup.filter(records[start * size : end * size])
            if fresh:
                kept.append(fresh)
                kept_texts.update((count + at - start, texts[at]) for at in range(start, end) if at in texts)
                count += end - start
            start = end
        return b"".join(kept), kept_texts

    def gap(self, symbols: Sequence[str], missing: int, *, next_seq: int, ts_event: int, ts_recv: int) -> None:
        """Tell a hole: a gap and the state of each instrument of its scope; ``missing`` 0 = unknown number."""
        self.report.gaps += 1
        out: list[bytes] = []
        for symbol in symbols:
            instrument = self.define(symbol)
            out.extend(
                (
                    rows.gap(instrument, missing, next_seq=next_seq, ts_recv=ts_recv),
                    rows.status(instrument, State.GAP, ts_event=ts_event, ts_recv=ts_recv),
                )
            )
        if out:
            records = records_from(bytearray(b"".join(out)))
            records["ts_event"] = ts_event
            self._sink.write(bytes(record_bytes(records)), None)
