"""Gemini's messages, one object each; evidence in NOTES.md.

A subscription to ``@depth@100ms`` begins with the whole book, written as a difference whose ``U`` is its ``u``; ``U``
of every other is the ``u`` of the one before. The older feed (v2) has no numbers: recordings of it decode, with books
that nothing proves, and a feed takes mark prices from it alone.
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

NAME: Final = Key(path="s")
TIME: Final = Time(path="E", unit="ns")
DEPTH: Final = Message(
    name="depthUpdate",
    when=(Match(path="e", equals=("depthUpdate",)),),
    emits=(
        Book(
            key=NAME,
            levels=Levels(bids="b", asks="a"),
            rule=BookRule(chain="previous", snapshot="first", overlaps=True),
            snapshot=(Match(path="U", same_as="u"),),
            last="u",
            previous="U",
            time=TIME,
        ),
    ),
    fields=("e",),
)
TRADE: Final = Message(
    name="trade",
    when=tuple(Match(path=path, present=True) for path in ("s", "t", "p", "q")),
    emits=(
        Trades(
            key=NAME,
            id="t",
            price="p",
            size="q",
            aggressor=Aggressor(path="m", buyer=("false",), seller=("true",)),
            time=TIME,
        ),
    ),
    fields=("e",),
)
BOOK_TICKER: Final = Message(
    name="bookTicker",
    when=tuple(Match(path=path, present=True) for path in ("s", "u", "b", "B", "a", "A")),
    emits=(
        Quotes(key=NAME, bid="b", bid_size="B", ask="a", ask_size="A", seq="u", comparable=True, whole=True, time=TIME),
    ),
    fields=("e",),
)
UNUSED: Final = (
    Message(name="depth", when=(Match(path="lastUpdateId", present=True),)),
    Message(name="markPrice", when=(Match(path="e", equals=("markPrice",)),)),
    Message(name="fundingAmount", when=(Match(path="e", equals=("fundingAmount",)),)),
    Message(name="contractStatus", when=tuple(Match(path=path, present=True) for path in ("s", "u", "E"))),
)
"""What a feed does not subscribe to, and recordings may hold."""

# ------------------------------------------------------------------ the older feed, v2

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
OLDER_BOOKS: Final = (
    Message(
        name="l2_updates (recorded)",
        when=(
            CHANGES,
            Match(path="auction_events", present=False),
            Match(path="trades", present=False),
        ),
        emits=(BOOK,),
        fields=("type", "changes"),
    ),
    Message(
        name="l2_updates whole (recorded)",
        when=(CHANGES, Match(path="trades.0.tid", present=True)),
        emits=(WHOLE_BOOK, *HISTORY),
        fields=("type", "changes", "auction_events", "trades"),
    ),
    Message(  # before there was a tid, the newest trade stood first
        name="l2_updates whole, without tid (recorded)",
        when=(CHANGES,),
        newest_first=True,
        emits=(WHOLE_BOOK, *HISTORY),
        fields=("type", "changes", "auction_events", "trades"),
    ),
)
OLDER_TRADES: Final = Message(
    name="trade of v2 (recorded)",
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
    cold_when_changed=("timestamp",),  # nothing but its prices confirms a subscription
)
CONTROL: Final = (
    Message(name="heartbeat", when=(Match(path="type", equals=("heartbeat",)),)),
    Message(name="auction", when=(Match(path="type", prefix="auction_"),)),
    Message(name="candles", when=(Match(path="type", prefix="candles_"),)),
    Message(name="funding_amount_updates", when=(Match(path="type", equals=("funding_amount_updates",)),)),
)
DIALECT: Final = Dialect(
    messages=(DEPTH, BOOK_TICKER, TRADE, *OLDER_BOOKS, OLDER_TRADES, MARKS, *CONTROL, *UNUSED),
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
