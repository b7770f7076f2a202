"""Which venues there are."""

import pytest

from tickcast.model.errors import UsageError
from tickcast.venues.base import DEAD_LETTERS_KEPT, Step, VenueConfig
from tickcast.venues.registry import VENUES, DeclaredFactory, open_session


def test_an_unknown_venue_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(UsageError, match=r"feeds\.q\.venue: expected one of XNAS, .*, found 'NYSE'"):
        open_session("q", VenueConfig(venue="NYSE"), {})


def test_each_venue_says_which_setting_is_missing() -> None:
    # a declared venue knows its own addresses
    for venue in {code for code, factory in VENUES.items() if not isinstance(factory, DeclaredFactory)} - {"BINANCE"}:
        with pytest.raises(
            UsageError, match=rf"feeds\.q[.\w]*: expected .* for venue {venue}, found (nothing|neither)"
        ):
            open_session("q", VenueConfig(venue=venue), {})


def test_dead_letters_are_all_counted_and_some_kept() -> None:
    step = Step()
    for number in range(DEAD_LETTERS_KEPT + 50):
        step.bury("reason", bytes([number % 256]))
    assert step.dead_count == DEAD_LETTERS_KEPT + 50
    assert len(step.dead) == DEAD_LETTERS_KEPT
