"""What a venue is: a pure object that is fed bytes, frames, REST answers and the time, and says what follows from them.

A :class:`Session` never waits, never reads a clock and owns no socket. The shell in ``feeds`` keeps the links open that
the session names, carries its requests, and hands back what arrives. Everything that follows from one call comes back
as one :class:`Step`: records and definitions for the pipeline, frames to send, REST requests, and what was wrong.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, get_args, runtime_checkable

import msgspec

from tickcast.model.health import Findings, Overlap
from tickcast.model.instrument import Definition
from tickcast.model.ledger import Incident

DEAD_LETTERS_KEPT: Final = 100
"""Dead letters of one step that are kept with their bytes; all are counted."""

Transport = Literal["tcp", "websocket", "udp", "udp_line"]
"""``udp`` sends datagrams to its target and takes the answers; ``udp_line`` listens at its target or joins it."""


Stream = Literal[
    "trade", "quote", "book", "ticker", "mark", "funding", "open_interest", "liquidation", "greeks", "status"
]
"""What venues stream: ``quote`` is the best bid and offer, ``ticker`` the figures of the day, ``mark`` mark and index
price."""
STREAMS: Final[tuple[Stream, ...]] = get_args(Stream)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A connection that the shell keeps open for the session: it is opened again, with backoff, whenever it closes."""

    name: str
    transport: Transport
    target: str
    """``host:port`` for ``tcp``, ``udp`` and ``udp_line``, the whole address for ``websocket``."""
    interface: str = ""
    """Address of the network interface on which a ``udp_line`` joins its group; empty = the system's choice."""
    headers: tuple[tuple[str, str], ...] = ()
    """Name and value: sent with the handshake of a WebSocket."""
    is_once: bool = False
    """Its target holds for one connection: after that has closed, or could not be opened, the session names the link
    again, with a new target; it is opened after the backoff then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A REST request. The shell repeats it with backoff (and Retry-After) until an answer says something."""

    purpose: str
    """What it is for; backoff is counted by purpose."""
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    at_ns: int = 0
    """Not before this time; 0 = now."""
    weight: int = 1
    """What it costs of the venue's quota."""
    priority: float = 0.0
    """Where requests wait for the quota, the highest goes first."""
    throttled_status: int = 0
    """Status by which the venue says that it was asked too often, besides 429 and 418."""
    throttled_s: float = 0.0
    """How long it wants to be left alone then, where it sends no Retry-After."""
    method: Literal["GET", "POST"] = "GET"
    """A POST has an empty body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """So much in so long, for one address of ours."""

    amount: int
    per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a REST request brought: never 429, 418 or 5xx, those are asked again by the shell."""

    status: int
    body: bytes
    received_ns: int
    etag: str | None = None
    sent_ns: int = 0
    """When it was asked for; 0 = unknown."""
    date: str = ""
    """Header ``Date``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """The venue's clock, read by the venue between our two times."""

    told_ns: int
    unit_ns: int
    """What it is told in whole numbers of, cut off."""
    sent_ns: int
    received_ns: int


