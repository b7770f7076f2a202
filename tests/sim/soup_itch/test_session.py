"""SoupBinTCP packets, login and history, without sockets."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.sim.soup_itch.session import (
    History,
    Login,
    PacketReader,
    Session,
    SoupError,
    accepted,
    parse_login,
    rejected,
)


def packet(kind: bytes, payload: bytes = b"") -> bytes:
    return struct.pack(">H", 1 + len(payload)) + kind + payload


LOGIN = b"user  " + b"password  " + b"       ABC" + b"42".rjust(20)


def test_login_fields_are_trimmed() -> None:
    assert parse_login(LOGIN) == Login("user", "password", "ABC", 42)
    assert parse_login(b" " * 46) == Login("", "", "", 0)


@pytest.mark.parametrize("payload", [b"", LOGIN[:-1], LOGIN + b"x", LOGIN[:-2] + b"-1", LOGIN[:-1] + b"x"])
def test_wrong_login_is_refused(payload: bytes) -> None:
    with pytest.raises(SoupError):
        parse_login(payload)


def test_answers_have_the_lengths_of_the_specification() -> None:
    assert accepted("S1", 7) == b"\x00\x1fA" + b"        S1" + b"7".rjust(20)
    assert rejected("S") == b"\x00\x02JS"


@settings(deadline=None)  # a shared machine may stall
@given(st.lists(st.integers(1, 7), min_size=1))
def test_reader_does_not_care_how_bytes_arrive(cuts: list[int]) -> None:
    stream = packet(b"L", LOGIN) + packet(b"R") + packet(b"U", b"hello") + packet(b"O")
    reader, found, position, number = PacketReader(), [], 0, 0
    while position < len(stream):
        length = cuts[number % len(cuts)]
        found += reader.feed(stream[position : position + length])
        position, number = position + length, number + 1
    assert found == [(b"L", LOGIN), (b"R", b""), (b"U", b"hello"), (b"O", b"")]


@pytest.mark.parametrize("data", [b"\x00\x00", b"\xff\xffL", b"\x00\x01L", b"\x00\x02Rx", b"\x00\x01S", b"\x00\x01?"])
def test_what_no_client_sends_is_refused(data: bytes) -> None:
    with pytest.raises(SoupError):
        PacketReader().feed(data)


@settings(deadline=None)  # a shared machine may stall
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = PacketReader().feed(data)
    except SoupError:
        return
    assert sum(3 + len(payload) for _, payload in found) <= len(data)


@settings(deadline=None)  # a shared machine may stall
@given(st.lists(st.lists(st.binary(min_size=0, max_size=20), min_size=1, max_size=5), max_size=12), st.integers(1, 200))
def test_history_gives_back_every_position_it_keeps(blocks: list[list[bytes]], bound: int) -> None:
    history, everything = History(bound), []
    for block in blocks:
        packets = [packet(b"S", payload) for payload in block]
        history.append(b"".join(packets), len(packets))
        everything += packets
    assert history.next == len(everything) + 1
    assert history.bytes <= bound or history.bytes == sum(map(len, everything[history.oldest - 1 :]))
    for start in range(history.oldest, history.next):
        position, got = start, b""
        while position < history.next:
            block_bytes, position = history.read(position)
            got += block_bytes
        assert got == b"".join(everything[start - 1 :])
    assert history.read(history.next) == (b"", history.next)
    if history.oldest > 1:
        with pytest.raises(LookupError):
            history.read(history.oldest - 1)


def test_a_session_numbers_its_own_beginning_first() -> None:
    head = History(1000)
    head.append(packet(b"S", b"a") * 3, 3)
    session = Session("S", head, base=11)
    assert session.head_count == 3
    assert session.sequence(11) == 4
    assert session.sequence(20) == 13
