"""Connections of a simulated venue: which path they came by, how much they say, what they owe."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from tickcast.sim.crypto.state import Client
from tickcast.sim.crypto.voice import House, RestRequest

SECOND_NS: Final = 1_000_000_000
_ADDRESSES_MAX: Final = 1024


def find_endpoint(paths: Mapping[str, str], target: str) -> tuple[str, str, dict[str, str]] | None:
    """Return endpoint, path and query of a socket address' target; None = there is nothing at it."""
    parts = urlsplit(target)
    path = parts.path or "/"
    for name, own in sorted(paths.items(), key=lambda one: -len(one[1])):
        if path.rstrip("/") == own.rstrip("/") or path.startswith(own.rstrip("/") + "/"):
            return name, path, dict(parse_qsl(parts.query))
    return None


def split_request(url: str, now_ns: int, *, method: str = "GET") -> RestRequest:
    """Return the request of a URL or of its path and query."""
    parts = urlsplit(url)
    return RestRequest(parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), now_ns, method)


class Talk:
    """Counts what clients say, and how long they say nothing."""

    def __init__(self, house: House) -> None:
        self._house = house

    def too_much(self, client: Client, now_ns: int) -> bool:
        """Count a frame; True when it is over the limit of messages."""
        client.heard_ns = now_ns
        if not self._house.messages_per_s:
            return False
        if now_ns - client.window_ns >= SECOND_NS:
            client.window_ns, client.window_count = now_ns, 0
        client.window_count += 1
        return client.window_count > self._house.messages_per_s

    def silent(self, client: Client, now_ns: int) -> bool:
        """Whether a client has said nothing for too long."""
        longest_s = self._house.silence_max_s
        return longest_s > 0 and now_ns - client.heard_ns > longest_s * SECOND_NS


class Weights:
    """REST weights that each address used in the running window."""

    def __init__(self, *, limit: int, per_s: float) -> None:
        self.limit = limit
        self._window_ns = round(per_s * SECOND_NS)
        self._window = -1
        self._used: dict[str, int] = {}

    def use(self, address: str, weight: int, now_ns: int) -> tuple[int, int]:
        """Add a request: (weight used, seconds to wait or 0)."""
        if now_ns // self._window_ns != self._window or len(self._used) > _ADDRESSES_MAX:
            self._window = now_ns // self._window_ns
            self._used.clear()
        used = self._used.get(address, 0) + weight
        if self.limit and used > self.limit:
            return self._used.get(address, 0), int((self._window_ns - now_ns % self._window_ns) // SECOND_NS) + 1
        self._used[address] = used
        return used, 0
