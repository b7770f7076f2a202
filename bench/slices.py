"""One unfiltered client beside 20,000 conflated to 1 a second in one process, in slices and all at once, in turn.

    python bench/slices.py [--clients 20000] [--seconds 4] [--rounds 3]

The 20,000 share 64 connections over loopback, whose far ends a child reads: a send costs what it costs, and no process
needs 20,000 files. All of them are due at the same points of the grid, once a second. What a connection does not take
is dropped and its client goes on at once: the table says how many writes that were, of how many. On a machine that
others use too, the delays are theirs as well; the longest flush is in CPU time of the thread, so only its own.
"""

import argparse
import gc
import os
import selectors
import socket
import time

from probe import HEAD, SYMBOLS, Rig, pair, row
from tickcast.ports import Flush

CONNECTIONS = 64
BUFFER = 4 << 20


class Shared(Rig):
    """A rig whose many clients share connections."""

    refused = 0

    def _deliver(self, flushed: Flush) -> None:
        super()._deliver(flushed)
        for client, _ in flushed.unsent:
            self.refused += 1
            self.hub.drained(client)


def drain(far_ends: list[socket.socket]) -> int:
    """Read everything, in a child; returns its number."""
    child = os.fork()
    if child:
        for far_end in far_ends:
            far_end.close()
        return child
    with selectors.DefaultSelector() as selector:
        for far_end in far_ends:
            selector.register(far_end, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                connection = key.fileobj
                if isinstance(connection, socket.socket) and not connection.recv(1 << 20):
                    selector.unregister(connection)
    os._exit(0)


def once(clients: int, seconds: float, sends_max: int) -> tuple[list[float], float, int, float]:
    """Delays of the unfiltered client, ms; writes a second; writes that were not taken whole; longest flush, CPU ms."""
    rig = Shared(sends_max=sends_max, watermark=0, slow_blocked_ns=0)
    near, far = zip(*(pair() for _ in range(CONNECTIONS)), strict=True)
    for connection in near:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    # the child must not hold the probe's end open, nor ours
    rig.ours.set_inheritable(False)
    child = drain(list(far))
    for number in range(clients):
        client = rig.hub.open(near[number % CONNECTIONS].fileno())
        rig.watch(client, [(number + place) % SYMBOLS for place in range(5)], 1)
    is_partial = True
    while is_partial:
        flushed = rig.hub.flush(time.time_ns())
        is_partial = flushed.is_partial
        for client, _ in flushed.unsent:
            rig.hub.drained(client)
    settle_s = 1.5
    delays = rig.run(seconds, settle_s)
    for connection in near:
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()
    os.waitpid(child, 0)
    gc.collect()
    return delays, rig.counting.writes / (seconds + settle_s), rig.refused, rig.counting.longest_ns / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rows: dict[str, list[tuple[list[float], float, int, float]]] = {"256 a flush": [], "all at once": []}
    for _ in range(arguments.rounds):
        for name, sends_max in zip(rows, (256, 1_000_000), strict=True):
            rows[name].append(once(arguments.clients, arguments.seconds, sends_max))
    print(HEAD)
    for name, runs in rows.items():
        writes = sum(run[1] for run in runs) / len(runs)
        refused = sum(run[2] for run in runs)
        longest = max(run[3] for run in runs)
        what = f"{name}: {writes:,.0f} writes a second, {refused:,} not taken, longest flush {longest:.1f} ms of CPU"
        print(row(what, [run[0] for run in runs]))


if __name__ == "__main__":
    main()
