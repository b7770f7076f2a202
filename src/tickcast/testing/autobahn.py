"""Autobahn's fuzzing client against :mod:`tickcast.testing.echo`: ``python -m tickcast.testing.autobahn WSTEST``.

``WSTEST`` is the suite's program, which wants Python 2 (``make autobahn`` installs it apart from everything else). A
summary is printed; the status is 1 where a case failed or was not even strict.
"""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

import click
import uvloop

from tickcast.testing.echo import running_echo

AGENT: Final = "tickcast"
NOT_OFFERED: Final = ("12.*", "13.*")
"""Per-message compression."""
FINE: Final = frozenset({"OK", "INFORMATIONAL"})
ATTEMPT_S: Final = 600.0


async def run(wstest: Path, folder: Path, cases: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Run the suite, with its reports in ``folder``; returns its verdict on each case."""
    async with running_echo() as echo:
        servers = [{"agent": AGENT, "url": echo.stream_url, "options": {"version": 18}}]
        settings = {"outdir": str(folder), "servers": servers, "cases": list(cases), "exclude-agent-cases": {}}
        spec = folder / "spec.json"
        spec.write_text(json.dumps({**settings, "exclude-cases": list(NOT_OFFERED)}))
        suite = await asyncio.create_subprocess_exec(
            str(wstest), "-m", "fuzzingclient", "-s", str(spec), stdout=asyncio.subprocess.DEVNULL
        )
        try:
            await asyncio.wait_for(suite.wait(), ATTEMPT_S)
        finally:
            if suite.returncode is None:
                suite.kill()
                await suite.wait()
    verdicts: dict[str, dict[str, Any]] = json.loads((folder / "index.json").read_text())[AGENT]
    return verdicts


def summary(verdicts: dict[str, dict[str, Any]]) -> str:
    """Tell the counts of each verdict by family, and every case that is not fine."""
    families: dict[int, Counter[str]] = {}
    for number, verdict in verdicts.items():
        families.setdefault(int(number.split(".")[0]), Counter())[verdict["behavior"]] += 1
    lines = [
        f"family {family:>2}: " + ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
        for family, counts in sorted(families.items())
    ]
    total = sum(families.values(), Counter[str]())
    lines += [f"{number}: {words[0]}, close {words[1]}" for number, words in broken(verdicts)]
    lines.append(f"{len(verdicts)} cases: " + ", ".join(f"{count} {word}" for word, count in sorted(total.items())))
    return "\n".join(lines)


def broken(verdicts: dict[str, dict[str, Any]]) -> list[tuple[str, tuple[str, str]]]:
    """Cases whose messages or whose close are not as the suite wants them."""
    words = {number: (verdict["behavior"], verdict["behaviorClose"]) for number, verdict in verdicts.items()}
    return [(number, pair) for number, pair in words.items() if not FINE.issuperset(pair)]


@click.command()
@click.argument("wstest", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--reports", default=Path("build/autobahn/reports"), show_default=True, type=click.Path(path_type=Path))
@click.option("--case", "cases", multiple=True, default=("*",), help="Cases to run, such as 6.4.*; all by default.")
def main(wstest: Path, reports: Path, cases: tuple[str, ...]) -> None:
    """Run Autobahn's fuzzing client, the program WSTEST, against an echo on this machine."""
    reports.mkdir(parents=True, exist_ok=True)
    verdicts = uvloop.run(run(wstest, reports.absolute(), cases))
    click.echo(summary(verdicts))
    sys.exit(1 if broken(verdicts) or not verdicts else 0)


if __name__ == "__main__":
    main()
