"""Declared dialects run by the core, held against a slow interpreter of them."""

import json
import random
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.native.reference_json import Reference, Row

from tickcast import _native
from tickcast.model.record import Flag, Kind, Side, State, records_from
from tickcast.venues.declared.dialect import (
    Aggressor,
    Book,
    BookRule,
    Counter,
    Dialect,
    Emit,
    Key,
    Levels,
    Match,
    Measure,
    Measures,
    Message,
    Quotes,
    Time,
    Trades,
)

NAMES = {"AAA": 11, "BBB": 22}
RECV = 1_700_000_000_000_000_000
KEY = Key(path="s")
TELLING = {Kind.STATUS, Kind.BOOK_BID, Kind.BOOK_ASK}


def feed_of(dialect: Dialect, *, book: bool = False, quotes: bool = True, depth: int = 0) -> _native.JsonFeed:
    feed = _native.JsonFeed(msgspec.json.encode(dialect), depth=depth)
    for name, instrument in NAMES.items():
        feed.define("", name, instrument, book=book, quotes=quotes, state=State.LIVE)
    feed.open_link(1, "")
    return feed


def one(*emits: Emit, **more: Any) -> Dialect:
    """A dialect of one message that takes every frame."""
    return Dialect(messages=(Message(name="any", when=(), emits=emits, **more),))


def decode(feed: _native.JsonFeed, *frames: str | bytes) -> _native.JsonDecoded:
    data = [frame.encode() if isinstance(frame, str) else frame for frame in frames]
    return feed.decode(1, data, [RECV] * len(data))


def told(decoded: _native.JsonDecoded, *kinds: int) -> list[tuple[int, str]]:
    """Kind and price of the records of these kinds."""
    return [
        (int(row["kind"]), _native.format_decimal(int(row["price"]), int(row["price_scale"])))
        for row in records_from(decoded.records)
        if not kinds or row["kind"] in kinds
    ]


# ------------------------------------------------------------------ against the slow interpreter


class Raw(str):
    """Text that stands in the frame as it is."""

    __slots__ = ()


def written(value: Any, shuffle: random.Random) -> str:
    """JSON text with keys in any order, and some blanks."""
    blank = shuffle.choice(["", "", " ", "\n"])
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        members = list(value.items())
        if shuffle.random() < 0.3:
            shuffle.shuffle(members)
        inner = ",".join(f"{blank}{json.dumps(key)}:{written(member, shuffle)}" for key, member in members)
        return f"{{{inner}{blank}}}"
    if isinstance(value, list):
        return f"[{','.join(written(entry, shuffle) for entry in value)}{blank}]"
    return json.dumps(value, ensure_ascii=shuffle.random() < 0.5)


NUMBERS = [
    "185.40", "185.4", "1", "0", "0.00", "1e-7", "2.5E3", "-1", "-0.5", "123456789012345678901234",
    "0.00000000000000000000000000000000000001", "0.123456789012345678955", "1e-60", "9223372036854775807",
    "9223372036854775808", "99.99999999999999999999",
]  # fmt: skip
good = st.sampled_from(["185.40", "185.4", "1", "0.5", "2.25", "7", "0"])
numbers = st.one_of(good, good, st.sampled_from(NUMBERS))
decimals = st.one_of(
    numbers,
    numbers.map(Raw),
    numbers,
    st.sampled_from([None, "", "NaN", "x", "1,5", True, Raw("[]"), Raw('{"a":1}'), ".", "+3", "Infinity"]),
)
ids = st.one_of(
    st.integers(1, 20).map(str),
    st.integers(1, 20).map(lambda number: Raw(str(number))),
    st.sampled_from(["007", "18446744073709551615", "18446744073709551616", "é-\U0001f600", 'a\\b"', None, Raw("1.5")]),
)
times = st.sampled_from(
    [
        "1617647603483",
        Raw("1617647603483"),
        "1617647603.123456789123",
        Raw("16176476e2"),
        None,
        "",
        "soon",
        "-5",
        Raw("[]"),
    ]
)
isos = st.sampled_from(
    ["2026-08-09T21:05:48.228568804Z", "2026-08-09T21:05:48Z", "2024-02-29T00:00:00.1234567891Z",
     "2026-02-30T00:00:00Z",
     "2026-08-09T21:05:48.Z", "never", None]
)  # fmt: skip
names = st.sampled_from(["AAA", "AAA", "AAA", "BBB", "BBB", "CCC", None])


def fields(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=values)


