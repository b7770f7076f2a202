"""The published cases of Autobahn's WebSocket test suite, by number, against an echo on the gateway's protocol class.

Written anew from the descriptions, since the suite itself wants Python 2; ``make autobahn`` runs it where it can be.
Families 12 and 13 try per-message compression, which is not offered. Cases 7.13 have no right answer.
"""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import NamedTuple

import pytest
import uvloop

from tickcast.testing.echo import RunningEcho, running_echo
from tickcast.testing.rude import Frame, RudeClient, frame

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
KIB, MIB = 1 << 10, 1 << 20
GREEK = bytes.fromhex("cebae1bdb9cf83cebcceb5")
"""A Greek word; one of its letters takes three bytes."""
HELLO = b"Hello, world!"
BYE = frame((1000).to_bytes(2, "big"), opcode=CLOSE)
ODD = b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


class Case(NamedTuple):
    """What is sent, in writes; what comes back; the code of the close, 1000 where the client begins it."""

    number: str
    sent: Sequence[bytes]
    back: Sequence[tuple[int, bytes]] = ()
    code: int = 1000


def octets(data: bytes) -> list[bytes]:
    return [data[place : place + 1] for place in range(len(data))]


def chopped(data: bytes, size: int) -> list[bytes]:
    return [data[place : place + size] for place in range(0, len(data), size)]


def fragments(parts: Sequence[bytes], opcode: int = TEXT) -> list[bytes]:
    last = len(parts) - 1
    return [frame(part, opcode=0 if place else opcode, final=place == last) for place, part in enumerate(parts)]


def stray(payload: bytes, *, final: bool) -> bytes:
    return frame(payload, opcode=0, final=final)


def family_1() -> Iterator[Case]:
    for group, opcode, filler in ((1, TEXT, b"*"), (2, BINARY, b"\xfe")):
        for place, size in enumerate((0, 125, 126, 127, 128, 65_535, 65_536, 65_536), 1):
            whole = frame(filler * size, opcode=opcode)
            yield Case(f"1.{group}.{place}", chopped(whole, 997) if place == 8 else [whole], [(opcode, filler * size)])


def family_2() -> Iterator[Case]:
    for place, payload in ((1, b""), (2, HELLO), (3, ODD), (4, b"\xfe" * 125)):
        yield Case(f"2.{place}", [frame(payload, opcode=PING)], [(PONG, payload)])
    yield Case("2.5", [frame(b"\xfe" * 126, opcode=PING)], code=1002)
    yield Case("2.6", octets(frame(b"\xfe" * 125, opcode=PING)), [(PONG, b"\xfe" * 125)])
    yield Case("2.7", [frame(b"", opcode=PONG)])
    yield Case("2.8", [frame(HELLO, opcode=PONG)])
    yield Case("2.9", [frame(HELLO, opcode=PONG), frame(b"ping", opcode=PING)], [(PONG, b"ping")])
    ten = [b"payload-%d" % number for number in range(10)]
    pings = [frame(payload, opcode=PING) for payload in ten]
    yield Case("2.10", pings, [(PONG, payload) for payload in ten])
    yield Case("2.11", octets(b"".join(pings)), [(PONG, payload) for payload in ten])


def after_hello(number: str, broken: bytes, *, by: str) -> Case:
    """A good message, a broken frame and a ping: the message comes back, the ping is never answered."""
    writes = [frame(HELLO), broken, frame(b"", opcode=PING)]
    together = {"once": [b"".join(writes)], "frames": writes, "octets": octets(b"".join(writes))}
    return Case(number, together[by], [(TEXT, HELLO)], code=1002)


def reserved(bits: int, opcode: int = TEXT) -> bytes:
    return frame(HELLO, opcode=bits << 4 | opcode)


def families_3_and_4() -> Iterator[Case]:
    yield Case("3.1", [reserved(1)], code=1002)
    yield after_hello("3.2", reserved(2), by="once")
    yield after_hello("3.3", reserved(3), by="frames")
    yield after_hello("3.4", reserved(4), by="octets")
    yield Case("3.5", [reserved(5, BINARY)], code=1002)
    yield Case("3.6", [reserved(6, PING)], code=1002)
    yield Case("3.7", [reserved(7, CLOSE)], code=1002)
    for group, first in ((1, 3), (2, 11)):
        yield Case(f"4.{group}.1", [frame(b"", opcode=first)], code=1002)
        yield Case(f"4.{group}.2", [frame(HELLO, opcode=first + 1)], code=1002)
        yield after_hello(f"4.{group}.3", frame(b"", opcode=first + 2), by="once")
        yield after_hello(f"4.{group}.4", frame(HELLO, opcode=first + 3), by="frames")
        yield after_hello(f"4.{group}.5", frame(HELLO, opcode=first + 4), by="octets")


