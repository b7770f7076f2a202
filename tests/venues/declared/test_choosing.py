"""Symbols added and dropped on a running session, and on demand: what is told, and that nothing else is touched."""

import pytest
from tests.venues.declared.scripted import NOW, SECOND, Script, ScriptedVenue, book
from tests.venues.declared.test_session import A, B, C, up
from tests.venues.decoding import rows

from tickcast import _native
from tickcast.model.errors import StateError, UsageError
from tickcast.model.record import Kind, State
from tickcast.venues.base import Step
from tickcast.venues.declared.venue import Limits
from tickcast.venues.selection import Demanded, Selective

ABC = {"A": "LIVE", "B": "LIVE", "C": "LIVE"}
D = _native.instrument_id("SCRIPTED:D-USD")


class Wide(ScriptedVenue):
    """Room for all on one link."""

    limits = Limits(channels_per_link=100, channels_per_message=50)


def chosen(*symbols: str, **settings: object) -> Script:
    """A session that streams these of A, B, C, and has their books."""
    script = Script(Wide, symbols=tuple(f"{name}-USD" for name in symbols), **settings)
    script.listed = script.list(a=ABC)  # type: ignore[attr-defined]
    if symbols or script.listed.links:  # type: ignore[attr-defined]
        begin(script, *symbols)
    return script


def begin(script: Script, *names: str, at: int = NOW, link: str = "streams-1") -> None:
    script.session.opened(link, at)
    script.say({"kind": "ok"}, at=at, link=link)
    script.say(*[book(name, 1) for name in names], at=at, link=link)


def sent(step: Step) -> list[bytes]:
    return [frame for _, frame in step.send]


def told(step: Step) -> list[tuple[str, tuple[int, ...]]]:
    return [(one.kind, one.instruments) for one in step.incidents]


def states(step: Step) -> list[tuple[int, State]]:
    return [(row.instrument, State(row.detail)) for row in rows(step.records) if row.kind == Kind.STATUS]


def concerned(step: Step) -> set[int]:
    return {row.instrument for row in rows(step.records)}


def text_of(step: Step, instrument: int) -> str:
    found = rows(step.records)
    return next(text for place, text in step.texts.items() if found[place].instrument == instrument)


def test_the_session_is_what_the_shell_looks_for() -> None:
    session = Script().session
    assert isinstance(session, Selective)
    assert isinstance(session, Demanded)


def test_added_it_is_streamed_and_nothing_else_is_touched() -> None:
    script = chosen("A")
    changed, step = script.session.change_symbols(["SCRIPTED:B-USD"], [], NOW)
    assert (changed.added, changed.dropped, changed.streamed) == (("B-USD",), (), 2)
    assert [one.symbol for one in step.definitions] == ["B-USD"]
    assert sent(step) == [b"+trade.B book.B"]
    assert (step.links, step.leave, step.drop) == ([], [], {}), "the link has room"
    assert told(step) == [("added", (B,))]
    assert concerned(step) == {B}
    script.say({"kind": "ok"}, book("B", 7))
    assert [script.session.core.state(one) for one in (A, B)] == [State.LIVE] * 2


def test_what_finds_no_room_on_a_link_gets_another_one() -> None:
    script = up("A", "B", symbols=("A-USD", "B-USD"))
    script.list(a=ABC)
    _, step = script.session.change_symbols(["C-USD"], [], NOW)
    assert [link.name for link in step.links] == ["streams-2"]
    assert sent(step) == []
    assert [frame for _, frame in script.session.opened("streams-2", NOW).send] == [b"+trade.C book.C"]


def test_dropped_it_is_unsubscribed_stale_and_forgotten() -> None:
    script = chosen("A", "B")
    changed, step = script.session.change_symbols([], ["B-USD"], NOW)
    assert (changed.added, changed.dropped, changed.streamed) == ((), ("B-USD",), 1)
    assert sent(step) == [b"-trade.B book.B"]
    assert told(step) == [("dropped", (B,))]
    assert states(step) == [(B, State.STALE)]
    assert text_of(step, B) == "the feed s does not stream it any more"
    late = script.say(book("B", 2, 1), book("A", 2, 1))
    assert (late.dead_count, late.incidents) == (0, []), "what was on its way is no mistake"
    assert script.session.core.state(A) == State.LIVE


def test_a_link_that_carries_nothing_any_more_is_closed_for_good_and_its_name_is_not_used_again() -> None:
    script = up("A", "B", "C")
    assert {wire.name for wire in script.session._wires} == {"streams-1", "streams-2"}
    _, step = script.session.change_symbols([], ["C-USD"], NOW)
    assert (step.leave, sent(step)) == (["streams-2"], [])
    _, step = script.session.change_symbols(["C-USD"], [], NOW)
    assert [link.name for link in step.links] == ["streams-3"]
    assert len({wire.number for wire in script.session._wires}) == 2


