import gzip
import struct
from collections.abc import Iterator
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.native.reference_pitch import LAYOUT, TEXT, ReferenceDecoder, ReferenceTextDecoder, Row, pack
from tests.venues.captures import capture

from tickcast import _native
from tickcast.model.record import Condition, Flag, Kind, State, records_from

MIDNIGHT = 1_409_544_000_000_000_000  # 2014-09-01 in New York
SYMBOLS = [b"AAPL", b"BRK.B", b"ZVZZT"]


def native_rows(data: bytes) -> list[dict[str, int]]:
    names = list(Row.__dataclass_fields__)
    return [{name: int(record[name]) for name in names} for record in records_from(data)]


def equal(reference: ReferenceDecoder | ReferenceTextDecoder, found: list[_native.Decoded]) -> None:
    counts = [sum(one.messages for one in found), sum(one.dead_count for one in found)]
    counts.append(sum(one.unpriced for one in found))
    assert counts == [reference.messages, reference.dead, reference.unpriced]
    mine = [row for one in found for row in native_rows(one.records)]
    theirs = [{name: int(value) for name, value in asdict(row).items()} for row in reference.rows]
    for index, pair in enumerate(zip(mine, theirs, strict=False)):
        assert pair[0] == pair[1], f"row {index}"
    assert len(mine) == len(theirs)


few = st.integers(1, 9)
sides = st.sampled_from([b"B", b"S", b"B", b"S", b"B", b"S", b"x"])
shares = st.sampled_from([0, 1, 50, 100, 100, 300, 65_535])
symbols = st.sampled_from([*SYMBOLS, *SYMBOLS, *SYMBOLS, b"", b"A\x01"])
letters = st.sampled_from([b"T", b"H", b"Q", b"A", b"S", b"T", b"?"])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "order": few,
    "execution": few,
    "side": sides,
    "shares": shares,
    "remaining": shares,
    "symbol": symbols,
    "price": st.sampled_from([0, 999_900, 1_000_000, 1_000_001, 7_500_000_000, 10**14, 10**14 + 1]),
    "indicative": st.sampled_from([0, 1_000_000, 10**14 + 1]),
    "cents": st.sampled_from([0, 9_999, 10_000, 10_001]),
    "time": st.sampled_from([34_200, 34_201, 172_800]),
    "offset": st.integers(0, 999_999_999),
    "status": letters,
    "sho": st.sampled_from([b"0", b"1", b" "]),
    "flags": st.just(1),
    "buy": st.integers(0, 500),
    "sell": st.integers(0, 500),
}
ORDERS = [0x22, 0x22, 0x22, 0x21, 0x2F, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29]


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from([*ORDERS, *ORDERS, *ORDERS, *LAYOUT]))
    codes, names = LAYOUT[kind]
    values = []
    for name, code in zip(names.split(), struct_codes(codes), strict=True):
        default = st.binary(min_size=1, max_size=1) if code == "c" else st.integers(0, 1000)
        value = draw(FIELDS.get(name, st.just(b"") if code.endswith("s") else default))
        values.append(value.ljust(int(code[:-1])) if code.endswith("s") else value)
    message = pack(kind, *values)
    damage = draw(st.integers(0, 40))
    if damage == 0:
        message = bytes([len(message) - 1]) + message[1:-1]
    elif damage == 1:
        message = bytes([len(message) + 3]) + message[1:] + b"new"
    elif damage == 2:
        message = bytes([len(message), 0xFE]) + message[2:]
    return message


def struct_codes(codes: str) -> Iterator[str]:
    width = ""
    for one in codes:
        if one.isdigit():
            width += one
            continue
        yield width + one
        width = ""


@given(st.lists(st.tuples(messages(), st.integers(1, 2)), max_size=60), st.booleans())
@settings(max_examples=300, deadline=None)
def test_the_native_decoder_equals_the_reference(parts: list[tuple[bytes, int]], numbered: bool) -> None:
    reference, decoder = ReferenceDecoder("BATS", MIDNIGHT), _native.PitchDecoder("BATS", MIDNIGHT)
    found, seqs = [], {1: 1, 2: 1}
    # a symbol belongs to one unit: the unit says which symbols its messages name
    for drawn, unit in parts:
        message = drawn
        for symbol in SYMBOLS:
            message = message.replace(symbol, symbol[:-1] + b"%d" % unit)
        seq = seqs[unit] if numbered else 0
        seqs[unit] += 1
        reference.decode(message, unit, seq, 77)
        found.append(decoder.decode(message, unit, seq, 77))
    equal(reference, found)
    assert decoder.orders == sum(len(unit.orders) for unit in reference.units.values())


