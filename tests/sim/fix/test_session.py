"""The session's rules, one message at a time, on a clock that the test moves."""

from collections.abc import Sequence
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sim.fix_client import Fields, fields

from tickcast.sim.fix.message import TimeText, joined
from tickcast.sim.fix.session import Kept, Ledger, Rules, Session, SessionEndedError

NOW = 1_774_879_200_000_000_000
SECOND = 1_000_000_000
TIMES = TimeText(3)


class Acceptor:
    """A session and the ledger that outlives it."""

    def __init__(self, *, refuses: bool = False, **rules: Any) -> None:
        self.rules = Rules(comp_id="XNYS", **rules)
        self.ledger = Ledger(messages_max=50, bytes_max=100_000)
        self.refuses = refuses
        self.now = NOW
        self.seq = 1
        self.taken = ""
        self.ended = ""
        self.connect()

    def connect(self) -> None:
        self.session = Session(
            self.rules, ledger_of=lambda _: self.ledger, refuses=lambda: self.refuses, now_ns=self.now
        )

    def say(self, kind: str, *pairs: tuple[int, object], **options: Any) -> list[Fields]:
        """One message of the client; returns what the exchange says to it."""
        seq = options.get("seq")
        head: Sequence[tuple[int, object]] = [(35, kind), (49, options.get("sender", "C")), (56, "XNYS")]
        number = self.seq if seq is None else seq
        self.seq += seq is None
        stamp = options.get("ts", TIMES.timestamp(self.now))
        stream = joined([*head, (34, number), *options.get("head", ()), (52, stamp), *pairs])
        found = [(int(tag), value) for tag, _, value in (part.partition("=") for part in stream.split("\x01")[:-1])]
        self.taken = ""
        self.ended = ""
        try:
            message = self.session.receive(found, self.now)
            self.taken = message.first[35] if message else ""
        except SessionEndedError as error:
            self.ended = str(error)
        return self.said()

    def took(self) -> str:
        """Type of the message that the last :meth:`say` brought to the application."""
        return self.taken

    def said(self) -> list[Fields]:
        answers, self.session.out = [fields(raw) for raw in self.session.out], []
        return answers

    def logon(self, *pairs: tuple[int, object], heartbeat: object = 30, **options: Any) -> list[Fields]:
        return self.say("A", (98, 0), (108, heartbeat), *pairs, **options)

    def publish(self, count: int) -> None:
        for number in range(count):
            self.session.send("X", joined([(262, "R"), (268, number)]), self.now)


def brief(messages: list[Fields], *tags: int) -> list[tuple[str | None, ...]]:
    return [tuple(dict(message).get(tag) for tag in (35, 34, *tags)) for message in messages]


def test_logon_is_answered_and_numbers_go_on_over_connections() -> None:
    one = Acceptor()
    assert brief(one.logon(), 98, 108) == [("A", "1", "0", "30")]
    one.publish(3)
    one.said()
    assert brief(one.say("5")) == [("5", "5")]
    assert one.ended == "logout"
    one.connect()
    assert brief(one.logon(), 141) == [("A", "6", None)]


def test_reset_begins_at_one_in_both_directions() -> None:
    one = Acceptor()
    one.logon()
    one.publish(3)
    one.said()
    one.connect()
    one.seq = 1
    assert brief(one.logon((141, "Y")), 141) == [("A", "1", "Y")]
    assert (one.ledger.next_in, one.ledger.next_out) == (2, 2)


@pytest.mark.parametrize(
    ("rules", "pairs", "text"),
    [
        ({"username": "u", "password": "p"}, [(98, 0), (108, 30), (553, "u"), (554, "x")], "password"),
        ({}, [(98, 1), (108, 30)], "EncryptMethod"),
        ({}, [(98, 0)], "HeartBtInt"),
        ({}, [(98, 0), (108, 99999)], "HeartBtInt"),
    ],
)
def test_a_wrong_logon_is_answered_with_a_logout_that_says_why(
    rules: dict[str, Any], pairs: list[tuple[int, object]], text: str
) -> None:
    one = Acceptor(**rules)
    (answer,) = one.say("A", *pairs)
    assert answer[2] == (35, "5")
    assert text in dict(answer)[58]
    assert one.ended
    assert not one.session.logged_on


