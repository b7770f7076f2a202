"""A slow, plain interpreter of declared dialects, to hold the native one against.

Written from the docstrings of ``venues/declared/dialect.py``, not from the native code. Books are dicts of prices; the
rows that tell of them (states, gaps, levels) are those of the continuity engine, which has tests of its own.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from itertools import groupby
from typing import Any

from tickcast import _native
from tickcast.model.record import Flag, Kind, Side
from tickcast.venues.declared import dialect

LAST = int(Flag.LAST_OF_EVENT)
I64_MAX = 2**63 - 1
WIDE = Context(prec=200)
UNIT_DIGITS = {"s": 9, "ms": 6, "us": 3, "ns": 0}


class Number(str):
    """A JSON number by its text."""

    __slots__ = ()


class WrongError(Exception):
    """A row that cannot be read."""


@dataclass
class Row:
    """One record, but for its receive time."""

    ts_event: int
    instrument: int
    kind: int
    seq: int = 0
    id: int = 0
    price: int = 0
    size: int = 0
    side: int = 0
    price_scale: int = 0
    size_scale: int = 0
    flags: int = 0


def parse(frame: bytes) -> Any:
    def refuse(text: str) -> Any:
        raise ValueError(text)

    return json.loads(frame.decode(), parse_int=Number, parse_float=Number, parse_constant=refuse)


ABSENT: Any = object()


def find(value: Any, steps: str) -> Any:
    for step in steps.split("."):
        if isinstance(value, dict):
            value = value.get(step, ABSENT)
        elif isinstance(value, list) and step.lstrip("-").isdigit():
            index = int(step)
            value = value[index] if -len(value) <= index < len(value) else ABSENT
        else:
            return ABSENT
        if value is ABSENT:
            return ABSENT
    return value


def text(value: Any) -> str:
    """Text of a value; nothing said is ''."""
    if value is ABSENT or value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        raise WrongError(value)
    return str(value)


def decimal(value: str, *, rounded: bool = False) -> tuple[int, int, bool]:
    """Mantissa, scale, and whether it is exact."""
    try:
        return (*_native.parse_decimal(value), True)
    except ValueError:
        if not rounded:
            raise WrongError(value) from None
    try:
        exact = WIDE.create_decimal(value)
    except ArithmeticError:
        raise WrongError(value) from None
    if not exact.is_finite() or not value.strip("+-")[:1].isdigit():
        raise WrongError(value)
    for scale in range(38, -1, -1):
        mantissa = int(exact.scaleb(scale, WIDE).to_integral_value(ROUND_HALF_UP, WIDE))
        if abs(mantissa) <= I64_MAX:
            return mantissa, scale, False
    raise WrongError(value)


def whole(value: str) -> int | None:
    number = int(value) if value.isascii() and value.isdigit() and len(value) < 30 else -1
    return number if 0 <= number < 2**64 and str(number) == value else None


def sequence(value: str) -> int:
    if not value:
        return 0
    number = whole(value)
    if number is None or number > I64_MAX:
        raise WrongError(value)
    return number


def time_ns(value: str, unit: str) -> int:
    if unit == "iso":
        try:
            found = datetime.fromisoformat(value[:19] + "+00:00")
        except ValueError:
            raise WrongError(value) from None
        rest = value[19:]
        digits = ""
        if rest.startswith("."):
            digits = rest[1:].rstrip("Z")
            rest = rest[1 + len(digits) :]
        if rest != "Z" or (value[19] == "." and not digits) or (digits and not digits.isdigit()):
            raise WrongError(value)
        seconds = int((found - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
        return seconds * 10**9 + int((digits + "0" * 9)[:9])
    decimal(value, rounded=True)  # a number at all
    exact = Decimal(value).scaleb(UNIT_DIGITS[unit], WIDE)
    result = int(exact.to_integral_value("ROUND_FLOOR", WIDE))
    if abs(result) > I64_MAX:
        raise WrongError(value)
    return result


@dataclass
class Place:
    """A row, and where it stands."""

    frame: Any
    row: Any
    outer: Any

    def get(self, path: str) -> Any:
        if path.startswith("/"):
            return find(self.frame, path[1:])
        if path.startswith("^"):
            return find(self.outer, path[1:])
        return find(self.row, path)

    def text(self, path: str) -> str:
        return text(self.get(path)) if path else ""

    def holds(self, match: dialect.Match) -> bool:
        value = self.get(match.path)
        said = value is not ABSENT and value is not None and value != ""
        if match.present is not None and match.present != said:
            return False
        if isinstance(value, dict | list):
            return not (match.equals or match.prefix or match.suffix)
        found = text(value)
        return (
            (not match.equals or found in match.equals)
            and found.startswith(match.prefix)
            and found.endswith(match.suffix)
        )

    def time(self, time: dialect.Time | None, ts_recv: int) -> int:
        found = self.text(time.path) if time else ""
        return time_ns(found, time.unit) if time and found else ts_recv


def rows(value: Any, steps: Sequence[str], outer: Any) -> Iterator[tuple[Any, Any]]:
    if not steps:
        if isinstance(value, list):
            yield from ((entry, outer) for entry in value)
        elif isinstance(value, dict):
            yield value, outer
        else:
            raise WrongError(value)
        return
    if isinstance(value, list) and not steps[0].lstrip("-").isdigit():
        for entry in value:
            yield from rows(entry, steps, entry)
        return
    yield from rows(find(value, steps[0]), steps[1:], outer)


@dataclass
class Reference:
    """Runs a dialect; ``books`` are broken (None) until a whole one comes."""

    declared: dialect.Dialect
    names: dict[str, int]
    rows: list[Row] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    dead: int = 0
    cold: int = 0
    control: int = 0
    books: dict[int, dict[str, dict[Decimal, Decimal]] | None] = field(default_factory=dict)
    quotes: dict[tuple[int, str], tuple[str, str]] = field(default_factory=dict)
    best: dict[tuple[int, str], Any] = field(default_factory=dict)
    measures: dict[tuple[int, int], Decimal] = field(default_factory=dict)
    trades: dict[int, int] = field(default_factory=dict)

    def take(self, frame: bytes, ts_recv: int) -> None:
        try:
            value = parse(frame)
        except (ValueError, RecursionError):
            is_plain = frame.decode(errors="replace") in self.declared.plain
            self.control += is_plain
            self.dead += not is_plain
            return
        whole_frame = Place(value, value, value)
        for message in self.declared.messages:
            if all(whole_frame.holds(match) for match in message.when):
                break
        else:
            self.cold += 1
            return
        if not message.emits:
            self.control += 1
            return
        found = self.rows_of(message, value)
        for emit in message.emits:
            event: tuple[int, int] = (0, -1)
            for row, outer in found:
                try:
                    event = self.emit(emit, Place(value, row, outer), ts_recv, event)
                except WrongError:
                    self.dead += 1

    def rows_of(self, message: dialect.Message, value: Any) -> list[tuple[Any, Any]]:
        """Rows with the entries of the outer lists; those before damage count."""
        if not message.rows:
            return [(value, value)]
        found: list[tuple[Any, Any]] = []
        try:
            for each in rows(value, message.rows.split("."), value):
                found.append(each)  # noqa: PERF402 - a list would be lost with the damage
        except WrongError:
            self.dead += 1
        if not message.newest_first:
            return found
        lists = [list(pairs) for _, pairs in groupby(found, key=lambda pair: id(pair[1]))]
        return [pair for pairs in lists for pair in reversed(pairs)]

    def emit(self, emit: dialect.Emit, context: Place, ts_recv: int, event: tuple[int, int]) -> tuple[int, int]:
        name = context.text(emit.key.path)
        if emit.key.split:
            parts = name.split(emit.key.split)
            if not -len(parts) <= emit.key.part < len(parts):
                raise WrongError(name)
            name = parts[emit.key.part]
        if name not in self.names:
            raise WrongError(name)
        instrument, start = self.names[name], len(self.rows)
        if isinstance(emit, dialect.Trades):
            self.trade(emit, context, instrument, ts_recv)
            return event
        if isinstance(emit, dialect.Book):
            self.book(emit, context, instrument)
            return event
        if isinstance(emit, dialect.Quotes):
            self.quote(emit, context, instrument, ts_recv)
        else:
            self.measure(emit, context, instrument, ts_recv)
        if len(self.rows) == start:
            return event
        if event == (instrument, start):
            self.rows[start - 1].flags &= ~LAST
        self.rows[-1].flags |= LAST
        return instrument, len(self.rows)

    def trade(self, emit: dialect.Trades, context: Place, instrument: int, ts_recv: int) -> None:
        price, price_scale, _ = decimal(context.text(emit.price))
        size, size_scale, exact = decimal(context.text(emit.size), rounded=True)
        if size < 0:
            raise WrongError(size)
        ident = context.text(emit.id)
        number = whole(ident)
        side = Side.UNKNOWN
        if emit.aggressor:
            word = context.get(emit.aggressor.path)
            word = "" if isinstance(word, dict | list) else text(word)
            side = Side.BUYER if word in emit.aggressor.buyer else side
            side = Side.SELLER if word in emit.aggressor.seller else side
        history = bool(emit.history) and all(context.holds(match) for match in emit.history)
        row = Row(
            context.time(emit.time, ts_recv),
            instrument,
            Kind.LIQUIDATION if emit.liquidation else Kind.TRADE,
            seq=sequence(context.text(emit.seq)),
            id=number if number is not None else _native.instrument_id(ident) if ident else 0,
            price=price,
            price_scale=price_scale,
            size=size,
            size_scale=size_scale,
            side=side,
            flags=LAST | (0 if exact else Flag.INEXACT_SIZE) | (Flag.HISTORY if history else 0),
        )
        if emit.chained and number is not None:
            last = self.trades.get(instrument, number - 1)
            if number <= last and history:
                return
            if number > last + 1:
                self.rows.append(Row(ts_recv, instrument, Kind.GAP, seq=number, id=number - last - 1, flags=LAST))
            self.trades[instrument] = max(number, last)
        if ident and number is None:
            self.texts[len(self.rows)] = ident
        self.rows.append(row)

    def quote(self, emit: dialect.Quotes, context: Place, instrument: int, ts_recv: int) -> None:
        row = Row(context.time(emit.time, ts_recv), instrument, 0, seq=sequence(context.text(emit.seq)))
        sides = (("bid", Kind.BID, emit.bid, emit.bid_size), ("ask", Kind.ASK, emit.ask, emit.ask_size))
        told: list[tuple[str, Row, tuple[str, str]]] = []
        for side, kind, price_path, size_path in sides:
            last = self.quotes.get((instrument, side), ("", ""))
            price, size = context.get(price_path), context.get(size_path) if size_path else ABSENT
            if price is ABSENT and size is ABSENT and not emit.whole:
                continue
            now = last if price is ABSENT and not emit.whole else (text(price), "" if not text(price) else last[1])
            if now[0] and decimal(now[0])[0] == 0:
                now = ("", now[1])
            if size is not ABSENT:
                now = (now[0], text(size))
                if now[1] and decimal(now[1], rounded=True)[0] < 0:
                    raise WrongError(size)
            if not now[0] and price is ABSENT and not emit.whole:
                told.append((side, replace(row, kind=0), now))
                continue
            told.append((side, quoted(replace(row, kind=kind), *now), now))
        for side, made, now in told:
            self.quotes[instrument, side] = now
            value = (made.price, made.price_scale, made.size, made.size_scale, made.flags)
            if made.kind and self.best.get((instrument, side)) != value:
                self.best[instrument, side] = value
                self.rows.append(made)

    def measure(self, emit: dialect.Measures, context: Place, instrument: int, ts_recv: int) -> None:
        found = []
        for value in emit.values:
            said = context.text(value.path)
            if not said:
                continue
            if value.unit:
                found.append((value.kind, time_ns(said, value.unit), 9, True))
            else:
                found.append((value.kind, *decimal(said, rounded=True)))
        ts_event = context.time(emit.time, ts_recv)
        for kind, mantissa, scale, exact in found:
            exactly = Decimal(mantissa).scaleb(-scale, WIDE)
            if self.measures.get((instrument, kind)) != exactly:
                self.measures[instrument, kind] = exactly
                flags = 0 if exact else int(Flag.INEXACT_SIZE)
                self.rows.append(Row(ts_event, instrument, kind, price=mantissa, price_scale=scale, flags=flags))

    def book(self, emit: dialect.Book, context: Place, instrument: int) -> None:
        levels = emit.levels
        try:
            changes = list(self.changes(levels, context))
            for path in (emit.first, emit.last, emit.previous, emit.checksum):
                if path:
                    sequence(context.text(path))
        except WrongError:
            self.books[instrument] = None
            raise
        if emit.snapshot and all(context.holds(match) for match in emit.snapshot):
            self.books[instrument] = {"bid": {}, "ask": {}}
        book = self.books.get(instrument)
        for side, price, size in changes if book is not None else ():
            assert book is not None
            if size:
                book[side][price] = size
            else:
                book[side].pop(price, None)

    def changes(self, levels: dialect.Levels, context: Place) -> Iterator[tuple[str, Decimal, Decimal]]:
        lists = [(levels.mixed, "")] if levels.mixed else [(levels.bids, "bid"), (levels.asks, "ask")]
        for path, fixed in lists:
            entries = context.get(path) if path else ABSENT
            if entries is ABSENT or entries is None or entries == "":
                continue
            if not isinstance(entries, list):
                raise WrongError(entries)
            for entry in entries:
                word = fixed or text(find(entry, levels.side))
                side = "bid" if fixed == "bid" or word in levels.bid_words else "ask"
                if not fixed and word not in (*levels.bid_words, *levels.ask_words):
                    raise WrongError(word)
                price, scale, _ = decimal(text(find(entry, levels.price)))
                gone = bool(levels.action) and text(find(entry, levels.action)) in levels.deleted
                size, size_scale, _ = (0, 0, True) if gone else decimal(text(find(entry, levels.size)), rounded=True)
                if size < 0:
                    raise WrongError(size)
                yield side, Decimal(price).scaleb(-scale, WIDE), Decimal(size).scaleb(-size_scale, WIDE)


def quoted(row: Row, price: str, size: str) -> Row:
    """Fill in one side of a quote; an empty text is an empty side, or no size."""
    if not price:
        return replace(row, flags=Flag.NO_PRICE | Flag.NO_SIZE)
    mantissa, scale, _ = decimal(price)
    row = replace(row, price=mantissa, price_scale=scale)
    if not size:
        return replace(row, flags=Flag.NO_SIZE)
    mantissa, scale, exact = decimal(size, rounded=True)
    return replace(row, size=mantissa, size_scale=scale, flags=0 if exact else Flag.INEXACT_SIZE)
