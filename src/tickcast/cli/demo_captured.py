"""The tables of ``tickcast demo --recorded`` for captures of our own feeds: each feed as it was, played back."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from tickcast.sim.recorded.captures import CapturedFeed

NEW_YORK: Final = "America/New_York"
DATED: Final = {"XNAS": NEW_YORK, "XBOS": NEW_YORK, "BATS": NEW_YORK}
"""Venues whose event times have no date, and the zone of their day."""


def addresses(captured: "Sequence[CapturedFeed]", place: Callable[[], str]) -> dict[str, dict[str, str]]:
    """Feed to recorded address to where it is played."""
    return {each.feed: {target: place() for target in each.targets} for each in captured}


def feeds(captured: "Sequence[CapturedFeed]", places: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Any]]:
    """The instance's ``[feeds.NAME]``: what was captured, at its new addresses, on its day."""
    return {each.feed: _feed(each, places[each.feed]) for each in captured}


def _feed(captured: "CapturedFeed", places: Mapping[str, str]) -> dict[str, Any]:
    moment = datetime.fromtimestamp(captured.recorded_ns // 1_000_000_000, UTC)
    settings = captured.moved(places)
    if captured.venue in DATED:
        settings.setdefault("date", f"{moment.astimezone(ZoneInfo(DATED[captured.venue])):%Y-%m-%d}")
    settings["calendar"] = f"{settings.get('calendar', '24/7').partition('@')[0]}@{moment:%Y-%m-%d}"
    return settings
