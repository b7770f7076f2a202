"""Trades of declared venues: what is missing between them, and what is fetched over REST."""

import json
from typing import Any

import msgspec
import pytest

from tickcast import _native
from tickcast.model.record import Flag, Kind, Side, State, records_from
from tickcast.venues.declared.dialect import Aggressor, Counter, Dialect, Key, Match, Message, RestTrades, Time, Trades

RECV = 1_700_000_000_000_000_000
AAA = 11


def row(**more: Any) -> Trades:
    declared: dict[str, Any] = {"key": Key(path="s"), "id": "i", "price": "p", "size": "v", **more}
    return Trades(time=Time(path="T", unit="ms"), **declared)


def feed_of(trades: Trades, rest: RestTrades | None = None, counter: Counter | None = None) -> _native.JsonFeed:
    messages = (Message(name="trade", when=(), rows="d", emits=(trades,)),)
    dialect = Dialect(messages=messages, rest_trades=rest, counter=counter)
    feed = _native.JsonFeed(msgspec.json.encode(dialect), depth=0)
    feed.define("", "AAA", AAA, book=False, quotes=False, state=State.LIVE)
    feed.open_link(1, "")
    return feed


def say(feed: _native.JsonFeed, *rows: dict[str, Any], **frame: Any) -> _native.JsonDecoded:
    rows = tuple({"s": "AAA", "p": "1", "v": "1", "T": 5, **one} for one in rows)
    return feed.decode(1, [json.dumps({"d": rows, **frame}).encode()], [RECV])


def trades_of(decoded: _native.JsonDecoded) -> list[tuple[int, int]]:
    rows = records_from(decoded.records)
    return [(int(one["id"]), int(one["flags"]) & ~1) for one in rows if one["kind"] == Kind.TRADE]


# ------------------------------------------------------------------ holes


def test_a_jump_of_ids_is_a_hole_between_two_trades() -> None:
    feed = feed_of(row(chained=True))
    assert say(feed, {"i": 5, "T": 1}, {"i": 6, "T": 2}).holes == []
    decoded = say(feed, {"i": 9, "T": 3})
    assert not decoded.is_plain
    assert decoded.holes == [(AAA, 0, (6, 0, 2_000_000, 1), (9, 0, 3_000_000, 1), 2)]
    gaps = [one for one in records_from(decoded.records) if one["kind"] == Kind.GAP]
    assert [(int(one["id"]), int(one["seq"])) for one in gaps] == [(2, 9)]


def test_what_comes_late_or_again_is_no_hole() -> None:
    feed = feed_of(row(chained=True))
    say(feed, {"i": 5}, {"i": 9})
    assert say(feed, {"i": 7}, {"i": 9}, {"i": 10}).holes == []


def test_a_sequence_can_count_where_ids_are_texts() -> None:
    feed = feed_of(row(chained=True, chained_by="seq", seq="q"))
    say(feed, {"i": "x-1", "q": 7})
    ((_, _, after, before, missing),) = say(feed, {"i": "x-2", "q": 10}).holes
    assert (after[1], before[1], missing) == (7, 10, 2)


def test_a_trade_that_stands_for_several_leaves_no_hole() -> None:
    feed = feed_of(row(chained=True, covers="n"))
    say(feed, {"i": 5})
    assert say(feed, {"i": 8, "n": 3}).holes == []
    ((_, _, _, before, missing),) = say(feed, {"i": 12, "n": "2"}).holes
    assert (before[3], missing) == (2, 2)
    assert say(feed, {"i": 13, "n": "?"}).holes == []


@pytest.mark.parametrize("without", [{"id": ""}, {"chained_by": "seq"}])
def test_a_chain_needs_its_path(without: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="chained by it"):
        feed_of(row(chained=True, **without))


# ------------------------------------------------------------------ history


HISTORY = (Match(path="/h", present=True),)


def test_history_of_a_later_subscription_is_what_was_missed() -> None:
    feed = feed_of(row(chained=True, history=HISTORY))
    assert trades_of(say(feed, {"i": 3}, {"i": 4}, h=1)) == [(3, Flag.HISTORY), (4, Flag.HISTORY)]
    assert trades_of(say(feed, {"i": 5})) == [(5, 0)]
    assert trades_of(say(feed, {"i": 4}, {"i": 5}, {"i": 6}, {"i": 7}, h=1)) == [
        (6, Flag.BACKFILLED),
        (7, Flag.BACKFILLED),
    ]
    assert trades_of(say(feed, {"i": 8})) == [(8, 0)]


