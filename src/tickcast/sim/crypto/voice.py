"""The contract of a voice: how one simulated venue talks.

A voice is pure: no sockets, no clock, and no books; :class:`tickcast.sim.crypto.venue.SimVenue` keeps those, passes
what is sent through the fault gate, and calls the voice with what is to be said. The voice turns a client's frames into
topics (:class:`~tickcast.sim.crypto.state.Topic`) and answers, and news into frames. What it returns is written once
for each topic that somebody listens to, however many do.

To write one (``sim/crypto/okx.py``), subclass :class:`Voice`, list the instruments in :meth:`Voice.products`, and add a
line to ``VOICES`` in :mod:`tickcast.sim.crypto.voices`. ``poloniex.py`` is a small complete model.

Order of what a client gets: answers of :meth:`Voice.receive`, then for each new topic what :meth:`Voice.begin` says
(a book's snapshot, recent trades, the newest values), then the answers that come ``behind`` that, then news.

The numbers that a venue's proof of continuity needs are in :class:`~tickcast.sim.crypto.state.BookNews`: ``first`` and
``last`` count the changes of the instrument's book (Binance ``U``, ``u``, Deribit's ``change_id``, OKX's ``seqId``),
``previous`` is the ``last`` of the stream's message before, ``count`` counts the stream's messages (Bybit's ``u``), and
``client.sent`` those of a connection (Coinbase's ``sequence_num``, written in :meth:`Voice.dress`).
"""

import gzip
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

import msgspec

from tickcast.sim.crypto.listing import Product, Spot
from tickcast.sim.crypto.state import BookNews, Client, Instrument, Kind, Stream, Topic, Trade

_CHECKSUM: Final = re.compile(rb'("(?:checksum|cs)":\s*"?)(-?\d+)')


@dataclass(slots=True)
class Reaction:
    """What follows from a client's frame."""

    answers: list[bytes] = field(default_factory=list)
    subscribe: list[Topic] = field(default_factory=list)
    """Topics that it has already begin again: a resubscription brings a new snapshot."""
    unsubscribe: list[Topic] = field(default_factory=list)
    asked: list[Topic] = field(default_factory=list)
    """Books that it wants whole, of the numbers that their streams have: written by :meth:`Voice.asked`."""
    behind: list[bytes] = field(default_factory=list)
    """Answers that come behind what the topics begin with."""
    close: tuple[int, str] | None = None
    """Close code and reason: after the answers."""


@dataclass(frozen=True, slots=True)
class RestRequest:
    """A GET, or where the venue wants it so a POST without a body."""

    path: str
    query: Mapping[str, str]
    now_ns: int
    """As told: the clock fault is in it."""
    method: str = "GET"


@dataclass(frozen=True, slots=True)
class RestAnswer:
    """Its answer."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The venue's rules."""

    messages_per_s: float = 0
    """Frames a client may send; beyond it the connection is closed. 0 = any number."""
    topics_max: int = 1024
    """Of one connection; the voice refuses more."""
    weight: int = 0
    """REST weight (see :meth:`Voice.weight`) of one address in ``weight_per_s``; beyond it 429. 0 = any."""
    weight_per_s: float = 60.0
    silence_max_s: float = 0.0
    """A client that sends nothing for so long is closed (OKX: 30 s, hence its ping). 0 = never."""
    heartbeat_s: float = 0.0
    """:meth:`Voice.heartbeat` is called for each client so often. 0 = never."""
    pings: bool = False
    """The server sends the WebSocket protocol's pings, and closes clients that do not answer."""


