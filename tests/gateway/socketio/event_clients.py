import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Literal

import pytest

from tickcast.gateway.config import Config, SocketIoConfig
from tickcast.testing.gateway import RunningGateway, running_gateway

socketio = pytest.importorskip("socketio", reason="python-socketio is not installed")

DEADLINE_S = 15.0
Transports = Literal["websocket", "polling"]


class EventClient:
    """python-socketio's own client, and everything that it was told."""

    def __init__(self, gateway_url: str) -> None:
        self.url = gateway_url
        self.sio = socketio.AsyncClient(reconnection_delay=0.05, reconnection_delay_max=0.2)
        self.events: list[tuple[str, Any]] = []
        self.taps: list[Callable[[str, Any], None]] = []
        self.sio.on("*", self._take)

    def _take(self, event: str, *arguments: Any) -> None:
        body = arguments[0] if arguments else None
        self.events.append((event, body))
        for tap in self.taps:
            tap(event, body)

    async def connect(self, transports: list[str] | None = None, auth: Any = None) -> None:
        await self.sio.connect(self.url, transports=transports, auth=auth)

    async def ask(self, event: str, body: Any = None) -> Any:
        """The acknowledgement of an event."""
        return await self.sio.call(event, {} if body is None else body, timeout=int(DEADLINE_S))

    async def until(self, found: Callable[[str, Any], bool]) -> Any:
        """The body of the first event for which ``found`` holds."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for event, body in self.events:
                    if found(event, body):
                        return body
                await asyncio.sleep(0.005)

    async def price(self, price: str) -> Any:
        """The frame that tells a price."""
        return await self.until(
            lambda event, body: (
                event in {"snapshot", "update"} and Decimal(str(body.get("price"))) == Decimal(price)
                if body.get("price") is not None
                else False
            )
        )

    def frames(self, *kinds: str) -> list[Any]:
        return [body for event, body in self.events if event in kinds]


@asynccontextmanager
async def event_client(url: str, *transports: str, auth: Any = None) -> AsyncIterator[EventClient]:
    client = EventClient(url)
    await client.connect(list(transports) or None, auth)
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):
            await client.sio.shutdown()


def events_config(mode: Any = "memory", *, socketio_settings: dict[str, Any] | None = None, **settings: Any) -> Config:
    return Config(port=0, socketio=SocketIoConfig(mode=mode, **(socketio_settings or {})), **settings)


@asynccontextmanager
async def witnessed(
    config: Config | None = None, **settings: Any
) -> AsyncIterator[tuple[RunningGateway, Callable[[], Any]]]:
    """A gateway with a well-behaved neighbour; the function checks that it gets a new trade."""
    async with running_gateway(config or events_config(), **settings) as gateway, event_client(gateway.url) as witness:
        await witness.ask("subscribe", {"symbols": ["MSFT"], "rate": 0})
        price = Decimal("50.00")

        async def check() -> None:
            nonlocal price
            price += Decimal("0.01")
            gateway.trade("XNAS:MSFT", str(price))
            await witness.price(str(price))

        await check()
        yield gateway, check
        await check()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.01)
