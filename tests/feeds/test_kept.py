"""What sessions keep over a restart."""

from pathlib import Path

import pytest

from tickcast.feeds.kept import KeptFile


def test_the_newest_is_read_again(tmp_path: Path) -> None:
    kept = KeptFile(tmp_path / "feeds" / "nyse.kept")
    assert kept.read() is None
    for state in (b"1", b"", b"a\nb\x00"):
        kept.write(state)
        assert KeptFile(kept.path).read() == state
    assert [path.name for path in kept.path.parent.iterdir()] == ["nyse.kept"]


@pytest.mark.parametrize("damage", [b"", b"x", b"tickcast-kept 1 1 00000000\n1", b"1" * 2_000_000])
def test_damage_is_as_good_as_nothing(tmp_path: Path, damage: bytes) -> None:
    kept = KeptFile(tmp_path / "nyse.kept")
    kept.path.write_bytes(damage)
    assert kept.read() is None


def test_every_cut_and_every_changed_bit_is_seen(tmp_path: Path) -> None:
    kept = KeptFile(tmp_path / "nyse.kept")
    kept.write(b'{"next_in":17}')
    whole = kept.path.read_bytes()
    for length in range(len(whole)):
        kept.path.write_bytes(whole[:length])
        assert kept.read() is None
    for place in range(len(whole)):
        kept.path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert kept.read() is None


def test_a_folder_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "feeds").write_text("a file where the folder should be")
    kept = KeptFile(tmp_path / "feeds" / "nyse.kept")
    kept.write(b"1")
    assert kept.read() is None
    (tmp_path / "feeds").unlink()
    kept.write(b"2")
    assert kept.read() == b"2"
