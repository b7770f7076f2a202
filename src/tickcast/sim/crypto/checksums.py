"""Checksums that several simulated venues write."""

import zlib
from itertools import zip_longest
from typing import Final

from tickcast.sim.crypto import levels
from tickcast.sim.crypto.state import BookNews, Instrument
from tickcast.sim.market import ASK, BID

SUMMED: Final = 25


def by_turns(instrument: Instrument, news: BookNews) -> int:
    """Return the CRC32, signed, of the best 25 levels: bid and ask by turns, ``price:size``, as they are sent."""
    price, size = instrument.price, instrument.size
    sides = [levels.in_order(news.levels[side], side, SUMMED) for side in (BID, ASK)]
    turns = zip_longest(*sides)
    texts = [f"{price(level[0])}:{size(level[1])}" for turn in turns for level in turn if level is not None]
    found = zlib.crc32(":".join(texts).encode())
    return found - (1 << 32) if found >> 31 else found