@given(st.lists(messages(), max_size=40), st.binary(max_size=20))
@settings(max_examples=100, deadline=None)
def test_one_call_equals_many(parts: list[bytes], tail: bytes) -> None:
    whole = _native.PitchDecoder("BATS", MIDNIGHT, depth=3)
    one = _native.PitchDecoder("BATS", MIDNIGHT, depth=3)
    together = whole.decode(b"".join(parts) + tail, 1, 5, 7)
    apart = [one.decode(message, 1, 5 + index, 7) for index, message in enumerate([*parts, tail])]
    rest = b"".join(each.records for each in apart[: len(parts)])
    assert together.records[: len(rest)] == rest
    assert one.decode(b"", 1, 1, 7).messages == 0


def text_line(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from("AAAAAAEEXXXPd1r2BsHI3J4R"))
    text = f"S{draw(st.integers(34_200_000, 34_200_009)):08d}{kind}".encode()
    for one in TEXT[kind].split():
        name = one[:2] if one.startswith(("r1", "r2")) else one.rstrip("0123456789")
        width = int(one[len(name) :])
        if name in {"order", "execution"}:
            part = base36(draw(few)).rjust(width, b"0")
        elif name in {"shares", "buy", "sell"}:
            part = b"%0*d" % (width, draw(shares))
        elif width in {10, 14} and name != "symbol":
            cents = draw(st.sampled_from([0, 99, 100, 101]))
            part = b"%0*d" % (
                width,
                cents * (10_000 if width == 10 else 1_000_000) + draw(st.sampled_from([0, 0, 1, 50])),
            )
        else:
            part = draw(FIELDS.get(name, st.just(b"Y"))).ljust(width)
        text += part
    damage = draw(st.integers(0, 30))
    return text[: draw(st.integers(0, len(text)))] if damage == 0 else text


def base36(number: int) -> bytes:
    return b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[number : number + 1]


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    return text_line(draw)


@given(st.lists(texts(), max_size=60), st.lists(st.integers(0, 3000), max_size=4))
@settings(max_examples=200, deadline=None)
def test_the_native_text_decoder_equals_the_reference(lines: list[bytes], cuts: list[int]) -> None:
    lines = [line for line in lines if line not in {b"", b"S"}]
    block = b"".join(line + b"\n" for line in lines)
    reference, decoder = ReferenceTextDecoder("BATS", MIDNIGHT), _native.PitchTextDecoder("BATS", MIDNIGHT)
    reference.decode(block, 1)
    found, start, seq = [], 0, 1
    for cut in [*sorted({min(cut, len(block)) for cut in cuts}), len(block)]:
        found.append(decoder.decode(block[start:cut], seq, 0))
        seq += found[-1].messages + found[-1].dead_count
        start = cut
    equal(reference, found)


CLEAR = pack(0x97, 9)
WATCHING = st.lists(
    st.tuples(messages() | st.just(CLEAR), st.integers(1, 2), st.none() | st.sets(st.sampled_from(SYMBOLS))),
    max_size=60,
)


