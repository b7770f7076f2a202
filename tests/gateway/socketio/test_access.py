"""Who may see what over Socket.IO: the rules of the stream, by the token of CONNECT."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.gateway.socketio.event_clients import EventClient, event_client, events_config, until

from tickcast.gateway.auth.access import Scope
from tickcast.gateway.auth.keys import KeyFile
from tickcast.testing.gateway import RunningGateway, running_gateway
from tickcast.testing.tokens import auth_config, token

socketio = pytest.importorskip("socketio", reason="python-socketio is not installed")
NARROW = {"symbols": ["XNAS:AAPL"], "channels": ["price"], "rate": 5}


@asynccontextmanager
async def locked(folder: Path, mode: Any = "memory") -> AsyncIterator[RunningGateway]:
    config = msgspec.structs.replace(events_config(mode), auth=auth_config(folder))
    async with running_gateway(config, folder=folder / "auth") as gateway:
        gateway.trade("XNAS:AAPL", "185.40")
        yield gateway


@pytest.mark.parametrize("mode", ["memory", "rooms"])
async def test_a_client_sees_what_is_in_its_scope(tmp_path: Path, mode: str) -> None:
    async with locked(tmp_path, mode) as gateway:
        shown = {"token": token(NARROW, now_s=int(time.time()))}
        async with event_client(gateway.url, auth=shown) as client:
            reply = await client.ask("subscribe", {"symbols": ["XNAS:AAPL", "XNAS:MSFT", "XNAS:NOPE"], "rate": 20})
            assert reply["rate"] == 5
            assert {reply["symbols"][name]["state"] for name in ("XNAS:MSFT", "XNAS:NOPE")} == {"not_entitled"}
            await client.price("185.40")
            gateway.trade("XNAS:MSFT", "400.00")
            gateway.trade("XNAS:AAPL", "185.50")
            await client.price("185.50")
            assert all(body.get("symbol") != "XNAS:MSFT" for body in client.frames("snapshot", "update"))


@pytest.mark.parametrize("auth", [None, {}, {"token": "nonsense"}, {"token": 5}, {"token": ""}, "nonsense", [1]])
async def test_who_shows_nothing_or_nonsense_is_not_let_in(tmp_path: Path, auth: Any) -> None:
    async with locked(tmp_path) as gateway:
        client = EventClient(gateway.url)
        refusals: list[Any] = []
        client.sio.on("connect_error", refusals.append)
        with pytest.raises(socketio.exceptions.ConnectionError):
            await client.connect(["websocket"], auth)
        await until(lambda: bool(refusals))
        assert refusals[0]["data"]["code"] == 4801
        assert not gateway.stage.clients.streams
        await client.sio.shutdown()


async def test_a_withdrawn_key_ends_the_client_for_good(tmp_path: Path) -> None:
    async with locked(tmp_path) as gateway:
        keys = KeyFile(tmp_path / "auth")
        secret, _ = keys.add("desk", Scope(symbols=("*",)), now_ns=time.time_ns())
        async with event_client(gateway.url, auth={"token": secret}) as client:
            await client.ask("subscribe", {"symbols": ["XNAS:AAPL"]})
            keys.revoke("desk", now_ns=time.time_ns())
            told = await client.until(lambda event, _: event == "close")
            assert told["code"] == 4801
            await until(lambda: not client.sio.connected and not gateway.stage.clients.streams)


async def test_who_may_see_prices_late_sees_none_where_none_are_kept_back(tmp_path: Path) -> None:
    async with locked(tmp_path) as gateway:
        client = EventClient(gateway.url)
        late = token({"symbols": ["*"], "delayed": True}, now_s=int(time.time()))
        with pytest.raises(socketio.exceptions.ConnectionError):
            await client.connect(["websocket"], {"token": late})
        assert not gateway.stage.clients.streams
        await client.sio.shutdown()
