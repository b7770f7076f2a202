"""PITCH text and packets through the command."""

import json
from pathlib import Path

from tests.decode.files import (
    DAY,
    SECOND_NS,
    datagram,
    pcap,
    pitch_add,
    pitch_execute,
    pitch_time,
    records,
    run,
    summary,
    unit,
)

T = 36_000
LINES = (
    "S36000001A000000000001B000100AAPL  0003000000Y",
    "36000002A000000000002S000200AAPL  0003010000Y",
    "S36000003E0000000000010000400000000000ZZ",
    "S36000004P000000000009S000070MSFT  0001500000000000000ABC",
    "S36000005X000000000002000200",
    "S36000006E000000000777000010000000000AAA",
)


def written(folder: Path, data: bytes, name: str = "20200130.pitch") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_text(tmp_path: Path) -> None:
    path = written(tmp_path, ("\n".join(LINES) + "\n").encode())
    result = run("BATS", path)
    assert (result.exit_code, result.stderr) == (0, "")
    trades = records(result, "trade")
    assert [(trade["symbol"], trade["price"], trade["size"], trade["side"]) for trade in trades] == [
        ("AAPL", "300.0000", "40", "sell"),
        ("MSFT", "150.0000", "70", "buy"),
    ]
    assert trades[0]["ts_event"] == DAY * SECOND_NS + T * SECOND_NS + 3_000_000
    assert trades[0]["id"] == str(35 * 36 + 35)
    found = summary("BATS", path)
    assert (found["frames"], found["unpriced"], found["dead_letters"]) == (6, 1, 0)
    assert found["instruments"]["AAPL"]["bid"] == "300.0000"
    assert found["instruments"]["AAPL"]["ask"] is None
    assert found["instruments"]["MSFT"]["notional"] == "10500.0000"


def test_damaged_and_unknown_lines(tmp_path: Path) -> None:
    lines = [LINES[0], "S36000002A0000", "S36000003~xyz", "H", LINES[2][:-3]]
    result = run("BATS", written(tmp_path, "\r\n".join(lines).encode()), "--summary", "--format", "json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["dead_letters"], found["unknown"]) == (3, 2, 1)
    assert (found["frames"], found["control"]) == (5, 1)
    assert f"the first at byte {len(LINES[0]) + 2} of" in result.stderr


def test_without_a_date_the_text_says_so(tmp_path: Path) -> None:
    result = run("BATS", written(tmp_path, LINES[0].encode(), "tape"), "--summary", "--format", "json")
    assert result.exit_code == 0
    assert "1970-01-01 stands in" in result.stderr


def test_packets_of_several_units(tmp_path: Path) -> None:
    now = (DAY + T) * SECOND_NS
    first = unit([pitch_time(T), pitch_add(1, "B", 100, 3000_000)], 1)
    second = unit([pitch_time(T), pitch_add(1, "S", 50, 4000_000, "MSFT")], 7, number=2)
    third = unit([pitch_execute(1, 60, 5, offset_ns=9)], 3)
    quiet = unit([], 4)
    packets = [
        (now + at, datagram(packet, line=line))
        for at, packet in enumerate((first, second, third, quiet))
        for line in (1, 2)
    ]
    path = written(tmp_path, pcap(packets))
    result = run("BATS", path)
    assert result.exit_code == 0
    trade = records(result, "trade")[0]
    assert (trade["symbol"], trade["price"], trade["size"], trade["seq"]) == ("AAPL", "300.0000", "60", 3)
    assert trade["ts_event"] == now + 9
    found = summary("BATS", path)
    assert (found["frames"], found["control"], found["gaps"], found["dead_letters"]) == (7, 2, 0, 0)
    assert found["instruments"]["MSFT"]["ask"] == "400.0000"


def test_a_hole_is_a_gap_of_its_unit_only(tmp_path: Path) -> None:
    now = (DAY + T) * SECOND_NS
    packets = [
        unit([pitch_time(T), pitch_add(1, "B", 100, 3000_000)], 1),
        unit([pitch_time(T), pitch_add(1, "S", 50, 4000_000, "MSFT")], 1, number=2),
        unit([pitch_add(3, "B", 10, 3000_001)], 5),
        unit([pitch_add(4, "S", 10, 3900_999, "MSFT")], 3, number=2),
    ]
    path = written(tmp_path, pcap((now + at, datagram(packet)) for at, packet in enumerate(packets)))
    found = summary("BATS", path)
    states = {symbol: sums["state"] for symbol, sums in found["instruments"].items()}
    assert (found["gaps"], states) == (1, {"AAPL": "gap", "MSFT": "live"})
    gap = records(run("BATS", path), "gap")[0]
    assert (gap["symbol"], gap["id"], gap["seq"]) == ("AAPL", "2", 5)


def test_a_capture_that_begins_with_a_hole_just_begins_later(tmp_path: Path) -> None:
    now = (DAY + T) * SECOND_NS
    packets = [unit([], 1), unit([pitch_add(1, "B", 100, 3000_000)], 3)]
    path = written(tmp_path, pcap((now + at, datagram(packet)) for at, packet in enumerate(packets)))
    found = summary("BATS", path)
    assert (found["gaps"], found["instruments"]["AAPL"]["state"]) == (1, "live")
