"""Everything late: the same messages as those who see things as they come, so much later, and nothing before."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec
import pytest
from tests.late_world import AAPL, DEADLINE_S, DELAY_S, by, late_world
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tickcast.client.handles import codec_of, handshake_of
from tickcast.gateway.config import Config
from tickcast.late import Late, LatePast
from tickcast.model.batch import TickBatch
from tickcast.model.health import FeedHealth
from tickcast.model.record import Flag, Kind, State, empty_records
from tickcast.testing.gateway import RunningGateway, definition, late_of, running_gateway
from tickcast.testing.tokens import auth_config


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    async with late_world(tmp_path) as gateway:
        yield gateway


def status(world: RunningGateway, state: State, name: str = AAPL) -> None:
    rows = empty_records(1)
    rows["kind"], rows["detail"] = Kind.STATUS, state
    rows["instrument"] = world._rows(name, 1)["instrument"]
    rows["ts_event"] = rows["ts_recv"] = time.time_ns()
    rows["flags"] = world._rows(name, 1)["flags"]
    world.apply(rows)


async def get(client: ClientConnection, kind: str, **values: object) -> Any:
    """The next message of a kind with these values."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            message = json.loads(await client.recv())
            if message["type"] == kind and all(message.get(key) == value for key, value in values.items()):
                return message


async def test_a_trade_comes_late_and_says_so(world: RunningGateway) -> None:
    subscribe = json.dumps({"action": "subscribe", "symbols": [AAPL], "channel": "trades"})
    async with (
        connect(world.stream_url, additional_headers=by(delayed=False)) as live,
        connect(world.stream_url, additional_headers=by()) as late,
    ):
        for client, delay_s in ((live, None), (late, DELAY_S)):
            await client.send(subscribe)
            answer = await get(client, "subscribed")
            assert answer.get("delay_s") == delay_s
            assert answer["symbols"][AAPL]["state"] != "no_such_symbol"
        begun_s = time.monotonic()
        for price in ("100", "101", "102"):
            world.trade(AAPL, price)
        now = [await get(live, "trade") for _ in range(3)]
        then = [await get(late, "trade") for _ in range(3)]
        assert time.monotonic() - begun_s >= DELAY_S
        assert [(one["id"], one["price"], one["timestamp"]) for one in then] == [
            (one["id"], one["price"], one["timestamp"]) for one in now
        ]


async def test_what_is_live_for_others_is_delayed_and_what_is_wrong_is_said(world: RunningGateway) -> None:
    """`delayed` stands for `live` alone: a halt, a hole or a silent feed of that time is told as it was."""
    async with connect(world.stream_url, additional_headers=by()) as late:
        await late.send(json.dumps({"action": "subscribe", "symbols": [AAPL], "rate": 0}))
        await get(late, "subscribed")
        assert (await get(late, "snapshot"))["state"] in {"syncing", "empty"}
        world.trade(AAPL, "100")
        world.quote(AAPL, ("99", "1"), ("101", "1"))
        await get(late, "update", state="delayed")
        status(world, State.HALTED)
        world.trade(AAPL, "101")
        assert (await get(late, "update", state="halted"))["symbol"] == AAPL
        status(world, State.LIVE)
        assert (await get(late, "status", state="delayed"))["reason"] == f"everything is {DELAY_S:g} s late"
        world.report("xnas", "stale")
        assert (await get(late, "status", state="stale"))["reason"] == "feed stale"
        world.report("xnas")
        await get(late, "status", state="delayed")


async def test_before_anything_is_old_enough_symbols_are_there_and_syncing(tmp_path: Path) -> None:
    async with (
        late_world(tmp_path, delay_s=900.0) as world,
        connect(world.stream_url, additional_headers=by()) as late,
        httpx.AsyncClient(base_url=world.url, headers=by()) as http,
    ):
        world.trade(AAPL, "100")
        await late.send(json.dumps({"action": "subscribe", "symbols": [AAPL, "AAPL", "NOPE"]}))
        answer = await get(late, "subscribed")
        states = {name: one["state"] for name, one in answer["symbols"].items()}
        assert states == {AAPL: "syncing", "AAPL": "syncing", "NOPE": "no_such_symbol"}
        assert answer["delay_s"] == 900
        shown = (await http.get(f"/prices/{AAPL}")).json()
        assert (shown["state"], shown["price"], shown["delay_s"]) == ("syncing", None, 900)


