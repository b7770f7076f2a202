"""Crypto.com Exchange v1 as data (documentation: "Websocket Subscriptions"; see NOTES.md)."""

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

CHANNEL: Final = "result.channel"
NAME: Final = Key(path="/result.instrument_name")
TIME: Final = Time(path="t", unit="ms")
DEPTH: Final = "/result.subscription"


def pushed(channel: str, *emits: Emit, fields: tuple[str, ...] = ()) -> Message:
    """Declare the rows of a channel."""
    when = (Match(path=CHANNEL, equals=(channel,)), Match(path="result.data", present=True))
    return Message(name=channel, when=when, rows="result.data", emits=emits, fields=fields)


def book(levels: Levels, *, rule: BookRule, time: Time, channel: str) -> Book:
    """Declare messages of a book: ``book`` is a whole one, ``book.update`` what changed in it."""
    whole = (Match(path=f"/{CHANNEL}", equals=("book",)),) if channel == "book" else ()
    return Book(key=NAME, levels=levels, rule=rule, snapshot=whole, last="u", previous="pu", time=time)


RULE: Final = BookRule(chain="previous", snapshot="stream", same_is_empty=True, depth_from=DEPTH)
MATCHED: Final = Time(path="tt", unit="ms")
WHOLE: Final = Levels(bids="bids", asks="asks")
CHANGED: Final = Levels(bids="update.bids", asks="update.asks")
UPDATES: Final = pushed(
    "book.update", book(CHANGED, rule=RULE, time=MATCHED, channel="book.update"), fields=("t", "cs", "s")
)
BOOKS: Final = pushed("book", book(WHOLE, rule=RULE, time=MATCHED, channel="book"), fields=("t", "cs", "s", "pu"))
SIDES: Final = Aggressor(path="s", buyer=("BUY", "buy"), seller=("SELL", "sell"))
TRADES: Final = Message(
    name="trade",
    when=(Match(path=CHANNEL, equals=("trade",)), Match(path="result.data", present=True)),
    rows="result.data",
    newest_first=True,
    emits=(Trades(key=Key(path="i"), price="p", size="q", id="d", aggressor=SIDES, time=TIME),),
    fields=("dataTime", "tn", "m"),
)
TICKERS: Final = pushed(
    "ticker",
    Quotes(key=Key(path="i"), bid="b", bid_size="bs", ask="k", ask_size="ks", time=TIME, whole=True),
    Measures(
        key=Key(path="i"),
        values=(
            Measure(kind=Kind.HIGH_24H, path="h"),
            Measure(kind=Kind.LOW_24H, path="l"),
            Measure(kind=Kind.VOLUME_24H, path="v"),
            Measure(kind=Kind.TURNOVER_24H, path="vv"),
            Measure(kind=Kind.OPEN_INTEREST, path="oi"),
        ),
        time=TIME,
    ),
    fields=("a", "c"),
)


def valued(channel: str, kind: Kind) -> Message:
    """Declare a channel of one value."""
    return pushed(channel, Measures(key=NAME, values=(Measure(kind=kind, path="v"),), time=TIME), fields=("i",))


VALUES: Final = (
    valued("mark", Kind.MARK),
    valued("index", Kind.INDEX),
    valued("funding", Kind.FUNDING),
    valued("estimatedfunding", Kind.FUNDING_NEXT),
    valued("settlement", Kind.SETTLEMENT),
    valued("open_interest", Kind.OPEN_INTEREST),
)
CANDLES: Final = Message(name="candlestick", when=(Match(path=CHANNEL, equals=("candlestick",)),))
"""Made of trades by whoever wants them."""
OTC: Final = Message(name="otc_book", when=(Match(path=CHANNEL, prefix="otc_book"),))

DIALECT: Final = Dialect(
    messages=(UPDATES, BOOKS, TRADES, TICKERS, *VALUES, CANDLES, OTC),
    rest_book=Book(key=NAME, levels=WHOLE, rule=BookRule(chain="none", snapshot="stream"), last="u"),
    rest_rows="result.data.0",
    rest_trades=RestTrades(
        when=(Match(path="code", equals=("0",)),),
        rows="result.data",
        newest_first=True,
        trades=Trades(
            key=NAME,
            price="p",
            size="q",
            id="d",
            aggressor=SIDES,
            time=TIME,
        ),
    ),
)