def family_5() -> Iterator[Case]:
    halves = [b"fragment1", b"fragment2"]
    whole, ping = b"".join(halves), frame(b"pongme", opcode=PING)
    one, two = fragments(halves)
    text = (TEXT, whole)
    yield Case("5.1", fragments(halves, PING), code=1002)
    yield Case("5.2", fragments(halves, PONG), code=1002)
    for place, writes in ((3, [one + two]), (4, [one, two]), (5, octets(one + two))):
        yield Case(f"5.{place}", writes, [text])
    for place, writes in ((6, [one + ping + two]), (7, [one, ping, two]), (8, octets(one + ping + two))):
        yield Case(f"5.{place}", writes, [(PONG, b"pongme"), text])
    for place, final in ((9, True), (12, False)):
        writes = [stray(b"non-continuation", final=final), frame(HELLO)]
        yield Case(f"5.{place}", [b"".join(writes)], code=1002)
        yield Case(f"5.{place + 1}", writes, code=1002)
        yield Case(f"5.{place + 2}", octets(b"".join(writes)), code=1002)
    yield Case("5.15", [one + two + stray(b"fragment3", final=False) + frame(HELLO)], [text], code=1002)
    yield Case("5.16", [stray(b"fragment1", final=False), one, two] * 2, code=1002)
    yield Case("5.17", [stray(b"fragment1", final=True), one, two] * 2, code=1002)
    yield Case("5.18", [one + frame(b"fragment2")], code=1002)
    five = fragments([b"1", b"2", b"3", b"4", b"5"])
    mixed = [*five[:2], frame(b"a", opcode=PING), *five[2:4], frame(b"b", opcode=PING), five[4]]
    for place, writes in ((19, mixed), (20, octets(b"".join(mixed)))):
        yield Case(f"5.{place}", writes, [(PONG, b"a"), (PONG, b"b"), (TEXT, b"12345")])


BROKEN_TEXT = GREEK + bytes.fromhex("eda080") + b"edited"


def family_6() -> Iterator[Case]:
    yield Case("6.1.1", [frame(b"")], [(TEXT, b"")])
    yield Case("6.1.2", fragments([b"", b"", b""]), [(TEXT, b"")])
    yield Case("6.1.3", fragments([b"", b"middle", b""]), [(TEXT, b"middle")])
    text = "Hello-µ@ßöäüàá-UTF-8!!".encode()
    yield Case("6.2.1", [frame(text)], [(TEXT, text)])
    yield Case("6.2.2", fragments([text[:8], text[8:]]), [(TEXT, text)])
    yield Case("6.2.3", fragments(octets(text)), [(TEXT, text)])
    yield Case("6.2.4", fragments(octets(GREEK)), [(TEXT, GREEK)])
    yield Case("6.3.1", [frame(BROKEN_TEXT)], code=1007)
    yield Case("6.3.2", fragments(octets(BROKEN_TEXT)), code=1007)
    for number, payload in texts():
        if is_text(payload):
            yield Case(number, [frame(payload)], [(TEXT, payload)])
        else:
            yield Case(number, [frame(payload)], code=1007)