def test_history_behind_the_newest_trade_was_missed_where_nothing_counts_too() -> None:
    feed = feed_of(row(history=HISTORY))
    assert trades_of(say(feed, {"i": 2, "T": 2}, {"i": 3, "T": 3}, h=1)) == [(2, Flag.HISTORY), (3, Flag.HISTORY)]
    say(feed, {"i": 4, "T": 4})
    again = say(feed, {"i": 3, "T": 3}, {"i": 4, "T": 4}, {"i": 6, "T": 4}, {"i": 5, "T": 5}, h=1)
    assert trades_of(again) == [(3, Flag.HISTORY), (4, Flag.HISTORY), (6, Flag.BACKFILLED), (5, Flag.BACKFILLED)]
    assert feed.mark_trades(AAA) == (5, 0, 5_000_000, 1)


def test_history_over_a_second_line_is_not_missed() -> None:
    feed = feed_of(row(history=HISTORY))
    say(feed, {"i": 4, "T": 4})
    feed.open_link(2, "")
    feed.line_up(AAA, 1, 2)
    frame = json.dumps({"d": [{"s": "AAA", "p": "1", "v": "1", "i": 5, "T": 5}], "h": 1}).encode()
    assert trades_of(feed.decode(2, [frame], [RECV])) == [(5, Flag.HISTORY)]


# ------------------------------------------------------------------ the ends of a hole that nothing counts


def test_the_last_trade_before_a_mark_and_the_first_behind_it() -> None:
    feed = feed_of(row())
    assert feed.mark_trades(AAA) is None
    say(feed, {"i": 50, "T": 1}, {"i": 40, "T": 2})
    assert feed.mark_trades(AAA) == (40, 0, 2_000_000, 1)
    assert feed.first_trade(AAA) is None
    say(feed, {"i": 40, "T": 2})
    assert feed.first_trade(AAA) is None, "the same once more, as some venues tell it at a subscription"
    say(feed, {"i": 7, "T": 3}, {"i": 8, "T": 4})
    assert feed.first_trade(AAA) == (7, 0, 3_000_000, 1)
    assert feed.mark_trades(AAA) == (8, 0, 4_000_000, 1)
    assert feed.mark_trades(99) is None
    assert feed.first_trade(99) is None


def test_trades_that_a_subscription_tells_again_without_a_mark_are_not_the_first_behind() -> None:
    feed = feed_of(row())
    say(feed, {"i": 50, "T": 1}, {"i": 51, "T": 2}, {"i": 52, "T": 2})
    feed.mark_trades(AAA)
    say(feed, {"i": 50, "T": 1}, {"i": 51, "T": 2}, {"i": 52, "T": 2})
    assert feed.first_trade(AAA) is None
    say(feed, {"i": 53, "T": 2})
    assert feed.first_trade(AAA) == (53, 0, 2_000_000, 1)


def test_trades_among_those_that_a_subscription_tells_again_were_missed() -> None:
    feed = feed_of(row())
    say(feed, {"i": 50, "T": 1}, {"i": 51, "T": 2})
    feed.mark_trades(AAA)
    again = say(feed, {"i": 50, "T": 1}, {"i": 51, "T": 2}, {"i": 52, "T": 2}, {"i": 53, "T": 3})
    assert trades_of(again) == [(50, 0), (51, 0), (52, Flag.BACKFILLED), (53, Flag.BACKFILLED)]
    assert feed.first_trade(AAA) is None
    assert trades_of(say(feed, {"i": 54, "T": 4})) == [(54, 0)]
    assert feed.first_trade(AAA) == (54, 0, 4_000_000, 1)


def test_a_jump_of_the_connection_may_hide_trades_that_nothing_else_counts() -> None:
    feed = feed_of(row(), REST, counter=Counter(path="n"))
    say(feed, {"i": 5, "T": 1}, n=1)
    assert say(feed, {"i": 7, "T": 2}, n=2).losses == []
    decoded = say(feed, {"i": 9, "T": 3}, n=5)
    assert not decoded.is_plain
    assert decoded.losses == [(AAA, 0, (7, 0, 2_000_000, 1), (5, 0, 1_000_000, 1))]
    assert feed.first_trade(AAA) == (9, 0, 3_000_000, 1)
    say(feed, {"i": 10, "T": 4}, n=6)
    assert say(feed, {"i": 12, "T": 5}, n=9).losses == [(AAA, 0, (10, 0, 4_000_000, 1), (9, 0, 3_000_000, 1))]


@pytest.mark.parametrize(("chained", "fetched"), [(True, True), (False, False)])
def test_a_jump_hides_none_that_are_counted_or_cannot_be_fetched(*, chained: bool, fetched: bool) -> None:
    feed = feed_of(row(chained=chained), REST if fetched else None, counter=Counter(path="n"))
    say(feed, {"i": 5}, n=1)
    assert say(feed, {"i": 6}, n=5).losses == []


def test_what_follows_fetched_trades_is_in_its_place() -> None:
    feed = feed_of(row(chained=True))
    say(feed, {"i": 5, "T": 1})
    feed.filled_trades(AAA, (8, 0, 9_000_000, 1), 8)
    assert say(feed, {"i": 9, "T": 9}).holes == []
    feed.filled_trades(AAA, (3, 0, 1, 1), 3)
    assert say(feed, {"i": 10, "T": 9}).holes == []


