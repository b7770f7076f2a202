import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import uvloop

from tickcast import _native
from tickcast.gateway.auth.access import ANYONE
from tickcast.gateway.config import Config
from tickcast.gateway.desk import Desk
from tickcast.gateway.messages import Reply
from tickcast.gateway.session import Session
from tickcast.gateway.status import StatusBoard
from tickcast.latest.registry import InstrumentRegistry
from tickcast.model.record import State
from tickcast.testing.gateway import RunningGateway, definition, running_gateway

SECOND_NS = 1_000_000_000
START_NS = 1_774_794_600 * SECOND_NS


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run on the loop that runs in production; what depends on its transports also on the standard one."""
    if item.path.name == "test_stream.py":
        return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    return {"uvloop": uvloop.new_event_loop}


class Bench:
    """A session on a real hub without a socket: what the hub would send comes out of :meth:`ask`."""

    def __init__(self, config: Config, **session: Any) -> None:
        self.hub = _native.Hub(epoch=7)
        self.now_ns = START_NS
        definitions = [definition("XNAS:AAPL", primary=True), definition("XNAS:MSFT")]
        definitions += [definition(f"XNAS:S{number}") for number in range(30)]
        self.hub.define(definitions, self.now_ns)
        self.hub.set_feed_state("xnas", State.LIVE, "", self.now_ns)
        self.client = self.hub.open(-1)
        registry = InstrumentRegistry()
        registry.add(definitions)
        self.registry = registry
        self.told: list[tuple[int, Reply]] = []
        self.status = StatusBoard(lambda client, note: self.told.append((client, note)))
        self.desk = Desk(
            self.hub,
            config,
            _native.PRICE_FIELDS,
            clock=lambda: self.now_ns,
            flush=lambda _client: None,
            status=self.status,
            directory=registry,
        )
        self.session = Session(self.desk, self.client, self.now_ns, **{"access": ANYONE, **session})

    @staticmethod
    def config(**settings: Any) -> Config:
        """Settings of the gateway."""
        return Config(**settings)

    def ask(self, request: object, *, later_s: float = 1.0) -> list[Any]:
        """Send a request a while later; returns the messages that come back, parsed."""
        self.now_ns += int(later_s * SECOND_NS)
        text = request if isinstance(request, bytes) else json.dumps(request).encode()
        assert self.session.request(text, self.now_ns) is None
        return self.messages()

    def messages(self) -> list[Any]:
        """What is sent now."""
        data = b"".join(sent for _, sent in self.hub.flush(self.now_ns, only=self.client).unsent)
        self.hub.drained(self.client)
        return [json.loads(payload) for payload in payloads(data)]


def payloads(data: bytes) -> Iterator[bytes]:
    """Payloads of a server's frames."""
    while data:
        length, start = data[1], 2
        if length == 126:
            length, start = int.from_bytes(data[2:4], "big"), 4
        elif length == 127:
            length, start = int.from_bytes(data[2:10], "big"), 10
        yield data[start : start + length]
        data = data[start + length :]


@pytest.fixture
def bench() -> Bench:
    return Bench(Config(symbols_max=25))


@pytest.fixture(scope="session")
def make_bench() -> type[Bench]:
    return Bench


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway() as running:
        yield running
