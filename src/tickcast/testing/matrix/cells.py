"""The cells of the matrix: which faults each exchange gets, made from what its gate says that it supports."""

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

STALL_S: Final = 8.0
"""Longer than a feed may be silent (``stale_after_s``)."""
STOPPED_S: Final = 8.0

BURSTS: Final[Mapping[str, dict[str, Any]]] = {
    "drop": {"count": 30},
    "duplicate": {"count": 30},
    "reorder": {"count": 10},
    "delay": {"for_s": 3.0, "delay_ms": 700.0},
    "corrupt": {"count": 3},
    "truncate": {"count": 1},
    "stall": {"for_s": STALL_S},
    "disconnect": {"for_s": 2.0},
    "restart": {},
    "refuse_login": {"count": 2},
    "throttle": {"count": 2, "delay_ms": 1000.0},
}
"""How much of a fault a cell has; of streams a burst, since one packet more or less may touch nothing that is shown."""
SIDES: Final = frozenset({"rest", "rerequest", "gap", "spin"})
"""Lines that carry answers to requests: they matter when something is missing, so something is made to."""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One fault at one venue, or one signal to one process."""

    venue: str
    """Venue, or name of a process that serves all venues."""
    name: str
    faults: tuple[dict[str, Any], ...] = ()
    """Bodies of ``POST /faults/{venue}``, armed one after the other."""
    signal: str = ""
    """``kill`` or ``stop`` in place of faults; ``cut``: the links of the owner to its gateway workers end."""
    may_stay: bool = False
    """What is lost cannot be had again: to say so, and not to be live, is right. A restart of the exchange ends it."""

    @property
    def lasts_s(self) -> float:
        """How long the fault itself may take."""
        return max((float(one.get("for_s") or 0) for one in self.faults), default=0.0)


def venue_cells(venue: str, gate: Mapping[str, Any]) -> list[Cell]:
    """Cells of one venue: each verb on all lines, some on one line only, those of answers with a loss beside them."""
    verbs, lines = list(gate["supports"]), list(gate["lines"])
    sides = [line for line in lines if line in SIDES]
    feeds = _families(lines)
    polled = "reorder" not in verbs
    cells = []
    for verb in verbs:
        if verb == "clock":
            cells += [
                Cell(
                    venue=venue,
                    name=f"clock an hour {word}",
                    faults=({"fault": "clock", "offset_s": offset_s, "for_s": 4.0},),
                )
                for word, offset_s in (("fast", 3600.0), ("slow", -3600.0))
            ]
            continue
        fault = {"fault": verb, **BURSTS[verb]}
        if polled and "count" in fault:  # each answer that goes wrong is waited out
            fault["count"] = min(fault["count"], 3)
        again = _again(verb, verbs, sides)
        cells.append(Cell(venue=venue, name=verb, faults=(fault, *again)))
        if len(feeds) > 1 and verb in {"drop", "delay", "stall", "corrupt", "reorder"}:
            cells.append(Cell(venue=venue, name=f"{verb} on {feeds[0]}", faults=({**fault, "line": feeds[0]},)))
    for side in sides:
        cells += _side_cells(venue, side, feeds, verbs)
    return cells


def _families(lines: Sequence[str]) -> list[str]:
    """Lines of packets, without their units and without those that only carry what was asked for."""
    names = dict.fromkeys(line.partition("/")[0] for line in lines)
    return [name for name in names if name not in SIDES and not name.startswith("gap_")]


def _again(verb: str, verbs: Sequence[str], sides: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """What makes the client log in, or ask, so that the fault is met at all."""
    if verb not in {"refuse_login", "throttle"}:
        return ()
    again: tuple[dict[str, Any], ...] = ({"fault": "disconnect"},) if "disconnect" in verbs else ()
    if sides and "rest" not in sides:
        again += ({"fault": "drop", "count": 30},)
    return again


def _side_cells(venue: str, side: str, feeds: Sequence[str], verbs: Sequence[str]) -> list[Cell]:
    """Something is missing, and what should bring it is faulty as well."""
    missing: tuple[dict[str, Any], ...] = ({"fault": "restart"},)
    if len(feeds) > 1:
        missing = tuple({"fault": "drop", "line": line, "count": 20} for line in feeds)
    elif "disconnect" in verbs:
        missing = tuple({"fault": "disconnect", "line": line} for line in feeds)
    counts = {"drop": 2, "duplicate": 3, "corrupt": 2, "truncate": 2}
    bodies = [{"fault": verb, "line": side, "count": count} for verb, count in counts.items() if verb in verbs]
    if "stall" in verbs:
        bodies.append({"fault": "stall", "line": side, "for_s": 4.0})
    return [
        Cell(
            venue=venue,
            name=f"{body['fault']} on {side}",
            faults=(body, *missing),
            # a re-request server that never answers is the end: MoldUDP64 has no image of the books
            may_stay=side == "rerequest" and body["fault"] == "stall",
        )
        for body in bodies
    ]


def process_cells(feeds: Mapping[str, str]) -> list[Cell]:
    """Kill and stop each feed; ``feeds`` is venue to process name."""
    return [
        Cell(venue=venue, name=f"{signal} feed {name}", signal=signal)
        for venue, name in sorted(feeds.items())
        for signal in ("kill", "stop")
    ]


def common_cells() -> list[Cell]:
    """Kill and stop what serves all venues; each takes a round of its own."""
    return [
        Cell(venue=name, name=f"{signal} {name}", signal=signal)
        for name in ("core", "sim", "supervisor")
        for signal in ("kill", "stop")
    ]


def worker_cells(*, can_cut: bool) -> list[Cell]:
    """Kill and stop a gateway worker, and the owner whose state the workers mirror, and cut the links between them.

    Each is a round of its own. ``can_cut``: the machine lets somebody cut links of other processes.
    """
    cut = [Cell(venue="core", name="links from owner to workers cut", signal="cut")] if can_cut else []
    return [
        *cut,
        Cell(venue="gateway1", name="gateway worker killed", signal="kill"),
        Cell(venue="gateway1", name="gateway worker stopped (SIGSTOP)", signal="stop"),
        Cell(venue="core", name="owner killed with workers", signal="kill"),
        Cell(venue="core", name="owner stopped with workers", signal="stop"),
    ]


def rounds(cells: Mapping[str, Sequence[Cell]], *, seed: int, venues: int) -> list[list[Cell]]:
    """Put cells of different venues together; of ``venues`` in all, at least half are witnesses in each round."""
    chance = random.Random(f"matrix:{seed}")
    waiting = {venue: list(listed) for venue, listed in cells.items()}
    for listed in waiting.values():
        chance.shuffle(listed)
    at_once = max(1, venues // 2)
    planned = []
    while any(waiting.values()):
        # the longest first, so that the last rounds are not of one venue alone
        order = sorted((venue for venue in waiting if waiting[venue]), key=lambda venue: -len(waiting[venue]))
        planned.append([waiting[venue].pop() for venue in order[:at_once]])
    return planned


def some(exchanges: Sequence[str], *, seed: int, count: int) -> list[str]:
    """Choose some exchanges, others with another seed, in the order in which they stand."""
    chosen = random.Random(f"exchanges:{seed}").sample(list(exchanges), min(count, len(exchanges)))
    return [name for name in exchanges if name in chosen]


def sample(cells: Mapping[str, Sequence[Cell]], *, seed: int, each: int) -> dict[str, list[Cell]]:
    """Some cells of each venue, others with another seed; short ones, for the quick form."""
    chance = random.Random(f"sample:{seed}")
    short = {
        venue: [one for one in listed if one.lasts_s <= 4.0 and one.signal != "stop"] for venue, listed in cells.items()
    }
    return {venue: chance.sample(listed, min(each, len(listed))) for venue, listed in short.items()}
