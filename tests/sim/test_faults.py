"""The gate: what each verb does to units, how long, and what it holds."""

from collections import Counter
from itertools import count

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast.model.errors import UsageError
from tickcast.sim.faults import VERBS, Fault, FaultGate, Verb

SECOND = 1_000_000_000


class Clock:
    def __init__(self) -> None:
        self.ns = 1_000 * SECOND

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(clock: Clock) -> FaultGate:
    return FaultGate(seed=7, now_ns=clock, lines=("A", "B/1", "B/2"))


def units(number: int, start: int = 0) -> list[bytes]:
    return [b"unit %04d" % n for n in range(start, start + number)]


def test_units_pass_as_they_are_while_nothing_is_armed(gate: FaultGate) -> None:
    given = units(3)
    assert gate.pass_units(given, "A") is given
    gate.arm(Fault(fault="clock"))
    assert gate.pass_units(given, "A") is given, "a clock does not touch units"
    assert not gate.busy


def test_drop_takes_as_many_as_it_is_told(gate: FaultGate) -> None:
    gate.arm(Fault(fault="drop", count=3))
    assert gate.pass_units(units(2)) == []
    assert gate.pass_units(units(4)) == units(3, 1)
    assert gate.fired["drop"] == 3
    assert not gate.busy
    given = units(2)
    assert gate.pass_units(given) is given


def test_one_in_many_is_the_same_again_with_the_same_seed(clock: Clock) -> None:
    def left(seed: int) -> list[bytes]:
        gate = FaultGate(seed=seed, now_ns=clock)
        gate.arm(Fault(fault="drop", every=10, for_s=60))
        return list(gate.pass_units(units(1000)))

    assert left(1) == left(1) != left(2)
    assert 850 < len(left(1)) < 950


def test_a_line_takes_its_own_faults_and_those_of_all(gate: FaultGate) -> None:
    gate.arm(Fault(fault="drop", line="B", for_s=1))
    assert gate.pass_units(units(1), "A") == units(1)
    assert gate.pass_units(units(1), "B/1") == []
    gate.arm(Fault(fault="drop"))
    assert gate.pass_units(units(1), "A") == []


def test_duplicate_and_reorder(gate: FaultGate) -> None:
    gate.arm(Fault(fault="duplicate"))
    assert gate.pass_units(units(2)) == [*units(1), *units(2)]
    gate.arm(Fault(fault="reorder"))
    assert gate.pass_units(units(3)) == [b"unit 0001", b"unit 0000", b"unit 0002"]


def test_a_reordered_unit_waits_for_the_next_but_not_for_ever(gate: FaultGate, clock: Clock) -> None:
    gate.arm(Fault(fault="reorder", count=2))
    assert gate.pass_units(units(1)) == []
    assert gate.pass_units(units(1, 1)) == units(2)[::-1]
    assert gate.pass_units(units(1, 2)) == []
    clock.ns += SECOND
    assert gate.pass_units([]) == units(1, 2)
    assert (gate.held_bytes, gate.busy) == (0, False)
    gate.arm(Fault(fault="reorder"))
    gate.pass_units(units(1))
    gate.clear()
    assert gate.pass_units([]) == units(1)


def test_a_late_unit_of_a_stream_holds_back_those_behind_it(gate: FaultGate, clock: Clock) -> None:
    gate.arm(Fault(fault="delay", count=1, delay_ms=50))
    assert gate.pass_units(units(2)) == []
    clock.ns += 49_000_000
    assert gate.pass_units([]) == []
    clock.ns += 1_000_000
    assert gate.pass_units(units(1, 2)) == units(3)
    assert not gate.busy


def test_a_late_datagram_is_overtaken(clock: Clock) -> None:
    gate = FaultGate(now_ns=clock, ordered=False)
    gate.arm(Fault(fault="delay", count=1, delay_ms=50))
    assert gate.pass_units(units(2)) == units(1, 1)
    clock.ns += 50_000_000
    assert gate.pass_units([]) == units(1)


