"""Quiet or dead: streams with known statistics, and what the watch says of them."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.venues.declared.quiet import FLOOR_S, KNOWN_EVENTS, QuietWatch

SECOND_NS = 1_000_000_000
LINK = "link-1"


def always(rate: float) -> Callable[[float], float]:
    def at(now_s: float) -> float:
        del now_s
        return rate

    return at


class Streams:
    """Streams that are looked at once a second; each has a rate that may change with time."""

    def __init__(self, rates: dict[str, Callable[[float], float]], *, seed: int = 1, link: str = LINK) -> None:
        self.watch = QuietWatch()
        self.rates = rates
        self.link = link
        self.random = random.Random(seed)
        self.counts = dict.fromkeys(rates, 0)
        self.stopped: set[str] = set()
        self.now_s = 0.0
        self.suspects: list[tuple[str, float]] = []
        self.back: list[str] = []

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now_s += 1.0
            for name, rate in self.rates.items():
                if name not in self.stopped:
                    self.counts[name] += self._poisson(rate(self.now_s))
            found = self.watch.look(
                {name: (self.link, count) for name, count in self.counts.items()}, int(self.now_s * SECOND_NS)
            )
            self.suspects += [(str(stream), self.now_s) for stream, _ in found.suspects]
            self.back += [str(stream) for stream in found.back]

    def _poisson(self, mean: float) -> int:
        count, left = 0, self.random.expovariate(1.0) if mean else 1.0
        while left < mean:
            count += 1
            left += self.random.expovariate(1.0)
        return count


@pytest.mark.parametrize("rate", [5.0, 20.0, 500.0])
def test_a_busy_stream_that_stops_is_suspect_within_five_seconds(rate: float) -> None:
    streams = Streams({"BTC": always(rate), "ETH": always(rate / 2 + 3)})
    streams.run(120)
    assert streams.suspects == []
    streams.stopped.add("BTC")
    stopped_s = streams.now_s
    streams.run(6)
    [(name, at_s)] = streams.suspects
    assert name == "BTC"
    assert at_s - stopped_s <= 5


def test_a_whole_link_that_stops_is_suspect_within_five_seconds() -> None:
    streams = Streams({f"S{index}": always(10.0) for index in range(20)})
    streams.run(120)
    streams.stopped.update(streams.rates)
    streams.run(5)
    assert {name for name, _ in streams.suspects} == set(streams.rates)


@pytest.mark.parametrize("seed", range(5))
def test_a_quiet_night_alarms_nobody(seed: int) -> None:
    """Everything slows down to a hundredth within two hours, sparse ones to once in an hour; and wakes up again."""

    def night(busy: float) -> Callable[[float], float]:
        return lambda now: busy * (1.0 if now < 1800 else max(0.01, 1.0 - (now - 1800) / 5400) if now < 14_400 else 1.0)

    streams = Streams({f"S{index}": night(rate) for index, rate in enumerate((40, 5, 1, 0.2, 0.03))}, seed=seed)
    streams.run(16_000)
    assert streams.suspects == []


def test_a_sudden_calm_of_everything_is_no_alarm_but_one_dead_stream_in_it_is() -> None:
    streams = Streams({f"S{index}": lambda now: 30.0 if now < 600 else 4.0 for index in range(10)})
    streams.run(700)
    assert streams.suspects == []
    streams.stopped.add("S3")
    streams.run(40)
    assert [name for name, _ in streams.suspects] == ["S3"]


def test_nothing_is_said_of_what_nothing_is_known_of() -> None:
    streams = Streams({"NEW": always(0.0)})
    streams.counts["NEW"] = KNOWN_EVENTS - 1
    streams.run(10_000)
    assert streams.suspects == []
    assert streams.watch.normal_s("NEW") is None


def test_a_suspect_is_told_once_and_told_back() -> None:
    streams = Streams({"BTC": always(10.0)})
    streams.run(60)
    streams.stopped.add("BTC")
    streams.run(60)
    assert len(streams.suspects) == 1
    streams.stopped.clear()
    streams.run(2)
    assert streams.back == ["BTC"]


def test_an_innocent_stream_is_asked_about_again_only_after_twice_the_silence() -> None:
    streams = Streams({"BTC": always(10.0)})
    streams.run(60)
    streams.stopped.add("BTC")
    streams.run(5)
    [(_, first_s)] = streams.suspects
    streams.watch.innocent("BTC", int(streams.now_s * SECOND_NS))
    silent_s = streams.now_s - 60
    streams.run(60)
    second_s = streams.suspects[1][1]
    assert second_s - 60 >= 2 * silent_s - 1
    assert second_s > first_s


def test_a_link_that_is_gone_is_not_expected_to_speak() -> None:
    streams = Streams({"BTC": always(10.0)})
    streams.run(60)
    streams.stopped.add("BTC")
    for _ in range(30):
        streams.watch.rest(LINK, int(streams.now_s * SECOND_NS))
        streams.run(1)
    assert streams.suspects == []
    streams.run(6)
    assert [name for name, _ in streams.suspects] == ["BTC"]


@settings(max_examples=50)
@given(
    looks=st.lists(
        st.tuples(st.floats(-5, 100), st.dictionaries(st.sampled_from("ABC"), st.integers(0, 10_000))), max_size=50
    )
)
def test_any_counts_and_clocks_are_taken(looks: list[tuple[float, dict[str, int]]]) -> None:
    """Counters that fall (a feed that began anew), clocks that are set back, streams that come and go."""
    watch, now_ns = QuietWatch(), 10**15
    for step_s, counts in looks:
        now_ns += round(step_s * SECOND_NS)
        found = watch.look({name: (LINK, count) for name, count in counts.items()}, now_ns)
        assert all(silence_s >= FLOOR_S for _, silence_s in found.suspects)
        for name in "ABC":
            normal_s = watch.normal_s(name)
            assert normal_s is None or normal_s >= FLOOR_S
    watch.forget("A")
    assert watch.normal_s("A") is None
