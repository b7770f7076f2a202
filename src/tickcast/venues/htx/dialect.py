"""HTX as data: spot, linear and inverse swaps, futures and options as recorded (documentation: see NOTES.md).

Every frame comes packed. Names of the three markets never collide: ``btcusdt``, ``BTC-USDT``, ``BTC-USD``.
"""

from typing import Final

from tickcast.model.record import Kind
from tickcast.venues.declared.dialect import (
    Aggressor,
    Book,
    BookRule,
    Dialect,
    Emit,
    Key,
    Levels,
    Match,
    Measure,
    Measures,
    Message,
    Quotes,
    RestTrades,
    Time,
    Trades,
)

DEPTH: Final = 150
"""Levels of the books that are subscribed to: the most that spot answers a request with."""
CHANNEL: Final = Key(path="/ch", split=".", part=1)
CONTRACT: Final = Key(path="contract_code")
SIDE: Final = Aggressor(path="direction", buyer=("buy",), seller=("sell",))
TIME: Final = Time(path="ts", unit="ms")
FRAME_TIME: Final = Time(path="/ts", unit="ms")
LEVELS: Final = Levels(bids="bids", asks="asks")


def channel(suffix: str, *conditions: Match) -> tuple[Match, ...]:
    """Match pushes of channels whose name ends so."""
    return (Match(path="ch", prefix="market.", suffix=suffix), *conditions)


def topic(suffix: str) -> tuple[Match, ...]:
    """Match notifications of a topic."""
    return (
        Match(path="topic", prefix="public.", suffix=suffix),
        Match(path="op", equals=("notify",)),
        Match(path="data", present=True),
    )


def there(path: str) -> Match:
    """Match frames that say something at a path."""
    return Match(path=path, present=True)


def measured(name: str, when: tuple[Match, ...], *values: Measure, fields: tuple[str, ...]) -> Message:
    """Declare pushes of one tick with values of the channel's instrument."""
    emits: tuple[Emit, ...] = (Measures(key=CHANNEL, values=values, time=FRAME_TIME),)
    return Message(name=name, when=when, rows="tick", emits=emits, fields=fields)


# ------------------------------------------------------------------ books

ASKED: Final = BookRule(chain="previous", snapshot="asked", depth_from="/ch")
MBP: Final = Message(
    name="mbp",
    when=(Match(path="ch", prefix="market."), there("tick.prevSeqNum")),
    rows="tick",
    emits=(Book(key=CHANNEL, levels=LEVELS, rule=ASKED, last="seqNum", previous="prevSeqNum", time=FRAME_TIME),),
    fields=("bids", "asks"),
)
"""Differences of a spot book; the book itself is asked for on the same connection."""
REQUESTED_MBP: Final = Message(
    name="mbp requested",
    when=(Match(path="rep", prefix="market."), there("data.seqNum")),
    rows="data",
    emits=(
        Book(
            key=Key(path="/rep", split=".", part=1),
            levels=LEVELS,
            rule=BookRule(chain="previous", snapshot="asked", depth_from="/rep"),
            snapshot=(Match(path="/rep", present=True),),
            last="seqNum",
            previous="seqNum",
            time=FRAME_TIME,
        ),
    ),
    fields=("bids", "asks", "prevSeqNum"),
)
REFRESHED: Final = Message(
    name="mbp.refresh",
    when=(Match(path="ch", prefix="market."), there("tick.seqNum")),
    rows="tick",
    emits=(
        Book(
            key=CHANNEL,
            levels=LEVELS,
            rule=BookRule(chain="none", snapshot="every"),
            last="seqNum",
            time=FRAME_TIME,
        ),
    ),
    fields=("bids", "asks"),
)


def incremental(size: int) -> Message:
    """Declare the differences of a swap's book, which begin with a whole one."""
    return Message(
        name=f"depth.size_{size}.high_freq",
        when=channel(f".depth.size_{size}.high_freq"),
        rows="tick",
        emits=(
            Book(
                key=CHANNEL,
                levels=LEVELS,
                rule=BookRule(chain="consecutive", snapshot="stream", depth=size),
                snapshot=(Match(path="event", equals=("snapshot",)),),
                last="version",
                time=TIME,
            ),
        ),
        fields=("bids", "asks", "ch", "id", "mrid"),
    )


