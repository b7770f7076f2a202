"""What is done to a venue's feed, and what must come of it. A rule does not know which venue it is applied to."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tickcast.model.ledger import IncidentKind
from tickcast.model.record import State
from tickcast.sim.crypto.state import Client, Instrument, Topic
from tickcast.sim.crypto.voice import Reaction, RestAnswer
from tickcast.sim.faults import Fault
from tickcast.testing.conformance.bench import CHECK_MS, Bench
from tickcast.testing.conformance.shell import SECOND_NS, ConformanceError
from tickcast.testing.conformance.witness import SHOWN
from tickcast.venues.base import Request

GARBAGE: Final = (
    b"",
    b"\xff\xfe\x00",
    b"<html><body>502 Bad Gateway</body></html>",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"[" * 2000,
    b'{"a":' + b"9" * 4000 + b"}",
    b'{"channel":"nobody knows","data":[{"x":1}]}',
    b'{"e":"depthUpdate","s":"NOPE","U":1,"u":2,"b":[],"a":[]}',
)
DIFFERENCES: Final[frozenset[IncidentKind]] = frozenset({"gap", "checksum", "damaged", "restart", "crossed"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One way in which things go wrong."""

    name: str
    run: Callable[[Bench], None]
    """Prepare the bench, do it, check what is special about it; the suite compares the end with the truth."""
    applies: Callable[[Bench], bool] = lambda bench: bool(bench.chosen)
    """Whether the venue has what this spoils."""
    quiet_watch: bool = False
    """The session looks for streams that fall silent."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the feed's config, beside those of every bench."""


class Once:
    """Spoils one book message of one instrument, the next one that comes."""

    def __init__(self, bench: Bench, change: Callable[[bytes], Iterable[bytes] | None]) -> None:
        """``change`` returns what goes out in place of the message; None = this one cannot be spoilt, the next."""
        self.target = bench.chosen[0]
        self.done_ns = 0
        self._change = change
        self._bench = bench
        bench.venue.tamper = self

    def __call__(self, client: Client, topic: Topic | None, frame: bytes) -> Iterable[bytes]:
        """Stand between voice and client."""
        del client
        if self.done_ns or topic is None or not carries(topic, self.target, whole=not self._bench.has_differences):
            return (frame,)
        changed = self._change(frame)
        if changed is None:
            return (frame,)
        self.done_ns = self._bench.shell.now_ns
        return changed

    def wait(self) -> None:
        """Let time pass until it has happened.

        Raises:
            ConformanceError: no message of the book came.
        """
        for _ in range(200):
            self._bench.run(100)
            if self.done_ns:
                return
        raise ConformanceError(f"{self._bench.code}: no message of {self.target.native}'s book came to spoil")


def carries(topic: Topic, instrument: Instrument, *, whole: bool = False) -> bool:
    """Whether a topic is a book of this instrument that is told by differences, or by whole books."""
    named = topic.native == instrument.native and topic.market in {"", instrument.product.market}
    return topic.kind == "book" and named and topic.whole == whole


# ------------------------------------------------------------------ what is checked


def entries(bench: Bench, kinds: Iterable[IncidentKind]) -> list[str]:
    """Return scopes of the ledger's entries of some kinds."""
    return [entry.scope for entry in bench.witness.ledger.values() if entry.kind in set(kinds)]


def scope_of(bench: Bench) -> str:
    """Return what a break of a book concerns, by the venue's declaration."""
    return "connection" if bench.dialect.counter is not None else bench.rules[0].scope


def expect_break(bench: Bench, since_ns: int, *, kinds: Iterable[IncidentKind] = DIFFERENCES, scope: str = "") -> None:
    """The break of the first instrument was told, in the right scope (by default that of a loss); nobody else suffered.

    Raises:
        ConformanceError: it was not.
    """
    target, wrong = bench.chosen[0], []
    # a frame that nobody could read is entered too, without an instrument: it is no break of a book
    found = [entry for entry in bench.witness.ledger.values() if entry.kind in set(kinds) and entry.instruments_count]
    if not found:
        all_kinds = [entry.kind for entry in bench.witness.ledger.values()]
        wrong.append(f"expected an entry of {', '.join(sorted(kinds))} in the ledger, found {all_kinds}")
    scope = scope or scope_of(bench)
    if found and found[0].scope != scope:
        wrong.append(f"expected the scope {scope}, found {found[0].scope}")
    if found and not found[0].ended_ns:
        wrong.append(f"the entry of the break has no end: {found[0]}")
    if State.GAP not in states_since(bench, target, since_ns):
        wrong.append(f"{target.native} was never told to be broken: {states_since(bench, target, since_ns)}")
    wrong += outside(bench, since_ns) if scope == "instrument" else []
    if wrong:
        raise ConformanceError(f"{bench.code}, seed {bench.seed}: " + "; ".join(wrong))


