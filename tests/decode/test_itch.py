"""ITCH files and packets through the command: every container, damage, holes, repeats."""

import gzip
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.decode.files import DAY, SECOND_NS, compressed, datagram, framed, mold, pcap, pcapng, records, run, summary
from tests.venues.xnas.itch import Count, add, bust, cross, directory, execute, head

from tickcast.decode.stream import without_begins
from tickcast.model.record import Flag, Kind, empty_records, record_bytes, records_from

HOUR_NS = 3600 * SECOND_NS
T = 10 * HOUR_NS
MESSAGES = [
    directory("AAPL", 1, T),
    add(1, "B", 100, 3_000_000, when=T + 1),
    add(2, "S", 200, 3_010_000, when=T + 2),
    execute(1, 40, 77, when=T + 3),
    cross(0, 3_000_000, 78, when=T + 4),
    cross(500, 3_000_000, 79, when=T + 5),
    add(3, "B", 10, 2_990_000, when=T + 6),
]


def deletion(ref: int, when: int = T + 7) -> bytes:
    return head("D", 1, when) + ref.to_bytes(8, "big")


def printed(ref: int, shares: int, price: int, match: int, *, printable: str = "Y", when: int = T + 8) -> bytes:
    body = ref.to_bytes(8, "big") + shares.to_bytes(4, "big") + match.to_bytes(8, "big") + printable.encode()
    return head("C", 1, when) + body + price.to_bytes(4, "big")


def written(folder: Path, data: bytes, name: str = "20200130.itch") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["", "gz", "xz", "zst"])
def test_records_of_a_file_in_every_compression(tmp_path: Path, name: str) -> None:
    result = run("XNAS", written(tmp_path, compressed(framed(MESSAGES), name)))
    assert (result.exit_code, result.stderr) == (0, "")
    trades = records(result, "trade")
    assert [(trade["price"], trade["size"], trade["side"], trade["id"]) for trade in trades] == [
        ("300.0000", "40", "sell", "77"),
        ("300.0000", "500", None, "79"),
    ]
    assert trades[0]["ts_event"] == DAY * SECOND_NS + T + 3
    assert (trades[0]["ts_recv"], trades[0]["seq"], trades[0]["detail"]) == (None, 4, ["odd_lot"])
    bids = [(record["price"], record["size"]) for record in records(result, "bid")]
    assert bids == [("300.0000", "100"), ("300.0000", "60")]
    assert [record["size"] for record in records(result, "book_bid")] == ["100", "60", "10"]


def test_the_summary(tmp_path: Path) -> None:
    path = written(tmp_path, framed(MESSAGES))
    assert summary("XNAS", path) == {
        "frames": 7,
        "control": 0,
        "records": {"trade": 2, "bid": 2, "ask": 1, "book_bid": 3, "book_ask": 1, "status": 1},
        "checksums": {"verified": 0, "failed": 0},
        "gaps": 0,
        "unknown": 0,
        "dead_letters": 0,
        "unpriced": 0,
        "instruments": {
            "AAPL": {
                "trades": 2,
                "size": "540",
                "notional": "162000.0000",
                "quotes": 3,
                "book_changes": 4,
                "gaps": 0,
                "bid": "300.0000",
                "ask": "301.0000",
                "state": "live",
            }
        },
    }
    assert "book_bid" not in summary("XNAS", path, "--depth", "0")["records"]


