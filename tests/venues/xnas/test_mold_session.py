"""ITCH over MoldUDP64: lines, gaps, requests, losses, sessions, resets, contradictions, late starts."""

import random
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.venues.decoding import rows, states
from tests.venues.xnas import itch

from tickcast import _native
from tickcast.model.errors import UsageError
from tickcast.model.record import Flag, Kind, State
from tickcast.venues.base import Step, VenueConfig
from tickcast.venues.registry import open_session
from tickcast.venues.xnas import mold
from tickcast.venues.xnas.day import midnight_ns
from tickcast.venues.xnas.mold_session import SETTLE_NS, MoldSession
from tickcast.venues.xnas.session import XnasSession
from tickcast.venues.xnas.tape import REGAIN_NS

MS = 1_000_000
NOW = midnight_ns(date(2020, 1, 30)) + 36_000 * itch.SECOND
TEN = 36_000 * itch.SECOND
LINES = ("127.0.0.1:26411", "127.0.0.1:26412")
TODAY, TOMORROW = "0000000001", "0000000002"


def make(**config: Any) -> MoldSession:
    values = {"venue": "XBOS", "lines": LINES, "rerequest": "127.0.0.1:26413", **config}
    session = open_session("x", VenueConfig(**values), {})
    assert isinstance(session, MoldSession)
    return session


def packet(first: int, *messages: bytes, name: str = TODAY, count: int | None = None) -> bytes:
    body = b"".join(len(message).to_bytes(2, "big") + message for message in messages)
    return mold.HEADER.pack(name.encode(), first, len(messages) if count is None else count) + body


def take(session: MoldSession, *packets: bytes, line: str = "line1", now: int = NOW) -> Step:
    return session.received(line, packets, [now] * len(packets))


def opening(when: int = TEN) -> list[bytes]:
    return [
        itch.directory("AAPL", 1, when),
        itch.add(1, "B", 100, 1_850_000, when=when),
        itch.add(2, "S", 300, 1_850_200, when=when),
    ]


def gaps(step: Step) -> list[tuple[int, int, bool]]:
    """Missing, next number, repaired."""
    told = [row for row in rows(step.records) if row.kind == Kind.GAP]
    return [(row.ident, row.seq, bool(row.flags & Flag.BACKFILLED)) for row in told]


def trades(*steps: Step) -> list[int]:
    return [row.ident for step in steps for row in rows(step.records) if row.kind == Kind.TRADE]


def requests(step: Step) -> list[tuple[bytes, int, int]]:
    assert all(link == "rerequest" for link, _ in step.send)
    return [mold.HEADER.unpack(data) for _, data in step.send]


def live(now: int = NOW) -> MoldSession:
    """A session that has told the opening (messages 1 to 3) and is live."""
    session = make()
    step = take(session, packet(1, *opening()), now=now)
    assert step.new_session
    assert states(step.records)[-1] == State.LIVE
    return session


def test_a_link_for_each_line_and_one_for_requests() -> None:
    links = make(interface="", rerequest="10.0.0.1:7").start(NOW).links
    assert [(link.name, link.transport, link.target) for link in links] == [
        ("line1", "udp_line", LINES[0]),
        ("line2", "udp_line", LINES[1]),
        ("rerequest", "udp", "10.0.0.1:7"),
    ]
    assert [link.name for link in make(rerequest=None).start(NOW).links] == ["line1", "line2"]


def test_the_first_line_wins_and_the_other_brings_nothing_new() -> None:
    session = live()
    first = take(session, packet(4, itch.execute(2, 40, 77, when=TEN)))
    assert trades(first) == [77]
    assert rows(first.records)[0].seq == 4
    again = take(session, packet(1, *opening()), packet(4, itch.execute(2, 40, 77, when=TEN)), line="line2")
    assert (again.records, again.messages, again.dead_count) == ([], 0, 0)
    assert session.decoder.book("AAPL", 1)[1] == [("185.0200", 260, 1)]


def test_a_hole_that_the_other_line_fills_in_time_is_nothing() -> None:
    session = live()
    held = take(session, packet(5, itch.execute(2, 10, 78, when=TEN)))
    assert held.records == []
    assert session.wake_ns == NOW + 20 * MS
    step = take(session, packet(4, itch.execute(2, 40, 77, when=TEN)), line="line2", now=NOW + 5 * MS)
    assert trades(step) == [77, 78]
    assert (gaps(step), session.wake_ns) == ([], 0)


