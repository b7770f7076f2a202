"""FIX 4.4 session, initiator: a pure state machine.

Theory. Each side numbers its messages from 1, over connections and days. A receiver takes each number exactly once, in
order:

- a number that is expected is taken; a higher one shows a hole: the message waits, and the hole is asked for with a
  ResendRequest (in pieces); what the peer sends again carries PossDupFlag;
- what the peer does not send again it fills with SequenceReset-GapFill: those messages are lost, which is told;
- a lower number with PossDupFlag is a repeat and left out; without it the peer has begun anew without saying so: fatal;
- ResetSeqNumFlag on a Logon, of either side, sets both sides to 1; SequenceReset-Reset moves the expected number on.

``closed`` -> (connection opens: Logon sent) ``logon`` -> (answered) ``open`` -> (Logout sent) ``logout`` -> ``closed``.
The numbers outlive connections and, by :attr:`Turn.keep`, processes. Nothing is delivered twice, nothing is left out
without a :class:`~tickcast.venues.fix.happenings.Lost`.

Source: FIX 4.4 with errata 20030618, volume 2 "FIX session protocol", and FIX Session Layer test cases (FIX 4.4).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from tickcast import _native
from tickcast.venues.fix import messages
from tickcast.venues.fix.happenings import Delivered, Filled, Hole, LoggedOn, Lost, Rejected, Turn
from tickcast.venues.fix.incoming import Waiting
from tickcast.venues.fix.messages import SECOND_NS

EXPECTING: Final = re.compile(r"expect\w*\D{0,20}(\d+)", re.IGNORECASE)
"""The number in a Logout's text such as ``MsgSeqNum too low, expecting 57 but received 3``."""
TOO_LOW: Final = "MsgSeqNum too low"
REFUSALS: Final = frozenset({"3", "5", "6", "7", "8"})
"""SessionStatus (1409) of a Logout that will be the same next time: passwords, locked account, not allowed now."""
REFUSED_WORDS: Final = ("password", "username", "credential", "authoris", "authoriz", "permission", "not allowed")
SENT_MAX: Final = 1_000
"""Application messages that are kept in case the peer asks for them again."""
KEEP_NS: Final = SECOND_NS
"""What was received is written down at most so often; what was sent at once."""

