"""Segments of a capture on disk: whole frames, an index that finds them, a bound, and what a kill leaves behind."""

import random
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.feeds.segments import SUFFIX, Item, SegmentWriter, index_path, read_index
from tickcast.model.capture import Line

Folders = pytest.TempPathFactory
START_NS = 1_790_000_000_000_000_001


def writer(folder: Path, *, segment_max: int = 1 << 30, disk_max: int = 1 << 40) -> SegmentWriter:
    made = SegmentWriter(folder, feed="f", venue="V", segment_max=segment_max, disk_max=disk_max)
    made.prepare()
    return made


def received(number: int, payload: bytes, *, text: bool = False) -> Item:
    return START_NS + number, "recv", (',"conn":"f.a.1"', payload, text)


CONNECT: Item = (START_NS, "connect", (',"conn":"f.a.1","addr":"x:1","link":"a","transport":"tcp"', b"", False))
CLOSE: Item = (START_NS + 2, "close", (',"conn":"f.a.1","reason":"gone"', b"", False))


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))


def lines(segment: Path) -> list[Line]:
    with zstandard.open(segment, "rb") as file:
        return [msgspec.json.decode(line, type=Line) for line in file.read().splitlines()]


@settings(deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=300), st.booleans()), max_size=30), st.integers(1, 7))
def test_every_byte_comes_back(
    tmp_path_factory: pytest.TempPathFactory, what: list[tuple[bytes, bool]], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("capture")
    made = writer(folder)
    items = [received(number, payload, text=text) for number, (payload, text) in enumerate(what)]
    for at in range(0, len(items), cut):
        assert made.write(items[at : at + cut]) > 0
    found = [line for segment in segments(folder) for line in lines(segment) if line.t != "header"]
    assert [line.payload for line in found] == [payload for payload, _ in what]
    assert [line.ts_ns for line in found] == [item[0] for item in items]


def test_the_index_finds_every_frame(tmp_path: Path) -> None:
    made = writer(tmp_path)
    for number in range(5):
        made.write([received(10 * number + each, b"x" * 50) for each in range(3)])
    (segment,) = segments(tmp_path)
    data = segment.read_bytes()
    entries = read_index(index_path(segment))
    assert [entry.records for entry in entries] == [1, 3, 3, 3, 3, 3]
    for entry in entries[1:]:
        frame = zstandard.ZstdDecompressor().decompress(data[entry.offset : entry.offset + entry.size])
        first, *_, last = [msgspec.json.decode(line, type=Line).ts_ns for line in frame.splitlines()]
        assert (first, last, len(frame)) == (entry.first_ns, entry.last_ns, entry.raw)
    assert entries[-1].offset + entries[-1].size == len(data)


def test_a_new_segment_tells_of_the_links_that_are_open(tmp_path: Path) -> None:
    made = writer(tmp_path, segment_max=1)
    made.write([CONNECT])
    made.write([received(1, b"one")])
    made.write([CLOSE])
    made.write([received(3, b"two")])
    kinds = [[(line.t, line.continued) for line in lines(segment)] for segment in segments(tmp_path)]
    assert kinds == [
        [("header", False), ("connect", False)],
        [("header", False), ("connect", True), ("recv", False)],
        [("header", False), ("connect", True), ("close", False)],
        [("header", False), ("recv", False)],
    ]
    assert lines(segments(tmp_path)[1])[1].link == "a"


def test_a_clock_that_goes_back_overwrites_nothing(tmp_path: Path) -> None:
    made = writer(tmp_path, segment_max=1)
    for payload in (b"one", b"two", b"three"):
        made.write([received(1, payload)])
    kept = {line.payload for segment in segments(tmp_path) for line in lines(segment) if line.t == "recv"}
    assert kept == {b"one", b"two", b"three"}


def test_the_oldest_segments_make_room(tmp_path: Path) -> None:
    noise = random.Random(1)
    made = writer(tmp_path, segment_max=20_000, disk_max=100_000)
    for number in range(100):
        made.write([received(number, noise.randbytes(5_000))])
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 100_000 + 30_000
    kept = [line.ts_ns - START_NS for segment in segments(tmp_path) for line in lines(segment) if line.t == "recv"]
    assert kept == list(range(kept[0], 100))
    assert kept[0] > 50
    assert {path.name.split(".")[0] for path in tmp_path.glob("*.index.jsonl")} == {
        path.name.split(".")[0] for path in segments(tmp_path)
    }


@pytest.mark.parametrize("torn", [1, 30, 10_000])
def test_what_a_kill_left_half_written_is_cut(tmp_path: Path, torn: int) -> None:
    made = writer(tmp_path)
    for number in range(3):
        made.write([received(number, b"whole")])
    (segment,) = segments(tmp_path)
    whole = segment.read_bytes()
    segment.write_bytes(whole + b"\xff" * torn)
    with index_path(segment).open("ab") as index:
        index.write(b'{"offset":12')
    empty = tmp_path / f"20990101T000000.0Z{SUFFIX}"
    empty.write_bytes(b"(\xb5/\xfd half a frame")
    writer(tmp_path)
    assert segment.read_bytes() == whole
    assert [line.payload for line in lines(segment) if line.t == "recv"] == [b"whole"] * 3
    assert not empty.exists()


def test_a_full_disk_is_an_error_and_what_stands_stays_whole(tmp_path: Path) -> None:
    made = writer(tmp_path, segment_max=1)
    made.write([received(0, b"before")])
    name = segments(tmp_path)[0].name.replace("000000001Z", "000000005Z")
    (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space"):
        made.write([received(4, b"lost")])
    (tmp_path / name).unlink()
    made.write([received(5, b"after")])
    kept = [line.payload for segment in segments(tmp_path) for line in lines(segment) if line.t == "recv"]
    assert kept == [b"before", b"after"]
