"""XNYS without a socket: requests, refusals, repair, against a model of the venue's session."""

from decimal import Decimal
from typing import Any

import pytest
from tests.venues.decoding import Row, rows
from tests.venues.fix.peer import EPOCH_NS, Peer, parse

from tickcast.model.errors import UsageError
from tickcast.model.record import Flag, Kind, State
from tickcast.venues.base import Persistent, Step, VenueConfig
from tickcast.venues.xnys.session import LINK, XnysSession

SECOND = 1_000_000_000


class Venue:
    """A session under test and the other side of it."""

    def __init__(self, **settings: Any) -> None:
        config = VenueConfig(venue="XNYS", address="127.0.0.1:1", **settings)
        self.session = XnysSession(feed="nyse", config=config, securities={}, previous_close={"A": "9.50"})
        self.peer = Peer()
        self.now_ns = EPOCH_NS

    def take(self, *raw: bytes) -> Step:
        step = self.session.received(LINK, [b"".join(raw)], [self.now_ns])
        self.hear(step)
        return step

    def hear(self, step: Step) -> list[dict[int, str]]:
        sent = [parse(data) for _, data in step.send]
        for fields in sent:
            if fields.get(43) != "Y":
                self.peer.next_in = int(fields[34]) + 1
        return sent

    def say(self, msg_type: str, *fields: tuple[int, object]) -> bytes:
        self.peer.sent[self.peer.next_out] = list(fields)
        return self.peer.admin(msg_type, *fields)

    def up(self, *symbols: str) -> list[dict[int, str]]:
        """Log on, list, and return the market data requests."""
        self.hear(self.session.opened(LINK, self.now_ns))
        (asked,) = self.hear(self.take(self.peer.logon()))
        assert (asked[35], asked[559]) == ("x", "4")
        listed = [(tag, value) for symbol in symbols for tag, value in ((55, symbol), (15, "USD"), (561, 100))]
        step = self.take(self.say("y", (320, asked[320]), (560, 0), (893, "Y"), (146, len(symbols)), *listed))
        return [parse(data) for _, data in step.send]

    def refresh(self, ident: str, symbol: str, *, seq: int = 0) -> Step:
        number = [(83, seq)] if seq else []
        levels = [(269, 0), (270, 9), (271, 5), (269, 1), (270, 10), (271, 6)]
        return self.take(self.say("W", (262, ident), (55, symbol), *number, (268, 2), *levels))


def found(step: Step) -> list[Row]:
    return rows(step.records)


def test_request_ids_of_another_process_are_told_apart() -> None:
    first, second = Venue(), Venue()
    (request,) = first.up("A")
    kept = first.session.wake(EPOCH_NS + 10 * SECOND).keep
    assert kept is not None
    second.session.restore(kept)
    second.peer = first.peer
    (again,) = second.up("A")
    assert again[262].partition("-")[0] != request[262].partition("-")[0]
    assert State.LIVE not in states(second.refresh(request[262], "A")), "an old refresh that is sent again"
    assert states(second.refresh(again[262], "A")) == [State.LIVE]


def states(step: Step) -> list[State]:
    return [State(row.detail) for row in found(step) if row.kind == Kind.STATUS]


def test_the_order_of_things() -> None:
    venue = Venue(depth=5)
    (request,) = venue.up("A", "B")
    assert (request[35], request[263], request[264], request[265], request[267], request[146]) == (
        "V", "1", "5", "1", "4", "2",
    )  # fmt: skip
    step = venue.refresh(request[262], "A")
    assert states(step) == [State.LIVE]
    quotes = [(row.kind, row.price, row.size) for row in found(step) if row.kind in {Kind.BID, Kind.ASK}]
    assert quotes == [(Kind.BID, Decimal(9), Decimal(5)), (Kind.ASK, Decimal(10), Decimal(6))]


