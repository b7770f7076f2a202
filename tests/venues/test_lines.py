"""The recovery machine: patience, requests, repeats, losses; with an arbiter against a server that is unreliable."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast import _native
from tickcast.venues.base import VenueConfig
from tickcast.venues.lines import Ask, Loss, Recovery

MS = 1_000_000


def make(*, can_ask: bool = True, ask_max: int = 1000, window: int = 16, **settings: Any) -> Recovery:
    values = {"gap_wait_ms": 20, "gap_timeout_ms": 100, "gap_attempts": 3, "gap_range_max": 10_000, **settings}
    return Recovery(VenueConfig(venue="XBOS", **values), can_ask=can_ask, ask_max=ask_max, window=window)


def test_nothing_missing_is_nothing_to_do() -> None:
    recovery = make()
    orders = recovery.look([], 5)
    assert (orders.gaps, orders.losses, orders.live, orders.asks) == ([], [], [], [])
    assert recovery.wake_ns == 0


def test_a_young_hole_is_patience() -> None:
    recovery = make()
    assert recovery.look([(1, 5, 9, 100 * MS)], 119 * MS).gaps == []
    assert recovery.wake_ns == 120 * MS
    assert recovery.look([], 120 * MS).live == []
    assert (recovery.wake_ns, recovery.phase(1)) == (0, "live")


def test_an_older_one_is_a_gap_and_is_asked_for_until_it_is_filled() -> None:
    recovery = make()
    orders = recovery.look([(1, 5, 9, 0), (2, 4, 4, 15 * MS)], 20 * MS)
    assert orders.gaps == [1]
    assert orders.asks == [Ask(1, 5, 5)]
    assert recovery.phase(1) == "repairing"
    assert recovery.wake_ns == 35 * MS
    assert recovery.look([(1, 5, 9, 0)], 30 * MS).asks == [], "it is on its way"
    assert recovery.wake_ns == 120 * MS
    orders = recovery.look([], 40 * MS)
    assert orders.live == [1]
    assert (recovery.phase(1), recovery.wake_ns) == ("live", 0)


def test_requests_are_repeated_and_given_up() -> None:
    recovery = make()
    holes = [(0, 5, 9, 0), (0, 20, 20, 0)]
    assert recovery.look(holes, 20 * MS).asks == [Ask(0, 5, 5), Ask(0, 20, 1)]
    assert len(recovery.look(holes, 120 * MS).asks) == 2
    assert len(recovery.look(holes, 220 * MS).asks) == 2
    orders = recovery.look(holes, 320 * MS)
    assert orders.losses == [Loss(0, 5, 20, 6, "no answer to 3 requests")]
    assert orders.asks == []
    assert recovery.requests == 6
    orders = recovery.look(holes, 900 * MS)
    assert (orders.losses, orders.asks, recovery.wake_ns) == ([], [], 0), "told once; the caller has to act"
    assert recovery.look([], 901 * MS).live == [0]


def test_progress_is_patience_again() -> None:
    recovery = make()
    recovery.look([(0, 1, 100, 0)], 20 * MS)
    for step in range(1, 50):
        orders = recovery.look([(0, 1 + step, 100, 0)], (20 + 99 * step) * MS)
        assert (orders.losses, orders.asks) == ([], [])


def test_without_a_server_or_with_too_much_missing_all_is_lost_at_once() -> None:
    orders = make(can_ask=False).look([(3, 1, 2, 0)], 20 * MS)
    assert orders.gaps == [3]
    assert orders.losses[0].reason == "there is no server to ask"
    orders = make(gap_range_max=10).look([(3, 1, 5, 0), (3, 7, 12, 0)], 20 * MS)
    assert orders.losses == [Loss(3, 1, 12, 11, "more is missing than is asked for (gap_range_max = 10)")]


def test_the_window_bounds_requests_and_the_lowest_come_first() -> None:
    recovery = make(ask_max=10, window=3)
    orders = recovery.look([(0, 1, 100, 0)], 20 * MS)
    assert orders.asks == [Ask(0, 1, 10), Ask(0, 11, 10), Ask(0, 21, 10)]
    orders = recovery.look([(0, 11, 100, 0)], 21 * MS)
    assert orders.asks == [Ask(0, 31, 10)]
    orders = recovery.look([(0, 21, 30, 0), (0, 38, 100, 0)], 22 * MS)
    assert orders.asks == [Ask(0, 41, 10)], "what is on its way is not asked for twice"


def test_how_much_an_answer_holds_is_learned() -> None:
    recovery = make(window=1)
    assert recovery.look([(0, 1, 500, 0)], 20 * MS).asks == [Ask(0, 1, 500)]
    recovery.answered(0, 1, 38)
    assert recovery.look([(0, 39, 500, 0)], 21 * MS).asks == [Ask(0, 39, 38)]
    recovery.answered(0, 39, 38)
    assert recovery.look([(0, 77, 500, 0)], 22 * MS).asks == [Ask(0, 77, 38)]
    # an answer that says it is shorter but brought nothing does not make us ask at once again
    recovery.answered(0, 77, 2)
    assert recovery.look([(0, 77, 500, 0)], 23 * MS).asks == []
    assert recovery.look([(0, 77, 500, 0)], 122 * MS).asks == [Ask(0, 77, 38)]


def test_while_the_server_answers_other_requests_none_is_given_up() -> None:
    recovery = make(gap_attempts=2)
    recovery.limit(10)
    recovery.look([(0, 1, 100, 0)], 20 * MS)
    now = 20
    for last in range(99, 95, -1):  # one message at a time of the last request, nothing of the others
        now += 100
        assert recovery.look([(0, 1, last, 0)], now * MS).losses == []
    losses = recovery.look([(0, 1, 96, 0)], (now + 100) * MS).losses
    assert losses == [Loss(0, 1, 96, 96, "no answer to 2 requests")]


def test_a_bound_stands_in_for_the_usual_one_while_it_is_set() -> None:
    recovery = make(gap_range_max=10)
    recovery.bound(0, 20, "join_range_max")
    assert recovery.look([(0, 1, 20, 0)], 20 * MS).losses == []
    assert recovery.look([(0, 1, 21, 0)], 21 * MS).losses == [
        Loss(0, 1, 21, 21, "more is missing than is asked for (join_range_max = 20)")
    ]
    recovery.forget(0)
    recovery.bound(0)
    assert recovery.look([(0, 1, 11, 0)], 22 * MS).losses[0].reason.endswith("(gap_range_max = 10)")


def test_a_unit_that_begins_anew_is_forgotten() -> None:
    recovery = make()
    recovery.look([(0, 5, 9, 0)], 20 * MS)
    recovery.forget(0)
    assert recovery.look([], 21 * MS).live == []
    assert recovery.look([(0, 1, 2, 0)], 22 * MS).gaps == [0]


def packet(first: int, count: int) -> bytes:
    body = b"".join(b"\x00\x08" + number.to_bytes(8, "big") for number in range(first, first + count))
    return b"S" * 10 + first.to_bytes(8, "big") + count.to_bytes(2, "big") + body


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_whatever_the_lines_lose_a_poor_server_brings_in_the_end(seed: int) -> None:
    dice = random.Random(seed)
    arbiter = _native.LineArbiter("moldudp64", from_start=True)
    recovery = make(gap_attempts=1000, window=dice.randrange(1, 9))
    told: list[int] = []
    answers: list[tuple[int, bytes, int, int]] = []
    now, top = 0, dice.randrange(300, 3000)

    def take(chunk: bytes, line: int, *, repair: bool) -> None:
        for block in arbiter.take([chunk], [now], line, repair=repair):
            assert block.first_seq == len(told) + 1
            told.extend(
                int.from_bytes(block.messages[at + 2 : at + 10], "big") for at in range(0, len(block.messages), 10)
            )

    first = 1
    while len(told) < top - 1:
        now += dice.randrange(1, 30) * MS
        assert now < 10**6 * MS, "it comes to an end"
        if first < top:
            count = min(dice.randrange(1, 40), top - first)
            for line in range(2):
                if dice.random() < 0.7:
                    take(packet(first, count), line, repair=False)
            first += count
        else:
            take(packet(top, 0), 0, repair=False)
        for one in [one for one in answers if one[0] <= now]:
            answers.remove(one)
            take(one[1], 9, repair=True)
            recovery.answered(0, one[2], one[3])
        for ask in recovery.look(arbiter.holes(), now).asks:
            fits = min(ask.count, dice.randrange(1, 40))
            if dice.random() < 0.8:
                answers.append((now + dice.randrange(0, 60) * MS, packet(ask.first, fits), ask.first, fits))
    assert told == list(range(1, top))
    recovery.look(arbiter.holes(), now)
    assert recovery.phase(0) == "live"
