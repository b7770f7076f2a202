from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EMPTY: _ClassVar[State]
    SYNCING: _ClassVar[State]
    LIVE: _ClassVar[State]
    GAP: _ClassVar[State]
    REPAIRING: _ClassVar[State]
    STALE: _ClassVar[State]
    HALTED: _ClassVar[State]
    AUCTION: _ClassVar[State]
    CLOSED: _ClassVar[State]
    UNVERIFIED: _ClassVar[State]
    DELAYED: _ClassVar[State]

class Side(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIDE_UNKNOWN: _ClassVar[Side]
    BUY: _ClassVar[Side]
    SELL: _ClassVar[Side]
EMPTY: State
SYNCING: State
LIVE: State
GAP: State
REPAIRING: State
STALE: State
HALTED: State
AUCTION: State
CLOSED: State
UNVERIFIED: State
DELAYED: State
SIDE_UNKNOWN: Side
BUY: Side
SELL: Side

class ServerFrame(_message.Message):
    __slots__ = ("messages",)
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[Message]
    def __init__(self, messages: _Optional[_Iterable[_Union[Message, _Mapping]]] = ...) -> None: ...

class Message(_message.Message):
    __slots__ = ("snapshot", "update", "trade", "book", "bar", "book_snapshot", "bars_snapshot", "status", "lost", "subscribed", "unsubscribed", "resumed", "ok", "pong", "synced", "error", "hb", "visibility", "rate", "feed", "gap", "delivery", "status_snapshot", "authenticated")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    TRADE_FIELD_NUMBER: _ClassVar[int]
    BOOK_FIELD_NUMBER: _ClassVar[int]
    BAR_FIELD_NUMBER: _ClassVar[int]
    BOOK_SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    BARS_SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBED_FIELD_NUMBER: _ClassVar[int]
    UNSUBSCRIBED_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    OK_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    SYNCED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    HB_FIELD_NUMBER: _ClassVar[int]
    VISIBILITY_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    FEED_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    STATUS_SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATED_FIELD_NUMBER: _ClassVar[int]
    snapshot: Snapshot
    update: Price
    trade: Trade
    book: Book
    bar: Bar
    book_snapshot: BookSnapshot
    bars_snapshot: BarsSnapshot
    status: Status
    lost: Lost
    subscribed: Subscribed
    unsubscribed: Unsubscribed
    resumed: Resumed
    ok: Ok
    pong: Pong
    synced: Synced
    error: Error
    hb: Heartbeat
    visibility: Visible
    rate: Rate
    feed: FeedNote
    gap: GapNote
    delivery: DeliveryNote
    status_snapshot: StatusSnapshot
    authenticated: Authenticated
    def __init__(self, snapshot: _Optional[_Union[Snapshot, _Mapping]] = ..., update: _Optional[_Union[Price, _Mapping]] = ..., trade: _Optional[_Union[Trade, _Mapping]] = ..., book: _Optional[_Union[Book, _Mapping]] = ..., bar: _Optional[_Union[Bar, _Mapping]] = ..., book_snapshot: _Optional[_Union[BookSnapshot, _Mapping]] = ..., bars_snapshot: _Optional[_Union[BarsSnapshot, _Mapping]] = ..., status: _Optional[_Union[Status, _Mapping]] = ..., lost: _Optional[_Union[Lost, _Mapping]] = ..., subscribed: _Optional[_Union[Subscribed, _Mapping]] = ..., unsubscribed: _Optional[_Union[Unsubscribed, _Mapping]] = ..., resumed: _Optional[_Union[Resumed, _Mapping]] = ..., ok: _Optional[_Union[Ok, _Mapping]] = ..., pong: _Optional[_Union[Pong, _Mapping]] = ..., synced: _Optional[_Union[Synced, _Mapping]] = ..., error: _Optional[_Union[Error, _Mapping]] = ..., hb: _Optional[_Union[Heartbeat, _Mapping]] = ..., visibility: _Optional[_Union[Visible, _Mapping]] = ..., rate: _Optional[_Union[Rate, _Mapping]] = ..., feed: _Optional[_Union[FeedNote, _Mapping]] = ..., gap: _Optional[_Union[GapNote, _Mapping]] = ..., delivery: _Optional[_Union[DeliveryNote, _Mapping]] = ..., status_snapshot: _Optional[_Union[StatusSnapshot, _Mapping]] = ..., authenticated: _Optional[_Union[Authenticated, _Mapping]] = ...) -> None: ...

class Price(_message.Message):
    __slots__ = ("handle", "seq", "price", "size", "bid", "bid_size", "ask", "ask_size", "timestamp", "unknown", "volume", "change", "change_pct", "side", "state", "high", "low", "open", "prev_close", "venue", "server_timestamp", "crossed", "legs_live", "legs_of", "wide")
    class WideEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: str
        def __init__(self, key: _Optional[int] = ..., value: _Optional[str] = ...) -> None: ...
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    BID_FIELD_NUMBER: _ClassVar[int]
    BID_SIZE_FIELD_NUMBER: _ClassVar[int]
    ASK_FIELD_NUMBER: _ClassVar[int]
    ASK_SIZE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_PCT_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    PREV_CLOSE_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    CROSSED_FIELD_NUMBER: _ClassVar[int]
    LEGS_LIVE_FIELD_NUMBER: _ClassVar[int]
    LEGS_OF_FIELD_NUMBER: _ClassVar[int]
    WIDE_FIELD_NUMBER: _ClassVar[int]
    handle: int
    seq: int
    price: int
    size: int
    bid: int
    bid_size: int
    ask: int
    ask_size: int
    timestamp: int
    unknown: _containers.RepeatedScalarFieldContainer[int]
    volume: int
    change: int
    change_pct: int
    side: Side
    state: State
    high: int
    low: int
    open: int
    prev_close: int
    venue: str
    server_timestamp: int
    crossed: bool
    legs_live: int
    legs_of: int
    wide: _containers.ScalarMap[int, str]
    def __init__(self, handle: _Optional[int] = ..., seq: _Optional[int] = ..., price: _Optional[int] = ..., size: _Optional[int] = ..., bid: _Optional[int] = ..., bid_size: _Optional[int] = ..., ask: _Optional[int] = ..., ask_size: _Optional[int] = ..., timestamp: _Optional[int] = ..., unknown: _Optional[_Iterable[int]] = ..., volume: _Optional[int] = ..., change: _Optional[int] = ..., change_pct: _Optional[int] = ..., side: _Optional[_Union[Side, str]] = ..., state: _Optional[_Union[State, str]] = ..., high: _Optional[int] = ..., low: _Optional[int] = ..., open: _Optional[int] = ..., prev_close: _Optional[int] = ..., venue: _Optional[str] = ..., server_timestamp: _Optional[int] = ..., crossed: _Optional[bool] = ..., legs_live: _Optional[int] = ..., legs_of: _Optional[int] = ..., wide: _Optional[_Mapping[int, str]] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("symbol", "epoch", "values")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    epoch: int
    values: Price
    def __init__(self, symbol: _Optional[str] = ..., epoch: _Optional[int] = ..., values: _Optional[_Union[Price, _Mapping]] = ...) -> None: ...

class Trade(_message.Message):
    __slots__ = ("handle", "seq", "price", "size", "side", "timestamp", "id_number", "id_text", "conditions", "wide")
    class WideEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: str
        def __init__(self, key: _Optional[int] = ..., value: _Optional[str] = ...) -> None: ...
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    ID_NUMBER_FIELD_NUMBER: _ClassVar[int]
    ID_TEXT_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    WIDE_FIELD_NUMBER: _ClassVar[int]
    handle: int
    seq: int
    price: int
    size: int
    side: Side
    timestamp: int
    id_number: int
    id_text: str
    conditions: _containers.RepeatedScalarFieldContainer[str]
    wide: _containers.ScalarMap[int, str]
    def __init__(self, handle: _Optional[int] = ..., seq: _Optional[int] = ..., price: _Optional[int] = ..., size: _Optional[int] = ..., side: _Optional[_Union[Side, str]] = ..., timestamp: _Optional[int] = ..., id_number: _Optional[int] = ..., id_text: _Optional[str] = ..., conditions: _Optional[_Iterable[str]] = ..., wide: _Optional[_Mapping[int, str]] = ...) -> None: ...

class Book(_message.Message):
    __slots__ = ("handle", "seq", "bids", "asks", "timestamp", "digest", "wide")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    BIDS_FIELD_NUMBER: _ClassVar[int]
    ASKS_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    WIDE_FIELD_NUMBER: _ClassVar[int]
    handle: int
    seq: int
    bids: _containers.RepeatedScalarFieldContainer[int]
    asks: _containers.RepeatedScalarFieldContainer[int]
    timestamp: int
    digest: int
    wide: _containers.RepeatedCompositeFieldContainer[WideLevel]
    def __init__(self, handle: _Optional[int] = ..., seq: _Optional[int] = ..., bids: _Optional[_Iterable[int]] = ..., asks: _Optional[_Iterable[int]] = ..., timestamp: _Optional[int] = ..., digest: _Optional[int] = ..., wide: _Optional[_Iterable[_Union[WideLevel, _Mapping]]] = ...) -> None: ...

class WideLevel(_message.Message):
    __slots__ = ("is_ask", "price", "size")
    IS_ASK_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    is_ask: bool
    price: str
    size: str
    def __init__(self, is_ask: _Optional[bool] = ..., price: _Optional[str] = ..., size: _Optional[str] = ...) -> None: ...

class BookSnapshot(_message.Message):
    __slots__ = ("symbol", "epoch", "depth", "state", "last", "book")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    BOOK_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    epoch: int
    depth: int
    state: State
    last: bool
    book: Book
    def __init__(self, symbol: _Optional[str] = ..., epoch: _Optional[int] = ..., depth: _Optional[int] = ..., state: _Optional[_Union[State, str]] = ..., last: _Optional[bool] = ..., book: _Optional[_Union[Book, _Mapping]] = ...) -> None: ...

class Bar(_message.Message):
    __slots__ = ("handle", "seq", "interval_s", "start_s", "open", "high", "low", "close", "volume", "notional", "trades", "final", "corrected", "wide")
    class WideEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: str
        def __init__(self, key: _Optional[int] = ..., value: _Optional[str] = ...) -> None: ...
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_S_FIELD_NUMBER: _ClassVar[int]
    START_S_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    NOTIONAL_FIELD_NUMBER: _ClassVar[int]
    TRADES_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_FIELD_NUMBER: _ClassVar[int]
    WIDE_FIELD_NUMBER: _ClassVar[int]
    handle: int
    seq: int
    interval_s: int
    start_s: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    notional: int
    trades: int
    final: bool
    corrected: bool
    wide: _containers.ScalarMap[int, str]
    def __init__(self, handle: _Optional[int] = ..., seq: _Optional[int] = ..., interval_s: _Optional[int] = ..., start_s: _Optional[int] = ..., open: _Optional[int] = ..., high: _Optional[int] = ..., low: _Optional[int] = ..., close: _Optional[int] = ..., volume: _Optional[int] = ..., notional: _Optional[int] = ..., trades: _Optional[int] = ..., final: _Optional[bool] = ..., corrected: _Optional[bool] = ..., wide: _Optional[_Mapping[int, str]] = ...) -> None: ...

class BarsSnapshot(_message.Message):
    __slots__ = ("handle", "seq", "symbol", "epoch", "interval_s", "state", "bars")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_S_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    BARS_FIELD_NUMBER: _ClassVar[int]
    handle: int
    seq: int
    symbol: str
    epoch: int
    interval_s: int
    state: State
    bars: _containers.RepeatedCompositeFieldContainer[Bar]
    def __init__(self, handle: _Optional[int] = ..., seq: _Optional[int] = ..., symbol: _Optional[str] = ..., epoch: _Optional[int] = ..., interval_s: _Optional[int] = ..., state: _Optional[_Union[State, str]] = ..., bars: _Optional[_Iterable[_Union[Bar, _Mapping]]] = ...) -> None: ...

class Status(_message.Message):
    __slots__ = ("handle", "symbol", "state", "since", "reason")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    handle: int
    symbol: str
    state: State
    since: int
    reason: str
    def __init__(self, handle: _Optional[int] = ..., symbol: _Optional[str] = ..., state: _Optional[_Union[State, str]] = ..., since: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Lost(_message.Message):
    __slots__ = ("handle", "seq", "symbol", "channel", "interval", "count", "epoch")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    handle: int
    seq: int
    symbol: str
    channel: str
    interval: str
    count: int
    epoch: int
    def __init__(self, handle: _Optional[int] = ..., seq: _Optional[int] = ..., symbol: _Optional[str] = ..., channel: _Optional[str] = ..., interval: _Optional[str] = ..., count: _Optional[int] = ..., epoch: _Optional[int] = ...) -> None: ...

class RequestId(_message.Message):
    __slots__ = ("text", "number")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    text: str
    number: int
    def __init__(self, text: _Optional[str] = ..., number: _Optional[int] = ...) -> None: ...

class Fields(_message.Message):
    __slots__ = ("values", "all")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    all: bool
    def __init__(self, values: _Optional[_Iterable[str]] = ..., all: _Optional[bool] = ...) -> None: ...

class Json(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class Standing(_message.Message):
    __slots__ = ("state", "epoch", "seq", "handle")
    STATE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    state: str
    epoch: int
    seq: int
    handle: int
    def __init__(self, state: _Optional[str] = ..., epoch: _Optional[int] = ..., seq: _Optional[int] = ..., handle: _Optional[int] = ...) -> None: ...

class Subscribed(_message.Message):
    __slots__ = ("id", "channel", "symbols", "rate", "mode", "fields", "depth", "interval", "patterns", "delay_s")
    class SymbolsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Standing
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Standing, _Mapping]] = ...) -> None: ...
    class PatternsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Fields
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Fields, _Mapping]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    PATTERNS_FIELD_NUMBER: _ClassVar[int]
    DELAY_S_FIELD_NUMBER: _ClassVar[int]
    id: RequestId
    channel: str
    symbols: _containers.MessageMap[str, Standing]
    rate: int
    mode: str
    fields: Fields
    depth: int
    interval: str
    patterns: _containers.MessageMap[str, Fields]
    delay_s: float
    def __init__(self, id: _Optional[_Union[RequestId, _Mapping]] = ..., channel: _Optional[str] = ..., symbols: _Optional[_Mapping[str, Standing]] = ..., rate: _Optional[int] = ..., mode: _Optional[str] = ..., fields: _Optional[_Union[Fields, _Mapping]] = ..., depth: _Optional[int] = ..., interval: _Optional[str] = ..., patterns: _Optional[_Mapping[str, Fields]] = ..., delay_s: _Optional[float] = ...) -> None: ...

