"""A process of ``tickcast load``: one plan in, a report a second out, until standard input says ``stop`` or ends."""

import contextlib
import resource
import select
import signal
import sys
from typing import Final

from tickcast import _native
from tickcast.runtime.clock import monotonic_ns

SLICE_S: Final = 0.1
REPORT_NS: Final = 1_000_000_000
STOP_NS: Final = 5_000_000_000
"""How long closes may take."""


def main() -> None:
    """Run the plan in the first line of standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and says stop
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    engine = _native.LoadEngine(sys.stdin.buffer.readline())
    due_ns = monotonic_ns()
    while not _is_stopped():
        engine.run(SLICE_S)
        if monotonic_ns() >= due_ns:
            due_ns += REPORT_NS
            _tell(engine.report())
    _tell(engine.report())
    engine.stop()
    end_ns = monotonic_ns() + STOP_NS
    while monotonic_ns() < end_ns and b'"closing":0' not in engine.report():
        engine.run(SLICE_S)


def _is_stopped() -> bool:
    return bool(select.select([sys.stdin.fileno()], [], [], 0)[0])


def _tell(report: bytes) -> None:
    sys.stdout.buffer.write(b'{"at_ns":%d,%b\n' % (monotonic_ns(), report[1:]))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # the parent is gone
        main()
