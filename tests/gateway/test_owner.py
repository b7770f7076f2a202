"""A worker's gateway linked to an owner over a real Unix socket."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from tests.native.test_hub import definition, trades
from tests.native.test_link import Client

from tickcast import _native
from tickcast.fanout.link import LinkServer
from tickcast.gateway.owner import OwnerClient
from tickcast.latest.registry import InstrumentRegistry
from tickcast.ports import Want
from tickcast.runtime.clock import now_ns

SYMBOL = "XNAS:AAPL"
PRICE = _native.CHANNEL_PRICE


async def until(condition: Callable[[], object], what: str, timeout_s: float = 10.0) -> None:
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(0.005)


class Pair:
    """The owner's server and one worker's link."""

    def __init__(self, folder: Path) -> None:
        self.hub = _native.Hub(epoch=7)
        self.registry = InstrumentRegistry()
        self.path = folder / "fanout.sock"
        self.list_symbols("AAPL", "MSFT")
        self.worker = _native.WorkerHub()
        self.told: list[tuple[list[str], bool]] = []
        self.server = self.make_server()
        self.client = OwnerClient(
            self.worker,
            self.path,
            name="gateway1",
            clock=now_ns,
            wake=lambda: None,
            notes=lambda texts, whole: self.told.append((list(texts), whole)),
            answer_s=0.5,
        )

    def list_symbols(self, *names: str) -> None:
        definitions = [definition(name) for name in names]
        self.hub.define(definitions, now_ns())
        self.registry.add(definitions)

    def make_server(self) -> LinkServer:
        return LinkServer(
            self.hub,
            self.path,
            clock=now_ns,
            wake=lambda: self.server.deliver(self.hub.flush(now_ns())),
            directory=self.registry,
            notes=lambda: ['{"type":"feed"}'],
        )

    async def ask(self, *wants: Want, patterns: tuple[str, ...] = ()) -> bool:
        answered: list[bool] = []
        if self.client.prepare(1, wants, patterns, answered.append):
            return True
        await until(lambda: answered, "an answer")
        return answered[0]

    async def stop(self) -> None:
        await self.client.stop()
        await self.server.stop()


async def test_questions_are_answered_and_what_is_known_costs_none(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    await pair.server.start()
    await pair.client.start()
    assert await pair.ask(Want(PRICE, SYMBOL, 20, 0))
    assert pair.client.prepare(1, [Want(PRICE, SYMBOL, 20, 0)], (), lambda _done: None)
    assert pair.told == [(['{"type":"feed"}'], True)]
    pair.server.tell(['{"type":"gap"}'])
    await until(lambda: len(pair.told) == 2, "a note")
    assert pair.told[1] == (['{"type":"gap"}'], False)
    await pair.stop()


async def test_patterns_are_resolved_by_the_owner_and_new_listings_pushed(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    listed: list[str] = []
    pair.client.on_listed(listed.extend)
    await pair.server.start()
    await pair.client.start()
    assert await pair.ask(patterns=("XNAS:*",))
    assert pair.client.match("XNAS:*", 10) == ["XNAS:AAPL", "XNAS:MSFT"]
    assert pair.client.match("XNAS:*", 0) == ["XNAS:AAPL"], "one more than the limit says that it is over"
    pair.list_symbols("NEW")
    await until(lambda: listed, "a new listing")
    assert listed == ["XNAS:NEW"]
    assert pair.client.matches("XNAS:*", "XNAS:NEW")
    assert pair.worker.position("XNAS:NEW", PRICE) is not None, "the hub knows it when its clients hear of it"
    await pair.stop()


async def test_without_an_owner_requests_are_refused_in_time_and_a_late_owner_is_found(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    await pair.client.start()
    assert not await pair.ask(Want(PRICE, SYMBOL, 20, 0)), "nobody is there"
    await pair.server.start()
    await until(lambda: pair.client.is_linked, "the link")
    assert await pair.ask(Want(PRICE, SYMBOL, 20, 0))
    await pair.stop()


async def test_a_client_is_told_of_the_loss_and_of_the_return(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    await pair.server.start()
    await pair.client.start()
    pair.hub.apply(trades("AAPL", [18540], now_ns()), now_ns())
    assert await pair.ask(Want(PRICE, SYMBOL, 20, 0))
    client = Client(pair.worker)
    pair.worker.subscribe(client.number, PRICE, SYMBOL, 20, 0, 0, now_ns())
    pair.worker.flush(now_ns())
    assert [m["type"] for m in client.read()] == ["snapshot"]
    await pair.server.stop()
    await until(lambda: not pair.client.is_linked, "the loss")
    pair.worker.flush(now_ns())
    (status,) = client.read()
    assert (status["state"], "being started again" in status["reason"]) == ("stale", True)
    await pair.server.start()

    def is_back() -> bool:
        pair.worker.flush(now_ns())
        return any(m["type"] == "status" and m["state"] == "live" for m in client.read())

    await until(is_back, "the state of the market again")
    client.close()
    await pair.stop()


async def test_a_socket_that_was_removed_is_made_again_and_nobody_is_cut(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    await pair.server.start()
    await pair.client.start()
    await until(lambda: pair.client.is_linked, "the link")
    await pair.server.heal()
    assert len(pair.server.links) == 1
    pair.path.unlink()
    await pair.server.heal()
    assert pair.path.is_socket()
    assert pair.path.stat().st_mode & 0o777 == 0o600
    assert pair.client.is_linked
    assert await pair.ask(Want(PRICE, SYMBOL, 20, 0))
    reader, writer = await asyncio.open_unix_connection(str(pair.path))
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await pair.stop()


async def test_no_more_symbols_of_a_pattern_are_asked_for_than_a_client_may_watch(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.list_symbols(*(f"S{number}" for number in range(20)))
    pair.client._symbols_max = 5
    await pair.server.start()
    await pair.client.start()
    await until(lambda: pair.client.is_linked, "the link")
    assert await pair.ask(patterns=("XNAS:*",))
    assert len(pair.client.match("XNAS:*", 100)) == 6, "one more says that there are more"
    await pair.stop()


async def test_a_stranger_at_the_owners_socket_is_refused_with_a_reason(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    await pair.server.start()
    for sent in (b"GET / HTTP/1.1\r\n\r\n", (5).to_bytes(4, "little") + b"\xff\xff\xff\xff\xff"):
        reader, writer = await asyncio.open_unix_connection(str(pair.path))
        writer.write(sent)
        answer = await asyncio.wait_for(reader.read(), 10)
        assert b"expected" in answer
        writer.close()
    assert json.loads(pair.hub.price(SYMBOL) or b"{}")["symbol"] == SYMBOL
    await pair.stop()