def whole(step: str, last: str, *conditions: Match) -> Message:
    """Declare a channel of whole books that are not aggregated."""
    return Message(
        name=f"depth.{step}",
        when=channel(f".depth.{step}", *conditions),
        rows="tick",
        emits=(Book(key=CHANNEL, levels=LEVELS, rule=BookRule(chain="none", snapshot="every"), last=last, time=TIME),),
        fields=("bids", "asks", "ch", "id", "mrid", "version"),
    )


CHANGES: Final = Message(
    name="depth.step0 changes",
    when=channel(".depth.step0", Match(path="update", equals=("true",))),
    rows="tick",
    emits=(Book(key=CHANNEL, levels=LEVELS, rule=BookRule(chain="none", snapshot="stream"), time=TIME),),
    fields=("bids", "asks", "ch", "id", "mrid", "version"),
)
"""As recorded in 2019: what nothing numbers."""
AGGREGATED: Final = Message(name="depth, aggregated", when=(Match(path="ch", prefix="market."), there("tick.version")))
"""``depth.step1`` and others put several prices together: no book of the venue's."""

# ------------------------------------------------------------------ trades, quotes

TRADES: Final = Message(
    name="trade.detail",
    when=channel(".trade.detail", there("tick.data.0.tradeId")),
    rows="tick.data",
    newest_first=True,
    emits=(Trades(key=CHANNEL, price="price", size="amount", id="tradeId", aggressor=SIDE, time=TIME),),
    fields=("id",),
)
CONTRACT_TRADES: Final = Message(
    name="trade.detail of contracts",
    when=channel(".trade.detail"),
    rows="tick.data",
    emits=(Trades(key=CHANNEL, price="price", size="amount", id="id", aggressor=SIDE, time=TIME),),
    fields=("quantity", "trade_turnover"),
)
"""Spot had no ``tradeId`` in 2019: its ids then have up to 24 digits."""
QUOTES: Final = Message(
    name="bbo",
    when=channel(".bbo", there("tick.quoteTime")),
    rows="tick",
    emits=(
        Quotes(
            key=CHANNEL,
            bid="bid",
            bid_size="bidSize",
            ask="ask",
            ask_size="askSize",
            time=Time(path="quoteTime", unit="ms"),
            seq="seqId",
            whole=True,
        ),
    ),
    fields=("symbol",),
)
CONTRACT_QUOTES: Final = Message(
    name="bbo of contracts",
    when=channel(".bbo"),
    rows="tick",
    emits=(
        Quotes(
            key=CHANNEL,
            bid="bid.0",
            bid_size="bid.1",
            ask="ask.0",
            ask_size="ask.1",
            time=TIME,
            seq="mrid",
            whole=True,
        ),
    ),
    fields=("ch", "id", "version"),
)

# ------------------------------------------------------------------ figures

