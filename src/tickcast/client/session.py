"""The client's side of the protocol: messages in; ticks and requests out. No I/O and no clock.

It fails closed. An update is only applied on top of the state it follows (same epoch, a snapshot before it, ``seq``
rising); anything else drops what is known of the symbol and asks for a snapshot. After a break it resumes by
``epoch`` and ``seq``; where the gateway cannot prove that nothing is missing, a snapshot replaces everything.
"""

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from tickcast.client.codecs import JSON, Codec
from tickcast.client.tick import DECIMALS, TEXTS, StreamError, Tick

REFUSED_FOR_GOOD = range(4000, 4100)
"""Errors that the same request would meet again; so would a connection over its limits (4102)."""
TOO_MANY_SYMBOLS = 4102
LOST = "connection lost"


class ClientSession:
    """What one stream knows of its symbols."""

    def __init__(
        self, symbols: tuple[str, ...], *, rate: float, fields: tuple[str, ...] | None, mode: str, codec: Codec = JSON
    ) -> None:
        self._codec = codec
        self._symbols = tuple(dict.fromkeys(symbols))
        self._terms: dict[str, Any] = {"channel": "price", "rate": rate, "mode": mode}
        if fields is not None:
            self._terms["fields"] = list(fields)
        self._known: dict[str, Tick] = {}
        """Newest tick of each symbol; without an entry the next frame must be a snapshot."""
        self._unknown: set[str] = set()
        """Symbols the gateway does not know (yet)."""
        self._seen: set[str] = set()
        """Symbols that had a snapshot once."""
        self._wanted: list[str] = []

    def connected(self) -> str | bytes:
        """Return the first request on a new connection: all symbols, resumed where we were."""
        request: dict[str, Any] = {"action": "subscribe", "symbols": list(self._symbols), **self._terms}
        resume = {symbol: {"epoch": tick.epoch, "seq": tick.seq} for symbol, tick in self._known.items()}
        if resume:
            request["resume"] = resume
        self._wanted.clear()
        return self._codec.request(request)

    def disconnected(self) -> list[Tick]:
        """Ticks that say that nothing is live any more, once for each break."""
        fresh = [tick for tick in self._known.values() if tick.reason != LOST]
        return [self._set(tick, state="stale", reason=LOST, merged=0) for tick in fresh]

    def retry(self) -> list[str | bytes]:
        """Requests for symbols the gateway did not know when it was asked."""
        if not self._unknown:
            return []
        return [self._codec.request({"action": "subscribe", "symbols": sorted(self._unknown), **self._terms})]

    def requests(self) -> list[str | bytes]:
        """Requests that what was received calls for: a snapshot for each symbol whose state cannot be trusted."""
        if not self._wanted:
            return []
        wanted, self._wanted = self._wanted, []
        return [
            self._codec.request({"action": "unsubscribe", "symbols": wanted}),
            self._codec.request({"action": "subscribe", "symbols": wanted, **self._terms}),
        ]

    def receive(self, message: str | bytes) -> list[Tick]:
        """Take a message (a frame, or an array of frames) and return the ticks it makes.

        Raises:
            StreamError: the gateway refused what we asked for, or what came is not its protocol.
        """
        ticks: list[Tick] = []
        for frame in self._codec.frames(message):
            self._frame(frame, ticks)
        return ticks

    def _frame(self, frame: dict[str, Any], ticks: list[Tick]) -> None:
        match frame.get("type"):
            case "update":
                self._update(frame, ticks)
            case "snapshot":
                ticks.append(self._snapshot(frame))
            case "status":
                tick = self._known.get(frame["symbol"])
                if tick is not None:
                    ticks.append(self._set(tick, state=frame["state"], reason=frame.get("reason"), merged=0))
            case "subscribed":
                self._subscribed(frame, ticks)
            case "resumed":
                self._resumed(frame, ticks)
            case "error":
                code = int(frame["code"])
                if code in REFUSED_FOR_GOOD or code == TOO_MANY_SYMBOLS:
                    raise StreamError(f"the gateway refused with {code}: {frame['reason']}")
            case _:
                pass  # hb, pong, ok, unsubscribed, and what later gateways may add

    def _snapshot(self, frame: dict[str, Any]) -> Tick:
        before = self._known.get(frame["symbol"])
        merged = 0
        if before is not None and before.epoch == frame["epoch"]:
            merged = max(0, frame["seq"] - before.seq - 1)
        tick = Tick(
            symbol=frame["symbol"],
            state=frame["state"],
            epoch=frame["epoch"],
            seq=frame["seq"],
            merged=merged,
            reason=frame.get("reason"),
            **_values(frame),
        )
        self._unknown.discard(tick.symbol)
        self._seen.add(tick.symbol)
        self._known[tick.symbol] = tick
        return tick

    def _update(self, frame: dict[str, Any], ticks: list[Tick]) -> None:
        symbol = frame["symbol"]
        before = self._known.get(symbol)
        seq = frame["seq"]
        if before is None or frame.get("epoch", before.epoch) != before.epoch or seq <= before.seq:
            if self._known.pop(symbol, None) is not None:
                ticks.append(Tick(symbol=symbol, state="repairing", reason="updates do not follow each other"))
            if symbol not in self._wanted and symbol in self._symbols:
                self._wanted.append(symbol)
            return
        values = _values(frame)
        values["state"] = frame.get("state", before.state)
        ticks.append(self._set(before, seq=seq, merged=seq - before.seq - 1, **values))

    def _subscribed(self, frame: dict[str, Any], ticks: list[Tick]) -> None:
        for symbol, standing in frame["symbols"].items():
            if standing["state"] not in {"no_such_symbol", "not_entitled"}:
                self._unknown.discard(symbol)
            elif symbol not in self._unknown:
                self._unknown.add(symbol)
                self._known.pop(symbol, None)
                # A gateway that has just started may not have learnt of it: what was there stays stale until a retry.
                if symbol not in self._seen:
                    ticks.append(Tick(symbol=symbol, state=standing["state"]))

    def _resumed(self, frame: dict[str, Any], ticks: list[Tick]) -> None:
        for symbol, outcome in frame["symbols"].items():
            tick = self._known.get(symbol)
            if outcome["recovered"] and tick is not None:
                # A snapshot follows only where something changed; until then the old price has its state again.
                ticks.append(self._set(tick, state=outcome.get("state", "unverified"), reason=None, merged=0))
            else:
                self._known.pop(symbol, None)

    def _set(self, tick: Tick, **changes: Any) -> Tick:
        changed = msgspec.structs.replace(tick, **changes)
        self._known[tick.symbol] = changed
        return changed


def _values(frame: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in frame.items():
        if name in DECIMALS:
            values[name] = None if value is None else _decimal(name, value)
        elif name in TEXTS:
            values[name] = value
    return values


def _decimal(name: str, value: object) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise StreamError(f"{name}: expected a decimal number from the gateway, found {value!r}") from None