Phase = Literal["closed", "logon", "open", "logout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the two sides agreed upon."""

    sender: str
    target: str
    username: str = ""
    password: str = ""
    heartbeat_s: int = 30
    reset_on_logon: bool = False
    answer_ns: int = 10 * SECOND_NS
    """A Logon or Logout is answered within this time."""
    resend_ns: int = 2 * SECOND_NS
    """A ResendRequest shows progress within this time or is repeated."""
    resend_attempts: int = 3
    resend_chunk: int = 2_500
    """Messages asked for at a time."""
    waiting_max: int = 16_777_216
    """Bytes that may wait behind a hole; beyond it the hole is given up."""
    sending_time_max_s: int = 0
    """SendingTime (52) may be off by so much; 0 = is not looked at."""


class Kept(msgspec.Struct, frozen=True):
    """What outlives the process."""

    sender: str
    target: str
    next_in: int
    next_out: int


@dataclass(frozen=True, slots=True)
class Sent:
    """An application message of ours."""

    msg_type: str
    fields: messages.Fields
    sent_ns: int


class FixSession:
    """See the module."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._heartbeat_ns = settings.heartbeat_s * SECOND_NS
        self.phase: Phase = "closed"
        self.next_in = 1
        """Number of the next message of the peer."""
        self.next_out = 1
        """Number of our next message."""
        self._reset_next = False
        """The numbers do not fit: the next Logon asks for a reset."""
        self._asked_reset = False
        self._waiting = Waiting()
        self._holed = False
        self._asked = (0, 0)
        self._asked_ns = 0
        self._attempts = 0
        self._sent: dict[int, Sent] = {}
        self._sent_ns = 0
        self._heard_ns = 0
        self._since_ns = 0
        """When the phase began."""
        self._tested_ns = 0
        """When a TestRequest went out that is not answered; 0 = none."""
        self._kept = Kept(settings.sender, settings.target, 1, 1)
        self._kept_ns = 0

    # ------------------------------------------------------------------ what outlives the process

    def restore(self, kept: bytes) -> bool:
        """Take up the numbers of an earlier process; False = they are damaged or another session's."""
        try:
            state = msgspec.json.decode(kept, type=Kept)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        if (state.sender, state.target) != (self._settings.sender, self._settings.target):
            return False
        if state.next_in < 1 or state.next_out < 1:
            return False
        self.next_in, self.next_out, self._kept = state.next_in, state.next_out, state
        return True

    def _keep(self, turn: Turn, now_ns: int) -> Turn:
        state = Kept(self._settings.sender, self._settings.target, self.next_in, self.next_out)
        due = state.next_out != self._kept.next_out or turn.is_ended() or now_ns - self._kept_ns >= KEEP_NS
        if state != self._kept and due:
            self._kept, self._kept_ns = state, now_ns
            turn.keep = msgspec.json.encode(state)
        return turn

    # ------------------------------------------------------------------ the connection

    def opened(self, now_ns: int) -> Turn:
        """Log on."""
        turn = Turn()
        self._phase("logon", now_ns)
        self._forget_hole()
        self._heard_ns, self._tested_ns = now_ns, 0
        self._asked_reset = self._settings.reset_on_logon or self._reset_next
        self._reset_next = False
        if self._asked_reset:
            self.next_in = self.next_out = 1
        self._sent.clear()  # requests of an earlier connection are asked anew
        self._send_logon(turn, now_ns, reset=self._asked_reset)
        return self._keep(turn, now_ns)

    def closed(self, now_ns: int) -> Turn:
        """The connection is gone; the numbers stay."""
        self._phase("closed", now_ns)
        self._forget_hole()
        turn = Turn(drop="the connection is closed")
        self._keep(turn, now_ns)
        return Turn(keep=turn.keep)

    def logout(self, now_ns: int, text: str = "") -> Turn:
        """Begin the orderly end: the peer answers, then the connection is dropped."""
        turn = Turn()
        if self.phase == "open":
            self._send_logout(turn, now_ns, text)
        return self._keep(turn, now_ns)

    def send(self, msg_type: str, fields: messages.Fields, now_ns: int) -> Turn:
        """Send an application message; kept in case the peer asks for it again."""
        turn = Turn()
        if self.phase == "open":
            self._sent[self.next_out] = Sent(msg_type, tuple(fields), now_ns)
            while len(self._sent) > SENT_MAX:
                del self._sent[next(iter(self._sent))]
            self._send(turn, msg_type, fields, now_ns)
        return self._keep(turn, now_ns)

    # ------------------------------------------------------------------ time

    @property
    def wake_ns(self) -> int:
        """When :meth:`wake` has something to do; 0 = never."""
        due: list[int] = []
        if self.phase in {"logon", "logout"}:
            due.append(self._since_ns + self._settings.answer_ns)
        if self.phase == "open":
            if self._heartbeat_ns:
                silent_ns = self._tested_ns or self._heard_ns + self._heartbeat_ns // 5
                due += [self._sent_ns + self._heartbeat_ns, silent_ns + self._heartbeat_ns]
            if self._holed:
                due.append(self._asked_ns + self._settings.resend_ns)
        return min(due, default=0)

    def wake(self, now_ns: int) -> Turn:
        """Send heartbeats, test a silent peer, ask again."""
        turn = Turn()
        if self.phase in {"logon", "logout"} and now_ns - self._since_ns >= self._settings.answer_ns:
            turn.drop = f"no answer to our {self.phase} within {self._settings.answer_ns / SECOND_NS:g} s"
        elif self.phase == "open":
            if self._heartbeat_ns:
                self._watch(turn, now_ns)
            if self._holed and not turn.is_ended() and now_ns - self._asked_ns >= self._settings.resend_ns:
                self._ask_again(turn, now_ns)
        return self._keep(turn, now_ns)

    def _watch(self, turn: Turn, now_ns: int) -> None:
        if self._tested_ns:
            if now_ns - self._tested_ns >= self._heartbeat_ns:
                turn.drop = "the peer is silent and does not answer a TestRequest"
                return
        elif now_ns - self._heard_ns >= self._heartbeat_ns + self._heartbeat_ns // 5:
            self._tested_ns = now_ns
            self._send(turn, messages.TEST_REQUEST, [(112, messages.time_text(now_ns))], now_ns)
        if now_ns - self._sent_ns >= self._heartbeat_ns:
            self._send(turn, messages.HEARTBEAT, [], now_ns)

    # ------------------------------------------------------------------ what comes in

    def received(self, frames: "_native.FixFrames", now_ns: int) -> Turn:
        """Take what was split off the stream. Damaged messages are ignored: their numbers are missing then."""
        turn = Turn()
        turn.dead.extend((f"FIX: {reason}", raw) for _, reason, raw, _ in frames.damaged)
        for run in frames.runs:
            if self.phase == "closed" or turn.is_ended():
                break
            self._heard_ns, self._tested_ns = now_ns, 0
            self._take(turn, run, now_ns)
        return self._keep(turn, now_ns)

    def _take(self, turn: Turn, run: "_native.FixRun", now_ns: int) -> None:
        settings = self._settings
        if run.begin != messages.BEGIN:
            self._fatal(turn, run, now_ns, f"expected BeginString {messages.BEGIN}, found {run.begin[:16]!r}")
        elif (run.sender, run.target) != (settings.target, settings.sender):
            self._reject(turn, run, now_ns, reason=9, text="CompID problem")
            self._fatal(turn, run, now_ns, f"wrong CompID: {run.sender[:32]!r} to {run.target[:32]!r}")
        elif not run.first_seq:
            self._fatal(turn, run, now_ns, "MsgSeqNum missing")
        elif self._is_late(run, now_ns):
            self._reject(turn, run, now_ns, reason=10, text="SendingTime accuracy problem")
            self._fatal(turn, run, now_ns, "SendingTime accuracy problem")
        elif run.msg_type == messages.LOGON:
            self._on_logon(turn, run, now_ns)
        elif self.phase == "logon":
            self._before_logon(turn, run, now_ns)
        elif run.msg_type == messages.SEQUENCE_RESET and messages.read(run.raw).get(123) != "Y":
            self._on_reset(turn, run, now_ns)
        else:
            self._in_order(turn, run, now_ns)

    def _is_late(self, run: "_native.FixRun", now_ns: int) -> bool:
        allowed_ns = self._settings.sending_time_max_s * SECOND_NS
        if not allowed_ns or not run.sending_min_ns:
            return False
        return run.sending_min_ns < now_ns - allowed_ns or run.sending_max_ns > now_ns + allowed_ns

    def _in_order(self, turn: Turn, run: "_native.FixRun", now_ns: int) -> None:
        first, last = run.first_seq, run.first_seq + run.count - 1
        if first < self.next_in:
            if not run.poss_dup:
                self._too_low(turn, run, now_ns)
            return
        if run.poss_dup and not self._original_time_fits(turn, run, now_ns):
            return
        if first == self.next_in:
            self._apply(turn, run, now_ns, delayed=False)
        else:
            self._ahead(turn, run, last, now_ns)
        self._settle(turn, now_ns)

    def _original_time_fits(self, turn: Turn, run: "_native.FixRun", now_ns: int) -> bool:
        """A repeat says when it was first sent (122), not after this time; else it is rejected and taken as seen.

        GapFills are excepted: they stand for others and were not sent before.
        """
        original = messages.read(run.raw).get(122)
        if original is None and run.msg_type == messages.SEQUENCE_RESET:
            return True
        original_ns = _native.fix_time(original) if original else None
        if original_ns is not None and original_ns <= run.sending_max_ns:
            return True
        reason, text = (1, "Required tag missing") if original is None else (10, "SendingTime accuracy problem")
        self._reject(turn, run, now_ns, reason=reason, text=text, tag=122)
        turn.dead.append((f"FIX: a repeat whose OrigSendingTime (122) is {original!r}", run.raw))
        if run.first_seq == self.next_in:
            turn.happenings.append(Lost(run.first_seq, run.first_seq, "a repeat without its original time"))
            self.next_in += run.count
            self._settle(turn, now_ns)
        return False

    def _ahead(self, turn: Turn, run: "_native.FixRun", last: int, now_ns: int) -> None:
        """A number beyond the next one: what cannot wait is done at once, the rest when its turn comes."""
        if run.msg_type == messages.LOGOUT:
            self._on_logout(turn, run, now_ns)
            return
        if not self._waiting.add(run, last):
            return  # had before
        if run.msg_type in {messages.RESEND_REQUEST, messages.TEST_REQUEST}:
            self._apply_admin(turn, run, now_ns)  # both sides asking would wait for each other
        if self._waiting.size > self._settings.waiting_max:
            self._give_up(turn, "too much waits behind a hole")

    # ------------------------------------------------------------------ in order

    def _apply(self, turn: Turn, run: "_native.FixRun", now_ns: int, *, delayed: bool) -> None:
        """Take the next message. ``delayed``: it waited, and was answered already if that could not wait."""
        if run.msg_type == messages.SEQUENCE_RESET:
            self._on_gap_fill(turn, run, now_ns)
            return
        self.next_in += run.count
        self._asked_ns = now_ns  # progress
        if run.msg_type not in messages.ADMIN:
            turn.happenings.append(Delivered(run, resent=run.poss_dup))
        elif not (delayed and run.msg_type in {messages.RESEND_REQUEST, messages.TEST_REQUEST}):
            self._apply_admin(turn, run, now_ns)

    def _apply_admin(self, turn: Turn, run: "_native.FixRun", now_ns: int) -> None:
        fields = messages.read(run.raw)
        if run.msg_type == messages.TEST_REQUEST:
            self._send(turn, messages.HEARTBEAT, [(112, fields.get(112, ""))], now_ns)
        elif run.msg_type == messages.RESEND_REQUEST:
            self._on_resend_request(turn, run, fields, now_ns)
        elif run.msg_type == messages.LOGOUT:
            self._on_logout(turn, run, now_ns)
        elif run.msg_type == messages.REJECT:
            number = fields.get(45, "")
            seq = int(number) if number.isascii() and number.isdigit() else 0
            turn.happenings.append(Rejected(seq, fields.get(372, ""), fields.get(58, "")))

    def _settle(self, turn: Turn, now_ns: int) -> None:
        """Take what waited for this, and look whether a hole is left."""
        if turn.is_ended() or self.phase not in {"open", "logout"}:
            return
        while (item := self._waiting.pop(self.next_in)) is not None:
            if item.run is None:
                self.next_in = item.last + 1
            else:
                self._apply(turn, item.run, now_ns, delayed=True)
            if turn.is_ended():
                return
        if not self._waiting.first:
            if self._holed:
                self._forget_hole()
                turn.happenings.append(Filled())
            return
        if not self._holed:
            self._holed = True
            turn.happenings.append(Hole(self.next_in, self._waiting.first - 1))
        if not self._asked[0] <= self.next_in <= self._asked[1]:
            self._attempts = 0
            self._ask(turn, now_ns)

    def _ask(self, turn: Turn, now_ns: int) -> None:
        last = min(self._waiting.first - 1, self.next_in + self._settings.resend_chunk - 1)
        self._asked, self._asked_ns = (self.next_in, last), now_ns
        self._attempts += 1
        self._send(turn, messages.RESEND_REQUEST, [(7, str(self.next_in)), (16, str(last))], now_ns)

    def _ask_again(self, turn: Turn, now_ns: int) -> None:
        if self._attempts < self._settings.resend_attempts:
            self._ask(turn, now_ns)
            return
        self._give_up(turn, "the peer does not answer our ResendRequest")
        self._settle(turn, now_ns)

    def _give_up(self, turn: Turn, reason: str) -> None:
        last = self._waiting.first - 1
        turn.happenings.append(Lost(self.next_in, last, reason))
        self.next_in = last + 1

    def _forget_hole(self) -> None:
        self._waiting.clear()
        self._holed = False
        self._asked = (0, 0)

    # ------------------------------------------------------------------ session messages

    def _on_logon(self, turn: Turn, run: "_native.FixRun", now_ns: int) -> None:
        fields = messages.read(run.raw)
        reset = fields.get(141) == "Y"
        if self.phase == "logout" or (self.phase == "open" and not reset):
            self._in_order(turn, run, now_ns)  # a repeat, or out of place: its number counts
            return
        if reset and run.first_seq != 1:
            self._fatal(turn, run, now_ns, f"a Logon with ResetSeqNumFlag has MsgSeqNum {run.first_seq}, not 1")
            return
        heartbeat = fields.get(108, "")
        if not (heartbeat.isascii() and heartbeat.isdigit() and len(heartbeat) < 6):
            self._fatal(turn, run, now_ns, "a Logon without HeartBtInt")
            return
        self._heartbeat_ns = int(heartbeat) * SECOND_NS
        asked = self.phase == "logon"
        if reset and not (asked and self._asked_reset):
            self._begin_anew()
            if asked:
                self.next_out = 2  # the peer counts our Logon as the first
            else:
                self._send_logon(turn, now_ns, reset=True)
        if run.first_seq < self.next_in:
            self._reset_next = True
            self._too_low(turn, run, now_ns)
            return
        self._phase("open", now_ns)
        turn.happenings.append(LoggedOn(reset=reset or self._asked_reset))
        self._asked_reset = False
        if run.first_seq == self.next_in:
            self.next_in += 1
        else:
            self._waiting.add(None, run.first_seq)
        self._settle(turn, now_ns)

    def _before_logon(self, turn: Turn, run: "_native.FixRun", now_ns: int) -> None:
        """The peer answers a Logon with something else."""
        if run.msg_type != messages.LOGOUT:
            self._fatal(turn, run, now_ns, f"expected an answer to our Logon, found MsgType {run.msg_type[:8]!r}")
            return
        fields = messages.read(run.raw)
        text = fields.get(58, "")
        reason = f"the logon is refused: {text or 'without a reason'}"
        if fields.get(1409) == "9" or "too low" in text.lower():
            number = EXPECTING.search(text)
            if number:
                self.next_out = int(number[1])
            else:
                self._reset_next = True
            turn.drop = reason
        elif fields.get(1409) in REFUSALS or any(word in text.lower() for word in REFUSED_WORDS):
            turn.refused = reason
        else:
            turn.drop = reason
        if run.first_seq == self.next_in:
            self.next_in += 1
        self._phase("closed", now_ns)

    def _on_logout(self, turn: Turn, run: "_native.FixRun", now_ns: int) -> None:
        text = messages.read(run.raw).get(58, "")
        if self.phase == "open":
            self._send(turn, messages.LOGOUT, [], now_ns)
            turn.drop = f"the peer logs out: {text or 'without a reason'}"
        else:
            turn.drop = "logged out"
        self._phase("closed", now_ns)

    def _on_reset(self, turn: Turn, run: "_native.FixRun", now_ns: int) -> None:
        """SequenceReset-Reset: whatever its own number, the next one is NewSeqNo (36)."""
        new = _number(messages.read(run.raw).get(36))
        if new is None or new < self.next_in:
            self._reject(turn, run, now_ns, reason=5, text="Value is incorrect (out of range)", tag=36)
            turn.dead.append((f"FIX: a SequenceReset to {new}, expected {self.next_in} or more", run.raw))
            return
        self._skip_to(turn, new, "the peer reset its sequence", now_ns)
        self._settle(turn, now_ns)

    def _on_gap_fill(self, turn: Turn, run: "_native.FixRun", now_ns: int) -> None:
        new = _number(messages.read(run.raw).get(36))
        if new is None or new <= run.first_seq:
            self._reject(turn, run, now_ns, reason=5, text="Value is incorrect (out of range)", tag=36)
            turn.dead.append((f"FIX: a GapFill from {run.first_seq} to {new}", run.raw))
            turn.happenings.append(Lost(self.next_in, self.next_in, "a GapFill that goes nowhere"))
            self.next_in += 1
            return
        self._skip_to(turn, new, "the peer does not send them again", now_ns)

    def _skip_to(self, turn: Turn, new: int, reason: str, now_ns: int) -> None:
        """Messages before ``new`` do not come; those of them that wait here already have come."""
        self._asked_ns = now_ns
        while self.next_in < new and not turn.is_ended():
            item = self._waiting.pop(self.next_in)
            if item is not None and item.run is not None:
                self._apply(turn, item.run, now_ns, delayed=True)
            elif item is not None:
                self.next_in = item.last + 1
            else:
                last = min(new, self._waiting.first or new) - 1
                turn.happenings.append(Lost(self.next_in, last, reason))
                self.next_in = last + 1

    def _on_resend_request(self, turn: Turn, run: "_native.FixRun", fields: Mapping[int, str], now_ns: int) -> None:
        """Send application messages again and fill in for the rest; 16=0 (or beyond) means all there are."""
        first, last = _number(fields.get(7)), _number(fields.get(16))
        newest = self.next_out - 1
        if first is None or last is None or first < 1 or first > newest:
            self._reject(turn, run, now_ns, reason=5, text="Value is incorrect (out of range)", tag=7)
            return
        last = newest if last == 0 or last > newest else last
        seq = first
        while seq <= last:
            sent = self._sent.get(seq)
            end = seq
            if sent is not None:
                self._raw(turn, sent.msg_type, sent.fields, now_ns, seq=seq, original_ns=sent.sent_ns)
            else:
                while end < last and end + 1 not in self._sent:
                    end += 1
                fill = [(123, "Y"), (36, str(end + 1))]
                self._raw(turn, messages.SEQUENCE_RESET, fill, now_ns, seq=seq, original_ns=now_ns)
            seq = end + 1

    def _too_low(self, turn: Turn, run: "_native.FixRun", now_ns: int) -> None:
        text = f"{TOO_LOW}, expecting {self.next_in} but received {run.first_seq}"
        self._fatal(turn, run, now_ns, text)

    def _fatal(self, turn: Turn, run: "_native.FixRun", now_ns: int, text: str) -> None:
        """Say why, and end the connection without waiting for an answer."""
        turn.dead.append((f"FIX: {text}", run.raw))
        self._send_logout(turn, now_ns, text)
        turn.drop = text
        self._phase("closed", now_ns)

    def _reject(self, turn: Turn, run: "_native.FixRun", now_ns: int, *, reason: int, text: str, tag: int = 0) -> None:
        fields = [(45, str(run.first_seq)), (372, run.msg_type), (373, str(reason)), (58, text)]
        if tag:
            fields.insert(1, (371, str(tag)))
        self._send(turn, messages.REJECT, fields, now_ns)

    # ------------------------------------------------------------------ what goes out

    def _begin_anew(self) -> None:
        self.next_in = self.next_out = 1
        self._sent.clear()
        self._forget_hole()

    def _phase(self, phase: Phase, now_ns: int) -> None:
        self.phase, self._since_ns = phase, now_ns

    def _send_logon(self, turn: Turn, now_ns: int, *, reset: bool) -> None:
        settings = self._settings
        fields = [(98, "0"), (108, str(settings.heartbeat_s))]
        fields += [(141, "Y")] if reset else []
        fields += [(553, settings.username)] if settings.username else []
        fields += [(554, settings.password)] if settings.password else []
        self._send(turn, messages.LOGON, fields, now_ns)

    def _send_logout(self, turn: Turn, now_ns: int, text: str) -> None:
        self._send(turn, messages.LOGOUT, [(58, text)] if text else [], now_ns)
        self._phase("logout", now_ns)

    def _send(self, turn: Turn, msg_type: str, fields: messages.Fields, now_ns: int) -> None:
        self._raw(turn, msg_type, fields, now_ns, seq=self.next_out)
        self.next_out += 1

    def _raw(
        self,
        turn: Turn,
        msg_type: str,
        fields: Sequence[tuple[int, str]],
        now_ns: int,
        *,
        seq: int,
        original_ns: int = 0,
    ) -> None:
        settings = self._settings
        turn.send.append(
            messages.encode(
                msg_type,
                fields,
                seq=seq,
                sender=settings.sender,
                target=settings.target,
                now_ns=now_ns,
                original_ns=original_ns,
            )
        )
        self._sent_ns = now_ns


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) <= 18 else None
