"""Binance USD-M futures, declared: combined and raw streams, and the one thing that comes over REST only."""

from typing import Final

from tickcast.model.record import Kind
from tickcast.venues.binance.dialect import day_figures
from tickcast.venues.binance.frames import AGGRESSOR, combined_and_raw
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

KEY: Final = Key(path="s")
RULE: Final = BookRule(chain="range", snapshot="rest")
MATCHED: Final = Time(path="T", unit="ms")
SAID: Final = Time(path="E", unit="ms")
PRICES: Final = (
    Measure(kind=Kind.MARK, path="p"),
    Measure(kind=Kind.INDEX, path="i"),
    Measure(kind=Kind.SETTLEMENT, path="P"),
)
FUNDING: Final = (Measure(kind=Kind.FUNDING, path="r"), Measure(kind=Kind.FUNDING_TIME, path="T", unit="ms"))
MARK_FIELDS: Final = ("e", "ap", "r", "T")
NOT_READ: Final = (
    "kline",
    "continuous_kline",
    "24hrMiniTicker",
    "compositeIndex",
    "assetIndexUpdate",
    "indexPriceUpdate",
    "indexPrice_kline",
    "markPrice_kline",
)
"""Events that exist and are not asked for; a recording may hold them."""

AGGREGATES: Final = Trades(key=KEY, id="a", price="p", size="q", aggressor=AGGRESSOR, time=MATCHED, chained=True)

DIALECT: Final = Dialect(
    messages=(
        *combined_and_raw(
            "bookTicker",
            event="bookTicker",
            emits=(
                Quotes(
                    key=KEY,
                    bid="b",
                    ask="a",
                    bid_size="B",
                    ask_size="A",
                    seq="u",
                    comparable=True,
                    whole=True,
                    time=MATCHED,
                ),
            ),
            fields=("e", "E", "ps"),
        ),
        # whole books of 5, 10 or 20 levels, which look like differences: only the stream's name tells them
        *(
            Message(name="partial depth", when=(Match(path="stream", suffix=f"@depth{levels}{speed}"),))
            for levels in (5, 10, 20)
            for speed in ("", "@100ms", "@250ms", "@500ms")
        ),
        *combined_and_raw(
            "depth",
            event="depthUpdate",
            emits=(
                Book(
                    key=KEY,
                    levels=Levels(bids="b", asks="a"),
                    rule=RULE,
                    first="U",
                    last="u",
                    previous="pu",
                    time=MATCHED,
                ),
            ),
            fields=("e", "E", "ps"),
        ),
        *combined_and_raw(
            "aggTrade",
            event="aggTrade",
            emits=(AGGREGATES,),
            fields=("e", "E", "f", "l", "nq"),
        ),
        *combined_and_raw(
            "trade",
            event="trade",
            emits=(Trades(key=KEY, id="t", price="p", size="q", aggressor=AGGRESSOR, time=MATCHED),),
            fields=("e", "E", "X"),
        ),
        # of contracts that pay no funding, r is empty
        *combined_and_raw(
            "markPrice",
            event="markPriceUpdate",
            when=(Match(path="data.r", present=True),),
            raw=(Match(path="r", present=True),),
            emits=(Measures(key=KEY, values=PRICES + FUNDING, time=SAID),),
            fields=MARK_FIELDS,
        ),
        *combined_and_raw(
            "markPrice (dated)",
            event="markPriceUpdate",
            emits=(Measures(key=KEY, values=PRICES, time=SAID),),
            fields=MARK_FIELDS,
        ),
        *combined_and_raw(
            "forceOrder",
            event="forceOrder",
            emits=(
                Trades(
                    key=Key(path="o.s"),
                    price="o.ap",
                    size="o.z",
                    aggressor=Aggressor(path="o.S", buyer=("BUY",), seller=("SELL",)),
                    time=Time(path="o.T", unit="ms"),
                    liquidation=True,
                ),
            ),
            fields=("e", "E"),
        ),
        # of coin-margined contracts, in recordings: q counts the base asset
        *combined_and_raw(
            "ticker (coin-margined)",
            event="24hrTicker",
            when=(Match(path="data.ps", suffix="USD", present=True),),
            raw=(Match(path="ps", suffix="USD", present=True),),
            emits=(day_figures(SAID, turnover=False),),
        ),
        *combined_and_raw(
            "ticker",
            event="24hrTicker",
            emits=(day_figures(SAID),),
            fields=("e", "p", "P", "w", "c", "Q", "O", "C", "F", "L", "n", "ps"),
        ),
        Message(
            name="openInterest",
            when=(Match(path="openInterest", present=True),),
            emits=(
                Measures(
                    key=Key(path="symbol"),
                    values=(Measure(kind=Kind.OPEN_INTEREST, path="openInterest"),),
                    time=Time(path="time", unit="ms"),
                ),
            ),
            fields=("symbol",),
        ),
        *(message for event in NOT_READ for message in combined_and_raw(event, event=event)),
    ),
    rest_book=Book(key=KEY, levels=Levels(bids="bids", asks="asks"), rule=RULE, last="lastUpdateId", time=MATCHED),
    rest_trades=RestTrades(trades=AGGREGATES),
)
