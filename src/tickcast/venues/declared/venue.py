"""What a JSON venue adds to its declared dialect: a class of short methods, without any state of the conversation.

:class:`tickcast.venues.declared.session.DeclaredSession` drives it: it lists the instruments, spreads channels over
links within the limits, subscribes, answers pings, lets the core decode, repairs what breaks, and keeps the ledger.
The venue only says how its messages are written.
"""

from abc import ABC, abstractmethod
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

from tickcast.model.instrument import AssetClass
from tickcast.model.record import State
from tickcast.venues.base import Quota as Quota  # noqa: PLC0414  venues import it from here
from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.declared.dialect import Dialect

UNREADABLE: Final = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What a venue's Python raises over a message that is not what it expects: msgspec's errors and those of UTF-8 are
ValueErrors, JSON that is nested too deep is a RecursionError, and a mapper that believed a key to be there has a
KeyError. None of them ends a feed."""


def reason_of(wrong: Exception) -> str:
    """Return the reason of a dead letter: the error's text, with its kind where that alone says nothing."""
    return str(wrong) if isinstance(wrong, ValueError) else f"{type(wrong).__name__}: {wrong}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the venue allows; with the page that says so in NOTES.md."""

    channels_per_link: int
    channels_at: Mapping[str, int] = field(default_factory=dict)
    """Fewer on one link at some of the :attr:`Venue.endpoints`."""
    channels_per_message: int = 50
    """Of one subscribe message."""
    messages: Quota | None = None
    """We send on one link."""
    asks: Quota | None = None
    """Requests for books on one link (:meth:`Venue.ask_book`): each is sent so long after the answer to the one before
    (:mod:`.asks`)."""
    connects: Quota | None = None
    """New connections of one address."""
    lifetime_s: float = 0.0
    """The venue closes a connection of this age: another one takes its place before. 0 = it does not."""
    weight: Quota | None = None
    """REST: sum of :attr:`tickcast.venues.base.Request.weight`."""
    weight_header: str = ""
    """Header of a REST answer that tells how much of ``weight`` this address has used of the running window."""

    def room(self, endpoint: str) -> int:
        """Return how many channels a link at an endpoint carries."""
        return min(self.channels_per_link, self.channels_at.get(endpoint, self.channels_per_link))


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An instrument as the venue lists it."""

    native: str
    """The venue's name, as it stands in the messages of its market."""
    symbol: str
    """House symbology: see :class:`tickcast.model.instrument.Definition`."""
    asset_class: AssetClass
    currency: str
    """Of prices."""
    market: str = ""
    """Namespace of ``native`` where a name means several instruments (``spot``, ``linear``)."""
    state: State = State.LIVE
    """By the venue's list: ``live`` while it trades."""
    tick_size: str | None = None
    lot_size: str | None = None
    contract_size: str | None = None
    settle_currency: str | None = None
    underlying: str | None = None
    """House symbol of what it derives from."""
    strike: str | None = None
    expiry: str | None = None
    """RFC 3339, UTC."""
    option_type: Literal["call", "put"] | None = None
    also: tuple[str, ...] = ()
    """Other names of it in messages: over REST it may be spelt in another way."""
    time_precision: int = 3
    """Digits of a second in the venue's event times: 3, 6 or 9."""


@dataclass(frozen=True, slots=True)
class Channel:
    """Something to subscribe to: ``name`` is the venue's word, ``native`` empty where it is not of one instrument."""

    name: str
    native: str = ""
    market: str = ""
    endpoint: str = ""
    """Which of the venue's socket addresses serves it: a key of :attr:`Venue.endpoints`."""
    book: bool = False
    """It carries the instrument's book: subscribed anew to repair it."""
    handle: str = field(default="", compare=False)
    """What the venue calls this subscription, as :class:`Acknowledged` said it (Bitfinex's ``chanId``): it is there
    when :meth:`Venue.unsubscribe` is asked."""


@dataclass(frozen=True, slots=True)
class Print:
    """What tells a trade from the others of its instrument."""

    ident: int
    """As in the record: the venue's number, or the hash of its text."""
    seq: int
    ts_ns: int
    """Of the event."""
    covers: int = 1
    """Ids that it stands for, the last of them its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeHistory:
    """What the venue tells over REST of trades that the stream missed; how it is read says ``Dialect.rest_trades``."""

    order: Literal["id", "seq", "place"] = "id"
    """What says which of two trades came first: their ids, their sequence, or only their place in the answer."""
    backwards: bool = False
    """Answers hold the newest trades that fit the request: the next page is an older one."""
    page: int = 1000
    """Trades of a full answer: fewer say that there are no more."""
    pages_max: int = 20
    """More are not asked for: the rest is given up."""
    overlaps: bool = False
    """An answer holds the trade that it was asked from, too (``after`` forwards, ``before`` backwards): one that does
    not begins too late, or is older than the stream. Of trades that nothing counts."""
    reach: str
    """For people: how far back the venue tells trades."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """Where the venue's time stands in the answer to :meth:`Venue.clock_request`."""

    path: str
    """Keys and places of lists, joined by dots."""
    unit: Literal["s", "ms", "us", "ns"]
    """What it is told in whole numbers of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What the venue says before a link may be opened."""

    target: str
    """The whole address, with whatever proves the admission (a token)."""
    ping_interval_s: float = 0.0
    """Above 0: the venue wants :meth:`Venue.ping` so often on this link, in place of :attr:`Venue.ping_interval_s`."""