def test_refused_and_admitted() -> None:
    one = Acceptor(refuses=True, username="u", password="p")  # noqa: S106
    assert brief(one.logon((553, "u"), (554, "p")), 58) == [("5", "1", "Logon refused")]
    one.refuses = False
    one.connect()
    assert brief(one.logon((553, "u"), (554, "p"))) == [("A", "2")]


def test_anything_before_a_logon_ends_the_connection_without_a_word() -> None:
    one = Acceptor()
    assert one.say("0") == []
    assert one.ended == "expected a logon first"


def test_number_too_low_is_a_logout_unless_it_may_be_a_duplicate() -> None:
    one = Acceptor()
    one.logon()
    assert one.say("0") == []
    assert one.say("V", (262, "again"), seq=2, head=[(43, "Y"), (122, "20260330-13:00:00")]) == []
    assert not one.took()
    (logout,) = one.say("V", seq=2)
    assert dict(logout)[58] == "MsgSeqNum too low, expecting 3 but received 2"
    assert one.ended


def test_number_too_high_asks_once_and_takes_what_comes_again() -> None:
    one = Acceptor()
    one.logon()
    assert brief(one.say("V", seq=5), 7, 16) == [("2", "2", "2", "0")]
    assert one.say("V", seq=6) == []
    assert not one.took()
    again = [(43, "Y"), (122, "20260330-13:00:00")]
    assert one.say("V", seq=2, head=again) == []
    assert one.took() == "V"
    one.say("4", (123, "Y"), (36, 6), seq=3, head=again)
    one.say("V", seq=6, head=again)
    assert one.took() == "V"
    assert one.ledger.next_in == 7
    assert brief(one.say("V", seq=9), 7) == [("2", "3", "7")]


def test_a_logon_with_too_high_a_number_is_answered_and_the_missing_asked_for() -> None:
    one = Acceptor()
    assert brief(one.logon(seq=4), 7, 16) == [("A", "1", None, None), ("2", "2", "1", "0")]
    one.say("4", (123, "Y"), (36, 5), seq=1, head=[(43, "Y"), (122, "20260330-13:00:00")])
    assert one.ledger.next_in == 5


@pytest.mark.parametrize("resend", ["messages", "gap_fill"])
def test_resend_requests(resend: Literal["messages", "gap_fill"]) -> None:
    one = Acceptor(resend=resend)
    one.logon()
    one.publish(3)
    one.session.send("0", "", one.now)
    one.publish(2)
    first = {dict(message)[34]: dict(message) for message in one.said()}
    answer = one.say("2", (7, 1), (16, 0))
    if resend == "gap_fill":
        assert brief(answer, 43, 123, 36) == [("4", "1", "Y", "Y", "8")]
        return
    assert brief(answer, 43, 123, 36) == [
        ("4", "1", "Y", "Y", "2"),
        *[("X", str(number), "Y", None, None) for number in (2, 3, 4)],
        ("4", "5", "Y", "Y", "6"),
        *[("X", str(number), "Y", None, None) for number in (6, 7)],
    ]
    for message in answer:
        again = dict(message)
        if again[35] == "X":
            assert (again[122], again[268]) == (first[again[34]][52], first[again[34]][268])
    assert brief(one.say("2", (7, 3), (16, 3))) == [("X", "3")]
    assert one.ledger.next_out == 8
    assert brief(one.say("2", (7, 9), (16, 0)), 373) == [("3", "8", "5")]


def test_what_is_no_longer_stored_is_gap_filled() -> None:
    one = Acceptor()
    one.logon()
    one.publish(60)
    one.said()
    answer = brief(one.say("2", (7, 2), (16, 0)), 36)
    assert answer[0] == ("4", "2", "12")
    assert answer[1:] == [("X", str(number), None) for number in range(12, 62)]


def test_a_resend_request_that_comes_too_early_is_answered_first() -> None:
    one = Acceptor()
    one.logon()
    one.publish(1)
    one.said()
    assert brief(one.say("2", (7, 2), (16, 0), seq=9), 7) == [("X", "2", None), ("2", "3", "2")]


