"""Bitget v2 and the unified account's v3 as data (documentation: see NOTES.md).

A name means several instruments (``BTCUSDT`` is a pair and a contract): every message is declared for each market, by
the word for it in ``arg.instType``.
"""

from collections.abc import Mapping
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

MARKETS: Final[Mapping[str, str]] = {
    "spot": "SPOT",
    "usdt": "USDT-FUTURES",
    "coin": "COIN-FUTURES",
    "usdc": "USDC-FUTURES",
}
"""Words of the config's ``markets`` to the venue's; v3 writes the latter small."""
NAME: Final = Key(path="/arg.instId")
NAME_V3: Final = Key(path="/arg.symbol")
TIME: Final = Time(path="ts", unit="ms")
FRAME_TIME: Final = Time(path="/ts", unit="ms")
SNAPSHOT: Final = (Match(path="/action", equals=("snapshot",)),)
SIDE: Final = Aggressor(path="side", buyer=("buy",), seller=("sell",))
CHAINED: Final = BookRule(chain="previous", snapshot="stream", checksum="okx")
EVERY: Final = BookRule(chain="none", snapshot="every")
SPOT: Final = "spot"


def pushed(path: str, market: str, *channels: str) -> tuple[Match, ...]:
    """Match pushes of a market's channels."""
    word = MARKETS[market]
    return (
        Match(path=path, equals=channels),
        Match(path="arg.instType", equals=(word, word.lower())),
        Match(path="data", present=True),
    )


def declared(name: str, market: str, when: tuple[Match, ...], emit: Emit, *fields: str) -> Message:
    """Declare pushes whose rows are told in one way."""
    return Message(name=name, when=when, rows="data", emits=(emit,), fields=fields, market=market)


def books(market: str) -> Message:
    """Declare a whole book, and its differences."""
    book = Book(
        key=NAME,
        levels=Levels(bids="bids", asks="asks"),
        rule=CHAINED,
        snapshot=SNAPSHOT,
        last="seq",
        previous="pseq",
        checksum="checksum",
        time=TIME,
    )
    return declared("books", market, pushed("arg.channel", market, "books"), book)


def best(market: str) -> Message:
    """Declare books of one level."""
    quotes = Quotes(
        key=NAME,
        bid="bids.0.0",
        bid_size="bids.0.1",
        ask="asks.0.0",
        ask_size="asks.0.1",
        time=TIME,
        seq="seq",
        whole=True,
    )
    return declared(
        "books1", market, pushed("arg.channel", market, "books1"), quotes, "bids", "asks", "checksum", "pseq"
    )


def shallow(market: str) -> Message:
    """Declare books of a few levels: every message is whole."""
    book = Book(key=NAME, levels=Levels(bids="bids", asks="asks"), rule=EVERY, last="seq", time=TIME)
    return declared("books5", market, pushed("arg.channel", market, "books5", "books15"), book, "checksum", "pseq")


def trades(market: str) -> Message:
    """Declare trades: the newest first, recent ones at subscription."""
    told = Trades(key=NAME, price="price", size="size", id="tradeId", aggressor=SIDE, time=TIME, history=SNAPSHOT)
    when = pushed("arg.channel", market, "trade")
    return Message(name="trade", when=when, rows="data", emits=(told,), market=market, newest_first=True)


DAY: Final = (
    Measure(kind=Kind.OPEN_24H, path="open24h"),
    Measure(kind=Kind.HIGH_24H, path="high24h"),
    Measure(kind=Kind.LOW_24H, path="low24h"),
    Measure(kind=Kind.VOLUME_24H, path="baseVolume"),
    Measure(kind=Kind.TURNOVER_24H, path="quoteVolume"),
)
FUTURES: Final = (
    Measure(kind=Kind.MARK, path="markPrice"),
    Measure(kind=Kind.INDEX, path="indexPrice"),
    Measure(kind=Kind.FUNDING, path="fundingRate"),
    Measure(kind=Kind.FUNDING_TIME, path="nextFundingTime", unit="ms"),
    Measure(kind=Kind.OPEN_INTEREST, path="holdingAmount"),
)
TICKER_FIELDS: Final = (
    "instId",
    "symbol",
    "lastPr",
    "bidPr",
    "askPr",
    "bidSz",
    "askSz",
    "change24h",
    "changeUtc24h",
    "openUtc",
    "symbolType",
    "deliveryPrice",
    "deliveryTime",
    "deliveryStatus",
)


