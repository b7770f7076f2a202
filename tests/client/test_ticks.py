import json
from decimal import Decimal
from typing import Any

import pytest

from tickcast.client.errors import ClientError, NotAllowedError, ProtocolError, RequestError
from tickcast.client.ticks import Tick, TicksSession


def session(*symbols: str, fields: tuple[str, ...] | None = None) -> TicksSession:
    return TicksSession(symbols or ("AAPL",), fields=fields)


def first_request(client: TicksSession) -> dict[str, Any]:
    (message,) = client.connected()
    request: dict[str, Any] = json.loads(message)
    return request


def snapshot(seq: int = 10, epoch: int = 7, **fields: Any) -> dict[str, Any]:
    return {"type": "snapshot", "symbol": "AAPL", "epoch": epoch, "seq": seq, "state": "live"} | fields


def update(seq: int, **fields: Any) -> dict[str, Any]:
    return {"type": "update", "symbol": "AAPL", "seq": seq} | fields


def receive(client: TicksSession, *frames: dict[str, Any]) -> list[Tick]:
    return client.receive(json.dumps(frames))


def test_the_first_request_subscribes_all_symbols_once() -> None:
    request = first_request(session("AAPL", "MSFT", "AAPL", fields=("bid",)))
    assert request == {
        "action": "subscribe", "symbols": ["AAPL", "MSFT"], "channel": "price", "rate": 20, "mode": "merge",
        "fields": ["bid"], "id": 1,
    }  # fmt: skip


def test_updates_are_merged_into_the_whole_state() -> None:
    client = session()
    ticks = receive(client, snapshot(price="185.40", bid="185.30", ask=None), update(13, price="185.41"))
    assert ticks[0].merged == 0
    assert ticks[1] == Tick(
        symbol="AAPL", state="live", epoch=7, seq=13, merged=2, price=Decimal("185.41"), bid=Decimal("185.30")
    )


def test_exact_numbers_survive() -> None:
    (tick,) = receive(session(), snapshot(price="0.12345678901234567890123456789", volume="185.40"))
    assert str(tick.price) == "0.12345678901234567890123456789"
    assert str(tick.volume) == "185.40"


def test_a_single_frame_is_a_message_as_well() -> None:
    assert session().receive(json.dumps(snapshot(price="1")))[0].price == 1


def test_status_changes_the_state_alone() -> None:
    client = session()
    _, tick = receive(
        client, snapshot(price="1"), {"type": "status", "symbol": "AAPL", "state": "stale", "reason": "feed quiet 5 s"}
    )
    assert (tick.state, tick.reason, tick.price, tick.seq) == ("stale", "feed quiet 5 s", Decimal(1), 10)


def test_an_update_that_does_not_follow_drops_the_state_and_asks_again() -> None:
    for stranger in (update(10, price="9"), update(9, price="9"), update(11, price="9", epoch=8)):
        client = session()
        receive(client, snapshot(price="1"))
        (tick,) = receive(client, stranger)
        assert (tick.state, tick.price) == ("repairing", None)
        actions = [json.loads(request)["action"] for request in client.requests()]
        assert actions == ["unsubscribe", "subscribe"]
        assert client.requests() == []
        assert receive(client, update(12, price="9")) == []
        assert receive(client, snapshot(20, price="2"))[0].price == 2


def test_an_update_without_a_snapshot_is_not_believed() -> None:
    client = session()
    assert receive(client, update(3, price="9")) == []
    assert len(client.requests()) == 2


def test_a_break_makes_everything_stale_once_and_is_resumed_by_place() -> None:
    client = session("AAPL", "MSFT")
    receive(client, snapshot(price="1"))
    (tick,) = client.disconnected()
    assert (tick.symbol, tick.state, tick.price) == ("AAPL", "stale", Decimal(1))
    assert client.disconnected() == []
    request = first_request(client)
    assert request["resume"] == {"AAPL": {"epoch": 7, "seq": 10}}
    (tick,) = receive(
        client, {"type": "resumed", "symbols": {"AAPL": {"recovered": True, "state": "live", "epoch": 7, "seq": 10}}}
    )
    assert (tick.state, tick.price, tick.reason) == ("live", Decimal(1), None)


def test_a_failed_resume_believes_nothing_until_the_snapshot() -> None:
    client = session()
    receive(client, snapshot(price="1", bid="0.9"))
    client.disconnected()
    failed = {"type": "resumed", "symbols": {"AAPL": {"recovered": False, "reason": "epoch_changed"}}}
    assert receive(client, failed, update(11, price="9")) == []
    (tick,) = receive(client, snapshot(3, epoch=8, price="2"))
    assert (tick.epoch, tick.seq, tick.bid, tick.merged) == (8, 3, None, 0)


def test_a_snapshot_after_a_resume_counts_what_was_merged() -> None:
    client = session()
    receive(client, snapshot(price="1"))
    client.disconnected()
    resumed = {"type": "resumed", "symbols": {"AAPL": {"recovered": True, "state": "live"}}}
    *_, tick = receive(client, resumed, snapshot(15, price="3"))
    assert (tick.seq, tick.merged) == (15, 4)


