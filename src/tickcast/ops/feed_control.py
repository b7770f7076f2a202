"""How the other processes of an instance reach a feed: its control socket in the data folder."""

from collections.abc import Mapping, Sequence
from typing import Any

from tickcast.ops.control import ask_later, feed_socket
from tickcast.ops.datadir import DataDir


class FeedControl:
    """Implements :class:`tickcast.ports.FeedSymbols`."""

    def __init__(self, data: DataDir, feeds: Sequence[str]) -> None:
        """``feeds``: those of the config."""
        self._data = data
        self._feeds = tuple(feeds)

    @property
    def feeds(self) -> Sequence[str]:
        """Names of the feeds there are."""
        return self._feeds

    async def listed(self, feed: str) -> Mapping[str, Any]:
        """Ask what a feed streams, and why."""
        return await self._ask(feed, {"do": "list"})

    async def change(self, feed: str, add: Sequence[str], drop: Sequence[str]) -> Mapping[str, Any]:
        """Have a feed stream these, and those no more."""
        return await self._ask(feed, {"do": "change", "add": list(add), "drop": list(drop)})

    async def take_config(self, feed: str, table: Mapping[str, Any]) -> Mapping[str, Any]:
        """Tell a feed what its table of the config is now."""
        return await self._ask(feed, {"do": "config", "table": table})

    async def _ask(self, feed: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = await ask_later(feed_socket(self._data, feed), request, who=f"the feed {feed}")
        return answer
