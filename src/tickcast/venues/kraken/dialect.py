"""Kraken's WebSocket v2, spot (documentation: "Spot WebSocket v2" book, trade, ticker); evidence in NOTES.md."""

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

DEPTHS: Final = (10, 25, 100, 500, 1000)
"""Depths that can be subscribed to."""
PAIR: Final = Key(path="symbol")
TIME: Final = Time(path="timestamp", unit="iso")
SNAPSHOT: Final = (Match(path="/type", equals=("snapshot",)),)

TRADE: Final = Message(
    name="trade",
    when=(Match(path="channel", equals=("trade",)),),
    rows="data",
    emits=(
        Trades(
            key=PAIR,
            price="price",
            size="qty",
            id="trade_id",
            aggressor=Aggressor(path="side", buyer=("buy",), seller=("sell",)),
            time=TIME,
            history=SNAPSHOT,
            chained=True,
        ),
    ),
    fields=("ord_type",),
)

TICKER: Final = Message(
    name="ticker",
    when=(Match(path="channel", equals=("ticker",)),),
    rows="data",
    emits=(
        Quotes(key=PAIR, bid="bid", ask="ask", bid_size="bid_qty", ask_size="ask_qty", time=TIME),
        Measures(
            key=PAIR,
            values=(
                Measure(kind=Kind.HIGH_24H, path="high"),
                Measure(kind=Kind.LOW_24H, path="low"),
                Measure(kind=Kind.VOLUME_24H, path="volume"),
            ),
            time=TIME,
        ),
    ),
    fields=("last", "vwap", "change", "change_pct", "volume_usd"),
)

CONTROL: Final = tuple(
    Message(name=channel, when=(Match(path="channel", equals=(channel,)),))
    for channel in ("heartbeat", "ohlc", "level3")
)


OLDER_TRADES: Final = RestTrades(
    when=(Match(path="error.0", present=False),),
    rows="result.*",
    trades=Trades(
        key=PAIR,
        price="0",
        size="1",
        time=Time(path="2", unit="s"),
        aggressor=Aggressor(path="3", buyer=("b",), seller=("s",)),
        id="6",
    ),
)
"""``Trades``: lists, in one of the pair's names; beside it stands where to go on."""


def book(depth: int) -> Message:
    """Declare books that were subscribed to with ``depth`` levels a side."""
    return Message(
        name="book",
        when=(Match(path="channel", equals=("book",)),),
        rows="data",
        emits=(
            Book(
                key=PAIR,
                levels=Levels(bids="bids", asks="asks", price="price", size="qty"),
                rule=BookRule(chain="none", snapshot="stream", checksum="kraken", depth=depth),
                snapshot=SNAPSHOT,
                checksum="checksum",
                time=TIME,
            ),
        ),
    )


def dialect(depth: int) -> Dialect:
    """Declare the whole of it for books of ``depth`` levels a side.

    No message but the acknowledgement names the depth, and a book that is not cut to it fails its checksums.
    """
    return Dialect(messages=(book(depth), TRADE, TICKER, *CONTROL), rest_trades=OLDER_TRADES)


def served(depth: int) -> int:
    """Return the least depth that Kraken serves and that has ``depth`` levels."""
    return next((one for one in DEPTHS if one >= depth), DEPTHS[-1])