def test_unknown_symbols_are_told_once_and_asked_for_again() -> None:
    client = session("NOPE")
    ack = {"type": "subscribed", "channel": "price", "symbols": {"NOPE": {"state": "no_such_symbol"}}}
    assert client.care() == []
    assert receive(client, ack) == [Tick(symbol="NOPE", state="no_such_symbol")]
    assert receive(client, ack) == []
    (request,) = client.care()
    assert json.loads(request)["symbols"] == ["NOPE"]
    receive(
        client, {"type": "subscribed", "channel": "price", "symbols": {"NOPE": {"state": "live", "epoch": 1, "seq": 1}}}
    )
    assert client.care() == []


def test_a_symbol_that_was_there_stays_stale_while_a_new_gateway_does_not_know_it() -> None:
    client = session()
    receive(client, snapshot(price="1"))
    assert [tick.state for tick in client.disconnected()] == ["stale"]
    client.connected()
    ack = {"type": "subscribed", "channel": "price", "symbols": {"AAPL": {"state": "no_such_symbol"}}}
    resumed = {"type": "resumed", "symbols": {"AAPL": {"recovered": False, "reason": "unknown"}}}
    assert receive(client, ack, resumed) == []
    assert client.disconnected() == []
    client.connected()
    assert receive(client, ack) == []
    assert [json.loads(request)["symbols"] for request in client.care()] == [["AAPL"]]
    live = {"type": "subscribed", "channel": "price", "symbols": {"AAPL": {"state": "live", "epoch": 9, "seq": 1}}}
    (tick,) = receive(client, live, snapshot(1, epoch=9, price="2"))
    assert (tick.state, tick.epoch, tick.price) == ("live", 9, Decimal(2))
    assert client.care() == []


@pytest.mark.parametrize(
    ("message", "error", "text"),
    [
        ("no json", ProtocolError, "expected JSON"),
        ("[1]", ProtocolError, "objects"),
        (json.dumps({"type": "error", "code": 4006, "reason": "fields"}), RequestError, "4006: fields"),
        (json.dumps({"type": "error", "code": 4102, "reason": "too many"}), RequestError, "watch fewer"),
        (
            json.dumps({"type": "error", "code": 4200, "reason": "mode", "symbols": ["A", "B"]}),
            NotAllowedError,
            r"\(A, B\).*what the token allows",
        ),
        (json.dumps(snapshot(price="abc")), ProtocolError, "price: expected a decimal"),
        (json.dumps({"type": "update", "symbol": "AAPL"}), ProtocolError, "whole frame"),
    ],
)
def test_what_cannot_be_served_is_an_error(message: str, error: type[ClientError], text: str) -> None:
    with pytest.raises(error, match=text):
        session().receive(message)


def test_a_request_that_could_not_be_served_is_sent_again_later() -> None:
    client = session()
    number = first_request(client)["id"]
    needed = [client.needs_care]
    assert receive(client, {"type": "error", "code": 4501, "reason": "again", "id": number}) == []
    assert [*needed, client.needs_care] == [False, True]
    (again,) = client.care()
    assert json.loads(again)["symbols"] == ["AAPL"]
    assert json.loads(again)["id"] != number
    assert client.care() == []


def test_symbols_come_and_go() -> None:
    client = session()
    receive(client, snapshot(price="1"))
    (added,) = client.add(["MSFT", "AAPL"])
    assert json.loads(added)["symbols"] == ["MSFT"]
    (dropped,) = client.drop(["AAPL", "NOPE"])
    assert (json.loads(dropped)["action"], json.loads(dropped)["symbols"]) == ("unsubscribe", ["AAPL"])
    assert receive(client, update(11, price="2")) == [], "what was under way is not told"
    assert client.add(["MSFT"]) == []
    request = first_request(client)
    assert (request["symbols"], "resume" in request) == (["MSFT"], False)


def test_members_of_a_pattern_are_told_and_resumed() -> None:
    client = session("XNAS:*")
    first_request(client)
    standing = {"state": "live", "epoch": 7, "seq": 9}
    ack = {"type": "subscribed", "channel": "price", "symbols": {"AAPL": standing}, "patterns": {"XNAS:*": ["AAPL"]}}
    (tick,) = receive(client, ack, snapshot(price="1"))
    assert (tick.symbol, str(tick.price)) == ("AAPL", "1")
    request = first_request(client)
    assert (request["symbols"], request["resume"]) == (["XNAS:*", "AAPL"], {"AAPL": {"epoch": 7, "seq": 10}})


def test_what_is_not_given_is_told_even_where_it_was_seen() -> None:
    client = session()
    receive(client, snapshot(price="1"))
    client.disconnected()
    client.connected()
    ack = {"type": "subscribed", "channel": "price", "symbols": {"AAPL": {"state": "not_entitled"}}}
    assert receive(client, ack) == [Tick(symbol="AAPL", state="not_entitled")]


def test_what_can_be_ignored_is() -> None:
    frames: list[dict[str, Any]] = [
        {"type": "hb"},
        {"type": "later"},
        {"type": "error", "code": 4500, "reason": "again"},
    ]
    assert receive(session(), *frames) == []
