"""Books of a captured session as far as it has been played, so that a snapshot always fits the next frames."""

from math import gcd
from typing import Any

import msgspec

from tickcast.sim.binance.dialect import symbol_entry
from tickcast.sim.recorded.files import BinanceCapture, Frame
from tickcast.sim.universe import UNIT

_Levels = list[tuple[str, str]]


class _Snapshot(msgspec.Struct):
    lastUpdateId: int  # noqa: N815  the venue's name
    bids: _Levels
    asks: _Levels


class _Update(msgspec.Struct):
    s: str
    U: int
    u: int
    b: _Levels
    a: _Levels


class _Combined(msgspec.Struct):
    data: _Update


class PlayedBook:
    """One symbol: the recorded snapshot, and the played updates on top of it once they pass it."""

    def __init__(self, recorded: bytes) -> None:
        self.recorded = recorded
        snapshot = msgspec.json.decode(recorded, type=_Snapshot)
        self.update_id = snapshot.lastUpdateId
        self.moved = False
        self.bids = dict(snapshot.bids)
        self.asks = dict(snapshot.asks)

    def apply(self, update: _Update) -> None:
        """Apply one played update; those the snapshot already holds change nothing."""
        if update.u <= self.update_id:
            return
        for side, levels in ((self.bids, update.b), (self.asks, update.a)):
            for price, size in levels:
                if float(size):
                    side[price] = size
                else:
                    side.pop(price, None)
        self.update_id = update.u
        self.moved = True

    def body(self, limit: int) -> bytes:
        """Answer ``depth``: the recorded one, verbatim, while it fits, then the book as played."""
        if not self.moved and limit >= max(len(self.bids), len(self.asks)):
            return self.recorded
        bids = sorted(self.bids.items(), key=lambda level: -float(level[0]))[:limit]
        asks = sorted(self.asks.items(), key=lambda level: float(level[0]))[:limit]
        return msgspec.json.encode({"lastUpdateId": self.update_id, "bids": bids, "asks": asks})


class RecordedRest:
    """Answers REST for a capture; a source for the REST server."""

    def __init__(self, capture: BinanceCapture) -> None:
        self._capture = capture
        self._decoder = msgspec.json.Decoder(_Combined)
        self.books: dict[str, PlayedBook] = {}
        self._symbols = capture.exchange_symbols or _symbols_of(capture)
        self.restart()

    def restart(self) -> None:
        """Begin a pass: books as first recorded."""
        self.books = {symbol: PlayedBook(bodies[0]) for symbol, bodies in self._capture.snapshots.items()}

    def played(self, frame: Frame) -> None:
        """Note a frame that went out."""
        if "@depth" in frame.stream and frame.raw.startswith(b'{"e":"depthUpdate"'):
            update = self._decoder.decode(frame.combined).data
            book = self.books.get(update.s)
            if book is not None:
                book.apply(update)

    def exchange_symbols(self) -> list[dict[str, Any]]:
        """Entries of ``exchangeInfo``: recorded, or made from the symbols and the steps seen in their books."""
        return self._symbols

    def depth(self, symbol: str, limit: int) -> bytes | None:
        """The book that fits what comes next."""
        book = self.books.get(symbol)
        return None if book is None else book.body(limit)

    def aggregates(self, symbol: str, *, from_id: int | None, limit: int) -> bytes | None:
        """Nothing was recorded of this endpoint: an empty list for the symbols there are."""
        del from_id, limit
        return b"[]" if symbol in self.books else None

    def older(self, symbol: str, *, from_id: int | None, limit: int) -> bytes | None:
        """Nothing was recorded of this one either."""
        return self.aggregates(symbol, from_id=from_id, limit=limit)


def _units(text: str) -> int:
    whole, _, part = text.partition(".")
    return int(whole) * UNIT + int(part[:8].ljust(8, "0") or "0")


def _symbols_of(capture: BinanceCapture) -> list[dict[str, Any]]:
    entries = []
    for symbol, (base, quote) in capture.pairs.items():
        tick = lot = 0
        for body in capture.snapshots.get(symbol, [])[:1]:
            snapshot = msgspec.json.decode(body, type=_Snapshot)
            for price, size in [*snapshot.bids, *snapshot.asks]:
                tick, lot = gcd(tick, _units(price)), gcd(lot, _units(size))
        entries.append(symbol_entry(base, quote, tick=tick or 1, lot=lot or 1))
    return entries
