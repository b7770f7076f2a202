from typing import Any

import pytest
from tests.venues.bats.peer import (
    MILLISECOND,
    START,
    World,
    add,
    delete,
    execute,
    mapping,
    packet,
    status,
    time,
    trade,
    unit_clear,
)

from tickcast.model.errors import UsageError
from tickcast.model.record import Flag, Kind, State
from tickcast.venues.base import VenueConfig
from tickcast.venues.bats.session import BatsSession
from tickcast.venues.registry import open_session


def lose(world: World, *, unit: int = 1, packets: int = 1) -> None:
    """Packets that no line brings, then one that both bring."""
    for _ in range(packets):
        world.venue.act(unit)
    world.both(world.venue.act(unit))


def begun(units: int = 2, **settings: Any) -> World:
    world = World(units=units, **settings)
    for _ in range(20):
        for number in world.venue.units:
            world.both(world.venue.act(number))
    world.check_whole()
    return world


def test_links_are_lines_gap_lines_and_both_servers() -> None:
    world = World()
    assert world.links == {"line0", "line1", "gap0", "gap", "spin"}
    assert World(has_gap=False, has_spin=False).links == {"line0", "line1"}


def test_a_day_from_its_first_message_is_live_and_each_message_counts_once() -> None:
    world = begun()
    assert sorted(world.trade_ids()) == sorted(one for unit in world.venue.units.values() for one in unit.trades)
    assert not world.gaps()
    assert not world.dead()
    first = world.records()[0]
    assert first["ts_recv"] == START
    assert sum(step.messages for step in world.steps) == sum(len(unit.sent) for unit in world.venue.units.values())


def test_times_are_those_of_the_units_own_clock() -> None:
    world = World(units=2)
    one, two = world.venue.units[1], world.venue.units[2]
    world.both(one.send(time(36_000), add(1, "B", 100, "U1A", 999, offset=5)))
    world.both(two.send(time(36_001), add(2, "B", 100, "U2A", 999, offset=7)))
    world.both(one.send(add(3, "B", 100, "U1A", 1000, offset=6)))
    rows = world.records()
    quotes = rows[rows["kind"] == Kind.BID]
    assert quotes["ts_event"].tolist() == [START + 5, START + 1_000_000_007, START + 6]
    assert quotes["seq"].tolist() == [2, 2, 3]


def test_a_loss_on_one_line_is_nothing() -> None:
    world = begun()
    for _ in range(30):
        one = world.venue.act(1)
        world.receive("line0" if world.venue.random.random() < 0.5 else "line1", one)
    world.check_whole()
    assert not world.gap.requests


def test_a_hole_marks_its_unit_and_no_other_until_it_is_filled() -> None:
    world = begun()
    lose(world, unit=1)
    assert set(world.states().values()) == {State.LIVE}  # patience: it may come late
    world.pass_ms(25)
    assert {symbol for symbol, state in world.states().items() if state == State.GAP} == {"U1A", "U1B"}
    assert len(world.gap.requests) == 1
    world.both(world.venue.act(2))  # goes on
    world.retransmit()
    world.check_whole()
    assert not world.gaps()  # nothing was lost in the end
    (missing, first_came), (recovered, then_came) = world.ledger()
    assert (first_came, then_came) == (False, True)
    assert missing == recovered > 0
    assert not world.spin.requests
    rows = world.records()
    assert (rows["flags"] & Flag.BACKFILLED).any()


def test_a_late_packet_needs_no_request() -> None:
    world = begun()
    late, on_time = world.venue.act(1), world.venue.act(1)
    world.both(on_time)
    world.pass_ms(10)
    world.both(late)
    world.pass_ms(100)
    world.check_whole()
    assert not world.gap.requests
    rows = world.records()
    assert State.GAP not in rows["detail"][rows["kind"] == Kind.STATUS]


@pytest.mark.parametrize("status_code", ["O", "D", "M", "I", "U"])
def test_what_the_gap_server_refuses_comes_from_an_image(status_code: str) -> None:
    world = begun()
    world.gap.status = status_code
    lose(world, packets=3)
    world.pass_ms(25)
    assert world.session.phase(1) == "image"
    assert len(world.gap.requests) == 1
    world.both(world.venue.act(1), world.venue.act(2))
    world.pass_ms(1000)
    assert world.session.phase(1) == "image"
    world.offer()
    world.check_whole()
    assert {symbol for symbol, _ in world.gaps()} == {"U1A", "U1B"}
    assert world.spin.requests == [(1, world.venue.units[1].next - 1)]


def test_a_used_up_second_is_waited_for() -> None:
    world = begun(gap_attempts=4)
    world.gap.status = "S"
    lose(world)
    world.pass_ms(25)
    world.gap.status = "A"
    world.pass_ms(1000)
    assert len(world.gap.requests) >= 2
    world.retransmit()
    world.check_whole()
    assert not world.spin.requests


