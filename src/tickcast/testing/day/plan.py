"""What happens on a day: which faults at which venue and when, and when the market is busy. Pure, by the seed.

Each venue goes through all its verbs in an order of its own, again and again, at random times; some venues are left in
peace all day and witness that a fault of one venue is nobody else's business.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from tickcast.testing.matrix.cells import BURSTS

QUIET_PART: Final = 5
"""One in so many venues is left in peace, at least one of three."""
NOT_OVER_REST: Final = frozenset({"reorder", "refuse_login", "restart", "clock", "throttle"})
"""Verbs that have no line, or mean nothing over REST."""
CLOCK: Final = {"for_s": 4.0}
OFFSETS_S: Final = (3600.0, -3600.0, 7.0, -7.0)
LONG_MAX_S: Final = 6.0
"""A day is short: what lasts, lasts no longer than this."""


class Strike(msgspec.Struct, frozen=True, kw_only=True):
    """One fault at one venue."""

    at_s: float
    venue: str
    fault: dict[str, Any]
    """Body of ``POST /faults/{venue}``."""


class Burst(msgspec.Struct, frozen=True, kw_only=True):
    """A venue is busy for a while."""

    at_s: float
    until_s: float
    venue: str
    times: float


def witnesses(venues: Sequence[str], *, seed: int) -> list[str]:
    """Choose venues that are left in peace."""
    count = max(len(venues) // QUIET_PART, 1) if len(venues) > 2 else 0
    return sorted(random.Random(f"witnesses:{seed}").sample(sorted(venues), count))


def strikes(
    gates: Mapping[str, Mapping[str, Any]], spared: Sequence[str], *, seed: int, until_s: float, every_s: float
) -> list[Strike]:
    """Plan the faults of all venues but the spared, in the order of time; ``gates`` say what each venue supports."""
    planned: list[Strike] = []
    for venue, gate in sorted(gates.items()):
        if venue in spared:
            continue
        chance = random.Random(f"day:{seed}:{venue}")
        verbs: list[str] = []
        at_s = chance.uniform(0, every_s)
        while at_s < until_s:
            if not verbs:
                verbs = sorted(gate["supports"])
                chance.shuffle(verbs)
            verb = verbs.pop()
            planned.append(Strike(at_s=round(at_s, 3), venue=venue, fault=_body(verb, gate["lines"], chance)))
            at_s += chance.expovariate(1 / every_s)
    return sorted(planned, key=lambda one: (one.at_s, one.venue))


def _body(verb: str, lines: Sequence[str], chance: random.Random) -> dict[str, Any]:
    if verb == "clock":
        return {"fault": verb, "offset_s": chance.choice(OFFSETS_S), **CLOCK}
    body: dict[str, Any] = {"fault": verb, **BURSTS[verb]}
    if "count" in body:
        body["count"] = chance.randint(1, body["count"])
    if "for_s" in body:
        body["for_s"] = round(chance.uniform(0.5, LONG_MAX_S), 1)
    if verb not in NOT_OVER_REST and lines and chance.random() < 0.6:
        body["line"] = chance.choice(sorted(lines))
    if body.get("line") == "rest" and "count" in body:
        body["count"] = min(body["count"], 3)  # each answer that goes wrong is waited out
    return body


def bursts(venues: Sequence[str], *, seed: int, until_s: float, every_s: float) -> list[Burst]:
    """Plan when which venue is busy: three to ten times its rate, for some seconds."""
    planned = []
    for venue in sorted(venues):
        chance = random.Random(f"bursts:{seed}:{venue}")
        at_s = chance.uniform(0, every_s)
        while at_s < until_s:
            end_s = at_s + chance.uniform(2.0, 8.0)
            times = round(chance.uniform(3.0, 10.0), 1)
            planned.append(Burst(at_s=round(at_s, 3), until_s=round(min(end_s, until_s), 3), venue=venue, times=times))
            at_s = end_s + chance.expovariate(1 / every_s)
    return sorted(planned, key=lambda one: (one.at_s, one.venue))


def some(venues: Sequence[str], *, seed: int, count: int) -> list[str]:
    """Choose some venues, others with another seed, in the order in which they stand."""
    chosen = random.Random(f"venues:{seed}").sample(list(venues), min(count, len(venues)))
    return [name for name in venues if name in chosen]


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One client: how it is spoken to, and what it watches."""

    codec: str
    channel: str
    rate: float
    symbols: tuple[str, ...]
    terms: dict[str, Any]
    """What else its request says."""


CODECS: Final = ("json", "msgpack", "compact", "proto")
CHANNELS: Final[Sequence[tuple[str, tuple[float, ...], dict[str, Any]]]] = (
    ("price", (0.0, 1.0, 5.0), {}),
    ("trades", (0.0,), {}),
    ("book", (1.0, 5.0), {"depth": 10}),
    ("bars", (1.0,), {"interval": "1s"}),
    ("book", (1.0,), {"depth": 5}),
)


def crowd(symbols: Sequence[str], count: int, *, seed: int, each: int) -> list[Member]:
    """Plan the clients: every codec with every channel in turn; together they watch every symbol."""
    chance = random.Random(f"crowd:{seed}")
    order: list[str] = []
    members = []
    for number in range(count):
        channel, rates, terms = CHANNELS[number // len(CODECS) % len(CHANNELS)]
        while len(order) < each:
            fresh = list(symbols)
            chance.shuffle(fresh)
            order += fresh
        mine, order = order[:each], order[each:]
        members.append(
            Member(
                codec=CODECS[number % len(CODECS)],
                channel=channel,
                rate=chance.choice(rates),
                symbols=tuple(dict.fromkeys(mine)),
                terms=terms,
            )
        )
    return members
