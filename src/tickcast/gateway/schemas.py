"""What the answers of REST look like, as ``/openapi.json`` tells it.

The bodies are made elsewhere (in the core, by the operations stage); the structs here only describe them, and tests
hold them against what is really answered.
"""

from typing import Annotated, Any, Final, Literal

import msgspec

from tickcast.model.fault import Fault, Verb
from tickcast.model.health import ClockHealth, FeedCondition, LineHealth, Unknown
from tickcast.model.ledger import IncidentKind, Scope
from tickcast.ports import Listing, Verdict
from tickcast.venues.selection import Changed, SymbolList

Schema = dict[str, Any]


class SymbolsPage(msgspec.Struct, kw_only=True):
    """A page of listings, in the order of their symbols."""

    symbols: list[Listing]
    next: str | None
    """Goes into ``cursor`` for the next page; null: this was the last."""


class Overview(msgspec.Struct, kw_only=True):
    """What to look at first."""

    symbols: list[Listing]


class FeedRow(msgspec.Struct, kw_only=True):
    """Health of one feed. Counters only grow while the feed's process lives, and begin anew with a new one."""

    name: str
    venue: str
    state: FeedCondition
    since: str
    pid: int | None
    restarts: int
    connections: int
    reconnects: int
    planned_reconnects: int
    overlap_removed: int
    lines: list[LineHealth]
    messages: int
    records: int
    gaps: int
    dead_letters: int
    dropped: int
    rate: float
    lag_ms: float
    last_message: str | None
    last_error: str | None
    unknown: list[Unknown]
    checksums: dict[str, int]
    clock: ClockHealth | None


class SymbolsChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which symbols a feed is to stream from now on, and which no more."""

    add: tuple[str, ...] = ()
    """``BTC-USDT``, with the venue's code before it or without, or a pattern (``BTC-USD-*-C``)."""
    drop: tuple[str, ...] = ()


class ProcessRow(msgspec.Struct, kw_only=True):
    """One process of the instance, as ``tickcast ps`` shows it."""

    name: str
    role: Literal["supervisor", "core", "gateway", "feed", "sim"]
    venue: str | None
    """Of a feed."""
    pid: int | None
    state: Literal["waiting", "starting", "running", "backoff", "stopping", "stopped", "failed"]
    since: str
    restarts: int
    last_error: str | None


class Processes(msgspec.Struct, kw_only=True):
    """The processes of the instance."""

    processes: list[ProcessRow]


class Restarting(msgspec.Struct, kw_only=True):
    """A restart that was accepted and begins within a second."""

    name: str
    role: str
    pid: int | None
    """Process that ends; null: there was none."""
    clients: str
    """What clients will see."""


class ArmedFault(msgspec.Struct, kw_only=True):
    """A fault that is armed; of its parameters those that were given are there too."""

    fault: Verb
    fired: int
    left: int | None
    """Units that it still hits; null: no number was given."""
    left_s: float | None


class VenueFaults(msgspec.Struct, kw_only=True):
    """What a simulated exchange can do, and what is armed there."""

    supports: dict[str, str]
    """What happens, by verb."""
    lines: list[str]
    armed: list[ArmedFault]
    fired: dict[str, int]
    held_bytes: int
    overflow: int


class FaultVerb(msgspec.Struct, kw_only=True):
    """A verb, and how long it lasts when it is not told."""

    meaning: str
    parameters: list[str]
    count: int | None
    for_s: float | None
    delay_ms: float


class Faults(msgspec.Struct, kw_only=True):
    """What the simulated exchanges can do, and what is armed."""

    verbs: dict[str, FaultVerb]
    venues: dict[str, VenueFaults]


class Feeds(msgspec.Struct, kw_only=True):
    """Health of each feed."""

    feeds: list[FeedRow]


class HopTimes(msgspec.Struct, kw_only=True):
    """One hop; times in ms, null where nothing was measured in the window."""

    hop: str
    count: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    budget_ms: Annotated[list[float], msgspec.Meta(min_length=3, max_length=3)]
    """Of p50, p95 and p99."""
    ok: bool
    uncertainty_ms: float | None


class Latency(msgspec.Struct, kw_only=True):
    """The hops in the order of the way, over about the last ``window_s`` seconds."""

    hops: list[HopTimes]
    window_s: float


class Live(msgspec.Struct, kw_only=True):
    """The process answers."""

    status: str


class Ready(msgspec.Struct, kw_only=True):
    """Prices can be served."""

    status: str
    feeds_live: int
    feeds: int
    instruments: int
    failures: list[str]


class GapRow(msgspec.Struct, kw_only=True):
    """An entry of the gap ledger."""

    id: str
    feed: str
    venue: str
    kind: IncidentKind
    scope: Scope
    reason: str
    began: str
    ended: str | None
    """Null: it is still open."""
    duration_ms: float
    """Of an open one: so far."""
    instruments: list[str]
    """At most 100; `instruments_count` counts all."""
    instruments_count: int
    open_count: int
    """Of these, not whole again yet."""
    link: str
    channel: str
    from_seq: int
    to_seq: int
    missing: int
    """Messages that were missing; 0: none, or their number is not known."""
    recovered: int
    """Of these, came after all."""
    lost: int
    """Of these, never came."""
    repaired_by: str
    """Empty while it is open, or where nothing repaired it."""


class Gaps(msgspec.Struct, kw_only=True):
    """A page of the ledger, newest first."""

    gaps: list[GapRow]
    next: str | None
    """Goes into `cursor` for the next page; null: this was the last."""


