"""A slow MoldUDP64 receiver for tests, from the specification alone."""

import asyncio
import socket
import struct
from collections.abc import Callable

TIMEOUT_S = 10.0


class Socket:
    """A bound UDP socket whose datagrams are collected."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.datagrams: list[bytes] = []

    def drain(self) -> list[bytes]:
        """Everything that has come so far."""
        while True:
            try:
                self.datagrams.append(self._socket.recv(65_536))
            except BlockingIOError:
                return self.datagrams

    def send(self, data: bytes, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket.sendto(data, (host, int(port)))

    async def wait(self, done: Callable[[list[bytes]], bool]) -> list[bytes]:
        """Read until ``done`` says so."""
        async with asyncio.timeout(TIMEOUT_S):
            while not done(self.drain()):
                await asyncio.sleep(0.002)
        return self.datagrams

    def close(self) -> None:
        self._socket.close()


def parse(packet: bytes) -> tuple[str, int, int, list[bytes]]:
    """Session, sequence number, count and messages; asserts that the packet is whole."""
    session, sequence, count = packet[:10], *struct.unpack(">QH", packet[10:20])
    messages = []
    place = 20
    while place < len(packet):
        (length,) = struct.unpack(">H", packet[place : place + 2])
        messages.append(packet[place + 2 : place + 2 + length])
        assert len(messages[-1]) == length
        place += 2 + length
    assert len(messages) == (0 if count == 0xFFFF else count)
    return session.decode(), sequence, count, messages


def by_number(packets: list[bytes], session: str) -> dict[int, bytes]:
    """Messages of one session by sequence number; what comes twice is the same."""
    found: dict[int, bytes] = {}
    for packet in packets:
        name, sequence, _, messages = parse(packet)
        if name == session:
            for number, message in enumerate(messages, sequence):
                assert found.setdefault(number, message) == message
    return found


def request(session: str, first: int, count: int) -> bytes:
    return session.rjust(10).encode() + struct.pack(">QH", first, count)
