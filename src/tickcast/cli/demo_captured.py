"""The config files of ``tickcast demo --recorded`` for captures of our own feeds: each feed as it was, played back."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from tickcast.sim.recorded.captures import CapturedFeed

DATED: Final = {"XNAS": "America/New_York", "XBOS": "America/New_York", "BATS": "America/New_York"}
"""Venues whose event times have no date, and the zone of their day."""


def addresses(captured: Sequence[CapturedFeed], ports: Sequence[int]) -> dict[str, dict[str, str]]:
    """A port on loopback for each address of each feed."""
    free = iter(ports)
    return {each.feed: {target: f"127.0.0.1:{next(free)}" for target in each.targets} for each in captured}


def sim_tables(places: dict[str, dict[str, str]]) -> str:
    """The tables ``[recorded.addresses.FEED]`` of the simulator's config."""
    lines: list[str] = []
    for feed, places_of_feed in places.items():
        lines += ["", f"[recorded.addresses.{_text(feed)}]"]
        lines += [f"{_text(target)} = {_text(place)}" for target, place in places_of_feed.items()]
    return "\n".join(lines) + "\n"


def feed_tables(captured: Sequence[CapturedFeed], places: dict[str, dict[str, str]]) -> str:
    """The tables ``[feeds.FEED]`` of the instance's config: what was captured, at its new addresses, on its day."""
    lines: list[str] = []
    for each in captured:
        zone = ZoneInfo(DATED.get(each.venue, "UTC"))
        moment = datetime.fromtimestamp(each.recorded_ns // 1_000_000_000, UTC)
        settings: dict[str, Any] = each.moved(places[each.feed])
        if each.venue in DATED:
            settings.setdefault("date", f"{moment.astimezone(zone):%Y-%m-%d}")
        settings["calendar"] = f"{settings.get('calendar', '24/7').partition('@')[0]}@{moment:%Y-%m-%d}"
        lines += ["", f"[feeds.{_text(each.feed)}]"]
        lines += [f"{name} = {_value(value)}" for name, value in settings.items()]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    """A TOML value; lists and scalars are written as in JSON."""
    return json.dumps(value, ensure_ascii=False)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def targets(captured: Sequence[CapturedFeed]) -> int:
    """How many ports are needed."""
    return sum(len(each.targets) for each in captured)
