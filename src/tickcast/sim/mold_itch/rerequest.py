"""The MoldUDP64 re-request server: one datagram asks, one packet answers, silence says no."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from tickcast.sim.faults import FaultGate
from tickcast.sim.mold_itch.packets import MoldSession, RequestError, parse_request
from tickcast.sim.udp.lines import touched

LINE = "rerequest"
"""Name of this server to the faults."""


class RerequestServer(asyncio.DatagramProtocol):
    """Answers from the histories of the present session and the one before."""

    def __init__(self, session: Callable[[str], MoldSession | None], faults: FaultGate) -> None:
        self.served = 0
        self.messages = 0
        self.refused: dict[str, int] = {}
        self._session = session
        self._faults = faults
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, host: str, port: int) -> str:
        """Listen; returns the address."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        bound = transport.get_extra_info("sockname")
        return f"{bound[0]}:{bound[1]}"

    def stop(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        # uvloop's transport has the interface and not the base class
        self._transport = cast("asyncio.DatagramTransport", transport)

    def error_received(self, exc: Exception) -> None:
        """Ignore: whoever asked has gone."""
        del exc

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer a request."""
        try:
            answer = self._answer(data)
        except RequestError as error:
            reason = str(error)
            self.refused[reason] = self.refused.get(reason, 0) + 1
            return
        self.served += 1
        datagrams, delay_s = touched(self._faults, LINE, answer)
        if delay_s:
            asyncio.get_running_loop().call_later(delay_s, self._send, datagrams, addr)
        else:
            self._send(datagrams, addr)

    def _answer(self, data: bytes) -> bytes:
        if self._faults.throttles(LINE) is not None:
            raise RequestError("throttled")
        name, first, count = parse_request(data)
        session = self._session(name)
        if session is None:
            raise RequestError("session")
        answer = session.answer(first, count)
        self.messages += int.from_bytes(answer[18:20], "big")
        return answer

    def _send(self, datagrams: list[bytes], addr: Any) -> None:
        if self._transport is not None:
            for datagram in datagrams:
                self._transport.sendto(datagram, addr)

    def state(self) -> dict[str, Any]:
        """Counters: requests answered, messages in the answers, requests not answered by reason."""
        return {"served": self.served, "messages": self.messages, "refused": dict(self.refused)}
