"""Where stages meet: the types that each side knows, and nothing of each other."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol

import msgspec

from tickcast.model.batch import TickBatch
from tickcast.model.fault import Fault
from tickcast.model.health import FeedHealth
from tickcast.model.instrument import AssetClass, Definition
from tickcast.model.ledger import Incident, LedgerEntry

Clock = Callable[[], int]
"""Now, ns since 1970 UTC."""


WATCHED_MAX: Final = 1_000
"""Instruments that a feed is told to be watched."""


class Publisher(Protocol):
    """The producing side of the bus, one for each feed.

    At-least-once: a batch is kept until the bus acknowledged it and is sent again after a reconnect. Bounded: when
    full, ``publish`` waits up to the declared limit, then conflates quotes among the unsent batches before it would
    drop any trade, and counts.
    """

    async def publish(self, batch: TickBatch) -> None:
        """Hand a batch over; returns when the bus has room for it, not when it is acknowledged."""

    async def report(self, health: FeedHealth) -> None:
        """Tell the health of the feed; only the newest counts."""

    def on_refresh(self, refresh: Callable[[], TickBatch | None]) -> None:
        """Call ``refresh`` when a bus without our past appears: definitions and newest state, flagged SNAPSHOT."""

    def on_watched(self, watched: Callable[[Mapping[int, int]], None]) -> None:
        """Call ``watched`` with the feed's instruments that somebody watches and the number of their watchers.

        At once if they are known, and whenever they change; only the newest counts.
        """

    def on_books(self, books: Callable[[Collection[int]], None]) -> None:
        """Call ``books`` with the feed's instruments whose book somebody watches; as :meth:`on_watched`."""

    @property
    def conflated(self) -> int:
        """Rows merged away because the bus was full, so far."""

    async def close(self) -> None:
        """Wait for acknowledgements up to the limit, then let go."""


class Normaliser(Protocol):
    """What a feed hands its records to: dedup, gap ledger, feed sessions, and the newest state for a refresh."""

    def accept(
        self,
        records: bytes,
        *,
        received_ns: int,
        decoded_ns: int,
        definitions: Sequence[Definition] = (),
        texts: Mapping[int, str] | None = None,
        new_session: bool = False,
        incidents: Sequence[Incident] = (),
    ) -> list[TickBatch]:
        """Make batches of whole events; none if nothing new is in them.

        ``texts`` is by index of the record; ``received_ns`` is the time of the read that brought the newest bytes.
        """

    def unlinked(self, link: str, reason: str, now_ns: int) -> None:
        """A link was lost: an incident that ends when it is open and its instruments are whole again."""

    def linked(self, link: str, now_ns: int) -> None:
        """A link is open again."""

    def settle(self, now_ns: int) -> list[TickBatch]:
        """What there is to tell though nothing arrived; called now and then."""

    def state(self) -> TickBatch:
        """Definitions and newest state, flagged SNAPSHOT: what a process that takes over begins with."""

    def keys(self) -> bytes:
        """Keys of what was told, for a process of the feed that takes over; ``_native.Told`` reads it."""

    def refresh(self) -> TickBatch | None:
        """Definitions, newest state, flagged SNAPSHOT, and the ledger; None before there is any."""

    def take_lead(self) -> int | None:
        """The most that an event time was ahead of its receipt since the last call, ns (negative: the least delay).

        None: nothing came whose event time is the venue's word of now.
        """

    @property
    def gaps(self) -> int:
        """Losses that records told, so far."""

    @property
    def duplicates(self) -> int:
        """Rows that were seen before, so far."""

    @property
    def dead_letters(self) -> int:
        """Records that could not be published (no definition came in time), so far."""


class Delivery(Protocol):
    """One batch in a consumer's hands."""

    batch: TickBatch
    shard: int
    offset: int
    attempts: int

    def ack(self) -> None:
        """Done: never delivered again to this group."""

    def reject(self, reason: str) -> None:
        """Cannot be processed: to the dead-letter topic with its reason."""


class Subscription(Protocol):
    """A member of a consumer group; order is kept within a shard."""

    async def take(self, batches_max: int = 64) -> list[Delivery]:
        """Wait until there is something, then return all that has arrived, oldest first, up to ``batches_max``."""

    async def close(self) -> None:
        """Leave the group; what was taken and not acknowledged goes to the other members."""


