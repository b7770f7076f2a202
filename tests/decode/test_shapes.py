"""What frames hold, read by declared dialects in Python."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast.decode.shapes import Held, Shapes, at, fits, is_whole, name_of, rows_of, text_at
from tickcast.venues.declared.dialect import (
    Book,
    BookRule,
    Dialect,
    Key,
    Levels,
    Match,
    Measures,
    Message,
    Quotes,
    Trades,
)

FRAME = {
    "a": [{"b": [{"c": "1"}, {"c": "2"}], "d": "x"}, {"b": [{"c": "3"}], "d": "y"}],
    "n": 185.40,
    "z": None,
    "t": True,
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("n", "185.4"),
        ("t", "true"),
        ("z", ""),
        ("a.0.d", "x"),
        ("a.-1.d", "y"),
        ("a.5.d", ""),
        ("a", "[]"),
        ("n.x", ""),
    ],
)
def test_texts(path: str, expected: str) -> None:
    assert text_at(FRAME, path) == expected


def test_rows_walk_through_lists() -> None:
    rows = list(rows_of(FRAME, "a.b"))
    assert [row["c"] for row, _ in rows] == ["1", "2", "3"]
    assert [name_of(FRAME, row, Key(path="^d")) for row in rows] == ["x", "x", "y"]
    assert [name_of(FRAME, row, Key(path="/t")) for row in rows] == ["true"] * 3
    assert list(rows_of(FRAME, "")) == [(FRAME, FRAME)]
    assert list(rows_of(FRAME, "missing.b")) == []


def test_rows_of_a_frame_that_is_a_list() -> None:
    frame = [7, [["1.5", "2"], ["1.6", "3"]], "trade", "XBT/USD"]
    rows = list(rows_of(frame, "1"))
    assert [row for row, _ in rows] == [["1.5", "2"], ["1.6", "3"]]
    assert name_of(frame, rows[0], Key(path="/-1")) == "XBT/USD"


def test_divided_names() -> None:
    row = ({"topic": "book.50.BTC"}, None)
    assert name_of({}, row, Key(path="topic", split=".", part=-1)) == "BTC"
    assert name_of({}, row, Key(path="topic", split=".", part=7)) == ""


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (Match(path="a.0.d", equals=("x", "q")), True),
        (Match(path="a.0.d", equals=("q",)), False),
        (Match(path="n", prefix="185", suffix="4"), True),
        (Match(path="z", present=True), False),
        (Match(path="z", present=False), True),
        (Match(path="a", present=True), True),
        (Match(path="missing", prefix="x"), False),
    ],
)
def test_conditions(match: Match, expected: bool) -> None:
    assert fits(FRAME, match) is expected


KEY = Key(path="s")
DIALECT = Dialect(
    messages=(
        Message(name="control", when=(Match(path="k", equals=("hb",)),)),
        Message(
            name="book",
            when=(Match(path="k", equals=("book",)),),
            emits=(Book(key=KEY, levels=Levels(bids="b", asks="a"), rule=BookRule(chain="none", snapshot="stream")),),
        ),
        Message(name="quote", when=(Match(path="k", equals=("quote",)),), emits=(Quotes(key=KEY, bid="b", ask="a"),)),
        Message(
            name="ticker",
            when=(Match(path="k", equals=("ticker",)),),
            emits=(Quotes(key=KEY, bid="b", ask="a"), Measures(key=KEY, values=())),
        ),
        Message(
            name="trade",
            when=(Match(path="k", equals=("trade",)),),
            market="other",
            emits=(Trades(key=KEY, price="p", size="q"),),
        ),
    )
)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"U": 5, "u": 5}, True),
        ({"U": "5", "u": 5}, True),
        ({"U": 5, "u": 6}, False),
        ({"u": 5}, False),
        ({}, False),
        ({"U": None, "u": None}, False),
    ],
)
def test_a_whole_book_may_be_one_of_which_two_texts_are_the_same(frame: dict[str, Any], expected: bool) -> None:
    rule = BookRule(chain="none", snapshot="first")
    book = Book(key=KEY, levels=Levels(bids="b", asks="a"), rule=rule, snapshot=(Match(path="U", same_as="/u"),))
    assert is_whole(frame, (frame, frame), book) is expected


def seen(*frames: dict[str, Any]) -> Held:
    shapes = Shapes(DIALECT)
    for number, frame in enumerate(frames):
        shapes.add("c", "spot", json.dumps(frame).encode(), 100 + number)
    return shapes.held["c"]


def test_what_a_connection_brings() -> None:
    held = seen(
        {"k": "book", "s": "A"},
        {"k": "quote", "s": "B"},
        {"k": "ticker", "s": "C"},
        {"k": "trade", "s": "D"},
        {"k": "hb", "s": "E"},
        {"k": "new", "s": "F"},
        {"k": "book"},
    )
    assert (held.books, held.quotes) == ({("spot", "A")}, {("spot", "B")})
    assert held.seen == {("spot", "A"), ("spot", "B"), ("spot", "C"), ("other", "D")}
    assert (held.first_ns, held.last_ns) == (100, 106)


def test_connections_clash_over_a_book_at_the_same_time() -> None:
    first, second = seen({"k": "book", "s": "A"}), seen({"k": "book", "s": "A"}, {"k": "book", "s": "B"})
    assert first.clashes(second)
    assert not first.clashes(seen({"k": "book", "s": "B"}))
    assert not first.clashes(Held(first_ns=101, last_ns=200, books=set(first.books)))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcks01"), inner, max_size=3),
    max_leaves=12,
)


@given(values, st.lists(st.sampled_from(["a", "b", "c", "s", "0", "-1", "1"]), max_size=4))
def test_any_path_in_any_frame(frame: Any, parts: list[str]) -> None:
    path = ".".join(parts)
    assert isinstance(text_at(frame, path), str)
    for row in rows_of(frame, path):
        assert isinstance(name_of(frame, row, Key(path="s")), str)
    assert at(frame, "") is frame


@given(st.binary(max_size=60))
def test_any_bytes(frame: bytes) -> None:
    shapes = Shapes(DIALECT)
    shapes.add("c", "", frame, 5)
    assert shapes.held["c"].first_ns == 5