# ------------------------------------------------------------------ what a cold frame says


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Subscriptions are confirmed: these, or without any all of the oldest message not answered yet.

    ``name`` and ``native`` of the channels are enough; a ``handle`` is kept for the end of the subscription.
    """

    channels: Sequence[Channel] = ()
    by_speech: bool = False
    """The venue confirms nothing, but these speak: what was asked for with them and is silent may be subscribed too."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A subscription (or, without one, the login or the request) is refused; ``fatal``: the link is of no use."""

    reason: str
    channel: Channel | None = None
    fatal: bool = False
    among: Sequence[Channel] = ()
    """Without ``channel``: the message asked for these; one of them is refused, and nobody knows which. Empty: it was
    the oldest message that is not answered yet."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """The channel is subscribed to already, and the venue does not say again what it calls it.

    Where the confirmation had come, that is nothing. Where it was lost, nobody knows whose the channel's frames are:
    the link is opened anew.
    """

    reason: str
    channel: Channel


@dataclass(frozen=True, slots=True)
class Reply:
    """To be sent back at once: the answer to a ping."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Withheld:
    """The venue does not give a book that was asked for on the link (:meth:`Venue.ask_book`)."""

    channel: Channel
    reason: str
    too_soon: bool = False
    """Only for having been asked for too soon after another one: it is asked for again, and all more slowly."""


@dataclass(frozen=True, slots=True)
class Alive:
    """A heartbeat, a pong: nothing to tell."""

    told_ns: int = 0
    """Of the answer to :meth:`Venue.ping`: the venue's time, where it says it; 0 = it does not."""
    unit_ns: int = 1


@dataclass(frozen=True, slots=True)
class Status:
    """The venue says that an instrument halts, opens, closes."""

    native: str
    """Empty: all instruments of the market."""
    state: State
    market: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """Records that the declaration cannot say: whole events, made by the venue with :mod:`tickcast.venues.rows`."""

    records: Sequence[bytes]
    texts: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Relist:
    """The list of instruments has changed: it is asked for again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Leaving:
    """The venue announces that it will close the link: another one takes its place before."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Not understood: a dead letter."""

    reason: str
    kind: str = ""
    """Kind of message as which it is counted; empty = the reason says it."""


@dataclass(frozen=True, slots=True)
class Strange:
    """A word in a message that is understood otherwise: a state that nobody knows. Counted, and told once a day."""

    word: str
    """Where it stands, and what: ``status=paused``."""


Happening = (
    Acknowledged | Refused | Repeated | Withheld | Reply | Alive | Status | Rows | Relist | Leaving | Unknown | Strange
)


def strange(place: str, words: Iterable[str], known: Container[str]) -> list[Happening]:
    """Tell of the words at a place that nobody knows, each once."""
    return [Strange(f"{place}={word}") for word in dict.fromkeys(words) if word not in known]


