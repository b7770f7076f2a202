"""OKX v5 as data (documentation: "Order Book Trading / Market Data", "Public Data / WebSocket"; see NOTES.md)."""

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
"""Namespace of indices: ``BTC-USDT`` is a spot pair and an index."""
BOOKS: Final = ("books", "books-l2-tbt", "books50-l2-tbt")
TIME: Final = Time(path="ts", unit="ms")
ROW: Final = Key(path="instId")
ARGUMENT: Final = Key(path="/arg.instId")
LEVELS: Final = Levels(bids="bids", asks="asks")
SIDE: Final = Aggressor(path="side", buyer=("buy",), seller=("sell",))


def pushed(*channels: str) -> tuple[Match, ...]:
    """Match a push of one of these channels; answers and notices have an event."""
    return (Match(path="arg.channel", equals=channels), Match(path="data", present=True))


def measured(channel: str, *values: Measure, fields: tuple[str, ...], market: str = "") -> Message:
    """Declare a channel whose rows are values of an instrument."""
    emits: tuple[Emit, ...] = (Measures(key=ROW, values=values, time=TIME),)
    return Message(name=channel, when=pushed(channel), rows="data", emits=emits, fields=fields, market=market)


TRADES: Final = Message(
    name="trades",
    when=pushed("trades", "trades-all"),
    rows="data",
    emits=(
        Trades(key=ROW, price="px", size="sz", id="tradeId", aggressor=SIDE, time=TIME, seq="seqId", covers="count"),
    ),
    fields=("source",),
)
QUOTES: Final = Message(
    name="bbo-tbt",
    when=pushed("bbo-tbt"),
    rows="data",
    emits=(
        Quotes(
            key=ARGUMENT,
            bid="bids.0.0",
            bid_size="bids.0.1",
            ask="asks.0.0",
            ask_size="asks.0.1",
            time=TIME,
            seq="seqId",
            whole=True,
        ),
    ),
    fields=("instId", "bids", "asks"),
)
BOOK: Final = Message(
    name="books",
    when=pushed(*BOOKS),
    rows="data",
    emits=(
        Book(
            key=ARGUMENT,
            levels=LEVELS,
            rule=BookRule(chain="previous", snapshot="stream", checksum="okx", same_is_empty=True),
            snapshot=(Match(path="/action", equals=("snapshot",)),),
            last="seqId",
            previous="prevSeqId",
            checksum="checksum",
            time=TIME,
        ),
    ),
    fields=("instId",),
)
FIVE: Final = Message(
    name="books5",
    when=pushed("books5"),
    rows="data",
    emits=(Book(key=ARGUMENT, levels=LEVELS, rule=BookRule(chain="none", snapshot="every"), last="seqId", time=TIME),),
    fields=("instId",),
)
DAY: Final = (
    Measure(kind=Kind.OPEN_24H, path="open24h"),
    Measure(kind=Kind.HIGH_24H, path="high24h"),
    Measure(kind=Kind.LOW_24H, path="low24h"),
)
TICKER_FIELDS: Final = ("instType", "last", "lastSz", "askPx", "askSz", "bidPx", "bidSz", "sodUtc0", "sodUtc8")
TICKERS: Final = measured(
    "tickers", *DAY, Measure(kind=Kind.VOLUME_24H, path="vol24h"), fields=(*TICKER_FIELDS, "volCcy24h")
)
"""``volCcy24h`` is the turnover of spot pairs only: of contracts it is a volume again, in the base currency."""
SPOT_TICKERS: Final = Message(
    name="tickers of spot",
    when=(*pushed("tickers"), Match(path="data.0.instType", equals=("SPOT", "MARGIN"))),
    rows="data",
    emits=(
        Measures(
            key=ROW,
            values=(
                *DAY,
                Measure(kind=Kind.VOLUME_24H, path="vol24h"),
                Measure(kind=Kind.TURNOVER_24H, path="volCcy24h"),
            ),
            time=TIME,
        ),
    ),
    fields=TICKER_FIELDS,
)
INDICES: Final = measured(
    "index-tickers",
    Measure(kind=Kind.INDEX, path="idxPx"),
    *DAY,
    fields=("sodUtc0", "sodUtc8"),
    market=INDEX,
)
MARK: Final = measured("mark-price", Measure(kind=Kind.MARK, path="markPx"), fields=("instType",))
FUNDING: Final = measured(
    "funding-rate",
    Measure(kind=Kind.FUNDING, path="fundingRate"),
    Measure(kind=Kind.FUNDING_TIME, path="fundingTime", unit="ms"),
    Measure(kind=Kind.FUNDING_NEXT, path="nextFundingRate"),
    fields=(
        "instType",
        "method",
        "formulaType",
        "nextFundingTime",
        "minFundingRate",
        "maxFundingRate",
        "interestRate",
        "impactValue",
        "settState",
        "settFundingRate",
        "premium",
    ),
)
OPEN_INTEREST: Final = measured(
    "open-interest", Measure(kind=Kind.OPEN_INTEREST, path="oi"), fields=("instType", "oiCcy", "oiUsd")
)
SUMMARY: Final = measured(
    "opt-summary",
    Measure(kind=Kind.IV, path="markVol"),
    Measure(kind=Kind.BID_IV, path="bidVol"),
    Measure(kind=Kind.ASK_IV, path="askVol"),
    Measure(kind=Kind.DELTA, path="deltaBS"),
    Measure(kind=Kind.GAMMA, path="gammaBS"),
    Measure(kind=Kind.THETA, path="thetaBS"),
    Measure(kind=Kind.VEGA, path="vegaBS"),
    Measure(kind=Kind.UNDERLYING, path="fwdPx"),
    fields=("instType", "uly", "delta", "gamma", "theta", "vega", "lever", "realVol", "volLv", "distance", "buyApr"),
)
LIQUIDATIONS: Final = Message(
    name="liquidation-orders",
    when=pushed("liquidation-orders"),
    rows="data.details",
    emits=(Trades(key=Key(path="^instId"), price="bkPx", size="sz", aggressor=SIDE, time=TIME, liquidation=True),),
    fields=("posSide", "bkLoss", "ccy"),
)
SETTLEMENT: Final = measured(
    "estimated-price", Measure(kind=Kind.SETTLEMENT, path="settlePx"), fields=("instType", "settleType")
)
SILENT: Final = (
    *(
        Message(name=name, when=(Match(path="arg.channel", prefix=prefix), Match(path="data", present=True)))
        for name, prefix in (
            ("candles", "candle"),
            ("candles of marks", "mark-price-candle"),
            ("candles of indices", "index-candle"),
            ("spreads", "sprd-"),
        )
    ),
    *(
        Message(name=name, when=pushed(name))
        for name in (
            "price-limit",
            "option-trades",
            "adl-warning",
            "call-auction-details",
            "economic-calendar",
            "books-elp",
        )
    ),
)
"""What a recorder may have asked for, and nothing is told of; trades of options come by ``trades`` too."""

DIALECT: Final = Dialect(
    messages=(
        BOOK,
        QUOTES,
        TRADES,
        SPOT_TICKERS,
        TICKERS,
        MARK,
        INDICES,
        SUMMARY,
        OPEN_INTEREST,
        FUNDING,
        LIQUIDATIONS,
        SETTLEMENT,
        FIVE,
        *SILENT,
    ),
    plain=("pong",),
    rest_trades=RestTrades(
        when=(Match(path="code", equals=("0",)),),
        rows="data",
        newest_first=True,
        trades=Trades(key=ROW, price="px", size="sz", id="tradeId", aggressor=SIDE, time=TIME),
    ),
)
