"""The captured FIX files: understood, or refused for the right reason."""

import gzip
import json
from decimal import Decimal

import pytest
from tests.venues.captures import capture
from tests.venues.decoding import rows
from tests.venues.fix.peer import parse

from tickcast import _native
from tickcast.model.record import Kind

CME = "fix/cme_secdef_2018_a.dat.gz"
ICE = "fix/ice_secdef_20190129_truncated.dat.gz"
DOCS = "fix/fix_messages_from_docs.jsonl"


def test_definitions_without_headers() -> None:
    data = gzip.decompress(capture(CME).read_bytes())
    assert _native.fix_is_bare(data[:4096])
    frames = _native.fix_split(data, mode="bare", at_end=True)
    assert (frames.messages, frames.damaged, frames.consumed) == (108, [], len(data))
    decoder = _native.FixDecoder("FIX")
    decoded = [decoder.decode(run.raw, 0) for run in frames.runs]
    assert sum(one.dead_count for one in decoded) == 0
    found = [one for part in decoded for one in part.instruments]
    lines = [parse(line) for line in data.splitlines()]
    for definition, fields in zip(found, lines, strict=True):
        for name, tag in (("symbol", 55), ("security_id", 48), ("currency", 15), ("tick_size", 969), ("maturity", 200)):
            assert definition[name] == fields.get(tag, "")
    assert set(decoder.names().values()) == {fields[55] for fields in lines}


def test_a_text_that_is_cut_is_refused() -> None:
    data = gzip.decompress(capture(ICE).read_bytes())
    assert not _native.fix_is_bare(data[:4096])
    frames = _native.fix_split(data, mode="log", at_end=True)
    assert frames.messages == 0
    ((offset, reason, raw, _),) = frames.damaged
    assert (offset, reason) == (0, "BodyLength (9) does not lead to CheckSum (10)")
    assert data.startswith(raw)


@pytest.mark.parametrize("mode", ["stream", "log"])
def test_published_messages_are_taken_if_their_sums_are_right(mode: str) -> None:
    taken = 0
    for line in capture(DOCS).read_text().splitlines():
        entry = json.loads(line)
        frames = _native.fix_split(entry["raw"].encode("latin-1"), mode=mode, at_end=True)
        is_right = bool(entry["checksum_ok"]) and bool(entry["body_length_ok"])
        assert (frames.messages, len(frames.damaged)) == ((1, 0) if is_right else (0, 1)), entry["source"]
        for run in frames.runs:
            taken += 1
            assert run.msg_type == entry["msg_type"]
            decoded = _native.FixDecoder("FIX").decode(run.raw, 0)
            assert (decoded.messages, decoded.dead) == (1, [])
    assert taken == 9


def test_published_trades_and_quotes_are_what_the_text_says() -> None:
    entries = [json.loads(line) for line in capture(DOCS).read_text().splitlines()]
    raw = [entry["raw"].encode("latin-1") for entry in entries if entry["checksum_ok"] and entry["msg_type"] == "X"]
    decoder = _native.FixDecoder("FIX")
    found = rows(decoder.decode(b"".join(raw), 0).records)
    trades = [(row.ident, row.price, row.size) for row in found if row.kind == Kind.TRADE]
    assert trades[:3] == [(number, Decimal("10.00000"), Decimal("0.01000")) for number in range(3)]
    assert trades[3:] == [
        (67, Decimal("240.00"), Decimal(3)),
        (68, Decimal("238.00"), Decimal(2)),
        (69, Decimal("233.00"), Decimal(1)),
    ]
    joined = [row for row in found if row.kind == Kind.TRADE and row.ident >= 67]
    assert [row.last for row in joined] == [False, False, True]  # LastFragment (893) joins both messages
    quotes = [(row.kind, row.price, row.size) for row in found if row.kind in {Kind.BID, Kind.ASK}]
    assert quotes == [
        (Kind.BID, Decimal(65000), Decimal(2)),
        (Kind.BID, Decimal("1.35259"), Decimal(500000)),
        (Kind.ASK, Decimal("1.35271"), Decimal(15600000)),
    ]
