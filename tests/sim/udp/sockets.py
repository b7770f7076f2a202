"""Datagram sockets for tests."""

import asyncio
import socket
from collections.abc import Callable

TIMEOUT_S = 10.0


class Socket:
    """A bound UDP socket whose datagrams are collected."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0)
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

    async def wait(self, done: Callable[[list[bytes]], object]) -> list[bytes]:
        """Read until ``done`` says so."""
        async with asyncio.timeout(TIMEOUT_S):
            while not done(self.drain()):
                await asyncio.sleep(0.002)
        return self.datagrams

    def close(self) -> None:
        self._socket.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():
            await asyncio.sleep(0.002)
