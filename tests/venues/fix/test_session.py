"""The FIX 4.4 session, rule by rule (volume 2 and its test cases)."""

from typing import Any

import pytest
from tests.venues.fix.peer import EPOCH_NS, Peer, frame, frames, parse

from tickcast.venues.fix.happenings import Delivered, Filled, Hole, LoggedOn, Lost, Rejected, Turn
from tickcast.venues.fix.session import FixSession, Settings

SECOND = 1_000_000_000


def started(**settings: Any) -> tuple[FixSession, Peer]:
    """A session that is logged on."""
    session, peer = FixSession(Settings(sender="TICKCAST", target="XNYS", **settings)), Peer()
    peer.answer(session.opened(EPOCH_NS).send[0])
    turn = session.received(frames(peer.logon()), EPOCH_NS)
    assert turn.happenings == [LoggedOn(reset=False)]
    assert session.phase == "open"
    return session, peer


def take(session: FixSession, *raw: bytes, now_ns: int = EPOCH_NS) -> Turn:
    return session.received(frames(*raw), now_ns)


def told(turn: Turn) -> list[object]:
    """Happenings, with headlines in place of messages."""
    return [
        parse(one.run.raw)[148] + ("*" if one.resent else "") if isinstance(one, Delivered) else one
        for one in turn.happenings
    ]


def sent(turn: Turn) -> list[tuple[str, dict[int, str]]]:
    return [(parse(raw)[35], parse(raw)) for raw in turn.send]


# ------------------------------------------------------------------ logon


def test_a_logon_says_who_and_how() -> None:
    session = FixSession(Settings(sender="ME", target="YOU", username="u", password="p", heartbeat_s=7))  # noqa: S106
    ((kind, fields),) = sent(session.opened(EPOCH_NS))
    assert kind == "A"
    assert (fields[49], fields[56], fields[34], fields[98], fields[108]) == ("ME", "YOU", "1", "0", "7")
    assert (fields[553], fields[554], fields[52]) == ("u", "p", "20260330-14:00:00.000")
    assert 141 not in fields


def test_a_reset_of_ours_begins_at_1_on_both_sides() -> None:
    session = FixSession(Settings(sender="TICKCAST", target="XNYS", reset_on_logon=True))
    session.next_in = session.next_out = 50
    ((_, fields),) = sent(session.opened(EPOCH_NS))
    assert (fields[34], fields[141]) == ("1", "Y")
    turn = take(session, Peer().logon(reset=True))
    assert turn.happenings == [LoggedOn(reset=True)]
    assert (session.next_in, session.next_out) == (2, 2)


def test_a_reset_of_the_peer_at_logon_is_taken() -> None:
    session, peer = FixSession(Settings(sender="TICKCAST", target="XNYS")), Peer()
    session.next_in, session.next_out = 90, 70
    session.opened(EPOCH_NS)
    assert take(session, peer.logon(reset=True)).happenings == [LoggedOn(reset=True)]
    assert (session.next_in, session.next_out) == (2, 2)


def test_a_reset_of_the_peer_in_mid_session_is_answered() -> None:
    session, peer = started()
    assert told(take(session, peer.app("a"))) == ["a"]
    turn = take(session, peer.logon(reset=True), peer.app("b"))
    assert told(turn) == [LoggedOn(reset=True), "b"]
    ((kind, fields),) = sent(turn)
    assert (kind, fields[34], fields[141]) == ("A", "1", "Y")
    assert (session.next_in, session.next_out) == (3, 2)


def test_a_logon_that_is_ahead_is_taken_and_what_is_missing_asked_for() -> None:
    session, peer = FixSession(Settings(sender="TICKCAST", target="XNYS")), Peer()
    session.opened(EPOCH_NS)
    missed = [peer.app(text) for text in "xyz"]
    turn = take(session, peer.logon(), peer.app("d"))
    assert told(turn) == [LoggedOn(reset=False), Hole(1, 3)]
    assert [(kind, fields.get(7), fields.get(16)) for kind, fields in sent(turn)] == [("2", "1", "3")]
    turn = take(session, *(peer.raw("B", seq, peer.sent[seq], again=True) for seq in range(1, len(missed) + 1)))
    assert told(turn) == ["x*", "y*", "z*", "d", Filled()]


