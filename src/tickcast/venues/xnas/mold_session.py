"""Nasdaq TotalView-ITCH 5.0 over MoldUDP64 1.00: redundant lines, and a server that sends again what all of them lost.

The arbiter puts the lines together, the recovery machine says when a hole is a gap and what to ask for, the tape knows
what that means for the instruments. The sequence of a session begins at 1, so a feed that comes late has a hole before
its first packet: it is asked for like any other, and what it brings is told as a replay. What the server did not bring
is a loss; the books begin anew and are in doubt. From then on the server is asked for message 1 now and then, and when
it answers, the session is told again from there: the books that come of it are whole. See ``NOTES.md``.
"""

import ipaddress
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from tickcast import _native
from tickcast.model.errors import UsageError
from tickcast.model.record import State
from tickcast.venues.base import Answer, Link, Request, Step, VenueConfig
from tickcast.venues.lines import Loss, Recovery
from tickcast.venues.xnas import mold
from tickcast.venues.xnas.tape import Repeats, Tape

REREQUEST: Final = "rerequest"
LINES_MAX: Final = 255
UNIT: Final = 0
FIRST: Final = 1
RETRY_MIN_NS: Final = 1_000_000_000
RETRY_MAX_NS: Final = 30_000_000_000
"""After a loss the server is asked whether it answers again: after the first time, then twice as long each time."""
SETTLE_NS: Final = 200_000_000
"""Damage comes in bursts: so long it may last before all is told again, once."""


