"""Recorded exchange data: where it is, and how to read it."""

import json
import lzma
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(os.environ.get("TICKCAST_CAPTURES") or Path(__file__).parents[2] / ".." / "shared" / "captures")


def capture(name: str) -> Path:
    """Path of a recorded file; skips the test without it."""
    path = ROOT / name
    if not path.is_file():
        pytest.skip(f"needs recorded data: no {name} in $TICKCAST_CAPTURES")
    return path


def session(name: str) -> Iterator[dict[str, Any]]:
    """Records of a WebSocket session, in order of arrival."""
    with lzma.open(capture(name), "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
