"""Everything late: the same messages as those who see things as they come, so much later, and nothing before."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tickcast import _native
from tickcast.config import Config
from tickcast.feeds.config import FeedConfig
from tickcast.gateway.auth.admission import Admission
from tickcast.gateway.auth.guests import Guests
from tickcast.gateway.config import Config as GatewayConfig
from tickcast.gateway.rest import create_app
from tickcast.gateway.stage import GatewayStage
from tickcast.late import Late
from tickcast.latest.registry import InstrumentRegistry
from tickcast.model.batch import TickBatch
from tickcast.model.health import FeedHealth
from tickcast.model.record import Flag, Kind, State, empty_records
from tickcast.runtime.clock import now_ns, steady_ns
from tickcast.testing.gateway import NoInsight, NoLedger, definition
from tickcast.testing.tokens import auth_config, token

DEADLINE_S = 30.0
DELAY_S = 2.0


class World:
    """A gateway over a hub and its late half, and a feed that the test plays."""

    def __init__(self, folder: Path) -> None:
        auth = msgspec.structs.replace(auth_config(folder), delayed=True, delay_s=DELAY_S)
        gateway = GatewayConfig(port=0, auth=auth)
        config = Config(gateway=gateway, feeds={"xnas": FeedConfig(venue="XNAS")})
        self.hub = _native.Hub(epoch=1)
        self.registry = InstrumentRegistry()
        self.late = Late(config, _native.Hub(epoch=9), folder / "late")
        admission = Admission(auth, host="127.0.0.1", folder=folder / "auth", wall=now_ns)
        guests = Guests(admission, clock=steady_ns, wall=now_ns)
        self.app = create_app(
            hub=self.hub, registry=self.registry, insight=NoInsight(), ledger=NoLedger(), config=gateway,
            clock=now_ns, guests=guests, late=self.late.hub,
        )  # fmt: skip
        self.stage = GatewayStage(
            gateway, hub=self.hub, app=self.app, clock=steady_ns, wall=now_ns, wake=lambda: None,
            directory=self.registry, guests=guests, late=self.late.shown,
        )  # fmt: skip
        self.late.deliver = self.stage.deliver_late
        self.trades = 0

    async def start(self) -> None:
        await self.late.start()
        await self.stage.start()
        self.put(TickBatch("xnas", 1, definitions=(definition("XNAS:AAPL"),)))
        self.hub.set_feed_state("xnas", State.LIVE, "", steady_ns())
        self.late.feed_health(FeedHealth(name="xnas", venue="XNAS", state="connected", since_ns=now_ns(), pid=1))

    async def stop(self) -> None:
        await self.stage.stop()
        await self.late.stop()

    def put(self, batch: TickBatch) -> None:
        if batch.definitions:
            self.hub.define(self.registry.add(batch.definitions), steady_ns())
        if len(batch.records):
            self.hub.apply(batch.records.tobytes(), steady_ns())
        self.late.put(batch)
        self.stage.deliver(self.hub.flush(steady_ns()))

    def trade(self, price: int) -> None:
        self.trades += 1
        rows = empty_records(1)
        rows["kind"], rows["instrument"] = Kind.TRADE, _native.instrument_id("XNAS:AAPL")
        rows["id"], rows["price"], rows["size"] = self.trades, price, 1
        rows["flags"], rows["ts_event"], rows["ts_recv"] = Flag.LAST_OF_EVENT, now_ns(), now_ns()
        self.put(TickBatch("xnas", 1, rows))

    def by(self, *, delayed: bool) -> dict[str, str]:
        text = token({"symbols": ["*"], "delayed": delayed}, now_s=int(time.time()), sub=str(delayed))
        return {"authorization": f"Bearer {text}"}

    def connect(self, *, delayed: bool) -> connect:
        url = f"ws{self.stage.address.removeprefix('http')}/stream"
        return connect(url, additional_headers=self.by(delayed=delayed))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    await made.start()
    yield made
    await made.stop()


async def get(client: ClientConnection, kind: str) -> Any:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            message = json.loads(await client.recv())
            if message["type"] == kind:
                return message


async def test_a_trade_comes_late_and_says_so(world: World) -> None:
    subscribe = json.dumps({"action": "subscribe", "symbols": ["XNAS:AAPL"], "channel": "trades"})
    async with world.connect(delayed=False) as live, world.connect(delayed=True) as late:
        for client, delay_s in ((live, None), (late, DELAY_S)):
            await client.send(subscribe)
            answer = await get(client, "subscribed")
            assert answer.get("delay_s") == delay_s
            assert answer["symbols"]["XNAS:AAPL"]["state"] != "no_such_symbol"
        begun_s = time.monotonic()
        for price in (100, 101, 102):
            world.trade(price)
        now = [await get(live, "trade") for _ in range(3)]
        then = [await get(late, "trade") for _ in range(3)]
        assert time.monotonic() - begun_s >= DELAY_S
        assert [(one["id"], one["price"], one["timestamp"]) for one in then] == [
            (one["id"], one["price"], one["timestamp"]) for one in now
        ]


async def test_rest_shows_what_was(world: World) -> None:
    transport = httpx.ASGITransport(world.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        world.trade(100)
        live = (await http.get("/prices/XNAS:AAPL", headers=world.by(delayed=False))).json()
        late = (await http.get("/prices/XNAS:AAPL", headers=world.by(delayed=True))).json()
        assert (live["price"], live.get("delay_s")) == (100, None)
        assert (late["price"], late["delay_s"]) == (None, DELAY_S)
        assert (await http.get("/prices/NOPE", headers=world.by(delayed=True))).status_code == 404
        async with asyncio.timeout(DEADLINE_S):
            while late["price"] is None or late["state"] != "live":
                await asyncio.sleep(0.05)
                late = (await http.get("/prices?symbols=XNAS:AAPL", headers=world.by(delayed=True))).json()["prices"][0]
        assert (late["price"], late["delay_s"]) == (100, DELAY_S)
        book = (await http.get("/books/XNAS:AAPL", headers=world.by(delayed=True))).json()
        bars = (await http.get("/bars/XNAS:AAPL", headers=world.by(delayed=True))).json()
        assert book["delay_s"] == bars["delay_s"] == DELAY_S


async def test_who_sees_late_is_never_let_in_where_nothing_is_kept_back(world: World, tmp_path: Path) -> None:
    auth = auth_config(tmp_path)
    app = create_app(
        hub=world.hub, registry=world.registry, insight=NoInsight(), ledger=NoLedger(),
        config=GatewayConfig(auth=auth), clock=now_ns,
    )  # fmt: skip
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
        answer = await http.get("/prices/XNAS:AAPL", headers=world.by(delayed=True))
        assert (answer.status_code, "price" in answer.json()) == (403, False)