def states_since(bench: Bench, instrument: Instrument, since_ns: int) -> list[State]:
    """Return what was told of an instrument's state from a time on."""
    return [state for at_ns, state in bench.seen(instrument).states if at_ns >= since_ns]


def outside(bench: Bench, since_ns: int) -> list[str]:
    """Return who suffered although the break was another instrument's."""
    return [
        f"{one.native} is outside the scope and was told {[state.name for state in states_since(bench, one, since_ns)]}"
        for one in bench.chosen[1:]
        if states_since(bench, one, since_ns)
    ]


def expect_all_live(bench: Bench, since_ns: int) -> None:
    """Nobody's state changed.

    Raises:
        ConformanceError: somebody's did.
    """
    told = {one.native: states_since(bench, one, since_ns) for one in bench.chosen}
    if any(told.values()):
        raise ConformanceError(f"{bench.code}, seed {bench.seed}: nothing was lost, and yet states were told: {told}")


# ------------------------------------------------------------------ messages that are spoilt


def _clean(bench: Bench) -> None:
    bench.start()
    since_ns = bench.shell.now_ns
    bench.run(4000)
    expect_all_live(bench, since_ns + 1)
    if bench.witness.ledger:
        raise ConformanceError(f"{bench.code}: nothing went wrong, and yet: {bench.witness.ledger}")


def _spoil(change: Callable[[bytes], Iterable[bytes] | None]) -> Callable[[Bench], None]:
    def run(bench: Bench) -> None:
        bench.start()
        bench.run(500)
        once = Once(bench, change)
        once.wait()
        bench.until_whole()
        bench.run(1500)
        bench.until_whole()
        if bench.proves:
            expect_break(bench, once.done_ns)

    return run


def _duplicate(bench: Bench) -> None:
    bench.start()
    bench.run(500)
    once = Once(bench, lambda frame: (frame, frame))
    once.wait()
    bench.run(1500)
    bench.until_whole()
    wrong = outside(bench, once.done_ns) if scope_of(bench) == "instrument" else []
    if wrong:
        raise ConformanceError("; ".join(wrong))


def _reorder(bench: Bench) -> None:
    bench.start()
    bench.run(500)
    held: list[bytes] = []

    def swap(client: Client, topic: Topic | None, frame: bytes) -> Iterable[bytes]:
        del client
        whole = not bench.has_differences
        if topic is None or not carries(topic, bench.chosen[0], whole=whole) or len(held) > 1:
            return (frame,)
        held.append(frame)
        return () if len(held) == 1 else (frame, held[0])

    bench.venue.tamper = swap
    since_ns = bench.shell.now_ns
    bench.run(3000)
    bench.until_whole()
    if len(held) < 2:
        raise ConformanceError(f"{bench.code}: too few messages of a book came to swap two")
    if bench.proves:
        expect_break(bench, since_ns)


def _checksum(bench: Bench) -> None:
    bench.start()
    bench.run(500)

    def spoilt(frame: bytes) -> Iterable[bytes] | None:
        changed = bench.venue.voice.spoil_checksum(frame)
        return None if changed is None else (changed,)

    once = Once(bench, spoilt)
    once.wait()
    bench.until_whole()
    # a counter of the connection is not concerned: the rule says what a wrong checksum breaks
    checked = next(rule.scope for rule in bench.rules if rule.checksum is not None)
    expect_break(bench, once.done_ns, kinds=["checksum"], scope=checked)


def _garbage(bench: Bench) -> None:
    """What nobody can read may have been anything: books that nothing proves begin anew, the others know better."""
    bench.start()
    waiting = list(GARBAGE)
    unproved = {one.native for one in bench.chosen if bench.seen(one).state == State.UNVERIFIED}

    def mix(client: Client, topic: Topic | None, frame: bytes) -> Iterable[bytes]:
        del client, topic
        return (waiting.pop(), frame) if waiting else (frame,)

    bench.venue.tamper = mix
    since_ns = bench.shell.now_ns
    bench.run(4000)
    bench.venue.tamper = None
    if waiting:
        raise ConformanceError(f"{bench.code}: too few messages came to mix garbage in")
    if scope_of(bench) == "instrument" and not unproved:
        expect_all_live(bench, since_ns + 1)
    anew = {one.native for one in bench.chosen if State.REPAIRING in states_since(bench, one, since_ns)}
    if not anew >= unproved:
        raise ConformanceError(f"{bench.code}: expected {unproved} to begin anew after garbage, found {anew}")


# ------------------------------------------------------------------ numbers, snapshots, links


