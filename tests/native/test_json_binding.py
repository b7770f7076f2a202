"""Frames that name a number which an event bound to a subscription, and what else such dialects need."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast import _native
from tickcast.model.record import Flag, Kind, Side, State, records_from
from tickcast.venues.declared.dialect import (
    Binding,
    Book,
    BookRule,
    Counter,
    Dialect,
    Key,
    Levels,
    Match,
    Message,
    Place,
    Trades,
)

NAMES = {"AAA": 11, "BBB": 22}
RECV = 1_700_000_000_000_000_000
BINDING = Binding(
    when=(Match(path="event", equals=("subscribed",)),),
    number="chanId",
    path="0",
    ends=(Match(path="event", equals=("unsubscribed",)),),
)
NAME = Key(path="@symbol", strip="t")
SIDES = Levels(mixed="1", signed=True, price="0", size="2", action="1", deleted=("0",))
TRADE = Trades(key=NAME, id="2.0", price="2.2", size="2.1", signed="buyer")


def dialect(*, counter: Counter | None = None, **more: Any) -> Dialect:
    return Dialect(
        messages=(
            Message(
                name="trade",
                when=(Match(path="@channel", equals=("trades",)), Match(path="1", equals=("te",))),
                emits=(TRADE,),
            ),
            Message(
                name="book",
                when=(Match(path="@channel", equals=("book",)), Match(path="1.0", present=True)),
                emits=(
                    Book(
                        key=NAME,
                        levels=SIDES,
                        rule=BookRule(chain="none", snapshot="stream"),
                        snapshot=(Match(path="1.0.0", present=True),),
                    ),
                ),
            ),
            Message(name="nobody's", when=(Match(path="0", present=True), Match(path="@channel", present=False))),
        ),
        binding=BINDING,
        counter=counter,
        **more,
    )


def feed_of(declared: Dialect) -> _native.JsonFeed:
    feed = _native.JsonFeed(msgspec.json.encode(declared))
    for name, instrument in NAMES.items():
        feed.define("", name, instrument, book=True, quotes=False, state=State.LIVE)
    feed.open_link(1, "")
    feed.open_link(2, "")
    return feed


def bound(number: int, channel: str, symbol: str, event: str = "subscribed") -> str:
    return json.dumps({"event": event, "channel": channel, "chanId": number, "symbol": symbol})


def decode(feed: _native.JsonFeed, *frames: object, link: int = 1) -> _native.JsonDecoded:
    data = [(frame if isinstance(frame, str) else json.dumps(frame)).encode() for frame in frames]
    return feed.decode(link, data, [RECV] * len(data))


def trades(decoded: _native.JsonDecoded) -> list[tuple[int, int, Side, Decimal]]:
    return [
        (
            int(row["instrument"]),
            int(row["id"]),
            Side(int(row["side"])),
            Decimal(int(row["size"])).scaleb(-int(row["size_scale"])),
        )
        for row in records_from(decoded.records)
        if row["kind"] == Kind.TRADE
    ]


def test_an_event_says_what_a_number_stands_for() -> None:
    feed = feed_of(dialect())
    found = decode(
        feed,
        [5, "te", [1, 0.5, 100]],
        bound(5, "trades", "tAAA"),
        bound(6, "trades", "tBBB"),
        [5, "te", [2, 0.5, 100]],
        [6, "te", [3, -0.25, 100.5]],
        bound(5, "trades", "", "unsubscribed"),
        [5, "te", [4, 0.5, 100]],
    )
    assert trades(found) == [(11, 2, Side.BUYER, Decimal("0.5")), (22, 3, Side.SELLER, Decimal("0.25"))]
    assert [place for place, _ in found.cold] == [1, 2, 5]
    assert (found.dead_count, found.control) == (0, 2)


def test_numbers_are_those_of_a_connection_and_end_with_it() -> None:
    feed = feed_of(dialect())
    decode(feed, bound(5, "trades", "tAAA"))
    decode(feed, bound(5, "trades", "tBBB"), link=2)
    assert trades(decode(feed, [5, "te", [1, 1, 100]])) == [(11, 1, Side.BUYER, Decimal(1))]
    assert trades(decode(feed, [5, "te", [1, 1, 100]], link=2)) == [(22, 1, Side.BUYER, Decimal(1))]
    feed.open_link(1, "")
    assert trades(decode(feed, [5, "te", [2, 1, 100]])) == []
    assert trades(decode(feed, [5, "te", [2, 1, 100]], link=2)) == [(22, 2, Side.BUYER, Decimal(1))]


def test_a_number_that_is_bound_again_means_the_newer() -> None:
    feed = feed_of(dialect())
    found = decode(feed, bound(5, "trades", "tAAA"), bound(5, "trades", "tBBB"), [5, "te", [1, 1, 100]])
    assert trades(found) == [(22, 1, Side.BUYER, Decimal(1))]


def test_the_event_itself_may_stand_in_the_numbers_place() -> None:
    found = decode(feed_of(dialect()), [{"channel": "trades", "symbol": "tBBB"}, "te", [1, -2, 100]])
    assert trades(found) == [(22, 1, Side.SELLER, Decimal(2))]


@pytest.mark.parametrize(
    "event",
    [
        {"event": "subscribed", "channel": "trades", "symbol": "tAAA"},
        {"event": "subscribed", "channel": "trades", "symbol": "tAAA", "chanId": None},
        {"event": "subscribed", "channel": "trades", "symbol": "tAAA", "chanId": [5]},
        {"event": "subscribed", "channel": ["trades"], "symbol": "tAAA", "chanId": 5},
        {"event": "subscribed", "channel": "trades", "symbol": {"t": "AAA"}, "chanId": 5},
        {"event": "subscribed", "chanId": 5},
    ],
)
def test_an_event_that_says_too_little_tells_nothing(event: dict[str, Any]) -> None:
    found = decode(feed_of(dialect()), event, [5, "te", [1, 1, 100]])
    assert trades(found) == []


def test_an_unknown_name_is_a_dead_letter() -> None:
    found = decode(feed_of(dialect()), bound(5, "trades", "tCCC"), [5, "te", [1, 1, 100]])
    assert [reason for _, reason in found.dead] == ['expected an instrument of the list, found "CCC"']


def best(feed: _native.JsonFeed, name: str = "AAA") -> tuple[Any, Any]:
    return feed.book(NAMES[name], 10)


def test_levels_by_the_sign_of_their_size_alone_and_in_lists() -> None:
    feed = feed_of(dialect())
    decode(feed, bound(7, "book", "tAAA"), [7, [[100, 2, 1.5], [99, 1, 2], [101, 1, -3]]])
    assert best(feed) == ([("100", "1.5"), ("99", "2")], [("101", "3")])
    decode(feed, [7, [100, 0, 1]], [7, [102, 4, -0.5]], [7, [101, 0, -1]])
    assert best(feed) == ([("99", "2")], [("102", "0.5")])


@pytest.mark.parametrize("wrong", [[7, ["x", 1, 1]], [7, [100, 1, "x"]], [7, [100, 1]], [7, [100, 1, [2]]]])
def test_a_level_that_cannot_be_read_breaks_its_book(wrong: list[Any]) -> None:
    feed = feed_of(dialect())
    decode(feed, bound(7, "book", "tAAA"), bound(8, "book", "tBBB"), [7, [[100, 2, 1.5]]], [8, [[100, 2, 1.5]]])
    found = decode(feed, wrong)
    assert [(one.instrument, one.reason) for one in found.breaks] == [(11, "malformed")]
    assert best(feed) == ([], [])
    assert best(feed, "BBB")[0]


COUNTER = Counter(path="2", first=1, places=(Place(when=(Match(path="1", equals=("te",)),), path="3"),))


def test_the_counter_stands_where_the_frame_says() -> None:
    feed = feed_of(dialect(counter=COUNTER))
    found = decode(
        feed,
        bound(7, "book", "tAAA"),
        bound(5, "trades", "tAAA"),
        [7, [[100, 2, 1.5]], 1],
        [5, "te", [1, 1, 100], 2],
        [9, "hb", 3],
        [5, "te", [2, 1, 100], 4],
    )
    assert (found.breaks, found.dead_count) == ([], 0)
    assert feed.state(11) == State.LIVE
    found = decode(feed, [5, "te", [3, 1, 100], 6])
    (broken,) = found.breaks
    assert (broken.reason, broken.scope, broken.expected, broken.found) == ("counter", "connection", 5, 6)


def test_a_book_whose_messages_have_no_counter_is_not_proved_by_one() -> None:
    feed = feed_of(dialect(counter=COUNTER))
    decode(feed, bound(7, "book", "tAAA"), [7, [[100, 2, 1.5]]])
    assert feed.state(11) == State.UNVERIFIED


def test_rows_that_are_not_meant_are_passed_over() -> None:
    row = Trades(
        key=Key(path="0"),
        price="1",
        size="2",
        signed="seller",
        liquidation=True,
        only=(Match(path="3", equals=("1",)),),
    )
    declared = Dialect(messages=(Message(name="any", when=(), rows="rows", emits=(row,)),))
    found = decode(feed_of(declared), {"rows": [["AAA", 1, 5, 0], ["AAA", 2, 5, 1], ["BBB", 3, -5, 1]]})
    told = [row for row in records_from(found.records) if row["kind"] == Kind.LIQUIDATION]
    assert [(int(row["instrument"]), int(row["price"]), Side(int(row["side"]))) for row in told] == [
        (11, 2, Side.SELLER),
        (22, 3, Side.BUYER),
    ]
    assert all(Flag(int(row["flags"])) & Flag.LAST_OF_EVENT for row in told)


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ({"binding": None}, "expected a declared binding"),
        ({"rest_book": Book(key=NAME, levels=Levels(), rule=BookRule(chain="none", snapshot="rest"))}, "levels"),
        ({"counter": Counter(path="@symbol")}, "only conditions of messages and keys begin with @"),
        (
            {"counter": Counter(path="2", places=(Place(when=(Match(path="@symbol", equals=("x",)),), path="3"),))},
            "expected paths of the frame",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(declared: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        _native.JsonFeed(msgspec.json.encode(msgspec.structs.replace(dialect(), **declared)))


@pytest.mark.parametrize(
    "levels", [Levels(mixed="1", signed=True, side="3"), Levels(bids="1", signed=True), Levels(signed=True)]
)
def test_signs_and_words_exclude_each_other(levels: Levels) -> None:
    book = Book(key=NAME, levels=levels, rule=BookRule(chain="none", snapshot="stream"))
    declared = Dialect(messages=(Message(name="b", when=(), emits=(book,)),), binding=BINDING)
    with pytest.raises(ValueError, match="levels"):
        _native.JsonFeed(msgspec.json.encode(declared))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 9) | st.sampled_from(["te", "hb", "tAAA", "subscribed", ""]),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["event", "chanId", "channel", "symbol"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.lists(JUNK, max_size=20))
def test_nothing_that_comes_is_too_much(frames: list[Any]) -> None:
    feed = feed_of(dialect(counter=COUNTER))
    found = decode(feed, bound(5, "trades", "tAAA"), bound(7, "book", "tAAA"), *frames)
    assert len(found.records) % 64 == 0
    for price, size in (level for side in best(feed) for level in side):
        assert Decimal(size) > 0, (price, size)