@pytest.mark.parametrize("codec", ["json", "msgpack", "compact", "proto"])
async def test_every_codec_tells_it(world: RunningGateway, codec: str) -> None:
    name, query = handshake_of(codec)
    reader = codec_of(codec)
    url = f"{world.stream_url}?{urlencode(query)}"
    world.trade(AAPL, "100")
    world.quote(AAPL, ("99", "1"), ("101", "1"))
    world.book(AAPL, [("99", "1")], [("101", "1")])
    async with connect(url, additional_headers=by(), subprotocols=[Subprotocol(name)]) as client:
        for channel in ("price", "book", "bars"):
            request = {"action": "subscribe", "symbols": [AAPL], "channel": channel, "rate": 0}
            await client.send(reader.request(request))
        told: dict[str, float] = {}
        states: dict[str, str] = {}
        async with asyncio.timeout(DEADLINE_S):
            while states != dict.fromkeys(("price", "book", "bars"), "delayed"):
                for frame in reader.frames(await client.recv()):
                    if frame["type"] == "subscribed":
                        told[frame["channel"]] = frame["delay_s"]
                    elif frame["type"] in {"snapshot", "update", "status"} and "state" in frame:
                        is_of_all = frame["type"] == "status"
                        channels = told if is_of_all else [frame.get("channel", "price")]
                        states.update(dict.fromkeys(channels, frame["state"]))
        assert told == dict.fromkeys(("price", "book", "bars"), DELAY_S)


async def test_rest_shows_what_was(world: RunningGateway) -> None:
    async with httpx.AsyncClient(base_url=world.url) as http:
        world.trade(AAPL, "100")
        world.quote(AAPL, ("99", "1"), ("101", "1"))
        live = (await http.get(f"/prices/{AAPL}", headers=by(delayed=False))).json()
        late = (await http.get(f"/prices/{AAPL}", headers=by())).json()
        assert (live["price"], live["state"], live.get("delay_s")) == (100, "live", None)
        assert (late["state"] != "live", late["delay_s"]) == (True, DELAY_S)
        assert (await http.get("/prices/NOPE", headers=by())).status_code == 404
        async with asyncio.timeout(DEADLINE_S):
            while late["bid"] is None:
                await asyncio.sleep(0.05)
                late = (await http.get(f"/prices?symbols={AAPL}", headers=by())).json()["prices"][0]
        assert (late["price"], late["state"], late["delay_s"]) == (100, "delayed", DELAY_S)
        book = (await http.get(f"/books/{AAPL}", headers=by())).json()
        bars = (await http.get(f"/bars/{AAPL}", headers=by())).json()
        assert book["delay_s"] == bars["delay_s"] == DELAY_S
        assert bars["state"] == "delayed"


async def test_another_core_goes_on_with_what_was_kept_back(tmp_path: Path) -> None:
    """What was known, with its epoch, and what was still kept back: the other half of it comes in its own time."""
    auth = msgspec.structs.replace(auth_config(tmp_path), delayed=True, delay_s=DELAY_S)
    config = Config(port=0, auth=auth)
    name = definition(AAPL)

    def trade(late: Late, number: int, price: int) -> None:
        rows = empty_records(1)
        rows["kind"], rows["instrument"], rows["id"] = Kind.TRADE, name.instrument, number
        rows["price"], rows["size"], rows["flags"] = price, 1, Flag.LAST_OF_EVENT
        rows["ts_event"] = rows["ts_recv"] = time.time_ns()
        late.put(TickBatch("xnas", 1, rows))

    async def shows(late: Late, price: int) -> Any:
        async with asyncio.timeout(DEADLINE_S):
            while (shown := json.loads(late.hub.price(AAPL) or b"{}")).get("price") != price:
                await asyncio.sleep(0.01)
        return shown

    before = late_of(config, tmp_path / "late")
    await before.start()
    before.put(TickBatch("xnas", 1, definitions=(name,)))
    before.feed_health(FeedHealth(name="xnas", venue="XNAS", state="connected", since_ns=1, pid=1))
    trade(before, 1, 100)
    known = await shows(before, 100)
    trade(before, 2, 101)
    past = await before.hand_over()
    await before.stop()
    assert past is not None

    after = late_of(config, tmp_path / "late")
    assert after.take_over(msgspec.msgpack.decode(msgspec.msgpack.encode(past), type=LatePast))
    taken = await shows(after, 100)
    assert (taken["epoch"], taken["seq"]) == (known["epoch"], known["seq"])
    await after.start()
    await shows(after, 101)
    trade(after, 3, 102)
    assert (await shows(after, 102))["state"] == "delayed"
    await after.stop()

    other = late_of(Config(port=0, auth=msgspec.structs.replace(auth, delay_s=9.0)), tmp_path / "other")
    assert not other.take_over(past)  # kept back for another time: it would come too early, or too late
    assert other.hub.price(AAPL) is None


async def test_who_sees_late_is_never_let_in_where_nothing_is_kept_back(tmp_path: Path) -> None:
    config = Config(port=0, auth=auth_config(tmp_path))
    async with (
        running_gateway(config, folder=tmp_path / "auth") as gateway,
        httpx.AsyncClient(base_url=gateway.url) as http,
    ):
        answer = await http.get(f"/prices/{AAPL}", headers=by())
        assert (answer.status_code, "price" in answer.json()) == (403, False)
