"""What a full producer does to its unsent batches: quotes and levels shrink to the newest, all else stays."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tickcast.model.batch import Hops, TickBatch
from tickcast.model.record import Flag, Kind, Records

_QUOTES = (Kind.BID, Kind.ASK)
_LEVELS = (Kind.BOOK_BID, Kind.BOOK_ASK)


def conflate(batches: Sequence[TickBatch]) -> tuple[TickBatch, int]:
    """Merge batches of one feed and session into one and say how many rows of quotes and books were merged away.

    Of each instrument's bid and ask rows only the newest of each side stays, both together as one event at the place
    of the newer one, so that no reader ever sees a bid and an ask of different times side by side. Of its book the
    newest row of each level stays, behind the newest row that takes all of the side's levels away; these are part of
    that event, so that the book is as it was at its end. All other rows stay in their order. Of each entry of the
    ledger the newest telling stays.
    """
    records = np.concatenate([b.records for b in batches])
    texts = _texts(batches) if any(b.texts is not None for b in batches) else None
    quote = np.isin(records["kind"], _QUOTES)
    level = np.isin(records["kind"], _LEVELS)
    state = quote | level
    place = np.arange(len(records), dtype=np.float64)
    keep = ~state
    newest = _newest(records, np.flatnonzero(quote))
    if level.any():
        newest = np.concatenate([newest, _newest_levels(records, np.flatnonzero(level))])
    keep[newest] = True
    place[newest] = _event_place(records, newest)
    order = np.argsort(place, kind="stable")
    order = order[keep[order]]
    events = _event_ids(records)
    # what is kept of quotes and books forms an event of its instrument, everything else stays in the event it came in
    owner = np.where(state, -1 - _ranks(records["instrument"]), events)[order]
    merged = records[order]
    last = np.append(owner[1:] != owner[:-1], True)[: len(merged)]
    merged["flags"] = np.where(last, merged["flags"] | Flag.LAST_OF_EVENT, merged["flags"] & ~np.uint16(1))
    newest_hops = batches[-1].hops
    result = TickBatch(
        feed=batches[0].feed,
        session=batches[-1].session,
        records=merged,
        definitions=tuple(d for b in batches for d in b.definitions),
        texts=None if texts is None else tuple(texts[i] for i in order),
        hops=Hops(newest_hops.received, newest_hops.decoded, newest_hops.bus_in, newest_hops.bus_out),
        ledger=tuple({entry.id: entry for b in batches for entry in b.ledger}.values()),
    )
    return result, int(state.sum()) - len(newest)


def _newest(records: Records, quotes: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    key = np.stack([records["instrument"][quotes], records["kind"][quotes].astype(np.uint64)])
    _, first = np.unique(key[:, ::-1], axis=1, return_index=True)
    return np.sort(quotes[len(quotes) - 1 - first])


def _newest_levels(records: Records, levels: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Row by row: this is rare, and equal prices may have different scales."""
    sides: dict[tuple[int, int], dict[tuple[int, int] | None, int]] = {}
    fields = ("instrument", "kind", "flags", "price", "price_scale")
    for place, row in zip(levels.tolist(), records[levels][list(fields)].tolist(), strict=True):
        instrument, kind, flags, price, scale = row
        side = sides.setdefault((instrument, kind), {})
        if flags & Flag.NO_PRICE:
            side.clear()
            side[None] = place
        else:
            side[_plain(price, scale)] = place
    return np.sort(np.array([place for side in sides.values() for place in side.values()], dtype=np.intp))


def _plain(price: int, scale: int) -> tuple[int, int]:
    """Mantissa and scale without zeros at the end."""
    while scale and not price % 10:
        price, scale = price // 10, scale - 1
    return price, scale


def _event_place(records: Records, newest: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """Both sides of an instrument go right behind the newer one's row."""
    ranks = _ranks(records["instrument"])[newest]
    place = np.zeros(ranks.max() + 1 if len(ranks) else 0)
    np.maximum.at(place, ranks, newest.astype(np.float64))
    return place[ranks] + 0.5


def _ranks(instruments: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    return np.unique(instruments, return_inverse=True)[1].astype(np.int64)


def _event_ids(records: Records) -> npt.NDArray[np.int64]:
    last = (records["flags"] & Flag.LAST_OF_EVENT) != 0
    return np.concatenate([[0], np.cumsum(last)[:-1]]).astype(np.int64)[: len(records)]


def _texts(batches: Sequence[TickBatch]) -> list[str | None]:
    joined: list[str | None] = []
    for batch in batches:
        joined.extend(batch.texts if batch.texts is not None else [None] * len(batch.records))
    return joined
