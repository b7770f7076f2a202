"""Gate.io v4 as data (documentation: "Spot WebSocket v4", "Futures WebSocket v4"; see NOTES.md).

A name means another instrument at each address (``BTC_USDT`` is a pair and a perpetual): names are those of the link's
market. Messages of delivery futures are those of perpetuals.
"""

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
from tickcast.venues.gateio.v3 import V3

NAME: Final = Key(path="s")
MADE: Final = Time(path="t", unit="ms")
SENT: Final = Time(path="/time_ms", unit="ms")
"""When the message was made; absent until 2022."""
FULL: Final = (Match(path="full", equals=("true",)),)
LISTS: Final = Levels(bids="b", asks="a")
OBJECTS: Final = Levels(bids="b", asks="a", price="p", size="s")
REST: Final = Levels(bids="bids", asks="asks", or_price="p", or_size="s")
"""Of pairs lists, of contracts objects."""
OVER_REST: Final = BookRule(chain="range", snapshot="rest", overlaps=True)
IN_STREAM: Final = BookRule(chain="range", snapshot="stream", overlaps=True)
WHOLE: Final = BookRule(chain="none", snapshot="every")
SIDES: Final = Aggressor(path="side", buyer=("buy",), seller=("sell",))
"""Of the taker."""


def channel(word: str, event: str = "update") -> tuple[Match, ...]:
    """Tell a message by channel and event."""
    return (Match(path="channel", equals=(word,)), Match(path="event", equals=(event,)))


def pushed(
    word: str, *emits: Emit, fields: tuple[str, ...] = (), event: str = "update", recorded: bool = False
) -> Message:
    """Declare what a channel pushes; acknowledgements have another event. ``recorded``: nobody subscribes to it."""
    name = f"{word} (recorded)" if recorded else word
    return Message(name=name, when=channel(word, event), rows="result", emits=emits, fields=fields)


def differences(word: str, levels: Levels) -> Message:
    """Declare differences of a book; now and then one is the whole book, and says so."""
    return pushed(
        word,
        Book(key=NAME, levels=levels, rule=OVER_REST, snapshot=FULL, first="U", last="u", time=MADE),
        fields=("e", "E", "l"),
    )


def streamed(word: str) -> Message:
    """Declare books that begin in the stream, whose messages have no event."""
    book = Book(
        key=Key(path="s", split=".", part=1),
        levels=LISTS,
        rule=IN_STREAM,
        snapshot=FULL,
        first="U",
        last="u",
        time=MADE,
    )
    when = (Match(path="channel", equals=(word,)), Match(path="result.u", present=True))
    return Message(name=f"{word} (recorded)", when=when, rows="result", emits=(book,), fields=("l",))


def best(word: str) -> Message:
    """Declare the best bid and offer, whose number is the book's."""
    quotes = Quotes(
        key=NAME, bid="b", bid_size="B", ask="a", ask_size="A", time=MADE, seq="u", comparable=True, whole=True
    )
    return pushed(word, quotes, fields=("l",))


def spot_trades(word: str) -> Message:
    """Declare trades of pairs."""
    trades = Trades(
        key=Key(path="currency_pair"),
        id="id",
        price="price",
        size="amount",
        aggressor=SIDES,
        time=Time(path="create_time_ms", unit="ms"),
        seq="id_market",
    )
    return pushed(word, trades, fields=("create_time", "range"))


def contract_trades(time: Time, *when: Match) -> Message:
    """Declare trades of contracts: the sign of the size says who was the aggressor."""
    trades = Trades(key=Key(path="contract"), id="id", price="price", size="size", signed="buyer", time=time)
    return Message(
        name="futures.trades" if not when else "futures.trades without ms",
        when=(*channel("futures.trades"), *when),
        rows="result",
        emits=(trades,),
        fields=("create_time", "create_time_ms", "is_internal"),
    )