def test_definitions_go_before_and_bring_the_previous_close() -> None:
    venue = Venue()
    venue.hear(venue.session.opened(LINK, venue.now_ns))
    (asked,) = venue.hear(venue.take(venue.peer.logon()))
    listed = [(55, "A"), (15, "USD"), (969, "0.01"), (561, 100), (55, "b!d"), (55, "C"), (140, "3.25")]
    step = venue.take(venue.say("y", (320, asked[320]), (560, 0), (893, "Y"), (146, 3), *listed))
    assert [(one.symbol, one.tick_size, one.lot_size) for one in step.definitions] == [
        ("A", "0.01", "100"),
        ("C", None, "100"),
    ]
    closes = [str(row.price) for row in found(step) if row.kind == Kind.PREV_CLOSE]
    assert closes == ["9.50", "3.25"]
    assert [reason for reason, _ in step.dead]
    assert states(step) == [State.SYNCING] * 3


def test_many_symbols_take_many_requests() -> None:
    requests = Venue().up(*(f"S{number}" for number in range(120)))
    assert [int(request[146]) for request in requests] == [50, 50, 20]
    assert len({request[262] for request in requests}) == 3


def test_only_wanted_symbols_are_subscribed_and_missing_ones_told() -> None:
    venue = Venue(symbols=("B", "Z"))
    venue.hear(venue.session.opened(LINK, venue.now_ns))
    (asked,) = venue.hear(venue.take(venue.peer.logon()))
    step = venue.take(venue.say("y", (320, asked[320]), (560, 0), (893, "Y"), (146, 2), (55, "A"), (55, "B")))
    assert [parse(data)[55] for _, data in step.send] == ["B"]
    assert step.unlisted == ["Z"]


def test_a_venue_without_a_list_is_asked_for_what_the_config_names() -> None:
    venue = Venue(symbols=("A",))
    venue.hear(venue.session.opened(LINK, venue.now_ns))
    (asked,) = venue.hear(venue.take(venue.peer.logon()))
    step = venue.take(venue.say("j", (45, asked[34]), (372, "x"), (380, 3), (58, "Unsupported Message Type")))
    assert [parse(data)[35] for _, data in step.send] == ["V"]
    assert [one.symbol for one in step.definitions] == ["A"]


def test_a_hole_of_one_instrument_is_repaired_alone() -> None:
    venue = Venue()
    (request,) = venue.up("A", "B")
    for symbol in "AB":
        venue.refresh(request[262], symbol, seq=3)
    venue.now_ns += 2 * SECOND
    update = [(279, 1), (269, 0), (55, "A"), (270, 9), (271, 7), (83, 9)]
    step = venue.take(venue.say("X", (262, request[262]), (268, 1), *update))
    assert states(step) == [State.GAP]
    (again,) = [parse(data) for _, data in step.send]
    assert (again[35], again[263], again[146], again[55]) == ("V", "0", "1", "A")
    assert states(venue.refresh(again[262], "A", seq=9)) == [State.LIVE]


def test_a_refresh_that_does_not_come_is_asked_for_again() -> None:
    venue = Venue()
    venue.up("A")
    step = venue.session.wake(EPOCH_NS + 10 * SECOND)
    assert [(parse(data)[35], parse(data)[263]) for _, data in step.send] == [("V", "0")]


def test_what_the_venue_fills_is_lost_for_everybody() -> None:
    venue = Venue()
    (request,) = venue.up("A", "B")
    for symbol in "AB":
        venue.refresh(request[262], symbol)
    venue.peer.next_out += 2
    venue.now_ns += 2 * SECOND
    step = venue.take(venue.say("X", (262, request[262]), (268, 0)))
    assert states(step) == [State.GAP, State.GAP]
    assert [(row.instrument, row.ident) for row in found(step) if row.kind == Kind.GAP] == [(0, 2)]
    hole = venue.peer.next_out - 3
    step = venue.take(venue.peer.raw("4", hole, [(123, "Y"), (36, hole + 2)], again=True))
    assert [row.ident for row in found(step) if row.kind == Kind.GAP] == [2, 2]
    (again,) = [parse(data) for _, data in step.send]
    assert (again[263], again[146]) == ("0", "2")
    assert states(venue.refresh(again[262], "A")) == [State.LIVE]
    assert states(venue.refresh(again[262], "B")) == [State.LIVE]


