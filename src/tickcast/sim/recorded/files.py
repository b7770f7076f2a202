"""Find and read captures. Whatever is wrong with one is a UsageError that names file and position."""

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, cast
from urllib.parse import parse_qs, urlsplit

import msgspec

from tickcast.model.capture import Line
from tickcast.model.errors import UsageError
from tickcast.runtime.session_files import read_session
from tickcast.sim.itch.venue import MESSAGE_LENGTHS

ITCH_PREFERRED: Final = ("itch/nasdaq_20200130_AAPL*", "itch/*.itch50*", "*.itch50*")
BINANCE_PREFERRED: Final = (
    "cryptofeed/BINANCE/BINANCE_20210405T183323Z.jsonl.xz",
    "cryptofeed/BINANCE/*.jsonl.xz",
    "BINANCE*.jsonl.xz",
)
_READ: Final = 1 << 20
_LENGTHS: Final = {ord(name): length for name, length in MESSAGE_LENGTHS.items()}


def find(path: Path, patterns: tuple[str, ...]) -> Path | None:
    """Return the first file that fits; ``path`` may be a file itself."""
    if path.is_file():
        return path if any(path.match(pattern) for pattern in patterns) else None
    for pattern in patterns:
        found = sorted(path.glob(pattern))
        if found:
            return found[0]
    return None


# ---------------------------------------------------------------------- ITCH


def itch_messages(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (ns since midnight, message) of a file of length-prefixed messages, plain or gzip; reads as it goes.

    Raises:
        UsageError: unreadable, an unknown type, a wrong length, or cut in the middle; names the position.
    """
    position = 0
    held = b""
    try:
        with _open(path) as file:
            while True:
                data = file.read(_READ)
                if not data:
                    break
                held += data
                offset = 0
                while len(held) - offset >= 2:
                    length = int.from_bytes(held[offset : offset + 2], "big")
                    end = offset + 2 + length
                    if end > len(held):
                        break
                    message = held[offset + 2 : end]
                    if not length or _LENGTHS.get(message[0]) != length:
                        found = f"type {message[:1]!r} of {length} bytes"
                        raise _wrong(path, position, expected="an ITCH 5.0 message", found=found)
                    yield int.from_bytes(message[5:11], "big"), message
                    position += 2 + length
                    offset = end
                held = held[offset:]
    except (OSError, EOFError, gzip.BadGzipFile) as error:
        raise _wrong(path, position, expected="a readable ITCH file", found=str(error)) from error
    if held:
        raise _wrong(path, position, expected="a whole message", found=f"{len(held)} bytes and the end of the file")


def check_itch(path: Path, *, most: int) -> int:
    """Read the first ``most`` messages; returns how many there are.

    Raises:
        UsageError: as :func:`itch_messages`, or the file holds no message.
    """
    count = 0
    for count, _ in enumerate(itch_messages(path), 1):
        if count >= most:
            break
    if not count:
        raise _wrong(path, 0, expected="ITCH messages", found="none")
    return count


def _open(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return path.open("rb")


# ---------------------------------------------------------------------- Binance


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a stream, verbatim as in a combined stream."""

    recorded_ns: int
    stream: str
    combined: bytes
    raw: bytes


@dataclass(slots=True)
class BinanceCapture:
    """What a captured session holds."""

    frames: list[Frame] = field(default_factory=list)
    snapshots: dict[str, list[bytes]] = field(default_factory=dict)
    """Depth answers of each symbol, in order."""
    exchange_symbols: list[dict[str, Any]] = field(default_factory=list)
    """Entries of the recorded ``exchangeInfo``; empty if there was none."""
    pairs: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Base and quote by symbol, from the header."""


class _Data(msgspec.Struct):
    stream: str


def read_binance(paths: Iterable[Path]) -> BinanceCapture:
    """Read a session of Binance's combined streams; several files are one.

    Raises:
        UsageError: unreadable, or a line that is no record; names the line.
    """
    capture = BinanceCapture()
    stream_decoder = msgspec.json.Decoder(_Data)
    paths = list(paths)
    for line in read_session(paths):
        if line.t == "recv" and line.data is not None:
            _take_frame(capture, line, stream_decoder)
        elif line.t == "http" and line.data is not None:
            _take_answer(capture, paths[0], line)
        elif line.t == "header":
            pairs = {str(pair) for listed in (line.config or {}).values() for pair in listed}
            capture.pairs |= {pair.replace("-", ""): _split(pair) for pair in sorted(pairs)}
    if not capture.frames:
        raise UsageError(f"{paths[0]}: expected frames of combined streams, found none; nothing is played from it")
    return capture


def _split(pair: str) -> tuple[str, str]:
    base, _, quote = pair.partition("-")
    return base, quote


def _take_frame(capture: BinanceCapture, line: Line, decoder: "msgspec.json.Decoder[_Data]") -> None:
    combined = (line.data or "").encode()
    try:
        stream = decoder.decode(combined).stream
    except msgspec.ValidationError:
        return  # an ack: belongs to the recorder's own requests
    raw = combined[combined.index(b'"data":') + 7 : combined.rindex(b"}")]
    capture.frames.append(Frame(line.ts_ns, stream, combined, raw))


def _take_answer(capture: BinanceCapture, path: Path, line: Line) -> None:
    parts = urlsplit(line.url)
    if parts.path.endswith("/depth"):
        symbol = parse_qs(parts.query).get("symbol", [""])[0]
        capture.snapshots.setdefault(symbol, []).append(line.payload)
    elif parts.path.endswith("/exchangeInfo"):
        try:
            capture.exchange_symbols = msgspec.json.decode(line.payload)["symbols"]
        except (msgspec.MsgspecError, KeyError, TypeError) as error:
            raise UsageError(f"{path}: expected exchangeInfo with symbols, found {error!r}") from error


# ---------------------------------------------------------------------- captured SoupBinTCP


def captured_itch(paths: Iterable[Path], target: str) -> Iterator[tuple[int, bytes]]:
    """Yield (time of the read in ns, message) of the sequenced packets that a captured feed got from ``target``.

    A link that broke and was taken up again gives each message once, by its sequence number.

    Raises:
        UsageError: a file cannot be read.
    """
    tails: dict[str, bytes] = {}
    session, following, number = b"", 1, 1
    for line in read_session(paths):
        if line.t == "connect" and line.addr == target and not line.continued:
            tails[line.conn] = b""
        if line.t != "recv" or line.conn not in tails:
            continue
        data = tails[line.conn] + line.payload
        offset = 0
        while len(data) - offset >= 3:
            end = offset + 2 + int.from_bytes(data[offset : offset + 2], "big")
            if end > len(data):
                break
            kind, payload = data[offset + 2 : offset + 3], data[offset + 3 : end]
            offset = end
            if kind == b"A":
                if payload[:10] != session:
                    session, following = payload[:10], 1
                number = int(payload[10:])
            elif kind == b"S":
                if number >= following:
                    following = number + 1
                    yield line.ts_ns, payload
                number += 1
        tails[line.conn] = data[offset:]


def _wrong(path: Path, position: int, *, expected: str, found: str) -> UsageError:
    return UsageError(f"{path}, byte {position}: expected {expected}, found {found}; nothing is played from it")
