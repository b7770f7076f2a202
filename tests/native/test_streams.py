"""Packets, level books, dedup, last records and the sequence check through the door."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast import _native
from tickcast.model.record import Flag, Kind, Records, empty_records, record_bytes, records_from


def packet(letter: bytes, payload: bytes) -> bytes:
    return (len(payload) + 1).to_bytes(2, "big") + letter + payload


def rows(*values: dict[str, int]) -> Records:
    records = empty_records(len(values))
    for index, fields in enumerate(values):
        for name, value in fields.items():
            records[name][index] = value
    return records


@given(st.lists(st.tuples(st.sampled_from([b"S", b"H", b"A", b"Z"]), st.binary(max_size=40))), st.integers(0, 400))
def test_packets_of_a_stream_in_two_reads(packets: list[tuple[bytes, bytes]], cut: int) -> None:
    stream = b"".join(packet(letter, payload) for letter, payload in packets)
    first = _native.soup_split(stream[:cut])
    second = _native.soup_split(stream[first.consumed :])
    assert first.consumed + second.consumed == len(stream)
    data = [payload for letter, payload in packets if letter == b"S"]
    assert first.messages + second.messages == b"".join(len(d).to_bytes(2, "big") + d for d in data)
    assert first.sequenced + second.sequenced == len(data)
    control = [(letter.decode(), payload) for letter, payload in packets if letter != b"S"]
    assert first.control + second.control == control


def test_a_damaged_stream_raises_once_its_good_packets_are_told() -> None:
    stream = packet(b"S", b"good") + b"\0\0"
    assert _native.soup_split(stream).consumed == 7
    with pytest.raises(ValueError, match="length 0"):
        _native.soup_split(stream[7:])
    with pytest.raises(ValueError, match="packet type"):
        _native.soup_split(memoryview(b"GET / HTTP/1.1"))


def test_dedup_and_last_records() -> None:
    trade = {"instrument": 1, "kind": Kind.TRADE, "id": 7, "price": 10, "flags": Flag.LAST_OF_EVENT}
    quote = {"instrument": 1, "kind": Kind.BID, "seq": 3, "price": 9, "flags": Flag.LAST_OF_EVENT}
    batch = rows(trade, quote, trade, quote)
    dedup = _native.Dedup(100)
    passed = dedup.filter(record_bytes(batch))
    assert passed == bytes(record_bytes(batch[:2]))
    assert (dedup.duplicates, dedup.size) == (2, 2)
    last = _native.LastRecords()
    last.update(passed)
    kept = records_from(last.snapshot())
    assert [(int(row["kind"]), int(row["price"])) for row in kept] == [(Kind.TRADE, 10), (Kind.BID, 9)]
    assert all(int(flags) == Flag.LAST_OF_EVENT | Flag.SNAPSHOT for flags in kept["flags"])
    last.clear()
    assert last.snapshot() == b""
    with pytest.raises(ValueError, match="multiple of 64"):
        dedup.filter(b"x")
    with pytest.raises(ValueError, match="at least 1"):
        _native.Dedup(0)


def test_sequence_check() -> None:
    check = _native.SequenceCheck(5, reset_below=100)
    assert check.check(5, 3) == ("next", 0, 0)
    assert check.check(10, 1) == ("gap", 8, 9)
    assert check.check(5, 2) == ("duplicate", 5, 6)
    assert check.check(10, 191) == ("overlap", 10, 10)
    assert check.check(1, 1) == ("reset", 201, 1)
    assert (check.expected, check.gaps, check.missing, check.duplicates, check.resets) == (2, 1, 2, 3, 1)
    check.reset()
    assert check.check(77, 0) == ("next", 0, 0)
