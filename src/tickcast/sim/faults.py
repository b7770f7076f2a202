"""Faults on demand: the gate between a simulated exchange and its wire.

Every dialect has a :class:`FaultGate` and passes what it sends through it, in the protocol's own units: SoupBinTCP
packets, WebSocket frames, REST answers, datagrams, FIX messages. Nothing armed, nothing done: the units come back as
they are. What is armed comes from the control endpoint (``POST /faults/{venue}``, ``tickcast sim fault``), and is
deterministic: the same seed and the same units give the same faults.

A *line* names the path of a unit where a venue has several (``A`` and ``B``, ``ws`` and ``rest``, ``gap``); a fault for
``A`` also takes ``A/1``. A *peer* is whoever receives, where every connection has an order of its own.

``corrupt`` flips the top bit of the first byte of a unit's body and of up to three of the four bytes behind it, which
belong to the same message: what else is in a datagram stays as it is. Where a protocol has no
checksum of its own (TCP and UDP have one) a change that leaves a message plausible cannot be noticed by anybody; the
first byte is a message type or an opening brace, so that this one can.
"""

import random
from collections.abc import Callable, Hashable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any, Final

import msgspec

from tickcast.model.errors import UsageError
from tickcast.model.fault import Fault, Verb
from tickcast.ports import Clock
from tickcast.runtime import clock

__all__ = ["HELD_BYTES_MAX", "REORDER_MAX_NS", "VERBS", "Fault", "FaultGate", "Verb", "VerbInfo"]

HELD_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes that delays and stalls may hold back, over all lines of a gate."""

REORDER_MAX_NS: Final = 1_000_000_000
"""A reordered unit waits this long for one to go before it."""


class VerbInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a verb does, and how long when it is not told."""

    meaning: str
    parameters: tuple[str, ...]
    """Of :class:`Fault`, besides ``fault`` and ``line``."""
    count: int | None = None
    for_s: float | None = None
    delay_ms: float = 0.0


_UNITS: Final = ("count", "for_s", "every")
VERBS: Final[Mapping[Verb, VerbInfo]] = {
    "drop": VerbInfo(meaning="units are not sent", parameters=_UNITS, count=1),
    "duplicate": VerbInfo(meaning="units are sent twice", parameters=_UNITS, count=1),
    "reorder": VerbInfo(meaning="a unit is sent after the one behind it", parameters=_UNITS, count=1),
    "delay": VerbInfo(
        meaning="units are sent delay_ms late", parameters=(*_UNITS, "delay_ms"), for_s=5.0, delay_ms=200.0
    ),
    "corrupt": VerbInfo(meaning="bits of a unit's body are flipped", parameters=_UNITS, count=1),
    "truncate": VerbInfo(meaning="the second half of a unit is missing", parameters=_UNITS, count=1),
    "stall": VerbInfo(meaning="nothing is sent, nothing is closed", parameters=("for_s",), for_s=5.0),
    "disconnect": VerbInfo(
        meaning="connections are cut; with for_s new ones are cut too until then", parameters=("for_s",)
    ),
    "restart": VerbInfo(meaning="the exchange begins anew with lower sequence numbers", parameters=()),
    "clock": VerbInfo(
        meaning="times are offset_s ahead (behind when negative), until cleared or for for_s",
        parameters=("offset_s", "for_s"),
    ),
    "refuse_login": VerbInfo(meaning="logins are refused", parameters=_UNITS, count=3),
    "throttle": VerbInfo(
        meaning="requests are answered with 429, and Retry-After of delay_ms",
        parameters=(*_UNITS, "delay_ms"), count=3, delay_ms=1000.0,
    ),
}  # fmt: skip
"""All verbs. Without ``count`` and ``for_s`` a fault lasts as long as the defaults here say."""

_TOUCHES_UNITS: Final[tuple[Verb, ...]] = ("drop", "duplicate", "reorder", "delay", "corrupt", "truncate", "stall")


