"""What the sessions of all channels share: asking, resuming, refusals, counting. No I/O, no clock.

A session is one stream's side of the conversation over all its connections: messages in; what the user gets, and
requests, out. It fails closed: what cannot be proved to follow what is known is dropped and asked for again.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Generic, TypeVar

from tickcast.client.codecs import JSON, Codec
from tickcast.client.counters import Counters, Counting, Proofs
from tickcast.client.errors import ProtocolError, RequestError, refused

T = TypeVar("T")
MISSING: Final = frozenset({"no_such_symbol", "not_entitled"})
LOST: Final = "connection lost"
_DATA: Final = frozenset({"update", "snapshot", "trade", "bar", "lost"})


class ChannelSession(ABC, Generic[T]):
    """One stream of one channel."""

    channel: str
    """As requests name it; frames of ``price`` do not."""
    is_counted = True
    """Whether the gateway counts what it sends there."""

    def __init__(self, symbols: Iterable[str], terms: dict[str, Any], *, is_lossy: bool = False) -> None:
        """``terms``: rate, mode, fields, depth, interval of the request.

        Raises:
            RequestError: there is no symbol.
        """
        self._codec: Codec = JSON
        self._symbols = dict.fromkeys(symbols)
        if not self._symbols:
            raise RequestError("expected at least one symbol, found none")
        self._terms = {"channel": self.channel, **terms}
        self._synced_as = self.channel
        """Name of the channel in ``synced``."""
        self._is_lossy = is_lossy
        self._members: dict[str, None] = {}
        """What patterns stand for."""
        self._places: dict[str, tuple[int, int]] = {}
        """Epoch and seq of the newest frame of each symbol."""
        self._unknown: set[str] = set()
        self._wanted: list[str] = []
        self._again: list[dict[str, Any]] = []
        """Requests that the gateway could not serve just now."""
        self._open: dict[int, dict[str, Any]] = {}
        """Requests without a reply, by their number."""
        self._number = 0
        self.delay_s = 0.0
        """How late everything is, as the gateway said last; 0 = it is not."""
        self._here = Counting(is_lossy=is_lossy)
        self._total = Counting(is_lossy=is_lossy)
        self._proofs = {"digests": 0, "digests_failed": 0, "counters": 0, "counters_failed": 0}

    # ------------------------------------------------------------------ for the shell

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols and patterns that are asked for."""
        return tuple(self._symbols)

    @property
    def counters(self) -> dict[str, Counters]:
        """What came and what did not, by symbol."""
        return self._total.rows()

    @property
    def proofs(self) -> Proofs:
        """What was compared with the gateway's own sums."""
        return Proofs(**self._proofs)

    @property
    def needs_care(self) -> bool:
        """Whether :meth:`care` has something to ask."""
        return bool(self._unknown or self._again)

    def connected(self, codec: Codec = JSON) -> list[str | bytes]:
        """Return the first requests on a new connection, which speaks ``codec``: all symbols, resumed where we were."""
        self._codec = codec
        self._here = Counting(is_lossy=self._is_lossy)
        self._wanted.clear()
        self._again.clear()
        self._open.clear()
        places = self._resumed_places()
        # Patterns stand for their members anew, but only names can be resumed.
        named = [*self._symbols, *(name for name in self._members if name in places)]
        request: dict[str, Any] = {"action": "subscribe", "symbols": list(dict.fromkeys(named)), **self._terms}
        resume = {symbol: {"epoch": epoch, "seq": seq} for symbol, (epoch, seq) in places.items() if symbol in named}
        if resume:
            request["resume"] = resume
        return [self._request(request)] if named else []

    def disconnected(self) -> list[T]:
        """What there is to tell when the connection breaks."""
        return []

    def add(self, symbols: Iterable[str]) -> list[str | bytes]:
        """Watch more symbols; the requests for it, if there is a connection."""
        new = [symbol for symbol in dict.fromkeys(symbols) if symbol not in self._symbols]
        self._symbols.update(dict.fromkeys(new))
        return [self._request({"action": "subscribe", "symbols": new, **self._terms})] if new else []

    def drop(self, symbols: Iterable[str]) -> list[str | bytes]:
        """Watch symbols no more; the requests for it, if there is a connection."""
        gone = [symbol for symbol in dict.fromkeys(symbols) if symbol in self._symbols]
        for symbol in gone:
            del self._symbols[symbol]
            self._unknown.discard(symbol)
            self._places.pop(symbol, None)
            self._here.forget(symbol)
            self._forgotten(symbol)
        return [self._end(gone)] if gone else []

    def care(self) -> list[str | bytes]:
        """Requests for now and then: symbols that were not known, and what could not be served."""
        again, self._again = self._again, []
        requests = [self._request(request) for request in again]
        if self._unknown:
            requests.append(self._request({"action": "subscribe", "symbols": sorted(self._unknown), **self._terms}))
        return requests

    def sync(self) -> list[str | bytes]:
        """The request that has the gateway tell its counters."""
        return [self._request({"action": "sync"})] if self.is_counted else []

    def requests(self) -> list[str | bytes]:
        """Requests that what was received calls for: anew where it cannot be trusted."""
        if not self._wanted:
            return []
        wanted, self._wanted = [symbol for symbol in self._wanted if self._is_watched(symbol)], []
        if not wanted:
            return []
        for symbol in wanted:
            self._here.forget(symbol)
        return [self._end(wanted), self._request({"action": "subscribe", "symbols": wanted, **self._terms})]

    def receive(self, message: str | bytes) -> list[T]:
        """Take a message and return what it makes.

        Raises:
            ClientError: the gateway refused what we asked for, or what came is not its protocol.
        """
        made: list[T] = []
        for frame in self._codec.frames(message):
            try:
                self._take(frame, made)
            except (KeyError, TypeError, ValueError, AttributeError) as wrong:
                raise ProtocolError(
                    f"expected a whole frame of the gateway, found {str(frame)[:200]}: {wrong!r}"
                ) from None
        return made

    def _take(self, frame: dict[str, Any], made: list[T]) -> None:
        kind = frame.get("type")
        if kind in _DATA:
            self._data(kind, frame, made)
        elif kind == "status":
            if self._is_watched(frame["symbol"]):
                self._status(frame, made)
        elif kind == "subscribed":
            self._replied(frame)
            if frame["channel"] == self.channel:
                self.delay_s = float(frame.get("delay_s") or 0.0)
                self._subscribed(frame, made)
        elif kind == "resumed":
            self._resumed(frame, made)
        elif kind == "synced":
            self._replied(frame)
            self._synced(frame)
        elif kind == "error":
            self._error(frame)
        else:
            self._replied(frame)  # hb, pong, ok, unsubscribed, and what later gateways may add

    def _data(self, kind: str, frame: dict[str, Any], made: list[T]) -> None:
        if frame.get("channel", "price") != self.channel:
            return
        symbol = frame["symbol"]
        if symbol not in self._symbols and symbol not in self._members:
            return
        epoch, seq = frame.get("epoch"), frame["seq"]
        is_lost = kind == "lost"
        self._here.take(symbol, epoch, seq, is_lost=is_lost)
        self._total.take(symbol, epoch, seq, is_lost=is_lost)
        self._frame(kind, frame, made)

    # ------------------------------------------------------------------ what each channel decides

    def _resumed_places(self) -> dict[str, tuple[int, int]]:
        return {}

    def _missing(self, symbol: str, state: str, made: list[T]) -> None:
        """The gateway knows no such symbol, or gives us none."""

    def _forgotten(self, symbol: str) -> None:
        """The symbol is watched no more."""

    def _standing(self, symbol: str, standing: dict[str, Any]) -> None:
        """Where a symbol's counting begins."""

    def _recovered(self, symbol: str, outcome: dict[str, Any], made: list[T]) -> None:
        """All that came while the connection was down is known, or will be."""

    def _not_recovered(self, symbol: str, outcome: dict[str, Any], made: list[T]) -> None:
        """What came while the connection was down cannot be proved to be known."""

    def _status(self, frame: dict[str, Any], made: list[T]) -> None:
        """The state of a symbol changed."""

    @abstractmethod
    def _frame(self, kind: str, frame: dict[str, Any], made: list[T]) -> None:
        """Take a frame of the channel."""

    # ------------------------------------------------------------------ common parts

    def _is_watched(self, symbol: str) -> bool:
        return symbol in self._symbols or symbol in self._members

    def _request(self, request: dict[str, Any]) -> str | bytes:
        self._number += 1
        self._open[self._number] = request
        return self._codec.request({**request, "id": self._number})

    def _end(self, symbols: list[str]) -> str | bytes:
        request = {"action": "unsubscribe", "symbols": symbols, "channel": self.channel}
        if "interval" in self._terms:
            request["interval"] = self._terms["interval"]
        return self._request(request)

    def _replied(self, frame: dict[str, Any]) -> None:
        number = frame.get("id")
        if isinstance(number, int):
            self._open.pop(number, None)

    def _subscribed(self, frame: dict[str, Any], made: list[T]) -> None:
        for members in (frame.get("patterns") or {}).values():
            self._members.update(dict.fromkeys(members))
        for symbol, standing in frame["symbols"].items():
            if standing["state"] not in MISSING:
                self._unknown.discard(symbol)
                if self.is_counted:
                    self._here.begin(symbol, standing["epoch"], standing["seq"])
                    self._total.begin(symbol, standing["epoch"], standing["seq"])
                self._standing(symbol, standing)
            elif symbol not in self._unknown and self._is_watched(symbol):
                self._unknown.add(symbol)
                self._missing(symbol, standing["state"], made)

    def _resumed(self, frame: dict[str, Any], made: list[T]) -> None:
        for symbol, outcome in frame["symbols"].items():
            if outcome["recovered"]:
                self._recovered(symbol, outcome, made)
            else:
                self._not_recovered(symbol, outcome, made)

    def _synced(self, frame: dict[str, Any]) -> None:
        agreed, failed = self._here.compare(frame["channels"].get(self._synced_as, {}))
        self._proofs["counters"] += agreed
        self._proofs["counters_failed"] += failed

    def _error(self, frame: dict[str, Any]) -> None:
        code = int(frame["code"])
        error = refused(code, str(frame.get("reason", "")), frame.get("symbols") or ())
        if error is not None:
            raise error
        request = self._open.pop(frame.get("id") or 0, None)
        if request is not None and request["action"] != "sync":
            self._again.append(request)

    def _ask_again(self, symbol: str) -> None:
        if symbol not in self._wanted:
            self._wanted.append(symbol)


def decimal(name: str, value: object) -> Decimal:
    """Return an exact number of a frame.

    Raises:
        ProtocolError: it is none.
    """
    try:
        return value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        raise ProtocolError(f"{name}: expected a decimal number from the gateway, found {value!r}") from None


def decimal_or_none(name: str, value: object) -> Decimal | None:
    """Return an exact number of a frame, or None where it is not known."""
    return None if value is None else decimal(name, value)
