"""Metrics of the gateway's workers at the core's ``/metrics``: each worker leaves its own in a file, once a second.

A scrape reaches one process, and which worker answers on the shared port is chance. So the core shows them all, with
the label ``process``. A file is replaced as a whole; one that is older than :data:`FRESH_S` belongs to a worker that
is gone or stopped, and is left out.
"""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from prometheus_client.core import Metric

from tickcast.ports import Clock
from tickcast.runtime import metrics
from tickcast.runtime.log import get_logger

log = get_logger("ops")

FRESH_S: Final = 5.0
LABEL: Final = "process"
_SUFFIX: Final = ".metrics"


class _Family(msgspec.Struct, frozen=True, array_like=True):
    name: str
    text: str
    kind: str
    samples: list[tuple[str, dict[str, str], float]]


class _Written(msgspec.Struct, frozen=True, array_like=True):
    at_ns: int
    families: list[_Family]


class MetricsFile:
    """What one process leaves of its metrics."""

    def __init__(self, folder: Path, name: str, clock: Clock) -> None:
        folder.mkdir(exist_ok=True)
        self._path = folder / f"{name}{_SUFFIX}"
        self._clock = clock
        self._is_broken = False

    def write(self) -> None:
        """Write the newest values; a full disk is said once and harms nothing."""
        families = [
            _Family(
                family.name,
                family.documentation,
                family.type,
                [(sample.name, dict(sample.labels), float(sample.value)) for sample in family.samples],
            )
            for family in metrics.REGISTRY.collect()
        ]
        new = self._path.with_suffix(".new")
        try:
            new.write_bytes(msgspec.msgpack.encode(_Written(self._clock(), families)))
            new.replace(self._path)
        except OSError as wrong:
            if not self._is_broken:
                log.warning("metrics cannot be left for the core", path=str(self._path), reason=str(wrong))
            self._is_broken = True
        else:
            self._is_broken = False

    def remove(self) -> None:
        """Take the file away."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def read_all(folder: Path, clock: Clock) -> Iterable[Metric]:
    """What the processes left in a folder, labelled with their names."""
    decoder = msgspec.msgpack.Decoder(_Written)
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            written = decoder.decode(path.read_bytes())
        except (OSError, msgspec.MsgspecError):
            continue  # it was taken away, or is not ours
        if abs(clock() - written.at_ns) > FRESH_S * 1e9:
            continue
        for family in written.families:
            metric = Metric(family.name, family.text, family.kind)
            for name, labels, value in family.samples:
                metric.add_sample(name, {**labels, LABEL: path.stem}, value)
            yield metric
