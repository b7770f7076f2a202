"""Gate.io's WebSocket v3, for recordings: spot until 2023, methods with a list of parameters.

Nothing in it proves a book: it begins with a whole one (``clean``), and differences follow without any number.
"""

from typing import Final

from tickcast.model.record import Kind
from tickcast.venues.declared.dialect import (
    Aggressor,
    Book,
    BookRule,
    Key,
    Levels,
    Match,
    Measure,
    Measures,
    Message,
    Time,
    Trades,
)

FIRST: Final = Key(path="/params.0")

V3: Final = (
    Message(
        name="trades.update (recorded)",
        when=(Match(path="method", equals=("trades.update",)),),
        rows="params.1",
        newest_first=True,
        emits=(
            Trades(
                key=FIRST,
                id="id",
                price="price",
                size="amount",
                aggressor=Aggressor(path="type", buyer=("buy",), seller=("sell",)),
                time=Time(path="time", unit="s"),
            ),
        ),
    ),
    Message(
        name="depth.update (recorded)",
        when=(Match(path="method", equals=("depth.update",)),),
        rows="params.1",
        emits=(
            Book(
                key=Key(path="/params.2"),
                levels=Levels(bids="bids", asks="asks"),
                rule=BookRule(chain="none", snapshot="stream"),
                snapshot=(Match(path="/params.0", equals=("true",)),),
                time=Time(path="update", unit="s"),
            ),
        ),
    ),
    Message(
        name="ticker.update (recorded)",
        when=(Match(path="method", equals=("ticker.update",)),),
        rows="params.1",
        emits=(
            Measures(
                key=FIRST,
                values=(
                    Measure(kind=Kind.OPEN_24H, path="open"),
                    Measure(kind=Kind.HIGH_24H, path="high"),
                    Measure(kind=Kind.LOW_24H, path="low"),
                    Measure(kind=Kind.VOLUME_24H, path="quoteVolume"),
                    Measure(kind=Kind.TURNOVER_24H, path="baseVolume"),
                ),
            ),
        ),
    ),
    Message(name="kline.update (recorded)", when=(Match(path="method", equals=("kline.update",)),)),
)
"""Volumes were named the wrong way round: a frame of 2020 has ``quoteVolume`` in coins."""
