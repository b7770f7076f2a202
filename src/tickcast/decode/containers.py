"""Files, compressed or not, and what they hold: told by their content, never by their name."""

import io
import lzma
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import IO, Final, Literal, cast

import zstandard

from tickcast import _native
from tickcast.model.errors import UsageError
from tickcast.runtime.session_files import decompressed

READ_BYTES: Final = 1 << 20
HEAD_BYTES: Final = 1 << 16
UNREADABLE: Final = (OSError, EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError)
"""What a damaged compressed file raises."""

Kind = Literal["empty", "capture", "session", "fix-json", "fix", "itch", "pitch-text", "other"]

_CAPTURE: Final = {
    bytes.fromhex(magic)
    for magic in ("a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1", "a1b2cd34", "34cdb2a1", "0a0d0d0a")
}
_FIX: Final = re.compile(rb"(?:^|\x01)35=[0-9A-Za-z]{1,3}\x01|8=FIX", re.MULTILINE)
_PITCH_TEXT: Final = re.compile(rb"^S?\d{8}[A-Za-z1-4][0-9A-Za-z. ]", re.MULTILINE)


class Source:
    """An open file: its first bytes can be looked at before it is read."""

    def __init__(self, name: str, file: IO[bytes]) -> None:
        self.name = name
        self._file = cast("io.BufferedReader", file)  # whatever reads compressed bytes has read1, too
        self.head = b""
        self.fault: str | None = None
        """Why the file cannot be read to its end; known when :meth:`chunks` is over."""
        self._look()

    def _look(self) -> None:
        while len(self.head) < HEAD_BYTES and self.fault is None:
            data = self._read(HEAD_BYTES - len(self.head))
            if not data:
                break
            self.head += data

    def _read(self, size: int) -> bytes:
        parts: list[bytes] = []
        try:
            # Piece by piece: a read that fails in the middle of a large buffer keeps what it has read before.
            while size > 0 and (data := self._file.read1(size)):
                parts.append(data)
                size -= len(data)
        except UNREADABLE as error:
            self.fault = f"the file cannot be read any further: {str(error) or type(error).__name__}"
        return b"".join(parts)

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes of the file, decompressed, up to what cannot be read."""
        if self.head:
            yield self.head
        while self.fault is None:
            data = self._read(READ_BYTES)
            if not data:
                break
            yield data


@contextmanager
def open_source(name: str) -> Iterator[Source]:
    """Open a file; ``-`` is the standard input.

    Raises:
        UsageError: there is no such file, or it is no file.
    """
    try:
        raw = nullcontext(cast("IO[bytes]", sys.stdin.buffer)) if name == "-" else _open(name)
        with raw as file:
            yield Source("standard input" if name == "-" else name, decompressed(file))
    except IsADirectoryError as error:
        raise UsageError(f"{name}: expected a file, found a folder; nothing was decoded") from error
    except FileNotFoundError as error:
        raise UsageError(f"{name}: expected a file, found none; nothing was decoded") from error
    except PermissionError as error:
        raise UsageError(f"{name}: expected a readable file, found: {error.strerror}; nothing was decoded") from error


def _open(name: str) -> IO[bytes]:
    return open(name, "rb")  # noqa: PTH123  the caller closes it


def kind_of(head: bytes, family: str) -> Kind:
    """Say what the first bytes of a file look like; where several fit, what the family of venues would read."""
    if not head:
        return "empty"
    if head[:4] in _CAPTURE:
        return "capture"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"{"):
        line = text.partition(b"\n")[0]
        if re.search(rb'"raw"\s*:', line):
            return "fix-json"
        return "session" if re.search(rb'"t"\s*:', line) else "other"
    is_kind: dict[Kind, Callable[[bytes], bool]] = {"pitch-text": is_pitch_text, "fix": is_fix, "itch": is_itch}
    preferred: Kind = {"BATS": "pitch-text", "FIX": "fix"}.get(family, "itch")  # type: ignore[assignment]
    for kind in sorted(is_kind, key=lambda kind: kind != preferred):
        if is_kind[kind](head):
            return kind
    return "other"


def is_pitch_text(head: bytes) -> bool:
    """A line looks like a message."""
    return _PITCH_TEXT.search(head) is not None


def is_fix(head: bytes) -> bool:
    """There is a MsgType field."""
    return _FIX.search(head) is not None


def is_itch(head: bytes) -> bool:
    """At least half of the bytes are messages with their lengths."""
    frames = _native.itch_split(head, is_end=len(head) < HEAD_BYTES)
    whole = sum(end - start for start, end, _ in frames.blocks)
    return whole > 0 and whole * 2 >= frames.consumed
