"""FIX 4.4 messages as bytes: building, reading, and hiding passwords.

Source: FIX 4.4 with errata 20030618, volumes 1 and 2 (message format, standard header and trailer, session messages).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from tickcast import _native

SOH: Final = "\x01"
BEGIN: Final = "FIX.4.4"
SECOND_NS: Final = 1_000_000_000

HEARTBEAT: Final = "0"
"""MsgType (35) of the session's own messages, here and below."""
TEST_REQUEST: Final = "1"
RESEND_REQUEST: Final = "2"
REJECT: Final = "3"
SEQUENCE_RESET: Final = "4"
LOGOUT: Final = "5"
LOGON: Final = "A"
ADMIN: Final = frozenset({HEARTBEAT, TEST_REQUEST, RESEND_REQUEST, REJECT, SEQUENCE_RESET, LOGOUT, LOGON})

Fields = Sequence[tuple[int, str]]

SECRETS: Final = re.compile(rb"(?:^|\x01)(?:554|925|96|1402|1404)=([^\x01]*)")
"""Password, NewPassword, RawData (of a logon: a signature), and the encrypted passwords."""


def time_text(now_ns: int) -> str:
    """Return a UTCTimestamp with milliseconds."""
    moment = datetime.fromtimestamp(now_ns // SECOND_NS, UTC)
    return f"{moment:%Y%m%d-%H:%M:%S}.{now_ns % SECOND_NS // 1_000_000:03d}"


def encode(
    msg_type: str,
    fields: Fields,
    *,
    seq: int,
    sender: str,
    target: str,
    now_ns: int,
    original_ns: int = 0,
) -> bytes:
    """Build a message with header and trailer; with ``original_ns`` it is a repeat (43=Y, 122) of one sent then."""
    header: list[tuple[int, str]] = [(35, msg_type), (49, sender), (56, target), (34, str(seq))]
    if original_ns:
        header.append((43, "Y"))
    header.append((52, time_text(now_ns)))
    if original_ns:
        header.append((122, time_text(original_ns)))
    text = "".join(f"{tag}={value}{SOH}" for tag, value in [*header, *fields])
    body = text.encode("latin-1", "replace")
    message = f"8={BEGIN}{SOH}9={len(body)}{SOH}".encode() + body
    return message + f"10={sum(message) % 256:03d}{SOH}".encode()


def read(raw: bytes) -> Mapping[int, str]:
    """Return the fields of one message; of a tag that comes again the first.

    Raises:
        ValueError: it is not made of fields.
    """
    fields: dict[int, str] = {}
    for tag, value in _native.fix_fields(raw):
        fields.setdefault(tag, value)
    return fields


def redact(data: bytes) -> bytes:
    """Hide passwords: each letter becomes ``*``, so BodyLength stays right, and CheckSum is put right.

    For everything that writes down what was sent. Bytes without a logon come back as they are.
    """
    if b"\x0135=A\x01" not in data:
        return data
    parts = re.split(rb"(?<=\x01)(?=8=FIX)", data)
    return b"".join(_redact_logon(part) if b"\x0135=A\x01" in part else part for part in parts)


def _redact_logon(message: bytes) -> bytes:
    hidden = bytearray(message)
    for found in SECRETS.finditer(message):
        start, end = found.span(1)
        hidden[start:end] = b"*" * (end - start)
    trailer = hidden.rfind(b"\x0110=")
    if trailer >= 0 and len(hidden) >= trailer + 8:
        hidden[trailer + 4 : trailer + 7] = b"%03d" % (sum(hidden[: trailer + 1]) % 256)
    return bytes(hidden)
