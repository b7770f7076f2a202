"""Crypto.com Exchange v2, as it was until 2023 (``stream.crypto.com/v2/market``): read from recordings.

Every message of ``book`` is a whole book, without a number. ``book.update`` (2022) has the number ``s`` only, of which
nothing says how it counts: books that it changes are unverified until the next whole one.
"""

from typing import ClassVar, Final

from tickcast.venues.crypto_com.dialect import CANDLES, CHANGED, DEPTH, OTC, TICKERS, TIME, TRADES, WHOLE, book, pushed
from tickcast.venues.crypto_com.venue import CryptoComVenue
from tickcast.venues.declared.dialect import BookRule, Dialect

BOOKS: Final = pushed(
    "book",
    book(WHOLE, rule=BookRule(chain="none", snapshot="every"), time=TIME, channel="book"),
    fields=("s", "tt", "cs"),
)
UPDATES: Final = pushed(
    "book.update",
    book(CHANGED, rule=BookRule(chain="none", snapshot="stream", depth_from=DEPTH), time=TIME, channel="book.update"),
    fields=("s", "tt", "cs"),
)
DIALECT: Final = Dialect(messages=(BOOKS, UPDATES, TRADES, TICKERS, CANDLES, OTC))


class CryptoComV2Venue(CryptoComVenue):
    """Recordings of v2."""

    title: ClassVar[str] = "Crypto.com v2 (recordings)"
    dialect: Dialect = DIALECT
    proof: ClassVar[str] = "every message of a book is the whole of it; nothing numbers what changed"
