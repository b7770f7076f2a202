"""The FIX 4.4 session of one connection, the acceptor's side, without I/O or clock.

Source: FIX 4.4 with errata 20030618, volume 2 (session protocol, test cases included). A peer (SenderCompID) has a
:class:`Ledger` that outlives connections: the next number of either direction and the messages that were sent. Numbers
only begin again with ResetSeqNumFlag (141=Y) or when the exchange loses its memory (:meth:`Ledger.forget`).
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from tickcast.sim.fix.message import Fields, TimeText, frame, joined, parse_timestamp

ADMIN: Final = frozenset("0A12345")
"""Message types of the session itself: never sent again, a gap fill stands for them."""
KNOWN: Final = frozenset((*"BCDEFGHJKLMNPQRSTVWXYZabcdefghijklmnopqrstuvwxyz", "AA", "AB", "AC", "BA", "BB", "BH"))
"""Types of FIX 4.4 that exist and this exchange may not take."""
_SECOND: Final = 1_000_000_000
_PATIENCE_NS: Final = 10 * _SECOND
"""For the first logon, and for the answer to a logout."""


class Kept(NamedTuple):
    """An application message that was sent: enough to send it again."""

    msg_type: str
    sent: str
    text: str


class Ledger:
    """What is known of a peer beyond one connection: sequence numbers, and a bounded store of what was sent."""

    def __init__(self, *, messages_max: int, bytes_max: int) -> None:
        self.next_in = self.next_out = 1
        self.bytes = self.dropped = 0
        self._messages_max, self._bytes_max = messages_max, bytes_max
        self._kept: deque[Kept | None] = deque()

    def forget(self) -> None:
        """Begin at 1 in both directions, with nothing kept."""
        self.next_in = self.next_out = 1
        self.bytes = 0
        self._kept.clear()

    def take(self, kept: Kept | None) -> int:
        """Give the next number to a message and keep it; None for one that is never sent again."""
        number = self.next_out
        self.next_out += 1
        self._kept.append(kept)
        self.bytes += 0 if kept is None else len(kept.text)
        while len(self._kept) > self._messages_max or self.bytes > self._bytes_max:
            oldest = self._kept.popleft()
            self.bytes -= 0 if oldest is None else len(oldest.text)
            self.dropped += 1
        return number

    def kept(self, first: int, last: int) -> list[Kept | None]:
        """What was sent with these numbers; None = nothing to send again."""
        oldest = self.next_out - len(self._kept)
        return [self._kept[number - oldest] if number >= oldest else None for number in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the session asks of its peer."""

    comp_id: str
    username: str = ""
    password: str = ""
    resend: Literal["messages", "gap_fill"] = "messages"
    time_digits: int = 9
    clock_error_max_s: float = 120.0
    heartbeat_max_s: int = 3600