def test_an_older_hole_marks_everything_is_asked_for_and_heals() -> None:
    session = live()
    take(session, packet(6, itch.execute(2, 10, 79, when=TEN)))
    step = session.wake(NOW + 20 * MS)
    assert gaps(step) == [(2, 6, False)]
    assert states(step.records) == [State.GAP]
    assert requests(step) == [(TODAY.encode(), 4, 2)]
    assert session.wake_ns == NOW + 520 * MS
    # the answer holds one of the two; the other is asked for again at once
    step = take(session, packet(4, itch.execute(2, 40, 77, when=TEN)), line="rerequest", now=NOW + 21 * MS)
    assert trades(step) == [77]
    assert State.LIVE not in states(step.records)
    assert requests(step) == [(TODAY.encode(), 5, 1)]
    step = take(session, packet(5, itch.execute(2, 40, 78, when=TEN)), line="rerequest", now=NOW + 22 * MS)
    assert trades(step) == [78, 79]
    assert gaps(step) == [(2, 7, True)]
    told = [row for row in rows(step.records) if row.flags & Flag.SNAPSHOT]
    assert [row.kind for row in told] == [Kind.STATUS, Kind.BID, Kind.ASK]
    assert (told[0].detail, told[2].size) == (State.LIVE, Decimal(210))
    assert session.wake_ns == 0


def test_a_silent_server_is_asked_again_and_given_up() -> None:
    session = live()
    take(session, packet(6, itch.execute(2, 10, 79, when=TEN), itch.add(3, "B", 7, 1_840_000, when=TEN)))
    now, asked = NOW + 20 * MS, 0
    step = session.wake(now)
    while not gaps(step) or asked < 3:
        asked += len(requests(step))
        now = session.wake_ns
        assert now, "it does not wait for ever"
        step = session.wake(now)
    assert asked == 3
    assert "4 to 5 are lost: no answer to 3 requests" in step.dead[0][0]
    # the order of before is gone with the books: its execution has no price; what was added since is known
    assert states(step.records)[-1] == State.GAP
    assert State.LIVE not in states(step.records)
    assert step.unpriced == 1
    assert session.decoder.book("AAPL", 9) == ([("184.0000", 7, 1)], [])
    step = take(session, packet(8, itch.execute(3, 1, 80, when=TEN)), now=now)
    assert trades(step) == [80]
    assert State.LIVE not in states(step.records)
    late = take(session, packet(4, itch.execute(2, 40, 77, when=TEN)), line="rerequest", now=now)
    assert (late.records, late.messages) == ([], 0)


def pass_until(session: MoldSession, now: int, wanted: Any) -> tuple[int, Step]:
    """Wake the session when it wants to be until a step is as wanted."""
    for _ in range(100):
        now = max(now, session.wake_ns)
        step = session.wake(now)
        if wanted(step):
            return now, step
    raise AssertionError("it never came")


