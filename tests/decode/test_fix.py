"""FIX logs through the command, in every form that logs have."""

import json
from pathlib import Path

import pytest
from tests.decode.files import fix, records, run, summary

SNAPSHOT = (
    "35=W|49=X|56=Y|34={seq}|52=20200130-15:00:00.123|55=AAPL|268=3|269=0|270=300.00|271=100|"
    "269=1|270=300.10|271=50|269=2|270=300.05|271=7"
)
UPDATE = (
    "35=X|49=X|56=Y|34={seq}|52=20200130-15:00:01|268=2|279=0|269=2|55=AAPL|270=300.10|271=20|1003=5|"
    "279=0|270=300.10|271=30|1003=6"
)
SNAPSHOT_NS = 1_580_396_400_123_000_000


def written(folder: Path, data: bytes, name: str = "log.txt") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def log(*messages: bytes) -> list[bytes]:
    return list(messages)


MESSAGES = log(
    fix("35=A|49=X|56=Y|34=1|52=20200130-14:59:59|98=0|108=30"),
    fix(SNAPSHOT.format(seq=2)),
    fix("35=0|49=X|56=Y|34=3|52=20200130-15:00:00"),
    fix(UPDATE.format(seq=4)),
)


@pytest.mark.parametrize("form", ["stream", "lines", "timestamps", "bars", "json"])
def test_every_form(tmp_path: Path, form: str) -> None:
    data = {
        "stream": b"".join(MESSAGES),
        "lines": b"\r\n".join(MESSAGES),
        "timestamps": b"".join(b"20200130-15:00:00.5 : " + message + b"\n" for message in MESSAGES),
        "bars": b"\n".join(MESSAGES).replace(b"\x01", b"|"),
        "json": b"".join(json.dumps({"raw": message.decode()}).encode() + b"\n" for message in MESSAGES),
    }[form]
    path = written(tmp_path, data)
    for venue in ("FIX", "XNYS"):
        result = run(venue, path)
        assert (result.exit_code, result.stderr) == (0, "")
        trades = [record for record in records(result, "trade") if "snapshot" not in record["flags"]]
        assert [(trade["price"], trade["size"], trade["id"]) for trade in trades] == [
            ("300.10", "20", "5"),
            ("300.10", "30", "6"),
        ]
        bid = records(result, "bid")[0]
        assert (bid["venue"], bid["symbol"], bid["price"], bid["ts_event"], bid["ts_recv"]) == (
            venue,
            "AAPL",
            "300.00",
            SNAPSHOT_NS,
            None,
        )
    found = summary("FIX", path)
    assert (found["frames"], found["control"], found["gaps"]) == (4, 2, 0)
    assert found["checksums"] == {"verified": 4, "failed": 0}
    assert found["instruments"]["AAPL"]["ask"] == "300.10"


def test_a_file_without_8_9_and_10(tmp_path: Path) -> None:
    lines = [SNAPSHOT.format(seq=1), UPDATE.format(seq=2)]
    data = b"".join(line.replace("|", "\x01").encode() + b"\x01\n" for line in lines)
    found = summary("FIX", written(tmp_path, data))
    assert (found["frames"], found["dead_letters"], found["checksums"]["verified"]) == (2, 0, 0)
    assert found["instruments"]["AAPL"]["trades"] >= 2


def test_wrong_checksums_and_a_cut_message_are_dead_letters(tmp_path: Path) -> None:
    wrong = fix(UPDATE.format(seq=2), wrong_sum=True)
    cut = fix(UPDATE.format(seq=4))[:-20]
    data = b"".join([fix(SNAPSHOT.format(seq=1)), wrong, fix(UPDATE.format(seq=3)), cut])
    result = run("FIX", written(tmp_path, data), "--summary", "--format", "json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["dead_letters"], found["frames"]) == (3, 2, 4)
    assert found["checksums"] == {"verified": 2, "failed": 1}
    assert f"the first at byte {len(fix(SNAPSHOT.format(seq=1)))} of" in result.stderr
    assert "CheckSum (10)" in result.stderr


def test_unknown_message_types(tmp_path: Path) -> None:
    data = fix("35=V|49=X|56=Y|34=1|262=1|263=1|264=1") + fix("35=UZ|49=X|56=Y|34=2") + fix("35=8|49=X|56=Y|34=3|37=1")
    result = run("FIX", written(tmp_path, data), "--summary", "--format", "json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["unknown"], found["control"], found["frames"]) == (3, 1, 2, 3)


def test_holes_and_repeats_of_sequence_numbers(tmp_path: Path) -> None:
    again = fix(UPDATE.format(seq=4).replace("|52=", "|43=Y|52=", 1))
    data = b"".join([*MESSAGES, again, fix(UPDATE.format(seq=9).replace("1003=5", "1003=7"))])
    path = written(tmp_path, data)
    result = run("FIX", path)
    assert result.exit_code == 0
    assert [(gap["symbol"], gap["id"]) for gap in records(result, "gap")] == [("AAPL", "4")]
    ids = [trade["id"] for trade in records(result, "trade")]
    assert ids.count("5") == 1
    raw = [trade["id"] for trade in records(run("FIX", path, "--raw"), "trade")]
    assert raw.count("5") == 2


def test_definitions_list_instruments(tmp_path: Path) -> None:
    data = fix("35=d|49=X|56=Y|34=1|55=ESM9|48=736|22=8|167=FUT|15=USD")
    found = summary("FIX", written(tmp_path, data))
    assert found["instruments"]["ESM9"]["trades"] == 0
    assert found["frames"] == 1
