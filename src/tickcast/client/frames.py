"""Events as rows of a table: pandas and polars, whose import waits until they are asked for.

Numbers of prices and sizes are, by choice, ``decimal`` (exact) or ``float`` (64 bits, what most tools compute with).

============ ==================================== =========================================================
kind         pandas                               polars
============ ==================================== =========================================================
decimal      ``object`` of ``decimal.Decimal``    ``Decimal(38, s)``, s the most digits behind a point of the column
float        ``float64``                          ``Float64``
times        ``datetime64[ns, UTC]``              ``Datetime("ns", "UTC")``
counts       ``int64``                            ``Int64``
true, false  ``boolean``                          ``Boolean``
texts        ``object`` of ``str``                ``String``
lists        ``object`` of ``list``               ``List(String)``
============ ==================================== =========================================================

What is not known is null in each. Columns and their kinds depend on the type of the events alone, never on their
values, so that frames of several batches fit together (but for s, which polars widens when they are joined with
``vertical_relaxed``). A :class:`~tickcast.client.Book` becomes a row for each level: ``side`` is ``bid`` or ``ask``,
``level`` counts from 0, the best.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from tickcast.client.bars import Bar
from tickcast.client.books import Book
from tickcast.client.errors import RequestError
from tickcast.client.ticks import Tick, timestamp_ns
from tickcast.client.trades import Lost, Trade

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Numbers = Literal["decimal", "float"]
Row = Tick | Trade | Lost | Book | Bar
DIGITS_MAX: Final = 38
_NUMBER, _TIME, _COUNT, _FLAG, _TEXT, _LIST = "number", "time", "count", "flag", "text", "list"
_TICK: Final = {
    "symbol": _TEXT, "state": _TEXT, "price": _NUMBER, "size": _NUMBER, "side": _TEXT, "bid": _NUMBER,
    "bid_size": _NUMBER, "ask": _NUMBER, "ask_size": _NUMBER, "venue": _TEXT, "timestamp": _TIME,
    "server_timestamp": _TIME, "open": _NUMBER, "high": _NUMBER, "low": _NUMBER, "prev_close": _NUMBER,
    "volume": _NUMBER, "change": _NUMBER, "change_pct": _NUMBER, "crossed": _FLAG, "legs_live": _COUNT,
    "legs_of": _COUNT, "reason": _TEXT, "epoch": _COUNT, "seq": _COUNT, "merged": _COUNT,
}  # fmt: skip
_TRADE: Final = {
    "symbol": _TEXT, "id": _TEXT, "price": _NUMBER, "size": _NUMBER, "side": _TEXT, "timestamp": _TIME,
    "conditions": _LIST, "seq": _COUNT,
}  # fmt: skip
_BOOK: Final = {
    "symbol": _TEXT, "state": _TEXT, "side": _TEXT, "level": _COUNT, "price": _NUMBER, "size": _NUMBER,
    "timestamp": _TIME, "epoch": _COUNT, "seq": _COUNT,
}  # fmt: skip
_BAR: Final = {
    "symbol": _TEXT, "interval": _TEXT, "start": _TIME, "open": _NUMBER, "high": _NUMBER, "low": _NUMBER,
    "close": _NUMBER, "volume": _NUMBER, "notional": _NUMBER, "trades": _COUNT, "final": _FLAG, "corrected": _FLAG,
}  # fmt: skip
_COLUMNS: Final[dict[type, dict[str, str]]] = {Tick: _TICK, Trade: _TRADE, Lost: _TRADE, Book: _BOOK, Bar: _BAR}


def to_pandas(rows: Iterable[Row], *, numbers: Numbers = "decimal") -> "pd.DataFrame":
    """Return events of one type as a pandas frame; the module says which columns have which dtype.

    Of trades :class:`~tickcast.client.Lost` is left out: a frame has no row for what is missing.

    Args:
        rows: Ticks, trades, books or bars, such as ``await stream.batch()``.
        numbers: ``decimal`` for exact prices and sizes, ``float`` for 64 bits.

    Raises:
        RequestError: rows of several types, none at all, or pandas is not installed.
    """
    try:
        import pandas as pd  # noqa: PLC0415  optional
    except ImportError:
        raise RequestError("expected pandas to be installed, found none: pip install pandas") from None
    columns, values = _table(rows, numbers)
    frame: dict[str, Any] = {}
    for name, kind in columns.items():
        column = values[name]
        match kind:
            case "time":
                frame[name] = pd.to_datetime(pd.Series(column, dtype="Int64"), unit="ns", utc=True)
            case "count":
                frame[name] = pd.Series(column, dtype="Int64" if None in column else "int64")
            case "flag":
                frame[name] = pd.Series(column, dtype="boolean")
            case "number" if numbers == "float":
                frame[name] = pd.Series(column, dtype="float64")
            case _:
                frame[name] = pd.Series(column, dtype="object")
    return pd.DataFrame(frame)


def to_polars(rows: Iterable[Row], *, numbers: Numbers = "decimal") -> "pl.DataFrame":
    """Return events of one type as a polars frame; the module says which columns have which dtype.

    Of trades :class:`~tickcast.client.Lost` is left out: a frame has no row for what is missing.

    Args:
        rows: Ticks, trades, books or bars, such as ``await stream.batch()``.
        numbers: ``decimal`` for exact prices and sizes, ``float`` for 64 bits.

    Raises:
        RequestError: rows of several types, none at all, a number with more than 38 digits, or polars is not installed.
    """
    try:
        import polars as pl  # noqa: PLC0415  optional
    except ImportError:
        raise RequestError("expected polars to be installed, found none: pip install 'tickcast[polars]'") from None
    columns, values = _table(rows, numbers)
    kinds: dict[str, Any] = {
        _TIME: pl.Datetime("ns", "UTC"),
        _COUNT: pl.Int64(),
        _FLAG: pl.Boolean(),
        _TEXT: pl.String(),
        _LIST: pl.List(pl.String()),
        _NUMBER: pl.Float64(),
    }
    frame = []
    for name, kind in columns.items():
        dtype = kinds[kind]
        if kind == _NUMBER and numbers == "decimal":
            dtype = pl.Decimal(DIGITS_MAX, _scale(name, values[name]))
        frame.append(pl.Series(name, values[name], dtype=dtype))
    return pl.DataFrame(frame)


def _table(rows: Iterable[Row], numbers: str) -> tuple[dict[str, str], dict[str, list[Any]]]:
    """Kinds of columns, and their values."""
    if numbers not in {"decimal", "float"}:
        raise RequestError(f"numbers: expected decimal or float, found {numbers!r}")
    events = list(rows)
    kinds = {Trade if isinstance(event, Lost) else type(event) for event in events}
    if len(kinds) != 1 or not kinds <= _COLUMNS.keys():
        found = ", ".join(sorted(kind.__name__ for kind in kinds)) or "none"
        raise RequestError(f"expected events of one type (Tick, Trade, Book or Bar), found {found}")
    columns = _COLUMNS[kinds.pop()]
    values: dict[str, list[Any]] = {name: [] for name in columns}
    for event in events:
        for line in _lines(event):
            for name, kind in columns.items():
                values[name].append(_value(kind, line[name], numbers))
    return columns, values


def _lines(event: Row) -> Sequence[dict[str, Any]]:
    match event:
        case Lost():
            return ()
        case Book():
            head = {name: getattr(event, name) for name in ("symbol", "state", "timestamp", "epoch", "seq")}
            return [
                {**head, "side": side, "level": level, "price": price, "size": size}
                for side, levels in (("bid", event.bids), ("ask", event.asks))
                for level, (price, size) in enumerate(levels)
            ]
        case Tick():
            legs = event.legs or {}
            line = {name: getattr(event, name, None) for name in _TICK}
            return [line | {"legs_live": legs.get("live"), "legs_of": legs.get("of")}]
        case _:
            return [{name: getattr(event, name) for name in _COLUMNS[type(event)]}]


def _value(kind: str, value: Any, numbers: str) -> Any:
    if value is None:
        return None
    if kind == _TIME:
        return timestamp_ns(value)
    if kind == _LIST:
        return list(value)
    return float(value) if kind == _NUMBER and numbers == "float" else value


def _scale(name: str, column: Sequence[Decimal | None]) -> int:
    """Digits behind the point that a column needs."""
    scale = whole = 0
    for value in column:
        if value is not None:
            _, digits, exponent = value.as_tuple()
            behind = -min(0, int(exponent))
            scale = max(scale, behind)
            whole = max(whole, len(digits) + int(exponent))
    if scale + whole > DIGITS_MAX:
        raise RequestError(
            f"{name}: expected numbers of at most {DIGITS_MAX} digits, found {scale + whole}; take numbers='float', or "
            "to_pandas"
        )
    return scale
