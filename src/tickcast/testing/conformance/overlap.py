"""Rules about two connections at once: planned cuts that nobody notices, and lines A and B of which one is lost."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from tickcast.model.record import State
from tickcast.sim.crypto.state import Client, Topic
from tickcast.testing.conformance.bench import CHECK_MS, Bench
from tickcast.testing.conformance.rules import DIFFERENCES, Rule, entries, expect_all_live, states_since
from tickcast.testing.conformance.shell import MILLISECOND_NS, ConformanceError
from tickcast.testing.conformance.witness import SHOWN

LIFETIME_S: Final = 12.0
LAG_NS: Final = 240 * MILLISECOND_NS
LINE_A, LINE_B = "A", "B"
SETTLED_MS: Final = 20_000


class Lag:
    """Every other connection is behind: what it brings comes late, in order."""

    def __init__(self, bench: Bench, *, turn: int = 0, links: Sequence[str] = ()) -> None:
        """``turn`` 0 or 1: which of them; or these links are."""
        self._bench = bench
        self._turn = turn
        self._chosen = bench.shell.clients(links)
        self._held: dict[int, deque[tuple[int, bytes]]] = {}
        bench.venue.tamper = self

    def __call__(self, client: Client, topic: Topic | None, frame: bytes) -> Iterable[bytes]:
        """Stand between voice and client."""
        del topic
        if client not in self._chosen if self._chosen else client.number % 2 != self._turn:
            return (frame,)
        now_ns = self._bench.shell.now_ns
        held = self._held.setdefault(client.number, deque())
        held.append((now_ns, frame))
        due = []
        while held and now_ns - held[0][0] >= LAG_NS:
            due.append(held.popleft()[1])
        return due

    def end(self) -> None:
        """Let nobody be behind any more."""
        self._bench.venue.tamper = None
        for client in list(self._bench.venue.clients):
            client.out.extend(frame for _, frame in self._held.get(client.number, ()))
            self._bench.venue.touch(client)


def _replaced(bench: Bench, *, turn: int | None = None) -> None:
    """Links are replaced for their age, again and again; nobody notices, whichever of two is behind."""
    bench.start()
    lag = None if turn is None else Lag(bench, turn=turn)
    since_ns = bench.shell.now_ns
    bench.run(round(LIFETIME_S * 2500))
    if lag is not None:
        lag.end()
    bench.run(1000)
    expect_all_live(bench, since_ns + 1)
    told = bench.session.overlap(bench.shell.now_ns)
    wrong = []
    if told.planned != len(bench.shell.ended) or not told.planned:
        wrong.append(f"expected links that were replaced and counted, found {told.planned} and {bench.shell.ended}")
    if not told.left_out + bench.shell.pipeline.duplicates:
        wrong.append("expected an overlap that was removed, found none")
    if any(seen.gaps for _, seen in bench.pairs()) or bench.witness.ledger:
        wrong.append(f"nothing was lost, and yet: {bench.witness.ledger}")
    if wrong:
        raise ConformanceError(f"{bench.code}, seed {bench.seed}: " + "; ".join(wrong))


def _announced(bench: Bench) -> None:
    """The venue says that it will close the link, and does so 5 s later."""
    bench.start()
    bench.run(1000)
    since_ns = bench.shell.now_ns
    links = dict(bench.shell.links)
    bench.venue.leave()
    bench.run(5000)
    if not bench.shell.ended:
        return  # this venue announces nothing
    left = [name for name in links if name in bench.shell.links]
    expect_all_live(bench, since_ns + 1)
    if entries(bench, [*DIFFERENCES, "reconnect"]):
        raise ConformanceError(f"{bench.code}: nothing was lost, and yet: {bench.witness.ledger}")
    if len(bench.shell.ended) + len(left) != len(links):
        raise ConformanceError(f"{bench.code}: {links} became {bench.shell.links}, by {bench.shell.ended}")
    bench.run(1000)


def _cut_early(bench: Bench) -> None:
    """The venue closes the link before the other one is ready: a loss like any other, and the other one takes over."""
    bench.start()
    bench.run(2000)
    for _ in range(600):
        before = set(bench.shell.links)
        bench.shell.run(20)
        new = set(bench.shell.links) - before
        if new:
            break
    else:
        raise ConformanceError(f"{bench.code}: no link was to be replaced: {bench.shell.links}")
    since_ns = bench.shell.now_ns
    bench.shell.cut([name for name in before if any(one.startswith(name.partition(".")[0] + ".") for one in new)])
    bench.run(4000)
    bench.until_whole()
    if not any(State.STALE in states_since(bench, one, since_ns) for one in bench.chosen):
        raise ConformanceError(f"{bench.code}: a link was lost before another one took its place, and nobody was told")
    if "connection" not in entries(bench, ["reconnect"]):
        raise ConformanceError(f"{bench.code}: the lost link is not in the ledger: {bench.witness.ledger}")


def lines(bench: Bench) -> dict[str, list[str]]:
    """Return links by line."""
    found: dict[str, list[str]] = {}
    for one in bench.session.overlap(bench.shell.now_ns).lines:
        found.setdefault(one.line, []).append(one.link)
    if sorted(found) != [LINE_A, LINE_B]:
        raise ConformanceError(f"{bench.code}: expected lines A and B, found {found}")
    return found


def is_chained(bench: Bench) -> bool:
    """Whether each book's messages are chained by ids: then any line goes on from where another stopped."""
    return all(rule.chain != "none" for rule in bench.rules)


