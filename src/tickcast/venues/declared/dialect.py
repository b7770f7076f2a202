"""A JSON venue as data: what its hot messages look like, and what proves that its books are whole.

The core (:class:`tickcast._native.JsonFeed`) runs a :class:`Dialect` over lists of frames: which kind a frame is, where
each column stands, exact decimals, ids, books and their continuity. What no declared message matches is *cold* and goes
to the venue's Python (:mod:`.venue`).

Paths name a place in a frame: keys and list positions joined by dots (``data.0.px``, ``-1`` is the last of a list). A
path is read from the *row*; one that begins with ``/`` from the frame (``/arg.instId``), one that begins with ``^``
from the entry of the outer list in which the row's list stands (rows ``data.details``: ``^instId`` is a key of the
entry of ``data``). In conditions of messages and in keys, one that begins with ``@`` is read from the event that bound
the frame's number to a subscription (:class:`Binding`).
A key that holds a dot cannot be named. Numbers and strings are read alike: by their text, so that
``"185.40"`` and ``185.40`` are the same exact value.
An absent place, ``null`` and ``""`` are the same: nothing said.
"""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

RECORDED: Final = " (recorded)"
"""Ends the names of messages that only recordings hold: what they prove is not what a feed does."""
TimeUnit = Literal["s", "ms", "us", "ns", "iso"]
"""``s`` may have a fraction (``1618678135.123456``); ``iso`` is RFC 3339."""

ChecksumKind = Literal["kraken", "kraken_v1", "okx", "bitfinex"]
"""``kraken``: CRC32 of the ten best asks, then bids, price and size text without the point and leading zeros.
``kraken_v1``: the same over the strings of its older dialect. ``okx``: signed CRC32 of the 25 best levels, bid and
ask by
turns, ``price:size`` joined by colons, the strings as sent. A checksum of 0 where the venue has retired it proves
nothing. ``bitfinex``: the same levels and order, numbers as JavaScript writes them (``5.6e-7``, no zeros at the end),
the sizes of asks below zero; it comes in messages of its own behind the changes, between which a book stays what it
was."""


