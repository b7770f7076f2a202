"""SoupBinTCP packets, byte for byte."""
# ruff: noqa: S106  a password field is what is tested

import pytest

from tickcast.venues.xnas import soup


def test_login_request_is_padded_as_the_specification_says() -> None:
    packet = soup.login(username="user", password="secret", session="", sequence=1)
    assert packet == b"\x00\x2fLuser  secret              " + b" " * 19 + b"1"
    assert len(packet) == 2 + 1 + 6 + 10 + 10 + 20


def test_fields_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 6 characters, found 7"):
        soup.login(username="1234567", password="", session="", sequence=1)


def test_login_accepted() -> None:
    accepted = soup.accepted(b"    S00042" + b"                1000")
    assert accepted == soup.Accepted("S00042", 1000)


@pytest.mark.parametrize("payload", [b"", b"x" * 29, b"S000000001" + b"    not a number    "])
def test_a_broken_answer_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"expected 30 bytes|invalid literal"):
        soup.accepted(payload)


def test_heartbeat_and_logout_are_empty_packets() -> None:
    assert soup.packet("R") == soup.HEARTBEAT
    assert soup.packet("O") == soup.LOGOUT
