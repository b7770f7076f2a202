"""Requests, checked: an object to a request whose every value is known to be good, or a numbered refusal."""

import math
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from tickcast.gateway import messages
from tickcast.gateway.codes import ErrorCode
from tickcast.gateway.timestamps import parse_timestamp

DEPTHS: Final = {5: 2, 10: 3, 50: 4}
"""Numbers of the core's channels by depth of a book."""
INTERVALS: Final = {"1s": 5, "1m": 6}
"""Numbers of the core's channels by interval of a bar."""
CHANNELS: Final = {"price": (0,), "trades": (1,), "book": tuple(DEPTHS.values()), "bars": tuple(INTERVALS.values())}
"""Numbers of each channel in the core."""
STATUS: Final = "status"
"""The channel that is not in the core."""
CHANNEL_NAMES: Final = tuple(name for name, numbers in CHANNELS.items() for _ in numbers)
"""By number."""
MODES: Final = {"merge": 0, "all": 1, "keyed": 0}
"""Numbers in the core: what is keyed is merged there."""
CHANNEL_MODES: Final = {"price": ("merge", "all"), "trades": ("all",), "book": ("keyed",), "bars": ("keyed",)}
"""Modes a channel offers, its default first."""
DEFAULT_RATE: Final = {"price": 20, "trades": 0, "book": 20, "bars": 1}
DEFAULT_DEPTH: Final = 10
DEFAULT_INTERVAL: Final = "1s"
RATE_CLASSES: Final = (0, 1, 2, 5, 10, 20)

_PATH_CODES: Final = {
    "$.channel": ErrorCode.UNKNOWN_CHANNEL,
    "$.mode": ErrorCode.UNKNOWN_MODE,
    "$.rate": ErrorCode.INVALID_RATE,
    "$.fields": ErrorCode.UNKNOWN_FIELD,
    "$.last_seen": ErrorCode.INVALID_TIMESTAMP,
}


RequestType = TypeVar("RequestType", bound=messages.Request)


class Refused(Exception):  # noqa: N818  an outcome with a number, not a failure of ours
    """A request that is not applied."""

    def __init__(self, code: ErrorCode, reason: str, symbols: list[str] | UnsetType = UNSET) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.symbols = symbols


class Terms(NamedTuple):
    """How a channel's symbols are sent."""

    number: int
    """Of the channel in the core: depth of a book and interval of a bar are in it."""
    rate: int
    fields: int
    """Mask; 0 = all."""
    mode: int


def rate_class(rate: float) -> int:
    """Return the class of a rate: the next lower one, at least 1; 0 stays unfiltered.

    Raises:
        Refused: the rate is negative.
    """
    if not math.isfinite(rate) or rate < 0:
        raise Refused(ErrorCode.INVALID_RATE, f"rate: expected 0 (unfiltered) or a number above, found {rate}")
    if rate == 0:
        return 0
    return max((step for step in RATE_CLASSES if 0 < step <= rate), default=1)


def request_id_of(raw: dict[str, Any]) -> messages.RequestId | None:
    return known_id(raw.get("id"))


def known_id(request_id: object) -> messages.RequestId | None:
    """Return what may be repeated in a reply: a text or an integer; else None."""
    return request_id if isinstance(request_id, str | int) and not isinstance(request_id, bool) else None


def convert(raw: dict[str, Any], wanted: type[RequestType]) -> RequestType:
    try:
        return msgspec.convert(raw, wanted)
    except msgspec.ValidationError as wrong:
        text = str(wrong)
        path = text.rpartition("`$")[2].removesuffix("`")
        code = next(
            (code for start, code in _PATH_CODES.items() if f"${path}".startswith(start)), ErrorCode.INVALID_REQUEST
        )
        if code is ErrorCode.UNKNOWN_CHANNEL:
            text += f"; allowed: {', '.join((*CHANNELS, STATUS))}"
        elif code is ErrorCode.UNKNOWN_MODE:
            text += f"; allowed: {', '.join(MODES)}"
        elif code is ErrorCode.INVALID_RATE:
            text += "; allowed: 0 (unfiltered) or a number above"
        raise Refused(code, text) from None


def numbers_of(channel: str) -> tuple[int, ...]:
    """Numbers in the core of a channel's name.

    Raises:
        Refused: there is no such channel, or it is not in the core.
    """
    numbers = CHANNELS.get(channel)
    if numbers is None:
        allowed = ", ".join((*CHANNELS, STATUS))
        raise Refused(ErrorCode.UNKNOWN_CHANNEL, f"channel: expected one of {allowed}; found {channel[:40]!r}")
    return numbers


def number_of(channel: str, depth: int | UnsetType, interval: str | UnsetType) -> int:
    """Number in the core of a channel with its depth or interval, defaults filled in.

    Raises:
        Refused: the channel has none such.
    """
    numbers = numbers_of(channel)
    if depth is not UNSET and channel != "book":
        raise Refused(ErrorCode.INVALID_REQUEST, f"depth: expected none in channel {channel}")
    if interval is not UNSET and channel != "bars":
        raise Refused(ErrorCode.INVALID_REQUEST, f"interval: expected none in channel {channel}")
    if channel == "book":
        wanted = DEFAULT_DEPTH if depth is UNSET else depth
        if wanted not in DEPTHS:
            raise Refused(ErrorCode.INVALID_REQUEST, f"depth: expected one of {_words(DEPTHS)}; found {wanted}")
        return DEPTHS[wanted]
    if channel == "bars":
        length = DEFAULT_INTERVAL if interval is UNSET else interval
        if length not in INTERVALS:
            raise Refused(
                ErrorCode.INVALID_REQUEST, f"interval: expected one of {_words(INTERVALS)}; found {length[:20]!r}"
            )
        return INTERVALS[length]
    return numbers[0]


def depth_of(number: int) -> int | UnsetType:
    """Depth of a channel of books."""
    return next((depth for depth, of in DEPTHS.items() if of == number), UNSET)


def interval_of(number: int) -> str | UnsetType:
    """Interval of a channel of bars."""
    return next((interval for interval, of in INTERVALS.items() if of == number), UNSET)


def mode_name(number: int, mode: int) -> str:
    """How a mode is called in a channel."""
    if number >= min(DEPTHS.values()):
        return "keyed"
    return "all" if mode == MODES["all"] else "merge"


def is_pattern(symbol: str) -> bool:
    """Whether a name stands for many: ``XNAS:*``, ``class:option``."""
    return symbol.endswith(":*") or symbol.startswith("class:")


def _words(names: Iterable[object]) -> str:
    return ", ".join(str(name) for name in names)


def has_terms(request: messages.Channelled) -> bool:
    named = (request.rate, request.fields, request.mode, request.depth, request.interval)
    return any(value is not UNSET for value in named)


def marks_of(
    resume: dict[str, messages.Place], last_seen: dict[str, str]
) -> dict[str, messages.Place | tuple[int, int]]:
    """By symbol the client's place, or its (time, precision); the place is the better one where there are both."""
    marks: dict[str, messages.Place | tuple[int, int]] = {}
    for symbol, text in last_seen.items():
        try:
            marks[symbol] = parse_timestamp(text)
        except ValueError as wrong:
            raise Refused(ErrorCode.INVALID_TIMESTAMP, f"last_seen of {symbol[:96]}: {wrong}") from None
    return marks | resume
