"""Session files (:mod:`tickcast.model.capture`): what a feed received, told again to the venue's own session.

The session runs as it does live, on the recording's time: links open and close as they did, a REST answer goes to the
request that it answers, or waits for it. Our own captures say the feed's settings and the links' names. Venues that are
declared as data need no session to be read: see :mod:`.recorded`.
"""

from datetime import date
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec
import numpy as np

from tickcast.decode.foreign import SIBLINGS, Recorded, own_feed, siblings_of
from tickcast.decode.recorded import Recording
from tickcast.decode.stream import Stream
from tickcast.model.capture import Line
from tickcast.model.errors import UsageError
from tickcast.model.record import Kind, records_from
from tickcast.venues.base import Answer, Link, Request, Session, Step
from tickcast.venues.registry import find_declared, open_session

BATCH_MAX: Final = 256
"""Frames that are handed over at once."""
TIME_MAX: Final = (1 << 63) - 1
WAKES_MAX: Final = 100_000
"""Timers of a session that are served between two lines."""
CODES: Final = {
    "XNAS": ("XNAS", "XBOS"),
    "BATS": ("BATS",),
    "FIX": ("XNYS",),
    "XSIM": ("XSIM",),
    **{family: (family, *siblings_of(family)) for family in dict.fromkeys(SIBLINGS.values())},
}
"""Venue codes of sessions, by the family that is asked for; every other code stands for itself."""
ANEW: Final = (CODES["FIX"], CODES["BATS"])
"""Venues where a feed that is started anew asks for other images than one that lost its links."""
UNKNOWN: Final = ("unknown type", "which was not asked for", "found another object")
"""What sessions say of a frame of a kind that they do not know."""


class SessionReader:
    """Files in the session format."""

    def __init__(self, stream: Stream, family: str, *, day: date | None, depth: int) -> None:
        self._stream = stream
        self._codes = CODES.get(family, (family,))
        self._is_declared = find_declared(family) is not None
        self._recording: Recording | None = None
        self._day = day
        self._depth = depth
        self._decoder = msgspec.json.Decoder(Line)
        self._held = b""
        self._file = ""
        self._offset = 0
        self._header = Recorded()
        self._replay: Replay | None = None
        self._early: list[Line] = []
        """What came before the first frame: links and answers, from which the settings are made."""

    def begin_file(self, name: str) -> None:
        """Another file, perhaps the next segment of the same feed."""
        self._file, self._offset, self._held = name, 0, b""

    def feed(self, data: bytes) -> None:
        """Replay whole lines."""
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            self._line(line)
            self._offset += len(line) + 1
        self._flush()

    def end_file(self, reason: str | None) -> None:
        """Replay a last line without an end."""
        self._line(self._held)
        self._held = b""
        self._flush()
        if reason is not None:
            self._stream.report.bury(self._file, self._offset, reason)

    def finish(self) -> None:
        """Replay what still waits for a first frame, or for the end."""
        if self._recording is not None:
            self._recording.finish()
        if self._early:
            self._open()
        self._flush()

    def _flush(self) -> None:
        if self._replay is not None:
            self._replay.flush()
        if self._recording is not None:
            self._recording.flush()

    def _line(self, text: bytes) -> None:
        if not text.strip():
            return
        try:
            line = self._decoder.decode(text)
            payload = line.payload if line.t == "recv" else b""
            ts_ns = line.ts_ns
            if not 0 <= ts_ns <= TIME_MAX:
                raise ValueError(f"an impossible time {line.ts}")
        except (msgspec.MsgspecError, ValueError, ArithmeticError) as wrong:
            self._stream.report.frames += 1
            self._stream.report.bury(self._file, self._offset, f"expected a record of a session: {wrong}")
            return
        if self._is_declared and line.t != "header":
            self._recorded().line(line, payload, (self._file, self._offset))
            return
        if self._replay is not None and self._replay.is_over(line):
            self._replay.cut(ts_ns)
            if self._codes in ANEW:
                self._replay = None
        if line.t == "header":
            self._begin(text, line)
        elif line.t == "recv":
            replay = self._replay or self._open()
            replay.received(line, payload, ts_ns, (self._file, self._offset))
        elif self._replay is None:
            self._early.append(line)
        else:
            self._replay.line(line, (self._file, self._offset))

    def _begin(self, text: bytes, line: Line) -> None:
        """Take a header: the next segment of the same feed goes on, anything else begins anew."""
        try:
            header = msgspec.json.decode(text, type=Recorded)
        except msgspec.MsgspecError as wrong:
            raise UsageError(
                f"{self._file}: expected a header of a session, found: {wrong}; it was not decoded"
            ) from wrong
        code = line.exchange.upper()
        if code and code not in self._codes:
            expected = " or ".join(self._codes)
            raise UsageError(f"{self._file}: expected a session of {expected}, found one of {code}; it was not decoded")
        is_next = bool(line.feed) and line.feed == self._header.feed and header.settings == self._header.settings
        if (self._replay is not None or self._recording is not None) and not is_next:
            self.finish()
            self._replay = self._recording = None
            self._stream.begin_session()
        self._header = header

    def _recorded(self) -> Recording:
        if self._recording is None:
            code = SIBLINGS.get(self._header.exchange.upper(), self._header.exchange.upper()) or self._codes[0]
            self._recording = Recording(self._stream, code, self._header, depth=self._depth)
        return self._recording

    def _open(self) -> "Replay":
        code = self._header.exchange.upper() or self._codes[0]
        early, self._early = self._early, []
        if not self._header.settings:
            raise UsageError(
                f"expected settings in the header of a session file of {code}, found none; it was not decoded"
            )
        settings = msgspec.structs.replace(own_feed(self._header, code), depth=self._depth)
        if self._day is not None:
            settings = msgspec.structs.replace(settings, date=self._day.isoformat())
        session = open_session(self._header.feed or "recorded", settings, {})
        self._replay = Replay(self._stream, session)
        for line in early:
            self._replay.line(line, (self._file, self._offset))
        return self._replay


