"""What the core does about clocks and about trades that are told late."""

import json

from tests.native.test_hub import T0, definition

from tickcast import _native
from tickcast._native import Hub, instrument_id
from tickcast.model.record import Flag, Kind, State, empty_records, record_bytes, records_from

MS = 1_000_000
LAST = int(Flag.LAST_OF_EVENT)


def trade(
    venue: str, cents: int, ts_event: int, *, ts_recv: int | None = None, flags: int = LAST, kind: int = Kind.TRADE
) -> memoryview:
    records = empty_records(1)
    records["instrument"] = instrument_id(f"{venue}:AAPL")
    records["ts_event"], records["ts_recv"] = ts_event, ts_event if ts_recv is None else ts_recv
    records["price"], records["price_scale"], records["size"] = cents, 2, 1
    records["id"] = ts_event % 1_000_003
    records["kind"], records["flags"] = kind, flags
    return record_bytes(records)


# ------------------------------------------------------------------ the least delay


def intake_of() -> _native.Intake:
    intake = _native.Intake(window=1000, skew_ns=1_000_000_000, batch_max=100)
    intake.learn([instrument_id("XNAS:AAPL")])
    return intake


def test_the_least_delay_since_it_was_asked_for() -> None:
    intake = intake_of()
    assert intake.take_lead() is None
    for delay in (9, 4, 7):
        intake.take(bytes(trade("XNAS", 1, T0, ts_recv=T0 + delay * MS)))
    assert intake.take_lead() == -4 * MS
    assert intake.take_lead() is None
    intake.take(bytes(trade("XNAS", 1, T0 + 30 * MS, ts_recv=T0, kind=Kind.BID)))
    assert intake.take_lead() == 30 * MS, "its clock is ahead"


def test_what_says_nothing_of_the_venues_clock_is_left_out() -> None:
    intake = intake_of()
    intake.begin_session(T0)
    for flag in (Flag.SNAPSHOT, Flag.HISTORY, Flag.BACKFILLED, Flag.REPLAYED):
        intake.take(bytes(trade("XNAS", 1, T0, ts_recv=T0 + MS, flags=LAST | flag)))
    intake.take(bytes(trade("XNAS", 1, T0 - 1, ts_recv=T0 + MS)))
    intake.take(bytes(trade("XNAS", 1, T0 + MS)))
    intake.take(bytes(trade("XNAS", 1, T0, ts_recv=T0 + MS, kind=Kind.STATUS)))
    assert intake.take_lead() is None


# ------------------------------------------------------------------ order over venues


def hub_of() -> Hub:
    hub = Hub(epoch=7)
    hub.define([definition("AAPL"), definition("AAPL", "BATS")], T0)
    return hub


def price(hub: Hub) -> str:
    found = hub.price("AAPL", strings=True)
    assert found is not None
    return str(json.loads(found)["price"])


def test_trades_of_two_venues_are_in_the_order_of_one_clock() -> None:
    hub = hub_of()
    hub.set_feed_clock("bats", 50 * MS)
    hub.apply(trade("BATS", 1000, T0 + 40 * MS), T0)  # of 10 ms before, by our clock
    hub.apply(trade("XNAS", 1100, T0), T0)
    assert price(hub) == "11.00"
    hub.apply(trade("BATS", 1200, T0 + 45 * MS), T0)
    assert price(hub) == "11.00", "older than what is shown"
    hub.apply(trade("BATS", 1300, T0 + 55 * MS), T0)
    assert price(hub) == "13.00"


def test_without_a_known_offset_event_times_decide() -> None:
    hub = hub_of()
    hub.apply(trade("BATS", 1000, T0 + 40 * MS), T0)
    hub.apply(trade("XNAS", 1100, T0), T0)
    assert price(hub) == "10.00"


def test_a_feed_that_is_defined_later_has_its_clock_too() -> None:
    hub = Hub(epoch=7)
    hub.set_feed_clock("bats", 50 * MS)
    hub.define([definition("AAPL"), definition("AAPL", "BATS")], T0)
    hub.apply(trade("BATS", 1000, T0 + 40 * MS), T0)
    hub.apply(trade("XNAS", 1100, T0), T0)
    assert price(hub) == "11.00"


# ------------------------------------------------------------------ trades told late


def test_a_trade_told_late_does_not_replace_a_newer_one_for_late_joiners() -> None:
    intake = intake_of()
    intake.take(bytes(trade("XNAS", 100, T0 + MS)))
    intake.take(bytes(trade("XNAS", 200, T0, flags=LAST | Flag.BACKFILLED)))
    (row,) = records_from(intake.snapshot())
    assert int(row["price"]) == 100
    intake.take(bytes(trade("XNAS", 300, T0 + 2 * MS, flags=LAST | Flag.BACKFILLED)))
    (row,) = records_from(intake.snapshot())
    assert int(row["price"]) == 300


def test_it_counts_in_the_volume_and_moves_no_price_back() -> None:
    hub = hub_of()
    hub.set_feed_state("xnas", State.LIVE, "", T0)
    hub.apply(trade("XNAS", 1000, T0 + MS), T0)
    hub.apply(trade("XNAS", 900, T0, flags=LAST | Flag.BACKFILLED), T0)
    found = hub.price("XNAS:AAPL", strings=True)
    assert found is not None
    state = json.loads(found)
    assert (state["price"], state["volume"], state["low"]) == ("10.00", "2", "9.00")
