"""FIX messages as bytes."""

from hypothesis import given
from hypothesis import strategies as st
from tests.venues.fix.peer import EPOCH_NS, frames, parse

from tickcast.venues.fix import messages

PASSWORD = "correct horse"  # noqa: S105  made up


def logon(*fields: tuple[int, str]) -> bytes:
    return messages.encode("A", [(98, "0"), *fields], seq=1, sender="ME", target="YOU", now_ns=EPOCH_NS)


@given(
    st.lists(
        st.tuples(st.integers(5000, 9999), st.text(st.characters(min_codepoint=32, max_codepoint=255), min_size=1))
    )
)
def test_what_is_built_is_read_again(fields: list[tuple[int, str]]) -> None:
    raw = messages.encode("U1", fields, seq=9, sender="ME", target="YOU", now_ns=EPOCH_NS, original_ns=EPOCH_NS)
    (run,) = frames(raw).runs
    assert (run.msg_type, run.first_seq, run.poss_dup, run.sender, run.target) == ("U1", 9, True, "ME", "YOU")
    assert run.sending_min_ns == EPOCH_NS
    read = messages.read(raw)
    assert read[122] == "20260330-14:00:00.000"
    for tag, value in dict(reversed(fields)).items():
        assert read[tag] == value


def test_passwords_are_hidden_and_the_message_stays_whole() -> None:
    secret = logon((553, "reader"), (554, PASSWORD), (925, "battery"))
    both = messages.encode("0", [], seq=2, sender="ME", target="YOU", now_ns=EPOCH_NS)
    hidden = messages.redact(secret + both)
    assert len(hidden) == len(secret + both)
    assert PASSWORD.encode() not in hidden
    assert b"battery" not in hidden
    assert [run.msg_type for run in frames(hidden).runs] == ["A", "0"]
    assert parse(hidden)[553] == "reader"
    assert parse(hidden)[554] == "*" * len(PASSWORD)
    assert hidden.endswith(both)


def test_what_holds_no_logon_is_left_alone() -> None:
    text = messages.encode("B", [(58, "554=x")], seq=2, sender="ME", target="YOU", now_ns=EPOCH_NS)
    assert messages.redact(text) is text
    assert messages.redact(b"") == b""
    assert PASSWORD.encode() not in messages.redact(logon((554, PASSWORD))[:-12])  # a piece of one, too
