"""Deribit's notifications as data. Every channel's data stands in ``params``; the evidence is in NOTES.md."""

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

ROWS: Final = "params.data"
INSTRUMENT: Final = Key(path="instrument_name")
INDEX: Final = Key(path="index_name")
TIME: Final = Time(path="timestamp", unit="ms")


def channel(prefix: str, *more: Match) -> tuple[Match, ...]:
    """Match the notifications of a family of channels."""
    return (Match(path="params.channel", prefix=prefix), *more)


BOOK: Final = Book(
    key=INSTRUMENT,
    levels=Levels(bids="bids", asks="asks", price="1", size="2", action="0"),
    rule=BookRule(chain="previous", snapshot="stream"),
    snapshot=(Match(path="type", equals=("snapshot",)),),
    last="change_id",
    previous="prev_change_id",
    time=TIME,
)
UNTYPED: Final = Book(
    key=INSTRUMENT,
    levels=BOOK.levels,
    rule=BOOK.rule,
    snapshot=(Match(path="prev_change_id", present=False),),
    last=BOOK.last,
    previous=BOOK.previous,
    time=TIME,
)
"""As until 2020, without ``type``."""
GROUPED: Final = Book(
    key=INSTRUMENT,
    levels=Levels(bids="bids", asks="asks"),
    rule=BookRule(chain="none", snapshot="every"),
    last="change_id",
    time=TIME,
)
"""``book.NAME.GROUP.DEPTH.INTERVAL``: the best levels, whole each time."""

TRADES: Final = Trades(
    key=INSTRUMENT,
    price="price",
    size="amount",
    id="trade_id",
    aggressor=Aggressor(path="direction", buyer=("buy",), seller=("sell",)),
    time=TIME,
    seq="trade_seq",
    chained=True,
    chained_by="seq",
)

QUOTES: Final = Quotes(
    key=INSTRUMENT,
    bid="best_bid_price",
    ask="best_ask_price",
    bid_size="best_bid_amount",
    ask_size="best_ask_amount",
    time=TIME,
)

TICKER: Final = Measures(
    key=INSTRUMENT,
    values=tuple(
        Measure(kind=kind, path=path)
        for kind, path in (
            (Kind.MARK, "mark_price"),
            (Kind.INDEX, "index_price"),
            (Kind.FUNDING, "current_funding"),
            (Kind.OPEN_INTEREST, "open_interest"),
            (Kind.SETTLEMENT, "settlement_price"),
            (Kind.IV, "mark_iv"),
            (Kind.BID_IV, "bid_iv"),
            (Kind.ASK_IV, "ask_iv"),
            (Kind.UNDERLYING, "underlying_price"),
            (Kind.DELTA, "greeks.delta"),
            (Kind.GAMMA, "greeks.gamma"),
            (Kind.THETA, "greeks.theta"),
            (Kind.VEGA, "greeks.vega"),
            (Kind.RHO, "greeks.rho"),
            (Kind.HIGH_24H, "stats.high"),
            (Kind.LOW_24H, "stats.low"),
            (Kind.VOLUME_24H, "stats.volume"),
            (Kind.TURNOVER_24H, "stats.volume_usd"),
        )
    ),
    time=TIME,
)
TICKER_FIELDS: Final = (
    "type",
    "state",
    "last_price",
    "min_price",
    "max_price",
    "best_bid_price",
    "best_bid_amount",
    "best_ask_price",
    "best_ask_amount",
    "funding_8h",
    "interest_value",
    "interest_rate",
    "underlying_index",
    "estimated_delivery_price",
    "delivery_price",
    "combo_state",
    "implied_bid",
    "implied_ask",
    "greeks",
    "stats",
)
TRADE_FIELDS: Final = (
    "tick_direction",
    "mark_price",
    "index_price",
    "iv",
    "liquidation",
    "contracts",
    "block_trade_id",
    "block_trade_leg_count",
    "block_rfq_id",
    "block_rfq_quote_set_id",
    "combo_id",
    "combo_trade_id",
    "legs",
)

SILENT: Final = (
    "chart.trades.",
    "deribit_price_ranking.",
    "deribit_price_statistics.",
    "estimated_expiration_price.",
    "block_rfq.",
    "block_trade_confirmations",
    "announcements",
)
"""Channels that are understood and tell nothing that the record has a place for."""

DERIBIT: Final = Dialect(
    messages=(
        Message(
            name="book",
            when=channel("book.", Match(path="params.data.type", present=True)),
            rows=ROWS,
            emits=(BOOK,),
        ),
        Message(name="ticker", when=channel("ticker."), rows=ROWS, emits=(TICKER,), fields=TICKER_FIELDS),
        Message(name="quote", when=channel("quote."), rows=ROWS, emits=(QUOTES,)),
        Message(name="trades", when=channel("trades."), rows=ROWS, emits=(TRADES,), fields=TRADE_FIELDS),
        Message(
            name="book without type",
            when=(Match(path="params.channel", prefix="book.", suffix=".raw"),),
            rows=ROWS,
            emits=(UNTYPED,),
        ),
        Message(name="book grouped", when=channel("book."), rows=ROWS, emits=(GROUPED,)),
        Message(
            name="incremental_ticker",
            when=channel("incremental_ticker."),
            rows=ROWS,
            emits=(TICKER,),
            fields=TICKER_FIELDS,
        ),
        Message(
            name="deribit_price_index",
            when=channel("deribit_price_index."),
            rows=ROWS,
            emits=(Measures(key=INDEX, values=(Measure(kind=Kind.INDEX, path="price"),), time=TIME),),
        ),
        Message(
            name="deribit_volatility_index",
            when=channel("deribit_volatility_index."),
            rows=ROWS,
            emits=(Measures(key=INDEX, values=(Measure(kind=Kind.IV, path="volatility"),), time=TIME),),
            fields=("estimated_delivery",),
        ),
        Message(
            name="markprice.options",
            when=channel("markprice.options."),
            rows=ROWS,
            emits=(
                Measures(
                    key=INSTRUMENT,
                    values=(Measure(kind=Kind.MARK, path="mark_price"), Measure(kind=Kind.IV, path="iv")),
                    time=TIME,
                ),
            ),
        ),
        Message(
            name="perpetual",
            when=channel("perpetual."),
            rows=ROWS,
            emits=(
                Measures(
                    key=Key(path="/params.channel", split=".", part=1),
                    values=(Measure(kind=Kind.INDEX, path="index_price"),),
                    time=TIME,
                ),
            ),
            fields=("interest",),
        ),
        *(Message(name=prefix.rstrip("."), when=channel(prefix)) for prefix in SILENT),
    ),
    rest_trades=RestTrades(rows="result.trades", trades=TRADES),
)
