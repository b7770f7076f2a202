"""Books that are asked for on a link: one at a time, never sooner than the venue counts it, and none forgotten."""

import gzip
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.venues.declared.conversation import Conversation

from tickcast.model.record import State
from tickcast.sim.crypto import htx
from tickcast.venues.base import Quota
from tickcast.venues.declared.asks import ANSWER_NS, PAUSE_MAX_NS, Asks
from tickcast.venues.declared.pacing import SECOND_NS
from tickcast.venues.declared.venue import Channel

NOW = 1_790_000_000_000_000_000
QUOTA = Quota(amount=1, per_s=0.1)
PAUSE_NS = SECOND_NS // 10
BOOKS = {Channel("book", name): place for place, name in enumerate("ABCDE")}
FIRST, SECOND, *_ = BOOKS


def equal(_: int) -> float:
    return 0.0


def asks(quota: Quota | None = QUOTA) -> Asks:
    found = Asks(quota)
    for channel, instrument in BOOKS.items():
        found.add(channel, instrument)
    return found


@given(
    ways=st.lists(st.tuples(st.integers(0, SECOND_NS), st.integers(0, SECOND_NS)), min_size=len(BOOKS), max_size=20),
    looks=st.lists(st.integers(PAUSE_NS // 100, PAUSE_NS), min_size=1, max_size=5),
)
def test_between_requests_that_arrive_there_always_is_the_pause(ways: list[tuple[int, int]], looks: list[int]) -> None:
    """``ways``: how long each request is on its way, and its answer; ``looks``: how often somebody looks."""
    one, now, arrived, there = asks(), NOW, [], iter(ways)
    coming: list[tuple[int, Channel]] = []
    turn = 0
    while one.is_waiting or coming:
        now += looks[turn % len(looks)]
        turn += 1
        for at_ns, channel in coming:
            if at_ns <= now:
                one.answered(channel, now)
        coming = [each for each in coming if each[0] > now]
        found = one.take(now, equal)
        if found is not None:
            assert not coming, "one at a time"
            out_ns, back_ns = next(there)
            arrived.append((now + out_ns, found[1]))
            coming.append((now + out_ns + back_ns, found[0]))
    assert sorted(instrument for _, instrument in arrived) == sorted(BOOKS.values()), "each once"
    for (before, _), (after, _) in itertools.pairwise(arrived):
        assert after - before >= PAUSE_NS


def test_the_most_urgent_is_asked_for_first_as_of_its_turn() -> None:
    one, urgency = asks(), {0: 1.0, 1: 5.0, 2: 3.0, 3: 0.0, 4: 2.0}
    assert one.take(NOW, urgency.__getitem__) == (SECOND, 1)
    one.answered(SECOND, NOW)
    urgency[3] = 9.0
    assert one.take(NOW + PAUSE_NS, urgency.__getitem__) == (Channel("book", "D"), 3)


def test_what_comes_too_soon_goes_back_and_all_goes_more_slowly_for_a_while() -> None:
    one, now, pauses = asks(), NOW, []
    for _ in range(8):
        channel, instrument = one.take(now, equal) or (FIRST, -1)
        assert one.withheld(channel, now, too_soon=True)
        one.add(channel, instrument)
        pauses.append(one.next_ns() - now)
        now = one.next_ns()
    assert pauses[:4] == [2 * PAUSE_NS, 4 * PAUSE_NS, 8 * PAUSE_NS, 16 * PAUSE_NS]
    assert pauses[-1] == PAUSE_MAX_NS
    for _ in BOOKS:
        channel, _ = one.take(now, equal) or (FIRST, -1)
        one.answered(channel, now)
        one.add(channel, BOOKS[channel])
        pauses.append(one.next_ns() - now)
        now = one.next_ns()
    assert pauses[-5:] == [PAUSE_MAX_NS, PAUSE_MAX_NS // 2, PAUSE_MAX_NS // 4, PAUSE_MAX_NS // 8, PAUSE_MAX_NS // 16]


def test_one_that_nobody_answers_holds_up_the_others_for_a_while_only() -> None:
    one = asks()
    lost = one.take(NOW, equal)
    assert lost is not None
    assert one.take(NOW + ANSWER_NS - 1, equal) is None
    assert one.next_ns() == NOW + ANSWER_NS
    following = one.take(NOW + ANSWER_NS, equal)
    assert following is not None
    assert following != lost
    one.answered(lost[0], NOW + ANSWER_NS + 1)
    assert one.next_ns() == NOW + 2 * ANSWER_NS, "a late answer to another one says nothing of this one"
    assert not one.withheld(lost[0], NOW, too_soon=True)


def test_what_is_refused_otherwise_makes_room_and_slows_nothing_down() -> None:
    one = asks()
    channel, _ = one.take(NOW, equal) or (SECOND, -1)
    assert one.withheld(channel, NOW, too_soon=False)
    assert one.next_ns() == NOW + PAUSE_NS


def test_what_waits_on_a_link_that_is_replaced_waits_on_the_next_one() -> None:
    one, other = asks(), Asks(QUOTA)
    one.take(NOW, equal)
    other.adopt(one)
    assert not one.is_waiting
    asked = []
    for turn in range(len(BOOKS)):
        found = other.take(NOW + turn * PAUSE_NS, equal)
        if found is not None:
            asked.append(found[1])
            other.answered(found[0], NOW + turn * PAUSE_NS)
    assert len(asked) == len(BOOKS) - 1
    assert not other.is_waiting


def test_without_anything_to_ask_for_nothing_is_due_and_without_a_quota_nothing_waits() -> None:
    one = asks(None)
    for _ in BOOKS:
        channel, _ = one.take(NOW, equal) or (FIRST, -1)
        one.answered(channel, NOW)
    assert one.next_ns() == 0
    assert not one.is_waiting
    assert one.take(NOW, equal) is None


# ------------------------------------------------------------------ against the simulated venue


class Counting:
    """What HTX is asked for its books, and how often it was too soon."""

    def __init__(self, talk: Conversation) -> None:
        self.soon = 0
        self.asked: list[str] = []
        talk.lose = self.look
        talk.on_sent = self.sent

    def look(self, frame: bytes) -> bool:
        self.soon += b"429 too many request" in gzip.decompress(frame)
        return False

    def sent(self, frame: bytes) -> None:
        found = json.loads(frame).get("req")
        self.asked += [found] if found is not None else []


def down(talk: Conversation) -> list[str]:
    return [symbol for symbol, state in talk.states().items() if state not in {State.LIVE, State.UNVERIFIED}]


def settle(talk: Conversation, within_ms: int) -> None:
    for _ in range(0, within_ms, 200):
        talk.run(200)
        if not down(talk):
            return
    raise AssertionError(f"not live within {within_ms} ms: {down(talk)[:5]}")


@pytest.fixture
def talk() -> Conversation:
    """HTX with forty pairs, live."""
    found = Conversation("htx", rig={"pairs": 40, "rate": 200.0, "orders": 4})
    found.run(1000)
    settle(found, 20_000)
    return found


def test_after_numbers_began_anew_no_book_is_asked_for_too_soon_though_the_venue_reads_in_bunches(
    talk: Conversation,
) -> None:
    counting, talk.read_every_ms = Counting(talk), 400
    watched = [one for one in talk.session.instruments if one.listed.symbol.endswith("-USDT")][-3:]
    talk.session.watched({one.id: 5 + place for place, one in enumerate(watched)})
    talk.rig.venue.restart()
    talk.run(200)
    settle(talk, 30_000)
    assert counting.soon == 0
    asked = [topic.split(".")[1] for topic in counting.asked]
    assert len(asked) >= 40
    assert len(set(asked)) == 40
    assert max(asked.index(one.listed.native) for one in watched) < 20, "those that somebody watches come first"


def test_a_venue_that_is_stricter_than_it_says_is_asked_more_slowly_and_every_book_ends_live(
    talk: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = Counting(talk)
    monkeypatch.setattr(htx, "REQUEST_NS", 350_000_000)
    talk.rig.venue.restart()
    talk.run(200)
    settle(talk, 60_000)
    assert counting.soon > 0
    assert len(set(counting.asked)) == 40
    assert len(counting.asked) - counting.soon <= 45, "what was refused for its haste was asked for again, once"
