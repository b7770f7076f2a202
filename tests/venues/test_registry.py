"""Which venues there are."""

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from tickcast.model.errors import UsageError
from tickcast.venues import registry
from tickcast.venues.base import DEAD_LETTERS_KEPT, Step, VenueConfig
from tickcast.venues.declared.session import DeclaredSession
from tickcast.venues.registry import VENUES, codes, find_declared, open_session


def test_an_unknown_venue_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(UsageError, match=r"feeds\.q\.venue: expected one of XNAS, .*, found 'NYSE'"):
        open_session("q", VenueConfig(venue="NYSE"), {})


def test_each_venue_says_which_setting_is_missing() -> None:
    # a declared venue knows its own addresses
    for venue in (code for code in VENUES if find_declared(code) is None):
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


def installed(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    """Pretend that packages with these entry points are installed."""
    found = EntryPoints(EntryPoint(name, value, registry.GROUP) for name, value in values.items())
    monkeypatch.setattr(registry, "entry_points", lambda group: found.select(group=group))


def test_an_installed_package_adds_a_venue(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, SCRIPTED="tests.venues.declared.scripted:ScriptedVenue", OKX="no.such:module")
    assert codes()[-1] == "SCRIPTED"
    session = open_session("q", VenueConfig(venue="SCRIPTED"), {})
    assert isinstance(session, DeclaredSession)
    assert isinstance(open_session("q", VenueConfig(venue="OKX"), {}), DeclaredSession), "ours are not replaced"


@pytest.mark.parametrize(
    ("value", "reason"), [("no.such:module", "cannot be imported"), ("math:pi", "expected a class of")]
)
def test_a_package_that_cannot_be_used_is_said(monkeypatch: pytest.MonkeyPatch, value: str, reason: str) -> None:
    installed(monkeypatch, BROKEN=value)
    with pytest.raises(UsageError, match=rf"feeds\.q\.venue: venue BROKEN .*{reason}"):
        open_session("q", VenueConfig(venue="BROKEN"), {})