class Venue(ABC):
    """One venue; an instance lives as long as its feed."""

    code: ClassVar[str]
    """``OKX``."""
    title: ClassVar[str]
    """For people: ``OKX v5``."""
    dialect: Dialect
    """Of the class; an instance may put its own in place by its config (the depth of books that was asked for)."""
    limits: ClassVar[Limits]
    url: ClassVar[str]
    """Default of the config's ``url``, without a path."""
    rest_url: ClassVar[str]
    """Default of the config's ``rest_url``."""
    endpoints: ClassVar[Mapping[str, str]] = {"": ""}
    """Path of each socket address, by name."""
    endpoint_markets: ClassVar[bool] = False
    """The names of :attr:`endpoints` are the markets whose instruments they serve, each one."""
    streams: ClassVar[tuple[str, ...]]
    """What it gives, as words of the config's ``streams``: of ``trade quote book ticker mark funding open_interest
    liquidation greeks status``."""
    former_lists: ClassVar[tuple[str, ...]] = ()
    """Ends of the addresses of former lists of instruments, which :meth:`listed` reads too, for recordings."""
    ping_interval_s: ClassVar[float] = 0.0
    """Above 0: :meth:`ping` is sent so often."""
    clock: ClassVar[ClockReading | None] = None
    """None: the venue does not tell its time over REST."""
    trade_history: ClassVar[TradeHistory | None] = None
    """How missed trades are asked for (:meth:`trades_request`); None: the venue tells none."""
    recorded_books: ClassVar[tuple[str, ...]] = ()
    """Ends of paths at which recorders may have asked for books over REST, besides that of :meth:`book_request`."""
    proof: ClassVar[str]
    """For people: what proves the continuity of its books, in one sentence (``tickcast venues``)."""

    def __init__(self, config: VenueConfig) -> None:
        self.config = config
        self.now_ns = 0
        """The time, for frames that must carry it: the session sets it before it asks for any."""

    @abstractmethod
    def listing(self) -> Sequence[Request]:
        """Ask for the list of instruments: one request for each market that the venue lists apart."""

    @abstractmethod
    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read an answer to :meth:`listing`.

        Raises:
            ValueError: it is no such list.
        """

    def next_page(self, request: Request, body: bytes) -> Request | None:
        """Ask for the rest of a list that comes in pages; None = this answer was the last of it."""
        del request, body
        return None

    @abstractmethod
    def channels(self, listed: Listed) -> Sequence[Channel]:
        """Say what to subscribe to for an instrument, by the config's ``streams``."""

    def quoted(self, listed: Listed) -> bool:
        """Whether a stream of best bids and offers is among the channels; otherwise the book gives them."""
        del listed
        return "quote" in self.config.streams and "quote" in self.streams

    def market_channels(self, listed: Sequence[Listed]) -> Sequence[Channel]:
        """Say what to subscribe to for all of them together (liquidations of a whole market)."""
        del listed
        return ()

    def target(self, endpoint: str, channels: Sequence[Channel]) -> str:
        """Return the address of a link that will carry these channels."""
        del channels
        return (self.config.url or self.url).rstrip("/") + self.endpoints[endpoint]

    def headers(self, endpoint: str) -> Mapping[str, str]:
        """Return what the handshake of a link must carry (Gate's decimal sizes)."""
        del endpoint
        return {}

    def admission(self, endpoint: str) -> Request | None:
        """Ask for what a link must have before it opens, each time anew (KuCoin's token); None = nothing is needed.

        ``purpose`` is set by the session. The answer goes to :meth:`admitted`; meanwhile the link waits.
        """
        del endpoint
        return None

    def admitted(self, endpoint: str, body: bytes) -> Admission:
        """Read the answer to :meth:`admission`.

        Raises:
            ValueError: it is no admission; it is asked for again, with backoff.
        """
        raise ValueError(f"expected a venue without admissions, found one for {endpoint!r}: {body[:60]!r}")

    def hello(self) -> Sequence[bytes]:
        """Write the frames that every link begins with, before any subscription (Coinbase's heartbeats)."""
        return ()

    @abstractmethod
    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write the frames that subscribe; at most :attr:`Limits.channels_per_message` are asked for in one call."""

    @abstractmethod
    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write the frames that end subscriptions."""

    def ping(self) -> bytes | None:
        """Write the venue's own ping; None = the protocol's pings of the shell are enough."""
        return None

    @abstractmethod
    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Read a frame that the dialect does not declare.

        Raises:
            ValueError: it is no message of this venue.
        """

    def book_request(self, native: str, market: str) -> Request | None:
        """Ask for a book over REST: where the rule's snapshot is ``rest``, and to compare books that nothing proves."""
        del native, market
        return None

    def trades_request(self, listed: Listed, after: Print, before: Print | None) -> Request | None:
        """Ask for the trades behind ``after``, and where ``before`` is known, not from it on; None: it cannot be asked.

        Forwards (``trade_history.backwards`` is false) the answer begins behind ``after``; the next page is asked for
        with its last trade as ``after``. Backwards it ends before ``before`` (None: with the newest); the next page is
        asked for with its first trade as ``before``. What lies outside does no harm.
        """
        del listed, after, before
        return None

    def ask_book(self, channel: Channel) -> bytes | None:
        """Write the frame that asks for a whole book on its own link: where the rule's snapshot is ``asked``.

        ``channel`` is that of the book; None = its channel is subscribed anew instead.
        """
        del channel
        return None

    def polls(self, listed: Listed) -> Sequence[Request]:
        """Ask for what the venue tells of an instrument over REST only, every ``poll_interval_s`` of the config.

        The body of the answer is decoded by the dialect as if it were a frame.
        """
        del listed
        return ()

    def probe_request(self) -> Request | None:
        """Ask the venue something cheap over REST: whether it lives (its time, its status)."""
        return None

    def clock_request(self) -> Request | None:
        """Ask for the venue's time, which :attr:`clock` finds in the answer."""
        return self.probe_request()

    def learn(self, frame: bytes) -> None:
        """Learn from what a recorder was answered, before its session is decoded: how deep its books are."""
        del frame

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Say what another recorder's session subscribed to, where it holds no list of instruments.

        Args:
            addresses: of the recorded connections.
            sent: what the recorder sent.
            instruments: house symbols that its header names.
        """
        del addresses, sent, instruments
        return ()
