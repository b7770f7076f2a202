"""The matrix in words: lines for a terminal, a page for the documentation."""

import os
import platform
from datetime import UTC, datetime
from typing import Final

import msgspec

from tickcast.testing.matrix.run import Row

COLUMNS: Final = "{:<11} {:<26} {:>9} {:>6} {:<12} {:>5} {:<16} {:<18} {:<5} {}"
HEAD: Final = COLUMNS.format(
    "VENUE", "FAULT", "LIVE IN", "GAPS", "BOOKS", "LOOKS", "COUNTERS", "MEMORY", "", ""
).rstrip()
PAGE: Final = """# Fault matrix

Every protocol with every fault, every process killed and stopped, on a whole running instance; honest and rude clients
are attached all the time. This page is what the command printed:

```
{command}
```

{date}, {machine}; {cells} cells in {took_s:.0f} s: {verdict}.

- **live again**: from the fault's begin (of those that last: not their end) until the last instrument of the venue is
  live again, as `tickcast.connect` sees it; "-": no instrument was ever shown as anything but live. Times are shown,
  and do not decide: only what is not back after 90 s fails.
- **gaps**: entries of the loss ledger, one a gap and instrument.
- **books**: the market pauses; the best prices and sizes that `tickcast.connect` shows are compared with the
  simulator's own books, for all instruments of all venues. **looks**: how often the market was paused before they were
  equal: a loss that a protocol does not number is seen when something refers to what was lost.
- **counters**: sampled clients (one unfiltered, one at five updates a second, on every instrument) whose counters add
  up at a barrier: published = delivered + merged + lost, delivered = what they received.
- **memory**: the process that grew most during the cell.
- Of crypto venues, `X on rest` breaks the answers that begin or repair a book, and cuts the streams so that they are
  asked for; a fault without a line meets streams and REST alike. A restart begins the numbers of books lower, in the
  way of each venue: connections are cut, new books come (BYBIT), or the chain goes on (OKX).
- A round breaks at most half of the venues. In the others nothing may be anything but live, no gap, no new process;
  else the cell fails.

Beside them, {rude} visits of rude clients: silent ones that never read, senders of garbage, half handshakes, comers and
goers, greedy ones. `tickcast.connect` yielded {ticks:,} ticks.

| venue | fault | live again | gaps | books | looks | counters | memory | verdict |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

Gaps that showed after their round (a trade that was lost while a connection was down shows with the next one): {late}.

What the faults are: [faults on demand](reference/faults.md). How much of each: `tickcast.testing.matrix.cells`.
"""


class Result(msgspec.Struct, kw_only=True):
    """A whole run."""

    seed: int
    quick: bool
    took_s: float
    rows: list[Row]
    rude: dict[str, int]
    ticks: int
    late: list[str]
    """Gaps that showed in the round after their cell."""


def line(row: Row) -> str:
    """One row for a terminal."""
    memory = f"{row.growth_kb:+d} KiB {row.grew}"
    return COLUMNS.format(
        row.venue, row.cell, _live(row), row.gaps, row.books, row.looks, row.counters, memory, row.verdict, row.reason
    ).rstrip()


def summary(result: Result) -> str:
    """Last line for a terminal."""
    return f"{len(result.rows)} cells in {result.took_s:.0f} s: {_verdict(result)}"


def page(result: Result) -> str:
    """Markdown of ``docs/faults.md``."""
    rows = [
        f"| {row.venue} | {row.cell} | {_live(row)} | {row.gaps} | {row.books} | {row.looks} | {row.counters} |"
        f" {row.growth_kb:+d} KiB {row.grew} | {row.verdict}{f': {row.reason}' if row.reason else ''} |"
        for row in sorted(result.rows, key=lambda row: (row.venue, row.cell))
    ]
    return PAGE.format(
        command=f"make faults SEED={result.seed}" if not result.quick else f"make faults-quick SEED={result.seed}",
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=_machine(),
        cells=len(rows),
        took_s=result.took_s,
        verdict=_verdict(result),
        rude=sum(result.rude.values()),
        ticks=result.ticks,
        late=len(result.late),
        rows="\n".join(rows),
    )


def _live(row: Row) -> str:
    return "-" if row.live_again_s is None else f"{row.live_again_s:.1f} s"


def _verdict(result: Result) -> str:
    failed = sum(row.verdict != "ok" for row in result.rows)
    return f"{failed} failed" if failed else "all ok"


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
