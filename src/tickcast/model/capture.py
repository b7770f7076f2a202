"""The session format: what a feed sent and received, one JSON object a line, in order of arrival.

Line 1 is a ``header``, every later line a record with a time ``ts`` (Unix seconds, written with nine digits):

========= ==========================================================================================
``connect`` a link opened: ``conn``, ``addr``, and of ours ``link`` and ``transport``; ``continued`` repeats, at the
            start of a segment, a link that is open since an earlier one
``recv``    what a link brought: ``data`` (a text frame, verbatim) or ``b64`` (anything else, base64): one WebSocket
            message, one datagram, or one read of a TCP stream
``send``    what we sent, likewise; secrets are overwritten with asterisks
``http``    a REST answer: ``url``, ``data``, and of ours ``status``, ``etag``, ``purpose``
``close``   a link closed
``lost``    records that could not be written: ``count``
========= ==========================================================================================

Files are compressed as a whole (``.xz``, ``.gz``) or, as ours, in a row of zstd frames.
"""

import base64
from decimal import Decimal
from typing import Any, Final

import msgspec

FORMAT: Final = 2


class Line(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Any line of a session file; only the fields of its kind are set."""

    t: str
    ts: Decimal = Decimal()
    """Unix seconds; of a header none."""
    conn: str = ""
    data: str | None = None
    b64: str | None = None
    addr: str = ""
    link: str = ""
    transport: str = ""
    continued: bool = False
    url: str = ""
    status: int = 200
    etag: str | None = None
    purpose: str = ""
    reason: str = ""
    count: int = 0
    exchange: str = ""
    """Of a header: the venue."""
    feed: str = ""
    """Of a header: the feed's name."""
    config: dict[str, Any] | None = None
    """Of a header of others: channel to the instruments asked for."""
    recorded: Decimal = Decimal()
    """Of a header: when it began, Unix seconds."""
    settings: dict[str, Any] = {}
    """Of a header: what the feed's table in the config said, without its password."""

    @property
    def ts_ns(self) -> int:
        """The time in ns since 1970 UTC."""
        return int(self.ts.scaleb(9))

    @property
    def payload(self) -> bytes:
        """The bytes of ``data`` or ``b64``.

        Raises:
            ValueError: ``b64`` is not base64.
        """
        if self.b64 is not None:
            return base64.b64decode(self.b64, validate=True)
        return (self.data or "").encode()


def seconds(ts_ns: int) -> bytes:
    """Unix seconds with nine digits, as written in a line."""
    return b"%d.%09d" % divmod(ts_ns, 1_000_000_000)


def payload_field(payload: bytes, *, text: bool) -> bytes:
    """``"data":…`` for a text that is UTF-8, ``"b64":…`` otherwise."""
    if text:
        try:
            return b'"data":' + msgspec.json.encode(payload.decode())
        except UnicodeDecodeError:
            pass
    return b'"b64":"' + base64.b64encode(payload) + b'"'
