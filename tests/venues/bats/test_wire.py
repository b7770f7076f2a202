import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.venues.bats.peer import START, delete, packet, units_of

from tickcast.venues.base import Step
from tickcast.venues.bats import wire

ACCEPTED = packet([b"\x03\x02A"])


def channel() -> wire.Channel:
    one = wire.Channel("gap", wire.login(session="0001", username="USER", password="pw"))  # noqa: S106
    one.opened(Step(), START)
    return one


def test_a_login_is_padded() -> None:
    request = wire.login(session="12", username="ab", password="pw")  # noqa: S106
    assert request == b"\x1e\x00\x01\x00\x00\x00\x00\x00" + b"\x16\x01" + b"12  " + b"ab  " + b"  " + b"pw        "
    for name in ("session", "username", "password"):
        values = {"session": "", "username": "", "password": "", name: "x" * 11}
        with pytest.raises(ValueError, match=name):
            wire.login(**values)


def test_requests_are_those_of_the_specification() -> None:
    assert (
        wire.gap_request(3, 0x01020304, 500) == b"\x11\x00\x01\x03\x00\x00\x00\x00\x09\x03\x03\x04\x03\x02\x01\xf4\x01"
    )
    assert wire.spin_request(3, 5) == b"\x0e\x00\x01\x03\x00\x00\x00\x00\x06\x81\x05\x00\x00\x00"


@given(st.lists(st.integers(0, 3), max_size=20), st.lists(st.integers(1, 40), max_size=30))
def test_a_stream_is_cut_into_its_packets_wherever_reads_end(counts: list[int], cuts: list[int]) -> None:
    sent = [packet([delete(number) for number in range(count)], unit % 5, 0) for unit, count in enumerate(counts)]
    data, one, found, step = b"".join(sent), channel(), [], Step()
    while data:
        size = cuts.pop() if cuts else len(data)
        found += one.read(step, data[:size])
        data = data[size:]
    told = [(each.unit, kind, message) for each in found for kind, message in wire.walk(each.messages)]
    assert told == [part for whole in sent for part in units_of(whole) if part[2]]
    assert not step.drop


@given(st.binary(max_size=200))
def test_noise_never_raises(data: bytes) -> None:
    one, step = channel(), Step()
    one.read(step, data)
    one.read(step, data)
    assert not step.drop or step.dead_count


def test_a_channel_is_open_when_its_login_is_accepted_and_beats_every_second() -> None:
    one, step = channel(), Step()
    states = [one.state]
    one.read(step, ACCEPTED)
    assert [*states, one.state] == ["asking", "open"]
    one.beat(step, START + 999_999_999)
    assert not step.send
    one.beat(step, START + wire.HEARTBEAT_NS)
    assert step.send == [("gap", wire.HEARTBEAT)]
    assert one.wake_ns == START + 2 * wire.HEARTBEAT_NS
    one.closed()
    assert (one.state, one.wake_ns) == ("closed", 0)


@pytest.mark.parametrize("code", wire.LOGIN_REJECTED)
def test_a_rejection_is_one_to_the_letter(code: str) -> None:
    one, step = channel(), Step()
    one.read(step, packet([b"\x03\x02" + code.encode()]))
    assert one.state == "closed"
    assert ("gap" in step.refused) == (code != "B"), "a session in use is free again soon"


@pytest.mark.parametrize(
    "answer", [[b"\x03\x02\xc1"], [b"\x03\x02 "], [b"\x02\x02"], [b"\x04\x02N "], [b"\x03\x02N", b"\x03\x02N"]]
)
def test_a_damaged_answer_to_the_login_is_no_rejection(answer: list[bytes]) -> None:
    one, step = channel(), Step()
    one.read(step, packet(answer))
    assert not step.refused
    assert "gap" in step.drop
    assert one.state != "open"


def test_a_second_answer_to_the_login_is_damage() -> None:
    one, step = channel(), Step()
    one.read(step, ACCEPTED)
    one.read(step, packet([b"\x0b\x02\x05\x00\x00\x00\x09\x00\x00\x00S"]))
    assert not step.refused
    assert "gap" in step.drop