class MoldSession:
    """See the module."""

    def __init__(
        self,
        *,
        feed: str,
        config: VenueConfig,
        securities: Mapping[str, Sequence[str]],
        previous_close: Mapping[str, str],
    ) -> None:
        _check(feed, config)
        self._config = config
        self._tape = Tape(
            feed=feed, config=config, securities=securities, previous_close=previous_close, ends_by_time=False
        )
        self._repeats = Repeats(config.gap_attempts)
        self._arbiter = _native.LineArbiter("moldudp64", from_start=True, known_types=True)
        can_ask = config.rerequest is not None
        self._recovery = Recovery(config, can_ask=can_ask, ask_max=mold.ASK_MAX)
        self._numbers = {f"line{number + 1}": number for number in range(len(config.lines))}
        self._numbers[REREQUEST] = len(config.lines)
        self._blocks: deque[_native.LineBlock] = deque()
        """In order, not decoded yet: a new session begins a step of its own."""
        self._session = ""
        self._epoch = 0
        """Of the tape."""
        self._newest_epoch = 0
        """Of the arbiter, as far as it was told."""
        self._missing = 0
        """Messages of the gap that is being repaired."""
        self._repair_ns = 0
        """When the session may be told again; 0 = that is not wanted."""
        self._retry_ns = 0
        """When the server is asked whether it answers again; 0 = nothing is lost."""
        self._retry_wait_ns = RETRY_MIN_NS
        self._damaged = 0

    @property
    def wake_ns(self) -> int:
        """When the recovery or what was put off is due."""
        if self._blocks or self._epoch != self._newest_epoch:
            return 1
        due = [at for at in (self._recovery.wake_ns, self._repair_ns, self._retry_ns) if at]
        return min(due, default=0)

    @property
    def decoder(self) -> "_native.ItchDecoder":
        """The decoder with its books, for tests and tools."""
        return self._tape.decoder

    @property
    def arbiter(self) -> "_native.LineArbiter":
        """The arbiter with its counters, for tests and tools."""
        return self._arbiter

    def watch_books(self, instruments: Collection[int], now_ns: int) -> Step:
        """Tell the levels of these books from now on, and of no others."""
        step = Step()
        self._tape.watch_books(step, instruments, now_ns)
        return step

    def start(self, now_ns: int) -> Step:
        """Ask for the lines and the way to the re-request server."""
        del now_ns
        config = self._config
        links = [
            Link(name=f"line{number + 1}", transport="udp_line", target=target, interface=config.interface)
            for number, target in enumerate(config.lines)
        ]
        if config.rerequest is not None:
            links.append(Link(name=REREQUEST, transport="udp", target=config.rerequest))
        return Step(links=links)

    def opened(self, link: str, now_ns: int) -> Step:
        """Nothing is said to a line."""
        del link, now_ns
        return Step()

    def closed(self, link: str, now_ns: int) -> Step:
        """Wait for the other lines: the sequence says what is missing."""
        del link, now_ns
        return Step()

    def answered(self, request: Request, answer: Answer) -> Step:
        """Never called: this venue has no REST side."""
        del request, answer
        return Step()

    def wake(self, now_ns: int) -> Step:
        """Go on with what was put off; look at the holes."""
        step = Step()
        self._work(step, now_ns)
        return step

    def received(self, link: str, chunks: Sequence[bytes], times: Sequence[int]) -> Step:
        """Arbitrate datagrams and decode what is in order."""
        step = Step()
        is_answer = link == REREQUEST
        self._blocks.extend(self._arbiter.take(chunks, times, self._numbers[link], repair=is_answer))
        if is_answer:
            for chunk in chunks:
                answer = mold.numbers(chunk)
                if answer is not None:
                    self._recovery.answered(UNIT, *answer)
                    if self._retry_ns and answer[0] == FIRST and chunk.startswith(self._session.encode("latin-1")):
                        self._repair_ns = self._repair_ns or max(times[-1], self._repeats.next_ns)
        self._bury_damaged(step, link)
        now_ns = times[-1]
        conflict = ""
        for kind, unit, detail in self._arbiter.notices():
            if kind in {"session", "reset"}:
                self._newest_epoch += 1
                self._recovery.forget(unit)
                self._session = detail if kind == "session" else self._session
            elif kind == "conflict":
                conflict = detail
        self._work(step, now_ns, conflict)
        return step

    # ------------------------------------------------------------------ what is in order

    def _work(self, step: Step, now_ns: int, conflict: str = "") -> None:
        """Decode, and see to what is missing; stops where a new session needs a step of its own."""
        if not self._decode_all(step, now_ns):
            return
        if conflict:
            step.bury(f"MoldUDP64: two lines say different things as messages {conflict}", b"")
            self._contradict(step, now_ns)
        if self._repair_ns and now_ns >= self._repair_ns:
            self._tell_again(now_ns)
        if self._retry_ns and now_ns >= self._retry_ns:
            self._retry(step, now_ns)
        self._recover(step, now_ns)

    def _decode_all(self, step: Step, now_ns: int) -> bool:
        while self._blocks:
            block = self._blocks[0]
            if block.first_seq and block.epoch > self._epoch and not self._begin(step, block.epoch, now_ns):
                return False
            self._blocks.popleft()
            if not block.first_seq:
                step.bury("MoldUDP64: messages without a sequence number", block.messages[:256])
                step.dead_count += block.count - 1
            elif block.epoch == self._epoch:
                is_whole = self._tape.decode(
                    step, block.messages, count=block.count, first_seq=block.first_seq, ts_recv=block.ts_recv
                )
                if not is_whole:
                    self._contradict(step, now_ns)
        return self._epoch == self._newest_epoch or self._begin(step, self._newest_epoch, now_ns)

    def _begin(self, step: Step, epoch: int, now_ns: int) -> bool:
        """Begin a feed session; False if this step holds records of the one before."""
        if step.records or step.definitions:
            return False
        self._epoch = epoch
        self._missing, self._repair_ns = 0, 0
        self._retry_ns, self._retry_wait_ns = 0, RETRY_MIN_NS
        self._tape.begin(step, now_ns)
        self._tape.login(now_ns, from_start=True)
        return True

    def _bury_damaged(self, step: Step, link: str) -> None:
        damaged = self._arbiter.damaged()
        if not damaged:
            return
        for _, reason, raw in damaged:
            step.bury(f"MoldUDP64 on {link}: {reason}", raw)
        total = sum(self._arbiter.line(number)["damaged"] for number in self._numbers.values())
        step.dead_count += total - self._damaged - len(damaged)
        self._damaged = total

    # ------------------------------------------------------------------ what is missing

    def _recover(self, step: Step, now_ns: int) -> None:
        """Do what the recovery machine says about the holes."""
        holes = self._arbiter.holes()
        if self._tape.is_catching_up:
            self._recovery.bound(UNIT, self._config.join_range_max, "join_range_max")
        else:
            self._recovery.bound(UNIT)
        orders = self._recovery.look(holes, now_ns)
        if orders.gaps and self._tape.is_catching_up:
            self._tape.is_gap = True  # what is told again or from before we came is no news for the ledger
        elif orders.gaps:
            self._missing = sum(last - first + 1 for _, first, last, _ in holes)
            self._tape.mark(step, missing=self._missing, next_seq=holes[-1][2] + 1, ts_recv=now_ns)
        for loss in orders.losses:
            self._lose(step, loss, now_ns)
        is_waiting = self._tape.is_gap or self._tape.is_catching_up
        if is_waiting and not self._repair_ns and self._recovery.phase(UNIT) == "live":
            self._end_gap(step, now_ns)
        for ask in orders.asks:
            step.send.append((REREQUEST, mold.request(self._session, ask.first, ask.count)))

    def _end_gap(self, step: Step, now_ns: int) -> None:
        """Nothing is missing for too long: what was told so far is where the venue stands."""
        expected = self._arbiter.unit(UNIT)["expected"]
        if expected <= FIRST:
            return
        if self._tape.is_gap:
            self._tape.clear(step, recovered=self._missing, next_seq=expected, ts_recv=now_ns)
            self._missing = 0
        self._tape.caught_up(step, now_ns)
        if self._tape.doubt is None:
            self._retry_wait_ns = RETRY_MIN_NS

    def _lose(self, step: Step, loss: Loss, now_ns: int) -> None:
        """Give up what does not come; what came in between is decoded by the books that begin anew."""
        is_late_start = loss.first == FIRST and self._tape.is_catching_up and not self._tape.is_telling_again
        state = State.UNVERIFIED if is_late_start else State.GAP
        step.bury(f"MoldUDP64: {loss.missing} messages from {loss.first} to {loss.last} are lost: {loss.reason}", b"")
        next_seq = loss.last + 1
        self._tape.lose(step, state, missing=loss.missing, next_seq=next_seq, ts_recv=now_ns)
        self._repair_ns, self._missing = 0, 0
        for _, first, last, _ in self._arbiter.holes():
            if first > loss.last:
                break
            self._blocks.extend(self._arbiter.skip(UNIT, min(last, loss.last)))
        self._decode_all(step, now_ns)
        self._recovery.look(self._arbiter.holes(), now_ns)
        self._retry_later(now_ns)

    def _retry_later(self, now_ns: int) -> None:
        """Ask again later, if there is anybody to ask and the session is not too long to be told again."""
        can_ask = self._config.rerequest is not None
        if can_ask and self._arbiter.unit(UNIT)["expected"] - FIRST <= self._config.join_range_max:
            self._retry_ns = now_ns + self._retry_wait_ns
            self._retry_wait_ns = min(2 * self._retry_wait_ns, RETRY_MAX_NS)
        else:
            self._retry_ns = 0

    def _retry(self, step: Step, now_ns: int) -> None:
        """Ask for the first message: that it comes says that the server answers, and what waits is not held up."""
        step.send.append((REREQUEST, mold.request(self._session, FIRST, 1)))
        self._retry_later(now_ns)

    def _contradict(self, step: Step, now_ns: int) -> None:
        """Messages contradict the books or each other: soon all is told again, from the first message on."""
        if self._repair_ns or self._tape.doubt is not None:
            return
        expected = self._arbiter.unit(UNIT)["expected"]
        self._tape.mark(step, missing=0, next_seq=expected, ts_recv=now_ns)
        if self._config.rerequest is None:
            self._tape.lose(step, State.GAP, missing=0, next_seq=expected, ts_recv=now_ns)
        else:
            self._repair_ns = max(now_ns + SETTLE_NS, self._repeats.next_ns)

    def _tell_again(self, now_ns: int) -> None:
        self._repeats.take(now_ns)
        self._repair_ns = self._retry_ns = 0
        self._arbiter.rewind(UNIT, FIRST, now_ns - self._config.gap_wait_ms * 1_000_000)
        self._epoch += 1
        self._newest_epoch = self._epoch
        self._recovery.forget(UNIT)
        self._tape.tell_again(now_ns)


