"""The reader of clients' frames through its Python door, against frames written by another library."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode

from tickcast._native import FrameReader, ProtocolError

payloads = st.one_of(
    st.tuples(st.just(Opcode.TEXT), st.text(max_size=300).map(str.encode)),
    st.tuples(st.just(Opcode.BINARY), st.binary(max_size=300)),
    st.tuples(st.just(Opcode.PING), st.binary(max_size=125)),
)


def masked(opcode: Opcode, payload: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin).serialize(mask=True)


@given(st.lists(payloads, max_size=6), st.lists(st.integers(0, 2000), max_size=6))
def test_reads_what_another_library_writes(messages: list[tuple[Opcode, bytes]], cuts: list[int]) -> None:
    stream = b"".join(masked(opcode, payload) for opcode, payload in messages)
    reader = FrameReader(65536)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    found = [item for start, end in pairwise(places) for item in reader.feed(stream[start:end])]
    assert found == [(int(opcode), payload) for opcode, payload in messages]
    assert reader.pending == 0
    assert reader.error is None


def test_fragments_with_a_ping_between() -> None:
    stream = masked(Opcode.TEXT, b"\xc3", fin=False) + masked(Opcode.PING, b"p") + masked(Opcode.CONT, b"\xa4")
    assert FrameReader(10).feed(bytearray(stream)) == [(9, b"p"), (1, "ä".encode())]


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (Frame(Opcode.TEXT, b"x").serialize(mask=False), 1002),
        (masked(Opcode.TEXT, b"\xff"), 1007),
        (masked(Opcode.BINARY, b"x" * 101), 1009),
        (masked(Opcode.CLOSE, Close(1005, "").code.to_bytes(2, "big")), 1002),
    ],
    ids=["unmasked", "no UTF-8", "too large", "a code that is none"],
)
def test_damage_comes_behind_what_was_whole(stream: bytes, code: int) -> None:
    reader = FrameReader(100)
    assert reader.feed(masked(Opcode.TEXT, b"good") + stream) == [(1, b"good")]
    assert reader.error is not None
    assert reader.error[0] == code
    with pytest.raises(ProtocolError) as caught:
        reader.feed(b"")
    assert caught.value.args == reader.error
    assert reader.pending == 0


@given(st.binary(max_size=500))
def test_any_bytes_are_survived(data: bytes) -> None:
    reader = FrameReader(100)
    try:
        reader.feed(data)
    except ProtocolError as error:
        assert error.args[0] in {1002, 1007, 1009}  # noqa: PT017  either outcome is right
    assert reader.pending <= 100 + 125 + 14
