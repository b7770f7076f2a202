"""Binance spot, declared: combined and raw streams."""

from typing import Final

from tickcast.model.record import Kind
from tickcast.venues.binance.frames import AGGRESSOR, combined_and_raw
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
    Quotes,
    RestTrades,
    Time,
    TimeUnit,
    Trades,
)

KEY: Final = Key(path="s")
RULE: Final = BookRule(chain="range", snapshot="rest")
NOT_READ: Final = ("kline", "24hrMiniTicker", "avgPrice", "1hTicker", "4hTicker", "1dTicker", "1hWindowTicker")
"""Events that exist and are not asked for; a recording may hold them."""


def dialect(unit: TimeUnit = "ms", *, aggregate: bool = False) -> Dialect:
    """Declare spot; ``unit`` is that of times, which the link's address chooses; ``aggregate``: missed trades are."""
    return Dialect(
        messages=(
            *combined_and_raw(
                "bookTicker",
                when=(Match(path="stream", suffix="@bookTicker"),),
                raw=(
                    Match(path="e", present=False),
                    Match(path="B", present=True),
                    Match(path="A", present=True),
                    Match(path="u", present=True),
                ),
                emits=(
                    Quotes(key=KEY, bid="b", ask="a", bid_size="B", ask_size="A", seq="u", comparable=True, whole=True),
                ),
            ),
            *combined_and_raw(
                "depth",
                event="depthUpdate",
                emits=(
                    Book(
                        key=KEY,
                        levels=Levels(bids="b", asks="a"),
                        rule=RULE,
                        first="U",
                        last="u",
                        time=Time(path="E", unit=unit),
                    ),
                ),
                fields=("e",),
            ),
            *combined_and_raw(
                "trade",
                event="trade",
                emits=(_trades("t", unit),),
                fields=("e", "E", "M", "b", "a"),
            ),
            *combined_and_raw(
                "aggTrade",
                event="aggTrade",
                emits=(_trades("a", unit),),
                fields=("e", "E", "M", "f", "l"),
            ),
            *combined_and_raw(
                "ticker",
                event="24hrTicker",
                emits=(day_figures(Time(path="E", unit=unit)),),
                fields=("e", "p", "P", "w", "x", "c", "Q", "b", "B", "a", "A", "O", "C", "F", "L", "n"),
            ),
            *(message for event in NOT_READ for message in combined_and_raw(event, event=event)),
            *combined_and_raw(
                "partial depth",
                when=(Match(path="data.lastUpdateId", present=True), Match(path="stream", present=True)),
                raw=(Match(path="lastUpdateId", present=True),),
            ),
        ),
        rest_book=Book(key=KEY, levels=Levels(bids="bids", asks="asks"), rule=RULE, last="lastUpdateId"),
        rest_trades=RestTrades(trades=_trades("a", "ms") if aggregate else OLDER_TRADES),
    )


def _trades(ident: str, unit: TimeUnit) -> Trades:
    return Trades(
        key=KEY, id=ident, price="p", size="q", aggressor=AGGRESSOR, time=Time(path="T", unit=unit), chained=True
    )


OLDER_TRADES: Final = Trades(
    key=Key(path="symbol"),
    id="id",
    price="price",
    size="qty",
    aggressor=Aggressor(path="isBuyerMaker", buyer=("false",), seller=("true",)),
    time=Time(path="time", unit="ms"),
)
"""``historicalTrades``: an answer names no symbol."""


def day_figures(time: Time, *, turnover: bool = True) -> Measures:
    """Declare what ``24hrTicker`` says, in all of Binance's markets; ``turnover``: its ``q`` is in the quote asset."""
    return Measures(
        key=KEY,
        values=(
            Measure(kind=Kind.OPEN_24H, path="o"),
            Measure(kind=Kind.HIGH_24H, path="h"),
            Measure(kind=Kind.LOW_24H, path="l"),
            Measure(kind=Kind.VOLUME_24H, path="v"),
            *((Measure(kind=Kind.TURNOVER_24H, path="q"),) if turnover else ()),
        ),
        time=time,
    )


DIALECT: Final = dialect()