def test_a_request_that_names_too_many_is_cut() -> None:
    world = begun()
    world.gap.count_max = 4
    lose(world, packets=20)
    last = world.venue.units[1].next - 1
    last -= world.session.arbiter.holes()[0][2]
    for _ in range(20):
        world.pass_ms(50)
        world.retransmit()
    world.check_whole()
    counts = [count for _, _, count in world.gap.requests]
    assert counts[0] == len(world.venue.units[1].sent) - world.gap.requests[0][1] + 1 - last
    assert counts[1:5] == [counts[0] // 2, counts[0] // 4, counts[0] // 8, counts[0] // 16]
    assert not world.gaps()


def test_a_gap_server_that_never_answers_is_given_up() -> None:
    world = begun()
    world.gap.status = None
    lose(world)
    world.pass_ms(2000)
    assert len(world.gap.requests) == 3
    assert world.session.phase(1) == "image"
    world.offer()
    world.check_whole()


def test_more_than_is_asked_for_comes_from_an_image_at_once() -> None:
    world = begun(gap_range_max=5)
    lose(world, packets=10)
    world.pass_ms(25)
    assert not world.gap.requests
    assert world.session.phase(1) == "image"
    world.offer()
    world.check_whole()


def test_while_an_image_is_awaited_trades_are_told_and_quotes_are_not() -> None:
    world = begun(has_gap=False)
    lose(world)
    world.pass_ms(25)
    before = len(world.records())
    unit = world.venue.units[1]
    unit.trades |= {7_000_001, 7_000_002}
    world.both(unit.send(trade(100, "U1A", 1000, 7_000_001), add(9_000_001, "B", 500, "U1A", 998)))
    world.both(unit.send(execute(9_000_001, 500, 7_000_002)))
    told = world.records()[before:]
    assert told["kind"].tolist() == [Kind.TRADE, Kind.TRADE]
    assert told["id"].tolist() == [7_000_001, 7_000_002]
    assert (told["flags"] & Flag.LAST_OF_EVENT).all()
    world.offer()
    world.check_whole()
    assert world.trade_ids().count(7_000_001) == 1


def test_an_execution_of_an_order_that_only_the_image_knows_is_told_when_it_is_there() -> None:
    world = begun(has_gap=False)
    unit = world.venue.units[1]
    lose(world)
    world.pass_ms(25)
    world.spin.offer()  # the image is of now, but the offer is on its way
    answers = world.spin.offer()
    key, order = next(iter(unit.orders.items()))
    order.shares -= 50
    unit.trades.add(7_000_003)
    world.both(unit.send(execute(key, 50, 7_000_003)))
    assert 7_000_003 not in world.trade_ids()
    for answer in answers:
        world.receive("spin", answer)
    world.check_whole()
    rows = world.records()
    found = rows[rows["id"] == 7_000_003]
    assert len(found) == 1
    assert found[0]["flags"] & Flag.BACKFILLED


def test_an_image_older_than_the_buffer_is_refused_and_the_next_awaited() -> None:
    world = begun(has_gap=False)
    answers = world.spin.offer()  # of before the loss
    lose(world)
    world.pass_ms(25)
    for answer in answers:
        world.receive("spin", answer)
    assert not world.spin.requests
    assert world.session.phase(1) == "image"
    world.offer()
    world.check_whole()


def test_an_image_newer_than_what_came_waits_for_it() -> None:
    world = begun(has_gap=False)
    lose(world)
    world.pass_ms(25)
    ahead = world.venue.act(1)
    world.offer()
    assert world.session.phase(1) == "image"
    world.both(ahead)
    world.check_whole()


def test_a_spin_server_that_promises_and_sends_nothing_is_left() -> None:
    world = begun(has_gap=False)
    world.spin.is_mute = True
    lose(world)
    world.pass_ms(25)
    world.offer()
    world.pass_ms(6000)
    assert any("spin" in step.drop for step in world.steps)
    world.spin.is_mute = False
    world.offer()
    world.check_whole()


@pytest.mark.parametrize("letter", ["O", "S"])
def test_a_refused_image_is_asked_for_again_with_the_next_offer(letter: str) -> None:
    world = begun(has_gap=False)
    world.spin.status = letter
    lose(world)
    world.pass_ms(25)
    world.offer()
    assert world.session.phase(1) == "image"
    world.spin.status = "A"
    world.offer()
    world.check_whole()


def test_a_hole_while_an_image_is_awaited_moves_the_buffer() -> None:
    world = begun(has_gap=False)
    lose(world)
    world.pass_ms(25)
    answers = world.spin.offer()
    lose(world)
    world.pass_ms(25)
    for answer in answers:
        world.receive("spin", answer)
    assert world.session.phase(1) == "image"
    world.offer()
    world.check_whole()
    assert len(world.gaps()) == 4


def test_a_session_that_begins_in_the_middle_of_the_day_begins_with_images() -> None:
    world = World(units=2)
    for _ in range(30):
        world.venue.act(1)
        world.venue.act(2)
    world.both(world.venue.act(1), world.venue.units[2].heartbeat())
    assert world.session.phase(1) == "image"
    assert world.session.phase(2) == "image"  # only a heartbeat came
    world.offer()
    world.check_whole()
    rows = world.records()
    unknown = rows[rows["kind"] == Kind.VOLUME]
    assert {world.symbols[int(row["instrument"])] for row in unknown} == {"U1A", "U1B", "U2A", "U2B"}
    assert (unknown["flags"] & Flag.NO_SIZE).all()


def test_without_a_spin_server_a_middle_of_the_day_is_unverified_and_a_loss_stays_a_gap() -> None:
    world = World(units=1, has_gap=False, has_spin=False)
    for _ in range(10):
        world.venue.act(1)
    world.both(world.venue.act(1))
    assert set(world.states().values()) == {State.UNVERIFIED}
    whole = World(units=1, has_gap=False, has_spin=False)
    for _ in range(10):
        whole.both(whole.venue.act(1))
    lose(whole)
    whole.pass_ms(25)
    assert whole.session.phase(1) == "lost"
    for _ in range(10):
        whole.both(whole.venue.act(1))
    assert set(whole.states().values()) == {State.GAP}
    whole.venue.units[1].orders.clear()
    whole.both(whole.venue.units[1].send(unit_clear()))
    whole.both(whole.venue.act(1))
    whole.check_whole()


def test_a_unit_clear_empties_the_unit_and_no_other() -> None:
    world = begun()
    world.venue.units[1].orders.clear()
    world.both(world.venue.units[1].send(unit_clear()))
    world.check_whole()
    assert all(level is None for symbol in ("U1A", "U1B") for level in world.best()[symbol])
    assert any(level is not None for symbol in ("U2A", "U2B") for level in world.best()[symbol])


def test_a_unit_clear_while_an_image_is_awaited_makes_it_needless() -> None:
    world = begun(has_gap=False)
    lose(world)
    world.pass_ms(25)
    world.venue.units[1].orders.clear()
    world.both(world.venue.units[1].send(unit_clear()))
    for _ in range(5):
        world.both(world.venue.act(1))
    world.check_whole()
    world.offer()
    assert not world.spin.requests


def test_numbers_that_begin_anew_are_a_new_session_with_empty_books() -> None:
    world = begun(units=1)
    unit = world.venue.units[1]
    unit.sent.clear()
    unit.orders.clear()
    for _ in range(12):
        world.now += 100 * MILLISECOND
        world.both(world.venue.act(1))
    assert any(step.new_session for step in world.steps)
    world.check_whole()


def test_orders_that_were_never_added_are_seen_and_repaired() -> None:
    world = begun()
    unit = world.venue.units[1]
    world.both(unit.send(delete(123_456_789)))
    assert any("never added" in reason for reason in world.dead())
    assert world.states()["U1A"] == State.GAP
    assert world.states()["U2A"] == State.LIVE
    world.offer()
    world.check_whole()


def test_a_halt_is_told_and_stands_after_a_repair() -> None:
    world = begun()
    world.both(world.venue.units[1].send(status("U1A", "H")))
    assert world.states()["U1A"] == State.HALTED
    lose(world)
    world.pass_ms(25)
    assert world.states()["U1A"] == State.GAP
    world.retransmit()
    assert world.states()["U1A"] == State.HALTED
    assert world.states()["U1B"] == State.LIVE


def test_both_sides_send_heartbeats_and_a_login_is_repeated_after_a_break() -> None:
    world = begun()
    world.pass_ms(5000)
    assert world.gap.heartbeats >= 4
    world.receive("gap", packet(()))
    world.carry(world.session.closed("gap", world.now))
    lose(world)
    world.pass_ms(100)
    assert not world.gap.requests  # nobody to ask
    world.carry(world.session.opened("gap", world.now))
    world.pass_ms(600)
    world.retransmit()
    world.check_whole()


@pytest.mark.parametrize(("letter", "is_final"), [("N", True), ("S", True), ("B", False)])
def test_a_rejected_login(letter: str, is_final: bool) -> None:
    session = BatsSession(feed="bats", config=World().config, securities={}, previous_close={})
    session.opened("gap", START)
    step = session.received("gap", [packet([bytes([3, 2]) + letter.encode()])], [START])
    assert ("gap" in step.refused) == is_final
    assert ("gap" in step.drop) != is_final


@pytest.mark.parametrize("damage", [b"\x05\x00\x00\x00" * 4, packet([b"\x00\x04zz"]), packet([b"\x0a\x04"])])
def test_a_stream_that_cannot_be_read_is_dropped(damage: bytes) -> None:
    world = begun()
    step = world.receive("gap", damage)
    assert "gap" in step.drop
    assert step.dead_count == 1


def test_unsequenced_mappings_name_options() -> None:
    world = World(units=1)
    world.both(world.venue.units[1].send(time(), add(1, "B", 10, "00AbCd", 150)))
    world.both(packet([mapping("00AbCd", "AAPL  260918C00150000")], 1))
    assert list(world.symbols.values()) == ["AAPL-USD-20260918-150-C"]  # what the feed calls it is no symbol of ours
    options = [one for step in world.steps for one in step.definitions if one.asset_class == "option"]
    assert [(one.native_symbol, one.lot_size) for one in options] == [("00AbCd", "1")]
    assert world.best()["AAPL-USD-20260918-150-C"] == [(15000, 10), None]


def test_previous_closes_come_with_definitions() -> None:
    world = begun(units=1)
    rows = world.records()
    closes = rows[rows["kind"] == Kind.PREV_CLOSE]
    assert [(world.symbols[int(row["instrument"])], int(row["price"])) for row in closes] == [("U1A", 1000)]


def test_damaged_packets_leave_the_rest_alone() -> None:
    world = begun()
    world.both(b"rubbish")
    world.both(world.venue.act(1))
    world.check_whole()
    assert sum("PITCH packet" in reason for reason in world.dead()) == 2


def spoilt(one: bytes) -> bytes:
    """A packet whose first message has a type that nobody knows."""
    return one[:9] + bytes([one[9] ^ 0x80]) + one[10:]


def test_a_damaged_type_loses_against_the_copy_of_another_line() -> None:
    world = begun()
    one = world.venue.act(1)
    world.receive("line0", spoilt(one))
    assert world.session.phase(1) == "live"
    world.receive("line1", one)
    world.check_whole()
    assert State.GAP not in world.states().values()
    assert not world.gap.requests
    assert not world.spin.requests


def test_a_type_damaged_on_both_lines_is_asked_for() -> None:
    world = begun()
    one = world.venue.act(1)
    world.receive("line0", spoilt(one))
    world.receive("line1", spoilt(one[:-1] + bytes([one[-1] ^ 1])))
    world.both(world.venue.act(1))
    world.pass_ms(25)
    assert world.session.phase(1) == "gap"
    assert world.session.phase(2) == "live"
    world.retransmit()
    world.check_whole()


def test_a_type_that_both_lines_bring_is_doubted_a_few_times_and_then_believed() -> None:
    world = begun()
    for number in range(1, 5):
        world.both(world.venue.units[1].send(b"\x06\xfeabcd"))
        assert world.session.phase(1) == ("image" if number < 4 else "live")
        assert (State.GAP in world.states().values()) == (number < 4)
        world.pass_ms(1)
        world.offer()
    world.both(world.venue.act(1))
    world.check_whole()
    assert world.dead().count("unknown type") == 4


def test_a_message_that_contradicts_the_books_marks_its_unit_until_an_image_is_there() -> None:
    world = begun()
    unit = world.venue.units[1]
    kept = dict(unit.orders)
    unit.orders.clear()
    world.both(unit.send(add(min(kept), "B", 7, unit.symbols[0], 150)))  # its number is in use
    unit.orders.update(kept)
    assert world.session.phase(1) == "image"
    assert world.states()[unit.symbols[0]] == State.GAP
    assert State.GAP not in [world.states()[symbol] for symbol in world.venue.units[2].symbols]
    world.offer()
    world.check_whole()


def test_lines_that_say_different_things_put_the_unit_in_doubt() -> None:
    world = begun()
    unit = world.venue.units[1]
    one = unit.send(time(36_001))
    other = one[:-1] + bytes([one[-1] ^ 1])
    world.receive("line0", other)
    world.receive("line1", one)
    assert world.session.phase(1) == "image"
    world.both(world.venue.act(1))
    world.offer()
    world.check_whole()


def test_a_contradiction_without_a_spin_server_is_a_gap_that_stays() -> None:
    world = begun(has_spin=False)
    world.both(world.venue.units[1].send(delete(987_654)))
    assert world.session.phase(1) == "lost"
    assert {world.states()[symbol] for symbol in world.venue.units[1].symbols} == {State.GAP}
    assert world.session.phase(2) == "live"


@pytest.mark.parametrize(
    "settings",
    [{}, {"lines": ("a:1",), "gap_address": "b:2"}, {"lines": ("a:1",), "username": "toolong"}],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object]) -> None:
    config = VenueConfig(venue="BATS", **settings)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        open_session("bats", config, {})