def test_dropped_and_added_again_its_book_begins_anew() -> None:
    script = chosen("A", "B")
    script.session.change_symbols([], ["B-USD"], NOW)
    _, step = script.session.change_symbols(["B-USD"], [], NOW)
    assert sent(step) == [b"+trade.B book.B"]
    assert script.session.core.state(B) == State.EMPTY
    script.say({"kind": "ok"}, book("B", 9, bid="12", ask="13"))
    assert script.session.core.state(B) == State.LIVE
    assert script.session.list_symbols().changes == ()


def test_patterns_take_all_that_fit_now_and_later() -> None:
    script = chosen("A")
    changed, _ = script.session.change_symbols(["*-USD"], [], NOW)
    assert changed.added == ("B-USD", "C-USD")
    later = script.list(a={**ABC, "D": "LIVE"}, at=NOW + SECOND)
    assert [one.symbol for one in later.definitions] == ["D-USD"]


@pytest.mark.parametrize(
    ("add", "drop", "reason"),
    [
        (["B-USD", "X-USD"], [], "X-USD: not among the 3 instruments in SCRIPTED's list"),
        (["NOTHING-*"], [], "not among the 3"),
        (["OKX:B-USD"], [], "expected symbols of SCRIPTED"),
        ([], ["X-USD"], "X-USD: not among the 3"),
        (["B-USD"], ["B-USD"], "found both of B-USD"),
    ],
)
def test_what_cannot_be_changes_nothing(add: list[str], drop: list[str], reason: str) -> None:
    script = chosen("A")
    with pytest.raises(UsageError, match=reason):
        script.session.change_symbols(add, drop, NOW)
    assert [row.symbol for row in script.session.list_symbols().symbols] == ["A-USD"]
    assert script.session.list_symbols().changes == ()


def test_for_an_unknown_symbol_the_venue_is_asked_for_its_list_again() -> None:
    script = chosen("A")
    with pytest.raises(UsageError, match="asked for anew"):
        script.session.change_symbols(["D-USD"], [], NOW + SECOND)
    asked = script.session.wake(script.session.wake_ns).requests
    assert [one.purpose for one in asked] == ["list a", "list b"]
    script.list(a={**ABC, "D": "LIVE"}, at=NOW + 2 * SECOND)
    changed, _ = script.session.change_symbols(["D-USD"], [], NOW + 2 * SECOND)
    assert changed.added == ("D-USD",)


def test_before_the_list_is_known_nothing_can_be_changed() -> None:
    script = Script(Wide, symbols=("A-USD",))
    with pytest.raises(StateError, match="not known yet"):
        script.session.change_symbols(["B-USD"], [], NOW)


def test_changes_outlive_the_process_and_damage_is_as_good_as_none() -> None:
    script = chosen("A", "B")
    _, step = script.session.change_symbols(["C-USD"], ["B-USD"], NOW)
    assert step.keep is not None
    again = Script(Wide, symbols=("A-USD", "B-USD"))
    again.session.restore(b"\xc1 damaged")
    again.session.restore(step.keep)
    again.list(a=ABC)
    listed = again.session.list_symbols()
    assert [(row.symbol, row.by) for row in listed.symbols] == [("A-USD", "config"), ("C-USD", "added")]
    assert listed.changes == ("+C-USD", "-B-USD")


def test_another_config_takes_over() -> None:
    script = chosen("A", "B")
    changed, step = script.session.set_symbols(["A-USD", "C-USD", "X-USD"], NOW)
    assert (changed.added, changed.dropped, changed.missing) == (("C-USD",), ("B-USD",), ("X-USD",))
    assert sorted(told(step)) == [("added", (C,)), ("dropped", (B,))]
    assert concerned(step) == {B, C}, "A is not touched"


def test_a_session_that_streams_nothing_on_purpose_is_idle() -> None:
    script = chosen("A")
    assert script.session.is_idle is False
    _, step = script.session.change_symbols([], ["A-USD"], NOW)
    assert step.leave == ["streams-1"]
    session: Selective = script.session
    assert session.is_idle
    assert script.list(a=ABC, at=NOW + SECOND).repeat == [], "an empty choice is no broken list"


# ------------------------------------------------------------------ on demand


def on_demand(*symbols: str, most: int = 2, **settings: object) -> Script:
    return chosen(*symbols, on_demand=True, on_demand_max=most, on_demand_linger_s=60.0, **settings)


