"""The feeds as metrics of the core: what they report of themselves, as ``/feeds`` shows it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tickcast.model.health import FeedCondition
from tickcast.runtime.metrics import REGISTRY

LABELS: Final = ("feed", "venue")
LINES: Final = {
    "first": "Messages that came on this line before the other one had them.",
    "late": "Messages that the other line had already.",
    "missing": "Messages that only the other line brought.",
    "lead_ms": "Median of how far ahead the line was where it was first.",
}
"""Of instruments that come over two connections; their counts begin anew with the feed's process."""
GAUGES: Final = {
    "rate": "Messages a second over the last few seconds; 0 when the feed is gone.",
    "lag_ms": "How long the newest batch was on the bus.",
    "connections": "Connections to the venue, open now.",
}
CLOCKS: Final = {
    "offset_ms": "How far the venue's clock is ahead of ours.",
    "uncertainty_ms": "How far the offset may be from the truth; absent where nothing bounds it.",
    "steps": "How often one of the two clocks was set.",
}
COUNTERS: Final = {
    "messages": "Messages of the venue since the feed's process started.",
    "records": "Records published since the feed's process started.",
    "reconnects": "Connections opened again since the feed's process started.",
    "planned_reconnects": "Connections that were replaced before they ended, since the feed's process started.",
    "overlap_removed": "Rows that came twice, and were told once, since the feed's process started.",
    "restarts": "Starts of the feed's process after the first.",
    "gaps": "Gaps since the feed's process started.",
    "dead_letters": "Messages and records that could not be used, since the feed's process started.",
    "dropped": "Quotes conflated away because the bus was full, since the feed's process started.",
}


class FeedExporter(Collector):
    """Rows of ``/feeds`` as metrics, read at each scrape; ``rows`` is set by who knows the feeds."""

    def __init__(self, rows: Callable[[], Sequence[Mapping[str, Any]]] = list) -> None:
        self.rows = rows

    def collect(self) -> Iterable[Metric]:
        """One family a figure, labelled by feed and venue."""
        rows = self.rows()
        state = GaugeMetricFamily("tickcast_feed_state", "1 for the state the feed is in.", labels=(*LABELS, "state"))
        for row in rows:
            for name in get_args(FeedCondition):
                state.add_metric((row["name"], row["venue"], name), float(row["state"] == name))
        yield state
        for key, text in GAUGES.items():
            yield _filled(GaugeMetricFamily(f"tickcast_feed_{key}", text, labels=LABELS), key, rows)
        for key, text in CLOCKS.items():
            clocks = GaugeMetricFamily(f"tickcast_feed_clock_{key}", text, labels=LABELS)
            for row in rows:
                if row.get("clock") and row["clock"][key] is not None:
                    clocks.add_metric((row["name"], row["venue"]), row["clock"][key])
            yield clocks
        for key, text in COUNTERS.items():
            yield _filled(CounterMetricFamily(f"tickcast_feed_{key}", text, labels=LABELS), key, rows)
        yield from _of_lines(rows)


def _of_lines(rows: Sequence[Mapping[str, Any]]) -> Iterable[Metric]:
    for key, text in LINES.items():
        family = GaugeMetricFamily(f"tickcast_feed_line_{key}", text, labels=(*LABELS, "line", "link"))
        for row in rows:
            for line in row.get("lines", ()):
                family.add_metric((row["name"], row["venue"], line["line"], line["link"]), line[key])
        yield family


def _filled(
    family: GaugeMetricFamily | CounterMetricFamily, key: str, rows: Sequence[Mapping[str, Any]]
) -> GaugeMetricFamily | CounterMetricFamily:
    for row in rows:
        family.add_metric((row["name"], row["venue"]), row[key])
    return family


FEEDS: Final = FeedExporter()
"""The one of this process."""
REGISTRY.register(FEEDS)
