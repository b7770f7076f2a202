"""Lets the day pass, and holds what everybody ended with against what the simulated venues know to be true.

What must be at the end:

- every instrument is shown, with the venue's best prices and sizes, over REST and to every client that watches it;
- trades: never one more than there were, never one twice; none fewer, unless the ledger has an entry that says that
  something of the instrument is missing, or the venue gives nothing by which a missing trade would show;
- the ledger: nothing is open, but for quiet books that have had nothing yet that proves them; a venue whose connections
  were cut has an entry for it; a venue that was left in peace has none that takes anything from its data, was live all
  day, and has lost no trade;
- counters: for every client published = delivered + merged + lost, and delivered is what it has counted;
- processes: none was started again, and none kept a queue that dropped something.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from tickcast.model.errors import TickcastError
from tickcast.model.ledger import LOSSLESS
from tickcast.runtime.clock import monotonic_ns, now_ns, pause
from tickcast.testing.day.crowd import QUOTE, Client, Crowd
from tickcast.testing.day.plan import Burst, Strike
from tickcast.testing.day.subject import DaySubject
from tickcast.testing.instance import eventually
from tickcast.testing.matrix.subject import same
from tickcast.venues.declared import dialect
from tickcast.venues.registry import find_declared

FINE: Final = frozenset({"live", "unverified", "halted", "auction", "closed"})
UNPROVED: Final = "unverified"
CALM_S: Final = 90.0
"""After the last fault everything is whole again within this time."""
STILL_S: Final = 15.0
"""A market that stands still has reached everybody within this time."""
LOOKS_MAX: Final = 8
END_S: Final = 150.0
"""After so long nobody looks again: what differs then, differs."""
ON_S: Final = 5.0
"""A loss that shows with the next message only has shown after so long."""
UNITS: Final = frozenset({"drop", "corrupt", "truncate", "duplicate", "reorder", "stall", "delay"})
LOSING: Final = frozenset({"drop", "corrupt", "truncate", "disconnect", "restart", "stall", "delay", "refuse_login"})
"""Verbs that may take trades away."""
NAMED_MAX: Final = 3


class VenueRow(msgspec.Struct, kw_only=True):
    """What became of a venue."""

    venue: str
    is_witness: bool = False
    instruments: int = 0
    messages: int = 0
    strikes: int = 0
    """Faults that were armed."""
    cuts: int = 0
    """Of these, those that cut the connections of streams."""
    faults: dict[str, int] = {}
    """Units that a fault hit (frames, answers, connections), by verb."""
    entries: dict[str, int] = {}
    """Entries of the ledger, by kind."""
    trades: int = 0
    """That there were, of instruments whose trades a client has watched."""
    trades_came: int = 0
    trades_excused: int = 0
    """That did not come, and why is known."""
    wrong: list[str] = []


class CrowdRow(msgspec.Struct, kw_only=True):
    """What became of the clients of one codec and channel."""

    codec: str
    channel: str
    clients: int = 0
    frames: int = 0
    symbols: int = 0
    balanced: int = 0
    """Clients whose counters add up."""
    equal: int = 0
    """Best prices that are the venue's, of those that they watch."""
    wrong: list[str] = []


class Outcome(msgspec.Struct, kw_only=True):
    """The whole day."""

    seed: int
    minutes: float
    took_s: float = 0.0
    looks: int = 0
    """How often the market stood still before all was equal."""
    calm_s: float = 0.0
    """From the last fault until everything was whole."""
    venues: list[VenueRow] = []
    crowd: list[CrowdRow] = []
    wrong: list[str] = []
    """What concerns no one venue."""

    @property
    def differences(self) -> int:
        """How many things are not as they must be."""
        wrong = [row.wrong for row in self.venues] + [row.wrong for row in self.crowd]
        return len(self.wrong) + sum(map(len, wrong))


