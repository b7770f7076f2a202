"""What the ledger is told of breaks, as the core reports them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tickcast import _native
from tickcast.model.ledger import Incident, IncidentKind
from tickcast.venues.declared.instruments import Changes, Instrument

NO_JSON: Final = ("expected JSON", "expected a gzip frame")
"""Begin the core's reasons for a frame that could not be read at all."""
KINDS: Final[Mapping[str, IncidentKind]] = {
    "chain": "gap",
    "counter": "gap",
    "overflow": "gap",
    "checksum": "checksum",
    "crossed": "crossed",
    "malformed": "damaged",
}


def of_breaks(breaks: Iterable["_native.JsonBreak"], *, link: str, times: Sequence[int], repair: str) -> list[Incident]:
    """Make one incident of each cause, with all the instruments that it concerns."""
    causes: dict[int, list[_native.JsonBreak]] = {}
    for broken in breaks:
        causes.setdefault(broken.cause, []).append(broken)
    incidents = []
    for group in causes.values():
        first = group[0]
        is_restart = first.reason in {"chain", "counter"} and 0 < first.found < first.expected
        incidents.append(
            Incident(
                kind="restart" if is_restart else KINDS[first.reason],
                scope=first.scope,
                reason=first.text,
                ts_ns=times[first.frame],
                link=link,
                channel=first.message,
                instruments=tuple(dict.fromkeys(one.instrument for one in group)),
                from_seq=max(first.expected, 0),
                to_seq=first.found - 1 if 0 < first.expected < first.found else 0,
                repair=repair,
            )
        )
    return incidents


def of_damage(dead: Iterable[tuple[int, str]], *, link: str, times: Sequence[int]) -> Incident | None:
    """Make one incident of the frames of a read that are no JSON: nobody can say what they told, or of whom."""
    found = [(place, reason) for place, reason in dead if reason.startswith(NO_JSON)]
    if not found:
        return None
    first, reason = found[0]
    count = "a frame" if len(found) == 1 else f"{len(found)} frames"
    return Incident(
        kind="damaged",
        scope="connection",
        reason=f"{count} that could not be read, and nobody knows what was told: {reason}",
        ts_ns=times[first],
        link=link,
    )


def of_listing(changes: Changes, now_ns: int) -> list[Incident]:
    """Tell what is new in the venue's list, and what has left it."""
    news: list[tuple[IncidentKind, str, Instrument]] = [("listed", "new in", one) for one in changes.new]
    news += [("delisted", "off", one) for one in changes.gone]
    return [
        Incident(
            kind=kind,
            scope="instrument",
            reason=f"{one.definition.name} is {word} the venue's list",
            ts_ns=now_ns,
            instruments=(one.id,),
        )
        for kind, word, one in news
    ]


def halt(one: Instrument, reason: str, now_ns: int) -> Incident:
    """Make the incident of a halt."""
    return Incident(kind="halt", scope="instrument", reason=reason, ts_ns=now_ns, instruments=(one.id,))