class FeedListener(Protocol):
    """Told about the feeds behind a bus: their own reports, and that one is gone."""

    def feed_health(self, health: FeedHealth) -> None: ...
    def feed_lost(self, feed: str, reason: str) -> None: ...


class Bus(Protocol):
    """At-least-once, explicit acknowledgement, order per shard, measured lag, dead letters. One suite for every bus."""

    async def start(self) -> None: ...
    def publisher(self, feed: str) -> Publisher: ...
    def subscribe(self, group: str) -> Subscription:
        """Join a group; a new group begins with the oldest batch still held."""

    def listen(self, listener: FeedListener) -> None:
        """Tell ``listener`` about the feeds from now on."""

    def watch(self, feed: str, counts: Mapping[int, int], books: Collection[int] = ()) -> None:
        """Tell a feed which of its instruments are watched by how many; at most the :data:`WATCHED_MAX` most watched.

        ``books``: those whose book is watched, of which the feed tells the levels. A feed that is not there is told
        when it comes.
        """

    def lag(self, group: str) -> dict[int, int]:
        """Batches not yet acknowledged by the group, by shard."""

    def dead_letters(self) -> Sequence[tuple[TickBatch, str]]: ...
    async def stop(self) -> None: ...


# ------------------------------------------------------------------ fanout and gateway


class Standing(Protocol):
    """Where a subscription stands: what an ack says."""

    @property
    def state(self) -> str: ...
    @property
    def handle(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    @property
    def seq(self) -> int: ...


class Flush(Protocol):
    """What one flush left to do for the owner of the transports."""

    @property
    def unsent(self) -> list[tuple[int, bytes]]:
        """(client, bytes) to write to the client's transport, in order, now."""

    @property
    def slow(self) -> list[int]:
        """Clients to close with 4701."""

    @property
    def broken(self) -> list[int]:
        """Clients whose socket failed."""

    @property
    def shifted(self) -> list[tuple[int, int, Literal["hidden", "slow", "overload", "restored"]]]:
        """(client, highest rate now allowed, reason): clients to tell of a change."""


class Fanout(Protocol):
    """What the gateway needs of the fan-out: one gateway's clients, their subscriptions and what is sent to them.

    ``tickcast._native.Hub`` is one; its stub describes each method.
    """

    def open(self, fd: int) -> int: ...
    def close(self, client: int) -> None: ...
    def configure(self, client: int, *, codec: int, batch: bool) -> None: ...
    def subscribe(  # noqa: PLR0917  the native signature
        self, client: int, channel: int, symbol: str, rate: int, fields: int, mode: int, now_ns: int
    ) -> Standing | None: ...
    def unsubscribe(self, client: int, channel: int, symbol: str) -> bool: ...
    def set_hidden(self, client: int, hidden: bool) -> None: ...  # noqa: FBT001  the native signature
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
    ) -> str | None: ...
    def sync(self, client: int, now_ns: int) -> list[tuple[int, str, int, int, int, int, int, int]]: ...
    def reply(self, client: int, payload: bytes) -> None: ...
    def control(self, client: int, opcode: int, payload: bytes = b"") -> None: ...
    def set_ids(self, client: int, prefix: bytes, most: int, *, each: bool = False) -> None: ...
    def place_of(self, client: int) -> bytes: ...
    def flush(self, now_ns: int, only: int = -1) -> Flush: ...
    def drained(self, client: int) -> None: ...
    def quiet(self, before_ns: int) -> list[int]: ...
    def set_wall_ahead(self, ahead_ns: int) -> None: ...
    def position(self, symbol: str, channel: int) -> Standing | None: ...
    def price(self, symbol: str, strings: bool = False) -> bytes | None: ...  # noqa: FBT001, FBT002  the native signature


class States(Protocol):
    """What REST shows of a symbol, as JSON that goes out unchanged; None = there is no such symbol.

    ``tickcast._native.Hub`` is one.
    """

    def price(self, symbol: str, strings: bool = False) -> bytes | None: ...  # noqa: FBT001, FBT002  the native signature
    def book(self, symbol: str, depth: int, strings: bool = False) -> bytes | None: ...  # noqa: FBT001, FBT002
    def bars(self, symbol: str, channel: int, limit: int, strings: bool = False) -> bytes | None: ...  # noqa: FBT001, FBT002


