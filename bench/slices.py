"""One unfiltered client beside 20,000 conflated to 1 a second in one process, with sliced sends and without, in turn.

    python bench/slices.py [--clients 20000] [--seconds 4] [--rounds 3]

The 20,000 share 64 connections over loopback, whose far ends a child reads: a send costs what it costs, and no process
needs 20,000 files. All of them are due at the same points of the grid, once a second.
"""

import argparse
import gc
import os
import selectors
import socket
import time

from probe import HEAD, SYMBOLS, Rig, pair, row

CONNECTIONS = 64


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


def once(clients: int, seconds: float, sends_max: int) -> list[float]:
    rig = Rig(sends_max=sends_max)
    near, far = zip(*(pair() for _ in range(CONNECTIONS)), strict=True)
    # the child must not hold the probe's end open, nor ours
    rig.ours.set_inheritable(False)
    child = drain(list(far))
    for number in range(clients):
        client = rig.hub.open(near[number % CONNECTIONS].fileno())
        rig.watch(client, [(number + place) % SYMBOLS for place in range(5)], 1)
    while rig.hub.flush(time.time_ns()).is_partial:
        pass
    delays = rig.run(seconds, 1.5)
    for connection in near:
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()
    os.waitpid(child, 0)
    gc.collect()
    return delays


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rows: dict[str, list[list[float]]] = {"256 a flush": [], "all at once": []}
    for _ in range(arguments.rounds):
        for name, sends_max in zip(rows, (256, 1_000_000), strict=True):
            rows[name].append(once(arguments.clients, arguments.seconds, sends_max))
    print(HEAD)
    for name, runs in rows.items():
        print(row(name, runs))


if __name__ == "__main__":
    main()
