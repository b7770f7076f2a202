"""Channel ``book`` from the client's side: a snapshot, then levels by price, proved by digests."""

import zlib
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from tickcast.client.channel import LOST, ChannelSession, decimal

Side = tuple[tuple[Decimal, Decimal], ...]
"""Price and size of each level, best first."""


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """The best levels of a book after a change, exact. Only ``state`` ``live`` is live."""

    symbol: str
    state: str
    bids: Side = ()
    asks: Side = ()
    timestamp: str | None = None
    """Of the newest change, the exchange's, RFC 3339."""
    epoch: int = 0
    seq: int = 0
    merged: int = 0
    """Changes that were merged into this one."""
    reason: str | None = None


class _Levels:
    """A book under way: digits as they came, since the digest is over them."""

    def __init__(self, state: str, epoch: int) -> None:
        self.state = state
        self.epoch = epoch
        self.seq = 0
        self.timestamp: str | None = None
        self.sides: tuple[dict[Decimal, tuple[str, str]], dict[Decimal, tuple[str, str]]] = ({}, {})
        self.is_whole = False

    def apply(self, frame: dict[str, Any]) -> None:
        for side, name in zip(self.sides, ("bids", "asks"), strict=True):
            for price, size in frame.get(name, ()):
                key = decimal("price", price)
                if decimal("size", size) == 0:
                    side.pop(key, None)
                else:
                    side[key] = (_text(price), _text(size))
        self.seq = frame["seq"]
        self.timestamp = frame.get("timestamp") or self.timestamp

    def digest(self) -> int:
        texts = [f"{price}:{size}" for side in self.levels() for price, size in side]
        return zlib.crc32(",".join(texts).encode())

    def levels(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        bids, asks = self.sides
        return [bids[key] for key in sorted(bids, reverse=True)], [asks[key] for key in sorted(asks)]

    def book(self, symbol: str, merged: int) -> Book:
        bids, asks = (tuple((Decimal(price), Decimal(size)) for price, size in side) for side in self.levels())
        return Book(
            symbol=symbol,
            state=self.state,
            bids=bids,
            asks=asks,
            timestamp=self.timestamp,
            epoch=self.epoch,
            seq=self.seq,
            merged=merged,
        )


class BooksSession(ChannelSession[Book]):
    """What one stream of books knows. It fails closed: a book that its digest does not prove is asked for again."""

    channel = "book"

    def __init__(self, symbols: Iterable[str], *, depth: int = 10, rate: float = 20) -> None:
        super().__init__(symbols, {"depth": depth, "rate": rate})
        self._books: dict[str, _Levels] = {}

    def disconnected(self) -> list[Book]:
        """Every book is stale, once for each break."""
        gone = [levels.book(symbol, 0) for symbol, levels in self._books.items() if levels.is_whole]
        self._books.clear()
        return [msgspec.structs.replace(book, state="stale", reason=LOST) for book in gone]

    def _forgotten(self, symbol: str) -> None:
        self._books.pop(symbol, None)

    def _missing(self, symbol: str, state: str, made: list[Book]) -> None:
        made.append(Book(symbol=symbol, state=state))

    def _frame(self, kind: str, frame: dict[str, Any], made: list[Book]) -> None:
        symbol = frame["symbol"]
        levels = self._books.get(symbol)
        before = 0 if levels is None or not levels.is_whole else levels.seq
        if kind == "snapshot":
            if levels is None or levels.is_whole:
                levels = self._books[symbol] = _Levels(frame["state"], frame["epoch"])
            levels.apply(frame)
            levels.is_whole = bool(frame.get("last", True))
        elif kind == "update" and levels is not None and levels.is_whole and frame["seq"] > levels.seq:
            levels.apply(frame)
        elif kind == "update" and levels is None:
            self._ask_again(symbol)
            return
        else:
            return
        if not levels.is_whole:
            return
        if "digest" in frame and frame["digest"] is not None and not self._proves(levels, frame["digest"]):
            del self._books[symbol]
            self._ask_again(symbol)
            made.append(Book(symbol=symbol, state="repairing", reason="the digest does not agree"))
            return
        made.append(levels.book(symbol, max(0, levels.seq - before - 1) if kind == "update" else 0))

    def _proves(self, levels: _Levels, digest: int) -> bool:
        agrees = levels.digest() == digest
        self._proofs["digests"] += agrees
        self._proofs["digests_failed"] += not agrees
        return agrees


def _text(value: object) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)
