"""The XNAS session: logins, resume, new sessions, loss; and the recorded AAPL through it."""

import gzip
import random
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.venues.captures import capture
from tests.venues.decoding import rows, states
from tests.venues.xnas import itch

from tickcast import _native
from tickcast.model.errors import UsageError
from tickcast.model.record import Flag, Kind, Side, State, records_from
from tickcast.venues.base import Step, VenueConfig
from tickcast.venues.xnas import soup
from tickcast.venues.xnas.day import midnight_ns
from tickcast.venues.xnas.session import XnasSession
from tickcast.venues.xnas.tape import REGAIN_NS, directory_message

DAY = date(2020, 1, 30)
NOW = midnight_ns(DAY) + 36_000 * itch.SECOND
TEN = 36_000 * itch.SECOND  # ten o'clock, as ITCH writes it
AAPL = _native.instrument_id("XNAS:AAPL")


def make(previous_close: dict[str, str] | None = None, **config: Any) -> XnasSession:
    return XnasSession(
        feed="x",
        config=VenueConfig(venue="XNAS", address="host:1", **config),
        securities={"AAPL": ["XNAS:AAPL", "XSIM:AAPL"]},
        previous_close=previous_close or {},
    )


def login(session: XnasSession, name: str = "S1", sequence: int = 1, now: int = NOW) -> tuple[bytes, Step]:
    """The login that the session sends, and the step of its acceptance."""
    ((_, request),) = session.opened("tape", now).send
    return request, session.received("tape", [itch.accepted(name, sequence)], [now])


def take(session: XnasSession, *messages: bytes, now: int = NOW) -> Step:
    return session.received("tape", [itch.stream(messages)], [now])


def opening(when: int = TEN) -> list[bytes]:
    return [
        itch.directory("AAPL", 1, when),
        itch.add(1, "B", 100, 1_850_000, when=when),
        itch.add(2, "S", 300, 1_850_200, when=when),
    ]


def test_one_link_and_a_login_from_the_start() -> None:
    session = make(username="me", password="pw")  # noqa: S106  what is tested
    (link,) = session.start(NOW).links
    assert (link.transport, link.target) == ("tcp", "host:1")
    request, step = login(session)
    assert request == soup.login(username="me", password="pw", session="", sequence=1)  # noqa: S106
    assert step.new_session


def test_definitions_quotes_and_trades() -> None:
    session = make({"AAPL": "184.50"})
    login(session)
    step = take(session, *opening(), itch.execute(2, 40, 77, when=TEN + 5))
    (definition,) = step.definitions
    assert (definition.name, definition.security, definition.primary) == ("XNAS:AAPL", "AAPL", True)
    assert (definition.lot_size, definition.currency, definition.asset_class) == ("100", "USD", "equity")
    told = rows(step.records)
    assert (told[0].kind, told[0].detail) == (Kind.STATUS, State.SYNCING), "until we are at the login's time"
    assert told[1].kind == Kind.PREV_CLOSE
    assert told[1].ts_event == midnight_ns(DAY) + TEN
    (trade,) = [row for row in told if row.kind == Kind.TRADE]
    assert (trade.price, trade.size, trade.side) == (Decimal("185.0200"), Decimal(40), int(Side.BUYER))
    assert (trade.seq, trade.ident, trade.instrument) == (4, 77, AAPL)
    assert (trade.ts_event, trade.ts_recv) == (midnight_ns(DAY) + TEN + 5, NOW)
    assert step.messages == 4
    assert session.next_sequence == 5


def test_heartbeats_are_sent_after_a_second_without_sending() -> None:
    session = make()
    assert session.wake_ns == 0
    login(session)
    assert session.wake_ns == NOW + itch.SECOND
    assert session.wake(NOW + itch.SECOND - 1).send == []
    assert session.wake(NOW + itch.SECOND).send == [("tape", b"\x00\x01R")]
    assert session.wake_ns == NOW + 2 * itch.SECOND
    session.closed("tape", NOW)
    assert session.wake_ns == 0


def test_a_break_is_resumed_at_the_next_number_with_the_books_kept() -> None:
    session = make()
    login(session)
    half = itch.stream([itch.execute(2, 1, 78)])
    session.received("tape", [itch.stream(opening()) + half[:7]], [NOW])
    session.closed("tape", NOW)
    request, step = login(session, sequence=4)
    assert request == soup.login(username="", password="", session="S1", sequence=4)
    assert not step.new_session
    assert step.records == []
    step = take(session, itch.execute(2, 40, 77))
    assert [row.seq for row in rows(step.records) if row.kind == Kind.TRADE] == [4]
    assert session.decoder.book("AAPL", 1)[1] == [("185.0200", 260, 1)]


