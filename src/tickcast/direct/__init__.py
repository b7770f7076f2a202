"""Feeds as a library, without a server: connect to venues from this process and take what they say, normalised.

::

    async for tick in tickcast.feed("BINANCE:BTC-USDT", "OKX:BTC-USDT-PERP"):
        ...
    book = await tickcast.book("KRAKEN:BTC-USD", depth=10)
"""

from tickcast.direct.connect import book, feed
from tickcast.direct.ticks import Book, BookChange, Gap, Measure, Quote, Status, Tick, Trade

__all__ = ["Book", "BookChange", "Gap", "Measure", "Quote", "Status", "Tick", "Trade", "book", "feed"]