# ------------------------------------------------------------------ answers over REST


REST = RestTrades(
    when=(Match(path="code", equals=("0",)),),
    rows="data",
    newest_first=True,
    trades=Trades(
        key=Key(path="s"),
        id="id",
        price="px",
        size="sz",
        aggressor=Aggressor(path="side", buyer=("buy",), seller=("sell",)),
        time=Time(path="ts", unit="ms"),
    ),
)


def test_an_answer_is_read_oldest_first_and_flagged() -> None:
    feed = feed_of(row(), REST)
    rows = [
        {"id": "9", "px": "1.50", "sz": "2", "side": "sell", "ts": "7"},
        {"id": "x", "px": "1.4", "sz": "1", "side": "buy", "ts": "6"},
    ]
    decoded = feed.rest_trades(AAA, json.dumps({"code": "0", "data": rows}).encode(), RECV)
    first, second = records_from(decoded.records)
    assert decoded.texts == {0: "x"}
    assert (int(second["id"]), int(second["price"]), int(second["price_scale"])) == (9, 150, 2)
    assert (int(second["side"]), int(first["side"])) == (Side.SELLER, Side.BUYER)
    assert int(second["ts_event"]) == 7_000_000
    assert {int(first["instrument"]), int(second["instrument"])} == {AAA}
    assert {int(one["flags"]) for one in (first, second)} == {Flag.BACKFILLED | Flag.LAST_OF_EVENT}
    assert feed.mark_trades(AAA) is None, "nothing is remembered of them"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"code":"50011","data":[]}', "expected trades, found"),
        (b"<html>", "expected JSON"),
        (b'{"code":"0"}', "expected rows at"),
        (b'{"code":"0","data":[{"id":"1"}]}', "decimal number"),
    ],
)
def test_an_answer_that_is_none_says_why(body: bytes, reason: str) -> None:
    decoded = feed_of(row(), REST).rest_trades(AAA, body, RECV)
    assert decoded.dead_count == 1
    assert reason in decoded.dead[0][1]
    assert decoded.records == b""


def test_an_empty_answer_is_no_error() -> None:
    decoded = feed_of(row(), REST).rest_trades(AAA, b'{"code":"0","data":[]}', RECV)
    assert (decoded.dead_count, decoded.records) == (0, b"")


def test_rows_may_stand_under_any_key_or_be_the_answer_itself() -> None:
    listed = Trades(key=Key(path="s"), price="0", size="1", id="2")
    under = feed_of(row(), RestTrades(rows="result.*", trades=listed))
    decoded = under.rest_trades(AAA, b'{"result":{"XXBTZUSD":[["1","2",3],["4","5",6]],"last":"6"}}', RECV)
    assert [one for one, _ in trades_of(decoded)] == [3, 6]
    alone = feed_of(row(), RestTrades(trades=listed))
    assert [one for one, _ in trades_of(alone.rest_trades(AAA, b'[["1","2",3]]', RECV))] == [3]


def test_rows_of_another_make_are_read_by_another_declaration() -> None:
    first = Trades(key=Key(path="s"), price="p", size="v", id="i", only=(Match(path="s", present=True),))
    other = Trades(
        key=Key(path="s"), price="px", size="sz", id="n", signed="buyer", only=(Match(path="n", present=True),)
    )
    feed = feed_of(row(), RestTrades(trades=first, or_trades=(other,)))
    rows = [{"s": "A", "p": "1", "v": "2", "i": 3}, {"px": "4", "sz": "-5", "n": 6}, {"px": "4", "sz": "5"}]
    decoded = feed.rest_trades(AAA, json.dumps(rows).encode(), RECV)
    told = records_from(decoded.records)
    assert [(int(one["id"]), int(one["size"]), int(one["side"])) for one in told] == [(3, 2, 0), (6, 5, Side.SELLER)]
    assert decoded.dead_count == 1
    assert "expected a trade" in decoded.dead[0][1]


def test_without_a_declaration_nothing_is_read() -> None:
    assert feed_of(row()).rest_trades(AAA, b"[]", RECV).dead_count == 1


# ------------------------------------------------------------------ words


def test_a_side_that_nobody_knows_is_counted_with_a_sample() -> None:
    feed = feed_of(row(aggressor=Aggressor(path="side", buyer=("buy",), seller=("sell",))))
    say(feed, {"i": 1, "side": "buy"}, {"i": 2, "side": "auction"}, {"i": 3, "side": "auction"}, {"i": 4})
    ((message, word, count, frame),) = feed.foreign_values()
    assert (message, word, count) == ("trade", "side=auction", 2)
    assert b"auction" in frame
