"""Requests, checked: raw text to a request whose every value is known to be good, or a numbered refusal."""

import math
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from tickcast.gateway import messages
from tickcast.gateway.codes import ErrorCode
from tickcast.gateway.timestamps import parse_timestamp

CHANNELS: Final = {"price": 0, "trades": 1}
"""Numbers of the channels in the core."""
CHANNEL_NAMES: Final = tuple(CHANNELS)
MODES: Final = {"merge": 0, "all": 1}
MODE_NAMES: Final = tuple(MODES)
CHANNEL_MODES: Final = {"price": ("merge", "all"), "trades": ("all",)}
"""Modes a channel offers, its default first."""
DEFAULT_RATE: Final = {"merge": 20, "all": 0}
RATE_CLASSES: Final = (0, 1, 2, 5, 10, 20)

_PATH_CODES: Final = {
    "$.channel": ErrorCode.UNKNOWN_CHANNEL,
    "$.mode": ErrorCode.UNKNOWN_MODE,
    "$.rate": ErrorCode.INVALID_RATE,
    "$.fields": ErrorCode.UNKNOWN_FIELD,
    "$.last_seen": ErrorCode.INVALID_TIMESTAMP,
}


class _Identified(msgspec.Struct):
    """The one key of a request that a refusal without reading needs."""

    id: Any = None


_IDENTIFIED: Final = msgspec.json.Decoder(_Identified)

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


def decode(text: bytes) -> dict[str, Any]:
    try:
        raw = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as broken:
        raise Refused(ErrorCode.BROKEN_JSON, f"expected a JSON object, found no JSON: {broken}") from None
    if not isinstance(raw, dict):
        raise Refused(ErrorCode.NOT_AN_OBJECT, f"expected a JSON object, found {type(raw).__name__}")
    return raw


def request_id_of(raw: dict[str, Any]) -> messages.RequestId | None:
    return _known_id(raw.get("id"))


def peek_id(text: bytes) -> messages.RequestId | None:
    """``id`` of a request that is not served; None if it has none that we would repeat.

    Everything else in the text is skipped without being made into objects. The text is bounded by ``frame_max``, and
    how often this is called by the debt at which a flood is closed.
    """
    try:
        return _known_id(_IDENTIFIED.decode(text).id)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _known_id(request_id: object) -> messages.RequestId | None:
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
            text += f"; allowed: {', '.join(CHANNELS)}"
        elif code is ErrorCode.UNKNOWN_MODE:
            text += f"; allowed: {', '.join(MODES)}"
        elif code is ErrorCode.INVALID_RATE:
            text += "; allowed: 0 (unfiltered) or a number above"
        raise Refused(code, text) from None


def channel_number(name: str) -> int:
    number = CHANNELS.get(name)
    if number is None:
        raise Refused(ErrorCode.UNKNOWN_CHANNEL, f"channel: expected one of {', '.join(CHANNELS)}; found {name[:40]!r}")
    return number


def has_terms(request: messages.Channelled) -> bool:
    return not (request.rate is UNSET and request.fields is UNSET and request.mode is UNSET)


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
