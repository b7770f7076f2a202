"""Prometheus metrics: one registry per process, names ``tickcast_<stage>_<what>[_unit|_total]``."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

REGISTRY = CollectorRegistry()


def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
    """Return a new counter ``tickcast_<name>_total``."""
    return Counter(f"tickcast_{name}", text, labels, registry=REGISTRY)


def gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
    """Return a new gauge ``tickcast_<name>``."""
    return Gauge(f"tickcast_{name}", text, labels, registry=REGISTRY)


_queue_depth = gauge("queue_depth", "Entries waiting in a bounded queue.", ("queue",))
_queue_bound = gauge("queue_bound", "Most entries a queue may hold.", ("queue",))
_queue_drops = gauge("queue_drops", "Entries dropped or merged because the queue was full, so far.", ("queue",))


def watch_queue(name: str, *, bound: float, depth: Callable[[], float], drops: Callable[[], float]) -> None:
    """Publish depth, bound and drops of a queue, read at each scrape."""
    _queue_bound.labels(name).set(bound)
    _queue_depth.labels(name).set_function(depth)
    _queue_drops.labels(name).set_function(drops)


def render() -> bytes:
    """Return the exposition text of everything registered."""
    return generate_latest(REGISTRY)
