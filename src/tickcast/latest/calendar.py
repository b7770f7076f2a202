"""When sessions start: the UTC day for crypto, the exchange's own calendar for markets.

Calendars come from ``exchange_calendars`` (trading days and hours by MIC); it is imported when the first market
calendar is asked for, since it brings pandas.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from tickcast.model.errors import UsageError

UTC_DAYS: Final = "24/7"
_DAYS: Final = 10
_DAY_NS: Final = 86_400_000_000_000


@lru_cache(maxsize=64)
def _market_opens(name: str, first_day: str, last_day: str) -> tuple[int, ...]:
    import exchange_calendars  # noqa: PLC0415  heavy, and most configurations never need it

    try:
        calendar = exchange_calendars.get_calendar(name, start=first_day, end=last_day)
    except exchange_calendars.errors.InvalidCalendarName as wrong:
        raise UsageError(
            f"expected a session calendar named {UTC_DAYS} or one of exchange_calendars' (such as XNYS), found {name!r}"
        ) from wrong
    return tuple(int(open_ns) for open_ns in calendar.opens.astype("datetime64[ns, UTC]").astype("int64"))


def session_starts(name: str, now_ns: int) -> tuple[int, ...]:
    """Starts of the sessions from ten days before now to ten days after, ns since 1970 UTC, ascending.

    ``NAME@YYYY-MM-DD`` is the calendar around that day instead, for replays.

    Raises:
        UsageError: there is no such calendar or day.
    """
    name, at, date = name.partition("@")
    around_ns = _day_ns(date) if at else now_ns
    if name == UTC_DAYS:
        today = around_ns // _DAY_NS
        return tuple(day * _DAY_NS for day in range(today - _DAYS, today + _DAYS + 1))
    around = datetime.fromtimestamp(around_ns / 1e9, UTC)
    first, last = around - timedelta(days=_DAYS), around + timedelta(days=_DAYS)
    return _market_opens(name, first.date().isoformat(), last.date().isoformat())


def _day_ns(date: str) -> int:
    try:
        day = datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as wrong:
        raise UsageError(f"expected a day such as 2020-01-30 behind the @ of a calendar, found {date!r}") from wrong
    return int(day.timestamp()) * 1_000_000_000
