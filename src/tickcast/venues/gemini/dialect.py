"""Gemini's market data v2, one object a message; evidence in NOTES.md.

A subscription to ``l2`` tells the whole book with the last trades (``auction_events`` stands in that message only, be
it empty), then changes and trades. Nothing counts them, nothing checks them: books are ``unverified``.
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
CHANGES: Final = Match(path="type", equals=("l2_updates",))
WHOLE: Final = (Match(path="/type", equals=("l2_updates",)),)
LEVELS: Final = Levels(mixed="changes", side="0", bid_words=("buy",), ask_words=("sell",), price="1", size="2")
RULE: Final = BookRule(chain="none", snapshot="stream")
TID: Final = Match(path="tid", present=True)
NO_TID: Final = Match(path="tid", present=False)
BOOK: Final = Book(key=SYMBOL, levels=LEVELS, rule=RULE)
WHOLE_BOOK: Final = Book(key=SYMBOL, levels=LEVELS, rule=RULE, snapshot=WHOLE)


def _trades(ident: str, *, rows: str = "", only: tuple[Match, ...] = (), history: tuple[Match, ...] = ()) -> Trades:
    """Declare trades; of one order that matched several there is one ``event_id``, and a ``tid`` for each."""
    return Trades(
        key=SYMBOL,
        id=ident,
        price="price",
        size="quantity",
        aggressor=Aggressor(path="side", buyer=("buy",), seller=("sell",)),
        time=Time(path="timestamp", unit="ms"),
        rows=rows,
        only=only,
        history=history,
    )


HISTORY: Final = (
    _trades("tid", rows="trades", only=(TID,), history=WHOLE),
    _trades("event_id", rows="trades", only=(NO_TID,), history=WHOLE),
)
BOOKS: Final = (
    Message(
        name="l2_updates",
        when=(
            CHANGES,
            Match(path="auction_events", present=False),
            Match(path="trades", present=False),
        ),
        emits=(BOOK,),
        fields=("type", "changes"),
    ),
    Message(
        name="l2_updates whole",
        when=(CHANGES, Match(path="trades.0.tid", present=True)),
        emits=(WHOLE_BOOK, *HISTORY),
        fields=("type", "changes", "auction_events", "trades"),
    ),
    Message(  # before there was a tid, the newest trade stood first
        name="l2_updates whole, older",
        when=(CHANGES,),
        newest_first=True,
        emits=(WHOLE_BOOK, *HISTORY),
        fields=("type", "changes", "auction_events", "trades"),
    ),
)
TRADES: Final = Message(
    name="trade",
    when=(Match(path="type", equals=("trade", "block_trade")),),
    emits=(_trades("tid", only=(TID,)), _trades("event_id", only=(NO_TID,))),
    fields=("type", "event_id", "tid"),
)
MARKS: Final = Message(
    name="mark_price_updates",
    when=(Match(path="type", equals=("mark_price_updates",)),),
    rows="changes",
    emits=(
        Measures(
            key=Key(path="/symbol"),
            values=(Measure(kind=Kind.MARK, path="mark_price"), Measure(kind=Kind.INDEX, path="spot_index")),
            time=Time(path="timestamp", unit="ns"),
        ),
    ),
    fields=("timestamp",),
)
CONTROL: Final = (
    Message(name="heartbeat", when=(Match(path="type", equals=("heartbeat",)),)),
    Message(name="auction", when=(Match(path="type", prefix="auction_"),)),
    Message(name="candles", when=(Match(path="type", prefix="candles_"),)),
    Message(name="funding_amount_updates", when=(Match(path="type", equals=("funding_amount_updates",)),)),
)
NEWER_TRADES: Final = Message(
    name="newer trade",
    when=tuple(Match(path=path, present=True) for path in ("s", "t", "p", "q")),
    emits=(
        Trades(
            key=Key(path="s"),
            id="t",
            price="p",
            size="q",
            aggressor=Aggressor(path="m", buyer=("false",), seller=("true",)),
            time=Time(path="E", unit="ns"),
        ),
    ),
)
NEWER_QUOTES: Final = Message(
    name="newer bookTicker",
    when=tuple(Match(path=path, present=True) for path in ("s", "u", "b", "B", "a", "A")),
    emits=(
        Quotes(
            key=Key(path="s"), bid="b", bid_size="B", ask="a", ask_size="A", seq="u", time=Time(path="E", unit="ns")
        ),
    ),
)
NEWER_CONTROL: Final = (
    Message(name="newer depthUpdate", when=(Match(path="e", equals=("depthUpdate",)),)),
    Message(name="newer depth", when=(Match(path="lastUpdateId", present=True),)),
    Message(name="newer status", when=tuple(Match(path=path, present=True) for path in ("s", "u", "E"))),
)
DIALECT: Final = Dialect(
    messages=(*BOOKS, TRADES, MARKS, *CONTROL, NEWER_TRADES, NEWER_QUOTES, *NEWER_CONTROL),
    rest_book=Book(
        key=SYMBOL,
        levels=Levels(bids="bids", asks="asks", price="price", size="amount"),
        rule=RULE,
    ),
    rest_trades=RestTrades(
        newest_first=True,
        trades=Trades(
            key=SYMBOL,
            id="tid",
            price="price",
            size="amount",
            aggressor=Aggressor(path="type", buyer=("buy",), seller=("sell",)),
            time=Time(path="timestampms", unit="ms"),
        ),
    ),
)
"""With what recordings of the newer feed (``wss://ws.gemini.com``) hold, but its books."""