def test_a_server_that_begins_earlier_than_asked_is_skipped_over() -> None:
    session = make()
    login(session)
    messages = [*opening(), itch.execute(2, 40, 77), itch.execute(2, 10, 78)]
    take(session, *messages[:4])
    session.closed("tape", NOW)
    login(session, sequence=2)
    step = session.received("tape", [itch.stream(messages[1:3]), itch.stream(messages[3:])], [NOW, NOW])
    assert [row.ident for row in rows(step.records) if row.kind == Kind.TRADE] == [78]
    assert session.decoder.book("AAPL", 1)[1] == [("185.0200", 250, 1)]
    assert session.next_sequence == 6


def test_another_session_begins_anew() -> None:
    session = make()
    login(session)
    take(session, *opening())
    session.closed("tape", NOW)
    _, step = login(session, name="S2")
    assert step.new_session
    told = rows(step.records)
    assert [(row.kind, row.price) for row in told[:2]] == [(Kind.BID, None), (Kind.ASK, None)]
    assert states(step.records) == [State.SYNCING]
    assert session.decoder.orders == 0
    step = take(session, *opening())
    assert step.definitions == []
    assert session.next_sequence == 4
    assert {row.kind for row in rows(step.records)} >= {Kind.BID, Kind.ASK}


def test_messages_that_the_server_has_no_more_are_a_gap_until_the_next_session() -> None:
    session = make()
    login(session)
    take(session, *opening())
    session.closed("tape", NOW)
    _, step = login(session, sequence=104)
    told = rows(step.records)
    assert [(row.kind, row.ident, row.seq) for row in told[:1]] == [(Kind.GAP, 100, 104)]
    assert states(step.records) == [State.GAP]
    # the books hold only what was added since; the stock is still known; what follows does not make it live
    step = take(session, itch.execute(2, 40, 77), itch.add(9, "B", 5, 1_840_000))
    assert step.unpriced == 1
    assert session.decoder.book("AAPL", 9) == ([("184.0000", 5, 1)], [])
    assert State.LIVE not in states(step.records)
    session.closed("tape", NOW)
    login(session, name="S2")
    assert State.LIVE in states(take(session, *opening()).records)


def test_a_first_login_that_cannot_begin_at_the_start_is_unverified() -> None:
    session = make()
    _, step = login(session, sequence=50)
    assert step.records == []
    step = take(session, *opening())
    assert set(states(step.records)) == {State.UNVERIFIED}
    assert session.next_sequence == 53


def test_rejections() -> None:
    session = make()
    session.opened("tape", NOW)
    step = session.received("tape", [itch.packet("J", b"A")], [NOW])
    assert "not authorised" in step.refused["tape"]
    session = make(session="OLD")
    session.opened("tape", NOW)
    step = session.received("tape", [itch.packet("J", b"S")], [NOW])
    assert "not available" in step.drop["tape"]
    request, _ = login(session)
    assert request == soup.login(username="", password="", session="", sequence=1)


def test_the_end_of_the_session_is_followed_by_the_next_one() -> None:
    session = make()
    login(session)
    step = session.received("tape", [itch.stream(opening()) + itch.packet("Z")], [NOW])
    assert step.messages == 3
    assert "ended" in step.drop["tape"]
    session.closed("tape", NOW)
    request, step = login(session, name="S2")
    assert request == soup.login(username="", password="", session="", sequence=1)
    assert step.new_session


def test_an_order_that_never_was_has_the_session_told_again() -> None:
    session = make()
    login(session)
    take(session, *opening())
    step = take(session, itch.execute(9, 10, 50, when=TEN))  # its add was lost inside the stream
    assert states(step.records) == [State.GAP]
    assert [(row.ident, row.seq) for row in rows(step.records) if row.kind == Kind.GAP] == [(0, 5)]
    assert "from its beginning" in step.drop["tape"]
    session.closed("tape", NOW)
    request, step = login(session)
    assert request == soup.login(username="", password="", session="S1", sequence=1)
    assert not step.new_session
    old = TEN - 60 * itch.SECOND
    told = [*opening(old), itch.add(9, "B", 10, 1_840_000, when=old), itch.execute(9, 10, 50, when=old)]
    step = take(session, *told)
    assert [(row.ident, bool(row.flags & Flag.REPLAYED)) for row in rows(step.records) if row.kind == Kind.TRADE] == [
        (50, True)
    ]
    assert State.LIVE not in states(step.records), "gap until all is told"
    step = take(session, itch.execute(2, 1, 51, when=TEN))
    assert states(step.records)[-1] == State.LIVE
    assert session.next_sequence == 7


