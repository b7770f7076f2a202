"""Limits that hold over processes: tables of several "processes" in one, each with a file and a lock of its own."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.gateway import tally as module
from tickcast.gateway.addresses import Addresses
from tickcast.gateway.auth.access import Access, Denied, Scope
from tickcast.gateway.auth.admission import Admission
from tickcast.gateway.auth.config import Config as AuthConfig
from tickcast.gateway.auth.guests import Guest, Guests
from tickcast.gateway.config import Config
from tickcast.gateway.tally import NOTHING, PLACES, ROWS_MIN, Elsewhere, Tallies, Tally, rows_for, spend
from tickcast.runtime.clock import monotonic_ns, pause

NAMES = ("core", "gateway1", "gateway2")
NS = 1_000_000_000
BEGAN = 10**18


class Time:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_ns = BEGAN

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Tables that are quickly made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ROWS_MAX", ROWS_MIN)
        yield


@pytest.fixture
def open_tally(tmp_path: Path) -> Iterator[Callable[..., Tally]]:
    with ExitStack() as stack:

        def open_tally(name: str, *, clock: Callable[[], int] = lambda: BEGAN) -> Tally:
            return stack.enter_context(Tally(tmp_path, "users", name=name, names=NAMES, clock=clock))

        yield open_tally


def die(tally: Tally) -> None:
    """End like a process that is killed: the kernel takes the lock back, what is in the table stays."""
    own: Any = tally._own
    copy = os.dup(own.handle)
    os.close(own.handle)  # another descriptor of the same lock keeps it ...
    fcntl.flock(copy, fcntl.LOCK_UN)
    os.dup2(copy, own.handle)  # ... so it is let go of, and the number stays taken for the end of the test
    os.close(copy)


# ---------------------------------------------------------------------- tables


def test_what_one_tells_the_others_see(open_tally: Callable[..., Tally]) -> None:
    one, two, three = map(open_tally, NAMES)
    one.tell(one.seat("ann"), 3, BEGAN + 5, BEGAN + 7)
    two.tell(two.seat("ann"), 2, BEGAN + 6, BEGAN + 2)
    two.tell(two.seat("bob"), 1, 0)
    seen = three.elsewhere(three.seat("ann"))
    assert seen.connections == 5
    # each process has its own distance from the machine's clock, measured when it begins
    assert abs(seen.handshakes_ns - BEGAN - 6) < NS
    assert one.elsewhere(one.seat("ann")).connections == 2, "without what it holds itself"
    assert two.elsewhere(two.seat("nobody")) == NOTHING


def test_times_are_told_over_clocks_that_differ(open_tally: Callable[..., Tally]) -> None:
    ahead = 3_600 * NS
    one = open_tally("core", clock=monotonic_ns)
    two = open_tally("gateway1", clock=lambda: monotonic_ns() + ahead)
    due_ns = monotonic_ns() + NS
    one.tell(one.seat("ann"), 0, due_ns)
    assert abs(two.elsewhere(two.seat("ann")).handshakes_ns - (due_ns + ahead)) < NS // 100


def test_what_a_killed_process_held_counts_until_somebody_would_be_refused_for_it(
    open_tally: Callable[..., Tally],
) -> None:
    one, two, three = map(open_tally, NAMES)
    for tally in (one, two):
        tally.tell(tally.seat("ann"), 3, 0)
    die(two)
    seat = three.seat("ann")
    assert three.elsewhere(seat).connections == 6, "nobody has looked"
    assert three.elsewhere(seat, sure=True).connections == 3
    assert three.elsewhere(seat).connections == 3, "now it is known"


def test_a_successor_begins_with_nothing_and_counts_again(open_tally: Callable[..., Tally]) -> None:
    one, two = open_tally("core"), open_tally("gateway1")
    two.tell(two.seat("ann"), 3, 0)
    die(two)
    seat = one.seat("ann")
    assert one.elsewhere(seat, sure=True) == NOTHING
    again = open_tally("gateway1")
    assert one.elsewhere(seat) == NOTHING
    again.tell(again.seat("ann"), 2, 0)
    assert one.elsewhere(seat).connections == 2
    assert one.elsewhere(seat, sure=True).connections == 2


def test_a_process_that_ends_in_order_holds_nothing(tmp_path: Path, open_tally: Callable[..., Tally]) -> None:
    one = open_tally("core")
    with Tally(tmp_path, "users", name="gateway1", names=NAMES, clock=lambda: BEGAN) as two:
        two.tell(two.seat("ann"), 3, 0)
        assert one.elsewhere(one.seat("ann")).connections == 3
    assert one.elsewhere(one.seat("ann")) == NOTHING


def test_what_an_earlier_instance_left_counts_nothing(tmp_path: Path) -> None:
    with Tally(tmp_path, "users", name="gateway1", names=NAMES, clock=lambda: BEGAN) as two:
        two.tell(two.seat("ann"), 3, 0)
        left = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for path, content in left.items():
        path.write_bytes(content)
    with Tally(tmp_path, "users", name="core", names=NAMES, clock=lambda: BEGAN) as one:
        assert one.elsewhere(one.seat("ann"), sure=True) == NOTHING


def test_two_processes_of_one_name_cannot_be(open_tally: Callable[..., Tally], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRIES", 2)
    open_tally("core")
    with pytest.raises(BlockingIOError, match="another process counts the users of this one"):
        open_tally("core")


def test_who_finds_no_place_is_counted_alone_and_idle_ones_give_way(open_tally: Callable[..., Tally]) -> None:
    one, two = open_tally("core"), open_tally("gateway1")
    seats = [one.seat(f"user {number}") for number in range(PLACES + 2)]
    for number, seat in enumerate(seats):
        seat.row, seat.mark = seats[0].row, 2 * number + 1  # all in one row, as chance may have it
    for seat in seats[: PLACES + 1]:
        one.tell(seat, 1, 0)
    assert [two.elsewhere(seat).connections for seat in seats] == [1] * PLACES + [0, 0]
    one.tell(seats[2], 0, BEGAN + 9 * NS)
    one.tell(seats[5], 0, BEGAN)
    one.tell(seats[-1], 1, 0)
    assert two.elsewhere(seats[5]) == NOTHING, "its allowance was whole first"
    assert (two.elsewhere(seats[2]).handshakes_ns > BEGAN, two.elsewhere(seats[-1]).connections) == (True, 1)
    one.tell(seats[2], 0, 0)
    one.tell(seats[5], 1, 0)
    assert (two.elsewhere(seats[5]).connections, two.elsewhere(seats[-1]).connections) == (1, 1), "it found another"


def test_the_more_processes_the_smaller_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_MAX", 16 * ROWS_MIN)
    assert [rows_for(count) for count in (1, 2, 3, 5, 9, 65)] == [16_384, 16_384, 16_384, 8_192, 4_096, ROWS_MIN]


def test_another_number_of_processes_makes_other_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_MAX", 4 * ROWS_MIN)
    for names in (NAMES, tuple(map(str, range(20))), NAMES):
        with Tally(tmp_path, "users", name=names[0], names=names, clock=lambda: BEGAN) as tally:
            assert tally.elsewhere(tally.seat("ann")) == NOTHING
    sizes = {path.name.partition(".")[0] for path in tmp_path.iterdir() if path.name.endswith(".core")}
    assert sizes == {"users-4096"}


def test_tables_that_cannot_be_made_leave_each_process_to_itself(tmp_path: Path) -> None:
    (tmp_path / "limits").write_text("a file where a folder should be")
    opened = Tallies.open(tmp_path / "limits", name="core", names={"users": NAMES}, clock=lambda: BEGAN)
    assert opened == Tallies()
    made = Tallies.open(tmp_path / "others", name="core", names={"users": NAMES}, clock=lambda: BEGAN)
    assert (made.users is None, made.addresses, made.polling) == (False, None, None)
    made.close()


CHILD = """
import sys
from pathlib import Path
from tickcast.gateway import tally as module
module.ROWS_MAX = module.ROWS_MIN
tally = module.Tally(Path(sys.argv[1]), "users", name="gateway1", names=("core", "gateway1"), clock=lambda: 0)
tally.tell(tally.seat("ann"), 7, 0)
print("told", flush=True)
sys.stdin.read()
"""


def test_the_kernel_gives_back_what_a_killed_process_held(tmp_path: Path) -> None:
    with (
        Tally(tmp_path, "users", name="core", names=("core", "gateway1"), clock=lambda: BEGAN) as tally,
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child,
    ):
        assert child.stdout is not None
        assert child.stdout.readline() == b"told\n"
        seat = tally.seat("ann")
        assert tally.elsewhere(seat, sure=True).connections == 7
        child.kill()
        child.wait()
        assert tally.elsewhere(seat, sure=True) == NOTHING


# ---------------------------------------------------------------------- rates


def test_as_many_at_once_as_a_second_has() -> None:
    due_ns, answers = 0, []
    for _ in range(4):
        due_ns, retry_s = spend(due_ns, BEGAN, 3)
        answers.append(retry_s)
    assert answers[:3] == [0, 0, 0]
    assert answers[3] == pytest.approx(1 / 3, abs=1e-6)
    assert spend(due_ns, BEGAN + NS // 3, 3)[1] == 0


@given(
    rate=st.integers(1, 1_000),
    steps=st.lists(st.integers(0, 3 * NS // 2), min_size=1, max_size=60),
    due_ns=st.integers(0, BEGAN * 2),
)
def test_never_more_than_the_rate_allows(rate: int, steps: list[int], due_ns: int) -> None:
    now_ns, spent = BEGAN, 0
    for step in steps:
        now_ns += step
        due_ns, retry_s = spend(due_ns, now_ns, rate)
        spent += not retry_s
        assert 0 <= retry_s <= 1 / rate + 1e-6
        assert now_ns <= due_ns <= now_ns + NS, "whatever another process told"
    assert spent <= rate + rate * (now_ns - BEGAN) / NS + 1


# ---------------------------------------------------------------------- users and addresses over processes


def guests(tmp_path: Path, tally: Tally, clock: Callable[[], int], limits: AuthConfig | None = None) -> Guests:
    admission = Admission(limits or AuthConfig(), host="127.0.0.1", folder=tmp_path / "auth", wall=clock)
    return Guests(admission, clock=clock, wall=clock, tally=tally)


ANN = Access(subject="key:ann", scope=Scope(symbols=("*",)))


def enter(where: Guests, access: Access = ANN) -> Guest | str:
    try:
        return where.enter(access, lambda _reason: None)
    except Denied as denied:
        return f"{denied.status} {denied.reason}"


def test_a_user_holds_as_many_streams_as_it_may_over_all_processes(
    tmp_path: Path, open_tally: Callable[..., Tally]
) -> None:
    time = Time()
    tallies = [open_tally(name, clock=time) for name in NAMES[1:]]
    here, there = (guests(tmp_path, tally, time, AuthConfig(connections_per_user_max=3)) for tally in tallies)
    held = [enter(here), enter(there), enter(here)]
    assert all(isinstance(guest, Guest) for guest in held)
    for where in (here, there):
        refused = enter(where)
        assert isinstance(refused, str)
        assert refused.startswith("429 this user holds 3 streams")
    assert isinstance(enter(there, Access(subject="key:bob", scope=Scope())), Guest), "another user is another user"
    assert isinstance(held[0], Guest)
    here.leave(held[0])
    assert isinstance(enter(there), Guest)
    assert isinstance(enter(here), str)
    die(tallies[1])  # two of three were its
    assert [isinstance(enter(here), Guest) for _ in range(3)] == [True, True, False]


def test_a_scope_that_says_how_many_says_it_for_all_processes(tmp_path: Path, open_tally: Callable[..., Tally]) -> None:
    time = Time()
    here, there = (guests(tmp_path, open_tally(name, clock=time), time) for name in NAMES[1:])
    access = Access(subject="key:ann", scope=Scope(symbols=("*",), connections=1))
    assert isinstance(enter(here, access), Guest)
    assert isinstance(enter(there, access), str)


def test_handshakes_and_requests_have_one_rate_over_all_processes(
    tmp_path: Path, open_tally: Callable[..., Tally], monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time()
    monkeypatch.setattr(module, "monotonic_ns", time)  # the clock of the test stands still, so the machine's does too
    limits = AuthConfig(handshakes_per_second_per_user=4, requests_per_second_per_user=6)
    made = [guests(tmp_path, open_tally(name, clock=time), time, limits) for name in NAMES]
    entered = [isinstance(enter(made[number % 3]), Guest) for number in range(12)]
    assert sum(entered) == 4
    assert sum(made[number % 3].pay(ANN) for number in range(12)) == 6
    time.now_ns += NS // 2
    assert sum(isinstance(enter(made[number % 3]), Guest) for number in range(12)) == 2
    assert sum(made[number % 3].pay(ANN) for number in range(12)) == 3


def test_an_address_has_one_limit_over_all_processes(open_tally: Callable[..., Tally]) -> None:
    config = Config(connections_per_address_max=3, handshakes_per_second_per_address=2)
    tallies = [open_tally(name) for name in NAMES[1:]]
    here, there = (Addresses(config, tally=tally) for tally in tallies)
    keys = [where.arrive("192.0.2.1", BEGAN) for where in (here, there, here)]
    assert [verdict for _, verdict in keys] == ["welcome"] * 3
    assert [where.arrive("192.0.2.1", BEGAN)[1] for where in (here, there)] == ["refuse", "refuse"]
    assert there.arrive("192.0.2.2", BEGAN)[1] == "welcome"
    key = keys[0][0]
    assert [where.handshake(key, BEGAN) > 0 for where in (here, there, here, there)] == [False, False, True, True]
    here.leave(key)
    assert there.arrive("192.0.2.1", BEGAN)[1] == "welcome"
    assert here.arrive("192.0.2.1", BEGAN)[1] == "refuse"
    die(tallies[1])
    assert here.arrive("192.0.2.1", BEGAN)[1] == "welcome"


@settings(max_examples=40)
@given(moves=st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=60))
def test_however_they_come_and_go_there_are_never_more_than_may_be(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[int, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("moves")
    with ExitStack() as stack:
        made = [
            Addresses(
                Config(connections_per_address_max=4, handshakes_per_second_per_address=0),
                tally=stack.enter_context(Tally(folder, "addresses", name=name, names=NAMES, clock=lambda: BEGAN)),
            )
            for name in NAMES
        ]
        held = [0, 0, 0]
        for place, arrives in moves:
            if arrives:
                key, verdict = made[place].arrive("192.0.2.1", BEGAN)
                assert (verdict == "welcome") == (sum(held) < 4)
                held[place] += verdict == "welcome"
                if verdict == "refuse":
                    made[place].leave(key, refused=True)
            elif held[place]:
                made[place].leave("192.0.2.1")
                held[place] -= 1


def test_a_probe_of_the_lock_does_not_keep_a_successor_out(open_tally: Callable[..., Tally]) -> None:
    one, two = open_tally("core"), open_tally("gateway1")
    die(two)
    probing: Any = one._others[0]
    fcntl.flock(probing.handle, fcntl.LOCK_SH)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        fcntl.flock(probing.handle, fcntl.LOCK_UN)
        pause(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "pause", wait)
        open_tally("gateway1")
    assert len(waits) == 1
    assert one.elsewhere(one.seat("ann")) == Elsewhere()
