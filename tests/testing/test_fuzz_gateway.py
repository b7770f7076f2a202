"""The gateway's fuzzer: some thousand inputs with a new seed each time, and that it tells what is wrong."""

import random

import pytest

from tickcast.gateway.codes import CloseCode, ErrorCode
from tickcast.testing.fuzz_gateway import DIALECTS, Found, GatewayFuzzError, Noise, Thrower, fuzz_gateway, server_frames

pytestmark = pytest.mark.timeout(120)


async def test_damage_of_every_codec_is_answered_and_leaves_nothing() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201  shown when the test fails
    found = await fuzz_gateway(inputs=5000, seed=seed, seconds_max=60)
    assert found.inputs >= 5000
    spoken = [name for name in found.outcomes if name.startswith("error ")]
    assert {"error 4000", "error 4002"} <= set(spoken)


def test_the_same_seed_throws_the_same() -> None:
    for dialect in DIALECTS:
        first, second, other = (Noise(dialect, seed) for seed in ("1", "1", "2"))
        thrown = first.frames(50)
        assert thrown == second.frames(50) != other.frames(50)


def thrower(found: Found) -> Thrower:
    return Thrower("http://127.0.0.1:1", DIALECTS[0], seed="1", found=found, inputs_max=1)


@pytest.mark.parametrize(
    ("opcode", "payload"),
    [
        (1, b'{"type":"error","code":%d}' % ErrorCode.INTERNAL),
        (1, b'{"type":"error","code":1}'),
        (1, b'{"type":'),
        (2, b'{"type":"pong"}'),
        (8, (4703).to_bytes(2, "big")),
        (8, (2000).to_bytes(2, "big")),
    ],
)
def test_what_is_no_answer_of_ours_is_told(opcode: int, payload: bytes) -> None:
    with pytest.raises(GatewayFuzzError):
        thrower(Found())._take(bytearray((0x80 | opcode, len(payload))) + payload, b"mark")


def test_answers_up_to_the_pong_are_counted() -> None:
    found = Found()
    error = b'{"type":"error","code":%d}' % ErrorCode.BROKEN_MESSAGE
    received = bytearray((0x81, len(error))) + error + bytearray((0x8A, 4)) + b"mark" + b"\x81"
    assert thrower(found)._take(received, b"mark")
    assert received == b"\x81", "half a frame waits for the rest"
    assert found.outcomes == {f"error {int(ErrorCode.BROKEN_MESSAGE)}": 1, "other messages": 0}


def test_frames_of_every_length_are_taken_apart() -> None:
    for length in (0, 125, 126, 65_535, 65_536):
        sizes = {1: bytes((length & 0x7F,)), 2: b"\x7e" + length.to_bytes(2 if length < 1 << 16 else 8, "big")}
        head = b"\x81" + (sizes[1] if length < 126 else sizes[2] if length < 1 << 16 else b"\x7f" + sizes[2][1:])
        data = bytearray(head + b"x" * length)
        assert [(opcode, len(payload)) for opcode, payload in server_frames(data)] == [(1, length)]
        assert not data


def test_a_close_of_ours_is_counted() -> None:
    found = Found()
    with pytest.raises(Exception, match=r"^$"):
        thrower(found)._take(bytearray((0x88, 2)) + CloseCode.PROTOCOL_ERROR.to_bytes(2, "big"), b"mark")
    assert found.outcomes["close 1002"] == 1
