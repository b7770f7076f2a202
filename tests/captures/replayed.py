"""Recorded sessions of declared venues, given to the core connection by connection; and what a test asks of them."""

import base64
import gzip
import json
import lzma
import os
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np
import pytest

from tickcast import _native
from tickcast.model.record import Flag, Kind, State, records_from
from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.declared.venue import Listed, Venue

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("TICKCAST_CAPTURES") or ROOT.parent / "shared" / "captures")
needs_captures = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no captured data in {FOLDER}: set TICKCAST_CAPTURES")


@cache
def lines(name: str) -> tuple[dict[str, Any], ...]:
    """Records of a captured session, or of a file of single frames."""
    path = FOLDER / name
    openers: dict[str, Any] = {".xz": lzma.open, ".gz": gzip.open}
    with openers.get(path.suffix, open)(path, "rt") as file:
        return tuple(json.loads(line) for line in file)


def listed_by(venue: Venue, records: tuple[dict[str, Any], ...]) -> dict[tuple[str, str], Listed]:
    """Instruments of the recorded lists."""
    found: dict[tuple[str, str], Listed] = {}
    for record in records:
        if record["t"] == "http":
            request = Request(purpose="instruments", url=record["url"])
            found |= {(one.market, one.native): one for one in venue.listed(request, record["data"].encode())}
    return found


@dataclass
class Replayed:
    """One connection of a session, decoded frame by frame."""

    venue: Venue
    listed: dict[tuple[str, str], Listed]
    market: str = ""
    link: int = 0
    quotes: bool = False
    """Best bids and offers come from a stream of their own, and there are no books."""
    frames: int = 0
    control: int = 0
    cold: list[bytes] = field(default_factory=list)
    dead: list[tuple[str, str]] = field(default_factory=list)
    breaks: list[Any] = field(default_factory=list)
    records: list[np.ndarray] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.feed = _native.JsonFeed(msgspec.json.encode(self.venue.dialect), depth=self.venue.config.depth)
        self.natives: dict[int, tuple[str, str]] = {}
        for (market, native), one in self.listed.items():
            number = _native.instrument_id(f"{self.venue.code}:{one.symbol}")
            self.natives[number] = market, native
            has_book = one.asset_class != "index" and not self.quotes
            self.feed.define(market, native, number, book=has_book, quotes=self.quotes, state=int(one.state))
        self.feed.open_link(self.link, self.market)
        self._best: dict[int, dict[int, Decimal | None]] = defaultdict(dict)

    def id(self, native: str) -> int:
        """The record's number of an instrument of this connection's market."""
        return _native.instrument_id(f"{self.venue.code}:{self.listed[self.market, native].symbol}")

    def take(self, frame: str | bytes, ts_ns: int) -> np.ndarray:
        """Decode a frame; asserts that no live book is crossed after it."""
        raw = frame if isinstance(frame, bytes) else frame.encode()
        found = self.feed.decode(self.link, [raw], [ts_ns])
        self.frames += 1
        self.control += found.control
        self.cold += [found.unpacked.get(0, raw) for _ in found.cold]
        self.dead += [(reason, str(frame)[:200]) for _, reason in found.dead]
        self.breaks += found.breaks
        told = sum(map(len, self.records))
        self.texts |= {told + place: text for place, text in found.texts.items()}
        rows = records_from(found.records)
        self.records.append(rows)
        self._check_best(rows)
        return rows

    def _check_best(self, rows: np.ndarray) -> None:
        for row in rows[np.isin(rows["kind"], [Kind.BID, Kind.ASK])]:
            number = int(row["instrument"])
            best = self._best[number]
            best[int(row["kind"])] = None if row["flags"] & Flag.NO_PRICE else price_of(row)
            bid, ask = best.get(Kind.BID), best.get(Kind.ASK)
            if row["flags"] & Flag.LAST_OF_EVENT and bid is not None and ask is not None:
                assert bid < ask, (self.natives[number], bid, ask)
                assert self.feed.state(number) in {State.LIVE, State.UNVERIFIED}

    def rows(self, *kinds: Kind) -> np.ndarray:
        """All records of these kinds."""
        every = np.concatenate(self.records)
        return every[np.isin(every["kind"], list(kinds))]

    def trades(self, kind: Kind = Kind.TRADE) -> list[tuple[str, str, Decimal, Decimal, int, int]]:
        """Name, id or its text, price, size, side and time (ms) of each trade."""
        every = np.concatenate(self.records)
        return [
            (
                self.natives[int(row["instrument"])][1],
                self.texts.get(place) or str(int(row["id"])),
                price_of(row),
                size_of(row),
                int(row["side"]),
                int(row["ts_event"]) // 1_000_000,
            )
            for place, row in enumerate(every)
            if row["kind"] == kind
        ]

    def last(self, native: str, kind: Kind) -> Decimal | None:
        """The newest value of an instrument."""
        rows = self.rows(kind)
        rows = rows[rows["instrument"] == self.id(native)]
        return price_of(rows[-1]) if len(rows) else None


def price_of(row: Any) -> Decimal:
    return Decimal(int(row["price"])).scaleb(-int(row["price_scale"]))


def size_of(row: Any) -> Decimal:
    return Decimal(int(row["size"])).scaleb(-int(row["size_scale"]))


def replay(venue: type[Venue], name: str, *, depth: int = 0, skip: frozenset[int] = frozenset()) -> dict[str, Replayed]:
    """Decode each connection of a session on its own; ``skip`` leaves out frames by their number in it."""
    records = lines(name)
    made = venue(VenueConfig(venue=venue.code, depth=depth))
    listed = listed_by(made, records)
    found: dict[str, Replayed] = {}
    for record in records:
        if record["t"] == "connect":
            word = urlsplit(record["addr"]).path.rpartition("/")[2]
            market = word if word in made.endpoints else ""
            found[record["conn"]] = Replayed(made, listed, market=market)
        elif record["t"] == "recv":
            one = found[record["conn"]]
            if one.frames in skip:
                one.frames += 1
            else:
                one.take(payload_of(record), round(record["ts"] * 1e9))
    return found


def payload_of(record: dict[str, Any]) -> bytes:
    """What came, verbatim."""
    return base64.b64decode(record["b64"]) if "b64" in record else record["data"].encode()


def text_of(record: dict[str, Any]) -> str:
    """What came, unpacked by Python's own gzip."""
    payload = payload_of(record)
    return (gzip.decompress(payload) if payload[:2] == b"\x1f\x8b" else payload).decode()


def received(name: str, conn: str) -> list[dict[str, Any]]:
    """Frames of a connection, by plain JSON."""
    return [json.loads(text_of(one)) for one in lines(name) if one["t"] == "recv" and one["conn"] == conn]
