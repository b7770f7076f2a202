"""``tickcast load``: many simulated clients, to see what a deployment carries."""

import contextlib
import os
import resource
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, Final, Self, cast

import click
import msgspec
from rich.console import Console
from rich.live import Live

from tickcast.cli.instance import data_option, gateway_address, print_json, token_option
from tickcast.cli.load_plan import Asked, Plan, chosen, divide, locate
from tickcast.cli.load_report import Report, document, is_sound, line, table, total
from tickcast.model.errors import StateError
from tickcast.ops.datadir import DataDir
from tickcast.runtime.clock import monotonic_ns

CHILD: Final = "tickcast.cli.load_child"
STOP_S: Final = 8.0
_INT: Final = click.IntRange(min=1)


@click.command()
@click.option("--clients", type=click.IntRange(1, 1_000_000), default=1_000, show_default=True, help="Connections.")
@click.option("--symbols", type=_INT, default=20, show_default=True, help="Symbols that each client watches.")
@click.option(
    "--symbol",
    "names",
    multiple=True,
    help="Choose from these only: a symbol or a pattern such as XNAS:*; again for more.",
)
@click.option("--spread", type=click.Choice(["same", "round-robin", "zipf"]), default="same", show_default=True,
              help="Who watches what: all the same, one after another, or few symbols by many.")  # fmt: skip
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    help="Most updates a second of each symbol; 0 = unfiltered [default: the gateway's].",
)
@click.option(
    "--codec",
    type=click.Choice(["json", "msgpack", "compact", "proto"]),
    default="json",
    show_default=True,
    help="How messages are written; compact is MessagePack without keys.",
)
@click.option("--channel", default="price", show_default=True, help="Channel to watch.")
@click.option("--depth", type=_INT, help="Levels of the channel book.")
@click.option("--interval", help="Of the channel bars: 1s or 1m.")
@click.option("--mode", type=click.Choice(["merge", "all", "keyed"]), help="[default: the channel's].")
@click.option(
    "--field", "fields", multiple=True, help="A field of the channel price to ask for; again for more [default: all]."
)
@click.option(
    "--numbers", type=click.Choice(["number", "string"]), default="number", show_default=True, help="Prices in JSON."
)
@click.option("--batch", is_flag=True, help="Several frames a message.")
@click.option("--latency", type=click.Choice(["server", "exchange", "ping"]), default="server", show_default=True,
              help="Measure by server_timestamp, by the exchange's timestamp, or by pings only.")  # fmt: skip
@click.option(
    "--connect-rate",
    type=click.FloatRange(1, 100_000),
    default=2_000,
    show_default=True,
    help="New connections a second.",
)
@click.option("--churn", type=click.FloatRange(0, 100_000), default=0, show_default=True,
              help="Clients a second that leave, come back and resume.")  # fmt: skip
@click.option(
    "--duration",
    type=click.FloatRange(1, 86_400),
    default=30,
    show_default=True,
    help="Seconds to measure, once all are open.",
)
@click.option("--updates", "updates_max", type=_INT, help="Stop after so many updates.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0.1, 600),
    default=10,
    show_default=True,
    help="Seconds for each connection to open.",
)
@click.option(
    "--tries",
    type=click.IntRange(1, 100),
    default=5,
    show_default=True,
    help="Tries to connect before a client is given up.",
)
@click.option("--no-reconnect", is_flag=True, help="Stay away after a close.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    help="Local address to connect from; again for more [default: on loopback as many as needed].",
)
@click.option("--per-process", type=_INT, help="Clients of a process [default: 15,000 or what open files allow].")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the spread zipf and of churn.")
@click.option("--url", help="Address of the gateway, such as ws://127.0.0.1:8000; wss:// is not spoken.")
@token_option
@data_option
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object, without progress.")
def load(
    *, duration: float, updates_max: int | None, no_reconnect: bool, numbers: str, url: str | None, data: DataDir,
    as_json: bool, fields: tuple[str, ...], **given: Any,
) -> None:  # fmt: skip
    """Load a gateway with simulated clients, and report what they get.

    The clients spread over processes of their own. First all of them connect, then --duration seconds are measured;
    SIGINT ends it earlier, with the report. Exit status: 0 every client was acknowledged and nothing was wrong, 1 not
    so, or no gateway, 2 a wrong option, unknown symbols, too few open files or ports.
    """
    asked = Asked(
        url=url or gateway_address(data),
        strings=numbers == "string",
        fields=fields or None,
        reconnect=not no_reconnect,
        **given,
    )
    target = locate(asked.url)
    plans = divide(asked, target, chosen(target.http, asked))
    console = Console(stderr=as_json)
    with Processes(plans) as processes, _interrupts() as is_interrupted:
        run = Run(asked, processes, duration_s=duration, updates_max=updates_max)
        run.go(is_interrupted, console, is_quiet=as_json)
    result = run.result()
    if as_json:
        print_json(result)
    else:
        console.print(table(result))
    if not is_sound(run.report, 0 if run.ended == "interrupted" else asked.clients):
        raise StateError(_complaint(run.report, asked.clients))


def _complaint(report: Report, clients: int) -> str:
    tally = report.tally
    reasons = [*tally.refused, *tally.troubles, *(f"error {code}: {text}" for code, (_, text) in tally.errors.items())]
    reasons += [f"closed with {code}" for code in tally.closed]
    why = "; ".join(reasons[:5]) or "no answer in time"
    return f"expected {clients:,} clients served without errors, found {tally.reached:,} reached: {why}"