class Day:
    """A subject that runs, with its crowd."""

    def __init__(
        self,
        subject: DaySubject,
        crowd: Crowd,
        *,
        listed: Sequence[str],
        before: Mapping[str, dict[str, Any]],
        witnesses: Sequence[str],
        say: Callable[[str], None],
    ) -> None:
        """``before``: what was true when the clients had subscribed and the market stood still."""
        self._subject = subject
        self._crowd = crowd
        self._listed = list(listed)
        self._before = before
        self._witnesses = frozenset(witnesses)
        self._say = say
        self._began_ns = now_ns()
        self._ended_ns = 0
        self._doubts: dict[str, str] = {}
        """Instruments of venues that were left in peace that were not live, and what they were."""
        self._unproved: Counter[str] = Counter()
        """Instruments of each venue whose book is shown, and not proved yet."""
        self._strikes: Counter[str] = Counter()
        self._cuts: Counter[str] = Counter()
        self._starts = {row["name"]: row["restarts"] for row in subject.get("/feeds")["feeds"]}

    # ------------------------------------------------------------------ the day

    def live(self, strikes: Sequence[Strike], bursts: Sequence[Burst], *, until_s: float) -> None:
        """Let it pass: faults and busy times as planned."""
        began_ns = monotonic_ns()
        tasks: list[tuple[float, Callable[[], object]]] = [
            (one.at_s, lambda one=one: self._strike(one))  # type: ignore[misc]
            for one in strikes
        ]
        for burst in bursts:
            tasks.append((burst.at_s, lambda burst=burst: self._pace(burst.venue, burst.times)))  # type: ignore[misc]
            tasks.append((burst.until_s, lambda burst=burst: self._pace(burst.venue, 1.0)))  # type: ignore[misc]
        tasks.sort(key=lambda one: one[0])
        for at_s, do in tasks:
            self._wait(began_ns, min(at_s, until_s))
            do()
        self._wait(began_ns, until_s)
        for venue in self._subject.exchanges:
            self._pace(venue, 1.0)
        self._ended_ns = now_ns()

    def _wait(self, began_ns: int, until_s: float) -> None:
        """Wait until a time of the day, and look after those who are left in peace."""
        while (left_s := until_s - (monotonic_ns() - began_ns) / 1e9) > 0:
            self._look_at_witnesses()
            pause(min(left_s, 1.0))

    def _strike(self, strike: Strike) -> None:
        self._subject.admin("POST", f"/faults/{strike.venue}", strike.fault)
        self._strikes[strike.venue] += 1
        self._cuts[strike.venue] += strike.fault["fault"] == "disconnect" and strike.fault.get("line") != "rest"

    def _pace(self, venue: str, times: float) -> None:
        self._subject.admin("POST", f"/pace/{venue}", {"times": times})

    def _look_at_witnesses(self) -> None:
        for client in self._crowd.clients:
            if client.member.channel != "price":
                continue  # a book of which no level was told yet is empty, whatever its instrument is
            for symbol, state in list(client.states.items()):
                if symbol.partition(":")[0] in self._witnesses and state not in FINE:
                    self._doubts.setdefault(symbol, state)

    # ------------------------------------------------------------------ its end

    def end(self, outcome: Outcome) -> None:
        """Let everything come to rest, and compare."""
        began_ns = monotonic_ns()
        for venue in self._subject.exchanges:
            self._subject.admin("DELETE", f"/faults/{venue}")
        rows = {venue: VenueRow(venue=venue, is_witness=venue in self._witnesses) for venue in self._subject.exchanges}
        truth: dict[str, dict[str, Any]] = {}
        different: dict[str, str] = {}
        for look in range(1, LOOKS_MAX + 1):
            outcome.looks = look
            self._await_calm(outcome)
            self._subject.admin("POST", "/pause")
            truth = self._subject.truths(set(self._listed))
            different = self._await_equal(truth)
            if not different or (monotonic_ns() - began_ns) / 1e9 > END_S:
                break
            self._say(
                f"look {look}: {len(different)} differ, such as {next(iter(different.values()))}; the market goes on"
            )
            if look < LOOKS_MAX:
                self._subject.admin("POST", "/resume")
                pause(ON_S)
        outcome.calm_s = round((monotonic_ns() - began_ns) / 1e9, 1)
        for symbol, text in different.items():
            rows[symbol.partition(":")[0]].wrong.append(text)
        self._crowd.sync()
        ledger = self._subject.ledger()
        self._judge_feeds(rows, ledger)
        self._judge_trades(rows, truth, ledger)
        self._judge_peace(rows, ledger)
        outcome.venues = list(rows.values())
        outcome.crowd = self._judge_crowd(truth)

    def _await_calm(self, outcome: Outcome) -> None:
        """Wait until every instrument is shown and the ledger has nothing open."""

        def calm() -> bool:
            prices = self._subject.prices(self._listed)
            doubtful = [symbol for symbol, row in prices.items() if row["state"] not in FINE]
            if doubtful:
                raise AssertionError(f"{len(doubtful)} such as {doubtful[0]}: {prices[doubtful[0]]['state']}")
            self._unproved = Counter(one.partition(":")[0] for one, row in prices.items() if row["state"] == UNPROVED)
            still = [one for one in self._subject.get("/gaps?open=true&limit=100")["gaps"] if self._is_open(one)]
            if still:
                raise AssertionError(
                    f"open in the ledger: {still[0]['kind']} of {still[0]['venue']}: {still[0]['reason']}"
                )
            return True

        try:
            eventually(calm, deadline_s=CALM_S, what="everything is whole again")
        except (AssertionError, TickcastError) as wrong:
            if str(wrong) not in outcome.wrong:
                outcome.wrong.append(str(wrong))

    def _is_open(self, entry: Mapping[str, Any]) -> bool:
        """Whether an entry has not ended, and not only because a quiet book has had nothing yet that proves it."""
        return not entry["ended"] and not 0 < entry["open_count"] <= self._unproved[entry["venue"]]

    def _await_equal(self, truth: Mapping[str, dict[str, Any]]) -> dict[str, str]:
        """Wait until REST and all clients show what is true; returns what differs."""
        found: dict[str, str] = {}

        def equal() -> bool:
            found.clear()
            found.update(self._different(truth))
            return not found

        try:
            eventually(equal, deadline_s=STILL_S)
        except AssertionError:
            return dict(found)
        return {}

    def _different(self, truth: Mapping[str, dict[str, Any]]) -> dict[str, str]:
        found = {}
        shown = self._subject.prices([symbol for symbol in self._listed if symbol in truth])
        for symbol, row in shown.items():
            if not same(row, truth[symbol]):
                found[symbol] = f"{symbol} ({row['state']}): REST shows {_quote(row)}, true is {_quote(truth[symbol])}"
        for client in self._crowd.clients:
            for symbol, quote in list(client.quotes.items()):
                if symbol not in found and symbol in truth and not same(quote, truth[symbol]):
                    who = f"{client.member.codec} {client.member.channel}"
                    found[symbol] = f"{symbol}: a client ({who}) shows {_quote(quote)}, true is {_quote(truth[symbol])}"
        return found

    # ------------------------------------------------------------------ judging

    def _judge_feeds(self, rows: Mapping[str, VenueRow], ledger: Sequence[Mapping[str, Any]]) -> None:
        gates = self._subject.faults()
        counts = Counter(symbol.partition(":")[0] for symbol in self._listed)
        for feed in self._subject.get("/feeds")["feeds"]:
            row = rows[feed["venue"]]
            row.instruments, row.messages = counts[row.venue], feed["messages"]
            row.strikes, row.cuts = self._strikes[row.venue], self._cuts[row.venue]
            row.faults = {verb: count for verb, count in gates[row.venue]["fired"].items() if count}
            row.entries = dict(Counter(one["kind"] for one in ledger if one["feed"] == feed["name"]))
            if feed["restarts"] != self._starts[feed["name"]]:
                row.wrong.append(f"its process was started again: {feed['last_error']}")
            if feed["dropped"]:
                row.wrong.append(f"{feed['dropped']} rows were merged away before the bus")
            if row.cuts and not row.entries.get("reconnect"):
                row.wrong.append("its connections were cut, and the ledger has no entry for it")
            still = [one for one in ledger if one["feed"] == feed["name"] and self._is_open(one)]
            row.wrong += [f"open in the ledger: {one['kind']}: {one['reason']}" for one in still[:NAMED_MAX]]

    def _judge_trades(
        self,
        rows: Mapping[str, VenueRow],
        truth: Mapping[str, dict[str, Any]],
        ledger: Sequence[Mapping[str, Any]],
    ) -> None:
        missed = _missed(ledger)
        for client in self._crowd.clients:
            if client.member.channel != "trades":
                continue
            for symbol in client.member.symbols:
                if symbol in truth and symbol in self._before:
                    self._judge_symbol(client, symbol, truth[symbol], rows[symbol.partition(":")[0]], missed)

    def _judge_symbol(
        self, client: Client, symbol: str, truth: Mapping[str, Any], row: VenueRow, missed: Mapping[str, set[str]]
    ) -> None:
        there = int(truth["trades"]) - int(self._before[symbol]["trades"])
        came = client.trades[symbol]
        row.trades += there
        row.trades_came += came
        lacking = there - came
        if lacking < 0:
            row.wrong.append(f"{symbol}: {came} trades came, there were {there}")
        elif lacking and (symbol in missed[""] or row.venue in missed["venues"] or self._cannot_notice(row)):
            row.trades_excused += lacking
        elif lacking:
            row.wrong.append(f"{symbol}: {lacking} of {there} trades are missing, and the ledger does not say so")
        if not lacking and there and symbol in client.last:
            price, size = client.last[symbol]
            if Decimal(str(price)) != Decimal(truth["last"]) or Decimal(str(size)) != Decimal(truth["last_size"]):
                row.wrong.append(f"{symbol}: the last trade is {price} x {size}, true is {truth['last']}")

    @staticmethod
    def _cannot_notice(row: VenueRow) -> bool:
        """Whether a trade that a fault took away leaves no trace: the venue does not number its trades."""
        return bool(LOSING & row.faults.keys()) and not numbers_trades(row.venue)

    def _judge_peace(self, rows: Mapping[str, VenueRow], ledger: Sequence[Mapping[str, Any]]) -> None:
        for symbol, state in self._doubts.items():
            rows[symbol.partition(":")[0]].wrong.append(f"{symbol}, left in peace, was {state}")
        for row in rows.values():
            if row.is_witness:
                taken = [one for one in ledger if one["venue"] == row.venue and self._takes(one)]
                row.wrong += [f"left in peace, and the ledger has {one['kind']}: {one['reason']}" for one in taken[:3]]

    def _takes(self, entry: Mapping[str, Any]) -> bool:
        """Whether an entry took something away during the day: before and after it the market stood still."""
        began_ns = round(datetime.fromisoformat(entry["began"]).timestamp() * 1e9)
        return entry["kind"] not in LOSSLESS and self._began_ns <= began_ns < self._ended_ns

    def _judge_crowd(self, truth: Mapping[str, dict[str, Any]]) -> list[CrowdRow]:
        found: dict[tuple[str, str], CrowdRow] = {}
        for client in self._crowd.clients:
            member = client.member
            row = found.setdefault((member.channel, member.codec), CrowdRow(codec=member.codec, channel=member.channel))
            row.clients += 1
            row.frames += client.frames.total()
            row.symbols += len(member.symbols)
            row.balanced += client.synced
            row.equal += sum(same(quote, truth[one]) for one, quote in client.quotes.items() if one in truth)
            row.wrong += client.faults[:NAMED_MAX]
        return [row for _, row in sorted(found.items())]


def numbers_trades(code: str) -> bool:
    """Whether a lost trade of a venue shows."""
    venue = find_declared(code)
    if venue is None:
        return False
    return venue.dialect.counter is not None or any(
        emit.chained
        for message in venue.dialect.messages
        for emit in message.emits
        if isinstance(emit, dialect.Trades) and not emit.liquidation
    )


def _missed(ledger: Sequence[Mapping[str, Any]]) -> dict[str, set[str]]:
    """Instruments (under the empty name) and whole venues of which the ledger says that something may be missing."""
    found: dict[str, set[str]] = {"": set(), "venues": set()}
    for entry in ledger:
        if entry["kind"] in LOSSLESS:
            continue
        found[""].update(entry["instruments"])
        if not entry["instruments"] or entry["instruments_count"] > len(entry["instruments"]):
            found["venues"].add(entry["venue"])
    return found


def _quote(row: Mapping[str, Any]) -> str:
    bid, bid_size, ask, ask_size = (row.get(key) for key in QUOTE)
    return f"{bid} x {bid_size} / {ask} x {ask_size}"