def test_what_comes_again_is_flagged_and_nothing_is_lost() -> None:
    venue = Venue()
    (request,) = venue.up("A")
    venue.refresh(request[262], "A")
    trade = [(262, request[262]), (268, 1), (279, 0), (269, 2), (55, "A"), (270, 9), (271, 5), (1003, 41)]
    venue.say("X", *trade)
    step = venue.take(venue.say("X", *trade[:-1], (1003, 42)))
    assert states(step) == [State.GAP]
    step = venue.take(venue.peer.raw("X", venue.peer.next_out - 2, trade, again=True))
    trades = [(row.ident, bool(row.flags & Flag.BACKFILLED)) for row in found(step) if row.kind == Kind.TRADE]
    assert trades == [(41, True), (42, False)]
    assert states(step) == [State.LIVE]
    ledger = [row for row in found(step) if row.kind == Kind.GAP]
    assert [(row.instrument, row.ident, bool(row.flags & Flag.BACKFILLED)) for row in ledger] == [(0, 1, True)]


def test_refused_symbols_are_tried_alone_and_then_unverified() -> None:
    venue = Venue()
    (request,) = venue.up("A", "B")
    step = venue.take(venue.say("Y", (262, request[262]), (281, 0), (58, "Unknown symbol: B")))
    alone = [parse(data) for _, data in step.send]
    assert [one[55] for one in alone] == ["A", "B"]
    step = venue.take(venue.say("Y", (262, alone[1][262]), (281, 0), (58, "Unknown symbol: B")))
    assert states(step) == [State.UNVERIFIED]
    assert list(step.texts.values()) == ["0 Unknown symbol: B"]
    assert states(venue.refresh(alone[0][262], "A")) == [State.LIVE]


def test_an_entry_type_or_a_refresh_that_is_not_served_is_done_without() -> None:
    venue = Venue()
    (request,) = venue.up("A")
    step = venue.take(venue.say("Y", (262, request[262]), (281, 8)))
    (again,) = [parse(data) for _, data in step.send]
    assert (again[263], again[267]) == ("1", "3")
    venue.refresh(again[262], "A", seq=1)
    venue.now_ns += 2 * SECOND
    update = [(279, 1), (269, 0), (55, "A"), (270, 9), (271, 7), (83, 9)]
    (ask,) = venue.hear(venue.take(venue.say("X", (262, again[262]), (268, 1), *update)))
    step = venue.take(venue.say("Y", (262, ask[262]), (281, 4)))
    kinds_sent = [(parse(data)[263], parse(data)[262]) for _, data in step.send]
    assert [kind for kind, _ in kinds_sent] == ["2", "1"]
    assert kinds_sent[0][1] == again[262]


def test_after_a_break_everything_is_asked_for_again() -> None:
    venue = Venue()
    (request,) = venue.up("A")
    venue.refresh(request[262], "A")
    venue.session.closed(LINK, venue.now_ns)
    venue.hear(venue.session.opened(LINK, venue.now_ns))
    step = venue.take(venue.peer.logon())
    assert states(step) == [State.GAP]
    (asked,) = [parse(data) for _, data in step.send]
    step = venue.take(venue.say("y", (320, asked[320]), (560, 0), (893, "Y"), (146, 1), (55, "A"), (561, 100)))
    (again,) = [parse(data) for _, data in step.send]
    # a refresh that answers the old request says how the book was then
    assert states(venue.refresh(request[262], "A")) == []
    assert states(venue.refresh(again[262], "A")) == [State.LIVE]


def test_numbers_are_kept_and_taken_up() -> None:
    venue = Venue()
    step = venue.session.opened(LINK, venue.now_ns)
    assert step.keep is not None
    other = Venue().session
    assert isinstance(other, Persistent)
    other.restore(step.keep)
    assert other.fix.next_out == 2


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"sender_comp_id": ""}, "sender_comp_id"),
        ({"password": "a\x01b"}, "password"),
        ({"heartbeat_s": 0}, "heartbeat_s"),
    ],
)
def test_settings_that_no_message_can_carry(settings: dict[str, Any], key: str) -> None:
    with pytest.raises(UsageError, match=rf"feeds\.nyse\.{key}: expected"):
        Venue(**settings)