def test_test_requests_heartbeats_and_silence() -> None:
    one = Acceptor()
    one.logon(heartbeat=10)
    assert brief(one.say("1", (112, "hello")), 112) == [("0", "2", "hello")]
    one.now += 9 * SECOND
    one.session.wake(one.now)
    assert one.said() == []
    one.now += 2 * SECOND
    one.session.wake(one.now)
    assert brief(one.said()) == [("0", "3")]
    one.now += 2 * SECOND
    one.session.wake(one.now)
    ((kind, _, sent),) = brief(one.said(), 112)
    assert kind == "1"
    assert sent
    one.now += 5 * SECOND
    one.session.wake(one.now)
    assert one.say("0", (112, sent)) == []
    one.now += 12 * SECOND
    one.session.wake(one.now)
    one.now += 13 * SECOND
    with pytest.raises(SessionEndedError, match="silent"):
        one.session.wake(one.now)


def test_patience_with_logon_and_logout_ends() -> None:
    one = Acceptor()
    one.now += 11 * SECOND
    with pytest.raises(SessionEndedError, match="no logon"):
        one.session.wake(one.now)
    one.connect()
    one.logon(heartbeat=0)
    one.session.logout("bye", one.now)
    assert brief(one.said(), 58) == [("A", "1", None), ("5", "2", "bye")][1:]
    one.now += 11 * SECOND
    with pytest.raises(SessionEndedError, match="no answer"):
        one.session.wake(one.now)


@pytest.mark.parametrize(
    ("message", "reason", "tag"),
    [
        ({"kind": "0", "ts": "yesterday"}, "6", "52"),
        ({"kind": "V", "head": [(43, "Y")]}, "1", "122"),
        ({"kind": "1"}, "1", "112"),
        ({"kind": "4", "pairs": [(36, 1)]}, "5", "36"),
        ({"kind": "4", "pairs": [(123, "Y")]}, "5", "36"),
        ({"kind": "QQ"}, "11", "35"),
    ],
)
def test_rejects_keep_the_place_in_the_sequence(message: dict[str, Any], reason: str, tag: str) -> None:
    one = Acceptor()
    one.logon()
    said = one.say(
        message["kind"], *message.get("pairs", ()), **{k: v for k, v in message.items() if k in {"ts", "head"}}
    )
    assert brief(said, 373, 371, 45) == [("3", "2", reason, tag, "2")]
    assert not one.ended
    assert one.say("0") == []


@pytest.mark.parametrize(
    ("options", "reason"), [({"sender": "D"}, "9"), ({"ts": TIMES.timestamp(NOW - 200 * SECOND)}, "10")]
)
def test_wrong_names_and_wrong_clocks_end_the_session(options: dict[str, Any], reason: str) -> None:
    one = Acceptor()
    one.logon()
    reject, logout = one.say("0", **options)
    assert dict(reject)[373] == reason
    assert logout[2] == (35, "5")
    assert one.ended


def test_sequence_reset_moves_on_whatever_its_own_number() -> None:
    one = Acceptor()
    one.logon()
    assert one.say("4", (36, 50), seq=99) == []
    assert one.ledger.next_in == 50
    one.seq = 50
    assert one.say("0") == []


@given(st.lists(st.one_of(st.none(), st.integers(0, 400)), max_size=150))
def test_the_store_keeps_the_newest_within_its_bounds(sizes: list[int | None]) -> None:
    ledger = Ledger(messages_max=20, bytes_max=1000)
    sent: list[Kept | None] = []
    for size in sizes:
        kept = None if size is None else Kept("X", "t", "x" * size)
        assert ledger.take(kept) == len(sent) + 1
        sent.append(kept)
    found = ledger.kept(1, len(sent))
    first = next((number for number, kept in enumerate(found) if kept is not None), len(found))
    assert found[first:] == sent[first:]
    assert ledger.bytes == sum(len(kept.text) for kept in found if kept is not None) <= 1000
    assert sum(kept is not None for kept in found) <= 20
