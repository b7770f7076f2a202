"""Bybit v5 as data (documentation: "Websocket Stream / Public"; see NOTES.md).

A name means another instrument at each endpoint (``BTCUSDT`` is a spot pair and a perpetual): names are those of the
link's market.
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

SNAPSHOT: Final = (Match(path="type", equals=("snapshot",)),)
SYMBOL: Final = Key(path="s")
MATCHED: Final = Time(path="/cts", unit="ms")
MADE: Final = Time(path="/ts", unit="ms")
TRADED: Final = Time(path="T", unit="ms")
SIDES: Final = Aggressor(path="S", buyer=("Buy",), seller=("Sell",))
LIQUIDATED: Final = Aggressor(path="S", buyer=("Sell",), seller=("Buy",))
"""``S`` is the side of the position: a long one is closed by selling."""
TOPIC: Final = "topic"

QUOTES: Final = Message(
    name="orderbook.1",
    when=(Match(path=TOPIC, prefix="orderbook.1."), *SNAPSHOT),
    rows="data",
    emits=(
        Quotes(
            key=SYMBOL,
            bid="b.0.0",
            bid_size="b.0.1",
            ask="a.0.0",
            ask_size="a.0.1",
            time=MATCHED,
            seq="u",
            whole=True,
        ),
    ),
    fields=("b", "a", "seq"),
)


def books(name: str, time: Time, *when: Match) -> Message:
    """Declare books of every depth but 1, whose time stands there."""
    return Message(
        name=name,
        when=(Match(path=TOPIC, prefix="orderbook."), Match(path="type", equals=("snapshot", "delta")), *when),
        rows="data",
        emits=(
            Book(
                key=SYMBOL,
                levels=Levels(bids="b", asks="a"),
                rule=BookRule(chain="consecutive", snapshot="stream", first_at=1),
                snapshot=(Match(path="/type", equals=("snapshot",)),),
                last="u",
                time=time,
            ),
        ),
        fields=("seq",),
    )


BOOK: Final = books("orderbook", MATCHED, Match(path="cts", present=True))
UNTIMED_BOOK: Final = books("orderbook without cts", MADE)
"""As until 2023."""
TRADES: Final = Message(
    name="publicTrade",
    when=(Match(path=TOPIC, prefix="publicTrade."),),
    rows="data",
    emits=(Trades(key=SYMBOL, price="p", size="v", id="i", aggressor=SIDES, time=TRADED, seq="seq"),),
    fields=("L", "BT", "RPI", "mP", "iP", "mIv", "iv"),
)
LIQUIDATIONS: Final = Message(
    name="allLiquidation",
    when=(Match(path=TOPIC, prefix="allLiquidation."),),
    rows="data",
    emits=(Trades(key=SYMBOL, price="p", size="v", aggressor=LIQUIDATED, time=TRADED, liquidation=True),),
)
OLDER_LIQUIDATION: Final = Message(
    name="liquidation",
    when=(Match(path=TOPIC, prefix="liquidation."),),
    rows="data",
    emits=(
        Trades(
            key=Key(path="symbol"),
            price="price",
            size="size",
            aggressor=Aggressor(path="side", buyer=("Sell",), seller=("Buy",)),
            time=Time(path="updatedTime", unit="ms"),
            liquidation=True,
        ),
    ),
)
"""Until 2025: one a second at most."""
TICKERS: Final = Message(
    name="tickers",
    when=(Match(path=TOPIC, prefix="tickers."),),
    rows="data",
    emits=(
        Measures(
            key=Key(path="symbol"),
            values=(
                Measure(kind=Kind.MARK, path="markPrice"),
                Measure(kind=Kind.INDEX, path="indexPrice"),
                Measure(kind=Kind.FUNDING, path="fundingRate"),
                Measure(kind=Kind.FUNDING_TIME, path="nextFundingTime", unit="ms"),
                Measure(kind=Kind.OPEN_INTEREST, path="openInterest"),
                Measure(kind=Kind.OPEN_24H, path="prevPrice24h"),
                Measure(kind=Kind.HIGH_24H, path="highPrice24h"),
                Measure(kind=Kind.LOW_24H, path="lowPrice24h"),
                Measure(kind=Kind.VOLUME_24H, path="volume24h"),
                Measure(kind=Kind.TURNOVER_24H, path="turnover24h"),
                Measure(kind=Kind.IV, path="markPriceIv"),
                Measure(kind=Kind.BID_IV, path="bidIv"),
                Measure(kind=Kind.ASK_IV, path="askIv"),
                Measure(kind=Kind.UNDERLYING, path="underlyingPrice"),
                Measure(kind=Kind.DELTA, path="delta"),
                Measure(kind=Kind.GAMMA, path="gamma"),
                Measure(kind=Kind.THETA, path="theta"),
                Measure(kind=Kind.VEGA, path="vega"),
            ),
            time=MADE,
        ),
    ),
    fields=(
        "tickDirection",
        "price24hPcnt",
        "lastPrice",
        "prevPrice1h",
        "openInterestValue",
        "singleOpenInterest",
        "singleOpenInterestValue",
        "fundingIntervalHour",
        "fundingCap",
        "bid1Price",
        "bid1Size",
        "ask1Price",
        "ask1Size",
        "preOpenPrice",
        "preQty",
        "curPreListingPhase",
        "deliveryTime",
        "basis",
        "basisRate",
        "basisRateYear",
        "deliveryFeeRate",
        "predictedDeliveryPrice",
        "usdIndexPrice",
        "bidPrice",
        "bidSize",
        "askPrice",
        "askSize",
        "totalVolume",
        "totalTurnover",
        "change24h",
    ),
)
RPI: Final = Message(name="orderbook.rpi", when=(Match(path=TOPIC, prefix="orderbook.rpi."),))
"""Books with orders that only retail clients can hit: another book of the same instrument, not told."""
SILENT: Final = tuple(
    Message(name=word, when=(Match(path=TOPIC, prefix=f"{word}."),))
    for word in ("kline", "kline_lt", "tickers_lt", "lt", "priceLimit", "insurance", "adlAlert")
)
"""What a recorder may have asked for, and nothing is told of: candles are made of trades by whoever wants them."""

DIALECT: Final = Dialect(
    messages=(QUOTES, RPI, BOOK, TRADES, TICKERS, UNTIMED_BOOK, LIQUIDATIONS, OLDER_LIQUIDATION, *SILENT),
    rest_trades=RestTrades(
        when=(Match(path="retCode", equals=("0",)),),
        rows="result.list",
        newest_first=True,
        trades=Trades(
            key=Key(path="symbol"),
            price="price",
            size="size",
            id="execId",
            aggressor=Aggressor(path="side", buyer=("Buy",), seller=("Sell",)),
            time=Time(path="time", unit="ms"),
            seq="seq",
        ),
    ),
)