class Want(NamedTuple):
    """A subscription that a session is about to make, and where its client stopped before."""

    channel: int
    """The hub's number."""
    symbol: str
    rate: int
    mode: int
    epoch: int = 0
    """``epoch`` and ``seq``, or ``last_seen_ns`` with its precision, are where the client stopped; all 0 = nowhere."""
    seq: int = 0
    last_seen_ns: int = 0
    precision_ns: int = 1

    @property
    def resumes(self) -> bool:
        """Whether the client says where it stopped."""
        return bool(self.epoch or self.last_seen_ns)


class Owner(Protocol):
    """The process that owns the counters, as a gateway worker's sessions need it. A gateway beside its hub has none.

    Each method returns True where the worker's hub can go on at once. Otherwise ``then`` is called later, exactly once:
    with True when it can, with False when the owner did not answer in time. Clients that are gone are no fault.
    """

    def prepare(
        self, client: int, wants: Sequence[Want], patterns: Sequence[str], then: Callable[[bool], None]
    ) -> bool:
        """Make the hub ready to subscribe to these, to resume where that is asked, and the directory to match."""

    def barrier(self, client: int, then: Callable[[bool], None]) -> bool:
        """Bring everything that the owner published for the client's subscriptions into the hub."""


class Directory(Protocol):
    """Resolves patterns of symbols: ``XNAS:*``, ``class:option``."""

    def match(self, pattern: str, limit: int) -> Sequence[str]:
        """Symbols that a pattern stands for now, in order; at most ``limit`` and one more: it is over."""

    def on_listed(self, listed: Callable[[Sequence[str]], None]) -> None:
        """Call ``listed`` with symbols that are new."""

    def matches(self, pattern: str, symbol: str) -> bool:
        """Whether a listed symbol falls under a pattern."""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What a client can subscribe to, as ``/symbols`` lists it: an instrument, or a security over its venues."""

    symbol: str
    """What goes into ``symbols`` of a request: ``XNAS:AAPL`` for an instrument, ``AAPL`` for a security."""
    venue: str | None
    """None for a security."""
    asset_class: AssetClass = msgspec.field(name="class")
    currency: str
    security: str
    """The consolidated symbol it belongs to."""
    tick_size: str | None = None
    lot_size: str | None = None
    contract_size: str | None = None
    calendar: str | None = None
    legs: tuple[str, ...] = ()
    """Of a security: its instruments, the primary one first."""


class Registry(Protocol):
    """Knows every instrument that was ever defined; answers searches page by page."""

    def search(
        self,
        query: str = "",
        *,
        venue: str = "",
        asset_class: str = "",
        limit: int = 100,
        cursor: str = "",
        may: Callable[[str], bool] | None = None,
    ) -> tuple[Sequence[Listing], str | None]:
        """Listings in the order of their symbols, and the cursor of the next page (None: that was the last).

        ``query`` is a part of the symbol, in any case; empty filters match all. ``may`` says which symbols are
        searched at all.
        """

    def overview(self, limit: int, *, may: Callable[[str], bool] | None = None) -> Sequence[Listing]:
        """Return what to look at first: the securities over most venues, then one instrument of each venue.

        ``may`` says which symbols are looked at at all.
        """


Verdict = Literal["complete", "incomplete", "unknown"]


class LegCompleteness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one instrument's data was whole over a time, and what it was in between."""

    symbol: str
    feed: str
    answer: Verdict
    share: float
    """Of the time: how much was whole, or came late but came; 0 to 1."""
    states_ms: dict[str, float]
    """How long each state lasted; besides the states of instruments ``not_running``, ``stale`` (of the feed) and
    ``unknown`` (the ledger does not reach there). The sum is the whole time."""
    running_ms: float
    """How long the feed's process ran."""
    late_ms: float
    """Time that was not whole, of which all messages came later."""
    lost: int
    """Messages known to be lost for good; 0 also where their number is not known."""
    entries: tuple[LedgerEntry, ...]
    """Of the ledger, newest first: those that concern the instrument, or may; at most 100."""
    entries_count: int


