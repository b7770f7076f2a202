from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.gateway.codes import CloseCode
from tickcast.gateway.config import Config
from tickcast.gateway.watching import Watching


def test_subscribe_says_where_each_symbol_stands_before_its_snapshot(bench: Any) -> None:
    ack, *data = bench.ask({"action": "subscribe", "symbols": ["AAPL", "XNAS:MSFT", "NOPE", "AAPL"], "id": 4})
    assert list(ack) == ["type", "id", "channel", "symbols", "rate", "mode", "fields"]
    assert (ack["type"], ack["id"], ack["channel"], ack["rate"], ack["mode"]) == ("subscribed", 4, "price", 20, "merge")
    assert list(ack["symbols"]) == ["AAPL", "XNAS:MSFT", "NOPE"]
    assert ack["symbols"]["AAPL"]["epoch"] >= 7
    assert ack["symbols"]["NOPE"] == {"state": "no_such_symbol"}
    assert [(frame["type"], frame["symbol"]) for frame in data] == [("snapshot", "AAPL"), ("snapshot", "XNAS:MSFT")]
    for frame in data:
        assert frame["seq"] == ack["symbols"][frame["symbol"]]["seq"]


def test_the_same_subscription_again_sends_no_new_snapshot(bench: Any) -> None:
    request = {"action": "subscribe", "symbols": ["AAPL"]}
    assert len(bench.ask(request)) == 2
    assert [frame["type"] for frame in bench.ask(request)] == ["subscribed"]


@pytest.mark.parametrize(
    ("asked", "given_class"), [(0, 0), (0.2, 1), (1, 1), (3, 2), (7.5, 5), (19.9, 10), (20, 20), (1000, 20)]
)
def test_rates_fall_to_the_next_lower_class(bench: Any, asked: float, given_class: int) -> None:
    ack = bench.ask({"action": "subscribe", "symbols": ["AAPL"], "rate": asked})[0]
    assert ack["rate"] == given_class


def test_trades_are_lossless_and_unfiltered(bench: Any) -> None:
    ack, *data = bench.ask({"action": "subscribe", "symbols": ["AAPL"], "channel": "trades", "rate": 5})
    assert (ack["channel"], ack["mode"], ack["rate"]) == ("trades", "all", 0)
    assert "fields" not in ack
    assert data == []


def test_fields_come_back_in_wire_order(bench: Any) -> None:
    ack, snapshot = bench.ask({"action": "subscribe", "symbols": ["AAPL"], "fields": ["ask", "bid"]})
    assert ack["fields"] == ["bid", "ask"]
    assert {"bid", "ask"} <= set(snapshot)
    assert not {"price", "volume", "open"} & set(snapshot)


REFUSED = [
    (b"", 4000),
    (b"{", 4000),
    (b'{"action":"ping"} trailing', 4000),
    (b"\xff\xfe", 4000),
    (b"[" * 60_000, 4000),
    (b"null", 4001),
    (b'["subscribe"]', 4001),
    ({}, 4002),
    ({"action": "fly"}, 4002),
    ({"action": ["subscribe"]}, 4002),
    ({"action": "subscribe"}, 4003),
    ({"action": "subscribe", "symbols": []}, 4003),
    ({"action": "subscribe", "symbols": "AAPL"}, 4003),
    ({"action": "subscribe", "symbols": [1]}, 4003),
    ({"action": "subscribe", "symbols": ["AAPL"], "id": True}, 4003),
    ({"action": "subscribe", "symbols": ["AAPL"], "resume": {"MSFT": {"epoch": 1, "seq": 1}}}, 4003),
    ({"action": "subscribe", "symbols": ["AAPL"], "resume": {"AAPL": {"epoch": -1, "seq": 1}}}, 4003),
    ({"action": "reconnect"}, 4003),
    ({"action": "reconnect", "resume": {"AAPL": {"epoch": 1 << 53, "seq": 1}}}, 4003),
    ({"action": "set", "numbers": "roman"}, 4003),
    ({"action": "set", "batch": "yes"}, 4003),
    ({"action": "subscribe", "symbols": ["AAPL"], "channel": "candles"}, 4004),
    ({"action": "unsubscribe", "symbols": ["AAPL"], "channel": 3}, 4004),
    ({"action": "subscribe", "symbols": ["AAPL"], "mode": "some"}, 4005),
    ({"action": "subscribe", "symbols": ["AAPL"], "mode": "merge", "channel": "trades"}, 4005),
    ({"action": "subscribe", "symbols": ["AAPL"], "fields": ["colour"]}, 4006),
    ({"action": "subscribe", "symbols": ["AAPL"], "fields": []}, 4006),
    ({"action": "subscribe", "symbols": ["AAPL"], "fields": "price"}, 4006),
    ({"action": "subscribe", "symbols": ["AAPL"], "fields": ["price"], "channel": "trades"}, 4006),
    ({"action": "set", "rate": -1}, 4007),
    ({"action": "set", "rate": "fast"}, 4007),
    ({"action": "set", "rate": True}, 4007),
    ({"action": "set", "rate": None}, 4007),
    (b'{"action":"set","rate":1' + b"0" * 500 + b"}", 4007),
    ({"action": "reconnect", "last_seen": {"AAPL": "yesterday"}}, 4008),
    ({"action": "reconnect", "last_seen": {"AAPL": 17}}, 4008),
    ({"action": "subscribe", "symbols": [f"XNAS:S{number}" for number in range(26)]}, 4102),
]