@dataclass(slots=True)
class Message:
    """A message of the peer; ``first`` has the first value of every tag."""

    fields: Fields
    first: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Index the fields."""
        for tag, value in self.fields:
            self.first.setdefault(tag, value)

    def number(self, tag: int) -> int | None:
        """A tag's value as a whole number of up to 18 digits; None if it is none."""
        text = self.first.get(tag, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


class SessionEndedError(Exception):
    """The connection is to be closed when what was written has gone; says why."""


class Session:
    """One connection: give it messages and the time, send what gathers in ``out``."""

    def __init__(
        self,
        rules: Rules,
        *,
        ledger_of: Callable[[str], Ledger],
        refuses: Callable[[], bool] = lambda: False,
        now_ns: int,
        offset_ns: Callable[[], int] = lambda: 0,
    ) -> None:
        """``ledger_of`` finds a peer's ledger; ``refuses`` says whether to refuse a logon; ``offset_ns`` errs."""
        self.peer = ""
        self.ledger: Ledger | None = None
        self.logged_on = False
        self.out: list[bytes] = []
        self.counters = {"rejects": 0, "resends": 0, "resend_requests": 0, "rejected_logons": 0}
        self._rules = rules
        self._ledger_of = ledger_of
        self._refuses = refuses
        self._offset_ns = offset_ns
        self._times = TimeText(rules.time_digits)
        self._heartbeat_ns = 0
        self._heard_ns = self._sent_ns = self._began_ns = now_ns
        self._tested = False
        self._logout_ns = 0
        self._filling_to = 0

    # ------------------------------------------------------------------ sending

    def send(self, msg_type: str, text: str, now_ns: int) -> None:
        """Send a message: ``text`` is every field behind the header."""
        assert self.ledger is not None  # noqa: S101  nothing is sent to an unknown peer
        sent = self._times.timestamp(now_ns + self._offset_ns())
        number = self.ledger.take(None if msg_type in ADMIN else Kept(msg_type, sent, text))
        comp_id, peer = self._rules.comp_id, self.peer
        self.out.append(
            frame(f"35={msg_type}\x0149={comp_id}\x0156={peer}\x0134={number}\x0152={sent}\x01{text}"),
        )
        self._sent_ns = now_ns

    def logout(self, reason: str, now_ns: int) -> None:
        """Say goodbye and wait for the answer."""
        self.send("5", joined([(58, reason)]) if reason else "", now_ns)
        self._logout_ns = now_ns

    def _end(self, reason: str, now_ns: int) -> SessionEndedError:
        self.send("5", joined([(58, reason)]), now_ns)
        return SessionEndedError(reason)

    def reject(self, message: Message, reason: int, text: str, now_ns: int, *, tag: int = 0) -> None:
        """Session-level Reject (35=3)."""
        self.counters["rejects"] += 1
        fields: list[tuple[int, object]] = [(45, message.first.get(34, "0"))]
        if tag:
            fields.append((371, tag))
        self.send("3", joined([*fields, (372, message.first[35]), (373, reason), (58, text)]), now_ns)

    def refuse(self, message: Message, reason: int, text: str, now_ns: int) -> None:
        """Business Message Reject (35=j)."""
        self.counters["rejects"] += 1
        fields = [(45, message.first[34]), (372, message.first[35]), (380, reason), (58, text)]
        self.send("j", joined(fields), now_ns)

    # ------------------------------------------------------------------ time

    def wake(self, now_ns: int) -> None:
        """Heartbeats, test requests and limits; call it several times a second.

        Raises:
            SessionEndedError: the peer is silent, never logged on or does not answer a logout.
        """
        if not self.logged_on:
            if now_ns - self._began_ns > _PATIENCE_NS:
                raise SessionEndedError("no logon")
            return
        if self._logout_ns and now_ns - self._logout_ns > _PATIENCE_NS:
            raise SessionEndedError("no answer to logout")
        if not self._heartbeat_ns:
            return
        if now_ns - self._sent_ns >= self._heartbeat_ns:
            self.send("0", "", now_ns)
        silent = now_ns - self._heard_ns
        if silent > 2.4 * self._heartbeat_ns:
            raise SessionEndedError("silent")
        if silent > 1.2 * self._heartbeat_ns and not self._tested:
            self._tested = True
            self.send("1", joined([(112, f"TEST{self._heard_ns}")]), now_ns)

    # ------------------------------------------------------------------ receiving

    def receive(self, fields: Fields, now_ns: int) -> Message | None:
        """Take one message; returns it if it is one for the application.

        Raises:
            SessionEndedError: close the connection when ``out`` is sent.
        """
        message = Message(fields)
        self._heard_ns, self._tested = now_ns, False
        if not self.logged_on:
            self._logon(message, now_ns)
            return None
        assert self.ledger is not None  # noqa: S101  a logged-on session has one
        if (number := self._number(message, now_ns)) is None:
            return None
        kind = message.first[35]
        if kind == "4":
            self._sequence_reset(message, number, now_ns)
            return None
        if kind == "2" and number >= self.ledger.next_in:
            # answered even if it came too early, or two sides that both miss something wait for each other for ever
            self._resend(message, now_ns)
        if number > self.ledger.next_in:
            self._ask_again(number, now_ns)
            return None
        if number < self.ledger.next_in:
            self._too_low(message, number, now_ns)
            return None
        self.ledger.next_in += 1
        return self._in_order(message, kind, now_ns)

    def _in_order(self, message: Message, kind: str, now_ns: int) -> Message | None:
        if kind in {"0", "3", "2"}:
            return None
        if kind == "1":
            if 112 not in message.first:
                self.reject(message, 1, "Required tag missing", now_ns, tag=112)
            else:
                self.send("0", joined([(112, message.first[112])]), now_ns)
            return None
        if kind == "5":
            if not self._logout_ns:
                self.send("5", "", now_ns)
            raise SessionEndedError("logout")
        if kind == "A":
            raise self._end("a second logon", now_ns)
        if kind not in KNOWN:
            self.reject(message, 11, "Invalid MsgType", now_ns, tag=35)
            return None
        return message

    def _number(self, message: Message, now_ns: int) -> int | None:
        """Check the header (volume 1, standard header); the sequence number, None if the message was rejected."""
        first = message.first
        number = message.number(34)
        if number is None:
            raise self._end("expected MsgSeqNum (34), found none", now_ns)
        if first.get(49) != self.peer or first.get(56) != self._rules.comp_id:
            self.reject(message, 9, "CompID problem", now_ns)
            raise self._end("CompID problem", now_ns)
        if first.get(43) == "Y" and 122 not in first and first[35] != "4":
            self._rejected_in_order(message, number, 1, "Required tag missing", now_ns, tag=122)
            return None
        try:
            sent = parse_timestamp(first[52])
        except (KeyError, ValueError):
            reason, text = (6, "Incorrect data format for value") if 52 in first else (1, "Required tag missing")
            self._rejected_in_order(message, number, reason, text, now_ns, tag=52)
            return None
        if 0 < self._rules.clock_error_max_s < abs(sent - now_ns) / _SECOND:
            self.reject(message, 10, "SendingTime accuracy problem", now_ns, tag=52)
            raise self._end("SendingTime accuracy problem", now_ns)
        return number

    def _rejected_in_order(
        self, message: Message, number: int, reason: int, text: str, now_ns: int, *, tag: int
    ) -> None:
        """Reject a message that keeps its place in the sequence."""
        assert self.ledger is not None  # noqa: S101
        if number == self.ledger.next_in:
            self.ledger.next_in += 1
        self.reject(message, reason, text, now_ns, tag=tag)

    def _too_low(self, message: Message, number: int, now_ns: int) -> None:
        assert self.ledger is not None  # noqa: S101
        if message.first.get(43) != "Y":
            raise self._end(
                f"MsgSeqNum too low, expecting {self.ledger.next_in} but received {number}",
                now_ns,
            )

    def _ask_again(self, number: int, now_ns: int) -> None:
        """Ask for what is missing, once until it has come; what came too early comes again with it."""
        assert self.ledger is not None  # noqa: S101
        if self.ledger.next_in <= self._filling_to:
            return
        self._filling_to = number
        self.counters["resend_requests"] += 1
        self.send("2", joined([(7, self.ledger.next_in), (16, 0)]), now_ns)

    def _sequence_reset(self, message: Message, number: int, now_ns: int) -> None:
        assert self.ledger is not None  # noqa: S101
        new, ledger = message.number(36), self.ledger
        if message.first.get(123) == "Y":
            if number > ledger.next_in:
                self._ask_again(number, now_ns)
                return
            if number < ledger.next_in:
                self._too_low(message, number, now_ns)
                return
        if new is None or new <= ledger.next_in - (message.first.get(123) != "Y"):
            text = f"expected NewSeqNo (36) above {ledger.next_in}, found {message.first.get(36)}"
            self._rejected_in_order(message, number, 5, text, now_ns, tag=36)
            return
        ledger.next_in = new

    # ------------------------------------------------------------------ logon

    def _logon(self, message: Message, now_ns: int) -> None:
        first = message.first
        peer, number, heartbeat = first.get(49, ""), message.number(34), message.number(108)
        if first[35] != "A" or not peer or number is None:
            raise SessionEndedError("expected a logon first")
        self.peer, self.ledger = peer, self._ledger_of(peer)
        reset = first.get(141) == "Y"
        if wrong := self._why_not(message, heartbeat):
            self.counters["rejected_logons"] += 1
            if number == self.ledger.next_in:
                self.ledger.next_in += 1
            raise self._end(wrong, now_ns)
        if reset:
            self.ledger.forget()
        if number < self.ledger.next_in and first.get(43) != "Y":
            self.counters["rejected_logons"] += 1
            self._too_low(message, number, now_ns)
        self.logged_on = True
        self._heartbeat_ns = (heartbeat or 0) * _SECOND
        answer: list[tuple[int, object]] = [(98, 0), (108, heartbeat), *([(141, "Y")] if reset else [])]
        self.send("A", joined(answer), now_ns)
        if number > self.ledger.next_in:
            self._ask_again(number, now_ns)
        else:
            self.ledger.next_in = number + 1

    def _why_not(self, message: Message, heartbeat: int | None) -> str:
        """What stands against a logon; empty = nothing."""
        rules, first = self._rules, message.first
        checks = (
            (self._refuses(), "Logon refused"),
            (first.get(56) != rules.comp_id, f"expected TargetCompID {rules.comp_id}"),
            (
                bool(rules.username) and (first.get(553), first.get(554)) != (rules.username, rules.password),
                "Username or password unknown",
            ),
            (first.get(98) != "0", "expected EncryptMethod (98) 0"),
            (
                heartbeat is None or heartbeat > rules.heartbeat_max_s,
                f"expected HeartBtInt (108) of 0 to {rules.heartbeat_max_s} s",
            ),
            (
                first.get(141) == "Y" and message.number(34) != 1,
                "expected MsgSeqNum 1 with ResetSeqNumFlag",
            ),
        )
        return next((text for wrong, text in checks if wrong), "")

    # ------------------------------------------------------------------ sending again

    def _resend(self, message: Message, now_ns: int) -> None:
        """Answer a resend request: application messages again, gap fills for everything else."""
        assert self.ledger is not None  # noqa: S101
        begin, end, last = message.number(7), message.number(16), self.ledger.next_out - 1
        if begin is None or end is None or not 0 < begin <= last or 0 < end < begin:
            text = f"expected a range within 1 to {last}, found {message.first.get(7)} to {message.first.get(16)}"
            self.reject(message, 5, text, now_ns, tag=7)
            return
        end = min(end, last) or last
        self.counters["resends"] += 1
        gap = 0
        for number, kept in enumerate(self.ledger.kept(begin, end), begin):
            if kept is None or self._rules.resend == "gap_fill":
                gap = gap or number
                continue
            if gap:
                self._again(gap, "4", self._gap_fill(number), now_ns, "")
                gap = 0
            self._again(number, kept.msg_type, kept.text, now_ns, kept.sent)
        if gap:
            self._again(gap, "4", self._gap_fill(end + 1), now_ns, "")

    @staticmethod
    def _gap_fill(new: int) -> str:
        return joined([(123, "Y"), (36, new)])

    def _again(self, number: int, msg_type: str, text: str, now_ns: int, first_sent: str) -> None:
        sent = self._times.timestamp(now_ns + self._offset_ns())
        comp_id, peer = self._rules.comp_id, self.peer
        self.out.append(
            frame(
                f"35={msg_type}\x0149={comp_id}\x0156={peer}\x0134={number}\x0143=Y\x0152={sent}\x01"
                f"122={first_sent or sent}\x01{text}"
            )
        )
        self._sent_ns = now_ns
