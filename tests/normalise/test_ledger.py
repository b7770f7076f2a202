"""The pure ledger: what is broken is in an open entry, what is whole is not, and the counts add up."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tickcast.model.ledger import NAMED_MAX, Incident, LedgerEntry
from tickcast.model.record import Kind, Records, State, records_from
from tickcast.normalise.ledger import ALONE_NS, RECENT_MAX, Ledger
from tickcast.venues import rows

MS = 1_000_000
S = 1_000 * MS
START = 1_700_000_000 * S


class World:
    """A ledger, its clock, and the newest telling of each entry."""

    def __init__(self, count: int = 5, **bounds: int) -> None:
        self.ledger = Ledger("f", "T", **bounds)
        self.ledger.learn({number: f"T:S{number}" for number in range(1, count + 1)})
        self.now = START
        self.told: dict[str, LedgerEntry] = {}
        self.tellings = 0

    def enter(self, *records: bytes, incidents: Sequence[Incident] = ()) -> list[LedgerEntry]:
        """One read, a millisecond later; what is told of it."""
        self.now += MS
        found = records_from(bytearray(b"".join(records)))
        found["ts_recv"] = self.now
        self.ledger.enter(7, found, incidents)
        return self.news()

    def news(self) -> list[LedgerEntry]:
        news = list(self.ledger.news(self.now))
        self.told.update((one.id, one) for one in news)
        self.tellings += len(news)
        return news

    def status(self, state: State, *instruments: int) -> bytes:
        return b"".join(rows.status(one, state, ts_event=0, ts_recv=0) for one in instruments)

    def live(self, *instruments: int) -> None:
        self.enter(self.status(State.LIVE, *instruments))

    def incident(self, kind: Any = "checksum", *instruments: int, **changes: Any) -> Incident:
        fields: dict[str, Any] = {"scope": "instrument", "reason": "expected 1, found 2", "ts_ns": self.now + MS}
        fields |= changes
        return Incident(kind=kind, instruments=instruments, **fields)


def gap(instrument: int, missing: int, next_seq: int = 0, *, repaired: bool = False) -> bytes:
    return rows.gap(instrument, missing, next_seq=next_seq, ts_recv=0, repaired=repaired)


def test_a_gap_of_one_book_is_one_entry_from_its_rows_to_its_snapshot() -> None:
    world = World()
    world.live(1, 2)
    (entry,) = world.enter(gap(1, 3, 100), world.status(State.GAP, 1), world.status(State.REPAIRING, 1))
    assert (entry.kind, entry.scope, entry.instruments, entry.open_count) == ("gap", "instrument", ("T:S1",), 1)
    assert (entry.missing, entry.from_seq, entry.to_seq) == (3, 97, 99)
    assert (entry.id, entry.feed, entry.venue) == ("f-7-1", "f", "T")
    assert (entry.began_ns, entry.ended_ns, entry.repaired_by) == (world.now, 0, "")
    (again,) = world.enter(world.status(State.LIVE, 1))
    assert (again.id, again.ended_ns, again.open_count, again.repaired_by) == (entry.id, world.now, 0, "snapshot")
    assert again.lost == 3


def test_a_gap_of_a_unit_concerns_what_leaves_live_with_it() -> None:
    world = World()
    world.live(1, 2, 3, 4, 5)
    (entry,) = world.enter(gap(0, 4, 50), world.status(State.GAP, 1, 2, 3))
    assert (entry.scope, entry.instruments_count, entry.missing) == ("unit", 3, 4)
    (entry,) = world.enter(gap(0, 4, 50, repaired=True), world.status(State.LIVE, 1, 2, 3))
    assert (entry.missing, entry.recovered, entry.lost) == (4, 4, 0)
    assert (entry.repaired_by, entry.ended_ns) == ("retransmission", world.now)


@pytest.mark.parametrize("is_one_read", [True, False])
def test_messages_that_come_behind_the_end_are_counted_in_it(*, is_one_read: bool) -> None:
    world = World()
    world.live(1, 2)
    world.enter(gap(0, 4, 50), world.status(State.GAP, 1))
    if is_one_read:
        world.enter(world.status(State.LIVE, 1), gap(0, 4, 50, repaired=True))
    else:
        world.enter(world.status(State.LIVE, 1))
        world.enter(gap(0, 4, 50, repaired=True))
    (entry,) = world.told.values()
    assert (entry.recovered, entry.repaired_by) == (4, "retransmission")


def test_two_units_are_two_entries_and_each_gets_its_own_messages() -> None:
    world = World()
    world.live(1, 2)
    world.enter(gap(0, 4, 50), world.status(State.GAP, 1))
    world.enter(gap(0, 7, 90), world.status(State.GAP, 2))
    world.enter(gap(0, 7, 95, repaired=True), world.status(State.LIVE, 2))
    first, second = world.told.values()
    assert (first.instruments, first.recovered, first.ended_ns) == (("T:S1",), 0, 0)
    assert (second.instruments, second.recovered, second.ended_ns) == (("T:S2",), 7, world.now)


def test_more_missing_of_what_is_broken_is_no_other_entry() -> None:
    world = World()
    world.live(1)
    world.enter(gap(0, 4, 50), world.status(State.GAP, 1))
    (entry,) = world.enter(gap(0, 2, 60))
    assert (entry.missing, entry.from_seq, entry.to_seq) == (6, 46, 59)
    assert world.ledger.counts == {"gap": 1}


def test_a_loss_told_of_every_instrument_is_one_entry() -> None:
    world = World()
    world.live(1, 2, 3, 4, 5)
    every = b"".join(gap(one, 6, 70) for one in range(1, 6))
    (entry,) = world.enter(every, world.status(State.UNVERIFIED, 1, 2, 3, 4, 5))
    assert (entry.scope, entry.instruments_count, entry.open_count, entry.missing) == ("venue", 5, 5, 6)


def test_a_loss_behind_the_gap_of_its_unit_joins_that() -> None:
    world = World()
    world.live(1, 2, 3)
    world.enter(gap(0, 6, 70), world.status(State.GAP, 1, 2))
    (entry,) = world.enter(gap(1, 8, 72), gap(2, 8, 72), world.status(State.GAP, 1, 2))
    assert (entry.missing, entry.instruments_count) == (8, 2)
    assert world.ledger.counts == {"gap": 1}


def test_a_lost_trade_of_a_live_instrument_ends_as_it_begins() -> None:
    world = World()
    world.live(1)
    (entry,) = world.enter(gap(1, 2, 30), world.status(State.LIVE, 1))
    assert (entry.began_ns, entry.ended_ns, entry.repaired_by, entry.lost) == (world.now, world.now, "", 2)


def test_a_loss_that_nothing_shows_ends_when_nobody_waits_any_more() -> None:
    world = World()
    (entry,) = world.enter(gap(0, 5, 30))
    assert entry.ended_ns == 0
    world.now += ALONE_NS
    world.ledger.settle(world.now)
    (entry,) = world.news()
    assert (entry.ended_ns, entry.repaired_by, entry.lost) == (world.now, "", 5)


def test_late_messages_without_a_gap_are_an_entry_of_their_own() -> None:
    world = World()
    (entry,) = world.enter(gap(0, 3, 30, repaired=True))
    assert (entry.missing, entry.recovered, entry.repaired_by) == (3, 3, "retransmission")
    assert entry.ended_ns == world.now


# ------------------------------------------------------------------ incidents


def test_an_incident_and_its_rows_are_one_entry() -> None:
    world = World()
    world.live(1, 2)
    broken = world.incident("checksum", 1, repair="resubscribe", channel="book", link="ws-1", from_seq=5, to_seq=6)
    (entry,) = world.enter(gap(1, 2, 7), world.status(State.GAP, 1), incidents=[broken])
    assert (entry.kind, entry.reason, entry.channel, entry.link) == ("checksum", "expected 1, found 2", "book", "ws-1")
    assert (entry.from_seq, entry.to_seq, entry.missing) == (5, 6, 2)
    world.enter(world.status(State.REPAIRING, 1))
    (entry,) = world.enter(world.status(State.LIVE, 1))
    assert (entry.ended_ns, entry.repaired_by) == (world.now, "resubscribe")
    assert len(world.told) == 1


def test_being_whole_before_the_break_in_the_same_read_does_not_end_it() -> None:
    world = World()
    world.live(1)
    world.enter(world.status(State.GAP, 1), incidents=[world.incident("gap", 1)])
    again = world.incident("crossed", 1)
    world.enter(world.status(State.LIVE, 1), world.status(State.GAP, 1), incidents=[again])
    first, second = world.told.values()
    assert (first.kind, bool(first.ended_ns)) == ("gap", True)
    assert (second.kind, second.ended_ns, second.open_count) == ("crossed", 0, 1)


def test_a_break_that_is_repaired_in_the_same_read_is_told_once() -> None:
    world = World()
    world.live(1)
    broken = world.incident("gap", 1, repair="snapshot")
    (entry,) = world.enter(world.status(State.GAP, 1), world.status(State.LIVE, 1), incidents=[broken])
    assert (entry.ended_ns, entry.repaired_by) == (world.now, "snapshot")


def test_an_incident_that_breaks_nothing_is_over() -> None:
    world = World()
    world.live(1)
    (entry,) = world.enter(incidents=[world.incident("refused", 1, scope="channel")])
    assert (entry.kind, entry.ended_ns, entry.instruments) == ("refused", world.now, ("T:S1",))


def test_the_same_incident_again_is_the_same_entry() -> None:
    world = World()
    world.live(1, 2)
    world.enter(world.status(State.GAP, 1, 2), incidents=[world.incident("checksum", 1, 2, scope="channel")])
    for _ in range(10):
        world.enter(world.status(State.GAP, 2), incidents=[world.incident("checksum", 2, scope="channel")])
    assert world.ledger.counts == {"checksum": 1}


@pytest.mark.parametrize("kind", ["listed", "delisted", "added", "dropped", "drift", "throttled"])
def test_what_is_over_as_it_happens(kind: str) -> None:
    world = World()
    (entry,) = world.enter(incidents=[world.incident(kind, 1)])
    assert (entry.kind, entry.ended_ns, entry.open_count, entry.repaired_by) == (kind, world.now, 0, "")


@pytest.mark.parametrize("kind", ["delisted", "dropped"])
def test_an_instrument_that_is_not_streamed_any_more_keeps_no_entry_open(kind: str) -> None:
    world = World()
    world.live(1, 2)
    world.enter(world.status(State.GAP, 1, 2), incidents=[world.incident("gap", 1, 2, scope="channel")])
    world.enter(world.status(State.STALE, 1), incidents=[world.incident(kind, 1)])
    world.enter(world.status(State.LIVE, 2))
    assert world.ledger.open_count == 0


def test_what_is_streamed_on_demand_may_end_without_an_entry() -> None:
    world = World()
    world.ledger.learn({1: "T:S1"}, on_demand=[1])
    world.live(1, 2)
    assert world.enter(world.status(State.EMPTY, 1)) == []
    world.live(1)
    world.enter(world.status(State.GAP, 1))
    assert world.ledger.open_count == 1
    world.enter(world.status(State.EMPTY, 1))
    assert world.ledger.open_count == 0
    world.ledger.learn({1: "T:S1"})
    world.live(1)
    (entry,) = world.enter(world.status(State.EMPTY, 1))
    assert entry.kind == "restart", "streamed all the time: that is a loss"


def test_throttling_lasts_as_long_as_the_venue_says_and_more_of_it_is_the_same() -> None:
    world = World()
    (entry,) = world.enter(incidents=[world.incident("throttled", until_ns=START + 5 * S)])
    assert entry.ended_ns == START + 5 * S
    (again,) = world.enter(incidents=[world.incident("throttled", until_ns=START + 9 * S)])
    assert (again.id, again.ended_ns) == (entry.id, START + 9 * S)


def test_the_same_drift_is_entered_once_a_day_and_not_too_many() -> None:
    world = World(drift_max=3)
    for number in (1, 1, 2, 3, 4):
        world.enter(incidents=[world.incident("drift", reason=f"key {number}")])
    assert (world.ledger.counts["drift"], world.ledger.suppressed) == (3, 2)
    world.now += 3_600 * S
    for number in (1, 4):
        world.enter(incidents=[world.incident("drift", reason=f"key {number}")])
    assert world.ledger.counts["drift"] == 4, "another hour, the same day"
    world.now += 82_800 * S
    world.enter(incidents=[world.incident("drift", reason="key 1")])
    assert world.ledger.counts["drift"] == 5


# ------------------------------------------------------------------ links and states


def test_a_lost_link_ends_when_it_is_open_and_its_instruments_are_whole() -> None:
    world = World()
    world.live(1, 2)
    world.ledger.unlinked(7, "ws-1", "no close frame", world.now)
    lost = world.incident("reconnect", 1, scope="connection", link="ws-1", repair="reconnect")
    world.enter(world.status(State.STALE, 1, 2), incidents=[lost])
    (entry,) = world.told.values()
    assert (entry.kind, entry.link, entry.reason, entry.open_count) == ("reconnect", "ws-1", "no close frame", 2)
    world.ledger.linked("ws-1", world.now)
    world.enter(world.status(State.LIVE, 1))
    assert world.told[entry.id].ended_ns == 0
    world.enter(world.status(State.LIVE, 2))
    assert (world.told[entry.id].ended_ns, world.told[entry.id].repaired_by) == (world.now, "reconnect")


def test_a_lost_link_that_breaks_nothing_lasts_until_it_is_open() -> None:
    world = World()
    world.ledger.unlinked(7, "tape", "reset", world.now)
    world.ledger.unlinked(7, "tape", "reset", world.now)
    assert [one.ended_ns for one in world.news()] == [0]
    world.now += S
    world.ledger.linked("tape", world.now)
    (entry,) = world.news()
    assert (entry.ended_ns - entry.began_ns, entry.repaired_by) == (S, "reconnect")


@pytest.mark.parametrize(
    ("state", "kind"), [(State.STALE, "reconnect"), (State.GAP, "gap"), (State.SYNCING, "restart")]
)
def test_what_leaves_live_without_a_reason_is_an_entry(state: State, kind: str) -> None:
    world = World()
    world.live(1, 2)
    (entry,) = world.enter(world.status(state, 1, 2))
    assert (entry.kind, entry.scope, entry.open_count) == (kind, "unit", 2)
    (entry,) = world.enter(world.status(State.LIVE, 1, 2))
    assert entry.ended_ns == world.now


def test_a_halt_lasts_until_the_venue_goes_on_and_breaks_no_book() -> None:
    world = World()
    world.live(1)
    world.enter(world.status(State.HALTED, 1))
    world.enter(world.status(State.GAP, 1))
    world.enter(world.status(State.HALTED, 1))
    world.enter(world.status(State.LIVE, 1))
    halt, loss = world.told.values()
    assert (halt.kind, halt.repaired_by, loss.kind) == ("halt", "venue", "gap")
    assert halt.ended_ns == loss.began_ns
    assert loss.ended_ns == loss.began_ns + MS


def test_unverified_is_whole_for_what_was_never_better() -> None:
    world = World()
    world.enter(world.status(State.UNVERIFIED, 1))
    world.live(2)
    world.enter(world.status(State.GAP, 1, 2))
    world.enter(world.status(State.UNVERIFIED, 1, 2))
    world.now += S
    (entry,) = world.news()
    assert (entry.instruments_count, entry.open_count) == (2, 1)


# ------------------------------------------------------------------ bounds


def test_at_most_a_hundred_are_named_and_all_are_counted() -> None:
    world = World(300)
    everyone = range(1, 301)
    world.live(*everyone)
    (entry,) = world.enter(world.status(State.STALE, *everyone))
    assert (len(entry.instruments), entry.instruments_count, entry.scope) == (NAMED_MAX, 300, "venue")


def test_what_only_shrinks_is_told_now_and_then_its_end_at_once() -> None:
    world = World(200)
    world.live(*range(1, 201))
    world.enter(world.status(State.STALE, *range(1, 201)))
    before = world.tellings
    for one in range(1, 200):
        world.enter(world.status(State.LIVE, one))
    assert world.tellings == before
    world.now += S
    assert [entry.open_count for entry in world.news()] == [1]
    (entry,) = world.enter(world.status(State.LIVE, 200))
    assert entry.ended_ns == world.now


def test_too_many_open_entries_become_one() -> None:
    world = World(50, open_max=10)
    world.live(*range(1, 51))
    for one in range(1, 51):
        world.enter(gap(one, 1, 10 * one), world.status(State.GAP, one))
    assert (world.ledger.open_count, world.ledger.merged) == (10, 40)
    assert sum(one.open_count for one in world.ledger.known()) == 50
    for one in range(1, 51):
        world.enter(world.status(State.LIVE, one))
    assert world.ledger.open_count == 0


def test_what_breaks_behind_a_loss_that_ended_in_the_same_read_is_open() -> None:
    world = World()
    world.live(1)
    lost, broken = world.enter(gap(0, 4, 50), gap(0, 4, 50, repaired=True), world.status(State.GAP, 1))
    assert (lost.open_count, lost.lost, lost.ended_ns) == (0, 0, world.now)
    assert (broken.open_count, broken.instruments, broken.ended_ns) == (1, ("T:S1",), 0)


def test_an_incident_of_nothing_ends_no_entry_that_it_joined() -> None:
    world = World(open_max=1)
    world.live(1)
    (entry,) = world.enter(world.status(State.GAP, 1))
    world.enter(incidents=[world.incident("refused")])
    assert world.ledger.merged == 1
    assert (world.told[entry.id].ended_ns, world.told[entry.id].open_count) == (0, 1)


def test_a_break_joins_no_halt_when_too_many_are_open() -> None:
    world = World(open_max=1)
    world.live(1, 2)
    world.enter(world.status(State.HALTED, 1))
    (broken,) = world.enter(world.status(State.GAP, 2))
    assert (broken.kind, broken.instruments, broken.open_count) == ("gap", ("T:S2",), 1)
    world.live(1)
    assert [one.kind for one in world.ledger.known() if not one.ended_ns] == ["gap"]


def test_links_that_share_an_entry_end_it_when_the_last_is_open() -> None:
    world = World(open_max=1)
    world.live(1)
    world.ledger.unlinked(7, "ws-1", "reset", world.now)
    world.ledger.unlinked(7, "ws-2", "reset", world.now)
    world.ledger.linked("ws-1", world.now)
    (entry,) = world.enter(world.status(State.STALE, 1))
    assert (entry.open_count, entry.ended_ns) == (1, 0)
    world.ledger.linked("ws-2", world.now)
    world.live(1)
    assert world.told[entry.id].ended_ns == world.now


def test_messages_that_come_late_are_an_entry_of_their_own_when_too_many_are_open() -> None:
    world = World(open_max=1)
    world.live(1, 2)
    (broken,) = world.enter(world.status(State.GAP, 1))
    (late,) = world.enter(gap(2, 3, 30, repaired=True))
    assert (late.recovered, late.repaired_by, late.ended_ns) == (3, "retransmission", world.now)
    assert (world.told[broken.id].missing, world.told[broken.id].repaired_by) == (0, "")


def test_a_bus_without_our_past_is_told_what_is_open_and_what_ended_lately() -> None:
    world = World()
    world.live(1)
    for number in range(RECENT_MAX + 50):
        world.enter(gap(1, 1, 10 + number))
    world.enter(world.status(State.GAP, 1))
    known = world.ledger.known()
    assert len(known) == RECENT_MAX + 1
    assert [one.open_count for one in known if not one.ended_ns] == [1]


# ------------------------------------------------------------------ whatever comes

BROKEN = {State.EMPTY, State.SYNCING, State.GAP, State.REPAIRING, State.STALE}
INSTRUMENTS = st.integers(1, 6)
KINDS = st.sampled_from(["gap", "checksum", "crossed", "damaged", "reconnect", "refused", "listed", "halt", "restart"])
ROW = st.one_of(
    st.tuples(st.just("status"), INSTRUMENTS, st.sampled_from(list(State))),
    st.tuples(st.just("gap"), st.integers(0, 6), st.integers(0, 9)),
    st.tuples(st.just("came"), st.integers(0, 6), st.integers(1, 9)),
)
READ = st.tuples(
    st.lists(ROW, max_size=8),
    st.lists(st.tuples(KINDS, st.lists(INSTRUMENTS, unique=True, max_size=6)), max_size=2),
    st.sampled_from(["", "", "", "lost", "back"]),
)


def records_of(read: Sequence[tuple[str, int, int]], seq: int) -> list[bytes]:
    made = []
    for what, instrument, value in read:
        if what == "status":
            made.append(rows.status(instrument, State(value), ts_event=0, ts_recv=0))
        else:
            made.append(gap(instrument, value, seq, repaired=what == "came"))
    return made


LIVE_1 = ("status", 1, State.LIVE)
GAP_1 = ("status", 1, State.GAP)


@given(st.lists(READ, max_size=30), st.integers(1, 12))
@example([([LIVE_1, ("gap", 0, 0), ("came", 0, 1), GAP_1], [], "")], 12)
@example([([("gap", 0, 0)], [], "lost"), ([LIVE_1, ("came", 0, 1), GAP_1], [], "")], 1)
@example([([LIVE_1, GAP_1], [], ""), ([], [("gap", [])], "")], 1)
@example([([LIVE_1, GAP_1], [("halt", [2])], "")], 1)
@example([([LIVE_1, ("status", 2, State.LIVE), ("status", 2, State.HALTED), GAP_1], [], "")], 1)
def test_whatever_comes_what_is_broken_is_open_and_everything_ends(reads: list[Any], open_max: int) -> None:
    world = World(6, open_max=open_max)
    state: dict[int, State] = {}
    was_live: set[int] = set()
    for number, (read, broken, link) in enumerate(reads):
        if link == "lost":
            world.ledger.unlinked(7, "ws", "lost", world.now)
        elif link == "back":
            world.ledger.linked("ws", world.now)
        incidents = [world.incident(kind, *instruments) for kind, instruments in broken]
        world.enter(*records_of(read, 100 * (number + 1)), incidents=incidents)
        for what, instrument, value in read:
            if what == "status":
                state[instrument] = State(value)
                was_live |= {instrument} if value == State.LIVE else set()
        known = {one.id: one for one in world.ledger.known()}
        still = set().union(*(one.instruments for one in known.values() if one.open_count))
        are_broken = {f"T:S{instrument}" for instrument in was_live if state[instrument] in BROKEN}
        assert are_broken <= still
        assert sum(one.open_count for one in known.values()) >= len(are_broken)
        assert world.ledger.open_count <= open_max + 1
        for one in known.values():
            assert 0 <= one.open_count <= one.instruments_count == len(one.instruments)
            assert one.recovered <= one.missing
            assert not one.ended_ns or (one.open_count == 0 and one.ended_ns >= one.began_ns)
    world.ledger.linked("ws", world.now)
    world.enter(world.status(State.LIVE, *range(1, 7)))
    world.now += ALONE_NS
    world.ledger.settle(world.now)
    world.news()
    assert world.ledger.open_count == 0
    assert all(one.ended_ns for one in world.told.values())
    assert not world.ledger.is_due


@given(st.lists(st.tuples(INSTRUMENTS, st.integers(1, 9)), max_size=40))
def test_what_is_missing_adds_up(losses: list[tuple[int, int]]) -> None:
    """Losses of single instruments, some while they are being repaired."""
    world = World(6)
    world.live(*range(1, 7))
    for number, (instrument, missing) in enumerate(losses):
        if number % 3 == 0:
            world.live(instrument)
        world.enter(gap(instrument, missing, 100 * (number + 1)), world.status(State.GAP, instrument))
    assert sum(one.missing for one in world.told.values()) == sum(missing for _, missing in losses)
    assert len(world.told) == sum(world.ledger.counts.values())


def test_rows_without_news_cost_nothing() -> None:
    world = World()
    trades: Records = np.zeros(1_000, records_from(b"").dtype)
    trades["kind"] = Kind.TRADE
    world.ledger.enter(7, trades)
    assert not world.ledger.is_due


# ------------------------------------------------------------------ entries that are told by their incidents alone


def keyed(world: World, *instruments: int, **changes: Any) -> Incident:
    return world.incident("gap", *instruments, key="k", channel="trades", **changes)


def test_an_entry_with_a_key_ends_when_it_is_said_and_not_by_states() -> None:
    world = World()
    world.live(1, 2)
    (entry,) = world.enter(gap(1, 3, 100), world.status(State.LIVE, 1), incidents=[keyed(world, 1, missing=3)])
    assert (entry.kind, entry.missing, entry.recovered, entry.open_count, entry.ended_ns) == ("gap", 3, 0, 1, 0)
    assert world.enter(world.status(State.LIVE, 1), gap(1, 3, 100)) == [], "its rows say nothing more"
    (entry,) = world.enter(
        gap(1, 3, 100, repaired=True),
        incidents=[keyed(world, 1, missing=3, recovered=3, repair="backfill", until_ns=world.now, reason="all came")],
    )
    assert (entry.recovered, entry.lost, entry.repaired_by, entry.open_count) == (3, 0, "backfill", 0)
    assert (entry.reason, bool(entry.ended_ns)) == ("all came", True)
    assert len(world.told) == 1


def test_what_a_key_cannot_repair_is_lost() -> None:
    world = World()
    world.live(1)
    (entry,) = world.enter(incidents=[keyed(world, 1, missing=5, recovered=2, until_ns=world.now + MS)])
    assert (entry.lost, entry.repaired_by, entry.instruments) == (3, "", ("T:S1",))


def test_instruments_leave_an_entry_with_a_key_as_it_is_told() -> None:
    world = World()
    world.live(1, 2)
    world.enter(incidents=[keyed(world, 1, 2, missing=2)])
    world.now += S
    (entry,) = world.enter(incidents=[keyed(world, 2, missing=2, recovered=1)])
    assert (entry.open_count, entry.instruments_count) == (1, 2)
    assert entry.ended_ns == 0


def test_a_book_that_breaks_meanwhile_is_an_entry_of_its_own() -> None:
    world = World()
    world.live(1)
    world.enter(incidents=[keyed(world, 1, missing=2)])
    world.enter(world.status(State.GAP, 1))
    assert {one.repaired_by for one in world.told.values()} == {""}
    assert len(world.told) == 2
    world.enter(world.status(State.LIVE, 1))
    ended = [one for one in world.told.values() if one.ended_ns]
    assert [one.channel for one in ended] == [""]


def test_too_many_open_entries_take_one_with_a_key_in() -> None:
    world = World(open_max=1)
    world.live(1, 2)
    world.enter(world.status(State.GAP, 2))
    world.enter(incidents=[keyed(world, 1, missing=2)])
    assert world.ledger.merged == 1
    assert len(world.told) == 1
