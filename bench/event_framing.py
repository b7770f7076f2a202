"""What an event costs when the hub writes it to the socket, and when it goes through a socket pair and Python.

    python bench/event_framing.py [--clients 500] [--updates 100]

Each way in turn, several times; CPU of this process for each delivery. The peers' ends are emptied between
two updates, outside of what is measured.
"""

import argparse
import asyncio
import socket
import statistics
import time

import uvloop

from tickcast import _native
from tickcast.model.record import Flag, Kind, State, empty_records, record_bytes
from tickcast.testing.gateway import definition

ROUNDS = 5


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    ours.setblocking(False)  # noqa: FBT003
    theirs.settimeout(5)
    return ours, theirs


def quote(number: int) -> bytes:
    """A bid that no earlier one equals."""
    rows = empty_records(1)
    rows["instrument"] = _native.instrument_id("XNAS:AAPL")
    rows["kind"], rows["flags"] = Kind.BID, Flag.LAST_OF_EVENT
    rows["price"], rows["price_scale"], rows["size"] = 18_500 + number, 2, 100
    return record_bytes(rows)


class Relay(asyncio.Protocol):
    """Reads frames of the hub from its half of a pair and writes events to the client."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self.written = 0

    def data_received(self, data: bytes) -> None:
        """Frame anew."""
        out = []
        while data:
            length, start = data[1], 2
            if length == 126:
                length, start = int.from_bytes(data[2:4], "big"), 4
            payload = data[start : start + length]
            name = payload[9 : payload.index(b'"', 9)]
            out.append(b"data: " + payload + b"\nevent: " + name + b"\n\n")
            data = data[start + length :]
        self._client.send(b"".join(out))
        self.written += 1


async def measure(clients: int, updates: int, *, direct: bool) -> float:
    """Return the CPU time of one delivery in µs."""
    hub = _native.Hub(epoch=1, sends_max=1_000_000, quantum_max_ns=0)
    now_ns = time.time_ns()
    names = [definition("XNAS:AAPL", primary=True)]
    hub.define(names, now_ns)
    hub.set_feed_state("xnas", State.LIVE, "", now_ns)
    loop = asyncio.get_running_loop()
    ends, transports, relays = [], [], []
    for _ in range(clients):
        ours, theirs = pair()
        ends += [ours, theirs]
        if direct:
            client = hub.open(ours.fileno())
            hub.configure(client, codec=6, batch=False)
            hub.set_ids(client, b"1abcdef.", 4096)
        else:
            left, right = socket.socketpair()
            left.setblocking(False)  # noqa: FBT003
            client = hub.open(left.fileno())
            transport, relay = await loop.create_connection(lambda ours=ours: Relay(ours), sock=right)
            transports.append(transport)
            relays.append(relay)
            ends.append(left)
        hub.subscribe(client, 0, "XNAS:AAPL", 0, 0, 0, now_ns)
    readers = ends[1::2] if direct else ends[1::3]
    spent = 0.0
    for number in range(updates + 1):
        now_ns += 60_000_000
        hub.apply(quote(number), now_ns)
        began = time.process_time()
        hub.flush(now_ns)
        while not direct and sum(relay.written for relay in relays) < clients * (number + 1):  # noqa: ASYNC110
            await asyncio.sleep(0)
        if number:
            spent += time.process_time() - began
        for reader in readers:
            reader.recv(65_536)
    for transport in transports:
        transport.close()
    for end in ends:
        end.close()
    await asyncio.sleep(0)
    return spent / clients / updates * 1e6


async def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--updates", type=int, default=100)
    arguments = parser.parse_args()
    found: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(ROUNDS):
        for direct, figures in found.items():
            figures.append(await measure(arguments.clients, arguments.updates, direct=direct))
    for direct, figures in found.items():
        name = "the hub's framing" if direct else "a socket pair"
        print(f"{name}: median {statistics.median(figures):.1f} µs of CPU a delivery, {[round(f, 1) for f in figures]}")


if __name__ == "__main__":
    uvloop.run(main())
