"""Quotas: the arithmetic as properties, the files with real processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast.feeds.budget import (
    BURST,
    FORGOTTEN_NS,
    LOCKED_NS,
    Bucket,
    Budget,
    Budgets,
    full,
    shared_folder,
    sweep,
    take,
    told,
)
from tickcast.venues.base import Quota

SECOND_NS = 1_000_000_000
MINUTE = Quota(amount=6000, per_s=60)


class Clock:
    def __init__(self, now_ns: int = 1_000 * SECOND_NS) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


@given(
    amount=st.integers(4, 10_000),
    per_s=st.floats(0.5, 600),
    asked=st.lists(st.tuples(st.integers(1, 500), st.floats(0, 5)), min_size=1, max_size=300),
)
def test_no_window_ever_sees_more_than_the_quota(amount: int, per_s: float, asked: list[tuple[int, float]]) -> None:
    """Whatever is asked whenever: what went within any window of the quota's length stays within it."""
    quota = Quota(amount=amount, per_s=per_s)
    now_ns, bucket, went = 0, full(quota, 0), []
    for wanted, pause_s in asked:
        weight = min(wanted, int(amount * BURST) or 1)
        now_ns += round(pause_s * SECOND_NS)
        while True:
            bucket, wait_ns = take(bucket, quota, weight, now_ns)
            if not wait_ns:
                break
            now_ns += wait_ns
        went.append((now_ns, weight))
    window_ns = round(per_s * SECOND_NS)
    for begin_ns, _ in went:
        assert sum(weight for at_ns, weight in went if begin_ns <= at_ns < begin_ns + window_ns) <= amount


@given(weight=st.integers(1, 20_000))
def test_what_is_larger_than_the_burst_goes_alone_and_leaves_a_debt(weight: int) -> None:
    bucket, wait_ns = take(full(MINUTE, 0), MINUTE, weight, 0)
    assert wait_ns == 0
    assert bucket.tokens == pytest.approx(MINUTE.amount * BURST - weight)
    _, wait_ns = take(bucket, MINUTE, 1, 0)
    assert (wait_ns > 0) == (weight > MINUTE.amount * BURST - 1)


def test_a_clock_that_is_set_back_gives_nothing_and_takes_nothing() -> None:
    bucket = Bucket(10.0, 50 * SECOND_NS)
    bucket, wait_ns = take(bucket, MINUTE, 10, 20 * SECOND_NS)
    assert (bucket.tokens, wait_ns) == (0.0, 0)
    _, wait_ns = take(bucket, MINUTE, 7, 20 * SECOND_NS)
    assert 0 < wait_ns < SECOND_NS


def test_the_venues_own_count_is_believed() -> None:
    assert told(full(MINUTE, 0), MINUTE, used=5_690).tokens == pytest.approx(10)
    assert told(full(MINUTE, 0), MINUTE, used=6_000).tokens < 0
    assert told(Bucket(3.0, 0), MINUTE, used=0).tokens == 3.0


def test_two_budgets_of_one_folder_are_one(tmp_path: Path) -> None:
    clock = Clock()
    one, other = (Budgets(tmp_path, {"weight": MINUTE}, clock=clock).of("https://api.example:443/x") for _ in range(2))
    assert one.take("weight", 1400) == 0
    assert other.take("weight", 200) > 0
    assert other.take("weight", 100) == 0
    elsewhere = Budgets(tmp_path, {"weight": MINUTE}, clock=clock).of("https://other.example")
    assert elsewhere.take("weight", 1400) == 0
    assert one.take("connects") == 0, "without a quota there is no limit"


def test_an_order_to_wait_holds_every_process(tmp_path: Path) -> None:
    clock = Clock()
    one, other = (Budget(tmp_path, "api", {"weight": MINUTE}, clock=clock) for _ in range(2))
    one.hold("weight", clock.now_ns + 5 * SECOND_NS)
    one.hold("weight", clock.now_ns + 2 * SECOND_NS)  # a shorter one does not lift the longer
    assert other.take("weight", 1) == 5 * SECOND_NS
    clock.now_ns += 5 * SECOND_NS
    assert other.take("weight", 1) == 0


TAKE = """
import sys, time
from pathlib import Path
from tickcast.feeds.budget import Budget
from tickcast.venues.base import Quota
budget = Budget(Path(sys.argv[1]), "api", {"weight": Quota(amount=400, per_s=3600)}, clock=time.time_ns)
taken = tries = 0
while tries < 400:
    tries += 1
    taken += budget.take("weight", 1) == 0
print(taken)
"""


def test_processes_share_what_there_is(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TAKE, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    taken = [int(process.communicate(timeout=30)[0]) for process in running]
    assert 95 <= sum(taken) <= 101, "a quarter of the quota at once, whoever takes it"


def test_a_process_that_holds_the_lock_for_ever_stops_nobody(tmp_path: Path) -> None:
    holder = (
        "import fcntl, os, sys, time; f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT);"
        "fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); time.sleep(60)"
    )
    path = tmp_path / "api.weight"
    with subprocess.Popen([sys.executable, "-c", holder, str(path)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            budget = Budget(tmp_path, "api", {"weight": MINUTE}, clock=Clock())
            assert budget.take("weight", 1) == LOCKED_NS
        finally:
            process.kill()
            process.wait()
    assert budget.take("weight", 1) == 0, "the lock ends with its process"


@pytest.mark.parametrize("content", [b"x", b"\xff" * 24, b"\0" * 500])
def test_a_damaged_file_begins_anew_carefully(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "api.weight").write_bytes(content)
    clock = Clock()
    budget = Budget(tmp_path, "api", {"weight": MINUTE}, clock=clock)
    budget.take("weight", 1000)
    clock.now_ns += 60 * SECOND_NS
    assert budget.take("weight", 1000) == 0


def test_without_a_folder_the_process_keeps_to_the_quota_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    budget = Budget(tmp_path / "file", "api", {"weight": MINUTE}, clock=Clock())
    assert budget.take("weight", 1400) == 0
    assert budget.take("weight", 200) > 0
    assert budget.trouble is not None
    assert "the quota is not shared with other processes" in budget.trouble


def test_names_of_hosts_become_names_of_files(tmp_path: Path) -> None:
    Budget(tmp_path, "[::1]:80/../..", {"weight": MINUTE}, clock=Clock()).take("weight")
    assert [path.name for path in tmp_path.iterdir()] == ["___1__80_.._...weight"]


def test_where_the_files_lie(tmp_path: Path) -> None:
    assert shared_folder({"TICKCAST_BUDGET": "/x"}) == Path("/x")
    assert shared_folder({"XDG_RUNTIME_DIR": str(tmp_path)}) == tmp_path / "tickcast" / "budget"
    assert str(os.getuid()) in str(shared_folder({}))


def test_what_nobody_uses_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"")
    os.utime(tmp_path / "old", ns=(0, 0))
    (tmp_path / "new").write_bytes(b"")
    os.utime(tmp_path / "new", ns=(FORGOTTEN_NS, FORGOTTEN_NS))
    sweep(tmp_path, FORGOTTEN_NS + 5)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    sweep(tmp_path / "nowhere", 0)
