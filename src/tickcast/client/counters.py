"""What came and what did not, counted from the ``seq`` of frames as docs/protocol.md ("sync") says. No I/O.

Two countings run beside each other. One is of this connection and begins at its acks, as the gateway's does; it is what
``sync`` is compared with. The other goes over all connections of a stream, from the first ack on: what was published
while we were away, in the same epoch, is merged (or, where every message counts, lost).
"""

from collections.abc import Mapping
from typing import Any

import msgspec


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """Of one symbol, since the stream began: published = delivered + merged + lost."""

    epoch: int
    """While it stays the same, ``seq`` counts without a break."""
    seq: int
    """Of the newest frame."""
    published: int = 0
    delivered: int = 0
    merged: int = 0
    """Newer states took their place."""
    lost: int = 0
    """Of trades, and of prices in mode ``all``: they did not come and never will."""
    breaks: int = 0
    """Times that a new epoch began: what was published at the end of the one before is not known."""


class Proofs(msgspec.Struct, frozen=True, kw_only=True):
    """How often what the gateway said of its own data was compared with ours."""

    digests: int = 0
    """Checksums of whole books that agreed."""
    digests_failed: int = 0
    """That did not: the book was dropped and asked for again."""
    counters: int = 0
    """Counters of a symbol that agreed with the gateway's."""
    counters_failed: int = 0


class Counting:
    """Counters of the symbols of one channel."""

    def __init__(self, *, is_lossy: bool) -> None:
        """``is_lossy``: what is missing is lost, not merged."""
        self._is_lossy = is_lossy
        self._rows: dict[str, _Row] = {}

    def begin(self, symbol: str, epoch: int, seq: int) -> None:
        """Take an ack: counting begins there, unless it has begun already."""
        if symbol not in self._rows:
            self._rows[symbol] = _Row(epoch, seq)

    def stand(self, symbol: str, epoch: int, seq: int) -> None:
        """Stand at ``seq`` of a new epoch, of which no frame will tell (trades after a resume)."""
        row = self._rows.get(symbol)
        if row is not None and row.epoch != epoch:
            row.anew(epoch)
            row.seq = seq

    def forget(self, symbol: str) -> None:
        """Begin anew with the next ack."""
        self._rows.pop(symbol, None)

    def take(self, symbol: str, epoch: int | None, seq: int, *, is_lost: bool = False) -> None:
        """Take a frame with a ``seq``; ``epoch`` None: it does not say."""
        row = self._rows.get(symbol)
        if row is None:
            return
        if epoch is not None and epoch != row.epoch:
            row.anew(epoch)
        count = seq - row.seq
        if count <= 0:
            return
        row.seq = seq
        row.published += count
        if is_lost:
            row.lost += count
        else:
            row.delivered += 1
            if self._is_lossy:
                row.lost += count - 1

    def rows(self) -> dict[str, Counters]:
        """Counters over all epochs, by symbol."""
        return {symbol: row.total() for symbol, row in self._rows.items()}

    def compare(self, told: Mapping[str, Any]) -> tuple[int, int]:
        """Hold a ``synced`` against ours; how many symbols agree, and how many do not."""
        agreed = failed = 0
        for symbol, theirs in told.items():
            row = self._rows.get(symbol)
            if row is None:
                continue
            # A new epoch of which no frame came has nothing to compare.
            if theirs["epoch"] != row.epoch:
                continue
            keys = ("seq", "published", "delivered", "merged", "lost")
            ours = (row.seq, row.published, row.delivered, row.published - row.delivered - row.lost, row.lost)
            if tuple(theirs[key] for key in keys) == ours:
                agreed += 1
            else:
                failed += 1
        return agreed, failed


class _Row:
    """One symbol: numbers of this epoch, and sums of those before."""

    __slots__ = ("before", "breaks", "delivered", "epoch", "lost", "published", "seq")

    def __init__(self, epoch: int, seq: int) -> None:
        self.epoch = epoch
        self.seq = seq
        self.published = self.delivered = self.lost = self.breaks = 0
        self.before = (0, 0, 0)

    def anew(self, epoch: int) -> None:
        published, delivered, lost = self.before
        self.before = (published + self.published, delivered + self.delivered, lost + self.lost)
        self.epoch = epoch
        self.seq = self.published = self.delivered = self.lost = 0
        self.breaks += 1

    def total(self) -> Counters:
        published, delivered, lost = self.before
        published, delivered, lost = published + self.published, delivered + self.delivered, lost + self.lost
        return Counters(
            epoch=self.epoch,
            seq=self.seq,
            published=published,
            delivered=delivered,
            merged=published - delivered - lost,
            lost=lost,
            breaks=self.breaks,
        )