def test_a_logon_that_is_too_low_ends_in_a_reset() -> None:
    session = FixSession(Settings(sender="TICKCAST", target="XNYS"))
    session.next_in = 10
    session.opened(EPOCH_NS)
    turn = take(session, Peer().logon())
    assert sent(turn)[0][0] == "5"
    assert turn.drop == "MsgSeqNum too low, expecting 10 but received 1"
    session.closed(EPOCH_NS)
    ((_, fields),) = sent(session.opened(EPOCH_NS))
    assert (fields[34], fields[141]) == ("1", "Y")


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ([(58, "unknown password")], True),
        ([(1409, 5)], True),
        ([(58, "come later")], False),
        ([], False),
    ],
)
def test_a_refused_logon(answer: list[tuple[int, object]], refused: bool) -> None:
    session, peer = FixSession(Settings(sender="TICKCAST", target="XNYS")), Peer()
    session.opened(EPOCH_NS)
    turn = take(session, peer.admin("5", *answer))
    assert (turn.refused is not None, turn.drop is not None) == (refused, not refused)


def test_a_peer_that_says_which_number_it_expects_gets_it() -> None:
    session, peer = FixSession(Settings(sender="TICKCAST", target="XNYS")), Peer()
    session.opened(EPOCH_NS)
    turn = take(session, peer.admin("5", (58, "MsgSeqNum too low, expecting 57 but received 1")))
    assert turn.drop
    session.closed(EPOCH_NS)
    assert sent(session.opened(EPOCH_NS))[0][1][34] == "57"


def test_no_answer_to_a_logon_is_the_end() -> None:
    session = FixSession(Settings(sender="TICKCAST", target="XNYS"))
    session.opened(EPOCH_NS)
    assert session.wake_ns == EPOCH_NS + 10 * SECOND
    assert session.wake(session.wake_ns - 1).drop is None
    assert "no answer to our logon" in str(session.wake(session.wake_ns).drop)


def test_anything_but_a_logon_first_is_fatal() -> None:
    session, peer = FixSession(Settings(sender="TICKCAST", target="XNYS")), Peer()
    session.opened(EPOCH_NS)
    assert "expected an answer to our Logon" in str(take(session, peer.app("a")).drop)


# ------------------------------------------------------------------ time


def test_heartbeats_go_out_when_nothing_else_does() -> None:
    session, _ = started(heartbeat_s=30)
    assert session.wake_ns == EPOCH_NS + 30 * SECOND
    assert sent(session.wake(EPOCH_NS + 29 * SECOND)) == []
    assert [kind for kind, _ in sent(session.wake(EPOCH_NS + 30 * SECOND))] == ["0"]


def test_a_silent_peer_is_tested_and_then_left() -> None:
    session, peer = started(heartbeat_s=30)
    session.send("V", [], EPOCH_NS + 20 * SECOND)
    session.wake(EPOCH_NS + 35 * SECOND)
    turn = session.wake(EPOCH_NS + 36 * SECOND)
    assert [kind for kind, _ in sent(turn)] == ["1"]
    ident = sent(turn)[0][1][112]
    take(session, peer.admin("0", (112, ident)), now_ns=EPOCH_NS + 37 * SECOND)
    assert session.wake(EPOCH_NS + 66 * SECOND).drop is None
    assert [kind for kind, _ in sent(session.wake(EPOCH_NS + 73 * SECOND))][:1] == ["1"]
    assert session.wake(EPOCH_NS + 103 * SECOND).drop == "the peer is silent and does not answer a TestRequest"


