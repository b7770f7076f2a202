"""What a session does when something falls silent, and what goes first; by a venue that says what the test wants."""

from tests.venues.declared.scripted import NOW, SECOND, Script, ScriptedVenue, book
from tests.venues.declared.test_session import A, B, up
from tests.venues.decoding import states

from tickcast.model.record import State
from tickcast.venues.base import Answer, Request, Step

LEARN = 40


class Wide(ScriptedVenue):
    limits = ScriptedVenue.limits.__class__(channels_per_link=100)


def run(script: Script, seconds: int, *names: str, begin: int = 1, seq: int = 1) -> list[Step]:
    """Let books speak once a second and the session look; returns what it did."""
    steps = []
    for second in range(begin, begin + seconds):
        at = NOW + second * SECOND
        for tenth in range(3):
            number = seq + (second - begin) * 3 + tenth
            said = [book(name, number + 1, number) for name in names]
            if said:
                steps.append(script.say(*said, at=at - SECOND // 2 + tenth))
        steps.append(script.session.wake(at))
    return steps


def incidents(steps: list[Step]) -> list[tuple[str, str, str, tuple[int, ...]]]:
    return [(one.kind, one.scope, one.repair, one.instruments) for step in steps for one in step.incidents]


def requests(steps: list[Step]) -> list[Request]:
    return [one for step in steps for one in step.requests if one.purpose.startswith("quiet ")]


def test_a_silent_book_is_stale_and_innocent_where_the_venue_has_nothing_newer() -> None:
    script = up("A", "B", venue=Wide, compare_interval_s=0)
    assert incidents(run(script, LEARN, "A", "B")) == []
    silent = run(script, 8, "B", begin=LEARN + 1, seq=3 * LEARN + 1)
    assert script.session.core.state(A) == State.STALE
    assert script.session.core.state(B) == State.LIVE
    assert incidents(silent) == [("quiet", "instrument", "venue", (A,))]
    (probe,) = requests(silent)
    same = {"seq": 3 * LEARN + 1, "bids": [["10", "1"]], "asks": [["11", "1"]]}
    at = NOW + (LEARN + 9) * SECOND
    step = script.answer(probe, same, at=at)
    assert script.session.core.state(A) == State.LIVE
    assert states(step.records) == [State.LIVE]
    assert requests(run(script, 5, "B", begin=LEARN + 9, seq=3 * LEARN + 25)) == []


def test_a_silent_book_that_misses_something_is_subscribed_anew() -> None:
    script = up("A", "B", venue=Wide, compare_interval_s=0)
    run(script, LEARN, "A", "B")
    (probe,) = requests(run(script, 8, "B", begin=LEARN + 1, seq=3 * LEARN + 1))
    newer = {"seq": 9999, "bids": [["10", "1"]], "asks": [["11", "1"]]}
    step = script.answer(probe, newer, at=NOW + (LEARN + 9) * SECOND)
    assert script.session.core.state(A) == State.STALE
    after = [step, *run(script, 2, "B", begin=LEARN + 9, seq=3 * LEARN + 25)]
    assert [frame for one in after for _, frame in one.send if frame.startswith((b"+", b"-"))][:2] == [
        b"-book.A",
        b"+book.A",
    ]
    assert ("quiet", "instrument", "resubscribe", (A,)) in incidents(after)
    assert script.session.core.state(A) == State.REPAIRING
    script.say(book("A", 9999), at=NOW + (LEARN + 12) * SECOND)
    assert script.session.core.state(A) == State.LIVE


def test_a_book_that_speaks_again_is_live_at_once() -> None:
    script = up("A", "B", venue=Wide, compare_interval_s=0)
    run(script, LEARN, "A", "B")
    run(script, 8, "B", begin=LEARN + 1, seq=3 * LEARN + 1)
    assert script.session.core.state(A) == State.STALE
    script.say(book("A", 3 * LEARN + 2, 3 * LEARN + 1), at=NOW + (LEARN + 9) * SECOND)
    assert script.session.core.state(A) == State.LIVE


def test_a_link_on_which_nothing_comes_is_replaced_once_and_then_left_in_peace() -> None:
    script = up("A", "B", venue=Wide, compare_interval_s=0)
    run(script, LEARN, "A", "B")
    silent = run(script, 12, begin=LEARN + 1)
    assert [link.name for step in silent for link in step.links] == ["streams-1.2"]
    assert ("quiet", "connection", "reconnect", tuple(sorted((A, B)))) in incidents(silent)
    assert script.session.core.state(A) == script.session.core.state(B) == State.STALE
    assert len(requests(silent)) == 1


def test_the_watch_can_be_turned_off() -> None:
    script = up("A", "B", venue=Wide, compare_interval_s=0, quiet_watch=False)
    run(script, LEARN, "A", "B")
    assert incidents(run(script, 30, "B", begin=LEARN + 1, seq=3 * LEARN + 1)) == []
    assert script.session.core.state(A) == State.LIVE


def test_of_two_broken_books_the_watched_one_is_asked_for_first() -> None:
    for watched, first in ((A, "A"), (B, "B")):
        script = up("A", "B", venue=Wide, compare_interval_s=0)
        script.session.watched({watched: 3})
        broken = script.say(book("A", 50, 49), book("B", 60, 59), at=NOW + SECOND)
        sent = [frame for step in (broken, script.session.wake(NOW + SECOND)) for _, frame in step.send]
        assert sent[0].startswith(f"-book.{first}".encode())


def test_requests_of_watched_books_are_more_urgent_than_those_of_busy_ones() -> None:
    script = up("A", "B", venue=Wide, compare_interval_s=0)
    books = script.session._books
    for number in range(1, 30):
        script.say(book("A", number + 1, number), at=NOW + number)
    books._weigh(NOW)
    assert books.importance(A) > books.importance(B)
    script.session.watched({B: 1})
    assert books.importance(B) > books.importance(A)
    script.session.watched({})
    assert books.importance(A) > books.importance(B)


def test_an_answer_of_another_status_does_not_excuse() -> None:
    script = up("A", "B", venue=Wide, compare_interval_s=0)
    run(script, LEARN, "A", "B")
    (probe,) = requests(run(script, 8, "B", begin=LEARN + 1, seq=3 * LEARN + 1))
    script.session.answered(probe, Answer(status=404, body=b"", received_ns=NOW + (LEARN + 9) * SECOND))
    assert script.session.core.state(A) == State.STALE
