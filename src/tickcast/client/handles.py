"""Codecs without names: Protobuf and compact MessagePack to frames with the keys of ``tickcast.json``. No I/O.

Updates name their symbol by a *handle*; snapshots and acks tell which symbol that is. Decimals come as texts with the
venue's own digits, times as RFC 3339.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import msgspec
from google.protobuf.message import DecodeError

from tickcast.client.codecs import JSON, Codec, MsgpackCodec, binary, objects
from tickcast.client.errors import ProtocolError, RequestError
from tickcast.proto import tickcast_pb2 as wire
from tickcast.proto.plain import fill, plain

FIELDS: Final = (
    "price", "size", "side", "bid", "bid_size", "ask", "ask_size", "timestamp", "server_timestamp", "venue", "state",
    "open", "high", "low", "prev_close", "volume", "change", "change_pct", "crossed", "legs",
)  # fmt: skip
"""Fields of ``price``, in the order of the bits of a compact update's mask."""
STATES: Final = tuple(value.name.lower() for value in wire.State.DESCRIPTOR.values)
SIDES: Final = (None, "buy", "sell")
CONDITIONS: Final = ("odd_lot", "out_of_sequence", "auction", "opening", "closing", "hidden", "backfilled")
INTERVALS: Final = {1: "1s", 60: "1m"}
_TIMES: Final = frozenset({"timestamp", "server_timestamp", "since"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def unpacked(value: int) -> str:
    """Text of a decimal that came as ``mantissa * 32 + scale``."""
    scale = value & 31
    if not scale:
        return str(value >> 5)
    mantissa = value >> 5
    digits = str(abs(mantissa)).rjust(scale + 1, "0")
    return f"{'-' if mantissa < 0 else ''}{digits[:-scale]}.{digits[-scale:]}"


def time_text(ns: int) -> str:
    """RFC 3339 of a time, to as many digits (3, 6 or 9) as it needs."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    if not fraction % 1_000_000:
        return f"{_second_text(seconds)}.{fraction // 1_000_000:03d}Z"
    if not fraction % 1_000:
        return f"{_second_text(seconds)}.{fraction // 1_000:06d}Z"
    return f"{_second_text(seconds)}.{fraction:09d}Z"


@lru_cache(maxsize=64)
def _second_text(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


class Handles:
    """Which symbol a handle of this connection is."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}

    def learn(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Take what an ack or a snapshot tells out of it."""
        if "handle" in frame:
            self._names[frame.pop("handle")] = frame["symbol"]
        if frame.get("type") in {"subscribed", "resumed"}:
            for symbol, standing in frame["symbols"].items():
                if "handle" in standing:
                    self._names[standing.pop("handle")] = symbol
        return frame

    def name(self, handle: int) -> str:
        """Return the symbol.

        Raises:
            ProtocolError: nobody told it.
        """
        name = self._names.get(handle)
        if name is None:
            raise ProtocolError(f"expected a handle that the gateway has told, found {handle}")
        return name


class CompactCodec:
    """``tickcast.msgpack`` with ``?compact=1``."""

    def __init__(self) -> None:
        self.handles = Handles()

    def frames(self, message: str | bytes) -> Sequence[dict[str, Any]]:
        """Return the frames of a message; see :class:`tickcast.client.codecs.Codec`."""
        try:
            found = msgspec.msgpack.decode(binary(message))
            # An update begins with a number, a batch with a message.
            if isinstance(found, list) and found and not isinstance(found[0], int):
                return [self._frame(frame) for frame in found]
            return [self._frame(found)]
        except (msgspec.DecodeError, TypeError, ValueError, KeyError, IndexError, UnicodeDecodeError) as broken:
            raise ProtocolError(f"expected MessagePack from the gateway, found something else: {broken}") from None

    def request(self, request: dict[str, Any]) -> str | bytes:
        """Return a request's message."""
        return msgspec.msgpack.encode(request)

    def _frame(self, found: Any) -> dict[str, Any]:
        if not isinstance(found, list):
            return self.handles.learn(dict(objects(found)[0]))
        kind, handle, seq, *rest = found
        symbol = self.handles.name(handle)
        return {"symbol": symbol, **_COMPACT[kind](rest), "seq": seq}


def _compact_price(rest: list[Any]) -> dict[str, Any]:
    mask, *values = rest
    frame: dict[str, Any] = {"type": "update"}
    for (name, read), value in zip(_compact_fields(mask), values, strict=True):
        frame[name] = read(value)
    return frame


@lru_cache(maxsize=256)
def _compact_fields(mask: int) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """Names and readers of the values that follow a mask; few masks make nearly all updates."""
    return tuple(
        (name, _COMPACT_READERS.get(name, _compact_decimal)) for place, name in enumerate(FIELDS) if mask >> place & 1
    )


def _compact_time(value: int | None) -> str | None:
    return None if value is None else time_text(value)


def _as_it_is(value: Any) -> Any:
    return value


_COMPACT_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "side": lambda value: SIDES[value],
    "state": lambda value: STATES[value],
    "venue": _as_it_is,
    "crossed": _as_it_is,
    "legs": lambda value: {"live": value[0], "of": value[1]},
    "timestamp": _compact_time,
    "server_timestamp": _compact_time,
}
"""Fields of an update of ``price`` that are no decimals."""


def _compact_decimal(value: int | str | None) -> str | None:
    return unpacked(value) if isinstance(value, int) else value


def _compact_trade(rest: list[Any]) -> dict[str, Any]:
    trade_id, price, size, side, ts_ns, conditions = rest
    return {
        "type": "trade",
        "channel": "trades",
        "id": str(trade_id),
        "price": _compact_decimal(price),
        "size": _compact_decimal(size),
        "side": SIDES[side],
        "timestamp": time_text(ts_ns),
        "conditions": [name for place, name in enumerate(CONDITIONS) if conditions >> place & 1],
    }


def _compact_book(rest: list[Any]) -> dict[str, Any]:
    ts_ns, bids, asks, *digest = rest
    frame: dict[str, Any] = {"type": "update", "channel": "book"}
    for key, levels in (("bids", bids), ("asks", asks)):
        frame[key] = [
            [_compact_decimal(price), _compact_decimal(size)]
            for price, size in zip(levels[::2], levels[1::2], strict=True)
        ]
    frame["timestamp"] = None if ts_ns is None else time_text(ts_ns)
    if digest:
        frame["digest"] = digest[0]
    return frame


def _compact_bar(rest: list[Any]) -> dict[str, Any]:
    interval, start, *values, trades, flags = rest
    names = ("open", "high", "low", "close", "volume", "notional")
    frame = {
        "type": "bar",
        "channel": "bars",
        "interval": INTERVALS[interval],
        "start": _whole_second(start),
        **{name: _compact_decimal(value) for name, value in zip(names, values, strict=True)},
        "trades": trades,
        "final": bool(flags & 1),
    }
    if flags & 2:
        frame["corrected"] = True
    return frame


_COMPACT: Final[tuple[Callable[[list[Any]], dict[str, Any]], ...]] = (
    _compact_price,
    _compact_trade,
    _compact_book,
    _compact_bar,
)
"""By the number at the beginning of an update."""


def _whole_second(seconds: int) -> str:
    return time_text(seconds * 1_000_000_000).replace(".000", "")


class ProtoCodec:
    """``tickcast.proto``."""

    def __init__(self) -> None:
        self.handles = Handles()

    def frames(self, message: str | bytes) -> Sequence[dict[str, Any]]:
        """Return the frames of a message; see :class:`tickcast.client.codecs.Codec`."""
        try:
            found = wire.ServerFrame.FromString(binary(message))
        except DecodeError as broken:
            raise ProtocolError(f"expected a ServerFrame from the gateway, found something else: {broken}") from None
        # What a later gateway may add has no kind here.
        kinds = ((entry, entry.WhichOneof("kind")) for entry in found.messages)
        return [self._frame(entry, kind) for entry, kind in kinds if kind is not None]

    def request(self, request: dict[str, Any]) -> str | bytes:
        """Return a request's message."""
        rest = dict(request)
        frame = wire.ClientFrame()
        action = rest.pop("action")
        fill(frame, {"id": rest.pop("id")} if "id" in rest else {})
        getattr(frame, action).SetInParent()
        fill(getattr(frame, action), rest)
        return frame.SerializeToString()

    def _frame(self, entry: wire.Message, kind: str) -> dict[str, Any]:
        named = _NAMED.get(kind)
        if named is not None:
            message = getattr(entry, kind)
            return {"symbol": self.handles.name(message.handle), **named(message)}
        telling = _TELLING.get(kind)
        if telling is not None:
            return self.handles.learn(telling(getattr(entry, kind)))
        name = "snapshot" if kind == "status_snapshot" else kind
        return self.handles.learn({"type": name, **plain(getattr(entry, kind), defaults=True)})


def _update(values: wire.Price) -> dict[str, Any]:
    return {"type": "update", **_price(values)}


def _snapshot(snapshot: wire.Snapshot) -> dict[str, Any]:
    head = {"type": "snapshot", "symbol": snapshot.symbol, "handle": snapshot.values.handle, "epoch": snapshot.epoch}
    return head | _price(snapshot.values)


def _price(values: wire.Price) -> dict[str, Any]:
    frame: dict[str, Any] = {}
    for field, value in values.ListFields():
        name = field.name
        if name in {"handle", "legs_of", "unknown", "wide"}:
            continue
        if name == "seq":
            frame[name] = value
        elif name == "legs_live":
            frame["legs"] = {"live": value, "of": values.legs_of}
        elif name == "state":
            frame[name] = STATES[value]
        elif name == "side":
            frame[name] = SIDES[value]
        elif name in _TIMES:
            frame[name] = time_text(value)
        else:
            frame[name] = unpacked(value) if field.type == field.TYPE_SINT64 else value
    names = values.DESCRIPTOR.fields_by_number
    frame.update({names[number].name: None for number in values.unknown})
    frame.update({names[number].name: text for number, text in values.wide.items()})
    return {"seq": 0} | frame


def _decimal(message: Any, name: str) -> str | None:
    """Text of a decimal field, from where it is; None if it is unknown."""
    if message.HasField(name):
        return unpacked(getattr(message, name))
    text: str | None = message.wide.get(message.DESCRIPTOR.fields_by_name[name].number)
    return text


def _trade(trade: wire.Trade) -> dict[str, Any]:
    which = trade.WhichOneof("id")
    return {
        "type": "trade",
        "channel": "trades",
        "seq": trade.seq,
        "id": trade.id_text if which == "id_text" else str(trade.id_number),
        "price": _decimal(trade, "price"),
        "size": _decimal(trade, "size"),
        "side": SIDES[trade.side],
        "timestamp": time_text(trade.timestamp),
        "conditions": list(trade.conditions),
    }


def _book(book: wire.Book) -> dict[str, Any]:
    frame: dict[str, Any] = {"type": "update", "channel": "book"}
    for key, packed, is_ask in (("bids", book.bids, False), ("asks", book.asks, True)):
        levels = [[unpacked(price), unpacked(size)] for price, size in zip(packed[::2], packed[1::2], strict=True)]
        wide = [[level.price, level.size] for level in book.wide if level.is_ask == is_ask]
        if wide:
            levels = sorted(levels + wide, key=lambda level: Decimal(level[0]), reverse=not is_ask)
        frame[key] = levels
    frame["timestamp"] = time_text(book.timestamp) if book.HasField("timestamp") else None
    frame["seq"] = book.seq
    if book.HasField("digest"):
        frame["digest"] = book.digest
    return frame


def _book_snapshot(snapshot: wire.BookSnapshot) -> dict[str, Any]:
    return _book(snapshot.book) | {
        "type": "snapshot",
        "symbol": snapshot.symbol,
        "handle": snapshot.book.handle,
        "depth": snapshot.depth,
        "epoch": snapshot.epoch,
        "state": STATES[snapshot.state],
        "last": snapshot.last,
    }


def _bar(bar: wire.Bar) -> dict[str, Any]:
    frame: dict[str, Any] = {"start": _whole_second(bar.start_s)}
    for name in ("open", "high", "low", "close", "volume", "notional"):
        frame[name] = _decimal(bar, name)
    frame |= {"trades": bar.trades, "final": bar.final}
    if bar.corrected:
        frame["corrected"] = True
    return frame


def _bar_update(bar: wire.Bar) -> dict[str, Any]:
    return {"type": "bar", "channel": "bars", "interval": INTERVALS[bar.interval_s], **_bar(bar), "seq": bar.seq}


def _bars_snapshot(snapshot: wire.BarsSnapshot) -> dict[str, Any]:
    return {
        "type": "snapshot",
        "symbol": snapshot.symbol,
        "handle": snapshot.handle,
        "channel": "bars",
        "interval": INTERVALS[snapshot.interval_s],
        "bars": [_bar(bar) for bar in snapshot.bars],
        "epoch": snapshot.epoch,
        "seq": snapshot.seq,
        "state": STATES[snapshot.state],
    }


def _status(status: wire.Status) -> dict[str, Any]:
    return {
        "type": "status",
        "symbol": status.symbol,
        "handle": status.handle,
        "state": STATES[status.state],
        "since": time_text(status.since),
        "reason": status.reason if status.HasField("reason") else None,
    }


def _lost(lost: wire.Lost) -> dict[str, Any]:
    return {"type": "lost", **plain(lost, defaults=True)}


_NAMED: Final[dict[str, Callable[[Any], dict[str, Any]]]] = {
    "update": _update,
    "trade": _trade,
    "book": _book,
    "bar": _bar_update,
}
"""Messages that say their symbol by its handle alone."""
_TELLING: Final[dict[str, Callable[[Any], dict[str, Any]]]] = {
    "snapshot": _snapshot,
    "book_snapshot": _book_snapshot,
    "bars_snapshot": _bars_snapshot,
    "status": _status,
    "lost": _lost,
}
"""Messages that tell the symbol and its handle."""


CODECS: Final[dict[str, Callable[[], Codec]]] = {
    "json": lambda: JSON,
    "msgpack": MsgpackCodec,
    "compact": CompactCodec,
    "proto": ProtoCodec,
}
"""By name; each connection has its own."""


def codec_of(name: str) -> Codec:
    """Return a codec for a connection.

    Raises:
        RequestError: there is none of that name.
    """
    make = CODECS.get(name)
    if make is None:
        raise RequestError(f"codec: expected one of {', '.join(CODECS)}; found {name[:40]!r}")
    return make()


def handshake_of(name: str) -> tuple[str, dict[str, str]]:
    """Return the subprotocol of a codec, and what its address says beside it."""
    return ("tickcast.msgpack", {"compact": "1"}) if name == "compact" else (f"tickcast.{name}", {})