class Unsubscribed(_message.Message):
    __slots__ = ("id", "channel", "symbols")
    ID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    id: RequestId
    channel: str
    symbols: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[_Union[RequestId, _Mapping]] = ..., channel: _Optional[str] = ..., symbols: _Optional[_Iterable[str]] = ...) -> None: ...

class Recovery(_message.Message):
    __slots__ = ("recovered", "reason", "state", "epoch", "seq", "handle")
    RECOVERED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    recovered: bool
    reason: str
    state: str
    epoch: int
    seq: int
    handle: int
    def __init__(self, recovered: _Optional[bool] = ..., reason: _Optional[str] = ..., state: _Optional[str] = ..., epoch: _Optional[int] = ..., seq: _Optional[int] = ..., handle: _Optional[int] = ...) -> None: ...

class Resumed(_message.Message):
    __slots__ = ("id", "channel", "symbols", "rate", "mode", "fields", "depth", "interval", "delay_s")
    class SymbolsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Recovery
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Recovery, _Mapping]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    DELAY_S_FIELD_NUMBER: _ClassVar[int]
    id: RequestId
    channel: str
    symbols: _containers.MessageMap[str, Recovery]
    rate: int
    mode: str
    fields: Fields
    depth: int
    interval: str
    delay_s: float
    def __init__(self, id: _Optional[_Union[RequestId, _Mapping]] = ..., channel: _Optional[str] = ..., symbols: _Optional[_Mapping[str, Recovery]] = ..., rate: _Optional[int] = ..., mode: _Optional[str] = ..., fields: _Optional[_Union[Fields, _Mapping]] = ..., depth: _Optional[int] = ..., interval: _Optional[str] = ..., delay_s: _Optional[float] = ...) -> None: ...

