"""What sessions of ``trades``, ``book`` and ``bars`` share: asking, resuming, refusals. No I/O, no clock."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Generic, TypeVar

from tickcast.client.codecs import JSON, Codec
from tickcast.client.tick import StreamError

T = TypeVar("T")
REFUSED_FOR_GOOD: Final = range(4000, 4100)
"""Errors that the same request would meet again; so would a connection over its limits (4102)."""
TOO_MANY_SYMBOLS: Final = 4102
MISSING: Final = frozenset({"no_such_symbol", "not_entitled"})
LOST: Final = "connection lost"


class ChannelSession(ABC, Generic[T]):
    """One stream of one channel: frames in; what the user gets, and requests, out."""

    def __init__(self, symbols: Iterable[str], terms: dict[str, Any], codec: Codec = JSON) -> None:
        """``terms``: channel, rate, depth, interval of the request."""
        self._codec = codec
        self._symbols = tuple(dict.fromkeys(symbols))
        self._terms = terms
        self._places: dict[str, tuple[int, int]] = {}
        """Epoch and seq of the newest frame of each symbol."""
        self._unknown: set[str] = set()
        self._wanted: list[str] = []

    def connected(self) -> str | bytes:
        """Return the first request on a new connection: all symbols, resumed where we were."""
        request: dict[str, Any] = {"action": "subscribe", "symbols": list(self._symbols), **self._terms}
        resume = {symbol: {"epoch": epoch, "seq": seq} for symbol, (epoch, seq) in self._resumed_places().items()}
        if resume:
            request["resume"] = resume
        self._wanted.clear()
        return self._codec.request(request)

    def disconnected(self) -> list[T]:
        """What there is to tell when the connection breaks."""
        return []

    def retry(self) -> list[str | bytes]:
        """Requests for symbols the gateway did not know when it was asked."""
        if not self._unknown:
            return []
        return [self._codec.request({"action": "subscribe", "symbols": sorted(self._unknown), **self._terms})]

    def requests(self) -> list[str | bytes]:
        """Requests that what was received calls for: anew where it cannot be trusted."""
        if not self._wanted:
            return []
        wanted, self._wanted = self._wanted, []
        end = {"action": "unsubscribe", "symbols": wanted, "channel": self._terms["channel"]}
        return [
            self._codec.request(end),
            self._codec.request({"action": "subscribe", "symbols": wanted, **self._terms}),
        ]

    def receive(self, message: str | bytes) -> list[T]:
        """Take a message and return what it makes.

        Raises:
            StreamError: the gateway refused what we asked for, or what came is not its protocol.
        """
        made: list[T] = []
        for frame in self._codec.frames(message):
            kind = frame.get("type")
            if kind == "error":
                code = int(frame["code"])
                if code in REFUSED_FOR_GOOD or code == TOO_MANY_SYMBOLS:
                    raise StreamError(f"the gateway refused with {code}: {frame['reason']}")
            elif kind == "subscribed":
                self._subscribed(frame, made)
            elif kind == "resumed":
                for symbol, outcome in frame["symbols"].items():
                    if not outcome["recovered"]:
                        self._not_recovered(symbol, str(outcome.get("reason", "")), made)
            elif frame.get("channel") == self._terms["channel"] and frame.get("symbol") in self._symbols:
                self._frame(str(kind), frame, made)
        return made

    # ------------------------------------------------------------------ what each channel decides

    def _resumed_places(self) -> dict[str, tuple[int, int]]:
        return {}

    def _missing(self, symbol: str, state: str, made: list[T]) -> None:
        """The gateway knows no such symbol."""

    def _standing(self, symbol: str, standing: dict[str, Any]) -> None:
        """Where a symbol's counting begins."""

    def _not_recovered(self, symbol: str, reason: str, made: list[T]) -> None:
        """What came while the connection was down cannot be proved to be known."""

    @abstractmethod
    def _frame(self, kind: str, frame: dict[str, Any], made: list[T]) -> None:
        """Take a frame of the channel."""

    # ------------------------------------------------------------------ common parts

    def _subscribed(self, frame: dict[str, Any], made: list[T]) -> None:
        for symbol, standing in frame["symbols"].items():
            if standing["state"] not in MISSING:
                self._unknown.discard(symbol)
                self._standing(symbol, standing)
            elif symbol not in self._unknown:
                self._unknown.add(symbol)
                self._missing(symbol, standing["state"], made)

    def _ask_again(self, symbol: str) -> None:
        if symbol not in self._wanted:
            self._wanted.append(symbol)


def decimal(name: str, value: object) -> Decimal:
    """Return an exact number of a frame.

    Raises:
        StreamError: it is none.
    """
    try:
        return value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        raise StreamError(f"{name}: expected a decimal number from the gateway, found {value!r}") from None


def decimal_or_none(name: str, value: object) -> Decimal | None:
    """Return an exact number of a frame, or None where it is not known."""
    return None if value is None else decimal(name, value)
