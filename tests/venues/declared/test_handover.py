"""Links that are replaced before they end, and lines A and B: what a session asks for, and what it tells."""

from tests.venues.declared.scripted import NOW, SECOND, Script, ScriptedVenue, book
from tests.venues.declared.test_session import A, up
from tests.venues.decoding import rows, states

from tickcast.model.record import Kind, State
from tickcast.venues.base import Step
from tickcast.venues.declared.dialect import BookRule
from tickcast.venues.declared.handover import OVERLAP_NS, PATIENCE_NS


class Unchained(ScriptedVenue):
    """Its books are proved by nothing that joins two links."""

    rule = BookRule(chain="none", snapshot="stream")


def trade(ident: int) -> dict[str, object]:
    return {"kind": "trade", "name": "A", "id": ident, "price": "10", "size": "1"}


def replaced(script: Script, *, at: int = NOW + SECOND) -> Step:
    """The venue announces its end, and another link is opened and confirmed."""
    step = script.say({"kind": "bye"}, at=at)
    assert (step.drop, [link.name for link in step.links]) == ({}, ["streams-1.2"])
    step = script.session.opened("streams-1.2", at)
    assert [frame for _, frame in step.send] == [b"+trade.A book.A"]
    return script.say({"kind": "ok"}, at=at, link="streams-1.2")


def done(script: Script, *, at: int) -> Step:
    step = script.session.wake(at)
    assert step.end == {"streams-1": "maintenance"}
    return step


def test_an_announced_end_opens_another_link_first() -> None:
    script = up("A")
    step = replaced(script)
    assert (step.records, step.incidents, step.end) == ([], [], {})
    at = NOW + SECOND + OVERLAP_NS
    assert script.session.wake_ns <= at
    step = script.say(book("A", 2, 1, bid="10.2"), trade(7), at=at - 2)
    assert [row.kind for row in rows(step.records)].count(Kind.TRADE) == 1
    left_out = script.say(book("A", 2, 1, bid="10.2"), at=at - 1, link="streams-1.2")
    assert left_out.records == []
    step = done(script, at=at)
    assert (step.records, step.incidents) == ([], [])
    step = script.session.closed("streams-1", at + 1)
    assert (b"".join(step.records), step.incidents) == (b"", [])
    step = script.say(book("A", 3, 2, bid="10.5"), at=at + 2, link="streams-1.2")
    assert step.records
    assert script.session.core.state(A) == State.LIVE
    told = script.session.overlap(at + 2)
    assert (told.planned, told.left_out) == (1, 1)


def test_an_older_book_on_the_new_link_does_not_take_the_place_of_ours() -> None:
    script = up("A")
    script.say(book("A", 2, 1), book("A", 3, 2))
    replaced(script)
    step = script.say(book("A", 2), book("A", 3, 2), at=NOW + SECOND + 1, link="streams-1.2")
    assert step.records == []
    step = script.say(book("A", 4, 3, bid="10.2"), at=NOW + SECOND + 2, link="streams-1.2")
    assert step.records
    assert script.session.core.state(A) == State.LIVE


def test_a_book_without_a_chain_moves_with_its_whole_book_there() -> None:
    script = up("A", venue=Unchained)
    replaced(script)
    later = NOW + SECOND + OVERLAP_NS
    assert script.session.wake(later).end == {}, "its book has not begun there"
    step = script.say(book("A", 0, bid="9"), at=later + 1, link="streams-1.2")
    assert step.records
    assert script.say(book("A", 0, 0, bid="8"), at=later + 2).records == [], "the first link is left out now"
    done(script, at=later + SECOND)


def test_an_end_before_the_other_link_is_ready_is_a_loss() -> None:
    script = up("A")
    script.say({"kind": "bye"})
    script.session.opened("streams-1.2", NOW)
    step = script.session.closed("streams-1", NOW + 1)
    assert states(step.records) == [State.STALE]
    assert [(one.kind, one.instruments) for one in step.incidents] == [("reconnect", (A,))]
    assert list(step.end) == ["streams-1"]
    assert script.session.overlap(NOW).planned == 0
    script.say({"kind": "ok"}, at=NOW + 2, link="streams-1.2")
    step = script.say(book("A", 9), at=NOW + 3, link="streams-1.2")
    assert states(step.records)[-1] == State.LIVE