def test_a_test_request_is_answered_with_its_id() -> None:
    session, peer = started()
    ((kind, fields),) = sent(take(session, peer.admin("1", (112, "are you there"))))
    assert (kind, fields[112]) == ("0", "are you there")


def test_a_sending_time_that_is_far_off_is_rejected_where_it_is_looked_at() -> None:
    session, peer = started(sending_time_max_s=120)
    turn = take(session, peer.app("late"), now_ns=EPOCH_NS + 121 * SECOND)
    assert [(kind, fields.get(373)) for kind, fields in sent(turn)] == [("3", "10"), ("5", None)]
    assert turn.drop == "SendingTime accuracy problem"
    session, peer = started()
    assert told(take(session, peer.app("late"), now_ns=EPOCH_NS + 9_999 * SECOND)) == ["late"]


# ------------------------------------------------------------------ holes


def test_what_comes_again_fills_the_hole_in_order() -> None:
    session, peer = started()
    first, second, third = peer.app("a"), peer.app("b"), peer.app("c")
    turn = take(session, first, third)
    assert told(turn) == ["a", Hole(3, 3)]
    assert sent(turn)[0][1][7] == sent(turn)[0][1][16] == "3"
    assert told(take(session, *peer.answer(turn.send[0]))) == ["b*", "c", Filled()]
    assert told(take(session, second)) == []
    assert session.phase == "closed"  # the old copy without PossDupFlag is fatal


def test_a_late_message_fills_the_hole_and_its_repeat_is_left_out() -> None:
    session, peer = started()
    late = peer.app("a")
    turn = take(session, peer.app("b"))
    assert told(take(session, late)) == ["a", "b", Filled()]
    assert told(take(session, *peer.answer(turn.send[0]))) == []
    assert session.phase == "open"


def test_what_is_filled_is_lost() -> None:
    session, peer = started()
    for text in "abc":
        peer.app(text)
    peer.lost = {2, 4}
    turn = take(session, peer.app("d"))
    answers = peer.answer(turn.send[0])
    reason = "the peer does not send them again"
    assert told(take(session, *answers)) == [Lost(2, 2, reason), "b*", Lost(4, 4, reason), "d", Filled()]


def test_holes_are_asked_for_in_pieces() -> None:
    session, peer = started(resend_chunk=10)
    for number in range(25):
        peer.app(number)
    pending = take(session, peer.app("last")).send
    got: list[object] = []
    while pending:
        turn = take(session, *peer.answer(pending.pop()))
        pending += turn.send
        got += told(turn)
    assert peer.asked == [(2, 11), (12, 21), (22, 26)]
    assert got == [*(f"{number}*" for number in range(25)), "last", Filled()]


def test_a_peer_that_never_answers_is_asked_again_and_given_up() -> None:
    session, peer = started(resend_ns=SECOND, resend_attempts=3)
    peer.app("lost")
    turn = take(session, peer.app("kept"))
    requests = [turn, *(session.wake(EPOCH_NS + second * SECOND) for second in (1, 2))]
    assert [[kind for kind, _ in sent(one)] for one in requests] == [["2"], ["2"], ["2"]]
    assert told(session.wake(EPOCH_NS + 3 * SECOND)) == [
        Lost(2, 2, "the peer does not answer our ResendRequest"),
        "kept",
        Filled(),
    ]


def test_what_waits_is_bounded() -> None:
    session, peer = started(waiting_max=1_000)
    peer.app("lost")
    got = [one for _ in range(40) for one in told(take(session, peer.app("x" * 50)))]
    assert got.count(Lost(2, 2, "too much waits behind a hole")) == 1
    assert got.count("x" * 50) == 40


def test_a_hole_outlives_the_connection() -> None:
    session, peer = started()
    peer.app("a")
    take(session, peer.app("b"))
    session.closed(EPOCH_NS)
    session.opened(EPOCH_NS)
    turn = take(session, peer.logon())
    assert told(turn) == [LoggedOn(reset=False), Hole(2, 3)]


