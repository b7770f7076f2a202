import errno
from pathlib import Path

import pytest

from tickcast.model.errors import UsageError
from tickcast.ops.epoch import RESERVED, next_epoch


def test_epochs_never_come_twice_even_when_the_clock_goes_back(tmp_path: Path) -> None:
    path = tmp_path / "epoch"
    first = next_epoch(path, 1_800_000_000_000_000_000)
    assert first == 1_800_000_000_000_000
    assert first < 2**53
    assert next_epoch(path, 1_700_000_000_000_000_000) == first + RESERVED + 1


def test_a_lost_or_broken_file_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "epoch"
    first = next_epoch(path, 1_800_000_000_000_000_000)
    path.write_text("broken")
    assert next_epoch(path, 1_800_000_001_500_000_000) > first + RESERVED


def test_an_unwritable_folder_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="must be writable"):
        next_epoch(tmp_path / "missing" / "epoch", 1)


def test_a_full_disk_keeps_no_core_from_starting_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "epoch"
    first = next_epoch(path, 1_800_000_000_000_000_000)

    def no_space(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", no_space)
    assert next_epoch(path, 1_700_000_000_000_000_000) == first + RESERVED + 1
    assert next_epoch(path, 1_700_000_000_000_000_000) == first + 2 * RESERVED + 2
    with pytest.raises(UsageError, match="No space left"):
        next_epoch(tmp_path / "another", 1_700_000_000_000_000_000)
