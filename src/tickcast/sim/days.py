"""Where a trading day begins and ends: midnight of a venue's zone, which both ITCH and PITCH count times from."""

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

DAY_NS: Final = 86_400 * 1_000_000_000


def midnight_ns(now_ns: int, timezone: str) -> int:
    """Return the last midnight of a zone, ns since 1970 UTC."""
    zone = ZoneInfo(timezone)
    local = datetime.fromtimestamp(now_ns // 1_000_000_000, zone)
    return int(local.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()) * 1_000_000_000


def next_midnight_ns(now_ns: int, timezone: str) -> int:
    """Return the coming midnight of a zone, ns since 1970 UTC."""
    zone = ZoneInfo(timezone)
    local = datetime.fromtimestamp(now_ns // 1_000_000_000, zone)
    day = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return int(day.timestamp()) * 1_000_000_000


def shifted_midnight_ns(ts: int, midnight: int, offset_ns: int) -> int:
    """Return where times count from when the clock is off: they still lie within one day, as the format wants."""
    if not offset_ns:
        return midnight
    # a slice is shorter than a second: its times stay above zero
    return ts - min(max(ts - midnight + offset_ns, 1_000_000_000), DAY_NS - 1)
