"""Requests and replies of ``/stream``: the source of ``docs/protocol.md``, which a test holds against this module.

A request is a JSON object whose ``action`` names one of the structs of :data:`REQUESTS`. Keys it does not know are
ignored, so that a newer client can talk to an older gateway. Updates, snapshots, trades, losses and states are encoded
in the core, once for all clients; what is sent to one client alone is here.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from tickcast._native import PRICE_FIELDS
from tickcast.model.record import State

RequestId = str | int
Numbers = Literal["number", "string"]
Counter = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]


class Place(msgspec.Struct, frozen=True):
    """Where a client stopped: the ``epoch`` and ``seq`` of the newest frame of a symbol that it has."""

    epoch: Counter
    seq: Counter


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What every request may carry."""

    id: RequestId | None = None
    """Repeated in the reply."""


class Channelled(Request, frozen=True, kw_only=True):
    """A request about a channel, and about how the connection is written to."""

    channel: str = "price"
    """``price``, ``trades``, ``book``, ``bars`` or ``status``."""
    rate: float | UnsetType = UNSET
    """Most frames a second of each symbol: 1, 2, 5, 10, 20, or 0 = unfiltered; others fall to the next lower class."""
    fields: list[str] | UnsetType | None = UNSET
    """Fields of ``price`` to send; null = all."""
    mode: str | UnsetType = UNSET
    """``merge``: newest state, updates in between are merged and counted; ``all``: every update, losses are counted;
    ``keyed`` (books and bars): what changed by key, newest values."""
    depth: int | UnsetType = UNSET
    """Levels of each side of ``book``: 5, 10 or 50."""
    interval: str | UnsetType = UNSET
    """Of ``bars``: ``1s`` or ``1m``."""
    numbers: Numbers | UnsetType = UNSET
    """``string``: prices and sizes as JSON strings, for the whole connection."""
    batch: bool | UnsetType = UNSET
    """Every message is a JSON array of frames, for the whole connection."""


class Subscribe(Channelled, frozen=True, kw_only=True):
    """Watch symbols, or change how they are watched; with ``resume`` or ``last_seen`` after a break.

    A symbol may be a pattern: ``XNAS:*`` or ``class:option``.
    """

    symbols: list[str]
    resume: dict[str, Place] = {}
    last_seen: dict[str, str] = {}


class Unsubscribe(Request, frozen=True, kw_only=True):
    """Stop watching symbols."""

    symbols: list[str]
    channel: str = "price"
    interval: str | UnsetType = UNSET
    """Of ``bars``: only this one; else both."""


class Visibility(Request, frozen=True, kw_only=True):
    """The client's page is hidden (everything at one update a second), or is seen again (one snapshot each)."""

    hidden: bool


class Set(Channelled, frozen=True, kw_only=True):
    """Change rate, fields or mode of what the channel's subscriptions are now; numbers and batch of the connection."""


class Reconnect(Channelled, frozen=True, kw_only=True):
    """Subscribe and resume in one request, after a break."""

    resume: dict[str, Place] = {}
    last_seen: dict[str, str] = {}


class Ping(Request, frozen=True, kw_only=True):
    """Ask for a ``pong``."""


class Sync(Request, frozen=True, kw_only=True):
    """Ask for what is pending and for the counters: a barrier."""


class Auth(Request, frozen=True, kw_only=True):
    """Say who it is, in the first message of a connection; later, stay on a newer token of the same user and scope."""

    token: str


REQUESTS: Final[dict[str, type[Request]]] = {
    "subscribe": Subscribe,
    "unsubscribe": Unsubscribe,
    "set": Set,
    "reconnect": Reconnect,
    "visibility": Visibility,
    "ping": Ping,
    "sync": Sync,
    "auth": Auth,
}
"""By ``action``."""


