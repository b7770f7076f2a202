"""Whatever a venue's history holds: trades of a hole are told once each, and it is repaired only if none is missing."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.venues.declared.test_backfill import OverlappingBackwards, OverlappingForwards, Play, Telling

from tickcast.venues.base import Request

PAGE = 3
PAGES_MAX = 4


def page_of(venue: type[Telling], request: Request, kept: list[int]) -> list[int]:
    """Answer as a venue that knows these trades: from the trade that was asked from on, with it, three at once."""
    asked = {name: int(values[0]) for name, values in parse_qs(urlsplit(request.url).query).items() if name != "of"}
    if venue is OverlappingForwards:
        return [one for one in kept if one >= asked["after"]][:PAGE]
    return [one for one in reversed(kept) if one <= asked.get("before", kept[-1])][:PAGE]


@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("venue", [OverlappingForwards, OverlappingBackwards])
@given(
    steps=st.lists(st.integers(1, 9), min_size=2, max_size=12),
    forgotten=st.integers(0, 6),
    is_quiet=st.booleans(),
)
@example(steps=[1] * 9, forgotten=0, is_quiet=True)
@example(steps=[1] * 9, forgotten=0, is_quiet=False)
@example(steps=[1] * 8, forgotten=0, is_quiet=True)
def test_holes_are_filled_or_said(venue: type[Telling], *, steps: list[int], forgotten: int, is_quiet: bool) -> None:
    truth = [sum(steps[: place + 1]) for place in range(len(steps))]
    kept = truth[forgotten:] or truth[-1:]
    play = Play(venue)
    play.trade(truth[0])
    play.cut()
    play.wait(1)
    play.open()
    if not is_quiet:
        play.trade(truth[-1])
    for _ in range(100):
        play.wait(4)  # longer than until a question is asked again
        if not play.requests:
            break
        play.answer(*page_of(venue, play.requests[0], kept))
    missed = truth[1:] if is_quiet else truth[1:-1]
    fetched = play.fetched()
    assert fetched == sorted(set(fetched))
    assert set(fetched) <= set(missed)
    words = [one for one in play.incidents if one.key]
    is_repaired = not words or words[-1].repair == "backfill"
    assert not is_repaired or fetched == missed
    reaches = PAGE + (PAGE - 1) * (PAGES_MAX - 1)
    # going forwards with no trade behind the hole, a full last page does not say that nothing comes after it
    is_open = is_quiet and venue is OverlappingForwards
    if not forgotten and len(truth) + is_open <= reaches:
        assert is_repaired
