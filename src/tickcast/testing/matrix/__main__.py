"""The command: ``python -m tickcast.testing.matrix``."""

import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import click
import msgspec

from tickcast.cli.demo_market import EXCHANGES
from tickcast.runtime.clock import monotonic_ns
from tickcast.testing.cut import can_cut
from tickcast.testing.matrix import report
from tickcast.testing.matrix.cells import (
    Cell,
    common_cells,
    process_cells,
    rounds,
    sample,
    some,
    venue_cells,
    worker_cells,
)
from tickcast.testing.matrix.run import NEVER_S, Matrix, Row
from tickcast.testing.matrix.subject import Subject

RATE: Final = 800.0
SYMBOLS: Final = 20
QUICK_EACH: Final = 1
QUICK_EXCHANGES: Final = 6
WORKER_EXCHANGES: Final = 4
"""Simulated while the gateway's workers are broken: it is not the feeds that matter then."""
WORKERS: Final = 2


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seed", type=int, default=1, show_default=True, help="Order of the cells, and the market.")
@click.option("--quick", is_flag=True, help="A cell each of some venues, others with another seed: about a minute.")
@click.option("--venue", "venues", multiple=True, help="Only faults of these venues.")
@click.option("--exchange", "exchanges", multiple=True, help="Simulate these; by default all.")
@click.option("--only", default="", help="Only cells whose name contains this.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the rows there too.")
@click.option("--write-docs", type=click.Path(path_type=Path), help="Write this page: docs/faults.md.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keep the instance's files here.")
def main(
    *,
    seed: int,
    quick: bool,
    venues: tuple[str, ...],
    exchanges: tuple[str, ...],
    only: str,
    json_path: Path | None,
    write_docs: Path | None,
    folder: Path | None,
) -> None:
    """Run every protocol with every fault and every process with kill and stop; exit status 1 if a cell fails."""
    began_ns = monotonic_ns()
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))  # the instance ends with us
    with ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tickcast-matrix-")))
        chosen = exchanges or (some(tuple(EXCHANGES), seed=seed, count=QUICK_EXCHANGES) if quick else tuple(EXCHANGES))
        subject = stack.enter_context(Subject(place, rate=RATE, symbols=SYMBOLS, exchanges=chosen))
        subject.wait_ready(deadline_s=NEVER_S)
        planned = _plan(subject, seed=seed, quick=quick, venues=venues, only=only)
        worker_planned = [] if quick or venues else _worker_plan(only)
        if not planned and not worker_planned:
            raise click.UsageError(f"expected cells of {', '.join(subject.faults())}, found none that is asked for")
        click.echo(f"{sum(map(len, planned))} cells in {len(planned)} rounds, seed {seed}", err=True)
        click.echo(report.HEAD)
        matrix = Matrix(subject, stack, tell=_tell)
        rows = [row for cells in planned for row in matrix.round(cells)]
        attempts = dict(matrix.crowd.attempts)
        ticks, late = matrix.watcher.count, list(matrix.late)
    if worker_planned:
        with ExitStack() as stack:
            place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tickcast-matrix-")))
            matrix = _with_workers(stack, place / "workers", chosen[:WORKER_EXCHANGES])
            rows += [row for cell in worker_planned for row in matrix.round([cell])]
            attempts = {what: attempts.get(what, 0) + count for what, count in matrix.crowd.attempts.items()}
            ticks, late = ticks + matrix.watcher.count, late + matrix.late
    result = report.Result(
        seed=seed,
        quick=quick,
        took_s=round((monotonic_ns() - began_ns) / 1e9, 1),
        rows=rows,
        rude=attempts,
        ticks=ticks,
        late=late,
    )
    click.echo(report.summary(result))
    if json_path is not None:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    if write_docs is not None:
        write_docs.write_text(report.page(result), encoding="utf-8")
    sys.exit(any(row.verdict != "ok" for row in rows))


def _with_workers(stack: ExitStack, place: Path, exchanges: Sequence[str]) -> Matrix:
    """Start an instance of its own whose gateway is two processes."""
    tables = {"gateway": f"workers = {WORKERS}"}
    subject = stack.enter_context(Subject(place, tables, rate=RATE, symbols=SYMBOLS, exchanges=exchanges))
    subject.wait_ready(deadline_s=NEVER_S)
    return Matrix(subject, stack, tell=_tell)


def _worker_plan(only: str) -> list[Cell]:
    is_able = can_cut()
    if not is_able:
        click.echo("left out: links that are cut; this machine lets nobody have another process's sockets", err=True)
    return [cell for cell in worker_cells(can_cut=is_able) if only in cell.name]


def _plan(subject: Subject, *, seed: int, quick: bool, venues: tuple[str, ...], only: str) -> list[list[Cell]]:
    """Rounds of cells: venues side by side, then what serves all of them."""
    feeds = process_cells(subject.feed_names())
    gates = subject.faults()
    cells = {
        venue: [*venue_cells(venue, gate), *(cell for cell in feeds if cell.venue == venue)]
        for venue, gate in gates.items()
    }
    common = common_cells()
    if venues:
        cells = {venue: listed for venue, listed in cells.items() if venue in venues}
        common = [cell for cell in common if cell.venue in venues]
    if only:
        cells = {venue: [cell for cell in listed if only in cell.name] for venue, listed in cells.items()}
        common = [cell for cell in common if only in cell.name]
    if quick:
        cells = sample(cells, seed=seed, each=QUICK_EACH)
        common = [cell for cell in common if cell.name == "kill core"]
    return [*rounds(cells, seed=seed, venues=len(gates)), *([cell] for cell in common)]


def _tell(row: Row) -> None:
    click.echo(report.line(row))


if __name__ == "__main__":
    main()