class Voice(ABC):
    """How one venue talks; made once, with the venue's instruments."""

    code: ClassVar[str]
    """House code: ``OKX``."""
    paths: ClassVar[Mapping[str, str]] = {"": "/"}
    """Names of the venue's socket addresses and their paths. A client's path may go on behind it (``/ws/NAME``)."""
    rest_prefix: ClassVar[str] = "/"
    """Requests for other paths are answered with 404 without asking."""
    house: ClassVar[House] = House()
    weight_header: ClassVar[str] = ""
    """Header of REST answers that tells the weight used in the running window; empty = none."""
    restart: ClassVar[Literal["cut", "snapshot", "continue"]] = "cut"
    """When the venue begins its numbers anew: connections are cut; or a snapshot with low numbers comes (Bybit); or the
    stream goes on with lower numbers, whose ``previous`` is still the old one (OKX)."""
    trades_restart: ClassVar[bool] = False
    """Trade ids begin anew too."""
    dressed: ClassVar[bool] = False
    """:meth:`dress` is called for every frame and client."""
    checksums: ClassVar[bool] = True
    """Its books have checksums, where the dialect knows any."""
    asks: ClassVar[bool] = False
    """It asks clients whether they live, in messages of its own, and closes those that do not answer."""
    packing: ClassVar[Literal["", "gzip"]] = ""
    """How every frame is packed before it is sent, in a binary message."""
    single_changes: ClassVar[bool] = False
    """:meth:`book` is given one change at a time of derivatives: each is a state of the book (KuCoin)."""
    stocks: ClassVar[bool] = False
    """:meth:`products` is given tokenised stocks too."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self.instruments = instruments
        self.by_native = {(one.product.market, one.native): one for one in instruments}
        self.refused: list[tuple[Kind, Instrument]] = []
        """What is not to be had now: a subscription is refused as the venue does it."""

    def takes(self, topic: Topic) -> bool:
        """Whether a subscription is to be had now: for :meth:`receive`."""
        return not any(
            topic.kind == kind and topic.native == one.native and topic.market in {"", one.product.market}
            for kind, one in self.refused
        )

    @classmethod
    @abstractmethod
    def products(cls, spots: Sequence[Spot], start_ns: int) -> list[Product]:
        """List the venue's instruments, from pairs of the common market, biggest first; keep derivatives few."""

    # ------------------------------------------------------------------ a connection

    def greet(self, client: Client) -> Reaction:
        """Say what a new connection gets first; topics that its address names. Many venues say nothing."""
        del client
        return Reaction()

    @abstractmethod
    def receive(self, client: Client, frame: bytes, now_ns: int) -> Reaction:
        """Take a client's frame: answers (also to what is no JSON), topics, pongs. Never raises."""

    def heartbeat(self, client: Client, now_ns: int) -> Reaction:
        """Say what a client gets every ``house.heartbeat_s``; may close one that owes an answer."""
        del client, now_ns
        return Reaction()

    def farewell(self, client: Client, now_ns: int) -> Sequence[bytes]:
        """Announce that the connection will be closed soon (a planned cut); nothing where venues just close."""
        del client, now_ns
        return ()

    def dress(self, client: Client, topic: Topic | None, payload: bytes) -> bytes:
        """Make the frame for this client of what was written for all; ``topic`` None: an answer or a greeting.

        ``client.sent`` is the number of frames before it.
        """
        del client, topic
        return payload

    # ------------------------------------------------------------------ news

    @abstractmethod
    def begin(self, stream: Stream, book: BookNews | None, now_ns: int) -> Iterable[bytes]:
        """Say what a topic begins with: a book's snapshot (``book`` has all levels), history, newest values."""

    def asked(self, client: Client, instrument: Instrument, topic: Topic, book: BookNews, now_ns: int) -> bytes:
        """Write a whole book that a client asked for on its connection; only where :attr:`Reaction.asked` names one."""
        del client, instrument, topic, book, now_ns
        return b""

    def pack(self, frame: bytes) -> bytes:
        """Return a frame as it is sent."""
        return gzip.compress(frame, compresslevel=1, mtime=0) if self.packing else frame

    @abstractmethod
    def book(self, stream: Stream, news: BookNews, now_ns: int) -> Iterable[bytes]:
        """Write what changed in a book, or with ``news.snapshot`` a whole one."""

    @abstractmethod
    def trades(self, stream: Stream, instrument: Instrument, trades: Sequence[Trade], now_ns: int) -> Iterable[bytes]:
        """Write trades of one slice, oldest first; of topics of kind ``liquidation``, the liquidations among them."""

    @abstractmethod
    def values(self, stream: Stream, instrument: Instrument, now_ns: int) -> Iterable[bytes]:
        """Write what a topic of any other kind says of an instrument now (quote, ticker, mark, status, ...)."""

    # ------------------------------------------------------------------ REST

    @abstractmethod
    def rest(self, request: RestRequest, books: "Books") -> RestAnswer:
        """Answer a request: instrument lists, books, the time; errors as the venue writes them."""

    def weight(self, request: RestRequest) -> int:
        """Weigh a request."""
        del request
        return 1

    def too_many(self) -> RestAnswer:
        """Write the answer of status 429, without Retry-After."""
        return RestAnswer(b"{}", status=429)

    # ------------------------------------------------------------------ for faults

    def spoil_checksum(self, payload: bytes) -> bytes | None:
        """Return a book message with a wrong checksum; None: it has none."""
        spoilt, count = _CHECKSUM.subn(lambda found: found[1] + str(int(found[2]) ^ 1).encode(), payload, count=1)
        return spoilt if count else None


class Books(ABC):
    """What a voice may ask the venue when it answers REST requests."""

    @abstractmethod
    def snapshot(self, instrument: Instrument, depth: int) -> BookNews:
        """Return the whole book of now, to ``depth`` levels a side (0 = all); ``last`` is its id."""


def json(body: object) -> bytes:
    """Encode as JSON."""
    return msgspec.json.encode(body)


def ladder(instrument: Instrument, levels: Sequence[tuple[int, int]]) -> str:
    """Write levels as the list of ``["price","size"]`` that most venues send."""
    price, size = instrument.price, instrument.size
    return ",".join([f'["{price(ticks)}","{size(lots)}"]' for ticks, lots in levels])
