"""Coinbase Advanced Trade's hot messages (documentation: "Advanced Trade WebSocket Channels"); evidence in NOTES.md."""

from typing import Final

from tickcast.model.record import Kind
from tickcast.venues.declared.dialect import (
    Aggressor,
    Book,
    BookRule,
    Counter,
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

LEVEL2: Final = Message(
    name="l2_data",
    when=(Match(path="channel", equals=("l2_data",)),),
    rows="events",
    emits=(
        Book(
            key=PRODUCT,
            levels=Levels(mixed="updates", side="side", price="price_level", size="new_quantity"),
            # what is wrong in one message concerns its book; the counter, all of the connection
            rule=BookRule(chain="none", snapshot="stream"),
            snapshot=(Match(path="type", equals=("snapshot",)),),
            last="/sequence_num",
            time=Time(path="updates.0.event_time", unit="iso"),
        ),
    ),
)

MARKET_TRADES: Final = Message(
    name="market_trades",
    when=(Match(path="channel", equals=("market_trades",)),),
    rows="events.trades",
    newest_first=True,
    emits=(
        Trades(
            key=PRODUCT,
            price="price",
            size="size",
            id="trade_id",
            # the maker's side
            aggressor=Aggressor(path="side", buyer=("SELL",), seller=("BUY",)),
            time=Time(path="time", unit="iso"),
            history=(Match(path="^type", equals=("snapshot",)),),
            chained=True,
        ),
    ),
)

TICKER: Final = Message(
    name="ticker",
    when=(Match(path="channel", equals=("ticker", "ticker_batch")),),
    rows="events.tickers",
    emits=(
        Quotes(
            key=PRODUCT,
            bid="best_bid",
            ask="best_ask",
            bid_size="best_bid_quantity",
            ask_size="best_ask_quantity",
            time=Time(path="/timestamp", unit="iso"),
        ),
        Measures(
            key=PRODUCT,
            values=(
                Measure(kind=Kind.HIGH_24H, path="high_24_h"),
                Measure(kind=Kind.LOW_24H, path="low_24_h"),
                Measure(kind=Kind.VOLUME_24H, path="volume_24_h"),
            ),
            time=Time(path="/timestamp", unit="iso"),
        ),
    ),
    fields=("type", "price", "low_52_w", "high_52_w", "price_percent_chg_24_h"),
)

CONTROL: Final = tuple(
    Message(name=channel, when=(Match(path="channel", equals=(channel,)),)) for channel in ("heartbeats", "candles")
)

DIALECT: Final = Dialect(
    messages=(LEVEL2, MARKET_TRADES, TICKER, *CONTROL),
    counter=Counter(path="sequence_num", first=0),
    rest_trades=RestTrades(
        rows="trades",
        newest_first=True,
        # whose side it says over REST no page tells
        trades=Trades(key=PRODUCT, price="price", size="size", id="trade_id", time=Time(path="time", unit="iso")),
    ),
)
"""``subscriptions``, ``status`` and errors are cold; they count in ``sequence_num`` like all others."""
