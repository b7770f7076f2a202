"""KuCoin as data (documentation: "Classic WebSocket / Public Channels"; see NOTES.md).

Spot and futures have addresses of their own, and names that are unlike (``BTC-USDT``, ``XBTUSDTM``). Messages name what
they are by ``subject``, some futures' only by the beginning of ``topic``.
"""

from typing import Final

from tickcast.model.record import Kind
from tickcast.venues.declared.dialect import (
    Aggressor,
    Book,
    BookRule,
    Dialect,
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

SYMBOL: Final = Key(path="symbol")
OF_TOPIC: Final = Key(path="/topic", split=":", part=1)
SIDES: Final = Aggressor(path="side", buyer=("buy",), seller=("sell",))
"""Of the taker."""
ORDERS: Final = ("makerOrderId", "takerOrderId", "makerUserId", "takerUserId", "type")
SPOT_RULE: Final = BookRule(chain="range", snapshot="rest", overlaps=True)
FUTURES_RULE: Final = BookRule(chain="consecutive", snapshot="rest")


def subject(word: str) -> tuple[Match, ...]:
    """Tell a message by its subject."""
    return (Match(path="subject", equals=(word,)),)


def topic(beginning: str) -> tuple[Match, ...]:
    """Tell a message by the beginning of its topic."""
    return (Match(path="topic", prefix=beginning),)


def best(key: Key) -> Quotes:
    """Declare the best bid and offer of a spot ticker, whose number counts with the book's."""
    return Quotes(
        key=key,
        bid="bestBid",
        bid_size="bestBidSize",
        ask="bestAsk",
        ask_size="bestAskSize",
        time=Time(path="time", unit="ms"),
        seq="sequence",
        comparable=True,
        whole=True,
    )


def contract_best() -> Quotes:
    """Declare the best bid and offer of a futures ticker, whose number counts on its own."""
    return Quotes(
        key=SYMBOL,
        bid="bestBidPrice",
        bid_size="bestBidSize",
        ask="bestAskPrice",
        ask_size="bestAskSize",
        time=Time(path="ts", unit="ns"),
        seq="sequence",
        whole=True,
    )


SPOT: Final = (
    Message(
        name="level2",
        when=subject("trade.l2update"),
        rows="data",
        emits=(
            Book(
                key=SYMBOL,
                levels=Levels(bids="changes.bids", asks="changes.asks", zero_is_none=True),
                rule=SPOT_RULE,
                first="sequenceStart",
                last="sequenceEnd",
                time=Time(path="time", unit="ms"),
            ),
        ),
        fields=("symbol",),
    ),
    Message(
        name="ticker",
        when=subject("trade.ticker"),
        rows="data",
        emits=(best(OF_TOPIC),),
        fields=("price", "size", "Time"),
    ),
    Message(
        name="match",
        when=subject("trade.l3match"),
        rows="data",
        emits=(
            Trades(
                key=SYMBOL,
                id="tradeId",
                price="price",
                size="size",
                aggressor=SIDES,
                time=Time(path="time", unit="ns"),
                seq="sequence",
            ),
        ),
        fields=ORDERS,
    ),
    Message(
        name="ticker:all",
        when=(Match(path="topic", equals=("/market/ticker:all",)),),
        rows="data",
        emits=(best(Key(path="/subject")),),
        fields=("price", "size", "Time"),
    ),
    Message(
        name="snapshot",
        when=subject("trade.snapshot"),
        rows="data.data",
        emits=(
            Measures(
                key=SYMBOL,
                values=(
                    Measure(kind=Kind.OPEN_24H, path="open"),
                    Measure(kind=Kind.HIGH_24H, path="high"),
                    Measure(kind=Kind.LOW_24H, path="low"),
                    Measure(kind=Kind.VOLUME_24H, path="vol"),
                    Measure(kind=Kind.TURNOVER_24H, path="volValue"),
                ),
                time=Time(path="datetime", unit="ms"),
            ),
        ),
    ),
    Message(
        name="level1",
        when=topic("/spotMarket/level1:"),
        rows="data",
        emits=(
            Quotes(
                key=OF_TOPIC,
                bid="bids.0",
                bid_size="bids.1",
                ask="asks.0",
                ask_size="asks.1",
                time=Time(path="timestamp", unit="ms"),
                whole=True,
            ),
        ),
    ),
)
FUTURES: Final = (
    Message(
        name="contract level2",
        when=topic("/contractMarket/level2:"),
        rows="data",
        emits=(
            Book(
                key=OF_TOPIC,
                levels=Levels(mixed="change", split=",", price="0", side="1", size="2"),
                rule=FUTURES_RULE,
                last="sequence",
                time=Time(path="timestamp", unit="ms"),
            ),
        ),
        fields=("change",),
    ),
    Message(
        name="contract execution",
        when=topic("/contractMarket/execution:"),
        rows="data",
        emits=(
            Trades(
                key=SYMBOL,
                id="tradeId",
                price="price",
                size="size",
                aggressor=SIDES,
                time=Time(path="ts", unit="ns"),
                seq="sequence",
            ),
        ),
        fields=ORDERS,
    ),
    Message(
        name="mark and index",
        when=subject("mark.index.price"),
        rows="data",
        emits=(
            Measures(
                key=OF_TOPIC,
                values=(Measure(kind=Kind.MARK, path="markPrice"), Measure(kind=Kind.INDEX, path="indexPrice")),
                time=Time(path="timestamp", unit="ms"),
            ),
        ),
        fields=("granularity", "symbol"),
    ),
    Message(
        name="funding rate",
        when=subject("funding.rate"),
        rows="data",
        emits=(
            Measures(
                key=OF_TOPIC,
                values=(Measure(kind=Kind.FUNDING, path="fundingRate"),),
                time=Time(path="timestamp", unit="ms"),
            ),
        ),
        fields=("granularity", "symbol"),
    ),
    Message(
        name="contract snapshot",
        when=subject("snapshot.24h"),
        rows="data",
        emits=(
            Measures(
                key=SYMBOL,
                values=(
                    Measure(kind=Kind.HIGH_24H, path="highPrice"),
                    Measure(kind=Kind.LOW_24H, path="lowPrice"),
                ),
                time=Time(path="ts", unit="ns"),
            ),
        ),
        fields=("volume", "turnover", "lastPrice", "priceChgPct", "priceChg"),
    ),
    Message(name="contract tickerV2", when=subject("tickerV2"), rows="data", emits=(contract_best(),)),
    Message(name="contract ticker", when=topic("/contractMarket/ticker:"), rows="data", emits=(contract_best(),)),
)
DETAILS: Final = Measures(
    key=SYMBOL,
    values=(
        Measure(kind=Kind.OPEN_INTEREST, path="openInterest"),
        Measure(kind=Kind.FUNDING_TIME, path="nextFundingRateDateTime", unit="ms"),
    ),
)
POLLED: Final = (
    Message(
        name="contract details",
        when=(Match(path="code", equals=("200000",)), Match(path="data.openInterest", present=True)),
        rows="data",
        emits=(DETAILS,),
    ),
    Message(name="contract details (pushed)", when=subject("contractDetails"), rows="data", emits=(DETAILS,)),
)
"""What comes over REST; some recorders write it among the frames."""
SILENT: Final = tuple(
    Message(name=beginning.strip("/:"), when=topic(beginning))
    for beginning in (
        "/market/candles:",
        "/spotMarket/level2Depth5:",
        "/spotMarket/level2Depth50:",
        "/spotMarket/level3:",
        "/market/level3:",
        "/indicator/",
        "/margin/",
        "/contractMarket/level2Depth5:",
        "/contractMarket/level2Depth50:",
        "/contractMarket/level2Snapshot:",
        "/contractMarket/level3",
        "/contractMarket/candle:",
        "/contractMarket/limitCandle:",
        "/contract/announcement",
        "/callauction/",
    )
)
"""What a recorder may have asked for, and nothing is told of: other books of the same instrument, single orders,
candles, settlements of funding."""

DIALECT: Final = Dialect(
    messages=(*SPOT, *FUTURES, *POLLED, *SILENT),
    rest_book=Book(key=SYMBOL, levels=Levels(bids="bids", asks="asks"), rule=SPOT_RULE, last="sequence"),
    rest_rows="data",
    rest_trades=RestTrades(
        when=(Match(path="code", equals=("200000",)),),
        rows="data",
        trades=Trades(
            key=SYMBOL,
            id="sequence",
            price="price",
            size="size",
            aggressor=SIDES,
            time=Time(path="time", unit="ns"),
            seq="sequence",
            only=(Match(path="time", present=True),),
        ),
        or_trades=(
            Trades(
                key=SYMBOL,
                id="tradeId",
                price="price",
                size="size",
                aggressor=SIDES,
                time=Time(path="ts", unit="ns"),
                seq="sequence",
            ),
        ),
    ),
)