def test_corrupt_changes_the_first_byte_of_the_body_and_spares_the_head(clock: Clock) -> None:
    gate = FaultGate(now_ns=clock, body=5)
    gate.arm(Fault(fault="corrupt"))
    (spoilt,) = gate.pass_units([b"head:body of a unit"])
    assert spoilt[:5] == b"head:"
    assert spoilt[5] == ord("b") ^ 0x80
    assert sum(a != b for a, b in zip(spoilt, b"head:body of a unit", strict=True)) <= 4


def test_truncate_cuts_in_the_middle_and_goes_on(gate: FaultGate) -> None:
    gate.arm(Fault(fault="truncate"))
    assert gate.pass_units(units(2)) == [b"unit", b"unit 0001"]


def test_a_stall_holds_and_then_lets_go(gate: FaultGate, clock: Clock) -> None:
    gate.arm(Fault(fault="stall", for_s=2, line="A"))
    assert gate.stalled("A")
    assert not gate.stalled("B/1")
    assert gate.pass_units(units(2), "A") == []
    assert gate.held_bytes == 18
    clock.ns += 2 * SECOND
    assert not gate.stalled("A")
    assert gate.pass_units(units(1, 2), "A") == units(3)
    assert (gate.held_bytes, gate.busy, gate.fired["stall"]) == (0, False, 1)


def test_what_cannot_be_held_is_lost_and_ends_a_stream(clock: Clock) -> None:
    cut: list[str] = []
    gate = FaultGate(now_ns=clock, held_bytes_max=20, lines=("ws",))
    gate.on_disconnect = cut.append
    gate.arm(Fault(fault="stall", for_s=2))
    assert gate.pass_units(units(3), "ws") == []
    assert (gate.held_bytes, gate.overflow, cut) == (18, 1, ["ws"])


def test_a_peer_that_left_is_forgotten(gate: FaultGate) -> None:
    gate.arm(Fault(fault="stall", for_s=2))
    gate.pass_units(units(2), "A", "peer")
    gate.forget("peer")
    assert gate.held_bytes == 0
    gate.clear()
    assert gate.pass_units([], "A", "peer") == []


def test_events_happen_at_once(gate: FaultGate, clock: Clock) -> None:
    told: list[str] = []
    gate.on_disconnect = lambda line: told.append(f"disconnect {line}")
    gate.on_restart = lambda: told.append("restart")
    gate.arm(Fault(fault="restart"))
    gate.arm(Fault(fault="disconnect", line="A"))
    assert told == ["restart", "disconnect A"]
    assert not gate.refuses_connection("A")
    gate.arm(Fault(fault="disconnect", for_s=3))
    assert gate.refuses_connection("A")
    clock.ns += 3 * SECOND
    assert not gate.refuses_connection("A")


def test_the_clock_is_off_until_cleared(gate: FaultGate, clock: Clock) -> None:
    assert gate.clock_offset_ns == 0
    gate.arm(Fault(fault="clock"))
    clock.ns += 1000 * SECOND
    assert gate.clock_offset_ns == 3600 * SECOND
    gate.arm(Fault(fault="clock", offset_s=-0.5, for_s=1))
    assert gate.clock_offset_ns == -SECOND // 2
    clock.ns += SECOND
    assert gate.clock_offset_ns == 0


