"""Kraken Futures' WebSocket v1 (documentation: "Futures WebSocket": book, trade, ticker, ticker_lite, heartbeat).

A book begins with ``book_snapshot``; each ``book`` behind it is one level and has the next ``seq`` of its product.
Evidence in NOTES.md.
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

PRODUCT: Final = Key(path="product_id")
RULE: Final = BookRule(chain="consecutive", snapshot="stream")
UPDATED: Final = Time(path="timestamp", unit="ms")
TRADED: Final = Time(path="time", unit="ms")
TAKER: Final = Aggressor(path="side", buyer=("buy",), seller=("sell",))
FORCED: Final = ("liquidation", "termination")
"""Types of trades by which the venue ends somebody's position."""


def feed(name: str) -> tuple[Match, ...]:
    """Match the messages of a feed; the answers to subscriptions name it too, but no product."""
    return Match(path="feed", equals=(name,)), Match(path="product_id", present=True)


BOOK: Final = Message(
    name="book",
    when=feed("book"),
    emits=(
        Book(
            key=PRODUCT,
            levels=Levels(side="side", bid_words=("buy",), ask_words=("sell",), price="price", size="qty"),
            rule=RULE,
            last="seq",
            time=UPDATED,
        ),
    ),
    fields=("feed",),
)
SNAPSHOT: Final = Message(
    name="book_snapshot",
    when=feed("book_snapshot"),
    emits=(
        Book(
            key=PRODUCT,
            levels=Levels(bids="bids", asks="asks", price="price", size="qty"),
            rule=RULE,
            snapshot=feed("book_snapshot"),
            last="seq",
            time=UPDATED,
        ),
    ),
    fields=("feed", "tickSize"),
)

PRINT: Final = Trades(key=PRODUCT, price="price", size="qty", id="seq", aggressor=TAKER, time=TRADED, chained=True)
LIQUIDATION: Final = Trades(
    key=PRODUCT, price="price", size="qty", id="seq", aggressor=TAKER, time=TRADED, liquidation=True
)
TRADE_FIELDS: Final = ("feed", "uid", "type")
TRADES: Final = (
    Message(
        name="trade (forced)",
        when=(*feed("trade"), Match(path="type", equals=FORCED)),
        emits=(PRINT, LIQUIDATION),
        fields=TRADE_FIELDS,
    ),
    Message(name="trade", when=feed("trade"), emits=(PRINT,), fields=TRADE_FIELDS),
    Message(
        name="trade_snapshot",
        when=feed("trade_snapshot"),
        rows="trades",
        newest_first=True,
        emits=(
            Trades(
                key=Key(path="/product_id"),
                price="price",
                size="qty",
                id="seq",
                aggressor=TAKER,
                time=TRADED,
                chained=True,
                history=(Match(path="/feed", equals=("trade_snapshot",)),),
            ),
        ),
        fields=("product_id", *TRADE_FIELDS),
    ),
)

DAY: Final = (Measure(kind=Kind.VOLUME_24H, path="volume"), Measure(kind=Kind.TURNOVER_24H, path="volumeQuote"))
FIGURES: Final = (
    Measure(kind=Kind.MARK, path="markPrice"),
    Measure(kind=Kind.INDEX, path="index"),
    Measure(kind=Kind.OPEN_INTEREST, path="openInterest"),
    Measure(kind=Kind.OPEN_24H, path="open"),
    Measure(kind=Kind.HIGH_24H, path="high"),
    Measure(kind=Kind.LOW_24H, path="low"),
    *DAY,
)
FUNDING: Final = (
    Measure(kind=Kind.FUNDING, path="relative_funding_rate", absent="0"),
    Measure(kind=Kind.FUNDING_NEXT, path="relative_funding_rate_prediction", absent="0"),
    Measure(kind=Kind.FUNDING_TIME, path="next_funding_rate_time", unit="ms"),
)
BEST: Final = Quotes(
    key=PRODUCT, bid="bid", ask="ask", bid_size="bid_size", ask_size="ask_size", time=TRADED, whole=True
)
STANDING: Final = ("suspended", "post_only")
"""What says whether a product is traded."""
TICKER_FIELDS: Final = (
    "feed",
    "tag",
    "pair",
    "dtm",
    "maturityTime",
    "leverage",
    "premium",
    "last",
    "change",
    "funding_rate",
    "funding_rate_prediction",
)
TICKERS: Final = (
    Message(
        name="ticker (perpetual)",
        when=(*feed("ticker"), Match(path="tag", equals=("perpetual",))),
        emits=(BEST, Measures(key=PRODUCT, values=FIGURES + FUNDING, time=TRADED)),
        fields=TICKER_FIELDS,
        cold_when_changed=STANDING,
    ),
    Message(
        name="ticker",
        when=feed("ticker"),
        emits=(BEST, Measures(key=PRODUCT, values=FIGURES, time=TRADED)),
        fields=TICKER_FIELDS,
        cold_when_changed=STANDING,
    ),
    # not subscribed to: ticker has all of it, with sizes and a time
    Message(
        name="ticker_lite",
        when=feed("ticker_lite"),
        emits=(Quotes(key=PRODUCT, bid="bid", ask="ask", whole=True), Measures(key=PRODUCT, values=DAY)),
        fields=("feed", "tag", "pair", "dtm", "maturityTime", "premium", "change"),
    ),
)

DIALECT: Final = Dialect(
    messages=(
        BOOK,
        *TRADES,
        *TICKERS,
        SNAPSHOT,
        Message(name="heartbeat", when=(Match(path="feed", equals=("heartbeat",)), Match(path="time", present=True))),
    ),
    rest_trades=RestTrades(
        when=(Match(path="result", equals=("success",)),),
        rows="history",
        newest_first=True,
        trades=Trades(
            key=PRODUCT, price="price", size="size", id="trade_id", aggressor=TAKER, time=Time(path="time", unit="iso")
        ),
    ),
)