def _check(feed: str, config: VenueConfig) -> None:
    """Refuse settings that mean nothing here, or more than one thing.

    Raises:
        UsageError: names the key, what was expected and what was found.
    """
    for key in ("username", "password", "session"):
        if getattr(config, key):
            raise UsageError(
                f"feeds.{feed}.{key}: expected nothing, since MoldUDP64 lines have no login, found a value; "
                "it belongs to a SoupBinTCP feed (address)"
            )
    if len(config.lines) > LINES_MAX:
        raise UsageError(f"feeds.{feed}.lines: expected at most {LINES_MAX}, found {len(config.lines)}")
    twice = {line for line in config.lines if config.lines.count(line) > 1}
    if twice:
        raise UsageError(f"feeds.{feed}.lines: expected each line once, found {min(twice)!r} again")
    groups = [_is_group(feed, line) for line in config.lines]
    if config.interface:
        if not any(groups):
            raise UsageError(
                f"feeds.{feed}.interface: expected nothing, since no line is a multicast group, "
                f"found {config.interface!r}"
            )
        _address(f"feeds.{feed}.interface", config.interface)
    if config.rerequest is not None:
        _port(f"feeds.{feed}.rerequest", config.rerequest)
    leasts = {"gap_wait_ms": 0, "gap_timeout_ms": 1, "gap_attempts": 1, "gap_range_max": 0, "join_range_max": 0}
    for key, least in leasts.items():
        if getattr(config, key) < least:
            raise UsageError(f"feeds.{feed}.{key}: expected at least {least}, found {getattr(config, key)}")


def _is_group(feed: str, line: str) -> bool:
    host = _port(f"feeds.{feed}.lines", line)
    return _address(f"feeds.{feed}.lines", host).is_multicast


def _port(key: str, address: str) -> str:
    """Return the host of ``host:port``."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise UsageError(f"{key}: expected host:port, found {address!r}")
    return host.strip("[]")


def _address(key: str, host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(host)
    except ValueError as wrong:
        raise UsageError(f"{key}: expected a numeric address, found {host!r}") from wrong