class Processes:
    """The processes that hold the clients; each reports once a second."""

    def __init__(self, plans: Sequence[Plan]) -> None:
        self._plans = plans
        self._children: list[subprocess.Popen[bytes]] = []
        self._selector = selectors.DefaultSelector()
        self._partial: list[bytes] = []
        self.reports = [Report() for _ in plans]

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", CHILD]
        for place, plan in enumerate(self._plans):
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603  our own module
            self._children.append(child)
            self._partial.append(b"")
            cast("IO[bytes]", child.stdin).write(msgspec.json.encode(plan) + b"\n")
            cast("IO[bytes]", child.stdin).flush()
            output = cast("IO[bytes]", child.stdout)
            os.set_blocking(output.fileno(), False)
            self._selector.register(output, selectors.EVENT_READ, place)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for child in self._children:
            try:
                child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            cast("IO[bytes]", child.stdout).close()
        self._selector.close()

    def stop(self) -> None:
        """Let all of them make their last report and close their clients."""
        for child in self._children:
            with contextlib.suppress(OSError):
                cast("IO[bytes]", child.stdin).close()

    def read(self, timeout_s: float) -> bool:
        """Take in reports for so long; whether any process still speaks.

        Raises:
            StateError: a process ended by itself.
        """
        for key, _ in self._selector.select(timeout_s):
            data = os.read(key.fd, 1 << 20)
            if not data:
                self._selector.unregister(key.fileobj)
                self._check(key.data)
                continue
            *lines, self._partial[key.data] = (self._partial[key.data] + data).split(b"\n")
            if lines:
                self.reports[key.data] = msgspec.json.decode(lines[-1], type=Report)
        return bool(self._selector.get_map())

    def _check(self, place: int) -> None:
        child = self._children[place]
        status = child.wait(STOP_S)
        if status:
            raise StateError(f"a process of the load tool ended with status {status}; what it said is above")


class Run:
    """From the first connection to the last report."""

    def __init__(self, asked: Asked, processes: Processes, *, duration_s: float, updates_max: int | None) -> None:
        self._asked = asked
        self._processes = processes
        self._duration_s = duration_s
        self._updates_max = updates_max
        self._began_ns = monotonic_ns()
        self._measured_ns = 0
        self._base = Report()
        self._shown = Report(at_ns=self._began_ns)
        self.report = Report()
        self.ended = ""

    def go(self, is_interrupted: Callable[[], bool], console: Console, *, is_quiet: bool) -> None:
        """Show progress once a second until it is over; then collect the last reports."""
        with self._progress(console, is_quiet=is_quiet) as show:
            while not self.ended:
                due_ns = monotonic_ns() + 1_000_000_000
                while monotonic_ns() < due_ns and not is_interrupted():
                    self._processes.read(0.05)
                self.report = total(self._processes.reports)
                self.ended = "interrupted" if is_interrupted() else self._over()
                show()
        self._processes.stop()
        end_ns = monotonic_ns() + round(STOP_S * 1e9)
        while self._processes.read(0.1) and monotonic_ns() < end_ns:
            pass
        self.report = total(self._processes.reports)

    def _over(self) -> str:
        """Why it is over; empty = it is not."""
        now_ns = monotonic_ns()
        phases, tally = self.report.phases, self.report.tally
        if not self._measured_ns:
            asked = self._asked
            patience_s = 2 * asked.clients / asked.connect_rate + 2 * asked.timeout_s + 5
            is_late = now_ns - self._began_ns > patience_s * 1e9
            if phases.failed >= asked.clients:
                return "no client could connect"
            if tally.reached + phases.failed >= asked.clients or is_late:
                self._measured_ns, self._base = now_ns, self.report
        elif now_ns - self._measured_ns >= self._duration_s * 1e9:
            return "duration"
        elif phases.failed >= self._asked.clients:
            return "all clients were given up"
        if self._updates_max and tally.delivered >= self._updates_max:
            return "updates"
        return ""

    def result(self, since: Report | None = None) -> dict[str, Any]:
        """What was found since the measuring began, or since a moment; so far."""
        base = since or (self._base if self._measured_ns else Report(at_ns=self._began_ns))
        return document(
            self.report,
            base,
            clients=self._asked.clients,
            latency=self._asked.latency,
            cpu_s=_cpu_s() if self.ended else None,
            ended=self.ended,
        )

    @contextlib.contextmanager
    def _progress(self, console: Console, *, is_quiet: bool) -> Iterator[Callable[[], None]]:
        """Give what shows the last second."""

        def last_second() -> dict[str, Any]:
            shown = self.result(self._shown)
            self._shown = self.report
            return shown

        if is_quiet:
            yield lambda: None
        elif console.is_terminal:
            with Live(console=console, auto_refresh=False, transient=True) as view:
                yield lambda: view.update(table(last_second()), refresh=True)
        else:
            yield lambda: click.echo(line(last_second()))


def _cpu_s() -> float:
    """CPU seconds of this process and of its children that have ended."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


@contextlib.contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Notice SIGINT and SIGTERM rather than end by them."""
    heard: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    former = [signal.signal(number, lambda got, _: heard.append(got)) for number in numbers]
    try:
        yield lambda: bool(heard)
    finally:
        for number, handler in zip(numbers, former, strict=True):
            signal.signal(number, handler)
