"""The XSIM session: from REST answers to records and the next request."""

import json
from decimal import Decimal
from typing import Any

import pytest
from tests.venues.decoding import rows, states

from tickcast import _native
from tickcast.model.errors import UsageError
from tickcast.model.record import Kind, Side, State
from tickcast.venues.base import Answer, Request, Step, VenueConfig
from tickcast.venues.xsim.session import XsimSession

NOW = 1_700_000_000_000_000_000
MS = 1_000_000
TIME = "2026-03-29T14:30:01.234567Z"
TIME_NS = 1_774_794_601_234_567_000
AAPL = _native.instrument_id("XSIM:AAPL")


def answer(body: Any, status: int = 200, now: int = NOW, etag: str | None = None) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status=status, body=raw, received_ns=now, etag=etag)


def make(**settings: Any) -> XsimSession:
    config = VenueConfig(venue="XSIM", rest_url="http://host/", **settings)
    return XsimSession(feed="x", config=config, securities={"AAPL": ["XNAS:AAPL", "XSIM:AAPL"]}, previous_close={})


def entry(symbol: str, **more: Any) -> dict[str, Any]:
    return {"symbol": symbol, "class": "equity", "currency": "USD", "tick": "0.01", "lot": "1", **more}


def listed(session: XsimSession) -> tuple[Step, Request]:
    (request,) = session.start(NOW).requests
    assert request.url == "http://host/v1/instruments"
    instruments = [entry("AAPL", prev_close="185.10"), entry("BTC-USDT", **{"class": "crypto", "currency": "USDT"})]
    step = session.answered(request, answer({"instruments": instruments}))
    (poll,) = step.requests
    return step, poll


def ticker(symbol: str = "AAPL", **more: Any) -> dict[str, Any]:
    base = {"bid": "185.00", "bid_size": "100", "ask": "185.02", "ask_size": "7", "status": "open", "time": TIME}
    return {"symbol": symbol, **base, **more}


def trade(ident: str, **more: Any) -> dict[str, Any]:
    base = {"symbol": "AAPL", "price": "185.01", "size": "5", "side": "buy", "time": TIME}
    return {"id": ident, **base, **more}


def market(cursor: str, *, tickers: Any = (), trades: Any = (), more: bool = False) -> dict[str, Any]:
    return {"cursor": cursor, "time": TIME, "tickers": list(tickers), "trades": list(trades), "more": more}


def polled() -> tuple[XsimSession, Request]:
    """A session that has the whole market, and its next poll."""
    session = make()
    _, poll = listed(session)
    step = session.answered(poll, answer(market("10", tickers=[ticker()])))
    (poll,) = step.requests
    return session, poll


def test_instruments_become_definitions_before_their_closes() -> None:
    step, poll = listed(make())
    assert [one.name for one in step.definitions] == ["XSIM:AAPL", "XSIM:BTC-USDT"]
    assert [one.asset_class for one in step.definitions] == ["equity", "crypto"]
    assert not step.definitions[0].primary
    assert step.definitions[0].time_precision == 6
    (close,) = rows(step.records)
    assert (close.kind, close.price) == (Kind.PREV_CLOSE, Decimal("185.10"))
    assert poll.url == "http://host/v1/market?limit=1000"


def test_the_whole_market_is_quotes_and_states() -> None:
    session = make()
    _, poll = listed(session)
    tickers = [ticker(), ticker("BTC-USDT", bid=None, status="halted")]
    step = session.answered(poll, answer(market("10", tickers=tickers)))
    told = [(row.kind, row.price, row.size, row.last) for row in rows(step.records)]
    assert told == [
        (Kind.BID, Decimal("185.00"), Decimal(100), False),
        (Kind.ASK, Decimal("185.02"), Decimal(7), True),
        (Kind.STATUS, Decimal(0), Decimal(0), True),
        (Kind.BID, None, None, False),
        (Kind.ASK, Decimal("185.02"), Decimal(7), True),
        (Kind.STATUS, Decimal(0), Decimal(0), True),
    ]
    assert states(step.records) == [State.LIVE, State.HALTED]
    assert rows(step.records)[0].ts_event == TIME_NS
    assert step.messages == 2


