"""The shell of ``fanout``: decides when the hub flushes, and measures the last hop.

No timer runs while nothing is due. After every applied batch the hub is asked at once (the leading edge); what it
holds back it names a time for, and that one timer is all there is. A flush sends to some hundreds of clients; while
others wait for their turn that time is now, so that sockets are read in between.

The overload ladder is shown the load with the flushes, and by a timer of its own only while it is not at the bottom.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from tickcast.fanout.config import Config
from tickcast.fanout.ladder import Ladder, Limits, Load, Rung
from tickcast.model.batch import TickBatch
from tickcast.ports import Clock, Flush
from tickcast.runtime.clock import thread_ns
from tickcast.runtime.log import get_logger
from tickcast.runtime.metrics import counter, gauge, watch_queue

log = get_logger("fanout")

_frames = counter("fanout_frames", "Frames encoded.")
_updates = counter("fanout_updates", "Update frames handed to clients.")
_bytes = counter("fanout_bytes", "Bytes handed to sockets and transports.")
_writes = counter("fanout_writes", "Writes to sockets and transports.")
_rung = gauge("fanout_rung", "Rung of the overload ladder: 0 normal to 4 no new clients.")
_rung_s = gauge("fanout_rung_seconds", "Time on each rung of the overload ladder, so far.", ("rung",))
_shifted = counter("fanout_shifted", "Changes of the highest rate allowed to a client.", ("reason",))
_sizes = gauge("fanout_size", "Sizes and bounds inside the hub.", ("what",))

_HELD_MAX = 4096
_MEMORY_NS = 250_000_000
_AHEAD_NS = 1_000_000
"""Less than this the wall clock is not ahead: the two were not read at one moment."""
_LOOK_NS = 250_000_000
"""Least time between two looks of the ladder."""


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
    def frame_bytes(self) -> int: ...
    def set_wall_ahead(self, ahead_ns: int) -> None: ...
    def set_cap(self, rate: int) -> None: ...
    def set_quantum_floor(self, floor_ns: int) -> None: ...


def limits_of(config: Config) -> Limits:
    """Return what the ladder measures by."""
    return Limits(
        busy=config.overload_busy,
        lag_ns=int(config.overload_lag_ms * 1e6),
        frame_bytes=config.overload_frames,
        memory_bytes=config.overload_memory_mib << 20,
        rise_ns=int(config.overload_rise_s * 1e9),
        fall_ns=int(config.overload_fall_s * 1e9),
    )


class FanoutStage:
    """Owns the flushes of one hub."""

    def __init__(
        self,
        hub: Flusher,
        *,
        clock: Clock,
        deliver: Callable[[Flush], None],
        measure: Callable[[str, int], None],
        config: Config | None = None,
        on_rung: Callable[[Rung], None] = lambda _: None,
        memory_bytes: Callable[[], int] = lambda: 0,
        thread: Clock = thread_ns,
        wall: Clock | None = None,
    ) -> None:
        """``deliver`` gets what a flush left for the transports; ``measure(hop, ns)`` records a latency.

        ``on_rung`` is told when the overload ladder moves; ``memory_bytes`` is the process's, ``thread`` the CPU time
        of the event loop's thread. ``clock`` is never set, ``wall`` may be: it is what the machine's clock shows.
        """
        self._hub = hub
        self._config = config or Config()
        self.ladder = Ladder(limits_of(self._config), clock())
        self._on_rung = on_rung
        self._memory_bytes = memory_bytes
        self._thread = thread
        self._look_ns, self._look_thread_ns = clock(), thread()
        self._look_timer: asyncio.TimerHandle | None = None
        self._busy_ns = self._lag_ns = 0
        self._is_flushing = self._is_wanted = False
        self._clock = clock
        self._wall = wall or clock
        self._ahead_ns = 0
        self._deliver = deliver
        self._measure = measure
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = self._timer_set_ns = 0
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
        """Flush, deliver, and set the timer for what is held back or has not had its turn."""
        if self._is_flushing:
            # ``deliver`` asks for another one: not inside of this one, and not before the loop had its turn
            self._is_wanted = True
            return
        began = self._clock()
        self._is_flushing = True
        try:
            next_ns = self._flush(began)
        finally:
            self._is_flushing = False
        if self._is_wanted:
            self._is_wanted, next_ns = False, began
        ended = self._clock()
        self._busy_ns += max(0, ended - began)
        self._schedule(next_ns)
        if ended - self._look_ns >= _LOOK_NS:
            self._look(ended)

    def _follow_wall(self, now_ns: int) -> None:
        ahead = self._wall() - now_ns
        if abs(ahead - self._ahead_ns) > _AHEAD_NS:
            self._ahead_ns = ahead
            self._hub.set_wall_ahead(ahead)

    def _flush(self, now_ns: int) -> int:
        self._follow_wall(now_ns)
        held_until = self._hub.encode(now_ns)
        if held_until:
            return held_until
        encoded = self._clock()
        flushed = self._hub.send(encoded)
        if flushed.unsent or flushed.slow or flushed.broken or flushed.shifted:
            for _, _, reason in flushed.shifted:
                _shifted.labels(reason).inc()
            self._deliver(flushed)
        if flushed.updates or flushed.writes:
            self._account(flushed, encoded)
        if flushed.is_partial:
            # the conflated part of these is held by a quantum of its own, or waits for its turn, and that is latency
            self._sent_in_part.extend(self._held)
        else:
            self._sent_in_part.clear()
        # what this flush did not send is conflated: it waits for its interval, not for us
        self._held.clear()
        return flushed.next_ns

    def stop(self) -> None:
        """Cancel the timers."""
        for timer in (self._timer, self._look_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._look_timer = None

    def _account(self, flushed: HubFlush, encoded: int) -> None:
        _frames.inc(flushed.frames)
        _updates.inc(flushed.updates)
        _bytes.inc(flushed.bytes)
        _writes.inc(flushed.writes)
        if not flushed.updates:
            return
        encoded, written = encoded + self._ahead_ns, self._clock() + self._ahead_ns
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
            self._timer_ns, self._timer_set_ns = next_ns, self._clock()
            delay_s = max(0.0, (next_ns - self._timer_set_ns) / 1e9)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._due)

    def _due(self) -> None:
        self._timer = None
        self._lag_ns = max(self._lag_ns, self._clock() - max(self._timer_ns, self._timer_set_ns))
        self.flush()

    # ------------------------------------------------------------------ overload

    def _look(self, now_ns: int) -> None:
        """Show the ladder the load since the last look, and do what it says."""
        took, thread_ns = now_ns - self._look_ns, self._thread()
        load = Load(
            busy=min(1.0, max(self._busy_ns, thread_ns - self._look_thread_ns) / max(took, 1)),
            lag_ns=self._lag_ns,
            frame_bytes=self._hub.frame_bytes(),
            memory_bytes=self._memory_bytes(),
        )
        self._look_ns, self._look_thread_ns = now_ns, thread_ns
        self._busy_ns = self._lag_ns = 0
        before = self.ladder.rung
        rung = self.ladder.look(load, now_ns)
        for each in Rung:
            _rung_s.labels(each.word).set(self.ladder.spent_ns(each) / 1e9)
        if rung != before:
            self._stand_on(rung, before, load)
        if rung and self._look_timer is None:
            self._look_timer = asyncio.get_running_loop().call_later(_LOOK_NS / 1e9, self._look_due)

    def _look_due(self) -> None:
        self._look_timer = None
        now = self._clock()
        if now - self._look_ns >= _LOOK_NS // 2:
            self._look(now)
        elif self.ladder.rung:
            self._look_timer = asyncio.get_running_loop().call_later(_LOOK_NS / 1e9, self._look_due)

    def _stand_on(self, rung: Rung, before: Rung, load: Load) -> None:
        _rung.set(int(rung))
        self._hub.set_quantum_floor(int(self._config.overload_quantum_ms * 1e6) if rung else 0)
        self._hub.set_cap(rung.rate_max)
        report = log.warning if rung > before else log.info
        report(
            "delivery overloaded" if rung > before else "delivery relieved",
            rung=int(rung),
            does=rung.word,
            cause=self.ladder.cause,
            busy=round(load.busy, 2),
            lag_ms=round(load.lag_ns / 1e6, 1),
            frame_bytes=load.frame_bytes,
            memory_bytes=load.memory_bytes,
        )
        self._on_rung(rung)
        # a cap reaches the clients with the next flushes
        self._schedule(self._clock())