def is_text(payload: bytes) -> bool:
    """Python's own decoder decides."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


# Markus Kuhn's stress test for UTF-8 decoders, section by section, which families 6.5 to 6.23 go through.
SECTIONS = {
    7: "00 c280 e0a080 f0908080",
    8: "f888808080 fc8480808080",
    9: "7f dfbf efbfbf f48fbfbf",
    10: "f7bfbfbf fbbfbfbfbf fdbfbfbfbfbf",
    11: "ed9fbf ee8080 efbfbd f48fbfbf f4908080",
    14: "c0 e080 f08080 f8808080 fc80808080 df efbf f7bfbf fbbfbfbf fdbfbfbfbf",
    16: "fe ff fefeffff",
    17: "c0af e080af f08080af f8808080af fc80808080af",
    18: "c1bf e09fbf f08fbfbf f887bfbfbf fc83bfbfbfbf",
    19: "c080 e08080 f0808080 f880808080 fc8080808080",
    20: "eda080 edadbf edae80 edafbf edb080 edbe80 edbfbf",
    21: "eda080edb080 eda080edbfbf edadbfedb080 edadbfedbfbf edae80edb080 edae80edbfbf edafbfedb080 edafbfedbfbf",
    23: "efbfb9 efbfba efbfbb efbfbc efbfbd efbfbe efbfbf",
}


def texts() -> Iterator[tuple[str, bytes]]:
    sections = {section: [bytes.fromhex(one) for one in told.split()] for section, told in SECTIONS.items()}
    sections[5] = [f"hello{character}world".encode() for character in "$¢€\U00024b62"] + [GREEK]
    sections[6] = [GREEK[:length] for length in range(1, len(GREEK) + 1)]
    tails = range(0x80, 0xC0)
    sections[12] = [b"\x80", b"\xbf", *((b"\x80\xbf" * 3)[:length] for length in range(2, 7)), bytes(tails)]
    spaced = ((0xC0, 0xE0), (0xE0, 0xF0), (0xF0, 0xF8), (0xF8, 0xFC), (0xFC, 0xFE))
    sections[13] = [b" ".join(bytes((lead,)) for lead in range(*leads)) + b" " for leads in spaced]
    sections[15] = [b"".join(sections[14])]
    ends = [plane << 16 | end for plane in range(17) for end in (0xFFFE, 0xFFFF)]
    sections[22] = [chr(end).encode() for end in ends]
    for section, payloads in sorted(sections.items()):
        for place, payload in enumerate(payloads, 1):
            yield f"6.{section}.{place}", payload


def close(code: int | None = None, reason: bytes = b"") -> bytes:
    return frame((code.to_bytes(2, "big") if code is not None else b"") + reason, opcode=CLOSE)


def family_7() -> Iterator[Case]:
    hello = (TEXT, HELLO)
    yield Case("7.1.1", [frame(HELLO)], [hello])
    yield Case("7.1.2", [BYE + BYE])
    yield Case("7.1.3", [BYE + frame(b"", opcode=PING)])
    yield Case("7.1.4", [BYE + frame(HELLO)])
    yield Case("7.1.5", [frame(b"fragment1", final=False) + BYE + stray(b"fragment2", final=True)])
    many = b"BAsd7&jh23" * 26_214
    yield Case("7.1.6", [frame(many) + frame(HELLO) + BYE + frame(b"", opcode=PING)], [(TEXT, many), hello])
    yield Case("7.3.1", [close()], code=0)
    yield Case("7.3.2", [frame(b"a", opcode=CLOSE)], code=1002)
    yield Case("7.3.3", [close(1000)])
    yield Case("7.3.4", [close(1000, HELLO)])
    yield Case("7.3.5", [close(1000, b"*" * 123)])
    yield Case("7.3.6", [close(1000, b"*" * 124)], code=1002)
    yield Case("7.5.1", [close(1000, BROKEN_TEXT)], code=1007)
    valid = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    for place, code in enumerate(valid, 1):
        yield Case(f"7.7.{place}", [close(code)], code=code)
    for place, code in enumerate((0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999), 1):
        yield Case(f"7.9.{place}", [close(code)], code=1002)


def families_9_and_10() -> Iterator[Case]:
    for group, opcode, filler in ((1, TEXT, b"*"), (2, BINARY, b"\xfe")):
        for place, size in enumerate((64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB), 1):
            yield Case(f"9.{group}.{place}", [frame(filler * size, opcode=opcode)], [(opcode, filler * size)])
        whole = filler * (4 * MIB)
        for place in range(9):
            parts = fragments(chopped(whole, 64 << 2 * place), opcode)
            yield Case(f"9.{group + 2}.{place + 1}", [b"".join(parts)], [(opcode, whole)])
        whole = filler * MIB
        for place in range(6):
            writes = chopped(frame(whole, opcode=opcode), 64 << place)
            yield Case(f"9.{group + 4}.{place + 1}", writes, [(opcode, whole)])
    whole = b"*" * 65_536
    yield Case("10.1.1", fragments(chopped(whole, 1300)), [(TEXT, whole)])


CASES = [
    *family_1(), *family_2(), *families_3_and_4(), *family_5(), *family_6(), *family_7(), *families_9_and_10(),
]  # fmt: skip


@pytest.fixture(scope="module")
def chosen() -> list[Case]:
    numbers = [case.number for case in CASES]
    assert len(set(numbers)) == len(numbers)
    return CASES


@pytest.fixture
async def echo() -> AsyncIterator[RunningEcho]:
    async with running_echo() as running:
        yield running


async def exchange(echo: RunningEcho, case: Case) -> tuple[list[tuple[int, bytes]], int]:
    """Send what the case sends; returns what came back before the close, and the close's code."""
    async with await RudeClient.connect(echo.url) as client:

        async def send() -> None:
            for data in case.sent:
                client.send(data)
                await client.writer.drain()
            if case.code == 1000:
                client.send(BYE)

        sending = asyncio.create_task(send())
        back: list[tuple[int, bytes]] = []
        while (received := await client.frame()).opcode != CLOSE:
            back.append((received.opcode, received.payload))
        await asyncio.gather(sending, return_exceptions=True)
        # The server ends the connection: at once, and not by a reset.
        assert await client.rest() == b""
        return back, received.code if received.payload else 0