def test_an_end_in_the_overlap_is_none() -> None:
    script = up("A")
    replaced(script)
    step = script.session.closed("streams-1", NOW + SECOND + 1)
    assert (b"".join(step.records), step.incidents, list(step.end)) == (b"", [], ["streams-1"])
    assert script.session.overlap(NOW).planned == 1
    assert script.say(book("A", 2, 1, bid="10.2"), at=NOW + SECOND + 2, link="streams-1.2").records


def test_one_that_cannot_be_opened_is_given_up() -> None:
    script = up("A")
    script.say({"kind": "bye"})
    step = script.session.wake(NOW + PATIENCE_NS)
    assert list(step.end) == ["streams-1.2"]
    assert script.session.overlap(NOW).planned == 0
    step = script.say({"kind": "bye"}, at=NOW + PATIENCE_NS + 1)
    assert step.drop == {"streams-1": "maintenance"}, "a second one would not help so soon"


def test_links_of_an_age_are_replaced() -> None:
    script = up("A", link_lifetime_s=100.0)
    at = NOW + 100 * SECOND
    links = script.session.wake(at).links
    assert [link.name for link in links] == ["streams-1.2"]
    script.session.opened("streams-1.2", at)
    script.say({"kind": "ok"}, at=at, link="streams-1.2")
    assert list(script.session.wake(at + OVERLAP_NS).end) == ["streams-1"]
    script.session.closed("streams-1", at + OVERLAP_NS)
    links = script.session.wake(at + 101 * SECOND).links
    assert [link.name for link in links] == ["streams-1.3"]


def dual(venue: type[ScriptedVenue] = ScriptedVenue) -> Script:
    """One instrument over two lines, and another one over one."""
    script = Script(venue, dual_lines=("A-USD",))
    names = [link.name for link in script.list(a={"A": "LIVE", "B": "LIVE"}).links]
    assert names == ["streams-1", "streams-2"]
    for name in names:
        script.session.opened(name, NOW)
        script.say({"kind": "ok"}, {"kind": "ok"}, link=name)
    script.say(book("A", 1), book("B", 1))
    script.say(book("A", 1), link="streams-2")
    return script


def test_while_a_line_lives_nothing_is_stale() -> None:
    script = dual()
    step = script.session.closed("streams-1", NOW + 1)
    stale = [row.instrument for row in rows(step.records)]
    assert A not in stale
    assert len(stale) == 1, "the other instrument has but one line"
    assert script.say(book("A", 2, 1, bid="10.2"), at=NOW + 2, link="streams-2").records
    script.session.opened("streams-1", NOW + 3)
    step = script.session.closed("streams-2", NOW + 4)
    assert State.STALE in states(step.records), "the first line is open, and nothing is confirmed on it"


def test_lines_are_counted() -> None:
    script = dual()
    for place in range(2, 6):
        script.say(book("A", place, place - 1), at=NOW + place * 1_000_000)
        script.say(book("A", place, place - 1), at=NOW + place * 1_000_000 + 500_000, link="streams-2")
    one, other = script.session.overlap(NOW + SECOND).lines
    assert (one.line, one.link, one.late, one.missing, one.lead_ms) == ("A", "streams-1", 0, 0, 0.5)
    assert (other.line, other.link, other.first) == ("B", "streams-2", 0)
    assert one.first == other.late >= 4


def test_without_a_chain_the_book_begins_anew_on_the_other_line() -> None:
    script = dual(Unchained)
    assert script.session.core.book_link(A) == 1, "the newest whole book"
    script.session.closed("streams-2", NOW + 1)
    step = script.session.wake(NOW + 2)
    assert script.session.core.state(A) in {State.UNVERIFIED, State.REPAIRING}
    assert script.session.core.state(A) != State.STALE
    del step