def test_a_gap_fill_that_goes_nowhere_is_rejected() -> None:
    session, peer = started()
    turn = take(session, peer.admin("4", (123, "Y"), (36, 2)))
    assert [(kind, fields[373]) for kind, fields in sent(turn)] == [("3", "5")]
    assert isinstance(turn.happenings[0], Lost)


def test_a_sequence_reset_moves_on_and_never_back() -> None:
    session, peer = started()
    turn = take(session, peer.raw("4", 999, [(36, 20)]))
    assert told(turn) == [Lost(2, 19, "the peer reset its sequence")]
    assert session.next_in == 20
    turn = take(session, peer.raw("4", 20, [(36, 5)]))
    assert [(kind, fields[373], fields[371]) for kind, fields in sent(turn)] == [("3", "5", "36")]
    assert session.next_in == 20


def test_a_gap_fill_beyond_what_waits_does_not_lose_it() -> None:
    session, peer = started()
    peer.app("lost")
    turn = take(session, peer.app("kept"))
    turn = take(session, peer.raw("4", 2, [(123, "Y"), (36, 6)], again=True))
    reason = "the peer does not send them again"
    assert told(turn) == [Lost(2, 2, reason), "kept", Lost(4, 5, reason), Filled()]
    assert session.next_in == 6


# ------------------------------------------------------------------ rules of the header


def test_a_low_number_without_poss_dup_is_fatal() -> None:
    session, peer = started()
    one = peer.app("a")
    assert told(take(session, one)) == ["a"]
    turn = take(session, one)
    assert turn.drop == "MsgSeqNum too low, expecting 3 but received 2"
    assert sent(turn)[-1][0] == "5"


def test_a_repeat_of_what_we_had_is_left_out() -> None:
    session, peer = started()
    take(session, peer.app("a"))
    turn = take(session, peer.raw("B", 2, [(148, "a")], again=True))
    assert turn == Turn()


@pytest.mark.parametrize("wrong", [{"name": "OTHER"}, {"client": "OTHER"}])
def test_a_wrong_comp_id_is_rejected_and_fatal(wrong: dict[str, str]) -> None:
    session, _ = started()
    turn = take(session, Peer(**wrong).raw("B", 2, [(148, "a")]))
    assert [(kind, fields.get(373)) for kind, fields in sent(turn)] == [("3", "9"), ("5", None)]
    assert turn.drop


def test_another_version_and_a_missing_number_are_fatal() -> None:
    session, _ = started()
    head: list[tuple[int, object]] = [(35, "0"), (49, "XNYS"), (56, "TICKCAST"), (34, 2)]
    assert "BeginString" in str(take(session, frame(head, begin="FIX.4.2")).drop)
    session, _ = started()
    assert take(session, frame(head[:3])).drop == "MsgSeqNum missing"


def test_a_repeat_without_its_original_time_is_rejected_and_lost() -> None:
    session, _ = started()
    turn = take(
        session, frame([(35, "B"), (49, "XNYS"), (56, "TICKCAST"), (34, 2), (43, "Y"), (52, "20260330-14:00:00")])
    )
    assert [(kind, fields[373], fields[371]) for kind, fields in sent(turn)] == [("3", "1", "122")]
    assert isinstance(turn.happenings[0], Lost)
    assert session.next_in == 3


def test_garbage_is_ignored_and_its_number_asked_for() -> None:
    session, peer = started()
    spoilt = bytearray(peer.app("a"))
    spoilt[-10] ^= 1
    turn = session.received(frames(bytes(spoilt), peer.app("b")), EPOCH_NS)
    assert told(turn) == [Hole(2, 2)]
    assert turn.dead


# ------------------------------------------------------------------ what the peer asks of us


