from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tickcast.gateway.shares import FRESH_NS, Shares

NOW = 1_800_000_000_000_000_000


def test_who_holds_clearly_more_is_ahead(tmp_path: Path) -> None:
    first, second = Shares(tmp_path / "gateways", 1), Shares(tmp_path / "gateways", 2)
    first.tell(10, NOW)
    second.tell(5, NOW)
    assert first.is_ahead(NOW)
    assert not second.is_ahead(NOW)
    second.tell(6, NOW)
    assert not first.is_ahead(NOW)
    first.tell(10_100, NOW)
    second.tell(10_000, NOW)
    assert not first.is_ahead(NOW)


def test_alone_nobody_is_ahead(tmp_path: Path) -> None:
    alone = Shares(tmp_path / "gateways", 64)
    alone.tell(1_000, NOW)
    assert not alone.is_ahead(NOW)


def test_who_says_nothing_for_a_second_or_has_left_holds_nobody_up(tmp_path: Path) -> None:
    first, second, third = (Shares(tmp_path / "gateways", number) for number in (1, 2, 3))
    second.tell(0, NOW)
    third.tell(0, NOW)
    third.leave()
    first.tell(1_000, NOW + FRESH_NS)
    assert not first.is_ahead(NOW + FRESH_NS)
    second.tell(0, NOW + FRESH_NS)
    assert first.is_ahead(NOW + FRESH_NS)


@given(st.lists(st.sampled_from([0, 1, 2]), min_size=300, max_size=300))
def test_who_yields_to_who_is_behind_ends_with_an_even_share(first_awake: list[int]) -> None:
    path = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path("/tmp")
    path /= f"tickcast-test-{id(first_awake)}"
    workers = [Shares(path, number) for number in (1, 2, 3)]
    counts = [0, 0, 0]
    for worker in workers:
        worker.tell(0, NOW)
    for first in first_awake:
        order = [first, (first + 1) % 3, (first + 2) % 3]
        takes = next((number for number in order if not workers[number].is_ahead(NOW)), first)
        counts[takes] += 1
        workers[takes].tell(counts[takes], NOW)
    path.unlink()
    assert max(counts) - min(counts) <= 6
