"""Times on the wire: RFC 3339 text in UTC to nanoseconds since 1970 and back, exactly."""

import re
from datetime import UTC, datetime
from typing import Final

_TEXT: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse_timestamp(text: str) -> tuple[int, int]:
    """Return (ns since 1970 UTC, precision in ns): ``2026-03-29T14:30:01.234Z`` is known to 1,000,000 ns.

    Raises:
        ValueError: says what was expected and found.
    """
    parts = _TEXT.fullmatch(text)
    if parts is None:
        raise ValueError(f"expected a timestamp such as 2026-03-29T14:30:01.234Z, found {text[:40]!r}")
    fraction = parts[7] or ""
    try:
        moment = datetime(*(int(parts[place]) for place in range(1, 7)), tzinfo=UTC)  # type: ignore[arg-type, misc]
    except ValueError:
        raise ValueError(f"expected a date and time that exist, found {text[:40]!r}") from None
    since = moment - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    if parts[8]:
        offset_s = int(parts[9]) * 3600 + int(parts[10]) * 60
        seconds -= offset_s if parts[8] == "+" else -offset_s
    if not 0 <= seconds < 1 << 33:
        raise ValueError(f"expected a time from 1970 to 2242, found {text[:40]!r}")
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0")), 10 ** (9 - len(fraction))


def timestamp(ns: int) -> str:
    """RFC 3339 text in UTC with six digits of a second."""
    seconds, rest_ns = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns // 1000:06d}Z"
