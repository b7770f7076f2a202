"""Which shard a record belongs to: the security is the key, so that all venues of one security meet in one place."""

import zlib
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from tickcast.model.batch import TickBatch
from tickcast.model.instrument import Definition
from tickcast.model.record import Flag, Records

LEDGER_SHARD: Final = 0
"""An entry may concern instruments of all shards; its tellings must stay in order."""


def shard_of(security: str, shards: int) -> int:
    """Shard of a security; CRC-32 of its name, so that every process agrees."""
    return zlib.crc32(security.encode()) % shards


class Sharder:
    """Splits batches by the securities of their instruments, known from the definitions that went before."""

    def __init__(self, shards: int) -> None:
        self._shards = shards
        self._known: dict[int, int] = {}

    def split(self, batch: TickBatch) -> list[tuple[int, TickBatch]]:
        """Cut a batch into one part for each shard it touches, whole events each; order is kept within each part.

        Records of an instrument that was never defined go to shard 0, and so does the ledger. A batch without records
        goes where its definitions belong, or to shard 0.
        """
        if self._shards == 1:
            return [(0, batch)]
        for definition in batch.definitions:
            self._known[definition.instrument] = shard_of(definition.security, self._shards)
        rows = self._rows(batch.records)
        wanted = set(np.unique(rows).tolist()) | {self._known[d.instrument] for d in batch.definitions}
        if batch.ledger:
            wanted.add(LEDGER_SHARD)
        return [(shard, self._part(batch, rows == shard, shard)) for shard in sorted(wanted or {0})]

    def _rows(self, records: Records) -> npt.NDArray[np.int64]:
        if not len(records):
            return np.zeros(0, np.int64)
        shards = np.fromiter((self._known.get(i, 0) for i in records["instrument"].tolist()), np.int64, len(records))
        last = (records["flags"] & Flag.LAST_OF_EVENT) != 0
        ends = np.flatnonzero(last)
        event = np.minimum(np.searchsorted(ends, np.arange(len(records))), max(len(ends) - 1, 0))
        # an event belongs to one instrument; its last row decides for all of it
        return shards[ends[event]] if len(ends) else shards

    def _part(self, batch: TickBatch, mask: npt.NDArray[np.bool_], shard: int) -> TickBatch:
        texts = batch.texts
        return TickBatch(
            feed=batch.feed,
            session=batch.session,
            records=batch.records[mask],
            definitions=tuple(self._own(batch.definitions, shard)),
            texts=None if texts is None else tuple(texts[i] for i in np.flatnonzero(mask)),
            hops=batch.hops,
            ledger=batch.ledger if shard == LEDGER_SHARD else (),
        )

    def _own(self, definitions: Iterable[Definition], shard: int) -> Iterable[Definition]:
        return (d for d in definitions if self._known[d.instrument] == shard)