def _until_settled(bench: Bench) -> None:
    """Let time pass until both lines are subscribed to: where nothing confirms that, it is believed after a while."""
    for _ in range(SETTLED_MS // CHECK_MS):
        if bench.session.is_settled:
            return
        bench.run(CHECK_MS)
    raise ConformanceError(f"{bench.code}: not everything was subscribed to within {SETTLED_MS / 1000} s")


def _cut_line(bench: Bench, *names: str) -> None:
    bench.start()
    bench.run(1000)
    _until_settled(bench)
    since_ns = bench.shell.now_ns
    found = lines(bench)
    bench.shell.cut([link for name in names for link in found[name]])
    bench.run(2500)
    bench.until_whole()
    if len(names) > 1:
        if not all(State.STALE in states_since(bench, one, since_ns) for one in bench.chosen):
            raise ConformanceError(f"{bench.code}: both lines were lost, and not everyone was told to be stale")
        if "connection" not in entries(bench, ["reconnect"]):
            raise ConformanceError(f"{bench.code}: the lost lines are not in the ledger")
        return
    told = {state for one in bench.chosen for state in states_since(bench, one, since_ns)}
    # a book that nothing chains to its past begins anew on the other line: that is said
    allowed = set() if is_chained(bench) else {State.REPAIRING, *SHOWN}
    if told - allowed:
        raise ConformanceError(f"{bench.code}: a line was lost, the other one lived, and yet: {told}")
    if entries(bench, DIFFERENCES) or any(seen.gaps for _, seen in bench.pairs()):
        raise ConformanceError(f"{bench.code}: nothing was lost, and yet: {bench.witness.ledger}")


def _compared(bench: Bench) -> None:
    """One line is behind; both are counted, message by message."""
    bench.start()
    lag = Lag(bench, links=lines(bench)[LINE_A])
    bench.run(6000)
    lag.end()
    bench.run(1000)
    counted = bench.session.overlap(bench.shell.now_ns).lines
    if not any(one.first and one.lead_ms >= LAG_NS / 2e6 for one in counted) or not any(one.late for one in counted):
        raise ConformanceError(f"{bench.code}: expected a line that is ahead and one that is late, found {counted}")
    if not bench.session.overlap(bench.shell.now_ns).left_out + bench.shell.pipeline.duplicates:
        raise ConformanceError(f"{bench.code}: nothing came twice over two lines")


def _proves(bench: Bench) -> bool:
    """Whether something shows which of two links is ahead; where nothing does, a book may begin anew, and says so."""
    return bench.proves


_AGED: Final = {"link_lifetime_s": LIFETIME_S}
_EARLY: Final = {"link_lifetime_s": 3.0}
_DUAL: Final = {"dual_lines": ("*",)}

OVERLAP_RULES: Final = (
    Rule("replaced", _replaced, settings=_AGED),
    Rule("replaced_by_one_behind", lambda bench: _replaced(bench, turn=0), _proves, settings=_AGED),
    Rule("replaced_while_behind", lambda bench: _replaced(bench, turn=1), _proves, settings=_AGED),
    Rule("announced_cut", _announced),
    Rule("cut_before_replaced", _cut_early, settings=_EARLY),
    Rule("line_a_cut", lambda bench: _cut_line(bench, LINE_A), _proves, settings=_DUAL),
    Rule("line_b_cut", lambda bench: _cut_line(bench, LINE_B), _proves, settings=_DUAL),
    Rule("both_lines_cut", lambda bench: _cut_line(bench, LINE_A, LINE_B), settings=_DUAL),
    Rule("lines_compared", _compared, settings=_DUAL),
)
"""Every rule about connections that overlap."""
