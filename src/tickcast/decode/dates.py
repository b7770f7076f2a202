"""The trading day in a file's name."""

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Final

_EARLIEST: Final = 1990
_LATEST: Final = 2100


def _with(form: str) -> Callable[[str], date]:
    return lambda text: datetime.strptime(text, form).date()  # noqa: DTZ007  a date has no zone


_FORMS: Final[Sequence[tuple[re.Pattern[str], Callable[[str], date]]]] = (
    (re.compile(r"(?<!\d)(\d{4}-\d{2}-\d{2})(?!\d)"), _with("%Y-%m-%d")),
    (re.compile(r"(?<!\d)(\d{8})(?!\d)"), _with("%Y%m%d")),
    (re.compile(r"(?<!\d)(\d{8})(?!\d)"), _with("%m%d%Y")),  # 01302020.NASDAQ_ITCH50
    (re.compile(r"(?<![A-Za-z0-9])S(\d{6})(?!\d)"), _with("%m%d%y")),  # S013020-v50.txt
)


def date_in_name(path: str) -> date | None:
    """Return the date that the digits of a file's name say; None if they say none."""
    name = Path(path).name
    for pattern, parse in _FORMS:
        for digits in pattern.findall(name):
            try:
                day = parse(digits)
            except ValueError:
                continue
            if _EARLIEST <= day.year <= _LATEST:
                return day
    return None
