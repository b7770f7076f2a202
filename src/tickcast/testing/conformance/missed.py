"""Trades that the stream misses: they are fetched, each is told once, and the ledger says what became of them."""

from collections.abc import Iterable
from typing import Final

from tickcast.model.ledger import LedgerEntry
from tickcast.sim.crypto.state import Client, Topic
from tickcast.sim.crypto.voice import RestAnswer
from tickcast.sim.faults import Fault
from tickcast.testing.conformance.bench import Bench
from tickcast.testing.conformance.rules import Rule
from tickcast.testing.conformance.shell import ConformanceError
from tickcast.venues.base import Request

BEFORE_MS: Final = 4000
"""Every instrument has traded."""
AFTER_MS: Final = 15_000
"""What was missed has been asked for, also where the next trade is waited for first."""
PURPOSE: Final = "trades "


def entries_of_trades(bench: Bench) -> list[LedgerEntry]:
    """Return the ledger's entries of missed trades."""
    return [one for one in bench.witness.ledger.values() if one.kind == "gap" and one.channel == "trades"]


def expect_fetched(bench: Bench) -> None:
    """Trades were fetched, and the ledger says that none is missing.

    Raises:
        ConformanceError: otherwise.
    """
    count = sum(seen.backfilled for _, seen in bench.pairs())
    found = entries_of_trades(bench)
    wrong = []
    if not count:
        wrong.append("trades happened that the stream did not tell, and none was fetched")
    if not found:
        wrong.append("the ledger has no entry of the trades that were missed")
    wrong += [f"not repaired: {one}" for one in found if one.repaired_by != "backfill" or one.lost or not one.ended_ns]
    if wrong:
        raise ConformanceError(f"{bench.code}, seed {bench.seed}: " + "; ".join(wrong))


def _cut(bench: Bench) -> None:
    """Connections are cut while the market goes on; twice, the second time soon after the first."""
    bench.trades_are_fetched = True
    bench.start()
    bench.run(BEFORE_MS)
    for pause_ms in (2500, AFTER_MS):
        bench.venue.faults.arm(Fault(fault="disconnect"))
        bench.run(pause_ms)
    bench.until_whole()
    expect_fetched(bench)


def _dropped(bench: Bench) -> None:
    """Messages with trades are lost on a connection that stays."""
    bench.trades_are_fetched = True
    bench.start()
    bench.run(BEFORE_MS)
    left = [3]

    def lose(client: Client, topic: Topic | None, frame: bytes) -> Iterable[bytes]:
        del client
        if topic is None or topic.kind != "trade" or not left[0]:
            return (frame,)
        left[0] -= 1
        return ()

    bench.venue.tamper = lose
    bench.run(AFTER_MS)
    bench.venue.tamper = None
    bench.until_whole()
    if left[0]:
        raise ConformanceError(f"{bench.code}: too few messages with trades came to lose three")
    expect_fetched(bench)


def _untold(bench: Bench) -> None:
    """Requests for missed trades are refused: the ledger says that they are lost."""

    def refuse(request: Request, answer: RestAnswer) -> RestAnswer:
        return RestAnswer(b'{"wrong":true}', status=400) if request.purpose.startswith(PURPOSE) else answer

    bench.start()
    bench.run(BEFORE_MS)
    bench.shell.tamper_rest = refuse
    bench.venue.faults.arm(Fault(fault="disconnect"))
    bench.run(AFTER_MS + 10_000)
    bench.until_whole()
    lost = [one for one in entries_of_trades(bench) if not one.repaired_by]
    wrong = [f"never ended: {one}" for one in lost if not one.ended_ns]
    wrong += [f"the ledger does not say why: {one.reason}" for one in lost if "not repaired" not in one.reason]
    bench.trades_are_fetched = not lost  # a subscription may tell all of it again
    if wrong:
        raise ConformanceError(f"{bench.code}, seed {bench.seed}: " + "; ".join(wrong))


def _tells(bench: Bench) -> bool:
    """Whether the venue tells missed trades over REST."""
    return bench.declared.trade_history is not None and bench.declared.dialect.rest_trades is not None


def _numbers(bench: Bench) -> bool:
    return _tells(bench) and bench.chained_trades


MISSED_RULES: Final = (
    Rule("missed_trades", _cut, _tells),
    Rule("lost_trades", _dropped, _numbers),
    Rule("untold_trades", _untold, _tells),
)
"""Every rule, in order."""
