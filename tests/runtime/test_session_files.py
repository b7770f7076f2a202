"""Session files: every compression by its content, many files as one stream, and errors that name file and line."""

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tickcast.model.errors import UsageError
from tickcast.runtime.session_files import read_session, session_files

HEADER = b'{"t":"header","exchange":"V","config":{"trades":["A-B"]}}\n'
RECORDS = (
    b'{"t":"connect","conn":"a","ts":1.5,"addr":"x"}\n{"t":"recv","conn":"a","ts":2.000000001,"data":"\xc3\xa4"}\n'
)


def frames(data: bytes) -> bytes:
    half = len(data) // 2
    return zstandard.compress(data[:half]) + zstandard.compress(data[half:])


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, zstandard.compress, frames])
def test_compression_is_told_by_the_bytes(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "any.name"
    path.write_bytes(pack(HEADER + RECORDS))
    header, connect, received = read_session([path])
    assert (header.exchange, connect.addr, connect.ts_ns) == ("V", "x", 1_500_000_000)
    assert (received.payload, received.ts_ns) == ("ä".encode(), 2_000_000_001)


def test_a_folder_is_one_stream_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b.jsonl.zst", "a.jsonl"):
        (tmp_path / name).write_bytes(HEADER)
    (tmp_path / "a.index.jsonl").write_text("{}")
    (tmp_path / "notes.txt").write_text("no session")
    assert [path.name for path in session_files(tmp_path)] == ["a.jsonl", "b.jsonl.zst"]
    assert session_files(tmp_path / "a.jsonl") == [tmp_path / "a.jsonl"]
    assert len(list(read_session(session_files(tmp_path)))) == 2


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (RECORDS, r"f, line 1: expected a header, found 'connect'"),
        (HEADER + b"{nonsense\n", r"f, line 2: expected a record of a session"),
        (HEADER + b'{"t":"recv","conn":"a","ts":"soon"}\n', r"f, line 2: expected a record"),
        (zstandard.compress(HEADER + RECORDS * 99)[:-9], r"f, after line \d+: .*found: the file ends in the middle"),
        (lzma.compress(HEADER + RECORDS * 99)[:-9], r"f, after line \d+: expected a readable file"),
    ],
)
def test_what_is_wrong_names_file_and_line(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=expected):
        list(read_session([path]))


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a readable file"):
        list(read_session([tmp_path / "none"]))
