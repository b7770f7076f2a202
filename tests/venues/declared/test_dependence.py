"""What becomes of instruments whose links end, and of channels that are refused or not answered."""

from collections.abc import Sequence

from tests.venues.declared.scripted import NOW, SECOND, Script, ScriptedVenue, book
from tests.venues.declared.test_session import up
from tests.venues.decoding import states

from tickcast import _native
from tickcast.model.record import State
from tickcast.venues.declared.venue import Channel, Listed

A, B, C = (_native.instrument_id(f"SCRIPTED:{name}-USD") for name in "ABC")


def test_what_is_not_confirmed_is_asked_for_again_and_then_refused() -> None:
    script = Script()
    script.list(a={"A": "LIVE"})
    script.session.opened("streams-1", NOW)
    again = script.session.wake(NOW + 5 * SECOND)
    assert [frame for _, frame in again.send] == [b"+trade.A book.A"]
    assert again.incidents == []
    late = script.session.wake(NOW + 10 * SECOND)
    assert [(one.kind, one.channel, one.instruments) for one in late.incidents] == [
        ("refused", "trade", (A,)),
        ("refused", "book", (A,)),
    ]
    assert late.send == []
    assert script.session.wake_ns > NOW + 10 * SECOND
    assert [frame for _, frame in script.session.wake(NOW + 70 * SECOND).send] == [b"+trade.A book.A"]


def test_a_refusal_names_its_channel_and_is_an_incident() -> None:
    script = Script()
    script.list(a={"A": "LIVE", "B": "LIVE"})
    script.session.opened("streams-1", NOW)
    step = script.say({"kind": "no", "name": "B"})
    assert [(one.kind, one.scope, one.reason, one.instruments) for one in step.incidents] == [
        ("refused", "channel", "not here", (B,))
    ]
    fatal = script.say({"kind": "no", "fatal": True})
    assert fatal.refused == {"streams-1": "not here"}
    closed = script.session.closed("streams-1", NOW)
    assert [(one.kind, one.reason) for one in closed.incidents] == [("reconnect", "not here")]


def test_a_lost_link_is_stale_until_its_books_are_whole() -> None:
    script = up("A")
    lost = script.session.closed("streams-1", NOW + SECOND)
    assert states(lost.records) == [State.STALE]
    assert [(one.kind, one.scope, one.repair, one.instruments) for one in lost.incidents] == [
        ("reconnect", "connection", "reconnect", (A,))
    ]
    back = script.session.opened("streams-1", NOW + 2 * SECOND)
    assert not back.new_session, "ids that were told stay known: history told again is dropped"
    script.say({"kind": "ok"}, at=NOW + 2 * SECOND)
    assert states(script.say(book("A", 50), at=NOW + 3 * SECOND).records) == [State.LIVE]


def test_a_link_that_carries_only_part_of_an_instrument_makes_it_stale_too() -> None:
    class Split(ScriptedVenue):
        split = True

    script = up("A", venue=Split)
    assert states(script.session.closed("other-1", NOW + SECOND).records) == [State.STALE]
    assert states(script.say(book("A", 2, 1), at=NOW + SECOND).records) == []
    script.session.opened("other-1", NOW + 2 * SECOND)
    assert states(script.say({"kind": "ok"}, at=NOW + 2 * SECOND, link="other-1").records) == [State.LIVE]


def test_what_has_no_book_is_live_once_its_channel_is_confirmed_and_again_after_its_link_was_lost() -> None:
    class Tape(ScriptedVenue):
        def channels(self, listed: Listed) -> Sequence[Channel]:
            return [Channel("trade", listed.native)]

    script = Script(Tape)
    script.list(a={"A": "LIVE"})
    script.session.opened("streams-1", NOW)
    assert script.session.core.state(A) == State.EMPTY
    assert states(script.say({"kind": "ok"}).records) == [State.LIVE]
    assert states(script.session.closed("streams-1", NOW).records) == [State.STALE]
    script.session.opened("streams-1", NOW)
    assert states(script.say({"kind": "ok"}).records) == [State.LIVE]
    assert states(script.say({"kind": "trade", "name": "A", "id": "1", "price": "1", "size": "1"}).records) == []


def test_a_second_line_that_ends_leaves_nothing_stale_and_both_leave_all_of_it_stale() -> None:
    script = up("A", dual_lines=("*",))
    first, second = script.session._wires
    for wire in (first, second):
        script.say({"kind": "ok"}, link=wire.name)
    assert script.session._dependence.is_main(first, script.session.instruments[0])
    assert states(script.session.closed(first.name, NOW + SECOND).records) == []
    assert script.session._dependence.is_main(second, script.session.instruments[0])
    lost = script.session.closed(second.name, NOW + 2 * SECOND)
    assert states(lost.records) == [State.STALE]
    assert [(one.link, one.instruments) for one in lost.incidents] == [(second.name, (A,))]


def test_an_instrument_that_is_dropped_while_one_of_its_links_is_lost_is_forgotten() -> None:
    class Split(ScriptedVenue):
        split = True

    script = up("A", "B", venue=Split)
    script.session.closed("other-1", NOW + SECOND)
    assert set(script.session.partly_lost) == {A, B}
    script.session.change_symbols([], ["SCRIPTED:B-USD"], NOW + SECOND)
    assert set(script.session.partly_lost) == {A}
    script.session.opened("other-1", NOW + 2 * SECOND)
    script.say({"kind": "ok"}, at=NOW + 2 * SECOND, link="other-1")
    assert not script.session.partly_lost
