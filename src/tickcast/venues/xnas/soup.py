"""SoupBinTCP 3.00, the client's packets and the control packets it gets (sections 2.2 and 2.3 of the specification).

A packet is a length (u16, of type and payload), a type letter and the payload. Text fields are padded with spaces:
user, password and session on the right, the sequence number on the left.
"""

from dataclasses import dataclass
from typing import Final

HEARTBEAT: Final = b"\x00\x01R"
LOGOUT: Final = b"\x00\x01O"
HEARTBEAT_NS: Final = 1_000_000_000
"""A client that sent nothing for so long sends a heartbeat; so does the server."""

REJECTED: Final = {"A": "not authorised: user or password is wrong", "S": "session not available"}


def packet(kind: str, payload: bytes = b"") -> bytes:
    """Frame a payload."""
    return (len(payload) + 1).to_bytes(2, "big") + kind.encode("ascii") + payload


def login(*, username: str, password: str, session: str, sequence: int) -> bytes:
    """Return a login request; session empty = the current one, sequence = the next one wanted (1 = from the start).

    Raises:
        ValueError: a field is longer than the packet has room for.
    """
    fields = ((username, 6), (password, 10), (session, 10), (str(sequence), 20))
    for value, width in fields:
        if len(value) > width:
            raise ValueError(f"SoupBinTCP login: expected at most {width} characters, found {len(value)}")
    text = f"{username:<6}{password:<10}{session:>10}{sequence:>20}"
    return packet("L", text.encode("ascii"))


@dataclass(frozen=True, slots=True)
class Accepted:
    """A login was accepted."""

    session: str
    sequence: int
    """Of the next sequenced packet that the server sends."""


def accepted(payload: bytes) -> Accepted:
    """Read a login-accepted packet.

    Raises:
        ValueError: it is not 30 bytes of session and number.
    """
    if len(payload) != 30:
        raise ValueError(f"login accepted: expected 30 bytes, found {len(payload)}")
    return Accepted(payload[:10].decode("ascii").strip(), int(payload[10:].decode("ascii")))