@dataclass(slots=True)
class Step:
    """What follows from one call of a session; the shell carries it out in the order of the fields."""

    new_session: bool = False
    """A new feed session begins before these records: order and dedup start anew."""
    definitions: list[Definition] = field(default_factory=list)
    """Go before the records."""
    records: list[bytes] = field(default_factory=list)
    """Whole events in the record's layout, in order; the list is joined."""
    texts: dict[int, str] = field(default_factory=dict)
    """Texts (of an id, of a status' reason) by index of the record in the whole step."""
    send: list[tuple[str, bytes]] = field(default_factory=list)
    """Link name and bytes; a text frame on a WebSocket."""
    links: list[Link] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    repeat: list[Request] = field(default_factory=list)
    """Requests whose answer was of no use: to be asked again with backoff."""
    drop: dict[str, str] = field(default_factory=dict)
    """Links that cannot be trusted any more, and why: closed at once and opened again with backoff."""
    leave: list[str] = field(default_factory=list)
    """Links that carry nothing any more: closed for good. Nothing more is told of them."""
    end: dict[str, str] = field(default_factory=dict)
    """Links that are not wanted any more, and why: closed, what they brought is worked off, and not opened again."""
    refused: dict[str, str] = field(default_factory=dict)
    """Links that the venue refuses for good, and why: tried again, but slowly."""
    messages: int = 0
    """Messages of the venue that these bytes held, understood or not."""
    dead: list[tuple[str, bytes]] = field(default_factory=list)
    """What was not understood: reason and raw bytes; at most :data:`DEAD_LETTERS_KEPT`."""
    dead_count: int = 0
    unlisted: list[str] = field(default_factory=list)
    """Symbols that the config names and the venue does not list: whoever wrote the config has to know."""
    unpriced: int = 0
    incidents: list[Incident] = field(default_factory=list)
    """What belongs into the ledger."""
    sightings: list[Sighting] = field(default_factory=list)
    """Of the venue's clock."""
    keep: bytes | None = None
    """State that must survive this process (see :class:`Persistent`); the newest replaces what was kept before."""

    def bury(self, reason: str, raw: bytes) -> None:
        """Count a dead letter and keep it if there is room."""
        self.dead_count += 1
        if len(self.dead) < DEAD_LETTERS_KEPT:
            self.dead.append((reason, raw))


class Session(Protocol):
    """One feed's conversation with its venue, over all links and over reconnects."""

    @property
    def wake_ns(self) -> int:
        """When :meth:`wake` wants to be called; 0 = not at all."""

    def start(self, now_ns: int) -> Step:
        """Say which links and requests the feed begins with."""

    def opened(self, link: str, now_ns: int) -> Step:
        """A link is open: its handshake is over."""

    def received(self, link: str, chunks: Sequence[bytes], times: Sequence[int]) -> Step:
        """Bytes of a TCP read, WebSocket messages or datagrams, oldest first, each with the time of its read."""

    def closed(self, link: str, now_ns: int) -> Step:
        """A link is closed, or a link that :attr:`Link.is_once` could not be opened.

        The shell opens it again by itself, the latter when the session names it again.
        """

    def answered(self, request: Request, answer: Answer) -> Step:
        """A request has its answer."""

    def wake(self, now_ns: int) -> Step:
        """The time that ``wake_ns`` asked for has come."""


@runtime_checkable
class Persistent(Protocol):
    """A session whose protocol outlives a process: what it asked to :attr:`Step.keep` is handed back."""

    def restore(self, kept: bytes) -> None:
        """Take what was kept last; called once, before :meth:`Session.start`. Damaged bytes are as good as none."""


@runtime_checkable
class Telling(Protocol):
    """A session that counts what it does not know of its venue's messages."""

    def findings(self, now_ns: int) -> Findings:
        """Say what was found so far; samples are longer than :data:`tickcast.model.health.SAMPLE_MAX` by as much."""


@runtime_checkable
class Timely(Protocol):
    """A session that asks its venue's clock."""

    @property
    def tells_time(self) -> bool:
        """Whether it does: otherwise the dates of answers over REST are what there is."""


@runtime_checkable
class Overlapping(Protocol):
    """A session whose venue may be heard twice at once: over two links, and by two processes of the same feed."""

    def overlap(self, now_ns: int) -> Overlap:
        """Say how often links were replaced before they ended, and what came over two of them."""

    @property
    def is_settled(self) -> bool:
        """Whether everything is subscribed, and every book that can be whole is."""


