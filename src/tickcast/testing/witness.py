"""A well-behaved client that watches while others misbehave, by a library that nobody here wrote.

::

    with Witness(instance.stream_url, symbols) as witness:
        ...
        witness.check()     # nothing was noticed: prices came in order, and the counters add up
"""

import json
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Final, Self

import websockets
from websockets.sync.client import ClientConnection, connect

DEADLINE_S: Final = 20.0


class Witness:
    """Watches ``symbols`` in a thread of its own from ``with`` to its end; ``rate`` 0 is unfiltered."""

    def __init__(self, url: str, symbols: Sequence[str], *, rate: float = 0) -> None:
        self._url = url
        self._rate = rate
        self._symbols = tuple(symbols)
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, name="witness", daemon=True)
        self._stack = ExitStack()
        self._connection: ClientConnection | None = None
        self._syncs = 0
        self._synced: dict[str, Any] = {}
        self._seqs: dict[str, int] = {}
        self._received: Counter[str] = Counter()
        self._faults: list[str] = []
        self.updates = 0
        """Updates received so far."""

    def __enter__(self) -> Self:
        """Connect and subscribe."""
        self._connection = self._stack.enter_context(connect(self._url, compression=None, max_size=None))
        self._connection.send(json.dumps({"action": "subscribe", "symbols": self._symbols, "rate": self._rate}))
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        self._stack.close()
        self._reader.join(DEADLINE_S)

    def leave(self) -> None:
        """Disconnect now; the end of ``with`` does nothing more."""
        self.__exit__()

    def check(self, *, updates: int = 50) -> None:
        """Wait for that many more updates, then sync.

        Raises:
            AssertionError: a disconnect, a ``seq`` that did not rise, an error, counters that do not add up, or
                silence.
        """
        self.wait(updates)
        assert self._connection is not None, "not connected"
        self._syncs += 1
        self._connection.send(json.dumps({"action": "sync", "id": self._syncs}))
        self._until(lambda: self._synced.get("id") == self._syncs, "synced")
        counted = self._synced["channels"]["price"]
        if set(counted) != set(self._symbols):
            raise AssertionError(f"the counters are of {sorted(counted)}, expected {sorted(self._symbols)}")
        for symbol, row in counted.items():
            if row["published"] != row["delivered"] + row["merged"] + row["lost"]:
                raise AssertionError(f"{symbol}: published is not delivered + merged + lost: {row}")
            if row["delivered"] != self._synced["received"][symbol]:
                raise AssertionError(f"{symbol}: received {self._synced['received'][symbol]} updates, expected {row}")

    def wait(self, updates: int) -> None:
        """Wait for that many more updates."""
        goal = self.updates + updates
        self._until(lambda: self.updates >= goal, f"{updates} more updates")

    def _until(self, condition: Any, what: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._faults or condition(), DEADLINE_S)
            if self._faults:
                raise AssertionError(f"the witness noticed: {self._faults[:5]}")
            if not condition():
                raise AssertionError(f"expected {what} within {DEADLINE_S:g} s, {self.updates} updates so far")

    def _read(self) -> None:
        assert self._connection is not None
        try:
            while True:
                message = json.loads(self._connection.recv())
                with self._changed:
                    self._take(message)
                    self._changed.notify_all()
        except websockets.ConnectionClosed as closed:
            with self._changed:
                self._faults.append(f"disconnected: {closed}")
                self._changed.notify_all()

    def _take(self, frame: dict[str, Any]) -> None:
        symbol = str(frame.get("symbol"))
        match frame["type"]:
            case "update":
                self.updates += 1
                self._received[symbol] += 1
                if frame["seq"] <= self._seqs.get(symbol, frame["seq"]):
                    self._faults.append(f"{symbol}: seq {frame['seq']} after {self._seqs.get(symbol)}")
                self._seqs[symbol] = frame["seq"]
            case "snapshot":
                if symbol in self._seqs:
                    self._faults.append(f"{symbol}: a second snapshot")
                self._seqs[symbol] = frame["seq"]
            case "synced":
                self._synced = {**frame, "received": Counter(self._received)}
            case "error":
                self._faults.append(str(frame))
