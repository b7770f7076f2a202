"""Books of price levels: made of the flow's orders, cut to a depth, compared with what was told."""

from collections.abc import Iterator
from dataclasses import replace

from tickcast.sim.crypto.state import BookNews, Instrument, Levels, Stream
from tickcast.sim.market import ASK, BID, OrderFlow

Sides = tuple[Levels, Levels]


def read_levels(flow: OrderFlow, row: int) -> Sides:
    """Return bids and asks of now."""
    sides: Sides = ({}, {})
    for side in (BID, ASK):
        levels = sides[side]
        for price, size in zip(flow.price[row, side].tolist(), flow.size[row, side].tolist(), strict=True):
            if size:
                levels[price] = levels.get(price, 0) + size
    return sides


def in_order(levels: Levels, side: int, depth: int = 0) -> list[tuple[int, int]]:
    """Return levels, best first, ``depth`` at most (0 = all)."""
    ordered = sorted(levels.items(), reverse=side == BID)
    return ordered[:depth] if depth else ordered


def cut(sides: Sides, depth: int) -> Sides:
    """Return the best ``depth`` levels a side; 0 = all."""
    if not depth or (len(sides[BID]) <= depth and len(sides[ASK]) <= depth):
        return sides
    return dict(in_order(sides[BID], BID, depth)), dict(in_order(sides[ASK], ASK, depth))


def whole(instrument: Instrument, stream: Stream, sides: Sides) -> BookNews:
    """Return a whole book as news; the stream goes on from it."""
    stream.levels = cut(sides, stream.topic.depth)
    news = BookNews(
        snapshot=True,
        first=stream.last + 1,
        last=instrument.book_id,
        previous=stream.last,
        count=stream.count,
        bids=in_order(stream.levels[BID], BID),
        asks=in_order(stream.levels[ASK], ASK),
        levels=stream.levels,
    )
    stream.last = instrument.book_id
    return news


def as_told(stream: Stream) -> BookNews:
    """Return what a stream's listeners hold, for one more of them."""
    bids, asks = stream.levels
    return BookNews(
        snapshot=True,
        first=stream.last,
        last=stream.last,
        previous=stream.last,
        count=stream.count,
        bids=in_order(bids, BID),
        asks=in_order(asks, ASK),
        levels=stream.levels,
    )


def differences(instrument: Instrument, stream: Stream, sides: Sides) -> BookNews | None:
    """Return what changed since the stream was told, and take it as told; None = nothing."""
    now, before = cut(sides, stream.topic.depth), stream.levels
    pushed_out = sides if stream.topic.forget_pushed else ({}, {})
    changes = [_changed(before[side], now[side], stream.exposed[side], pushed_out[side]) for side in (BID, ASK)]
    if not any(changes):
        return None
    stream.count += 1
    news = BookNews(
        snapshot=False,
        first=stream.last + 1,
        last=instrument.book_id,
        previous=stream.last,
        count=stream.count,
        bids=sorted(changes[BID], reverse=True),
        asks=sorted(changes[ASK]),
        levels=now,
        before=before,
    )
    stream.last, stream.levels = instrument.book_id, now
    return news


def singly(news: BookNews, before: Sides) -> Iterator[BookNews]:
    """Yield differences one change at a time, what leaves first, so that no side ever meets the other.

    All have the ids of the whole; the voice numbers them.
    """
    now: Sides = (dict(before[BID]), dict(before[ASK]))
    changes = [(BID, *change) for change in news.bids] + [(ASK, *change) for change in news.asks]
    for side, price, size in sorted(changes, key=lambda change: change[2] != 0):
        if size:
            now[side][price] = size
        else:
            now[side].pop(price, None)
        one = [(price, size)]
        yield replace(
            news,
            bids=one if side == BID else [],
            asks=one if side == ASK else [],
            levels=(dict(now[BID]), dict(now[ASK])),
        )


def _changed(before: Levels, now: Levels, exposed: set[int], pushed_out: Levels) -> list[tuple[int, int]]:
    if before is now and not exposed:
        return []
    found = [(price, size) for price, size in now.items() if before.get(price) != size]
    found += [(price, 0) for price in before if price not in now and price not in pushed_out]
    if exposed:
        known = {price for price, _ in found}
        found += [(price, now.get(price, 0)) for price in exposed if price not in known]
        exposed.clear()
    return found


def expose(stream: Stream, now: Sides) -> None:
    """Remember levels that a REST snapshot shows between two messages of a stream.

    Such a level may be as before at the next message; the message has to say so, or the snapshot's holder errs.
    """
    for side in (BID, ASK):
        before = stream.levels[side]
        prices = before.keys() | now[side].keys()
        stream.exposed[side].update(price for price in prices if before.get(price) != now[side].get(price))
