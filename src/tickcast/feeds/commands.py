"""What a running feed can be told: its symbols, and what its config says of them.

A request is a JSON object, ``{"do": "symbols"}``; with ``add`` and ``drop`` it changes what is streamed. The answer is
what :mod:`tickcast.venues.selection` describes.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tickcast.feeds.config import FeedConfig
from tickcast.feeds.stage import Feed
from tickcast.model.errors import StateError, UsageError

REASON_MAX: Final = 80


class _List(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="list"):
    """Ask what is streamed."""


class _Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="change"):
    """Change what is streamed."""

    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


class _Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="config"):
    """The config may say something else than before: the feed compares."""

    table: FeedConfig


class FeedDoor:
    """Takes requests from its process's control socket to the feed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._feed: Feed | None = None

    def open(self, feed: Feed) -> None:
        """The feed is there."""
        self._feed = feed

    async def answer(self, request: Mapping[str, Any]) -> Any:
        """Answer one request.

        Raises:
            UsageError: it is none, or asks for what cannot be.
            StateError: the feed cannot do it now.
        """
        try:
            asked = msgspec.convert(request, _List | _Change | _Config)
        except msgspec.ValidationError as wrong:
            raise UsageError(f"expected a request of a feed, found {str(request)[:REASON_MAX]}: {wrong}") from wrong
        feed = self._feed
        if feed is None:
            raise StateError(f"the feed {self._name} is starting; try again in a moment")
        match asked:
            case _List():
                return feed.list_symbols()
            case _Change(add, drop):
                if not add and not drop:
                    raise UsageError("expected symbols to add or to drop, found none; nothing is changed")
                return feed.change_symbols(add, drop)
            case _Config(table):
                return feed.take_config(table)