def test_a_session_that_is_told_again_with_the_same_flaw_is_as_the_venue_means_it() -> None:
    session = make()
    login(session)
    flawed = [*opening(), itch.execute(9, 10, 50, when=TEN)]
    assert take(session, *flawed).drop
    session.closed("tape", NOW)
    login(session)
    step = take(session, *flawed, itch.execute(2, 1, 51, when=TEN))
    assert not step.drop
    assert states(step.records)[-1] == State.LIVE


def test_a_venue_that_contradicts_itself_cannot_make_us_log_in_all_the_time() -> None:
    session = make()
    login(session)
    take(session, *opening())
    now, logins, number = NOW, 0, 4
    while now < NOW + REGAIN_NS:
        step = take(session, itch.execute(1_000 + number, 10, number, when=TEN), now=now)
        if "tape" in step.drop:
            logins += 1
            session.closed("tape", now)
            login(session, now=now)
            past = [itch.execute(1_000 + at, 10, at, when=TEN) for at in range(4, number + 1)]
            assert not take(session, *opening(), *past, now=now).drop
        number += 1
        now += 50_000_000
    assert logins == 3
    assert session.wake_ns > 0
    step = session.wake(NOW + REGAIN_NS)
    assert "tape" in step.drop, "later it is tried again"


def test_a_session_that_cannot_be_told_again_is_lost() -> None:
    session = make()
    login(session)
    take(session, *opening())
    take(session, itch.execute(9, 10, 50, when=TEN))
    session.closed("tape", NOW)
    _, step = login(session, sequence=30)
    assert states(step.records)[-1] == State.GAP
    assert session.decoder.book("AAPL", 1) == ([], [])
    assert not take(session, itch.execute(2, 1, 51, when=TEN)).drop


def test_a_recording_may_begin_in_the_middle() -> None:
    session = make(date="2020-01-30")
    login(session)
    step = take(session, *opening(), itch.execute(9, 10, 50, when=TEN))
    assert not step.drop
    assert State.GAP not in states(step.records)


def test_damage_drops_the_link_and_what_came_before_counts() -> None:
    session = make()
    login(session)
    step = session.received("tape", [itch.stream(opening()) + b"\x00\x00rest", b"more"], [NOW, NOW])
    assert step.messages == 3
    assert "tape" in step.drop
    assert session.next_sequence == 4


def test_a_message_of_unknown_type_may_be_damage_until_it_is_told_again() -> None:
    session = make()
    login(session)
    flawed = [opening()[0], b"?what", *opening()[1:]]
    step = take(session, *flawed)
    assert step.dead_count == 1
    assert step.dead[0][1] == b"?what"
    assert "from its beginning" in step.drop["tape"]
    session.closed("tape", NOW)
    login(session)
    step = take(session, *flawed)
    assert not step.drop, "it is as the venue means it"
    assert states(step.records)[-1] == State.LIVE
    assert session.next_sequence == 5
    step = take(session, b"?that", itch.execute(2, 1, 51, when=TEN))
    assert not step.drop, "the type is known to exist"
    assert State.GAP not in states(step.records)


def test_of_what_happened_before_the_login_only_trades_are_told_as_repeats() -> None:
    session = make()
    login(session)
    old = TEN - 60 * itch.SECOND
    told = [itch.execute(2, 40, 77, when=old), itch.execute(2, 9, 78, when=old), itch.bust(78, when=old)]
    step = take(session, *opening(old), itch.cross(500, 1_850_100, 70, when=old), *told)
    past = [row for row in rows(step.records) if row.ts_event == midnight_ns(DAY) + old]
    assert [row.kind for row in past] == [Kind.TRADE, Kind.TRADE, Kind.TRADE, Kind.BUST]
    assert all(row.flags & Flag.REPLAYED and row.flags & Flag.LAST_OF_EVENT for row in past)
    states = [row.detail for row in rows(step.records) if row.kind == Kind.STATUS]
    assert states == [State.SYNCING]


def test_at_the_logins_time_best_prices_and_states_are_told() -> None:
    session = make()
    login(session)
    take(session, *opening(TEN - 60 * itch.SECOND))
    fresh = rows(take(session, itch.execute(2, 10, 79, when=TEN)).records)
    assert fresh[0].flags & Flag.REPLAYED, "it may have been told before, shortly before the login"
    state, bid, ask = fresh[-3:]
    assert (state.kind, state.detail) == (Kind.STATUS, State.LIVE)
    assert (bid.kind, ask.kind) == (Kind.BID, Kind.ASK)
    assert all(row.flags & Flag.SNAPSHOT and row.ts_event == NOW for row in (state, bid, ask))
    again = rows(take(session, itch.execute(2, 1, 80, when=TEN)).records)
    assert not any(row.flags & (Flag.SNAPSHOT | Flag.REPLAYED) for row in again), "told once"