class TermsInForce(_message.Message):
    __slots__ = ("symbols", "rate", "mode", "fields", "depth", "interval")
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    symbols: int
    rate: int
    mode: str
    fields: Fields
    depth: int
    interval: str
    def __init__(self, symbols: _Optional[int] = ..., rate: _Optional[int] = ..., mode: _Optional[str] = ..., fields: _Optional[_Union[Fields, _Mapping]] = ..., depth: _Optional[int] = ..., interval: _Optional[str] = ...) -> None: ...

class Ok(_message.Message):
    __slots__ = ("id", "action", "channel", "symbols", "numbers", "batch", "rate", "mode", "fields", "terms", "depth", "interval")
    ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    id: RequestId
    action: str
    channel: str
    symbols: int
    numbers: str
    batch: bool
    rate: int
    mode: str
    fields: Fields
    terms: _containers.RepeatedCompositeFieldContainer[TermsInForce]
    depth: int
    interval: str
    def __init__(self, id: _Optional[_Union[RequestId, _Mapping]] = ..., action: _Optional[str] = ..., channel: _Optional[str] = ..., symbols: _Optional[int] = ..., numbers: _Optional[str] = ..., batch: _Optional[bool] = ..., rate: _Optional[int] = ..., mode: _Optional[str] = ..., fields: _Optional[_Union[Fields, _Mapping]] = ..., terms: _Optional[_Iterable[_Union[TermsInForce, _Mapping]]] = ..., depth: _Optional[int] = ..., interval: _Optional[str] = ...) -> None: ...

