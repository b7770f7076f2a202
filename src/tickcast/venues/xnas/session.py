"""Nasdaq TotalView-ITCH 5.0 over SoupBinTCP 3.00: one TCP link, resumed from the next sequence number.

The machine: *closed* (no link) -> *asking* (login sent) -> *open* (accepted: sequenced packets come). The decoder with
its books lives as long as the SoupBinTCP session: a link that breaks and comes back resumes at the next sequence number
and nothing is lost; another session id begins a new feed session with empty books. A server that resumes later than it
was asked has lost something for us, and a message that contradicts the books shows that something was lost inside the
stream, where no number could tell: see ``NOTES.md``.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from tickcast import _native
from tickcast.model.errors import UsageError
from tickcast.model.record import State
from tickcast.venues.base import Answer, Link, Request, Step, VenueConfig
from tickcast.venues.xnas import soup
from tickcast.venues.xnas.tape import Repeats, Tape

LINK: Final = "tape"


class XnasSession:
    """See the module."""

    def __init__(
        self,
        *,
        feed: str,
        config: VenueConfig,
        securities: Mapping[str, Sequence[str]],
        previous_close: Mapping[str, str],
    ) -> None:
        if config.address is None:
            raise UsageError(f"feeds.{feed}.address: expected host:port for venue {config.venue}, found nothing")
        try:
            soup.login(username=config.username, password=config.password, session=config.session, sequence=1)
        except ValueError as wrong:
            raise UsageError(f"feeds.{feed}: {wrong}") from wrong
        self._config = config
        self._address = config.address
        self._tape = Tape(feed=feed, config=config, securities=securities, previous_close=previous_close)
        self._repeats = Repeats(config.gap_attempts)
        self._session = config.session
        self._next = 1
        self._started = False
        """A login was accepted: decoder and books belong to ``_session``."""
        self._is_repair = False
        """The next login is to tell the session again from its beginning."""
        self._repair_ns = 0
        """When that may be asked for; 0 = it is not wanted."""
        self._skip = 0
        """Messages to come that were decoded before."""
        self._tail = b""
        self._sent_ns = 0

    @property
    def wake_ns(self) -> int:
        """When the next client heartbeat or repair is due."""
        if not self._sent_ns:
            return 0
        beat_ns = self._sent_ns + soup.HEARTBEAT_NS
        return min(beat_ns, self._repair_ns) if self._repair_ns else beat_ns

    @property
    def next_sequence(self) -> int:
        """Sequence number of the next message."""
        return self._next

    @property
    def decoder(self) -> "_native.ItchDecoder":
        """The decoder with its books, for tests and tools."""
        return self._tape.decoder

    def watch_books(self, instruments: Collection[int], now_ns: int) -> Step:
        """Tell the levels of these books from now on, and of no others."""
        step = Step()
        self._tape.watch_books(step, instruments, now_ns)
        return step

    def start(self, now_ns: int) -> Step:
        """Ask for the one link."""
        del now_ns
        return Step(links=[Link(name=LINK, transport="tcp", target=self._address)])

    def opened(self, link: str, now_ns: int) -> Step:
        """Log in, from the next sequence number."""
        self._tail = b""
        self._sent_ns = now_ns
        request = soup.login(
            username=self._config.username,
            password=self._config.password,
            session=self._session,
            sequence=self._next,
        )
        return Step(send=[(link, request)])

    def closed(self, link: str, now_ns: int) -> Step:
        """Keep decoder and books for the resume."""
        del link, now_ns
        self._tail = b""
        self._sent_ns = 0
        return Step()

    def answered(self, request: Request, answer: Answer) -> Step:
        """Never called: this venue has no REST side."""
        del request, answer
        return Step()

    def wake(self, now_ns: int) -> Step:
        """Send a heartbeat if nothing was sent for a second; repair what had to wait."""
        step = Step()
        if not self._sent_ns:
            return step
        if self._repair_ns and now_ns >= self._repair_ns:
            self._repair(step, now_ns)
        elif now_ns - self._sent_ns >= soup.HEARTBEAT_NS:
            self._sent_ns = now_ns
            step.send.append((LINK, soup.HEARTBEAT))
        return step

    def received(self, link: str, chunks: Sequence[bytes], times: Sequence[int]) -> Step:
        """Split, decode and stamp each read."""
        step = Step()
        for chunk, ts_recv in zip(chunks, times, strict=True):
            data = self._tail + chunk if self._tail else chunk
            try:
                frames = _native.soup_split(data)
            except ValueError as wrong:
                step.bury(f"SoupBinTCP: {wrong}", data[:256])
                step.drop[link] = f"the stream cannot be read any more: {wrong}"
                break
            self._tail = data[frames.consumed :]
            ended = False
            for kind, payload in frames.control:
                if kind == "Z":
                    ended = True
                else:
                    self._control(step, link, kind, payload, ts_recv)
            if link in step.drop or link in step.refused:
                break
            if frames.sequenced:
                self._decode(step, frames, ts_recv)
            if ended:
                self._session = ""
                self._next = 1
                step.drop[link] = "the venue ended the session"
            if link in step.drop:
                break
        return step

    # ------------------------------------------------------------------ control packets

    def _control(self, step: Step, link: str, kind: str, payload: bytes, ts_recv: int) -> None:
        if kind == "A":
            try:
                accepted = soup.accepted(payload)
            except ValueError as wrong:
                step.bury(str(wrong), payload)
                step.drop[link] = str(wrong)
                return
            self._enter(step, accepted, ts_recv)
        elif kind == "H":
            self._tape.caught_up(step, ts_recv)  # the venue has nothing more to tell
        elif kind == "J":
            code = payload[:1].decode("ascii", "replace")
            reason = f"login rejected: {soup.REJECTED.get(code, f'code {code!r}')}"
            if code == "S":  # the session we ask for is over: next time the current one, from its start
                self._session = ""
                self._next = 1
                step.drop[link] = reason
            else:
                step.refused[link] = reason

    def _enter(self, step: Step, accepted: soup.Accepted, ts_recv: int) -> None:
        """Take up the session where it stands: a new one from its start, the same one from the next message."""
        asked = self._next
        is_repair, self._is_repair, self._repair_ns = self._is_repair, False, 0
        if not self._started or accepted.session != self._session:
            is_repair, asked = False, 1
            self._session = accepted.session
            self._next = 1
            self._started = True
            self._tape.begin(step, ts_recv)
        elif is_repair:
            self._tape.tell_again(ts_recv)
        self._tape.login(ts_recv, from_start=accepted.sequence == 1)
        self._skip = max(asked - accepted.sequence, 0)
        missing = accepted.sequence - asked
        if missing <= 0:
            return
        self._next = accepted.sequence
        if asked == 1 and not is_repair:
            self._tape.doubt = State.UNVERIFIED
        else:
            self._tape.lose(step, State.GAP, missing=missing, next_seq=self._next, ts_recv=ts_recv)

    # ------------------------------------------------------------------ sequenced packets

    def _decode(self, step: Step, frames: "_native.SoupFrames", ts_recv: int) -> None:
        block, count = frames.messages, frames.sequenced
        if self._skip:
            step.messages += min(self._skip, count)
            block, count = self._without_known(block, count)
            if not count:
                return
        is_whole = self._tape.decode(step, block, count=count, first_seq=self._next, ts_recv=ts_recv)
        self._next += count
        if is_whole or self._repair_ns:
            return
        self._tape.mark(step, missing=0, next_seq=self._next, ts_recv=ts_recv)
        self._repair(step, ts_recv)

    def _repair(self, step: Step, now_ns: int) -> None:
        """Have the session told again from its beginning, now or as soon as it is allowed again."""
        if not self._repeats.take(now_ns):
            self._repair_ns = self._repeats.next_ns
            return
        self._repair_ns = 0
        self._is_repair = True
        self._next = 1
        step.drop[LINK] = "something is missing in the stream: the session is read again from its beginning"

    def _without_known(self, block: bytes, count: int) -> tuple[bytes, int]:
        """Leave out messages that were decoded before the link broke: the server began before what was asked."""
        position = 0
        while self._skip and count:
            position += 2 + int.from_bytes(block[position : position + 2], "big")
            self._skip -= 1
            count -= 1
        return block[position:], count


__all__ = ["LINK", "XnasSession"]