def _restart(bench: Bench) -> None:
    bench.start()
    bench.run(1000)
    since_ns = bench.shell.now_ns
    bench.venue.faults.arm(Fault(fault="restart"))
    bench.run(3000)
    bench.until_whole()
    if bench.venue.voice.restart == "continue":
        # the first message of the new numbers names the last of the old: nothing is missing
        expect_all_live(bench, since_ns)
        if entries(bench, DIFFERENCES):
            raise ConformanceError(f"{bench.code}: new numbers that are chained to the old were taken for a loss")


def _old_snapshot(bench: Bench) -> None:
    """Over REST comes a book that is older than the first difference, again and again."""
    old: dict[str, RestAnswer] = {}
    spoilt: list[str] = []

    def swap(request: Request, answer: RestAnswer) -> RestAnswer:
        if not request.purpose.startswith("book "):
            return answer
        kept = old.setdefault(request.purpose, answer)
        if spoilt.count(request.purpose) < 3:
            spoilt.append(request.purpose)
            return kept
        return answer

    bench.start()
    bench.shell.tamper_rest = swap
    bench.run(500)
    once = Once(bench, lambda _: ())
    once.wait()
    bench.until_whole()
    # the first break's answer is old by now: the second break gets it, three times
    spoilt.clear()
    bench.run(1000)
    since_ns = bench.shell.now_ns
    Once(bench, lambda _: ()).wait()
    bench.until_whole()
    if len(spoilt) < 2:
        raise ConformanceError(f"{bench.code}: an old book was taken at the first try: {spoilt}")
    expect_break(bench, since_ns)