def test_executions_of_orders_from_before_the_capture_are_unpriced(tmp_path: Path) -> None:
    messages = [
        directory("AAPL", 1, T),
        execute(9, 10, 1, when=T),
        printed(9, 10, 3_000_000, 2),
        printed(9, 10, 3_000_000, 3, printable="N"),
        deletion(9),
        bust(1, when=T + 9),
    ]
    result = run("XNAS", written(tmp_path, framed(messages)), "--summary", "--format", "json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["unpriced"], found["dead_letters"]) == (0, 2, 0)
    assert found["records"] == {"bust": 1}


def test_unknown_kinds_and_dead_letters_are_told_with_the_first_offset(tmp_path: Path) -> None:
    strange, twice = b"?" + bytes(30), add(1, "B", 5, 1, when=T)
    data = framed([*MESSAGES[:2], strange, twice, MESSAGES[2]])
    result = run("XNAS", written(tmp_path, data), "--summary", "--format", "json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["unknown"], found["dead_letters"], found["frames"]) == (3, 1, 1, 5)
    offset = len(framed(MESSAGES[:2]))
    assert f"1 dead letters, 1 of unknown kind; the first at byte {offset} of" in result.stderr


def test_a_file_that_ends_in_mid_message(tmp_path: Path) -> None:
    data = framed(MESSAGES)
    result = run("XNAS", written(tmp_path, data[:-5]))
    assert result.exit_code == 3
    assert f"the first at byte {len(framed(MESSAGES[:-1]))} of" in result.stderr
    assert len(records(result, "trade")) == 2


def test_a_damaged_length_costs_one_message_and_marks_the_books(tmp_path: Path) -> None:
    data = bytearray(framed(MESSAGES))
    data[len(framed(MESSAGES[:3]))] = 0x7F
    result = run("XNAS", written(tmp_path, bytes(data)))
    assert result.exit_code == 3
    assert [record["detail"] for record in records(result, "status")] == ["live", "gap"]
    assert [trade["id"] for trade in records(result, "trade")] == ["79"]
    assert summary("XNAS", written(tmp_path, bytes(data)))["gaps"] == 1


def test_a_damaged_compressed_file_is_decoded_up_to_the_damage(tmp_path: Path) -> None:
    many = [*MESSAGES, *(add(ref, "B", 1, ref, when=T + ref) for ref in range(100, 30_000))]
    packed = gzip.compress(framed(many), 1)
    result = run("XNAS", written(tmp_path, packed[:-2000]), "--summary", "--format", "json")
    found = json.loads(result.stdout)
    assert result.exit_code == 3
    assert 20_000 < found["frames"] < len(many)
    assert "cannot be read any further" in result.stderr


def test_files_are_one_stream(tmp_path: Path) -> None:
    data = framed(MESSAGES)
    parts = [written(tmp_path, data[:70], "a.20200130"), written(tmp_path, data[70:], "b")]
    assert summary("XNAS", *parts) == summary("XNAS", "-", "--date", "2020-01-30", stdin=data)


def test_the_date(tmp_path: Path) -> None:
    data = framed(MESSAGES)
    midnights = {"20200130.itch": DAY, "01302020.NASDAQ_ITCH50": DAY, "S013020-v50.txt": DAY, "tape": 18_000}
    for name, midnight in midnights.items():
        result = run("XNAS", written(tmp_path, data, name))
        assert records(result, "trade")[0]["ts_event"] == midnight * SECOND_NS + T + 3, name
        assert ("1970-01-01 stands in" in result.stderr) == (name == "tape")
    result = run("XNAS", written(tmp_path, data), "--date", "2020-01-31")
    assert records(result, "trade")[0]["ts_event"] == (DAY + 86_400) * SECOND_NS + T + 3


# ------------------------------------------------------------------ packets


def test_both_kinds_of_captures_and_both_lines(tmp_path: Path) -> None:
    now = DAY * SECOND_NS + T + 1_000
    packets = [mold(MESSAGES[:3], 1), mold(MESSAGES[3:4], 4), mold([], 5), mold(MESSAGES[4:], 5)]
    both = [
        (now + at * 100 + line, datagram(packet, line=line)) for at, packet in enumerate(packets) for line in (1, 2)
    ]
    lost = [both[0], *both[3:6], both[7], both[6]]  # each line loses one packet; the last come in the other order
    for data in (pcap(both), pcapng(both), pcap(lost), gzip.compress(pcap(lost))):
        path = written(tmp_path, data, "any.name")
        result = run("XNAS", path)
        assert (result.exit_code, result.stderr) == (0, "")
        trade = records(result, "trade")[0]
        assert trade["ts_event"] == DAY * SECOND_NS + T + 3
        assert now <= trade["ts_recv"] < now + 1_000
        found = summary("XNAS", path)
        assert (found["frames"] - found["control"], found["control"], found["gaps"]) == (7, 2, 0)
        assert found["instruments"]["AAPL"]["size"] == "540"


def test_raw_shows_both_lines_before_arbitration(tmp_path: Path) -> None:
    now = DAY * SECOND_NS + T
    both = [(now + line, datagram(mold(MESSAGES, 1), line=line)) for line in (1, 2)]
    path = written(tmp_path, pcap(both))
    assert summary("XNAS", path)["frames"] == 7
    raw = summary("XNAS", path, "--raw")
    # orders of the second line are in use already: they are told, and the trades are shown twice
    assert (raw["frames"], raw["dead_letters"], raw["records"]["trade"]) == (14, 3, 4)


def test_a_hole_on_all_lines_is_a_gap_of_the_whole_session(tmp_path: Path) -> None:
    now = DAY * SECOND_NS + T + 1_000
    packets = [mold(MESSAGES[:3], 1), mold(MESSAGES[4:5], 5), mold(MESSAGES[5:], 6)]
    later = [(now + at * 2 * SECOND_NS, datagram(packet)) for at, packet in enumerate(packets)]
    result = run("XNAS", written(tmp_path, pcap(later)))
    assert result.exit_code == 0
    gap = records(result, "gap")[0]
    assert (gap["symbol"], gap["id"], gap["seq"]) == ("AAPL", "1", 5)
    assert [record["detail"] for record in records(result, "status")] == ["live", "gap"]
    assert records(result, "book_bid")[-1]["flags"] == ["last_of_event", "invalid_book"]
    found = summary("XNAS", written(tmp_path, pcap(later)))
    assert (found["gaps"], found["instruments"]["AAPL"]["gaps"], found["instruments"]["AAPL"]["state"]) == (1, 1, "gap")


def test_unsequenced_packets_and_far_jumps_are_decoded(tmp_path: Path) -> None:
    now = DAY * SECOND_NS + T
    zeros = [(now, datagram(mold([message], 0, bytes(10)))) for message in MESSAGES]
    assert summary("XNAS", written(tmp_path, pcap(zeros)))["frames"] == 7
    jumps = [(now + at, datagram(mold([message], 1 + at * 1_000_000))) for at, message in enumerate(MESSAGES)]
    found = summary("XNAS", written(tmp_path, pcap(jumps)))
    assert (found["frames"], found["gaps"], found["records"]["trade"]) == (7, 6, 2)


def test_sessions_have_books_of_their_own(tmp_path: Path) -> None:
    now = DAY * SECOND_NS + T
    packets = [(now, datagram(mold(MESSAGES, 1))), (now + 9, datagram(mold(MESSAGES, 1, b"SESSION002")))]
    found = summary("XNAS", written(tmp_path, pcap(packets)))
    assert (found["frames"], found["dead_letters"], found["records"]["trade"]) == (14, 0, 4)


def test_foreign_and_damaged_datagrams(tmp_path: Path) -> None:
    now = DAY * SECOND_NS + T
    packets = [datagram(b"who are you", line=9), datagram(mold(MESSAGES, 1)), datagram(mold(MESSAGES, 8)[:-1])]
    result = run("XNAS", written(tmp_path, pcap((now, packet) for packet in packets)), "--summary", "--format", "json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["unknown"], found["dead_letters"]) == (3, 1, 1)
    assert "the first at byte 24 of" in result.stderr


@given(st.data())
def test_any_order_book_agrees_with_an_independent_count(data: st.DataObject) -> None:
    """Sums, best prices and the number of trades of random messages, through a capture."""
    count = Count()
    messages = [directory("AAPL", 1, T)]
    live: list[int] = []
    for ref in range(1, data.draw(st.integers(1, 60))):
        kind = data.draw(st.sampled_from("AAAEDP"))
        if kind == "A" or not live:
            side, shares = data.draw(st.sampled_from("BS")), data.draw(st.integers(1, 500))
            messages.append(add(ref, side, shares, data.draw(st.integers(1, 10**9)), when=T + ref))
            live.append(ref)
        elif kind == "E":
            chosen = data.draw(st.sampled_from(live))
            left = count.orders[chosen][1]
            shares = data.draw(st.integers(1, left))
            messages.append(execute(chosen, shares, ref, when=T + ref))
            if shares == left:
                live.remove(chosen)
        elif kind == "D":
            chosen = data.draw(st.sampled_from(live))
            live.remove(chosen)
            messages.append(deletion(chosen, T + ref))
        else:
            messages.append(cross(data.draw(st.integers(0, 10**6)), 5, ref, when=T + ref))
        count.take(messages[-1])
    found = summary("XNAS", "-", "--date", "2020-01-30", stdin=framed(messages))
    sums = found["instruments"]["AAPL"]
    assert sums["trades"] == len(count.trades)
    assert Decimal(sums["size"]) == sum(size or 0 for _, _, size in count.trades)
    assert Decimal(sums["notional"]) == sum((price or 0) * (size or 0) for _, price, size in count.trades)
    for name, side in (("bid", "B"), ("ask", "S")):
        price = count.best(side)[0]
        assert (None if sums[name] is None else Decimal(sums[name])) == price


def test_rows_that_begin_a_book_are_no_level() -> None:
    rows = empty_records(6)
    rows["kind"] = [Kind.TRADE, Kind.BOOK_BID, Kind.BOOK_BID, Kind.BOOK_ASK, Kind.BOOK_BID, Kind.BOOK_ASK]
    rows["flags"][[1, 3, 4, 5]] |= np.uint16(Flag.NO_PRICE | Flag.SNAPSHOT)
    rows["flags"][[0, 3, 5]] |= np.uint16(Flag.LAST_OF_EVENT)
    left = records_from(without_begins(bytes(record_bytes(rows))))
    assert left["kind"].tolist() == [Kind.TRADE, Kind.BOOK_BID]
    assert (left["flags"] & Flag.LAST_OF_EVENT).astype(bool).tolist() == [True, True]
    assert without_begins(bytes(record_bytes(left))) == bytes(record_bytes(left))
