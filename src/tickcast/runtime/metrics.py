"""Prometheus metrics: one registry per process, names ``tickcast_<stage>_<what>[_unit|_total]``."""

from collections.abc import Callable, Iterable, Mapping
from typing import cast

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tickcast.model.queues import QueueLevel

REGISTRY = CollectorRegistry()


def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
    """Return a new counter ``tickcast_<name>_total``."""
    return Counter(f"tickcast_{name}", text, labels, registry=REGISTRY)


def gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
    """Return a new gauge ``tickcast_<name>``."""
    return Gauge(f"tickcast_{name}", text, labels, registry=REGISTRY)


_queues: dict[str, Callable[[], QueueLevel]] = {}


def watch_queue(
    name: str, *, bound: float | Callable[[], float], depth: Callable[[], float], drops: Callable[[], float]
) -> None:
    """Publish depth, bound and drops of a queue, read at each scrape and by :func:`queue_levels`."""
    _queues[name] = lambda: QueueLevel(depth(), bound() if callable(bound) else bound, drops())


def queue_levels() -> dict[str, QueueLevel]:
    """Return the levels of all queues of this process by name, now."""
    return {name: level() for name, level in _queues.items()}


class QueueExporter(Collector):
    """The queues as metrics: those of this process, and what ``elsewhere`` tells of other processes."""

    def __init__(self, elsewhere: Callable[[], Mapping[str, QueueLevel]] = dict) -> None:
        self.elsewhere = elsewhere

    def collect(self) -> Iterable[Metric]:
        """Three gauges, labelled by queue."""
        depth = GaugeMetricFamily("tickcast_queue_depth", "Entries waiting in a bounded queue.", labels=("queue",))
        bound = GaugeMetricFamily("tickcast_queue_bound", "Most entries a queue may hold.", labels=("queue",))
        drops = GaugeMetricFamily(
            "tickcast_queue_drops",
            "Entries dropped or merged because the queue was full, so far.",
            labels=("queue",),
        )
        for name, level in {**self.elsewhere(), **queue_levels()}.items():
            depth.add_metric((name,), level.depth)
            bound.add_metric((name,), level.bound)
            drops.add_metric((name,), level.drops)
        return depth, bound, drops


QUEUES = QueueExporter()
REGISTRY.register(QUEUES)


class _Merged(Collector):
    """What is registered here, and what ``elsewhere`` tells of other processes; one family for one name."""

    def __init__(self) -> None:
        self.elsewhere: Callable[[], Iterable[Metric]] = tuple

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for family in (*REGISTRY.collect(), *self.elsewhere()):
            known = families.setdefault(family.name, family)
            if known is not family:
                known.samples.extend(family.samples)
        return families.values()


PROCESSES = _Merged()
"""Set ``elsewhere`` to show metrics of other processes at :func:`render`."""


def render() -> bytes:
    """Return the exposition text of everything registered, and of other processes."""
    return generate_latest(cast("CollectorRegistry", PROCESSES))