class Completeness(msgspec.Struct, frozen=True, kw_only=True):
    """The answer for a symbol: of a security, complete if each leg is, incomplete if one is."""

    symbol: str
    from_ns: int
    to_ns: int
    """Cut at now: nothing is known of the future."""
    answer: Verdict
    legs: tuple[LegCompleteness, ...]


class GapQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries of the ledger; what is empty matches all."""

    since_ns: int = 0
    """Entries that were open at this time or began later."""
    until_ns: int = 0
    """Entries that began before; 0 = no end."""
    venue: str = ""
    feed: str = ""
    symbol: str = ""
    """``VENUE:SYMBOL``, or a security over its venues."""
    kind: str = ""
    is_open: bool | None = None
    limit: int = 100
    cursor: str = ""
    """Id of the last entry of the page before."""


class GapLedger(Protocol):
    """What the core knows of every feed's incidents."""

    def gaps(self, query: GapQuery) -> tuple[Sequence[LedgerEntry], str | None]:
        """Entries, newest first, and the cursor of the next page (None: that was the last)."""

    def completeness(self, symbol: str, from_ns: int, to_ns: int) -> Completeness | None:
        """Whether a symbol was whole over a time; None: nobody ever heard of it."""


class FeedSymbols(Protocol):
    """Changes what running feeds stream. Answers are those of :mod:`tickcast.venues.selection`."""

    @property
    def feeds(self) -> Sequence[str]:
        """Names of the feeds there are."""

    async def listed(self, feed: str) -> Mapping[str, Any]:
        """Say what a feed streams, and why.

        Raises:
            UsageError: feeds of its venue do not choose.
            StateError: it does not answer.
        """

    async def change(self, feed: str, add: Sequence[str], drop: Sequence[str]) -> Mapping[str, Any]:
        """Have a feed stream these, and those no more: all of it, or nothing.

        Raises:
            UsageError: what is asked for cannot be.
            StateError: the feed does not answer, or cannot now.
        """


class Processes(Protocol):
    """The processes of the instance, as whoever keeps them alive sees them."""

    async def rows(self) -> Sequence[Mapping[str, Any]]:
        """One mapping for each process, as ``tickcast ps`` shows it.

        Raises:
            UsageError: nobody keeps them who could be asked.
            StateError: who keeps them does not answer.
        """

    async def restart(self, name: str, *, by: str) -> Mapping[str, Any]:
        """Have a process end and start anew, in a moment: whoever asked is answered before.

        Returns:
            ``accepted``, ``clients`` (what they will see), ``pid`` that ends; where it is not accepted ``retry_s``.

        Raises:
            UsageError: there is no such process, or nobody keeps it.
            StateError: who keeps it does not answer, or cannot now.
        """


class Exchanges(Protocol):
    """The simulated exchanges that belong to the instance. Answers are those of :mod:`tickcast.sim.admin`."""

    async def faults(self) -> Mapping[str, Any] | None:
        """Tell what each can do (``verbs``, ``venues``), and what is armed; None: no exchange is simulated.

        Raises:
            StateError: they do not answer.
        """

    async def arm(self, venue: str, fault: Fault) -> Mapping[str, Any]:
        """Let an exchange make a fault; returns what is armed there now.

        Raises:
            UsageError: it does not do that.
            StateError: it does not answer, or none is simulated.
        """

    async def clear(self, venue: str) -> Mapping[str, Any]:
        """End all faults of an exchange; returns what is armed there now, nothing.

        Raises:
            UsageError: there is no such exchange.
            StateError: it does not answer, or none is simulated.
        """


class Insight(Protocol):
    """What the operations stage tells the gateway's REST: shapes are in ``docs/reference/rest.md``."""

    def feeds(self) -> Sequence[Mapping[str, Any]]:
        """One mapping for each feed, as ``/feeds`` shows it."""

    def latency(self) -> Mapping[str, Any]:
        """The body of ``/latency``."""

    def ready(self) -> tuple[bool, Mapping[str, Any]]:
        """Whether prices can be served, and why (not)."""
