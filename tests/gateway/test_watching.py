"""Depths, intervals, patterns, and requests that wait for the owner of the data."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tickcast.gateway.auth.access import ANYONE
from tickcast.gateway.session import QUEUE_MAX, Session
from tickcast.ports import Want
from tickcast.testing.gateway import definition


def test_a_book_has_one_depth(bench: Any) -> None:
    ack, *_ = bench.ask({"action": "subscribe", "symbols": ["XNAS:AAPL"], "channel": "book"})
    assert (ack["depth"], ack["mode"], ack["rate"]) == (10, "keyed", 20)
    assert [entry[:2] for entry in bench.hub.subscriptions(bench.client)] == [(3, "XNAS:AAPL")]
    ack, *_ = bench.ask({"action": "subscribe", "symbols": ["XNAS:AAPL"], "channel": "book", "depth": 50})
    assert ack["depth"] == 50
    assert [entry[:2] for entry in bench.hub.subscriptions(bench.client)] == [(4, "XNAS:AAPL")]
    (ack, *_) = bench.ask({"action": "set", "channel": "book", "depth": 5, "rate": 2})
    assert (ack["depth"], ack["rate"], ack["symbols"]) == (5, 2, 1)
    gone = bench.ask({"action": "unsubscribe", "symbols": ["XNAS:AAPL"], "channel": "book"})[-1]
    assert gone["symbols"] == ["XNAS:AAPL"]
    assert bench.hub.subscriptions(bench.client) == []


def test_bars_of_both_intervals_live_side_by_side(bench: Any) -> None:
    for interval in ("1s", "1m"):
        request = {"action": "subscribe", "symbols": ["XNAS:AAPL"], "channel": "bars", "interval": interval}
        assert bench.ask(request)[0]["interval"] == interval
    assert [entry[0] for entry in bench.hub.subscriptions(bench.client)] == [5, 6]
    counters = bench.ask({"action": "sync"})[-1]["channels"]
    assert set(counters) == {"bars:1s", "bars:1m"}
    one = {"action": "unsubscribe", "symbols": ["XNAS:AAPL"], "channel": "bars", "interval": "1m"}
    assert bench.ask(one)[-1]["symbols"] == ["XNAS:AAPL"]
    assert [entry[0] for entry in bench.hub.subscriptions(bench.client)] == [5]


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"channel": "book", "depth": 7}, 4003),
        ({"channel": "book", "depth": "10"}, 4003),
        ({"channel": "book", "interval": "1s"}, 4003),
        ({"channel": "book", "mode": "all"}, 4005),
        ({"channel": "book", "fields": ["bid"]}, 4006),
        ({"channel": "bars", "interval": "1h"}, 4003),
        ({"channel": "price", "depth": 10}, 4003),
        ({"channel": "status", "rate": 5}, 4003),
    ],
)
def test_terms_that_a_channel_does_not_have_are_refused(bench: Any, terms: dict[str, Any], code: int) -> None:
    (error,) = bench.ask({"action": "subscribe", "symbols": ["XNAS:AAPL"], **terms})
    assert (error["type"], error["code"]) == ("error", code)
    assert bench.hub.subscriptions(bench.client) == []


def test_a_pattern_stands_for_what_is_listed_and_what_will_be(make_bench: Any) -> None:
    bench = make_bench(make_bench.config(symbols_max=100))
    ack = bench.ask({"action": "subscribe", "symbols": ["XNAS:*", "AAPL"]})[0]
    assert len(ack["patterns"]["XNAS:*"]) == 32
    assert set(ack["symbols"]) == {*ack["patterns"]["XNAS:*"], "AAPL"}
    new = [definition("XNAS:NEW"), definition("XBOS:NEW")]
    bench.hub.define(new, bench.now_ns)
    bench.registry.add(new)
    bench.session.listed(["XNAS:NEW", "XBOS:NEW"], bench.now_ns)
    told, snapshot = bench.messages()
    assert (told["type"], list(told["symbols"]), told["patterns"]) == (
        "subscribed", ["XNAS:NEW"], {"XNAS:*": ["XNAS:NEW"]},
    )  # fmt: skip
    assert (snapshot["type"], snapshot["symbol"]) == ("snapshot", "XNAS:NEW")
    gone = bench.ask({"action": "unsubscribe", "symbols": ["XNAS:*"]})[-1]["symbols"]
    assert len(gone) == 34  # 33 instruments and the pattern
    assert [entry[1] for entry in bench.hub.subscriptions(bench.client)] == ["AAPL"]
    assert bench.desk.pattern_watchers == {}


def test_classes_are_patterns_too(make_bench: Any) -> None:
    bench = make_bench(make_bench.config(symbols_max=100))
    ack = bench.ask({"action": "subscribe", "symbols": ["class:equity", "class:option"]})[0]
    assert len(ack["patterns"]["class:equity"]) == 32
    assert ack["patterns"]["class:option"] == []


def test_a_pattern_of_too_many_applies_nothing(bench: Any) -> None:
    (error,) = bench.ask({"action": "subscribe", "symbols": ["XNAS:*", "AAPL"]})
    assert (error["code"], error["symbols"]) == (4102, ["XNAS:*"])
    assert bench.hub.subscriptions(bench.client) == []


def test_the_end_of_a_session_leaves_nothing(make_bench: Any) -> None:
    bench = make_bench(make_bench.config(symbols_max=100))
    bench.ask({"action": "subscribe", "symbols": ["XNAS:*"]})
    bench.ask({"action": "subscribe", "symbols": ["*"], "channel": "status"})
    assert (len(bench.desk.pattern_watchers), len(bench.status)) == (1, 1)
    bench.session.end()
    assert (len(bench.desk.pattern_watchers), len(bench.status)) == (0, 0)


# ------------------------------------------------------------------ an owner in another process


class SlowOwner:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[Sequence[Want], Sequence[str]]] = []
        self.waiting: list[Callable[[bool], None]] = []

    def prepare(
        self, client: int, wants: Sequence[Want], patterns: Sequence[str], then: Callable[[bool], None]
    ) -> bool:
        del client
        self.asked.append((wants, patterns))
        self.waiting.append(then)
        return False

    def barrier(self, client: int, then: Callable[[bool], None]) -> bool:
        del client
        self.waiting.append(then)
        return False


@pytest.fixture
def owned(bench: Any) -> Any:
    bench.desk.owner = SlowOwner()
    bench.session = Session(bench.desk, bench.client, bench.now_ns, access=ANYONE)
    return bench


def test_requests_wait_for_the_owner_in_order(owned: Any) -> None:
    assert owned.ask({"action": "subscribe", "symbols": ["AAPL"], "id": 1}) == []
    assert owned.ask({"action": "ping", "id": 2}) == []
    assert owned.ask({"action": "sync", "id": 3}) == []
    assert owned.ask({"action": "ping", "id": 4}) == []
    owner = owned.desk.owner
    assert owner.asked == [([Want(0, "AAPL", 20, 0)], [])]
    owner.waiting.pop(0)(True)
    assert [message.get("id") for message in owned.messages()] == [1, 2, None]
    owner.waiting.pop(0)(True)
    assert [message.get("id") for message in owned.messages()] == [3, 4]


def test_what_a_client_resumes_is_part_of_the_question(owned: Any) -> None:
    owned.ask(
        {
            "action": "reconnect",
            "resume": {"AAPL": {"epoch": 7, "seq": 3}},
            "last_seen": {"MSFT": "2026-03-29T14:30:05Z"},
        }
    )
    (wants, _) = owned.desk.owner.asked[0]
    assert {want.symbol: (want.epoch, want.seq, want.last_seen_ns > 0, want.resumes) for want in wants} == {
        "AAPL": (7, 3, False, True), "MSFT": (0, 0, True, True),
    }  # fmt: skip


def test_an_owner_that_is_away_is_said(owned: Any) -> None:
    owned.ask({"action": "subscribe", "symbols": ["AAPL"], "id": "x"})
    owned.ask({"action": "ping", "id": "y"})
    owned.desk.owner.waiting.pop()(False)
    error, pong = owned.messages()
    assert (error["id"], error["code"]) == ("x", 4501)
    assert pong["id"] == "y"
    assert owned.hub.subscriptions(owned.client) == []


def test_patterns_are_asked_for_before_their_symbols(owned: Any) -> None:
    owned.ask({"action": "subscribe", "symbols": ["class:crypto", "AAPL"], "id": 1})
    owner = owned.desk.owner
    assert owner.asked[0] == ([Want(0, "AAPL", 20, 0)], ["class:crypto"])
    owner.waiting.pop()(True)
    assert owned.messages()[0]["id"] == 1, "the pattern stands for nothing, so there is nothing more to ask"
    owned.ask({"action": "subscribe", "symbols": ["XNAS:*"], "id": 2})
    owner.waiting.pop()(True)
    assert len(owner.asked) == 3
    assert {want.symbol for want in owner.asked[-1][0]} >= {"XNAS:AAPL", "XNAS:MSFT"}


def test_a_client_that_left_is_not_answered(owned: Any) -> None:
    owned.ask({"action": "subscribe", "symbols": ["AAPL"]})
    owned.session.end()
    owned.hub.close(owned.client)
    owned.desk.owner.waiting.pop()(True)
    assert owned.hub.subscriptions(owned.client) == []


def test_the_queue_of_a_waiting_client_is_bounded(owned: Any) -> None:
    owned.ask({"action": "subscribe", "symbols": ["AAPL"]})
    for number in range(QUEUE_MAX):
        assert owned.ask({"action": "ping", "id": number}) == []
    (error,) = owned.ask({"action": "ping", "id": "over"})
    assert (error["id"], error["code"]) == ("over", 4101)