DAY: Final = (
    Measure(kind=Kind.OPEN_24H, path="open"),
    Measure(kind=Kind.HIGH_24H, path="high"),
    Measure(kind=Kind.LOW_24H, path="low"),
)
CANDLE: Final = ("id", "open", "close", "high", "low", "amount", "vol", "count", "trade_turnover")
CONTRACT_DETAIL: Final = measured(
    "detail of contracts",
    channel(".detail", there("tick.mrid")),
    *DAY,
    Measure(kind=Kind.VOLUME_24H, path="vol"),
    Measure(kind=Kind.TURNOVER_24H, path="trade_turnover"),
    fields=(*CANDLE, "mrid", "ask", "bid", "ts"),
)
"""``vol`` is in contracts; only linear ones have a turnover."""
DETAIL: Final = measured(
    "detail",
    channel(".detail"),
    *DAY,
    Measure(kind=Kind.VOLUME_24H, path="amount"),
    Measure(kind=Kind.TURNOVER_24H, path="vol"),
    fields=(*CANDLE, "version"),
)
TICKER: Final = measured(
    "ticker",
    channel(".ticker"),
    *DAY,
    Measure(kind=Kind.VOLUME_24H, path="amount"),
    Measure(kind=Kind.TURNOVER_24H, path="vol"),
    fields=(*CANDLE, "bid", "bidSize", "ask", "askSize", "lastPrice", "lastSize", "version"),
)
INDEX: Final = measured("index.1min", channel(".index.1min"), Measure(kind=Kind.INDEX, path="close"), fields=CANDLE)
MARK: Final = measured(
    "mark_price.1min", channel(".mark_price.1min"), Measure(kind=Kind.MARK, path="close"), fields=CANDLE
)
BASIS: Final = measured(
    "basis",
    (Match(path="ch", prefix="market."), there("tick.index_price")),
    Measure(kind=Kind.INDEX, path="index_price"),
    fields=("id", "contract_price", "basis", "basis_rate"),
)
FUNDING: Final = Message(
    name="funding_rate",
    when=topic(".funding_rate"),
    rows="data",
    emits=(
        Measures(
            key=CONTRACT,
            values=(
                Measure(kind=Kind.FUNDING, path="funding_rate"),
                Measure(kind=Kind.FUNDING_TIME, path="settlement_time", unit="ms"),
                Measure(kind=Kind.FUNDING_NEXT, path="estimated_rate"),
            ),
            time=FRAME_TIME,
        ),
    ),
    fields=("symbol", "fee_asset", "funding_time", "realized_rate"),
)
LIQUIDATIONS: Final = Message(
    name="liquidation_orders",
    when=topic(".liquidation_orders"),
    rows="data",
    emits=(
        Trades(
            key=CONTRACT,
            price="price",
            size="volume",
            aggressor=SIDE,
            time=Time(path="created_at", unit="ms"),
            liquidation=True,
        ),
    ),
    fields=(
        "symbol",
        "offset",
        "amount",
        "trade_turnover",
        "order_id",
        "order_id_str",
        "contract_type",
        "business_type",
        "pair",
        "trade_partition",
    ),
)
OPEN_INTEREST: Final = Message(
    name="open_interest",
    when=(Match(path="status", equals=("ok",)), there("data.0.trade_volume"), there("data.0.contract_code")),
    rows="data",
    emits=(Measures(key=CONTRACT, values=(Measure(kind=Kind.OPEN_INTEREST, path="volume"),), time=FRAME_TIME),),
    fields=(
        "amount",
        "symbol",
        "value",
        "trade_amount",
        "trade_volume",
        "trade_turnover",
        "business_type",
        "pair",
        "contract_type",
        "trade_partition",
    ),
)
"""Over REST only."""
RECORDED_INTEREST: Final = Message(
    name="open_interest",
    when=channel(".open_interest"),
    rows="data",
    emits=(Measures(key=CHANNEL, values=(Measure(kind=Kind.OPEN_INTEREST, path="volume"),), time=FRAME_TIME),),
    fields=("amount", "symbol", "contract_type", "contract_code", "value", "business_type", "pair", "trade_partition"),
)
"""As a recorder wrote it, who asked for it over REST."""
REQUESTED_TRADES: Final = Message(
    name="trade.detail requested",
    when=(Match(path="rep", prefix="market.", suffix=".trade.detail"), there("data")),
)
"""Recent trades, of whom one has heard."""
SILENT: Final = (
    Message(name="candles", when=(Match(path="ch", prefix="market."), there("tick.open"), there("tick.close"))),
    Message(name="candles requested", when=(Match(path="rep", prefix="market."), there("data"))),
    *(Message(name=name, when=topic(f".{name}")) for name in ("contract_elements", "heartbeat")),
)

OLDER_TRADES: Final = RestTrades(
    when=(Match(path="status", equals=("ok",)),),
    rows="data.data",
    newest_first=True,
    trades=Trades(
        key=CHANNEL,
        price="price",
        size="amount",
        id="trade-id",
        aggressor=SIDE,
        time=TIME,
        only=(Match(path="trade-id", present=True),),
    ),
    or_trades=(Trades(key=CHANNEL, price="price", size="amount", id="id", aggressor=SIDE, time=TIME),),
)
"""Over REST, of pairs and of contracts."""
DIALECT: Final = Dialect(
    messages=(
        TRADES,
        QUOTES,
        MBP,
        incremental(150),
        incremental(20),
        CONTRACT_TRADES,
        CONTRACT_QUOTES,
        CHANGES,
        whole("step0", "mrid", there("tick.mrid")),
        whole("step0", "version"),
        whole("step6", "mrid", there("tick.mrid")),
        REFRESHED,
        REQUESTED_MBP,
        CONTRACT_DETAIL,
        DETAIL,
        TICKER,
        MARK,
        INDEX,
        BASIS,
        FUNDING,
        LIQUIDATIONS,
        OPEN_INTEREST,
        RECORDED_INTEREST,
        AGGREGATED,
        REQUESTED_TRADES,
        *SILENT,
    ),
    packing="gzip",
    rest_trades=OLDER_TRADES,
)
