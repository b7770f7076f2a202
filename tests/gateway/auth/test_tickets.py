import threading
from pathlib import Path

import pytest

from tickcast.gateway.auth.access import Access, Denied, Scope
from tickcast.gateway.auth.tickets import INVALID, OF_USER_MAX, Tickets

NOW = 1_774_794_600 * 10**9
SECOND = 10**9
ANN = Access(
    subject="key:ann", credential="key:1", scope=Scope(symbols=("XNAS:*",), depth=5), until_ns=NOW + 60 * SECOND
)


def test_a_ticket_lets_in_once_in_whatever_process(tmp_path: Path) -> None:
    made, other = Tickets(tmp_path / "tickets"), Tickets(tmp_path / "tickets")
    ticket, until_ns = made.issue(ANN, wall_ns=NOW, for_ns=30 * SECOND)
    assert until_ns == NOW + 30 * SECOND
    assert all(ticket not in path.name for path in (tmp_path / "tickets").iterdir())
    assert other.admit(ticket, NOW + 29 * SECOND) == ANN
    for tickets in (made, other):
        with pytest.raises(Denied, match=INVALID):
            tickets.admit(ticket, NOW)
    assert list((tmp_path / "tickets").iterdir()) == []


def test_of_many_who_take_it_one_comes_in(tmp_path: Path) -> None:
    ticket, _ = Tickets(tmp_path).issue(ANN, wall_ns=NOW, for_ns=SECOND)
    came: list[Access] = []
    start = threading.Barrier(8)

    def take() -> None:
        start.wait()
        try:
            came.append(Tickets(tmp_path).admit(ticket, NOW))
        except Denied:
            return

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert came == [ANN]


@pytest.mark.parametrize("ticket", ["", "x", "x" * 65, "../../etc/passwd", "\u00e4", "a/b", "."])
def test_what_is_no_ticket_is_told_the_same_as_one_that_is_over(tmp_path: Path, ticket: str) -> None:
    tickets = Tickets(tmp_path / "none")
    with pytest.raises(Denied, match=INVALID):
        tickets.admit(ticket, NOW)
    over, _ = tickets.issue(ANN, wall_ns=NOW, for_ns=SECOND)
    with pytest.raises(Denied, match=INVALID):
        tickets.admit(over, NOW + SECOND)


def test_a_ticket_ends_with_what_it_rests_on(tmp_path: Path) -> None:
    assert Tickets(tmp_path).issue(ANN, wall_ns=NOW, for_ns=600 * SECOND)[1] == ANN.until_ns


def test_tickets_are_bounded_and_forgotten(tmp_path: Path) -> None:
    tickets = Tickets(tmp_path)
    for _ in range(OF_USER_MAX):
        tickets.issue(ANN, wall_ns=NOW, for_ns=SECOND)
    with pytest.raises(Denied, match="too many tickets") as denied:
        tickets.issue(ANN, wall_ns=NOW, for_ns=SECOND)
    assert denied.value.status == 429
    tickets.issue(ANN, wall_ns=NOW + SECOND, for_ns=SECOND)
    assert len(list(tmp_path.iterdir())) == 1
    # of a process that was killed: the next one clears it away
    Tickets(tmp_path).issue(ANN, wall_ns=NOW + 10 * SECOND, for_ns=SECOND)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_broken_file_is_no_ticket(tmp_path: Path) -> None:
    tickets = Tickets(tmp_path)
    ticket, _ = tickets.issue(ANN, wall_ns=NOW, for_ns=SECOND)
    next(tmp_path.iterdir()).write_text("{")
    with pytest.raises(Denied, match=INVALID):
        tickets.admit(ticket, NOW)