@pytest.mark.parametrize(("request_", "code"), REFUSED)
def test_a_refused_request_says_why_and_applies_nothing(bench: Any, request_: object, code: int) -> None:
    bench.ask({"action": "subscribe", "symbols": ["XNAS:MSFT"], "rate": 5})
    before = bench.hub.subscriptions(bench.client)
    (error,) = bench.ask(request_)
    assert (error["type"], error["code"]) == ("error", code)
    assert error["reason"]
    assert bench.hub.subscriptions(bench.client) == before
    assert bench.ask({"action": "ping", "id": "still here"})[0]["id"] == "still here"


def test_refusals_name_what_is_allowed(bench: Any) -> None:
    def reason(request: object) -> str:
        return str(bench.ask(request)[0]["reason"])

    assert "subscribe, unsubscribe, set, reconnect, visibility, ping, sync" in reason({"action": "fly"})
    assert "price, trades" in reason({"action": "unsubscribe", "symbols": [], "channel": "x"})
    assert "merge or all" in reason({"action": "set", "mode": "x"})
    assert "bid_size" in reason({"action": "set", "fields": ["x"]})


def test_errors_repeat_the_id(bench: Any) -> None:
    assert bench.ask({"action": "fly", "id": "a7"})[0]["id"] == "a7"


def test_too_many_symbols_names_those_over_the_limit(bench: Any) -> None:
    bench.ask({"action": "subscribe", "symbols": [f"XNAS:S{number}" for number in range(24)]})
    (error,) = bench.ask({"action": "subscribe", "symbols": ["AAPL", "XNAS:S0", "XNAS:AAPL"]})
    assert error["reason"] == "too many symbols: 26 asked, 25 allowed"
    assert error["symbols"] == ["XNAS:AAPL"]


def test_set_changes_what_is_watched_and_says_what_is_in_force(bench: Any) -> None:
    bench.ask({"action": "subscribe", "symbols": ["AAPL", "XNAS:MSFT"], "fields": ["bid"]})
    reply, *data = bench.ask({"action": "set", "rate": 2.5, "id": 1})
    assert reply == {
        "type": "ok", "id": 1, "action": "set", "channel": "price", "symbols": 2, "numbers": "number", "batch": False,
        "rate": 2, "mode": "merge", "fields": ["bid"],
    }  # fmt: skip
    assert {frame["type"] for frame in data} == {"snapshot"}
    assert [terms[2] for terms in bench.hub.subscriptions(bench.client)] == [2, 2]
    assert bench.ask({"action": "set", "fields": None})[0]["fields"] is None


def test_set_says_what_is_in_force_without_being_asked(bench: Any) -> None:
    (nothing,) = bench.ask({"action": "set"})
    assert (nothing["symbols"], nothing["rate"], nothing["mode"], nothing["fields"]) == (0, 20, "merge", None)
    bench.ask({"action": "subscribe", "symbols": ["AAPL"], "rate": 5, "fields": ["bid", "ask"]})
    (reply,) = bench.ask({"action": "set", "numbers": "string"})
    assert (reply["rate"], reply["mode"], reply["fields"], reply["numbers"]) == (5, "merge", ["bid", "ask"], "string")
    assert "terms" not in reply