def test_polls_follow_the_cursor_at_the_interval() -> None:
    session, poll = polled()
    assert poll.url == "http://host/v1/market?since=10&limit=1000"
    step = session.answered(poll, answer(market("11 &"), now=poll.at_ns + 150 * MS))
    (following,) = step.requests
    assert following.url == "http://host/v1/market?since=11%20%26&limit=1000"
    assert following.at_ns == poll.at_ns + 200 * MS
    # later than the interval: at once
    step = session.answered(following, answer(market("12"), now=following.at_ns + 900 * MS))
    assert step.requests[0].at_ns == following.at_ns + 900 * MS
    # more to come: at once
    step = session.answered(step.requests[0], answer(market("13", more=True)))
    assert step.requests[0].at_ns == 0


def test_only_sides_that_changed_are_told() -> None:
    session, poll = polled()
    step = session.answered(poll, answer(market("11", tickers=[ticker(ask="185.03"), ticker("BTC-USDT")])))
    told = [(row.kind, row.price) for row in rows(step.records) if row.instrument == AAPL]
    assert told == [(Kind.ASK, Decimal("185.03"))]
    step = session.answered(poll, answer(market("12", tickers=[ticker(ask="185.03", status="closed")])))
    assert states(step.records) == [State.CLOSED]


def test_trades_carry_their_id_as_text_and_come_before_the_tickers() -> None:
    session, poll = polled()
    trades = [trade("T-000123-AAPL"), trade("T-000124-AAPL", side=None, price="185.010")]
    step = session.answered(poll, answer(market("11", tickers=[ticker(bid="185.01")], trades=trades)))
    first, second, bid = rows(step.records)
    assert step.texts == {0: "T-000123-AAPL", 1: "T-000124-AAPL"}
    assert first.ident == _native.instrument_id("T-000123-AAPL")
    assert (first.kind, first.side, second.side) == (Kind.TRADE, Side.BUYER, Side.UNKNOWN)
    assert str(second.price) == "185.010"
    assert bid.kind == Kind.BID


def test_not_modified_is_asked_for_with_the_tag_of_the_same_address_only() -> None:
    session, poll = polled()
    step = session.answered(poll, answer(market("10"), etag='"a"'))  # nothing changed, the cursor stays
    (poll,) = step.requests
    assert poll.headers == {"If-None-Match": '"a"'}
    step = session.answered(poll, answer(b"", status=304, now=poll.at_ns))
    (poll,) = step.requests
    assert poll.headers == {"If-None-Match": '"a"'}
    assert (step.records, step.messages) == ([], 0)
    step = session.answered(poll, answer(market("11"), etag='"b"'))
    assert step.requests[0].headers == {}


def test_a_cursor_that_is_too_old_is_a_gap_and_the_whole_market_anew() -> None:
    session, poll = polled()
    step = session.answered(poll, answer({"error": "too old", "oldest": "500"}, status=410))
    assert [row.kind for row in rows(step.records)] == [Kind.GAP, Kind.STATUS] * 2
    assert states(step.records) == [State.GAP, State.GAP]
    (poll,) = step.requests
    assert poll.url == "http://host/v1/market?limit=1000"
    assert poll.at_ns == 0
    step = session.answered(poll, answer(market("501", tickers=[ticker(), ticker("BTC-USDT")])))
    assert states(step.records) == [State.LIVE, State.LIVE]
    assert session.cursor == "501"


@pytest.mark.parametrize("body", [b"<html><body>502</body></html>", b"", b"[]", b'{"cursor":1}', b"\xff\xff"])
def test_what_is_no_market_is_asked_for_again(body: bytes) -> None:
    session, poll = polled()
    step = session.answered(poll, answer(body))
    assert step.repeat == [poll]
    assert step.requests == []
    assert step.dead_count == 1
    assert session.cursor == "10"


def test_a_status_that_says_nothing_is_asked_again() -> None:
    session, poll = polled()
    step = session.answered(poll, answer(b"no", status=404))
    assert step.repeat == [poll]
    assert "found 404" in step.dead[0][0]


def test_one_broken_entry_does_not_stop_the_others() -> None:
    session, poll = polled()
    trades = [trade("T-1", price="x"), trade("T-2", time="yesterday"), trade("T-3", symbol="NONE"), trade("T-4")]
    step = session.answered(poll, answer(market("11", trades=trades)))
    assert step.dead_count == 3
    assert step.texts == {0: "T-4"}
    assert len(rows(step.records)) == 1
    assert len(step.requests) == 1


def test_settings_are_checked() -> None:
    with pytest.raises(UsageError, match=r"feeds\.x\.rest_url"):
        XsimSession(feed="x", config=VenueConfig(venue="XSIM"), securities={}, previous_close={})
    with pytest.raises(UsageError, match=r"feeds\.x\.interval_ms: expected a positive number, found 0"):
        make(interval_ms=0)
