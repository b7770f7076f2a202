"""tickcast's hub as a server of the harness that `peers.py` runs. Not to be run by itself.

MODE: each (a flush for each tick), turn (a flush for each turn), hold (the hub's own quantum, up to 10 ms). The hub,
its socket writes and the protocol class are those of fanout_server.py; every change is a frame (mode ``all``), none is
merged. The harness's clients look for ``"t":`` and a CLOCK_MONOTONIC time in each update: this runs on a core built
with the feature ``stamp``, where the trade's size has that name, and the publisher writes the time there.

The harness: PORT, SYMBOLS, FAN, CREDIT (file of 8 bytes, updates received so far), WINDOW, BURST, MAX_SECONDS; on the
standard input ``rate 0``, ``rate N`` (ticks a second), ``rate max``, each answered with ``ticks T``.
"""

import asyncio
import os
import signal
import sys
import threading
import time
from pathlib import Path

import uvloop

from fanout_pace import HOLD_NS
from fanout_server import TickcastClient, TickcastServer
from tickcast._native import CHANNEL_PRICE, MODE_ALL, PRICE_FIELDS

FIELDS = ("price", "t", "timestamp", "volume")
"""As many bytes as the harness's own servers send, within some."""
TURN_TICKS_MAX = 500


def env(name: str, otherwise: int) -> int:
    return int(os.environ.get(name) or otherwise)


class Orders:
    """What the harness asks for: how many ticks, and when."""

    def __init__(self) -> None:
        self._burst, self._fan, self._window = env("BURST", 250), env("FAN", 20), env("WINDOW", 100_000)
        self._credit = Path(os.environ["CREDIT"]).open("rb")  # noqa: SIM115  as long as the process
        self.is_saturating = False
        self._rate = 0.0
        self._since_s = 0.0
        self._since_ticks = 0
        self.ticks = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in sys.stdin:
            word, _, rate = line.strip().partition(" ")
            if word == "rate":
                self._since_s, self._since_ticks = time.monotonic(), self.ticks
                self.is_saturating, self._rate = rate == "max", 0.0 if rate == "max" else float(rate)
                print(f"ticks {self.ticks}", flush=True)
        os._exit(0)

    def due(self) -> int:
        """Ticks to publish now."""
        if not self.is_saturating and not self._rate:
            return 0
        received = int.from_bytes(os.pread(self._credit.fileno(), 8, 0), "little")
        room = (self._window - (self.ticks * self._fan - received)) // self._fan
        paced = int((time.monotonic() - self._since_s) * self._rate) - (self.ticks - self._since_ticks)
        return max(0, min(self._burst if self.is_saturating else paced, room, TURN_TICKS_MAX))


class StampingServer(TickcastServer):
    """Writes the time of publishing into every record."""

    def __init__(self, *, hold_ns: int) -> None:
        super().__init__(hold_ns=hold_ns, mode=MODE_ALL, rate=0)
        self.fields = sum(1 << PRICE_FIELDS.index(name) for name in FIELDS)

    def subscribe(self, client: int, symbol: str, now: int) -> None:
        """Without the snapshot, which the harness would count as an update."""
        super().subscribe(client, symbol, now)
        if (at := self.hub.position(symbol, CHANNEL_PRICE)) is not None:
            self.hub.resume(client, CHANNEL_PRICE, symbol, now, epoch=at.epoch, seq=at.seq)

    def stamp(self) -> None:
        """The next publish happens now."""
        self.stamp_ns = time.monotonic_ns()
        self.template["size"] = self.stamp_ns


async def serve(port: int, mode: str) -> None:
    orders, server = Orders(), StampingServer(hold_ns=HOLD_NS if mode == "hold" else 0)
    await asyncio.get_running_loop().create_server(lambda: TickcastClient(server), "127.0.0.1", port, backlog=1024)
    print("listening", flush=True)
    while True:
        count = orders.due()
        step = 1 if mode == "each" else max(count, 1)
        for _ in range(0, count, step):
            server.stamp()
            server.publish(orders.ticks, step)
            orders.ticks += step
            server.flush()
        server.flush()
        await asyncio.sleep(0 if count and orders.is_saturating else 0.001)


def main() -> None:
    if "t" not in PRICE_FIELDS:
        raise SystemExit("expected a core built with the feature stamp, found the usual one; see peers.py")
    signal.alarm(env("MAX_SECONDS", 180))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(os.environ["PORT"]), os.environ.get("MODE", "turn")))


if __name__ == "__main__":
    main()