def test_a_quiet_venue_ends_the_catching_up_with_its_heartbeat() -> None:
    session = make()
    login(session)
    take(session, *opening(TEN - 60 * itch.SECOND))
    told = rows(session.received("tape", [itch.packet("H")], [NOW]).records)
    assert [row.kind for row in told] == [Kind.STATUS, Kind.BID, Kind.ASK]
    assert session.received("tape", [itch.packet("H")], [NOW]).records == []


def test_a_link_that_breaks_while_catching_up_goes_on_catching_up() -> None:
    session = make()
    login(session)
    take(session, *opening(TEN - 60 * itch.SECOND))
    session.closed("tape", NOW)
    login(session, sequence=session.next_sequence)
    told = rows(take(session, itch.execute(2, 10, 79, when=TEN)).records)
    assert Kind.STATUS in {row.kind for row in told}


def test_a_fixed_date_is_a_recording() -> None:
    session = make(date="2019-12-30")
    login(session)
    step = take(session, *opening(), itch.execute(2, 40, 77, when=TEN))
    records = records_from(b"".join(step.records))
    assert set(records["ts_event"].tolist()) == {midnight_ns(date(2019, 12, 30)) + TEN}
    assert not (records["flags"] & Flag.REPLAYED).any()


def test_only_the_symbols_of_the_config() -> None:
    session = make(symbols=("MSFT",))
    login(session)
    step = take(session, *opening(), itch.directory("MSFT", 2))
    assert [one.symbol for one in step.definitions] == ["MSFT"]


def test_a_directory_message_is_built_again_byte_for_byte() -> None:
    message = itch.directory("BRK.A", 7, 12_345, lot=1)
    (fields,) = _native.itch_messages(len(message).to_bytes(2, "big") + message)
    assert directory_message(fields) == len(message).to_bytes(2, "big") + message


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"address": None}, "expected host:port"),
        ({"date": "30.01.2020"}, "Invalid isoformat"),
        ({"username": "far too long"}, "at most 6"),
    ],
)
def test_settings_are_checked(config: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        XnasSession(
            feed="x",
            config=VenueConfig(**{"venue": "XNAS", "address": "h:1", **config}),
            securities={},
            previous_close={},
        )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_however_the_stream_is_cut_and_broken_the_records_are_the_same(seed: int) -> None:
    dice = random.Random(seed)
    messages = [itch.directory("AAPL", 1, TEN)]
    for number in range(1, 60):
        messages.append(itch.add(number, dice.choice("BS"), 100, dice.randrange(100, 120) * 10_000, when=TEN + number))
        if dice.random() < 0.4:
            messages.append(itch.execute(dice.randrange(1, number + 1), 10, number, when=TEN + number))
    whole = make(date="2020-01-30")
    login(whole)
    expected = b"".join(take(whole, *messages).records)

    session, told = make(date="2020-01-30"), list[bytes]()
    position = 0
    while position < len(messages):
        told.extend(login(session, sequence=session.next_sequence)[1].records)
        position = session.next_sequence - 1
        data = itch.stream(messages[position : position + dice.randrange(1, 40)])
        data = data[: dice.randrange(len(data) + 1)] if position else data
        while data:
            size = dice.randrange(1, 200)
            told.extend(session.received("tape", [data[:size]], [NOW]).records)
            data = data[size:]
        session.closed("tape", NOW)
        position = session.next_sequence - 1
    assert rows(told) == rows(expected)


@pytest.mark.captures
def test_the_recorded_aapl_equals_an_independent_count() -> None:
    data = gzip.decompress(capture("itch/nasdaq_20200130_AAPL_first5000.itch50.gz").read_bytes())
    messages = list(itch.split(data))
    count = itch.Count()
    session = make(date="2020-01-30")
    login(session)
    told, dead, unpriced = list[bytes](), 0, 0
    dice = random.Random(20200130)
    position = 0
    while position < len(messages):
        part = messages[position : position + dice.randrange(1, 300)]
        position += len(part)
        step = take(session, *part)
        told.extend(step.records)
        dead += step.dead_count
        unpriced += step.unpriced
        for message in part:
            count.take(message)
    assert (dead, session.next_sequence - 1) == (0, len(messages))
    mine = [row for row in rows(told) if row.instrument == AAPL]
    assert [(row.ident, row.price, row.size) for row in mine if row.kind == Kind.TRADE] == count.trades
    assert count.trades
    quotes = {row.kind: (row.price, row.size) for row in mine if row.kind in (Kind.BID, Kind.ASK)}
    assert (quotes[Kind.BID], quotes[Kind.ASK]) == (count.best("B"), count.best("S"))
    first = next(row for row in mine if row.kind == Kind.TRADE)
    assert midnight_ns(DAY) < first.ts_event < midnight_ns(date(2020, 1, 31))
