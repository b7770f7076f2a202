"""What a declared session makes of lists, answers, refusals and silence; by a venue that says what the test wants."""

import pytest
from tests.venues.declared.scripted import NOW, SECOND, Script, ScriptedVenue, book
from tests.venues.decoding import rows, states

from tickcast import _native
from tickcast.model.record import Kind, State
from tickcast.venues.base import Request
from tickcast.venues.declared.dialect import BookRule

A, B, C = (_native.instrument_id(f"SCRIPTED:{name}-USD") for name in "ABC")


def up(*names: str, venue: type[ScriptedVenue] = ScriptedVenue, **settings: object) -> Script:
    """A session whose instruments are live."""
    script = Script(venue, **settings)
    for link in script.list(a=dict.fromkeys(names, "LIVE")).links:
        script.session.opened(link.name, NOW)
        for place in range(3):
            script.session.wake(NOW + place * SECOND)
            script.say({"kind": "ok"}, link=link.name)
    for wire in script.session._wires:
        own = [book(name, 1) for name in names if any(one.native == name for one in wire.subscriptions)]
        script.say(*own, link=wire.name)
    assert {script.session.core.state(one.id) for one in script.session.instruments} <= {State.LIVE, State.UNVERIFIED}
    return script


def test_channels_of_an_instrument_share_a_link_and_go_out_in_batches() -> None:
    script = Script()
    step = script.list(a={"A": "LIVE", "B": "LIVE"}, b={"C": "LIVE"})
    assert [(link.name, link.target) for link in step.links] == [
        ("streams-1", "ws://venue/ws"),
        ("streams-2", "ws://venue/ws"),
    ]
    first, second = script.session.opened("streams-1", NOW), script.session.opened("streams-2", NOW)
    assert [frame for _, frame in first.send] == [b"+trade.A book.A trade.B", b"+book.B"]
    assert [frame for _, frame in second.send] == [b"+trade.C book.C"]


def test_messages_are_paced() -> None:
    class Slow(ScriptedVenue):
        limits = ScriptedVenue.limits.__class__(
            channels_per_link=100, channels_per_message=1, messages=ScriptedVenue.limits.messages
        )

    script = Script(Slow)
    script.list(a=dict.fromkeys("ABCDEFGHIJ", "LIVE"))
    sent = [(NOW, len(script.session.opened("streams-1", NOW).send))]
    while sum(count for _, count in sent) < 20:
        now = script.session.wake_ns
        assert now > sent[-1][0]
        sent.append((now, len(script.session.wake(now).send)))
    for begin, _ in sent:
        assert sum(count for at, count in sent if begin <= at < begin + SECOND) <= 10
    assert sent[-1][0] - NOW < 4 * SECOND


def test_a_message_that_is_refused_as_a_whole_is_asked_for_in_parts() -> None:
    script = Script()
    script.list(a={"A": "LIVE"})
    assert [frame for _, frame in script.session.opened("streams-1", NOW).send] == [b"+trade.A book.A"]
    step = script.say({"kind": "no"})
    later = script.session.wake(script.session.wake_ns)  # the venue's limit of messages holds for them too
    assert [frame for _, frame in [*step.send, *later.send]] == [b"+trade.A", b"+book.A"]
    assert [(one.kind, one.scope, one.instruments) for one in step.incidents] == [("refused", "connection", ())]
    script.say({"kind": "ok"})
    step = script.say({"kind": "no"})
    assert [(one.scope, one.instruments) for one in step.incidents] == [("channel", (A,))]
    assert [frame for _, frame in script.session.wake(NOW + 61 * SECOND).send] == [b"+book.A"]


def test_a_book_that_does_not_come_is_subscribed_anew() -> None:
    script = Script()
    script.list(a={"A": "LIVE"})
    script.session.opened("streams-1", NOW)
    assert states(script.say({"kind": "ok"}).records) == [State.SYNCING]
    step = script.session.wake(NOW + 10 * SECOND)
    assert [frame for _, frame in step.send] == [b"-book.A", b"+book.A"]


