"""Read session files (:mod:`tickcast.model.capture`): compressed or not, one or many, as one stream, in flat memory."""

import gzip
import io
import lzma
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final, cast

import msgspec
import zstandard

from tickcast.model.capture import Line
from tickcast.model.errors import UsageError

SUFFIXES: Final = (".jsonl", ".jsonl.zst", ".jsonl.xz", ".jsonl.gz")
_MAGIC: Final = {b"\xfd7zXZ\x00": "xz", b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def compression(head: bytes) -> str:
    """``xz``, ``gzip``, ``zstd``, or empty: by the first bytes of a file, since names lie."""
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")


def decompressed(file: IO[bytes]) -> IO[bytes]:
    """The bytes of a file, decompressed if they are compressed; reads as it goes. All zstd frames are read."""
    buffered = file if isinstance(file, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", file))
    match compression(buffered.peek(8)[:8]):
        case "xz":
            return cast("IO[bytes]", lzma.open(buffered, "rb"))
        case "gzip":
            return cast("IO[bytes]", gzip.open(buffered, "rb"))
        case "zstd":
            return cast("IO[bytes]", io.BufferedReader(_ZstdFrames(buffered), 1 << 20))
        case _:
            return buffered


class _ZstdFrames(io.RawIOBase):
    """A row of zstd frames; unlike the library's reader it says when the last one is cut."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._held = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._ready:
            if not self._held:
                self._held = self._file.read(1 << 18)
            if not self._held:
                if self._frame is not None:
                    raise EOFError("the file ends in the middle of a zstd frame")
                return 0
            self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            self._ready = memoryview(self._frame.decompress(self._held))
            self._held = b""
            if self._frame.eof:
                self._held, self._frame = self._frame.unused_data, None
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


def session_files(path: Path) -> list[Path]:
    """The session files of a folder by name, which is by time for ours; a file is itself."""
    if path.is_file():
        return [path]
    return sorted(each for each in path.iterdir() if each.name.endswith(SUFFIXES) and ".index." not in each.name)


def read_session(paths: Iterable[Path]) -> Iterator[Line]:
    """Every line of the files, one after the other.

    Raises:
        UsageError: unreadable, or a line that is no record; names file and line.
    """
    decoder = msgspec.json.Decoder(Line)
    for path in paths:
        number = 0
        try:
            with path.open("rb") as raw, decompressed(raw) as file:
                for number, text in enumerate(file, 1):
                    line = decoder.decode(text)
                    if number == 1 and line.t != "header":
                        raise UsageError(
                            f"{path}, line 1: expected a header, found {line.t!r}; nothing is read from it"
                        )
                    yield line
        except msgspec.MsgspecError as error:
            raise UsageError(f"{path}, line {number}: expected a record of a session, found: {error}") from error
        except (OSError, EOFError, lzma.LZMAError, zstandard.ZstdError) as error:
            raise UsageError(f"{path}, after line {number}: expected a readable file, found: {error}") from error
