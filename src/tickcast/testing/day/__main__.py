"""The command: ``python -m tickcast.testing.day``."""

import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import click
import msgspec

from tickcast.runtime.clock import monotonic_ns, pause
from tickcast.testing.day import plan, report
from tickcast.testing.day.crowd import Crowd
from tickcast.testing.day.run import FINE, Day, Outcome
from tickcast.testing.day.subject import DaySubject, crypto_venues, pairs_for
from tickcast.testing.instance import eventually

START_S: Final = 180.0
"""Longest time until every instrument of every venue is live."""
STRIKE_S: Final = 15.0
"""Mean time between two faults of one venue."""
BURST_S: Final = 40.0
STILL_S: Final = 2.0
CALM_PART: Final = 0.1
"""Of the day: at its end no more faults begin."""
QUICK_MINUTES: Final = 0.4
QUICK_VENUES: Final = 3
QUICK_INSTRUMENTS: Final = 30
QUICK_CLIENTS: Final = 20
QUICK_STRIKE_S: Final = 4.0
RATE: Final = 1_500.0
QUICK_RATE: Final = 200.0
EACH: Final = 8
"""Symbols that a client watches."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seed", type=int, default=1, show_default=True, help="The market, the faults, the clients.")
@click.option("--minutes", type=click.FloatRange(0.1, 600), default=5.0, show_default=True, help="How long a day is.")
@click.option("--quick", is_flag=True, help="Half a minute with few venues, instruments and clients.")
@click.option("--venue", "venues", multiple=True, help="Only these venues; by default all crypto venues.")
@click.option("--instruments", type=click.IntRange(1, 20_000), help="Of all venues together. [default: 2000]")
@click.option("--clients", type=click.IntRange(1, 5_000), help="[default: 500]")
@click.option("--rate", type=click.FloatRange(1, 1e6), help="Order events a second of all venues. [default: 1500]")
@click.option("--gateways", type=click.IntRange(0, 16), default=2, show_default=True, help="Gateway workers.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the outcome there too.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keep the instance's files here.")
def main(
    *,
    seed: int,
    minutes: float,
    quick: bool,
    venues: tuple[str, ...],
    instruments: int | None,
    clients: int | None,
    rate: float | None,
    gateways: int,
    json_path: Path | None,
    folder: Path | None,
) -> None:
    """Run a day with every fault at random, and compare its end with the truth; exit status 1 if anything differs."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began_ns = monotonic_ns()
    known = crypto_venues()
    unknown = [code for code in venues if code not in known]
    if unknown:
        raise click.UsageError(f"expected venues of {', '.join(known)}, found {unknown[0]}")
    chosen = list(venues) or known
    if quick:
        minutes = QUICK_MINUTES
        chosen = list(venues) or plan.some(known, seed=seed, count=QUICK_VENUES)
    count = instruments or (QUICK_INSTRUMENTS if quick else 2_000)
    with ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tickcast-day-")))
        subject = DaySubject(
            place,
            chosen,
            seed=seed,
            pairs=pairs_for(chosen, count, seed=seed),
            rate=rate or (QUICK_RATE if quick else RATE),
            workers=gateways,
        )
        stack.enter_context(subject)
        outcome = Outcome(seed=seed, minutes=minutes)
        try:
            _run(
                subject,
                stack,
                outcome,
                clients=clients or (QUICK_CLIENTS if quick else 500),
                strike_s=QUICK_STRIKE_S if quick else STRIKE_S,
            )
        except AssertionError as wrong:  # what was waited for did not come
            outcome.wrong.append(str(wrong))
    outcome.took_s = round((monotonic_ns() - began_ns) / 1e9, 1)
    click.echo(report.tables(outcome))
    if json_path is not None:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_bytes(msgspec.json.format(msgspec.json.encode(outcome), indent=1) + b"\n")
    sys.exit(bool(outcome.differences))


def _run(subject: DaySubject, stack: ExitStack, outcome: Outcome, *, clients: int, strike_s: float) -> None:
    seed, day_s = outcome.seed, outcome.minutes * 60
    subject.wait_ready(deadline_s=START_S)
    listed = _whole(subject)
    _say(f"{len(listed)} instruments of {len(subject.exchanges)} venues are live")
    subject.admin("POST", "/pause")
    crowd = stack.enter_context(Crowd(subject.stream_url, plan.crowd(listed, clients, seed=seed, each=EACH)))
    pause(STILL_S)  # what was on its way has come: what is counted from here on is of the day
    crowd.begin()
    before = subject.truths(set(listed))
    subject.admin("POST", "/resume")
    _await_quiet_over(subject, listed)
    _say(f"{len(crowd.clients)} clients have subscribed; the day begins")
    gates = subject.faults()
    spared = plan.witnesses(list(gates), seed=seed)
    faults_s = day_s * (1 - CALM_PART)
    strikes = plan.strikes(gates, spared, seed=seed, until_s=faults_s, every_s=strike_s)
    bursts = plan.bursts(list(gates), seed=seed, until_s=faults_s, every_s=BURST_S)
    day = Day(subject, crowd, listed=listed, before=before, witnesses=spared, say=_say)
    day.live(strikes, bursts, until_s=day_s)
    _say(f"{len(strikes)} faults and {len(bursts)} bursts are over; everything comes to rest")
    day.end(outcome)


def _whole(subject: DaySubject) -> list[str]:
    """Wait until every instrument that has a market is shown, and the ledger has nothing open; returns them."""
    listed: list[str] = []

    def whole() -> bool:
        listed[:] = subject.symbols()
        known = subject.truths(set(listed))
        if len(known) < sum(len(subject.truth(venue)["symbols"]) for venue in subject.exchanges):
            raise AssertionError(f"{len(known)} instruments are listed")
        listed[:] = list(known)
        prices = subject.prices(listed)
        doubtful = [f"{symbol} is {row['state']}" for symbol, row in prices.items() if row["state"] not in FINE]
        if doubtful:
            raise AssertionError(f"{len(doubtful)} are not live: {', '.join(doubtful[:3])}")
        return True

    eventually(whole, deadline_s=START_S, what="every instrument live before the first fault")
    return listed


def _await_quiet_over(subject: DaySubject, listed: list[str]) -> None:
    """A market that stood still may have been taken for a dead one: wait until nobody thinks so any more."""

    def over() -> bool:
        doubtful = [one for one, row in subject.prices(listed).items() if row["state"] not in FINE]
        if doubtful:
            raise AssertionError(f"not live yet: {doubtful[:3]}")
        return True

    eventually(over, deadline_s=START_S, what="every instrument live after the clients have come")


def _say(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
