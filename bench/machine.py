"""What every benchmark says of the machine, and how it counts CPU time. Not to be run by itself."""

import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def facts() -> dict[str, object]:
    """Processor, kernel, versions, and the load of the moment."""
    return {
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": load_average(),
    }


def load_average() -> float:
    """Of the last minute."""
    return round(os.getloadavg()[0], 2)


def cpu_s(pid: int) -> tuple[float, float]:
    """User and system seconds that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return int(fields[11]) / TICKS_PER_S, int(fields[12]) / TICKS_PER_S


def busy_s() -> float:
    """CPU seconds that all processes of the machine have used together."""
    fields = [int(field) for field in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]]
    idle = fields[3] + fields[4]
    return (sum(fields[:8]) - idle) / TICKS_PER_S


def prefer(pids: Iterable[int], nice: int) -> None:
    """Give processes a priority: for a machine that others use at the same time. Below 0 needs root.

    Linux schedules sessions as groups (autogroup), so that a process alone in its session needs both.
    """
    for pid in pids if nice else ():
        os.setpriority(os.PRIO_PROCESS, pid, nice)
        group = Path(f"/proc/{pid}/autogroup")
        if group.exists():
            group.write_text(str(nice), encoding="ascii")


def example(name: str) -> str:
    """Build one of the core's examples (its native clients and sources), and say where it is."""
    command = ["cargo", "build", "--quiet", "--release", "--package", "tickcast-core", "--example", name]
    subprocess.run(command, cwd=ROOT, check=True)
    return str(ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release/examples" / name)


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
