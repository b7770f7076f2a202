"""Bitstamp's WebSocket v2 (documentation: "Websocket API v2"): trades, whole books, differences of books, funding.

Books come in two forms. ``order_book_`` tells the best 100 levels a side, all of them at each change: nothing that was
lost stays wrong. ``diff_order_book_`` tells what changed in the whole book, over a book from REST, and numbers nothing:
microtimestamps order the messages, what is missing shows nowhere. Evidence in NOTES.md.
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
    RestTrades,
    Time,
    Trades,
)

WHOLE_DEPTH: Final = 100
"""Levels a side of the whole books."""
MARKET: Final = Key(path="/channel", split="_", part=-1)
CHANGED: Final = Time(path="microtimestamp", unit="us")
LEVELS: Final = Levels(bids="bids", asks="asks")
EVERY: Final = BookRule(chain="ordered", snapshot="every", depth=WHOLE_DEPTH)
OVER_REST: Final = BookRule(chain="ordered", snapshot="rest")


def channel(name: str, event: str) -> tuple[Match, ...]:
    """Match what a kind of channel tells."""
    return (Match(path="channel", prefix=f"{name}_"), Match(path="event", equals=(event,)))


def _book(name: str, rule: BookRule) -> Message:
    return Message(
        name=name,
        when=channel(name, "data"),
        rows="data",
        emits=(Book(key=MARKET, levels=LEVELS, rule=rule, last="microtimestamp", time=CHANGED),),
        fields=("timestamp",),
    )


WHOLE: Final = _book("order_book", EVERY)
DIFFERENCE: Final = _book("diff_order_book", OVER_REST)

TRADE: Final = Message(
    name="live_trades",
    when=channel("live_trades", "trade"),
    rows="data",
    emits=(
        Trades(
            key=MARKET,
            price="price_str",
            size="amount_str",
            id="id",
            aggressor=Aggressor(path="type", buyer=("0",), seller=("1",)),
            time=CHANGED,
        ),
    ),
    fields=("id_str", "timestamp", "price", "amount", "buy_order_id", "sell_order_id"),
)
OLDER_TRADES: Final = RestTrades(
    newest_first=True,
    trades=Trades(
        key=MARKET,
        price="price",
        size="amount",
        id="tid",
        aggressor=Aggressor(path="type", buyer=("0",), seller=("1",)),
        time=Time(path="date", unit="s"),
    ),
)
"""Of a minute, an hour or a day, over REST."""
FUNDING: Final = Message(
    name="funding_rate",
    when=channel("funding_rate", "funding_rate_saved"),
    rows="data",
    emits=(
        Measures(
            key=MARKET,
            values=(
                Measure(kind=Kind.MARK, path="mark_price"),
                Measure(kind=Kind.INDEX, path="index_price"),
                Measure(kind=Kind.FUNDING, path="funding_rate"),
                Measure(kind=Kind.FUNDING_TIME, path="next_funding_time", unit="s"),
            ),
            time=Time(path="timestamp", unit="s"),
        ),
    ),
    fields=("market",),
)
TICKER: Final = Message(
    name="ticker (REST)",
    when=(Match(path="vwap", present=True), Match(path="market", present=True)),
    emits=(
        Measures(
            key=Key(path="market"),
            values=(
                Measure(kind=Kind.OPEN_24H, path="open_24"),
                Measure(kind=Kind.HIGH_24H, path="high"),
                Measure(kind=Kind.LOW_24H, path="low"),
                Measure(kind=Kind.VOLUME_24H, path="volume"),
                Measure(kind=Kind.OPEN_INTEREST, path="open_interest"),
            ),
            time=Time(path="timestamp", unit="s"),
        ),
    ),
)
NOT_READ: Final = (
    # single orders: what is read of them is in the books
    Message(name="detail_order_book", when=(Match(path="channel", prefix="detail_order_book_"),)),
    Message(name="live_orders", when=(Match(path="channel", prefix="live_orders_"),)),
    Message(name="announcements", when=(Match(path="channel", prefix="announcements"),)),
)


def dialect(*books: Message) -> Dialect:
    """Declare the whole of it, with books told by these messages."""
    others = tuple(Message(name=one.name, when=one.when) for one in (WHOLE, DIFFERENCE) if one not in books)
    return Dialect(
        messages=(*books, TRADE, FUNDING, TICKER, *others, *NOT_READ),
        rest_book=Book(
            key=MARKET,
            levels=LEVELS,
            rule=OVER_REST if DIFFERENCE in books else EVERY,
            last="microtimestamp",
            time=CHANGED,
        ),
        rest_trades=OLDER_TRADES,
    )


RECORDED: Final = dialect(DIFFERENCE, WHOLE)
"""Of a session that may hold either."""
