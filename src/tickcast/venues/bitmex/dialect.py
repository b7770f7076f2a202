"""BitMEX's tables as data (documentation: "WebSocket API"; see NOTES.md).

Every table tells rows: ``partial`` all that there are, then ``insert``, ``update`` and ``delete`` what becomes of them.
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

INDEX: Final = "index"
"""Namespace of indices, whose names begin with a point."""
BOOKS: Final = ("orderBookL2", "orderBookL2_25", "orderBookL2_100")
SYMBOL: Final = Key(path="symbol")
TIME: Final = Time(path="timestamp", unit="iso")
SIDE: Final = Aggressor(path="side", buyer=("Buy",), seller=("Sell",))
PARTIAL: Final = (Match(path="/action", equals=("partial",)),)
LEVELS: Final = Levels(
    rows=True,
    id="id",
    side="side",
    bid_words=("Buy",),
    ask_words=("Sell",),
    price="price",
    size="size",
    action="/action",
)


def table(name: str, *emits: Emit, actions: tuple[str, ...] = (), fields: tuple[str, ...] = ()) -> Message:
    """Declare the rows of a table."""
    when = (Match(path="table", equals=(name,)), Match(path="data", present=True))
    which = (Match(path="action", equals=actions),) if actions else ()
    return Message(name=name, when=(*when, *which), rows="data", emits=emits, fields=fields)


BOOK: Final = Message(
    name="orderBookL2",
    when=(Match(path="table", equals=BOOKS), Match(path="data", present=True)),
    rows="data",
    emits=(
        Book(
            key=SYMBOL,
            levels=LEVELS,
            rule=BookRule(chain="none", snapshot="stream"),
            snapshot=PARTIAL,
            time=TIME,
            empty=Key(path="/filter.symbol"),
        ),
    ),
    fields=("transactTime", "pool"),
)
TEN: Final = table(
    "orderBook10",
    Book(
        key=SYMBOL,
        levels=Levels(bids="bids", asks="asks"),
        rule=BookRule(chain="none", snapshot="every"),
        time=TIME,
    ),
    actions=("partial", "insert", "update"),
    fields=("pool",),
)
QUOTES: Final = table(
    "quote",
    Quotes(
        key=SYMBOL,
        bid="bidPrice",
        bid_size="bidSize",
        ask="askPrice",
        ask_size="askSize",
        time=TIME,
        whole=True,
    ),
    fields=("pool",),
)
TRADES: Final = table(
    "trade",
    Trades(key=SYMBOL, price="price", size="size", id="trdMatchID", aggressor=SIDE, time=TIME, history=PARTIAL),
    fields=("tickDirection", "grossValue", "homeNotional", "foreignNotional", "trdType", "pool"),
)
INDEX_PRICES: Final = Message(
    name="trade of an index",
    when=(*TRADES.when, Match(path="data.0.symbol", prefix=".")),
    rows="data",
    emits=(Measures(key=SYMBOL, values=(Measure(kind=Kind.INDEX, path="price"),), time=TIME),),
    market=INDEX,
)
"""An index is told as trades of no size."""
INSTRUMENTS: Final = Message(
    name="instrument",
    when=(Match(path="table", equals=("instrument",)), Match(path="data", present=True)),
    rows="data",
    emits=(
        Measures(
            key=SYMBOL,
            values=(
                Measure(kind=Kind.MARK, path="markPrice"),
                Measure(kind=Kind.INDEX, path="indicativeSettlePrice"),
                Measure(kind=Kind.FUNDING, path="fundingRate"),
                Measure(kind=Kind.FUNDING_TIME, path="fundingTimestamp", unit="iso"),
                Measure(kind=Kind.FUNDING_NEXT, path="indicativeFundingRate"),
                Measure(kind=Kind.OPEN_INTEREST, path="openInterest"),
                Measure(kind=Kind.OPEN_24H, path="prevPrice24h"),
                Measure(kind=Kind.HIGH_24H, path="highPrice"),
                Measure(kind=Kind.LOW_24H, path="lowPrice"),
                Measure(kind=Kind.VOLUME_24H, path="volume24h"),
                Measure(kind=Kind.TURNOVER_24H, path="foreignNotional24h"),
                Measure(kind=Kind.SETTLEMENT, path="settledPrice"),
            ),
            time=TIME,
        ),
    ),
    cold_when_changed=("state",),
)
INDEX_INSTRUMENTS: Final = Message(
    name="instrument of an index",
    when=(*INSTRUMENTS.when, Match(path="data.0.symbol", prefix=".")),
    rows="data",
    emits=(Measures(key=SYMBOL, values=(Measure(kind=Kind.INDEX, path="lastPrice"),), time=TIME),),
    market=INDEX,
)
LIQUIDATIONS: Final = table(
    "liquidation",
    Trades(
        key=SYMBOL,
        price="price",
        size="leavesQty",
        id="orderID",
        aggressor=SIDE,
        history=PARTIAL,
        liquidation=True,
    ),
    actions=("partial", "insert"),
    fields=("pool",),
)
FILLED: Final = Message(
    name="liquidation update",
    when=(Match(path="table", equals=("liquidation",)), Match(path="action", equals=("update", "delete"))),
)
"""What is left of an order that was told when it came."""
FUNDING: Final = table(
    "funding",
    Measures(key=SYMBOL, values=(Measure(kind=Kind.FUNDING, path="fundingRate"),), time=TIME),
    fields=("fundingInterval", "fundingRateDaily"),
)
SETTLEMENT: Final = table(
    "settlement",
    Measures(key=SYMBOL, values=(Measure(kind=Kind.SETTLEMENT, path="settledPrice"),), time=TIME),
)
SILENT: Final = tuple(
    Message(name=name, when=(Match(path="table", prefix=name), Match(path="data", present=True)))
    for name in (
        "tradeBin",
        "quoteBin",
        "insurance",
        "announcement",
        "chat",
        "connected",
        "publicNotifications",
        "orderBook10",
    )
)
"""What a recorder may have asked for, and nothing is told of: candles are made of trades by whoever wants them."""

DIALECT: Final = Dialect(
    messages=(
        BOOK,
        QUOTES,
        INDEX_PRICES,
        TRADES,
        INDEX_INSTRUMENTS,
        INSTRUMENTS,
        LIQUIDATIONS,
        FILLED,
        FUNDING,
        SETTLEMENT,
        TEN,
        *SILENT,
    ),
    plain=("pong",),
    rest_book=Book(
        key=SYMBOL,
        levels=Levels(rows=True, side="side", bid_words=("Buy",), ask_words=("Sell",), price="price", size="size"),
        rule=BookRule(chain="none", snapshot="stream"),
    ),
    rest_trades=RestTrades(
        trades=Trades(key=SYMBOL, price="price", size="size", id="trdMatchID", aggressor=SIDE, time=TIME)
    ),
)