class Replay:
    """One session and the recording that it is told."""

    def __init__(self, stream: Stream, session: Session) -> None:
        self._stream = stream
        self._session = session
        self._links: dict[str, Link] = {}
        self._by_conn: dict[str, str] = {}
        self._open: set[str] = set()
        self._conns: set[str] = set()
        """All that were ever opened."""
        self._pending: list[Request] = []
        self._answers: list[tuple[Line, Answer]] = []
        """Answers that no request has asked for yet."""
        self._started = False
        self._now_ns = 0
        self._link = ""
        self._chunks: list[bytes] = []
        self._times: list[int] = []
        self._place = ("", 0)

    def is_over(self, line: Line) -> bool:
        """Say whether the feed was killed and started anew: ours number their connections, from one at each start."""
        return line.t == "connect" and bool(line.link) and not line.continued and line.conn in self._conns

    def cut(self, ts_ns: int) -> None:
        """End what is open: nobody lived to write that it was closed."""
        self.flush()
        self._advance(ts_ns)
        for link in sorted(self._open):
            self._take(self._session.closed(link, self._now_ns))
        self._open.clear()
        self._by_conn.clear()
        self._conns.clear()

    def line(self, line: Line, place: tuple[str, int]) -> None:
        """Replay anything but a frame."""
        self.flush()
        self._place = place
        self._advance(line.ts_ns)
        if line.t == "connect":
            self._connect(line)
        elif line.t == "close" and (link := self._by_conn.pop(line.conn, None)) is not None:
            self._open.discard(link)
            self._take(self._session.closed(link, self._now_ns))
        elif line.t == "http":
            answer = Answer(
                status=line.status, body=(line.data or "").encode(), received_ns=self._now_ns, etag=line.etag
            )
            self._answers.append((line, answer))
            self._match()
        elif line.t == "lost":
            self._stream.report.bury(*place, f"the capture itself lost {line.count} lines", count=line.count or 1)

    def received(self, line: Line, payload: bytes, ts_ns: int, place: tuple[str, int]) -> None:
        """Replay a frame, with others of its link."""
        link = self._by_conn.get(line.conn) or self._named(line)
        if link != self._link or len(self._chunks) >= BATCH_MAX or 0 < self._session.wake_ns <= ts_ns:
            self.flush()
            self._advance(ts_ns)
            self._link, self._place = link, place
        if not self._chunks:
            self._place = place
        self._chunks.append(payload)
        self._times.append(ts_ns)

    def flush(self) -> None:
        """Hand over the frames that wait."""
        if not self._chunks:
            return
        chunks, times = self._chunks, self._times
        self._chunks, self._times = [], []
        self._now_ns = max(self._now_ns, times[-1])
        report = self._stream.report
        step = self._session.received(self._link, chunks, times)
        self._take(step)
        report.frames += step.messages

    # ------------------------------------------------------------------ what the session asks for

    def _advance(self, ts_ns: int) -> None:
        """Let the time pass: the session's timers first."""
        if not self._started:
            self._started = True
            self._now_ns = ts_ns
            self._take(self._session.start(ts_ns))
        for _ in range(WAKES_MAX):
            wake_ns = self._session.wake_ns
            if not wake_ns or wake_ns > ts_ns:
                break
            self._now_ns = max(self._now_ns, wake_ns)
            self._take(self._session.wake(self._now_ns))
            if self._session.wake_ns == wake_ns:
                break
        self._now_ns = max(self._now_ns, ts_ns)

    def _connect(self, line: Line) -> None:
        if line.continued and line.conn in self._by_conn:
            return  # the next segment says again what is open
        self._conns.add(line.conn)
        link = self._named(line)
        if not link:
            return
        self._by_conn[line.conn] = link
        if link in self._open:
            if self._links[link].target == line.addr or line.link:
                self._take(self._session.closed(link, self._now_ns))
            else:  # another connection of a recorder that divided the streams differently
                return
        self._open.add(link)
        self._take(self._session.opened(link, self._now_ns))

    def _named(self, line: Line) -> str:
        """Say which of the session's links a recorded connection stands for."""
        if line.link in self._links:
            return line.link
        same = [link.name for link in self._links.values() if link.target == line.addr]
        wanted = set(urlsplit(line.addr).query.partition("=")[2].split("/"))
        shared = {
            link.name: len(wanted & set(urlsplit(link.target).query.partition("=")[2].split("/")))
            for link in self._links.values()
        }
        nearest = max(shared, key=lambda name: shared[name], default="")
        return same[0] if same else nearest

    def _match(self) -> None:
        """Give answers to the requests that they answer."""
        while pair := next(
            ((request, entry) for request in self._pending for entry in self._answers if answers(entry[0], request)),
            None,
        ):
            request, entry = pair
            self._pending.remove(request)
            self._answers.remove(entry)
            step = self._session.answered(request, entry[1])
            self._stream.report.frames += step.messages
            self._take(step, match=False)

    def _take(self, step: Step, *, match: bool = True) -> None:
        report, stream = self._stream.report, self._stream
        if step.new_session:
            stream.begin_session()
        for definition in step.definitions:
            stream.define_as(definition.instrument, definition.symbol)
        for link in step.links:
            self._links[link.name] = link
        self._pending.extend((*step.requests, *step.repeat))
        report.unpriced += step.unpriced
        if step.dead_count:
            reasons = [reason for reason, _ in step.dead]
            unknown = sum(any(word in reason for word in UNKNOWN) for reason in reasons)
            report.unknown += unknown
            report.dead_letters += step.dead_count - unknown
            report.remember(*self._place, reasons[0] if reasons else "not understood")
        if step.records:
            records = b"".join(step.records)
            report.gaps += holes(records)
            stream.accept(records, None, step.texts)
        if match and (step.requests or step.repeat):
            self._match()


def answers(line: Line, request: Request) -> bool:
    """Say whether a recorded answer is that to a request: by its purpose, or by the end of the path and the symbol."""
    if line.purpose:
        return line.purpose == request.purpose
    found, wanted = urlsplit(line.url), urlsplit(request.url)
    same_path = found.path.rpartition("/")[2] == wanted.path.rpartition("/")[2]
    return same_path and parse_qs(found.query).get("symbol") == parse_qs(wanted.query).get("symbol")


def holes(records: bytes) -> int:
    """Count the holes that gap rows tell of: one of a whole scope is told for each of its instruments."""
    rows = records_from(records)
    gaps = rows[rows["kind"] == Kind.GAP]
    return len(np.unique(gaps[["seq", "id", "ts_recv"]])) if len(gaps) else 0
