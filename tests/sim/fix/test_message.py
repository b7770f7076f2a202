"""Cutting a client's stream: whole messages in any pieces, garbled ones left out, the next one found."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sim.fix_client import cut, fields, moment

from tickcast.sim.fix.message import (
    GarbledStreamError,
    MessageReader,
    TimeText,
    checksum,
    frame,
    joined,
    parse_timestamp,
)

GOOD = frame(joined([(35, "0"), (49, "A"), (56, "B"), (34, 7), (52, "20260330-14:00:00")]))
VALUES = st.text(st.characters(min_codepoint=2, max_codepoint=255), min_size=1, max_size=300)


@given(st.binary(max_size=3000))
def test_checksum_is_the_sum_modulo_256(data: bytes) -> None:
    assert checksum(data) == sum(data) % 256


@given(st.lists(st.tuples(st.integers(1, 9999).filter(lambda tag: tag not in {8, 9, 10, 35}), VALUES), max_size=20))
def test_a_frame_is_what_an_independent_reader_takes_it_for(pairs: list[tuple[int, str]]) -> None:
    whole = frame(joined([(35, "V"), *pairs]))
    assert cut(whole) == ([whole], b"")
    assert MessageReader().feed(whole) == [[(35, "V"), *pairs]]


@given(st.data())
def test_pieces_do_not_matter(data: st.DataObject) -> None:
    stream = b"".join(frame(joined([(35, "0"), (34, number), (58, "x" * number)])) for number in range(1, 8))
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    reader, found = MessageReader(), []
    for start, end in zip([0, *places], [*places, len(stream)], strict=True):
        found += reader.feed(stream[start:end])
    assert [dict(one)[34] for one in found] == [str(number) for number in range(1, 8)]
    assert reader.garbled == 0


@pytest.mark.parametrize(
    "bad",
    [
        re.sub(rb"10=\d+", b"10=000" if b"10=000" not in GOOD else b"10=001", GOOD),
        re.sub(rb"9=(\d+)", lambda found: b"9=%d" % (int(found[1]) + 1), GOOD),
        re.sub(rb"9=(\d+)", lambda found: b"9=%d" % (int(found[1]) - 1), GOOD),
        re.sub(rb"9=(\d+)", b"9=40000", GOOD),
        re.sub(rb"9=(\d+)", b"9=99999999", GOOD),
        re.sub(rb"9=(\d+)", b"9=", GOOD),
        GOOD[:20],
        GOOD[: len(GOOD) // 2],
        frame("49=A\x0135=0\x01"),
        frame("35=0\x01nothing\x01"),
        frame("35=0\x01x1=2\x01"),
        GOOD.replace(b"FIX.4.4", b"FIX.4.2"),
    ],
)
def test_garbled_messages_are_left_out_and_take_no_good_one_along(bad: bytes) -> None:
    reader = MessageReader()
    found = reader.feed(GOOD + bad + GOOD + GOOD)
    assert reader.garbled >= 1
    # a cut message may not be told from one that swallowed its follower, which is then lost with it
    assert len(found) in {2, 3}
    assert all(dict(one)[34] == "7" for one in found)


def test_what_is_no_fix_ends_the_stream() -> None:
    with pytest.raises(GarbledStreamError, match="8=FIX"):
        MessageReader().feed(b"GET / HTTP/1.1\r\n\r\n")
    reader = MessageReader()
    reader.feed(b"8=FIX.4.4\x019=1048576\x01" + b"x" * 1_000_000)
    with pytest.raises(GarbledStreamError, match="longer"):
        reader.feed(b"x" * 48_577)


@given(st.binary(max_size=400))
def test_any_bytes_are_taken_or_refused(data: bytes) -> None:
    reader = MessageReader()
    try:
        reader.feed(b"8=FIX" + data)
        reader.feed(GOOD)
    except GarbledStreamError:
        return
    assert len(reader._held) <= 500 + len(GOOD)


@pytest.mark.parametrize("digits", [3, 6, 9])
@given(ts=st.integers(0, 4_000_000_000_000_000_000))
def test_times_are_written_and_read(digits: int, ts: int) -> None:
    text = TimeText(digits)
    cut_off = ts - ts % 10 ** (9 - digits)
    assert parse_timestamp(text.timestamp(ts)) == cut_off
    assert moment(f"{text.date(ts)}-{text.clock(ts)}") == cut_off
    assert text.date(ts) == datetime.fromtimestamp(ts // 10**9, UTC).strftime("%Y%m%d")


@pytest.mark.parametrize("text", ["", "20260330", "20260330-25:00:00", "20260330-14:00:00.x", "x"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_timestamp(text)


def test_the_clients_parser_reads_what_we_write() -> None:
    assert fields(GOOD)[2:5] == [(35, "0"), (49, "A"), (56, "B")]
