"""Limits for each client address: how many connections it may hold, and how fast it may shake hands. Pure.

An IPv6 client owns a whole /64, so that is what counts as one address there. The table is bounded: what holds no
connection and has its whole allowance back is forgotten first; if nothing can be forgotten, further addresses go
unlimited rather than unserved, and are counted.
"""

import functools
import ipaddress
from collections import OrderedDict
from typing import Final, Literal

from tickcast.gateway.config import Config
from tickcast.gateway.tally import NOTHING, Elsewhere, Seat, Tally, spend

TABLE_MAX: Final = 65_536
"""Addresses known at one time."""
LOOKS: Final = 16
"""Entries looked at to find one that can be forgotten."""
IPV6_PREFIX: Final = 64

Verdict = Literal["welcome", "refuse", "cut"]
"""``refuse``: answer its request with 429. ``cut``: it holds as many refused connections again, so answer at once."""


class _Entry:
    __slots__ = ("connections", "handshakes_ns", "refused", "seat")

    def __init__(self, seat: Seat | None) -> None:
        self.connections = 0
        self.refused = 0
        """Connections that wait for their 429."""
        self.handshakes_ns = 0
        """When the whole allowance is back."""
        self.seat: Final = seat
        """Where other processes tell of it; None: there are none."""


class Addresses:
    """What each address holds, and may still do."""

    def __init__(self, config: Config, *, table_max: int = TABLE_MAX, tally: Tally | None = None) -> None:
        """``tally`` is what other processes hold of the same addresses; without it the limits are this one's."""
        self._connections_max = config.connections_per_address_max
        self._rate = config.handshakes_per_second_per_address
        self._exempt = tuple(ipaddress.ip_network(network, strict=False) for network in config.addresses_exempt)
        self._table_max = table_max
        self._tally = tally
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._key = functools.lru_cache(maxsize=4096)(self._find_key)
        self.unlimited = 0
        """Connections that were let in unlimited because the table was full."""

    def __len__(self) -> int:
        return len(self._entries)

    def arrive(self, address: str, now_ns: int) -> tuple[str, Verdict]:
        """Take note of a connection; returns the key for :meth:`leave` (empty: not limited) and what to do with it."""
        key = self._key(address)
        if not key:
            return "", "welcome"
        entry = self._entries.get(key)
        if entry is None:
            if len(self._entries) >= self._table_max and not self._forget_one(now_ns):
                self.unlimited += 1
                return "", "welcome"
            entry = self._entries[key] = _Entry(None if self._tally is None else self._tally.seat(key))
        else:
            self._entries.move_to_end(key)
        entry.connections += 1
        self._tell(entry)  # before others are looked at: both may refuse the last place, never both give it
        if self._has_place(entry):
            return key, "welcome"
        entry.connections -= 1
        self._tell(entry)
        if entry.refused < self._connections_max:
            entry.refused += 1
            return key, "refuse"
        return "", "cut"

    def leave(self, key: str, *, refused: bool = False) -> None:
        """Note that a connection has ended."""
        entry = self._entries.get(key)
        if entry is None:
            return
        if refused:
            entry.refused -= 1
        else:
            entry.connections -= 1
            self._tell(entry)

    def handshake(self, key: str, now_ns: int) -> float:
        """Spend one handshake; returns 0, or the seconds after which the address may try again."""
        entry = self._entries.get(key) if key and self._rate else None
        if entry is None:
            return 0.0
        due_ns = max(entry.handshakes_ns, self._elsewhere(entry).handshakes_ns)
        entry.handshakes_ns, retry_s = spend(due_ns, now_ns, self._rate)
        self._tell(entry)
        return retry_s

    def _has_place(self, entry: _Entry) -> bool:
        """Whether a connection that is counted already may be."""
        most, held = self._connections_max, entry.connections
        if not most or held + self._elsewhere(entry).connections <= most:
            return True
        return held + self._elsewhere(entry, sure=True).connections <= most

    def _tell(self, entry: _Entry) -> None:
        if self._tally is not None and entry.seat is not None:
            self._tally.tell(entry.seat, entry.connections, entry.handshakes_ns)

    def _elsewhere(self, entry: _Entry, *, sure: bool = False) -> Elsewhere:
        if self._tally is None or entry.seat is None:
            return NOTHING
        return self._tally.elsewhere(entry.seat, sure=sure)

    def _forget_one(self, now_ns: int) -> bool:
        """Forget the first of the longest quiet addresses that owes nothing."""
        for _ in range(min(LOOKS, len(self._entries))):
            key, entry = next(iter(self._entries.items()))
            if not entry.connections and not entry.refused and entry.handshakes_ns <= now_ns:
                del self._entries[key]
                return True
            self._entries.move_to_end(key)
        return False

    def _find_key(self, address: str) -> str:
        """What counts as one address; empty for one that is not limited."""
        if not self._connections_max and not self._rate:
            return ""
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return ""
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        if any(found in network for network in self._exempt):
            return ""
        if isinstance(found, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((found, IPV6_PREFIX), strict=False))
        return str(found)