@given(WATCHING, st.integers(0, 4), st.booleans())
@settings(max_examples=150, deadline=None)
def test_who_follows_level_rows_by_the_rule_has_the_book(
    stream: list[tuple[bytes, int, set[bytes] | None]], depth: int, moving: bool
) -> None:
    """The rule is in docs/reference/record.md (Books); books are watched and left alone in between.

    ``moving``: symbols come in both units, as they never should.
    """
    decoder = _native.PitchDecoder("BATS", MIDNIGHT, depth=depth)
    known: dict[tuple[int, int], dict[Decimal, tuple[int, int]]] = {}
    watched: set[int] = set()
    names = {f"{symbol[:-1].decode()}{unit}" for symbol in SYMBOLS for unit in (1, 2)}
    for drawn, unit, watch in stream:
        message = drawn
        for symbol in SYMBOLS:
            message = message.replace(symbol, symbol[:-1] + b"%d" % (1 if moving else unit))
        data = decoder.decode(message, unit, 0, 0).records
        if watch is not None:
            watched = {_native.instrument_id(f"BATS:{name[:-1].decode()}{one}") for name in watch for one in (1, 2)}
            data += decoder.watch_books(sorted(watched), 0)
        for row in native_rows(data):
            if row["kind"] in (Kind.BOOK_BID, Kind.BOOK_ASK):
                follow(known, row)
        for name in names:
            instrument = _native.instrument_id(f"BATS:{name}")
            told = 50 if instrument in watched else depth
            book = decoder.book(name, max(told, 1))
            for kind, expected in zip((Kind.BOOK_BID, Kind.BOOK_ASK), book, strict=True):
                levels = known.get((instrument, kind))
                assert told or levels is None, "nobody watches it"
                assert not told or best_first(levels or {}, kind) == [
                    (Decimal(price), size, orders) for price, size, orders in expected
                ]


def follow(known: dict[tuple[int, int], dict[Decimal, tuple[int, int]]], row: dict[str, int]) -> None:
    """Apply a level's row as the record's reference says."""
    side = row["instrument"], row["kind"]
    price = Decimal(row["price"]).scaleb(-row["price_scale"])
    if row["flags"] & Flag.NO_PRICE:
        known.pop(side, None)
        if not row["flags"] & Flag.INVALID_BOOK:
            known[side] = {}
    elif row["size"]:
        known[side][price] = row["size"], row["detail"]
    else:
        known[side].pop(price, None)


def best_first(levels: dict[Decimal, tuple[int, int]], kind: Kind) -> list[tuple[Decimal, int, int]]:
    return [(price, *levels[price]) for price in sorted(levels, reverse=kind == Kind.BOOK_BID)]


def test_units_have_clocks_ids_and_books_of_their_own() -> None:
    decoder = _native.PitchDecoder("BATS", MIDNIGHT)
    add = LAYOUT[0x22]
    assert add
    for unit, symbol in ((1, b"AAPL  "), (2, b"MSFT  ")):
        decoder.decode(pack(0x20, 34_200 + unit), unit, 1, 0)
        decoder.decode(pack(0x22, 5, 7, b"B", 100, symbol, 1000 + unit, 1), unit, 2, 0)
    assert decoder.orders == 2
    assert decoder.book("AAPL", 5) == ([("10.0100", 100, 1)], [])
    assert decoder.book("MSFT", 5) == ([("10.0200", 100, 1)], [])
    assert [decoder.clock(unit) for unit in (1, 2, 3)] == [34_201, 34_202, None]
    assert decoder.instruments(2) == [_native.instrument_id("BATS:MSFT")]
    decoder.decode(pack(0x97, 9), 1, 3, 0)
    assert decoder.orders == 1
    assert decoder.book("AAPL", 5) == ([], [])
    decoder.reset(2)
    assert decoder.orders == 0


def test_a_price_above_32_bits_is_exact() -> None:
    decoder = _native.PitchDecoder("BATS", MIDNIGHT)
    decoder.decode(pack(0x21, 5, 7, b"S", 3, b"BRK.A ", 7_512_345_678, 1), 1, 1, 0)
    assert decoder.book("BRK.A", 1) == ([], [("751234.5678", 3, 1)])


def test_midnight_passes_in_the_stream() -> None:
    decoder = _native.PitchDecoder("BATS", MIDNIGHT)
    trade = pack(0x2B, 5, 0, b"S", 100, b"AAPL  ", 1000, 9)
    first = decoder.decode(pack(0x20, 86_399) + trade, 1, 1, 0)
    second = decoder.decode(pack(0x20, 1) + trade, 1, 3, 0)
    times = [int(records_from(one.records)[0]["ts_event"]) - MIDNIGHT for one in (first, second)]
    assert times == [86_399_000_000_005, 86_401_000_000_005]
    decoder.set_clock(1, 34_200, MIDNIGHT)
    third = decoder.decode(trade, 1, 5, 0)
    assert records_from(third.records)[0]["ts_event"] == MIDNIGHT + 34_200_000_000_005
    assert records_from(third.records)[0]["side"] == 1


