import gzip
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.native.reference_itch import LAYOUT, ReferenceDecoder, Row, pack

from tickcast import _native
from tickcast.model.record import Flag, Kind, State, records_from

MIDNIGHT = 1_580_360_400_000_000_000
CAPTURES = Path(os.environ.get("TICKCAST_CAPTURES", Path(__file__).parents[3] / "shared" / "captures"))
NAMES = [b"AAPL    ", b"MSFT    ", b"ZVZZT   "]


def native_rows(data: bytes) -> list[dict[str, int]]:
    names = list(Row.__dataclass_fields__)
    return [{name: int(record[name]) for name in names} for record in records_from(data)]


def compare(block: bytes, cuts: list[int] | None = None) -> tuple[_native.ItchDecoder, ReferenceDecoder]:
    """Both decode the block, the native one in pieces; everything must be equal."""
    reference = ReferenceDecoder("XNAS", MIDNIGHT)
    reference.decode(block, 1)
    decoder = _native.ItchDecoder("XNAS", MIDNIGHT)
    rows, messages, dead, unpriced, seq = b"", 0, 0, 0, 1
    for piece in pieces(block, cuts or []):
        decoded = decoder.decode(piece, seq, 7)
        rows, messages, dead = rows + decoded.records, messages + decoded.messages, dead + decoded.dead_count
        unpriced += decoded.unpriced
        seq += decoded.messages + decoded.dead_count
    assert (messages, dead, unpriced) == (reference.messages, reference.dead, reference.unpriced)
    found = native_rows(rows)
    expected = [{name: int(value) for name, value in asdict(row).items()} for row in reference.rows]
    assert len(found) == len(expected)
    for index, pair in enumerate(zip(found, expected, strict=True)):
        assert pair[0] == pair[1], f"row {index}"
    assert decoder.orders == len(reference.orders)
    return decoder, reference


def pieces(block: bytes, cuts: list[int]) -> list[bytes]:
    """Cut a block between messages, at the given message counts."""
    found, start, offset, count = [], 0, 0, 0
    while offset < len(block):
        offset += 2 + int.from_bytes(block[offset : offset + 2], "big")
        count += 1
        if count in cuts:
            found.append(block[start:offset])
            start = offset
    return [*found, block[start:]]