@runtime_checkable
class Limited(Protocol):
    """A session whose venue limits what an address may ask: the shell keeps to it, over all processes here."""

    @property
    def weight(self) -> Quota | None:
        """Sum of :attr:`Request.weight`."""

    @property
    def connects(self) -> Quota | None:
        """New connections."""

    @property
    def weight_header(self) -> str:
        """Header of an answer that tells how much of ``weight`` is used; empty = none."""

    def priority(self, request: Request) -> float:
        """Say how urgent a request is now that waits for the quota; the highest goes first."""


@runtime_checkable
class Attentive(Protocol):
    """A session that does first what is watched."""

    def watched(self, counts: Mapping[int, int]) -> None:
        """Take how many watch each instrument; those that are not named nobody does. The newest replaces all before."""


@runtime_checkable
class Bookish(Protocol):
    """A session that tells the levels of books while somebody watches them: see ``docs/reference/record.md``, Books."""

    def watch_books(self, instruments: Collection[int], now_ns: int) -> Step:
        """Take the instruments whose book is watched, known yet or not; the newest replaces all before.

        Of those that are new whole books are told, at once if they are whole; of the others that they are not known any
        more.
        """


class VenueConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a feed that its venue reads; ``feeds.config`` adds those of the shell."""

    venue: str
    """Code of the venue, such as ``XNAS`` or ``BINANCE`` (``tickcast venues`` names all)."""
    address: str | None = None
    """``host:port`` of a TCP feed: SoupBinTCP (XNAS, XBOS) or FIX (XNYS)."""
    lines: tuple[str, ...] = ()
    """``host:port`` of every UDP line, A and B and of all units: MoldUDP64 (XNAS, XBOS) or PITCH (BATS). A multicast
    group is joined; any other address is listened at."""
    interface: str = ""
    """Address of the network interface on which multicast groups are joined; empty = the system's choice."""
    url: str | None = None
    """WebSocket address without a path, such as ``wss://stream.binance.com:9443``; absent = the venue's own."""
    rest_url: str | None = None
    """REST address without a path, such as ``https://api.binance.com``; absent = the venue's own (XSIM has none)."""
    calendar: str = "24/7"
    """Session calendar of the instruments: ``24/7`` (UTC days) or one of exchange_calendars', such as ``XNYS``.
    For a replay ``NAME@2020-01-30``: the sessions around that day, which roll by event time only."""
    symbols: tuple[str, ...] = ()
    """Only these, in the house symbology (``AAPL``, ``BTC-USDT``); empty = all. Crypto venues: also with wildcards
    (``BTC-USD-*-C``), and ``tickcast symbols`` changes them while the feed runs."""
    on_demand: bool = False
    """Crypto venues: what else the venue lists is known, and streamed while somebody watches it; ``symbols`` are
    streamed all the time, and without any none is."""
    on_demand_max: int = 100
    """Instruments that are streamed on demand at one time, 1 to 1,000; who asks for more is told."""
    on_demand_linger_s: float = 60.0
    """So long after its last watcher has left an instrument is streamed on demand."""
    depth: int = 0
    """Book levels a side that are published as book rows; 0 = best bid and offer only."""
    # logins
    username: str = ""
    """User: of SoupBinTCP up to 6 characters, of FIX (553), of the PITCH gap and spin servers up to 4."""
    password: str = ""
    """Password: of SoupBinTCP up to 10 characters, of FIX (554), of the PITCH gap and spin servers up to 10."""
    password_file: str | None = None
    """A file that holds the password, in place of ``password``; it is read when the config is."""
    password_variable: str | None = None
    """An environment variable that holds it."""
    session: str = ""
    """SoupBinTCP session to ask for at the first login; empty = the current one."""
    date: str | None = None
    """Trading day of ITCH times, ``2020-01-30``; absent = the day of the login in New York."""
    # UDP lines
    rerequest: str | None = None
    """``host:port`` (UDP) of the MoldUDP64 re-request server; absent = what is lost on every line stays lost."""
    gap_address: str | None = None
    """``host:port`` (TCP) of the PITCH gap request server."""
    gap_lines: tuple[str, ...] = ()
    """``host:port`` of the UDP lines that carry the PITCH gap server's retransmissions."""
    spin_address: str | None = None
    """``host:port`` (TCP) of the PITCH spin server; its image stands in for what no gap server brings."""
    gap_wait_ms: int = 20
    """A hole may wait so long for another line or a late packet before it is a gap."""
    gap_timeout_ms: int = 500
    """A request for missing messages is answered within this time or repeated."""
    gap_attempts: int = 3
    """Requests for the same missing messages before they are given up."""
    gap_range_max: int = 10_000
    """Missing messages that are asked for; more are not, an image or a loss takes their place."""
    join_range_max: int = 10_000_000
    """The same for what a MoldUDP64 feed is told of a session from its first message on: because it starts late, or to
    repair books that lost something. It fits a day of a small market; books of a longer session stay unverified."""
    # FIX
    sender_comp_id: str = "TICKCAST"
    """SenderCompID (49) of what we send."""
    target_comp_id: str = ""
    """TargetCompID (56) of what we send; empty = the venue's code."""
    heartbeat_s: int = 30
    """HeartBtInt (108) asked for at logon."""
    reset_on_logon: bool = False
    """Both sides begin at sequence number 1 at every logon (ResetSeqNumFlag, 141=Y)."""
    # crypto venues
    streams: tuple[Stream, ...] = STREAMS
    """What is subscribed to, as far as the venue has it; without ``quote`` the book gives the best bid and offer."""
    markets: tuple[str, ...] = ()
    """Only these of the venue's markets, by its own words such as ``spot`` and ``linear`` (``tickcast venues``); empty
    = all."""
    instruments_refresh_s: float = 3600.0
    """The venue's list of instruments is asked for so often; 0 = once. What is new is streamed where ``symbols`` allow
    it, what is off the list ends."""
    compare_interval_s: float = 60.0
    """So often one of the books that nothing proves (state ``unverified``) is compared with the venue's own over REST,
    by turns; 0 = never."""
    quiet_watch: bool = True
    """A stream that is silent for longer than is normal for it is an incident: the venue is asked over REST, and the
    stream subscribed anew."""
    quiet_factor: float = 1.0
    """So much longer a silence is normal than by what a stream's own past says; at least 3 s times this."""
    backfill: bool = True
    """Trades that the stream missed (a lost connection, a jump of their numbers) are fetched over REST, where the venue
    tells them, and told flagged ``backfilled``."""
    clock_interval_s: float = 20.0
    """The venue is asked for its time so often, where it tells it; 0 = never."""
    poll_interval_s: float = 60.0
    """What a venue tells over REST only (open interest) is asked for so often; 0 = never."""
    link_lifetime_s: float = 0.0
    """A connection of this age is replaced by another one, without a gap; 0 = only before the venue closes it."""
    dual_lines: tuple[str, ...] = ()
    """These (as in ``symbols``) come over two connections at once, lines A and B; the first arrival counts."""
    channels_max: int = 0
    """Channels of one connection, where that is less than the venue allows; 0 = as many as it allows."""
    depth_limit: int = 100
    """Levels a side of a book over REST. It costs quota: at Binance 100 levels weigh 5 of 6,000 a minute,
    1000 weigh 50. More are wanted where the book itself gives the best bid and offer, or its levels are published."""
    # BINANCE, BINANCE_FUTURES
    depth_speed: Literal["100ms", "250ms", "500ms", "1000ms"] = "100ms"
    """Update speed of books: spot has 100 and 1000 ms, futures have 100, 250 and 500 ms."""
    aggregate_trades: bool = False
    """Trades of one taker order at one price come as one (``aggTrade``): what captured sessions hold. Futures are told
    so always."""
    microseconds: bool = False
    """Event times of spot come in microseconds."""
    # XSIM
    interval_ms: int = 200
    """Time between two polls."""
    page_limit: int = 1000
    """Most trades of one poll; more are asked for at once."""
