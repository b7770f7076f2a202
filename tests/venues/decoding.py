"""Records in a form that tests can compare."""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from tickcast.model.record import Flag, Kind, State, records_from


class Row(NamedTuple):
    """A record, as people read it."""

    kind: Kind
    price: Decimal | None
    size: Decimal | None
    side: int
    seq: int
    ident: int
    last: bool
    flags: Flag
    detail: int
    ts_event: int
    ts_recv: int
    instrument: int


def rows(parts: Iterable[bytes] | bytes) -> list[Row]:
    """Read records."""
    data = parts if isinstance(parts, bytes) else b"".join(parts)
    out = []
    for record in records_from(data):
        flags = Flag(int(record["flags"]))
        out.append(
            Row(
                kind=Kind(int(record["kind"])),
                price=None
                if flags & Flag.NO_PRICE
                else Decimal(int(record["price"])).scaleb(-int(record["price_scale"])),
                size=None if flags & Flag.NO_SIZE else Decimal(int(record["size"])).scaleb(-int(record["size_scale"])),
                side=int(record["side"]),
                seq=int(record["seq"]),
                ident=int(record["id"]),
                last=bool(flags & Flag.LAST_OF_EVENT),
                flags=flags,
                detail=int(record["detail"]),
                ts_event=int(record["ts_event"]),
                ts_recv=int(record["ts_recv"]),
                instrument=int(record["instrument"]),
            )
        )
    return out


def states(parts: Iterable[bytes]) -> list[State]:
    """States said by status records, in order."""
    return [State(row.detail) for row in rows(parts) if row.kind == Kind.STATUS]
