"""Find what ``capture = true`` of a feed has written: which feeds, of which venues, with which settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tickcast.model.capture import Line
from tickcast.model.errors import UsageError
from tickcast.runtime.session_files import read_session, session_files

SINGLE: Final = ("address", "rerequest", "gap_address", "spin_address", "url", "rest_url")
"""Settings of a feed that are an address."""
SEVERAL: Final = ("lines", "gap_lines")
"""Settings of a feed that are a list of them."""
PLAIN: Final = {"ws": "ws", "wss": "ws", "http": "http", "https": "http"}
"""Playback has no TLS."""


@dataclass(frozen=True, slots=True)
class CapturedFeed:
    """The capture of one feed."""

    feed: str
    venue: str
    files: list[Path]
    recorded_ns: int
    """When its first segment began."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What the feed's table said, but for its password."""

    @property
    def targets(self) -> list[str]:
        """Every address that the feed spoke or listened to, once."""
        found = [self.settings[name] for name in SINGLE if self.settings.get(name)]
        found += [target for name in SEVERAL for target in self.settings.get(name, ())]
        return list(dict.fromkeys(found))

    def moved(self, places: Mapping[str, str]) -> dict[str, Any]:
        """The settings with every address replaced by the ``host:port`` where it is played."""

        def place(target: str) -> str:
            scheme, separator, _ = target.partition("://")
            return f"{PLAIN[scheme]}://{places[target]}" if separator else places[target]

        one = {name: place(self.settings[name]) for name in SINGLE if self.settings.get(name)}
        many = {name: [place(each) for each in self.settings[name]] for name in SEVERAL if self.settings.get(name)}
        return {**self.settings, **one, **many}


def find_captures(root: Path) -> list[CapturedFeed]:
    """The captured feeds in a folder, or in its folders; none if it holds other recordings.

    Raises:
        UsageError: a segment cannot be read.
    """
    if not root.is_dir():
        return []
    folders = [root, *sorted(each for each in root.iterdir() if each.is_dir())]
    found = [captured for folder in folders if (captured := _captured(folder)) is not None]
    names = [each.feed for each in found]
    if len(set(names)) != len(names):
        raise UsageError(f"{root}: expected each feed once, found {', '.join(names)}; nothing is played")
    return found


def _captured(folder: Path) -> CapturedFeed | None:
    files = [path for path in session_files(folder) if path.name.endswith(".jsonl.zst")]
    if not files:
        return None
    header: Line = next(read_session(files[:1]), Line(t="header"))
    if not header.feed or not header.settings:
        return None
    return CapturedFeed(header.feed, header.exchange, files, int(header.recorded.scaleb(9)), dict(header.settings))