class Declared(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything declared."""


class Match(Declared, frozen=True):
    """A condition on the text at a path; everything that is set must hold."""

    path: str
    equals: tuple[str, ...] = ()
    """One of these."""
    prefix: str = ""
    suffix: str = ""
    present: bool | None = None
    """Whether something stands there (``null`` counts as absent)."""
    same_as: str = ""
    """Another path, at which the same text must stand. Not in ``Message.when`` and not in places of a counter."""


class Key(Declared, frozen=True):
    """Where the venue's name of the instrument stands."""

    path: str
    split: str = ""
    """Not empty: the text is divided at this character, and ``part`` of it is the name."""
    part: int = 0
    """Negative counts from the end."""
    strip: str = ""
    """Cut off where the text begins with it (Bitfinex: ``t`` of ``tBTCUSD``)."""


class Time(Declared, frozen=True):
    """Where the event's time stands; without one (or where it is absent) it is the time of receipt."""

    path: str
    unit: TimeUnit


class Aggressor(Declared, frozen=True):
    """Which texts say that the buyer or the seller was the aggressor (Binance's ``m``: true = the seller)."""

    path: str
    buyer: tuple[str, ...]
    seller: tuple[str, ...]


class Levels(Declared, frozen=True):
    """Where changed levels stand: two lists, one list of both sides with a word for the side in each entry, or rows.

    With ``side`` alone the row itself is the one level, and the paths are those of the row.

    Where the venue names levels by an id and not by their price, ``id`` says where it stands. Changes then may leave
    out the price: it is that of the level's insertion. A level that changes or is deleted and was never told, and one
    that is inserted twice, say that something was missed, and break the book.
    """

    bids: str = ""
    asks: str = ""
    mixed: str = ""
    """Path of the one list; ``side`` then is a path in its entries."""
    split: str = ""
    """Not empty: the entries of ``mixed`` (or the one text that stands there) are texts that are divided at this
    character; ``side``, ``price`` and ``size`` are the numbers of their parts (KuCoin's ``90631.2,sell,2``)."""
    side: str = ""
    """Path of the word for the side."""
    signed: bool = False
    """Instead of ``side``: the sign of the size says it, above zero a bid, below an ask; that of a level which is gone,
    too. At ``mixed`` one level may stand alone then, as if it were a list of one."""
    bid_words: tuple[str, ...] = ("bid", "buy")
    ask_words: tuple[str, ...] = ("offer", "ask", "sell")
    price: str = "0"
    """In an entry: a position of a list or a key of an object."""
    size: str = "1"
    """A size of 0 deletes the level."""
    action: str = ""
    """In an entry (or ``/``, of all entries of the frame): where a word stands whose ``deleted`` means that the level
    is gone, whatever the size."""
    deleted: tuple[str, ...] = ("delete",)
    or_price: str = ""
    """Where an entry has nothing at ``price``: another place (entries are objects here and lists there, as Gate's over
    REST)."""
    or_size: str = ""
    zero_is_none: bool = False
    """An entry whose price is 0 is no level: the message moves the ids, and nothing else (KuCoin)."""
    rows: bool = False
    """Each row is a level, and the paths are those of a row; rows of one instrument in a frame are one message. Of an
    answer over REST, which is such a list."""
    id: str = ""
    """In an entry: the venue's name of the level, a whole number."""
    inserted: tuple[str, ...] = ("insert",)
    """With ``id``: words of ``action`` for a level that is new."""


Chain = Literal["range", "previous", "consecutive", "ordered", "none"]
"""``range``: ids ``first..last``, each message begins after its predecessor's last; where ``previous`` is declared
too, it
must be the predecessor's last. ``previous``: ``previous`` is the predecessor's ``last``. ``consecutive``: ``last`` is
the
predecessor's + 1. ``ordered``: ``last`` only grows, as a time does; it joins differences with a snapshot over REST and
shows one that is out of its order, but a lost one shows nowhere: the book is unverified. ``none``: nothing chains the
messages."""


class BookRule(Declared, frozen=True):
    """What proves that a book is whole, and what a break of it concerns."""

    chain: Chain
    snapshot: Literal["stream", "first", "rest", "asked", "every"]
    """Where the beginning comes from: in the stream after subscribing, or as the ``first`` message of a subscription
    and no other; over REST, or ``asked`` for on the connection of the differences (:meth:`.venue.Venue.ask_book`),
    which wait for it; or every message is a whole book.

    ``first`` is for venues that send the beginning as a difference from nothing. ``Book.snapshot`` says how it is told
    from the differences of the subscription before, which may still be on their way. Of a book that goes on, such a
    message is a difference like any other: it follows, or breaks the chain. Differences behind the beginning may begin
    before it, or be in it (Gemini)."""
    checksum: ChecksumKind | None = None
    """Verified at every message that has one (beside the chain)."""
    scope: Literal["instrument", "channel", "connection"] = "instrument"
    """What a break concerns: only this book, all books of the message's kind on the connection, or all of the
    connection."""
    first_at: int | None = None
    """With ``consecutive``: this id begins a new book whatever came before (Bybit: 1)."""
    overlaps: bool = False
    """With ``range`` or ``previous``: a message may begin before the end of its predecessor. Its sizes are absolute, so
    that ids that are told again do no harm (KuCoin, Gate, Gemini)."""
    same_is_empty: bool = False
    """With ``previous``: ``previous == last`` says that nothing changed (OKX)."""
    depth: int = 0
    """Levels a side that the venue keeps; what is pushed out is cut off by us (Kraken). 0 = all."""
    depth_from: str = ""
    """Path of a text that ends with that depth where it is chosen at subscription (``book-1000``); overrides
    ``depth``."""


class Trades(Declared, frozen=True, tag="trades"):
    """Each row is a trade."""

    key: Key
    price: str
    size: str
    id: str = ""
    """A decimal number that fits in 64 bits is the record's id; of any other text it is the xxh3-64, and the text goes
    into the text column."""
    aggressor: Aggressor | None = None
    signed: Literal["buyer", "seller"] | None = None
    """Instead of ``aggressor``: who it was where the size is above zero; below zero it was the other."""
    rows: str = ""
    """Path of its rows in the frame, where they stand beside those of the message (Gemini's trades in a book); nothing
    there = no rows."""
    only: tuple[Match, ...] = ()
    """Rows for which not all hold are passed over."""
    time: Time | None = None
    seq: str = ""
    history: tuple[Match, ...] = ()
    """All hold: the trade is history told at subscription, flagged so. Empty = never. What a later subscription tells
    of a time behind the trade told last was missed: it comes flagged BACKFILLED."""
    chained: bool = False
    """Ids of an instrument count up by one: a jump is a gap, and history that was told before is not told again. What
    a later subscription tells as history and was not told yet was missed: it comes flagged BACKFILLED."""
    chained_by: Literal["id", "seq"] = "id"
    """What counts up by one: ``seq`` where ids are no such numbers (Deribit's ``trade_seq``)."""
    covers: str = ""
    """How many ids a row stands for, the last of them its own, where several trades are told as one (OKX)."""
    liquidation: bool = False
    """Rows are liquidations (kind LIQUIDATION), no trades."""


class Quotes(Declared, frozen=True, tag="quotes"):
    """Each row has the best bid and offer.

    A side whose price is 0 or null is empty; one whose path is absent is unchanged.
    """

    key: Key
    bid: str
    ask: str
    bid_size: str = ""
    ask_size: str = ""
    time: Time | None = None
    seq: str = ""
    whole: bool = False
    """Each row tells both sides: one whose path is absent (an empty list) is empty."""
    comparable: bool = False
    """``seq`` counts with the book's ids: the newer of quote and book is the best bid and offer (Binance)."""


class Book(Declared, frozen=True, tag="book"):
    """Each row is a message of a book, or with ``levels.rows`` a level of one."""

    key: Key
    levels: Levels
    rule: BookRule
    snapshot: tuple[Match, ...] = ()
    """All hold: the row is a whole book. Empty = never, or always where the rule says ``every``."""
    first: str = ""
    last: str = ""
    previous: str = ""
    checksum: str = ""
    """A message that has it and no levels checks what came before it."""
    time: Time | None = None
    """With ``levels.rows`` it is the latest of a message's rows."""
    empty: Key | None = None
    """With ``levels.rows``: where a whole book without any level has its name, in the frame."""


class Measure(Declared, frozen=True):
    """One value of a row: ``kind`` is one of :class:`tickcast.model.record.Kind`; with ``unit`` it is a time."""

    kind: int
    path: str
    unit: TimeUnit | None = None
    absent: str = ""
    """The value that is meant where nothing stands there (Kraken Futures leaves a funding rate of 0 away)."""


class Measures(Declared, frozen=True, tag="measures"):
    """Each row has values besides trades and books.

    Those whose place is empty are not told, unchanged ones are not repeated.
    """

    key: Key
    values: tuple[Measure, ...]
    time: Time | None = None


Emit = Trades | Quotes | Book | Measures


class Message(Declared, frozen=True):
    """A kind of frame."""

    name: str
    """For statistics, errors and ``docs/venues.md``: the venue's own word."""
    when: tuple[Match, ...]
    """All hold. Messages are tried in the order of their declaration; paths are those of the frame."""
    rows: str = ""
    """Path of the rows in the frame; lists on the way are walked through (``events.trades``). Empty = the frame is the
    one row. The rows of one frame are one event for each instrument and emit."""
    newest_first: bool = False
    """The rows of a list stand newest first: they are told from the last to the first (Coinbase's trades)."""
    emits: tuple[Emit, ...] = ()
    """None: understood, nothing to tell (heartbeats); counted as control."""
    market: str = ""
    """Namespace of the instruments' names where it is not the link's."""
    fields: tuple[str, ...] = ()
    """Further keys of a row that are known and not read; others are counted as drift. Empty = not watched."""
    cold_when_changed: tuple[str, ...] = ()
    """Paths in a row of texts that say what no emit does (whether an instrument is suspended): a frame in which one of
    them is not what it was for the row's instrument goes to :meth:`tickcast.venues.declared.venue.Venue.cold` as well,
    behind what it tells itself; so does the first."""


class Place(Declared, frozen=True):
    """Where something stands in frames for which all conditions hold."""

    when: tuple[Match, ...]
    path: str


class Counter(Declared, frozen=True):
    """A number that counts *all* messages of a connection, cold ones too: a jump concerns every book of it.

    A frame whose number has passed (up to 1,000 back) comes late or again: its trades are told, books go on without it.
    """

    path: str
    first: int | None = None
    """Value of the first message of a connection; None = any."""
    places: tuple[Place, ...] = ()
    """Where it stands elsewhere than at ``path``: the first whose conditions hold."""


class Binding(Declared, frozen=True):
    """Frames are lists that name a number, which an event before them bound to a subscription (Bitfinex's ``chanId``).

    Paths that begin with ``@`` are read from that event. Numbers are those of a connection. Where a recorder has put an
    object in the number's place, it stands for the event.
    """

    when: tuple[Match, ...]
    """All hold: the frame is such an event. It is cold too."""
    number: str
    """In the event."""
    path: str
    """In all other frames."""
    ends: tuple[Match, ...] = ()
    """All hold: the frame ends the binding of its ``number``. It is cold too."""


class RestTrades(Declared, frozen=True):
    """How an answer over REST is read that holds trades of one instrument, to make good what the stream missed."""

    trades: Trades
    """Of a row; ``key`` is not used. Ids are those of the stream."""
    or_trades: tuple[Trades, ...] = ()
    """Where ``only`` of ``trades`` does not hold for a row, the first of these of which it does (Gate's contracts)."""
    rows: str = ""
    """Path of the rows; ``*`` stands for every list or object of an object. Empty = the answer is the list."""
    newest_first: bool = False
    when: tuple[Match, ...] = ()
    """All hold, or the answer is an error."""


class Dialect(Declared, frozen=True):
    """What the core is told of a venue."""

    messages: tuple[Message, ...]
    counter: Counter | None = None
    binding: Binding | None = None
    plain: tuple[str, ...] = ()
    """Whole frames that are no JSON and tell nothing (``pong``); counted as control."""
    rest_book: Book | None = None
    """How the answer to a request for a book is read (paths from the answer; ``key`` is not used)."""
    rest_rows: str = ""
    """Path of the book in that answer; empty = the answer itself."""
    rest_trades: RestTrades | None = None
    """How the answer to a request for missed trades is read."""
    packing: Literal["", "gzip"] = ""
    """How frames come compressed, each by itself; one that does not begin as such a frame does is read as it is."""
    unpacked_max: int = 32 << 20
    """Bytes that a packed frame may become; one that would become more is a dead letter."""
    buffer_max: int = 4096
    """Differences of one book that wait for its snapshot; the oldest beyond it are dropped, which a newer one makes
    good."""


def books_of_feeds(declared: Dialect) -> Iterator[tuple[Message, BookRule]]:
    """Yield the rules of books with their messages; not of those that only recordings hold."""
    for message in declared.messages:
        for emit in message.emits:
            if isinstance(emit, Book) and not message.name.endswith(RECORDED):
                yield message, emit.rule