def test_a_break_concerns_one_book_and_repairs_back_off() -> None:
    script = up("A", "B")
    delays = []
    now, seq = NOW + 10 * SECOND, 1
    for _ in range(4):
        step = script.say(book("A", seq + 9, seq + 5), at=now)
        assert [(one.kind, one.scope, one.repair, one.instruments) for one in step.incidents] == [
            ("gap", "instrument", "resubscribe", (A,))
        ]
        asked = now
        while not step.send:
            asked = script.session.wake_ns
            step = script.session.wake(asked)
        assert step.send[0][1] == b"-book.A"
        delays.append((asked - now) // SECOND)
        now = asked + SECOND // 2
        script.session.wake(now)
        seq += 20
        assert states(script.say(book("A", seq), at=now).records) == [State.LIVE]
        assert script.session.core.state(B) == State.LIVE
    assert delays == [0, 1, 2, 4]


def test_an_end_that_was_announced_is_told_with_its_reason() -> None:
    script = up("A")
    assert [link.name for link in script.say({"kind": "bye"}).links] == ["streams-1.2"]
    closed = script.session.closed("streams-1", NOW)
    assert closed.incidents[0].reason == "maintenance"


def test_a_halt_is_told_and_ends() -> None:
    script = up("A")
    step = script.say(
        {"kind": "trade", "name": "A", "id": 1, "price": "10", "size": "1"},
        {"kind": "halt", "name": "A"},
        {"kind": "trade", "name": "A", "id": 2, "price": "10", "size": "1"},
    )
    told = [(row.kind, row.ident, row.detail) for row in rows(step.records)]
    assert told == [(Kind.TRADE, 1, 0), (Kind.STATUS, 0, State.HALTED), (Kind.TRADE, 2, 0)], "each at its place"
    assert [(one.kind, one.reason, one.instruments) for one in step.incidents] == [("halt", "news", (A,))]
    assert states(script.say({"kind": "resume", "name": "A"}).records) == [State.LIVE]


def test_new_listings_are_streamed_and_delistings_end() -> None:
    script = up("A", "B")
    step = script.session.wake(NOW + 3600 * SECOND)
    assert {one.purpose for one in step.requests} == {"list a", "list b"}
    now = NOW + 3601 * SECOND
    step = script.list(a={"A": "LIVE", "C": "LIVE"}, at=now)
    assert [(one.kind, one.instruments) for one in step.incidents] == [("listed", (C,)), ("delisted", (B,))]
    assert [one.symbol for one in step.definitions] == ["C-USD"]
    assert states(step.records) == [State.EMPTY, State.CLOSED]
    sent = b" ".join(frame for _, frame in step.send)
    assert b"-trade.B book.B" in sent
    late = script.say(book("B", 9, 8), at=now)
    assert (late.dead_count, late.records) == (0, [])


def test_nothing_new_is_streamed_where_symbols_are_given() -> None:
    script = up("A", symbols=("A-USD",))
    script.say({"kind": "relist"}, at=NOW + SECOND)
    step = script.list(a={"A": "LIVE", "C": "LIVE"}, at=NOW + SECOND)
    assert step.definitions == []
    assert step.incidents == []
    other = script.say({"kind": "trade", "name": "C", "id": 1, "price": "1", "size": "1"}, at=NOW + SECOND)
    assert (other.dead_count, other.records) == (0, []), "known, and not asked for"


def test_a_list_in_pages_is_read_to_its_end_before_anything_is_off_it() -> None:
    script = up("A", "B")
    script.session.wake(NOW + 3600 * SECOND)
    now = NOW + 3601 * SECOND
    step = script.answer(script.requests["list a"], {"A": "LIVE", "more": "2"}, at=now)
    assert step.incidents == []
    (page,) = step.requests
    step = script.answer(page, {"B": "HALTED"}, at=now)
    assert [(one.kind, one.instruments) for one in step.incidents] == [("halt", (B,))]


def test_one_bad_list_does_not_hold_up_the_other() -> None:
    script = Script(symbols=("A-USD", "Z-USD"))
    bad = script.answer(script.requests["list b"], ["no", "list"])
    assert bad.repeat == [script.requests["list b"]]
    good = script.answer(script.requests["list a"], {"A": "LIVE"})
    assert [one.symbol for one in good.definitions] == ["A-USD"]
    last = script.answer(script.requests["list b"], {})
    assert (last.unlisted, last.dead) == (["Z-USD"], [])


class Unproved(ScriptedVenue):
    """Nothing chains its messages."""

    rule = BookRule(chain="none", snapshot="stream")


def test_books_that_nothing_proves_are_compared_and_repaired_when_they_differ_twice() -> None:
    script = up("A", venue=Unproved, compare_interval_s=30.0)
    assert script.session.core.state(A) == State.UNVERIFIED
    now, asked = NOW, list[Request]()
    while len(asked) < 2:
        now = script.session.wake_ns
        step = script.session.wake(now)
        asked += step.requests
        for request in step.requests:
            assert request.url == "http://venue/book/A"
            step = script.answer(request, {"seq": 1, "bids": [["9", "1"]], "asks": [["12", "1"]]}, at=now)
    assert [(one.kind, one.instruments, one.repair) for one in step.incidents] == [("compared", (A,), "resubscribe")]
    assert states(step.records)[:1] == [State.GAP]
    sent = [frame for _, frame in step.send]
    assert sent[0] == b"-book.A"


@pytest.mark.parametrize("raw", [b"", b"<html>", b"\xff", b"[1", b'{"kind":"?"}', b"7", b"1e999"])
def test_no_frame_ends_the_session(raw: bytes) -> None:
    script = up("A")
    trade = b'{"kind":"trade","name":"A","id":1,"price":"10","size":"1"}'
    step = script.session.received("streams-1", [raw, trade], [NOW, NOW])
    assert step.dead_count == 1
    assert [row.kind for row in rows(step.records)] == [Kind.TRADE]


def test_frames_that_are_no_json_are_in_the_ledger_once_a_second() -> None:
    script = up("A")
    session = script.session
    told = [
        one
        for now in (NOW, NOW + SECOND // 2, NOW + SECOND)
        for one in session.received("streams-1", [b"<html>"], [now]).incidents
        if one.kind == "damaged"
    ]
    assert [one.ts_ns for one in told] == [NOW, NOW + SECOND]
    assert {(one.scope, one.link) for one in told} == {("connection", "streams-1")}


def test_unknown_keys_are_told_once() -> None:
    script = up("A")
    odd = {"kind": "trade", "name": "A", "id": 1, "price": "10", "size": "1", "surprise": 1}
    for place in range(2000):
        script.say({**odd, "id": place}, at=NOW)
    drift = [
        one
        for minute in (1, 2, 3)
        for one in script.session.wake(NOW + minute * 61 * SECOND).incidents
        if one.kind == "drift"
    ]
    assert len(drift) == 1
    assert "trade.surprise" in drift[0].reason