class Visible(_message.Message):
    __slots__ = ("id", "hidden")
    ID_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    id: RequestId
    hidden: bool
    def __init__(self, id: _Optional[_Union[RequestId, _Mapping]] = ..., hidden: _Optional[bool] = ...) -> None: ...

class Rate(_message.Message):
    __slots__ = ("id", "rate", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: RequestId
    rate: int
    reason: str
    def __init__(self, id: _Optional[_Union[RequestId, _Mapping]] = ..., rate: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Pong(_message.Message):
    __slots__ = ("id", "server_timestamp")
    ID_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    id: RequestId
    server_timestamp: str
    def __init__(self, id: _Optional[_Union[RequestId, _Mapping]] = ..., server_timestamp: _Optional[str] = ...) -> None: ...

class Counters(_message.Message):
    __slots__ = ("epoch", "seq", "published", "delivered", "merged", "lost")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_FIELD_NUMBER: _ClassVar[int]
    MERGED_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    seq: int
    published: int
    delivered: int
    merged: int
    lost: int
    def __init__(self, epoch: _Optional[int] = ..., seq: _Optional[int] = ..., published: _Optional[int] = ..., delivered: _Optional[int] = ..., merged: _Optional[int] = ..., lost: _Optional[int] = ...) -> None: ...

class CountersBySymbol(_message.Message):
    __slots__ = ("symbols",)
    class SymbolsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Counters
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Counters, _Mapping]] = ...) -> None: ...
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    symbols: _containers.MessageMap[str, Counters]
    def __init__(self, symbols: _Optional[_Mapping[str, Counters]] = ...) -> None: ...