class LegAnswer(msgspec.Struct, kw_only=True):
    """Whether one instrument was complete."""

    symbol: str
    feed: str
    answer: Verdict
    share: float
    """Of the time: how much was whole, or came late but came; 0 to 1."""
    states_ms: dict[str, float]
    """How long each state lasted; the sum is the whole time. `not_running`: the feed's process did not run; `unknown`:
    the ledger does not reach there."""
    running_ms: float
    """How long the feed's process ran."""
    late_ms: float
    """Time that was not whole, of which all messages came later."""
    lost: int
    """Messages known to be lost for good."""
    entries: list[GapRow]
    """At most 100, newest first: those that concern the instrument, or may."""
    entries_count: int


class CompletenessAnswer(msgspec.Struct, kw_only=True):
    """Whether a symbol was complete: a security is when each of its legs is."""

    symbol: str
    begin: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    """Not after now."""
    answer: Verdict
    legs: list[LegAnswer]


def schema_of(wanted: type[msgspec.Struct]) -> Schema:
    """JSON Schema of a struct, its parts in place of references, so that it can stand anywhere in OpenAPI."""
    (schema,), parts = msgspec.json.schema_components([wanted], ref_template="{name}")
    inlined: Schema = _inlined(schema, parts)
    return inlined


def _inlined(node: Any, parts: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(item, parts) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(parts[node["$ref"]], parts)
    return {key: _inlined(value, parts) for key, value in node.items()}


_DECIMAL: Final[Schema] = {"type": ["number", "string", "null"]}
_TIME: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}
_COUNT: Final[Schema] = {"type": "integer"}
PRICE: Final[Schema] = {
    "type": "object",
    "required": ["symbol", "state"],
    "properties": {
        "symbol": {"type": "string"},
        "state": {"type": "string"},
        "currency": {"type": "string"},
        "venue": {"type": ["string", "null"]},
        "side": {"enum": ["buy", "sell", None]},
        **dict.fromkeys(
            (
                "price", "size", "bid", "bid_size", "ask", "ask_size", "open", "high", "low", "prev_close", "volume",
                "change", "change_pct",
            ),
            _DECIMAL,
        ),
        "exchange_timestamp": _TIME,
        "server_timestamp": _TIME,
        "crossed": {"type": "boolean"},
        "legs": {"type": "object", "properties": {"live": _COUNT, "of": _COUNT}},
        "epoch": _COUNT,
        "seq": _COUNT,
    },
}  # fmt: skip
"""Of ``/prices/{symbol}``; the core writes it."""
PRICES: Final[Schema] = {
    "type": "object",
    "required": ["prices"],
    "properties": {
        "prices": {"type": "array", "items": PRICE},
        "next": {"type": "string", "description": "`since` of the next request, where this one had `since` or `wait`."},
    },
}
_LEVELS: Final[Schema] = {
    "type": "array",
    "items": {"type": "array", "items": _DECIMAL, "minItems": 2, "maxItems": 2},
}
BOOK: Final[Schema] = {
    "type": "object",
    "required": ["symbol", "depth", "bids", "asks", "timestamp", "state", "epoch", "seq"],
    "properties": {
        "symbol": {"type": "string"},
        "depth": _COUNT,
        "bids": _LEVELS,
        "asks": _LEVELS,
        "timestamp": _TIME,
        "state": {"type": "string"},
        "epoch": _COUNT,
        "seq": _COUNT,
    },
}
"""Of ``/books/{symbol}``: (price, size), best first."""
BARS: Final[Schema] = {
    "type": "object",
    "required": ["symbol", "interval", "bars", "state", "epoch", "seq"],
    "properties": {
        "symbol": {"type": "string"},
        "interval": {"enum": ["1s", "1m"]},
        "bars": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "start": _TIME,
                    **dict.fromkeys(("open", "high", "low", "close", "volume", "notional"), _DECIMAL),
                    "trades": _COUNT,
                    "final": {"type": "boolean"},
                    "corrected": {"const": True},
                },
            },
        },
        "state": {"type": "string"},
        "epoch": _COUNT,
        "seq": _COUNT,
    },
}
"""Of ``/bars/{symbol}``, oldest first."""
PROBLEM: Final[Schema] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
SYMBOLS: Final = schema_of(SymbolsPage)
OVERVIEW: Final = schema_of(Overview)
TICKET: Final[Schema] = {
    "type": "object",
    "required": ["ticket", "until"],
    "properties": {
        "ticket": {"type": "string", "description": "To be used once, as ?ticket= of /stream."},
        "until": {"type": "string", "format": "date-time"},
    },
}
FEEDS: Final = schema_of(Feeds)
LATENCY: Final = schema_of(Latency)
GAPS: Final = schema_of(Gaps)
COMPLETENESS: Final = schema_of(CompletenessAnswer)
LIVE: Final = schema_of(Live)
READY: Final = schema_of(Ready)
FEED_SYMBOLS: Final = schema_of(SymbolList)
SYMBOLS_CHANGED: Final = schema_of(Changed)
PROCESSES: Final = schema_of(Processes)
RESTARTING: Final = schema_of(Restarting)
FAULTS: Final = schema_of(Faults)
VENUE_FAULTS: Final = schema_of(VenueFaults)
FAULT: Final = schema_of(Fault)
SYMBOLS_CHANGE: Final = schema_of(SymbolsChange)