class _Armed:
    """A fault and what is left of it."""

    __slots__ = ("fault", "fired", "left", "until_ns")

    def __init__(self, fault: Fault, now_ns: int) -> None:
        info = VERBS[fault.fault]
        bounded = fault.count is not None or fault.for_s is not None
        for_s = fault.for_s if bounded else info.for_s
        self.fault = fault
        self.left = fault.count if bounded else info.count
        self.until_ns = None if for_s is None else now_ns + round(for_s * 1e9)
        self.fired = 0

    def over(self, now_ns: int) -> bool:
        return self.left == 0 or (self.until_ns is not None and now_ns >= self.until_ns)

    def takes(self, line: str) -> bool:
        wanted = self.fault.line
        return not wanted or line == wanted or line.startswith(wanted + "/")


class _Path:
    """What is held back on the way to one peer."""

    __slots__ = ("behind", "behind_until_ns", "due_ns", "ordered", "waiting")

    def __init__(self, *, ordered: bool) -> None:
        self.ordered = ordered
        self.behind: list[bytes] = []  # reordered: goes out after the next unit
        self.waiting: list[tuple[int, int, bytes]] = []  # due, number, unit
        self.due_ns = self.behind_until_ns = 0


class FaultGate:
    """Makes faults of what is armed, counts what fired. Synchronous; bounded in what it holds back."""

    def __init__(
        self,
        *,
        seed: int | str = 0,
        now_ns: Clock = clock.now_ns,
        supports: Mapping[Verb, str] | None = None,
        lines: Sequence[str] = (),
        body: Callable[[bytes], int] | int = 0,
        ordered: bool = True,
        held_bytes_max: int = HELD_BYTES_MAX,
    ) -> None:
        """Arm nothing.

        Args:
            seed: same seed, same choices.
            now_ns: time of the limits.
            supports: verb to what it means at this venue; default all verbs, as :data:`VERBS` says.
            lines: names of the venue's lines, for those who ask.
            body: where a unit's body begins, or a function of the unit that says so.
            ordered: True for streams (what is behind a late unit waits for it), False for datagrams; what goes to a
                peer is a stream anyhow.
            held_bytes_max: what cannot be held any more is lost and, on a stream, ends the connection.
        """
        self.supports: Final[Mapping[Verb, str]] = supports or {verb: info.meaning for verb, info in VERBS.items()}
        self.lines: Final = tuple(lines)
        self.fired: Final[dict[Verb, int]] = dict.fromkeys(self.supports, 0)
        self.overflow = 0
        self.held_bytes = 0
        self.on_disconnect: Callable[[str], None] = _nothing
        """Cut the connections of a line ("" = all)."""
        self.on_restart: Callable[[], None] = _nothing_at_all
        """Begin anew with lower sequence numbers."""
        self._armed: list[_Armed] = []
        self._paths: dict[tuple[str, Hashable], _Path] = {}
        self._busy = False
        self._number = 0
        self._body = body
        self._ordered = ordered
        self._held_bytes_max = held_bytes_max
        self._now_ns = now_ns
        self._random = random.Random(f"faults:{seed}")

    # ------------------------------------------------------------------ control

    def arm(self, fault: Fault) -> None:
        """Arm a fault; ``disconnect`` and ``restart`` happen at once.

        Raises:
            UsageError: the venue does not have this fault or this line, or the verb not this parameter.
        """
        self._check(fault)
        now = self._now_ns()
        self._prune(now)
        if fault.fault == "restart":
            self.fired["restart"] += 1
            self.on_restart()
            return
        if fault.fault == "disconnect":
            self.fired["disconnect"] += 1
            if fault.for_s is not None:
                self._armed.append(_Armed(fault, now))
            self.on_disconnect(fault.line)
            return
        if fault.fault == "clock":
            self._armed = [one for one in self._armed if one.fault.fault != "clock"]
            self.fired["clock"] += 1
        self._armed.append(_Armed(fault, now))
        self._busy = self._busy or fault.fault in _TOUCHES_UNITS

    def clear(self) -> None:
        """Disarm everything; what is held back goes out with the next units."""
        self._armed.clear()
        for path in self._paths.values():
            path.waiting = [(0, number, unit) for _, number, unit in sorted(path.waiting)]
            path.due_ns = path.behind_until_ns = 0

    def state(self) -> dict[str, Any]:
        """Verbs, what is armed and how often each fired, for the control endpoint."""
        now = self._now_ns()
        self._prune(now)
        armed = [
            {
                **msgspec.to_builtins(one.fault),
                "fired": one.fired,
                "left": one.left,
                "left_s": None if one.until_ns is None else round((one.until_ns - now) / 1e9, 3),
            }
            for one in self._armed
        ]
        return {
            "supports": dict(self.supports),
            "lines": list(self.lines),
            "armed": armed,
            "fired": dict(self.fired),
            "held_bytes": self.held_bytes,
            "overflow": self.overflow,
        }

    def _check(self, fault: Fault) -> None:
        if fault.fault not in self.supports:
            raise UsageError(f"expected a fault of {', '.join(self.supports)}, found {fault.fault}; nothing armed")
        known = {"", *self.lines}
        if fault.line not in known and not any(line.startswith(fault.line + "/") for line in known):
            raise UsageError(f"expected a line of {', '.join(self.lines) or 'none'}, found {fault.line}; nothing armed")
        given = msgspec.to_builtins(fault).keys() - {"fault", "line"}
        allowed = VERBS[fault.fault].parameters
        if wrong := sorted(given - set(allowed)):
            raise UsageError(
                f"{fault.fault}: expected parameters of {', '.join(allowed) or 'none'}, found {', '.join(wrong)};"
                " nothing armed"
            )

    # ------------------------------------------------------------------ for dialects

    def pass_units(self, units: Sequence[bytes], line: str = "", peer: Hashable = None) -> Sequence[bytes]:
        """Return what goes on the wire now: ``units`` itself while nothing is armed.

        Does drop, duplicate, reorder, delay, corrupt, truncate and stall. What is held back comes out of a later call
        with the same line and peer: while :attr:`busy`, call every slice, with no units if there are none.
        """
        return self._pass(units, line, peer) if self._busy else units

    @property
    def busy(self) -> bool:
        """Whether :meth:`pass_units` has anything to do; else it returns what it is given."""
        return self._busy

    def forget(self, peer: Hashable) -> None:
        """Forget what is held back for a peer that has gone."""
        for key in [key for key in self._paths if key[1] == peer]:
            path = self._paths.pop(key)
            self.held_bytes -= sum(len(unit) for _, _, unit in path.waiting) + sum(map(len, path.behind))

    def fire(self, verb: Verb, line: str = "") -> Fault | None:
        """Whether a fault hits the next unit of a line; counts it. For what is not a unit of :meth:`pass_units`."""
        return self._fire(verb, line, self._now_ns()) if self._armed else None

    def delay_s(self, line: str = "") -> float:
        """How late the next answer is to be sent, for servers that answer requests."""
        fault = self.fire("delay", line)
        return 0.0 if fault is None else _delay_ms(fault) / 1000

    def stalled(self, line: str = "") -> bool:
        """Whether nothing is to be sent now, for servers that can hold back by themselves."""
        return bool(self._armed) and self._stalled(line, self._now_ns())

    @property
    def clock_offset_ns(self) -> int:
        """Add this to every time that is sent."""
        if not self._armed:
            return 0
        now = self._now_ns()
        found = (one for one in self._armed if one.fault.fault == "clock" and not one.over(now))
        return next((round(one.fault.offset_s * 1e9) for one in found), 0)

    def refuses_login(self, line: str = "") -> bool:
        """Whether to refuse this login."""
        return self.fire("refuse_login", line) is not None

    def refuses_connection(self, line: str = "") -> bool:
        """Whether to cut this new connection: a disconnect that lasts."""
        return self.fire("disconnect", line) is not None

    def throttles(self, line: str = "") -> float | None:
        """Retry-After in seconds when this request is to be answered with 429."""
        fault = self.fire("throttle", line)
        return None if fault is None else max(-(-_delay_ms(fault) // 1000), 1.0)

    def spoil(self, unit: bytes) -> bytes:
        """Flip bits in a unit's body."""
        start = self._body(unit) if callable(self._body) else self._body
        if start >= len(unit):
            return unit
        spoilt = bytearray(unit)
        near = range(start, min(start + 5, len(unit)))
        others = self._random.sample(near, min(3, len(near)))
        for place in {start, *others}:
            spoilt[place] ^= 0x80
        return bytes(spoilt)

    @staticmethod
    def cut(unit: bytes) -> bytes:
        """Return the first half of a unit."""
        return unit[: len(unit) // 2]

    # ------------------------------------------------------------------ inside

    def _pass(self, units: Sequence[bytes], line: str, peer: Hashable) -> list[bytes]:
        now = self._now_ns()
        self._prune(now)
        path = self._paths.get((line, peer))
        if path is None:
            # a peer is a connection: what goes to it keeps its order, also at a venue whose lines are datagrams
            path = self._paths[line, peer] = _Path(ordered=self._ordered or peer is not None)
        for unit in units:
            self._take(path, unit, line, now)
        sent = []
        if not self._stalled(line, now):
            while path.waiting and path.waiting[0][0] <= now:
                unit = heappop(path.waiting)[2]
                self.held_bytes -= len(unit)
                sent.append(unit)
        self._prune(now)
        touching = any(one.fault.fault in _TOUCHES_UNITS for one in self._armed)
        if path.behind and now >= path.behind_until_ns:
            sent += path.behind
            self.held_bytes -= sum(map(len, path.behind))
            path.behind = []
        if not path.waiting and not path.behind:
            self._paths.pop((line, peer), None)
        self._busy = touching or bool(self._paths)
        return sent

    def _take(self, path: _Path, unit: bytes, line: str, now: int) -> None:
        if self._fire("drop", line, now):
            return
        if self._fire("corrupt", line, now):
            unit = self.spoil(unit)
        if self._fire("truncate", line, now):
            unit = self.cut(unit)
        copies = 2 if self._fire("duplicate", line, now) else 1
        if not path.behind and self._fire("reorder", line, now):
            path.behind = [unit] * copies
            path.behind_until_ns = now + REORDER_MAX_NS
            self.held_bytes += copies * len(unit)
            return
        delayed = self._fire("delay", line, now)
        due = now if delayed is None else now + round(_delay_ms(delayed) * 1e6)
        late, path.behind = path.behind, []
        self.held_bytes -= sum(map(len, late))
        for each in (*[unit] * copies, *late):
            self._hold(path, each, due, line)

    def _hold(self, path: _Path, unit: bytes, due: int, line: str) -> None:
        if path.ordered:
            due = path.due_ns = max(due, path.due_ns)
        if self.held_bytes + len(unit) > self._held_bytes_max:
            self.overflow += 1
            if path.ordered:
                self.on_disconnect(line)
            return
        self._number += 1
        self.held_bytes += len(unit)
        heappush(path.waiting, (due, self._number, unit))

    def _fire(self, verb: Verb, line: str, now: int) -> Fault | None:
        for one in self._armed:
            fault = one.fault
            if fault.fault != verb or one.over(now) or not one.takes(line):
                continue
            if fault.every > 1 and self._random.randrange(fault.every):
                continue
            one.fired += 1
            self.fired[verb] += 1
            if one.left is not None:
                one.left -= 1
            return fault
        return None

    def _stalled(self, line: str, now: int) -> bool:
        for one in self._armed:
            if one.fault.fault == "stall" and one.takes(line) and not one.over(now):
                if not one.fired:
                    one.fired = 1
                    self.fired["stall"] += 1
                return True
        return False

    def _prune(self, now: int) -> None:
        if any(one.over(now) for one in self._armed):
            self._armed = [one for one in self._armed if not one.over(now)]


def _delay_ms(fault: Fault) -> float:
    return VERBS[fault.fault].delay_ms if fault.delay_ms is None else fault.delay_ms


def _nothing(line: str) -> None:
    del line


def _nothing_at_all() -> None:
    pass
