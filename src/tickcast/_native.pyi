"""The one door to the Rust core: batch in, batch out, the GIL released, no clock, no I/O but the hub's one ``send``.

Records cross as plain bytes in the layout of :data:`tickcast.model.record.RECORD` (64 bytes each): use
:func:`tickcast.model.record.record_bytes` on the way in and :func:`tickcast.model.record.records_from` on the way out.
Every time is nanoseconds since 1970 UTC and is passed in by the caller.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias, final

from typing_extensions import Buffer

__version__: Final[str]

# ------------------------------------------------------------------ values

def instrument_id(name: str) -> int:
    """xxh3-64 of ``VENUE:SYMBOL``; the same id in every process and language."""

def parse_decimal(text: str) -> tuple[int, int]:
    """Exact ``(mantissa, scale)`` of a decimal text such as ``185.40``, ``-1e-7``, ``1E3``.

    The digits of the text survive: ``185.40`` is ``(18540, 2)``. Trailing zeros are given up only where the mantissa
    would not fit in 64 bits, or the scale not in 0 to 38.

    Raises:
        ValueError: not a decimal number (NaN and infinity are none), or does not fit exactly.
    """

def format_decimal(mantissa: int, scale: int) -> str:
    """Text of ``mantissa / 10**scale`` with exactly ``scale`` digits behind the point, never an exponent."""

# ------------------------------------------------------------------ decode: wire formats and books

@final
class SoupFrames:
    """What :func:`soup_split` found; a SoupBinTCP 3.00 packet is length (u16), type (1 byte), payload."""

    consumed: int
    """Bytes that were whole packets; keep the rest for the next read."""
    messages: bytes
    """Payloads of the sequenced (``S``) packets, each preceded by its u16 length: the block that ItchDecoder takes."""
    sequenced: int
    """Number of those payloads."""
    control: list[tuple[str, bytes]]
    """Every other packet in order: type letter, payload."""

def soup_split(data: Buffer) -> SoupFrames:
    """Split a TCP stream of SoupBinTCP 3.00 into packets.

    Whole packets before damage are returned first; the next call, whose data begins with the damage, raises.

    Raises:
        ValueError: a packet of length 0, or of an unknown type; the stream cannot be trusted any more.
    """

@final
class Decoded:
    """What one call decoded."""

    records: bytes
    """Whole events, in order."""
    instruments: list[Mapping[str, object]]
    """Stock directory entries met, as field name to value (ITCH section names in snake case)."""
    messages: int
    """Messages understood."""
    dead: list[tuple[int, str, bytes]]
    """Messages not understood: offset in the block, reason, the raw bytes. At most 100 a call; ``dead_count`` counts all."""
    dead_count: int
    unknown: int
    """Of these, messages of a type that is not known."""
    unpriced: int
    """Executions, cancels, deletes and replaces of an order that was never seen (a block that starts in mid-session)."""
    unpriced_trades: int
    """Of these, the printable executions: trades whose price is not known."""
    suspects: list[int]
    """ITCH: numbers of messages that contradict the books (unpriced, more shares than there are) or are damaged; at most 100. Where the
    stream was whole so far, something is missing or was wrong. A message of unknown type is none."""
    met: list[str]
    """ITCH: names of stocks met for the first time, whatever the message, as on the wire (padded)."""

@final
class ItchDecoder:
    """Nasdaq TotalView-ITCH 5.0 to records, with an order-by-order book for each stock.

    A message is at most one event: the trade row first, then the status, best bid or ask, levels; the last row is flagged.
    Only the system events ``O``, ``E`` and ``C`` are several events, one for each stock behind the notice.

    * trades: ``E``, ``C`` if printable, ``P``, ``Q`` with shares above 0. ``id`` is the match number, ``side`` of an execution
      the aggressor's (opposite of the resting order's), unknown for ``P`` and ``Q``. Below the stock's round lot (100 until
      its directory entry says otherwise) a trade is ODD_LOT; ``P`` is HIDDEN; ``Q`` is AUCTION, never ODD_LOT, and OPENING or
      CLOSING by its cross type.
    * bust: ``B``; ``id`` is the match number.
    * bid, ask: whenever price or shares of the best changed; ``detail`` is the number of orders. An empty side is NO_PRICE.
    * status, when it changes: halted (``H`` with H or P, ``h`` with H of this market's code), auction (Q), live (T, the
      first quote of a stock without a word, the end of an operational halt), closed (``S`` with E or C). The four low bytes
      of ``id`` are the reason, big-endian (``T1  `` is 0x54312020); for ``h`` they are ``h``, market code, action, space.
    * imbalance: ``I``; price near price (NO_PRICE if 0), size paired shares, ``id`` imbalance shares, ``side`` its direction,
      ``detail`` the cross type's letter.
    * notice: ``detail`` is the message's letter. Of the market (instrument 0): ``S`` has the event's letter instead, ``W`` the
      breached level as ``id``, ``V`` three rows with the level's number as ``id``. Of a stock: ``Y`` and ``N`` the letter in
      ``id``; ``L`` MPID, primary, mode and state as seven big-endian bytes; ``K`` price, release second of the day as size and
      qualifier; ``J`` reference price, extension number as size, upper << 32 | lower collar as ``id``; ``O`` near execution price,
      near execution time as size, eligibility as ``id``.

    ``S`` with O starts a day: books and states are empty again, and until its next directory message a locate may come to stand
    for another stock. Otherwise a message whose locate and stock do not belong together is a dead letter and changes nothing. ``ts_event`` = midnight + the message's nanoseconds, ``seq`` of
    a record is the sequence number of its message, prices have scale 4 as on the wire.
    """

    def __init__(self, venue: str, midnight_ns: int, *, symbols: Sequence[str] | None = None, depth: int = 0) -> None:
        """``symbols`` limits what is decoded (ITCH stock names); ``depth`` levels a side are published as book rows.

        A book row is a price with its shares (0: gone, or pushed out of the ``depth`` best) and number of orders in ``detail``.
        """

    def decode(self, block: Buffer, first_seq: int, ts_recv: int) -> Decoded:
        """Decode messages, each preceded by its length (u16): ``first_seq`` is the sequence number of the first.

        Damage: what was decoded before it is kept; a message of unknown type or wrong length is a dead letter; a length
        that runs past the end of the block ends it, as a dead letter. So are an order with a wrong side, without shares or
        with a reference in use (ignored), and one that loses more shares than it had (it is removed, the trade stands).
        """

    def book(self, symbol: str, depth: int) -> tuple[list[tuple[str, int, int]], list[tuple[str, int, int]]]:
        """Bids and asks of a stock, best first: price text, shares, number of orders."""

    def watch_books(self, instruments: Sequence[int], ts_recv: int) -> bytes:
        """Tell the best 50 levels of these instruments' books from now on, and of others no more than ``depth``.

        Instruments may be unknown yet. Returns whole books of those that are new, and that the others are not known any more.
        """

    def mute_books(self, *, is_muted: bool, ts_recv: int) -> bytes:
        """While the books are being built no levels are told. Returns whole books when that is over, before it that they are
        not known."""

    def snapshot(self, ts_recv: int) -> bytes:
        """Best bid and ask and status of every stock, and its whole book where levels are told, flagged SNAPSHOT."""

    def decode_lines(self, blocks: Sequence[LineBlock]) -> Decoded:
        """Decode what an arbiter handed out, as one call. Offsets of dead letters are those in their own block."""

    def stocks(self) -> list[str]:
        """Names of the stocks met so far."""

    @property
    def orders(self) -> int:
        """Orders in all books."""

@final
class ItchFrames:
    """What :func:`itch_split` found; all offsets are in the data given."""

    consumed: int
    """Bytes that are done with; keep the rest for the next read."""
    blocks: list[tuple[int, int, int]]
    """Runs of whole messages: offset, end, number. Each is a block that ItchDecoder takes."""
    damaged: list[tuple[int, int, str]]
    """What is no message: offset, end, reason."""
    ended: int
    """Marks of the session's end: a length of 0 at the end of the data."""

def itch_split(data: Buffer, *, is_end: bool = False) -> ItchFrames:
    """Find the messages of a file of length-prefixed messages; where the framing is lost, the next two messages in a row."""

def itch_messages(block: Buffer) -> list[dict[str, object]]:
    """Every message of a block as a dict: ``type`` and the specification's fields in snake case, prices as text.

    For tools and tests; the live path never builds these.

    Raises:
        ValueError: a message of unknown type or wrong length.
    """

