"""Packets read again by message number, and blocks cut into packets."""

import struct
from collections.abc import Callable
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast.sim.udp.history import PacketHistory, Part, Step, cut_block, mold_step, pitch_step


def messages(number: int) -> list[bytes]:
    return [b"%03d" % n + b"." * (n % 7) for n in range(1, number + 1)]


def mold(message: bytes) -> bytes:
    return struct.pack(">H", len(message)) + message


def pitch(message: bytes) -> bytes:
    return bytes([len(message) + 1]) + message


@pytest.mark.parametrize(("step", "frame"), [(mold_step, mold), (pitch_step, pitch)])
def test_every_range_can_be_read_and_crosses_packets(step: Step, frame: Callable[[bytes], bytes]) -> None:
    framed = [frame(one) for one in messages(30)]
    history = PacketHistory(header=4, step=step, bytes_max=10_000)
    for first, last in pairwise([0, 1, 5, 6, 17, 29, 30]):
        history.append(b"head" + b"".join(framed[first:last]), last - first)
    assert (history.oldest, history.next) == (1, 31)
    for first in range(1, 31):
        for count in range(1, 35):
            part = history.read(first, count=count, bytes_max=10_000)
            wanted = framed[first - 1 : first - 1 + count]
            assert part == Part(first, len(wanted), b"".join(wanted))


@given(first=st.integers(1, 30), count=st.integers(1, 40), bytes_max=st.integers(0, 200))
def test_an_answer_holds_as_much_as_fits_and_at_least_one(first: int, count: int, bytes_max: int) -> None:
    framed = [mold(one) for one in messages(30)]
    history = PacketHistory(header=0, step=mold_step, bytes_max=10_000)
    for begin in range(0, 30, 4):
        history.append(b"".join(framed[begin : begin + 4]), len(framed[begin : begin + 4]))
    part = history.read(first, count=count, bytes_max=bytes_max)
    assert part.messages == b"".join(framed[first - 1 : first - 1 + part.count])
    assert 1 <= part.count <= count
    assert part.count == 1 or len(part.messages) <= bytes_max
    more = framed[first - 1 : first + part.count]
    assert part.count == count or len(more) == part.count or len(b"".join(more)) > bytes_max


def test_the_oldest_packets_go_first_and_are_not_found_any_more() -> None:
    history = PacketHistory(header=0, step=mold_step, bytes_max=100)
    for number in range(20):
        history.append(mold(b"%08d" % number) * 2, 2)
    assert history.bytes == 100
    assert (history.oldest, history.next, history.dropped) == (31, 41, 15)
    assert history.read(31, count=1, bytes_max=50).messages == mold(b"00000015")
    for first in (30, 41, 0):
        with pytest.raises(LookupError):
            history.read(first, count=1, bytes_max=50)


@given(lengths=st.lists(st.integers(1, 60), max_size=80), bytes_max=st.integers(1, 150))
def test_cuts_are_whole_messages_and_as_long_as_allowed(lengths: list[int], bytes_max: int) -> None:
    ends = list(accumulate(lengths))
    cuts = cut_block(ends, bytes_max)
    assert sum(count for _, count in cuts) == len(lengths)
    begin = place = 0
    for end, count in cuts:
        place += count
        assert end == ends[place - 1]
        assert count == 1 or end - begin <= bytes_max
        assert place == len(lengths) or ends[place] - begin > bytes_max
        begin = end