SPOT_TICKER: Final = Measures(
    key=Key(path="currency_pair"),
    values=(
        Measure(kind=Kind.HIGH_24H, path="high_24h"),
        Measure(kind=Kind.LOW_24H, path="low_24h"),
        Measure(kind=Kind.VOLUME_24H, path="base_volume"),
        Measure(kind=Kind.TURNOVER_24H, path="quote_volume"),
    ),
    time=SENT,
)
CONTRACT_TICKER: Final = Measures(
    key=Key(path="contract"),
    values=(
        Measure(kind=Kind.MARK, path="mark_price"),
        Measure(kind=Kind.INDEX, path="index_price"),
        Measure(kind=Kind.FUNDING, path="funding_rate"),
        Measure(kind=Kind.OPEN_INTEREST, path="total_size"),
        Measure(kind=Kind.HIGH_24H, path="high_24h"),
        Measure(kind=Kind.LOW_24H, path="low_24h"),
        Measure(kind=Kind.VOLUME_24H, path="volume_24h"),
        Measure(kind=Kind.TURNOVER_24H, path="volume_24h_quote"),
    ),
    time=SENT,
)
LIQUIDATIONS: Final = Trades(
    key=Key(path="contract"), price="price", size="size", signed="buyer", time=SENT, liquidation=True
)
DETAILS: Final = Message(
    name="contract",
    when=(Match(path="funding_next_apply", present=True), Match(path="name", present=True)),
    emits=(
        Measures(key=Key(path="name"), values=(Measure(kind=Kind.FUNDING_TIME, path="funding_next_apply", unit="s"),)),
    ),
)
"""A contract over REST."""
SILENT: Final = tuple(
    Message(name=word, when=(Match(path="channel", equals=(word,)), Match(path="event", equals=("update", "all"))))
    for word in (
        "spot.candlesticks",
        "futures.candlesticks",
        "futures.contract_stats",
        "futures.contract_info",
        "futures.order_book",
    )
)
"""What a recorder may have asked for, and nothing is told of: candles, statistics, single changes without a side."""

OLDER_TRADES: Final = RestTrades(
    newest_first=True,
    trades=Trades(
        key=Key(path="currency_pair"),
        id="id",
        price="price",
        size="amount",
        aggressor=SIDES,
        time=Time(path="create_time_ms", unit="ms"),
        only=(Match(path="currency_pair", present=True),),
    ),
    or_trades=(
        Trades(
            key=Key(path="contract"),
            id="id",
            price="price",
            size="size",
            signed="buyer",
            time=Time(path="create_time", unit="s"),
        ),
    ),
)
"""Over REST, of pairs and of contracts; ``create_time_ms`` of the latter is in seconds."""
DIALECT: Final = Dialect(
    messages=(
        differences("spot.order_book_update", LISTS),
        differences("futures.order_book_update", OBJECTS),
        best("spot.book_ticker"),
        best("futures.book_ticker"),
        spot_trades("spot.trades"),
        contract_trades(Time(path="create_time", unit="s"), Match(path="result.0.create_time_ms", present=False)),
        contract_trades(Time(path="create_time_ms", unit="ms")),
        pushed(
            "spot.tickers",
            SPOT_TICKER,
            fields=(
                "last",
                "lowest_ask",
                "lowest_size",
                "highest_bid",
                "highest_size",
                "change_percentage",
                "change_utc0",
                "change_utc8",
                "etf_net_value",
                "etf_pre_net_value",
                "etf_pre_timestamp",
                "etf_leverage",
            ),
        ),
        pushed(
            "futures.tickers",
            CONTRACT_TICKER,
            fields=(
                "last",
                "change_percentage",
                "change_price",
                "change_utc0",
                "change_utc8",
                "change_utc0_price",
                "change_utc8_price",
                "funding_rate_indicative",
                "quanto_base_rate",
                "volume_24h_base",
                "volume_24h_settle",
                "volume_24h_btc",
                "volume_24h_usd",
                "volume_24_usd",
                "volume_24_btc",
                "settle_price",
                "basis_value",
                "basis_rate",
                "price_type",
                "lowest_ask",
                "lowest_size",
                "highest_bid",
                "highest_size",
            ),
        ),
        pushed("futures.public_liquidates", LIQUIDATIONS, fields=("time",)),
        streamed("spot.obu"),
        streamed("futures.obu"),
        spot_trades("spot.trades_v2"),
        pushed(
            "spot.order_book",
            Book(key=NAME, levels=Levels(bids="bids", asks="asks"), rule=WHOLE, last="lastUpdateId", time=MADE),
            fields=("l",),
            recorded=True,
        ),
        pushed(
            "futures.order_book",
            Book(
                key=Key(path="contract"),
                levels=Levels(bids="bids", asks="asks", price="p", size="s"),
                rule=WHOLE,
                last="id",
                time=MADE,
            ),
            fields=("l",),
            event="all",
            recorded=True,
        ),
        DETAILS,
        *SILENT,
        *V3,
    ),
    rest_book=Book(key=NAME, levels=REST, rule=OVER_REST, last="id"),
    rest_trades=OLDER_TRADES,
)