class Reply(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What every reply may carry."""

    id: RequestId | None = None
    """The request's ``id``."""


class Standing(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a symbol stands; ``epoch`` and ``seq`` are absent where there is no such symbol."""

    state: str
    epoch: int | UnsetType = UNSET
    seq: int | UnsetType = UNSET
    handle: int | UnsetType = UNSET
    """By which updates name it, in codecs without names."""


class Layout(msgspec.Struct, frozen=True):
    """How updates are laid out that are arrays: names of their places, by the number they begin with."""

    updates: tuple[tuple[str, ...], ...] = (
        ("kind", "handle", "seq", "mask", "values"),
        ("kind", "handle", "seq", "id", "price", "size", "side", "timestamp", "conditions"),
        ("kind", "handle", "seq", "timestamp", "bids", "asks", "digest"),
        (
            "kind", "handle", "seq", "interval", "start", "open", "high", "low", "close", "volume", "notional",
            "trades", "flags",
        ),
    )  # fmt: skip
    fields: tuple[str, ...] = PRICE_FIELDS
    """Of ``price``, in the order of the bits of ``mask``."""
    states: tuple[str, ...] = tuple(state.name.lower() for state in State)
    """By number."""


class Subscribed(Reply, frozen=True, kw_only=True, tag="subscribed"):
    """Reply to ``subscribe``: the values in force and where each symbol stands; counting starts at these ``seq``."""

    channel: str
    symbols: dict[str, Standing]
    rate: int
    """The class in force."""
    mode: str
    fields: list[str] | UnsetType | None = UNSET
    """In force; null = all. Only in ``price``."""
    depth: int | UnsetType = UNSET
    interval: str | UnsetType = UNSET
    patterns: dict[str, list[str]] | UnsetType = UNSET
    """What each pattern of the request stands for now; their symbols are in ``symbols`` as well. Of a reply without
    ``id`` that nobody asked for: new instruments that a pattern brought."""
    layout: Layout | UnsetType = UNSET
    """Only in compact MessagePack."""
    delay_s: float | UnsetType = UNSET
    """How late everything is, where it is."""


class Unsubscribed(Reply, frozen=True, kw_only=True, tag="unsubscribed"):
    """Reply to ``unsubscribe``; ``symbols`` are those that were watched."""

    channel: str
    symbols: list[str]


class Recovery(msgspec.Struct, frozen=True):
    """Whether everything after the client's place is accounted for; if not, why, and a snapshot follows."""

    recovered: bool
    reason: str | UnsetType = UNSET
    """``epoch_changed``, ``ahead``, ``too_old`` or ``unknown``."""
    state: str | UnsetType = UNSET
    epoch: int | UnsetType = UNSET
    seq: int | UnsetType = UNSET
    handle: int | UnsetType = UNSET


class Resumed(Reply, frozen=True, kw_only=True, tag="resumed"):
    """Reply to ``reconnect``, and second reply to a ``subscribe`` that resumes."""

    channel: str
    symbols: dict[str, Recovery]
    rate: int
    mode: str
    fields: list[str] | UnsetType | None = UNSET
    depth: int | UnsetType = UNSET
    interval: str | UnsetType = UNSET
    delay_s: float | UnsetType = UNSET
    """How late everything is, where it is."""


class TermsInForce(msgspec.Struct, frozen=True, kw_only=True):
    """Terms that some of the subscriptions of a channel share."""

    symbols: int
    """How many do."""
    rate: int
    mode: str
    fields: list[str] | UnsetType | None = UNSET
    depth: int | UnsetType = UNSET
    interval: str | UnsetType = UNSET


class Ok(Reply, frozen=True, kw_only=True, tag="ok"):
    """Reply to ``set``: the values in force; of the terms those of most subscriptions."""

    action: str
    channel: str
    symbols: int
    """Subscriptions of the channel."""
    numbers: Numbers
    batch: bool
    rate: int
    mode: str
    fields: list[str] | UnsetType | None = UNSET
    depth: int | UnsetType = UNSET
    interval: str | UnsetType = UNSET
    terms: list[TermsInForce] | UnsetType = UNSET
    """Only where subscriptions differ: all terms there are."""


class Visible(Reply, frozen=True, kw_only=True, tag="visibility"):
    """Reply to ``visibility``."""

    hidden: bool


class Rate(Reply, frozen=True, kw_only=True, tag="rate"):
    """The gateway changed how often this client is sent to at most; nobody asked."""

    rate: int
    """Highest class allowed now; 0 = as asked."""
    reason: Literal["hidden", "slow", "overload", "restored"]


class Pong(Reply, frozen=True, kw_only=True, tag="pong"):
    """Reply to ``ping``."""

    server_timestamp: str


class Authenticated(Reply, frozen=True, kw_only=True, tag="authenticated"):
    """Reply to ``auth``: who the client is taken for, until when, and what it may see."""

    subject: str
    until: str | UnsetType = UNSET
    """When the connection ends, unless a newer token comes before; without it, it does not."""
    symbols: list[str]
    """Patterns."""
    channels: list[str]
    depth: int
    """Most levels of each side of a book."""
    rate: int
    """Most updates a second of each symbol; 0 = no limit."""
    delay_s: float
    """How late everything is; 0 = it is not."""


class Counters(msgspec.Struct, frozen=True):
    """Since the ack, in this epoch: published = delivered + merged + lost."""

    epoch: int
    seq: int
    published: int
    delivered: int
    merged: int
    lost: int


class Synced(Reply, frozen=True, kw_only=True, tag="synced"):
    """Reply to ``sync``: channel, symbol, counters; everything counted there was sent before."""

    channels: dict[str, dict[str, Counters]]


class Error(Reply, frozen=True, kw_only=True, tag="error"):
    """The request was refused; nothing of it was applied."""

    code: int
    reason: str
    """For people: what was expected and what was found."""
    symbols: list[str] | UnsetType = UNSET
    """Those that are over the limit, the first 100 of them."""


class StatusNote(Reply, frozen=True, kw_only=True):
    """News of channel ``status``; ``seq`` counts them, over all feeds."""

    channel: Literal["status"]
    """Never left out: it tells these messages from those of the other channels."""
    seq: int


class FeedNote(StatusNote, frozen=True, kw_only=True, tag="feed"):
    """A feed's state changed."""

    feed: dict[str, Any]
    """As ``GET /feeds`` shows it."""


class GapNote(StatusNote, frozen=True, kw_only=True, tag="gap"):
    """An entry of the ledger began, changed or ended."""

    gap: dict[str, Any]
    """As ``GET /gaps`` shows it; ``ended`` is null while it is open."""


class DeliveryNote(StatusNote, frozen=True, kw_only=True, tag="delivery"):
    """Delivery of this gateway works harder than before, or less."""

    delivery: dict[str, Any]
    """``rung`` (0 normal, 1 updates are held longer, 2 and 3 fewer a second, 4 no new clients) and its ``word``."""


class StatusSnapshot(Reply, frozen=True, kw_only=True, tag="snapshot"):
    """Everything of channel ``status`` that the client watches."""

    channel: Literal["status"]
    seq: int
    feeds: list[dict[str, Any]]
    gaps: list[dict[str, Any]]
    """Those that are open."""
    delivery: dict[str, Any]


class Heartbeat(Reply, frozen=True, kw_only=True, tag="hb"):
    """Sent when nothing else was for a while."""

    server_timestamp: str


REPLIES: Final[tuple[type[Reply], ...]] = (
    Subscribed, Unsubscribed, Resumed, Ok, Visible, Rate, Pong, Synced, Error, Heartbeat, Authenticated,
    FeedNote, GapNote, DeliveryNote, StatusSnapshot,
)  # fmt: skip
