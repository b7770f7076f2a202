"""Poloniex's spot channels as data (documentation: "Websocket", "Market Data"; see NOTES.md)."""

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

SYMBOL: Final = Key(path="symbol")
PUSHED: Final = Time(path="ts", unit="ms")
CREATED: Final = Time(path="createTime", unit="ms")


def data(channel: str) -> tuple[Match, ...]:
    """Say which frames are data of a channel: its acknowledgements name it as well, with an event."""
    return (Match(path="channel", equals=(channel,)), Match(path="event", present=False))


def book(action: str, *, time: Time, whole: bool) -> Message:
    """Declare one of the two kinds of messages of a book."""
    return Message(
        name=f"book_lv2/{action}",
        when=(Match(path="channel", equals=("book_lv2",)), Match(path="action", equals=(action,))),
        rows="data",
        emits=(
            Book(
                key=SYMBOL,
                levels=Levels(bids="bids", asks="asks"),
                rule=BookRule(chain="previous", snapshot="stream"),
                snapshot=(Match(path="/action", equals=("snapshot",)),) if whole else (),
                last="id",
                previous="lastId",
                time=time,
            ),
        ),
        fields=("symbol", "createTime", "ts"),
    )


def trades(*, chained: bool, words: tuple[str, str]) -> Trades:
    """Declare a row that is a trade, in the stream or over REST; ``words`` for a buying and a selling taker."""
    buyer, seller = words
    return Trades(
        key=SYMBOL,
        id="id",
        price="price",
        size="quantity",
        aggressor=Aggressor(path="takerSide", buyer=(buyer,), seller=(seller,)),
        time=CREATED,
        chained=chained,
    )


DIALECT: Final = Dialect(
    messages=(
        book("update", time=CREATED, whole=False),
        Message(
            name="trades",
            when=data("trades"),
            rows="data",
            emits=(trades(chained=True, words=("buy", "sell")),),
            fields=("symbol", "amount", "ts"),
        ),
        Message(
            name="ticker",
            when=data("ticker"),
            rows="data",
            emits=(
                Measures(
                    key=SYMBOL,
                    values=(
                        Measure(kind=Kind.OPEN_24H, path="open"),
                        Measure(kind=Kind.HIGH_24H, path="high"),
                        Measure(kind=Kind.LOW_24H, path="low"),
                        Measure(kind=Kind.VOLUME_24H, path="quantity"),
                        Measure(kind=Kind.TURNOVER_24H, path="amount"),
                    ),
                    time=PUSHED,
                ),
            ),
            fields=("symbol", "dailyChange", "tradeCount", "startTime", "closeTime", "close", "markPrice", "ts"),
        ),
        book("snapshot", time=PUSHED, whole=True),
    ),
    rest_trades=RestTrades(trades=trades(chained=False, words=("BUY", "SELL")), newest_first=True),
)