# ------------------------------------------------------------------ decode: declared JSON venues

@final
class JsonBreak:
    """A book is not whole any more; its GAP and STATUS rows are in the records already, before what follows."""

    instrument: int
    reason: Literal["chain", "counter", "checksum", "crossed", "malformed", "overflow"]
    """``chain``: ids do not join; ``counter``: the connection's; ``malformed``: a message of the book could not be read;
    ``overflow``: more differences wait for a snapshot than may."""
    scope: Literal["instrument", "channel", "connection"]
    text: str
    """What was expected, what was found."""
    message: str
    """Name of the declared message."""
    expected: int
    """Id that should have come; 0 = unknown."""
    found: int
    frame: int
    """Index of the frame."""
    cause: int
    """Breaks of one scope and cause share it; counts up."""

JsonPrint: TypeAlias = tuple[int, int, int, int]
"""Of a trade: id, sequence, event time (ns), and how many ids it stands for, the last its own."""

@final
class JsonDecoded:
    """What one call decoded."""

    is_plain: bool
    """There is nothing but records, and control frames."""
    records: bytes
    """Whole events, in order."""
    texts: dict[int, str]
    """Texts of ids that are no numbers, by index of the record."""
    cold: list[tuple[int, int]]
    """Frames that no declared message matches: index of the frame, and how many records go before what it will give."""
    unpacked: dict[int, bytes]
    """Of the cold frames that came packed (see the dialect's ``packing``), what they are, by index of the frame."""
    control: int
    """Frames understood that tell nothing."""
    dead: list[tuple[int, str]]
    """Frames (or rows of them) not understood: index of the frame, reason; at most 100 a call, ``dead_count`` counts all.
    Damaged, no JSON, wrong types, no decimal, an unknown name of an instrument."""
    dead_count: int
    breaks: list[JsonBreak]
    whole: list[int]
    """Instruments whose books became whole, in order."""
    short: list[int]
    """Instruments whose differences begin behind the snapshot that was given: a newer one is wanted."""
    holes: list[tuple[int, int, JsonPrint, JsonPrint, int]]
    """Trades that are missing by their numbers: instrument, index of the frame, the trade before, the trade behind, and how
    many."""
    losses: list[tuple[int, int, JsonPrint, JsonPrint | None]]
    """Instruments of which trades may be missing that nothing but the connection's counter counts: instrument, index of the
    frame that jumped, the trade told last before it (which is marked as by :meth:`JsonFeed.mark_trades`), and the first one
    since the mark before."""

def unpack_frame(frame: bytes, max: int) -> bytes:  # noqa: A002
    """Return a frame that may be packed (gzip), unpacked: what the core does by itself where a dialect says ``packing``.

    Raises:
        ValueError: it is damaged, or would become larger than ``max`` bytes.
    """