def ticker(market: str) -> Message:
    """Declare figures of the day, and of futures what they are worth."""
    values = DAY if market == SPOT else (*DAY, *FUTURES)
    measures = Measures(key=NAME, values=values, time=TIME)
    return declared("ticker", market, pushed("arg.channel", market, "ticker"), measures, *TICKER_FIELDS)


# ------------------------------------------------------------------ v3, decoded from recordings


def books_v3(market: str) -> Message:
    """Declare the unified account's books."""
    book = Book(
        key=NAME_V3,
        levels=Levels(bids="b", asks="a"),
        rule=CHAINED,
        snapshot=SNAPSHOT,
        last="seq",
        previous="pseq",
        checksum="checksum",
        time=TIME,
    )
    return declared("books (v3)", market, pushed("arg.topic", market, "books"), book)


def shallow_v3(market: str) -> Message:
    """Declare its books of a few levels."""
    book = Book(key=NAME_V3, levels=Levels(bids="b", asks="a"), rule=EVERY, last="seq", time=TIME)
    when = pushed("arg.topic", market, "books1", "books5", "books50")
    return declared("books5 (v3)", market, when, book, "checksum", "pseq")


def trades_v3(market: str) -> Message:
    """Declare its trades."""
    told = Trades(
        key=NAME_V3,
        price="p",
        size="v",
        id="i",
        aggressor=Aggressor(path="S", buyer=("buy",), seller=("sell",)),
        time=Time(path="T", unit="ms"),
        history=SNAPSHOT,
    )
    when = pushed("arg.topic", market, "publicTrade")
    fields = ("L", "isRPI")
    return Message(
        name="publicTrade (v3)",
        when=when,
        rows="data",
        emits=(told,),
        market=market,
        newest_first=True,
        fields=fields,
    )


def ticker_v3(market: str) -> Message:
    """Declare its tickers."""
    values = (
        Measure(kind=Kind.OPEN_24H, path="openPrice24h"),
        Measure(kind=Kind.HIGH_24H, path="highPrice24h"),
        Measure(kind=Kind.LOW_24H, path="lowPrice24h"),
        Measure(kind=Kind.VOLUME_24H, path="volume24h"),
        Measure(kind=Kind.TURNOVER_24H, path="turnover24h"),
        Measure(kind=Kind.MARK, path="markPrice"),
        Measure(kind=Kind.INDEX, path="indexPrice"),
        Measure(kind=Kind.FUNDING, path="fundingRate"),
        Measure(kind=Kind.FUNDING_TIME, path="nextFundingTime", unit="ms"),
        Measure(kind=Kind.OPEN_INTEREST, path="openInterest"),
    )
    measures = Measures(key=NAME_V3, values=values[:5] if market == SPOT else values, time=FRAME_TIME)
    fields = (
        "lastPrice", "bid1Price", "bid1Size", "ask1Price", "ask1Size", "price24hPcnt", "symbol", "deliveryTime",
        "deliveryStartTime", "deliveryStatus", "openInterestValue", "ts",
    )  # fmt: skip
    return declared("ticker (v3)", market, pushed("arg.topic", market, "ticker"), measures, *fields)


SILENT: Final = (
    *(
        Message(name="candles", when=(Match(path=path, prefix=word), Match(path="data", present=True)))
        for path, word in (("arg.channel", "candle"), ("arg.topic", "kline"))
    ),
    *(
        Message(name=name, when=(Match(path=path, equals=(name,)), Match(path="data", present=True)))
        for path, name in (
            ("arg.channel", "auction"),
            ("arg.channel", "index-price"),
            ("arg.topic", "liquidation"),
            ("arg.topic", "rpi-books"),
            ("arg.topic", "system-status"),
        )
    ),
)
"""What a recorder may have asked for, and nothing is told of."""

DIALECT: Final = Dialect(
    messages=(
        *(
            declare(market)
            for declare in (books, best, trades, ticker, books_v3, trades_v3, ticker_v3, shallow, shallow_v3)
            for market in MARKETS
        ),
        *SILENT,
    ),
    plain=("pong",),
    rest_trades=RestTrades(
        when=(Match(path="code", equals=("00000",)),),
        rows="data",
        newest_first=True,
        trades=Trades(
            key=Key(path="symbol"),
            price="price",
            size="size",
            id="tradeId",
            aggressor=Aggressor(path="side", buyer=("buy", "Buy"), seller=("sell", "Sell")),
            time=TIME,
        ),
    ),
)