def _cut_in_snapshot(bench: Bench) -> None:
    """The connection is cut when the first book of a subscription is on its way, twice."""
    cuts: list[int] = []

    def cut(client: Client, topic: Topic | None, frame: bytes) -> Iterable[bytes]:
        if topic is None or topic.kind != "book" or len(cuts) >= 2:
            return (frame,)
        cuts.append(client.number)
        client.close = (1006, "cut")
        return (frame[: len(frame) // 2],)

    bench.venue.tamper = cut
    bench.start(within_ms=60_000)
    bench.run(2000)
    if len(cuts) < 2:
        raise ConformanceError(f"{bench.code}: no book was on its way to be cut")


def _disconnect(bench: Bench) -> None:
    bench.start()
    bench.run(1000)
    since_ns = bench.shell.now_ns
    bench.venue.faults.arm(Fault(fault="disconnect"))
    for one in bench.chosen:
        if State.STALE not in states_since(bench, one, since_ns):
            raise ConformanceError(f"{bench.code}: {one.native} was not told to be stale when its link was lost")
    bench.run(3000)
    bench.until_whole()
    if "connection" not in entries(bench, ["reconnect"]):
        raise ConformanceError(f"{bench.code}: the lost link is not in the ledger")


def _planned_cut(bench: Bench) -> None:
    bench.start()
    bench.run(1000)
    bench.venue.leave()
    bench.run(500)
    bench.venue.close_all(1001, "planned")
    bench.run(3000)
    bench.until_whole()
    if min(bench.shell.links.values()) < 2:
        raise ConformanceError(f"{bench.code}: links were not opened anew: {bench.shell.links}")


def _silent(bench: Bench) -> None:
    """The venue says nothing any more, to pings neither; connections stay open."""
    bench.start()
    bench.run(1000)
    bench.venue.tamper = lambda *_: ()
    for _ in range(60):
        bench.shell.run(1000, quiet=True, step_ms=250)
        if bench.shell.dropped or bench.shell.closed:
            break
    bench.venue.tamper = None
    if not (bench.shell.dropped or bench.shell.closed):  # who asks, and gets no answer, hangs up too
        raise ConformanceError(f"{bench.code}: a link that says nothing for a minute was not given up")
    bench.run(2000)
    bench.until_whole()


def _lost_subscription(bench: Bench) -> None:
    """What a client asks for is not answered at first."""
    said: list[bytes] = []
    receive = bench.venue.voice.receive

    def deaf(client: Client, frame: bytes, now_ns: int) -> Reaction:
        reaction = receive(client, frame, now_ns)
        if reaction.subscribe and len(said) < 1:
            said.append(frame)
            reaction.answers, reaction.behind, reaction.subscribe = [], [], []
        return reaction

    bench.venue.voice.receive = deaf  # type: ignore[method-assign]
    bench.start(within_ms=60_000)
    if not said:
        raise ConformanceError(f"{bench.code}: nothing was asked for over a link")
    bench.run(12_000, quiet=True)
    bench.run(1000)


def _throttled(bench: Bench) -> None:
    bench.venue.faults.arm(Fault(fault="throttle", count=2, delay_ms=3000))
    bench.start(within_ms=60_000)
    status = bench.venue.voice.too_many().status
    refused = [at_ns for at_ns, _, found in bench.shell.requests if found == status]
    if not refused:
        raise ConformanceError(f"{bench.code}: nothing was asked for over REST")
    early = [at_ns for at_ns, _, _ in bench.shell.requests if refused[0] < at_ns < refused[0] + 3 * SECOND_NS]
    if [at_ns for at_ns in early if at_ns not in refused]:
        raise ConformanceError(f"{bench.code}: asked before Retry-After was over")
    if "venue" not in entries(bench, ["throttled"]):
        raise ConformanceError(f"{bench.code}: the throttling is not in the ledger")


def _refused(bench: Bench) -> None:
    """The venue does not take the subscription of one book; it does later."""
    target = bench.chosen[0]
    bench.venue.voice.refused.append(("book", target))
    bench.start(within_ms=60_000, but=target)
    for _ in range(60):
        if "refused" in bench.kinds(target):
            break
        bench.run(500)
    if "refused" not in bench.kinds(target):
        raise ConformanceError(f"{bench.code}: the refused book of {target.native} is not in the ledger")
    if bench.seen(target).state in SHOWN:
        raise ConformanceError(f"{bench.code}: {target.native} is shown although its book was refused")
    bench.venue.voice.refused.clear()
    since_ns = bench.shell.now_ns + 1
    bench.until_whole()
    wrong = outside(bench, since_ns)
    if wrong:
        raise ConformanceError("; ".join(wrong))


def _unheard(bench: Bench) -> None:
    """Nothing that we send arrives any more, pings and their answers neither: the venue closes the link."""
    bench.start()
    bench.run(1000)
    bench.shell.is_mute = True
    for _ in range(1200):
        bench.shell.run(CHECK_MS)
        if bench.shell.closed:
            break
    bench.shell.is_mute = False
    if not bench.shell.closed:
        raise ConformanceError(f"{bench.code}: the venue did not close a link whose client owes an answer")
    bench.run(2000)
    bench.until_whole()
    if "connection" not in entries(bench, ["reconnect"]):
        raise ConformanceError(f"{bench.code}: the link that the venue closed is not in the ledger")


def _lost_answers(bench: Bench) -> None:
    """REST requests end without an answer, or with half of one."""
    count = [0]

    def half(request: Request, answer: RestAnswer) -> RestAnswer | None:
        del request
        count[0] += 1
        if count[0] == 1:
            return None
        return RestAnswer(answer.body[: len(answer.body) // 2]) if count[0] == 2 else answer

    bench.shell.tamper_rest = half
    bench.start(within_ms=60_000)
    bench.run(1000)


def _halt(bench: Bench) -> None:
    """An instrument halts; others trade on, and its book stays right."""
    bench.start()
    bench.run(500)
    bench.venue.halt(bench.chosen[0].row)
    since_ns = bench.shell.now_ns
    bench.run(2000)
    wrong = outside(bench, since_ns)
    bench.venue.halt(bench.chosen[0].row, halted=False)
    bench.run(2000)
    if wrong:
        raise ConformanceError("; ".join(wrong))


def _wants_answers(bench: Bench) -> bool:
    """Whether the venue closes who is silent, or owes the answer to its ping."""
    return bench.venue.voice.house.silence_max_s > 0 or bench.venue.voice.asks


def _has_books_over_rest(bench: Bench) -> bool:
    return bench.needs_trading and bench.proves


def _has_checksums(bench: Bench) -> bool:
    return bench.venue.voice.checksums and any(rule.checksum is not None for rule in bench.rules)


RULES: Final = (
    Rule("clean", _clean),
    Rule("drop", _spoil(lambda _: ())),
    Rule("duplicate", _duplicate),
    Rule("reorder", _reorder),
    Rule("truncate", _spoil(lambda frame: (frame[: len(frame) // 2],))),
    Rule("corrupt", _spoil(lambda frame: (bytes([frame[0] ^ 0x80]) + frame[1:],))),
    Rule("checksum", _checksum, _has_checksums),
    Rule("garbage", _garbage),
    Rule("restart", _restart),
    Rule("old_snapshot", _old_snapshot, _has_books_over_rest),
    Rule("cut_in_snapshot", _cut_in_snapshot),
    Rule("disconnect", _disconnect),
    Rule("planned_cut", _planned_cut),
    Rule("silent", _silent),
    Rule("lost_subscription", _lost_subscription),
    Rule("refused", _refused),
    Rule("unheard", _unheard, _wants_answers),
    Rule("throttled", _throttled),
    Rule("lost_answers", _lost_answers),
    Rule("halt", _halt),
)
"""Every rule, in order."""
