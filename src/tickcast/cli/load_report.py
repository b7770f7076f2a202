"""What ``tickcast load`` found: counts of all its processes added up, percentiles, and how people see them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec
from rich.table import Table

from tickcast import _native
from tickcast.cli.load_plan import LatencySource

PERCENTILES: Final = (50, 95, 99)
SOURCES: Final = {
    "server": "server_timestamp of updates to their reading here; to the millisecond, read by both clocks",
    "exchange": "exchange's timestamp to the reading here; by both clocks, old trades that were replayed included",
    "ping": "request ping to its pong, one client at a time",
    "open": "beginning of a connection to its acknowledgement",
}
"""What each latency is."""

Bins = list[tuple[int, int]]


class Phases(msgspec.Struct):
    """Clients in each phase."""

    waiting: int = 0
    opening: int = 0
    open: int = 0
    closing: int = 0
    failed: int = 0


class Tally(msgspec.Struct, kw_only=True):
    """Counts since the beginning; ``native/crates/load/src/tally.rs`` says what each is."""

    connected: int = 0
    acknowledged: int = 0
    reached: int = 0
    retries: int = 0
    refused: dict[str, int] = {}
    closed: dict[str, int] = {}
    errors: dict[str, tuple[int, str]] = {}
    troubles: dict[str, int] = {}
    unknown: dict[str, int] = {}
    bytes: int = 0
    reads: int = 0
    messages: int = 0
    updates: int = 0
    trades: int = 0
    bars: int = 0
    snapshots: int = 0
    statuses: int = 0
    heartbeats: int = 0
    others: int = 0
    merged: int = 0
    lost: int = 0
    lost_frames: int = 0
    epochs: int = 0
    churned: int = 0
    recovered: int = 0
    not_recovered: dict[str, int] = {}
    pings: int = 0
    server_latency: Bins = []
    exchange_latency: Bins = []
    ping_latency: Bins = []
    open_latency: Bins = []
    clock_offset: tuple[int, int] | None = None

    @property
    def delivered(self) -> int:
        """Updates of all channels."""
        return self.updates + self.trades + self.bars


class Report(msgspec.Struct, kw_only=True):
    """Of one process, or the sum of all."""

    at_ns: int = 0
    """When, by the monotonic clock; of a sum the mean."""
    phases: Phases = msgspec.field(default_factory=Phases)
    tally: Tally = msgspec.field(default_factory=Tally)


def total(reports: Sequence[Report]) -> Report:
    """Add up the reports of all processes."""
    phases = Phases(*(sum(getattr(r.phases, name) for r in reports) for name in Phases.__struct_fields__))
    tally = Tally()
    for name in Tally.__struct_fields__:
        setattr(tally, name, _sum(name, [getattr(report.tally, name) for report in reports]))
    return Report(at_ns=sum(report.at_ns for report in reports) // max(1, len(reports)), phases=phases, tally=tally)


def _sum(name: str, values: Sequence[Any]) -> Any:
    if name == "clock_offset":
        return min((value for value in values if value is not None), key=lambda value: value[1], default=None)
    if name == "errors":
        errors: dict[str, tuple[int, str]] = {}
        for value in values:
            for code, (count, reason) in value.items():
                known, first = errors.get(code, (0, reason))
                errors[code] = (known + count, first)
        return errors
    if name.endswith("_latency"):
        bins: Counter[int] = Counter()
        for value in values:
            bins.update(dict(value))
        return sorted(bins.items())
    if values and isinstance(values[0], Mapping):
        counts: Counter[str] = Counter()
        for value in values:
            counts.update(value)
        return dict(counts)
    return sum(values)


def percentiles(bins: Bins, before: Bins = []) -> dict[str, float] | None:  # noqa: B006  only read
    """p50, p95 and p99 in ms of what came after ``before``; None if nothing did."""
    counts = Counter(dict(bins))
    counts.subtract(dict(before))
    count = sum(counts.values())
    if not count:
        return None
    found: dict[str, float] = {}
    seen = 0
    wanted = list(PERCENTILES)
    for place in sorted(counts):
        seen += counts[place]
        while wanted and seen * 100 >= wanted[0] * count:
            found[f"p{wanted.pop(0)}"] = round(_middles()[place] / 1000, 3)
    return {"count": count, **found}


@cache
def _middles() -> list[float]:
    return _native.load_bins()


def is_sound(report: Report, clients: int) -> bool:
    """Whether every client was there, and nothing happened that must not."""
    tally = report.tally
    return tally.reached >= clients and not (tally.errors or tally.troubles or report.phases.failed)


def document(
    report: Report, base: Report, *, clients: int, latency: LatencySource, cpu_s: float | None, ended: str
) -> dict[str, Any]:
    """Make the result as JSON: rates and latencies since ``base``, counts since the beginning."""
    now, then = report.tally, base.tally
    elapsed_s = max(0, report.at_ns - base.at_ns) / 1e9
    per_s = max(elapsed_s, 1e-3)
    sources = ["ping", "open"] if latency == "ping" else [latency, "ping", "open"]
    rows = {}
    for name in sources:
        bins, before = getattr(now, f"{name}_latency"), getattr(then, f"{name}_latency")
        found = percentiles(bins, [] if name == "open" else before)
        rows[name] = None if found is None else {**found, "of": SOURCES[name]}
    errors = {code: {"count": count, "reason": reason} for code, (count, reason) in now.errors.items()}
    return {
        "clients": clients,
        "ended": ended,
        "measured_s": round(elapsed_s, 3),
        "connections": msgspec.to_builtins(report.phases) | {
            "reached": now.reached, "acknowledged": now.acknowledged, "retries": now.retries,
            "refused": now.refused, "closed": now.closed,
        },
        "per_s": {
            "updates": round((now.delivered - then.delivered) / per_s, 1),
            "messages": round((now.messages - then.messages) / per_s, 1),
            "bytes": round((now.bytes - then.bytes) / per_s, 1),
        },
        "latency_ms": rows,
        "clock_offset_ms": None if now.clock_offset is None else round(now.clock_offset[0] / 1e6, 3),
        "counts": {
            name: getattr(now, name)
            for name in (
                "updates", "trades", "bars", "snapshots", "statuses", "heartbeats", "others", "messages", "bytes",
                "merged", "lost", "lost_frames", "epochs",
            )
        },
        "churn": {"churned": now.churned, "recovered": now.recovered, "not_recovered": now.not_recovered},
        "errors": errors,
        "troubles": now.troubles,
        "unknown_symbols": now.unknown,
        "cpu_s": None if cpu_s is None else round(cpu_s, 3),
    }  # fmt: skip


def table(result: Mapping[str, Any]) -> Table:
    """Show a result to people."""
    shown = Table(show_header=False, box=None, pad_edge=False)
    shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    for name, value in _rows(result):
        shown.add_row(name, value)
    return shown


def line(result: Mapping[str, Any]) -> str:
    """One line of progress, where stdout is no terminal."""
    places, per_s, counts = result["connections"], result["per_s"], result["counts"]
    latency = " ".join(f"{name} p99 {row['p99']:g} ms" for name, row in result["latency_ms"].items() if row)
    return (
        f"open {places['open']:,} opening {places['opening']:,} waiting {places['waiting']:,} "
        f"failed {places['failed']:,} | "
        f"{per_s['updates']:,.0f} updates/s {per_s['bytes'] / 1e6:,.2f} MB/s | merged {counts['merged']:,} "
        f"lost {counts['lost']:,} | {latency}"
    ).rstrip(" |")


def _rows(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    places, per_s, counts, churn = result["connections"], result["per_s"], result["counts"], result["churn"]
    names = ("open", "opening", "waiting", "failed", "closing")
    rows = [
        ("connections", f"{result['clients']:,} clients: " + ", ".join(f"{places[name]:,} {name}" for name in names)),
        (
            "per second",
            f"{per_s['updates']:,.0f} updates, {per_s['messages']:,.0f} messages, {per_s['bytes'] / 1e6:,.2f} MB",
        ),
    ]
    for name, row in result["latency_ms"].items():
        times = "none yet" if row is None else " / ".join(f"{row[f'p{place}']:g}" for place in PERCENTILES)
        rows.append((f"latency ({name})", f"{times} ms (p50 / p95 / p99): {SOURCES[name]}"))
    if result["clock_offset_ms"] is not None:
        rows.append(("server's clock", f"{result['clock_offset_ms']:+g} ms to ours, by the fastest ping"))
    kinds = ("updates", "trades", "bars", "snapshots", "statuses", "heartbeats")
    rows += [
        ("received", ", ".join(f"{counts[name]:,} {name}" for name in kinds if counts[name]) or "nothing"),
        ("merged", f"{counts['merged']:,}"),
        (
            "lost",
            f"{counts['lost']:,}" + (f" ({counts['lost_frames']:,} lost frames)" if counts["lost_frames"] else ""),
        ),
    ]
    if churn["churned"] or churn["recovered"] or churn["not_recovered"]:
        lost = ", ".join(f"{count:,} {reason}" for reason, count in churn["not_recovered"].items()) or "0"
        rows.append(
            (
                "came back",
                f"{churn['churned']:,} clients; symbols recovered {churn['recovered']:,}, not recovered {lost}",
            )
        )
    rows += [
        (title, ", ".join(f"{key}: {value:,}" for key, value in counted.items()))
        for title, counted in (
            ("refused", places["refused"]), ("closed", places["closed"]), ("troubles", result["troubles"]),
            ("unknown symbols", result["unknown_symbols"]),
        )
        if counted
    ]  # fmt: skip
    rows += [(f"error {code}", f"{error['count']:,}: {error['reason']}") for code, error in result["errors"].items()]
    return rows if result["cpu_s"] is None else [*rows, ("CPU of the tool", f"{result['cpu_s']:.2f} s")]