numbers = {"Q": st.integers(0, 2**64 - 1), "I": st.integers(0, 2**32 - 1)}
letters = st.binary(min_size=1, max_size=1)
references = st.integers(1, 12)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Any message; order messages from few references, prices and sizes, so that they meet."""
    locate = draw(st.integers(0, 2))
    letter = draw(st.sampled_from("AAAAAAFEEECXXDDUUUPQBHhSRIJKLNOVWY"))
    shares = draw(st.sampled_from([0, 1, 50, 100, 300]) if letter != "Q" else numbers["Q"])
    price = draw(st.integers(1_000_000, 1_000_005))
    known = {
        "ref": references,
        "new_ref": references,
        "shares": st.just(shares),
        "price": st.just(price),
        "stock": st.just(NAMES[locate]),
        "side": st.sampled_from([b"B", b"S", b"S", b"B", b"x"]),
        "printable": st.sampled_from([b"Y", b"N"]),
        "state": st.sampled_from([b"H", b"P", b"Q", b"T", b"?"]),
        "market": st.sampled_from([b"Q", b"Q", b"B"]),
        "action": st.sampled_from([b"H", b"T"]),
        "event": st.sampled_from([b"O", b"S", b"Q", b"M", b"E", b"C"]),
        "near": st.sampled_from([0, price]),
        "cross": st.sampled_from([b"O", b"C", b"H", b"I"]),
        "direction": st.sampled_from([b"B", b"S", b"N", b"O"]),
        "round_lot": st.sampled_from([0, 1, 10, 100]),
    }
    form, names = LAYOUT[letter]
    values: list[Any] = []
    for code, name in zip(codes(form), names.split(), strict=True):
        size = int(code[:-1] or 1)
        other = numbers.get(code, st.binary(min_size=size, max_size=size))
        values.append(draw(known.get(name, other)))
    return pack(letter, locate, draw(st.integers(0, 86_399_999_999_999)), *values)


def codes(form: str) -> list[str]:
    """The codes of a struct format: 8scI to 8s, c, I."""
    found, digits = [], ""
    for character in form:
        if character.isdigit():
            digits += character
        else:
            found.append(digits + character)
            digits = ""
    return found


@settings(max_examples=300, deadline=None)
@given(st.lists(messages(), max_size=60), st.lists(st.integers(1, 60), max_size=4))
def test_equals_the_reference(stream: list[bytes], cuts: list[int]) -> None:
    decoder, reference = compare(b"".join(stream), cuts)
    for locate, stock in reference.stocks.items():
        for side, levels in zip((b"B", b"S"), decoder.book(stock.name.decode().rstrip(), 1), strict=True):
            best = reference.best(locate, side)
            assert levels == ([] if best is None else [(_native.format_decimal(best[0], 4), *best[1:])])


@settings(max_examples=300, deadline=None)
@given(st.lists(messages(), max_size=20), st.integers(0, 2000), st.binary(max_size=8))
def test_damage_is_counted_and_what_was_before_is_kept(stream: list[bytes], at: int, garbage: bytes) -> None:
    block = b"".join(stream)
    at = min(at, len(block))
    compare(block[:at] + garbage + block[at + len(garbage) :])
    compare(block[:at])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_safe(block: bytes) -> None:
    compare(block)


WATCHING = st.lists(st.tuples(messages(), st.none() | st.sets(st.sampled_from(NAMES))), max_size=60)


@settings(max_examples=150, deadline=None)
@given(WATCHING, st.integers(0, 4))
def test_who_follows_level_rows_by_the_rule_has_the_book(
    stream: list[tuple[bytes, set[bytes] | None]], depth: int
) -> None:
    """The rule is in docs/reference/record.md (Books); books are watched and left alone in between."""
    decoder = _native.ItchDecoder("XNAS", MIDNIGHT, depth=depth)
    known: dict[tuple[int, int], dict[int, tuple[int, int]]] = {}
    watched: set[int] = set()
    for message, names in stream:
        data = decoder.decode(message, 1, 0).records
        if names is not None:
            watched = {_native.instrument_id(f"XNAS:{name.decode().strip()}") for name in names}
            data += decoder.watch_books(sorted(watched), 0)
        for row in native_rows(data):
            if row["kind"] in (Kind.BOOK_BID, Kind.BOOK_ASK):
                follow(known, row)
        for name in NAMES:
            symbol = name.decode().strip()
            instrument = _native.instrument_id(f"XNAS:{symbol}")
            told = 50 if instrument in watched else depth
            for kind, expected in zip((Kind.BOOK_BID, Kind.BOOK_ASK), decoder.book(symbol, max(told, 1)), strict=True):
                levels = known.get((instrument, kind))
                assert told or levels is None, "nobody watches it"
                found = sorted((levels or {}).items(), reverse=kind == Kind.BOOK_BID)
                assert not told or [(_native.format_decimal(price, 4), *level) for price, level in found] == expected


def follow(known: dict[tuple[int, int], dict[int, tuple[int, int]]], row: dict[str, int]) -> None:
    side = row["instrument"], row["kind"]
    if row["flags"] & Flag.NO_PRICE:
        known.pop(side, None)
        if not row["flags"] & Flag.INVALID_BOOK:
            known[side] = {}
    elif row["size"]:
        known[side][row["price"]] = row["size"], row["detail"]
    else:
        known[side].pop(row["price"], None)


def recorded(name: str) -> bytes:
    path = CAPTURES / "itch" / name
    if not path.exists():
        pytest.skip(f"no {name}: set TICKCAST_CAPTURES to the folder of recorded data")
    data = path.read_bytes()
    return gzip.decompress(data) if name.endswith(".gz") else data


@pytest.mark.captures
@pytest.mark.parametrize(
    "name", ["nasdaq_20200130_AAPL_first5000.itch50.gz", "nasdaq_20191230_0400_filtered_500.itch50"]
)
def test_recorded_messages_equal_the_reference(name: str) -> None:
    _, reference = compare(recorded(name), [1000, 2500])
    assert reference.dead == 0
    assert reference.messages >= 500


@pytest.mark.captures
def test_recorded_trades_by_a_plain_count() -> None:
    block = recorded("nasdaq_20200130_AAPL_first5000.itch50.gz")
    records = records_from(_native.ItchDecoder("XNAS", MIDNIGHT).decode(block, 1, 0).records)
    trades = records[records["kind"] == Kind.TRADE]
    listed = [m for m in _native.itch_messages(block) if m["type"] in ("E", "P")]
    assert len(trades) == len(listed) == 365 + 108
    assert int(trades["size"].sum()) == sum(int(str(m.get("executed_shares", m.get("shares")))) for m in listed)
    assert np.all(np.diff(trades["ts_event"]) >= 0)


def test_symbols_limit_what_is_decoded() -> None:
    block = b"".join(pack("A", locate, 1, locate + 1, b"B", 100, NAMES[locate], 10_000) for locate in range(3))
    block += pack("D", 1, 2, 2)
    decoder = _native.ItchDecoder("XNAS", MIDNIGHT, symbols=["AAPL"])
    decoded = decoder.decode(block, 1, 0)
    assert (decoded.messages, decoded.unpriced, decoder.orders) == (4, 0, 1)
    assert {row["instrument"] for row in native_rows(decoded.records)} == {_native.instrument_id("XNAS:AAPL")}


def test_a_locate_stands_for_one_stock_until_a_new_day() -> None:
    decoder = _native.ItchDecoder("XNAS", MIDNIGHT)
    first = pack("A", 1, 1, 1, b"B", 100, NAMES[0], 10_000)
    decoded = decoder.decode(first, 1, 0)
    assert (decoded.met, decoded.suspects) == ([NAMES[0].decode()], [])
    # the locate under another name, the name under another locate
    wrong = pack("A", 1, 2, 2, b"B", 100, NAMES[1], 10_000) + pack("A", 2, 2, 3, b"B", 100, NAMES[0], 10_000)
    decoded = decoder.decode(wrong, 2, 0)
    assert [reason for _, reason, _ in decoded.dead] == ["stock locate and stock do not belong together"] * 2
    assert (decoded.records, decoded.met, decoded.suspects) == (b"", [], [2, 3])
    assert decoder.book(NAMES[0].decode().strip(), 9)[0] == [("1.0000", 100, 1)]
    decoded = decoder.decode(pack("S", 0, 3, b"O") + wrong, 4, 0)
    assert (decoded.dead_count, decoded.met) == (0, [NAMES[1].decode(), NAMES[0].decode()])


def test_suspects_are_the_numbers_of_what_contradicts_the_books() -> None:
    decoder = _native.ItchDecoder("XNAS", MIDNIGHT)
    block = pack("A", 1, 1, 1, b"B", 100, NAMES[0], 10_000) + pack("X", 1, 2, 9, 10) + pack("X", 1, 3, 1, 500)
    decoded = decoder.decode(block + b"\0\1?" + b"\0\1A", 10, 0)
    assert decoded.suspects == [11, 12, 14], "an unknown order, too many shares, damage; an unknown type is none"


def test_a_snapshot_tells_status_and_both_sides() -> None:
    decoder = _native.ItchDecoder("XNAS", MIDNIGHT)
    decoder.decode(pack("A", 1, 5, 1, b"B", 100, NAMES[0], 1_854_000), 9, 0)
    rows = native_rows(decoder.snapshot(77))
    assert [row["kind"] for row in rows] == [Kind.STATUS, Kind.BID, Kind.ASK]
    assert rows[0]["detail"] == State.LIVE
    assert (rows[1]["price"], rows[1]["size"], rows[1]["seq"]) == (1_854_000, 100, 9)
    assert rows[2]["flags"] == Flag.SNAPSHOT | Flag.NO_PRICE | Flag.NO_SIZE | Flag.LAST_OF_EVENT


def test_dead_letters_carry_their_bytes_and_are_bounded() -> None:
    block = b"\0\3zzz" * 150 + b"\0\x05cut"
    decoded = _native.ItchDecoder("XNAS", MIDNIGHT).decode(block, 1, 0)
    assert (decoded.messages, decoded.dead_count, len(decoded.dead)) == (0, 151, 100)
    assert decoded.dead[1] == (5, "unknown type", b"zzz")


def test_messages_as_dicts() -> None:
    block = pack("A", 13, 5, 7, b"B", 100, NAMES[0], 1_854_000)
    assert _native.itch_messages(bytearray(block)) == [
        {
            "type": "A",
            "stock_locate": 13,
            "tracking_number": 0,
            "timestamp": 5,
            "order_reference_number": 7,
            "buy_sell_indicator": "B",
            "shares": 100,
            "stock": "AAPL",
            "price": "185.4000",
        }
    ]
    with pytest.raises(ValueError, match="at offset 38, found: length runs past"):
        _native.itch_messages(block + b"\0\x09abc")
