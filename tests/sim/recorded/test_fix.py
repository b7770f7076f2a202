"""The messages of a recorded FIX session, in their turn."""

from tickcast.sim.fix.session import Message
from tickcast.sim.recorded.fix import WAITING_MAX, Turns


def message(kind: str, number: int, **more: str) -> Message:
    fields = [(35, kind), (34, str(number)), *((int(tag[1:]), value) for tag, value in more.items())]
    return Message([(tag, value) for tag, value in fields])


def told(*messages: Message) -> list[str]:
    turns = Turns()
    found = []
    for each in messages:
        turns.take(each)
        found += [text for _, text in turns.ready()]
    return [text.strip("\x01") for text in (*found, *(text for _, text in turns.rest()))]


def news(number: int) -> Message:
    return message("X", number, _58=f"n{number}")


def test_what_came_too_early_waits_for_what_is_sent_again() -> None:
    assert told(message("A", 7), news(8), news(10), news(11), news(9), news(12)) == [f"58=n{n}" for n in range(8, 13)]


def test_repeats_and_what_was_before_the_first_logon_are_left_out() -> None:
    early = message("5", 100)
    again = (message("4", 1, _36="20", _123="Y"), news(20), news(99))
    assert told(early, message("A", 101), *again, news(102), news(102)) == ["58=n102"]


def test_a_gap_fill_stands_for_what_it_skips() -> None:
    fill = message("4", 9, _36="12", _123="Y")
    assert told(message("A", 7), news(8), news(12), fill, news(13)) == ["58=n8", "58=n12", "58=n13"]


def test_a_reset_and_a_logon_from_one_begin_anew() -> None:
    reset = message("4", 1, _36="50")
    assert told(message("A", 7), news(8), reset, news(50)) == ["58=n8", "58=n50"]
    assert told(message("A", 7), news(8), message("A", 1, _141="Y"), news(2)) == ["58=n8", "58=n2"]


def test_a_hole_that_is_never_filled_does_not_hold_the_rest_for_ever() -> None:
    turns = Turns()
    turns.take(message("A", 1))
    assert list(turns.ready()) == []
    for number in range(3, WAITING_MAX + 4):
        turns.take(news(number))
    assert len(list(turns.ready())) == WAITING_MAX + 1
    assert told(message("A", 1), news(3), news(4)) == ["58=n3", "58=n4"]