def test_depth_publishes_levels_and_a_filter_limits() -> None:
    decoder = _native.PitchDecoder("BATS", MIDNIGHT, depth=2, symbols=["AAPL"])
    for order, cents in ((1, 1000), (2, 999), (3, 1001)):
        decoded = decoder.decode(pack(0x22, 5, order, b"B", 100, b"AAPL  ", cents, 1), 1, order, 0)
    rows = records_from(decoded.records)
    assert rows["kind"].tolist() == [Kind.BID, Kind.BOOK_BID, Kind.BOOK_BID]
    assert rows["price"].tolist() == [100_100, 100_100, 99_900]
    assert rows["size"].tolist() == [100, 100, 0]
    other = decoder.decode(pack(0x22, 5, 9, b"B", 100, b"MSFT  ", 1000, 1) + pack(0x29, 5, 9), 1, 4, 0)
    assert (other.messages, other.records, other.unpriced, other.instruments) == (2, b"", 0, [])


def test_options_have_names_and_no_odd_lots() -> None:
    decoder = _native.PitchDecoder("C1", MIDNIGHT)
    mapping = struct.pack("<BB6s21sc", 30, 0x2E, b"00AbCd", b"SPXW  260918P04512500", b"N")
    add = pack(0x21, 5, 7, b"B", 10, b"00AbCd", 15_000, 1)
    first = decoder.decode(add + mapping + mapping, 1, 0, 0)
    assert [one["symbol"] for one in first.instruments] == ["00AbCd", "SPXW-USD-20260918-4512.5-P"]
    assert first.dead_count == 0
    executed = struct.pack("<BBIQIQc", 27, 0x23, 9, 7, 4, 1, b"a")
    rows = records_from(decoder.decode(executed, 1, 0, 0).records)
    assert rows["kind"].tolist() == [Kind.TRADE, Kind.BID]
    assert not rows["detail"][0] & Condition.ODD_LOT
    assert set(rows["instrument"].tolist()) == {_native.instrument_id("C1:SPXW-USD-20260918-4512.5-P")}


def test_every_other_type_is_understood() -> None:
    """Options and the TCP servers: only that they are known, and that damage is not."""
    decoder = _native.PitchDecoder("C1", MIDNIGHT)
    known = {
        0x01: 22, 0x02: 3, 0x03: 9, 0x04: 10, 0x80: 6, 0x81: 6, 0x82: 11, 0x83: 6, 0x84: 6, 0x85: 11, 0x86: 6,
        0x9D: 42, 0xAD: 43, 0xAE: 14, 0xAF: 34, 0xBC: 6, 0xBD: 6, 0xD1: 64, 0xD2: 19,
    }  # fmt: skip
    for kind, length in known.items():
        message = bytes([length, kind]) + b"A".ljust(4, b"\x00").ljust(length - 2, b"A")[: length - 2]
        small = message[:2] + bytes(length - 2)
        assert len(_native.pitch_messages(message)) == 1
        decoded = decoder.decode(small, 1, 0, 0)
        assert decoded.messages + decoded.dead_count == 1
        assert decoder.decode(bytes([length - 1, kind]) + message[2 : length - 1], 1, 0, 0).dead_count == 1
    with pytest.raises(ValueError, match="unknown type"):
        _native.pitch_messages(b"\x02\xfe")
    assert _native.pitch_messages(pack(0x2B, 5, 0, b"S", 100, b"AAPL  ", 1050, 9)) == [
        {
            "type": 0x2B, "name": "TradeShort", "time_offset": 5, "order_id": 0, "side_indicator": "S", "quantity": 100,
            "symbol": "AAPL", "price": "10.50", "execution_id": 9,
        }
    ]  # fmt: skip


# ------------------------------------------------------------------ what was recorded