def test_mode_all_keeps_rate_0_and_set_says_so(bench: Any) -> None:
    bench.ask({"action": "subscribe", "symbols": ["AAPL", "XNAS:S1"]})
    bench.ask({"action": "subscribe", "symbols": ["XNAS:MSFT"], "mode": "all"})
    reply = bench.ask({"action": "set", "rate": 2})[0]
    assert (reply["symbols"], reply["rate"], reply["mode"]) == (3, 2, "merge")
    assert reply["terms"] == [
        {"symbols": 2, "rate": 2, "mode": "merge", "fields": None},
        {"symbols": 1, "rate": 0, "mode": "all", "fields": None},
    ]
    rates = {symbol: rate for _, symbol, rate, *_ in bench.hub.subscriptions(bench.client)}
    assert rates == {"AAPL": 2, "XNAS:S1": 2, "XNAS:MSFT": 0}
    everything = bench.ask({"action": "set", "mode": "all"})[0]
    assert (everything["rate"], everything["mode"]) == (0, "all")
    assert "terms" not in everything
    bench.ask({"action": "subscribe", "symbols": ["AAPL"], "channel": "trades"})
    trades = bench.ask({"action": "set", "channel": "trades", "rate": 5})[0]
    assert (trades["rate"], trades["mode"]) == (0, "all")
    assert "fields" not in trades


def test_numbers_and_batch_hold_from_the_reply_on(bench: Any) -> None:
    (reply,) = bench.ask({"action": "set", "batch": True, "numbers": "string"})
    assert [frame["type"] for frame in reply] == ["ok"]
    assert (reply[0]["numbers"], reply[0]["batch"]) == ("string", True)
    messages = bench.ask({"action": "subscribe", "symbols": ["AAPL"]})
    assert [frame["type"] for message in messages for frame in message] == ["subscribed", "snapshot"]


def test_batch_from_the_address_holds_from_the_start(make_bench: Any) -> None:
    bench = make_bench(Config(), batch=True)
    assert isinstance(bench.ask({"action": "ping"})[0], list)


def test_unsubscribe_names_what_was_watched(bench: Any) -> None:
    bench.ask({"action": "subscribe", "symbols": ["AAPL"]})
    (reply,) = bench.ask({"action": "unsubscribe", "symbols": ["AAPL", "XNAS:MSFT"], "id": 0})
    assert reply == {"type": "unsubscribed", "id": 0, "channel": "price", "symbols": ["AAPL"]}
    assert bench.hub.subscriptions(bench.client) == []


def test_reconnect_subscribes_and_fails_closed(bench: Any) -> None:
    place = bench.ask({"action": "subscribe", "symbols": ["AAPL"]})[0]["symbols"]["AAPL"]
    bench.ask({"action": "unsubscribe", "symbols": ["AAPL"]})
    resume = {
        "AAPL": {"epoch": place["epoch"], "seq": place["seq"]},
        "XNAS:MSFT": {"epoch": 3, "seq": 1},
        "NOPE": {"epoch": 3, "seq": 1},
    }
    reply, *data = bench.ask({"action": "reconnect", "resume": resume, "rate": 5})
    assert (reply["type"], reply["rate"]) == ("resumed", 5)
    assert reply["symbols"]["AAPL"]["recovered"] is True
    assert (reply["symbols"]["XNAS:MSFT"]["recovered"], reply["symbols"]["XNAS:MSFT"]["reason"]) == (
        False,
        "epoch_changed",
    )
    assert reply["symbols"]["NOPE"] == {"recovered": False, "reason": "unknown", "state": "no_such_symbol"}
    assert [frame["symbol"] for frame in data] == ["XNAS:MSFT"]
    assert {symbol for _, symbol, *_ in bench.hub.subscriptions(bench.client)} == {"AAPL", "XNAS:MSFT"}


