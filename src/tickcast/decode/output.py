"""Sinks: records as JSON lines, CSV or Arrow."""

from collections.abc import Mapping
from typing import IO

from tickcast import _native
from tickcast.decode.report import Report


class LineSink:
    """Writes JSON lines or CSV."""

    def __init__(self, venue: str, out: IO[bytes], *, csv: bool, substitute_times: bool, reasons: bool) -> None:
        """See :class:`tickcast._native.RecordWriter` for the last two."""
        self._venue = venue
        self._out = out
        self._writer = _native.RecordWriter(venue, substitute_times=substitute_times, reasons=reasons)
        self._lines = self._writer.csv if csv else self._writer.jsonl
        if csv:
            out.write(self._writer.CSV_HEADER.encode())

    def define(self, instrument: int, symbol: str) -> None:
        """Name an instrument."""
        self._writer.define(instrument, self._venue, symbol)

    def write(self, records: bytes, texts: Mapping[int, str] | None) -> None:
        """Write a line a record."""
        self._out.write(self._lines(records, texts))

    def close(self, report: Report) -> None:
        """Hand everything over to the system."""
        del report
        self._out.flush()
