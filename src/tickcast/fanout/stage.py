"""The shell of ``fanout``: decides when the hub flushes, and measures the last hop.

No timer runs while nothing is due. After every applied batch the hub is asked at once (the leading edge); what it
holds back it names a time for, and that one timer is all there is.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from tickcast.fanout.config import Config
from tickcast.model.batch import TickBatch
from tickcast.ports import Clock, Flush
from tickcast.runtime.metrics import counter, gauge, watch_queue

_frames = counter("fanout_frames", "Frames encoded.")
_updates = counter("fanout_updates", "Update frames handed to clients.")
_bytes = counter("fanout_bytes", "Bytes handed to sockets and transports.")
_writes = counter("fanout_writes", "Writes to sockets and transports.")
_sizes = gauge("fanout_size", "Sizes and bounds inside the hub.", ("what",))

_HELD_MAX = 4096
_MEMORY_NS = 250_000_000


class HubFlush(Flush, Protocol):
    """What a flush did."""

    @property
    def next_ns(self) -> int: ...
    @property
    def is_partial(self) -> bool: ...
    @property
    def frames(self) -> int: ...
    @property
    def updates(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def writes(self) -> int: ...


class Flusher(Protocol):
    """The hub as this stage sees it; ``tickcast._native.Hub`` is one."""

    def encode(self, now_ns: int) -> int: ...
    def send(self, now_ns: int) -> HubFlush: ...
    def memory(self) -> Mapping[str, int]: ...


class FanoutStage:
    """Owns the flushes of one hub."""

    def __init__(
        self,
        hub: Flusher,
        *,
        clock: Clock,
        deliver: Callable[[Flush], None],
        measure: Callable[[str, int], None],
    ) -> None:
        """``deliver`` gets what a flush left for the transports; ``measure(hop, ns)`` records a latency."""
        self._hub = hub
        self._clock = clock
        self._deliver = deliver
        self._measure = measure
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0
        self._held: deque[tuple[int, int]] = deque(maxlen=_HELD_MAX)
        self._sent_in_part: deque[tuple[int, int]] = deque(maxlen=_HELD_MAX)
        self._memory = hub.memory()
        self._memory_ns = clock()
        for what in self._memory:
            _sizes.labels(what).set_function(lambda what=what: self._size(what))  # type: ignore[misc]  # lambda default

    def _size(self, what: str) -> int:
        """A size of the hub, read once for all metrics of a scrape: the hub walks its clients for it."""
        now = self._clock()
        if abs(now - self._memory_ns) > _MEMORY_NS:
            self._memory, self._memory_ns = self._hub.memory(), now
        return self._memory[what]

    def watch(self, config: Config) -> None:
        """Publish the hub's queues with their bounds, which grow with the clients and topics there are.

        What a bound costs is not counted by the hub: a client sees it by ``seq``, and history lets go of its oldest.
        """
        queues = {
            "client_buffers": ("buffered_bytes", "clients", config.buffer_max),
            "client_unsent": ("unsent_bytes", "clients", config.unsent_max),
            "price_history": ("price_history", "topics", config.history_count),
            "trade_history": ("trade_history", "topics", config.history_count),
        }
        for name, (what, each, most) in queues.items():
            watch_queue(
                f"fanout.{name}",
                bound=lambda each=each, most=most: self._size(each) * most,  # type: ignore[misc]  # as above
                depth=lambda what=what: self._size(what),  # type: ignore[misc]  # as above
                drops=lambda: math.nan,
            )

    def applied(self, batch: TickBatch, event_ns: int = 0) -> None:
        """State changed: flush what is due. ``event_ns``: exchange's time of the batch's newest event, 0 = unknown."""
        if batch.hops.bus_out:
            self._held.append((batch.hops.bus_out, event_ns))
        self.flush()

    def flush(self) -> None:
        """Flush, deliver, and set the timer for what is held back."""
        held_until = self._hub.encode(self._clock())
        if held_until:
            self._schedule(held_until)
            return
        encoded = self._clock()
        flushed = self._hub.send(encoded)
        if flushed.unsent or flushed.slow or flushed.broken:
            self._deliver(flushed)
        if flushed.updates:
            self._account(flushed, encoded)
        if flushed.is_partial:
            # the conflated part of these is held by a quantum of its own, and that is latency
            self._sent_in_part.extend(self._held)
        else:
            self._sent_in_part.clear()
        # what this flush did not send is conflated: it waits for its interval, not for us
        self._held.clear()
        self._schedule(flushed.next_ns)

    def stop(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _account(self, flushed: HubFlush, encoded: int) -> None:
        _frames.inc(flushed.frames)
        _updates.inc(flushed.updates)
        _bytes.inc(flushed.bytes)
        _writes.inc(flushed.writes)
        written = self._clock()
        batches = self._held if flushed.is_partial else (*self._sent_in_part, *self._held)
        for bus_out, event in batches:
            self._measure("fanout_encode", encoded - bus_out)
            self._measure("fanout_write", written - bus_out)
            if event:
                self._measure("end_to_end", max(0, written - event))

    def _schedule(self, next_ns: int) -> None:
        if self._timer is not None:
            if self._timer_ns == next_ns:
                return
            self._timer.cancel()
            self._timer = None
        if next_ns:
            self._timer_ns = next_ns
            delay_s = max(0.0, (next_ns - self._clock()) / 1e9)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._due)

    def _due(self) -> None:
        self._timer = None
        self.flush()
