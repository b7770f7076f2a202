"""What the data of ``/stream`` looks like as ``tickcast.json``, as ``/asyncapi.json`` tells it.

The frames are written in the core; the structs here only describe them, and tests hold them against what is really
sent. Requests and replies are in :mod:`tickcast.gateway.messages`.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

Number = Annotated[
    int | float | str, msgspec.Meta(description="Exact: a JSON number, or text with `numbers` = `string`.")
]
Maybe = Number | UnsetType | None
"""A field of ``price``: absent = unchanged or not asked for, null = not known."""
Time = Annotated[str, msgspec.Meta(description="RFC 3339 in UTC, with a Z.")]
Counter = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
Side = Literal["buy", "sell"]
Level = Annotated[list[Number], msgspec.Meta(min_length=2, max_length=2)]
"""Price and size."""
Handle = Annotated[int, msgspec.Meta(description="Only in `tickcast.msgpack`.")]


class Legs(msgspec.Struct, frozen=True):
    """How many venues of a security are live."""

    live: int
    of: int


class Data(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every frame of data carries."""

    symbol: str
    handle: Handle | UnsetType = UNSET


class PriceValues(Data, frozen=True, kw_only=True):
    """Fields of channel ``price``."""

    seq: Counter
    price: Maybe = UNSET
    size: Maybe = UNSET
    side: Side | UnsetType | None = UNSET
    venue: str | UnsetType | None = UNSET
    timestamp: Time | UnsetType | None = UNSET
    bid: Maybe = UNSET
    bid_size: Maybe = UNSET
    ask: Maybe = UNSET
    ask_size: Maybe = UNSET
    server_timestamp: Time | UnsetType = UNSET
    open: Maybe = UNSET
    high: Maybe = UNSET
    low: Maybe = UNSET
    prev_close: Maybe = UNSET
    volume: Maybe = UNSET
    change: Maybe = UNSET
    change_pct: Maybe = UNSET
    crossed: bool | UnsetType | None = UNSET
    legs: Legs | UnsetType | None = UNSET


class PriceSnapshot(PriceValues, frozen=True, kw_only=True, tag="snapshot"):
    """All fields asked for; replaces all that is known of the symbol."""

    epoch: Counter
    state: str
    reason: str | UnsetType | None = UNSET


class PriceUpdate(PriceValues, frozen=True, kw_only=True, tag="update"):
    """What changed since the frame before, as absolute values."""

    epoch: Counter | UnsetType = UNSET
    state: str | UnsetType = UNSET


class StateChange(Data, frozen=True, kw_only=True, tag="status"):
    """The state of a symbol changed, at once, whatever the rate."""

    state: str
    since: Time
    reason: str | None


class Trade(Data, frozen=True, kw_only=True, tag="trade"):
    """One trade."""

    channel: Literal["trades"]
    seq: Counter
    id: str
    price: Number | None
    size: Number | None
    side: Side | None
    timestamp: Time
    conditions: list[str]


class Lost(Data, frozen=True, kw_only=True, tag="lost"):
    """Messages that did not fit in the client's buffer; with ``count`` 0 a new epoch begins."""

    channel: str
    count: Counter
    epoch: Counter
    seq: Counter


class BookSnapshot(Data, frozen=True, kw_only=True, tag="snapshot"):
    """The best levels, or a part of them; they count from the part with ``last`` true on."""

    channel: Literal["book"]
    depth: int
    bids: list[Level]
    asks: list[Level]
    timestamp: Time | None
    epoch: Counter
    seq: Counter
    state: str
    last: bool
    digest: int | UnsetType = UNSET
    """CRC-32 of the whole book as text; in the last part."""


class BookUpdate(Data, frozen=True, kw_only=True, tag="update"):
    """Levels that changed: the whole size there is now, 0 deletes."""

    channel: Literal["book"]
    bids: list[Level]
    asks: list[Level]
    timestamp: Time | None
    seq: Counter
    epoch: Counter | UnsetType = UNSET
    digest: int | UnsetType = UNSET


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One bar; its key is ``start``. With ``trades`` 0 there is none any more."""

    start: Time
    open: Number | None
    high: Number | None
    low: Number | None
    close: Number | None
    volume: Number
    notional: Number | None
    trades: int
    final: bool
    corrected: Literal[True] | UnsetType = UNSET


class BarsSnapshot(Data, frozen=True, kw_only=True, tag="snapshot"):
    """The newest bars, oldest first; replaces all that is known of the interval."""

    channel: Literal["bars"]
    interval: Literal["1s", "1m"]
    bars: list[Bar]
    epoch: Counter
    seq: Counter
    state: str


class BarUpdate(Bar, frozen=True, kw_only=True, tag_field="type", tag="bar"):
    """A bar that changed."""

    symbol: str
    channel: Literal["bars"]
    interval: Literal["1s", "1m"]
    seq: Counter
    epoch: Counter | UnsetType = UNSET
    handle: Handle | UnsetType = UNSET


FRAMES: Final[tuple[type[msgspec.Struct], ...]] = (
    PriceSnapshot, PriceUpdate, StateChange, Trade, Lost, BookSnapshot, BookUpdate, BarsSnapshot, BarUpdate,
)  # fmt: skip
"""All frames of data. What tells apart those of one ``type`` is their ``channel``, which ``price`` has not."""