def test_logins_requests_and_answers(gate: FaultGate) -> None:
    gate.arm(Fault(fault="refuse_login", count=1))
    gate.arm(Fault(fault="throttle", count=1, delay_ms=1200))
    gate.arm(Fault(fault="delay", count=1))
    assert (gate.refuses_login(), gate.refuses_login()) == (True, False)
    assert (gate.throttles(), gate.throttles()) == (2.0, None)
    assert (gate.delay_s(), gate.delay_s()) == (0.2, 0.0)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(fault="drop", line="C"), "expected a line of A, B/1, B/2, found C"),
        (Fault(fault="clock", count=2), "clock: expected parameters of offset_s, for_s, found count"),
        (Fault(fault="restart", for_s=2), "restart: expected parameters of none, found for_s"),
    ],
)
def test_what_makes_no_sense_is_refused(gate: FaultGate, fault: Fault, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        gate.arm(fault)
    assert gate.state()["armed"] == []


def test_a_venue_has_the_verbs_it_names(clock: Clock) -> None:
    gate = FaultGate(now_ns=clock, supports={"drop": "an answer is missing"})
    with pytest.raises(UsageError, match="expected a fault of drop, found stall; nothing armed"):
        gate.arm(Fault(fault="stall"))
    assert gate.state()["supports"] == {"drop": "an answer is missing"}


def test_the_state_says_what_is_armed_and_what_is_left(gate: FaultGate, clock: Clock) -> None:
    gate.arm(Fault(fault="drop", count=5, line="A"))
    gate.pass_units(units(2), "A")
    gate.arm(Fault(fault="stall"))
    clock.ns += SECOND
    assert gate.state()["armed"] == [
        {"fault": "drop", "count": 5, "line": "A", "fired": 2, "left": 3, "left_s": None},
        {"fault": "stall", "fired": 0, "left": None, "left_s": 4.0},
    ]
    clock.ns += 4 * SECOND
    assert [one["fault"] for one in gate.state()["armed"]] == ["drop"]


def test_every_verb_has_an_end_of_its_own_or_is_an_event(gate: FaultGate) -> None:
    endless = {verb for verb, info in VERBS.items() if info.count is None and info.for_s is None}
    assert endless == {"disconnect", "restart", "clock"}
    assert set(VERBS) == set(msgspec.json.schema(Fault)["$defs"]["Fault"]["properties"]["fault"]["enum"])


@given(
    seed=st.integers(0, 1000),
    ordered=st.booleans(),
    armed=st.lists(
        st.builds(
            Fault,
            fault=st.sampled_from(["duplicate", "reorder", "delay", "stall"]),
            every=st.just(1),
            for_s=st.floats(0.01, 2),
        ),
        max_size=4,
    ),
    sizes=st.lists(st.integers(0, 8), max_size=30),
)
def test_nothing_is_lost_that_was_not_dropped(seed: int, ordered: bool, armed: list[Fault], sizes: list[int]) -> None:
    clock = Clock()
    gate = FaultGate(seed=seed, now_ns=clock, ordered=ordered)
    numbers = count()
    sent: list[bytes] = []
    given_units: list[bytes] = []
    for number, size in enumerate(sizes):
        if number < len(armed):
            gate.arm(armed[number])
        block = [b"%d" % next(numbers) for _ in range(size)]
        given_units += block
        sent += gate.pass_units(block)
        clock.ns += 50_000_000
    clock.ns += 10 * SECOND
    sent += gate.pass_units([])
    assert set(sent) == set(given_units)
    assert len(sent) == len(given_units) + gate.fired["duplicate"]
    assert gate.held_bytes == 0
    assert not gate.busy
    assert not Counter(given_units) - Counter(sent)


@pytest.mark.parametrize("verb", [verb for verb, info in VERBS.items() if "every" in info.parameters])
def test_every_verb_of_units_counts_what_it_did(gate: FaultGate, verb: Verb) -> None:
    gate.arm(Fault(fault=verb, count=2))
    for _ in range(4):
        gate.pass_units(units(1), "A")
        gate.refuses_login()
        gate.throttles()
    assert gate.fired[verb] == 2


def test_what_goes_to_a_connection_keeps_its_order_also_where_datagrams_do_not(clock: Clock) -> None:
    gate = FaultGate(now_ns=clock, ordered=False)
    gate.arm(Fault(fault="delay", count=1, delay_ms=100))
    assert gate.pass_units(units(3), "tcp", peer="client") == []
    gate.arm(Fault(fault="delay", count=1, delay_ms=100))
    assert gate.pass_units(units(3), "udp") == units(2, 1), "a datagram overtakes a late one"
    clock.ns += SECOND
    assert gate.pass_units((), "tcp", peer="client") == units(3)
    assert gate.pass_units((), "udp") == units(1)