@pytest.mark.parametrize("family", [str(number) for number in (1, 2, 3, 4, 5, 6, 7, 9, 10)])
async def test_the_published_cases(family: str, chosen: list[Case], echo: RunningEcho) -> None:
    wrong = []
    for case in (case for case in chosen if case.number.split(".")[0] == family):
        back, code = await exchange(echo, case)
        # A message in front of what breaks the framing comes back, or is dropped with the rest: both are allowed by
        # RFC 6455, the former is what we do.
        if back != list(case.back) or code != case.code:
            wrong.append((case.number, [(opcode, data[:40]) for opcode, data in back], code))
    assert wrong == []


@pytest.mark.parametrize(("number", "cut"), [("6.4.1", 0), ("6.4.2", 1), ("6.4.3", 0), ("6.4.4", 1)])
async def test_text_that_cannot_become_utf8_is_refused_at_once(number: str, cut: int, echo: RunningEcho) -> None:
    broken = bytes.fromhex("f4908080")
    parts = [GREEK + broken[:cut], broken[cut : cut + 1] if cut else broken, broken[cut + 1 :] + b"edited"]
    whole = b"".join(parts)
    sent = fragments(parts) if number in {"6.4.1", "6.4.2"} else []
    if not sent:
        begin = len(frame(whole)) - len(whole)
        data = frame(whole)
        marks = [0, begin + len(parts[0]), begin + len(parts[0]) + len(parts[1]), len(data)]
        sent = [data[start:end] for start, end in itertools.pairwise(marks)]
    async with await RudeClient.connect(echo.url) as client:
        client.send(sent[0])
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.reader.readexactly(1), 0.2)  # the beginning is fine as far as it goes
        client.send(sent[1])
        assert await client.frame() == Frame(CLOSE, (1007).to_bytes(2, "big") + b"text must be UTF-8")
        assert await client.rest() == b""


@pytest.mark.parametrize(("group", "opcode"), [(7, TEXT), (8, BINARY)])
async def test_a_thousand_messages_there_and_back(group: int, opcode: int, echo: RunningEcho) -> None:
    for place, size in enumerate((0, 16, 64, 256, 1024, 4096), 1):
        async with await RudeClient.connect(echo.url) as client:
            for _ in range(1000):
                client.send(frame(b"*" * size, opcode=opcode))
                assert await client.frame() == (opcode, b"*" * size), f"9.{group}.{place}"


async def test_a_message_over_the_limit_is_refused_by_its_header(echo: RunningEcho) -> None:
    async with await RudeClient.connect(echo.url) as client:
        client.send(b"\x82\xff" + (16 * MIB + 1).to_bytes(8, "big") + b"mask")
        assert await client.close_code() == 1009
        assert await client.rest() == b""


def test_no_case_is_missing() -> None:
    counts: dict[str, int] = {}
    for case in CASES:
        family = re.match(r"\d+", case.number)
        assert family is not None
        counts[family[0]] = counts.get(family[0], 0) + 1
    assert counts == {"1": 16, "2": 11, "3": 7, "4": 10, "5": 20, "6": 141, "7": 35, "9": 42, "10": 1}