def full(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Mostly all fields, sometimes some."""
    return st.one_of(st.fixed_dictionaries(values), st.fixed_dictionaries(values), fields(**values))


trade_rows = full(p=decimals, q=decimals, i=ids, m=st.sampled_from([True, False, "sell", None, []]), t=times, n=ids)
nested = st.one_of(st.lists(trade_rows, max_size=4), st.lists(trade_rows, max_size=4), st.none(), st.just(Raw("3")))
quote_rows = full(s=names, b=decimals, B=decimals, a=decimals, A=decimals, t=isos)
measure_rows = full(s=names, mark=decimals, deep=fields(rate=decimals), next=times, t=times)
entries = st.one_of(
    st.lists(good, min_size=2, max_size=3),
    st.tuples(good.map(Raw), decimals).map(list),
    st.lists(decimals, max_size=3),
)
levels = st.one_of(st.lists(st.lists(good, min_size=2, max_size=2), max_size=3), st.lists(entries, max_size=3))
mixed = st.lists(
    full(w=st.sampled_from(["bid", "offer", "bid", "up"]), p=good, q=decimals, x=st.sampled_from(["new", "delete"]))
)

FRAMES = st.one_of(
    st.fixed_dictionaries(
        {
            "c": st.sampled_from(["trades.x.AAA", "trades.x.BBB", "trades.x", "trades.CCC"]),
            "kind": st.sampled_from(["snapshot", "update"]),
        },
        optional={"events": st.lists(fields(rows=nested, flag=st.booleans()), max_size=2)},
    ),
    st.fixed_dictionaries({"c": st.just("quotes"), "data": st.lists(quote_rows, max_size=3)}),
    st.fixed_dictionaries({"c": st.just("partial"), "data": st.one_of(quote_rows, st.lists(quote_rows, max_size=2))}),
    st.fixed_dictionaries({"c": st.just("measures"), "data": st.lists(measure_rows, max_size=3)}),
    full(c=st.just("heartbeat"), data=decimals),
    st.fixed_dictionaries({"c": decimals}),
)  # fmt: skip
GENERAL = Dialect(
    messages=(
        Message(
            name="trades",
            when=(Match(path="c", prefix="trades."), Match(path="events", present=True)),
            rows="events.rows",
            newest_first=True,
            emits=(
                Trades(
                    key=Key(path="/c", split=".", part=-1),
                    price="p",
                    size="q",
                    id="i",
                    seq="n",
                    aggressor=Aggressor(path="m", buyer=("false", "buy"), seller=("true", "sell")),
                    time=Time(path="t", unit="ms"),
                    history=(Match(path="/kind", equals=("snapshot",)), Match(path="^flag", equals=("true",))),
                    chained=True,
                ),
                Trades(key=Key(path="/c", split=".", part=2), price="q", size="p", liquidation=True),
            ),
        ),
        Message(
            name="quotes",
            when=(Match(path="c", equals=("quotes", "bbo")),),
            rows="data",
            emits=(
                Quotes(
                    key=KEY, bid="b", ask="a", bid_size="B", ask_size="A", whole=True, time=Time(path="t", unit="iso")
                ),
            ),
        ),
        Message(
            name="partial",
            when=(Match(path="c", suffix="tial"),),
            rows="data",
            emits=(Quotes(key=KEY, bid="b", ask="a", bid_size="B"),),
        ),
        Message(
            name="measures",
            when=(Match(path="c", equals=("measures",)),),
            rows="data",
            emits=(
                Measures(
                    key=KEY,
                    values=(
                        Measure(kind=Kind.MARK, path="mark"),
                        Measure(kind=Kind.FUNDING, path="deep.rate"),
                        Measure(kind=Kind.FUNDING_TIME, path="next", unit="ms"),
                        Measure(kind=Kind.PREV_CLOSE, path="mark"),
                    ),
                    time=Time(path="t", unit="s"),
                ),
            ),
        ),
        Message(name="heartbeat", when=(Match(path="c", equals=("heartbeat",)), Match(path="data", present=False))),
    ),
    plain=("pong",),
)  # fmt: skip


def compared(found: _native.JsonDecoded, reference: Reference) -> None:
    columns = list(Row.__dataclass_fields__)
    kept = [index for index, row in enumerate(records_from(found.records)) if row["kind"] not in TELLING]
    mine = [{name: int(records_from(found.records)[index][name]) for name in columns} for index in kept]
    theirs = [{name: int(value) for name, value in asdict(row).items()} for row in reference.rows]
    for index, pair in enumerate(zip(mine, theirs, strict=False)):
        assert pair[0] == pair[1], f"row {index}"
    assert len(mine) == len(theirs)
    assert {kept.index(index): text for index, text in found.texts.items()} == reference.texts
    counts = (found.dead_count, len(found.cold), found.control)
    assert counts == (reference.dead, reference.cold, reference.control), found.dead


@settings(max_examples=300, deadline=None)
@given(st.lists(FRAMES, min_size=1, max_size=12), st.randoms(use_true_random=False), st.integers(0, 30))
def test_frames_are_read_as_the_slow_interpreter_reads_them(
    values: list[Any], shuffle: random.Random, damage: int
) -> None:
    frames = [written(value, shuffle).encode() for value in values]
    if damage < len(frames):
        frames[damage] = frames[damage][: shuffle.randrange(len(frames[damage]))]
        frames.insert(0, b"pong")
    reference = Reference(GENERAL, NAMES)
    for frame in frames:
        reference.take(frame, RECV)
    compared(decode(feed_of(GENERAL), *frames), reference)


BOOKS = Dialect(
    messages=(
        Message(
            name="sides",
            when=(Match(path="c", equals=("sides",)),),
            emits=(
                Book(
                    key=KEY,
                    levels=Levels(bids="b", asks="a"),
                    rule=BookRule(chain="none", snapshot="stream"),
                    snapshot=(Match(path="k", equals=("snapshot",)),),
                    last="u",
                ),
            ),
        ),
        Message(
            name="mixed",
            when=(Match(path="c", equals=("mixed",)),),
            rows="data",
            emits=(
                Book(
                    key=KEY,
                    levels=Levels(mixed="l", side="w", price="p", size="q", action="x"),
                    rule=BookRule(chain="none", snapshot="stream"),
                    snapshot=(Match(path="/k", equals=("snapshot",)),),
                ),
            ),
        ),
    ),
)
kinds = st.sampled_from(["snapshot", "update", "update"])
below = st.lists(st.tuples(st.sampled_from(["1.0", "1", "2.50", "3"]), decimals).map(list), max_size=4)
above = st.lists(st.tuples(st.sampled_from(["5", "5.00", "6.5", "9"]), decimals).map(list), max_size=4)
either = st.one_of(
    st.tuples(st.just("bid"), st.sampled_from(["1.0", "1", "2.50", "3"])),
    st.tuples(st.just("offer"), st.sampled_from(["5", "5.00", "6.5", "9"])),
)
entry = st.tuples(either, decimals, st.sampled_from(["new", "delete", None])).map(
    lambda each: {"w": each[0][0], "p": each[0][1], "q": each[1], "x": each[2]}
)
BOOK_FRAMES = st.one_of(
    full(c=st.just("sides"), s=names, k=kinds, b=below, a=above, u=ids),
    st.fixed_dictionaries(
        {"c": st.just("mixed"), "k": kinds, "data": st.lists(full(s=names, l=st.lists(entry, max_size=4)), max_size=2)}
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(BOOK_FRAMES, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_books_hold_the_levels_of_the_slow_interpreter(values: list[Any], shuffle: random.Random) -> None:
    frames = [written(value, shuffle).encode() for value in values]
    reference, feed = Reference(BOOKS, NAMES), feed_of(BOOKS, book=True, quotes=False)
    for frame in frames:
        reference.take(frame, RECV)
    found = decode(feed, *frames)
    assert found.dead_count == reference.dead, found.dead
    assert {each.reason for each in found.breaks} <= {"malformed"}
    for instrument in NAMES.values():
        expected = reference.books.get(instrument)
        sides = feed.book(instrument, 0)
        if expected is None:
            assert sides == ([], [])
            assert feed.state(instrument) not in (State.LIVE, State.UNVERIFIED)
            continue
        bids, asks = [{Decimal(price): Decimal(size) for price, size in side} for side in sides]
        assert (bids, asks) == (expected["bid"], expected["ask"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_are_dead_or_cold(frames: list[bytes]) -> None:
    found = decode(feed_of(GENERAL), *frames)
    assert found.dead_count + len(found.cold) + found.control == len(frames)  # a plain "pong" is control
    assert not found.records


# ------------------------------------------------------------------ one thing at a time

TRADE = Trades(key=KEY, price="p", size="q", id="i", chained=True)


def test_prices_are_exact_or_refused() -> None:
    feed = feed_of(one(Trades(key=KEY, price="p", size="q")))
    prices = [
        "1e-7",
        '"0.00000000000000000000000000000000000001"',
        "185.40",
        '"NaN"',
        "123456789012345678901234",
        "[]",
        "null",
    ]
    found = decode(feed, *(f'{{"s":"AAA","p":{price},"q":1}}' for price in prices))
    assert [text for _, text in told(found, Kind.TRADE)] == ["0.0000001", "0." + "0" * 37 + "1", "185.40"]
    assert found.dead == [
        (3, 'expected a decimal number at "p", found NaN'),
        (4, 'expected a decimal number that fits in 64 bits at "p", found 123456789012345678901234'),
        (5, 'expected a decimal number at "p", found []'),
        (6, 'expected a decimal number at "p", found nothing'),
    ]


def test_a_size_that_does_not_fit_is_rounded_and_says_so() -> None:
    found = decode(feed_of(one(Trades(key=KEY, price="p", size="q"))), '{"s":"AAA","p":1,"q":"0.12345678901234567895"}')
    row = records_from(found.records)[-1]
    assert (int(row["size"]), int(row["size_scale"])) == (1_234_567_890_123_456_790, 19)
    assert row["flags"] == Flag.LAST_OF_EVENT | Flag.INEXACT_SIZE


def test_ids_are_numbers_or_texts() -> None:
    feed = feed_of(one(Trades(key=KEY, price="p", size="q", id="i")))
    ids = ["18446744073709551615", '"42"', '"123456789012345678901234"', '"a-\\u00e9"', "null"]
    found = decode(feed, *(f'{{"s":"AAA","p":1,"q":1,"i":{ident}}}' for ident in ids))
    rows = records_from(found.records)[1:]
    wide, text = "123456789012345678901234", "a-é"
    expected = [2**64 - 1, 42, _native.instrument_id(wide), _native.instrument_id(text), 0]
    assert [int(row["id"]) for row in rows] == expected
    assert found.texts == {3: wide, 4: text}


def test_history_that_was_told_before_is_not_told_again() -> None:
    """What a subscription tells of the past, after a link came back: of that, what is new, and what is missing."""
    feed = feed_of(one(msgspec.structs.replace(TRADE, history=(Match(path="h", present=True),))))
    before = [f'{{"s":"AAA","p":1,"q":1,"i":{number}}}' for number in (5, 6, 7)]
    history = [f'{{"s":"AAA","p":1,"q":1,"i":{number},"h":1}}' for number in (6, 7, 10, 11)]
    after = '{"s":"AAA","p":1,"q":1,"i":11}'
    found = decode(feed, *before, *history, after)
    rows = [row for row in records_from(found.records) if row["kind"] in {Kind.TRADE, Kind.GAP}]
    assert [(Kind(int(row["kind"])).name, int(row["id"])) for row in rows] == [
        ("TRADE", 5), ("TRADE", 6), ("TRADE", 7), ("GAP", 2), ("TRADE", 10), ("TRADE", 11), ("TRADE", 11),
    ]  # fmt: skip
    assert [int(row["id"]) for row in rows if row["flags"] & Flag.BACKFILLED] == [10, 11], "they were missed"
    assert [row for row in rows if row["flags"] & Flag.HISTORY] == []


def test_missing_trades_are_a_gap() -> None:
    feed = feed_of(one(TRADE))
    frames = [f'{{"s":"AAA","p":1,"q":1,"i":{number}}}' for number in (5, 6, 9, 8, 10, 1, 11)]
    rows = records_from(decode(feed, *frames).records)
    gaps = [(int(row["id"]), int(row["seq"])) for row in rows if row["kind"] == Kind.GAP]
    assert gaps == [(2, 9)]
    place = [int(row["kind"]) for row in rows].index(Kind.GAP)
    assert [int(row["kind"]) for row in rows[place : place + 3]] == [Kind.GAP, Kind.STATUS, Kind.TRADE]
    assert rows[place + 1]["detail"] == State.LIVE
    # on a new connection too: what came meanwhile is known to be missing
    feed.open_link(1, "")
    rows = records_from(decode(feed, '{"s":"AAA","p":1,"q":1,"i":20}').records)
    assert [int(row["id"]) for row in rows if row["kind"] == Kind.GAP] == [8]


def test_names_are_those_of_the_links_market_or_the_messages() -> None:
    dialect = Dialect(
        messages=(
            Message(name="own", when=(Match(path="linear", present=True),), market="linear", emits=(TRADE,)),
            Message(name="any", when=(), emits=(TRADE,)),
        )
    )
    feed = _native.JsonFeed(msgspec.json.encode(dialect))
    for market, instrument in (("spot", 1), ("linear", 2)):
        feed.define(market, "AAA", instrument, book=False, quotes=False, state=State.LIVE)
    feed.open_link(1, "spot")
    found = decode(feed, '{"s":"AAA","p":1,"q":1}', '{"s":"AAA","p":1,"q":1,"linear":1}')
    assert [int(row["instrument"]) for row in records_from(found.records) if row["kind"] == Kind.TRADE] == [1, 2]
    feed.forget("spot", "AAA")
    assert decode(feed, '{"s":"AAA","p":1,"q":1}').dead == [(0, 'expected an instrument of the list, found "AAA"')]


def test_an_instrument_may_have_names_and_changes_its_state_by_the_list() -> None:
    feed = feed_of(one(TRADE))
    feed.define("", "OTHER", 11, book=False, quotes=True, state=State.LIVE)
    rows = records_from(decode(feed, '{"s":"OTHER","p":1,"q":1}', '{"s":"AAA","p":1,"q":1}').records)
    assert [int(row["instrument"]) for row in rows if row["kind"] == Kind.TRADE] == [11, 11]
    feed.define("", "AAA", 11, book=False, quotes=True, state=State.HALTED)
    rows = records_from(decode(feed, '{"s":"BBB","p":1,"q":1}').records)
    told = [
        (int(row["instrument"]), int(row["detail"]), int(row["ts_recv"])) for row in rows if row["kind"] == Kind.STATUS
    ]
    assert told == [(11, State.HALTED, RECV), (22, State.LIVE, RECV)]
    feed.forget("", "OTHER")
    assert decode(feed, '{"s":"OTHER","p":1,"q":1}', '{"s":"AAA","p":1,"q":1}').dead_count == 2
    feed.pass_over("", "AAA")
    assert decode(feed, '{"s":"AAA","p":1,"q":1}').dead_count == 0
    feed.forget("", "AAA")
    assert decode(feed, '{"s":"AAA","p":1,"q":1}').dead_count == 1
    feed.define("", "AAA", 11, book=False, quotes=True, state=State.LIVE)
    assert told_kinds(decode(feed, '{"s":"AAA","p":1,"q":1}')) == [Kind.STATUS, Kind.TRADE]


def told_kinds(decoded: _native.JsonDecoded) -> list[int]:
    return [int(row["kind"]) for row in records_from(decoded.records)]


def test_keys_that_conditions_look_at_are_no_drift() -> None:
    trades = Trades(key=Key(path="/data.0.s"), price="p", size="q")
    when = (Match(path="data.0.e", equals=("trade",)),)
    message = Message(name="trade", when=when, rows="data", emits=(trades,), fields=("known",))
    feed = feed_of(Dialect(messages=(message,)))
    decode(feed, '{"data":[{"e":"trade","s":"AAA","p":1,"q":1,"x":1}]}')
    assert [(name, key) for name, key, _, _ in feed.drift()] == [("trade", "x")]


def test_quotes_tell_what_changed() -> None:
    feed = feed_of(one(Quotes(key=KEY, bid="b", ask="a", bid_size="B", ask_size="A")))
    first = decode(feed, '{"s":"AAA","b":"1.10","B":"5","a":"1.20","A":"6"}')
    assert told(first, Kind.BID, Kind.ASK) == [(Kind.BID, "1.10"), (Kind.ASK, "1.20")]
    assert told(decode(feed, '{"s":"AAA","b":"1.10","B":"5","a":"1.20","A":"6"}')) == []
    # a price without its size, a size without its price: the other has not changed
    size_alone = records_from(decode(feed, '{"s":"AAA","A":"7"}').records)
    assert [(int(row["kind"]), int(row["price"]), int(row["size"])) for row in size_alone] == [(Kind.ASK, 120, 7)]
    price_alone = records_from(decode(feed, '{"s":"AAA","b":"1.11"}').records)
    assert [(int(row["kind"]), int(row["price"]), int(row["size"])) for row in price_alone] == [(Kind.BID, 111, 5)]
    for empty in ("0", '""', "null", '"0.00"'):
        gone = records_from(decode(feed, f'{{"s":"AAA","b":{empty}}}', '{"s":"AAA","b":"1.1","B":"5"}').records)
        assert [bool(row["flags"] & Flag.NO_PRICE) for row in gone] == [True, False]
    # the other side of a damaged row is not taken either
    assert decode(feed, '{"s":"AAA","b":"9","a":"x"}').dead_count == 1
    assert told(decode(feed, '{"s":"AAA","b":"1.1","B":"5"}')) == []


def test_the_rows_of_a_frame_are_one_event_for_each_instrument() -> None:
    emits = (
        Quotes(key=KEY, bid="b", ask="a"),
        Measures(key=KEY, values=(Measure(kind=Kind.MARK, path="m"), Measure(kind=Kind.INDEX, path="x"))),
    )
    feed = feed_of(one(*emits, rows="rows"))
    rows = ['{"s":"AAA","b":1,"a":2,"m":3,"x":4}', '{"s":"AAA","b":1.5,"a":2,"m":5}', '{"s":"BBB","b":1,"a":2,"m":3}']
    found = records_from(decode(feed, f'{{"rows":[{",".join(rows)}]}}').records)
    events = [(int(row["instrument"]), int(row["kind"]), bool(row["flags"] & Flag.LAST_OF_EVENT)) for row in found]
    assert [event for event in events if event[1] != Kind.STATUS] == [
        (11, Kind.BID, False), (11, Kind.ASK, False), (11, Kind.BID, True),
        (22, Kind.BID, False), (22, Kind.ASK, True),
        (11, Kind.MARK, False), (11, Kind.INDEX, False), (11, Kind.MARK, True),
        (22, Kind.MARK, True),
    ]  # fmt: skip


def test_history_and_liquidations_are_marked() -> None:
    history = (Match(path="/type", equals=("snapshot",)),)
    sides = Aggressor(path="side", buyer=("buy",), seller=("sell",))
    trades = Trades(key=KEY, price="p", size="q", aggressor=sides, history=history)
    feed = feed_of(one(trades, msgspec.structs.replace(trades, liquidation=True, history=()), rows="rows"))
    found = decode(feed, '{"type":"snapshot","rows":[{"s":"AAA","p":1,"q":2,"side":"sell"}]}')
    rows = [row for row in records_from(found.records) if row["kind"] != Kind.STATUS]
    assert [(int(row["kind"]), int(row["side"]), bool(row["flags"] & Flag.HISTORY)) for row in rows] == [
        (Kind.TRADE, Side.SELLER, True),
        (Kind.LIQUIDATION, Side.SELLER, False),
    ]


def book_dialect(**rule: Any) -> Dialect:
    book = Book(
        key=KEY,
        levels=Levels(bids="b", asks="a"),
        rule=BookRule(**{"chain": "previous", "snapshot": "stream", **rule}),
        snapshot=(Match(path="k", equals=("snapshot",)),),
        last="u",
        previous="pu",
    )
    trades = Message(name="trade", when=(Match(path="p", present=True),), emits=(Trades(key=KEY, price="p", size="q"),))
    return Dialect(messages=(trades, Message(name="book", when=(Match(path="u", present=True),), emits=(book,))))


SNAPSHOT = '{"k":"snapshot","s":"AAA","u":10,"pu":-1,"b":[["1.0","5"]],"a":[["2.0","5"]]}'


def test_a_malformed_message_breaks_its_book_and_a_malformed_trade_nothing() -> None:
    feed = feed_of(book_dialect(), book=True, quotes=False, depth=5)
    assert decode(feed, SNAPSHOT).whole == [11]
    assert decode(feed, '{"s":"AAA","p":"x","q":1}').breaks == []
    assert feed.state(11) == State.LIVE
    assert feed.book(11, 5) == ([("1.0", "5")], [("2.0", "5")])
    found = decode(feed, '{"s":"AAA","u":11,"pu":10,"b":[["1.0","5"],["oops","1"]],"a":[]}')
    assert [(each.instrument, each.reason, each.message) for each in found.breaks] == [(11, "malformed", "book")]
    assert found.dead == [(0, 'expected a decimal number at "0", found oops')]
    assert feed.state(11) == State.GAP
    assert decode(feed, SNAPSHOT).whole == [11]
    assert feed.state(11) == State.LIVE


def test_a_broken_chain_is_a_break() -> None:
    feed = feed_of(book_dialect(), book=True, quotes=False)
    found = decode(feed, SNAPSHOT, '{"s":"AAA","u":12,"pu":11,"b":[],"a":[]}')
    assert [(each.reason, each.scope, each.expected, each.found, each.frame) for each in found.breaks] == [
        ("chain", "instrument", 10, 11, 1)
    ]
    kinds = [int(row["kind"]) for row in records_from(found.records)]
    assert kinds[-2:] == [Kind.GAP, Kind.STATUS]


def test_a_jump_of_the_counter_breaks_the_books_of_the_link() -> None:
    dialect = msgspec.structs.replace(
        book_dialect(chain="none", scope="connection"), counter=Counter(path="n", first=0), plain=("pong",)
    )
    feed = feed_of(dialect, book=True, quotes=False)

    def frames(*numbers: int | str) -> list[str]:
        return [f'{{"n":{number},{SNAPSHOT[1:]}' for number in numbers]

    assert decode(feed, *frames(0, 1), '{"n":2,"cold":1}', "pong", *frames(3)).breaks == []
    found = decode(feed, '{"n":5,"cold":1}')
    assert [(each.reason, each.expected, each.found) for each in found.breaks] == [("counter", 4, 5)]
    assert feed.state(11) == State.GAP
    # late and doubled frames: books have gone on without them, their trades count
    late = decode(feed, *frames(4), '{"n":5,"s":"AAA","p":1,"q":1}')
    assert (late.breaks, late.whole, told(late)) == ([], [], [(Kind.TRADE, "1")])
    assert decode(feed, *frames(6)).whole == [11]
    # a new count on the same connection proves nothing; on a new one it begins anew
    assert [each.found for each in decode(feed, *frames(0)).breaks] == [0]
    assert decode(feed, *frames('"x"')).dead_count == 1
    feed.open_link(1, "")
    assert decode(feed, *frames(0, 1)).breaks == []


def test_a_book_over_rest() -> None:
    rest = Book(
        key=Key(path=""),
        levels=Levels(bids="bids", asks="asks"),
        rule=BookRule(chain="none", snapshot="rest"),
        last="id",
    )
    stream = Book(
        key=KEY, levels=Levels(bids="b", asks="a"), rule=BookRule(chain="range", snapshot="rest"), first="U", last="u"
    )
    message = Message(name="book", when=(), emits=(stream,))
    feed = feed_of(Dialect(messages=(message,), rest_book=rest, rest_rows="result"), book=True, quotes=False)
    decode(feed, '{"s":"AAA","U":5,"u":7,"b":[["1","1"]],"a":[]}', '{"s":"AAA","U":8,"u":8,"b":[["1","2"]],"a":[]}')
    assert feed.rest_book(11, b'{"result":{"id":2,"bids":[],"asks":[]}}', RECV).short == [11]
    found = feed.rest_book(11, b'{"result":{"id":6,"bids":[["0.5","1"]],"asks":[["3","1"]]}}', RECV)
    assert (found.whole, found.dead_count) == ([11], 0)
    assert feed.book(11, 0) == ([("1", "2"), ("0.5", "1")], [("3", "1")])
    assert feed.last_id(11) == 8
    assert feed.compare(11, b'{"result":{"id":8,"bids":[["1","2"]],"asks":[["3","1"]]}}', 1, RECV) == ""
    assert feed.compare(11, b'{"result":{"id":8,"bids":[["1","9"]],"asks":[["3","1"]]}}', 1, RECV)
    for body in (b"<html>", b"{}", b'{"result":{"bids":[["x","1"]]}}'):
        assert feed.rest_book(11, body, RECV).dead_count == 1
        with pytest.raises(ValueError, match="expected"):
            feed.compare(11, body, 1, RECV)
    # a book of which the stream has said nothing yet
    assert feed.rest_book(22, b'{"result":{"id":6,"bids":[["0.5","1"]],"asks":[]}}', RECV).whole == [22]


def test_unknown_keys_are_drift() -> None:
    dialect = one(Trades(key=KEY, price="p", size="q", time=Time(path="t.x", unit="ms")), fields=("known",))
    feed = feed_of(dialect)
    frame = '{"s":"AAA","p":1,"q":1,"t":{"x":1,"y":2},"known":1,"brand_new":1}'
    decode(feed, *[frame] * 300)
    assert feed.drift() == [("any", "brand_new", 17, frame.encode())]


def test_statistics_and_activity() -> None:
    feed = feed_of(GENERAL)
    decode(feed, '{"c":"quotes","data":[{"s":"AAA","b":1,"a":2},{"s":"ZZZ"}]}', '{"c":"heartbeat"}', '{"c":"other"}')
    statistics = feed.statistics()
    # the first row of an instrument tells its state too
    assert statistics["quotes"] == {"frames": 1, "rows": 2, "records": 3, "dead": 1}
    assert statistics["heartbeat"] == {"frames": 1, "rows": 0, "records": 0, "dead": 0}
    assert set(statistics) >= {"checksums", "books"}
    assert (11, 1) in feed.activity()


def test_huge_and_deep_frames() -> None:
    feed = feed_of(one(Trades(key=KEY, price="p", size="q"), rows="rows"))
    row = '{"s":"AAA","p":"185.40","q":"1","pad":"' + "x" * 200 + '"}'
    count = 20_000_000 // len(row)
    found = decode(feed, '{"rows":[' + ",".join([row] * count) + "]}", "[" * 1_000_000, '{"a":' * 1_000_000)
    assert len(told(found, Kind.TRADE)) == count
    assert [reason for _, reason in found.dead] == [
        "expected JSON, found at byte 127: nested too deeply",
        "expected JSON, found at byte 635: nested too deeply",
    ]


def test_dead_letters_are_counted_beyond_those_handed_back() -> None:
    found = decode(feed_of(GENERAL), *[b"\x1f\x8b\x08 gzip"] * 250)
    assert (len(found.dead), found.dead_count) == (100, 250)


@pytest.mark.parametrize(
    ("dialect", "said"),
    [
        (one(Trades(key=Key(path=""), price="p", size="q")), 'message "any": trades: key: expected a path'),
        (one(Trades(key=KEY, price="p..x", size="q")), "trades: price: expected a path of keys joined by dots"),
        (one(Trades(key=KEY, price="p", size="q", chained=True)), "trades: id: expected a path"),
        (one(Measures(key=KEY, values=(Measure(kind=Kind.TRADE, path="x"),))), "expected kind 12 or 32 to 52, found 1"),
        (book_dialect(chain="range"), 'message "book": book: first: expected a path'),
        (book_dialect(checksum="okx"), "book: checksum: expected a path"),
        (
            Dialect(messages=(Message(name="any", when=(Match(path="x", same_as="y"),)),)),
            'message "any": expected same_as in conditions on rows only, found it at "x"',
        ),
    ],
)
def test_a_declaration_without_sense_is_refused(dialect: Dialect, said: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        _native.JsonFeed(msgspec.json.encode(dialect))
    assert said in str(caught.value)


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="expected a dialect"):
        _native.JsonFeed(b"[]")
    with pytest.raises(ValueError, match="expected a time for each of 1 frames, found 0"):
        feed_of(GENERAL).decode(1, [b"{}"], [])


# ------------------------------------------------------------------ one level a message, what is meant, what changes


LEVEL = Book(
    key=KEY,
    levels=Levels(side="w", price="p", size="q", bid_words=("buy",), ask_words=("sell",)),
    rule=BookRule(chain="consecutive", snapshot="stream"),
    last="u",
)


def test_a_row_may_be_one_level() -> None:
    begin = Message(
        name="begin",
        when=(Match(path="b", present=True),),
        emits=(
            msgspec.structs.replace(
                LEVEL, levels=Levels(bids="b", asks="a"), snapshot=(Match(path="b", present=True),)
            ),
        ),
    )
    level = Message(name="level", when=(Match(path="w", present=True),), emits=(LEVEL,), fields=("zzz",))
    feed = feed_of(Dialect(messages=(begin, level)), book=True, quotes=False)
    found = decode(
        feed,
        '{"s":"AAA","u":1,"b":[["1","5"]],"a":[["3","5"]]}',
        '{"s":"AAA","u":2,"w":"buy","p":"2.50","q":7}',
        '{"s":"AAA","u":3,"w":"sell","p":3,"q":0.0}',
    )
    assert (found.dead, found.breaks, feed.drift()) == ([], [], [])
    assert feed.book(11, 0) == ([("2.50", "7"), ("1", "5")], [])
    found = decode(feed, '{"s":"AAA","u":4,"w":"hold","p":3,"q":1,"new":1}')
    assert found.dead == [(0, 'expected a side at "w", found hold')]
    assert [each.reason for each in found.breaks] == ["malformed"]
    assert [key for _, key, _, _ in feed.drift()] == ["new"]


def test_levels_are_in_lists_or_have_a_side() -> None:
    with pytest.raises(ValueError, match="expected bids and asks, mixed, rows, or side, found none"):
        feed_of(one(msgspec.structs.replace(LEVEL, levels=Levels())))


def test_a_value_that_is_left_away_may_be_meant() -> None:
    values = (Measure(kind=Kind.FUNDING, path="r", absent="0"), Measure(kind=Kind.MARK, path="m"))
    feed = feed_of(one(Measures(key=KEY, values=values)))
    found = decode(
        feed, *(f'{{"s":"AAA"{text}}}' for text in (',"r":"0.5","m":1', ',"m":2', ',"r":null', ',"r":"0.0"'))
    )
    rows = [row for row in records_from(found.records) if row["kind"] != Kind.STATUS]
    assert [(int(row["kind"]), int(row["price"])) for row in rows] == [
        (Kind.FUNDING, 5),
        (Kind.MARK, 1),
        (Kind.FUNDING, 0),
        (Kind.MARK, 2),
    ]


@pytest.mark.parametrize(
    ("measure", "reason"),
    [
        (Measure(kind=Kind.FUNDING, path="r", absent="none"), "expected a decimal number as absent"),
        (Measure(kind=Kind.FUNDING_TIME, path="r", absent="0", unit="ms"), "expected absent without a unit"),
    ],
)
def test_what_is_meant_is_a_number(measure: Measure, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        feed_of(one(Measures(key=KEY, values=(measure,))))


def test_a_frame_is_cold_too_when_a_text_of_it_changes() -> None:
    message = Message(
        name="ticker",
        when=(Match(path="m", present=True),),
        emits=(Measures(key=KEY, values=(Measure(kind=Kind.MARK, path="m"),)),),
        fields=("zzz",),
        cold_when_changed=("halted", "phase.word"),
    )
    feed = feed_of(Dialect(messages=(message,)))

    def cold(text: str, name: str = "AAA") -> list[tuple[int, int]]:
        return decode(feed, f'{{"s":"{name}","m":1{text}}}').cold

    assert len(cold(',"halted":false')) == 1  # the first
    assert cold(',"halted":false') == []
    assert len(cold(',"halted":true')) == 1
    assert len(cold(',"halted":true,"phase":{"word":"a"}')) == 1
    assert cold(',"halted":true,"phase":{"word":"a"}') == []
    assert len(cold("", name="BBB")) == 1
    assert cold(',"halted":true', name="NOPE") == []
    assert len(cold("")) == 1
    assert feed.drift() == []
    found = decode(feed, '{"s":"AAA","m":7,"halted":true}')
    assert found.cold == [(0, len(records_from(found.records)))]  # behind what it tells itself


def test_what_goes_cold_when_it_changes_must_name_an_instrument() -> None:
    with pytest.raises(ValueError, match="cold_when_changed: expected emits, found none"):
        feed_of(Dialect(messages=(Message(name="x", when=(), cold_when_changed=("a",)),)))


def test_another_name_of_an_instrument_tells_nothing() -> None:
    feed = feed_of(one(Measures(key=KEY, values=(Measure(kind=Kind.MARK, path="m"),))))
    feed.define("", "A/A", 11, book=True, quotes=True, state=int(State.LIVE))
    found = decode(feed, '{"s":"A/A","m":1}', '{"s":"AAA","m":2}')
    rows = [(int(row["kind"]), int(row["instrument"])) for row in records_from(found.records)]
    assert [kind for kind, _ in rows if kind != Kind.STATUS] == [Kind.MARK, Kind.MARK]
    assert {instrument for _, instrument in rows} == {11}
    assert len(rows) == 3  # one status, with the first row


@pytest.mark.parametrize(
    ("first", "last", "is_whole"),
    [("5", "5", True), ('"5"', "5", True), ("5", "6", False), ("null", "null", False), ("[5]", "[5]", False)],
)
def test_a_book_may_begin_where_two_texts_are_the_same(first: str, last: str, is_whole: bool) -> None:
    rule = BookRule(chain="none", snapshot="first")
    book = Book(key=KEY, levels=Levels(bids="b", asks="a"), rule=rule, snapshot=(Match(path="U", same_as="u"),))
    feed = feed_of(one(book), book=True, quotes=False)
    found = decode(feed, f'{{"s":"AAA","U":{first},"u":{last},"b":[["1","2"]],"a":[]}}')
    assert found.dead == []
    assert bool(told(found, Kind.BID)) is is_whole