def test_after_a_loss_the_server_is_asked_again_and_when_it_answers_all_is_told_again() -> None:
    session = live()
    old = TEN - 60 * itch.SECOND
    take(session, packet(5, itch.execute(2, 10, 78, when=TEN)))
    now, step = pass_until(session, NOW + 20 * MS, lambda step: step.dead_count)
    assert states(step.records)[-1] == State.GAP
    waits = []
    for _ in range(7):
        before = now
        now, step = pass_until(session, now, lambda step: step.send)
        assert requests(step) == [(TODAY.encode(), 1, 1)], "only to see whether it answers"
        waits.append((now - before) // 1_000_000_000)
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    step = take(session, packet(6, itch.execute(2, 1, 79, when=TEN)), now=now)
    assert trades(step) == [], "its order was added before the loss"
    session.wake(now)
    step = take(session, packet(1, opening(old)[0]), line="rerequest", now=now + 1)
    assert requests(step)[0][1] == 1
    missing = [*opening(old), itch.execute(2, 40, 77, when=old), itch.execute(2, 10, 78, when=old)]
    step = take(session, packet(1, *missing, itch.execute(2, 1, 79, when=old)), line="rerequest", now=now + 2)
    assert states(step.records)[-1] == State.LIVE
    assert trades(step) == [77, 78, 79]
    assert all(row.flags & Flag.REPLAYED for row in rows(step.records) if row.kind == Kind.TRADE)
    assert session.decoder.book("AAPL", 1)[1] == [("185.0200", 249, 1)]
    assert session.wake_ns == 0


def test_a_session_too_long_to_be_told_again_is_not_asked_for() -> None:
    session = make(gap_range_max=1, join_range_max=3)
    take(session, packet(1, *opening()))
    take(session, packet(7, itch.execute(2, 10, 78, when=TEN)))
    step = session.wake(NOW + 20 * MS)
    assert states(step.records)[-1] == State.GAP
    assert "gap_range_max = 1" in step.dead[0][0]
    assert session.wake_ns == 0


def test_a_type_that_nobody_knows_loses_against_the_copy_of_another_line() -> None:
    session = live()
    good = itch.execute(2, 40, 77, when=TEN)
    spoilt = bytes([good[0] ^ 0x80]) + good[1:]
    step = take(session, packet(4, spoilt))
    assert (step.dead_count, step.messages) == (1, 0)
    step = take(session, packet(4, good), line="line2")
    assert trades(step) == [77]
    assert State.GAP not in states(step.records)


def test_a_type_that_only_the_venue_knows_is_told_again_once_and_then_believed() -> None:
    session = live()
    take(session, packet(4, b"?new"))
    step = take(session, packet(4, b"?new"), line="line2", now=NOW + 1)
    assert states(step.records)[-1] == State.GAP
    now, step = pass_until(session, NOW, lambda step: step.send)
    step = take(session, packet(1, *opening(), b"?new"), line="rerequest", now=now + 1)
    assert states(step.records)[-1] == State.LIVE
    for line in ("line1", "line2"):
        step = take(session, packet(5, b"?more"), line=line, now=now + 2)
    assert State.GAP not in states(step.records)
    assert session.arbiter.unit(0)["expected"] == 6


def test_without_a_server_what_is_lost_is_lost_at_once_until_the_next_session() -> None:
    session = make(rerequest=None)
    take(session, packet(1, *opening()))
    take(session, packet(5, itch.add(3, "B", 7, 1_840_000, when=TEN)))
    step = session.wake(NOW + 20 * MS)
    assert step.send == []
    assert states(step.records)[-1] == State.GAP
    step = take(session, *(packet(1, *opening(), name=TOMORROW),) * 2, now=NOW + 1)
    assert step.new_session
    assert states(step.records)[-1] == State.LIVE


def test_a_late_start_asks_for_everything_and_tells_it_as_a_replay() -> None:
    session = make()
    old = TEN - 60 * itch.SECOND
    step = take(session, packet(6, itch.execute(2, 10, 79, when=TEN)))
    assert step.new_session
    step = session.wake(NOW + 20 * MS)
    assert requests(step) == [(TODAY.encode(), 1, 5)]
    assert gaps(step) == []
    past = packet(1, *opening(old), itch.execute(2, 40, 77, when=old), itch.execute(2, 1, 78, when=TEN))
    step = take(session, past, line="rerequest", now=NOW + 21 * MS)
    told = rows(step.records)
    assert trades(step) == [77, 78, 79]
    assert all(row.flags & Flag.REPLAYED for row in told if row.kind == Kind.TRADE)
    quotes = [row for row in told if row.kind in (Kind.BID, Kind.ASK) and not row.flags & Flag.SNAPSHOT]
    assert all(row.ts_event >= NOW - itch.SECOND for row in quotes), "old quotes are not told"
    assert states(step.records)[0] == State.SYNCING
    assert states(step.records)[-1] == State.LIVE
    step = take(session, packet(7, itch.execute(2, 1, 80, when=TEN)), now=NOW + 22 * MS)
    assert not any(row.flags & Flag.REPLAYED for row in rows(step.records))


@pytest.mark.parametrize("config", [{"rerequest": None}, {"join_range_max": 4}])
def test_a_late_start_without_history_is_unverified_and_its_stocks_are_known_by_name(config: dict[str, Any]) -> None:
    session = make(**config)
    take(session, packet(6, itch.add(3, "B", 7, 1_840_000, when=TEN)))
    step = session.wake(NOW + 20 * MS)
    assert [one.symbol for one in step.definitions] == ["AAPL"]
    assert set(states(step.records)) == {State.UNVERIFIED}
    assert step.send == []
    assert {row.kind for row in rows(step.records)} >= {Kind.BID}


def test_a_heartbeat_shows_what_was_lost_at_the_end() -> None:
    session = live()
    take(session, packet(5))
    assert requests(session.wake(NOW + 20 * MS)) == [(TODAY.encode(), 4, 1)]


def test_a_new_session_begins_a_step_of_its_own() -> None:
    session = live()
    step = take(
        session,
        packet(4, itch.execute(2, 40, 77, when=TEN)),
        packet(1, *opening(), name=TOMORROW),
        packet(4, itch.execute(2, 1, 5, when=TEN), name=TOMORROW),
    )
    assert not step.new_session
    assert trades(step) == [77]
    assert session.wake_ns == 1
    step = session.wake(NOW)
    assert step.new_session
    assert trades(step) == [5]
    assert states(step.records)[0] == State.SYNCING
    assert states(step.records)[-1] == State.LIVE
    assert session.wake_ns == 0
    stale = take(session, packet(5, itch.execute(2, 40, 78, when=TEN)), line="line2")
    assert (stale.records, stale.messages) == ([], 0)


def test_the_end_of_a_session_leaves_time_to_ask_and_the_next_one_follows_at_once() -> None:
    session = live()
    take(session, packet(5, count=mold.END_OF_SESSION))
    assert len(requests(session.wake(NOW + 20 * MS))) == 1
    step = take(session, packet(1, *opening(), name=TOMORROW), now=NOW + 30 * MS)
    assert step.new_session


def test_numbers_that_begin_anew_begin_a_new_feed_session() -> None:
    session = live()
    for number in range(4, 40):
        take(session, packet(number, itch.execute(2, 1, number, when=TEN)))
    again = opening()
    steps = [take(session, packet(at + 1, again[at]), now=NOW + (1 + at) * 200 * MS) for at in range(3)]
    assert [step.new_session for step in steps] == [False, False, True]
    assert states(steps[2].records)[-1] == State.LIVE
    assert session.decoder.book("AAPL", 1) == ([("185.0000", 100, 1)], [("185.0200", 300, 1)])


def test_a_message_that_contradicts_the_books_has_all_told_again() -> None:
    session = live()
    # what the line said as 4 was damaged on its way: it deletes an order that never was
    step = take(session, packet(4, itch.execute(9, 1, 77, when=TEN)))
    assert states(step.records) == [State.GAP]
    assert gaps(step) == [(0, 5, False)]
    now = session.wake_ns
    assert now == NOW + SETTLE_NS
    assert requests(session.wake(now)) == [(TODAY.encode(), 1, 4)]
    old = opening(TEN - 60 * itch.SECOND)
    step = take(session, packet(1, *old, itch.execute(2, 40, 77, when=TEN)), line="rerequest", now=now + MS)
    assert not step.new_session
    assert trades(step) == [77]
    assert states(step.records)[-1] == State.LIVE
    assert [row.size for row in rows(step.records) if row.kind == Kind.ASK][-1] == Decimal(260)


def test_what_the_venue_says_twice_is_what_it_means() -> None:
    session = live()
    bad = packet(1, *opening(), itch.execute(9, 1, 77, when=TEN))
    take(session, packet(4, itch.execute(9, 1, 77, when=TEN)))
    now = session.wake_ns
    session.wake(now)
    step = take(session, bad, line="rerequest", now=now)
    assert states(step.records)[-1] == State.LIVE
    assert session.wake_ns == 0


def test_a_venue_that_contradicts_itself_all_the_time_is_not_asked_all_the_time() -> None:
    session = live()
    now, number, repeats = NOW, 4, []
    while now < NOW + REGAIN_NS:
        news = packet(number, itch.execute(1000 + number, 1, number, when=TEN))
        if requests(take(session, news, now=now)) + requests(session.wake(now)):
            repeats.append(now)
            past = [itch.execute(1000 + at, 1, at, when=TEN) for at in range(4, number + 1)]
            take(session, packet(1, *opening(), *past), line="rerequest", now=now)
        number += 1
        now += 100 * MS
    assert len(repeats) == 3


def test_lines_that_say_different_things_are_settled_by_the_server() -> None:
    session = live()
    take(session, packet(4, itch.add(3, "B", 100, 1_990_000, when=TEN)))  # a price with a flipped bit
    right = packet(4, itch.add(3, "B", 100, 1_850_100, when=TEN))
    step = take(session, right, line="line2")
    assert "different things" in step.dead[0][0]
    assert states(step.records) == [State.GAP]
    now = session.wake_ns
    session.wake(now)
    step = take(session, packet(1, *opening(), itch.add(3, "B", 100, 1_850_100, when=TEN)), line="rerequest", now=now)
    assert states(step.records)[-1] == State.LIVE
    assert session.decoder.book("AAPL", 1)[0] == [("185.0100", 100, 1)]


def test_damage_and_numbers_that_are_none_are_dead_letters() -> None:
    session = live()
    nameless = packet(0, itch.execute(2, 40, 77, when=TEN), itch.execute(2, 40, 78, when=TEN), name="\0" * 10)
    step = take(session, b"short", packet(4, count=3), nameless)
    assert step.dead_count == 4
    assert "line1: shorter" in step.dead[0][0]
    assert step.records == []
    assert session.decoder.book("AAPL", 1)[1] == [("185.0200", 300, 1)]
    step = take(session, *[b"x"] * 500)
    assert (step.dead_count, len(step.dead)) == (500, 100)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"lines": (), "rerequest": None}, "found neither"),
        ({"address": "h:1"}, "found both"),
        ({"lines": ("127.0.0.1:1", "127.0.0.1:1")}, "each line once"),
        ({"lines": ("localhost:1",)}, "numeric address"),
        ({"lines": ("127.0.0.1",)}, "expected host:port"),
        ({"rerequest": "nowhere"}, r"rerequest: expected host:port"),
        ({"interface": "10.0.0.1"}, "no line is a multicast group"),
        ({"interface": "eth0", "lines": ("239.0.0.1:5",)}, r"interface: expected a numeric address"),
        ({"username": "me"}, "no login"),
        ({"gap_attempts": 0}, r"gap_attempts: expected at least 1, found 0"),
        ({"spin_address": "h:1"}, "belongs to PITCH"),
        ({"lines": (), "address": "h:1"}, "rerequest: expected nothing beside address"),
        ({"date": "yesterday"}, "isoformat"),
    ],
)
def test_settings_are_checked(config: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make(**config)


def test_both_transports_serve_both_venues() -> None:
    for venue in ("XNAS", "XBOS"):
        assert isinstance(open_session("x", VenueConfig(venue=venue, address="h:1"), {}), XnasSession)
        assert isinstance(open_session("x", VenueConfig(venue=venue, lines=LINES), {}), MoldSession)


def unreliable(session: MoldSession, messages: list[bytes], dice: random.Random) -> Iterator[Step]:
    """Tell a session through two lines that lose packets, and a server that is slow, brief and forgetful."""
    answers: list[tuple[int, bytes]] = []
    now, position = NOW, 0
    while session.arbiter.unit(0)["expected"] <= len(messages) or session.wake_ns:
        now += dice.randrange(1, 40) * MS
        part = messages[position : position + dice.randrange(1, 12)]
        lines = [line for line in ("line1", "line2") if not part or dice.random() < 0.7]
        steps = [take(session, packet(position + 1, *part), line=line, now=now) for line in lines]
        position += len(part)
        ready = [one for one in answers if one[0] <= now]
        answers = [one for one in answers if one[0] > now]
        steps += [take(session, answer, line="rerequest", now=now) for _, answer in ready]
        if 0 < session.wake_ns <= now:
            steps.append(session.wake(now))
        yield from steps
        for _, first, count in [one for step in steps for one in requests(step)]:
            if dice.random() < 0.8:
                fits = messages[first - 1 : first - 1 + min(count, dice.randrange(1, 20))]
                answers.append((now + dice.randrange(0, 50) * MS, packet(first, *fits)))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_whatever_the_lines_lose_the_trades_and_books_are_the_same(seed: int) -> None:
    dice = random.Random(seed)
    messages = [itch.directory("AAPL", 1, TEN)]
    for number in range(1, 200):
        messages.append(itch.add(number, dice.choice("BS"), 100, dice.randrange(100, 120) * 10_000, when=TEN + number))
        if dice.random() < 0.4:
            messages.append(itch.execute(dice.randrange(1, number + 1), 1, number, when=TEN + number))
    whole = _native.ItchDecoder("XBOS", midnight_ns(date(2020, 1, 30)))
    block = b"".join(len(message).to_bytes(2, "big") + message for message in messages)
    expected = [row.ident for row in rows(whole.decode(block, 1, NOW).records) if row.kind == Kind.TRADE]

    session = make(gap_attempts=100)
    told = list(unreliable(session, messages, dice))
    assert trades(*told) == expected
    assert session.decoder.book("AAPL", 99) == whole.book("AAPL", 99)
    assert states([part for step in told for part in step.records])[-1] == State.LIVE
    assert not any(step.dead_count for step in told)
