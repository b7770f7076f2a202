"""The inbox keeps order, counts bytes and pauses the links at its bound."""

from tickcast.feeds.inbox import Answered, Closed, Inbox, Opened, Received
from tickcast.venues.base import Answer, Request


def make(bound: int) -> tuple[Inbox, list[str]]:
    calls: list[str] = []
    inbox = Inbox(bound=bound, pause=lambda: calls.append("pause"), resume=lambda: calls.append("resume"))
    return inbox, calls


def test_reads_of_one_link_are_gathered_and_order_is_kept() -> None:
    inbox, _ = make(100)
    inbox.put(Opened("a", 1))
    inbox.put_bytes("a", [b"x"], 2)
    inbox.put_bytes("a", [b"y", b"z"], 3)
    inbox.put_bytes("b", [b"w"], 4)
    inbox.put(Closed("a", 5))
    inbox.put_bytes("a", [b"v"], 6)
    assert inbox.take() == [
        Opened("a", 1),
        Received("a", [b"x", b"y", b"z"], [2, 3, 3]),
        Received("b", [b"w"], [4]),
        Closed("a", 5),
        Received("a", [b"v"], [6]),
    ]
    assert len(inbox) == 0


def test_what_is_worked_on_still_counts() -> None:
    inbox, calls = make(10)
    inbox.put_bytes("a", [b"123456"], 1)
    taken = inbox.take()
    assert calls == []
    inbox.put_bytes("a", [b"1234"], 2)
    assert calls == ["pause"]
    assert inbox.paused
    inbox.done(taken)
    assert calls == ["pause", "resume"]
    assert inbox.size == 4


def test_links_are_read_on_only_when_half_is_done() -> None:
    inbox, calls = make(10)
    inbox.put_bytes("a", [b"1234"], 1)
    first = inbox.take()
    inbox.put_bytes("a", [b"12345678"], 2)
    inbox.done(first)
    assert calls == ["pause"]
    inbox.done(inbox.take())
    assert calls == ["pause", "resume"]
    assert inbox.size == 0


def test_answers_count_too() -> None:
    inbox, calls = make(4)
    answer = Answered(Request(purpose="p", url="http://x/"), Answer(status=200, body=b"12345", received_ns=1))
    inbox.put(answer)
    assert calls == ["pause"]
    inbox.done(inbox.take())
    assert calls == ["pause", "resume"]