def packets(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Group and payload of each datagram of a little pcap file."""
    place = 24
    while place < len(data):
        length = struct.unpack_from("<I", data, place + 8)[0]
        frame = data[place + 16 : place + 16 + length]
        place += 16 + length
        if frame[12:14] == b"\x81\x00":
            frame = frame[:12] + frame[16:]
        ip = frame[14:]
        udp = ip[(ip[0] & 15) * 4 :]
        yield ".".join(map(str, ip[16:20])), udp[8 : int.from_bytes(udp[4:6], "big")]  # without the frame's padding


FILES = {
    "pitch/bats_mcast_pitch_realtime_20140901.pcap.gz": (40, 0),
    "omi-data-packets/Cboe/Byx.Equities.DepthOfBook.Pitch.v2.41/AddOrderShortMessage.pcap": (9, 0),
    "omi-data-packets/Cboe/Byx.Equities.DepthOfBook.Pitch.v2.41/ModifyOrderShortMessage.pcap": (1, 1),
    "omi-data-packets/Cboe/Byx.Equities.DepthOfBook.Pitch.v2.41/MultipleMessages.pcap": (3, 0),
    "omi-data-packets/Cboe/Options.DepthOfBook.Pitch.v2.39.4/AddOrderLongMessage.pcap": (2, 0),
    "omi-data-packets/Cboe/Options.DepthOfBook.Pitch.v2.39.4/DeleteOrderMessage.pcap": (2, 1),
    "omi-data-packets/Cboe/Options.DepthOfBook.Pitch.v2.39.4/Heartbeat.pcap": (0, 0),
    "omi-data-packets/Cboe/Options.DepthOfBook.Pitch.v2.39.4/ModifyOrderLongMessage.pcap": (2, 1),
}


@pytest.mark.captures
@pytest.mark.parametrize("name", FILES)
def test_recorded_packets_are_understood(name: str) -> None:
    path = capture(name)
    data = path.read_bytes()
    arbiter, decoder = _native.LineArbiter("pitch"), _native.PitchDecoder("BATS", MIDNIGHT)
    reference = ReferenceDecoder("BATS", MIDNIGHT)
    lines: list[str] = []
    blocks: list[_native.LineBlock] = []
    for group, payload in packets(gzip.decompress(data) if path.suffix == ".gz" else data):
        if group not in lines:
            lines.append(group)
        blocks += arbiter.take([payload], [7], lines.index(group))
    for unit, _, last, _ in arbiter.holes():  # a heartbeat says 1, the first message of 2014 is number 3
        blocks += arbiter.skip(unit, last)
    found = [decoder.decode(block.messages, block.unit, block.first_seq, 7) for block in blocks]
    for block in blocks:
        reference.decode(block.messages, block.unit, block.first_seq, 7)
    expected, unpriced = FILES[name]
    assert sum(one.messages for one in found) == expected
    assert sum(one.dead_count for one in found) == 0
    assert sum(one.unpriced for one in found) == unpriced
    equal(reference, found)
    assert not arbiter.holes()
    assert not arbiter.damaged()


@pytest.mark.captures
def test_recorded_text_is_understood_and_equals_the_reference() -> None:
    lines = gzip.decompress(capture("pitch/bats_tcp_pitch_text.txt.gz").read_bytes())
    decoder, reference = _native.PitchTextDecoder("BATS", MIDNIGHT), ReferenceTextDecoder("BATS", MIDNIGHT)
    decoded = decoder.decode(lines, 1, 0)
    assert (decoded.messages, decoded.dead_count, decoded.unpriced) == (10_000, 0, 0)
    short = b"".join(line + b"\n" for line in lines.split(b"\n")[:1500])
    reference.decode(short, 1)
    equal(reference, [_native.PitchTextDecoder("BATS", MIDNIGHT).decode(short, 1, 0)])
    rows = records_from(decoded.records)
    trades = rows[rows["kind"] == Kind.TRADE]
    count = sum(line[9:10] in {b"E", b"P"} for line in lines.split(b"\n"))
    assert len(trades) == count
    assert (trades["price"] > 0).all()
    assert set(rows["detail"][rows["kind"] == Kind.STATUS].tolist()) == {State.LIVE}
    for one in decoded.instruments:
        bids, asks = decoder.book(str(one["symbol"]), 1)
        if bids and asks:
            assert float(bids[0][0]) < float(asks[0][0]), one["symbol"]
    assert rows["flags"][-1] & Flag.LAST_OF_EVENT