def test_on_demand_all_is_known_and_nothing_is_streamed() -> None:
    script = on_demand()
    step: Step = script.listed  # type: ignore[attr-defined]
    assert [(one.symbol, one.on_demand) for one in step.definitions] == [
        ("A-USD", True), ("B-USD", True), ("C-USD", True),
    ]  # fmt: skip
    assert states(step) == [(A, State.EMPTY), (B, State.EMPTY), (C, State.EMPTY)]
    assert step.links == []
    assert script.session.is_idle


def test_what_somebody_watches_begins_and_is_syncing_then_live() -> None:
    script = on_demand()
    step = script.session.demand({B: 1}, NOW)
    assert [link.name for link in step.links] == ["streams-1"]
    assert states(step) == [(B, State.SYNCING)]
    assert step.incidents == []
    begin(script, "B")
    assert script.session.core.state(B) == State.LIVE
    row = script.session.list_symbols().symbols[0]
    assert (row.symbol, row.state, row.by, row.watchers) == ("B-USD", "live", "demand", 1)


def test_it_ends_some_time_after_the_last_watcher() -> None:
    script = on_demand("A")
    script.session.demand({A: 1, B: 1}, NOW)
    script.say({"kind": "ok"}, book("B", 1))
    assert script.session.demand({A: 1}, NOW + SECOND).send == []
    assert script.session.wake(NOW + 60 * SECOND).leave == []
    ended = script.session.wake(NOW + 61 * SECOND)
    assert sent(ended) == [b"-trade.B book.B"]
    assert (B, State.EMPTY) in states(ended)
    assert text_of(ended, B).startswith("streamed on demand")
    assert [row.symbol for row in script.session.list_symbols().symbols] == ["A-USD"]
    assert script.session.core.state(A) == State.LIVE


def test_beyond_the_maximum_who_asks_is_told_and_waits() -> None:
    script = on_demand(most=1)
    script.session.demand({A: 1}, NOW)
    step = script.session.demand({A: 1, B: 1}, NOW)
    assert states(step) == [(B, State.EMPTY)]
    assert "streams 1 instruments on demand, the most it may (on_demand_max)" in text_of(step, B)
    assert script.session.list_symbols().waiting == ("B-USD",)
    step = script.session.demand({B: 1}, NOW + SECOND)
    assert states(step)[-1] == (B, State.SYNCING)
    assert script.session.list_symbols().waiting == ()


def test_larger_limits_let_in_who_waits() -> None:
    script = on_demand(most=1)
    script.session.demand({A: 1, B: 1}, NOW)
    step = script.session.set_demand(most=2, linger_s=1.0, now_ns=NOW)
    assert states(step)[-1] == (B, State.SYNCING)


def test_who_watches_before_the_list_is_known_is_served_when_it_is() -> None:
    script = Script(Wide, on_demand=True)
    script.session.demand({B: 1}, NOW)
    step = script.list(a=ABC)
    assert [link.name for link in step.links] == ["streams-1"]
    assert [row.symbol for row in script.session.list_symbols().symbols] == ["B-USD"]


def test_added_it_is_streamed_for_good_and_dropped_on_demand_again() -> None:
    script = on_demand()
    script.session.demand({B: 1}, NOW)
    begin(script, "B")
    changed, step = script.session.change_symbols(["B-USD"], [], NOW)
    assert changed.added == ("B-USD",)
    assert [(one.symbol, one.on_demand) for one in step.definitions] == [("B-USD", False)]
    assert sent(step) == []
    script.session.demand({}, NOW + SECOND)
    assert script.session.wake(NOW + 100 * SECOND).leave == []
    assert script.session.core.state(B) == State.LIVE
    _, step = script.session.change_symbols([], ["B-USD"], NOW + 101 * SECOND)
    assert [(one.symbol, one.on_demand) for one in step.definitions] == [("B-USD", True)]
    assert states(step)[-1] == (B, State.EMPTY)


def test_dropped_twice_it_is_not_streamed_on_demand_either() -> None:
    script = on_demand()
    _, step = script.session.change_symbols([], ["B-USD"], NOW)
    assert [(one.symbol, one.on_demand) for one in step.definitions] == [("B-USD", False)]
    assert script.session.demand({B: 1}, NOW).links == []


def test_delisted_on_demand_it_is_closed() -> None:
    script = on_demand()
    script.session.demand({B: 1}, NOW)
    begin(script, "B")
    step = script.list(a={"A": "LIVE"}, at=NOW + SECOND)
    closed = [one for one, state in states(step) if state == State.CLOSED]
    assert sorted(closed) == sorted([B, C])
    assert script.session.list_symbols().on_demand_count == 0
