"""What a declared session must not say or leave unsaid: old books, what never ends, lists that lie for a moment."""

from collections.abc import Sequence

import msgspec
import pytest
from tests.venues.declared.scripted import NOW, SECOND, Script, ScriptedVenue, book
from tests.venues.declared.test_session import up
from tests.venues.decoding import states

from tickcast import _native
from tickcast.model.record import State
from tickcast.venues.base import Answer, Request
from tickcast.venues.declared.dialect import BookRule
from tickcast.venues.declared.venue import Happening, Listed

A, B, C = (_native.instrument_id(f"SCRIPTED:{name}-USD") for name in "ABC")


class FromRest(ScriptedVenue):
    """Its books begin over REST."""

    rule = BookRule(chain="previous", snapshot="rest")


def snapshot(seq: int, *, bid: str = "10", ask: str = "11") -> dict[str, object]:
    return {"seq": seq, "bids": [[bid, "1"]], "asks": [[ask, "1"]]}


def subscribed() -> tuple[Script, Request]:
    """A session whose book has been asked for, and that request."""
    script = Script(FromRest)
    script.list(a={"A": "LIVE"})
    script.session.opened("streams-1", NOW)
    (request,) = script.say({"kind": "ok"}).requests
    return script, request


def test_a_crossed_book_over_rest_is_asked_for_again_soon() -> None:
    script, request = subscribed()
    step = script.answer(request, snapshot(5, bid="12"), at=NOW + SECOND)
    assert [one.kind for one in step.incidents] == ["crossed"]
    assert script.session.core.state(A) != State.LIVE
    now = NOW + SECOND
    while not step.requests:
        now = script.session.wake_ns
        step = script.session.wake(now)
    assert now - NOW <= 3 * SECOND
    assert states(script.answer(step.requests[0], snapshot(6), at=now).records)[-1] == State.LIVE


def test_a_book_asked_for_before_the_link_was_lost_says_nothing_of_the_time_after() -> None:
    script, request = subscribed()
    script.session.closed("streams-1", NOW + SECOND)
    script.session.opened("streams-1", NOW + 2 * SECOND)
    assert script.say({"kind": "ok"}, at=NOW + 2 * SECOND).requests == [], "one is under way"
    step = script.answer(request, snapshot(5), at=NOW + 3 * SECOND)
    assert step.repeat == [request]
    assert script.session.core.state(A) != State.LIVE
    step = script.answer(request, snapshot(7), at=NOW + 4 * SECOND)
    assert states(step.records) == [State.LIVE]
    assert script.session.core.last_id(A) == 7


def test_a_book_whose_answer_came_while_the_link_was_lost_is_asked_for_anew() -> None:
    script, request = subscribed()
    script.session.closed("streams-1", NOW + SECOND)
    step = script.answer(request, snapshot(5), at=NOW + 2 * SECOND)
    assert (step.repeat, step.records) == ([], [])
    script.session.opened("streams-1", NOW + 3 * SECOND)
    script.say({"kind": "ok"}, at=NOW + 3 * SECOND)
    (again,) = script.session.wake(NOW + 4 * SECOND).requests
    assert states(script.answer(again, snapshot(9), at=NOW + 4 * SECOND).records) == [State.LIVE]


def test_an_instrument_that_is_delisted_while_its_book_is_broken_is_closed() -> None:
    script = up("A", "B")
    assert states(script.say(book("B", 9, 5)).records)[0] == State.GAP
    script.session.wake(NOW + 3600 * SECOND)
    step = script.list(a={"A": "LIVE"}, at=NOW + 3601 * SECOND)
    assert [(one.kind, one.instruments) for one in step.incidents] == [("delisted", (B,))]
    assert states(step.records) == [State.CLOSED]


def test_an_empty_list_is_believed_when_it_stays_empty() -> None:
    script = up("A", "B")
    for hour, wanted in ((1, []), (2, ["delisted", "delisted"])):
        script.session.wake(NOW + hour * 3600 * SECOND)
        step = script.list(a={}, at=NOW + hour * 3601 * SECOND)
        assert [one.kind for one in step.incidents] == wanted
        if not wanted:
            assert step.dead == [("list a: expected the instruments that were there before, found an empty list", b"")]


def test_a_list_that_comes_back_after_it_was_empty_loses_nothing() -> None:
    script = up("A")
    for hour, listed in ((1, {}), (2, {"A": "LIVE"}), (3, {})):
        script.session.wake(NOW + hour * 3600 * SECOND)
        assert script.list(a=listed, at=NOW + hour * 3601 * SECOND).incidents == []
    assert script.session.core.state(A) == State.LIVE


def test_a_list_that_is_asked_for_while_its_pages_are_read_keeps_its_first_page() -> None:
    script = up("A", "B")
    script.session.wake(NOW + 3600 * SECOND)
    now = NOW + 3601 * SECOND
    (page,) = script.answer(script.requests["list a"], {"A": "LIVE", "more": "2"}, at=now).requests
    step = script.say({"kind": "relist"}, at=now)
    assert [one.purpose for one in step.requests] == [], "both are under way: one of them has a page to come"
    step = script.answer(page, {"B": "LIVE"}, at=now)
    assert step.incidents == []
    assert {one.id for one in script.session.instruments} == {A, B}


class Ticking(ScriptedVenue):
    """Lists tick sizes in place of states."""

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        sizes: dict[str, str] = msgspec.json.decode(body, type=dict[str, str])
        return [
            Listed(native=name, symbol=f"{name}-USD", asset_class="crypto", currency="USD", tick_size=size)
            for name, size in sizes.items()
        ]


def test_another_tick_size_is_told() -> None:
    script = Script(Ticking)
    script.list(a={"A": "0.01", "B": "0.1"})
    script.session.wake(NOW + 3600 * SECOND)
    step = script.list(a={"A": "0.001", "B": "0.1"}, at=NOW + 3601 * SECOND)
    assert [(one.symbol, one.tick_size) for one in step.definitions] == [("A-USD", "0.001")]
    assert (step.records, step.incidents, step.send) == ([], [], [])
    assert script.session.instruments[0].definition.tick_size == "0.001"


class Careless(ScriptedVenue):
    """Believes that what it looks for is there."""

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        said = msgspec.json.decode(frame)
        if "careless" in said:
            int(said["careless"][0]["there"])
        return super().cold(frame, market)


@pytest.mark.parametrize(
    ("careless", "kind"),
    [({}, "KeyError"), ([], "IndexError"), ([{}], "KeyError"), (7, "TypeError"), ([{"there": None}], "TypeError")],
)
def test_a_mapper_that_stumbles_over_a_frame_buries_it(careless: object, kind: str) -> None:
    script = up("A", venue=Careless)
    step = script.say({"careless": careless}, book("A", 2, 1))
    assert (step.dead_count, step.dead[0][0].partition(":")[0]) == (1, kind)
    assert script.session.core.last_id(A) == 2


def test_an_answer_that_is_nested_too_deep_is_asked_for_again() -> None:
    script = Script()
    request = script.requests["list a"]
    step = script.session.answered(request, Answer(status=200, body=b'{"A":' + b"[" * 200_000, received_ns=NOW))
    assert step.repeat == [request]
    assert step.dead_count == 1
