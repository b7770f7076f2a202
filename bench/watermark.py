"""What the watermark of a socket (TCP_NOTSENT_LOWAT) costs in a send: CPU of a flush with it and without, in turn.

    python bench/watermark.py [--clients 64] [--flushes 1500] [--rounds 9]

Each flush brings one trade of each of 20 symbols to every client, over loopback to a child that reads. CPU is the
thread's, user and system, for each write; the ratio is of the two halves of a pair, so that it drifts with neither.
"""

import argparse
import os
import selectors
import socket
import statistics
import time

import numpy as np

from probe import SYMBOLS, Rig, pair
from tickcast.model.record import record_bytes


def reader(far_ends: list[socket.socket]) -> int:
    """Read everything, in a child; returns its number."""
    child = os.fork()
    if child:
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


def cpu_us_per_write(watermark: int, clients: int, flushes: int) -> tuple[float, int]:
    """CPU of the thread for each write, us, and how often a socket was full."""
    rig = Rig(watermark=watermark, quantum_max_ns=0, slow_blocked_ns=0, sends_max=1_000_000)
    near, far = zip(*(pair() for _ in range(clients)), strict=True)
    for connection in (*near, rig.ours):
        connection.set_inheritable(False)
    child = reader([*far, rig.theirs])
    for connection in near:
        rig.watch(rig.hub.open(connection.fileno()), range(SYMBOLS), 0)
    used = writes = refused = 0
    for number in range(flushes):
        now = time.time_ns()
        records = rig.template.copy()
        records["price"] = records["id"] = np.arange(number * SYMBOLS + 1, (number + 1) * SYMBOLS + 1)
        records["ts_event"] = records["ts_recv"] = now
        rig.hub.apply(record_bytes(records), now)
        rig.hub.encode(now)
        begun = time.thread_time_ns()
        flushed = rig.hub.send(now)
        used += time.thread_time_ns() - begun
        writes += flushed.writes
        for client, _ in flushed.unsent:
            refused += 1
            rig.hub.drained(client)
    rig.fanout.stop()
    for connection in (*near, rig.ours):
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()
    for connection in (*far, rig.theirs):
        connection.close()
    os.waitpid(child, 0)
    return used / 1e3 / max(writes, 1), refused


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--flushes", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    found: dict[int, list[tuple[float, int]]] = {65_536: [], 0: []}
    for turn in range(arguments.rounds):
        for watermark in list(found) if turn % 2 else reversed(list(found)):
            found[watermark].append(cpu_us_per_write(watermark, arguments.clients, arguments.flushes))
    ratios = sorted(one[0] / other[0] for one, other in zip(found[65_536], found[0], strict=True))
    print("| watermark | CPU us a write: median (lowest to highest) | full sockets |\n|---|---|---|")
    for watermark, runs in found.items():
        costs = [cost for cost, _ in runs]
        spread = f"{statistics.median(costs):.2f} ({min(costs):.2f} to {max(costs):.2f})"
        print(f"| {watermark or 'as the system has it'} | {spread} | {sum(refused for _, refused in runs)} |")
    print(f"\nRatio of a pair: {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})")


if __name__ == "__main__":
    main()