@final
class JsonFeed:
    """The books, ids and continuity of one feed of a declared venue (:class:`tickcast.venues.declared.dialect.Dialect`).

    Rows: a trade is one event. A quote tells the sides that changed. A book message tells the best bid and offer where it
    changed and no quote stream gives it, then up to ``depth`` book levels a side that changed; a snapshot tells all of them
    (flag SNAPSHOT is not set: it is news). Measures tell what changed. ``seq`` of a book's rows is its last id. A book's
    state is told when it changes: SYNCING until the first snapshot, GAP when its rule breaks (with a GAP row before: id =
    missing, seq = next in hand), LIVE again with the repairing snapshot; UNVERIFIED in place of LIVE where nothing proves it.
    Nothing of a book that is not whole is told, neither levels nor its best bid and offer.
    """

    def __init__(self, dialect: bytes, *, depth: int = 0) -> None:
        """``dialect``: the declaration as JSON (``msgspec.json.encode``); ``depth`` levels a side are published.

        Raises:
            ValueError: the declaration makes no sense; says where.
        """

    def define(self, market: str, native: str, instrument: int, *, book: bool, quotes: bool, state: int) -> None:
        """Make an instrument known. ``book``: a book is subscribed to; ``quotes``: so is a stream of best bids and offers,
        otherwise the book gives them; ``state``: by the venue's list. Again for a known instrument: nothing changes but ``state``
        (told with the next frame), and another name is one more of it."""

    def pass_over(self, market: str, native: str) -> None:
        """An instrument is listed and was not asked for: rows of it (in streams of a whole market) are no mistake, and nothing
        is told of them. It may be defined later."""

    def forget(self, market: str, native: str) -> None:
        """An instrument was delisted: its book is dropped."""

    def open_link(self, link: int, market: str) -> None:
        """A connection begins: names in it are those of ``market``, its counter begins anew."""

    def pair(self, one: int, other: int) -> None:
        """These two connections bring the same: one takes the other's place, or they are lines A and B of instruments.

        Each row is told once: books by their ids, quotes and measures by the venue's number or time. Trades with an id pass
        here and are dropped by their key (:class:`Intake`); those without any are told by what they say.
        """

    def line_up(self, instrument: int, one: int, other: int) -> None:
        """An instrument comes over both of these connections: how they do is counted."""

    def succeed(self, old: int, new: int) -> None:
        """A connection takes the place of another one as a line of instruments; its counts go on."""

    def close_link(self, link: int, ts_recv: int) -> bytes:
        """A connection is over and does not come back: what it brought comes over another one. Returns gap rows of trades that
        only it could have brought."""

    def lines(self, ts_recv: int) -> list[tuple[int, int, int, int, int]]:
        """Each line of instruments over two: its connection, how many messages came there first, came there later, never came
        there, and the median lead where it was first, ns."""

    def left_out(self) -> int:
        """Messages of books and quotes, measures, and trades without a number, that another connection had brought before."""

    def is_joined(self) -> bool:
        """Whether no difference of a book waits for another connection to come to where it begins."""

    def book_link(self, instrument: int) -> int | None:
        """Connection that feeds the book of an instrument."""

    def decode(self, link: int, frames: Sequence[bytes], times: Sequence[int]) -> JsonDecoded:
        """Decode whole frames in order, without the GIL; ``times`` of their receipt, ns."""

    def rest_book(self, instrument: int, body: bytes, ts_recv: int) -> JsonDecoded:
        """Take a book from REST: the differences that waited are applied on top of it. ``dead``, ``whole`` and ``short`` say
        how it went; one older than what a whole book has changes nothing."""

    def rest_trades(self, instrument: int, body: bytes, ts_recv: int) -> JsonDecoded:
        """Read trades of an instrument from REST, oldest first, flagged BACKFILLED; what was told before is among them. Nothing
        is remembered of them. ``dead`` says what could not be read."""

    def mark_trades(self, instrument: int) -> JsonPrint | None:
        """The trade told last of an instrument, None if there was none; the first one behind it is what :meth:`first_trade`
        says."""

    def first_trade(self, instrument: int) -> JsonPrint | None:
        """The first trade told since :meth:`mark_trades`."""

    def refilled_trades(self, instrument: int) -> int:
        """How many trades a subscription told as history since :meth:`mark_trades` that were missed when they happened."""

    def filled_trades(self, instrument: int, newest: JsonPrint, number: int) -> None:
        """Trades up to this one were fetched: what follows it is in its place. ``number``: where trades are chained, its own."""

    def compare(self, instrument: int, body: bytes, levels: int, ts_recv: int) -> str:
        """Compare a book that nothing proves with one from REST that came at ``ts_recv``; empty = they agree over the best
        ``levels``, or differ only where the stream is ahead: at prices that changed in the last 10 seconds."""

    def misses(self, instrument: int, body: bytes, levels: int) -> str:
        """Say what a book whose stream fell silent misses of one from REST; empty = the venue has nothing newer: by the ids
        where both have them, else by the best ``levels``."""

    def watch_books(self, instruments: Sequence[int], ts_recv: int) -> bytes:
        """Tell the best 50 levels of these instruments' books from now on, and of others no more than ``depth``.

        Instruments may be unknown yet. Returns whole books of those that are new, and that the others are not known any more.
        """

    def doubt(self, instruments: Sequence[int], ts_recv: int) -> bytes:
        """Tell that what these say may be old, because their streams fell silent (STALE), though nothing says that something was
        missed: the next message in its place shows them again. What is not whole stays what it is."""

    def trust(self, instruments: Sequence[int], ts_recv: int) -> bytes:
        """Take the doubt back: the venue has nothing newer."""

    def suspend(self, instruments: Sequence[int], state: int, ts_recv: int) -> bytes:
        """Tell that these books are not up to date now (link lost: STALE; subscribed anew: REPAIRING, SYNCING): status rows
        of those whose state changes. Books of links that come back are proved by their chain, or begin anew."""

    def set_state(self, instrument: int, state: int, ts_recv: int) -> bytes:
        """Take the venue's word for an instrument (LIVE, HALTED, AUCTION, CLOSED); a status row if what is seen changes."""

    def state(self, instrument: int) -> int:
        """State that was told last."""

    def book(self, instrument: int, depth: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Bids and asks, best first: price and size as the venue writes them."""

    def last_id(self, instrument: int) -> int:
        """Last id that the book holds; 0 = none."""

    def activity(self) -> list[tuple[int, int]]:
        """Instrument and how many rows of it came so far."""

    def heard(self) -> list[tuple[int, int, int, int]]:
        """Streams that were heard: instrument, kind (0 trades, 1 quotes, 2 book, 3 measures), link of the newest row, and how
        many rows came so far."""

    def statistics(self) -> dict[str, dict[str, int]]:
        """By name of the declared message: ``frames``, ``rows``, ``records``, ``dead``; beside them ``checksums`` with
        ``verified``, ``failed`` and ``zero`` (the venue sends 0: nothing is proved), ``books`` with ``breaks``, ``levels``,
        ``buffered``; ``bytes`` of all books."""

    def drift(self) -> list[tuple[str, str, int, bytes]]:
        """Keys of rows that are not declared: message, key, how often seen (keys are looked at in samples), one frame."""

    def foreign_values(self) -> list[tuple[str, str, int, bytes]]:
        """Words where others are declared (the side of a trade): message, ``path=word``, how often seen, one frame."""

# ------------------------------------------------------------------ decode: redundant packet lines

@final
class LineBlock:
    """Messages in order, each once; what is contiguous and of one time is one block."""

    unit: int
    """0 for MoldUDP64."""
    session: str
    """The ten characters of the MoldUDP64 session, padding included; "" for PITCH."""
    epoch: int
    """How often the unit had begun anew (another session, a reset, a rewind): another epoch needs empty books."""
    first_seq: int
    """Number of the first message; 0 = messages without numbers, handed on from every line as they came."""
    count: int
    messages: bytes
    """In the protocol's own framing: ITCH with its u16 lengths, PITCH with its u8 lengths."""
    ts_recv: int
    """Of the packet that brought them, also if they had to wait for others since."""

@final
class LineArbiter:
    """Redundant packet lines of one feed: first arrival wins, order is restored, holes are found.

    A sequence for each unit (PITCH), or for the one session that is current (MoldUDP64). Lines may divide the messages into
    packets differently. A packet that is not whole to the byte is not used at all. What contradicts all that is known (another
    session, numbers far ahead or back) is kept until a second or third packet agrees: see ``native/crates/core/src/arbiter.rs``.
    """

    def __init__(
        self,
        protocol: Literal["moldudp64", "pitch"],
        *,
        buffer_bytes: int = 33_554_432,
        from_start: bool = False,
        recorded: bool = False,
        known_types: bool = False,
    ) -> None:
        """``buffer_bytes`` may wait behind the holes of each unit.

        ``known_types``: the payload is ITCH or PITCH. A packet with a message of another type, or too short for its type, is
        damaged unless a second line brings the same bytes.

        ``recorded``: a recording, perhaps of a few packets of many: each is believed, however far ahead it is.

        ``from_start``: every sequence begins at number 1, what was before the first packet is a hole; otherwise whatever comes
        first is right.

        Raises:
            ValueError: another protocol.
        """

    def take(
        self, packets: Sequence[Buffer], times: Sequence[int], line: int = 0, *, repair: bool = False
    ) -> list[LineBlock]:
        """Take datagrams of one line (0 to 255), oldest first, each with its time; returns what is in order now.

        ``repair``: they are retransmissions, which fill holes and do nothing else.
        """

    def holes(self) -> list[tuple[int, int, int, int]]:
        """Unit, first and last missing number, and since when (ns); ascending in each unit."""

    def skip(self, unit: int, last: int) -> list[LineBlock]:
        """Give up all numbers up to ``last``, missing or waiting (an image holds them); returns what waits right behind."""

    def rewind(self, unit: int, first: int, now_ns: int) -> None:
        """Want a unit's messages again from ``first`` on: a new epoch, in which all that is known to exist is a hole."""

    def notices(self) -> list[tuple[str, int, str]]:
        """What happened since the last call: kind, unit, detail.

        * ``session``: a MoldUDP64 session began (detail: its ten characters); ``end``: the venue ended it.
        * ``reset``: the numbers of the unit began anew.
        * ``too_old``: nothing more can wait behind the unit's first hole, which ends at ``detail``; packets are dropped (and
          missing) until it is filled or skipped.
        * ``conflict``: two packets with the same numbers (detail) say different things; one is damaged, nobody knows which.
        """

    def damaged(self) -> list[tuple[int, str, bytes]]:
        """Packets that could not be used since the last call: line, what is wrong, the bytes. At most 100; ``line`` counts all."""

    def line(self, line: int) -> Mapping[str, int]:
        """``packets``, ``won`` (brought something new), ``duplicates`` (nothing new), ``damaged``, ``disbelieved`` (of a session
        that is over, or a claim with which no other packet agreed)."""

    def unit(self, unit: int) -> Mapping[str, int]:
        """``expected`` (next number), ``top`` (one past the highest known), ``waiting_bytes``; over all sessions: ``gaps`` (holes
        seen), and in messages ``missing``, of these ``recovered`` and ``lost``, and ``overflowed`` (no room to wait)."""

    @property
    def units(self) -> list[int]:
        """Units that were met."""

@final
class PitchDecoder:
    """Cboe Multicast PITCH to records, with an order-by-order book for each symbol, for all units of one market.

    A message is at most one event, built as ItchDecoder's. Only Unit Clear and End of Session are several events: a notice, then
    one for each symbol concerned. All prices have scale 4, those of the short forms too; order and execution ids are numbers.

    * trades: 0x23, 0x24 (``side`` is the aggressor's), 0x2A, 0x2B, 0x30 (HIDDEN; the buyer was the aggressor if they name a resting
      sell, otherwise unknown, since ``B`` is written whatever the side). ``id`` is the execution id. Below the round lot: ODD_LOT.
    * bust: 0x2C, of one of the unit's last 65,536 executions; of another one a notice of the market with the execution id.
    * bid, ask: whenever price or shares of the best changed; ``detail`` is the number of orders. An empty side is NO_PRICE.
    * status (0x31), when it changes: live (T, L, the first quote of a symbol without a word), halted (H, S), auction (A, Q, R), closed
      (C, the end of the session). The four low bytes of ``id`` are status, Reg SHO action and the two reserved bytes, big-endian.
    * imbalance: 0x95, 0xD1; price is the indicative one (NO_PRICE if 0), size the paired, ``id`` the surplus, ``side`` its direction,
      ``detail`` the auction type's letter.
    * notice: ``detail`` is the message's type. Of the market (instrument 0): 0x97 and 0x2D have the unit as ``id``, 0xAE and 0xAF auction
      and execution id, 0x9D the lower strike as price, 0xD2 the multiplier as size. Of a symbol: 0x31 a new Reg SHO action, 0x96
      auction type, price and shares, 0x98 its letter, 0xAD auction id, price and contracts.

    0x2E and 0x9E give an option's symbol its OSI name: from then on it is an instrument in the house symbology with a round lot of 1.
    Messages of the TCP servers (0x01 to 0x04, 0x80 to 0x86) and transaction brackets say nothing. ``ts_event`` = midnight + the
    seconds of the unit's last Time message + offset; before the first one the receive time. Seconds that fall back by more than
    half a day are the next day's. ``seq`` is the sequence number of the message in its unit.
    """

    def __init__(
        self,
        venue: str,
        midnight_ns: int,
        *,
        symbols: Sequence[str] | None = None,
        depth: int = 0,
        round_lot: int = 100,
    ) -> None:
        """``symbols`` limits what is decoded; ``depth`` levels a side are published as book rows."""

    def decode(self, messages: Buffer, unit: int, first_seq: int, ts_recv: int) -> Decoded:
        """Decode messages of a unit, each beginning with its length (u8); ``first_seq`` 0 = they are not sequenced.

        ``instruments`` has every symbol met for the first time or given another name: ``symbol``, ``feed_symbol``, ``unit``, ``round_lot``,
        ``osi_symbol``. Dead letters, after which the next message is read: unknown type, too short for its type, side, size,
        price, status or symbol that cannot be, an order id in use, more shares taken than there were (the order is removed, the
        trade stands). A length that does not fit in the block ends it, as a dead letter. A message longer than known is read as
        far as it is known. ``unpriced`` counts messages of an order that was never seen (never with ``symbols``).
        """

    def decode_lines(self, blocks: Sequence[LineBlock]) -> Decoded:
        """Decode what an arbiter handed out, as one call. Offsets of dead letters are those in their own block."""

    def reset(self, unit: int) -> None:
        """Forget orders and books of a unit without a word: an image takes their place. Symbols, states and clock stay."""

    def clock(self, unit: int) -> int | None:
        """Seconds of the unit's last Time message."""

    def set_clock(self, unit: int, seconds: int | None, midnight_ns: int | None = None) -> None:
        """Set it, and the unit's day if one is given, without the passing of a midnight: an image has times of its own."""

    def instruments(self, unit: int) -> list[int]:
        """Instruments of a unit that were met and asked for."""

    def book(self, symbol: str, depth: int) -> tuple[list[tuple[str, int, int]], list[tuple[str, int, int]]]:
        """Bids and asks of a symbol, best first: price text, shares, number of orders."""

    def watch_books(self, instruments: Sequence[int], ts_recv: int) -> bytes:
        """Tell the best 50 levels of these instruments' books from now on, and of others no more than ``depth``.

        Instruments may be unknown yet. Returns whole books of those that are new, and that the others are not known any more.
        """

    def snapshot(self, ts_recv: int, unit: int | None = None) -> bytes:
        """Status, best bid and best ask of every symbol (of one unit), and its whole book where levels are told, flagged
        SNAPSHOT; an event each."""

    @property
    def orders(self) -> int:
        """Orders in all books."""

@final
class PitchTextDecoder:
    """PITCH as text (TCP PITCH) to records, as PitchDecoder: one message a line, ``S``, milliseconds, a letter, fields.

    A, d, 1 add; E executed; X cancel; P, r, 2 trade; B trade break; s symbol clear; H trading status; I, 3 auction update; J, 4 auction
    summary; R retail price improvement. ``detail`` of a notice is the letter. Ids are base 36 on the wire, numbers here. Prices
    have scale 4; those of the extended forms 1 to 4 may have 6. The ``S`` may be missing; control packets of the transport are skipped.
    """

    def __init__(
        self,
        venue: str,
        midnight_ns: int,
        *,
        symbols: Sequence[str] | None = None,
        depth: int = 0,
        round_lot: int = 100,
    ) -> None: ...
    def decode(self, lines: Buffer, first_seq: int, ts_recv: int) -> Decoded:
        """Decode whole lines; the beginning of one waits for the next call. ``first_seq`` is the number of the first message in them.

        Offsets of dead letters count from the beginning of ``lines`` (0 = or before it).
        """

    def finish(self, seq: int, ts_recv: int) -> Decoded:
        """Decode a last line without an end, if there is one."""

    def book(self, symbol: str, depth: int) -> tuple[list[tuple[str, int, int]], list[tuple[str, int, int]]]: ...
    def snapshot(self, ts_recv: int) -> bytes: ...
    @property
    def orders(self) -> int: ...

def pitch_messages(messages: Buffer) -> list[dict[str, object]]:
    """Every binary message as a dict: ``type`` (number), ``name``, and the specification's fields in snake case, prices as text.

    For tools and tests, and for what the TCP servers say; the live path of messages never builds these.

    Raises:
        ValueError: a message of unknown type, too short, or with a length that does not fit.
    """

@final
class FixRun:
    """One whole, checked FIX message; or several of market data (35=W X f d y) in a row.

    Several are one run if their MsgSeqNum follow each other, none is a PossDup, and BeginString and CompIDs are the same.
    """

    msg_type: str
    """MsgType (35) of the first."""
    begin: str
    """BeginString (8); empty in a bare file."""
    sender: str
    """SenderCompID (49)."""
    target: str
    """TargetCompID (56)."""
    first_seq: int
    """MsgSeqNum (34) of the first; 0 = it has none."""
    count: int
    poss_dup: bool
    """PossDupFlag (43) is Y."""
    sending_min_ns: int
    """Earliest SendingTime (52); 0 = none."""
    sending_max_ns: int
    offset: int
    """Where it begins in the data."""
    raw: bytes
    """The messages as they came, one behind the other: what FixDecoder takes."""

@final
class FixFrames:
    """What :func:`fix_split` found."""

    consumed: int
    """Bytes that are done with; keep the rest for the next read."""
    messages: int
    """Messages in all runs."""
    runs: list[FixRun]
    damaged: list[tuple[int, str, bytes, int]]
    """Offset, reason and raw bytes of what is no message, and how many runs came before it."""

def fix_split(
    data: Buffer,
    *,
    mode: str = "stream",
    message_max: int = 1048576,
    at_end: bool = False,
) -> FixFrames:
    """Split FIX tag=value text into messages: BeginString, BodyLength and CheckSum are checked, a header may begin with 1128.

    A damaged message ends at its own CheckSum field or where the next message begins, so that it takes no good one along.
    Data fields (95/96, 212/213, 354/355 and all others of FIX 5.0 SP2) may hold SOH.

    Args:
        data: the bytes from the last call's ``consumed`` on.
        mode: ``stream``; ``log`` = line ends, and what a line says before its message, are left out; ``bare`` = one message a
            line, none of them with 8, 9 or 10 (see :func:`fix_is_bare`).
        message_max: bytes of a message; a longer one is damaged. It bounds what a reader has to keep.
        at_end: nothing more comes: what is unfinished is damaged.

    Raises:
        ValueError: there is no such mode.
    """

def fix_is_bare(head: Buffer) -> bool:
    """The first line of a file holds fields, but none of 8, 9, 10 and 1128 first: read it in the mode ``bare``."""

def fix_fields(message: Buffer) -> list[tuple[int, str]]:
    """Fields of one message in order, values as Latin-1.

    Raises:
        ValueError: it is not made of fields.
    """

def fix_time(value: str) -> int | None:
    """UTCTimestamp (or UTCDateOnly), with or without separators, in ns since 1970; None = it is none."""

@final
class FixDecoded:
    """What one call decoded."""

    records: bytes
    """Whole events, in order."""
    texts: list[tuple[int, str]]
    """Texts of ids that are no numbers and of reasons, by index of the record."""
    instruments: list[Mapping[str, str]]
    """35=d and entries of 35=y: symbol, security_id, id_source, security_type, cfi_code, currency, exchange, description,
    maturity, strike, put_or_call, tick_size, lot_size, multiplier, status, book_depth, action, previous_close, request; each
    as the venue wrote it, empty where it did not."""
    events: list[tuple[str, str, str]]
    """What a session has to know: (``snapshot``, symbol, MDReqID) a full refresh came; (``lost``, symbol, reason) it has to be
    asked for; (``lost_all``, "", reason); (``refused``, MDReqID, code and text) of 35=Y; (``listed``, SecurityReqID, Y for the last
    part or N, then the result code 560) of 35=y; (``other``, MsgType, "") a message that brings no records."""
    messages: int
    """Messages understood."""
    dead: list[tuple[int, str, bytes]]
    """Messages not understood: offset in the block, reason, the raw bytes. At most 100 a call; ``dead_count`` counts all."""
    dead_count: int
    unpriced: int
    """Updates of an entry, a position or a price that the book does not have."""

@final
class FixDecoder:
    """FIX market data to records, with a level book for each instrument: 35=W, X, f, d, y, Y of FIX 4.4 and 5.0 SP2.

    A message is one event for each instrument in it: trades and statistics first, then the status, best bid and ask, levels; the
    last row is flagged. LastFragment (893=N) joins the next message to it. In a group an entry takes over 279, 269, 55, 48, 60,
    272, 273 and 625 from the entry before; in 35=W they may stand before the group. An instrument is known by Symbol (55), else by
    SecurityID (48), which definitions tie to symbols.

    * levels (269=0, 1): addressed by position (1023 or 290), else by MDEntryID (278, replacing 280), else by price. Actions: new,
      change, delete, delete thru (best to here), delete from (here to worst), overlay. ``J`` empties both sides. 264 of a definition
      bounds the book. Size 0 deletes; an entry without size is NO_SIZE. ``detail`` is the number of orders (346, or entries).
    * trades (269=2): new; change is a correction, delete a bust. ``id`` is 1003, else 880, else 278; a text is hashed and goes along.
      ``side`` by 2446 or 5797 (1 buyer, 2 seller). Conditions: 277 (E R opening auction, I K M late or out of sequence, AJ
      closing), 625 (2 opening, 4 closing, 6 8 9 other auction), 828 (62 hidden), and ODD_LOT below the round lot (561). In 35=W
      it is the last trade: SNAPSHOT.
    * prev_close: 269=e, 269=5 with 286=4, 269=5 of a 35=W without 286. volume: B. imbalance: A. index: 3. open_interest: C. Every
      other entry is a notice whose ``detail`` is the entry type's letter.
    * status, when it changes: 326 (1 2 4 halted, 3 17 23 live, 18 19 26 closed, 14 21 22 24 25 27 auction, 20 unverified; others
      are a notice ``f`` with the code as id), with the text of 327 or 58.
    * gap: RptSeq (83) counts an instrument's updates; ``id`` is how many are missing. An update with a number that the book has
      already is left out, but for trades.

    ``ts_event`` is 60, else 272 and 273, else 52; ``seq`` is MsgSeqNum (34).
    """

    def __init__(
        self,
        venue: str,
        *,
        symbols: Sequence[str] | None = None,
        depth: int = 0,
        wait_for_snapshot: bool = False,
        round_lot: str | None = None,
    ) -> None:
        """``symbols`` limits what is decoded; ``depth`` levels a side are published as book rows (size 0: gone).

        With ``wait_for_snapshot`` (live) an instrument is ``syncing`` until its first 35=W, and ``gap`` from a loss (a hole of RptSeq, an
        unknown entry, a crossed book while it trades, a damaged message, :meth:`lose`) to the next: meanwhile its levels are left out
        and trades are told. Without (logs) books begin empty, and a crossed one is flagged INVALID_BOOK. ``round_lot`` is that of
        instruments whose definition names none.

        Raises:
            ValueError: the round lot is no number.
        """

    def decode(self, messages: Buffer, ts_recv: int, *, flags: int = 0) -> FixDecoded:
        """Decode ``raw`` of a run; ``flags`` go on every row. A message that cannot be read changes nothing and is a dead letter."""

    def flush(self) -> FixDecoded:
        """End an event whose last fragment has not come (at the end of a log)."""

    def lose(self, symbols: Sequence[str] | None, *, missing: int, next_seq: int, ts_recv: int) -> bytes:
        """Enter a loss: a gap row and the state ``gap`` for each symbol (None = all that are known), until its next 35=W."""

    def expect(self, request: str) -> None:
        """From now on only full refreshes whose MDReqID (262) begins so count; those without one always do."""

    def hold(self, *, held: bool, ts_recv: int) -> bytes:
        """While a hole of the connection is being filled everything is ``gap``; afterwards what was not lost is as it was."""

    def watch_books(self, instruments: Sequence[int], ts_recv: int) -> bytes:
        """Tell the best 50 levels of these instruments' books from now on, and of others no more than ``depth``.

        Instruments may be unknown yet. Returns whole books of those that are new, and that the others are not known any more.
        """

    def snapshot(self, ts_recv: int) -> bytes:
        """Best bid and ask and status of every instrument that was told of, flagged SNAPSHOT."""

    def book(self, symbol: str, depth: int) -> tuple[list[tuple[str, str, int]], list[tuple[str, str, int]]]:
        """Bids and asks, best first: price text, size text, number of orders."""

    def names(self) -> Mapping[int, str]:
        """Symbol by instrument id, of everything that was met."""

# ------------------------------------------------------------------ captures and lines

@final
class Packets:
    """What :meth:`PacketReader.feed` found."""

    datagrams: list[bytes]
    """UDP payloads of the protocol."""
    times: list[int]
    offsets: list[int]
    """Of each datagram's packet in the (uncompressed) file."""
    flows: list[int]
    """Index into :meth:`PacketReader.flows`."""
    segments: list[tuple[int, int, int, int, bool, bytes]]
    """TCP segments: flow, time, offset, sequence number, begins a connection, payload."""
    damaged: list[tuple[int, str, bytes, bool]]
    """Offset, reason, bytes, and whether it is a datagram of a flow on which the protocol was never seen."""
    other: int
    """Whole packets without UDP or TCP data: ARP, IGMP, empty acknowledgements."""

@final
class PacketReader:
    """Reads pcap and pcapng files, fed in pieces: both byte orders, every resolution of time, several interfaces.

    Link types: Ethernet (VLAN tags too), Linux cooked 1 and 2, raw IP, loopback. A file that cannot be read any further is
    told once, as damage.
    """

    def __init__(self, protocol: Literal["moldudp64", "pitch"]) -> None: ...
    def feed(self, data: Buffer, *, is_end: bool = False) -> Packets:
        """Take the next bytes; with ``is_end``, what is left is damage."""

    def next_file(self) -> None:
        """Begin another file; flows are remembered."""

    def flows(self) -> list[str]:
        """Flows met so far: ``udp 10.0.0.1:1000 > 224.0.62.2:30001``."""

@final
class RecordWriter:
    """Records as lines, with names in place of numbers; columns and words are in ``docs/reference/decode.md``."""

    CSV_HEADER: Final[str]

    def __init__(self, venue: str, *, substitute_times: bool = False, reasons: bool = False) -> None:
        """``substitute_times``: an event time equal to the receive time stands in for one the venue did not give: null.

        ``reasons``: the low four bytes of a status' id are letters.
        """

    def define(self, instrument: int, venue: str, symbol: str) -> None:
        """Name an instrument."""

    def unknown(self, records: Buffer) -> list[int]:
        """Instruments of the records that have no name yet."""

    def jsonl(self, records: Buffer, texts: Mapping[int, str] | None = None) -> bytes:
        """One JSON object and a line feed for each; ``texts`` are texts of ids by index."""

    def csv(self, records: Buffer, texts: Mapping[int, str] | None = None) -> bytes:
        """Likewise, in the order of CSV_HEADER."""

@final
class RecordSums:
    """What :class:`RecordTally` knows of an instrument."""

    instrument: int
    trades: int
    size: list[tuple[int, int]]
    """(scale, total) parts of the exact sum of the sizes of all trades but those flagged HISTORY."""
    notional: list[tuple[int, int]]
    """Likewise of price times size."""
    quotes: int
    book_changes: int
    gaps: int
    bid: str | None
    ask: str | None
    state: str

@final
class RecordTally:
    """Counts and exact sums of records."""

    def __init__(self) -> None: ...
    def define(self, instrument: int) -> None:
        """List an instrument, also if no record of it ever comes."""

    def update(self, records: Buffer) -> None: ...
    def kinds(self) -> list[tuple[str, int]]:
        """Records by kind."""

    def instruments(self) -> list[RecordSums]:
        """In the order in which they appeared."""

# ------------------------------------------------------------------ normalise

@final
class Dedup:
    """Forgets nothing within a bounded window: first arrival of a composite key wins.

    The key of a trade, bust or correction is (instrument, kind, id); of anything with a venue sequence (instrument, kind, seq, price,
    size, detail); records with neither, those flagged SNAPSHOT, gaps and what concerns the market (instrument 0) always pass. An event passes or falls as a whole: it falls if
    all of its trades, busts and corrections were seen before, or, having none, all of its rows with a key.
    """

    def __init__(self, window: int) -> None:
        """Keep the last ``window`` keys.

        Raises:
            ValueError: a window of 0.
        """

    def filter(self, records: Buffer) -> bytes:
        """The records that were not seen before, in order."""

    @property
    def duplicates(self) -> int: ...
    @property
    def size(self) -> int: ...

@final
class Taken:
    """What became of the records of a read; see :class:`Intake`."""

    @property
    def records(self) -> bytes:
        """What is believed, known and new, in order; the very bytes given if nothing was changed or left out."""

    @property
    def unknown(self) -> bytes | None:
        """Records of instruments without a definition, if there are any."""

    @property
    def places(self) -> list[int] | None:
        """Of each record its index among those given; None if none was left out."""

    @property
    def ends(self) -> list[int]:
        """Where batches end, each behind the last row of an event."""

    @property
    def notable(self) -> int:
        """How many of the records are gap or status rows."""

@final
class Intake:
    """What a feed's records pass before they are batches, in one pass: the work of ``normalise/pipeline.py`` on each row.

    Event times too far ahead of the receive time are replaced by it and flagged CLOCK_SKEW; records of instruments that
    are not known are handed back; the others pass a :class:`Dedup`, and the newest state of each is kept.
    """

    def __init__(self, *, window: int, skew_ns: int, batch_max: int) -> None:
        """``window``: keys of the dedup; ``batch_max``: records of a batch, unless one event has more."""

    def begin_session(self, since_ns: int = 0) -> None:
        """Begin with an empty window: the numbers of what comes mean something else. Event times before ``since_ns`` say
        nothing of the venue's clock."""

    def take_lead(self) -> int | None:
        """The most that an event time was ahead of its receipt since the last call, ns; negative: the least delay. None:
        nothing came whose event time is the venue's word of now."""

    def learn(self, instruments: Sequence[int]) -> None:
        """Know instruments. Instrument 0, the market as a whole, is always known."""

    def take(self, records: bytes) -> Taken:
        """Take the records of a read.

        Raises:
            ValueError: the length is no multiple of 64.
        """

    def snapshot(self) -> bytes:
        """Newest bid, ask, status, previous close and trade of each instrument, each an event, flagged SNAPSHOT; then the
        whole books of those whose levels are told.

        A trade that sets no price (odd lot, out of sequence) does not replace one that does, HISTORY is left out; busts
        and corrections apply.
        """

    def told(self) -> bytes:
        """What was told, for a process that takes over (:class:`Told`): the dedup's keys, and rows without one."""

    @property
    def duplicates(self) -> int:
        """Records dropped because they were seen before, so far."""

    @property
    def skewed(self) -> int:
        """Records whose event time was not believed, so far."""

    @property
    def gaps(self) -> int:
        """Gap records not flagged BACKFILLED, so far."""

@final
class Told:
    """What another process of the feed told: see :meth:`Intake.told`."""

    def __init__(self, told: bytes) -> None:
        """Read it.

        Raises:
            ValueError: it is damaged.
        """

    def untold(self, records: bytes) -> list[int]:
        """Return indices of trades, busts, corrections and liquidations that it did not tell; from here on they count as told.

        Repeated states and history are none of them.

        Raises:
            ValueError: the length is no multiple of 64.
        """

@final
class LastRecords:
    """Newest bid, ask, status, previous close and trade of each instrument of a feed: what a late joiner is told.

    A trade that sets no price (odd lot, out of sequence) does not replace one that does, HISTORY is left out; busts and
    corrections apply.
    """

    def __init__(self) -> None: ...
    def update(self, records: Buffer) -> None: ...
    def snapshot(self) -> bytes:
        """Everything kept, each row an event, flagged SNAPSHOT."""

    def clear(self) -> None: ...

@final
class SequenceCheck:
    """Sequence and gap check of one scope (a feed session, a channel, an instrument): one object for each."""

    def __init__(self, expected: int = 0, *, reset_below: int = 0) -> None:
        """``expected`` is the next number, 0 = whatever comes first is right.

        A number that is ``reset_below`` or more below the expected one means that the venue began anew; 0 = never.
        """

    def check(self, first: int, count: int) -> tuple[str, int, int]:
        """Check ``count`` numbers from ``first`` on; 0 of them say what the next will be (a heartbeat).

        * ``("next", 0, 0)``: just what was expected.
        * ``("gap", a, b)``: numbers a to b are missing; this block is new.
        * ``("duplicate", a, b)``: all of it, a to b, was seen before.
        * ``("overlap", a, b)``: its numbers a to b were seen before, the rest is new.
        * ``("reset", a, b)``: the venue began anew; a was expected, b came.
        """

    def reset(self, expected: int = 0) -> None:
        """Begin a new session; the counters stay."""

    @property
    def expected(self) -> int: ...
    @property
    def gaps(self) -> int: ...
    @property
    def missing(self) -> int:
        """Numbers missing in all gaps."""

    @property
    def duplicates(self) -> int:
        """Numbers that came again."""

    @property
    def resets(self) -> int: ...

# ------------------------------------------------------------------ latest and fanout

CHANNELS: Final[tuple[str, ...]]
"""Names of the channels by number: ``price``, ``trades``, ``book:5``, ``book:10``, ``book:50``, ``bars:1s``, ``bars:1m``."""
CHANNEL_PRICE: Final = 0
CHANNEL_TRADES: Final = 1
MODE_MERGE: Final = 0
MODE_ALL: Final = 1
RATE_CLASSES: Final[tuple[int, ...]]
"""(0, 1, 2, 5, 10, 20); 0 is unfiltered."""
PRICE_FIELDS: Final[tuple[str, ...]]
"""Names of the fields of ``price`` in wire order; bit i of a field mask is the i-th name."""

@final
class Applied:
    records: int
    unknown: int
    """Records of an instrument without a definition; they were not applied."""
    late: int
    """Trades older than the current one by event time; counted in volume and seq, no new price."""
    unmatched: int
    """Busts and corrections of a trade that is not remembered."""
    malformed: int
    """Records whose scale no decimal can have; they were not applied."""
    changed: int
    """Topics (instruments and securities) that changed."""

@final
class Position:
    """Where a subscription stands: what an ack says."""

    state: str
    handle: int
    """By which binary codecs name the symbol; it belongs to this hub and never changes."""
    epoch: int
    seq: int
    rate: int
    """Class in force: 0 in mode ``all``."""
    fields: int
    """Mask in force, 0 = all of them, none by name: so too where ``field_sets_max`` different sets are in use already."""
    mode: int
    """Mode in force: ``all`` on ``trades``."""

@final
class Flushed:
    unsent: list[tuple[int, bytes]]
    """(client, bytes) that the socket did not take, or whose client has no descriptor: write them to its transport, in order, now.
    Until ``drained`` is called for the client, nothing more is gathered for it."""
    slow: list[int]
    """Clients over their limit of unsent bytes or of time without draining: close them with 4701."""
    broken: list[int]
    """Clients whose socket failed."""
    shifted: list[tuple[int, int, Literal["hidden", "slow", "overload", "restored"]]]
    """(client, highest rate class now allowed (0 = unfiltered), reason): clients to tell of a change."""
    next_ns: int
    """When the next flush has something to do; 0 = not before the next ``apply``."""
    is_partial: bool
    """Something conflated is still held by its own quantum, or clients wait for their turn."""
    frames: int
    """Frames encoded."""
    updates: int
    """Updates and trades handed to clients (the deliveries)."""
    bytes: int
    writes: int
    """``send`` calls."""

@final
class Hub:
    """Latest state, session statistics and consolidation of every instrument; counters, subscriptions, conflation, gathering.

    A *topic* is what a client can subscribe to: an instrument by ``VENUE:SYMBOL`` or a security by its bare name. The
    hub holds newest state per topic and a dirty set per client, never a queue of messages per client (but for the
    bounded buffer of mode ``all``). See ``docs/concepts/hub.md``.
    """

    def __init__(
        self,
        *,
        epoch: int,
        history_count: int = 256,
        history_ns: int = ...,
        quantum_max_ns: int = 10_000_000,
        buffer_max: int = 262_144,
        unsent_max: int = 1_048_576,
        undrained_max_ns: int = ...,
        field_sets_max: int = 16,
        exclude_conditions: int = 3,
        trade_memory: int = 64,
        sends_max: int = 256,
        watermark: int = 65_536,
        slow_blocked_ns: int = ...,
        slow_recover_ns: int = ...,
        digest_every: int = 50,
        bars_kept: tuple[int, int] = (60, 120),
        late: str = "",
    ) -> None:
        """``epoch``: the first to give out; it and all above must never have been used. ``exclude_conditions``: trades with one of these
        conditions set no price (they count in volume and seq). ``trade_memory``: trades remembered for each instrument, so that busts
        and corrections can be applied. ``sends_max``: clients that a flush sends to before it says "again at once". ``watermark``: bytes that
        the kernel could not send yet at which a socket counts as full; 0 = as the system has it. ``slow_blocked_ns``: time blocked, of about
        the last second, after which a client goes one rate class down (0 = never), ``slow_recover_ns`` time without a block until it goes
        one up. ``digest_every``: a book's digest is in every so many of its updates. ``bars_kept``: bars of a second and of a minute kept
        of each instrument. ``late``: why nothing here is of now; what would be ``live`` is shown as ``delayed``, for this reason."""

    # what is known of the world
    def save(self) -> bytes:
        """Return what is known, with every topic's epoch, counters and history, for a hub that takes over; no clients.

        Raises:
            ValueError: it cannot be written down.
        """

    def restore(self, saved: bytes) -> None:
        """Take over what another hub knew; this one must know nothing yet. Epochs and counters go on.

        Raises:
            ValueError: it is of another release, damaged, or contradicts itself; this hub still knows nothing.
        """

    def define(self, definitions: Sequence[object], now_ns: int) -> int:
        """Take :class:`tickcast.model.instrument.Definition` objects; repeats are harmless. Returns how many are new."""

    def set_calendar(self, name: str, starts: Sequence[int], wall_clock: bool) -> None:
        """Session starts of a calendar, ascending. With ``wall_clock`` a session also rolls when ``tick`` passes its start; without
        (replays) only when a trade's event time does."""

    def apply(self, records: Buffer, now_ns: int, texts: Sequence[str | None] | None = None) -> Applied:
        """Apply whole events. Order of time, busts, corrections and consolidation as the design says."""

    def set_feed_state(self, feed: str, state: int, reason: str, now_ns: int) -> int:
        """Overlay: every instrument of the feed is at best this (``State.LIVE`` lifts it). Returns how many topics changed."""

    def set_feed_clock(self, feed: str, ahead_ns: int) -> None:
        """Take how far the clock of a feed's venue is certainly ahead of ours (negative: behind): its trades count as of so
        much earlier where they are compared with other venues'."""

    def tick(self, now_ns: int) -> None:
        """Let time pass: bars end, sessions roll by the clock."""

    # lookups
    def price(self, symbol: str, strings: bool = False) -> bytes | None:
        """The whole state of a topic as one JSON object (REST's), or None if there is no such topic."""

    def book(self, symbol: str, depth: int, strings: bool = False) -> bytes | None:
        """The best levels of a topic's book as one JSON object (REST's), or None if there is no such topic."""

    def bars(self, symbol: str, channel: int, limit: int, strings: bool = False) -> bytes | None:
        """The newest bars of a topic, oldest first, as one JSON object (REST's); ``channel`` is one of bars. None if there is no such
        topic.

        Raises:
            ValueError: No channel of bars.
        """

    def position(self, symbol: str, channel: int) -> Position | None: ...
    def topics(self) -> int: ...
    def watched(self) -> list[tuple[str, int]]:
        """Topics that are subscribed to, and how many subscriptions each has."""

    def watched_books(self) -> list[str]:
        """Topics whose book is subscribed to, to any depth."""

    def renew(self, symbol: str) -> int | None:
        """Begin a new epoch of a topic, because continuity cannot be proved any more: counters and history start over.

        Everyone on its ``price`` gets a snapshot. Returns the epoch; None = no such symbol.
        """

    # clients
    def open(self, fd: int) -> int:
        """A new client; ``fd`` -1 = everything goes through the transport."""

    def close(self, client: int) -> None:
        """Forget a client, before its descriptor is closed; its number is never used again.

        Every method takes the number of a client that is gone, and does nothing.
        """

    def configure(self, client: int, *, codec: int, batch: bool) -> None:
        """How the client is written to, from the next ``reply`` on.

        ``codec``: 0 JSON, 1 JSON with numbers as strings, 2 MessagePack, 3 compact MessagePack, 4 Protobuf, 5 the link to a
        gateway worker, 6 and 7 as 0 and 1 but as server-sent events, without WebSocket. ``batch``: every message an array, of one reply or of many updates.
        """

    def subscribe(
        self, client: int, channel: int, symbol: str, rate: int, fields: int, mode: int, now_ns: int
    ) -> Position | None:
        """Begin (or change) a subscription; its snapshot goes out with the next flush, behind what ``reply`` queued before.

        ``rate`` is a class of RATE_CLASSES, ``fields`` a mask (0 = all). None = no such symbol. On ``trades`` there is no snapshot,
        and the mode is always ``all``; in mode ``all`` the rate is always 0 (the returned position says what is in force).
        Again with the same values: no change, no new snapshot; with others: a snapshot, and the counting goes on.
        """

    def unsubscribe(self, client: int, channel: int, symbol: str) -> bool: ...
    def subscriptions(self, client: int) -> list[tuple[int, str, int, int, int]]:
        """(channel, symbol, rate class, fields, mode) of each."""

    def resume(
        self,
        client: int,
        channel: int,
        symbol: str,
        now_ns: int,
        *,
        epoch: int = 0,
        seq: int = 0,
        last_seen_ns: int = 0,
        precision_ns: int = 1,
    ) -> str | None:
        """Pick up after ``epoch, seq`` (or after the timestamp, known to ``precision_ns``), right after ``subscribe``.

        None = recovered: the pending snapshot is withdrawn unless something changed; missed trades are queued. Otherwise the reason
        (``epoch_changed``, ``ahead``, ``too_old``, ``unknown``), and the snapshot goes out. A timestamp that fits several positions: on
        ``price`` None and the snapshot goes out, on ``trades`` ``unknown``. Call ``reply`` before ``flush``: what is missed comes behind it.
        """

    def sync(self, client: int, now_ns: int) -> list[tuple[int, str, int, int, int, int, int, int]]:
        """Put what is pending of the client into its buffer and answer with the counters.

        (channel, symbol, epoch, seq, published, delivered, merged, lost) of each subscription; published = delivered + merged + lost.
        Each frame that brings a newer ``seq`` (an update, a trade, a snapshot) is one delivered, what it skips is merged.
        Missed trades that ``resume`` repeats lie before the ack's ``seq`` and are not counted.
        """

    def reply(self, client: int, payload: Buffer) -> None:
        """Queue one text message (one JSON object) behind what earlier calls caused and before what later calls cause.

        For a client with ``batch`` it is put into an array.
        """

    def control(self, client: int, opcode: int, payload: Buffer = b"") -> None:
        """Queue a control frame: 8 close, 9 ping, 10 pong."""

    def set_ids(self, client: int, prefix: Buffer, most: int, *, each: bool = False) -> None:
        """Let events of a client (codec 6 or 7) carry ids that say where it stands in all of its symbols.

        Each begins with ``prefix`` and has at most ``most`` bytes; what does not fit is left out. Long ones are on some
        writes only, unless they shall be on ``each`` trade.
        """

    def place_of(self, client: int) -> bytes:
        """Where the client stands, as its next id says it; empty without ``set_ids``."""

    def encode(self, now_ns: int) -> int:
        """First half of a flush: encode what is due and hand out references, unless the quantum holds it.

        Returns 0 (go on with ``send``), or when to come back.
        """

    def send(self, now_ns: int) -> Flushed:
        """Second half, right behind ``encode``: gather and send, one call for each client that has something.

        To ``sends_max`` clients, urgent ones first; where others wait for their turn, ``next_ns`` is now and ``is_partial`` true.
        """

    def flush(self, now_ns: int, only: int = -1) -> Flushed:
        """Encode what is due, gather each client's frames and send them with one call each.

        Within the quantum since the last flush it does nothing but say ``next_ns``. ``only``: one client's replies, snapshots and
        what it already has, at once.
        """

    def set_hidden(self, client: int, hidden: bool) -> None:
        """A client that shows nothing gets everything once a second (mode ``all`` and trades as before); when it shows again, one
        snapshot of each. Idempotent."""

    def set_cap(self, rate: int) -> None:
        """No client gets more than a rate class, 0 = no cap. It reaches the clients over the next flushes; ``shifted`` says whom."""

    def set_wall_ahead(self, ahead_ns: int) -> None:
        """How far the wall clock is ahead of the times that the other methods are told, ns; 0 at first.

        Times in frames and in the state are those of the wall clock; what is measured (rates, ages, deadlines) is not.
        """

    def set_quantum_floor(self, floor_ns: int) -> None:
        """No flush quantum is shorter than this; 0 = as is found by what is sent."""

    def frame_bytes(self) -> int:
        """Bytes of frames that clients wait for: cheap, for a look at each flush."""

    def drained(self, client: int) -> None:
        """The transport's own buffer is empty again: the next ``flush``, which should follow, brings the client up to date."""

    def unsent(self, client: int) -> int: ...
    def quiet(self, before_ns: int) -> list[int]:
        """Clients to which no message has been sent since ``before_ns``: those that are due a heartbeat.

        A client that was just opened counts from its first ``flush``.
        """

    def memory(self) -> Mapping[str, int]:
        """Sizes for metrics; walks through everything, so not on every flush.

        ``clients``, ``blocked``, ``subscriptions``, ``topics``, ``groups``, ``field_sets``, ``frame_bytes``, ``buffered_bytes``,
        ``unsent_bytes``, ``price_history``, ``trade_history`` (entries), ``quantum_ns`` (the flush quantum now).
        """

    # links to gateway workers: clients with codec 5
    def serve(self, link: int, kind: int, message: Buffer, now_ns: int) -> tuple[str, int, str, int] | None:
        """Serve one frame of a worker; what the hub cannot answer comes back.

        That is ``("hello", pid, name, 0)`` or ``("match", token, pattern, limit)``.

        Raises:
            LinkBroken: no worker of this version sends that.
        """

    def tell_matched(self, link: int, token: int, symbols: Sequence[str]) -> None:
        """Answer a ``match``."""

    def tell_listed(self, link: int, pattern: str, symbols: Sequence[str]) -> None:
        """Tell symbols that are new and fall under a pattern, with what they are."""

    def tell_notes(self, link: int, texts: Sequence[str], is_whole: bool) -> None:
        """Hand over messages of channel ``status``; ``is_whole``: what was told before is void."""

    def tell_refused(self, link: int, reason: str) -> None:
        """Say why the link is closed."""

class LinkBroken(Exception):  # noqa: N818  named for what happened
    """What came over a link is none of its frames: the link is to be closed."""

@final
class LinkReader:
    """Cuts what a worker sends into frames; holds at most one that is not finished."""

    def __init__(self) -> None: ...
    def feed(self, data: Buffer) -> list[tuple[int, bytes]]:
        """Kind and message of each frame that is whole.

        Raises:
            LinkBroken: a length that no frame has.
        """

@final
class WorkerHub:
    """The hub of a gateway worker: its clients over a mirror of the owner's state, which is filled by ``feed``.

    Methods that concern clients are those of :class:`Hub`. Counters, epochs and history are the owner's. See
    ``docs/concepts/workers.md``.
    """

    def __init__(
        self,
        *,
        history_count: int = 256,
        history_ns: int = ...,
        quantum_max_ns: int = 10_000_000,
        buffer_max: int = 262_144,
        unsent_max: int = 1_048_576,
        undrained_max_ns: int = ...,
        field_sets_max: int = 16,
        sends_max: int = 256,
        watermark: int = 65_536,
        slow_blocked_ns: int = ...,
        slow_recover_ns: int = ...,
        digest_every: int = 50,
    ) -> None: ...

    # the link
    def linked(self, name: str, pid: int, now_ns: int) -> None:
        """A link is there: greet, and ask again for everything that is watched."""

    def unlinked(self, reason: str, now_ns: int) -> None:
        """The link is gone: everything is ``stale`` for this reason, and what was asked is void."""

    def feed(self, data: Buffer, now_ns: int) -> tuple[str, int, list[str]] | None:
        """Take in what the owner sent, up to what is not for the hub; call again with nothing until None comes.

        ``("done", token, [])``: an answer is complete, and the hub stands where it says until more is fed. ``matched``, ``listed``,
        ``note``, ``welcome``, ``refused``: see ``proto/link.proto``.

        Raises:
            LinkBroken: no owner of this version sends that.
        """

    def outbox(self) -> bytes:
        """Take what is to be sent to the owner."""

    def prepare(self, client: int, wants: Sequence[tuple[int, str, int, int, int, int, int, int]]) -> int:
        """Ask for what a client is about to subscribe to (:class:`tickcast.ports.Want`); returns a token, 0 = nothing is needed."""

    def barrier(self, client: int) -> int:
        """Ask for everything published for a client's subscriptions; returns a token, 0 = it has none."""

    def ask_match(self, pattern: str, limit: int) -> int: ...
    def settle(self, token: int) -> None:
        """An answer was used, or nobody waits for it any more."""

    def sweep(self, now_ns: int, idle_ns: int) -> None:
        """Ask for what is watched and not sent, withdraw what nobody watches since ``idle_ns``, tell how many watch."""

    def interests(self) -> int:
        """Channels of symbols in a rate class that the owner sends."""

    # as in Hub
    def price(self, symbol: str, strings: bool = False) -> bytes | None:
        """REST's object, as far as the owner sends the symbol; None: it was never told of it."""

    def position(self, symbol: str, channel: int) -> Position | None: ...
    def topics(self) -> int: ...
    def open(self, fd: int) -> int: ...
    def close(self, client: int) -> None: ...
    def configure(self, client: int, *, codec: int, batch: bool) -> None: ...
    def subscribe(
        self, client: int, channel: int, symbol: str, rate: int, fields: int, mode: int, now_ns: int
    ) -> Position | None: ...
    def unsubscribe(self, client: int, channel: int, symbol: str) -> bool: ...
    def subscriptions(self, client: int) -> list[tuple[int, str, int, int, int]]: ...
    def resume(
        self,
        client: int,
        channel: int,
        symbol: str,
        now_ns: int,
        *,
        epoch: int = 0,
        seq: int = 0,
        last_seen_ns: int = 0,
        precision_ns: int = 1,
    ) -> str | None:
        """What the owner said of the mark that ``prepare`` told it; ``unknown`` without an answer."""

    def sync(self, client: int, now_ns: int) -> list[tuple[int, str, int, int, int, int, int, int]]: ...
    def reply(self, client: int, payload: Buffer) -> None: ...
    def control(self, client: int, opcode: int, payload: Buffer = b"") -> None: ...
    def set_ids(self, client: int, prefix: Buffer, most: int, *, each: bool = False) -> None: ...
    def place_of(self, client: int) -> bytes: ...
    def encode(self, now_ns: int) -> int: ...
    def send(self, now_ns: int) -> Flushed: ...
    def flush(self, now_ns: int, only: int = -1) -> Flushed: ...
    def set_hidden(self, client: int, hidden: bool) -> None: ...
    def set_cap(self, rate: int) -> None: ...
    def set_wall_ahead(self, ahead_ns: int) -> None: ...
    def set_quantum_floor(self, floor_ns: int) -> None: ...
    def frame_bytes(self) -> int: ...
    def drained(self, client: int) -> None: ...
    def unsent(self, client: int) -> int: ...
    def quiet(self, before_ns: int) -> list[int]: ...
    def memory(self) -> Mapping[str, int]: ...

# ------------------------------------------------------------------ the wire: RFC 6455, server side

@final
class FrameReader:
    """Reads a client's WebSocket frames (RFC 6455 section 5): masks, fragments, control frames, UTF-8. Holds memory only while a frame is unfinished."""

    def __init__(self, max_size: int) -> None:
        """``max_size``: of a message, in bytes."""

    def feed(self, data: Buffer) -> list[tuple[int, bytes]]:
        """(opcode, payload) of every complete message and control frame: 1 text, 2 binary, 8 close, 9 ping, 10 pong.

        Raises:
            ProtocolError: ``args`` = (close code 1002, 1007 or 1009, reason); frames before the damage come first, with the next call raising.
                So look at ``error`` after a call that returned some. After a close frame or an error nothing more is read.
        """

    @property
    def error(self) -> tuple[int, str] | None:
        """What the next call would raise: (close code, reason); None = all is well."""

    @property
    def pending(self) -> int:
        """Bytes of an unfinished frame or message held; 0 = between messages."""

class ProtocolError(Exception):
    """The peer broke RFC 6455: (close code, reason)."""

# ------------------------------------------------------------------ the load tool

@final
class LoadEngine:
    """Many simulated clients of one gateway, in the calling thread."""

    def __init__(self, plan: bytes) -> None:
        """``plan``: a ``Plan`` as JSON (``cli/load_plan.py``).

        Raises:
            ValueError: it is no plan.
            OSError: the system gives no poll.
        """

    def run(self, seconds: float) -> None:
        """Work for so long, without the GIL.

        Raises:
            OSError: the system's poll failed.
        """

    def stop(self) -> None:
        """Close all clients and open none any more; ``run`` on until ``report`` has none that is closing."""

    def report(self) -> bytes:
        """Clients in each phase, and the counts so far: ``Report`` of ``cli/load_report.py`` as JSON."""

def load_bins() -> list[float]:
    """Middle of each bin of the latencies, in microseconds."""

def load_scan(
    message: bytes, *, msgpack: bool = False
) -> list[tuple[str, str | None, int | None, int | None, int | None, int, int | None, int | None]]:
    """What the load tool sees in a message, of JSON or MessagePack.

    For each frame: type, symbol as it is written, handle, epoch, seq, count, ``server_timestamp`` and ``timestamp`` in ns.

    Raises:
        ValueError: it is no such message.
    """
