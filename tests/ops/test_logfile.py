from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.ops.logfile import LogFile


def test_lines_are_appended_also_after_a_restart(tmp_path: Path) -> None:
    for line in (b"a", b"b"):
        log = LogFile(tmp_path / "x.log", bytes_max=100, keep=1)
        log.write(line)
        log.close()
    assert (tmp_path / "x.log").read_bytes() == b"a\nb\n"


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=40), st.integers(0, 3))
def test_the_newest_lines_are_kept_within_the_bound(lines: list[bytes], keep: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        log = LogFile(Path(folder) / "x.log", bytes_max=50, keep=keep)
        for line in lines:
            log.write(line)
        log.close()
        parts = [Path(folder) / f"x.log.{n}" for n in range(keep, 0, -1)] + [Path(folder) / "x.log"]
        kept = [part.read_bytes() for part in parts if part.exists()]
        assert len(list(Path(folder).iterdir())) <= keep + 1
        assert all(len(part) <= 50 for part in kept)
        everything = b"".join(line + b"\n" for line in lines)
        assert everything.endswith(b"".join(kept))
        if len(everything) <= 50 or (keep and len(everything) <= 100 - 21):
            assert b"".join(kept) == everything


def test_a_long_line_is_cut(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log", bytes_max=10, keep=0)
    log.write(b"x" * 100)
    log.close()
    assert (tmp_path / "x.log").read_bytes() == b"x" * 9 + b"\n"


def test_what_cannot_be_written_is_counted(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "none" / "x.log", bytes_max=10, keep=0)
    log.write(b"a")
    assert log.lost == 1
