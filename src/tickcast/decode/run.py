"""One decoding: files in order, each read as what it holds, into one sink."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol

from tickcast.decode.containers import Kind, Source, kind_of, open_source
from tickcast.decode.dates import date_in_name
from tickcast.decode.fix import FixJsonReader, FixMarket, FixReader
from tickcast.decode.foreign import SIBLINGS
from tickcast.decode.itch import ItchFileReader, ItchMarket
from tickcast.decode.packets import CaptureReader
from tickcast.decode.pitch import PitchMarket, PitchTextReader
from tickcast.decode.report import Report
from tickcast.decode.sessions import SessionReader
from tickcast.decode.stream import Sink, Stream
from tickcast.model.errors import UsageError
from tickcast.venues.registry import codes, find_declared

ALIASES: Final = {"XBOS": "XNAS", "XPSX": "XNAS", "XNYS": "FIX", **SIBLINGS}
VENUES: Final = ("XNAS", "BATS", "FIX", "BINANCE", "XSIM")
LATER: Final[tuple[str, ...]] = ()
"""Codes of venues that have no decoder yet."""
ALL_LEVELS: Final = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to decode."""

    raw: bool = False
    """Before arbitration and dedup: both lines, every repeat."""
    day: date | None = None
    """Of times that name none."""
    depth: int | None = None
    """Levels a side that are told as book rows; None = all."""
    begins: bool = False
    """Rows that begin a whole book are passed on too: for a sink that keeps books."""

    @property
    def levels(self) -> int:
        """The depth as a number."""
        return ALL_LEVELS if self.depth is None else self.depth


class Reader(Protocol):
    """Takes the bytes of one kind of container."""

    def begin_file(self, name: str) -> None:
        """Another file of this kind."""

    def feed(self, data: bytes) -> None:
        """Its next bytes."""

    def end_file(self, reason: str | None) -> None:
        """Its end; ``reason``: it could not be read to its end."""

    def finish(self) -> None:
        """No more files."""


EXPECTED: Final = {
    "XNAS": "length-prefixed ITCH 5.0, a packet capture with MoldUDP64 or ",
    "BATS": "PITCH text, a packet capture with PITCH or ",
    "FIX": "FIX messages, JSON lines with FIX messages in raw, or ",
}
"""What else than a session file, which every venue has."""
FOUND: Final[dict[Kind, str]] = {
    "capture": "a packet capture",
    "session": "a session file",
    "fix-json": "JSON lines with raw",
    "fix": "FIX messages",
    "itch": "length-prefixed ITCH",
    "pitch-text": "PITCH text",
    "other": "something else",
}


class Decoding:
    """The readers of one venue; those of the same kind go on from file to file."""

    def __init__(self, venue: str, sink: Sink, options: Options) -> None:
        self.report = Report()
        self._family = ALIASES.get(venue, venue)
        self._options = options
        self._sink = sink
        self._stream = Stream(venue, sink, self.report, raw=options.raw, begins=options.begins)
        self._readers: dict[Kind, Reader] = {}
        self._fix: FixMarket | None = None

    def file(self, source: Source) -> None:
        """Decode a file.

        Raises:
            UsageError: it holds nothing of this venue.
        """
        kind = kind_of(source.head, self._family)
        if kind == "empty":
            if source.fault is not None:
                raise UsageError(f"{source.name}: {source.fault}; nothing was decoded")
            self.report.note(f"{source.name} is empty")
            return
        reader = self._readers.get(kind) or self._open(kind, source)
        self._readers[kind] = reader
        reader.begin_file(source.name)
        for chunk in source.chunks():
            reader.feed(chunk)
        reader.end_file(source.fault)

    def finish(self) -> None:
        """Decode what the readers still hold, and close the sink."""
        for reader in self._readers.values():
            reader.finish()
        self._sink.close(self.report)

    def _open(self, kind: Kind, source: Source) -> Reader:
        stream, options = self._stream, self._options
        depth, day = options.levels, options.day
        named = day or date_in_name(source.name)
        makers: dict[tuple[str, Kind], Callable[[], Reader]] = {
            ("XNAS", "itch"): lambda: ItchFileReader(stream, ItchMarket(stream, day=named, depth=depth)),
            # the day of packets is said by their own times
            ("XNAS", "capture"): lambda: CaptureReader(
                stream, "moldudp64", lambda: ItchMarket(stream, day=day, depth=depth)
            ),
            ("BATS", "pitch-text"): lambda: PitchTextReader(stream, day=named, depth=depth),
            ("BATS", "capture"): lambda: CaptureReader(
                stream, "pitch", lambda: PitchMarket(stream, day=day, depth=depth)
            ),
            ("FIX", "fix"): lambda: FixReader(stream, self._fix_market()),
            ("FIX", "fix-json"): lambda: FixJsonReader(stream, self._fix_market()),
            (self._family, "session"): lambda: SessionReader(stream, self._family, day=day, depth=depth),
        }
        maker = makers.get((self._family, kind))
        if maker is None:
            expected, found = EXPECTED.get(self._family, ""), FOUND[kind]
            raise UsageError(f"{source.name}: expected {expected}a session file, found {found}; it was not decoded")
        return maker()

    def _fix_market(self) -> FixMarket:
        if self._fix is None:
            self._fix = FixMarket(self._stream, depth=self._options.levels)
        return self._fix


def check_venue(venue: str) -> str:
    """Return the venue's code.

    Raises:
        UsageError: there is no such venue, or none yet.
    """
    code = venue.upper()
    declared = [each for each in codes() if find_declared(each) is not None]
    there = ", ".join(dict.fromkeys((*VENUES, *declared, *ALIASES)))
    if code in LATER:
        raise UsageError(f"expected a venue with a decoder ({there}), found {code}, which has none yet")
    if code not in VENUES and code not in ALIASES and code not in declared:
        raise UsageError(f"expected a venue with a decoder ({there}), found {venue!r}")
    return code


def decode(venue: str, files: Sequence[str], sink: Sink, options: Options) -> Report:
    """Decode files as one stream, in their order.

    Raises:
        UsageError: a file cannot be opened, or holds nothing of this venue.
    """
    decoding = Decoding(venue, sink, options)
    for name in files:
        with open_source(name) as source:
            decoding.file(source)
    decoding.finish()
    return decoding.report
