"""The scanner of the load tool, held against a JSON parser."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast import _native

KINDS = ("update", "snapshot", "trade", "bar", "lost", "status", "hb", "pong", "subscribed", "resumed", "error")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
times = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001  naive as the strategy wants them
    lambda time: time.isoformat().replace("+00:00", "Z")
)
frames = st.fixed_dictionaries(
    {"type": st.sampled_from((*KINDS, "new"))},
    optional={
        "symbol": st.text(max_size=10),
        "seq": st.integers(0, 2**53),
        "epoch": st.integers(0, 2**53),
        "count": st.integers(0, 2**53),
        "timestamp": times | st.none(),
        "server_timestamp": times,
        "price": values,
        "legs": values,
        "conditions": values,
    },
)


def slowly(frame: dict[str, Any]) -> tuple[Any, ...]:
    """What the scanner is to find, by a full parser's result."""
    kind = frame["type"] if frame["type"] in KINDS else "other"
    return (
        kind, frame.get("symbol"), None, frame.get("epoch"), frame.get("seq"), frame.get("count", 0),
        ns(frame.get("server_timestamp")), ns(frame.get("timestamp")),
    )  # fmt: skip


def ns(text: str | None) -> int | None:
    if text is None:
        return None
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1) * 1000


def plain(found: tuple[Any, ...]) -> tuple[Any, ...]:
    """With the symbol's escapes resolved."""
    kind, symbol, *rest = found
    return (kind, None if symbol is None else json.loads(f'"{symbol}"'), *rest)


@given(st.lists(frames, max_size=4), st.booleans(), st.booleans())
def test_it_finds_what_a_full_parser_finds(batch: list[dict[str, Any]], ascii_only: bool, compact: bool) -> None:
    separators = (",", ":") if compact else (" , ", " : ")
    text = json.dumps(batch, ensure_ascii=ascii_only, separators=separators)
    assert [plain(found) for found in _native.load_scan(text.encode())] == [slowly(frame) for frame in batch]
    for frame in batch:
        alone = json.dumps(frame, ensure_ascii=ascii_only, separators=separators)
        assert [plain(found) for found in _native.load_scan(alone.encode())] == [slowly(frame)]


@given(st.lists(frames, max_size=4))
def test_it_finds_the_same_in_message_pack(batch: list[dict[str, Any]]) -> None:
    assert _native.load_scan(msgspec.msgpack.encode(batch), msgpack=True) == [slowly(frame) for frame in batch]
    for frame in batch:
        assert _native.load_scan(msgspec.msgpack.encode(frame), msgpack=True) == [slowly(frame)]


@given(st.lists(frames, min_size=1, max_size=2), st.data())
def test_a_cut_message_is_refused(batch: list[dict[str, Any]], data: st.DataObject) -> None:
    text = json.dumps(batch).encode()
    cut = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(ValueError, match="malformed at byte"):
        _native.load_scan(text[:cut])


@given(st.binary(max_size=64))
def test_no_bytes_break_it(message: bytes) -> None:
    try:
        found = _native.load_scan(message)
    except ValueError:
        return
    assert all(frame[0] in (*KINDS, "other") for frame in found)
