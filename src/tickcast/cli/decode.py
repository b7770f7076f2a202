"""``tickcast decode``: captured bytes to records."""

import os
import sys
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import IO, Final, Literal

import click

from tickcast.decode.arrow import ArrowSink
from tickcast.decode.output import LineSink
from tickcast.decode.report import Report
from tickcast.decode.run import ALIASES, Options, check_venue
from tickcast.decode.run import decode as decode_files
from tickcast.decode.stream import Sink
from tickcast.decode.summary import SummarySink
from tickcast.model.errors import TickcastError, UsageError

Format = Literal["json", "jsonl", "csv", "arrow"]
CRYPTO: Final = ("BINANCE",)
"""Venues whose feeds stamp an event without a time with the receive time."""


@click.command(name="decode")
@click.argument("venue")
@click.argument("files", nargs=-1, required=True)
@click.option("--format", "form", type=click.Choice(["jsonl", "csv", "arrow", "json"]), help="Default: jsonl.")
@click.option("--summary", is_flag=True, help="Counts and sums instead of records: tables, or JSON (--format json).")
@click.option("--raw", is_flag=True, help="Before arbitration and dedup: both lines, every repeat.")
@click.option("--depth", type=click.IntRange(min=0), help="Book levels a side that are told. Default: all.")
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="Day of times that name none.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write. Default: stdout.")
def decode(
    venue: str,
    files: tuple[str, ...],
    form: Format | None,
    *,
    summary: bool,
    raw: bool,
    depth: int | None,
    day: datetime | None,
    output: Path | None,
) -> None:
    """Decode captured bytes of VENUE to records, one JSON object a line.

    FILES are one stream in the order given; - is the standard input. Length-prefixed ITCH, pcap and pcapng, PITCH text,
    FIX logs and session files are told by their content; each may be compressed (gzip, xz, zstd).

    Exit status: 0 every byte was understood, 3 some were not, 2 unusable input.
    """
    code = check_venue(venue)
    options = Options(raw=raw, day=day.date() if day else None, depth=depth)
    try:
        with ExitStack() as stack:
            out: IO[bytes] = stack.enter_context(_open(output)) if output else sys.stdout.buffer
            report = decode_files(code, files, _sink(code, out, form, summary=summary), options)
            out.flush()
    except BrokenPipeError:  # the reader has seen enough
        _forget_stdout()
        return
    except OSError as error:
        if output is None:
            _forget_stdout()
        place = output or "standard output"
        raise TickcastError(f"{place}: expected to write there, found: {error.strerror}; records are missing") from None
    _tell(report)
    if report.exit_status:
        sys.exit(report.exit_status)


def _open(output: Path) -> IO[bytes]:
    try:
        return output.open("wb")
    except OSError as error:
        raise UsageError(f"--output: expected a file to write, found {output}: {error.strerror}") from None


def _forget_stdout() -> None:
    """Let what the interpreter would flush at exit go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _sink(venue: str, out: IO[bytes], form: Format | None, *, summary: bool) -> Sink:
    if summary:
        if form not in {None, "json"}:
            raise UsageError(f"--summary: expected --format json or none, found {form}")
        return SummarySink(venue, out, table=form is None and out.isatty())
    if form == "json":
        raise UsageError("--format json is for --summary; records are jsonl, csv or arrow")
    family = ALIASES.get(venue, venue)
    substitute_times, reasons = family in CRYPTO, family in {"XNAS", "BATS"}
    if form == "arrow":
        return ArrowSink(venue, out, substitute_times=substitute_times, reasons=reasons)
    return LineSink(venue, out, csv=form == "csv", substitute_times=substitute_times, reasons=reasons)


def _tell(report: Report) -> None:
    """Say on stderr what a reader should know."""
    for note in report.notes:
        click.echo(f"tickcast: {note}", err=True)
    if report.first is None:
        return
    spot = report.first
    click.echo(
        f"tickcast: {report.dead_letters} dead letters, {report.unknown} of unknown kind; "
        f"the first at byte {max(spot.offset, 0)} of {spot.file}: {spot.reason}",
        err=True,
    )