class Synced(_message.Message):
    __slots__ = ("id", "channels")
    class ChannelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: CountersBySymbol
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[CountersBySymbol, _Mapping]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    id: RequestId
    channels: _containers.MessageMap[str, CountersBySymbol]
    def __init__(self, id: _Optional[_Union[RequestId, _Mapping]] = ..., channels: _Optional[_Mapping[str, CountersBySymbol]] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("id", "code", "reason", "symbols")
    ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    id: RequestId
    code: int
    reason: str
    symbols: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[_Union[RequestId, _Mapping]] = ..., code: _Optional[int] = ..., reason: _Optional[str] = ..., symbols: _Optional[_Iterable[str]] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("id", "server_timestamp")
    ID_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    id: RequestId
    server_timestamp: str
    def __init__(self, id: _Optional[_Union[RequestId, _Mapping]] = ..., server_timestamp: _Optional[str] = ...) -> None: ...

class FeedNote(_message.Message):
    __slots__ = ("id", "channel", "seq", "feed")
    ID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    FEED_FIELD_NUMBER: _ClassVar[int]
    id: RequestId
    channel: str
    seq: int
    feed: Json
    def __init__(self, id: _Optional[_Union[RequestId, _Mapping]] = ..., channel: _Optional[str] = ..., seq: _Optional[int] = ..., feed: _Optional[_Union[Json, _Mapping]] = ...) -> None: ...

class GapNote(_message.Message):
    __slots__ = ("id", "channel", "seq", "gap")
    ID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    id: RequestId
    channel: str
    seq: int
    gap: Json
    def __init__(self, id: _Optional[_Union[RequestId, _Mapping]] = ..., channel: _Optional[str] = ..., seq: _Optional[int] = ..., gap: _Optional[_Union[Json, _Mapping]] = ...) -> None: ...

class DeliveryNote(_message.Message):
    __slots__ = ("id", "channel", "seq", "delivery")
    ID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    id: RequestId
    channel: str
    seq: int
    delivery: Json
    def __init__(self, id: _Optional[_Union[RequestId, _Mapping]] = ..., channel: _Optional[str] = ..., seq: _Optional[int] = ..., delivery: _Optional[_Union[Json, _Mapping]] = ...) -> None: ...

class StatusSnapshot(_message.Message):
    __slots__ = ("id", "channel", "seq", "feeds", "gaps", "delivery")
    ID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    FEEDS_FIELD_NUMBER: _ClassVar[int]
    GAPS_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    id: RequestId
    channel: str
    seq: int
    feeds: _containers.RepeatedCompositeFieldContainer[Json]
    gaps: _containers.RepeatedCompositeFieldContainer[Json]
    delivery: Json
    def __init__(self, id: _Optional[_Union[RequestId, _Mapping]] = ..., channel: _Optional[str] = ..., seq: _Optional[int] = ..., feeds: _Optional[_Iterable[_Union[Json, _Mapping]]] = ..., gaps: _Optional[_Iterable[_Union[Json, _Mapping]]] = ..., delivery: _Optional[_Union[Json, _Mapping]] = ...) -> None: ...

class Authenticated(_message.Message):
    __slots__ = ("id", "subject", "until", "symbols", "channels", "depth", "rate", "delay_s")
    ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    DELAY_S_FIELD_NUMBER: _ClassVar[int]
    id: RequestId
    subject: str
    until: str
    symbols: _containers.RepeatedScalarFieldContainer[str]
    channels: _containers.RepeatedScalarFieldContainer[str]
    depth: int
    rate: int
    delay_s: float
    def __init__(self, id: _Optional[_Union[RequestId, _Mapping]] = ..., subject: _Optional[str] = ..., until: _Optional[str] = ..., symbols: _Optional[_Iterable[str]] = ..., channels: _Optional[_Iterable[str]] = ..., depth: _Optional[int] = ..., rate: _Optional[int] = ..., delay_s: _Optional[float] = ...) -> None: ...

class ClientFrame(_message.Message):
    __slots__ = ("id", "subscribe", "unsubscribe", "set", "reconnect", "ping", "sync", "visibility", "auth")
    ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBE_FIELD_NUMBER: _ClassVar[int]
    UNSUBSCRIBE_FIELD_NUMBER: _ClassVar[int]
    SET_FIELD_NUMBER: _ClassVar[int]
    RECONNECT_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    SYNC_FIELD_NUMBER: _ClassVar[int]
    VISIBILITY_FIELD_NUMBER: _ClassVar[int]
    AUTH_FIELD_NUMBER: _ClassVar[int]
    id: RequestId
    subscribe: Subscribe
    unsubscribe: Unsubscribe
    set: Set
    reconnect: Reconnect
    ping: Ping
    sync: Sync
    visibility: Visibility
    auth: Auth
    def __init__(self, id: _Optional[_Union[RequestId, _Mapping]] = ..., subscribe: _Optional[_Union[Subscribe, _Mapping]] = ..., unsubscribe: _Optional[_Union[Unsubscribe, _Mapping]] = ..., set: _Optional[_Union[Set, _Mapping]] = ..., reconnect: _Optional[_Union[Reconnect, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ..., sync: _Optional[_Union[Sync, _Mapping]] = ..., visibility: _Optional[_Union[Visibility, _Mapping]] = ..., auth: _Optional[_Union[Auth, _Mapping]] = ...) -> None: ...

class Auth(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: str
    def __init__(self, token: _Optional[str] = ...) -> None: ...

class Place(_message.Message):
    __slots__ = ("epoch", "seq")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    seq: int
    def __init__(self, epoch: _Optional[int] = ..., seq: _Optional[int] = ...) -> None: ...

class Subscribe(_message.Message):
    __slots__ = ("channel", "rate", "fields", "mode", "numbers", "batch", "resume", "last_seen", "symbols", "depth", "interval")
    class ResumeEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Place
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Place, _Mapping]] = ...) -> None: ...
    class LastSeenEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    channel: str
    rate: float
    fields: Fields
    mode: str
    numbers: str
    batch: bool
    resume: _containers.MessageMap[str, Place]
    last_seen: _containers.ScalarMap[str, str]
    symbols: _containers.RepeatedScalarFieldContainer[str]
    depth: int
    interval: str
    def __init__(self, channel: _Optional[str] = ..., rate: _Optional[float] = ..., fields: _Optional[_Union[Fields, _Mapping]] = ..., mode: _Optional[str] = ..., numbers: _Optional[str] = ..., batch: _Optional[bool] = ..., resume: _Optional[_Mapping[str, Place]] = ..., last_seen: _Optional[_Mapping[str, str]] = ..., symbols: _Optional[_Iterable[str]] = ..., depth: _Optional[int] = ..., interval: _Optional[str] = ...) -> None: ...

class Unsubscribe(_message.Message):
    __slots__ = ("channel", "symbols", "depth", "interval")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    channel: str
    symbols: _containers.RepeatedScalarFieldContainer[str]
    depth: int
    interval: str
    def __init__(self, channel: _Optional[str] = ..., symbols: _Optional[_Iterable[str]] = ..., depth: _Optional[int] = ..., interval: _Optional[str] = ...) -> None: ...

class Set(_message.Message):
    __slots__ = ("channel", "rate", "fields", "mode", "numbers", "batch", "depth", "interval")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    channel: str
    rate: float
    fields: Fields
    mode: str
    numbers: str
    batch: bool
    depth: int
    interval: str
    def __init__(self, channel: _Optional[str] = ..., rate: _Optional[float] = ..., fields: _Optional[_Union[Fields, _Mapping]] = ..., mode: _Optional[str] = ..., numbers: _Optional[str] = ..., batch: _Optional[bool] = ..., depth: _Optional[int] = ..., interval: _Optional[str] = ...) -> None: ...

class Reconnect(_message.Message):
    __slots__ = ("channel", "rate", "fields", "mode", "numbers", "batch", "resume", "last_seen", "depth", "interval")
    class ResumeEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Place
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Place, _Mapping]] = ...) -> None: ...
    class LastSeenEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    channel: str
    rate: float
    fields: Fields
    mode: str
    numbers: str
    batch: bool
    resume: _containers.MessageMap[str, Place]
    last_seen: _containers.ScalarMap[str, str]
    depth: int
    interval: str
    def __init__(self, channel: _Optional[str] = ..., rate: _Optional[float] = ..., fields: _Optional[_Union[Fields, _Mapping]] = ..., mode: _Optional[str] = ..., numbers: _Optional[str] = ..., batch: _Optional[bool] = ..., resume: _Optional[_Mapping[str, Place]] = ..., last_seen: _Optional[_Mapping[str, str]] = ..., depth: _Optional[int] = ..., interval: _Optional[str] = ...) -> None: ...

class Visibility(_message.Message):
    __slots__ = ("hidden",)
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    hidden: bool
    def __init__(self, hidden: _Optional[bool] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Sync(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