def test_our_requests_are_sent_again_and_the_rest_is_filled() -> None:
    session, peer = started()
    session.wake(EPOCH_NS + 30 * SECOND)  # a heartbeat, number 2
    session.send("V", [(262, "r")], EPOCH_NS + 31 * SECOND)  # number 3
    turn = take(session, peer.admin("2", (7, 1), (16, 0)), now_ns=EPOCH_NS + 32 * SECOND)
    kinds = [(kind, fields[34], fields[43], fields.get(36)) for kind, fields in sent(turn)]
    assert kinds == [("4", "1", "Y", "3"), ("V", "3", "Y", None)]
    again = sent(turn)[1][1]
    assert (again[262], again[122], again[52]) == ("r", "20260330-14:00:31.000", "20260330-14:00:32.000")
    assert session.next_out == 4


def test_requests_of_an_earlier_connection_are_filled() -> None:
    session, peer = started()
    session.send("V", [(262, "r")], EPOCH_NS)
    session.closed(EPOCH_NS)
    session.opened(EPOCH_NS)
    take(session, peer.logon())
    turn = take(session, peer.admin("2", (7, 2), (16, 999_999)))
    assert [(kind, fields[36]) for kind, fields in sent(turn)] == [("4", "4")]


def test_both_sides_asking_do_not_wait_for_each_other() -> None:
    session, peer = started()
    peer.app("lost")
    turn = take(session, peer.admin("2", (7, 1), (16, 0)))
    assert [kind for kind, _ in sent(turn)] == ["4", "2"]


@pytest.mark.parametrize("first", ["0", "99", "x"])
def test_a_resend_request_for_nothing_is_rejected(first: str) -> None:
    session, peer = started()
    assert [kind for kind, _ in sent(take(session, peer.admin("2", (7, first), (16, 0))))] == ["3"]


def test_logouts_of_either_side() -> None:
    session, peer = started()
    turn = take(session, peer.admin("5", (58, "good night")))
    assert [kind for kind, _ in sent(turn)] == ["5"]
    assert turn.drop == "the peer logs out: good night"
    session, peer = started()
    assert [kind for kind, _ in sent(session.logout(EPOCH_NS, "enough"))] == ["5"]
    assert take(session, peer.admin("5")).drop == "logged out"
    session, _ = started()
    session.logout(EPOCH_NS)
    assert "no answer to our logout" in str(session.wake(EPOCH_NS + 10 * SECOND).drop)


def test_a_reject_names_our_message() -> None:
    session, peer = started()
    turn = take(session, peer.admin("3", (45, 2), (372, "V"), (58, "no")))
    assert turn.happenings == [Rejected(2, "V", "no")]


# ------------------------------------------------------------------ what outlives the process


def test_numbers_survive_and_are_kept_before_they_are_used() -> None:
    session, peer = started()
    kept = session.send("V", [], EPOCH_NS).keep
    assert kept is not None
    second = FixSession(Settings(sender="TICKCAST", target="XNYS"))
    assert second.restore(kept)
    assert (second.next_in, second.next_out) == (session.next_in, session.next_out) == (2, 3)
    assert take(session, peer.app("a"), now_ns=EPOCH_NS + SECOND // 2).keep is None  # not for every message
    assert take(session, peer.app("b"), now_ns=EPOCH_NS + 2 * SECOND).keep is not None
    take(session, peer.app("c"), now_ns=EPOCH_NS + 2 * SECOND)
    assert session.closed(EPOCH_NS + 2 * SECOND).keep is not None


@pytest.mark.parametrize(
    "kept",
    [
        b"",
        b"\xff",
        b"{}",
        b'{"sender":"OTHER","target":"XNYS","next_in":5,"next_out":5}',
        b'{"sender":"TICKCAST","target":"XNYS","next_in":0,"next_out":5}',
    ],
)
def test_damaged_numbers_are_as_good_as_none(kept: bytes) -> None:
    session = FixSession(Settings(sender="TICKCAST", target="XNYS"))
    assert not session.restore(kept)
    assert (session.next_in, session.next_out) == (1, 1)
