"""Rules about silence: what stops is noticed within seconds, and a quiet night alarms nobody."""

from collections.abc import Callable
from typing import Final

from tickcast.model.record import State
from tickcast.testing.conformance.bench import RATE, Bench
from tickcast.testing.conformance.rules import Rule, entries, outside
from tickcast.testing.conformance.shell import SECOND_NS, ConformanceError
from tickcast.testing.conformance.witness import SHOWN

LEARN_MS: Final = 12_000
"""The watch knows what is normal after so long."""
BUSY: Final = RATE * 2.5
ALARM_NS: Final = 5 * SECOND_NS
NIGHT_STEP_MS: Final = 2000
DAY_STEPS: Final = 100
DUSK_STEPS: Final = 1500
NIGHT_STEPS: Final = 400
DARKEST: Final = 0.01
CATCH_UP: Final = 40.0
"""Of each long step the simulated market makes a fortieth."""


def _wait_for(bench: Bench, what: str, happened: Callable[[], bool], *, within_ms: int) -> None:
    for _ in range(0, within_ms, 100):
        if happened():
            return
        bench.run(100)
    states = {one.symbol: seen.state.name for one, seen in bench.pairs()}
    ledger = [(entry.kind, entry.scope, entry.reason) for entry in bench.witness.ledger.values()]
    raise ConformanceError(f"{bench.code}, seed {bench.seed}: {what} within {within_ms} ms: {states}, {ledger}")


def _stale_soon_enough(bench: Bench, symbol: str, since_ns: int) -> None:
    stale = [at for at, state in bench.witness.by_symbol[symbol].states if state == State.STALE and at >= since_ns]
    if not stale or stale[0] - since_ns > ALARM_NS:
        raise ConformanceError(
            f"{bench.code}: {symbol} was told to be stale {(stale[:1] or [0])[0] - since_ns} ns late"
        )


def _stream_dies(bench: Bench) -> None:
    """Nothing of the busiest instrument comes any more; everything else goes on."""
    bench.engine.rate = BUSY
    bench.start()
    bench.run(LEARN_MS)
    _no_alarm(bench)
    target = bench.chosen[0]
    links = dict(bench.shell.links)
    since_ns = bench.shell.now_ns
    bench.venue.mute(target.row)
    seen = bench.seen(target)
    _wait_for(bench, f"expected {target.native} to be stale", lambda: seen.state == State.STALE, within_ms=7000)
    _stale_soon_enough(bench, seen.definition.symbol, since_ns)
    _wait_for(
        bench,
        f"expected {target.native} to be live again",
        lambda: seen.state in SHOWN and seen.states[-1][0] > since_ns,
        within_ms=30_000,
    )
    bench.run(8000)
    quiet = [entry for entry in bench.witness.ledger.values() if entry.kind == "quiet"]
    name = f"{bench.code}:{seen.definition.symbol}"
    wrong = outside(bench, since_ns)
    if [entry.repaired_by for entry in quiet if entry.scope == "instrument"] != ["resubscribe"]:
        wrong.append(f"expected one entry that was repaired by resubscribing, found {quiet}")
    if any(entry.instruments != (name,) or not entry.ended_ns for entry in quiet):
        wrong.append(f"expected entries of {name} that are over, found {quiet}")
    if links != bench.shell.links:
        wrong.append(f"links were opened anew for one instrument: {links}, {bench.shell.links}")
    if wrong:
        raise ConformanceError(f"{bench.code}, seed {bench.seed}: " + "; ".join(wrong))
    bench.trades_may_be_lost = True  # those of the dead stream


def _link_dies(bench: Bench) -> None:
    """Nothing comes any more but heartbeats, pongs and answers."""
    bench.engine.rate = BUSY
    bench.start()
    bench.run(LEARN_MS)
    _no_alarm(bench)
    since_ns, asked = bench.shell.now_ns, len(bench.shell.requests)
    bench.venue.mute()
    _wait_for(bench, "expected a link to be dropped", lambda: bool(bench.shell.ended), within_ms=20_000)
    for named, _ in bench.pairs():
        if named.instrument is bench.chosen[0]:
            _stale_soon_enough(bench, named.symbol, since_ns)
    bench.run(2000)
    bench.until_whole()
    probes = bench.shell.requests[asked:]
    if not any(request.purpose.startswith("quiet ") for _, request, _ in probes):
        raise ConformanceError(f"{bench.code}: the venue was not asked before the link was dropped: {probes}")
    if "connection" not in entries(bench, ["quiet"]):
        raise ConformanceError(f"{bench.code}: the dead link is not in the ledger: {bench.witness.ledger}")
    bench.run(3000)
    bench.trades_may_be_lost = True  # those of the dead link


def _quiet_night(bench: Bench) -> None:
    """Trading falls to a hundredth; the last instrument is not traded at all. Nobody asks, nobody is alarmed."""
    bench.start()
    bench.venue.flow.trading[bench.chosen[-1].row] = False
    _steps(bench, 60, 1.0)
    asked = len(bench.shell.requests)
    _steps(bench, DAY_STEPS, 1.0)
    for number in range(DUSK_STEPS // 100):
        _steps(bench, 100, DARKEST ** (number / (DUSK_STEPS / 100)))
    _steps(bench, NIGHT_STEPS, DARKEST)
    _steps(bench, 120, 1.0)
    _no_alarm(bench)
    usual = ("compare ", "poll ", "book ", "clock")
    probes = [
        request.purpose for _, request, _ in bench.shell.requests[asked:] if not request.purpose.startswith(usual)
    ]
    if probes:
        raise ConformanceError(f"{bench.code}, seed {bench.seed}: the venue was asked in a quiet night: {probes}")
    bench.engine.rate = RATE
    bench.run(3000)


def _steps(bench: Bench, count: int, share: float) -> None:
    bench.engine.rate = RATE * CATCH_UP * share
    for _ in range(count):
        bench.shell.run(NIGHT_STEP_MS, step_ms=NIGHT_STEP_MS)
    bench.check_books()


def _no_alarm(bench: Bench) -> None:
    found = [entry for entry in bench.witness.ledger.values() if entry.kind == "quiet"]
    if found or bench.shell.dropped:
        raise ConformanceError(
            f"{bench.code}, seed {bench.seed}: nothing stopped, and yet: {found}, {bench.shell.dropped}"
        )


QUIET_RULES: Final = (
    Rule("stream_dies", _stream_dies, quiet_watch=True),
    Rule("link_dies", _link_dies, quiet_watch=True),
    Rule("quiet_night", _quiet_night, quiet_watch=True),
)
"""Every rule about silence."""
