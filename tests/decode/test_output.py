"""Formats, the command's manners, and flat memory."""

import csv
import io
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pyarrow.ipc
import pytest
from tests.decode.files import DAY, SECOND_NS, framed, records, run, summary
from tests.decode.test_itch import MESSAGES
from tests.venues.xnas.itch import add, directory

from tickcast.decode.dates import date_in_name
from tickcast.decode.report import Report
from tickcast.decode.run import LATER, Options, decode
from tickcast.decode.summary import SummarySink, decimal_text
from tickcast.model.errors import UsageError

COLUMNS = ["kind", "venue", "symbol", "ts_event", "ts_recv", "price", "size", "side", "seq", "id", "detail", "flags"]


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    path = tmp_path / "20200130.itch"
    path.write_bytes(framed(MESSAGES))
    return path


def test_jsonl_has_the_columns_in_order(tape: Path) -> None:
    found = records(run("XNAS", tape))
    assert all(list(record) == COLUMNS for record in found)
    assert run("XNAS", tape, "--format", "jsonl").stdout == run("XNAS", tape).stdout


def test_csv_says_the_same_as_jsonl(tape: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run("XNAS", tape, "--format", "csv").stdout)))
    lines = records(run("XNAS", tape))
    assert [list(row) for row in rows[:1]] == [COLUMNS]

    def cell(value: object) -> str:
        return "" if value is None else " ".join(value) if isinstance(value, list) else str(value)

    assert rows == [{name: cell(value) for name, value in line.items()} for line in lines]


def test_arrow_says_the_same_as_jsonl(tape: Path, tmp_path: Path) -> None:
    out = tmp_path / "records.arrow"
    result = run("XNAS", tape, "--format", "arrow", "--output", out)
    assert result.exit_code == 0
    table = pyarrow.ipc.open_stream(out).read_all()
    lines = records(run("XNAS", tape))
    for line in lines:  # one type a column: words and numbers of detail are text
        detail = line["detail"]
        line["detail"] = (" ".join(detail) or None) if isinstance(detail, list) else detail and str(detail)
    assert table.to_pylist() == lines


def test_arrow_without_pyarrow_says_what_to_install(tape: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = run("XNAS", tape, "--format", "arrow")
    assert isinstance(result.exception, UsageError)
    assert "install tickcast[arrow]" in str(result.exception)


def test_the_summary_as_tables(tape: Path) -> None:
    out = io.BytesIO()
    decode("XNAS", [str(tape)], SummarySink("XNAS", out, table=True), Options())
    text = out.getvalue().decode()
    for word in ("frames", "AAPL", "162000.0000", "live"):
        assert word in text


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([], "0"),
        ([(2, 150)], "1.50"),
        ([(0, 1), (3, -1500)], "-0.500"),
        ([(4, 5)], "0.0005"),
        ([(0, 10**40), (1, 1)], f"{10**40}.1"),
    ],
)
def test_sums_as_text(parts: list[tuple[int, int]], text: str) -> None:
    assert decimal_text(parts) == text


def test_the_day_in_a_name() -> None:
    days = {
        "tape_20200130.gz": "2020-01-30",
        "x-2020-01-30": "2020-01-30",
        "12312019.itch": "2019-12-31",
        "99999999": None,
    }
    assert {name: str(date_in_name(name) or "") or None for name in days} == days
    assert date_in_name("/captures/20200130/tape") is None


def test_venues_that_are_not_there(tape: Path) -> None:
    for venue, text in (("NOPE", "XNAS, BATS, FIX, BINANCE"), *((code, "has none yet") for code in LATER[:1])):
        result = run(venue, tape)
        assert isinstance(result.exception, UsageError)
        assert text in str(result.exception)


def test_files_that_are_of_no_use(tape: Path, tmp_path: Path) -> None:
    xml = tmp_path / "dictionary.xml"
    xml.write_text("<fix/>" * 50)
    for venue, path, text in (
        ("XNAS", tmp_path / "none", "found none"),
        ("XNAS", tmp_path, "found a folder"),
        ("FIX", xml, "found something else"),
        ("BATS", tape, "found length-prefixed ITCH"),
        ("BINANCE", tape, "expected a session file"),
    ):
        result = run(venue, path)
        assert isinstance(result.exception, UsageError), path
        assert text in str(result.exception)


def test_an_empty_file_is_understood(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    result = run("XNAS", empty, "--summary", "--format", "json")
    assert (result.exit_code, json.loads(result.stdout)["frames"]) == (0, 0)
    assert "is empty" in result.stderr


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tickcast", "decode", *arguments]


def test_exit_status_of_the_process(tape: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut20200130"
    cut.write_bytes(framed(MESSAGES)[:-1])
    for path, status in ((tape, 0), (cut, 3), (tmp_path / "none", 2)):
        done = subprocess.run(command("XNAS", str(path), "--summary"), capture_output=True, check=False)
        assert done.returncode == status, done.stderr
        assert bool(done.stderr) == (status != 0)
        if status != 2:
            assert json.loads(done.stdout)["frames"] == 7  # no terminal: JSON


def test_a_reader_that_has_seen_enough(tmp_path: Path) -> None:
    path = tmp_path / "20200130.itch"
    path.write_bytes(framed([directory("AAPL", 1), *(add(ref, "B", 1, ref) for ref in range(1, 50_000))]))
    with subprocess.Popen(command("XNAS", str(path)), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["kind"] == "status"
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr.read() == b""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Ten times the messages, of orders that come and go, take the same memory."""

    def peak(count: int) -> int:
        one = framed([directory("AAPL", 1), *(add(ref, "B", 1, 5) for ref in range(1, 50))])
        gone = framed([b"D\0\1\0\0" + bytes(6) + ref.to_bytes(8, "big") for ref in range(1, 50)])
        path = tmp_path / f"{count}-20200130"
        path.write_bytes((one + gone) * count)
        tracemalloc.start()
        report: Report = decode("XNAS", [str(path)], SummarySink("XNAS", io.BytesIO(), table=False), Options())
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (report.frames, report.dead_letters) == (99 * count, 0)
        return used

    small, large = peak(2_000), peak(20_000)
    assert large < small * 1.5, (small, large)


def test_times_are_integers_of_nanoseconds(tape: Path) -> None:
    assert {type(record["ts_event"]) for record in records(run("XNAS", tape))} == {int}
    assert all(record["ts_event"] > DAY * SECOND_NS for record in records(run("XNAS", tape)))
    assert summary("XNAS", tape, "--date", "2020-01-30")["frames"] == len(MESSAGES)
