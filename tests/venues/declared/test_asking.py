"""Answers that repeat a number and nothing else: what they mean."""

from hypothesis import given
from hypothesis import strategies as st

from tickcast.venues.declared.asking import ASKED_MAX, Asked
from tickcast.venues.declared.venue import Acknowledged, Alive, Channel, Refused

ONE, TWO, THREE = (Channel("book", name) for name in ("A", "B", "C"))


@given(st.permutations(range(6)))
def test_answers_in_any_order_find_what_was_asked(order: list[int]) -> None:
    asked = Asked()
    numbers = [asked.number([Channel("book", str(place))]) for place in range(6)]
    for place in order:
        assert asked.confirmed(numbers[place]) == Acknowledged((Channel("book", str(place)),))
        assert asked.confirmed(numbers[place]) == Alive()


def test_a_refusal_is_of_whom_it_names() -> None:
    asked = Asked()
    assert asked.refused(asked.number([ONE]), "no") == [Refused("no", ONE)]
    assert asked.refused(asked.number([ONE, TWO]), "no") == [Refused("no", among=(ONE, TWO))]
    assert asked.refused(asked.number([ONE, TWO]), "no", named=["A", "B"]) == [Refused("no", among=(ONE, TWO))]
    first, second, rest = asked.refused(asked.number([ONE, TWO, THREE]), "no", named=["A", "C"])
    assert (first, second) == (Refused("no", ONE), Refused("no", THREE))
    assert isinstance(rest, Refused)
    assert (rest.channel, rest.among) == (None, (TWO,))
    first, rest = asked.refused(asked.number([ONE, TWO, THREE]), "no", meant=[TWO])
    assert (first, isinstance(rest, Refused) and rest.among) == (Refused("no", TWO), (ONE, THREE))
    assert asked.refused(None, "no") == asked.refused(77, "no") == [Refused("no")]


def test_what_was_never_answered_is_forgotten_in_the_end() -> None:
    asked = Asked()
    first = asked.number([ONE])
    assert asked.number() == first + 1, "numbered, and nothing to remember"
    for _ in range(ASKED_MAX):
        asked.number([TWO])
    assert asked.confirmed(first) == Alive()
