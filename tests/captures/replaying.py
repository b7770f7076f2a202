"""A recorded WebSocket session through the core's JSON feed, as a session would drive it; rows as plain values."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import numpy as np

from tickcast import _native
from tickcast.model.record import Flag, Kind, Side, State, records_from
from tickcast.venues.declared.venue import Happening, Listed, Venue


class Row(NamedTuple):
    """A record that says something of an instrument."""

    symbol: str
    kind: Kind
    id: int
    price: Decimal | None
    size: Decimal | None
    side: Side
    ts_event: int
    flags: Flag
    detail: int
    frame: int
    """Which frame of the session brought it."""


@dataclass
class Replay:
    """What came of a session."""

    feed: "_native.JsonFeed"
    symbols: dict[int, str]
    rows: list[Row] = field(default_factory=list)
    cold: list[Happening] = field(default_factory=list)
    dead: list[tuple[str, bytes]] = field(default_factory=list)
    breaks: list[Any] = field(default_factory=list)
    frames: int = 0

    def of(self, *kinds: Kind) -> list[Row]:
        return [row for row in self.rows if row.kind in kinds]

    def states(self, symbol: str) -> list[State]:
        return [State(row.detail) for row in self.rows if row.kind is Kind.STATUS and row.symbol == symbol]

    def book(self, symbol: str) -> tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]:
        (instrument,) = (one for one, name in self.symbols.items() if name == symbol)
        bids, asks = self.feed.book(instrument, 1_000_000)
        return tuple({Decimal(price): Decimal(size) for price, size in side} for side in (bids, asks))  # type: ignore[return-value]


def replay(
    venue: Venue, listed: Iterable[Listed], frames: Sequence[tuple[str, bytes, int]], *, quotes: bool = False
) -> Replay:
    """Decode frames one by one: connection, bytes, time of receipt in ns."""
    feed = _native.JsonFeed(msgspec.json.encode(venue.dialect))
    found = Replay(feed, {})
    for one in listed:
        instrument = _native.instrument_id(f"{venue.code}:{one.symbol}")
        found.symbols[instrument] = one.symbol
        for name in (one.native, *one.also):
            feed.define(one.market, name, instrument, book=True, quotes=quotes, state=int(one.state))
    links: dict[str, int] = {}
    for place, (connection, frame, ts_recv) in enumerate(frames):
        if connection not in links:
            links[connection] = len(links)
            feed.open_link(links[connection], "")
        decoded = feed.decode(links[connection], [frame], [ts_recv])
        found.rows += [_row(found.symbols, record, place) for record in records_from(decoded.records)]
        for _ in decoded.cold:
            found.cold += venue.cold(frame, "")
        found.dead += [(reason, frame) for _, reason in decoded.dead]
        found.breaks += decoded.breaks
    found.frames = len(frames)
    return found


def received(session: Iterable[dict[str, Any]]) -> list[tuple[str, bytes, int]]:
    """Frames of a recorded session."""
    return [
        (one["conn"], one["data"].encode(), int(Decimal(str(one["ts"])) * 1_000_000_000))
        for one in session
        if one["t"] == "recv"
    ]


def _row(symbols: dict[int, str], record: np.void, frame: int) -> Row:
    flags = Flag(int(record["flags"]))
    price = None if flags & Flag.NO_PRICE else Decimal(int(record["price"])).scaleb(-int(record["price_scale"]))
    size = None if flags & Flag.NO_SIZE else Decimal(int(record["size"])).scaleb(-int(record["size_scale"]))
    return Row(
        symbol=symbols[int(record["instrument"])],
        kind=Kind(int(record["kind"])),
        id=int(record["id"]),
        price=price,
        size=size,
        side=Side(int(record["side"])),
        ts_event=int(record["ts_event"]),
        flags=flags,
        detail=int(record["detail"]),
        frame=frame,
    )