def test_subscribe_with_resume_answers_both(bench: Any) -> None:
    request = {"action": "subscribe", "symbols": ["AAPL"], "last_seen": {"AAPL": "2026-03-29T14:30:05.000Z"}, "id": 2}
    replies = bench.ask(request)
    assert [frame["type"] for frame in replies[:2]] == ["subscribed", "resumed"]
    assert [frame["id"] for frame in replies[:2]] == [2, 2]


def test_sync_answers_with_counters_that_add_up(bench: Any) -> None:
    bench.ask({"action": "subscribe", "symbols": ["AAPL"]})
    bench.ask({"action": "subscribe", "symbols": ["XNAS:MSFT"], "channel": "trades"})
    (reply,) = bench.ask({"action": "sync", "id": 9})
    assert (reply["type"], reply["id"]) == ("synced", 9)
    assert set(reply["channels"]) == {"price", "trades"}
    for channel in reply["channels"].values():
        for counters in channel.values():
            assert counters["published"] == counters["delivered"] + counters["merged"] + counters["lost"]


def test_requests_beyond_the_rate_are_refused_and_a_flood_is_closed(bench: Any) -> None:
    limit = Config().requests_per_second
    answers = [bench.ask({"action": "ping"}, later_s=0)[0]["type"] for _ in range(limit + 5)]
    assert answers == ["pong"] * limit + ["error"] * 5
    assert bench.ask({"action": "ping"}, later_s=2)[0]["type"] == "pong"
    verdicts = [bench.session.request(b'{"action":"ping"}', bench.now_ns) for _ in range(limit * 7)]
    assert verdicts[-1] is CloseCode.FLOOD
    assert verdicts.index(CloseCode.FLOOD) >= limit * 5


@pytest.mark.parametrize(
    ("text", "request_id"),
    [
        (b'{"action":"ping","id":17}', 17),
        (b'{"action":"subscribe","symbols":["AAPL"],"resume":{"id":3},"id":"mine"}', "mine"),
        (b'{"action":"ping","id":true}', None),
        (b'{"action":"ping","id":{"a":1}}', None),
        (b'{"action":"ping"}', None),
        (b"[" * 60_000, None),
        (b"\xff", None),
        (b"7", None),
    ],
)
def test_a_request_beyond_the_rate_gets_its_id_back(bench: Any, text: bytes, request_id: object) -> None:
    for _ in range(Config().requests_per_second):
        bench.ask({"action": "ping"}, later_s=0)
    (error,) = bench.ask(text, later_s=0)
    assert (error["type"], error["code"], error.get("id")) == ("error", 4101, request_id)


def test_a_failure_of_ours_is_said_and_survived(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(Watching, "sync", fail)
    assert bench.ask({"action": "sync", "id": 1})[0] == {
        "type": "error", "id": 1, "code": 4500, "reason": "we could not serve this request; try again later",
    }  # fmt: skip


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["action", "symbols", "channel", "rate", "fields", "mode", "numbers", "batch", "resume", "last_seen", "id"]
)
VALUES = JSON | st.sampled_from(["subscribe", "set", "reconnect", "sync", "price", "trades", "all", ["AAPL"], ["bid"]])


@given(
    requests=st.lists(
        st.binary(max_size=40)
        | st.dictionaries(KEYS, VALUES, max_size=8)
        | st.fixed_dictionaries({"action": st.sampled_from(["subscribe", "set", "reconnect"])}, optional={
            "symbols": st.lists(st.sampled_from(["AAPL", "NOPE", "XNAS:MSFT"])), "rate": VALUES, "fields": VALUES,
            "channel": VALUES, "mode": VALUES, "resume": VALUES, "last_seen": VALUES, "batch": st.just(False),
        }),
        max_size=8,
    )
)  # fmt: skip
@settings(deadline=None, max_examples=150)
def test_any_request_gets_an_answer_and_none_breaks_us(make_bench: Any, requests: list[object]) -> None:
    bench = make_bench(Config())
    for request in requests:
        replies = bench.ask(request)
        frames = [frame for reply in replies for frame in (reply if isinstance(reply, list) else [reply])]
        kinds = [frame["type"] for frame in frames]
        assert kinds[0] in {"subscribed", "resumed", "ok", "synced", "pong", "unsubscribed", "error"}
        if kinds[0] == "error":
            assert len(kinds) == 1
            assert frames[0]["code"] != 4500
