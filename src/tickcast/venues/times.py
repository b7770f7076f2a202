"""Times as venues write them."""

import re
from datetime import UTC, datetime
from typing import Final

RFC3339: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)


def rfc3339_ns(text: str) -> int:
    """Read an RFC 3339 time with up to nine digits of a second, ns since 1970 UTC.

    Raises:
        ValueError: it is none.
    """
    found = RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(f"expected a time such as 2026-03-29T14:30:01.234567Z, found {text[:40]!r}")
    seconds, fraction, zone = found.groups()
    moment = datetime.fromisoformat(seconds + ("+00:00" if zone == "Z" else zone)).astimezone(UTC)
    return int(moment.timestamp()) * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))


def rfc3339_ms(ts_ns: int) -> str:
    """Write ns since 1970 as an RFC 3339 time in UTC, cut to milliseconds."""
    seconds, rest = divmod(ts_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"
