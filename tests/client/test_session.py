import json
from decimal import Decimal
from typing import Any

import pytest

from tickcast.client.session import ClientSession
from tickcast.client.tick import StreamError, Tick


def session(*symbols: str, fields: tuple[str, ...] | None = None) -> ClientSession:
    return ClientSession(symbols or ("AAPL",), rate=20, fields=fields, mode="merge")


def snapshot(seq: int = 10, epoch: int = 7, **fields: Any) -> dict[str, Any]:
    return {"type": "snapshot", "symbol": "AAPL", "epoch": epoch, "seq": seq, "state": "live"} | fields


def update(seq: int, **fields: Any) -> dict[str, Any]:
    return {"type": "update", "symbol": "AAPL", "seq": seq} | fields


def receive(client: ClientSession, *frames: dict[str, Any]) -> list[Tick]:
    return client.receive(json.dumps(frames))


def test_the_first_request_subscribes_all_symbols_once() -> None:
    request = json.loads(session("AAPL", "MSFT", "AAPL", fields=("bid",)).connected())
    assert request == {
        "action": "subscribe", "symbols": ["AAPL", "MSFT"], "channel": "price", "rate": 20, "mode": "merge",
        "fields": ["bid"],
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
    request = json.loads(client.connected())
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
    ack = {"type": "subscribed", "symbols": {"NOPE": {"state": "no_such_symbol"}}}
    assert client.retry() == []
    assert receive(client, ack) == [Tick(symbol="NOPE", state="no_such_symbol")]
    assert receive(client, ack) == []
    (request,) = client.retry()
    assert json.loads(request)["symbols"] == ["NOPE"]
    receive(client, {"type": "subscribed", "symbols": {"NOPE": {"state": "live", "epoch": 1, "seq": 1}}})
    assert client.retry() == []


def test_a_symbol_that_was_there_stays_stale_while_a_new_gateway_does_not_know_it() -> None:
    client = session()
    receive(client, snapshot(price="1"))
    assert [tick.state for tick in client.disconnected()] == ["stale"]
    client.connected()
    ack = {"type": "subscribed", "symbols": {"AAPL": {"state": "no_such_symbol"}}}
    resumed = {"type": "resumed", "symbols": {"AAPL": {"recovered": False, "reason": "unknown"}}}
    assert receive(client, ack, resumed) == []
    assert client.disconnected() == []
    client.connected()
    assert receive(client, ack) == []
    assert [json.loads(request)["symbols"] for request in client.retry()] == [["AAPL"]]
    live = {"type": "subscribed", "symbols": {"AAPL": {"state": "live", "epoch": 9, "seq": 1}}}
    (tick,) = receive(client, live, snapshot(1, epoch=9, price="2"))
    assert (tick.state, tick.epoch, tick.price) == ("live", 9, Decimal(2))
    assert client.retry() == []


@pytest.mark.parametrize(
    "message",
    [
        "no json",
        "[1]",
        json.dumps({"type": "error", "code": 4006, "reason": "fields"}),
        json.dumps({"type": "error", "code": 4102, "reason": "too many"}),
        json.dumps(snapshot(price="abc")),
    ],
)
def test_what_cannot_be_served_is_an_error(message: str) -> None:
    with pytest.raises(StreamError):
        session().receive(message)


def test_what_can_be_ignored_is() -> None:
    frames: list[dict[str, Any]] = [
        {"type": "hb"},
        {"type": "later"},
        {"type": "error", "code": 4500, "reason": "again"},
    ]
    assert receive(session(), *frames) == []
