"""The summary: counts of everything and exact sums of each instrument."""

from collections.abc import Mapping, Sequence
from typing import IO, Any

import msgspec
from rich.console import Console
from rich.table import Table

from tickcast import _native
from tickcast.decode.report import Report


def decimal_text(parts: Sequence[tuple[int, int]]) -> str:
    """Return the sum of ``total / 10**scale`` as text, exact, with the digits of the largest scale."""
    scale = max((scale for scale, _ in parts), default=0)
    total = sum(value * 10 ** (scale - own) for own, value in parts)
    digits = str(abs(total)).rjust(scale + 1, "0")
    whole, fraction = digits[: len(digits) - scale], digits[len(digits) - scale :]
    return f"{'-' if total < 0 else ''}{whole}{'.' + fraction if scale else ''}"


class SummarySink:
    """Counts records and writes one JSON object, or tables for people, at the end."""

    def __init__(self, venue: str, out: IO[bytes], *, table: bool) -> None:
        self._venue = venue
        self._out = out
        self._table = table
        self._tally = _native.RecordTally()
        self._symbols: dict[int, str] = {}

    def define(self, instrument: int, symbol: str) -> None:
        """List an instrument, also if no record of it ever comes."""
        self._symbols[instrument] = symbol
        self._tally.define(instrument)

    def write(self, records: bytes, texts: Mapping[int, str] | None) -> None:
        """Count."""
        del texts
        self._tally.update(records)

    def close(self, report: Report) -> None:
        """Write the summary."""
        summary = self.summary(report)
        if self._table:
            write_tables(self._out, self._venue, summary)
        else:
            self._out.write(msgspec.json.encode(summary) + b"\n")
        self._out.flush()

    def summary(self, report: Report) -> dict[str, Any]:
        """Return the summary as it is written."""
        return {
            "frames": report.frames,
            "control": report.control,
            "records": dict(self._tally.kinds()),
            "checksums": {"verified": report.verified, "failed": report.failed},
            "gaps": report.gaps,
            "unknown": report.unknown,
            "dead_letters": report.dead_letters,
            "unpriced": report.unpriced,
            "instruments": {
                self._symbols.get(sums.instrument, f"#{sums.instrument:016x}"): {
                    "trades": sums.trades,
                    "size": decimal_text(sums.size),
                    "notional": decimal_text(sums.notional),
                    "quotes": sums.quotes,
                    "book_changes": sums.book_changes,
                    "gaps": sums.gaps,
                    "bid": sums.bid,
                    "ask": sums.ask,
                    "state": sums.state,
                }
                for sums in self._tally.instruments()
            },
        }


def write_tables(out: IO[bytes], venue: str, summary: Mapping[str, Any]) -> None:
    """Write the summary for people."""
    console = Console(highlight=False, width=200)
    counts = Table(title=f"{venue}", show_header=False, title_justify="left")
    counts.add_column(style="bold")
    counts.add_column(justify="right")
    for name in ("frames", "control", "gaps", "unknown", "dead_letters", "unpriced"):
        counts.add_row(name, str(summary[name]))
    for name, count in summary["checksums"].items():
        counts.add_row(f"checksums {name}", str(count))
    for name, count in summary["records"].items():
        counts.add_row(f"records {name}", str(count))
    instruments = Table()
    instruments.add_column("symbol", style="bold")
    columns = ("trades", "size", "notional", "quotes", "book_changes", "gaps", "bid", "ask")
    for name in columns:
        instruments.add_column(name, justify="right")
    instruments.add_column("state")
    for symbol, sums in summary["instruments"].items():
        cells = ("" if sums[name] is None else str(sums[name]) for name in columns)
        instruments.add_row(symbol, *cells, sums["state"])
    with console.capture() as captured:
        console.print(counts)
        if summary["instruments"]:
            console.print(instruments)
    out.write(captured.get().encode())
